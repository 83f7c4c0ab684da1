//! Out and back: what the dispatcher orders, and what a worker answers.
//!
//! An assignment carries ids and the parameters that its call needs, as little
//! of the person as possible and never a secret. A report is believed only as
//! far as its observations show (`decide` judges them again).

use crate::case::Case;
use crate::catalogue::premises::{FOR_THE_CLOUD, FOUND_ELSEWHERE, HYBRID_JOINED, LISTED, MASTERED, SOUGHT};
use crate::catalogue::{APP_GROUPS_LATER, Kind, ROLES_GONE_MS, ROLES_OPEN, apps, desk, managed, script, workspace};
use crate::departure::{Departure, PersonRef};
use crate::estate;
use crate::fault::Fault;
use crate::id::{CaseId, Digest, ObjectId, System, TaskId, TenantId};
use crate::observation::{Facts, Observation};
use crate::plan::is_skipped;
use crate::policy::{NAME_MARKS, Policy, SuccessorRule, address_mark};
use crate::task::{Outcome, Place, Task};
use crate::time::Timestamp;
use crate::unplanned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The leaving person as the immutable ids that the systems gave.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Subject(pub BTreeMap<System, ObjectId>);

/// What a task is about: a system, and the object in it if it is not the
/// subject's own account there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// The system.
    pub system: System,
    /// The object, such as a device; none: the subject's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectId>,
}

/// What an attempt may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Observe, judge, apply, observe.
    #[serde(rename = "full")]
    Full,
    /// Observe and report; write nothing.
    #[serde(rename = "observe_only")]
    ObserveOnly,
}

/// One settled task to be read again in the closing round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Which task.
    pub task: TaskId,
    /// Its kind.
    pub kind: Kind,
    /// Its target.
    pub target: Target,
    /// Its parameters.
    pub params: Facts,
}

/// What the dispatcher sends a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Whose departure.
    pub tenant: TenantId,
    /// Which case.
    pub case: CaseId,
    /// Which task.
    pub task: TaskId,
    /// Which try, from 1.
    pub attempt: u32,
    /// What sort of task.
    pub kind: Kind,
    /// About what.
    pub target: Target,
    /// About whom. Empty only for the task that finds out.
    pub subject: Subject,
    /// With which parameters.
    pub params: Facts,
    /// What the attempt may do.
    pub mode: Mode,
    /// Where the last slice of long work stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Facts>,
    /// What is to be read again; only for the closing round's kinds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// After this time the attempt must not begin.
    pub start_by: Timestamp,
    /// From its beginning, the attempt must end within this time, in milliseconds.
    pub run_for_ms: i64,
    /// The version of the event that ordered it.
    pub version: u64,
    /// The chain's hash at that event: a report from ahead of the ledger
    /// proves that the ledger lost its tail.
    pub head: Digest,
    /// The trace that it continues (W3C traceparent), if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

impl Assignment {
    /// When every worker that holds it has stopped: last start, time to run,
    /// and the margin for clocks that differ.
    #[must_use]
    pub fn over_at(&self) -> Timestamp {
        self.start_by.plus(self.run_for_ms + CLOCK_MARGIN_MS)
    }
}

/// How long an assignment may wait in its queue before it is void, in milliseconds.
pub(crate) const START_WITHIN_MS: i64 = 5 * crate::time::MINUTE_MS;

/// How far the clocks of any two of an installation's processes may differ, in
/// milliseconds.
pub const CLOCK_MARGIN_MS: i64 = 30_000;

/// The largest report that is read, in bytes: who answers checks it, and who is answered
/// buries what is larger, unread. The largest true one answers a closing round, of which
/// the order has at most 1 MiB.
pub const REPORT_MAX_BYTES: usize = 4 * 1024 * 1024;

/// The vendor's receipt for one request: kept as evidence, proves no state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// When it was answered.
    pub at: Timestamp,
    /// What was asked, without personal data: `PATCH /users/{id}`.
    pub request: String,
    /// The HTTP status.
    pub status: u16,
    /// The vendor's id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// The requests of one attempt that write, as they were counted where they were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Writes {
    /// How many were sent, answered or not.
    pub sent: u32,
    /// How many of those certainly had no effect: they were refused, or did not go out
    /// after all.
    #[serde(default)]
    pub refused: u32,
}

