//! What the kinds about his devices owe beyond the laws of all: whose a device is, and what
//! proves that it was wiped.

use crate::attempts::drive::{Desk, End, NEVER, setting};
use crate::attempts::ends::{asked, changed, end, fact, list};
use crate::attempts::fake::State;
use crate::attempts::fake::state::{CANARY, SUCCESSOR, device};
use offboard_connectors::{ActionState, MobileWipe, Owner};
use offboard_domain::{Fact, Facts, FaultClass, Kind, Mode, ObjectId, Said};

#[tokio::test(start_paused = true)]
async fn discovery_finds_one_task_for_each_need() {
    let (_, end) = changed(Kind::DiscoverDevices, |_| {}).await;
    let End::Found(_, finds) = end else { panic!("{end:?}") };
    let of = |id: &str| -> Vec<Kind> { finds.iter().filter(|f| f.object.0 == id).map(|f| f.kind).collect() };
    let escrow_retire_disable = [Kind::EscrowRecoveryKeys, Kind::RetireDevice, Kind::DisableDeviceObject];
    assert_eq!(of("m-personal"), escrow_retire_disable);
    assert_eq!(of("m-odd"), escrow_retire_disable);
    assert_eq!(
        of("m-company"),
        [
            Kind::EscrowRecoveryKeys,
            Kind::ConfirmDeviceReturned,
            Kind::WipeDevice,
            Kind::UnassignAutopilot,
            Kind::DisableDeviceObject
        ]
    );
    let (state, mut todo) = setting(Kind::DiscoverDevices);
    todo.params.set("wipe_company_devices", false);
    let (_, kept) = self::end(state, todo).await;
    assert!(matches!(kept, End::Found(_, finds) if finds.iter().all(|f| f.kind != Kind::WipeDevice)));
}

