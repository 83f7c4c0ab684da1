//! `device.wipe_account`: the company's account, from every phone and tablet that
//! holds it. Devices check in when they like, so each is told once and waited for.
//! A record that goes before the wipe was seen done is told to a person.

use super::{compare_with_others, known, look, writable};
use crate::job::{Applied, Items, Job, Seen, Things, ids};
use crate::procedure::{Procedure, Wait, When};
use async_trait::async_trait;
use offboard_connectors::{Answer, Phone};
use offboard_domain::estate::{self, Holding, Serial};
use offboard_domain::time::{HOUR_MS, MINUTE_MS};
use offboard_domain::{Facts, ObjectId};
use std::collections::BTreeSet;

/// How often devices are looked at that have not checked in.
const LOOK_AGAIN_MS: i64 = 5 * MINUTE_MS;
/// How long an order may take to show in a device's status, before it is given again.
const VISIBLE_WITHIN_MS: i64 = HOUR_MS;

const ORDERED_MS: &str = "ordered_ms";
/// All that were ever listed, and those that were seen wiped.
const KNOWN: &str = "device_ids";
const WIPED: &str = "wiped_device_ids";
const OPEN: &str = "open_device_ids";
const UNTOLD: &str = "untold_device_ids";

pub(crate) struct WipeAccount;

fn remembered(job: &Job<'_>, name: &str) -> BTreeSet<String> {
    job.remembered.list(name).unwrap_or_default().iter().cloned().collect()
}

fn list(ids: &BTreeSet<String>) -> Vec<String> {
    ids.iter().cloned().collect()
}

#[async_trait]
impl Procedure for WipeAccount {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let member = look(job).await?;
        let mut of_account = known(job, member.as_ref());
        let mut ever = remembered(job, KNOWN);
        if member.is_none() && of_account.bool("object_exists").is_none() {
            // No record was missed in a list that nobody read.
            return Ok(Seen::facts(of_account.with("gone_unproven_ids", Vec::<String>::new())));
        }
        if member.is_none() && ever.is_empty() {
            // Nothing to look by: that he has none is not said.
            of_account.set("looked_at", false);
            return Ok(Seen::facts(of_account));
        }
        let listed: Vec<Phone> = match &member {
            Some(member) => job.phones()?.phones(&mut job.call, member).await?,
            None => Vec::new(),
        };
        let of = |holds: fn(&Phone) -> bool| ids(listed.iter().filter(|p| holds(p)).map(|p| &p.id));
        let mut wiped = remembered(job, WIPED);
        ever.extend(of(|_| true));
        wiped.extend(of(Phone::is_wiped));
        let open = of(|p| !p.is_wiped());
        let gone = ever.iter().filter(|id| !wiped.contains(*id) && !open.contains(id));
        let mut facts: Facts = of_account
            .with(KNOWN, list(&ever))
            .with(WIPED, list(&wiped))
            .with(UNTOLD, of(|p| !p.is_wiped() && !p.is_wiping()))
            .with("gone_unproven_ids", ids(gone))
            .with(OPEN, open);
        for one in &listed {
            let serial = one.serial.as_deref().and_then(Serial::parse);
            estate::note(&mut facts, &one.id, serial.as_ref(), Holding::ManagedUnknown);
        }
        compare_with_others(job, &mut facts);
        Ok(match member {
            Some(member) => Seen::with(facts, Things::Member(Box::new(member))),
            None => Seen::facts(facts),
        })
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        writable(job, seen)?;
        // Before any is told: whatever ends this, a record that goes since is missed.
        remember(job, seen);
        let phones = job.phones()?;
        let mut items = Items::default();
        for id in seen.facts.list(UNTOLD).unwrap_or_default() {
            if !items.go_on(job) {
                break;
            }
            let id = ObjectId::from(id.as_str());
            let done = phones.wipe_account(job.writing()?, &id).await;
            items.note(done)?;
        }
        let applied = items.end()?;
        // With a part of them told, the others are not to be waited for.
        if applied == Applied::All {
            job.remembered.set(ORDERED_MS, job.now_ms());
        }
        Ok(applied)
    }

    fn wait(&self, job: &Job<'_>, seen: &Seen, when: When) -> Option<Wait> {
        let some = |name: &str| seen.facts.list(name).is_some_and(|l| !l.is_empty());
        let now = job.call.now();
        let told_ms = job.remembered.int(ORDERED_MS);
        let lately = told_ms.is_some_and(|at| now.0 - at < VISIBLE_WITHIN_MS);
        if when == When::Closing || !some(OPEN) || (some(UNTOLD) && !lately) {
            return None;
        }
        let mut remember = job.remembered.clone();
        for name in [KNOWN, WIPED] {
            remember.set(name, seen.facts.list(name).unwrap_or_default().to_vec());
        }
        Some(Wait {
            until: now.plus(LOOK_AGAIN_MS),
            why: "a device has not checked in since it was told to wipe the account".to_owned(),
            remember,
        })
    }
}

fn remember(job: &mut Job<'_>, seen: &Seen) {
    for name in [KNOWN, WIPED] {
        let ids = seen.facts.list(name).unwrap_or_default().to_vec();
        job.remembered.set(name, ids);
    }
}
