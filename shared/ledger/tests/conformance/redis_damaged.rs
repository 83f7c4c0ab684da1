//! A log in whose middle a bit is wrong. Where it is one of the log's own signs, Redis
//! does not start and says what mends it; mended, it lacks its tail, of which everybody
//! is told who knew that tail, and which he writes again. Where it is a record's, Redis
//! notices nothing, and whoever reads the record does.

use crate::pen::Pen;
use crate::redis::{open, options};
use offboard_ledger::{Appended, Ledger as _, LedgerError};
use offboard_servers::Redis;
use offboard_servers::redis::RedisOptions;

const APPENDS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_damaged_and_mended_lacks_its_tail_which_is_told_and_written_again() {
    let mut server = Redis::start(&RedisOptions::default()).unwrap();
    let options = options(&server.url());
    let ledger = open(&options).await;
    let mut pen = Pen::new("acme", "one");
    let mut appends = Vec::new();
    for n in 0..APPENDS {
        let append = pen.draft(1, &format!("part {n}"));
        appends.push(pen.write(&*ledger, append).await);
    }
    let whole = pen.history(&*ledger).await;
    assert_eq!(whole.len(), APPENDS);

    server.kill();
    server.damage_log().unwrap();
    let refused = server.restart().unwrap_err().to_string();
    assert!(refused.contains("redis-check-aof --fix"), "{refused}");
    let told = ledger.append(pen.draft(1, "goes on")).await;
    assert!(matches!(told, Err(LedgerError::Unavailable { .. })), "{told:?}");

    server.mend_log().unwrap();
    server.restart().unwrap();
    let ledger = open(&options).await;
    let left = pen.history(&*ledger).await;
    assert!(!left.is_empty() && left.len() < APPENDS, "{} are left", left.len());
    assert_eq!(whole[..left.len()], left[..]);
    let lost = Appended::Gap {
        version: left.len() as u64,
    };
    assert_eq!(ledger.append(pen.draft(1, "goes on")).await.unwrap(), lost);
    for append in appends.split_off(left.len()) {
        assert_eq!(ledger.append(append).await.unwrap(), Appended::Done);
    }
    assert_eq!(pen.history(&*ledger).await, whole);
    let goes_on = pen.draft(1, "goes on");
    pen.write(&*ledger, goes_on).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_was_damaged_in_the_log_is_read_by_nobody() {
    let mut server = Redis::start(&RedisOptions::default()).unwrap();
    let options = options(&server.url());
    let ledger = open(&options).await;
    let (mut pen, mut other) = (Pen::new("acme", "one"), Pen::new("acme", "other"));
    for n in 0..APPENDS {
        let append = pen.draft(1, &format!("part {n}"));
        pen.write(&*ledger, append).await;
        let append = other.draft(1, &format!("elsewhere {n}"));
        other.write(&*ledger, append).await;
    }
    server.kill();
    server.damage_log_at(b"part ").unwrap();
    server.restart().unwrap();
    let ledger = open(&options).await;
    let damaged = ledger.read(&pen.tenant, pen.case, 1).await.unwrap_err().to_string();
    assert!(damaged.contains("is not what its hash says"), "{damaged}");
    assert!(damaged.contains(&pen.case.to_string()), "{damaged}");
    assert_eq!(other.history(&*ledger).await.len(), APPENDS);
}
