//! `mailbox.remove_mobile_partnerships`: the account is wiped off each phone
//! first, because a phone whose partnership is gone can no longer be told.
//!
//! A phone that is switched off does not answer. It is waited for a day; then
//! its partnership goes too (it can no longer read mail in any case), and the
//! observation keeps that its wipe was not acknowledged. That is remembered in a
//! slice of its own before any of them goes: a worker that dies leaves nothing
//! behind, and of a phone that is gone nobody can read it.

use super::observe_attached;
use crate::job::{Applied, Items, Job, Seen, count};
use crate::procedure::{Procedure, Wait, When};
use async_trait::async_trait;
use offboard_connectors::{Answer, Attached, Attachment, MailboxChange, MobileDevice, MobileWipe};
use offboard_domain::Timestamp;
use offboard_domain::time::{DAY_MS, MINUTE_MS};

/// How long a phone that was told to wipe the account is waited for.
const PHONE_PATIENCE_MS: i64 = DAY_MS;
/// How often it is looked at.
const PHONE_LOOK_AGAIN_MS: i64 = 10 * MINUTE_MS;

const ORDERED_MS: &str = "wipe_ordered_ms";
const UNANSWERED: &str = "unanswered_wipe_count";
/// The phones that are waited for no longer.
const GIVEN_UP: &str = "unanswered_phone_ids";

pub(crate) struct RemoveMobilePartnerships;

#[async_trait]
impl Procedure for RemoveMobilePartnerships {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let mut seen = observe_attached(job, Attachment::MobileDevices, "mobile_device_ids").await?;
        let given_up = given_up(job);
        if !given_up.is_empty() {
            seen.facts.set(UNANSWERED, count(given_up.len()));
        }
        Ok(seen)
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        let id = job.account()?;
        let mailboxes = job.mailboxes()?;
        if patience_over(job) && give_up(job, seen) {
            return Ok(Applied::Part);
        }
        let given_up = given_up(job);
        let mut items = Items::default();
        for attached in seen.attached() {
            let Attached::MobileDevice(phone) = attached else {
                continue;
            };
            if !items.go_on(job) {
                break;
            }
            let done = if must_be_told(phone) {
                let told = mailboxes
                    .set(
                        job.writing()?,
                        &id,
                        &MailboxChange::WipeAccountOn { device: phone.clone() },
                    )
                    .await;
                // Whom nobody has told is not waited for.
                if told.is_ok() && job.remembered.int(ORDERED_MS).is_none() {
                    let now_ms = job.now_ms();
                    job.remembered.set(ORDERED_MS, now_ms);
                }
                told
            } else if phone.wipe == MobileWipe::Pending && !given_up.contains(&phone.id) {
                continue;
            } else {
                mailboxes.detach(job.writing()?, &id, attached).await
            };
            items.note(done)?;
        }
        items.end()
    }

    fn wait(&self, job: &Job<'_>, seen: &Seen, when: When) -> Option<Wait> {
        let phones = || seen.attached().iter().filter_map(phone);
        let pending = phones().filter(|p| p.wipe == MobileWipe::Pending).count();
        let to_do = phones().any(|p| p.wipe != MobileWipe::Pending);
        // Nothing else is to be done, and it was not ordered too long ago.
        let worth_it = matches!(when, When::Before | When::After) && !to_do && !patience_over(job);
        if pending == 0 || !worth_it {
            return None;
        }
        let mut remember = job.remembered.clone();
        if remember.int(ORDERED_MS).is_none() {
            remember.set(ORDERED_MS, job.now_ms());
        }
        Some(Wait {
            until: job.call.now().plus(PHONE_LOOK_AGAIN_MS),
            why: format!("{} phone(s) have not answered the wipe of the account", count(pending)),
            remember,
        })
    }
}

fn phone(attached: &Attached) -> Option<&MobileDevice> {
    match attached {
        Attached::MobileDevice(phone) => Some(phone),
        _ => None,
    }
}

/// The phones that are waited for no longer, as they were remembered.
fn given_up(job: &Job<'_>) -> Vec<String> {
    job.remembered.list(GIVEN_UP).unwrap_or_default().to_vec()
}

/// Gives up the phones that have not answered, and says whether any is new.
fn give_up(job: &mut Job<'_>, seen: &Seen) -> bool {
    let mut all = given_up(job);
    let before = all.len();
    for phone in seen.attached().iter().filter_map(phone) {
        if phone.wipe == MobileWipe::Pending && !all.contains(&phone.id) {
            all.push(phone.id.clone());
        }
    }
    let more = all.len() > before;
    if more {
        job.remembered.set(GIVEN_UP, all);
    }
    more
}

fn must_be_told(phone: &MobileDevice) -> bool {
    phone.can_wipe_account && phone.wipe == MobileWipe::None
}

fn patience_over(job: &Job<'_>) -> bool {
    let ordered = job.remembered.int(ORDERED_MS).map(Timestamp);
    ordered.is_some_and(|at| job.call.now().since(at) >= PHONE_PATIENCE_MS)
}
