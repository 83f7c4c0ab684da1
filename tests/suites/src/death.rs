//! Death at every await of every kind, on the vendor's world and through its
//! real connector: an attempt is polled a number of times and dropped, the next
//! one goes on, and the world must be what an undisturbed run leaves. `elsewhere` has
//! the same for what is no cloud: a workspace, and applications.
//!
//! The same kinds, one at a time, also with no permission but those that the
//! connector says that they need, and with a pool of licences that lags.

mod elsewhere;

pub use elsewhere::{in_a_workspace, in_applications};

use crate::beside::Beside;
use crate::rng::Rng;
use crate::script;
use crate::transcript::{EPOCH, Transcript};
use crate::trouble::{Fortune, Rates, Trouble};
use crate::vendor::{Reached, Vendor};
use offboard_connectors::graph::least_permissions;
use offboard_domain::assignment::pool_params;
use offboard_domain::assignment::{Mode, Said};
use offboard_domain::departure::{Choices, Manner, Meetings, PersonRef};
use offboard_domain::plan::plan;
use offboard_domain::task::PlannedTask;
use offboard_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use offboard_domain::{
    Area, Assignment, CaseId, Check, Departure, Digest, Facts, Fault, FaultClass, Find, Kind, Lane, ObjectId, Policy,
    Subject, TenantId, Timestamp, Verdict, judge, unplanned,
};
use offboard_runtime::keys::EscrowMaster;
use offboard_runtime::{Clock, TokioClock};
use offboard_sim::population::{ADMIN_APP, Cast, demo};
use offboard_sim::world::{Actor, Cruelty, Effect};
use offboard_store::Store;
use offboard_workers::{Context, attempt};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::Poll;

/// Attempts until an end state must be reached.
const MOST_ATTEMPTS: u32 = 60;
/// Polls of one attempt until something is wrong with it.
const MOST_POLLS: usize = 5_000;

/// What the death of one kind's attempts came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deaths {
    /// The kind.
    pub kind: Kind,
    /// How many awaits an attempt died at.
    pub awaits: usize,
    /// How many effects an undisturbed run has on the world.
    pub effects: usize,
}

/// How a world was changed: each effect, on whom, and how often it may be counted.
type Changed = BTreeMap<(Effect, String, String), usize>;

/// Who attempts, and for whom.
struct Worker {
    context: Context,
    tenant: TenantId,
}

/// What is outside of a worker, and the worker.
trait Outside {
    /// How it was changed, so that two runs can be compared.
    type Changed: PartialEq + Debug;

    /// How many attempts in a row die at every await, while each only makes progress.
    const DIE: u32;

    fn worker(&self) -> &Worker;

    /// Learns that it is that late.
    fn pass(&self, now: Timestamp);

    /// Everything that happened since the kind began.
    fn changed(&self) -> Self::Changed;
}

struct Rig {
    vendor: Arc<Vendor>,
    worker: Worker,
    trouble: Arc<Trouble>,
    /// How much had happened before the kind began.
    began: usize,
}

/// How a task ended.
enum End {
    /// Its end state was read, or what there is was found.
    Reached(Facts),
    /// Not without a person.
    Refused(Fault),
    /// It only reads, and waits for what others must do.
    Unfinished,
}

fn cruelty() -> Cruelty {
    Cruelty {
        sharepoint_needs_certificate: false,
        latency_ms: (5, 50),
        ..Cruelty::kind()
    }
}

fn rig(cruelty: Cruelty) -> Rig {
    let (world, built) = demo(1, cruelty, 1, 0, EPOCH.0);
    let vendor = Vendor::new(world, built, Beside::nothing());
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::new(EPOCH));
    let trouble = Trouble::new(Fortune {
        name: "worker",
        clock: clock.clone(),
        transcript: Arc::new(Transcript::new(false)),
        rng: Rng::of(0, "death"),
        rates: Rates::NONE,
        calm: Arc::new(AtomicBool::new(true)),
        dies_in: 0,
        cut_off: None,
    });
    let tenant = vendor.tenants.keys().next().expect("one tenant was built").clone();
    let context = Context {
        store: Store::memory(),
        connectors: Arc::new(Reached::new(&vendor, &clock, &trouble, None)),
        escrow: Some(EscrowMaster::from_bytes([7; 32])),
        clock,
    };
    Rig {
        vendor,
        worker: Worker { context, tenant },
        trouble,
        began: 0,
    }
}

