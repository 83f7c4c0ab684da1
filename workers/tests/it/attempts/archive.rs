//! What the archive of a mailbox owes: all of it, once, to the byte; and a
//! difference to the server is a difference.

use crate::attempts::drive::{Desk, End, NEVER, Todo, setting};
use crate::attempts::fake::state::CANARY;
use crate::attempts::fake::{Fails, State};
use offboard_archive::Archive;
use offboard_domain::assignment::take_baseline;
use offboard_domain::{Digest, Facts, FaultClass, Kind, Said};
use offboard_runtime::Clock as _;
use std::collections::BTreeMap;
use std::time::Duration;

/// Messages by folder and id, each as often as it is there.
type Mail = BTreeMap<(String, String), Vec<Vec<u8>>>;

/// What is in the archive that a settled task names.
pub(crate) async fn kept(desk: &Desk, end: &End) -> Mail {
    let End::Settled(seen) = end else {
        panic!("not settled: {end:?}")
    };
    kept_under(desk, seen.facts.text("manifest_sha256").unwrap()).await
}

/// What is in the archive of this manifest.
async fn kept_under(desk: &Desk, manifest: &str) -> Mail {
    let archive = Archive::open(&desk.context.store, manifest.parse().unwrap())
        .await
        .unwrap();
    let named = |number: u32| {
        let folder = archive.manifest.folders.iter().find(|f| f.folder.number == number);
        folder.unwrap().folder.id.clone()
    };
    let mut found = Mail::new();
    for part in &archive.manifest.parts {
        for segment in archive.segments_of(*part).await.unwrap() {
            for message in &segment.messages {
                let bytes = archive.read_whole(&segment, message).await.unwrap();
                found
                    .entry((named(message.folder), message.id.clone()))
                    .or_default()
                    .push(bytes);
            }
        }
    }
    found
}

/// What the world's mailbox has.
pub(crate) fn wanted(state: &State) -> Mail {
    let mut all = Mail::new();
    for (name, (_, messages)) in &state.mail {
        for (place, bytes) in messages {
            all.insert((name.clone(), place.to_string()), vec![bytes.clone()]);
        }
    }
    all
}

fn number(end: &End, name: &str) -> i64 {
    let End::Settled(seen) = end else {
        panic!("not settled: {end:?}")
    };
    seen.facts.int(name).unwrap()
}

/// One attempt after the other until it is kept, each of which comes further.
async fn in_attempts(desk: &mut Desk, todo: &mut Todo) -> End {
    for _ in 0..50 {
        todo.attempt += 1;
        match desk.once(todo).await.said {
            Said::Progress { checkpoint } => todo.checkpoint = Some(checkpoint),
            Said::Satisfied { after, .. } => return End::Settled(after),
            other => panic!("{other:?}"),
        }
    }
    panic!("it does not end");
}

#[tokio::test(start_paused = true)]
async fn all_of_the_mailbox_is_kept_once_and_the_evidence_names_the_manifest() {
    let (state, mut todo) = setting(Kind::ArchiveMailbox);
    todo.params = Facts::new().with("keep_years", 7);
    let mut desk = Desk::new(state.clone());
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert_eq!(kept(&desk, &end).await, wanted(&state));
    assert_eq!(number(&end, "archived_messages"), number(&end, "server_messages"));
    assert!(number(&end, "keep_until_ms") >= 7 * 365 * 86_400_000);
    let last = desk.reports.last().unwrap();
    assert_eq!(last.artifacts[0].name, "archive.manifest");
    // The comparison is another attempt's than the one that took the last message.
    assert!(desk.reports.len() >= 2);
    let json = serde_json::to_string(&desk.reports).unwrap();
    assert!(
        !json.contains(CANARY) && !json.contains("INBOX"),
        "no name of a folder leaves the store"
    );
}

