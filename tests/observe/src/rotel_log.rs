//! What rotel's debug log (`--debug-log traces --debug-log-verbosity detailed`)
//! says of the spans that it took, read back as [`Seen`].
//!
//! rotel writes a line for each field, and an attribute's value as its type and
//! the value in brackets. A value with a line break in it is cut off there: no
//! span of ours has one.

use crate::story::{Seen, SpanKind};
use std::collections::BTreeMap;

/// What the lines that begin with an arrow belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Resource,
    Attributes,
    Links,
    Other,
}

/// Every span that a log tells of. Its last one may lack what is being written.
pub(crate) fn spans(log: &str) -> Vec<Seen> {
    let mut found: Vec<Seen> = Vec::new();
    let mut resource: BTreeMap<String, String> = BTreeMap::new();
    let mut part = Part::Other;
    let mut start_ns: u64 = 0;
    for line in log.lines() {
        if let Some((key, value)) = line.strip_prefix("     -> ").and_then(|l| l.split_once(": ")) {
            match (part, found.last_mut()) {
                (Part::Resource, _) => {
                    resource.insert(key.to_owned(), inner(value).to_owned());
                }
                (Part::Attributes, Some(span)) => {
                    span.attributes.insert(key.to_owned(), inner(value).to_owned());
                }
                (Part::Links, Some(span)) if key == "Trace ID" => {
                    span.links.push((value.to_owned(), String::new()));
                }
                (Part::Links, Some(span)) if key == "ID" => {
                    if let Some((_, id)) = span.links.last_mut() {
                        value.clone_into(id);
                    }
                }
                _ => {}
            }
            continue;
        }
        match line {
            "Resource attributes:" => {
                resource.clear();
                part = Part::Resource;
            }
            "Attributes:" => part = Part::Attributes,
            "Links:" => part = Part::Links,
            "Events:" => part = Part::Other,
            _ if line.starts_with("ResourceSpans #") || line.starts_with("ScopeSpans #") => part = Part::Other,
            _ if line.starts_with("Span #") => {
                part = Part::Other;
                found.push(begun(&resource));
            }
            _ => {
                if let (Some((key, value)), Some(span)) = (line.split_once(':'), found.last_mut()) {
                    field(span, &mut start_ns, key.trim(), value.trim());
                }
            }
        }
    }
    found
}

/// A span of which nothing is known but who sent it.
fn begun(resource: &BTreeMap<String, String>) -> Seen {
    let of = |key: &str| resource.get(key).cloned().unwrap_or_default();
    Seen {
        service: of("service.name"),
        instance: of("service.instance.id"),
        name: String::new(),
        kind: SpanKind::Unspecified,
        trace: String::new(),
        id: String::new(),
        parent: String::new(),
        links: Vec::new(),
        attributes: BTreeMap::new(),
        failed: false,
        took_ms: 0,
    }
}

fn field(span: &mut Seen, start_ns: &mut u64, key: &str, value: &str) {
    match key {
        "Trace ID" => value.clone_into(&mut span.trace),
        "Parent ID" => value.clone_into(&mut span.parent),
        "ID" => value.clone_into(&mut span.id),
        "Name" => value.clone_into(&mut span.name),
        "Kind" => span.kind = SpanKind::from_str_name(value).unwrap_or_default(),
        "Start time" => *start_ns = value.parse().unwrap_or_default(),
        "End time" => {
            let end_ns: u64 = value.parse().unwrap_or_default();
            span.took_ms = end_ns.saturating_sub(*start_ns) / 1_000_000;
        }
        "Status code" => span.failed = value == "STATUS_CODE_ERROR",
        _ => {}
    }
}

