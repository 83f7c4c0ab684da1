//! PowerShell, as the page says that it is started, and as it answers. What stands here in
//! its place takes down how it was started, and writes what it would write.

use crate::program::stage::{Stage, apply, hostile, met, observe};
use offboard_connectors::program::{ProgramConnector, ProgramSettings};
use offboard_connectors::{Connector as _, ScriptState, Severity};
use offboard_domain::FaultClass;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

const PAGE: &str = include_str!("../../../../../docs/connectors/program.md");

/// The page's line that starts it: the interpreter, and its words.
fn command() -> (String, Vec<String>) {
    let lines = PAGE.lines().filter_map(|line| line.strip_prefix("command = "));
    let commands = lines.map(|line| serde_json::from_str::<Vec<String>>(line).unwrap());
    let mut words = commands.into_iter().find(|words| words[0].ends_with("/pwsh")).unwrap();
    let interpreter = words.remove(0);
    (interpreter, words)
}

/// The page's command, with a script of ours, and a stand-in that then does this.
fn settings(stage: &Stage, does: &str) -> ProgramSettings {
    let body = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > words\ncat > told\n{does}\n");
    let interpreter = stage.path("pwsh");
    fs::rename(stage.script(&body, 0o755), &interpreter).unwrap();
    let script = stage.path("portal.ps1");
    fs::write(&script, "# read by nobody here\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o644)).unwrap();
    let (_, mut arguments) = command();
    *arguments.last_mut().unwrap() = script.to_str().unwrap().to_owned();
    ProgramSettings {
        arguments,
        ..stage.program(interpreter)
    }
}

#[tokio::test]
async fn it_is_started_as_the_page_says_and_told_what_others_are_told() {
    let (interpreter, words) = command();
    assert_eq!(interpreter, "/usr/bin/pwsh");
    let stage = Stage::new();
    let settings = settings(&stage, r#"printf '{"state":"done"}\r\n'"#);
    observe(settings).await.unwrap();
    let script = stage.path("portal.ps1");
    let got = stage.left("words").unwrap();
    let got: Vec<&str> = got.lines().collect();
    let wanted = ["-NoProfile", "-NonInteractive", "-File", script.to_str().unwrap()];
    assert_eq!(got, wanted);
    assert_eq!(words[..3], wanted[..3]);
    let told = stage.left("told").unwrap();
    assert!(
        told.starts_with('{') && told.ends_with("}\n"),
        "one object, and no mark before it"
    );
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["subject"]["user_principal_name"], hostile().as_str());
}

#[tokio::test]
async fn what_it_writes_in_utf_8_is_understood_with_its_mark_and_its_ends_of_lines() {
    let stage = Stage::new();
    let answers = r#"case $(cat told) in
*'"call":"observe"'*) printf '\357\273\277{\r\n  "state": "not_done",\r\n  "reason": "L\303\266we"\r\n}\r\n' ;;
*'"call":"apply"'*) printf '\357\273\277{"asked":true,"request_id":"r-7"}\r\n' ;;
*) printf '\357\273\277{"ok":true}\r\n' ;;
esac"#;
    let settings = settings(&stage, answers);
    let standing = observe(settings.clone()).await.unwrap();
    assert_eq!(standing.state, ScriptState::NotDone);
    assert_eq!(standing.reason.as_deref(), Some("L\u{f6}we"));
    apply(settings.clone()).await.unwrap();
    let checked = ProgramConnector::open(settings)
        .check(&mut crate::program::stage::call())
        .await;
    let problems: Vec<_> = checked.iter().filter(|f| f.severity == Severity::Problem).collect();
    assert!(problems.is_empty(), "{problems:?}");
}

#[tokio::test]
async fn what_it_does_not_catch_ends_it_with_a_code_and_its_answer_does_not_count() {
    let stage = Stage::new();
    let settings = settings(&stage, r#"printf '{"state":"done"}'; echo 'Exception: x' >&2; exit 1"#);
    let (class, code, detail) = met(observe(settings.clone()).await);
    assert_eq!((class, code.as_str()), (FaultClass::Transient, "exit_1"), "{detail}");
    let (class, code, _) = met(apply(settings).await);
    assert_eq!((class, code.as_str()), (FaultClass::Unknown, "exit_1"));
}

#[tokio::test]
async fn another_encoding_is_no_answer_and_says_what_to_set() {
    let stage = Stage::new();
    let settings = settings(&stage, r"printf '\377\376{\000}\000'");
    let (class, code, detail) = met(observe(settings).await);
    assert_eq!((class, code.as_str()), (FaultClass::Rejected, "wrong_answer"));
    assert!(detail.contains("OutputEncoding"), "{detail}");
}

#[tokio::test]
async fn a_script_that_others_can_change_is_not_read_by_it() {
    let stage = Stage::new();
    let settings = settings(&stage, r#"printf '{"state":"done"}'"#);
    fs::set_permissions(stage.path("portal.ps1"), fs::Permissions::from_mode(0o666)).unwrap();
    let (class, code, _) = met(observe(settings).await);
    assert_eq!((class, code.as_str()), (FaultClass::Denied, "untrusted"));
    assert_eq!(stage.left("words"), None);
}
