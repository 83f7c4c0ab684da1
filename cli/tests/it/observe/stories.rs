//! The traces of whole departures, as the tests' own collector keeps them.

use crate::observe::watched::{SECRET, Watched};
use crate::support::until;
use offboard_observe::{Seen, Sink, SpanKind, Story};
use offboard_runtime::telemetry::metrics::instruments::{self, Sort};
use offboard_servers::ClosedPort;
use offboard_sim::world::{Fault, Op};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// No span is longer than this: minutes, however long the departure is.
const SPAN_MAX_MS: u64 = 5 * 60_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_departure_with_a_retry_is_one_story() {
    let sink = Sink::start().await.unwrap();
    let watched = Watched::by(&sink.endpoint()).await;
    // The first two tries to switch the account off find the directory down.
    watched.stage.world().order(Op::PatchUser, Fault::Unavailable(503), 2);
    let serving = watched.serve("only");
    let case = watched.submit("HR-1");
    watched.finish("HR-1");
    assert_eq!(serving.json("/livez").0, 200);
    until("it is ready", || serving.json("/readyz").0 == 200);
    let (status, ready) = serving.json("/readyz");
    assert_eq!((status, &ready["ready"]), (200, &Value::Bool(true)), "{ready}");
    let (status, metrics) = serving.get("/metrics");
    assert_eq!(status, 200);
    sink.until("how it ended is told", |spans| {
        Story::of(&case, spans).named("close case").count() == 1
    })
    .await;
    serving.running.signal("TERM");
    let ran = serving.running.wait().expect(0);

    assert_eq!(sink.unreadable(), Vec::<String>::new());
    let story = Story::of(&case, &sink.spans());
    assert_eq!(story.lost(), Vec::<&Seen>::new(), "every span leads to the acceptance");
    the_kinds_are_those_of_the_conventions(&story);
    what_is_caused_without_a_pause_is_one_trace(&story);
    the_retry_links_to_what_was_before(&story);
    people_and_the_closing_are_episodes(&story);
    assert!(story.spans.iter().all(|s| s.took_ms < SPAN_MAX_MS));
    assert!(
        story
            .spans
            .iter()
            .all(|s| s.service == "offboard" && !s.instance.is_empty())
    );

    let authorised = sink
        .headers()
        .iter()
        .filter(|(n, v)| n == "authorization" && v == SECRET)
        .count();
    assert!(authorised > 0, "{:?}", sink.headers());
    watched.nobody_in("spans and metrics", &sink.text());
    watched.nobody_in("what Prometheus reads", &metrics);
    watched.nobody_in("the log", &ran.err);
    the_log_leads_to_the_traces(&ran.err, &story);
    the_metrics_tell_of_it(&metrics, &sink.metrics());
}

fn the_kinds_are_those_of_the_conventions(story: &Story) {
    for span in &story.spans {
        let kind = match span.name.split(' ').next().unwrap() {
            "publish" => SpanKind::Producer,
            "process" => SpanKind::Consumer,
            "accept" | "approve" | "attest" | "close" | "record" => SpanKind::Internal,
            _ => SpanKind::Client,
        };
        assert_eq!(span.kind, kind, "{}", span.name);
        match kind {
            SpanKind::Producer | SpanKind::Consumer => {
                let (name, sort) = if kind == SpanKind::Producer {
                    ("publish", "send")
                } else {
                    ("process", "process")
                };
                assert_eq!(span.get("messaging.system"), "memory");
                assert_eq!(span.get("messaging.operation.name"), name);
                assert_eq!(span.get("messaging.operation.type"), sort);
                assert_eq!(span.name, format!("{name} {}", span.get("messaging.destination.name")));
                assert_eq!(
                    span.get("messaging.message.conversation_id"),
                    span.get("offboard.case.id")
                );
                assert!(!span.get("messaging.message.id").is_empty() && !span.get("offboard.task.id").is_empty());
            }
            SpanKind::Client => {
                let template = span.get("url.template");
                assert!(template.starts_with('/'), "{span:?}");
                let id = |part: &str| part.contains('@') || part.bytes().filter(u8::is_ascii_digit).count() > 3;
                assert!(!template.split('/').any(id), "{template}");
                assert_eq!(span.get("server.address"), "127.0.0.1");
            }
            _ => {}
        }
    }
    for some in ["PATCH /users/{id}", "POST /{directory}/oauth2/v2.0/token", "close case"] {
        assert!(story.names().contains(some), "{some} in {:?}", story.names());
    }
}

