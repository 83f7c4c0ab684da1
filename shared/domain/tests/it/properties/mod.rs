//! Ring 1: properties over the six verbs, with orders, answers, gates and times
//! drawn at random.
//!
//! A walk orders whatever it likes of a case, lawful or not, and after every
//! step the laws hold. Then the mishaps stop, people do what is asked of them,
//! and every walk must come to an end whose account is sealed and verifies.

mod laws;

use crate::faults;
use crate::model::*;
use ed25519_dalek::SigningKey;
use laws::{
    laws_of_a_case, laws_of_what_happened, what_came_late_is_read_first, what_came_late_waits_for_no_order,
    what_must_precede_what_was_done_comes_late,
};
use offboard_domain::catalogue::{Approval, Area, Kind, Wanted};
use offboard_domain::departure::{Choices, Departure, Manner, Meetings, OneDriveChoice};
use offboard_domain::evidence;
use offboard_domain::fault::{Consequence, FaultClass, consequence};
use offboard_domain::keeping::Retention;
use offboard_domain::plan::{is_done_without, is_skipped, plan};
use offboard_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use offboard_domain::{
    ApprovalOf, Capabilities, Case, CaseId, Checked, Command, Credit, Digest, Event, Facts, Gates, Lane, ObjectId,
    Policy, Report, Said, Standing, TaskId, Verdict, decide, judge, next, standing,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const BOSS: &str = "boss@msp.example";
/// Who asks for nothing, and so can decide about everything.
const CHIEF: &str = "chief@msp.example";

/// What is done next. Numbers choose among what there is at that time.
#[derive(Debug, Clone)]
enum Step {
    Answer(u8, Reply),
    AnswerAgain(u8),
    Pass(i64),
    ApprovePlan {
        by: &'static str,
        right: bool,
    },
    ApproveTask {
        nth: u8,
        by: &'static str,
        right: bool,
    },
    Attest {
        nth: u8,
        by: &'static str,
        file: bool,
    },
    Waive {
        nth: u8,
        by: &'static str,
        ms: i64,
    },
    Retry {
        nth: Option<u8>,
    },
    Cancel,
    Amend {
        hours: i64,
        immediate: bool,
        by: &'static str,
    },
    Join {
        nth: u8,
        hours: i64,
        immediate: bool,
        by: &'static str,
        keeps: bool,
    },
    Leave(u8),
    AcknowledgeMerge {
        right: bool,
    },
    UndoMerge,
    Seal {
        right: bool,
    },
    Loss {
        ahead: u64,
        parted: bool,
    },
    /// The ledger loses so many appends, and nobody has noticed.
    Forget(usize),
    FollowUp(u8),
    Gate(Gate),
}

#[derive(Debug, Clone)]
enum Gate {
    Open,
    NoCredit,
    OneEach,
    Paused(i64),
    Held(i64),
    Capped,
}

/// What a worker answers.
#[derive(Debug, Clone)]
enum Reply {
    Good,
    /// Claims the wanted state beside a reading that shows nothing.
    Claim,
    Observed {
        good: bool,
        conclusive: bool,
    },
    Fault(FaultClass),
    Wait(i64),
    Progress,
    NotBegun,
    /// What only a finder may say.
    Finds,
    /// A closing round that read otherwise.
    Differs,
    /// Resolving finds somebody who is never touched.
    Protected,
    /// Of another tenant.
    Foreign,
}

fn who() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => Just(BOSS),
        1 => Just("hr@acme.example"),
        1 => Just("Leaver@acme.example"),
    ]
}

fn fault_class() -> impl Strategy<Value = FaultClass> {
    prop_oneof![
        Just(FaultClass::Transient),
        (0..90_000_i64).prop_map(|ms| FaultClass::Throttled {
            retry_after_ms: Some(ms)
        }),
        Just(FaultClass::Throttled { retry_after_ms: None }),
        Just(FaultClass::Denied),
        Just(FaultClass::Blocked),
        Just(FaultClass::Absent),
        Just(FaultClass::Rejected),
        Just(FaultClass::Unsupported),
        Just(FaultClass::Unknown),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        12 => Just(Reply::Good),
        2 => Just(Reply::Claim),
        2 => (any::<bool>(), any::<bool>()).prop_map(|(good, conclusive)| Reply::Observed { good, conclusive }),
        4 => fault_class().prop_map(Reply::Fault),
        1 => (0..DAY_MS).prop_map(Reply::Wait),
        1 => Just(Reply::Progress),
        1 => Just(Reply::NotBegun),
        1 => Just(Reply::Finds),
        2 => Just(Reply::Differs),
        2 => Just(Reply::Protected),
        1 => Just(Reply::Foreign),
    ]
}

