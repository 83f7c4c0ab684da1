//! `offboard doctor` says before the first departure what would fail in it, and
//! writes nothing.

use crate::common::call;
use crate::scim::stage::{NOWHERE, PATCH, Stage, TOKEN, open};
use offboard_connectors::scim::{MatchBy, Profile, ScimConnector};
use offboard_connectors::{Connector as _, Severity};
use offboard_sim::world::app::{Habits, Patching};

/// What is found besides what is fine.
async fn trouble(s: &Stage, app: &ScimConnector) -> Vec<String> {
    let findings = app.check(&mut s.reading()).await;
    assert_eq!(s.journal(), Vec::<String>::new());
    let said = format!("{findings:?}");
    assert!(!said.contains(TOKEN) && !said.contains("canary"), "{said}");
    let bad = findings.into_iter().filter(|f| f.severity != Severity::Fine);
    bad.inspect(|f| assert!(!f.how_to_mend.is_empty(), "{f:?}"))
        .map(|f| format!("{} -> {}", f.what, f.how_to_mend))
        .collect()
}

#[tokio::test]
async fn all_is_well_is_said() {
    let s = Stage::with(Habits::default()).await;
    assert_eq!(trouble(&s, &s.open(PATCH)).await, Vec::<String>::new());
    let findings = s.open(PATCH).check(&mut s.reading()).await;
    let said: Vec<&str> = findings.iter().map(|f| f.what.as_str()).collect();
    assert_eq!(
        said,
        [
            "this machine's clock agrees with the app's",
            "the app accepts the token, and lets it look people up"
        ]
    );
}

#[tokio::test]
async fn each_thing_that_would_fail_is_said_with_what_to_change() {
    let no_patch = Habits {
        patch: Patching::Refused(501),
        ..Habits::default()
    };
    let inactive = Habits {
        active: false,
        ..Habits::default()
    };
    let all = Habits {
        ignores_filter: true,
        ..Habits::default()
    };
    let put = Profile::Put { text: false };
    for (habits, profile, says) in [
        (no_patch, PATCH, "profile = \"put\""),
        (inactive, PATCH, "profile = \"delete\""),
        (Habits::default(), Profile::Delete, "profile = \"patch\""),
        (Habits::default(), put, "profile = \"patch\""),
        (all, PATCH, "ignores the filter"),
    ] {
        let s = Stage::with(habits).await;
        let said = trouble(&s, &s.open(profile)).await;
        assert!(said.iter().any(|t| t.contains(says)), "{says}: {said:?}");
    }
}

#[tokio::test]
async fn a_refused_token_a_lacking_scope_and_a_wrong_clock_are_said() {
    let s = Stage::with(Habits::default()).await;
    let said = trouble(&s, &s.open_with("wrong")).await;
    assert!(said.len() == 1 && said[0].contains("make a new one"), "{said:?}");
    s.order(403, None, false);
    s.order(404, None, false);
    let said = trouble(&s, &s.open(PATCH)).await;
    assert!(said.iter().any(|t| t.contains("read users")), "{said:?}");
    assert!(said.iter().any(|t| t.contains("ServiceProviderConfig")), "{said:?}");
    // The app answers with its own time; ours moves on in between.
    let late = crate::common::TestClock::at(s.clock.ms() + 600_000);
    let findings = s.open(PATCH).check(&mut crate::common::call_with(&late)).await;
    let clock = findings.iter().find(|f| f.what.contains("clock")).unwrap();
    assert_eq!(clock.severity, Severity::Problem);
    assert!(clock.what.contains("600 seconds"), "{clock:?}");
}

#[tokio::test]
async fn a_token_that_may_not_read_what_the_app_can_do_is_tried_at_the_search() {
    let s = Stage::with(Habits::default()).await;
    s.order(403, None, false);
    let findings = s.open(PATCH).check(&mut s.reading()).await;
    let said: Vec<(Severity, &str)> = findings.iter().map(|f| (f.severity, f.what.as_str())).collect();
    assert_eq!(
        said,
        [
            (
                Severity::Warning,
                "the app does not say what it can do (ServiceProviderConfig)"
            ),
            (Severity::Fine, "the app accepts the token, and lets it look people up"),
        ]
    );
}

#[tokio::test]
async fn an_app_that_is_not_there_is_said() {
    let app = open(NOWHERE, "t", PATCH, &[MatchBy::UserName]);
    let findings = app.check(&mut call()).await;
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].severity, Severity::Problem);
    assert!(findings[0].how_to_mend.contains("no connection"), "{findings:?}");
}
