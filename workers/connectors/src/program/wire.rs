//! What goes over the pipes: one JSON object to the program, one JSON object
//! back, and every way in which the second can be wrong.
//!
//! What the program wrote is never repeated in what a wrong answer is called:
//! it may name people.

use crate::area::scripts::{Errand, ScriptStanding, ScriptState};
use offboard_domain::time::SECOND_MS;
use offboard_domain::{Fact, Facts, FaultClass};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The version of what is asked and answered. A program that meets another one
/// should answer with the fault `invalid`.
pub(super) const SCHEMA: u32 = 1;

/// Most facts in one answer.
const FACTS_MAX: usize = 32;
/// Longest name of a fact, in bytes.
const NAME_MAX_BYTES: usize = 64;
/// Longest text in an answer, in bytes: a fact, an entry of a list, a reason.
const TEXT_MAX_BYTES: usize = 512;
/// Most entries of a list.
const LIST_MAX: usize = 64;
/// Most text of all facts together, in bytes.
const FACTS_MAX_BYTES: usize = 8 * 1024;
/// Longest id of a request and longest code of a fault, in bytes.
const CODE_MAX_BYTES: usize = 64;
/// What Windows' programs, and PowerShell by some of its ways, write before a text in
/// UTF-8. It says nothing, and JSON does not know it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a program is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// How do things stand?
    Observe,
    /// Bring it about.
    Apply,
    /// Are you able to?
    Check,
}

impl Ask {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Apply => "apply",
            Self::Check => "check",
        }
    }
}

#[derive(Serialize)]
struct Question<'a> {
    schema: u32,
    call: &'static str,
    tenant: &'a str,
    #[serde(flatten)]
    about: Option<About<'a>>,
}

#[derive(Serialize)]
struct About<'a> {
    case: String,
    task: String,
    attempt: u32,
    subject: Who<'a>,
}

#[derive(Serialize)]
struct Who<'a> {
    ids: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_principal_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mail: Option<&'a str>,
}

/// The question as it goes to the program: one line.
pub(super) fn question(ask: Ask, tenant: &str, errand: Option<&Errand>) -> Vec<u8> {
    let about = errand.map(|e| About {
        case: e.case.to_string(),
        task: e.task.to_string(),
        attempt: e.attempt,
        subject: Who {
            ids: e.subject.0.iter().map(|(s, id)| (s.as_str(), id.0.as_str())).collect(),
            user_principal_name: e.user_principal_name.as_deref(),
            mail: e.mail.as_deref(),
        },
    });
    let question = Question {
        schema: SCHEMA,
        call: ask.word(),
        tenant,
        about,
    };
    let mut line = serde_json::to_vec(&question).expect("texts and numbers are JSON");
    line.push(b'\n');
    line
}

/// What is wrong with an answer, in words that repeat nothing of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) String);

fn wrong<T>(what: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong(what.into()))
}

/// A fault that the program says it met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Met {
    pub class: FaultClass,
    /// The word for it, and the program's own code if it gave one.
    pub code: String,
    /// What it says about it. For the terminal of who checks it alone.
    pub message: Option<String>,
}

/// One answer: what was asked for, or a fault.
pub(super) type Answered<T> = Result<Result<T, Met>, Wrong>;

/// Reads the answer to `observe`.
pub(super) fn standing(output: &[u8]) -> Answered<ScriptStanding> {
    let mut fields = Fields::of(output)?;
    if let Some(met) = fields.fault()? {
        return Ok(Err(met));
    }
    let state = match fields.text("state")? {
        Some(word) => ScriptState::named(&word),
        None => None,
    };
    let Some(state) = state else {
        return wrong("it does not say a `state` of \"done\", \"not_done\" or \"not_applicable\"");
    };
    let standing = ScriptStanding {
        state,
        reason: fields.text("reason")?,
        conclusive: fields.bool("conclusive")?.unwrap_or(false),
        facts: fields.facts()?,
    };
    fields.end("`state`, `reason`, `conclusive`, `facts` or those of a fault")?;
    Ok(Ok(standing))
}

