//! The sizes of the ledger's commit groups, as it traces them.

use crate::embedded::Failed;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The sizes so far.
#[derive(Clone, Default)]
pub(crate) struct Groups(Arc<Mutex<Vec<usize>>>);

impl Groups {
    /// Listens from now on; once a process.
    pub(crate) fn install() -> Result<Self, Failed> {
        let groups = Self::default();
        let only = tracing_subscriber::filter::Targets::new()
            .with_target("offboard_ledger", tracing::Level::TRACE)
            .with_default(tracing::Level::WARN);
        tracing_subscriber::registry()
            .with(groups.clone().with_filter(only))
            .try_init()?;
        Ok(groups)
    }

    /// Forgets them.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// All of them, in order.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Requests(Option<u64>);

impl Visit for Requests {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "requests" {
            self.0 = Some(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl<S: tracing::Subscriber> Layer<S> for Groups {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        let mut seen = Requests(None);
        event.record(&mut seen);
        if let Some(n) = seen.0.and_then(|n| usize::try_from(n).ok()) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(n);
        }
    }
}
