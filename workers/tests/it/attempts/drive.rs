//! What a dispatcher does with a task, as far as one task sees it: assigns,
//! believes what is read, waits, reads first after a once-only order.

use crate::attempts::fake::fleet::HIS as HIS_DEVICES;
use crate::attempts::fake::state::{CANARY, LEAVER, SUCCESSOR};
use crate::attempts::fake::workspace::{BOSS, HIS};
use crate::attempts::fake::{Fake, OneTenant, State, pause, system};
use offboard_domain::assignment::CHANGED_ON_PREMISES_MS;
use offboard_domain::catalogue::apps::{MARKS, NAMES};
use offboard_domain::catalogue::desk::{BY_REQUESTER, CALLED_OFF, CALLED_OFF_MS, ENDED, EVIDENCE, TICKET};
use offboard_domain::catalogue::knowledge::{DID, SESSION_FILES, SESSION_LINK};
use offboard_domain::catalogue::managed::{CONFIRMED, ELSEWHERE, MARK, OWNERS, PENDING_WIPE, UID};
use offboard_domain::catalogue::premises::SOUGHT;
use offboard_domain::catalogue::script::{MAIL, SIGN_IN_NAME};
use offboard_domain::catalogue::workspace;
use offboard_domain::{
    Assignment, CaseId, Digest, Facts, Fault, FaultClass, Find, Kind, Lane, Mode, ObjectId, Observation, Report, Said,
    Subject, Target, TaskId, TenantId, Timestamp, Verdict, judge,
};
use offboard_runtime::Clock as _;
use offboard_runtime::keys::EscrowMaster;
use offboard_store::Store;
use offboard_workers::{Context, attempt};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

/// How a task ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum End {
    Settled(Observation),
    NotApplicable(&'static str),
    Found(Observation, Vec<Find>),
    /// A person is needed.
    Asked(String),
}

/// One task, and what is remembered of it between attempts.
#[derive(Debug, Clone)]
pub(crate) struct Todo {
    pub(crate) kind: Kind,
    pub(crate) params: Facts,
    pub(crate) object: Option<&'static str>,
    pub(crate) mode: Mode,
    pub(crate) checkpoint: Option<Facts>,
    pub(crate) attempt: u32,
}

pub(crate) struct Desk {
    pub(crate) fake: Fake,
    pub(crate) context: Context,
    pub(crate) reports: Vec<Report>,
}

impl Desk {
    pub(crate) fn new(state: State) -> Self {
        let fake = Fake::new(state);
        let context = Context {
            store: Store::memory(),
            connectors: Arc::new(OneTenant(fake.clone())),
            escrow: Some(EscrowMaster::from_bytes([7; 32])),
            clock: fake.clock.clone(),
        };
        Self {
            fake,
            context,
            reports: Vec::new(),
        }
    }

    pub(crate) fn assignment(&self, todo: &Todo) -> Assignment {
        let tenant = TenantId::new("acme").unwrap();
        let case = CaseId::derive(&tenant, "HR-1");
        let object = todo.object.map(ObjectId::from);
        let subject = if matches!(todo.kind, Kind::Resolve | Kind::ResolveInWorkspace) {
            Subject::default()
        } else {
            Subject([(system(), LEAVER.into())].into())
        };
        Assignment {
            task: TaskId::derive(case, todo.kind.name(), &system(), object.as_ref()),
            tenant,
            case,
            attempt: todo.attempt,
            kind: todo.kind,
            target: Target {
                system: system(),
                object,
            },
            subject,
            params: todo.params.clone(),
            mode: todo.mode,
            checkpoint: todo.checkpoint.clone(),
            checks: Vec::new(),
            start_by: self.fake.clock.now().plus(300_000),
            run_for_ms: todo.kind.spec().run_for_ms,
            version: 9,
            head: Digest::ZERO,
            traceparent: None,
        }
    }

    /// The closer has kept the account where the worker finds it, and who attested the
    /// session his file.
    async fn sealed(&self, todo: &Todo) {
        if matches!(todo.kind, Kind::AttachEvidence | Kind::WriteNotes) {
            self.context.store.put(ACCOUNT).await.unwrap();
        }
    }

    pub(crate) async fn once(&mut self, todo: &Todo) -> Report {
        self.sealed(todo).await;
        let assignment = self.assignment(todo);
        let report = attempt(&assignment, Lane::Normal, false, &self.context).await;
        self.note(&report);
        report
    }

    fn note(&mut self, report: &Report) {
        let json = serde_json::to_string(report).unwrap();
        assert!(!json.contains(CANARY), "personal data or a secret in a report: {json}");
        self.reports.push(report.clone());
    }

