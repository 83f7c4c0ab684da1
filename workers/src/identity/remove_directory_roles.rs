//! `identity.remove_directory_roles`: every role, also those that a group gives,
//! and those that he is only eligible for: he would activate one later.
//!
//! A group that can hold roles may give licences, too, and whoever leaves it loses
//! them: long before what hangs on them is kept. So they are given to the account
//! itself first, and read there; the area of licences releases them in its time. And
//! it may be his alone: who owns it next can give himself its roles, so that is for
//! a person to say. What has to stay keeps nothing else from going: his own roles go
//! first, before anything is asked about groups that may answer slowly or never.

use super::{observe_roles, refuse_last_administrator, remove_also};
use crate::job::{Applied, Items, Job, Seen, Things};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Held, HeldLicence, Holding, LicenceOrigin, RoleOrigin};
use offboard_domain::{Fault, FaultClass, ObjectId};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) struct RemoveDirectoryRoles;

#[async_trait]
impl Procedure for RemoveDirectoryRoles {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let (roles, facts) = observe_roles(job).await?;
        Ok(Seen::with(facts, Things::Held(roles)))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        refuse_last_administrator(job, seen.held())?;
        let is_his_own = |held: &Held| origin(held).is_none_or(|origin| *origin == RoleOrigin::Direct);
        let (own, by_groups): (Vec<Held>, Vec<Held>) = seen.held().iter().cloned().partition(is_his_own);
        let mut items = Items::default();
        remove_also(job, &own, &mut items).await?;
        if !items.go_on(job) {
            return items.end();
        }
        let stays = Staying::of(job, &by_groups).await;
        let goes = |held: &&Held| origin(held).is_none_or(|origin| !stays.places.contains(origin));
        let going: Vec<Held> = by_groups.iter().filter(goes).cloned().collect();
        remove_also(job, &going, &mut items).await?;
        let applied = items.end()?;
        match stays.why {
            Some(fault) if applied == Applied::All => Err(fault),
            _ => Ok(applied),
        }
    }
}

/// Places in groups that he cannot be taken out of yet.
#[derive(Default)]
struct Staying {
    places: BTreeSet<RoleOrigin>,
    /// Why, of the first that was met.
    why: Option<Fault>,
}

impl Staying {
    async fn of(job: &mut Job<'_>, held: &[Held]) -> Self {
        let mut staying = Self::default();
        let mut member_of = BTreeSet::new();
        let mut owner_of = BTreeSet::new();
        for origin in held.iter().filter_map(origin) {
            match origin {
                RoleOrigin::Direct => {}
                RoleOrigin::Member(group) => drop(member_of.insert(group.clone())),
                RoleOrigin::Owner(group) => drop(owner_of.insert(group.clone())),
            }
        }
        if !member_of.is_empty()
            && let Some((groups, fault)) = that_alone_license(job, member_of).await
        {
            staying.add(groups.into_iter().map(RoleOrigin::Member), fault);
        }
        if !owner_of.is_empty()
            && let Some((groups, fault)) = that_he_alone_owns(job, owner_of).await
        {
            staying.add(groups.into_iter().map(RoleOrigin::Owner), fault);
        }
        staying
    }

    fn add(&mut self, places: impl Iterator<Item = RoleOrigin>, fault: Fault) {
        self.places.extend(places);
        self.why.get_or_insert(fault);
    }
}

fn origin(held: &Held) -> Option<&RoleOrigin> {
    match held {
        Held::Role { origin, .. } => Some(origin),
        _ => None,
    }
}

/// Groups that must not be left yet, and why.
type HeldBack = Option<(BTreeSet<ObjectId>, Fault)>;

