//! Who stands at a site serves some areas of it: the others' silence is told all the
//! same, and which sites there are may change while dispatchers run.

use crate::rig::*;
use offboard_dispatcher::control::{Gate, Request, Response, handle};
use offboard_dispatcher::tenants::{Tenants, Terms};
use offboard_domain::{Area, Kind, Lane, TenantId};
use offboard_queue::{Consumer, Queue as _, QueueName};

const BERLIN: &str = "berlin";

/// One system inside, whose work is of two areas.
fn inside() -> Terms {
    let mut terms = terms_of(&[
        (m365(), CUT),
        (system("ad"), &[Kind::SnapshotAccess, Kind::DiscoverDevices]),
    ]);
    terms.sites.insert(system("ad"), BERLIN.to_owned());
    terms
}

fn watching(mut dispatcher: Dispatcher) -> Dispatcher {
    let stop = dispatcher.stopped();
    dispatcher.also(dispatcher.engine.clone().watch_sites(stop));
    dispatcher
}

/// Somebody who serves one area there, and answers nothing.
async fn stands_at(world: &World, area: Area) -> Vec<Box<dyn Consumer>> {
    let mut consumers = Vec::new();
    for lane in [Lane::Urgent, Lane::Normal] {
        let site = Some(BERLIN.to_owned());
        let queue = QueueName::Assignments { area, lane, site };
        consumers.push(world.queue.consume(&queue, 64).await.unwrap());
    }
    consumers
}

/// The gates that are shut, by name, and since when.
async fn shut(dispatcher: &Dispatcher) -> Vec<(String, i64)> {
    match handle(&dispatcher.engine, Request::Gates).await {
        Response::Gates(gates) => {
            let since = |gate: &Gate| gate.since.unwrap().since(T0);
            gates.iter().map(|gate| (gate.name.clone(), since(gate))).collect()
        }
        other => panic!("{other:?}"),
    }
}

async fn names(dispatcher: &Dispatcher) -> Vec<String> {
    shut(dispatcher).await.into_iter().map(|(name, _)| name).collect()
}

/// What is shown of it: which areas of which sites are away, and since when.
fn shown(dispatcher: &Dispatcher) -> Vec<(String, Area, i64)> {
    let away = dispatcher.engine.sites_away().into_iter();
    away.map(|((site, area), since)| (site, area, since.since(T0)))
        .collect()
}

/// Of which areas something was ordered inside.
fn ordered(world: &World, tenant: &TenantId) -> Vec<Area> {
    let orders = world.queue.orders().into_iter();
    let inside = orders.filter(|o| o.assignment.tenant == *tenant && o.assignment.target.system == system("ad"));
    inside.map(|o| o.assignment.kind.spec().area).collect()
}

#[tokio::test(start_paused = true)]
async fn who_serves_one_area_of_a_site_does_not_hide_that_another_is_silent() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), inside())]);
    let _worker = world.worker();
    let devices = stands_at(&world, Area::Device).await;
    let accounts = stands_at(&world, Area::Identity).await;
    let dispatcher = watching(world.dispatcher().await);
    pass(2 * MINUTE).await;
    assert_eq!(names(&dispatcher).await, [""; 0]);
    assert!(shown(&dispatcher).is_empty());

    drop(accounts);
    let gone = world.now().since(T0);
    pass(2 * MINUTE).await;
    let away = shut(&dispatcher).await;
    assert_eq!((away.len(), away[0].0.as_str()), (1, "away/ad/identity"));
    assert!(
        (gone..=gone + 10 * SECOND).contains(&away[0].1),
        "{away:?}, gone {gone}"
    );
    assert_eq!(shown(&dispatcher), [(BERLIN.to_owned(), Area::Identity, away[0].1)]);
    let departure = world.departure(&acme, "HR-1");
    dispatcher.engine.submit(departure).await.unwrap();
    pass(2 * MINUTE).await;
    assert_eq!(ordered(&world, &acme), [Area::Device], "only where somebody is");

    // The two change over; each is told by itself.
    let _accounts = stands_at(&world, Area::Identity).await;
    drop(devices);
    pass(2 * MINUTE).await;
    assert_eq!(names(&dispatcher).await, ["away/ad/device"]);
    assert_eq!(ordered(&world, &acme), [Area::Device, Area::Identity]);
}

#[tokio::test(start_paused = true)]
async fn a_site_that_comes_with_the_configuration_is_watched_and_one_that_goes_is_forgotten() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(CUT))]);
    let dispatcher = watching(world.dispatcher().await);
    pass(MINUTE).await;
    let reconfigure = |terms: Terms| {
        let tenants = Tenants::new([(acme.clone(), terms)].into());
        dispatcher.engine.reconfigure(&tenants);
    };
    reconfigure(inside());
    let since = world.now().since(T0);
    pass(MINUTE).await;
    // Nobody ever stood there: its queues are known to nobody.
    let away = shut(&dispatcher).await;
    let named: Vec<&str> = away.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(named, ["away/ad/device", "away/ad/identity"]);
    assert!(
        away.iter().all(|(_, at)| (since..=since + 10 * SECOND).contains(at)),
        "{away:?}"
    );
    let _devices = stands_at(&world, Area::Device).await;
    pass(MINUTE).await;
    assert_eq!(names(&dispatcher).await, ["away/ad/identity"]);
    // Its system is reached from anywhere from now on.
    reconfigure(terms(CUT));
    pass(MINUTE).await;
    assert_eq!(names(&dispatcher).await, [""; 0]);
    assert!(shown(&dispatcher).is_empty());
    let gates = dispatcher.engine.gates_of(&acme).await.unwrap();
    assert!(!gates.keys().any(|name| name.contains("away")), "{gates:?}");
}
