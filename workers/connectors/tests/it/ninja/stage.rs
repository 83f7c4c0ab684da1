//! A remote management with two client companies in it, and connectors to one.

use crate::common::{TestClock, call_with};
use crate::described::Recorded;
use offboard_connectors::graph::HttpClient;
use offboard_connectors::ninja::{NinjaConnector, NinjaScript, NinjaSettings, NinjaTags};
use offboard_connectors::{Call, Whose};
use offboard_domain::{Fault, ObjectId, System};
use offboard_sim::face::{NinjaFace, NinjaSimulator};
use offboard_sim::world::fleet::{EndUser, Fleet, FleetFault, FleetHabits, Node};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Is in the name of every test person; and in nothing that is reported.
pub(crate) const CANARY: &str = "kanarienvogel";

/// Ours.
pub(crate) const OURS: u64 = 7;
/// Another client's.
pub(crate) const THEIRS: u64 = 8;

pub(crate) const HIS: &str = "uid-anna";

/// A port that nothing is given by chance.
pub(crate) const NOWHERE: &str = "http://127.0.0.1:1";

pub(crate) const T0: i64 = 1_780_000_000_000;

pub(crate) struct Stage {
    fleet: Arc<Mutex<Fleet>>,
    pub(crate) clock: Arc<TestClock>,
    simulator: NinjaSimulator,
}

/// The leaver's laptop 41, a colleague's 42, a candidate 43, a server of his 44,
/// and another client's 51, which is assigned to his very id.
fn fleet(habits: FleetHabits) -> Fleet {
    let mut his = Node::of(OURS, "5cg 1111");
    his.owner = Some(HIS.to_owned());
    his.tags = [3, 4].into();
    his.signed_in = vec![format!("CONTOSO\\anna.{CANARY}")];
    let mut colleagues = Node::of(OURS, "5CG2222");
    colleagues.owner = Some("uid-bert".to_owned());
    colleagues.signed_in = vec![format!("CONTOSO\\anna.{CANARY}")];
    let mut met = Node::of(OURS, "To be filled by O.E.M.");
    met.signed_in = vec![format!("AzureAD\\Anna{CANARY}"), format!("anna.{CANARY}@example.com")];
    let mut server = Node::of(OURS, "SRV0001");
    server.class = "WINDOWS_SERVER".to_owned();
    server.owner = Some(HIS.to_owned());
    let mut theirs = Node::of(THEIRS, "5CG5555");
    theirs.owner = Some(HIS.to_owned());
    theirs.signed_in = vec![format!("anna.{CANARY}@example.com")];
    let mut gone = Node::of(OURS, "5CG9999");
    gone.owner = Some(HIS.to_owned());
    gone.status = "DECOMMISSIONED".to_owned();
    let nodes = [
        (41, his),
        (42, colleagues),
        (43, met),
        (44, server),
        (45, gone),
        (51, theirs),
    ];
    let mut fleet = Fleet::new(habits, nodes.into());
    fleet.users = vec![
        EndUser {
            organization: OURS,
            uid: HIS.to_owned(),
            email: format!("Anna.{CANARY}@Example.com"),
        },
        EndUser {
            organization: OURS,
            uid: "uid-bert".to_owned(),
            email: format!("bert.{CANARY}@example.com"),
        },
        // A namesake of another client's, with the same address.
        EndUser {
            organization: THEIRS,
            uid: "uid-theirs".to_owned(),
            email: format!("anna.{CANARY}@example.com"),
        },
    ];
    let tags = [(1, "Pending wipe"), (2, "Repurpose"), (3, "VIP"), (4, "Third floor")];
    fleet.tags = tags.map(|(id, name)| (id, name.to_owned())).into();
    fleet.fields = ["offboardingState", "offboardScript"]
        .map(|name| (name.to_owned(), "READ_WRITE".to_owned()))
        .into();
    fleet.scripts = [12].into();
    fleet.script_writes = "offboardScript".to_owned();
    fleet
}

impl Stage {
    pub(crate) async fn with(habits: FleetHabits) -> Self {
        let clock = TestClock::at(T0);
        let fleet = Arc::new(Mutex::new(fleet(habits)));
        let tell = Arc::clone(&clock);
        let simulator = NinjaSimulator::start(Arc::clone(&fleet), Arc::new(move || tell.ms()))
            .await
            .unwrap();
        Self {
            fleet,
            clock,
            simulator,
        }
    }

    pub(crate) async fn kind() -> Self {
        Self::with(FleetHabits::default()).await
    }

    pub(crate) fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same without a socket, which remembers what it was asked.
    pub(crate) fn recorded(&self) -> Arc<Recorded> {
        let (fleet, clock) = (Arc::clone(&self.fleet), Arc::clone(&self.clock));
        Recorded::new(move |request| {
            let mut fleet = fleet.lock().unwrap_or_else(PoisonError::into_inner);
            NinjaFace.answer(&mut fleet, clock.ms(), request)
        })
    }

    pub(crate) fn settings(&self) -> NinjaSettings {
        settings(self.simulator.url())
    }

    pub(crate) fn open(&self) -> NinjaConnector {
        open(&self.settings())
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

    pub(crate) fn order(&self, fault: FleetFault) {
        self.fleet().faults.push(fault);
    }

    pub(crate) fn journal(&self) -> Vec<String> {
        self.fleet().journal().to_vec()
    }

    /// A change by somebody else.
    pub(crate) fn edit(&self, id: u64, how: impl FnOnce(&mut Node)) {
        let now_ms = self.clock.ms();
        self.fleet()
            .change(now_ms, None, |nodes| how(nodes.get_mut(&id).unwrap()));
    }
}

pub(crate) fn settings(url: &str) -> NinjaSettings {
    NinjaSettings {
        system: System::new("rmm").unwrap(),
        url: url.to_owned(),
        client_id: "client".to_owned(),
        secret: "s3cret-canary".into(),
        organization_id: OURS,
        tags: NinjaTags {
            pending_wipe: Some("Pending wipe".to_owned()),
            repurpose: Some("Repurpose".to_owned()),
        },
        state_field: Some("offboardingState".to_owned()),
        script: Some(NinjaScript {
            id: 12,
            field: "offboardScript".to_owned(),
            run_as: Some("system".to_owned()),
        }),
    }
}

pub(crate) fn open(settings: &NinjaSettings) -> NinjaConnector {
    NinjaConnector::open(&HttpClient::new().unwrap(), settings).unwrap()
}

pub(crate) fn anna() -> Whose {
    Whose {
        names: vec![format!("anna.{CANARY}@example.com")],
        shown_name: Some(format!("Anna {CANARY}")),
    }
}

pub(crate) fn id(n: u64) -> ObjectId {
    ObjectId(n.to_string())
}

/// No fault and no receipt names anybody.
pub(crate) fn quiet(fault: &Fault, call: &Call) {
    let said = format!("{fault} {fault:?} {call:?} {:?}", call.receipts());
    for secret in [CANARY, "canary", "tok-", "s3cret"] {
        assert!(!said.contains(secret), "{said}");
    }
}
