//! The simulated vendor inside this process: the real connector speaks its
//! wire protocol to the vendor's face, and no socket stands between, so that
//! paused time holds for both. Silence, delay and refusal are the world's;
//! death in the middle of a call is the process's.

use crate::beside::{self, Beside};
use crate::rng::Rng;
use crate::script;
use crate::secrets::Secrets;
use crate::simulation::Broken;
use crate::trouble::{Fate, Trouble};
use async_trait::async_trait;
use bytes::Bytes;
use offboard_connectors::Connector;
use offboard_connectors::graph::{
    CarriedAnswer, CarriedRequest, Carrier, Credential, Endpoints, GraphConnector, GraphSettings, HttpClient,
};
use offboard_domain::{System, TenantId, Timestamp};
use offboard_runtime::{Clock, Secret};
use offboard_sim::face::{Bases, GraphFace, WireAnswer, WireRequest};
use offboard_sim::population::{ADMIN_APP, ADMIN_APP_SECRET, DemoTenant};
use offboard_sim::world::{Cruelty, LicenceOrder, World};
use offboard_workers::Connectors;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Where the vendor, and what stands beside it, is said to be. Nothing listens there.
pub(crate) const ROOT: &str = "http://127.0.0.1:9";

/// The vendor and its tenants. It outlives every process.
pub(crate) struct Vendor {
    world: Mutex<World>,
    face: GraphFace,
    /// What nobody may read anywhere: what the world keeps, and what is shown or set over the wire.
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) tenants: BTreeMap<TenantId, DemoTenant>,
    /// Devices that were given away, and whose they were.
    given: Mutex<BTreeMap<String, String>>,
    /// What its tenants have besides.
    pub(crate) beside: Beside,
}

impl Vendor {
    pub(crate) fn new(world: World, tenants: Vec<DemoTenant>, beside: Beside) -> Arc<Self> {
        let named = tenants
            .into_iter()
            .filter_map(|t| Some((TenantId::new(&t.short).ok()?, t)));
        let secrets = Secrets::of(&world);
        for secret in beside.secrets() {
            secrets.learn(&secret);
        }
        for code in beside.codes() {
            secrets.learn_code(&code);
        }
        Arc::new(Self {
            secrets: Arc::new(secrets),
            world: Mutex::new(world),
            face: GraphFace::new(Bases::at(ROOT)),
            tenants: named.collect(),
            given: Mutex::default(),
            beside,
        })
    }

    /// One of the devices of these people is given to who administers the tenant. Which one;
    /// none: they have none.
    pub(crate) fn give_a_device_away(&self, rng: &mut Rng, now: Timestamp, of: &BTreeSet<String>) -> Option<String> {
        let mut world = self.world();
        let mut theirs: Vec<(&DemoTenant, String, String)> = Vec::new();
        for built in self.tenants.values() {
            let devices = world.tenant(&built.id).into_iter();
            let devices = devices.flat_map(|tenant| tenant.managed_devices.iter());
            let of_them = devices.filter(|(_, row)| of.contains(&row.user) && row.user != built.cast.administrator);
            theirs.extend(of_them.map(|(id, row)| (built, id.to_owned(), row.user.clone())));
        }
        let nth = usize::try_from(rng.below(theirs.len() as u64)).ok()?;
        let (built, id, had) = theirs.into_iter().nth(nth)?;
        let tenant = world.tenant_mut(&built.id)?;
        if !tenant.give_device(now.0, &id, &built.cast.administrator) {
            return None;
        }
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.insert(id.clone(), had);
        Some(id)
    }

    /// The world.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The canaries of a tenant's people.
    pub(crate) fn canaries(&self, tenant: &DemoTenant) -> Vec<String> {
        let world = self.world();
        let people = world
            .tenant(&tenant.id)
            .into_iter()
            .flat_map(|tenant| tenant.people.iter());
        people.map(|(_, person)| person.canary.clone()).collect()
    }

    /// What is random stops; what takes time still does.
    pub(crate) fn calm(&self) {
        let mut world = self.world();
        let calmed: Cruelty = world.cruelty().calmed();
        world.set_cruelty(calmed);
        self.beside.calm();
    }

    /// A token that is shown is secret from then on.
    pub(crate) fn learn_token(&self, wire: &WireRequest) {
        let shown = wire.headers.get("authorization");
        if let Some(token) = shown.and_then(|value| value.strip_prefix("Bearer ")) {
            self.secrets.learn(token);
        }
    }

