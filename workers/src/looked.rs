//! How long something that may have been sent has been looked for. Lists lag behind what was
//! written, so that one look which finds nothing proves nothing.
//!
//! Only attempts that follow each other count as one search: what an earlier one left behind
//! says nothing once another attempt came in between, which may have sent it anew.

use crate::job::Job;
use offboard_domain::Facts;

/// Since when it has been looked for without a gap, in milliseconds since 1970.
const LOOKED_MS: &str = "looked_ms";

/// The attempt that looked last.
const LOOKED_IN: &str = "looked_in_attempt";

/// Since when it has been looked for: from now on, if the attempt right before this one did
/// not go on with it.
fn since_ms(job: &Job<'_>) -> i64 {
    let since = job.remembered.int(LOOKED_MS).filter(|_| is_last_in(job, LOOKED_IN));
    since.unwrap_or_else(|| job.now_ms())
}

/// Whether the attempt whose number is remembered by this name is the one before this one.
pub(crate) fn is_last_in(job: &Job<'_>, name: &str) -> bool {
    job.remembered.int(name) == Some(i64::from(job.attempt) - 1)
}

/// Whether it has been looked for that long.
pub(crate) fn looked_for(job: &Job<'_>, ms: i64) -> bool {
    job.now_ms() - since_ms(job) >= ms
}

/// Leaves to the next attempt that this one has looked.
pub(crate) fn remember(job: &Job<'_>, facts: &mut Facts) {
    facts.set(LOOKED_MS, since_ms(job));
    facts.set(LOOKED_IN, i64::from(job.attempt));
}