impl Writes {
    /// Whether the vendor may have taken one.
    #[must_use]
    pub fn may_have_been_taken(self) -> bool {
        self.sent > self.refused
    }
}

/// A file in the store that belongs to the case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// What it is: `snapshot.groups`.
    pub name: String,
    /// SHA-256 of its bytes, and its key in the store.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// A task that discovery found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Find {
    /// What sort of task; only those that the finder's catalogue block lists.
    pub kind: Kind,
    /// About what, in the finder's own system.
    pub object: ObjectId,
    /// With which parameters.
    pub params: Facts,
}

/// What became of one check of the closing round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Which task was read again.
    pub task: TaskId,
    /// What was read.
    pub observation: Observation,
}

/// What a report says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "said")]
pub enum Said {
    /// The wanted state was read (or nothing was to be done).
    #[serde(rename = "satisfied")]
    Satisfied {
        /// What was read first.
        before: Observation,
        /// What was read last; the same as `before` if nothing was written.
        after: Observation,
    },
    /// Only read, as ordered: this is what there is.
    #[serde(rename = "observed")]
    Observed {
        /// What was read.
        observation: Observation,
    },
    /// The closing round's readings.
    #[serde(rename = "checked")]
    Checked {
        /// One for each check that was ordered.
        results: Vec<Checked>,
    },
    /// A slice of long work is done; the rest goes on from the checkpoint.
    #[serde(rename = "progress")]
    Progress {
        /// Where to go on.
        checkpoint: Facts,
    },
    /// The vendor is not ready; costs no attempt.
    #[serde(rename = "wait")]
    Wait {
        /// Look again then.
        until: Timestamp,
        /// What is waited for, in words.
        why: String,
        /// What to remember until then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checkpoint: Option<Facts>,
    },
    /// Discovery is done, and found these (or none).
    #[serde(rename = "found")]
    Found {
        /// What was read.
        observation: Observation,
        /// The tasks for what was found.
        finds: Vec<Find>,
    },
    /// A fault.
    #[serde(rename = "fault")]
    Fault {
        /// Which.
        fault: Fault,
    },
    /// The assignment was not begun: it came too late, or the worker stopped.
    /// Costs no attempt.
    #[serde(rename = "not_begun")]
    NotBegun {
        /// Why.
        why: String,
    },
}

/// What a worker answers about one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Whose departure.
    pub tenant: TenantId,
    /// Which case.
    pub case: CaseId,
    /// Which task.
    pub task: TaskId,
    /// Which try.
    pub attempt: u32,
    /// The version of the event that ordered it, from the assignment.
    pub version: u64,
    /// The chain's hash at that event, from the assignment.
    pub head: Digest,
    /// When the worker wrote this.
    pub at: Timestamp,
    /// What it says.
    #[serde(flatten)]
    pub said: Said,
    /// What was read last, where what it says carries no reading of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Observation>,
    /// What is to be remembered of an attempt that a fault ended, where that is not
    /// what it was given. What a slice or a wait leaves behind is in what it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remembered: Option<Facts>,
    /// What was written. None: nothing was, or a worker of an older version does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writes: Option<Writes>,
    /// The vendor's receipts of what was sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receipts: Vec<Receipt>,
    /// What was put into the store.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
}

impl Case {
    /// The settled tasks that a closing round's task reads again: those of its
    /// area and system that can be re-read and that machines settled.
    #[must_use]
    pub fn checks_for(&self, closing: &Task) -> Vec<Check> {
        self.tasks
            .values()
            .filter(|t| t.planned.target.system == closing.planned.target.system)
            .filter(|t| t.kind().spec().area == closing.kind().spec().area)
            .filter(|t| self.is_read_again(t))
            .map(|t| Check {
                task: t.id(),
                kind: t.kind(),
                target: t.planned.target.clone(),
                params: self.told(t),
            })
            .collect()
    }

