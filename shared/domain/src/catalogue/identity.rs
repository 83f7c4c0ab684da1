//! Accounts, credentials, roles, groups.

use super::Kind;
use super::premises::MASTERED;
use super::spec::*;
use crate::control;
use crate::judge::{Cond, Judge};
use crate::time::{HOUR_MS, MINUTE_MS};
use crate::unplanned::APPS_KNOWN;

/// Finds the one account that the request means. Facts: `object_id`,
/// `user_principal_name`, `other_mail` (his address is not his sign-in name),
/// `enabled`, `synced`, `guest`, `has_mailbox`, `role_count`,
/// `last_administrator`, `manager_id`, `successor_id`; `protected`, where the tenant's
/// list names it; `address_marks`, by which a later list is compared; `name_marks`, by which
/// it is known whether the request names every address of his.
pub(super) const RESOLVE: KindSpec = KindSpec {
    name: "identity.resolve",
    title: "Find the account and its immutable ids",
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::All(&[Cond::True("found"), Cond::False("ambiguous")]),
        blocked: &[
            (
                Cond::True("ambiguous"),
                "more than one account matches the request; name it by its object id",
            ),
            (Cond::False("found"), "no account matches the request"),
        ],
    },
    ..READING
};

/// The quick part: account, roles, methods. Facts: `enabled`, `synced`,
/// `sessions_valid_from_ms`, `password_changed_ms`, `role_ids`, `eligible_roles`,
/// `method_ids`.
pub(super) const SNAPSHOT_ACCESS: KindSpec = KindSpec {
    name: "identity.snapshot_access",
    title: "Record account, roles and sign-in methods before any write",
    after: &[Dep::on(Kind::Resolve)],
    read_anew: true,
    ..READING
};

/// In the record of his groups: those that give him a licence and whose members a rule
/// computes. A rule that asks whether he is enabled takes it from him as he is disabled.
pub const LICENSED_BY_RULE: &str = "dynamic_licence_group_ids";

/// The slower part: groups, ownerships, licences, grants, app roles, manager. Facts,
/// among others: `consented_app_ids`, `assigned_app_ids`, `group_app_ids`,
/// `dynamic_licence_group_ids`.
pub(super) const SNAPSHOT_DIRECTORY: KindSpec = KindSpec {
    name: "identity.snapshot_directory",
    title: "Record groups, licences, grants and manager before any write to them",
    after: &[Dep::on(Kind::Resolve)],
    read_anew: true,
    ..READING
};

/// What the applications are that the snapshot found him to have a way into, and which
/// of them nobody planned for. Nothing that takes his access waits for it: the snapshot
/// has what there was. What may delete accounts does (`identity.remove_app_roles`). Facts: `applications_known`, and lists of ids by what each is:
/// `app_ids` (all), `platform_app_ids`, `covered_app_ids`, `known_app_ids`,
/// `unplanned_app_ids`.
pub(super) const DISCOVER_APPS: KindSpec = KindSpec {
    name: "identity.discover_apps",
    title: "Find applications of his that nobody planned for",
    skippable: true,
    stage: Stage::Access,
    urgency: Urgency::U1,
    after: &[Dep::once(Kind::SnapshotDirectory)],
    // Else it could answer for a record that is just being replaced.
    conflicts: &[Kind::SnapshotDirectory],
    finds: &[Kind::DecideApp],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::True(APPS_KNOWN),
        blocked: &[(
            Cond::False(APPS_KNOWN),
            "the record of his access was made by an older version, which did not write down his applications; look at the application roles and consents in that record and in the directory, see to what is his there, then waive this",
        )],
    },
    controls: control::GRANTS,
    ..READING
};

/// First of the burst: while he holds a role, disabling him is a "sensitive
/// action" that the directory refuses to an application. Facts: `role_ids`, with
/// those that he is only eligible for; `eligible_roles` (`read`, or
/// `not licensed`, where nobody can have one); for the record `eligible_group_places`
/// (`not read`, or `not licensed`).
pub(super) const REMOVE_DIRECTORY_ROLES: KindSpec = KindSpec {
    name: "identity.remove_directory_roles",
    title: "Remove directory roles",
    urgency: Urgency::U0,
    approval: Approval::PlanOrBurst,
    after: &[
        // Never without a record. One that was made long before is made anew, for minutes
        // at the most: after that, he does not keep them because it fails now.
        Dep::once(Kind::SnapshotAccess),
        Dep::tried(Kind::SnapshotAccess).at_most(SNAPSHOT_AT_MOST_MS),
    ],
    // What went ahead of it must not be under way when this ends: it is done once
    // more then, and would not be.
    conflicts: &[Kind::RevokeSessions],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::Empty("role_ids"),
        blocked: &[],
    },
    ..WRITING
};

