//! A folder with one script in it, and what is asked of it.

use offboard_connectors::program::{ProgramConnector, ProgramSettings};
use offboard_connectors::{Answer, Call, Errand, ScriptStanding, Scripts as _};
use offboard_domain::{CaseId, Fault, FaultClass, Lane, ObjectId, Subject, System, TaskId, TenantId};
use offboard_runtime::SystemClock;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

/// In everything about a person, and in everything that a script says wrongly.
pub(crate) const CANARY: &str = "canary-51c0";

/// Longest wait for a state that comes by itself.
const COMES_WITHIN: Duration = Duration::from_secs(20);

/// A name with everything in it that a shell, JSON or a terminal could misread.
pub(crate) fn hostile() -> String {
    format!(
        "{CANARY} o'Neil \"$(touch pwned)\" `touch pwned`; touch pwned | \\ \n\t\u{202e}ü😀 %s -n *@contoso.example"
    )
}

pub(crate) struct Stage {
    folder: TempDir,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a script has left in a file; none until it has.
    pub(crate) fn left(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }

    /// Writes a script. Through another process, so that none of ours ever has
    /// it open for writing: it could be inherited, and keep it from being run.
    pub(crate) fn script(&self, body: &str, mode: u32) -> PathBuf {
        let (text, script) = (self.path("text"), self.path("script"));
        fs::write(&text, body).unwrap();
        let copied = std::process::Command::new("/bin/cp").args([&text, &script]).status();
        assert!(copied.unwrap().success());
        fs::set_permissions(&script, fs::Permissions::from_mode(mode)).unwrap();
        script
    }

    /// A script that is read by a shell, in this folder.
    pub(crate) fn settings(&self, body: &str) -> ProgramSettings {
        let script = self.script(body, 0o644);
        ProgramSettings {
            arguments: vec![script.to_str().unwrap().to_owned()],
            ..self.program("/bin/sh".into())
        }
    }

    pub(crate) fn program(&self, program: PathBuf) -> ProgramSettings {
        ProgramSettings {
            tenant: TenantId::new("contoso").unwrap(),
            system: system(),
            program,
            arguments: Vec::new(),
            folder: Some(self.folder.path().to_owned()),
            timeout: Duration::from_secs(30),
            max_output_bytes: 65_536,
            environment: vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".into())],
            irreversible: false,
            show_stderr: false,
        }
    }

    pub(crate) async fn observe(&self, body: &str) -> Answer<ScriptStanding> {
        observe(self.settings(body)).await
    }

    pub(crate) async fn apply(&self, body: &str) -> Answer<()> {
        apply(self.settings(body)).await
    }
}

pub(crate) fn system() -> System {
    System::new("vpn").unwrap()
}

pub(crate) async fn observe(settings: ProgramSettings) -> Answer<ScriptStanding> {
    ProgramConnector::open(settings).observe(&mut call(), &errand()).await
}

pub(crate) async fn apply(settings: ProgramSettings) -> Answer<()> {
    let mut call = call();
    call.allow_writes(true);
    ProgramConnector::open(settings).apply(&mut call, &errand()).await
}

pub(crate) fn call() -> Call {
    Call::new(
        Arc::new(SystemClock),
        Instant::now() + Duration::from_secs(60),
        Lane::Normal,
    )
}

pub(crate) fn errand() -> Errand {
    let case = CaseId::derive(&TenantId::new("contoso").unwrap(), "HR-1");
    Errand {
        case,
        task: TaskId::derive(case, "identity.run_script", &system(), None),
        attempt: 2,
        subject: Subject([(System::new("m365").unwrap(), ObjectId::from("id-1"))].into()),
        user_principal_name: Some(hostile()),
        mail: Some(format!("{CANARY}@contoso.example")),
    }
}

/// The class and code of a fault, which names nobody.
pub(crate) fn met<T: std::fmt::Debug>(answer: Answer<T>) -> (FaultClass, String, String) {
    let fault: Fault = answer.unwrap_err();
    let whole = format!("{fault} {fault:?}");
    assert!(!whole.contains(CANARY), "{whole}");
    assert!(!fault.detail.is_empty());
    (fault.class, fault.code.unwrap(), fault.detail)
}

/// Whether a process is no more; one that nobody has waited for yet is not.
fn is_gone(pid: &str) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Err(_) => true,
        Ok(stat) => stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'),
    }
}

/// The processes whose ids a script has left in a file have ended.
pub(crate) async fn gone(stage: &Stage, file: &str) {
    let pids = stage.left(file).unwrap();
    assert!(!pids.trim().is_empty());
    for pid in pids.split_whitespace() {
        until(|| is_gone(pid)).await;
    }
}

/// Waits for a state.
pub(crate) async fn until(mut there: impl FnMut() -> bool) {
    let by = Instant::now() + COMES_WITHIN;
    while !there() {
        assert!(Instant::now() < by, "it did not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
