//! `license.prove_pool`: the account holds none but those that must stay, and
//! the tenant's pool still knows every SKU that was given back.
//!
//! What is freed is what the snapshot saw and the account no longer holds.
//! Which SKUs the snapshot saw comes in the parameter `held_sku_ids`; without
//! it nothing is claimed as freed.

use super::keep::keep;
use crate::job::{Job, Seen, count, ids};
use crate::procedure::{Procedure, Wait, When};
use async_trait::async_trait;
use offboard_connectors::{Answer, PoolLine};
use offboard_domain::Facts;
use offboard_domain::time::MINUTE_MS;
use std::collections::{BTreeMap, BTreeSet};

/// How often licences are looked at that the vendor has still to work out.
const LOOK_AGAIN_MS: i64 = 2 * MINUTE_MS;

pub(crate) struct ProvePool;

#[async_trait]
impl Procedure for ProvePool {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let id = job.account()?;
        let licenses = job.licenses()?;
        let held = licenses.held(&mut job.call, &id).await?;
        let pool: BTreeMap<String, PoolLine> = licenses
            .pool(&mut job.call)
            .await?
            .into_iter()
            .map(|line| (line.sku_id.clone(), line))
            .collect();
        let keep = keep(job, &id, &held).await?;
        let assigned: BTreeSet<&String> = held.iter().map(|l| &l.sku_id).collect();
        let before: BTreeSet<&String> = job.params.list("held_sku_ids").unwrap_or_default().iter().collect();
        let freed: Vec<&String> = before.difference(&assigned).copied().collect();
        let beyond = assigned.iter().filter(|sku| !keep.sku_ids.contains(**sku)).count();
        let known = freed.iter().all(|sku| pool.contains_key(*sku));
        let mut facts = Facts::new()
            .with("assigned_sku_ids", ids(&assigned))
            .with("kept_sku_ids", ids(&keep.sku_ids))
            .with("still_to_go", count(beyond))
            .with("pool_agrees", beyond == 0 && known);
        if job.params.list("held_sku_ids").is_some() {
            price(&mut facts, job.params, &pool, &freed);
        }
        Ok(Seen::facts(facts))
    }

    fn wait(&self, job: &Job<'_>, seen: &Seen, when: When) -> Option<Wait> {
        let left = seen.facts.int("still_to_go").filter(|n| *n > 0)?;
        (when == When::Before).then(|| Wait {
            until: job.call.now().plus(LOOK_AGAIN_MS),
            why: format!(
                "{left} licence(s) are released and still shown; the vendor works out group licences for some minutes"
            ),
            remember: job.remembered.clone(),
        })
    }
}

/// What is freed, and what it costs a month by the tenant's own prices.
fn price(facts: &mut Facts, params: &Facts, pool: &BTreeMap<String, PoolLine>, freed: &[&String]) {
    let mut cents = 0i64;
    let mut unpriced = Vec::new();
    let mut available = Vec::new();
    for sku in freed {
        let Some(line) = pool.get(*sku) else { continue };
        match params.int(&format!("price_cents/{}", line.part_number)) {
            Some(price) => cents = cents.saturating_add(price),
            None => unpriced.push(line.part_number.clone()),
        }
        available.push(format!(
            "{}: {} of {} in use",
            line.part_number, line.consumed, line.enabled
        ));
    }
    facts.set("freed_sku_ids", ids(freed));
    facts.set("freed_cents_per_month", cents);
    facts.set("freed_without_price", unpriced);
    facts.set("pool", available);
    if let Some(currency) = params.text("currency") {
        facts.set("currency", currency);
    }
}
