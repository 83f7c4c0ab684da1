//! `offboard doctor` says before the first departure what would fail in it, and
//! writes nothing.

use crate::common::call;
use crate::ninja::stage::{NOWHERE, Stage, open, settings};
use offboard_connectors::ninja::NinjaConnector;
use offboard_connectors::{Connector as _, Severity};

/// What is found besides what is fine.
async fn trouble(s: &Stage, ninja: &NinjaConnector) -> Vec<String> {
    let findings = ninja.check(&mut s.reading()).await;
    assert_eq!(s.journal(), Vec::<String>::new());
    let said = format!("{findings:?}");
    assert!(!said.contains("canary") && !said.contains("tok-"), "{said}");
    let bad = findings.into_iter().filter(|f| f.severity != Severity::Fine);
    bad.inspect(|f| assert!(!f.how_to_mend.is_empty(), "{f:?}"))
        .map(|f| format!("{} -> {}", f.what, f.how_to_mend))
        .collect()
}

#[tokio::test]
async fn all_is_well_is_said() {
    let s = Stage::kind().await;
    assert_eq!(trouble(&s, &s.open()).await, Vec::<String>::new());
    let findings = s.open().check(&mut s.reading()).await;
    let said: Vec<&str> = findings.iter().map(|f| f.what.as_str()).collect();
    assert_eq!(
        said,
        [
            "NinjaOne accepts the credential, and gives it the scope monitoring",
            "it gives the scope management",
            "it does not give the scope control, which is not needed",
            "the organisation is there",
            "this machine's clock agrees with NinjaOne's",
            "the tag 'Pending wipe' is there",
            "the tag 'Repurpose' is there",
            "the custom field 'offboardingState' is there",
            "the custom field 'offboardScript' is there",
            "the script is in the library",
        ]
    );
}

#[tokio::test]
async fn each_scope_is_said_by_itself() {
    for (scopes, says) in [
        (vec![], "scope monitoring"),
        (vec!["monitoring"], "scope Management"),
        (
            vec!["monitoring", "management", "control"],
            "take the scope Control off",
        ),
    ] {
        let s = Stage::kind().await;
        s.fleet().scopes = scopes.into_iter().map(str::to_owned).collect();
        let said = trouble(&s, &s.open()).await;
        assert!(said.len() == 1 && said[0].contains(says), "{says}: {said:?}");
    }
    let s = Stage::kind().await;
    let mut wrong = s.settings();
    wrong.client_id = "x".to_owned();
    let said = trouble(&s, &open(&wrong)).await;
    assert!(
        said[0].contains("HTTP 404") && said[0].contains("another instance"),
        "{said:?}"
    );
}

#[tokio::test]
async fn what_is_not_set_up_there_is_said() {
    let s = Stage::kind().await;
    {
        let mut fleet = s.fleet();
        fleet.tags.remove(&1);
        fleet.tags.insert(9, "Repurpose".to_owned());
        fleet.fields.remove("offboardingState");
        fleet.fields.insert("offboardScript".to_owned(), "READ_ONLY".to_owned());
        fleet.scripts.clear();
    }
    let said = trouble(&s, &s.open()).await;
    let wanted = [
        "no tag 'Pending wipe'",
        "several tags are called 'Repurpose'",
        "no custom field 'offboardingState'",
        "Read/Write",
        "no script 12",
    ];
    assert_eq!(said.len(), wanted.len(), "{said:?}");
    for (said, wanted) in said.iter().zip(wanted) {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    s.fleet().organizations.clear();
    let said = trouble(&s, &s.open()).await;
    assert!(said.len() == 1 && said[0].contains("organization_id"), "{said:?}");
}

#[tokio::test]
async fn a_wrong_clock_and_one_that_is_not_there_are_said() {
    let s = Stage::kind().await;
    let late = crate::common::TestClock::at(s.clock.ms() + 600_000);
    let findings = s.open().check(&mut crate::common::call_with(&late)).await;
    let clock = findings.iter().find(|f| f.what.contains("clock")).unwrap();
    assert_eq!(clock.severity, Severity::Problem);
    assert!(clock.what.contains("600 seconds"), "{clock:?}");
    let findings = open(&settings(NOWHERE)).check(&mut call()).await;
    assert_eq!((findings.len(), findings[0].severity), (1, Severity::Problem));
    assert!(findings[0].how_to_mend.contains("no connection"), "{findings:?}");
}
