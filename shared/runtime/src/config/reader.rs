//! Reads TOML by asking for keys. What nobody asked for is unknown, what is
//! asked for is known: the list of keys and the code that uses them cannot
//! drift apart. Every mistake is noted with its line and reading goes on, so
//! that all of them are reported together.

use super::problem::{Problem, did_you_mean};
use jiff::SpanRelativeTo;
use jiff::fmt::friendly::SpanParser;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// How much of a wrong value is repeated in a message.
const SHOWN_MAX_CHARS: usize = 60;

/// One file while it is read.
pub(super) struct Document<'a> {
    file: &'a Path,
    text: &'a str,
    problems: RefCell<Vec<Problem>>,
    /// Lines that do not parse.
    broken: RefCell<BTreeSet<usize>>,
    known: RefCell<BTreeSet<String>>,
}

impl<'a> Document<'a> {
    pub(super) fn new(file: &'a Path, text: &'a str) -> Self {
        Self {
            file,
            text,
            problems: RefCell::default(),
            broken: RefCell::default(),
            known: RefCell::default(),
        }
    }

    /// Parses the text; mistakes of TOML itself are noted, and what could be
    /// understood nevertheless is returned.
    pub(super) fn parse(&self) -> Spanned<DeTable<'a>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for e in errors {
            let line = e.span().map(|s| self.line(s.start));
            self.broken.borrow_mut().extend(line);
            // Only the message: the error's own text repeats the source line,
            // and that may hold a secret that somebody wrote there.
            self.note(line, None, format!("not valid TOML: {}", e.message().trim()));
        }
        table
    }

    pub(super) fn root<'t>(&'t self, table: &'t Spanned<DeTable<'a>>) -> Section<'t>
    where
        'a: 't,
    {
        Section {
            doc: self,
            path: String::new(),
            line: None,
            table: Some(table.get_ref()),
            asked: BTreeSet::new(),
        }
    }

    /// What was found wrong, by line, and the keys that were asked for.
    pub(super) fn finish(self) -> (Vec<Problem>, BTreeSet<String>) {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|p| p.line);
        (problems, self.known.into_inner())
    }

    fn line(&self, offset: usize) -> usize {
        let end = offset.min(self.text.len());
        1 + self.text.as_bytes()[..end].iter().filter(|b| **b == b'\n').count()
    }

    fn note(&self, line: Option<usize>, key: Option<&str>, what: String) {
        self.problems.borrow_mut().push(Problem {
            file: self.file.to_owned(),
            line,
            key: key.map(str::to_owned),
            what,
        });
    }
}

/// One table, present or not; an absent one answers as an empty one.
pub(super) struct Section<'t> {
    doc: &'t Document<'t>,
    path: String,
    line: Option<usize>,
    table: Option<&'t DeTable<'t>>,
    asked: BTreeSet<&'static str>,
}

