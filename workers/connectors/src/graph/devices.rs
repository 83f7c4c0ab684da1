//! Intune's record, Entra's object, Autopilot's assignment.

use super::GraphConnector;
use super::api::{Api, Ask};
use super::groups::gone_is_fine;
use super::path::{Filter, Path};
use super::permission::{
    ORDER_MANAGED, READ_AUTOPILOT, READ_BITLOCKER, READ_DEVICES, READ_LAPS, READ_MANAGED, WRITE_AUTOPILOT,
    WRITE_DEVICES,
};
use super::read::{id_in, text_in, time_in};
use crate::{
    ActionState, Answer, Autopilot, Call, Device, DeviceAction, DeviceObject, DeviceRef, Devices, ManagedDevice, Owner,
    RecoveryKey, RecoveryKeySort, RecoveryKeys,
};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use offboard_domain::estate::Serial;
use offboard_domain::{FaultClass, ObjectId};
use offboard_runtime::Secret;
use serde_json::{Value, json};

const MANAGED_FIELDS: &str = "id,userId,deviceName,managedDeviceOwnerType,managementState,deviceActionResults,azureADDeviceId,serialNumber,operatingSystem,lastSyncDateTime";
const OBJECT_FIELDS: &str = "id,deviceId,displayName,accountEnabled,deviceOwnership,trustType,operatingSystem,onPremisesSyncEnabled,approximateLastSignInDateTime";
const AUTOPILOT_FIELDS: &str = "id,serialNumber,userPrincipalName,azureActiveDirectoryDeviceId,managedDeviceId";
/// The code is null in every list, and in an answer that did not select it by name.
/// <https://learn.microsoft.com/graph/api/resources/intune-devices-manageddevice>
const LOCK_FIELDS: &str = "id,operatingSystem,isEncrypted,managedDeviceOwnerType,activationLockBypassCode";
/// What Intune writes for a device that carries no id.
const NO_DEVICE_ID: &str = "00000000-0000-0000-0000-000000000000";
/// The trust of a device that is joined to a domain on the premises as well.
/// <https://learn.microsoft.com/graph/api/resources/device>
const HYBRID: &str = "ServerAd";

fn owner_of(word: Option<&str>, trust: Option<&str>) -> Owner {
    match word.map(str::to_lowercase).as_deref() {
        Some("company") => Owner::Company,
        Some("personal") => Owner::Personal,
        _ => match trust {
            Some("Workplace") => Owner::Personal,
            Some("AzureAd" | HYBRID) => Owner::Company,
            _ => Owner::Unknown,
        },
    }
}

fn device_id_in(value: &Value) -> Option<String> {
    text_in(value).filter(|id| id != NO_DEVICE_ID)
}

fn serial_in(value: &Value) -> Option<String> {
    text_in(value).filter(|s| Serial::parse(s).is_some())
}

fn managed_of(value: &Value) -> Option<ManagedDevice> {
    let mut actions: Vec<ActionState> = value["deviceActionResults"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|a| {
            Some(ActionState {
                name: text_in(&a["actionName"])?,
                state: text_in(&a["actionState"])?,
                started_ms: time_in(&a["startDateTime"]),
                updated_ms: time_in(&a["lastUpdatedDateTime"]),
            })
        })
        .collect();
    actions.sort_by_key(|a| a.started_ms);
    Some(ManagedDevice {
        at: DeviceRef {
            managed: Some(id_in(&value["id"])?),
            object: None,
            device_id: device_id_in(&value["azureADDeviceId"]),
            serial: serial_in(&value["serialNumber"]),
        },
        owner: owner_of(value["managedDeviceOwnerType"].as_str(), None),
        user_id: id_in(&value["userId"]),
        management_state: text_in(&value["managementState"]),
        actions,
        operating_system: text_in(&value["operatingSystem"]),
        last_seen_ms: time_in(&value["lastSyncDateTime"]),
    })
}

fn object_of(value: &Value) -> Option<DeviceObject> {
    Some(DeviceObject {
        at: DeviceRef {
            managed: None,
            object: Some(id_in(&value["id"])?),
            device_id: device_id_in(&value["deviceId"]),
            serial: None,
        },
        // What was not read is not proven: it counts as enabled.
        enabled: value["accountEnabled"] != false,
        synced: value["onPremisesSyncEnabled"] == true,
        hybrid_joined: value["trustType"] == HYBRID,
        owner: owner_of(value["deviceOwnership"].as_str(), value["trustType"].as_str()),
    })
}

