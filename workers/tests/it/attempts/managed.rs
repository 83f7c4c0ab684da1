//! What a remote management adds: devices that a person must confirm, devices
//! that several systems know or one alone, and a script that runs once.

use crate::attempts::drive::{Desk, End, NEVER, his_names, setting};
use crate::attempts::fake::State;
use crate::attempts::fake::state::LEAVER;
use offboard_connectors::Silence;
use offboard_domain::catalogue::managed::{ASSIGNED, CLEARED, CONFIRMED, ELSEWHERE, MARK, SHOWN_NAME, UID};
use offboard_domain::estate::{self, Holding, Serial, Sighting};
use offboard_domain::time::DAY_MS;
use offboard_domain::{Facts, FaultClass, Find, Kind, Mode, ObjectId, Observation, Said, System, Verdict, judge};

fn elsewhere(id: &str, serial: &str, held: Holding) -> Sighting {
    Sighting {
        system: System::new("intune").unwrap(),
        id: id.into(),
        serial: Serial::parse(serial),
        device_id: None,
        held,
    }
}

/// What is found, with wiping wanted or not, and with what others know.
async fn found(edit: impl FnOnce(&mut State), wipe: bool, others: &[Sighting]) -> (Observation, Vec<Find>) {
    let (mut state, mut todo) = setting(Kind::DiscoverManaged);
    edit(&mut state);
    todo.params = his_names().with(SHOWN_NAME, LEAVER).with("wipe_company_devices", wipe);
    todo.params.0.extend(estate::told(others).0);
    let mut desk = Desk::new(state);
    let End::Found(seen, finds) = desk.settle(todo, &mut NEVER.clone()).await else {
        panic!("not read");
    };
    assert_eq!(desk.writes(), Vec::<String>::new());
    (seen, finds)
}

fn of(finds: &[Find], object: &str) -> Vec<Kind> {
    let his = |f: &&Find| f.object.0 == object || f.object.0 == format!("m365/{object}");
    finds.iter().filter(his).map(|f| f.kind).collect()
}

#[tokio::test(start_paused = true)]
async fn a_device_that_the_others_can_wipe_is_marked_and_goes_after_the_wipe() {
    let company = [elsewhere("m-1", "5cg1111", Holding::ManagedCompany)];
    let (seen, finds) = found(|_| (), true, &company).await;
    assert_eq!(
        of(&finds, "41"),
        [
            Kind::MarkManaged,
            Kind::MaintainManaged,
            Kind::ClearManagedOwner,
            Kind::Decommission
        ]
    );
    assert_eq!(seen.facts.text("elsewhere/41"), Some("managed_company"));
    assert_eq!(seen.facts.text("serial/41"), Some("5CG1111"));
    assert_eq!(seen.facts.list("only_elsewhere_ids"), Some(&[][..]));
    let mark = finds.iter().find(|f| f.kind == Kind::MarkManaged).unwrap();
    assert_eq!(mark.params.text(MARK), Some("pending_wipe"));
    // Nobody's name is in what is stored of the tasks.
    assert!(!serde_json::to_string(&finds).unwrap().contains("u-leaver"));
}

