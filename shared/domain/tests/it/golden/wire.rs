//! What dispatchers and workers send each other, byte for byte: while one version replaces
//! another, each reads what the other writes.
//!
//! `golden/wire/v<vocabulary>/<message>.json` holds one order for each mode and one report for
//! each thing that it may say; they are written, and never overwritten, as the events' are.

use super::{T, artifact, case, fault, folder, receipt, seen, system, task};
use offboard_domain::assignment::{Check, Checked, Writes};
use offboard_domain::{Assignment, Digest, Facts, Find, Kind, Mode, ObjectId, Report, Said, Subject, Target, TenantId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt::Debug;

/// The vocabulary that these were first written in.
const SINCE: &str = "v3";

fn order(mode: Mode) -> Assignment {
    Assignment {
        tenant: TenantId::new("acme").unwrap(),
        case: case(),
        task: task(),
        attempt: 2,
        kind: Kind::DisableSignIn,
        target: Target {
            system: system(),
            object: None,
        },
        subject: Subject([(system(), ObjectId::from("u-1"))].into()),
        params: Facts::new().with("roles_open", true),
        mode,
        checkpoint: None,
        checks: Vec::new(),
        start_by: T,
        run_for_ms: 60_000,
        version: 17,
        head: Digest::ZERO,
        traceparent: None,
    }
}

fn orders() -> Vec<(&'static str, Assignment)> {
    let names = [Mode::Full, Mode::ObserveOnly].map(|mode| match mode {
        Mode::Full => ("order.full", mode),
        Mode::ObserveOnly => ("order.observe_only", mode),
    });
    let mut orders: Vec<_> = names.map(|(name, mode)| (name, order(mode))).into();
    let all_of_it = Assignment {
        target: Target {
            system: system(),
            object: Some(ObjectId::from("d-1")),
        },
        checkpoint: Some(Facts::new().with("ordered", true)),
        checks: vec![Check {
            task: task(),
            kind: Kind::DisableSignIn,
            target: Target {
                system: system(),
                object: None,
            },
            params: Facts::new().with("roles_open", true),
        }],
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        ..order(Mode::ObserveOnly)
    };
    orders.push(("order.all_of_it", all_of_it));
    orders
}

fn report(said: Said) -> Report {
    Report {
        tenant: TenantId::new("acme").unwrap(),
        case: case(),
        task: task(),
        attempt: 2,
        version: 17,
        head: Digest::ZERO,
        at: T,
        said,
        seen: None,
        remembered: None,
        writes: None,
        receipts: Vec::new(),
        artifacts: Vec::new(),
    }
}

/// What a report may say; a new one does not compile until it has a name here.
fn name(said: &Said) -> &'static str {
    match said {
        Said::Satisfied { .. } => "report.satisfied",
        Said::Observed { .. } => "report.observed",
        Said::Checked { .. } => "report.checked",
        Said::Progress { .. } => "report.progress",
        Said::Wait { .. } => "report.wait",
        Said::Found { .. } => "report.found",
        Said::Fault { .. } => "report.fault",
        Said::NotBegun { .. } => "report.not_begun",
    }
}

/// How many things a report may say.
const SAID: usize = 8;

fn reports() -> Vec<(&'static str, Report)> {
    let all = [
        Said::Satisfied {
            before: seen(),
            after: seen(),
        },
        Said::Observed { observation: seen() },
        Said::Checked {
            results: vec![Checked {
                task: task(),
                observation: seen(),
            }],
        },
        Said::Progress {
            checkpoint: Facts::new().with("page", 3),
        },
        Said::Wait {
            until: T,
            why: "the device has not come round".into(),
            checkpoint: Some(Facts::new().with("ordered", true)),
        },
        Said::Found {
            observation: seen(),
            finds: vec![Find {
                kind: Kind::WipeDevice,
                object: ObjectId::from("d-1"),
                params: Facts::new().with("serial", "S1"),
            }],
        },
        Said::Fault { fault: fault() },
        Said::NotBegun {
            why: "it came too late".into(),
        },
    ];
    let mut reports: Vec<_> = all.map(|said| (name(&said), report(said))).into();
    let all_of_it = Report {
        seen: Some(seen()),
        remembered: Some(Facts::new().with("told", 5)),
        writes: Some(Writes { sent: 2, refused: 1 }),
        receipts: vec![receipt()],
        artifacts: vec![artifact()],
        ..report(Said::Fault { fault: fault() })
    };
    reports.push(("report.all_of_it", all_of_it));
    reports
}

/// Reads as it was written, and is written as it was; what it says more is passed over.
fn holds<M: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, message: &M) {
    let folder = folder_of_wire();
    let path = folder.join(format!("{name}.json"));
    let now = serde_json::to_string_pretty(message).unwrap() + "\n";
    if std::env::var_os("BLESS").is_some() && !path.exists() {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(&path, &now).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_else(|e| {
        panic!("the golden file of {name} is missing ({e}); a new message needs one: see the head of this file")
    });
    let read: M = serde_json::from_str(&stored).unwrap_or_else(|e| panic!("{name} no longer reads: {e}"));
    assert_eq!(read, *message, "{name} reads as something else");
    assert_eq!(stored, now, "{name} is written otherwise than it was");
    let mut more: serde_json::Value = serde_json::from_str(&stored).unwrap();
    let fields = more.as_object_mut().unwrap();
    fields.insert("of_tomorrow".into(), serde_json::json!({"x": 1}));
    let read: M = serde_json::from_value(more).unwrap_or_else(|e| panic!("{name} with one more field: {e}"));
    assert_eq!(read, *message, "{name}");
}

fn folder_of_wire() -> std::path::PathBuf {
    let golden = folder(offboard_domain::event::VOCABULARY);
    golden.parent().unwrap().join("wire").join(SINCE)
}

#[test]
fn every_order_reads_and_writes_as_it_was_sent() {
    for (name, order) in orders() {
        holds(name, &order);
    }
}

#[test]
fn every_report_reads_and_writes_as_it_was_sent() {
    let reports = reports();
    let said: BTreeSet<&str> = reports.iter().map(|(_, r)| name(&r.said)).collect();
    assert_eq!(said.len(), SAID);
    for (name, report) in &reports {
        holds(name, report);
    }
}
