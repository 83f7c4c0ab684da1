//! The query part of OData: `$select`, `$filter`, `$top`, pages.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};

use super::types;
use crate::world::VendorError;

const KEEP: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$');

/// A query, decoded.
#[derive(Debug, Default)]
pub(super) struct Query {
    pairs: Vec<(String, String)>,
}

/// One condition of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    /// The property.
    pub(super) property: String,
    /// `eq`, `ne`, `ge`, `le`, `gt`, `lt`, `contains` or `startswith`; of an `any(x:x/inner eq …)`
    /// the inner property (perhaps none), a space, and the operator.
    pub(super) operator: String,
    /// The literal without its quotes.
    pub(super) value: String,
}

/// A page of a list.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) items: Vec<Value>,
    pub(super) total: usize,
    pub(super) next: Option<String>,
}

pub(super) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let pairs = text
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
            })
            .collect();
        Self { pairs }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Refuses what nobody serves at these paths, so that a client does not believe that it
    /// was heard.
    pub(super) fn check(&self, parts: &[&str]) -> Result<(), VendorError> {
        const KNOWN: [&str; 10] = [
            "$select",
            "$filter",
            "$top",
            "$expand",
            "$count",
            "$skiptoken",
            "$orderby",
            "includeHiddenFolders",
            "startDateTime",
            "endDateTime",
        ];
        let unknown = self
            .pairs
            .iter()
            .filter(|(key, _)| !(key == "$skip" && parts.last() == Some(&"messages")))
            .find(|(key, _)| !KNOWN.iter().any(|known| known.eq_ignore_ascii_case(key)));
        match unknown {
            None => self.filter().map(|_| ()),
            Some((key, _)) => Err(VendorError::new(
                400,
                "BadRequest",
                format!("The query parameter '{key}' is not supported."),
            )),
        }
    }

    pub(super) fn counted(&self) -> bool {
        self.get("$count") == Some("true")
    }

    pub(super) fn expands(&self, name: &str) -> bool {
        self.get("$expand")
            .is_some_and(|list| list.split(',').any(|part| part.split('(').next() == Some(name)))
    }

    pub(super) fn selected(&self) -> Option<Vec<&str>> {
        self.get("$select")
            .map(|list| list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect())
    }

    pub(super) fn selects(&self, name: &str) -> bool {
        self.selected()
            .is_some_and(|list| list.iter().any(|selected| selected.eq_ignore_ascii_case(name)))
    }

    /// Cuts an object to what was selected; without a selection, to what its type shows of itself.
    pub(super) fn select(&self, object: Value, kind: &str) -> Result<Value, VendorError> {
        let Value::Object(object) = object else {
            return Ok(object);
        };
        let Some(selected) = self.selected() else {
            let shown = object
                .into_iter()
                .filter(|(key, _)| types::shown_unasked(kind, key))
                .collect();
            return Ok(Value::Object(shown));
        };
        for name in &selected {
            // A list of directory objects mixes types: what one lacks another may have.
            if !types::has_property(kind, name) && kind != "directoryObject" {
                return Err(VendorError::new(
                    400,
                    "BadRequest",
                    format!(
                        "Parsing OData Select and Expand failed: Could not find a property named '{name}' on type 'microsoft.graph.{kind}'."
                    ),
                ));
            }
        }
        let mut cut = Map::new();
        for (key, value) in object {
            let wanted = key.starts_with('@')
                || selected.iter().any(|name| name.eq_ignore_ascii_case(&key))
                || self.expands(&key);
            if wanted {
                cut.insert(key, value);
            }
        }
        Ok(Value::Object(cut))
    }

    /// The conditions of `$filter`, joined by `and`.
    pub(super) fn filter(&self) -> Result<Vec<Condition>, VendorError> {
        let Some(text) = self.get("$filter") else {
            return Ok(Vec::new());
        };
        split_and(text).iter().map(|part| condition(part)).collect()
    }

    /// The value that `property` must equal, if the filter says so.
    pub(super) fn equals(&self, property: &str) -> Option<String> {
        self.filter()
            .ok()?
            .into_iter()
            .find(|one| one.operator == "eq" && one.property.eq_ignore_ascii_case(property))
            .map(|one| one.value)
    }

    /// Whether an object fulfils every condition but those about `handled` properties.
    pub(super) fn keeps(&self, object: &Value, handled: &[&str]) -> bool {
        self.filter()
            .unwrap_or_default()
            .iter()
            .all(|one| handled.contains(&one.property.as_str()) || one.holds(object))
    }

    /// The page that the query's token asks for.
    pub(super) fn page(&self, all: Vec<(String, Value)>, most: usize) -> Page {
        let total = all.len();
        let asked = self
            .get("$top")
            .and_then(|top| top.parse::<usize>().ok())
            .unwrap_or(usize::MAX);
        let size = most.min(asked).max(1);
        let after = self
            .get("$skiptoken")
            .map(str::to_owned)
            .and_then(|token| token.strip_prefix("RFNwdAIAAQ_").map(str::to_owned));
        let mut rest = all
            .into_iter()
            .filter(|(key, _)| after.as_ref().is_none_or(|after| key > after));
        let mut items = Vec::new();
        let mut last = None;
        for (key, item) in rest.by_ref().take(size) {
            last = Some(key);
            items.push(item);
        }
        let next = rest.next().and(last).map(|key| format!("RFNwdAIAAQ_{key}"));
        Page { items, total, next }
    }

    /// The page after so many objects, as Exchange pages messages: what comes or goes before
    /// it moves the others from one page to another. What is known of it is what its next
    /// links show (`$skip`); it was not tried against a real one.
    pub(super) fn page_by_offset(&self, all: Vec<(String, Value)>, most: usize) -> Page {
        let total = all.len();
        let number = |name: &str| self.get(name).and_then(|n| n.parse::<usize>().ok());
        let size = most.min(number("$top").unwrap_or(usize::MAX)).max(1);
        let from = number("$skip").unwrap_or(0);
        let items: Vec<Value> = all.into_iter().skip(from).take(size).map(|(_, item)| item).collect();
        let to = from + items.len();
        Page {
            items,
            total,
            next: (to < total).then(|| to.to_string()),
        }
    }

    /// The query of the next page's link.
    pub(super) fn with_token(&self, token: &str) -> String {
        self.with("$skiptoken", token)
    }

    /// The same of a list that goes on after so many objects.
    pub(super) fn with_offset(&self, offset: &str) -> String {
        self.with("$skip", offset)
    }

    fn with(&self, name: &str, token: &str) -> String {
        let mut parts: Vec<String> = self
            .pairs
            .iter()
            .filter(|(key, _)| key != name)
            .map(|(key, value)| {
                format!(
                    "{}={}",
                    utf8_percent_encode(key, KEEP),
                    utf8_percent_encode(value, KEEP)
                )
            })
            .collect();
        parts.push(format!("{name}={}", utf8_percent_encode(token, KEEP)));
        parts.join("&")
    }
}