fn what_is_caused_without_a_pause_is_one_trace(story: &Story) {
    let accept = story.one("accept departure");
    let resolve = story
        .named("process ob.v1.identity.")
        .find(|s| s.get("offboard.kind") == "identity.resolve")
        .unwrap();
    let published = story.parent(resolve).unwrap();
    assert_eq!(story.parent(published), Some(accept));
    // Its report, and what that publishes, go on in the same trace.
    let report = story
        .named("process ob.v1.reports.")
        .find(|s| s.get("offboard.task.id") == resolve.get("offboard.task.id"))
        .unwrap();
    let answer = story.parent(report).unwrap();
    assert_eq!(story.parent(answer), Some(resolve));
    assert!(
        story
            .named("publish ob.v1.")
            .any(|s| story.parent(s) == Some(report) && s.trace == accept.trace)
    );
    let asked = story.spans.iter().filter(|s| s.kind == SpanKind::Client);
    for request in asked {
        let within = story.parent(request).unwrap();
        assert!(within.name.starts_with("process ob.v1."), "{request:?} in {within:?}");
    }
}

fn the_retry_links_to_what_was_before(story: &Story) {
    let accept = story.one("accept departure");
    let attempts = story.attempts();
    let tries: Vec<&&Seen> = attempts
        .values()
        .flatten()
        .filter(|s| s.get("offboard.kind") == "identity.disable_sign_in")
        .collect();
    assert!(tries.len() >= 2, "{tries:#?}");
    let (first, second) = (tries[0], tries[1]);
    assert_eq!(
        (first.get("offboard.attempt"), second.get("offboard.attempt")),
        ("1", "2")
    );
    assert_eq!(first.get("offboard.outcome"), "transient");
    assert_ne!(first.trace, second.trace);
    let again = story.parent(second).unwrap();
    assert!(again.parent.is_empty(), "a timer begins a trace: {again:?}");
    assert!(again.links_to(accept), "{again:?}");
    assert!(again.links_to(story.parent(first).unwrap()), "{again:?}");
    assert!(second.links_to(accept));
    let refused = story
        .named("PATCH /users/{id}")
        .find(|s| s.get("http.response.status_code") == "503")
        .unwrap();
    assert!(refused.failed && refused.get("error.type") == "503");
}

fn people_and_the_closing_are_episodes(story: &Story) {
    let accept = story.one("accept departure");
    for person in story.named("approve").chain(story.named("attest")) {
        assert!(person.parent.is_empty() && person.links_to(accept), "{person:?}");
    }
    assert!(story.named("approve").count() > 0);
    let close = story.one("close case");
    let roots: Vec<&Seen> = story
        .spans
        .iter()
        .filter(|s| s.parent.is_empty() && s.name != "close case")
        .collect();
    assert!(roots.len() > 3, "{roots:#?}");
    for root in &roots {
        assert!(close.links_to(root), "{} is not linked from {close:?}", root.name);
    }
    assert_eq!(close.links.len(), roots.len());
    assert_eq!(story.parent(story.one("record sealed")), Some(close));
    assert_eq!(story.traces(), roots.len() + 1);
}

fn the_log_leads_to_the_traces(log: &str, story: &Story) {
    let traces: BTreeSet<&str> = story.spans.iter().map(|s| s.trace.as_str()).collect();
    let lines: Vec<Value> = log.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
    let attempted: Vec<&Value> = lines.iter().filter(|l| l["message"] == "attempted").collect();
    assert!(attempted.len() > 10, "{log}");
    for line in attempted {
        assert!(traces.contains(line["trace_id"].as_str().unwrap()), "{line}");
    }
}

