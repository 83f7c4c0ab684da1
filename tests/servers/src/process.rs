//! One server process under a guard.
//!
//! A test that is killed runs no destructor, so the server hangs on a small
//! shell that holds a pipe to the test's process: when the pipe closes, for
//! whatever reason, the shell ends the server.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// Ends the server when standard input closes; by force after ten seconds.
const GUARD: &str = r#"
log=$1; shift
"$@" </dev/null >>"$log" 2>&1 &
pid=$!
echo "$pid"
read -r how
case "$how" in
  kill) kill -KILL "$pid" 2>/dev/null ;;
  *) kill -TERM "$pid" 2>/dev/null
     ( n=0; while kill -0 "$pid" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done
       kill -KILL "$pid" 2>/dev/null ) >/dev/null 2>&1 & ;;
esac
wait "$pid" 2>/dev/null
if [ -z "$how" ] && [ -n "$GUARD_REMOVES" ]; then rm -rf -- "$GUARD_REMOVES"; fi
"#;

/// The variable that tells the guard which folder goes with the server when
/// the test's process died.
const GUARD_REMOVES: &str = "GUARD_REMOVES";

/// Why a server did not start.
#[derive(Debug, PartialEq, Eq)]
pub struct StartError(pub String);

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

/// A running server process.
#[derive(Debug)]
pub struct Guarded {
    guard: Child,
    pipe: Option<ChildStdin>,
    pid: u32,
    log: PathBuf,
}

impl Guarded {
    /// Starts a program. Its output goes to `log`.
    ///
    /// # Errors
    /// [`StartError`] if there is no such program; it names the Debian package.
    pub fn start(program: Command, package: &str, log: &Path) -> Result<Self, StartError> {
        Self::start_in(program, package, log, None)
    }

    /// The same for a server whose folder no destructor removes when the
    /// test's process just ends: one for all tests of it. Ended by its value,
    /// it leaves the folder alone.
    ///
    /// # Errors
    /// [`StartError`] if there is no such program.
    pub fn start_in(program: Command, package: &str, log: &Path, folder: Option<&Path>) -> Result<Self, StartError> {
        let name = program.get_program().to_owned();
        let failed = |detail: String| {
            StartError(format!(
                "failed to start {}: {detail} (Debian package '{package}'; tests/run installs it)",
                name.to_string_lossy()
            ))
        };
        let mut guard = Command::new("sh");
        guard
            .arg("-c")
            .arg(GUARD)
            .arg("guard")
            .arg(log)
            .arg(program.get_program());
        guard.args(program.get_args());
        for (key, value) in program.get_envs() {
            match value {
                Some(value) => guard.env(key, value),
                None => guard.env_remove(key),
            };
        }
        match folder {
            Some(folder) => guard.env(GUARD_REMOVES, folder),
            None => guard.env_remove(GUARD_REMOVES),
        };
        if let Some(dir) = program.get_current_dir() {
            guard.current_dir(dir);
        }
        if !exists(&name) {
            return Err(failed("there is no such program".to_owned()));
        }
        let mut guard = guard
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| failed(e.to_string()))?;
        let pipe = guard.stdin.take();
        let mut line = String::new();
        if let Some(out) = guard.stdout.take() {
            BufReader::new(out)
                .read_line(&mut line)
                .map_err(|e| failed(e.to_string()))?;
        }
        let pid = line
            .trim()
            .parse()
            .map_err(|_| failed("its guard did not say its process id".to_owned()))?;
        Ok(Self {
            guard,
            pipe,
            pid,
            log: log.to_owned(),
        })
    }

    /// The server's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What it has written so far.
    #[must_use]
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it has ended, also by itself: its guard waits for an order even
    /// then, and keeps what is left of it, so that its id is nobody else's.
    pub fn ended(&mut self) -> bool {
        matches!(self.guard.try_wait(), Ok(Some(_))) || !runs(self.pid)
    }

    /// Kills it without a word (SIGKILL) and waits until it is gone.
    pub fn kill(mut self) {
        self.end("kill\n");
    }

    /// Asks it to end (SIGTERM) and waits until it is gone.
    pub fn stop(mut self) {
        self.end("stop\n");
    }

    fn end(&mut self, how: &str) {
        use std::io::Write as _;
        if let Some(mut pipe) = self.pipe.take() {
            // A guard that is gone needs no order.
            let _ = pipe.write_all(how.as_bytes());
        }
        let _ = self.guard.wait();
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.end("stop\n");
    }
}

/// Whether a process runs: it is there, and more than what is left of one.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    // The state follows the name, which stands in parentheses.
    stat.is_ok_and(|stat| {
        stat.rsplit(')')
            .next()
            .is_some_and(|rest| !rest.trim_start().starts_with(['Z', 'X']))
    })
}

fn exists(program: &std::ffi::OsStr) -> bool {
    let path = Path::new(program);
    if path.components().count() > 1 {
        return path.exists();
    }
    std::env::var_os("PATH").is_some_and(|paths| std::env::split_paths(&paths).any(|d| d.join(path).exists()))
}

/// A loopback port that was free a moment ago. Somebody may take it in
/// between: whoever starts a server on it tries again with another.
///
/// # Errors
/// If the system has none.
pub fn free_port() -> Result<u16, StartError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|l| l.local_addr())
        .map(|a| a.port())
        .map_err(|e| StartError(format!("failed to find a free port: {e}")))
}

/// How long something is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience(pub Duration);

/// Waits on a state, looking again every 20 ms.
///
/// # Errors
/// [`StartError`] naming `what` when patience has run out.
pub fn until(what: &str, patience: Patience, mut there: impl FnMut() -> bool) -> Result<(), StartError> {
    let end = Instant::now() + patience.0;
    while !there() {
        if Instant::now() >= end {
            return Err(StartError(format!(
                "waited {} s in vain for {what}",
                patience.0.as_secs()
            )));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_ends_by_itself_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let mut program = Command::new("sleep");
        program.arg("0.2");
        let mut guarded = Guarded::start(program, "coreutils", &folder.path().join("log")).unwrap();
        assert!(!guarded.ended());
        until("it to end", Patience(Duration::from_secs(10)), || guarded.ended()).unwrap();
    }
}
