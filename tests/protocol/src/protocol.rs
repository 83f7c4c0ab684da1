//! Who may do what when: the steps of every actor, and the faults.

use crate::Mutation;
use crate::case::{Case, Command, Now, Phase};
use crate::dispatcher::account_of;
use crate::history::{Appended, Cause, Ledger, Order, Place, Report, Said, Task};
use crate::property;
use crate::state::{Broken, Dispatcher, Fault, Message, Stage, State, World};
use stateright::{Model, Property};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many workers there are.
const WORKERS: usize = 2;

/// How often a person orders another try while he cannot see why it failed.
const RETRIES: u8 = 1;

/// The protocol, and what may go wrong.
#[derive(Debug, Clone, Default)]
pub struct Protocol {
    /// The law that is left out.
    pub mutation: Option<Mutation>,
    /// The faults that may happen, as their bits.
    pub faults: u16,
    /// How many of them in one run.
    pub most: u32,
    /// How many records a history may have; what goes further is not looked at.
    pub longest: u8,
    /// How many of its last records the ledger may lose at once.
    pub most_lost: usize,
    /// How the appends went.
    pub appends: Arc<Appends>,
}

/// How often each became of an append, over all runs.
#[derive(Debug, Default)]
pub struct Appends {
    /// Written.
    pub done: AtomicU64,
    /// Stood there already.
    pub ours: AtomicU64,
    /// Somebody was faster.
    pub conflict: AtomicU64,
    /// History was lost.
    pub gap: AtomicU64,
}

