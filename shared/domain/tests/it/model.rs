//! A model worker that always succeeds unless a test says otherwise, and a
//! case with its history: what each test of the state machine stands on.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test file uses its part of the model"
)]
use offboard_domain::catalogue::{Area, Kind};
use offboard_domain::departure::{Choices, Departure, Manner, Meetings, PersonRef};
use offboard_domain::event::seal_events;
use offboard_domain::evidence::Recorded;
use offboard_domain::standing::{Standing, standing};
use offboard_domain::task::Place;
use offboard_domain::time::MINUTE_MS;
use offboard_domain::{
    ApprovalOf, Capabilities, Case, CaseKey, CaseState, Checked, Command, Digest, Event, Facts, Fault, FaultClass,
    Find, Gates, ObjectId, Observation, Policy, Refusal, Report, Said, System, TaskId, TenantId, Timestamp, decide,
};
use std::sync::Arc;

pub const T0: Timestamp = Timestamp(1_800_000_000_000);

pub fn m365() -> System {
    System::new("m365").unwrap()
}

pub fn departure(manner: Manner) -> Departure {
    Departure {
        tenant: TenantId::new("acme").unwrap(),
        reference: Some("HR-1".into()),
        person: PersonRef {
            user_principal_name: Some("leaver@acme.example".into()),
            ..PersonRef::default()
        },
        manner,
        effective_at: T0,
        of_day: None,
        requested_by: "hr@acme.example".into(),
        handed_in_by: None,
        requested_at: T0,
        successor: None,
        choices: Choices {
            meetings: Some(Meetings::Leave),
            ..Choices::default()
        },
    }
}

pub fn everything() -> Capabilities {
    let kinds = Kind::ALL
        .iter()
        .copied()
        .filter(|k| k.spec().area != Area::Person)
        // Waits for a person of its own, in every case.
        .filter(|k| *k != Kind::RunIrreversibleScript)
        // A desk is told before anybody approves, and goes on after the end.
        .filter(|k| !k.is_beside())
        .collect();
    Capabilities([(m365(), kinds)].into())
}

