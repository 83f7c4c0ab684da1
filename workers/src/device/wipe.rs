//! `device.wipe`, *once*: only of a company's device, only when none was
//! ordered, and proven by the last state of the order.
//!
//! | read | means |
//! |---|---|
//! | the order is `done` | wiped |
//! | it is `pending` or `active` | the device has it, or will; wait |
//! | it `failed`, was `canceled` or is `notSupported`, after ours was sent | it did not happen: conclusive in the same way, because a later order may not be listed yet |
//! | there is no order, and we sent none that was acknowledged | it did not happen: conclusive when it was looked for without a gap for an hour, or nothing can have been sent |
//! | the order was over when the device was found | an earlier life of it; as if there were none |
//! | there is no order, though ours was acknowledged | wait an hour; then a person looks |
//! | the record is gone, the last state seen was `done` | wiped |
//! | the record is gone otherwise, also after `active` | proves nothing: deleting a record makes it go too, and a device that has taken the order may fail at it; a person looks |
//!
//! The last state seen is remembered from slice to slice in the checkpoint.
//!
//! An order whose answer got lost may be listed late, and is not remembered. Who looks whether
//! it happened does not stay away for that hour: a device at hand is wiped and its record gone
//! within one, and what its last state was would have been missed.
//!
//! A Mac that was wiped asks for a code, which the order brings. It is in the escrow
//! before the order is sent, and nowhere else; without an escrow nothing is ordered. A
//! report says where it is kept before another attempt orders: who dies after the order
//! need tell nobody any more. Of an order that this did not send nothing is kept, because
//! nobody here knows with which code, or whether with one, it was sent.

use super::escrow_recovery_keys::{escrow, is_in_escrow, label};
use super::{dated, device, is_of_an_earlier_life, somebody_elses, still_his, under_way};
use crate::attempt::ONCE_LOOK_AGAIN_MS;
use crate::job::{Applied, Job, Seen, Things};
use crate::looked;
use crate::procedure::{Procedure, Wait, When};
use async_trait::async_trait;
use offboard_connectors::{Answer, DeviceAction, ManagedDevice, Owner, RecoveryKey, RecoveryKeySort, UnlockCode};
use offboard_domain::time::{HOUR_MS, MINUTE_MS};
use offboard_domain::{Digest, Facts, FaultClass, Mode, Timestamp};

/// How often a device is looked at that has not checked in. What it says after
/// it has taken the order is the proof, and its record goes some minutes later:
/// looked at less often, that would be missed.
const LOOK_AGAIN_MS: i64 = 5 * MINUTE_MS;
/// How often one is looked at that has taken the order, or was given it within
/// the last quarter of an hour and is perhaps at hand.
const SOON_LOOK_AGAIN_MS: i64 = MINUTE_MS;
/// That quarter of an hour.
const AT_HAND_MS: i64 = 15 * MINUTE_MS;
/// How long an order may stay invisible.
const VISIBLE_WITHIN_MS: i64 = HOUR_MS;
/// How far the vendor's clock may be behind ours when it dates an order.
const VENDOR_CLOCK_MS: i64 = 5 * MINUTE_MS;

const LAST_STATE: &str = "last_action_state";
const OWNER: &str = "owner_type";
const ORDERED_MS: &str = "ordered_ms";
/// The attempt that might have ordered, and ended before it did, as its report says; or the
/// last of those that came right after it and only looked.
const NOTHING_SENT_IN: &str = "nothing_sent_in_attempt";
/// Where the code is in the escrow, as a report has said.
const CODE_KEPT_IN: &str = "unlock_code_kept_in";

pub(crate) struct WipeDevice;

/// What the management's record says about our order.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Order {
    /// The record is gone.
    Gone,
    /// There is none.
    None,
    /// In this state.
    Is(String),
    /// The state of one that was ordered before ours, or in an earlier life of
    /// the device.
    Older(String),
}

