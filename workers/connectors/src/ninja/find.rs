//! The devices of a person: what is assigned to one of his ids, and what is
//! assigned to nobody and was signed in on by a name like his. And his login, if he
//! is a technician: one that is disabled is none.

use super::NinjaConnector;
use super::read::{self, number, text};
use super::wire::{About, Ask};
use crate::path::Path;
use crate::{Answer, Call, Candidate, Endpoint, EndpointStatus, FoundEndpoints, Whose};
use offboard_domain::estate::Serial;
use offboard_domain::estate::logon::{Form, may_be_his};
use offboard_domain::{FaultClass, ObjectId};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A login of the MSP's own people.
pub(super) struct Technician {
    id: u64,
    uid: Option<String>,
    enabled: bool,
}

/// Those that may sign in.
pub(super) fn enabled(all: Vec<Technician>) -> Vec<ObjectId> {
    let enabled = all.into_iter().filter(|t| t.enabled);
    enabled.map(|t| ObjectId(t.id.to_string())).collect()
}

/// Whether somebody has one of his addresses.
fn is_his(user: &Value, who: &Whose) -> bool {
    let mail = text(&user["email"]).map(|mail| mail.to_lowercase());
    mail.is_some_and(|mail| who.names.iter().any(|name| name.trim().to_lowercase() == mail))
}

impl NinjaConnector {
    fn organization_path(&self) -> Path {
        Path::at("v2").then("organization").id(&self.organization.to_string())
    }

    /// The ids of the organisation's users who have one of his addresses.
    async fn owner_uids(&self, call: &mut Call, who: &Whose) -> Answer<BTreeSet<String>> {
        let ask = Ask::get(self.organization_path().then("end-users"), About::List);
        let Value::Array(users) = self.wire.send(call, &ask).await?.body else {
            return Err(self.misshapen(&ask, "a list of users"));
        };
        let ours = |user: &&Value| number(&user["organizationId"]).is_none_or(|of| of == self.organization);
        Ok(users
            .iter()
            .filter(ours)
            .filter(|user| is_his(user, who))
            .filter_map(|u| text(&u["uid"]))
            .collect())
    }

    /// The technicians who have one of his addresses and may sign in; none where the
    /// application may not read them. They are of the MSP's whole NinjaOne, and of no
    /// organisation.
    pub(super) async fn technicians(&self, call: &mut Call, who: &Whose) -> Answer<Option<Vec<Technician>>> {
        let ask = Ask::get(Path::at("v2").then("user").then("technicians"), About::List);
        let body = match self.wire.send(call, &ask).await {
            Ok(reply) => reply.body,
            Err(fault) if matches!(fault.class, FaultClass::Denied | FaultClass::Unsupported) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let Value::Array(rows) = body else {
            return Err(self.misshapen(&ask, "a list of technicians"));
        };
        let mut found = Vec::new();
        for row in rows.iter().filter(|row| is_his(row, who)) {
            let Some(id) = number(&row["id"]) else {
                return Err(self.misshapen(&ask, "technicians with ids"));
            };
            found.push(Technician {
                id,
                uid: text(&row["uid"]),
                // What does not say that it is disabled may be used.
                enabled: row["enabled"].as_bool() != Some(false),
            });
        }
        found.sort_by_key(|t| t.id);
        Ok(Some(found))
    }

    /// Every device of the organisation that is managed still.
    async fn endpoints(&self, call: &mut Call) -> Answer<BTreeMap<u64, Endpoint>> {
        let rows = self.list(call, || self.organization_path().then("devices")).await?;
        let serials = self.serials(call).await?;
        let mut all = BTreeMap::new();
        for row in &rows {
            // What does not say that it is ours is not.
            let Some((mut endpoint, Some(of))) = read::endpoint(row) else {
                continue;
            };
            let Some(id) = number(&row["id"]).filter(|_| of == self.organization) else {
                continue;
            };
            if endpoint.status == EndpointStatus::Decommissioned {
                continue;
            }
            endpoint.serial = endpoint.serial.or_else(|| serials.get(&id).cloned());
            all.insert(id, endpoint);
        }
        Ok(all)
    }

    async fn serials(&self, call: &mut Call) -> Answer<BTreeMap<u64, Serial>> {
        let rows = self.report(call, "computer-systems").await?;
        Ok(rows
            .iter()
            .filter_map(|row| Some((number(&row["deviceId"])?, read::serial(row)?)))
            .collect())
    }

    /// Where somebody signed in by a name like his, and in which form at best.
    async fn met(&self, call: &mut Call, who: &Whose) -> Answer<BTreeMap<u64, Form>> {
        let mut met: BTreeMap<u64, Form> = BTreeMap::new();
        for row in self.report(call, "logged-on-users").await? {
            let form = row["userName"]
                .as_str()
                .and_then(|name| may_be_his(name, &who.names, who.shown_name.as_deref()));
            if let (Some(id), Some(form)) = (number(&row["deviceId"]), form) {
                met.entry(id).and_modify(|best| *best = form.min(*best)).or_insert(form);
            }
        }
        Ok(met)
    }

    pub(super) async fn find(&self, call: &mut Call, who: &Whose) -> Answer<FoundEndpoints> {
        let mut owner_uids = self.owner_uids(call, who).await?;
        let technicians = self.technicians(call, who).await?;
        owner_uids.extend(technicians.iter().flatten().filter_map(|t| t.uid.clone()));
        let met = self.met(call, who).await?;
        let mut found = FoundEndpoints {
            technicians: technicians.map(enabled),
            ..FoundEndpoints::default()
        };
        for (id, endpoint) in self.endpoints(call).await? {
            match (&endpoint.owner_uid, met.get(&id)) {
                (Some(owner), _) if owner_uids.contains(owner) => found.assigned.push(endpoint),
                (Some(_), Some(_)) => found.somebody_elses.push(ObjectId(id.to_string())),
                (None, Some(form)) => found.candidates.push(Candidate {
                    endpoint,
                    met_as: *form,
                }),
                (_, None) => {}
            }
        }
        found.owner_uids = owner_uids.into_iter().collect();
        Ok(found)
    }
}
