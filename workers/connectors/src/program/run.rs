//! One run of the program: a process group of its own, spoken to over pipes,
//! and gone, with all that it has started, when this is over: because it ended,
//! because its time did, because it wrote too much, or because the attempt was
//! dropped at any await.
//!
//! - It is started from a list of words; no shell is asked. Its environment is
//!   what is listed and nothing else.
//! - Writing to it, reading from it and waiting for its end go on together, so
//!   that neither side waits for the other for ever. It need not read what it is
//!   sent. What it writes is counted while it is read, never afterwards.
//! - The group is killed before its leader is waited for: as long as it has not
//!   been, its number belongs to nobody else.
//! - What leaves the group by itself (a daemon in a session of its own) is
//!   beyond this; what it wrote by then is read, and nothing is waited for.

use super::ProgramSettings;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

/// How much of the end of standard error is kept for who asked to see it.
const STDERR_TAIL_BYTES: usize = 4 * 1024;
/// How much of it is still read when the program has ended: more than a pipe
/// holds.
const STDERR_REST_BYTES: u64 = 2 * 1024 * 1024;
/// How much is read at once.
const PART_BYTES: usize = 16 * 1024;
/// How long the kernel is given to end what was killed, before that is left to
/// a thread.
const KILLED_WITHIN: Duration = Duration::from_secs(5);

/// A run that came to its end.
#[derive(Debug)]
pub(super) struct Ran {
    /// How it ended.
    pub status: ExitStatus,
    /// All that it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Stderr,
}

/// What was written to standard error.
#[derive(Debug, Default)]
pub(super) struct Stderr {
    /// How much, in bytes.
    pub bytes: u64,
    /// The end of it.
    pub tail: Vec<u8>,
}

impl Stderr {
    fn note(&mut self, part: &[u8]) {
        self.bytes = self.bytes.saturating_add(part.len() as u64);
        self.tail.extend_from_slice(part);
        let over = self.tail.len().saturating_sub(STDERR_TAIL_BYTES);
        self.tail.drain(..over);
    }
}

/// A run that did not.
#[derive(Debug)]
pub(super) enum Failed {
    /// No process was started.
    NotStarted(io::Error),
    /// Its time was over.
    TimedOut(Stderr),
    /// It wrote more than it may.
    TooMuchOutput(Stderr),
    /// It could not be spoken to or waited for.
    Lost(io::Error),
}

/// Runs the program once.
pub(super) async fn run(settings: &ProgramSettings, input: Vec<u8>, within: Duration) -> Result<Ran, Failed> {
    // Before it is started, so that its end cannot be missed.
    let ends = signal(SignalKind::child()).map_err(Failed::NotStarted)?;
    let command = command(settings);
    // Starting waits until the other side has become the program. Should this
    // be dropped meanwhile, what was started is dropped where it arrives.
    let started = tokio::task::spawn_blocking(move || Group::start(command)).await;
    let mut group = started.map_err(|e| Failed::NotStarted(io::Error::other(e)))??;
    group.ends = Some(ends);
    let mut talk = Talk::new(&mut group, settings.max_output_bytes).map_err(Failed::Lost)?;
    let ended = timeout(within, talk.until_ended(&mut group, &input)).await;
    let status = group.end().await;
    let too_much = match ended {
        Err(_) => return Err(Failed::TimedOut(talk.stderr)),
        Ok(Err(Stopped::Lost(e))) => return Err(Failed::Lost(e)),
        Ok(Err(Stopped::TooMuch)) => true,
        Ok(Ok(())) => talk.take_rest().map_err(Failed::Lost)?,
    };
    if too_much {
        return Err(Failed::TooMuchOutput(talk.stderr));
    }
    Ok(Ran {
        status: status.map_err(Failed::Lost)?,
        stdout: talk.stdout,
        stderr: talk.stderr,
    })
}