#[async_trait]
impl Procedure for WipeDevice {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        hand_on_that_nothing_was_sent(job);
        let device = device(job)?;
        let managed = job.devices()?.managed(&mut job.call, &device).await?;
        let order = order(job, managed.as_ref());
        let last = match &order {
            Order::Is(state) => Some(state.clone()),
            _ => job.remembered.text(LAST_STATE).map(str::to_owned),
        };
        let owner = match &managed {
            Some(managed) => managed.owner.word().to_owned(),
            None => remembered_owner(job),
        };
        let done = last.as_deref() == Some("done");
        let wiped = match &order {
            Order::Gone => done,
            Order::Is(state) => state == "done",
            Order::None | Order::Older(_) => false,
        };
        let did_not_happen = shows_nothing(job, &order, managed.as_ref()) && !may_show_yet(job);
        let mut facts = Facts::new()
            .with(OWNER, owner)
            .with("action_state", word(&order))
            .with("record_gone", order == Order::Gone)
            .with("wiped", wiped)
            .with("gone_unproven", order == Order::Gone && !wiped)
            .with("conclusive", did_not_happen || wiped);
        if let Some(managed) = &managed {
            facts.set("somebody_elses", somebody_elses(job, managed)?);
        }
        if let Some(last) = last {
            facts.set(LAST_STATE, last);
        }
        Ok(Seen::with(facts, managed.map_or(Things::Nothing, Things::Managed)))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        let device = device(job)?;
        let sent = job.remembered.int(ORDERED_MS).is_some();
        let managed = still_his(job, &device, sent).await?;
        if managed.owner != Owner::Company {
            return Err(job.fault(
                FaultClass::Blocked,
                "the management does not say that the device is the company's; it is not wiped",
            ));
        }
        let order = order(job, Some(&managed));
        if matches!(&order, Order::Is(state) if under_way(state) || state == "done") || wiping(Some(&managed)) {
            return Err(job.fault(
                FaultClass::Unknown,
                "a wipe has been ordered already; it is awaited, not ordered again",
            ));
        }
        if order == Order::Is("notSupported".to_owned()) {
            return Err(job.fault(
                FaultClass::Unsupported,
                "the device does not support being wiped; do it by hand",
            ));
        }
        let unlock_code = match managed.wants_unlock_code() {
            true => match kept_code(job).await? {
                Some(code) => Some(code),
                // The report comes first.
                None => {
                    job.remembered.set(NOTHING_SENT_IN, i64::from(job.attempt));
                    return Ok(Applied::Part);
                }
            },
            false => None,
        };
        // What was put into the escrow took its time.
        if unlock_code.is_some() {
            still_his(job, &device, sent).await?;
        }
        let action = DeviceAction::Wipe {
            keep_enrollment: false,
            unlock_code,
        };
        let ordered_ms = job.now_ms();
        job.devices()?.act(job.writing()?, &device, action).await?;
        job.remembered.set(ORDERED_MS, ordered_ms);
        Ok(Applied::All)
    }

    fn wait(&self, job: &Job<'_>, seen: &Seen, when: When) -> Option<Wait> {
        if when == When::Closing {
            return None;
        }
        let managed = match &seen.things {
            Things::Managed(managed) => Some(managed),
            _ => None,
        };
        let now = job.call.now();
        let sent = job.remembered.int(ORDERED_MS).map(Timestamp);
        let recently = sent.is_some_and(|at| now.since(at) < VISIBLE_WITHIN_MS);
        let order = order(job, managed);
        // As it was read, and not a moment later.
        let conclusive = seen.facts.bool("conclusive") == Some(true);
        let may_come = shows_nothing(job, &order, managed) && !conclusive;
        let (after_ms, why) = match order {
            Order::Is(state) if state == "active" => {
                (SOON_LOOK_AGAIN_MS, "the device has taken the wipe and has not finished")
            }
            Order::Is(state) if under_way(&state) => {
                let dated = managed
                    .and_then(|m| m.action("wipe"))
                    .and_then(|a| a.started_ms)
                    .map(Timestamp)
                    .or(sent);
                let at_hand = dated.is_some_and(|at| now.since(at) < AT_HAND_MS);
                let after_ms = if at_hand { SOON_LOOK_AGAIN_MS } else { LOOK_AGAIN_MS };
                (after_ms, "the device has not checked in since the wipe was ordered")
            }
            Order::None | Order::Older(_) if wiping(managed) => (
                LOOK_AGAIN_MS,
                "the device has not checked in since the wipe was ordered",
            ),
            Order::None | Order::Older(_) if recently => {
                (ONCE_LOOK_AGAIN_MS, "the wipe was ordered and is not listed yet")
            }
            Order::None | Order::Is(_) | Order::Older(_) if may_come => (
                LOOK_AGAIN_MS,
                "a wipe may have been ordered, and what was ordered may be listed late",
            ),
            Order::Gone | Order::None | Order::Is(_) | Order::Older(_) => return None,
        };
        let mut remember = Facts::new().with(
            OWNER,
            managed.map_or_else(|| remembered_owner(job), |m| m.owner.word().to_owned()),
        );
        if let Some(at) = sent {
            remember.set(ORDERED_MS, at.0);
        }
        if let Some(last) = seen.facts.text(LAST_STATE) {
            remember.set(LAST_STATE, last);
        }
        if let Some(kept) = job.remembered.text(CODE_KEPT_IN) {
            remember.set(CODE_KEPT_IN, kept);
        }
        if when == When::ObserveOnly {
            looked::remember(job, &mut remember);
        }
        Some(Wait {
            until: now.plus(after_ms),
            why: why.to_owned(),
            remember,
        })
    }
}