/// How long access stays open for the sake of a snapshot that cannot be taken: what
/// the burst changes of an account, it reads and keeps itself.
const SNAPSHOT_AT_MOST_MS: i64 = 5 * MINUTE_MS;
/// How long access stays open for the sake of roles that cannot be taken away:
/// they may be, and the account may let itself be disabled with them.
const ROLES_AT_MOST_MS: i64 = 5 * MINUTE_MS;
/// How long the rest of the burst waits for what comes before it in it. What
/// settles later has the sessions revoked once more.
const BURST_AT_MOST_MS: i64 = 10 * MINUTE_MS;

/// Told to whoever disables the account or resets its password while he may
/// still hold directory roles: he may be the last who administers the tenant, and
/// what the directory refuses for their sake is waited for.
pub const ROLES_OPEN: &str = "roles_open";

/// Told to whoever takes him out of his groups where somebody takes him out of those that give
/// applications later, with the application roles. A dispatcher of an older version says nothing
/// of it, and orders nothing of the kind: then all are left at once.
pub const APP_GROUPS_LATER: &str = "app_groups_later";

/// Told to whoever disables the account or resets its password: when his roles were read as
/// gone, in milliseconds since 1970.
/// Nobody has read that of somebody who is let keep them, and so it is looked.
pub const ROLES_GONE_MS: &str = "roles_gone_ms";

/// Told to whoever looks who else administers the tenant: the ids of those who leave
/// it, too, and count for nobody.
pub const LEAVING: &str = "leaving_ids";

/// Told to the same: whether others are told of this one. Who administers the tenant and
/// is not marked so keeps his role and his account until he is.
pub const MARKED: &str = "marked_as_leaving";

/// Read in a closing round in place of everything else: the account is gone.
pub const ACCOUNT_GONE: &str = "account_gone";

/// Facts: `enabled`, `synced`. What undoes it (a sync) also undoes the cut of
/// sessions, so those follow again.
pub(super) const DISABLE_SIGN_IN: KindSpec = KindSpec {
    name: "identity.disable_sign_in",
    title: "Disable sign-in",
    urgency: Urgency::U0,
    approval: Approval::PlanOrBurst,
    after: &[
        Dep::on(Kind::Resolve),
        Dep::tried(Kind::SnapshotAccess).at_most(SNAPSHOT_AT_MOST_MS),
        Dep::tried(Kind::RemoveDirectoryRoles).at_most(ROLES_AT_MOST_MS),
    ],
    conflicts: &[Kind::RevokeSessions],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::False("enabled"),
        blocked: &[],
    },
    redo: &[Kind::RevokeSessions, Kind::RevokeSessionsAgain],
    ..WRITING
};

/// Generated, set, dropped; seen by nobody. Fact: `password_changed_ms`.
pub(super) const RESET_PASSWORD: KindSpec = KindSpec {
    name: "identity.reset_password",
    title: "Reset the password to one that nobody knows",
    urgency: Urgency::U0,
    approval: Approval::PlanOrBurst,
    after: &[
        Dep::on(Kind::Resolve),
        Dep::tried(Kind::SnapshotAccess).at_most(SNAPSHOT_AT_MOST_MS),
        // Who cannot be disabled is at least kept from signing in by what he knows.
        Dep::tried(Kind::DisableSignIn).at_most(BURST_AT_MOST_MS),
    ],
    // A revocation that went ahead of it and is still under way could come to an
    // end after the reset, and have been made before it.
    conflicts: &[Kind::RevokeSessions],
    judge: Judge {
        not_applicable: &[(Cond::True("guest"), "a guest's password belongs to his home tenant")],
        satisfied: Cond::MovedPast("password_changed_ms"),
        blocked: &[],
    },
    proof: Proof::Counter,
    closing: ClosingProof::Receipt("the value only grows; it proved the reset when it moved"),
    redo: &[Kind::RevokeSessions, Kind::RevokeSessionsAgain],
    ..WRITING
};

