//! A working folder, and the binary in it. Every process is waited for in
//! bounded time, and ended by its own handle if it does not end.

use serde_json::Value;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Far longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Made for tests alone; nothing trusts it.
pub(crate) const CERTIFICATE: &str = include_str!("../../../workers/connectors/tests/data/test-certificate.pem");
const KEY: &str = include_str!("../../../workers/connectors/tests/data/test-key.pem");

/// How the application proves itself.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Credential {
    Secret,
    Certificate,
}

/// Asserts that none of these words stands in a text, however they are written.
#[track_caller]
pub(crate) fn none_in<'w>(words: impl IntoIterator<Item = &'w str>, what: &str, text: &str) {
    let text = text.to_lowercase();
    for word in words {
        let word = word.to_lowercase();
        if let Some(at) = text.find(&word) {
            let around: String = text[..at].chars().rev().take(300).collect();
            let around: String = around.chars().rev().collect();
            panic!("{word} in {what}: …{around}{word}");
        }
    }
}

/// What a process did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\nstdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// The one document on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}:\n{}\nstderr:\n{}", self.out, self.err))
    }

    /// The objects on standard output, one a line.
    #[track_caller]
    pub(crate) fn objects(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}")))
            .collect()
    }
}

/// Why a log cannot be written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BadLog {
    /// Its disk is full.
    Full,
    /// Who read it has gone.
    Closed,
}

impl BadLog {
    pub(crate) const ALL: [Self; 2] = [Self::Full, Self::Closed];

    fn opened(self) -> Stdio {
        match self {
            Self::Full => Stdio::from(fs::File::options().write(true).open("/dev/full").unwrap()),
            Self::Closed => {
                let (reader, writer) = std::io::pipe().unwrap();
                drop(reader);
                Stdio::from(writer)
            }
        }
    }
}

/// A process that goes on.
pub(crate) struct Running {
    child: Child,
    out: Reader,
    err: Reader,
}

impl Running {
    fn start(command: Command) -> Self {
        Self::start_writing_to(command, Stdio::piped(), Stdio::piped())
    }

    fn start_writing_to(mut command: Command, out: Stdio, err: Stdio) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap();
        let out = match child.stdout.take() {
            Some(out) => Reader::of(out),
            None => Reader::of(std::io::empty()),
        };
        let err = match child.stderr.take() {
            Some(err) => Reader::of(err),
            None => Reader::of(std::io::empty()),
        };
        Self { child, out, err }
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Its number.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// How many files it may have open from now on. What is open stays open.
    pub(crate) fn limit_files(&self, most: u32) {
        let (id, limit) = (self.child.id().to_string(), format!("--nofile={most}:"));
        let limited = Command::new("prlimit").args(["--pid", &id, &limit]).status();
        assert!(limited.unwrap().success());
    }

    /// How much more memory it may take from now on than it has. What it has stays.
    pub(crate) fn limit_memory(&self, more_bytes: u64) {
        let id = self.child.id().to_string();
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
        let kib: u64 = size.trim().trim_end_matches("kB").trim().parse().unwrap();
        let limit = format!("--as={}:", kib * 1_024 + more_bytes);
        let limited = Command::new("prlimit").args(["--pid", &id, &limit]).status();
        assert!(limited.unwrap().success());
    }

    /// The first object on its standard output, once it is there.
    #[track_caller]
    pub(crate) fn first_object(&self) -> Value {
        let mut line = String::new();
        until("it says something", || {
            let so_far = self.out.so_far();
            let whole = so_far.split_once('\n').map(|(first, _)| first.to_owned());
            line = whole.unwrap_or_default();
            !line.is_empty()
        });
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
    }

    /// What it has logged until now.
    pub(crate) fn logged_so_far(&self) -> String {
        self.err.so_far()
    }

    /// What it has written to its standard output until now.
    pub(crate) fn said_so_far(&self) -> String {
        self.out.so_far()
    }

