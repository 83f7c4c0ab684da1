//! Files and notes.

use super::Kind;
use super::spec::*;
use crate::control;
use crate::judge::{Cond, Judge};

/// The kinds of a wiki: a tenant without one has none of them.
pub const KINDS: &[Kind] = &[Kind::WriteNotes];

/// What a page of notes tells of: how it was kept, and to whom it went.
pub const HANDED_OVER: &[Kind] = &[
    Kind::HandOverOneDrive,
    Kind::DecideOneDrive,
    Kind::TransferFiles,
    Kind::HandOverSharedDrives,
    Kind::ArchiveMailbox,
    Kind::GrantSuccessorMailbox,
    Kind::GrantMailInWorkspace,
    Kind::SetForwarding,
    Kind::SetForwardingInWorkspace,
    Kind::SetAutomaticReply,
    Kind::SetReplyInWorkspace,
    Kind::HandOverMeetings,
    Kind::CancelMeetings,
    Kind::HandOverGroups,
    Kind::HoldKnowledgeSession,
];

/// The beginning of a parameter that says how many tasks of a kind ended so:
/// `did/KIND/verified`. It and the next ones are in no stored task.
pub const DID: &str = "did/";

/// The parameter with the address of the files.
pub const FILES_LINK: &str = "files_link";

/// The parameter with the address of the knowledge session's recording.
pub const SESSION_LINK: &str = "session_link";

/// The parameter with the SHA-256 of what was kept of the knowledge session.
pub const SESSION_FILES: &str = "session_files";

/// The parameter with how the name of that file ended, if that is known.
pub const SESSION_ENDING: &str = "session_ending";

/// The page: a fact of who wrote it, and a parameter of who looks at it again, in no
/// stored task.
pub const PAGE: &str = "page_id";

/// The fact that says where the page stands: `current`, `archived`, `trashed`.
pub const PAGE_STATUS: &str = "page_status";

/// The beginning of a parameter that says how many devices he had: `devices/company`.
pub const DEVICES: &str = "devices/";

/// The longest address of a recording, in characters.
const LINK_MAX_CHARS: usize = 2_000;

/// The longest ending of a file's name, in characters: `webarchive` and what is shorter.
const ENDING_MAX_CHARS: usize = 10;

/// Whether a file's name may end like this, behind its dot: small letters and digits, which mean
/// nothing to whoever takes the name further.
#[must_use]
pub fn is_ending(ending: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=ENDING_MAX_CHARS).contains(&ending.len()) && ending.bytes().all(plain)
}

/// The address of a recording in what a person noted: the first word that is one.
/// It must be `https`, and carry no name or password before the host.
#[must_use]
pub fn recording(note: &str) -> Option<&str> {
    note.split_whitespace().find(|word| is_address(word))
}

fn is_address(word: &str) -> bool {
    let Some(rest) = word.strip_prefix("https://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    let label = |l: &str| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_host = host.contains('.') && host.split('.').all(label);
    let is_port = port.parse::<u16>().is_ok_and(|p| p > 0);
    // What no address has unescaped (RFC 3986).
    let stray = |c: char| !c.is_ascii_graphic() || "\"<>\\^`{|}".contains(c);
    word.len() <= LINK_MAX_CHARS && is_host && is_port && !word.contains(stray)
}

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

/// A page of its own below the one that the tenant's file names, known again by the
/// case's marker in its title, which a space has once. It is rewritten when what it
/// tells has changed, as another version; what others have written beside it stays.
/// Facts: `page_exists`, `notes_current`, `missing_files`, `page_id`, `page_status`
/// (`current`, `archived`, `trashed`).
pub(super) const WRITE_NOTES: KindSpec = KindSpec {
    name: "knowledge.write_notes",
    title: "Write down in the wiki what was handed over",
    area: Area::Knowledge,
    stage: Stage::Knowledge,
    urgency: Urgency::U3,
    skippable: true,
    after: &[
        Dep::on(Kind::SnapshotDirectory),
        Dep::only(Kind::DiscoverDevices),
        Dep::on(Kind::HandOverOneDrive),
        Dep::on(Kind::DecideOneDrive),
        Dep::on(Kind::TransferFiles),
        Dep::on(Kind::HandOverSharedDrives),
        Dep::on(Kind::ArchiveMailbox),
        Dep::on(Kind::GrantSuccessorMailbox),
        Dep::on(Kind::GrantMailInWorkspace),
        Dep::on(Kind::SetForwarding),
        Dep::on(Kind::SetForwardingInWorkspace),
        Dep::on(Kind::SetAutomaticReply),
        Dep::on(Kind::SetReplyInWorkspace),
        Dep::on(Kind::HandOverMeetings),
        Dep::on(Kind::CancelMeetings),
        Dep::on(Kind::HandOverGroups),
        Dep::on(Kind::HoldKnowledgeSession),
    ],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::All(&[
            Cond::True("page_exists"),
            Cond::True("notes_current"),
            Cond::Empty("missing_files"),
        ]),
        // Whoever put it aside may have meant it; and its title may stay taken.
        blocked: &[
            (
                Cond::Is(PAGE_STATUS, "trashed"),
                "somebody has deleted the page of notes; restore it (Space settings, Trash), then retry, or waive this",
            ),
            (
                Cond::Is(PAGE_STATUS, "archived"),
                "somebody has archived the page of notes; restore it (Space settings, Archived pages), then retry, or waive this",
            ),
        ],
    },
    run_for_ms: SLICE_MS,
    controls: control::RETENTION,
    ..WRITING
};

/// The closing round of this area.
pub(super) const OBSERVE_AGAIN: KindSpec = KindSpec {
    name: "knowledge.observe_again",
    title: "Read every hand-over's end state once more",
    area: Area::Knowledge,
    ..OBSERVING_AGAIN
};