impl Appends {
    pub(crate) fn count(&self, appended: Appended) {
        let counter = match appended {
            Appended::Done => &self.done,
            Appended::Ours => &self.ours,
            Appended::Conflict => &self.conflict,
            Appended::Gap => &self.gap,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// One step of one actor. Dispatchers and workers go by their index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A dispatcher takes a report: decides, appends, publishes, acknowledges.
    Take(usize, Report),
    /// A dispatcher publishes what the broker did not take before.
    Publish(usize),
    /// A dispatcher looks at what has become due.
    Tick(usize),
    /// A person orders another try.
    Retry(usize),
    /// A worker takes an order and reads: then it answers, or is about to write.
    Start(Message),
    /// A worker writes.
    Write(usize),
    /// A worker reads once more and answers.
    Answer(usize),
    /// The vendor's reading catches up.
    ReadingCatchesUp,
    /// The closer reads the history, makes its account and puts it into the
    /// evidence store.
    CloserPuts,
    /// The closer records that it is sealed.
    CloserRecords,

    /// [`Fault::DispatcherDies`]: at rest.
    DispatcherDies(usize),
    /// [`Fault::DispatcherDies`]: between append and publication.
    DiesBeforePublishing(usize, Report),
    /// [`Fault::AppendUnanswered`].
    AppendUnanswered(usize, Report),
    /// [`Fault::PublishFails`]: after a report.
    PublishFails(usize, Report),
    /// [`Fault::PublishFails`]: after a look at what is due.
    PublishFailsAtTick(usize),
    /// [`Fault::ShardMoves`].
    ShardMoves(usize),
    /// [`Fault::RunsOutOfTime`].
    RunsOutOfTime(usize),
    /// [`Fault::WorkerDies`]: about to write, or about to answer.
    WorkerDies(usize),
    /// [`Fault::WorkerDies`]: before it acknowledges.
    DiesBeforeAcknowledging(Message),
    /// [`Fault::Duplicates`]: a message in the broker.
    Duplicates(Message),
    /// [`Fault::Duplicates`]: the order that a worker has.
    Redelivers(usize),
    /// [`Fault::BrokerEmptied`].
    BrokerEmptied,
    /// [`Fault::TailLost`]: that many records.
    TailLost(usize),
    /// [`Fault::WriteSwallowed`].
    WriteSwallowed(usize),
    /// [`Fault::ReadingLags`].
    ReadingLags(usize),
    /// [`Fault::Undone`].
    Undone,
    /// [`Fault::CloserDies`].
    CloserDies,
    /// [`Fault::SealUnanswered`].
    SealUnanswered,
}

impl Action {
    fn fault(self) -> Option<Fault> {
        match self {
            Self::DispatcherDies(_) | Self::DiesBeforePublishing(..) => Some(Fault::DispatcherDies),
            Self::AppendUnanswered(..) => Some(Fault::AppendUnanswered),
            Self::PublishFails(..) | Self::PublishFailsAtTick(_) => Some(Fault::PublishFails),
            Self::ShardMoves(_) => Some(Fault::ShardMoves),
            Self::RunsOutOfTime(_) => Some(Fault::RunsOutOfTime),
            Self::WorkerDies(_) | Self::DiesBeforeAcknowledging(_) => Some(Fault::WorkerDies),
            Self::Duplicates(_) | Self::Redelivers(_) => Some(Fault::Duplicates),
            Self::BrokerEmptied => Some(Fault::BrokerEmptied),
            Self::TailLost(_) => Some(Fault::TailLost),
            Self::WriteSwallowed(_) => Some(Fault::WriteSwallowed),
            Self::ReadingLags(_) => Some(Fault::ReadingLags),
            Self::Undone => Some(Fault::Undone),
            Self::CloserDies => Some(Fault::CloserDies),
            Self::SealUnanswered => Some(Fault::SealUnanswered),
            Self::Take(..)
            | Self::Publish(_)
            | Self::Tick(_)
            | Self::Retry(_)
            | Self::Start(_)
            | Self::Write(_)
            | Self::Answer(_)
            | Self::ReadingCatchesUp
            | Self::CloserPuts
            | Self::CloserRecords => None,
        }
    }
}

impl Protocol {
    /// The protocol with these faults, so many in one run.
    #[must_use]
    pub fn new(faults: &[Fault], most: u32) -> Self {
        Self {
            faults: faults.iter().fold(0, |bits, f| bits | *f as u16),
            most,
            longest: u8::MAX,
            most_lost: 1,
            ..Self::default()
        }
    }

    /// The same, with histories of at most so many records.
    #[must_use]
    pub fn up_to(mut self, longest: u8) -> Self {
        self.longest = longest;
        self
    }

    /// The same, with a ledger that may lose so many records at once.
    #[must_use]
    pub fn losing(mut self, most: usize) -> Self {
        self.most_lost = most;
        self
    }

    /// The same without one of its laws.
    #[must_use]
    pub fn without(mut self, law: Mutation) -> Self {
        self.mutation = Some(law);
        self
    }

    pub(crate) fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Whether this fault may happen now.
    fn may(&self, state: &State, fault: Fault) -> bool {
        let bit = fault as u16;
        self.faults & bit != 0 && state.faults & bit == 0 && state.faults.count_ones() < self.most
    }

    /// The steps that are no faults.
    fn steps(&self, s: &State, actions: &mut Vec<Action>) {
        for (d, dispatcher) in s.dispatchers.iter().enumerate() {
            if dispatcher.unpublished.is_some() {
                actions.push(Action::Publish(d));
            }
            actions.extend(reports(s).map(|r| Action::Take(d, r)));
            actions.push(Action::Tick(d));
            if s.retries < RETRIES {
                actions.push(Action::Retry(d));
            }
        }
        if s.workers.len() < WORKERS {
            actions.extend(orders(s).map(Action::Start));
        }
        for (w, worker) in s.workers.iter().enumerate() {
            actions.push(match worker.stage {
                Stage::Read => Action::Write(w),
                Stage::Written => Action::Answer(w),
            });
        }
        if s.world.wipes > 0 && !s.world.wipe_shows {
            actions.push(Action::ReadingCatchesUp);
        }
        actions.push(match s.closer {
            None => Action::CloserPuts,
            Some(_) => Action::CloserRecords,
        });
    }

    fn faults(&self, s: &State, actions: &mut Vec<Action>) {
        for (d, dispatcher) in s.dispatchers.iter().enumerate() {
            if dispatcher.view.is_some() {
                actions.push(Action::DispatcherDies(d));
            } else {
                actions.push(Action::ShardMoves(d));
            }
            actions.extend([Action::RunsOutOfTime(d), Action::PublishFailsAtTick(d)]);
            for report in reports(s) {
                actions.push(Action::AppendUnanswered(d, report));
                actions.push(Action::DiesBeforePublishing(d, report));
                actions.push(Action::PublishFails(d, report));
            }
        }
        actions.extend(orders(s).map(Action::DiesBeforeAcknowledging));
        actions.extend(distinct(&s.queue).map(Action::Duplicates));
        for (w, worker) in s.workers.iter().enumerate() {
            actions.push(Action::WorkerDies(w));
            actions.push(Action::Redelivers(w));
            let writes = worker.stage == Stage::Read && !s.over.contains(&worker.order.place.hash);
            if writes {
                actions.push(Action::WriteSwallowed(w));
                if worker.order.task == Task::Wipe {
                    actions.push(Action::ReadingLags(w));
                }
            }
        }
        if !s.queue.is_empty() {
            actions.push(Action::BrokerEmptied);
        }
        // A case's opening is kept elsewhere too.
        let may_go = self.most_lost.min(s.ledger.records.len() - 1);
        actions.extend((1..=may_go).map(Action::TailLost));
        if s.world.disabled {
            actions.push(Action::Undone);
        }
        if s.closer.is_some() {
            actions.extend([Action::CloserDies, Action::SealUnanswered]);
        }
    }

    fn step(&self, s: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Take(d, report) => {
                self.take(s, d, report);
                self.publish(s, d);
            }
            Action::Publish(d) => self.publish(s, d),
            Action::Tick(d) | Action::RunsOutOfTime(d) => {
                let late = matches!(action, Action::RunsOutOfTime(_));
                let all_over = self.due(s, d, late)?;
                self.transact(s, d, Command::Tick, all_over, true);
                self.publish(s, d);
            }
            Action::Retry(d) => {
                s.dispatchers[d].view.as_ref()?.retriable(self.mutation)?;
                let version = s.ledger.version();
                self.transact(s, d, Command::Retry, false, true);
                s.retries += u8::from(s.ledger.version() > version);
                self.publish(s, d);
            }
            Action::Start(message) => self.start(s, message),
            Action::Write(w) => {
                if s.over.contains(&s.workers[w].order.place.hash) && !self.is(Mutation::WritesAfterItsTime) {
                    s.workers.remove(w);
                } else {
                    self.write(s, w, None);
                }
            }
            Action::Answer(w) => {
                let order = s.workers.remove(w).order;
                let shown = s.world.shows(order.task);
                let said = match order.task {
                    Task::Wipe if !shown => Said::Ordered,
                    Task::Wipe | Task::Disable | Task::Check => Said::Satisfied { shown },
                };
                self.answer(s, order, said);
            }
            Action::ReadingCatchesUp => s.world.wipe_shows = true,
            Action::CloserPuts => {
                let case = Case::of(&s.ledger);
                if case.phase != Phase::Sealing {
                    return None;
                }
                let account = account_of(&s.ledger, &case);
                s.closer = Some(account);
                if !self.is(Mutation::RecordsBeforePut) && !s.evidence.contains(&account) {
                    s.evidence.push(account);
                }
            }
            Action::CloserRecords => {
                let account = s.closer.take()?;
                self.closer_records(s, account);
            }
            Action::DispatcherDies(d) => s.dispatchers[d] = Dispatcher::default(),
            Action::DiesBeforePublishing(d, report) => {
                self.take(s, d, report);
                s.dispatchers[d].unpublished?;
                s.dispatchers[d] = Dispatcher::default();
                s.queue.push(Message::Report(report));
            }
            Action::PublishFails(d, report) => {
                self.take(s, d, report);
                self.publish_later(s, d)?;
                s.queue.push(Message::Report(report));
            }
            Action::PublishFailsAtTick(d) => {
                let all_over = self.due(s, d, false)?;
                self.transact(s, d, Command::Tick, all_over, true);
                self.publish_later(s, d)?;
            }
            Action::AppendUnanswered(d, report) => {
                let before = s.ledger.version();
                self.transact(s, d, Command::RecordReport(report), false, false);
                if s.ledger.version() == before {
                    return None;
                }
            }
            Action::ShardMoves(d) => {
                let (case, left) = self.load(&s.ledger);
                s.dispatchers[d].view = Some(case);
                s.dispatchers[d].unpublished = left;
                self.publish(s, d);
            }
            Action::WorkerDies(w) => {
                let dead = s.workers.remove(w);
                if !dead.acknowledged && !s.over.contains(&dead.order.place.hash) {
                    s.queue.push(redelivery(dead.order));
                }
            }
            Action::DiesBeforeAcknowledging(message) => {
                s.remove(message);
                if let Message::Order { order, .. } = message {
                    s.queue.push(redelivery(order));
                }
            }
            Action::Duplicates(message) => s.queue.push(match message {
                Message::Order { order, .. } => redelivery(order),
                Message::Report(_) => message,
            }),
            Action::Redelivers(w) => {
                let order = s.workers[w].order;
                if s.over.contains(&order.place.hash) {
                    return None;
                }
                s.queue.push(redelivery(order));
            }
            Action::BrokerEmptied => {
                s.queue.clear();
                s.workers.iter_mut().for_each(|w| w.acknowledged = true);
            }
            Action::TailLost(many) => {
                let kept = s.ledger.records.len() - many;
                s.ledger.lost = s.ledger.records.split_off(kept);
            }
            Action::WriteSwallowed(w) => self.write(s, w, Some(Fault::WriteSwallowed)),
            Action::ReadingLags(w) => self.write(s, w, Some(Fault::ReadingLags)),
            Action::Undone => {
                s.world.disabled = false;
                s.world.undone = true;
            }
            Action::CloserDies => s.closer = None,
            Action::SealUnanswered => {
                let account = s.closer?;
                self.closer_records(s, account);
            }
        }
        Some(())
    }

    /// Whether only a fault could change something.
    #[must_use]
    pub fn is_at_rest(&self, state: &State) -> bool {
        let mut actions = Vec::new();
        self.steps(state, &mut actions);
        !actions.into_iter().any(|a| self.next_state(state, a).is_some())
    }
}

fn redelivery(order: Order) -> Message {
    Message::Order {
        order,
        redelivered: true,
    }
}

/// The messages, each once. They are in order, so equal ones stand together.
fn distinct(queue: &[Message]) -> impl Iterator<Item = Message> + '_ {
    queue
        .iter()
        .enumerate()
        .filter(|(at, m)| *at == 0 || queue[at - 1] != **m)
        .map(|(_, m)| *m)
}

