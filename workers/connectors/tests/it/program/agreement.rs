//! What is told and what is answered.

use crate::program::stage::{CANARY, Stage, apply, call, errand, hostile, met, observe};
use offboard_connectors::program::ProgramConnector;
use offboard_connectors::{Connector as _, ScriptState, Scripts as _};
use offboard_domain::{FaultClass, Kind, ObjectId, System};
use serde_json::Value;
use std::collections::BTreeSet;

/// Does what it is asked, and keeps a file about it.
const GOOD: &str = r#"
told=$(cat)
case $told in
*'"call":"observe"'*)
    if [ -e done ]; then echo '{"state":"done","facts":{"profiles":0}}'; else echo '{"state":"not_done"}'; fi ;;
*'"call":"apply"'*) : > done; echo '{"asked":true,"request_id":"r-7"}' ;;
esac
"#;

#[tokio::test]
async fn it_is_asked_told_to_act_and_asked_again() {
    let stage = Stage::new();
    let program = ProgramConnector::open(stage.settings(GOOD));
    let mut call = call();
    let before = program.observe(&mut call, &errand()).await.unwrap();
    assert_eq!(before.state, ScriptState::NotDone);
    assert_eq!(call.writes_sent(), 0);
    // Law 1: without leave nothing is started.
    let refused = program.apply(&mut call, &errand()).await.unwrap_err();
    assert_eq!(refused.class, FaultClass::Denied);
    assert_eq!(call.writes_sent(), 0);
    assert_eq!(stage.left("done"), None);
    call.allow_writes(true);
    program.apply(&mut call, &errand()).await.unwrap();
    assert_eq!(call.writes_sent(), 1);
    let after = program.observe(&mut call, &errand()).await.unwrap();
    assert_eq!((after.state, after.facts.int("profiles")), (ScriptState::Done, Some(0)));
    let receipts: Vec<_> = call.take_receipts();
    let told: Vec<_> = receipts
        .iter()
        .map(|r| (r.request.as_str(), r.request_id.as_deref()))
        .collect();
    assert_eq!(
        told,
        [("RUN observe", None), ("RUN apply", Some("r-7")), ("RUN observe", None)]
    );
    assert_eq!(call.take_sources(), ["program"]);
}

#[test]
fn what_cannot_be_undone_is_claimed_as_another_kind() {
    let stage = Stage::new();
    let mut settings = stage.settings(GOOD);
    for (irreversible, kind) in [(false, Kind::RunScript), (true, Kind::RunIrreversibleScript)] {
        settings.irreversible = irreversible;
        let claims = ProgramConnector::open(settings.clone()).claims();
        assert_eq!(claims, BTreeSet::from([kind, Kind::ObserveIdentity]));
    }
}

#[tokio::test]
async fn hostile_names_arrive_exactly_and_are_interpreted_by_nobody() {
    let stage = Stage::new();
    let body = r#"cat > told; printf '%s\0' "$@" > words; echo '{"state":"done"}'"#;
    let mut settings = stage.settings(body);
    settings.arguments.extend([
        "$(touch pwned)".to_owned(),
        "a b  c".to_owned(),
        hostile(),
        String::new(),
    ]);
    let words = settings.arguments[1..].to_vec();
    observe(settings).await.unwrap();
    let told: Value = serde_json::from_str(&stage.left("told").unwrap()).unwrap();
    assert_eq!(told["subject"]["user_principal_name"], hostile().as_str());
    assert_eq!(told["subject"]["ids"]["m365"], "id-1");
    assert_eq!(
        (&told["schema"], &told["call"], &told["attempt"]),
        (&1.into(), &"observe".into(), &2.into())
    );
    assert_eq!(told["tenant"], "contoso");
    let got = stage.left("words").unwrap();
    assert_eq!(got.split_terminator('\0').collect::<Vec<_>>(), words);
    assert_eq!(stage.left("pwned"), None);
}

#[tokio::test]
async fn its_environment_is_what_is_listed_and_its_folder_the_one_that_is_named() {
    let stage = Stage::new();
    let body = r#"cat /proc/$$/environ > env; /bin/pwd > folder; echo '{"state":"done"}'"#;
    let mut settings = stage.settings(body);
    settings.environment = vec![
        ("PATH".into(), "/usr/bin:/bin".into()),
        ("TOKEN".into(), "a=b $(c)\n".into()),
    ];
    observe(settings).await.unwrap();
    let got: BTreeSet<String> = stage
        .left("env")
        .unwrap()
        .split_terminator('\0')
        .map(str::to_owned)
        .collect();
    let wanted = ["PATH=/usr/bin:/bin", "TOKEN=a=b $(c)\n"].map(str::to_owned);
    assert_eq!(got, BTreeSet::from(wanted));
    let folder = stage.path("").canonicalize().unwrap();
    assert_eq!(stage.left("folder").unwrap().trim_end(), folder.to_str().unwrap());
}

