//! A Dovecot, a working folder that names it, and a worker's attempts.

use offboard_connectors::Connector;
use offboard_connectors::graph::HttpClient;
use offboard_connectors::imap::{Access, ImapConnector, ImapSettings, Security};
use offboard_domain::{
    Assignment, CaseId, Digest, Facts, FaultClass, Kind, Lane, Mode, Said, Subject, System, Target, TaskId, TenantId,
    Verdict, judge,
};
use offboard_runtime::{Clock, SystemClock};
use offboard_servers::{ARCHIVER, ARCHIVER_PASSWORD, Dovecot, OWN_PASSWORD};
use offboard_store::Store;
use offboard_workers::{Connectors, Context, attempt};
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use tempfile::TempDir;

/// Attempts until it must have ended.
const ATTEMPTS_MAX: usize = 50;
const RUN_FOR_MS: i64 = 60_000;

pub(crate) struct Stage {
    pub(crate) dovecot: Dovecot,
    folder: TempDir,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let dovecot = Dovecot::start(&["alice@contoso.example", "berta@contoso.example"]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let stage = Self { dovecot, folder };
        let made = stage.ran(&["init", "."]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let example = stage.path("tenants/contoso.toml.example");
        if example.exists() {
            std::fs::remove_file(example).unwrap();
        }
        let secret = stage.path("mail-password");
        std::fs::write(&secret, ARCHIVER_PASSWORD).unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::copy(stage.dovecot.authority(), stage.path("mail-ca.pem")).unwrap();
        std::fs::write(stage.path("port"), stage.dovecot.port().to_string()).unwrap();
        std::fs::write(stage.path("plain-port"), stage.dovecot.plain_port().to_string()).unwrap();
        stage.with_tenant(|text| text);
        stage
    }

    /// Writes the tenant's configuration, changed.
    pub(crate) fn with_tenant(&self, change: impl FnOnce(String) -> String) {
        let text = format!(
            "name = \"Contoso\"\ntime_zone = \"Europe/Berlin\"\n[systems.mail]\nkind = \"imap\"\nhost = \"localhost\"\n\
             port = {}\nca = \"{}\"\nuser = \"{ARCHIVER}\"\npassword = {{ file = \"{}\" }}\nprobe = \"alice@contoso.example\"\n",
            self.dovecot.port(),
            self.path("mail-ca.pem").display(),
            self.path("mail-password").display(),
        );
        std::fs::write(self.path("tenants/contoso.toml"), change(text)).unwrap();
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn store(&self) -> PathBuf {
        store_of(self.root())
    }

    /// How many things the store has.
    pub(crate) fn things(&self) -> usize {
        fn count(dir: &Path) -> usize {
            let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
            entries
                .map(|e| if e.path().is_dir() { count(&e.path()) } else { 1 })
                .sum()
        }
        count(&self.store())
    }

    pub(crate) fn worker(&self) -> Worker {
        Worker::in_folder(self.root())
    }

    /// One that reaches the server another way, with a store and a memory of its own.
    pub(crate) fn worker_with(&self, security: &str) -> Worker {
        let (security, port) = match security {
            "none" => (Security::None, self.dovecot.plain_port()),
            _ => (Security::StartTls, self.dovecot.plain_port()),
        };
        Worker::new(self.root(), security, port, Store::memory(), None)
    }

    pub(crate) fn ran(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_offboard"))
            .args([
                "-C".as_ref(),
                self.root().as_os_str(),
                "--as".as_ref(),
                "tester".as_ref(),
            ])
            .args(args)
            .output()
            .unwrap()
    }

    pub(crate) fn offboard(&self, args: &[&str]) -> Vec<u8> {
        let ran = self.ran(args);
        assert!(
            ran.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&ran.stderr)
        );
        ran.stdout
    }

    pub(crate) fn fails(&self, args: &[&str]) -> i32 {
        self.ran(args).status.code().unwrap()
    }

    pub(crate) fn python(&self, script: &str, args: &[&OsStr]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../tests/archive")
            .join(script);
        let ran = Command::new("python3")
            .arg(&script)
            .args(args)
            .output()
            .expect("python3 is there");
        assert!(
            ran.status.success(),
            "{}: {}",
            script.display(),
            String::from_utf8_lossy(&ran.stderr)
        );
    }

    /// Whether a mailbox is what was unpacked, as Python's own client reads it.
    pub(crate) fn compare(&self, mailbox: &str, unpacked: &Path) {
        let (port, ca) = (self.dovecot.port().to_string(), self.path("mail-ca.pem"));
        let args = [
            port.as_ref(),
            ca.as_os_str(),
            mailbox.as_ref(),
            OWN_PASSWORD.as_ref(),
            unpacked.as_os_str(),
        ];
        self.python("compare.py", &args);
    }
}

fn store_of(root: &Path) -> PathBuf {
    root.join("data/store")
}

struct One(Arc<ImapConnector>);

impl Connectors for One {
    fn get(&self, _: &TenantId, system: &System) -> Option<Arc<dyn Connector>> {
        (system == self.0.system()).then(|| self.0.clone() as Arc<dyn Connector>)
    }
}

/// A worker that archives Alice's mailbox, and remembers where it stopped in a file.
pub(crate) struct Worker {
    context: Context,
    memory: Option<PathBuf>,
    runtime: tokio::runtime::Runtime,
}

impl Worker {
    pub(crate) fn in_folder(root: &Path) -> Self {
        let port = std::fs::read_to_string(root.join("port")).unwrap().parse().unwrap();
        let store = Store::folder(&store_of(root)).unwrap();
        Self::new(root, Security::Tls, port, store, Some(root.join("checkpoint")))
    }

