//! The people of a simulation, all played by one: they hand departures in,
//! answer what the cases need (late, wrongly, or not at all while faults
//! last), change their minds, and grow diligent when the faults have stopped.

use crate::audit::Auditor;
use crate::rng::Rng;
use crate::transcript::Transcript;
use offboard_dispatcher::view::{CaseView, Need};
use offboard_dispatcher::{Engine, EngineError};
use offboard_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use offboard_domain::{ApprovalOf, CaseId, Command, Departure, Digest, Kind, Rule, TaskId, TenantId, Timestamp};
use offboard_ledger::Filter;
use offboard_runtime::Clock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who asks for departures.
pub(crate) const REQUESTER: &str = "hr@msp.example";
/// Who hands in what they ask.
pub(crate) const HANDS_IN: &str = "office@msp.example";
/// Who changes what was asked.
pub(crate) const CHANGER: &str = "desk@msp.example";
/// Who asks for the same person once more.
pub(crate) const SECOND: &str = "manager@msp.example";
/// Who approves them.
pub(crate) const APPROVER: &str = "lead@msp.example";

/// A departure that will be handed in.
#[derive(Debug, Clone)]
pub(crate) struct Errand {
    pub(crate) at: Timestamp,
    pub(crate) departure: Departure,
    /// Handed in again even after it was accepted.
    pub(crate) again: bool,
    /// Called off, and not handed in.
    pub(crate) calls_off: bool,
    /// Whom it means, by the id that he is found by.
    pub(crate) subject: Option<String>,
}

struct State {
    rng: Rng,
    errands: Vec<Errand>,
    accepted: BTreeMap<CaseId, TenantId>,
    /// Whom the requests meant that were accepted for a case.
    meant: BTreeMap<CaseId, BTreeSet<String>>,
    retried: BTreeMap<TaskId, u32>,
}

/// The people. What they know outlives every process.
pub(crate) struct People {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    transcript: Arc<Transcript>,
    auditor: Arc<Auditor>,
    diligent: Arc<AtomicBool>,
}

