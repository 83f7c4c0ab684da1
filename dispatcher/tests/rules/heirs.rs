//! Whoever takes over and leaves himself: said when it is handed in, and to whoever looks.

use crate::rig::*;
use offboard_dispatcher::control::{Request, Response, handle};
use offboard_domain::catalogue::LICENSED_BY_RULE;
use offboard_domain::departure::{Departure, Manner, PersonRef};
use offboard_domain::time::{DAY_MS, HOUR_MS};
use offboard_domain::{CaseState, Command, Kind, Said};

#[tokio::test(start_paused = true)]
async fn a_successor_who_leaves_too_is_said_when_it_is_handed_in_and_when_it_is_shown() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(CUT))]);
    // Nobody has looked them up yet: they are known by what the requests call them.
    let dispatcher = world.dispatcher().await;
    let engine = &dispatcher.engine;
    let in_days = |reference: &str, mail: &str, successor: Option<&str>| {
        let named = |mail: &str| PersonRef {
            mail: Some(mail.into()),
            ..PersonRef::default()
        };
        Departure {
            person: named(mail),
            successor: successor.map(named),
            manner: Manner::Planned,
            effective_at: world.now().plus(10 * DAY_MS),
            ..world.departure(&acme, reference)
        }
    };
    let anna = in_days("HR-1", "anna@acme.example", Some("bob@acme.example"));
    let bob = in_days("HR-2", "bob@acme.example", Some("carla@acme.example"));
    let (of_anna, of_bob) = (anna.case_id(), bob.case_id());
    let departures = vec![anna, bob];
    let Response::Submitted(accepted) = handle(engine, Request::Submit { departures }).await else {
        panic!("it was not handed in");
    };
    let warned = accepted[0].warning.as_deref().unwrap();
    assert!(
        warned.contains("leaves too") && warned.contains(&of_bob.to_string()),
        "{warned}"
    );
    assert_eq!(accepted[1].warning, None);
    let shown = engine.view_with_warnings(&acme, of_anna).await.unwrap();
    assert_eq!(shown.warnings, [warned]);
    // Whoever stays after all is a successor like any other.
    let cancel = Command::Cancel {
        by: "boss@msp.example".into(),
        reason: "he stays".into(),
    };
    engine.order(&acme, of_bob, cancel).await.unwrap();
    until("it is called off", HOUR_MS, async || {
        world.case(&acme, of_bob).await.state == CaseState::Cancelled
    })
    .await;
    let shown = engine.view_with_warnings(&acme, of_anna).await.unwrap();
    assert!(shown.warnings.is_empty(), "{:?}", shown.warnings);
}

/// Who is disabled drops out of a group whose rule asks for that.
#[tokio::test(start_paused = true)]
async fn a_licence_that_hangs_on_a_rule_is_warned_of_before_he_is_disabled() {
    let acme = tenant("acme");
    let kinds = [
        Kind::Resolve,
        Kind::SnapshotAccess,
        Kind::SnapshotDirectory,
        Kind::DisableSignIn,
    ];
    let world = World::new([(acme.clone(), terms(&kinds))]);
    let dispatcher = world.dispatcher().await;
    let departure = Departure {
        manner: Manner::Planned,
        effective_at: world.now().plus(10 * DAY_MS),
        ..world.departure(&acme, "HR-1")
    };
    let case = dispatcher.engine.submit(departure).await.unwrap().case();
    let order = world.order(&acme, Kind::Resolve).await;
    world.answer(&order).await;
    let order = world.order(&acme, Kind::SnapshotDirectory).await;
    let mut said = truth(&order.assignment);
    let Said::Satisfied { before, after } = &mut said else {
        panic!("{said:?}")
    };
    for read in [before, after] {
        read.facts.set(LICENSED_BY_RULE, vec!["g-enabled".to_owned()]);
    }
    world.answer_with(&order, said).await;
    until("his groups are recorded", HOUR_MS, async || {
        task(&world.case(&acme, case).await, Kind::SnapshotDirectory).is_settled()
    })
    .await;
    let shown = dispatcher.engine.view_with_warnings(&acme, case).await.unwrap();
    let [warning] = shown.warnings.as_slice() else {
        panic!("{:?}", shown.warnings)
    };
    assert!(
        warning.contains("g-enabled") && warning.contains("directly"),
        "{warning}"
    );
}
