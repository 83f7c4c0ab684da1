//! What is counted and measured, by one instrumentation with two ways out:
//! `/metrics` for Prometheus, and OTLP.
//!
//! Where neither is wanted, every function here returns at once. The list of
//! instruments is [`instruments`]; nothing is recorded that does not stand
//! there.

pub mod instruments;
mod state;

pub use state::State;

use super::export::Lost;
use instruments::{self as i, Instrument, Sort};
use offboard_domain::departure::Manner;
use offboard_domain::event::Event;
use offboard_domain::task::RestReason;
use offboard_domain::{Case, CaseState, Kind, Rule, TaskId, Timestamp};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// What an append can end as.
const APPENDED: [&str; 8] = [
    "done", "ours", "conflict", "gap", "claimed", "capped", "trimmed", "failed",
];
/// What is published.
const PUBLISHED: [&str; 2] = ["assignments", "reports"];
/// Why an attempt is tried again that nobody answered.
const UNANSWERED: &str = "unanswered";

static METRICS: OnceLock<Metrics> = OnceLock::new();

/// Measures in this process from now on; once.
pub(super) fn begin(metrics: Metrics) {
    // A second time: the first stays, as with logging.
    let _ = METRICS.set(metrics);
}

/// Whether anything is measured: only then is it worth looking.
#[must_use]
pub fn wanted() -> bool {
    METRICS.get().is_some()
}

/// What Prometheus reads; none if it is not served.
///
/// # Errors
/// What its encoder says.
pub fn render() -> Result<Option<String>, prometheus::Error> {
    METRICS.get().and_then(|m| m.registry.as_ref()).map(encode).transpose()
}

/// A worker made an attempt.
pub fn attempt(kind: Kind, vendor: &'static str, outcome: &'static str, took: Duration) {
    if let Some(m) = METRICS.get() {
        m.attempt(kind, vendor, outcome, took);
    }
}

/// A vendor's service was asked, and answered with this status (or a word
/// instead).
pub fn request(vendor: &'static str, service: &'static str, status: Result<u16, &'static str>, took: Duration) {
    if let Some(m) = METRICS.get() {
        m.request(vendor, service, status, took);
    }
}

/// A vendor's service asked to slow down within a batch, whose own answer does
/// not say so.
pub fn throttled(vendor: &'static str, service: &'static str) {
    if let Some(m) = METRICS.get() {
        m.throttles.add(1, &of_service(vendor, service));
    }
}

/// An append was tried.
pub fn append(result: &'static str, took: Duration) {
    if let Some(m) = METRICS.get() {
        m.appends.add(1, &[KeyValue::new("result", result)]);
        m.append_duration.record(took.as_secs_f64(), &[]);
    }
}

/// A publication was not confirmed: of `assignments` or of `reports`.
pub fn publish_failed(what: &'static str) {
    if let Some(m) = METRICS.get() {
        m.publish_failures.add(1, &[KeyValue::new("what", what)]);
    }
}

/// These events were appended, and made this of the case.
pub fn happened(events: &[Event], after: &Case) {
    if let Some(m) = METRICS.get() {
        m.happened(events, after);
    }
}

/// Keeps where things stand, for whoever reads it.
pub fn keep(state: State) {
    if let Some(m) = METRICS.get() {
        m.keep(state);
    }
}

/// The instruments of a process.
pub(super) struct Metrics {
    registry: Option<prometheus::Registry>,
    tenants: Mutex<state::Tenants>,
    state: state::Kept,
    attempts: Counter<u64>,
    attempt_duration: Histogram<f64>,
    requests: Counter<u64>,
    request_duration: Histogram<f64>,
    throttles: Counter<u64>,
    accepted: Counter<u64>,
    ended: Counter<u64>,
    merged: Counter<u64>,
    access_cut: Histogram<f64>,
    settled: Counter<u64>,
    failed: Counter<u64>,
    retries: Counter<u64>,
    waits: Counter<u64>,
    late: Counter<u64>,
    tail_lost: Counter<u64>,
    sealed: Counter<u64>,
    publish_failures: Counter<u64>,
    appends: Counter<u64>,
    append_duration: Histogram<f64>,
}

