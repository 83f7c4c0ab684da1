//! Accounts, credentials, roles and groups.

pub(crate) mod await_synchronisation;
pub(crate) mod disable_sign_in;
pub(crate) mod discover_apps;
pub(crate) mod hand_over_groups;
pub(crate) mod password;
pub(crate) mod remove_app_roles;
pub(crate) mod remove_auth_methods;
pub(crate) mod remove_directory_roles;
pub(crate) mod remove_group_memberships;
pub(crate) mod remove_group_ownerships;
pub(crate) mod remove_oauth_grants;
pub(crate) mod reset_password;
pub(crate) mod resolve;
pub(crate) mod revoke_sessions;
pub(crate) mod snapshot_access;
pub(crate) mod snapshot_directory;

use crate::job::{Applied, Items, Job, Seen, Things, count, ids};
use offboard_connectors::{Account, Answer, ELIGIBLE_ROLES, Held, Holding, OwnedSort};
use offboard_domain::catalogue::{MARKED, ROLES_GONE_MS};
use offboard_domain::time::MINUTE_MS;
use offboard_domain::{Facts, Fault, FaultClass, ObjectId};
use std::collections::BTreeSet;

/// Reads one sort of holding; its ids become the named fact.
async fn observe_held(job: &mut Job<'_>, what: Holding, fact: &str) -> Answer<Seen> {
    let id = job.account()?;
    let held = job.directory()?.holdings(&mut job.call, &id, what).await?;
    let facts = Facts::new().with(fact, ids(held.iter().map(Held::id)));
    Ok(Seen::with(facts, Things::Held(held)))
}

/// The groups that give him applications.
async fn groups_that_give_applications(job: &mut Job<'_>) -> Answer<BTreeSet<ObjectId>> {
    let id = job.account()?;
    let directory = job.directory()?;
    let given = directory.holdings(&mut job.call, &id, Holding::GroupAppRoles).await?;
    let group = |held: Held| match held {
        Held::AppRole { group, .. } => group,
        _ => None,
    };
    Ok(given.into_iter().filter_map(group).collect())
}

/// Reads every role, those that the account is only eligible for too. The fact
/// `eligible_roles` tells a tenant without a licence for those, where nobody can
/// have one, from one where they were read. Places in groups that he may only activate
/// (PIM for Groups) are read by nobody, and the facts say so.
async fn observe_roles(job: &mut Job<'_>) -> Answer<(Vec<Held>, Facts)> {
    let id = job.account()?;
    let roles = job.directory()?.holdings(&mut job.call, &id, Holding::Roles).await?;
    let unlicensed = job.call.take_unlicensed().contains(ELIGIBLE_ROLES);
    let facts = Facts::new()
        .with("role_ids", ids(roles.iter().map(Held::id)))
        .with("eligible_roles", if unlicensed { "not licensed" } else { "read" })
        .with(
            "eligible_group_places",
            if unlicensed { "not licensed" } else { "not read" },
        );
    Ok((roles, facts))
}

/// For how long it is believed that roles are gone which were read as gone: he may
/// have been given another since.
const GONE_BELIEVED_MS: i64 = 15 * MINUTE_MS;

/// The code of the fault that nothing is done because he administers the tenant and
/// others who leave are not told of him yet.
pub(crate) const UNMARKED: &str = "administrator_not_marked";

/// The same where the roles may be there, whatever became of taking them away: a person
/// may go without that. What is read is what the attempt has seen, too.
async fn refuse_last_administrator_unless_gone(job: &mut Job<'_>) -> Answer<()> {
    let gone_ms = job.params.int(ROLES_GONE_MS);
    if gone_ms.is_some_and(|at| job.now_ms() - at < GONE_BELIEVED_MS) {
        return Ok(());
    }
    let (roles, facts) = observe_roles(job).await?;
    if let Some(seen) = &mut job.otherwise {
        seen.facts.0.extend(facts.0);
    }
    refuse_last_administrator(job, &roles)
}

