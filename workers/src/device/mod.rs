//! Devices: the management's record, the directory's object and the
//! enrolment's record of one device.

pub(crate) mod disable_object;
pub(crate) mod discover;
pub(crate) mod escrow_recovery_keys;
pub(crate) mod retire;
pub(crate) mod unassign_autopilot;
pub(crate) mod wipe;

use crate::job::Job;
use offboard_connectors::{ActionState, Answer, DeviceRef, ManagedDevice};
use offboard_domain::time::HOUR_MS;
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

/// Until when what was ordered for the device belongs to an earlier life of it, in
/// milliseconds since 1970: when it was found, that was over already, and the
/// management still managed it. None: nothing was.
const EARLIER_LIFE_MS: &str = "earlier_life_ms";

/// How long after an order a device may still say how it went.
const LAST_WORD_MS: i64 = HOUR_MS;

/// The last order of that name that was over when the device was found, and that
/// the device has outlived: what was wiped or retired by it answers no more.
fn earlier_life_ms(managed: &ManagedDevice, name: &str) -> Option<i64> {
    let over = managed
        .actions
        .iter()
        .filter(|a| a.name == name && !under_way(&a.state));
    over.filter(|a| is_outlived(managed, a) != Some(false))
        .map(|a| dated(a).unwrap_or(0))
        .max()
}

/// Whether an order belongs to an earlier life of the device: it says nothing
/// about this one. So does one without a date, where there was one; and, until
/// ours is sent, one that somebody gave since the device was found and that it has
/// outlived.
fn is_of_an_earlier_life(job: &Job<'_>, managed: &ManagedDevice, action: &ActionState, ours_is_sent: bool) -> bool {
    let until = job.params.int(EARLIER_LIFE_MS);
    let before = until.is_some_and(|until| dated(action).is_none_or(|at| at <= until));
    before || !ours_is_sent && !under_way(&action.state) && is_outlived(managed, action) == Some(true)
}

/// Whether the device has answered after an order that is over: what was wiped or
/// retired by it answers no more. None: nobody says when it was, or when it answered.
fn is_outlived(managed: &ManagedDevice, action: &ActionState) -> Option<bool> {
    let over = action.updated_ms.max(action.started_ms)?;
    Some(managed.last_seen_ms? > over.saturating_add(LAST_WORD_MS))
}

fn dated(action: &ActionState) -> Option<i64> {
    action.started_ms.or(action.updated_ms)
}

/// Whether the management gives the device to another account by now.
fn somebody_elses(job: &Job<'_>, managed: &ManagedDevice) -> Answer<bool> {
    let subject = job.account()?;
    Ok(managed.user_id.as_ref().is_some_and(|user| *user != subject))
}

/// The management's record, read anew before something is ordered: what belongs to
/// somebody else by now is refused, and so is what belongs to nobody, unless an order of
/// ours may have brought that about.
async fn still_his(job: &mut Job<'_>, device: &DeviceRef, ours_is_sent: bool) -> Answer<ManagedDevice> {
    let Some(managed) = job.devices()?.managed(&mut job.call, device).await? else {
        return Err(job.fault(
            FaultClass::Absent,
            "the management has no record of the device, so nothing can be ordered",
        ));
    };
    let detail = match &managed.user_id {
        // It may be meant for the next person, or for everybody.
        None if !ours_is_sent => {
            "the device belongs to nobody any more; nothing was ordered, decide by hand what becomes of it"
        }
        Some(_) if somebody_elses(job, &managed)? => {
            "the device belongs to another account now; nothing was ordered, decide by hand what becomes of it"
        }
        None | Some(_) => return Ok(managed),
    };
    Err(job.fault(FaultClass::Blocked, detail))
}

/// An action's state, when it was ordered and is not over.
fn under_way(state: &str) -> bool {
    matches!(state, "pending" | "active" | "none")
}
