//! Whoever can write to the queue of reports can prove nothing: a report that
//! does not prove that it answers its own assignment is buried, with the
//! reason, and changes no task; the true one counts as if nothing had been.

use crate::rig::*;
use offboard_domain::{Case, CaseId, FaultClass, Find, Kind, Report, Said, TaskState, TenantId};
use offboard_queue::{Message, Queue as _, QueueName};
use offboard_runtime::keys::{PROOF_HEADER, QUEUE_HEADER};

/// What a snapshot and a discovery can be lied about.
const KINDS: &[Kind] = &[Kind::Resolve, Kind::SnapshotAccess, Kind::DiscoverDevices];
const FORGED: &str = "forged: it does not prove that it answers its assignment";

/// One departure of each tenant, as far as snapshot and discovery are ordered.
async fn ordered(world: &World, dispatcher: &Dispatcher, tenants: &[&TenantId]) -> Vec<CaseId> {
    let mut cases = Vec::new();
    for tenant in tenants {
        let departure = world.departure(tenant, "HR-1");
        cases.push(dispatcher.engine.submit(departure).await.unwrap().case());
        world.answer(&world.order(tenant, Kind::Resolve).await).await;
        world.order(tenant, Kind::SnapshotAccess).await;
        world.order(tenant, Kind::DiscoverDevices).await;
    }
    cases
}

fn with(mut message: Message, header: &str, value: &str) -> Message {
    message.headers.insert(header.to_owned(), value.to_owned());
    message
}

fn signed_as(user: &str, message: Message) -> Message {
    with(message, SENDER, user)
}

pub(crate) async fn buried(world: &World) -> Vec<String> {
    let dead = world.queue.dead(1_000).await.unwrap();
    dead.into_iter().map(|(_, reason)| reason).collect()
}

/// Sends it, and sees it buried without a trace in the case.
async fn is_buried(world: &World, what: &str, message: Message, tenant: &TenantId, id: CaseId) {
    let before = (world.case(tenant, id).await, buried(world).await.len());
    let body = message.body.clone();
    world.send(tenant, message).await;
    until(&format!("{what} is buried"), MINUTE, async || {
        buried(world).await.len() > before.1
    })
    .await;
    let dead = world.queue.dead(1).await.unwrap();
    assert_eq!((&dead[0].0.body, dead[0].1.as_str()), (&body, FORGED), "{what}");
    let after = world.case(tenant, id).await;
    assert_eq!(after.version, before.0.version, "{what} was written down");
    assert_eq!(after.tasks, before.0.tasks, "{what}");
}

/// The snapshot and the discovery of the person's devices are settled.
fn both_are_settled(case: &Case) -> bool {
    task(case, Kind::SnapshotAccess).is_settled() && task(case, Kind::DiscoverDevices).is_settled()
}

#[tokio::test(start_paused = true)]
async fn a_report_that_does_not_prove_that_it_answers_its_assignment_is_buried() {
    let (acme, other) = (tenant("acme"), tenant("other"));
    let world = World::new([(acme.clone(), terms(KINDS)), (other.clone(), terms(KINDS))]);
    let dispatcher = world.dispatcher().await;
    let cases = ordered(&world, &dispatcher, &[&acme, &other]).await;
    let snapshot = world.order(&acme, Kind::SnapshotAccess).await;
    let discovery = world.order(&acme, Kind::DiscoverDevices).await;
    let foreign = world.order(&other, Kind::SnapshotAccess).await;
    let lie = Find {
        object: "somebody-elses".into(),
        ..laptop()
    };
    for order in [&snapshot, &discovery] {
        let another = if order.assignment.kind == Kind::DiscoverDevices {
            &snapshot
        } else {
            &discovery
        };
        let report = order.report(world.now(), truth(&order.assignment));
        let honest = order.message(&report);
        let body = honest.body.to_vec();
        let elsewhere = world
            .dispatch()
            .answer_to(&order.assignment, &another.queue.to_string());
        let queue_key = world.dispatch().queue(&another.queue.to_string());
        let headers = &order.message.headers;
        let mut changed = report.clone();
        match &mut changed.said {
            Said::Found { finds, .. } => finds.push(lie.clone()),
            Said::Satisfied { after, .. } => after.facts.set("enabled", false),
            _ => unreachable!("a discovery finds, a snapshot is satisfied"),
        }
        let foreigner = Report {
            said: report.said.clone(),
            ..foreign.report(world.now(), truth(&foreign.assignment))
        };
        let foreign_body = serde_json::to_vec(&foreigner).unwrap();
        let forged = [
            ("no proof", with(honest.clone(), PROOF_HEADER, "")),
            ("a proof that is none", with(honest.clone(), PROOF_HEADER, "zz")),
            ("no queue", with(honest.clone(), QUEUE_HEADER, "")),
            (
                "a proof of another assignment",
                message(body.clone(), &another.answer_key().prove(&body), &order.queue),
            ),
            (
                "the key of an answer through another queue",
                message(body.clone(), &elsewhere.prove(&body), &order.queue),
            ),
            (
                "another queue than it came through",
                with(honest.clone(), QUEUE_HEADER, &another.queue.to_string()),
            ),
            (
                "a queue's key, which proves orders",
                message(
                    body.clone(),
                    &queue_key.prove(&honest.id, &headers["offboard-answer-key"], &body),
                    &order.queue,
                ),
            ),
            (
                "a changed body",
                message(
                    serde_json::to_vec(&changed).unwrap(),
                    &honest.headers[PROOF_HEADER],
                    &order.queue,
                ),
            ),
            (
                "another tenant's case",
                message(
                    foreign_body.clone(),
                    &order.answer_key().prove(&foreign_body),
                    &order.queue,
                ),
            ),
        ];
        for (what, message) in forged {
            is_buried(&world, what, message.clone(), &acme, cases[0]).await;
            is_buried(&world, what, message, &other, cases[1]).await;
        }
    }
    world.answer(&snapshot).await;
    world.answer(&discovery).await;
    until("the true ones count", MINUTE, async || {
        both_are_settled(&world.case(&acme, cases[0]).await)
    })
    .await;
    let wipes = world.case(&acme, cases[0]).await;
    let wipes = wipes.tasks.values().filter(|t| t.kind() == Kind::WipeDevice).count();
    assert_eq!(wipes, 1, "only what was truly found");
}