impl Metrics {
    pub(super) fn new(
        provider: &SdkMeterProvider,
        registry: Option<prometheus::Registry>,
        lost: &Arc<Lost>,
        tenants: usize,
    ) -> Self {
        let meter = provider.meter("offboard");
        let state = state::Kept::default();
        state::observe(&meter, &state, lost);
        let metrics = Self {
            registry,
            tenants: Mutex::new(state::Tenants::new(tenants)),
            state,
            attempts: counter(&meter, i::ATTEMPTS),
            attempt_duration: histogram(&meter, i::ATTEMPT_DURATION),
            requests: counter(&meter, i::VENDOR_REQUESTS),
            request_duration: histogram(&meter, i::VENDOR_REQUEST_DURATION),
            throttles: counter(&meter, i::VENDOR_THROTTLES),
            accepted: counter(&meter, i::CASES_ACCEPTED),
            ended: counter(&meter, i::CASES_ENDED),
            merged: counter(&meter, i::CASES_MERGED),
            access_cut: histogram(&meter, i::ACCESS_CUT),
            settled: counter(&meter, i::TASKS_SETTLED),
            failed: counter(&meter, i::TASKS_FAILED),
            retries: counter(&meter, i::RETRIES),
            waits: counter(&meter, i::WAITS),
            late: counter(&meter, i::LATE_REPORTS),
            tail_lost: counter(&meter, i::TAIL_LOST),
            sealed: counter(&meter, i::EVIDENCE_SEALED),
            publish_failures: counter(&meter, i::PUBLISH_FAILURES),
            appends: counter(&meter, i::LEDGER_APPENDS),
            append_duration: histogram(&meter, i::LEDGER_APPEND_DURATION),
        };
        metrics.begin_at_zero();
        metrics
    }

    /// Shows as 0 what alerts wait for: of a series that begins at 1, Prometheus does
    /// not see that it grew.
    fn begin_at_zero(&self) {
        for counter in [&self.merged, &self.tail_lost, &self.sealed] {
            counter.add(0, &[]);
        }
        for result in APPENDED {
            self.appends.add(0, &[KeyValue::new("result", result)]);
        }
        for what in PUBLISHED {
            self.publish_failures.add(0, &[KeyValue::new("what", what)]);
        }
        for kind in Kind::ALL {
            let kind = KeyValue::new("kind", kind.name());
            let rule = KeyValue::new("rule", Rule::NeedsPermission.word());
            self.failed.add(0, &[kind.clone(), rule]);
            self.retries.add(0, &[kind, KeyValue::new("why", UNANSWERED)]);
        }
    }

    fn attempt(&self, kind: Kind, vendor: &'static str, outcome: &'static str, took: Duration) {
        let [kind, vendor] = [KeyValue::new("kind", kind.name()), KeyValue::new("vendor", vendor)];
        self.attempt_duration
            .record(took.as_secs_f64(), &[kind.clone(), vendor.clone()]);
        self.attempts.add(1, &[kind, vendor, KeyValue::new("outcome", outcome)]);
    }

    fn request(&self, vendor: &'static str, service: &'static str, status: Result<u16, &'static str>, took: Duration) {
        let word = match status {
            Ok(429) => "429",
            Ok(..=299) => "2xx",
            Ok(300..=399) => "3xx",
            Ok(400..=499) => "4xx",
            Ok(500..) => "5xx",
            Err(word) => word,
        };
        let of = of_service(vendor, service);
        if status == Ok(429) {
            self.throttles.add(1, &of);
        }
        self.request_duration.record(took.as_secs_f64(), &of);
        let [vendor, service] = of;
        self.requests.add(1, &[vendor, service, KeyValue::new("status", word)]);
    }

    fn happened(&self, events: &[Event], after: &Case) {
        for event in events {
            self.one(event, after);
        }
        if let Some(at) = after.access_cut.and_then(|(at, last)| cut_by(events, last, at, after)) {
            let took_s = at.since(access_ends(after)).max(0) as f64 / 1_000.0;
            self.access_cut.record(took_s, &[manner(after)]);
        }
        if after.state.ended() && events.iter().any(ends) {
            self.ended.add(1, &[KeyValue::new("state", after.state.word())]);
        }
    }

