//! A directory inside the client's network, which masters accounts that a cloud
//! copies. Its tasks are found by one that looks the person up there, so that
//! the cloud's never wait for a site that is away; what the cloud would refuse
//! for a copied account is done here, and watched until the copy agrees.

use super::Kind;
use super::license::HOLD_TAKES_EFFECT_MS;
use super::spec::*;
use crate::control;
use crate::judge::{Cond, Judge};

/// The kinds of a directory on the premises, and the cloud's watch for it: a
/// tenant without such a directory has none of them.
pub const KINDS: &[Kind] = &[
    Kind::ResolveOnPremises,
    Kind::DisableOnPremises,
    Kind::ResetPasswordOnPremises,
    Kind::HideOnPremises,
    Kind::RemoveGroupsOnPremises,
    Kind::AwaitSynchronisation,
    Kind::DiscoverComputers,
    Kind::DisableComputer,
    Kind::MoveToLeaversUnit,
];

/// The parameter, and the fact, that another directory on the premises has his account.
/// In no stored task.
pub const FOUND_ELSEWHERE: &str = "found_elsewhere";

/// The parameter of a cloud's task about an account that is mastered on the
/// premises, when that directory is connected: what the cloud refuses is
/// changed there.
pub const MASTERED: &str = "mastered_on_premises";

/// The parameter that says by which security identifier the cloud knows the
/// account on the premises.
pub const SECURITY_ID: &str = "on_premises_security_id";

/// Among the facts of the cloud's finder: by which ids the company's devices that are
/// joined to a domain as well (a hybrid join) are known. Such an id, the cloud's
/// `deviceId`, is the computer's own immutable id in its domain (its `objectGUID`).
pub const HYBRID_JOINED: &str = "hybrid_joined_ids";

/// The parameter with the ids of the computers that a directory on the premises is to
/// look for. In no stored task.
pub const SOUGHT: &str = "sought_ids";

/// The parameter of a computer that was found because a cloud lists its device.
pub const FOR_THE_CLOUD: &str = "hybrid_joined";

/// The parameter, and the fact, whether the cloud lists that device as his still. In no
/// stored task.
pub const LISTED: &str = "listed_as_his";

/// The fact that a directory on the premises was searched by something that it need not
/// take from the cloud (HR's number): a sign-in name and an address of the cloud's are
/// often none of an account that is nobody's original.
pub const SEARCHED_BY_KEY: &str = "searched_by_key";

/// The parameter that says that the plan keeps nothing that hangs on licences.
pub const LICENCES_UNKEPT: &str = "licences_unkept";

/// The parameter that says that a legal hold is wanted, which needs a licence.
pub const HOLD_WANTED: &str = "hold_wanted";

