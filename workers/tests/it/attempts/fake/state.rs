//! What there is in the world.

use super::workspace::Office;
use offboard_connectors::{
    Account, ActionState, Application, Attached, AutomaticReply, Autopilot, Computer, Delegation, DelegationRight,
    Device, DeviceObject, DeviceRef, Direction, EndpointClass, Forwarding, Group, GroupNature, Held, HeldLicence,
    Holds, InboxRule, LicenceOrigin, Mailbox, MailboxSettings, MailboxUsage, ManagedDevice, Meeting, MethodSort,
    MobileDevice, MobileWipe, NotesStatus, OwnedSort, Owner, PoolLine, Protection, Protocol, RecoveryKeySort,
    RoleOrigin, Silence, Site, UnlockCode,
};
use offboard_domain::ObjectId;
use offboard_domain::unplanned::Software;
use std::collections::{BTreeMap, BTreeSet};

/// The leaver.
pub(crate) const LEAVER: &str = "u-leaver";
/// Who takes over; the leaver's manager.
pub(crate) const SUCCESSOR: &str = "u-boss";
/// What must never be in a report: in names, addresses, rule names and keys.
pub(crate) const CANARY: &str = "canary-7f3a";

/// How long the world takes.
pub(crate) const CONVERSION_MS: i64 = 3 * 60_000;
/// Longer than it takes until an order that nobody answered for is read.
pub(crate) const SCRIPT_MS: i64 = 20 * 60_000;
pub(crate) const PHONE_MS: i64 = 15 * 60_000;
pub(crate) const CHECK_IN_MS: i64 = 25 * 60_000;
pub(crate) const ACTION_MS: i64 = 90_000;
/// Longer than a dead worker's assignment is valid: else a death could hide
/// the proof (and a person would be asked).
pub(crate) const RECORD_GONE_MS: i64 = 10 * 60_000;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DeviceRow {
    pub(crate) device: Device,
    pub(crate) managed: Option<ManagedDevice>,
    pub(crate) object: Option<DeviceObject>,
    pub(crate) autopilot: Option<Autopilot>,
    /// Whether the enrolment has several records that may be its own.
    pub(crate) autopilot_unclear: bool,
    pub(crate) keys: Vec<(String, String)>,
    /// The sorts of key that it may have besides, and that nobody gives.
    pub(crate) keys_withheld: Vec<RecoveryKeySort>,
    /// Whether its disk is known to be encrypted.
    pub(crate) encrypted: bool,
    /// Whether another account is registered on it.
    pub(crate) used_by_another: bool,
    /// When an order reaches it, is done, and its record goes.
    pub(crate) schedule: Vec<(i64, &'static str)>,
    /// The code that the last wipe brought.
    pub(crate) wiped_with: Option<UnlockCode>,
}

/// An account in the application.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AppRow {
    pub(crate) user_name: String,
    pub(crate) active: bool,
}

/// A device in the remote management.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FleetRow {
    pub(crate) uid: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) class: EndpointClass,
    pub(crate) serial: String,
    pub(crate) signed_in: Option<String>,
    pub(crate) marks: BTreeSet<String>,
    /// When a script that was ordered will have run, and its marker.
    pub(crate) runs: Vec<(i64, String)>,
    /// What the last script wrote.
    pub(crate) field: Option<String>,
    pub(crate) over: bool,
    pub(crate) silence: Option<Silence>,
    pub(crate) software: Vec<Software>,
}

/// The leaver's laptop, a colleague's on which he signed in, and one that is
/// nobody's.
fn fleet() -> BTreeMap<String, FleetRow> {
    let row = |n: u32, owner: Option<&str>, signed_in: Option<&str>| FleetRow {
        uid: Some(format!("node-{n}")),
        owner: owner.map(str::to_owned),
        class: EndpointClass::Workstation,
        serial: format!("5CG{n}{n}{n}{n}"),
        signed_in: signed_in.map(str::to_owned),
        marks: ["vip".to_owned()].into(),
        runs: Vec::new(),
        field: None,
        over: false,
        silence: None,
        software: [("Vault", "Vault Ltd"), ("Runtime", "Microsoft Corporation")]
            .map(|(name, publisher)| Software {
                name: name.to_owned(),
                publisher: Some(publisher.to_owned()),
            })
            .into(),
    };
    let signed_in = format!("ACME\\{LEAVER}");
    [
        ("41".to_owned(), row(1, Some("uid-leaver"), None)),
        ("42".to_owned(), row(2, Some("uid-boss"), Some(&signed_in))),
        ("43".to_owned(), row(3, None, Some(&signed_in))),
    ]
    .into()
}

