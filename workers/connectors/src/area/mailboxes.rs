//! Mailboxes and what hangs on them.

use crate::{Answer, Call};
use async_trait::async_trait;
use offboard_domain::{Digest, ObjectId};
use serde::Serialize;
use std::collections::BTreeSet;

/// Mailboxes.
#[async_trait]
pub trait Mailboxes: Send + Sync {
    /// The mail system's own record; `None` when the account has no mailbox.
    async fn mailbox(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Mailbox>>;

    /// What a second, independent interface says about the mailbox; `None`
    /// when that one knows no mailbox.
    async fn settings(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<MailboxSettings>>;

    /// How much is in it.
    async fn usage(&self, call: &mut Call, id: &ObjectId) -> Answer<MailboxUsage>;

    /// Changes one thing. Repeatable; what already is so is success.
    async fn set(&self, call: &mut Call, id: &ObjectId, change: &MailboxChange) -> Answer<()>;

    /// Everything of one sort that hangs on it, in a stable order.
    async fn attached(&self, call: &mut Call, id: &ObjectId, what: &Attachment) -> Answer<Vec<Attached>>;

    /// Takes one attached thing off. Already gone is success. For a meeting
    /// this cancels it, which mails every attendee.
    async fn detach(&self, call: &mut Call, id: &ObjectId, attached: &Attached) -> Answer<()>;

    /// Whether the mail system knows an account that has no mailbox there: whom it does
    /// not know, nobody can have given anything in it.
    async fn knows(&self, _call: &mut Call, _id: &ObjectId) -> Answer<bool> {
        Ok(true)
    }

    /// A page of others' mailboxes, for whoever must look at each of them; `from`
    /// is what the page before says of the next, to this attempt or an earlier
    /// one. Without an implementation there are none: right only where nobody
    /// can hold anything on another's mailbox.
    async fn others(&self, _call: &mut Call, _id: &ObjectId, _from: Option<&str>) -> Answer<OtherMailboxes> {
        Ok(OtherMailboxes {
            own: true,
            ..OtherMailboxes::default()
        })
    }

    /// Those of these mailboxes on which the account holds what their list does
    /// not show ([`OtherMailboxes::shown`]). It costs as many questions as there
    /// are mailboxes, so give it few at a time. [`Attachment::DelegationsOn`]
    /// says what is held there.
    async fn held_among(&self, _call: &mut Call, _id: &ObjectId, _others: &[ObjectId]) -> Answer<Vec<ObjectId>> {
        Ok(Vec::new())
    }
}

/// A page of the list of others' mailboxes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OtherMailboxes {
    /// Whose they are.
    pub others: Vec<ObjectId>,
    /// Those of them on which the list itself shows that the account holds something.
    pub shown: Vec<ObjectId>,
    /// Whether the account's own mailbox was on the page: a list of which no page
    /// has it is not whole.
    pub own: bool,
    /// Where the next page is; none: this was the last.
    pub next: Option<String>,
}

/// The mail system's record of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mailbox {
    /// The mail system's own immutable id.
    pub mailbox_id: String,
    /// The vendor's word for its type (`UserMailbox`, `SharedMailbox`).
    pub recipient_type: String,
    /// Whether address lists leave it out.
    pub hidden: bool,
    /// Where mail is forwarded.
    pub forwarding: Forwarding,
    /// What holds it.
    pub holds: Holds,
    /// Whether it has an archive.
    pub archive: bool,
    /// Whether another directory masters its address-list properties.
    pub synced: bool,
}

/// Where mail that arrives goes besides.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Forwarding {
    /// To whom; empty: nowhere.
    pub to: Vec<ForwardTo>,
    /// Whether a copy stays.
    pub keeps_copy: bool,
}

/// A recipient of forwarded mail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "to", content = "value", rename_all = "snake_case")]
pub enum ForwardTo {
    /// An account of the directory.
    Account(ObjectId),
    /// A recipient inside that is no account, as the mail system names it.
    Recipient(String),
    /// An address.
    Address(String),
}

/// What holds a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Holds {
    /// Whether it is on litigation hold.
    pub litigation: bool,
    /// For how many days; none: until lifted (or there is none).
    pub litigation_days: Option<i64>,
    /// Other holds, by the vendor's ids.
    pub others: Vec<String>,
}

