//! A Redis that is killed in the middle of a write keeps the whole commands of a
//! transaction that has no end, and applies them before the next transaction when it
//! starts once more. Every append is torn here behind each of its commands, and what
//! can be seen afterwards is what a ledger in memory says that never heard of it.

use crate::laws::everything;
use crate::pen::{NOON, Pen, wake};
use crate::redis::{open, options};
use offboard_ledger::redis::RedisOptions;
use offboard_ledger::{Append, Appended, Claim, KeyChange, Ledger, LedgerError, MemoryLedger};
use offboard_servers::Redis;
use offboard_servers::redis as servers;
use std::sync::Arc;

/// The append that is torn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Torn {
    Opening,
    Work,
    Closing,
    Trim,
}

/// What comes between the two starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Whoever made the append makes it again.
    Again,
    /// He is gone, and something else was decided.
    Otherwise,
    /// Nothing is heard of that case; another one goes on.
    Elsewhere,
}

/// The store, and what must be seen in it.
struct Pair {
    server: Redis,
    options: RedisOptions,
    ledger: Arc<dyn Ledger>,
    model: Arc<MemoryLedger>,
}

impl Pair {
    async fn append(&self, append: &Append) -> Appended {
        let wanted = self.model.append(append.clone()).await.unwrap();
        assert_eq!(self.ledger.append(append.clone()).await.unwrap(), wanted);
        wanted
    }

    async fn write(&self, pen: &mut Pen, append: Append) {
        assert_eq!(self.append(&append).await, Appended::Done);
        pen.after(&append);
    }

    /// Whether the append is there although nobody was told so, which it may be.
    async fn happened(&self, pen: &Pen, append: &Append) -> bool {
        let found = self.ledger.read(&pen.tenant, pen.case, 1).await.unwrap();
        let version = found.records.last().map(|r| r.version).or(found.trimmed).unwrap_or(0);
        version > pen.version || (append.trim && found.trimmed.is_some())
    }

    async fn start(&mut self) {
        self.server.restart().unwrap();
        self.ledger = open(&self.options).await;
    }

    async fn must_agree(&self, pens: &[&Pen], when: &str) {
        let seen = everything(&*self.ledger, pens).await;
        assert_eq!(seen, everything(&*self.model, pens).await, "{when}");
    }
}

fn opening(pen: &Pen, text: &str) -> Append {
    let mut append = pen.draft(2, text);
    append.key = KeyChange::Create([7; 32]);
    append.claim = Claim::Take(format!("{text} of {}", pen.case));
    append.index.wake = wake(NOON.plus(60_000));
    append
}

fn closing(pen: &Pen) -> Append {
    let mut append = pen.draft(1, "closed");
    append.index.ended = true;
    append.claim = Claim::Release;
    append
}

/// The append that is to be torn, and another that could have been made instead.
fn appends(torn: Torn, pen: &Pen) -> (Append, Append) {
    let mut otherwise = pen.draft(3, "otherwise");
    otherwise.index.wake = wake(NOON.plus(90_000));
    match torn {
        Torn::Opening => (opening(pen, "opened"), opening(pen, "opened anew")),
        Torn::Work => {
            let mut work = pen.draft(2, "work");
            work.claim = Claim::Take(format!("more of {}", pen.case));
            work.index.wake = wake(NOON.plus(5_000));
            (work, otherwise)
        }
        Torn::Closing => (closing(pen), otherwise),
        Torn::Trim => {
            let mut trim = pen.draft(0, "");
            trim.index.ended = true;
            trim.trim = true;
            otherwise.index.ended = true;
            otherwise.index.wake = None;
            (trim, otherwise)
        }
    }
}

