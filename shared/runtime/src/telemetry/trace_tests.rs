use super::*;
use crate::telemetry::sampler::Episodes;
use offboard_domain::{Kind, TaskId};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter};
use std::sync::Arc;

#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

impl Kept {
    fn named(&self, name: &str) -> SpanData {
        let all = self.0.lock().unwrap();
        let mut found = all.iter().filter(|s| s.name == name);
        let one = found.next().unwrap_or_else(|| panic!("{name} in {all:#?}")).clone();
        assert!(found.next().is_none(), "{name} twice");
        one
    }

    fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

struct Stage {
    traces: Traces,
    kept: Kept,
    tenant: TenantId,
    _provider: SdkTracerProvider,
}

const CASE: CaseId = CaseId([1; 10]);
const TASK: TaskId = TaskId([2; 10]);
const TO: Envelope<'static> = Envelope {
    queue: "ob.v1.identity.urgent",
    exchange: "ob.v1.assignments",
    id: "m-1",
    tag: None,
};
const BACK: Envelope<'static> = Envelope {
    queue: "ob.v1.reports.0",
    exchange: "ob.v1.reports",
    id: "m-2",
    tag: None,
};

fn stage(root: Sampler) -> Stage {
    stage_on("memory", root)
}

fn stage_on(messaging_system: &'static str, root: Sampler) -> Stage {
    let kept = Kept::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(kept.clone())
        .with_sampler(Episodes::new(Box::new(root)))
        .build();
    Stage {
        traces: Traces::new(provider.tracer("test"), messaging_system),
        kept,
        tenant: TenantId::new("contoso").unwrap(),
        _provider: provider,
    }
}

impl Stage {
    fn work(&self, attempt: u32) -> Work<'_> {
        Work {
            task: Some(TASK),
            kind: Some(Kind::DisableSignIn),
            attempt: Some(attempt),
            ..Work::case(&self.tenant, CASE)
        }
    }

    /// Out and back once, as dispatcher and worker do it.
    async fn round(&self, attempt: u32, accepted: Option<&str>) {
        let mut headers = BTreeMap::new();
        let publishing = self.traces.publish(TO, &self.work(attempt), accepted);
        publishing.inject(&mut headers);
        drop(publishing);
        let processing = self.traces.process(TO, &headers, &self.work(attempt), accepted);
        let mut back = BTreeMap::new();
        processing
            .within(async {
                let asking = self
                    .traces
                    .request("PATCH", "/users/{id}", None, Some("127.0.0.1"), Some(443));
                asking.answered(503);
                drop(asking);
                let asking = self.traces.command("imap", "list messages", "127.0.0.1", 993);
                asking.failed("4xx");
                drop(asking);
                self.traces.publish_within(BACK, &self.work(attempt)).inject(&mut back);
            })
            .await;
        drop(processing);
        drop(self.traces.process(BACK, &back, &self.work(attempt), accepted));
    }
}

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|a| a.key.as_str() == key)?;
    Some(found.value.as_str().into_owned())
}

fn links(span: &SpanData) -> Vec<SpanContext> {
    span.links.iter().map(|l| l.span_context.clone()).collect()
}

fn same(a: &SpanContext, b: &SpanContext) -> bool {
    (a.trace_id(), a.span_id()) == (b.trace_id(), b.span_id())
}

