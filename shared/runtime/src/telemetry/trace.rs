//! What is traced, and how the traces of one departure hang together.
//!
//! A departure takes days, a trace minutes: one trace is one episode of
//! continuous work. What is accepted, what that publishes, the attempts that
//! follow, their reports and what those publish are one trace as long as each
//! causes the next without a pause. What a timer, a person, the sweep or a
//! retry resumes begins a new one, which links to the span that accepted the
//! departure (it stands in the case's first event) and to the publication of
//! the task's previous attempt, as far as this process knows it. A worker that
//! dies leaves its attempt's publication behind, so the story goes on from
//! there.
//!
//! Names and attributes are those of OpenTelemetry's conventions for messaging
//! and HTTP. No name, address or text of a person or a vendor stands in a span;
//! a vendor's request is shown by its path template, or by fixed words where the
//! protocol is another one.
//!
//! Where nothing is exported every function here returns at once; a span that
//! came with a message is then handed on.

use super::sampler::age;
use super::span::{self, Span, Work};
use super::trail::Trails;
use offboard_domain::{CaseId, TenantId};
use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// How long one trace goes on: what follows later links to it from a new one.
/// Collectors that sample by whole traces decide within some seconds to
/// minutes, and viewers cap the spans of one.
const EPISODE_MAX: Duration = Duration::from_secs(5 * 60);

/// A message, as a span names it.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// The queue that it goes or came through; its name is the routing key, too.
    pub queue: &'a str,
    /// The exchange through which one publishes to it, where a broker has such.
    pub exchange: &'a str,
    /// Its id.
    pub id: &'a str,
    /// The broker's number for its delivery, if it was delivered by one.
    pub tag: Option<u64>,
}

/// `messaging.system` where a broker has exchanges and routing keys.
pub(super) const RABBITMQ: &str = "rabbitmq";

static TRACES: OnceLock<Traces> = OnceLock::new();

/// Traces in this process from now on; once.
pub(super) fn begin(tracer: SdkTracer, messaging_system: &'static str) {
    // A second time: the first stays, as with logging.
    let _ = TRACES.set(Traces::new(tracer, messaging_system));
}

/// A departure is being accepted.
pub fn accept(tenant: &TenantId, case: CaseId) -> Span {
    TRACES.get().map_or_else(Span::off, |t| t.accept(tenant, case))
}

/// Something is ordered of a case, by a person or another part of the program.
/// `accepted` is the case's traceparent.
pub fn order(word: &'static str, tenant: &TenantId, case: CaseId, accepted: Option<&str>) -> Span {
    TRACES
        .get()
        .map_or_else(Span::off, |t| t.order(word, tenant, case, accepted))
}

/// A task's attempt is being published. `accepted` is the case's traceparent.
pub fn publish(message: Envelope<'_>, work: &Work<'_>, accepted: Option<&str>) -> Span {
    TRACES
        .get()
        .map_or_else(Span::off, |t| t.publish(message, work, accepted))
}

/// What answers a message is being published.
pub fn answer(message: Envelope<'_>, work: &Work<'_>) -> Span {
    TRACES.get().map_or_else(current, |t| t.publish_within(message, work))
}

/// A message is being processed. `accepted` is the case's traceparent.
pub fn process(
    message: Envelope<'_>,
    headers: &BTreeMap<String, String>,
    work: &Work<'_>,
    accepted: Option<&str>,
) -> Span {
    match TRACES.get() {
        Some(t) => t.process(message, headers, work, accepted),
        None => span::from(headers).map_or_else(Span::off, Span::passing),
    }
}

/// A vendor is being asked: method, path template, and (if it has a name of
/// its own, such as a cmdlet's) what is asked; by host and port.
pub fn request(
    method: &str,
    template: &str,
    named: Option<&'static str>,
    host: Option<&str>,
    port: Option<u16>,
) -> Span {
    TRACES
        .get()
        .map_or_else(Span::off, |t| t.request(method, template, named, host, port))
}

/// A vendor is being asked in another protocol than HTTP (`imap`, `ldap`): for
/// what, in words that are fixed; by host and port.
pub fn command(protocol: &'static str, what: &'static str, host: &str, port: u16) -> Span {
    TRACES
        .get()
        .map_or_else(Span::off, |t| t.command(protocol, what, host, port))
}

/// A case is being closed: the span links to what accepted it, and to the episodes that this
/// process knows of.
pub fn close(tenant: &TenantId, case: CaseId, accepted: Option<&str>) -> Span {
    TRACES.get().map_or_else(Span::off, |t| t.close(tenant, case, accepted))
}

