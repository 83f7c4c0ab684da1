//! A workspace: beside a cloud and alone, closed from the inside when there is
//! time, and at once when there is none.

use crate::model::*;
use offboard_domain::catalogue::apps::{NAMES, PROTECTED};
use offboard_domain::catalogue::workspace::{
    ARCHIVE_UNMADE, AT_ONCE, FORWARD, GRANT_MAIL, HOLD_WANTED, KINDS, KNOWN_DEVICES, MET_GRANTS, TRANSFER_FILES,
};
use offboard_domain::catalogue::{Approval, Kind};
use offboard_domain::departure::{Departure, Forwarding, Manner, OneDriveChoice, PersonRef};
use offboard_domain::estate::{self, Holding, Serial};
use offboard_domain::keeping::Retention;
use offboard_domain::standing::{Standing, standing, words};
use offboard_domain::task::Outcome;
use offboard_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use offboard_domain::unplanned::{APP_IDS, APPS};
use offboard_domain::{
    Area, Capabilities, CaseId, CaseState, Command, Event, Facts, Fault, FaultClass, Find, Mode, ObjectId, Policy,
    Report, Rule, Said, System, Task, TaskId, TaskState, Verdict, follow_up, judge,
};
use std::collections::BTreeSet;
use std::sync::Arc;

fn google() -> System {
    System::new("google").unwrap()
}

fn claims(alone: bool) -> BTreeSet<Kind> {
    let closing = [
        Kind::ObserveIdentity,
        Kind::ObserveMailbox,
        Kind::ObserveDevice,
        Kind::ObserveLicense,
        Kind::ObserveKnowledge,
    ];
    let resolve = alone.then_some(Kind::Resolve);
    KINDS.iter().copied().chain(closing).chain(resolve).collect()
}

fn beside() -> Capabilities {
    let mut all = everything();
    all.0.get_mut(&m365()).unwrap().retain(|k| k.is_of_a_cloud());
    all.0.insert(google(), claims(false));
    all
}

fn alone() -> Capabilities {
    Capabilities([(google(), claims(true))].into())
}

fn leaving(manner: Manner) -> Departure {
    let mut leaving = departure(manner);
    leaving.person.mail = Some("anna@acme.example".into());
    leaving.successor = Some(PersonRef {
        mail: Some("berta@acme.example".into()),
        ..PersonRef::default()
    });
    leaving
}

fn opened(departure: Departure, policy: Policy, capabilities: Capabilities) -> World {
    let mut w = World::new();
    w.order(Command::Open {
        departure: Arc::new(departure),
        policy: Arc::new(policy),
        capabilities: Arc::new(capabilities),
        traceparent: None,
    })
    .unwrap();
    w.answer(Kind::Resolve);
    w
}

