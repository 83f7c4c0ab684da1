//! What a worker at a site is given of the store.
//!
//! It may be let into the place of its site alone. What others have kept, and it is to
//! take to its desk or its wiki, is therefore put there before it is ordered to: the
//! sealed account, and the files of the knowledge session. If that fails, the order goes
//! out all the same: the worker says what it lacks, and the next try finds it there.

use crate::engine::Engine;
use offboard_domain::catalogue::desk::EVIDENCE;
use offboard_domain::catalogue::knowledge::SESSION_FILES;
use offboard_domain::{Assignment, Digest, Kind};
use offboard_store::StoreError;

impl Engine {
    /// Puts into the place of a site what this assignment is about.
    pub(crate) async fn hand_over(&self, site: &str, assignment: &Assignment) {
        for digest in needed(assignment) {
            if let Err(error) = self.hand(site, digest).await {
                let (case, task, error) = (assignment.case, assignment.task, error.with_causes());
                tracing::warn!(%case, %task, site, error, "failed to put into the site's place what its worker needs");
            }
        }
    }

    async fn hand(&self, site: &str, digest: Digest) -> Result<(), StoreError> {
        let place = self.store.site(site)?;
        if place.size(digest).await?.is_none() {
            place.put(self.store.get(digest).await?).await?;
        }
        Ok(())
    }
}

fn needed(assignment: &Assignment) -> Vec<Digest> {
    let params = &assignment.params;
    let named: Vec<&str> = match assignment.kind {
        Kind::AttachEvidence => params.text(EVIDENCE).into_iter().collect(),
        Kind::WriteNotes => {
            let files = params.list(SESSION_FILES).unwrap_or_default();
            files.iter().map(String::as_str).collect()
        }
        _ => Vec::new(),
    };
    named.into_iter().filter_map(|digest| digest.parse().ok()).collect()
}