#[tokio::test(start_paused = true)]
async fn what_changes_meanwhile_is_found_by_the_comparison() {
    let (state, mut todo) = setting(Kind::ArchiveMailbox);
    let mut desk = Desk::new(state);
    todo.attempt = 1;
    let Said::Progress { checkpoint } = desk.once(&todo).await.said else {
        panic!("no slice")
    };
    assert!(checkpoint.text("manifest").is_some());
    // One arrives, one is deleted, one appears among the old ones, a folder is new.
    let now_ms = desk.now().0;
    desk.fake.edit(|s| {
        s.received.insert(("INBOX".to_owned(), 100), now_ms);
        let inbox = &mut s.mail.get_mut("INBOX").unwrap().1;
        inbox.insert(100, b"later".to_vec());
        inbox.remove(&1);
        s.mail
            .get_mut("Empty")
            .unwrap()
            .1
            .insert(9, b"late in an empty one".to_vec());
        s.mail
            .insert("New".to_owned(), (7, [(5, b"in a new one".to_vec())].into()));
    });
    todo.checkpoint = Some(checkpoint);
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    let mut all = wanted(&desk.fake.now());
    let kept = kept(&desk, &end).await;
    // What was taken before it was deleted stays; what arrived later may wait outside.
    all.insert(
        ("INBOX".into(), "1".into()),
        kept[&("INBOX".to_owned(), "1".to_owned())].clone(),
    );
    let later = number(&end, "arrived_later");
    let missing: Vec<_> = all.keys().filter(|k| !kept.contains_key(*k)).collect();
    assert_eq!((missing.len() as i64, later), (1, 1), "{missing:?}");
    assert!(kept.contains_key(&("New".to_owned(), "5".to_owned())));
    assert_eq!(number(&end, "gone_since"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_among_the_old_ones_is_taken_too() {
    let (state, mut todo) = setting(Kind::ArchiveMailbox);
    let mut desk = Desk::new(state);
    todo.attempt = 1;
    let Said::Progress { checkpoint } = desk.once(&todo).await.said else {
        panic!("no slice")
    };
    desk.fake.edit(|s| {
        let folder = s.mail.keys().find(|k| k.contains("..")).unwrap().clone();
        s.mail.get_mut(&folder).unwrap().1.insert(1, b"moved here".to_vec());
    });
    todo.checkpoint = Some(checkpoint);
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert_eq!(kept(&desk, &end).await, wanted(&desk.fake.now()));
}

#[tokio::test(start_paused = true)]
async fn what_was_listed_and_not_delivered_is_fetched_again() {
    let (state, todo) = setting(Kind::ArchiveMailbox);
    let mut desk = Desk::new(state.clone());
    desk.fake.lock().undelivered = [(("INBOX".to_owned(), 3), 1)].into();
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert_eq!(kept(&desk, &end).await, wanted(&state));
    assert_eq!((number(&end, "gone_since"), number(&end, "arrived_later")), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_never_delivered_is_a_fault_or_gone_and_never_kept() {
    let (state, mut todo) = setting(Kind::ArchiveMailbox);
    let mut desk = Desk::new(state.clone());
    let third = ("INBOX".to_owned(), 3);
    desk.fake.lock().undelivered = [(third.clone(), u32::MAX)].into();
    let mut faults = Vec::new();
    for attempt in 1..=3 {
        todo.attempt = attempt;
        let report = desk.once(&todo).await;
        match report.said {
            Said::Progress { checkpoint } => todo.checkpoint = Some(checkpoint),
            Said::Fault { fault } => {
                assert_eq!(fault.class, FaultClass::Transient);
                assert!(
                    fault.detail.contains("lists messages that it does not deliver (1)"),
                    "{fault}"
                );
                todo.checkpoint = report.remembered.or(todo.checkpoint.take());
                faults.push(attempt);
            }
            other => panic!("{other:?}"),
        }
    }
    // The first time it may have gone since it was listed.
    assert_eq!(faults, [2, 3]);
    let later = todo.clone();
    desk.fake.lock().undelivered.clear();
    let end = desk.settle(later, &mut NEVER.clone()).await;
    assert_eq!(kept(&desk, &end).await, wanted(&state), "it is delivered at last");

    desk.fake.lock().undelivered = [(third, u32::MAX)].into();
    desk.fake.edit(|s| {
        s.mail.get_mut("INBOX").unwrap().1.remove(&3);
    });
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert_eq!(kept(&desk, &end).await, wanted(&desk.fake.now()));
    assert_eq!(
        number(&end, "gone_since"),
        1,
        "it was listed, and is not there any more"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_never_delivered_is_a_fault_whatever_else_arrives_and_at_last_a_persons() {
    let (state, mut todo) = setting(Kind::ArchiveMailbox);
    let mut desk = Desk::new(state);
    desk.fake.lock().undelivered = [(("INBOX".to_owned(), 3), u32::MAX)].into();
    let tries = todo.kind.spec().attempts;
    for attempt in 1..=tries + 1 {
        desk.fake.edit(|s| {
            let inbox = &mut s.mail.get_mut("INBOX").unwrap().1;
            inbox.insert(100 + u64::from(attempt), b"one more".to_vec());
        });
        todo.attempt = attempt;
        let report = desk.once(&todo).await;
        let class = match report.said {
            Said::Progress { checkpoint } => {
                todo.checkpoint = Some(checkpoint);
                None
            }
            Said::Fault { fault } => {
                todo.checkpoint = report.remembered.or(todo.checkpoint.take());
                Some(fault.class)
            }
            other => panic!("{other:?}"),
        };
        let expected = match attempt {
            1 => None,
            n if n <= tries => Some(FaultClass::Transient),
            _ => Some(FaultClass::Blocked),
        };
        assert_eq!(class, expected, "attempt {attempt}");
    }
}

/// The ways in which a server fails over a single message.
const FAILS: [Fails; 4] = [
    Fails::With(FaultClass::Transient),
    Fails::With(FaultClass::Rejected),
    Fails::Midway,
    Fails::TooLong,
];

#[tokio::test(start_paused = true)]
async fn one_message_that_the_server_fails_over_stops_no_other_and_is_at_last_a_persons() {
    for fails in FAILS {
        let (state, mut todo) = setting(Kind::ArchiveMailbox);
        let mut desk = Desk::new(state.clone());
        desk.fake.lock().failing = [(("INBOX".to_owned(), 3), fails)].into();
        let tries = todo.kind.spec().attempts;
        for attempt in 1..=tries + 1 {
            todo.attempt = attempt;
            let report = desk.once(&todo).await;
            let expected = match attempt {
                1 => None,
                n if n <= tries => Some(FaultClass::Transient),
                _ => Some(FaultClass::Blocked),
            };
            let met = match report.said {
                Said::Progress { checkpoint } => {
                    todo.checkpoint = Some(checkpoint);
                    None
                }
                Said::Fault { fault } => {
                    todo.checkpoint = report.remembered.or(todo.checkpoint.take());
                    assert!(
                        fault.detail.contains("does not deliver (1), 1 of folder 0002,"),
                        "{fails:?}: {fault}"
                    );
                    Some(fault.class)
                }
                other => panic!("{fails:?}: {other:?}"),
            };
            assert_eq!(met, expected, "{fails:?}, attempt {attempt}");
            let manifest = todo.checkpoint.as_ref().unwrap().text("manifest").unwrap().to_owned();
            let mut others = wanted(&state);
            others.remove(&("INBOX".to_owned(), "3".to_owned()));
            assert_eq!(
                kept_under(&desk, &manifest).await,
                others,
                "{fails:?}, attempt {attempt}"
            );
        }
        desk.fake.lock().failing.clear();
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert_eq!(kept(&desk, &end).await, wanted(&state), "{fails:?}: it comes at last");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_message_of_the_only_folder_stops_no_other_either() {
    let (mut state, mut todo) = setting(Kind::ArchiveMailbox);
    state.mail.retain(|name, _| name == "INBOX");
    let mut desk = Desk::new(state.clone());
    desk.fake.lock().failing = [(("INBOX".to_owned(), 1), Fails::With(FaultClass::Transient))].into();
    todo.attempt = 1;
    let Said::Progress { checkpoint } = desk.once(&todo).await.said else {
        panic!("no slice")
    };
    let mut others = wanted(&state);
    others.remove(&("INBOX".to_owned(), "1".to_owned()));
    assert_eq!(kept_under(&desk, checkpoint.text("manifest").unwrap()).await, others);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_no_message_s_fault() {
    let (state, mut todo) = setting(Kind::ArchiveMailbox);
    let mut desk = Desk::new(state.clone());
    desk.fake.lock().mail_down = true;
    let mut faults = 0;
    for attempt in 1..=3 {
        todo.attempt = attempt;
        match desk.once(&todo).await.said {
            // The empty folder.
            Said::Progress { checkpoint } => {
                assert_eq!(checkpoint.text("manifest"), None, "nothing is through");
                todo.checkpoint = Some(checkpoint);
            }
            Said::Fault { fault } => {
                assert_eq!(fault.class, FaultClass::Transient);
                assert!(!fault.detail.contains("deliver"), "{fault}");
                faults += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(faults, 2);
    desk.fake.lock().mail_down = false;
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert_eq!(kept(&desk, &end).await, wanted(&state));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_over_a_message_that_fails_loses_and_doubles_nothing() {
    const EVERY: usize = 11;
    let mut deaths = 0;
    for n in (1..).step_by(EVERY) {
        let (state, todo) = setting(Kind::ArchiveMailbox);
        let mut desk = Desk::new(state.clone());
        desk.fake.lock().failing = [(("INBOX".to_owned(), 3), Fails::Midway)].into();
        let mut polls = n;
        let end = desk.settle(todo.clone(), &mut polls).await;
        let End::Asked(why) = &end else {
            panic!("death at {n}: {end:?}")
        };
        assert!(why.contains("does not deliver (1)"), "death at {n}: {why}");
        let mut again = todo;
        again.checkpoint = desk.reports.iter().rev().find_map(|r| r.remembered.clone());
        assert!(again.checkpoint.is_some(), "death at {n}");
        desk.fake.lock().failing.clear();
        let end = desk.settle(again, &mut NEVER.clone()).await;
        assert_eq!(kept(&desk, &end).await, wanted(&state), "death at {n}");
        if polls != 0 {
            break;
        }
        deaths += 1;
    }
    assert!(deaths > 10, "only {deaths} deaths were tried");
}

/// It is silent for longer than any attempt takes.
const SILENT: Fails = Fails::After(Duration::from_secs(24 * 60 * 60));

#[tokio::test(start_paused = true)]
async fn a_message_over_which_the_server_is_silent_stops_no_other_and_is_at_last_a_persons() {
    // The first of a page, one by itself, a page of them, and one on each of two pages.
    for places in [vec![1_u64], vec![5], vec![3, 4], vec![2, 3]] {
        let (state, mut todo) = setting(Kind::ArchiveMailbox);
        let mut desk = Desk::new(state.clone());
        let silent = places.iter().map(|place| (("INBOX".to_owned(), *place), SILENT));
        desk.fake.lock().failing = silent.collect();
        let (mut faults, mut blocked) = (0, false);
        // A silence takes most of a slice: up to five attempts come to a fault.
        for _ in 0..600 {
            todo.attempt += 1;
            let report = desk.once(&todo).await;
            let fault = match report.said {
                Said::Progress { checkpoint } => {
                    todo.checkpoint = Some(checkpoint);
                    continue;
                }
                Said::Fault { fault } => fault,
                other => panic!("{places:?}: {other:?}"),
            };
            todo.checkpoint = report.remembered.or(todo.checkpoint.take());
            let named = format!("does not deliver ({}), {0} of folder 0002,", places.len());
            assert!(fault.detail.contains(&named), "{places:?}: {fault}");
            faults += 1;
            blocked = fault.class == FaultClass::Blocked;
            if blocked {
                break;
            }
        }
        assert_eq!((faults, blocked), (todo.kind.spec().attempts, true), "{places:?}");
        let manifest = todo.checkpoint.as_ref().unwrap().text("manifest").unwrap().to_owned();
        let mut others = wanted(&state);
        others.retain(|(folder, id), _| folder != "INBOX" || !places.contains(&id.parse().unwrap()));
        assert_eq!(kept_under(&desk, &manifest).await, others, "{places:?}");
        desk.fake.lock().failing.clear();
        let end = in_attempts(&mut desk, &mut todo).await;
        assert_eq!(kept(&desk, &end).await, wanted(&state), "{places:?}: they come at last");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_with_a_hundred_messages_that_fail_slowly_is_not_begun_anew_with_each_attempt() {
    const FAILING: std::ops::RangeInclusive<u64> = 1..=100;
    let (mut state, mut todo) = setting(Kind::ArchiveMailbox);
    let inbox = &mut state.mail.get_mut("INBOX").unwrap().1;
    inbox.extend((1..=110).map(|n| (n, format!("Subject: {n}\r\n").into_bytes())));
    let mut desk = Desk::new(state.clone());
    desk.fake.lock().mail_page = 500;
    let slowly = Fails::After(Duration::from_secs(20));
    desk.fake.lock().failing = FAILING.map(|n| (("INBOX".to_owned(), n), slowly)).collect();
    let manifest = loop {
        todo.attempt += 1;
        assert!(todo.attempt < 100, "it does not end");
        let checkpoint = match desk.once(&todo).await.said {
            Said::Progress { checkpoint } => checkpoint,
            other => panic!("attempt {}: {other:?}", todo.attempt),
        };
        let manifest = checkpoint.text("manifest").map(str::to_owned);
        todo.checkpoint = Some(checkpoint);
        if let Some(manifest) = manifest {
            break manifest;
        }
    };
    let mut others = wanted(&state);
    others.retain(|(folder, id), _| folder != "INBOX" || !FAILING.contains(&id.parse::<u64>().unwrap()));
    assert_eq!(kept_under(&desk, &manifest).await, others);
    desk.fake.lock().failing.clear();
    let end = in_attempts(&mut desk, &mut todo).await;
    assert_eq!(kept(&desk, &end).await, wanted(&state), "they come at last");
}

#[tokio::test(start_paused = true)]
async fn who_knows_nothing_of_what_failed_before_loses_no_message() {
    // It failed once; it is passed over; the pass is through.
    for attempts in 1..=3 {
        for older in [false, true] {
            let (state, mut todo) = setting(Kind::ArchiveMailbox);
            let mut desk = Desk::new(state.clone());
            desk.fake.lock().failing = [(("INBOX".to_owned(), 3), SILENT)].into();
            for _ in 0..attempts {
                todo.attempt += 1;
                let Said::Progress { checkpoint } = desk.once(&todo).await.said else {
                    panic!("no slice")
                };
                todo.checkpoint = Some(checkpoint);
            }
            let checkpoint = todo.checkpoint.as_mut().unwrap();
            assert_eq!(checkpoint.text("failed_alone").is_some(), attempts == 1);
            if older {
                checkpoint.0.remove("failed_alone");
            }
            desk.fake.lock().failing.clear();
            let end = in_attempts(&mut desk, &mut todo).await;
            assert_eq!(kept(&desk, &end).await, wanted(&state), "{attempts} {older}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_silent_over_all_messages_is_no_message_s_fault() {
    let (state, mut todo) = setting(Kind::ArchiveMailbox);
    let mut desk = Desk::new(state.clone());
    let all = wanted(&state).into_keys();
    let silent = all.map(|(folder, id)| ((folder, id.parse().unwrap()), SILENT));
    desk.fake.lock().failing = silent.collect();
    let mut faults = 0;
    for attempt in 1..=3 {
        todo.attempt = attempt;
        match desk.once(&todo).await.said {
            // The empty folder.
            Said::Progress { checkpoint } => {
                assert_eq!(checkpoint.text("failed_alone"), None);
                todo.checkpoint = Some(checkpoint);
            }
            Said::Fault { fault } => {
                assert_eq!(fault.class, FaultClass::Transient);
                faults += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(faults, 2);
    desk.fake.lock().failing.clear();
    let end = in_attempts(&mut desk, &mut todo).await;
    assert_eq!(kept(&desk, &end).await, wanted(&state));
}

#[tokio::test(start_paused = true)]
async fn what_went_before_it_was_delivered_is_not_lacking_when_another_folder_is_taken() {
    let (state, mut todo) = setting(Kind::ArchiveMailbox);
    let mut desk = Desk::new(state);
    desk.fake.lock().undelivered = [(("INBOX".to_owned(), 3), u32::MAX)].into();
    todo.attempt = 1;
    let Said::Progress { checkpoint } = desk.once(&todo).await.said else {
        panic!("no slice")
    };
    todo.checkpoint = Some(checkpoint);
    desk.fake.edit(|s| {
        s.mail.get_mut("INBOX").unwrap().1.remove(&3);
        let other = s.mail.keys().find(|k| k.contains("..")).unwrap().clone();
        s.mail.get_mut(&other).unwrap().1.insert(1, b"moved here".to_vec());
    });
    let end = in_attempts(&mut desk, &mut todo).await;
    assert_eq!(kept(&desk, &end).await, wanted(&desk.fake.now()));
    assert_eq!(number(&end, "gone_since"), 1);
}

/// A mailbox whose lists go on after so many messages, the newest first.
fn by_offset(first_page: fn(&mut State)) -> (Desk, Todo) {
    let (state, todo) = setting(Kind::ArchiveMailbox);
    let desk = Desk::new(state);
    let mut world = desk.fake.lock();
    world.pages_by_offset = true;
    world.after_page = Some(("INBOX", first_page));
    drop(world);
    (desk, todo)
}

/// The newest but one, which the first page has as well, after the newest has gone.
fn without_the_newest(state: &mut State) {
    state.mail.get_mut("INBOX").unwrap().1.pop_last();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_a_page_passed_over_is_taken() {
    let (mut desk, todo) = by_offset(without_the_newest);
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    // The newest was gone before it was fetched; the one that took its place was not listed.
    assert_eq!(kept(&desk, &end).await, wanted(&desk.fake.now()));
    // And before the pass that found what was passed over.
    assert_eq!(number(&end, "gone_since"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_two_pages_list_is_taken_once() {
    let (mut desk, todo) = by_offset(|state| {
        state.received.insert(("INBOX".to_owned(), 9), i64::MAX);
        let inbox = &mut state.mail.get_mut("INBOX").unwrap().1;
        inbox.insert(9, b"later".to_vec());
    });
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    let mut all = wanted(&desk.fake.now());
    all.remove(&("INBOX".to_owned(), "9".to_owned()));
    assert_eq!(kept(&desk, &end).await, all);
    assert_eq!((number(&end, "arrived_later"), number(&end, "gone_since")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_passes_over_a_message_proves_nothing() {
    let (mut desk, mut todo) = by_offset(without_the_newest);
    todo.attempt = 1;
    let Said::Progress { checkpoint } = desk.once(&todo).await.said else {
        panic!("no slice")
    };
    todo.checkpoint = Some(checkpoint);
    // The pass lacks the third; so that the comparison does not list it either, another
    // one moves it to the next page, and goes.
    let now_ms = desk.now().0;
    desk.fake.edit(|s| {
        s.received.insert(("INBOX".to_owned(), 9), now_ms);
        s.mail.get_mut("INBOX").unwrap().1.insert(9, b"for a moment".to_vec());
    });
    desk.fake.lock().after_page = Some(("INBOX", without_the_newest));
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    let kept = kept(&desk, &end).await;
    assert!(
        kept.contains_key(&("INBOX".to_owned(), "3".to_owned())),
        "{:?}",
        kept.keys()
    );
}

#[tokio::test(start_paused = true)]
async fn a_comparison_that_one_attempt_is_too_short_for_goes_on_in_the_next() {
    let (mut desk, mut todo) = by_offset(|_| ());
    todo.attempt = 1;
    let Said::Progress { checkpoint } = desk.once(&todo).await.said else {
        panic!("no slice")
    };
    todo.checkpoint = Some(checkpoint);
    todo.attempt = 2;
    // Five lists of four minutes: three of the inbox, and none is left for the last folder.
    desk.fake.lock().slow = Duration::from_secs(40);
    let Said::Progress { checkpoint } = desk.once(&todo).await.said else {
        panic!("no slice")
    };
    // What was found of each folder is in the store.
    let so_far = so_far(&desk, &checkpoint).await;
    let compared: Vec<_> = ["1", "2", "3"]
        .map(|folder| so_far["compared"][folder]["lacks"].as_bool())
        .into();
    assert_eq!(compared, [Some(false), Some(false), None]);
    let mut left = checkpoint.clone();
    drop(take_baseline(&mut left));
    let names: Vec<&str> = left.0.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["bytes", "comparison", "manifest", "messages", "part"],
        "nothing in the checkpoint grows"
    );
    todo.checkpoint = Some(checkpoint);
    let end = in_attempts(&mut desk, &mut todo).await;
    assert_eq!(kept(&desk, &end).await, wanted(&desk.fake.now()));
}

/// How far the comparison is that a checkpoint names.
async fn so_far(desk: &Desk, checkpoint: &Facts) -> serde_json::Value {
    let digest: Digest = checkpoint.text("comparison").unwrap().parse().unwrap();
    serde_json::from_slice(&desk.context.store.get(digest).await.unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_one_attempt_is_too_short_for_is_listed_over_several() {
    let (mut desk, mut todo) = by_offset(|_| ());
    todo.attempt = 1;
    let Said::Progress { checkpoint } = desk.once(&todo).await.said else {
        panic!("no slice")
    };
    todo.checkpoint = Some(checkpoint);
    // Four lists of four minutes: that of the folders, and no more than two pages, of the
    // three that the inbox has.
    desk.fake.lock().slow = Duration::from_secs(60);
    let end = in_attempts(&mut desk, &mut todo).await;
    assert_eq!(kept(&desk, &end).await, wanted(&desk.fake.now()));
    // The pass; the first page of the inbox; the others; the last folder.
    assert_eq!(desk.reports.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_was_listed_to_its_end_is_compared_in_the_next_attempt_and_not_listed_anew() {
    let (mut state, mut todo) = setting(Kind::ArchiveMailbox);
    let inbox = &mut state.mail.get_mut("INBOX").unwrap().1;
    inbox.extend((10..=70).map(|n| (n, format!("Subject: {n}\r\n").into_bytes())));
    let mut desk = Desk::new(state);
    desk.fake.lock().pages_by_offset = true;
    // Two pages an attempt, so that the archive has many parts, which take time to read.
    desk.fake.lock().mail_page = 3;
    desk.fake.lock().slow = Duration::from_secs(20);
    let mut whole = false;
    while !whole {
        todo.attempt += 1;
        assert!(todo.attempt < 50, "it does not end");
        let Said::Progress { checkpoint } = desk.once(&todo).await.said else {
            panic!("no slice")
        };
        whole = checkpoint.text("manifest").is_some();
        todo.checkpoint = Some(checkpoint);
    }
    // The list of the folders, and no more than two pages, of the three that the inbox has now.
    desk.fake.lock().mail_page = 30;
    desk.fake.lock().slow = Duration::from_secs(60);
    for pages in ["the first page of the inbox", "the others"] {
        todo.attempt += 1;
        let Said::Progress { checkpoint } = desk.once(&todo).await.said else {
            panic!("{pages}: no slice")
        };
        todo.checkpoint = Some(checkpoint);
    }
    let so_far = so_far(&desk, todo.checkpoint.as_ref().unwrap()).await;
    assert_eq!(so_far["lists"]["2"]["through"], true);
    assert_eq!(so_far["compared"]["2"], serde_json::Value::Null);
    // The next one compares it, and lists the last folder.
    let before = desk.reports.len();
    let end = in_attempts(&mut desk, &mut todo).await;
    assert_eq!(desk.reports.len(), before + 1);
    assert_eq!(kept(&desk, &end).await, wanted(&desk.fake.now()));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_passes_over_a_message_between_two_attempts_proves_nothing() {
    let (mut desk, mut todo) = by_offset(|_| ());
    // The pass lacks the third.
    desk.fake.lock().undelivered = [(("INBOX".to_owned(), 3), 1)].into();
    for slow_s in [0, 60] {
        desk.fake.lock().slow = Duration::from_secs(slow_s);
        todo.attempt += 1;
        let Said::Progress { checkpoint } = desk.once(&todo).await.said else {
            panic!("no slice")
        };
        todo.checkpoint = Some(checkpoint);
    }
    let so_far = so_far(&desk, todo.checkpoint.as_ref().unwrap()).await;
    assert_eq!(so_far["lists"]["2"]["page"], "2", "the inbox is listed in part");
    // The third moves to the page that was listed.
    desk.fake.edit(without_the_newest);
    desk.fake.lock().slow = Duration::ZERO;
    let end = in_attempts(&mut desk, &mut todo).await;
    let kept = kept(&desk, &end).await;
    assert!(
        kept.contains_key(&("INBOX".to_owned(), "3".to_owned())),
        "{:?}",
        kept.keys()
    );
    assert_eq!(number(&end, "gone_since"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_archive_of_which_the_store_has_lost_a_piece_is_taken_anew() {
    let (state, mut todo) = setting(Kind::ArchiveMailbox);
    let mut desk = Desk::new(state.clone());
    let folder = tempfile::tempdir().unwrap();
    desk.context.store = offboard_store::Store::folder(folder.path()).unwrap();
    todo.attempt = 1;
    let Said::Progress { checkpoint } = desk.once(&todo).await.said else {
        panic!("no slice")
    };
    let manifest = checkpoint.text("manifest").unwrap().parse().unwrap();
    let archive = Archive::open(&desk.context.store, manifest).await.unwrap();
    let segments = archive.segments_of(archive.manifest.parts[0]).await.unwrap();
    let piece = segments[0].pieces[0].sha256.to_string();
    std::fs::remove_file(folder.path().join("objects").join(&piece[..2]).join(&piece)).unwrap();
    todo.checkpoint = Some(checkpoint);
    let end = in_attempts(&mut desk, &mut todo).await;
    assert_eq!(kept(&desk, &end).await, wanted(&state));
    assert_eq!(desk.reports.len(), 3, "taken, taken anew, compared");
}

#[tokio::test(start_paused = true)]
async fn old_messages_that_are_moved_into_a_folder_already_taken_are_taken_too() {
    let (mut state, todo) = setting(Kind::ArchiveMailbox);
    let last = state.mail.keys().find(|k| k.contains("..")).unwrap().clone();
    let messages = &mut state.mail.get_mut(&last).unwrap().1;
    messages.extend((10..510).map(|n| (n, format!("Subject: {n}\r\n").into_bytes())));
    let mut desk = Desk::new(state);
    desk.fake.lock().after_page = Some(("INBOX", |s| {
        let last = s.mail.keys().find(|k| k.contains("..")).unwrap().clone();
        let moved = s.mail.get_mut(&last).unwrap().1.split_off(&10);
        let into = &mut s.mail.get_mut("Empty").unwrap().1;
        into.extend((1..).zip(moved.into_values()));
    }));
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    let now = desk.fake.now();
    assert_eq!(now.mail["Empty"].1.len(), 500, "it was moved in the midst of the pass");
    assert_eq!(kept(&desk, &end).await, wanted(&now));
    assert_eq!(number(&end, "arrived_later"), 0, "moved is not arrived");
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_goes_while_it_is_kept_is_for_a_person() {
    let (state, mut todo) = setting(Kind::ArchiveMailbox);
    let mut desk = Desk::new(state);
    todo.attempt = 1;
    let Said::Progress { checkpoint } = desk.once(&todo).await.said else {
        panic!("no slice")
    };
    desk.fake.edit(|s| s.mailbox = None);
    let mut part = checkpoint.clone();
    part.0.remove("manifest");
    for remembered in [checkpoint, part] {
        todo.checkpoint = Some(remembered);
        let end = desk.settle(todo.clone(), &mut NEVER.clone()).await;
        let End::Asked(why) = &end else { panic!("{end:?}") };
        assert!(
            why.contains("the mailbox is gone") && why.contains("7 messages"),
            "{why}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_folder_whose_ids_began_anew_is_taken_anew() {
    let (state, mut todo) = setting(Kind::ArchiveMailbox);
    let mut desk = Desk::new(state);
    todo.attempt = 1;
    let Said::Progress { checkpoint } = desk.once(&todo).await.said else {
        panic!("no slice")
    };
    desk.fake.edit(|s| {
        let inbox = s.mail.get_mut("INBOX").unwrap();
        inbox.0 = 8;
        inbox.1 = [(1, b"another one under the same id".to_vec())].into();
    });
    todo.checkpoint = Some(checkpoint);
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert_eq!(kept(&desk, &end).await, wanted(&desk.fake.now()));
}

#[tokio::test(start_paused = true)]
async fn without_a_mailbox_there_is_nothing_to_keep_and_a_lost_piece_is_no_archive() {
    let (mut state, todo) = setting(Kind::ArchiveMailbox);
    let mut desk = Desk::new(state.clone());
    let mut slice = todo.clone();
    slice.attempt = 1;
    let Said::Progress { checkpoint } = desk.once(&slice).await.said else {
        panic!("no slice")
    };
    // The store is another one: nothing of it is there.
    desk.context.store = offboard_store::Store::memory();
    slice.checkpoint = Some(checkpoint);
    let end = desk.settle(slice.clone(), &mut NEVER.clone()).await;
    assert_eq!(kept(&desk, &end).await, wanted(&state));
    // The same in the midst of it: a checkpoint whose part is gone.
    let mut desk = Desk::new(state.clone());
    slice.checkpoint = Some(Facts::new().with("part", "0".repeat(64)));
    let end = desk.settle(slice, &mut NEVER.clone()).await;
    assert_eq!(kept(&desk, &end).await, wanted(&state));
    state.mailbox = None;
    let mut desk = Desk::new(state);
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::NotApplicable(_)), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_be_reached_is_a_fault_and_nothing_is_claimed() {
    let (state, mut todo) = setting(Kind::ArchiveMailbox);
    let desk = Desk::new(state);
    todo.attempt = 1;
    let mut assignment = desk.assignment(&todo);
    assignment.subject.0.clear();
    let lane = offboard_domain::Lane::Normal;
    let report = offboard_workers::attempt(&assignment, lane, false, &desk.context).await;
    assert!(matches!(report.said, Said::Fault { fault } if fault.class == FaultClass::Rejected));
    assert!(desk.fake.clock.now() >= offboard_domain::Timestamp(0));
}
