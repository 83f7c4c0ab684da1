//! Every stored event version is read for ever, byte for byte.
//!
//! `golden/v<vocabulary>/<event>.json` holds one sample of each event as it is stored.
//! Three ways: today's reader reads yesterday's bytes, today's writer writes
//! the same bytes, and a field that is unknown today does not break reading.
//! `BLESS=1 cargo test -p offboard-domain --test it golden` writes the file of a
//! *new* event; it never overwrites one.

mod wire;

use offboard_domain::catalogue::{Area, Kind};
use offboard_domain::departure::{AppLeft, Choices, Forwarding, Manner, Meetings, OneDriveChoice, PersonRef};
use offboard_domain::event::{CheckResult, Event, VOCABULARY};
use offboard_domain::fault::{Fault, FaultClass, Rule};
use offboard_domain::keeping::Retention;
use offboard_domain::task::RestReason;
use offboard_domain::{
    Artifact, Capabilities, CaseId, Departure, Digest, Facts, Mode, ObjectId, Observation, Outcome, PlannedTask,
    Policy, Receipt, Said, System, TaskId, TenantId, Timestamp,
};
use std::path::PathBuf;
use std::sync::Arc;

const T: Timestamp = Timestamp(1_800_000_000_000);

fn system() -> System {
    System::new("m365").unwrap()
}

fn case() -> CaseId {
    CaseId::derive(&TenantId::new("acme").unwrap(), "HR-1")
}

fn task() -> TaskId {
    TaskId::derive(case(), "identity.disable_sign_in", &system(), None)
}

fn departure() -> Arc<Departure> {
    Arc::new(Departure {
        tenant: TenantId::new("acme").unwrap(),
        reference: Some("HR-1".into()),
        person: PersonRef {
            object_id: Some(ObjectId::from("u-1")),
            user_principal_name: Some("jürgen.o'brien@acme.example".into()),
            mail: Some("j@acme.example".into()),
            employee_id: Some("0042".into()),
            display_name: Some("Jürgen O'Brien".into()),
        },
        manner: Manner::Immediate,
        effective_at: T,
        of_day: None,
        requested_by: "hr@acme.example".into(),
        handed_in_by: None,
        requested_at: T,
        successor: Some(PersonRef {
            mail: Some("s@acme.example".into()),
            ..PersonRef::default()
        }),
        choices: Choices {
            legal_hold: Some(true),
            archive_mailbox: None,
            forwarding: Some(Forwarding::Successor),
            automatic_reply: Some("Gone.".into()),
            meetings: Some(Meetings::HandOver),
            onedrive: Some(OneDriveChoice::Ask),
            wipe_company_devices: Some(false),
            shared_credentials: Vec::new(),
            apps: Vec::new(),
        },
    })
}

fn with_credentials() -> Arc<Departure> {
    let mut departure = (*departure()).clone();
    departure.choices.shared_credentials = vec!["Door code".into()];
    Arc::new(departure)
}

/// What a person is asked about an application.
fn of_an_app() -> Facts {
    Facts::new()
        .with("app_name", "Calendar Helper")
        .with("ways", vec!["consented".to_owned()])
}

fn with_apps() -> Arc<Departure> {
    let mut departure = (*departure()).clone();
    departure.choices.apps = vec![AppLeft {
        object: ObjectId::from("m365/sp-1"),
        params: of_an_app(),
    }];
    Arc::new(departure)
}

fn to_decide() -> PlannedTask {
    let object = Some(ObjectId::from("m365/sp-1"));
    PlannedTask::new(case(), Kind::DecideApp, &System::person(), object, of_an_app())
}

fn planned() -> PlannedTask {
    PlannedTask::new(
        case(),
        Kind::WipeDevice,
        &system(),
        Some(ObjectId::from("d-1")),
        Facts::new()
            .with("serial", "S1")
            .with("keep", true)
            .with("n", 3)
            .with("list", vec!["a".to_owned()]),
    )
}

fn wanted_kept() -> PlannedTask {
    let object = ObjectId(format!("legal_hold/{}", case()));
    let person = System::person();
    PlannedTask::new(case(), Kind::DecidePreservation, &person, Some(object), Facts::new())
}

