//! What is looked at before the ledger is opened: the store's settings, the
//! installation, the rights of each role, encryption; and what is said.

use crate::pen::{NOON, Pen, wake};
use crate::redis::{SHARDS, open, options};
use ::redis::aio::MultiplexedConnection;
use offboard_ledger::redis::{
    Credentials, DEFAULT_PREFIX, Finding, RedisOptions, RedisRole, RedisStanding, SENTINEL_RULES, TlsFiles, acl_rules,
};
use offboard_ledger::{Append, Appended, Filter, GateChange, Ledger as _, LedgerError, RedisLedger, Shard};
use offboard_runtime::Secret;
use offboard_servers::redis as servers;
use offboard_servers::redis::{Fsync, Tls};
use offboard_servers::{Redis, RedisCluster, RedisSentinel};

const PASSWORD: &str = "hunter2-hunter2";

fn credentials(user: &str) -> Option<Credentials> {
    Some(Credentials {
        user: Some(user.to_owned()),
        password: Secret::new(PASSWORD),
    })
}

async fn refused(options: RedisOptions) -> String {
    match RedisLedger::open(options).await {
        Err(error) => error.to_string(),
        Ok((_, standing)) => panic!("opened: {standing}"),
    }
}

fn has(standing: &RedisStanding, wanted: fn(&Finding) -> Option<&String>, text: &str) -> bool {
    standing
        .findings()
        .iter()
        .filter_map(wanted)
        .any(|said| said.contains(text))
}

fn promised(finding: &Finding) -> Option<&String> {
    match finding {
        Finding::Promise(text) => Some(text),
        _ => None,
    }
}

fn unchecked(finding: &Finding) -> Option<&String> {
    match finding {
        Finding::Unchecked(text) => Some(text),
        _ => None,
    }
}

#[tokio::test]
async fn settings_that_lose_history_are_refused() {
    let plain = servers::RedisOptions::default();
    let evicting = servers::RedisOptions {
        eviction: "allkeys-lru",
        ..plain.clone()
    };
    let forgetful = servers::RedisOptions {
        append_only: false,
        ..plain.clone()
    };
    for (server, why) in [
        (evicting, "set maxmemory-policy noeviction"),
        (forgetful, "set appendonly yes"),
    ] {
        let server = Redis::start(&server).unwrap();
        let said = refused(options(&server.url())).await;
        assert!(said.contains(why) && said.contains(&server.url()), "{said}");
        assert_eq!(
            server.command(&["DBSIZE"]).unwrap(),
            servers::Reply::Number(0),
            "nothing was written"
        );
    }
    let primary = Redis::start(&plain).unwrap();
    let replica = Redis::start(&servers::RedisOptions {
        replica_of: Some(primary.port()),
        ..plain
    })
    .unwrap();
    let said = refused(options(&replica.url())).await;
    assert!(said.contains("is a replica; name the primary"), "{said}");
}

#[tokio::test]
async fn the_roles_that_are_deployed_refuse_them_too() {
    let prefix = "acl";
    let plain = servers::RedisOptions {
        users: role_users(prefix),
        ..servers::RedisOptions::default()
    };
    let primary = Redis::start(&plain).unwrap();
    for (server, why) in [
        (
            servers::RedisOptions {
                eviction: "allkeys-lru",
                ..plain.clone()
            },
            "set maxmemory-policy noeviction",
        ),
        (
            servers::RedisOptions {
                append_only: false,
                ..plain.clone()
            },
            "set appendonly yes",
        ),
        (
            servers::RedisOptions {
                replica_of: Some(primary.port()),
                ..plain.clone()
            },
            "is a replica; name the primary",
        ),
    ] {
        let server = Redis::start(&server).unwrap();
        for user in ["dispatcher", "clerk"] {
            let as_role = RedisOptions {
                prefix: prefix.to_owned(),
                credentials: credentials(user),
                ..options(&server.url())
            };
            let said = refused(as_role).await;
            assert!(said.contains(why) && said.contains(&server.url()), "{user}: {said}");
        }
        assert_eq!(
            server.command(&["DBSIZE"]).unwrap(),
            servers::Reply::Number(0),
            "nothing was written"
        );
    }
}

