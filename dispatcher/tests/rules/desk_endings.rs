//! A departure that does not happen, and its desk: the case is accounted for without it,
//! and kept until whoever follows it there was told, also by another process.

use crate::rig::*;
use offboard_domain::catalogue::desk::KINDS;
use offboard_domain::departure::Manner;
use offboard_domain::time::{DAY_MS, HOUR_MS};
use offboard_domain::{CaseState, Command, Departure, FaultClass, Kind, Outcome};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[tokio::test(start_paused = true)]
async fn what_is_called_off_or_joined_is_told_when_the_desk_is_back() {
    let acme = tenant("acme");
    let terms = terms_of(&[(m365(), CUT), (system("psa"), KINDS)]);
    let world = World::new([(acme.clone(), terms)]);
    let away = Arc::new(AtomicBool::new(true));
    let is_away = away.clone();
    let _closer = world.closer();
    let _worker = world.worker_who(0, move |a| {
        if KINDS.contains(&a.kind) && is_away.load(Ordering::Relaxed) {
            return Some(fault(a, FaultClass::Transient));
        }
        Some(truth(a))
    });
    let dispatcher = world.dispatcher().await;
    let asked = Departure {
        manner: Manner::Planned,
        effective_at: world.now().plus(10 * DAY_MS),
        ..world.departure(&acme, "HR-1")
    };
    let joins = Departure {
        reference: Some("HR-2".into()),
        ..asked.clone()
    };
    let first = dispatcher.engine.submit(asked).await.unwrap().case();
    until("it is planned", MINUTE, async || {
        world.case(&acme, first).await.state == CaseState::Active
    })
    .await;
    let second = dispatcher.engine.submit(joins).await.unwrap().case();
    until("it is joined", MINUTE, async || {
        world.case(&acme, second).await.state == CaseState::Merged { into: first }
    })
    .await;
    // Its own is called off by itself; the first goes on without it.
    let cancel = |reason: &str| Command::Cancel {
        by: "boss@msp.example".into(),
        reason: reason.into(),
    };
    dispatcher
        .engine
        .order(&acme, second, cancel("a mistake"))
        .await
        .unwrap();
    dispatcher.engine.order(&acme, first, cancel("he stays")).await.unwrap();
    for case in [first, second] {
        until("it is accounted for", HOUR_MS, async || {
            world.case(&acme, case).await.evidence.is_some()
        })
        .await;
        let there = world.case(&acme, case).await;
        assert_eq!(there.state, CaseState::Cancelled);
        assert!(!there.is_over(), "whoever follows it is still to be told");
        assert!(!world.index(&acme, case).await.unwrap().ended);
    }
    drop(dispatcher.die().await);
    pass(6 * HOUR_MS).await;
    let dispatcher = world.dispatcher().await;
    away.store(false, Ordering::Relaxed);
    for case in [first, second] {
        until("it is told", DAY_MS, async || world.case(&acme, case).await.is_over()).await;
        let told = world.case(&acme, case).await;
        let notes = told.tasks.values().filter(|t| t.kind() == Kind::NoteEnding);
        let outcomes: Vec<Option<&Outcome>> = notes.filter(|n| told.outlives(n)).map(|n| n.outcome()).collect();
        assert_eq!(outcomes, [Some(&Outcome::Verified)]);
    }
    until("they are let go", MINUTE, async || dispatcher.engine.held() == 0).await;
}
