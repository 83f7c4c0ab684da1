//! Whole attempts with real programs: what is done is done, a liar is caught by
//! the second process, and what may not happen twice is not begun twice.

use offboard_connectors::Connector;
use offboard_connectors::program::{ProgramConnector, ProgramSettings};
use offboard_domain::catalogue::script::SIGN_IN_NAME;
use offboard_domain::{
    Assignment, CaseId, Digest, Facts, FaultClass, Kind, Lane, Mode, ObjectId, Report, Said, Subject, System, Target,
    TaskId, TenantId, Verdict, judge,
};
use offboard_runtime::{Clock as _, SystemClock};
use offboard_store::Store;
use offboard_workers::{Connectors, Context, attempt};
use std::fs;
use std::sync::Arc;
use std::time::Duration;

const CANARY: &str = "canary-77d2";

/// Counts its calls, and does as the file `mode` says.
const SCRIPT: &str = r#"
told=$(cat)
echo "canary-77d2 says hello" >&2
case $told in
*'"call":"observe"'*)
    echo observe >> calls
    if [ -e done ]; then echo '{"state":"done","facts":{"barred":true}}'
    else echo '{"state":"not_done","reason":"still there"}'; fi ;;
*'"call":"apply"'*)
    echo apply >> calls
    case $(cat mode) in
    honest) : > done; echo '{"asked":true}' ;;
    liar) echo '{"asked":true,"request_id":"sure"}' ;;
    dies) : > done; exit 3 ;;
    slow) : > done; exec sleep 600 ;;
    esac ;;
esac
"#;

struct Desk {
    folder: tempfile::TempDir,
    context: Context,
    irreversible: bool,
}

struct One(Arc<dyn Connector>);

impl Connectors for One {
    fn get(&self, _: &TenantId, wanted: &System) -> Option<Arc<dyn Connector>> {
        (*wanted == system()).then(|| self.0.clone())
    }
}

fn system() -> System {
    System::new("vpn").unwrap()
}

impl Desk {
    fn new(mode: &str, irreversible: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        fs::write(&script, SCRIPT).unwrap();
        fs::write(folder.path().join("mode"), mode).unwrap();
        let settings = ProgramSettings {
            tenant: TenantId::new("contoso").unwrap(),
            system: system(),
            program: "/bin/sh".into(),
            arguments: vec![script.to_str().unwrap().to_owned()],
            folder: Some(folder.path().to_owned()),
            timeout: Duration::from_secs(20),
            max_output_bytes: 65_536,
            environment: vec![("PATH".to_owned(), "/usr/bin:/bin".into())],
            irreversible,
            show_stderr: false,
        };
        let context = Context {
            store: Store::memory(),
            connectors: Arc::new(One(Arc::new(ProgramConnector::open(settings)))),
            escrow: None,
            clock: Arc::new(SystemClock),
        };
        Self {
            folder,
            context,
            irreversible,
        }
    }

    fn kind(&self) -> Kind {
        match self.irreversible {
            true => Kind::RunIrreversibleScript,
            false => Kind::RunScript,
        }
    }

    async fn attempt(&self, mode: Mode, run_for_ms: i64, redelivered: bool) -> Report {
        let tenant = TenantId::new("contoso").unwrap();
        let case = CaseId::derive(&tenant, "HR-1");
        let kind = self.kind();
        let assignment = Assignment {
            task: TaskId::derive(case, kind.name(), &system(), None),
            tenant,
            case,
            attempt: 1,
            kind,
            target: Target {
                system: system(),
                object: None,
            },
            subject: Subject([(System::new("m365").unwrap(), ObjectId::from("id-1"))].into()),
            params: Facts::new().with(SIGN_IN_NAME, format!("{CANARY}@contoso.example")),
            mode,
            checkpoint: None,
            checks: Vec::new(),
            start_by: SystemClock.now().plus(60_000),
            run_for_ms,
            version: 1,
            head: Digest::ZERO,
            traceparent: None,
        };
        let report = attempt(&assignment, Lane::Urgent, redelivered, &self.context).await;
        let json = serde_json::to_string(&report).unwrap();
        assert!(!json.contains(CANARY), "{json}");
        report
    }

    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn done_is_what_a_second_process_says() {
    for irreversible in [false, true] {
        let desk = Desk::new("honest", irreversible);
        let report = desk.attempt(Mode::Full, 60_000, false).await;
        let Said::Satisfied { before, after } = &report.said else {
            panic!("{:?}", report.said)
        };
        assert_eq!(before.facts.text("reason"), Some("still there"));
        assert_eq!(after.facts.bool("script/barred"), Some(true));
        assert_eq!(
            judge(desk.kind(), &Facts::new(), &after.facts, None),
            Verdict::Satisfied
        );
        assert_eq!(desk.calls(), ["observe", "apply", "observe"]);
        let again = desk.attempt(Mode::ObserveOnly, 60_000, false).await;
        assert!(matches!(again.said, Said::Observed { .. }), "{:?}", again.said);
        assert_eq!(desk.calls().len(), 4);
    }
}

#[tokio::test]
async fn a_liar_is_caught() {
    let desk = Desk::new("liar", false);
    let report = desk.attempt(Mode::Full, 60_000, false).await;
    let Said::Fault { fault } = &report.said else {
        panic!("{:?}", report.said)
    };
    assert_eq!(fault.class, FaultClass::Transient);
    assert!(
        fault.detail.contains("wanted state = done; read state = not_done"),
        "{fault}"
    );
    assert!(report.receipts.iter().any(|r| r.request_id.as_deref() == Some("sure")));
    assert_eq!(desk.calls().iter().filter(|c| *c == "apply").count(), 1);
    // What cannot be undone is waited for, and read before anything else.
    let desk = Desk::new("liar", true);
    let report = desk.attempt(Mode::Full, 60_000, false).await;
    assert!(matches!(report.said, Said::Wait { .. }), "{:?}", report.said);
    let report = desk.attempt(Mode::ObserveOnly, 60_000, false).await;
    let Said::Observed { observation } = &report.said else {
        panic!("{:?}", report.said)
    };
    assert_eq!(observation.facts.bool("conclusive"), Some(false));
    assert_eq!(desk.calls().iter().filter(|c| *c == "apply").count(), 1);
}

#[tokio::test]
async fn who_died_while_acting_may_have_acted() {
    for irreversible in [false, true] {
        for (mode, run_for_ms, code) in [("dies", 60_000, Some("exit_3")), ("slow", 6_000, None)] {
            let desk = Desk::new(mode, irreversible);
            let report = desk.attempt(Mode::Full, run_for_ms, false).await;
            let Said::Fault { fault } = &report.said else {
                panic!("{:?}", report.said)
            };
            assert_eq!(fault.class, FaultClass::Unknown, "{mode}: {fault}");
            assert!(code.is_none() || fault.code.as_deref() == code, "{fault}");
            // It is read, and found to be so.
            let report = desk.attempt(Mode::ObserveOnly, 60_000, false).await;
            let Said::Observed { observation } = &report.said else {
                panic!("{:?}", report.said)
            };
            assert_eq!(observation.facts.text("state"), Some("done"));
        }
    }
}

#[tokio::test]
async fn what_is_ordered_once_and_delivered_twice_is_not_begun() {
    let desk = Desk::new("honest", true);
    let report = desk.attempt(Mode::Full, 60_000, true).await;
    assert!(matches!(&report.said, Said::Fault { fault } if fault.class == FaultClass::Unknown));
    assert_eq!(desk.calls(), Vec::<String>::new());
}
