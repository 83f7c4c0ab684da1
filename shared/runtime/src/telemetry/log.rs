//! What a process says about itself, to standard error: lines for people, or
//! JSON for machines. Data goes to standard output and is not logged.
//!
//! No person stands in a log. Names and addresses are never passed to one; what
//! an outside system answers may hold them nevertheless, so its texts go
//! through [`scrub`] first.

use crate::config::{LogConfig, LogFormat};
use std::io::IsTerminal;
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The variable that overrides the configured level.
pub const LEVEL_VARIABLE: &str = "OFFBOARD_LOG";

/// Logging that could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is none.
    #[error(
        "failed to set up logging: {from} holds '{given}', expected a level (error, warn, info, debug, trace) or filters such as \"info,offboard_workers=debug\""
    )]
    Level {
        /// Where it stands.
        from: &'static str,
        /// What stands there.
        given: String,
    },
    /// It is set up already.
    #[error("failed to set up logging: this process has set it up already")]
    Twice,
}

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
    EnvFilter::builder().parse(text).ok()
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
        .with_ansi(colour);
    match format {
        LogFormat::Human => Box::new(builder.finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
    }
}

/// A text from outside with everything that looks like an address of a person
/// (`anna@example.org`) replaced.
#[must_use]
pub fn scrub(text: &str) -> String {
    let part_of_address = |c: char| c.is_alphanumeric() || "@.!#$%&*+-/=?^_`{|}~".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let word_end = rest.find(|c: char| !part_of_address(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(word_end);
        // "@odata.type" is no address: something must stand before the sign.
        let is_address = word
            .split_once('@')
            .is_some_and(|(local, host)| !local.is_empty() && !host.is_empty());
        out.push_str(if is_address { "(address)" } else { word });
        let other_end = after.find(part_of_address).unwrap_or(after.len());
        out.push_str(&after[..other_end]);
        rest = &after[other_end..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn addresses_do_not_reach_a_log() {
        for (text, expected) in [
            (
                "User 'anna.k+x@contoso.example' not found",
                "User '(address)' not found",
            ),
            ("<müller@exämple.de>; x", "<(address)>; x"),
            (
                "@odata.type: #microsoft.graph.user",
                "@odata.type: #microsoft.graph.user",
            ),
            ("nothing here", "nothing here"),
            ("a@b", "(address)"),
            ("", ""),
        ] {
            assert_eq!(scrub(text), expected);
        }
    }
}
