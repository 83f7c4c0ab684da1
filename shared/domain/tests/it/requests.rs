//! A request that is changed, and several requests for one person: nothing that
//! anybody asked for is lost, and nothing is done sooner than was approved.

use crate::model::*;
use ed25519_dalek::SigningKey;
use offboard_domain::catalogue::Kind;
use offboard_domain::departure::{Departure, Manner};
use offboard_domain::evidence;
use offboard_domain::keeping::Retention;
use offboard_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use offboard_domain::{
    ApprovalOf, CaseId, CaseState, Checked, Command, Digest, Event, Facts, FaultClass, Observation, Policy, Refusal,
    Report, Said, Standing, TaskState, Timestamp, WakeReason, next, standing,
};
use std::collections::BTreeSet;
use std::sync::Arc;

const OTHER: CaseId = CaseId([7; 10]);

/// A departure in ten days, planned and approved.
fn approved() -> World {
    let mut w = planned();
    w.approve();
    w.drain();
    w
}

/// A departure in ten days, planned.
fn planned() -> World {
    let mut w = World::with(by("hr@acme.example", T0.plus(10 * DAY_MS)), Policy::default());
    w.drain();
    w
}

fn by(who: &str, effective_at: Timestamp) -> Departure {
    Departure {
        effective_at,
        requested_by: who.into(),
        ..departure(Manner::Planned)
    }
}

fn at_once(who: &str) -> Departure {
    Departure {
        manner: Manner::Immediate,
        ..by(who, T0)
    }
}

fn open(d: Departure) -> Command {
    Command::Open {
        departure: Arc::new(d),
        policy: Arc::new(Policy::default()),
        capabilities: Arc::new(everything()),
        traceparent: None,
    }
}

/// The other case comes to ask for this at that time.
fn join_at(asked_at: Timestamp, d: Departure) -> Command {
    Command::Join {
        case: OTHER,
        asked_at,
        departure: Arc::new(d),
        amended_by: BTreeSet::new(),
        retention: Retention::default(),
    }
}

fn join(d: Departure) -> Command {
    join_at(T0, d)
}

fn leave() -> Command {
    Command::Leave {
        case: OTHER,
        asked_at: T0,
    }
}

fn approve(w: &World, who: &str) -> Command {
    Command::Approve {
        by: who.into(),
        of: ApprovalOf::Plan(w.case().plan_digest()),
    }
}

fn cancel() -> Command {
    Command::Cancel {
        by: "boss@msp.example".into(),
        reason: "he stays".into(),
    }
}

fn stands(w: &World, kind: Kind) -> Standing {
    standing(w.case(), w.task(kind), w.now, &w.gates)
}

fn written(w: &World) -> Vec<Kind> {
    let tasks = w.case().tasks.values();
    let begun = tasks.filter(|t| t.kind().spec().writes && t.attempt > 0);
    begun.map(|t| t.kind()).collect()
}

#[test]
fn what_is_to_be_done_sooner_than_was_approved_is_approved_again() {
    let mut w = approved();
    w.order(open(by("tech@msp.example", T0))).unwrap();
    w.drain();
    assert_eq!(written(&w), [], "nobody approved that it be done now");
    assert_eq!(stands(&w, Kind::ApprovePlan), Standing::WaitsForPerson);
    assert_eq!(stands(&w, Kind::RemoveDirectoryRoles), Standing::WaitsForPlanApproval);
    w.approve();
    assert_eq!(written(&w), [Kind::RemoveDirectoryRoles]);
}

#[test]
fn what_was_approved_for_later_goes_then_though_nobody_lets_it_go_sooner() {
    let mut w = approved();
    w.order(open(by("tech@msp.example", T0))).unwrap();
    let wake = next(w.case(), w.now, &w.gates).wake.unwrap();
    assert!(
        wake.at <= T0.plus(10 * DAY_MS),
        "nobody looks at it when its time comes: {wake:?}"
    );
    w.pass(10 * DAY_MS - 1);
    assert_eq!(written(&w), []);
    w.pass(1);
    w.answer(Kind::SnapshotAccess);
    assert_eq!(written(&w), [Kind::RemoveDirectoryRoles]);
}

#[test]
fn whoever_is_cut_at_once_after_all_has_only_what_can_be_undone_done_before_a_new_approval() {
    let mut w = approved();
    w.order(open(at_once("tech@msp.example"))).unwrap();
    w.drain();
    assert!(written(&w).contains(&Kind::RevokeSessions));
    assert!(!written(&w).contains(&Kind::RemoveGroupMemberships));
    w.approve();
    w.drain();
    assert!(written(&w).contains(&Kind::RemoveGroupMemberships));
}

#[test]
fn an_approval_stands_when_it_is_to_be_done_later() {
    let mut w = approved();
    w.order(open(by("tech@msp.example", T0.plus(20 * DAY_MS)))).unwrap();
    assert!(w.task(Kind::ApprovePlan).is_settled());
    // And for what is sooner again, but not sooner than was approved.
    w.order(open(by("tech@msp.example", T0.plus(15 * DAY_MS)))).unwrap();
    assert!(w.task(Kind::ApprovePlan).is_settled());
    w.pass(15 * DAY_MS);
    w.answer(Kind::SnapshotAccess);
    assert_eq!(written(&w), [Kind::RemoveDirectoryRoles]);
}

