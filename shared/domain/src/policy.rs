//! What a tenant has decided once for all its departures. The policy in force
//! is written into a case's first event, so that a later change of the
//! configuration does not change what an open case means. One thing is the other way
//! round: whoever comes onto the list of protected accounts after a departure was handed in
//! is not touched either ([`Case::is_protected_by_now`]).

use crate::case::Case;
use crate::catalogue::Kind;
use crate::departure::{Forwarding, Meetings, OneDriveChoice, PersonRef};
use crate::gates::Gates;
use crate::id::{CaseId, Digest, System};
use crate::time::{DAY_MS, HOUR_MS};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Who takes over when the request does not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SuccessorRule {
    /// The manager that the directory names.
    #[serde(rename = "manager")]
    Manager,
    /// Always this person.
    #[serde(rename = "named")]
    Named(PersonRef),
    /// Nobody.
    #[serde(rename = "nobody")]
    Nobody,
}

/// Who must approve what, and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approvals {
    /// Whether the plan needs an approval before it writes.
    pub plan: bool,
    /// Who may approve; empty: anyone but the requester, who handed it in, and the leaver.
    pub approvers: BTreeSet<String>,
    /// Whether somebody may approve what he has handed in for another one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approver_may_hand_in: bool,
    /// After this long an approval counts as overdue, in milliseconds.
    pub overdue_after_ms: i64,
    /// How long an approved irreversible task still waits, so that it can be
    /// stopped, in milliseconds.
    pub irreversible_delay_ms: i64,
}

/// The policy of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Who takes over.
    pub successor: SuccessorRule,
    /// Approvals.
    pub approvals: Approvals,
    /// Accounts that are never touched: object ids or sign-in names, lower case.
    pub protected: BTreeSet<String>,
    /// Kinds that this tenant does not want.
    pub skip: BTreeSet<Kind>,
    /// Legal hold unless the request says otherwise.
    pub legal_hold: bool,
    /// How long a hold lasts, in days; none: until lifted.
    pub hold_days: Option<u32>,
    /// Whether the whole mailbox is kept in an archive, unless the request says
    /// otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archive_mailbox: bool,
    /// How many years such an archive is kept; none: until somebody decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_years: Option<u32>,
    /// The mail servers whose mailboxes are the workspace's own: an archive that is made
    /// there is one of the workspace's mailbox, and of no other server's.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub workspace_mail: BTreeSet<System>,
    /// What becomes of mail that still arrives.
    pub forwarding: Forwarding,
    /// The automatic reply; none: none is set.
    pub automatic_reply: Option<String>,
    /// What becomes of organised meetings.
    pub meetings: Meetings,
    /// What becomes of the OneDrive.
    pub onedrive: OneDriveChoice,
    /// Whether company devices are wiped.
    pub wipe_company_devices: bool,
    /// Whether whoever leaves on a day known before tells what he knows first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub knowledge_session: bool,
    /// What several people sign in with and everybody who leaves knew, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared_credentials: Vec<String>,
    /// Applications that the tenant's systems see to: ids or names, lower case.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub covered_apps: BTreeSet<String>,
    /// Applications that need nobody's attention: ids or names, lower case.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub known_apps: BTreeSet<String>,
    /// Largest mailbox that may be shared without a licence, in bytes.
    pub shared_mailbox_max_bytes: i64,
    /// Most departures that start within an hour before a person is asked.
    pub departures_per_hour: u32,
    /// What a licence costs a month, in hundredths of the currency, by SKU part number.
    pub licence_price_cents: BTreeMap<String, i64>,
    /// The currency of those prices.
    pub currency: String,
}

/// Microsoft's limit for a shared mailbox without a licence: 50 GB.
pub const SHARED_MAILBOX_MAX_BYTES: i64 = 50 * 1024 * 1024 * 1024;

/// The parameter that says how large a shared mailbox may be without a licence, in bytes.
pub const SHARED_MAX_BYTES: &str = "shared_max_bytes";

