//! Every line that is logged in a simulation goes past the auditor, and so does
//! every field of a span, given at its beginning or later: a log shows them
//! beside each line.

use crate::audit::Auditor;
use std::sync::Arc;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

struct Watched(Arc<Auditor>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

impl<S: tracing::Subscriber> Layer<S> for Watched {
    fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let mut line = Line(format!("{} {}", span.metadata().target(), span.metadata().name()));
        span.record(&mut line);
        self.0.logged(false, &line.0);
    }

    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut line = Line("a span".to_owned());
        values.record(&mut line);
        self.0.logged(false, &line.0);
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut line = Line(event.metadata().target().to_owned());
        event.record(&mut line);
        self.0
            .logged(*event.metadata().level() == tracing::Level::ERROR, &line.0);
    }
}

/// Until the guard goes, this thread's log goes to the auditor alone.
pub(crate) fn watch(auditor: Arc<Auditor>) -> tracing::subscriber::DefaultGuard {
    tracing::subscriber::set_default(tracing_subscriber::registry().with(Watched(auditor)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::Transcript;
    use offboard_domain::TenantId;
    use offboard_ledger::MemoryLedger;

    /// How many violations there are once this was logged.
    fn told(log: fn(&str)) -> usize {
        let auditor = Auditor::new([7; 32], MemoryLedger::new(), Arc::new(Transcript::new(false)));
        let tenant = TenantId::new("acme").expect("the handle is valid");
        auditor.watch_for([(tenant, "Canary-1234".to_owned())]);
        let guard = watch(auditor.clone());
        log("to Canary-1234, with regards");
        drop(guard);
        auditor.verdict().len()
    }

    #[test]
    fn a_name_is_seen_in_an_event_a_new_span_and_a_field_that_comes_later() {
        assert_eq!(told(|_| tracing::info!(of = "nobody", "nothing")), 0);
        assert_eq!(told(|name| tracing::info!("{name}")), 1);
        // As addresses have it.
        assert_eq!(told(|name| tracing::info!("{}@example.com", name.to_lowercase())), 1);
        assert_eq!(told(|name| drop(tracing::info_span!("attempt", of = name))), 1);
        assert_eq!(
            told(|name| {
                let span = tracing::info_span!("attempt", of = tracing::field::Empty);
                span.record("of", name);
            }),
            1
        );
    }
}
