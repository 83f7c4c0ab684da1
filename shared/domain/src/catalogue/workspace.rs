//! A workspace whose accounts carry mail, files and devices with them (Google
//! Workspace). Its order is the other way round than Microsoft's: what proves a
//! person, and what his mail does, can be changed only while his account is
//! open. So its kinds are its own, found by one that looks him up there and
//! pins the account's id.
//!
//! Suspension is declared twice, because a kind has one order: a planned
//! departure suspends when everything that needs an open account was tried, and
//! within the hour, but not before its own mailbox is kept, where that is wanted; an
//! immediate one as soon as a password was tried. What comes too late then says so, and
//! fails nothing. One that was planned and is immediate by now, since somebody asked for
//! that later, waits for no more than an immediate one. See
//! `docs/decisions/0024-a-workspace-is-closed-from-the-inside.md`,
//! `docs/decisions/0027-nothing-that-fails-holds-a-suspension-back.md` and
//! `docs/decisions/0064-kept-before-it-is-shut.md`.

use super::Kind;
use super::spec::*;
use crate::control;
use crate::judge::{Cond, Judge};
use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use crate::unplanned::APPS_KNOWN;

/// The kinds of a workspace: a tenant without one has none of them.
pub const KINDS: &[Kind] = &[
    Kind::ResolveInWorkspace,
    Kind::ResetPasswordInWorkspace,
    Kind::SignOutInWorkspace,
    Kind::DiscoverAppsInWorkspace,
    Kind::RevokeTokensInWorkspace,
    Kind::SuspendAtOnce,
    Kind::RemoveAppPasswords,
    Kind::InvalidateBackupCodes,
    Kind::TurnOffSecondFactor,
    Kind::SetReplyInWorkspace,
    Kind::SetForwardingInWorkspace,
    Kind::GrantMailInWorkspace,
    Kind::SuspendInWorkspace,
    Kind::TransferFiles,
    Kind::HandOverSharedDrives,
    Kind::RemoveGroupsInWorkspace,
    Kind::WipeAccount,
    Kind::DisableLaptops,
    Kind::ReleaseInWorkspace,
];

/// What a directory's kinds want, and a workspace's do: where people are found in a
/// workspace alone, nobody misses them.
pub const STANDS_FOR: &[Kind] = &[
    Kind::SnapshotAccess,
    Kind::DisableSignIn,
    Kind::ResetPassword,
    Kind::RevokeSessions,
    Kind::RevokeSessionsAgain,
    Kind::RemoveAuthMethods,
    Kind::RemoveOauthGrants,
    Kind::RemoveGroupMemberships,
    Kind::SetAutomaticReply,
    Kind::SetForwarding,
    Kind::GrantSuccessorMailbox,
    Kind::HandOverOneDrive,
    Kind::ReleaseGroupLicenses,
    Kind::ReleaseDirectLicenses,
];

/// The parameter that says that access must be cut in minutes.
pub const AT_ONCE: &str = "at_once";

/// The parameter that says that the successor takes over mail that still arrives.
pub const FORWARD: &str = "forward";

/// The parameter that says that the successor is to read the mailbox.
pub const GRANT_MAIL: &str = "grant_mail";

/// The parameter that says that the successor gets the files.
pub const TRANSFER_FILES: &str = "transfer_files";

/// The parameter that says that what is to be kept is kept in another system, or
/// that a person must say that it may go.
pub const HOLD_WANTED: &str = "hold_wanted";

/// The parameter that says that an archive is wanted and that nobody makes one.
pub const ARCHIVE_UNMADE: &str = "archive_unmade";

/// How long a planned suspension waits for what needs an open account: a vendor
/// that keeps failing one of these does not keep the account open.
const OPEN_AT_MOST_MS: i64 = HOUR_MS;

/// How long the workspace's lists may lag behind a transfer that it accepted.
pub const TRANSFER_SHOWS_WITHIN_MS: i64 = HOUR_MS;

/// The parameter that says when the account was looked up, in milliseconds since
/// 1970: what was done for it earlier is not this departure's.
pub const RESOLVED_MS: &str = "resolved_ms";

