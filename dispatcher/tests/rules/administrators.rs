//! Who administers a tenant and leaves it counts for nobody else who leaves it, too:
//! a client is not locked out because two of his go at the same moment.

use crate::rig::*;
use offboard_domain::catalogue::{LEAVING, MARKED, ROLES_OPEN};
use offboard_domain::leaving::MARK;
use offboard_domain::{Assignment, CaseId, Command, FaultClass, Kind, Said, TaskState, TenantId};
use offboard_ledger::{GateChange, Ledger as _};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

const BOSS: &str = "boss@msp.example";

/// Who administers the tenant outside.
#[derive(Clone)]
struct Administrators(Arc<Mutex<BTreeSet<String>>>);

impl Administrators {
    fn of(ids: &[&str]) -> Self {
        Self(Arc::new(Mutex::new(ids.iter().map(|id| (*id).to_owned()).collect())))
    }

    fn left(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().cloned().collect()
    }

    /// What a worker says who looks whether somebody else administers it.
    fn says(&self, a: &Assignment) -> Said {
        let mut said = truth(a);
        if let (Kind::Resolve, Said::Satisfied { before, after }) = (a.kind, &mut said) {
            before.facts.set("role_count", 1);
            after.facts.set("role_count", 1);
        }
        if a.kind == Kind::RemoveDirectoryRoles || a.params.bool(ROLES_OPEN) == Some(true) {
            let own = &a.subject.0[&a.target.system].0;
            let leaving = a.params.list(LEAVING).unwrap_or_default();
            let mut all = self.0.lock().unwrap();
            let another = all.iter().any(|id| id != own && !leaving.contains(id));
            if all.contains(own) && !another {
                return fault(a, FaultClass::Blocked);
            }
            all.remove(own);
        }
        said
    }
}

async fn submit(world: &World, dispatcher: &Dispatcher, tenant: &TenantId, reference: &str) -> CaseId {
    let departure = world.departure(tenant, reference);
    dispatcher.engine.submit(departure).await.unwrap().case()
}

/// The marks of a tenant that hold.
async fn marks(world: &World, tenant: &TenantId) -> Vec<String> {
    let there = world.ledger.inner.gates(tenant, Vec::new()).await.unwrap();
    let hold = there
        .into_iter()
        .filter(|(name, until)| name.starts_with(MARK) && *until > world.now());
    hold.map(|(name, _)| name).collect()
}

/// The ledger loses them.
async fn lose_marks(world: &World, tenant: &TenantId) {
    let lost = marks(world, tenant).await.into_iter();
    let changes = lost.map(|name| GateChange { name, until: None }).collect();
    world.ledger.inner.gates(tenant, changes).await.unwrap();
}

/// Whether a person is to deal with his roles, and with his sign-in.
async fn is_for_a_person(world: &World, tenant: &TenantId, case: CaseId) -> bool {
    let case = world.case(tenant, case).await;
    let failed = |kind: Kind| find(&case, kind).is_some_and(|t| matches!(t.state, TaskState::Failed { .. }));
    failed(Kind::RemoveDirectoryRoles) && failed(Kind::DisableSignIn)
}

#[tokio::test(start_paused = true)]
async fn two_who_leave_at_the_same_moment_do_not_count_on_each_other() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(CUT))]);
    let there = Administrators::of(&["id-hr-1", "id-hr-2"]);
    let _closer = world.closer();
    let worker = there.clone();
    let _worker = world.worker_who(SECOND, move |a| Some(worker.says(a)));
    let dispatcher = world.dispatcher().await;
    let first = submit(&world, &dispatcher, &acme, "HR-1").await;
    let second = submit(&world, &dispatcher, &acme, "HR-2").await;
    until("both are for a person", 30 * MINUTE, async || {
        is_for_a_person(&world, &acme, first).await && is_for_a_person(&world, &acme, second).await
    })
    .await;
    assert_eq!(there.left(), ["id-hr-1", "id-hr-2"]);
    assert_eq!(marks(&world, &acme).await.len(), 2);

    // The one stays after all; then the other may go.
    let command = Command::Cancel {
        by: BOSS.to_owned(),
        reason: "he stays".to_owned(),
    };
    dispatcher.engine.order(&acme, second, command).await.unwrap();
    pass(61 * MINUTE).await;
    let marked = marks(&world, &acme).await;
    assert_eq!(marked, [format!("{MARK}{first}/m365/id-hr-1")]);
    let command = Command::Retry {
        task: None,
        by: BOSS.to_owned(),
    };
    dispatcher.engine.order(&acme, first, command).await.unwrap();
    until("he is gone", 30 * MINUTE, async || {
        world.index(&acme, first).await.unwrap().state == "closed"
    })
    .await;
    assert_eq!(there.left(), ["id-hr-2"]);
    let last = world.ordered(Kind::RemoveDirectoryRoles).pop().unwrap();
    assert_eq!(last.assignment.params.get(LEAVING), None);
    pass(61 * MINUTE).await;
    assert_eq!(marks(&world, &acme).await, Vec::<String>::new());
    dispatcher.is_idle().await;
}