#[tokio::test]
async fn what_is_caused_without_a_pause_is_one_trace() {
    let s = stage(Sampler::AlwaysOn);
    let accepting = s.traces.accept(&s.tenant, CASE);
    let accepted = accepting.traceparent();
    accepting.within(s.round(1, accepted.as_deref())).await;
    drop(accepting);
    let accept = s.kept.named("accept departure");
    let publish = s.kept.named("publish ob.v1.identity.urgent");
    let process = s.kept.named("process ob.v1.identity.urgent");
    let vendor = s.kept.named("PATCH /users/{id}");
    let answer = s.kept.named("publish ob.v1.reports.0");
    let report = s.kept.named("process ob.v1.reports.0");
    let chain = [&accept, &publish, &process, &answer, &report];
    for pair in chain.windows(2) {
        assert_eq!(
            pair[1].parent_span_id,
            pair[0].span_context.span_id(),
            "{}",
            pair[1].name
        );
        assert_eq!(pair[1].span_context.trace_id(), accept.span_context.trace_id());
    }
    assert_eq!(vendor.parent_span_id, process.span_context.span_id());
    assert!(process.parent_span_is_remote && report.parent_span_is_remote);
    let kinds: Vec<SpanKind> = chain.iter().map(|s| s.span_kind.clone()).collect();
    use SpanKind::{Client, Consumer, Internal, Producer};
    assert_eq!(kinds, [Internal, Producer, Consumer, Producer, Consumer]);
    assert_eq!(vendor.span_kind, Client);
    assert!(chain.iter().all(|s| s.links.is_empty()), "one trace needs no links");
    for (key, value) in [
        ("messaging.system", "memory"),
        ("messaging.operation.name", "process"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", "ob.v1.identity.urgent"),
        ("messaging.message.id", "m-1"),
        ("messaging.message.conversation_id", &CASE.to_string()),
        ("offboard.case.id", &CASE.to_string()),
        ("offboard.task.id", &TASK.to_string()),
        ("offboard.tenant.id", "contoso"),
        ("offboard.kind", "identity.disable_sign_in"),
        ("offboard.attempt", "1"),
    ] {
        assert_eq!(attribute(&process, key).as_deref(), Some(value), "{key}");
    }
    assert_eq!(attribute(&publish, "messaging.operation.type").as_deref(), Some("send"));
    assert_eq!(attribute(&vendor, "http.response.status_code").as_deref(), Some("503"));
    assert_eq!(attribute(&vendor, "error.type").as_deref(), Some("503"));
    let other = s.kept.named("imap list messages");
    assert_eq!(other.parent_span_id, process.span_context.span_id());
    assert_eq!(other.span_kind, Client);
    for (key, value) in [
        ("network.protocol.name", "imap"),
        ("offboard.request", "list messages"),
        ("server.address", "127.0.0.1"),
        ("server.port", "993"),
        ("error.type", "4xx"),
    ] {
        assert_eq!(attribute(&other, key).as_deref(), Some(value), "{key}");
    }
}

#[tokio::test]
async fn a_destination_of_rabbitmq_is_named_by_its_exchange_and_routing_key() {
    let s = stage_on(RABBITMQ, Sampler::AlwaysOn);
    let delivered = Envelope { tag: Some(7), ..TO };
    drop(s.traces.publish(TO, &s.work(1), None));
    drop(s.traces.process(delivered, &BTreeMap::new(), &s.work(1), None));
    for (name, tag) in [
        ("publish ob.v1.assignments:ob.v1.identity.urgent", None),
        ("process ob.v1.assignments:ob.v1.identity.urgent", Some("7")),
    ] {
        let span = s.kept.named(name);
        for (key, value) in [
            ("messaging.system", Some("rabbitmq")),
            (
                "messaging.destination.name",
                Some("ob.v1.assignments:ob.v1.identity.urgent"),
            ),
            (
                "messaging.rabbitmq.destination.routing_key",
                Some("ob.v1.identity.urgent"),
            ),
            ("messaging.rabbitmq.message.delivery_tag", tag),
        ] {
            assert_eq!(attribute(&span, key).as_deref(), value, "{key} of {name}");
        }
    }
}

#[tokio::test]
async fn what_a_timer_resumes_links_to_the_acceptance_and_to_the_attempt_before() {
    let s = stage(Sampler::AlwaysOn);
    let accepting = s.traces.accept(&s.tenant, CASE);
    let accepted = accepting.traceparent();
    accepting.within(s.round(1, accepted.as_deref())).await;
    drop(accepting);
    let accept = s.kept.named("accept departure").span_context;
    let first = s.kept.named("publish ob.v1.identity.urgent").span_context;
    s.kept.clear();
    s.round(2, accepted.as_deref()).await;
    let again = s.kept.named("publish ob.v1.identity.urgent");
    let process = s.kept.named("process ob.v1.identity.urgent");
    assert_ne!(again.span_context.trace_id(), accept.trace_id());
    assert_eq!(again.parent_span_id, opentelemetry::trace::SpanId::INVALID);
    let linked = links(&again);
    assert!(
        linked.len() == 2 && same(&linked[0], &accept) && same(&linked[1], &first),
        "{linked:?}"
    );
    assert_eq!(process.parent_span_id, again.span_context.span_id());
    assert!(same(&links(&process)[0], &accept));
    // An order of a person is an episode too, and closing links to all.
    s.kept.clear();
    drop(s.traces.order("approve_plan", &s.tenant, CASE, accepted.as_deref()));
    let order = s.kept.named("approve plan");
    assert!(same(&links(&order)[0], &accept));
    drop(s.traces.close(&s.tenant, CASE, accepted.as_deref()));
    let closing = s.kept.named("close case");
    let linked = links(&closing);
    for episode in [&accept, &again.span_context, &order.span_context] {
        assert!(linked.iter().any(|l| same(l, episode)), "{linked:?}");
    }
    assert_eq!(linked.len(), 3);
}

#[tokio::test]
async fn a_trace_that_goes_on_too_long_is_continued_in_another() {
    let s = stage(Sampler::AlwaysOn);
    let old = opentelemetry::trace::TraceState::from_key_value([("ob", "1")]).unwrap();
    let cause = SpanContext::new(
        opentelemetry::trace::TraceId::from(1),
        opentelemetry::trace::SpanId::from(1),
        opentelemetry::TraceFlags::SAMPLED,
        true,
        old,
    );
    let span = Span::passing(cause.clone());
    span.within(async { drop(s.traces.publish(TO, &s.work(1), None)) })
        .await;
    let publish = s.kept.named("publish ob.v1.identity.urgent");
    assert_ne!(publish.span_context.trace_id(), cause.trace_id());
    assert!(same(&links(&publish)[0], &cause));
}

#[tokio::test]
async fn what_is_not_sampled_stays_dark_to_the_end() {
    let s = stage(Sampler::AlwaysOff);
    let accepting = s.traces.accept(&s.tenant, CASE);
    let accepted = accepting.traceparent();
    assert!(accepted.as_deref().is_some_and(|t| t.ends_with("-00")), "{accepted:?}");
    accepting.within(s.round(1, accepted.as_deref())).await;
    drop(accepting);
    s.round(2, accepted.as_deref()).await;
    drop(s.traces.order("approve", &s.tenant, CASE, accepted.as_deref()));
    drop(s.traces.close(&s.tenant, CASE, accepted.as_deref()));
    assert_eq!(s.kept.len(), 0);
    assert!(s.traces.trails().episodes(CASE).is_empty());
}

#[tokio::test]
async fn where_nobody_traces_a_message_s_span_is_handed_on() {
    let name = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let tenant = TenantId::new("contoso").unwrap();
    let work = Work::case(&tenant, CASE);
    let headers = BTreeMap::from([("traceparent".to_owned(), name.to_owned())]);
    let mut back = BTreeMap::new();
    let span = process(TO, &headers, &work, None);
    span.within(async { answer(BACK, &work).inject(&mut back) }).await;
    assert_eq!(back, headers);
    let mut none = BTreeMap::new();
    process(TO, &none.clone(), &work, None).inject(&mut none);
    assert!(none.is_empty() && accept(&tenant, CASE).traceparent().is_none());
}

#[test]
fn headers_that_are_no_trace_are_ignored() {
    for bad in [
        "",
        "x",
        "00-0-0-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
    ] {
        assert_eq!(span::parse(bad), None, "{bad}");
    }
}
