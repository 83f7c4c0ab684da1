//! `plan`: departure + resolved subject + policy + what the connectors can do
//! → the graph of tasks, or a reason why not. Nothing has been written when a
//! plan is refused.

use crate::assignment::Subject;
use crate::catalogue::premises::{HOLD_WANTED, LICENCES_UNKEPT, MASTERED, SECURITY_ID};
use crate::catalogue::{Area, Kind, Wanted, workspace};
use crate::departure::{Departure, Forwarding, Manner, Meetings, OneDriveChoice, shared_credentials};
use crate::folders;
use crate::id::{CaseId, Digest, ObjectId, System};
use crate::observation::Facts;
use crate::policy::{Capabilities, Policy, SHARED_MAX_BYTES, SuccessorRule};
use crate::task::PlannedTask;
use crate::time::Timestamp;
use crate::unplanned;

/// What is to be done, without the order: that stands in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The tasks, in the order of a departure.
    pub tasks: Vec<PlannedTask>,
    /// Kinds that were wanted and that no connected system offers, or that
    /// would not be safe without one that is missing.
    pub unserved: Vec<Kind>,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefusal {
    /// The account must never be touched.
    #[error(
        "the account is protected: {0}; nothing was written. If it really leaves, take it off the protected list first and hand the departure in under a new reference"
    )]
    Protected(&'static str),
    /// Without the subject's id nothing can be addressed.
    #[error("the account was not resolved to an immutable id; nothing was written")]
    Unresolved,
}

/// Whether the tenant's policy leaves a kind out, as it may.
#[must_use]
pub fn is_skipped(kind: Kind, policy: &Policy) -> bool {
    kind.spec().skippable && policy.skip.contains(&kind)
}

/// Whether the tenant's policy does without a kind: it leaves it out, or only a request that
/// asks for it gets it.
#[must_use]
pub fn is_done_without(kind: Kind, policy: &Policy) -> bool {
    let wanted = match kind {
        Kind::ArchiveMailbox => policy.archive_mailbox,
        Kind::SetAutomaticReply => policy.automatic_reply.as_deref().is_some_and(|text| !text.is_empty()),
        Kind::HandOverMeetings => policy.meetings == Meetings::HandOver,
        Kind::CancelMeetings => policy.meetings != Meetings::Leave,
        Kind::HandOverOneDrive => policy.onedrive == OneDriveChoice::HandOver,
        _ => true,
    };
    !wanted || is_skipped(kind, policy)
}

/// The read-only tasks with which every case begins: one resolve for each
/// system that can.
#[must_use]
pub fn first_tasks(case: CaseId, capabilities: &Capabilities) -> Vec<PlannedTask> {
    systems_for(capabilities, Kind::Resolve)
        .map(|s| PlannedTask::new(case, Kind::Resolve, s, None, Facts::new()))
        .collect()
}

fn systems_for(capabilities: &Capabilities, kind: Kind) -> impl Iterator<Item = &System> {
    capabilities
        .0
        .iter()
        .filter(move |(_, kinds)| kinds.contains(&kind))
        .map(|(s, _)| s)
}

/// Plans a departure.
///
/// # Errors
/// [`PlanRefusal`] if the subject must not be touched or is not known.
pub fn plan(
    case: CaseId,
    departure: &Departure,
    subject: &Facts,
    policy: &Policy,
    capabilities: &Capabilities,
    capped: bool,
) -> Result<Plan, PlanRefusal> {
    refuse_protected(subject, policy)?;
    let mut out = Plan {
        tasks: Vec::new(),
        unserved: Vec::new(),
    };
    let mastery = Mastery::of(subject, capabilities);
    let of_a_workspace = is_of_a_workspace_alone(capabilities);
    for kind in Kind::ALL.iter().copied().filter(|k| *k != Kind::Resolve) {
        let wanted = wanted(kind, departure, subject, policy, capped);
        let Some(mut params) = wanted.filter(|_| !is_skipped(kind, policy)) else {
            continue;
        };
        if !mastery.leaves(kind) {
            continue;
        }
        // Without a cloud that knows of any, there is no hybrid join.
        if kind == Kind::DiscoverComputers && systems_for(capabilities, Kind::DiscoverDevices).next().is_none() {
            continue;
        }
        // Nothing is converted.
        if kind == Kind::ConfirmSharedOnPremises && !out.has(Kind::ConvertToShared) {
            continue;
        }
        if mastery.is_asked_about(kind) {
            params.set(MASTERED, true);
        }
        // Whoever has the last word on it, where nobody confirms it.
        if kind == Kind::ConfirmHandover || kind == Kind::Validate && !out.has(Kind::ConfirmHandover) {
            folders::tell(&mut params, capabilities);
        }
        if kind == Kind::RotateSharedCredential {
            let each = shared_credentials(&policy.shared_credentials, &departure.choices);
            let object = |name: &str| Some(ObjectId(name.to_owned()));
            out.tasks
                .extend(each.map(|name| PlannedTask::new(case, kind, &System::person(), object(name), Facts::new())));
            continue;
        }
        if kind.spec().area == Area::Person {
            out.tasks
                .push(PlannedTask::new(case, kind, &System::person(), None, params));
            continue;
        }
        let before = out.tasks.len();
        for system in systems_for(capabilities, kind) {
            out.tasks
                .push(PlannedTask::new(case, kind, system, None, params.clone()));
        }
        let stood_for = of_a_workspace && workspace::STANDS_FOR.contains(&kind);
        if out.tasks.len() == before && mastery.misses(kind) && !stood_for {
            out.unserved.push(kind);
        }
    }
    out.tasks.extend(unplanned::left_tasks(case, departure));
    out.keep_licences_unless_preserved(policy, capabilities);
    Ok(out)
}

