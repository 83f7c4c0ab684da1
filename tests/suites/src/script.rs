//! What a seed makes of a simulation: tenants with their policies, who leaves
//! them and when, and how unkind everything is.

use crate::beside::Beside;
use crate::person::{APPROVER, CHANGER, Errand, HANDS_IN, REQUESTER, SECOND};
use crate::rng::Rng;
use crate::transcript::EPOCH;
use crate::trouble::Rates;
use crate::vendor::Vendor;
use offboard_dispatcher::tenants::Terms;
use offboard_domain::departure::{Choices, Forwarding, Manner, Meetings, OneDriveChoice, PersonRef};
use offboard_domain::policy::{Approvals, SuccessorRule};
use offboard_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use offboard_domain::{Area, Capabilities, Departure, Kind, ObjectId, Policy, System, TenantId, Timestamp};
use offboard_sim::population::{DemoTenant, demo};
use offboard_sim::world::{Cruelty, World};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The system that every simulated tenant has.
pub(crate) fn system() -> System {
    System::new("m365").expect("the handle is valid")
}

/// The handle of the n-th tenant.
pub(crate) fn tenant(n: usize) -> TenantId {
    TenantId::new(&format!("tenant-{n}")).expect("the handle is valid")
}

/// What one system that can do everything claims.
pub(crate) fn everything() -> Capabilities {
    let kinds = Kind::ALL
        .iter()
        .copied()
        .filter(|k| k.spec().area != Area::Person)
        // A cloud alone.
        .filter(|k| k.is_of_a_cloud())
        .collect();
    Capabilities(BTreeMap::from([(system(), kinds)]))
}

/// A tenant's terms.
pub(crate) fn terms(rng: &mut Rng, protected: BTreeSet<String>) -> Terms {
    let policy = Policy {
        successor: if rng.happens(700) {
            SuccessorRule::Manager
        } else {
            SuccessorRule::Nobody
        },
        approvals: Approvals {
            plan: rng.happens(850),
            approvers: if rng.happens(300) {
                BTreeSet::from([APPROVER.to_owned()])
            } else {
                BTreeSet::new()
            },
            approver_may_hand_in: false,
            overdue_after_ms: rng.between(30 * MINUTE_MS, 4 * HOUR_MS),
            irreversible_delay_ms: rng.between(0, 40 * MINUTE_MS),
        },
        protected,
        legal_hold: rng.happens(200),
        hold_days: rng.happens(500).then_some(90),
        forwarding: if rng.happens(300) {
            Forwarding::Successor
        } else {
            Forwarding::Remove
        },
        automatic_reply: rng.happens(500).then(|| "I have left; ask the desk.".to_owned()),
        meetings: match rng.below(3) {
            0 => Meetings::Leave,
            1 => Meetings::Cancel,
            _ => Meetings::HandOver,
        },
        onedrive: if rng.happens(700) {
            OneDriveChoice::HandOver
        } else {
            OneDriveChoice::Ask
        },
        wipe_company_devices: rng.happens(800),
        departures_per_hour: if rng.happens(150) { 1 } else { 25 },
        shared_credentials: if rng.happens(250) {
            vec!["Door code".to_owned(), "Guest Wi-Fi".to_owned()]
        } else {
            Vec::new()
        },
        ..Policy::default()
    };
    Terms {
        policy: Arc::new(policy),
        capabilities: Arc::new(everything()),
        weight: 1 + u32::try_from(rng.below(3)).unwrap_or(0),
        sites: BTreeMap::new(),
    }
}

/// When and how somebody leaves, asked for at this time.
fn asked(rng: &mut Rng, at: Timestamp) -> (Manner, Timestamp) {
    if rng.happens(400) {
        (Manner::Immediate, at)
    } else {
        (Manner::Planned, at.plus(rng.between(-HOUR_MS, 8 * HOUR_MS)))
    }
}

