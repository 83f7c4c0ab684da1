//! A worker and an outside world without any vendor: each end state is a
//! switch, and what is read is made from the kind's own predicate. It obeys the
//! worker's protocol to the letter and lets the dispatcher be tried by
//! itself, at little cost for each seed.

use crate::rng::Rng;
use crate::simulation::Broken;
use crate::trouble::Trouble;
use futures::stream::{FuturesUnordered, StreamExt as _};
use offboard_domain::assignment::{Checked, Find, Mode, Receipt, Report, Said};
use offboard_domain::{
    Area, Assignment, Facts, Fault, FaultClass, Kind, Lane, ObjectId, Observation, TenantId, Timestamp, Verdict, judge,
};
use offboard_queue::{Delivery, Message, Queue, QueueName};
use offboard_runtime::Clock;
use offboard_runtime::keys::{ANSWER_HEADER, AnswerKey, PROOF_HEADER, QUEUE_HEADER};
use offboard_workers::report_queue;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Attempts at the same time in one lane.
const AT_ONCE: u16 = 4;
/// Rest before subscribing or publishing again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

type Place = (TenantId, String, Kind, Option<ObjectId>);

#[derive(Debug, Clone, Default)]
struct Thing {
    done: bool,
    counter: i64,
    applied: u32,
}

/// One act of the model's workers on the model's world.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    pub(crate) tenant: TenantId,
    pub(crate) subject: String,
    pub(crate) kind: Kind,
    pub(crate) object: Option<ObjectId>,
    pub(crate) times: u32,
}

#[derive(Default)]
struct State {
    things: BTreeMap<Place, Thing>,
    acts: Vec<Act>,
}

/// The model's outside world: it outlives every process.
pub(crate) struct ModelWorld {
    state: Mutex<State>,
    rng: Mutex<Rng>,
    /// How unkind it is, in permille of attempts; zero when faults have stopped.
    unkind: Mutex<u32>,
    broken: Option<Broken>,
}

impl ModelWorld {
    pub(crate) fn new(rng: Rng, unkind: u32, broken: Option<Broken>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            rng: Mutex::new(rng),
            unkind: Mutex::new(unkind),
            broken,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rng(&self) -> MutexGuard<'_, Rng> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn happens(&self, share: u32) -> bool {
        let unkind = *self.unkind.lock().unwrap_or_else(PoisonError::into_inner);
        self.rng().happens(unkind * share / 100)
    }

    /// Faults stop.
    pub(crate) fn calm(&self) {
        *self.unkind.lock().unwrap_or_else(PoisonError::into_inner) = 0;
    }

    /// Everything that was done to it.
    pub(crate) fn acts(&self) -> Vec<Act> {
        self.state().acts.clone()
    }

    /// A colleague undoes something.
    pub(crate) fn undo_something(&self) -> Option<Kind> {
        let mut state = self.state();
        let undoable: Vec<Place> = state
            .things
            .iter()
            .filter(|(p, t)| t.done && p.2.spec().reversible)
            .map(|(p, _)| p.clone())
            .collect();
        let n = self.rng().below(undoable.len() as u64);
        let place = undoable.get(usize::try_from(n).ok()?)?;
        state.things.get_mut(place)?.done = false;
        Some(place.2)
    }

    fn read(&self, place: &Place, params: &Facts, now: Timestamp) -> Observation {
        let mut state = self.state();
        let thing = state.things.entry(place.clone()).or_default();
        let spec = place.2.spec();
        let done = thing.done || !spec.writes;
        let mut facts = Facts::new();
        for (cond, _) in spec.judge.not_applicable.iter().chain(spec.judge.blocked) {
            cond.arrange(false, params, thing.counter, &mut facts);
        }
        spec.judge.satisfied.arrange(done, params, thing.counter, &mut facts);
        facts.set("conclusive", true);
        Observation {
            read_at: now,
            sources: vec!["model".into()],
            facts,
        }
    }

    fn apply(&self, place: &Place) {
        if self.broken == Some(Broken::LicencesGoWithAnything) && place.2 == Kind::DisableSignIn {
            let (tenant, subject, _, _) = place.clone();
            self.apply_one(&(tenant, subject, Kind::ReleaseDirectLicenses, None));
        }
        self.apply_one(place);
    }

    fn apply_one(&self, place: &Place) {
        let mut state = self.state();
        let thing = state.things.entry(place.clone()).or_default();
        thing.done = true;
        thing.counter += 1;
        thing.applied += 1;
        let times = thing.applied;
        let (tenant, subject, kind, object) = place.clone();
        state.acts.push(Act {
            tenant,
            subject,
            kind,
            object,
            times,
        });
    }
}