#[tokio::test]
async fn what_is_promised_is_said_as_it_is_set_up() {
    let server = Redis::shared().unwrap();
    let look = async |url: &str| RedisStanding::look(&options(url)).await.unwrap();
    let standing = look(&server.url()).await;
    assert!(
        has(&standing, promised, "survives a crash of the server and of its machine"),
        "{standing}"
    );
    assert!(has(&standing, promised, "has no replica"), "{standing}");
    assert_eq!(standing.refused(), None);

    let primary = Redis::start(&servers::RedisOptions {
        fsync: Fsync::EverySecond,
        more: vec!["min-replicas-to-write 1".to_owned()],
        ..servers::RedisOptions::default()
    })
    .unwrap();
    let replica = Redis::start(&servers::RedisOptions {
        replica_of: Some(primary.port()),
        ..servers::RedisOptions::default()
    });
    let _replica = replica.unwrap();
    let connected = || {
        primary
            .command(&["INFO", "replication"])
            .unwrap()
            .text()
            .contains("connected_slaves:1")
    };
    let patience = offboard_servers::Patience(std::time::Duration::from_secs(30));
    offboard_servers::until("the replica to come", patience, connected).unwrap();
    let standing = look(&primary.url()).await;
    assert!(has(&standing, promised, "can lose the last two seconds"), "{standing}");
    assert!(
        has(&standing, promised, "1 replicas, of which 1 must be connected"),
        "{standing}"
    );

    // Of a cluster, each primary's word.
    let cluster = RedisCluster::shared().unwrap();
    let standing = look(&cluster.url()).await;
    let words = standing.to_string();
    assert_eq!(words.matches("survives a crash").count(), 3, "{words}");
}

#[tokio::test]
async fn the_number_of_shards_is_fixed() {
    let server = Redis::shared().unwrap();
    let first = options(&server.url());
    let ledger = open(&first).await;
    let other = RedisOptions {
        shards: SHARDS + 1,
        ..first.clone()
    };
    let said = refused(other.clone()).await;
    assert!(
        said.contains("has 6 shards and the configuration says 7") && said.contains("say 6"),
        "{said}"
    );
    let elsewhere = RedisOptions {
        prefix: format!("{}-other", first.prefix),
        ..other
    };
    open(&elsewhere).await;

    // Two installations in one store do not see each other.
    let mut pen = Pen::new("acme", "one");
    let opened = pen.draft(1, "opened");
    pen.write(&*ledger, opened).await;
    assert!(pen.history(&*open(&elsewhere).await).await.is_empty());

    let key = format!("{{{}:0}}:installation", first.prefix);
    server.command(&["SET", &key, "format=2 shards=6"]).unwrap();
    let said = refused(first.clone()).await;
    assert!(
        said.contains("format 2") && said.contains("use the newer one"),
        "{said}"
    );
    for wrong in [
        RedisOptions {
            shards: 0,
            ..first.clone()
        },
        RedisOptions {
            prefix: "{x}".to_owned(),
            ..first
        },
    ] {
        assert!(refused(wrong).await.contains("must be 1 to"));
    }
}

async fn as_user(server: &Redis, user: &str) -> MultiplexedConnection {
    let url = format!("redis://{user}:{PASSWORD}@127.0.0.1:{}", server.port());
    let client = ::redis::Client::open(url).unwrap();
    // The library's own patience is half a second.
    let patience = Some(std::time::Duration::from_secs(30));
    let patient = ::redis::AsyncConnectionConfig::new()
        .set_connection_timeout(patience)
        .set_response_timeout(patience);
    client
        .get_multiplexed_async_connection_with_config(&patient)
        .await
        .unwrap()
}

/// What the store says to a command of that user's; none if it obeys.
async fn forbidden(connection: &mut MultiplexedConnection, words: &[&str]) -> Option<String> {
    let mut command = ::redis::cmd(words[0]);
    for word in &words[1..] {
        command.arg(*word);
    }
    let answer: Result<::redis::Value, _> = command.query_async(connection).await;
    answer.err().map(|e| e.to_string())
}

