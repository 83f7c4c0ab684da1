//! Calls about what belongs to an account: mailbox, drive, devices.

use std::sync::Arc;

use super::pair;
use crate::world::model::{
    Autopilot, BitlockerKey, Drive, EntraDevice, Event, Folder, InboxRule, Mail, ManagedDevice, Person, SignIn,
};
use crate::world::{AutoReplyChange, Caller, LocalCredential, MailboxSettings, NewEvent, Op, Reply, SiteUser, World};

impl World {
    /// A mailbox's settings.
    pub fn get_mailbox_settings(&mut self, caller: &Caller, now_ms: i64, who: &str) -> Reply<MailboxSettings> {
        self.gate(caller, now_ms, Op::GetMailboxSettings, who, |tenant, cx| {
            tenant.mailbox_settings(cx, who)
        })
    }

    /// Sets the automatic reply.
    pub fn set_auto_reply(
        &mut self,
        caller: &Caller,
        now_ms: i64,
        who: &str,
        change: &AutoReplyChange,
    ) -> Reply<MailboxSettings> {
        self.gate(caller, now_ms, Op::PatchMailboxSettings, who, |tenant, cx| {
            tenant.set_auto_reply(cx, who, change)
        })
    }

    /// Inbox rules that are not hidden.
    pub fn list_rules(&mut self, caller: &Caller, now_ms: i64, who: &str) -> Reply<Vec<InboxRule>> {
        self.gate(caller, now_ms, Op::ListInboxRules, who, |tenant, cx| {
            tenant.list_rules(cx, who)
        })
    }

    /// Deletes an inbox rule that is not hidden.
    pub fn delete_rule(&mut self, caller: &Caller, now_ms: i64, who: &str, rule: &str) -> Reply<()> {
        self.gate(caller, now_ms, Op::DeleteInboxRule, &pair(who, rule), |tenant, cx| {
            tenant.delete_rule(cx, who, rule)
        })
    }

    /// Events, all or those that touch a window of time.
    pub fn list_events(
        &mut self,
        caller: &Caller,
        now_ms: i64,
        who: &str,
        window: Option<(i64, i64)>,
    ) -> Reply<Vec<Event>> {
        self.gate(caller, now_ms, Op::ListEvents, who, |tenant, cx| {
            tenant.list_events(cx, who, window)
        })
    }

    /// Creates an event, once for each transaction id.
    pub fn create_event(&mut self, caller: &Caller, now_ms: i64, who: &str, event: &NewEvent) -> Reply<Event> {
        let key = pair(who, event.transaction_id.as_deref().unwrap_or_default());
        self.gate(caller, now_ms, Op::CreateEvent, &key, |tenant, cx| {
            tenant.create_event(cx, who, event)
        })
    }

    /// Cancels an event as its organiser, or deletes it quietly.
    pub fn cancel_event(
        &mut self,
        caller: &Caller,
        now_ms: i64,
        who: &str,
        event: &str,
        as_organiser: bool,
    ) -> Reply<()> {
        self.gate(caller, now_ms, Op::CancelEvent, &pair(who, event), |tenant, cx| {
            tenant.cancel_event(cx, who, event, as_organiser)
        })
    }

    /// Mail folders in a folder, or in the root, each with the number of those in it.
    pub fn list_folders(
        &mut self,
        caller: &Caller,
        now_ms: i64,
        who: &str,
        parent: Option<&str>,
        hidden: bool,
    ) -> Reply<Vec<(Folder, usize)>> {
        self.gate(caller, now_ms, Op::ListFolders, who, |tenant, cx| {
            tenant.list_folders(cx, who, parent, hidden)
        })
    }

    /// A mail folder by its id, or by its well-known name, with the number of those in it.
    pub fn get_folder(&mut self, caller: &Caller, now_ms: i64, who: &str, named: &str) -> Reply<(Folder, usize)> {
        self.gate(caller, now_ms, Op::ListFolders, who, |tenant, cx| {
            tenant.get_folder(cx, who, named)
        })
    }

    /// The messages of a folder.
    pub fn list_mails(&mut self, caller: &Caller, now_ms: i64, who: &str, folder: &str) -> Reply<Vec<Mail>> {
        self.gate(caller, now_ms, Op::ListMails, &pair(who, folder), |tenant, cx| {
            tenant.list_mails(cx, who, folder)
        })
    }

