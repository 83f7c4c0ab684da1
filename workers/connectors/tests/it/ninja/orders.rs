//! Orders: the script and its marker, the owner, the end of the agent.

use crate::ninja::stage::{Stage, T0, id, open, quiet};
use offboard_connectors::{Connector as _, EndpointStatus, Fleet as _, ScriptRun, Silence};
use offboard_domain::{FaultClass, Kind};
use offboard_sim::world::fleet::{FleetFault, FleetHabits, Run};

const MARKER: &str = "t-00112233445566778899";

/// What has become of it, since the stage was set.
async fn state(s: &Stage) -> ScriptRun {
    since(s, Some(T0)).await
}

async fn since(s: &Stage, ms: Option<i64>) -> ScriptRun {
    s.open().script(&mut s.reading(), &id(41), MARKER, ms).await.unwrap()
}

#[tokio::test]
async fn a_script_is_awaited_until_it_has_written_our_marker() {
    for (shows, under_way) in [(true, ScriptRun::UnderWay), (false, ScriptRun::Unclear)] {
        let s = Stage::with(FleetHabits {
            shows_parameters: shows,
            page_max: 1,
            ..FleetHabits::default()
        })
        .await;
        assert_eq!(state(&s).await, ScriptRun::None);
        s.open().run_script(&mut s.writing(), &id(41), MARKER).await.unwrap();
        assert_eq!(state(&s).await, under_way, "shows its parameter: {shows}");
        s.clock.set(s.clock.ms() + 61_000);
        assert_eq!(state(&s).await, ScriptRun::Done);
        let run = s.fleet().nodes()[&41].runs.clone();
        assert_eq!(run.len(), 1);
        assert_eq!((run[0].script, run[0].parameters.as_str()), (12, MARKER));
        assert_eq!(s.journal(), ["run 41"]);
    }
}

#[tokio::test]
async fn a_failed_script_is_said_and_another_s_is_unclear() {
    let s = Stage::with(FleetHabits {
        scripts_fail: true,
        ..FleetHabits::default()
    })
    .await;
    s.open().run_script(&mut s.writing(), &id(41), MARKER).await.unwrap();
    s.clock.set(s.clock.ms() + 61_000);
    assert_eq!(state(&s).await, ScriptRun::Failed);
    s.edit(41, |n| n.fields.clear());
    assert_eq!(state(&s).await, ScriptRun::Failed, "by its activity alone");
    let s = Stage::kind().await;
    let ordered_ms = s.clock.ms() - 1_000;
    let another = Run {
        ordered_ms,
        script: 99,
        parameters: String::new(),
        over: true,
    };
    s.edit(41, |n| n.runs.push(another));
    assert_eq!(state(&s).await, ScriptRun::Unclear);
    // However long ago that is, it was when ours may have been ordered.
    s.clock.set(s.clock.ms() + 30 * 86_400_000);
    assert_eq!(state(&s).await, ScriptRun::Unclear);
    // One of before was not ours; and without a time nothing is certain.
    let found_ms = s.clock.ms();
    assert_eq!(since(&s, Some(found_ms)).await, ScriptRun::None);
    assert_eq!(since(&s, None).await, ScriptRun::Unclear);
    // Nor does another task's marker count as ours.
    s.edit(41, |n| {
        drop(n.fields.insert("offboardScript".into(), format!("{MARKER}0")));
    });
    assert_eq!(since(&s, Some(found_ms)).await, ScriptRun::None);
}

#[tokio::test]
async fn activities_that_do_not_reach_back_prove_nothing() {
    let s = Stage::with(FleetHabits {
        keeps_activities_ms: Some(7 * 86_400_000),
        ..FleetHabits::default()
    })
    .await;
    s.clock.set(s.clock.ms() + 30 * 86_400_000);
    assert_eq!(state(&s).await, ScriptRun::Unclear);
}

#[tokio::test]
async fn activities_that_do_not_move_end_in_a_fault() {
    let s = Stage::with(FleetHabits {
        ignores_after: true,
        page_max: 1,
        ..FleetHabits::default()
    })
    .await;
    let ordered_ms = s.clock.ms();
    let one = Run {
        ordered_ms,
        script: 99,
        parameters: String::new(),
        over: true,
    };
    s.edit(41, |n| n.runs.push(one));
    let read = s.open().script(&mut s.reading(), &id(41), MARKER, Some(T0)).await;
    let fault = read.unwrap_err();
    assert_eq!(fault.class, FaultClass::Transient, "{fault}");
    assert!(fault.detail.contains("same activities"), "{fault}");
}