fn role_users(prefix: &str) -> Vec<String> {
    let user = |name: &str, rules: String| format!("{name} on {rules} >{PASSWORD}");
    vec![
        user("dispatcher", acl_rules(RedisRole::Dispatcher, prefix)),
        user("clerk", acl_rules(RedisRole::Clerk, prefix)),
        user("health", acl_rules(RedisRole::Health, prefix)),
    ]
}

/// Everything that a ledger is asked but to own a shard.
async fn everything_but_owning(ledger: &RedisLedger, reference: &str) {
    let mut pen = Pen::new("acme", reference);
    let mut opened = pen.draft(2, "opened");
    opened.index.wake = wake(NOON);
    opened.claim = offboard_ledger::Claim::Take(format!("m365:{reference}"));
    opened.cap = Some(offboard_ledger::Cap { since: NOON, most: 100 });
    pen.write(ledger, opened.clone()).await;
    let stale = Pen::new("acme", reference).draft(1, "stale");
    assert!(matches!(ledger.append(stale).await.unwrap(), Appended::Conflict { .. }));
    let mut closed = pen.draft(1, "closed");
    closed.index.ended = true;
    let closed = pen.write(ledger, closed).await;
    let trim = Append {
        index: closed.index,
        trim: true,
        ..pen.draft(0, "")
    };
    assert_eq!(ledger.append(trim).await.unwrap(), Appended::Done);
    let change = |until| GateChange {
        name: "pause".to_owned(),
        until,
    };
    ledger.gates(&pen.tenant, vec![change(Some(NOON))]).await.unwrap();
    ledger.gates(&pen.tenant, vec![change(None)]).await.unwrap();
    ledger.due(Shard::ALL, NOON, 9).await.unwrap();
    let all = Filter {
        limit: 9,
        ..Filter::default()
    };
    assert!(!ledger.list(all).await.unwrap().is_empty());
}

