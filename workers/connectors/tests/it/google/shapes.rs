//! Every answer of the simulated workspace is one that Google's own description has:
//! properties that its types have, of the sorts and words that they have. What the
//! connector is tested against is so what it will meet. The description's facts are
//! in `tests/data/google-types.json`.

use crate::google::discovery::{described, everything, found};
use crate::google::stage::Stage;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const TYPES: &str = include_str!("../../data/google-types.json");

/// What Google may say one day and does not yet: the face says it to see that the
/// connector bears it.
const NOT_YET: [&str; 3] = ["surprise", "unheardOf", "notAWordYet"];

fn types() -> Value {
    serde_json::from_str(TYPES).unwrap()
}

/// Finds what is wrong with a value that should be of a type.
fn check(types: &Value, kind: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
    match kind {
        Value::Array(of) => match value.as_array() {
            Some(items) => items.iter().for_each(|item| check(types, &of[0], item, at, wrong)),
            None => wrong.push(format!("{at} is no list")),
        },
        Value::Object(properties) => {
            let Some(fields) = value.as_object() else {
                return wrong.push(format!("{at} is no object"));
            };
            for (name, value) in fields.iter().filter(|(name, _)| !NOT_YET.contains(&name.as_str())) {
                match properties.get(name) {
                    Some(kind) => check(types, kind, value, &format!("{at}.{name}"), wrong),
                    None => wrong.push(format!("{at} has no property {name}")),
                }
            }
        }
        Value::String(kind) => match types.get(kind) {
            Some(kind) => check(types, kind, value, at, wrong),
            None if is_plain(kind, value) => {}
            None => wrong.push(format!("{at}: {value} is no {kind}")),
        },
        _ => wrong.push(format!("{at}: the description has no type for it")),
    }
}

/// Whether it is of a type that has no properties, or one of an enumeration's words.
fn is_plain(kind: &str, value: &Value) -> bool {
    let is_text = |fits: &dyn Fn(&str) -> bool| value.as_str().is_some_and(fits);
    match kind {
        "any" => true,
        "object" => value.is_object(),
        "boolean" => value.is_boolean(),
        "integer:int32" => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
        "number:float" => value.is_number(),
        "string" | "string:date" | "string:google-duration" => value.is_string(),
        "string:int64" => is_text(&|text| text.parse::<i64>().is_ok()),
        "string:date-time" => is_text(&|text| offboard_sim::parse_time(text).is_some()),
        words => is_text(&|text| words.split('|').any(|word| word == text) || NOT_YET.contains(&text)),
    }
}

#[test]
fn what_the_types_do_not_have_is_noticed() {
    let types = types();
    for (kind, value, says) in [
        ("User", json!({"id": "1", "suspended": false}), None),
        ("User", json!({"id": 1}), Some("no string")),
        ("User", json!({"mail": "x"}), Some("no property mail")),
        ("User", json!({"deletionTime": "lately"}), Some("no string:date-time")),
        (
            "User",
            json!({"name": {"whole": "x"}}),
            Some("name has no property whole"),
        ),
        ("Users", json!({"users": {"id": "1"}}), Some("no list")),
        ("Asp", json!({"codeId": "7"}), Some("no integer")),
        ("Application", json!({"id": "drive"}), Some("no string:int64")),
        ("AutoForwarding", json!({"disposition": "trash"}), None),
        ("AutoForwarding", json!({"disposition": "bin"}), Some("\"bin\" is no")),
        ("DriveList", json!({"etag": "x"}), Some("no property etag")),
    ] {
        let mut wrong = Vec::new();
        check(&types["types"], &json!(kind), &value, kind, &mut wrong);
        match says {
            None => assert_eq!(wrong, Vec::<String>::new(), "{value}"),
            Some(says) => assert!(wrong.len() == 1 && wrong[0].contains(says), "{value}: {wrong:?}"),
        }
    }
}

#[tokio::test]
async fn every_answer_is_one_that_google_describes() {
    let s = Stage::new().await;
    everything(&s).await;
    let (answered, described, types) = (s.world().answered.clone(), described(), types());
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for answer in &answered {
        let method = found(&described, &answer.method, &answer.path).unwrap();
        let id = method["id"].as_str().unwrap();
        seen.insert(id.to_owned());
        match &types["answers"][id] {
            Value::Null if answer.body.is_null() => {}
            Value::Null => wrong.push(format!("{id} answers with nothing")),
            kind => check(&types["types"], kind, &answer.body, id, &mut wrong),
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    // And each was answered: a refusal alone would show nothing.
    let all: BTreeSet<String> = described.iter().map(|m| m["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(seen, all);
}
