//! What only a file can suffer: a second process, damage, another program's
//! file, a newer version's; and what its plans and pages must be.

use crate::backend::Backend as _;
use crate::pen::{NOON, Pen, wake};
use crate::sqlite::Sqlite;
use offboard_domain::Timestamp;
use offboard_ledger::{Append, Appended, Filter, KeyChange, Ledger as _, LedgerError, Shard, SqliteLedger};
use offboard_servers::Disk;
use rusqlite::Connection;
use std::sync::Arc;

async fn with_three_records() -> (Sqlite, Pen) {
    let backend = Sqlite::fresh().await;
    let mut pen = Pen::new("acme", "one");
    for n in 0..3 {
        let append = pen.draft(1, &format!("record {n}"));
        pen.write(&*backend.ledger(), append).await;
    }
    (backend, pen)
}

async fn refused(backend: &Sqlite, pen: &Pen) -> String {
    match backend.ledger().read(&pen.tenant, pen.case, 1).await {
        Err(error @ LedgerError::Broken { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn law_06_a_missing_record_is_named() {
    let (backend, pen) = with_three_records().await;
    let backend =
        backend.tampered(|db| assert_eq!(db.execute("DELETE FROM records WHERE version = 2", []).unwrap(), 1));
    let said = refused(&backend, &pen).await;
    assert!(said.contains(&format!("record 2 of {} is missing", pen.case)), "{said}");
    // Nor does a writer who stands before it get a shorter history.
    let stale = Pen::new("acme", "one").draft(1, "stale");
    assert!(matches!(
        backend.ledger().append(stale).await,
        Err(LedgerError::Broken { .. })
    ));
}

#[tokio::test]
async fn law_06_a_changed_record_is_named() {
    let (backend, pen) = with_three_records().await;
    let backend = backend.tampered(|db| {
        assert_eq!(
            db.execute("UPDATE records SET body = x'00' WHERE version = 2", [])
                .unwrap(),
            1
        );
    });
    let said = refused(&backend, &pen).await;
    assert!(
        said.contains(&format!("record 2 of {} is not what its hash says", pen.case)),
        "{said}"
    );
}

#[tokio::test]
async fn law_06_an_index_that_disagrees_with_the_log_is_named() {
    let (backend, pen) = with_three_records().await;
    let backend = backend.tampered(|db| assert_eq!(db.execute("UPDATE cases SET head = zeroblob(32)", []).unwrap(), 1));
    let said = refused(&backend, &pen).await;
    assert!(said.contains("does not agree with its last record"), "{said}");
}

#[tokio::test]
async fn law_07_a_log_that_leads_into_another_case_is_named() {
    let (backend, pen) = with_three_records().await;
    let mut other = Pen::new("zenith", "two");
    let append = other.draft(3, "another's");
    other.write(&*backend.ledger(), append).await;
    let backend = backend.tampered(|db| {
        let other_last = "(SELECT max(seq) FROM records)";
        let sql = format!("UPDATE cases SET last = {other_last} WHERE tenant = 1");
        assert_eq!(db.execute(&sql, []).unwrap(), 1);
    });
    let said = refused(&backend, &pen).await;
    assert!(
        said.contains("is missing") && !said.contains(&other.case.to_string()),
        "{said}"
    );
}

#[tokio::test]
async fn a_second_opening_is_refused_and_names_the_file() {
    let backend = Sqlite::fresh().await;
    let said = SqliteLedger::open(&backend.path()).unwrap_err().to_string();
    let (file, process) = (backend.path().display().to_string(), std::process::id());
    assert!(
        said.contains(&file) && said.contains(&format!("process {process} has it open")),
        "{said}"
    );
    // The refused one did not disturb the first.
    let mut pen = Pen::new("acme", "one");
    let append = pen.draft(1, "opened");
    pen.write(&*backend.ledger(), append).await;
}

#[tokio::test]
async fn beside_whoever_has_it_open_it_is_read_and_never_written() {
    let (backend, mut pen) = with_three_records().await;
    let beside = SqliteLedger::open_to_read(&backend.path()).unwrap();
    assert_eq!(pen.history(&*beside).await.len(), 3);
    let append = pen.draft(1, "opened");
    let said = beside.append(append.clone()).await.unwrap_err().to_string();
    assert!(said.contains("to be read alone"), "{said}");
    pen.write(&*backend.ledger(), append).await;
    assert_eq!(pen.history(&*beside).await.len(), 4, "what was acknowledged is seen");
    beside.close().await.unwrap();
}

/// Room for a few ledgers of some records.
const DISK_MIB: u32 = 16;

#[tokio::test]
async fn where_nothing_can_be_written_it_is_read_as_it_was_closed_or_left_and_never_less() {
    let (backend, pen) = with_three_records().await;
    let disk = Disk::mount(DISK_MIB).unwrap();
    let copy = |name: &str, ends: &[&str]| {
        for end in ends {
            let from = format!("{}{end}", backend.path().display());
            std::fs::copy(from, disk.path().join(format!("{name}{end}"))).unwrap();
        }
    };
    // As it is when its process dies: all that it wrote is in the log.
    copy("died.db", &["", "-wal", "-shm", ".lock"]);
    copy("torn.db", &["", "-wal", ".lock"]);
    let closed = disk.path().join("closed.db");
    let ledger = SqliteLedger::open(&closed).unwrap();
    let mut same = Pen::new("acme", "one");
    let append = same.draft(3, "closed");
    same.write(&*ledger, append).await;
    ledger.close().await.unwrap();
    drop(ledger);
    disk.freeze().unwrap();
    assert!(SqliteLedger::open(&closed).is_err(), "nothing can be written there");

    for name in ["died.db", "closed.db"] {
        let ledger = SqliteLedger::open_to_read(&disk.path().join(name)).unwrap();
        assert_eq!(pen.history(&*ledger).await.len(), 3, "{name}");
    }
    // The log is part of it, and cannot be read without what would have to be made beside it.
    let said = SqliteLedger::open_to_read(&disk.path().join("torn.db")).unwrap_err();
    assert!(said.to_string().contains("torn.db"), "{said}");
}

#[tokio::test]
async fn what_is_not_a_ledger_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.db");
    std::fs::write(&text, "name,leaves\n".repeat(500)).unwrap();
    let said = SqliteLedger::open(&text).unwrap_err().to_string();
    assert!(said.contains(&text.display().to_string()), "{said}");
    assert_eq!(std::fs::read_to_string(&text).unwrap(), "name,leaves\n".repeat(500));

    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x)")
        .unwrap();
    let said = SqliteLedger::open(&foreign).unwrap_err().to_string();
    assert!(said.contains("another program"), "{said}");

    let newer = folder.path().join("newer.db");
    SqliteLedger::open(&newer).unwrap().close().await.unwrap();
    Connection::open(&newer)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let said = SqliteLedger::open(&newer).unwrap_err().to_string();
    assert!(said.contains("schema version 99"), "{said}");
    let said = SqliteLedger::open_to_read(&newer).unwrap_err().to_string();
    assert!(said.contains("schema version"), "{said}");

    let nowhere = folder.path().join("missing").join("ledger.db");
    let said = SqliteLedger::open(&nowhere).unwrap_err().to_string();
    assert!(said.contains("folder must exist"), "{said}");
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_but_its_owner_reads_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let (backend, _) = with_three_records().await;
    let mut seen = 0;
    for file in std::fs::read_dir(backend.path().parent().unwrap()).unwrap() {
        let file = file.unwrap();
        assert_eq!(
            file.metadata().unwrap().permissions().mode() & 0o077,
            0,
            "{:?}",
            file.path()
        );
        seen += 1;
    }
    assert!(seen >= 3, "the file, its log and its lock");
}

#[tokio::test]
async fn closing_drains_and_then_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let ledger = SqliteLedger::open(&path).unwrap();
    let mut pending = tokio::task::JoinSet::new();
    for n in 0..200 {
        let ledger = Arc::clone(&ledger);
        let append = Pen::new("acme", &format!("case {n}")).draft(1, "opened");
        pending.spawn(async move { ledger.append(append).await });
    }
    ledger.checkpoint().await.unwrap();
    ledger.close().await.unwrap();
    ledger.close().await.unwrap();
    let answers = pending.join_all().await;
    let done = answers.iter().filter(|a| matches!(a, Ok(Appended::Done))).count();
    let after = Pen::new("acme", "late").draft(1, "opened");
    let said = ledger.append(after).await.unwrap_err().to_string();
    assert!(said.contains("closed"), "{said}");
    assert!(
        ledger
            .list(Filter {
                limit: 1,
                ..Filter::default()
            })
            .await
            .is_err()
    );

    // The log is folded in: the file alone is the whole ledger, and free.
    let log = path.with_extension("db-wal");
    assert!(!log.exists() || std::fs::metadata(&log).unwrap().len() == 0);
    let again = SqliteLedger::open(&path).unwrap();
    let listed = again
        .list(Filter {
            limit: 1_000,
            ..Filter::default()
        })
        .await
        .unwrap();
    assert_eq!(listed.len(), done);
    assert!(
        answers
            .iter()
            .all(|a| matches!(a, Ok(Appended::Done) | Err(LedgerError::Unavailable { .. })))
    );
}

#[tokio::test]
async fn law_13_a_destroyed_salt_is_nowhere_in_the_files() {
    let salt: [u8; 32] = *b"the salt that is to be destroyed";
    let backend = Sqlite::fresh().await;
    let ledger = backend.ledger();
    let mut pen = Pen::new("acme", "one");
    let opened = Append {
        key: KeyChange::Create(salt),
        ..pen.draft(1, "opened")
    };
    pen.write(&*ledger, opened).await;
    let holds_salt = || {
        let files = std::fs::read_dir(backend.path().parent().unwrap()).unwrap();
        files
            .map(|f| std::fs::read(f.unwrap().path()).unwrap())
            .any(|bytes| bytes.windows(32).any(|w| w == salt))
    };
    assert!(holds_salt(), "the search finds it while it is there");
    let erased = Append {
        key: KeyChange::Destroy,
        ..pen.draft(1, "erased")
    };
    pen.write(&*ledger, erased).await;
    // The idle writer scrubs after it has answered; what comes after its next
    // answer comes after that.
    ledger.own(Shard::ALL, "anyone", NOON, NOON).await.unwrap();
    assert!(!holds_salt());
}

#[tokio::test]
async fn every_question_is_answered_by_an_index() {
    let backend = Sqlite::fresh().await;
    let ledger = backend.ledger();
    for n in 0..50 {
        let mut append = Pen::new("acme", &format!("case {n}")).draft(1, "opened");
        append.index.wake = wake(NOON.plus(n));
        ledger.append(append).await.unwrap();
    }
    let path = backend.path();
    let db = Connection::open(&path).unwrap();
    let plan = |sql: &str| -> String {
        let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
        steps.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    };
    let due = plan(
        "SELECT * FROM cases INDEXED BY cases_due WHERE wake_at IS NOT NULL AND (wake_at, id, number) > (1, x'00', 1)
            ORDER BY wake_at, id, number LIMIT 5",
    );
    assert!(
        due.starts_with("SEARCH cases USING INDEX cases_due") && !due.contains("B-TREE"),
        "{due}"
    );
    for table in ["new_ids", "ids"] {
        let listed = plan(&format!(
            "SELECT id, number FROM {table} WHERE tenant = 1 AND id > x'00' AND ended = 0 ORDER BY id"
        ));
        assert!(
            listed.starts_with(&format!("SEARCH {table} USING PRIMARY KEY")) && !listed.contains("B-TREE"),
            "{listed}"
        );
    }
    assert_eq!(
        ledger.due(Shard::ALL, Timestamp(i64::MAX), 100).await.unwrap().0.len(),
        50
    );
}

#[tokio::test]
async fn a_file_from_before_cases_were_trimmed_goes_on() {
    let (backend, mut pen) = with_three_records().await;
    let before = pen.history(&*backend.ledger()).await;
    let backend = backend.tampered(|db| {
        db.execute_batch(
            "DROP TABLE ids;
            DROP TABLE new_ids;
            CREATE UNIQUE INDEX cases_id ON cases (tenant, id);
            CREATE INDEX cases_open ON cases (tenant, id) WHERE ended = 0;
            ALTER TABLE cases DROP COLUMN trimmed;
            ALTER TABLE cases DROP COLUMN trimmed_head;
            PRAGMA user_version = 1;",
        )
        .unwrap();
    });
    let ledger = backend.ledger();
    assert_eq!(pen.history(&*ledger).await, before);
    let mut closed = pen.draft(1, "closed");
    closed.index.ended = true;
    let closed = pen.write(&*ledger, closed).await;
    let trim = Append {
        index: closed.index,
        trim: true,
        ..pen.draft(0, "")
    };
    assert_eq!(ledger.append(trim).await.unwrap(), Appended::Done);
    let history = ledger.read(&pen.tenant, pen.case, 1).await.unwrap();
    assert_eq!((history.records.len(), history.trimmed), (0, Some(4)));
}

/// More than gather before they are merged, so that some lie in the large table and some do not.
#[tokio::test]
async fn a_case_is_found_by_its_id_before_and_after_ids_were_merged() {
    const CASES: usize = 9_000;
    let backend = Sqlite::fresh().await;
    let ledger = backend.ledger();
    let mut pens: Vec<Pen> = (0..CASES)
        .map(|n| Pen::new(["acme", "zeta"][n % 2], &format!("case {n}")))
        .collect();
    let opened = pens.iter_mut().map(|pen| {
        let append = pen.draft(1, "opened");
        pen.after(&append);
        ledger.append(append)
    });
    for done in futures::future::join_all(opened).await {
        assert_eq!(done.unwrap(), Appended::Done);
    }
    // Every third ends: some of those that are merged, some of the others.
    let ended = pens.iter_mut().step_by(3).map(|pen| {
        let mut ended = pen.draft(1, "over");
        ended.index.ended = true;
        pen.after(&ended);
        ledger.append(ended)
    });
    for done in futures::future::join_all(ended).await {
        assert_eq!(done.unwrap(), Appended::Done);
    }
    drop(ledger);
    let backend = backend.restart().await;
    let ledger = backend.ledger();

    for open_only in [false, true] {
        let mut wanted: Vec<_> = pens
            .iter()
            .filter(|pen| !open_only || pen.version == 1)
            .map(|pen| (pen.tenant.clone(), pen.case, pen.version))
            .collect();
        wanted.sort();
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let filter = Filter {
                open_only,
                after: after.clone(),
                limit: 700,
                ..Filter::default()
            };
            let page = ledger.list(filter).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some((last.tenant.clone(), last.case));
            found.extend(page.into_iter().map(|e| (e.tenant, e.case, e.version)));
        }
        assert!(found == wanted, "{} are listed, {} wanted", found.len(), wanted.len());
    }
    for pen in pens.iter().step_by(500) {
        assert_eq!(pen.history(&*ledger).await.len() as u64, pen.version);
        // It is known: opened again it is no second case.
        let again = Pen {
            version: 0,
            head: offboard_domain::Digest::ZERO,
            ..pen.clone()
        };
        let again = again.draft(1, "opened again");
        assert!(!matches!(ledger.append(again).await.unwrap(), Appended::Done));
    }
}