/// The parameter with the company's id in the workspace, where he was found: what is
/// not found in another company's is not gone.
pub const COMPANY: &str = "company_id";

/// The fact that says when the workspace says that the account was deleted, in
/// milliseconds since 1970.
pub const DELETED_MS: &str = "deleted_ms";

const GONE: (Cond, &str) = (
    Cond::False("object_exists"),
    "the account has been deleted, and with it what it could open",
);

const NO_SUCCESSOR: (Cond, &str) = (
    Cond::Not(&Cond::HasParam("successor_id")),
    "there is no successor in the workspace; waive this, or cancel and hand the departure in with one under a new reference",
);

const NO_MAIL: (Cond, &str) = (Cond::False("has_mail"), "the account has no mailbox");

const ACCESS: KindSpec = KindSpec {
    urgency: Urgency::U0,
    wanted: Wanted::Found,
    approval: Approval::PlanOrBurst,
    ..WRITING
};

/// Finds the account by every name, pins its immutable id, and records it before
/// any write. Facts: `found`, `all_names_known`, `ambiguous`, `match_count`,
/// `object_id`, `suspended`, `protected` (`no`, `listed`, `acting`, `administrator`,
/// `last_administrator`), `second_factor`, `has_mail`. It needs no more than to
/// read accounts, so that what else was not granted stops nothing of the burst.
pub(super) const RESOLVE: KindSpec = KindSpec {
    name: "identity.resolve_in_workspace",
    title: "Find the account in the workspace, and record it before any write",
    after: &[Dep::on(Kind::Resolve)],
    finds: &[
        Kind::ResetPasswordInWorkspace,
        Kind::SignOutInWorkspace,
        Kind::DiscoverAppsInWorkspace,
        Kind::RevokeTokensInWorkspace,
        Kind::SuspendAtOnce,
        Kind::RemoveAppPasswords,
        Kind::InvalidateBackupCodes,
        Kind::TurnOffSecondFactor,
        Kind::SetReplyInWorkspace,
        Kind::SetForwardingInWorkspace,
        Kind::GrantMailInWorkspace,
        Kind::SuspendInWorkspace,
        Kind::TransferFiles,
        Kind::HandOverSharedDrives,
        Kind::RemoveGroupsInWorkspace,
        Kind::WipeAccount,
        Kind::DisableLaptops,
        Kind::ReleaseInWorkspace,
    ],
    judge: Judge {
        not_applicable: &[(
            Cond::All(&[Cond::False("found"), Cond::True("all_names_known")]),
            "the workspace has no account by any of his names",
        )],
        satisfied: Cond::All(&[
            Cond::True("found"),
            Cond::False("ambiguous"),
            Cond::Is("protected", "no"),
        ]),
        blocked: &[
            (
                Cond::False("found"),
                "the workspace has no account by the names that are known, and not all are: the directory has an address of his (an alias, a former one) that the request does not name. Look in the workspace; if he has no account there, waive this, else hand the departure in with the address that he has there as his mail, under a new reference",
            ),
            (
                Cond::True("ambiguous"),
                "his names lead to different accounts in the workspace; see which is his, take the other's address out of the request, and hand it in under a new reference, or end the account there by hand and waive this",
            ),
            (
                Cond::Is("protected", "listed"),
                "the account in the workspace is on the tenant's list of protected accounts; nothing was written there. If it really goes, take it off the list and hand the departure in under a new reference, or end it there by hand and waive this",
            ),
            (
                Cond::Is("protected", "acting"),
                "his is the account that this service acts for in the workspace; nothing was written there. Name another administrator in the tenant's configuration (`admin`), see that `offboard doctor` is content, then retry",
            ),
            (
                Cond::Is("protected", "last_administrator"),
                "he is the only super administrator of the workspace who can sign in; nothing was written there. Make somebody else one and take the role from him (Admin console, Account > Admin roles), then retry",
            ),
            (
                Cond::Is("protected", "administrator"),
                "he is a super administrator of the workspace, whom no service may change; nothing was written there. Take the role from him (Admin console, Account > Admin roles), then retry",
            ),
        ],
    },
    ..READING
};

