//! Devices in a remote management (RMM). Each is found once, by its owner or by
//! a person's word; from then on its id decides, and each reading looks whether
//! the same device still stands behind it and whether somebody else has it now.

pub(crate) mod clear_owner;
pub(crate) mod decommission;
pub(crate) mod discover;
pub(crate) mod discover_confirmed;
pub(crate) mod discover_software;
pub(crate) mod discover_technicians;
pub(crate) mod maintain;
pub(crate) mod mark;
pub(crate) mod run_script;

use crate::job::Job;
use offboard_connectors::{Answer, Endpoint, EndpointClass, FleetOffer, Mark};
use offboard_domain::catalogue::managed::{
    ASSIGNED, CLEARED, ELSEWHERE, FOUND_MS, MARK, OWNERS, SHOWS_WITHIN_MS, UID, for_a_person,
};
use offboard_domain::estate::{Elsewhere, Holding};
use offboard_domain::{Facts, FaultClass, Find, Kind, ObjectId, Timestamp};

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
    match (job.params.text(UID), &endpoint.uid) {
        (Some(was), Some(is)) if was != is => {
            return Err(job.fault(
                FaultClass::Blocked,
                "the id that was found belongs to another device now; it is not touched. See in the remote management what became of his, then waive this",
            ));
        }
        (Some(_), None) => {
            return Err(job.fault(
                FaultClass::Blocked,
                "the record does not show any more by what the device would be known again, so it may be another one; it is not touched. See in the remote management that it is his, then retry, or do this by hand and waive it",
            ));
        }
        (Some(_) | None, _) => {}
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
    ordered.is_some_and(|at| job.call.now().since(at) < SHOWS_WITHIN_MS)
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

/// Whether he was its owner when it was found, and somebody else than we has taken
/// him off since.
fn no_longer_his(job: &Job<'_>, whose: Whose) -> bool {
    let is = |name: &str, otherwise: bool| job.params.bool(name).unwrap_or(otherwise);
    whose == Whose::Nobodys && is(ASSIGNED, true) && !is(CLEARED, false)
}

/// The same before what cannot be undone: the device must be known again for sure,
/// and still be his as far as anybody has said.
async fn surely_his(job: &mut Job<'_>) -> Answer<()> {
    if job.params.text(UID).is_none() {
        return Err(job.fault(
            FaultClass::Blocked,
            "the remote management showed nothing by which the device would surely be known again, and this cannot be undone; see that it is his, do this by hand there, then waive it",
        ));
    }
    if let Some((_, whose)) = look(job).await?
        && no_longer_his(job, whose)
    {
        return Err(job.fault(
            FaultClass::Blocked,
            "somebody has taken him off as the device's owner just now; nothing was ordered, decide by hand what becomes of it",
        ));
    }
    still_his(job).await
}

/// What is to be done about one device that is his:
///
/// | the others say | wiping is wanted | then |
/// |---|---|---|
/// | the company's, and can wipe it | yes | marked, silenced, owner cleared, decommissioned after the wipe |
/// | nothing, or nothing certain | yes | the same, and a person confirms its return and decides; our script if there is one |
/// | not his own | no | marked for the next person, owner cleared |
/// | the same, and not that it is the company's | no | a person confirms its return as well |
/// | his own | | owner cleared, and a person decides |
///
/// A server, a switch or what is not known is left to a person too.
fn needs(job: &Job<'_>, offer: FleetOffer, one: &Endpoint, elsewhere: Elsewhere, owners: &[String]) -> Vec<Find> {
    let wipe = job.params.bool(WIPE) == Some(true);
    let ours = one.class != EndpointClass::Other && elsewhere != Elsewhere::Known(Holding::ManagedPersonal);
    let by_hand = wipe && !elsewhere.can_wipe();
    let mark = if wipe { Mark::PendingWipe } else { Mark::Repurpose };
    // The device management asks for the return of what it has as the company's.
    let unasked = ours && elsewhere != Elsewhere::Known(Holding::ManagedCompany);
    let mut params = Facts::new()
        .with(OWNERS, owners.to_vec())
        .with(MARK, mark.word())
        .with(ASSIGNED, one.owner_uid.is_some())
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
        (Kind::ConfirmDeviceReturned, unasked),
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
                Kind::DecideDevice | Kind::ConfirmDeviceReturned => for_a_person(&job.target.system, &one.id),
                _ => one.id.clone(),
            },
            params: match kind {
                // Nothing of it was ordered before now.
                Kind::RunManagedScript => params.clone().with(FOUND_MS, job.now_ms()),
                _ => params.clone(),
            },
        })
        .collect()
}