    /// Runs a task to its end. `polls` says after how many polls, over all
    /// attempts, the worker dies once; it is zero afterwards if it did.
    pub(crate) async fn settle(&mut self, mut todo: Todo, polls: &mut usize) -> End {
        const ATTEMPTS_MAX: usize = 400;
        let once = !todo.kind.spec().convergent;
        self.sealed(&todo).await;
        for _ in 0..ATTEMPTS_MAX {
            todo.attempt += 1;
            let assignment = self.assignment(&todo);
            let report = {
                let work = pin!(attempt(&assignment, Lane::Normal, false, &self.context));
                poll_at_most(work, polls).await
            };
            let Some(report) = report else {
                self.fake.clock.to(shown_at(&assignment));
                if once {
                    todo.mode = Mode::ObserveOnly;
                }
                continue;
            };
            self.note(&report);
            if let Some(end) = self.record(&mut todo, &assignment, report) {
                return end;
            }
        }
        panic!("{} did not end; last: {:#?}", todo.kind, self.reports.last());
    }

    fn record(&self, todo: &mut Todo, assignment: &Assignment, report: Report) -> Option<End> {
        let once = !todo.kind.spec().convergent;
        let finder = !todo.kind.spec().finds.is_empty();
        let later = |ms: i64| self.fake.clock.to(self.fake.clock.now().plus(ms));
        if report.remembered.is_some() {
            todo.checkpoint.clone_from(&report.remembered);
        }
        match report.said {
            Said::Satisfied { before, after } => {
                assert!(todo.mode == Mode::Full && !finder);
                match judge(todo.kind, &todo.params, &after.facts, Some(&before.facts)) {
                    Verdict::Satisfied => return Some(End::Settled(after)),
                    Verdict::NotApplicable(why) => return Some(End::NotApplicable(why)),
                    other => panic!("{} claims what is not so: {other:?} {after:?}", todo.kind),
                }
            }
            Said::Observed { observation } => {
                assert!(todo.mode == Mode::ObserveOnly && !finder);
                match judge(todo.kind, &todo.params, &observation.facts, None) {
                    Verdict::Satisfied => return Some(End::Settled(observation)),
                    Verdict::NotApplicable(why) => return Some(End::NotApplicable(why)),
                    Verdict::Blocked(why) => return Some(End::Asked(why.to_owned())),
                    Verdict::Unsatisfied(why) if once && observation.facts.bool("conclusive") != Some(true) => {
                        return Some(End::Asked(format!("inconclusive: {why}")));
                    }
                    Verdict::Unsatisfied(_) => todo.mode = Mode::Full,
                }
            }
            Said::Found { observation, finds } => {
                assert!(finder && finds.iter().all(|f| todo.kind.spec().finds.contains(&f.kind)));
                return Some(End::Found(observation, finds));
            }
            Said::Wait { until, checkpoint, .. } => {
                self.fake.clock.to(until.max(self.fake.clock.now().plus(1_000)));
                todo.checkpoint = checkpoint.or(todo.checkpoint.take());
                todo.mode = if once { Mode::ObserveOnly } else { Mode::Full };
            }
            Said::Progress { checkpoint } => todo.checkpoint = Some(checkpoint),
            Said::NotBegun { .. } => later(1_000),
            Said::Checked { .. } => panic!("nothing was to be checked"),
            Said::Fault { fault } => match fault.class {
                FaultClass::Transient | FaultClass::Throttled { .. } | FaultClass::Absent => {
                    todo.mode = if once { Mode::ObserveOnly } else { Mode::Full };
                    later(60_000);
                }
                FaultClass::Unknown => {
                    todo.mode = if once { Mode::ObserveOnly } else { Mode::Full };
                    self.fake.clock.to(shown_at(assignment));
                }
                _ => return Some(End::Asked(asked(&fault))),
            },
        }
        None
    }

    pub(crate) fn writes(&self) -> Vec<String> {
        self.fake.lock().writes.clone()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.fake.clock.now()
    }
}

/// When whoever holds it has stopped, and what he did shows.
fn shown_at(assignment: &Assignment) -> Timestamp {
    assignment.over_at().plus(assignment.kind.spec().shows_within_ms)
}

fn asked(fault: &Fault) -> String {
    format!("{}: {}", fault.class.word(), fault.detail)
}

