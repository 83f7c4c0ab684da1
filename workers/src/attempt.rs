//! The one attempt loop: observe, judge, apply, observe, report.
//!
//! It owns the order, the time and the leave to write, for every kind alike,
//! and refuses to know what any kind is for. What it upholds:
//!
//! - Nothing begins after the assignment's `start_by`, and everything ends
//!   before its time to run does (measured on the monotonic clock, with a
//!   tenth kept for reporting).
//! - Leave to write is given when the assignment allows it and the reading
//!   shows that the wanted state is not there, and taken back for the last
//!   reading.
//! - After a write it reads until the vendor has caught up, for some seconds
//!   of engine time; what still reads otherwise then is never claimed.
//! - A *once* kind whose order may have gone out is Unknown, whatever went
//!   wrong afterwards: the dispatcher then reads before anything else. One whose
//!   order was acknowledged waits, because what is remembered of it must not be
//!   lost with what could not be read: else "nothing is there" would be believed.
//! - A counter's first reading is remembered over slices, so that one write is
//!   not repeated only because its reading came late. What moved while nothing of ours
//!   had been sent is written over: whoever leaves may have moved it. Of everything else, what was
//!   read before the first write is handed over where the attempt does not see the
//!   end: the next one reads what this one has made of it.
//! - What was remembered in an attempt goes into its report also when a fault, or
//!   the end of its time, ends it.

use crate::Context;
use crate::identity::UNMARKED;
use crate::job::{Applied, Job, Seen};
use crate::observe_again;
use crate::procedure::{self, Procedure, Wait, When};
use offboard_connectors::{Answer, Connector, Holding, MASTERED_ELSEWHERE, PROTECTED_TARGET};
use offboard_domain::assignment::{REPORT_MAX_BYTES, baseline_facts, baseline_in};
use offboard_domain::catalogue::premises::MASTERED;
use offboard_domain::catalogue::{Proof, ROLES_OPEN};
use offboard_domain::{
    Assignment, Facts, Fault, FaultClass, Find, Kind, Lane, Mode, Observation, Receipt, Report, Said, Timestamp,
    Verdict, Writes, judge,
};
use tokio::time::Instant;

/// The share of an attempt's time that is kept for reporting: one tenth.
const REPORTING_SHARE: i64 = 10;

/// Pauses between readings after a write, in milliseconds of engine time:
/// a directory's replicas agree within seconds, and what takes longer is for
/// another attempt.
const CATCH_UP_MS: [i64; 5] = [0, 1_000, 2_000, 4_000, 8_000];

/// How long a counter that was written is waited for before it is written
/// again, in milliseconds.
const COUNTER_CATCH_UP_MS: i64 = 5 * 60_000;

/// How soon such a counter is looked at again, in milliseconds.
const COUNTER_LOOK_AGAIN_MS: i64 = 30_000;

/// How soon it is looked at whether a synchronisation has brought what the
/// system itself refused to change: one runs every half hour, unless configured
/// otherwise.
const SYNCHRONISED_LOOK_AGAIN_MS: i64 = 5 * 60_000;

/// How long an account may stay protected after its last role went before that
/// is believed: far longer than replicas lag.
const PROTECTED_MS: i64 = 15 * 60_000;

/// How soon it is tried again meanwhile: access is to be cut in minutes.
const PROTECTED_LOOK_AGAIN_MS: i64 = 10_000;

/// Since when an account without roles has been protected.
const PROTECTED_SINCE_MS: &str = "protected_since_ms";
/// How long roles must show before they are believed to be there: replicas may
/// show for a while what has gone.
const ROLES_BELIEVED_MS: i64 = 45_000;
/// Since when they have shown.
const ROLES_SHOWN_SINCE_MS: &str = "roles_shown_since_ms";
/// How often it is tried again while roles are still to be taken away, at first and
/// at last.
const ROLES_LOOK_AGAIN_MS: (i64, i64) = (60_000, 3_600_000);

