//! What a request wants kept that would else be lost: a hold, an archive, the files,
//! devices that are not wiped.
//!
//! A request that joins a case of the same person finds a plan that is made, and perhaps
//! approved and carried out. What it wants kept is not lost with it: what one more task
//! of a machine brings about becomes that task, and what reaches into what others were
//! told when they were planned is for a person. Nothing that destroys it goes before. See
//! `docs/decisions/0035-what-another-request-wants-kept.md`.

use crate::case::Case;
use crate::catalogue::Kind;
use crate::departure::{Choices, Departure, OneDriveChoice, shared_credentials};
use crate::id::{CaseId, ObjectId, System};
use crate::observation::Facts;
use crate::plan::plan;
use crate::policy::Policy;
use crate::task::{PlannedTask, Task};
use crate::unplanned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The fact that says whether it is still asked for.
pub const ASKED: &str = "still_asked";

/// Something that a request wants kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// The mailbox, by a hold.
    LegalHold,
    /// The mailbox, in an archive.
    Archive,
    /// The files, by handing them over.
    Files,
    /// What is on the company's devices.
    Devices,
}

impl Kept {
    const ALL: [Self; 4] = [Self::LegalHold, Self::Archive, Self::Files, Self::Devices];

    /// As it stands in a task's object.
    fn word(self) -> &'static str {
        match self {
            Self::LegalHold => "legal_hold",
            Self::Archive => "archive",
            Self::Files => "files",
            Self::Devices => "devices",
        }
    }

    /// What it is, for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::LegalHold => "the mailbox on legal hold",
            Self::Archive => "the whole mailbox kept in an archive",
            Self::Files => "the OneDrive handed over",
            Self::Devices => "the company's devices not wiped",
        }
    }

    fn is_wanted(self, departure: &Departure, policy: &Policy) -> bool {
        let chosen = &departure.choices;
        match self {
            Self::LegalHold => chosen.legal_hold.unwrap_or(policy.legal_hold),
            Self::Archive => chosen.archive_mailbox.unwrap_or(policy.archive_mailbox),
            Self::Files => chosen.onedrive.unwrap_or(policy.onedrive) == OneDriveChoice::HandOver,
            Self::Devices => !chosen.wipe_company_devices.unwrap_or(policy.wipe_company_devices),
        }
    }

    fn choose(self, choices: &mut Choices) {
        match self {
            Self::LegalHold => choices.legal_hold = Some(true),
            Self::Archive => choices.archive_mailbox = Some(true),
            Self::Files => choices.onedrive = Some(OneDriveChoice::HandOver),
            Self::Devices => choices.wipe_company_devices = Some(false),
        }
    }

    /// The machines' kind that keeps it.
    fn kind(self) -> Option<Kind> {
        match self {
            Self::LegalHold => Some(Kind::HoldMailbox),
            Self::Archive => Some(Kind::ArchiveMailbox),
            Self::Files | Self::Devices => None,
        }
    }
}

/// For how long a request's own policy keeps what it wants kept: the case that it joins may
/// have been accepted under another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Retention {
    /// How long a hold lasts, in days; none: until lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_days: Option<u32>,
    /// How many years an archive is kept; none: until somebody decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_years: Option<u32>,
}

impl Retention {
    /// What this policy says.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        Self {
            hold_days: policy.hold_days,
            archive_years: policy.archive_years,
        }
    }
}

/// The parameters that say for how long something is kept; without: without an end.
const LENGTHS: [&str; 2] = ["hold_days", "keep_years"];

/// The kinds that hand files over, for those who want them handed over.
const HANDING_OVER: [Kind; 2] = [Kind::HandOverOneDrive, Kind::TransferFiles];

/// What a request wants kept, by its own word or by this policy's.
fn wanted(departure: &Departure, policy: &Policy) -> Vec<Kept> {
    let all = Kept::ALL.into_iter();
    all.filter(|kept| kept.is_wanted(departure, policy)).collect()
}

/// What another request wants kept, and this case's own does not.
#[must_use]
pub fn beyond(case: &Case, asked: &Departure) -> Vec<Kept> {
    let own = wanted(&case.departure, &case.policy);
    let mut all = wanted(asked, &case.policy);
    all.retain(|kept| !own.contains(kept));
    all
}

/// A request with what its own policy wants kept said in its choices: the case that it is
/// told to may have been accepted under another. Whether files are handed over or asked
/// about is nobody's loss by itself, and stays as it is.
#[must_use]
pub fn spelled_out(departure: &Arc<Departure>, policy: &Policy) -> Arc<Departure> {
    let mut out = (**departure).clone();
    for kept in wanted(departure, policy) {
        if kept != Kept::Files {
            kept.choose(&mut out.choices);
        }
    }
    let all = shared_credentials(&policy.shared_credentials, &departure.choices);
    out.choices.shared_credentials = all.map(str::to_owned).collect();
    Arc::new(out)
}

