//! The tenant's and the systems' state that no single case holds, passed into
//! decisions by value.

use crate::catalogue::{Area, Kind, Lane};
use crate::id::{CaseId, System};
use crate::policy::Policy;
use crate::time::Timestamp;
use crate::wake::{Wake, WakeReason};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many assignments may still be put in flight, by area and lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit([[u32; 2]; 6]);

fn place(area: Area) -> Option<usize> {
    Area::MACHINES.iter().position(|a| *a == area)
}

impl Credit {
    /// None at all.
    pub const NONE: Self = Self([[0; 2]; 6]);
    /// As much as is asked for.
    pub const UNLIMITED: Self = Self([[u32::MAX; 2]; 6]);

    /// The credit of one queue.
    #[must_use]
    pub fn get(&self, area: Area, lane: Lane) -> u32 {
        place(area).map_or(0, |i| self.0[i][lane as usize])
    }

    /// Sets the credit of one queue.
    pub fn set(&mut self, area: Area, lane: Lane, n: u32) {
        if let Some(i) = place(area) {
            self.0[i][lane as usize] = n;
        }
    }

    /// This and that.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        let theirs = other.0.iter().flatten();
        for (mine, theirs) in self.0.iter_mut().flatten().zip(theirs) {
            *mine = mine.saturating_add(*theirs);
        }
        self
    }

    /// Takes one, if there is one.
    pub fn take(&mut self, area: Area, lane: Lane) -> bool {
        match place(area).map(|i| &mut self.0[i][lane as usize]) {
            Some(n) if *n > 0 => {
                if *n != u32::MAX {
                    *n -= 1;
                }
                true
            }
            _ => false,
        }
    }
}

/// The gates of one decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gates {
    /// What may be put in flight.
    pub credit: Credit,
    /// What is shut, and until when: `hold/<system>` after a vendor asked to
    /// slow down; `pause`, `pause/<system>`, `pause/<system>/<kind>` and
    /// `pause/*/<kind>` by a person; `away/<system>/<area>` while the workers of its
    /// site that serve the area are silent, and then `since/away/<system>/<area>` says
    /// since when (`away/<system>` of all areas, from an older version). Beside them
    /// stands who leaves ([`crate::leaving`]), and who paused what (`by/…`), which shut nothing.
    pub shut: BTreeMap<String, Timestamp>,
    /// Which open case claims the subject, if another one does.
    pub claimed_by: Option<CaseId>,
    /// The tenant's cap of departures is reached.
    pub capped: bool,
    /// The tenant's policy as it is configured now, where that is known. A case keeps the
    /// one that it was opened under; of this one, what the list of protected accounts has
    /// more than that counts as well, until something is written.
    pub policy_now: Option<Arc<Policy>>,
}

impl Gates {
    /// All open.
    #[must_use]
    pub fn open() -> Self {
        Self {
            credit: Credit::UNLIMITED,
            shut: BTreeMap::new(),
            claimed_by: None,
            capped: false,
            policy_now: None,
        }
    }

    /// Since when the workers of the system's site that serve an area are silent, if
    /// they are.
    #[must_use]
    pub fn away_since(&self, system: &System, area: Area) -> Option<Timestamp> {
        let of_area = self.shut.get(&format!("since/away/{system}/{area}"));
        let since = of_area.or_else(|| self.shut.get(&format!("since/away/{system}")));
        since.copied()
    }

    /// Until when, and why, this kind on this system is shut, if it is at
    /// `now`; the latest of several.
    #[must_use]
    pub fn shut(&self, system: &System, kind: Kind, now: Timestamp) -> Option<Wake> {
        if self.shut.is_empty() {
            return None;
        }
        let names = [
            ("pause".to_owned(), WakeReason::PauseEnds),
            (format!("pause/{system}"), WakeReason::PauseEnds),
            (format!("pause/{system}/{kind}"), WakeReason::PauseEnds),
            (format!("pause/*/{kind}"), WakeReason::PauseEnds),
            (format!("hold/{system}"), WakeReason::HoldEnds),
            (format!("away/{system}"), WakeReason::SiteAway),
            (format!("away/{system}/{}", kind.spec().area), WakeReason::SiteAway),
        ];
        names
            .into_iter()
            .filter_map(|(name, why)| self.shut.get(&name).map(|at| Wake { at: *at, why }))
            .filter(|wake| wake.at > now)
            .max()
    }
}