fn seen() -> Observation {
    Observation {
        read_at: T,
        sources: vec!["graph".into()],
        facts: Facts::new().with("enabled", false),
    }
}

fn receipt() -> Receipt {
    Receipt {
        at: T,
        request: "PATCH /users/{id}".into(),
        status: 204,
        request_id: Some("r-1".into()),
    }
}

fn artifact() -> Artifact {
    Artifact {
        name: "snapshot.groups".into(),
        digest: Digest::of(b"x"),
        media_type: "application/json".into(),
        size_bytes: 1,
    }
}

fn fault() -> Fault {
    Fault {
        class: FaultClass::Throttled {
            retry_after_ms: Some(5_000),
        },
        system: system(),
        attempted: "PATCH /users/{id}".into(),
        status: Some(429),
        code: Some("TooManyRequests".into()),
        detail: "asked to slow down".into(),
        request_id: Some("r-2".into()),
    }
}

/// One sample of each event. The match at its end makes the compiler point
/// here when an event is added.
fn samples() -> Vec<(&'static str, Event)> {
    let kinds = Kind::ALL
        .iter()
        .copied()
        .filter(|k| k.spec().area == Area::Identity)
        .take(2)
        .collect();
    let events = vec![
        (
            "case_opened",
            Event::CaseOpened {
                departure: departure(),
                policy: Arc::new(Policy::default()),
                capabilities: Arc::new(Capabilities([(system(), kinds)].into())),
                tasks: vec![planned()],
                capped: true,
                traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
            },
        ),
        (
            "case_opened.credentials",
            Event::CaseOpened {
                departure: with_credentials(),
                policy: Arc::new(Policy {
                    shared_credentials: vec!["Guest Wi-Fi".into()],
                    ..Policy::default()
                }),
                capabilities: Arc::new(Capabilities::default()),
                tasks: Vec::new(),
                capped: false,
                traceparent: None,
            },
        ),
        (
            "case_opened.apps",
            Event::CaseOpened {
                departure: with_apps(),
                policy: Arc::new(Policy {
                    covered_apps: ["app-2".to_owned()].into(),
                    known_apps: ["visitor log".to_owned()].into(),
                    ..Policy::default()
                }),
                capabilities: Arc::new(Capabilities::default()),
                tasks: Vec::new(),
                capped: false,
                traceparent: None,
            },
        ),
        (
            "case_opened.handed_in",
            Event::CaseOpened {
                departure: Arc::new(Departure {
                    handed_in_by: Some("tech".into()),
                    ..(*departure()).clone()
                }),
                policy: Arc::new(Policy::default()),
                capabilities: Arc::new(Capabilities::default()),
                tasks: Vec::new(),
                capped: false,
                traceparent: None,
            },
        ),
        (
            "case_opened.of_day",
            Event::CaseOpened {
                departure: Arc::new(Departure {
                    reference: None,
                    of_day: Some(T.plus(1)),
                    ..(*departure()).clone()
                }),
                policy: Arc::new(Policy::default()),
                capabilities: Arc::new(Capabilities::default()),
                tasks: Vec::new(),
                capped: false,
                traceparent: None,
            },
        ),
        (
            "case_planned.credentials",
            Event::CasePlanned {
                tasks: vec![PlannedTask::new(
                    case(),
                    Kind::RotateSharedCredential,
                    &System::person(),
                    Some(ObjectId::from("Door code")),
                    Facts::new(),
                )],
                unserved: Vec::new(),
            },
        ),
        (
            "case_amended",
            Event::CaseAmended {
                departure: departure(),
                by: None,
                handed_in_by: None,
            },
        ),
        (
            "case_amended.by",
            Event::CaseAmended {
                departure: departure(),
                by: Some("tech".into()),
                handed_in_by: None,
            },
        ),
        (
            "case_amended.handed_in",
            Event::CaseAmended {
                departure: departure(),
                by: Some("hr".into()),
                handed_in_by: Some("tech".into()),
            },
        ),
        (
            "case_planned",
            Event::CasePlanned {
                tasks: vec![planned()],
                unserved: vec![Kind::ProvePool],
            },
        ),
        (
            "case_refused",
            Event::CaseRefused {
                reason: "protected".into(),
            },
        ),
        (
            "case_merged",
            Event::CaseMerged {
                into: case(),
                tells: false,
            },
        ),
        (
            "case_merged.tells",
            Event::CaseMerged {
                into: case(),
                tells: true,
            },
        ),
        ("merge_acknowledged", Event::MergeAcknowledged { into: case() }),
        ("merge_undone", Event::MergeUndone { into: case() }),
        (
            "request_joined",
            Event::RequestJoined {
                case: case(),
                asked_at: T,
                departure: departure(),
                amended_by: ["tech".to_owned()].into(),
                retention: None,
                tasks: Vec::new(),
                late: Vec::new(),
            },
        ),
        (
            "request_joined.keeps_for",
            Event::RequestJoined {
                case: case(),
                asked_at: T,
                departure: departure(),
                amended_by: ["tech".to_owned()].into(),
                retention: Some(Retention {
                    hold_days: Some(3_650),
                    archive_years: Some(10),
                }),
                tasks: Vec::new(),
                late: Vec::new(),
            },
        ),
        (
            "request_joined.brings",
            Event::RequestJoined {
                case: case(),
                asked_at: T,
                departure: departure(),
                amended_by: ["tech".to_owned()].into(),
                retention: None,
                tasks: vec![wanted_kept()],
                late: vec![wanted_kept().id],
            },
        ),
        (
            "request_left",
            Event::RequestLeft {
                case: case(),
                asked_at: T,
            },
        ),
        (
            "task_assigned",
            Event::TaskAssigned {
                task: task(),
                attempt: 2,
                mode: Mode::ObserveOnly,
                start_by: T,
                run_for_ms: 120_000,
            },
        ),
        (
            "task_settled",
            Event::TaskSettled {
                task: task(),
                attempt: 2,
                outcome: Outcome::Verified,
                before: Some(Arc::new(seen())),
                after: Some(Arc::new(seen())),
                receipts: vec![receipt()],
                artifacts: vec![artifact()],
                report: Some(Digest::of(b"r")),
            },
        ),
        (
            "task_settled.waived",
            Event::TaskSettled {
                task: task(),
                attempt: 0,
                outcome: Outcome::Waived {
                    by: "boss".into(),
                    reason: "lost".into(),
                    until: T,
                },
                before: None,
                after: None,
                receipts: vec![],
                artifacts: vec![],
                report: None,
            },
        ),
        (
            "task_rested",
            Event::TaskRested {
                task: task(),
                attempt: 1,
                until: T,
                why: RestReason::Fault { fault: fault() },
                spent: true,
                observe_first: true,
                checkpoint: Some(Facts::new().with("page", 3)),
                seen: None,
                receipts: vec![receipt()],
                artifacts: vec![artifact()],
                report: Some(Digest::of(b"r")),
            },
        ),
        (
            "task_rested.waiting",
            Event::TaskRested {
                task: task(),
                attempt: 1,
                until: T,
                why: RestReason::Waiting {
                    why: "converting".into(),
                },
                spent: false,
                observe_first: false,
                checkpoint: None,
                seen: None,
                receipts: vec![],
                artifacts: vec![],
                report: None,
            },
        ),
        (
            "task_failed",
            Event::TaskFailed {
                task: task(),
                attempt: 9,
                rule: Rule::OutOfAttempts,
                detail: "it broke".into(),
                fault: Some(fault()),
                checkpoint: None,
                seen: None,
                receipts: vec![receipt()],
                artifacts: vec![],
                report: Some(Digest::of(b"r")),
            },
        ),
        (
            "task_rested.seen",
            Event::TaskRested {
                task: task(),
                attempt: 2,
                until: T,
                why: RestReason::DidNotHappen,
                spent: false,
                observe_first: false,
                checkpoint: None,
                seen: Some(Arc::new(seen())),
                receipts: vec![],
                artifacts: vec![],
                report: None,
            },
        ),
        (
            "task_failed.seen",
            Event::TaskFailed {
                task: task(),
                attempt: 3,
                rule: Rule::ClaimWithoutProof,
                detail: "it is enabled".into(),
                fault: None,
                checkpoint: None,
                seen: Some(Arc::new(seen())),
                receipts: vec![],
                artifacts: vec![],
                report: None,
            },
        ),
        (
            "task_failed.artifacts",
            Event::TaskFailed {
                task: task(),
                attempt: 4,
                rule: Rule::BlockedByPolicy,
                detail: "a key is for a person to keep".into(),
                fault: None,
                checkpoint: None,
                seen: None,
                receipts: vec![],
                artifacts: vec![artifact()],
                report: None,
            },
        ),
        (
            "task_failed.checkpoint",
            Event::TaskFailed {
                task: task(),
                attempt: 5,
                rule: Rule::StillWaiting,
                detail: "it was not listed".into(),
                fault: None,
                checkpoint: Some(Facts::new().with("ordered_ms", 3)),
                seen: None,
                receipts: vec![],
                artifacts: vec![],
                report: None,
            },
        ),
        (
            "task_reopened",
            Event::TaskReopened {
                task: task(),
                why: "it is enabled again".into(),
            },
        ),
        (
            "tasks_found",
            Event::TasksFound {
                by: task(),
                tasks: vec![planned()],
                late: vec![planned().id],
            },
        ),
        (
            "tasks_found.apps",
            Event::TasksFound {
                by: task(),
                tasks: vec![to_decide()],
                late: Vec::new(),
            },
        ),
        (
            "late_report",
            Event::LateReport {
                task: task(),
                attempt: 1,
                said: Box::new(Said::Satisfied {
                    before: seen(),
                    after: seen(),
                }),
                receipts: vec![receipt()],
                artifacts: Vec::new(),
                report: Digest::of(b"r"),
            },
        ),
        (
            "late_report.artifacts",
            Event::LateReport {
                task: task(),
                attempt: 1,
                said: Box::new(Said::Progress {
                    checkpoint: Facts::new().with("unlock_code_kept_in", Digest::of(b"a").to_string()),
                }),
                receipts: Vec::new(),
                artifacts: vec![artifact()],
                report: Digest::of(b"r"),
            },
        ),
        (
            "plan_approved",
            Event::PlanApproved {
                by: "boss".into(),
                digest: Digest::of(b"p"),
                from: None,
            },
        ),
        (
            "plan_approved.from",
            Event::PlanApproved {
                by: "boss".into(),
                digest: Digest::of(b"p"),
                from: Some(Timestamp(1_800_000_000_000)),
            },
        ),
        (
            "task_approved",
            Event::TaskApproved {
                task: task(),
                by: "boss".into(),
                digest: planned().digest(),
                from: None,
            },
        ),
        (
            "task_approved.from",
            Event::TaskApproved {
                task: task(),
                by: "boss".into(),
                digest: planned().digest(),
                from: Some(Timestamp(1_800_000_000_000)),
            },
        ),
        ("person_overdue", Event::PersonOverdue { task: task() }),
        ("waiver_ended", Event::WaiverEnded { task: task() }),
        (
            "retry_ordered",
            Event::RetryOrdered {
                task: task(),
                by: "tech".into(),
            },
        ),
        (
            "cancel_requested",
            Event::CancelRequested {
                by: "hr".into(),
                reason: "he stays".into(),
            },
        ),
        ("case_cancelled", Event::CaseCancelled),
        ("note_planned", Event::NotePlanned { tasks: vec![planned()] }),
        (
            "closing_began",
            Event::ClosingBegan {
                round: 1,
                tasks: vec![planned()],
            },
        ),
        (
            "checks_done",
            Event::ChecksDone {
                task: task(),
                results: vec![CheckResult {
                    task: task(),
                    observation: seen(),
                    differs: Some("enabled = yes".into()),
                }],
            },
        ),
        (
            "round_ended",
            Event::RoundEnded {
                round: 1,
                differences: vec![task()],
            },
        ),
        (
            "case_closed",
            Event::CaseClosed {
                evidence: Digest::of(b"e"),
                key_id: "0123456789abcdef".into(),
            },
        ),
        (
            "evidence_sealed",
            Event::EvidenceSealed {
                evidence: Digest::of(b"e"),
                key_id: "0123456789abcdef".into(),
            },
        ),
        (
            "follow_up_opened",
            Event::FollowUpOpened {
                task: task(),
                case: case(),
            },
        ),
        (
            "tail_lost",
            Event::TailLost {
                known: 17,
                dealt_with: None,
                proven_by: None,
            },
        ),
        (
            "tail_lost.dealt_with",
            Event::TailLost {
                known: 17,
                dealt_with: Some(vec!["00000016-0123456789ab".into()]),
                proven_by: None,
            },
        ),
        (
            "tail_lost.proven_by",
            Event::TailLost {
                known: 17,
                dealt_with: Some(Vec::new()),
                proven_by: Some(Digest::ZERO),
            },
        ),
    ];
    for (_, event) in &events {
        match event {
            Event::CaseOpened { .. }
            | Event::CaseAmended { .. }
            | Event::CasePlanned { .. }
            | Event::CaseRefused { .. } => {}
            Event::MergeAcknowledged { .. }
            | Event::MergeUndone { .. }
            | Event::RequestJoined { .. }
            | Event::RequestLeft { .. } => {}
            Event::CaseMerged { .. }
            | Event::TaskAssigned { .. }
            | Event::TaskSettled { .. }
            | Event::TaskRested { .. } => {}
            Event::TaskFailed { .. }
            | Event::TaskReopened { .. }
            | Event::TasksFound { .. }
            | Event::LateReport { .. } => {}
            Event::PlanApproved { .. }
            | Event::TaskApproved { .. }
            | Event::PersonOverdue { .. }
            | Event::WaiverEnded { .. } => {}
            Event::RetryOrdered { .. }
            | Event::CancelRequested { .. }
            | Event::CaseCancelled
            | Event::NotePlanned { .. }
            | Event::ClosingBegan { .. } => {}
            Event::ChecksDone { .. } | Event::RoundEnded { .. } | Event::CaseClosed { .. } => {}
            Event::EvidenceSealed { .. } | Event::FollowUpOpened { .. } | Event::TailLost { .. } => {}
        }
    }
    events
}