impl Condition {
    fn holds(&self, object: &Value) -> bool {
        let found = find(object, &self.property);
        if let Some((inner, operator)) = self.operator.split_once(' ') {
            let items = found.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            return items.iter().any(|item| {
                let item = if inner.is_empty() {
                    Some(item)
                } else {
                    find(item, inner)
                };
                compare(&text_of(item), operator, &self.value)
            });
        }
        compare(&text_of(found), &self.operator, &self.value)
    }

    /// Whether the directory answers it only to who accepts eventual consistency.
    pub(super) fn is_advanced(&self) -> bool {
        self.operator == "ne"
    }
}

/// A property, or one within another: `status/errorCode`.
fn find<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('/').try_fold(object, |inside, name| {
        inside
            .as_object()?
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    })
}

fn text_of(found: Option<&Value>) -> String {
    match found {
        None | Some(Value::Null) => "null".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn compare(text: &str, operator: &str, wanted: &str) -> bool {
    let (text, wanted) = (text.to_lowercase(), wanted.to_lowercase());
    match operator {
        "eq" => text == wanted,
        "ne" => text != wanted,
        "contains" => text.contains(&wanted),
        "startswith" => text.starts_with(&wanted),
        "ge" => text >= wanted,
        "gt" => text > wanted,
        "le" => text <= wanted,
        _ => text < wanted,
    }
}

/// Splits at ` and ` outside of quotes.
fn split_and(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if next == '\'' {
            quoted = !quoted;
        }
        if !quoted && rest.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(" and ")) {
            parts.push(String::new());
            rest = rest.get(5..).unwrap_or_default();
            continue;
        }
        if let Some(part) = parts.last_mut() {
            part.push(next);
        }
        rest = rest.get(next.len_utf8()..).unwrap_or_default();
    }
    parts
}

