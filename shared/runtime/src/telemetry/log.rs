//! What a process says about itself, to standard error: lines for people, or
//! JSON for machines. Data goes to standard output and is not logged.
//!
//! No person stands in a log. Names and addresses are never passed to one; what
//! an outside system answers may hold them nevertheless, so its texts go
//! through [`scrub`](super::scrub) first.
//!
//! What is logged while a span is under way says so in JSON (`trace_id`,
//! `span_id`), so that a log line leads to its trace.

use super::TelemetryError;
use crate::config::{LogConfig, LogFormat};
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use std::fmt;
use std::io::IsTerminal;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::layer::{Context as LayerContext, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

/// The variable that overrides the configured level.
pub const LEVEL_VARIABLE: &str = "OFFBOARD_LOG";

/// What OpenTelemetry's own crates log: silenced, because what is lost is
/// counted and said once, in our words ([`super::export`]).
const OPENTELEMETRY: &str = "opentelemetry";
/// The broker's client: never heard, whatever is asked for. It logs messages that
/// came back with their bodies, and frames with credentials.
const BROKER_CLIENT: &str = "lapin";

fn filter(text: &str) -> Option<EnvFilter> {
    // A bare word that is no level would be taken for a module's name and
    // silence everything: refuse it.
    let bare_words_are_levels = text.split(',').all(|part| {
        let part = part.trim();
        part.contains(['=', '[', ':', '_'])
            || ["off", "error", "warn", "info", "debug", "trace"].contains(&part.to_lowercase().as_str())
    });
    if !bare_words_are_levels {
        return None;
    }
    let filter = EnvFilter::builder().parse(text).ok()?;
    if text.contains(OPENTELEMETRY) {
        return Some(filter);
    }
    let silence = format!("{OPENTELEMETRY}=off").parse().ok()?;
    Some(filter.add_directive(silence))
}

/// Keeps silent who is never heard. A filter could not: of several, the one that names
/// most of a module's path wins.
struct Never;

impl<S: Subscriber> Layer<S> for Never {
    fn enabled(&self, metadata: &Metadata<'_>, _: LayerContext<'_, S>) -> bool {
        !metadata.target().starts_with(BROKER_CLIENT)
    }
}

/// Whether a text is a level or a list of filters.
#[must_use]
pub fn is_filter(text: &str) -> bool {
    filter(text).is_some()
}

/// Sets up logging for this process.
///
/// # Errors
/// [`TelemetryError`] if the level is none, or logging is set up already.
pub fn init(config: &LogConfig) -> Result<(), TelemetryError> {
    let over = std::env::var(LEVEL_VARIABLE).ok().filter(|v| !v.trim().is_empty());
    let (from, level) = match &over {
        Some(level) => (LEVEL_VARIABLE, level.as_str()),
        None => ("log.level", config.level.as_str()),
    };
    let filter = filter(level).ok_or_else(|| TelemetryError::Level {
        from,
        given: level.to_owned(),
    })?;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let subscriber = subscriber(filter, config.format, colour, std::io::stderr);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| TelemetryError::Twice)
}

fn subscriber<W>(filter: EnvFilter, format: LogFormat, colour: bool, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        // What cannot be written is lost: it would be said on standard error, where
        // nothing can be written, and that panics.
        .log_internal_errors(false)
        .with_ansi(colour);
    match format {
        LogFormat::Human => Box::new(builder.finish().with(Never)),
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).map_event_format(Traced);
            Box::new(builder.finish().with(Never))
        }
    }
}

/// A format of one JSON object a line, with the ids of the span under way.
struct Traced<F>(F);

impl<S, N, F> FormatEvent<S, N> for Traced<F>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let ids = Context::map_current(|cx| {
            let span = cx.span();
            let at = span.span_context();
            at.is_valid().then(|| (at.trace_id(), at.span_id()))
        });
        let Some((trace, span)) = ids else {
            return self.0.format_event(ctx, writer, event);
        };
        let mut line = String::new();
        self.0.format_event(ctx, Writer::new(&mut line), event)?;
        let open = line.trim_end().strip_suffix('}').ok_or(fmt::Error)?;
        writeln!(writer, "{open},\"trace_id\":\"{trace}\",\"span_id\":\"{span}\"}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, format: LogFormat) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let s = subscriber(filter(level).unwrap(), format, false, move || writer.clone());
        tracing::subscriber::with_default(s, || {
            tracing::info!(case = "c-1", "opened");
            tracing::debug!("too much");
        });
        String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn lines_for_people_and_objects_for_machines() {
        let human = logged("info", LogFormat::Human);
        assert!(
            human.contains("INFO") && human.contains("opened case=\"c-1\""),
            "{human}"
        );
        assert_eq!(human.lines().count(), 1);
        let json: serde_json::Value = serde_json::from_str(&logged("info", LogFormat::Json)).unwrap();
        assert_eq!((&json["message"], &json["case"]), (&"opened".into(), &"c-1".into()));
        assert_eq!(logged("debug", LogFormat::Json).lines().count(), 2);
        assert!(json.get("trace_id").is_none(), "{json}");
    }

    #[test]
    fn a_line_leads_to_its_trace() {
        let at = SpanContext::new(
            TraceId::from_hex("0af7651916cd43dd8448eb211c80319c").unwrap(),
            SpanId::from_hex("b7ad6b7169203331").unwrap(),
            TraceFlags::SAMPLED,
            true,
            TraceState::default(),
        );
        let _under_way = Context::new().with_remote_span_context(at).attach();
        let json: serde_json::Value = serde_json::from_str(&logged("info", LogFormat::Json)).unwrap();
        assert_eq!(json["message"], "opened");
        assert_eq!(json["trace_id"], "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(json["span_id"], "b7ad6b7169203331");
    }

    #[test]
    fn opentelemetry_does_not_speak_for_itself_unless_asked() {
        let said = |level: &str| {
            let kept = Kept::default();
            let writer = kept.clone();
            let s = subscriber(filter(level).unwrap(), LogFormat::Human, false, move || writer.clone());
            tracing::subscriber::with_default(s, || tracing::error!(target: "opentelemetry_sdk", "export failed"));
            !kept.0.lock().unwrap().is_empty()
        };
        assert!(!said("info"));
        assert!(said("info,opentelemetry_sdk=debug"));
    }

    #[test]
    fn the_brokers_client_is_never_heard_whatever_is_asked_for() {
        for level in ["trace", "lapin::channel=trace", "opentelemetry=info,lapin=trace"] {
            for format in [LogFormat::Human, LogFormat::Json] {
                let kept = Kept::default();
                let writer = kept.clone();
                let s = subscriber(filter(level).unwrap(), format, false, move || writer.clone());
                tracing::subscriber::with_default(s, || {
                    tracing::error!(target: "lapin::channel", "a message came back");
                    tracing::trace!(target: "lapin::channel", "a frame");
                });
                let said = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
                assert_eq!(said, "", "{level}");
            }
        }
    }

    #[test]
    fn a_level_that_is_none_is_refused() {
        for good in [
            "info",
            "WARN",
            "off",
            "info,offboard_workers=debug",
            "offboard_domain=trace",
        ] {
            assert!(is_filter(good), "{good}");
        }
        for bad in ["infos", "", "a=b=c", "info,loud", "offboard_domain=loud"] {
            assert!(!is_filter(bad), "{bad}");
        }
    }
}
