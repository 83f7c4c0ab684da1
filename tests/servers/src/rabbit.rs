//! A private RabbitMQ: Debian's, with ports, data, cookie and name service of
//! its own, so that it meets no other broker of the machine. It runs as root
//! and as an ordinary user.
//!
//! It starts as an operator's would: from a file of definitions that it
//! imports at each start, so that one whose data was deleted comes back whole.
//! Starting takes seconds: one broker for all tests of a process
//! ([`RabbitOptions::outlives_its_value`]), and a virtual host of its own
//! ([`Rabbit::import`]) where a test wants to be alone.

mod cluster;

pub use cluster::RabbitCluster;

use crate::certificates::Certificates;
use crate::http;
use crate::process::{Guarded, Patience, StartError, free_port, until};
use serde_json::{Value, json};
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// Where Debian keeps the programs. Those in the search path insist on root.
const PROGRAMS: &str = "/usr/lib/rabbitmq/bin";
const PACKAGE: &str = "rabbitmq-server";
const NODE: &str = "offboard@localhost";

/// A start takes seven seconds on an idle machine of two cores.
const START_WITHIN: Patience = Patience(Duration::from_secs(600));

/// How often ports that somebody took in between are chosen anew.
const TRIES: usize = 5;

/// The user that [`Rabbit::import`] and the others act as. It is none of the
/// definitions' and may do everything in every virtual host of theirs.
pub const ADMINISTRATOR: &str = "test-administrator";

/// How a broker is started.
#[derive(Debug, Clone, Default)]
pub struct RabbitOptions {
    /// Imported at each start.
    pub definitions: Option<Value>,
    /// An operator's `rabbitmq.conf`, whose definitions, addresses and ports give
    /// way to the test's and nothing else. It says itself how clients come.
    pub file: Option<String>,
    /// It listens with TLS as well, to whoever shows a certificate of its
    /// authority.
    pub tls: bool,
    /// It serves all tests of a process, whose end alone ends it: its folder
    /// is then removed by its guard.
    pub outlives_its_value: bool,
}

/// A running (or ended) broker.
#[derive(Debug)]
pub struct Rabbit {
    options: RabbitOptions,
    ports: Ports,
    password: String,
    certificates: Option<Certificates>,
    node: Option<Guarded>,
    /// Two imports at once stumble over each other's users.
    importing: Mutex<()>,
    member: Member,
    home: TempDir,
}

/// Which node it is, among which others, and how they find and trust each other.
#[derive(Debug, Clone)]
struct Member {
    name: String,
    /// Every node of its cluster; it alone if it has none.
    of: Vec<String>,
    /// What they show each other.
    cookie: String,
    epmd_port: u16,
    /// The name service, without which no node and no command finds another. It
    /// outlives the nodes' restarts.
    _epmd: Arc<Guarded>,
}

