//! A site whose workers are silent: its work rests and says since when, costs
//! no attempt, and goes on when they are back. Nobody else notices.

use crate::rig::*;
use offboard_dispatcher::control::{Gate, Request, Response, handle};
use offboard_dispatcher::tenants::Terms;
use offboard_domain::assignment::CHANGED_ON_PREMISES_MS;
use offboard_domain::{CaseId, Kind, TenantId};
use offboard_queue::QueueName;

const BERLIN: &str = "berlin";

/// People are found in one system, and another one is inside a site.
fn inside(site: &str) -> Terms {
    let second: Vec<Kind> = CUT.iter().copied().filter(|k| *k != Kind::Resolve).collect();
    let mut terms = terms_of(&[(m365(), CUT), (system("ad"), &second)]);
    terms.sites.insert(system("ad"), site.to_owned());
    terms
}

fn watching(mut dispatcher: Dispatcher) -> Dispatcher {
    let stop = dispatcher.stopped();
    dispatcher.also(dispatcher.engine.clone().watch_sites(stop));
    dispatcher
}

/// A worker of a site.
fn stands_in(world: &World, site: &str) -> Running {
    world.worker_at(Some(site), 0, |a| Some(truth(a)))
}

async fn gates(dispatcher: &Dispatcher) -> Vec<Gate> {
    match handle(&dispatcher.engine, Request::Gates).await {
        Response::Gates(gates) => gates,
        other => panic!("{other:?}"),
    }
}

async fn submit(world: &World, dispatcher: &Dispatcher, tenant: &TenantId, reference: &str) -> CaseId {
    let departure = world.departure(tenant, reference);
    dispatcher.engine.submit(departure).await.unwrap().case()
}

fn ordered_in(world: &World, site: &str) -> usize {
    let orders = world.queue.orders();
    let there = orders
        .iter()
        .filter(|o| matches!(&o.queue, QueueName::Assignments { site: Some(s), .. } if s == site));
    there.count()
}

/// The tries of a tenant's tasks inside.
async fn tries(world: &World, tenant: &TenantId, case: CaseId) -> Vec<(u32, u32)> {
    let case = world.case(tenant, case).await;
    let inside = case.tasks.values().filter(|t| t.planned.target.system == system("ad"));
    inside.map(|t| (t.attempt, t.spent)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_silent_site_gets_nothing_says_since_when_and_goes_on_when_its_workers_are_back() {
    let (acme, other) = (tenant("acme"), tenant("other"));
    let world = World::new([(acme.clone(), inside(BERLIN)), (other.clone(), inside("paris"))]);
    let _closer = world.closer();
    let _worker = world.worker();
    let _paris = stands_in(&world, "paris");
    let berlin = stands_in(&world, BERLIN);
    let dispatcher = watching(world.dispatcher().await);
    submit(&world, &dispatcher, &acme, "HR-0").await;
    world.all_closed(MINUTE).await;
    assert_eq!(gates(&dispatcher).await, []);

    drop(berlin);
    let gone = world.now();
    pass(MINUTE).await;
    let case = submit(&world, &dispatcher, &acme, "HR-1").await;
    let elsewhere = submit(&world, &dispatcher, &other, "HR-1").await;
    let before = ordered_in(&world, BERLIN);
    pass(120 * MINUTE).await;
    assert_eq!(ordered_in(&world, BERLIN), before, "it gets no assignments");
    assert!(tries(&world, &acme, case).await.iter().all(|t| *t == (0, 0)));
    let now = world.case(&acme, case).await;
    assert!(
        task_in(&now, Kind::SnapshotAccess, &m365()).is_settled(),
        "what is reached from anywhere goes on"
    );
    assert_eq!(world.index(&other, elsewhere).await.unwrap().state, "closed");
    let shown = gates(&dispatcher).await;
    assert_eq!((shown.len(), shown[0].name.as_str()), (1, "away/ad/identity"));
    let since = shown[0].since.unwrap().since(gone);
    assert!(
        (0..=10 * SECOND).contains(&since),
        "away since {since} ms after they went"
    );
    let why = dispatcher.engine.view(&acme, case).await.unwrap();
    let words = why
        .tasks
        .iter()
        .find(|t| t.system == "ad" && t.kind == Kind::SnapshotAccess);
    assert!(words.unwrap().words.contains("site's workers are silent"), "{words:?}");

    let _berlin = stands_in(&world, BERLIN);
    let back = world.now();
    until("its work goes", 15 * SECOND, async || {
        ordered_in(&world, BERLIN) > before
    })
    .await;
    world.all_closed(MINUTE).await;
    assert!(world.now().since(back) < 30 * SECOND);
    // Nothing was tried in vain; what did not wait for the snapshot any longer was
    // looked at once more after it.
    let tries = tries(&world, &acme, case).await;
    assert!(
        tries.iter().all(|(n, spent)| (1..=2).contains(n) && *spent == 0),
        "{tries:?}"
    );
    assert_eq!(gates(&dispatcher).await, [], "it is away no more");
    dispatcher.is_idle().await;
}

/// The directory on the premises of a tenant whose accounts in the cloud are
/// copies of it.
fn hybrid(site: &str) -> Terms {
    const CLOUD: &[Kind] = &[
        Kind::Resolve,
        Kind::SnapshotAccess,
        Kind::DisableSignIn,
        Kind::ResetPassword,
        Kind::RevokeSessions,
        Kind::AwaitSynchronisation,
    ];
    const PREMISES: &[Kind] = &[
        Kind::ResolveOnPremises,
        Kind::DisableOnPremises,
        Kind::ResetPasswordOnPremises,
    ];
    let mut terms = terms_of(&[(m365(), CLOUD), (system("ad"), PREMISES)]);
    terms.sites.insert(system("ad"), site.to_owned());
    terms
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_disabled_in_the_cloud_at_once_and_on_the_premises_when_the_site_is_back() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), hybrid(BERLIN))]);
    let _closer = world.closer();
    let _worker = world.worker();
    let dispatcher = watching(world.dispatcher().await);
    pass(MINUTE).await;
    let case = submit(&world, &dispatcher, &acme, "COPY-1").await;
    pass(600 * MINUTE).await;
    let now = world.case(&acme, case).await;
    for kind in [Kind::DisableSignIn, Kind::RevokeSessions] {
        assert!(task(&now, kind).is_settled(), "{kind} waits for the site");
    }
    assert!(!now.has(Kind::ResetPassword), "the cloud would refuse it for a copy");
    assert!(!now.has(Kind::DisableOnPremises) && !now.all_settled());
    // One may have gone out before anybody knew that nobody is there.
    let tried = tries(&world, &acme, case).await;
    assert!(
        tried.iter().all(|(attempt, spent)| *attempt <= 1 && *spent == 0),
        "{tried:?}"
    );

    let _berlin = stands_in(&world, BERLIN);
    world.all_closed(10 * MINUTE).await;
    let now = world.case(&acme, case).await;
    for kind in [
        Kind::DisableOnPremises,
        Kind::ResetPasswordOnPremises,
        Kind::AwaitSynchronisation,
    ] {
        assert!(task(&now, kind).is_settled(), "{kind}");
    }
    assert_eq!(
        task(&now, Kind::DisableOnPremises).planned.target.object,
        Some("guid-1".into())
    );
    let watched = world.ordered(Kind::AwaitSynchronisation);
    let changed = watched[0].assignment.params.int(CHANGED_ON_PREMISES_MS);
    assert!(changed.is_some(), "the watch knows since when");
    let sought = world.ordered(Kind::ResolveOnPremises);
    let sought = &sought[0].assignment.params;
    assert_eq!(sought.text("on_premises_security_id"), Some("S-1-5-21-1-2-3-1104"));
    dispatcher.is_idle().await;
}