/// Reads the answer to `apply`: the id that the other side gave the request, if
/// it did.
pub(super) fn asked(output: &[u8]) -> Answered<Option<String>> {
    let mut fields = Fields::of(output)?;
    if let Some(met) = fields.fault()? {
        return Ok(Err(met));
    }
    if fields.bool("asked")? != Some(true) {
        return wrong("it says neither `\"asked\": true` nor a `fault`");
    }
    let id = fields.code("request_id")?;
    fields.end("`asked`, `request_id` or those of a fault")?;
    Ok(Ok(id))
}

/// Reads the answer to `check`.
pub(super) fn checked(output: &[u8]) -> Answered<()> {
    let mut fields = Fields::of(output)?;
    if let Some(met) = fields.fault()? {
        return Ok(Err(met));
    }
    if fields.bool("ok")? != Some(true) {
        return wrong("it says neither `\"ok\": true` nor a `fault`");
    }
    fields.end("`ok` or those of a fault")?;
    Ok(Ok(()))
}

/// An answer's fields; each is taken out when it is read.
struct Fields(Map<String, Value>);

impl Fields {
    fn of(output: &[u8]) -> Result<Self, Wrong> {
        let output = output.strip_prefix(BYTE_ORDER_MARK).unwrap_or(output);
        if output.trim_ascii().is_empty() {
            return wrong("it wrote nothing to standard output");
        }
        if std::str::from_utf8(output).is_err() {
            return wrong("what it wrote is not UTF-8 (in PowerShell, [Console]::OutputEncoding says what is written)");
        }
        let mut parts = serde_json::Deserializer::from_slice(output).into_iter::<Value>();
        let first = match parts.next() {
            Some(Ok(value)) => value,
            Some(Err(e)) => {
                return wrong(format!(
                    "what it wrote is not JSON at line {}, column {}",
                    e.line(),
                    e.column()
                ));
            }
            None => return wrong("it wrote nothing to standard output"),
        };
        if !output[parts.byte_offset()..].trim_ascii().is_empty() {
            return wrong("there is something after the JSON object; messages belong to standard error");
        }
        match first {
            Value::Object(fields) => Ok(Self(fields)),
            _ => wrong("what it wrote is JSON, but no object"),
        }
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, Wrong> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if is_fine(&text) => Ok(Some(text)),
            Some(Value::String(_)) => wrong(format!(
                "`{name}` is longer than {TEXT_MAX_BYTES} bytes, or has control characters in it"
            )),
            Some(_) => wrong(format!("`{name}` is no text")),
        }
    }

    fn bool(&mut self, name: &str) -> Result<Option<bool>, Wrong> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(yes)) => Ok(Some(yes)),
            Some(_) => wrong(format!("`{name}` is neither true nor false")),
        }
    }

    /// A word that may stand in receipts and logs; an empty one is none.
    fn code(&mut self, name: &str) -> Result<Option<String>, Wrong> {
        let Some(code) = self.text(name)?.filter(|c| !c.is_empty()) else {
            return Ok(None);
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':');
        if code.len() > CODE_MAX_BYTES || !code.bytes().all(plain) {
            return wrong(format!(
                "`{name}` is not at most {CODE_MAX_BYTES} of letters, digits, '_', '-', '.' and ':'"
            ));
        }
        Ok(Some(code))
    }

    fn fault(&mut self) -> Result<Option<Met>, Wrong> {
        let Some(word) = self.text("fault")? else {
            return Ok(None);
        };
        let (class, word) = match word.as_str() {
            "throttled" => {
                let retry_after_ms = self
                    .seconds("retry_after_seconds")?
                    .map(|s| s.saturating_mul(SECOND_MS));
                (FaultClass::Throttled { retry_after_ms }, "throttled")
            }
            "denied" => (FaultClass::Denied, "denied"),
            "invalid" => (FaultClass::Rejected, "invalid"),
            "unavailable" => (FaultClass::Transient, "unavailable"),
            _ => return wrong("its `fault` is none of \"throttled\", \"denied\", \"invalid\", \"unavailable\""),
        };
        let code = match self.code("code")? {
            Some(code) => format!("{word}:{code}"),
            None => word.to_owned(),
        };
        let met = Met {
            class,
            code,
            message: self.message()?,
        };
        self.end_of("`fault`, `code`, `message` and, when throttled, `retry_after_seconds`")?;
        Ok(Some(met))
    }

    /// A sentence for a terminal, as an exception wrote it: in one line, and cut.
    fn message(&mut self) -> Result<Option<String>, Wrong> {
        match self.0.remove("message") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => {
                let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
                Ok(Some(plain.take(TEXT_MAX_BYTES).collect()))
            }
            Some(_) => wrong("`message` is no text"),
        }
    }

    fn seconds(&mut self, name: &str) -> Result<Option<i64>, Wrong> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(n)) if n.as_i64().is_some_and(|n| n >= 0) => Ok(n.as_i64()),
            Some(_) => wrong(format!("`{name}` is no whole number of seconds")),
        }
    }

    fn facts(&mut self) -> Result<Facts, Wrong> {
        let given = match self.0.remove("facts") {
            None | Some(Value::Null) => return Ok(Facts::new()),
            Some(Value::Object(given)) => given,
            Some(_) => return wrong("`facts` is no object"),
        };
        if given.len() > FACTS_MAX {
            return wrong(format!("it has {} facts; at most {FACTS_MAX} are taken", given.len()));
        }
        let mut facts = Facts::new();
        let mut bytes = 0;
        for (nth, (name, value)) in given.into_iter().enumerate() {
            // By its place, for the name may be anything.
            let nth = nth + 1;
            if !is_name(&name) {
                return wrong(format!(
                    "the name of fact {nth} is not a letter and then up to {} of a-z, 0-9 and '_'",
                    NAME_MAX_BYTES - 1
                ));
            }
            let fact = match fact(value) {
                Some(fact) => fact,
                None => {
                    return wrong(format!(
                        "fact `{name}` is neither true, false, a whole number, a text of at most {TEXT_MAX_BYTES} bytes in one line, nor a list of at most {LIST_MAX} of those"
                    ));
                }
            };
            bytes += name.len() + size(&fact);
            if bytes > FACTS_MAX_BYTES {
                return wrong(format!("its facts are larger than {FACTS_MAX_BYTES} bytes together"));
            }
            facts.set(&name, fact);
        }
        Ok(facts)
    }

    /// Every field that nobody took is a mistake: a misspelt one would otherwise
    /// be missed in silence.
    fn end_of(&mut self, known: &str) -> Result<(), Wrong> {
        if self.0.is_empty() {
            return Ok(());
        }
        wrong(format!("it has {} more field(s) than {known}", self.0.len()))
    }

    fn end(mut self, known: &str) -> Result<(), Wrong> {
        self.end_of(known)
    }
}

fn is_fine(text: &str) -> bool {
    text.len() <= TEXT_MAX_BYTES && !text.chars().any(char::is_control)
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_MAX_BYTES
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn fact(value: Value) -> Option<Fact> {
    let text = |value: Value| match value {
        Value::String(text) if is_fine(&text) => Some(text),
        _ => None,
    };
    match value {
        Value::Bool(yes) => Some(Fact::Bool(yes)),
        Value::Number(n) => n.as_i64().map(Fact::Int),
        Value::Array(all) if all.len() <= LIST_MAX => all.into_iter().map(text).collect::<Option<_>>().map(Fact::List),
        Value::String(_) => text(value).map(Fact::Text),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn size(fact: &Fact) -> usize {
    match fact {
        Fact::Bool(_) | Fact::Int(_) => 8,
        Fact::Text(text) => text.len(),
        Fact::List(all) => all.iter().map(String::len).sum(),
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