#[tokio::test(start_paused = true)]
async fn a_true_report_of_one_attempt_proves_nothing_about_another() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(KINDS))]);
    let dispatcher = world.dispatcher().await;
    let case = ordered(&world, &dispatcher, &[&acme]).await[0];
    let first = world.order(&acme, Kind::SnapshotAccess).await;
    // He wrote it, and keeps it: it was true when it was proven.
    let kept = first.message(&first.report(world.now(), truth(&first.assignment)));
    world
        .answer_with(&first, fault(&first.assignment, FaultClass::Transient))
        .await;
    until("it is ordered again", 10 * MINUTE, async || {
        world.ordered(Kind::SnapshotAccess).len() == 2
    })
    .await;
    let second = world.order(&acme, Kind::SnapshotAccess).await;
    assert_eq!(second.assignment.attempt, 2);
    let report = second.report(world.now(), truth(&second.assignment));
    let body = serde_json::to_vec(&report).unwrap();
    for (what, proof) in [
        ("the old proof", kept.headers[PROOF_HEADER].clone()),
        ("the old key", first.answer_key().prove(&body)),
    ] {
        let message = message(body.clone(), &proof, &second.queue);
        is_buried(&world, what, message, &acme, case).await;
    }
    // The old one itself is true of its own attempt, and of no other.
    world.send(&acme, kept).await;
    pass(MINUTE).await;
    let now = world.case(&acme, case).await;
    assert!(
        matches!(task(&now, Kind::SnapshotAccess).state, TaskState::Assigned(a) if a.number == 2),
        "{:?}",
        task(&now, Kind::SnapshotAccess).state
    );
    world.answer(&second).await;
    until("the true one counts", MINUTE, async || {
        task(&world.case(&acme, case).await, Kind::SnapshotAccess).is_settled()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_true_report_that_comes_again_changes_nothing() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(KINDS))]);
    let dispatcher = world.dispatcher().await;
    let case = ordered(&world, &dispatcher, &[&acme]).await[0];
    let order = world.order(&acme, Kind::SnapshotAccess).await;
    let report = order.message(&order.report(world.now(), truth(&order.assignment)));
    world.send(&acme, report.clone()).await;
    until("it counts", MINUTE, async || {
        task(&world.case(&acme, case).await, Kind::SnapshotAccess).is_settled()
    })
    .await;
    let before = world.case(&acme, case).await.version;
    for _ in 0..3 {
        world.send(&acme, report.clone()).await;
    }
    pass(MINUTE).await;
    assert_eq!(world.case(&acme, case).await.version, before);
    assert_eq!(buried(&world).await, [""; 0], "it is true, and is acknowledged");
    assert_eq!(waiting(&world).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_true_report_that_comes_a_hundred_times_at_once_counts_once() {
    const COPIES: usize = 100;
    let (acme, other) = (tenant("acme"), tenant("other"));
    let world = World::new([(acme.clone(), terms(KINDS)), (other.clone(), terms(KINDS))]);
    let dispatcher = world.dispatcher().await;
    let cases = ordered(&world, &dispatcher, &[&acme, &other]).await;
    let order = world.order(&acme, Kind::SnapshotAccess).await;
    let report = order.message(&order.report(world.now(), truth(&order.assignment)));
    let reports = QueueName::Reports {
        shard: acme.shard(world.shards),
    };
    world.queue.publish(&reports, vec![report; COPIES]).await.unwrap();
    // The other's comes once.
    world.answer(&world.order(&other, Kind::SnapshotAccess).await).await;
    until("all are dealt with", MINUTE, async || waiting(&world).await == 0).await;
    pass(20 * SECOND).await;
    let (many, once) = (world.case(&acme, cases[0]).await, world.case(&other, cases[1]).await);
    for case in [&many, &once] {
        assert!(task(case, Kind::SnapshotAccess).is_settled());
    }
    assert_eq!(many.version, once.version, "what came often was written down often");
    assert_eq!(buried(&world).await, [""; 0], "it is true, and is acknowledged");
}

#[tokio::test(start_paused = true)]
async fn a_report_that_is_too_large_is_buried_unread_also_if_it_is_true() {
    /// What a report may have at most, in bytes.
    const MOST: usize = 4 * 1024 * 1024;
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(KINDS))]);
    let dispatcher = world.dispatcher().await;
    let case = ordered(&world, &dispatcher, &[&acme]).await[0];
    let order = world.order(&acme, Kind::SnapshotAccess).await;
    let report = order.report(world.now(), truth(&order.assignment));
    // True, proven, and with so many bytes: what is behind it is white.
    let of = |bytes: usize| {
        let mut body = serde_json::to_vec(&report).unwrap();
        body.resize(bytes, b' ');
        let proof = order.answer_key().prove(&body);
        message(body, &proof, &order.queue)
    };
    let before = world.case(&acme, case).await.version;
    world.send(&acme, of(MOST + 1)).await;
    until("it is buried", MINUTE, async || !buried(&world).await.is_empty()).await;
    let why = format!("not a report: it has {} bytes, more than {MOST}", MOST + 1);
    assert_eq!(buried(&world).await, [why]);
    assert_eq!(world.case(&acme, case).await.version, before);
    world.send(&acme, of(MOST)).await;
    until("one that is not too large counts", MINUTE, async || {
        task(&world.case(&acme, case).await, Kind::SnapshotAccess).is_settled()
    })
    .await;
}

