//! `device.discover_confirmed`: what a person has confirmed is his, if nobody
//! else has it by now.

use super::discover::describe;
use super::{SERIAL, Whose, look, needs};
use crate::job::{Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::Answer;
use offboard_domain::Facts;
use offboard_domain::catalogue::managed::{CONFIRMED, ELSEWHERE, OWNERS};
use offboard_domain::estate::{Elsewhere, Serial};

pub(crate) struct DiscoverConfirmed;

#[async_trait]
impl Procedure for DiscoverConfirmed {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let confirmed = job.params.bool(CONFIRMED) == Some(true);
        let mut facts = Facts::new().with("confirmed", confirmed);
        if !confirmed {
            return Ok(Seen::facts(facts));
        }
        let Some((mut one, whose)) = look(job).await? else {
            return Ok(Seen::facts(facts.with("object_exists", false)));
        };
        facts.set("object_exists", true);
        facts.set("somebody_elses", whose == Whose::Anothers);
        if whose == Whose::Anothers {
            return Ok(Seen::facts(facts));
        }
        // Compared with the others when it was met, beside all of his.
        let word = job.params.text(ELSEWHERE).unwrap_or_default();
        let elsewhere = Elsewhere::named(word).unwrap_or(Elsewhere::NoSerial);
        one.serial = one.serial.or_else(|| job.params.text(SERIAL).and_then(Serial::parse));
        let owners = job.params.list(OWNERS).unwrap_or_default();
        describe(&mut facts, &one, elsewhere);
        let mut seen = Seen::facts(facts);
        seen.finds = needs(job, job.fleet()?.offers(), &one, elsewhere, owners);
        Ok(seen)
    }
}