impl Holds {
    /// Whether anything holds it.
    #[must_use]
    pub fn any(&self) -> bool {
        self.litigation || !self.others.is_empty()
    }
}

/// What a second interface says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MailboxSettings {
    /// The vendor's word for what the mailbox is for (`user`, `shared`).
    pub purpose: Option<String>,
    /// The automatic reply.
    pub automatic_reply: AutomaticReply,
}

/// An automatic reply.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct AutomaticReply {
    /// The vendor's word: `disabled`, `alwaysEnabled`, `scheduled`.
    pub status: String,
    /// What colleagues read.
    pub internal: String,
    /// What everybody else reads.
    pub external: String,
    /// Who of everybody else gets one: `none`, `contactsOnly`, `all`.
    pub audience: String,
}

impl AutomaticReply {
    /// A digest of the text, blind to what mail systems do to it (they wrap it
    /// in HTML, change line ends and trailing blanks): compare it with
    /// [`AutomaticReply::digest_of`] the wanted text. The internal and the
    /// external text must be the same; two different ones have no digest.
    #[must_use]
    pub fn digest(&self) -> Option<String> {
        let (a, b) = (plain(&self.internal), plain(&self.external));
        (a == b).then(|| Digest::of(a.as_bytes()).to_string())
    }

    /// The digest of a wanted text.
    #[must_use]
    pub fn digest_of(text: &str) -> String {
        Digest::of(plain(text).as_bytes()).to_string()
    }
}

/// The words of a text: tags dropped, the five common entities read, runs of
/// blanks made one.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        match rest[open..].find('>') {
            Some(close) => {
                out.push(' ');
                rest = &rest[open + close + 1..];
            }
            None => {
                out.push_str(&rest[open..]);
                rest = "";
            }
        }
    }
    out.push_str(rest);
    let out = out
        .replace("&nbsp;", " ")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&");
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How much is in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MailboxUsage {
    /// Bytes.
    pub size_bytes: i64,
    /// Items.
    pub items: i64,
}

/// A way into a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Exchange ActiveSync: phones.
    ActiveSync,
    /// The browser.
    Web,
    /// Outlook.
    Mapi,
    /// IMAP.
    Imap,
    /// POP.
    Pop,
    /// Exchange Web Services.
    Ews,
    /// Sending with a user name and password.
    SmtpAuth,
}

impl Protocol {
    /// All of them.
    pub const ALL: &'static [Protocol] = &[
        Self::ActiveSync,
        Self::Web,
        Self::Mapi,
        Self::Imap,
        Self::Pop,
        Self::Ews,
        Self::SmtpAuth,
    ];

    /// The word in facts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::ActiveSync => "active_sync",
            Self::Web => "web",
            Self::Mapi => "mapi",
            Self::Imap => "imap",
            Self::Pop => "pop",
            Self::Ews => "ews",
            Self::SmtpAuth => "smtp_auth",
        }
    }
}

/// A change of one mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailboxChange {
    /// Every [`Protocol`] is off.
    BlockProtocols,
    /// Litigation hold, for this many days or until lifted.
    Hold {
        /// Days; none: until lifted.
        days: Option<u32>,
    },
    /// Address lists leave it out.
    Hide,
    /// Everybody who writes is answered with this text.
    AutomaticReply {
        /// The text.
        text: String,
    },
    /// Mail goes to this account too and a copy stays; none: all forwarding ends.
    Forward {
        /// To whom.
        to: Option<ObjectId>,
    },
    /// It becomes a shared mailbox. The vendor takes minutes: read
    /// [`Mailboxes::mailbox`] and [`Mailboxes::settings`] until both say so.
    ConvertToShared,
    /// Somebody gets a right on it.
    Grant {
        /// Who.
        to: ObjectId,
        /// What.
        right: MailboxRight,
    },
    /// The account is wiped off this phone at its next contact; the phone's
    /// other data stays.
    WipeAccountOn {
        /// The phone.
        device: MobileDevice,
    },
    /// The successor organises this meeting anew; the old one stays until it
    /// is detached.
    HandOverMeeting {
        /// The meeting.
        meeting: Meeting,
        /// The new organiser.
        to: ObjectId,
    },
}

