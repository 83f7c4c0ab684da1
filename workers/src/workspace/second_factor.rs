//! `identity.invalidate_backup_codes`, `identity.turn_off_second_factor`: of an
//! open account alone. One that is suspended is not asked for its codes.
//!
//! What is off already is refused in the same words as what cannot be turned off.
//! So a refusal is first read after for a while: the reading may be of before.

use super::{change, known, look, observe_account, writable};
use crate::job::{Applied, Job, Seen, Things};
use crate::procedure::{Procedure, Wait, When};
use async_trait::async_trait;
use offboard_connectors::{Answer, MemberChange, MemberHolds};
use offboard_domain::FaultClass;
use offboard_domain::time::MINUTE_MS;

/// How long a reading may be of before, after a refusal.
const SETTLES_WITHIN_MS: i64 = 10 * MINUTE_MS;
const LOOK_AGAIN_MS: i64 = MINUTE_MS;
const REFUSED_MS: &str = "refused_ms";

pub(crate) struct InvalidateBackupCodes;

#[async_trait]
impl Procedure for InvalidateBackupCodes {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let Some(member) = look(job).await? else {
            return Ok(Seen::facts(known(job, None)));
        };
        let mut facts = known(job, Some(&member));
        if !member.suspended {
            let codes = job
                .workspace()?
                .held(&mut job.call, &member, MemberHolds::BackupCodes)
                .await?;
            facts.set("backup_codes_left", !codes.is_empty());
        }
        Ok(Seen::with(facts, Things::Member(Box::new(member))))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        change(job, seen, &MemberChange::InvalidateBackupCodes).await?;
        Ok(Applied::All)
    }
}

pub(crate) struct TurnOff;

#[async_trait]
impl Procedure for TurnOff {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        observe_account(job, |member, facts| {
            facts.set("second_factor", member.second_factor);
            facts.set("second_factor_enforced", member.second_factor_enforced);
        })
        .await
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        writable(job, seen)?;
        let now_ms = job.now_ms();
        match change(job, seen, &MemberChange::TurnOffSecondFactor).await {
            Err(fault) if fault.class == FaultClass::Blocked => {
                let since_ms = job.remembered.int(REFUSED_MS).unwrap_or(now_ms);
                if now_ms - since_ms >= SETTLES_WITHIN_MS {
                    return Err(fault);
                }
                job.remembered.set(REFUSED_MS, since_ms);
            }
            done => done?,
        }
        Ok(Applied::All)
    }

    fn wait(&self, job: &Job<'_>, _seen: &Seen, when: When) -> Option<Wait> {
        let since_ms = job.remembered.int(REFUSED_MS)?;
        let now = job.call.now();
        let settling = matches!(when, When::Before | When::After) && now.0 - since_ms < SETTLES_WITHIN_MS;
        settling.then(|| Wait {
            until: now.plus(LOOK_AGAIN_MS),
            why: "refused, as it is for what is off already; it is read until the reading has caught up".to_owned(),
            remember: job.remembered.clone(),
        })
    }
}
