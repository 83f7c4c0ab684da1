//! `device.discover_computers`: each of the ids by which the cloud knows a company
//! device that is joined to a domain as well is looked for here, and a computer that has
//! it is to be disabled. What another directory has is that one's to find.

use crate::job::{Job, Seen, Things, ids};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Computer};
use offboard_domain::catalogue::premises::{FOR_THE_CLOUD, SOUGHT};
use offboard_domain::estate::{self, Holding};
use offboard_domain::{Facts, Find, Kind, ObjectId};

pub(crate) struct DiscoverComputers;

#[async_trait]
impl Procedure for DiscoverComputers {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let premises = job.premises()?;
        let sought = job.params.list(SOUGHT).unwrap_or_default().to_vec();
        let mut found: Vec<Computer> = Vec::new();
        let mut only_elsewhere = Vec::new();
        for id in &sought {
            match premises
                .find_computer(&mut job.call, &ObjectId::from(id.as_str()))
                .await?
            {
                Some(computer) => found.push(computer),
                None => only_elsewhere.push(id.clone()),
            }
        }
        job.keep(&format!("snapshot.computers.{}", job.target.system), &found)
            .await?;
        // What serves others is not his, whoever registered it.
        let of = |server: bool| found.iter().filter(move |c| c.server == server).map(|c| &c.id);
        let mut facts = Facts::new()
            .with(SOUGHT, sought)
            .with("computer_ids", ids(of(false)))
            .with("server_ids", ids(of(true)))
            .with("only_elsewhere_ids", only_elsewhere);
        for computer in &found {
            estate::note(&mut facts, &computer.id, None, Holding::Listed);
            estate::note_device_id(&mut facts, &computer.id, &computer.id.0);
        }
        let offered = job.connector.claims().contains(&Kind::DisableComputer);
        let finds = of(false).filter(|_| offered).map(|id| Find {
            kind: Kind::DisableComputer,
            object: id.clone(),
            params: Facts::new().with(FOR_THE_CLOUD, true),
        });
        Ok(Seen {
            facts,
            things: Things::Nothing,
            finds: finds.collect(),
        })
    }
}