struct Work {
    subject: Subject,
    task: PlannedTask,
    checks: Vec<Check>,
}

impl Worker {
    fn assignment(&self, work: &Work, number: u32, mode: Mode, checkpoint: Option<Facts>) -> Assignment {
        Assignment {
            tenant: self.tenant.clone(),
            case: case(),
            task: work.task.id,
            attempt: number,
            kind: work.task.kind,
            target: work.task.target.clone(),
            subject: work.subject.clone(),
            params: work.task.params.clone(),
            mode,
            checkpoint,
            checks: work.checks.clone(),
            start_by: self.context.clock.now().plus(5 * MINUTE_MS),
            run_for_ms: work.task.kind.spec().run_for_ms,
            version: 1,
            head: Digest::ZERO,
            traceparent: None,
        }
    }

    /// Attempts until the end, as the dispatcher would order them.
    /// The first of them has this number, and goes on from this checkpoint.
    async fn ended(
        &self,
        work: &Work,
        died: bool,
        (first, mut checkpoint): (u32, Option<Facts>),
        pass: &dyn Fn(Timestamp),
    ) -> Result<End, String> {
        let once = !work.task.kind.spec().convergent;
        let mut mode = if died && once { Mode::ObserveOnly } else { Mode::Full };
        for number in first..MOST_ATTEMPTS {
            let assignment = self.assignment(work, number, mode, checkpoint.clone());
            let report = attempt(&assignment, Lane::Normal, false, &self.context).await;
            checkpoint = report.remembered.or(checkpoint);
            match report.said {
                Said::Satisfied { after: observation, .. } | Said::Found { observation, .. } => {
                    return Ok(End::Reached(observation.facts));
                }
                Said::Checked { .. } => return Ok(End::Reached(Facts::new())),
                Said::Observed { observation } => {
                    match judge(work.task.kind, &work.task.params, &observation.facts, None) {
                        Verdict::Unsatisfied(_) if observation.facts.bool("conclusive") == Some(true) => {
                            mode = Mode::Full;
                        }
                        Verdict::Unsatisfied(why) => return Err(format!("inconclusive: {why}")),
                        _ => return Ok(End::Reached(observation.facts)),
                    }
                }
                Said::Progress { checkpoint: more } => checkpoint = Some(more),
                Said::Wait {
                    until,
                    checkpoint: more,
                    ..
                } => {
                    self.context.clock.sleep_until(until).await;
                    pass(self.context.clock.now());
                    checkpoint = more.or(checkpoint);
                    mode = if once { Mode::ObserveOnly } else { mode };
                }
                // Refused, the same with and without a death.
                Said::Fault { fault } => {
                    use offboard_domain::FaultClass::{
                        Absent, Blocked, Denied, Rejected, Throttled, Transient, Unknown, Unsupported,
                    };
                    match fault.class {
                        Denied | Blocked | Rejected | Unsupported => return Ok(End::Refused(fault)),
                        Transient | Absent | Unknown | Throttled { .. } => {
                            mode = if once { Mode::ObserveOnly } else { mode };
                            self.context
                                .clock
                                .sleep_until(self.context.clock.now().plus(MINUTE_MS))
                                .await;
                        }
                    }
                }
                Said::NotBegun { why } => return Err(format!("not begun: {why}")),
            }
        }
        // What only reads may wait for something that others must do.
        if work.task.kind.spec().writes {
            Err(format!("no end after {MOST_ATTEMPTS} attempts"))
        } else {
            Ok(End::Unfinished)
        }
    }

    /// One attempt that only finds: what it found.
    async fn finds(&self, work: &Work) -> Result<Vec<Find>, String> {
        let assignment = self.assignment(work, 1, Mode::Full, None);
        match attempt(&assignment, Lane::Normal, false, &self.context).await.said {
            Said::Found { finds, .. } => Ok(finds),
            said => Err(format!("{} said {said:?}", work.task.kind)),
        }
    }
}

/// Attempts until the end, from this checkpoint on, and everything that it changed.
async fn to_the_end<O: Outside>(
    outside: &O,
    work: &Work,
    died: bool,
    checkpoint: Option<Facts>,
) -> Result<O::Changed, String> {
    let (pass, from) = (|now| outside.pass(now), (O::DIE + 1, checkpoint));
    outside.worker().ended(work, died, from, &pass).await?;
    Ok(outside.changed())
}