/// Facts that satisfy each kind, as a truthful worker would read them.
pub fn good(kind: Kind) -> Facts {
    let none = || Vec::<String>::new();
    match kind {
        Kind::Resolve => Facts::new()
            .with("found", true)
            .with("ambiguous", false)
            .with("object_id", "u-1")
            .with("user_principal_name", "leaver@acme.example")
            .with("successor_id", "u-2"),
        Kind::RemoveDirectoryRoles => Facts::new().with("role_ids", none()),
        Kind::DisableSignIn => Facts::new().with("enabled", false),
        Kind::ResetPassword => Facts::new().with("password_changed_ms", 2),
        Kind::RevokeSessions | Kind::RevokeSessionsAgain => Facts::new().with("sessions_valid_from_ms", 2),
        Kind::RemoveAuthMethods => Facts::new().with("method_ids", none()),
        Kind::RemoveOauthGrants => Facts::new().with("grant_ids", none()),
        Kind::RemoveAppRoles => Facts::new().with("app_role_ids", none()).with("app_group_ids", none()),
        Kind::HandOverGroups => Facts::new().with("sole_owned_group_ids", none()),
        Kind::RunScript | Kind::RunIrreversibleScript => Facts::new().with("state", "done"),
        Kind::RemoveGroupOwnerships => Facts::new().with("owned_group_ids", none()),
        Kind::RemoveGroupMemberships => Facts::new()
            .with("removable_group_ids", none())
            .with("synced_group_ids", none()),
        Kind::BlockProtocols => Facts::new().with("open_protocols", none()),
        Kind::HoldMailbox => Facts::new().with("litigation_hold", true).with("held_unlimited", true),
        Kind::HideFromAddressLists => Facts::new().with("hidden", true),
        Kind::SetForwarding => Facts::new().with("forwarding", false),
        Kind::RemoveInboxRules => Facts::new().with("rule_ids", none()),
        Kind::RemoveDelegations => Facts::new().with("delegations", none()),
        Kind::RemoveMobilePartnerships => Facts::new().with("mobile_device_ids", none()),
        Kind::ArchiveMailbox => Facts::new()
            .with("archive_complete", true)
            .with("folders_that_differ", none()),
        Kind::HandOverMeetings => Facts::new().with("orphan_meetings", "none"),
        Kind::CancelMeetings => Facts::new().with("organised_meeting_ids", none()),
        Kind::ConvertToShared => Facts::new()
            .with("recipient_type", "SharedMailbox")
            .with("user_purpose", "shared")
            .with("agreed_for_ms", 60_000),
        Kind::GrantSuccessorMailbox => Facts::new()
            .with("full_access", true)
            .with("send_as", true)
            .with("successor_enabled", true),
        Kind::HandOverOneDrive => Facts::new()
            .with("successor_is_admin", true)
            .with("successor_enabled", true),
        Kind::WriteNotes => Facts::new()
            .with("page_exists", true)
            .with("notes_current", true)
            .with("missing_files", none()),
        Kind::EscrowRecoveryKeys => Facts::new().with("escrow_complete", true),
        Kind::RetireDevice => Facts::new().with("retired", true),
        Kind::WipeDevice => Facts::new().with("wiped", true).with("owner_type", "company"),
        Kind::UnassignAutopilot => Facts::new().with("autopilot_assigned", false),
        Kind::DisableDeviceObject => Facts::new().with("object_enabled", false),
        Kind::ReleaseGroupLicenses => Facts::new().with("licence_group_ids", none()),
        Kind::ReleaseDirectLicenses => Facts::new().with("direct_sku_ids", none()),
        Kind::ProvePool => Facts::new().with("pool_agrees", true),
        Kind::ResolveOnPremises => Facts::new()
            .with("found", true)
            .with("ambiguous", false)
            .with("protected", "no"),
        Kind::DisableOnPremises => Facts::new().with("enabled", false),
        Kind::ResetPasswordOnPremises => Facts::new().with("password_changed_ms", 2),
        Kind::HideOnPremises => Facts::new().with("hidden", true),
        Kind::RemoveGroupsOnPremises => Facts::new()
            .with("removable_group_ids", none())
            .with("protected_group_ids", none()),
        Kind::ResolveInApp => Facts::new()
            .with("found", true)
            .with("all_names_known", true)
            .with("ambiguous", false)
            .with("protected", false),
        Kind::DisableInApp => Facts::new().with("enabled_ids", none()),
        Kind::DeleteInApp => Facts::new().with("account_ids", none()),
        Kind::DiscoverApps | Kind::DiscoverAppsInWorkspace => Facts::new().with("applications_known", true),
        Kind::DiscoverSoftware => Facts::new()
            .with("devices_found", true)
            .with("applications_known", true),
        Kind::DiscoverManaged => Facts::new().with("found", true).with("all_names_known", true),
        Kind::DiscoverConfirmed => Facts::new().with("confirmed", true),
        Kind::MarkManaged => Facts::new().with("object_exists", true).with("marked", true),
        Kind::MaintainManaged => Facts::new().with("object_exists", true).with("in_maintenance", true),
        Kind::RunManagedScript => Facts::new().with("object_exists", true).with("script_done", true),
        Kind::ClearManagedOwner => Facts::new().with("object_exists", true).with("owner", "none"),
        Kind::Decommission => Facts::new().with("decommissioned", true),
        Kind::ResolveInWorkspace => Facts::new()
            .with("found", true)
            .with("all_names_known", true)
            .with("ambiguous", false)
            .with("protected", "no"),
        Kind::ResetPasswordInWorkspace | Kind::SignOutInWorkspace => Facts::new().with("acknowledged", true),
        Kind::RevokeTokensInWorkspace => Facts::new().with("grant_ids", none()),
        Kind::SuspendAtOnce | Kind::SuspendInWorkspace => Facts::new().with("suspended", true),
        Kind::RemoveAppPasswords => Facts::new().with("app_password_ids", none()),
        Kind::InvalidateBackupCodes => Facts::new().with("backup_codes_left", false),
        Kind::TurnOffSecondFactor => Facts::new().with("second_factor", false),
        Kind::SetReplyInWorkspace => Facts::new()
            .with("automatic_reply", true)
            .with("automatic_reply_digest", "d"),
        Kind::SetForwardingInWorkspace => Facts::new()
            .with("forwarding", false)
            .with("forwarding_filter_ids", none()),
        Kind::GrantMailInWorkspace => Facts::new().with("successor_has_access", true),
        Kind::TransferFiles => Facts::new().with("transfer_status", "completed"),
        Kind::HandOverSharedDrives => Facts::new().with("sole_managed_drive_ids", none()),
        Kind::RemoveGroupsInWorkspace => Facts::new().with("group_ids", none()),
        Kind::WipeAccount => Facts::new()
            .with("device_ids", vec!["d-1".to_owned()])
            .with("open_device_ids", none())
            .with("gone_unproven_ids", none()),
        Kind::DisableLaptops => Facts::new()
            .with("device_ids", vec!["l-1".to_owned()])
            .with("open_device_ids", none()),
        Kind::ReleaseInWorkspace => Facts::new().with("licence_ids", none()),
        Kind::OpenTicket => Facts::new().with("ticket_exists", true).with("ticket_id", "7"),
        Kind::NoteAccess | Kind::NoteDevices | Kind::NoteKnowledge | Kind::NoteLicences | Kind::NoteEnding => {
            Facts::new().with("noted", true)
        }
        Kind::AttachEvidence => Facts::new().with("attached", true),
        Kind::CloseTicket => Facts::new().with("ticket_closed", true),
        Kind::DisableComputer => Facts::new().with("object_enabled", false),
        Kind::MoveToLeaversUnit => Facts::new().with("among_leavers", true),
        Kind::AwaitSynchronisation => Facts::new()
            .with("changed_on_premises", true)
            .with("synchronised_since", true)
            .with("enabled", false)
            .with("synced_group_ids", none()),
        _ => Facts::new(),
    }
}