    /// A password that is set in a workspace is secret from then on.
    pub(crate) fn learn_password(&self, wire: &WireRequest) {
        let body = serde_json::from_slice::<Value>(&wire.body).unwrap_or_default();
        if let Some(password) = body["password"].as_str() {
            self.secrets.learn(password);
        }
    }
}

/// What was carried, as it goes over the wire.
pub(crate) fn on_the_wire(request: CarriedRequest) -> WireRequest {
    let mut headers: BTreeMap<String, String> = request.headers.into_iter().collect();
    // A client that sends a body over the network says how long it is.
    if !request.body.is_empty() {
        headers.insert("content-length".to_owned(), request.body.len().to_string());
    }
    WireRequest {
        method: request.method,
        path: request.url.path().to_owned(),
        query: request.url.query().unwrap_or_default().to_owned(),
        headers,
        body: request.body.to_vec(),
    }
}

/// What came over the wire, as it is carried back.
pub(crate) fn carried(answer: WireAnswer) -> Option<CarriedAnswer> {
    match answer {
        WireAnswer::Lost { .. } | WireAnswer::Torn { .. } => None,
        WireAnswer::Response(response) => Some(CarriedAnswer {
            status: response.status,
            headers: response.headers,
            body: Bytes::from(response.body),
        }),
    }
}

/// One process's way to the vendor.
struct Wire {
    vendor: Arc<Vendor>,
    clock: Arc<dyn Clock>,
    trouble: Arc<Trouble>,
    broken: Option<Broken>,
    revoked: Mutex<BTreeSet<String>>,
}

impl Wire {
    /// Where a broken wire sends it instead.
    fn misled(&self, world: &World, path: String) -> String {
        let parts: Vec<&str> = path.split('/').collect();
        let (Some(Broken::AnotherLeaverIsRevoked), [.., "users", id, "revokeSignInSessions"]) =
            (self.broken, parts.as_slice())
        else {
            return path;
        };
        let mut revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        let colleague = world
            .tenants()
            .filter(|t| t.person(id).is_some())
            .find_map(|t| revoked.iter().find(|r| r.as_str() != *id && t.person(r).is_some()))
            .cloned();
        revoked.insert((*id).to_owned());
        match colleague {
            Some(colleague) => path.replace(id, &colleague),
            None => path,
        }
    }

    /// What a broken wire does besides.
    fn misbehave(&self, world: &mut World, wire: &WireRequest) {
        let now = self.clock.now().0;
        let parts: Vec<&str> = wire.path.split('/').collect();
        let callers: Vec<_> = world.tenants().filter_map(|t| world.caller(&t.id, ADMIN_APP)).collect();
        match (self.broken, parts.as_slice()) {
            (Some(Broken::LicencesGoEarly), [.., "users", id, "revokeSignInSessions"]) => {
                for caller in callers {
                    let person = world.tenant(&caller.tenant).and_then(|t| t.person(id)).cloned();
                    if let Some(person) = person {
                        let order = LicenceOrder {
                            remove: person.direct_licenses.iter().cloned().collect(),
                            ..LicenceOrder::default()
                        };
                        drop(world.assign_license(&caller, now, id, &order));
                    }
                }
            }
            (Some(Broken::WipesAreSentTwice), [.., "managedDevices", id, "wipe"]) => {
                for caller in callers {
                    drop(world.wipe_device(&caller, now, id, Some("123456")));
                }
            }
            _ => {}
        }
    }

    /// Tokens and passwords are made while it runs: each goes over the wire once at least.
    fn learn(&self, wire: &WireRequest) {
        self.vendor.learn_token(wire);
        if !matches!(wire.method.as_str(), "PATCH" | "POST") {
            return;
        }
        let Ok(body) = serde_json::from_slice::<Value>(&wire.body) else {
            return;
        };
        if let Some(password) = body["passwordProfile"]["password"].as_str() {
            self.vendor.secrets.learn(password);
        }
        if let Some(code) = body["macOsUnlockCode"].as_str() {
            self.vendor.secrets.learn_code(code);
        }
    }

    /// What the vendor answers, unless a broken wire puts a secret where names stand or an
    /// owner of before, or leaves messages out of a list.
    fn told(&self, path: &str, body: Bytes) -> Bytes {
        let change: &dyn Fn(&mut Value) = match self.broken {
            Some(Broken::SecretsStandForNames) => &|told| name_after(ADMIN_APP_SECRET, told),
            Some(Broken::MessagesAreHidden) if path.ends_with("/messages") => &without_flagged,
            Some(Broken::OwnersStayOld) => &|told| {
                let given = self.vendor.given.lock().unwrap_or_else(PoisonError::into_inner);
                owned_as_before(&given, told);
            },
            _ => return body,
        };
        let Ok(mut told) = serde_json::from_slice::<Value>(&body) else {
            return body;
        };
        change(&mut told);
        Bytes::from(told.to_string())
    }
}

