//! Mailboxes. Exchange changes one mailbox one change at a time and refuses, or
//! loses, what comes in between: so every kind that writes to it conflicts with
//! every other.

use super::Kind;
use super::spec::*;
use crate::control;
use crate::judge::{Cond, Judge};

/// In every reading of his mailbox: whether there is one. For what is to be kept, that
/// there is none ends a task only if this case has never read one.
pub const MAILBOX_EXISTS: &str = "mailbox_exists";

/// Fact: whether the mail system knows the account, with a mailbox or without.
pub const KNOWN_TO_MAIL: &str = "known_to_mail";

const NO_MAILBOX: (Cond, &str) = (Cond::False(MAILBOX_EXISTS), "the account has no mailbox");

/// Every kind that writes to his mailbox.
const WRITERS: &[Kind] = &[
    Kind::BlockProtocols,
    Kind::HoldMailbox,
    Kind::HideFromAddressLists,
    Kind::SetAutomaticReply,
    Kind::SetForwarding,
    Kind::RemoveInboxRules,
    Kind::RemoveDelegations,
    Kind::RemoveMobilePartnerships,
    Kind::ArchiveMailbox,
    Kind::HandOverMeetings,
    Kind::CancelMeetings,
    Kind::ConvertToShared,
    Kind::GrantSuccessorMailbox,
];

const MAILBOX: KindSpec = KindSpec {
    area: Area::Mailbox,
    stage: Stage::Knowledge,
    conflicts: WRITERS,
    ..WRITING
};

/// Rules, forwarding, delegates on his own mailbox, protocols, mobile devices, size, holds.
pub(super) const SNAPSHOT: KindSpec = KindSpec {
    name: "mailbox.snapshot",
    title: "Record rules, forwarding, delegates and size before any write to them",
    area: Area::Mailbox,
    urgency: Urgency::U1,
    after: &[Dep::on(Kind::Resolve)],
    read_anew: true,
    ..READING
};

/// Application passwords have no interface of their own; they are accepted by
/// the legacy protocols alone, so with every one of those off none is left
/// that takes them. Fact: `open_protocols`.
pub(super) const BLOCK_PROTOCOLS: KindSpec = KindSpec {
    name: "mailbox.block_protocols",
    title: "Turn off mail protocols, SMTP AUTH and with them application passwords",
    stage: Stage::Access,
    urgency: Urgency::U0,
    after: &[
        Dep::on(Kind::SnapshotMailbox),
        Dep::on(Kind::DisableSignIn),
        Dep::on(Kind::RevokeSessions),
    ],
    judge: Judge {
        not_applicable: &[NO_MAILBOX],
        satisfied: Cond::Empty("open_protocols"),
        blocked: &[],
    },
    controls: control::ACCESS,
    ..MAILBOX
};

/// Needs a licence, so it precedes every release. A hold that is there already
/// counts only if it lasts as long as the wanted one; a longer one is never
/// shortened. Facts: `litigation_hold`, `held_unlimited`, `held_days` (when
/// limited). Parameter: `hold_days`; without it: until lifted.
pub(super) const HOLD: KindSpec = KindSpec {
    name: "mailbox.hold",
    title: "Put the mailbox on legal hold",
    wanted: Wanted::Chosen("legal_hold"),
    after: &[Dep::on(Kind::SnapshotMailbox)],
    judge: Judge {
        not_applicable: &[NO_MAILBOX],
        satisfied: Cond::All(&[
            Cond::True("litigation_hold"),
            Cond::Any(&[
                Cond::True("held_unlimited"),
                Cond::AtLeastParam("held_days", "hold_days"),
            ]),
        ]),
        blocked: &[],
    },
    controls: control::RETENTION,
    keeps: true,
    ..MAILBOX
};

/// Fact: `hidden`.
pub(super) const HIDE_FROM_ADDRESS_LISTS: KindSpec = KindSpec {
    name: "mailbox.hide_from_address_lists",
    title: "Hide from address lists",
    skippable: true,
    after: &[Dep::on(Kind::SnapshotMailbox), Dep::on(Kind::DisableSignIn)],
    judge: Judge {
        not_applicable: &[NO_MAILBOX],
        satisfied: Cond::True("hidden"),
        blocked: &[],
    },
    controls: control::RETENTION,
    ..MAILBOX
};

