//! `identity.snapshot_access`: account, roles and sign-in methods as they were
//! before the first write.

use super::account_facts;
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
    methods: &'a [Held],
}

#[async_trait]
impl Procedure for SnapshotAccess {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let id = job.account()?;
        let directory = job.directory()?;
        let account = directory.account(&mut job.call, &id).await?;
        let roles = directory.holdings(&mut job.call, &id, Holding::Roles).await?;
        let methods = directory.holdings(&mut job.call, &id, Holding::Methods).await?;
        job.keep(
            "snapshot.access",
            &Access {
                account: &account,
                roles: &roles,
                methods: &methods,
            },
        )
        .await?;
        let facts = account_facts(&account)
            .with("role_ids", ids(roles.iter().map(Held::id)))
            .with("method_ids", ids(methods.iter().map(Held::id)));
        Ok(Seen::facts(facts))
    }
}
