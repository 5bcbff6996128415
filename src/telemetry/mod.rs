//! What an operator sees: log lines on standard error, numbers for Prometheus, and traces for a collector.

pub mod logs;
pub mod metrics;
pub mod names;
pub mod process;
pub mod traces;

pub use metrics::Metrics;
pub use traces::Traces;