impl Api {
    async fn managed_device(&self, call: &mut Call, device: &DeviceRef) -> Answer<Option<ManagedDevice>> {
        let Some(id) = &device.managed else { return Ok(None) };
        let path = Path::at("deviceManagement")
            .then("managedDevices")
            .id(&id.0)
            .select(MANAGED_FIELDS);
        let ask = Ask::get(path, READ_MANAGED);
        match self.send(call, &ask).await {
            Ok(reply) => match managed_of(&reply.body) {
                Some(found) => Ok(Some(found)),
                None => Err(self.fault(
                    &ask,
                    FaultClass::Transient,
                    "the answer has not the shape of a device; it is read again",
                )),
            },
            Err(fault) if fault.class == FaultClass::Absent => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    async fn device_object(&self, call: &mut Call, device: &DeviceRef) -> Answer<Option<DeviceObject>> {
        if let Some(id) = &device.object {
            let ask = Ask::get(Path::at("devices").id(&id.0).select(OBJECT_FIELDS), READ_DEVICES);
            return match self.send(call, &ask).await {
                Ok(reply) => match object_of(&reply.body) {
                    Some(found) => Ok(Some(found)),
                    None => Err(self.fault(
                        &ask,
                        FaultClass::Transient,
                        "the answer has not the shape of a device; it is read again",
                    )),
                },
                Err(fault) if fault.class == FaultClass::Absent => Ok(None),
                Err(fault) => Err(fault),
            };
        }
        let Some(device_id) = &device.device_id else {
            return Ok(None);
        };
        let path = Path::at("devices")
            .filter(&Filter::eq("deviceId", device_id))
            .select(OBJECT_FIELDS);
        let found = self.list(call, Ask::get(path, READ_DEVICES)).await?;
        Ok(found
            .iter()
            .filter_map(object_of)
            .find(|o| o.at.device_id.as_ref() == Some(device_id)))
    }

    async fn autopilot_record(&self, call: &mut Call, device: &DeviceRef) -> Answer<Option<Autopilot>> {
        let Some(serial) = &device.serial else { return Ok(None) };
        let path = Path::at("deviceManagement")
            .then("windowsAutopilotDeviceIdentities")
            .filter(&Filter::contains("serialNumber", serial))
            .select(AUTOPILOT_FIELDS);
        let ask = Ask::get(path, READ_AUTOPILOT);
        let several_bear_it = self.fault(
            &ask,
            FaultClass::Blocked,
            "several Autopilot records bear this device's serial number, and none is known to be its own; in Intune (Windows Autopilot devices) delete those that are of no device any more, then retry; or take its person off the right one there, and waive this",
        );
        let found = self.list(call, ask).await?;
        let matching: Vec<&Value> = found
            .iter()
            .filter(|r| {
                r["serialNumber"]
                    .as_str()
                    .is_some_and(|s| s.eq_ignore_ascii_case(serial))
            })
            .collect();
        // Serial numbers are not unique over makers; the device's own id decides.
        let same_device = |r: &&&Value| {
            device.device_id.is_some() && device_id_in(&r["azureActiveDirectoryDeviceId"]) == device.device_id
        };
        let record = match matching.as_slice() {
            [] => None,
            [only] => Some(*only),
            several => {
                let own: Vec<&Value> = several.iter().filter(same_device).copied().collect();
                let [one] = own.as_slice() else {
                    return Err(several_bear_it);
                };
                Some(*one)
            }
        };
        Ok(record.and_then(|r| {
            Some(Autopilot {
                id: id_in(&r["id"])?,
                assigned_to: text_in(&r["userPrincipalName"]),
            })
        }))
    }

    /// What the management keeps: the code that lifts an activation lock. The key
    /// of a Mac's disk is given by Graph's beta alone, which may change any day. That of
    /// an encrypted disk of the company's is missing until it is read.
    async fn management_keys(&self, call: &mut Call, device: &DeviceRef) -> Answer<RecoveryKeys> {
        let Some(id) = &device.managed else {
            return Ok(RecoveryKeys::default());
        };
        let path = Path::at("deviceManagement")
            .then("managedDevices")
            .id(&id.0)
            .select(LOCK_FIELDS);
        let ask = Ask::get(path, READ_MANAGED);
        let body = match self.send(call, &ask).await {
            Ok(reply) => reply.body,
            // What it kept went with the record.
            Err(fault) if fault.class == FaultClass::Absent => return Ok(RecoveryKeys::default()),
            Err(fault) => return Err(fault),
        };
        if id_in(&body["id"]).is_none() {
            return Err(self.fault(
                &ask,
                FaultClass::Transient,
                "the answer has not the shape of a device; it is read again",
            ));
        }
        let code = text_in(&body["activationLockBypassCode"]).map(|code| RecoveryKey {
            id: "activation-lock".to_owned(),
            sort: RecoveryKeySort::ActivationLock,
            label: None,
            key: Secret::new(code),
            created_ms: None,
        });
        let runs = |name: &str| {
            let system = body["operatingSystem"].as_str();
            system.is_some_and(|system| system.eq_ignore_ascii_case(name))
        };
        // Who owns his Mac keeps its key himself. Where it is not known whether the disk
        // is encrypted, it may be.
        let is_personal = body["managedDeviceOwnerType"] == "personal";
        let withheld = runs("macOS") && !is_personal && body["isEncrypted"] != false;
        let kept = runs("Windows") && body["managedDeviceOwnerType"] == "company" && body["isEncrypted"] == true;
        let disk =
            |is_so: bool| -> Vec<RecoveryKeySort> { is_so.then_some(RecoveryKeySort::Disk).into_iter().collect() };
        Ok(RecoveryKeys {
            keys: code.into_iter().collect(),
            withheld: disk(withheld),
            missing: disk(kept),
        })
    }

    /// The BitLocker keys that are filed under the id that the device carries.
    async fn bitlocker_keys(&self, call: &mut Call, device_id: &str) -> Answer<Vec<RecoveryKey>> {
        let keys = || Path::at("informationProtection").then("bitlocker/recoveryKeys");
        let path = keys().filter(&Filter::eq("deviceId", device_id));
        let mut found = Vec::new();
        for row in self.list(call, Ask::get(path, READ_BITLOCKER)).await? {
            let Some(id) = text_in(&row["id"]).filter(|_| row["deviceId"] == device_id) else {
                continue;
            };
            let ask = Ask::get(keys().id(&id).select("key"), READ_BITLOCKER);
            let reply = self.send(call, &ask).await?;
            let Some(key) = text_in(&reply.body["key"]).map(Secret::new) else {
                return Err(self.fault(&ask, FaultClass::Transient, "the answer has no key; it is read again"));
            };
            found.push(RecoveryKey {
                sort: RecoveryKeySort::Disk,
                label: text_in(&row["volumeType"]),
                created_ms: time_in(&row["createdDateTime"]),
                id,
                key,
            });
        }
        Ok(found)
    }

    /// The passwords of the local administrator that are kept for the device.
    async fn local_passwords(&self, call: &mut Call, device_id: &str) -> Answer<Vec<RecoveryKey>> {
        let path = Path::at("directory")
            .then("deviceLocalCredentials")
            .id(device_id)
            .select("id,credentials");
        let ask = Ask::get(path, READ_LAPS)
            .header("ocp-client-name", "offboard")
            .header("ocp-client-version", env!("CARGO_PKG_VERSION"));
        let body = match self.send(call, &ask).await {
            Ok(reply) => reply.body,
            Err(fault) if fault.class == FaultClass::Absent => Value::Null,
            Err(fault) => return Err(fault),
        };
        let mut found = Vec::new();
        for credential in body["credentials"].as_array().into_iter().flatten() {
            let decoded = credential["passwordBase64"]
                .as_str()
                .and_then(|b| STANDARD.decode(b).ok())
                .and_then(|b| String::from_utf8(b).ok());
            let Some(password) = decoded else {
                return Err(self.fault(
                    &ask,
                    FaultClass::Transient,
                    "the local administrator's password cannot be decoded; it is read again",
                ));
            };
            let created_ms = time_in(&credential["backupDateTime"]);
            found.push(RecoveryKey {
                id: format!("laps-{}", created_ms.unwrap_or(0)),
                sort: RecoveryKeySort::LocalAdministrator,
                label: text_in(&credential["accountName"]),
                key: Secret::new(password),
                created_ms,
            });
        }
        Ok(found)
    }

    /// Every record that the management has of the device that carries this id.
    async fn managed_by_device_id(&self, call: &mut Call, device_id: &str) -> Answer<Vec<ManagedDevice>> {
        let path = Path::at("deviceManagement")
            .then("managedDevices")
            .filter(&Filter::eq("azureADDeviceId", device_id))
            .select(MANAGED_FIELDS);
        let rows = self.list(call, Ask::get(path, READ_MANAGED)).await?;
        Ok(rows
            .iter()
            .filter_map(managed_of)
            .filter(|m| m.at.device_id.as_deref() == Some(device_id))
            .collect())
    }

    /// Whether another account is registered as a user or owner of the object.
    async fn registered_to_another(&self, call: &mut Call, object: &ObjectId, id: &ObjectId) -> Answer<bool> {
        for which in ["registeredUsers", "registeredOwners"] {
            let path = Path::at("devices").id(&object.0).then(which).select("id");
            let registered = match self.list(call, Ask::get(path, READ_DEVICES)).await {
                Ok(registered) => registered,
                // The object is gone, and nobody is registered any more.
                Err(fault) if fault.class == FaultClass::Absent => return Ok(false),
                Err(fault) => return Err(fault),
            };
            if registered.iter().any(|r| id_in(&r["id"]).is_some_and(|who| who != *id)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads the record afresh and refuses what must not happen to it.
    async fn may_wipe(&self, call: &mut Call, device: &DeviceRef, with_code: bool) -> Answer<Option<ObjectId>> {
        const ATTEMPTED: &str = "POST /deviceManagement/managedDevices/{id}/wipe";
        let Some(found) = self.managed_device(call, device).await? else {
            return Err(self.fault_in(
                ATTEMPTED,
                FaultClass::Absent,
                "the management has no record of the device, which proves no wipe; it was not sent",
            ));
        };
        if found.owner != Owner::Company {
            return Err(self.fault_in(
                ATTEMPTED,
                FaultClass::Blocked,
                "the device is not known to be the company's, and others are never wiped; it was not sent",
            ));
        }
        if found.wants_unlock_code() && !with_code {
            return Err(self.fault_in(
                ATTEMPTED,
                FaultClass::Blocked,
                "a wiped Mac asks for a code of six digits, and the order had none; it was not sent",
            ));
        }
        let under_way = found
            .action("wipe")
            .is_some_and(|a| matches!(a.state.as_str(), "pending" | "active"))
            || found
                .management_state
                .as_deref()
                .is_some_and(|s| matches!(s, "wipePending" | "wipeIssued"));
        Ok(if under_way { None } else { found.at.managed })
    }
}

#[async_trait]
impl Devices for GraphConnector {
    async fn of(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<Device>> {
        let path = Path::user(&id.0).then("managedDevices").select(MANAGED_FIELDS);
        let managed = self.api.list(call, Ask::get(path, READ_MANAGED)).await?;
        let mut objects: Vec<(DeviceObject, Value)> = Vec::new();
        for which in ["registeredDevices", "ownedDevices"] {
            let path = Path::user(&id.0).then(which).select(OBJECT_FIELDS);
            for value in self.api.list(call, Ask::get(path, READ_DEVICES)).await? {
                if let Some(object) = object_of(&value)
                    && !objects.iter().any(|(o, _)| o.at.object == object.at.object)
                {
                    objects.push((object, value));
                }
            }
        }
        let mut devices = Vec::new();
        for value in &managed {
            let Some(found) = managed_of(value) else { continue };
            let mut at = found.at;
            let same = |o: &DeviceObject| at.device_id.is_some() && o.at.device_id == at.device_id;
            let object = match objects.iter().position(|(o, _)| same(o)) {
                Some(i) => Some(objects.swap_remove(i).0),
                // The one who manages it need not be the one who registered it.
                None => self.api.device_object(call, &at).await?,
            };
            let hybrid_joined = object.as_ref().is_some_and(|o| o.hybrid_joined);
            at.object = object.and_then(|o| o.at.object);
            devices.push(Device {
                at,
                owner: found.owner,
                name: text_in(&value["deviceName"]),
                operating_system: found.operating_system,
                is_managed: true,
                hybrid_joined,
                last_seen_ms: found.last_seen_ms,
            });
        }
        devices.extend(objects.into_iter().map(|(object, value)| Device {
            at: object.at,
            owner: object.owner,
            name: text_in(&value["displayName"]),
            operating_system: text_in(&value["operatingSystem"]),
            is_managed: false,
            hybrid_joined: object.hybrid_joined,
            last_seen_ms: time_in(&value["approximateLastSignInDateTime"]),
        }));
        devices.sort_by(|a, b| a.at.target().cmp(&b.at.target()));
        Ok(devices)
    }

    async fn managed(&self, call: &mut Call, device: &DeviceRef) -> Answer<Option<ManagedDevice>> {
        self.api.managed_device(call, device).await
    }

    async fn object(&self, call: &mut Call, device: &DeviceRef) -> Answer<Option<DeviceObject>> {
        self.api.device_object(call, device).await
    }

    async fn autopilot(&self, call: &mut Call, device: &DeviceRef) -> Answer<Option<Autopilot>> {
        self.api.autopilot_record(call, device).await
    }

    async fn recovery_keys(&self, call: &mut Call, device: &DeviceRef) -> Answer<RecoveryKeys> {
        let mut found = self.api.management_keys(call, device).await?;
        let device_id = match &device.device_id {
            Some(id) => Some(id.clone()),
            None => self.api.device_object(call, device).await?.and_then(|o| o.at.device_id),
        };
        if let Some(device_id) = device_id {
            found.keys.extend(self.api.bitlocker_keys(call, &device_id).await?);
            found.keys.extend(self.api.local_passwords(call, &device_id).await?);
        }
        found.keys.sort_by(|a, b| (a.sort, &a.id).cmp(&(b.sort, &b.id)));
        let keys = &found.keys;
        found.missing.retain(|sort| !keys.iter().any(|key| key.sort == *sort));
        Ok(found)
    }

    async fn used_by_another(&self, call: &mut Call, device: &DeviceRef, id: &ObjectId) -> Answer<bool> {
        if let Some(device_id) = &device.device_id {
            let records = self.api.managed_by_device_id(call, device_id).await?;
            if !records.is_empty() {
                return Ok(records.iter().any(|r| r.user_id.as_ref() != Some(id)));
            }
        }
        match &device.object {
            Some(object) if device.managed.is_none() => self.api.registered_to_another(call, object, id).await,
            _ => Ok(false),
        }
    }

    async fn act(&self, call: &mut Call, device: &DeviceRef, action: DeviceAction) -> Answer<()> {
        let order = |id: &ObjectId, verb: &'static str, body: Option<Value>| {
            Ask::post(
                Path::at("deviceManagement").then("managedDevices").id(&id.0).then(verb),
                ORDER_MANAGED,
                body,
            )
        };
        let ask = match action {
            DeviceAction::Wipe {
                keep_enrollment,
                unlock_code,
            } => match self.api.may_wipe(call, device, unlock_code.is_some()).await? {
                Some(id) => {
                    let mut body = json!({"keepEnrollmentData": keep_enrollment, "keepUserData": false, "persistEsimDataPlan": false});
                    if let Some(code) = unlock_code {
                        body["macOsUnlockCode"] = json!(code.digits().expose());
                    }
                    order(&id, "wipe", Some(body)).once()
                }
                // It was ordered already and has not ended: ordered again it would queue a second.
                None => return Ok(()),
            },
            DeviceAction::Retire => match &device.managed {
                Some(id) => order(id, "retire", None),
                None => return Ok(()),
            },
            DeviceAction::UnassignAutopilot => match self.api.autopilot_record(call, device).await? {
                Some(record) if record.assigned_to.is_some() => {
                    let path = Path::at("deviceManagement")
                        .then("windowsAutopilotDeviceIdentities")
                        .id(&record.id.0)
                        .then("unassignUserFromDevice");
                    Ask::post(path, WRITE_AUTOPILOT, None)
                }
                _ => return Ok(()),
            },
            DeviceAction::DisableObject => {
                match self.api.device_object(call, device).await?.and_then(|o| o.at.object) {
                    Some(id) => Ask::patch(
                        Path::at("devices").id(&id.0),
                        WRITE_DEVICES,
                        json!({"accountEnabled": false}),
                    ),
                    None => return Ok(()),
                }
            }
        };
        let done = self.api.send(call, &ask).await.map(|_| ());
        match action {
            // A record that is gone proves no wipe: whoever asked must know.
            DeviceAction::Wipe { .. } => done,
            _ => gone_is_fine(done),
        }
    }
}
