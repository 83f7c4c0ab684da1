//! A private Dovecot: IMAP with TLS on a port of its own, a master user who may
//! open every mailbox, and a folder with all of its data.

use crate::certificates::Certificates;
use crate::process::{Guarded, Patience, StartError, free_port, until};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const PROGRAM: &str = "/usr/sbin/dovecot";
const PACKAGE: &str = "dovecot-imapd";
/// How often other ports are tried when somebody took those that were free.
const PORTS: usize = 10;
const PATIENCE: Patience = Patience(Duration::from_secs(180));

/// Who may open every mailbox.
pub const ARCHIVER: &str = "archiver";
/// His password.
pub const ARCHIVER_PASSWORD: &str = "archiver-s3cret";
/// Everybody's own password.
pub const OWN_PASSWORD: &str = "own-s3cret";

/// A Dovecot. Its ports and data stay when it is killed.
#[derive(Debug)]
pub struct Dovecot {
    process: Option<Guarded>,
    port: u16,
    plain_port: u16,
    certificates: Certificates,
    /// Where it asks whether a token is good, if it takes tokens.
    introspection: Option<String>,
    // Removed last.
    folder: TempDir,
}

impl Dovecot {
    /// Starts a server whose mailboxes are of these people.
    ///
    /// # Errors
    /// [`StartError`] if it does not answer, with its log.
    pub fn start(people: &[&str]) -> Result<Self, StartError> {
        Self::begin(people, None)
    }

    /// Starts one that takes tokens (XOAUTH2) besides passwords, and asks at this
    /// address (RFC 7662) whether one is good; the answer's `username` says for
    /// whose mailbox.
    ///
    /// # Errors
    /// [`StartError`] if it does not answer, with its log.
    pub fn start_with_tokens(people: &[&str], introspection: &str) -> Result<Self, StartError> {
        Self::begin(people, Some(introspection.to_owned()))
    }

