//! What a worker at a site is given of the store.
//!
//! It may be let into the place of its site alone. What others have kept, and it is to
//! take to its desk or its wiki, or to find there again, is therefore put there before it
//! is ordered to: the sealed account, and the files of the knowledge session. The order
//! waits for that no longer than for anything else that the store is to do, and goes out
//! all the same if it fails: the worker says what it lacks, and the next try finds it there.

use crate::engine::{Engine, EngineError};
use crate::kept::{in_time, store};
use futures::future::join_all;
use offboard_domain::catalogue::desk::EVIDENCE;
use offboard_domain::catalogue::knowledge::SESSION_FILES;
use offboard_domain::{Assignment, Digest, Facts, Kind};
use offboard_store::{Store, StoreError};
use std::collections::BTreeSet;

impl Engine {
    /// Puts into the place of a site what this assignment is about.
    pub(crate) async fn hand_over(&self, site: &str, assignment: &Assignment) {
        let handing: Vec<_> = needed(assignment)
            .into_iter()
            .map(|digest| in_time(self.hand(site, digest)))
            .collect();
        for error in join_all(handing).await.into_iter().filter_map(Result::err) {
            let (case, task) = (assignment.case, assignment.task);
            tracing::warn!(%case, %task, site, %error, "failed to put into the site's place what its worker needs; the order goes out without");
        }
    }

    /// Nobody need wait for it: what takes longer, as a large file does, is put there beside,
    /// for the next try.
    async fn hand(&self, site: &str, digest: Digest) -> Result<(), EngineError> {
        let place = self.store.site(site).map_err(store)?;
        match tokio::spawn(copy(self.store.clone(), place, digest)).await {
            Ok(copied) => copied.map_err(store),
            Err(broke) => Err(EngineError::Store(broke.to_string())),
        }
    }
}

async fn copy(shared: Store, place: Store, digest: Digest) -> Result<(), StoreError> {
    if place.size(digest).await?.is_none() {
        place.put(shared.get(digest).await?).await?;
    }
    Ok(())
}

/// What a worker needs for this: also for each task that it is to read again.
fn needed(assignment: &Assignment) -> BTreeSet<Digest> {
    let checked = assignment.checks.iter().map(|check| (check.kind, &check.params));
    let all = std::iter::once((assignment.kind, &assignment.params)).chain(checked);
    all.flat_map(|(kind, params)| named_in(kind, params))
        .filter_map(|digest| digest.parse().ok())
        .collect()
}

fn named_in(kind: Kind, params: &Facts) -> Vec<&str> {
    match kind {
        Kind::AttachEvidence => params.text(EVIDENCE).into_iter().collect(),
        Kind::WriteNotes => {
            let files = params.list(SESSION_FILES).unwrap_or_default();
            files.iter().map(String::as_str).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use offboard_domain::{CaseId, Check, Mode, Subject, System, Target, TaskId, TenantId, Timestamp};

    fn order(kind: Kind, params: Facts, checks: Vec<Check>) -> Assignment {
        let tenant = TenantId::new("acme").unwrap();
        let case = CaseId::derive(&tenant, "HR-1");
        let system = System::new("wiki").unwrap();
        Assignment {
            task: TaskId::derive(case, kind.name(), &system, None),
            tenant,
            case,
            attempt: 1,
            kind,
            target: Target { system, object: None },
            subject: Subject::default(),
            params,
            mode: Mode::ObserveOnly,
            checkpoint: None,
            checks,
            start_by: Timestamp(0),
            run_for_ms: 1,
            version: 9,
            head: Digest::ZERO,
            traceparent: None,
        }
    }

    #[test]
    fn whoever_reads_the_notes_again_needs_the_files_of_the_session_too() {
        let file = Digest::of(b"a recording");
        let params = Facts::new().with(SESSION_FILES, vec![file.to_string()]);
        let write = order(Kind::WriteNotes, params, Vec::new());
        assert_eq!(needed(&write), BTreeSet::from([file]));
        let check = Check {
            task: write.task,
            kind: write.kind,
            target: write.target.clone(),
            params: write.params.clone(),
        };
        let again = order(Kind::ObserveKnowledge, Facts::new(), vec![check]);
        assert_eq!(needed(&again), BTreeSet::from([file]));
        // The same of another kind is nothing that lies in the store.
        let other = order(Kind::AttachEvidence, write.params.clone(), Vec::new());
        assert_eq!(needed(&other), BTreeSet::new());
    }
}
