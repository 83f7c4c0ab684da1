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
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

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
    /// for the next try, and by one at a time, who says it if it fails.
    async fn hand(&self, site: &str, digest: Digest) -> Result<(), EngineError> {
        let place = self.store.site(site).map_err(store)?;
        let under_way = self.handing.begin(site, digest).await;
        let copying = copy(self.store.clone(), place, digest);
        let handed = tokio::spawn(async move {
            let copied = copying.await;
            if let Err(error) = &copied {
                let (site, _) = &under_way.one;
                tracing::warn!(site, %digest, error = error.with_causes(), "failed to put a file into the place of a site");
            }
            copied
        });
        match handed.await {
            Ok(copied) => copied.map_err(store),
            Err(broke) => Err(EngineError::Store(broke.to_string())),
        }
    }
}

/// A file, and the site into whose place it is put.
type One = (String, Digest);

/// What is being put into the places of sites just now, and what tells that it is over:
/// nothing is ever sent there, and it closes, however whoever is at it ends.
#[derive(Debug, Default)]
pub(crate) struct Handing(Mutex<BTreeMap<One, watch::Receiver<()>>>);

impl Handing {
    /// Begins to put this there, as soon as nobody else is at it.
    async fn begin(self: &Arc<Self>, site: &str, digest: Digest) -> UnderWay {
        loop {
            let mut over = match self.begin_now(site, digest) {
                Ok(under_way) => return under_way,
                Err(over) => over,
            };
            while over.changed().await.is_ok() {}
        }
    }

    /// Begins to put this there, unless somebody is at it: then, what tells when he no longer is.
    fn begin_now(self: &Arc<Self>, site: &str, digest: Digest) -> Result<UnderWay, watch::Receiver<()>> {
        let one = (site.to_owned(), digest);
        match self.under_way().entry(one.clone()) {
            Entry::Occupied(others) => Err(others.get().clone()),
            Entry::Vacant(free) => {
                let (at_it, over) = watch::channel(());
                free.insert(over);
                Ok(UnderWay {
                    all: self.clone(),
                    one,
                    _at_it: at_it,
                })
            }
        }
    }

    fn under_way(&self) -> MutexGuard<'_, BTreeMap<One, watch::Receiver<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that is being put there, until it is dropped.
struct UnderWay {
    all: Arc<Handing>,
    one: One,
    /// Goes after it was taken off the list, so that whoever is woken finds it free.
    _at_it: watch::Sender<()>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.all.under_way().remove(&self.one);
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
    fn one_at_a_time_puts_a_file_into_the_place_of_a_site() {
        let handing = Arc::new(Handing::default());
        let file = Digest::of(b"a recording");
        let one = handing.begin_now("berlin", file);
        assert!(one.is_ok() && handing.begin_now("berlin", file).is_err());
        assert!(handing.begin_now("paris", file).is_ok(), "elsewhere it is another");
        drop(one);
        assert!(handing.begin_now("berlin", file).is_ok());
    }

    /// Time stands still while anybody can go on: no clock wakes them.
    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_a_file_goes_on_at_once_when_the_other_is_through_or_dies() {
        let handing = Arc::new(Handing::default());
        let file = Digest::of(b"a recording");
        let began = tokio::time::Instant::now();
        let first = handing.begin("berlin", file).await;
        let wait = || {
            let handing = handing.clone();
            tokio::spawn(async move { handing.begin("berlin", file).await })
        };
        let (gives_up, second) = (wait(), wait());
        tokio::task::yield_now().await;
        assert!(!gives_up.is_finished() && !second.is_finished());
        gives_up.abort();
        drop(first);
        let held = second.await.unwrap();
        let third = wait();
        let dies = tokio::spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        tokio::task::yield_now().await;
        assert!(!third.is_finished());
        dies.abort();
        drop(third.await.unwrap());
        assert_eq!(began.elapsed(), std::time::Duration::ZERO);
        assert!(handing.under_way().is_empty(), "nothing is left behind");
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
