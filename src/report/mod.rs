//! What a person reads: tables, pictures, files.