#[tokio::test]
async fn each_role_may_do_what_it_needs_and_no_more() {
    let prefix = "acl";
    // As the rules were before the roles saw what `INFO` shows.
    let older = acl_rules(RedisRole::Dispatcher, prefix).replace(" +info", "");
    let mut users = role_users(prefix);
    users.push(format!("older on {older} >{PASSWORD}"));
    let server = Redis::start(&servers::RedisOptions {
        users,
        // So that it is the role that refuses it.
        more: vec!["enable-debug-command yes".to_owned()],
        ..servers::RedisOptions::default()
    })
    .unwrap();
    let as_role = |user: &str| RedisOptions {
        prefix: prefix.to_owned(),
        credentials: credentials(user),
        health_credentials: credentials("health"),
        ..options(&server.url())
    };
    let (dispatcher, standing) = RedisLedger::open(as_role("dispatcher")).await.unwrap();
    assert!(!has(&standing, unchecked, ""), "{standing}");
    everything_but_owning(&dispatcher, "one").await;
    let own = dispatcher.own(Shard::ALL, "me", NOON, NOON.plus(9)).await.unwrap();
    assert_eq!(own, "me");

    let (clerk, _) = RedisLedger::open(as_role("clerk")).await.unwrap();
    everything_but_owning(&clerk, "two").await;
    let error = clerk.own(Shard::ALL, "me", NOON, NOON.plus(9)).await.unwrap_err();
    let said = error.to_string();
    assert!(
        matches!(error, LedgerError::Broken { .. }) && said.contains("rules of its role"),
        "{said}"
    );

    // What it cannot see itself is said, and what right it takes.
    let alone = |user: &str| RedisOptions {
        health_credentials: None,
        ..as_role(user)
    };
    for user in ["dispatcher", "clerk"] {
        let (_, standing) = RedisLedger::open(alone(user)).await.unwrap();
        let said: Vec<&String> = standing.findings().iter().filter_map(unchecked).collect();
        assert_eq!(said.len(), 1, "{standing}");
        assert!(
            said[0].contains("appendfsync") && said[0].contains("+config|get"),
            "{standing}"
        );
    }
    let (_, standing) = RedisLedger::open(alone("older")).await.unwrap();
    for (what, right) in [
        ("maxmemory-policy", "+info or +config|get"),
        ("appendonly", "+info or +config|get"),
        ("whether it is a primary", "+info"),
    ] {
        let said = standing.findings().iter().filter_map(unchecked);
        assert_eq!(
            said.filter(|s| s.contains(what) && s.contains(right)).count(),
            1,
            "{standing}"
        );
    }

    let case_key = format!("{{{prefix}:0}}:cases");
    let owners = format!("{{{prefix}:0}}:owners");
    for (user, words) in [
        ("dispatcher", vec!["FLUSHALL"]),
        ("dispatcher", vec!["FLUSHDB"]),
        ("dispatcher", vec!["CONFIG", "SET", "appendonly", "no"]),
        ("dispatcher", vec!["CONFIG", "GET", "requirepass"]),
        ("dispatcher", vec!["KEYS", "*"]),
        ("dispatcher", vec!["ACL", "LIST"]),
        ("dispatcher", vec!["SHUTDOWN", "NOSAVE"]),
        ("dispatcher", vec!["REPLICAOF", "NO", "ONE"]),
        ("dispatcher", vec!["SWAPDB", "0", "1"]),
        ("dispatcher", vec!["RENAME", &case_key, &owners]),
        ("dispatcher", vec!["HSET", "other", "a", "b"]),
        ("dispatcher", vec!["HSET", "{acl-2:0}:cases", "a", "b"]),
        (
            "dispatcher",
            vec!["EVAL", "return redis.call('HSET', KEYS[1], 'a', 'b')", "1", "other"],
        ),
        ("dispatcher", vec!["EVAL", "return redis.call('FLUSHALL')", "0"]),
        ("clerk", vec!["HGETALL", &owners]),
        ("clerk", vec!["HSET", &owners, "a", "b"]),
        ("clerk", vec!["FLUSHALL"]),
        ("health", vec!["HGETALL", &case_key]),
        ("health", vec!["CONFIG", "SET", "appendonly", "no"]),
        ("health", vec!["FLUSHALL"]),
    ] {
        let mut connection = as_user(&server, user).await;
        let said = forbidden(&mut connection, &words).await;
        let said = said.unwrap_or_else(|| panic!("{user} may {words:?}"));
        let denied = said.to_ascii_lowercase();
        assert!(
            denied.contains("perm") || denied.contains("can't"),
            "{user} {words:?}: {said}"
        );
    }
}

#[tokio::test]
async fn a_look_as_the_user_names_what_he_lacks_and_writes_nothing() {
    let weak = acl_rules(RedisRole::Clerk, "weak").replace(" +zrem", "");
    let elsewhere = acl_rules(RedisRole::Clerk, "elsewhere");
    let server = Redis::start(&servers::RedisOptions {
        users: vec![
            format!("clerk on >{PASSWORD} {}", acl_rules(RedisRole::Clerk, "weak")),
            format!("weak on >{PASSWORD} {weak}"),
            format!("elsewhere on >{PASSWORD} {elsewhere}"),
        ],
        ..servers::RedisOptions::default()
    })
    .unwrap();
    let look = async |user: &str, shards: u16| {
        let options = RedisOptions {
            prefix: "weak".to_owned(),
            credentials: credentials(user),
            shards,
            ..options(&server.url())
        };
        RedisStanding::look_as_user(&options).await.unwrap()
    };
    assert_eq!(look("clerk", SHARDS).await.refused(), None);
    assert_eq!(server.command(&["DBSIZE"]).unwrap(), servers::Reply::Number(0));
    let said = look("weak", SHARDS).await.refused().unwrap();
    assert!(said.contains("lacks rights that every append takes (+zrem)"), "{said}");
    let said = look("elsewhere", SHARDS).await.refused().unwrap();
    assert!(said.contains("scripts on the keys of 'weak'"), "{said}");
    let there = ["SET", "{weak:0}:installation", "format=1 shards=3"];
    server.command(&there).unwrap();
    assert_eq!(look("clerk", 3).await.refused(), None);
    let said = look("clerk", 4).await.refused().unwrap();
    assert!(said.contains("has 3 shards and the configuration says 4"), "{said}");
}

