//! `device.discover`: one task for each device and need. A device of which the
//! vendor does not say whose it is counts as personal: it is never wiped.
//!
//! One that the directory lists with him and that somebody else uses is not
//! his: whoever joins colleagues' devices is registered on every one of them.
//! It is recorded, and nothing is done to it.
//!
//! All of them are kept as an artifact, as they were before anything is done.

use super::{EARLIER_LIFE_MS, as_params, earlier_life_ms};
use crate::job::{Job, Seen, Things, count, ids};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Device, Devices, Owner};
use offboard_domain::catalogue::premises::HYBRID_JOINED;
use offboard_domain::estate::{self, Holding, Serial};
use offboard_domain::{Facts, FaultClass, Find, Kind, ObjectId};
use serde::Serialize;
use std::collections::BTreeSet;

pub(crate) struct DiscoverDevices;

/// One device in the snapshot.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    device: &'a Device,
    somebody_elses: bool,
}

#[async_trait]
impl Procedure for DiscoverDevices {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let id = job.account()?;
        let devices = job.devices()?;
        let found = devices.of(&mut job.call, &id).await?;
        let wipe = job.params.bool("wipe_company_devices") == Some(true);
        let mut finds = Vec::new();
        let mut others = BTreeSet::new();
        for device in &found {
            let Some(object) = device.at.target().cloned() else {
                continue;
            };
            if !device.is_managed && devices.used_by_another(&mut job.call, &device.at, &id).await? {
                others.insert(object);
                continue;
            }
            let enrolled = device.owner == Owner::Company && is_enrolled(job, devices, device).await?;
            let mut needed = needs(device, &object, wipe, enrolled);
            for find in &mut needed {
                let ordered = match find.kind {
                    Kind::WipeDevice => "wipe",
                    Kind::RetireDevice => "retire",
                    _ => continue,
                };
                let managed = devices.managed(&mut job.call, &device.at).await?;
                if let Some(until) = managed.and_then(|m| earlier_life_ms(&m, ordered)) {
                    find.params.set(EARLIER_LIFE_MS, until);
                }
            }
            finds.extend(needed);
        }
        let his = |d: &&Device| d.at.target().is_none_or(|object| !others.contains(object));
        let listed: Vec<Listed<'_>> = found
            .iter()
            .map(|device| Listed {
                device,
                somebody_elses: !his(&device),
            })
            .collect();
        let owned = |owner: Owner| count(found.iter().filter(his).filter(|d| d.owner == owner).count());
        let mut facts = Facts::new()
            .with(
                "device_ids",
                ids(found.iter().filter(his).filter_map(|d| d.at.target())),
            )
            .with("somebody_elses_ids", ids(&others))
            .with("company_count", owned(Owner::Company))
            .with("personal_count", owned(Owner::Personal))
            .with("unknown_count", owned(Owner::Unknown));
        for device in found.iter().filter(his) {
            if let Some(id) = device.at.target() {
                let serial = device.at.serial.as_deref().and_then(Serial::parse);
                estate::note(&mut facts, id, serial.as_ref(), held(device));
                if let Some(device_id) = &device.at.device_id {
                    estate::note_device_id(&mut facts, id, device_id);
                }
            }
        }
        // What is disabled in their domain, where one is connected.
        let joined = found.iter().filter(his).filter_map(in_a_domain);
        facts.set(HYBRID_JOINED, joined.map(str::to_owned).collect::<Vec<_>>());
        job.keep("snapshot.devices", &listed).await?;
        Ok(Seen {
            facts,
            things: Things::Nothing,
            finds,
        })
    }
}

/// The id of a company device's computer in a domain, if it is joined to one as well.
fn in_a_domain(device: &Device) -> Option<&str> {
    let joined = device.hybrid_joined && device.owner == Owner::Company;
    device.at.device_id.as_deref().filter(|_| joined)
}

/// Whether the enrolment has a record of it. Which of several is its own is no
/// question for the discovery: whoever takes the assignment off asks it.
async fn is_enrolled(job: &mut Job<'_>, devices: &dyn Devices, device: &Device) -> Answer<bool> {
    match devices.autopilot(&mut job.call, &device.at).await {
        Ok(record) => Ok(record.is_some()),
        Err(fault) if fault.class == FaultClass::Blocked => Ok(true),
        Err(fault) => Err(fault),
    }
}

/// What the record means, for what another system makes of the same device.
fn held(device: &Device) -> Holding {
    match device.owner {
        _ if !device.is_managed => Holding::Listed,
        Owner::Company => Holding::ManagedCompany,
        Owner::Personal => Holding::ManagedPersonal,
        Owner::Unknown => Holding::ManagedUnknown,
    }
}

fn needs(device: &Device, object: &ObjectId, wipe: bool, enrolled: bool) -> Vec<Find> {
    let params = as_params(&device.at).with("owner", device.owner.word());
    let company = device.owner == Owner::Company;
    let wanted = [
        (Kind::EscrowRecoveryKeys, true),
        (Kind::RetireDevice, !company && device.is_managed),
        (Kind::ConfirmDeviceReturned, company),
        (Kind::WipeDevice, company && device.is_managed && wipe),
        (Kind::UnassignAutopilot, enrolled),
        (Kind::DisableDeviceObject, device.at.object.is_some()),
    ];
    wanted
        .into_iter()
        .filter(|(_, needed)| *needed)
        .map(|(kind, _)| Find {
            kind,
            object: object.clone(),
            params: params.clone(),
        })
        .collect()
}
