//! Mailboxes and what is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A mailbox; its key is its owner's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// The owner's object id.
    pub owner: String,
    /// Exchange's own id.
    pub exchange_guid: String,
    /// The owner's UPN (kept here for Exchange's answers).
    pub upn: String,
    /// The alias.
    pub alias: String,
    /// The name in address lists.
    pub display_name: String,
    /// Whether Exchange has finished making it a shared one.
    pub shared: bool,
    /// A conversion under way or done.
    pub conversion: Option<Conversion>,
    /// How big it is.
    pub size_bytes: u64,
    /// How many items it has.
    pub items: u64,
    /// Whether it has an archive.
    pub archive: bool,
    /// A litigation hold.
    pub hold: Option<Hold>,
    /// Other holds.
    pub in_place_holds: Vec<String>,
    /// Hidden from address lists.
    pub hidden: bool,
    /// The automatic reply.
    pub reply: AutoReply,
    /// Forwarding to a recipient of the tenant (his id).
    pub forward_to: Option<String>,
    /// Forwarding to any address.
    pub forward_smtp: Option<String>,
    /// Whether forwarded mail is also kept.
    pub keep_forwarded: bool,
    /// Inbox rules, hidden ones too.
    pub rules: Vec<InboxRule>,
    /// Who may open it.
    pub full_access: BTreeSet<String>,
    /// Who may send as it.
    pub send_as: BTreeSet<String>,
    /// Who may send on its behalf.
    pub send_on_behalf: BTreeSet<String>,
    /// Protocols by their parameter name, and whether each is on; unset means as the
    /// tenant has it, where all are.
    pub protocols: BTreeMap<&'static str, Option<bool>>,
    /// Whether SMTP AUTH is off; unset means as the tenant has it.
    pub smtp_auth_disabled: Option<bool>,
    /// Mobile devices.
    pub mobiles: Vec<Mobile>,
    /// Meetings and appointments.
    pub events: Vec<Event>,
    /// The folder that they are in.
    pub calendar: Calendar,
    /// Folders.
    pub folders: Vec<Folder>,
    /// When it was disconnected, if it was.
    pub lost_ms: Option<i64>,
    /// When it will be disconnected because nothing keeps it.
    pub doomed_ms: Option<i64>,
    /// Whether an on-premises directory masters its address-list properties.
    pub synced: bool,
}

/// The folder of the main calendar, and who may open it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// Its name, in the owner's language.
    pub name: String,
    /// What each trustee may do, by his id: `Reviewer`, `Editor`, `None`…
    pub shared: BTreeMap<String, String>,
}

/// What of a mailbox is shared folder by folder, beside its main calendar; its key is its owner's
/// id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FolderSharing {
    /// Folders that the owner made.
    pub own: Vec<OwnFolder>,
    /// What each trustee may do in each folder, by its type in Exchange's words or by the path of
    /// one that the owner made, and by his id.
    pub shared: BTreeMap<String, BTreeMap<String, String>>,
}

/// A folder that a mailbox's owner made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnFolder {
    /// Where it is: `/Projects`.
    pub path: String,
    /// When it is deleted, if it is.
    pub gone_at_ms: Option<i64>,
}

/// The protocols that `Set-CASMailbox` switches.
pub const PROTOCOLS: [&str; 7] = [
    "ActiveSyncEnabled",
    "EwsEnabled",
    "ImapEnabled",
    "MAPIEnabled",
    "OWAEnabled",
    "OWAforDevicesEnabled",
    "PopEnabled",
];

/// The one of them that nobody has set for a single mailbox.
pub const UNSET_PROTOCOL: &str = "EwsEnabled";

/// A conversion between a user's mailbox and a shared one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversion {
    /// To a shared one, or back.
    pub to_shared: bool,
    /// When Exchange shows it.
    pub exchange_at_ms: i64,
    /// When Graph shows it.
    pub graph_at_ms: i64,
}

/// A litigation hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Since when.
    pub at_ms: i64,
    /// For how many days; none for ever.
    pub days: Option<i64>,
}

/// An automatic reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoReply {
    /// `disabled`, `alwaysEnabled` or `scheduled`.
    pub status: String,
    /// `none`, `contactsOnly` or `all`.
    pub audience: String,
    /// To colleagues.
    pub internal: String,
    /// To everybody else.
    pub external: String,
}