#[test]
fn who_changed_a_request_does_not_decide_about_it() {
    let mut w = planned();
    w.order(open(by("tech@msp.example", T0.plus(DAY_MS)))).unwrap();
    let refused = w.order(approve(&w, "Tech@msp.example"));
    assert_eq!(refused, Err(Refusal::SamePerson("Tech@msp.example".into())));
    w.order(approve(&w, "boss@msp.example")).unwrap();
}

/// Who asked is his word alone.
#[test]
fn who_handed_a_request_in_for_another_one_does_not_decide_about_it() {
    let handed_in = |hands_in: &str, of: Departure| Departure {
        handed_in_by: Some(hands_in.into()),
        ..of
    };
    let of_hr = |days: i64| by("hr@acme.example", T0.plus(days * DAY_MS));
    let opened = |policy: Policy| {
        let mut w = World::with(handed_in("bob@msp.example", of_hr(10)), policy);
        w.drain();
        w
    };
    let mut w = opened(Policy::default());
    let refused = w.order(approve(&w, "Bob@msp.example "));
    assert!(matches!(refused, Err(Refusal::SamePerson(_))), "{refused:?}");
    // Nor does who hands a change in, or what another case asks.
    w.order(open(handed_in("carl@msp.example", of_hr(9)))).unwrap();
    w.order(join(handed_in(
        "dora@msp.example",
        by("lead@acme.example", T0.plus(20 * DAY_MS)),
    )))
    .unwrap();
    for who in ["bob@msp.example", "carl@msp.example", "dora@msp.example"] {
        let refused = w.order(approve(&w, who));
        assert!(matches!(refused, Err(Refusal::SamePerson(_))), "{who}: {refused:?}");
    }
    // Who hands the same in again changes nothing, and may.
    let again = w.order(open(handed_in("erna@msp.example", of_hr(9))));
    assert_eq!(again, Err(Refusal::AlreadyOpen));
    w.order(approve(&w, "erna@msp.example")).unwrap();

    let mut policy = Policy::default();
    policy.approvals.approver_may_hand_in = true;
    let mut w = opened(policy);
    w.order(open(handed_in("carl@msp.example", of_hr(9)))).unwrap();
    w.order(approve(&w, "carl@msp.example")).unwrap();
}

#[test]
fn an_approval_of_what_was_seen_before_a_change_is_refused() {
    let mut w = planned();
    let seen = approve(&w, "boss@msp.example");
    w.order(open(by("tech@msp.example", T0))).unwrap();
    assert!(matches!(w.order(seen), Err(Refusal::Changed { .. })));
}

#[test]
fn a_wipe_that_was_approved_for_later_is_approved_again() {
    let mut w = World::with(by("hr@acme.example", T0.plus(10 * DAY_MS)), Policy::default());
    w.finds = company_laptop();
    w.drain();
    w.approve();
    let wipe = w.id(Kind::WipeDevice);
    let approve_wipe = |w: &World| Command::Approve {
        by: "boss@msp.example".into(),
        of: ApprovalOf::Task(wipe, w.to_approve(Kind::WipeDevice)),
    };
    let of_later = approve_wipe(&w);
    w.order(of_later.clone()).unwrap();
    assert_eq!(w.order(of_later.clone()), Err(Refusal::AlreadyApproved));
    w.order(open(by("tech@msp.example", T0))).unwrap();
    // What was looked at before the change approves nothing after it.
    assert!(matches!(w.order(of_later), Err(Refusal::Changed { .. })));
    w.approve();
    w.drain();
    w.attest(Kind::ConfirmDeviceReturned).unwrap();
    w.drain();
    w.pass(DAY_MS);
    assert_eq!(stands(&w, Kind::WipeDevice), Standing::WaitsForOwnApproval);
    w.order(approve_wipe(&w)).unwrap();
    w.pass(HOUR_MS);
    assert_eq!(w.task(Kind::WipeDevice).attempt, 1);
}

#[test]
fn what_a_second_request_asks_sooner_is_done_sooner() {
    let mut w = planned();
    w.order(join(at_once("lead@acme.example"))).unwrap();
    w.drain();
    assert!(written(&w).contains(&Kind::RevokeSessions), "{:?}", written(&w));
    // Nor does who asked for that decide about it.
    assert!(matches!(
        w.order(approve(&w, "lead@acme.example")),
        Err(Refusal::SamePerson(_))
    ));
    // The first one's own list, handed in again as every day, takes nothing back.
    let again = by("hr@acme.example", T0.plus(10 * DAY_MS));
    assert_eq!(w.order(open(again)), Err(Refusal::AlreadyOpen));
    w.order(open(by("hr@acme.example", T0.plus(20 * DAY_MS)))).unwrap();
    assert_eq!((w.case().effective_at(), w.case().manner()), (T0, Manner::Immediate));
}

#[test]
fn what_a_second_request_asks_later_changes_nothing() {
    let mut w = approved();
    w.order(join(by("lead@acme.example", T0.plus(30 * DAY_MS)))).unwrap();
    assert_eq!(w.case().effective_at(), T0.plus(10 * DAY_MS));
    assert!(w.task(Kind::ApprovePlan).is_settled());
    w.order(join(by("lead@acme.example", T0.plus(30 * DAY_MS)))).unwrap();
    let joined = w
        .events
        .iter()
        .filter(|(_, e)| matches!(e, Event::RequestJoined { .. }));
    assert_eq!(joined.count(), 1, "the same was told twice and kept twice");
}