    /// Ends it at once, and returns what it said.
    pub(crate) fn end(self) -> Ran {
        self.signal("KILL");
        self.wait()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(self) -> Ran {
        self.wait_within(PATIENCE)
    }

    /// Waits for its end, for no longer than this.
    #[track_caller]
    pub(crate) fn wait_within(mut self, patience: Duration) -> Ran {
        let until = Instant::now() + patience;
        let mut late = false;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > until && !late {
                late = true;
                self.child.kill().unwrap();
            }
            thread::sleep(LOOK_AGAIN);
        };
        let ran = Ran {
            code: status.code(),
            out: self.out.end(),
            err: self.err.end(),
        };
        assert!(!late, "it did not end within {patience:?}: {ran:?}");
        ran
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already waited for, or a test that failed: nothing is left behind.
        if self.child.try_wait().is_ok_and(|s| s.is_none()) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// Reads what a process writes, so that it never waits for us.
struct Reader {
    text: Arc<Mutex<Vec<u8>>>,
    reading: Option<thread::JoinHandle<()>>,
}

impl Reader {
    fn of(mut from: impl Read + Send + 'static) -> Self {
        let text: Arc<Mutex<Vec<u8>>> = Arc::default();
        let into = text.clone();
        let reading = thread::spawn(move || {
            let mut part = [0; 8192];
            loop {
                let n = from.read(&mut part).unwrap();
                if n == 0 {
                    return;
                }
                into.lock().unwrap().extend_from_slice(&part[..n]);
            }
        });
        Self {
            text,
            reading: Some(reading),
        }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }

    /// Everything, once the process has ended.
    fn end(&mut self) -> String {
        if let Some(reading) = self.reading.take() {
            reading.join().unwrap();
        }
        String::from_utf8(self.text.lock().unwrap().clone()).unwrap()
    }
}

/// A working folder.
pub(crate) struct Folder {
    dir: TempDir,
    /// Engine time for every process in it, if it is another than this machine's.
    clock: Option<String>,
}

impl Folder {
    /// An empty one.
    pub(crate) fn empty() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            clock: None,
        }
    }

    /// One that `offboard init` has made.
    #[track_caller]
    pub(crate) fn fresh() -> Self {
        let folder = Self::empty();
        folder.run(&["init"]).expect(0);
        folder
    }

    /// One with the tenant `northwind`, whose systems do not answer.
    #[track_caller]
    pub(crate) fn with_tenant() -> Self {
        let folder = Self::fresh();
        let nowhere = "http://127.0.0.1:9";
        folder.tenant("northwind", "northwind.example", [nowhere; 4], Credential::Secret);
        folder
    }

    /// Lets engine time run faster in every process.
    pub(crate) fn hurry(&mut self, anchor_ms: i64, scale: u32) {
        self.clock = Some(format!("{anchor_ms}@{scale}"));
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path().join("data/offboard.sock")
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Configures a tenant: directory, and the bases of login, Graph, Exchange
    /// and SharePoint.
    pub(crate) fn tenant(
        &self,
        handle: &str,
        directory: &str,
        [login, graph, exchange, sharepoint]: [&str; 4],
        credential: Credential,
    ) {
        let private = |name: &str, text: &str| {
            let path = self.write(&format!("{handle}.{name}"), text);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            path.display().to_string()
        };
        let credential = match credential {
            Credential::Secret => {
                let file = private("secret", offboard_sim::population::ADMIN_APP_SECRET);
                format!("client_secret = {{ file = \"{file}\" }}")
            }
            Credential::Certificate => {
                let (certificate, key) = (private("pem", CERTIFICATE), private("key", KEY));
                format!("certificate = \"{certificate}\"\ncertificate_key = {{ file = \"{key}\" }}")
            }
        };
        let text = format!(
            r#"name = "{handle}"
time_zone = "Europe/Berlin"

[systems.m365]
kind = "graph"
directory = "{directory}"
client_id = "{}"
{credential}
login_url = "{login}"
graph_url = "{graph}"
exchange_url = "{exchange}"
sharepoint_url = "{sharepoint}"

[policy.approvals]
irreversible_delay = "1s"
"#,
            offboard_sim::population::ADMIN_APP
        );
        self.write(&format!("tenants/{handle}.toml"), &text);
    }

    fn command(&self, args: &[&str]) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_offboard"), args)
    }