/// How soon it is tried again with the mark of who leaves, and at last.
const UNMARKED_LOOK_AGAIN_MS: (i64, i64) = (1_000, 3_600_000);
/// Since when he has administered the tenant without a mark.
const UNMARKED_SINCE_MS: &str = "unmarked_since_ms";

/// How soon an acknowledged *once* order that cannot be read yet is looked at.
pub(crate) const ONCE_LOOK_AGAIN_MS: i64 = 60_000;

/// Most receipts in a report; beyond them, those of readings are left out.
const RECEIPTS_MAX: usize = 128;

/// How far an attempt has come, for what its end by time means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing was written.
    Reading,
    /// A write may be on its way.
    Applying,
    /// Every write was answered.
    Applied,
}

/// One attempt at one task, from the assignment to the report. `redelivered`
/// says that the assignment may have been begun before, by a worker that died.
///
/// A *once* kind in [`Mode::Full`] must have been acknowledged before this is
/// called. The future may be dropped at any await.
pub async fn attempt(assignment: &Assignment, lane: Lane, redelivered: bool, context: &Context) -> Report {
    // Before the clock is read, so that a pause in between counts.
    let started = Instant::now();
    let once = is_once(assignment);
    if once && redelivered {
        let detail =
            "this order must be carried out once and was delivered before; a worker that died may have begun it";
        return say(assignment, context, fault_said(assignment, FaultClass::Unknown, detail));
    }
    let now = context.clock.now();
    if now > assignment.start_by {
        let why = format!("it was to begin by {} and was taken at {now}", assignment.start_by);
        return say(assignment, context, Said::NotBegun { why });
    }
    let Some(connector) = context.connectors.get(&assignment.tenant, &assignment.target.system) else {
        let detail = "this worker has no such system of this tenant; add it to the tenant's configuration, or start a worker that has it";
        return say(assignment, context, fault_said(assignment, FaultClass::Denied, detail));
    };
    let run_for_ms = assignment.run_for_ms - assignment.run_for_ms / REPORTING_SHARE;
    let deadline = started + context.clock.real(run_for_ms);
    run(assignment, lane, context, connector.as_ref(), started, deadline).await
}

/// Whether the assignment orders what must not happen twice.
pub(crate) fn is_once(assignment: &Assignment) -> bool {
    assignment.mode == Mode::Full && !assignment.kind.spec().convergent
}

async fn run(
    assignment: &Assignment,
    lane: Lane,
    context: &Context,
    connector: &dyn Connector,
    started: Instant,
    deadline: Instant,
) -> Report {
    let mut job = Job::new(context, connector, assignment, lane, started, deadline);
    let mut stage = Stage::Reading;
    let driven = {
        let work = async {
            if assignment.kind.is_closing_round() {
                observe_again::run(assignment, &mut job).await
            } else {
                match procedure::of(assignment.kind) {
                    Some(procedure) => drive(procedure, assignment.mode, &mut job, &mut stage).await,
                    None => Err(job.fault(
                        FaultClass::Rejected,
                        "this is for a person to do, and was sent to a worker; report this",
                    )),
                }
            }
        };
        tokio::time::timeout_at(deadline, work).await
    };
    let said = match driven {
        Ok(Ok(said)) => said,
        Ok(Err(fault)) if is_done_on_premises(&fault, assignment) => waiting(&job, premises_wait(&job)),
        Ok(Err(fault)) if fault.code.as_deref() == Some(UNMARKED) => waiting(&job, unmarked_wait(&job, fault)),
        Ok(Err(fault)) if is_acknowledged(&job, assignment, stage) => waiting(&job, acknowledged_wait(&job, &fault)),
        Ok(Err(fault)) => {
            let waits = tokio::time::timeout_at(deadline, protected_wait(&mut job, &fault)).await;
            match waits.unwrap_or(Ok(None)) {
                Ok(Some(wait)) if !is_once(assignment) => waiting(&job, wait),
                Ok(_) => Said::Fault {
                    fault: classed(fault, assignment.kind, stage, job.call.writes()),
                },
                Err(fault) => Said::Fault { fault },
            }
        }
        Err(_) if is_acknowledged(&job, assignment, stage) => {
            waiting(&job, acknowledged_wait(&job, &out_of_time(&job, assignment, stage)))
        }
        Err(_) => Said::Fault {
            fault: out_of_time(&job, assignment, stage),
        },
    };
    let mut report = say(assignment, context, said);
    if matches!(
        report.said,
        Said::Fault { .. } | Said::Wait { .. } | Said::Progress { .. }
    ) {
        report.seen = job.otherwise.take();
    }
    if matches!(report.said, Said::Fault { .. }) {
        report.remembered = newly_remembered(&mut job, assignment);
    }
    // What a person brings about after a refusal is not ours, and what there was before it no
    // reading of ours. A dispatcher of an older version goes by what is handed over alone.
    let writes = job.call.writes();
    if let Some(first) = job.first.take().filter(|_| writes.may_have_been_taken()) {
        hand_over_first(&mut report, &first, assignment);
    }
    report.writes = (writes.sent > 0).then_some(writes);
    report.receipts = kept(job.call.take_receipts());
    report.artifacts = std::mem::take(&mut job.artifacts);
    report
}

