//! Licences: direct or by group, their dependencies, and the pool.

use super::catalogue::{self, SKUS, Sku};
use super::journal::Effect;
use super::model::Person;
use super::{Cx, Tenant, VendorError};
use std::collections::{BTreeMap, BTreeSet};

/// What `assignLicense` is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LicenceOrder {
    /// SKUs to give.
    pub add: Vec<String>,
    /// What is switched off in those: SKU → the plans' ids.
    pub disabled_plans: BTreeMap<String, BTreeSet<String>>,
    /// SKUs to take.
    pub remove: Vec<String>,
}

/// One SKU of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLine {
    /// The SKU.
    pub sku: &'static Sku,
    /// Units paid for.
    pub prepaid: i64,
    /// Units in use.
    pub consumed: i64,
}

impl Tenant {
    pub(super) fn assign_license(&mut self, cx: &Cx, who: &str, order: &LicenceOrder) -> Result<Person, VendorError> {
        let id = self.true_id(who)?;
        let Some(before) = self.people.get(&id).cloned() else {
            return Err(VendorError::no_resource(who));
        };
        for sku in order.add.iter().chain(&order.remove) {
            if !self.pool.contains_key(sku) {
                return Err(VendorError::bad_request(format!(
                    "License {sku} does not correspond to a valid company License."
                )));
            }
        }
        for sku in &order.remove {
            if !before.direct_licenses.contains(sku) {
                return Err(VendorError::bad_request(if before.group_licenses.contains_key(sku) {
                    "User license is inherited from group membership and cannot be removed directly from the user."
                } else {
                    "User does not have a corresponding license."
                }));
            }
        }
        let mut after = before.clone();
        after.direct_licenses.retain(|sku| !order.remove.contains(sku));
        after.direct_licenses.extend(order.add.iter().cloned());
        for sku in order.add.iter().chain(&order.remove) {
            let way = (sku.clone(), None);
            match order.disabled_plans.get(sku) {
                Some(off) => drop(after.disabled_plans.insert(way, off.clone())),
                None => drop(after.disabled_plans.remove(&way)),
            }
        }
        for sku in after.skus().into_iter().filter_map(catalogue::sku) {
            let Some(needed) = sku.needs else { continue };
            let provided = after.has_plan(|plan| {
                plan == needed || (needed == "EXCHANGE_S_STANDARD" && catalogue::is_mailbox_plan(plan))
            });
            if !provided {
                let own = sku.plans.first().map_or(sku.part, |plan| plan.name);
                return Err(VendorError::bad_request(format!(
                    "License assignment failed because service plan {own} depends on the service plan(s) {needed}."
                )));
            }
        }
        for sku in &order.add {
            let free = self.pool.get(sku).copied().unwrap_or(0) - self.consumed(sku, cx.now);
            if !before.direct_licenses.contains(sku) && free <= 0 {
                return Err(VendorError::bad_request(format!(
                    "Subscription with SKU {sku} does not have any available licenses."
                )));
            }
        }
        let loses_mailbox = before.has_plan(catalogue::is_mailbox_plan) && !after.has_plan(catalogue::is_mailbox_plan);
        let converting = self.mailboxes.get(&id).is_some_and(|mailbox| {
            mailbox
                .conversion
                .is_some_and(|conversion| conversion.exchange_at_ms > cx.now)
                && mailbox.lost_ms.is_none()
        });
        if loses_mailbox
            && converting
            && cx
                .dice
                .happens(cx.tune.converting_refuses_permille, "converting", &cx.salt, 0)
        {
            return Err(VendorError::bad_request(
                "Could not remove license as the users mailbox is still being converted.",
            ));
        }
        if let Some(row) = self.people.edit(&id, cx.now) {
            row.direct_licenses.clone_from(&after.direct_licenses);
            row.disabled_plans.clone_from(&after.disabled_plans);
        }
        for sku in &order.remove {
            self.note(cx.now, cx.actor(), Effect::LicenceRemoved, &id, sku);
        }
        for sku in order.add.iter().filter(|sku| !before.direct_licenses.contains(*sku)) {
            self.note(cx.now, cx.actor(), Effect::LicenceAdded, &id, sku);
        }
        if loses_mailbox && converting {
            // A conversion without a licence ends as neither.
            if let Some(mailbox) = self.mailboxes.edit(&id, cx.now) {
                mailbox.conversion = None;
            }
        }
        self.follow_licences(cx.now, &id, &before, cx.actor(), &cx.tune);
        Ok(after)
    }

    fn consumed(&self, sku: &str, as_of: i64) -> i64 {
        let count = self
            .people
            .iter_at(as_of)
            .filter(|(_, person)| person.skus().contains(sku))
            .count();
        i64::try_from(count).unwrap_or(i64::MAX)
    }

    pub(super) fn list_pool(&self, cx: &Cx) -> Vec<PoolLine> {
        let as_of = cx.as_of - cx.tune.pool_lag_ms;
        SKUS.iter()
            .filter_map(|sku| {
                Some(PoolLine {
                    sku,
                    prepaid: *self.pool.get(sku.id)?,
                    consumed: self.consumed(sku.id, as_of),
                })
            })
            .collect()
    }
}
