use super::*;

fn json(text: &str) -> Intake {
    read_for(Some("contoso"), "people.json", text.as_bytes()).unwrap()
}

#[test]
fn json_one_or_many() {
    let one = r#"{"person": {"mail": "a@c.example", "display_name": "A"}, "effective_at": "2026-11-30"}"#;
    assert_eq!(told(&json(one)), ["1/1 contoso A a@c.example 2026-11-30T16:00:00Z"]);
    let many =
        format!("\u{feff}[\n  {one},\n  {{\"person\": {{\"employee_id\": \"7\"}},\n \"manner\": \"immediate\"}}\n]");
    assert_eq!(
        told(&json(&many)),
        [
            "2/1 contoso A a@c.example 2026-11-30T16:00:00Z",
            "3/2 contoso - 7 2026-09-21T14:13:20Z",
            "people.json:3 (row 2): has neither a reference nor a date: handed over again on another day it will be another case"
        ]
    );
    assert_eq!(Format::of("people", b" [{}]"), Format::Json);
    assert_eq!(Format::of("-", b"mail;x"), Format::Csv);
    assert_eq!(json("[]"), Intake::default());
}

#[test]
fn json_with_everything() {
    let text = r#"{"tenant": "contoso", "reference": "HR-7", "manner": "immediate", "effective_at": "2026-11-30T09:00:00+02:00",
        "requested_by": "hr@c.example", "requested_at": "2026-11-01",
        "person": {"object_id": "o", "user_principal_name": "u@c.example", "mail": "m@c.example", "employee_id": "1", "display_name": "=A"},
        "successor": {"mail": "s@c.example"},
        "choices": {"legal_hold": true, "archive_mailbox": false, "forwarding": "remove", "automatic_reply": "", "meetings": "cancel", "onedrive": "hand_over", "wipe_company_devices": false, "shared_credentials": ["Door code", " Bank token "]}}"#;
    let found = json(text);
    assert_eq!(found.rejected, []);
    // Immediate, and yet not at once.
    assert_eq!(found.warnings.len(), 1);
    let d = &found.accepted[0].1;
    assert_eq!(
        (d.requested_by.as_str(), d.handed_in_by.as_deref()),
        ("hr@c.example", Some("ops@msp.example"))
    );
    assert_eq!(d.person.display_name.as_deref(), Some("=A"));
    assert_eq!(d.effective_at.to_string(), "2026-11-30T07:00:00Z");
    // A day alone: the begin of work in Berlin, not its end.
    assert_eq!(d.requested_at.to_string(), "2026-11-01T07:00:00Z");
    assert_eq!(d.successor.as_ref().unwrap().mail.as_deref(), Some("s@c.example"));
    let c = &d.choices;
    assert_eq!(
        (
            c.legal_hold,
            c.archive_mailbox,
            &c.forwarding,
            c.automatic_reply.as_deref()
        ),
        (Some(true), Some(false), &Some(Forwarding::Remove), Some(""))
    );
    assert_eq!(
        (c.meetings, c.onedrive, c.wipe_company_devices),
        (Some(Meetings::Cancel), Some(OneDriveChoice::HandOver), Some(false))
    );
    assert_eq!(c.shared_credentials, ["Door code", "Bank token"]);
}

