//! The mailbox as Graph shows it: settings, inbox rules, the calendar, folders.

use std::sync::Arc;

use super::journal::Effect;
use super::model::{
    AutoReply, Conversion, Event, Folder, InboxRule, Mail, Mailbox, MethodKind, RECOVERABLE_ROOT, Reach, Recurrence,
};
use super::tenant::Due;
use super::{Actor, Cx, Tenant, VendorError};

/// What Graph says that a mailbox is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A user's.
    User,
    /// Shared.
    Shared,
}

impl Purpose {
    /// The vendor's word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Shared => "shared",
        }
    }
}

/// A mailbox's settings as Graph shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxSettings {
    /// The automatic reply.
    pub reply: AutoReply,
    /// What it is for.
    pub purpose: Purpose,
}

/// A change of the automatic reply; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AutoReplyChange {
    /// `disabled`, `alwaysEnabled` or `scheduled`.
    pub status: Option<String>,
    /// `none`, `contactsOnly` or `all`.
    pub audience: Option<String>,
    /// To colleagues.
    pub internal: Option<String>,
    /// To everybody else.
    pub external: Option<String>,
}

/// An event to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// What it is about.
    pub subject: String,
    /// When it starts.
    pub start_ms: i64,
    /// When it ends.
    pub end_ms: i64,
    /// Who is invited.
    pub attendees: Vec<String>,
    /// How it repeats.
    pub recurrence: Option<Recurrence>,
    /// Makes the creation happen once.
    pub transaction_id: Option<String>,
}

/// How soon a device that is online checks in.
const ONLINE_CHECK_IN_MS: i64 = 5_000;

impl Reach {
    /// When it next checks in, if ever.
    pub(super) fn next_ms(self, now: i64) -> Option<i64> {
        match self {
            Self::Online => Some(now + ONLINE_CHECK_IN_MS),
            Self::Until(at) => Some(at.max(now)),
            Self::Never => None,
        }
    }
}

impl Mailbox {
    fn purpose(&self, as_of: i64) -> Purpose {
        let shared = match self.conversion {
            Some(Conversion {
                to_shared, graph_at_ms, ..
            }) if as_of >= graph_at_ms => to_shared,
            Some(Conversion { to_shared, .. }) => !to_shared,
            None => self.shared,
        };
        if shared { Purpose::Shared } else { Purpose::User }
    }
}

impl Mail {
    /// The id that it keeps wherever it goes.
    #[must_use]
    pub fn immutable_id(&self) -> String {
        format!("AAkALgAAimmutable{:05}_-=", self.number)
    }

    /// The id that it has in a folder, and loses when it goes.
    #[must_use]
    pub fn id_in(&self, folder: &str) -> String {
        format!("AAMkmutable{folder}{:05}=", self.number)
    }
}

impl MethodKind {
    /// Whether it is one of the phones.
    #[must_use]
    pub fn is_phone(self) -> bool {
        matches!(self, Self::Phone(_))
    }
}

impl Tenant {
    pub(super) fn seen_mailbox(&self, cx: &Cx, who: &str) -> Result<&Mailbox, VendorError> {
        let id = &self.seen(cx, who)?.id;
        self.mailboxes
            .at(id, cx.as_of)
            .filter(|mailbox| mailbox.lost_ms.is_none())
            .ok_or_else(VendorError::no_mailbox)
    }

    fn true_mailbox(&self, who: &str) -> Result<(String, &Mailbox), VendorError> {
        let id = self.true_id(who)?;
        let mailbox = self
            .mailboxes
            .get(&id)
            .filter(|mailbox| mailbox.lost_ms.is_none())
            .ok_or_else(VendorError::no_mailbox)?;
        Ok((id, mailbox))
    }

    pub(super) fn mailbox_settings(&self, cx: &Cx, who: &str) -> Result<MailboxSettings, VendorError> {
        let mailbox = self.seen_mailbox(cx, who)?;
        Ok(MailboxSettings {
            reply: mailbox.reply.clone(),
            purpose: mailbox.purpose(cx.as_of),
        })
    }

