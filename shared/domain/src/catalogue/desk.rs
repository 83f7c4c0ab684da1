//! The MSP's desk: the ticket by which its people follow a departure.
//!
//! It is told, and asked nothing. Its kinds go on *beside* the case: nothing that
//! cuts access, keeps data or frees a licence waits for them, and neither does the
//! closing. What the sealed account is needed for comes after it. So a desk that is
//! away delays its own ticket, and that a person hears of when the attempts are
//! used up, also when the case is closed.
//!
//! A ticket, a note and a file have no key by which a second order could be told
//! from the first: they are *once*, and known again by the case's marker. They
//! change nothing of the person's, so nobody is asked before.

use super::Kind;
use super::spec::*;
use crate::control;
use crate::id::{CaseId, ObjectId};
use crate::judge::{Cond, Judge};

/// The kinds of a desk: a tenant without one has none of them.
pub const KINDS: &[Kind] = &[
    Kind::OpenTicket,
    Kind::NoteAccess,
    Kind::NoteDevices,
    Kind::NoteKnowledge,
    Kind::NoteLicences,
    Kind::AttachEvidence,
    Kind::CloseTicket,
    Kind::NoteEnding,
];

/// The parameter with the source's own reference, which may be a ticket's. In no
/// stored task.
pub const REFERENCE: &str = "reference";

/// The parameter that says that access is to go at once. In no stored task.
pub const AT_ONCE: &str = "immediate";

/// The ticket: a fact of the task that opened it, and a parameter of those that
/// follow it, in no stored task.
pub const TICKET: &str = "ticket_id";

/// The beginning of a parameter that says how many tasks of a stage ended so:
/// `ended/verified`. In no stored task.
pub const ENDED: &str = "ended/";

/// The parameter with the SHA-256 of the sealed account. In no stored task.
pub const EVIDENCE: &str = "evidence_sha256";

/// The object of a note that says that the departure was called off.
pub const CALLED_OFF: &str = "called_off";

/// The object of a note that says that it was refused.
pub const REFUSED: &str = "refused";

/// The parameter that says when it was called off, in milliseconds since 1970. In no
/// stored task.
pub const CALLED_OFF_MS: &str = "called_off_ms";

/// The parameter that says that whoever asked for it called it off. In no stored task.
pub const BY_REQUESTER: &str = "by_requester";

/// The parameter that says that history of the case was lost: what was done in it is in no
/// number that the ticket is told. In no stored task.
pub const HISTORY_LOST: &str = "history_lost";

/// The parameter that says that a ticket may have been opened which nobody has read
/// yet. In no stored task.
pub const MAY_BE_OPEN: &str = "ticket_may_be_open";

/// The parameter that says that a person has looked at the desk for what that had
/// acknowledged and does not list, and wants it sent again. In no stored task.
pub const PERSON_LOOKED: &str = "person_looked";

/// By what the case's ticket is known again.
#[must_use]
pub fn marker(case: CaseId) -> String {
    format!("[OB-{case}]")
}

/// By what the case's note of this kind is known again.
#[must_use]
pub fn note_marker(case: CaseId, kind: Kind) -> String {
    format!("[OB-{case} {}]", kind.name())
}

/// By what the case's note of this ending is known again: it may have had another one
/// before, of a merge that was undone.
#[must_use]
pub fn ending_marker(case: CaseId, ending: &ObjectId) -> String {
    format!("[OB-{case} {} {ending}]", Kind::NoteEnding.name())
}

const CLOSED: &str = "somebody has closed the ticket, or merged it into another, and it takes nothing more: open it again there and retry this, or waive it";
const NO_TICKET: &str = "the departure has no ticket: a person went without";
const GONE: &str = "the desk no longer has the ticket: look there what became of it, then waive this";

const TELLING: KindSpec = KindSpec {
    area: Area::Desk,
    stage: Stage::Closure,
    urgency: Urgency::U2,
    closes: Closes::Beside,
    convergent: false,
    reversible: false,
    approval: Approval::None,
    controls: control::CLOSURE,
    closing: ClosingProof::Receipt("people work on the ticket"),
    ..WRITING
};

/// *Once*. A ticket that the request came from is taken as it is. Facts:
/// `ticket_id`, `ticket_exists`, `ticket_closed`, `adopted`, `tickets_with_marker`,
/// `conclusive`.
pub(super) const OPEN_TICKET: KindSpec = KindSpec {
    name: "desk.open_ticket",
    title: "Open a ticket, or take the one that the request came from",
    stage: Stage::Initiation,
    urgency: Urgency::U1,
    after: &[Dep::on(Kind::Resolve), Dep::tried(Kind::SnapshotAccess)],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::True("ticket_exists"),
        blocked: &[],
    },
    ..TELLING
};

