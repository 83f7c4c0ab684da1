//! Every line that is logged in a simulation goes past the auditor.

use crate::audit::Auditor;
use std::sync::Arc;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

struct Watched(Arc<Auditor>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

impl<S: tracing::Subscriber> Layer<S> for Watched {
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
