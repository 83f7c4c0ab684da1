//! `device.discover`: one task for each device and need. A device of which the
//! vendor does not say whose it is counts as personal: it is never wiped.

use super::as_params;
use crate::job::{Job, Seen, Things, count, ids};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Device, Owner};
use offboard_domain::{Facts, Find, Kind, ObjectId};

pub(crate) struct DiscoverDevices;

#[async_trait]
impl Procedure for DiscoverDevices {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let id = job.account()?;
        let devices = job.devices()?;
        let found = devices.of(&mut job.call, &id).await?;
        let wipe = job.params.bool("wipe_company_devices") == Some(true);
        let mut finds = Vec::new();
        for device in &found {
            let Some(object) = device.at.target().cloned() else {
                continue;
            };
            let enrolled =
                device.owner == Owner::Company && devices.autopilot(&mut job.call, &device.at).await?.is_some();
            finds.extend(needs(device, &object, wipe, enrolled));
        }
        let owned = |owner: Owner| count(found.iter().filter(|d| d.owner == owner).count());
        let facts = Facts::new()
            .with("device_ids", ids(found.iter().filter_map(|d| d.at.target())))
            .with("company_count", owned(Owner::Company))
            .with("personal_count", owned(Owner::Personal))
            .with("unknown_count", owned(Owner::Unknown));
        Ok(Seen {
            facts,
            things: Things::Nothing,
            finds,
        })
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