/// What the finder of a real worker would find, for this departure.
fn found(w: &mut World) {
    let id = w.id(Kind::ResolveInWorkspace);
    let asked = w.case().assignment(id).unwrap().params;
    let is = |name: &str| asked.bool(name) == Some(true);
    let wanted = |kind: Kind| match kind {
        Kind::SuspendAtOnce => is(AT_ONCE),
        Kind::SuspendInWorkspace => !is(AT_ONCE),
        Kind::GrantMailInWorkspace => is(GRANT_MAIL),
        Kind::TransferFiles => is(TRANSFER_FILES),
        _ => true,
    };
    let all = Kind::ResolveInWorkspace.spec().finds.iter().copied();
    let finds = all.filter(|k| wanted(*k)).map(|kind| {
        let mut params = Facts::new();
        let given = [
            Kind::GrantMailInWorkspace,
            Kind::TransferFiles,
            Kind::HandOverSharedDrives,
        ];
        if given.contains(&kind) {
            params.set("successor_id", "1002");
        }
        if kind == Kind::SetReplyInWorkspace {
            params.set("reply_digest", "d");
        }
        Find {
            kind,
            object: ObjectId::from("1001"),
            params,
        }
    });
    let said = Said::Found {
        finds: finds.collect(),
        observation: seen(good(Kind::ResolveInWorkspace)),
    };
    let report = w.report(id, said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
}

/// Answers what is in flight of these kinds, until none of them is.
fn answer_all(w: &mut World, of: impl Fn(Kind) -> bool) {
    while let Some(id) = w.in_flight().into_iter().find(|id| of(w.case().tasks[id].kind())) {
        let report = w.truthful(id);
        w.order(Command::RecordReport(Box::new(report))).unwrap();
    }
}

fn in_flight(w: &World, kind: Kind) -> bool {
    w.case()
        .tasks
        .values()
        .any(|t| t.kind() == kind && t.in_flight().is_some())
}

fn fails(w: &mut World, kind: Kind) {
    fails_as(w, kind, FaultClass::Denied);
}

fn fails_as(w: &mut World, kind: Kind, class: FaultClass) {
    let id: TaskId = w.id(kind);
    let fault = Fault {
        class,
        system: google(),
        attempted: "x".into(),
        status: None,
        code: None,
        detail: "not granted".into(),
        request_id: None,
    };
    let report = w.report(id, Said::Fault { fault });
    w.order(Command::RecordReport(Box::new(report))).unwrap();
}

#[test]
fn an_immediate_departure_is_suspended_as_soon_as_a_password_was_tried() {
    let mut w = opened(leaving(Manner::Immediate), Policy::default(), beside());
    found(&mut w);
    assert!(in_flight(&w, Kind::ResetPasswordInWorkspace) && !in_flight(&w, Kind::SuspendAtOnce));
    w.answer(Kind::ResetPasswordInWorkspace);
    assert!(in_flight(&w, Kind::SuspendAtOnce), "nobody has approved anything yet");
    assert!(in_flight(&w, Kind::SignOutInWorkspace), "sessions go beside it");
    assert!(w.case().tasks.values().all(|t| t.kind() != Kind::SuspendInWorkspace));
    // Even where nothing of it can be done by a machine.
    let mut w = opened(leaving(Manner::Immediate), Policy::default(), beside());
    found(&mut w);
    fails(&mut w, Kind::ResetPasswordInWorkspace);
    assert!(in_flight(&w, Kind::SuspendAtOnce));
    // What was not begun is no try.
    let mut w = opened(leaving(Manner::Immediate), Policy::default(), beside());
    found(&mut w);
    let why = "the worker was stopped".into();
    let report = w.report(w.id(Kind::ResetPasswordInWorkspace), Said::NotBegun { why });
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(!in_flight(&w, Kind::SuspendAtOnce));
}

/// Planned and approved for a day to come, and then wanted at once: by the same request or
/// by another one, and whatever becomes of the password.
#[test]
fn who_is_to_go_at_once_after_all_is_suspended_as_soon_as_a_password_was_tried() {
    for another in [false, true] {
        for fails in [false, true] {
            let planned = Departure {
                effective_at: T0.plus(10 * DAY_MS),
                ..leaving(Manner::Planned)
            };
            let mut w = opened(planned, Policy::default(), beside());
            found(&mut w);
            answer_all(&mut w, |_| true);
            w.approve();
            answer_all(&mut w, |_| true);
            assert_eq!(w.task(Kind::ResetPasswordInWorkspace).attempt, 0);
            let at_once = Arc::new(leaving(Manner::Immediate));
            let wanted = if another {
                Command::Join {
                    case: CaseId([7; 10]),
                    asked_at: T0,
                    departure: at_once,
                    amended_by: BTreeSet::new(),
                    retention: Retention::default(),
                }
            } else {
                Command::Open {
                    departure: at_once,
                    policy: Arc::new(Policy::default()),
                    capabilities: Arc::new(beside()),
                    traceparent: None,
                }
            };
            w.order(wanted).unwrap();
            answer_all(&mut w, |k| k != Kind::ResetPasswordInWorkspace);
            assert!(in_flight(&w, Kind::ResetPasswordInWorkspace));
            assert_eq!(w.task(Kind::SuspendInWorkspace).attempt, 0);
            if fails {
                fails_as(&mut w, Kind::ResetPasswordInWorkspace, FaultClass::Transient);
            } else {
                w.answer(Kind::ResetPasswordInWorkspace);
            }
            assert!(
                in_flight(&w, Kind::SuspendInWorkspace),
                "it waits; another: {another}, fails: {fails}"
            );
            answer_all(&mut w, |_| true);
            w.run_to_sealing();
        }
    }
}

#[test]
fn a_vendor_that_keeps_failing_keeps_no_account_open() {
    const LOOK_MS: i64 = MINUTE_MS;
    let burst = [
        Kind::ResetPasswordInWorkspace,
        Kind::SignOutInWorkspace,
        Kind::RevokeTokensInWorkspace,
    ];
    for failing in burst {
        for (manner, suspension, longest_ms) in [
            (Manner::Immediate, Kind::SuspendAtOnce, 0),
            (Manner::Planned, Kind::SuspendInWorkspace, HOUR_MS),
        ] {
            let mut w = opened(leaving(manner), Policy::default(), beside());
            found(&mut w);
            if manner == Manner::Planned {
                answer_all(&mut w, |_| true);
                w.pass(3 * HOUR_MS);
                w.approve();
            }
            let since = w.now;
            loop {
                answer_all(&mut w, |k| k != failing && k != suspension);
                if in_flight(&w, failing) {
                    fails_as(&mut w, failing, FaultClass::Transient);
                }
                if in_flight(&w, suspension) {
                    break;
                }
                // The case wants to be looked at by then, and not only by chance.
                let wake = offboard_domain::next(w.case(), w.now, &w.gates).timer.unwrap();
                assert!(wake.at.since(since) <= longest_ms, "{failing} {manner:?}: {wake:?}");
                w.pass(LOOK_MS);
                assert!(w.now.since(since) <= longest_ms + LOOK_MS, "{failing} {manner:?}");
            }
            assert!(w.now.since(since) >= longest_ms, "{failing} {manner:?}: too soon");
            // It ends all the same, and what came late is followed by another look.
            w.answer(suspension);
            w.run_to_sealing();
            assert!(w.case().tasks.values().all(|t| t.is_settled()));
        }
    }
}

#[test]
fn a_planned_departure_is_suspended_after_what_needs_an_open_account_was_tried() {
    let mut w = opened(leaving(Manner::Planned), Policy::default(), beside());
    found(&mut w);
    answer_all(&mut w, |_| true);
    assert!(!in_flight(&w, Kind::ResetPasswordInWorkspace), "nobody has approved");
    w.approve();
    let needs_it_open = [
        Kind::RemoveAppPasswords,
        Kind::InvalidateBackupCodes,
        Kind::TurnOffSecondFactor,
        Kind::SetReplyInWorkspace,
        Kind::SetForwardingInWorkspace,
        Kind::GrantMailInWorkspace,
    ];
    answer_all(&mut w, |k| !needs_it_open.contains(&k));
    assert!(!w.task(Kind::SuspendInWorkspace).is_settled());
    // A scope that is missing is a person's to grant, and does not hold it back.
    fails(&mut w, Kind::InvalidateBackupCodes);
    fails(&mut w, Kind::RemoveAppPasswords);
    let mut failed = 0;
    while let Some(kind) = needs_it_open.into_iter().find(|k| in_flight(&w, *k)) {
        assert!(!in_flight(&w, Kind::SuspendInWorkspace), "{kind}");
        failed += 1;
        fails(&mut w, kind);
    }
    assert_eq!(failed, 4);
    assert!(in_flight(&w, Kind::SuspendInWorkspace));
    // The files are nobody's hurry: they wait for a word of their own.
    let transfer = w.task(Kind::TransferFiles);
    assert_eq!(
        standing(w.case(), transfer, w.now, &w.gates),
        Standing::WaitsForOwnApproval
    );
}

/// The workspace's mail server beside the cloud's, and a planned departure in which all that
/// is not an archive, nor the suspension, is answered.
fn archiving(own: &[System]) -> World {
    let policy = Policy {
        workspace_mail: own.iter().cloned().collect(),
        ..archived()
    };
    let mut w = opened(leaving(Manner::Planned), policy, with_reader());
    found(&mut w);
    answer_all(&mut w, |_| true);
    w.approve();
    answer_all(&mut w, |k| {
        ![Kind::ArchiveMailbox, Kind::SuspendInWorkspace].contains(&k)
    });
    w
}

/// With an archive, and a workspace whose mailboxes the reader has.
fn archived() -> Policy {
    Policy {
        archive_mailbox: true,
        workspace_mail: [reader()].into(),
        ..Policy::default()
    }
}

fn with_reader() -> Capabilities {
    let mut both = beside();
    both.0.insert(reader(), [Kind::ArchiveMailbox].into());
    both
}

fn reader() -> System {
    System::new("imap").unwrap()
}

fn archive_in(w: &World, system: &System) -> TaskId {
    let mut all = w.case().tasks.values();
    let is_it = |t: &&Arc<Task>| t.kind() == Kind::ArchiveMailbox && t.planned.target.system == *system;
    all.find(is_it).unwrap().id()
}

/// Believed of Google, and tried against none: nobody is given a token that acts for a
/// suspended account, so that no machine reads its mailbox.
#[test]
fn a_planned_suspension_waits_for_the_archive_of_its_own_mailbox() {
    let mut w = archiving(&[reader()]);
    let own = archive_in(&w, &reader());
    // However long that takes: the hour is for what may be gone without.
    for _ in 0..4 {
        assert!(!in_flight(&w, Kind::SuspendInWorkspace));
        w.pass(HOUR_MS);
        answer_all(&mut w, |k| {
            ![Kind::ArchiveMailbox, Kind::SuspendInWorkspace].contains(&k)
        });
    }
    for _ in 0..500 {
        if w.case().tasks[&own].in_flight().is_some() {
            break;
        }
        match w.in_flight().first().copied() {
            Some(id) => {
                let report = w.truthful(id);
                w.order(Command::RecordReport(Box::new(report))).unwrap();
            }
            None => w.pass(10 * MINUTE_MS),
        }
    }
    // A person is to see to it, and nobody has.
    let refused = w.report(own, fault(FaultClass::Denied));
    w.order(Command::RecordReport(Box::new(refused))).unwrap();
    w.pass(DAY_MS);
    assert!(matches!(w.case().tasks[&own].state, TaskState::Failed { .. }));
    assert_eq!(w.task(Kind::SuspendInWorkspace).attempt, 0);
    w.order(Command::Waive {
        task: own,
        by: "boss@msp.example".into(),
        reason: "it was exported by hand".into(),
        until: w.now.plus(DAY_MS),
    })
    .unwrap();
    assert!(in_flight(&w, Kind::SuspendInWorkspace));
    // Where nothing goes wrong, it ends by itself.
    let mut w = archiving(&[reader()]);
    let own = archive_in(&w, &reader());
    w.run_until(|w| w.task(Kind::SuspendInWorkspace).is_settled());
    assert!(w.case().tasks[&own].is_settled());
    w.run_to_sealing();
}

#[test]
fn a_suspension_waits_for_no_archive_of_another_server_s_mailbox() {
    let w = archiving(&[]);
    for system in [m365(), reader()] {
        assert!(!w.case().tasks[&archive_in(&w, &system)].is_settled());
    }
    assert!(in_flight(&w, Kind::SuspendInWorkspace));
}

#[test]
fn who_is_to_go_at_once_after_all_is_suspended_before_his_mailbox_is_kept() {
    let mut w = archiving(&[reader()]);
    assert!(!in_flight(&w, Kind::SuspendInWorkspace));
    w.order(Command::Open {
        departure: Arc::new(leaving(Manner::Immediate)),
        policy: Arc::new(Policy::default()),
        capabilities: Arc::new(beside()),
        traceparent: None,
    })
    .unwrap();
    assert!(!w.case().tasks[&archive_in(&w, &reader())].is_settled());
    assert!(in_flight(&w, Kind::SuspendInWorkspace));
}

/// What Entra or Exchange refuse for good keeps no account at Google open.
#[test]
fn a_suspension_goes_ahead_of_an_archive_that_cannot_begin_before_a_person_acts() {
    let mut w = opened(leaving(Manner::Planned), archived(), with_reader());
    found(&mut w);
    answer_all(&mut w, |_| true);
    w.approve();
    let kept = [Kind::ArchiveMailbox, Kind::SuspendInWorkspace, Kind::DisableSignIn];
    answer_all(&mut w, |k| !kept.contains(&k));
    let suspension = |w: &World| standing(w.case(), w.task(Kind::SuspendInWorkspace), w.now, &w.gates);
    // It may be disabled any moment.
    let stands = suspension(&w);
    let waits = matches!(&stands, Standing::WaitsFor(kinds) if kinds.contains(&Kind::ArchiveMailbox));
    assert!(waits, "{stands:?}");
    let said = words(&stands, w.task(Kind::SuspendInWorkspace));
    assert!(said.contains("need a person, it goes ahead of it"), "{said}");
    let refused = w.report(w.id(Kind::DisableSignIn), fault(FaultClass::Denied));
    w.order(Command::RecordReport(Box::new(refused))).unwrap();
    assert!(matches!(w.task(Kind::DisableSignIn).state, TaskState::Failed { .. }));
    for _ in 0..4 {
        answer_all(&mut w, |k| !kept.contains(&k));
        if in_flight(&w, Kind::SuspendInWorkspace) {
            break;
        }
        w.pass(HOUR_MS / 2);
    }
    assert_eq!(w.case().tasks[&archive_in(&w, &reader())].attempt, 0);
    assert!(in_flight(&w, Kind::SuspendInWorkspace), "{:?}", suspension(&w));
}

/// An archive holds back who would suspend the account, and nobody who only follows him.
#[test]
fn who_follows_a_planned_suspension_waits_for_no_archive_where_there_is_none() {
    let shared = |policy: Policy| Policy {
        shared_credentials: vec!["front door".to_owned()],
        ..policy
    };
    let mut cloud = beside();
    cloud.0.remove(&google());
    let unread = Policy {
        workspace_mail: BTreeSet::new(),
        ..archived()
    };
    for (manner, policy, systems) in [
        (Manner::Planned, unread, cloud),
        (Manner::Immediate, archived(), with_reader()),
    ] {
        let mut w = opened(leaving(manner), shared(policy), systems);
        if manner == Manner::Immediate {
            found(&mut w);
        }
        answer_all(&mut w, |k| k != Kind::ArchiveMailbox);
        w.approve();
        answer_all(&mut w, |k| k != Kind::ArchiveMailbox);
        assert!(!w.task(Kind::ArchiveMailbox).is_settled());
        assert!(!w.case().has(Kind::SuspendInWorkspace));
        let stands = standing(w.case(), w.task(Kind::RotateSharedCredential), w.now, &w.gates);
        assert_eq!(stands, Standing::WaitsForPerson, "{manner:?}");
    }
}

#[test]
fn nothing_that_files_hang_on_goes_before_they_were_transferred() {
    let mut w = opened(leaving(Manner::Immediate), Policy::default(), beside());
    found(&mut w);
    w.run_until(|w| {
        let transfer = w.task(Kind::TransferFiles);
        standing(w.case(), transfer, w.now, &w.gates) == Standing::WaitsForOwnApproval
    });
    answer_all(&mut w, |_| true);
    for kind in [Kind::RemoveGroupsInWorkspace, Kind::ReleaseInWorkspace] {
        let stands = standing(w.case(), w.task(kind), w.now, &w.gates);
        assert!(
            matches!(&stands, Standing::WaitsFor(k) if k.contains(&Kind::TransferFiles)),
            "{stands:?}"
        );
    }
    w.run_to_sealing();
    let outcome = |kind| w.task(kind).outcome().cloned();
    for kind in [Kind::ResetPasswordInWorkspace, Kind::SignOutInWorkspace] {
        assert_eq!(outcome(kind), Some(Outcome::Acknowledged), "{kind}");
    }
    for kind in [Kind::SuspendAtOnce, Kind::TransferFiles, Kind::ReleaseInWorkspace] {
        assert_eq!(outcome(kind), Some(Outcome::Verified), "{kind}");
    }
}

#[test]
fn his_names_travel_to_the_finder_alone_and_are_in_no_stored_task() {
    let policy = Policy {
        protected: ["owner@acme.example".to_owned()].into(),
        ..Policy::default()
    };
    let mut w = opened(leaving(Manner::Immediate), policy, beside());
    let params = w.case().assignment(w.id(Kind::ResolveInWorkspace)).unwrap().params;
    assert_eq!(
        params.list(NAMES).unwrap(),
        ["leaver@acme.example", "anna@acme.example"]
    );
    assert_eq!(params.list(PROTECTED).unwrap(), ["owner@acme.example"]);
    assert_eq!(params.text("successor_mail"), Some("berta@acme.example"));
    assert!(params.get("object_id").is_none() && params.get("user_principal_name").is_none());
    found(&mut w);
    let of_a_task = w
        .case()
        .assignment(w.id(Kind::ResetPasswordInWorkspace))
        .unwrap()
        .params;
    assert!(of_a_task.get(NAMES).is_none());
    for task in w.case().tasks.values() {
        let stored = serde_json::to_string(&task.planned).unwrap();
        for name in ["anna@", "leaver@", "berta@", "owner@"] {
            assert!(!stored.contains(name), "{stored}");
        }
    }
}

#[test]
fn what_is_asked_of_the_finder_is_what_the_departure_and_the_policy_want() {
    let asked = |departure: &Departure, policy: &Policy| {
        let subject = good(Kind::Resolve);
        let plan =
            offboard_domain::plan::plan(departure.case_id(), departure, &subject, policy, &beside(), false).unwrap();
        let mut all = plan.tasks.into_iter();
        all.find(|t| t.kind == Kind::ResolveInWorkspace).unwrap().params
    };
    let flags = [AT_ONCE, FORWARD, GRANT_MAIL, TRANSFER_FILES, HOLD_WANTED];
    let of = |params: &Facts| flags.map(|f| params.bool(f) == Some(true));
    let plain = departure(Manner::Planned);
    assert_eq!(
        of(&asked(&plain, &Policy::default())),
        [false, false, true, true, false]
    );
    assert!(asked(&plain, &Policy::default()).text("reply").is_none());
    let policy = Policy {
        forwarding: Forwarding::Successor,
        legal_hold: true,
        onedrive: OneDriveChoice::Ask,
        automatic_reply: Some("gone".into()),
        ..Policy::default()
    };
    let all = asked(&departure(Manner::Immediate), &policy);
    assert_eq!(of(&all), [true, true, true, false, true]);
    assert_eq!(all.text("reply"), Some("gone"));
    assert!(all.text("reply_digest").is_some());
}

#[test]
fn without_the_archive_that_is_wanted_neither_a_licence_nor_a_group_goes() {
    let mut wants = departure(Manner::Planned);
    wants.choices.archive_mailbox = Some(true);
    let asked_under = |policy: &Policy, capabilities: &Capabilities| {
        let subject = good(Kind::Resolve);
        let plan = offboard_domain::plan::plan(wants.case_id(), &wants, &subject, policy, capabilities, false).unwrap();
        let mut all = plan.tasks.into_iter();
        all.find(|t| t.kind == Kind::ResolveInWorkspace).unwrap().params
    };
    let asked = |capabilities: &Capabilities| asked_under(&Policy::default(), capabilities);
    let mut without = beside();
    without.0.get_mut(&m365()).unwrap().remove(&Kind::ArchiveMailbox);
    assert_eq!(asked(&without).bool(ARCHIVE_UNMADE), Some(true));
    assert_eq!(asked(&alone()).bool(ARCHIVE_UNMADE), Some(true));
    // One that is made of the cloud's mailbox is none of the workspace's.
    assert_eq!(asked(&beside()).bool(ARCHIVE_UNMADE), Some(true));
    let mut with_a_reader = alone();
    let reader = System::new("imap").unwrap();
    with_a_reader.0.insert(reader.clone(), [Kind::ArchiveMailbox].into());
    // Nor is one of any other mail server.
    assert_eq!(asked(&with_a_reader).bool(ARCHIVE_UNMADE), Some(true));
    let told = Policy {
        workspace_mail: [reader].into(),
        ..Policy::default()
    };
    let params = asked_under(&told, &with_a_reader);
    assert_eq!(params.bool(ARCHIVE_UNMADE), None, "somebody makes it");
    assert_eq!(
        asked_under(&told, &alone()).bool(ARCHIVE_UNMADE),
        Some(true),
        "it is not there"
    );
    let held = |fact: &str, what: Vec<String>| Facts::new().with("object_exists", true).with(fact, what);
    for (kind, fact) in [
        (Kind::ReleaseInWorkspace, "licence_ids"),
        (Kind::RemoveGroupsInWorkspace, "group_ids"),
    ] {
        for (wanted, says) in [(ARCHIVE_UNMADE, "Export"), (HOLD_WANTED, "Vault")] {
            let params = Facts::new().with(wanted, true);
            let verdict = judge(kind, &params, &held(fact, vec!["one".into()]), None);
            assert!(
                matches!(verdict, Verdict::Blocked(why) if why.contains(says)),
                "{kind}: {verdict:?}"
            );
            assert_eq!(judge(kind, &params, &held(fact, Vec::new()), None), Verdict::Satisfied);
        }
    }
}

#[test]
fn a_transfer_without_an_answer_is_neither_read_nor_ordered_while_lists_may_lag() {
    let mut w = opened(leaving(Manner::Immediate), Policy::default(), beside());
    found(&mut w);
    answer_all(&mut w, |k| k != Kind::TransferFiles);
    w.approve();
    answer_all(&mut w, |k| k != Kind::TransferFiles);
    let id = w.id(Kind::TransferFiles);
    w.order(Command::Approve {
        by: "boss@msp.example".into(),
        of: offboard_domain::ApprovalOf::Task(id, w.case().task_digest(&w.case().tasks[&id])),
    })
    .unwrap();
    while !in_flight(&w, Kind::TransferFiles) {
        w.pass(MINUTE_MS);
        answer_all(&mut w, |k| k != Kind::TransferFiles);
    }
    let over = w.case().tasks[&id].in_flight().unwrap().over_at();
    fails_as(&mut w, Kind::TransferFiles, FaultClass::Unknown);
    while !in_flight(&w, Kind::TransferFiles) {
        w.pass(MINUTE_MS);
        answer_all(&mut w, |k| k != Kind::TransferFiles);
    }
    assert!(w.now.since(over) >= HOUR_MS, "a list of now may be of before the order");
    assert_eq!(w.case().tasks[&id].in_flight().unwrap().mode, Mode::ObserveOnly);
}

#[test]
fn a_workspace_s_devices_are_known_again_by_their_numbers() {
    let mut w = opened(leaving(Manner::Immediate), Policy::default(), beside());
    found(&mut w);
    answer_all(&mut w, |k| k != Kind::DisableLaptops);
    w.approve();
    answer_all(&mut w, |k| k != Kind::DisableLaptops);
    let mut facts = good(Kind::DisableLaptops);
    let serial = Serial::parse("5cg1111");
    estate::note(
        &mut facts,
        &ObjectId::from("c1"),
        serial.as_ref(),
        Holding::ManagedWorkspace,
    );
    let said = Said::Satisfied {
        before: seen(facts.clone()),
        after: seen(facts),
    };
    let report = w.report(w.id(Kind::DisableLaptops), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    let seen = w.case().sightings_elsewhere(&m365());
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!((seen[0].system.clone(), seen[0].serial.clone()), (google(), serial));
}

/// The remote management compares when it looks second, and the workspace when it does.
#[test]
fn who_looks_at_a_workspace_s_devices_is_told_what_others_have_seen() {
    let mut w = opened(leaving(Manner::Immediate), Policy::default(), beside());
    found(&mut w);
    let devices = [Kind::DisableLaptops, Kind::WipeAccount];
    answer_all(&mut w, |k| k != Kind::DiscoverDevices && !devices.contains(&k));
    let mut facts = good(Kind::DiscoverDevices);
    let serial = Serial::parse("5cg1111");
    estate::note(
        &mut facts,
        &ObjectId::from("m-1"),
        serial.as_ref(),
        Holding::ManagedCompany,
    );
    let said = Said::Found {
        finds: Vec::new(),
        observation: seen(facts),
    };
    let report = w.report(w.id(Kind::DiscoverDevices), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    answer_all(&mut w, |k| !devices.contains(&k));
    w.approve();
    answer_all(&mut w, |k| !devices.contains(&k));
    for kind in devices {
        let told = estate::heard(&w.case().assignment(w.id(kind)).unwrap().params);
        let told: Vec<_> = told.iter().map(|s| (&s.system, s.id.0.as_str(), s.held)).collect();
        assert_eq!(told, [(&m365(), "m-1", Holding::ManagedCompany)], "{kind}");
    }
}

/// By these they are looked at again. An account that is missed for once lists none of them.
#[test]
fn which_laptops_were_his_is_known_also_while_his_account_is_missed() {
    let mut w = opened(leaving(Manner::Immediate), Policy::default(), beside());
    found(&mut w);
    w.run_until(|w| w.task(Kind::DisableLaptops).is_settled());
    let id = w.id(Kind::DisableLaptops);
    w.reopen(id);
    w.order(Command::Tick).unwrap();
    let told = |w: &World| {
        let params = w.case().assignment(id).unwrap().params;
        params.list(KNOWN_DEVICES).map(<[String]>::to_vec)
    };
    let known = Some(vec!["l-1".to_owned()]);
    assert_eq!(told(&w), known);
    let said = Said::Wait {
        until: w.now.plus(MINUTE_MS),
        why: "the account is not found".into(),
        checkpoint: None,
    };
    let report = Report {
        seen: Some(seen(Facts::new().with("missing_since_ms", 1))),
        ..w.report(id, said)
    };
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    w.pass(2 * MINUTE_MS);
    assert_eq!(told(&w), known);
}

/// An older version took application roles right after the burst, before anything was found:
/// what waits for them no more is not late for them either.
#[test]
fn what_is_found_once_application_roles_have_gone_is_done_all_the_same() {
    let mut w = opened(leaving(Manner::Immediate), Policy::default(), beside());
    let roles = Event::TaskSettled {
        task: w.id(Kind::RemoveAppRoles),
        attempt: 1,
        outcome: Outcome::Verified,
        before: Some(Arc::new(seen(good(Kind::RemoveAppRoles)))),
        after: None,
        receipts: Vec::new(),
        artifacts: Vec::new(),
        report: None,
    };
    let mut case = w.case().clone();
    case.fold(w.now, &roles);
    w.case = Some(case);
    found(&mut w);
    for kind in [Kind::SetForwardingInWorkspace, Kind::WipeAccount, Kind::DisableLaptops] {
        assert!(Kind::RemoveAppRoles.spec().after.iter().any(|dep| dep.kind == kind));
        let state = &w.task(kind).state;
        let is_late = matches!(
            state,
            TaskState::Failed {
                rule: Rule::LateFind,
                ..
            }
        );
        assert!(!is_late, "{kind}: {state:?}");
    }
    w.run_to_sealing();
}

#[test]
fn a_tenant_with_a_workspace_alone_is_served_by_it() {
    let d = leaving(Manner::Immediate);
    let subject = good(Kind::Resolve);
    let plan = offboard_domain::plan::plan(d.case_id(), &d, &subject, &Policy::default(), &alone(), false).unwrap();
    for missed in [Kind::DisableSignIn, Kind::HandOverOneDrive, Kind::SetForwarding] {
        assert!(!plan.unserved.contains(&missed), "{missed}");
    }
    assert!(plan.unserved.contains(&Kind::ConvertToShared), "nothing stands for it");
    // Whoever has the cloud misses what it lacks.
    let mut lacking = beside();
    lacking.0.get_mut(&m365()).unwrap().remove(&Kind::SetForwarding);
    let plan = offboard_domain::plan::plan(d.case_id(), &d, &subject, &Policy::default(), &lacking, false).unwrap();
    assert_eq!(plan.unserved, [Kind::SetForwarding]);
    let mut w = opened(d, Policy::default(), alone());
    assert_eq!(w.case().subject.0.get(&google()), Some(&ObjectId::from("u-1")));
    found(&mut w);
    w.run_to_sealing();
    assert!(w.case().tasks.values().all(|t| t.is_settled()));
}

#[test]
fn without_a_workspace_none_is_missed() {
    let mut capabilities = beside();
    capabilities.0.remove(&google());
    let d = departure(Manner::Planned);
    let plan = offboard_domain::plan::plan(
        d.case_id(),
        &d,
        &good(Kind::Resolve),
        &Policy::default(),
        &capabilities,
        false,
    )
    .unwrap();
    assert!(plan.tasks.iter().all(|t| !KINDS.contains(&t.kind)));
    assert!(plan.unserved.iter().all(|k| !KINDS.contains(k)), "{:?}", plan.unserved);
}

#[test]
fn a_workspace_that_a_person_must_see_to_holds_up_itself_alone() {
    let mut w = opened(leaving(Manner::Planned), Policy::default(), beside());
    let finder = w.id(Kind::ResolveInWorkspace);
    fails(&mut w, Kind::ResolveInWorkspace);
    answer_all(&mut w, |_| true);
    w.approve();
    answer_all(&mut w, |_| true);
    assert!(w.task(Kind::RevokeSessions).is_settled(), "the cloud's burst is over");
    assert!(!w.case().tasks[&finder].is_settled());
    assert_eq!(w.case().state, CaseState::Active);
}

#[test]
fn the_burst_waits_for_nobody_and_the_rest_for_whom_it_should() {
    for kind in KINDS.iter().copied().filter(|k| k.spec().writes) {
        let spec = kind.spec();
        let wanted = match kind {
            Kind::TransferFiles => Approval::Own,
            _ if spec.area == Area::Identity && kind != Kind::RemoveGroupsInWorkspace => Approval::PlanOrBurst,
            _ => Approval::Plan,
        };
        assert_eq!(spec.approval, wanted, "{kind}");
    }
}

/// What is nobody's to see is no departure's to forget: a drive that only he manages.
#[test]
fn a_shared_drive_that_only_he_manages_is_given_to_the_successor_or_asks_a_person() {
    let kind = Kind::HandOverSharedDrives;
    let his = |drives: &[&str]| {
        let ids: Vec<String> = drives.iter().map(|d| (*d).to_owned()).collect();
        Facts::new()
            .with("object_exists", true)
            .with("sole_managed_drive_ids", ids)
    };
    let given = Facts::new().with("successor_id", "1002");
    let nobody = Facts::new();
    assert_eq!(judge(kind, &nobody, &his(&[]), None), Verdict::Satisfied);
    assert!(matches!(
        judge(kind, &given, &his(&["d1"]), None),
        Verdict::Unsatisfied(_)
    ));
    for (params, seen, says) in [
        (&nobody, his(&["d1"]), "another manager by hand"),
        (&given, Facts::new().with("object_exists", false), "has been deleted"),
    ] {
        let verdict = judge(kind, params, &seen, None);
        assert!(
            matches!(verdict, Verdict::Blocked(why) if why.contains(says)),
            "{verdict:?}"
        );
    }
    // It needs no open account, is told of in the notes, and is waited for by who confirms.
    let waits = |for_whom: Kind| for_whom.spec().after.iter().any(|d| d.kind == kind);
    assert!(waits(Kind::WriteNotes) && waits(Kind::ConfirmHandover));
    let after: Vec<Kind> = kind.spec().after.iter().map(|d| d.kind).collect();
    assert_eq!(after, [Kind::ResolveInWorkspace, Kind::RevokeTokensInWorkspace]);
}

/// What is revoked is listed no more, so one look comes first; and no more than one.
#[test]
fn tokens_are_revoked_after_one_look_at_them_whatever_came_of_it() {
    for fails in [false, true] {
        let mut w = opened(leaving(Manner::Immediate), Policy::default(), beside());
        found(&mut w);
        answer_all(&mut w, |k| k != Kind::DiscoverAppsInWorkspace);
        assert!(in_flight(&w, Kind::DiscoverAppsInWorkspace));
        assert!(
            w.case().in_flight_of(Kind::RevokeTokensInWorkspace) == 0,
            "fails: {fails}"
        );
        assert!(!w.task(Kind::RevokeTokensInWorkspace).is_settled(), "fails: {fails}");
        if fails {
            fails_as(&mut w, Kind::DiscoverAppsInWorkspace, FaultClass::Transient);
        } else {
            w.answer(Kind::DiscoverAppsInWorkspace);
        }
        answer_all(&mut w, |k| k != Kind::DiscoverAppsInWorkspace);
        assert!(w.task(Kind::RevokeTokensInWorkspace).is_settled(), "fails: {fails}");
        w.run_to_sealing();
    }
}

/// He lets one more application in after they were listed, or one is revoked by a try whose
/// answer came after the listing.
#[test]
fn tokens_that_were_met_and_not_listed_are_looked_up_once_more() {
    let ids = |of: &[&str]| of.iter().map(|id| (*id).to_owned()).collect::<Vec<String>>();
    let listed = |w: &mut World, apps: &[&str]| {
        let said = Said::Found {
            observation: seen(good(Kind::DiscoverAppsInWorkspace).with(APP_IDS, ids(apps))),
            finds: Vec::new(),
        };
        let report = w.report(w.id(Kind::DiscoverAppsInWorkspace), said);
        w.order(Command::RecordReport(Box::new(report))).unwrap();
    };
    let told = |w: &World, kind: Kind| w.case().told(w.task(kind)).list(MET_GRANTS).map(<[String]>::to_vec);
    let mut w = opened(leaving(Manner::Immediate), Policy::default(), beside());
    found(&mut w);
    answer_all(&mut w, |k| k != Kind::DiscoverAppsInWorkspace);
    listed(&mut w, &["a"]);
    answer_all(&mut w, |k| k != Kind::RevokeTokensInWorkspace);
    assert_eq!(told(&w, Kind::RevokeTokensInWorkspace), None);
    let none_left = good(Kind::RevokeTokensInWorkspace).with(MET_GRANTS, ids(&["a", "b"]));
    let said = Said::Satisfied {
        before: seen(none_left.clone()),
        after: seen(none_left),
    };
    let report = w.report(w.id(Kind::RevokeTokensInWorkspace), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(in_flight(&w, Kind::DiscoverAppsInWorkspace), "b is not looked up");
    for kind in [Kind::DiscoverAppsInWorkspace, Kind::RevokeTokensInWorkspace] {
        assert_eq!(told(&w, kind), Some(ids(&["a", "b"])), "{kind}");
    }
    let revoked = w.task(Kind::RevokeTokensInWorkspace).attempt;
    listed(&mut w, &["a", "b"]);
    assert!(w.task(Kind::DiscoverAppsInWorkspace).is_settled());
    assert_eq!(w.task(Kind::RevokeTokensInWorkspace).attempt, revoked);
    assert!(
        w.task(Kind::RevokeTokensInWorkspace).is_settled(),
        "nothing is revoked again for a listing"
    );
    w.run_to_sealing();
}

/// The listing that is tried again is under way while they are revoked: it was told of none.
#[test]
fn a_listing_that_was_under_way_while_tokens_were_revoked_is_made_once_more() {
    let ids = |of: &[&str]| of.iter().map(|id| (*id).to_owned()).collect::<Vec<String>>();
    let listed = |w: &mut World, apps: &[&str]| {
        let said = Said::Found {
            observation: seen(good(Kind::DiscoverAppsInWorkspace).with(APP_IDS, ids(apps))),
            finds: Vec::new(),
        };
        let report = w.report(w.id(Kind::DiscoverAppsInWorkspace), said);
        w.order(Command::RecordReport(Box::new(report))).unwrap();
    };
    let others = |k: Kind| ![Kind::DiscoverAppsInWorkspace, Kind::RevokeTokensInWorkspace].contains(&k);
    let mut w = opened(leaving(Manner::Immediate), Policy::default(), beside());
    found(&mut w);
    answer_all(&mut w, others);
    fails_as(&mut w, Kind::DiscoverAppsInWorkspace, FaultClass::Transient);
    answer_all(&mut w, others);
    assert!(in_flight(&w, Kind::RevokeTokensInWorkspace));
    for _ in 0..30 {
        if !in_flight(&w, Kind::DiscoverAppsInWorkspace) {
            w.pass(5_000);
        }
    }
    assert!(in_flight(&w, Kind::DiscoverAppsInWorkspace) && in_flight(&w, Kind::RevokeTokensInWorkspace));
    let none_left = good(Kind::RevokeTokensInWorkspace).with(MET_GRANTS, ids(&["a"]));
    let said = Said::Satisfied {
        before: seen(none_left.clone()),
        after: seen(none_left),
    };
    let report = w.report(w.id(Kind::RevokeTokensInWorkspace), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    listed(&mut w, &[]);
    assert!(in_flight(&w, Kind::DiscoverAppsInWorkspace), "nobody asks about a");
    let told = w.case().told(w.task(Kind::DiscoverAppsInWorkspace));
    assert_eq!(told.list(MET_GRANTS).map(<[String]>::to_vec), Some(ids(&["a"])));
    listed(&mut w, &["a"]);
    assert!(w.task(Kind::DiscoverAppsInWorkspace).is_settled());
    w.run_to_sealing();
}

/// The closing round meets a token that he has given since. It is revoked while others
/// are still read: what it was of is looked up all the same.
#[test]
fn tokens_that_are_revoked_while_the_case_is_closing_are_looked_up_too() {
    let ids = |of: &[&str]| of.iter().map(|id| (*id).to_owned()).collect::<Vec<String>>();
    let mut w = opened(leaving(Manner::Immediate), Policy::default(), beside());
    found(&mut w);
    for _ in 0..300 {
        answer_all(&mut w, |k| !k.is_closing_round());
        if w.case().state == CaseState::Closing {
            break;
        }
        w.a_person_or_time(10 * MINUTE_MS);
    }
    let revoked = w.id(Kind::RevokeTokensInWorkspace);
    let is_his_round = |t: &&Arc<Task>| {
        t.kind() == Kind::ObserveIdentity && t.planned.target.system == google() && t.in_flight().is_some()
    };
    let round = w.case().tasks.values().find(is_his_round).unwrap().id();
    let mut report = w.truthful(round);
    let Said::Checked { results } = &mut report.said else {
        panic!("{report:?}")
    };
    let one_more = good(Kind::RevokeTokensInWorkspace)
        .with("grant_ids", ids(&["b"]))
        .with(MET_GRANTS, ids(&["b"]));
    let read = results.iter_mut().find(|read| read.task == revoked).unwrap();
    read.observation = seen(one_more);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    answer_all(&mut w, |k| !k.is_closing_round() && k != Kind::RevokeTokensInWorkspace);
    assert!(in_flight(&w, Kind::RevokeTokensInWorkspace));
    assert_eq!(w.case().state, CaseState::Closing, "others are still read");
    let none_left = good(Kind::RevokeTokensInWorkspace).with(MET_GRANTS, ids(&["b"]));
    let said = Said::Satisfied {
        before: seen(none_left.clone()),
        after: seen(none_left),
    };
    let report = w.report(revoked, said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(in_flight(&w, Kind::DiscoverAppsInWorkspace), "nobody asks about b");
    let told = w.case().told(w.task(Kind::DiscoverAppsInWorkspace));
    assert_eq!(told.list(MET_GRANTS).map(<[String]>::to_vec), Some(ids(&["b"])));
    let said = Said::Found {
        observation: seen(good(Kind::DiscoverAppsInWorkspace).with(APP_IDS, ids(&["b"]))),
        finds: Vec::new(),
    };
    let report = w.report(w.id(Kind::DiscoverAppsInWorkspace), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    w.run_to_sealing();
}

/// Nobody can list them any more: the case that follows asks about those that were met.
#[test]
fn a_listing_of_tokens_that_somebody_went_without_is_asked_about_as_a_whole() {
    let mut w = opened(leaving(Manner::Immediate), Policy::default(), beside());
    found(&mut w);
    let others = |k: Kind| ![Kind::DiscoverAppsInWorkspace, Kind::RevokeTokensInWorkspace].contains(&k);
    answer_all(&mut w, others);
    fails(&mut w, Kind::DiscoverAppsInWorkspace);
    answer_all(&mut w, others);
    let met = vec!["a".to_owned(), "b".to_owned()];
    let none_left = good(Kind::RevokeTokensInWorkspace).with(MET_GRANTS, met.clone());
    let said = Said::Satisfied {
        before: seen(none_left.clone()),
        after: seen(none_left),
    };
    let report = w.report(w.id(Kind::RevokeTokensInWorkspace), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    let id = w.id(Kind::DiscoverAppsInWorkspace);
    w.order(Command::Waive {
        task: id,
        by: "boss@acme.example".into(),
        reason: "the scope is not granted yet".into(),
        until: w.now.plus(90 * DAY_MS),
    })
    .unwrap();
    let again = follow_up(w.case(), id, w.now).unwrap();
    let [one] = again.choices.apps.as_slice() else {
        panic!("{:?}", again.choices.apps)
    };
    assert!(one.object.0.starts_with("google/others-"), "{}", one.object);
    assert_eq!(one.params.list(APPS), Some(&met[..]));
}