/// Leaves what is flagged out of a list of messages.
fn without_flagged(told: &mut Value) {
    if let Some(all) = told.get_mut("value").and_then(Value::as_array_mut) {
        all.retain(|message| message["flag"]["flagStatus"] != "flagged");
    }
}

/// Puts a text wherever a name of somebody or of something stands.
fn name_after(text: &str, told: &mut Value) {
    match told {
        Value::Object(fields) => {
            for (field, value) in fields {
                if value.is_string() && (field == "userPrincipalName" || field == "displayName") {
                    *value = Value::from(text);
                }
                name_after(text, value);
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|value| name_after(text, value)),
        _ => {}
    }
}

/// Puts the former owner into every record of a device that was given away.
fn owned_as_before(given: &BTreeMap<String, String>, told: &mut Value) {
    match told {
        Value::Object(fields) => {
            let had = fields.get("id").and_then(Value::as_str).and_then(|id| given.get(id));
            if let (Some(had), Some(user)) = (had.cloned(), fields.get_mut("userId")) {
                *user = Value::from(had);
            }
            fields.values_mut().for_each(|value| owned_as_before(given, value));
        }
        Value::Array(all) => all.iter_mut().for_each(|value| owned_as_before(given, value)),
        _ => {}
    }
}

#[async_trait]
impl Carrier for Wire {
    async fn carry(&self, request: CarriedRequest) -> Option<CarriedAnswer> {
        let fate = self.trouble.meet_death().await;
        if fate == Fate::DiesBefore {
            self.trouble.die().await;
        }
        let mut wire = on_the_wire(request);
        wire.path = self.misled(&self.vendor.world(), wire.path);
        self.learn(&wire);
        let answer = {
            let mut world = self.vendor.world();
            if let Some(post) = self.vendor.beside.post() {
                post.changes(&mut world, self.clock.now(), &wire.path);
            }
            let answer = self.vendor.face.answer(&mut world, self.clock.now().0, &wire);
            self.misbehave(&mut world, &wire);
            answer
        };
        if fate == Fate::DiesAfter {
            self.trouble.die().await;
        }
        let latency_ms = u64::try_from(answer.latency_ms()).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(latency_ms)).await;
        let answer = carried(answer)?;
        Some(CarriedAnswer {
            body: self.told(&wire.path, answer.body),
            ..answer
        })
    }
}

/// One worker's connectors.
pub(crate) struct Reached(BTreeMap<(TenantId, System), Arc<dyn Connector>>);

impl Reached {
    /// Every tenant of the vendor, reached by a process with this fortune.
    pub(crate) fn new(
        vendor: &Arc<Vendor>,
        clock: &Arc<dyn Clock>,
        trouble: &Arc<Trouble>,
        broken: Option<Broken>,
    ) -> Self {
        let system = script::system();
        let wire = Wire {
            vendor: vendor.clone(),
            clock: clock.clone(),
            trouble: trouble.clone(),
            broken,
            revoked: Mutex::default(),
        };
        let http = HttpClient::carried_by(Arc::new(wire));
        let bases = Bases::at(ROOT);
        let endpoints = Endpoints {
            login: bases.login,
            graph: bases.graph,
            exchange: bases.exchange,
            sharepoint: Some(bases.sharepoint),
        };
        let mut reached: BTreeMap<(TenantId, System), Arc<dyn Connector>> = BTreeMap::new();
        for (nth, (tenant, built)) in vendor.tenants.iter().enumerate() {
            let settings = GraphSettings {
                system: system.clone(),
                directory: built.id.clone(),
                client_id: ADMIN_APP.to_owned(),
                credential: Credential::Secret(Secret::new(ADMIN_APP_SECRET)),
                endpoints: endpoints.clone(),
            };
            let connector = GraphConnector::open(&http, &settings).expect("the simulated vendor's addresses are sound");
            reached.insert((tenant.clone(), system.clone()), Arc::new(connector));
            let beside = beside::connectors(vendor, clock, trouble, (nth, tenant));
            reached.extend(
                beside
                    .into_iter()
                    .map(|(system, connector)| ((tenant.clone(), system), connector)),
            );
        }
        Self(reached)
    }
}

impl Connectors for Reached {
    fn get(&self, tenant: &TenantId, system: &System) -> Option<Arc<dyn Connector>> {
        self.0.get(&(tenant.clone(), system.clone())).cloned()
    }
}
