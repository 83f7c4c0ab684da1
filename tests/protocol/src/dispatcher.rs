//! What a dispatcher does: decide on what it holds, append, publish; and what
//! the closer does, which holds nothing.

use crate::case::{Case, Command, Now, Phase, Standing};
use crate::history::{Account, Appended, Cause, Digest, Ledger, Order, Record, Report, Said, Task, Until};
use crate::state::{Dispatcher, Message, State};
use crate::{Mutation, Protocol};

/// What a dispatcher waits for.
enum Wake {
    /// The end of an order that is out.
    Unanswered(Digest),
    /// The end of an order that was answered.
    Rest(Until),
    /// Nothing: it can go on.
    Ready,
}

/// When a case next wants to be looked at.
fn wake(case: &Case, mutation: Option<Mutation>) -> Option<Wake> {
    if let Some(order) = case.orders().next() {
        return Some(Wake::Unanswered(order.place.hash));
    }
    let now = Now {
        over: &[],
        all_over: false,
    };
    if case.ready(now, mutation).is_some() {
        return Some(Wake::Ready);
    }
    if case.phase == Phase::Sealing {
        return Some(Wake::Ready);
    }
    match (case.phase, case.task(Task::Wipe).standing) {
        (Phase::Active, Standing::Open(until @ (Until::Over(_) | Until::AllOver))) => Some(Wake::Rest(until)),
        _ => None,
    }
}

/// Whether an order may be published although it may have been before.
fn republishable(order: &Order) -> bool {
    !order.is_once()
}

impl Protocol {
    /// Reads the case. Nobody here knows what was published of it.
    pub(crate) fn load(&self, ledger: &Ledger) -> (Case, Option<Task>) {
        let case = Case::of(ledger);
        let left = self.left(&case, case.orders().next().map(|o| o.task));
        (case, left)
    }

    /// What of a task that others assigned may be published again.
    pub(crate) fn left(&self, case: &Case, task: Option<Task>) -> Option<Task> {
        let order = task.and_then(|t| case.order(t))?;
        (republishable(&order) || self.is(Mutation::RepublishesOnce)).then_some(order.task)
    }

    /// `transact`: decides on what the dispatcher knows, appends, and decides
    /// again if it lost a race. An unanswered append leaves it where it stood.
    pub(crate) fn transact(&self, s: &mut State, d: usize, command: Command, all_over: bool, answered: bool) {
        let before = s.dispatchers[d].clone();
        let (mut case, mut left) = match before.view.clone() {
            Some(case) => (case, before.unpublished),
            None => self.load(&s.ledger),
        };
        loop {
            let over = s.over.clone();
            let now = Now { over: &over, all_over };
            let Some(cause) = case.decide(command, now, self.mutation) else {
                // What waits for the closer appends nothing: it looks whether
                // it still stands on the history.
                if case.phase == Phase::Sealing && !self.is(Mutation::SealingNeverLooks) && !s.ledger.holds(case.at) {
                    (case, left) = self.note_loss(s, &case);
                    continue;
                }
                break;
            };
            let record = self.record(&s.ledger, &case, cause, Some(now));
            let at = case.at;
            let appended = s.ledger.append(at, record, self.mutation);
            self.appends.count(appended);
            let known = left.and_then(|t| case.order(t));
            match appended {
                Appended::Done => {
                    case.fold(&record);
                    left = record.assigned.map(|(task, _)| task).or(left);
                    break;
                }
                Appended::Ours => {
                    left = self.caught_up(&mut case, left, known, &[record]);
                    break;
                }
                Appended::Conflict => {
                    let missed = s.ledger.records[usize::from(at.version)..].to_vec();
                    left = self.caught_up(&mut case, left, known, &missed);
                }
                Appended::Gap => (case, left) = self.note_loss(s, &case),
            }
        }
        if answered {
            // What is over is not kept in memory.
            let open = case.phase != Phase::Closed;
            let left = left.filter(|t| case.order(*t).is_some());
            s.dispatchers[d].unpublished = left.filter(|_| open);
            s.dispatchers[d].view = open.then_some(case);
        }
    }

    /// Takes up what others may have appended, and returns what is to be
    /// published then. What was left and is another order by now, others may
    /// have published.
    fn caught_up(&self, case: &mut Case, left: Option<Task>, known: Option<Order>, missed: &[Record]) -> Option<Task> {
        missed.iter().for_each(|r| case.fold(r));
        let same = known == left.and_then(|t| case.order(t));
        let left = match same || self.is(Mutation::PublishesWhatOthersOrdered) {
            true => left,
            false => self.left(case, left),
        };
        let assigned = missed.iter().rev().filter_map(|r| r.assigned);
        let mut new = assigned.filter_map(|(task, _)| self.left(case, Some(task)));
        new.next().or(left)
    }