/// The first attempts, the next one if one has only made progress; leaves how far they came.
async fn first_attempts<O: Outside>(outside: &O, work: &Work, left: &RefCell<Option<Facts>>) {
    let worker = outside.worker();
    for number in 1..=O::DIE {
        let checkpoint = left.borrow().clone();
        let assignment = worker.assignment(work, number, Mode::Full, checkpoint);
        let report = attempt(&assignment, Lane::Normal, false, &worker.context).await;
        let Said::Progress { checkpoint } = report.said else {
            return;
        };
        left.replace(Some(checkpoint));
    }
}

impl Rig {
    async fn ended(&self, work: &Work, died: bool) -> Result<End, String> {
        self.worker.ended(work, died, (2, None), &|now| self.pass(now)).await
    }

    /// Lets so much time pass, for the vendor too.
    async fn later(&self, ms: i64) {
        let clock = &self.worker.context.clock;
        clock.sleep_until(clock.now().plus(ms)).await;
        self.pass(clock.now());
    }

    /// The same world, reached with these permissions alone: the name of the
    /// interface that each is on, and its own.
    fn with_permissions(&mut self, permissions: &BTreeSet<(&'static str, &'static str)>) {
        {
            let mut world = self.vendor.world();
            let id = &self.vendor.tenants[&self.worker.tenant].id;
            let app = world.tenant_mut(id).and_then(|t| t.apps.get_mut(ADMIN_APP));
            let app = app.expect("every built tenant knows the application");
            let on = |interface: &str| {
                let named = permissions.iter().filter(|(on, _)| on.contains(interface));
                named.map(|(_, name)| (*name).to_owned()).collect()
            };
            app.graph_roles = on("Graph");
            app.exchange_roles = on("Exchange");
            app.sharepoint_roles = on("SharePoint");
        }
        // A token says what was granted when it was got.
        let anew = Reached::new(&self.vendor, &self.worker.context.clock, &self.trouble, None);
        self.worker.context.connectors = Arc::new(anew);
    }
}

impl Outside for Rig {
    type Changed = Changed;

    /// An archive is made in many attempts, each like the first.
    const DIE: u32 = 1;

    fn worker(&self) -> &Worker {
        &self.worker
    }

    fn pass(&self, now: Timestamp) {
        self.vendor.world().advance(now.0);
    }

    /// Two days later.
    fn changed(&self) -> Changed {
        let mut world = self.vendor.world();
        world.advance(self.worker.context.clock.now().0 + 2 * DAY_MS);
        let mut changed = Changed::new();
        for entry in world.journal().into_iter().skip(self.began) {
            // A new meeting's id is the vendor's to choose; how many there are is ours.
            let (object, counts) = match entry.effect {
                Effect::MeetingCreated | Effect::MeetingCancelled => (String::new(), true),
                Effect::WipeOrdered => (entry.object.clone(), true),
                _ => (entry.object.clone(), false),
            };
            // To read a key again changes nothing.
            if matches!(entry.actor, Actor::App { .. } | Actor::Machinery(_)) && entry.effect != Effect::KeyRead {
                let count = changed
                    .entry((entry.effect, entry.subject.clone(), object))
                    .or_default();
                *count = if counts { *count + 1 } else { 1 };
            }
        }
        changed
    }
}

fn case() -> CaseId {
    CaseId([1; 10])
}

