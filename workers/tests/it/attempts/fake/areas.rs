//! The primitives over the world.

use super::state::{ACTION_MS, CANARY, CONVERSION_MS, DeviceRow, LEAVER, PHONE_MS};
use super::{Fails, Fake, State, fault};
use async_trait::async_trait;
use offboard_connectors::area::mailboxes::OtherMailboxes;
use offboard_connectors::{
    Account, AccountChange, Answer, Application, Attached, Attachment, AutomaticReply, Autopilot, Call, Delegation,
    DelegationRight, Device, DeviceAction, DeviceObject, DeviceRef, Devices, Direction, Directory, Documents,
    ELIGIBLE_ROLES, ForwardTo, Found, Held, HeldLicence, Holding, LicenceOrigin, Licenses, MASTERED_ELSEWHERE,
    MailFolder, MailMessage, MailOwner, MailPage, MailReader, MailSink, Mailbox, MailboxChange, MailboxRight,
    MailboxSettings, MailboxUsage, Mailboxes, ManagedDevice, MobileWipe, OwnedSort, PROTECTED_TARGET, PoolLine,
    RecoveryKey, RecoveryKeySort, RecoveryKeys, RoleOrigin, Site, SiteAdministrator,
};
use offboard_domain::departure::PersonRef;
use offboard_domain::{Fault, FaultClass, ObjectId};
use offboard_runtime::Clock as _;
use tokio::time::Instant;

fn matches(account: &Account, person: &PersonRef) -> bool {
    match &person.object_id {
        Some(id) => account.id == *id,
        None => person
            .user_principal_name
            .as_ref()
            .is_some_and(|upn| *upn == account.user_principal_name),
    }
}

#[async_trait]
impl Directory for Fake {
    async fn find(&self, call: &mut Call, person: &PersonRef) -> Answer<Found> {
        let found: Vec<Account> = self
            .read(call, "users", |s| {
                s.accounts.values().filter(|a| matches(a, person)).cloned().collect()
            })
            .await?;
        Ok(found
            .into_iter()
            .next()
            .map_or(Found::Nobody, |a| Found::One(Box::new(a))))
    }

    async fn account(&self, call: &mut Call, id: &ObjectId) -> Answer<Account> {
        let account = self.read(call, "user", |s| s.accounts.get(&id.0).cloned()).await?;
        account.ok_or_else(|| fault(FaultClass::Absent, "user"))
    }

    async fn set(&self, call: &mut Call, id: &ObjectId, change: &AccountChange) -> Answer<()> {
        let what = match change {
            AccountChange::Disable => "disable",
            AccountChange::Password(new) => {
                assert!(new.expose().len() >= 32);
                "password"
            }
            AccountChange::RevokeSessions => "revoke",
        };
        if id.0 == LEAVER && self.clock.now().0 < self.lock().protected_until_ms {
            call.note_write();
            call.note_refused();
            return Err(Fault {
                status: Some(403),
                code: Some(PROTECTED_TARGET.to_owned()),
                ..fault(FaultClass::Blocked, what)
            });
        }
        self.write(call, &format!("{what} {id}"), |s, now_ms| {
            let Some(account) = s.accounts.get_mut(&id.0) else {
                return;
            };
            match change {
                AccountChange::Disable => account.enabled = false,
                AccountChange::Password(_) => account.password_changed_ms = Some(now_ms),
                AccountChange::RevokeSessions => account.sessions_valid_from_ms = Some(now_ms),
            }
        })
        .await
    }

    async fn holdings(&self, call: &mut Call, id: &ObjectId, what: Holding) -> Answer<Vec<Held>> {
        let of_leaver = |held: &Vec<Held>| if id.0 == LEAVER { held.clone() } else { Vec::new() };
        let (mut found, licensed, others) = self
            .read(call, "holdings", |s| {
                let found = match what {
                    Holding::Roles => of_leaver(&s.roles),
                    Holding::Methods => of_leaver(&s.methods),
                    Holding::Grants => of_leaver(&s.grants),
                    Holding::AppRoles => of_leaver(&s.app_roles),
                    Holding::GroupAppRoles => of_leaver(&s.group_app_roles),
                    Holding::Memberships => s.memberships(&id.0),
                    Holding::Ownerships => s.ownerships(&id.0),
                };
                (found, s.eligible_roles_licensed, s.other_administrators.clone())
            })
            .await?;
        if !others.is_empty() {
            let stays = |other: &String| !call.leaving().contains(&ObjectId::from(other.as_str()));
            let nobody_stays = !others.iter().any(stays);
            for held in &mut found {
                if let Held::Role {
                    administrator: true,
                    last_administrator,
                    ..
                } = held
                {
                    *last_administrator = nobody_stays;
                }
            }
        }
        if what == Holding::Roles && !licensed {
            found.retain(|held| !matches!(held, Held::Role { eligible: true, .. }));
            call.note_unlicensed(ELIGIBLE_ROLES);
        }
        Ok(found)
    }

