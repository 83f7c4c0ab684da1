//! A wipe that a busy server was sent, through the real connector and without a network. It
//! may have passed the order on, which is listed late: it is looked for, and never ordered
//! again. One that was asked too often has not.

use crate::stage::{One, Told};
use async_trait::async_trait;
use bytes::Bytes;
use offboard_connectors::graph::{
    CarriedAnswer, CarriedRequest, Carrier, Credential, Endpoints, GraphConnector, GraphSettings, HttpClient,
};
use offboard_domain::{
    Assignment, CaseId, Digest, Facts, FaultClass, Kind, Lane, Mode, ObjectId, Said, Subject, System, Target, TaskId,
    TenantId, Timestamp, Verdict, judge,
};
use offboard_runtime::Clock;
use offboard_store::Store;
use offboard_workers::{Context, attempt};
use serde_json::json;
use std::sync::{Arc, Mutex};

const T0: i64 = 1_780_000_000_000;
const MINUTE_MS: i64 = 60_000;
/// An order is listed so long after it was given, and has been carried out so long after it.
const LISTED_AFTER_MS: i64 = 20 * MINUTE_MS;
const DONE_AFTER_MS: i64 = 40 * MINUTE_MS;
const LEAVER: &str = "11111111-1111-4111-8111-111111111111";
const DEVICE: &str = "22222222-2222-4222-8222-222222222222";

/// The device management, as far as a wipe goes.
struct Intune {
    clock: Arc<Told>,
    /// What the first order is answered with, and whether it was taken.
    first: (u16, bool),
    /// Each order that came, and when it was given if it was taken.
    orders: Mutex<Vec<Option<i64>>>,
}

impl Intune {
    fn taken(&self) -> Vec<i64> {
        self.orders.lock().unwrap().iter().copied().flatten().collect()
    }

    fn order(&self) -> u16 {
        let mut orders = self.orders.lock().unwrap();
        let (status, takes) = if orders.is_empty() { self.first } else { (204, true) };
        orders.push(takes.then(|| self.clock.now().0));
        status
    }

    fn record(&self) -> serde_json::Value {
        let age = |at: &i64| self.clock.now().0 - at;
        let listed = self.taken().into_iter().filter(|at| age(at) >= LISTED_AFTER_MS);
        let state = |at: &i64| if age(at) >= DONE_AFTER_MS { "done" } else { "pending" };
        let actions: Vec<serde_json::Value> = listed
            .map(|at| json!({"actionName": "wipe", "actionState": state(&at), "startDateTime": Timestamp(at).to_string()}))
            .collect();
        json!({
            "id": DEVICE,
            "userId": LEAVER,
            "managedDeviceOwnerType": "company",
            "managementState": "managed",
            "operatingSystem": "Windows",
            "deviceActionResults": actions,
        })
    }
}

#[async_trait]
impl Carrier for Intune {
    async fn carry(&self, request: CarriedRequest) -> Option<CarriedAnswer> {
        let path = request.url.path();
        let (status, body) = match request.method.as_str() {
            "POST" if path.ends_with("/token") => {
                let token = json!({"access_token": "t", "expires_in": 86_400, "token_type": "Bearer"});
                (200, token.to_string())
            }
            "POST" if path.ends_with(&format!("/{DEVICE}/wipe")) => (self.order(), String::new()),
            "GET" if path.ends_with(&format!("/managedDevices/{DEVICE}")) => (200, self.record().to_string()),
            _ => (404, String::new()),
        };
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        if matches!(status, 429 | 503) {
            headers.push(("retry-after".to_owned(), "7".to_owned()));
        }
        Some(CarriedAnswer {
            status,
            headers,
            body: Bytes::from(body),
        })
    }
}

