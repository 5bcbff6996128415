//! The HTTP service.

pub mod guard;
pub mod health;
pub mod server;
