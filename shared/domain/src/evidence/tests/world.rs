//! A case driven through `decide` by a model worker and model people, kept as
//! records: the histories that evidence is tested on.

use crate::assignment::{Artifact, Check, Checked, Find, Receipt, Report, Said};
use crate::case::{Case, CaseState};
use crate::catalogue::{Area, Kind, premises};
use crate::command::{ApprovalOf, Command};
use crate::decide::decide;
use crate::departure::{Choices, Departure, Forwarding, Manner, PersonRef};
use crate::event::seal_events;
use crate::evidence::Recorded;
use crate::fault::{Fault, FaultClass};
use crate::gates::Gates;
use crate::id::{Digest, System, TaskId, TenantId};
use crate::judge::Cond;
use crate::observation::{Fact, Facts, Observation};
use crate::policy::{Capabilities, Policy};
use crate::record::{CaseKey, Record};
use crate::standing::{Standing, next, standing};
use crate::task::Task;
use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A Monday morning.
pub(super) const T0: Timestamp = Timestamp(1_795_424_400_000);
/// Text that no evidence may contain.
pub(super) const CANARY: &str = "Please write to my successor instead; canary-4711";

/// What happens to a task's next attempt instead of success.
pub(super) enum Mishap {
    Fault(FaultClass),
    /// Nobody answers until the assignment has run out; then the answer comes.
    Late,
    Wait,
}

pub(super) struct World {
    pub(super) case: Option<Case>,
    pub(super) history: Vec<Recorded>,
    pub(super) now: Timestamp,
    pub(super) mishaps: BTreeMap<Kind, Vec<Mishap>>,
    pub(super) finds: Vec<Find>,
    /// Kinds that differ in the first closing round.
    pub(super) undone: Vec<Kind>,
    /// Facts beside those that satisfy.
    pub(super) extra: BTreeMap<Kind, Facts>,
    gates: Gates,
    key: CaseKey,
    tick: i64,
}

pub(super) fn m365() -> System {
    System::new("m365").unwrap()
}

pub(super) fn departure(manner: Manner) -> Departure {
    Departure {
        tenant: TenantId::new("musterwerk").unwrap(),
        reference: Some("HR-2026-0417".into()),
        person: PersonRef {
            user_principal_name: Some("juergen.gross@musterwerk.example".into()),
            employee_id: Some("10442".into()),
            display_name: Some("Jürgen Groß".into()),
            ..PersonRef::default()
        },
        manner,
        effective_at: T0.plus(5 * MINUTE_MS),
        of_day: None,
        requested_by: "hr@musterwerk.example".into(),
        handed_in_by: None,
        requested_at: T0.plus(-2 * MINUTE_MS),
        successor: Some(PersonRef {
            user_principal_name: Some("aylin.oezdemir@musterwerk.example".into()),
            display_name: Some("Aylin Özdemir".into()),
            ..PersonRef::default()
        }),
        choices: Choices {
            automatic_reply: Some(CANARY.into()),
            forwarding: Some(Forwarding::Successor),
            wipe_company_devices: Some(true),
            ..Choices::default()
        },
    }
}

impl World {
    pub(super) fn open(departure: Departure, kinds: &[Kind], policy: Policy) -> Self {
        let mut world = Self {
            case: None,
            history: Vec::new(),
            now: T0,
            mishaps: BTreeMap::new(),
            finds: Vec::new(),
            undone: Vec::new(),
            extra: BTreeMap::new(),
            gates: Gates::open(),
            key: CaseKey::derive(&[7; 32], &[9; 32]),
            tick: 0,
        };
        let capabilities = Capabilities([(m365(), kinds.iter().copied().collect())].into());
        world.order(Command::Open {
            departure: Arc::new(departure),
            policy: Arc::new(policy),
            capabilities: Arc::new(capabilities),
            traceparent: None,
        });
        world
    }

    pub(super) fn case(&self) -> &Case {
        self.case.as_ref().unwrap()
    }

    pub(super) fn id(&self, kind: Kind) -> TaskId {
        self.case().tasks.values().find(|t| t.kind() == kind).unwrap().id()
    }

    pub(super) fn order(&mut self, command: Command) {
        let decision = decide(self.case.as_ref(), command, self.now, &self.gates).unwrap();
        let (version, head) = self.case.as_ref().map_or((0, Digest::ZERO), |c| (c.version, c.head));
        let records: Vec<Record> = seal_events(&self.key, version, head, self.now, &decision.events);
        let mut case = decision.case;
        for (record, event) in records.iter().zip(&decision.events) {
            case.recorded(event, record.version, record.hash);
        }
        self.case = Some(case);
        let both = records.into_iter().zip(decision.events);
        self.history.extend(both.map(|(record, event)| Recorded {
            record,
            at: self.now,
            event,
        }));
    }