    pub(super) fn set_auto_reply(
        &mut self,
        cx: &Cx,
        who: &str,
        change: &AutoReplyChange,
    ) -> Result<MailboxSettings, VendorError> {
        let (id, _) = self.true_mailbox(who)?;
        let Some(mailbox) = self.mailboxes.edit(&id, cx.now) else {
            return Err(VendorError::no_mailbox());
        };
        let reply = &mut mailbox.reply;
        let parts = [
            (&mut reply.status, &change.status),
            (&mut reply.audience, &change.audience),
            (&mut reply.internal, &change.internal),
            (&mut reply.external, &change.external),
        ];
        for (is, wanted) in parts {
            if let Some(wanted) = wanted {
                is.clone_from(wanted);
            }
        }
        let settings = MailboxSettings {
            reply: mailbox.reply.clone(),
            purpose: mailbox.purpose(cx.now),
        };
        self.note(cx.now, cx.actor(), Effect::AutoReplySet, &id, &id);
        Ok(settings)
    }

    pub(super) fn list_rules(&self, cx: &Cx, who: &str) -> Result<Vec<InboxRule>, VendorError> {
        Ok(self
            .seen_mailbox(cx, who)?
            .rules
            .iter()
            .filter(|rule| !rule.hidden && !rule.system)
            .cloned()
            .collect())
    }

    pub(super) fn delete_rule(&mut self, cx: &Cx, who: &str, rule: &str) -> Result<(), VendorError> {
        let (id, mailbox) = self.true_mailbox(who)?;
        if !mailbox
            .rules
            .iter()
            .any(|row| row.id == rule && !row.hidden && !row.system)
        {
            return Err(VendorError::no_item());
        }
        if let Some(mailbox) = self.mailboxes.edit(&id, cx.now) {
            mailbox.rules.retain(|row| row.id != rule);
        }
        self.note(cx.now, cx.actor(), Effect::InboxRuleRemoved, &id, rule);
        Ok(())
    }

    pub(super) fn list_events(
        &self,
        cx: &Cx,
        who: &str,
        window: Option<(i64, i64)>,
    ) -> Result<Vec<Event>, VendorError> {
        let events = &self.seen_mailbox(cx, who)?.events;
        Ok(events
            .iter()
            .filter(|event| window.is_none_or(|(from, to)| event.end_ms >= from && event.start_ms <= to))
            .cloned()
            .collect())
    }

    pub(super) fn create_event(&mut self, cx: &Cx, who: &str, new: &NewEvent) -> Result<Event, VendorError> {
        let (id, mailbox) = self.true_mailbox(who)?;
        let same = mailbox
            .events
            .iter()
            .find(|event| event.transaction_id.is_some() && event.transaction_id == new.transaction_id);
        if let Some(event) = same {
            return Ok(event.clone());
        }
        let event = Event {
            id: format!("AAMk{}", cx.salt_guid("event").replace('-', "")),
            subject: new.subject.clone(),
            start_ms: new.start_ms,
            end_ms: new.end_ms,
            organiser: true,
            attendees: new.attendees.clone(),
            recurrence: new.recurrence.clone(),
            transaction_id: new.transaction_id.clone(),
        };
        if let Some(mailbox) = self.mailboxes.edit(&id, cx.now) {
            mailbox.events.push(event.clone());
        }
        self.note(cx.now, cx.actor(), Effect::MeetingCreated, &id, &event.id);
        Ok(event)
    }

    /// Takes an event out of the calendar; as a cancellation only its organiser may.
    pub(super) fn cancel_event(
        &mut self,
        cx: &Cx,
        who: &str,
        event: &str,
        as_organiser: bool,
    ) -> Result<(), VendorError> {
        let (id, mailbox) = self.true_mailbox(who)?;
        let found = mailbox
            .events
            .iter()
            .find(|row| row.id == event)
            .ok_or_else(VendorError::no_item)?;
        if as_organiser && !found.organiser {
            return Err(VendorError::new(
                400,
                "ErrorInvalidRequest",
                "Your request can't be completed. You need to be an organizer to cancel a meeting.",
            ));
        }
        if let Some(mailbox) = self.mailboxes.edit(&id, cx.now) {
            mailbox.events.retain(|row| row.id != event);
        }
        self.note(cx.now, cx.actor(), Effect::MeetingCancelled, &id, event);
        Ok(())
    }