fn gate() -> impl Strategy<Value = Gate> {
    prop_oneof![
        3 => Just(Gate::Open),
        1 => Just(Gate::NoCredit),
        1 => Just(Gate::OneEach),
        1 => (0..HOUR_MS).prop_map(Gate::Paused),
        1 => (0..HOUR_MS).prop_map(Gate::Held),
        1 => Just(Gate::Capped),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => (any::<u8>(), reply()).prop_map(|(nth, reply)| Step::Answer(nth, reply)),
        4 => any::<u8>().prop_map(Step::AnswerAgain),
        8 => (0..2 * HOUR_MS).prop_map(Step::Pass),
        2 => (DAY_MS..9 * DAY_MS).prop_map(Step::Pass),
        4 => (who(), prop::bool::weighted(0.8)).prop_map(|(by, right)| Step::ApprovePlan { by, right }),
        4 => (any::<u8>(), who(), prop::bool::weighted(0.8)).prop_map(|(nth, by, right)| Step::ApproveTask { nth, by, right }),
        6 => (any::<u8>(), who(), prop::bool::weighted(0.8)).prop_map(|(nth, by, file)| Step::Attest { nth, by, file }),
        3 => (any::<u8>(), who(), -HOUR_MS..3 * DAY_MS).prop_map(|(nth, by, ms)| Step::Waive { nth, by, ms }),
        4 => prop::option::of(any::<u8>()).prop_map(|nth| Step::Retry { nth }),
        1 => prop::bool::weighted(0.3).prop_map(|really| if really { Step::Cancel } else { Step::Pass(0) }),
        2 => (-50..50_i64, any::<bool>(), who()).prop_map(|(hours, immediate, by)| Step::Amend { hours, immediate, by }),
        2 => (0..3_u8, -50..50_i64, any::<bool>(), who(), any::<bool>())
            .prop_map(|(nth, hours, immediate, by, keeps)| Step::Join { nth, hours, immediate, by, keeps }),
        1 => (0..3_u8).prop_map(Step::Leave),
        1 => any::<bool>().prop_map(|right| Step::AcknowledgeMerge { right }),
        1 => Just(Step::UndoMerge),
        3 => any::<bool>().prop_map(|right| Step::Seal { right }),
        1 => (0..9_u64, any::<bool>()).prop_map(|(ahead, parted)| Step::Loss { ahead, parted }),
        1 => (1..9_usize).prop_map(Step::Forget),
        1 => any::<u8>().prop_map(Step::FollowUp),
        4 => gate().prop_map(Step::Gate),
    ]
}

/// Another case of the same tenant.
fn other_case(case: &Case, nth: u8) -> CaseId {
    CaseId::derive(&case.departure.tenant, &format!("HR-7{nth}"))
}

/// The same departure at another time.
fn other_terms(case: &Case, hours: i64, immediate: bool, by: &str) -> Departure {
    let mut d = (*case.departure).clone();
    d.effective_at = d.effective_at.plus(hours * HOUR_MS);
    d.requested_by = by.into();
    if immediate {
        d.manner = Manner::Immediate;
    }
    d
}

/// A case on its way, and the answers that were given.
struct Walk {
    world: World,
    given: Vec<Report>,
    /// How many events there were after each append.
    appends: Vec<usize>,
}

impl Walk {
    fn nth<T: Clone>(nth: u8, all: &[T]) -> Option<T> {
        all.get(usize::from(nth) % all.len().max(1)).cloned()
    }

    fn tasks(&self) -> Vec<TaskId> {
        self.world.case().tasks.keys().copied().collect()
    }

    fn people(&self) -> Vec<TaskId> {
        let tasks = self.world.case().tasks.values();
        tasks
            .filter(|t| t.kind().spec().area == Area::Person)
            .map(|t| t.id())
            .collect()
    }

    fn own(&self) -> Vec<TaskId> {
        let tasks = self.world.case().tasks.values();
        tasks
            .filter(|t| t.kind().spec().approval == Approval::Own)
            .map(|t| t.id())
            .collect()
    }

