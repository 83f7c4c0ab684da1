//! What a departure would do, found out by reading only.
//!
//! It asks the same pure function that decides a real case, in memory: the
//! request is opened, what finds out is really carried out (it only reads),
//! and every task that would write is observed instead. Nothing is accepted,
//! nothing is kept, nothing is written outside; the calls have no leave to.

use futures::stream::{self, StreamExt as _};
use offboard_dispatcher::tenants::Terms;
use offboard_domain::catalogue::{Approval, Stage};
use offboard_domain::departure::Manner;
use offboard_domain::standing::{standing, words};
use offboard_domain::time::MINUTE_MS;
use offboard_domain::{
    Area, Assignment, Case, CaseId, CaseState, Command, Decision, Departure, Digest, Event, FaultClass, Gates, Kind,
    Lane, Mode, Observation, Refusal, Report, Said, Task, TaskId, TenantId, Timestamp, Verdict, decide, folders, heir,
    judge, unplanned,
};
use offboard_workers::{Context, attempt};
use serde::Serialize;
use std::sync::Arc;

/// Observations of one departure at the same time.
const AT_ONCE: usize = 8;
/// How long one observation may take.
const OBSERVE_FOR_MS: i64 = 2 * MINUTE_MS;
/// Rounds of finding out: what is found is never a finder itself, and a
/// vendor that is down is not waited for.
const ROUNDS: usize = 8;

/// Pauses before it is asked again, if the vendor names none, in milliseconds: a
/// preview of many people is what makes a vendor ask to be called less often.
const AGAIN_AFTER_MS: [i64; 6] = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000];
/// How often it is asked again where nobody answered, and after how long.
const UNANSWERED_MAX: u32 = 2;
const UNANSWERED_PAUSE_MS: i64 = 500;
/// No pause that a vendor names is waited for longer: somebody sits there.
const PAUSE_MAX_MS: i64 = MINUTE_MS;

/// What is true of one task before anything is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Now {
    /// The wanted state is there already.
    True,
    /// It would be changed.
    Change,
    /// There is nothing to do.
    NotApplicable,
    /// Only a person can bring it about.
    Blocked,
    /// The outside system is at it already.
    UnderWay,
    /// It could not be read.
    Unknown,
    /// It only reads, or keeps a record.
    Read,
    /// A person does it.
    Person,
}

/// One task as it would be.
#[derive(Debug, Clone, Serialize)]
pub struct PreviewTask {
    /// Its id.
    pub id: TaskId,
    /// Its kind.
    pub kind: Kind,
    /// What it does.
    pub title: &'static str,
    /// Its stage.
    pub stage: Stage,
    /// In which system.
    pub system: String,
    /// About which object, if not the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// What is true now.
    pub now: Now,
    /// What was read, or why it could not be.
    pub why: String,
    /// `none`, `plan`, `plan_or_burst` or `own`.
    pub approval: &'static str,
    /// Whether it can be undone.
    pub reversible: bool,
    /// What was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<Observation>,
}

/// A departure as it would be.
#[derive(Debug, Clone, Serialize)]
pub struct Preview {
    /// Whose.
    pub tenant: TenantId,
    /// The case that it would open.
    pub case: CaseId,
    /// The source's reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The person, as the directory or the request names him.
    pub person: String,
    /// How.
    pub manner: Manner,
    /// From when on access must be gone.
    pub effective_at: Timestamp,
    /// Whether there is a plan.
    pub planned: bool,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// What an approval of the plan would name, as long as nothing changes.
    pub plan_digest: Digest,
    /// Its tasks, in the order of a departure.
    pub tasks: Vec<PreviewTask>,
    /// Kinds that were wanted and that no connected system offers.
    pub unserved: Vec<Kind>,
    /// What whoever looks at it should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Why a system could not be reached, if one could not.
    #[serde(skip)]
    pub unreached: Option<String>,
    /// The case that it would be, to compare with others.
    #[serde(skip)]
    pub(crate) seen: Case,
}