    async fn remove(&self, call: &mut Call, id: &ObjectId, held: &Held) -> Answer<()> {
        if let Held::Method { last: true, .. } = held
            && self.now().methods.len() > 1
        {
            return Err(fault(FaultClass::Transient, "default phone before the others"));
        }
        if let Held::Ownership {
            sort: OwnedSort::Application,
            ..
        } = held
        {
            return Err(fault(FaultClass::Unsupported, "a person hands applications over"));
        }
        self.write(call, &format!("remove {} from {id}", held.id()), |s, _| match held {
            Held::Membership { group } => {
                s.members.entry(group.id.0.clone()).or_default().remove(&id.0);
            }
            Held::Ownership { id: owned, .. } => {
                s.owners.entry(owned.0.clone()).or_default().remove(&id.0);
            }
            Held::Role { origin, .. } => {
                let (of, group) = match origin {
                    RoleOrigin::Direct => (None, ""),
                    RoleOrigin::Member(group) => (Some(&mut s.members), group.0.as_str()),
                    RoleOrigin::Owner(group) => (Some(&mut s.owners), group.0.as_str()),
                };
                if let Some(who) = of.and_then(|of| of.get_mut(group)) {
                    who.remove(&id.0);
                }
                s.roles.retain(|h| h.id() != held.id());
            }
            Held::Method { .. } => s.methods.retain(|h| h.id() != held.id()),
            Held::Grant { .. } => s.grants.retain(|h| h.id() != held.id()),
            Held::AppRole { .. } => s.app_roles.retain(|h| h.id() != held.id()),
        })
        .await
    }

    async fn add_owner(&self, call: &mut Call, group: &ObjectId, owner: &ObjectId) -> Answer<()> {
        self.write(call, &format!("own {group} by {owner}"), |s, _| {
            s.owners.entry(group.0.clone()).or_default().insert(owner.0.clone());
        })
        .await
    }

    async fn applications(&self, call: &mut Call, ids: &[ObjectId]) -> Answer<Vec<Application>> {
        let known = |s: &State| -> Vec<Application> {
            ids.iter().filter_map(|id| s.applications.get(&id.0).cloned()).collect()
        };
        self.read(call, "applications", known).await
    }
}

fn wanted(attached: &Attached, what: &Attachment, state: &State) -> bool {
    match (attached, what) {
        (Attached::Protocol { .. }, Attachment::Protocols)
        | (Attached::Rule(_), Attachment::Rules)
        | (Attached::MobileDevice(_), Attachment::MobileDevices)
        | (Attached::Meeting(_), Attachment::Meetings) => true,
        (Attached::Delegation(d), Attachment::DelegationsTo) => d.direction == Direction::ToOther,
        (Attached::Delegation(d), Attachment::RightsTo) => {
            let on_folder = matches!(d.right, DelegationRight::Calendar | DelegationRight::Folder(_));
            d.direction == Direction::ToOther && !on_folder
        }
        (Attached::Delegation(d), Attachment::DelegationsOn { others }) => {
            d.direction == Direction::FromOther && d.other.as_ref().is_some_and(|other| others.contains(other))
        }
        (Attached::Meeting(m), Attachment::OrphanMeetings { .. }) => !state.handed_over.contains(&m.id.0),
        _ => false,
    }
}

#[async_trait]
impl Mailboxes for Fake {
    async fn mailbox(&self, call: &mut Call, _id: &ObjectId) -> Answer<Option<Mailbox>> {
        self.read(call, "mailbox", |s| s.mailbox.clone().filter(|_| !s.mailbox_unseen))
            .await
    }

