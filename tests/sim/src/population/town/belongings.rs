//! What people have: mailboxes and what is in them, devices.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{DAY_MS, DeviceSpec, PersonSpec, Town};
use crate::world::Dice;
use crate::world::model::{
    AutoReply, Autopilot, BitlockerKey, Calendar, DeviceAction, DeviceOwner, EntraDevice, Event, Folder, InboxRule,
    Mail, Mailbox, ManagedDevice, ManagementState, Mobile, PROTOCOLS, Person, Reach, Recurrence, UNSET_PROTOCOL, Until,
};

impl Town<'_> {
    /// Lets `trustee` open, send as and send on behalf of `owner`'s mailbox.
    pub fn delegate(&mut self, owner: &str, trustee: &str) {
        self.change_mailbox(owner, |mailbox| {
            mailbox.full_access.insert(trustee.to_owned());
            mailbox.send_as.insert(trustee.to_owned());
            mailbox.send_on_behalf.insert(trustee.to_owned());
        });
    }

    /// Lets `trustee` see and change `owner`'s calendar.
    pub fn share_calendar(&mut self, owner: &str, trustee: &str) {
        self.change_mailbox(owner, |mailbox| {
            mailbox.calendar.shared.insert(trustee.to_owned(), "Editor".to_owned());
        });
    }

    /// Adds an inbox rule; gives its id in Graph.
    pub fn inbox_rule(&mut self, owner: &str, name: &str, hidden: bool) -> String {
        let id = format!("AQAA{}", self.guid("rule", &format!("{owner}/{name}")).replace('-', ""));
        let rule_id = self.dice.roll("rule", &id, 0) >> 1;
        let canary = self.canary(owner).to_lowercase();
        self.change_mailbox(owner, |mailbox| {
            let sequence = u32::try_from(mailbox.rules.len()).unwrap_or(0) + 1;
            mailbox.rules.push(InboxRule {
                id: id.clone(),
                rule_id,
                name: name.to_owned(),
                sequence,
                hidden,
                system: false,
                forward_to: Some(format!("{canary}@private.example")),
            });
        });
        id
    }

    /// Adds a meeting that he organises some days from now; gives its id.
    pub fn meeting(&mut self, owner: &str, in_days: i64, attendees: &[&str], recurring: bool) -> String {
        let id = format!(
            "AAMk{}",
            self.guid("meeting", &format!("{owner}/{in_days}")).replace('-', "")
        );
        let start_ms = self.now + in_days * DAY_MS;
        let canary = self.canary(owner);
        self.change_mailbox(owner, |mailbox| {
            mailbox.events.push(Event {
                id: id.clone(),
                subject: format!("Review with {canary}"),
                start_ms,
                end_ms: start_ms + DAY_MS / 24,
                organiser: true,
                attendees: attendees.iter().map(|one| (*one).to_owned()).collect(),
                recurrence: recurring.then(|| Recurrence::weekly(start_ms, Until::NoEnd)),
                transaction_id: None,
            });
        });
        id
    }

    /// Adds a mobile device to a mailbox; gives its id.
    pub fn mobile(&mut self, owner: &str, account_wipe: bool, reach: Reach) -> String {
        let count = self
            .tenant()
            .mailboxes
            .get(owner)
            .map_or(0, |mailbox| mailbox.mobiles.len());
        let id = self.guid("mobile", &format!("{owner}/{count}"));
        let device_id = self
            .guid("mobile device", &format!("{owner}/{count}"))
            .replace('-', "")
            .to_uppercase();
        self.change_mailbox(owner, |mailbox| {
            mailbox.mobiles.push(Mobile {
                id: id.clone(),
                device_id,
                model: "iPhone15C2".to_owned(),
                os: "iOS 18.1".to_owned(),
                client: if account_wipe { "Outlook" } else { "EAS" },
                account_wipe,
                reach,
                wipe: None,
            });
        });
        id
    }

    /// Adds a device of a person; gives the ids of its management record and of its Entra object.
    pub fn device(&mut self, person: &str, name: &str, spec: DeviceSpec) -> (String, String) {
        let key = format!("{person}/{name}");
        let (id, object, device_id) = (
            self.guid("managed device", &key),
            self.guid("device", &key),
            self.guid("device id", &key),
        );
        let company = spec.owner == DeviceOwner::Company;
        let (now, dice) = (self.now, self.dice);
        let windows = spec.os == "Windows";
        // Not of a person's own, which is enrolled for its user alone.
        let lock = (spec.keys && company && !windows).then(|| {
            let canary = self.canary(person);
            (format!("{canary}-{}", dice.guid("activation lock", &id)), false)
        });
        let serial = format!("SN{:010}", dice.roll("serial", &id, 0) % 10_000_000_000);
        let keys = (spec.keys && windows).then(|| BitlockerKey {
            id: dice.guid("bitlocker", &id),
            key: (0..8)
                .map(|part| format!("{:06}", dice.roll("bitlocker", &id, part) % 720_896))
                .collect::<Vec<_>>()
                .join("-"),
            created_ms: now - 300 * DAY_MS,
            read: false,
        });
        // Many a device had another life, and its record remembers how that ended.
        let earlier_life = (dice.roll("earlier life", &id, 0) % 4 == 0).then(|| DeviceAction {
            name: if company { "wipe" } else { "retire" },
            state: "done",
            start_ms: now - 301 * DAY_MS,
            updated_ms: now - 301 * DAY_MS,
        });
        let tenant = self.tenant();
        let upn = tenant.people.get(person).map(|row| row.upn.clone());
        tenant.managed_devices.found(
            &id,
            ManagedDevice {
                id: id.clone(),
                entra_device_id: device_id.clone(),
                user: person.to_owned(),
                name: name.to_owned(),
                os: spec.os,
                encrypted: true,
                activation_lock: lock,
                unlock_code: None,
                owner: spec.owner,
                serial: serial.clone(),
                reach: spec.reach,
                state: ManagementState::Managed,
                actions: earlier_life.into_iter().collect(),
                enrolled_ms: now - 300 * DAY_MS,
                last_sync_ms: now - DAY_MS / 24,
            },
        );
        tenant.devices.found(
            &object,
            EntraDevice {
                id: object.clone(),
                device_id: device_id.clone(),
                name: name.to_owned(),
                os: spec.os,
                owner: spec.owner,
                user: person.to_owned(),
                more_users: BTreeSet::new(),
                more_owners: BTreeSet::new(),
                enabled: true,
                synced: false,
                laps: (spec.keys && windows).then(|| (format!("Laps-{}", dice.guid("laps", &id)), false)),
                bitlocker: keys.into_iter().collect(),
                registered_ms: now - 300 * DAY_MS,
            },
        );
        if spec.autopilot {
            let identity = dice.guid("autopilot", &id);
            let row = Autopilot {
                id: identity.clone(),
                serial,
                model: "Latitude 7440".to_owned(),
                user_upn: upn,
                user: Some(person.to_owned()),
                entra_device_id: device_id,
                managed_device_id: id.clone(),
            };
            tenant.autopilots.found(&identity, row);
        }
        (id, object)
    }
}

