//! Groups, each as what it is, and how somebody leaves one.

use super::api::{Api, Ask};
use super::exchange::Cmdlet;
use super::path::{Deletable, MemberRef, Path, Side};
use super::permission::{READ_GROUPS, WRITE_MEMBERS, WRITE_OWNERS, WRITE_ROLES};
use super::read::{id_in, text_in, texts_in};
use crate::{Answer, Call, Group, GroupNature, Removable};
use offboard_domain::{FaultClass, ObjectId};
use serde_json::{Value, json};

const FIELDS: &str = "id,displayName,groupTypes,mailEnabled,securityEnabled,membershipRule,onPremisesSyncEnabled,isAssignableToRole,assignedLicenses";

/// Reads a directory object as a group; none when it is something else.
pub(super) fn of(value: &Value) -> Option<Group> {
    if value["@odata.type"]
        .as_str()
        .is_some_and(|t| t != "#microsoft.graph.group")
    {
        return None;
    }
    let types = texts_in(&value["groupTypes"]);
    let has = |name: &str| types.iter().any(|t| t.eq_ignore_ascii_case(name));
    let (mail, security) = (value["mailEnabled"] == true, value["securityEnabled"] == true);
    let nature = match (has("Unified"), mail, security) {
        (true, ..) => GroupNature::Unified,
        (false, true, true) => GroupNature::MailEnabledSecurity,
        (false, true, false) => GroupNature::DistributionList,
        (false, false, _) => GroupNature::Security,
    };
    Some(Group {
        id: id_in(&value["id"])?,
        name: text_in(&value["displayName"]),
        nature,
        dynamic: has("DynamicMembership") || text_in(&value["membershipRule"]).is_some(),
        synced: value["onPremisesSyncEnabled"] == true,
        role_assignable: value["isAssignableToRole"] == true,
        gives_skus: value["assignedLicenses"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|l| text_in(&l["skuId"]))
            .collect(),
    })
}

impl Group {
    /// Whether Exchange, not Graph, changes its lists.
    fn is_exchanges(&self) -> bool {
        matches!(
            self.nature,
            GroupNature::MailEnabledSecurity | GroupNature::DistributionList
        )
    }
}

/// What removing somebody from a list takes.
pub(super) enum Way {
    /// One request to Graph.
    Graph(Box<Ask>),
    /// One command to Exchange.
    Exchange(Cmdlet),
}

