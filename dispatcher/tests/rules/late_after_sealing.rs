//! A worker that answers when nobody waits for it any more: what it says is kept, and the
//! account, which reaches to the last record that changed anything, stays the same file.

use crate::rig::*;
use ed25519_dalek::SigningKey;
use offboard_dispatcher::Closer;
use offboard_domain::evidence::{self, Statement};
use offboard_domain::time::HOUR_MS;
use offboard_domain::{CaseId, CaseState, Event, FaultClass, Kind, TenantId};
use offboard_store::Store;

/// A departure that is ready to be sealed, with a worker's order of long ago.
async fn to_be_sealed(world: &World, acme: &TenantId, dispatcher: &Dispatcher, reference: &str) -> (CaseId, Order) {
    let departure = world.departure(acme, reference);
    let case = dispatcher.engine.submit(departure).await.unwrap().case();
    until("it is ready to be sealed", HOUR_MS, async || {
        world.case(acme, case).await.state == CaseState::Sealing
    })
    .await;
    let mut orders = world.ordered_for(acme, Kind::SnapshotAccess);
    orders.retain(|order| order.assignment.case == case);
    (case, orders.remove(0))
}

/// The worker says something else than it did: that is kept, and changes nothing.
async fn comes_late(world: &World, acme: &TenantId, case: CaseId, order: &Order, class: FaultClass) {
    let before = world.case(acme, case).await;
    world.answer_with(order, fault(&order.assignment, class)).await;
    until("it is kept", MINUTE, async || {
        world.case(acme, case).await.version > before.version
    })
    .await;
    let events = world.events(acme, case).await;
    assert!(matches!(events.last(), Some((_, Event::LateReport { .. }))));
    let after = world.case(acme, case).await;
    assert_eq!((after.state, after.evidence), (before.state, before.evidence));
}

#[tokio::test(start_paused = true)]
async fn a_report_after_the_seal_was_ordered_changes_no_account_and_both_verify() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(CUT))]);
    let dispatcher = world.dispatcher().await;
    let _worker = world.worker();
    let key = SigningKey::from_bytes(&[9; 32]);
    let folder = world.folder().join("evidence");
    let closer = Closer::new(world.engine(), key.clone(), Store::folder(&folder).unwrap());
    let read = |name: &str| -> Statement {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        evidence::verify(&bytes, &key.verifying_key()).unwrap()
    };

    let (quiet, _) = to_be_sealed(&world, &acme, &dispatcher, "HR-1").await;
    let ready = world.case(&acme, quiet).await;
    assert_eq!(ready.account_to().version, ready.version, "nothing came after it");
    let plain = closer.seal(&acme, quiet).await.unwrap().unwrap();
    assert_eq!(read(&plain.name).predicate.case, quiet);

    let (late, order) = to_be_sealed(&world, &acme, &dispatcher, "HR-2").await;
    let ordered = world.case(&acme, late).await.account_to();
    comes_late(&world, &acme, late, &order, FaultClass::Transient).await;
    let ready = world.case(&acme, late).await;
    assert_eq!(ready.account_to(), ordered, "what was ordered to be sealed is sealed");
    assert!(ready.version > ordered.version);
    let sealed = closer.seal(&acme, late).await.unwrap().unwrap();
    assert!(sealed.name.ends_with(&format!("{late}-{}.dsse.json", ordered.version)));
    let told = read(&sealed.name);
    assert_eq!(told.predicate.case, late);
    let closed = world.case(&acme, late).await;
    assert_eq!(
        (closed.state, closed.evidence),
        (CaseState::Closed, Some(sealed.digest))
    );
    // Its closing stands further than one record behind what was sealed.
    assert!(closed.version > ordered.version + 1);

    // And once it is closed: the file and what the case says of it stay.
    comes_late(&world, &acme, late, &order, FaultClass::Denied).await;
    assert_eq!(closer.seal(&acme, late).await.unwrap(), None);
    assert_eq!(read(&sealed.name), told);
    assert_eq!(world.case(&acme, late).await.closed_at, closed.closed_at);
}

#[tokio::test(start_paused = true)]
async fn evidence_that_cannot_be_written_is_told_of_until_it_can_be() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(CUT))]);
    let dispatcher = world.dispatcher().await;
    let _worker = world.worker();
    let engine = world.engine();
    let folder = world.folder().join("evidence");
    let key = SigningKey::from_bytes(&[9; 32]);
    let closer = Closer::new(engine.clone(), key, Store::folder(&folder).unwrap());
    let (case, _) = to_be_sealed(&world, &acme, &dispatcher, "HR-1").await;
    // A file stands where the client's folder is to be.
    let in_the_way = folder.join("acme");
    std::fs::write(&in_the_way, "").unwrap();
    closer.seal(&acme, case).await.unwrap_err();
    let told = engine.unwritten();
    let places: Vec<&str> = told.iter().map(|u| u.place.as_str()).collect();
    assert_eq!(places, ["evidence store"]);
    std::fs::remove_file(&in_the_way).unwrap();
    closer.seal(&acme, case).await.unwrap().unwrap();
    assert!(engine.unwritten().is_empty());
}
