//! Licences: by whom each was given, and the pool.

use super::GraphConnector;
use super::api::{Api, Ask};
use super::path::Path;
use super::permission::{READ_LICENCES, READ_POOL, WRITE_LICENCES};
use super::read::{id_in, text_in, texts_in};
use crate::{Answer, Call, HeldLicence, LicenceOrigin, Licenses, PoolLine};
use async_trait::async_trait;
use offboard_domain::{FaultClass, ObjectId};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The service plans with which a mailbox may be on hold, archived or large.
const HOLDING_PLANS: &[&str] = &[
    "EXCHANGE_S_ENTERPRISE",
    "EXCHANGE_S_ARCHIVE",
    "EXCHANGE_S_ARCHIVE_ADDON",
];

/// The service plans that a user's mailbox can be. A plan that is not listed here
/// is none: then a person is asked, and no mailbox is lost.
const MAILBOX_PLANS: &[&str] = &[
    "EXCHANGE_S_ENTERPRISE",
    "EXCHANGE_S_STANDARD",
    "EXCHANGE_S_STANDARD_MIDMARKET",
    "EXCHANGE_S_DESKLESS",
    "EXCHANGE_S_ESSENTIALS",
    "EXCHANGE_L_STANDARD",
    "EXCHANGE_B_STANDARD",
];