    pub(super) fn list_folders(
        &self,
        cx: &Cx,
        who: &str,
        parent: Option<&str>,
        hidden: bool,
    ) -> Result<Vec<(Folder, usize)>, VendorError> {
        let all = &self.seen_mailbox(cx, who)?.folders;
        if parent.is_some_and(|parent| !all.iter().any(|folder| folder.id == parent)) {
            return Err(VendorError::no_item());
        }
        let children = |of: &str| all.iter().filter(|f| f.parent.as_deref() == Some(of)).count();
        Ok(all
            .iter()
            .filter(|folder| folder.parent.as_deref() == parent && (hidden || !folder.hidden))
            .map(|folder| (folder.clone(), children(&folder.id)))
            .collect())
    }

    /// A folder by its id, or the one of what can be recovered by its well-known name; with
    /// the number of those in it.
    pub(super) fn get_folder(&self, cx: &Cx, who: &str, named: &str) -> Result<(Folder, usize), VendorError> {
        let all = &self.seen_mailbox(cx, who)?.folders;
        let is_meant = |folder: &&Folder| match named {
            "recoverableitemsdeletions" => folder.parent.as_deref() == Some(RECOVERABLE_ROOT),
            id => folder.id == id,
        };
        let found = all.iter().find(is_meant).ok_or_else(VendorError::no_item)?;
        let children = all.iter().filter(|f| f.parent.as_ref() == Some(&found.id)).count();
        Ok((found.clone(), children))
    }

    pub(super) fn list_mails(&self, cx: &Cx, who: &str, folder: &str) -> Result<Vec<Mail>, VendorError> {
        let mut all = self.seen_mailbox(cx, who)?.folders.iter();
        let folder = all.find(|one| one.id == folder).ok_or_else(VendorError::no_item)?;
        Ok(folder.mails.clone())
    }

    /// A message by its immutable id, or by the one that it has in its folder.
    pub(super) fn get_mime(&self, cx: &Cx, who: &str, id: &str) -> Result<Arc<Vec<u8>>, VendorError> {
        let folders = &self.seen_mailbox(cx, who)?.folders;
        let found = folders.iter().find_map(|folder| {
            let mut all = folder.mails.iter();
            all.find(|mail| mail.immutable_id() == id || mail.id_in(&folder.id) == id)
        });
        found
            .map(|mail| Arc::clone(&mail.mime))
            .ok_or_else(VendorError::no_item)
    }

    pub(super) fn finish_conversion(&mut self, at: i64, person: &str) {
        let due = self
            .mailboxes
            .get(person)
            .and_then(|mailbox| mailbox.conversion)
            .filter(|conversion| conversion.exchange_at_ms <= at);
        let Some(conversion) = due else { return };
        if let Some(mailbox) = self.mailboxes.edit(person, at) {
            if mailbox.lost_ms.is_some() || mailbox.shared == conversion.to_shared {
                return;
            }
            mailbox.shared = conversion.to_shared;
        }
        self.note(
            at,
            &Actor::Machinery("mailbox conversion"),
            Effect::MailboxConverted,
            person,
            person,
        );
    }

    pub(super) fn mobile_checks_in(&mut self, at: i64, person: &str, mobile: &str) {
        let Some(mailbox) = self.mailboxes.edit(person, at) else {
            return;
        };
        let Some(row) = mailbox.mobiles.iter_mut().find(|row| row.id == mobile) else {
            return;
        };
        let Some((_, _, acknowledged @ None)) = row.wipe.as_mut() else {
            return;
        };
        *acknowledged = Some(at);
        self.note(
            at,
            &Actor::Machinery("mobile device"),
            Effect::MobileWiped,
            person,
            mobile,
        );
    }

    pub(super) fn order_mobile_wipe(&mut self, cx: &Cx, person: &str, mobile: &str, account_only: bool) {
        let Some(mailbox) = self.mailboxes.edit(person, cx.now) else {
            return;
        };
        let Some(row) = mailbox.mobiles.iter_mut().find(|row| row.id == mobile) else {
            return;
        };
        row.wipe = Some((cx.now, account_only, None));
        let next = row.reach.next_ms(cx.now);
        self.note(cx.now, cx.actor(), Effect::MobileWipeOrdered, person, mobile);
        if let Some(at) = next {
            self.schedule(
                at,
                Due::MobileCheckIn {
                    person: person.to_owned(),
                    mobile: mobile.to_owned(),
                },
            );
        }
    }
}