impl Member {
    /// The only one, whose name service writes its log there.
    fn alone(log: &Path) -> Result<Self, StartError> {
        let epmd_port = free_port()?;
        let mut epmd = Command::new("epmd");
        epmd.args(["-port", &epmd_port.to_string(), "-address", "127.0.0.1"]);
        Ok(Self {
            name: NODE.to_owned(),
            of: vec![NODE.to_owned()],
            cookie: random()?,
            epmd_port,
            _epmd: Arc::new(Guarded::start(epmd, "erlang-base", log)?),
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    amqp: u16,
    tls: u16,
    management: u16,
    distribution: u16,
}

impl Rabbit {
    /// Starts a broker and waits until it takes connections.
    ///
    /// # Errors
    /// [`StartError`] with what it wrote, or which package to install.
    pub fn start(options: RabbitOptions) -> Result<Self, StartError> {
        let mut last = None;
        for _ in 0..TRIES {
            match Self::start_once(options.clone()) {
                Err(error) if is_about_a_port(&error) => last = Some(error),
                other => return other,
            }
        }
        Err(last.unwrap_or_else(|| StartError("no port was free".to_owned())))
    }

    fn start_once(options: RabbitOptions) -> Result<Self, StartError> {
        let home = new_home()?;
        let member = Member::alone(&home.path().join("epmd.log"))?;
        let mut rabbit = Self::prepare(options, home, member, random()?)?;
        rabbit.start_node()?;
        Ok(rabbit)
    }

    /// A node that does not run yet, with the administrator's password.
    fn prepare(options: RabbitOptions, home: TempDir, member: Member, password: String) -> Result<Self, StartError> {
        let ports = Ports {
            amqp: free_port()?,
            tls: free_port()?,
            management: free_port()?,
            distribution: free_port()?,
        };
        let certificates = options.tls.then(|| Certificates::make(home.path())).transpose()?;
        let rabbit = Self {
            password,
            options,
            ports,
            certificates,
            node: None,
            importing: Mutex::default(),
            member,
            home,
        };
        rabbit.write_configuration()?;
        Ok(rabbit)
    }

    /// The port without TLS.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports.amqp
    }

    /// The port with TLS, if it listens with TLS.
    #[must_use]
    pub fn tls_port(&self) -> u16 {
        self.ports.tls
    }

    /// Its certificates.
    ///
    /// # Errors
    /// If it was started without TLS.
    pub fn certificates(&self) -> Result<&Certificates, StartError> {
        let missing = || StartError("this RabbitMQ was started without TLS".to_owned());
        self.certificates.as_ref().ok_or_else(missing)
    }

    /// The process id, if it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.node.as_ref().map(Guarded::pid)
    }

    /// The password of [`ADMINISTRATOR`].
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Kills it without a word (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(node) = self.node.take() {
            node.kill();
        }
    }

    /// Lets it end by itself (SIGTERM).
    pub fn stop(&mut self) {
        if let Some(node) = self.node.take() {
            node.stop();
        }
    }

    /// Starts it on the data and the ports that it had; lets it end first if
    /// it runs.
    ///
    /// # Errors
    /// [`StartError`] with what it wrote.
    pub fn restart(&mut self) -> Result<(), StartError> {
        self.stop();
        self.start_node()
    }

    /// Kills it and deletes its data. A restart then imports the definitions.
    ///
    /// # Errors
    /// If the folder cannot be deleted.
    pub fn wipe_data(&mut self) -> Result<(), StartError> {
        self.kill();
        let data = self.file("mnesia");
        fs::remove_dir_all(&data).map_err(|e| StartError(format!("failed to delete {}: {e}", data.display())))
    }

    /// Imports definitions, such as a virtual host of a test's own.
    ///
    /// # Errors
    /// With what the broker says is wrong with them.
    pub fn import(&self, definitions: &Value) -> Result<(), StartError> {
        let _alone = self.importing.lock().unwrap_or_else(PoisonError::into_inner);
        let whole = self.administered(definitions.clone());
        self.ask("POST", "/api/definitions", whole.to_string().as_bytes())
            .map(drop)
    }

    /// The names of a virtual host's queues.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub fn queues(&self, vhost: &str) -> Result<Vec<String>, StartError> {
        let path = format!("/api/queues/{}?columns=name", escaped(vhost));
        let answer = self.ask("GET", &path, b"")?;
        let unread = |e| StartError(format!("failed to read the list of queues: {e}"));
        let listed: Vec<Value> = serde_json::from_slice(&answer).map_err(unread)?;
        let names = listed.iter().filter_map(|q| q["name"].as_str());
        Ok(names.map(str::to_owned).collect())
    }