/// Refuses whoever has become the last one to administer the tenant since he was
/// resolved, and for a moment whoever administers it and is said not to be marked as
/// leaving: of two who were both given the role since, each would count on the other.
fn refuse_last_administrator(job: &Job<'_>, roles: &[Held]) -> Answer<()> {
    let last = |held: &Held| {
        matches!(
            held,
            Held::Role {
                last_administrator: true,
                ..
            }
        )
    };
    let administers = |held: &Held| {
        matches!(
            held,
            Held::Role {
                administrator: true,
                eligible: false,
                ..
            }
        )
    };
    if !roles.iter().any(last) {
        // A dispatcher of an older version marks him and does not say so.
        let unmarked = job.params.bool(MARKED) == Some(false);
        if !unmarked || !roles.iter().any(administers) {
            return Ok(());
        }
        let detail = "he administers the tenant, which nobody knew when he was recorded; those who leave with him are told first";
        return Err(Fault {
            code: Some(UNMARKED.to_owned()),
            ..job.fault(FaultClass::Transient, detail)
        });
    }
    let detail = if job.call.leaving().is_empty() {
        "no other enabled account administers the tenant; give somebody else the role, then retry"
    } else {
        "no other enabled account administers the tenant but those of others who leave, too; give the role to somebody who stays, then retry (who is called off counts again an hour later)"
    };
    Err(job.fault(FaultClass::Blocked, detail))
}

/// Whether it is a group that nobody else looks after.
fn is_sole_owner(held: &Held) -> bool {
    matches!(
        held,
        Held::Ownership {
            sort: OwnedSort::Group,
            other_owners: 0,
            ..
        }
    )
}

/// Whether it is a group to which roles may be given.
fn may_hold_roles(held: &Held) -> bool {
    held.group().is_some_and(|group| group.role_assignable)
}

/// The successor, to own a group: one who would count as its owner.
async fn heir_of_groups(job: &mut Job<'_>) -> Answer<ObjectId> {
    let id = job.needed_successor().await?;
    if job.call.leaving().contains(&id) {
        return Err(job.no_successor("the successor leaves, too"));
    }
    if job.directory()?.account(&mut job.call, &id).await?.guest {
        return Err(job.no_successor("the successor is a guest, who looks after no group"));
    }
    Ok(id)
}

/// How many things are asked for together: what fits one batch of the vendors
/// that have batches.
const TOGETHER: usize = 20;

/// Takes these things away.
async fn remove_held(job: &mut Job<'_>, held: &[Held]) -> Answer<Applied> {
    let mut items = Items::default();
    remove_also(job, held, &mut items).await?;
    items.end()
}

/// Takes these away, too, as far as the time goes.
async fn remove_also(job: &mut Job<'_>, held: &[Held], items: &mut Items) -> Answer<()> {
    let id = job.account()?;
    let directory = job.directory()?;
    for some in held.chunks(TOGETHER) {
        if !items.go_on(job) {
            break;
        }
        for done in directory.remove_all(job.writing()?, &id, some).await {
            items.note(done)?;
        }
    }
    Ok(())
}

/// What every reading of an account says.
fn account_facts(account: &Account) -> Facts {
    Facts::new()
        .with("enabled", account.enabled)
        .with("synced", account.synced)
        .with("guest", account.guest)
        // Never set is before every time.
        .with("sessions_valid_from_ms", account.sessions_valid_from_ms.unwrap_or(0))
        .with("password_changed_ms", account.password_changed_ms.unwrap_or(0))
}

async fn observe_account(job: &mut Job<'_>) -> Answer<Seen> {
    let id = job.account()?;
    let account = job.directory()?.account(&mut job.call, &id).await?;
    Ok(Seen::facts(account_facts(&account)))
}

fn counted(held: &[Held]) -> i64 {
    count(held.len())
}
