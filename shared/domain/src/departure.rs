//! The request: who leaves which tenant, when, how, and what a person chose.

use crate::id::{CaseId, Digest, ObjectId, TenantId};
use crate::observation::Facts;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How somebody leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Manner {
    /// On a day known before; everything that writes waits for the approval.
    #[serde(rename = "planned")]
    Planned,
    /// Now: the reversible burst waits for nobody and its approval follows.
    #[serde(rename = "immediate")]
    Immediate,
}

/// How a request names a person. At least one of the first four is needed;
/// whoever it resolves to is from then on known by immutable ids alone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PersonRef {
    /// The directory's own id. What else is said must be so of the same account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_id: Option<ObjectId>,
    /// The sign-in name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_principal_name: Option<String>,
    /// A mail address; it need not be the sign-in name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<String>,
    /// The number that HR knows the person by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub employee_id: Option<String>,
    /// A name to show; never used to find anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

impl PersonRef {
    /// Whether it names anybody in a way that can be looked up.
    #[must_use]
    pub fn can_be_found(&self) -> bool {
        self.object_id.is_some()
            || self.user_principal_name.is_some()
            || self.mail.is_some()
            || self.employee_id.is_some()
    }
}

impl PersonRef {
    /// Whether both are looked for by the same.
    #[must_use]
    pub fn is_sought_as(&self, other: &Self) -> bool {
        let shown = other.display_name.clone();
        let as_shown = Self {
            display_name: shown,
            ..self.clone()
        };
        as_shown == *other
    }

    /// What tells this person from others, each with what it is, in small letters: who
    /// has one of these in common is the same.
    pub fn names(&self) -> impl Iterator<Item = (&'static str, String)> {
        let id = self.object_id.as_ref().map(|id| id.0.as_str());
        let all = [
            ("id", id),
            ("address", self.user_principal_name.as_deref()),
            ("address", self.mail.as_deref()),
            ("number", self.employee_id.as_deref()),
        ];
        let said = all.into_iter().filter_map(|(what, name)| Some((what, name?)));
        said.map(|(what, name)| (what, name.trim().to_lowercase()))
    }

    /// Whether both are the same by something that tells people apart.
    #[must_use]
    pub fn shares_a_name_with(&self, other: &Self) -> bool {
        self.names().any(|mine| other.names().any(|theirs| theirs == mine))
    }

    /// Whether both say the same thing of a person and differ in it.
    #[must_use]
    pub fn contradicts(&self, other: &Self) -> bool {
        let id = |p: &Self| p.object_id.as_ref().map(|id| id.0.to_lowercase());
        let text = |text: &Option<String>| text.as_ref().map(|t| t.trim().to_lowercase());
        [
            (id(self), id(other)),
            (text(&self.user_principal_name), text(&other.user_principal_name)),
            (text(&self.mail), text(&other.mail)),
            (text(&self.employee_id), text(&other.employee_id)),
        ]
        .into_iter()
        .any(|(mine, theirs)| mine.is_some() && theirs.is_some() && mine != theirs)
    }
}

/// What becomes of mail that still arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Forwarding {
    /// No forwarding: what there is gets removed.
    #[serde(rename = "remove")]
    Remove,
    /// Forward to the successor and keep a copy.
    #[serde(rename = "successor")]
    Successor,
}

/// What becomes of the meetings that the leaver organised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Meetings {
    /// They stay as they are.
    #[serde(rename = "leave")]
    Leave,
    /// They are cancelled; the attendees are told.
    #[serde(rename = "cancel")]
    Cancel,
    /// The successor organises them anew, then the old ones are cancelled.
    #[serde(rename = "hand_over")]
    HandOver,
}

/// What becomes of the OneDrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OneDriveChoice {
    /// The successor becomes its administrator.
    #[serde(rename = "hand_over")]
    HandOver,
    /// A person decides, in the case, that it may go with the licence.
    #[serde(rename = "ask")]
    Ask,
}

/// What a person chose for this departure; what is left open follows the
/// tenant's policy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choices {
    /// Put the mailbox on legal hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal_hold: Option<bool>,
    /// Keep the whole mailbox in an archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_mailbox: Option<bool>,
    /// What becomes of mail that still arrives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarding: Option<Forwarding>,
    /// The automatic reply's text; an empty text sends none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automatic_reply: Option<String>,
    /// What becomes of organised meetings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meetings: Option<Meetings>,
    /// What becomes of the OneDrive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onedrive: Option<OneDriveChoice>,
    /// Wipe company devices once they are approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wipe_company_devices: Option<bool>,
    /// What several people sign in with and the leaver knew, by the names that
    /// its keepers call it by; besides what the policy names for everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared_credentials: Vec<String>,
    /// Applications in which somebody let his account be when he left: a person is
    /// asked about them again. No request says so; a case that follows another does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apps: Vec<AppLeft>,
}