/// Generated, set, dropped; seen by nobody, and shown by no date. Fact:
/// `acknowledged`.
pub(super) const RESET_PASSWORD: KindSpec = KindSpec {
    name: "identity.reset_password_in_workspace",
    title: "Reset the workspace's password to one that nobody knows",
    after: &[Dep::only(Kind::ResolveInWorkspace)],
    judge: Judge {
        not_applicable: &[GONE],
        satisfied: Cond::True("acknowledged"),
        blocked: &[],
    },
    proof: Proof::Acknowledged,
    closing: ClosingProof::Receipt("the workspace shows no date of a password"),
    redo: &[Kind::SignOutInWorkspace],
    ..ACCESS
};

/// After the password: a session could be begun again with the old one. Fact:
/// `acknowledged`.
pub(super) const SIGN_OUT: KindSpec = KindSpec {
    name: "identity.sign_out_in_workspace",
    title: "Sign him out of every session of the workspace",
    after: &[
        Dep::only(Kind::ResolveInWorkspace),
        // Sessions do not live on until a person has seen to the password.
        Dep::tried(Kind::ResetPasswordInWorkspace),
    ],
    conflicts: &[Kind::ResetPasswordInWorkspace],
    judge: Judge {
        not_applicable: &[GONE],
        satisfied: Cond::True("acknowledged"),
        blocked: &[],
    },
    proof: Proof::Acknowledged,
    closing: ClosingProof::Receipt("the workspace shows no sessions"),
    ..ACCESS
};

/// How long tokens live for the sake of a list of them that is not had: whoever revokes
/// them writes down their ids as well.
const LISTED_AT_MOST_MS: i64 = 5 * MINUTE_MS;

/// The fact, and the parameter, with the ids of all tokens that were met while they were
/// revoked: what is revoked is listed no more.
pub const MET_GRANTS: &str = "met_grant_ids";

/// What the applications are that he gave tokens to, and which of them nobody planned
/// for. Facts: those of `identity.discover_apps`.
pub(super) const DISCOVER_APPS: KindSpec = KindSpec {
    name: "identity.discover_apps_in_workspace",
    title: "Find applications of his in the workspace that nobody planned for",
    skippable: true,
    stage: Stage::Access,
    wanted: Wanted::Found,
    after: &[Dep::only(Kind::ResolveInWorkspace)],
    finds: &[Kind::DecideApp],
    judge: Judge {
        not_applicable: &[GONE],
        satisfied: Cond::True(APPS_KNOWN),
        blocked: &[],
    },
    controls: control::GRANTS,
    ..READING
};

/// They outlive a password. Facts: `grant_ids`, `met_grant_ids`.
pub(super) const REVOKE_TOKENS: KindSpec = KindSpec {
    name: "identity.revoke_tokens_in_workspace",
    title: "Revoke the tokens that he gave to applications",
    after: &[
        Dep::only(Kind::ResolveInWorkspace),
        // With a session, another one is given in a moment.
        Dep::tried(Kind::SignOutInWorkspace),
        // One look is waited for, and not for what comes of it.
        Dep {
            with_finds: false,
            ..Dep::tried_once(Kind::DiscoverAppsInWorkspace).at_most(LISTED_AT_MOST_MS)
        },
    ],
    judge: Judge {
        not_applicable: &[GONE],
        satisfied: Cond::Empty("grant_ids"),
        blocked: &[],
    },
    controls: control::GRANTS,
    ..ACCESS
};

const SUSPEND: KindSpec = KindSpec {
    judge: Judge {
        not_applicable: &[GONE],
        satisfied: Cond::Any(&[Cond::True("suspended"), Cond::True("archived")]),
        blocked: &[],
    },
    // Who opened it again may have given it a password.
    redo: &[Kind::ResetPasswordInWorkspace, Kind::SignOutInWorkspace],
    ..ACCESS
};

