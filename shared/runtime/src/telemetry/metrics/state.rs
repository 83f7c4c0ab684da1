//! Where things stand now: what the gauges show.
//!
//! It is looked at every few seconds by whoever holds it, and kept here for
//! whoever reads metrics; so a reader, however often he comes, costs the engine
//! nothing.

use super::instruments::{self as i, Instrument};
use crate::health;
use crate::telemetry::export::Lost;
use offboard_domain::{Area, Lane};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// What the others are counted as when there are more tenants than may be named.
const OTHER: &str = "other";
/// Most queues of sites that are shown one by one; beyond it none is. The
/// installation's own are as many as its areas and shards, and are always shown.
const SITE_QUEUES_MAX: usize = 256;
/// Most areas of sites that are shown as away one by one.
const SITES_AWAY_MAX: usize = 256;

/// Where things stand.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// Admission: queue, in flight, waiting, credit.
    pub lanes: Vec<(Area, Lane, u64, u64, u64)>,
    /// Queue: name, ready, and unacknowledged where the broker tells.
    pub depths: Vec<(String, u64, Option<u64>)>,
    /// The same of the queues of sites, however many there are.
    pub site_depths: Vec<(String, u64, Option<u64>)>,
    /// Open cases by tenant and state.
    pub cases: BTreeMap<(String, &'static str), u64>,
    /// Open cases that need a person, by tenant.
    pub need_person: BTreeMap<String, u64>,
    /// How long the oldest has waited, in seconds, by what for.
    pub oldest_waiting_s: BTreeMap<&'static str, f64>,
    /// How long access has been open past its time in the case in which it has been so
    /// longest, in seconds, by tenant and manner.
    pub access_open_s: BTreeMap<(String, &'static str), f64>,
    /// How long sites have been away, in seconds, by site and area.
    pub sites_away_s: BTreeMap<(String, Area), f64>,
    /// Wake-ups that are overdue.
    pub timers_overdue: u64,
    /// How late the latest is, in seconds.
    pub timers_late_s: f64,
}

/// The tenants that are named, in the order in which they came.
#[derive(Debug)]
pub(super) struct Tenants {
    most: usize,
    named: BTreeSet<String>,
}

impl Tenants {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            named: BTreeSet::new(),
        }
    }

    /// The tenant's label.
    fn label(&mut self, tenant: &str) -> String {
        if self.named.contains(tenant) {
            return tenant.to_owned();
        }
        if self.named.len() < self.most {
            self.named.insert(tenant.to_owned());
            return tenant.to_owned();
        }
        OTHER.to_owned()
    }

    /// Counts by label what is counted by tenant.
    pub(super) fn cap(&mut self, state: State) -> State {
        let mut capped = State {
            cases: BTreeMap::new(),
            need_person: BTreeMap::new(),
            access_open_s: BTreeMap::new(),
            sites_away_s: BTreeMap::new(),
            ..state
        };
        for ((tenant, word), n) in state.cases {
            *capped.cases.entry((self.label(&tenant), word)).or_default() += n;
        }
        for (tenant, n) in state.need_person {
            *capped.need_person.entry(self.label(&tenant)).or_default() += n;
        }
        for ((tenant, manner), s) in state.access_open_s {
            longest(&mut capped.access_open_s, (self.label(&tenant), manner), s);
        }
        for (n, ((site, area), s)) in state.sites_away_s.into_iter().enumerate() {
            let site = if n < SITES_AWAY_MAX { site } else { OTHER.to_owned() };
            longest(&mut capped.sites_away_s, (site, area), s);
        }
        capped.site_depths.truncate(SITE_QUEUES_MAX);
        capped
    }
}

/// Keeps the longest time of each.
fn longest<K: Ord>(times_s: &mut BTreeMap<K, f64>, of: K, s: f64) {
    let known = times_s.entry(of).or_default();
    *known = known.max(s);
}

pub(super) type Kept = Arc<Mutex<State>>;