    /// What is told to whoever reads a task's state: its parameters, and for a
    /// program of the MSP's own, or an application, the names by which that may
    /// know the person. Those are in no stored task.
    #[must_use]
    pub fn told(&self, task: &Task) -> Facts {
        let mut params = task.planned.params.clone();
        if script::KINDS.contains(&task.kind()) {
            script_params(&mut params, &self.departure, &self.subject_facts);
        }
        let refuses = matches!(task.kind(), Kind::DisableSignIn | Kind::ResetPassword);
        if refuses && self.open_of(Kind::RemoveDirectoryRoles) > 0 {
            params.set(ROLES_OPEN, true);
        }
        if refuses && let Some(at) = self.roles_gone_at(&task.planned.target.system) {
            params.set(ROLES_GONE_MS, at.0);
        }
        let system = &task.planned.target.system;
        let takes_roles = |t: &Arc<Task>| t.kind() == Kind::RemoveAppRoles && t.planned.target.system == *system;
        if task.kind() == Kind::RemoveGroupMemberships && self.tasks.values().any(takes_roles) {
            params.set(APP_GROUPS_LATER, true);
        }
        // A group may be his alone once more: whom the plan gave those may have it, too.
        let gives = |t: &&Arc<Task>| {
            t.kind() == Kind::HandOverGroups && t.planned.target.system == *system && t.is_settled() && !t.is_waived()
        };
        if task.kind() == Kind::RemoveGroupOwnerships
            && let Some(heir) = self.tasks.values().find(gives)
            && let Some(heir) = heir.planned.params.text("successor_id")
        {
            params.set("successor_id", heir);
        }
        // What was looked at and removed: the closing round reads those mailboxes again.
        if task.kind() == Kind::RemoveDelegations
            && task.is_settled()
            && let Some(found_on) = task.after.as_ref().and_then(|seen| seen.facts.list("found_on"))
        {
            params.set("found_on", found_on.to_vec());
        }
        self.name_whom(task.kind(), &mut params);
        self.tell_of_devices(task, &mut params);
        if desk::KINDS.contains(&task.kind()) {
            self.tell_the_desk(task, &mut params);
        }
        if task.kind() == Kind::WriteNotes {
            self.tell_of_notes(task, &mut params);
        }
        if task.kind() == Kind::DiscoverApps
            && let Some(snapshot) = self.directory_snapshot(&task.planned.target.system)
        {
            unplanned::tell(&mut params, snapshot, &self.policy);
        }
        // By these they are found again, whatever they are noted as by then; also where the
        // account was missed since, and with it what they are listed by.
        let mut read = [&task.seen, &task.after].into_iter().flatten();
        if task.kind() == Kind::DisableLaptops
            && let Some(known) = read.find_map(|seen| seen.facts.list("device_ids"))
        {
            params.set(workspace::KNOWN_DEVICES, known.to_vec());
        }
        if matches!(
            task.kind(),
            Kind::DiscoverAppsInWorkspace | Kind::RevokeTokensInWorkspace
        ) {
            unplanned::tell_of_tokens(&mut params, self, task);
        }
        params
    }

    /// When his directory roles in a system were read as gone; none: they are still to
    /// go, or a person goes without that, and nobody has.
    fn roles_gone_at(&self, system: &System) -> Option<Timestamp> {
        let removal = |t: &&Task| t.kind() == Kind::RemoveDirectoryRoles && t.planned.target.system == *system;
        let removed = self.tasks.values().map(AsRef::as_ref).find(removal)?;
        let proven = removed.outcome() == Some(&Outcome::Verified);
        removed.after.as_ref().filter(|_| proven).map(|seen| seen.read_at)
    }

    /// The desk is told its ticket, what ended how, and by which digest the
    /// sealed account is known: nothing of the person.
    fn tell_the_desk(&self, task: &Task, params: &mut Facts) {
        let spec = task.kind().spec();
        if task.kind() == Kind::OpenTicket {
            params.set(desk::AT_ONCE, self.urgent());
        }
        let looks_for_it = matches!(task.kind(), Kind::OpenTicket | Kind::NoteEnding);
        if let Some(reference) = self.departure.reference.as_ref().filter(|_| looks_for_it) {
            params.set(desk::REFERENCE, reference.as_str());
        }
        if task.person_looked {
            params.set(desk::PERSON_LOOKED, true);
        }
        let system = &task.planned.target.system;
        let mut opened = self.tasks.values().filter(|t| t.kind() == Kind::OpenTicket);
        let opened = opened.find(|t| t.planned.target.system == *system);
        let ticket = opened.and_then(|t| t.after.as_ref()?.facts.text(desk::TICKET));
        if let Some(ticket) = ticket {
            params.set(desk::TICKET, ticket);
        }
        if task.kind() == Kind::NoteEnding {
            let tried = opened.is_some_and(|t| t.was_ordered());
            if tried && ticket.is_none() {
                params.set(desk::MAY_BE_OPEN, true);
            }
            self.tell_of_its_ending(params);
        }
        if let (Kind::AttachEvidence, Some(evidence)) = (task.kind(), self.evidence) {
            params.set(desk::EVIDENCE, evidence.to_string());
        }
        if let Some(stage) = spec.after_stage {
            let mut ended: BTreeMap<&str, i64> = BTreeMap::new();
            let of_it = |t: &&Task| !t.kind().is_beside() && t.kind().spec().stage == stage;
            for outcome in self
                .tasks
                .values()
                .map(AsRef::as_ref)
                .filter(of_it)
                .filter_map(Task::outcome)
            {
                *ended.entry(outcome.word()).or_default() += 1;
            }
            for (word, n) in ended {
                params.set(&format!("{}{word}", desk::ENDED), n);
            }
        }
    }

