//! Spans as they arrived, and whether they tell one story.
//!
//! A departure is many traces. They are one story when a way leads from every
//! span of a case to the span that accepted it, along parents and links.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{self as wire, Span};
use std::collections::{BTreeMap, BTreeSet};

pub use wire::span::SpanKind;

/// A span's place: trace and span id, in hexadecimal.
type Place = (String, String);

/// One span.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// `service.name` of the process that sent it.
    pub service: String,
    /// `service.instance.id` of that process.
    pub instance: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: SpanKind,
    /// Its trace.
    pub trace: String,
    /// Its id.
    pub id: String,
    /// Its parent's id; empty: it is a root.
    pub parent: String,
    /// What it links to.
    pub links: Vec<Place>,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
    /// Whether it failed.
    pub failed: bool,
    /// How long it was, in milliseconds.
    pub took_ms: u64,
}

impl Seen {
    pub(crate) fn of(resource: &Resource, span: Span) -> Self {
        let resource = attributes(&resource.attributes);
        let of = |key: &str| resource.get(key).cloned().unwrap_or_default();
        Self {
            service: of("service.name"),
            instance: of("service.instance.id"),
            kind: span.kind(),
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            links: span.links.iter().map(|l| (hex(&l.trace_id), hex(&l.span_id))).collect(),
            attributes: attributes(&span.attributes),
            failed: span
                .status
                .as_ref()
                .is_some_and(|s| s.code == wire::status::StatusCode::Error as i32),
            took_ms: span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano) / 1_000_000,
            name: span.name,
        }
    }

    /// An attribute; empty if it is not there.
    #[must_use]
    pub fn get(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }

    /// Whether it links to another.
    #[must_use]
    pub fn links_to(&self, other: &Seen) -> bool {
        self.links.contains(&other.place())
    }

    fn place(&self) -> Place {
        (self.trace.clone(), self.id.clone())
    }
}

