//! Every instrument there is, once: name, unit, labels and what it counts. The
//! page `docs/metrics.md` is written from this list, the dashboards and alerts
//! are checked against it.
//!
//! Every label is a word from a list that the code fixes (a kind, an outcome, a
//! vendor), or is capped (a tenant, a site). Nothing of a person can be a label: there
//! is no instrument that takes a text.

/// What an instrument does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sort {
    /// Counts up.
    Counter,
    /// Is somewhere now.
    Gauge,
    /// Is distributed over these bounds.
    Histogram(&'static [f64]),
}

/// One instrument.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Instrument {
    /// Its name in OpenTelemetry.
    pub name: &'static str,
    /// What it does.
    pub sort: Sort,
    /// Its unit (UCUM); in braces what is counted.
    pub unit: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub what: &'static str,
}

impl Instrument {
    /// Its name in Prometheus.
    #[must_use]
    pub fn prometheus(&self) -> String {
        let mut name = self.name.replace('.', "_");
        if self.unit == "s" {
            name.push_str("_seconds");
        }
        if self.sort == Sort::Counter {
            name.push_str("_total");
        }
        name
    }
}

/// Seconds that a request or an attempt takes.
const QUICK_S: &[f64] = &[
    0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 240.0,
];
/// Seconds that an append takes.
const APPEND_S: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
/// Seconds until access is cut: minutes when it is immediate, and a promise
/// that is broken after hours.
const CUT_S: &[f64] = &[
    30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 43_200.0, 86_400.0, 259_200.0,
];

macro_rules! instruments {
    ($($constant:ident = $name:literal, $sort:expr, $unit:literal, [$($label:literal),*], $what:literal;)*) => {
        $(pub(super) const $constant: Instrument = Instrument {
            name: $name,
            sort: $sort,
            unit: $unit,
            labels: &[$($label),*],
            what: $what,
        };)*

        /// All of them.
        pub const ALL: &[Instrument] = &[$($constant),*];
    };
}

