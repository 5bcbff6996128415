//! What a person or a pipeline reads afterwards: manifests and tables.

pub mod acceptance;
pub mod manifest;
pub mod summary;
pub mod table;
