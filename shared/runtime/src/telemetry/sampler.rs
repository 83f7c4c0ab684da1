//! Which traces are kept. A departure that is traced is traced whole: what a
//! timer or a person resumes begins a new trace that links to the accepted
//! one, and is kept if that was.
//!
//! The root of a trace also notes when it began, in the trace state that
//! travels with every message: so a chain of work that never pauses can be cut
//! into traces of minutes.

use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceContextExt as _, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Our member of the trace state: the second in which the trace began.
const BEGAN: &str = "ob";

/// Keeps what belongs to what is kept; the others by `root`.
#[derive(Debug, Clone)]
pub(super) struct Episodes {
    root: Box<dyn ShouldSample>,
}

impl Episodes {
    pub(super) fn new(root: Box<dyn ShouldSample>) -> Self {
        Self { root }
    }
}

impl ShouldSample for Episodes {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let keep = |yes: bool| {
            if yes {
                SamplingDecision::RecordAndSample
            } else {
                SamplingDecision::Drop
            }
        };
        if let Some(parent) = parent.filter(|cx| cx.span().span_context().is_valid()) {
            let span = parent.span();
            let parent = span.span_context();
            return SamplingResult {
                decision: keep(parent.is_sampled()),
                attributes: Vec::new(),
                trace_state: parent.trace_state().clone(),
            };
        }
        let decision = if links.is_empty() {
            self.root
                .should_sample(None, trace_id, name, kind, attributes, links)
                .decision
        } else {
            keep(links.iter().any(|l| l.span_context.is_sampled()))
        };
        SamplingResult {
            decision,
            attributes: Vec::new(),
            trace_state: TraceState::from_key_value([(BEGAN, seconds_now().to_string())]).unwrap_or_default(),
        }
    }
}

/// How long ago a trace began; none if its root does not say.
pub(super) fn age(span: &SpanContext) -> Option<Duration> {
    let began: u64 = span.trace_state().get(BEGAN)?.parse().ok()?;
    Some(Duration::from_secs(seconds_now().saturating_sub(began)))
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::{SpanId, TraceFlags};
    use opentelemetry_sdk::trace::Sampler;

    fn span(sampled: bool) -> SpanContext {
        SpanContext::new(
            TraceId::from(1),
            SpanId::from(1),
            TraceFlags::default().with_sampled(sampled),
            true,
            TraceState::from_key_value([(BEGAN, "1")]).unwrap(),
        )
    }

    fn kept(root: Sampler, parent: Option<SpanContext>, links: &[SpanContext]) -> (bool, TraceState) {
        let cx = parent.map(|p| Context::new().with_remote_span_context(p));
        let links: Vec<Link> = links.iter().cloned().map(Link::with_context).collect();
        let result = Episodes::new(Box::new(root)).should_sample(
            cx.as_ref(),
            TraceId::from(7),
            "x",
            &SpanKind::Internal,
            &[],
            &links,
        );
        (result.decision == SamplingDecision::RecordAndSample, result.trace_state)
    }

    #[test]
    fn a_departure_is_kept_whole_or_not_at_all() {
        use Sampler::{AlwaysOff, AlwaysOn};
        assert!(kept(AlwaysOn, None, &[]).0 && !kept(AlwaysOff, None, &[]).0);
        assert!(kept(AlwaysOff, Some(span(true)), &[]).0 && !kept(AlwaysOn, Some(span(false)), &[]).0);
        assert!(kept(AlwaysOff, None, &[span(true)]).0 && !kept(AlwaysOn, None, &[span(false)]).0);
    }

    #[test]
    fn a_trace_knows_its_age() {
        let (_, state) = kept(Sampler::AlwaysOn, None, &[]);
        let root = SpanContext::new(TraceId::from(1), SpanId::from(1), TraceFlags::SAMPLED, false, state);
        assert!(age(&root).unwrap() < Duration::from_secs(60));
        let (_, state) = kept(Sampler::AlwaysOn, Some(span(true)), &[]);
        assert_eq!(state.get(BEGAN), Some("1"), "a child's is its parent's");
        assert!(age(&span(true)).unwrap() > Duration::from_secs(60));
        assert_eq!(age(&SpanContext::empty_context()), None);
    }
}
