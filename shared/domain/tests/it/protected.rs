//! An account that came onto the tenant's list of protected accounts after its departure was
//! handed in: nothing of it is written when the time comes, and a person is asked.

use crate::model::*;
use offboard_domain::catalogue::Kind;
use offboard_domain::departure::{Departure, Manner};
use offboard_domain::policy::{ADDRESS_MARKS, Approvals, address_mark};
use offboard_domain::standing::{Standing, next, standing, words};
use offboard_domain::time::DAY_MS;
use offboard_domain::{CaseId, CaseState, Command, Observation, Policy, Said};
use std::sync::Arc;

fn policy(protected: &[&str]) -> Policy {
    Policy {
        approvals: Approvals {
            plan: false,
            ..Policy::default().approvals
        },
        protected: protected.iter().map(|name| (*name).to_owned()).collect(),
        ..Policy::default()
    }
}

/// What the tenant's list says by now.
fn listed(w: &mut World, protected: &[&str]) {
    w.gates.policy_now = Some(Arc::new(policy(protected)));
}

/// The same, when the time has come.
fn listed_by_now(w: &mut World, protected: &str) {
    listed(w, &[protected]);
    w.pass(30 * DAY_MS);
    w.drain();
}

fn said(found: Observation) -> Said {
    Said::Satisfied {
        before: found.clone(),
        after: found,
    }
}

/// Handed in a month ahead.
fn ahead() -> Departure {
    let mut leaving = departure(Manner::Planned);
    leaving.effective_at = T0.plus(30 * DAY_MS);
    leaving.person.mail = Some("Anna@acme.example".into());
    leaving
}

/// What a worker was given to change.
fn written(w: &World) -> Vec<Kind> {
    let of = |t: &&Arc<offboard_domain::Task>| t.attempt > 0 && t.kind().spec().writes;
    w.case().tasks.values().filter(of).map(|t| t.kind()).collect()
}

fn stands(w: &World, kind: Kind) -> Standing {
    standing(w.case(), w.task(kind), w.now, &w.gates)
}

#[test]
fn who_is_protected_by_now_is_not_touched_until_he_is_taken_off_the_list() {
    // By the id, the sign-in name, or an address of the request, however it is written.
    for name in ["u-1", "leaver@acme.example", "anna@acme.example"] {
        let mut w = World::with(ahead(), policy(&["breakglass@acme.example"]));
        w.drain();
        listed(&mut w, &["breakglass@acme.example", name]);
        w.pass(30 * DAY_MS);
        for _ in 0..20 {
            w.drain();
            w.pass(DAY_MS / 20);
        }
        assert_eq!(written(&w), [], "{name}");
        let first = stands(&w, Kind::RemoveDirectoryRoles);
        assert_eq!(first, Standing::Protected, "{name}");
        assert!(words(&first, w.task(Kind::RemoveDirectoryRoles)).contains("policy.protected"));
        assert!(next(w.case(), w.now, &w.gates).needs_person);
        assert!(
            w.case()
                .tasks
                .values()
                .any(|t| t.kind() == Kind::SnapshotAccess && t.is_settled())
        );
        // Taken off again, it goes on by itself; and what has begun is not stopped half way.
        listed(&mut w, &["breakglass@acme.example"]);
        w.order(Command::Tick).unwrap();
        assert!(written(&w).contains(&Kind::RemoveDirectoryRoles), "{name}");
        listed(&mut w, &[name]);
        w.run_to_sealing();
    }
}

/// An address that only the directory knows, and no request, nor a fact.
#[test]
fn who_is_protected_by_an_address_that_only_the_directory_knows_is_not_touched() {
    for (listed, protects) in [("info@acme.example", true), ("else@acme.example", false)] {
        let mut w = World::with(ahead(), policy(&[]));
        let mark = address_mark(w.case().id, "Info@acme.example");
        let found = seen(good(Kind::Resolve).with(ADDRESS_MARKS, vec![mark.clone()]));
        let report = w.report(w.id(Kind::Resolve), said(found));
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        w.drain();
        listed_by_now(&mut w, listed);
        assert_eq!(stands(&w, Kind::RemoveDirectoryRoles) == Standing::Protected, protects);
        // One case's marks tell nothing of another's.
        assert_ne!(mark, address_mark(CaseId([7; 10]), "info@acme.example"));
    }
}

/// What was written of him in a history that is lost, nobody knows.
#[test]
fn who_may_have_been_begun_with_in_a_lost_history_is_not_left_half_done() {
    let mut w = World::with(ahead(), policy(&[]));
    w.drain();
    listed(&mut w, &["u-1"]);
    w.now = w.now.plus(30 * DAY_MS);
    let known = w.case().version + 3;
    w.order(Command::RecordLoss { known, parted: false }).unwrap();
    w.drain();
    assert!(written(&w).contains(&Kind::RemoveDirectoryRoles), "{:?}", written(&w));
}

#[test]
fn who_is_protected_by_now_can_be_called_off() {
    let mut w = World::with(ahead(), policy(&[]));
    w.drain();
    listed(&mut w, &["u-1"]);
    w.pass(30 * DAY_MS);
    w.drain();
    w.order(Command::Cancel {
        by: "boss@msp.example".into(),
        reason: "it is an account that must stay".into(),
    })
    .unwrap();
    assert_eq!(w.case().state, CaseState::Cancelled);
    assert_eq!(written(&w), []);
}

#[test]
fn a_list_that_names_others_or_did_so_all_along_stops_nobody() {
    // The request's address was on it when he was looked up, and was found to be no name of
    // the account that is meant.
    let all_along = policy(&["anna@acme.example"]);
    for (opened, now) in [(policy(&[]), "else@acme.example"), (all_along, "anna@acme.example")] {
        let mut w = World::with(ahead(), opened);
        w.drain();
        listed(&mut w, &[now]);
        w.pass(30 * DAY_MS);
        w.drain();
        assert!(written(&w).contains(&Kind::DisableSignIn), "{now}");
    }
}
