//! Paths about managed devices, Entra devices, their recovery keys, and Autopilot.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Desk, Outcome, show};
use crate::iso;
use crate::world::model::{BitlockerKey, ManagedDevice, Person};
use crate::world::{Caller, Reply, VendorError};

pub(super) fn route(desk: &mut Desk, method: &str, parts: &[&str]) -> Option<Outcome> {
    let (now, caller) = (desk.now, desk.caller.clone());
    Some(match (method, parts) {
        ("GET", ["deviceManagement", "managedDevices"]) => {
            let user = desk.query.equals("userId");
            let reply = desk.world.list_managed_devices(&caller, now, user.as_deref());
            managed(desk, &caller, reply)
        }
        ("GET", ["users", who, "managedDevices"]) => {
            let id = desk
                .world
                .tenant(&caller.tenant)
                .and_then(|tenant| tenant.person(who))
                .map(|person| person.id.clone());
            let Some(id) = id else {
                return Some(Ok(desk.refuse(&VendorError::no_resource(who))));
            };
            let reply = desk.world.list_managed_devices(&caller, now, Some(&id));
            managed(desk, &caller, reply)
        }
        ("GET", ["deviceManagement", "managedDevices", id]) => {
            let with_lock = desk.query.selects("activationLockBypassCode");
            let reply = desk.world.get_managed_device(&caller, now, id, with_lock);
            desk.entity(reply, "managedDevice", "deviceManagement/managedDevices", |device| {
                let mut shown = show::managed_device(&device, user_of(desk, &caller, &device));
                if let Some((code, _)) = device.activation_lock.filter(|_| with_lock) {
                    shown["activationLockBypassCode"] = json!(code);
                }
                shown
            })
        }
        ("DELETE", ["deviceManagement", "managedDevices", id]) => {
            let reply = desk.world.delete_managed_device(&caller, now, id);
            desk.done(reply)
        }
        ("POST", ["deviceManagement", "managedDevices", id, "wipe"]) => {
            let code = desk.body["macOsUnlockCode"].as_str().map(str::to_owned);
            let reply = desk.world.wipe_device(&caller, now, id, code.as_deref());
            desk.done(reply)
        }
        ("POST", ["deviceManagement", "managedDevices", id, "retire"]) => {
            let reply = desk.world.retire_device(&caller, now, id);
            desk.done(reply)
        }
        ("GET", ["deviceManagement", "windowsAutopilotDeviceIdentities"]) => {
            let reply = desk.world.list_autopilot(&caller, now);
            desk.list(
                reply,
                "windowsAutopilotDeviceIdentity",
                "deviceManagement/windowsAutopilotDeviceIdentities",
                |all| {
                    let shown = all.iter().map(|row| (row.id.clone(), show::autopilot(row)));
                    shown.filter(|(_, one)| desk.query.keeps(one, &[])).collect()
                },
            )
        }
        ("GET", ["deviceManagement", "windowsAutopilotDeviceIdentities", id]) => {
            let reply = desk.world.get_autopilot(&caller, now, id);
            desk.entity(
                reply,
                "windowsAutopilotDeviceIdentity",
                "deviceManagement/windowsAutopilotDeviceIdentities",
                |row| show::autopilot(&row),
            )
        }
        (
            "POST",
            [
                "deviceManagement",
                "windowsAutopilotDeviceIdentities",
                id,
                "unassignUserFromDevice" | "microsoft.graph.unassignUserFromDevice",
            ],
        ) => {
            let reply = desk.world.unassign_autopilot(&caller, now, id);
            desk.done(reply)
        }
        ("DELETE", ["deviceManagement", "windowsAutopilotDeviceIdentities", id]) => {
            let reply = desk.world.delete_autopilot(&caller, now, id);
            desk.reply(reply, |()| Ok((200, None)))
        }
        ("GET", ["devices"]) => {
            let reply = desk.world.list_devices(&caller, now);
            desk.list(reply, "device", "devices", |all| {
                let shown = all.iter().map(|device| (device.id.clone(), show::device(device)));
                shown.filter(|(_, one)| desk.query.keeps(one, &[])).collect()
            })
        }
        ("GET", ["devices", id]) => {
            let id = object_id(desk, &caller, id);
            let reply = desk.world.get_device(&caller, now, &id);
            desk.entity(reply, "device", "devices", |device| show::device(&device))
        }
        ("GET", ["devices", id, which @ ("registeredUsers" | "registeredOwners")]) => {
            let id = object_id(desk, &caller, id);
            let reply = desk.world.get_device(&caller, now, &id);
            desk.list(reply, "directoryObject", "directoryObjects", |device| {
                let all: Vec<&str> = if *which == "registeredOwners" {
                    device.owners().collect()
                } else {
                    device.users().collect()
                };
                all.into_iter()
                    .map(|who| {
                        (
                            who.to_owned(),
                            json!({"@odata.type": "#microsoft.graph.user", "id": who}),
                        )
                    })
                    .collect()
            })
        }
        ("PATCH", ["devices", id]) => {
            // Nothing is passed over in silence: what is not served here is refused with the rest.
            let alone = desk.body.as_object().is_some_and(|body| body.len() == 1);
            let Some(enabled) = desk.body["accountEnabled"].as_bool().filter(|_| alone) else {
                return Some(Ok(
                    desk.refuse(&VendorError::bad_request("Only accountEnabled can be changed here."))
                ));
            };
            let id = object_id(desk, &caller, id);
            let reply = desk.world.set_device_enabled(&caller, now, &id, enabled);
            desk.done(reply)
        }
        ("DELETE", ["devices", id]) => {
            let id = object_id(desk, &caller, id);
            let reply = desk.world.delete_device(&caller, now, &id);
            desk.done(reply)
        }
        ("GET", ["directory", "deviceLocalCredentials", id] | ["deviceLocalCredentials", id]) => {
            let reply = desk
                .world
                .read_laps(&caller, now, id, desk.query.selects("credentials"));
            desk.entity(reply, "deviceLocalCredentialInfo", "directory/deviceLocalCredentials", |found| {
                let passwords = found.password.iter().map(|password| {
                    json!({"accountName": "Administrator", "accountSid": "S-1-5-21-1-1-1-500", "backupDateTime": iso(found.backup_ms), "passwordBase64": STANDARD.encode(password)})
                });
                json!({
                    "credentials": passwords.collect::<Vec<Value>>(),
                    "deviceName": found.device_name,
                    "id": found.device_id,
                    "lastBackupDateTime": iso(found.backup_ms),
                    "refreshDateTime": iso(found.backup_ms),
                })
            })
        }
        ("GET", ["informationProtection", "bitlocker", "recoveryKeys"]) => {
            let device = desk.query.equals("deviceId");
            let reply = desk.world.list_bitlocker(&caller, now, device.as_deref());
            if desk.query.selects("key") {
                return Some(Ok(desk.refuse(&VendorError::new(
                    400,
                    "badRequest",
                    "The key can be read one at a time only.",
                ))));
            }
            desk.list(
                reply,
                "bitlockerRecoveryKey",
                "informationProtection/bitlocker/recoveryKeys",
                |all| {
                    all.iter()
                        .map(|(device, key)| (key.id.clone(), bitlocker(device, key)))
                        .collect()
                },
            )
        }
        ("GET", ["informationProtection", "bitlocker", "recoveryKeys", id]) => {
            let reply = desk.world.read_bitlocker(&caller, now, id, desk.query.selects("key"));
            desk.entity(
                reply,
                "bitlockerRecoveryKey",
                "informationProtection/bitlocker/recoveryKeys",
                |(device, key)| bitlocker(&device, &key),
            )
        }
        _ => return None,
    })
}

