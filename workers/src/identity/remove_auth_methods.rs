//! `identity.remove_auth_methods`: the default phone goes last, because the
//! directory refuses to let it go before the others.

use super::{observe_held, remove_held};
use crate::job::{Applied, Items, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Held, Holding};

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
        let id = job.account()?;
        let directory = job.directory()?;
        let mut left: Vec<Held> = seen.held().to_vec();
        left.sort_by_key(is_last);
        for _ in 1..PASSES {
            let mut refused = Vec::new();
            for held in left {
                if !job.time_for_more() {
                    return Ok(Applied::Part);
                }
                let done = directory.remove(job.writing()?, &id, &held).await;
                let mut one = Items::default();
                one.note(done)?;
                if one.end().is_err() {
                    refused.push(held);
                }
            }
            if refused.is_empty() {
                return Ok(Applied::All);
            }
            left = refused;
        }
        // What is refused in the last pass too is the answer.
        remove_held(job, left.iter()).await
    }
}

fn is_last(held: &Held) -> bool {
    matches!(held, Held::Method { last: true, .. })
}
