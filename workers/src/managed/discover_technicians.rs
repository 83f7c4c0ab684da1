//! `device.discover_technicians`: the leaver's own logins in the remote management, which
//! reach every client's computers. A person is asked to disable each.

use super::discover::named;
use crate::job::{Job, Seen, Things, ids};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::Answer;
use offboard_domain::catalogue::managed::for_a_person;
use offboard_domain::{Facts, Find, Kind, ObjectId};

pub(crate) struct DiscoverTechnicians;

#[async_trait]
impl Procedure for DiscoverTechnicians {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let who = named(job)?;
        let technicians = job.fleet()?.logins(&mut job.call, &who).await?;
        let mut facts = Facts::new();
        if let Some(technicians) = &technicians {
            facts.set("technician_ids", ids(technicians));
        }
        Ok(Seen {
            facts,
            things: Things::Nothing,
            finds: logins(job, technicians.as_deref()),
        })
    }
}

/// A person is asked to disable each login of his; where they may not be read, to
/// see whether he has one.
pub(super) fn logins(job: &Job<'_>, technicians: Option<&[ObjectId]>) -> Vec<Find> {
    let unknown = [ObjectId::from("technicians")];
    let params = Facts::new().with("known", technicians.is_some());
    let ask = |id: &ObjectId| Find {
        kind: Kind::EndTechnician,
        object: for_a_person(&job.target.system, id),
        params: params.clone(),
    };
    technicians.unwrap_or(&unknown).iter().map(ask).collect()
}