/// Last of the burst: revoked earlier, a session can be minted again before
/// the account is disabled and the password changed. Fact: `sessions_valid_from_ms`.
pub(super) const REVOKE_SESSIONS: KindSpec = KindSpec {
    name: "identity.revoke_sessions",
    title: "Revoke all sessions",
    urgency: Urgency::U0,
    approval: Approval::PlanOrBurst,
    after: &[
        Dep::on(Kind::Resolve),
        Dep::tried(Kind::SnapshotAccess).at_most(SNAPSHOT_AT_MOST_MS),
        // What a machine cannot do of these (a copy of what is not connected, a
        // missing permission, a vendor that keeps failing) leaves no session alive
        // until a person has: whatever of it is done later revokes them again.
        Dep::tried(Kind::DisableSignIn).at_most(BURST_AT_MOST_MS),
        Dep::tried(Kind::ResetPassword).at_most(BURST_AT_MOST_MS),
        Dep::tried(Kind::RemoveDirectoryRoles).at_most(BURST_AT_MOST_MS),
    ],
    judge: Judge {
        not_applicable: &[(Cond::True("guest"), "a guest's sessions belong to his home tenant")],
        satisfied: Cond::MovedPast("sessions_valid_from_ms"),
        blocked: &[],
    },
    proof: Proof::Counter,
    closing: ClosingProof::Receipt("the value only grows; it proved the revocation when it moved"),
    ..WRITING
};

/// Once more an hour later: access tokens live on for up to 90 minutes, and
/// what they minted in between dies here.
pub(super) const REVOKE_SESSIONS_AGAIN: KindSpec = KindSpec {
    name: "identity.revoke_sessions_again",
    title: "Revoke all sessions once more, an hour later",
    after: &[Dep::delayed(Kind::RevokeSessions, HOUR_MS)],
    ..REVOKE_SESSIONS
};

/// Default phone last: the directory refuses to delete it before the others.
/// Fact: `method_ids`, without the password.
pub(super) const REMOVE_AUTH_METHODS: KindSpec = KindSpec {
    name: "identity.remove_auth_methods",
    title: "Remove every sign-in method but the password",
    after: &[
        Dep::on(Kind::SnapshotAccess),
        Dep::on(Kind::DisableSignIn),
        Dep::on(Kind::RevokeSessions),
    ],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::Empty("method_ids"),
        blocked: &[],
    },
    reversible: false,
    ..WRITING
};

/// Facts: `grant_ids`, consents of this person only.
pub(super) const REMOVE_OAUTH_GRANTS: KindSpec = KindSpec {
    name: "identity.remove_oauth_grants",
    title: "Remove the consents that he gave to applications",
    after: &[
        Dep::on(Kind::SnapshotDirectory),
        Dep::on(Kind::DisableSignIn),
        Dep::on(Kind::RevokeSessions),
    ],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::Empty("grant_ids"),
        blocked: &[],
    },
    controls: control::GRANTS,
    ..WRITING
};

/// Some applications delete the account, with what is in it, when the directory stops
/// providing for it; a workspace may be one of them. What lets him in is cut by then: this
/// ends what nobody can use, and waits until it is handed over or decided. See
/// `docs/decisions/0054-order-by-device.md`. So do the groups that give him some, which are left
/// last therefore. Facts: `app_role_ids`, those assigned directly; `app_group_ids`, the groups.
pub(super) const REMOVE_APP_ROLES: KindSpec = KindSpec {
    name: "identity.remove_app_roles",
    title: "Remove application role assignments, and leave the groups that give some",
    stage: Stage::Closure,
    urgency: Urgency::U3,
    after: &[
        Dep::on(Kind::SnapshotDirectory),
        Dep::on(Kind::DisableSignIn),
        Dep::on(Kind::RevokeSessions),
        // Groups are left in one order: what is his alone is handed over first.
        Dep::on(Kind::RemoveGroupMemberships),
        Dep::on(Kind::ConfirmHandover),
        Dep::on(Kind::DecidePreservation),
        // Ended there first, where we see to it ourselves; else a person has looked.
        Dep::on(Kind::ResolveInApp),
        Dep::on(Kind::DiscoverApps),
        Dep::on(Kind::DecideApp),
        // What hangs on the account of a workspace.
        Dep::only(Kind::ResolveInWorkspace),
        Dep::on(Kind::ArchiveMailbox),
        Dep::on(Kind::SetForwardingInWorkspace),
        Dep::on(Kind::GrantMailInWorkspace),
        Dep::on(Kind::TransferFiles),
        Dep::on(Kind::HandOverSharedDrives),
        Dep::on(Kind::DecideOneDrive),
        Dep::on(Kind::WipeAccount),
        Dep::on(Kind::DisableLaptops),
    ],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::All(&[Cond::Empty("app_role_ids"), Cond::Empty("app_group_ids")]),
        blocked: &[],
    },
    older_rules: &[OlderRule {
        says: Cond::Empty("app_role_ids"),
        unread: "app_group_ids",
        lacks: "does not leave the groups that give applications",
    }],
    controls: control::GRANTS,
    ..WRITING
};

