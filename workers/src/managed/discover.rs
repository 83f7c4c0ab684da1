//! `device.discover_managed`: what is assigned to him is his; what was met by a
//! name alone is for a person to confirm, and so is the login of a technician. Each is compared by its serial number
//! with what the other systems know, and what only one of them knows is said.

use super::discover_technicians::logins;
use super::{SERIAL, WIPE, needs};
use crate::job::{Job, Seen, Things, ids};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Candidate, Endpoint, Whose};
use offboard_domain::catalogue::apps::{NAMES, NAMES_MISSING};
use offboard_domain::catalogue::managed::{ELSEWHERE, OWNERS, SHOWN_NAME, UID, for_a_person};
use offboard_domain::estate::{self, Elsewhere, Holding, Sighting};
use offboard_domain::{Facts, FaultClass, Find, Kind};

pub(crate) struct DiscoverManaged;

#[async_trait]
impl Procedure for DiscoverManaged {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let who = named(job)?;
        let fleet = job.fleet()?;
        let found = fleet.of(&mut job.call, &who).await?;
        let system = job.target.system.clone();
        let sighting = |one: &Endpoint| Sighting {
            system: system.clone(),
            id: one.id.clone(),
            serial: one.serial.clone(),
            device_id: None,
            held: Holding::Remote,
        };
        let candidates = found.candidates.iter().map(|c| &c.endpoint);
        let mine: Vec<Sighting> = found.assigned.iter().chain(candidates.clone()).map(sighting).collect();
        let compared = estate::compare(&mine, &estate::heard(job.params));
        let elsewhere = |one: &Endpoint| compared.of.get(&one.id).copied().unwrap_or(Elsewhere::NoSerial);
        let only: Vec<String> = ids(compared
            .only_elsewhere
            .iter()
            .map(|(system, id)| for_a_person(system, id)));
        let logins = logins(job, found.technicians.as_deref());
        let mut facts = Facts::new()
            .with("found", !mine.is_empty() || !logins.is_empty())
            .with("devices_found", !mine.is_empty())
            .with("all_names_known", job.params.bool(NAMES_MISSING) != Some(true))
            .with("device_ids", ids(found.assigned.iter().map(|one| &one.id)))
            .with("candidate_ids", ids(candidates.map(|one| &one.id)))
            .with("somebody_elses_ids", ids(&found.somebody_elses))
            .with("only_elsewhere_ids", only);
        if let Some(technicians) = &found.technicians {
            facts.set("technician_ids", ids(technicians));
        }
        let mut finds = logins;
        for one in &found.assigned {
            describe(&mut facts, one, elsewhere(one));
            finds.extend(needs(job, fleet.offers(), one, elsewhere(one), &found.owner_uids));
        }
        for candidate in &found.candidates {
            let one = &candidate.endpoint;
            describe(&mut facts, one, elsewhere(one));
            facts.set(&format!("met_as/{}", one.id), candidate.met_as.word());
            finds.extend(to_confirm(job, candidate, elsewhere(one), &found.owner_uids));
        }
        job.keep(&format!("snapshot.managed.{system}"), &found).await?;
        Ok(Seen {
            facts,
            things: Things::Nothing,
            finds,
        })
    }
}

/// By what he is looked for in the remote management.
pub(super) fn named(job: &Job<'_>) -> Answer<Whose> {
    let who = Whose {
        names: job.params.list(NAMES).unwrap_or_default().to_vec(),
        shown_name: job.params.text(SHOWN_NAME).map(str::to_owned),
    };
    if who.names.is_empty() {
        let detail = "nothing is known by which the person could be looked up in the remote management";
        return Err(job.fault(FaultClass::Rejected, detail));
    }
    Ok(who)
}

/// A device among the facts.
pub(super) fn describe(facts: &mut Facts, one: &Endpoint, elsewhere: Elsewhere) {
    estate::note(facts, &one.id, one.serial.as_ref(), Holding::Remote);
    facts.set(&format!("class/{}", one.id), one.class.word());
    facts.set(&format!("elsewhere/{}", one.id), elsewhere.word());
}

/// A person is asked, and what he confirms is looked at anew.
fn to_confirm(job: &Job<'_>, candidate: &Candidate, elsewhere: Elsewhere, owners: &[String]) -> [Find; 2] {
    let one = &candidate.endpoint;
    let mut params = Facts::new()
        .with("met_as", candidate.met_as.word())
        .with(OWNERS, owners.to_vec())
        .with(ELSEWHERE, elsewhere.word())
        .with(WIPE, job.params.bool(WIPE) == Some(true));
    if let Some(uid) = &one.uid {
        params.set(UID, uid.as_str());
    }
    if let Some(serial) = &one.serial {
        params.set(SERIAL, serial.as_str());
    }
    [
        Find {
            kind: Kind::ConfirmManagedDevice,
            object: for_a_person(&job.target.system, &one.id),
            params: params.clone(),
        },
        Find {
            kind: Kind::DiscoverConfirmed,
            object: one.id.clone(),
            params,
        },
    ]
}