#[test]
fn json_mistakes_name_their_path_and_the_others_go_on() {
    let good = r#"{"person": {"mail": "a@c.example"}, "effective_at": "2026-11-30"}"#;
    let cases: &[(&str, &str)] = &[
        (
            r#"{"person": {"mial": "a"}}"#,
            "$[0].person.mial: expected a departure as `offboard schema` describes it: unknown field `mial`, expected one of",
        ),
        (
            r#"{"person": {"mail": 3}}"#,
            "$[0].person.mail: expected a departure as `offboard schema` describes it: invalid type (integer), expected a string",
        ),
        (
            r#"{"effective_at": "2026-11-30"}"#,
            "$[0]: expected a departure as `offboard schema` describes it: missing field `person`",
        ),
        (
            r#"{"person": {"mail": "a@c.example"}, "manner": "now"}"#,
            "$[0].manner: expected a departure as `offboard schema` describes it: unknown variant, expected `planned` or `immediate`",
        ),
        (
            r#"{"person": {"mail": "x"}, "effective_at": "30.11.2026"}"#,
            "$[0].effective_at: expected a date from 2000 to 2100 as 2026-11-30",
        ),
        (
            r#"{"person": {}, "effective_at": "2026-11-30"}"#,
            "$[0].person: expected at least one of mail",
        ),
        (
            r#"{"person": {"mail": " "}, "effective_at": "2026-11-30"}"#,
            "$[0].person.mail: expected a text, or the key left out",
        ),
        (
            r#"{"person": {"mail": "a@c.example"}}"#,
            "$[0].effective_at: expected the last day",
        ),
        (
            r#"{"person": {"mail": "a@c.example"}, "effective_at": "2026-11-30", "tenant": "fabrikam"}"#,
            "$[0].tenant: expected the tenant 'contoso'",
        ),
        (
            r#"{"person": {"mail": "a@c.example", "mail": "b@c.example"}}"#,
            "$[0].person: expected a departure as `offboard schema` describes it: duplicate field `mail`",
        ),
        ("7", "$[0]: expected a departure"),
        ("null", "$[0]: expected a departure"),
    ];
    for (bad, expected) in cases {
        let found = json(&format!("[{bad},\n{good}]"));
        assert_eq!(found.accepted.len(), 1, "{bad}");
        let said = found.rejected.first().map(ToString::to_string).unwrap_or_default();
        assert!(
            said.starts_with(&format!("people.json:1 (row 1): {expected}")),
            "{bad}: {said}"
        );
    }
    let large = format!(
        r#"[{{"person": {{"display_name": "{}"}}}}, {good}]"#,
        "x".repeat(ROW_MAX_BYTES)
    );
    let found = json(&large);
    assert_eq!((found.accepted.len(), found.rejected_rows()), (1, 1));
    for (broken, expected) in [
        ("{", "not valid JSON"),
        ("[{}, ", "not valid JSON"),
        ("{} {}", "not valid JSON"),
        ("", "not valid JSON"),
        ("[1 2]", "line 1 column"),
    ] {
        let error = read_for(Some("contoso"), "p.json", broken.as_bytes()).unwrap_err();
        assert!(error.what.contains(expected), "{broken}: {error}");
    }
    assert!(
        read_for(Some("contoso"), "p.json", b"[\"\xff\"]")
            .unwrap_err()
            .what
            .contains("not UTF-8")
    );
}

#[test]
fn a_value_in_the_wrong_shape_is_not_repeated() {
    let secret = "Passw0rd";
    let wrong = [
        (
            r#""choices": {"shared_credentials": "Passw0rd!"}"#,
            "$.choices.shared_credentials",
            "a sequence",
        ),
        (
            r#""choices": {"shared_credentials": "x, expected Passw0rd"}"#,
            "$.choices.shared_credentials",
            "a sequence",
        ),
        (
            r#""choices": {"legal_hold": "Passw0rd at line 1"}"#,
            "$.choices.legal_hold",
            "a boolean",
        ),
        (
            r#""choices": {"meetings": "Passw0rd`, expected `x"}"#,
            "$.choices.meetings",
            "`leave`",
        ),
        (r#""choices": "Passw0rd""#, "$.choices", "struct"),
        (r#""manner": "Passw0rd""#, "$.manner", "`planned` or `immediate`"),
    ];
    for (part, path, expected) in wrong {
        let text = format!(r#"{{"person": {{"mail": "a@c.example"}}, "effective_at": "2026-11-30", {part}}}"#);
        let found = json(&text);
        let said: Vec<String> = found.rejected.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 1, "{part}: {said:?}");
        let said = &said[0];
        assert!(!said.contains(secret), "{said}");
        assert!(said.contains(path) && said.contains(expected), "{said}");
    }
}

#[test]
fn the_schema_says_what_is_read() {
    let schema = schema();
    let departure = &schema["$defs"]["Departure"];
    assert_eq!(departure["additionalProperties"], false);
    assert_eq!(departure["required"], serde_json::json!(["person"]));
    let keys: Vec<_> = departure["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "choices",
            "effective_at",
            "manner",
            "person",
            "reference",
            "requested_at",
            "requested_by",
            "successor",
            "tenant"
        ]
    );
    for (name, keys) in [("Person", 5), ("Choices", 8)] {
        let object = &schema["$defs"][name];
        assert_eq!(object["properties"].as_object().unwrap().len(), keys, "{name}");
        assert_eq!(object["additionalProperties"], false, "{name}");
        for (key, value) in object["properties"].as_object().unwrap() {
            assert!(value["description"].is_string(), "{name}.{key} is described");
        }
    }
}
