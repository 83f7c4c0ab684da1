//! What becomes of a device's recovery keys where a person must see to some.

use crate::attempts::drive::{Desk, End, NEVER, Todo, setting};
use crate::attempts::fake::State;
use crate::attempts::fake::state::CANARY;
use offboard_connectors::RecoveryKeySort;
use offboard_domain::{Fact, FaultClass, Kind, Mode, Report, Said};
use offboard_runtime::keys::EscrowMaster;
use serde_json::Value;

#[tokio::test(start_paused = true)]
async fn a_key_that_is_withheld_is_for_a_person_and_the_others_are_kept_all_the_same() {
    let (mut state, todo) = setting(Kind::EscrowRecoveryKeys);
    state.devices.get_mut("m-company").unwrap().keys_withheld = vec![RecoveryKeySort::Disk];
    let mut desk = Desk::new(state);
    let report = desk.once(&todo).await;
    let Said::Fault { fault } = &report.said else {
        panic!("{:?}", report.said)
    };
    assert_eq!(fault.class, FaultClass::Blocked);
    assert!(
        fault.detail.contains("FileVault") && fault.detail.contains("waive"),
        "{fault}"
    );
    let facts = report.seen.unwrap().facts;
    assert_eq!(facts.get("keys_withheld"), Some(&Fact::List(vec!["disk".to_owned()])));
    assert_eq!(facts.bool("escrow_complete"), Some(false));
    assert_eq!(
        (facts.int("key_count"), facts.int("escrowed_count")),
        (Some(1), Some(1))
    );

    let [artifact] = report.artifacts.as_slice() else {
        panic!("{:?}", report.artifacts)
    };
    let sealed = desk.context.store.get(artifact.digest).await.unwrap();
    let key = EscrowMaster::from_bytes([7; 32]).tenant(&report.tenant);
    let opened = key.open(&format!("{}/m-company", report.case), &sealed).unwrap();
    assert!(String::from_utf8_lossy(&opened).contains(&format!("{CANARY}-recovery-company")));
}

#[tokio::test(start_paused = true)]
async fn a_device_without_keys_is_done_and_one_whose_only_key_is_withheld_is_not() {
    for (withheld, done) in [(Vec::new(), true), (vec![RecoveryKeySort::Disk], false)] {
        let (mut state, todo) = setting(Kind::EscrowRecoveryKeys);
        let row = state.devices.get_mut("m-company").unwrap();
        row.keys.clear();
        row.keys_withheld = withheld;
        let mut desk = Desk::new(state);
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert_eq!(matches!(end, End::Settled(_)), done, "{end:?}");
        assert!(desk.reports.iter().all(|report| report.artifacts.is_empty()));
    }
}

/// One empty list is no proof: a key that comes late is kept, and without one a person looks.
#[tokio::test(start_paused = true)]
async fn a_key_that_an_encrypted_disk_must_have_is_looked_for_again_and_then_by_a_person() {
    for comes in [true, false] {
        let (mut state, mut todo) = setting(Kind::EscrowRecoveryKeys);
        let row = state.devices.get_mut("m-company").unwrap();
        (row.keys, row.encrypted) = (Vec::new(), true);
        let mut desk = Desk::new(state);
        let report = desk.once(&todo).await;
        let Said::Wait { until, checkpoint, .. } = report.said else {
            panic!("{:?}", report.said)
        };
        todo.checkpoint = checkpoint;
        desk.fake.clock.to(until.plus(10 * 60_000));
        if comes {
            desk.fake.edit(|s| {
                let row = s.devices.get_mut("m-company").unwrap();
                row.keys = vec![("k-late".to_owned(), format!("{CANARY}-late"))];
            });
        }
        let report = desk.once(&todo).await;
        if comes {
            assert!(matches!(report.said, Said::Satisfied { .. }), "{:?}", report.said);
            assert_eq!(report.artifacts.len(), 1);
            continue;
        }
        let Said::Fault { fault } = &report.said else {
            panic!("{:?}", report.said)
        };
        assert_eq!(fault.class, FaultClass::Blocked);
        assert!(fault.detail.contains("no recovery key"), "{fault}");
    }
}