/// When the first message was made, in milliseconds since 1970: 2025-06-15.
const FIRST_MAIL_MS: i64 = 1_750_000_000_000;

/// A message of one of the shapes that mail has, also those that no standard allows.
fn mail(number: u64, canary: &str) -> Mail {
    let head = format!(
        "From: <a@x.test>\r\nTo: {canary} <b@x.test>\r\nSubject: {canary} {number}\r\nMessage-ID: <{number}@x.test>\r\n"
    );
    let mime: Vec<u8> = match number % 6 {
        0 => Vec::new(),
        1 => format!("{head}\r\nHello,\r\n\r\nFrom here on.\r\n.\r\n").into_bytes(),
        2 => [
            head.as_bytes(),
            b"X-8bit: \xe4\xf6\xfc \x00\r\n\r\nbare\nline ends\rand \xff\xfe",
        ]
        .concat(),
        3 => format!("{head}Content-Type: multipart/mixed; boundary=never\r\n\r\n--never\r\nnot ended").into_bytes(),
        4 => format!("{head}\r\n{}", "a long body ".repeat(2_000)).into_bytes(),
        _ => "no header at all, and no line end".as_bytes().to_vec(),
    };
    Mail {
        number,
        created_ms: FIRST_MAIL_MS + i64::try_from(number).unwrap_or(0) * DAY_MS,
        read: number.is_multiple_of(2),
        draft: number == 7,
        flagged: number.is_multiple_of(3),
        categories: if number == 4 {
            vec!["Blue category".to_owned()]
        } else {
            Vec::new()
        },
        mime: Arc::new(mime),
    }
}