    /// Some seconds pass, never the same number.
    fn moment(&mut self) {
        self.tick += 1;
        self.now = self
            .now
            .plus((1 + self.tick * 7 % 5) * SECOND_MS + self.tick * 37 % 900);
    }

    pub(super) fn report(&self, task: &Task, said: Said) -> Report {
        let case = self.case();
        let ordered_by = task.ordered_by.unwrap();
        let n = case.version;
        let write = task.kind().spec().writes;
        let method = if write { "PATCH" } else { "GET" };
        Report {
            tenant: case.departure.tenant.clone(),
            case: case.id,
            task: task.id(),
            attempt: task.attempt,
            version: ordered_by.version,
            head: ordered_by.head,
            at: self.now,
            said,
            seen: None,
            remembered: None,
            writes: None,
            receipts: vec![Receipt {
                at: self.now,
                request: format!("{method} /users/{{id}}"),
                status: if write { 204 } else { 200 },
                request_id: Some(format!("5f0c6a1e-0000-4000-8000-{n:012}")),
            }],
            artifacts: if task.kind().name().contains("snapshot") {
                vec![Artifact {
                    name: task.kind().name().replace('.', "-"),
                    digest: Digest::of(task.kind().name().as_bytes()),
                    media_type: "application/json".into(),
                    size_bytes: 2_048,
                }]
            } else {
                Vec::new()
            },
        }
    }

    fn seen(&self, facts: Facts) -> Observation {
        Observation {
            read_at: self.now,
            sources: vec!["graph".into()],
            facts,
        }
    }

    fn good(&self, kind: Kind, params: &Facts) -> (Facts, Facts) {
        let (mut before, mut after) = (Facts::new(), Facts::new());
        satisfy(&kind.spec().judge.satisfied, params, &mut before, &mut after);
        if !kind.spec().writes {
            before = after.clone();
        }
        for (name, fact) in self.extra.get(&kind).iter().flat_map(|f| &f.0) {
            after.set(name, fact.clone());
            before.set(name, fact.clone());
        }
        (before, after)
    }

    fn success(&mut self, task: &Task) -> Said {
        let kind = task.kind();
        if kind.is_closing_round() {
            let checks = self.case().assignment(task.id()).unwrap().checks;
            return Said::Checked {
                results: checks.iter().map(|c| self.checked(c)).collect(),
            };
        }
        let (before, after) = self.good(kind, &task.planned.params);
        let (before, after) = (self.seen(before), self.seen(after));
        if kind.spec().finds.is_empty() {
            Said::Satisfied { before, after }
        } else {
            let mut finds = self.finds.clone();
            finds.retain(|f| kind.spec().finds.contains(&f.kind));
            Said::Found {
                observation: after,
                finds,
            }
        }
    }

    fn checked(&self, check: &Check) -> Checked {
        let (before, after) = self.good(check.kind, &check.params);
        let undone = self.case().round == 1 && self.undone.contains(&check.kind);
        let facts = if undone { before } else { after };
        Checked {
            task: check.task,
            observation: self.seen(facts),
        }
    }

    pub(super) fn answer(&mut self, id: TaskId) {
        self.moment();
        let task = self.case().tasks[&id].clone();
        let mishap = self
            .mishaps
            .get_mut(&task.kind())
            .filter(|m| !m.is_empty())
            .map(|m| m.remove(0));
        let said = match mishap {
            None => self.success(&task),
            Some(Mishap::Wait) => Said::Wait {
                until: self.now.plus(15 * MINUTE_MS),
                why: "the device has not checked in".into(),
                checkpoint: None,
            },
            Some(Mishap::Fault(class)) => Said::Fault { fault: fault(class) },
            Some(Mishap::Late) => {
                let said = self.success(&task);
                let report = self.report(&task, said);
                self.now = task.in_flight().unwrap().over_at();
                self.order(Command::Tick);
                self.moment();
                self.order(Command::RecordReport(Box::new(report)));
                return;
            }
        };
        let report = self.report(&task, said);
        self.order(Command::RecordReport(Box::new(report)));
    }

    /// Answers everything in flight until nothing is.
    pub(super) fn drain(&mut self) {
        for _ in 0..500 {
            let flying = self
                .case()
                .tasks
                .values()
                .find(|t| t.in_flight().is_some())
                .map(|t| t.id());
            let Some(id) = flying else { return };
            self.answer(id);
        }
        panic!("it does not come to rest");
    }