    fn reply(&self, id: TaskId, reply: &Reply) -> Report {
        let w = &self.world;
        let kind = w.case().tasks[&id].kind();
        let said = match reply {
            Reply::Protected if kind == Kind::Resolve => {
                let found = seen(good(kind).with("last_administrator", true));
                Said::Satisfied {
                    before: found.clone(),
                    after: found,
                }
            }
            Reply::Good | Reply::Protected => return w.truthful(id),
            Reply::Foreign => {
                let mut report = w.truthful(id);
                report.tenant = offboard_domain::TenantId::new("other").unwrap();
                return report;
            }
            Reply::Claim => Said::Satisfied {
                before: seen(Facts::new()),
                after: seen(Facts::new()),
            },
            Reply::Observed {
                good: is_good,
                conclusive,
            } => {
                let facts = if *is_good { good(kind) } else { Facts::new() };
                Said::Observed {
                    observation: seen(facts.with("conclusive", *conclusive)),
                }
            }
            Reply::Fault(class) => fault(*class),
            Reply::Wait(ms) => Said::Wait {
                until: w.now.plus(*ms),
                why: "w".into(),
                checkpoint: None,
            },
            Reply::Progress => Said::Progress {
                checkpoint: Facts::new().with("page", 3),
            },
            Reply::NotBegun => Said::NotBegun { why: "late".into() },
            Reply::Finds => Said::Found {
                observation: seen(Facts::new()),
                finds: company_laptop(),
            },
            Reply::Differs => {
                let checks = w.case().assignment(id).map(|a| a.checks).unwrap_or_default();
                let results = checks.iter().enumerate().map(|(i, c)| Checked {
                    task: c.task,
                    observation: seen(if i % 3 == 0 { Facts::new() } else { good(c.kind) }),
                });
                Said::Checked {
                    results: results.collect(),
                }
            }
        };
        w.report(id, said)
    }

    /// The order that a step stands for here; none if there is nothing to order.
    fn command(&mut self, step: &Step) -> Option<Command> {
        let w = &self.world;
        Some(match step {
            Step::Answer(nth, reply) => {
                let report = self.reply(Self::nth(*nth, &w.in_flight())?, reply);
                self.given.push(report.clone());
                Command::RecordReport(Box::new(report))
            }
            Step::AnswerAgain(nth) => Command::RecordReport(Box::new(Self::nth(*nth, &self.given)?)),
            Step::Pass(ms) => {
                self.world.now = w.now.plus(*ms);
                Command::Tick
            }
            Step::ApprovePlan { by, right } => Command::Approve {
                by: (*by).into(),
                of: ApprovalOf::Plan(if *right { w.case().plan_digest() } else { Digest::ZERO }),
            },
            Step::ApproveTask { nth, by, right } => {
                let id = Self::nth(*nth, &self.own()).or_else(|| Self::nth(*nth, &self.tasks()))?;
                let digest = w.case().task_digest(&w.case().tasks[&id]);
                Command::Approve {
                    by: (*by).into(),
                    of: ApprovalOf::Task(id, if *right { digest } else { Digest::ZERO }),
                }
            }
            Step::Attest { nth, by, file } => Command::Attest {
                task: Self::nth(*nth, &self.people()).or_else(|| Self::nth(*nth, &self.tasks()))?,
                by: (*by).into(),
                file: file.then(|| Digest::of(b"file")),
                ending: None,
                note: String::new(),
            },
            Step::Waive { nth, by, ms } => Command::Waive {
                task: Self::nth(*nth, &self.tasks())?,
                by: (*by).into(),
                reason: "by hand".into(),
                until: w.now.plus(*ms),
            },
            Step::Retry { nth } => Command::Retry {
                task: nth.and_then(|n| Self::nth(n, &self.tasks())),
                by: BOSS.into(),
            },
            Step::Cancel => Command::Cancel {
                by: BOSS.into(),
                reason: "he stays".into(),
            },
            Step::Amend { hours, immediate, by } => Command::Open {
                departure: Arc::new(other_terms(w.case(), *hours, *immediate, by)),
                policy: Arc::new(Policy::default()),
                capabilities: Arc::new(Capabilities::default()),
                traceparent: None,
            },
            Step::Join {
                nth,
                hours,
                immediate,
                by,
                keeps,
            } => Command::Join {
                case: other_case(w.case(), *nth),
                asked_at: w.now.plus(*hours),
                departure: Arc::new({
                    let mut asks = other_terms(w.case(), *hours, *immediate, by);
                    if *keeps {
                        asks.choices.legal_hold = Some(true);
                        asks.choices.wipe_company_devices = Some(false);
                    }
                    asks
                }),
                amended_by: hours.is_positive().then(|| BOSS.to_owned()).into_iter().collect(),
                retention: Retention::default(),
            },
            Step::Leave(nth) => Command::Leave {
                case: other_case(w.case(), *nth),
                asked_at: w.now,
            },
            Step::AcknowledgeMerge { right } => Command::AcknowledgeMerge {
                into: w.case().merge?.into,
                known: w.case().asks_there().filter(|_| *right).cloned(),
            },
            Step::UndoMerge => Command::UndoMerge {
                into: w.case().merge?.into,
            },
            Step::Seal { right } => {
                let mut to = w.case().account_to();
                if !right {
                    to.version += 1;
                }
                Command::RecordSealed {
                    to,
                    evidence: Digest::of(b"evidence"),
                    key_id: "key".into(),
                }
            }
            Step::Loss { ahead, parted } => Command::RecordLoss {
                known: w.case().version + ahead,
                parted: *parted,
            },
            Step::Forget(_) => return None,
            Step::FollowUp(nth) => Command::RecordFollowUp {
                task: Self::nth(*nth, &self.tasks())?,
                case: CaseId::derive(&w.case().departure.tenant, "HR-2"),
            },
            Step::Gate(gate) => {
                let (now, gates) = (w.now, &mut self.world.gates);
                match gate {
                    Gate::Open => {
                        *gates = Gates {
                            claimed_by: gates.claimed_by,
                            ..Gates::open()
                        }
                    }
                    Gate::NoCredit => gates.credit = Credit::NONE,
                    Gate::OneEach => {
                        for area in Area::MACHINES.iter().copied() {
                            gates.credit.set(area, Lane::Normal, 1);
                            gates.credit.set(area, Lane::Urgent, 1);
                        }
                    }
                    Gate::Paused(ms) => drop(gates.shut.insert("pause".into(), now.plus(*ms))),
                    Gate::Held(ms) => drop(gates.shut.insert("hold/m365".into(), now.plus(*ms))),
                    Gate::Capped => gates.capped = true,
                }
                Command::Tick
            }
        })
    }