/// A worker's word that it failed in this way.
pub fn fault(class: FaultClass) -> Said {
    Said::Fault {
        fault: Fault {
            class,
            system: m365(),
            attempted: "POST /x".into(),
            status: None,
            code: None,
            detail: "it broke".into(),
            request_id: None,
        },
    }
}

pub fn seen(facts: Facts) -> Observation {
    Observation {
        read_at: T0,
        sources: vec!["graph".into()],
        facts,
    }
}

/// Puts an event onto the record, as a ledger would.
fn record(case: &mut Case, at: Timestamp, event: &Event) {
    let body = serde_json::to_vec(&(at, event)).unwrap();
    let head = Digest::of_parts(&[&case.head.0, &body]);
    case.recorded(event, case.version + 1, head);
}

/// A case with its history: every decision is folded twice, once by `decide`
/// and once from the events, and both must agree.
pub struct World {
    pub case: Option<Case>,
    /// With when each was decided.
    pub events: Vec<(Timestamp, Event)>,
    pub now: Timestamp,
    pub gates: Gates,
    pub finds: Vec<Find>,
    /// Why there is no successor; none: there is one.
    pub no_successor: Option<&'static str>,
}

impl World {
    pub fn new() -> Self {
        Self {
            case: None,
            events: Vec::new(),
            now: T0,
            gates: Gates::open(),
            finds: Vec::new(),
            no_successor: None,
        }
    }

    pub fn opened(manner: Manner) -> Self {
        Self::with(departure(manner), Policy::default())
    }

    pub fn with(departure: Departure, policy: Policy) -> Self {
        let mut w = Self::new();
        w.order(Command::Open {
            departure: Arc::new(departure),
            policy: Arc::new(policy),
            capabilities: Arc::new(everything()),
            traceparent: None,
        })
        .unwrap();
        w
    }

    /// A departure with a laptop, right when this kind is with a worker.
    pub fn with_in_flight(kind: Kind, manner: Manner) -> Self {
        let mut w = Self::opened(manner);
        w.finds = company_laptop();
        for _ in 0..500 {
            if w.case().in_flight_of(kind) > 0 {
                return w;
            }
            match w.in_flight().first().copied() {
                Some(id) => {
                    let report = w.truthful(id);
                    w.order(Command::RecordReport(Box::new(report))).unwrap();
                }
                None => w.a_person_or_time(10 * MINUTE_MS),
            }
        }
        panic!("{kind} is never given to a worker");
    }

    /// A case with an approved wipe that can still be stopped.
    pub fn about_to_wipe() -> Self {
        let mut w = Self::opened(Manner::Planned);
        w.finds = company_laptop();
        w.drain();
        w.approve();
        w.drain();
        w.attest(Kind::ConfirmDeviceReturned).unwrap();
        w.approve_wipe();
        w.drain();
        w
    }

    pub fn order(&mut self, command: Command) -> Result<Vec<Event>, Refusal> {
        let decision = decide(self.case.as_ref(), command, self.now, &self.gates)?;
        let at = decision.case.changed_at;
        let mut folded = match &self.case {
            Some(c) => c.clone(),
            None => Case::opened(decision.case.id, at, &decision.events[0]).unwrap(),
        };
        let skip = usize::from(self.case.is_none());
        for event in &decision.events[skip..] {
            folded.fold(at, event);
        }
        assert_eq!(
            format!("{folded:?}"),
            format!("{:?}", decision.case),
            "decide and fold disagree"
        );
        for event in &decision.events {
            record(&mut folded, at, event);
        }
        self.case = Some(folded);
        self.events.extend(decision.events.iter().map(|e| (at, e.clone())));
        Ok(decision.events)
    }