    async fn settings(&self, call: &mut Call, _id: &ObjectId) -> Answer<Option<MailboxSettings>> {
        self.read(call, "settings", |s| s.mailbox.as_ref().map(|_| s.settings.clone()))
            .await
    }

    async fn usage(&self, call: &mut Call, _id: &ObjectId) -> Answer<MailboxUsage> {
        self.read(call, "usage", |s| s.usage.clone()).await
    }

    async fn set(&self, call: &mut Call, id: &ObjectId, change: &MailboxChange) -> Answer<()> {
        let what = match change {
            MailboxChange::HandOverMeeting { meeting, .. } => format!("hand over {}", meeting.id),
            MailboxChange::WipeAccountOn { device } => format!("wipe account on {}", device.id),
            MailboxChange::Grant { right, .. } => format!("grant {right:?}"),
            MailboxChange::AutomaticReply { .. } => "reply".to_owned(),
            other => format!("{other:?}"),
        };
        self.write(call, &format!("{what} of {id}"), |s, now_ms| apply(s, change, now_ms))
            .await
    }

    async fn attached(&self, call: &mut Call, id: &ObjectId, what: &Attachment) -> Answer<Vec<Attached>> {
        let many_folders = self.lock().too_many_folders;
        match what {
            Attachment::DelegationsTo if many_folders => return Err(fault(FaultClass::Blocked, "too many folders")),
            Attachment::DelegationsOn { others } => {
                self.hangs(call, others).await?;
                self.lock().meets(others)?;
            }
            _ if self.lock().unreadable.contains(&id.0) => return Err(fault(FaultClass::Transient, "his mailbox")),
            _ => {}
        }
        self.read(call, "attached", |s| {
            s.attached.iter().filter(|a| wanted(a, what, s)).cloned().collect()
        })
        .await
    }

    async fn detach(&self, call: &mut Call, id: &ObjectId, attached: &Attached) -> Answer<()> {
        self.write(call, &format!("detach {} of {id}", attached.key()), |s, _| {
            s.attached.retain(|a| a.key() != attached.key());
        })
        .await
    }

    async fn knows(&self, call: &mut Call, _id: &ObjectId) -> Answer<bool> {
        self.read(call, "recipient", |s| s.known_to_mail).await
    }

    async fn others(&self, call: &mut Call, _id: &ObjectId, from: Option<&str>) -> Answer<OtherMailboxes> {
        const PAGE: usize = 100;
        let from: usize = from.map_or(0, |f| f.parse().unwrap());
        self.read(call, "list of others' mailboxes", |s| {
            let all = s.other_mailboxes.iter().map(|id| ObjectId::from(id.as_str()));
            let others: Vec<ObjectId> = all.skip(from).take(PAGE).collect();
            let listed = held_by_leaver(s, &others, |right| right == DelegationRight::SendOnBehalf);
            OtherMailboxes {
                shown: listed,
                own: from == 0,
                next: (from + PAGE < s.other_mailboxes.len()).then(|| (from + PAGE).to_string()),
                others,
            }
        })
        .await
    }

    async fn held_among(&self, call: &mut Call, _id: &ObjectId, others: &[ObjectId]) -> Answer<Vec<ObjectId>> {
        self.hangs(call, others).await?;
        self.lock().meets(others)?;
        self.read(call, "others' mailboxes", |s| {
            held_by_leaver(s, others, |right| right != DelegationRight::SendOnBehalf)
        })
        .await
    }
}

/// Those of these mailboxes on which the leaver has such a right.
fn held_by_leaver(s: &State, others: &[ObjectId], such: impl Fn(DelegationRight) -> bool) -> Vec<ObjectId> {
    let holds = |other: &&ObjectId| {
        s.attached.iter().any(|attached| match attached {
            Attached::Delegation(d) => {
                d.direction == Direction::FromOther && d.other.as_ref() == Some(*other) && such(d.right)
            }
            _ => false,
        })
    };
    others.iter().filter(holds).cloned().collect()
}