#[tokio::test(start_paused = true)]
async fn both_go_where_somebody_stays() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(CUT))]);
    let there = Administrators::of(&["id-hr-1", "id-hr-2", "id-stays"]);
    let _closer = world.closer();
    let worker = there.clone();
    let _worker = world.worker_who(SECOND, move |a| Some(worker.says(a)));
    let dispatcher = world.dispatcher().await;
    for reference in ["HR-1", "HR-2"] {
        submit(&world, &dispatcher, &acme, reference).await;
    }
    world.all_closed(30 * MINUTE).await;
    assert_eq!(there.left(), ["id-stays"]);
    assert!(
        world.ordered(Kind::RemoveDirectoryRoles).iter().all(|o| o
            .assignment
            .params
            .list(LEAVING)
            .is_some_and(|l| l.len() == 1)),
        "each was told of the other"
    );
}

/// Who leaves, too, owns no group for long.
#[tokio::test(start_paused = true)]
async fn who_hands_groups_over_is_told_who_else_leaves() {
    const GROUPS: &[Kind] = &[Kind::HandOverGroups, Kind::RemoveGroupOwnerships];
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(&[CUT, GROUPS].concat()))]);
    let there = Administrators::of(&["id-hr-1", "id-hr-2", "id-stays"]);
    let _worker = world.worker_who(SECOND, move |a| Some(there.says(a)));
    let dispatcher = world.dispatcher().await;
    for reference in ["HR-1", "HR-2"] {
        submit(&world, &dispatcher, &acme, reference).await;
    }
    for kind in GROUPS {
        until("both are told", 30 * MINUTE, async || world.ordered(*kind).len() >= 2).await;
        let orders = world.ordered(*kind);
        let is_told = |a: &Assignment| a.params.list(LEAVING).is_some_and(|others| others.len() == 1);
        assert!(orders.iter().all(|o| is_told(&o.assignment)), "{kind}");
    }
    drop(dispatcher);
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_is_lost_is_written_by_the_next_owner_and_before_it_matters() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(CUT))]);
    let there = Administrators::of(&["id-hr-1", "id-hr-2"]);
    let dispatcher = world.dispatcher().await;
    for reference in ["HR-1", "HR-2"] {
        submit(&world, &dispatcher, &acme, reference).await;
    }
    for order in world.ordered(Kind::Resolve) {
        world.answer_with(&order, there.says(&order.assignment)).await;
    }
    until("both are marked", MINUTE, async || {
        marks(&world, &acme).await.len() == 2 && world.ordered(Kind::SnapshotAccess).len() == 2
    })
    .await;
    dispatcher.die().await;
    lose_marks(&world, &acme).await;
    let dispatcher = world.dispatcher().await;
    assert_eq!(marks(&world, &acme).await.len(), 2, "by who takes the cases up");

    // Now its memory has them, and the ledger has not.
    lose_marks(&world, &acme).await;
    for order in &world.ordered(Kind::SnapshotAccess)[..2] {
        world.answer(order).await;
    }
    until("both are to lose their roles", MINUTE, async || {
        world.ordered(Kind::RemoveDirectoryRoles).len() == 2
    })
    .await;
    let orders = world.ordered(Kind::RemoveDirectoryRoles);
    let told = orders.iter().filter(|o| o.assignment.params.get(LEAVING).is_some());
    assert!(told.count() >= 1, "of two, one knows of the other");
    assert_eq!(marks(&world, &acme).await.len(), 2);
    drop(dispatcher);
}

#[tokio::test(start_paused = true)]
async fn two_who_were_promoted_after_they_were_recorded_are_told_of_each_other_before_either_loses_it() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(CUT))]);
    let dispatcher = world.dispatcher().await;
    for reference in ["HR-1", "HR-2"] {
        submit(&world, &dispatcher, &acme, reference).await;
    }
    for kind in [Kind::Resolve, Kind::SnapshotAccess] {
        until("both are to be read", MINUTE, async || world.ordered(kind).len() == 2).await;
        for order in world.ordered(kind) {
            world.answer(&order).await;
        }
    }
    let orders = || world.ordered(Kind::RemoveDirectoryRoles);
    until("both are to lose their roles", MINUTE, async || orders().len() == 2).await;
    assert_eq!(marks(&world, &acme).await, Vec::<String>::new());
    for order in orders() {
        assert_eq!(order.assignment.params.bool(MARKED), Some(false));
        let wait = Said::Wait {
            until: world.now().plus(SECOND),
            why: "he administers the tenant".into(),
            checkpoint: None,
        };
        let mut report = order.report(world.now(), wait);
        let mut read = seen(Kind::RemoveDirectoryRoles, &order.assignment.params, false);
        read.facts.set("role_ids", vec!["r-1".to_owned()]);
        report.seen = Some(read);
        world.send(&acme, order.message(&report)).await;
    }
    until("both are ordered again", MINUTE, async || orders().len() == 4).await;
    let again = orders().split_off(2);
    assert!(again.iter().all(|o| o.assignment.params.bool(MARKED) == Some(true)));
    let told = again.iter().filter(|o| o.assignment.params.get(LEAVING).is_some());
    assert!(told.count() >= 1, "of two, one knows of the other");
    assert_eq!(marks(&world, &acme).await.len(), 2);
    drop(dispatcher);
}