/// *Once*. Facts: `noted`, `nothing_to_tell`, `has_ticket`, `ticket_exists`, `ticket_closed`,
/// `conclusive`.
pub(super) const NOTE_ACCESS: KindSpec = KindSpec {
    name: "desk.note_access",
    title: "Note on the ticket how the access was cut",
    skippable: true,
    after: &[Dep::on(Kind::OpenTicket)],
    after_stage: Some(Stage::Access),
    judge: Judge {
        not_applicable: &[
            (Cond::False("has_ticket"), NO_TICKET),
            (Cond::True("nothing_to_tell"), "the case has no task of this stage"),
        ],
        satisfied: Cond::True("noted"),
        blocked: &[
            (Cond::False("ticket_exists"), GONE),
            (Cond::True("ticket_closed"), CLOSED),
        ],
    },
    ..TELLING
};

/// *Once*. Facts as above.
pub(super) const NOTE_DEVICES: KindSpec = KindSpec {
    name: "desk.note_devices",
    title: "Note on the ticket what became of the devices",
    after_stage: Some(Stage::Devices),
    ..NOTE_ACCESS
};

/// *Once*. Facts as above.
pub(super) const NOTE_KNOWLEDGE: KindSpec = KindSpec {
    name: "desk.note_knowledge",
    title: "Note on the ticket what became of mail and files",
    after_stage: Some(Stage::Knowledge),
    ..NOTE_ACCESS
};

/// *Once*. Facts as above.
pub(super) const NOTE_LICENCES: KindSpec = KindSpec {
    name: "desk.note_licences",
    title: "Note on the ticket which licences were freed",
    after_stage: Some(Stage::Licences),
    ..NOTE_ACCESS
};

/// *Once*. The sealed account itself, known again by its digest, which is in its
/// name. Facts: `attached`, `attached_in_part`, `has_ticket`, `ticket_exists`,
/// `ticket_closed`, `conclusive`.
pub(super) const ATTACH_EVIDENCE: KindSpec = KindSpec {
    name: "desk.attach_evidence",
    title: "Attach the sealed account to the ticket",
    skippable: true,
    closes: Closes::After,
    after: &[Dep::on(Kind::OpenTicket)],
    judge: Judge {
        not_applicable: &[(Cond::False("has_ticket"), NO_TICKET)],
        satisfied: Cond::True("attached"),
        blocked: &[
            (
                Cond::True("attached_in_part"),
                "the ticket has a file of the account's name and of another size: delete it there, then retry this",
            ),
            (Cond::False("ticket_exists"), GONE),
            (Cond::True("ticket_closed"), CLOSED),
        ],
    },
    ..TELLING
};

/// *Once*. Its object says how the case ended without a departure: `called_off`,
/// `refused`, or the case that it was joined to. Facts: `noted`, `has_ticket`,
/// `ticket_id`, `conclusive`.
pub(super) const NOTE_ENDING: KindSpec = KindSpec {
    name: "desk.note_ending",
    title: "Note on the ticket that the request was called off, refused or joined to another",
    wanted: Wanted::Ended,
    skippable: true,
    closes: Closes::Instead,
    after: &[Dep::on(Kind::OpenTicket)],
    judge: Judge {
        not_applicable: &[(Cond::False("has_ticket"), "the request has no ticket that is open")],
        satisfied: Cond::True("noted"),
        blocked: &[],
    },
    ..TELLING
};

/// The manager has validated, the account is sealed and attached, and everything
/// is noted. Facts: `has_ticket`, `ticket_exists`, `ticket_closed`.
pub(super) const CLOSE_TICKET: KindSpec = KindSpec {
    name: "desk.close_ticket",
    title: "Close the ticket",
    skippable: true,
    urgency: Urgency::U3,
    closes: Closes::After,
    after: &[
        Dep::on(Kind::Validate),
        Dep::on(Kind::OpenTicket),
        Dep::on(Kind::NoteAccess),
        Dep::on(Kind::NoteDevices),
        Dep::on(Kind::NoteKnowledge),
        Dep::on(Kind::NoteLicences),
        Dep::on(Kind::AttachEvidence),
    ],
    judge: Judge {
        not_applicable: &[(Cond::False("has_ticket"), NO_TICKET)],
        satisfied: Cond::True("ticket_closed"),
        blocked: &[(Cond::False("ticket_exists"), GONE)],
    },
    convergent: true,
    reversible: true,
    ..TELLING
};