    /// What is over is kept elsewhere too.
    fn forget(&mut self, appends: usize) {
        let w = &mut self.world;
        if w.case().state.ended() || w.case().is_to_be_sealed() {
            return;
        }
        let left = self.appends.len().saturating_sub(appends).max(1);
        self.appends.truncate(left);
        let history = w.events[..self.appends[left - 1]].to_vec();
        w.events.clear();
        w.case = None;
        w.take(&history);
    }

    fn take(&mut self, step: &Step) {
        if let Step::Forget(appends) = step {
            return self.forget(*appends);
        }
        let Some(command) = self.command(step) else { return };
        let before = self.world.case().clone();
        let (now, gates) = (self.world.now.max(before.changed_at), self.world.gates.clone());
        let first = decide(Some(&before), command.clone(), self.world.now, &gates);
        let second = decide(Some(&before), command.clone(), self.world.now, &gates);
        match (&first, &second) {
            (Ok(a), Ok(b)) => assert_eq!(a.events, b.events, "the same order was decided in two ways"),
            (Err(a), Err(b)) => assert_eq!(a, b),
            _ => panic!("the same order was decided in two ways"),
        }
        // What it makes is folded once more, and must agree.
        let known = self.world.events.len();
        let Ok(events) = self.world.order(command.clone()) else {
            return;
        };
        let all = &self.world.events;
        self.appends.push(all.len());
        laws_of_what_happened(&before, &all[..known], &events, now, &gates);
        laws_of_a_case(self.world.case(), now, &gates);
        what_came_late_waits_for_no_order(self.world.case(), all, now, &gates);
        if let Command::RecordReport(report) = command {
            self.says_nothing_twice(*report);
        }
    }

