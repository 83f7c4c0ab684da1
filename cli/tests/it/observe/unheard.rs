//! Nobody hears what the process says: departures go on all the same.

use crate::observe::watched::Watched;
use crate::support::BadLog;
use offboard_servers::ClosedPort;

/// Nor does a collector: that, too, is to be logged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_written_changes_nothing() {
    for log in BadLog::ALL {
        let nobody = ClosedPort::take().unwrap();
        let watched = Watched::by(&format!("http://127.0.0.1:{}", nobody.port())).await;
        let serving = watched.serve_unlogged(log);
        watched.submit("HR-1");
        watched.finish("HR-1");
        serving.running.signal("TERM");
        serving.running.wait().expect(0);
    }
}
