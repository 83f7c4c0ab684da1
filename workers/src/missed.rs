//! When it is believed that something is gone which does not show: only after it was
//! looked for again and again, for as long as copies of what a vendor keeps may differ.
//! A search that nobody went on with says nothing of the time in between.

use crate::job::Job;
use offboard_domain::time::{HOUR_MS, MINUTE_MS};

/// For how long it must not show before it is believed to be gone.
const BELIEVED_MS: i64 = HOUR_MS;
/// How soon it is looked for again meanwhile.
pub(crate) const LOOK_AGAIN_MS: i64 = 10 * MINUTE_MS;
/// How long nobody may have looked: what it was in between is not known, and the hour
/// begins anew.
const UNSEEN_AT_MOST_MS: i64 = 3 * LOOK_AGAIN_MS;

/// The names under which a search is remembered from one attempt to the next.
pub(crate) struct Missed {
    /// Since when it does not show.
    pub(crate) since_ms: &'static str,
    /// When it was last looked for and did not show.
    pub(crate) last_ms: &'static str,
}

impl Missed {
    /// It does not show now. Since when it has not, looked for without a gap.
    pub(crate) fn note(&self, job: &mut Job<'_>) -> i64 {
        let now_ms = job.now_ms();
        let last_ms = job.remembered.int(self.last_ms);
        let went_on = last_ms.is_some_and(|at| now_ms - at <= UNSEEN_AT_MOST_MS);
        let since_ms = job.remembered.int(self.since_ms).filter(|_| went_on);
        let since_ms = since_ms.unwrap_or(now_ms);
        job.remembered.set(self.since_ms, since_ms);
        job.remembered.set(self.last_ms, now_ms);
        since_ms
    }

    /// It shows: what was remembered of it is forgotten.
    pub(crate) fn shows(&self, job: &mut Job<'_>) {
        for name in [self.since_ms, self.last_ms] {
            job.remembered.0.remove(name);
        }
    }
}

/// Whether what does not show since then is believed to be gone.
pub(crate) fn is_believed(job: &Job<'_>, since_ms: i64) -> bool {
    job.now_ms() - since_ms >= BELIEVED_MS
}