impl People {
    pub(crate) fn new(
        rng: Rng,
        errands: Vec<Errand>,
        clock: Arc<dyn Clock>,
        transcript: Arc<Transcript>,
        auditor: Arc<Auditor>,
        diligent: Arc<AtomicBool>,
    ) -> Arc<Self> {
        let state = State {
            rng,
            errands,
            accepted: BTreeMap::new(),
            meant: BTreeMap::new(),
            retried: BTreeMap::new(),
        };
        Arc::new(Self {
            state: Mutex::new(state),
            clock,
            transcript,
            auditor,
            diligent,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn diligent(&self) -> bool {
        self.diligent.load(Ordering::Relaxed)
    }

    fn chance(&self, permille: u32) -> bool {
        self.state().rng.happens(permille)
    }

    fn note(&self, text: &str) {
        self.transcript.line(self.clock.now(), &format!("person: {text}"));
    }

    /// The cases that were accepted.
    pub(crate) fn accepted(&self) -> BTreeMap<CaseId, TenantId> {
        self.state().accepted.clone()
    }

    /// Whom the requests meant that were accepted for each case.
    pub(crate) fn meant(&self) -> BTreeMap<CaseId, BTreeSet<String>> {
        self.state().meant.clone()
    }

    /// Whether everything was handed in and accepted.
    pub(crate) fn handed_in(&self) -> bool {
        self.state().errands.is_empty()
    }

    /// Lives beside one engine, until dropped with its process.
    pub(crate) async fn live(self: Arc<Self>, engine: Arc<Engine>) {
        loop {
            self.hand_in(&engine).await;
            // Also those that follow up on a waiver: nobody handed them in.
            let filter = Filter {
                open_only: true,
                limit: 1_000,
                ..Filter::default()
            };
            for entry in engine.ledger().list(filter).await.unwrap_or_default() {
                if self.diligent() || self.chance(700) {
                    self.look_at(&engine, &entry.tenant, entry.case).await;
                }
            }
            let pause_ms = if self.diligent() {
                5 * MINUTE_MS
            } else {
                self.state().rng.between(MINUTE_MS, 40 * MINUTE_MS)
            };
            self.clock.sleep_until(self.clock.now().plus(pause_ms)).await;
        }
    }

    async fn hand_in(&self, engine: &Arc<Engine>) {
        let now = self.clock.now();
        let due: Vec<Errand> = self.state().errands.iter().filter(|e| e.at <= now).cloned().collect();
        for errand in due {
            let (tenant, id) = (errand.departure.tenant.clone(), errand.departure.case_id());
            if errand.calls_off {
                self.call_off(engine, &errand).await;
                continue;
            }
            match engine.submit(errand.departure.clone()).await {
                Ok(submitted) => {
                    self.note(&format!("handed in {id}: {submitted:?}"));
                    let mut state = self.state();
                    state.accepted.insert(id, tenant);
                    state.meant.entry(id).or_default().extend(errand.subject.clone());
                    state
                        .errands
                        .retain(|e| e.at != errand.at || e.departure.case_id() != id);
                    if errand.again {
                        let at = now.plus(state.rng.between(MINUTE_MS, 6 * HOUR_MS));
                        state.errands.push(Errand {
                            at,
                            again: false,
                            ..errand
                        });
                    }
                }
                Err(EngineError::Refused(refusal)) => {
                    self.note(&format!("handing in {id} was refused: {refusal}"));
                    self.state()
                        .errands
                        .retain(|e| e.at != errand.at || e.departure.case_id() != id);
                }
                Err(_) => {}
            }
        }
    }

    async fn call_off(&self, engine: &Arc<Engine>, errand: &Errand) {
        let (tenant, id) = (&errand.departure.tenant, errand.departure.case_id());
        let command = Command::Cancel {
            by: APPROVER.into(),
            reason: "he asked twice".into(),
        };
        match engine.order(tenant, id, command).await {
            Ok(_) => self.note(&format!("calls {id} off")),
            Err(EngineError::Refused(refusal)) => self.note(&format!("calling {id} off was refused: {refusal}")),
            Err(_) => return,
        }
        let same = |e: &Errand| e.calls_off && e.departure.case_id() == id;
        self.state().errands.retain(|e| !same(e));
    }

    async fn look_at(&self, engine: &Arc<Engine>, tenant: &TenantId, case: CaseId) {
        let Ok(view) = engine.view(tenant, case).await else {
            return;
        };
        if !self.diligent() && self.chance(6) {
            let command = Command::Cancel {
                by: APPROVER.into(),
                reason: "he stays".into(),
            };
            self.order(engine, &view, "cancels", command).await;
            return;
        }
        for need in view.needs.clone() {
            if self.diligent() || self.chance(600) {
                self.answer(engine, &view, &need).await;
            }
        }
    }

    async fn answer(&self, engine: &Arc<Engine>, view: &CaseView, need: &Need) {
        let wrongly = !self.diligent() && self.chance(150);
        let asked = [REQUESTER, CHANGER, SECOND, HANDS_IN];
        let by = if wrongly && self.chance(500) {
            asked[usize::try_from(self.state().rng.below(4)).unwrap_or(0)]
        } else {
            APPROVER
        }
        .to_owned();
        let stale = wrongly && by == APPROVER;
        let task_digest = view
            .tasks
            .iter()
            .find(|t| t.id == need.task)
            .map_or(Digest::ZERO, |t| t.digest);
        let command = match need.what.as_str() {
            "approve_plan" => Command::Approve {
                by,
                of: ApprovalOf::Plan(if stale { Digest::ZERO } else { view.plan_digest }),
            },
            "approve_task" => {
                let digest = if stale { Digest::ZERO } else { task_digest };
                Command::Approve {
                    by,
                    of: ApprovalOf::Task(need.task, digest),
                }
            }
            "attest" => {
                let (case, mut note) = (view.case, "seen".to_owned());
                let file = match need.kind {
                    Kind::ConfirmDeviceReturned if !stale => Some("a photograph of the device".to_owned()),
                    Kind::HoldKnowledgeSession if !stale => {
                        note = format!("it is at https://video.example/{case}");
                        Some(format!("what was said in {case}"))
                    }
                    _ => None,
                };
                let ending = (need.kind == Kind::HoldKnowledgeSession).then(|| "mp4".to_owned());
                let file = match file {
                    Some(file) => engine.store().put(file.into_bytes()).await.ok(),
                    None => None,
                };
                Command::Attest {
                    task: need.task,
                    by,
                    file,
                    ending,
                    note,
                }
            }
            _ => self.decide(need),
        };
        let what = format!("{} {}{}", need.what, need.kind, if wrongly { " (wrongly)" } else { "" });
        self.order(engine, view, &what, command).await;
    }

    /// What becomes of a task that failed: another try, then going without.
    fn decide(&self, need: &Need) -> Command {
        let now = self.clock.now();
        let diligent = self.diligent();
        let mut state = self.state();
        let must = matches!(need.kind, Kind::Resolve | Kind::SnapshotAccess) || need.kind.is_closing_round();
        let tries = state.retried.entry(need.task).or_default();
        *tries += 1;
        let tries = *tries;
        let task = Some(need.task);
        if must && tries > 6 {
            return Command::Cancel {
                by: APPROVER.into(),
                reason: "it cannot be done".into(),
            };
        }
        // Whoever has been waited for in vain for days is not waited for again.
        let hopeless = diligent && need.why.contains(Rule::StillWaiting.advice());
        if must || (!tries.is_multiple_of(3) && !hopeless) {
            return Command::Retry {
                task,
                by: APPROVER.into(),
            };
        }
        let until = if diligent {
            400 * DAY_MS
        } else {
            state.rng.between(HOUR_MS, 3 * DAY_MS)
        };
        Command::Waive {
            task: need.task,
            by: APPROVER.into(),
            reason: "we go without".into(),
            until: now.plus(until),
        }
    }

    async fn order(&self, engine: &Arc<Engine>, view: &CaseView, what: &str, command: Command) {
        match engine.order(&view.tenant, view.case, command).await {
            Ok(_) => self.note(&format!("{what} of {}", view.case)),
            Err(error) => {
                let said = error.to_string();
                self.auditor.logged(false, &format!("{} {said}", view.case));
                self.note(&format!("{what} of {}: {said}", view.case));
            }
        }
    }
}
