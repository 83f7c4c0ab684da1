//! Two requests for one person: what the second asks for is done by the first
//! case, and it goes on by itself when that is called off; also when a process
//! dies on the way.

use crate::rig::*;
use offboard_domain::departure::{Departure, Manner};
use offboard_domain::keeping::Retention;
use offboard_domain::time::{DAY_MS, HOUR_MS};
use offboard_domain::{CaseId, CaseState, Command, Event, Kind, TenantId, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;

fn with_one_tenant() -> (World, TenantId) {
    let acme = tenant("acme");
    (World::new([(acme.clone(), terms(CUT))]), acme)
}

/// The same person's departure under another reference, and by somebody else.
fn second(world: &World, acme: &TenantId) -> Departure {
    Departure {
        reference: Some("HR-2".into()),
        requested_by: "lead@acme.example".into(),
        ..world.departure(acme, "HR-1")
    }
}

/// The same for a day to come.
fn second_in_days(world: &World, acme: &TenantId, days: i64) -> Departure {
    Departure {
        manner: Manner::Planned,
        effective_at: world.now().plus(days * DAY_MS),
        ..second(world, acme)
    }
}

/// In ten days, and found.
async fn planned(world: &World, acme: &TenantId, dispatcher: &Dispatcher) -> CaseId {
    let mut departure = world.departure(acme, "HR-1");
    departure.manner = Manner::Planned;
    departure.effective_at = world.now().plus(10 * DAY_MS);
    let first = dispatcher.engine.submit(departure).await.unwrap().case();
    until("it is planned", MINUTE, async || {
        world.case(acme, first).await.state == CaseState::Active
    })
    .await;
    first
}

fn cancel() -> Command {
    Command::Cancel {
        by: "boss@msp.example".into(),
        reason: "he stays".into(),
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_to_go_at_once_after_all_goes_at_once() {
    let (world, acme) = with_one_tenant();
    let _closer = world.closer();
    let _worker = world.worker();
    let dispatcher = world.dispatcher().await;
    let first = planned(&world, &acme, &dispatcher).await;
    let before = world.now();
    let other = dispatcher.engine.submit(second(&world, &acme)).await.unwrap().case();
    until("he is cut", HOUR_MS, async || {
        world.case(&acme, first).await.state == CaseState::Closed
    })
    .await;
    assert!(world.now().since(before) < HOUR_MS);
    let merged = world.case(&acme, other).await;
    assert_eq!(merged.state, CaseState::Merged { into: first });
    assert!(merged.is_over(), "it is still to be told");
    let view = dispatcher.engine.view(&acme, first).await.unwrap();
    assert_eq!(view.joined.len(), 1);
    assert_eq!(view.joined[0].requested_by, "lead@acme.example");
}

#[tokio::test(start_paused = true)]
async fn the_second_goes_on_by_itself_when_the_first_is_called_off_also_over_a_crash() {
    for crashes in [false, true] {
        let (world, acme) = with_one_tenant();
        let _closer = world.closer();
        let _worker = world.worker();
        let mut dispatcher = world.dispatcher().await;
        let first = planned(&world, &acme, &dispatcher).await;
        let later = second_in_days(&world, &acme, 5);
        let other = dispatcher.engine.submit(later).await.unwrap().case();
        until("it is merged", MINUTE, async || {
            world.case(&acme, other).await.is_over()
        })
        .await;
        assert_eq!(
            world.case(&acme, first).await.effective_at(),
            world.case(&acme, other).await.effective_at()
        );
        dispatcher.engine.order(&acme, first, cancel()).await.unwrap();
        if crashes {
            drop(dispatcher.die().await);
            pass(HOUR_MS).await;
            dispatcher = world.dispatcher().await;
        }
        until("the second goes on", HOUR_MS, async || {
            world.case(&acme, other).await.state == CaseState::Active
        })
        .await;
        until("the first is over", HOUR_MS, async || {
            world.case(&acme, first).await.is_over()
        })
        .await;
        pass(6 * DAY_MS).await;
        let done = world.case(&acme, other).await;
        assert_eq!(done.state, CaseState::Closed, "crashes: {crashes}");
        assert!(task(&done, Kind::DisableSignIn).is_settled());
        assert_eq!(world.case(&acme, first).await.state, CaseState::Cancelled);
        drop(dispatcher);
    }
}

#[tokio::test(start_paused = true)]
async fn a_merged_request_that_changes_or_is_called_off_is_told_again() {
    let (world, acme) = with_one_tenant();
    let _closer = world.closer();
    let _worker = world.worker();
    let dispatcher = world.dispatcher().await;
    let first = planned(&world, &acme, &dispatcher).await;
    let later = second_in_days(&world, &acme, 5);
    let other = dispatcher.engine.submit(later.clone()).await.unwrap().case();
    let own = world.case(&acme, first).await.effective_at();
    let known = async |wanted: Timestamp| {
        until("the first knows", MINUTE, async || {
            world.case(&acme, other).await.is_over() && world.case(&acme, first).await.effective_at() == wanted
        })
        .await;
    };
    known(later.effective_at).await;
    let sooner = Departure {
        effective_at: later.effective_at.plus(-DAY_MS),
        ..later.clone()
    };
    dispatcher.engine.submit(sooner).await.unwrap();
    known(later.effective_at.plus(-DAY_MS)).await;
    dispatcher.engine.order(&acme, other, cancel()).await.unwrap();
    known(own).await;
    // It does not come back.
    dispatcher.engine.order(&acme, first, cancel()).await.unwrap();
    until("both are over", HOUR_MS, async || {
        world.case(&acme, first).await.is_over() && world.case(&acme, other).await.is_over()
    })
    .await;
    assert_eq!(world.case(&acme, other).await.state, CaseState::Cancelled);
    let events = world.events(&acme, other).await;
    let asked = events.iter().filter(|(_, e)| matches!(e, Event::MergeUndone { .. }));
    assert_eq!(asked.count(), 0);
}

/// Told again after a crash between the two histories, it is known once.
#[tokio::test(start_paused = true)]
async fn what_was_told_and_not_written_down_is_told_again_and_known_once() {
    let (world, acme) = with_one_tenant();
    let _worker = world.worker();
    let dispatcher = world.dispatcher().await;
    let first = planned(&world, &acme, &dispatcher).await;
    let later = second_in_days(&world, &acme, 5);
    let join = Command::Join {
        case: later.case_id(),
        asked_at: world.now().plus(-1),
        departure: Arc::new(later.clone()),
        amended_by: BTreeSet::new(),
        retention: Retention::default(),
    };
    dispatcher.engine.order(&acme, first, join).await.unwrap();
    let other = dispatcher.engine.submit(later).await.unwrap().case();
    until("it is merged", MINUTE, async || {
        world.case(&acme, other).await.is_over()
    })
    .await;
    let events = world.events(&acme, first).await;
    let joined = events.iter().filter(|(_, e)| matches!(e, Event::RequestJoined { .. }));
    assert_eq!(joined.count(), 1);
}

/// Nobody's machine here puts mailboxes on hold: a person is asked, and what closes the
/// case waits for him; until the second is called off.
#[tokio::test(start_paused = true)]
async fn what_the_second_wants_kept_is_asked_for_in_the_first() {
    let (world, acme) = with_one_tenant();
    let _closer = world.closer();
    let _worker = world.worker();
    let dispatcher = world.dispatcher().await;
    let first = planned(&world, &acme, &dispatcher).await;
    let mut wants = second_in_days(&world, &acme, 10);
    wants.choices.legal_hold = Some(true);
    let other = dispatcher.engine.submit(wants).await.unwrap().case();
    until("it is asked for", MINUTE, async || {
        world.case(&acme, first).await.has(Kind::DecidePreservation)
    })
    .await;
    let view = dispatcher.engine.view(&acme, first).await.unwrap();
    let need = view.needs.iter().find(|n| n.kind == Kind::DecidePreservation).unwrap();
    for said in ["lead@acme.example", "legal hold", &other.to_string()] {
        assert!(need.why.contains(said), "{}", need.why);
    }
    assert_eq!(view.joined[0].wants, ["the mailbox on legal hold"]);
    pass(11 * DAY_MS).await;
    let waits = world.case(&acme, first).await;
    assert!(task(&waits, Kind::DisableSignIn).is_settled());
    assert_eq!(waits.state, CaseState::Active, "nobody has decided");
    dispatcher.engine.order(&acme, other, cancel()).await.unwrap();
    until("it is closed", HOUR_MS, async || {
        world.case(&acme, first).await.state == CaseState::Closed
    })
    .await;
}