fn orders(state: &State) -> impl Iterator<Item = Message> + '_ {
    distinct(&state.queue).filter(|m| matches!(m, Message::Order { .. }))
}

fn reports(state: &State) -> impl Iterator<Item = Report> + '_ {
    distinct(&state.queue).filter_map(|m| match m {
        Message::Report(report) => Some(report),
        Message::Order { .. } => None,
    })
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    /// The case is open, its first task assigned, by one dispatcher.
    fn init_states(&self) -> Vec<State> {
        let mut ledger = Ledger::default();
        let nothing = Case::of(&ledger);
        let now = Now {
            over: &[],
            all_over: false,
        };
        let opened = self.record(&ledger, &nothing, Cause::Opened, Some(now));
        ledger.append(Place { version: 0, hash: 0 }, opened, None);
        let owner = Dispatcher {
            view: Some(Case::of(&ledger)),
            unpublished: opened.assigned.map(|(task, _)| task),
        };
        let state = State {
            ledger,
            dispatchers: [owner, Dispatcher::default()],
            queue: Vec::new(),
            workers: Vec::new(),
            over: Vec::new(),
            world: World::default(),
            closer: None,
            evidence: Vec::new(),
            faults: 0,
            retries: 0,
            broken: Broken::default(),
        };
        vec![state.in_order()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.steps(state, actions);
        let from = actions.len();
        self.faults(state, actions);
        let mut at = 0;
        actions.retain(|a| {
            at += 1;
            at <= from || a.fault().is_some_and(|f| self.may(state, f))
        });
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        self.step(&mut next, action)?;
        if let Some(fault) = action.fault() {
            next.faults |= fault as u16;
        }
        let next = next.in_order();
        (next != *state).then_some(next)
    }

    fn within_boundary(&self, state: &State) -> bool {
        state.ledger.version() <= self.longest
    }

    fn properties(&self) -> Vec<Property<Self>> {
        property::all()
    }
}