/// Whether people are found in a workspace, and nowhere else.
fn is_of_a_workspace_alone(capabilities: &Capabilities) -> bool {
    let all = systems_for(capabilities, Kind::Resolve);
    let workspaces = systems_for(capabilities, Kind::ResolveInWorkspace);
    all.count() == 1 && workspaces.count() == 1 && systems_for(capabilities, Kind::DisableSignIn).next().is_none()
}

/// Where the account is mastered: what follows for the cloud's kinds from its
/// being a copy of one on the premises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mastery {
    /// It is nobody's copy.
    Here,
    /// It is a copy, and the directory that masters it is connected.
    Connected,
    /// It is a copy of we do not know what.
    Elsewhere,
}

impl Mastery {
    fn of(subject: &Facts, capabilities: &Capabilities) -> Self {
        let connected = systems_for(capabilities, Kind::ResolveOnPremises).next().is_some();
        match (subject.bool("synced") == Some(true), connected) {
            (false, _) => Self::Here,
            (true, true) => Self::Connected,
            (true, false) => Self::Elsewhere,
        }
    }

    /// Whether the cloud's own task of this kind stays in the plan: a copy
    /// refuses some, and what is found on the premises does them there.
    fn leaves(self, kind: Kind) -> bool {
        match kind {
            Kind::ResetPassword | Kind::HideFromAddressLists => self != Self::Connected,
            Kind::AwaitSynchronisation => self == Self::Connected,
            Kind::ConfirmDisabledOnPremises => self == Self::Elsewhere,
            Kind::ConfirmSharedOnPremises => self != Self::Here,
            _ => true,
        }
    }

    /// Whether a task of this kind is told that what the cloud refuses is
    /// changed on the premises.
    fn is_asked_about(self, kind: Kind) -> bool {
        let told = matches!(
            kind,
            Kind::DisableSignIn | Kind::RemoveGroupMemberships | Kind::ReleaseGroupLicenses
        );
        told && self == Self::Connected
    }

    /// Whether it is missed that no system offers this kind.
    fn misses(self, kind: Kind) -> bool {
        match kind {
            Kind::ResolveOnPremises => self == Self::Elsewhere,
            // Who has no domain, applications, workspace, programs, remote management, wiki or list
            // of what people signed in to elsewhere misses none.
            Kind::DiscoverComputers
            | Kind::ResolveInApp
            | Kind::ResolveInWorkspace
            | Kind::RunScript
            | Kind::RunIrreversibleScript
            | Kind::DiscoverTechnicians
            | Kind::DiscoverManaged
            | Kind::DiscoverApps
            | Kind::DiscoverSoftware
            | Kind::WriteNotes => false,
            // Nor whoever has no desk.
            kind => !kind.is_beside(),
        }
    }
}

impl Plan {
    fn has(&self, kind: Kind) -> bool {
        self.tasks.iter().any(|t| t.kind == kind)
    }

