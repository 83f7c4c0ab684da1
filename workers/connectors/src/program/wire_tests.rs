use super::*;
use offboard_domain::{CaseId, ObjectId, Subject, System, TaskId, TenantId};

fn why<T: std::fmt::Debug>(answer: Answered<T>) -> String {
    match answer {
        Err(Wrong(why)) => why,
        other => panic!("it was understood: {other:?}"),
    }
}

#[test]
fn the_question_says_who_and_about_what_exactly() {
    let tenant = TenantId::new("contoso").unwrap();
    let case = CaseId::derive(&tenant, "HR-1");
    let system = System::new("m365").unwrap();
    let name = "o'neil \"$(reboot)\" `x`\n\u{202e}ü@contoso.example";
    let errand = Errand {
        case,
        task: TaskId::derive(case, "identity.run_script", &system, None),
        attempt: 3,
        subject: Subject([(system, ObjectId::from("id-1"))].into()),
        user_principal_name: Some(name.to_owned()),
        mail: None,
    };
    let line = question(Ask::Observe, "contoso", Some(&errand));
    assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1, "one line");
    let told: Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(
        told,
        serde_json::json!({
            "schema": 1, "call": "observe", "tenant": "contoso",
            "case": case.to_string(), "task": errand.task.to_string(), "attempt": 3,
            "subject": { "ids": { "m365": "id-1" }, "user_principal_name": name },
        })
    );
    let check: Value = serde_json::from_slice(&question(Ask::Check, "contoso", None)).unwrap();
    assert_eq!(
        check,
        serde_json::json!({ "schema": 1, "call": "check", "tenant": "contoso" })
    );
    assert!(!format!("{errand:?}").contains("neil"));
}