/// What an attempt remembers, if that is not what it was given.
fn newly_remembered(job: &mut Job<'_>, assignment: &Assignment) -> Option<Facts> {
    let remembered = std::mem::take(&mut job.remembered);
    let given = assignment.checkpoint.as_ref();
    let same = given.map_or(remembered.0.is_empty(), |given| *given == remembered);
    (!same).then_some(remembered)
}

/// Leaves what was read before the first write with what is remembered, where the report
/// does not say it anyway.
fn hand_over_first(report: &mut Report, first: &Observation, assignment: &Assignment) {
    let left = match &mut report.said {
        Said::Wait { checkpoint, .. } => checkpoint.get_or_insert_default(),
        Said::Progress { checkpoint } => checkpoint,
        Said::Fault { .. } => report
            .remembered
            .get_or_insert_with(|| assignment.checkpoint.clone().unwrap_or_default()),
        Said::Satisfied { .. }
        | Said::Observed { .. }
        | Said::Checked { .. }
        | Said::Found { .. }
        | Said::NotBegun { .. } => return,
    };
    left.0.extend(baseline_facts(first).0);
}

/// Whether an order that must not be given twice was acknowledged, and that is
/// remembered.
fn is_acknowledged(job: &Job<'_>, assignment: &Assignment, stage: Stage) -> bool {
    is_once(assignment) && stage == Stage::Applied && !job.remembered.0.is_empty()
}

fn acknowledged_wait(job: &Job<'_>, fault: &Fault) -> Wait {
    Wait {
        until: job.call.now().plus(ONCE_LOOK_AGAIN_MS),
        why: format!("ordered and acknowledged; it could not be read since: {fault}"),
        remember: job.remembered.clone(),
    }
}

/// Whether the system refuses this because the object is a copy, and the
/// directory that masters it is connected: what is wanted is done there, and a
/// synchronisation brings it.
fn is_done_on_premises(fault: &Fault, assignment: &Assignment) -> bool {
    fault.code.as_deref() == Some(MASTERED_ELSEWHERE) && assignment.params.bool(MASTERED) == Some(true)
}

fn premises_wait(job: &Job<'_>) -> Wait {
    Wait {
        until: job.call.now().plus(SYNCHRONISED_LOOK_AGAIN_MS),
        why: "refused here, because it is a copy; it is changed on the premises, and a synchronisation brings it"
            .to_owned(),
        remember: job.remembered.clone(),
    }
}

/// Soon again, with the mark of who leaves; the more seldom, the longer none comes.
fn unmarked_wait(job: &Job<'_>, fault: Fault) -> Wait {
    let since_ms = job.remembered.int(UNMARKED_SINCE_MS).unwrap_or_else(|| job.now_ms());
    let (soon, seldom) = UNMARKED_LOOK_AGAIN_MS;
    let rest_ms = (job.now_ms() - since_ms).clamp(soon, seldom);
    Wait {
        until: job.call.now().plus(rest_ms),
        why: fault.detail,
        remember: job.remembered.clone().with(UNMARKED_SINCE_MS, since_ms),
    }
}