    /// One person does one thing; false if nobody is waited for.
    pub(super) fn person(&mut self) -> bool {
        let case = self.case().clone();
        let waiting = case
            .tasks
            .values()
            .filter_map(|t| {
                let s = standing(&case, t, self.now, &self.gates);
                matches!(
                    s,
                    Standing::WaitsForPerson | Standing::WaitsForOwnApproval | Standing::Failed(_)
                )
                .then(|| (t.clone(), s))
            })
            .min_by_key(|(t, _)| t.kind());
        let Some((task, standing)) = waiting else { return false };
        self.now = self.now.plus(17 * MINUTE_MS);
        let id = task.id();
        let boss = "m.weiß@msp.example".to_owned();
        let own = ApprovalOf::Task(id, case.task_digest(&task));
        let command = match (task.kind(), standing) {
            (Kind::ApprovePlan, _) => Command::Approve {
                by: boss,
                of: ApprovalOf::Plan(case.plan_digest()),
            },
            (_, Standing::WaitsForOwnApproval) => Command::Approve { by: boss, of: own },
            (Kind::UnassignAutopilot, Standing::Failed(_)) => Command::Waive {
                task: id,
                by: boss,
                reason: "the laptop was bought outside the programme".into(),
                until: self.now.plus(90 * DAY_MS),
            },
            (_, Standing::Failed(_)) => Command::Retry {
                task: Some(id),
                by: boss,
            },
            (kind, _) => {
                let with_file = kind == Kind::ConfirmDeviceReturned;
                if with_file {
                    self.now = self.now.plus(26 * HOUR_MS);
                }
                Command::Attest {
                    task: id,
                    by: "aylin.oezdemir@musterwerk.example".into(),
                    file: with_file.then(|| Digest::of(b"return slip")),
                    ending: None,
                    note: if with_file { "shelf 4, slip signed" } else { "" }.into(),
                }
            }
        };
        self.order(command);
        true
    }

    /// Runs until the case is to be sealed.
    pub(super) fn run(&mut self) {
        for _ in 0..500 {
            self.drain();
            if self.case().state == CaseState::Sealing {
                return;
            }
            let timer = next(self.case(), self.now, &self.gates).timer.map(|t| t.at);
            let soon = timer.filter(|at| at.since(self.now) <= HOUR_MS);
            if soon.is_none() && self.person() {
                continue;
            }
            let at = timer.expect("a case that waits for nobody has a wake-up");
            self.now = self.now.plus(SECOND_MS).max(at);
            self.order(Command::Tick);
        }
        panic!("it does not close");
    }
}

/// Fills in facts that satisfy a condition, and facts of a time before.
fn satisfy(cond: &Cond, params: &Facts, before: &mut Facts, after: &mut Facts) {
    let mut both = |name: &str, then: Fact, now: Fact| {
        before.set(name, then);
        after.set(name, now);
    };
    let some = || Fact::List(vec!["6b1f0000-aaaa".into(), "6b1f0000-bbbb".into()]);
    match cond {
        Cond::Always | Cond::HasParam(_) | Cond::Not(_) => {}
        Cond::True(f) => both(f, false.into(), true.into()),
        Cond::False(f) => both(f, true.into(), false.into()),
        Cond::Empty(f) => both(f, some(), Fact::List(Vec::new())),
        Cond::Is(f, v) => both(f, "other".into(), (*v).into()),
        Cond::IsParam(f, p) => {
            if let Some(wanted) = params.get(p) {
                both(f, "other".into(), wanted.clone());
            }
        }
        Cond::Includes(f, p) => {
            let wanted = params.text(p).unwrap_or_default().to_owned();
            both(f, Fact::List(Vec::new()), Fact::List(vec![wanted]));
        }
        Cond::AtLeast(f, n) => both(f, 0.into(), (*n).into()),
        Cond::AtLeastParam(f, p) => {
            let wanted = params.int(p).unwrap_or_default();
            both(f, (wanted - 1).into(), wanted.into());
        }
        Cond::MovedPast(f) => both(f, T0.0.into(), (T0.0 + 1).into()),
        Cond::FellBelow(f) => both(f, 2.into(), 1.into()),
        Cond::All(all) => all.iter().for_each(|c| satisfy(c, params, before, after)),
        Cond::Any(any) => {
            // The branch whose parameters there are.
            let fits = |c: &&Cond| match c {
                Cond::All(parts) => parts.iter().all(|p| match p {
                    Cond::HasParam(p) => params.get(p).is_some(),
                    Cond::Not(Cond::HasParam(p)) => params.get(p).is_none(),
                    _ => true,
                }),
                _ => true,
            };
            if let Some(c) = any.iter().find(fits) {
                satisfy(c, params, before, after);
            }
        }
    }
}

