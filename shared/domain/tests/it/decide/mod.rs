//! Ring 1: each rule of the state machine by itself, and what several of them begin from.

mod access;
mod closing;
mod lost_tails;
mod mailboxes;
mod older;
mod once;
mod pace;
mod people;
mod plans;
mod reports;
mod requests;

use crate::model::*;
use offboard_domain::catalogue::{Kind, MAILBOX_EXISTS};
use offboard_domain::departure::{Departure, Manner};
use offboard_domain::time::MINUTE_MS;
use offboard_domain::{Command, Facts, Policy, Said};

/// A departure with everything kept, right when this kind is with a worker; the snapshot
/// has read a mailbox, or none.
fn keeping(kind: Kind, had_one: bool) -> World {
    keeping_of(departure(Manner::Immediate), kind, |_| had_one)
}

/// The same, of whom each snapshot of the mailbox shows one or none.
fn keeping_of(mut asked: Departure, kind: Kind, had_one: impl Fn(u32) -> bool) -> World {
    asked.choices.legal_hold = Some(true);
    asked.choices.archive_mailbox = Some(true);
    let mut w = World::with(asked, Policy::default());
    for _ in 0..5_000 {
        if w.case().has(kind) && w.task(kind).in_flight().is_some() {
            return w;
        }
        let Some(id) = w.in_flight().first().copied() else {
            w.a_person_or_time(10 * MINUTE_MS);
            continue;
        };
        let mut report = w.truthful(id);
        if w.case().tasks[&id].kind() == Kind::SnapshotMailbox
            && let Said::Satisfied { before, after } = &mut report.said
        {
            let there = had_one(report.attempt);
            before.facts.set(MAILBOX_EXISTS, there);
            after.facts.set(MAILBOX_EXISTS, there);
        }
        w.order(Command::RecordReport(Box::new(report))).unwrap();
    }
    panic!("{kind} is never given to a worker");
}

/// A worker reads that the account has no mailbox.
fn reads_no_mailbox(w: &mut World, kind: Kind) {
    let none = seen(Facts::new().with(MAILBOX_EXISTS, false));
    let report = w.report(
        w.id(kind),
        Said::Satisfied {
            before: none.clone(),
            after: none,
        },
    );
    w.order(Command::RecordReport(Box::new(report))).unwrap();
}