    fn new(root: &Path, security: Security, port: u16, store: Store, memory: Option<PathBuf>) -> Self {
        let settings = ImapSettings {
            system: System::new("mail").unwrap(),
            host: "localhost".to_owned(),
            port,
            security,
            ca: Some(root.join("mail-ca.pem")),
            access: Access::Joined {
                user: ARCHIVER.to_owned(),
                password: ARCHIVER_PASSWORD.into(),
                separator: "*".to_owned(),
            },
            exact_sizes: true,
            probe: None,
        };
        let connector = ImapConnector::open(&HttpClient::new().unwrap(), &settings).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Self {
            context: Context {
                store,
                connectors: Arc::new(One(Arc::new(connector))),
                escrow: None,
                clock,
            },
            memory,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    fn assignment(&self, run_for_ms: i64, checkpoint: Option<Facts>) -> Assignment {
        let tenant = TenantId::new("contoso").unwrap();
        let case = CaseId::derive(&tenant, "HR-1");
        let system = System::new("mail").unwrap();
        Assignment {
            task: TaskId::derive(case, Kind::ArchiveMailbox.name(), &system, None),
            tenant,
            case,
            attempt: 1,
            kind: Kind::ArchiveMailbox,
            target: Target { system, object: None },
            subject: Subject::default(),
            params: Facts::new()
                .with("keep_years", 7)
                .with("mail_login", "alice@contoso.example"),
            mode: Mode::Full,
            checkpoint,
            checks: Vec::new(),
            start_by: self.context.clock.now().plus(60_000),
            run_for_ms,
            version: 1,
            head: Digest::ZERO,
            traceparent: None,
        }
    }

    fn remembered(&self) -> Option<Facts> {
        let text = std::fs::read(self.memory.as_ref()?).ok()?;
        Some(serde_json::from_slice(&text).unwrap())
    }

    /// Keeps a checkpoint as a ledger does: whole or not at all.
    pub(crate) fn remember(&self, checkpoint: &Facts) {
        let Some(file) = &self.memory else { return };
        let beside = file.with_extension("new");
        std::fs::write(&beside, serde_json::to_vec(checkpoint).unwrap()).unwrap();
        std::fs::rename(beside, file).unwrap();
    }

    pub(crate) fn attempt(&self, run_for_ms: i64) -> Said {
        self.attempt_from(run_for_ms, self.remembered())
    }

    fn attempt_from(&self, run_for_ms: i64, checkpoint: Option<Facts>) -> Said {
        let assignment = self.assignment(run_for_ms, checkpoint);
        self.runtime
            .block_on(attempt(&assignment, Lane::Normal, false, &self.context))
            .said
    }

    /// Attempts until it is settled; what was read last.
    pub(crate) fn settle(&self) -> Facts {
        let mut checkpoint = self.remembered();
        for _ in 0..ATTEMPTS_MAX {
            match self.attempt_from(RUN_FOR_MS, checkpoint.clone()) {
                Said::Progress { checkpoint: more } => {
                    self.remember(&more);
                    checkpoint = Some(more);
                }
                Said::Satisfied { after, .. } => {
                    let verdict = judge(Kind::ArchiveMailbox, &Facts::new(), &after.facts, None);
                    assert_eq!(verdict, Verdict::Satisfied);
                    return after.facts;
                }
                // On a busy machine the disk takes longer than an attempt allows.
                Said::Fault { fault } if fault.class == FaultClass::Transient => {}
                other => panic!("{other:?}"),
            }
        }
        panic!("no end after {ATTEMPTS_MAX} attempts");
    }
}