#[tokio::test(start_paused = true)]
async fn a_device_that_somebody_else_uses_is_recorded_and_left_alone() {
    // He joined a colleague's laptop: the directory lists it with him, the management does not.
    let joined = |s: &mut State| {
        let mut row = device("joined", Owner::Company);
        row.managed = None;
        row.device.is_managed = false;
        row.device.at.managed = None;
        row.used_by_another = true;
        s.devices.insert("o-joined".into(), row);
    };
    let (_, end) = changed(Kind::DiscoverDevices, joined).await;
    assert_eq!(fact(&end, "somebody_elses_ids"), list(&["o-joined"]));
    assert_eq!(fact(&end, "company_count"), Fact::Int(1), "his own");
    let End::Found(seen, finds) = end else { panic!() };
    assert!(!seen.facts.list("device_ids").unwrap().contains(&"o-joined".to_owned()));
    assert!(finds.iter().all(|f| f.object.0 != "o-joined"), "{finds:?}");
    // Where nobody else is registered it is his, though nothing manages it.
    let (_, end) = changed(Kind::DiscoverDevices, |s| {
        joined(s);
        s.devices.get_mut("o-joined").unwrap().used_by_another = false;
    })
    .await;
    let End::Found(_, finds) = end else { panic!("{end:?}") };
    assert!(
        finds
            .iter()
            .any(|f| f.object.0 == "o-joined" && f.kind == Kind::DisableDeviceObject)
    );
    // Given to somebody else after the discovery: a person decides.
    let (desk, end) = changed(Kind::DisableDeviceObject, |s| {
        let row = s.devices.get_mut("m-company").unwrap();
        row.managed.as_mut().unwrap().user_id = Some("u-other".into());
    })
    .await;
    assert!(asked(&end).contains("somebody else uses the device"), "{end:?}");
    assert!(desk.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_his_own_company_device_is_wiped() {
    let row = |s: &mut State| s.devices.get_mut("m-company").unwrap().managed.clone().unwrap();
    for owner in [Owner::Personal, Owner::Unknown] {
        let (desk, end) = changed(Kind::WipeDevice, |s| {
            let managed = offboard_connectors::ManagedDevice { owner, ..row(s) };
            s.devices.get_mut("m-company").unwrap().managed = Some(managed);
        })
        .await;
        assert!(asked(&end).starts_with("blocked"), "{end:?}");
        assert!(desk.writes().is_empty());
    }
    let (desk, end) = changed(Kind::WipeDevice, |s| {
        let managed = offboard_connectors::ManagedDevice {
            user_id: Some("u-other".into()),
            ..row(s)
        };
        s.devices.get_mut("m-company").unwrap().managed = Some(managed);
    })
    .await;
    assert!(asked(&end).contains("another account"), "{end:?}");
    assert!(desk.writes().is_empty());
}

fn given_to(s: &mut State, device: &str, user: Option<&str>) {
    let managed = s.devices.get_mut(device).unwrap().managed.as_mut().unwrap();
    managed.user_id = user.map(ObjectId::from);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_given_away_while_an_order_is_pending_is_for_a_person() {
    for (kind, device) in [(Kind::WipeDevice, "m-company"), (Kind::RetireDevice, "m-personal")] {
        for mode in [Mode::Full, Mode::ObserveOnly] {
            let (state, mut todo) = setting(kind);
            let mut desk = Desk::new(state);
            let report = desk.once(&todo).await;
            let Said::Wait { checkpoint, .. } = report.said else {
                panic!("{kind}: {:?}", report.said)
            };
            (todo.checkpoint, todo.mode) = (checkpoint, mode);
            // Nobody's it may be by our own order.
            desk.fake.edit(|s| given_to(s, device, None));
            let report = desk.once(&todo).await;
            assert!(matches!(report.said, Said::Wait { .. }), "{kind}: {:?}", report.said);
            desk.fake.edit(|s| given_to(s, device, Some("u-other")));
            let end = desk.settle(todo, &mut NEVER.clone()).await;
            assert!(asked(&end).contains("another account"), "{kind}: {end:?}");
            assert_eq!(desk.writes().len(), 1, "{kind}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whose_a_device_is_is_read_right_before_anything_is_ordered() {
    for kind in [Kind::WipeDevice, Kind::RetireDevice] {
        let (state, todo) = setting(kind);
        let mut desk = Desk::new(state);
        let given_away = |s: &mut State| {
            for device in ["m-company", "m-personal"] {
                given_to(s, device, Some("u-other"));
            }
        };
        desk.fake.lock().after_read = Some(("managed", given_away));
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert!(asked(&end).contains("another account"), "{kind}: {end:?}");
        assert!(desk.writes().is_empty(), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_enrolment_that_is_given_to_somebody_else_meanwhile_is_his() {
    let (state, todo) = setting(Kind::UnassignAutopilot);
    let mut desk = Desk::new(state);
    desk.fake.lock().after_read = Some(("autopilot", |s| {
        let enrolled = s.devices.get_mut("m-company").unwrap().autopilot.as_mut().unwrap();
        enrolled.assigned_to = Some(format!("{SUCCESSOR}@example.com"));
    }));
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert_eq!(fact(&end, "autopilot_assigned_to_another"), Fact::Bool(true));
    assert!(desk.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nobody_s_device_is_ordered_anything_only_after_an_order_of_ours() {
    for ours in [false, true] {
        let (mut state, mut todo) = setting(Kind::RetireDevice);
        given_to(&mut state, "m-personal", None);
        let managed = state.devices.get_mut("m-personal").unwrap().managed.as_mut().unwrap();
        managed.actions.push(ActionState {
            name: "retire".into(),
            state: "failed".into(),
            started_ms: None,
            updated_ms: None,
        });
        todo.checkpoint = ours.then(|| Facts::new().with("retire_ordered", true));
        let (desk, end) = end(state, todo).await;
        if ours {
            assert!(matches!(end, End::Settled(_)), "{end:?}");
        } else {
            assert!(asked(&end).contains("belongs to nobody"), "{end:?}");
        }
        assert_eq!(desk.writes().len(), usize::from(ours));
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_gone_proves_no_wipe() {
    let (desk, end) = changed(Kind::WipeDevice, |s| {
        s.devices.get_mut("m-company").unwrap().managed = None;
    })
    .await;
    assert!(asked(&end).contains("does not prove a wipe"), "{end:?}");
    assert!(desk.writes().is_empty());
    // Deleted while the order was still pending: the same.
    let (state, mut todo) = setting(Kind::WipeDevice);
    let mut desk = Desk::new(state);
    let report = desk.once(&todo).await;
    let Said::Wait { checkpoint, .. } = report.said else {
        panic!("{:?}", report.said)
    };
    assert_eq!(desk.writes().len(), 1);
    todo.checkpoint = checkpoint;
    todo.mode = Mode::ObserveOnly;
    desk.fake
        .edit(|s| s.devices.get_mut("m-company").unwrap().managed = None);
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(asked(&end).contains("does not prove a wipe"), "{end:?}");
    assert_eq!(desk.writes().len(), 1);
}

/// A device that was wiped once, and has a record of that, as it was found.
fn wiped_before(s: &mut State, state: &str, at_ms: Option<i64>) {
    let managed = s.devices.get_mut("m-company").unwrap().managed.as_mut().unwrap();
    managed.actions.push(ActionState {
        name: "wipe".into(),
        state: state.into(),
        started_ms: at_ms,
        updated_ms: at_ms,
    });
}

/// What the finder says of it.
async fn wipe_found(state: &State) -> Facts {
    let (_, todo) = setting(Kind::DiscoverDevices);
    let (_, end) = end(state.clone(), todo).await;
    let End::Found(_, finds) = end else { panic!("{end:?}") };
    let mut wipes = finds.into_iter().filter(|f| f.kind == Kind::WipeDevice);
    wipes.next().unwrap().params
}

#[tokio::test(start_paused = true)]
async fn a_wipe_of_an_earlier_life_is_none() {
    for at_ms in [Some(1_000), None] {
        let (mut state, mut todo) = setting(Kind::WipeDevice);
        wiped_before(&mut state, "done", at_ms);
        todo.params = wipe_found(&state).await;
        let (desk, end) = end(state, todo).await;
        assert_eq!(desk.writes().len(), 1, "it was not wiped: {end:?}");
        assert!(matches!(end, End::Settled(_)), "{end:?}");
    }
}

/// Somebody wiped it after it was found, and he goes on using it.
#[tokio::test(start_paused = true)]
async fn a_wipe_that_the_device_has_outlived_since_it_was_found_is_none() {
    let (mut state, todo) = setting(Kind::WipeDevice);
    let now_ms = Desk::new(state.clone()).now().0;
    wiped_before(&mut state, "done", Some(now_ms - 86_400_000));
    let managed = state.devices.get_mut("m-company").unwrap().managed.as_mut().unwrap();
    managed.last_seen_ms = Some(now_ms - 3_600_000);
    let (desk, end) = end(state, todo).await;
    assert_eq!(desk.writes().len(), 1, "it was not wiped: {end:?}");
    assert!(matches!(end, End::Settled(_)), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wipe_that_was_under_way_when_the_device_was_found_is_awaited() {
    let (mut state, mut todo) = setting(Kind::WipeDevice);
    wiped_before(&mut state, "done", Some(1_000));
    let now_ms = Desk::new(state.clone()).now().0;
    state.order("m-company", "wipe", now_ms);
    todo.params = wipe_found(&state).await;
    let (desk, end) = end(state, todo).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    assert!(desk.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_retirement_of_an_earlier_life_is_none() {
    let (mut state, mut todo) = setting(Kind::RetireDevice);
    let managed = state.devices.get_mut("m-personal").unwrap().managed.as_mut().unwrap();
    managed.actions.push(ActionState {
        name: "retire".into(),
        state: "done".into(),
        started_ms: Some(1_000),
        updated_ms: Some(1_000),
    });
    let (_, finder) = setting(Kind::DiscoverDevices);
    let (_, found) = end(state.clone(), finder).await;
    let End::Found(_, finds) = found else {
        panic!("{found:?}")
    };
    let mut retires = finds
        .into_iter()
        .filter(|f| f.kind == Kind::RetireDevice && f.object.0 == "m-personal");
    todo.params = retires.next().unwrap().params;
    let (desk, end) = end(state, todo).await;
    assert_eq!(desk.writes().len(), 1, "it was not retired: {end:?}");
    assert!(matches!(end, End::Settled(_)), "{end:?}");
}

/// Orders the wipe, looks at it while it is in `state`, and has its record
/// deleted then.
async fn deleted_while(state: &str) -> (Desk, End) {
    let (before, mut todo) = setting(Kind::WipeDevice);
    let mut desk = Desk::new(before);
    for mode in [Mode::Full, Mode::ObserveOnly] {
        todo.mode = mode;
        let report = desk.once(&todo).await;
        let Said::Wait { checkpoint, .. } = report.said else {
            panic!("{:?}", report.said)
        };
        todo.checkpoint = checkpoint;
        desk.fake.edit(|s| {
            let row = s.devices.get_mut("m-company").unwrap();
            row.schedule.clear();
            state.clone_into(&mut row.managed.as_mut().unwrap().actions.last_mut().unwrap().state);
        });
    }
    assert_eq!(todo.checkpoint.as_ref().unwrap().text("last_action_state"), Some(state));
    desk.fake
        .edit(|s| s.devices.get_mut("m-company").unwrap().managed = None);
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert_eq!(desk.writes().len(), 1);
    (desk, end)
}

#[tokio::test(start_paused = true)]
async fn a_device_that_had_taken_the_order_is_not_wiped_for_that() {
    let (_, end) = deleted_while("active").await;
    assert!(asked(&end).contains("does not prove a wipe"), "{end:?}");
    assert!(asked(&end).contains("look at the device"), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wipe_that_somebody_else_ordered_is_awaited() {
    let (state, todo) = setting(Kind::WipeDevice);
    let mut desk = Desk::new(state);
    let now_ms = desk.now().0;
    desk.fake.edit(|s| s.order("m-company", "wipe", now_ms));
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    assert!(desk.writes().is_empty());
}

/// The vendor takes the order, and its answer is lost; its lists lag behind for longer than
/// the order is valid.
#[tokio::test(start_paused = true)]
async fn a_wipe_that_nobody_answered_for_and_that_is_listed_late_is_ordered_once() {
    let (state, mut todo) = setting(Kind::WipeDevice);
    let mut desk = Desk::new(state);
    // History needs a past for the lag to look into.
    desk.fake.clock.to(desk.now().plus(7_200_000));
    desk.fake.lock().lag_ms = 20 * 60_000;
    desk.fake.lock().unanswered = 1;
    let said = desk.once(&todo).await.said;
    assert!(
        matches!(&said, Said::Fault { fault } if fault.class == FaultClass::Unknown),
        "{said:?}"
    );
    desk.fake.clock.to(desk.now().plus(450_000));
    todo.mode = Mode::ObserveOnly;
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    assert_eq!(desk.writes().len(), 1, "{:?}", desk.writes());
}

#[tokio::test(start_paused = true)]
async fn a_wipe_of_which_nothing_is_listed_for_an_hour_is_ordered_again() {
    let (state, todo) = setting(Kind::WipeDevice);
    let mut desk = Desk::new(state);
    desk.fake.lock().next_faults = vec![(FaultClass::Unknown, false)];
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    assert_eq!(desk.writes().len(), 1, "what took no effect is not among them");
    let looks = desk.reports.iter().skip(1);
    let looks = looks.take_while(|r| matches!(r.said, Said::Wait { .. })).count();
    assert_eq!(looks, 12);
}

#[tokio::test(start_paused = true)]
async fn a_wipe_that_failed_is_conclusive_and_one_that_cannot_be_seen_is_not() {
    let (state, mut todo) = setting(Kind::WipeDevice);
    let mut desk = Desk::new(state);
    let now_ms = desk.now().0;
    desk.fake.edit(|s| {
        s.order("m-company", "wipe", now_ms);
        let row = s.devices.get_mut("m-company").unwrap();
        row.schedule.clear();
        let managed = row.managed.as_mut().unwrap();
        managed.actions[0].state = "failed".into();
        managed.management_state = Some("managed".into());
    });
    todo.mode = Mode::ObserveOnly;
    // A later order may be listed late: nobody knows that the failed one is the last.
    let mut waited = 0;
    let observation = loop {
        todo.attempt += 1;
        match desk.once(&todo).await.said {
            Said::Wait { until, checkpoint, .. } if waited < 20 => {
                waited += 1;
                todo.checkpoint = checkpoint;
                desk.fake.clock.to(until);
            }
            Said::Observed { observation } => break observation,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(waited, 12, "it is looked for for an hour");
    assert_eq!(observation.facts.bool("conclusive"), Some(true));
    assert_eq!(observation.facts.bool("wiped"), Some(false));
    // Acknowledged long ago, and nowhere to be seen.
    let (state, mut todo) = setting(Kind::WipeDevice);
    let mut desk = Desk::new(state);
    todo.mode = Mode::ObserveOnly;
    todo.checkpoint = Some(Facts::new().with("ordered_ms", desk.now().0 - 7_200_000));
    let report = desk.once(&todo).await;
    let Said::Observed { observation } = &report.said else {
        panic!("{:?}", report.said)
    };
    assert_eq!(observation.facts.bool("conclusive"), Some(false));
}

#[tokio::test(start_paused = true)]
async fn the_devices_are_an_artifact_as_they_were() {
    let (mut state, todo) = setting(Kind::DiscoverDevices);
    let row = state.devices.get_mut("m-company").unwrap();
    row.device.operating_system = Some("Windows".into());
    row.device.last_seen_ms = Some(86_400_000);
    let mut row = device("joined", Owner::Company);
    (row.managed, row.device.is_managed, row.used_by_another) = (None, false, true);
    row.device.at.managed = None;
    state.devices.insert("o-joined".into(), row);
    let mut desk = Desk::new(state);
    let report = desk.once(&todo).await;
    let [artifact] = report.artifacts.as_slice() else {
        panic!("{:?}", report.artifacts)
    };
    assert_eq!(artifact.name, "snapshot.devices");
    let bytes = desk.context.store.get(artifact.digest).await.unwrap();
    let all: Vec<serde_json::Value> = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(all.len(), 4);
    let of = |id: &str| all.iter().find(|d| d["at"]["object"] == id).unwrap();
    let company = of("o-company");
    assert_eq!(company["name"], format!("{CANARY}'s company"));
    assert_eq!(company["operating_system"], "Windows");
    assert_eq!(company["at"]["serial"], "s-company");
    assert_eq!(company["owner"], "company");
    assert_eq!(company["last_seen_ms"], 86_400_000);
    assert_eq!(company["somebody_elses"], false);
    assert_eq!(of("o-joined")["somebody_elses"], true);
}

#[tokio::test(start_paused = true)]
async fn phones_are_wiped_before_they_go_but_not_waited_for_for_ever() {
    let (desk, end) = changed(Kind::RemoveMobilePartnerships, |_| {}).await;
    assert!(matches!(end, End::Settled(_)));
    assert_eq!(
        desk.writes(),
        [
            "wipe account on p-new of u-leaver",
            "detach p-old of u-leaver",
            "detach p-new of u-leaver"
        ]
    );
    let (state, todo) = setting(Kind::RemoveMobilePartnerships);
    let mut desk = Desk::new(state);
    let began = desk.now();
    desk.fake.edit(|s| {
        s.attached.iter_mut().for_each(|a| {
            if let offboard_connectors::Attached::MobileDevice(phone) = a {
                // Ordered before, and switched off since.
                phone.wipe = MobileWipe::Pending;
            }
        });
    });
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert_eq!(fact(&end, "unanswered_wipe_count"), Fact::Int(2));
    assert!(desk.now().since(began) >= 86_400_000);
}

#[tokio::test(start_paused = true)]
async fn a_company_device_is_never_retired_and_a_stranger_s_neither() {
    let (desk, end) = changed(Kind::RetireDevice, |s| {
        let row = device("personal", Owner::Company);
        s.devices.insert("m-personal".into(), row);
    })
    .await;
    assert!(asked(&end).contains("company's now"), "{end:?}");
    assert!(desk.writes().is_empty());
    let (desk, end) = changed(Kind::RetireDevice, |s| {
        let row = s.devices.get_mut("m-personal").unwrap();
        row.managed.as_mut().unwrap().user_id = Some("u-other".into());
    })
    .await;
    assert!(asked(&end).contains("another account"), "{end:?}");
    assert!(desk.writes().is_empty());
}