    fn one(&self, event: &Event, after: &Case) {
        let kind = |task: &TaskId| {
            let kind = after.tasks.get(task).map_or("unknown", |t| t.kind().name());
            KeyValue::new("kind", kind)
        };
        match event {
            Event::CaseOpened { .. } => self.accepted.add(1, &[manner(after)]),
            Event::CaseMerged { .. } => self.merged.add(1, &[]),
            Event::TaskSettled { task, outcome, .. } => {
                self.settled
                    .add(1, &[kind(task), KeyValue::new("outcome", outcome.word())]);
            }
            Event::TaskFailed { task, rule, .. } => {
                self.failed.add(1, &[kind(task), KeyValue::new("rule", rule.word())]);
            }
            Event::TaskRested { task, why, .. } => {
                let (counter, word) = match why {
                    RestReason::Fault { fault } => (&self.retries, fault.class.word()),
                    RestReason::NotBegun { .. } => (&self.retries, "not_begun"),
                    RestReason::Unanswered => (&self.retries, UNANSWERED),
                    RestReason::DidNotHappen => (&self.retries, "did_not_happen"),
                    RestReason::Waiting { .. } => (&self.waits, "waiting"),
                    RestReason::Progress => (&self.waits, "progress"),
                };
                counter.add(1, &[kind(task), KeyValue::new("why", word)]);
            }
            Event::LateReport { task, .. } => self.late.add(1, &[kind(task)]),
            Event::TailLost { .. } => self.tail_lost.add(1, &[]),
            Event::CaseClosed { .. } => self.sealed.add(1, &[]),
            _ => {}
        }
    }

    fn keep(&self, state: State) {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let capped = tenants.cap(state);
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = capped;
    }
}

fn of_service(vendor: &'static str, service: &'static str) -> [KeyValue; 2] {
    [KeyValue::new("vendor", vendor), KeyValue::new("service", service)]
}

fn encode(registry: &prometheus::Registry) -> Result<String, prometheus::Error> {
    prometheus::TextEncoder::new().encode_to_string(&registry.gather())
}

fn counter(meter: &Meter, instrument: Instrument) -> Counter<u64> {
    meter
        .u64_counter(instrument.name)
        .with_unit(instrument.unit)
        .with_description(instrument.what)
        .build()
}

fn histogram(meter: &Meter, instrument: Instrument) -> Histogram<f64> {
    let bounds = match instrument.sort {
        Sort::Histogram(bounds) => bounds.to_vec(),
        Sort::Counter | Sort::Gauge => Vec::new(),
    };
    meter
        .f64_histogram(instrument.name)
        .with_unit(instrument.unit)
        .with_description(instrument.what)
        .with_boundaries(bounds)
        .build()
}

fn manner(case: &Case) -> KeyValue {
    KeyValue::new("manner", manner_word(case))
}

/// How he leaves, as a word.
pub(super) fn manner_word(case: &Case) -> &'static str {
    match case.manner() {
        Manner::Planned => "planned",
        Manner::Immediate => "immediate",
    }
}

/// From when on access must be gone.
pub(super) fn access_ends(case: &Case) -> Timestamp {
    case.effective_at().max(case.departure.requested_at)
}

/// Whether access is still open that is to be cut at once when its time has come: also
/// where the case waits, a person is needed, or it is not known yet what there is to cut. Who
/// is called off keeps his. What a closing round reopens was cut before.
pub(super) fn access_is_open(case: &Case) -> bool {
    match case.state {
        CaseState::Received => true,
        CaseState::Active => case.round == 0 && !case.access_is_cut(),
        CaseState::Closing
        | CaseState::Sealing
        | CaseState::Closed
        | CaseState::Cancelling
        | CaseState::Cancelled
        | CaseState::Merged { .. }
        | CaseState::Refused { .. } => false,
    }
}

/// When access was cut, if these events are those that did it: once in a case.
fn cut_by(events: &[Event], last: TaskId, at: Timestamp, after: &Case) -> Option<Timestamp> {
    let settles = |e: &Event| matches!(e, Event::TaskSettled { task, .. } if *task == last);
    (at == after.changed_at && events.iter().any(settles)).then_some(at)
}

/// Whether a case's life ended with this, for good: one that was merged may go on by
/// itself, and end then.
fn ends(event: &Event) -> bool {
    matches!(
        event,
        Event::CaseClosed { .. } | Event::CaseCancelled | Event::CaseRefused { .. }
    )
}

#[cfg(test)]
mod tests;
