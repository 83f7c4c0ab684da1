//! When it is believed that something is gone which does not show: only after it was
//! looked for again and again, for as long as copies of what a vendor keeps may differ.
//! A search that nobody went on with says little of the time in between, however long it was;
//! what was found out before it still holds, so that every look brings the answer nearer.

use crate::job::Job;
use offboard_domain::time::{HOUR_MS, MINUTE_MS};

/// For how long it must not show before it is believed to be gone.
const BELIEVED_MS: i64 = HOUR_MS;
/// How soon it is looked for again meanwhile.
pub(crate) const LOOK_AGAIN_MS: i64 = 10 * MINUTE_MS;
/// What a time in which nobody looked counts for at most: what it was in between is not
/// known. So three looks are needed at least, whatever a vendor makes us wait between them.
const UNSEEN_AT_MOST_MS: i64 = 3 * LOOK_AGAIN_MS;

/// The names under which a search is remembered from one attempt to the next.
pub(crate) struct Missed {
    /// Since when it does not show, moved on by the time that does not count.
    pub(crate) since_ms: &'static str,
    /// When it was last looked for and did not show.
    pub(crate) last_ms: &'static str,
}

impl Missed {
    /// It does not show now. Since when it has not, as if the time that does not count had
    /// not been.
    pub(crate) fn note(&self, job: &mut Job<'_>) -> i64 {
        let now_ms = job.now_ms();
        let known = job.remembered.int(self.since_ms).zip(job.remembered.int(self.last_ms));
        let since_ms = known.map_or(now_ms, |(since_ms, last_ms)| {
            since_ms + (now_ms - last_ms - UNSEEN_AT_MOST_MS).max(0)
        });
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