/// It was ordered before anybody could notice that nobody is there.
#[tokio::test(start_paused = true)]
async fn what_a_silent_site_never_began_costs_no_attempt() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), inside(BERLIN))]);
    let _closer = world.closer();
    let _worker = world.worker();
    let berlin = stands_in(&world, BERLIN);
    let dispatcher = watching(world.dispatcher().await);
    pass(15 * SECOND).await;
    drop(berlin);
    let case = submit(&world, &dispatcher, &acme, "HR-1").await;
    until("something to be ordered there", 15 * SECOND, async || {
        ordered_in(&world, BERLIN) > 0
    })
    .await;
    pass(120 * MINUTE).await;
    let tried = tries(&world, &acme, case).await;
    assert!(tried.iter().any(|(attempt, _)| *attempt == 1), "{tried:?}");
    assert!(
        tried.iter().all(|(attempt, spent)| *attempt <= 1 && *spent == 0),
        "{tried:?}"
    );
    let _berlin = stands_in(&world, BERLIN);
    world.all_closed(MINUTE).await;
    assert!(tries(&world, &acme, case).await.iter().all(|(_, spent)| *spent == 0));
    dispatcher.is_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_connects_again_was_never_away() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), inside(BERLIN))]);
    let berlin = stands_in(&world, BERLIN);
    let dispatcher = watching(world.dispatcher().await);
    pass(15 * SECOND).await;
    drop(berlin);
    for _ in 0..25 {
        pass(SECOND).await;
        assert_eq!(gates(&dispatcher).await, []);
    }
    let _berlin = stands_in(&world, BERLIN);
    for _ in 0..60 {
        pass(SECOND).await;
        assert_eq!(gates(&dispatcher).await, []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_site_stays_away_since_the_same_time_when_its_dispatcher_is_replaced() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), inside(BERLIN))]);
    let _closer = world.closer();
    let _worker = world.worker();
    drop_once_there(&world).await;
    let one = watching(world.dispatcher().await);
    until("it is away", MINUTE, async || gates(&one).await.len() == 1).await;
    let since = gates(&one).await[0].since;
    let case = submit(&world, &one, &acme, "HR-1").await;
    pass(MINUTE).await;
    one.die().await;
    // Longer than a look holds: nobody says any more that it is away.
    pass(2 * MINUTE).await;
    let two = world.engine();
    let before = ordered_in(&world, BERLIN);
    let two = watching(Dispatcher::over(two, |_, _| Vec::new()));
    two.engine.take_shard(0).await.unwrap();
    until("it is away again", 15 * SECOND, async || gates(&two).await.len() == 1).await;
    assert_eq!(gates(&two).await[0].since, since);
    pass(MINUTE).await;
    let more = ordered_in(&world, BERLIN) - before;
    assert!(
        more <= 1,
        "between two looks at most what was ready went out, not {more} orders"
    );
    let _reports = tokio::spawn(two.engine.clone().take_reports(0, two.stopped()));
    let _berlin = stands_in(&world, BERLIN);
    world.all_closed(30 * MINUTE).await;
    assert!(tries(&world, &acme, case).await.iter().all(|t| t.0 <= 2));
    assert_eq!(gates(&two).await, []);
}

/// Its queues are there, and nobody stands at them.
async fn drop_once_there(world: &World) {
    let berlin = stands_in(world, BERLIN);
    pass(SECOND).await;
    drop(berlin);
}
