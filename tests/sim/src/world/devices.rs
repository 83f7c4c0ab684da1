//! Devices: management and its remote actions, Entra's device objects with
//! their recovery keys, Autopilot identities.

use super::journal::{Effect, Harm};
use super::model::{Autopilot, BitlockerKey, DeviceAction, DeviceOwner, EntraDevice, ManagedDevice, ManagementState};
use super::tenant::Due;
use super::{Actor, Cx, Tenant, VendorError};

/// A local administrator's password, as it was kept for a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalCredential {
    /// The Entra device's `deviceId`.
    pub device_id: String,
    /// The device's name.
    pub device_name: String,
    /// The password; `None` unless asked for.
    pub password: Option<String>,
    /// When it was kept.
    pub backup_ms: i64,
}

impl Tenant {
    pub(super) fn list_managed_devices(&self, cx: &Cx, user: Option<&str>) -> Vec<ManagedDevice> {
        self.managed_devices
            .iter_at(cx.as_of)
            .map(|(_, device)| device)
            .filter(|device| user.is_none_or(|user| device.user == user))
            .cloned()
            .collect()
    }

    pub(super) fn get_managed_device(
        &mut self,
        cx: &Cx,
        id: &str,
        with_lock: bool,
    ) -> Result<ManagedDevice, VendorError> {
        let device = self
            .managed_devices
            .at(id, cx.as_of)
            .cloned()
            .ok_or_else(|| VendorError::no_managed_device(id))?;
        if with_lock && device.activation_lock.is_some() {
            let row = self.managed_devices.edit_silently(id);
            if let Some((_, read)) = row.and_then(|row| row.activation_lock.as_mut()) {
                *read = true;
            }
            self.note(cx.now, cx.actor(), Effect::KeyRead, &device.user, id);
        }
        Ok(device)
    }

