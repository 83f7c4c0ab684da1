//! A desk beside a case: what it has not done when the case is closed is held,
//! tried again, survives a restart, and holds neither the person nor the account.

use crate::moody::{Mood, Moody};
use crate::rig::*;
use offboard_dispatcher::{Keeping, Submitted};
use offboard_domain::catalogue::Closes;
use offboard_domain::catalogue::desk::{EVIDENCE, KINDS};
use offboard_domain::time::{DAY_MS, HOUR_MS};
use offboard_domain::{CaseId, CaseState, Command, Digest, FaultClass, Kind, Outcome, TaskState, TenantId};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn with_a_desk() -> (World, TenantId) {
    let acme = tenant("acme");
    let terms = terms_of(&[(m365(), CUT), (system("psa"), KINDS)]);
    let mut world = World::new([(acme.clone(), terms)]);
    world.keeping = Some(Keeping {
        archive_after_ms: HOUR_MS,
    });
    (world, acme)
}

/// What a departure's own ticket is told.
fn of_a_departure() -> impl DoubleEndedIterator<Item = Kind> {
    let all = KINDS.iter().copied();
    all.filter(|k| k.spec().closes != Closes::Instead)
}

/// A worker whose desk is away while it is said so.
fn worker(world: &World, away: &Arc<AtomicBool>) -> Running {
    let away = away.clone();
    world.worker_who(0, move |a| {
        if KINDS.contains(&a.kind) && away.load(Ordering::Relaxed) {
            return Some(fault(a, FaultClass::Transient));
        }
        Some(truth(a))
    })
}

async fn closed_with_its_desk_away(world: &World, acme: &TenantId, dispatcher: &Dispatcher) -> CaseId {
    let departure = world.departure(acme, "HR-1");
    let case = dispatcher.engine.submit(departure).await.unwrap().case();
    world.all_closed(MINUTE).await;
    case
}

async fn all_done(world: &World, acme: &TenantId, case: CaseId) -> bool {
    world.case(acme, case).await.is_over()
}

#[tokio::test(start_paused = true)]
async fn a_case_closes_without_its_desk_and_tells_it_later_also_by_another_process() {
    let (world, acme) = with_a_desk();
    let away = Arc::new(AtomicBool::new(true));
    let _closer = world.closer();
    let _worker = worker(&world, &away);
    let dispatcher = world.dispatcher().await;
    let case = closed_with_its_desk_away(&world, &acme, &dispatcher).await;
    let closed = world.case(&acme, case).await;
    let evidence = closed.evidence.unwrap();
    let entry = world.index(&acme, case).await.unwrap();
    assert!(!entry.ended && !entry.needs_person, "{entry:?}");
    // The person is not held by it: he may come back, and leave again.
    let mut again = world.departure(&acme, "HR-1");
    again.reference = Some("HR-2".into());
    let submitted = dispatcher.engine.submit(again).await.unwrap();
    assert!(matches!(submitted, Submitted::Opened(_)), "{submitted:?}");
    world.all_closed(MINUTE).await;
    let second = world.case(&acme, submitted.case()).await;
    assert_eq!(second.state, CaseState::Closed);

    drop(dispatcher.die().await);
    pass(6 * HOUR_MS).await;
    let dispatcher = world.dispatcher().await;
    away.store(false, Ordering::Relaxed);
    until("the desk is told", DAY_MS, async || {
        all_done(&world, &acme, case).await && all_done(&world, &acme, submitted.case()).await
    })
    .await;
    let done = world.case(&acme, case).await;
    for kind in of_a_departure() {
        assert_eq!(task(&done, kind).outcome(), Some(&Outcome::Verified), "{kind}");
    }
    assert_eq!(done.evidence, Some(evidence), "one account");
    // What is attached is the sealed account itself, and the worker can have it.
    let ordered = world.ordered(Kind::AttachEvidence);
    let ours = ordered.iter().find(|o| o.assignment.case == case).unwrap();
    let digest: Digest = ours.assignment.params.text(EVIDENCE).unwrap().parse().unwrap();
    assert_eq!(digest, evidence);
    let bytes = world.store.get(digest).await.unwrap();
    assert_eq!(Digest::of(&bytes), evidence);
    // Then it leaves the memory, and the ledger for the archive, with all of it.
    until("it is let go", MINUTE, async || dispatcher.engine.held() == 0).await;
    pass(3 * HOUR_MS).await;
    let files = world.store.list(&format!("archive/{acme}/{case}")).await.unwrap();
    assert_eq!(files.len(), 1);
    assert_eq!(world.case(&acme, case).await.version, done.version);
}

