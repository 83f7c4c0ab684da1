//! What leaves a shared ledger, and what a ledger that lost something is told
//! about it: from the store, from a report that is ahead of it, from whoever
//! stood further. What is lost is read again; only what must not happen twice
//! asks a person, and only where reading does not tell.

use crate::rig::*;
use offboard_dispatcher::accounts::Accounts;
use offboard_dispatcher::{Engine, Keeping, Submitted};
use offboard_domain::departure::PersonRef;
use offboard_domain::time::{DAY_MS, HOUR_MS};
use offboard_domain::{
    CaseId, CaseState, Command, Departure, Digest, Event, Kind, Mode, Outcome, Rule, Said, TaskState, TenantId,
};
use offboard_ledger::Ledger as _;
use offboard_store::Store;
use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const KEPT: Keeping = Keeping {
    archive_after_ms: HOUR_MS,
};

fn keeping(kinds: &[Kind]) -> (World, TenantId) {
    let acme = tenant("acme");
    let mut world = World::new([(acme.clone(), terms(kinds))]);
    world.keeping = Some(KEPT);
    (world, acme)
}

async fn names(world: &World, folder: &str) -> Vec<String> {
    let files = world.store.list(folder).await.unwrap();
    files.into_iter().map(|f| f.path).collect()
}

async fn losses(world: &World, tenant: &TenantId, case: CaseId) -> usize {
    let events = world.events(tenant, case).await;
    events
        .iter()
        .filter(|(_, e)| matches!(e, Event::TailLost { .. }))
        .count()
}

fn opening(tenant: &TenantId, case: CaseId) -> String {
    format!("openings/{}/{tenant}/{case}.json", T0.0 / DAY_MS)
}

#[tokio::test(start_paused = true)]
async fn a_closed_case_goes_to_the_archive_and_is_read_from_there() {
    let (world, acme) = keeping(CUT);
    let _closer = world.closer();
    let _worker = world.worker();
    let dispatcher = world.dispatcher().await;
    let departure = world.departure(&acme, "HR-1");
    let case = dispatcher.engine.submit(departure).await.unwrap().case();
    assert_eq!(names(&world, "openings").await, [opening(&acme, case)]);
    world.all_closed(MINUTE).await;
    let closed = world.case(&acme, case).await;
    let sealed = closed.version - 1;
    let heads = names(&world, "heads").await;
    assert_eq!(heads, [format!("heads/{acme}/{case}/{sealed:08}")]);
    let head = world.store.get_named(&heads[0]).await.unwrap();
    let records = world.ledger.inner.read(&acme, case, 1).await.unwrap().records;
    let at_the_seal = records.iter().find(|r| r.version == sealed).unwrap();
    assert_eq!(String::from_utf8(head.to_vec()).unwrap(), at_the_seal.hash.to_string());

    pass(59 * MINUTE).await;
    assert_eq!(names(&world, "archive").await, [""; 0], "not before its time");
    assert_eq!(
        world.ledger.inner.read(&acme, case, 1).await.unwrap().records.len(),
        records.len()
    );
    pass(2 * MINUTE).await;
    let left = world.ledger.inner.read(&acme, case, 1).await.unwrap();
    assert_eq!((left.records.len(), left.trimmed), (0, Some(closed.version)));
    let archived = names(&world, "archive").await;
    let last = closed.version;
    assert_eq!(archived, [format!("archive/{acme}/{case}/00000001-{last:08}.jsonl")]);
    let entry = world.index(&acme, case).await.unwrap();
    assert_eq!(
        (entry.state.as_str(), entry.version, entry.wake),
        ("closed", last, None)
    );
    let read = world.case(&acme, case).await;
    assert_eq!(format!("{read:?}"), format!("{closed:?}"), "nobody notices");
    assert_eq!(dispatcher.engine.held(), 0);

    // A late report finds it there, is kept, and goes the same way.
    let order = world.ordered(Kind::DisableSignIn).pop().unwrap();
    let late = order.report(
        world.now(),
        fault(&order.assignment, offboard_domain::FaultClass::Unknown),
    );
    world.send(&acme, order.message(&late)).await;
    pass(2 * HOUR_MS).await;
    let read = world.case(&acme, case).await;
    assert_eq!((read.version, &read.state), (last + 1, &CaseState::Closed));
    let left = world.ledger.inner.read(&acme, case, 1).await.unwrap();
    assert_eq!((left.records.len(), left.trimmed), (0, Some(last + 1)));
}