/// What is asked of somebody's departure: perhaps changed later, perhaps asked for
/// by somebody else as well under another reference and called off there, perhaps
/// under a reference that is another's already.
pub(crate) fn errands(
    rng: &mut Rng,
    tenant: &TenantId,
    n: usize,
    person: PersonRef,
    subject: Option<&str>,
) -> Vec<Errand> {
    let at = EPOCH.plus(rng.between(0, 3 * HOUR_MS));
    let (manner, effective_at) = asked(rng, at);
    let taken = n > 0 && rng.happens(100);
    let first = Errand {
        at,
        departure: Departure {
            tenant: tenant.clone(),
            reference: Some(format!("HR-{}", n - usize::from(taken))),
            person,
            manner,
            effective_at,
            of_day: None,
            requested_by: REQUESTER.to_owned(),
            handed_in_by: Some(HANDS_IN.to_owned()),
            requested_at: at,
            successor: None,
            choices: Choices::default(),
        },
        again: rng.happens(200),
        calls_off: false,
        subject: subject.map(str::to_owned),
    };
    let later = |rng: &mut Rng, of: &Errand, by: &str| {
        let at = of.at.plus(rng.between(0, 9 * HOUR_MS));
        let (manner, effective_at) = asked(rng, at);
        Errand {
            at,
            departure: Departure {
                manner,
                effective_at,
                requested_by: by.to_owned(),
                ..of.departure.clone()
            },
            again: rng.happens(200),
            ..of.clone()
        }
    };
    let mut all = vec![first.clone()];
    if rng.happens(250) {
        all.push(later(rng, &first, CHANGER));
    }
    if rng.happens(250) {
        let mut second = later(rng, &first, SECOND);
        second.departure.reference = Some(format!("HR-{n}-again"));
        if rng.happens(300) {
            second.departure.choices.legal_hold = Some(true);
            second.departure.choices.wipe_company_devices = Some(false);
        }
        all.push(second.clone());
        if rng.happens(300) {
            all.push(later(rng, &second, CHANGER));
        }
        if rng.happens(300) {
            all.push(Errand {
                calls_off: true,
                again: false,
                ..later(rng, &second, SECOND)
            });
        }
    }
    all
}

/// Everybody of the model's world.
const NAMES: [&str; 9] = ["ada", "bo", "cleo", "dan", "eve", "finn", "nobody", "last", "alone"];

/// The tenants, and on what terms.
pub(crate) type Clients = BTreeMap<TenantId, Terms>;

/// The tenants and errands of a simulation with the model's world.
pub(crate) fn model(rng: &mut Rng) -> (Clients, Vec<Errand>, Vec<(TenantId, String)>) {
    let tenants = 1 + usize::try_from(rng.below(3)).unwrap_or(0);
    let mut terms_of = BTreeMap::new();
    for n in 0..tenants {
        let protected = if rng.happens(200) {
            BTreeSet::from(["id-dan".to_owned()])
        } else {
            BTreeSet::new()
        };
        terms_of.insert(tenant(n), terms(rng, protected));
    }
    let (mut errands, mut canaries) = (Vec::new(), Vec::new());
    for n in 0..1 + usize::try_from(rng.below(4)).unwrap_or(0) {
        let tenant = tenant(usize::try_from(rng.below(tenants as u64)).unwrap_or(0));
        let name = NAMES[usize::try_from(rng.below(NAMES.len() as u64)).unwrap_or(0)];
        let canary = format!("canary{:08x}", rng.next() >> 32);
        let person = PersonRef {
            user_principal_name: Some(format!("{name}.{canary}@{tenant}.example")),
            ..PersonRef::default()
        };
        canaries.push((tenant.clone(), canary));
        errands.extend(self::errands(rng, &tenant, n, person, Some(&format!("id-{name}"))));
    }
    (terms_of, errands, canaries)
}