/// An immediate departure's: minutes, whatever else needs an open account and
/// whatever fails. Sessions and tokens are of no use in a suspended account, and
/// can be taken from one. Facts: `suspended`, `archived`.
pub(super) const SUSPEND_AT_ONCE: KindSpec = KindSpec {
    name: "identity.suspend_at_once",
    title: "Suspend the account in the workspace at once",
    after: &[
        Dep::only(Kind::ResolveInWorkspace),
        // Who opens the account again finds a password that nobody knows.
        Dep::tried_once(Kind::ResetPasswordInWorkspace),
    ],
    ..SUSPEND
};

const SECOND_FACTOR: KindSpec = KindSpec {
    urgency: Urgency::U1,
    after: &[
        Dep::only(Kind::ResolveInWorkspace),
        Dep::tried(Kind::RevokeTokensInWorkspace),
    ],
    reversible: false,
    ..ACCESS
};

/// They need no second factor. Fact: `app_password_ids`.
pub(super) const REMOVE_APP_PASSWORDS: KindSpec = KindSpec {
    name: "identity.remove_app_passwords",
    title: "Delete his application passwords",
    judge: Judge {
        not_applicable: &[GONE],
        satisfied: Cond::Empty("app_password_ids"),
        blocked: &[],
    },
    ..SECOND_FACTOR
};

/// Only of an open account. Facts: `suspended`, `backup_codes_left`.
pub(super) const INVALIDATE_BACKUP_CODES: KindSpec = KindSpec {
    name: "identity.invalidate_backup_codes",
    title: "Invalidate his backup codes",
    judge: Judge {
        not_applicable: &[
            GONE,
            (
                Cond::True("suspended"),
                "the account is suspended, and the workspace invalidates codes of open accounts alone; a code opens nothing without the password, and nothing of a suspended account",
            ),
        ],
        satisfied: Cond::False("backup_codes_left"),
        blocked: &[],
    },
    ..SECOND_FACTOR
};

/// Only of an open account; with it go the keys and phones that were his second
/// factor. Facts: `suspended`, `second_factor`, `second_factor_enforced`.
pub(super) const TURN_OFF_SECOND_FACTOR: KindSpec = KindSpec {
    name: "identity.turn_off_second_factor",
    title: "Turn off his second factor",
    after: &[
        Dep::only(Kind::ResolveInWorkspace),
        // Without the second factor there are no codes that could be invalidated.
        Dep::tried(Kind::InvalidateBackupCodes),
        Dep::tried(Kind::RemoveAppPasswords),
    ],
    judge: Judge {
        not_applicable: &[
            GONE,
            (
                Cond::All(&[Cond::True("second_factor"), Cond::True("suspended")]),
                "the account is suspended, and the workspace turns the second factor off for open accounts alone; it opens nothing of a suspended account",
            ),
            (
                Cond::All(&[Cond::True("second_factor"), Cond::True("second_factor_enforced")]),
                "the company enforces a second factor for him, and the workspace then turns it off for nobody; it opens nothing without the password",
            ),
        ],
        satisfied: Cond::False("second_factor"),
        blocked: &[],
    },
    ..SECOND_FACTOR
};

/// They write to one mailbox, one after the other.
const MAIL_WRITERS: &[Kind] = &[
    Kind::SetReplyInWorkspace,
    Kind::SetForwardingInWorkspace,
    Kind::GrantMailInWorkspace,
];

const MAIL: KindSpec = KindSpec {
    area: Area::Mailbox,
    stage: Stage::Knowledge,
    wanted: Wanted::Found,
    after: &[
        Dep::only(Kind::ResolveInWorkspace),
        Dep::tried(Kind::RevokeTokensInWorkspace),
    ],
    conflicts: MAIL_WRITERS,
    closing: ClosingProof::Receipt("nobody can read the mail settings of a suspended account"),
    controls: control::RETENTION,
    ..WRITING
};

