//! Files and notes.

use super::Kind;
use super::spec::*;
use crate::control;
use crate::judge::{Cond, Judge};

/// Site administrator, who is still there himself; link recorded. Facts:
/// `drive_exists`, `successor_is_admin`, `successor_enabled`, `link`. Parameter:
/// `successor_id`.
pub(super) const HAND_OVER_ONEDRIVE: KindSpec = KindSpec {
    name: "knowledge.hand_over_onedrive",
    title: "Make the successor administrator of the OneDrive",
    area: Area::Knowledge,
    stage: Stage::Knowledge,
    urgency: Urgency::U2,
    wanted: Wanted::Chosen("onedrive"),
    after: &[Dep::on(Kind::SnapshotDirectory), Dep::on(Kind::DisableSignIn)],
    judge: Judge {
        not_applicable: &[(Cond::False("drive_exists"), "the OneDrive was never set up")],
        satisfied: Cond::All(&[Cond::True("successor_is_admin"), Cond::True("successor_enabled")]),
        blocked: &[
            (
                Cond::Not(&Cond::HasParam("successor_id")),
                "there is no successor for the OneDrive; waive this (its deletion clock starts with the licence), or cancel and hand the departure in with one under a new reference",
            ),
            // Who has not been given it yet is looked at before he is.
            (
                Cond::All(&[Cond::True("successor_is_admin"), Cond::False("successor_enabled")]),
                "the successor was given the OneDrive, and his account is disabled or gone: he has left himself; waive this (its deletion clock starts with the licence), or cancel and hand the departure in with another successor under a new reference",
            ),
        ],
    },
    controls: control::RETENTION,
    keeps: true,
    ..WRITING
};

/// The closing round of this area.
pub(super) const OBSERVE_AGAIN: KindSpec = KindSpec {
    name: "knowledge.observe_again",
    title: "Read every hand-over's end state once more",
    area: Area::Knowledge,
    ..OBSERVING_AGAIN
};
