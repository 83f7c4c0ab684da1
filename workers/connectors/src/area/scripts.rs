//! What a program of the MSP's own is asked: how things stand for a person, and
//! to bring about what is wanted. What that is, only the program knows.

use crate::{Answer, Call};
use async_trait::async_trait;
use offboard_domain::{CaseId, Facts, Subject, TaskId};

/// A program of the MSP's own, for one thing that must be so when somebody has
/// left.
#[async_trait]
pub trait Scripts: Send + Sync {
    /// Asks how things stand. Fault `Rejected` when the answer cannot be
    /// understood: the program must be mended.
    async fn observe(&self, call: &mut Call, errand: &Errand) -> Answer<ScriptStanding>;

    /// Asks for the wanted state; that it is there, only [`observe`](Self::observe)
    /// says. Repeatable, unless the program is claimed as irreversible: then
    /// *once*. Fault `Unknown` when it did not answer as agreed, for then it may
    /// have done anything.
    async fn apply(&self, call: &mut Call, errand: &Errand) -> Answer<()>;
}

/// What a program is asked about.
#[derive(Clone, PartialEq, Eq)]
pub struct Errand {
    /// The case, for the program's own records.
    pub case: CaseId,
    /// The task.
    pub task: TaskId,
    /// Which try, from 1. After a crash a try comes again under another number.
    pub attempt: u32,
    /// The person, by the immutable ids that the tenant's systems gave.
    pub subject: Subject,
    /// The person's sign-in name.
    pub user_principal_name: Option<String>,
    /// The person's mail address.
    pub mail: Option<String>,
}

/// Names nobody.
impl std::fmt::Debug for Errand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Errand")
            .field("task", &self.task)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// How things stand, as a program says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptStanding {
    /// Whether the wanted state is there.
    pub state: ScriptState,
    /// Why, in the program's words; for the evidence, never for a log.
    pub reason: Option<String>,
    /// For what is not done: whether it was not begun either, so that beginning
    /// it (again) does no harm. Matters for what must not happen twice.
    pub conclusive: bool,
    /// What the program says besides, under names of its own.
    pub facts: Facts,
}

/// Whether what a program is for is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptState {
    /// The wanted state is there.
    Done,
    /// It is not.
    NotDone,
    /// There is nothing to do for this person.
    NotApplicable,
}

impl ScriptState {
    /// The state as one word, for facts and answers.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NotDone => "not_done",
            Self::NotApplicable => "not_applicable",
        }
    }

    /// The state of that word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        [Self::Done, Self::NotDone, Self::NotApplicable]
            .into_iter()
            .find(|s| s.word() == word)
    }
}