impl<'t> Section<'t> {
    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Whether the file has this section at all.
    pub(super) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// The value of a key, if it is there.
    pub(super) fn get(&mut self, key: &'static str) -> Option<Value<'t>> {
        let path = self.path_of(key);
        self.doc.known.borrow_mut().insert(path.clone());
        self.asked.insert(key);
        let value = self.table?.get(key)?;
        Some(Value {
            doc: self.doc,
            key: path,
            value,
        })
    }

    /// The value of a key that must be there.
    pub(super) fn require(&mut self, key: &'static str, expected: &str) -> Option<Value<'t>> {
        let value = self.get(key);
        if value.is_none() {
            let path = self.path_of(key);
            self.doc
                .note(self.line, Some(&path), format!("missing; expected {expected}"));
        }
        value
    }

    /// A section within.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'t> {
        match self.get(key) {
            Some(value) => value.section(),
            None => Section {
                doc: self.doc,
                path: self.path_of(key),
                line: self.line,
                table: None,
                asked: BTreeSet::new(),
            },
        }
    }

    /// Every entry of a table whose keys are names that the user chose.
    pub(super) fn entries(&self) -> Vec<(&'t str, Value<'t>)> {
        let Some(table) = self.table else { return Vec::new() };
        table
            .iter()
            .map(|(key, value)| {
                let name: &'t str = key.get_ref().as_ref();
                (
                    name,
                    Value {
                        doc: self.doc,
                        key: self.path_of(name),
                        value,
                    },
                )
            })
            .collect()
    }

    /// Notes something that concerns the section as a whole.
    pub(super) fn wrong(&self, what: impl Into<String>) {
        let key = (!self.path.is_empty()).then_some(self.path.as_str());
        self.doc.note(self.line, key, what.into());
    }

    /// Ends the section: every key that nobody asked for is a mistake.
    pub(super) fn done(self) {
        let Some(table) = self.table else { return };
        for key in table.keys() {
            let name: &str = key.get_ref().as_ref();
            if self.asked.contains(name) {
                continue;
            }
            let hint = match did_you_mean(name, self.asked.iter().copied()) {
                Some(word) => format!("; did you mean '{word}'?"),
                None => {
                    let known: Vec<_> = self.asked.iter().copied().collect();
                    format!("; known here: {}", known.join(", "))
                }
            };
            let line = self.doc.line(key.span().start);
            // What is left of a line that does not parse is no key of anybody's.
            if self.doc.broken.borrow().contains(&line) {
                continue;
            }
            self.doc
                .note(Some(line), Some(&self.path_of(name)), format!("unknown key{hint}"));
        }
    }
}

/// One value with its place.
#[derive(Clone)]
pub(super) struct Value<'t> {
    doc: &'t Document<'t>,
    key: String,
    value: &'t Spanned<DeValue<'t>>,
}

impl<'t> Value<'t> {
    fn line(&self) -> Option<usize> {
        Some(self.doc.line(self.value.span().start))
    }

    fn inner(&self) -> &'t DeValue<'t> {
        self.value.get_ref()
    }

    /// Notes what is wrong with the value, in full sentences.
    pub(super) fn wrong(&self, what: impl Into<String>) {
        self.doc.note(self.line(), Some(&self.key), what.into());
    }

    fn given(&self) -> String {
        let short = |s: &str| -> String {
            let cut: String = s.chars().take(SHOWN_MAX_CHARS).collect();
            cut.escape_debug().to_string()
        };
        match self.inner() {
            // A URL with a user may hold a password.
            DeValue::String(s) if s.contains("://") && s.contains('@') => "a URL with a user in it".to_owned(),
            DeValue::String(s) => format!("'{}'", short(s)),
            DeValue::Integer(i) => format!("{i}"),
            DeValue::Float(x) => format!("{x}"),
            DeValue::Boolean(b) => format!("{b}"),
            DeValue::Datetime(_) => "a date or time".to_owned(),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a section".to_owned(),
        }
    }

    /// Notes that something else was expected; repeats what was given.
    pub(super) fn expected(&self, expected: &str) {
        self.wrong(format!("expected {expected}, got {}", self.given()));
    }