/// The vendor, tenants and errands of a simulation with the real workers, and with this beside.
pub(crate) fn vendor(
    seed: u64,
    rng: &mut Rng,
    kinds: &BTreeSet<Kind>,
    beside: Beside,
) -> (Arc<Vendor>, Clients, Vec<Errand>) {
    let cruelty = match rng.below(4) {
        0 => Cruelty::kind(),
        1 | 2 => Cruelty::real(),
        _ => Cruelty::cruel(),
    };
    // The certificate's way is tried with the connector itself; here a secret is enough.
    let cruelty = Cruelty {
        sharepoint_needs_certificate: false,
        ..cruelty
    };
    let count = 1 + usize::try_from(rng.below(3)).unwrap_or(0);
    let (mut world, built) = demo(seed, cruelty, count, 0, EPOCH.0);
    for tenant in &built {
        with_a_phone(&mut world, tenant);
    }
    beside.furnish(&mut world, &built);
    let mut claims = BTreeMap::from([(system(), kinds.clone())]);
    claims.extend(beside.claims());
    let capabilities = Arc::new(Capabilities(claims));
    let vendor = Vendor::new(world, built, beside);
    let mut terms_of = BTreeMap::new();
    for (tenant, built) in &vendor.tenants {
        let protected = BTreeSet::from([built.cast.break_glass.to_lowercase()]);
        let mut terms = Terms {
            capabilities: capabilities.clone(),
            ..terms(rng, protected)
        };
        vendor.beside.bear_on(Arc::make_mut(&mut terms.policy));
        terms_of.insert(tenant.clone(), terms);
    }
    let mut errands = Vec::new();
    for n in 0..1 + usize::try_from(rng.below(4)).unwrap_or(0) {
        let nth = usize::try_from(rng.below(count as u64)).unwrap_or(0);
        let Some((tenant, built)) = vendor.tenants.iter().nth(nth) else {
            continue;
        };
        let leavers = built.cast.leavers();
        let id = match rng.below(20) {
            0 => built.cast.break_glass.as_str(),
            1 => "00000000-0000-4000-8000-000000000000",
            // Disabling him takes his licence, and his mailbox with it, before it is kept.
            2 => built.cast.licensed_by_rule.as_str(),
            _ => leavers[usize::try_from(rng.below(leavers.len() as u64)).unwrap_or(0)],
        };
        let world = vendor.world();
        let upn = world
            .tenant(&built.id)
            .and_then(|t| t.person(id))
            .map(|p| p.upn.clone());
        let person = match upn {
            Some(upn) if rng.happens(500) => PersonRef {
                user_principal_name: Some(upn),
                ..PersonRef::default()
            },
            _ => PersonRef {
                object_id: Some(ObjectId(id.to_owned())),
                ..PersonRef::default()
            },
        };
        drop(world);
        errands.extend(self::errands(rng, tenant, n, person, Some(id)));
    }
    (vendor, terms_of, errands)
}

/// All who administer the first tenant leave it at the same second, and nobody can sign
/// in with its account for emergencies.
pub(crate) fn administrators(vendor: &Vendor) -> Vec<Errand> {
    let Some((tenant, built)) = vendor.tenants.iter().next() else {
        return Vec::new();
    };
    let mut world = vendor.world();
    let emergency = world
        .tenant_mut(&built.id)
        .and_then(|t| t.people.edit_silently(&built.cast.break_glass));
    if let Some(account) = emergency {
        account.account_enabled = false;
    }
    let at = EPOCH.plus(HOUR_MS);
    let leaves = |(reference, id): (&str, &String)| Errand {
        at,
        departure: Departure {
            tenant: tenant.clone(),
            reference: Some(reference.to_owned()),
            person: PersonRef {
                object_id: Some(ObjectId(id.clone())),
                ..PersonRef::default()
            },
            manner: Manner::Immediate,
            effective_at: at,
            of_day: None,
            requested_by: REQUESTER.to_owned(),
            handed_in_by: Some(HANDS_IN.to_owned()),
            requested_at: at,
            successor: None,
            choices: Choices::default(),
        },
        again: false,
        calls_off: false,
        subject: Some(id.clone()),
    };
    [("ADM-1", &built.cast.chief), ("ADM-2", &built.cast.administrator)]
        .map(leaves)
        .into()
}

/// What he had for a laptop is a telephone of the company's, with an activation lock.
fn with_a_phone(world: &mut World, built: &DemoTenant) {
    let Some(tenant) = world.tenant_mut(&built.id) else {
        return;
    };
    let his = &built.cast.plain;
    let Some(canary) = tenant.person(his).map(|person| person.canary.clone()) else {
        return;
    };
    let laptop = tenant
        .managed_devices
        .iter()
        .find(|(_, row)| row.user == *his)
        .map(|(id, _)| id.to_owned());
    let Some(id) = laptop else { return };
    let Some(record) = tenant.managed_devices.edit_silently(&id) else {
        return;
    };
    record.os = "iOS";
    record.activation_lock = Some((format!("{canary}-lock"), false));
    let device_id = record.entra_device_id.clone();
    let object = tenant
        .devices
        .iter()
        .find(|(_, row)| row.device_id == device_id)
        .map(|(id, _)| id.to_owned());
    let Some(object) = object else { return };
    if let Some(device) = tenant.devices.edit_silently(&object) {
        device.os = "iOS";
        device.laps = None;
        device.bitlocker.clear();
    }
}