fn command(settings: &ProgramSettings) -> Command {
    let mut command = Command::new(&settings.program);
    command
        .args(&settings.arguments)
        .env_clear()
        .envs(settings.environment.iter().map(|(name, value)| (name, value.expose())))
        .current_dir(settings.folder.as_deref().unwrap_or("/".as_ref()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    command
}

/// A process that leads a group of its own and has not been waited for.
struct Group {
    leader: Option<Child>,
    id: Pid,
    ends: Option<tokio::signal::unix::Signal>,
}

impl Group {
    fn start(mut command: Command) -> Result<Self, Failed> {
        let leader = command.spawn().map_err(Failed::NotStarted)?;
        Ok(Self {
            id: Pid::from_child(&leader),
            leader: Some(leader),
            ends: None,
        })
    }

    fn pipes(&mut self) -> Option<(ChildStdin, ChildStdout, ChildStderr)> {
        let leader = self.leader.as_mut()?;
        Some((leader.stdin.take()?, leader.stdout.take()?, leader.stderr.take()?))
    }

    /// Waits until the leader has ended, and leaves it unwaited for.
    async fn ended(&mut self) -> io::Result<()> {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        loop {
            if waitid(WaitId::Pid(self.id), look)?.is_some() {
                return Ok(());
            }
            match &mut self.ends {
                Some(ends) => {
                    ends.recv().await;
                }
                None => return Err(io::Error::other("nobody tells when it ends")),
            }
        }
    }

    /// Ends what is left of the group, and says how its leader ended.
    async fn end(mut self) -> io::Result<ExitStatus> {
        self.kill();
        match timeout(KILLED_WITHIN, self.ended()).await {
            Ok(ended) => ended?,
            Err(_) => return Err(io::Error::other("it was killed and has not ended")),
        }
        match self.leader.take() {
            Some(mut leader) => leader.wait(),
            None => Err(io::Error::other("it was waited for already")),
        }
    }

    fn kill(&self) {
        // Whoever has ended already is no longer there to be killed.
        let _ = kill_process_group(self.id, Signal::KILL);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(mut leader) = self.leader.take() {
            self.kill();
            // A moment, as a rule; and nobody may be made to wait here.
            std::thread::spawn(move || leader.wait());
        }
    }
}

enum Stopped {
    TooMuch,
    Lost(io::Error),
}

impl From<io::Error> for Stopped {
    fn from(e: io::Error) -> Self {
        Self::Lost(e)
    }
}

/// What goes to and fro.
struct Talk {
    to: Option<Sender>,
    from: Option<Receiver>,
    beside: Option<Receiver>,
    limit: usize,
    stdout: Vec<u8>,
    stderr: Stderr,
}

impl Talk {
    fn new(group: &mut Group, limit: usize) -> io::Result<Self> {
        let (to, from, beside) = group.pipes().ok_or_else(|| io::Error::other("it has no pipes"))?;
        Ok(Self {
            to: Some(Sender::from_owned_fd(OwnedFd::from(to))?),
            from: Some(Receiver::from_owned_fd(OwnedFd::from(from))?),
            beside: Some(Receiver::from_owned_fd(OwnedFd::from(beside))?),
            limit,
            stdout: Vec::new(),
            stderr: Stderr::default(),
        })
    }

    /// Speaks with the program until it has ended.
    async fn until_ended(&mut self, group: &mut Group, input: &[u8]) -> Result<(), Stopped> {
        let to = self.to.take();
        let (stdout, stderr, limit) = (&mut self.stdout, &mut self.stderr, self.limit);
        let from = self.from.as_mut();
        let beside = self.beside.as_mut();
        let talked = async {
            tokio::try_join!(tell(to, input), listen(from, stdout, limit), note(beside, stderr))?;
            // It may have closed all its pipes and go on.
            std::future::pending::<Result<(), Stopped>>().await
        };
        tokio::select! {
            // Who has written too much is stopped, also if it has ended.
            biased;
            stopped = talked => stopped,
            ended = group.ended() => Ok(ended?),
        }
    }

    /// Takes what a program that has ended has left in its pipes. Says whether
    /// it is too much.
    fn take_rest(&mut self) -> io::Result<bool> {
        let (stdout, stderr, limit) = (&mut self.stdout, &mut self.stderr, self.limit);
        if let Some(beside) = self.beside.take() {
            let all = stderr.bytes.saturating_add(STDERR_REST_BYTES);
            drain(beside, |part| {
                stderr.note(part);
                stderr.bytes < all
            })?;
        }
        if let Some(from) = self.from.take() {
            drain(from, |part| {
                stdout.extend_from_slice(part);
                stdout.len() <= limit
            })?;
        }
        Ok(stdout.len() > limit)
    }
}

/// Reads what is there, without waiting for whoever may still hold the other
/// end, as long as `more` is wanted.
fn drain(from: Receiver, mut more: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
    let mut rest = File::from(from.into_nonblocking_fd()?);
    let mut part = vec![0; PART_BYTES];
    loop {
        match rest.read(&mut part) {
            Ok(0) => return Ok(()),
            Ok(n) if !more(&part[..n]) => return Ok(()),
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Sends the question and closes the pipe. Who does not read it is not wrong.
async fn tell(to: Option<Sender>, input: &[u8]) -> Result<(), Stopped> {
    let Some(mut to) = to else { return Ok(()) };
    match to.write_all(input).await {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

async fn listen(from: Option<&mut Receiver>, kept: &mut Vec<u8>, limit: usize) -> Result<(), Stopped> {
    let Some(from) = from else { return Ok(()) };
    let mut part = vec![0; PART_BYTES];
    loop {
        let n = read(from, &mut part).await?;
        if n == 0 {
            return Ok(());
        }
        kept.extend_from_slice(&part[..n]);
        if kept.len() > limit {
            return Err(Stopped::TooMuch);
        }
    }
}

async fn note(from: Option<&mut Receiver>, stderr: &mut Stderr) -> Result<(), Stopped> {
    let Some(from) = from else { return Ok(()) };
    let mut part = vec![0; PART_BYTES];
    loop {
        let n = read(from, &mut part).await?;
        if n == 0 {
            return Ok(());
        }
        stderr.note(&part[..n]);
    }
}

async fn read(from: &mut Receiver, part: &mut [u8]) -> io::Result<usize> {
    loop {
        from.readable().await?;
        match from.try_read(part) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}
