//! The departure that every loop of the bench runs: 14 tasks in the stages 1,
//! 4, 4, 4, 1, of which the next begins when all of the last are done; and, for
//! the loop of our own shape, Offboard's closing round.

use bytes::Bytes;

/// How many tasks each stage has.
pub(crate) const STAGES: [usize; 5] = [1, 4, 4, 4, 1];
/// Tasks of a departure, without the closing round.
pub(crate) const TASKS: usize = 14;
/// Assignments of Offboard's closing round: one for each of the areas that
/// have something to be read again (identity, mailbox, knowledge).
pub(crate) const CLOSING: usize = 3;
/// The closing round, as one more stage.
pub(crate) const CLOSING_STAGE: usize = STAGES.len();
/// What a message weighs, in bytes.
const BODY_BYTES: usize = 400;
/// What an append of a bare loop weighs, in bytes.
pub(crate) const RECORD_BYTES: usize = 400;

/// How many tasks a stage has; none: there is no such stage.
pub(crate) fn width(stage: usize) -> Option<usize> {
    STAGES.get(stage).copied()
}

/// One task, as a message of a bare loop says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Task {
    /// Whose.
    pub(crate) departure: usize,
    /// In which stage.
    pub(crate) stage: usize,
    /// Which of it.
    pub(crate) task: usize,
}

impl Task {
    /// As it travels: three numbers, and as much else as a message weighs.
    pub(crate) fn body(self) -> Bytes {
        let Self { departure, stage, task } = self;
        let mut body = format!("{departure} {stage} {task} ").into_bytes();
        body.resize(BODY_BYTES, b'x');
        Bytes::from(body)
    }

    /// As it came.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let head = body.get(..body.len().min(64))?;
        let mut numbers = std::str::from_utf8(head).ok()?.split(' ').map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(Self {
            departure: next()?,
            stage: next()?,
            task: next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_reads_as_it_was_written() {
        let task = Task {
            departure: 123_456,
            stage: 4,
            task: 3,
        };
        assert_eq!(Task::read(&task.body()), Some(task));
        assert_eq!(task.body().len(), BODY_BYTES);
        assert_eq!(Task::read(b"no task"), None);
        assert_eq!(STAGES.iter().sum::<usize>(), TASKS);
    }
}