/// A worker for every area.
pub(crate) struct ModelWorker {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) world: Arc<ModelWorld>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) trouble: Arc<Trouble>,
    /// Over how many queues reports are spread.
    pub(crate) shards: u16,
}

impl ModelWorker {
    /// Works until it is dropped.
    pub(crate) async fn run(&self) {
        let lanes = Area::MACHINES
            .iter()
            .flat_map(|area| [(*area, Lane::Urgent), (*area, Lane::Normal)]);
        futures::future::join_all(lanes.map(|(area, lane)| self.serve(area, lane))).await;
    }

    async fn serve(&self, area: Area, lane: Lane) {
        let name = QueueName::Assignments { area, lane, site: None };
        let mut running = FuturesUnordered::new();
        loop {
            let Ok(mut consumer) = self.queue.consume(&name, AT_ONCE).await else {
                tokio::time::sleep(AGAIN_AFTER).await;
                continue;
            };
            loop {
                tokio::select! {
                    biased;
                    Some(()) = running.next(), if !running.is_empty() => {}
                    next = consumer.next(), if running.len() < usize::from(AT_ONCE) => match next {
                        Ok(delivery) => running.push(self.deal_with(&name, delivery)),
                        Err(_) => break,
                    },
                }
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    async fn deal_with(&self, through: &QueueName, delivery: Box<dyn Delivery>) {
        let Ok(assignment) = serde_json::from_slice::<Assignment>(&delivery.message().body) else {
            return;
        };
        let answer = delivery.message().headers.get(ANSWER_HEADER);
        let Some(answer) = answer.and_then(|key| AnswerKey::from_header(key)) else {
            return;
        };
        let once = assignment.mode == Mode::Full && !assignment.kind.spec().convergent;
        let redelivered = delivery.redelivered();
        let mut held = Some(delivery);
        if once
            && !redelivered
            && let Some(delivery) = held.take()
            && delivery.ack().await.is_err()
        {
            return;
        }
        let said = if once && redelivered {
            Said::Fault {
                fault: fault(&assignment, FaultClass::Unknown),
            }
        } else {
            self.attempt(&assignment).await
        };
        let Some(report) = self.report(&assignment, said) else {
            return;
        };
        let body = match serde_json::to_vec(&report) {
            Ok(body) => body,
            Err(_) => return,
        };
        let proof = answer.prove(&body);
        let id = format!("{}.{}", assignment.task, assignment.attempt);
        let queue = report_queue(&assignment.tenant, self.shards);
        loop {
            let message = Message {
                id: id.clone(),
                headers: BTreeMap::from([
                    (PROOF_HEADER.to_owned(), proof.clone()),
                    (QUEUE_HEADER.to_owned(), through.to_string()),
                ]),
                body: body.clone().into(),
                expires_at: None,
            };
            if self.queue.publish(&queue, vec![message]).await.is_ok() {
                break;
            }
            if self.clock.now() > assignment.over_at() {
                return;
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
        if let Some(delivery) = held
            && delivery.ack().await.is_err()
        {
            self.trouble.note("an acknowledgement was lost");
        }
    }

    fn report(&self, a: &Assignment, said: Said) -> Option<Report> {
        if self.world.happens(10) {
            self.trouble
                .note(&format!("never answers {} {} #{}", a.case, a.kind, a.attempt));
            return None;
        }
        Some(Report {
            tenant: a.tenant.clone(),
            case: a.case,
            task: a.task,
            attempt: a.attempt,
            version: a.version,
            head: a.head,
            at: self.clock.now(),
            said,
            seen: None,
            remembered: None,
            writes: None,
            receipts: vec![Receipt {
                at: self.clock.now(),
                request: "MODEL".into(),
                status: 200,
                request_id: None,
            }],
            artifacts: Vec::new(),
        })
    }

    async fn attempt(&self, a: &Assignment) -> Said {
        let began = self.clock.now();
        if began > a.start_by {
            return Said::NotBegun { why: "too late".into() };
        }
        let pause_ms = self.world.rng().between(20, 3_000).unsigned_abs();
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        if self.world.happens(15) {
            let class = match self.world.rng().below(8) {
                0 | 1 => FaultClass::Throttled {
                    retry_after_ms: Some(20_000),
                },
                2 => FaultClass::Throttled { retry_after_ms: None },
                3 => FaultClass::Denied,
                4 => FaultClass::Rejected,
                _ => FaultClass::Transient,
            };
            return Said::Fault { fault: fault(a, class) };
        }
        if a.kind.is_closing_round() {
            let results = a.checks.iter().map(|c| Checked {
                task: c.task,
                observation: self.world.read(
                    &self.place(a, c.kind, c.target.object.clone()),
                    &c.params,
                    self.clock.now(),
                ),
            });
            return Said::Checked {
                results: results.collect(),
            };
        }
        let place = self.place(a, a.kind, a.target.object.clone());
        let before = self.read(a, &place);
        if !a.kind.spec().finds.is_empty() {
            return Said::Found {
                finds: self.finds(a),
                observation: before,
            };
        }
        if a.mode == Mode::ObserveOnly {
            let mut observation = before;
            if self.world.happens(20) {
                observation.facts.set("conclusive", false);
            }
            return Said::Observed { observation };
        }
        match judge(a.kind, &a.params, &before.facts, Some(&before.facts)) {
            Verdict::Satisfied | Verdict::NotApplicable(_) => {
                return Said::Satisfied {
                    before: before.clone(),
                    after: before,
                };
            }
            Verdict::Blocked(_) => {
                return Said::Fault {
                    fault: fault(a, FaultClass::Blocked),
                };
            }
            Verdict::Unsatisfied(_) if !a.kind.spec().writes => {
                return Said::Fault {
                    fault: fault(a, FaultClass::Transient),
                };
            }
            Verdict::Unsatisfied(_) => {}
        }
        if self.world.happens(10) {
            let until = self.clock.now().plus(30_000);
            // Nothing was ordered yet: a once-only kind never says so before its order.
            if a.kind.spec().convergent {
                return Said::Wait {
                    until,
                    why: "not ready".into(),
                    checkpoint: None,
                };
            }
        }
        if a.kind.spec().convergent && self.world.happens(5) {
            return Said::Progress {
                checkpoint: Facts::new().with("slice", 1),
            };
        }
        self.world.apply(&place);
        let slow_ms = if self.world.happens(8) {
            a.run_for_ms.unsigned_abs()
        } else {
            500
        };
        tokio::time::sleep(Duration::from_millis(slow_ms)).await;
        if self.world.happens(15) {
            return Said::Fault {
                fault: fault(a, FaultClass::Unknown),
            };
        }
        Said::Satisfied {
            before,
            after: self.read(a, &place),
        }
    }

    fn place(&self, a: &Assignment, kind: Kind, object: Option<ObjectId>) -> Place {
        let subject = a
            .subject
            .0
            .values()
            .next()
            .map_or_else(|| "nobody".to_owned(), |id| id.0.clone());
        (a.tenant.clone(), subject, kind, object)
    }

    fn read(&self, a: &Assignment, place: &Place) -> Observation {
        let mut seen = self.world.read(place, &a.params, self.clock.now());
        if a.kind == Kind::Resolve {
            // The name before the dot is the person: two spellings are one.
            let name = a.params.text("user_principal_name").unwrap_or_default();
            let id = name.split(['.', '@']).next().unwrap_or_default();
            seen.facts.set("object_id", format!("id-{id}"));
            seen.facts.set("user_principal_name", name);
            if id == "nobody" {
                seen.facts.set("found", false);
            }
            if id == "last" {
                seen.facts.set("last_administrator", true);
            }
            if a.params.bool("successor_is_manager") == Some(true) && id != "alone" {
                seen.facts.set("successor_id", "id-manager");
            }
        }
        seen
    }

    fn finds(&self, a: &Assignment) -> Vec<Find> {
        let subject = a.subject.0.values().next().map_or("", |id| id.0.as_str());
        if a.kind == Kind::DiscoverApps {
            let apps = 0..subject.len() % 2;
            let ask = |n: usize| Find {
                kind: Kind::DecideApp,
                object: ObjectId(format!("{subject}-app-{n}")),
                params: Facts::new(),
            };
            return apps.map(ask).collect();
        }
        let devices = subject.len() % 3;
        let mut finds = Vec::new();
        for n in 0..devices {
            let object = ObjectId(format!("{subject}-device-{n}"));
            // By it they are told from one another.
            let params = Facts::new().with("serial", format!("5CG000{n}"));
            let mut find = |kind| {
                finds.push(Find {
                    kind,
                    object: object.clone(),
                    params: params.clone(),
                });
            };
            find(Kind::EscrowRecoveryKeys);
            if n == 0 {
                find(Kind::ConfirmDeviceReturned);
                find(Kind::WipeDevice);
                find(Kind::UnassignAutopilot);
            } else {
                find(Kind::RetireDevice);
            }
            find(Kind::DisableDeviceObject);
        }
        finds
    }
}

fn fault(a: &Assignment, class: FaultClass) -> Fault {
    Fault {
        class,
        system: a.target.system.clone(),
        attempted: a.kind.name().to_owned(),
        status: None,
        code: None,
        detail: "simulated".into(),
        request_id: None,
    }
}
