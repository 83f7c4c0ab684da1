//! The closing round: every settled task of an area is read once more, and
//! nothing is written. All readings are answered, or none: one fault is the
//! answer of the whole, and the round is read again.

use crate::attempt::{read, waiting};
use crate::job::Job;
use crate::missed::{LOOK_AGAIN_MS, Missed, is_believed};
use crate::procedure::{self, Wait, When};
use futures::StreamExt as _;
use offboard_connectors::Answer;
use offboard_domain::catalogue::{ACCOUNT_GONE, Area};
use offboard_domain::{Artifact, Assignment, Check, Checked, Facts, Fault, FaultClass, Receipt, Said, Verdict, judge};

/// How many tasks are read at the same time: mail systems allow four
/// concurrent requests to one mailbox.
const READ_AT_ONCE: usize = 4;

/// An account that does not show.
const GONE: Missed = Missed {
    since_ms: "account_gone_since_ms",
    last_ms: "account_gone_last_ms",
};

struct Reading {
    answer: Answer<Checked>,
    wait: Option<Wait>,
    /// What it has found out, also when it waits for nothing: another may.
    remember: Facts,
    receipts: Vec<Receipt>,
}

/// Reads every check of the assignment.
pub(crate) async fn run(assignment: &Assignment, job: &mut Job<'_>) -> Answer<Said> {
    // Made in a loop, not in a closure: so the whole is seen to be `Send`.
    let mut each = Vec::with_capacity(assignment.checks.len());
    for check in &assignment.checks {
        let remembered = mine(&job.remembered, check);
        each.push(one(
            job.reading(check.kind, &check.target, &check.params, remembered),
            check,
        ));
    }
    let readings: Vec<Reading> = futures::stream::iter(each).buffered(READ_AT_ONCE).collect().await;
    let mut results = Vec::with_capacity(readings.len());
    let (mut waits, mut remember) = (Vec::new(), Facts::new());
    let mut fault: Option<Fault> = None;
    for reading in readings {
        for receipt in reading.receipts {
            job.call.note_receipt(receipt);
        }
        waits.extend(reading.wait);
        remember.0.extend(reading.remember.0);
        match reading.answer {
            Ok(checked) => results.push(checked),
            Err(f) => fault = fault.or(Some(f)),
        }
    }
    if let Some(fault) = fault {
        job.remembered = remember;
        return Err(fault);
    }
    Ok(match waits.iter().map(|w| w.until).max() {
        None => Said::Checked { results },
        Some(until) => {
            let why = waits.iter().map(|w| w.why.as_str()).collect::<Vec<_>>().join("; ");
            waiting(job, Wait { until, why, remember })
        }
    })
}

async fn one(mut job: Job<'_>, check: &Check) -> Reading {
    let (answer, wait) = match procedure::of(check.kind) {
        None => {
            let detail = format!("{} cannot be read again by a worker; report this", check.kind);
            (Err(job.fault(FaultClass::Rejected, &detail)), None)
        }
        Some(procedure) => match read(procedure, &mut job).await {
            Err(fault) => without_account(&mut job, check, fault).await,
            Ok((observation, seen)) => {
                GONE.shows(&mut job);
                let differs = matches!(
                    judge(check.kind, &check.params, &observation.facts, None),
                    Verdict::Unsatisfied(_)
                );
                let wait = procedure.wait(&job, &seen, When::Closing).filter(|_| differs);
                (
                    Ok(Checked {
                        task: check.task,
                        observation,
                    }),
                    wait,
                )
            }
        },
    };
    drop::<Vec<Artifact>>(job.artifacts);
    let remember = match &wait {
        Some(wait) => wait.remember.clone(),
        None => job.remembered,
    };
    Reading {
        answer,
        wait,
        remember: named(remember, check),
        receipts: job.call.take_receipts(),
    }
}

/// What is read of an account fails when it is gone, in each round anew: somebody
/// has deleted it, and what the case has taken from it nobody can give back. That it
/// is gone shows for an hour before it is believed.
async fn without_account(job: &mut Job<'_>, check: &Check, fault: Fault) -> (Answer<Checked>, Option<Wait>) {
    let of_account = matches!(check.kind.spec().area, Area::Identity | Area::License | Area::Knowledge);
    let may_be_gone = matches!(fault.class, FaultClass::Absent | FaultClass::Transient);
    // On the premises a task names the account itself.
    let id = job.account().ok().or_else(|| job.target.object.clone());
    let (Some(directory), Some(id)) = (job.connector.directory(), id) else {
        return (Err(fault), None);
    };
    if !of_account || !may_be_gone {
        return (Err(fault), None);
    }
    match directory.account(&mut job.call, &id).await {
        Err(gone) if gone.class == FaultClass::Absent => {}
        Ok(_) => {
            GONE.shows(job);
            return (Err(fault), None);
        }
        Err(_) => return (Err(fault), None),
    }
    let since_ms = GONE.note(job);
    let wait = (!is_believed(job, since_ms)).then(|| Wait {
        until: job.call.now().plus(LOOK_AGAIN_MS),
        why: "the account is not there; whether it is gone shows within the hour".to_owned(),
        remember: job.remembered.clone(),
    });
    let observation = job.observation(Facts::new().with(ACCOUNT_GONE, true));
    let task = check.task;
    (Ok(Checked { task, observation }), wait)
}

/// What one check left behind in an earlier slice of the round.
fn mine(remembered: &Facts, check: &Check) -> Facts {
    let prefix = format!("{}/", check.task);
    let of_it = remembered
        .0
        .iter()
        .filter_map(|(name, fact)| Some((name.strip_prefix(&prefix)?.to_owned(), fact.clone())));
    Facts(of_it.collect())
}

fn named(remember: Facts, check: &Check) -> Facts {
    let named = remember.0.into_iter();
    Facts(
        named
            .map(|(name, fact)| (format!("{}/{name}", check.task), fact))
            .collect(),
    )
}
