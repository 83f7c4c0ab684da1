//! `offboard doctor`.

use crate::google::stage::{SCOPES, Stage, address, open, scope};
use offboard_connectors::{Connector as _, Finding, Severity};
use offboard_domain::Kind;

async fn findings(s: &Stage) -> Vec<Finding> {
    checked(s, &s.settings()).await
}

async fn checked(s: &Stage, settings: &offboard_connectors::google::GoogleSettings) -> Vec<Finding> {
    let found = open(settings).unwrap().check(&mut s.reading()).await;
    assert_eq!(s.journal(), Vec::<String>::new(), "it writes nothing");
    let said = serde_json::to_string(&found).unwrap();
    for secret in ["kanarienvogel", "canary", "ya29", "PRIVATE KEY"] {
        assert!(!said.contains(secret), "{said}");
    }
    found
}

fn problems(found: &[Finding]) -> Vec<&Finding> {
    found.iter().filter(|f| f.severity == Severity::Problem).collect()
}

#[tokio::test]
async fn all_is_well() {
    let s = Stage::new().await;
    let found = findings(&s).await;
    assert!(problems(&found).is_empty(), "{found:?}");
    assert!(found.iter().any(|f| f.what.contains("10 of its scopes")), "{found:?}");
    assert!(found.iter().any(|f| f.what.contains("clock agrees")), "{found:?}");
}

/// What is not configured makes no task; that it is left out is said here alone.
#[tokio::test]
async fn what_the_configuration_leaves_out_is_said() {
    let s = Stage::new().await;
    let warned = async |licences: bool, drives: bool| {
        let mut settings = s.settings();
        settings.shared_drives = drives;
        if !licences {
            settings.licences.clear();
        }
        let found = checked(&s, &settings).await;
        let of = |key: &str| {
            let mut warnings = found.iter().filter(|f| f.severity == Severity::Warning);
            warnings.any(|f| f.how_to_mend.contains(key))
        };
        (of("`licences`"), of("`shared_drives = true`"))
    };
    assert_eq!(warned(true, true).await, (false, false));
    assert_eq!(warned(false, true).await, (true, false));
    assert_eq!(warned(true, false).await, (false, true));
}

#[tokio::test]
async fn each_scope_is_asked_for_by_itself() {
    for (n, word) in SCOPES.iter().enumerate() {
        let s = Stage::new().await;
        s.world().access.scopes.remove(&scope(word));
        let found = findings(&s).await;
        let lacking = problems(&found);
        assert_eq!(lacking.len(), 1, "{word}: {found:?}");
        assert!(lacking[0].what.contains(&scope(word)) && lacking[0].what.contains("117"));
        assert!(lacking[0].how_to_mend.contains("Domain-wide delegation"));
        let stops = |kind| lacking[0].kinds.contains(&kind);
        assert_eq!(stops(Kind::SuspendAtOnce), n == 0, "{word}");
        assert_eq!(stops(Kind::SetForwardingInWorkspace), [0, 6, 7].contains(&n), "{word}");
    }
}

#[tokio::test]
async fn what_the_role_or_the_project_lacks_is_said() {
    let s = Stage::new().await;
    s.world()
        .access
        .forbidden
        .insert("GET /admin/directory/v1/groups".into());
    s.world().access.turned_off.insert("/apps/licensing".into());
    let found = findings(&s).await;
    let lacking = problems(&found);
    assert_eq!(lacking.len(), 2, "{found:?}");
    assert!(lacking[0].kinds.contains(&Kind::RemoveGroupsInWorkspace));
    assert!(lacking[0].how_to_mend.contains("Groups > Read"), "{lacking:?}");
    assert!(
        lacking[1].how_to_mend.contains("Enterprise License Manager API"),
        "{lacking:?}"
    );
}

#[tokio::test]
async fn a_wrong_administrator_a_wide_one_and_a_wrong_clock() {
    let s = Stage::new().await;
    let mut settings = s.settings();
    settings.admin = "nobody@example.com".into();
    let found = checked(&s, &settings).await;
    assert_eq!(found.len(), 1, "the same for every scope: said once");
    assert!(found[0].how_to_mend.contains("`admin`"));
    s.edit(|rows| rows.users.get_mut("1003").unwrap().administrator = true);
    let found = findings(&s).await;
    assert!(problems(&found).is_empty());
    assert!(
        found
            .iter()
            .any(|f| f.severity == Severity::Warning && f.what.contains("super"))
    );
    // A minute off, the token endpoint still takes the claim.
    let settings = s.settings();
    let google = open(&settings).unwrap();
    let behind = crate::common::TestClock::at(s.clock.ms() - 45_000);
    let found = google.check(&mut crate::common::call_with(&behind)).await;
    assert!(
        problems(&found).iter().any(|f| f.what.contains("45 seconds")),
        "{found:?}"
    );
    assert_eq!(settings.admin, address("admin"));
}