/// Lets the meter read what is kept.
pub(super) fn observe(meter: &Meter, kept: &Kept, lost: &Arc<Lost>) {
    let on = |instrument: Instrument, read: fn(&State, &dyn AsyncInstrument<u64>)| {
        let kept = kept.clone();
        meter
            .u64_observable_gauge(instrument.name)
            .with_unit(instrument.unit)
            .with_description(instrument.what)
            .with_callback(move |out| read(&kept.lock().unwrap_or_else(PoisonError::into_inner), out))
            .build();
    };
    let seconds = |instrument: Instrument, read: fn(&State, &dyn AsyncInstrument<f64>)| {
        let kept = kept.clone();
        meter
            .f64_observable_gauge(instrument.name)
            .with_unit(instrument.unit)
            .with_description(instrument.what)
            .with_callback(move |out| read(&kept.lock().unwrap_or_else(PoisonError::into_inner), out))
            .build();
    };
    on(i::CASES, |s, out| {
        for ((tenant, state), n) in &s.cases {
            out.observe(
                *n,
                &[KeyValue::new("tenant", tenant.clone()), KeyValue::new("state", *state)],
            );
        }
    });
    on(i::CASES_NEED_PERSON, |s, out| {
        for (tenant, n) in &s.need_person {
            out.observe(*n, &[KeyValue::new("tenant", tenant.clone())]);
        }
    });
    seconds(i::OLDEST_WAITING, |s, out| {
        for (what, age) in &s.oldest_waiting_s {
            out.observe(*age, &[KeyValue::new("for", *what)]);
        }
    });
    seconds(i::ACCESS_OPEN, |s, out| {
        for ((tenant, manner), age) in &s.access_open_s {
            let labels = [
                KeyValue::new("tenant", tenant.clone()),
                KeyValue::new("manner", *manner),
            ];
            out.observe(*age, &labels);
        }
    });
    seconds(i::SITE_AWAY, |s, out| {
        for ((site, area), age) in &s.sites_away_s {
            let labels = [KeyValue::new("site", site.clone()), KeyValue::new("area", area.word())];
            out.observe(*age, &labels);
        }
    });
    on(i::QUEUE_IN_FLIGHT, |s, out| {
        for (area, lane, n, ..) in &s.lanes {
            out.observe(*n, &of_lane(*area, *lane));
        }
    });
    on(i::QUEUE_WAITING, |s, out| {
        for (area, lane, _, n, _) in &s.lanes {
            out.observe(*n, &of_lane(*area, *lane));
        }
    });
    on(i::QUEUE_CREDIT, |s, out| {
        for (area, lane, .., n) in &s.lanes {
            out.observe(*n, &of_lane(*area, *lane));
        }
    });
    on(i::QUEUE_READY, |s, out| {
        for (queue, n, _) in s.depths.iter().chain(&s.site_depths) {
            out.observe(*n, &[KeyValue::new("queue", queue.clone())]);
        }
    });
    on(i::QUEUE_UNACKNOWLEDGED, |s, out| {
        let all = s.depths.iter().chain(&s.site_depths);
        for (queue, n) in all.filter_map(|(q, _, n)| n.as_ref().map(|n| (q, n))) {
            out.observe(*n, &[KeyValue::new("queue", queue.clone())]);
        }
    });
    on(i::TIMERS_OVERDUE, |s, out| out.observe(s.timers_overdue, &[]));
    seconds(i::TIMERS_LATE, |s, out| out.observe(s.timers_late_s, &[]));
    on(i::HEALTH, |_, out| {
        for (of, report) in [("alive", health::alive()), ("ready", health::ready())] {
            for (check, state) in report.checks {
                let labels = [KeyValue::new("check", check.into_owned()), KeyValue::new("of", of)];
                out.observe(u64::from(state.is_ok()), &labels);
            }
        }
    });
    let lost = lost.clone();
    meter
        .u64_observable_counter(i::TELEMETRY_DROPPED.name)
        .with_unit(i::TELEMETRY_DROPPED.unit)
        .with_description(i::TELEMETRY_DROPPED.what)
        .with_callback(move |out| {
            for (signal, why, n) in lost.all() {
                out.observe(n, &[KeyValue::new("signal", signal), KeyValue::new("why", why)]);
            }
        })
        .build();
}

fn of_lane(area: Area, lane: Lane) -> [KeyValue; 2] {
    [KeyValue::new("area", area.word()), KeyValue::new("lane", lane.word())]
}
