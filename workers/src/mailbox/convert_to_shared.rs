//! `mailbox.convert_to_shared`: counts only when the mail system and a second
//! interface agree, in two readings at least a minute apart. The conversion
//! takes the vendor minutes, so it is ordered once and then waited for.
//!
//! Gate: a mailbox that is larger than a shared one may be needs a person. One
//! that is held or archived needs a licence to stay so; it may be converted
//! when the account has such a licence of its own, which the licence area then
//! keeps.

use super::{SHARED, change, mailbox};
use crate::job::{Applied, Job, Seen};
use crate::license::keep::keeper;
use crate::procedure::{Procedure, Wait, When};
use async_trait::async_trait;
use offboard_connectors::{Answer, MailboxChange};
use offboard_domain::time::MINUTE_MS;
use offboard_domain::{Facts, Timestamp};

/// How far apart the two agreeing readings must be; the catalogue's predicate
/// has the same.
const READS_APART_MS: i64 = MINUTE_MS;
/// How often an ordered conversion is looked at.
const LOOK_AGAIN_MS: i64 = MINUTE_MS;
/// After this it is ordered again: it usually takes the vendor a few minutes.
const ORDER_AGAIN_MS: i64 = 30 * MINUTE_MS;

const ORDERED_MS: &str = "ordered_ms";
const AGREED_SINCE_MS: &str = "agreed_since_ms";

pub(crate) struct ConvertToShared;

#[async_trait]
impl Procedure for ConvertToShared {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let (id, found, mut facts) = mailbox(job).await?;
        let Some(mailbox) = found else {
            return Ok(Seen::facts(facts));
        };
        let mailboxes = job.mailboxes()?;
        let purpose = mailboxes.settings(&mut job.call, &id).await?.and_then(|s| s.purpose);
        let usage = mailboxes.usage(&mut job.call, &id).await?;
        let too_large = job
            .params
            .int("shared_max_bytes")
            .is_some_and(|max| usage.size_bytes > max);
        let held = mailbox.holds.any() || mailbox.archive;
        let kept_by_licence = held && keeper(job, &id).await?.is_some();
        facts.set("recipient_type", mailbox.recipient_type.as_str());
        facts.set("size_bytes", usage.size_bytes);
        facts.set("on_hold", mailbox.holds.any());
        facts.set("archive", mailbox.archive);
        facts.set("too_large_or_held", too_large || (held && !kept_by_licence));
        if let Some(purpose) = purpose {
            facts.set("user_purpose", purpose);
        }
        let agreed_for_ms = if agree(&facts) {
            let since = job.remembered.int(AGREED_SINCE_MS).unwrap_or_else(|| job.now_ms());
            job.now_ms().saturating_sub(since).max(0)
        } else {
            // They agree anew, should they do so again.
            job.remembered.0.remove(AGREED_SINCE_MS);
            0
        };
        facts.set("agreed_for_ms", agreed_for_ms);
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        let applied = change(job, MailboxChange::ConvertToShared).await?;
        let ordered_ms = job.now_ms();
        job.remembered.set(ORDERED_MS, ordered_ms);
        Ok(applied)
    }

    fn wait(&self, job: &Job<'_>, seen: &Seen, when: When) -> Option<Wait> {
        let now = job.call.now();
        let ordered = match when {
            When::After => Some(now),
            When::Before => job.remembered.int(ORDERED_MS).map(Timestamp),
            When::ObserveOnly | When::Closing => None,
        };
        let mut remember = Facts::new();
        if let Some(at) = ordered {
            remember.set(ORDERED_MS, at.0);
        }
        if agree(&seen.facts) {
            let since = Timestamp(job.remembered.int(AGREED_SINCE_MS).unwrap_or(now.0));
            return Some(Wait {
                until: since.plus(READS_APART_MS).max(now),
                why: "both interfaces say that the mailbox is shared; they are read once more a minute later"
                    .to_owned(),
                remember: remember.with(AGREED_SINCE_MS, since.0),
            });
        }
        let at = ordered.filter(|at| now.since(*at) < ORDER_AGAIN_MS)?;
        let why = format!("the conversion was ordered at {at}, and not every interface shows it");
        Some(Wait {
            until: now.plus(LOOK_AGAIN_MS),
            why,
            remember,
        })
    }
}

fn agree(facts: &Facts) -> bool {
    facts.text("recipient_type") == Some(SHARED) && facts.text("user_purpose") == Some("shared")
}
