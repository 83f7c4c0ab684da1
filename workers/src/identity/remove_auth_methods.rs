//! `identity.remove_auth_methods`: the default phone goes last, because the
//! directory refuses to let it go before the others.

use super::{TOGETHER, observe_held};
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Held, Holding};
use offboard_domain::{Fault, FaultClass};

/// Most passes: what is refused while another method stands is let go in the
/// next one.
const PASSES: usize = 3;

pub(crate) struct RemoveAuthMethods;

#[async_trait]
impl Procedure for RemoveAuthMethods {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        observe_held(job, Holding::Methods, "method_ids").await
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        let (mut left, mut at_last): (Vec<Held>, Vec<Held>) = seen.held().iter().cloned().partition(|h| !is_last(h));
        let mut refusal = None;
        for _ in 0..PASSES {
            let mut refused = Vec::new();
            for some in left.chunks(TOGETHER).chain(at_last.chunks(TOGETHER)) {
                if !job.time_for_more() {
                    return Ok(Applied::Part);
                }
                refused.extend(remove(job, some, &mut refusal).await?);
            }
            if refused.is_empty() {
                return Ok(Applied::All);
            }
            (left, at_last) = (refused, Vec::new());
        }
        refusal.map_or(Ok(Applied::All), Err)
    }
}

/// Takes some away; those that the directory would not let go yet come back.
async fn remove(job: &mut Job<'_>, some: &[Held], refusal: &mut Option<Fault>) -> Answer<Vec<Held>> {
    let id = job.account()?;
    let answers = job.directory()?.remove_all(job.writing()?, &id, some).await;
    let mut refused = Vec::new();
    for (held, answer) in some.iter().zip(answers) {
        let Err(fault) = answer else { continue };
        match fault.class {
            FaultClass::Absent => {}
            // A refused order comes back as Transient too.
            FaultClass::Transient | FaultClass::Blocked | FaultClass::Rejected | FaultClass::Unsupported => {
                refused.push(held.clone());
                *refusal = Some(fault);
            }
            FaultClass::Throttled { .. } | FaultClass::Denied | FaultClass::Unknown => return Err(fault),
        }
    }
    Ok(refused)
}

fn is_last(held: &Held) -> bool {
    matches!(held, Held::Method { last: true, .. })
}