/// The device is wiped, as a dispatcher has it: only what is Unknown, or waited for, is read
/// before anything else. What each fault was.
async fn wiped(intune: &Arc<Intune>) -> Vec<FaultClass> {
    const ATTEMPTS_MAX: u32 = 60;
    let root = "http://127.0.0.1:9";
    let settings = GraphSettings {
        system: System::new("m365").unwrap(),
        directory: "5f9e1a3c-0000-4000-8000-000000000001".to_owned(),
        client_id: "c".to_owned(),
        credential: Credential::Secret("s3cret".into()),
        endpoints: Endpoints {
            login: format!("{root}/login"),
            graph: format!("{root}/graph"),
            exchange: format!("{root}/exchange"),
            sharepoint: Some(format!("{root}/sharepoint")),
        },
    };
    let carrier: Arc<dyn Carrier> = Arc::<Intune>::clone(intune);
    let graph = GraphConnector::open(&HttpClient::carried_by(carrier), &settings).unwrap();
    let clock: Arc<dyn Clock> = Arc::<Told>::clone(&intune.clock);
    let context = Context {
        store: Store::memory(),
        connectors: Arc::new(One(Arc::new(graph))),
        escrow: None,
        clock,
    };
    let tenant = TenantId::new("acme").unwrap();
    let case = CaseId::derive(&tenant, "HR-1");
    let object = ObjectId::from(DEVICE);
    let kind = Kind::WipeDevice;
    let mut order = Assignment {
        task: TaskId::derive(case, kind.name(), &settings.system, Some(&object)),
        tenant,
        case,
        attempt: 0,
        kind,
        target: Target {
            system: settings.system.clone(),
            object: Some(object),
        },
        subject: Subject([(settings.system.clone(), LEAVER.into())].into()),
        params: Facts::new().with("managed_id", DEVICE),
        mode: Mode::Full,
        checkpoint: None,
        checks: Vec::new(),
        start_by: Timestamp(0),
        run_for_ms: kind.spec().run_for_ms,
        version: 9,
        head: Digest::ZERO,
        traceparent: None,
    };
    let mut met = Vec::new();
    for nth in 1..=ATTEMPTS_MAX {
        order.attempt = nth;
        order.start_by = intune.clock.now().plus(5 * MINUTE_MS);
        match attempt(&order, Lane::Normal, false, &context).await.said {
            Said::Fault { fault } => {
                met.push(fault.class);
                if fault.class == FaultClass::Unknown {
                    order.mode = Mode::ObserveOnly;
                }
                intune.clock.sleep_until(intune.clock.now().plus(MINUTE_MS)).await;
            }
            Said::Wait { until, checkpoint, .. } => {
                (order.mode, order.checkpoint) = (Mode::ObserveOnly, checkpoint);
                intune.clock.sleep_until(until).await;
            }
            Said::Observed { observation } => {
                let verdict = judge(kind, &order.params, &observation.facts, None);
                assert_eq!(verdict, Verdict::Satisfied, "{observation:?}");
                return met;
            }
            said => panic!("{said:?}"),
        }
    }
    panic!("it is never seen to be wiped: {met:?}");
}

fn intune(first: (u16, bool)) -> Arc<Intune> {
    Arc::new(Intune {
        clock: Told::at(T0),
        first,
        orders: Mutex::default(),
    })
}

#[tokio::test]
async fn a_wipe_that_a_busy_server_took_is_looked_for_and_not_ordered_again() {
    for status in [503, 504] {
        let intune = intune((status, true));
        assert_eq!(wiped(&intune).await, [FaultClass::Unknown], "{status}");
        assert_eq!(*intune.orders.lock().unwrap(), [Some(T0)], "{status}");
    }
}

#[tokio::test]
async fn a_wipe_that_was_asked_for_too_often_is_ordered_again_and_not_looked_for() {
    let intune = intune((429, false));
    let told = FaultClass::Throttled {
        retry_after_ms: Some(7_000),
    };
    assert_eq!(wiped(&intune).await, [told]);
    assert_eq!(*intune.orders.lock().unwrap(), [None, Some(T0 + MINUTE_MS)]);
}