#[tokio::test(start_paused = true)]
async fn a_company_device_that_nothing_can_wipe_is_for_a_person() {
    let twice = [
        elsewhere("m-1", "5CG1111", Holding::ManagedCompany),
        elsewhere("m-2", "5CG1111", Holding::ManagedCompany),
    ];
    let listed = [elsewhere("o-1", "5CG1111", Holding::Listed)];
    let other = [elsewhere("m-9", "5CG9999", Holding::ManagedCompany)];
    let unset = |s: &mut State| s.fleet.get_mut("41").unwrap().serial = "Default string".to_owned();
    let nothing: fn(&mut State) = |_| ();
    for (edit, others, word) in [
        (nothing, &[][..], "unknown"),
        (nothing, &twice[..], "ambiguous"),
        (nothing, &listed[..], "listed"),
        (nothing, &other[..], "unknown"),
        (unset, &other[..], "no_serial"),
    ] {
        let (seen, finds) = found(edit, true, others).await;
        assert_eq!(
            of(&finds, "41"),
            [
                Kind::MarkManaged,
                Kind::MaintainManaged,
                Kind::ConfirmDeviceReturned,
                Kind::DecideDevice,
                Kind::RunManagedScript,
                Kind::ClearManagedOwner,
                Kind::Decommission
            ],
            "{word}"
        );
        let decide = finds.iter().find(|f| f.kind == Kind::DecideDevice).unwrap();
        assert_eq!(decide.params.text(ELSEWHERE), Some(word));
        let shown = seen.facts.list("only_elsewhere_ids").unwrap();
        assert_eq!(shown.len(), usize::from(others == &other[..]), "{word}: {shown:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_ended_that_is_his_own_a_server_or_to_be_used_again() {
    let personal = [elsewhere("m-1", "5CG1111", Holding::ManagedPersonal)];
    let (_, finds) = found(|_| (), true, &personal).await;
    assert_eq!(of(&finds, "41"), [Kind::DecideDevice, Kind::ClearManagedOwner]);
    let server = |s: &mut State| s.fleet.get_mut("41").unwrap().class = offboard_connectors::EndpointClass::Other;
    let (_, finds) = found(server, true, &[]).await;
    assert_eq!(of(&finds, "41"), [Kind::DecideDevice, Kind::ClearManagedOwner]);
    let (_, finds) = found(|_| (), false, &[]).await;
    let again = [Kind::MarkManaged, Kind::ConfirmDeviceReturned, Kind::ClearManagedOwner];
    assert_eq!(of(&finds, "41"), again);
    assert_eq!(finds[0].params.text(MARK), Some("repurpose"));
}

#[tokio::test(start_paused = true)]
async fn what_was_met_by_a_name_is_asked_about_and_not_touched() {
    let (seen, finds) = found(|_| (), true, &[]).await;
    assert_eq!(seen.facts.list("candidate_ids").unwrap(), ["43"]);
    assert_eq!(seen.facts.list("somebody_elses_ids").unwrap(), ["42"]);
    assert_eq!(seen.facts.text("met_as/43"), Some("account"));
    assert_eq!(of(&finds, "43"), [Kind::ConfirmManagedDevice, Kind::DiscoverConfirmed]);
    assert_eq!(of(&finds, "42"), []);
    let ask = finds.iter().find(|f| f.kind == Kind::ConfirmManagedDevice).unwrap();
    assert_eq!(ask.object.0, "m365/43", "what people do is in one system for all");
}

#[tokio::test(start_paused = true)]
async fn a_candidate_is_his_by_a_person_s_word_and_while_nobody_else_has_it() {
    for (confirmed, owner, there, finds_some, applies) in [
        (true, None, true, true, true),
        (false, None, true, false, false),
        (true, Some("uid-boss"), true, true, false),
        (true, None, false, true, false),
    ] {
        let (mut state, mut todo) = setting(Kind::DiscoverConfirmed);
        todo.params.set(CONFIRMED, confirmed);
        state.fleet.get_mut("43").unwrap().owner = owner.map(str::to_owned);
        if !there {
            state.fleet.remove("43");
        }
        let mut desk = Desk::new(state);
        let End::Found(seen, finds) = desk.settle(todo, &mut NEVER.clone()).await else {
            panic!("not read");
        };
        let verdict = judge(Kind::DiscoverConfirmed, &Facts::new(), &seen.facts, None);
        assert_eq!(matches!(verdict, Verdict::Satisfied), applies, "{verdict:?}");
        assert!(applies || matches!(verdict, Verdict::NotApplicable(_)), "{verdict:?}");
        assert_eq!(!finds.is_empty(), applies && finds_some);
        assert_eq!(desk.writes(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_not_applicable_only_when_every_name_is_known() {
    let (seen, finds) = found(|s| s.fleet.clear(), true, &[]).await;
    let verdict = |facts: &Facts| judge(Kind::DiscoverManaged, &Facts::new(), facts, None);
    assert!(matches!(verdict(&seen.facts), Verdict::NotApplicable(_)));
    assert!(finds.is_empty());
    let unknown = seen.facts.with("all_names_known", false);
    assert!(matches!(verdict(&unknown), Verdict::Blocked(_)));
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_was_given_or_what_is_another_device_now_is_left_alone() {
    for kind in [
        Kind::MarkManaged,
        Kind::MaintainManaged,
        Kind::RunManagedScript,
        Kind::ClearManagedOwner,
        Kind::Decommission,
    ] {
        let (mut state, todo) = setting(kind);
        state.fleet.get_mut("41").unwrap().owner = Some("uid-boss".to_owned());
        let mut desk = Desk::new(state);
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        let left = matches!(end, End::NotApplicable(_) | End::Asked(_));
        assert!(left, "{kind}: {end:?}");
        assert_eq!(desk.writes(), Vec::<String>::new(), "{kind}");
        let (mut state, todo) = setting(kind);
        // Another's, and one that cannot be told from another's.
        for uid in [Some("another device's".to_owned()), None] {
            state.fleet.get_mut("41").unwrap().uid = uid;
            let mut desk = Desk::new(state.clone());
            let report = desk.once(&todo).await;
            assert!(
                matches!(&report.said, Said::Fault { fault } if fault.class == FaultClass::Blocked),
                "{kind}: {:?}",
                report.said
            );
            assert_eq!(desk.writes(), Vec::<String>::new(), "{kind}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_gone_is_decommissioned_and_proves_no_script() {
    for (kind, ends) in [
        (Kind::MarkManaged, "not applicable"),
        (Kind::MaintainManaged, "not applicable"),
        (Kind::ClearManagedOwner, "not applicable"),
        (Kind::RunManagedScript, "asked"),
        (Kind::Decommission, "settled"),
    ] {
        let (mut state, todo) = setting(kind);
        state.fleet.remove("41");
        let mut desk = Desk::new(state);
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        let word = match end {
            End::NotApplicable(_) => "not applicable",
            End::Asked(_) => "asked",
            End::Settled(_) => "settled",
            End::Found(..) => "found",
        };
        assert_eq!(word, ends, "{kind}");
        assert_eq!(desk.writes(), Vec::<String>::new(), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_that_cannot_be_undone_happens_to_what_is_his_no_longer() {
    for kind in [Kind::RunManagedScript, Kind::Decommission] {
        for (assigned, cleared, goes) in [
            // Taken off him by somebody else; by us; his by a person's word alone.
            (Some(true), false, false),
            (Some(true), true, true),
            (Some(false), false, true),
            (None, false, false),
        ] {
            let (mut state, mut todo) = setting(kind);
            state.fleet.get_mut("41").unwrap().owner = None;
            todo.params.set(CLEARED, cleared);
            if let Some(assigned) = assigned {
                todo.params.set(ASSIGNED, assigned);
            }
            let mut desk = Desk::new(state);
            let end = desk.settle(todo, &mut NEVER.clone()).await;
            if goes {
                assert!(matches!(end, End::Settled(_)), "{kind}: {end:?}");
            } else {
                assert!(
                    matches!(&end, End::Asked(why) if why.contains("assign it to him again")),
                    "{kind}: {end:?}"
                );
                assert_eq!(desk.writes(), Vec::<String>::new(), "{kind}");
            }
        }
        // Nor to what was never shown to be a certain device.
        let (state, mut todo) = setting(kind);
        todo.params.0.remove(UID);
        let mut desk = Desk::new(state);
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert!(
            matches!(&end, End::Asked(why) if why.contains("surely be known again")),
            "{kind}: {end:?}"
        );
        assert_eq!(desk.writes(), Vec::<String>::new(), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_script_that_was_ordered_while_the_device_was_his_is_awaited() {
    let (state, todo) = setting(Kind::RunManagedScript);
    let mut desk = Desk::new(state);
    let Said::Wait { checkpoint, .. } = desk.once(&todo).await.said else {
        panic!("not awaited")
    };
    desk.fake.edit(|s| s.fleet.get_mut("41").unwrap().owner = None);
    let mut todo = todo;
    (todo.checkpoint, todo.mode) = (checkpoint, Mode::ObserveOnly);
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    assert_eq!(desk.writes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_window_of_somebody_else_s_is_followed_and_not_believed() {
    let (mut state, todo) = setting(Kind::MaintainManaged);
    let now_ms = Desk::new(state.clone()).now().0;
    let window = |days: i64, ours: bool| {
        Some(Silence {
            until_ms: now_ms + days * DAY_MS,
            ours,
        })
    };
    state.fleet.get_mut("41").unwrap().silence = window(2, false);
    let mut desk = Desk::new(state.clone());
    let said = desk.once(&todo).await.said;
    assert!(
        matches!(&said, Said::Wait { why, .. } if why.contains("somebody else")),
        "{said:?}"
    );
    assert_eq!(desk.writes(), Vec::<String>::new(), "it is not replaced");
    let end = desk.settle(todo.clone(), &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    assert!(desk.now().0 >= now_ms + 2 * DAY_MS, "not before it was over");
    // Ours counts while it lasts as long as the work; one that does not is made longer.
    for (days, writes) in [(14, 0), (2, 1)] {
        state.fleet.get_mut("41").unwrap().silence = window(days, true);
        let mut desk = Desk::new(state.clone());
        let end = desk.settle(todo.clone(), &mut NEVER.clone()).await;
        assert!(matches!(end, End::Settled(_)), "{end:?}");
        assert_eq!(desk.writes().len(), writes, "{days} days");
    }
}

#[tokio::test(start_paused = true)]
async fn a_technician_s_login_is_a_person_s_to_disable_and_one_that_cannot_be_read_too() {
    let logins = async |technicians: Option<Vec<ObjectId>>| {
        let edit = |s: &mut State| {
            s.fleet.clear();
            s.technicians = technicians;
        };
        let (seen, finds) = found(edit, true, &[]).await;
        let verdict = judge(Kind::DiscoverManaged, &Facts::new(), &seen.facts, None);
        let finds: Vec<_> = finds.into_iter().map(|f| (f.kind, f.object.0)).collect();
        (verdict, finds)
    };
    let (verdict, finds) = logins(Some(vec!["7".into()])).await;
    assert_eq!(verdict, Verdict::Satisfied, "something of his is there");
    assert_eq!(finds, [(Kind::EndTechnician, "m365/7".to_owned())]);
    let (verdict, finds) = logins(None).await;
    assert_eq!(verdict, Verdict::Satisfied);
    assert_eq!(finds, [(Kind::EndTechnician, "m365/technicians".to_owned())]);
    let (verdict, finds) = logins(Some(Vec::new())).await;
    assert!(matches!(verdict, Verdict::NotApplicable(_)) && finds.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_technician_s_login_is_found_without_a_look_at_devices() {
    let cases: [(Option<Vec<ObjectId>>, &[&str]); 3] = [
        (Some(vec![ObjectId::from("7")]), &["m365/7"]),
        (None, &["m365/technicians"]),
        (Some(Vec::new()), &[]),
    ];
    for (technicians, wanted) in cases {
        let (mut state, todo) = setting(Kind::DiscoverTechnicians);
        state.technicians = technicians;
        let report = Desk::new(state).once(&todo).await;
        let Said::Found { observation, finds } = report.said else {
            panic!("not read");
        };
        let facts = observation.facts;
        let verdict = judge(Kind::DiscoverTechnicians, &Facts::new(), &facts, None);
        assert_eq!(verdict, Verdict::Satisfied);
        assert!(facts.get("device_ids").is_none());
        assert!(finds.iter().all(|f| f.kind == Kind::EndTechnician));
        let asked: Vec<&str> = finds.iter().map(|f| f.object.0.as_str()).collect();
        assert_eq!(asked, wanted);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_device_management_saw_is_what_the_other_s_devices_are_compared_with() {
    let (state, todo) = setting(Kind::DiscoverDevices);
    let mut desk = Desk::new(state);
    let End::Found(seen, _) = desk.settle(todo, &mut NEVER.clone()).await else {
        panic!("not read");
    };
    let intune = estate::noted(&System::new("intune").unwrap(), &seen.facts);
    let held: Vec<_> = intune.iter().map(|s| (s.id.0.as_str(), s.held)).collect();
    assert_eq!(
        held,
        [
            ("m-company", Holding::ManagedCompany),
            ("m-odd", Holding::ManagedUnknown),
            ("m-personal", Holding::ManagedPersonal)
        ]
    );
    for (serial, word) in [
        ("S-Company", "managed_company"),
        ("s-personal", "managed_personal"),
        ("s-odd", "managed_unknown"),
        ("s-else", "unknown"),
    ] {
        let edit = |s: &mut State| s.fleet.get_mut("41").unwrap().serial = serial.to_owned();
        let (seen, _) = found(edit, true, &intune).await;
        assert_eq!(seen.facts.text("elsewhere/41"), Some(word), "{serial}");
        let only = seen.facts.list("only_elsewhere_ids").unwrap().len();
        assert_eq!(only, if word == "unknown" { 3 } else { 2 });
    }
}
