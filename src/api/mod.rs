//! The HTTP service.

pub mod console;
pub mod guard;
pub mod health;
pub mod server;
