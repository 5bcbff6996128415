//! What an operator sees: log lines on standard error, and numbers for Prometheus.

pub mod logs;
pub mod metrics;
pub mod names;
pub mod process;

pub use metrics::Metrics;
