//! One departure through processes of their own, told by all of them: the
//! traces arrive as one story, also after a retry and after a worker's death,
//! in a collector that is ours and in one that is not.

use crate::cluster::people::People;
use crate::cluster::stage::{Size, Stage};
use crate::support::{Running, until};
use offboard_observe::{Rotel, Seen, Sink, SpanKind, Story};
use offboard_sim::world::{Fault, Op};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Far longer than a batch takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is waited for between two looks of people.
const PEOPLE_LOOK_EVERY: Duration = Duration::from_millis(500);

const ONE: Size = Size {
    tenants: 1,
    leavers_each: 1,
};

fn soon(command: &mut Command) {
    command
        .env("OTEL_BSP_SCHEDULE_DELAY", "100")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "500");
}

/// The kind whose write the vendor refuses at first.
const REFUSED: &str = "identity.disable_sign_in";

fn finish(stage: &Stage) {
    let mut people = People::default();
    until("the departure has ended", || {
        people.answer(stage);
        std::thread::sleep(PEOPLE_LOOK_EVERY);
        stage.cases().values().all(|c| c["state"] == "closed")
    });
}

fn end(roles: Vec<Running>) {
    for role in roles {
        role.signal("TERM");
        role.wait().expect(0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_tell_one_story_also_after_a_retry_and_a_workers_death() {
    let sink = Sink::start().await.unwrap();
    let stage = Stage::set(7, ONE).await;
    stage.watched_by(&sink.endpoint());
    stage.world().order(Op::PatchUser, Fault::Unavailable(503), 2);
    let mut roles: Vec<Running> = ["dispatcher", "closer"].map(|r| stage.start_with(r, soon)).into();
    let doomed = stage.start_with("worker", soon);
    let file = stage.departures();
    stage.run_with(&["submit", &file], soon).expect(0);
    let case = stage.cases().into_keys().next().unwrap();
    // Both in the sink: what a worker has not sent yet dies with it.
    sink.until("a failed attempt and its retry are told", |spans| {
        let story = Story::of(&case, spans);
        let attempts = story.attempts();
        let told = attempts.values().flatten();
        told.filter(|s| s.get("offboard.kind") == REFUSED).count() >= 2
    })
    .await;
    // It dies with whatever it holds; another one goes on.
    drop(doomed.end());
    let of_workers = |s: &Seen| (s.service == "offboard-worker").then(|| s.instance.clone());
    let dead = sink.spans().iter().find_map(of_workers).unwrap();
    roles.push(stage.start_with("worker", soon));
    finish(&stage);
    sink.until("how it ended is told", |spans| {
        Story::of(&case, spans).named("close case").count() == 1
    })
    .await;
    end(roles);

    assert_eq!(sink.unreadable(), Vec::<String>::new());
    let story = Story::of(&case, &sink.spans());
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
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_arrive_in_rotel() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let rotel = Rotel::start(&target.join("test-venv"), folder.path()).unwrap();
    let stage = Stage::set(8, ONE).await;
    stage.watched_by(&rotel.endpoint());
    let roles = ["dispatcher", "worker", "closer"]
        .map(|r| stage.start_with(r, soon))
        .into();
    let file = stage.departures();
    stage.run_with(&["submit", &file], soon).expect(0);
    let case = stage.cases().into_keys().next().unwrap();
    finish(&stage);
    end(roles);
    rotel
        .until("the closing to arrive", PATIENCE, |log| log.contains("close case"))
        .unwrap();
    let log = rotel.log();
    for some in [
        "accept departure",
        "publish ob.v1.identity.urgent",
        "process ob.v1.identity.urgent",
        "offboard-command",
        "offboard-dispatcher",
        "offboard-worker",
        "offboard-closer",
        "rabbitmq",
        case.as_str(),
    ] {
        assert!(log.contains(some), "{some} in {log}");
    }
}