fn the_metrics_tell_of_it(text: &str, sent: &BTreeSet<String>) {
    let value = |series: &str| -> f64 {
        let found = text.lines().find_map(|l| l.strip_prefix(series)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("{series} in {text}")).parse().unwrap()
    };
    assert!(value("offboard_cases_accepted_total{manner=\"planned\"}") == 1.0);
    assert!(value("offboard_cases_ended_total{state=\"closed\"}") == 1.0);
    assert!(value("offboard_evidence_sealed_total") == 1.0);
    assert!(value("offboard_access_cut_duration_seconds_count{manner=\"planned\"}") == 1.0);
    assert!(value("offboard_retries_total{kind=\"identity.disable_sign_in\",why=\"transient\"}") >= 1.0);
    let attempts =
        "offboard_attempts_total{kind=\"identity.disable_sign_in\",outcome=\"satisfied\",vendor=\"microsoft\"}";
    assert!(value(attempts) >= 1.0);
    assert!(value("offboard_vendor_requests_total{service=\"graph\",status=\"5xx\",vendor=\"microsoft\"}") >= 2.0);
    assert!(value("offboard_ledger_appends_total{result=\"done\"}") > 10.0);
    assert!(value("offboard_queue_credit{area=\"identity\",lane=\"urgent\"}") > 0.0);
    assert!(value("offboard_health{check=\"ledger\",of=\"ready\"}") == 1.0);
    assert!(value("offboard_health{check=\"sweep\",of=\"alive\"}") == 1.0);
    assert!(value("offboard_health{check=\"consumer of ob.v1.reports.0\",of=\"alive\"}") == 1.0);
    // What is counted only when it happens need not have happened.
    let sure = instruments::ALL.iter().filter(|i| !matches!(i.sort, Sort::Counter));
    let of_some = [
        "offboard.cases",
        "offboard.cases.need_person",
        "offboard.case.access_open",
        "offboard.site.away",
    ];
    for instrument in sure.filter(|i| !of_some.contains(&i.name)) {
        assert!(sent.contains(instrument.name), "{} in {sent:?}", instrument.name);
        assert!(text.contains(&instrument.prometheus()), "{}", instrument.prometheus());
    }
    promtool_accepts(text);
}

fn promtool_accepts(text: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool must be installed (Debian: apt-get install prometheus)");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}\n{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_story_goes_on_after_a_death() {
    let sink = Sink::start().await.unwrap();
    let watched = Watched::by(&sink.endpoint()).await;
    let serving = watched.serve("first");
    let case = watched.submit("HR-1");
    sink.until("it was accepted, and something was done", |spans| {
        let story = Story::of(&case, spans);
        story.named("accept departure").count() == 1 && story.attempts().len() > 2
    })
    .await;
    serving.running.signal("KILL");
    assert_eq!(serving.running.wait().code, None);
    let dead = Story::of(&case, &sink.spans()).one("accept departure").instance.clone();
    let serving = watched.serve("second");
    watched.finish("HR-1");
    sink.until("how it ended is told", |spans| {
        Story::of(&case, spans).named("close case").count() == 1
    })
    .await;
    serving.running.signal("TERM");
    serving.running.wait().expect(0);
    let story = Story::of(&case, &sink.spans());
    let instances: BTreeSet<&str> = story.spans.iter().map(|s| s.instance.as_str()).collect();
    assert_eq!(instances.len(), 2, "two processes told it");
    assert_eq!(story.lost_but_by_the_dead(&dead), Vec::<&Seen>::new());
    let accept = story.one("accept departure");
    assert!(story.one("close case").links_to(accept));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_not_there_changes_nothing() {
    let nobody = ClosedPort::take().unwrap();
    let endpoint = format!("http://127.0.0.1:{}", nobody.port());
    let watched = Watched::by(&endpoint).await;
    let serving = watched.serve("alone");
    watched.submit("HR-1");
    watched.finish("HR-1");
    serving.running.signal("TERM");
    let ran = serving.running.wait().expect(0);
    let lost = ran.err.lines().filter(|l| l.contains("telemetry was lost")).count();
    assert_eq!(lost, 1, "{}", ran.err);
    let told = ran
        .err
        .lines()
        .filter(|l| l.contains("does not take telemetry"))
        .count();
    assert!(told <= 2, "once for each signal: {}", ran.err);
}
