//! The closing round: every settled task of an area is read once more, and
//! nothing is written. All readings are answered, or none: one fault is the
//! answer of the whole, and the round is read again.

use crate::attempt::read;
use crate::job::Job;
use crate::procedure::{self, Wait, When};
use futures::StreamExt as _;
use offboard_connectors::Answer;
use offboard_domain::{Artifact, Assignment, Check, Checked, Facts, Fault, FaultClass, Receipt, Said, Verdict, judge};

/// How many tasks are read at the same time: mail systems allow four
/// concurrent requests to one mailbox.
const READ_AT_ONCE: usize = 4;

struct Reading {
    answer: Answer<Checked>,
    wait: Option<Wait>,
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
    let mut waits = Vec::new();
    let mut fault: Option<Fault> = None;
    for reading in readings {
        for receipt in reading.receipts {
            job.call.note_receipt(receipt);
        }
        waits.extend(reading.wait);
        match reading.answer {
            Ok(checked) => results.push(checked),
            Err(f) => fault = fault.or(Some(f)),
        }
    }
    if let Some(fault) = fault {
        return Err(fault);
    }
    Ok(match waits.iter().map(|w| w.until).max() {
        None => Said::Checked { results },
        Some(until) => {
            let why = waits.iter().map(|w| w.why.as_str()).collect::<Vec<_>>().join("; ");
            let remember = waits.iter().flat_map(|w| w.remember.0.clone()).collect();
            Said::Wait {
                until,
                why,
                checkpoint: Some(Facts(remember)),
            }
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
            Err(fault) => (Err(fault), None),
            Ok((observation, seen)) => {
                let differs = matches!(
                    judge(check.kind, &check.params, &observation.facts, None),
                    Verdict::Unsatisfied(_)
                );
                let wait = procedure
                    .wait(&job, &seen, When::Closing)
                    .filter(|_| differs)
                    .map(|w| theirs(w, check));
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
    Reading {
        answer,
        wait,
        receipts: job.call.take_receipts(),
    }
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

fn theirs(wait: Wait, check: &Check) -> Wait {
    let named = wait
        .remember
        .0
        .into_iter()
        .map(|(name, fact)| (format!("{}/{name}", check.task), fact));
    Wait {
        remember: Facts(named.collect()),
        ..wait
    }
}