/// Whoever had roles a moment ago is still protected by replicas that have not
/// heard that they went. Where they read as gone, the refusal is no person's
/// business yet: it is tried again, for a while. Where they show, they must go on
/// showing. Where they are still to be taken away, the task that does so is: this
/// follows it.
///
/// # Errors
/// The fault of reading the roles, if it passes by itself.
async fn protected_wait(job: &mut Job<'_>, fault: &Fault) -> Answer<Option<Wait>> {
    let (Some(directory), Ok(id), Some(PROTECTED_TARGET)) =
        (job.connector.directory(), job.account(), fault.code.as_deref())
    else {
        return Ok(None);
    };
    let since_ms = job.remembered.int(PROTECTED_SINCE_MS).unwrap_or_else(|| job.now_ms());
    if job.params.bool(ROLES_OPEN) == Some(true) {
        // Soon at first, and seldom where a person has to take them away.
        let (soon, seldom) = ROLES_LOOK_AGAIN_MS;
        let rest_ms = ((job.now_ms() - since_ms) / 4).clamp(soon, seldom);
        return Ok(Some(Wait {
            until: job.call.now().plus(rest_ms),
            why: "refused while he holds directory roles; it follows when those are taken away".to_owned(),
            remember: job.remembered.clone().with(PROTECTED_SINCE_MS, since_ms),
        }));
    }
    if job.now_ms() - since_ms >= PROTECTED_MS {
        return Ok(None);
    }
    let mut remember = job.remembered.clone().with(PROTECTED_SINCE_MS, since_ms);
    let why = match directory.holdings(&mut job.call, &id, Holding::Roles).await {
        Ok(roles) if roles.is_empty() => {
            remember.0.remove(ROLES_SHOWN_SINCE_MS);
            "his roles are gone, and the system still protects the account as if he had them"
        }
        Ok(_) => {
            let shown_ms = remember.int(ROLES_SHOWN_SINCE_MS).unwrap_or_else(|| job.now_ms());
            if job.now_ms() - shown_ms >= ROLES_BELIEVED_MS {
                return Ok(None);
            }
            remember.set(ROLES_SHOWN_SINCE_MS, shown_ms);
            "refused for the sake of directory roles; it is seen whether they still show in a moment"
        }
        Err(fault) if matches!(fault.class, FaultClass::Transient | FaultClass::Throttled { .. }) => return Err(fault),
        Err(_) => return Ok(None),
    };
    Ok(Some(Wait {
        until: job.call.now().plus(PROTECTED_LOOK_AGAIN_MS),
        why: why.to_owned(),
        remember,
    }))
}

async fn drive(procedure: &dyn Procedure, mode: Mode, job: &mut Job<'_>, stage: &mut Stage) -> Answer<Said> {
    let spec = job.kind.spec();
    let (first, seen) = read(procedure, job).await?;
    if !spec.finds.is_empty() {
        let finds: Vec<Find> = seen.finds;
        return Ok(Said::Found {
            observation: first,
            finds,
        });
    }
    if mode == Mode::ObserveOnly {
        let arrived = settled(&judge(job.kind, job.params, &first.facts, None));
        return Ok(
            match procedure.wait(job, &seen, When::ObserveOnly).filter(|_| !arrived) {
                Some(wait) => {
                    job.otherwise = Some(first);
                    waiting(job, wait)
                }
                None => Said::Observed { observation: first },
            },
        );
    }
    let before = baseline(job, &first);
    match judge(job.kind, job.params, &first.facts, Some(&before.facts)) {
        Verdict::Satisfied | Verdict::NotApplicable(_) => return Ok(Said::Satisfied { before, after: first }),
        Verdict::Blocked(why) => {
            job.otherwise = Some(first);
            return Err(job.fault(FaultClass::Blocked, why));
        }
        Verdict::Unsatisfied(why) => {
            job.otherwise = Some(first);
            if let Some(wait) = procedure.wait(job, &seen, When::Before).or_else(|| counter_wait(job)) {
                return Ok(waiting(job, wait));
            }
            if !spec.writes {
                return Err(job.fault(FaultClass::Transient, &why));
            }
        }
    }
    if spec.proof != Proof::Counter {
        job.first = Some(before.clone());
    }
    *stage = Stage::Applying;
    job.call.allow_writes(true);
    let applied = procedure.apply(job, &seen).await;
    job.call.allow_writes(false);
    if let Err(fault) = &applied
        && let Some((before, after)) = moved_by_hand(job, fault)
    {
        return Ok(Said::Satisfied { before, after });
    }
    if applied? == Applied::Part {
        return Ok(Said::Progress {
            checkpoint: job.remembered.clone(),
        });
    }
    *stage = Stage::Applied;
    if spec.proof == Proof::Counter {
        job.remembered = baseline_facts(&before).with(WRITTEN_MS, job.now_ms());
    }
    catch_up(procedure, job, before).await
}

