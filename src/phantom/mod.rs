//! Synthetic medical-looking pictures with exact masks.