/// Finds the account by the security identifier that the cloud gives, else by
/// its names, and records it before any write. Of several directories that the cloud
/// copies, one has it; a person is asked when none of them does. That no account has the
/// cloud's names says little where it is no copy, so he is declared absent only by HR's
/// number. Facts: `found`, `found_elsewhere`, `searched_by_key`, `ambiguous`, `match_count`,
/// `object_id`, `security_id`, `enabled`, `protected`, `group_ids`, `computer_ids`.
pub(super) const RESOLVE: KindSpec = KindSpec {
    name: "identity.resolve_on_premises",
    title: "Find the account in the directory on the premises, and record it before any write",
    after: &[Dep::on(Kind::Resolve)],
    finds: &[
        Kind::DisableOnPremises,
        Kind::ResetPasswordOnPremises,
        Kind::HideOnPremises,
        Kind::RemoveGroupsOnPremises,
        Kind::DisableComputer,
        Kind::MoveToLeaversUnit,
    ],
    judge: Judge {
        not_applicable: &[
            (
                Cond::All(&[
                    Cond::False("found"),
                    Cond::True(SEARCHED_BY_KEY),
                    Cond::Not(&Cond::HasParam(SECURITY_ID)),
                ]),
                "the directory on the premises has no account with his names or his employee number",
            ),
            (
                Cond::All(&[Cond::False("found"), Cond::True(FOUND_ELSEWHERE)]),
                "another directory on the premises has his account",
            ),
        ],
        satisfied: Cond::All(&[
            Cond::True("found"),
            Cond::False("ambiguous"),
            Cond::Is("protected", "no"),
        ]),
        blocked: &[
            (
                Cond::All(&[Cond::False("found"), Cond::Not(&Cond::HasParam(SECURITY_ID))]),
                "the directory on the premises has no account by the cloud's names for him, which proves nothing: an account that is not synchronised may be called otherwise there, and no employee number was searched. Look there; if he has none, waive this, else disable it there by hand first",
            ),
            (
                Cond::False("found"),
                "the cloud copies his account from a directory, and this one has none with its security identifier: is it another domain's? Disable it there by hand, then waive this",
            ),
            (
                Cond::True("ambiguous"),
                "his names lead to different accounts in the directory on the premises, or only some of them to one (the account name there may be the first part of his address and still be a namesake's); see which is his, do there by hand what is to be done, then waive this",
            ),
            (
                Cond::Is("protected", "listed"),
                "the account on the premises is on the tenant's list of protected accounts; nothing was written there. If it really goes, end it there by hand, then waive this",
            ),
            (
                Cond::Is("protected", "built_in"),
                "on the premises it is an account that came with the domain; it is never touched",
            ),
            (
                Cond::Is("protected", "administers"),
                "on the premises he is in a group that administers the domain; take him out of it by hand, then retry",
            ),
            (
                Cond::Is("protected", "marked"),
                "on the premises the directory protects his account (adminCount is 1): he administers the domain, or did; if he is in no such group any more, clear adminCount and let the account inherit permissions again, then retry",
            ),
        ],
    },
    ..READING
};

/// Where the truth is. Fact: `enabled`.
pub(super) const DISABLE: KindSpec = KindSpec {
    name: "identity.disable_on_premises",
    title: "Disable the account in the directory on the premises",
    urgency: Urgency::U0,
    wanted: Wanted::Found,
    approval: Approval::PlanOrBurst,
    // Another domain, whose site may be away, says nothing about this account.
    after: &[Dep::only(Kind::ResolveOnPremises).in_its_system()],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::False("enabled"),
        blocked: &[],
    },
    ..WRITING
};

/// Generated, set, dropped; seen by nobody. Fact: `password_changed_ms`.
pub(super) const RESET_PASSWORD: KindSpec = KindSpec {
    name: "identity.reset_password_on_premises",
    title: "Reset the password on the premises to one that nobody knows",
    urgency: Urgency::U0,
    wanted: Wanted::Found,
    approval: Approval::PlanOrBurst,
    after: &[
        Dep::only(Kind::ResolveOnPremises).in_its_system(),
        Dep::on(Kind::DisableOnPremises).in_its_system(),
    ],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::MovedPast("password_changed_ms"),
        blocked: &[],
    },
    proof: Proof::Counter,
    closing: ClosingProof::Receipt("the value only grows; it proved the reset when it moved"),
    ..WRITING
};

/// Facts: `hidden`, `can_be_hidden`.
pub(super) const HIDE: KindSpec = KindSpec {
    name: "identity.hide_on_premises",
    title: "Hide from address lists, on the premises",
    skippable: true,
    wanted: Wanted::Found,
    after: &[
        Dep::only(Kind::ResolveOnPremises).in_its_system(),
        Dep::on(Kind::DisableOnPremises).in_its_system(),
    ],
    judge: Judge {
        not_applicable: &[(
            Cond::All(&[Cond::False("can_be_hidden"), Cond::Not(&Cond::HasParam("has_mailbox"))]),
            "the directory has no Exchange attributes, and he has no mailbox",
        )],
        satisfied: Cond::True("hidden"),
        blocked: &[(
            Cond::False("can_be_hidden"),
            "the directory's schema has no Exchange attributes, and the cloud takes this from there alone; extend the schema with Exchange's (setup /PrepareSchema) or have the synchronisation set it by a rule, then retry, or waive this",
        )],
    },
    controls: control::RETENTION,
    ..WRITING
};

