//! The dispatcher's mind: `fold`, and `decide` in the small.

use crate::Mutation;
use crate::history::{Account, Cause, Digest, Ledger, Mode, Order, Outcome, Place, Record, Report, Said, Task, Until};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Attempts that may go unanswered before a person is asked.
pub const ATTEMPTS: u8 = 2;

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// To be assigned, not before then.
    Open(Until),
    /// With a worker.
    Assigned(Mode),
    /// A person is needed.
    Failed,
    /// Proven.
    Settled,
}

/// A task as history made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Progress {
    /// Where it stands.
    pub standing: Standing,
    /// The last attempt.
    pub attempt: u8,
    /// The record that ordered it.
    pub ordered_by: Option<Place>,
    /// What is assigned next only reads.
    pub observe_first: bool,
    /// A report on an earlier attempt has come since the present one was assigned.
    pub told_late: bool,
    /// Attempts that went unanswered.
    pub spent: u8,
    /// The last answer.
    pub last_report: Option<Digest>,
}

const NEW: Progress = Progress {
    standing: Standing::Open(Until::Now),
    attempt: 0,
    ordered_by: None,
    observe_first: false,
    told_late: false,
    spent: 0,
    last_report: None,
};

/// Where a case stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Under way.
    Active,
    /// Read once more.
    Closing,
    /// The closer may seal.
    Sealing,
    /// Sealed.
    Closed,
}

/// A case as its records made it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Case {
    /// Its last record.
    pub at: Place,
    /// Its last record that is not a late report, and those after it: an
    /// account up to any of them tells all that must be told.
    pub told: Vec<Place>,
    /// Where it stands.
    pub phase: Phase,
    /// Disable, wipe, and the check of this round.
    pub tasks: [Progress; 3],
    /// The closing round that it is in, or was in last.
    pub round: u8,
    /// How often a loss was noted.
    pub losses: u8,
    /// Late reports that are kept.
    pub late: Vec<Digest>,
    /// The account that it was closed on.
    pub account: Option<Account>,
}

/// What is ordered of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// A worker answered.
    RecordReport(Report),
    /// Time has passed.
    Tick,
    /// A person wants another try.
    Retry,
    /// The closer has put its evidence.
    RecordSealed(Account),
}

/// What time it is: which orders are over.
#[derive(Debug, Clone, Copy)]
pub struct Now<'a> {
    /// These are.
    pub over: &'a [Digest],
    /// Every once-only order is.
    pub all_over: bool,
}

/// What makes two deliveries of a report the same.
fn digest_of(report: &Report) -> Digest {
    let mut hasher = DefaultHasher::new();
    report.hash(&mut hasher);
    hasher.finish()
}

impl Case {
    /// The case that a ledger holds.
    #[must_use]
    pub fn of(ledger: &Ledger) -> Self {
        let mut case = Self {
            at: Place { version: 0, hash: 0 },
            told: Vec::new(),
            phase: Phase::Active,
            tasks: [NEW; 3],
            round: 0,
            losses: 0,
            late: Vec::new(),
            account: None,
        };
        ledger.records.iter().for_each(|r| case.fold(r));
        case
    }

    /// Its task.
    #[must_use]
    pub fn task(&self, task: Task) -> &Progress {
        &self.tasks[task as usize]
    }

    fn change(&mut self, task: Task) -> &mut Progress {
        &mut self.tasks[task as usize]
    }

    /// The order that is out for a task, as it travels.
    #[must_use]
    pub fn order(&self, task: Task) -> Option<Order> {
        let progress = self.task(task);
        let Standing::Assigned(mode) = progress.standing else {
            return None;
        };
        Some(Order {
            task,
            round: if task == Task::Check { self.round } else { 0 },
            attempt: progress.attempt,
            mode,
            place: progress.ordered_by?,
        })
    }