/// Facts: `automatic_reply_status`, `automatic_reply_digest`. Parameters:
/// `reply`, `reply_digest`.
pub(super) const SET_AUTOMATIC_REPLY: KindSpec = KindSpec {
    name: "mailbox.set_automatic_reply",
    title: "Set the automatic reply",
    wanted: Wanted::Chosen("automatic_reply"),
    after: &[Dep::on(Kind::SnapshotMailbox), Dep::on(Kind::DisableSignIn)],
    judge: Judge {
        not_applicable: &[NO_MAILBOX],
        satisfied: Cond::All(&[
            Cond::Is("automatic_reply_status", "alwaysEnabled"),
            Cond::IsParam("automatic_reply_digest", "reply_digest"),
        ]),
        blocked: &[],
    },
    controls: control::RETENTION,
    ..MAILBOX
};

/// Facts: `forwarding` (is any set), `forwards_to_id`, `keeps_copy`.
/// Parameter: `forward_to_id`; without it what there is gets removed, unless
/// `forward_to_successor` says that it is wanted and nobody is there. Like all that
/// gives the successor something, it waits for the directory: the manager who takes
/// over may be another one when that is read once more. What only takes a forwarding
/// away gives nobody anything, and goes without.
pub(super) const SET_FORWARDING: KindSpec = KindSpec {
    name: "mailbox.set_forwarding",
    title: "Set or remove forwarding",
    skippable: true,
    after: &[
        Dep::on(Kind::SnapshotMailbox),
        Dep::on(Kind::SnapshotDirectory).with_param("forward_to_id"),
        Dep::on(Kind::DisableSignIn),
    ],
    judge: Judge {
        not_applicable: &[NO_MAILBOX],
        satisfied: Cond::Any(&[
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
        blocked: &[(
            Cond::HasParam("forward_to_successor"),
            "the mail is to go to the successor, and there is none; waive this, or cancel and hand the departure in with one under a new reference",
        )],
    },
    controls: control::RETENTION,
    ..MAILBOX
};

/// Hidden ones too: that is where an intruder's or leaver's forward hides.
/// Fact: `rule_ids`.
pub(super) const REMOVE_INBOX_RULES: KindSpec = KindSpec {
    name: "mailbox.remove_inbox_rules",
    title: "Remove inbox rules, hidden ones too",
    stage: Stage::Access,
    after: &[Dep::on(Kind::SnapshotMailbox), Dep::on(Kind::DisableSignIn)],
    judge: Judge {
        not_applicable: &[NO_MAILBOX],
        satisfied: Cond::Empty("rule_ids"),
        blocked: &[],
    },
    controls: control::ACCESS,
    ..MAILBOX
};

const DELEGATIONS: &str = "delegations";

/// Both ways: what others hold on his mailbox (but the successor), and what he
/// holds on others', which somebody without a mailbox may as well: a guest, or who
/// only has an address. Every mailbox of the tenant is looked at for that, in slices.
/// Whom the mail system does not know at all, can hold nothing there.
/// Facts: `delegations` (only once every mailbox was looked at), `found_on`,
/// `mailboxes_looked_at`, `mailboxes_in_all`, `mailboxes_unread`, `known_to_mail` (only
/// of who has no mailbox, where it is not so). Parameters:
/// `successor_id`; in the closing round `found_on`.
pub(super) const REMOVE_DELEGATIONS: KindSpec = KindSpec {
    name: "mailbox.remove_delegations",
    title: "Remove delegations, both ways",
    skippable: true,
    stage: Stage::Access,
    run_for_ms: SLICE_MS,
    after: &[Dep::on(Kind::SnapshotMailbox), Dep::on(Kind::DisableSignIn)],
    judge: Judge {
        not_applicable: &[(
            Cond::False(KNOWN_TO_MAIL),
            "the mail system does not know the account, so it can hold nothing there",
        )],
        satisfied: Cond::Empty(DELEGATIONS),
        blocked: &[],
    },
    // What others hold on his goes first, and others' mailboxes are looked at after that.
    in_parts: Some(DELEGATIONS),
    older_rules: &[OlderRule {
        says: Cond::False(MAILBOX_EXISTS),
        unread: DELEGATIONS,
        lacks: "does not look at others' mailboxes for who has none",
    }],
    controls: control::ACCESS,
    ..MAILBOX
};

/// Before the conversion: a shared mailbox can no longer wipe its phones.
/// Fact: `mobile_device_ids`.
pub(super) const REMOVE_MOBILE_PARTNERSHIPS: KindSpec = KindSpec {
    name: "mailbox.remove_mobile_partnerships",
    title: "Wipe the account from phones and remove their partnerships",
    skippable: true,
    stage: Stage::Access,
    after: &[Dep::on(Kind::SnapshotMailbox), Dep::on(Kind::DisableSignIn)],
    judge: Judge {
        not_applicable: &[NO_MAILBOX],
        satisfied: Cond::Empty("mobile_device_ids"),
        blocked: &[],
    },
    reversible: false,
    controls: control::SANITISATION,
    ..MAILBOX
};

/// All of it, message by message, in the store, before anything is converted or
/// loses its licence. It is long work in slices, and the last word is that of a
/// reading by another attempt: every folder's count and size as the server says
/// them. It changes nothing in the mailbox, and yet shares it with nobody: the
/// vendor serves few requests of one mailbox at a time. Facts: `archive_complete`,
/// `folders_that_differ`, `manifest_sha256`, `archived_messages`,
/// `archived_bytes`, `server_messages`, `arrived_later`. Parameters:
/// `keep_years`; with the assignment alone: `mail_login`.
pub(super) const ARCHIVE: KindSpec = KindSpec {
    name: "mailbox.archive_mailbox",
    title: "Keep the whole mailbox in an archive",
    urgency: Urgency::U2,
    wanted: Wanted::Chosen("archive"),
    after: &[
        Dep::on(Kind::SnapshotMailbox),
        Dep::on(Kind::DisableSignIn),
        Dep::on(Kind::RevokeSessions),
        Dep::on(Kind::HoldMailbox),
    ],
    run_for_ms: SLICE_MS,
    judge: Judge {
        not_applicable: &[NO_MAILBOX],
        satisfied: Cond::All(&[Cond::True("archive_complete"), Cond::Empty("folders_that_differ")]),
        blocked: &[],
    },
    closing: ClosingProof::Receipt("the archive is in the store, and what arrives later is not part of it"),
    controls: control::RETENTION,
    keeps: true,
    ..MAILBOX
};

/// The successor organises each future meeting anew, once the mailbox is kept
/// for certain: what is written to it while it is converted may be lost. Fact: `orphan_meetings`
/// (future organised meetings without a copy of the successor's). For the record:
/// `series_without_exceptions_count`, of which what was moved or cancelled by itself is not
/// carried over. Parameter: `successor_id`.
pub(super) const HAND_OVER_MEETINGS: KindSpec = KindSpec {
    name: "mailbox.hand_over_meetings",
    title: "Let the successor organise his future meetings",
    urgency: Urgency::U2,
    wanted: Wanted::Chosen("meetings"),
    after: &[
        Dep::on(Kind::SnapshotMailbox),
        Dep::on(Kind::SnapshotDirectory),
        Dep::on(Kind::DisableSignIn),
        Dep::on(Kind::ConvertToShared),
    ],
    judge: Judge {
        not_applicable: &[NO_MAILBOX],
        satisfied: Cond::Is("orphan_meetings", "none"),
        blocked: &[(
            Cond::Not(&Cond::HasParam("successor_id")),
            "there is no successor to hand meetings to; waive this, or cancel and hand the departure in with one under a new reference",
        )],
    },
    closing: ClosingProof::Receipt("the meetings belong to the successor now, who may change them"),
    controls: control::RETENTION,
    ..MAILBOX
};

/// Mails every attendee and cannot be taken back, so it asks by itself. Fact:
/// `organised_meeting_ids`, future ones.
pub(super) const CANCEL_MEETINGS: KindSpec = KindSpec {
    name: "mailbox.cancel_meetings",
    title: "Cancel the future meetings that he organises",
    urgency: Urgency::U2,
    wanted: Wanted::Chosen("meetings"),
    after: &[
        Dep::on(Kind::SnapshotMailbox),
        Dep::on(Kind::DisableSignIn),
        Dep::on(Kind::ConvertToShared),
        Dep::on(Kind::HandOverMeetings),
    ],
    judge: Judge {
        not_applicable: &[NO_MAILBOX],
        satisfied: Cond::Empty("organised_meeting_ids"),
        blocked: &[],
    },
    reversible: false,
    approval: Approval::Own,
    closing: ClosingProof::Read,
    controls: control::RETENTION,
    ..MAILBOX
};

/// Counts only when two sources agree, twice, a minute apart. Facts:
/// `recipient_type` (Exchange), `user_purpose` (Graph), `agreed_for_ms`,
/// `size_bytes`, `on_hold`. Parameter: `shared_max_bytes`.
pub(super) const CONVERT_TO_SHARED: KindSpec = KindSpec {
    name: "mailbox.convert_to_shared",
    title: "Convert to a shared mailbox",
    skippable: true,
    after: &[
        Dep::on(Kind::SnapshotMailbox),
        Dep::on(Kind::DisableSignIn),
        Dep::on(Kind::HoldMailbox),
        Dep::on(Kind::RemoveMobilePartnerships),
        Dep::on(Kind::ArchiveMailbox),
        Dep::on(Kind::DecidePreservation),
        Dep::only(Kind::DiscoverDevices),
        Dep::on(Kind::RetireDevice),
    ],
    judge: Judge {
        not_applicable: &[NO_MAILBOX],
        satisfied: Cond::All(&[
            Cond::Is("recipient_type", "SharedMailbox"),
            Cond::Is("user_purpose", "shared"),
            Cond::AtLeast("agreed_for_ms", TWO_READS_APART_MS),
        ]),
        blocked: &[(
            Cond::True("too_large_or_held"),
            "the mailbox is larger than a shared one may be, or on hold, and needs a licence to stay; archive and shrink it, or waive this and keep the licence",
        )],
    },
    controls: control::RETENTION,
    // What was said of the premises was said of the conversion that did not last.
    redo: &[Kind::ConfirmSharedOnPremises],
    keeps: true,
    ..MAILBOX
};

/// How far apart the two agreeing reads must be, in milliseconds.
const TWO_READS_APART_MS: i64 = 60_000;

/// Facts: `full_access`, `send_as` (does the successor have them),
/// `successor_enabled` (is he still there himself). Parameter: `successor_id`.
pub(super) const GRANT_SUCCESSOR_ACCESS: KindSpec = KindSpec {
    name: "mailbox.grant_successor_access",
    title: "Give the successor access to the mailbox",
    skippable: true,
    wanted: Wanted::Chosen("successor"),
    after: &[
        Dep::on(Kind::SnapshotMailbox),
        Dep::on(Kind::SnapshotDirectory),
        Dep::on(Kind::ConvertToShared),
        Dep::on(Kind::RemoveDelegations),
    ],
    judge: Judge {
        not_applicable: &[NO_MAILBOX],
        satisfied: Cond::All(&[
            Cond::True("full_access"),
            Cond::True("send_as"),
            Cond::True("successor_enabled"),
        ]),
        blocked: &[
            (
                Cond::Not(&Cond::HasParam("successor_id")),
                "there is no successor; waive this, or cancel and hand the departure in with one under a new reference",
            ),
            // Who has not been given it yet is looked at before he is.
            (
                Cond::All(&[
                    Cond::True("full_access"),
                    Cond::True("send_as"),
                    Cond::False("successor_enabled"),
                ]),
                "the successor was given the mailbox, and his account is disabled or gone: he has left himself; waive this, or cancel and hand the departure in with another successor under a new reference",
            ),
        ],
    },
    controls: control::RETENTION,
    keeps: true,
    ..MAILBOX
};

/// The closing round of this area.
pub(super) const OBSERVE_AGAIN: KindSpec = KindSpec {
    name: "mailbox.observe_again",
    title: "Read every mailbox task's end state once more",
    area: Area::Mailbox,
    ..OBSERVING_AGAIN
};
