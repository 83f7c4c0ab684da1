//! Devices: the management's record, the directory's object and the
//! enrolment's record of one device.

pub(crate) mod disable_object;
pub(crate) mod discover;
pub(crate) mod escrow_recovery_keys;
pub(crate) mod retire;
pub(crate) mod unassign_autopilot;
pub(crate) mod wipe;

use crate::job::Job;
use offboard_connectors::{Answer, DeviceRef, ManagedDevice};
use offboard_domain::{Facts, FaultClass, ObjectId};

/// How the device of the task is known, from its parameters.
fn device(job: &Job<'_>) -> Answer<DeviceRef> {
    let text = |name: &str| job.params.text(name).map(str::to_owned);
    let device = DeviceRef {
        managed: text("managed_id").map(ObjectId),
        object: text("object_id").map(ObjectId),
        device_id: text("device_id"),
        serial: text("serial"),
    };
    if device.target().is_none() {
        return Err(job.fault(
            FaultClass::Rejected,
            "the task says neither the management's nor the directory's id of the device; report this",
        ));
    }
    Ok(device)
}

/// The same as parameters.
fn as_params(device: &DeviceRef) -> Facts {
    let mut params = Facts::new();
    let parts = [
        ("managed_id", device.managed.as_ref().map(|id| id.0.clone())),
        ("object_id", device.object.as_ref().map(|id| id.0.clone())),
        ("device_id", device.device_id.clone()),
        ("serial", device.serial.clone()),
    ];
    for (name, value) in parts {
        if let Some(value) = value {
            params.set(name, value);
        }
    }
    params
}

/// Refuses what belongs to somebody else by now.
fn still_his(job: &Job<'_>, managed: &ManagedDevice) -> Answer<()> {
    let subject = job.account()?;
    match &managed.user_id {
        Some(user) if *user != subject => {
            let detail =
                "the device belongs to another account now; nothing was ordered, decide by hand what becomes of it";
            Err(job.fault(FaultClass::Blocked, detail))
        }
        _ => Ok(()),
    }
}

/// An action's state, when it was ordered and is not over.
fn under_way(state: &str) -> bool {
    matches!(state, "pending" | "active" | "none")
}