/// Whether a licence has one of these plans, and it is not switched off: neither in all
/// that give the licence, nor where this one comes from.
fn has_plan(detail: &Value, disabled: &BTreeSet<String>, wanted: &[&str]) -> bool {
    let plans = detail["servicePlans"].as_array().into_iter().flatten();
    plans
        .filter(|plan| plan["provisioningStatus"] != "Disabled")
        .filter(|plan| plan["servicePlanId"].as_str().is_none_or(|id| !disabled.contains(id)))
        .filter_map(|plan| plan["servicePlanName"].as_str())
        .any(|name| wanted.contains(&name))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sku {
    sku_id: String,
    sku_part_number: String,
    consumed_units: i64,
    prepaid_units: Units,
}

#[derive(Deserialize)]
struct Units {
    #[serde(default)]
    enabled: i64,
    /// Past its end but still usable for a while.
    #[serde(default)]
    warning: i64,
}

/// How one licence comes to an account.
struct Assigned {
    sku_id: String,
    origin: LicenceOrigin,
    state: Option<String>,
    /// The service plans of it that are switched off, by their ids.
    disabled_plans: BTreeSet<String>,
}

/// How this SKU comes to the account, but for what the vendor could not give.
fn given<'s>(states: &'s [Assigned], sku: &'s str) -> impl Iterator<Item = &'s Assigned> {
    let of_it = states.iter().filter(move |s| s.sku_id == sku);
    of_it.filter(|s| s.state.as_deref() != Some("Error"))
}

/// What is ordered so that the account has these SKUs itself as it has them by all that
/// gives them: a plan that any of them leaves switched on stays on.
fn as_groups_give(states: &[Assigned], sku_ids: &[String]) -> Vec<Value> {
    let mut add = Vec::new();
    for sku in sku_ids {
        let own = given(states, sku).find(|s| s.origin == LicenceOrigin::Direct);
        let mut all = given(states, sku);
        let Some(first) = all.next() else { continue };
        let off = all.fold(first.disabled_plans.clone(), |mut off, other| {
            off.retain(|plan| other.disabled_plans.contains(plan));
            off
        });
        if own.is_none_or(|own| own.disabled_plans != off) {
            add.push(json!({"skuId": sku, "disabledPlans": off}));
        }
    }
    add
}

impl Api {
    async fn licence_states(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<Assigned>> {
        let ask = Ask::get(Path::user(&id.0).select("id,licenseAssignmentStates"), READ_LICENCES);
        let body = self.send(call, &ask).await?.body;
        let Some(states) = body["licenseAssignmentStates"].as_array() else {
            return Err(self.fault(
                &ask,
                FaultClass::Transient,
                "the answer has no licence states; it is read again",
            ));
        };
        Ok(states
            .iter()
            .filter_map(|s| {
                Some(Assigned {
                    sku_id: text_in(&s["skuId"])?,
                    origin: id_in(&s["assignedByGroup"]).map_or(LicenceOrigin::Direct, LicenceOrigin::Group),
                    state: text_in(&s["state"]),
                    disabled_plans: texts_in(&s["disabledPlans"]).into_iter().collect(),
                })
            })
            .collect())
    }
}

#[async_trait]
impl Licenses for GraphConnector {
    async fn held(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<HeldLicence>> {
        let states = self.api.licence_states(call, id).await?;
        if states.is_empty() {
            return Ok(Vec::new());
        }
        let path = Path::user(&id.0)
            .then("licenseDetails")
            .select("id,skuId,skuPartNumber,servicePlans");
        let details: BTreeMap<String, Value> = self
            .api
            .list(call, Ask::get(path, READ_LICENCES))
            .await?
            .into_iter()
            .filter_map(|d| Some((text_in(&d["skuId"])?, d)))
            .collect();
        let mut held: Vec<HeldLicence> = states
            .into_iter()
            .map(|assigned| {
                let detail = details.get(&assigned.sku_id);
                let has = |plans| detail.is_some_and(|d| has_plan(d, &assigned.disabled_plans, plans));
                HeldLicence {
                    part_number: detail.and_then(|d| text_in(&d["skuPartNumber"])),
                    keeps_mailbox_hold: has(HOLDING_PLANS),
                    bears_mailbox: has(MAILBOX_PLANS),
                    sku_id: assigned.sku_id,
                    origin: assigned.origin,
                    state: assigned.state,
                    disabled_plans: assigned.disabled_plans,
                }
            })
            .collect();
        held.sort_by(|a, b| (&a.sku_id, &a.origin).cmp(&(&b.sku_id, &b.origin)));
        Ok(held)
    }

    async fn assign(&self, call: &mut Call, id: &ObjectId, sku_ids: &[String]) -> Answer<()> {
        let states = self.api.licence_states(call, id).await?;
        let add = as_groups_give(&states, sku_ids);
        if add.is_empty() {
            return Ok(());
        }
        let body = json!({"addLicenses": add, "removeLicenses": []});
        let ask = Ask::post(Path::user(&id.0).then("assignLicense"), WRITE_LICENCES, Some(body));
        self.api.send(call, &ask).await.map(|_| ())
    }

    async fn release(&self, call: &mut Call, id: &ObjectId, sku_ids: &[String]) -> Answer<()> {
        let order = |skus: &[String]| {
            let body = json!({"addLicenses": [], "removeLicenses": skus});
            Ask::post(Path::user(&id.0).then("assignLicense"), WRITE_LICENCES, Some(body))
        };
        if sku_ids.is_empty() {
            return Ok(());
        }
        match self.api.send(call, &order(sku_ids)).await {
            Ok(_) => Ok(()),
            // One of them is gone already, and the whole order fell: the rest goes by itself.
            Err(fault) if fault.class == FaultClass::Absent && fault.status == Some(400) => {
                let direct: BTreeSet<String> = self
                    .api
                    .licence_states(call, id)
                    .await?
                    .into_iter()
                    .filter(|s| s.origin == LicenceOrigin::Direct)
                    .map(|s| s.sku_id)
                    .collect();
                let left: Vec<String> = sku_ids.iter().filter(|s| direct.contains(*s)).cloned().collect();
                if left.is_empty() {
                    return Ok(());
                }
                if left.len() == sku_ids.len() {
                    let detail =
                        "the directory says both that the licence is held and that it is not; it is read again";
                    return Err(offboard_domain::Fault {
                        class: FaultClass::Transient,
                        detail: detail.into(),
                        ..fault
                    });
                }
                self.api.send(call, &order(&left)).await.map(|_| ())
            }
            Err(fault) => Err(fault),
        }
    }

    async fn reprocess(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        let ask = Ask::post(
            Path::user(&id.0).then("reprocessLicenseAssignment"),
            WRITE_LICENCES,
            None,
        );
        self.api.send(call, &ask).await.map(|_| ())
    }

    async fn pool(&self, call: &mut Call) -> Answer<Vec<PoolLine>> {
        let path = Path::at("subscribedSkus").select("id,skuId,skuPartNumber,consumedUnits,prepaidUnits");
        let ask = Ask::get(path, READ_POOL);
        let found = self.api.list(call, ask.clone()).await?;
        let skus: Vec<Sku> = self.api.shaped_all(&ask, found)?;
        let mut pool: Vec<PoolLine> = skus
            .into_iter()
            .map(|s| PoolLine {
                sku_id: s.sku_id,
                part_number: s.sku_part_number,
                enabled: s.prepaid_units.enabled.saturating_add(s.prepaid_units.warning),
                consumed: s.consumed_units,
            })
            .collect();
        pool.sort_by(|a, b| a.sku_id.cmp(&b.sku_id));
        Ok(pool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_given_directly_with_the_plans_switched_off_that_all_leave_off() {
        let assigned = |sku: &str, group: Option<&str>, off: &[&str]| Assigned {
            sku_id: sku.to_owned(),
            origin: group.map_or(LicenceOrigin::Direct, |id| LicenceOrigin::Group(id.into())),
            state: None,
            disabled_plans: off.iter().map(|p| (*p).to_owned()).collect(),
        };
        let states = [
            assigned("e3", Some("g-1"), &["p-1", "p-2"]),
            assigned("e3", Some("g-2"), &["p-2", "p-3"]),
            assigned("f1", Some("g-1"), &[]),
            assigned("visio", Some("g-1"), &[]),
            assigned("visio", None, &["p-4"]),
            assigned("flow", Some("g-1"), &["p-5", "p-6"]),
            assigned("flow", None, &["p-5"]),
            Assigned {
                state: Some("Error".to_owned()),
                ..assigned("flow", Some("g-2"), &[])
            },
        ];
        let asked = ["e3", "f1", "visio", "flow", "nobody's"].map(str::to_owned);
        assert_eq!(
            as_groups_give(&states, &asked),
            [
                json!({"skuId": "e3", "disabledPlans": ["p-2"]}),
                json!({"skuId": "f1", "disabledPlans": []}),
                json!({"skuId": "visio", "disabledPlans": []}),
            ]
        );
    }
}
