//! One commit carries many requests: what becomes of the others when one of
//! them fails in the middle of its writes, and of all when the disk does.

use crate::backend::Backend as _;
use crate::pen::{NOON, Pen};
use crate::sqlite::Sqlite;
use offboard_ledger::{Append, Appended, Claim, Filter, Ledger as _, LedgerError, Shard, SqliteLedger};
use rusqlite::Connection;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

const ALL: Filter = Filter {
    tenant: None,
    shard: None,
    open_only: false,
    after: None,
    limit: 1_000,
};

#[tokio::test]
async fn law_03_one_that_fails_in_mid_write_takes_no_other_with_it() {
    const REQUESTS: usize = 60;
    let backend = Sqlite::fresh().await;
    let outside = Connection::open(backend.path()).unwrap();
    // A claim is the last that an append writes.
    outside
        .execute_batch(
            "CREATE TRIGGER fails BEFORE INSERT ON claims WHEN NEW.subject = 'm365:17'
             BEGIN SELECT RAISE(ABORT, 'cannot be written'); END;
             BEGIN IMMEDIATE;",
        )
        .unwrap();
    // The writer waits for the file; everything asked meanwhile gathers.
    let mut asked = tokio::task::JoinSet::new();
    for n in 0..REQUESTS {
        let (ledger, pen) = (
            backend.ledger(),
            Pen::new(["acme", "beta"][n % 2], &format!("case {n}")),
        );
        let append = Append {
            claim: Claim::Take(format!("m365:{n}")),
            ..pen.draft(2, "opened")
        };
        asked.spawn(async move { (n, ledger.append(append).await) });
    }
    // On one thread, each has sent its request when it first waits.
    tokio::task::yield_now().await;
    outside.execute_batch("COMMIT").unwrap();
    for (n, answer) in asked.join_all().await {
        match answer {
            Ok(Appended::Done) => assert_ne!(n, 17),
            Err(LedgerError::Broken { detail, .. }) => {
                assert!(n == 17 && detail.contains("cannot be written"), "{n}: {detail}");
            }
            other => panic!("{n}: {other:?}"),
        }
    }
    drop(outside);
    let backend = backend.restart().await;
    assert_eq!(backend.ledger().list(ALL).await.unwrap().len(), REQUESTS - 1);
    let failed = Pen::new("beta", "case 17");
    assert!(failed.history(&*backend.ledger()).await.is_empty());
}

/// Tells the test that it is the child, and which file to write.
const CHILD: &str = "OFFBOARD_LEDGER_FULL_FILE";

/// The child may not write a file beyond a size: its disk fails in mid-write.
#[cfg(unix)]
#[test]
fn law_10_what_was_acknowledged_survives_a_failing_disk() {
    if let Some(file) = std::env::var_os(CHILD) {
        write_until_the_disk_fails(Path::new(&file));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    let test = "sqlite_group::law_10_what_was_acknowledged_survives_a_failing_disk";
    let done = Command::new("sh")
        // 1 MiB, in the 512-byte blocks of POSIX; an error instead of a signal.
        .args([
            "-c",
            r#"trap '' XFSZ; ulimit -f 2048; exec "$0" --exact --nocapture "$1""#,
        ])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env(CHILD, &file)
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    let of = |word: &str| {
        said.lines()
            .filter_map(|l| l.strip_prefix(word))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let acknowledged: u64 = of("ack ")
        .last()
        .unwrap_or_else(|| panic!("nothing was acknowledged: {said}"))
        .parse()
        .unwrap();
    let errors = of("error ");
    assert_eq!(errors.len(), 2, "{said}");
    for error in errors {
        assert!(
            error.contains("the disk failed") && error.contains("start this process again"),
            "{error}"
        );
    }
    let readable: u64 = of("readable ")[0].parse().unwrap();
    assert_eq!(
        readable, acknowledged,
        "the process itself still reads what it acknowledged, and no more"
    );

    check(&file, acknowledged);
}

#[tokio::main(flavor = "current_thread")]
async fn check(file: &Path, acknowledged: u64) {
    let ledger = SqliteLedger::open(file).unwrap();
    let mut pen = Pen::new("acme", "one");
    let records = pen.history(&*ledger).await;
    let there = records.len() as u64;
    assert!(
        there >= acknowledged,
        "{acknowledged} were acknowledged, {there} are there"
    );
    let last = records.last().unwrap();
    (pen.version, pen.head) = (last.version, last.hash);
    let next = pen.draft(1, "goes on");
    pen.write(&*ledger, next).await;
}

#[tokio::main(flavor = "current_thread")]
async fn write_until_the_disk_fails(file: &Path) -> ! {
    let ledger: Arc<SqliteLedger> = SqliteLedger::open(file).unwrap();
    let mut out = std::io::stdout().lock();
    let mut pen = Pen::new("acme", "one");
    loop {
        let append = pen.draft_of(vec![vec![b'x'; 3_000]]);
        match ledger.append(append.clone()).await {
            Ok(Appended::Done) => {
                pen.after(&append);
                writeln!(out, "ack {}", pen.version).unwrap();
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => break writeln!(out, "error {error}").unwrap(),
        }
    }
    let error = ledger.own(Shard::ALL, "anyone", NOON, NOON.plus(1)).await.unwrap_err();
    writeln!(out, "error {error}").unwrap();
    writeln!(out, "readable {}", pen.history(&*ledger).await.len()).unwrap();
    out.flush().unwrap();
    std::process::exit(0);
}