    /// An order holds only between tasks that are there: without one that
    /// keeps the mailbox and one that settles the files, no licence may go; nor
    /// while an archive is wanted that nobody can make.
    fn keep_licences_unless_preserved(&mut self, policy: &Policy, capabilities: &Capabilities) {
        let files = self.has(Kind::HandOverOneDrive) || self.has(Kind::DecideOneDrive);
        let archived = !self.unserved.contains(&Kind::ArchiveMailbox);
        let wanted = self.has(Kind::ArchiveMailbox) || !archived;
        // An archive of any other server's mailbox is none of the workspace's.
        let of_workspace =
            systems_for(capabilities, Kind::ArchiveMailbox).any(|system| policy.workspace_mail.contains(system));
        if wanted && !of_workspace {
            // What its finder finds asks a person instead.
            for task in self.tasks.iter_mut().filter(|t| t.kind == Kind::ResolveInWorkspace) {
                task.params.set(workspace::ARCHIVE_UNMADE, true);
            }
        }
        if self.has(Kind::ConvertToShared) && files && archived {
            return;
        }
        for kind in [Kind::ReleaseGroupLicenses, Kind::ReleaseDirectLicenses, Kind::ProvePool] {
            if self.has(kind) {
                self.tasks.retain(|t| t.kind != kind);
                self.unserved.push(kind);
                // A group on the premises may give a licence as well.
                for task in self.tasks.iter_mut().filter(|t| t.kind == Kind::ResolveOnPremises) {
                    task.params.set(LICENCES_UNKEPT, true);
                }
            }
        }
    }
}

/// What an approval of a plan binds: the subject, and each task by its own
/// digest in the order of the ids. Evidence recomputes it from digests alone.
#[must_use]
pub fn plan_digest(subject: &Subject, tasks: impl Iterator<Item = Digest>) -> Digest {
    let subject = serde_json::to_vec(subject).expect("a subject is plain data");
    let digests: Vec<Digest> = tasks.collect();
    let mut parts: Vec<&[u8]> = vec![b"offboard.plan", &subject];
    parts.extend(digests.iter().map(|d| d.0.as_slice()));
    Digest::of_parts(&parts)
}

/// What a person approves: a plan or a task by its digest, from a time on (to the
/// second, in RFC 3339).
#[must_use]
pub fn approval_digest(what: Digest, from: Timestamp) -> Digest {
    Digest::of_parts(&[b"offboard.approval", &what.0, from.to_string().as_bytes()])
}

fn refuse_protected(subject: &Facts, policy: &Policy) -> Result<(), PlanRefusal> {
    let id = subject.text("object_id").ok_or(PlanRefusal::Unresolved)?;
    let listed = |name: &str| policy.protected.contains(&name.to_lowercase());
    // Whoever looked him up has compared all his addresses; an older worker none.
    let by_address = subject.bool("protected") == Some(true);
    if by_address || listed(id) || subject.text("user_principal_name").is_some_and(listed) {
        return Err(PlanRefusal::Protected(
            "it is on the tenant's list of protected accounts",
        ));
    }
    if subject.bool("last_administrator") == Some(true) {
        return Err(PlanRefusal::Protected(
            "it is the last account that administers the tenant",
        ));
    }
    if subject.bool("service_account") == Some(true) {
        return Err(PlanRefusal::Protected("it is a service or synchronisation account"));
    }
    Ok(())
}