    /// The same report again, whatever it said, moves nothing.
    fn says_nothing_twice(&self, report: Report) {
        let w = &self.world;
        let again = decide(
            w.case.as_ref(),
            Command::RecordReport(Box::new(report)),
            w.now,
            &Gates {
                credit: Credit::NONE,
                ..w.gates.clone()
            },
        );
        if let Ok(decision) = again {
            let moved: Vec<&Event> = decision
                .events
                .iter()
                .filter(|e| !matches!(e, Event::LateReport { .. } | Event::TailLost { .. }))
                .collect();
            assert!(moved.is_empty(), "a repeated report did something: {moved:?}");
        }
    }

    /// Nothing goes wrong any more, and people do what they are asked for.
    fn walk_to_the_end(&mut self) {
        self.world.gates = Gates {
            claimed_by: self.world.gates.claimed_by,
            ..Gates::open()
        };
        for _ in 0..600 {
            let w = &mut self.world;
            for id in w.in_flight() {
                let report = w.truthful(id);
                let _answered = w.order(Command::RecordReport(Box::new(report)));
            }
            let case = w.case().clone();
            if !w.in_flight().is_empty() {
                continue;
            }
            // Other cases hear of it.
            if let Some(into) = case.tells() {
                let known = case.asks_there().cloned();
                w.order(Command::AcknowledgeMerge { into, known }).unwrap();
            }
            for (case, asked_at) in case.lets_go() {
                w.order(Command::Leave { case, asked_at }).unwrap();
            }
            let case = w.case().clone();
            if case.is_to_be_sealed() || case.is_over() {
                return;
            }
            let asked: Vec<(TaskId, Standing)> = case
                .tasks
                .values()
                .map(|t| (t.id(), standing(&case, t, w.now, &w.gates)))
                .collect();
            let mut did = false;
            for (id, stands) in asked {
                let command = match stands {
                    Standing::Failed(_) => Command::Retry {
                        task: Some(id),
                        by: CHIEF.into(),
                    },
                    Standing::WaitsForPerson if case.tasks[&id].kind() == Kind::ApprovePlan => Command::Approve {
                        by: CHIEF.into(),
                        of: ApprovalOf::Plan(case.plan_digest()),
                    },
                    Standing::WaitsForPerson => Command::Attest {
                        task: id,
                        by: CHIEF.into(),
                        file: Some(Digest::of(b"file")),
                        ending: None,
                        note: String::new(),
                    },
                    Standing::WaitsForOwnApproval => Command::Approve {
                        by: CHIEF.into(),
                        of: ApprovalOf::Task(id, case.task_digest(&case.tasks[&id])),
                    },
                    _ => continue,
                };
                did |= w.order(command).is_ok();
            }
            if !did {
                let timer = next(w.case(), w.now, &w.gates).timer;
                let at = timer.map_or(w.now.plus(MINUTE_MS), |t| t.at.max(w.now.plus(1)));
                w.now = at;
                w.order(Command::Tick).unwrap();
            }
        }
        let open: Vec<_> = self
            .world
            .case()
            .tasks
            .values()
            .filter(|t| !t.is_settled())
            .map(|t| {
                (
                    t.kind(),
                    t.state.clone(),
                    standing(self.world.case(), t, self.world.now, &self.world.gates),
                )
            })
            .collect();
        panic!(
            "{}: it does not come to an end: {open:?}",
            self.world.case().state.word()
        );
    }
}

fn walk(manner: Manner, policy: Policy, finds: bool, claimed: bool, steps: &[Step]) -> Walk {
    let mut world = World::with(departure(manner), policy);
    world.gates.claimed_by = claimed.then(|| CaseId::derive(&world.case().departure.tenant, "HR-0"));
    if finds {
        world.finds = company_laptop();
    }
    let mut walk = Walk {
        appends: vec![world.events.len()],
        world,
        given: Vec::new(),
    };
    for step in steps {
        walk.take(step);
    }
    walk
}

fn policy() -> impl Strategy<Value = Policy> {
    (
        any::<bool>(),
        any::<bool>(),
        0..HOUR_MS,
        prop::sample::subsequence(skippable(), 0..6),
    )
        .prop_map(|(plan, hold, delay, skip)| {
            let mut policy = Policy {
                legal_hold: hold,
                skip: skip.into_iter().collect(),
                ..Policy::default()
            };
            policy.approvals.plan = plan;
            policy.approvals.irreversible_delay_ms = delay;
            policy
        })
}