fn apply(s: &mut State, change: &MailboxChange, now_ms: i64) {
    let Some(mailbox) = &mut s.mailbox else { return };
    match change {
        MailboxChange::BlockProtocols => s.attached.retain(|a| !matches!(a, Attached::Protocol { .. })),
        MailboxChange::Hold { days } => {
            mailbox.holds.litigation = true;
            mailbox.holds.litigation_days = days.map(i64::from);
        }
        MailboxChange::Hide => mailbox.hidden = true,
        MailboxChange::AutomaticReply { text } => {
            let wrapped = format!("<html><body><div>{text}\r\n</div></body></html>");
            s.settings.automatic_reply = AutomaticReply {
                status: "alwaysEnabled".into(),
                internal: wrapped.clone(),
                external: wrapped,
                audience: "all".into(),
            };
        }
        MailboxChange::Forward { to } => {
            mailbox.forwarding.to = to.iter().cloned().map(ForwardTo::Account).collect();
            mailbox.forwarding.keeps_copy = to.is_some();
        }
        MailboxChange::ConvertToShared => {
            if mailbox.recipient_type != "SharedMailbox" {
                s.converted_at.get_or_insert(now_ms + CONVERSION_MS);
            }
        }
        MailboxChange::Grant { to, right } => {
            let right = match right {
                MailboxRight::FullAccess => DelegationRight::FullAccess,
                MailboxRight::SendAs => DelegationRight::SendAs,
            };
            let other_name = format!("{CANARY} {to}");
            let granted = Delegation {
                direction: Direction::ToOther,
                right,
                other: Some(to.clone()),
                other_name,
            };
            let granted = Attached::Delegation(granted);
            if !s.attached.contains(&granted) {
                s.attached.push(granted);
            }
        }
        MailboxChange::WipeAccountOn { device } => {
            for attached in &mut s.attached {
                if let Attached::MobileDevice(phone) = attached
                    && phone.id == device.id
                    && phone.wipe == MobileWipe::None
                {
                    phone.wipe = MobileWipe::Pending;
                    s.phones_answer_at.insert(phone.id.clone(), now_ms + PHONE_MS);
                }
            }
        }
        MailboxChange::HandOverMeeting { meeting, .. } => {
            s.handed_over.insert(meeting.id.0.clone());
        }
    }
}

fn row(device: &DeviceRef) -> String {
    device.target().unwrap().0.clone()
}

#[async_trait]
impl Devices for Fake {
    async fn of(&self, call: &mut Call, _id: &ObjectId) -> Answer<Vec<Device>> {
        self.read(call, "devices", |s| {
            s.devices.values().map(|d| d.device.clone()).collect()
        })
        .await
    }

    async fn managed(&self, call: &mut Call, device: &DeviceRef) -> Answer<Option<ManagedDevice>> {
        self.read(call, "managed", |s| {
            s.devices.get(&row(device)).and_then(|d| d.managed.clone())
        })
        .await
    }

    async fn object(&self, call: &mut Call, device: &DeviceRef) -> Answer<Option<DeviceObject>> {
        self.read(call, "object", |s| {
            s.devices.get(&row(device)).and_then(|d| d.object.clone())
        })
        .await
    }

    async fn autopilot(&self, call: &mut Call, device: &DeviceRef) -> Answer<Option<Autopilot>> {
        let (record, unclear) = self
            .read(call, "autopilot", |s| {
                let enrolled = s.devices.get(&row(device));
                (
                    enrolled.and_then(|d| d.autopilot.clone()),
                    enrolled.is_some_and(|d| d.autopilot_unclear),
                )
            })
            .await?;
        match unclear {
            true => Err(fault(FaultClass::Blocked, "autopilot")),
            false => Ok(record),
        }
    }

    async fn recovery_keys(&self, call: &mut Call, device: &DeviceRef) -> Answer<RecoveryKeys> {
        let (keys, withheld, missing) = self
            .read(call, "keys", |s| {
                let missing = |d: &DeviceRow| d.keys.is_empty() && d.encrypted;
                let kept = |d: &DeviceRow| (d.keys.clone(), d.keys_withheld.clone(), missing(d));
                s.devices.get(&row(device)).map(kept).unwrap_or_default()
            })
            .await?;
        let key = |(id, key): (String, String)| RecoveryKey {
            id,
            sort: RecoveryKeySort::Disk,
            label: None,
            key: key.into(),
            created_ms: Some(ACTION_MS),
        };
        Ok(RecoveryKeys {
            keys: keys.into_iter().map(key).collect(),
            withheld,
            missing: missing.then_some(RecoveryKeySort::Disk).into_iter().collect(),
        })
    }