/// Whether this departure wants the kind, and with which parameters.
fn wanted(kind: Kind, departure: &Departure, subject: &Facts, policy: &Policy, capped: bool) -> Option<Facts> {
    let choices = &departure.choices;
    let none = Facts::new();
    let with_successor = || match subject.text("successor_id") {
        Some(id) => Facts::new().with("successor_id", id),
        None => match subject.text("successor_problem") {
            Some(why) => Facts::new().with("successor_problem", why),
            None => Facts::new(),
        },
    };
    let reply = || {
        let text = choices.automatic_reply.as_deref().or(policy.automatic_reply.as_deref());
        text.filter(|text| !text.is_empty())
    };
    let meetings = choices.meetings.unwrap_or(policy.meetings);
    let onedrive = choices.onedrive.unwrap_or(policy.onedrive);
    let hold = choices.legal_hold.unwrap_or(policy.legal_hold);
    match kind.spec().wanted {
        Wanted::Found | Wanted::Joined | Wanted::Ended | Wanted::ClosingRound => return None,
        Wanted::Always | Wanted::Chosen(_) => {}
    }
    match kind {
        Kind::ResolveOnPremises => {
            let mut params = none;
            if let Some(id) = subject.text(SECURITY_ID) {
                params.set(SECURITY_ID, id);
            }
            if subject.bool("has_mailbox") == Some(true) {
                params.set("has_mailbox", true);
            }
            if hold {
                params.set(HOLD_WANTED, true);
            }
            Some(params)
        }
        Kind::ResolveInWorkspace => {
            let mut params = none;
            let mut set = |name: &str, wanted: bool| {
                if wanted {
                    params.set(name, true);
                }
            };
            set(workspace::AT_ONCE, departure.manner == Manner::Immediate);
            let forwarding = choices.forwarding.as_ref().unwrap_or(&policy.forwarding);
            set(workspace::FORWARD, *forwarding == Forwarding::Successor);
            let expected = departure.successor.is_some() || policy.successor != SuccessorRule::Nobody;
            set(workspace::GRANT_MAIL, expected);
            set(workspace::TRANSFER_FILES, onedrive == OneDriveChoice::HandOver);
            set(workspace::HOLD_WANTED, hold);
            if let Some(text) = reply() {
                params.set("reply", text);
                params.set("reply_digest", Digest::of(text.as_bytes()).to_string());
            }
            Some(params)
        }
        Kind::ApprovePlan => (policy.approvals.plan || capped).then_some(none),
        Kind::HoldMailbox => hold.then(|| match policy.hold_days {
            Some(days) => none.with("hold_days", i64::from(days)),
            None => none,
        }),
        Kind::ArchiveMailbox => {
            let asked = choices.archive_mailbox.unwrap_or(policy.archive_mailbox);
            asked.then(|| match policy.archive_years {
                Some(years) => none.with("keep_years", i64::from(years)),
                None => none,
            })
        }
        Kind::SetAutomaticReply => {
            let text = reply()?;
            Some(
                none.with("reply", text)
                    .with("reply_digest", Digest::of(text.as_bytes()).to_string()),
            )
        }
        Kind::SetForwarding => match (
            choices.forwarding.as_ref().unwrap_or(&policy.forwarding),
            subject.text("successor_id"),
        ) {
            (Forwarding::Successor, Some(id)) => Some(none.with("forward_to_id", id)),
            (Forwarding::Successor, None) => Some(with_successor().with("forward_to_successor", true)),
            (Forwarding::Remove, _) => Some(none),
        },
        Kind::RemoveDelegations => Some(with_successor()),
        Kind::HandOverMeetings => (meetings == Meetings::HandOver).then(with_successor),
        Kind::CancelMeetings => (meetings != Meetings::Leave).then_some(none),
        Kind::ConvertToShared => Some(
            none.with(SHARED_MAX_BYTES, policy.shared_mailbox_max_bytes)
                .with("hold_wanted", hold),
        ),
        Kind::GrantSuccessorMailbox => {
            let expected = departure.successor.is_some() || policy.successor != SuccessorRule::Nobody;
            expected.then(with_successor)
        }
        Kind::HandOverGroups => Some(with_successor()),
        Kind::HandOverOneDrive => (onedrive == OneDriveChoice::HandOver).then(with_successor),
        Kind::DecideOneDrive => (onedrive == OneDriveChoice::Ask).then_some(none),
        // Whoever goes at once tells nobody anything, and whoever has gone neither, as in
        // what follows a closed case.
        Kind::HoldKnowledgeSession => {
            let is_there = departure.manner == Manner::Planned && departure.effective_at > departure.requested_at;
            (policy.knowledge_session && is_there).then_some(none)
        }
        // Whoever lets them go looks once more at him who has the files, and at the mailbox.
        Kind::ReleaseGroupLicenses | Kind::ReleaseDirectLicenses => {
            let params = none.with(SHARED_MAX_BYTES, policy.shared_mailbox_max_bytes);
            let heir = subject.text("successor_id");
            Some(match heir.filter(|_| onedrive == OneDriveChoice::HandOver) {
                Some(id) => params.with("successor_id", id),
                None => params,
            })
        }
        Kind::DiscoverDevices | Kind::DiscoverManaged => {
            let wipe = choices.wipe_company_devices.unwrap_or(policy.wipe_company_devices);
            Some(none.with("wipe_company_devices", wipe))
        }
        Kind::ProvePool => {
            let mut params = none
                .with("currency", policy.currency.as_str())
                .with(SHARED_MAX_BYTES, policy.shared_mailbox_max_bytes);
            for (sku, cents) in &policy.licence_price_cents {
                params.set(&format!("price_cents/{sku}"), *cents);
            }
            Some(params)
        }
        _ => Some(none),
    }
}
