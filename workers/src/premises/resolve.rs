//! `identity.resolve_on_premises`: the account that the cloud copies, by the
//! security identifier that the copy carries; without one, by his names. What
//! is there is kept before anything is written, and what is to be done there is
//! found.

use super::facts;
use crate::identity::resolve::{is_protected, named};
use crate::job::{Job, Seen, count, ids};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Account, Answer, Computer, Footing, Found, Held, Holding};
use offboard_domain::catalogue::premises::{
    FOUND_ELSEWHERE, HOLD_WANTED, LICENCES_UNKEPT, SEARCHED_BY_KEY, SECURITY_ID,
};
use offboard_domain::departure::PersonRef;
use offboard_domain::{Facts, FaultClass, Find, Kind, ObjectId};
use serde::Serialize;

pub(crate) struct ResolveOnPremises;

#[derive(Serialize)]
struct Whole<'a> {
    account: &'a Account,
    footing: &'a Footing,
    memberships: &'a [Held],
    computers: &'a [Computer],
}

#[async_trait]
impl Procedure for ResolveOnPremises {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let directory = job.directory()?;
        let person = match job.params.text(SECURITY_ID) {
            Some(id) => PersonRef {
                object_id: Some(id.into()),
                ..PersonRef::default()
            },
            None => named(job.params, ""),
        };
        if !person.can_be_found() {
            let detail = "nothing is known by which the person could be looked up on the premises";
            return Err(job.fault(FaultClass::Rejected, detail));
        }
        let account = match directory.find(&mut job.call, &person).await? {
            Found::One(account) => *account,
            Found::Nobody => {
                let facts = Facts::new()
                    .with("found", false)
                    .with("ambiguous", false)
                    .with(SEARCHED_BY_KEY, person.employee_id.is_some())
                    .with(FOUND_ELSEWHERE, job.params.bool(FOUND_ELSEWHERE) == Some(true));
                return Ok(Seen::facts(facts));
            }
            Found::Ambiguous { ids } => {
                let facts = Facts::new()
                    .with("found", true)
                    .with("ambiguous", true)
                    .with("match_count", count(ids.len()));
                return Ok(Seen::facts(facts));
            }
        };
        let footing = job.premises()?.footing(&mut job.call, &account.id).await?;
        let memberships = directory
            .holdings(&mut job.call, &account.id, Holding::Memberships)
            .await?;
        let mut computers = job.premises()?.computers(&mut job.call, &account.id).await?;
        let whole = Whole {
            account: &account,
            footing: &footing,
            memberships: &memberships,
            computers: &computers,
        };
        job.keep("snapshot.on_premises", &whole).await?;
        let protected = if is_protected(job.params, &account) {
            "listed"
        } else {
            footing.protected.map_or("no", |p| p.word())
        };
        // What serves others is not his, whoever looks after it.
        computers.retain(|c| !c.server);
        let mut seen = facts(&account);
        seen.set("found", true);
        seen.set("ambiguous", false);
        seen.set("object_id", account.id.0.as_str());
        seen.set("security_id", footing.security_id.as_str());
        seen.set("protected", protected);
        seen.set("group_ids", ids(memberships.iter().map(Held::id)));
        seen.set("computer_ids", ids(computers.iter().map(|c| &c.id)));
        let mut seen = Seen::facts(seen);
        seen.finds = finds(job, &account.id, &computers);
        Ok(seen)
    }
}

/// What is to be done there, of what this directory offers.
fn finds(job: &Job<'_>, account: &ObjectId, computers: &[Computer]) -> Vec<Find> {
    let offered = job.connector.claims();
    let of = |kind: Kind, object: &ObjectId| {
        let mut params = Facts::new();
        if kind == Kind::HideOnPremises && job.params.bool("has_mailbox") == Some(true) {
            params.set("has_mailbox", true);
        }
        if kind == Kind::RemoveGroupsOnPremises {
            for name in [LICENCES_UNKEPT, HOLD_WANTED] {
                if job.params.bool(name) == Some(true) {
                    params.set(name, true);
                }
            }
        }
        Find {
            kind,
            object: object.clone(),
            params,
        }
    };
    let all = Kind::ResolveOnPremises
        .spec()
        .finds
        .iter()
        .filter(|k| offered.contains(k));
    all.flat_map(|kind| match kind {
        Kind::DisableComputer => computers.iter().map(|c| of(*kind, &c.id)).collect(),
        _ => vec![of(*kind, account)],
    })
    .collect()
}