/// Facts: `suspended`, `has_mail`, `automatic_reply`, `automatic_reply_digest`.
pub(super) const SET_REPLY: KindSpec = KindSpec {
    name: "mailbox.set_automatic_reply_in_workspace",
    title: "Set the automatic reply in the workspace",
    skippable: true,
    judge: Judge {
        not_applicable: &[
            GONE,
            NO_MAIL,
            (
                Cond::True("suspended"),
                "the account is suspended: it takes no mail that could be answered, and who writes to it is told that it is not delivered",
            ),
        ],
        satisfied: Cond::All(&[
            Cond::True("automatic_reply"),
            Cond::IsParam("automatic_reply_digest", "reply_digest"),
        ]),
        blocked: &[],
    },
    ..MAIL
};

/// Filters that forward are forwarding too. Facts: `suspended`, `has_mail`,
/// `forwarding`, `forwards_to_id`, `keeps_copy`, `forwarding_filter_ids`.
/// Parameters as those of `mailbox.set_forwarding`.
pub(super) const SET_FORWARDING: KindSpec = KindSpec {
    name: "mailbox.set_forwarding_in_workspace",
    title: "Set or remove forwarding in the workspace",
    skippable: true,
    judge: Judge {
        not_applicable: &[
            GONE,
            NO_MAIL,
            (
                Cond::All(&[
                    Cond::True("suspended"),
                    Cond::Not(&Cond::HasParam("forward_to_id")),
                    Cond::Not(&Cond::HasParam("forward_to_successor")),
                ]),
                "the account is suspended: it takes no mail that could be forwarded",
            ),
        ],
        satisfied: Cond::All(&[
            Cond::Empty("forwarding_filter_ids"),
            Cond::Any(&[
                Cond::All(&[
                    Cond::HasParam("forward_to_id"),
                    Cond::IsParam("forwards_to_id", "forward_to_id"),
                    Cond::True("keeps_copy"),
                ]),
                Cond::All(&[
                    Cond::Not(&Cond::HasParam("forward_to_id")),
                    Cond::Not(&Cond::HasParam("forward_to_successor")),
                    Cond::False("forwarding"),
                ]),
            ]),
        ]),
        blocked: &[
            (
                Cond::HasParam("forward_to_successor"),
                "the mail is to go to the successor, and there is none in the workspace; waive this, or cancel and hand the departure in with one under a new reference",
            ),
            (
                Cond::True("suspended"),
                "the account is suspended: it takes no mail, and its settings cannot be changed. If the successor is to get what still arrives, add routing for his address (Admin console, Apps > Gmail > Routing), then waive this",
            ),
        ],
    },
    ..MAIL
};

/// Facts: `suspended`, `has_mail`, `successor_has_access`. Parameter: `successor_id`.
pub(super) const GRANT_MAIL_ACCESS: KindSpec = KindSpec {
    name: "mailbox.grant_successor_access_in_workspace",
    title: "Let the successor read the mailbox in the workspace",
    skippable: true,
    judge: Judge {
        not_applicable: &[GONE, NO_MAIL],
        satisfied: Cond::True("successor_has_access"),
        blocked: &[
            NO_SUCCESSOR,
            (
                Cond::True("suspended"),
                "the account is suspended, and nobody can be let into the mailbox of one. If the successor needs the mail, export it (Vault) or open the account for a while, then retry; else waive this",
            ),
        ],
    },
    ..MAIL
};

const fn tried_within_the_hour(kind: Kind) -> Dep {
    Dep::tried(kind).at_most(OPEN_AT_MOST_MS).unless_at_once()
}