fn skippable() -> Vec<Kind> {
    let all = Kind::ALL.iter().copied();
    all.filter(|k| {
        is_skipped(
            *k,
            &Policy {
                skip: [*k].into(),
                ..Policy::default()
            },
        )
    })
    .collect()
}

fn manner() -> impl Strategy<Value = Manner> {
    prop_oneof![Just(Manner::Planned), Just(Manner::Immediate)]
}

/// `decide`, `fold`, `next` and `judge`, then `seal` and `verify`.
#[test]
fn whatever_is_ordered_the_laws_hold_and_it_ends_in_an_account_that_verifies() {
    let ends: RefCell<BTreeMap<&str, u32>> = RefCell::default();
    let drawn = (
        manner(),
        policy(),
        any::<bool>(),
        prop::bool::weighted(0.1),
        prop::collection::vec(step(), 1..120),
        prop::collection::vec(step(), 0..20),
        any::<prop::sample::Index>(),
        0..8_u8,
    );
    let walked = TestRunner::new(config(600)).run(
        &drawn,
        |(manner, policy, finds, claimed, steps, afterwards, byte, bit)| {
            let mut walk = walk(manner, policy, finds, claimed, &steps);
            walk.walk_to_the_end();
            what_came_late_is_read_first(walk.world.case(), &walk.world.events);
            what_must_precede_what_was_done_comes_late(walk.world.case(), &walk.world.events);
            let history = walk.world.history();
            for r in &history {
                let json = serde_json::to_vec(&r.event).unwrap();
                prop_assert_eq!(&serde_json::from_slice::<Event>(&json).unwrap(), &r.event);
            }
            if walk.world.case().is_to_be_sealed() {
                let key = SigningKey::from_bytes(&[9; 32]);
                let statement = evidence::statement(&history).unwrap();
                let mut file = evidence::seal(&statement, &key);
                prop_assert_eq!(&evidence::verify(&file, &key.verifying_key()).unwrap(), &statement);
                let at = byte.index(file.len());
                file[at] ^= 1 << bit;
                let changed = evidence::verify(&file, &key.verifying_key());
                prop_assert!(changed.is_err(), "byte {} was changed", at);
                walk.take(&Step::Seal { right: true });
            }
            let end = walk.world.case().state.clone();
            *ends.borrow_mut().entry(end.word()).or_default() += 1;
            prop_assert!(walk.world.case().is_over());
            // Whatever is still ordered: what is over stays over.
            afterwards.iter().for_each(|step| walk.take(step));
            // What was merged can be called off, and goes on when nothing is done for it elsewhere.
            if end.word() != "merged" {
                prop_assert_eq!(&walk.world.case().state, &end);
            }
            Ok(())
        },
    );
    if let Err(failed) = walked {
        panic!("{failed}");
    }
    // It walks to every end that there is.
    let ends = ends.into_inner();
    for end in ["closed", "cancelled", "refused", "merged"] {
        assert!(ends.get(end).is_some_and(|n| *n > 10), "{ends:?}");
    }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// `judge`.
#[test]
fn what_was_not_read_proves_nothing() {
    for kind in Kind::ALL.iter().copied() {
        let spec = kind.spec();
        // Who only finds out, or keeps what he read, has nothing to bring about.
        if !spec.writes || matches!(spec.wanted, Wanted::Found) {
            continue;
        }
        let verdict = judge(kind, &Facts::new(), &Facts::new(), Some(&Facts::new()));
        assert_ne!(verdict, Verdict::Satisfied, "{kind} is satisfied by nothing");
    }
}

#[test]
fn a_request_that_asks_for_nothing_gets_what_the_policy_does_not_do_without() {
    let offered: BTreeSet<Kind> = machines().into_iter().collect();
    let capabilities = Capabilities([(m365(), offered)].into());
    let facts = Facts::new().with("object_id", "u-1").with("successor_id", "u-2");
    let bare = Departure {
        choices: Choices::default(),
        ..departure(Manner::Planned)
    };
    let asking = Policy {
        archive_mailbox: true,
        automatic_reply: Some("I have left.".into()),
        meetings: Meetings::HandOver,
        onedrive: OneDriveChoice::HandOver,
        ..Policy::default()
    };
    let silent = Policy {
        archive_mailbox: false,
        automatic_reply: Some(String::new()),
        meetings: Meetings::Leave,
        onedrive: OneDriveChoice::Ask,
        ..Policy::default()
    };
    for (policy, without) in [(&asking, false), (&silent, true)] {
        let made = plan(bare.case_id(), &bare, &facts, policy, &capabilities, false).unwrap();
        for kind in [
            Kind::ArchiveMailbox,
            Kind::SetAutomaticReply,
            Kind::HandOverMeetings,
            Kind::CancelMeetings,
            Kind::HandOverOneDrive,
        ] {
            assert_eq!(is_done_without(kind, policy), without, "{kind}");
            assert_eq!(made.tasks.iter().any(|t| t.kind == kind), !without, "{kind}");
        }
    }
}

proptest! {
    #![proptest_config(config(400))]

    /// `plan`.
    #[test]
    fn a_plan_holds_what_can_be_done_once_and_names_what_cannot(
        policy in policy(),
        offered in prop::sample::subsequence(machines(), 0..machines().len()),
        manner in manner(),
        hybrid in any::<bool>(),
        successor in any::<bool>(),
        last_administrator in prop::bool::weighted(0.1),
    ) {
        let offered: BTreeSet<Kind> = offered.into_iter().chain([Kind::Resolve]).collect();
        let capabilities = Capabilities([(m365(), offered.clone())].into());
        let mut facts = Facts::new().with("found", true).with("object_id", "u-1").with("synced", hybrid);
        if successor {
            facts.set("successor_id", "u-2");
        }
        facts.set("last_administrator", last_administrator);
        let departure = departure(manner);
        let id = departure.case_id();
        let made = plan(id, &departure, &facts, &policy, &capabilities, false);
        if last_administrator {
            prop_assert!(made.is_err());
            return Ok(());
        }
        let made = made.unwrap();
        let ids: BTreeSet<TaskId> = made.tasks.iter().map(|t| t.id).collect();
        prop_assert_eq!(ids.len(), made.tasks.len(), "a task is planned twice");
        for t in &made.tasks {
            let human = t.kind.spec().area == Area::Person;
            prop_assert!(human || offered.contains(&t.kind), "{} is planned and nobody offers it", t.kind);
            prop_assert!(!is_skipped(t.kind, &policy), "{} is planned against the policy", t.kind);
            prop_assert!(!made.unserved.contains(&t.kind), "{} is planned and named as missing", t.kind);
        }
        // A licence stays where nothing keeps what hangs on it, whoever offers to take it.
        let planned = |kind: Kind| made.tasks.iter().any(|t| t.kind == kind);
        let kept = planned(Kind::ConvertToShared) && (planned(Kind::HandOverOneDrive) || planned(Kind::DecideOneDrive));
        for kind in &made.unserved {
            let stays = !kept && kind.spec().area == Area::License;
            prop_assert!(stays || !offered.contains(kind), "{} is named as missing and offered", kind);
        }
        for kind in [Kind::ReleaseGroupLicenses, Kind::ReleaseDirectLicenses] {
            prop_assert!(kept || !planned(kind), "{} is planned, and nothing keeps the data", kind);
        }
        let again = plan(id, &departure, &facts, &policy, &capabilities, false).unwrap();
        prop_assert_eq!(again.tasks, made.tasks);
    }

    /// The table of faults.
    #[test]
    fn a_fault_rests_for_a_time_or_asks_a_person_and_tries_end(
        class in fault_class(),
        task in any::<[u8; 16]>(),
        spent in 0..40_u32,
        faults in 0..200_u32,
        allowed in 1..20_u32,
    ) {
        let task = TaskId::derive(CaseId::derive(&departure(Manner::Planned).tenant, "HR-1"), "k", &m365(), Some(&ObjectId::from(format!("{task:?}").as_str())));
        match consequence(class, task, spent, faults, allowed) {
            Consequence::Rest { wait_ms, costs_attempt } => {
                let (least, most) = faults::bounds(class, spent, faults);
                prop_assert!((least..=most).contains(&wait_ms), "{wait_ms}");
                prop_assert!(!costs_attempt || spent < allowed, "it goes on after its last try");
                prop_assert_eq!(costs_attempt, !matches!(class, FaultClass::Throttled { .. }));
            }
            Consequence::AskPerson(rule) => prop_assert!(!rule.advice().is_empty()),
        }
    }
}

fn machines() -> Vec<Kind> {
    let all = Kind::ALL.iter().copied();
    all.filter(|k| k.spec().area != Area::Person && *k != Kind::Resolve)
        .collect()
}
