//! What is remembered of the traces of open cases, so that later ones can link
//! to them: the roots of its episodes, and each task's last publication.
//!
//! It is memory and no record: bounded, forgotten with the process, and only
//! of what is sampled. A link that is not known is left out.

use offboard_domain::{CaseId, TaskId};
use opentelemetry::trace::SpanContext;
use std::collections::{BTreeMap, VecDeque};

/// Most cases that are remembered; beyond it the longest known is forgotten.
const CASES_MAX: usize = 2_048;
/// Most episodes of a case that are remembered; beyond it the first ones.
pub(super) const EPISODES_MAX: usize = 256;

#[derive(Debug, Default)]
struct Trail {
    episodes: Vec<SpanContext>,
    published: BTreeMap<TaskId, SpanContext>,
}

/// The trails of open cases.
#[derive(Debug, Default)]
pub(super) struct Trails {
    by_case: BTreeMap<CaseId, Trail>,
    since: VecDeque<CaseId>,
}

impl Trails {
    fn of(&mut self, case: CaseId) -> &mut Trail {
        if !self.by_case.contains_key(&case) {
            self.since.push_back(case);
            while self.since.len() > CASES_MAX {
                let Some(oldest) = self.since.pop_front() else { break };
                self.by_case.remove(&oldest);
            }
        }
        self.by_case.entry(case).or_default()
    }

    /// A new trace of a case began with this span.
    pub(super) fn began(&mut self, case: CaseId, root: SpanContext) {
        let trail = self.of(case);
        if trail.episodes.len() < EPISODES_MAX {
            trail.episodes.push(root);
        }
    }

    /// A task's attempt was published in this span.
    pub(super) fn published(&mut self, case: CaseId, task: TaskId, span: SpanContext) {
        self.of(case).published.insert(task, span);
    }

    /// The publication of a task's previous attempt.
    pub(super) fn previous(&self, case: CaseId, task: TaskId) -> Option<SpanContext> {
        self.by_case.get(&case)?.published.get(&task).cloned()
    }

    /// The roots of a case's episodes.
    pub(super) fn episodes(&self, case: CaseId) -> Vec<SpanContext> {
        self.by_case.get(&case).map(|t| t.episodes.clone()).unwrap_or_default()
    }

    /// The case is over.
    pub(super) fn forget(&mut self, case: CaseId) {
        if self.by_case.remove(&case).is_some() {
            self.since.retain(|c| *c != case);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};

    fn span(n: u64) -> SpanContext {
        let flags = TraceFlags::SAMPLED;
        SpanContext::new(TraceId::from(1), SpanId::from(n), flags, false, TraceState::default())
    }

    fn case(n: usize) -> CaseId {
        let mut id = [0; 10];
        id[..8].copy_from_slice(&n.to_be_bytes());
        CaseId(id)
    }

    #[test]
    fn it_never_grows_beyond_its_bounds() {
        let mut trails = Trails::default();
        for n in 0..CASES_MAX + 10 {
            trails.began(case(n), span(1));
        }
        assert_eq!((trails.by_case.len(), trails.since.len()), (CASES_MAX, CASES_MAX));
        assert!(trails.episodes(case(0)).is_empty() && trails.episodes(case(10)).len() == 1);
        for n in 0..EPISODES_MAX as u64 + 10 {
            trails.began(case(10), span(n + 1));
        }
        assert_eq!(trails.episodes(case(10)).len(), EPISODES_MAX);
        trails.forget(case(10));
        assert_eq!(trails.since.len(), CASES_MAX - 1);
    }

    #[test]
    fn the_last_publication_of_a_task_is_known() {
        let mut trails = Trails::default();
        let task = TaskId([7; 10]);
        assert_eq!(trails.previous(case(1), task), None);
        trails.published(case(1), task, span(1));
        trails.published(case(1), task, span(2));
        assert_eq!(trails.previous(case(1), task).unwrap().span_id(), SpanId::from(2));
        assert_eq!(trails.previous(case(2), task), None);
    }
}