    /// Its version, and Erlang's.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub fn versions(&self) -> Result<(String, String), StartError> {
        let answer = self.ask("GET", "/api/overview", b"")?;
        let overview: Value = serde_json::from_slice(&answer)
            .map_err(|e| StartError(format!("failed to read the broker's overview: {e}")))?;
        let said = |name: &str| overview[name].as_str().unwrap_or_default().to_owned();
        Ok((said("rabbitmq_version"), said("erlang_version")))
    }

    /// Deletes a queue with all that it holds.
    ///
    /// # Errors
    /// If there is none.
    pub fn delete_queue(&self, vhost: &str, name: &str) -> Result<(), StartError> {
        let path = format!("/api/queues/{}/{}", escaped(vhost), escaped(name));
        self.ask("DELETE", &path, b"").map(drop)
    }

    /// Raises or ends the alarm of too little memory, under which the broker
    /// takes nothing more from whoever publishes.
    ///
    /// # Errors
    /// With what `rabbitmqctl` said.
    pub fn memory_alarm(&self, on: bool) -> Result<(), StartError> {
        let limit = if on { "1" } else { MEMORY };
        self.control(&["set_vm_memory_high_watermark", "absolute", limit])
    }

    /// Raises or ends the alarm of too little free disk, under which the broker takes
    /// nothing more from whoever publishes either.
    ///
    /// # Errors
    /// With what `rabbitmqctl` said.
    pub fn disk_alarm(&self, on: bool) -> Result<(), StartError> {
        let limit = if on { MORE_THAN_ANY_DISK } else { DISK };
        self.control(&["set_disk_free_limit", limit])
    }

    /// Gives the broker an order with `rabbitmqctl`.
    ///
    /// # Errors
    /// With what it said.
    pub fn control(&self, arguments: &[&str]) -> Result<(), StartError> {
        let mut control = self.program("rabbitmqctl");
        control.arg("--quiet").args(arguments);
        let done = control
            .output()
            .map_err(|e| StartError(format!("failed to run rabbitmqctl: {e}")))?;
        if done.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        Err(StartError(format!(
            "rabbitmqctl {} failed: {said}",
            arguments.join(" ")
        )))
    }

    /// What it wrote since its last start.
    #[must_use]
    pub fn output(&self) -> String {
        fs::read_to_string(self.file("node.log")).unwrap_or_default()
    }

    fn ask(&self, method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>, StartError> {
        let credentials = (ADMINISTRATOR, self.password.as_str());
        http::ask(self.ports.management, credentials, method, path, body)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The definitions with the administrator added.
    fn administered(&self, mut definitions: Value) -> Value {
        let vhosts: Vec<Value> = definitions["vhosts"].as_array().cloned().unwrap_or_default();
        let permissions = vhosts.iter().map(|vhost| {
            json!({ "user": ADMINISTRATOR, "vhost": vhost["name"], "configure": ".*", "write": ".*", "read": ".*" })
        });
        let user = json!({ "name": ADMINISTRATOR, "password": self.password, "tags": "administrator" });
        add(&mut definitions["users"], [user]);
        add(&mut definitions["permissions"], permissions);
        definitions
    }

    fn write_configuration(&self) -> Result<(), StartError> {
        let conf = match &self.options.file {
            Some(file) => self.of_this_machine(file)?,
            None => self.own_configuration(),
        };
        let given = self.options.definitions.clone();
        let imported = self.administered(given.unwrap_or_else(|| json!({ "vhosts": [{ "name": "/" }] })));
        let cookie = self.file("home").join(".erlang.cookie");
        let written = || -> std::io::Result<()> {
            fs::create_dir(self.file("home"))?;
            fs::write(&cookie, &self.member.cookie)?;
            fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400))?;
            fs::write(self.file("plugins"), "[rabbitmq_management].\n")?;
            fs::write(self.definitions(), imported.to_string())?;
            fs::write(self.file("rabbitmq.conf"), conf)
        };
        written().map_err(|e| StartError(format!("failed to write RabbitMQ's configuration: {e}")))
    }

    fn own_configuration(&self) -> String {
        let Ports {
            amqp, tls, management, ..
        } = self.ports;
        let definitions = self.definitions();
        let mut conf = format!(
            "listeners.tcp.1 = 127.0.0.1:{amqp}\n\
             management.tcp.ip = 127.0.0.1\n\
             management.tcp.port = {management}\n\
             vm_memory_high_watermark.absolute = {MEMORY}\n\
             disk_free_limit.absolute = {DISK}\n\
             raft.wal_max_size_bytes = 64000000\n\
             log.file = false\n\
             log.console = true\n"
        );
        // Two nodes that import at once stumble over each other's users.
        if self.member.of.first() == Some(&self.member.name) {
            conf += &format!("load_definitions = {}\n", definitions.display());
        }
        if self.member.of.len() > 1 {
            conf += "cluster_formation.peer_discovery_backend = classic_config\n";
            for (n, name) in self.member.of.iter().enumerate() {
                conf += &format!("cluster_formation.classic_config.nodes.{} = {name}\n", n + 1);
            }
        }
        if let Some(certificates) = &self.certificates {
            conf += &format!(
                "listeners.ssl.1 = 127.0.0.1:{tls}\n\
                 ssl_options.cacertfile = {}\n\
                 ssl_options.certfile = {}\n\
                 ssl_options.keyfile = {}\n\
                 ssl_options.verify = verify_peer\n\
                 ssl_options.fail_if_no_peer_cert = true\n",
                certificates.authority.display(),
                certificates.server.certificate.display(),
                certificates.server.key.display(),
            );
        }
        conf
    }

    /// An operator's file on this machine. How much of the disk must be free is made
    /// little: a test's disk may be smaller than the memory.
    fn of_this_machine(&self, file: &str) -> Result<String, StartError> {
        let Ports { tls, management, .. } = self.ports;
        let mut conf = file.to_owned();
        for (key, value) in [
            ("load_definitions", self.definitions().display().to_string()),
            ("listeners.ssl.default", format!("127.0.0.1:{tls}")),
            ("disk_free_limit.relative", "0.01".to_owned()),
        ] {
            conf = with_value(&conf, key, &value)?;
        }
        Ok(conf
            + &format!(
                "management.tcp.ip = 127.0.0.1\n\
                 management.tcp.port = {management}\n\
                 log.file = false\n\
                 log.console = true\n"
            ))
    }

    fn definitions(&self) -> PathBuf {
        self.file("definitions.json")
    }

    fn start_node(&mut self) -> Result<(), StartError> {
        let log = self.file("node.log");
        // Only what this start says is of interest.
        drop(fs::remove_file(&log));
        let folder = self.options.outlives_its_value.then(|| self.home.path());
        let mut node = Guarded::start_in(self.program("rabbitmq-server"), PACKAGE, &log, folder)?;
        let port = match self.options.file {
            Some(_) => self.ports.tls,
            None => self.ports.amqp,
        };
        let there = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        let mut ended = false;
        let waited = until("RabbitMQ to take connections", START_WITHIN, || {
            ended = node.ended();
            ended || there()
        });
        match waited {
            Ok(()) if !ended => {
                self.node = Some(node);
                Ok(())
            }
            waited => {
                let why = waited.err().map_or_else(|| "it ended".to_owned(), |e| e.0);
                let output = node.output();
                node.kill();
                Err(StartError(format!(
                    "RabbitMQ did not start: {why}; it wrote:\n{output}"
                )))
            }
        }
    }

    /// One of RabbitMQ's programs, in the environment of this node.
    fn program(&self, name: &str) -> Command {
        let mut program = Command::new(Path::new(PROGRAMS).join(name));
        let Ports { distribution, .. } = self.ports;
        let files = [
            ("HOME", "home"),
            ("RABBITMQ_CONFIG_FILE", "rabbitmq.conf"),
            ("RABBITMQ_MNESIA_BASE", "mnesia"),
            ("RABBITMQ_LOG_BASE", "log"),
            ("RABBITMQ_GENERATED_CONFIG_DIR", "config"),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", "plugins"),
            ("RABBITMQ_PID_FILE", "pid"),
        ];
        for (variable, file) in files {
            program.env(variable, self.file(file));
        }
        program
            .env("RABBITMQ_NODENAME", &self.member.name)
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_DIST_PORT", distribution.to_string())
            .env("ERL_EPMD_PORT", self.member.epmd_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_MAX_PORTS", "4096")
            .env("ERL_CRASH_DUMP_SECONDS", "0")
            // Then the script becomes the node, and its process id is the node's.
            .env("RUNNING_UNDER_SYSTEMD", "true")
            .env_remove("NOTIFY_SOCKET")
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", ERLANG)
            .current_dir(self.home.path());
        program
    }
}