/// A Mac of the company's that is to be wiped.
fn mac() -> (State, Todo) {
    let (mut state, todo) = setting(Kind::WipeDevice);
    let row = state.devices.get_mut("m-company").unwrap();
    row.managed.as_mut().unwrap().operating_system = Some("macOS".to_owned());
    (state, todo)
}

/// The code that the order brought.
fn sent(desk: &Desk) -> Option<String> {
    let state = desk.fake.now();
    let code = state.devices["m-company"].wiped_with?;
    Some(code.digits().expose().to_owned())
}

/// The codes that reports say are in the escrow, each once.
async fn kept(desk: &Desk, reports: &[Report]) -> Vec<String> {
    let mut codes = Vec::new();
    for (report, artifact) in reports.iter().flat_map(|r| r.artifacts.iter().map(move |a| (r, a))) {
        let sealed = desk.context.store.get(artifact.digest).await.unwrap();
        let key = EscrowMaster::from_bytes([7; 32]).tenant(&report.tenant);
        let opened = key.open(&format!("{}/m-company", report.case), &sealed).unwrap();
        let line: Value = serde_json::from_slice(&opened).unwrap();
        assert_eq!(line["sort"], "wiped_mac");
        codes.push(line["key"].as_str().unwrap().to_owned());
    }
    codes.dedup();
    codes
}

#[tokio::test(start_paused = true)]
async fn the_code_of_a_wiped_mac_is_in_the_escrow_and_nowhere_else() {
    let (state, todo) = mac();
    let mut desk = Desk::new(state);
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    let code = sent(&desk).unwrap();
    assert!(code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit()));
    assert_eq!(kept(&desk, &desk.reports).await, [code.as_str()]);
    let with_it = desk.reports.iter().filter(|r| !r.artifacts.is_empty()).count();
    assert_eq!(with_it, 1, "it is not said anew at each look");
    let told = serde_json::to_string(&desk.reports).unwrap();
    assert!(!told.contains(&format!("\"{code}\"")));
    assert!(desk.writes().iter().all(|w| !w.contains(&code)));
}

#[tokio::test(start_paused = true)]
async fn whenever_a_worker_dies_the_escrow_has_the_code_that_was_sent() {
    let mut codes = Vec::new();
    for n in 1.. {
        let (state, todo) = mac();
        let mut desk = Desk::new(state);
        let mut polls = n;
        let end = desk.settle(todo, &mut polls).await;
        assert!(matches!(end, End::Settled(_)), "death at {n}: {end:?}");
        let code = sent(&desk).unwrap();
        assert_eq!(kept(&desk, &desk.reports).await, [code.as_str()], "death at {n}");
        codes.push(code);
        if polls != 0 {
            break;
        }
    }
    codes.dedup();
    assert_eq!(codes.len(), 1, "one device, one code");
}

/// Else nobody would know where the code of an order is whose worker died.
#[tokio::test(start_paused = true)]
async fn a_report_says_where_the_code_is_before_the_order_is_sent() {
    let (state, mut todo) = mac();
    let mut desk = Desk::new(state);
    let report = desk.once(&todo).await;
    let Said::Progress { checkpoint } = &report.said else {
        panic!("{:?}", report.said)
    };
    assert_eq!(report.artifacts.len(), 1);
    assert_eq!((sent(&desk), desk.writes().len()), (None, 0));

    // Another worker's key makes another code of it: the first one is not the one to be sent.
    todo.checkpoint = Some(checkpoint.clone());
    desk.context.escrow = Some(EscrowMaster::from_bytes([8; 32]));
    let report = desk.once(&todo).await;
    let Said::Fault { fault } = &report.said else {
        panic!("{:?}", report.said)
    };
    assert_eq!(fault.class, FaultClass::Transient);
    assert!(fault.detail.contains("same escrow key"), "{fault}");
    assert!(report.artifacts.len() == 1 && desk.writes().is_empty());
    todo.checkpoint.clone_from(&report.remembered);
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    let sealed = desk.context.store.get(report.artifacts[0].digest).await.unwrap();
    let key = EscrowMaster::from_bytes([8; 32]).tenant(&report.tenant);
    let opened = key.open(&format!("{}/m-company", report.case), &sealed).unwrap();
    let line: Value = serde_json::from_slice(&opened).unwrap();
    assert_eq!(line["key"].as_str(), sent(&desk).as_deref());
}

