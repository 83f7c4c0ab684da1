//! The same departure in a collector that is not ours.

use crate::observe::watched::Watched;
use offboard_observe::Rotel;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// Far longer than a batch takes.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_departure_arrives_in_rotel() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let rotel = Rotel::start(&target.join("test-venv"), folder.path()).unwrap();
    let watched = Watched::by(&rotel.endpoint()).await;
    let serving = watched.serve("only");
    let case = watched.submit("HR-1");
    watched.finish("HR-1");
    serving.running.signal("TERM");
    let ran = serving.running.wait().expect(0);
    assert!(!ran.err.contains("does not take telemetry"), "{}", ran.err);
    rotel
        .until("the closing to arrive", PATIENCE, |log| log.contains("close case"))
        .unwrap();
    let log = rotel.log();
    for name in [
        "accept departure",
        "publish ob.v1.identity.urgent",
        "process ob.v1.identity.urgent",
        "process ob.v1.reports.0",
        "PATCH /users/{id}",
        "messaging.message.conversation_id",
        case.as_str(),
    ] {
        assert!(log.contains(name), "{name} in {log}");
    }
    // What it read are the traces that our log speaks of.
    let ours: BTreeSet<&str> = ran
        .err
        .lines()
        .filter_map(|l| l.split("\"trace_id\":\"").nth(1)?.split('"').next())
        .collect();
    assert!(ours.len() > 3, "{}", ran.err);
    for trace in ours {
        assert!(log.contains(trace), "{trace} in {log}");
    }
    watched.nobody_in("its log", &log);
}
