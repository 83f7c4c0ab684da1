//! The vendors' clocks: what is lost by itself, and when, unless somebody acts.
//!
//! A clock begins with what was read or done in a case (a licence that went, an
//! account that somebody deleted) and runs on when the case is closed. So it is told
//! from the case alone, at any time. Where a case cannot say which of several events
//! began it, the first does: to be warned too early loses nothing. Where it only knows
//! that something was so already (a licence that somebody took before anybody looked, an
//! account that is no longer there), the clock may end before what is told, and that is
//! said with it.

use crate::case::Case;
use crate::catalogue::workspace::DELETED_MS;
use crate::catalogue::{Area, Kind, workspace};
use crate::fault::FaultClass;
use crate::id::{System, TaskId};
use crate::task::{Outcome, Task, TaskState};
use crate::time::{DAY_MS, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a clock ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Clock {
    /// A OneDrive whose owner has no licence can be read, and not written.
    #[serde(rename = "onedrive_read_only")]
    OneDriveReadOnly,
    /// It is archived.
    #[serde(rename = "onedrive_archived")]
    OneDriveArchived,
    /// What is archived and not paid for is deleted, holds or not.
    #[serde(rename = "onedrive_deleted")]
    OneDriveDeleted,
    /// A deleted account is past restoring, and its files with it.
    #[serde(rename = "account_past_restoring")]
    AccountPastRestoring,
}

/// Those that begin when an account loses its licence.
const OF_A_LICENCE: [Clock; 3] = [Clock::OneDriveReadOnly, Clock::OneDriveArchived, Clock::OneDriveDeleted];
/// For how long Microsoft lets a deleted account be restored, and keeps its OneDrive
/// unless the tenant was told to keep it longer.
const MICROSOFT_RESTORES_MS: i64 = 30 * DAY_MS;
/// Those for which nothing but the account itself can be missing.
const OF_THE_ACCOUNT: [Kind; 5] = [
    Kind::DisableSignIn,
    Kind::ResetPassword,
    Kind::RevokeSessions,
    Kind::RevokeSessionsAgain,
    Kind::ReleaseDirectLicenses,
];

impl Clock {
    /// How long it runs. Microsoft: unlicensed OneDrive accounts (60 days, 93 days,
    /// and a year for what is not paid for, MC1381110). Google: restoring a user who
    /// was recently deleted (20 days).
    #[must_use]
    pub fn runs_ms(self) -> i64 {
        let days = match self {
            Self::OneDriveReadOnly => 60,
            Self::OneDriveArchived => 93,
            Self::OneDriveDeleted => 365,
            Self::AccountPastRestoring => 20,
        };
        days * DAY_MS
    }

    /// What happens then.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::OneDriveReadOnly => "the OneDrive becomes read-only",
            Self::OneDriveArchived => "the OneDrive is archived, and nobody reaches it",
            Self::OneDriveDeleted => "the archived OneDrive is deleted for good, unless it is paid for",
            Self::AccountPastRestoring => "the deleted account can no longer be restored",
        }
    }

    /// What to do before.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::OneDriveReadOnly | Self::OneDriveArchived => {
                "unless a licence that was kept includes it: have the successor copy what is needed, or give the account a licence again"
            }
            Self::OneDriveDeleted => "reactivate the archive (SharePoint admin center) and copy what is needed",
            Self::AccountPastRestoring => {
                "if files or mail of it are needed, restore it (Google: Admin console, Users > Recently deleted; Microsoft: Entra admin center, Users > Deleted users), and transfer or export them"
            }
        }
    }
}

/// A clock that runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Deadline {
    /// When it ends: at the earliest, or at the latest.
    pub at: Timestamp,
    /// In which system.
    pub system: System,
    /// Which it is.
    pub clock: Clock,
    /// It began at an unknown time before it was noticed, so that it may end before `at`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub or_before: bool,
}

/// Since when something is so. The earlier one is the smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Since {
    at: Timestamp,
    or_before: bool,
}

impl Since {
    /// It happened then.
    fn on(at: Timestamp) -> Self {
        Self { at, or_before: false }
    }

    /// It was so then.
    fn by(at: Timestamp) -> Self {
        Self { at, or_before: true }
    }
}

/// For each system the first.
type Firsts<'a> = BTreeMap<&'a System, Since>;

fn note<'a>(firsts: &mut Firsts<'a>, system: &'a System, since: Option<Since>) {
    if let Some(since) = since {
        let first = firsts.entry(system).or_insert(since);
        *first = since.min(*first);
    }
}

impl Case {
    /// The clocks that its departure has set going, the first to end first.
    #[must_use]
    pub fn deadlines(&self) -> Vec<Deadline> {
        let mut without_licence = Firsts::new();
        let mut deleted_in_workspace = Firsts::new();
        let mut deleted_in_cloud = Firsts::new();
        for task in self.tasks.values() {
            let system = &task.planned.target.system;
            note(&mut without_licence, system, self.unlicensed_since(task));
            note(&mut deleted_in_workspace, system, deleted_at(task).map(Since::on));
            note(&mut deleted_in_cloud, system, self.missing_since(task));
        }
        without_licence.retain(|system, _| !self.has_no_drive(system));
        let of_a_licence = without_licence
            .into_iter()
            .flat_map(|(system, since)| OF_A_LICENCE.map(|clock| (system, clock, since, clock.runs_ms())));
        let deleted = Clock::AccountPastRestoring;
        let of_workspace = deleted_in_workspace
            .into_iter()
            .map(|(system, since)| (system, deleted, since, deleted.runs_ms()));
        let of_cloud = deleted_in_cloud
            .into_iter()
            .map(|(system, since)| (system, deleted, since, MICROSOFT_RESTORES_MS));
        let mut all: Vec<Deadline> = of_a_licence
            .chain(of_workspace)
            .chain(of_cloud)
            .map(|(system, clock, since, runs_ms)| Deadline {
                at: since.at.plus(runs_ms),
                system: system.clone(),
                clock,
                or_before: since.or_before,
            })
            .collect();
        all.sort();
        all
    }