    fn command_of(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path()).args(args).env_clear();
        command
            .env("OFFBOARD_USER", "hr@acme.example")
            .env("TZ", "UTC")
            .envs(self.clock.iter().map(|c| ("OFFBOARD_CLOCK", c)));
        command
    }

    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.start(args).wait()
    }

    pub(crate) fn start(&self, args: &[&str]) -> Running {
        Running::start(self.command(args))
    }

    /// Starts another program, which starts ours as it would for a person.
    pub(crate) fn start_instead(&self, program: &str, args: &[&str]) -> Running {
        let mut command = self.command_of(program, args);
        command
            .env("TERM", "xterm-256color")
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        Running::start(command)
    }

    /// Runs on a disk that is full once a file has grown to so many blocks of 512
    /// bytes: writing more fails as it does there.
    #[track_caller]
    pub(crate) fn run_limited(&self, blocks: u32, args: &[&str]) -> Ran {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let program = [&["-c", script.as_str(), env!("CARGO_BIN_EXE_offboard")], args].concat();
        Running::start(self.command_of("/bin/sh", &program)).wait()
    }

    /// Starts where whoever read its standard output has gone.
    pub(crate) fn start_unread(&self, args: &[&str]) -> Running {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Running::start_writing_to(self.command(args), Stdio::from(writer), Stdio::piped())
    }

    /// Starts in another environment.
    pub(crate) fn start_with(&self, args: &[&str], change: impl FnOnce(&mut Command)) -> Running {
        let mut command = self.command(args);
        change(&mut command);
        Running::start(command)
    }

    /// Starts in another environment, and nothing that it logs can be written.
    pub(crate) fn start_unlogged(&self, args: &[&str], log: BadLog, change: impl FnOnce(&mut Command)) -> Running {
        let mut command = self.command(args);
        change(&mut command);
        Running::start_writing_to(command, Stdio::piped(), log.opened())
    }

    /// Runs in no folder's name and with another environment.
    #[track_caller]
    pub(crate) fn run_with(&self, args: &[&str], change: impl FnOnce(&mut Command)) -> Ran {
        let mut command = self.command(args);
        change(&mut command);
        Running::start(command).wait()
    }

    /// Starts `offboard serve` and waits until it answers.
    #[track_caller]
    pub(crate) fn serve(&self) -> Running {
        let mut serving = self.start(&["serve"]);
        self.until_served_by(&mut serving);
        serving
    }

    /// Waits until this process answers for the folder.
    #[track_caller]
    pub(crate) fn until_served_by(&self, process: &mut Running) {
        until("the folder is served", || {
            assert!(process.is_running(), "it ended");
            self.served_by() == Some(process.child.id())
        });
    }

    /// The process that answers on the socket.
    fn served_by(&self) -> Option<u32> {
        use std::io::{BufRead as _, BufReader, Write as _};
        let mut stream = std::os::unix::net::UnixStream::connect(self.socket()).ok()?;
        stream.write_all(b"{\"ask\":\"status\"}\n").ok()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).ok()?;
        let answer: Value = serde_json::from_str(&line).ok()?;
        u32::try_from(answer["with"]["process"].as_u64()?).ok()
    }
}

/// Waits for a state.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        thread::sleep(LOOK_AGAIN);
    }
}

/// One departure of `northwind` as JSON.
pub(crate) fn departure(reference: &str, user: &str) -> String {
    format!(
        r#"{{"tenant":"northwind","reference":"{reference}","person":{{"user_principal_name":"{user}"}},"effective_at":"2026-01-01T00:00:00Z"}}"#
    )
}
