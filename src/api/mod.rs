//! The HTTP service.

pub mod console;
