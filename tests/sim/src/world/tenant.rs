//! One client company, and what happens in it by itself: synchronisation,
//! licensing by group, conversions, devices that check in, colleagues.

use std::collections::{BTreeMap, BTreeSet};

use super::catalogue::{self, GLOBAL_ADMINISTRATOR, SHARED_MAILBOX_LIMIT_BYTES};
use super::journal::{Actor, Effect, Entry, Harm, Violation};
use super::model::{
    App, AppAssignment, Autopilot, Drive, EntraDevice, FolderSharing, Grant, Group, Mailbox, ManagedDevice, Person,
    Principal, RoleAssignment, SignIn,
};
use super::op::{Op, Surface};
use super::{Cruelty, Cx, Dice, Table};

/// One client company as it truly is.
#[derive(Debug)]
pub struct Tenant {
    /// Its GUID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its `onmicrosoft.com` domain.
    pub initial_domain: String,
    /// Its own domain.
    pub domain: String,
    /// The host of its OneDrives.
    pub drive_host: String,
    /// Whether an on-premises directory is synchronised.
    pub hybrid: bool,
    /// Applications that may call for it, by client id.
    pub apps: BTreeMap<String, App>,
    /// Accounts by object id.
    pub people: Table<Person>,
    /// Groups by object id.
    pub groups: Table<Group>,
    /// Directory role assignments by id.
    pub roles: Table<RoleAssignment>,
    /// Roles that are only activated when they are wanted, by id.
    pub eligible_roles: Table<RoleAssignment>,
    /// Whether it has the licence (Entra ID P2) without which nobody can be eligible for a role.
    pub eligible_roles_licensed: bool,
    /// Delegated permission grants by id.
    pub grants: Table<Grant>,
    /// Application role assignments by id.
    pub app_assignments: Table<AppAssignment>,
    /// Applications that its people may use, by object id.
    pub principals: BTreeMap<String, Principal>,
    /// Mailboxes by their owner's object id.
    pub mailboxes: Table<Mailbox>,
    /// What of them is shared folder by folder, by their owner's object id.
    pub folder_sharing: Table<FolderSharing>,
    /// OneDrives by their owner's object id.
    pub drives: Table<Drive>,
    /// Managed devices by id.
    pub managed_devices: Table<ManagedDevice>,
    /// Entra devices by object id.
    pub devices: Table<EntraDevice>,
    /// Autopilot identities by id.
    pub autopilots: Table<Autopilot>,
    /// Prepaid units by SKU.
    pub pool: BTreeMap<String, i64>,
    /// The sign-in log.
    pub sign_ins: Vec<SignIn>,
    pub(super) deleted: Vec<super::people::Deleted>,
    journal: Vec<Entry>,
    violations: Vec<Violation>,
    due: BTreeMap<(i64, u64), Due>,
    seq: u64,
    calls: BTreeMap<(Op, String), u64>,
    /// Requests of each mailbox that are being answered, by when they end.
    outlook: BTreeMap<String, Vec<i64>>,
    held: BTreeMap<Surface, (i64, bool)>,
    windows: BTreeMap<Surface, (i64, u64)>,
}

/// What will happen by itself.
#[derive(Debug, Clone)]
pub(super) enum Due {
    Sync,
    GroupLicence {
        person: String,
        group: String,
        actor: Actor,
    },
    Dynamic {
        person: String,
    },
    Converted {
        person: String,
    },
    MailboxDoom {
        person: String,
        actor: Actor,
    },
    CheckIn {
        device: String,
        entra_device: String,
    },
    ActionDone {
        device: String,
    },
    RecordGone {
        device: String,
    },
    MobileCheckIn {
        person: String,
        mobile: String,
    },
    Reenable {
        person: String,
    },
    AddAgain {
        person: String,
        group: String,
    },
}

/// The vendor's published limits that a departure can meet: window and calls.
const INTUNE_WRITES: (i64, u64) = (20_000, 200);
const DIRECTORY_WRITES: (i64, u64) = (150_000, 3_000);
const REPORT_READS: (i64, u64) = (10_000, 5);

