//! `identity.invalidate_backup_codes`, `identity.turn_off_second_factor`: of an
//! open account alone. One that is suspended is not asked for its codes.

use super::{change, facts, look, observe_account};
use crate::job::{Applied, Job, Seen, Things};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, MemberChange, MemberHolds};

pub(crate) struct InvalidateBackupCodes;

#[async_trait]
impl Procedure for InvalidateBackupCodes {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let Some(member) = look(job).await? else {
            return Ok(Seen::facts(facts(None)));
        };
        let mut facts = facts(Some(&member));
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
        change(job, seen, &MemberChange::TurnOffSecondFactor).await?;
        Ok(Applied::All)
    }
}