#[test]
fn a_whole_answer_of_each_sort() {
    let said = br#"{"state":"not_done","reason":"has a profile","conclusive":true,
        "facts":{"profile":"p-1","sessions":2,"locked":false,"groups":["a","b"]}}"#;
    let standing = standing(said).unwrap().unwrap();
    assert_eq!(standing.state, ScriptState::NotDone);
    assert_eq!(standing.reason.as_deref(), Some("has a profile"));
    assert!(standing.conclusive);
    let facts = Facts::new()
        .with("profile", "p-1")
        .with("sessions", 2)
        .with("locked", false)
        .with("groups", vec!["a".to_owned(), "b".to_owned()]);
    assert_eq!(standing.facts, facts);
    let plain = super::standing(b" {\"state\":\"done\"}\n\n").unwrap().unwrap();
    assert!(plain.facts.0.is_empty() && !plain.conclusive && plain.reason.is_none());
    assert_eq!(
        asked(br#"{"asked":true,"request_id":"r-1"}"#),
        Ok(Ok(Some("r-1".to_owned())))
    );
    assert_eq!(asked(br#"{"asked":true}"#), Ok(Ok(None)));
    assert_eq!(asked(br#"{"asked":true,"request_id":""}"#), Ok(Ok(None)));
    assert_eq!(checked(br#"{"ok":true}"#), Ok(Ok(())));
}

#[test]
fn a_mark_before_the_answer_and_the_ends_of_lines_are_nothing() {
    let said = b"\xef\xbb\xbf{\r\n  \"state\": \"done\"\r\n}\r\n";
    assert_eq!(standing(said).unwrap().unwrap().state, ScriptState::Done);
    assert_eq!(asked(b"\xef\xbb\xbf{\"asked\":true}\r\n"), Ok(Ok(None)));
    assert_eq!(checked(b"\xef\xbb\xbf{\"ok\":true}"), Ok(Ok(())));
    assert!(why(checked(b"\xef\xbb\xbf\r\n")).contains("wrote nothing"));
    // One is none; another one, or one elsewhere, is something.
    let two = b"\xef\xbb\xbf\xef\xbb\xbf{\"ok\":true}";
    assert!(why(checked(two)).contains("not JSON"));
    assert!(why(checked(b"{\"ok\":true}\xef\xbb\xbf")).contains("after the JSON object"));
}

#[test]
fn faults_have_their_class() {
    for (said, class, code) in [
        (
            r#"{"fault":"throttled","retry_after_seconds":90}"#,
            FaultClass::Throttled {
                retry_after_ms: Some(90_000),
            },
            "throttled",
        ),
        (
            r#"{"fault":"throttled"}"#,
            FaultClass::Throttled { retry_after_ms: None },
            "throttled",
        ),
        (
            r#"{"fault":"denied","code":"HTTP_403","message":"for Anna"}"#,
            FaultClass::Denied,
            "denied:HTTP_403",
        ),
        (r#"{"fault":"invalid"}"#, FaultClass::Rejected, "invalid"),
        (r#"{"fault":"unavailable"}"#, FaultClass::Transient, "unavailable"),
    ] {
        let met = asked(said.as_bytes()).unwrap().unwrap_err();
        assert_eq!((met.class, met.code.as_str()), (class, code), "{said}");
        assert_eq!(standing(said.as_bytes()).unwrap().unwrap_err().class, class);
        assert_eq!(checked(said.as_bytes()).unwrap().unwrap_err().class, class);
    }
}

#[test]
fn what_is_wrong_is_said_and_nothing_of_it_repeated() {
    let many: Vec<String> = (0..=FACTS_MAX).map(|n| format!("\"f{n}\":1")).collect();
    let large: Vec<String> = (0..FACTS_MAX)
        .map(|n| format!("\"f{n}\":\"{}\"", "x".repeat(500)))
        .collect();
    let in_facts = |facts: &str| format!("{{\"state\":\"done\",\"facts\":{{{facts}}}}}");
    for (said, expected) in [
        (String::new(), "wrote nothing"),
        (" \n".to_owned(), "wrote nothing"),
        ("Anna left".to_owned(), "not JSON at line 1, column 1"),
        ("{\"state\":\"done\"".to_owned(), "not JSON"),
        ("{\"state\":\"done\"} Anna".to_owned(), "after the JSON object"),
        (
            "{\"state\":\"done\"}{\"state\":\"done\"}".to_owned(),
            "after the JSON object",
        ),
        ("[\"Anna\"]".to_owned(), "no object"),
        ("{}".to_owned(), "`state`"),
        ("{\"state\":\"Anna\"}".to_owned(), "`state`"),
        ("{\"state\":3}".to_owned(), "`state` is no text"),
        ("{\"state\":\"done\",\"Anna\":1}".to_owned(), "1 more field(s)"),
        (
            "{\"state\":\"done\",\"reason\":\"Anna\\nleft\"}".to_owned(),
            "control characters",
        ),
        (
            format!("{{\"state\":\"done\",\"reason\":\"{}\"}}", "x".repeat(600)),
            "longer than",
        ),
        ("{\"state\":\"done\",\"facts\":[]}".to_owned(), "`facts` is no object"),
        (in_facts(&many.join(",")), "33 facts"),
        (in_facts(&large.join(",")), "larger than"),
        (in_facts("\"Anna Muster\":1"), "the name of fact 1"),
        (in_facts(&format!("\"{}\":1", "x".repeat(65))), "the name of fact 1"),
        (in_facts("\"a\":1.5"), "fact `a`"),
        (in_facts("\"a\":99999999999999999999"), "fact `a`"),
        (in_facts("\"a\":{\"b\":1}"), "fact `a`"),
        (in_facts("\"a\":[1]"), "fact `a`"),
        (in_facts("\"a\":\"Anna\\u0007\""), "fact `a`"),
        ("{\"fault\":\"Anna\"}".to_owned(), "`fault` is none of"),
        (
            "{\"fault\":\"denied\",\"code\":\"Anna Muster\"}".to_owned(),
            "`code` is not",
        ),
        (
            "{\"fault\":\"denied\",\"state\":\"done\"}".to_owned(),
            "1 more field(s)",
        ),
        (
            "{\"fault\":\"throttled\",\"retry_after_seconds\":-1}".to_owned(),
            "whole number of seconds",
        ),
        (
            "{\"state\":\"done\",\"conclusive\":\"Anna\"}".to_owned(),
            "neither true nor false",
        ),
    ] {
        let why = why(standing(said.as_bytes()));
        assert!(why.contains(expected), "{said}: {why}");
        assert!(!why.contains("Anna"), "{said}: {why}");
    }
    assert!(why(standing(b"{\"state\":\"\xff\"}")).contains("not UTF-8"));
    assert!(why(asked(br#"{"asked":false}"#)).contains("neither"));
    assert!(why(asked(br#"{"asked":true,"request_id":"Anna Muster"}"#)).contains("`request_id` is not"));
    assert!(why(checked(br#"{"ok":false}"#)).contains("neither"));
    let deep = "[".repeat(100_000);
    assert!(why(standing(deep.as_bytes())).contains("not JSON"));
}