/// An inbox rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRule {
    /// Its id in Graph.
    pub id: String,
    /// Its id in Exchange.
    pub rule_id: u64,
    /// Its name.
    pub name: String,
    /// Its place.
    pub sequence: u32,
    /// Whether Graph and the plain cmdlet do not show it.
    pub hidden: bool,
    /// One of Exchange's own (junk, out of office), which must stay.
    pub system: bool,
    /// Whom it forwards to.
    pub forward_to: Option<String>,
}

/// A mobile device that reads the mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mobile {
    /// Its id.
    pub id: String,
    /// What it calls itself.
    pub device_id: String,
    /// Its model.
    pub model: String,
    /// Its system.
    pub os: String,
    /// `EAS` or `Outlook`.
    pub client: &'static str,
    /// Whether it can be told to wipe only the account.
    pub account_wipe: bool,
    /// When it can be reached.
    pub reach: Reach,
    /// A wipe: ordered when, of the account only, acknowledged when.
    pub wipe: Option<(i64, bool, Option<i64>)>,
}

/// When a device answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It checks in within a short while.
    Online,
    /// It is away until then.
    Until(i64),
    /// It never comes back.
    Never,
}

/// An appointment or meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: String,
    /// What it is about.
    pub subject: String,
    /// When it starts.
    pub start_ms: i64,
    /// When it ends.
    pub end_ms: i64,
    /// Whether the mailbox's owner organised it.
    pub organiser: bool,
    /// Who comes.
    pub attendees: Vec<String>,
    /// How it repeats, if it does: then it is the series.
    pub recurrence: Option<Recurrence>,
    /// What a client gave to make the creation happen once.
    pub transaction_id: Option<String>,
}

/// How a meeting repeats, in the vendor's words (`patternedRecurrence`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recurrence {
    /// `daily`, `weekly`, `absoluteMonthly`, `relativeMonthly`, `absoluteYearly` or `relativeYearly`.
    pub pattern: String,
    /// Every so many days, weeks, months or years.
    pub interval: i64,
    /// On which days of the week.
    pub days_of_week: Vec<String>,
    /// On which day a week begins.
    pub first_day_of_week: String,
    /// Which of these days in the month: `first` to `fourth`, or `last`.
    pub index: String,
    /// On which day of the month; 0: not by its number.
    pub day_of_month: i64,
    /// In which month; 0: not in a certain one.
    pub month: i64,
    /// The first day, `2026-11-23`.
    pub start_date: String,
    /// Until when.
    pub until: Until,
    /// The time zone of these days.
    pub time_zone: String,
}

/// Until when a meeting repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Until {
    /// For ever.
    NoEnd,
    /// To this day.
    Date(String),
    /// So many times.
    Count(i64),
}

impl Recurrence {
    /// Every week on the day of `start_ms`.
    #[must_use]
    pub fn weekly(start_ms: i64, until: Until) -> Self {
        let day = jiff::Timestamp::from_millisecond(start_ms)
            .unwrap_or_default()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .date();
        Self {
            pattern: "weekly".to_owned(),
            interval: 1,
            days_of_week: vec![day.strftime("%A").to_string().to_lowercase()],
            first_day_of_week: "sunday".to_owned(),
            index: "first".to_owned(),
            day_of_month: 0,
            month: 0,
            start_date: day.to_string(),
            until,
            time_zone: "UTC".to_owned(),
        }
    }
}

/// The parent of the folder of what was deleted for good and can be recovered: it is in no
/// list of folders.
pub const RECOVERABLE_ROOT: &str = "recoverableitemsroot";

/// A mail folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its id.
    pub id: String,
    /// The folder that it is in; none: the root.
    pub parent: Option<String>,
    /// Its name.
    pub name: String,
    /// Whether it is hidden.
    pub hidden: bool,
    /// What is in it.
    pub mails: Vec<Mail>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Its number in the mailbox, from which its ids come.
    pub number: u64,
    /// When it was made.
    pub created_ms: i64,
    /// Whether it was read.
    pub read: bool,
    /// Whether it is a draft.
    pub draft: bool,
    /// Whether it is flagged.
    pub flagged: bool,
    /// Its categories.
    pub categories: Vec<String>,
    /// It as MIME.
    pub mime: Arc<Vec<u8>>,
}