#[test]
fn a_second_request_that_is_called_off_asks_for_nothing_any_more() {
    let mut w = planned();
    w.order(join(at_once("lead@acme.example"))).unwrap();
    w.order(leave()).unwrap();
    assert_eq!(w.case().effective_at(), T0.plus(10 * DAY_MS));
    assert_eq!(w.case().manner(), Manner::Planned);
}

/// The list of the day is handed in again, by whoever has it at hand: he changes nothing, and
/// may approve; what was shown before can still be approved.
#[test]
fn who_is_to_go_at_once_and_is_handed_in_again_is_not_changed() {
    let evening = T0.plus(8 * HOUR_MS);
    let said = |at, of_day| Departure {
        effective_at: at,
        requested_at: at,
        of_day,
        ..at_once("hr@acme.example")
    };
    let mut w = World::with(said(T0, Some(evening)), Policy::default());
    w.drain();
    let shown = approve(&w, "boss@msp.example");
    let tomorrow = said(T0.plus(DAY_MS), Some(evening.plus(DAY_MS)));
    let again = [
        said(T0.plus(1), Some(evening)),
        // On the next day: with the day that it said, and with none.
        said(evening, None),
        tomorrow.clone(),
    ];
    for one in again {
        let by_another = Departure {
            requested_by: "boss@msp.example".into(),
            ..one.clone()
        };
        assert_eq!(w.order(open(one)), Err(Refusal::AlreadyOpen));
        assert_eq!(w.order(open(by_another)), Err(Refusal::AlreadyOpen));
    }
    // Without a reference the next day's is another case, which is merged into this one.
    w.order(join(tomorrow)).unwrap();
    assert_eq!((w.case().effective_at(), w.case().amended_by.len()), (T0, 0));
    w.order(shown).unwrap();
    // A moment that is said is another one.
    w.order(open(said(T0.plus(HOUR_MS), None))).unwrap();
    assert_eq!(w.case().departure.effective_at, T0.plus(HOUR_MS));
}

/// Handed in after work, it began after the end of the day that it is of.
#[test]
fn who_is_handed_in_after_work_is_not_changed_by_the_next_days_list() {
    let (end_of_work, evening) = (T0.plus(-2 * HOUR_MS), T0);
    let said = |at, of_day| Departure {
        effective_at: at,
        requested_at: at,
        of_day,
        ..at_once("hr@acme.example")
    };
    let mut w = World::with(said(evening, Some(end_of_work)), Policy::default());
    w.drain();
    // The same evening, and the next day, when its date is not today's any more.
    for again in [said(evening.plus(1), Some(end_of_work)), said(end_of_work, None)] {
        assert_eq!(w.order(open(again)), Err(Refusal::AlreadyOpen));
    }
    assert_eq!(w.case().departure.effective_at, evening);
    // Another moment before it is a change.
    w.order(open(said(end_of_work.plus(HOUR_MS), None))).unwrap();
    assert_eq!(w.case().departure.effective_at, end_of_work.plus(HOUR_MS));
}

/// The second request, merged into the first.
fn merged() -> World {
    let mut w = World::with(at_once("lead@acme.example"), Policy::default());
    w.gates.claimed_by = Some(OTHER);
    w.drain();
    assert_eq!(w.case().state, CaseState::Merged { into: OTHER });
    w
}

fn acknowledge(w: &World) -> Command {
    Command::AcknowledgeMerge {
        into: OTHER,
        known: w.case().asks_there().cloned(),
    }
}

#[test]
fn a_merged_case_is_not_over_before_the_other_knows_what_it_asks() {
    let mut w = merged();
    let wake = next(w.case(), w.now, &w.gates).wake.unwrap();
    assert_eq!((wake.at, wake.why), (w.now, WakeReason::Merge));
    assert!(!w.case().is_over());
    w.order(acknowledge(&w)).unwrap();
    assert!(w.case().is_over());
    assert_eq!(next(w.case(), w.now, &w.gates).wake, None);
    // It is changed, and the other is to know that as well: not what it knew before.
    let old = acknowledge(&w);
    w.order(open(by("lead@acme.example", T0.plus(DAY_MS)))).unwrap();
    assert_eq!(w.order(old).unwrap(), []);
    assert_eq!(w.case().tells(), Some(OTHER));
    w.order(acknowledge(&w)).unwrap();
    assert!(w.case().is_over());
}

#[test]
fn a_merged_case_goes_on_by_itself_when_the_other_is_called_off() {
    let mut first = planned();
    first.order(join(at_once("lead@acme.example"))).unwrap();
    first.order(cancel()).unwrap();
    first.drain();
    assert_eq!(first.case().state, CaseState::Cancelled);
    assert_eq!(first.case().lets_go(), [(OTHER, T0)]);
    assert!(next(first.case(), first.now, &first.gates).timer.is_some());
    let to = first.case().account_to();

    let mut second = merged();
    second.gates.claimed_by = None;
    second.order(Command::UndoMerge { into: OTHER }).unwrap();
    assert_eq!(second.case().state, CaseState::Received);
    // He is looked for anew: much may have changed meanwhile.
    assert!(second.task(Kind::Resolve).in_flight().is_some());
    second.drain();
    assert!(written(&second).contains(&Kind::RevokeSessions));

    first.order(leave()).unwrap();
    assert_eq!(first.case().lets_go(), []);
    assert_eq!(
        first.case().account_to(),
        to,
        "an account that is being made stays as it is"
    );
}