    /// The orders that are out.
    pub fn orders(&self) -> impl Iterator<Item = Order> + '_ {
        [Task::Disable, Task::Wipe, Task::Check]
            .into_iter()
            .filter_map(|t| self.order(t))
    }

    fn settled(&self, task: Task) -> bool {
        self.task(task).standing == Standing::Settled
    }

    /// Applies a record.
    pub fn fold(&mut self, record: &Record) {
        self.at = Place {
            version: self.at.version + 1,
            hash: record.hash,
        };
        if !matches!(record.cause, Cause::Late(_)) {
            self.told.clear();
        }
        self.told.push(self.at);
        match record.cause {
            Cause::Opened | Cause::Woke => {}
            Cause::Answered(report, outcome) => {
                self.change(report.order.task).last_report = Some(digest_of(&report));
                self.ended(report.order.task, outcome);
            }
            Cause::RanOut(task, outcome) => self.ended(task, outcome),
            Cause::Late(report) => self.keep(&report),
            Cause::TailLost(report) => {
                self.losses += 1;
                self.forget_tail();
                if let Some(report) = report {
                    self.keep(&report);
                }
            }
            Cause::Retry(task, until) => {
                let task = self.change(task);
                task.standing = Standing::Open(until);
                task.spent = 0;
            }
            Cause::Closed(account) => {
                self.account = Some(account);
                self.phase = Phase::Closed;
            }
        }
        if self.phase == Phase::Active && self.settled(Task::Disable) && self.settled(Task::Wipe) {
            self.phase = Phase::Closing;
            self.round += 1;
            *self.change(Task::Check) = NEW;
        }
        if let Some((task, mode)) = record.assigned {
            let at = self.at;
            let task = self.change(task);
            task.attempt += 1;
            task.standing = Standing::Assigned(mode);
            task.told_late = false;
            task.ordered_by = Some(at);
        }
    }

    fn ended(&mut self, id: Task, outcome: Outcome) {
        let task = self.change(id);
        match outcome {
            Outcome::Settled => {
                task.standing = Standing::Settled;
                task.observe_first = false;
            }
            Outcome::Rested {
                until,
                observe_first,
                spent,
            } => {
                task.standing = Standing::Open(until);
                task.observe_first = observe_first;
                task.spent += u8::from(spent);
            }
            Outcome::Failed { observe_first } => {
                task.standing = Standing::Failed;
                task.observe_first = observe_first;
            }
            Outcome::Checked { differs: false } => {
                task.standing = Standing::Settled;
                self.phase = Phase::Sealing;
            }
            Outcome::Checked { differs: true } => {
                task.standing = Standing::Settled;
                let reopened = self.change(Task::Disable);
                reopened.standing = Standing::Open(Until::Now);
                reopened.spent = 0;
                self.phase = Phase::Active;
            }
        }
    }

    fn keep(&mut self, report: &Report) {
        self.late.push(digest_of(report));
        if report.order.task == Task::Wipe && !self.settled(Task::Wipe) {
            let wipe = self.change(Task::Wipe);
            wipe.observe_first = true;
            wipe.told_late = matches!(wipe.standing, Standing::Assigned(_));
        }
    }

    fn forget_tail(&mut self) {
        self.change(Task::Disable).standing = Standing::Open(Until::Now);
        let wipe = self.change(Task::Wipe);
        wipe.standing = Standing::Open(Until::AllOver);
        wipe.observe_first = true;
        self.change(Task::Check).standing = Standing::Open(Until::Now);
        self.phase = Phase::Active;
    }

    /// What can be assigned now.
    #[must_use]
    pub fn ready(&self, now: Now<'_>, mutation: Option<Mutation>) -> Option<(Task, Mode)> {
        let rested = |task: Task| match self.task(task).standing {
            Standing::Open(Until::Now) => true,
            Standing::Open(Until::Over(order)) => now.over.contains(&order),
            Standing::Open(Until::AllOver) => now.all_over || mutation == Some(Mutation::ReadsAtOnceAfterLoss),
            Standing::Assigned(_) | Standing::Failed | Standing::Settled => false,
        };
        let wipe = match self.task(Task::Wipe).observe_first {
            true => (Task::Wipe, Mode::ObserveOnly),
            false => (Task::Wipe, Mode::Full),
        };
        let unordered = mutation == Some(Mutation::IgnoresDependency);
        match self.phase {
            Phase::Active if unordered && rested(Task::Wipe) => Some(wipe),
            Phase::Active if rested(Task::Disable) => Some((Task::Disable, Mode::Full)),
            Phase::Active if self.settled(Task::Disable) && rested(Task::Wipe) => Some(wipe),
            Phase::Closing if rested(Task::Check) => Some((Task::Check, Mode::ObserveOnly)),
            Phase::Active | Phase::Closing | Phase::Sealing | Phase::Closed => None,
        }
    }

    /// What an order leads to; none when there is nothing to do, or the order
    /// is refused.
    #[must_use]
    pub fn decide(&self, command: Command, now: Now<'_>, mutation: Option<Mutation>) -> Option<Cause> {
        match command {
            Command::RecordReport(report) => self.report(report, mutation),
            Command::Tick => self.tick(now, mutation),
            Command::Retry => self.retry(mutation),
            Command::RecordSealed(account) => self.sealed(account, mutation),
        }
    }

    /// Whether a report answers an order that this history does not hold,
    /// though it stands at that attempt or before it.
    #[must_use]
    pub fn is_behind(&self, report: &Report) -> bool {
        let order = report.order;
        let task = self.task(order.task);
        match order.task {
            Task::Check if order.round < self.round => return false,
            Task::Check if order.round > self.round => return true,
            Task::Check | Task::Disable | Task::Wipe => {}
        }
        order.place.version > self.at.version
            || order.attempt > task.attempt
            || (order.attempt == task.attempt && task.ordered_by.is_some_and(|p| p != order.place))
    }

    fn report(&self, report: Report, mutation: Option<Mutation>) -> Option<Cause> {
        let order = report.order;
        let known = self.late.contains(&digest_of(&report));
        if mutation != Some(Mutation::IgnoresReportFromAhead) && self.is_behind(&report) && self.phase != Phase::Closed
        {
            let noted = report.losses < self.losses;
            return match (known, noted) {
                (true, _) => None,
                (false, true) => Some(Cause::Late(report)),
                (false, false) => Some(Cause::TailLost(Some(report))),
            };
        }
        let task = self.task(order.task);
        let current = self.order(order.task).filter(|o| {
            let present = o.attempt == order.attempt && o.round == order.round;
            present || mutation == Some(Mutation::LateReportSettles)
        });
        if let Some(current) = current {
            return Some(Cause::Answered(report, self.judged(current, report.said, mutation)));
        }
        let repeated = known || task.last_report == Some(digest_of(&report));
        let stale = order.round == self.round && order.attempt > task.attempt;
        (!repeated && !stale).then_some(Cause::Late(report))
    }

    fn judged(&self, order: Order, said: Said, mutation: Option<Mutation>) -> Outcome {
        let reads_next = mutation != Some(Mutation::NoObserveFirst);
        let again = |observe_first, spent| Outcome::Rested {
            until: Until::Now,
            observe_first,
            spent,
        };
        match said {
            Said::Satisfied { shown } if shown || mutation == Some(Mutation::TrustReport) => Outcome::Settled,
            Said::Satisfied { .. } => again(false, false),
            Said::Ordered => again(reads_next, false),
            Said::Happened => Outcome::Settled,
            // Who read has not read what came in meanwhile.
            Said::DidNotHappen => {
                let told_late = self.task(order.task).told_late;
                again(told_late && mutation != Some(Mutation::ReadingOutdoesLateReport), false)
            }
            Said::Inconclusive => Outcome::Failed { observe_first: true },
            Said::DeliveredBefore => {
                let until = match mutation {
                    Some(Mutation::ReadsBeforeItsTime) => Until::Now,
                    _ => Until::Over(order.place.hash),
                };
                self.unknown(order.task, until, mutation)
            }
            Said::Checked(reading) => Outcome::Checked {
                differs: !reading.disabled && mutation != Some(Mutation::IgnoresDifference),
            },
        }
    }

    /// Nobody knows what became of an attempt.
    fn unknown(&self, id: Task, until: Until, mutation: Option<Mutation>) -> Outcome {
        let task = self.task(id);
        let once = id == Task::Wipe;
        if task.spent + 1 >= ATTEMPTS {
            let forgets = mutation == Some(Mutation::FailureForgetsToObserve);
            return Outcome::Failed {
                observe_first: if forgets { task.observe_first } else { once },
            };
        }
        Outcome::Rested {
            until,
            observe_first: once && mutation != Some(Mutation::NoObserveFirst),
            spent: true,
        }
    }

    fn tick(&self, now: Now<'_>, mutation: Option<Mutation>) -> Option<Cause> {
        let over = self.orders().find(|o| now.over.contains(&o.place.hash));
        match over {
            Some(order) if mutation != Some(Mutation::NeverRunsOut) => {
                let outcome = self.unknown(order.task, Until::Now, mutation);
                Some(Cause::RanOut(order.task, outcome))
            }
            _ => self.ready(now, mutation).map(|_| Cause::Woke),
        }
    }

    /// What a person can order another try of.
    #[must_use]
    pub fn retriable(&self, mutation: Option<Mutation>) -> Option<Task> {
        let mut tasks = [Task::Disable, Task::Wipe, Task::Check].into_iter();
        tasks.find(|t| match self.task(*t).standing {
            Standing::Failed => true,
            // Where he waits like anybody else, it would change nothing.
            Standing::Open(Until::Over(_) | Until::AllOver) => mutation == Some(Mutation::RetryDoesNotWait),
            Standing::Open(Until::Now) | Standing::Assigned(_) | Standing::Settled => false,
        })
    }

    fn retry(&self, mutation: Option<Mutation>) -> Option<Cause> {
        let id = self.retriable(mutation)?;
        let task = self.task(id);
        // A person is no reason to read what may still be under way.
        let until = match task.ordered_by {
            Some(order) if task.observe_first && mutation != Some(Mutation::RetryDoesNotWait) => {
                Until::Over(order.hash)
            }
            _ => Until::Now,
        };
        Some(Cause::Retry(id, until))
    }

    fn sealed(&self, account: Account, mutation: Option<Mutation>) -> Option<Cause> {
        let told = match mutation {
            Some(Mutation::SealWithoutVersion) => true,
            Some(Mutation::SealByVersionAlone) => self.told.iter().any(|p| p.version == account.upto.version),
            _ => self.told.contains(&account.upto),
        };
        let open = match self.phase {
            Phase::Sealing => true,
            Phase::Closed => mutation == Some(Mutation::ClosesAgain),
            Phase::Active | Phase::Closing => false,
        };
        (open && (told || self.phase == Phase::Closed)).then_some(Cause::Closed(account))
    }
}
