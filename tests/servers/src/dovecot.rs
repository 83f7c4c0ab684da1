//! A private Dovecot: IMAP with TLS on a port of its own, a master user who may
//! open every mailbox, and a folder with all of its data. Version 2.4 has other words
//! for most settings than 2.3, so there is a form for each, over one list of facts.

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
        let (own, owner) = match mail_user() {
            Some(user) => (None, (user.uid.to_string(), user.gid.to_string())),
            // Everything as the one user that there is.
            None => {
                let own = std::env::var("USER").unwrap_or_default();
                (Some(own.clone()), (own.clone(), own))
            }
        };
        let certificate = self.certificates.server.certificate.display().to_string();
        let key = self.certificates.server.key.display().to_string();
        let facts = Facts {
            root: &root,
            own: own.as_deref(),
            owner: (&owner.0, &owner.1),
            introspection: self.introspection.as_deref(),
            certificate: &certificate,
            key: &key,
            plain: self.plain_port,
            tls: self.port,
        };
        let config = if is_2_4(&version()?) {
            of_2_4(&facts)
        } else {
            if let Some(url) = &self.introspection {
                self.write("oauth2", &tokens_of_2_3(url))?;
            }
            of_2_3(&facts)
        };
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

/// What every configuration says, in whichever words its version has for it.
struct Facts<'a> {
    /// The folder with all of its data: `users` and `masters` with their passwords, `mail`.
    root: &'a str,
    /// Who everything runs as where it is not root who starts it.
    own: Option<&'a str>,
    /// Whose the mailboxes are: user and group.
    owner: (&'a str, &'a str),
    /// Where it asks whether a token is good, if it takes tokens.
    introspection: Option<&'a str>,
    certificate: &'a str,
    key: &'a str,
    /// The port where STARTTLS is offered.
    plain: u16,
    /// The port with TLS from the first byte.
    tls: u16,
}

/// What is called the same in every version.
fn of_both(facts: &Facts<'_>) -> String {
    let Facts { root, plain, tls, .. } = facts;
    let users = facts.own.map_or_else(String::new, |own| {
        format!("default_internal_user = {own}\ndefault_login_user = {own}\ndefault_internal_group = {own}\n")
    });
    let mechanisms = match facts.introspection {
        None => "plain",
        Some(_) => "plain xoauth2",
    };
    format!(
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
         mailbox_list_index = yes\n\
         ssl = yes\n\
         namespace inbox {{\n  inbox = yes\n  separator = /\n}}\n\
         service anvil {{\n  chroot =\n  unix_listener anvil-auth-penalty {{\n    mode = 0\n  }}\n}}\n\
         service imap-login {{\n  chroot =\n\
         \x20 inet_listener imap {{\n    port = {plain}\n  }}\n\
         \x20 inet_listener imaps {{\n    port = {tls}\n    ssl = yes\n  }}\n}}\n"
    )
}

/// For 2.3, which Debian 12 has.
fn of_2_3(facts: &Facts<'_>) -> String {
    let Facts {
        root, certificate, key, ..
    } = facts;
    let (user, group) = facts.owner;
    let tokens = facts.introspection.map_or_else(String::new, |_| {
        format!("passdb {{\n  driver = oauth2\n  mechanisms = xoauth2\n  args = {root}/oauth2\n}}\n")
    });
    let both = of_both(facts);
    format!(
        "{both}\
         disable_plaintext_auth = no\n\
         mail_location = sdbox:{root}/mail/%u\n\
         ssl_cert = <{certificate}\n\
         ssl_key = <{key}\n\
         passdb {{\n  driver = passwd-file\n  master = yes\n  pass = yes\n  args = {root}/masters\n}}\n\
         passdb {{\n  driver = passwd-file\n  args = {root}/users\n}}\n\
         {tokens}\
         userdb {{\n  driver = static\n  args = uid={user} gid={group} home={root}/mail/%u\n}}\n"
    )
}

/// What 2.3 is told of tokens, in a file of its own.
fn tokens_of_2_3(url: &str) -> String {
    format!(
        "introspection_mode = post\nintrospection_url = {url}\n\
         username_attribute = username\nactive_attribute = active\nactive_value = true\n"
    )
}

