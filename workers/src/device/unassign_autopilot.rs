//! `device.unassign_autopilot`: his assignment goes, and nobody else's. By the time
//! that this is done, the device may be meant for the next person.

use super::device;
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, DeviceAction, DeviceRef, Found};
use offboard_domain::departure::PersonRef;
use offboard_domain::{Facts, FaultClass};

pub(crate) struct UnassignAutopilot;

#[async_trait]
impl Procedure for UnassignAutopilot {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let device = device(job)?;
        let record = job.devices()?.autopilot(&mut job.call, &device).await?;
        let exists = record.is_some();
        let name = record.and_then(|r| r.assigned_to);
        let his = match &name {
            Some(name) => is_his(job, name).await?,
            None => false,
        };
        let facts = Facts::new()
            .with("autopilot_record", exists)
            .with("autopilot_assigned", his)
            .with("autopilot_assigned_to_another", name.is_some() && !his);
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        let device = device(job)?;
        let Some(name) = assigned_to(job, &device).await? else {
            return Ok(Applied::All);
        };
        // The directory takes its time to say whose the name is. Who has been given the
        // device meanwhile keeps it.
        if !is_his(job, &name).await? || assigned_to(job, &device).await?.as_ref() != Some(&name) {
            return Ok(Applied::All);
        }
        job.devices()?
            .act(job.writing()?, &device, DeviceAction::UnassignAutopilot)
            .await?;
        Ok(Applied::All)
    }
}

/// The sign-in name that the enrolment's record bears, if there is a record and it bears one.
async fn assigned_to(job: &mut Job<'_>, device: &DeviceRef) -> Answer<Option<String>> {
    let record = job.devices()?.autopilot(&mut job.call, device).await?;
    Ok(record.and_then(|record| record.assigned_to))
}

/// Whether a sign-in name is the leaver's. The record bears the one that he had when
/// it was assigned: where his account is called otherwise now, whoever bears the name
/// decides, and then whose address it is, as a former name stays one.
async fn is_his(job: &mut Job<'_>, name: &str) -> Answer<bool> {
    let id = job.account()?;
    let directory = job.directory()?;
    match directory.account(&mut job.call, &id).await {
        Ok(account) if account.user_principal_name.to_lowercase() == name.to_lowercase() => return Ok(true),
        Ok(_) => {}
        // Whose account is gone may have borne it; who bears it now decides.
        Err(fault) if fault.class == FaultClass::Absent => {}
        Err(fault) => return Err(fault),
    }
    let by_name = PersonRef {
        user_principal_name: Some(name.to_owned()),
        ..PersonRef::default()
    };
    let by_address = PersonRef {
        mail: Some(name.to_owned()),
        ..PersonRef::default()
    };
    for person in [by_name, by_address] {
        match directory.find(&mut job.call, &person).await? {
            Found::One(found) => return Ok(found.id == id),
            Found::Ambiguous { .. } => return Ok(false),
            Found::Nobody => {}
        }
    }
    let detail = "the Autopilot record is assigned to a name that no account bears; if it was his, take it off in Intune, then retry, else waive this";
    Err(job.fault(FaultClass::Blocked, detail))
}
