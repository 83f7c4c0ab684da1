//! What must always hold, and what must be possible.

use crate::case::{Case, Phase, Standing};
use crate::history::{Account, Cause, Ledger, Mode, Record, Task};
use crate::protocol::Protocol;
use crate::state::{Fault, State};
use stateright::Property;

/// No wipe is applied twice, unless the ledger lost the order of one and
/// nobody had noticed when the next was given.
pub const ONCE: &str = "a once-only act is applied once";
/// The wipe is applied only after the sign-in was read to be disabled.
pub const ORDER: &str = "nothing is applied before what it waits for is proven";
/// A case is closed at most once, on an account of its own history that leaves
/// out nothing but late reports.
pub const CLOSED_ONCE: &str = "a case is closed once, on an account of all its history";
/// A case is closed only if what is wanted is there, read after our last write.
pub const CLOSED_TRUE: &str = "a closed case is as it says";
/// The evidence of a closed case is in the store.
pub const EVIDENCE: &str = "a closed case has its evidence";
/// Each record follows the one before it.
pub const NO_FORK: &str = "no version is held by two records";
/// What a dispatcher was told is written stays, unless the tail was lost.
pub const KEPT: &str = "what is acknowledged is not lost";
/// A report from ahead of the ledger leads to a noted loss.
pub const REPORT_TELLS: &str = "a report from ahead of the ledger tells of the loss";
/// So does an append by who stands on lost history.
pub const APPEND_TELLS: &str = "who stands on lost history tells of the loss";
/// Only the answer to the attempt that is out has an outcome.
pub const LATE: &str = "a late report changes no outcome";
/// What comes late of a once-only act is read before that is ordered again, by a reading that
/// was begun since.
pub const LATE_IS_READ: &str = "what comes late is read before it is ordered again";
/// Without further faults something can always happen until the case is closed,
/// or a person is asked in vain.
pub const NOT_STUCK: &str = "nothing waits for ever";

/// Possible: to close after the ledger's tail was lost.
pub const TAIL_LOST: &str = "closed after the tail was lost";
/// Possible: to close after that was noted.
pub const NOTED_LOSS: &str = "closed after a noted loss";
/// Possible: to close after a person ordered another try.
pub const RETRIED: &str = "closed after a person's retry";
/// Possible: what [`ONCE`] excepts.
pub const LOST_AND_TWICE: &str = "applied twice after a loss that nobody could know of";

/// All properties.
#[must_use]
pub fn all() -> Vec<Property<Protocol>> {
    let mut all = vec![
        always(ONCE, |_, s| s.world.wipes <= 1 || ordered_blindly(&s.ledger)),
        always(ORDER, |_, s| !s.broken.order),
        always(CLOSED_ONCE, |_, s| closed_once(&s.ledger)),
        always(CLOSED_TRUE, |_, s| closings(&s.ledger).all(|a| is_true(s, a))),
        always(EVIDENCE, |_, s| closings(&s.ledger).all(|a| s.evidence.contains(&a))),
        always(NO_FORK, |_, s| is_chained(&s.ledger)),
        always(KEPT, |_, s| views_are_kept(s)),
        always(REPORT_TELLS, |_, s| !s.broken.loss_overlooked),
        always(APPEND_TELLS, |_, s| !s.broken.loss_hidden),
        always(LATE, |_, s| last_answer_was_awaited(&s.ledger)),
        always(LATE_IS_READ, |_, s| late_is_read_first(&s.ledger)),
        always(NOT_STUCK, |p, s| is_over(s) || !p.is_at_rest(s)),
    ];
    all.extend(reachable());
    all
}

/// What must be possible: closing, after nothing and after each fault.
fn reachable() -> Vec<Property<Protocol>> {
    vec![
        sometimes("closed without a fault", |_, s| is_closed(s) && s.faults == 0),
        after::<{ Fault::DispatcherDies as u16 }>("closed after a dispatcher died"),
        after::<{ Fault::AppendUnanswered as u16 }>("closed after an unanswered append"),
        after::<{ Fault::ShardMoves as u16 }>("closed after a shard moved"),
        after::<{ Fault::RunsOutOfTime as u16 }>("closed after an attempt ran out of time"),
        after::<{ Fault::WorkerDies as u16 }>("closed after a worker died"),
        after::<{ Fault::Duplicates as u16 }>("closed after a duplicate"),
        after::<{ Fault::BrokerEmptied as u16 }>("closed after the broker was emptied"),
        after::<{ Fault::TailLost as u16 }>(TAIL_LOST),
        after::<{ Fault::WriteSwallowed as u16 }>("closed after a write was swallowed"),
        after::<{ Fault::ReadingLags as u16 }>("closed after a reading that lagged"),
        after::<{ Fault::Undone as u16 }>("closed after a stranger undid it"),
        after::<{ Fault::CloserDies as u16 }>("closed after the closer died"),
        after::<{ Fault::SealUnanswered as u16 }>("closed after an unanswered seal"),
        after::<{ Fault::PublishFails as u16 }>("closed after a failed publication"),
        sometimes(NOTED_LOSS, |_, s| is_closed(s) && s.ledger.loss_is_noted()),
        sometimes("closed after a late report", |_, s| is_closed(s) && has_late(&s.ledger)),
        sometimes(LOST_AND_TWICE, |_, s| s.world.wipes > 1),
        sometimes(RETRIED, |_, s| is_closed(s) && s.retries > 0),
        sometimes("a late report after the closing", |_, s| {
            is_closed(s) && matches!(s.ledger.records.last(), Some(r) if matches!(r.cause, Cause::Late(_)))
        }),
    ]
}