    /// Belief: Intune takes no wipe of a Mac without a code of six digits.
    pub(super) fn wipe_device(&mut self, cx: &Cx, id: &str, unlock_code: Option<&str>) -> Result<(), VendorError> {
        let device = self
            .managed_devices
            .get(id)
            .cloned()
            .ok_or_else(|| VendorError::no_managed_device(id))?;
        let is_code = |code: &str| code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit());
        if device.os == "macOS" && !unlock_code.is_some_and(is_code) {
            let text = "A macOsUnlockCode of six digits is required for this device.";
            return Err(VendorError::new(400, "BadRequest", text));
        }
        self.note(cx.now, cx.actor(), Effect::WipeOrdered, &device.user, id);
        if device.owner == DeviceOwner::Personal {
            self.harm(cx.now, cx.actor(), Harm::PersonalDeviceWiped, &device.user, id);
        }
        // What was wiped before it was enrolled is another life of it.
        let since = device.enrolled_ms;
        if device.actions.iter().any(|a| a.name == "wipe" && a.start_ms >= since) {
            self.harm(cx.now, cx.actor(), Harm::WipedTwice, &device.user, id);
        }
        self.order_action(cx, &device, "wipe", ManagementState::WipePending);
        if let Some(row) = self.managed_devices.edit_silently(id) {
            row.unlock_code = unlock_code.map(str::to_owned);
        }
        Ok(())
    }

    pub(super) fn retire_device(&mut self, cx: &Cx, id: &str) -> Result<(), VendorError> {
        let device = self
            .managed_devices
            .get(id)
            .cloned()
            .ok_or_else(|| VendorError::no_managed_device(id))?;
        self.note(cx.now, cx.actor(), Effect::RetireOrdered, &device.user, id);
        let under_way = device
            .actions
            .iter()
            .any(|action| matches!(action.state, "pending" | "active"));
        if !under_way {
            self.order_action(cx, &device, "retire", ManagementState::RetirePending);
        }
        Ok(())
    }

    /// Whoever looks after the devices gives a managed one to another person: its record, and
    /// its enrolment. Who registered its object stays, and what was ordered for it stays
    /// ordered. Whether there is such a device, and such a person.
    pub fn give_device(&mut self, now: i64, id: &str, to: &str) -> bool {
        let Some(upn) = self.people.get(to).map(|person| person.upn.clone()) else {
            return false;
        };
        let Some(row) = self.managed_devices.edit(id, now) else {
            return false;
        };
        row.user = to.to_owned();
        let device_id = row.entra_device_id.clone();
        let object = self.devices.iter().find(|(_, row)| row.device_id == device_id);
        let object = object.map(|(object, _)| object.to_owned());
        let enrolled = self.autopilots.iter().find(|(_, row)| row.managed_device_id == id);
        let enrolled = enrolled.map(|(enrolled, _)| enrolled.to_owned());
        if let Some(row) = enrolled.as_ref().and_then(|key| self.autopilots.edit(key, now)) {
            row.user = Some(to.to_owned());
            row.user_upn = Some(upn);
        }
        for given in [Some(id.to_owned()), object, enrolled].into_iter().flatten() {
            self.note(now, &Actor::Colleague, Effect::DeviceGiven, to, &given);
        }
        true
    }

    fn order_action(&mut self, cx: &Cx, device: &ManagedDevice, name: &'static str, state: ManagementState) {
        if let Some(row) = self.managed_devices.edit(&device.id, cx.now) {
            // A new order takes the place of one that the device has not heard yet.
            for unheard in row.actions.iter_mut().filter(|action| action.state == "pending") {
                unheard.state = "canceled";
                unheard.updated_ms = cx.now;
            }
            row.state = state;
            row.actions.push(DeviceAction {
                name,
                state: "pending",
                start_ms: cx.now,
                updated_ms: cx.now,
            });
        }
        if let Some(at) = device.reach.next_ms(cx.now) {
            self.schedule(
                at,
                Due::CheckIn {
                    device: device.id.clone(),
                    entra_device: device.entra_device_id.clone(),
                },
            );
        }
    }

    pub(super) fn device_checks_in(&mut self, at: i64, id: &str, _entra_device: &str, done_in: i64) {
        let Some(row) = self.managed_devices.edit(id, at) else {
            return;
        };
        row.last_sync_ms = at;
        row.state = match row.state {
            ManagementState::WipePending => ManagementState::WipeIssued,
            ManagementState::RetirePending => ManagementState::RetireIssued,
            other => other,
        };
        let Some(action) = row.actions.iter_mut().find(|action| action.state == "pending") else {
            return;
        };
        action.state = "active";
        action.updated_ms = at;
        self.schedule(at + done_in, Due::ActionDone { device: id.to_owned() });
    }

    pub(super) fn device_action_done(&mut self, at: i64, id: &str, gone_in: i64) {
        let Some(row) = self.managed_devices.edit(id, at) else {
            return;
        };
        let Some(action) = row.actions.iter_mut().find(|action| action.state == "active") else {
            return;
        };
        action.state = "done";
        action.updated_ms = at;
        let (wiped, user, entra) = (action.name == "wipe", row.user.clone(), row.entra_device_id.clone());
        let locked = row.has_unread_lock();
        let actor = Actor::Machinery("device");
        self.note(
            at,
            &actor,
            if wiped {
                Effect::DeviceWiped
            } else {
                Effect::DeviceRetired
            },
            &user,
            id,
        );
        if wiped {
            let unread = self
                .devices
                .iter()
                .any(|(_, device)| device.device_id == entra && device.has_unread_keys());
            // A lock outlives the wipe, and its code goes with the record.
            if unread || locked {
                self.harm(at, &actor, Harm::KeysLost, &user, id);
            }
        }
        self.schedule(at + gone_in, Due::RecordGone { device: id.to_owned() });
    }

    pub(super) fn device_record_gone(&mut self, at: i64, id: &str) {
        if let Some(device) = self.managed_devices.remove(id, at) {
            self.note(
                at,
                &Actor::Machinery("device management"),
                Effect::DeviceRecordGone,
                &device.user,
                id,
            );
        }
    }

    pub(super) fn delete_managed_device(&mut self, cx: &Cx, id: &str) -> Result<(), VendorError> {
        let device = self
            .managed_devices
            .remove(id, cx.now)
            .ok_or_else(|| VendorError::no_managed_device(id))?;
        self.note(cx.now, cx.actor(), Effect::DeviceRecordDeleted, &device.user, id);
        if device.has_unread_lock() {
            self.harm(cx.now, cx.actor(), Harm::KeysLost, &device.user, id);
        }
        Ok(())
    }

    /// An Entra device by its object id.
    pub(super) fn get_device(&self, cx: &Cx, id: &str) -> Result<EntraDevice, VendorError> {
        self.devices
            .at(id, cx.as_of)
            .cloned()
            .ok_or_else(|| VendorError::no_resource(id))
    }

    pub(super) fn list_devices(&self, cx: &Cx) -> Vec<EntraDevice> {
        self.devices
            .iter_at(cx.as_of)
            .map(|(_, device)| device.clone())
            .collect()
    }

    pub(super) fn set_device_enabled(&mut self, cx: &Cx, id: &str, enabled: bool) -> Result<(), VendorError> {
        let device = self
            .devices
            .get(id)
            .cloned()
            .ok_or_else(|| VendorError::no_resource(id))?;
        if device.synced {
            return Err(VendorError::synced());
        }
        if device.enabled != enabled {
            if let Some(row) = self.devices.edit(id, cx.now) {
                row.enabled = enabled;
            }
            let effect = if enabled {
                Effect::DeviceEnabled
            } else {
                Effect::DeviceDisabled
            };
            self.note(cx.now, cx.actor(), effect, &device.user, id);
            // Whoever registered it need not be who works on it.
            let managed = self
                .managed_devices
                .iter()
                .find(|(_, managed)| managed.entra_device_id == device.device_id)
                .map(|(_, managed)| managed.user.clone());
            let colleagues = match managed {
                Some(user) => user != device.user,
                None => device.users().chain(device.owners()).any(|one| one != device.user),
            };
            if colleagues && !enabled {
                self.harm(cx.now, cx.actor(), Harm::ColleaguesDeviceDisabled, &device.user, id);
            }
        }
        Ok(())
    }

    pub(super) fn delete_device(&mut self, cx: &Cx, id: &str) -> Result<(), VendorError> {
        let device = self
            .devices
            .remove(id, cx.now)
            .ok_or_else(|| VendorError::no_resource(id))?;
        self.note(cx.now, cx.actor(), Effect::DeviceDeleted, &device.user, id);
        if device.has_unread_keys() {
            self.harm(cx.now, cx.actor(), Harm::KeysLost, &device.user, id);
        }
        Ok(())
    }

    fn device_by_device_id(&self, device_id: &str) -> Option<&EntraDevice> {
        self.devices
            .iter()
            .map(|(_, device)| device)
            .find(|device| device.device_id == device_id)
    }

    pub(super) fn read_laps(
        &mut self,
        cx: &Cx,
        device_id: &str,
        with_password: bool,
    ) -> Result<LocalCredential, VendorError> {
        let device = self.device_by_device_id(device_id).cloned();
        let Some((device, password)) = device.and_then(|device| Some((device.clone(), device.laps?.0))) else {
            return Err(VendorError::new(
                404,
                "Request_ResourceNotFound",
                format!("Device local credential info could not be found by the device id ({device_id})."),
            ));
        };
        if with_password {
            if let Some((_, read)) = self.devices.edit_silently(&device.id).and_then(|row| row.laps.as_mut()) {
                *read = true;
            }
            self.note(cx.now, cx.actor(), Effect::KeyRead, &device.user, &device.id);
        }
        Ok(LocalCredential {
            device_id: device_id.to_owned(),
            device_name: device.name,
            password: with_password.then_some(password),
            backup_ms: device.registered_ms,
        })
    }

    /// Recovery keys with the `deviceId` of the device that each opens.
    pub(super) fn list_bitlocker(&self, cx: &Cx, device_id: Option<&str>) -> Vec<(String, BitlockerKey)> {
        self.devices
            .iter_at(cx.as_of)
            .map(|(_, device)| device)
            .filter(|device| device_id.is_none_or(|wanted| device.device_id == wanted))
            .flat_map(|device| {
                device
                    .bitlocker
                    .iter()
                    .map(|key| (device.device_id.clone(), key.clone()))
            })
            .collect()
    }

    pub(super) fn read_bitlocker(
        &mut self,
        cx: &Cx,
        key: &str,
        with_key: bool,
    ) -> Result<(String, BitlockerKey), VendorError> {
        let found = self.devices.iter().find_map(|(id, device)| {
            let row = device.bitlocker.iter().find(|row| row.id == key)?;
            Some((
                id.to_owned(),
                device.device_id.clone(),
                device.user.clone(),
                row.clone(),
            ))
        });
        let Some((object, device_id, user, row)) = found else {
            return Err(VendorError::no_resource(key));
        };
        if with_key {
            if let Some(row) = self
                .devices
                .edit_silently(&object)
                .and_then(|device| device.bitlocker.iter_mut().find(|row| row.id == key))
            {
                row.read = true;
            }
            self.note(cx.now, cx.actor(), Effect::KeyRead, &user, key);
        }
        Ok((device_id, row))
    }

    pub(super) fn list_autopilot(&self, cx: &Cx) -> Vec<Autopilot> {
        self.autopilots.iter_at(cx.as_of).map(|(_, row)| row.clone()).collect()
    }

    pub(super) fn get_autopilot(&self, cx: &Cx, id: &str) -> Result<Autopilot, VendorError> {
        self.autopilots
            .at(id, cx.as_of)
            .cloned()
            .ok_or_else(|| VendorError::no_managed_device(id))
    }

    pub(super) fn unassign_autopilot(&mut self, cx: &Cx, id: &str) -> Result<(), VendorError> {
        let row = self
            .autopilots
            .edit(id, cx.now)
            .ok_or_else(|| VendorError::no_managed_device(id))?;
        let had = row.user.take();
        row.user_upn = None;
        if let Some(user) = had {
            self.note(cx.now, cx.actor(), Effect::AutopilotUnassigned, &user, id);
        }
        Ok(())
    }

    pub(super) fn delete_autopilot(&mut self, cx: &Cx, id: &str) -> Result<(), VendorError> {
        let row = self
            .autopilots
            .get(id)
            .cloned()
            .ok_or_else(|| VendorError::no_managed_device(id))?;
        if self.managed_devices.get(&row.managed_device_id).is_some() {
            return Err(VendorError::new(
                400,
                "BadRequest",
                "The Autopilot device cannot be deleted while it is enrolled. Delete the managed device first.",
            ));
        }
        self.autopilots.remove(id, cx.now);
        self.note(
            cx.now,
            cx.actor(),
            Effect::AutopilotDeleted,
            row.user.as_deref().unwrap_or_default(),
            id,
        );
        Ok(())
    }
}
