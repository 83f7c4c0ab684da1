//! `identity.snapshot_access`: account, roles and sign-in methods as they were
//! before the first write.

use super::{account_facts, observe_roles};
use crate::job::{Job, Seen, ids};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Account, Answer, Held, Holding};
use serde::Serialize;

pub(crate) struct SnapshotAccess;

#[derive(Serialize)]
struct Access<'a> {
    account: &'a Account,
    roles: &'a [Held],
    /// Whether roles that he is only eligible for were read, or cannot be there.
    eligible_roles: Option<&'a str>,
    methods: &'a [Held],
}

#[async_trait]
impl Procedure for SnapshotAccess {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let id = job.account()?;
        let directory = job.directory()?;
        let account = directory.account(&mut job.call, &id).await?;
        let (roles, role_facts) = observe_roles(job).await?;
        let methods = directory.holdings(&mut job.call, &id, Holding::Methods).await?;
        job.keep(
            "snapshot.access",
            &Access {
                account: &account,
                roles: &roles,
                eligible_roles: role_facts.text("eligible_roles"),
                methods: &methods,
            },
        )
        .await?;
        let mut facts = account_facts(&account).with("method_ids", ids(methods.iter().map(Held::id)));
        facts.0.extend(role_facts.0);
        Ok(Seen::facts(facts))
    }
}
