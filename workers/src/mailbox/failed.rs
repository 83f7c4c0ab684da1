//! Messages that the server failed over when each was asked for by itself, of the page that a
//! pass is at, so that the next attempt goes on behind them.
//!
//! They are in the store, and the checkpoint has their digest: nothing that grows, and no page's
//! own words. With the page they are forgotten: they count as not delivered then, and another
//! pass asks for them again. Who does not know of them (an older version, or a store that lost
//! them) asks for all that is lacking: they leave no message out, they only say in which order.

use super::archive_mailbox::{broken, digest};
use crate::job::Job;
use offboard_archive::{ArchiveError, key};
use offboard_connectors::Answer;
use offboard_domain::{Digest, FaultClass};
use offboard_store::StoreError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How often a message is asked for by itself before a pass goes on without it.
const TRIES_ALONE: u32 = 2;
/// Most messages of one page that are remembered: as many as the largest page here has.
const FAILED_MAX: usize = 2_000;
/// The digest of what failed, in the checkpoint.
pub(super) const FAILED: &str = "failed_alone";

/// How often messages of one page failed by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Failed {
    folder: u32,
    /// The page, in the server's own words; none: the folder's first.
    page: Option<String>,
    /// By what is known of the message's id ([`key`]).
    times: BTreeMap<String, u32>,
}

impl Failed {
    /// What the last attempt left; nothing of what the store has lost.
    pub(super) async fn remembered(job: &Job<'_>) -> Answer<Self> {
        let Some(digest) = digest(&job.remembered, FAILED) else {
            return Ok(Self::default());
        };
        match job.context.store.get(digest).await {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
            Err(StoreError::Absent { .. } | StoreError::Damaged { .. }) => Ok(Self::default()),
            Err(error) => Err(broken(job, &ArchiveError::from(error))),
        }
    }

    /// Leaves it to the next attempt; none: nothing failed.
    pub(super) async fn keep(&self, job: &Job<'_>) -> Answer<Option<Digest>> {
        if self.times.is_empty() {
            return Ok(None);
        }
        let json = serde_json::to_vec(self).map_err(|_| {
            job.fault(
                FaultClass::Rejected,
                "what failed by itself cannot be written as JSON; report this",
            )
        })?;
        let put = job.context.store.put(json).await;
        put.map(Some).map_err(|error| broken(job, &ArchiveError::from(error)))
    }

    /// This page is at hand. What failed of another one is forgotten.
    pub(super) fn at(&mut self, folder: u32, page: Option<&str>) {
        if self.folder != folder || self.page.as_deref() != page {
            *self = Self {
                folder,
                page: page.map(str::to_owned),
                times: BTreeMap::new(),
            };
        }
    }

    fn times(&self, id: &str) -> u32 {
        self.times.get(&name(id)).copied().unwrap_or(0)
    }

    /// Whether it failed by itself at all.
    pub(super) fn has(&self, id: &str) -> bool {
        self.times(id) > 0
    }

    /// Whether it failed so often that the pass goes on without it.
    pub(super) fn is_passed_over(&self, id: &str) -> bool {
        self.times(id) >= TRIES_ALONE
    }

    /// It failed once more; false: there is no room for another one.
    pub(super) fn note(&mut self, id: &str) -> bool {
        let name = name(id);
        if self.times.len() >= FAILED_MAX && !self.times.contains_key(&name) {
            return false;
        }
        let times = self.times.entry(name).or_default();
        *times = times.saturating_add(1);
        true
    }
}

/// What a message goes by here: its id may say more than it should.
fn name(id: &str) -> String {
    format!("{:032x}", key(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_counts_for_its_page_alone_and_survives_being_written() {
        let mut failed = Failed::default();
        failed.at(2, Some("3"));
        assert!(failed.note("a") && failed.note("a") && failed.note("b"));
        let json = serde_json::to_string(&failed).unwrap();
        let mut failed: Failed = serde_json::from_str(&json).unwrap();
        failed.at(2, Some("3"));
        assert!(failed.is_passed_over("a") && failed.has("b") && !failed.is_passed_over("b"));
        for (folder, page) in [(2, None), (2, Some("4")), (3, Some("3"))] {
            let mut other = failed.clone();
            other.at(folder, page);
            assert!(!other.has("a"), "{folder} {page:?}");
        }
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let mut failed = Failed::default();
        assert!((0..FAILED_MAX).all(|id| failed.note(&id.to_string())));
        assert!(!failed.note("one more") && !failed.has("one more"));
        assert!(
            failed.note("0") && failed.is_passed_over("0"),
            "one that it has counts on"
        );
    }
}