#[test]
fn a_merged_case_can_be_called_off_and_does_not_come_back() {
    let mut w = merged();
    w.order(acknowledge(&w)).unwrap();
    w.order(cancel()).unwrap();
    assert_eq!(w.case().state, CaseState::Cancelled);
    assert_eq!(w.case().tells(), Some(OTHER), "the other case goes on asking for it");
    w.order(Command::UndoMerge { into: OTHER }).unwrap();
    assert_eq!(w.case().state, CaseState::Cancelled);
    w.order(acknowledge(&w)).unwrap();
    assert_eq!(w.case().tells(), None);
}

#[test]
fn a_case_that_does_nothing_any_more_takes_no_request() {
    let mut cancelled = planned();
    cancelled.order(cancel()).unwrap();
    assert_eq!(
        cancelled.order(join(at_once("lead@acme.example"))),
        Err(Refusal::TakesNoRequest("cancelled"))
    );
}

/// It is written down where the work is done, and all is read once more: after a lost tail
/// nobody else would say that it was asked.
#[test]
fn who_joins_a_case_that_is_being_sealed_is_written_down() {
    let mut w = World::opened(Manner::Immediate);
    w.run_to_sealing();
    let to = w.case().account_to();
    let asked = join(at_once("lead@acme.example"));
    let events = w.order(asked.clone()).unwrap();
    assert!(matches!(
        events[..],
        [Event::RequestJoined { .. }, Event::ClosingBegan { .. }, ..]
    ));
    // What is being made of the history before that is not taken.
    let sealed = Command::RecordSealed {
        to,
        evidence: Digest::of(b"evidence"),
        key_id: "key".into(),
    };
    assert!(matches!(w.order(sealed), Err(Refusal::NotToBeSealed { .. })));
    w.run_to_sealing();
    let request = evidence::statement(&w.history()).unwrap().predicate.request;
    assert_eq!(request.joined[0].requested_by, "lead@acme.example");
    assert_eq!(w.order(asked).unwrap(), [], "it is known");
    // The loss of what came later does not take it away.
    let known = w.case().version + 5;
    w.order(Command::RecordLoss { known, parted: false }).unwrap();
    assert!(w.case().joined.contains_key(&OTHER));
}

/// What is proven already is no less true for whoever asks for it when it is closed.
#[test]
fn who_joins_a_closed_case_asks_for_nothing_more_than_was_done() {
    let mut w = World::opened(Manner::Immediate);
    w.run_to_sealing();
    let sealed = Command::RecordSealed {
        to: w.case().account_to(),
        evidence: Digest::of(b"evidence"),
        key_id: "key".into(),
    };
    w.order(sealed).unwrap();
    assert_eq!(w.case().state, CaseState::Closed);
    assert_eq!(w.order(join(at_once("lead@acme.example"))).unwrap(), []);
    assert!(
        w.case()
            .tasks
            .values()
            .all(|t| matches!(t.state, TaskState::Settled { .. }))
    );
}

#[test]
fn the_account_says_who_changed_it_who_else_asked_and_from_when_on_it_was_approved() {
    let mut w = approved();
    w.order(open(by("tech@msp.example", T0.plus(20 * DAY_MS)))).unwrap();
    w.order(join(by("lead@acme.example", T0.plus(5 * DAY_MS)))).unwrap();
    w.approve();
    w.pass(5 * DAY_MS);
    w.run_to_sealing();
    let statement = evidence::statement(&w.history()).unwrap();
    let request = &statement.predicate.request;
    assert_eq!(request.amendments[0].by.as_deref(), Some("tech@msp.example"));
    assert_eq!(request.joined[0].requested_by, "lead@acme.example");
    assert_eq!(request.effective_at.timestamp(), T0.plus(5 * DAY_MS));
    let from: Vec<i64> = statement
        .predicate
        .approvals
        .iter()
        .map(|a| a.from.unwrap().timestamp().since(T0) / DAY_MS)
        .collect();
    assert_eq!(from, [10, 5]);
}

/// A statement in which somebody who asked is said to have approved is no evidence.
#[test]
fn an_account_in_which_who_asked_decides_does_not_verify() {
    let mut w = approved();
    w.order(join(by("lead@acme.example", T0.plus(5 * DAY_MS)))).unwrap();
    w.approve();
    w.pass(5 * DAY_MS);
    w.run_to_sealing();
    let mut statement = evidence::statement(&w.history()).unwrap();
    let approvals = &mut statement.predicate.approvals;
    // He may have agreed before he asked.
    approvals[0].by = "lead@acme.example".into();
    let key = SigningKey::from_bytes(&[9; 32]);
    let verified = |s: &evidence::Statement| evidence::verify(&evidence::seal(s, &key), &key.verifying_key());
    verified(&statement).unwrap();
    statement.predicate.approvals[1].by = "Lead@acme.example".into();
    verified(&statement).unwrap_err();
}