    /// Who looks for his devices in a remote management is told by which name he
    /// is shown, and what the other systems have seen, and so is who looks at them in a
    /// workspace, so that whoever comes second can compare; who looks at a candidate,
    /// whether a person has confirmed it; who looks on the premises, which devices the
    /// cloud knows to be joined to a domain; who disables a computer for that, whether the
    /// cloud lists it still; who disables a device's object, whether the computer that it
    /// may be a copy of is disabled on the premises, or looked for.
    fn tell_of_devices(&self, task: &Task, params: &mut Facts) {
        let target = &task.planned.target;
        match task.kind() {
            Kind::DiscoverManaged => {
                params
                    .0
                    .extend(estate::told(&self.sightings_elsewhere(&target.system)).0);
                if let Some(name) = &self.departure.person.display_name {
                    params.set(managed::SHOWN_NAME, name.as_str());
                }
            }
            Kind::WipeAccount | Kind::DisableLaptops => {
                let seen = self.sightings_elsewhere(&target.system);
                params.0.extend(estate::told(&seen).0);
            }
            Kind::DiscoverConfirmed => {
                let asked = managed::confirmation(self.id, target);
                let said = self.tasks.get(&asked).and_then(|t| t.outcome());
                params.set(managed::CONFIRMED, matches!(said, Some(Outcome::Attested { .. })));
            }
            Kind::DiscoverSoftware => unplanned::tell_of_devices(params, self, &target.system),
            Kind::Decommission => params.set(managed::CLEARED, self.has_cleared_owner(target)),
            Kind::DiscoverComputers => params.set(SOUGHT, Vec::from_iter(self.hybrid_joined())),
            Kind::DisableComputer if params.bool(FOR_THE_CLOUD) == Some(true) => {
                let id = target.object.as_ref().map(|o| o.0.to_lowercase());
                params.set(LISTED, id.is_some_and(|id| self.hybrid_joined().contains(&id)));
            }
            Kind::DisableDeviceObject if self.disables_computer_of(task) || self.looks_for_computer_of(task) => {
                params.set(MASTERED, true);
            }
            _ => {}
        }
    }

    /// Whether the computer is to be disabled on the premises that this device is a
    /// copy of. A cloud knows such a device (a hybrid join) by the computer's own
    /// immutable id there: its `deviceId` is the computer's `objectGUID`.
    fn disables_computer_of(&self, device: &Task) -> bool {
        let Some(id) = device.planned.params.text("device_id") else {
            return false;
        };
        let mut computers = self.tasks.values().filter(|t| t.kind() == Kind::DisableComputer);
        computers.any(|t| {
            let object = t.planned.target.object.as_ref();
            let there = !t.is_waived() && !matches!(t.outcome(), Some(Outcome::NotApplicable { .. }));
            there && object.is_some_and(|o| o.0.eq_ignore_ascii_case(id))
        })
    }

    /// Whether a directory on the premises is still to say whether it has the computer
    /// that this device is a copy of. Its site may be away: nobody is asked meanwhile
    /// about what is disabled there once it is back.
    fn looks_for_computer_of(&self, device: &Task) -> bool {
        let id = device
            .planned
            .params
            .text("device_id")
            .unwrap_or_default()
            .to_lowercase();
        self.open_of(Kind::DiscoverComputers) > 0
            && !is_skipped(Kind::DisableComputer, &self.policy)
            && self.hybrid_joined().contains(&id)
    }

