//! Who was given the files is told to whoever lets the licences go; what nobody can list, to
//! whoever says that they were handed over.

use crate::model::*;
use offboard_domain::catalogue::Kind;
use offboard_domain::departure::{Manner, OneDriveChoice};
use offboard_domain::folders::{UNLISTED_FOLDERS, words};
use offboard_domain::plan::plan;
use offboard_domain::standing::{Standing, standing};
use offboard_domain::{Capabilities, Command, Facts, Outcome, PlannedTask, Policy, Said, System};
use std::sync::Arc;

#[test]
fn whoever_releases_licences_is_told_who_was_given_the_files() {
    let subject = Facts::new().with("object_id", "u-1").with("successor_id", "u-2");
    for (onedrive, told) in [(OneDriveChoice::HandOver, Some("u-2")), (OneDriveChoice::Ask, None)] {
        let mut d = departure(Manner::Planned);
        d.choices.onedrive = Some(onedrive);
        let planned = plan(d.case_id(), &d, &subject, &Policy::default(), &everything(), false).unwrap();
        for kind in [Kind::ReleaseGroupLicenses, Kind::ReleaseDirectLicenses] {
            let task = planned.tasks.iter().find(|t| t.kind == kind).unwrap();
            assert_eq!(task.params.text("successor_id"), told, "{kind}");
        }
    }
}

/// Who is asked to look for what.
fn asked(capabilities: &Capabilities, skip: &[Kind]) -> Vec<(Kind, Vec<String>)> {
    let d = departure(Manner::Planned);
    let subject = Facts::new().with("object_id", "u-1");
    let policy = Policy {
        skip: skip.iter().copied().collect(),
        ..Policy::default()
    };
    let planned = plan(d.case_id(), &d, &subject, &policy, capabilities, false).unwrap();
    let told = |t: &PlannedTask| Some((t.kind, t.params.list(UNLISTED_FOLDERS)?.to_vec()));
    planned.tasks.iter().filter_map(told).collect()
}

fn google() -> System {
    System::new("google").unwrap()
}

/// A cloud, and a workspace that lists no shared drives.
fn nothing_listed() -> Capabilities {
    let mut all = everything();
    all.0.get_mut(&m365()).unwrap().retain(|k| k.is_of_a_cloud());
    all.0
        .insert(google(), [Kind::ResolveInWorkspace, Kind::TransferFiles].into());
    all
}

#[test]
fn shared_folders_that_no_system_lists_are_asked_about_and_no_others() {
    let (handover, validation) = (Kind::ConfirmHandover, Kind::Validate);
    let sites = vec!["sites/m365".to_owned()];
    assert_eq!(asked(&everything(), &[]), [(handover, sites.clone())]);
    // Whoever has the last word, where the policy has nobody confirm.
    assert_eq!(asked(&everything(), &[handover]), [(validation, sites)]);
    assert!(asked(&everything(), &[handover, validation]).is_empty());
    let both = vec!["shared_drives/google".to_owned(), "sites/m365".to_owned()];
    assert_eq!(asked(&nothing_listed(), &[]), [(handover, both)]);
    // No files at all, and drives that are looked at.
    let mut all = nothing_listed();
    all.0.get_mut(&m365()).unwrap().remove(&Kind::HandOverOneDrive);
    all.0.get_mut(&google()).unwrap().insert(Kind::HandOverSharedDrives);
    assert!(asked(&all, &[]).is_empty());
}

#[test]
fn the_question_about_shared_folders_comes_after_the_handover_and_before_the_validation() {
    let mut w = World::opened(Manner::Planned);
    w.drain();
    w.approve();
    w.drain_but(Kind::HandOverOneDrive);
    let waits_for = |w: &World, kind: Kind, other: Kind| {
        let stands = standing(w.case(), w.task(kind), w.now, &w.gates);
        matches!(stands, Standing::WaitsFor(kinds) if kinds.contains(&other))
    };
    assert!(waits_for(&w, Kind::ConfirmHandover, Kind::HandOverOneDrive));
    w.drain();
    let asked = w.task(Kind::ConfirmHandover);
    let stands = standing(w.case(), asked, w.now, &w.gates);
    assert_eq!(stands, Standing::WaitsForPerson);
    let said = words(w.case(), asked).unwrap();
    assert!(
        said.contains("m365") && said.contains("Active sites") && !said.contains("Manage shared drives"),
        "{said}"
    );
    assert!(waits_for(&w, Kind::Validate, Kind::ConfirmHandover));
    assert_eq!(words(w.case(), w.task(Kind::Validate)), None);
    w.attest(Kind::ConfirmHandover).unwrap();
    w.run_to_sealing();
}

#[test]
fn nobody_looks_for_drives_in_a_workspace_that_does_not_know_him() {
    let mut w = World::new();
    w.order(Command::Open {
        departure: Arc::new(departure(Manner::Planned)),
        policy: Arc::new(Policy::default()),
        capabilities: Arc::new(nothing_listed()),
        traceparent: None,
    })
    .unwrap();
    w.answer(Kind::Resolve);
    let asked = |w: &World| words(w.case(), w.task(Kind::ConfirmHandover)).unwrap();
    let before = asked(&w);
    assert!(before.contains("Manage shared drives"), "{before}");
    let none = Facts::new().with("found", false).with("all_names_known", true);
    let said = Said::Found {
        observation: seen(none),
        finds: Vec::new(),
    };
    let report = w.report(w.id(Kind::ResolveInWorkspace), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    let looked = w.task(Kind::ResolveInWorkspace).outcome();
    assert!(matches!(looked, Some(Outcome::NotApplicable { .. })), "{looked:?}");
    let after = asked(&w);
    assert!(
        after.contains("Active sites") && !after.contains("Manage shared drives"),
        "{after}"
    );
}