/// A planned departure's: after what needs an open account was tried, and within
/// the hour. Waits not for the files, which go over from a suspended account as well;
/// nor for a person, but for one that an archive of the account's own mailbox needs: no
/// machine reads the mail of a suspended account. The password, the sessions and the
/// tokens wait for none of this. Facts: `suspended`, `archived`.
///
/// For the password it waits itself only until that was tried once, which is all that it
/// waits for when he is to go at once after all; the sessions wait until it was tried.
pub(super) const SUSPEND_AFTER: KindSpec = KindSpec {
    name: "identity.suspend_in_workspace",
    title: "Suspend the account in the workspace",
    urgency: Urgency::U1,
    after: &[
        Dep::only(Kind::ResolveInWorkspace),
        Dep::tried_once(Kind::ResetPasswordInWorkspace).at_most(OPEN_AT_MOST_MS),
        tried_within_the_hour(Kind::SignOutInWorkspace),
        tried_within_the_hour(Kind::RevokeTokensInWorkspace),
        tried_within_the_hour(Kind::RemoveAppPasswords),
        tried_within_the_hour(Kind::InvalidateBackupCodes),
        tried_within_the_hour(Kind::TurnOffSecondFactor),
        tried_within_the_hour(Kind::SetReplyInWorkspace),
        tried_within_the_hour(Kind::SetForwardingInWorkspace),
        tried_within_the_hour(Kind::GrantMailInWorkspace),
        Dep::on(Kind::ArchiveMailbox).of_workspace_mail().unless_at_once(),
    ],
    ..SUSPEND
};

/// Private files as well as shared ones: by default the private ones would be
/// lost. *Once*: each order is another transfer. Facts: `object_exists`,
/// `transfer_status` (`none`, `older`, or the workspace's own word), `conclusive`.
/// Parameter: `successor_id`.
pub(super) const TRANSFER_FILES_TO_SUCCESSOR: KindSpec = KindSpec {
    name: "knowledge.transfer_files",
    title: "Make the successor owner of his files, private ones too",
    area: Area::Knowledge,
    stage: Stage::Knowledge,
    urgency: Urgency::U2,
    wanted: Wanted::Found,
    after: &[
        Dep::only(Kind::ResolveInWorkspace),
        Dep::tried(Kind::RevokeTokensInWorkspace),
    ],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::Is("transfer_status", "completed"),
        blocked: &[
            NO_SUCCESSOR,
            (
                Cond::Is("transfer_status", "failed"),
                "the workspace says that the transfer failed, and does not say what it left behind. Start it again there (Admin console, Apps > Google Workspace > Drive and Docs > Transfer ownership), then retry: it is found and awaited. If the files may go, waive this",
            ),
            (
                Cond::False("object_exists"),
                "the account has been deleted before his files were transferred. Restore it (within 20 days: Admin console, Users > Recently deleted), then retry; if the files may go, waive this",
            ),
        ],
    },
    convergent: false,
    reversible: false,
    approval: Approval::Own,
    patience_ms: 7 * DAY_MS,
    shows_within_ms: TRANSFER_SHOWS_WITHIN_MS,
    closing: ClosingProof::Receipt("what was transferred is the successor's, who may do with it what he likes"),
    controls: control::RETENTION,
    ..WRITING
};

/// What is in a shared drive is the company's and stays, but a drive that nobody manages
/// lets nobody in any more. Read as an administrator, so of a suspended account too.
/// Fact: `sole_managed_drive_ids`.
pub(super) const HAND_OVER_SHARED_DRIVES: KindSpec = KindSpec {
    name: "knowledge.hand_over_shared_drives",
    title: "Make the successor manager of the shared drives that only he manages",
    area: Area::Knowledge,
    stage: Stage::Knowledge,
    urgency: Urgency::U2,
    wanted: Wanted::Found,
    after: &[
        Dep::only(Kind::ResolveInWorkspace),
        Dep::tried(Kind::RevokeTokensInWorkspace),
    ],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::Empty("sole_managed_drive_ids"),
        blocked: &[
            (
                Cond::False("object_exists"),
                "the account has been deleted, and with it what shows which shared drives he managed alone. Look for drives without a manager (Admin console, Apps > Google Workspace > Drive and Docs > Manage shared drives), give each one, then waive this with what you saw",
            ),
            (
                Cond::Not(&Cond::HasParam("successor_id")),
                "he is the only manager of a shared drive and there is no successor in the workspace; give the drive another manager by hand (Admin console, Apps > Google Workspace > Drive and Docs > Manage shared drives), then retry",
            ),
        ],
    },
    run_for_ms: SLICE_MS,
    closing: ClosingProof::Receipt("whoever manages the drives now may do with them what he likes"),
    controls: control::RETENTION,
    ..WRITING
};