    /// By which ids the clouds know the company's devices that are joined to a domain as
    /// well: those of their computers there.
    fn hybrid_joined(&self) -> BTreeSet<String> {
        let looked = self.tasks.values().filter(|t| t.kind() == Kind::DiscoverDevices);
        let listed = looked.filter_map(|t| t.last_seen()?.facts.list(HYBRID_JOINED));
        listed.flatten().map(|id| id.to_lowercase()).collect()
    }

    /// Whether he was a device's owner until we took him off.
    fn has_cleared_owner(&self, device: &Target) -> bool {
        let cleared = TaskId::derive(
            self.id,
            Kind::ClearManagedOwner.name(),
            &device.system,
            device.object.as_ref(),
        );
        let task = self.tasks.get(&cleared).filter(|t| t.is_settled());
        let read = task.and_then(|t| Some((t.before.as_ref()?, t.after.as_ref()?)));
        read.is_some_and(|(before, after)| {
            before.facts.text("owner") == Some("his") && after.facts.text("owner") == Some("none")
        })
    }

    /// An application, and a remote management, knows people by their names alone.
    /// An application is searched by them
    /// also after the account's id was pinned: whoever reads there is told the
    /// names, and by whom it is looked up also which accounts are never touched.
    fn name_whom(&self, kind: Kind, params: &mut Facts) {
        let looks_up = [
            Kind::DiscoverTechnicians,
            Kind::DiscoverManaged,
            Kind::ResolveInWorkspace,
        ]
        .contains(&kind);
        if !apps::KINDS.contains(&kind) && !looks_up {
            return;
        }
        let (person, resolved) = (&self.departure.person, &self.subject_facts);
        let known = [
            resolved.text("user_principal_name"),
            person.user_principal_name.as_deref(),
            person.mail.as_deref(),
        ];
        let mut names: Vec<String> = Vec::new();
        for name in known.into_iter().flatten().filter(|n| !n.is_empty()) {
            if !names.iter().any(|n| n.to_lowercase() == name.to_lowercase()) {
                names.push(name.to_owned());
            }
        }
        let is_named_in_full = !self.has_an_unnamed_address(&names);
        params.set(apps::NAMES, names);
        let by_number = apps::KINDS.contains(&kind);
        if let Some(id) = resolved.text("object_id").filter(|_| by_number) {
            params.set(apps::DIRECTORY_ID, id);
        }
        if let Some(number) = person.employee_id.as_ref().filter(|_| by_number) {
            params.set(apps::EMPLOYEE_ID, number.as_str());
        }
        if !is_named_in_full {
            params.set(apps::NAMES_MISSING, true);
        }
        if matches!(kind, Kind::ResolveInApp | Kind::ResolveInWorkspace) {
            let protected: Vec<String> = self.policy.protected.iter().cloned().collect();
            params.set(apps::PROTECTED, protected);
        }
    }

    /// Whether he was found to have an address that is none of these names: an application
    /// may have kept one that he had before. What is stored has marks of them alone, so such
    /// an application cannot be searched by it; it can only not be taken for one without him.
    fn has_an_unnamed_address(&self, names: &[String]) -> bool {
        let resolved = &self.subject_facts;
        let Some(marks) = resolved.list(NAME_MARKS) else {
            // A worker of an older version looked at one address only.
            return resolved.bool("other_mail") == Some(true) && self.departure.person.mail.is_none();
        };
        let named: BTreeSet<String> = names.iter().map(|name| address_mark(self.id, name)).collect();
        marks.iter().any(|mark| !named.contains(mark))
    }

    /// Whether another directory on the premises than this one was read to have his
    /// account.
    pub(crate) fn is_found_in_another_domain(&self, task: &Task) -> bool {
        let others = self
            .tasks
            .values()
            .filter(|t| t.kind() == task.kind() && t.id() != task.id());
        others
            .filter_map(|t| t.outcome())
            .any(|outcome| *outcome == Outcome::Verified)
    }

    /// When what was last changed by these on the premises, and a cloud copies, was read
    /// as changed; none if nothing had to be changed.
    fn changed_on_premises_at(&self, by: &[Kind]) -> Option<Timestamp> {
        self.tasks
            .values()
            .filter(|t| by.contains(&t.kind()))
            .filter_map(|t| Some((t.before.as_ref()?, t.after.as_ref()?)))
            .filter(|(before, after)| before.facts != after.facts)
            .map(|(_, after)| after.read_at)
            .max()
    }

