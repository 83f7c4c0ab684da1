//! The configuration is read again while cases are open: what is new counts
//! for what is new, and nothing that runs is disturbed.

use crate::rig::*;
use offboard_dispatcher::admission::Limits;
use offboard_dispatcher::tenants::{Tenants, Terms};
use offboard_dispatcher::{Engine, EngineError};
use offboard_domain::departure::Manner;
use offboard_domain::{CaseId, Kind, TenantId};
use offboard_queue::QueueName;
use std::sync::Arc;

fn reconfigure(engine: &Arc<Engine>, tenants: &[(&TenantId, &Terms)]) {
    let tenants = tenants.iter().map(|(id, terms)| ((*id).clone(), (*terms).clone()));
    engine.reconfigure(&Tenants::new(tenants.collect()));
}

async fn submit(world: &World, dispatcher: &Dispatcher, tenant: &TenantId, reference: &str) -> CaseId {
    let departure = world.departure(tenant, reference);
    dispatcher.engine.submit(departure).await.unwrap().case()
}

fn careful(terms: &Terms) -> Terms {
    let mut policy = (*terms.policy).clone();
    policy.approvals.plan = true;
    policy.skip.remove(&Kind::Validate);
    Terms {
        policy: Arc::new(policy),
        ..terms.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_policy_counts_for_new_cases_and_open_ones_keep_theirs() {
    let acme = tenant("acme");
    let (quick, slow) = (terms(CUT), careful(&terms(CUT)));
    for (first, second) in [(&quick, &slow), (&slow, &quick)] {
        let world = World::new([(acme.clone(), first.clone())]);
        let _closer = world.closer();
        let dispatcher = world.dispatcher().await;
        let old = submit(&world, &dispatcher, &acme, "HR-1").await;
        reconfigure(&dispatcher.engine, &[(&acme, second)]);
        let new = submit(&world, &dispatcher, &acme, "HR-2").await;
        let _worker = world.worker();
        pass(5 * MINUTE).await;
        for (case, terms) in [(old, first), (new, second)] {
            let waits = terms.policy.approvals.plan;
            let entry = world.index(&acme, case).await.unwrap();
            assert_eq!((entry.state == "closed", entry.needs_person), (!waits, waits));
            assert_eq!(world.case(&acme, case).await.policy, terms.policy);
        }
        // Also for whoever takes it up after a restart with the new one.
        let engine = dispatcher.leave().await;
        assert_eq!(engine.holdings(), holdings_of(&engine));
        let again = world.engine();
        reconfigure(&again, &[(&acme, second)]);
        again.recover().await.unwrap();
        assert_eq!(again.case(&acme, old).await.unwrap().policy, first.policy);
    }
}

/// A departure that was handed in ahead, and whoever came onto the list since.
#[tokio::test(start_paused = true)]
async fn whoever_is_protected_by_now_is_not_touched_and_goes_on_when_he_is_not() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(CUT))]);
    let _closer = world.closer();
    let dispatcher = world.dispatcher().await;
    let _worker = world.worker();
    let mut departure = world.departure(&acme, "HR-1");
    departure.manner = Manner::Planned;
    departure.effective_at = world.now().plus(30 * MINUTE);
    let case = dispatcher.engine.submit(departure).await.unwrap().case();
    pass(10 * MINUTE).await;
    let mut careful = terms(CUT);
    let mut policy = (*careful.policy).clone();
    policy.protected.insert("hr-1@acme.example".into());
    careful.policy = Arc::new(policy);
    reconfigure(&dispatcher.engine, &[(&acme, &careful)]);
    let needed = async || world.index(&acme, case).await.unwrap().needs_person;
    assert!(!needed().await);
    pass(30 * MINUTE).await;
    // Nothing was appended that would say so.
    assert!(needed().await);
    let view = dispatcher.engine.view(&acme, case).await.unwrap();
    let needs: Vec<&str> = view.needs.iter().map(|n| n.what.as_str()).collect();
    assert_eq!(needs, ["protected"]);
    assert!(view.tasks.iter().all(|t| !t.writes || t.attempt == 0));
    reconfigure(&dispatcher.engine, &[(&acme, &terms(CUT))]);
    world.all_closed(MINUTE).await;
    assert!(!needed().await);
    dispatcher.is_idle().await;
}

