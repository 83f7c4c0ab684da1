//! Licences. Released only when nothing that hangs on them can be lost: a
//! mailbox without a licence is deleted after 30 days, and a OneDrive's
//! deletion clock starts with it.

use super::Kind;
use super::spec::*;
use crate::control;
use crate::judge::{Cond, Judge};
use crate::time::{HOUR_MS, MINUTE_MS};

/// How long a hold may take to be in force after it is set and read as set;
/// until then a mailbox without its licence may lose what the hold is for.
/// Microsoft says up to 60 minutes (litigation hold, Exchange Online).
pub(super) const HOLD_TAKES_EFFECT_MS: i64 = HOUR_MS;

const LICENSE: KindSpec = KindSpec {
    area: Area::License,
    stage: Stage::Licences,
    urgency: Urgency::U3,
    controls: control::LICENCES,
    ..WRITING
};

/// What every release waits for: the mailbox proven kept, the OneDrive handed over
/// or given up by a person, and a decision about what else somebody wants kept.
const PRESERVED: &[Dep] = &[
    Dep::on(Kind::SnapshotDirectory),
    Dep::delayed(Kind::HoldMailbox, HOLD_TAKES_EFFECT_MS),
    Dep::on(Kind::ConvertToShared),
    Dep::on(Kind::GrantSuccessorMailbox),
    Dep::on(Kind::CancelMeetings),
    Dep::on(Kind::HandOverMeetings),
    Dep::on(Kind::RemoveMobilePartnerships),
    Dep::on(Kind::HandOverOneDrive),
    Dep::on(Kind::DecideOneDrive),
    Dep::only(Kind::DiscoverDevices),
    Dep::on(Kind::RetireDevice),
    Dep::on(Kind::WipeDevice),
    Dep::on(Kind::ArchiveMailbox),
    Dep::on(Kind::DecidePreservation),
];

/// Groups first: a licence that a group gives cannot be taken from the person.
/// Fact: `licence_group_ids`.
pub(super) const RELEASE_GROUPS: KindSpec = KindSpec {
    name: "license.release_groups",
    title: "Leave the groups that give licences",
    skippable: true,
    after: PRESERVED,
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::Empty("licence_group_ids"),
        blocked: &[(
            Cond::True("only_unremovable_left"),
            "what is left are dynamic or synchronised groups that give licences; change their rule or remove him in Active Directory, then retry",
        )],
    },
    ..LICENSE
};

/// Fact: `direct_sku_ids`, but those that a hold needs. All in one call: SKUs
/// depend on each other.
pub(super) const RELEASE_DIRECT: KindSpec = KindSpec {
    name: "license.release_direct",
    title: "Release directly assigned licences",
    skippable: true,
    after: &[
        PRESERVED[0],
        PRESERVED[1],
        PRESERVED[2],
        PRESERVED[3],
        PRESERVED[4],
        PRESERVED[5],
        PRESERVED[6],
        PRESERVED[7],
        PRESERVED[8],
        PRESERVED[9],
        PRESERVED[10],
        PRESERVED[11],
        PRESERVED[12],
        PRESERVED[13],
        Dep::on(Kind::ReleaseGroupLicenses),
    ],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::Empty("direct_sku_ids"),
        blocked: &[],
    },
    ..LICENSE
};

/// How long the pool's numbers are waited for, by whoever reads them.
pub const POOL_WITHIN_MS: i64 = 30 * MINUTE_MS;

/// The account holds none, and the pool counts one unit less of each than the
/// snapshot saw. Colleagues move these numbers too: what still differs after a
/// while is said (`pool_differs`), and the numbers then prove nothing. Facts:
/// `assigned_sku_ids`, `freed_sku_ids`, `freed_cents_per_month`, `released`,
/// `pool_agrees`, `pool_differs`, `pool_waited_ms`.
pub(super) const PROVE_POOL: KindSpec = KindSpec {
    name: "license.prove_pool",
    title: "Prove the licences in the pool and say what is freed per month",
    skippable: true,
    area: Area::License,
    stage: Stage::Licences,
    urgency: Urgency::U3,
    after: &[
        Dep::on(Kind::ReleaseGroupLicenses),
        Dep::on(Kind::ReleaseDirectLicenses),
    ],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::Any(&[
            Cond::True("pool_agrees"),
            Cond::All(&[Cond::True("released"), Cond::AtLeast("pool_waited_ms", POOL_WITHIN_MS)]),
        ]),
        blocked: &[],
    },
    acknowledged_when: Some(Cond::False("pool_agrees")),
    closing: ClosingProof::Receipt("colleagues move the pool's numbers all day"),
    controls: control::LICENCES,
    ..READING
};

/// The closing round of this area.
pub(super) const OBSERVE_AGAIN: KindSpec = KindSpec {
    name: "license.observe_again",
    title: "Read every licence task's end state once more",
    area: Area::License,
    ..OBSERVING_AGAIN
};
