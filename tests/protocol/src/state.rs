//! All that there is at one moment.

use crate::case::Case;
use crate::history::{Account, Digest, Ledger, Mode, Order, Reading, Report, Task};

/// What goes wrong. Each happens at most once in a run, and a run has only so
/// many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Fault {
    /// A dispatcher dies, at rest or between append and publication; the report
    /// that it had in hand comes again.
    DispatcherDies = 1,
    /// An append is written, and its answer is lost.
    AppendUnanswered = 1 << 1,
    /// A dispatcher takes up the case and publishes what it may.
    ShardMoves = 1 << 2,
    /// An assignment's time runs out while it is still on its way.
    RunsOutOfTime = 1 << 3,
    /// A worker dies; what it had not acknowledged comes again.
    WorkerDies = 1 << 4,
    /// A message comes twice; a second order says so.
    Duplicates = 1 << 5,
    /// The broker loses all that it holds.
    BrokerEmptied = 1 << 6,
    /// The ledger loses its last records.
    TailLost = 1 << 7,
    /// The vendor says yes to a write, and does nothing.
    WriteSwallowed = 1 << 8,
    /// The vendor's reading does not show the wipe yet.
    ReadingLags = 1 << 9,
    /// A stranger enables the sign-in again.
    Undone = 1 << 10,
    /// The closer dies.
    CloserDies = 1 << 11,
    /// The closing is recorded, and the closer does not learn of it.
    SealUnanswered = 1 << 12,
    /// The broker does not take what a dispatcher publishes; it goes on and
    /// tries again.
    PublishFails = 1 << 13,
}

/// All of them.
pub const FAULTS: [Fault; 14] = [
    Fault::DispatcherDies,
    Fault::AppendUnanswered,
    Fault::ShardMoves,
    Fault::RunsOutOfTime,
    Fault::WorkerDies,
    Fault::Duplicates,
    Fault::BrokerEmptied,
    Fault::TailLost,
    Fault::WriteSwallowed,
    Fault::ReadingLags,
    Fault::Undone,
    Fault::CloserDies,
    Fault::SealUnanswered,
    Fault::PublishFails,
];

/// A message in the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message {
    /// To a worker.
    Order {
        /// What is ordered.
        order: Order,
        /// It may have been delivered before.
        redelivered: bool,
    },
    /// To the dispatchers.
    Report(Report),
}

/// A dispatcher.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dispatcher {
    /// The case as it last knew it.
    pub view: Option<Case>,
    /// Assigned, and the broker has not taken it yet.
    pub unpublished: Option<Task>,
}

/// How far a worker has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// It has read that there is something to do, and is about to write.
    Read,
    /// It has written.
    Written,
}

/// A worker that is at an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Worker {
    /// Which.
    pub order: Order,
    /// Whether the broker has forgotten it.
    pub acknowledged: bool,
    /// How far it has come.
    pub stage: Stage,
}

/// The outside world.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct World {
    /// The sign-in is disabled.
    pub disabled: bool,
    /// How many of our writes changed that.
    pub writes: u8,
    /// A stranger has undone one.
    pub undone: bool,
    /// How often the device was wiped.
    pub wipes: u8,
    /// A reading shows it.
    pub wipe_shows: bool,
    /// The sign-in was once read to be disabled.
    pub proven: bool,
}

impl World {
    /// What a reading of the closing round shows.
    #[must_use]
    pub fn reading(&self) -> Reading {
        Reading {
            disabled: self.disabled,
            writes: self.writes,
            undone: self.undone,
        }
    }

    /// Whether a reading shows what is wanted.
    #[must_use]
    pub fn shows(&self, task: Task) -> bool {
        match task {
            Task::Disable => self.disabled,
            Task::Wipe => self.wipes > 0 && self.wipe_shows,
            Task::Check => true,
        }
    }
}

/// What must never be, where a state alone does not show it any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Broken {
    /// The device was wiped before the sign-in was read to be disabled.
    pub order: bool,
    /// A report from ahead of the ledger went by and no loss was noted.
    pub loss_overlooked: bool,
    /// Who stood on lost history went on and no loss was noted.
    pub loss_hidden: bool,
}

/// All that there is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State {
    /// The ledger.
    pub ledger: Ledger,
    /// The dispatchers, in no order.
    pub dispatchers: [Dispatcher; 2],
    /// The broker's messages, in no order.
    pub queue: Vec<Message>,
    /// The workers at work, in no order.
    pub workers: Vec<Worker>,
    /// Orders whose time has run out.
    pub over: Vec<Digest>,
    /// The outside world.
    pub world: World,
    /// The account that the closer is about to record.
    pub closer: Option<Account>,
    /// The accounts in the evidence store.
    pub evidence: Vec<Account>,
    /// The faults so far.
    pub faults: u16,
    /// How often a person ordered another try.
    pub retries: u8,
    /// What must never be.
    pub broken: Broken,
}

impl State {
    /// Whether this fault has happened.
    #[must_use]
    pub fn had(&self, fault: Fault) -> bool {
        self.faults & fault as u16 != 0
    }

    /// Whether an order may still be carried out or answered.
    #[must_use]
    pub fn is_live(&self, order: Digest) -> bool {
        let is = |o: &Order| o.place.hash == order;
        let unpublished = self.dispatchers.iter().any(|d| {
            let task = d.unpublished.and_then(|t| d.view.as_ref()?.order(t));
            task.is_some_and(|o| is(&o))
        });
        let travels = self.queue.iter().any(|m| match m {
            Message::Order { order, .. } => is(order),
            Message::Report(report) => is(&report.order),
        });
        unpublished || travels || self.workers.iter().any(|w| is(&w.order))
    }

    /// This order's time runs out: what was not taken expires, and whoever has
    /// it writes no more.
    pub fn run_out(&mut self, order: Digest) {
        if !self.over.contains(&order) {
            self.over.push(order);
        }
        self.queue
            .retain(|m| !matches!(m, Message::Order { order: o, .. } if o.place.hash == order));
    }

    /// The time of every once-only order so far runs out.
    pub fn run_out_all_once(&mut self) {
        let records = self.ledger.records.iter().chain(&self.ledger.lost);
        let once: Vec<Digest> = records
            .filter(|r| r.assigned == Some((Task::Wipe, Mode::Full)))
            .map(|r| r.hash)
            .collect();
        once.into_iter().for_each(|o| self.run_out(o));
    }

    /// What differs only in order is the same.
    pub fn in_order(mut self) -> Self {
        self.dispatchers.sort_unstable();
        self.queue.sort_unstable();
        self.workers.sort_unstable();
        self.over.sort_unstable();
        self.evidence.sort_unstable();
        self
    }
    /// A message leaves the broker.
    pub fn remove(&mut self, message: Message) {
        if let Some(at) = self.queue.iter().position(|m| *m == message) {
            self.queue.remove(at);
        }
    }
}
