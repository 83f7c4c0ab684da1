//! Reading what Microsoft writes: times, sizes, lists that may be missing.

use super::api::{Api, Ask};
use crate::Answer;
use offboard_domain::{FaultClass, ObjectId};
use serde::de::DeserializeOwned;
use serde_json::Value;

impl Api {
    /// A value of the shape that the description promises. What does not fit
    /// names the place, never the content.
    pub(crate) fn shaped<T: DeserializeOwned>(&self, ask: &Ask, value: Value) -> Answer<T> {
        serde_json::from_value(value).map_err(|e| {
            let why = match e.classify() {
                serde_json::error::Category::Data => "a field is missing or of another type",
                _ => "it is no such object",
            };
            self.fault(
                ask,
                FaultClass::Transient,
                format!("the answer has not the described shape: {why}; it is read again"),
            )
        })
    }

    /// A list of such values.
    pub(crate) fn shaped_all<T: DeserializeOwned>(&self, ask: &Ask, values: Vec<Value>) -> Answer<Vec<T>> {
        values.into_iter().map(|v| self.shaped(ask, v)).collect()
    }
}

/// A time in milliseconds since 1970. Without a zone it is UTC, which every
/// request asks for.
pub(crate) fn time_ms(text: &str) -> Option<i64> {
    let text = text.trim();
    text.parse::<jiff::Timestamp>()
        .ok()
        .or_else(|| {
            let civil: jiff::civil::DateTime = text.parse().ok()?;
            civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|z| z.timestamp())
        })
        .map(jiff::Timestamp::as_millisecond)
        // Microsoft writes "never" as the year 1.
        .filter(|ms| *ms > 0)
}

/// A time in a field that may be missing or empty.
pub(crate) fn time_in(value: &Value) -> Option<i64> {
    time_ms(value.as_str()?)
}

/// An id in a field that may be missing or empty.
pub(crate) fn id_in(value: &Value) -> Option<ObjectId> {
    value.as_str().filter(|s| !s.is_empty()).map(ObjectId::from)
}

/// A text in a field that may be missing or empty.
pub(crate) fn text_in(value: &Value) -> Option<String> {
    value.as_str().filter(|s| !s.is_empty()).map(str::to_owned)
}

/// A yes or no that Exchange may also write as a word.
pub(crate) fn flag_in(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(b) => Some(*b),
        Value::String(s) if s.eq_ignore_ascii_case("true") => Some(true),
        Value::String(s) if s.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// The texts of a list; one text alone is a list of one.
pub(crate) fn texts_in(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(text_in).collect(),
        Value::String(s) if !s.is_empty() => vec![s.clone()],
        _ => Vec::new(),
    }
}

/// A size as Exchange writes it, in bytes: `1.5 GB (1,610,612,736 bytes)`.
pub(crate) fn size_in(value: &Value) -> Option<i64> {
    match value {
        Value::Number(n) => n.as_i64(),
        Value::String(text) => {
            let inner = text.rsplit_once('(').map_or(text.as_str(), |(_, inner)| inner);
            let digits: String = inner
                .chars()
                .take_while(|c| *c != 'b')
                .filter(char::is_ascii_digit)
                .collect();
            digits.parse().ok()
        }
        Value::Object(object) => object.get("Value").and_then(size_in),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_of_every_spelling_are_read() {
        for text in [
            "2026-11-22T19:57:14Z",
            "2026-11-22T19:57:14.0000000",
            "2026-11-22T20:57:14+01:00",
            "2026-11-22T19:57:14.0000000Z",
        ] {
            assert_eq!(time_ms(text), Some(1_795_377_434_000), "{text}");
        }
        assert_eq!(time_ms("0001-01-01T00:00:00Z"), None);
        assert_eq!(time_ms("soon"), None);
    }

    #[test]
    fn sizes_of_every_spelling_are_read() {
        for size in [
            json!("1.5 GB (1,610,612,736 bytes)"),
            json!(1_610_612_736_i64),
            json!({"Value": "1.5 GB (1,610,612,736 bytes)"}),
        ] {
            assert_eq!(size_in(&size), Some(1_610_612_736), "{size}");
        }
        assert_eq!(size_in(&json!("0 B (0 bytes)")), Some(0));
        assert_eq!(size_in(&json!("Unlimited")), None);
    }
}