/// `x` of `Str(x)`.
fn inner(value: &str) -> &str {
    let after = value.split_once('(').map_or(value, |(_, after)| after);
    after.strip_suffix(')').unwrap_or(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As rotel 0.0.1a15 wrote it.
    const LOG: &str = "\
\u{1b}[2m2026-11-28T10:49:40Z\u{1b}[0m \u{1b}[32m INFO\u{1b}[0m Starting Rotel. grpc_endpoint=\"127.0.0.1:41563\"
ResourceSpans #0
Resource SchemaURL: 
Resource attributes:
     -> service.name: Str(offboard-worker)
     -> service.instance.id: Str(i-1)
ScopeSpans #0
ScopeSpans SchemaURL: 
InstrumentationScope offboard 1.0
Span #0
    Trace ID       : 01010101010101010101010101010101
    Parent ID      : 
    ID             : 0202020202020202
    Name           : process ob.v1.assignments:ob.v1.identity.urgent
    Kind           : SPAN_KIND_CONSUMER
Start time: 1795862946000000000
End time: 1795862946123000000
    Status code    : STATUS_CODE_ERROR
    Status message : boom: no
Attributes:
     -> a: Str(b -> (c))
     -> n: Int(5)
     -> o: Bool(true)
     -> e: Str()
Events:
SpanEvent #0
     -> Name: ev
     -> Timestamp: 0
     -> DroppedAttributesCount: 0
     -> Attributes::
          -> q: Str(r)
Links:
SpanLink #0
     -> Trace ID: 09090909090909090909090909090909
     -> ID: 0808080808080808
     -> TraceState: 
     -> DroppedAttributesCount: 0
SpanLink #1
     -> Trace ID: 09090909090909090909090909090909
     -> ID: 0707070707070707
     -> TraceState: 
     -> DroppedAttributesCount: 0
Span #1
    Trace ID       : 01010101010101010101010101010101
    Parent ID      : 0202020202020202
    ID             : 0404040404040404
    Name           : PATCH /users/{id}
    Kind           : SPAN_KIND_CLIENT
Start time: 0
End time: 0
    Status code    : STATUS_CODE_UNSET
    Status message : 
ResourceSpans #1
Resource SchemaURL: 
Resource attributes:
     -> service.name: Str(offboard-closer)
ScopeSpans #0
ScopeSpans SchemaURL: 
Span #0
    Trace ID       : 03030303030303030303030303030303
    Parent ID      : 
    ID             : 0505050505050505
    Name           : close case
    Kind           : SPAN_KIND_INTERNAL
Start time: 0
End time: 0
";

    #[test]
    fn a_log_is_read_back_as_the_spans_that_were_sent() {
        let read = spans(LOG);
        let names: Vec<&str> = read.iter().map(|s| s.name.as_str()).collect();
        let first = "process ob.v1.assignments:ob.v1.identity.urgent";
        assert_eq!(names, [first, "PATCH /users/{id}", "close case"]);
        let (process, request, close) = (&read[0], &read[1], &read[2]);
        let (trace, other) = ("01".repeat(16), "09".repeat(16));
        assert_eq!((&process.trace, process.id.as_str()), (&trace, "0202020202020202"));
        assert_eq!((process.kind, process.parent.as_str()), (SpanKind::Consumer, ""));
        assert_eq!((process.failed, process.took_ms), (true, 123));
        let links = ["0808080808080808", "0707070707070707"].map(|id| (other.clone(), id.to_owned()));
        assert_eq!(process.links, links);
        let attributes = [("a", "b -> (c)"), ("e", ""), ("n", "5"), ("o", "true")];
        let attributes = attributes.map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(process.attributes, BTreeMap::from(attributes));
        assert_eq!((&request.trace, &request.parent), (&trace, &process.id));
        assert_eq!((request.kind, request.failed), (SpanKind::Client, false));
        assert!(request.links.is_empty() && request.attributes.is_empty());
        let who = |s: &Seen| (s.service.clone(), s.instance.clone());
        assert_eq!(who(process), ("offboard-worker".to_owned(), "i-1".to_owned()));
        assert_eq!(who(request), who(process));
        assert_eq!(who(close), ("offboard-closer".to_owned(), String::new()));
    }

    #[test]
    fn a_log_that_is_still_being_written_is_read_as_far_as_it_goes() {
        for end in 0..LOG.len() {
            assert!(spans(&LOG[..end]).len() <= 3);
        }
    }
}