/// A ticket at the desk.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct DeskRow {
    pub(crate) title: String,
    pub(crate) notes: Vec<String>,
    /// Names and sizes.
    pub(crate) files: Vec<(String, u64)>,
    pub(crate) closed: bool,
}

/// A page of notes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct NotesRow {
    pub(crate) status: NotesStatus,
    pub(crate) version: u64,
    pub(crate) body: String,
    /// Names and sizes.
    pub(crate) files: Vec<(String, u64)>,
}

/// An application of this id in the directory.
pub(crate) fn application(id: &str, of_the_platform: bool) -> Application {
    Application {
        id: id.into(),
        app_id: format!("app-{id}"),
        name: Some(format!("Tool {}", id.to_uppercase())),
        publisher: (id == "a").then(|| "Tools Inc".to_owned()),
        of_the_platform,
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct State {
    pub(crate) accounts: BTreeMap<String, Account>,
    pub(crate) roles: Vec<Held>,
    /// Who administers the tenant besides; none: what stands in the roles holds.
    pub(crate) other_administrators: BTreeSet<String>,
    /// Whether the tenant has the licence for roles that are only eligible.
    pub(crate) eligible_roles_licensed: bool,
    pub(crate) methods: Vec<Held>,
    pub(crate) grants: Vec<Held>,
    pub(crate) app_roles: Vec<Held>,
    /// What his groups were given.
    pub(crate) group_app_roles: Vec<Held>,
    /// What the directory knows of applications.
    pub(crate) applications: BTreeMap<String, Application>,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) members: BTreeMap<String, BTreeSet<String>>,
    pub(crate) owners: BTreeMap<String, BTreeSet<String>>,
    pub(crate) mailbox: Option<Mailbox>,
    /// The mail system's own record does not show it yet.
    pub(crate) mailbox_unseen: bool,
    /// Whether the mail system knows an account without a mailbox.
    pub(crate) known_to_mail: bool,
    pub(crate) settings: MailboxSettings,
    pub(crate) usage: MailboxUsage,
    pub(crate) attached: Vec<Attached>,
    /// Whose mailboxes there are besides.
    pub(crate) other_mailboxes: BTreeSet<String>,
    pub(crate) handed_over: BTreeSet<String>,
    pub(crate) converted_at: Option<i64>,
    pub(crate) phones_answer_at: BTreeMap<String, i64>,
    pub(crate) direct: Vec<HeldLicence>,
    /// What is switched off in the licences that these groups give.
    pub(crate) groups_leave_off: BTreeMap<String, BTreeSet<String>>,
    pub(crate) pool: Vec<PoolLine>,
    pub(crate) site: Option<Site>,
    pub(crate) site_admins: BTreeSet<String>,
    pub(crate) devices: BTreeMap<String, DeviceRow>,
    pub(crate) hidden_on_premises: BTreeSet<String>,
    pub(crate) among_leavers: BTreeSet<String>,
    /// For whom the MSP's own program has done its work.
    pub(crate) scripted: BTreeSet<String>,
    pub(crate) protected: Option<Protection>,
    pub(crate) computers: BTreeMap<String, Computer>,
    pub(crate) fleet: BTreeMap<String, FleetRow>,
    /// His logins as a technician; none: they may not be read.
    pub(crate) technicians: Option<Vec<ObjectId>>,
    /// The case's ticket, once there is one, and a colleague's.
    pub(crate) desk: BTreeMap<String, DeskRow>,
    /// The wiki's pages, by their titles.
    pub(crate) notes: BTreeMap<String, NotesRow>,
    pub(crate) app: BTreeMap<String, AppRow>,
    pub(crate) office: Office,
    /// Whether the application deletes accounts, and deactivates none.
    pub(crate) app_deletes: bool,
    /// Folders, each with its generation and its messages by their place.
    pub(crate) mail: BTreeMap<String, (u32, BTreeMap<u64, Vec<u8>>)>,
    /// When a message of a folder was received, unless long ago.
    pub(crate) received: BTreeMap<(String, u64), i64>,
}

/// Folders and messages, awkward ones.
fn mail() -> BTreeMap<String, (u32, BTreeMap<u64, Vec<u8>>)> {
    let folder = |first: u64, last: u64| {
        let message = |n: u64| match n % 4 {
            0 => Vec::new(),
            1 => format!("Subject: {CANARY}\r\n\r\nFrom {n}\r\n").into_bytes(),
            2 => vec![0xff, b'\n', 0, b'\r'],
            _ => vec![b'x'; 70_000],
        };
        (7, (first..=last).map(|n| (n, message(n))).collect())
    };
    [
        ("INBOX".to_owned(), folder(1, 5)),
        (format!("INBOX/../{CANARY}"), folder(3, 4)),
        ("Empty".to_owned(), (7, BTreeMap::new())),
    ]
    .into()
}

fn account(id: &str, manager: Option<&str>) -> Account {
    Account {
        id: id.into(),
        user_principal_name: format!("{id}@example.com"),
        mail: Some(format!("{CANARY}.{id}@example.com")),
        addresses: vec![format!("{CANARY}.{id}@old.example.com")],
        display_name: Some(format!("{CANARY} {id}")),
        employee_id: None,
        enabled: true,
        synced: false,
        guest: false,
        has_mailbox: true,
        sessions_valid_from_ms: Some(1_000),
        password_changed_ms: None,
        manager_id: manager.map(ObjectId::from),
        on_premises_security_id: None,
        synced_at_ms: None,
    }
}

pub(crate) fn group(id: &str, gives: &[&str]) -> Group {
    Group {
        id: id.into(),
        name: Some(format!("{CANARY} {id}")),
        nature: GroupNature::Security,
        dynamic: false,
        synced: false,
        role_assignable: false,
        gives_skus: gives.iter().map(|s| (*s).to_owned()).collect(),
    }
}

fn licence(sku: &str, keeps: bool) -> HeldLicence {
    HeldLicence {
        sku_id: sku.to_owned(),
        part_number: Some(sku.to_uppercase()),
        origin: LicenceOrigin::Direct,
        state: None,
        disabled_plans: BTreeSet::new(),
        keeps_mailbox_hold: keeps,
        bears_mailbox: keeps,
    }
}

pub(crate) fn delegation(direction: Direction, right: DelegationRight, other: &str) -> Attached {
    let other_name = format!("{CANARY} {other}");
    Attached::Delegation(Delegation {
        direction,
        right,
        other: Some(other.into()),
        other_name,
    })
}

pub(crate) fn device(id: &str, owner: Owner) -> DeviceRow {
    let at = DeviceRef {
        managed: Some(format!("m-{id}").as_str().into()),
        object: Some(format!("o-{id}").as_str().into()),
        device_id: Some(format!("d-{id}")),
        serial: Some(format!("s-{id}")),
    };
    DeviceRow {
        device: Device {
            at: at.clone(),
            owner,
            name: Some(format!("{CANARY}'s {id}")),
            operating_system: None,
            is_managed: true,
            hybrid_joined: false,
            last_seen_ms: None,
        },
        managed: Some(ManagedDevice {
            at: at.clone(),
            owner,
            user_id: Some(LEAVER.into()),
            management_state: Some("managed".into()),
            actions: Vec::new(),
            operating_system: None,
            last_seen_ms: None,
        }),
        object: Some(DeviceObject {
            at,
            enabled: true,
            synced: false,
            hybrid_joined: false,
            owner,
        }),
        autopilot: (owner == Owner::Company).then(|| Autopilot {
            id: format!("a-{id}").as_str().into(),
            assigned_to: Some(format!("{LEAVER}@example.com")),
        }),
        autopilot_unclear: false,
        keys: vec![(format!("k-{id}"), format!("{CANARY}-recovery-{id}"))],
        keys_withheld: Vec::new(),
        encrypted: false,
        used_by_another: false,
        schedule: Vec::new(),
        wiped_with: None,
    }
}

impl State {
    /// Somebody with some of everything.
    pub(crate) fn rich() -> Self {
        let ids = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
        let role = |id: &str, eligible| Held::Role {
            id: id.into(),
            role: Some("rd-1".into()),
            scope: "/".into(),
            origin: RoleOrigin::Direct,
            eligible,
            administrator: false,
            last_administrator: false,
        };
        let method = |id: &str, sort, last| Held::Method {
            id: id.into(),
            sort,
            last,
        };
        let meeting = |id: &str| {
            Attached::Meeting(Meeting {
                id: id.into(),
                uid: format!("uid-{id}"),
                series: false,
                starts_ms: None,
                attendees: ids(&[CANARY]),
                original: serde_json::Value::Null,
            })
        };
        let rule = |id: &str, hidden| {
            let name = Some(format!("{CANARY} rule"));
            Attached::Rule(InboxRule {
                id: id.into(),
                name,
                enabled: true,
                hidden,
                sends_on: true,
                original: serde_json::json!({"ForwardTo": [format!("{CANARY}@private.example")]}),
            })
        };
        let phone = |id: &str, can_wipe_account| {
            Attached::MobileDevice(MobileDevice {
                id: id.into(),
                name: None,
                can_wipe_account,
                wipe: MobileWipe::None,
            })
        };
        Self {
            accounts: [(LEAVER, Some(SUCCESSOR)), (SUCCESSOR, None), ("u-other", None)]
                .into_iter()
                .map(|(id, manager)| (id.to_owned(), account(id, manager)))
                .collect(),
            roles: vec![role("ra-1", false), role("re-1", true)],
            other_administrators: BTreeSet::new(),
            eligible_roles_licensed: true,
            methods: vec![
                method("phone-1", MethodSort::Phone, true),
                method("app-1", MethodSort::Authenticator, false),
                method("key-1", MethodSort::Fido2, false),
            ],
            grants: vec![Held::Grant {
                id: "g-1".into(),
                client: "c".into(),
                resource: "r".into(),
                scopes: Vec::new(),
            }],
            app_roles: vec![Held::AppRole {
                id: "ar-1".into(),
                application: "a".into(),
                role: "r".into(),
                group: None,
            }],
            group_app_roles: vec![Held::AppRole {
                id: "ar-2".into(),
                application: "b".into(),
                role: "r".into(),
                group: Some("g-app".into()),
            }],
            applications: [("a", false), ("b", true), ("c", false)]
                .into_iter()
                .map(|(id, platform)| (id.to_owned(), application(id, platform)))
                .collect(),
            groups: [
                ("g-plain", &[][..]),
                ("g-mail", &[]),
                ("g-sole", &[]),
                ("g-lic", &["flow"]),
            ]
            .into_iter()
            .map(|(id, gives)| (id.to_owned(), group(id, gives)))
            .collect(),
            members: ["g-plain", "g-mail", "g-lic"]
                .map(|g| (g.to_owned(), ids(&[LEAVER, "u-other"])))
                .into(),
            owners: [
                ("g-plain".to_owned(), ids(&[LEAVER, "u-other"])),
                ("g-sole".to_owned(), ids(&[LEAVER])),
            ]
            .into(),
            mailbox_unseen: false,
            known_to_mail: true,
            mailbox: Some(Mailbox {
                mailbox_id: "mbx-1".into(),
                recipient_type: "UserMailbox".into(),
                hidden: false,
                forwarding: Forwarding::default(),
                holds: Holds::default(),
                archive: false,
                synced: false,
            }),
            settings: MailboxSettings {
                purpose: Some("user".into()),
                automatic_reply: AutomaticReply::default(),
            },
            usage: MailboxUsage {
                size_bytes: 4_000_000_000,
                items: 12_000,
            },
            attached: vec![
                Attached::Protocol {
                    protocol: Protocol::Imap,
                },
                Attached::Protocol {
                    protocol: Protocol::SmtpAuth,
                },
                rule("r-1", false),
                rule("r-2", true),
                delegation(Direction::ToOther, DelegationRight::FullAccess, "u-other"),
                delegation(Direction::FromOther, DelegationRight::SendAs, "u-other"),
                delegation(Direction::ToOther, DelegationRight::SendOnBehalf, SUCCESSOR),
                delegation(Direction::ToOther, DelegationRight::Calendar, "u-other"),
                delegation(Direction::FromOther, DelegationRight::Calendar, "u-other"),
                delegation(Direction::ToOther, DelegationRight::Calendar, SUCCESSOR),
                phone("p-new", true),
                phone("p-old", false),
                meeting("mt-1"),
                meeting("mt-2"),
            ],
            other_mailboxes: ids(&[SUCCESSOR, "u-other"]),
            handed_over: BTreeSet::new(),
            converted_at: None,
            phones_answer_at: BTreeMap::new(),
            direct: vec![licence("e3", true), licence("visio", false)],
            groups_leave_off: BTreeMap::new(),
            pool: ["e3", "visio", "flow"]
                .map(|s| PoolLine {
                    sku_id: s.into(),
                    part_number: s.to_uppercase(),
                    enabled: 10,
                    consumed: 5,
                })
                .into(),
            site: Some(Site {
                drive_id: "drv".into(),
                site_url: "https://s".into(),
                link: "https://l".into(),
                used_bytes: None,
            }),
            mail: mail(),
            received: BTreeMap::new(),
            site_admins: ids(&[LEAVER]),
            devices: [
                ("company", Owner::Company),
                ("personal", Owner::Personal),
                ("odd", Owner::Unknown),
            ]
            .into_iter()
            .map(|(id, owner)| (format!("m-{id}"), device(id, owner)))
            .collect(),
            hidden_on_premises: BTreeSet::new(),
            among_leavers: BTreeSet::new(),
            scripted: BTreeSet::new(),
            protected: None,
            fleet: fleet(),
            technicians: Some(Vec::new()),
            desk: [("7".to_owned(), DeskRow::default())].into(),
            notes: BTreeMap::new(),
            app: [("app-leaver", LEAVER), ("app-boss", SUCCESSOR)]
                .map(|(id, who)| {
                    let row = AppRow {
                        user_name: format!("{who}@example.com"),
                        active: true,
                    };
                    (id.to_owned(), row)
                })
                .into(),
            app_deletes: false,
            office: Office::rich(),
            computers: [("pc", false), ("srv", true)]
                .map(|(id, server)| {
                    let computer = Computer {
                        id: id.into(),
                        name: Some(format!("{CANARY}-{id}")),
                        enabled: true,
                        server,
                    };
                    (id.to_owned(), computer)
                })
                .into(),
        }
    }

    /// The same, with the mailbox kept as a shared one.
    pub(crate) fn shared() -> Self {
        let mut state = Self::rich();
        state.become_shared();
        state
    }

    pub(crate) fn become_shared(&mut self) {
        if let Some(mailbox) = &mut self.mailbox {
            mailbox.recipient_type = "SharedMailbox".into();
        }
        self.settings.purpose = Some("shared".into());
    }

    /// What is due by now; true if anything was.
    pub(crate) fn time_passes(&mut self, now_ms: i64) -> bool {
        let before = self.clone();
        if self.converted_at.is_some_and(|at| at <= now_ms) {
            self.converted_at = None;
            self.become_shared();
        }
        for attached in &mut self.attached {
            if let Attached::MobileDevice(phone) = attached
                && self.phones_answer_at.get(&phone.id).is_some_and(|at| *at <= now_ms)
            {
                phone.wipe = MobileWipe::Acknowledged;
            }
        }
        for row in self.devices.values_mut() {
            let due: Vec<_> = row.schedule.iter().copied().filter(|(at, _)| *at <= now_ms).collect();
            row.schedule.retain(|(at, _)| *at > now_ms);
            for (_, what) in due {
                match (what, &mut row.managed) {
                    ("gone", managed) => *managed = None,
                    (state, Some(managed)) => {
                        if let Some(action) = managed.actions.last_mut() {
                            state.clone_into(&mut action.state);
                        }
                    }
                    _ => {}
                }
            }
        }
        for row in self.fleet.values_mut() {
            let due = row.runs.iter().rev().find(|(at, _)| *at <= now_ms);
            row.field = due.map(|(_, marker)| marker.clone()).or(row.field.take());
        }
        self.office.time_passes(now_ms);
        before != *self
    }

    /// Everything but times: what two runs must agree on.
    pub(crate) fn shape(&self) -> String {
        let mut state = self.clone();
        for account in state.accounts.values_mut() {
            account.sessions_valid_from_ms = account.sessions_valid_from_ms.map(|ms| i64::from(ms > 1_000));
            account.password_changed_ms = account.password_changed_ms.map(|_| 1);
        }
        state.phones_answer_at.clear();
        for row in state.fleet.values_mut() {
            row.runs.iter_mut().for_each(|(at, _)| *at = 0);
            if let Some(window) = &mut row.silence {
                window.until_ms = 1;
            }
        }
        state.office.shape();
        for row in state.devices.values_mut() {
            row.schedule.clear();
            if let Some(managed) = &mut row.managed {
                managed
                    .actions
                    .iter_mut()
                    .for_each(|a| (a.started_ms, a.updated_ms) = (None, None));
            }
        }
        format!("{state:#?}")
    }

    pub(crate) fn order(&mut self, device: &str, name: &str, now_ms: i64) {
        let Some(row) = self.devices.get_mut(device) else {
            return;
        };
        if let Some(managed) = &mut row.managed {
            managed.actions.push(ActionState {
                name: name.to_owned(),
                state: "pending".to_owned(),
                started_ms: Some(now_ms),
                updated_ms: Some(now_ms),
            });
            managed.management_state = Some(format!("{name}Pending"));
            let active = now_ms + CHECK_IN_MS;
            row.schedule = vec![
                (active, "active"),
                (active + ACTION_MS, "done"),
                (active + ACTION_MS + RECORD_GONE_MS, "gone"),
            ];
        }
    }

    pub(crate) fn memberships(&self, id: &str) -> Vec<Held> {
        let of = self.members.iter().filter(|(_, who)| who.contains(id));
        of.filter_map(|(g, _)| self.groups.get(g))
            .map(|g| Held::Membership { group: g.clone() })
            .collect()
    }

    pub(crate) fn ownerships(&self, id: &str) -> Vec<Held> {
        let of = self.owners.iter().filter(|(_, who)| who.contains(id));
        let looks_after = |who: &&String| {
            let account = self.accounts.get(*who);
            who.as_str() != id && account.is_none_or(|a| a.enabled && !a.guest)
        };
        of.map(|(g, who)| Held::Ownership {
            id: g.as_str().into(),
            sort: if g.starts_with("app-") {
                OwnedSort::Application
            } else {
                OwnedSort::Group
            },
            group: self.groups.get(g).cloned(),
            other_owners: u32::try_from(who.iter().filter(looks_after).count()).unwrap(),
        })
        .collect()
    }

    pub(crate) fn licences(&self, id: &str) -> Vec<HeldLicence> {
        let mut all = if id == LEAVER { self.direct.clone() } else { Vec::new() };
        for held in self.memberships(id) {
            let Some(group) = held.group() else { continue };
            let off = self.groups_leave_off.get(&group.id.0).cloned().unwrap_or_default();
            all.extend(group.gives_skus.iter().map(|sku| HeldLicence {
                origin: LicenceOrigin::Group(group.id.clone()),
                disabled_plans: off.clone(),
                ..licence(sku, false)
            }));
        }
        all
    }
}