    /// Whether it is a plain text.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.inner(), DeValue::String(_))
    }

    /// Whether it is a section.
    pub(super) fn is_section(&self) -> bool {
        matches!(self.inner(), DeValue::Table(_))
    }

    /// The value as text, as it stands: also an integer or a decimal.
    pub(super) fn number_text(&self) -> Option<String> {
        match self.inner() {
            DeValue::String(s) => Some(s.to_string()),
            DeValue::Integer(i) if i.radix() == 10 => Some(i.as_str().to_owned()),
            DeValue::Float(x) => Some(x.as_str().to_owned()),
            _ => None,
        }
    }

    /// A section, or a noted mistake and an absent one.
    pub(super) fn section(&self) -> Section<'t> {
        let table = match self.inner() {
            DeValue::Table(t) => Some(t),
            _ => {
                self.expected("a section");
                None
            }
        };
        Section {
            doc: self.doc,
            path: self.key.clone(),
            line: self.line(),
            table,
            asked: BTreeSet::new(),
        }
    }

    /// Text, possibly empty.
    pub(super) fn text(&self) -> Option<String> {
        match self.inner() {
            DeValue::String(s) => Some(s.to_string()),
            _ => {
                self.expected("a text in quotes");
                None
            }
        }
    }

    /// Text with something in it.
    pub(super) fn filled(&self) -> Option<String> {
        let text = self.text()?;
        if text.trim().is_empty() {
            self.wrong("expected a text, got an empty one");
            return None;
        }
        Some(text.trim().to_owned())
    }

    /// Text that `read` understands.
    pub(super) fn parsed<T>(&self, expected: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let found = match self.inner() {
            DeValue::String(s) => read(s.trim()),
            _ => None,
        };
        if found.is_none() {
            self.expected(expected);
        }
        found
    }

    /// Text that passes a check; what was given is not repeated, because a
    /// secret may stand there by mistake.
    pub(super) fn unseen(&self, expected: &str, fits: impl FnOnce(&str) -> bool) -> Option<String> {
        match self.inner() {
            DeValue::String(s) if fits(s.trim()) => Some(s.trim().to_owned()),
            _ => {
                self.wrong(format!("expected {expected}"));
                None
            }
        }
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let list = || {
            let names: Vec<_> = words.iter().map(|(w, _)| format!("'{w}'")).collect();
            names.join(", ")
        };
        let DeValue::String(given) = self.inner() else {
            self.expected(&format!("one of {}", list()));
            return None;
        };
        let found = words.iter().find(|(w, _)| *w == given.as_ref()).map(|(_, t)| *t);
        if found.is_none() {
            let hint = did_you_mean(given, words.iter().map(|(w, _)| *w))
                .map_or_else(String::new, |w| format!("; did you mean '{w}'?"));
            self.wrong(format!("expected one of {}, got {}{hint}", list(), self.given()));
        }
        found
    }

    /// True or false.
    pub(super) fn bool(&self) -> Option<bool> {
        match self.inner() {
            DeValue::Boolean(b) => Some(*b),
            _ => {
                self.expected("true or false");
                None
            }
        }
    }

    /// A whole number within bounds.
    pub(super) fn integer<N>(&self, min: N, max: N) -> Option<N>
    where
        N: TryFrom<i64> + PartialOrd + Copy + std::fmt::Display,
    {
        let found = match self.inner() {
            DeValue::Integer(i) => i64::from_str_radix(i.as_str(), i.radix())
                .ok()
                .and_then(|n| N::try_from(n).ok())
                .filter(|n| *n >= min && *n <= max),
            _ => None,
        };
        if found.is_none() {
            self.expected(&format!("a whole number from {min} to {max}"));
        }
        found
    }

    /// The elements of a list.
    pub(super) fn list(&self) -> Vec<Value<'t>> {
        match self.inner() {
            DeValue::Array(items) => items
                .iter()
                .map(|value| Value {
                    doc: self.doc,
                    key: self.key.clone(),
                    value,
                })
                .collect(),
            _ => {
                self.expected("a list in brackets");
                Vec::new()
            }
        }
    }

    /// The values of a list of which nothing is repeated, because a secret may
    /// stand there by mistake.
    pub(super) fn unseen_list(&self) -> Vec<Value<'t>> {
        if matches!(self.inner(), DeValue::Array(_)) {
            return self.list();
        }
        self.wrong("expected a list in brackets");
        Vec::new()
    }

    /// A length of time such as "24h", "90m" or "1d 12h", in milliseconds; a
    /// day has 24 hours.
    pub(super) fn duration_ms(&self, max_ms: i64) -> Option<i64> {
        let read = |text: &str| -> Option<i64> {
            let span = SpanParser::new().parse_span(text).ok()?;
            let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
            i64::try_from(length.as_millis())
                .ok()
                .filter(|ms| (0..=max_ms).contains(ms))
        };
        let hours = max_ms / 3_600_000;
        self.parsed(
            &format!("a length of time up to {hours}h, such as \"90m\", \"24h\" or \"2d\""),
            read,
        )
    }
}