/// Reads until the vendor shows what was written, for some seconds.
async fn catch_up(procedure: &dyn Procedure, job: &mut Job<'_>, before: Observation) -> Answer<Said> {
    let mut otherwise = String::new();
    for pause_ms in CATCH_UP_MS {
        if pause_ms > 0 {
            let until = job.call.now().plus(pause_ms);
            job.context.clock.sleep_until(until).await;
        }
        let (after, seen) = read(procedure, job).await?;
        match judge(job.kind, job.params, &after.facts, Some(&before.facts)) {
            Verdict::Satisfied | Verdict::NotApplicable(_) => return Ok(Said::Satisfied { before, after }),
            Verdict::Blocked(why) => {
                job.otherwise = Some(after);
                return Err(job.fault(FaultClass::Blocked, why));
            }
            Verdict::Unsatisfied(why) => {
                job.otherwise = Some(after);
                otherwise = why;
            }
        }
        if let Some(wait) = procedure.wait(job, &seen, When::After) {
            return Ok(waiting(job, wait));
        }
    }
    if job.kind.spec().proof == Proof::Counter {
        return Ok(waiting(job, counter_written(job)));
    }
    Err(job.fault(
        FaultClass::Transient,
        &format!("written, but the reading has not caught up: {otherwise}"),
    ))
}

/// One reading, with its sources and time.
pub(crate) async fn read(procedure: &dyn Procedure, job: &mut Job<'_>) -> Answer<(Observation, Seen)> {
    drop(job.call.take_sources());
    let mut seen = procedure.observe(job).await?;
    let facts = std::mem::take(&mut seen.facts);
    let observation = job.observation(facts);
    seen.facts = observation.facts.clone();
    Ok((observation, seen))
}

fn settled(verdict: &Verdict) -> bool {
    !matches!(verdict, Verdict::Unsatisfied(_))
}

/// To wait until now is not to wait: a slice is done, and the next one goes on.
pub(crate) fn waiting(job: &Job<'_>, wait: Wait) -> Said {
    let Wait { until, why, remember } = wait;
    if until <= job.call.now() {
        return Said::Progress { checkpoint: remember };
    }
    Said::Wait {
        until,
        why,
        checkpoint: Some(remember),
    }
}

const WRITTEN_MS: &str = "written_ms";

/// What was read before the first write of this task's counter: from an
/// earlier slice if that wrote, else just now. (A task that is opened again
/// has no earlier slice: what was moved before proves nothing then.)
fn baseline(job: &Job<'_>, first: &Observation) -> Observation {
    let kept = match job.kind.spec().proof {
        Proof::Counter if job.remembered.int(WRITTEN_MS).is_some() => baseline_in(&job.remembered),
        Proof::Counter | Proof::Read | Proof::Acknowledged | Proof::Attested => None,
    };
    kept.unwrap_or_else(|| first.clone())
}