/// Finds out what a departure would do. `unreached` says why the tenant's
/// systems could not be reached a moment ago: then they are not asked again, so
/// that a file of many people does not wait for each of them in vain.
///
/// # Errors
/// [`Refusal`] if the request would not even be accepted.
pub async fn preview(
    departure: Departure,
    terms: &Terms,
    context: &Context,
    unreached: Option<&str>,
) -> Result<Preview, Refusal> {
    let mut draft = Draft::open(departure, terms, context)?;
    match unreached {
        Some(why) => draft.unreached = Some(why.to_owned()),
        None => draft.find_out(context).await?,
    }
    let now = context.clock.now();
    let planned = draft.case.state == CaseState::Active;
    let mut tasks: Vec<Arc<Task>> = draft.case.tasks.values().cloned().collect();
    tasks.sort_by_key(|t| (t.kind().spec().stage, t.kind(), t.id()));
    let seen = stream::iter(tasks.into_iter().map(|task| look(&draft.case, task, now, context)));
    let tasks = seen.buffered(AT_ONCE).collect().await;
    let departure = &draft.case.departure;
    let person = &departure.person;
    let name = [
        person.display_name.as_deref(),
        draft.case.subject_facts.text("user_principal_name"),
        person.user_principal_name.as_deref(),
        person.mail.as_deref(),
        person.employee_id.as_deref(),
        person.object_id.as_ref().map(|o| o.0.as_str()),
    ];
    let person = name.into_iter().flatten().next().unwrap_or("").to_owned();
    Ok(Preview {
        tenant: departure.tenant.clone(),
        case: draft.case.id,
        reference: departure.reference.clone(),
        person,
        manner: departure.manner,
        effective_at: departure.effective_at,
        planned,
        why_not: (!planned).then(|| match unreached {
            Some(why) => format!("not asked again: {why}"),
            None => why_not(&draft.case, now),
        }),
        plan_digest: draft.case.plan_digest(),
        tasks,
        unserved: draft.unserved,
        warnings: Vec::new(),
        unreached: draft.unreached,
        seen: draft.case,
    })
}

/// Warns of each whose successor leaves too: by another one of these, or by a case that is
/// open already.
pub fn warn_of_heirs(previews: &mut [Preview], open: &[Arc<Case>]) {
    let found: Vec<Option<String>> = previews
        .iter()
        .map(|one| {
            let mut listed = previews.iter().filter(|other| other.tenant == one.tenant);
            if let Some(other) = listed.find(|other| heir::leaves_too(&one.seen, &other.seen)) {
                return Some(format!("case {}, also in this list", other.case));
            }
            let mut open = open.iter().filter(|other| other.departure.tenant == one.tenant);
            let other = open.find(|other| heir::leaves_too(&one.seen, other))?;
            Some(format!("case {}, access ends {}", other.id, other.effective_at()))
        })
        .collect();
    for (one, other) in previews.iter_mut().zip(found) {
        one.warnings.extend(
            other.map(|other| format!("whoever is to take over leaves too ({other}); name somebody who stays")),
        );
    }
}

struct Draft {
    case: Case,
    unserved: Vec<Kind>,
    unreached: Option<String>,
}

impl Draft {
    fn open(departure: Departure, terms: &Terms, context: &Context) -> Result<Self, Refusal> {
        let command = Command::Open {
            departure: Arc::new(departure),
            policy: terms.policy.clone(),
            capabilities: terms.capabilities.clone(),
            traceparent: None,
        };
        let decision = decide(None, command, context.clock.now(), &Gates::open())?;
        let mut draft = Self {
            case: decision.case.clone(),
            unserved: Vec::new(),
            unreached: None,
        };
        draft.case.version = 0;
        draft.take(decision);
        Ok(draft)
    }

    fn take(&mut self, decision: Decision) {
        let version = self.case.version + decision.events.len() as u64;
        for event in &decision.events {
            if let Event::CasePlanned { unserved, .. } = event {
                self.unserved.clone_from(unserved);
            }
        }
        self.case = decision.case;
        self.case.version = version;
    }

    /// Carries out what finds out: who it is, which devices there are, and which
    /// applications.
    async fn find_out(&mut self, context: &Context) -> Result<(), Refusal> {
        for _ in 0..ROUNDS {
            let finders: Vec<Assignment> = self
                .case
                .tasks
                .values()
                .filter(|t| finds_out(&self.case, t.kind()))
                .filter_map(|t| self.case.assignment(t.id()))
                .collect();
            if finders.is_empty() {
                return Ok(());
            }
            for assignment in finders {
                let report = read(&assignment, context).await;
                if let Said::Fault { fault } = &report.said
                    && fault.class == FaultClass::Transient
                    && fault.status.is_none()
                {
                    self.unreached = Some(fault.to_string());
                }
                let command = Command::RecordReport(Box::new(report));
                let decision = decide(Some(&self.case), command, context.clock.now(), &Gates::open())?;
                self.take(decision);
            }
        }
        Ok(())
    }
}

/// Whether others are found by it: by itself, or because it records what another looks up.
fn finds_out(case: &Case, kind: Kind) -> bool {
    let recorded = kind == Kind::SnapshotDirectory && case.has(Kind::DiscoverApps);
    kind == Kind::Resolve || recorded || !kind.spec().finds.is_empty()
}