    /// Takes in a history, as whoever reads it from a ledger does.
    pub fn take(&mut self, history: &[(Timestamp, Event)]) {
        for (at, event) in history {
            match &mut self.case {
                None => self.case = Some(Case::opened(departure(Manner::Planned).case_id(), *at, event).unwrap()),
                Some(case) => case.fold(*at, event),
            }
            record(self.case.as_mut().unwrap(), *at, event);
        }
        self.events.extend_from_slice(history);
    }

    /// The history as a ledger would have it.
    pub fn history(&self) -> Vec<Recorded> {
        let key = CaseKey::derive(&[7; 32], &[3; 32]);
        let (mut version, mut head) = (0, Digest::ZERO);
        let mut out = Vec::new();
        for (at, event) in &self.events {
            let record = seal_events(&key, version, head, *at, std::slice::from_ref(event)).remove(0);
            (version, head) = (record.version, record.hash);
            out.push(Recorded {
                record,
                at: *at,
                event: event.clone(),
            });
        }
        out
    }

    pub fn case(&self) -> &Case {
        self.case.as_ref().unwrap()
    }

    pub fn id(&self, kind: Kind) -> TaskId {
        self.case()
            .tasks
            .values()
            .find(|t| t.kind() == kind)
            .unwrap_or_else(|| panic!("no {kind}"))
            .id()
    }

    pub fn task(&self, kind: Kind) -> &offboard_domain::Task {
        &self.case().tasks[&self.id(kind)]
    }

    /// What an approval of exactly this task must name.
    pub fn to_approve(&self, kind: Kind) -> Digest {
        self.case().task_digest(self.task(kind))
    }

    pub fn report(&self, id: TaskId, said: Said) -> Report {
        let case = self.case();
        let here = Place {
            version: case.version,
            head: case.head,
        };
        let ordered_by = case.tasks[&id].ordered_by.unwrap_or(here);
        Report {
            tenant: case.departure.tenant.clone(),
            case: case.id,
            task: id,
            attempt: case.tasks[&id].attempt,
            version: ordered_by.version,
            head: ordered_by.head,
            at: self.now,
            said,
            seen: None,
            remembered: None,
            writes: None,
            receipts: Vec::new(),
            artifacts: Vec::new(),
        }
    }

    pub fn truthful(&self, id: TaskId) -> Report {
        let kind = self.case().tasks[&id].kind();
        let after = match self.no_successor {
            Some(why) if kind == Kind::Resolve => {
                let found = Facts::new().with("found", true).with("ambiguous", false);
                seen(found.with("object_id", "u-1").with("successor_problem", why))
            }
            _ => seen(good(kind)),
        };
        let said = if kind.is_closing_round() {
            let checks = self.case().assignment(id).unwrap().checks;
            let results = checks
                .iter()
                .map(|c| Checked {
                    task: c.task,
                    observation: seen(good(c.kind)),
                })
                .collect();
            Said::Checked { results }
        } else if !kind.spec().finds.is_empty() {
            let mut finds = self.finds.clone();
            // What a test has them find is found once.
            finds.retain(|_| kind == Kind::DiscoverDevices);
            Said::Found {
                observation: after,
                finds,
            }
        } else {
            let before = match kind {
                Kind::ResetPassword | Kind::ResetPasswordOnPremises => {
                    seen(Facts::new().with("password_changed_ms", 1))
                }
                Kind::RevokeSessions | Kind::RevokeSessionsAgain => {
                    seen(Facts::new().with("sessions_valid_from_ms", 1))
                }
                _ => after.clone(),
            };
            Said::Satisfied { before, after }
        };
        self.report(id, said)
    }

    pub fn answer(&mut self, kind: Kind) -> Vec<Event> {
        let report = self.truthful(self.id(kind));
        self.order(Command::RecordReport(Box::new(report))).unwrap()
    }

    pub fn in_flight(&self) -> Vec<TaskId> {
        self.case()
            .tasks
            .values()
            .filter(|t| t.in_flight().is_some())
            .map(|t| t.id())
            .collect()
    }

    /// Answers everything in flight, until nothing is.
    pub fn drain(&mut self) {
        for _ in 0..500 {
            let Some(id) = self.in_flight().first().copied() else {
                return;
            };
            let report = self.truthful(id);
            self.order(Command::RecordReport(Box::new(report))).unwrap();
        }
        panic!("it does not come to rest");
    }