impl Api {
    /// The groups that the account is a direct member of.
    pub(super) async fn groups_of(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<Group>> {
        let ask = Ask::get(Path::user(&id.0).then("memberOf").select(FIELDS), READ_GROUPS);
        let mut groups: Vec<Group> = self.list(call, ask).await?.iter().filter_map(of).collect();
        groups.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(groups)
    }

    /// The objects that the account owns, as they are.
    pub(super) async fn owned_by(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<Value>> {
        self.list(
            call,
            Ask::get(Path::user(&id.0).then("ownedObjects").select(FIELDS), READ_GROUPS),
        )
        .await
    }

    /// How somebody leaves a group's list, or why he cannot.
    pub(super) fn way_out(&self, group: &Group, side: Side, who: &ObjectId) -> Answer<Way> {
        let attempted = match side {
            Side::Members => "DELETE /groups/{id}/members/{id}/$ref",
            Side::Owners => "DELETE /groups/{id}/owners/{id}/$ref",
        };
        let blocked = |why| Err(self.fault_in(attempted, FaultClass::Blocked, why));
        // A rule computes members; owners of such a group are named like any.
        match (side, group.removable()) {
            (Side::Members, Removable::ByItsRule) => {
                return blocked(
                    "the group's members are computed by a rule; change what the rule reads, or the rule; nothing was sent",
                );
            }
            (_, Removable::WhereItIsMastered) => {
                return blocked(
                    "the group is mastered by the on-premises directory; remove the person there; nothing was sent",
                );
            }
            _ => {}
        }
        if group.is_exchanges() {
            return Ok(Way::Exchange(match side {
                Side::Members => Cmdlet::about("Remove-DistributionGroupMember", &group.id.0)
                    .with("Member", who.0.as_str())
                    .with("BypassSecurityGroupManagerCheck", true)
                    .with("Confirm", false),
                Side::Owners => Cmdlet::about("Set-DistributionGroup", &group.id.0)
                    .changing("ManagedBy", "remove", &who.0)
                    .with("BypassSecurityGroupManagerCheck", true),
            }));
        }
        let need = match (group.role_assignable, side) {
            (true, _) => WRITE_ROLES,
            (false, Side::Members) => WRITE_MEMBERS,
            (false, Side::Owners) => WRITE_OWNERS,
        };
        let entry = Deletable::Member(MemberRef::new(&group.id.0, side, &who.0));
        Ask::delete(&entry, need)
            .map(|ask| Way::Graph(Box::new(ask)))
            .ok_or_else(|| self.fault_in(attempted, FaultClass::Unsupported, "Graph cannot remove it"))
    }

    /// Takes somebody out of a group's list. Not being in it is success.
    pub(super) async fn leave(&self, call: &mut Call, group: &Group, side: Side, who: &ObjectId) -> Answer<()> {
        let done = match self.way_out(group, side, who)? {
            Way::Graph(ask) => self.send(call, &ask).await.map(|_| ()),
            Way::Exchange(cmdlet) => self.invoke(call, cmdlet).await.map(|_| ()),
        };
        gone_is_fine(done)
    }

    /// How many others own each of these groups, in the same order. Who is disabled, a guest,
    /// leaves too or is no person looks after none.
    pub(super) async fn other_owners(&self, call: &mut Call, groups: &[&ObjectId], but: &ObjectId) -> Answer<Vec<u32>> {
        let asks: Vec<Ask> = groups
            .iter()
            .map(|id| {
                Ask::get(
                    Path::at("groups")
                        .id(&id.0)
                        .then("owners")
                        .select("id,accountEnabled,userType")
                        .top(OWNERS_SEEN),
                    READ_GROUPS,
                )
            })
            .collect();
        let leaving = call.leaving().clone();
        let stands = |o: &&Value| {
            let person = o["@odata.type"] == "#microsoft.graph.user" && o["accountEnabled"] == true;
            let stays = o["id"] != but.0.as_str() && !leaving.iter().any(|id| o["id"] == id.0.as_str());
            person && stays && o["userType"] != "Guest"
        };
        let mut counts = Vec::with_capacity(groups.len());
        for answer in self.batch(call, &asks).await {
            let body = answer?.body;
            let others = body["value"].as_array().into_iter().flatten().filter(stands).count();
            counts.push(u32::try_from(others).unwrap_or(u32::MAX));
        }
        Ok(counts)
    }

    /// Makes somebody an owner. Being one is success.
    pub(super) async fn own(&self, call: &mut Call, group: &ObjectId, who: &ObjectId) -> Answer<()> {
        let entry = MemberRef::new(&group.0, Side::Owners, &who.0);
        let target = self.object_url(&Path::at("directoryObjects").id(entry.who()));
        let read = Ask::get(Path::at("groups").id(&group.0).select(FIELDS), READ_GROUPS);
        let found = of(&self.send(call, &read).await?.body);
        if found.as_ref().is_some_and(Group::is_exchanges) {
            let cmdlet = Cmdlet::about("Set-DistributionGroup", &group.0)
                .changing("ManagedBy", "add", &who.0)
                .with("BypassSecurityGroupManagerCheck", true);
            return self.invoke(call, cmdlet).await.map(|_| ());
        }
        let need = if found.is_some_and(|g| g.role_assignable) {
            WRITE_ROLES
        } else {
            WRITE_OWNERS
        };
        let ask = Ask::post(entry.addition(), need, Some(json!({"@odata.id": target})));
        match self.send(call, &ask).await {
            Ok(_) => Ok(()),
            Err(fault) if fault.code.as_deref() == Some(super::fault::ALREADY_THERE) => Ok(()),
            Err(fault) => Err(fault),
        }
    }
}

/// An owner more or less beyond this many decides nothing.
const OWNERS_SEEN: u32 = 100;

/// What is not there need not be removed.
pub(super) fn gone_is_fine(done: Answer<()>) -> Answer<()> {
    match done {
        Err(fault) if fault.class == FaultClass::Absent => Ok(()),
        other => other,
    }
}