/// The code that the device asks for once it is wiped, when a report has said where it is
/// in the escrow, and there it is; none when it was put there just now.
async fn kept_code(job: &mut Job<'_>) -> Answer<Option<UnlockCode>> {
    let Some(master) = job.context.escrow.as_ref() else {
        let detail = "a wiped Mac asks for a code of six digits, and this worker has no escrow key to keep it under; nothing was ordered; run `offboard keys create`, give the worker the key (never one at a site: take `site` out of the system's section), then retry; or wipe the Mac by hand and waive this";
        return Err(job.fault(FaultClass::Denied, detail));
    };
    let code = UnlockCode::of(master.tenant(job.tenant).number(&label(job)));
    let key = RecoveryKey {
        id: "wipe".to_owned(),
        sort: RecoveryKeySort::WipedMac,
        label: None,
        key: code.digits(),
        created_ms: None,
    };
    let key = std::slice::from_ref(&key);
    let before: Option<Digest> = job.remembered.text(CODE_KEPT_IN).and_then(|text| text.parse().ok());
    if let Some(kept) = before
        && is_in_escrow(job, key, kept).await?
    {
        return Ok(Some(code));
    }
    let Some(kept) = escrow(job, key).await? else {
        return Err(job.fault(
            FaultClass::Transient,
            "the code that a wiped Mac asks for was kept and cannot be opened again; nothing was ordered; look at the store",
        ));
    };
    job.remembered.set(CODE_KEPT_IN, kept.to_string());
    // Workers that cannot open each other's would go on like this for ever.
    if before.is_some() {
        return Err(job.fault(
            FaultClass::Transient,
            "the code that was kept for a wiped Mac is another one by this worker's escrow key, or the store has lost it; it was kept anew, and nothing was ordered; give every worker of the tenant the same escrow key, and look at the store",
        ));
    }
    Ok(None)
}

fn order(job: &Job<'_>, managed: Option<&ManagedDevice>) -> Order {
    let Some(managed) = managed else { return Order::Gone };
    let Some(action) = managed.action("wipe") else {
        return Order::None;
    };
    let sent = job.remembered.int(ORDERED_MS);
    if is_of_an_earlier_life(job, managed, action, sent.is_some()) {
        return Order::Older(action.state.clone());
    }
    match (sent, dated(action)) {
        (Some(sent), Some(dated)) if dated.saturating_add(VENDOR_CLOCK_MS) < sent => Order::Older(action.state.clone()),
        _ => Order::Is(action.state.clone()),
    }
}

/// Whether nothing that is listed says that it happened, or will.
fn shows_nothing(job: &Job<'_>, order: &Order, managed: Option<&ManagedDevice>) -> bool {
    match order {
        Order::Gone => false,
        Order::None | Order::Older(_) => job.remembered.int(ORDERED_MS).is_none() && !wiping(managed),
        Order::Is(state) => !under_way(state) && state != "done",
    }
}

/// Whoever only looks sends nothing either: that nothing was sent holds for the next attempt,
/// too, also where this one ends in a fault.
fn hand_on_that_nothing_was_sent(job: &mut Job<'_>) {
    if job.mode == Mode::ObserveOnly && looked::is_last_in(job, NOTHING_SENT_IN) {
        job.remembered.set(NOTHING_SENT_IN, i64::from(job.attempt));
    }
}

/// Whether an order may have been sent that is not listed yet. Who may order knows of none.
fn may_show_yet(job: &Job<'_>) -> bool {
    let nothing_was_sent = job.remembered.int(NOTHING_SENT_IN) == Some(i64::from(job.attempt));
    let in_doubt = job.mode == Mode::ObserveOnly && !nothing_was_sent;
    in_doubt && !looked::looked_for(job, VISIBLE_WITHIN_MS)
}

/// Whether the management's own state says that a wipe is under way.
fn wiping(managed: Option<&ManagedDevice>) -> bool {
    managed
        .and_then(|m| m.management_state.as_deref())
        .is_some_and(|state| state.starts_with("wipe"))
}

fn remembered_owner(job: &Job<'_>) -> String {
    let kept = job.remembered.text(OWNER).or_else(|| job.params.text("owner"));
    kept.unwrap_or(Owner::Unknown.word()).to_owned()
}

fn word(order: &Order) -> &str {
    match order {
        Order::Gone => "record_gone",
        Order::None => "none",
        Order::Is(state) | Order::Older(state) => state,
    }
}
