//! One child process: its orders go in, its words come out, its log is a file
//! in the run's folder. It ends when its input does, so none outlives the bench.

use super::lines::Order;
use crate::embedded::Failed;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long a child may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// How long it may take to end before it is killed.
const END_WITHIN: Duration = Duration::from_secs(20);
/// How much of its log is shown when it failed.
const LOG_LINES: usize = 20;

/// What a child says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// Departures are done, with so many tasks in all.
    Done {
        /// How many.
        departures: usize,
        /// Their tasks, if it knows them.
        tasks: usize,
    },
    /// All that was ordered is accepted.
    Accepted,
    /// The access of the departure that was watched is cut.
    Cut,
}

/// A child.
pub(crate) struct Child {
    /// What it is.
    pub(crate) name: &'static str,
    process: std::process::Child,
    orders: Option<ChildStdin>,
    words: Receiver<String>,
    log: PathBuf,
}

impl Child {
    /// Starts one, and waits until it says that it is ready.
    pub(crate) fn start(name: &'static str, mut program: Command, folder: &Path) -> Result<Self, Failed> {
        let log = folder.join(format!("{name}.log"));
        let mut process = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log)?)
            .spawn()
            .map_err(|e| format!("failed to start {name}: {e}"))?;
        let orders = process.stdin.take();
        let out = process.stdout.take().ok_or("a child has no output")?;
        let (send, words) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let child = Self {
            name,
            process,
            orders,
            words,
            log,
        };
        match child.words.recv_timeout(READY_WITHIN) {
            Ok(word) if word == "ready" => Ok(child),
            Ok(word) => Err(child.broken(&format!("said '{word}' before it was ready"))),
            Err(RecvTimeoutError::Timeout) => Err(child.broken("was not ready in time")),
            Err(RecvTimeoutError::Disconnected) => Err(child.broken("ended")),
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Orders departures.
    pub(crate) fn open(&mut self, order: Order) -> Result<(), Failed> {
        let Some(orders) = &mut self.orders else {
            return Err(format!("{} takes no orders any more", self.name).into());
        };
        orders
            .write_all(order.line().as_bytes())
            .and_then(|()| orders.flush())
            .map_err(|_| self.broken("takes no orders any more"))
    }

    /// What it says next; none: nothing in time.
    pub(crate) fn next(&self, within: Duration) -> Result<Option<Said>, Failed> {
        let word = match self.words.recv_timeout(within) {
            Ok(word) => word,
            Err(RecvTimeoutError::Timeout) => return Ok(None),
            Err(RecvTimeoutError::Disconnected) => return Err(self.broken("ended")),
        };
        let mut words = word.split(' ');
        let said = match words.next() {
            Some("cut") => Some(Said::Cut),
            Some("accepted") => Some(Said::Accepted),
            Some("done") => {
                let mut number = || words.next().map_or(Ok(0), str::parse);
                match (number(), number()) {
                    (Ok(departures), Ok(tasks)) => Some(Said::Done { departures, tasks }),
                    _ => None,
                }
            }
            _ => None,
        };
        Ok(Some(said.ok_or_else(|| self.broken(&format!("said '{word}'")))?))
    }

    /// Waits until it says this.
    pub(crate) fn until(&self, wanted: Said, within: Duration) -> Result<(), Failed> {
        match self.next(within)? {
            Some(said) if said == wanted => Ok(()),
            Some(other) => Err(self.broken(&format!("said {other:?} where {wanted:?} was awaited"))),
            None => Err(self.broken(&format!("did not say {wanted:?} in time"))),
        }
    }

    /// Why it is of no use, with the end of its log.
    fn broken(&self, why: &str) -> Failed {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(LOG_LINES));
        let last: Vec<String> = last.map(|line| format!("  {line}")).collect();
        format!("{} {why}; it logged:\n{}", self.name, last.join("\n")).into()
    }

    /// Tells it to end, and waits until it has; an error if it broke.
    pub(crate) fn end(mut self) -> Result<(), Failed> {
        self.orders = None;
        let began = Instant::now();
        while began.elapsed() < END_WITHIN {
            match self.process.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(self.broken(&format!("ended with {status}"))),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        Err(self.broken("did not end when it was told to"))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.orders = None;
        // One that has ended is not killed; one that was told to end and did
        // not has had its time.
        if matches!(self.process.try_wait(), Ok(None)) {
            drop(self.process.kill());
            drop(self.process.wait());
        }
    }
}