/// A group may give a licence in the cloud, so none is left before what hangs
/// on licences is kept. Facts: `removable_group_ids`, `protected_group_ids`.
pub(super) const REMOVE_GROUPS: KindSpec = KindSpec {
    name: "identity.remove_groups_on_premises",
    title: "Remove group memberships on the premises",
    urgency: Urgency::U2,
    wanted: Wanted::Found,
    after: &[
        Dep::only(Kind::ResolveOnPremises).in_its_system(),
        Dep::on(Kind::DisableOnPremises).in_its_system(),
        Dep::delayed(Kind::HoldMailbox, HOLD_TAKES_EFFECT_MS),
        Dep::on(Kind::ArchiveMailbox),
        Dep::on(Kind::ConvertToShared),
        Dep::on(Kind::GrantSuccessorMailbox),
        Dep::on(Kind::CancelMeetings),
        Dep::on(Kind::HandOverMeetings),
        Dep::on(Kind::RemoveMobilePartnerships),
        Dep::on(Kind::HandOverOneDrive),
        Dep::on(Kind::DecideOneDrive),
        Dep::only(Kind::DiscoverDevices),
        Dep::on(Kind::RetireDevice),
        Dep::on(Kind::DecidePreservation),
    ],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::All(&[Cond::Empty("removable_group_ids"), Cond::Empty("protected_group_ids")]),
        blocked: &[
            (
                Cond::HasParam(LICENCES_UNKEPT),
                "a group may give a licence in the cloud, and nothing in the plan keeps the mailbox and the files that hang on it; take him out of the groups by hand, then retry",
            ),
            (
                Cond::HasParam(HOLD_WANTED),
                "a group may give in the cloud the licence that the legal hold needs; see which one does, take him out of the others by hand, then waive this",
            ),
            (
                Cond::Empty("removable_group_ids"),
                "what is left are groups that the directory protects, that another domain has, or that the account that signs in may not see; take him out of them by hand, then retry",
            ),
        ],
    },
    controls: control::GROUPS,
    ..WRITING
};

/// By the ids that the cloud knows. It is a finder of its own, and the cloud's does
/// not find what it finds: else whatever waits for the devices that the cloud finds
/// would wait for a site that is away. See
/// `docs/decisions/0039-a-hybrid-joined-device-is-disabled-in-its-domain.md`. Facts:
/// `sought_ids`, `computer_ids`, `server_ids`, `only_elsewhere_ids`, and for each
/// computer `held/ID`, `device_id/ID`.
pub(super) const DISCOVER_COMPUTERS: KindSpec = KindSpec {
    name: "device.discover_computers",
    title: "Find the computers of his hybrid-joined devices in the directory on the premises",
    area: Area::Device,
    stage: Stage::Devices,
    urgency: Urgency::U1,
    after: &[Dep::on(Kind::Resolve), Dep::only(Kind::DiscoverDevices)],
    finds: &[Kind::DisableComputer],
    judge: Judge {
        not_applicable: &[(
            Cond::Empty(SOUGHT),
            "the cloud knows no company device of his that is joined to a domain as well",
        )],
        satisfied: Cond::Always,
        blocked: &[],
    },
    controls: control::RETURN,
    read_anew: true,
    ..READING
};

/// Said to be his by the directory (`managedBy`), or by the cloud, where the device is
/// joined to both: each asks by itself. Facts: `object_exists`, `object_enabled`, and
/// for one of the cloud's `listed_as_his`.
pub(super) const DISABLE_COMPUTER: KindSpec = KindSpec {
    name: "device.disable_computer",
    title: "Disable the computer in the directory on the premises",
    area: Area::Device,
    stage: Stage::Devices,
    skippable: true,
    urgency: Urgency::U3,
    wanted: Wanted::Found,
    approval: Approval::Own,
    after: &[
        Dep::only(Kind::ResolveOnPremises).in_its_system(),
        Dep::only(Kind::DiscoverDevices),
        Dep::only(Kind::DiscoverComputers).in_its_system(),
        Dep::on(Kind::EscrowRecoveryKeys).of_its_device(),
        Dep::on(Kind::WipeDevice).of_its_device(),
        Dep::on(Kind::RetireDevice).of_its_device(),
    ],
    judge: Judge {
        not_applicable: &[(Cond::False("object_exists"), "the directory no longer has the computer")],
        satisfied: Cond::False("object_enabled"),
        blocked: &[(
            Cond::False(LISTED),
            "the cloud listed the device as his when its computer was looked for, and does not any more: it may be somebody else's by now. Disable the computer by hand if it is still to be, else waive this",
        )],
    },
    controls: control::SANITISATION,
    ..WRITING
};

