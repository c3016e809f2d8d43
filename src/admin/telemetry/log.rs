//! Logs: one line for each webhook, one span and one line for each turn, and nothing that belongs to a customer.
//!
//! Only threedots' own events are written in detail. Other crates' are let through as warnings at most: at their finer
//! levels libraries print what they carry, bodies and headers included. Two crates are never let through: the OpenAI
//! client, which warns with the answer's text, and the HTTP server, to which every stranger's broken request is an
//! error.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Subscriber, error};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

/// What is logged, and how. The `log` table of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// How a line looks.
    pub format: LogFormat,
    /// How much of threedots' own events is logged.
    pub level: LogLevel,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// What an operator must act on.
    Error,
    /// And what he should know of.
    Warn,
    /// And a line for each webhook and each turn.
    #[default]
    Info,
    /// And each step.
    Debug,
    /// Everything.
    Trace,
}

/// Starts logging to standard output. Once a process; later calls change nothing.
pub fn start(config: &LogConfig) {
    let json = match config.format {
        LogFormat::Auto => !std::io::stdout().is_terminal(),
        LogFormat::Pretty => false,
        LogFormat::Json => true,
    };
    install(layer(config.level, json, std::io::stdout));
}

/// Starts logging to standard error, for a command whose answer goes to standard output. Once a process, as [`start`].
pub fn start_beside() {
    let json = !std::io::stderr().is_terminal();
    install(layer(LogLevel::Info, json, std::io::stderr));
}

fn install(lines: Box<dyn Layer<Registry> + Send + Sync>) {
    if tracing_subscriber::registry().with(lines).try_init().is_ok() {
        std::panic::set_hook(Box::new(report_panic));
    }
}

/// The layer that [`start`] installs, writing to `writer`: for programs with a subscriber of their own.
pub fn layer<S, W>(level: LogLevel, json: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let most = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let passes = filter_fn(move |event: &Metadata<'_>| is_ours_or_urgent(event, most));
    // What no target may write at any rate costs nothing then, not even the question.
    let passes = passes.with_max_level_hint(most.max(LevelFilter::WARN));
    let lines = fmt::layer().with_writer(writer);
    if json {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).with_filter(passes).boxed()
    } else {
        lines.with_target(false).with_filter(passes).boxed()
    }
}

fn is_ours_or_urgent(event: &Metadata<'_>, most: LevelFilter) -> bool {
    let target = event.target();
    if target == "threedots" || target.starts_with("threedots::") {
        return *event.level() <= most;
    }
    *event.level() <= Level::WARN
        && !["async_openai", "actix_http", "rmcp"].iter().any(|noisy| target.starts_with(noisy))
}

/// A panic's place, and not its text: that may quote a customer.
fn report_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    error!(panic.place = place, "a panic");
}
