//! What becomes of a device's recovery keys where a person must see to some.

use crate::attempts::drive::{Desk, End, NEVER, setting};
use crate::attempts::fake::state::CANARY;
use offboard_connectors::RecoveryKeySort;
use offboard_domain::{Fact, FaultClass, Kind, Said};
use offboard_runtime::keys::EscrowMaster;

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
