//! Private Redis servers: one alone, three that make a cluster, or two with a
//! sentinel. Each has a folder of its own, readable by its owner alone, and a
//! socket in it over which the test gives its orders, whatever the server asks
//! of those who come over the network.

mod cluster;
mod sentinel;
mod wire;

pub use cluster::{MovingSlot, RedisCluster};
pub use sentinel::{RedisSentinel, WATCHED};
pub use wire::Reply;

use crate::certificates::Certificates;
use crate::process::{Guarded, Patience, StartError, free_port, until};
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tempfile::TempDir;

const PROGRAM: &str = "redis-server";
const PACKAGE: &str = "redis-server";

/// How a transaction begins in the log.
const BEGIN: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";

/// How often another port is tried when somebody took the one that was free.
const PORTS: usize = 10;

/// How long a server may take until it answers, and a state until it is there.
pub(crate) const PATIENCE: Patience = Patience(Duration::from_secs(180));

/// When the log of what was written goes to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// Before each answer.
    Always,
    /// Every second.
    EverySecond,
}

/// Whether clients come encrypted, and what they must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// Unencrypted.
    Off,
    /// Encrypted alone.
    Server,
    /// Encrypted, and only with a certificate of their own.
    Mutual,
}

/// How a server is set up.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// When what was written goes to the disk.
    pub fsync: Fsync,
    /// Whether it is logged at all.
    pub append_only: bool,
    /// What it throws away when memory is short.
    pub eviction: &'static str,
    /// Users, as `ACL SETUSER` takes them: name and rules. The one that is
    /// not named stays allowed to do everything.
    pub users: Vec<String>,
    /// How clients come.
    pub tls: Tls,
    /// The certificates that it shares with others, if it has none of its own.
    pub certificates: Option<Certificates>,
    /// The port of the primary that it follows.
    pub replica_of: Option<u16>,
    /// Whether it is a node of a cluster.
    pub cluster: bool,
    /// Where its data are, if not in a folder of its own.
    pub data: Option<PathBuf>,
    /// Further lines of its configuration.
    pub more: Vec<String>,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            fsync: Fsync::Always,
            append_only: true,
            eviction: "noeviction",
            users: Vec::new(),
            tls: Tls::Off,
            certificates: None,
            replica_of: None,
            cluster: false,
            data: None,
            more: Vec::new(),
        }
    }
}

/// A Redis server. Its port and data stay when it is killed or stopped.
#[derive(Debug)]
pub struct Redis {
    process: Option<Guarded>,
    port: u16,
    data: PathBuf,
    certificates: Option<Certificates>,
    // Removed last.
    folder: TempDir,
}

impl Redis {
    /// Starts a server on a free port.
    ///
    /// # Errors
    /// [`StartError`] if it does not answer, with the end of its log.
    pub fn start(options: &RedisOptions) -> Result<Self, StartError> {
        let folder = tempfile::tempdir().map_err(|e| StartError(format!("failed to make a folder for Redis: {e}")))?;
        let data = options.data.clone().unwrap_or_else(|| folder.path().join("data"));
        std::fs::create_dir_all(&data).map_err(|e| failed("make the folder", &data, &e))?;
        let certificates = match (options.tls, &options.certificates) {
            (Tls::Off, _) => None,
            (Tls::Server | Tls::Mutual, Some(shared)) => Some(shared.clone()),
            (Tls::Server | Tls::Mutual, None) => Some(Certificates::make(folder.path())?),
        };
        let mut server = Self {
            process: None,
            port: 0,
            data,
            certificates,
            folder,
        };
        for _ in 0..PORTS {
            server.port = free_port()?;
            server.configure(options)?;
            match server.run()? {
                Started::Answers => return Ok(server),
                Started::PortTaken => {}
            }
        }
        Err(StartError(format!("found no free port for Redis in {PORTS} tries")))
    }