async fn tear(torn: Torn) {
    let server = Redis::start(&servers::RedisOptions::default()).unwrap();
    let options = options(&server.url());
    let ledger = open(&options).await;
    let mut pair = Pair {
        server,
        options,
        ledger,
        model: MemoryLedger::new(),
    };
    let mut other = Pen::new("acme", "other");
    let opened = opening(&other, "opened");
    pair.write(&mut other, opened).await;

    let mut whole = 1;
    loop {
        let mut commands = 0;
        for then in [Then::Again, Then::Otherwise, Then::Elsewhere] {
            let when = format!("{torn:?}, {whole} commands whole, {then:?}");
            let mut pen = Pen::new("acme", &when);
            if torn != Torn::Opening {
                let opened = opening(&pen, "opened");
                pair.write(&mut pen, opened).await;
            }
            if torn == Torn::Trim {
                let closed = closing(&pen);
                pair.write(&mut pen, closed).await;
            }
            let (append, otherwise) = appends(torn, &pen);
            if (torn, then, whole + 1) == (Torn::Trim, Then::Otherwise, commands) {
                // Nothing but the last word is missing, the records are gone: they are
                // in the archive, and whoever appends is told of damage.
                continue;
            }
            assert_eq!(pair.ledger.append(append.clone()).await.unwrap(), Appended::Done);
            pair.server.kill();
            commands = pair.server.tear_last_transaction(whole).unwrap();
            pair.start().await;
            pair.must_agree(&[&pen, &other], &format!("{when}, started once")).await;

            match then {
                Then::Again => pair.write(&mut pen, append.clone()).await,
                Then::Otherwise => pair.write(&mut pen, otherwise).await,
                Then::Elsewhere => {}
            }
            let mut elsewhere = other.draft(1, &when);
            elsewhere.index.wake = wake(NOON.plus(60_000));
            pair.write(&mut other, elsewhere).await;
            pair.start().await;
            if then == Then::Elsewhere && pair.happened(&pen, &append).await {
                pair.model.append(append.clone()).await.unwrap();
                pen.after(&append);
            }
            pair.must_agree(&[&pen, &other], &format!("{when}, started twice"))
                .await;

            // And it goes on.
            let next = if pen.version == 0 {
                opening(&pen, "opened at last")
            } else {
                pen.draft(1, "next")
            };
            let subject = Claim::Take(format!("opened of {}", pen.case));
            let next = Append {
                claim: subject.clone(),
                ..next
            };
            pair.write(&mut pen, next).await;
            let mut rival = Pen::new("acme", &format!("rival of {when}")).draft(1, "opened");
            rival.claim = subject;
            pair.append(&rival).await;
            pair.must_agree(&[&pen, &other], &format!("{when}, and on")).await;
        }
        whole += 1;
        if whole >= commands {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_opening_does_no_harm() {
    tear(Torn::Opening).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_append_does_no_harm() {
    tear(Torn::Work).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_closing_does_no_harm() {
    tear(Torn::Closing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_trim_does_no_harm() {
    tear(Torn::Trim).await;
}

/// What an older version's append left, whose writes had another order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_an_older_append_left_twice_are_told_and_put_right() {
    let server = Redis::start(&servers::RedisOptions::default()).unwrap();
    let ledger = open(&options(&server.url())).await;
    let client = ::redis::Client::open(server.url()).unwrap();
    let mut raw = client.get_multiplexed_async_connection().await.unwrap();
    let strange = vec![b'x'; 64];
    let mut logs = Vec::new();
    // In the middle, at the end, several times; and what was never acknowledged. What
    // is none of these is damage.
    for (n, (at, more, right)) in [
        (4, 2..4, true),
        (8, 6..8, true),
        (6, 2..6, true),
        (8, 0..0, true),
        (0, 0..0, false),
    ]
    .into_iter()
    .enumerate()
    {
        let mut pen = Pen::new("acme", &format!("case {n}"));
        for part in 0..4 {
            let append = pen.draft(2, &format!("part {part}"));
            pen.write(&*ledger, append).await;
        }
        let whole = pen.history(&*ledger).await;
        let log = new_list(&mut raw, &mut logs).await;
        let records: Vec<Vec<u8>> = ::redis::cmd("LRANGE")
            .arg(&log)
            .arg(0)
            .arg(-1)
            .query_async(&mut raw)
            .await
            .unwrap();
        assert_eq!((records.len(), whole.len()), (8, 8));
        let more = if more.is_empty() {
            vec![strange.clone()]
        } else {
            records[more].to_vec()
        };
        let mut wrong = records;
        wrong.splice(at..at, more);
        let () = ::redis::pipe()
            .atomic()
            .cmd("DEL")
            .arg(&log)
            .cmd("RPUSH")
            .arg(&log)
            .arg(&wrong)
            .query_async(&mut raw)
            .await
            .unwrap();
        let next = pen.draft(1, "next");
        if !right {
            let damaged = ledger.append(next).await.unwrap_err();
            assert!(matches!(damaged, LedgerError::Broken { .. }), "{damaged}");
            continue;
        }
        assert_eq!(pen.history(&*ledger).await, whole, "case {n}");
        pen.write(&*ledger, next).await;
        assert_eq!(pen.history(&*ledger).await.len(), 9);
        let left: usize = ::redis::cmd("LLEN").arg(&log).query_async(&mut raw).await.unwrap();
        assert_eq!(left, 9, "case {n}");
    }
}

/// The list that was not there when this was asked last.
async fn new_list(raw: &mut ::redis::aio::MultiplexedConnection, known: &mut Vec<String>) -> String {
    let keys: Vec<String> = ::redis::cmd("KEYS").arg("*").query_async(raw).await.unwrap();
    for key in keys {
        let sort: String = ::redis::cmd("TYPE").arg(&key).query_async(raw).await.unwrap();
        if sort == "list" && !known.contains(&key) {
            known.push(key.clone());
            return key;
        }
    }
    panic!("there is no new list");
}