impl Default for Policy {
    fn default() -> Self {
        Self {
            successor: SuccessorRule::Manager,
            approvals: Approvals {
                plan: true,
                approvers: BTreeSet::new(),
                approver_may_hand_in: false,
                overdue_after_ms: DAY_MS,
                irreversible_delay_ms: HOUR_MS,
            },
            protected: BTreeSet::new(),
            skip: BTreeSet::new(),
            legal_hold: false,
            hold_days: None,
            archive_mailbox: false,
            archive_years: None,
            workspace_mail: BTreeSet::new(),
            forwarding: Forwarding::Remove,
            automatic_reply: None,
            meetings: Meetings::Leave,
            onedrive: OneDriveChoice::HandOver,
            wipe_company_devices: true,
            knowledge_session: false,
            shared_credentials: Vec::new(),
            covered_apps: BTreeSet::new(),
            known_apps: BTreeSet::new(),
            shared_mailbox_max_bytes: SHARED_MAILBOX_MAX_BYTES,
            departures_per_hour: 25,
            licence_price_cents: BTreeMap::new(),
            currency: "EUR".into(),
        }
    }
}

impl Case {
    /// Whether the tenant's list of protected accounts names the person by now, and did not
    /// when the case was opened, and nothing of his was written yet. By his ids, by the names
    /// that the case knows, and by every address that he had where he was looked up.
    #[must_use]
    pub fn is_protected_by_now(&self, gates: &Gates) -> bool {
        let Some(now) = &gates.policy_now else { return false };
        // Hardly ever is there one: nothing else is looked at then.
        let added: Vec<&String> = now.protected.difference(&self.policy.protected).collect();
        if added.is_empty() || self.has_begun_to_write() {
            return false;
        }
        let is_added = |name: &str| {
            let name = name.to_lowercase();
            added.iter().any(|listed| **listed == name)
        };
        let person = &self.departure.person;
        let names = [
            self.subject_facts.text("user_principal_name"),
            person.user_principal_name.as_deref(),
            person.mail.as_deref(),
            person.object_id.as_ref().map(|id| id.0.as_str()),
        ];
        let ids = self.subject.0.values().map(|id| id.0.as_str());
        names.into_iter().flatten().chain(ids).any(is_added) || self.has_an_address_of(&added)
    }

    /// Whether he was found to have one of these addresses, in any directory.
    fn has_an_address_of(&self, listed: &[&String]) -> bool {
        let addressed = listed.iter().filter(|name| name.contains('@'));
        let marks: BTreeSet<String> = addressed.map(|name| address_mark(self.id, name)).collect();
        let looked = self
            .tasks
            .values()
            .filter_map(|t| t.last_seen()?.facts.list(ADDRESS_MARKS));
        !marks.is_empty() && looked.flatten().any(|mark| marks.contains(mark))
    }

    /// Whether a worker was given anything that changes something of the person's, or may have
    /// been in a history that is lost.
    pub(crate) fn has_begun_to_write(&self) -> bool {
        self.may_have_ordered(|t| t.kind().spec().writes && !t.kind().is_beside())
    }
}

/// The fact with what is kept of the addresses of whoever was looked up, beside the names that
/// are facts themselves: see [`address_mark`].
pub const ADDRESS_MARKS: &str = "address_marks";

/// The fact with the marks of those addresses by which another system may know him: his
/// mail address and each alias, former ones too, but none that the platform gave of itself.
pub const NAME_MARKS: &str = "name_marks";

/// So much of a digest tells one person's addresses from a list's.
const MARK_CHARS: usize = 16;

/// What is kept of an address: enough to know it again on a list, and nothing that anybody
/// could read. It is of one case, so that no two of them can be joined by it.
#[must_use]
pub fn address_mark(case: CaseId, address: &str) -> String {
    let (case, address) = (case.to_string(), address.trim().to_lowercase());
    let parts = [b"offboard.address".as_slice(), case.as_bytes(), address.as_bytes()];
    let mut mark = Digest::of_parts(&parts).to_string();
    mark.truncate(MARK_CHARS);
    mark
}

/// What the tenant's connectors can do: which system claims which kinds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Capabilities(pub BTreeMap<System, BTreeSet<Kind>>);