/// For 2.4, which Debian 13 has and which does not read what is written for 2.3. A
/// belief, from its documentation: it was never run.
fn of_2_4(facts: &Facts<'_>) -> String {
    let Facts {
        root, certificate, key, ..
    } = facts;
    let (user, group) = facts.owner;
    // A token is no longer looked for in a list of passwords.
    let tokens = facts.introspection.map_or_else(String::new, |url| {
        format!(
            "oauth2 {{\n  introspection_mode = post\n  introspection_url = {url}\n\
             \x20 username_attribute = username\n  active_attribute = active\n  active_value = true\n}}\n"
        )
    });
    let both = of_both(facts);
    // The version must come first.
    format!(
        "dovecot_config_version = 2.4.0\n\
         dovecot_storage_version = 2.4.0\n\
         {both}\
         auth_allow_cleartext = yes\n\
         mail_driver = sdbox\n\
         mail_path = {root}/mail/%{{user}}\n\
         ssl_server_cert_file = {certificate}\n\
         ssl_server_key_file = {key}\n\
         passdb masters {{\n  driver = passwd-file\n  master = yes\n  result_success = continue\n\
         \x20 passwd_file_path = {root}/masters\n}}\n\
         passdb users {{\n  driver = passwd-file\n  passwd_file_path = {root}/users\n}}\n\
         {tokens}\
         userdb everybody {{\n  driver = static\n\
         \x20 fields {{\n    uid = {user}\n    gid = {group}\n    home = {root}/mail/%{{user}}\n  }}\n}}\n"
    )
}

/// What the program says of its version, such as `2.3.19.1 (9b53102964)`.
fn version() -> Result<String, StartError> {
    let said = Command::new(PROGRAM).arg("--version").output().map_err(|e| {
        StartError(format!(
            "failed to ask {PROGRAM} (Debian package '{PACKAGE}') its version: {e}"
        ))
    })?;
    Ok(String::from_utf8_lossy(&said.stdout).into_owned())
}

/// Whether this version has the settings of 2.4.
fn is_2_4(version: &str) -> bool {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let mut next = || numbers.next().and_then(Result::ok);
    (next(), next()) >= (Some(2), Some(4))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_its_settings() {
        for (version, new) in [
            ("2.3.19.1 (9b53102964)\n", false),
            ("2.2.36\n", false),
            ("2.4.0\n", true),
            ("2.4.1-4 (7d8c0e5759)\n", true),
            ("2.10.0\n", true),
            ("3.0.0\n", true),
            ("", false),
        ] {
            assert_eq!(is_2_4(version), new, "{version}");
        }
    }

    /// That 2.4 takes them is not seen here; that it is told the same, and nothing in the
    /// words of 2.3, is.
    #[test]
    fn both_forms_say_the_same_and_each_in_its_own_words() {
        let facts = Facts {
            root: "/there",
            own: Some("somebody"),
            owner: ("8", "12"),
            introspection: Some("http://127.0.0.1:5/introspect"),
            certificate: "/there/server.pem",
            key: "/there/server.key",
            plain: 1_143,
            tls: 1_993,
        };
        let old = of_2_3(&facts) + &tokens_of_2_3("http://127.0.0.1:5/introspect");
        let new = of_2_4(&facts);
        let (both, first) = (of_both(&facts), new.lines().next().unwrap());
        assert!(first.starts_with("dovecot_config_version = "), "{new}");
        for form in [&old, &new] {
            assert!(form.contains(&both), "{form}");
            assert_eq!(form.matches('{').count(), form.matches('}').count(), "{form}");
            for fact in [
                "/there/masters\n",
                "/there/users\n",
                "/there/mail/%",
                "/there/server.pem\n",
                "/there/server.key\n",
                "introspection_url = http://127.0.0.1:5/introspect\n",
                "master = yes\n",
                "driver = static\n",
            ] {
                assert!(form.contains(fact), "{fact} is not in:\n{form}");
            }
        }
        for gone in [
            "args =",
            "mail_location",
            "disable_plaintext_auth",
            "ssl_cert ",
            "ssl_key ",
            "%u\n",
            "pass = yes",
            "passdb {",
            "userdb {",
            "mechanisms = xoauth2\n",
        ] {
            assert!(old.contains(gone), "{gone} is no word of 2.3:\n{old}");
            assert!(!new.contains(gone), "{gone} is no word of 2.4:\n{new}");
        }
        let without = Facts {
            introspection: None,
            ..facts
        };
        assert!(!of_2_4(&without).contains("oauth2"));
    }
}
