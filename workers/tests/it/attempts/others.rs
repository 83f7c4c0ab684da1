//! What he holds on others' mailboxes, of which there may be more than one attempt can look at.

use crate::attempts::closing::round;
use crate::attempts::drive::{Desk, Todo, setting};
use crate::attempts::ends::{end, fact, list};
use crate::attempts::fake::State;
use crate::attempts::fake::state::LEAVER;
use offboard_domain::assignment::baseline_in;
use offboard_domain::{Facts, Fault, FaultClass, Kind, Lane, Report, Said};
use offboard_workers::attempt;

/// So many other mailboxes, and the leaver holds something on some of them.
fn with_others(many: usize, held: &[usize]) -> (State, Todo) {
    use offboard_connectors::{Attached, DelegationRight, Direction};
    let (mut state, todo) = setting(Kind::RemoveDelegations);
    let name = |n: usize| format!("o-{n:04}");
    state.other_mailboxes = (0..many).map(name).collect();
    state
        .attached
        .retain(|a| !matches!(a, Attached::Delegation(d) if d.direction == Direction::FromOther));
    let rights = [
        DelegationRight::FullAccess,
        DelegationRight::SendOnBehalf,
        DelegationRight::SendAs,
    ];
    for (n, right) in held.iter().zip(rights.into_iter().cycle()) {
        let held = crate::attempts::fake::state::delegation(Direction::FromOther, right, &name(*n));
        state.attached.push(held);
    }
    (state, todo)
}

/// On how many others' mailboxes he still holds something.
fn held_on_others(desk: &Desk) -> usize {
    let on_others = |a: &&offboard_connectors::Attached| a.key().contains(".from.");
    desk.fake.now().attached.iter().filter(on_others).count()
}

/// On whose mailboxes something was found, by the artifacts of all reports.
async fn recorded(desk: &Desk) -> Vec<String> {
    let mut whose = Vec::new();
    for artifact in desk.reports.iter().flat_map(|r| &r.artifacts) {
        assert_eq!(artifact.name, "snapshot.delegations");
        let bytes = desk.context.store.get(artifact.digest).await.unwrap();
        let found: Vec<serde_json::Value> = serde_json::from_slice(&bytes).unwrap();
        whose.extend(found.iter().map(|d| d["other"].as_str().unwrap().to_owned()));
    }
    whose.sort();
    whose.dedup();
    whose
}

/// What a report has asked of others' mailboxes.
fn asked_of_others(report: &Report) -> usize {
    let of_others = |r: &&offboard_domain::Receipt| r.request.contains("others' mailboxes");
    report.receipts.iter().filter(of_others).count()
}

/// Attempts at a task whose readings take time, until it is settled: how many, and
/// what was read last.
async fn in_slices(desk: &mut Desk, todo: &mut Todo) -> (usize, Facts) {
    in_slices_from(desk, todo, 0).await
}

/// The same, of which so many writes are of before.
async fn in_slices_from(desk: &mut Desk, todo: &mut Todo, before: usize) -> (usize, Facts) {
    for slices in 1..100 {
        todo.attempt += 1;
        let report = desk.once(todo).await;
        if !report.artifacts.is_empty() {
            let removed = desk.writes()[before..].iter().any(|w| w.contains(".from."));
            assert!(!removed, "it is recorded before anything is removed");
        }
        match report.said {
            Said::Progress { checkpoint } => {
                let seen = report.seen.unwrap().facts;
                if seen.int("mailboxes_in_all") != seen.int("mailboxes_looked_at") {
                    assert_eq!(seen.get("delegations"), None, "not all were looked at: {seen:?}");
                }
                todo.checkpoint = Some(checkpoint);
            }
            Said::Satisfied { after, .. } => return (slices, after.facts),
            said => panic!("{said:?}"),
        }
    }
    panic!("it does not end");
}

#[tokio::test(start_paused = true)]
async fn the_snapshot_asks_nothing_of_others_mailboxes_however_many_there_are() {
    let mut reads = Vec::new();
    for many in [0, 500] {
        let (_, todo) = setting(Kind::SnapshotMailbox);
        let (state, _) = with_others(many, &[]);
        let report = Desk::new(state).once(&todo).await;
        assert!(matches!(report.said, Said::Satisfied { .. }), "{:?}", report.said);
        assert_eq!(asked_of_others(&report), 0);
        reads.push(report.receipts.len());
    }
    assert_eq!(reads[0], reads[1]);
}