    /// What the snapshot of the directory recorded before the first write, in one system.
    fn directory_record(&self, system: &System) -> Option<&Facts> {
        self.tasks
            .values()
            .filter(|t| t.kind() == Kind::SnapshotDirectory && t.planned.target.system == *system)
            .find_map(|t| Some(&t.before.as_ref()?.facts))
    }

    /// What the snapshot of the directory found, in one system, whenever it was read last.
    pub(crate) fn directory_snapshot(&self, system: &System) -> Option<&Facts> {
        self.tasks
            .values()
            .filter(|t| t.kind() == Kind::SnapshotDirectory && t.planned.target.system == *system)
            .find_map(|t| Some(&t.after.as_ref()?.facts))
    }

    /// The assignment of a task that is with a worker, as it is to be
    /// published; none if it is not with one.
    #[must_use]
    pub fn assignment(&self, id: TaskId) -> Option<Assignment> {
        let task = self.tasks.get(&id)?;
        let attempt = task.in_flight()?;
        let ordered_by = task.ordered_by.unwrap_or(Place {
            version: self.version,
            head: self.head,
        });
        let checks = if task.kind().is_closing_round() {
            self.checks_for(task)
        } else {
            Vec::new()
        };
        let mut params = self.told(task);
        if task.kind() == Kind::Resolve {
            person_params(&mut params, &self.departure, &self.policy);
        }
        // A directory may know him by what another does not.
        if matches!(task.kind(), Kind::Resolve | Kind::ResolveOnPremises) && !self.policy.protected.is_empty() {
            let protected: Vec<String> = self.policy.protected.iter().cloned().collect();
            params.set(apps::PROTECTED, protected);
        }
        if task.kind() == Kind::ArchiveMailbox {
            login_param(&mut params, &self.departure, &self.subject_facts);
        }
        if task.kind() == Kind::ResolveOnPremises {
            person_params(&mut params, &self.departure, &self.policy);
            if self.is_found_in_another_domain(task) {
                params.set(FOUND_ELSEWHERE, true);
            }
            // A cloud's own ids mean nothing there; its name for him may.
            params.0.remove("object_id");
            if let Some(name) = self.subject_facts.text("user_principal_name") {
                params.set("user_principal_name", name);
            }
        }
        if task.kind() == Kind::ResolveInWorkspace {
            successor_params(&mut params, &self.departure, &self.policy);
        }
        if task.kind() == Kind::AwaitSynchronisation {
            let account = self.changed_on_premises_at(CHANGES_ACCOUNT);
            let groups = self.changed_on_premises_at(&[Kind::RemoveGroupsOnPremises]);
            if let Some(at) = account.max(groups) {
                params.set(CHANGED_ON_PREMISES_MS, at.0);
                params.set(ACCOUNT_CHANGED_ON_PREMISES_MS, account.map_or(0, |at| at.0));
            }
        }
        if task.kind() == Kind::ProvePool {
            let none = Facts::new();
            pool_params(
                &mut params,
                self.directory_record(&task.planned.target.system).unwrap_or(&none),
            );
        }
        Some(Assignment {
            tenant: self.departure.tenant.clone(),
            case: self.id,
            task: id,
            attempt: attempt.number,
            kind: task.kind(),
            target: task.planned.target.clone(),
            subject: self.subject.clone(),
            params,
            mode: attempt.mode,
            checkpoint: task.checkpoint.clone(),
            checks,
            start_by: attempt.start_by,
            run_for_ms: attempt.run_for_ms,
            version: ordered_by.version,
            head: ordered_by.head,
            traceparent: self.traceparent.clone(),
        })
    }
}

/// The parameter that says when what a cloud copies was last changed on the
/// premises, in milliseconds since 1970.
pub const CHANGED_ON_PREMISES_MS: &str = "changed_on_premises_ms";

/// The parameter that says the same of the account itself; 0: only groups were changed. Who
/// is in a group is the group's to say: a synchronisation that brings it does not touch the
/// account's copy, so that is no later than it was.
pub const ACCOUNT_CHANGED_ON_PREMISES_MS: &str = "account_changed_on_premises_ms";

/// What changes the account's own object on the premises.
const CHANGES_ACCOUNT: &[Kind] = &[
    Kind::DisableOnPremises,
    Kind::ResetPasswordOnPremises,
    Kind::HideOnPremises,
];

