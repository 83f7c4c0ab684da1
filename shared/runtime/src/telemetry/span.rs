//! One span, as the rest of the program holds it: under way until it is
//! dropped, and nothing at all where nobody traces.
//!
//! It refuses to know what is traced ([`super::trace`] does). An attribute is
//! a word, a number or an id; there is no way to attach a text from outside.

use futures::future::Either;
use offboard_domain::{CaseId, Kind, TaskId, TenantId};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::{FutureExt as _, SpanContext, Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use std::collections::BTreeMap;

/// The W3C header that names a span.
const TRACEPARENT: &str = "traceparent";
/// The W3C header of what goes along with a trace.
const TRACESTATE: &str = "tracestate";

/// What work is done for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work<'a> {
    /// Whose departure.
    pub tenant: &'a TenantId,
    /// Which case.
    pub case: CaseId,
    /// Which task.
    pub task: Option<TaskId>,
    /// What sort of task.
    pub kind: Option<Kind>,
    /// Which try.
    pub attempt: Option<u32>,
}

impl<'a> Work<'a> {
    /// For a case as a whole.
    #[must_use]
    pub fn case(tenant: &'a TenantId, case: CaseId) -> Self {
        Self {
            tenant,
            case,
            task: None,
            kind: None,
            attempt: None,
        }
    }

    pub(super) fn attributes(&self) -> Vec<KeyValue> {
        let mut all = vec![
            KeyValue::new("offboard.tenant.id", self.tenant.to_string()),
            KeyValue::new("offboard.case.id", self.case.to_string()),
        ];
        all.extend(self.task.map(|t| KeyValue::new("offboard.task.id", t.to_string())));
        all.extend(self.kind.map(|k| KeyValue::new("offboard.kind", k.name())));
        all.extend(self.attempt.map(|n| KeyValue::new("offboard.attempt", i64::from(n))));
        all
    }
}

/// A span under way; it ends when this is dropped.
#[must_use = "a span ends when it is dropped"]
#[derive(Debug, Default)]
pub struct Span(Option<Context>);

impl Span {
    /// None at all.
    pub(super) fn off() -> Self {
        Self(None)
    }

    pub(super) fn of(context: Context) -> Self {
        Self(Some(context))
    }

    /// Another's span, only handed on: to be linked to and continued elsewhere.
    pub(super) fn passing(at: SpanContext) -> Self {
        Self(Some(Context::new().with_remote_span_context(at)))
    }

    pub(super) fn at(&self) -> Option<SpanContext> {
        let at = self.0.as_ref()?.span().span_context().clone();
        at.is_valid().then_some(at)
    }

    /// The span's name for others (W3C traceparent), if there is one.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        let mut headers = BTreeMap::new();
        self.inject(&mut headers);
        headers.remove(TRACEPARENT)
    }

    /// Puts the span's name into a message's headers.
    pub fn inject(&self, headers: &mut BTreeMap<String, String>) {
        if let Some(context) = &self.0 {
            TraceContextPropagator::new().inject_context(context, &mut Headers(headers));
        }
    }

    /// Does something within this span: what it logs and traces belongs to it.
    /// No `async fn`: that would hold the work twice, as its argument and as what it waits for.
    pub fn within<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        match &self.0 {
            Some(context) => Either::Left(work.with_context(context.clone())),
            None => Either::Right(work),
        }
    }

    /// Ends it now; what is done within it still belongs to it.
    pub fn end(&self) {
        if let Some(context) = &self.0 {
            context.span().end();
        }
    }

    /// Notes a word about it.
    pub fn note(&self, name: &'static str, word: &'static str) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(KeyValue::new(name, word));
        }
    }

    /// Notes that it failed, by a word from a short list.
    pub fn failed(&self, error_type: &'static str) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(KeyValue::new("error.type", error_type));
            context.span().set_status(Status::error(error_type));
        }
    }

    /// Notes how an HTTP request was answered.
    pub fn answered(&self, status: u16) {
        let Some(context) = &self.0 else { return };
        let span = context.span();
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        if status >= 400 {
            span.set_attribute(KeyValue::new("error.type", status.to_string()));
            span.set_status(Status::error(""));
        }
    }

    /// Links it to another span, named by its traceparent.
    pub fn link(&self, traceparent: Option<&str>) {
        let (Some(context), Some(to)) = (&self.0, traceparent.and_then(parse)) else {
            return;
        };
        if context.span().span_context().trace_id() != to.trace_id() {
            context.span().add_link(to, Vec::new());
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        self.end();
    }
}

/// The span that a traceparent names.
pub(super) fn parse(traceparent: &str) -> Option<SpanContext> {
    from(&BTreeMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]))
}

/// The span that a message's headers name.
pub(super) fn from(headers: &BTreeMap<String, String>) -> Option<SpanContext> {
    // The propagator looks for headers that mostly are not there.
    headers.get(TRACEPARENT)?;
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &Read(headers));
    let at = context.span().span_context().clone();
    at.is_valid().then_some(at)
}

struct Headers<'h>(&'h mut BTreeMap<String, String>);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        if key == TRACESTATE && value.is_empty() {
            return;
        }
        self.0.insert(key.to_owned(), value);
    }
}

struct Read<'h>(&'h BTreeMap<String, String>);

impl Extractor for Read<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}