/// How unkind the seams are under this seed.
pub(crate) fn rates(rng: &mut Rng) -> Rates {
    match rng.below(4) {
        0 => Rates::NONE,
        1 => Rates {
            fails_before: 5,
            fails_after: 5,
            delayed: 50,
            duplicated: 20,
            late: 20,
            severed: 5,
            ..Rates::NONE
        },
        2 => Rates {
            fails_before: 40,
            fails_after: 40,
            delayed: 100,
            duplicated: 100,
            late: 100,
            severed: 20,
            ..Rates::NONE
        },
        _ => Rates {
            fails_before: 150,
            fails_after: 150,
            delayed: 200,
            duplicated: 300,
            late: 300,
            severed: 80,
            ..Rates::NONE
        },
    }
}

/// How often a message comes that a broker has gone mad over.
const MANY_COPIES: u32 = 100;
/// How many messages in a thousand come so often: each copy of an order is done, and
/// answered by a message that may come so often itself.
const MANY_COPIES_OF: u32 = 5;
/// How late a message comes from a queue that was forgotten over a weekend.
const VERY_LATE_MS: i64 = 3 * DAY_MS;

/// The same where a broker is between several processes: under some seeds a message comes
/// five times, under some an hour late, when what it orders is void and what it reports
/// was given up. Under a few it comes a hundred times, or days late, when its case may be
/// closed.
pub(crate) fn between_several(rng: &mut Rng, rates: Rates) -> Rates {
    let copies = match rng.below(1_000) {
        0..20 => MANY_COPIES,
        20..250 => 5,
        _ => rates.copies,
    };
    let late_ms = match rng.below(1_000) {
        0..150 | 200..250 => HOUR_MS,
        150..200 => VERY_LATE_MS,
        _ => rates.late_ms,
    };
    let duplicated = if copies == MANY_COPIES {
        rates.duplicated.min(MANY_COPIES_OF)
    } else {
        rates.duplicated
    };
    Rates {
        copies,
        late_ms,
        duplicated,
        ..rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Among so many seeds there are several of whatever is drawn once in twenty times.
    const SEEDS: u64 = 100;

    #[test]
    fn whom_a_rule_licenses_leaves_in_some_of_the_seeds() {
        let leaves = |seed: &u64| {
            let (vendor, _, errands) = vendor(
                *seed,
                &mut Rng::of(*seed, "script"),
                &BTreeSet::new(),
                Beside::nothing(),
            );
            errands.iter().any(|errand| {
                let his = |built: &DemoTenant| errand.subject.as_ref() == Some(&built.cast.licensed_by_rule);
                vendor.tenants.get(&errand.departure.tenant).is_some_and(his)
            })
        };
        let seeds: Vec<u64> = (0..SEEDS).filter(leaves).collect();
        assert!(seeds.len() > 3, "{seeds:?}");
    }

    #[test]
    fn under_a_few_seeds_a_message_comes_a_hundred_times_or_days_late() {
        const SEEDS: u64 = 2_000;
        let most = Rates {
            duplicated: 300,
            late: 300,
            ..Rates::NONE
        };
        let drawn = |seed: u64| between_several(&mut Rng::of(seed, "fate"), most);
        let count = |so: &dyn Fn(&Rates) -> bool| (0..SEEDS).map(drawn).filter(so).count();
        for (name, few) in [
            (
                "copies",
                count(&|r| r.copies == MANY_COPIES && r.duplicated == MANY_COPIES_OF),
            ),
            ("late", count(&|r| r.late_ms == VERY_LATE_MS)),
        ] {
            assert!((10..200).contains(&few), "{name}: {few}");
        }
        let usual = count(&|r| r.copies < MANY_COPIES && r.duplicated == most.duplicated);
        assert!(usual > 1_800, "{usual}");
    }
}