/// A case is over: its traces are no longer needed for links.
pub fn over(case: CaseId) {
    if let Some(traces) = TRACES.get() {
        traces.trails().forget(case);
    }
}

fn current() -> Span {
    let at = Context::map_current(|cx| cx.span().span_context().clone());
    if at.is_valid() { Span::passing(at) } else { Span::off() }
}

struct Traces {
    tracer: SdkTracer,
    messaging_system: &'static str,
    trails: Mutex<Trails>,
}

impl Traces {
    fn new(tracer: SdkTracer, messaging_system: &'static str) -> Self {
        Self {
            tracer,
            messaging_system,
            trails: Mutex::default(),
        }
    }

    fn trails(&self) -> MutexGuard<'_, Trails> {
        self.trails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&self, tenant: &TenantId, case: CaseId) -> Span {
        let span = self.start(
            "accept departure".to_owned(),
            SpanKind::Internal,
            Work::case(tenant, case).attributes(),
            Vec::new(),
            &Context::current(),
        );
        if let Some(at) = span.at().filter(SpanContext::is_sampled) {
            self.trails().began(case, at);
        }
        span
    }

    fn order(&self, word: &'static str, tenant: &TenantId, case: CaseId, accepted: Option<&str>) -> Span {
        let around = Context::current();
        let root = !around.span().span_context().is_valid();
        let links: Vec<SpanContext> = accepted.and_then(span::parse).filter(|_| root).into_iter().collect();
        let span = self.start(
            word.replace('_', " "),
            SpanKind::Internal,
            Work::case(tenant, case).attributes(),
            links,
            &around,
        );
        if let Some(at) = span.at().filter(|at| root && at.is_sampled()) {
            self.trails().began(case, at);
        }
        span
    }

    fn publish(&self, message: Envelope<'_>, work: &Work<'_>, accepted: Option<&str>) -> Span {
        let accepted = accepted.and_then(span::parse);
        let around = Context::current();
        let cause = Some(around.span().span_context().clone()).filter(SpanContext::is_valid);
        // What is not sampled stays so, and costs nothing more.
        if let Some(dark) = cause.as_ref().or(accepted.as_ref()).filter(|at| !at.is_sampled()) {
            return Span::passing(dark.clone());
        }
        let continues = cause
            .as_ref()
            .is_some_and(|at| age(at).is_none_or(|old| old < EPISODE_MAX));
        let parent = if continues { around } else { Context::new() };
        let mut links: Vec<SpanContext> = Vec::new();
        if !continues {
            links.extend(cause.clone());
        }
        let within = continues.then(|| cause.map(|c| c.trace_id())).flatten();
        links.extend(accepted.filter(|a| Some(a.trace_id()) != within));
        if let Some(task) = work.task {
            links.extend(self.trails().previous(work.case, task));
        }
        let span = self.send(message, work, links, &parent);
        if let Some(at) = span.at().filter(SpanContext::is_sampled) {
            let mut trails = self.trails();
            if !continues {
                trails.began(work.case, at.clone());
            }
            if let Some(task) = work.task {
                trails.published(work.case, task, at);
            }
        }
        span
    }

    fn publish_within(&self, message: Envelope<'_>, work: &Work<'_>) -> Span {
        let around = Context::current();
        let cause = around.span().span_context().clone();
        if cause.is_valid() && !cause.is_sampled() {
            return Span::passing(cause);
        }
        self.send(message, work, Vec::new(), &around)
    }

    fn send(&self, message: Envelope<'_>, work: &Work<'_>, links: Vec<SpanContext>, parent: &Context) -> Span {
        let attributes = self.messaging(message, work, "publish", "send");
        let name = format!("publish {}", self.destination(message));
        self.start(name, SpanKind::Producer, attributes, links, parent)
    }

    fn process(
        &self,
        message: Envelope<'_>,
        headers: &BTreeMap<String, String>,
        work: &Work<'_>,
        accepted: Option<&str>,
    ) -> Span {
        let accepted = accepted.and_then(span::parse);
        let cause = span::from(headers);
        if let Some(dark) = cause.as_ref().or(accepted.as_ref()).filter(|at| !at.is_sampled()) {
            return Span::passing(dark.clone());
        }
        let within = cause.as_ref().map(SpanContext::trace_id);
        let links = accepted.filter(|a| Some(a.trace_id()) != within).into_iter().collect();
        let parent = cause.map_or_else(Context::new, |at| Context::new().with_remote_span_context(at));
        let attributes = self.messaging(message, work, "process", "process");
        let name = format!("process {}", self.destination(message));
        self.start(name, SpanKind::Consumer, attributes, links, &parent)
    }

    fn request(
        &self,
        method: &str,
        template: &str,
        named: Option<&'static str>,
        host: Option<&str>,
        port: Option<u16>,
    ) -> Span {
        let attributes = || {
            vec![
                KeyValue::new("http.request.method", method.to_owned()),
                KeyValue::new("url.template", template.to_owned()),
            ]
        };
        let name = || named.map_or_else(|| format!("{method} {template}"), str::to_owned);
        self.asking(name, attributes, host, port)
    }

    fn command(&self, protocol: &'static str, what: &'static str, host: &str, port: u16) -> Span {
        let attributes = || {
            vec![
                KeyValue::new("network.protocol.name", protocol),
                KeyValue::new("offboard.request", what),
            ]
        };
        let name = || format!("{protocol} {what}");
        self.asking(name, attributes, Some(host), Some(port))
    }

    /// A vendor is asked within what is sampled; nothing is made up otherwise.
    fn asking(
        &self,
        name: impl FnOnce() -> String,
        attributes: impl FnOnce() -> Vec<KeyValue>,
        host: Option<&str>,
        port: Option<u16>,
    ) -> Span {
        let around = Context::current();
        if !around.span().span_context().is_sampled() {
            return Span::off();
        }
        let mut attributes = attributes();
        attributes.extend(host.map(|h| KeyValue::new("server.address", h.to_owned())));
        attributes.extend(port.map(|p| KeyValue::new("server.port", i64::from(p))));
        self.start(name(), SpanKind::Client, attributes, Vec::new(), &around)
    }

    fn close(&self, tenant: &TenantId, case: CaseId, accepted: Option<&str>) -> Span {
        let mut episodes = self.trails().episodes(case);
        if let Some(accepted) = accepted.and_then(span::parse)
            && !episodes.iter().any(|e| e.span_id() == accepted.span_id())
        {
            episodes.insert(0, accepted);
        }
        let mut attributes = Work::case(tenant, case).attributes();
        let known = i64::try_from(episodes.len()).unwrap_or(i64::MAX);
        attributes.push(KeyValue::new("offboard.episodes", known));
        self.start(
            "close case".to_owned(),
            SpanKind::Internal,
            attributes,
            episodes,
            &Context::new(),
        )
    }

    fn messaging(
        &self,
        message: Envelope<'_>,
        work: &Work<'_>,
        name: &'static str,
        sort: &'static str,
    ) -> Vec<KeyValue> {
        let mut attributes = work.attributes();
        attributes.extend([
            KeyValue::new("messaging.system", self.messaging_system),
            KeyValue::new("messaging.operation.name", name),
            KeyValue::new("messaging.operation.type", sort),
            KeyValue::new("messaging.destination.name", self.destination(message)),
            KeyValue::new("messaging.message.id", message.id.to_owned()),
            KeyValue::new("messaging.message.conversation_id", work.case.to_string()),
        ]);
        if self.messaging_system == RABBITMQ {
            let key = message.queue.to_owned();
            attributes.push(KeyValue::new("messaging.rabbitmq.destination.routing_key", key));
            let tag = message.tag.and_then(|tag| i64::try_from(tag).ok());
            attributes.extend(tag.map(|tag| KeyValue::new("messaging.rabbitmq.message.delivery_tag", tag)));
        }
        attributes
    }

    /// A destination as the conventions for the system name it. For RabbitMQ it
    /// is `exchange:routing key` on both sides: a queue is left out where it is
    /// called like its routing key.
    fn destination(&self, message: Envelope<'_>) -> String {
        if self.messaging_system == RABBITMQ {
            format!("{}:{}", message.exchange, message.queue)
        } else {
            message.queue.to_owned()
        }
    }

    fn start(
        &self,
        name: String,
        kind: SpanKind,
        attributes: Vec<KeyValue>,
        links: Vec<SpanContext>,
        parent: &Context,
    ) -> Span {
        let builder = self
            .tracer
            .span_builder(name)
            .with_kind(kind)
            .with_attributes(attributes)
            .with_links(links.into_iter().map(Link::with_context).collect());
        Span::of(parent.with_span(builder.start_with_context(&self.tracer, parent)))
    }
}

#[cfg(test)]
#[path = "trace_tests.rs"]
mod tests;
