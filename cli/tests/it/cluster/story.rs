//! One departure through processes of their own, told by all of them: the
//! traces arrive as one story, also after a retry and after the death of a worker
//! in the middle of a call to the vendor, in a collector that is ours and in those
//! that are not. Nobody's name is in anything that they tell or log.

use crate::cluster::people::People;
use crate::cluster::stage::{Size, Stage};
use crate::support::{Ran, Running, none_in, until};
use offboard_observe::{Rotel, Seen, Sink, SpanKind, Story};
use offboard_sim::world::{Fault, Op};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Far longer than a batch takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether a batch has arrived.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// What is waited for between two looks of people.
const PEOPLE_LOOK_EVERY: Duration = Duration::from_millis(500);

pub(crate) const ONE: Size = Size {
    tenants: 1,
    leavers_each: 1,
};

pub(crate) fn soon(command: &mut Command) {
    command
        // Under which Phoenix keeps it; others take it for one more attribute.
        .env("OTEL_RESOURCE_ATTRIBUTES", "openinference.project.name=offboard")
        .env("OTEL_BSP_SCHEDULE_DELAY", "100")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "500");
}

/// The kind whose write the vendor refuses at first.
const REFUSED: &str = "identity.disable_sign_in";
/// The kinds whose write the vendor is silent about once: at first, and an hour later.
const HELD: &str = "identity.revoke_sessions";
/// Through which assignments go.
const EXCHANGE: &str = "ob.v1.assignments";
const ROUTING_KEY: &str = "messaging.rabbitmq.destination.routing_key";

pub(crate) fn finish(stage: &Stage) {
    let mut people = People::default();
    until("the departure has ended", || {
        people.answer(stage);
        std::thread::sleep(PEOPLE_LOOK_EVERY);
        stage.cases().values().all(|c| c["state"] == "closed")
    });
}

/// Ends them, and gives what they said.
pub(crate) fn end(roles: Vec<Running>) -> Vec<Ran> {
    let ended = roles.into_iter().map(|role| {
        role.signal("TERM");
        role.wait().expect(0)
    });
    ended.collect()
}

