//! Notes through the real connector, over HTTP, into a wiki that takes well-formed XML
//! alone.

use crate::stage::One;
use async_trait::async_trait;
use offboard_connectors::confluence::{ConfluenceConnector, ConfluenceSettings};
use offboard_connectors::graph::HttpClient;
use offboard_domain::catalogue::knowledge::{FILES_LINK, SESSION_ENDING, SESSION_FILES};
use offboard_domain::{
    Assignment, CaseId, Digest, Facts, Kind, Lane, Mode, ObjectId, Said, Subject, System, Target, TaskId, TenantId,
    Timestamp,
};
use offboard_runtime::Clock;
use offboard_sim::face::ConfluenceSimulator;
use offboard_sim::world::wiki::{PARENT, SPACE, Wiki};
use offboard_store::Store;
use offboard_workers::{Context, attempt};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const T0: i64 = 1_780_000_000_000;
const FIRST: u64 = PARENT + 1;

/// One moment.
struct Stopped;

#[async_trait]
impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp(T0)
    }

    async fn sleep_until(&self, _: Timestamp) {}

    fn real(&self, ms: i64) -> Duration {
        Duration::from_millis(u64::try_from(ms).unwrap_or(0))
    }
}

fn assignment(system: &System, params: Facts) -> Assignment {
    let tenant = TenantId::new("acme").unwrap();
    let case = CaseId::derive(&tenant, "HR-1");
    let kind = Kind::WriteNotes;
    Assignment {
        task: TaskId::derive(case, kind.name(), system, None),
        tenant,
        case,
        attempt: 1,
        kind,
        target: Target {
            system: system.clone(),
            object: None,
        },
        subject: Subject::default(),
        params,
        mode: Mode::Full,
        checkpoint: None,
        checks: Vec::new(),
        start_by: Timestamp(T0 + 300_000),
        run_for_ms: kind.spec().run_for_ms,
        version: 9,
        head: Digest::ZERO,
        traceparent: None,
    }
}

#[tokio::test]
async fn whatever_a_link_holds_the_page_is_well_formed_and_says_it() {
    let hostile = "https://files.example/\"><script>alert('&')</script>?a=1&b=]]>\u{0}\u{8}\u{1b}\u{ffff}&nosuch;";
    let wiki = Arc::new(Mutex::new(Wiki::default()));
    let simulator = ConfluenceSimulator::start(Arc::clone(&wiki), Arc::new(|| T0))
        .await
        .unwrap();
    let system = System::new("notes").unwrap();
    let id = |n: u64| ObjectId(n.to_string());
    let settings = ConfluenceSettings {
        system: system.clone(),
        url: simulator.url().to_owned(),
        user: "caller@example.com".to_owned(),
        token: "s3cret-canary".into(),
        space_id: id(SPACE),
        parent_page_id: id(PARENT),
    };
    let connector = ConfluenceConnector::open(&HttpClient::new().unwrap(), &settings).unwrap();
    let store = Store::memory();
    let file = store.put(b"slides".as_slice()).await.unwrap();
    let context = Context {
        store,
        connectors: Arc::new(One(Arc::new(connector))),
        escrow: None,
        clock: Arc::new(Stopped),
    };
    let params = Facts::new()
        .with(FILES_LINK, hostile)
        .with(SESSION_FILES, vec![file.to_string()])
        .with(SESSION_ENDING, "pptx");
    let order = assignment(&system, params);
    let report = attempt(&order, Lane::Normal, false, &context).await;
    assert!(matches!(report.said, Said::Satisfied { .. }), "{:?}", report.said);
    let wiki = wiki.lock().unwrap().clone();
    let page = &wiki.pages()[&FIRST];
    assert!(
        page.body.contains("&lt;script&gt;") && !page.body.contains("<script"),
        "{}",
        page.body
    );
    assert!(page.body.contains("&amp;nosuch;"), "{}", page.body);
    assert_eq!(page.files.len(), 1);
    assert_eq!(page.files[&format!("knowledge-session-{file}.pptx")].bytes, b"slides");
}
