//! Whose devices are found: what is assigned to him, what was met by a name, and
//! nothing of anybody else.

use crate::common::{Server, call, json_answer, token};
use crate::ninja::stage::{CANARY, OURS, Stage, anna, id, open, quiet, settings};
use offboard_connectors::{EndpointClass, Fleet as _, Whose};
use offboard_domain::FaultClass;
use offboard_domain::estate::logon::Form;
use offboard_sim::world::fleet::{FleetHabits, Technician};
use serde_json::json;

#[tokio::test]
async fn a_technician_s_login_is_found_and_what_is_assigned_to_it_is_his() {
    let technician = |id: u64, who: &str, enabled: bool| Technician {
        id,
        uid: format!("uid-tech-{id}"),
        email: format!("{who}.{CANARY}@Example.com"),
        enabled,
    };
    for texts in [false, true] {
        let s = Stage::with(FleetHabits {
            numbers_as_text: texts,
            ..FleetHabits::default()
        })
        .await;
        s.fleet().technicians = vec![
            technician(6, "bert", true),
            technician(7, "ANNA", true),
            technician(8, "anna", false),
        ];
        s.edit(42, |n| n.owner = Some("uid-tech-7".to_owned()));
        let found = s.open().of(&mut s.reading(), &anna()).await.unwrap();
        assert_eq!(found.technicians, Some(vec![id(7)]), "one that is disabled is none");
        let logins = s.open().logins(&mut s.reading(), &anna()).await.unwrap();
        assert_eq!(logins, found.technicians);
        assert!(found.assigned.iter().any(|e| e.id == id(42)));
        assert_eq!(found.somebody_elses, Vec::new());
    }
    // Where they may not be read, that is said, and his devices are found.
    let s = Stage::with(FleetHabits {
        hides_technicians: true,
        ..FleetHabits::default()
    })
    .await;
    let found = s.open().of(&mut s.reading(), &anna()).await.unwrap();
    assert_eq!(found.technicians, None);
    assert_eq!(s.open().logins(&mut s.reading(), &anna()).await.unwrap(), None);
    assert_eq!(found.assigned.len(), 2);
}

