//! A primary, its replica, and a sentinel that promotes the one when the
//! other has gone.

use super::{PACKAGE, PATIENCE, PORTS, PROGRAM, Redis, RedisOptions, Reply, Tls, access, failed, wire};
use crate::certificates::Certificates;
use crate::process::{Guarded, StartError, free_port, until};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The name under which the sentinel knows the primary.
pub const WATCHED: &str = "ledger";

/// The three of them.
#[derive(Debug)]
pub struct RedisSentinel {
    /// The primary, as it was in the beginning.
    pub primary: Redis,
    /// Its replica.
    pub replica: Redis,
    _sentinel: Guarded,
    port: u16,
    folder: TempDir,
}

impl RedisSentinel {
    /// Starts all three, and waits until the replica follows and the sentinel
    /// knows it. Encrypted, they have the same certificates.
    ///
    /// # Errors
    /// [`StartError`] if they do not find each other.
    pub fn start(options: &RedisOptions) -> Result<Self, StartError> {
        let folder = tempfile::tempdir().map_err(|e| StartError(format!("failed to make a folder: {e}")))?;
        let certificates = match options.tls {
            Tls::Off => None,
            Tls::Server | Tls::Mutual => Some(Certificates::make(folder.path())?),
        };
        let options = RedisOptions {
            certificates,
            ..options.clone()
        };
        let primary = Redis::start(&options)?;
        let replica = Redis::start(&RedisOptions {
            replica_of: Some(primary.port()),
            ..options.clone()
        })?;
        until("the replica to follow", PATIENCE, || follows(&replica))?;
        let socket = socket(folder.path());
        for _ in 0..PORTS {
            let port = free_port()?;
            let file = folder.path().join("sentinel.conf");
            let lines = format!(
                "{}\nbind 127.0.0.1\nunixsocket \"{}\"\nunixsocketperm 700\ndaemonize no\ndir \"{}\"\n\
                 sentinel monitor {WATCHED} 127.0.0.1 {} 1\n\
                 sentinel down-after-milliseconds {WATCHED} 5000\nsentinel failover-timeout {WATCHED} 10000\n",
                access(port, primary.certificates(), options.tls),
                socket.display(),
                folder.path().display(),
                primary.port(),
            );
            std::fs::write(&file, lines).map_err(|e| failed("write", &file, &e))?;
            let mut program = Command::new(PROGRAM);
            program.arg(&file).arg("--sentinel");
            let mut sentinel = Guarded::start(program, PACKAGE, &folder.path().join("log"))?;
            let mut ended = false;
            until("the sentinel to know the replica", PATIENCE, || {
                ended = sentinel.ended();
                ended || knows_replica(&socket)
            })?;
            if !ended {
                return Ok(Self {
                    primary,
                    replica,
                    _sentinel: sentinel,
                    port,
                    folder,
                });
            }
        }
        Err(StartError(format!(
            "found no free port for the sentinel in {PORTS} tries"
        )))
    }

    /// The URL under which the primary is found, whoever that is.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = match self.primary.certificates() {
            Some(_) => "rediss-sentinel",
            None => "redis-sentinel",
        };
        format!("{scheme}://127.0.0.1:{}/{WATCHED}", self.port)
    }

    /// Has the sentinel let in this user alone from now on: name and rules, as
    /// `ACL SETUSER` takes them. It tells us nothing any more.
    ///
    /// # Errors
    /// [`StartError`] if it does not.
    pub fn admit_only(&self, user: &str) -> Result<(), StartError> {
        let user: Vec<&str> = ["ACL", "SETUSER"].into_iter().chain(user.split(' ')).collect();
        for words in [user, vec!["ACL", "SETUSER", "default", "off"]] {
            match self.ask(&words)? {
                Reply::Text(_) => {}
                other => return Err(StartError(format!("the sentinel refused a user: {}", other.text()))),
            }
        }
        Ok(())
    }

    /// The port of whom the sentinel takes for the primary.
    ///
    /// # Errors
    /// [`StartError`] if it does not say.
    pub fn primary_port(&self) -> Result<u16, StartError> {
        let said = self.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", WATCHED])?.text();
        let port = said.lines().nth(1).and_then(|p| p.parse().ok());
        port.ok_or_else(|| StartError(format!("the sentinel does not say who the primary is: {said}")))
    }

    /// Has the sentinel make the replica the primary while both are well, as
    /// soon as it knows that the replica is: until it has heard of it lately, it
    /// refuses.
    ///
    /// # Errors
    /// [`StartError`] if it goes on refusing.
    pub fn fail_over(&self) -> Result<(), StartError> {
        until("the sentinel to accept the replica", PATIENCE, || {
            let said = self.ask(&["SENTINEL", "FAILOVER", WATCHED]);
            matches!(said, Ok(Reply::Text(_)))
        })
    }

    /// Cuts the replica off from the primary, and waits until it has noticed.
    /// What is written from now on it does not get.
    ///
    /// # Errors
    /// [`StartError`] if it goes on following.
    pub fn cut_off_replica(&self) -> Result<(), StartError> {
        // A name and password that the primary does not know: it cannot come back.
        self.replica
            .command(&["CONFIG", "SET", "masterauth", "wrong", "masteruser", "nobody"])?;
        self.primary.command(&["CLIENT", "KILL", "TYPE", "replica"])?;
        until("the replica to be cut off", PATIENCE, || !follows(&self.replica))
    }

    /// Waits until the replica has become the primary.
    ///
    /// # Errors
    /// [`StartError`] if it does not.
    pub fn wait_until_promoted(&self) -> Result<(), StartError> {
        let promoted = || role(&self.replica).contains("role:master") && self.primary_port() == Ok(self.replica.port());
        until("the replica to be promoted", PATIENCE, promoted)
    }

    /// Waits until the replica has all that the primary has.
    ///
    /// # Errors
    /// [`StartError`] if it does not get there.
    pub fn wait_until_in_step(&self) -> Result<(), StartError> {
        let offset = |server: &Redis, field: &str| {
            let said = role(server);
            said.lines().find_map(|l| l.strip_prefix(field)).map(str::to_owned)
        };
        until("the replica to be in step", PATIENCE, || {
            let there = offset(&self.replica, "slave_repl_offset:");
            there.is_some() && there == offset(&self.primary, "master_repl_offset:")
        })
    }

    /// Over a socket of its own, as the others are asked: without encryption.
    fn ask(&self, words: &[&str]) -> Result<Reply, StartError> {
        wire::over_socket(&socket(self.folder.path()), words)
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("socket")
}

fn role(server: &Redis) -> String {
    server
        .command(&["INFO", "replication"])
        .map_or_else(|e| e.0, |r| r.text())
}

fn follows(replica: &Redis) -> bool {
    role(replica).contains("master_link_status:up")
}

fn knows_replica(sentinel: &Path) -> bool {
    match wire::over_socket(sentinel, &["SENTINEL", "REPLICAS", WATCHED]) {
        Ok(Reply::List(replicas)) => replicas.len() == 1,
        _ => false,
    }
}