/// The tasks that a request of another case brings into this one: what it wants kept, and
/// what the leaver knew, and nothing here sees to.
#[must_use]
pub fn brings(case: &Case, other: CaseId, asked: &Departure, retention: Retention) -> Vec<PlannedTask> {
    let policy = Policy {
        hold_days: retention.hold_days,
        archive_years: retention.archive_years,
        ..Policy::clone(&case.policy)
    };
    // Where none could be made for it alone, a person is asked.
    let theirs = plan(
        case.id,
        asked,
        &case.subject_facts,
        &policy,
        &case.capabilities,
        case.capped,
    );
    let theirs = theirs.map(|plan| plan.tasks).unwrap_or_default();
    let own = wanted(&case.departure, &case.policy);
    let mut out = Vec::new();
    for kept in wanted(asked, &case.policy) {
        let of_it = |t: &&PlannedTask| kept.kind() == Some(t.kind);
        let by_machines: Vec<PlannedTask> = theirs.iter().filter(of_it).cloned().collect();
        if is_for_a_person(case, kept, own.contains(&kept), &by_machines) {
            let object = ObjectId(format!("{}/{other}", kept.word()));
            out.push(by_a_person(case, Kind::DecidePreservation, object));
        }
        out.extend(by_machines);
    }
    let known: BTreeSet<String> = case
        .tasks
        .values()
        .filter(|t| t.kind() == Kind::RotateSharedCredential)
        .filter_map(|t| Some(t.planned.target.object.as_ref()?.0.to_lowercase()))
        .collect();
    let names = shared_credentials(&[], &asked.choices);
    let new = names.filter(|name| !known.contains(&name.to_lowercase()));
    out.extend(new.map(|name| by_a_person(case, Kind::RotateSharedCredential, name.into())));
    out.extend(unplanned::left_tasks(case.id, asked));
    out.retain(|t| !case.tasks.contains_key(&t.id));
    out
}

fn by_a_person(case: &Case, kind: Kind, object: ObjectId) -> PlannedTask {
    PlannedTask::new(case.id, kind, &System::person(), Some(object), Facts::new())
}

/// Whether no machine's task keeps all of it: none can, or the one that there is keeps it
/// for a shorter time, or somebody has decided to go without; or, where the case's own
/// request does not want it, other tasks were told so when they were planned.
fn is_for_a_person(case: &Case, kept: Kept, is_own: bool, by_machines: &[PlannedTask]) -> bool {
    let lacks = |t: &PlannedTask| {
        let mine = case.tasks.get(&t.id);
        mine.is_some_and(|mine| mine.is_waived() || !lasts_as_long(&mine.planned, t))
    };
    let lacking = by_machines.is_empty() || by_machines.iter().any(lacks);
    let waived = |kinds: &[Kind]| case.tasks.values().any(|t| kinds.contains(&t.kind()) && t.is_waived());
    match kept {
        Kept::LegalHold => {
            let told = case.has(Kind::ResolveOnPremises) || case.has(Kind::ResolveInWorkspace);
            lacking || !is_own && told
        }
        Kept::Archive => lacking || !is_own && case.has(Kind::ResolveInWorkspace),
        Kept::Files => !is_own || waived(&HANDING_OVER),
        Kept::Devices => !is_own,
    }
}

fn lasts_as_long(mine: &PlannedTask, theirs: &PlannedTask) -> bool {
    LENGTHS.iter().all(|length| {
        let theirs = theirs.params.int(length);
        let enough = |mine: i64| theirs.is_some_and(|theirs| mine >= theirs);
        mine.params.int(length).is_none_or(enough)
    })
}

/// What a person's task is about, and in which case it is wanted.
fn about(task: &Task) -> Option<(Kept, CaseId)> {
    let object = task.planned.target.object.as_ref();
    let object = object.filter(|_| task.kind() == Kind::DecidePreservation)?;
    let (word, other) = object.0.split_once('/')?;
    let kept = Kept::ALL.into_iter().find(|kept| kept.word() == word)?;
    Some((kept, other.parse().ok()?))
}

/// The case for whose sake a person is asked; none for any other task.
#[must_use]
pub fn asked_by(task: &Task) -> Option<CaseId> {
    about(task).map(|(_, other)| other)
}

/// What a case that takes this task up is to choose, whoever wanted it kept.
pub(crate) fn choose_again(task: &Task, choices: &mut Choices) {
    let by_a_machine = Kept::ALL.into_iter().find(|kept| kept.kind() == Some(task.kind()));
    if let Some(kept) = by_a_machine.or_else(|| Some(about(task)?.0)) {
        kept.choose(choices);
    }
}

/// What a person is to decide: who wants what kept, by which request, and what he can do.
#[must_use]
pub fn words(case: &Case, task: &Task) -> Option<String> {
    let (kept, other) = about(task)?;
    let asked = case.joined.get(&other)?.asked.as_ref()?;
    let reference = asked.reference.as_deref();
    let reference = reference.map(|r| format!("{r}, ")).unwrap_or_default();
    let how = match kept {
        Kept::Devices => {
            "waive each wipe that is not to be (`offboard waive`: to attest this calls none off, and each asks for its own approval again; no waiver calls off one that was ordered already: keep that device switched off until you have seen at its vendor's what can be withdrawn) and attest that"
        }
        Kept::LegalHold | Kept::Archive | Kept::Files => "see to it by hand and attest that",
    };
    Some(format!(
        "{} wants {} ({reference}case {other}), and this plan does not see to all of it; {how}, or decide to go without (`offboard waive`), or cancel this case: the other then goes on by itself and does it",
        asked.requested_by,
        kept.words()
    ))
}
