//! A desk with two client companies in it, as each maker's, and connectors to one.

use crate::common::{TestClock, call_with};
use crate::described::Recorded;
use bytes::Bytes;
use offboard_connectors::autotask::{AutotaskConnector, AutotaskSettings};
use offboard_connectors::connectwise::{ConnectWiseConnector, ConnectWiseSettings};
use offboard_connectors::graph::HttpClient;
use offboard_connectors::halo::{HaloConnector, HaloSettings};
use offboard_connectors::{Call, Connector, NewFile, NewTicket};
use offboard_domain::{Fault, ObjectId, System};
use offboard_sim::face::{DeskFace, DeskSimulator, HaloFace};
use offboard_sim::world::desk::{Desk, DeskHabits, NEW, Ticket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Every maker.
pub(crate) const MAKERS: &[DeskFace] = &[DeskFace::Halo, DeskFace::ConnectWise, DeskFace::Autotask];

/// Ours.
pub(crate) const OURS: u64 = 12;
/// Another client's.
pub(crate) const THEIRS: u64 = 13;

pub(crate) const MARKER: &str = "[OB-c-00112233445566778899]";

const T0: i64 = 1_780_000_000_000;

pub(crate) struct Stage {
    desk: Arc<Mutex<Desk>>,
    pub(crate) clock: Arc<TestClock>,
    simulator: DeskSimulator,
    pub(crate) maker: DeskFace,
}

/// Somebody's ticket.
pub(crate) fn theirs(client: u64, title: &str) -> Ticket {
    Ticket {
        client,
        title: title.to_owned(),
        text: "canary is told of it".to_owned(),
        status: NEW,
        priority: None,
        opened_ms: 0,
        notes: Vec::new(),
        files: Vec::new(),
    }
}

/// What a tenant's file says, as each maker's connector takes it.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) url: String,
    pub(crate) secret: &'static str,
    pub(crate) client: u64,
    pub(crate) of_type: u64,
    pub(crate) note_type: u64,
    pub(crate) closed: u64,
}

impl Given {
    pub(crate) fn open(&self, maker: DeskFace) -> Box<dyn Connector> {
        self.open_over(&HttpClient::new().unwrap(), maker)
    }

    pub(crate) fn open_over(&self, http: &HttpClient, maker: DeskFace) -> Box<dyn Connector> {
        let system = System::new("psa").unwrap();
        match maker {
            DeskFace::Halo => {
                let settings = HaloSettings {
                    system,
                    url: self.url.clone(),
                    auth_url: None,
                    tenant: Some("msp".to_owned()),
                    application_id: "caller".to_owned(),
                    secret: self.secret.into(),
                    scope: "all".to_owned(),
                    client_id: self.client,
                    site_id: None,
                    ticket_type_id: self.of_type,
                    priority_id: Some(3),
                    urgent_priority_id: Some(1),
                    note_outcome_id: self.note_type,
                    closed_status_id: self.closed,
                    adopt_prefix: Some("T-".to_owned()),
                };
                Box::new(HaloConnector::open(http, &settings).unwrap())
            }
            DeskFace::ConnectWise => {
                let settings = ConnectWiseSettings {
                    system,
                    url: self.url.clone(),
                    login_company: "msp".to_owned(),
                    public_key: "caller".to_owned(),
                    private_key: self.secret.into(),
                    integration_id: "guid".to_owned(),
                    company_id: self.client,
                    board_id: self.of_type,
                    priority_id: Some(3),
                    urgent_priority_id: Some(1),
                    closed_status_id: self.closed,
                    adopt_prefix: Some("T-".to_owned()),
                };
                Box::new(ConnectWiseConnector::open(http, &settings).unwrap())
            }
            DeskFace::Autotask => {
                let settings = AutotaskSettings {
                    system,
                    url: self.url.clone(),
                    user: "caller".to_owned(),
                    secret: self.secret.into(),
                    integration_code: "code-canary".into(),
                    company_id: self.client,
                    queue_id: self.of_type,
                    new_status_id: NEW,
                    closed_status_id: self.closed,
                    priority_id: 3,
                    urgent_priority_id: Some(1),
                    note_type_id: self.note_type,
                    publish_id: 2,
                    adopt_prefix: Some("T-".to_owned()),
                };
                Box::new(AutotaskConnector::open(http, &settings).unwrap())
            }
        }
    }
}

impl Stage {
    pub(crate) async fn with(maker: DeskFace, habits: DeskHabits) -> Self {
        let clock = TestClock::at(T0);
        let desk = Arc::new(Mutex::new(Desk::new(habits, [OURS, THEIRS])));
        let tell = Arc::clone(&clock);
        let simulator = DeskSimulator::start(Arc::clone(&desk), maker, Arc::new(move || tell.ms()))
            .await
            .unwrap();
        Self {
            desk,
            clock,
            simulator,
            maker,
        }
    }

    pub(crate) async fn kind(maker: DeskFace) -> Self {
        Self::with(maker, DeskHabits::default()).await
    }

    pub(crate) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// HaloPSA's without a socket, which remembers what it was asked.
    pub(crate) fn recorded(&self) -> Arc<Recorded> {
        let (desk, clock) = (Arc::clone(&self.desk), Arc::clone(&self.clock));
        Recorded::new(move |request| {
            let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
            HaloFace.answer(&mut desk, clock.ms(), request)
        })
    }

    pub(crate) fn given(&self) -> Given {
        Given {
            url: self.simulator.url().to_owned(),
            secret: "s3cret-canary",
            client: OURS,
            of_type: 21,
            note_type: 7,
            closed: 9,
        }
    }

    pub(crate) fn open(&self) -> Box<dyn Connector> {
        self.given().open(self.maker)
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

    pub(crate) fn pass(&self, ms: i64) {
        self.clock.set(self.clock.ms() + ms);
    }

    /// Opens our ticket.
    pub(crate) async fn opened(&self, connector: &dyn Connector) -> ObjectId {
        let id = desk(connector).open(&mut self.writing(), &ticket()).await.unwrap();
        id.unwrap()
    }
}

pub(crate) fn desk(connector: &dyn Connector) -> &dyn offboard_connectors::Desk {
    connector.desk().unwrap()
}

pub(crate) fn ticket() -> NewTicket {
    NewTicket {
        title: format!("Departure {MARKER}"),
        text: "Somebody leaves <this> client.\nMore: `offboard show`".to_owned(),
        urgent: true,
    }
}

pub(crate) fn file(bytes: &[u8]) -> NewFile {
    NewFile {
        name: format!("evidence-{}.dsse.json", "0a".repeat(32)),
        media_type: "application/json",
        bytes: Bytes::copy_from_slice(bytes),
    }
}

/// No fault and no receipt names anybody.
pub(crate) fn quiet(fault: &Fault, call: &Call) {
    let said = format!("{fault} {fault:?} {call:?} {:?}", call.receipts());
    for secret in ["canary", "tok-", "s3cret"] {
        assert!(!said.contains(secret), "{said}");
    }
}
