//! What was read in an outside system, as flat named facts: small enough to
//! keep for years, plain enough for an auditor, and comparable by rule.

use crate::time::Timestamp;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// One fact, or one parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Fact {
    /// Yes or no.
    Bool(bool),
    /// A whole number; a time is one too, and its name ends in `_ms`.
    Int(i64),
    /// A word or an id.
    Text(String),
    /// A list of words or ids.
    List(Vec<String>),
}

/// Takes each value for what it is: a derived reader would keep a copy and try
/// one variant after the other, for each fact of each record.
impl<'de> Deserialize<'de> for Fact {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyFact)
    }
}

struct AnyFact;

impl<'de> Visitor<'de> for AnyFact {
    type Value = Fact;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("yes or no, a whole number, a text, or a list of texts")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Fact, E> {
        Ok(Fact::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Fact, E> {
        Ok(Fact::Int(v))
    }

    fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<Fact, E> {
        i64::try_from(v)
            .map(Fact::Int)
            .map_err(|_| E::custom("the number is larger than any that is kept"))
    }

    fn visit_str<E>(self, v: &str) -> Result<Fact, E> {
        Ok(Fact::Text(v.to_owned()))
    }

    fn visit_string<E>(self, v: String) -> Result<Fact, E> {
        Ok(Fact::Text(v))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Fact, A::Error> {
        let mut list = Vec::new();
        while let Some(text) = seq.next_element()? {
            list.push(text);
        }
        Ok(Fact::List(list))
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(true) => f.write_str("yes"),
            Self::Bool(false) => f.write_str("no"),
            Self::Int(n) => write!(f, "{n}"),
            Self::Text(t) => f.write_str(t),
            Self::List(l) if l.is_empty() => f.write_str("none"),
            Self::List(l) => f.write_str(&l.join(", ")),
        }
    }
}

impl From<bool> for Fact {
    fn from(v: bool) -> Self {
        Self::Bool(v)
    }
}
impl From<i64> for Fact {
    fn from(v: i64) -> Self {
        Self::Int(v)
    }
}
impl From<&str> for Fact {
    fn from(v: &str) -> Self {
        Self::Text(v.to_owned())
    }
}
impl From<String> for Fact {
    fn from(v: String) -> Self {
        Self::Text(v)
    }
}
impl From<Vec<String>> for Fact {
    fn from(v: Vec<String>) -> Self {
        Self::List(v)
    }
}

/// Named facts in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Facts(pub BTreeMap<String, Fact>);

impl Facts {
    /// No facts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fact; for chaining.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Fact>) -> Self {
        self.set(name, value);
        self
    }

    /// Adds or replaces a fact.
    pub fn set(&mut self, name: &str, value: impl Into<Fact>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// The fact of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Fact> {
        self.0.get(name)
    }

    /// The fact of that name, if it is a yes or no.
    #[must_use]
    pub fn bool(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Fact::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The fact of that name, if it is a number.
    #[must_use]
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Fact::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// The fact of that name, if it is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Fact::Text(t) => Some(t),
            _ => None,
        }
    }

    /// The fact of that name, if it is a list.
    #[must_use]
    pub fn list(&self, name: &str) -> Option<&[String]> {
        match self.get(name)? {
            Fact::List(l) => Some(l),
            _ => None,
        }
    }
}

/// What was read about one target, where and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// When the read was answered.
    pub read_at: Timestamp,
    /// Which interfaces were read, for the evidence: `graph`, `exchange`.
    pub sources: Vec<String>,
    /// What they said.
    pub facts: Facts,
}

impl Observation {
    /// Takes in what a later reading adds to a list that is read part by part. How far the
    /// reading has come, the later one says.
    pub(crate) fn take_in(&mut self, list: &str, later: &Self) {
        let Some(more) = later.facts.list(list) else {
            return;
        };
        let known = self.facts.list(list).unwrap_or_default();
        let all: BTreeSet<&String> = known.iter().chain(more).collect();
        let all: Vec<String> = all.into_iter().cloned().collect();
        self.facts = later.facts.clone().with(list, all);
        let new = later.sources.iter().filter(|s| !self.sources.contains(s));
        let new: Vec<String> = new.cloned().collect();
        self.sources.extend(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fact_is_read_as_what_it_was_written_as() {
        let facts = Facts::new()
            .with("no", false)
            .with("least", i64::MIN)
            .with("most", i64::MAX)
            .with("text", "true")
            .with("none", Vec::new())
            .with("list", vec!["a".to_owned(), "1".to_owned()]);
        let json = serde_json::to_string(&facts).unwrap();
        assert_eq!(serde_json::from_str::<Facts>(&json).unwrap(), facts);
    }

    #[test]
    fn what_is_no_fact_is_refused() {
        for json in ["null", "1.5", "{}", "[1]", "[[]]", "9223372036854775808"] {
            assert!(serde_json::from_str::<Fact>(json).is_err(), "{json}");
        }
    }
}
