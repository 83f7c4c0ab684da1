//! Processes replaced one by one, there and back, with departures in flight,
//! while somebody writes what only a version to come can read: nothing is
//! lost, nothing is done twice, and nothing that cannot be read is acted on.
//!
//! No older version of the program has been released whose messages differ, so
//! both sides of the replacement are this build; what a newer one would write
//! the test writes, with the installation's own keys.

use crate::account::{Party, nothing_lost, nothing_twice};
use crate::cluster::stage::{Client, Size, Stage, now_ms};
use crate::support::Running;
use offboard_domain::departure::case_of_reference;
use offboard_domain::event::VOCABULARY;
use offboard_domain::record::Body;
use offboard_domain::{CaseId, CaseKey, Record, TenantId, Timestamp, Wake};
use offboard_ledger::redis::RedisOptions;
use offboard_ledger::{Append, Appended, Claim, Filter, IndexEntry, KeyChange, Ledger as _, RedisLedger};
use offboard_runtime::keys::MasterKey;
use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

/// Far longer than it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(200);
/// As many shards as a configuration has that says nothing.
const SHARDS: u16 = 16;
/// Between two replacements: departures get on meanwhile.
const BETWEEN: Duration = Duration::from_millis(700);

/// Two of each role; the workers last.
const ROLES: [&str; 6] = ["dispatcher", "dispatcher", "closer", "closer", "worker", "worker"];
const WORKERS: usize = 2;

fn replace(stage: &Stage, role: &str, running: &mut Running) {
    let newer = stage.start(role);
    let older = std::mem::replace(running, newer);
    thread::sleep(BETWEEN);
    older.signal("TERM");
    older.wait().expect(0);
}

/// Appends an event of a vocabulary to come to one case, as a newer dispatcher
/// does that has just owned it. Which, and what it appended.
async fn newer_appends(stage: &Stage) -> (IndexEntry, Record) {
    let mut options = RedisOptions::new(stage.redis().url().parse().unwrap());
    options.shards = SHARDS;
    let (ledger, _) = RedisLedger::open(options).await.unwrap();
    let master = MasterKey::load(&stage.folder.path().join("keys")).unwrap();
    let until = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < until, "no case could be appended to");
        let filter = Filter {
            open_only: true,
            limit: 1,
            ..Filter::default()
        };
        let Some(index) = ledger.list(filter).await.unwrap().pop() else {
            continue;
        };
        let history = ledger.read(&index.tenant, index.case, 1).await.unwrap();
        let (Some(last), Some(salt)) = (history.records.last(), history.salt) else {
            continue;
        };
        let key = CaseKey::derive(master.expose(), &salt);
        let version = last.version + 1;
        let body = Body {
            v: VOCABULARY + 1,
            at: Timestamp(now_ms()),
            event: "task_foreseen".into(),
            sealed: key
                .seal(&version.to_be_bytes(), b"{\"event\":\"task_foreseen\"}")
                .into(),
        };
        let record = Record::chained(version, last.hash, serde_json::to_vec(&body).unwrap());
        let index = IndexEntry {
            version,
            head: record.hash,
            wake: Some(Wake::APPENDED),
            ..index
        };
        let append = Append {
            expected: last.version,
            prev: last.hash,
            records: vec![record.clone()],
            index: index.clone(),
            key: KeyChange::Keep,
            claim: Claim::Keep,
            cap: None,
            trim: false,
        };
        // The owner is at it as well, and may be faster.
        if ledger.append(append).await.unwrap() == Appended::Done {
            return (index, record);
        }
    }
}

async fn last_record(stage: &Stage, tenant: &TenantId, case: CaseId) -> Option<Record> {
    let mut options = RedisOptions::new(stage.redis().url().parse().unwrap());
    options.shards = SHARDS;
    let (ledger, _) = RedisLedger::open(options).await.unwrap();
    ledger.read(tenant, case, 1).await.unwrap().records.pop()
}

/// The leavers of a client but for the one whose case this is.
fn but_for(case: CaseId, client: &Client) -> Vec<String> {
    let tenant = TenantId::new(&client.handle).unwrap();
    let all = client.leavers.iter().enumerate();
    all.filter(|(n, _)| case_of_reference(&tenant, &format!("{}-{n}", client.handle)) != case)
        .map(|(_, person)| person.clone())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_are_replaced_one_by_one_there_and_back_and_what_is_too_new_rests() {
    let size = Size {
        tenants: 3,
        leavers_each: 3,
    };
    let stage = Stage::set(17, size).await;
    let (first, workers) = ROLES.split_at(ROLES.len() - WORKERS);
    let mut running: Vec<Running> = first.iter().map(|role| stage.start(role)).collect();
    let file = stage.departures();
    stage.run(&["submit", &file, "--json"]).expect(0);
    // Before anybody works, so that it is known what is left as it was.
    let (resting, newer) = newer_appends(&stage).await;
    let resting_id = resting.case.to_string();
    running.extend(workers.iter().map(|role| stage.start(role)));

    let mut people = crate::cluster::people::People::default();
    for _ in ["there", "back"] {
        for (role, running) in ROLES.iter().zip(&mut running) {
            replace(&stage, role, running);
            people.answer(&stage);
        }
    }
    let until = Instant::now() + PATIENCE;
    loop {
        people.answer(&stage);
        let mut cases = stage.cases();
        let left = cases
            .remove(&resting_id)
            .expect("it is listed, though nobody can read it");
        assert_ne!(left["state"], "closed");
        if cases.len() == 8 && cases.values().all(|c| c["state"] == "closed") {
            break;
        }
        if Instant::now() > until {
            let why: String = cases.keys().map(|c| stage.run(&["why", c]).out).collect();
            let said: Vec<String> = running.into_iter().map(|r| r.end().err).collect();
            panic!("not closed within {PATIENCE:?}:\n{why}\n{}", said.join("\n----\n"));
        }
        thread::sleep(Duration::from_millis(500));
    }
    for case in stage.cases().keys().filter(|c| **c != resting_id) {
        stage.run(&["verify", case]).expect(0);
    }
    // What is too new stands as it was written, and whoever asks is told.
    let stands = last_record(&stage, &resting.tenant, resting.case).await;
    assert_eq!(stands, Some(newer));
    let said = stage.run(&["show", &resting_id]).expect(1).err;
    assert!(
        said.contains(&format!("vocabulary {}", VOCABULARY + 1)) && said.contains("upgrade"),
        "{said}"
    );
    let dead = stage.run(&["list", "--dead", "--json"]).expect(0);
    assert_eq!(dead.json(), serde_json::json!([]));

    // Whose case that is keeps all that he has; the others have lost it, once.
    let mut closed = stage.cases();
    closed.remove(&resting_id);
    let leavers: Vec<Vec<String>> = stage.clients.iter().map(|c| but_for(resting.case, c)).collect();
    let parties: Vec<Party<'_>> = stage
        .clients
        .iter()
        .zip(&leavers)
        .map(|(client, leavers)| Party {
            leavers,
            // The first leaver's.
            laptops: if leavers.first() == client.leavers.first() {
                &client.laptops
            } else {
                &[]
            },
            ..Party::from(client)
        })
        .collect();
    let attempts = nothing_lost(&stage.folder, &closed, &BTreeSet::new(), &parties, "");
    nothing_twice(&mut stage.world(), now_ms(), &parties, &attempts, "");
    for role in running {
        role.signal("TERM");
        role.wait().expect(0);
    }
}
