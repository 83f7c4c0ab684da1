//! The faults of the seams, drawn from the seed, and death at the n-th await.
//!
//! Every call through a wrapped seam first asks here what becomes of it. A
//! doomed process dies inside such a call: the call never returns, and the
//! simulation, which waits for that, drops all that the process was.

use crate::rng::Rng;
use crate::transcript::Transcript;
use offboard_domain::Timestamp;
use offboard_runtime::Clock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How long a call waits for an answer that does not come.
const CUT_OFF_AFTER: Duration = Duration::from_secs(1);

/// How often each fault of the seams comes, in permille of calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rates {
    /// A call fails and nothing was done.
    pub(crate) fails_before: u32,
    /// A call fails although it was done.
    pub(crate) fails_after: u32,
    /// A call takes a while.
    pub(crate) delayed: u32,
    /// A message comes more than once.
    pub(crate) duplicated: u32,
    /// How often it then comes: no rate, but a number.
    pub(crate) copies: u32,
    /// A message comes late, after others.
    pub(crate) late: u32,
    /// How late it then is at most: no rate, but milliseconds.
    pub(crate) late_ms: i64,
    /// A subscription ends.
    pub(crate) severed: u32,
}

impl Rates {
    /// No fault at all.
    pub(crate) const NONE: Self = Self {
        fails_before: 0,
        fails_after: 0,
        delayed: 0,
        duplicated: 0,
        copies: 2,
        late: 0,
        late_ms: 90_000,
        severed: 0,
    };
}

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is answered.
    Answered,
    /// It fails before anything was done.
    FailsBefore,
    /// It is done and fails.
    FailsAfter,
    /// The process dies before anything was done.
    DiesBefore,
    /// It is done and the process dies.
    DiesAfter,
}

/// One process's fortune. A process that starts again gets a new one.
pub(crate) struct Trouble {
    name: &'static str,
    clock: Arc<dyn Clock>,
    transcript: Arc<Transcript>,
    rng: Mutex<Rng>,
    rates: Rates,
    calm: Arc<AtomicBool>,
    /// Calls until it dies; zero: never.
    dies_in: AtomicU64,
    /// From when to when nothing that it calls is reached.
    cut_off: Option<(Timestamp, Timestamp)>,
    died: Notify,
}

/// What a process's fortune is made of.
pub(crate) struct Fortune {
    pub(crate) name: &'static str,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) transcript: Arc<Transcript>,
    pub(crate) rng: Rng,
    pub(crate) rates: Rates,
    pub(crate) calm: Arc<AtomicBool>,
    pub(crate) dies_in: u64,
    pub(crate) cut_off: Option<(Timestamp, Timestamp)>,
}

impl Trouble {
    pub(crate) fn new(fortune: Fortune) -> Arc<Self> {
        let Fortune {
            name,
            clock,
            transcript,
            rng,
            rates,
            calm,
            dies_in,
            cut_off,
        } = fortune;
        Arc::new(Self {
            name,
            clock,
            transcript,
            rng: Mutex::new(rng),
            rates,
            calm,
            dies_in: AtomicU64::new(dies_in),
            cut_off,
            died: Notify::new(),
        })
    }

    fn rng(&self) -> MutexGuard<'_, Rng> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rates(&self) -> Rates {
        if self.calm.load(Ordering::Relaxed) {
            Rates::NONE
        } else {
            self.rates
        }
    }

    /// The process's name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Notes something in the transcript.
    pub(crate) fn note(&self, text: &str) {
        self.transcript.line(self.now(), &format!("{}: {text}", self.name));
    }

    /// Lets others run, perhaps for a while, and says what becomes of a call.
    pub(crate) async fn meet(&self, call: &str) -> Fate {
        tokio::task::yield_now().await;
        let rates = self.rates();
        let delay_ms = {
            let mut rng = self.rng();
            if rng.happens(rates.delayed) {
                rng.between(1, 4_000).unsigned_abs()
            } else {
                0
            }
        };
        if delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        }
        if self.is_cut_off() {
            // Nobody learns at once that nobody answers.
            tokio::time::sleep(CUT_OFF_AFTER).await;
            return Fate::FailsBefore;
        }
        let fate = self.fate(rates);
        if fate != Fate::Answered {
            self.note(&format!("{call} {fate:?}"));
        }
        fate
    }

    fn is_cut_off(&self) -> bool {
        let now = self.now();
        let during = |(from, until)| from <= now && now < until;
        !self.calm.load(Ordering::Relaxed) && self.cut_off.is_some_and(during)
    }

    /// The same for a call whose faults are decided elsewhere: only whether
    /// the process dies in it.
    pub(crate) async fn meet_death(&self) -> Fate {
        tokio::task::yield_now().await;
        let fate = self.fate(Rates::NONE);
        if fate != Fate::Answered {
            self.note(&format!("calling the vendor {fate:?}"));
        }
        fate
    }

    fn fate(&self, rates: Rates) -> Fate {
        let mut rng = self.rng();
        if self.dies_in.load(Ordering::Relaxed) > 0 && self.dies_in.fetch_sub(1, Ordering::Relaxed) == 1 {
            return if rng.happens(500) {
                Fate::DiesBefore
            } else {
                Fate::DiesAfter
            };
        }
        if rng.happens(rates.fails_before) {
            Fate::FailsBefore
        } else if rng.happens(rates.fails_after) {
            Fate::FailsAfter
        } else {
            Fate::Answered
        }
    }

    /// The call never returns, and the process is dropped.
    pub(crate) async fn die(&self) -> ! {
        self.died.notify_one();
        loop {
            std::future::pending::<()>().await;
        }
    }

    /// Returns when the process has died.
    pub(crate) async fn death(&self) {
        self.died.notified().await;
    }

    /// How often a message comes.
    pub(crate) fn copies(&self) -> u32 {
        let rates = self.rates();
        if self.rng().happens(rates.duplicated) {
            rates.copies
        } else {
            1
        }
    }

    /// How late a message comes, if it does.
    pub(crate) fn lateness(&self) -> Option<Duration> {
        let rates = self.rates();
        let mut rng = self.rng();
        rng.happens(rates.late)
            .then(|| Duration::from_millis(rng.between(1, rates.late_ms).unsigned_abs()))
    }

    pub(crate) fn severs(&self) -> bool {
        let rates = self.rates();
        self.rng().happens(rates.severed)
    }
}