/// What a counter was when the system refused for good to move it, and what it is now that it
/// has moved and is refused once more. Only where no permission helps (it is changed elsewhere,
/// or cannot be at all): there a person can but see to it by hand, and has it tried again then.
fn moved_by_hand(job: &Job<'_>, fault: &Fault) -> Option<(Observation, Observation)> {
    if job.kind.spec().proof != Proof::Counter || !fault.leaves_it_to_hands() {
        return None;
    }
    let (before, after) = (baseline_in(&job.remembered)?, job.otherwise.clone()?);
    let verdict = judge(job.kind, job.params, &after.facts, Some(&before.facts));
    (verdict == Verdict::Satisfied).then_some((before, after))
}

/// A counter that was written a short while ago.
fn counter_wait(job: &Job<'_>) -> Option<Wait> {
    let written_ms = job.remembered.int(WRITTEN_MS)?;
    let now = job.call.now();
    (job.kind.spec().proof == Proof::Counter && now.since(Timestamp(written_ms)) < COUNTER_CATCH_UP_MS)
        .then(|| counter_written(job))
}

fn counter_written(job: &Job<'_>) -> Wait {
    Wait {
        until: job.call.now().plus(COUNTER_LOOK_AGAIN_MS),
        why: "written, but the value that it moves has not moved in the reading yet".to_owned(),
        remember: job.remembered.clone(),
    }
}

/// A fault, as what it means for this kind: when a *once* order may have been taken, it is
/// Unknown, whatever it says. A look that is refused after the order is no refusal of the
/// order. Where every write was refused, or did not go out, the fault is what it says: there
/// is nothing to look for.
fn classed(fault: Fault, kind: Kind, stage: Stage, writes: Writes) -> Fault {
    if kind.spec().convergent || writes.sent == 0 {
        return fault;
    }
    if stage == Stage::Applying && !writes.may_have_been_taken() {
        return fault;
    }
    Fault {
        class: FaultClass::Unknown,
        ..fault
    }
}

fn out_of_time(job: &Job<'_>, assignment: &Assignment, stage: Stage) -> Fault {
    let once = !assignment.kind.spec().convergent;
    let (class, detail) = match stage {
        _ if job.call.writes_sent() == 0 => (
            FaultClass::Transient,
            "the attempt's time ended while reading; nothing was written",
        ),
        Stage::Reading => (FaultClass::Transient, "the attempt's time ended while reading"),
        Stage::Applying => (
            FaultClass::Unknown,
            "the attempt's time ended while writing; the last write may have happened",
        ),
        Stage::Applied if once => (
            FaultClass::Unknown,
            "the attempt's time ended after the order and before it could be read",
        ),
        Stage::Applied => (
            FaultClass::Transient,
            "the attempt's time ended after writing and before it could be read",
        ),
    };
    job.fault(class, detail)
}

/// Receipts for the report: all, or all of writes when there are too many.
fn kept(mut receipts: Vec<Receipt>) -> Vec<Receipt> {
    if receipts.len() > RECEIPTS_MAX {
        receipts.retain(|r| !r.request.starts_with("GET "));
        receipts.truncate(RECEIPTS_MAX);
    }
    receipts
}

/// The report, if it can be read where it goes. Else without what was read on the way, which
/// is there for people above all: a fault that passes stays one that passes. Else a fault that
/// says so: what is too large is buried unread there, so that the order would run out and be
/// given again, and nobody hear why. What is remembered, and what was kept, goes along.
pub(crate) fn fitting(report: Report, assignment: &Assignment) -> Report {
    let bytes = size(&report);
    if bytes <= REPORT_MAX_BYTES {
        return report;
    }
    let report = Report { seen: None, ..report };
    if size(&report) <= REPORT_MAX_BYTES {
        tracing::warn!(
            task = %assignment.task, kind = assignment.kind.name(), bytes,
            "a report is larger than {REPORT_MAX_BYTES} bytes; what was read is left out of it"
        );
        return report;
    }
    tracing::warn!(
        task = %assignment.task, kind = assignment.kind.name(), bytes,
        "a report is larger than {REPORT_MAX_BYTES} bytes; a fault is reported instead"
    );
    // It may have been carried out, and is then read first.
    let class = if is_once(assignment) {
        FaultClass::Unknown
    } else {
        FaultClass::Blocked
    };
    let detail = format!(
        "the attempt ended, and its report has {bytes} bytes, of which {REPORT_MAX_BYTES} are read: so much was found \
         that it cannot be told; look at it in the system itself, and make it less there if that can be"
    );
    let remembered = match report.said {
        Said::Wait { checkpoint, .. } => checkpoint,
        Said::Progress { checkpoint } => Some(checkpoint),
        Said::Satisfied { .. }
        | Said::Observed { .. }
        | Said::Checked { .. }
        | Said::Found { .. }
        | Said::Fault { .. }
        | Said::NotBegun { .. } => report.remembered,
    };
    let mut told = Report {
        said: fault_said(assignment, class, &detail),
        remembered,
        ..report
    };
    if size(&told) > REPORT_MAX_BYTES {
        told.remembered = None;
    }
    told
}