    fn begin(people: &[&str], introspection: Option<String>) -> Result<Self, StartError> {
        let folder =
            tempfile::tempdir().map_err(|e| StartError(format!("failed to make a folder for Dovecot: {e}")))?;
        let certificates = Certificates::make(folder.path())?;
        let mut server = Self {
            process: None,
            port: 0,
            plain_port: 0,
            certificates,
            introspection,
            folder,
        };
        server.write(
            "users",
            &people
                .iter()
                .map(|p| format!("{p}:{{PLAIN}}{OWN_PASSWORD}::::::\n"))
                .collect::<String>(),
        )?;
        server.write("masters", &format!("{ARCHIVER}:{{PLAIN}}{ARCHIVER_PASSWORD}::::::\n"))?;
        for dir in ["run", "state", "mail"] {
            std::fs::create_dir_all(server.path(dir)).map_err(|e| StartError(format!("failed to make {dir}: {e}")))?;
        }
        if let Some(user) = mail_user() {
            let open = |e: std::io::Error| StartError(format!("failed to open the folder to Dovecot: {e}"));
            std::fs::set_permissions(server.folder.path(), std::fs::Permissions::from_mode(0o755)).map_err(open)?;
            std::os::unix::fs::chown(server.path("mail"), Some(user.uid), Some(user.gid)).map_err(open)?;
        }
        let mut last = StartError("no port was tried".to_owned());
        for _ in 0..PORTS {
            (server.port, server.plain_port) = (free_port()?, free_port()?);
            match server.resume() {
                Ok(()) => return Ok(server),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), StartError> {
        std::fs::write(self.path(name), text).map_err(|e| StartError(format!("failed to write {name}: {e}")))
    }

    /// Starts it again, on the same ports and data.
    ///
    /// # Errors
    /// [`StartError`] if it does not answer.
    pub fn resume(&mut self) -> Result<(), StartError> {
        let root = self.folder.path().display().to_string();
        let (users, owner) = match mail_user() {
            Some(user) => (String::new(), format!("uid={} gid={}", user.uid, user.gid)),
            // Everything as the one user that there is.
            None => {
                let own = std::env::var("USER").unwrap_or_default();
                let lines = format!(
                    "default_internal_user = {own}\ndefault_login_user = {own}\ndefault_internal_group = {own}\n"
                );
                (lines, format!("uid={own} gid={own}"))
            }
        };
        let (mechanisms, tokens) = match &self.introspection {
            None => ("plain", String::new()),
            Some(url) => {
                let asks = format!(
                    "introspection_mode = post\nintrospection_url = {url}\n\
                     username_attribute = username\nactive_attribute = active\nactive_value = true\n"
                );
                self.write("oauth2", &asks)?;
                let passdb =
                    format!("passdb {{\n  driver = oauth2\n  mechanisms = xoauth2\n  args = {root}/oauth2\n}}\n");
                ("plain xoauth2", passdb)
            }
        };
        let config = format!(
            "base_dir = {root}/run\n\
             state_dir = {root}/state\n\
             log_path = {root}/dovecot.log\n\
             protocols = imap\n\
             listen = 127.0.0.1\n\
             {users}\
             first_valid_uid = 1\n\
             first_valid_gid = 1\n\
             mail_max_userip_connections = 100\n\
             auth_master_user_separator = *\n\
             auth_mechanisms = {mechanisms}\n\
             auth_failure_delay = 0\n\
             disable_plaintext_auth = no\n\
             mail_location = sdbox:{root}/mail/%u\n\
             mailbox_list_index = yes\n\
             ssl = yes\n\
             ssl_cert = <{cert}\n\
             ssl_key = <{key}\n\
             passdb {{\n  driver = passwd-file\n  master = yes\n  pass = yes\n  args = {root}/masters\n}}\n\
             passdb {{\n  driver = passwd-file\n  args = {root}/users\n}}\n\
             {tokens}\
             userdb {{\n  driver = static\n  args = {owner} home={root}/mail/%u\n}}\n\
             namespace inbox {{\n  inbox = yes\n  separator = /\n}}\n\
             service anvil {{\n  chroot =\n  unix_listener anvil-auth-penalty {{\n    mode = 0\n  }}\n}}\n\
             service imap-login {{\n  chroot =\n\
             \x20 inet_listener imap {{\n    port = {plain}\n  }}\n\
             \x20 inet_listener imaps {{\n    port = {tls}\n    ssl = yes\n  }}\n}}\n",
            cert = self.certificates.server.certificate.display(),
            key = self.certificates.server.key.display(),
            plain = self.plain_port,
            tls = self.port,
        );
        self.write("dovecot.conf", &config)?;
        let mut program = Command::new(PROGRAM);
        program.arg("-F").arg("-c").arg(self.path("dovecot.conf"));
        let mut process = Guarded::start(program, PACKAGE, &self.path("output"))?;
        let port = self.port;
        let mut ended = false;
        let there = until("Dovecot", PATIENCE, || {
            ended = process.ended();
            ended || TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        if ended || there.is_err() {
            let log = std::fs::read_to_string(self.path("dovecot.log")).unwrap_or_default();
            return Err(StartError(format!(
                "Dovecot did not start: {}\n{log}",
                process.output()
            )));
        }
        self.process = Some(process);
        Ok(())
    }

    /// Kills it without a word, with everything that serves a client.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            // Its children end with their master's socket.
            process.kill();
        }
    }

    /// The port with TLS from the first byte.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port without, where STARTTLS is offered.
    #[must_use]
    pub fn plain_port(&self) -> u16 {
        self.plain_port
    }

    /// The authority that its certificate is from; the certificate names `localhost`.
    #[must_use]
    pub fn authority(&self) -> &Path {
        &self.certificates.authority
    }

    /// Where its data are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// A user by number.
struct User {
    uid: u32,
    gid: u32,
}

/// Who has the mailboxes, when the test runs as root: Dovecot lets root have none.
fn mail_user() -> Option<User> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let root = status.lines().any(|l| l.starts_with("Uid:\t0\t"));
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = passwd.lines().find(|l| l.starts_with("mail:")).filter(|_| root)?;
    let mut numbers = line.split(':').skip(2).map(str::parse);
    Some(User {
        uid: numbers.next()?.ok()?,
        gid: numbers.next()?.ok()?,
    })
}