/// Polls a future so many times and drops it; none if it had not ended.
async fn polled<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(move |cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Everything that there is to do for somebody.
async fn work_for(person: &str) -> Result<Vec<Work>, String> {
    let rig = rig(cruelty());
    let system = script::system();
    let everything = script::everything();
    let named = PersonRef {
        object_id: Some(ObjectId(person.to_owned())),
        ..PersonRef::default()
    };
    let policy = Policy {
        legal_hold: true,
        archive_mailbox: true,
        automatic_reply: Some("I have left.".into()),
        meetings: Meetings::HandOver,
        forwarding: offboard_domain::departure::Forwarding::Successor,
        ..Policy::default()
    };
    let departure = Departure {
        tenant: rig.worker.tenant.clone(),
        reference: None,
        person: named,
        manner: Manner::Immediate,
        effective_at: EPOCH,
        of_day: None,
        requested_by: "hr@msp.example".into(),
        handed_in_by: None,
        requested_at: EPOCH,
        successor: None,
        choices: Choices::default(),
    };
    let nobody = Subject::default();
    let params = Facts::new()
        .with("object_id", person)
        .with("successor_is_manager", true);
    let resolve = PlannedTask::new(case(), Kind::Resolve, &system, None, params);
    let resolve = Work {
        subject: nobody,
        task: resolve,
        checks: Vec::new(),
    };
    let said = attempt(
        &rig.worker.assignment(&resolve, 1, Mode::Full, None),
        Lane::Normal,
        false,
        &rig.worker.context,
    )
    .await
    .said;
    let Said::Satisfied { after, .. } = said else {
        return Err(format!("resolving said {said:?}"));
    };
    let subject = Subject(BTreeMap::from([(system.clone(), ObjectId(person.to_owned()))]));
    let planned = plan(case(), &departure, &after.facts, &policy, &everything, false).map_err(|e| e.to_string())?;
    let mut work = vec![resolve];
    let one = |task| Work {
        subject: subject.clone(),
        task,
        checks: Vec::new(),
    };
    let snapshot = PlannedTask::new(case(), Kind::SnapshotDirectory, &system, None, Facts::new());
    let End::Reached(snapshot) = rig.ended(&one(snapshot), false).await? else {
        return Err("the directory's snapshot was refused".to_owned());
    };
    work.extend(
        planned
            .tasks
            .into_iter()
            .filter(|t| t.kind.spec().area != Area::Person)
            .map(|mut task| {
                // As the case gives them to the assignment.
                match task.kind {
                    Kind::ProvePool => pool_params(&mut task.params, &snapshot),
                    Kind::DiscoverApps => unplanned::tell(&mut task.params, &snapshot, &policy),
                    _ => {}
                }
                one(task)
            }),
    );
    let finder = work
        .iter()
        .find(|w| w.task.kind == Kind::DiscoverDevices)
        .ok_or("no discovery is planned")?;
    let found = rig.worker.finds(finder).await?.into_iter();
    let found = found.filter(|f| f.kind.spec().area != Area::Person);
    work.extend(found.map(|f| one(PlannedTask::new(case(), f.kind, &system, Some(f.object), f.params))));
    for area in Area::MACHINES {
        let Some(kind) = area.closing_kind() else { continue };
        let read = work
            .iter()
            .map(|w| &w.task)
            .filter(|t| t.kind.spec().area == *area && t.kind.spec().writes);
        let checks = read
            .map(|t| Check {
                task: t.id,
                kind: t.kind,
                target: t.target.clone(),
                params: t.params.clone(),
            })
            .collect();
        let task = PlannedTask::new(case(), kind, &system, Some(ObjectId("round-1".into())), Facts::new());
        work.push(Work {
            subject: subject.clone(),
            task,
            checks,
        });
    }
    Ok(work)
}

/// What must have been done for a kind to have something to do, beyond what
/// everybody has: a licence is let go only when the mailbox is kept, the pool
/// moves when the licences are gone, an ownership can end when it is not the only one.
fn needed_before(kind: Kind) -> &'static [Kind] {
    match kind {
        Kind::ReleaseGroupLicenses | Kind::ReleaseDirectLicenses => &[Kind::ConvertToShared],
        Kind::ProvePool => &[
            Kind::ConvertToShared,
            Kind::ReleaseGroupLicenses,
            Kind::ReleaseDirectLicenses,
        ],
        Kind::RemoveGroupOwnerships => &[Kind::HandOverGroups],
        _ => &[],
    }
}

/// A world in which the kind can reach its end.
async fn ready(all: &[Work], kind: Kind, cruelty: Cruelty) -> Result<Rig, String> {
    let mut rig = rig(cruelty);
    for before in needed_before(kind) {
        for work in all.iter().filter(|w| w.task.kind == *before) {
            rig.ended(work, false)
                .await
                .map_err(|e| format!("{before}, before {kind}: {e}"))?;
        }
    }
    if !needed_before(kind).is_empty() {
        rig.later(HOUR_MS).await;
    }
    rig.began = rig.vendor.world().journal().len();
    Ok(rig)
}

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime of one thread needs nothing from outside")
}

fn somebody(who: fn(&Cast) -> &String) -> Result<String, String> {
    let rig = rig(cruelty());
    let built = rig.vendor.tenants.values().next();
    built
        .map(|t| who(&t.cast).clone())
        .ok_or_else(|| "nobody was built".to_owned())
}

