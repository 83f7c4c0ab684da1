//! What an account holds, taken one by one until none is listed: tokens,
//! application passwords, groups, licences.

use super::{known, look, writable};
use crate::job::{Applied, Items, Job, Seen, Things, ids};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, MemberHolds};
use offboard_domain::Facts;
use offboard_domain::catalogue::workspace::MET_GRANTS;

/// One sort of things, and the fact that lists them.
pub(crate) struct Take {
    sort: MemberHolds,
    fact: &'static str,
}

/// `identity.revoke_tokens_in_workspace`.
pub(crate) const REVOKE_TOKENS: Take = Take {
    sort: MemberHolds::Grants,
    fact: "grant_ids",
};

/// `identity.remove_app_passwords`.
pub(crate) const REMOVE_APP_PASSWORDS: Take = Take {
    sort: MemberHolds::AppPasswords,
    fact: "app_password_ids",
};

/// `identity.remove_groups_in_workspace`.
pub(crate) const REMOVE_GROUPS: Take = Take {
    sort: MemberHolds::Groups,
    fact: "group_ids",
};

/// `license.release_in_workspace`.
pub(crate) const RELEASE_LICENCES: Take = Take {
    sort: MemberHolds::Licences,
    fact: "licence_ids",
};

#[async_trait]
impl Procedure for Take {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let Some(member) = look(job).await? else {
            return Ok(Seen::facts(known(job, None)));
        };
        let held = job.workspace()?.held(&mut job.call, &member, self.sort).await?;
        let mut facts: Facts = known(job, Some(&member));
        // Of an attempt before this one, too, and of what was done before it was to be
        // done once more: they are listed no more.
        if self.sort == MemberHolds::Grants {
            let before = job.remembered.list(MET_GRANTS).unwrap_or_default();
            let told = job.params.list(MET_GRANTS).unwrap_or_default();
            let met = ids(before.iter().chain(told).chain(&held));
            job.remembered.set(MET_GRANTS, met.clone());
            facts.set(MET_GRANTS, met);
        }
        facts.set(self.fact, held);
        Ok(Seen::with(facts, Things::Member(Box::new(member))))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        let member = writable(job, seen)?;
        let workspace = job.workspace()?;
        let mut items = Items::default();
        for one in seen.facts.list(self.fact).unwrap_or_default() {
            if !items.go_on(job) {
                break;
            }
            let done = workspace.take(job.writing()?, member, self.sort, one).await;
            items.note(done)?;
        }
        items.end()
    }
}