/// A right that can be granted on a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MailboxRight {
    /// Open it and read everything.
    FullAccess,
    /// Send as it.
    SendAs,
}

/// The code of the fault when a mail system says nothing of a mailbox's size, and
/// nothing else shows that the mailbox is empty.
pub const SIZE_NOT_SAID: &str = "SizeNotSaid";

/// A sort of thing that hangs on a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attachment {
    /// The protocols that are on.
    Protocols,
    /// Inbox rules, hidden ones too.
    Rules,
    /// What others hold on the whole of it: to open it, to send as it.
    RightsTo,
    /// What others hold on it, on single folders too.
    DelegationsTo,
    /// What it holds on these mailboxes of others. On one that is gone it holds
    /// nothing.
    DelegationsOn {
        /// Whose they are.
        others: Vec<ObjectId>,
    },
    /// Phones.
    MobileDevices,
    /// Future meetings with attendees that it organises and has not cancelled.
    Meetings,
    /// Those of [`Attachment::Meetings`] that this account does not organise anew.
    OrphanMeetings {
        /// The new organiser.
        successor: ObjectId,
    },
}

/// One attached thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "attached", rename_all = "snake_case")]
pub enum Attached {
    /// A protocol that is on.
    Protocol {
        /// Which.
        protocol: Protocol,
    },
    /// An inbox rule.
    Rule(InboxRule),
    /// A delegation.
    Delegation(Delegation),
    /// A phone.
    MobileDevice(MobileDevice),
    /// A meeting.
    Meeting(Meeting),
}

impl Attached {
    /// What stands for it in facts: stable, and without personal data.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Protocol { protocol } => protocol.word().to_owned(),
            Self::Rule(rule) => rule.id.clone(),
            Self::Delegation(d) => d.key(),
            Self::MobileDevice(d) => d.id.clone(),
            Self::Meeting(m) => m.id.0.clone(),
        }
    }
}

/// An inbox rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InboxRule {
    /// Its id: opaque, without personal data.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// Whether it runs.
    pub enabled: bool,
    /// Whether the usual list leaves it out.
    pub hidden: bool,
    /// Whether it sends mail on to somebody.
    pub sends_on: bool,
    /// The rule as the vendor gave it: once it is removed, this alone tells
    /// what it looked for and where it sent. For a snapshot's artifact, and for
    /// nothing else: it names people.
    pub original: serde_json::Value,
}

/// Which way a delegation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Somebody else holds it on the subject's mailbox.
    ToOther,
    /// The subject holds it on somebody else's mailbox.
    FromOther,
}

/// What a delegation allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DelegationRight {
    /// Open it and read everything.
    FullAccess,
    /// Send as it.
    SendAs,
    /// Send on its behalf.
    SendOnBehalf,
    /// See or change its calendar.
    Calendar,
    /// See or change what is in another one of its folders.
    Folder(SharedFolder),
}

impl DelegationRight {
    /// The word in keys.
    fn word(self) -> String {
        match self {
            Self::FullAccess => "full_access".to_owned(),
            Self::SendAs => "send_as".to_owned(),
            Self::SendOnBehalf => "send_on_behalf".to_owned(),
            Self::Calendar => "calendar".to_owned(),
            Self::Folder(folder) => folder.word(),
        }
    }
}

/// A folder that can be shared by itself, by what stays the same when somebody
/// renames it. Its name is in the owner's language, and may say something of him:
/// it is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SharedFolder {
    /// The top of the mailbox, in which the others are.
    Root,
    /// What arrived.
    Inbox,
    /// What was sent.
    SentItems,
    /// What was not sent yet.
    Drafts,
    /// What is being sent.
    Outbox,
    /// What was deleted.
    DeletedItems,
    /// Junk.
    JunkEmail,
    /// What was put aside.
    Archive,
    /// Contacts.
    Contacts,
    /// Tasks.
    Tasks,
    /// Notes.
    Notes,
    /// The journal.
    Journal,
    /// Chats of former times.
    ConversationHistory,
    /// One that its owner made: the SHA-256 of the mail system's id of it.
    Own(Digest),
}