/// Polls to the end, or until the polls are used up: then the future is
/// dropped as it is, and the answer is none. Dies once at most.
async fn poll_at_most<T>(mut work: Pin<&mut impl Future<Output = T>>, polls: &mut usize) -> Option<T> {
    loop {
        let polled = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await;
        if let Poll::Ready(value) = polled {
            return Some(value);
        }
        if *polls == 1 {
            *polls = 0;
            return None;
        }
        *polls = polls.saturating_sub(1);
        pause().await;
    }
}

/// More polls than any task takes: nobody dies.
pub(crate) const NEVER: usize = usize::MAX;

/// Every kind that a worker serves alone.
pub(crate) fn every_kind() -> Vec<Kind> {
    let human = offboard_domain::Area::Person;
    Kind::ALL
        .iter()
        .copied()
        .filter(|k| k.spec().area != human && !k.is_closing_round())
        .collect()
}

/// His names, as an assignment about an application carries them.
pub(crate) fn his_names() -> Facts {
    Facts::new().with(NAMES, vec![format!("{LEAVER}@example.com")])
}

/// The mark of a name of the application's account.
pub(crate) fn mark_in_app(account: &str, name: &str) -> String {
    let tenant = TenantId::new("acme").unwrap();
    let case = CaseId::derive(&tenant, "HR-1");
    let system = system();
    let parts: [&[u8]; 6] = [
        b"offboard.app.mark",
        &case.0,
        system.as_str().as_bytes(),
        account.as_bytes(),
        b"name",
        name.as_bytes(),
    ];
    Digest::of_parts(&parts).to_string()
}

/// What a task about a device in the remote management is told.
fn managed(id: u32) -> Facts {
    Facts::new()
        .with(UID, format!("node-{}", id - 40))
        .with(OWNERS, vec![HIS_DEVICES.to_owned()])
        .with(MARK, PENDING_WIPE)
}

/// The sealed account of a case that is closed.
const ACCOUNT: &[u8] = b"{\"payload\": \"\"}";

/// What a task about the case's ticket is told.
fn ticket() -> Facts {
    Facts::new().with(TICKET, "7")
}

