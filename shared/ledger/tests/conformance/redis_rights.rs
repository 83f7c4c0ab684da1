//! A right that is taken from a ledger that is in use: what was acknowledged
//! stays, what is refused says which right and what to do, and all goes on by
//! itself when it is given back. And a store that takes no writes, which says so
//! to whoever asks how it stands.

use crate::pen::{NOON, Pen, wake};
use crate::redis::options;
use offboard_ledger::redis::{Credentials, RedisOptions, RedisRole, acl_rules};
use offboard_ledger::{Append, Appended, Claim, KeyChange, Ledger as _, LedgerError, RedisLedger};
use offboard_runtime::Secret;
use offboard_servers::Redis;
use offboard_servers::redis as servers;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PREFIX: &str = "rights";
const PASSWORD: &str = "hunter2-hunter2";
const ANOTHER: &str = "hunter3-hunter3";
/// How long something that was mended may take to go on.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long anybody may wait for the word that nothing can be written: a call's
/// time and a busy machine's.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

fn rules() -> String {
    acl_rules(RedisRole::Dispatcher, PREFIX)
}

fn set_user(server: &Redis, rules: &str) {
    let words: Vec<&str> = ["ACL", "SETUSER", "writer"]
        .into_iter()
        .chain(rules.split(' ').filter(|w| !w.is_empty()))
        .collect();
    let said = server.command(&words).unwrap();
    assert_eq!(said, servers::Reply::Text("OK".to_owned()), "{rules}");
}

/// A server, and a ledger that uses it as a user with a dispatcher's rights.
async fn in_use() -> (Redis, Arc<RedisLedger>) {
    let server = Redis::start(&servers::RedisOptions {
        users: vec![format!("writer on >{PASSWORD} {}", rules())],
        ..servers::RedisOptions::default()
    })
    .unwrap();
    let options = RedisOptions {
        prefix: PREFIX.to_owned(),
        credentials: Some(Credentials {
            user: Some("writer".to_owned()),
            password: Secret::new(PASSWORD),
        }),
        ..options(&server.url())
    };
    let (ledger, _) = RedisLedger::open(options).await.unwrap();
    (server, ledger)
}

/// An append that writes to everything that an append may write to.
fn draft(pen: &Pen, text: &str) -> Append {
    let mut append = pen.draft(2, text);
    append.index.wake = wake(NOON.plus(i64::try_from(pen.version).unwrap()));
    append.claim = Claim::Take(format!("m365:{text}"));
    if pen.version == 0 {
        append.key = KeyChange::Create([1; 32]);
    }
    append
}

/// Appends again until it is taken.
async fn goes_on(ledger: &RedisLedger, append: &Append) -> Appended {
    let until = Instant::now() + PATIENCE;
    loop {
        match ledger.append(append.clone()).await {
            Ok(appended) => return appended,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_that_is_taken_away_is_named_and_nothing_is_lost() {
    let (server, ledger) = in_use().await;
    ledger.ready().await.unwrap();
    let (mut pen, mut records) = (Pen::new("acme", "one"), Vec::new());
    let opened = draft(&pen, "opened");
    records.extend(pen.write(&*ledger, opened).await.records);
    for (taken, again) in [
        ("-eval -evalsha", true),
        ("resetkeys", true),
        ("resetkeys %R~*", true),
        // Stopped in the middle of the script: what it had written by then is not seen.
        ("-zadd", true),
        ("-zadd", false),
        ("-hset", true),
        ("-hset", false),
    ] {
        set_user(&server, taken);
        let refused = draft(&pen, &format!("refused at {}", pen.version));
        for refusal in [ledger.append(refused.clone()).await.map(drop), ledger.ready().await] {
            let error = refusal.unwrap_err();
            let said = error.to_string();
            assert!(matches!(error, LedgerError::Broken { .. }), "{taken}: {said}");
            assert!(said.contains("rules of its role"), "{taken}: {said}");
        }

        set_user(&server, &rules());
        ledger.ready().await.unwrap();
        assert_eq!(pen.history(&*ledger).await, records, "{taken}");
        let next = if again {
            refused
        } else {
            draft(&pen, &format!("decided otherwise at {}", pen.version))
        };
        records.extend(pen.write(&*ledger, next).await.records);
        assert_eq!(pen.history(&*ledger).await, records, "{taken}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_that_is_gone_or_has_another_password_is_told_of_until_it_is_back() {
    let (server, ledger) = in_use().await;
    let (mut pen, mut records) = (Pen::new("acme", "one"), Vec::new());
    let opened = draft(&pen, "opened");
    records.extend(pen.write(&*ledger, opened).await.records);
    for deleted in [true, false] {
        if deleted {
            server.command(&["ACL", "DELUSER", "writer"]).unwrap();
        } else {
            set_user(&server, &format!("resetpass >{ANOTHER}"));
            // Who is in stays in, until he must come again.
            server.command(&["CLIENT", "KILL", "USER", "writer"]).unwrap();
        }
        let refused = draft(&pen, &format!("refused at {}", pen.version));
        let refusing = tokio::time::timeout(TOLD_WITHIN, ledger.append(refused.clone()));
        let said = refusing.await.unwrap().unwrap_err().to_string();
        assert!(said.contains("check the user and password"), "{said}");
        assert!(!said.contains(PASSWORD) && !said.contains(ANOTHER), "{said}");

        set_user(&server, &format!("on resetpass >{PASSWORD} {}", rules()));
        assert_eq!(goes_on(&ledger, &refused).await, Appended::Done);
        pen.after(&refused);
        records.extend(refused.records);
        assert_eq!(pen.history(&*ledger).await, records);
    }
}

#[tokio::test]
async fn a_store_that_takes_no_writes_is_not_ready_although_it_answers() {
    let (server, ledger) = in_use().await;
    for (setting, full, again, why) in [
        ("maxmemory", "1", "0", "OOM"),
        ("min-replicas-to-write", "1", "0", "NOREPLICAS"),
    ] {
        server.command(&["CONFIG", "SET", setting, full]).unwrap();
        let pen = Pen::new("acme", "one");
        assert!(pen.history(&*ledger).await.is_empty(), "it still answers");
        let error = ledger.ready().await.unwrap_err();
        let said = error.to_string();
        assert!(matches!(error, LedgerError::Unavailable { .. }), "{said}");
        assert!(said.contains("it takes no writes now") && said.contains(why), "{said}");
        server.command(&["CONFIG", "SET", setting, again]).unwrap();
        ledger.ready().await.unwrap();
    }
}
