//! A simulated Confluence, and connectors to it.

use crate::common::{TestClock, call_with};
use crate::described::Recorded;
use offboard_connectors::confluence::{ConfluenceConnector, ConfluenceSettings};
use offboard_connectors::graph::HttpClient;
use offboard_connectors::{Call, Connector, Notes, NotesPage};
use offboard_domain::{Fault, ObjectId, System};
use offboard_sim::face::{ConfluenceFace, ConfluenceSimulator};
use offboard_sim::world::wiki::{PARENT, SPACE, Wiki};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const T0: i64 = 1_780_000_000_000;

pub(crate) const TITLE: &str = "Hand-over [OB-c-00112233445566778899]";
/// The first page that is added.
pub(crate) const FIRST: u64 = PARENT + 1;

pub(crate) struct Stage {
    wiki: Arc<Mutex<Wiki>>,
    pub(crate) clock: Arc<TestClock>,
    simulator: ConfluenceSimulator,
}

/// What a tenant's file says.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) url: String,
    pub(crate) token: &'static str,
    pub(crate) space: u64,
    pub(crate) parent: u64,
}

impl Given {
    pub(crate) fn open(&self) -> ConfluenceConnector {
        self.open_over(&HttpClient::new().unwrap())
    }

    pub(crate) fn open_over(&self, http: &HttpClient) -> ConfluenceConnector {
        let id = |n: u64| ObjectId(n.to_string());
        let settings = ConfluenceSettings {
            system: System::new("notes").unwrap(),
            url: self.url.clone(),
            user: "caller@example.com".to_owned(),
            token: self.token.into(),
            space_id: id(self.space),
            parent_page_id: id(self.parent),
        };
        ConfluenceConnector::open(http, &settings).unwrap()
    }
}

impl Stage {
    pub(crate) async fn with(wiki: Wiki) -> Self {
        let clock = TestClock::at(T0);
        let wiki = Arc::new(Mutex::new(wiki));
        let tell = Arc::clone(&clock);
        let simulator = ConfluenceSimulator::start(Arc::clone(&wiki), Arc::new(move || tell.ms())).await;
        Self {
            wiki,
            clock,
            simulator: simulator.unwrap(),
        }
    }

    pub(crate) async fn kind() -> Self {
        Self::with(Wiki::default()).await
    }

    pub(crate) fn wiki(&self) -> MutexGuard<'_, Wiki> {
        self.wiki.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same without a socket, which remembers what it was asked.
    pub(crate) fn recorded(&self) -> Arc<Recorded> {
        let (wiki, clock) = (Arc::clone(&self.wiki), Arc::clone(&self.clock));
        Recorded::new(move |request| {
            let mut wiki = wiki.lock().unwrap_or_else(PoisonError::into_inner);
            ConfluenceFace.answer(&mut wiki, clock.ms(), request)
        })
    }

    pub(crate) fn given(&self) -> Given {
        Given {
            url: self.simulator.url().to_owned(),
            token: "s3cret-canary",
            space: SPACE,
            parent: PARENT,
        }
    }

    pub(crate) fn open(&self) -> ConfluenceConnector {
        self.given().open()
    }

    /// A call that may only read.
    pub(crate) fn reading(&self) -> Call {
        call_with(&self.clock)
    }

    /// A call that may write.
    pub(crate) fn writing(&self) -> Call {
        let mut call = call_with(&self.clock);
        call.allow_writes(true);
        call
    }

    /// Adds our page, and reads it.
    pub(crate) async fn added(&self, connector: &ConfluenceConnector) -> NotesPage {
        let notes = notes(connector);
        let id = notes
            .add(&mut self.writing(), TITLE, "<h2>one</h2>")
            .await
            .unwrap()
            .unwrap();
        notes.page(&mut self.reading(), &id).await.unwrap().unwrap()
    }
}

pub(crate) fn notes(connector: &ConfluenceConnector) -> &dyn Notes {
    connector.notes().unwrap()
}

/// No fault and no receipt names anybody.
pub(crate) fn quiet(fault: &Fault, call: &Call) {
    let said = format!("{fault} {fault:?} {call:?} {:?}", call.receipts());
    for secret in ["canary", "s3cret", "caller@"] {
        assert!(!said.contains(secret), "{said}");
    }
}