    async fn used_by_another(&self, call: &mut Call, device: &DeviceRef, id: &ObjectId) -> Answer<bool> {
        self.read(call, "users of a device", |s| {
            s.devices.get(&row(device)).is_some_and(|d| match &d.managed {
                Some(managed) => managed.user_id.as_ref() != Some(id),
                None => d.used_by_another,
            })
        })
        .await
    }

    async fn act(&self, call: &mut Call, device: &DeviceRef, action: DeviceAction) -> Answer<()> {
        let id = row(device);
        let is_copy = |row: &DeviceRow| row.object.as_ref().is_some_and(|o| o.synced);
        if action == DeviceAction::DisableObject && self.now().devices.get(&id).is_some_and(is_copy) {
            let refused = fault(FaultClass::Blocked, "a copy of what is on the premises");
            return Err(Fault {
                code: Some(MASTERED_ELSEWHERE.to_owned()),
                ..refused
            });
        }
        self.write(call, &format!("{action:?} {id}"), |s, now_ms| {
            let Some(row) = s.devices.get_mut(&id) else { return };
            match action {
                DeviceAction::UnassignAutopilot => row.autopilot.iter_mut().for_each(|a| a.assigned_to = None),
                DeviceAction::DisableObject => row.object.iter_mut().for_each(|o| o.enabled = false),
                DeviceAction::Wipe { unlock_code, .. } => {
                    row.wiped_with = unlock_code;
                    s.order(&id, "wipe", now_ms);
                }
                DeviceAction::Retire => {
                    let last = row.managed.as_ref().and_then(|m| m.action("retire"));
                    let ordered = last.is_some_and(|a| matches!(a.state.as_str(), "pending" | "active"));
                    if !ordered {
                        s.order(&id, "retire", now_ms);
                    }
                }
            }
        })
        .await
    }
}

#[async_trait]
impl Licenses for Fake {
    async fn held(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<HeldLicence>> {
        let takes = self.lock().licences_take;
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        self.read(call, "licences", |s| s.licences(&id.0)).await
    }

    async fn assign(&self, call: &mut Call, id: &ObjectId, sku_ids: &[String]) -> Answer<()> {
        self.write(call, &format!("assign {} to {id}", sku_ids.join("+")), |s, _| {
            let given = s.licences(&id.0);
            for sku in sku_ids {
                let mut all = given.iter().filter(|l| l.sku_id == *sku);
                let Some(first) = all.next() else { continue };
                let mut own = HeldLicence {
                    origin: LicenceOrigin::Direct,
                    ..first.clone()
                };
                for other in all {
                    own.disabled_plans.retain(|plan| other.disabled_plans.contains(plan));
                }
                s.direct.retain(|l| l.sku_id != *sku);
                s.direct.push(own);
            }
        })
        .await
    }

    async fn release(&self, call: &mut Call, id: &ObjectId, sku_ids: &[String]) -> Answer<()> {
        self.write(call, &format!("release {} of {id}", sku_ids.join("+")), |s, _| {
            s.direct.retain(|l| !sku_ids.contains(&l.sku_id));
        })
        .await
    }

    async fn reprocess(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        self.write(call, &format!("reprocess {id}"), |_, _| {}).await
    }

    async fn pool(&self, call: &mut Call) -> Answer<Vec<PoolLine>> {
        self.read(call, "pool", |s| s.pool.clone()).await
    }
}

#[async_trait]
impl Documents for Fake {
    async fn site(&self, call: &mut Call, _id: &ObjectId) -> Answer<Option<Site>> {
        self.read(call, "site", |s| s.site.clone()).await
    }

    async fn administrators(&self, call: &mut Call, _site: &Site) -> Answer<Vec<SiteAdministrator>> {
        let admins = self.read(call, "admins", |s| s.site_admins.clone()).await?;
        let admin = |id: String| SiteAdministrator {
            login: format!("{CANARY}|{id}"),
            account: Some(ObjectId(id)),
        };
        Ok(admins.into_iter().map(admin).collect())
    }

