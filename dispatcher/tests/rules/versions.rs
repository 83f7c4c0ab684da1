//! What a dispatcher does with what a newer version of the program has
//! written, while one replaces the other: it leaves it alone, loses nothing of
//! it, and lets nothing else wait for it.

use crate::rig::*;
use offboard_dispatcher::Submitted;
use offboard_domain::departure::Manner;
use offboard_domain::record::Body;
use offboard_domain::{CaseId, CaseKey, CaseState, Departure, FaultClass, Kind, Record, TenantId, Wake};
use offboard_ledger::{Append, Appended, Claim, IndexEntry, KeyChange, Ledger as _};
use offboard_queue::{Queue as _, QueueName};

/// Appends an event of a vocabulary to come, as a newer dispatcher does.
async fn newer_appends(world: &World, tenant: &TenantId, case: CaseId) -> Record {
    let ledger = &world.ledger.inner;
    let history = ledger.read(tenant, case, 1).await.unwrap();
    let index = world.index(tenant, case).await.unwrap();
    let last = history.records.last().unwrap();
    let key = CaseKey::derive(&MASTER, &history.salt.unwrap());
    let version = last.version + 1;
    let body = Body {
        v: offboard_domain::event::VOCABULARY + 1,
        at: world.now(),
        event: "task_foreseen".into(),
        sealed: key
            .seal(
                &version.to_be_bytes(),
                b"{\"event\":\"task_foreseen\",\"by\":\"a later version\"}",
            )
            .into(),
    };
    let record = Record::chained(version, last.hash, serde_json::to_vec(&body).unwrap());
    let append = Append {
        expected: last.version,
        prev: last.hash,
        records: vec![record.clone()],
        index: IndexEntry {
            version,
            head: record.hash,
            wake: Some(Wake::APPENDED),
            ..index
        },
        key: KeyChange::Keep,
        claim: Claim::Keep,
        cap: None,
        trim: false,
    };
    assert_eq!(ledger.append(append).await.unwrap(), Appended::Done);
    record
}

#[tokio::test(start_paused = true)]
async fn a_case_that_a_newer_version_has_written_to_rests_and_no_other_waits_for_it() {
    let acme = tenant("acme");
    for taken_over in [false, true] {
        let world = World::new([(acme.clone(), terms(CUT))]);
        let dispatcher = world.dispatcher().await;
        let mut cases = Vec::new();
        for n in 0..4 {
            let departure = world.departure(&acme, &format!("HR-{n}"));
            cases.push(dispatcher.engine.submit(departure).await.unwrap().case());
        }
        let newer = newer_appends(&world, &acme, cases[1]).await;
        let _dispatcher = if taken_over {
            dispatcher.die().await;
            world.dispatcher().await
        } else {
            dispatcher
        };
        let _closer = world.closer();
        let _worker = world.worker();
        until("the others are closed", 30 * MINUTE, async || {
            let mut closed = 0;
            for case in [cases[0], cases[2], cases[3]] {
                closed += usize::from(world.case(&acme, case).await.state == CaseState::Closed);
            }
            closed == 3
        })
        .await;
        pass(30 * MINUTE).await;
        let left = world.ledger.inner.read(&acme, cases[1], 1).await.unwrap().records;
        assert_eq!(
            left.last(),
            Some(&newer),
            "it is there, and nothing was written after it"
        );
        assert_eq!(world.index(&acme, cases[1]).await.unwrap().version, newer.version);
        // Whoever asks is told which it is.
        let said = world.engine().case(&acme, cases[1]).await.unwrap_err().to_string();
        assert!(said.contains("upgrade"), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_report_for_a_newer_version_waits_and_a_forged_one_is_buried() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(SHORT))]);
    let dispatcher = world.dispatcher().await;
    let case = dispatcher
        .engine
        .submit(world.departure(&acme, "HR-1"))
        .await
        .unwrap()
        .case();
    let order = world.order(&acme, Kind::Resolve).await;
    let report = order.report(world.now(), fault(&order.assignment, FaultClass::Transient));
    let plain = serde_json::to_string(&report).unwrap();
    let newer = plain
        .replacen('{', "{\"form\":2,", 1)
        .replace("\"said\":\"fault\"", "\"said\":\"foreseen\"");
    assert!(newer.contains("foreseen"), "{newer}");
    let newer = newer.into_bytes();
    let forged = message(newer.clone(), "made up", &order.queue);
    let proven = message(newer.clone(), &order.answer_key().prove(&newer), &order.queue);
    world.send(&acme, forged).await;
    world.send(&acme, proven).await;
    let before = world.case(&acme, case).await.version;
    pass(MINUTE).await;
    let dead = world.queue.inner.dead(10).await.unwrap();
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert!(dead[0].1.starts_with("forged"));
    assert_eq!(world.case(&acme, case).await.version, before, "nobody acted on it");
    let reports = QueueName::Reports { shard: 0 };
    let waits = async || {
        let depths = world.queue.inner.depths().await.unwrap();
        let of = depths.iter().find(|d| d.queue == reports).unwrap();
        of.ready + of.unacknowledged.unwrap_or(0)
    };
    assert_eq!(waits().await, 1);
    // What it can read goes on beside it.
    world.answer(&order).await;
    until("the answer is recorded", MINUTE, async || {
        world.case(&acme, case).await.version > before
    })
    .await;
    assert_eq!(waits().await, 1);
}

/// An older program kept no day of whoever was to go at once: the list that has been handed in
/// for weeks opens no second case for him after the upgrade.
#[tokio::test(start_paused = true)]
async fn who_was_to_go_at_once_before_the_upgrade_is_the_same_case_after_it() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(CUT))]);
    let dispatcher = world.dispatcher().await;
    let older = Departure {
        reference: None,
        ..world.departure(&acme, "HR-1")
    };
    let day = older.effective_at;
    let newer = Departure {
        of_day: Some(day),
        ..older.clone()
    };
    assert_ne!(newer.case_id(), older.case_id());
    let case = dispatcher.engine.submit(older).await.unwrap().case();
    let again = dispatcher.engine.submit(newer.clone()).await.unwrap();
    assert_eq!(again, Submitted::Known(case));
    // What is planned for the end of that day is no such case.
    let planned = Departure {
        manner: Manner::Planned,
        of_day: None,
        ..world.departure(&acme, "HR-2")
    };
    let planned = Departure {
        reference: None,
        effective_at: day,
        ..planned
    };
    let at_once = Departure {
        manner: Manner::Immediate,
        of_day: Some(day),
        ..planned.clone()
    };
    let case = dispatcher.engine.submit(planned).await.unwrap().case();
    assert_ne!(dispatcher.engine.submit(at_once).await.unwrap().case(), case);
}