/// A group may give a licence, so none is left before what hangs on licences is
/// kept. Fact: `group_ids`.
pub(super) const REMOVE_GROUPS: KindSpec = KindSpec {
    name: "identity.remove_groups_in_workspace",
    title: "Remove group memberships in the workspace",
    urgency: Urgency::U2,
    wanted: Wanted::Found,
    after: &[
        Dep::only(Kind::ResolveInWorkspace),
        Dep::on(Kind::SuspendAtOnce),
        Dep::on(Kind::SuspendInWorkspace),
        Dep::on(Kind::SetForwardingInWorkspace),
        Dep::on(Kind::GrantMailInWorkspace),
        Dep::on(Kind::TransferFiles),
        Dep::on(Kind::DecideOneDrive),
        Dep::on(Kind::DecidePreservation),
        Dep::on(Kind::ArchiveMailbox),
        Dep::on(Kind::WipeAccount),
        Dep::on(Kind::DisableLaptops),
    ],
    judge: Judge {
        not_applicable: &[GONE],
        satisfied: Cond::Empty("group_ids"),
        blocked: &[
            (
                Cond::HasParam(HOLD_WANTED),
                "a legal hold is wanted, and a group may give the licence that what is held hangs on: none was left. Put the account on hold by hand (Vault), see which group gives a licence, take him out of the others by hand, then waive this for as long as the hold lasts",
            ),
            (
                Cond::HasParam(ARCHIVE_UNMADE),
                "an archive of the mailbox is wanted and nothing here makes one, and a group may give the licence that the mailbox hangs on: none was left. Export the mailbox by hand (Vault, or Takeout), take him out of the groups by hand, then retry",
            ),
        ],
    },
    controls: control::GROUPS,
    ..WRITING
};

/// Of the company's account and its data alone, never of a device: the workspace
/// does not say whose a device is. A record that is gone proves nothing, nor does
/// an account that was gone before anybody looked. Facts: `device_ids`,
/// `open_device_ids`, `gone_unproven_ids`, `looked_at`, and for each device
/// `held/ID`, `serial/ID`; where other systems have looked before, `only_elsewhere_ids`,
/// and for each device `elsewhere/ID`.
pub(super) const WIPE_ACCOUNT: KindSpec = KindSpec {
    name: "device.wipe_account",
    title: "Wipe the company's account from his phones and tablets",
    area: Area::Device,
    stage: Stage::Devices,
    urgency: Urgency::U1,
    skippable: true,
    wanted: Wanted::Found,
    after: &[
        Dep::only(Kind::ResolveInWorkspace),
        Dep::tried(Kind::RevokeTokensInWorkspace),
    ],
    judge: Judge {
        not_applicable: &[(
            Cond::All(&[Cond::True("object_exists"), Cond::Empty("device_ids")]),
            "no phone or tablet holds the account",
        )],
        satisfied: Cond::All(&[Cond::Empty("open_device_ids"), Cond::Empty("gone_unproven_ids")]),
        blocked: &[
            // Phones are listed by the address of whose account they hold.
            (
                Cond::False("looked_at"),
                "the account had been deleted before his phones and tablets were looked at, and with it the address that they are found by: whether one still holds the company's data is not known. Look for his devices by hand (Admin console, Devices > Mobile and endpoints), wipe the account from them there, then waive this with what you saw",
            ),
            (
                Cond::Not(&Cond::Empty("gone_unproven_ids")),
                "the record of a device is gone before the wipe was seen done, which does not prove a wipe; look at the device, then waive this with what you saw",
            ),
        ],
    },
    reversible: false,
    closing: ClosingProof::Receipt("the record of a wiped device may go"),
    controls: control::SANITISATION,
    ..WRITING
};

/// The parameter with the laptops that were noted as his before, by their ids: by these
/// they are looked at again, whoever they are noted as by then, and also when the account
/// is gone under whose address they were. Empty: it was read that there were none.
pub const KNOWN_DEVICES: &str = "known_device_ids";

