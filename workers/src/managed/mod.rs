//! Devices in a remote management (RMM). Each is found once, by its owner or by
//! a person's word; from then on its id decides, and each reading looks whether
//! the same device still stands behind it and whether somebody else has it now.

pub(crate) mod clear_owner;
pub(crate) mod decommission;
pub(crate) mod discover;
pub(crate) mod discover_confirmed;
pub(crate) mod maintain;
pub(crate) mod mark;
pub(crate) mod run_script;

use crate::job::Job;
use offboard_connectors::{Answer, Endpoint, EndpointClass, FleetOffer, Mark};
use offboard_domain::catalogue::managed::{ELSEWHERE, MARK, OWNERS, UID, for_a_person};
use offboard_domain::estate::{Elsewhere, Holding};
use offboard_domain::time::HOUR_MS;
use offboard_domain::{Facts, FaultClass, Find, Kind, ObjectId, Timestamp};

/// How long an acknowledged order may stay invisible.
const VISIBLE_WITHIN_MS: i64 = HOUR_MS;

/// When our order was acknowledged, in milliseconds since 1970.
const ORDERED_MS: &str = "ordered_ms";

/// The parameter with the device's serial number.
const SERIAL: &str = "serial";

/// The parameter that says whether company devices are wiped.
const WIPE: &str = "wipe_company_devices";

/// Whose a device is in the management's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    His,
    Nobodys,
    Anothers,
}

impl Whose {
    fn word(self) -> &'static str {
        match self {
            Self::His => "his",
            Self::Nobodys => "none",
            Self::Anothers => "another",
        }
    }
}

fn device(job: &Job<'_>) -> Answer<ObjectId> {
    job.target
        .object
        .clone()
        .ok_or_else(|| job.fault(FaultClass::Rejected, "the assignment names no device; report this"))
}

/// The device of the task, with whose it is; none when it is gone.
async fn look(job: &mut Job<'_>) -> Answer<Option<(Endpoint, Whose)>> {
    let id = device(job)?;
    let Some(endpoint) = job.fleet()?.endpoint(&mut job.call, &id).await? else {
        return Ok(None);
    };
    if let (Some(was), Some(is)) = (job.params.text(UID), &endpoint.uid)
        && was != is
    {
        return Err(job.fault(
            FaultClass::Blocked,
            "the id that was found belongs to another device now; it is not touched. See in the remote management what became of his, then waive this",
        ));
    }
    let his = job.params.list(OWNERS).unwrap_or_default();
    let whose = match &endpoint.owner_uid {
        None => Whose::Nobodys,
        Some(owner) if his.contains(owner) => Whose::His,
        Some(_) => Whose::Anothers,
    };
    Ok(Some((endpoint, whose)))
}

/// Whether our order was acknowledged so short a while ago that it need not show yet.
fn ordered_lately(job: &Job<'_>) -> bool {
    let ordered = job.remembered.int(ORDERED_MS).map(Timestamp);
    ordered.is_some_and(|at| job.call.now().since(at) < VISIBLE_WITHIN_MS)
}

/// Refuses what somebody else has by now: between the reading and this weeks may
/// lie, in which a person approved.
async fn still_his(job: &mut Job<'_>) -> Answer<()> {
    match look(job).await? {
        Some((_, Whose::His | Whose::Nobodys)) => Ok(()),
        Some((_, Whose::Anothers)) => Err(job.fault(
            FaultClass::Blocked,
            "the device is assigned to somebody else by now; nothing was ordered, decide by hand what becomes of it",
        )),
        None => Err(job.fault(
            FaultClass::Absent,
            "the remote management no longer has the device, so nothing can be ordered of it",
        )),
    }
}

/// What is to be done about one device that is his:
///
/// | the others say | wiping is wanted | then |
/// |---|---|---|
/// | the company's, and can wipe it | yes | marked, silenced, owner cleared, decommissioned after the wipe |
/// | nothing, or nothing certain | yes | the same, and a person decides; our script if there is one |
/// | not his own | no | marked for the next person, owner cleared |
/// | his own | | owner cleared, and a person decides |
///
/// A server, a switch or what is not known is left to a person too.
fn needs(job: &Job<'_>, offer: FleetOffer, one: &Endpoint, elsewhere: Elsewhere, owners: &[String]) -> Vec<Find> {
    let wipe = job.params.bool(WIPE) == Some(true);
    let ours = one.class != EndpointClass::Other && elsewhere != Elsewhere::Known(Holding::ManagedPersonal);
    let by_hand = wipe && !elsewhere.can_wipe();
    let mark = if wipe { Mark::PendingWipe } else { Mark::Repurpose };
    let mut params = Facts::new()
        .with(OWNERS, owners.to_vec())
        .with(MARK, mark.word())
        .with(ELSEWHERE, elsewhere.word());
    if let Some(uid) = &one.uid {
        params.set(UID, uid.as_str());
    }
    if let Some(serial) = &one.serial {
        params.set(SERIAL, serial.as_str());
    }
    let wanted = [
        (Kind::MarkManaged, ours && offer.marks),
        (Kind::MaintainManaged, ours && wipe),
        (Kind::DecideDevice, !ours || by_hand),
        (
            Kind::RunManagedScript,
            ours && by_hand && offer.script && one.class == EndpointClass::Workstation,
        ),
        (Kind::ClearManagedOwner, one.owner_uid.is_some()),
        (Kind::Decommission, ours && wipe),
    ];
    wanted
        .into_iter()
        .filter(|(_, needed)| *needed)
        .map(|(kind, _)| Find {
            kind,
            object: match kind {
                Kind::DecideDevice => for_a_person(&job.target.system, &one.id),
                _ => one.id.clone(),
            },
            params: params.clone(),
        })
        .collect()
}
