//! A request in another protocol than HTTP, traced and measured as those of
//! HTTP are: under the same names, with nothing of a person in them.

use offboard_runtime::telemetry::{Span, metrics, trace};
use std::time::Duration;
use tokio::time::Instant;

/// A request that is under way. One that is given up without an end counts as none.
pub(crate) struct Asking {
    span: Span,
    vendor: &'static str,
    protocol: &'static str,
    began: Instant,
    took: Option<Duration>,
}

/// A vendor is asked for something, in words that are fixed.
pub(crate) fn ask(vendor: &'static str, protocol: &'static str, what: &'static str, host: &str, port: u16) -> Asking {
    Asking {
        span: trace::command(protocol, what, host, port),
        vendor,
        protocol,
        began: Instant::now(),
        took: None,
    }
}

impl Asking {
    /// The answer begins: how long the rest takes depends on who reads it, too.
    pub(crate) fn begins(&mut self) {
        if self.took.is_none() {
            self.took = Some(self.began.elapsed());
        }
    }

    /// It was answered: with what would be this status in HTTP, or with a word
    /// that says why there is no answer.
    pub(crate) fn end(self, status: Result<u16, &'static str>) {
        if let Some(word) = failure(status) {
            self.span.failed(word);
        }
        let took = self.took.unwrap_or_else(|| self.began.elapsed());
        metrics::request(self.vendor, self.protocol, status, took);
    }
}

fn failure(status: Result<u16, &'static str>) -> Option<&'static str> {
    match status {
        Ok(..=399) => None,
        Ok(429) => Some("429"),
        Ok(400..=499) => Some("4xx"),
        Ok(500..) => Some("5xx"),
        Err(word) => Some(word),
    }
}