    /// A message as MIME.
    pub fn get_mime(&mut self, caller: &Caller, now_ms: i64, who: &str, id: &str) -> Reply<Arc<Vec<u8>>> {
        self.gate(caller, now_ms, Op::GetMime, &pair(who, id), |tenant, cx| {
            tenant.get_mime(cx, who, id)
        })
    }

    /// A user's drive; 404 if it was never provisioned.
    pub fn get_drive(&mut self, caller: &Caller, now_ms: i64, who: &str) -> Reply<Drive> {
        self.gate(caller, now_ms, Op::GetDrive, who, |tenant, cx| {
            tenant.get_drive(cx, who)
        })
    }

    /// A drive by its own id.
    pub fn get_drive_by_id(&mut self, caller: &Caller, now_ms: i64, drive: &str) -> Reply<Drive> {
        self.gate(caller, now_ms, Op::GetDrive, drive, |tenant, cx| {
            tenant.drive_by_id(cx, drive)
        })
    }

    /// The host of the tenant's root site.
    pub fn get_root_site(&mut self, caller: &Caller, now_ms: i64) -> Reply<String> {
        self.gate(caller, now_ms, Op::GetSite, "root", |tenant, _| {
            Ok(tenant.drive_host.replace("-my.", "."))
        })
    }

    /// Invites somebody to a drive's root.
    pub fn invite_to_drive(&mut self, caller: &Caller, now_ms: i64, drive: &str, address: &str) -> Reply<Person> {
        self.gate(
            caller,
            now_ms,
            Op::InviteToDrive,
            &pair(drive, address),
            |tenant, cx| tenant.invite_to_drive(cx, drive, address),
        )
    }

    /// Makes somebody known to the site at this path.
    pub fn ensure_site_user(&mut self, caller: &Caller, now_ms: i64, path: &str, login: &str) -> Reply<SiteUser> {
        self.gate(caller, now_ms, Op::WriteSiteUser, &pair(path, login), |tenant, cx| {
            tenant.ensure_site_user(cx, path, login)
        })
    }

    /// Everybody known to the site at this path.
    pub fn list_site_users(&mut self, caller: &Caller, now_ms: i64, path: &str) -> Reply<Vec<SiteUser>> {
        self.gate(caller, now_ms, Op::ReadSiteUsers, path, |tenant, cx| {
            tenant.list_site_users(cx, path)
        })
    }

    /// Makes somebody the site's administrator, or not.
    pub fn set_site_admin(&mut self, caller: &Caller, now_ms: i64, path: &str, number: u32, admin: bool) -> Reply<()> {
        self.gate(caller, now_ms, Op::WriteSiteUser, path, |tenant, cx| {
            tenant.set_site_admin(cx, path, number, admin)
        })
    }

    /// Managed devices, of one user or all.
    pub fn list_managed_devices(
        &mut self,
        caller: &Caller,
        now_ms: i64,
        user: Option<&str>,
    ) -> Reply<Vec<ManagedDevice>> {
        let key = user.unwrap_or("*");
        self.gate(caller, now_ms, Op::GetManagedDevice, key, |tenant, cx| {
            Ok(tenant.list_managed_devices(cx, user))
        })
    }

    /// A managed device; 404 when its record is gone, for whatever reason. Reading the
    /// code of its activation lock is on record.
    pub fn get_managed_device(
        &mut self,
        caller: &Caller,
        now_ms: i64,
        id: &str,
        with_lock: bool,
    ) -> Reply<ManagedDevice> {
        self.gate(caller, now_ms, Op::GetManagedDevice, id, |tenant, cx| {
            tenant.get_managed_device(cx, id, with_lock)
        })
    }

    /// Orders a wipe, with the code that a Mac asks for afterwards.
    pub fn wipe_device(&mut self, caller: &Caller, now_ms: i64, id: &str, unlock_code: Option<&str>) -> Reply<()> {
        self.gate(caller, now_ms, Op::WipeDevice, id, |tenant, cx| {
            tenant.wipe_device(cx, id, unlock_code)
        })
    }

    /// Orders a retirement.
    pub fn retire_device(&mut self, caller: &Caller, now_ms: i64, id: &str) -> Reply<()> {
        self.gate(caller, now_ms, Op::RetireDevice, id, |tenant, cx| {
            tenant.retire_device(cx, id)
        })
    }

    /// Deletes a managed device's record; what was pending on it never happens.
    pub fn delete_managed_device(&mut self, caller: &Caller, now_ms: i64, id: &str) -> Reply<()> {
        self.gate(caller, now_ms, Op::DeleteManagedDevice, id, |tenant, cx| {
            tenant.delete_managed_device(cx, id)
        })
    }

