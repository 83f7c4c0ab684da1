//! What was read in an outside system, as flat named facts: small enough to
//! keep for years, plain enough for an auditor, and comparable by rule.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One fact, or one parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