    /// A server that the tests of this process share, set up as by default.
    /// It ends with the last of those who hold it.
    ///
    /// # Errors
    /// As [`Redis::start`].
    pub fn shared() -> Result<Arc<Self>, StartError> {
        static SHARED: Mutex<Weak<Redis>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Ok(server);
        }
        let server = Arc::new(Self::start(&RedisOptions::default())?);
        *shared = Arc::downgrade(&server);
        Ok(server)
    }

    /// Its port on the loopback address.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL, `redis://` or `rediss://`.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.certificates.is_some() { "rediss" } else { "redis" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// The certificates that it was given.
    #[must_use]
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// Its process id; none when it does not run.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Guarded::pid)
    }

    /// What it has logged so far.
    #[must_use]
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// Gives it an order over its own socket.
    ///
    /// # Errors
    /// [`StartError`] if it does not answer. What it answers, refusals
    /// included, is the [`Reply`].
    pub fn command(&self, words: &[&str]) -> Result<Reply, StartError> {
        wire::over_socket(&self.socket(), words)
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// [`StartError`] if it does not.
    pub fn wait_until_ended(&mut self) -> Result<(), StartError> {
        if let Some(process) = &mut self.process {
            until("Redis to end", PATIENCE, || process.ended())?;
        }
        self.process = None;
        Ok(())
    }

    /// Kills it without a word.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop();
        }
    }

    /// Starts it again on its port and its data. Whoever runs is killed first.
    ///
    /// # Errors
    /// [`StartError`] if it does not answer.
    pub fn restart(&mut self) -> Result<(), StartError> {
        self.kill();
        match self.run()? {
            Started::Answers => Ok(()),
            Started::PortTaken => Err(StartError(format!("Redis' port {} was taken meanwhile", self.port))),
        }
    }

    /// Removes all its data. It must not run.
    ///
    /// # Errors
    /// [`StartError`] if they cannot be removed.
    pub fn wipe(&mut self) -> Result<(), StartError> {
        self.at_rest("wipe")?;
        remove_all(&self.data)
    }

    /// Copies its data into a folder. It must not run.
    ///
    /// # Errors
    /// [`StartError`] if they cannot be copied.
    pub fn back_up(&mut self, to: &Path) -> Result<(), StartError> {
        self.at_rest("back up")?;
        copy_all(&self.data, to)
    }

    /// Puts back what [`Redis::back_up`] copied. It must not run.
    ///
    /// # Errors
    /// [`StartError`] if they cannot be copied.
    pub fn restore(&mut self, from: &Path) -> Result<(), StartError> {
        self.wipe()?;
        copy_all(from, &self.data)
    }

    /// Cuts the last transaction off its log, as a crash does before it was
    /// on the disk. It must not run.
    ///
    /// # Errors
    /// [`StartError`] if there is none.
    pub fn lose_last_transaction(&mut self) -> Result<(), StartError> {
        self.tear_last_transaction(0).map(|_| ())
    }

    /// Leaves so many whole commands of the last transaction in its log and half of
    /// the next one, as a crash does in the middle of a write; none is a clean cut. It
    /// must not run. Says how many commands the transaction had, from `MULTI` to `EXEC`.
    ///
    /// # Errors
    /// [`StartError`] if there is no transaction, or none with that many commands.
    pub fn tear_last_transaction(&mut self, whole: usize) -> Result<usize, StartError> {
        self.at_rest("cut")?;
        let log = self.newest_log()?;
        let bytes = std::fs::read(&log).map_err(|e| failed("read", &log, &e))?;
        let at = bytes.windows(BEGIN.len()).rposition(|w| w == BEGIN);
        let at = at.ok_or_else(|| StartError(format!("there is no transaction in {}", log.display())))?;
        let mut ends = vec![at];
        while let Some(length) = command_length(&bytes[ends[ends.len() - 1]..]) {
            ends.push(ends[ends.len() - 1] + length);
        }
        let commands = ends.len() - 1;
        let end = match (whole, ends.get(whole..whole + 2)) {
            (0, _) => at,
            (_, Some(&[begin, end])) => begin.midpoint(end),
            _ => {
                return Err(StartError(format!(
                    "the last transaction in {} has {commands} commands",
                    log.display()
                )));
            }
        };
        std::fs::write(&log, &bytes[..end]).map_err(|e| failed("write", &log, &e))?;
        Ok(commands)
    }

    /// Flips a bit of its log where a transaction begins, the middle one of all, as a
    /// disk does that wears out. It must not run.
    ///
    /// # Errors
    /// [`StartError`] if there is no transaction.
    pub fn damage_log(&mut self) -> Result<(), StartError> {
        self.damage_log_at(BEGIN)
    }

    /// The same where these bytes begin, at the middle one of all such places.
    ///
    /// # Errors
    /// [`StartError`] if they stand nowhere.
    pub fn damage_log_at(&mut self, place: &[u8]) -> Result<(), StartError> {
        self.at_rest("damage")?;
        let log = self.newest_log()?;
        let mut bytes = std::fs::read(&log).map_err(|e| failed("read", &log, &e))?;
        let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(place)).collect();
        let Some(middle) = places.get(places.len() / 2) else {
            let log = log.display();
            return Err(StartError(format!("there is no place to damage in {log}")));
        };
        bytes[*middle] ^= 1;
        std::fs::write(&log, &bytes).map_err(|e| failed("write", &log, &e))
    }

    /// Lets `redis-check-aof` cut off its log what comes after the damage, as its own
    /// refusal to start asks for. It must not run.
    ///
    /// # Errors
    /// [`StartError`] with what the program said.
    pub fn mend_log(&mut self) -> Result<(), StartError> {
        use std::io::Write as _;
        self.at_rest("mend")?;
        let log = self.newest_log()?;
        let mend = |e: std::io::Error| failed("mend with redis-check-aof (Debian package 'redis-tools')", &log, &e);
        let mut mending = Command::new("redis-check-aof")
            .arg("--fix")
            .arg(&log)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(mend)?;
        if let Some(mut answer) = mending.stdin.take() {
            answer.write_all(b"y\n").map_err(mend)?;
        }
        let done = mending.wait_with_output().map_err(mend)?;
        if done.status.success() {
            return Ok(());
        }
        let said = [done.stdout, done.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        Err(StartError(format!("redis-check-aof failed: {said}")))
    }

    fn newest_log(&self) -> Result<PathBuf, StartError> {
        let folder = self.data.join("appendonlydir");
        let entries = std::fs::read_dir(&folder).map_err(|e| failed("read", &folder, &e))?;
        let newest = entries
            .filter_map(|e| e.ok().map(|e| e.path()))
            .filter(|p| p.to_string_lossy().ends_with(".incr.aof"))
            .max();
        newest.ok_or_else(|| StartError(format!("there is no log in {}", folder.display())))
    }

    fn at_rest(&self, to_do: &str) -> Result<(), StartError> {
        match self.process {
            None => Ok(()),
            Some(_) => Err(StartError(format!(
                "Redis must be stopped before somebody can {to_do} its data"
            ))),
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().join("redis.conf")
    }

    fn configure(&self, options: &RedisOptions) -> Result<(), StartError> {
        let mut lines = String::new();
        let mut line = |text: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "{text}");
        };
        line("bind 127.0.0.1");
        line("daemonize no");
        line("always-show-logo no");
        line("save \"\"");
        // A replica asks for all at once; nobody waits for a second one.
        line("repl-diskless-sync-delay 0");
        line(&format!("dir \"{}\"", self.data.display()));
        line(&format!("unixsocket \"{}\"", self.socket().display()));
        line("unixsocketperm 700");
        line(&format!(
            "appendonly {}",
            if options.append_only { "yes" } else { "no" }
        ));
        line(match options.fsync {
            Fsync::Always => "appendfsync always",
            Fsync::EverySecond => "appendfsync everysec",
        });
        line(&format!("maxmemory-policy {}", options.eviction));
        for user in &options.users {
            line(&format!("user {user}"));
        }
        line(&access(self.port, self.certificates.as_ref(), options.tls));
        if let Some(primary) = options.replica_of {
            line(&format!("replicaof 127.0.0.1 {primary}"));
        }
        if options.cluster {
            line("cluster-enabled yes");
            line("cluster-config-file nodes.conf");
            // A node that is slow for a while is not away.
            line("cluster-node-timeout 15000");
            line(&format!("cluster-port {}", free_port()?));
        }
        for more in &options.more {
            line(more);
        }
        let file = self.configuration();
        std::fs::write(&file, lines).map_err(|e| failed("write", &file, &e))?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))
            .map_err(|e| failed("protect", &file, &e))
    }

    fn run(&mut self) -> Result<Started, StartError> {
        // The last run's log would be taken for this one's, its socket too.
        for old in [self.log(), self.socket()] {
            if old.exists() {
                std::fs::remove_file(&old).map_err(|e| failed("remove", &old, &e))?;
            }
        }
        let mut program = Command::new(PROGRAM);
        program.arg(self.configuration());
        let mut process = Guarded::start(program, PACKAGE, &self.log())?;
        let socket = self.socket();
        let mut ended = false;
        let answers = until("Redis to answer", PATIENCE, || {
            ended = process.ended();
            ended || wire::over_socket(&socket, &["PING"]).is_ok_and(|r| r == Reply::Text("PONG".into()))
        });
        if answers.is_ok() && !ended {
            self.process = Some(process);
            return Ok(Started::Answers);
        }
        let said = process.output();
        if said.contains("Address already in use") || said.contains("Failed listening on port") {
            return Ok(Started::PortTaken);
        }
        let last: Vec<&str> = said.lines().rev().take(8).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        Err(StartError(format!(
            "Redis did not start; it said:\n{}",
            last.join("\n")
        )))
    }
}

