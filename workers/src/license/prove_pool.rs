//! `license.prove_pool`: the account holds none but those that must stay, and
//! the tenant's pool counts one unit less of every SKU that was given back.
//!
//! What is freed is what the snapshot saw and the account no longer holds.
//! Which SKUs the snapshot saw comes in the parameter `held_sku_ids`; without
//! it nothing is claimed as freed. How many units of each were in use then
//! comes in `consumed_before/SKU`.
//!
//! The pool is the whole tenant's: it lags behind, and colleagues move it too.
//! It is waited for a while; what differs even then is said in facts, with the
//! reason for which the numbers prove nothing.

use super::keep::{keep, part_number_of};
use crate::job::{Job, Seen, count, ids};
use crate::procedure::{Procedure, Wait, When};
use async_trait::async_trait;
use offboard_connectors::{Answer, PoolLine};
use offboard_domain::catalogue::POOL_WITHIN_MS;
use offboard_domain::time::MINUTE_MS;
use offboard_domain::{Facts, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// How often licences are looked at that the vendor has still to work out.
const LOOK_AGAIN_MS: i64 = 2 * MINUTE_MS;

/// Since when nothing but the pool's numbers was missing.
const RELEASED_MS: &str = "released_ms";

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
        let released = beyond == 0 && freed.iter().all(|sku| pool.contains_key(*sku));
        let differs = differences(job.params, &pool, &freed);
        let agrees = released && differs.is_empty();
        let waited_ms = if released && !agrees {
            let since_ms = job.remembered.int(RELEASED_MS).unwrap_or_else(|| job.now_ms());
            job.now_ms().saturating_sub(since_ms).max(0)
        } else {
            0
        };
        let mut facts = Facts::new()
            .with("assigned_sku_ids", ids(&assigned))
            .with("kept_sku_ids", ids(&keep.sku_ids))
            .with("still_to_go", count(beyond))
            .with("released", released)
            .with("pool_agrees", agrees)
            .with("pool_differs", differs)
            .with("pool_waited_ms", waited_ms);
        if waited_ms >= POOL_WITHIN_MS {
            facts.set(
                "pool_proves_nothing_because",
                "the account holds none of them, but others moved the pool's numbers meanwhile, or they are late",
            );
        }
        if job.params.list("held_sku_ids").is_some() {
            price(&mut facts, job.params, &pool, &freed);
        }
        Ok(Seen::facts(facts))
    }

    fn wait(&self, job: &Job<'_>, seen: &Seen, when: When) -> Option<Wait> {
        if when != When::Before {
            return None;
        }
        let now = job.call.now();
        if let Some(left) = seen.facts.int("still_to_go").filter(|n| *n > 0) {
            return Some(Wait {
                until: now.plus(LOOK_AGAIN_MS),
                why: format!(
                    "{left} licence(s) are released and still shown; the vendor works out group licences for some minutes"
                ),
                remember: Facts::new(),
            });
        }
        (seen.facts.bool("released") == Some(true)).then(|| {
            let since = Timestamp(job.remembered.int(RELEASED_MS).unwrap_or(now.0));
            Wait {
                until: now.plus(LOOK_AGAIN_MS).min(since.plus(POOL_WITHIN_MS)).max(now),
                why: "the licences are released, and the pool's numbers have not moved accordingly yet".to_owned(),
                remember: Facts::new().with(RELEASED_MS, since.0),
            }
        })
    }
}

/// Where the pool does not count one unit less than before, in words.
fn differences(params: &Facts, pool: &BTreeMap<String, PoolLine>, freed: &[&String]) -> Vec<String> {
    let mut differs = Vec::new();
    for sku in freed {
        let Some(line) = pool.get(*sku) else { continue };
        let (name, now) = (&line.part_number, line.consumed);
        match params.int(&format!("consumed_before/{sku}")) {
            Some(before) if now == before - 1 => {}
            Some(before) => differs.push(format!(
                "{name}: {before} in use before, {now} now, {} expected",
                before - 1
            )),
            None => differs.push(format!("{name}: {now} in use now, and not counted before")),
        }
    }
    differs
}

/// What is freed, and what it costs a month by the tenant's own prices.
fn price(facts: &mut Facts, params: &Facts, pool: &BTreeMap<String, PoolLine>, freed: &[&String]) {
    let mut cents = 0i64;
    let mut unpriced = Vec::new();
    let mut available = Vec::new();
    for sku in freed {
        let Some(line) = pool.get(*sku) else { continue };
        facts.set(&part_number_of(sku), line.part_number.as_str());
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
