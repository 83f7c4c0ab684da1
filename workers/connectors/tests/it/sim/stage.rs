//! A world, its face, and a connector to one of its tenants.

use crate::common::{CERTIFICATE, KEY, TestClock, call_with};
use offboard_connectors::graph::{Credential, Endpoints, GraphConnector, GraphSettings, HttpClient, thumbprint};
use offboard_connectors::{
    Answer, Attached, Attachment, Call, Connector, Devices, Directory, Documents, Licenses, Mailboxes,
};
use offboard_domain::{ObjectId, System};
use offboard_sim::face::Simulator;
use offboard_sim::population::{ADMIN_APP, ADMIN_APP_SECRET, Cast, demo};
use offboard_sim::world::model::Person;
use offboard_sim::world::{Cruelty, Effect, Fault, Op, Tenant, World};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) const T0: i64 = 1_780_000_000_000;
const SEED: u64 = 42;

pub(crate) struct Stage {
    world: Arc<Mutex<World>>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) simulator: Simulator,
    pub(crate) tenant: String,
    pub(crate) cast: Cast,
    pub(crate) graph: GraphConnector,
}

impl Stage {
    pub(crate) async fn kind() -> Self {
        Self::with(Cruelty::kind(), false).await
    }

    pub(crate) async fn with(cruelty: Cruelty, certificate: bool) -> Self {
        let clock = TestClock::at(T0);
        let (mut world, tenants) = demo(SEED, cruelty, 2, 20, T0);
        let ours = tenants.into_iter().next().unwrap();
        let app = world.tenant_mut(&ours.id).unwrap().apps.get_mut(ADMIN_APP).unwrap();
        app.certificate = Some(thumbprint(CERTIFICATE).unwrap());
        let world = Arc::new(Mutex::new(world));
        let tell = Arc::clone(&clock);
        let simulator = Simulator::start(Arc::clone(&world), Arc::new(move || tell.ms()), None)
            .await
            .unwrap();
        let credential = if certificate {
            Credential::Certificate {
                certificate_pem: CERTIFICATE.into(),
                key_pem: KEY.into(),
            }
        } else {
            Credential::Secret(ADMIN_APP_SECRET.into())
        };
        let graph = open(&simulator, &ours.id, credential, &simulator.bases().sharepoint);
        Self {
            world,
            clock,
            simulator,
            tenant: ours.id,
            cast: ours.cast,
            graph,
        }
    }

    /// A connector whose token was not asked for yet.
    pub(crate) fn anew(&self, credential: Credential) -> GraphConnector {
        open(
            &self.simulator,
            &self.tenant,
            credential,
            &self.simulator.bases().sharepoint,
        )
    }

    /// A connector whose directory is configured by one of its domains.
    pub(crate) fn by_domain(&self, domain: &str) -> GraphConnector {
        let credential = Credential::Secret(ADMIN_APP_SECRET.into());
        open(&self.simulator, domain, credential, &self.simulator.bases().sharepoint)
    }

    /// A connector that reaches SharePoint there.
    pub(crate) fn with_sharepoint_at(&self, address: &str) -> GraphConnector {
        let credential = Credential::Certificate {
            certificate_pem: CERTIFICATE.into(),
            key_pem: KEY.into(),
        };
        open(&self.simulator, &self.tenant, credential, address)
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn truth<T>(&self, look: impl FnOnce(&Tenant) -> T) -> T {
        look(self.world().tenant(&self.tenant).unwrap())
    }

    pub(crate) fn arrange(&self, how: impl FnOnce(&mut Tenant)) {
        how(self.world().tenant_mut(&self.tenant).unwrap());
    }

    pub(crate) fn person(&self, id: &ObjectId) -> Person {
        self.truth(|t| t.person(&id.0).unwrap().clone())
    }

    pub(crate) fn order(&self, op: Op, fault: Fault) {
        self.world().order(op, fault, 1);
    }

    /// What has happened, with the person and the thing that it happened to.
    pub(crate) fn effects(&self) -> Vec<(Effect, String, String)> {
        self.world()
            .journal()
            .iter()
            .map(|e| (e.effect, e.subject.clone(), e.object.clone()))
            .collect()
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

    pub(crate) fn directory(&self) -> &dyn Directory {
        self.graph.directory().unwrap()
    }

    pub(crate) fn mailboxes(&self) -> &dyn Mailboxes {
        self.graph.mailboxes().unwrap()
    }

    /// What he holds on others' mailboxes, all of which are looked at.
    pub(crate) async fn held_on_others(&self, call: &mut Call, who: &ObjectId) -> Answer<Vec<Attached>> {
        let (mut from, mut own): (Option<String>, bool) = (None, false);
        let mut on: BTreeSet<ObjectId> = BTreeSet::new();
        loop {
            let page = self.mailboxes().others(call, who, from.as_deref()).await?;
            on.extend(page.shown);
            on.extend(self.mailboxes().held_among(call, who, &page.others).await?);
            own |= page.own;
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        assert!(own, "his own mailbox is on the list");
        let what = Attachment::DelegationsOn {
            others: on.into_iter().collect(),
        };
        self.mailboxes().attached(call, who, &what).await
    }

    pub(crate) fn devices(&self) -> &dyn Devices {
        self.graph.devices().unwrap()
    }

    pub(crate) fn licenses(&self) -> &dyn Licenses {
        self.graph.licenses().unwrap()
    }

    pub(crate) fn documents(&self) -> &dyn Documents {
        self.graph.documents().unwrap()
    }
}

fn open(simulator: &Simulator, tenant: &str, credential: Credential, sharepoint: &str) -> GraphConnector {
    let bases = simulator.bases();
    let settings = GraphSettings {
        system: System::new("m365").unwrap(),
        directory: tenant.to_owned(),
        client_id: ADMIN_APP.into(),
        credential,
        endpoints: Endpoints {
            login: bases.login.clone(),
            graph: bases.graph.clone(),
            exchange: bases.exchange.clone(),
            sharepoint: Some(sharepoint.to_owned()),
        },
    };
    GraphConnector::open(&HttpClient::new().unwrap(), &settings).unwrap()
}

pub(crate) fn id(text: &str) -> ObjectId {
    text.into()
}