/// As many distinct event names as the vocabulary has.
const EVENTS: usize = 31;

fn folder(vocabulary: u16) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/v{vocabulary}"))
}

fn file(name: &str, event: &Event) -> PathBuf {
    folder(event.vocabulary()).join(format!("{name}.json"))
}

#[test]
fn every_event_has_a_sample() {
    let names: std::collections::BTreeSet<&str> = samples().iter().map(|(_, e)| e.name()).collect();
    assert_eq!(names.len(), EVENTS);
    for (name, event) in samples() {
        assert_eq!(name.split('.').next(), Some(event.name()));
    }
}

#[test]
fn every_stored_event_reads_and_writes_as_it_was_written() {
    for (name, event) in samples() {
        let path = file(name, &event);
        let now = serde_json::to_string_pretty(&event).unwrap() + "\n";
        if std::env::var_os("BLESS").is_some() && !path.exists() {
            std::fs::write(&path, &now).unwrap();
        }
        let stored = std::fs::read_to_string(&path).unwrap_or_else(|e| {
            panic!("the golden file of {name} is missing ({e}); a new event needs one: see the head of this file")
        });
        let read: Event = serde_json::from_str(&stored).unwrap_or_else(|e| panic!("{name} no longer reads: {e}"));
        assert_eq!(read, event, "{name} reads as something else");
        assert_eq!(stored, now, "{name} is written otherwise than it is stored");
    }
}

#[test]
fn a_field_of_tomorrow_does_not_break_todays_reader() {
    for (name, event) in samples() {
        let mut value = serde_json::to_value(&event).unwrap();
        value
            .as_object_mut()
            .unwrap()
            .insert("a_field_of_tomorrow".into(), serde_json::json!({"x": 1}));
        let read: Event = serde_json::from_value(value).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(read, event);
    }
}

#[test]
fn no_golden_file_stands_without_its_event() {
    let known: Vec<PathBuf> = samples().iter().map(|(n, e)| file(n, e)).collect();
    for vocabulary in 1..=VOCABULARY {
        for entry in std::fs::read_dir(folder(vocabulary)).unwrap() {
            let path = entry.unwrap().path();
            assert!(known.contains(&path), "{} belongs to no event", path.display());
        }
    }
}