#[tokio::test(start_paused = true)]
async fn of_more_mailboxes_than_an_attempt_can_look_at_each_is_looked_at_and_cleared() {
    let (state, mut todo) = with_others(300, &[3, 150, 151, 299]);
    let mut desk = Desk::new(state);
    desk.fake.lock().slow = std::time::Duration::from_secs(20);
    let (slices, after) = in_slices(&mut desk, &mut todo).await;
    assert!(slices > 4, "{slices} slices");
    assert_eq!(after.get("delegations"), Some(&list(&[])));
    assert_eq!(after.int("mailboxes_looked_at"), Some(300));
    let whose = ["o-0003", "o-0150", "o-0151", "o-0299"];
    assert_eq!(after.get("found_on"), Some(&list(&whose)));
    assert_eq!(recorded(&desk).await, whose);
    assert_eq!(held_on_others(&desk), 0);
}

/// What there was before comes in parts, both ways: the case puts them together.
#[tokio::test(start_paused = true)]
async fn whatever_is_removed_was_told_of_by_who_removed_it() {
    let held: Vec<usize> = (0..80).collect();
    let (state, todo) = with_others(120, &held);
    let (desk, _) = end(state, todo).await;
    let mut told: Vec<String> = Vec::new();
    for report in &desk.reports {
        let first = match &report.said {
            Said::Progress { checkpoint } => baseline_in(checkpoint),
            Said::Wait { checkpoint, .. } => checkpoint.as_ref().and_then(baseline_in),
            Said::Satisfied { before, .. } => Some(before.clone()),
            _ => report.remembered.as_ref().and_then(baseline_in),
        };
        let keys = first.as_ref().and_then(|seen| seen.facts.list("delegations"));
        told.extend(keys.unwrap_or_default().iter().cloned());
    }
    told.sort();
    told.dedup();
    let writes = desk.writes();
    let keys = writes
        .iter()
        .filter_map(|w| w.strip_prefix("detach ")?.split(' ').next());
    let mut removed: Vec<&str> = keys.collect();
    removed.sort_unstable();
    removed.dedup();
    assert_eq!(told, removed);
    for way in [".to.", ".from."] {
        assert!(told.iter().any(|key| key.contains(way)), "{way}: {told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn more_delegations_than_an_attempt_can_remove_go_in_parts() {
    let held: Vec<usize> = (0..80).collect();
    let (state, todo) = with_others(120, &held);
    let (desk, end) = end(state, todo).await;
    assert_eq!(fact(&end, "delegations"), list(&[]));
    assert_eq!(recorded(&desk).await.len(), 80);
    assert_eq!(held_on_others(&desk), 0);
    let from = desk.writes().iter().filter(|w| w.contains(".from.")).count();
    assert_eq!(from, 80, "each is removed once");
    let parts = desk.reports.iter().filter(|r| matches!(r.said, Said::Progress { .. }));
    assert!(parts.count() >= 2);
}

#[tokio::test(start_paused = true)]
async fn a_pass_whose_list_the_store_has_lost_is_begun_anew() {
    let (state, mut todo) = with_others(300, &[5, 290]);
    let mut desk = Desk::new(state);
    desk.fake.lock().slow = std::time::Duration::from_secs(20);
    for _ in 0..4 {
        todo.attempt += 1;
        let Said::Progress { checkpoint } = desk.once(&todo).await.said else {
            panic!("it was to be begun only")
        };
        todo.checkpoint = Some(checkpoint);
    }
    let looked_at = |todo: &Todo| todo.checkpoint.as_ref().unwrap().int("others_looked_at").unwrap();
    assert!(looked_at(&todo) > 0);
    desk.context.store = offboard_store::Store::memory();
    desk.reports.clear();
    let (slices, after) = in_slices(&mut desk, &mut todo).await;
    assert!(slices > 4, "it looked at all of them again: {slices} slices");
    assert_eq!(after.int("mailboxes_looked_at"), Some(300));
    assert_eq!(recorded(&desk).await, ["o-0005", "o-0290"]);
    assert_eq!(held_on_others(&desk), 0);
}

/// Attempts until one meets a fault; none was there to wait for.
async fn until_fault(desk: &mut Desk, todo: &mut Todo) -> Fault {
    for _ in 0..50 {
        todo.attempt += 1;
        let report = desk.once(todo).await;
        if report.remembered.is_some() {
            todo.checkpoint.clone_from(&report.remembered);
        }
        match report.said {
            Said::Progress { checkpoint } => todo.checkpoint = Some(checkpoint),
            Said::Fault { fault } => return fault,
            said => panic!("{said:?}"),
        }
    }
    panic!("it meets no fault");
}

/// Attempts until something was found on so many mailboxes, if there is still much to do then.
async fn until_recorded(desk: &mut Desk, todo: &mut Todo, mailboxes: usize) {
    for _ in 0..50 {
        todo.attempt += 1;
        let Said::Progress { checkpoint } = desk.once(todo).await.said else {
            panic!("nothing ends here")
        };
        todo.checkpoint = Some(checkpoint);
        if recorded(desk).await.len() == mailboxes {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_others_hold_on_his_mailbox_goes_before_anybody_looks_at_theirs() {
    let (state, mut todo) = with_others(300, &[5]);
    let mut desk = Desk::new(state);
    desk.fake.lock().slow = std::time::Duration::from_secs(20);
    let on_his = |a: &offboard_connectors::Attached| a.key().contains(".to.u-other");
    // Who can open it or send as it, then who can open a folder of it.
    for key in ["full_access.to.u-other", "calendar.to.u-other"] {
        assert!(desk.fake.now().attached.iter().any(on_his));
        todo.attempt += 1;
        let report = desk.once(&todo).await;
        assert_eq!(asked_of_others(&report), 0);
        assert!(!desk.fake.now().attached.iter().any(|a| a.key() == key), "{key}");
        let Said::Progress { checkpoint } = report.said else {
            panic!("{:?}", report.said)
        };
        todo.checkpoint = Some(checkpoint);
    }
    assert!(!desk.fake.now().attached.iter().any(on_his));
    let (_, after) = in_slices(&mut desk, &mut todo).await;
    assert_eq!(after.get("delegations"), Some(&list(&[])));
}

#[tokio::test(start_paused = true)]
async fn one_mailbox_that_cannot_be_read_keeps_no_other_from_being_looked_at() {
    for held in [&[][..], &[12], &[0, 30], &[0, 12, 30]] {
        let (state, mut todo) = with_others(45, held);
        let mut desk = Desk::new(state);
        desk.fake.lock().unreadable.insert("o-0012".to_owned());
        let (on_it, readable): (Vec<usize>, Vec<usize>) = held.iter().partition(|n| **n == 12);
        let names = |of: &[usize]| of.iter().map(|n| format!("o-{n:04}")).collect::<Vec<_>>();
        let fault = until_fault(&mut desk, &mut todo).await;
        assert_eq!(fault.class, FaultClass::Transient);
        assert!(fault.detail.contains("could not: o-0012: "), "{fault}");
        assert!(todo.attempt < 10, "{} attempts", todo.attempt);
        // The others were, and what he held there is gone and on record.
        assert_eq!(recorded(&desk).await, names(&readable));
        assert_eq!(held_on_others(&desk), on_it.len());

        desk.fake.lock().unreadable.clear();
        desk.reports.clear();
        let writes = desk.writes().len();
        let (_, after) = in_slices_from(&mut desk, &mut todo, writes).await;
        assert_eq!(after.get("delegations"), Some(&list(&[])));
        assert_eq!(held_on_others(&desk), 0);
        assert_eq!(recorded(&desk).await, names(&on_it));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_read_again_keeps_what_was_found_on_others_from_nobody() {
    let held: Vec<usize> = (0..45).collect();
    let (state, mut todo) = with_others(45, &held);
    let mut desk = Desk::new(state);
    // It was read once, and is not when it is to be removed.
    until_recorded(&mut desk, &mut todo, 45).await;
    desk.fake.lock().unreadable.insert("o-0003".to_owned());
    let fault = until_fault(&mut desk, &mut todo).await;
    assert!(fault.detail.contains("could not: o-0003: "), "{fault}");
    assert_eq!(held_on_others(&desk), 1);
    desk.fake.lock().unreadable.clear();
    let writes = desk.writes().len();
    desk.reports.clear();
    let (_, after) = in_slices_from(&mut desk, &mut todo, writes).await;
    assert_eq!(after.get("delegations"), Some(&list(&[])));
    assert_eq!(held_on_others(&desk), 0);
}

#[tokio::test(start_paused = true)]
async fn one_mailbox_that_never_answers_keeps_no_other_from_being_looked_at() {
    let (state, mut todo) = with_others(45, &[0, 30]);
    let mut desk = Desk::new(state);
    desk.fake.lock().hanging.insert("o-0012".to_owned());
    let fault = until_fault(&mut desk, &mut todo).await;
    assert!(fault.detail.contains("could not: o-0012: "), "{fault}");
    assert_eq!(held_on_others(&desk), 0);
    desk.fake.lock().hanging.clear();
    desk.reports.clear();
    let writes = desk.writes().len();
    let (_, after) = in_slices_from(&mut desk, &mut todo, writes).await;
    assert_eq!(after.get("delegations"), Some(&list(&[])));
}

#[tokio::test(start_paused = true)]
async fn one_that_stops_answering_keeps_what_was_found_on_others_from_nobody() {
    let held: Vec<usize> = (0..25).collect();
    let (state, mut todo) = with_others(45, &held);
    let mut desk = Desk::new(state);
    until_recorded(&mut desk, &mut todo, 25).await;
    desk.fake.lock().hanging.insert("o-0003".to_owned());
    let fault = until_fault(&mut desk, &mut todo).await;
    assert!(fault.detail.contains("could not: o-0003: "), "{fault}");
    assert_eq!(held_on_others(&desk), 1);
}

#[tokio::test(start_paused = true)]
async fn too_many_folders_to_be_asked_are_for_a_person_when_all_else_is_removed() {
    let (state, mut todo) = with_others(45, &[0, 30]);
    let mut desk = Desk::new(state);
    desk.fake.lock().too_many_folders = true;
    let fault = until_fault(&mut desk, &mut todo).await;
    assert_eq!(fault.class, FaultClass::Blocked, "{fault}");
    assert_eq!(held_on_others(&desk), 0);
    let key = |a: &offboard_connectors::Attached| a.key().starts_with("full_access.to.u-other");
    assert!(!desk.fake.now().attached.iter().any(key));
    // Nor does it keep the plan from being approved: the snapshot says so and goes on.
    let (state, todo) = setting(Kind::SnapshotMailbox);
    let mut desk = Desk::new(state);
    desk.fake.lock().too_many_folders = true;
    let said = desk.once(&todo).await.said;
    let Said::Satisfied { after, .. } = said else {
        panic!("{said:?}")
    };
    assert_eq!(after.facts.text("delegations_by_folder"), Some("not read"));
}

#[tokio::test(start_paused = true)]
async fn a_system_that_is_down_makes_no_mailbox_unreadable() {
    let (state, mut todo) = with_others(45, &[44]);
    let mut desk = Desk::new(state);
    todo.checkpoint = Some(Facts::new().with("his_done", true));
    let down = (0..45).map(|n| format!("o-{n:04}")).chain([LEAVER.to_owned()]);
    desk.fake.lock().unreadable.extend(down);
    until_fault(&mut desk, &mut todo).await;
    let looked_at = todo.checkpoint.as_ref().unwrap().int("others_looked_at");
    assert_eq!(looked_at.unwrap_or(0), 0, "none of them was looked at");
    desk.fake.lock().unreadable.clear();
    let (_, after) = in_slices(&mut desk, &mut todo).await;
    assert_eq!(after.int("mailboxes_looked_at"), Some(45));
    assert_eq!(after.get("found_on"), Some(&list(&["o-0044"])));
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_ends_a_slice_is_left_alone_as_long_as_it_says() {
    let (state, mut todo) = with_others(300, &[44, 290]);
    let mut desk = Desk::new(state);
    todo.checkpoint = Some(Facts::new().with("his_done", true));
    let retry_after_ms = Some(300_000);
    desk.fake.lock().others_stop = Some((3, FaultClass::Throttled { retry_after_ms }));
    let now = desk.now();
    let Said::Progress { checkpoint } = desk.once(&todo).await.said else {
        panic!("it has come further")
    };
    assert_eq!(checkpoint.int("others_looked_at"), Some(30));
    todo.checkpoint = Some(checkpoint);
    todo.attempt += 1;
    let report = desk.once(&todo).await;
    assert!(report.receipts.is_empty(), "nothing is asked: {:?}", report.receipts);
    let Said::Wait { until, checkpoint, .. } = report.said else {
        panic!("it is to be waited")
    };
    assert!((300_000..360_000).contains(&until.since(now)), "{until}");
    todo.checkpoint = checkpoint;
    desk.fake.clock.to(until);
    let (_, after) = in_slices(&mut desk, &mut todo).await;
    assert_eq!(after.get("found_on"), Some(&list(&["o-0044", "o-0290"])));
}

#[tokio::test(start_paused = true)]
async fn a_death_at_any_await_of_a_pass_leaves_no_delegation_and_none_unrecorded() {
    let (state, todo) = with_others(45, &[0, 11, 12, 44]);
    for n in 1.. {
        let mut polls = n;
        let mut desk = Desk::new(state.clone());
        let end = desk.settle(todo.clone(), &mut polls).await;
        assert_eq!(fact(&end, "delegations"), list(&[]), "death at {n}");
        assert_eq!(held_on_others(&desk), 0, "death at {n}");
        assert_eq!(recorded(&desk).await.len(), 4, "death at {n}");
        if polls != 0 {
            assert!(n > 20, "a pass has awaits");
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_closing_round_reads_those_mailboxes_again_on_which_something_was_found() {
    for held in [&[][..], &[7]] {
        let (mut state, _) = with_others(300, held);
        state.attached.retain(|a| a.key().contains(".from."));
        let desk = Desk::new(state);
        let mut assignment = round(&desk, &[Kind::RemoveDelegations]);
        assignment.checks[0]
            .params
            .set("found_on", vec!["o-0007".to_owned(), "o-0009".to_owned()]);
        let report = attempt(&assignment, Lane::Normal, false, &desk.context).await;
        assert_eq!(asked_of_others(&report), 0, "no mailbox besides");
        let Said::Checked { results } = report.said else {
            panic!("{:?}", report.said)
        };
        let facts = &results[0].observation.facts;
        let keys: &[&str] = if held.is_empty() {
            &[]
        } else {
            &["full_access.from.o-0007"]
        };
        assert_eq!(facts.get("delegations"), Some(&list(keys)));
        assert_eq!(
            facts.text("others_read_again"),
            Some("those on which something was found")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_closing_round_that_comes_no_further_is_a_fault() {
    let (mut state, _) = with_others(300, &[]);
    state.attached.retain(|a| a.key().contains(".from."));
    let desk = Desk::new(state);
    {
        let mut world = desk.fake.lock();
        world.slow = std::time::Duration::from_secs(20);
        world.unreadable.insert("o-0000".to_owned());
    }
    let mut assignment = round(&desk, &[Kind::RemoveDelegations]);
    let told: Vec<String> = (0..200).map(|n| format!("o-{n:04}")).collect();
    assignment.checks[0].params.set("found_on", told);
    for _ in 0..60 {
        match attempt(&assignment, Lane::Normal, false, &desk.context).await.said {
            Said::Progress { checkpoint } => assignment.checkpoint = Some(checkpoint),
            Said::Fault { fault } => {
                assert_eq!(fault.class, FaultClass::Transient, "{fault}");
                return;
            }
            said => panic!("{said:?}"),
        }
    }
    panic!("it reads the same again and again");
}

#[tokio::test(start_paused = true)]
async fn a_closing_round_that_is_not_told_where_something_was_found_looks_at_all_in_slices() {
    let (mut state, _) = with_others(300, &[299]);
    state.attached.retain(|a| a.key().contains(".from."));
    let desk = Desk::new(state);
    desk.fake.lock().slow = std::time::Duration::from_secs(20);
    let mut assignment = round(&desk, &[Kind::RemoveDelegations]);
    let mut waits = 0;
    let results = loop {
        let report = attempt(&assignment, Lane::Normal, false, &desk.context).await;
        match report.said {
            Said::Progress { checkpoint } => {
                waits += 1;
                assert!(waits < 50, "it does not end");
                assignment.checkpoint = Some(checkpoint);
            }
            Said::Checked { results } => break results,
            said => panic!("{said:?}"),
        }
    };
    assert!(waits > 3, "{waits} slices");
    let facts = &results[0].observation.facts;
    assert_eq!(facts.get("delegations"), Some(&list(&["full_access.from.o-0299"])));
    assert!(desk.writes().is_empty());
}