/// Why a case has no plan, in the words that its tasks have for it.
fn why_not(case: &Case, now: Timestamp) -> String {
    match &case.state {
        CaseState::Refused { reason } => reason.clone(),
        CaseState::Merged { into } => format!("the person's departure is case {into}"),
        _ => {
            let open = Gates::open();
            let stuck = case
                .tasks
                .values()
                .filter(|t| t.kind() == Kind::Resolve && !t.is_settled());
            let said: Vec<String> = stuck.map(|t| words(&standing(case, t, now, &open), t)).collect();
            if said.is_empty() {
                "no connected system can find the account".to_owned()
            } else {
                said.join("; ")
            }
        }
    }
}

/// One reading; what passes by itself is waited for, as a case would.
async fn read(assignment: &Assignment, context: &Context) -> Report {
    let mut pauses = AGAIN_AFTER_MS.iter();
    let mut unanswered = 0;
    loop {
        let report = attempt(assignment, Lane::Normal, false, context).await;
        let named_ms = match &report.said {
            Said::Fault { fault } => match fault.class {
                FaultClass::Throttled { retry_after_ms } => retry_after_ms,
                FaultClass::Transient if fault.status.is_some() => None,
                // A connection may break; a vendor that cannot even be reached is not
                // waited for.
                FaultClass::Transient if unanswered < UNANSWERED_MAX => {
                    unanswered += 1;
                    Some(UNANSWERED_PAUSE_MS)
                }
                _ => return report,
            },
            _ => return report,
        };
        let Some(pause_ms) = pauses.next() else { return report };
        let pause_ms = named_ms.unwrap_or(*pause_ms).clamp(0, PAUSE_MAX_MS);
        let until = context.clock.now().plus(pause_ms);
        if until > assignment.start_by {
            return report;
        }
        context.clock.sleep_until(until).await;
    }
}

async fn look(case: &Case, task: Arc<Task>, now: Timestamp, context: &Context) -> PreviewTask {
    let spec = task.kind().spec();
    let (state, why, seen) = if spec.area == Area::Person {
        let asked = unplanned::words(&task).or_else(|| folders::words(case, &task));
        (Now::Person, asked.unwrap_or_default(), None)
    } else if !spec.writes {
        (Now::Read, String::new(), task.after.as_deref().cloned())
    } else {
        observe(case, &task, now, context).await
    };
    PreviewTask {
        id: task.id(),
        kind: task.kind(),
        title: spec.title,
        stage: spec.stage,
        system: task.planned.target.system.to_string(),
        object: task.planned.target.object.as_ref().map(ToString::to_string),
        now: state,
        why,
        approval: match spec.approval {
            Approval::None => "none",
            Approval::Plan => "plan",
            Approval::PlanOrBurst => "plan_or_burst",
            Approval::Own => "own",
        },
        reversible: spec.reversible,
        seen,
    }
}

async fn observe(case: &Case, task: &Task, now: Timestamp, context: &Context) -> (Now, String, Option<Observation>) {
    let assignment = Assignment {
        tenant: case.departure.tenant.clone(),
        case: case.id,
        task: task.id(),
        attempt: 1,
        kind: task.kind(),
        target: task.planned.target.clone(),
        subject: case.subject.clone(),
        params: case.told(task),
        mode: Mode::ObserveOnly,
        checkpoint: None,
        checks: Vec::new(),
        start_by: now.plus(OBSERVE_FOR_MS * AT_ONCE as i64),
        run_for_ms: OBSERVE_FOR_MS,
        version: case.version,
        head: case.head,
        traceparent: None,
    };
    let report = read(&assignment, context).await;
    match report.said {
        Said::Observed { observation }
        | Said::Satisfied { after: observation, .. }
        | Said::Found { observation, .. } => {
            let (state, why) = match judge(task.kind(), &task.planned.params, &observation.facts, None) {
                Verdict::Satisfied => (Now::True, String::new()),
                Verdict::Unsatisfied(why) => (Now::Change, why),
                Verdict::NotApplicable(why) => (Now::NotApplicable, why.to_owned()),
                Verdict::Blocked(why) => (Now::Blocked, why.to_owned()),
            };
            (state, why, Some(observation))
        }
        Said::Wait { why, .. } => (Now::UnderWay, why, None),
        Said::Fault { fault } => (Now::Unknown, fault.to_string(), None),
        Said::NotBegun { why } => (Now::Unknown, why, None),
        Said::Checked { .. } | Said::Progress { .. } => (
            Now::Unknown,
            "the worker answered something else than was asked".to_owned(),
            None,
        ),
    }
}