#[tokio::test]
async fn a_script_s_order_is_sent_once_and_silence_is_unknown() {
    for (met, ran) in [
        (FleetFault::Cut(true), ScriptRun::UnderWay),
        (FleetFault::Cut(false), ScriptRun::None),
    ] {
        let s = Stage::kind().await;
        s.fleet().write_faults = vec![met];
        let mut call = s.writing();
        let fault = s.open().run_script(&mut call, &id(41), MARKER).await.unwrap_err();
        assert_eq!((fault.class, call.writes_sent()), (FaultClass::Unknown, 1), "{met:?}");
        quiet(&fault, &call);
        assert_eq!(state(&s).await, ran, "{met:?}");
        assert!(s.fleet().nodes()[&41].runs.len() <= 1);
    }
    let s = Stage::with(FleetHabits {
        wants_a_technician: true,
        ..FleetHabits::default()
    })
    .await;
    let mut call = s.writing();
    let fault = s.open().run_script(&mut call, &id(41), MARKER).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Denied);
    assert!(fault.detail.contains("technician"), "{fault}");
    quiet(&fault, &call);
}

#[tokio::test]
async fn alerts_are_silenced_until_then_and_scripts_are_not() {
    let s = Stage::kind().await;
    let ninja = s.open();
    let until_ms = s.clock.ms() + 86_400_000;
    for _ in 0..2 {
        ninja.maintain(&mut s.writing(), &id(41), until_ms).await.unwrap();
    }
    let read = ninja.endpoint(&mut s.reading(), &id(41)).await.unwrap().unwrap();
    assert_eq!(read.silence, Some(Silence { until_ms, ours: true }));
    assert_eq!(s.fleet().nodes()[&42].silence, None);
    // Somebody else's is told from ours.
    s.edit(41, |n| n.silence = Some((until_ms, "canary's patch day".to_owned())));
    let read = ninja.endpoint(&mut s.reading(), &id(41)).await.unwrap().unwrap();
    assert_eq!(read.silence, Some(Silence { until_ms, ours: false }));
}

#[tokio::test]
async fn the_owner_is_cleared_and_twice_is_once() {
    let s = Stage::kind().await;
    let ninja = s.open();
    for _ in 0..2 {
        ninja.clear_owner(&mut s.writing(), &id(41)).await.unwrap();
    }
    let read = ninja.endpoint(&mut s.reading(), &id(41)).await.unwrap().unwrap();
    assert_eq!(read.owner_uid, None);
    assert_eq!(s.fleet().nodes()[&42].owner.as_deref(), Some("uid-bert"));
}

#[tokio::test]
async fn a_decommissioned_device_says_so_or_is_gone() {
    for forgets in [false, true] {
        let s = Stage::with(FleetHabits {
            forgets,
            lag_ms: 5_000,
            ..FleetHabits::default()
        })
        .await;
        let ninja = s.open();
        ninja.decommission(&mut s.writing(), &id(41)).await.unwrap();
        let early = ninja.endpoint(&mut s.reading(), &id(41)).await.unwrap().unwrap();
        assert_eq!(
            early.status,
            EndpointStatus::Managed,
            "a reading that lags claims nothing"
        );
        s.clock.set(s.clock.ms() + 6_000);
        let read = ninja.endpoint(&mut s.reading(), &id(41)).await.unwrap();
        assert_eq!(
            read.map(|e| e.status),
            (!forgets).then_some(EndpointStatus::Decommissioned)
        );
        // Gone already is success.
        ninja.decommission(&mut s.writing(), &id(41)).await.unwrap();
    }
}

#[tokio::test]
async fn it_claims_what_is_configured() {
    let s = Stage::kind().await;
    let mut settings = s.settings();
    let all = open(&settings).claims();
    assert!(all.contains(&Kind::MarkManaged) && all.contains(&Kind::RunManagedScript));
    (settings.script, settings.state_field, settings.tags) = (None, None, Default::default());
    let least = open(&settings);
    assert!(!least.offers().marks && !least.offers().script);
    let left: Vec<Kind> = all.difference(&least.claims()).copied().collect();
    assert_eq!(left, [Kind::MarkManaged, Kind::RunManagedScript]);
    let fault = least.run_script(&mut s.writing(), &id(41), MARKER).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Unsupported);
}
