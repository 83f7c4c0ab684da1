//! What comes between the ledger and its store: scripts that are forgotten,
//! a server that is killed, hangs, is emptied or replaced by one that knows
//! less, a slot of a cluster that moves. What was acknowledged is there, or its loss is said.

use crate::laws::ALL;
use crate::pen::{NOON, Pen, tenant, wake};
use crate::redis::{open, options};
use offboard_domain::Record;
use offboard_ledger::redis::{Finding, RedisOptions};
use offboard_ledger::{Append, Appended, Claim, KeyChange, Ledger, LedgerError, RedisLedger};
use offboard_servers::redis as servers;
use offboard_servers::{Patience, Redis, RedisCluster, RedisSentinel};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long something that was disturbed may take to go on.
const PATIENCE: Duration = Duration::from_secs(60);

/// Repeats an append until its outcome is known.
async fn persist(ledger: &dyn Ledger, append: &Append) -> Appended {
    let until = Instant::now() + PATIENCE;
    loop {
        match ledger.append(append.clone()).await {
            Ok(appended) => return appended,
            Err(LedgerError::Unavailable { .. }) if Instant::now() < until => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Writers of one case each, who append until told to stop.
struct Writers {
    tasks: JoinSet<Pen>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
}

impl Writers {
    fn start(ledger: &Arc<RedisLedger>, writers: usize) -> Self {
        let (stop, acknowledged) = <(Arc<AtomicBool>, Arc<AtomicU64>)>::default();
        let mut tasks = JoinSet::new();
        for n in 0..writers {
            let (ledger, stop, acknowledged) = (Arc::clone(ledger), Arc::clone(&stop), Arc::clone(&acknowledged));
            tasks.spawn(async move {
                let mut pen = Pen::new(["acme", "beta", "zenith"][n % 3], &format!("writer {n}"));
                while !stop.load(Ordering::Relaxed) {
                    let mut append = pen.draft(2, &format!("at {}", pen.version));
                    append.index.wake = wake(NOON.plus(i64::try_from(pen.version).unwrap() % 7));
                    append.claim = Claim::Take(format!("m365:{n}"));
                    if pen.version == 0 {
                        append.key = KeyChange::Create([1; 32]);
                    }
                    let answer = persist(&*ledger, &append).await;
                    assert!(
                        matches!(answer, Appended::Done | Appended::Ours),
                        "writer {n}: {answer:?}"
                    );
                    pen.after(&append);
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                pen
            });
        }
        Self {
            tasks,
            stop,
            acknowledged,
        }
    }

    /// Waits until so many more appends were acknowledged.
    async fn go_on(&self, more: u64) {
        let (until, end) = (
            Instant::now() + PATIENCE,
            self.acknowledged.load(Ordering::Relaxed) + more,
        );
        while self.acknowledged.load(Ordering::Relaxed) < end {
            assert!(Instant::now() < until, "the writers do not get on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends them, and checks that all that was acknowledged is there, once.
    async fn end(self, ledger: &dyn Ledger) {
        self.end_beside(ledger, 0).await;
    }

    /// The same, where so many other cases were opened.
    async fn end_beside(mut self, ledger: &dyn Ledger, others: usize) {
        self.stop.store(true, Ordering::Relaxed);
        let listed = ledger.list(ALL).await.unwrap();
        assert_eq!(listed.len(), self.tasks.len() + others);
        while let Some(pen) = self.tasks.join_next().await {
            let pen = pen.unwrap();
            let records: Vec<Record> = pen.history(ledger).await;
            assert_eq!(records.len() as u64, pen.version);
            for (n, record) in (0_u64..).zip(&records) {
                let body = format!("at {}, {} of {}", n / 2 * 2, n % 2, pen.case);
                assert_eq!(record.body, body.as_bytes());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forgotten_scripts_are_sent_again() {
    let server = Redis::start(&servers::RedisOptions::default()).unwrap();
    let ledger = open(&options(&server.url())).await;
    let writers = Writers::start(&ledger, 8);
    for _ in 0..10 {
        writers.go_on(40).await;
        server.command(&["SCRIPT", "FLUSH", "SYNC"]).unwrap();
    }
    writers.go_on(40).await;
    writers.end(&*ledger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_10_what_was_acknowledged_survives_being_killed_in_mid_work() {
    let mut server = Redis::start(&servers::RedisOptions::default()).unwrap();
    let ledger = open(&options(&server.url())).await;
    let writers = Writers::start(&ledger, 16);
    for more in [1, 300, 17, 120] {
        writers.go_on(more).await;
        server.restart().unwrap();
    }
    writers.go_on(100).await;
    writers.end(&*ledger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_10_what_was_acknowledged_survives_a_cluster_killed_in_mid_work() {
    let mut cluster = RedisCluster::start(&servers::RedisOptions::default()).unwrap();
    let ledger = open(&options(&cluster.url())).await;
    let writers = Writers::start(&ledger, 9);
    writers.go_on(100).await;
    for node in 0..3 {
        cluster.nodes()[node].restart().unwrap();
        writers.go_on(50).await;
    }
    cluster.restart().unwrap();
    writers.go_on(100).await;
    writers.end(&*ledger).await;
}

/// A key of the shard that the first writer writes to.
fn key_of_acme(options: &RedisOptions) -> String {
    let shard = offboard_ledger::Shard::of_tenant(&tenant("acme"), crate::redis::SHARDS).index;
    format!("{{{}:{shard}}}:cases", options.prefix)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_10_what_was_acknowledged_survives_a_clusters_failover_in_mid_work() {
    let cluster = RedisCluster::start(&servers::RedisOptions::default()).unwrap();
    let options = options(&cluster.url());
    let ledger = open(&options).await;
    let key = key_of_acme(&options);
    let replica = cluster.replica_of(&key, &servers::RedisOptions::default()).unwrap();
    let writers = Writers::start(&ledger, 9);
    writers.go_on(100).await;
    cluster.fail_over(&replica).unwrap();
    writers.go_on(100).await;
    let rows = || match replica.command(&["HLEN", &key]).unwrap() {
        servers::Reply::Number(rows) => rows,
        other => panic!("it does not serve the key: {other:?}"),
    };
    let before = rows();
    assert!(before >= 3, "the writers of that shard were served: {before}");
    let mut pen = Pen::new("acme", "opened after the failover");
    let opened = pen.draft(1, "opened");
    let answer = persist(&*ledger, &opened).await;
    assert!(matches!(answer, Appended::Done | Appended::Ours), "{answer:?}");
    pen.after(&opened);
    assert_eq!(rows(), before + 1, "it went to the new primary");
    assert_eq!(pen.history(&*ledger).await, opened.records);
    writers.end_beside(&*ledger, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_10_what_was_acknowledged_survives_a_slot_that_moves_in_mid_work() {
    let mut cluster = RedisCluster::start(&servers::RedisOptions::default()).unwrap();
    let options = options(&cluster.url());
    let ledger = open(&options).await;
    let key = key_of_acme(&options);
    let writers = Writers::start(&ledger, 9);
    writers.go_on(100).await;
    let source = cluster.node_of(&key).unwrap().port();

    // Some of an append's keys are here and some there: neither node serves it.
    let moving = cluster.open_slot(&key).unwrap();
    assert_eq!(cluster.take_over(&moving, 2).unwrap(), 2);
    let refused = |word: &str| cluster.refusals(&moving, word) > 0;
    offboard_servers::until("a try again", Patience(PATIENCE), || refused("TRYAGAIN")).unwrap();
    // None is here any more, and the slot still is this node's.
    while cluster.take_over(&moving, 100).unwrap() > 0 {}
    offboard_servers::until("a way to the other node", Patience(PATIENCE), || refused("ASK")).unwrap();
    cluster.close_slot(&moving).unwrap();

    writers.go_on(100).await;
    let mut pen = Pen::new("acme", "opened after the move");
    let opened = pen.draft(1, "opened");
    let answer = persist(&*ledger, &opened).await;
    assert!(matches!(answer, Appended::Done | Appended::Ours), "{answer:?}");
    pen.after(&opened);
    assert_eq!(pen.history(&*ledger).await, opened.records);
    assert_ne!(cluster.node_of(&key).unwrap().port(), source);
    writers.end_beside(&*ledger, 1).await;
}

fn signal(server: &Redis, signal: &str) {
    let sent = Command::new("kill")
        .arg(signal)
        .arg(server.pid().unwrap().to_string())
        .status();
    assert!(sent.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_05_an_append_whose_answer_did_not_come_is_repeated() {
    let server = Redis::start(&servers::RedisOptions::default()).unwrap();
    let options = options(&server.url());
    let ledger = open(&options).await;
    let mut pen = Pen::new("acme", "one");
    let opened = pen.draft(1, "opened");
    pen.write(&*ledger, opened).await;

    signal(&server, "-STOP");
    let next = pen.draft(1, "next");
    let began = Instant::now();
    let error = ledger.append(next.clone()).await.unwrap_err();
    let took = began.elapsed();
    // Nor does he hang who comes meanwhile.
    let opened = RedisLedger::open(options.clone()).await;
    signal(&server, "-CONT");
    assert!(matches!(opened, Err(LedgerError::Unavailable { .. })), "{opened:?}");
    assert!(matches!(error, LedgerError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("may be repeated"), "{error}");
    assert!(took >= Duration::from_secs(4), "it was given time: {took:?}");

    // The server had it, and does it when it goes on; or it never reads it.
    let answer = persist(&*ledger, &next).await;
    assert!(matches!(answer, Appended::Done | Appended::Ours), "{answer:?}");
    pen.after(&next);
    assert_eq!(pen.history(&*ledger).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_is_said_and_come_back_to() {
    let mut server = Redis::start(&servers::RedisOptions::default()).unwrap();
    let ledger = open(&options(&server.url())).await;
    let mut pen = Pen::new("acme", "one");
    let opened = pen.draft(1, "opened");
    pen.write(&*ledger, opened).await;
    server.kill();
    let error = ledger.read(&pen.tenant, pen.case, 1).await.unwrap_err();
    let said = error.to_string();
    assert!(matches!(error, LedgerError::Unavailable { .. }), "{said}");
    assert!(said.contains("cannot be reached") && said.contains("refused"), "{said}");
    server.restart().unwrap();
    let next = pen.draft(1, "next");
    assert_eq!(persist(&*ledger, &next).await, Appended::Done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_06_an_older_copy_of_the_store_is_noticed() {
    let mut server = Redis::start(&servers::RedisOptions::default()).unwrap();
    let options = options(&server.url());
    let ledger = open(&options).await;
    let (mut pen, mut young) = (Pen::new("acme", "one"), Pen::new("acme", "two"));
    let kept = pen.draft(2, "kept");
    let kept = pen.write(&*ledger, kept).await;
    let copy = tempfile::tempdir().unwrap();
    server.stop();
    server.back_up(copy.path()).unwrap();
    server.restart().unwrap();
    let lost = pen.draft(3, "lost");
    assert_eq!(persist(&*ledger, &lost).await, Appended::Done);
    pen.after(&lost);
    let opened = young.draft(1, "opened");
    young.write(&*ledger, opened).await;

    server.kill();
    server.restore(copy.path()).unwrap();
    server.restart().unwrap();
    // He who knows more is told, whether he has stayed or comes anew.
    let goes_on = pen.draft(1, "goes on");
    for ledger in [Arc::clone(&ledger), open(&options).await] {
        assert_eq!(persist(&*ledger, &goes_on).await, Appended::Gap { version: 2 });
        let rearmed = ledger.append(pen.draft(0, "")).await.unwrap();
        assert_eq!(rearmed, Appended::Gap { version: 2 });
        assert_eq!(pen.history(&*ledger).await, kept.records);
        let vanished = ledger.append(young.draft(1, "goes on")).await.unwrap();
        assert_eq!(vanished, Appended::Gap { version: 0 });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_06_an_emptied_store_is_noticed() {
    let mut server = Redis::start(&servers::RedisOptions::default()).unwrap();
    let options = options(&server.url());
    let ledger = open(&options).await;
    let mut pen = Pen::new("acme", "one");
    let opened = pen.draft(1, "opened");
    pen.write(&*ledger, opened).await;
    server.kill();
    server.wipe().unwrap();
    server.restart().unwrap();
    let next = pen.draft(1, "next");
    assert_eq!(persist(&*ledger, &next).await, Appended::Gap { version: 0 });

    // Whoever opens it is told that it is new, and in part that it is not.
    server
        .command(&["DEL", &format!("{{{}:3}}:installation", options.prefix)])
        .unwrap();
    let (_, standing) = RedisLedger::open(options.clone()).await.unwrap();
    let warned = |text: &str, standing: &offboard_ledger::redis::RedisStanding| {
        let warning = |f: &Finding| matches!(f, Finding::Warning(w) if w.contains(text));
        standing.findings().iter().any(warning)
    };
    assert!(
        warned("shards 1, 2, 3, 4, 5 held nothing", &standing) || warned("shards 3 held nothing", &standing),
        "{standing}"
    );
    let other = RedisOptions {
        prefix: format!("{}-new", options.prefix),
        ..options.clone()
    };
    let (_, standing) = RedisLedger::open(other).await.unwrap();
    assert!(warned("a new installation", &standing), "{standing}");
    let (_, standing) = RedisLedger::open(options).await.unwrap();
    assert!(
        !standing.findings().iter().any(|f| matches!(f, Finding::Warning(_))),
        "{standing}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_is_followed() {
    let servers = RedisSentinel::start(&servers::RedisOptions::default()).unwrap();
    let ledger = open(&options(&servers.url())).await;
    let writers = Writers::start(&ledger, 4);
    writers.go_on(50).await;
    writers.end(&*ledger).await;
    let mut pen = Pen::new("acme", "one");
    let mut opened = pen.draft(2, "opened");
    opened.claim = Claim::Take("m365:one".to_owned());
    let opened = pen.write(&*ledger, opened).await;
    servers.wait_until_in_step().unwrap();
    let before = ledger.list(ALL).await.unwrap();

    // Both are well: the old primary stays, its connections stay open, and it
    // only refuses to be written to. (Until it does, it takes what is then lost.)
    servers.fail_over().unwrap();
    servers.wait_until_promoted().unwrap();
    let demoted = || {
        let role = servers.primary.command(&["INFO", "replication"]).unwrap();
        role.text().contains("role:slave")
    };
    offboard_servers::until("the old primary to be demoted", Patience(PATIENCE), demoted).unwrap();
    let next = pen.draft(1, "next");
    let answer = persist(&*ledger, &next).await;
    assert!(matches!(answer, Appended::Done | Appended::Ours), "{answer:?}");
    let mut listed = ledger.list(ALL).await.unwrap();
    listed.retain(|e| e.case != pen.case);
    assert_eq!(
        listed,
        before.into_iter().filter(|e| e.case != pen.case).collect::<Vec<_>>()
    );
    let records: Vec<Record> = opened.records.into_iter().chain(next.records).collect();
    assert_eq!(pen.history(&*ledger).await, records);
    let log = format!("*:log:{}/{}", pen.tenant, pen.case);
    let keys = servers.replica.command(&["KEYS", &log]).unwrap().text();
    assert_eq!(
        servers.replica.command(&["LLEN", &keys]).unwrap(),
        servers::Reply::Number(3),
        "it went to the new primary"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law_06_a_replica_that_missed_the_tail_is_noticed() {
    let mut servers = RedisSentinel::start(&servers::RedisOptions::default()).unwrap();
    let ledger = open(&options(&servers.url())).await;
    let mut pen = Pen::new("acme", "one");
    let kept = pen.draft(2, "kept");
    let kept = pen.write(&*ledger, kept).await;
    servers.wait_until_in_step().unwrap();
    servers.cut_off_replica().unwrap();
    let lost = pen.draft(1, "lost");
    pen.write(&*ledger, lost).await;
    servers.primary.kill();
    servers.wait_until_promoted().unwrap();
    let goes_on = pen.draft(1, "goes on");
    assert_eq!(persist(&*ledger, &goes_on).await, Appended::Gap { version: 2 });
    assert_eq!(pen.history(&*ledger).await, kept.records);
}

#[tokio::test]
async fn law_06_damage_in_the_store_is_named() {
    let server = Redis::start(&servers::RedisOptions::default()).unwrap();
    let options = options(&server.url());
    let ledger = open(&options).await;
    let mut pen = Pen::new("acme", "one");
    let opened = pen.draft(3, "opened");
    pen.write(&*ledger, opened.clone()).await;
    let shard = offboard_ledger::Shard::of_tenant(&pen.tenant, crate::redis::SHARDS).index;
    let log = format!("{{{}:{shard}}}:log:{}/{}", options.prefix, pen.tenant, pen.case);
    let said = async || match ledger.read(&pen.tenant, pen.case, 1).await {
        Err(error @ LedgerError::Broken { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let appended = async |append: Append| match ledger.append(append).await {
        Err(error @ LedgerError::Broken { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };

    server
        .command(&["LSET", &log, "1", "a hash of 32 bytes or so, and more"])
        .unwrap();
    let text = said().await;
    assert!(
        text.contains(&format!("record 2 of {} is not what its hash says", pen.case)),
        "{text}"
    );
    server.command(&["RPOP", &log]).unwrap();
    let text = said().await;
    assert!(text.contains(&format!("record 3 of {} is missing", pen.case)), "{text}");
    let text = appended(pen.draft(1, "next")).await;
    assert!(text.contains("has 2 records where its row says 3"), "{text}");
    assert_eq!(
        server.command(&["LLEN", &log]).unwrap(),
        servers::Reply::Number(2),
        "nothing was written"
    );
    // A row that is gone does not make its records another case's.
    let cases = format!("{{{}:{shard}}}:cases", options.prefix);
    server.command(&["DEL", &cases]).unwrap();
    let text = appended(opened).await;
    assert!(text.contains("has 2 records where its row says 0"), "{text}");
}

#[tokio::test]
async fn a_hundred_records_and_more_go_in_one_append() {
    let server = Redis::shared().unwrap();
    let ledger = open(&options(&server.url())).await;
    let mut pen = Pen::new("acme", "one");
    let many = pen.draft(2_500, "many");
    let many = pen.write(&*ledger, many).await;
    assert_eq!(pen.history(&*ledger).await, many.records);
    let stale = Pen::new("acme", "one").draft(1, "stale");
    assert_eq!(
        ledger.append(stale).await.unwrap(),
        Appended::Conflict { missed: many.records }
    );
}