/// During an upgrade an older program may take the approval of whoever handed it in: the case
/// closes all the same, and its account says so. One that does not say it is no evidence.
#[test]
fn an_account_names_an_approval_that_an_older_program_took_from_who_handed_it_in() {
    let mut w = approved();
    w.pass(10 * DAY_MS);
    w.run_to_sealing();
    let Event::CaseOpened { departure, .. } = &mut w.events[0].1 else {
        panic!("it begins with its opening")
    };
    Arc::make_mut(departure).handed_in_by = Some("Boss@msp.example".into());
    let mut statement = evidence::statement(&w.history()).unwrap();
    let named = |s: &evidence::Statement| s.predicate.approvals.iter().all(|a| a.by_who_handed_in);
    assert!(named(&statement));
    let key = SigningKey::from_bytes(&[9; 32]);
    let verified = |s: &evidence::Statement| evidence::verify(&evidence::seal(s, &key), &key.verifying_key());
    verified(&statement).unwrap();
    for a in &mut statement.predicate.approvals {
        a.by_who_handed_in = false;
    }
    verified(&statement).unwrap_err();
    // Nor is one in which somebody else is said to have been let.
    for a in &mut statement.predicate.approvals {
        (a.by_who_handed_in, a.by) = (true, "lead@msp.example".into());
    }
    verified(&statement).unwrap_err();
}

/// An older program overlooks the name, and writes the request without it.
#[test]
fn a_change_that_an_older_program_wrote_frees_nobody_to_approve() {
    let handed_in = Departure {
        handed_in_by: Some("bob@msp.example".into()),
        ..by("hr@acme.example", T0.plus(10 * DAY_MS))
    };
    let mut w = World::with(handed_in, Policy::default());
    w.drain();
    let older = Event::CaseAmended {
        departure: Arc::new(by("hr@acme.example", T0.plus(9 * DAY_MS))),
        by: Some("hr@acme.example".into()),
        handed_in_by: None,
    };
    w.take(&[(w.now, older)]);
    assert_eq!(w.case().departure.effective_at, T0.plus(9 * DAY_MS));
    let refused = w.order(approve(&w, "bob@msp.example"));
    assert!(matches!(refused, Err(Refusal::SamePerson(_))), "{refused:?}");
}

#[test]
fn who_hands_a_change_in_is_not_said_to_have_made_it() {
    let mut w = planned();
    let changed = Departure {
        handed_in_by: Some("tech@msp.example".into()),
        ..by("hr@acme.example", T0.plus(9 * DAY_MS))
    };
    w.order(open(changed)).unwrap();
    let only = |who: &str| [who.to_owned()].into();
    assert_eq!(w.case().amended_by, only("hr@acme.example"));
    assert_eq!(w.case().changes_handed_in_by, only("tech@msp.example"));
    // Neither decides about it, nor in the case that this one may be merged into.
    let both = ["hr@acme.example".to_owned(), "tech@msp.example".to_owned()];
    assert_eq!(w.case().changed_by(), both.into());
}

#[test]
fn what_was_asked_before_is_not_heard_after_what_is_asked_now() {
    let mut w = planned();
    let (old, new) = (T0.plus(2 * DAY_MS), T0.plus(5 * DAY_MS));
    w.order(join_at(T0.plus(2), by("lead@acme.example", new))).unwrap();
    assert_eq!(w.order(join_at(T0.plus(1), by("lead@acme.example", old))).unwrap(), []);
    assert_eq!(w.case().effective_at(), new);
    // Nor after it was called off.
    let off = Command::Leave {
        case: OTHER,
        asked_at: T0.plus(3),
    };
    w.order(off).unwrap();
    assert_eq!(w.order(join_at(T0.plus(1), by("lead@acme.example", old))).unwrap(), []);
    assert_eq!(w.case().effective_at(), T0.plus(10 * DAY_MS));
}

#[test]
fn who_changed_the_other_request_does_not_decide_either() {
    let mut w = planned();
    let joins = Command::Join {
        case: OTHER,
        asked_at: T0,
        departure: Arc::new(by("lead@acme.example", T0)),
        amended_by: ["tech@msp.example".to_owned()].into(),
        retention: Retention::default(),
    };
    w.order(joins).unwrap();
    let refused = w.order(approve(&w, "tech@msp.example"));
    assert!(matches!(refused, Err(Refusal::SamePerson(_))), "{refused:?}");
}

/// A history from before cases spoke with each other: what was over stays over.
#[test]
fn a_case_that_was_merged_before_this_was_known_tells_nobody() {
    let w = merged();
    let mut old = World::new();
    let history: Vec<(Timestamp, Event)> = w.events.clone();
    let history: Vec<(Timestamp, Event)> = history
        .into_iter()
        .map(|(at, event)| match event {
            Event::CaseMerged { into, .. } => (at, Event::CaseMerged { into, tells: false }),
            other => (at, other),
        })
        .collect();
    old.take(&history);
    assert!(old.case().is_over());
    assert_eq!(next(old.case(), old.now, &old.gates).wake, None);
}