/// Gives the account itself what it has by these groups alone; those of them that it
/// still does not have without.
async fn that_alone_license(job: &mut Job<'_>, groups: BTreeSet<ObjectId>) -> HeldBack {
    let licenses = job.connector.licenses()?;
    let id = match job.account() {
        Ok(id) => id,
        Err(fault) => return Some((groups, fault)),
    };
    let (giving, skus) = match licenses.held(&mut job.call, &id).await {
        Ok(held) => given_by_them_alone(&held, &groups),
        Err(fault) => return Some((groups, fault)),
    };
    if skus.is_empty() {
        return None;
    }
    let assigned = match job.writing() {
        Ok(call) => licenses.assign(call, &id, &skus).await,
        Err(fault) => Err(fault),
    };
    if let Err(fault) = assigned {
        return Some((giving, not_assigned(job, fault)));
    }
    // What is not read is not so: who leaves the group too early has lost them.
    let still = match licenses.held(&mut job.call, &id).await {
        Ok(held) => given_by_them_alone(&held, &giving).0,
        Err(fault) => return Some((giving, fault)),
    };
    let detail = "a group that can hold roles gives him licences; they were assigned to him directly and do not show so yet, and he leaves the group when they do";
    (!still.is_empty()).then(|| (still, job.fault(FaultClass::Transient, detail)))
}

/// What nothing but these groups gives him, and which of them do: a licence, or a part of
/// one that is switched off in whatever else gives it.
fn given_by_them_alone(held: &[HeldLicence], groups: &BTreeSet<ObjectId>) -> (BTreeSet<ObjectId>, Vec<String>) {
    // What the vendor could not give, nobody loses with it.
    let given = || held.iter().filter(|l| l.state.as_deref() != Some("Error"));
    let by_them = |licence: &HeldLicence| match &licence.origin {
        LicenceOrigin::Group(group) => groups.contains(group),
        LicenceOrigin::Direct => false,
    };
    // Of each that he has otherwise: what is switched off in all that give it.
    let mut off_otherwise: BTreeMap<&str, BTreeSet<&String>> = BTreeMap::new();
    for licence in given().filter(|l| !by_them(l)) {
        off_otherwise
            .entry(&licence.sku_id)
            .and_modify(|off| off.retain(|plan| licence.disabled_plans.contains(*plan)))
            .or_insert_with(|| licence.disabled_plans.iter().collect());
    }
    let mut giving = BTreeSet::new();
    let mut skus = BTreeSet::new();
    for licence in given() {
        let otherwise = off_otherwise.get(licence.sku_id.as_str());
        let gives_more = otherwise.is_none_or(|off| off.iter().any(|plan| !licence.disabled_plans.contains(*plan)));
        if let LicenceOrigin::Group(group) = &licence.origin
            && groups.contains(group)
            && gives_more
        {
            giving.insert(group.clone());
            skus.insert(licence.sku_id.clone());
        }
    }
    (giving, skus.into_iter().collect())
}

/// Why they could not be assigned: what a person can mend is said to him.
fn not_assigned(job: &Job<'_>, fault: Fault) -> Fault {
    match fault.class {
        FaultClass::Blocked | FaultClass::Rejected | FaultClass::Unsupported => {
            let detail = format!(
                "a group that can hold roles gives him licences, and they cannot be assigned to him directly ({}); he stays in it, since they would go before his mailbox and files are kept; see that a unit of each is free and that his account has a usage location, or assign them by hand, then retry",
                fault.detail
            );
            job.fault(FaultClass::Blocked, &detail)
        }
        FaultClass::Transient
        | FaultClass::Throttled { .. }
        | FaultClass::Denied
        | FaultClass::Absent
        | FaultClass::Unknown => fault,
    }
}

/// Those of these groups that have no other owner.
async fn that_he_alone_owns(job: &mut Job<'_>, groups: BTreeSet<ObjectId>) -> HeldBack {
    let read = match (job.directory(), job.account()) {
        (Ok(directory), Ok(id)) => directory.holdings(&mut job.call, &id, Holding::Ownerships).await,
        (Err(fault), _) | (_, Err(fault)) => Err(fault),
    };
    let owned = match read {
        Ok(owned) => owned,
        Err(fault) => return Some((groups, fault)),
    };
    let alone: BTreeSet<ObjectId> = owned
        .iter()
        .filter(|held| matches!(held, Held::Ownership { other_owners: 0, .. }) && groups.contains(held.id()))
        .map(|held| held.id().clone())
        .collect();
    let detail = "he is the only owner of a group that can hold roles, and whoever owns it can give himself its roles; give it another owner who may have them by hand, then retry";
    (!alone.is_empty()).then(|| (alone, job.fault(FaultClass::Blocked, detail)))
}
