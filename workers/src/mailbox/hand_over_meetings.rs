//! `mailbox.hand_over_meetings`: the successor organises a copy of each; the
//! old ones stay until they are cancelled by a task of its own. Of a series it is what
//! is to come, by its rule: what was moved or cancelled of it by itself is not carried
//! over, and the record says of how many that may be so.

use super::mailbox;
use crate::job::{Applied, Items, Job, Seen, Things, count};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Attached, Attachment, MailboxChange};

pub(crate) struct HandOverMeetings;

#[async_trait]
impl Procedure for HandOverMeetings {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let (id, found, facts) = mailbox(job).await?;
        if found.is_none() {
            return Ok(Seen::facts(facts));
        }
        let what = match job.successor() {
            Some(successor) => Attachment::OrphanMeetings { successor },
            None => Attachment::Meetings,
        };
        let orphans = job.mailboxes()?.attached(&mut job.call, &id, &what).await?;
        let text = if orphans.is_empty() {
            "none".to_owned()
        } else {
            orphans.len().to_string()
        };
        let series = orphans
            .iter()
            .filter(|o| matches!(o, Attached::Meeting(m) if m.series))
            .count();
        let facts = facts
            .with("orphan_meetings", text)
            .with("series_without_exceptions_count", count(series))
            .with("orphan_meeting_count", count(orphans.len()));
        Ok(Seen::with(facts, Things::Attached(orphans)))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        let id = job.account()?;
        let to = job.needed_successor().await?;
        let mailboxes = job.mailboxes()?;
        let mut items = Items::default();
        for attached in seen.attached() {
            let Attached::Meeting(meeting) = attached else { continue };
            if !items.go_on(job) {
                break;
            }
            let change = MailboxChange::HandOverMeeting {
                meeting: meeting.clone(),
                to: to.clone(),
            };
            items.note(mailboxes.set(job.writing()?, &id, &change).await)?;
        }
        items.end()
    }
}