/// What the node may use, in bytes.
const MEMORY: &str = "1000000000";

/// What must be free on its disk, in bytes; and what is free on none.
const DISK: &str = "50000000";
const MORE_THAN_ANY_DISK: &str = "1000000000000000000";

/// One scheduler that does not spin, the loopback alone, and no name service
/// but ours.
const ERLANG: &str = "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none \
                      -kernel inet_dist_use_interface {127,0,0,1} -start_epmd false";

impl Drop for Rabbit {
    fn drop(&mut self) {
        // Its data goes with it; a farewell would only take time.
        self.kill();
    }
}

fn add(list: &mut Value, more: impl IntoIterator<Item = Value>) {
    if list.is_null() {
        *list = json!([]);
    }
    if let Some(list) = list.as_array_mut() {
        list.extend(more);
    }
}

/// The file with another value for a key that stands in it.
fn with_value(file: &str, key: &str, value: &str) -> Result<String, StartError> {
    let mut found = false;
    let mut whole = String::new();
    for line in file.lines() {
        if line.split_once('=').is_some_and(|(name, _)| name.trim() == key) {
            found = true;
            whole += &format!("{key} = {value}\n");
        } else {
            whole += line;
            whole.push('\n');
        }
    }
    if found {
        Ok(whole)
    } else {
        Err(StartError(format!(
            "the file given for rabbitmq.conf does not say {key}"
        )))
    }
}

/// A name as a path's segment.
fn escaped(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2F")
}

/// Whether somebody took a port in between.
fn is_about_a_port(error: &StartError) -> bool {
    error.0.contains("in use") || error.0.contains("eaddrinuse")
}

fn new_home() -> Result<TempDir, StartError> {
    tempfile::Builder::new()
        .prefix("offboard-rabbit-")
        .tempdir()
        .map_err(|e| StartError(format!("failed to make a folder for RabbitMQ: {e}")))
}

fn random() -> Result<String, StartError> {
    use std::io::Read as _;
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|e| StartError(format!("failed to read random bytes: {e}")))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}