/// Waits until the vendor has been asked for what it is silent about.
fn until_a_worker_waits(stage: &Stage) {
    let served = || stage.world().served(Op::RevokeSessions);
    let before = {
        let mut world = stage.world();
        world.order(Op::RevokeSessions, Fault::Silent, 1);
        world.served(Op::RevokeSessions)
    };
    until("the vendor is asked and says nothing", || served() > before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_tell_one_story_also_after_a_retry_and_a_workers_death() {
    let sink = Sink::start().await.unwrap();
    told_after_a_retry_and_a_workers_death(7, &sink.endpoint(), || sink.spans(), || sink.text()).await;
    assert_eq!(sink.unreadable(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotel_is_told_the_same_story() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let rotel = Rotel::start(&target.join("test-venv"), folder.path()).unwrap();
    told_after_a_retry_and_a_workers_death(8, &rotel.endpoint(), || rotel.spans(), || rotel.log()).await;
}

/// Phoenix keeps neither who sent a span nor its links. So our collector stands
/// before it, in which the story is whole; what it was told is left for
/// `tests/observe/phoenix.py` to find again in the viewer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a viewer of 900 MB: `tests/observe/phoenix --story` starts it and plays this"]
async fn phoenix_is_told_the_same_story() {
    let of = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("tests/observe/phoenix sets {name}"));
    let (phoenix, told) = (of("OFFBOARD_TEST_PHOENIX"), of("OFFBOARD_TEST_TOLD"));
    let sink = Sink::start_before(&phoenix).await.unwrap();
    let story = told_after_a_retry_and_a_workers_death(9, &sink.endpoint(), || sink.spans(), || sink.text()).await;
    assert_eq!(sink.unreadable(), Vec::<String>::new());
    let spans = story.spans.iter().map(|span| {
        json!({
            "service": span.service,
            "name": span.name,
            "trace": span.trace,
            "id": span.id,
            "parent": span.parent,
            "attempt": span.get("offboard.attempt"),
            "redelivered": span.get("offboard.redelivered"),
        })
    });
    std::fs::write(told, spans.collect::<Value>().to_string()).unwrap();
}

/// A departure that is retried, and one of whose workers dies in the middle of a
/// call, in processes that tell a collector of it: what that has taken must be one
/// story, and is returned. `text` is all that it was told, as text.
async fn told_after_a_retry_and_a_workers_death(
    seed: u64,
    endpoint: &str,
    spans: impl Fn() -> Vec<Seen>,
    text: impl Fn() -> String,
) -> Story {
    let stage = Stage::set(seed, ONE).await;
    stage.watched_by(endpoint);
    stage.world().order(Op::PatchUser, Fault::Unavailable(503), 2);
    let mut roles: Vec<Running> = ["dispatcher", "closer"].map(|r| stage.start_with(r, soon)).into();
    let doomed = stage.start_with("worker", soon);
    let file = stage.departures();
    stage.run_with(&["submit", &file], soon).expect(0);
    let case = stage.cases().into_keys().next().unwrap();
    // Both have arrived: what a worker has not sent yet dies with it.
    until("a failed attempt and its retry are told", || {
        let story = Story::of(&case, &spans());
        let attempts = story.attempts();
        let told = attempts.values().flatten();
        told.filter(|s| s.get("offboard.kind") == REFUSED).count() >= 2
    });
    // It dies in the middle of a call, with whatever else it holds; another one goes on.
    until_a_worker_waits(&stage);
    let mut said = vec![doomed.end()];
    let of_workers = |s: &Seen| (s.service == "offboard-worker").then(|| s.instance.clone());
    let dead = spans().iter().find_map(of_workers).unwrap();
    roles.push(stage.start_with("worker", soon));
    finish(&stage);
    until("how it ended is told", || {
        Story::of(&case, &spans()).named("close case").count() == 1
    });
    said.extend(end(roles));
    // Who ends sends the rest first; a collector may take a moment to show it.
    let is_whole = || {
        let story = Story::of(&case, &spans());
        let attempts = story.attempts();
        let caused = attempts.values().flatten().all(|a| story.parent(a).is_some());
        caused && story.lost_but_by_the_dead(&dead).is_empty()
    };
    let end = Instant::now() + PATIENCE;
    while !is_whole() && Instant::now() < end {
        std::thread::sleep(LOOK_AGAIN);
    }

    let story = Story::of(&case, &spans());
    let lost = story.lost_but_by_the_dead(&dead);
    assert_eq!(lost, Vec::<&Seen>::new(), "every span leads to the acceptance");
    let mut by_service: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for span in &story.spans {
        by_service.entry(&span.service).or_default().insert(&span.instance);
    }
    let tellers = |service: &str| by_service.get(service).map_or(0, BTreeSet::len);
    assert_eq!(tellers("offboard-dispatcher"), 1, "{by_service:?}");
    assert_eq!(tellers("offboard-closer"), 1, "{by_service:?}");
    assert_eq!(
        tellers("offboard-worker"),
        2,
        "one died and another went on: {by_service:?}"
    );
    assert!(
        tellers("offboard-command") >= 1,
        "who handed it in tells it too: {by_service:?}"
    );

    let accept = story.one("accept departure");
    assert_eq!(accept.service, "offboard-command");
    let attempts = story.attempts();
    for attempt in attempts.values().flatten() {
        assert_eq!(attempt.service, "offboard-worker");
        assert_eq!(attempt.kind, SpanKind::Consumer);
        assert_eq!(attempt.get("messaging.system"), "rabbitmq");
        let destination = format!("{EXCHANGE}:{}", attempt.get(ROUTING_KEY));
        assert_eq!(attempt.get("messaging.destination.name"), destination);
        assert_eq!(attempt.name, format!("process {destination}"));
        let tag: u64 = attempt.get("messaging.rabbitmq.message.delivery_tag").parse().unwrap();
        assert!(tag > 0 && attempt.get(ROUTING_KEY).starts_with("ob.v1."), "{attempt:?}");
        let published = story.parent(attempt).expect("the context travels in the headers");
        assert_eq!(
            (published.service.as_str(), published.kind),
            ("offboard-dispatcher", SpanKind::Producer)
        );
    }
    let tries: Vec<&&Seen> = attempts
        .values()
        .flatten()
        .filter(|s| s.get("offboard.kind") == REFUSED)
        .collect();
    assert!(tries.len() >= 2, "{tries:#?}");
    assert!(tries.iter().all(|s| s.links_to(accept)), "{tries:#?}");
    let close = story.one("close case");
    assert_eq!(close.service, "offboard-closer");
    assert!(close.links_to(accept), "{close:?}");
    the_attempt_that_was_cut_short_was_delivered_again(&story, &dead);

    let canaries = stage.world().canaries();
    assert!(!canaries.is_empty());
    let names = || canaries.iter().map(String::as_str);
    none_in(names(), "spans and metrics", &text());
    for ran in &said {
        assert!(!ran.err.is_empty(), "its log is what is looked at");
        none_in(names(), "a process' log", &ran.err);
        none_in(names(), "what a process said", &ran.out);
    }
    story
}

/// The broker gave it to the worker that lived, which said so; the dead one never
/// came to tell of it.
fn the_attempt_that_was_cut_short_was_delivered_again(story: &Story, dead: &str) {
    let attempts = story.attempts();
    let again = |s: &&Seen| s.get("offboard.redelivered") == "true" && s.get("offboard.kind").starts_with(HELD);
    let found: Vec<_> = attempts.values().filter(|told| told.iter().any(again)).collect();
    assert_eq!(found.len(), 1, "{attempts:#?}");
    let told = found[0];
    assert!(told.iter().all(|s| s.instance != dead), "{told:#?}");
}
