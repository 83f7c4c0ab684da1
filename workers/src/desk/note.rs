//! `desk.note_…`, *once* each: how many tasks of a stage ended how.

use super::{ORDERED_MS, conclusive, counted, not_listed_yet, ticket};
use crate::job::{Applied, Job, Seen};
use crate::procedure::{Procedure, Wait, When};
use async_trait::async_trait;
use offboard_connectors::Answer;
use offboard_domain::catalogue::desk::note_marker;
use offboard_domain::{FaultClass, ObjectId};

pub(crate) struct Note;

/// How the stage's tasks ended, in words; none: it has none.
fn told(job: &Job<'_>) -> Option<String> {
    let stage = job.kind.spec().after_stage?.title();
    counted(job).map(|ended| format!("{stage} is settled: {ended}."))
}

#[async_trait]
impl Procedure for Note {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let (id, mut facts) = ticket(job).await?;
        facts.set("nothing_to_tell", told(job).is_none());
        let noted = match id {
            Some(id) => {
                let marker = note_marker(job.case, job.kind);
                job.desk()?.noted(&mut job.call, &id, &marker).await?
            }
            None => false,
        };
        facts.set("noted", noted);
        facts.set("conclusive", conclusive(job));
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        let (Some(told), Some(id)) = (told(job), job.params.text(super::TICKET).map(ObjectId::from)) else {
            return Err(job.fault(FaultClass::Rejected, "there is nothing to note; report this"));
        };
        let case = job.case;
        let marker = note_marker(case, job.kind);
        let text = format!("{told}\nMore: `offboard show {case}`\n{marker}");
        let ordered_ms = job.now_ms();
        job.desk()?.note(job.writing()?, &id, &text).await?;
        job.remembered.set(ORDERED_MS, ordered_ms);
        Ok(Applied::All)
    }

    fn wait(&self, job: &Job<'_>, _seen: &Seen, when: When) -> Option<Wait> {
        not_listed_yet(job, when)
    }
}