    /// Since when the account has lost its licence, as far as this task tells.
    fn unlicensed_since(&self, task: &Task) -> Option<Since> {
        let system = &task.planned.target.system;
        let read = |fact: &str| {
            let seen = task.last_seen()?;
            let none = seen.facts.list(fact)?.is_empty();
            (none && self.has_a_drive(system)).then(|| Since::by(seen.read_at))
        };
        match task.kind() {
            Kind::ReleaseGroupLicenses => self.released_since(task, "licence_group_ids", "licence_group_ids"),
            Kind::ReleaseDirectLicenses => self.released_since(task, "direct_sku_ids", "sku_ids"),
            // Somebody has taken it by hand, before anybody looked or after.
            Kind::SnapshotDirectory => read("sku_ids"),
            Kind::ProvePool => read("assigned_sku_ids"),
            _ => None,
        }
    }

    /// When this task took a licence from the account, if it did. An earlier try may have,
    /// whose reading had not caught up. Who goes without it has taken the licence by hand,
    /// or lets it be: of what was never held he cannot have.
    fn released_since(&self, task: &Task, held: &str, recorded: &str) -> Option<Since> {
        let TaskState::Settled { outcome, at } = &task.state else {
            return None;
        };
        match outcome {
            Outcome::Verified => {
                let before = task.before.as_ref().and_then(|seen| seen.facts.list(held));
                let took = task.attempt > 1 || before.is_some_and(|held| !held.is_empty());
                took.then(|| Since::on(*at))
            }
            Outcome::Waived { .. } => {
                let system = &task.planned.target.system;
                let mut records = self.of(Kind::SnapshotDirectory, system);
                let held_none = records.any(|t| {
                    let recorded = t.last_seen().and_then(|seen| seen.facts.list(recorded));
                    recorded.is_some_and(<[String]>::is_empty)
                });
                (!held_none).then(|| Since::by(*at))
            }
            _ => None,
        }
    }

    /// Since when the account of a cloud that this task is about is not there, if it was
    /// read as gone at the end, or missed by what then was left to a person.
    fn missing_since(&self, task: &Task) -> Option<Since> {
        if !task.kind().is_of_a_cloud() {
            return None;
        }
        let read = self.accounts_gone.get(&task.id()).copied();
        let is_left = matches!(task.state, TaskState::Failed { .. }) || task.is_waived();
        let missed = match &task.last_fault {
            Some((at, fault))
                if fault.class == FaultClass::Absent && is_left && OF_THE_ACCOUNT.contains(&task.kind()) =>
            {
                Some(*at)
            }
            _ => None,
        };
        let missed = missed.filter(|at| !self.account_was_there_after(&task.planned.target.system, *at));
        read.into_iter().chain(missed).min().map(Since::by)
    }

    /// Whether anything was read of the account after this: a directory may miss for a
    /// moment what is there.
    fn account_was_there_after(&self, system: &System, missed: Timestamp) -> bool {
        let of_it = |id: &TaskId| self.tasks.get(id).is_some_and(|t| t.planned.target.system == *system);
        // The closing round is over whatever it has read.
        let gone_at_the_end = self.accounts_gone.keys().any(of_it);
        self.tasks.values().any(|t| {
            let kind = t.kind();
            let reads_it = (kind == Kind::ObserveIdentity && !gone_at_the_end)
                || (kind.is_of_a_cloud()
                    && !kind.is_closing_round()
                    && matches!(kind.spec().area, Area::Identity | Area::License));
            reads_it
                && t.planned.target.system == *system
                && matches!(&t.state, TaskState::Settled { outcome, at } if outcome.is_proven() && *at > missed)
        })
    }

    fn of(&self, kind: Kind, system: &System) -> impl Iterator<Item = &Arc<Task>> {
        self.tasks
            .values()
            .filter(move |t| t.kind() == kind && t.planned.target.system == *system)
    }

    /// Whether the OneDrive was seen. Who goes without handing it over says of none that
    /// there is not.
    fn has_a_drive(&self, system: &System) -> bool {
        let seen = |t: &Arc<Task>| t.last_seen().and_then(|seen| seen.facts.bool("drive_exists")) == Some(true);
        self.of(Kind::HandOverOneDrive, system)
            .any(|t| seen(t) || t.is_waived())
    }

    /// Whether the OneDrive was looked for, and there is none.
    fn has_no_drive(&self, system: &System) -> bool {
        self.of(Kind::HandOverOneDrive, system)
            .any(|t| matches!(t.outcome(), Some(Outcome::NotApplicable { .. })))
    }
}

/// When the account of this task was deleted, if it was and the workspace says so.
fn deleted_at(task: &Task) -> Option<Timestamp> {
    if !workspace::KINDS.contains(&task.kind()) {
        return None;
    }
    task.last_seen()?.facts.int(DELETED_MS).map(Timestamp)
}