fn condition(part: &str) -> Result<Condition, VendorError> {
    let bad = || VendorError::new(400, "BadRequest", format!("Invalid filter clause: {part}"));
    let part = part.trim();
    for function in ["contains", "startswith"] {
        if let Some(inner) = part
            .strip_prefix(function)
            .and_then(|rest| rest.trim().strip_prefix('(')?.strip_suffix(')'))
        {
            let (property, value) = inner.split_once(',').ok_or_else(bad)?;
            return Ok(Condition {
                property: property.trim().to_owned(),
                operator: function.to_owned(),
                value: literal(value).ok_or_else(bad)?,
            });
        }
    }
    if let Some((property, inner)) = part.split_once("/any(") {
        let (variable, clause) = inner
            .strip_suffix(')')
            .and_then(|inner| inner.split_once(':'))
            .ok_or_else(bad)?;
        let clause = condition(clause)?;
        let inner = clause
            .property
            .strip_prefix(variable.trim())
            .map(|rest| rest.trim_start_matches('/'))
            .ok_or_else(bad)?;
        let operator = format!("{inner} {}", clause.operator);
        return Ok(Condition {
            property: property.trim().to_owned(),
            operator,
            value: clause.value,
        });
    }
    let mut words = part.splitn(3, ' ');
    let (Some(property), Some(operator), Some(value)) = (words.next(), words.next(), words.next()) else {
        return Err(bad());
    };
    if !["eq", "ne", "ge", "gt", "le", "lt"].contains(&operator) {
        return Err(bad());
    }
    Ok(Condition {
        property: property.to_owned(),
        operator: operator.to_owned(),
        value: literal(value).ok_or_else(bad)?,
    })
}

/// A literal: quoted text with doubled quotes inside, or a bare word.
fn literal(text: &str) -> Option<String> {
    let text = text.trim();
    let Some(inner) = text.strip_prefix('\'') else {
        return (!text.is_empty() && !text.contains([' ', '\''])).then(|| text.to_owned());
    };
    let inner = inner.strip_suffix('\'')?;
    let unescaped = inner.replace("''", "\u{0}");
    (!unescaped.contains('\'')).then(|| unescaped.replace('\u{0}', "'"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Query, condition, split_and};

    #[test]
    fn a_quote_in_a_name_must_be_doubled() {
        assert_eq!(
            condition("displayName eq 'O''Hara'").map(|one| one.value),
            Ok("O'Hara".to_owned())
        );
        assert!(condition("displayName eq 'O'Hara'").is_err());
        assert!(condition("displayName").is_err());
        assert_eq!(split_and("a eq 'x and y' and b eq 1"), ["a eq 'x and y'", "b eq 1"]);
    }

    #[test]
    fn conditions_reach_into_lists_and_objects() {
        let object = json!({"proxyAddresses": ["SMTP:a@b.example"], "status": {"errorCode": 0}, "assignedLicenses": [{"skuId": "x"}]});
        let holds = |text: &str| condition(text).unwrap().holds(&object);
        assert!(holds("proxyAddresses/any(p:p eq 'smtp:a@b.example')"));
        assert!(!holds("proxyAddresses/any(p:p eq 'smtp:c@b.example')"));
        assert!(holds("assignedLicenses/any(l:l/skuId eq x)"));
        assert!(holds("status/errorCode eq 0") && !holds("status/errorCode ne 0"));
    }

    #[test]
    fn pages_follow_one_another_without_gap_or_double() {
        let all = || (0..5).map(|n| (format!("k{n}"), json!(n))).collect::<Vec<_>>();
        let first = Query::parse("$top=100").page(all(), 2);
        assert_eq!(first.items, [json!(0), json!(1)]);
        let second = Query::parse(&Query::parse("").with_token(&first.next.unwrap())).page(all(), 2);
        assert_eq!(second.items, [json!(2), json!(3)]);
        let last = Query::parse(&Query::parse("").with_token(&second.next.unwrap())).page(all(), 2);
        assert_eq!((last.items.len(), last.next), (1, None));
    }

    #[test]
    fn a_list_by_offset_passes_over_or_repeats_what_moved() {
        let all = |from: u32| (from..5).map(|n| (format!("k{n}"), json!(n))).collect::<Vec<_>>();
        let first = Query::parse("$top=2").page_by_offset(all(0), 100);
        assert_eq!(first.items, [json!(0), json!(1)]);
        let next = Query::parse(&Query::parse("$top=2").with_offset(&first.next.unwrap()));
        assert_eq!(next.page_by_offset(all(0), 100).items, [json!(2), json!(3)]);
        assert_eq!(next.page_by_offset(all(1), 100).items, [json!(3), json!(4)]);
        assert!(next.check(&["users", "u", "mailFolders", "f", "messages"]).is_ok());
        assert!(next.check(&["users"]).is_err());
    }
}
