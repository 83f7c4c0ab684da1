//! What was handed over is still somebody's, what is another's is left alone, and
//! what could not be proven is not forgotten on the way.

use crate::attempts::drive::{Desk, End, NEVER, Todo, setting};
use crate::attempts::ends::asked;
use crate::attempts::fake::State;
use crate::attempts::fake::state::{LEAVER, SUCCESSOR};
use offboard_connectors::{Attached, MobileWipe};
use offboard_domain::{FaultClass, Kind, Mode, Observation, Said, Verdict, judge};

async fn ended(desk: &mut Desk, todo: &Todo) -> End {
    let mut polls = NEVER;
    desk.settle(todo.clone(), &mut polls).await
}

fn settled(end: End) -> Observation {
    match end {
        End::Settled(seen) => seen,
        other => panic!("not settled: {other:?}"),
    }
}

/// The successor leaves himself: his account is disabled, or deleted.
fn successor_leaves(state: &mut State, gone: bool) {
    if gone {
        state.accounts.remove(SUCCESSOR);
    } else {
        state.accounts.get_mut(SUCCESSOR).unwrap().enabled = false;
    }
}

const GIVEN: [Kind; 2] = [Kind::HandOverOneDrive, Kind::GrantSuccessorMailbox];

#[tokio::test(start_paused = true)]
async fn whoever_was_given_something_and_left_himself_has_it_no_longer() {
    for kind in GIVEN {
        for gone in [false, true] {
            let (state, mut todo) = setting(kind);
            let mut desk = Desk::new(state);
            let seen = settled(ended(&mut desk, &todo).await);
            assert_eq!(seen.facts.bool("successor_enabled"), Some(true), "{kind}");
            let written = desk.writes();

            desk.fake.edit(|s| successor_leaves(s, gone));
            let end = ended(&mut desk, &todo).await;
            assert!(asked(&end).contains("has left himself"), "{kind}: {end:?}");
            assert_eq!(desk.writes(), written, "{kind}");

            // So it is read in the closing round, too.
            todo.mode = Mode::ObserveOnly;
            let said = desk.once(&todo).await.said;
            let Said::Observed { observation } = said else {
                panic!("{kind}: {said:?}")
            };
            assert_eq!(observation.facts.bool("successor_enabled"), Some(false), "{kind}");
            let verdict = judge(kind, &todo.params, &observation.facts, None);
            assert!(matches!(verdict, Verdict::Blocked(_)), "{kind}: {verdict:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_there_is_nothing_to_give_nobody_looks_at_the_successor() {
    for kind in GIVEN {
        let (mut state, todo) = setting(kind);
        (state.site, state.mailbox) = (None, None);
        let report = Desk::new(state).once(&todo).await;
        assert!(
            matches!(report.said, Said::Satisfied { .. }),
            "{kind}: {:?}",
            report.said
        );
        let looked_at = |request: &str| report.receipts.iter().any(|r| r.request == request);
        assert!(
            !report.receipts.is_empty() && !looked_at("GET /user"),
            "{kind}: {:?}",
            report.receipts
        );
    }
}

#[tokio::test(start_paused = true)]
async fn no_licence_goes_while_nobody_who_is_there_has_the_files() {
    // (whether the successor is gone, if he left) and who administers the files → released
    let cases: [(Option<bool>, &[&str], bool); 6] = [
        (None, &[LEAVER, SUCCESSOR], true),
        (Some(false), &[LEAVER, SUCCESSOR], false),
        (Some(true), &[LEAVER, SUCCESSOR], false),
        // They were not handed over: a person has let them go.
        (Some(false), &[LEAVER], true),
        (Some(true), &[LEAVER], true),
        // Somebody else was given them by hand.
        (Some(false), &[LEAVER, SUCCESSOR, "u-other"], true),
    ];
    for kind in [Kind::ReleaseDirectLicenses, Kind::ReleaseGroupLicenses] {
        for (left, administrators, released) in cases {
            let (mut state, mut todo) = setting(kind);
            todo.params.set("successor_id", SUCCESSOR);
            state.site_admins = administrators.iter().map(|id| (*id).to_owned()).collect();
            if let Some(gone) = left {
                successor_leaves(&mut state, gone);
            }
            let mut desk = Desk::new(state);
            let end = ended(&mut desk, &todo).await;
            let case = format!("{kind}, {left:?}, {administrators:?}: {end:?}");
            assert_eq!(!desk.writes().is_empty(), released, "{case}");
            if released {
                assert!(matches!(end, End::Settled(_)), "{case}");
            } else {
                assert!(asked(&end).contains("has left himself"), "{case}");
            }
        }
        // Where there are no files, nobody needs to have them.
        let (mut state, mut todo) = setting(kind);
        todo.params.set("successor_id", SUCCESSOR);
        state.site = None;
        successor_leaves(&mut state, false);
        let end = ended(&mut Desk::new(state), &todo).await;
        assert!(matches!(end, End::Settled(_)), "{kind}: {end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_enrolment_that_is_meant_for_nobody_known_is_for_a_person() {
    for account_gone in [false, true] {
        let (mut state, todo) = setting(Kind::UnassignAutopilot);
        let row = state.devices.get_mut("m-company").unwrap();
        row.autopilot.as_mut().unwrap().assigned_to = Some("nobody@example.com".to_owned());
        if account_gone {
            state.accounts.remove(LEAVER);
        }
        let mut desk = Desk::new(state);
        let end = ended(&mut desk, &todo).await;
        assert!(asked(&end).contains("no account bears"), "{end:?}");
        assert!(desk.writes().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_enrolment_that_is_meant_for_another_is_left_alone() {
    for (name, his) in [("U-Leaver@Example.com", true), ("u-other@example.com", false)] {
        let (mut state, todo) = setting(Kind::UnassignAutopilot);
        let row = state.devices.get_mut("m-company").unwrap();
        row.autopilot.as_mut().unwrap().assigned_to = Some(name.to_owned());
        let mut desk = Desk::new(state);
        let seen = settled(ended(&mut desk, &todo).await);
        assert_eq!(!desk.writes().is_empty(), his, "{name}: {:?}", desk.writes());
        assert_eq!(seen.facts.bool("autopilot_assigned"), Some(false), "{name}");
        assert_eq!(seen.facts.bool("autopilot_assigned_to_another"), Some(!his), "{name}");
        let left = desk.fake.now().devices["m-company"].autopilot.clone().unwrap();
        assert_eq!(left.assigned_to.is_none(), his, "{name}: {left:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_serial_that_several_enrolments_bear_is_for_a_person_and_stops_no_discovery() {
    let (mut state, todo) = setting(Kind::DiscoverDevices);
    state.devices.get_mut("m-company").unwrap().autopilot_unclear = true;
    let end = ended(&mut Desk::new(state.clone()), &todo).await;
    let End::Found(_, finds) = &end else { panic!("{end:?}") };
    let found = |kind: Kind| finds.iter().any(|f| f.kind == kind && f.object.0 == "m-company");
    assert!(
        found(Kind::UnassignAutopilot) && found(Kind::DisableDeviceObject),
        "{finds:?}"
    );
    let (_, todo) = setting(Kind::UnassignAutopilot);
    let mut desk = Desk::new(state);
    let end = ended(&mut desk, &todo).await;
    assert!(asked(&end).starts_with("blocked"), "{end:?}");
    assert!(desk.writes().is_empty());
}

/// Attempts, one after the other, until one has read the wanted state.
async fn through(desk: &mut Desk, todo: &mut Todo) -> Observation {
    for _ in 0..400 {
        todo.attempt += 1;
        match desk.once(todo).await.said {
            Said::Satisfied { after, .. } => return after,
            Said::Progress { checkpoint } => todo.checkpoint = Some(checkpoint),
            Said::Wait { until, checkpoint, .. } => {
                desk.fake.clock.to(until);
                todo.checkpoint = checkpoint.or(todo.checkpoint.take());
            }
            // As if its worker had died: what it has found out goes with it.
            Said::Fault { .. } => desk.fake.clock.to(desk.now().plus(600_000)),
            said => panic!("{said:?}"),
        }
    }
    panic!("it does not end");
}

#[tokio::test(start_paused = true)]
async fn a_wipe_that_was_not_answered_is_counted_whatever_becomes_of_the_attempt() {
    for silent in [false, true] {
        let (mut state, mut todo) = setting(Kind::RemoveMobilePartnerships);
        for attached in &mut state.attached {
            if let Attached::MobileDevice(phone) = attached {
                // Ordered, and switched off since.
                phone.wipe = MobileWipe::Pending;
            }
        }
        let mut desk = Desk::new(state);
        if silent {
            // The first partnership goes, and nobody says so.
            desk.fake.lock().unanswered = 1;
        } else {
            // The first one goes, and the second is asked for too soon.
            let too_soon = FaultClass::Throttled { retry_after_ms: None };
            desk.fake.lock().next_faults = vec![(too_soon, false), (FaultClass::Absent, true)];
        }
        let seen = through(&mut desk, &mut todo).await;
        assert_eq!(
            seen.facts.int("unanswered_wipe_count"),
            Some(2),
            "{silent}: {:?}",
            desk.writes()
        );
        assert_eq!(
            desk.writes(),
            ["detach p-new of u-leaver", "detach p-old of u-leaver"],
            "{silent}"
        );
        let faults = desk.reports.iter().filter(|r| matches!(r.said, Said::Fault { .. }));
        assert_eq!(faults.count(), 1, "{silent}");
    }
}
