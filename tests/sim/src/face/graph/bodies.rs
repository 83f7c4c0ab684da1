//! What a request may say: a body with a property that the vendor's description
//! does not have, or with a value of another sort, is refused before anything
//! looks at it. So whatever a client sends in any test, in a batch or by itself,
//! is held against the description. A body where none is described is refused
//! too: who makes a client send one describes it first.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;

use super::types::{Types, described, item_of};
use crate::world::VendorError;

const BODIES: &str = include_str!("../../../testdata/graph-bodies.json");

struct Bodies {
    /// What the body of each operation holds, by method and path.
    operations: BTreeMap<String, String>,
    /// What an action takes, by its name with `()`.
    parameters: Types,
}

/// What is wrong with a body, and with which property.
enum Wrong {
    Unknown(String),
    Unfit(String),
}

fn bodies() -> &'static Bodies {
    static READ: OnceLock<Bodies> = OnceLock::new();
    READ.get_or_init(|| {
        let part = "the described bodies are part of the source";
        let whole: Value = serde_json::from_str(BODIES).expect(part);
        Bodies {
            operations: serde_json::from_value(whole["operations"].clone()).expect(part),
            parameters: serde_json::from_value(whole["parameters"].clone()).expect(part),
        }
    })
}

/// Says which operation a body belongs to, or how the vendor refuses it.
pub(super) fn check(method: &str, parts: &[&str], body: &Value) -> Result<Option<&'static str>, VendorError> {
    if body.is_null() || matches!(method, "GET" | "DELETE") {
        return Ok(None);
    }
    let is_it = |name: &str| {
        name.split_once(' ')
            .is_some_and(|(its, path)| its == method && is_of(path, parts))
    };
    let Some((operation, kind)) = bodies().operations.iter().find(|(name, _)| is_it(name)) else {
        return Err(VendorError::new(
            400,
            "BadRequest",
            format!(
                "No body is described for {method} of '{}'.",
                parts.last().unwrap_or(&"")
            ),
        ));
    };
    let Some(wrong) = wrong(kind, body, "") else {
        return Ok(Some(operation.as_str()));
    };
    Err(match (wrong, kind.strip_suffix("()")) {
        (Wrong::Unknown(name), Some(action)) => VendorError::new(
            400,
            "BadRequest",
            format!(
                "The parameter '{name}' in the request payload is not a valid parameter for the operation '{action}'."
            ),
        ),
        (Wrong::Unknown(name), None) => VendorError::bad_request(format!(
            "Property '{name}' does not exist as a declared property or extension property."
        )),
        (Wrong::Unfit(name), _) => VendorError::bad_request(format!(
            "Invalid value specified for property '{name}' of resource '{kind}'."
        )),
    })
}

/// Whether a path is of this template.
fn is_of(template: &str, parts: &[&str]) -> bool {
    let template: Vec<&str> = template.split('/').collect();
    template.len() == parts.len() && template.iter().zip(parts).all(|(t, part)| *t == "{id}" || t == part)
}

/// The first thing that is wrong with a value of a type; `name` is the property that has it.
fn wrong(kind: &str, value: &Value, name: &str) -> Option<Wrong> {
    if value.is_null() {
        return None;
    }
    let unfit = || Some(Wrong::Unfit(name.to_owned()));
    if let Some(inner) = item_of(kind) {
        return match value.as_array() {
            Some(items) => items.iter().find_map(|item| wrong(inner, item, name)),
            None => unfit(),
        };
    }
    let described = described();
    if let Some(fields) = described.types.get(kind).or_else(|| bodies().parameters.get(kind)) {
        let Some(object) = value.as_object() else {
            return unfit();
        };
        return object.iter().find_map(|(name, value)| match fields.get(name) {
            Some(kind) => wrong(kind, value, name),
            // Whoever sends an object may say of which type it is.
            None if name == "@odata.type" => None,
            None => Some(Wrong::Unknown(name.clone())),
        });
    }
    let fits = match kind {
        "Boolean" => value.is_boolean(),
        "Double" => value.is_number(),
        "Int16" | "Int32" | "Int64" => value.is_i64() || value.is_u64(),
        "Date" | "DateTimeOffset" | "Duration" | "Guid" | "String" | "TimeOfDay" => value.is_string(),
        _ => described
            .words
            .get(kind)
            .is_some_and(|words| words.iter().any(|word| value == word.as_str())),
    };
    if fits { None } else { unfit() }
}