#[tokio::test]
async fn his_devices_are_found_and_names_make_candidates_alone() {
    let small = FleetHabits {
        page_max: 1,
        ..FleetHabits::default()
    };
    let texts = FleetHabits {
        numbers_as_text: true,
        page_max: 2,
        ..FleetHabits::default()
    };
    let others = FleetHabits {
        lists_others: true,
        ..FleetHabits::default()
    };
    for habits in [FleetHabits::default(), small, texts, others] {
        let s = Stage::with(habits).await;
        let mut call = s.reading();
        let found = s.open().of(&mut call, &anna()).await.unwrap();
        assert_eq!(found.owner_uids, ["uid-anna"], "{habits:?}");
        let assigned: Vec<_> = found.assigned.iter().map(|e| (e.id.clone(), e.class)).collect();
        let wanted = [(id(41), EndpointClass::Workstation), (id(44), EndpointClass::Other)];
        assert_eq!(assigned, wanted, "{habits:?}");
        assert_eq!(found.assigned[0].serial.as_ref().unwrap().as_str(), "5CG1111");
        let candidates: Vec<_> = found
            .candidates
            .iter()
            .map(|c| (c.endpoint.id.clone(), c.met_as))
            .collect();
        assert_eq!(candidates, [(id(43), Form::Address)], "{habits:?}");
        assert_eq!(
            found.candidates[0].endpoint.serial, None,
            "a number that the maker left unset"
        );
        assert_eq!(found.somebody_elses, [id(42)], "{habits:?}");
        assert_eq!(s.journal(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn who_is_not_known_there_has_nothing() {
    let s = Stage::kind().await;
    let nobody = Whose {
        names: vec!["nobody@example.com".to_owned()],
        shown_name: None,
    };
    let found = s.open().of(&mut s.reading(), &nobody).await.unwrap();
    assert!(found.owner_uids.is_empty() && found.assigned.is_empty() && found.candidates.is_empty());
    assert!(found.somebody_elses.is_empty());
}

#[tokio::test]
async fn a_device_of_another_client_is_not_touched_and_not_read_as_ours() {
    let s = Stage::kind().await;
    let ninja = s.open();
    let mut call = s.writing();
    let mark = offboard_connectors::Mark::PendingWipe;
    let faults = [
        ninja.endpoint(&mut call, &id(51)).await.unwrap_err(),
        ninja.mark(&mut call, &id(51), mark).await.unwrap_err(),
        ninja.maintain(&mut call, &id(51), i64::MAX).await.unwrap_err(),
        ninja.run_script(&mut call, &id(51), "t-1").await.unwrap_err(),
        ninja.clear_owner(&mut call, &id(51)).await.unwrap_err(),
        ninja.decommission(&mut call, &id(51)).await.unwrap_err(),
    ];
    for fault in faults {
        assert_eq!(fault.class, FaultClass::Blocked, "{fault}");
        quiet(&fault, &call);
    }
    assert_eq!((s.journal(), call.writes_sent()), (Vec::new(), 0));
}

#[tokio::test]
async fn a_device_is_gone_only_if_the_organisation_is_there() {
    let s = Stage::kind().await;
    assert_eq!(s.open().endpoint(&mut s.reading(), &id(999)).await.unwrap(), None);
    s.fleet().organizations.clear();
    let fault = s.open().endpoint(&mut s.reading(), &id(999)).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Rejected);
    assert!(fault.detail.contains("organization_id"), "{fault}");
    for odd in ["", "..", "41/owner", "x", "-1"] {
        let fault = s.open().endpoint(&mut s.reading(), &odd.into()).await.unwrap_err();
        assert_eq!(fault.class, FaultClass::Rejected, "{odd}");
    }
}

#[tokio::test]
async fn pages_that_do_not_move_end_in_a_fault() {
    let s = Stage::with(FleetHabits {
        ignores_after: true,
        page_max: 2,
        ..FleetHabits::default()
    })
    .await;
    let mut call = s.reading();
    let fault = s.open().of(&mut call, &anna()).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Transient);
    assert!(fault.detail.contains("same page"), "{fault}");
    quiet(&fault, &call);
}

#[tokio::test]
async fn answers_that_are_none_are_not_taken_for_nothing() {
    for body in [
        json!("<html>"),
        json!({"error": "canary"}),
        json!({"results": "canary"}),
        json!(null),
    ] {
        let answer = body.clone();
        let server = Server::start(move |asked| {
            let body = answer.clone();
            async move {
                match asked.path.as_str() {
                    "/ws/oauth/token" => token("t", 3_600),
                    _ => json_answer(200, body),
                }
            }
        })
        .await;
        let mut call = call();
        let ninja = open(&settings(server.root()));
        let fault = ninja.of(&mut call, &anna()).await.unwrap_err();
        assert_eq!(fault.class, FaultClass::Transient, "{body}");
        quiet(&fault, &call);
        let fault = ninja.endpoint(&mut call, &id(41)).await.unwrap_err();
        assert_eq!(fault.class, FaultClass::Transient, "{body}");
    }
    // An answer about another device, and one that does not say whose it is.
    for (body, class) in [
        (json!({"id": 42, "organizationId": OURS}), FaultClass::Transient),
        (json!({"id": 41}), FaultClass::Blocked),
    ] {
        let server = Server::start(move |asked| {
            let body = body.clone();
            async move {
                match asked.path.as_str() {
                    "/ws/oauth/token" => token("t", 3_600),
                    _ => json_answer(200, body),
                }
            }
        })
        .await;
        let fault = open(&settings(server.root()))
            .endpoint(&mut call(), &id(41))
            .await
            .unwrap_err();
        assert_eq!(fault.class, class);
    }
}

#[tokio::test]
async fn what_is_installed_is_read_of_our_own_devices_alone() {
    let s = Stage::kind().await;
    for device in [41, 51] {
        s.edit(device, |n| {
            n.software = vec![
                ("Vault".to_owned(), "Vault Ltd".to_owned()),
                ("Runtime".to_owned(), String::new()),
                (" ".to_owned(), "Nobody".to_owned()),
            ];
        });
    }
    let ninja = s.open();
    let installed = ninja.software(&mut s.reading(), &id(41)).await.unwrap().unwrap();
    let told: Vec<_> = installed
        .iter()
        .map(|one| (one.name.as_str(), one.publisher.as_deref()))
        .collect();
    assert_eq!(told, [("Vault", Some("Vault Ltd")), ("Runtime", None)]);
    let mut call = s.reading();
    let fault = ninja.software(&mut call, &id(51)).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Blocked, "another client's");
    quiet(&fault, &call);
    assert_eq!(ninja.software(&mut s.reading(), &id(99)).await.unwrap(), None);
}
