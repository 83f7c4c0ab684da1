//! A disk that is full, as the store's durability makes it: under `always`
//! the server ends rather than acknowledge, under `everysec` it refuses, a
//! moment too late. The disk is a small one in memory, which takes the right
//! to mount.

use crate::laws::ALL;
use crate::pen::Pen;
use crate::redis::{open, options};
use offboard_ledger::{Appended, Ledger as _, LedgerError};
use offboard_servers::redis::{Fsync, RedisOptions};
use offboard_servers::{Disk, Redis};
use std::time::{Duration, Instant};

/// Room for some forty of the test's records.
const SMALL_MIB: u32 = 4;
const LARGE_MIB: u32 = 64;
const BODY_BYTES: usize = 100_000;
const PATIENCE: Duration = Duration::from_secs(60);

fn server(disk: &Disk, fsync: Fsync) -> Redis {
    Redis::start(&RedisOptions {
        fsync,
        data: Some(disk.path().to_owned()),
        ..RedisOptions::default()
    })
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_always_acknowledges_nothing_that_it_does_not_keep() {
    let disk = Disk::mount(SMALL_MIB).unwrap();
    let mut server = server(&disk, Fsync::Always);
    let options = options(&server.url());
    let ledger = open(&options).await;
    let mut pen = Pen::new("acme", "one");
    let refused = loop {
        let append = pen.draft_of(vec![vec![b'x'; BODY_BYTES]]);
        match ledger.append(append.clone()).await {
            Ok(Appended::Done | Appended::Ours) => pen.after(&append),
            Err(error @ LedgerError::Unavailable { .. }) => break (append, error),
            other => panic!("{other:?}"),
        }
        assert!(pen.version < 1_000, "the disk is never full");
    };
    assert!(pen.version > 10, "it held some: {}", pen.version);
    assert!(refused.1.to_string().contains("may be repeated"), "{}", refused.1);
    server.wait_until_ended().unwrap();
    disk.resize(LARGE_MIB).unwrap();
    server.restart().unwrap();
    let ledger = open(&options).await;
    let records = pen.history(&*ledger).await;
    let there = records.len() as u64;
    assert!(
        there == pen.version || there == pen.version + 1,
        "{there} of {}",
        pen.version
    );
    let repeated = ledger.append(refused.0.clone()).await.unwrap();
    assert!(matches!(repeated, Appended::Done | Appended::Ours), "{repeated:?}");
    assert_eq!(ledger.list(ALL).await.unwrap(), [refused.0.index]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_everysec_is_said_and_a_lost_tail_noticed() {
    let disk = Disk::mount(SMALL_MIB).unwrap();
    let mut server = server(&disk, Fsync::EverySecond);
    let options = options(&server.url());
    let ledger = open(&options).await;
    let mut pen = Pen::new("acme", "one");
    let refused = loop {
        let append = pen.draft_of(vec![vec![b'x'; BODY_BYTES]]);
        match ledger.append(append.clone()).await {
            Ok(Appended::Done | Appended::Ours) => pen.after(&append),
            Err(error @ LedgerError::Unavailable { .. }) => break error.to_string(),
            other => panic!("{other:?}"),
        }
        assert!(pen.version < 1_000, "the disk is never full");
    };
    assert!(
        refused.contains("free space there, then it goes on by itself"),
        "{refused}"
    );

    // It dies before there is room again: what was acknowledged last was not kept.
    server.kill();
    disk.resize(LARGE_MIB).unwrap();
    server.restart().unwrap();
    let there = pen.history(&*open(&options).await).await.len() as u64;
    let goes_on = pen.draft(1, "goes on");
    let until = Instant::now() + PATIENCE;
    let answer = loop {
        match ledger.append(goes_on.clone()).await {
            Ok(answer) => break answer,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
    };
    let expected = if there < pen.version {
        Appended::Gap { version: there }
    } else {
        Appended::Done
    };
    assert_eq!(answer, expected, "{there} of {} are there", pen.version);
}
