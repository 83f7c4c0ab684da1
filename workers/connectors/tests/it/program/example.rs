//! The page's example does what the page says.

use crate::program::stage::{Stage, apply, call, errand, met, observe};
use offboard_connectors::program::{ProgramConnector, ProgramSettings};
use offboard_connectors::{Answer, Connector as _, ScriptStanding, ScriptState, Scripts as _, Severity};
use offboard_domain::FaultClass;
use std::fs;

const PAGE: &str = include_str!("../../../../../docs/connectors/program.md");

/// The page's block of that language.
fn block(language: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("\n```\n").unwrap().0
}

/// The example, beside a folder of clients.
fn example(stage: &Stage) -> ProgramSettings {
    let clients = stage.path("ccd");
    fs::create_dir(&clients).unwrap();
    fs::write(
        clients.join("anna@contoso.example"),
        "push \"route 10.0.0.0 255.0.0.0\"\n",
    )
    .unwrap();
    fs::write(
        clients.join("ben@contoso.example"),
        "push \"route 10.0.0.0 255.0.0.0\"\n",
    )
    .unwrap();
    let mut settings = stage.program(stage.script(&format!("{}\n", block("sh")), 0o755));
    let clients = clients.to_str().unwrap().to_owned();
    settings.environment.push(("OPENVPN_CCD".to_owned(), clients.into()));
    settings
}

async fn of(settings: &ProgramSettings, name: &str) -> Answer<ScriptStanding> {
    let mut errand = errand();
    errand.user_principal_name = Some(name.to_owned());
    ProgramConnector::open(settings.clone())
        .observe(&mut call(), &errand)
        .await
}

#[tokio::test]
async fn the_shells_example_bars_whom_it_is_told_and_nobody_else() {
    let stage = Stage::new();
    let settings = example(&stage);
    let anna = "anna@contoso.example";
    let before = of(&settings, anna).await.unwrap();
    assert_eq!(
        (before.state, before.facts.bool("barred")),
        (ScriptState::NotDone, Some(false))
    );
    for _ in 0..2 {
        let mut call = call();
        call.allow_writes(true);
        let mut errand = errand();
        errand.user_principal_name = Some(anna.to_owned());
        let program = ProgramConnector::open(settings.clone());
        program.apply(&mut call, &errand).await.unwrap();
    }
    assert_eq!(of(&settings, anna).await.unwrap().state, ScriptState::Done);
    assert_eq!(
        stage.left("ccd/anna@contoso.example").unwrap(),
        "push \"route 10.0.0.0 255.0.0.0\"\ndisable\n"
    );
    assert_eq!(
        of(&settings, "ben@contoso.example").await.unwrap().state,
        ScriptState::NotDone
    );
    let nobody = of(&settings, "cleo@contoso.example").await.unwrap();
    assert_eq!(nobody.state, ScriptState::NotApplicable);
    assert_eq!(nobody.reason.as_deref(), Some("there is no such client"));
}

#[tokio::test]
async fn it_refuses_names_that_are_no_names_of_files() {
    let stage = Stage::new();
    let settings = example(&stage);
    for name in ["../text", "..", ".hidden", "a b", "a/b", "$(touch pwned)", "anna\n"] {
        let (class, code, _) = met(of(&settings, name).await);
        assert_eq!(
            (class, code.as_str()),
            (FaultClass::Rejected, "invalid:strange_name"),
            "{name:?}"
        );
    }
    // Those of the other tests as well.
    assert_eq!(met(observe(settings.clone()).await).0, FaultClass::Rejected);
    assert_eq!(met(apply(settings).await).0, FaultClass::Rejected);
    assert_eq!(stage.left("pwned"), None);
}

#[tokio::test]
async fn its_check_says_what_is_missing() {
    let stage = Stage::new();
    let settings = example(&stage);
    let check = async |settings: &ProgramSettings| ProgramConnector::open(settings.clone()).check(&mut call()).await;
    let findings = check(&settings).await;
    assert!(findings.iter().all(|f| f.severity == Severity::Fine), "{findings:?}");
    fs::remove_dir_all(stage.path("ccd")).unwrap();
    let findings = check(&settings).await;
    assert!(
        findings.iter().any(|f| f.what.contains("denied:no_ccd")),
        "{findings:?}"
    );
}

/// What can be seen without an interpreter: both examples answer with keys and
/// words that are understood.
#[test]
fn the_examples_speak_the_same_words() {
    for language in ["sh", "powershell"] {
        let text = block(language);
        for word in [
            "check",
            "observe",
            "apply",
            "state",
            "not_done",
            "not_applicable",
            "asked",
            "ok",
            "fault",
            "schema",
        ] {
            assert!(text.contains(word), "{language} has no {word}");
        }
    }
}