/// Nothing is in flight; who waits for a person is held.
fn holdings_of(engine: &Arc<Engine>) -> String {
    format!("{} cases; ", engine.held())
}

#[tokio::test(start_paused = true)]
async fn what_a_connector_can_do_now_counts_for_new_cases() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(SHORT))]);
    let _closer = world.closer();
    let dispatcher = world.dispatcher().await;
    let old = submit(&world, &dispatcher, &acme, "HR-1").await;
    reconfigure(&dispatcher.engine, &[(&acme, &terms(CUT))]);
    let new = submit(&world, &dispatcher, &acme, "HR-2").await;
    let _worker = world.worker();
    world.all_closed(MINUTE).await;
    let kinds = async |case| {
        let case = world.case(&acme, case).await;
        case.tasks.values().any(|t| t.kind() == Kind::DisableSignIn)
    };
    assert!(!kinds(old).await);
    assert!(kinds(new).await);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_is_gone_is_refused_and_its_open_cases_go_on() {
    let (acme, other) = (tenant("acme"), tenant("other"));
    let world = World::new([(acme.clone(), terms(CUT))]);
    let _closer = world.closer();
    let dispatcher = world.dispatcher().await;
    submit(&world, &dispatcher, &acme, "HR-1").await;
    reconfigure(&dispatcher.engine, &[(&other, &terms(CUT))]);
    let refused = dispatcher.engine.submit(world.departure(&acme, "HR-2")).await;
    assert!(matches!(refused, Err(EngineError::UnknownTenant(t)) if t == acme));
    submit(&world, &dispatcher, &other, "HR-1").await;
    let _worker = world.worker();
    world.all_closed(MINUTE).await;
    assert_eq!(world.listed().await.len(), 2);
    dispatcher.is_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_systems_new_site_counts_for_the_next_order() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(CUT))]);
    let _closer = world.closer();
    let dispatcher = world.dispatcher().await;
    submit(&world, &dispatcher, &acme, "HR-1").await;
    let mut inside = terms(CUT);
    inside.sites.insert(m365(), "berlin".into());
    reconfigure(&dispatcher.engine, &[(&acme, &inside)]);
    let worker = world.worker();
    let berlin = world.worker_at(Some("berlin"), 0, |a| Some(truth(a)));
    world.all_closed(MINUTE).await;
    let orders = world.queue.orders();
    let inside: Vec<bool> = orders
        .iter()
        .map(|o| matches!(o.queue, QueueName::Assignments { site: Some(_), .. }))
        .collect();
    assert!(!inside[0] && inside[1..].iter().all(|i| *i), "{inside:?}");
    drop((worker, berlin));
}

#[tokio::test(start_paused = true)]
async fn other_limits_count_at_once_and_disturb_nothing_in_flight() {
    const CASES: usize = 12;
    let acme = tenant("acme");
    let mut world = World::new([(acme.clone(), terms(CUT))]);
    world.limits = Arc::new(|| Limits::each(4));
    let _closer = world.closer();
    let dispatcher = world.dispatcher().await;
    for n in 0..CASES {
        submit(&world, &dispatcher, &acme, &format!("HR-{n}")).await;
    }
    pass(SECOND).await;
    assert_eq!(world.queue.orders().len(), 4);
    dispatcher.engine.set_limits(&Limits::each(7));
    pass(SECOND).await;
    assert_eq!(world.queue.orders().len(), 7, "who waited goes at once");
    // Less than what is in flight: nothing is taken back, nothing goes out.
    dispatcher.engine.set_limits(&Limits::each(2));
    pass(SECOND).await;
    let first: Vec<Order> = world.queue.orders();
    assert_eq!(first.len(), 7);
    for order in &first[..5] {
        world.answer(order).await;
    }
    pass(SECOND).await;
    assert_eq!(world.queue.orders().len(), 7, "five came back, and two are out");
    world.answer(&first[5]).await;
    pass(SECOND).await;
    assert_eq!(world.queue.orders().len(), 8);
    dispatcher.engine.set_limits(&Limits {
        urgent_together: 1,
        ..Limits::each(50)
    });
    world.answer(&first[6]).await;
    pass(SECOND).await;
    assert_eq!(world.queue.orders().len(), 8, "one urgent one is out, and may be");
    dispatcher.engine.set_limits(&Limits::each(50));
    let _worker = world.worker();
    world.all_closed(10 * MINUTE).await;
    dispatcher.is_idle().await;
}