    /// Answers everything in flight but this, until nothing else is.
    pub fn drain_but(&mut self, kind: Kind) {
        for _ in 0..500 {
            let others = self.in_flight();
            let Some(id) = others.into_iter().find(|id| self.case().tasks[id].kind() != kind) else {
                return;
            };
            let report = self.truthful(id);
            self.order(Command::RecordReport(Box::new(report))).unwrap();
        }
        panic!("it does not come to rest");
    }

    pub fn approve(&mut self) {
        let digest = self.case().plan_digest();
        self.order(Command::Approve {
            by: "boss@msp.example".into(),
            of: ApprovalOf::Plan(digest),
        })
        .unwrap();
    }

    pub fn approve_wipe(&mut self) {
        let of = ApprovalOf::Task(self.id(Kind::WipeDevice), self.to_approve(Kind::WipeDevice));
        let by = "boss@msp.example".into();
        self.order(Command::Approve { by, of }).unwrap();
    }

    pub fn attest(&mut self, kind: Kind) -> Result<Vec<Event>, Refusal> {
        let task = self.id(kind);
        let file = Some(Digest::of(b"file"));
        self.order(Command::Attest {
            task,
            by: "manager@acme.example".into(),
            file,
            ending: None,
            note: String::new(),
        })
    }

    /// As if a closing round had found it undone.
    pub fn reopen(&mut self, task: TaskId) {
        let mut case = self.case().clone();
        let why = "a test".to_owned();
        case.fold(self.now, &Event::TaskReopened { task, why });
        self.case = Some(case);
    }

    /// The worker reads this of what has nothing to be changed.
    pub fn reads(&mut self, kind: Kind, read: &Observation) {
        let said = Said::Satisfied {
            before: read.clone(),
            after: read.clone(),
        };
        let report = self.report(self.id(kind), said);
        self.order(Command::RecordReport(Box::new(report))).unwrap();
    }

    pub fn pass(&mut self, ms: i64) {
        self.now = self.now.plus(ms);
        self.order(Command::Tick).unwrap();
    }

    /// Everything a person can do is done, everything in flight answered, time
    /// passes, until the case rests.
    pub fn run_to_sealing(&mut self) {
        self.run_until(|w| w.case().state == CaseState::Sealing);
    }

    /// A person does what is asked of him next; time passes if nothing is.
    pub fn a_person_or_time(&mut self, ms: i64) {
        let case = self.case().clone();
        let waiting = case
            .tasks
            .values()
            .find_map(|t| match standing(&case, t, self.now, &self.gates) {
                Standing::WaitsForPerson => Some((t.kind(), t.id(), true)),
                Standing::WaitsForOwnApproval => Some((t.kind(), t.id(), false)),
                _ => None,
            });
        match waiting {
            Some((Kind::ApprovePlan, ..)) => self.approve(),
            Some((_, task, true)) => {
                let file = Some(Digest::of(b"file"));
                self.order(Command::Attest {
                    task,
                    by: "manager@acme.example".into(),
                    file,
                    ending: None,
                    note: String::new(),
                })
                .unwrap();
            }
            Some((_, id, false)) => {
                let digest = case.task_digest(&case.tasks[&id]);
                self.order(Command::Approve {
                    by: "boss@msp.example".into(),
                    of: ApprovalOf::Task(id, digest),
                })
                .unwrap();
            }
            None => self.pass(ms),
        }
    }

    /// The same, until it is so.
    pub fn run_until(&mut self, so: impl Fn(&Self) -> bool) {
        for _ in 0..300 {
            self.drain();
            if so(self) {
                return;
            }
            self.a_person_or_time(10 * MINUTE_MS);
        }
        let stuck: Vec<_> = self
            .case()
            .tasks
            .values()
            .filter(|t| !t.is_settled())
            .map(|t| (t.kind(), standing(self.case(), t, self.now, &self.gates)))
            .collect();
        panic!("it does not get there; {stuck:?}");
    }
}

pub fn company_laptop() -> Vec<Find> {
    [
        Kind::EscrowRecoveryKeys,
        Kind::ConfirmDeviceReturned,
        Kind::WipeDevice,
        Kind::UnassignAutopilot,
        Kind::DisableDeviceObject,
    ]
    .into_iter()
    .map(|kind| Find {
        kind,
        object: ObjectId::from("d-1"),
        params: Facts::new().with("owner", "company"),
    })
    .collect()
}