/// Who kept the code, and said so, has sent nothing: nobody need look for that.
#[tokio::test(start_paused = true)]
async fn what_a_report_says_was_not_sent_is_not_looked_for() {
    let (state, mut todo) = mac();
    let mut desk = Desk::new(state);
    todo.attempt = 1;
    let Said::Progress { checkpoint } = desk.once(&todo).await.said else {
        panic!("it keeps the code first")
    };
    (todo.checkpoint, todo.mode) = (Some(checkpoint.clone()), Mode::ObserveOnly);
    // Whoever only looks has sent nothing either, also where he is asked to wait.
    let mut handed_on = vec![checkpoint];
    for attempt in [2, 3] {
        todo.attempt = attempt;
        {
            let mut world = desk.fake.lock();
            // Readings fail once something was written, which here somebody else did.
            world.writes.push("of somebody else".to_owned());
            (world.reads_fail, world.reads_meet) = (1, FaultClass::Throttled { retry_after_ms: None });
        }
        let report = desk.once(&todo).await;
        assert!(
            matches!(&report.said, Said::Fault { fault } if matches!(fault.class, FaultClass::Throttled { .. })),
            "{:?}",
            report.said
        );
        handed_on.push(report.remembered.unwrap());
        todo.checkpoint = handed_on.last().cloned();
    }
    // Of another attempt in between nobody has heard.
    for (attempt, nth, known) in [(2, 0, true), (3, 1, true), (4, 2, true), (3, 0, false), (4, 1, false)] {
        todo.attempt = attempt;
        todo.checkpoint = Some(handed_on[nth].clone());
        let said = desk.once(&todo).await.said;
        match (known, said) {
            (true, Said::Observed { observation }) => {
                assert_eq!(observation.facts.bool("conclusive"), Some(true));
            }
            (false, Said::Wait { .. }) => {}
            (_, said) => panic!("{attempt} after {nth}: {said:?}"),
        }
    }
}

/// Somebody's own, or an older worker's: nobody here knows what it was sent with.
#[tokio::test(start_paused = true)]
async fn of_an_order_that_was_not_sent_here_no_code_is_kept() {
    let (state, todo) = mac();
    let mut desk = Desk::new(state);
    let now_ms = desk.now().0;
    desk.fake.edit(|s| s.order("m-company", "wipe", now_ms));
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    assert!(desk.writes().is_empty());
    assert!(desk.reports.iter().all(|report| report.artifacts.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn without_an_escrow_no_mac_is_wiped_and_anything_else_is() {
    let (state, todo) = mac();
    let mut desk = Desk::new(state);
    desk.context.escrow = None;
    let report = desk.once(&todo).await;
    let Said::Fault { fault } = &report.said else {
        panic!("{:?}", report.said)
    };
    assert_eq!(fault.class, FaultClass::Denied);
    assert!(
        fault.detail.contains("nothing was ordered") && fault.detail.contains("keys create"),
        "{fault}"
    );
    assert!(desk.writes().is_empty());

    let (state, todo) = setting(Kind::WipeDevice);
    let mut desk = Desk::new(state);
    desk.context.escrow = None;
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    assert!(sent(&desk).is_none() && desk.reports.iter().all(|r| r.artifacts.is_empty()));
}