pub(super) fn fault(class: FaultClass) -> Fault {
    let (status, code, detail) = match class {
        FaultClass::Throttled { .. } => (429, "TooManyRequests", "asked to slow down"),
        FaultClass::Denied => (403, "Authorization_RequestDenied", "the application lacks a permission"),
        FaultClass::Unsupported => (400, "BadRequest", "the device is not in the Autopilot programme"),
        _ => (503, "ServiceUnavailable", "the service is not available for now"),
    };
    Fault {
        class,
        system: m365(),
        attempted: "PATCH /users/{id}".into(),
        status: Some(status),
        code: Some(code.into()),
        detail: detail.into(),
        request_id: Some("9a3d1c52-0000-4000-8000-000000000001".into()),
    }
}

fn device(id: &str, owner: &str, kinds: &[Kind]) -> Vec<Find> {
    let params = Facts::new().with("owner", owner);
    kinds
        .iter()
        .map(|kind| Find {
            kind: *kind,
            object: id.into(),
            params: params.clone(),
        })
        .collect()
}

/// A small departure in which nothing goes wrong.
pub(super) fn small() -> World {
    let kinds = [
        Kind::Resolve,
        Kind::SnapshotAccess,
        Kind::DisableSignIn,
        Kind::ObserveIdentity,
    ];
    let mut policy = Policy::default();
    policy.approvals.plan = false;
    policy.skip = [Kind::ConfirmHandover, Kind::Validate].into();
    let mut world = World::open(
        Departure {
            choices: Choices::default(),
            ..departure(Manner::Immediate)
        },
        &kinds,
        policy,
    );
    world.extra.insert(
        Kind::Resolve,
        Facts::new().with("object_id", "4be3b4a0-0000-4000-8000-000000000001"),
    );
    world.run();
    world
}

/// A departure in which much goes wrong, and which ends well.
pub(super) fn rich() -> World {
    let kinds: Vec<Kind> = Kind::ALL
        .iter()
        .copied()
        .filter(|k| k.spec().area != Area::Person)
        // A cloud alone, and what a directory on the premises would be found to do.
        .filter(|k| k.is_of_a_cloud() || premises::KINDS.contains(k))
        .filter(|k| !matches!(k, Kind::ResolveOnPremises | Kind::DiscoverComputers))
        .collect();
    let policy = Policy {
        licence_price_cents: [("SPE_E3".into(), 3_740)].into(),
        ..Policy::default()
    };
    let mut world = World::open(departure(Manner::Immediate), &kinds, policy);
    world.extra.insert(
        Kind::Resolve,
        Facts::new()
            .with("object_id", "4be3b4a0-0000-4000-8000-000000000001")
            .with("successor_id", "4be3b4a0-0000-4000-8000-000000000002")
            .with("user_principal_name", "juergen.gross@musterwerk.example"),
    );
    world
        .extra
        .insert(Kind::HandOverOneDrive, Facts::new().with("drive_exists", false));
    let freed = Facts::new().with("freed_sku_ids", vec!["SPE_E3".to_owned(), "VISIO_PLAN2".into()]);
    world
        .extra
        .insert(Kind::ProvePool, freed.with("freed_cents_per_month", 4_960));
    let company = [
        Kind::EscrowRecoveryKeys,
        Kind::ConfirmDeviceReturned,
        Kind::WipeDevice,
        Kind::UnassignAutopilot,
        Kind::DisableDeviceObject,
    ];
    world.finds = device("9d20f1aa-laptop", "company", &company);
    world.finds.extend(device(
        "17c0ffee-phone",
        "personal",
        &[Kind::RetireDevice, Kind::DisableDeviceObject],
    ));
    let throttled = || {
        Mishap::Fault(FaultClass::Throttled {
            retry_after_ms: Some(20_000),
        })
    };
    world.mishaps = BTreeMap::from([
        (Kind::DisableSignIn, vec![throttled()]),
        (Kind::SnapshotMailbox, vec![Mishap::Fault(FaultClass::Transient)]),
        (Kind::RemoveOauthGrants, vec![Mishap::Fault(FaultClass::Denied)]),
        (Kind::UnassignAutopilot, vec![Mishap::Fault(FaultClass::Unsupported)]),
        (Kind::RemoveInboxRules, vec![Mishap::Late]),
        (Kind::RetireDevice, vec![Mishap::Wait, Mishap::Wait]),
    ]);
    world.undone = vec![Kind::HideFromAddressLists];
    world.run();
    world
}
