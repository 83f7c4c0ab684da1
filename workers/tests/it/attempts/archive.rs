//! What the archive of a mailbox owes: all of it, once, to the byte; and a
//! difference to the server is a difference.

use crate::attempts::drive::{Desk, End, NEVER, setting};
use crate::attempts::fake::State;
use crate::attempts::fake::state::CANARY;
use offboard_archive::Archive;
use offboard_domain::{Facts, FaultClass, Kind, Said};
use offboard_runtime::Clock as _;
use std::collections::BTreeMap;

/// Messages by folder and id, each as often as it is there.
type Mail = BTreeMap<(String, String), Vec<Vec<u8>>>;

/// What is in the archive that a settled task names.
pub(crate) async fn kept(desk: &Desk, end: &End) -> Mail {
    let End::Settled(seen) = end else {
        panic!("not settled: {end:?}")
    };
    let digest = seen.facts.text("manifest_sha256").unwrap().parse().unwrap();
    let archive = Archive::open(&desk.context.store, digest).await.unwrap();
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
    desk.fake.edit(|s| {
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
    assert_eq!(missing.len() as i64, later, "{missing:?}");
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