/// The lines that say how clients come, and how it goes to others of its kind.
fn access(port: u16, certificates: Option<&Certificates>, tls: Tls) -> String {
    let Some(of) = certificates else {
        return format!("port {port}");
    };
    let asked = if tls == Tls::Mutual { "yes" } else { "no" };
    format!(
        "port 0\ntls-port {port}\ntls-cert-file \"{}\"\ntls-key-file \"{}\"\ntls-ca-cert-file \"{}\"\n\
         tls-auth-clients {asked}\ntls-replication yes",
        of.server.certificate.display(),
        of.server.key.display(),
        of.authority.display(),
    )
}

/// How many bytes the command has that the log goes on with; nothing at its end.
fn command_length(log: &[u8]) -> Option<usize> {
    let number = |at: usize, sign: u8| {
        let rest = log.get(at..)?.strip_prefix(&[sign])?;
        let digits = rest.iter().position(|b| *b == b'\r')?;
        let number: usize = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
        // The sign, the digits and the line's end.
        Some((number, at + 1 + digits + 2))
    };
    let (words, mut at) = number(0, b'*')?;
    for _ in 0..words {
        let (length, begin) = number(at, b'$')?;
        at = begin + length + 2;
    }
    Some(at)
}

enum Started {
    Answers,
    PortTaken,
}

pub(crate) fn failed(to_do: &str, path: &Path, error: &std::io::Error) -> StartError {
    StartError(format!("failed to {to_do} {}: {error}", path.display()))
}

fn remove_all(folder: &Path) -> Result<(), StartError> {
    for entry in std::fs::read_dir(folder).map_err(|e| failed("read", folder, &e))? {
        let path = entry.map_err(|e| failed("read", folder, &e))?.path();
        let removed = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        removed.map_err(|e| failed("remove", &path, &e))?;
    }
    Ok(())
}

fn copy_all(from: &Path, to: &Path) -> Result<(), StartError> {
    std::fs::create_dir_all(to).map_err(|e| failed("make the folder", to, &e))?;
    for entry in std::fs::read_dir(from).map_err(|e| failed("read", from, &e))? {
        let entry = entry.map_err(|e| failed("read", from, &e))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_all(&source, &target)?;
        } else {
            std::fs::copy(&source, &target).map_err(|e| failed("copy", &source, &e))?;
        }
    }
    Ok(())
}