/// An application that a person was asked about, and that he let be for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppLeft {
    /// What the task was about.
    pub object: ObjectId,
    /// With which parameters.
    pub params: Facts,
}

/// What a person knew, and is changed now that he leaves: the policy's and the
/// request's, each once however it is written.
pub fn shared_credentials<'a>(of_everybody: &'a [String], chosen: &'a Choices) -> impl Iterator<Item = &'a str> {
    let mut seen = std::collections::BTreeSet::new();
    let all = of_everybody.iter().chain(&chosen.shared_credentials);
    all.map(|name| name.trim())
        .filter(move |name| !name.is_empty() && seen.insert(name.to_lowercase()))
}

/// The request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    /// Which client company.
    pub tenant: TenantId,
    /// The source's own reference, such as HR's number of the departure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Who leaves.
    pub person: PersonRef,
    /// How.
    pub manner: Manner,
    /// From when on access must be gone.
    pub effective_at: Timestamp,
    /// Of an immediate departure whose source names no moment, so that it takes effect when
    /// it is handed in: the end of the working day that it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_day: Option<Timestamp>,
    /// Who asked: a name or address of the MSP's or client's staff.
    pub requested_by: String,
    /// Who handed it in, if that was somebody else: who asked is then his word alone. None
    /// in histories from before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_in_by: Option<String>,
    /// When it was asked for (HR's time, for the time from request to last cut).
    pub requested_at: Timestamp,
    /// Who takes over, if the request says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<PersonRef>,
    /// What a person chose.
    #[serde(default)]
    pub choices: Choices,
}

/// The case that a tenant's source opens with its own reference.
#[must_use]
pub fn case_of_reference(tenant: &TenantId, reference: &str) -> CaseId {
    CaseId::derive(tenant, &format!("ref:{}", reference.trim()))
}

impl Departure {
    /// Whether `earlier`, which was handed in before, asks for all that this says of the
    /// time: at once, or the end of a day on which it was asked for at once.
    #[must_use]
    pub fn repeats_the_time_of(&self, earlier: &Self) -> bool {
        let at_once = self.manner == Manner::Immediate && earlier.manner == Manner::Immediate;
        // Read again on a later day, its date means the end of that day, also where it was
        // first handed in after work.
        let same_day = earlier.of_day == Some(self.effective_at);
        // Who names no other day than the one on which he asks says no more than "now".
        let says_now = self.of_day.is_some_and(|day| day != self.effective_at);
        // An older program kept no day.
        let same_time = earlier.effective_at == self.effective_at;
        at_once && (same_time || same_day || says_now && earlier.effective_at <= self.effective_at)
    }

    /// The case that this request opens: by the source's reference, or without
    /// one by what the request says (who and when, folded to lower case). Of one that
    /// takes effect when it is handed in that is the day: handed in twice it is one
    /// case, and who comes back and leaves again later has another. It is none with what
    /// is planned for the end of that day: of two cases for him the sooner one counts.
    #[must_use]
    pub fn case_id(&self) -> CaseId {
        if let Some(reference) = &self.reference {
            return case_of_reference(&self.tenant, reference);
        }
        let p = &self.person;
        let (asked, when) = match self.of_day {
            Some(day) => ("day", day),
            None => ("req", self.effective_at),
        };
        let part = |s: Option<&str>| s.unwrap_or("").trim().to_lowercase();
        let request = Digest::of_parts(&[
            part(p.object_id.as_ref().map(|o| o.0.as_str())).as_bytes(),
            part(p.user_principal_name.as_deref()).as_bytes(),
            part(p.mail.as_deref()).as_bytes(),
            part(p.employee_id.as_deref()).as_bytes(),
            &when.0.to_be_bytes(),
        ]);
        CaseId::derive(&self.tenant, &format!("{asked}:{request}"))
    }

    /// The case that an older program, which kept no day, opened for this if it was read on
    /// another day than its own; none: it would have had the same id.
    #[must_use]
    pub fn former_case_id(&self) -> Option<CaseId> {
        let day = self.of_day.filter(|_| self.reference.is_none())?;
        let former = Self {
            of_day: None,
            effective_at: day,
            ..self.clone()
        };
        Some(former.case_id())
    }
}
