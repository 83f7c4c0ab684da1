//! `offboard doctor` says what to change, and where.

use crate::program::stage::{Stage, call, met, observe};
use offboard_connectors::program::{ProgramConnector, ProgramSettings};
use offboard_connectors::{Connector as _, Finding, Severity};
use offboard_domain::FaultClass;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

async fn check(settings: ProgramSettings) -> Vec<Finding> {
    ProgramConnector::open(settings).check(&mut call()).await
}

/// The only problem.
fn problem(findings: &[Finding]) -> &Finding {
    let mut problems = findings.iter().filter(|f| f.severity == Severity::Problem);
    let first = problems.next().unwrap_or_else(|| panic!("no problem: {findings:?}"));
    assert_eq!(problems.next(), None);
    assert!(!first.how_to_mend.is_empty());
    first
}

const FINE: &str = "#!/bin/sh\ncat > asked; echo '{\"ok\":true}'";

#[tokio::test]
async fn a_program_that_is_well_is_asked_and_answers() {
    let stage = Stage::new();
    let findings = check(stage.program(stage.script(FINE, 0o755))).await;
    assert!(findings.iter().all(|f| f.severity == Severity::Fine), "{findings:?}");
    assert!(
        findings.iter().any(|f| f.what.contains("answers the call `check`")),
        "{findings:?}"
    );
    let asked: serde_json::Value = serde_json::from_str(&stage.left("asked").unwrap()).unwrap();
    assert_eq!(
        asked,
        serde_json::json!({ "schema": 1, "call": "check", "tenant": "contoso" })
    );
}

#[tokio::test]
async fn what_is_missing_or_cannot_be_executed_is_named() {
    let stage = Stage::new();
    let findings = check(stage.program(stage.path("nowhere"))).await;
    assert!(problem(&findings).what.contains("nowhere"), "{findings:?}");
    let script = stage.script(FINE, 0o644);
    let findings = check(stage.program(script.clone())).await;
    assert!(problem(&findings).what.contains("not executable (mode 644)"));
    assert!(
        problem(&findings)
            .how_to_mend
            .contains(&format!("chmod 755 '{}'", script.display()))
    );
    let findings = check(stage.program(stage.path(""))).await;
    assert!(problem(&findings).what.contains("is no file"), "{findings:?}");
    let findings = check(stage.program(stage.script("#!/nowhere/sh\n", 0o755))).await;
    assert!(problem(&findings).how_to_mend.contains("interpreter"), "{findings:?}");
    assert_eq!(stage.left("asked"), None);
}

#[tokio::test]
async fn what_others_can_change_is_never_started() {
    let stage = Stage::new();
    // As a program, and as the script of an interpreter.
    let direct = stage.program(stage.script(FINE, 0o777));
    let through = ProgramSettings {
        arguments: vec![stage.path("script").to_str().unwrap().to_owned()],
        ..stage.program("/bin/sh".into())
    };
    for settings in [direct, through] {
        let findings = check(settings.clone()).await;
        let found = problem(&findings);
        assert!(
            found.what.contains("by everybody on this machine (mode 777)"),
            "{found:?}"
        );
        assert!(found.how_to_mend.contains("chmod go-w"), "{found:?}");
        let (class, code, _) = met(observe(settings).await);
        assert_eq!((class, code.as_str()), (FaultClass::Denied, "untrusted"));
    }
    assert_eq!(stage.left("asked"), None, "it was not started");
}

#[tokio::test]
async fn a_folder_that_others_can_change_is_a_warning() {
    let stage = Stage::new();
    let open = stage.path("open");
    fs::create_dir(&open).unwrap();
    let script = open.join("script");
    fs::copy(stage.script(FINE, 0o755), &script).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let through = ProgramSettings {
        arguments: vec![script.to_str().unwrap().to_owned()],
        ..stage.program("/bin/sh".into())
    };
    let findings = check(through).await;
    let worst = findings.iter().map(|f| f.severity).max();
    assert_eq!(worst, Some(Severity::Warning), "{findings:?}");
    assert!(
        findings
            .iter()
            .any(|f| f.what.contains("open can be changed by everybody"))
    );
}

#[tokio::test]
async fn what_a_check_says_and_writes_is_shown_to_who_asks_for_it() {
    let stage = Stage::new();
    let body = "echo first >&2; echo 'no route to vpn' >&2; printf '%s' '{\"fault\":\"denied\",\"code\":\"E5\",\"message\":\"token\\nexpired\"}'";
    let mut settings = stage.settings(body);
    let findings = check(settings.clone()).await;
    assert!(
        problem(&findings).what.contains("denied:E5 (token expired)"),
        "{findings:?}"
    );
    assert!(!format!("{findings:?}").contains("no route"));
    settings.show_stderr = true;
    let findings = check(settings).await;
    assert!(
        findings.iter().any(|f| f.what.contains("first ⏎ no route to vpn")),
        "{findings:?}"
    );
}

#[tokio::test]
async fn a_check_that_ends_badly_says_how() {
    let stage = Stage::new();
    for (body, expected) in [
        ("exit 3", "exit_3"),
        ("echo hello", "wrong_answer"),
        ("sleep 600", "timed_out"),
        ("echo '{\"ok\":false}'", "wrong_answer"),
    ] {
        let mut settings = stage.settings(body);
        settings.timeout = Duration::from_secs(if expected == "timed_out" { 2 } else { 60 });
        let findings = check(settings).await;
        assert!(problem(&findings).what.contains(expected), "{body}: {findings:?}");
        assert!(problem(&findings).how_to_mend.contains("docs/connectors/program.md"));
    }
}
