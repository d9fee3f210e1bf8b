//! The log: text or JSON on standard error. Keys are never logged; identities and inner addresses at DEBUG, packets at TRACE.

use std::fmt;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Format, Full, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, registry, reload};

use crate::config::{LogFormat, LogLevel};

/// What the command line says of the log: it goes before the configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogChoice {
    /// How much is logged.
    pub level: Option<LogLevel>,
    /// How it is written.
    pub format: Option<LogFormat>,
}

/// Of the log that was started.
static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// Starts the log of this process, or changes it when it has been started.
pub fn set(level: LogLevel, format: LogFormat) {
    IS_JSON.store(format == LogFormat::Json, Ordering::Relaxed);
    if let Some(filter) = FILTER.get() {
        filter.reload(targets(level)).ok();
        return;
    }
    let (filter, handle) = reload::Layer::new(targets(level));
    let written = Written { text: Format::default().with_ansi(false), json: Format::default().json() };
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false).event_format(written);
    if registry().with(layer.with_filter(filter)).try_init().is_ok() {
        FILTER.set(handle).ok();
    }
}

/// Libraries are heard from WARN on.
fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    Targets::new().with_default(Level::WARN.min(level)).with_target("vpnd", level)
}

/// Both ways to write an event.
struct Written {
    text: Format<Full>,
    json: Format<Json>,
}

impl<S, N> FormatEvent<S, N> for Written
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if IS_JSON.load(Ordering::Relaxed) {
            self.json.format_event(ctx, writer, event)
        } else {
            self.text.format_event(ctx, writer, event)
        }
    }
}
