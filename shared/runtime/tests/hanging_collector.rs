//! A collector that takes connections and never answers: the worst that can be
//! met, for a refused connection fails at once. One test, because a process
//! sets its telemetry up once.

use offboard_domain::{CaseId, TenantId};
use offboard_runtime::config::{Engine, Role};
use offboard_runtime::telemetry::{self, metrics, trace};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

/// More than the two seconds that are allowed, by what a busy machine adds.
const AT_MOST: Duration = Duration::from_secs(5);

#[test]
fn a_collector_that_hangs_delays_nothing_and_its_loss_is_counted() {
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut engine = Engine::defaults(Path::new("/w"));
    engine.log.level = "off".into();
    engine.telemetry.otlp = Some(format!("http://{}", hanging.local_addr().unwrap()));
    engine.telemetry.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let guard = telemetry::start(&engine, Role::Embedded).unwrap();
    let tenant = TenantId::new("contoso").unwrap();
    let began = Instant::now();
    for n in 0..20_000u32 {
        let mut id = [0; 10];
        id[..4].copy_from_slice(&n.to_be_bytes());
        drop(trace::accept(&tenant, CaseId(id)));
    }
    assert!(began.elapsed() < AT_MOST, "{:?}", began.elapsed());
    let text = metrics::render().unwrap().unwrap();
    let line = "offboard_telemetry_dropped_total{signal=\"traces\",why=\"queue_full\"} ";
    let dropped = text.lines().find_map(|l| l.strip_prefix(line)).unwrap();
    assert!(dropped.parse::<f64>().unwrap() > 0.0, "{text}");
    let began = Instant::now();
    guard.shutdown();
    assert!(began.elapsed() < AT_MOST, "{:?}", began.elapsed());
}