#[test]
fn what_is_cut_again_at_the_end_is_cut_in_its_order() {
    let mut w = World::with_in_flight(Kind::ObserveIdentity, Manner::Immediate);
    let area = w.id(Kind::ObserveIdentity);
    let checks = w.case().assignment(area).unwrap().checks;
    let results = checks.iter().map(|c| {
        let opened = c.kind == Kind::DisableSignIn;
        let facts = if opened {
            Facts::new().with("enabled", true)
        } else {
            good(c.kind)
        };
        Checked {
            task: c.task,
            observation: seen(facts),
        }
    });
    let said = Said::Checked {
        results: results.collect(),
    };
    let report = w.report(area, said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(w.task(Kind::DisableSignIn).in_flight().is_some());
    assert!(
        w.task(Kind::RevokeSessions).in_flight().is_none(),
        "revoked before the account is disabled again"
    );
}

#[test]
fn a_mailbox_that_is_gone_at_the_end_is_not_kept() {
    let mut w = World::with_in_flight(Kind::ObserveMailbox, Manner::Immediate);
    let kind = Kind::ConvertToShared;
    let area = w.id(Kind::ObserveMailbox);
    let checks = w.case().assignment(area).unwrap().checks;
    let results = checks.iter().map(|c| {
        let gone = Facts::new().with("mailbox_exists", false);
        Checked {
            task: c.task,
            observation: seen(if c.kind == kind { gone } else { good(c.kind) }),
        }
    });
    let said = Said::Checked {
        results: results.collect(),
    };
    let report = w.report(area, said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(
        matches!(w.task(kind).state, TaskState::Failed { .. }),
        "{:?}",
        w.task(kind).state
    );
}

#[test]
fn what_was_read_long_before_he_leaves_is_read_once_more_then() {
    let mut w = approved();
    assert_eq!(w.task(Kind::DiscoverDevices).attempt, 1);
    // A laptop that he was given meanwhile.
    w.finds = company_laptop();
    w.pass(10 * DAY_MS);
    for kind in [
        Kind::SnapshotAccess,
        Kind::DiscoverDevices,
        Kind::SnapshotDirectory,
        Kind::SnapshotMailbox,
    ] {
        assert_eq!(w.task(kind).attempt, 2, "{kind}");
    }
    assert_eq!(written(&w), [], "a role that he was given meanwhile goes unrecorded");
    w.answer(Kind::SnapshotAccess);
    assert_eq!(
        written(&w),
        [Kind::RemoveDirectoryRoles],
        "the burst waits for nothing else of it"
    );
    w.drain();
    assert!(w.case().has(Kind::WipeDevice));
    assert_eq!(
        stands(&w, Kind::ApprovePlan),
        Standing::WaitsForPerson,
        "nobody has approved that"
    );
    assert_eq!(w.task(Kind::EscrowRecoveryKeys).attempt, 1);
    w.pass(DAY_MS);
    assert_eq!(
        w.task(Kind::DiscoverDevices).attempt,
        2,
        "it is read anew again and again"
    );
    w.run_to_sealing();
}

/// Nobody looked at the case while his day went by: the reading anew has its minutes from
/// when it was asked for, so that nothing is recorded that was taken away beside it.
#[test]
fn a_day_that_is_noticed_late_is_recorded_before_anything_is_taken() {
    let mut w = approved();
    w.pass(10 * DAY_MS + 3_600_000);
    assert!(w.task(Kind::SnapshotAccess).in_flight().is_some());
    assert_eq!(written(&w), [], "beside the reading anew");
    w.pass(4 * MINUTE_MS);
    assert_eq!(written(&w), []);
    w.pass(MINUTE_MS);
    assert!(!written(&w).is_empty(), "it holds nothing for longer");
}

/// What was recorded weeks ago is a record all the same: roles wait for the new one for
/// minutes, as the rest of the burst does, and what is no part of the burst waits longer.
#[test]
fn a_reading_that_fails_on_the_last_day_holds_roles_and_access_for_minutes() {
    for class in [FaultClass::Transient, FaultClass::Denied] {
        let mut w = approved();
        w.pass(10 * DAY_MS);
        let fails = |w: &mut World| {
            if w.task(Kind::SnapshotAccess).in_flight().is_some() {
                let report = w.report(w.id(Kind::SnapshotAccess), fault(class));
                w.order(Command::RecordReport(Box::new(report))).unwrap();
            }
        };
        fails(&mut w);
        let is_for_a_person = class == FaultClass::Denied;
        assert_eq!(!written(&w).is_empty(), is_for_a_person, "{class:?}");
        for _ in 0..5 {
            w.pass(MINUTE_MS);
            fails(&mut w);
        }
        w.drain_but(Kind::SnapshotAccess);
        assert!(!w.task(Kind::SnapshotAccess).is_settled());
        for kind in [
            Kind::RemoveDirectoryRoles,
            Kind::DisableSignIn,
            Kind::ResetPassword,
            Kind::RevokeSessions,
        ] {
            assert!(w.task(kind).is_settled(), "{class:?}: {kind}");
        }
        assert_eq!(w.task(Kind::RemoveAuthMethods).attempt, 0, "{class:?}");
    }
}

/// The directory is down on the day, the burst goes ahead with the record of weeks ago, and
/// what is read after it lacks the roles that were taken away: it is no record of them.
#[test]
fn a_record_that_is_read_after_the_burst_is_beside_the_earlier_one_and_not_in_its_place() {
    let kind = Kind::SnapshotAccess;
    let roles = |ids: &[&str]| {
        seen(Facts::new().with("role_ids", ids.iter().map(ToString::to_string).collect::<Vec<String>>()))
    };
    for late in [false, true] {
        let mut w = approved();
        let record = w.task(kind).before.clone().unwrap();
        // Nobody looked at the case while his day went by.
        w.pass(10 * DAY_MS + HOUR_MS);
        for _ in 0..10 {
            if !late || !written(&w).is_empty() {
                break;
            }
            if w.task(kind).in_flight().is_some() {
                let report = w.report(w.id(kind), fault(FaultClass::Transient));
                w.order(Command::RecordReport(Box::new(report))).unwrap();
            }
            w.pass(MINUTE_MS);
        }
        for _ in 0..24 {
            w.drain_but(kind);
            if w.task(kind).in_flight().is_some() {
                break;
            }
            w.pass(HOUR_MS);
        }
        assert_eq!(written(&w).is_empty(), !late);
        let ids: &[&str] = if late { &[] } else { &["r-1", "r-2"] };
        let read = roles(ids);
        w.reads(kind, &read);
        let (before, after) = (w.task(kind).before.clone(), w.task(kind).after.clone());
        assert_eq!(after.as_deref(), Some(&read), "what is read last is told");
        let stays = if late { &*record } else { &read };
        assert_eq!(before.as_deref(), Some(stays), "late: {late}");
        w.run_to_sealing();
    }
}

/// Before the departure's time nothing is written, so that no record can be of after it; and a
/// role that he was given until then is to be in it.
#[test]
fn a_history_that_was_lost_before_anything_can_have_been_written_holds_no_record_fast() {
    let kind = Kind::SnapshotAccess;
    let read = seen(Facts::new().with("role_ids", vec!["r-1".to_owned()]));
    for (lost_early, put_off) in [(true, false), (false, false), (false, true)] {
        let mut w = approved();
        let record = w.task(kind).before.clone().unwrap();
        let lose = |w: &mut World| {
            let known = w.case().version + 3;
            w.order(Command::RecordLoss { known, parted: false }).unwrap();
        };
        if lost_early {
            lose(&mut w);
            w.drain();
        }
        w.pass(10 * DAY_MS);
        if !lost_early {
            lose(&mut w);
        }
        if put_off {
            w.order(open(by("hr@acme.example", T0.plus(20 * DAY_MS)))).unwrap();
        }
        assert!(w.task(kind).in_flight().is_some());
        assert_eq!(written(&w), []);
        w.reads(kind, &read);
        let stays = if lost_early { &read } else { &*record };
        assert_eq!(w.task(kind).before.as_deref(), Some(stays), "{lost_early}, {put_off}");
    }
}

/// What was begun when its time had come, and is lost, was begun whatever it was put off to before
/// anybody knew. Put off in time, nothing was.
#[test]
fn a_record_is_held_fast_where_it_was_put_off_only_when_its_time_had_come() {
    let kind = Kind::SnapshotAccess;
    let read = seen(Facts::new().with("role_ids", vec!["r-1".to_owned()]));
    for (days, in_time) in [(9, true), (10, false)] {
        let mut w = approved();
        let record = w.task(kind).before.clone().unwrap();
        w.pass(days * DAY_MS);
        w.order(open(by("hr@acme.example", T0.plus(20 * DAY_MS)))).unwrap();
        w.pass(2 * DAY_MS);
        let known = w.case().version + 3;
        w.order(Command::RecordLoss { known, parted: false }).unwrap();
        assert!(w.task(kind).in_flight().is_some());
        assert_eq!(written(&w), []);
        w.reads(kind, &read);
        let stays = if in_time { &read } else { &*record };
        assert_eq!(w.task(kind).before.as_deref(), Some(stays), "in time: {in_time}");
    }
}

/// What is freed is what was held before the first release, also when the directory has to be
/// read again after it.
#[test]
fn a_pool_is_proven_by_what_was_held_before_a_history_was_lost() {
    let mut w = World::opened(Manner::Immediate);
    let held = |skus: &[&str], consumed: i64| {
        let skus: Vec<String> = skus.iter().map(ToString::to_string).collect();
        seen(Facts::new().with("sku_ids", skus).with("consumed_units/e3", consumed))
    };
    // Everything goes well, and the directory says this, until the pool is to be proven.
    let to_the_pool = |w: &mut World, read: &Observation| {
        for _ in 0..500 {
            if w.case().in_flight_of(Kind::ProvePool) > 0 {
                return w.case().assignment(w.id(Kind::ProvePool)).unwrap().params;
            }
            let Some(id) = w.in_flight().first().copied() else {
                w.a_person_or_time(10 * MINUTE_MS);
                continue;
            };
            let report = match w.case().tasks[&id].kind() {
                Kind::SnapshotDirectory => {
                    let said = Said::Satisfied {
                        before: read.clone(),
                        after: read.clone(),
                    };
                    w.report(id, said)
                }
                _ => w.truthful(id),
            };
            w.order(Command::RecordReport(Box::new(report))).unwrap();
        }
        panic!("no pool is to be proven");
    };
    let first = to_the_pool(&mut w, &held(&["e3"], 6));
    assert_eq!(first.list("held_sku_ids"), Some(&["e3".to_owned()][..]));
    let ahead = Report {
        version: w.case().version + 3,
        ..w.truthful(w.id(Kind::ProvePool))
    };
    w.order(Command::RecordReport(Box::new(ahead))).unwrap();
    let since = to_the_pool(&mut w, &held(&[], 5));
    assert_eq!(since.list("held_sku_ids"), first.list("held_sku_ids"));
    assert_eq!(since.int("consumed_before/e3"), Some(6));
    assert_eq!(w.task(Kind::SnapshotDirectory).after.as_deref(), Some(&held(&[], 5)));
}

/// A permission that is missing for one of the readings keeps nobody from approving the
/// rest, and no planned leaver signed in.
#[test]
fn a_plan_can_be_approved_although_a_part_of_what_there_is_may_not_be_read() {
    for kind in [
        Kind::SnapshotAccess,
        Kind::SnapshotDirectory,
        Kind::SnapshotMailbox,
        Kind::DiscoverDevices,
    ] {
        let mut w = World::opened(Manner::Planned);
        w.drain_but(kind);
        assert!(matches!(stands(&w, Kind::ApprovePlan), Standing::WaitsFor(_)), "{kind}");
        let report = w.report(w.id(kind), fault(FaultClass::Denied));
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        assert_eq!(stands(&w, Kind::ApprovePlan), Standing::WaitsForPerson, "{kind}");
        w.approve();
        w.pass(HOUR_MS);
        w.drain();
        for cut in [Kind::DisableSignIn, Kind::ResetPassword, Kind::RevokeSessions] {
            assert!(w.task(cut).is_settled(), "{kind}: {cut}");
        }
        let unread: &[Kind] = match kind {
            Kind::SnapshotAccess => &[Kind::RemoveDirectoryRoles, Kind::RemoveAuthMethods],
            Kind::SnapshotDirectory => &[Kind::RemoveOauthGrants, Kind::RemoveGroupMemberships],
            Kind::SnapshotMailbox => &[Kind::BlockProtocols, Kind::RemoveInboxRules, Kind::ConvertToShared],
            _ => &[Kind::ConvertToShared, Kind::ReleaseGroupLicenses],
        };
        for waits in unread {
            assert_eq!(w.task(*waits).attempt, 0, "{kind}: {waits}");
        }
        // Granted afterwards, it is read, and nobody has to approve anew.
        w.order(Command::Retry {
            task: None,
            by: "tech@msp.example".into(),
        })
        .unwrap();
        w.drain();
        assert!(
            w.task(kind).is_settled() && w.task(Kind::ApprovePlan).is_settled(),
            "{kind}"
        );
        w.run_to_sealing();
    }
}

/// A directory that is down on the last day keeps nobody from deciding, and what is
/// decided is done.
#[test]
fn a_plan_can_be_approved_while_what_it_rests_on_is_read_once_more() {
    let mut w = planned();
    w.pass(10 * DAY_MS);
    for kind in [Kind::DiscoverDevices, Kind::SnapshotDirectory] {
        assert_eq!(w.task(kind).attempt, 2, "{kind}");
        let report = w.report(w.id(kind), fault(FaultClass::Transient));
        w.order(Command::RecordReport(Box::new(report))).unwrap();
    }
    assert_eq!(stands(&w, Kind::ApprovePlan), Standing::WaitsForPerson);
    w.approve();
    w.answer(Kind::SnapshotAccess);
    assert_eq!(written(&w), [Kind::RemoveDirectoryRoles]);
    // What the reading finds that he was not shown is asked for by itself.
    w.finds = company_laptop();
    w.drain();
    w.pass(HOUR_MS);
    w.drain();
    assert!(w.case().has(Kind::WipeDevice));
    assert!(w.task(Kind::DisableSignIn).is_settled());
    assert_eq!(stands(&w, Kind::ApprovePlan), Standing::WaitsForPerson);
    w.run_to_sealing();
}

#[test]
fn what_was_read_before_the_first_write_is_not_read_anew_when_it_is_put_off_after_it() {
    let mut w = approved();
    w.pass(10 * DAY_MS);
    w.answer(Kind::SnapshotAccess);
    assert_eq!(written(&w), [Kind::RemoveDirectoryRoles]);
    w.drain();
    let read = w.task(Kind::SnapshotDirectory).attempt;
    w.order(open(by("tech@msp.example", w.now.plus(5 * DAY_MS)))).unwrap();
    w.pass(5 * DAY_MS);
    w.drain();
    assert_eq!(w.task(Kind::SnapshotDirectory).attempt, read);
}

/// Something may have been written in the history that is lost.
#[test]
fn what_was_read_after_a_loss_is_not_read_anew_when_it_is_put_off() {
    let mut w = approved();
    w.pass(10 * DAY_MS);
    let kept = w.case.clone();
    w.answer(Kind::SnapshotAccess);
    assert_eq!(written(&w), [Kind::RemoveDirectoryRoles]);
    let known = w.case().version;
    w.case = kept;
    w.order(Command::RecordLoss { known, parted: false }).unwrap();
    w.order(open(by("tech@msp.example", w.now.plus(5 * DAY_MS)))).unwrap();
    w.drain();
    assert_eq!(written(&w), [], "or this test shows nothing");
    let read = w.task(Kind::SnapshotDirectory).attempt;
    assert!(w.task(Kind::SnapshotDirectory).is_settled());
    w.pass(5 * DAY_MS);
    w.drain();
    assert_eq!(w.task(Kind::SnapshotDirectory).attempt, read);
}

/// See decision 30: a report of what was seen, and no decision.
#[test]
fn who_asked_may_validate_and_who_leaves_may_not() {
    let mut w = World::opened(Manner::Immediate);
    w.run_until(|w| w.case().has(Kind::Validate) && stands(w, Kind::Validate) == Standing::WaitsForPerson);
    let validate = |w: &World, who: &str| Command::Attest {
        task: w.id(Kind::Validate),
        by: who.into(),
        file: None,
        ending: None,
        note: String::new(),
    };
    let refused = w.order(validate(&w, "leaver@acme.example"));
    assert!(matches!(refused, Err(Refusal::IsTheLeaver(_))), "{refused:?}");
    w.order(validate(&w, "hr@acme.example")).unwrap();
    w.run_to_sealing();
}