/// How many bytes a report has on its way.
fn size(report: &Report) -> usize {
    serde_json::to_vec(report).map_or(0, |body| body.len())
}

fn fault_said(assignment: &Assignment, class: FaultClass, detail: &str) -> Said {
    Said::Fault {
        fault: Fault {
            class,
            system: assignment.target.system.clone(),
            attempted: assignment.kind.name().to_owned(),
            status: None,
            code: None,
            detail: detail.to_owned(),
            request_id: None,
        },
    }
}

/// A report on an assignment that says this and carries nothing yet.
pub(crate) fn say(assignment: &Assignment, context: &Context, said: Said) -> Report {
    Report {
        tenant: assignment.tenant.clone(),
        case: assignment.case,
        task: assignment.task,
        attempt: assignment.attempt,
        version: assignment.version,
        head: assignment.head,
        at: context.clock.now(),
        said,
        seen: None,
        remembered: None,
        writes: None,
        receipts: Vec::new(),
        artifacts: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use offboard_domain::{CaseId, Digest, Kind, Subject, System, Target, TaskId, TenantId};

    /// The order was taken, and a look that follows it in the same act is refused.
    #[test]
    fn a_refused_look_is_no_refusal_of_an_order_that_was_taken() {
        let refused = |kind: Kind, writes: Writes| {
            let fault = Fault {
                class: FaultClass::Denied,
                system: System::person(),
                attempted: "GET /things".to_owned(),
                status: Some(403),
                code: None,
                detail: "the permission is missing".to_owned(),
                request_id: None,
            };
            classed(fault, kind, Stage::Applying, writes).class
        };
        let (taken, not_taken) = (Writes { sent: 1, refused: 0 }, Writes { sent: 1, refused: 1 });
        assert_eq!(refused(Kind::WipeDevice, taken), FaultClass::Unknown);
        assert_eq!(refused(Kind::WipeDevice, not_taken), FaultClass::Denied);
        // What may be written twice is tried again after a person has mended it.
        assert_eq!(refused(Kind::RetireDevice, taken), FaultClass::Denied);
    }

    /// Nothing went out, or a server asked for less haste: to look for it costs an hour.
    #[test]
    fn an_order_that_certainly_was_not_taken_is_not_looked_for() {
        let busy = FaultClass::Throttled {
            retry_after_ms: Some(7_000),
        };
        let ended_by = |class: FaultClass, stage: Stage, writes: Writes| {
            let fault = Fault {
                class,
                system: System::person(),
                attempted: "POST /things".to_owned(),
                status: None,
                code: None,
                detail: "by the test's order".to_owned(),
                request_id: None,
            };
            classed(fault, Kind::WipeDevice, stage, writes).class
        };
        for class in [FaultClass::Transient, busy, FaultClass::Denied] {
            for refused in [1, 2] {
                let none_taken = Writes { sent: refused, refused };
                assert_eq!(ended_by(class, Stage::Applying, none_taken), class);
                // An order that was answered is read, whatever was counted.
                assert_eq!(ended_by(class, Stage::Applied, none_taken), FaultClass::Unknown);
                let one_taken = Writes {
                    sent: refused + 1,
                    refused,
                };
                assert_eq!(ended_by(class, Stage::Applying, one_taken), FaultClass::Unknown);
            }
        }
    }

    fn order(kind: Kind, mode: Mode) -> Assignment {
        let tenant = TenantId::new("acme").unwrap();
        let case = CaseId::derive(&tenant, "HR-1");
        let system = System::new("m365").unwrap();
        Assignment {
            task: TaskId::derive(case, kind.name(), &system, None),
            tenant,
            case,
            attempt: 1,
            kind,
            target: Target { system, object: None },
            subject: Subject::default(),
            params: Facts::new(),
            mode,
            checkpoint: None,
            checks: Vec::new(),
            start_by: Timestamp(0),
            run_for_ms: 1,
            version: 9,
            head: Digest::ZERO,
            traceparent: None,
        }
    }

    fn report(order: &Assignment, said: Said) -> Report {
        Report {
            tenant: order.tenant.clone(),
            case: order.case,
            task: order.task,
            attempt: order.attempt,
            version: order.version,
            head: order.head,
            at: Timestamp(0),
            said,
            seen: None,
            remembered: None,
            writes: None,
            receipts: Vec::new(),
            artifacts: Vec::new(),
        }
    }

    fn read(bytes: usize) -> Said {
        let observation = Observation {
            read_at: Timestamp(0),
            sources: Vec::new(),
            facts: Facts::new().with("found", "x".repeat(bytes)),
        };
        Said::Observed { observation }
    }

    fn class(report: &Report) -> Option<FaultClass> {
        match &report.said {
            Said::Fault { fault } => Some(fault.class),
            _ => None,
        }
    }

    #[test]
    fn one_byte_more_than_is_read_is_a_fault() {
        let order = order(Kind::RemoveInboxRules, Mode::ObserveOnly);
        let room = REPORT_MAX_BYTES - size(&report(&order, read(0)));
        let fits = report(&order, read(room));
        assert_eq!(size(&fits), REPORT_MAX_BYTES);
        assert_eq!(fitting(fits.clone(), &order), fits);
        let told = fitting(report(&order, read(room + 1)), &order);
        assert_eq!(class(&told), Some(FaultClass::Blocked));
        assert!(size(&told) < 2_000);
        let Said::Fault { fault } = &told.said else {
            panic!("{told:?}")
        };
        assert!(fault.detail.contains(&(REPORT_MAX_BYTES + 1).to_string()), "{fault}");
    }

    /// A person would be asked for what passes by itself.
    #[test]
    fn what_was_read_on_the_way_goes_before_what_is_said() {
        let order = order(Kind::WipeDevice, Mode::ObserveOnly);
        let waits = Said::Wait {
            until: Timestamp(1),
            why: "it is at it".to_owned(),
            checkpoint: Some(Facts::new().with("ordered", true)),
        };
        for said in [waits, fault_said(&order, FaultClass::Transient, "no answer came")] {
            let alone = Report {
                remembered: Some(Facts::new().with("told", 5_i64)),
                ..report(&order, said)
            };
            let Said::Observed { observation } = read(REPORT_MAX_BYTES) else {
                panic!("it reads")
            };
            let with_all = Report {
                seen: Some(observation),
                ..alone.clone()
            };
            assert!(size(&with_all) > REPORT_MAX_BYTES);
            assert_eq!(fitting(with_all, &order), alone);
        }
    }

    #[test]
    fn what_may_have_been_ordered_once_is_unknown_and_what_is_remembered_of_it_stays() {
        let once = order(Kind::WipeDevice, Mode::Full);
        let remembered = Facts::new().with("ordered", true);
        let waits = report(
            &once,
            Said::Wait {
                until: Timestamp(1),
                why: "x".repeat(REPORT_MAX_BYTES),
                checkpoint: Some(remembered.clone()),
            },
        );
        let told = fitting(waits, &once);
        assert_eq!(class(&told), Some(FaultClass::Unknown));
        assert_eq!(told.remembered, Some(remembered));
        // Read alone, it was not ordered.
        let reading = order(Kind::WipeDevice, Mode::ObserveOnly);
        let told = fitting(report(&reading, read(REPORT_MAX_BYTES)), &reading);
        assert_eq!(class(&told), Some(FaultClass::Blocked));
    }
}
