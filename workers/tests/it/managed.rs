//! A departure's tasks in a remote management, attempt by attempt, through the
//! real connector against a simulated NinjaOne: found, marked, run, cleared,
//! decommissioned, read again, and a script that is never run twice.

use crate::stage::{One, Told};
use offboard_connectors::graph::HttpClient;
use offboard_connectors::ninja::{NinjaConnector, NinjaScript, NinjaSettings, NinjaTags};
use offboard_domain::catalogue::apps::NAMES;
use offboard_domain::catalogue::managed::{CLEARED, CONFIRMED, SHOWN_NAME};
use offboard_domain::estate::{self, Holding, Serial, Sighting};
use offboard_domain::{
    Assignment, CaseId, Check, Digest, Facts, FaultClass, Find, Kind, Lane, Mode, Observation, Report, Said, Subject,
    System, Target, TaskId, TenantId, Verdict, judge,
};
use offboard_runtime::Clock;
use offboard_sim::face::NinjaSimulator;
use offboard_sim::world::fleet::{EndUser, Fleet, FleetFault, FleetHabits, Node};
use offboard_store::Store;
use offboard_workers::{Context, attempt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Is in every name; and in no report.
const CANARY: &str = "kanarienvogel";
const T0: i64 = 1_780_000_000_000;

/// A management, and a worker that serves one company's part of it.
struct Desk {
    fleet: Arc<Mutex<Fleet>>,
    clock: Arc<Told>,
    context: Context,
    _simulator: NinjaSimulator,
}

fn rmm() -> System {
    System::new("rmm").unwrap()
}

fn fleet(habits: FleetHabits) -> Fleet {
    let mut his = Node::of(7, "5CG1111");
    his.owner = Some("uid-anna".to_owned());
    his.tags = [3].into();
    let mut met = Node::of(7, "5CG3333");
    met.signed_in = vec![format!("CONTOSO\\anna.{CANARY}")];
    let mut theirs = Node::of(8, "5CG1111");
    theirs.owner = Some("uid-anna".to_owned());
    let mut fleet = Fleet::new(habits, [(41, his), (43, met), (51, theirs)].into());
    fleet.users = vec![EndUser {
        organization: 7,
        uid: "uid-anna".to_owned(),
        email: format!("anna.{CANARY}@example.com"),
    }];
    fleet.tags = [(1, "Pending wipe"), (3, "VIP")]
        .map(|(id, name)| (id, name.to_owned()))
        .into();
    fleet.fields = [("state", "READ_WRITE"), ("ran", "READ_WRITE")]
        .map(|(name, may)| (name.to_owned(), may.to_owned()))
        .into();
    fleet.scripts = [12].into();
    fleet.script_writes = "ran".to_owned();
    fleet
}

impl Desk {
    async fn with(habits: FleetHabits) -> Self {
        let clock = Told::at(T0);
        let fleet = Arc::new(Mutex::new(fleet(habits)));
        let tell = Arc::clone(&clock);
        let simulator = NinjaSimulator::start(Arc::clone(&fleet), Arc::new(move || tell.now().0)).await;
        let simulator = simulator.unwrap();
        let settings = NinjaSettings {
            system: rmm(),
            url: simulator.url().to_owned(),
            client_id: "client".to_owned(),
            secret: "s3cret-canary".into(),
            organization_id: 7,
            tags: NinjaTags {
                pending_wipe: Some("Pending wipe".to_owned()),
                repurpose: None,
            },
            state_field: Some("state".to_owned()),
            script: Some(NinjaScript {
                id: 12,
                field: "ran".to_owned(),
                run_as: None,
            }),
        };
        let ninja = NinjaConnector::open(&HttpClient::new().unwrap(), &settings).unwrap();
        let context = Context {
            store: Store::memory(),
            connectors: Arc::new(One(Arc::new(ninja))),
            escrow: None,
            clock: clock.clone(),
        };
        Self {
            fleet,
            clock,
            context,
            _simulator: simulator,
        }
    }

    fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass(&self, ms: i64) {
        self.clock.pass(ms);
    }

    fn assignment(&self, find: &Find, mode: Mode) -> Assignment {
        let tenant = TenantId::new("acme").unwrap();
        let case = CaseId::derive(&tenant, "HR-1");
        let object = (!find.object.0.is_empty()).then(|| find.object.clone());
        Assignment {
            tenant,
            case,
            task: TaskId::derive(case, find.kind.name(), &rmm(), object.as_ref()),
            attempt: 1,
            kind: find.kind,
            target: Target { system: rmm(), object },
            subject: Subject::default(),
            params: find.params.clone(),
            mode,
            checkpoint: None,
            checks: Vec::new(),
            start_by: self.clock.now().plus(300_000),
            run_for_ms: find.kind.spec().run_for_ms,
            version: 3,
            head: Digest::ZERO,
            traceparent: None,
        }
    }

    async fn run(&self, assignment: &Assignment) -> Said {
        let report: Report = attempt(assignment, Lane::Normal, false, &self.context).await;
        let text = serde_json::to_string(&report).unwrap();
        let named = [CANARY, "canary", "tok-"]
            .iter()
            .any(|s| text.to_lowercase().contains(s));
        assert!(!named, "{text}");
        report.said
    }

    async fn order(&self, find: &Find) -> Said {
        self.run(&self.assignment(find, Mode::Full)).await
    }

    async fn find(&self, others: &[Sighting]) -> (Observation, Vec<Find>) {
        let params = Facts::new()
            .with(NAMES, vec![format!("Anna.{CANARY}@example.com")])
            .with(SHOWN_NAME, format!("Anna {CANARY}"))
            .with("wipe_company_devices", true);
        let mut find = Find {
            kind: Kind::DiscoverManaged,
            object: "".into(),
            params,
        };
        find.params.0.extend(estate::told(others).0);
        match self.order(&find).await {
            Said::Found { observation, finds } => (observation, finds),
            said => panic!("{said:?}"),
        }
    }
}

fn of(finds: &[Find], kind: Kind, object: &str) -> Find {
    finds
        .iter()
        .find(|f| f.kind == kind && f.object.0 == object)
        .unwrap()
        .clone()
}

fn settled(find: &Find, said: &Said) -> bool {
    let Said::Satisfied { after, .. } = said else {
        return false;
    };
    judge(find.kind, &find.params, &after.facts, None) == Verdict::Satisfied
}

fn in_intune() -> Vec<Sighting> {
    vec![Sighting {
        system: System::new("m365").unwrap(),
        id: "m-1".into(),
        serial: Serial::parse("5cg1111"),
        device_id: None,
        held: Holding::ManagedCompany,
    }]
}

#[tokio::test]
async fn a_laptop_that_the_cloud_wipes_is_marked_cleared_and_decommissioned() {
    let small = FleetHabits {
        page_max: 1,
        numbers_as_text: true,
        forgets: true,
        lag_ms: 3_000,
        ..FleetHabits::default()
    };
    for habits in [FleetHabits::default(), small] {
        let desk = Desk::with(habits).await;
        let untouched = desk.fleet().nodes().clone();
        let (seen, finds) = desk.find(&in_intune()).await;
        assert_eq!(
            judge(Kind::DiscoverManaged, &Facts::new(), &seen.facts, None),
            Verdict::Satisfied
        );
        assert!(finds.iter().all(|f| f.kind != Kind::RunManagedScript));
        for kind in [
            Kind::MarkManaged,
            Kind::MaintainManaged,
            Kind::ClearManagedOwner,
            Kind::Decommission,
        ] {
            let mut find = of(&finds, kind, "41");
            if kind == Kind::Decommission {
                // As a dispatcher tells whoever ends it.
                find.params.set(CLEARED, true);
            }
            let mut said = desk.order(&find).await;
            // Its record may be late; the order is not repeated for that.
            while let Said::Wait { until, checkpoint, .. } = said {
                desk.clock.sleep_until(until).await;
                let mut again = desk.assignment(&find, Mode::ObserveOnly);
                again.checkpoint = checkpoint;
                said = match desk.run(&again).await {
                    Said::Observed { observation } => Said::Satisfied {
                        before: observation.clone(),
                        after: observation,
                    },
                    other => other,
                };
            }
            assert!(settled(&find, &said), "{kind}: {said:?}");
            if kind.spec().convergent {
                assert!(settled(&find, &desk.order(&find).await), "{kind}: twice is once");
            }
        }
        assert_eq!(
            desk.fleet().journal(),
            [
                "tags 41",
                "fields 41",
                "maintenance 41",
                "clear owner 41",
                "decommission 41"
            ]
        );
        for id in [43, 51] {
            assert_eq!(desk.fleet().nodes()[&id], untouched[&id], "{id}");
        }
        assert_eq!(desk.fleet().nodes()[&41].tags, [1, 3].into());
        // The closing round finds each as it was left, the record gone or not.
        desk.pass(10_000);
        let checks = [Kind::ClearManagedOwner, Kind::Decommission].map(|kind| {
            let mut find = of(&finds, kind, "41");
            if kind == Kind::Decommission {
                find.params.set(CLEARED, true);
            }
            let assignment = desk.assignment(&find, Mode::ObserveOnly);
            Check {
                task: assignment.task,
                kind,
                target: assignment.target,
                params: find.params,
            }
        });
        let round = Find {
            kind: Kind::ObserveDevice,
            object: "round-1".into(),
            params: Facts::new(),
        };
        let mut again = desk.assignment(&round, Mode::Full);
        again.checks = checks.into();
        let Said::Checked { results } = desk.run(&again).await else {
            panic!("not read again")
        };
        for (check, result) in again.checks.iter().zip(&results) {
            let verdict = judge(check.kind, &check.params, &result.observation.facts, None);
            let same = matches!(verdict, Verdict::Satisfied | Verdict::NotApplicable(_));
            assert!(same, "{}: {verdict:?}", check.kind);
        }
    }
}

#[tokio::test]
async fn a_device_that_nothing_can_wipe_is_a_person_s_and_then_the_script_s() {
    let desk = Desk::with(FleetHabits::default()).await;
    let (seen, finds) = desk.find(&[]).await;
    assert_eq!(seen.facts.text("elsewhere/41"), Some("unknown"));
    drop(of(&finds, Kind::DecideDevice, "rmm/41"));
    let find = of(&finds, Kind::RunManagedScript, "41");
    let Said::Wait { until, checkpoint, .. } = desk.order(&find).await else {
        panic!("not awaited")
    };
    desk.clock.sleep_until(until).await;
    let mut again = desk.assignment(&find, Mode::ObserveOnly);
    again.checkpoint = checkpoint;
    let Said::Observed { observation } = desk.run(&again).await else {
        panic!("not read")
    };
    assert_eq!(
        judge(find.kind, &find.params, &observation.facts, None),
        Verdict::Satisfied
    );
    assert_eq!(desk.fleet().journal(), ["run 41"]);
}

#[tokio::test]
async fn a_script_whose_order_was_not_answered_is_read_and_not_repeated() {
    for (shows, happened, conclusive, waits) in [
        (true, true, false, true),
        (false, true, false, false),
        (true, false, true, false),
    ] {
        let desk = Desk::with(FleetHabits {
            shows_parameters: shows,
            runs_after_ms: None,
            ..FleetHabits::default()
        })
        .await;
        let (_, finds) = desk.find(&[]).await;
        let find = of(&finds, Kind::RunManagedScript, "41");
        desk.fleet().write_faults = vec![FleetFault::Cut(happened)];
        let said = desk.order(&find).await;
        assert!(
            matches!(&said, Said::Fault { fault } if fault.class == FaultClass::Unknown),
            "{said:?}"
        );
        // As a dispatcher has it: only read, once the order can be with nobody.
        desk.pass(600_000);
        let said = desk.run(&desk.assignment(&find, Mode::ObserveOnly)).await;
        match said {
            Said::Wait { .. } => assert!(waits),
            Said::Observed { observation } => {
                assert!(!waits);
                assert_eq!(observation.facts.bool("conclusive"), Some(conclusive));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(desk.fleet().journal().len(), usize::from(happened));
    }
}

#[tokio::test]
async fn a_candidate_is_touched_only_after_a_person_s_word() {
    let desk = Desk::with(FleetHabits::default()).await;
    let (seen, finds) = desk.find(&in_intune()).await;
    assert_eq!(seen.facts.list("candidate_ids").unwrap(), ["43"]);
    drop(of(&finds, Kind::ConfirmManagedDevice, "rmm/43"));
    let mut look = of(&finds, Kind::DiscoverConfirmed, "43");
    assert!(
        finds
            .iter()
            .filter(|f| f.object.0 == "43")
            .all(|f| f.kind == Kind::DiscoverConfirmed)
    );
    for (confirmed, some) in [(false, false), (true, true)] {
        look.params.set(CONFIRMED, confirmed);
        let Said::Found { finds, .. } = desk.order(&look).await else {
            panic!("not looked at")
        };
        assert_eq!(!finds.is_empty(), some);
        assert!(
            finds.iter().all(|f| f.kind != Kind::ClearManagedOwner),
            "it is nobody's"
        );
    }
    assert_eq!(desk.fleet().journal(), Vec::<String>::new());
}