/// What is deployed is what is tested.
#[test]
fn the_deployed_users_have_the_rules_of_their_roles() {
    let file = include_str!("../../../../deploy/redis/users.acl");
    let mut expected = vec!["user default off".to_owned()];
    for (name, role) in [
        ("dispatcher", RedisRole::Dispatcher),
        ("clerk", RedisRole::Clerk),
        ("health", RedisRole::Health),
    ] {
        expected.push(format!("user offboard-{name} on {}", acl_rules(role, DEFAULT_PREFIX)));
    }
    assert_eq!(file.lines().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_role_in_a_cluster_needs_no_more() {
    let prefix = "acl";
    let cluster = RedisCluster::start(&servers::RedisOptions {
        users: role_users(prefix),
        ..servers::RedisOptions::default()
    })
    .unwrap();
    let options = RedisOptions {
        prefix: prefix.to_owned(),
        credentials: credentials("dispatcher"),
        health_credentials: credentials("health"),
        ..options(&cluster.url())
    };
    let (ledger, standing) = RedisLedger::open(options).await.unwrap();
    assert!(!has(&standing, unchecked, ""), "{standing}");
    everything_but_owning(&ledger, "one").await;
    ledger.own(Shard::ALL, "me", NOON, NOON.plus(9)).await.unwrap();
}

#[tokio::test]
async fn a_lacking_right_is_named_before_anything_is_written() {
    let rules = acl_rules(RedisRole::Dispatcher, "acl");
    let server = Redis::start(&servers::RedisOptions {
        users: vec![format!("weak on {rules} -zadd -rpush >{PASSWORD}")],
        ..servers::RedisOptions::default()
    })
    .unwrap();
    let with = |user: &str, password: &str| RedisOptions {
        prefix: "acl".to_owned(),
        credentials: Some(Credentials {
            user: Some(user.to_owned()),
            password: Secret::new(password),
        }),
        ..options(&server.url())
    };
    let said = refused(with("weak", PASSWORD)).await;
    assert!(
        said.contains("(+rpush +zadd)") && said.contains("rules of its role"),
        "{said}"
    );
    assert_eq!(server.command(&["DBSIZE"]).unwrap(), servers::Reply::Number(0));

    let wrong = with("weak", "not-the-password");
    let said = refused(wrong.clone()).await;
    assert!(said.contains("check the user and password"), "{said}");
    for text in [said, format!("{wrong:?}")] {
        assert!(!text.contains("not-the-password"), "{text}");
    }
}

#[tokio::test]
async fn sentinels_have_a_user_and_a_password_of_their_own() {
    let prefix = "acl";
    let servers = RedisSentinel::start(&servers::RedisOptions {
        users: role_users(prefix),
        ..servers::RedisOptions::default()
    })
    .unwrap();
    servers
        .admit_only(&format!("watcher on {SENTINEL_RULES} >{PASSWORD}"))
        .unwrap();
    let at_sentinels = |who: Option<Credentials>| RedisOptions {
        prefix: prefix.to_owned(),
        credentials: credentials("dispatcher"),
        sentinel_credentials: who,
        ..options(&servers.url())
    };
    let ledger = open(&at_sentinels(credentials("watcher"))).await;
    everything_but_owning(&ledger, "one").await;
    // Who one is at the ledger does not count there.
    for who in [None, credentials("dispatcher")] {
        let said = refused(at_sentinels(who)).await;
        assert!(said.contains("sentinel_password") && !said.contains(PASSWORD), "{said}");
    }
}

#[tokio::test]
async fn sentinels_that_name_a_replica_are_asked_again() {
    let servers = RedisSentinel::start(&servers::RedisOptions::default()).unwrap();
    // As in the middle of a failover. It takes them half a minute to find it strange.
    let other = servers.replica.port().to_string();
    servers.primary.command(&["REPLICAOF", "127.0.0.1", &other]).unwrap();
    let error = RedisLedger::open(options(&servers.url())).await.unwrap_err();
    let said = error.to_string();
    assert!(matches!(error, LedgerError::Unavailable { .. }), "{said}");
    assert!(said.contains("that the sentinels name is a replica"), "{said}");
}

#[tokio::test]
async fn encryption_takes_the_right_authority_and_certificate() {
    for tls in [Tls::Server, Tls::Mutual] {
        let server = Redis::start(&servers::RedisOptions {
            tls,
            ..servers::RedisOptions::default()
        })
        .unwrap();
        let files = server.certificates().unwrap();
        let client = files.client("ledger").unwrap();
        let client = Some((client.certificate, client.key));
        let with = |authority: bool, certificate: bool| RedisOptions {
            tls: TlsFiles {
                authority: authority.then(|| files.authority.clone()),
                client: client.clone().filter(|_| certificate),
            },
            ..options(&server.url())
        };
        let ledger = open(&with(true, tls == Tls::Mutual)).await;
        everything_but_owning(&ledger, "one").await;
        // Known to the system is this authority not.
        let error = RedisStanding::look(&with(false, true)).await.unwrap_err().to_string();
        assert!(error.contains("certificate"), "{tls:?}: {error}");
        if tls == Tls::Mutual {
            let error = RedisStanding::look(&with(true, false)).await.unwrap_err();
            assert!(matches!(error, LedgerError::Unavailable { .. }), "{error}");
        }
        let plain = RedisOptions::new(server.url().replace("rediss", "redis").parse().unwrap());
        assert!(RedisStanding::look(&plain).await.is_err());
        let absent = RedisOptions {
            tls: TlsFiles {
                authority: Some("/no/such/file".into()),
                client: None,
            },
            ..options(&server.url())
        };
        let error = RedisStanding::look(&absent).await.unwrap_err().to_string();
        assert!(error.contains("/no/such/file cannot be read"), "{error}");
    }
}

#[tokio::test]
async fn sentinels_and_whom_they_name_are_both_reached_encrypted() {
    for tls in [Tls::Server, Tls::Mutual] {
        let servers = RedisSentinel::start(&servers::RedisOptions {
            tls,
            ..servers::RedisOptions::default()
        })
        .unwrap();
        let files = servers.primary.certificates().unwrap();
        let client = files.client("ledger").unwrap();
        let client = Some((client.certificate, client.key));
        let with = |authority: bool, certificate: bool| RedisOptions {
            tls: TlsFiles {
                authority: authority.then(|| files.authority.clone()),
                client: client.clone().filter(|_| certificate),
            },
            ..options(&servers.url())
        };
        let right = || with(true, tls == Tls::Mutual);
        everything_but_owning(&*open(&right()).await, "one").await;

        let error = RedisStanding::look(&with(false, true)).await.unwrap_err().to_string();
        assert!(error.contains("certificate"), "{tls:?}: {error}");
        if tls == Tls::Mutual {
            let error = RedisStanding::look(&with(true, false)).await.unwrap_err();
            assert!(matches!(error, LedgerError::Unavailable { .. }), "{error}");
        }
        let plain = RedisOptions::new(servers.url().replace("rediss", "redis").parse().unwrap());
        assert!(RedisStanding::look(&plain).await.is_err());

        // Whom they name next is met the same way.
        servers.fail_over().unwrap();
        servers.wait_until_promoted().unwrap();
        let next = right();
        everything_but_owning(&*open(&next).await, "two").await;
        let keys = servers.replica.command(&["KEYS", &format!("{{{}:*", next.prefix)]);
        assert!(!keys.unwrap().text().is_empty(), "it went to the new primary");
    }
}

#[tokio::test]
async fn a_cluster_named_as_one_server_is_told_apart() {
    let cluster = RedisCluster::shared().unwrap();
    let one = cluster.url().replace("redis-cluster", "redis");
    let one = one.split(',').next().unwrap();
    let said = refused(options(one)).await;
    assert!(said.contains("say redis-cluster:// in the URL"), "{said}");
}