instruments! {
    CASES_ACCEPTED = "offboard.cases.accepted", Sort::Counter, "{case}", ["manner"],
        "Departures accepted, by manner (planned, immediate).";
    CASES_ENDED = "offboard.cases.ended", Sort::Counter, "{case}", ["state"],
        "Cases that ended, by their last state (closed, cancelled, refused).";
    CASES_MERGED = "offboard.cases.merged", Sort::Counter, "{case}", [],
        "Cases that were merged into another one of the same person, which does the work. One goes on by itself when that one is called off, and may be merged again.";
    CASES = "offboard.cases", Sort::Gauge, "{case}", ["tenant", "state"],
        "Open cases. Tenants beyond the configured number are counted as `other`.";
    CASES_NEED_PERSON = "offboard.cases.need_person", Sort::Gauge, "{case}", ["tenant"],
        "Open cases in which a person is needed now.";
    OLDEST_WAITING = "offboard.case.oldest_waiting", Sort::Gauge, "s", ["for"],
        "How long the case that has waited longest has waited: for `credit` to assign its next task, or for a `person`. Engine time.";
    ACCESS_CUT = "offboard.access_cut.duration", Sort::Histogram(CUT_S), "s", ["manner"],
        "From the request (or the time at which access must be gone, if that is later) until the last task is proven that cuts access within 15 minutes. The security promise. Engine time.";
    ACCESS_OPEN = "offboard.case.access_open", Sort::Gauge, "s", ["tenant", "manner"],
        "How long access has been open past the request (or the time at which it must be gone, if that is later), in the open case in which it has been so longest; also while the case is paused, awaits a person or is refused by a vendor. Not there where nobody's is. Engine time.";
    TASKS_SETTLED = "offboard.tasks.settled", Sort::Counter, "{task}", ["kind", "outcome"],
        "Tasks settled, by outcome class.";
    TASKS_FAILED = "offboard.tasks.failed", Sort::Counter, "{task}", ["kind", "rule"],
        "Tasks that were handed to a person, by the rule that did.";
    RETRIES = "offboard.retries", Sort::Counter, "{attempt}", ["kind", "why"],
        "Attempts that another one follows, by fault class, or `unanswered`, `did_not_happen`, `not_begun`.";
    WAITS = "offboard.waits", Sort::Counter, "{attempt}", ["kind", "why"],
        "Attempts that found the vendor still at it (`waiting`), or did a slice of long work (`progress`).";
    LATE_REPORTS = "offboard.reports.late", Sort::Counter, "{report}", ["kind"],
        "Reports of attempts that were over, kept as evidence.";
    TAIL_LOST = "offboard.history.lost", Sort::Counter, "{case}", [],
        "Cases whose ledger turned out to have lost its tail. Each is repaired by reading everything again.";
    EVIDENCE_SEALED = "offboard.evidence.sealed", Sort::Counter, "{envelope}", [],
        "Evidence sealed.";
    ATTEMPTS = "offboard.attempts", Sort::Counter, "{attempt}", ["kind", "vendor", "outcome"],
        "Attempts that a worker made, by what it reported: satisfied, observed, checked, found, progress, wait, not_begun, or a fault class.";
    ATTEMPT_DURATION = "offboard.attempt.duration", Sort::Histogram(QUICK_S), "s", ["kind", "vendor"],
        "How long an attempt took.";
    VENDOR_REQUESTS = "offboard.vendor.requests", Sort::Counter, "{request}", ["vendor", "service", "status"],
        "Requests to a vendor, by service and answer: 2xx, 3xx, 4xx, 429, 5xx, or `not_sent`, `silence`, `too_large`. LDAP and IMAP count as 2xx what was done, as 5xx (IMAP also as 429) a server that is busy, as 4xx any other refusal.";
    VENDOR_REQUEST_DURATION = "offboard.vendor.request.duration", Sort::Histogram(QUICK_S), "s", ["vendor", "service"],
        "How long a vendor took to answer.";
    VENDOR_THROTTLES = "offboard.vendor.throttles", Sort::Counter, "{request}", ["vendor", "service"],
        "Requests that a vendor answered by asking to slow down.";
    QUEUE_IN_FLIGHT = "offboard.queue.in_flight", Sort::Gauge, "{assignment}", ["area", "lane"],
        "Assignments in flight.";
    QUEUE_WAITING = "offboard.queue.waiting", Sort::Gauge, "{case}", ["area", "lane"],
        "Cases that wait for credit of a queue.";
    QUEUE_CREDIT = "offboard.queue.credit", Sort::Gauge, "{assignment}", ["area", "lane"],
        "Most assignments that may be in flight.";
    QUEUE_READY = "offboard.queue.ready", Sort::Gauge, "{message}", ["queue"],
        "Messages that wait in a queue.";
    QUEUE_UNACKNOWLEDGED = "offboard.queue.unacknowledged", Sort::Gauge, "{message}", ["queue"],
        "Messages that were delivered and are not acknowledged, where the queue is in memory: a broker does not tell.";
    SITE_AWAY = "offboard.site.away", Sort::Gauge, "s", ["site", "area"],
        "How long nobody has served an area at a site. Not there where somebody does. Sites beyond the first 256 are shown together as `other`. Engine time.";
    PUBLISH_FAILURES = "offboard.publish.failures", Sort::Counter, "{publication}", ["what"],
        "Publications of `assignments` or `reports` that the queue did not confirm. They are repeated.";
    LEDGER_APPENDS = "offboard.ledger.appends", Sort::Counter, "{append}", ["result"],
        "Appends by result: done, ours (repeated), conflict (lost a race), gap (history lost or changed), claimed, capped, trimmed, failed.";
    LEDGER_APPEND_DURATION = "offboard.ledger.append.duration", Sort::Histogram(APPEND_S), "s", [],
        "How long an append took.";
    TIMERS_OVERDUE = "offboard.timers.overdue", Sort::Gauge, "{case}", [],
        "Cases whose wake-up is due and that have not been woken.";
    TIMERS_LATE = "offboard.timers.late", Sort::Gauge, "s", [],
        "How late the wake-up is that is overdue longest; 0 if none is. Engine time.";
    HEALTH = "offboard.health", Sort::Gauge, "{check}", ["check", "of"],
        "1 if a check of /livez (`of` is alive) or /readyz (`of` is ready) passes, else 0.";
    TELEMETRY_DROPPED = "offboard.telemetry.dropped", Sort::Counter, "{item}", ["signal", "why"],
        "Spans, and readings of metrics, that were lost: queue_full, refused by the collector, too_late.";
}

/// The page about all instruments, in Markdown.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         <!-- written by: offboard metrics -->\n\n\
         Served for Prometheus at `telemetry.listen` (`/metrics`) and sent by OTLP to `telemetry.otlp`; one\n\
         instrumentation, two ways out. Every label has a fixed list of values, but for `tenant`, which is capped\n\
         (`telemetry.tenant_labels`), and for `queue` and `site`, which are those of the configuration and capped, too.\n\
         What they mean for operation stands in [observability.md](observability.md).\n\n\
         | Prometheus | OpenTelemetry | sort | unit | labels | what |\n\
         |---|---|---|---|---|---|\n",
    );
    for i in ALL {
        let sort = match i.sort {
            Sort::Counter => "counter",
            Sort::Gauge => "gauge",
            Sort::Histogram(_) => "histogram",
        };
        let labels: Vec<String> = i.labels.iter().map(|l| format!("`{l}`")).collect();
        page.push_str(&format!(
            "| `{}` | `{}` | {sort} | {} | {} | {} |\n",
            i.prometheus(),
            i.name,
            i.unit.trim_matches(['{', '}']),
            labels.join(", "),
            i.what
        ));
    }
    page
}