fn managed(desk: &mut Desk, caller: &Caller, reply: Reply<Vec<ManagedDevice>>) -> Outcome {
    desk.list(reply, "managedDevice", "deviceManagement/managedDevices", |all| {
        let shown = all.iter().map(|device| {
            (
                device.id.clone(),
                show::managed_device(device, user_of(desk, caller, device)),
            )
        });
        shown.filter(|(_, one)| desk.query.keeps(one, &[])).collect()
    })
}

fn user_of<'a>(desk: &'a Desk, caller: &Caller, device: &ManagedDevice) -> Option<&'a Person> {
    desk.world
        .tenant(&caller.tenant)
        .and_then(|tenant| tenant.person(&device.user))
}

/// `/devices/{id}` goes by object id, `/devices(deviceId='…')` by device id; both come as one segment.
fn object_id(desk: &Desk, caller: &Caller, id: &str) -> String {
    let by_device_id = desk
        .world
        .tenant(&caller.tenant)
        .and_then(|tenant| {
            tenant
                .devices
                .iter()
                .find(|(_, device)| id.contains('\'') && id.contains(&device.device_id))
        })
        .map(|(object, _)| object.to_owned());
    by_device_id.unwrap_or_else(|| id.to_owned())
}

fn bitlocker(device: &str, key: &BitlockerKey) -> Value {
    json!({"createdDateTime": iso(key.created_ms), "deviceId": device, "id": key.id, "key": key.key, "volumeType": "operatingSystemVolume"})
}