impl SharedFolder {
    fn word(self) -> String {
        match self {
            Self::Root => "root",
            Self::Inbox => "inbox",
            Self::SentItems => "sent_items",
            Self::Drafts => "drafts",
            Self::Outbox => "outbox",
            Self::DeletedItems => "deleted_items",
            Self::JunkEmail => "junk_email",
            Self::Archive => "archive",
            Self::Contacts => "contacts",
            Self::Tasks => "tasks",
            Self::Notes => "notes",
            Self::Journal => "journal",
            Self::ConversationHistory => "conversation_history",
            Self::Own(id) => return format!("folder_{}", short(id)),
        }
        .to_owned()
    }
}

/// A delegation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delegation {
    /// Which way it goes.
    pub direction: Direction,
    /// What it allows.
    pub right: DelegationRight,
    /// The other account, when it is one of the directory's.
    pub other: Option<ObjectId>,
    /// The other side as the mail system names it.
    pub other_name: String,
}

impl Delegation {
    fn key(&self) -> String {
        let direction = match self.direction {
            Direction::ToOther => "to",
            Direction::FromOther => "from",
        };
        let right = self.right.word();
        let other = match &self.other {
            Some(id) => id.0.clone(),
            None => short(Digest::of(self.other_name.to_lowercase().as_bytes())),
        };
        format!("{right}.{direction}.{other}")
    }
}

fn short(digest: Digest) -> String {
    /// Enough to tell the few delegations of one mailbox apart.
    const SHORT_HEX_DIGITS: usize = 16;
    let mut hex = digest.to_string();
    hex.truncate(SHORT_HEX_DIGITS);
    hex
}

/// A phone that the mailbox is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MobileDevice {
    /// The mail system's immutable id of the partnership.
    pub id: String,
    /// Model or name.
    pub name: Option<String>,
    /// Whether the account alone can be wiped off it.
    pub can_wipe_account: bool,
    /// What became of a wipe of the account.
    pub wipe: MobileWipe,
}

/// What became of a wipe of the account on a phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MobileWipe {
    /// None was ordered.
    None,
    /// Ordered; the phone has not answered.
    Pending,
    /// The phone says it is done.
    Acknowledged,
}

/// A meeting that the subject organises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Meeting {
    /// Its id in the organiser's calendar.
    pub id: ObjectId,
    /// The id that it has in every calendar.
    pub uid: String,
    /// Whether it repeats.
    pub series: bool,
    /// When it (or the series' first one) begins, in milliseconds since 1970,
    /// when that can be told.
    pub starts_ms: Option<i64>,
    /// The accounts and addresses invited.
    pub attendees: BTreeSet<String>,
    /// The vendor's own description, enough to organise it anew.
    pub original: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_recognised_in_its_wrapping() {
        let wrapped = AutomaticReply {
            internal: "<html>\r\n<body>\r\n<div>Gone &amp; not back.\r\n Ask <b>desk</b></div></body></html>".into(),
            external: "Gone & not back. Ask desk \n".into(),
            ..AutomaticReply::default()
        };
        assert_eq!(
            wrapped.digest().unwrap(),
            AutomaticReply::digest_of("Gone & not back.\nAsk desk")
        );
        let differing = AutomaticReply {
            external: "other".into(),
            ..wrapped
        };
        assert_eq!(differing.digest(), None);
    }

    #[test]
    fn keys_of_delegations_name_nobody() {
        let d = Delegation {
            direction: Direction::ToOther,
            right: DelegationRight::SendAs,
            other: None,
            other_name: "ann.canary@example.com".into(),
        };
        assert!(!Attached::Delegation(d).key().contains("canary"));
    }

    #[test]
    fn what_one_person_holds_on_two_folders_has_two_keys() {
        let held = |folder| {
            let held = Delegation {
                direction: Direction::ToOther,
                right: DelegationRight::Folder(folder),
                other: Some("u-1".into()),
                other_name: "Ann".into(),
            };
            Attached::Delegation(held).key()
        };
        assert_eq!(held(SharedFolder::Inbox), "inbox.to.u-1");
        assert_eq!(
            held(SharedFolder::Own(Digest([0xab; 32]))),
            "folder_abababababababab.to.u-1"
        );
        assert_ne!(
            held(SharedFolder::Own(Digest::of(b"one"))),
            held(SharedFolder::Own(Digest::of(b"two")))
        );
    }
}
