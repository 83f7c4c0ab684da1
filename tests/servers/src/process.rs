//! One server process under a guard.
//!
//! A test that is killed runs no destructor, so the server hangs on a small
//! shell that holds a pipe to the test's process: when the pipe closes, for
//! whatever reason, the shell ends the server.

use socket2::{Domain, Socket, Type};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
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

/// The ports of servers lie below those that the system gives to whoever
/// listens on any port or connects (from 32,768 on): a server that is being
/// started, or started again, finds its port as it left it.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// A free loopback port, which no other test's process is given as long as this
/// one lives. A stranger may take it all the same: whoever starts a server on it
/// tries again with another.
///
/// # Errors
/// If there is none.
pub fn free_port() -> Result<u16, StartError> {
    /// What tells the other processes which ports are taken; it ends with this one.
    static CLAIMED: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());
    let chance = RandomState::new();
    for n in 0_u32..1_000 {
        let nth = chance.hash_one(n) % u64::from(PORTS.end - PORTS.start);
        let port = PORTS.start + u16::try_from(nth).unwrap_or(0);
        let name = SocketAddr::from_abstract_name(format!("offboard-tests-port-{port}"));
        let Ok(claim) = name.and_then(|name| UnixListener::bind_addr(&name)) else {
            continue;
        };
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            CLAIMED.lock().unwrap_or_else(PoisonError::into_inner).push(claim);
            return Ok(port);
        }
    }
    Err(StartError("failed to find a free port".to_owned()))
}

/// A loopback port on which nobody listens, and that nobody else can take as
/// long as this lives: who connects is refused. A listener that was dropped is
/// no such thing: a child that another test starts in that moment holds it a
/// little longer, and then a client is reset instead.
#[derive(Debug)]
pub struct ClosedPort {
    port: u16,
    _bound: Socket,
}

impl ClosedPort {
    /// # Errors
    /// If the system has no free port.
    pub fn take() -> Result<Self, StartError> {
        let taken = || -> std::io::Result<Self> {
            let bound = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            bound.bind(&SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0).into())?;
            let port = bound.local_addr()?.as_socket().map_or(0, |a| a.port());
            Ok(Self { port, _bound: bound })
        };
        taken().map_err(|e| StartError(format!("failed to take a port: {e}")))
    }

    /// Its number.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
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
    fn a_closed_port_refuses_and_stays_closed() {
        let closed = ClosedPort::take().unwrap();
        let there = (Ipv4Addr::LOCALHOST, closed.port());
        assert_ne!(closed.port(), 0);
        let refused = std::net::TcpStream::connect(there).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        let taken = TcpListener::bind(there).unwrap_err();
        assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    }

    #[test]
    fn no_port_is_given_twice() {
        let given: std::collections::BTreeSet<u16> = (0..500).map(|_| free_port().unwrap()).collect();
        assert_eq!(given.len(), 500);
        assert!(given.iter().all(|port| PORTS.contains(port)));
    }

    #[test]
    fn one_that_ends_by_itself_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let go = folder.path().join("go");
        let mut program = Command::new("sh");
        program
            .args(["-c", r#"until [ -e "$1" ]; do sleep 0.02; done"#, "sh"])
            .arg(&go);
        let mut guarded = Guarded::start(program, "coreutils", &folder.path().join("log")).unwrap();
        assert!(!guarded.ended());
        std::fs::write(&go, "").unwrap();
        until("it to end", Patience(Duration::from_secs(60)), || guarded.ended()).unwrap();
    }
}