/// The world and the task for a kind: there is something to do.
pub(crate) fn setting(kind: Kind) -> (State, Todo) {
    use offboard_domain::Area;
    let successor = || Facts::new().with("successor_id", SUCCESSOR);
    let device = |id: &str| {
        Facts::new()
            .with("managed_id", format!("m-{id}"))
            .with("object_id", format!("o-{id}"))
            .with("device_id", format!("d-{id}"))
            .with("serial", format!("s-{id}"))
            .with("owner", id)
    };
    let (params, object) = match kind {
        Kind::Resolve => {
            let params = Facts::new()
                .with("user_principal_name", format!("{LEAVER}@example.com"))
                .with("successor_is_manager", true);
            (params, None)
        }
        Kind::HandOverGroups
        | Kind::RemoveDelegations
        | Kind::HandOverMeetings
        | Kind::GrantSuccessorMailbox
        | Kind::HandOverOneDrive => (successor(), None),
        Kind::SetForwarding => (Facts::new().with("forward_to_id", SUCCESSOR), None),
        Kind::SetAutomaticReply => {
            let text = "Gone & not back.\nAsk the desk.";
            let digest = Digest::of(text.as_bytes()).to_string();
            (Facts::new().with("reply", text).with("reply_digest", digest), None)
        }
        Kind::ResolveOnPremises => {
            let name = format!("{LEAVER}@example.com");
            (Facts::new().with("user_principal_name", name), None)
        }
        Kind::DisableOnPremises
        | Kind::ResetPasswordOnPremises
        | Kind::HideOnPremises
        | Kind::RemoveGroupsOnPremises
        | Kind::MoveToLeaversUnit => (Facts::new(), Some(LEAVER)),
        Kind::RunScript | Kind::RunIrreversibleScript => {
            let params = Facts::new()
                .with(SIGN_IN_NAME, format!("{CANARY}@example.com"))
                .with(MAIL, format!("{CANARY}.mail@example.com"));
            (params, None)
        }
        Kind::ResolveInApp => (his_names(), None),
        Kind::DisableInApp | Kind::DeleteInApp => {
            let marks = vec![mark_in_app("app-leaver", &format!("{LEAVER}@example.com"))];
            (his_names().with(MARKS, marks), Some("app-leaver"))
        }
        Kind::DiscoverTechnicians => (his_names(), None),
        Kind::DiscoverManaged => (his_names().with("wipe_company_devices", true), None),
        Kind::DiscoverConfirmed => {
            let params = managed(43).with(CONFIRMED, true).with(ELSEWHERE, "unknown");
            (params.with("wipe_company_devices", true), Some("43"))
        }
        Kind::DiscoverSoftware => {
            let devices = vec!["41".to_owned(), "42".to_owned()];
            (Facts::new().with("device_ids", devices), None)
        }
        Kind::MarkManaged
        | Kind::MaintainManaged
        | Kind::RunManagedScript
        | Kind::ClearManagedOwner
        | Kind::Decommission => (managed(41), Some("41")),
        Kind::ResolveInWorkspace => (his_names().with("successor_is_manager", true), None),
        Kind::SetReplyInWorkspace => {
            let text = "Gone & not back.\nAsk the desk.";
            let digest = Digest::of(text.as_bytes()).to_string();
            (Facts::new().with("reply", text).with("reply_digest", digest), Some(HIS))
        }
        Kind::SetForwardingInWorkspace => (Facts::new().with("forward_to_id", BOSS), Some(HIS)),
        Kind::GrantMailInWorkspace | Kind::TransferFiles | Kind::HandOverSharedDrives => {
            (Facts::new().with("successor_id", BOSS), Some(HIS))
        }
        kind if workspace::KINDS.contains(&kind) => (Facts::new(), Some(HIS)),
        Kind::NoteAccess | Kind::NoteDevices | Kind::NoteKnowledge | Kind::NoteLicences => {
            (ticket().with(&format!("{ENDED}verified"), 5_i64), None)
        }
        Kind::AttachEvidence => (ticket().with(EVIDENCE, Digest::of(ACCOUNT).to_string()), None),
        Kind::CloseTicket => (ticket(), None),
        Kind::NoteEnding => {
            let params = ticket().with(CALLED_OFF_MS, 500_i64).with(BY_REQUESTER, true);
            (params, Some(CALLED_OFF))
        }
        Kind::WriteNotes => {
            let done = format!("{DID}{}/verified", Kind::HandOverOneDrive.name());
            let params = Facts::new()
                .with(&done, 1_i64)
                .with(SESSION_LINK, format!("https://{CANARY}.example/1"))
                .with(SESSION_FILES, vec![Digest::of(ACCOUNT).to_string()]);
            (params, None)
        }
        Kind::DiscoverComputers => {
            let sought = ["pc", "srv", "another"].map(str::to_owned).to_vec();
            (Facts::new().with(SOUGHT, sought), None)
        }
        Kind::DisableComputer => (Facts::new(), Some("pc")),
        Kind::AwaitSynchronisation => (Facts::new().with(CHANGED_ON_PREMISES_MS, 500_i64), None),
        Kind::ConvertToShared => (Facts::new().with("shared_max_bytes", 50_000_000_000_i64), None),
        Kind::DiscoverApps => {
            let ids = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<String>>();
            let params = Facts::new()
                .with("consented_app_ids", ids(&["c"]))
                .with("assigned_app_ids", ids(&["a"]))
                .with("group_app_ids", ids(&["b"]));
            (params, None)
        }
        Kind::DiscoverDevices => (Facts::new().with("wipe_company_devices", true), None),
        Kind::RetireDevice => (device("personal"), Some("m-personal")),
        Kind::EscrowRecoveryKeys | Kind::WipeDevice | Kind::UnassignAutopilot | Kind::DisableDeviceObject => {
            (device("company"), Some("m-company"))
        }
        Kind::ProvePool => {
            let params = Facts::new()
                .with("currency", "EUR")
                .with("price_cents/E3", 3_600_i64)
                .with("held_sku_ids", ["e3", "visio", "flow"].map(str::to_owned).to_vec())
                .with("consumed_before/e3", 6)
                .with("consumed_before/visio", 6)
                .with("consumed_before/flow", 6);
            (params, None)
        }
        _ => (Facts::new(), None),
    };
    let mut state = if kind.spec().area == Area::License {
        State::shared()
    } else {
        State::rich()
    };
    if kind == Kind::RemoveGroupOwnerships {
        state.owners.get_mut("g-sole").unwrap().insert(SUCCESSOR.to_owned());
    }
    state.app_deletes = kind == Kind::DeleteInApp;
    if kind == Kind::AwaitSynchronisation {
        let account = state.accounts.get_mut(LEAVER).unwrap();
        (account.enabled, account.synced_at_ms) = (false, Some(1_000));
    }
    if kind == Kind::ProvePool {
        state.direct.clear();
        state.members.get_mut("g-lic").unwrap().remove(LEAVER);
    }
    (
        state,
        Todo {
            kind,
            params,
            object,
            mode: Mode::Full,
            checkpoint: None,
            attempt: 0,
        },
    )
}