#[tokio::test(start_paused = true)]
async fn the_worker_of_a_desk_at_a_site_finds_the_account_in_the_place_of_its_site() {
    let acme = tenant("acme");
    let mut terms = terms_of(&[(m365(), CUT), (system("psa"), KINDS)]);
    terms.sites.insert(system("psa"), "berlin".to_owned());
    let world = World::new([(acme.clone(), terms)]);
    let _closer = world.closer();
    let _worker = world.worker();
    let _berlin = world.worker_at(Some("berlin"), 0, |a| Some(truth(a)));
    let dispatcher = world.dispatcher().await;
    let case = closed_with_its_desk_away(&world, &acme, &dispatcher).await;
    until("the desk is told", DAY_MS, async || all_done(&world, &acme, case).await).await;
    let evidence = world.case(&acme, case).await.evidence.unwrap();
    let given = world.store.site("berlin").unwrap().get(evidence).await.unwrap();
    assert_eq!(Digest::of(&given), evidence);
    let elsewhere = world.store.site("paris").unwrap().get(evidence).await;
    assert!(elsewhere.is_err(), "it is nobody else's");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_holds_no_order_for_a_site_back_and_gives_what_it_needs_when_it_answers() {
    let acme = tenant("acme");
    let mut terms = terms_of(&[(m365(), CUT), (system("psa"), KINDS)]);
    terms.sites.insert(system("psa"), "berlin".to_owned());
    let mut world = World::new([(acme.clone(), terms)]);
    let store = Moody::in_place_of(&mut world);
    let away = Arc::new(AtomicBool::new(true));
    let is_away = away.clone();
    let _closer = world.closer();
    let _worker = world.worker();
    let _berlin = world.worker_at(Some("berlin"), 0, move |a| {
        Some(match is_away.load(Ordering::Relaxed) {
            true => fault(a, FaultClass::Transient),
            false => truth(a),
        })
    });
    let dispatcher = world.dispatcher().await;
    let case = closed_with_its_desk_away(&world, &acme, &dispatcher).await;
    let ordered = || !world.ordered(Kind::AttachEvidence).is_empty();
    assert!(!ordered(), "or this test shows nothing");
    store.is(Mood::Hangs);
    away.store(false, Ordering::Relaxed);
    until("it is ordered all the same", DAY_MS, async || ordered()).await;
    let evidence = world.case(&acme, case).await.evidence.unwrap();
    store.is(Mood::Answers);
    let place = world.store.site("berlin").unwrap();
    until("it is put there", SECOND, async || place.get(evidence).await.is_ok()).await;
}

#[tokio::test(start_paused = true)]
async fn a_person_hears_of_a_desk_that_stays_away_and_can_go_without() {
    let (world, acme) = with_a_desk();
    let away = Arc::new(AtomicBool::new(true));
    let _closer = world.closer();
    let _worker = worker(&world, &away);
    let dispatcher = world.dispatcher().await;
    let case = closed_with_its_desk_away(&world, &acme, &dispatcher).await;
    until("a person is needed", 10 * DAY_MS, async || {
        world.index(&acme, case).await.unwrap().needs_person
    })
    .await;
    let held = world.case(&acme, case).await;
    assert!(matches!(task(&held, Kind::OpenTicket).state, TaskState::Failed { .. }));
    let view = offboard_dispatcher::view::view(&held, world.now(), &offboard_domain::Gates::open());
    assert_eq!(view.needs.len(), 1, "{:?}", view.needs);
    // He waives all of it; a waiver that runs out is asked for no more.
    let end = world.now().plus(HOUR_MS);
    for kind in of_a_departure().rev() {
        let order = Command::Waive {
            task: task(&held, kind).id(),
            by: "boss@msp.example".into(),
            reason: "another desk".into(),
            until: end,
        };
        dispatcher.engine.order(&acme, case, order).await.unwrap();
    }
    until("it is over", MINUTE, async || all_done(&world, &acme, case).await).await;
    until("it is let go", MINUTE, async || dispatcher.engine.held() == 0).await;
    pass(DAY_MS).await;
    assert_eq!(world.listed().await.len(), 1, "no linked case follows");
}

/// A waiver of the case's own that runs out while the desk keeps the closed case in
/// memory is taken up as ever: by one linked case, once.
#[tokio::test(start_paused = true)]
async fn a_waiver_runs_out_while_a_closed_case_is_held_for_its_desk() {
    let (world, acme) = with_a_desk();
    let refused = Arc::new(AtomicBool::new(true));
    let refuses = refused.clone();
    let _closer = world.closer();
    let _worker = world.worker_who(0, move |a| {
        let roles = a.kind == Kind::RemoveDirectoryRoles && refuses.load(Ordering::Relaxed);
        Some(match a.kind {
            kind if KINDS.contains(&kind) => fault(a, FaultClass::Transient),
            _ if roles => fault(a, FaultClass::Unsupported),
            _ => truth(a),
        })
    });
    let dispatcher = world.dispatcher().await;
    let departure = world.departure(&acme, "HR-1");
    let case = dispatcher.engine.submit(departure).await.unwrap().case();
    until("a person is needed", MINUTE, async || {
        let now = world.case(&acme, case).await;
        find(&now, Kind::RemoveDirectoryRoles).is_some_and(|t| matches!(t.state, TaskState::Failed { .. }))
    })
    .await;
    let waived = world.case(&acme, case).await;
    let order = Command::Waive {
        task: task(&waived, Kind::RemoveDirectoryRoles).id(),
        by: "boss@msp.example".into(),
        reason: "the role goes by itself".into(),
        until: world.now().plus(2 * HOUR_MS),
    };
    dispatcher.engine.order(&acme, case, order).await.unwrap();
    world.all_closed(MINUTE).await;
    assert_eq!(dispatcher.engine.held(), 1, "its desk is still to be told");
    refused.store(false, Ordering::Relaxed);
    pass(HOUR_MS).await;
    assert_eq!(world.listed().await.len(), 1, "not before its time");
    until("a linked case takes it up", 2 * HOUR_MS, async || {
        world.listed().await.len() == 2
    })
    .await;
    pass(HOUR_MS).await;
    assert_eq!(world.listed().await.len(), 2, "once");
    let closed = world.case(&acme, case).await;
    assert_eq!((closed.followed_up.len(), &closed.state), (1, &CaseState::Closed));
}