/// Those that the company notes as his. Enabled again, they are as before; what
/// cannot be undone (taking them out of the management) is not offered. One that was his
/// and is in use under another name, or under none, is a person's. Facts: `device_ids`,
/// `open_device_ids`, `no_longer_his`, `in_use_without_account`, `looked_at`, and for each
/// device `held/ID`, `serial/ID`; where other systems have looked before,
/// `only_elsewhere_ids`, and for each device `elsewhere/ID`.
pub(super) const DISABLE_LAPTOPS: KindSpec = KindSpec {
    name: "device.disable_in_workspace",
    title: "Disable the company's laptops that are noted as his",
    area: Area::Device,
    stage: Stage::Devices,
    urgency: Urgency::U1,
    skippable: true,
    wanted: Wanted::Found,
    after: &[
        Dep::only(Kind::ResolveInWorkspace),
        Dep::tried(Kind::RevokeTokensInWorkspace),
    ],
    judge: Judge {
        not_applicable: &[(Cond::Empty("device_ids"), "the workspace notes no laptop as his")],
        satisfied: Cond::All(&[Cond::Empty("open_device_ids"), Cond::Not(&Cond::True("no_longer_his"))]),
        blocked: &[
            // They are noted under the address of whose they are.
            (
                Cond::False("looked_at"),
                "the account has been deleted, and with it the address that the company's laptops are noted under: whether one that was his is still in use is not known. Look for them by hand (Admin console, Devices > Chrome > Devices, by his address), disable them there, then waive this with what you saw",
            ),
            (
                Cond::True("in_use_without_account"),
                "a laptop that was noted as his is in use, and his account has been deleted since, so that nothing here says whose it is now; it was not touched. Look at it (Admin console, Devices > Chrome > Devices, by its id): disable it there, then retry; or, if somebody else has it now, waive this",
            ),
            // His own first.
            (
                Cond::All(&[Cond::Empty("open_device_ids"), Cond::True("no_longer_his")]),
                "a laptop that was noted as his is in use, and is noted as somebody else's or as nobody's now; it was not touched. Look at it (Admin console, Devices > Chrome > Devices, by its id): disable it there or note it as his again, then retry; or, if somebody else has it now, waive this",
            ),
        ],
    },
    controls: control::RETURN,
    ..WRITING
};

/// Last: what hangs on a licence is deleted with it. Fact: `licence_ids`.
pub(super) const RELEASE: KindSpec = KindSpec {
    name: "license.release_in_workspace",
    title: "Release the workspace's licences",
    area: Area::License,
    stage: Stage::Licences,
    urgency: Urgency::U3,
    skippable: true,
    wanted: Wanted::Found,
    after: &[
        Dep::only(Kind::ResolveInWorkspace),
        Dep::on(Kind::SuspendAtOnce),
        Dep::on(Kind::SuspendInWorkspace),
        Dep::on(Kind::SetForwardingInWorkspace),
        Dep::on(Kind::GrantMailInWorkspace),
        Dep::on(Kind::TransferFiles),
        Dep::on(Kind::DecideOneDrive),
        Dep::on(Kind::DecidePreservation),
        Dep::on(Kind::ArchiveMailbox),
        Dep::on(Kind::WipeAccount),
        Dep::on(Kind::DisableLaptops),
        Dep::on(Kind::RemoveGroupsInWorkspace),
    ],
    judge: Judge {
        not_applicable: &[GONE],
        satisfied: Cond::Empty("licence_ids"),
        blocked: &[
            (
                Cond::HasParam(HOLD_WANTED),
                "a legal hold is wanted, and what is held hangs on the licence: it was not taken. Put the account on hold by hand (Vault) and waive this for as long as the hold lasts",
            ),
            (
                Cond::HasParam(ARCHIVE_UNMADE),
                "an archive of the mailbox is wanted and nothing here makes one, and the mailbox hangs on the licence: it was not taken. Export the mailbox by hand (Vault, or Takeout), take the licence by hand, then retry",
            ),
        ],
    },
    controls: control::LICENCES,
    ..WRITING
};