    /// Whoever stood further than the ledger does writes it down, unless
    /// somebody has, and reads the case anew.
    pub(crate) fn note_loss(&self, s: &mut State, known: &Case) -> (Case, Option<Task>) {
        let (mut case, mut left) = self.load(&s.ledger);
        let news = match self.is(Mutation::LossByVersionAlone) {
            true => known.at.version > case.at.version,
            false => known.losses == case.losses,
        };
        if news && case.phase != Phase::Closed {
            let loss = self.record(&s.ledger, &case, Cause::TailLost(None), None);
            s.ledger.append(case.at, loss, self.mutation);
            case.fold(&loss);
            left = None;
        }
        s.broken.loss_hidden |= case.phase != Phase::Closed && !s.ledger.loss_is_noted();
        (case, left)
    }

    /// The record of what happened to a case, with what is assigned for it.
    pub(crate) fn record(&self, ledger: &Ledger, case: &Case, cause: Cause, now: Option<Now<'_>>) -> Record {
        let bare = Record::chained(case.at.hash, ledger.era(), cause, None);
        let mut after = case.clone();
        after.fold(&bare);
        let assigned = now.and_then(|now| after.ready(now, self.mutation));
        Record::chained(case.at.hash, ledger.era(), cause, assigned)
    }

    pub(crate) fn take(&self, s: &mut State, d: usize, report: Report) {
        s.remove(Message::Report(report));
        let truth = Case::of(&s.ledger);
        let proves_a_loss = truth.is_behind(&report) && !s.ledger.loss_is_noted() && truth.phase != Phase::Closed;
        self.transact(s, d, Command::RecordReport(report), false, true);
        // Who himself stands on lost history learns of it at his next append.
        let stands = s.dispatchers[d].view.as_ref().is_some_and(|v| s.ledger.holds(v.at));
        s.broken.loss_overlooked |= proves_a_loss && stands && !s.ledger.loss_is_noted();
    }

    pub(crate) fn publish(&self, s: &mut State, d: usize) {
        let Dispatcher { view, unpublished } = &mut s.dispatchers[d];
        let order = unpublished.take().and_then(|t| view.as_ref()?.order(t));
        // What is over expires on its way.
        if let Some(order) = order.filter(|o| !s.over.contains(&o.place.hash)) {
            let redelivered = false;
            s.queue.push(Message::Order { order, redelivered });
        }
    }

    /// What may have been published is kept only if it may be once more.
    pub(crate) fn publish_later(&self, s: &mut State, d: usize) -> Option<()> {
        let Dispatcher { view, unpublished } = &mut s.dispatchers[d];
        unpublished.as_ref()?;
        *unpublished = view.as_ref().and_then(|case| self.left(case, *unpublished));
        Some(())
    }

    /// Whether something is due, and then what became of time: whether that of
    /// every once-only order has run out. It is late if what is waited for is
    /// under way, in the dispatcher's history or in one that has gone on.
    pub(crate) fn due(&self, s: &mut State, d: usize, late: bool) -> Option<bool> {
        let truth = Case::of(&s.ledger);
        let case = s.dispatchers[d].view.as_ref().unwrap_or(&truth);
        let went_on = case.at != truth.at && s.ledger.holds(case.at);
        let elsewhere = went_on && truth.orders().any(|o| s.is_live(o.place.hash));
        let wake = wake(case, self.mutation)?;
        let under_way = match wake {
            Wake::Unanswered(order) => elsewhere || s.is_live(order),
            Wake::Rest(_) | Wake::Ready => elsewhere,
        };
        if under_way != late {
            return None;
        }
        match wake {
            Wake::Unanswered(order) | Wake::Rest(Until::Over(order)) => s.run_out(order),
            Wake::Rest(_) => s.run_out_all_once(),
            Wake::Ready => {}
        }
        Some(matches!(wake, Wake::Rest(Until::AllOver)))
    }

    pub(crate) fn closer_records(&self, s: &mut State, account: Account) {
        let case = Case::of(&s.ledger);
        let now = Now {
            over: &[],
            all_over: false,
        };
        if let Some(cause) = case.decide(Command::RecordSealed(account), now, self.mutation) {
            let record = self.record(&s.ledger, &case, cause, None);
            s.ledger.append(case.at, record, self.mutation);
        }
    }
}

/// The account of a history.
pub(crate) fn account_of(ledger: &Ledger, case: &Case) -> Account {
    let proof = ledger.records.iter().rev().find_map(|r| match r.cause {
        Cause::Answered(
            Report {
                said: Said::Checked(reading),
                ..
            },
            _,
        ) => Some(reading),
        _ => None,
    });
    Account { upto: case.at, proof }
}
