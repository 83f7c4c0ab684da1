//! The vendors' clocks: what is lost by itself, and when, unless somebody acts.
//!
//! A clock begins with what was read or done in a case (a licence that went, an
//! account that somebody deleted) and runs on when the case is closed. So it is told
//! from the case alone, at any time. Where a case cannot say which of several events
//! began it, the first does: to be warned too early loses nothing.

use crate::case::Case;
use crate::catalogue::workspace::DELETED_MS;
use crate::catalogue::{Kind, workspace};
use crate::id::System;
use crate::task::{Outcome, Task, TaskState};
use crate::time::{DAY_MS, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// A deleted account of a workspace is past restoring, and its files with it.
    #[serde(rename = "account_past_restoring")]
    AccountPastRestoring,
}

/// Those that begin when an account loses its licence.
const OF_A_LICENCE: [Clock; 3] = [Clock::OneDriveReadOnly, Clock::OneDriveArchived, Clock::OneDriveDeleted];

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
                "if files or mail of it are needed, restore it (Admin console, Users > Recently deleted), and transfer or export them"
            }
        }
    }
}

/// A clock that runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Deadline {
    /// When it ends, at the earliest.
    pub at: Timestamp,
    /// In which system.
    pub system: System,
    /// Which it is.
    pub clock: Clock,
}

impl Case {
    /// The clocks that its departure has set going, the first to end first.
    #[must_use]
    pub fn deadlines(&self) -> Vec<Deadline> {
        let mut without_licence: BTreeMap<&System, Timestamp> = BTreeMap::new();
        let mut deleted: BTreeMap<&System, Timestamp> = BTreeMap::new();
        for task in self.tasks.values() {
            let system = &task.planned.target.system;
            if let Some(at) = released_at(task) {
                let since = without_licence.entry(system).or_insert(at);
                *since = at.min(*since);
            }
            if let Some(at) = deleted_at(task) {
                let since = deleted.entry(system).or_insert(at);
                *since = at.min(*since);
            }
        }
        without_licence.retain(|system, _| !self.has_no_drive(system));
        let of_a_licence = without_licence
            .into_iter()
            .flat_map(|(system, since)| OF_A_LICENCE.map(|clock| (system, clock, since)));
        let of_a_deletion = deleted
            .into_iter()
            .map(|(system, since)| (system, Clock::AccountPastRestoring, since));
        let mut all: Vec<Deadline> = of_a_licence
            .chain(of_a_deletion)
            .map(|(system, clock, since)| Deadline {
                at: since.plus(clock.runs_ms()),
                system: system.clone(),
                clock,
            })
            .collect();
        all.sort();
        all
    }

    /// Whether the OneDrive was looked for, and there is none.
    fn has_no_drive(&self, system: &System) -> bool {
        let mut hand_overs = self.tasks.values().filter(|t| t.kind() == Kind::HandOverOneDrive);
        hand_overs
            .any(|t| t.planned.target.system == *system && matches!(t.outcome(), Some(Outcome::NotApplicable { .. })))
    }
}

/// When this task took a licence from the account, if it did. An earlier try may have,
/// whose reading had not caught up.
fn released_at(task: &Task) -> Option<Timestamp> {
    let held = match task.kind() {
        Kind::ReleaseGroupLicenses => "licence_group_ids",
        Kind::ReleaseDirectLicenses => "direct_sku_ids",
        _ => return None,
    };
    let TaskState::Settled { outcome, at } = &task.state else {
        return None;
    };
    let before = task.before.as_ref().and_then(|seen| seen.facts.list(held));
    let took = task.attempt > 1 || before.is_some_and(|held| !held.is_empty());
    (*outcome == Outcome::Verified && took).then_some(*at)
}

/// When the account of this task was deleted, if it was and the workspace says so.
fn deleted_at(task: &Task) -> Option<Timestamp> {
    if !workspace::KINDS.contains(&task.kind()) {
        return None;
    }
    task.last_seen()?.facts.int(DELETED_MS).map(Timestamp)
}