#[tokio::test(start_paused = true)]
async fn an_archive_that_is_damaged_is_not_taken_for_history() {
    let (world, acme) = keeping(SHORT);
    let _closer = world.closer();
    let _worker = world.worker();
    let dispatcher = world.dispatcher().await;
    let departure = world.departure(&acme, "HR-1");
    let case = dispatcher.engine.submit(departure).await.unwrap().case();
    world.all_closed(MINUTE).await;
    pass(2 * HOUR_MS).await;
    let file = world.folder().join("store").join(&names(&world, "archive").await[0]);
    let whole = fs::read_to_string(&file).unwrap();
    let mut lines: Vec<&str> = whole.lines().collect();
    let second = lines.remove(1);
    for damaged in [
        lines.join("\n"),
        whole.replace(second, &second.replacen("\"body\":\"ey", "\"body\":\"eX", 1)),
        String::new(),
    ] {
        fs::write(&file, damaged).unwrap();
        let refused = dispatcher.engine.case(&acme, case).await.unwrap_err().to_string();
        assert!(refused.contains("restore"), "{refused}");
    }
    fs::write(&file, whole).unwrap();
    dispatcher.engine.case(&acme, case).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_departure_counts_as_accepted_only_when_it_is_in_the_store_too() {
    let (world, acme) = keeping(SHORT);
    let _closer = world.closer();
    let _worker = world.worker();
    let dispatcher = world.dispatcher().await;
    // Where the folder would be is something else.
    let in_the_way = world.folder().join("store").join("openings");
    fs::write(&in_the_way, "").unwrap();
    let departure = world.departure(&acme, "HR-1");
    let refused = dispatcher.engine.submit(departure.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("store"), "{refused}");
    fs::remove_file(&in_the_way).unwrap();
    let again = dispatcher.engine.submit(departure).await.unwrap();
    let Submitted::Known(case) = again else {
        panic!("{again:?}")
    };
    assert_eq!(names(&world, "openings").await, [opening(&acme, case)]);
    world.all_closed(MINUTE).await;
}

/// A case with a wipe that is ordered once, and where it stands then.
async fn wiped(world: &World, dispatcher: &Dispatcher, tenant: &TenantId) -> CaseId {
    let departure = world.departure(tenant, "HR-1");
    let case = dispatcher.engine.submit(departure).await.unwrap().case();
    until("the wipe is found", MINUTE, async || {
        let case = world.case(tenant, case).await;
        case.tasks.values().any(|t| t.kind() == Kind::WipeDevice)
    })
    .await;
    world.approve_wipes(&dispatcher.engine).await;
    until("the wipe is ordered", MINUTE, async || {
        world.ordered(Kind::WipeDevice).len() == 1
    })
    .await;
    case
}

/// Answers all but the wipes, which it leaves to the test.
fn all_but_wipes(world: &World) -> Running {
    world.worker_who(0, |a| {
        (a.kind != Kind::WipeDevice || a.mode == Mode::ObserveOnly).then(|| truth(a))
    })
}

#[tokio::test(start_paused = true)]
async fn a_case_that_vanished_whole_is_put_back_and_everything_is_read_again() {
    let (world, acme) = keeping(WIPE);
    let _closer = world.closer();
    let _worker = world.worker();
    let one = world.member("one", world.clock.clone());
    until("it owns all", MINUTE, async || one.owned() == [0]).await;
    let case = wiped(&world, &one, &acme).await;
    world.all_closed(MINUTE).await;
    one.die().await;
    let before = world.ordered(Kind::DisableSignIn).len();
    assert_eq!(world.ledger.inner.lose_tail(&acme, case, usize::MAX), 0);
    assert_eq!(world.listed().await, []);

    let two = world.member("two", world.clock.clone());
    until("it is put back", MINUTE, async || {
        world.index(&acme, case).await.is_some()
    })
    .await;
    until("the wipe is found again", MINUTE, async || {
        let case = world.case(&acme, case).await;
        case.tasks.values().any(|t| t.kind() == Kind::WipeDevice)
    })
    .await;
    world.approve_wipes(&two.engine).await;
    world.all_closed(10 * MINUTE).await;
    assert_eq!(losses(&world, &acme, case).await, 1);
    assert_eq!(world.ordered(Kind::DisableSignIn).len(), before + 1, "it is done again");
    let wipes: Vec<Mode> = world
        .ordered(Kind::WipeDevice)
        .iter()
        .map(|o| o.assignment.mode)
        .collect();
    assert_eq!(
        wipes,
        [Mode::Full, Mode::ObserveOnly],
        "what must not happen twice is read"
    );
    let closed = world.case(&acme, case).await;
    assert_eq!(task(&closed, Kind::WipeDevice).outcome(), Some(&Outcome::Verified));
    // It is found once.
    pass(20 * MINUTE).await;
    assert_eq!(world.case(&acme, case).await.version, closed.version);
    two.is_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_sealed_head_tells_of_a_lost_tail_once_and_the_case_is_sealed_anew() {
    let (world, acme) = keeping(WIPE);
    let _closer = world.closer();
    let worker = world.worker();
    let one = world.dispatcher().await;
    let case = wiped(&world, &one, &acme).await;
    world.all_closed(MINUTE).await;
    let evidence = world.case(&acme, case).await.evidence;
    let sealed = world.case(&acme, case).await.version - 1;
    one.die().await;
    drop(worker);
    // The wipe's report and all that came after it.
    let events = world.events(&acme, case).await;
    let mut lost = 0;
    while world.case(&acme, case).await.version + 6 > sealed {
        world.ledger.inner.lose_tail(&acme, case, 1);
        lost += 1;
    }
    assert!(lost > 1, "{events:?}");
    let two = world.member("two", world.clock.clone());
    // Nobody answers for a while, and it is looked for losses again and again.
    pass(18 * MINUTE).await;
    assert_eq!(losses(&world, &acme, case).await, 1, "it is noticed, once");
    let now = world.case(&acme, case).await;
    let unknown = |t: &&Arc<offboard_domain::Task>| t.kind() != Kind::Resolve && t.is_settled();
    assert_eq!(now.tasks.values().filter(unknown).count(), 0, "nothing counts as done");
    let _worker = world.worker();
    world.all_closed(30 * MINUTE).await;
    let full = world.ordered(Kind::WipeDevice);
    assert_eq!(full.iter().filter(|o| o.assignment.mode == Mode::Full).count(), 1);
    let again = world.case(&acme, case).await;
    assert_ne!(again.evidence, evidence, "the evidence says what was lost");
    two.is_idle().await;
}

/// Nothing is appended to a case between its last round and its seal.
#[tokio::test(start_paused = true)]
async fn a_case_that_waits_for_the_closer_is_looked_for_and_its_lost_end_is_met() {
    let (world, acme) = keeping(WIPE);
    let _worker = world.worker();
    let one = world.dispatcher().await;
    let case = wiped(&world, &one, &acme).await;
    until("it is to be sealed", 30 * MINUTE, async || {
        world.case(&acme, case).await.is_to_be_sealed()
    })
    .await;
    world.ledger.inner.lose_tail(&acme, case, 1);
    let _closer = world.closer();
    until("the loss is met", 2 * MINUTE, async || {
        losses(&world, &acme, case).await == 1
    })
    .await;
    world.all_closed(30 * MINUTE).await;
    assert_eq!(losses(&world, &acme, case).await, 1);
    world.assert_once();
    one.is_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_report_from_ahead_of_the_ledger_proves_its_loss_and_nothing_is_wiped_twice() {
    let (world, acme) = keeping(WIPE);
    let _closer = world.closer();
    let worker = all_but_wipes(&world);
    let one = world.dispatcher().await;
    let case = wiped(&world, &one, &acme).await;
    let order = world.order(&acme, Kind::WipeDevice).await;
    one.die().await;
    let before = world.case(&acme, case).await.version;
    world.ledger.inner.lose_tail(&acme, case, 1);
    assert!(world.case(&acme, case).await.version < before);
    // The approval went as well: nothing is ordered by itself.
    let two = world.dispatcher().await;
    pass(MINUTE).await;
    assert_eq!(world.ordered(Kind::WipeDevice).len(), 1);
    world.answer(&order).await;
    until("the loss is written down", MINUTE, async || {
        losses(&world, &acme, case).await == 1
    })
    .await;
    // That what is kept of the case shows its loss first makes the report no less true.
    until("the report is on record", MINUTE, async || {
        let events = world.events(&acme, case).await;
        events
            .iter()
            .any(|(_, e)| matches!(e, Event::LateReport { attempt: 1, .. }))
    })
    .await;
    world.approve_wipes(&two.engine).await;
    world.all_closed(10 * MINUTE).await;
    world.assert_once();
    // What is kept of the case showed its loss when it was taken up; whoever has an order
    // of before that answers it, and tells of no other.
    assert_eq!(losses(&world, &acme, case).await, 1);
    let wipes: Vec<Mode> = world
        .ordered(Kind::WipeDevice)
        .iter()
        .map(|o| o.assignment.mode)
        .collect();
    assert_eq!(wipes, [Mode::Full, Mode::ObserveOnly]);
    two.is_idle().await;
    drop(worker);
}

#[tokio::test(start_paused = true)]
async fn after_a_loss_only_what_must_not_happen_twice_asks_a_person_where_reading_does_not_tell() {
    let (world, acme) = keeping(WIPE);
    let _closer = world.closer();
    let blind = Arc::new(AtomicBool::new(true));
    let sees = blind.clone();
    let _worker = world.worker_who(0, move |a| match a.mode {
        Mode::ObserveOnly if sees.load(Ordering::Relaxed) => {
            let mut observation = seen(a.kind, &a.params, false);
            observation.facts.set("conclusive", false);
            Some(Said::Observed { observation })
        }
        _ => Some(truth(a)),
    });
    let one = world.dispatcher().await;
    let case = wiped(&world, &one, &acme).await;
    world.all_closed(MINUTE).await;
    one.die().await;
    // All but its beginnings is lost.
    while world.case(&acme, case).await.tasks.len() > 1 {
        world.ledger.inner.lose_tail(&acme, case, 1);
    }
    let two = world.dispatcher().await;
    assert_eq!(losses(&world, &acme, case).await, 1, "before anything is done for it");
    assert_eq!(two.engine.find_losses(0).await.unwrap(), 0, "it is found once");
    until("the wipe is found again", MINUTE, async || {
        let case = world.case(&acme, case).await;
        case.tasks.values().any(|t| t.kind() == Kind::WipeDevice)
    })
    .await;
    world.approve_wipes(&two.engine).await;
    pass(30 * MINUTE).await;
    let now = world.case(&acme, case).await;
    let open: BTreeSet<Kind> = now
        .tasks
        .values()
        .filter(|t| !t.is_settled())
        .map(|t| t.kind())
        .collect();
    assert_eq!(open, [Kind::WipeDevice].into(), "all else was read again by itself");
    assert!(
        matches!(&task(&now, Kind::WipeDevice).state, TaskState::Failed { rule, .. } if *rule == Rule::InconclusiveOnce),
        "{:?}",
        task(&now, Kind::WipeDevice).state
    );
    assert!(world.index(&acme, case).await.unwrap().needs_person);
    // Somebody has looked, and it shows now.
    blind.store(false, Ordering::Relaxed);
    let by = "boss@msp.example".to_owned();
    let retry = Command::Retry { task: None, by };
    two.engine.order(&acme, case, retry).await.unwrap();
    world.all_closed(10 * MINUTE).await;
    world.assert_once();
}

#[tokio::test(start_paused = true)]
async fn a_dispatcher_that_stood_further_than_the_ledger_says_so() {
    let (world, acme) = keeping(WIPE);
    let _closer = world.closer();
    let worker = all_but_wipes(&world);
    let dispatcher = world.dispatcher().await;
    let case = wiped(&world, &dispatcher, &acme).await;
    let order = world.order(&acme, Kind::WipeDevice).await;
    until("only the wipe is out", MINUTE, async || {
        in_flight(&world.case(&acme, case).await).len() == 1
    })
    .await;
    // It goes on, and the ledger has forgotten.
    world.ledger.inner.lose_tail(&acme, case, 2);
    world.answer(&order).await;
    until("the loss is written down", MINUTE, async || {
        losses(&world, &acme, case).await == 1
    })
    .await;
    world.approve_wipes(&dispatcher.engine).await;
    world.all_closed(10 * MINUTE).await;
    world.assert_once();
    assert_eq!(losses(&world, &acme, case).await, 1);
    dispatcher.is_idle().await;
    drop(worker);
}

#[tokio::test(start_paused = true)]
async fn a_case_that_vanished_and_was_submitted_again_is_known_to_have_been_there() {
    for days in [0, 1] {
        let (world, acme) = keeping(WIPE);
        let _closer = world.closer();
        let _worker = world.worker();
        let one = world.dispatcher().await;
        let case = wiped(&world, &one, &acme).await;
        world.all_closed(MINUTE).await;
        one.die().await;
        world.ledger.inner.lose_tail(&acme, case, usize::MAX);
        pass(days * DAY_MS + MINUTE).await;
        // The export comes again before anybody has looked for losses.
        let two = world.dispatcher().await;
        let again = Departure {
            requested_at: world.now(),
            ..world.departure(&acme, "HR-1")
        };
        let again = two.engine.submit(again).await.unwrap();
        assert_eq!(again.case(), case);
        two.engine.find_losses(0).await.unwrap();
        assert_eq!(losses(&world, &acme, case).await, 1, "{days} days later");
        until("the wipe is found again", MINUTE, async || {
            let case = world.case(&acme, case).await;
            case.tasks.values().any(|t| t.kind() == Kind::WipeDevice)
        })
        .await;
        world.approve_wipes(&two.engine).await;
        world.all_closed(10 * MINUTE).await;
        world.assert_once();
        assert_eq!(two.engine.find_losses(0).await.unwrap(), 0, "it is found once");
    }
}

/// What was lost and what came instead may be sealed at the same version.
#[tokio::test(start_paused = true)]
async fn two_histories_of_one_case_are_sealed_side_by_side() {
    let (world, acme) = keeping(CUT);
    let _closer = world.closer();
    let one = world.dispatcher().await;
    let departure = world.departure(&acme, "HR-1");
    let case = one.engine.submit(departure.clone()).await.unwrap().case();
    // An amendment, which neither the opening nor the store knows, makes up for the loss's own
    // record.
    let amended = Departure {
        person: PersonRef {
            display_name: Some("Another Spelling".into()),
            ..departure.person.clone()
        },
        ..departure
    };
    assert_eq!(one.engine.submit(amended).await.unwrap(), Submitted::Amended(case));
    fs::remove_dir_all(world.folder().join("store").join("orders")).unwrap();
    let _worker = world.worker();
    world.all_closed(MINUTE).await;
    let first = world.case(&acme, case).await;
    one.die().await;
    world.ledger.inner.lose_tail(&acme, case, usize::MAX);
    let two = world.dispatcher().await;
    assert_eq!(two.engine.find_losses(0).await.unwrap(), 1);
    world.all_closed(10 * MINUTE).await;
    let second = world.case(&acme, case).await;
    assert_eq!(second.version, first.version, "or this test shows nothing");
    assert_ne!(second.head, first.head);
    // Both envelopes are there, each under its own name.
    let mut kept = BTreeSet::new();
    let accounts = Accounts::of(&acme, case, first.opened_at);
    let evidence = Store::folder(&world.folder().join("evidence")).unwrap();
    let [folder, _] = accounts.folders();
    for file in evidence.list(folder).await.unwrap() {
        if accounts.are(&file.path) {
            kept.insert(Digest::of(&evidence.get_named(&file.path).await.unwrap()));
        }
    }
    let named: BTreeSet<Digest> = [first.evidence, second.evidence].into_iter().flatten().collect();
    assert_eq!(kept, named);
    assert_eq!(names(&world, "heads").await.len(), 2);
    assert_eq!(two.engine.find_losses(0).await.unwrap(), 0);
}

/// What a look for losses costs.
async fn look(world: &World, engine: &Arc<Engine>) -> (usize, u64) {
    let before = world.ledger.reads();
    let found = engine.find_losses(0).await.unwrap();
    (found, world.ledger.reads() - before)
}

#[tokio::test(start_paused = true)]
async fn what_was_looked_at_is_not_read_again_while_the_ledger_has_lost_nothing() {
    const CASES: u64 = 50;
    let (world, acme) = keeping(CUT);
    let dispatcher = world.dispatcher().await;
    let engine = &dispatcher.engine;
    let mut cases = Vec::new();
    for n in 0..CASES {
        let departure = world.departure(&acme, &format!("HR-{n}"));
        cases.push(engine.submit(departure).await.unwrap().case());
    }
    // Nothing is known of the ledger yet: all of it is read.
    assert_eq!(look(&world, engine).await, (0, CASES));
    assert_eq!(look(&world, engine).await, (0, 0));

    let late = engine.submit(world.departure(&acme, "HR-late")).await.unwrap().case();
    assert_eq!(look(&world, engine).await, (0, 1), "only what came since");
    pass(DAY_MS).await;
    assert_eq!(look(&world, engine).await, (0, 0));

    // What came since the mark may be lost and the mark be there.
    let lost = engine.submit(world.departure(&acme, "HR-lost")).await.unwrap().case();
    assert!(world.ledger.inner.lose_tail(&acme, lost, usize::MAX) == 0);
    assert_eq!(look(&world, engine).await.0, 1);
    assert_eq!(losses(&world, &acme, lost).await, 1);
    assert_eq!(look(&world, engine).await, (0, 0));

    // The ledger comes back from before the mark: whatever it lost is found.
    for case in [cases[7], late] {
        world.ledger.inner.lose_tail(&acme, case, usize::MAX);
    }
    world.ledger.inner.lose_gates();
    assert_eq!(look(&world, engine).await.0, 2);
    for case in [cases[7], late] {
        assert_eq!(losses(&world, &acme, case).await, 1);
    }
    assert_eq!(look(&world, engine).await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_sealed_case_whose_end_is_lost_after_a_look_is_found_by_the_next() {
    let (world, acme) = keeping(CUT);
    let _closer = world.closer();
    let _worker = world.worker();
    let dispatcher = world.dispatcher().await;
    let engine = &dispatcher.engine;
    let case = engine.submit(world.departure(&acme, "HR-1")).await.unwrap().case();
    assert_eq!(look(&world, engine).await.0, 0);
    world.all_closed(MINUTE).await;
    until("its end is known here", MINUTE, async || engine.held() == 0).await;
    world.ledger.inner.lose_tail(&acme, case, 3);
    assert_eq!(look(&world, engine).await.0, 1);
    world.all_closed(10 * MINUTE).await;
    assert_eq!(losses(&world, &acme, case).await, 1);
}