fn after<const FAULT: u16>(name: &'static str) -> Property<Protocol> {
    Property::sometimes(name, |_, s| is_closed(s) && s.faults & FAULT != 0)
}

/// The accounts that the case was closed on.
fn closings(ledger: &Ledger) -> impl Iterator<Item = Account> + '_ {
    ledger.records.iter().filter_map(|r| match r.cause {
        Cause::Closed(account) => Some(account),
        _ => None,
    })
}

fn is_closed(s: &State) -> bool {
    closings(&s.ledger).next().is_some()
}

fn has_late(ledger: &Ledger) -> bool {
    ledger.records.iter().any(|r| matches!(r.cause, Cause::Late(_)))
}

fn is_once(record: &Record) -> bool {
    record.assigned == Some((Task::Wipe, Mode::Full))
}

/// Whether a wipe was ordered while the order of another was lost and the loss
/// not noted.
fn ordered_blindly(ledger: &Ledger) -> bool {
    let unnoted = ledger
        .records
        .iter()
        .take_while(|r| !matches!(r.cause, Cause::TailLost(_)));
    ledger.lost.iter().any(is_once) && unnoted.into_iter().any(is_once)
}

fn closed_once(ledger: &Ledger) -> bool {
    let late = |r: &Record| matches!(r.cause, Cause::Late(_));
    let Some(at) = ledger.records.iter().position(|r| matches!(r.cause, Cause::Closed(_))) else {
        return true;
    };
    let Cause::Closed(account) = ledger.records[at].cause else {
        return false;
    };
    let upto = usize::from(account.upto.version);
    ledger.holds(account.upto)
        && upto <= at
        && ledger.records[upto..at].iter().all(late)
        && ledger.records[at + 1..].iter().all(late)
}

fn is_true(s: &State, account: Account) -> bool {
    let Some(read) = account.proof else { return false };
    let undone_since = s.world.undone && !read.undone;
    let as_read = s.world.disabled && s.world.writes == read.writes;
    read.disabled && (undone_since || as_read) && s.world.wipes > 0
}

fn is_chained(ledger: &Ledger) -> bool {
    let prev = std::iter::once(0).chain(ledger.records.iter().map(|r| r.hash));
    ledger.records.iter().zip(prev).all(|(r, prev)| r.prev == prev)
}

fn views_are_kept(s: &State) -> bool {
    let lost = |hash| s.ledger.lost.iter().any(|r| r.hash == hash);
    let mut views = s.dispatchers.iter().filter_map(|d| d.view.as_ref());
    views.all(|v| s.ledger.holds(v.at) || lost(v.at.hash))
}

fn last_answer_was_awaited(ledger: &Ledger) -> bool {
    let Some((Record { cause, .. }, before)) = ledger.records.split_last() else {
        return true;
    };
    let Cause::Answered(report, _) = cause else { return true };
    let before = Ledger {
        records: before.to_vec(),
        lost: Vec::new(),
    };
    Case::of(&before).order(report.order.task) == Some(report.order)
}

fn late_is_read_first(ledger: &Ledger) -> bool {
    let mut unread = false;
    for record in &ledger.records {
        if let Cause::Late(report) | Cause::TailLost(Some(report)) = record.cause {
            unread |= report.order.task == Task::Wipe;
        }
        match record.assigned {
            Some((Task::Wipe, Mode::Full)) if unread => return false,
            Some((Task::Wipe, _)) => unread = false,
            _ => {}
        }
    }
    true
}

/// Closed, or with a person who has retried in vain.
fn is_over(s: &State) -> bool {
    // The cheap answer for most states: something is under way.
    if !s.queue.is_empty() || !s.workers.is_empty() {
        return true;
    }
    let case = Case::of(&s.ledger);
    let mut known = s.dispatchers.iter().filter_map(|d| d.view.as_ref()).chain([&case]);
    let asked = known.any(|c| c.tasks.iter().any(|t| t.standing == Standing::Failed));
    case.phase == Phase::Closed || asked
}

fn always(name: &'static str, holds: fn(&Protocol, &State) -> bool) -> Property<Protocol> {
    Property::always(name, holds)
}

fn sometimes(name: &'static str, holds: fn(&Protocol, &State) -> bool) -> Property<Protocol> {
    Property::sometimes(name, holds)
}