    /// An Entra device by object id.
    pub fn get_device(&mut self, caller: &Caller, now_ms: i64, id: &str) -> Reply<EntraDevice> {
        self.gate(caller, now_ms, Op::GetDevice, id, |tenant, cx| {
            tenant.get_device(cx, id)
        })
    }

    /// All Entra devices.
    pub fn list_devices(&mut self, caller: &Caller, now_ms: i64) -> Reply<Vec<EntraDevice>> {
        self.gate(caller, now_ms, Op::GetDevice, "*", |tenant, cx| {
            Ok(tenant.list_devices(cx))
        })
    }

    /// Switches an Entra device.
    pub fn set_device_enabled(&mut self, caller: &Caller, now_ms: i64, id: &str, enabled: bool) -> Reply<()> {
        self.gate(caller, now_ms, Op::PatchDevice, id, |tenant, cx| {
            tenant.set_device_enabled(cx, id, enabled)
        })
    }

    /// Deletes an Entra device, its recovery keys with it.
    pub fn delete_device(&mut self, caller: &Caller, now_ms: i64, id: &str) -> Reply<()> {
        self.gate(caller, now_ms, Op::DeleteDevice, id, |tenant, cx| {
            tenant.delete_device(cx, id)
        })
    }

    /// The local administrator's password of a device, by its `deviceId`.
    pub fn read_laps(
        &mut self,
        caller: &Caller,
        now_ms: i64,
        device_id: &str,
        with_password: bool,
    ) -> Reply<LocalCredential> {
        self.gate(caller, now_ms, Op::ReadLaps, device_id, |tenant, cx| {
            tenant.read_laps(cx, device_id, with_password)
        })
    }

    /// BitLocker keys (with the `deviceId` each is for), of one device or all; the key itself is not shown in lists.
    pub fn list_bitlocker(
        &mut self,
        caller: &Caller,
        now_ms: i64,
        device_id: Option<&str>,
    ) -> Reply<Vec<(String, BitlockerKey)>> {
        let key = device_id.unwrap_or("*");
        self.gate(caller, now_ms, Op::ReadBitlocker, key, |tenant, cx| {
            Ok(tenant.list_bitlocker(cx, device_id))
        })
    }

    /// One BitLocker key; reading the key itself is on record.
    pub fn read_bitlocker(
        &mut self,
        caller: &Caller,
        now_ms: i64,
        key: &str,
        with_key: bool,
    ) -> Reply<(String, BitlockerKey)> {
        self.gate(caller, now_ms, Op::ReadBitlocker, key, |tenant, cx| {
            tenant.read_bitlocker(cx, key, with_key)
        })
    }

    /// All Autopilot identities.
    pub fn list_autopilot(&mut self, caller: &Caller, now_ms: i64) -> Reply<Vec<Autopilot>> {
        self.gate(caller, now_ms, Op::GetAutopilot, "*", |tenant, cx| {
            Ok(tenant.list_autopilot(cx))
        })
    }

    /// An Autopilot identity.
    pub fn get_autopilot(&mut self, caller: &Caller, now_ms: i64, id: &str) -> Reply<Autopilot> {
        self.gate(caller, now_ms, Op::GetAutopilot, id, |tenant, cx| {
            tenant.get_autopilot(cx, id)
        })
    }

    /// Unassigns an Autopilot identity's user.
    pub fn unassign_autopilot(&mut self, caller: &Caller, now_ms: i64, id: &str) -> Reply<()> {
        self.gate(caller, now_ms, Op::WriteAutopilot, id, |tenant, cx| {
            tenant.unassign_autopilot(cx, id)
        })
    }

    /// Deletes an Autopilot identity; refused while the device is managed.
    pub fn delete_autopilot(&mut self, caller: &Caller, now_ms: i64, id: &str) -> Reply<()> {
        self.gate(caller, now_ms, Op::WriteAutopilot, id, |tenant, cx| {
            tenant.delete_autopilot(cx, id)
        })
    }

    /// Sign-ins, of one user or all, from a time on.
    pub fn list_sign_ins(
        &mut self,
        caller: &Caller,
        now_ms: i64,
        who: Option<&str>,
        from_ms: Option<i64>,
    ) -> Reply<Vec<SignIn>> {
        let key = who.unwrap_or("*");
        self.gate(caller, now_ms, Op::ReadSignIns, key, |tenant, _| {
            Ok(tenant.list_sign_ins(who, from_ms))
        })
    }
}
