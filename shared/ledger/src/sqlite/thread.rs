//! The two threads that hold the connections, and how work reaches them.
//!
//! A request is a closure over the session; its answer goes back by oneshot.
//! A caller that stops waiting does not stop the work: it is done or not done
//! as a whole, and repeated it is recognised.

use super::failure::{explained, is_disk_failure};
use super::{Failure, Session};
use crate::LedgerError;
use rusqlite::Connection;
use std::fs::File;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Requests in one commit at most, so that the first of a flood is answered
/// before its last has arrived.
const GROUP_MAX: usize = 4_096;

/// The way to one of the threads.
#[derive(Debug)]
pub(super) struct Lane {
    sender: Sender<Command>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Command {
    Run(Box<dyn Job>),
    Checkpoint(oneshot::Sender<Result<(), LedgerError>>),
    Stop(Option<oneshot::Sender<Result<(), LedgerError>>>),
}

/// Work of any result.
trait Job: Send {
    /// Does the work and keeps the result. An error means that the
    /// transaction must be rolled back; the work may then be done again.
    fn run(&mut self, session: &mut Session) -> Result<(), rusqlite::Error>;
    /// Sends the result, or why there is none.
    fn answer(self: Box<Self>);
    /// Sends an error instead of any result.
    fn fail(self: Box<Self>, error: &dyn Fn(&'static str) -> LedgerError);
}

struct Request<T, F> {
    attempted: &'static str,
    work: F,
    result: Option<Result<T, LedgerError>>,
    reply: oneshot::Sender<Result<T, LedgerError>>,
}

impl<T: Send, F: FnMut(&mut Session) -> Result<T, Failure> + Send> Job for Request<T, F> {
    fn run(&mut self, session: &mut Session) -> Result<(), rusqlite::Error> {
        self.result = Some(match (self.work)(session) {
            Ok(result) => Ok(result),
            Err(Failure::Broken(detail)) => Err(LedgerError::Broken {
                attempted: self.attempted,
                detail,
            }),
            Err(Failure::Sql(error)) => return Err(error),
        });
        Ok(())
    }

    fn answer(self: Box<Self>) {
        let result = self.result.unwrap_or_else(|| Err(closed(self.attempted)));
        // Nobody waits any more: the work stands, its answer is not wanted.
        drop(self.reply.send(result));
    }

    fn fail(self: Box<Self>, error: &dyn Fn(&'static str) -> LedgerError) {
        drop(self.reply.send(Err(error(self.attempted))));
    }
}

fn closed(attempted: &'static str) -> LedgerError {
    LedgerError::Unavailable {
        attempted,
        detail: "it is closed; open it again".to_owned(),
    }
}

impl Lane {
    pub(super) fn writer(db: Connection, lock: File) -> Result<Self, LedgerError> {
        Self::start("ledger-writer", move |commands| {
            Writer {
                session: Session::new(db),
                failed: None,
            }
            .serve(&commands, lock);
        })
    }

    pub(super) fn reader(db: Connection) -> Result<Self, LedgerError> {
        Self::start("ledger-reader", move |commands| read(Session::new(db), &commands))
    }

    fn start(name: &str, serve: impl FnOnce(Receiver<Command>) + Send + 'static) -> Result<Self, LedgerError> {
        let (sender, commands) = channel();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || serve(commands))
            .map_err(|e| LedgerError::Unavailable {
                attempted: "open the ledger",
                detail: format!("no thread could be started: {e}"),
            })?;
        Ok(Self {
            sender,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Has work done, and waits for its result.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        attempted: &'static str,
        work: impl FnMut(&mut Session) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (reply, answer) = oneshot::channel();
        let job = Request {
            attempted,
            work,
            result: None,
            reply,
        };
        self.ask(attempted, Command::Run(Box::new(job)), answer).await
    }

    pub(super) async fn checkpoint(&self) -> Result<(), LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.ask("checkpoint the ledger", Command::Checkpoint(reply), answer)
            .await
    }

    /// Ends the thread after what was asked before; a second time does nothing.
    pub(super) async fn stop(&self) -> Result<(), LedgerError> {
        let (reply, answer) = oneshot::channel();
        if self.sender.send(Command::Stop(Some(reply))).is_err() {
            return Ok(());
        }
        answer.await.unwrap_or(Ok(()))
    }

    async fn ask<T>(
        &self,
        attempted: &'static str,
        command: Command,
        answer: oneshot::Receiver<Result<T, LedgerError>>,
    ) -> Result<T, LedgerError> {
        self.sender.send(command).map_err(|_| closed(attempted))?;
        answer.await.unwrap_or_else(|_| Err(closed(attempted)))
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // A thread that has ended no longer listens, which is what is wanted.
        drop(self.sender.send(Command::Stop(None)));
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("a thread of the ledger panicked; what was acknowledged is kept");
        }
    }
}

fn read(mut session: Session, commands: &Receiver<Command>) {
    for command in commands {
        match command {
            Command::Run(mut job) => match one_view(&mut session, job.as_mut()) {
                Ok(()) => job.answer(),
                Err(error) => job.fail(&|attempted| explained(attempted, &error)),
            },
            Command::Checkpoint(reply) => drop(reply.send(Ok(()))),
            Command::Stop(reply) => {
                drop(session);
                if let Some(reply) = reply {
                    drop(reply.send(Ok(())));
                }
                return;
            }
        }
    }
}

/// All statements of one read see the same committed state.
fn one_view(session: &mut Session, job: &mut dyn Job) -> Result<(), rusqlite::Error> {
    session.db.prepare_cached("BEGIN")?.execute([])?;
    let done = job.run(session);
    let ended = session.db.prepare_cached("COMMIT")?.execute([]);
    done.and(ended.map(drop))
}

struct Writer {
    session: Session,
    /// What the disk said when it failed. Nothing is written any more: the
    /// next process reads from the disk what is really there.
    failed: Option<String>,
}

impl Writer {
    fn serve(mut self, commands: &Receiver<Command>, lock: File) {
        let mut group: Vec<Box<dyn Job>> = Vec::new();
        let mut next = commands.recv().ok();
        while let Some(first) = next.take() {
            let mut after = None;
            let mut command = Some(first);
            let mut idle = false;
            while let Some(c) = command.take() {
                match c {
                    Command::Run(job) => group.push(job),
                    other => {
                        after = Some(other);
                        break;
                    }
                }
                if group.len() < GROUP_MAX {
                    command = match commands.try_recv() {
                        Ok(c) => Some(c),
                        Err(TryRecvError::Empty | TryRecvError::Disconnected) => {
                            idle = true;
                            None
                        }
                    };
                }
            }
            self.commit(std::mem::take(&mut group));
            match after {
                None | Some(Command::Run(_)) => {}
                Some(Command::Checkpoint(reply)) => drop(reply.send(self.checkpoint())),
                Some(Command::Stop(reply)) => {
                    // What was acknowledged is in the log, which the next start reads.
                    if let Err(error) = self.checkpoint() {
                        tracing::warn!(%error, "the ledger was closed without folding its log into the file; nothing is lost");
                    }
                    drop(self.session);
                    drop(lock);
                    if let Some(reply) = reply {
                        drop(reply.send(Ok(())));
                    }
                    return;
                }
            }
            if idle && self.session.scrub {
                // A reader in the middle of an old view defers it to the next time.
                if let Err(error) = self.checkpoint() {
                    tracing::debug!(%error, "old pages of the ledger are scrubbed later");
                }
            }
            next = commands.recv().ok();
        }
    }

    fn commit(&mut self, mut group: Vec<Box<dyn Job>>) {
        if group.is_empty() {
            return;
        }
        match self.transaction(&mut group) {
            Ok(()) => {
                tracing::trace!(requests = group.len(), "committed");
                group.into_iter().for_each(Job::answer);
            }
            Err(error) if group.len() == 1 || self.failed.is_some() => {
                for job in group {
                    job.fail(&|attempted| self.refused(attempted, &error));
                }
            }
            Err(error) => {
                tracing::warn!(%error, requests = group.len(), "a commit failed; its requests are repeated one by one");
                for job in group {
                    self.commit(vec![job]);
                }
            }
        }
    }

    fn refused(&self, attempted: &'static str, error: &rusqlite::Error) -> LedgerError {
        match &self.failed {
            Some(said) => LedgerError::Unavailable {
                attempted,
                detail: format!(
                    "the disk failed ({said}): check it and the system's log, then start this process again"
                ),
            },
            None => explained(attempted, error),
        }
    }

    fn transaction(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), rusqlite::Error> {
        if self.failed.is_some() {
            return Err(rusqlite::Error::InvalidQuery);
        }
        let done = self
            .session
            .db
            .prepare_cached("BEGIN IMMEDIATE")
            .and_then(|mut s| s.execute([]))
            .and_then(|_| {
                for job in group.iter_mut() {
                    job.run(&mut self.session)?;
                }
                self.session.db.prepare_cached("COMMIT")?.execute([]).map(drop)
            });
        if let Err(error) = &done {
            self.session.forget();
            if is_disk_failure(error) {
                tracing::error!(%error, "the ledger's disk failed; nothing more is written by this process");
                self.failed = Some(error.to_string());
            }
            if !self.session.db.is_autocommit()
                && let Err(error) = self.session.db.execute_batch("ROLLBACK")
            {
                tracing::error!(%error, "the ledger's transaction could not be rolled back; nothing more is written");
                self.failed = Some(error.to_string());
            }
        }
        done
    }

    /// Folds the log into the file and empties it.
    fn checkpoint(&mut self) -> Result<(), LedgerError> {
        let attempted = "checkpoint the ledger";
        let busy: i64 = self
            .session
            .db
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(|error| explained(attempted, &error))?;
        if busy != 0 {
            return Err(LedgerError::Unavailable {
                attempted,
                detail: "a reader still uses the log".to_owned(),
            });
        }
        self.session.scrub = false;
        Ok(())
    }
}
