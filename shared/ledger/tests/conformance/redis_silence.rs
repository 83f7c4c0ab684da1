//! A network that falls silent without a word to anybody: bytes vanish one way,
//! or both, and new connections are taken and never heard. Whoever asks is told
//! in bounded time, and what he asked for is there once when he asks again.

use crate::pen::Pen;
use crate::redis::options;
use offboard_ledger::{Append, Appended, Ledger, LedgerError, RedisLedger};
use offboard_servers::{Direction, Proxy, Redis};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long somebody may wait for the word that nothing is known: a call's time
/// and a busy machine's.
const TOLD_WITHIN: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(60);

async fn behind_a_proxy() -> (Arc<Redis>, Proxy, Arc<RedisLedger>) {
    let server = Redis::shared().unwrap();
    let proxy = Proxy::to(server.port()).unwrap();
    let options = options(&format!("redis://127.0.0.1:{}", proxy.port()));
    let (ledger, _) = RedisLedger::open(options).await.unwrap();
    (server, proxy, ledger)
}

/// What a call that gets no answer comes back with, and not too late.
async fn told<T: std::fmt::Debug>(asking: impl Future<Output = Result<T, LedgerError>>) -> String {
    let told = tokio::time::timeout(TOLD_WITHIN, asking)
        .await
        .expect("in bounded time");
    let error = told.unwrap_err();
    assert!(matches!(error, LedgerError::Unavailable { .. }), "{error}");
    error.to_string()
}

async fn goes_on(ledger: &dyn Ledger, append: &Append) -> Appended {
    let until = Instant::now() + PATIENCE;
    loop {
        match ledger.append(append.clone()).await {
            Ok(appended) => return appended,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_silent_one_way_is_given_up_and_nothing_is_done_twice() {
    let (_server, proxy, ledger) = behind_a_proxy().await;
    let mut pen = Pen::new("acme", "one");
    // The server knows the script from now on: it is done with the first word of it.
    let opened = pen.draft(1, "opened");
    let mut records = pen.write(&*ledger, opened).await.records;
    for (silent, expected) in [
        // It was done, and the word of it was lost.
        (Direction::ToClient, Appended::Ours),
        (Direction::ToServer, Appended::Done),
    ] {
        let next = pen.draft(2, "next");
        proxy.stall(silent);
        let said = told(ledger.append(next.clone())).await;
        assert!(said.contains("no answer within"), "{said}");
        // New connections pass, so it heals by itself.
        assert_eq!(goes_on(&*ledger, &next).await, expected, "{silent:?}");
        pen.after(&next);
        records.extend(next.records);
        assert_eq!(pen.history(&*ledger).await, records);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_drops_everything_is_told_of_and_what_it_forgot_is_not_waited_for() {
    let (_server, proxy, ledger) = behind_a_proxy().await;
    let mut pen = Pen::new("acme", "one");
    let opened = pen.draft(1, "opened");
    pen.write(&*ledger, opened).await;
    proxy.swallow();
    let next = pen.draft(1, "next");
    let said = told(ledger.append(next.clone())).await;
    assert!(said.contains("may be repeated"), "{said}");
    // By now a new connection was tried, and is silent too.
    let said = told(ledger.ready()).await;
    assert!(said.contains("Redis"), "{said}");
    // That one stays silent for ever: it has to be given up for another.
    proxy.pass_new();
    assert_eq!(goes_on(&*ledger, &next).await, Appended::Done);
    pen.after(&next);
    assert_eq!(pen.history(&*ledger).await.len(), 2);
}