impl Tenant {
    /// An empty tenant, with what it was given as identity.
    #[must_use]
    pub fn new(id: &str, name: &str, domain: &str, short: &str, cruelty: &Cruelty) -> Self {
        let keep = cruelty.longest_lag_ms();
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            initial_domain: format!("{short}.onmicrosoft.com"),
            domain: domain.to_owned(),
            drive_host: format!("{short}-my.sharepoint.com"),
            hybrid: false,
            apps: BTreeMap::new(),
            people: Table::new(keep),
            groups: Table::new(keep),
            roles: Table::new(keep),
            eligible_roles: Table::new(keep),
            eligible_roles_licensed: false,
            grants: Table::new(keep),
            app_assignments: Table::new(keep),
            principals: BTreeMap::new(),
            mailboxes: Table::new(keep),
            folder_sharing: Table::new(keep),
            drives: Table::new(keep),
            managed_devices: Table::new(keep),
            devices: Table::new(keep),
            autopilots: Table::new(keep),
            pool: BTreeMap::new(),
            sign_ins: Vec::new(),
            deleted: Vec::new(),
            journal: Vec::new(),
            violations: Vec::new(),
            due: BTreeMap::new(),
            seq: 0,
            calls: BTreeMap::new(),
            outlook: BTreeMap::new(),
            held: BTreeMap::new(),
            windows: BTreeMap::new(),
        }
    }

    /// Remembers former values for as long as the slowest replica of `cruelty` needs them.
    pub(super) fn keep_for(&mut self, cruelty: &Cruelty) {
        let keep = cruelty.longest_lag_ms();
        self.people.keep(keep);
        self.groups.keep(keep);
        self.roles.keep(keep);
        self.eligible_roles.keep(keep);
        self.grants.keep(keep);
        self.app_assignments.keep(keep);
        self.mailboxes.keep(keep);
        self.folder_sharing.keep(keep);
        self.drives.keep(keep);
        self.managed_devices.keep(keep);
        self.devices.keep(keep);
        self.autopilots.keep(keep);
    }

    /// Every effect on this tenant, in order.
    pub fn journal(&self) -> impl Iterator<Item = &Entry> {
        self.journal.iter()
    }

    /// Every harm done in this tenant, in order.
    pub fn violations(&self) -> impl Iterator<Item = &Violation> {
        self.violations.iter()
    }

    /// The person with this object id or UPN, as he truly is.
    #[must_use]
    pub fn person(&self, id_or_upn: &str) -> Option<&Person> {
        self.people.get(id_or_upn).or_else(|| {
            self.people
                .iter()
                .map(|(_, person)| person)
                .find(|person| person.upn.eq_ignore_ascii_case(id_or_upn))
        })
    }

    /// Everybody whom a write by an application has touched, as its subject.
    #[must_use]
    pub fn touched_by_apps(&self) -> BTreeSet<&str> {
        self.journal
            .iter()
            .filter(|entry| matches!(entry.actor, Actor::App { .. }) && entry.effect != Effect::KeyRead)
            .map(|entry| entry.subject.as_str())
            .collect()
    }

    pub(super) fn next_due_ms(&self) -> Option<i64> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    pub(super) fn count_call(&mut self, op: Op, key: &str) -> u64 {
        let count = self.calls.entry((op, key.to_owned())).or_default();
        *count += 1;
        *count
    }

    pub(super) fn hold_back(&mut self, surface: Surface, until: i64, told: bool) {
        self.held.insert(surface, (until, told));
    }

    /// Whether a throttle still holds, and how long it says (or not) to wait.
    pub(super) fn held_back(&self, surface: Surface, now: i64) -> Option<Option<u64>> {
        let (until, told) = self.held.get(&surface)?;
        let left_s = u64::try_from((until - now + 999) / 1_000)
            .ok()
            .filter(|left| *left > 0 && now < *until)?;
        Some(told.then_some(left_s))
    }

    /// Whether Outlook has more of one mailbox's requests at a time than it serves. `key`
    /// begins with the mailbox.
    pub(super) fn crowded(&mut self, op: Op, key: &str, now: i64, ends: i64) -> bool {
        const AT_ONCE: usize = 4;
        if op.surface() != Surface::Mail {
            return false;
        }
        let mailbox = key.split(' ').next().unwrap_or_default().to_owned();
        let under_way = self.outlook.entry(mailbox).or_default();
        under_way.retain(|end| *end > now);
        if under_way.len() >= AT_ONCE {
            return true;
        }
        under_way.push(ends);
        false
    }

    pub(super) fn over_limit(&mut self, op: Op, now: i64) -> Option<u64> {
        let (window_ms, most) = match (op.surface(), op.writes()) {
            (Surface::Intune, true) => INTUNE_WRITES,
            (Surface::Directory, true) => DIRECTORY_WRITES,
            (Surface::Reports, _) => REPORT_READS,
            _ => return None,
        };
        let (began, count) = self.windows.entry(op.surface()).or_insert((now, 0));
        if now >= began.saturating_add(window_ms) {
            (*began, *count) = (now, 0);
        }
        *count += 1;
        let wait_ms = began.saturating_add(window_ms) - now;
        (*count > most).then(|| u64::try_from((wait_ms + 999) / 1_000).unwrap_or(1))
    }

    pub(super) fn note(&mut self, at_ms: i64, actor: &Actor, effect: Effect, subject: &str, object: &str) {
        self.seq += 1;
        self.journal.push(Entry {
            at_ms,
            seq: self.seq,
            tenant: self.id.clone(),
            subject: subject.to_owned(),
            object: object.to_owned(),
            effect,
            actor: actor.clone(),
        });
        let protected = self.people.get(subject).is_some_and(|person| person.protected);
        if protected && matches!(actor, Actor::App { .. }) && effect != Effect::KeyRead {
            self.harm(at_ms, actor, Harm::ProtectedAccountTouched, subject, object);
        }
    }

    pub(super) fn harm(&mut self, at_ms: i64, actor: &Actor, harm: Harm, subject: &str, object: &str) {
        self.violations.push(Violation {
            at_ms,
            tenant: self.id.clone(),
            subject: subject.to_owned(),
            object: object.to_owned(),
            harm,
            actor: actor.clone(),
        });
    }

    pub(super) fn schedule(&mut self, at_ms: i64, what: Due) {
        self.seq += 1;
        self.due.insert((at_ms, self.seq), what);
    }

    /// Perhaps a colleague undoes what the application just did.
    pub(super) fn tempt_colleague(&mut self, cx: &Cx, what: Due) {
        if cx.dice.happens(cx.tune.colleague_permille, "colleague", &cx.salt, 0) {
            let at = cx.now + cx.dice.between(cx.tune.colleague_ms, "colleague when", &cx.salt, 0);
            self.schedule(at, what);
        }
    }

    /// Begins the periodic synchronisation of a hybrid tenant.
    pub fn start_sync(&mut self, first_at_ms: i64) {
        self.hybrid = true;
        self.schedule(first_at_ms, Due::Sync);
    }

    /// An administrator at the client switches an on-premises account; the next synchronisation carries it over.
    /// False if there is no such account.
    pub fn set_on_prem_enabled(&mut self, person: &str, now_ms: i64, enabled: bool) -> bool {
        self.people
            .edit(person, now_ms)
            .and_then(|person| person.on_prem.as_mut())
            .is_some_and(|on_prem| {
                on_prem.changed |= on_prem.enabled != enabled;
                on_prem.enabled = enabled;
                true
            })
    }

    /// Something else of an on-premises account is changed, such as its password; the next synchronisation
    /// carries it over. False if there is no such account.
    pub fn change_on_prem(&mut self, person: &str) -> bool {
        let row = self.people.edit_silently(person);
        row.and_then(|person| person.on_prem.as_mut()).is_some_and(|on_prem| {
            on_prem.changed = true;
            true
        })
    }

    pub(super) fn tick(&mut self, now: i64, tune: &Cruelty, dice: Dice) {
        while let Some(entry) = self.due.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let ((at, seq), what) = entry.remove_entry();
            self.happen(at, seq, what, tune, dice);
        }
    }

    fn happen(&mut self, at: i64, seq: u64, what: Due, tune: &Cruelty, dice: Dice) {
        match what {
            Due::Sync => self.synchronise(at, tune),
            Due::GroupLicence { person, group, actor } => {
                self.give_back_group_licences(at, &person, &group, &actor, tune);
            }
            Due::Dynamic { person } => self.compute_dynamic(at, &person, tune, dice),
            Due::Converted { person } => self.finish_conversion(at, &person),
            Due::MailboxDoom { person, actor } => self.disconnect_mailbox(at, &person, &actor),
            Due::CheckIn { device, entra_device } => {
                let done_in = dice.between(tune.device_action_ms, "device action", &device, seq);
                self.device_checks_in(at, &device, &entra_device, done_in);
            }
            Due::ActionDone { device } => {
                let gone_in = dice.between(tune.record_gone_ms, "record gone", &device, seq);
                self.device_action_done(at, &device, gone_in);
            }
            Due::RecordGone { device } => self.device_record_gone(at, &device),
            Due::MobileCheckIn { person, mobile } => self.mobile_checks_in(at, &person, &mobile),
            Due::Reenable { person } => {
                let enabled = self
                    .people
                    .edit(&person, at)
                    .is_some_and(|row| !std::mem::replace(&mut row.account_enabled, true));
                if enabled {
                    self.note(at, &Actor::Colleague, Effect::SignInEnabled, &person, &person);
                }
            }
            Due::AddAgain { person, group } => {
                if self.people.get(&person).is_some()
                    && self
                        .groups
                        .edit(&group, at)
                        .is_some_and(|row| row.members.insert(person.clone()))
                {
                    self.note(at, &Actor::Colleague, Effect::MemberAdded, &person, &group);
                    self.give_group_licences(at, &person, &group);
                }
            }
        }
    }

    /// The synchronisation makes the cloud what the on-premises directory is, whatever anybody did in the cloud.
    /// It stamps what it changes, and nothing else: an account that is as it was keeps its older time.
    fn synchronise(&mut self, at: i64, tune: &Cruelty) {
        let actor = Actor::Machinery("directory synchronisation");
        let all: Vec<(String, bool, bool)> = self
            .people
            .iter()
            .filter_map(|(id, person)| Some((id.to_owned(), person.on_prem.as_ref()?.enabled, person.account_enabled)))
            .collect();
        for (id, wanted, is) in all {
            if wanted != is {
                if let Some(person) = self.people.edit(&id, at) {
                    person.account_enabled = wanted;
                }
                let effect = if wanted {
                    Effect::SignInEnabled
                } else {
                    Effect::SignInDisabled
                };
                self.note(at, &actor, effect, &id, &id);
            }
            if let Some(on_prem) = self
                .people
                .edit_silently(&id)
                .and_then(|person| person.on_prem.as_mut())
            {
                if on_prem.changed || wanted != is {
                    on_prem.last_sync_ms = at;
                }
                on_prem.changed = false;
            }
        }
        if tune.sync_interval_ms > 0 {
            self.schedule(at + tune.sync_interval_ms, Due::Sync);
        }
    }

    /// A rule that no longer takes somebody takes the group's licences with it, as they go
    /// with any membership: a while later.
    fn compute_dynamic(&mut self, at: i64, person_id: &str, tune: &Cruelty, dice: Dice) {
        let Some(person) = self.people.get(person_id).cloned() else {
            return;
        };
        let changes: Vec<(String, bool)> = self
            .groups
            .iter()
            .filter_map(|(id, group)| {
                let takes = group.rule.as_ref()?.takes(&person);
                (takes != group.members.contains(person_id)).then(|| (id.to_owned(), takes))
            })
            .collect();
        let actor = Actor::Machinery("dynamic membership");
        for (group, takes) in changes {
            let mut licensed = false;
            if let Some(row) = self.groups.edit(&group, at) {
                licensed = !row.licenses.is_empty();
                if takes {
                    row.members.insert(person_id.to_owned());
                } else {
                    row.members.remove(person_id);
                }
            }
            let effect = if takes {
                Effect::MemberAdded
            } else {
                Effect::MemberRemoved
            };
            self.note(at, &actor, effect, person_id, &group);
            if licensed && takes {
                self.give_group_licences(at, person_id, &group);
                self.follow_licences(at, person_id, &person, &actor, tune);
            } else if licensed {
                let due = at + dice.between(tune.group_license_ms, "group licence", &group, self.seq);
                self.schedule(
                    due,
                    Due::GroupLicence {
                        person: person_id.to_owned(),
                        group,
                        actor: actor.clone(),
                    },
                );
            }
        }
    }

    /// Whether his account can lead to administrator's rights, as the vendor counts it. Whether a
    /// role that is only eligible counts is not known; here it does, which is harder on the client.
    pub(super) fn is_privileged(&self, person: &str, as_of: i64) -> bool {
        let holds = |principal: &str| {
            self.roles
                .iter()
                .chain(self.roles.iter_at(as_of))
                .chain(self.eligible_roles.iter())
                .chain(self.eligible_roles.iter_at(as_of))
                .any(|(_, role)| role.principal == principal)
        };
        holds(person)
            || self.groups.iter().any(|(_, group)| {
                group.role_assignable && (group.members.contains(person) || group.owners.contains(person))
            })
    }

    /// Harm to note after a role, an account or a sign-in went.
    pub(super) fn check_administrators(&mut self, at: i64, actor: &Actor, subject: &str, object: &str) {
        let left = self.roles.iter().any(|(_, role)| {
            role.role == GLOBAL_ADMINISTRATOR
                && self
                    .people
                    .get(&role.principal)
                    .is_some_and(|person| person.account_enabled)
        });
        if !left {
            self.harm(at, actor, Harm::LastAdministratorGone, subject, object);
        }
    }

    /// What follows for mailbox and drive when somebody's SKUs became fewer or more.
    pub(super) fn follow_licences(&mut self, at: i64, person_id: &str, before: &Person, actor: &Actor, tune: &Cruelty) {
        let Some(person) = self.people.get(person_id).cloned() else {
            return;
        };
        let keeps = |who: &Person| who.has_plan(catalogue::is_keeping_plan);
        if let Some(mailbox) = self
            .mailboxes
            .get(person_id)
            .filter(|mailbox| mailbox.lost_ms.is_none())
            .cloned()
        {
            let licensed = person.has_plan(catalogue::is_mailbox_plan);
            if !licensed && !mailbox.shared && mailbox.doomed_ms.is_none() {
                let doom = at + tune.mailbox_grace_ms;
                if let Some(row) = self.mailboxes.edit(person_id, at) {
                    row.doomed_ms = Some(doom);
                }
                self.harm(at, actor, Harm::LicenceBeforeConversion, person_id, person_id);
                self.schedule(
                    doom,
                    Due::MailboxDoom {
                        person: person_id.to_owned(),
                        actor: actor.clone(),
                    },
                );
            } else if licensed
                && mailbox.doomed_ms.is_some()
                && let Some(row) = self.mailboxes.edit(person_id, at)
            {
                row.doomed_ms = None;
            }
            let needs_keeping = mailbox.hold.is_some()
                || !mailbox.in_place_holds.is_empty()
                || mailbox.archive
                || mailbox.size_bytes > SHARED_MAILBOX_LIMIT_BYTES;
            if needs_keeping && keeps(before) && !keeps(&person) {
                self.harm(at, actor, Harm::KeptMailboxUnlicensed, person_id, person_id);
            }
        }
        let licensed = person.has_plan(catalogue::is_drive_plan);
        let Some(drive) = self.drives.get(person_id).cloned() else {
            return;
        };
        if !licensed && drive.clock_started_ms.is_none() && before.has_plan(catalogue::is_drive_plan) {
            if let Some(row) = self.drives.edit(person_id, at) {
                row.clock_started_ms = Some(at);
            }
            self.note(
                at,
                &Actor::Machinery("drive retention"),
                Effect::DriveClockStarted,
                person_id,
                &drive.id,
            );
            let handed_over = drive.admins.iter().chain(&drive.invited).any(|who| who != person_id);
            if !handed_over {
                self.harm(at, actor, Harm::DriveNotHandedOver, person_id, &drive.id);
            }
        } else if licensed
            && drive.clock_started_ms.is_some()
            && let Some(row) = self.drives.edit(person_id, at)
        {
            row.clock_started_ms = None;
        }
    }

    fn disconnect_mailbox(&mut self, at: i64, person_id: &str, actor: &Actor) {
        let doomed = self.mailboxes.get(person_id).is_some_and(|mailbox| {
            mailbox.doomed_ms.is_some_and(|doom| doom <= at) && !mailbox.shared && mailbox.lost_ms.is_none()
        });
        if !doomed {
            return;
        }
        if let Some(mailbox) = self.mailboxes.edit(person_id, at) {
            mailbox.lost_ms = Some(at);
        }
        self.note(
            at,
            &Actor::Machinery("mailbox licensing"),
            Effect::MailboxLost,
            person_id,
            person_id,
        );
        self.harm(at, actor, Harm::MailboxLost, person_id, person_id);
    }
}