/// Before the last owner goes, somebody else must own it. Fact:
/// `sole_owned_group_ids`. Parameter: `successor_id`.
pub(super) const HAND_OVER_GROUPS: KindSpec = KindSpec {
    name: "identity.hand_over_groups",
    title: "Give the groups that only he owns to the successor",
    urgency: Urgency::U2,
    stage: Stage::Knowledge,
    after: &[
        Dep::on(Kind::SnapshotDirectory),
        Dep::on(Kind::DisableSignIn),
        Dep::on(Kind::RevokeSessions),
    ],
    conflicts: &[Kind::RemoveGroupOwnerships, Kind::RemoveGroupMemberships],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::Empty("sole_owned_group_ids"),
        blocked: &[(
            Cond::Not(&Cond::HasParam("successor_id")),
            "he is the only owner of a group and there is no successor; give the group another owner by hand, then retry",
        )],
    },
    controls: control::GROUPS,
    ..WRITING
};

/// Fact: `owned_group_ids`. Parameter, with the assignment alone: `successor_id`, of the
/// hand-over that is done.
pub(super) const REMOVE_GROUP_OWNERSHIPS: KindSpec = KindSpec {
    name: "identity.remove_group_ownerships",
    title: "Remove group ownerships",
    urgency: Urgency::U2,
    after: &[Dep::on(Kind::SnapshotDirectory), Dep::on(Kind::HandOverGroups)],
    conflicts: &[Kind::RemoveGroupMemberships],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::Empty("owned_group_ids"),
        blocked: &[],
    },
    controls: control::GROUPS,
    ..WRITING
};

/// Each group as what it is. Facts: `removable_group_ids` (security, M365,
/// mail-enabled, role-assignable), and for the record `dynamic_group_ids`,
/// `synced_group_ids`, `licence_group_ids` (those are released by the licence
/// area, after the mailbox is proven kept), `app_group_ids` (those give applications, and
/// are left with the application roles, after the hand-over). Parameter, with the assignment
/// alone: `app_groups_later`.
pub(super) const REMOVE_GROUP_MEMBERSHIPS: KindSpec = KindSpec {
    name: "identity.remove_group_memberships",
    title: "Remove group memberships",
    urgency: Urgency::U2,
    after: &[
        Dep::on(Kind::SnapshotDirectory),
        Dep::on(Kind::HandOverGroups),
        // An application that he owns is a person's to hand over, and gives nobody a
        // reason to leave him in his groups.
        Dep::tried(Kind::RemoveGroupOwnerships),
    ],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::All(&[
            Cond::Empty("removable_group_ids"),
            // Left where they are mastered, and read again when the copy agrees.
            Cond::Any(&[Cond::Empty("synced_group_ids"), Cond::HasParam(MASTERED)]),
        ]),
        blocked: &[(
            Cond::Empty("removable_group_ids"),
            "what is left are groups synchronised from Active Directory; remove him there, then retry",
        )],
    },
    controls: control::GROUPS,
    ..WRITING
};

/// The closing round of this area.
pub(super) const OBSERVE_AGAIN: KindSpec = KindSpec {
    name: "identity.observe_again",
    title: "Read every identity task's end state once more",
    area: Area::Identity,
    ..OBSERVING_AGAIN
};