/// Lets every kind run for somebody with the permissions that the connector
/// says that it needs, and no other. A closing round has those of what it reads.
///
/// # Errors
/// The first kind that lacks one, and for which request.
pub fn with_least_permissions(who: fn(&Cast) -> &String) -> Result<BTreeSet<Kind>, String> {
    paused().block_on(async {
        let all = work_for(&somebody(who)?).await?;
        let mut ran = BTreeSet::new();
        for work in &all {
            let kind = work.task.kind;
            let kinds = std::iter::once(kind).chain(work.checks.iter().map(|c| c.kind));
            let mut rig = ready(&all, kind, cruelty()).await?;
            rig.with_permissions(&kinds.flat_map(least_permissions).collect());
            let ended = rig.ended(work, false).await.map_err(|e| format!("{kind}: {e}"))?;
            if let End::Refused(fault) = ended
                && fault.class == FaultClass::Denied
            {
                return Err(format!(
                    "{kind} lacks a permission for {}: {}",
                    fault.attempted, fault.detail
                ));
            }
            ran.insert(kind);
        }
        Ok(ran)
    })
}

/// Lets somebody's licences go while the vendor's pool lags by so much, and
/// proves the pool; what was read at the end, and how long that took.
///
/// # Errors
/// That it did not come to an end.
pub fn pool_that_lags(who: fn(&Cast) -> &String, pool_lag_ms: i64) -> Result<(Facts, i64), String> {
    paused().block_on(async {
        let all = work_for(&somebody(who)?).await?;
        let cruelty = Cruelty {
            pool_lag_ms,
            ..cruelty()
        };
        let rig = ready(&all, Kind::ReleaseDirectLicenses, cruelty).await?;
        let mut end = End::Unfinished;
        let mut began = rig.worker.context.clock.now();
        for kind in [Kind::ReleaseGroupLicenses, Kind::ReleaseDirectLicenses, Kind::ProvePool] {
            began = rig.worker.context.clock.now();
            for work in all.iter().filter(|w| w.task.kind == kind) {
                end = rig.ended(work, false).await?;
            }
        }
        match end {
            End::Reached(facts) => Ok((facts, rig.worker.context.clock.now().since(began))),
            End::Refused(fault) => Err(fault.detail),
            End::Unfinished => Err("the pool was never proven".to_owned()),
        }
    })
}

/// Lets every kind die at every await, for somebody of the simulated vendor's
/// cast, and compares the world with an undisturbed run's.
///
/// # Errors
/// The first kind and await after which the world is another.
pub fn at_every_await(who: fn(&Cast) -> &String) -> Result<Vec<Deaths>, String> {
    paused().block_on(async {
        let mut told = Vec::new();
        let all = work_for(&somebody(who)?).await?;
        for work in &all {
            let kind = work.task.kind;
            let (awaits, undisturbed) = at_every_await_of(work, async || ready(&all, kind, cruelty()).await).await?;
            told.push(Deaths {
                kind,
                awaits,
                effects: undisturbed.len(),
            });
        }
        Ok(told)
    })
}

/// Lets one task's first attempts die at every await, in a world that is made anew for each:
/// how many awaits there were, and what an undisturbed run leaves.
async fn at_every_await_of<O: Outside>(
    work: &Work,
    ready: impl AsyncFn() -> Result<O, String>,
) -> Result<(usize, O::Changed), String> {
    let kind = work.task.kind;
    let undisturbed = to_the_end(&ready().await?, work, false, None)
        .await
        .map_err(|e| format!("{kind}, undisturbed: {e}"))?;
    let mut awaits = 0;
    for polls in 1..MOST_POLLS {
        let outside = ready().await?;
        let left = RefCell::new(None);
        let over = polled(first_attempts(&outside, work, &left), polls).await;
        if over.is_some() {
            break;
        }
        awaits = polls;
        let disturbed = to_the_end(&outside, work, true, left.into_inner())
            .await
            .map_err(|e| format!("{kind}, dead at await {polls}: {e}"))?;
        if disturbed != undisturbed {
            return Err(format!(
                "{kind}, dead at await {polls}, left {disturbed:#?} and undisturbed {undisturbed:#?}"
            ));
        }
    }
    Ok((awaits, undisturbed))
}
