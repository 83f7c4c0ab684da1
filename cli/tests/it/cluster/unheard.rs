//! Nobody hears what the processes of their own say: departures go on all the same.

use crate::cluster::stage::Stage;
use crate::cluster::story::{ONE, end, finish, soon};
use crate::support::{BadLog, Running};
use offboard_servers::ClosedPort;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_not_there_changes_nothing_for_any_role() {
    let nobody = ClosedPort::take().unwrap();
    let stage = Stage::set(10, ONE).await;
    stage.watched_by(&format!("http://127.0.0.1:{}", nobody.port()));
    let roles: Vec<Running> = ["dispatcher", "worker", "closer"]
        .map(|role| stage.start_with(role, soon))
        .into();
    let file = stage.departures();
    stage.run(&["submit", &file]).expect(0);
    finish(&stage);
    for ran in end(roles) {
        let said = |what: &str| ran.err.lines().filter(|line| line.contains(what)).count();
        assert_eq!(said("telemetry was lost"), 1, "{}", ran.err);
        let told = said("does not take telemetry");
        assert!((1..=2).contains(&told), "once for each signal: {}", ran.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_written_changes_nothing_for_any_role() {
    let stage = Stage::set(11, ONE).await;
    let logs = [
        ("dispatcher", BadLog::Full),
        ("worker", BadLog::Closed),
        ("closer", BadLog::Full),
    ];
    let roles: Vec<Running> = logs.map(|(role, log)| stage.start_unlogged(role, log)).into();
    let file = stage.departures();
    stage.run(&["submit", &file]).expect(0);
    finish(&stage);
    end(roles);
}
