//! What is written: records in a chain, and the ledger that keeps them.
//!
//! One append is one record here. A record names the hash that it follows, and
//! its own hash stands for everything before it.

use crate::Mutation;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The hash of a record: of all history up to it.
pub type Digest = u64;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    /// Convergent: disable the sign-in.
    Disable,
    /// Once, and only after the sign-in is proven disabled: wipe the device.
    Wipe,
    /// The closing round's reading.
    Check,
}

/// Whether an order lets its worker write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// It may.
    Full,
    /// It may only read.
    ObserveOnly,
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Its version, from 1.
    pub version: u8,
    /// Its hash.
    pub hash: Digest,
}

/// An assignment as it travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Order {
    /// What is to be done.
    pub task: Task,
    /// In which closing round; 0 outside of one.
    pub round: u8,
    /// The number of the try.
    pub attempt: u8,
    /// Whether it may write.
    pub mode: Mode,
    /// The record that ordered it.
    pub place: Place,
}

impl Order {
    /// Whether it orders what must not happen twice.
    #[must_use]
    pub fn is_once(&self) -> bool {
        self.task == Task::Wipe && self.mode == Mode::Full
    }
}

/// What the closing round read, and when: counted in changes of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reading {
    /// Whether the sign-in was disabled.
    pub disabled: bool,
    /// How many of our writes had changed something by then.
    pub writes: u8,
    /// Whether a stranger had undone one by then.
    pub undone: bool,
}

/// What a worker answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Said {
    /// It claims to be done; `shown` is what its last reading shows.
    Satisfied {
        /// Whether the wanted state was read.
        shown: bool,
    },
    /// A once-only act was ordered, and the reading does not show it yet.
    Ordered,
    /// Only read: the act happened.
    Happened,
    /// Only read: the act did not happen, for certain.
    DidNotHappen,
    /// Only read: it cannot be told.
    Inconclusive,
    /// A once-only order that came again, and was not begun.
    DeliveredBefore,
    /// The closing round's reading.
    Checked(Reading),
}

/// A worker's answer to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Report {
    /// What it answers.
    pub order: Order,
    /// What it says.
    pub said: Said,
    /// How many losses were on the record when it was written: the model's
    /// wall clock, as far as `tail_lost_at` needs one.
    pub losses: u8,
}

/// Until when a task rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Until {
    /// It does not.
    Now,
    /// Until this order's time is over.
    Over(Digest),
    /// Until the time of every once-only order so far, known or not, is over.
    AllOver,
}

/// What an attempt's end means for its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Proven.
    Settled,
    /// It is tried again.
    Rested {
        /// Not before then.
        until: Until,
        /// Reading first.
        observe_first: bool,
        /// Whether it cost one of the attempts.
        spent: bool,
    },
    /// A person is needed.
    Failed {
        /// What is ordered next reads first.
        observe_first: bool,
    },
    /// The closing round has read.
    Checked {
        /// Whether something differs.
        differs: bool,
    },
}

/// The account that the closer makes of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    /// The last record that it tells of.
    pub upto: Place,
    /// The reading that it shows as proof.
    pub proof: Option<Reading>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The case was opened.
    Opened,
    /// An attempt was answered.
    Answered(Report, Outcome),
    /// An attempt was not answered in time.
    RanOut(Task, Outcome),
    /// It was time to look; only the assignment follows.
    Woke,
    /// Kept, and changes no outcome.
    Late(Report),
    /// The ledger's tail was lost; noticed by this report, if by one.
    TailLost(Option<Report>),
    /// A person ordered another try, not before then.
    Retry(Task, Until),
    /// Sealed.
    Closed(Account),
}

/// One append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record {
    /// The hash that it follows.
    pub prev: Digest,
    /// Its own.
    pub hash: Digest,
    /// What happened.
    pub cause: Cause,
    /// What was assigned with it.
    pub assigned: Option<(Task, Mode)>,
}

impl Record {
    /// A record in the chain. `era` stands for its time: what is written after
    /// a loss is never the same as what was lost.
    #[must_use]
    pub fn chained(prev: Digest, era: u8, cause: Cause, assigned: Option<(Task, Mode)>) -> Self {
        let mut hasher = DefaultHasher::new();
        (prev, era, cause, assigned).hash(&mut hasher);
        Self {
            prev,
            hash: hasher.finish(),
            cause,
            assigned,
        }
    }
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// Written.
    Done,
    /// It stands there already.
    Ours,
    /// Somebody was faster.
    Conflict,
    /// What it would follow is not there.
    Gap,
}

/// The ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ledger {
    /// The case's records.
    pub records: Vec<Record>,
    /// What was lost, for the properties only: no actor looks at it.
    pub lost: Vec<Record>,
}

impl Ledger {
    /// The version of the last record.
    #[must_use]
    pub fn version(&self) -> u8 {
        u8::try_from(self.records.len()).expect("a bounded history")
    }

    /// The hash at a version.
    #[must_use]
    pub fn hash_at(&self, version: u8) -> Option<Digest> {
        match version.checked_sub(1) {
            None => Some(0),
            Some(at) => self.records.get(usize::from(at)).map(|r| r.hash),
        }
    }

    /// Whether this record is part of the history.
    #[must_use]
    pub fn holds(&self, place: Place) -> bool {
        self.hash_at(place.version) == Some(place.hash)
    }

    /// Whether somebody wrote down that history was lost.
    #[must_use]
    pub fn loss_is_noted(&self) -> bool {
        self.losses() > 0
    }

    /// How often that was written down.
    #[must_use]
    pub fn losses(&self) -> u8 {
        let noted = self.records.iter().filter(|r| matches!(r.cause, Cause::TailLost(_)));
        u8::try_from(noted.count()).expect("a bounded history")
    }

    /// 0 before the tail was lost, 1 after.
    #[must_use]
    pub fn era(&self) -> u8 {
        u8::from(!self.lost.is_empty())
    }

    /// Appends after `expected`, if the writer's place is right: by version
    /// *and* hash.
    pub fn append(&mut self, expected: Place, record: Record, mutation: Option<Mutation>) -> Appended {
        let last = self.version();
        if last > expected.version && self.hash_at(expected.version + 1) == Some(record.hash) {
            return Appended::Ours;
        }
        let follows = match mutation {
            Some(Mutation::AppendIgnoresPrevHash | Mutation::LastWriterWins) => expected.version <= last,
            _ => self.holds(expected),
        };
        if !follows {
            return Appended::Gap;
        }
        if last > expected.version {
            if mutation != Some(Mutation::LastWriterWins) {
                return Appended::Conflict;
            }
            self.records.truncate(usize::from(expected.version));
        }
        self.records.push(record);
        Appended::Done
    }
}
