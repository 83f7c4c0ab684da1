//! `identity.snapshot_directory`: groups, ownerships, licences, consents,
//! application roles and manager as they were before the first write to them;
//! and how many units of each licence the tenant's pool had in use, so that it
//! can be seen to fall.

use super::counted;
use crate::job::{Job, Seen, ids};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Account, Answer, Group, Held, HeldLicence, Holding, PoolLine};
use offboard_domain::ObjectId;
use offboard_domain::catalogue::LICENSED_BY_RULE;
use offboard_domain::unplanned::Way;
use serde::Serialize;

pub(crate) struct SnapshotDirectory;

#[derive(Serialize)]
struct Holdings<'a> {
    account: &'a Account,
    memberships: &'a [Held],
    ownerships: &'a [Held],
    grants: &'a [Held],
    app_roles: &'a [Held],
    group_app_roles: &'a [Held],
    licences: &'a [HeldLicence],
    pool: &'a [PoolLine],
}

/// The application that a consent or a role opens.
fn application(held: &Held) -> Option<&ObjectId> {
    match held {
        Held::Grant { client, .. } => Some(client),
        Held::AppRole { application, .. } => Some(application),
        Held::Role { .. } | Held::Method { .. } | Held::Membership { .. } | Held::Ownership { .. } => None,
    }
}

#[async_trait]
impl Procedure for SnapshotDirectory {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let id = job.account()?;
        let directory = job.directory()?;
        let account = directory.account(&mut job.call, &id).await?;
        let memberships = directory.holdings(&mut job.call, &id, Holding::Memberships).await?;
        let ownerships = directory.holdings(&mut job.call, &id, Holding::Ownerships).await?;
        let grants = directory.holdings(&mut job.call, &id, Holding::Grants).await?;
        let app_roles = directory.holdings(&mut job.call, &id, Holding::AppRoles).await?;
        let group_app_roles = directory.holdings(&mut job.call, &id, Holding::GroupAppRoles).await?;
        let (licences, pool) = match job.connector.licenses() {
            Some(licenses) => {
                let held = licenses.held(&mut job.call, &id).await?;
                let mut pool = licenses.pool(&mut job.call).await?;
                pool.retain(|line| held.iter().any(|l| l.sku_id == line.sku_id));
                (held, pool)
            }
            None => (Vec::new(), Vec::new()),
        };
        let whole = Holdings {
            account: &account,
            memberships: &memberships,
            ownerships: &ownerships,
            grants: &grants,
            app_roles: &app_roles,
            group_app_roles: &group_app_roles,
            licences: &licences,
            pool: &pool,
        };
        job.keep("snapshot.directory", &whole).await?;
        let bearing: Vec<&Group> = memberships
            .iter()
            .filter_map(Held::group)
            .filter(|g| g.bears_licences())
            .collect();
        let mut facts = super::Facts::new()
            .with("group_count", counted(&memberships))
            .with("owned_count", counted(&ownerships))
            .with("grant_count", counted(&grants))
            .with("app_role_count", counted(&app_roles))
            .with("group_ids", ids(memberships.iter().map(Held::id)))
            .with("owned_ids", ids(ownerships.iter().map(Held::id)))
            .with("licence_group_ids", ids(bearing.iter().map(|g| &g.id)))
            .with(
                LICENSED_BY_RULE,
                ids(bearing.iter().filter(|g| g.dynamic).map(|g| &g.id)),
            )
            .with("sku_ids", ids(licences.iter().map(|l| &l.sku_id)));
        for (way, held) in [
            (Way::Consented, &grants),
            (Way::Assigned, &app_roles),
            (Way::ByGroup, &group_app_roles),
        ] {
            facts.set(way.fact(), ids(held.iter().filter_map(application)));
        }
        for line in &pool {
            facts.set(&format!("consumed_units/{}", line.sku_id), line.consumed);
        }
        if let Some(manager) = &account.manager_id {
            facts.set("manager_id", manager.0.as_str());
        }
        Ok(Seen::facts(facts))
    }
}