pub(super) fn mailbox(person: &Person, canary: &str, spec: &PersonSpec, dice: Dice) -> Mailbox {
    let system_rule = |name: &str, nth: u64| InboxRule {
        id: format!("AQAAsystem{nth}"),
        rule_id: dice.roll("system rule", &person.id, nth) >> 1,
        name: name.to_owned(),
        sequence: 0,
        hidden: true,
        system: true,
        forward_to: None,
    };
    let items = dice.roll("items", &person.id, 0) % 40_000;
    let folder = |name: &str, parent: Option<&str>, hidden, numbers: std::ops::Range<u64>| Folder {
        id: format!("AAMkfolder{}", name.replace(|c: char| !c.is_ascii_alphanumeric(), "")),
        parent: parent.map(|name| format!("AAMkfolder{name}")),
        name: name.to_owned(),
        hidden,
        mails: numbers.map(|n| mail(n, canary)).collect(),
    };
    Mailbox {
        owner: person.id.clone(),
        exchange_guid: dice.guid("exchange", &person.id),
        upn: person.upn.clone(),
        alias: person.mail_nickname.clone(),
        display_name: person.display_name.clone(),
        shared: false,
        conversion: None,
        size_bytes: spec.mailbox_bytes,
        items,
        archive: false,
        hold: None,
        in_place_holds: Vec::new(),
        hidden: false,
        reply: AutoReply {
            status: "disabled".to_owned(),
            audience: "none".to_owned(),
            internal: format!("{canary} is away"),
            external: format!("{canary} is away"),
        },
        forward_to: None,
        forward_smtp: None,
        keep_forwarded: false,
        rules: vec![
            system_rule("Junk E-mail Rule", 0),
            system_rule("Microsoft.Exchange.OOF.AllExternalSenders.Global", 1),
        ],
        full_access: BTreeSet::new(),
        send_as: BTreeSet::new(),
        send_on_behalf: BTreeSet::new(),
        protocols: PROTOCOLS
            .iter()
            .map(|name| (*name, (*name != UNSET_PROTOCOL).then_some(true)))
            .collect(),
        smtp_auth_disabled: None,
        mobiles: Vec::new(),
        events: Vec::new(),
        calendar: Calendar {
            // Half of the people have set their mailbox to German.
            name: if dice.happens(500, "language", &person.id, 0) {
                "Kalender".to_owned()
            } else {
                "Calendar".to_owned()
            },
            shared: BTreeMap::new(),
        },
        folders: vec![
            folder("Inbox", None, false, 1..6),
            folder("SentItems", None, false, 6..8),
            folder("../../Größe & \\Gewicht\u{202e}.", Some("Inbox"), false, 8..10),
            folder("Recoverable Items", None, true, 10..11),
        ],
        lost_ms: None,
        doomed_ms: None,
        synced: spec.synced,
    }
}