fn attributes(all: &[KeyValue]) -> BTreeMap<String, String> {
    all.iter().map(|a| (a.key.clone(), text(a.value.as_ref()))).collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|v| v.value.as_ref()) {
        Some(Value::StringValue(s)) => s.clone(),
        Some(Value::IntValue(n)) => n.to_string(),
        Some(Value::DoubleValue(x)) => x.to_string(),
        Some(Value::BoolValue(b)) => b.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The spans of one case.
#[derive(Debug, Clone)]
pub struct Story {
    /// All of its spans, with the requests to vendors made in them.
    pub spans: Vec<Seen>,
}

impl Story {
    /// What there is about a case.
    #[must_use]
    pub fn of(case: &str, all: &[Seen]) -> Self {
        let of_case = |s: &&Seen| s.get("offboard.case.id") == case;
        let traces: BTreeSet<&str> = all.iter().filter(of_case).map(|s| s.trace.as_str()).collect();
        let spans = all
            .iter()
            .filter(|s| of_case(s) || (s.kind == SpanKind::Client && traces.contains(s.trace.as_str())))
            .cloned()
            .collect();
        Self { spans }
    }

    /// Its spans of a name that begins so.
    pub fn named<'s>(&'s self, begins: &'s str) -> impl Iterator<Item = &'s Seen> {
        self.spans.iter().filter(move |s| s.name.starts_with(begins))
    }

    /// The one span of a name.
    ///
    /// # Panics
    /// If there is none, or more.
    #[must_use]
    pub fn one(&self, name: &str) -> &Seen {
        let found: Vec<&Seen> = self.spans.iter().filter(|s| s.name == name).collect();
        assert_eq!(found.len(), 1, "'{name}' among {:?}", self.names());
        found[0]
    }

    /// The names of its spans, each once.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        self.spans.iter().map(|s| s.name.as_str()).collect()
    }

    /// A span's parent, if it arrived.
    #[must_use]
    pub fn parent(&self, span: &Seen) -> Option<&Seen> {
        self.spans.iter().find(|s| s.trace == span.trace && s.id == span.parent)
    }

    /// The attempts: what workers processed, by task and try.
    #[must_use]
    pub fn attempts(&self) -> BTreeMap<(String, u32), Vec<&Seen>> {
        let mut found: BTreeMap<(String, u32), Vec<&Seen>> = BTreeMap::new();
        for span in self
            .named("process ob.v1.")
            .filter(|s| !s.get("offboard.kind").is_empty())
        {
            let attempt = span.get("offboard.attempt").parse().unwrap_or(0);
            let task = span.get("offboard.task.id").to_owned();
            found.entry((task, attempt)).or_default().push(span);
        }
        found
    }

    /// The spans from which no way leads to the one that accepted the case:
    /// none, if this is one story.
    #[must_use]
    pub fn lost(&self) -> Vec<&Seen> {
        let mut near: BTreeMap<Place, BTreeSet<Place>> = BTreeMap::new();
        let mut tie = |a: Place, b: Place| {
            near.entry(a.clone()).or_default().insert(b.clone());
            near.entry(b).or_default().insert(a);
        };
        for span in &self.spans {
            if !span.parent.is_empty() {
                tie(span.place(), (span.trace.clone(), span.parent.clone()));
            }
            for link in &span.links {
                tie(span.place(), link.clone());
            }
        }
        let mut found: BTreeSet<Place> = BTreeSet::new();
        let mut next: Vec<Place> = self.named("accept departure").map(Seen::place).collect();
        while let Some(place) = next.pop() {
            if found.insert(place.clone()) {
                next.extend(near.get(&place).into_iter().flatten().cloned());
            }
        }
        self.spans.iter().filter(|s| !found.contains(&s.place())).collect()
    }

    /// [`Story::lost`] but for what a process that was killed could not tell any
    /// more: a span is sent when it ends, so the requests within an attempt may
    /// have arrived, and the attempt that was cut short did not.
    #[must_use]
    pub fn lost_but_by_the_dead(&self, instance: &str) -> Vec<&Seen> {
        let cut_short = |s: &&Seen| s.instance == instance && !s.parent.is_empty() && self.parent(s).is_none();
        self.lost().into_iter().filter(|s| !cut_short(s)).collect()
    }

    /// How many traces it has.
    #[must_use]
    pub fn traces(&self) -> usize {
        let traces: BTreeSet<&str> = self.spans.iter().map(|s| s.trace.as_str()).collect();
        traces.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(name: &str, trace: &str, id: &str, parent: &str, links: &[(&str, &str)]) -> Seen {
        Seen {
            service: String::new(),
            instance: String::new(),
            name: name.to_owned(),
            kind: SpanKind::Internal,
            trace: trace.to_owned(),
            id: id.to_owned(),
            parent: parent.to_owned(),
            links: links.iter().map(|(t, i)| ((*t).to_owned(), (*i).to_owned())).collect(),
            attributes: BTreeMap::from([("offboard.case.id".to_owned(), "c-1".to_owned())]),
            failed: false,
            took_ms: 0,
        }
    }

    #[test]
    fn a_span_to_which_no_way_leads_is_lost() {
        let accept = span("accept departure", "t1", "a", "", &[]);
        let child = span("publish q", "t1", "b", "a", &[]);
        let later = span("publish q", "t2", "c", "", &[("t1", "a")]);
        // Its parent never arrived, but that parent is known to another span.
        let orphan = span("process q", "t2", "d", "x", &[]);
        let beside = span("process q", "t2", "e", "x", &[("t2", "c")]);
        let other = span("publish q", "t3", "f", "", &[("t9", "z")]);
        let lost = |spans: &[&Seen]| {
            let all: Vec<Seen> = spans.iter().map(|s| (*s).clone()).collect();
            let story = Story::of("c-1", &all);
            let lost: Vec<String> = story.lost().iter().map(|s| s.id.clone()).collect();
            lost
        };
        assert_eq!(lost(&[&accept, &child, &later]), Vec::<String>::new());
        assert_eq!(lost(&[&accept, &child, &later, &orphan]), ["d"]);
        assert_eq!(lost(&[&accept, &later, &orphan, &beside]), Vec::<String>::new());
        assert_eq!(lost(&[&accept, &other]), ["f"]);
        assert_eq!(lost(&[&child]), ["b"], "without an acceptance all is lost");
        assert!(Story::of("c-2", &[accept]).spans.is_empty());
    }
}