/// Reports that nobody has dealt with.
async fn waiting(world: &World) -> u64 {
    let depths = world.queue.depths().await.unwrap();
    let reports = depths.iter().filter(|d| matches!(d.queue, QueueName::Reports { .. }));
    reports.map(|d| d.ready + d.unacknowledged.unwrap_or(0)).sum()
}

#[tokio::test(start_paused = true)]
async fn only_the_users_of_its_area_may_report_about_a_task() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(KINDS))]);
    let dispatcher = world.dispatcher().await;
    let case = ordered(&world, &dispatcher, &[&acme]).await[0];
    let mut lawful = ["offboard-worker-identity", "offboard-worker"].into_iter();
    for (kind, unlawful) in [
        (Kind::SnapshotAccess, "offboard-worker-device"),
        (Kind::DiscoverDevices, "offboard-worker-identity"),
    ] {
        let order = world.order(&acme, kind).await;
        let report = order.message(&order.report(world.now(), truth(&order.assignment)));
        for user in [
            "",
            unlawful,
            "offboard-site-berlin",
            "offboard-dispatcher",
            "offboard-closer",
        ] {
            let what = format!("{kind} as '{user}'");
            is_buried(&world, &what, signed_as(user, report.clone()), &acme, case).await;
        }
        let user = lawful.next().unwrap();
        world.send(&acme, signed_as(user, report)).await;
        until(&format!("{kind} as '{user}' counts"), MINUTE, async || {
            task(&world.case(&acme, case).await, kind).is_settled()
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_worker_of_its_site_may_report_about_a_sites_task() {
    let acme = tenant("acme");
    let mut inside = terms(KINDS);
    inside.sites.insert(m365(), "berlin".into());
    let world = World::new([(acme.clone(), inside)]);
    let dispatcher = world.dispatcher().await;
    let case = ordered_at_site(&world, &dispatcher, &acme).await;
    let order = world.order(&acme, Kind::SnapshotAccess).await;
    assert_eq!(order.queue.to_string(), "ob.v1.identity.urgent.berlin");
    let report = order.message(&order.report(world.now(), truth(&order.assignment)));
    for user in ["", "offboard-worker", "offboard-worker-identity", "offboard-site-ber"] {
        is_buried(
            &world,
            &format!("'{user}'"),
            signed_as(user, report.clone()),
            &acme,
            case,
        )
        .await;
    }
    world.send(&acme, signed_as("offboard-site-berlin", report)).await;
    until("his own counts", MINUTE, async || {
        task(&world.case(&acme, case).await, Kind::SnapshotAccess).is_settled()
    })
    .await;
}

async fn ordered_at_site(world: &World, dispatcher: &Dispatcher, tenant: &TenantId) -> CaseId {
    let departure = world.departure(tenant, "HR-1");
    let case = dispatcher.engine.submit(departure).await.unwrap().case();
    let order = world.order(tenant, Kind::Resolve).await;
    let report = order.message(&order.report(world.now(), truth(&order.assignment)));
    world.send(tenant, signed_as("offboard-site-berlin", report)).await;
    case
}