#[tokio::test]
async fn what_is_not_the_agreed_answer_is_a_fault_of_its_own() {
    let say = |text: &str| format!("cat > /dev/null; echo {CANARY} >&2; printf '%b' '{text}'");
    for (body, read, write, code, detail) in [
        (
            say(""),
            FaultClass::Rejected,
            FaultClass::Unknown,
            "wrong_answer",
            "nothing to standard output",
        ),
        (
            say(CANARY),
            FaultClass::Rejected,
            FaultClass::Unknown,
            "wrong_answer",
            "not JSON",
        ),
        (
            say(r#"{"state":"done"} x"#),
            FaultClass::Rejected,
            FaultClass::Unknown,
            "wrong_answer",
            "after the JSON object",
        ),
        (
            say(r#"{"state":"done"}\n{"state":"done"}"#),
            FaultClass::Rejected,
            FaultClass::Unknown,
            "wrong_answer",
            "after the JSON object",
        ),
        (
            say(r#"{"state":"\0377"}"#),
            FaultClass::Rejected,
            FaultClass::Unknown,
            "wrong_answer",
            "not UTF-8",
        ),
        (
            format!("{}; exit 3", say(r#"{"state":"done","asked":true}"#)),
            FaultClass::Transient,
            FaultClass::Unknown,
            "exit_3",
            "exit code 3",
        ),
        (
            format!("{}; kill -9 $$", say(r#"{"state":"done"}"#)),
            FaultClass::Transient,
            FaultClass::Unknown,
            "signal_9",
            "killed by signal 9",
        ),
        (
            say(r#"{"fault":"denied","code":"E-5","message":"of canary-51c0"}"#),
            FaultClass::Denied,
            FaultClass::Denied,
            "denied:E-5",
            "lacks a credential",
        ),
        (
            say(r#"{"fault":"throttled","retry_after_seconds":7}"#),
            FaultClass::Throttled {
                retry_after_ms: Some(7_000),
            },
            FaultClass::Throttled {
                retry_after_ms: Some(7_000),
            },
            "throttled",
            "too often",
        ),
    ] {
        let stage = Stage::new();
        for (met, class) in [
            (met(stage.observe(&body).await), read),
            (met(stage.apply(&body).await), write),
        ] {
            assert_eq!((met.0, met.1.as_str()), (class, code), "{body}: {}", met.2);
            assert!(met.2.contains(detail), "{body}: {}", met.2);
            assert!(
                code != "exit_3" || met.2.contains("12 bytes to standard error"),
                "{}",
                met.2
            );
        }
    }
}

#[tokio::test]
async fn a_program_need_not_read_what_it_is_told_and_neither_side_waits_for_the_other() {
    let stage = Stage::new();
    let mut errand = errand();
    for n in 0..20_000 {
        let system = System::new(&format!("system-{n}")).unwrap();
        errand
            .subject
            .0
            .insert(system, ObjectId(format!("some-immutable-id-{n}")));
    }
    for body in [
        // It closes its end, or ends with the pipe full.
        r#"exec <&-; sleep 0.2; echo '{"state":"done"}'"#,
        r#"echo '{"state":"done"}'"#,
        // It writes more than a pipe holds before it reads, and then as much again.
        r#"head -c 300000 /dev/zero | tr '\0' ' '; cat > told; head -c 300000 /dev/zero | tr '\0' ' '; echo '{"state":"done"}'"#,
    ] {
        let mut settings = stage.settings(body);
        settings.max_output_bytes = 1_048_576;
        let program = ProgramConnector::open(settings);
        let standing = program.observe(&mut call(), &errand).await.unwrap();
        assert_eq!(standing.state, ScriptState::Done, "{body}");
    }
    let told: Value = serde_json::from_str(&stage.left("told").unwrap()).unwrap();
    assert_eq!(told["subject"]["ids"].as_object().unwrap().len(), 20_001);
}

#[tokio::test]
async fn what_was_told_to_act_and_failed_before_it_began_is_no_unknown() {
    let stage = Stage::new();
    let missing = stage.program(stage.path("nowhere"));
    let (class, code, _) = met(apply(missing).await);
    assert_eq!((class, code.as_str()), (FaultClass::Denied, "not_started"));
    let dull = stage.program(stage.script("#!/bin/sh\n", 0o644));
    let (class, code, detail) = met(apply(dull).await);
    assert_eq!((class, code.as_str()), (FaultClass::Denied, "not_started"), "{detail}");
    assert!(detail.contains("may not be executed"), "{detail}");
    let mut astray = stage.settings(GOOD);
    astray.folder = Some(stage.path("nowhere"));
    let (class, code, _) = met(apply(astray).await);
    assert_eq!((class, code.as_str()), (FaultClass::Denied, "not_started"));
    let lost = stage.program(stage.script("#!/nowhere/sh\n", 0o755));
    assert_eq!(met(observe(lost).await).0, FaultClass::Denied);
}