    async fn add_administrator(&self, call: &mut Call, _site: &Site, person: &ObjectId) -> Answer<()> {
        self.write(call, &format!("site admin {person}"), |s, _| {
            s.site_admins.insert(person.0.clone());
        })
        .await
    }
}

#[async_trait]
impl MailReader for Fake {
    async fn folders(&self, call: &mut Call, owner: &MailOwner) -> Answer<Option<Vec<MailFolder>>> {
        if owner.id.as_ref().is_none_or(|id| id.0 != LEAVER) {
            return Err(fault(FaultClass::Rejected, "folders"));
        }
        let marked = !self.lock().pages_by_offset;
        self.read(call, "folders", |s| {
            s.mailbox.as_ref()?;
            let folder =
                |(name, (generation, messages)): (&String, &(u32, std::collections::BTreeMap<u64, Vec<u8>>))| {
                    MailFolder {
                        id: name.clone(),
                        generation: if marked { generation.to_string() } else { String::new() },
                        path: name.split('/').map(str::to_owned).collect(),
                        messages: messages.len() as u64,
                        bytes: marked.then(|| messages.values().map(|m| m.len() as u64).sum()),
                        next: marked.then(|| messages.keys().last().map_or(1, |n| n + 1)),
                        state: None,
                    }
                };
            Some(s.mail.iter().map(folder).collect())
        })
        .await
    }

    async fn messages(
        &self,
        call: &mut Call,
        _: &MailOwner,
        folder: &MailFolder,
        from: Option<&str>,
    ) -> Answer<MailPage> {
        let size = self.lock().mail_page;
        let from: u64 = from.map_or(0, |f| f.parse().unwrap());
        let by_offset = self.lock().pages_by_offset;
        let page = self
            .read(call, "messages", |s| {
                let Some((_, messages)) = s.mail.get(&folder.id) else {
                    return MailPage::default();
                };
                let message = |(place, bytes): (&u64, &Vec<u8>)| MailMessage {
                    id: place.to_string(),
                    place: *place,
                    flags: vec!["\\Seen".to_owned()],
                    received_ms: Some(*s.received.get(&(folder.id.clone(), *place)).unwrap_or(&1_000)),
                    bytes: (!by_offset).then_some(bytes.len() as u64),
                };
                if by_offset {
                    let from = usize::try_from(from).unwrap();
                    let next = from + size;
                    return MailPage {
                        messages: messages.iter().rev().skip(from).take(size).map(message).collect(),
                        next: (next < messages.len()).then(|| next.to_string()),
                    };
                }
                let page: Vec<MailMessage> = messages.range(from..).take(size).map(message).collect();
                let next = page
                    .last()
                    .map(|m| m.place + 1)
                    .filter(|n| messages.range(n..).next().is_some());
                MailPage {
                    messages: page,
                    next: next.map(|n| n.to_string()),
                }
            })
            .await?;
        let due = self.lock().after_page.take_if(|(name, _)| *name == folder.id);
        if let Some((_, change)) = due {
            self.edit(change);
        }
        Ok(page)
    }

    async fn fetch(
        &self,
        call: &mut Call,
        _: &MailOwner,
        folder: &MailFolder,
        which: &[MailMessage],
        into: &mut dyn MailSink,
    ) -> Answer<()> {
        for (index, message) in which.iter().enumerate() {
            let place = (folder.id.clone(), message.place);
            if let Some(left) = self.lock().undelivered.get_mut(&place).filter(|left| **left > 0) {
                *left -= 1;
                continue;
            }
            let bytes = self
                .read(call, "message", |s| {
                    s.mail.get(&folder.id)?.1.get(&message.place).cloned()
                })
                .await?;
            let Some(bytes) = bytes else { continue };
            let fails = self.lock().failing.get(&place).copied();
            if self.lock().mail_down {
                return Err(fault(FaultClass::Transient, "message"));
            }
            if let Some(Fails::With(class)) = fails {
                return Err(fault(class, "message"));
            }
            if let Some(Fails::After(long)) = fails {
                let until = call.deadline().min(Instant::now() + long);
                tokio::time::sleep_until(until).await;
                return Err(fault(FaultClass::Transient, "message"));
            }
            into.begin(index).await?;
            match fails {
                Some(Fails::Midway) => {
                    into.bytes(b"its beginning").await?;
                    return Err(fault(FaultClass::Transient, "message"));
                }
                Some(Fails::TooLong) => into.bytes(b"more than was said").await?,
                Some(Fails::With(_) | Fails::After(_)) | None => {}
            }
            for chunk in bytes.chunks(40_000) {
                super::pause().await;
                into.bytes(chunk).await?;
            }
            into.end().await?;
        }
        Ok(())
    }
}