/// In the cloud: until a synchronisation has brought what was changed on the
/// premises, the copy can be what it was. A synchronisation stamps the objects that it
/// changes, and a membership is its group's: `synchronised_since` is of what was changed of the
/// account itself, and for groups the state must agree. Facts: `changed_on_premises`,
/// `synchronised_since`, `enabled`, `synced_group_ids`.
pub(super) const AWAIT_SYNCHRONISATION: KindSpec = KindSpec {
    name: "identity.await_synchronisation",
    title: "Watch until the cloud's copy agrees with the directory on the premises",
    stage: Stage::Access,
    urgency: Urgency::U2,
    after: &[
        Dep::only(Kind::ResolveOnPremises),
        Dep::on(Kind::DisableOnPremises),
        Dep::on(Kind::ResetPasswordOnPremises),
        Dep::on(Kind::HideOnPremises),
        Dep::on(Kind::RemoveGroupsOnPremises),
    ],
    judge: Judge {
        not_applicable: &[(
            Cond::False("changed_on_premises"),
            "nothing had to be changed on the premises",
        )],
        satisfied: Cond::All(&[
            Cond::True("synchronised_since"),
            Cond::False("enabled"),
            Cond::Empty("synced_group_ids"),
        ]),
        blocked: &[],
    },
    closing: ClosingProof::Receipt(
        "a synchronisation since the last change was seen; what it brought is read by itself",
    ),
    controls: control::RECONCILIATION,
    ..READING
};

/// Last: an account that is moved out of what is synchronised is deleted in the
/// cloud, with all that hangs on it. Fact: `among_leavers`.
pub(super) const MOVE_TO_LEAVERS_UNIT: KindSpec = KindSpec {
    name: "identity.move_to_leavers_unit",
    title: "Move the account to the leavers' unit",
    stage: Stage::Licences,
    skippable: true,
    urgency: Urgency::U3,
    wanted: Wanted::Found,
    after: &[
        Dep::only(Kind::ResolveOnPremises),
        Dep::on(Kind::DisableOnPremises),
        Dep::on(Kind::ResetPasswordOnPremises),
        Dep::on(Kind::HideOnPremises),
        Dep::on(Kind::RemoveGroupsOnPremises),
        // With what it finds.
        Dep::on(Kind::DiscoverComputers),
        Dep::on(Kind::DisableComputer),
        Dep::on(Kind::AwaitSynchronisation),
        Dep::on(Kind::RemoveGroupMemberships),
        // What is deleted in the cloud has no assignments that could be read, and a workspace
        // may be an application that deletes an account with its assignment.
        Dep::on(Kind::RemoveAppRoles),
        Dep::only(Kind::ResolveInWorkspace),
        Dep::on(Kind::SetForwardingInWorkspace),
        Dep::on(Kind::GrantMailInWorkspace),
        Dep::on(Kind::TransferFiles),
        Dep::on(Kind::HandOverSharedDrives),
        Dep::on(Kind::WipeAccount),
        Dep::on(Kind::DisableLaptops),
        // Whoever went without a release may still have something kept.
        Dep::delayed(Kind::HoldMailbox, HOLD_TAKES_EFFECT_MS),
        Dep::on(Kind::ArchiveMailbox),
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
        Dep::on(Kind::DecidePreservation),
        Dep::on(Kind::ReleaseGroupLicenses),
        Dep::on(Kind::ReleaseDirectLicenses),
        Dep::on(Kind::ProvePool),
    ],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::True("among_leavers"),
        blocked: &[],
    },
    ..WRITING
};