/// What was held before the first release says what was freed, and how many
/// units of it were in use then says how far the pool must have moved:
/// `held_sku_ids`, and `consumed_before/SKU` for each.
pub fn pool_params(params: &mut Facts, snapshot: &Facts) {
    params.set("held_sku_ids", snapshot.list("sku_ids").unwrap_or_default().to_vec());
    for (name, fact) in &snapshot.0 {
        if let Some(sku) = name.strip_prefix("consumed_units/") {
            params.set(&format!("consumed_before/{sku}"), fact.clone());
        }
    }
}

/// The name by which a mail server that has no ids knows the mailbox: the
/// person's address, else the sign-in name that the directory gave. It travels
/// with the assignment and is in no stored task.
fn login_param(params: &mut Facts, departure: &Departure, resolved: &Facts) {
    let login = departure.person.mail.as_deref();
    if let Some(login) = login.or_else(|| resolved.text("user_principal_name")) {
        params.set("mail_login", login);
    }
}

/// The names by which a program's own system may know the person: the sign-in
/// name that the directory gave, else the request's, and the request's mail
/// address. They travel with the assignment and are in no stored task.
fn script_params(params: &mut Facts, departure: &Departure, resolved: &Facts) {
    let person = &departure.person;
    let sign_in = resolved.text(script::SIGN_IN_NAME);
    if let Some(name) = sign_in.or(person.user_principal_name.as_deref()) {
        params.set(script::SIGN_IN_NAME, name);
    }
    if let Some(mail) = person.mail.as_deref() {
        params.set(script::MAIL, mail);
    }
}

/// The search terms travel with the one assignment that needs them, and are in
/// no stored task.
fn person_params(params: &mut Facts, departure: &Departure, policy: &Policy) {
    put_person(params, "", &departure.person);
    successor_params(params, departure, policy);
}

fn put_person(params: &mut Facts, prefix: &str, p: &PersonRef) {
    let mut one = |name: &str, value: Option<&str>| {
        if let Some(v) = value {
            params.set(&format!("{prefix}{name}"), v);
        }
    };
    one("object_id", p.object_id.as_ref().map(|o| o.0.as_str()));
    one("user_principal_name", p.user_principal_name.as_deref());
    one("mail", p.mail.as_deref());
    one("employee_id", p.employee_id.as_deref());
}

fn successor_params(params: &mut Facts, departure: &Departure, policy: &Policy) {
    match (&departure.successor, &policy.successor) {
        (Some(named), _) | (None, SuccessorRule::Named(named)) => put_person(params, "successor_", named),
        (None, SuccessorRule::Manager) => params.set("successor_is_manager", true),
        (None, SuccessorRule::Nobody) => {}
    }
}

const BEFORE: &str = "before/";
const BEFORE_READ_AT_MS: &str = "before_read_at_ms";
const BEFORE_SOURCES: &str = "before_sources";

/// What is remembered of what was read before the first write, where one attempt does not
/// see the end. Whoever goes on with a counter compares with it, over the slices of a task and
/// over the time in which a person deals with it; of everything else the case keeps it.
#[must_use]
pub fn baseline_facts(first: &Observation) -> Facts {
    let mut facts = Facts::new()
        .with(BEFORE_READ_AT_MS, first.read_at.0)
        .with(BEFORE_SOURCES, first.sources.clone());
    for (name, fact) in &first.facts.0 {
        facts.set(&format!("{BEFORE}{name}"), fact.clone());
    }
    facts
}

/// The first reading in what was remembered, if it is there.
#[must_use]
pub fn baseline_in(remembered: &Facts) -> Option<Observation> {
    let read_at_ms = remembered.int(BEFORE_READ_AT_MS)?;
    let facts = remembered
        .0
        .iter()
        .filter_map(|(name, fact)| Some((name.strip_prefix(BEFORE)?.to_owned(), fact.clone())));
    Some(Observation {
        read_at: Timestamp(read_at_ms),
        sources: remembered
            .list(BEFORE_SOURCES)
            .map(<[String]>::to_vec)
            .unwrap_or_default(),
        facts: Facts(facts.collect()),
    })
}

/// Takes the first reading out of what was remembered, if it is there.
pub fn take_baseline(remembered: &mut Facts) -> Option<Observation> {
    let first = baseline_in(remembered)?;
    remembered
        .0
        .retain(|name, _| !name.starts_with(BEFORE) && name != BEFORE_READ_AT_MS && name != BEFORE_SOURCES);
    Some(first)
}
