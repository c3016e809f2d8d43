//! What whoever runs this sees of it: log lines, and numbers over time.

mod log;
pub mod metrics;

pub use log::{LogConfig, LogFormat, LogLevel, layer, start, start_beside};
