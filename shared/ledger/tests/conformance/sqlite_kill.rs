//! The process is killed in the middle of its commits, again and again: what
//! it acknowledged must be there, and nothing half.
//!
//! The test starts itself as a child, which writes without end and says on
//! its standard output what was acknowledged. The parent kills it at moments
//! that a seed chooses, reads the pipe to its end, and opens the file.

use crate::pen::{NOON, Pen, wake};
use offboard_domain::Record;
use offboard_ledger::{Appended, Claim, Filter, KeyChange, Ledger as _, SqliteLedger};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Tells the test that it is the child, and which file to write.
const CHILD: &str = "OFFBOARD_LEDGER_KILL_FILE";
const WRITERS: usize = 24;
/// After that many acknowledgements the child is killed, round by round.
const KILLS: [usize; 8] = [1, 3, 50, 117, 251, 400, 777, 1_500];

fn body(pen: &Pen, version: u64) -> Vec<u8> {
    // Large enough that a commit spans many pages and checkpoints happen.
    format!("{} {version} ", pen.case).repeat(20).into_bytes()
}

fn pen(writer: usize) -> Pen {
    Pen::new(["acme", "zenith"][writer % 2], &format!("writer {writer}"))
}

#[test]
fn law_10_what_was_acknowledged_survives_being_killed_in_mid_commit() {
    if let Some(file) = std::env::var_os(CHILD) {
        write_without_end(Path::new(&file));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    let mut acknowledged: BTreeMap<usize, u64> = BTreeMap::new();
    for (round, kill_after) in KILLS.into_iter().enumerate() {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "--nocapture",
                "sqlite_kill::law_10_what_was_acknowledged_survives_being_killed_in_mid_commit",
            ])
            .env(CHILD, &file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            // A line cut in the middle by the kill says nothing.
            let Some((writer, version)) = line
                .strip_prefix("ack ")
                .and_then(|l| l.strip_suffix('.')?.split_once(' '))
            else {
                continue;
            };
            acknowledged.insert(writer.parse().unwrap(), version.parse().unwrap());
            said += 1;
            if said == kill_after {
                child.kill().unwrap();
            }
        }
        let status = child.wait().unwrap();
        assert!(
            said >= kill_after,
            "round {round}: the child ended by itself ({status}) after {said}"
        );
        check(&file, &acknowledged, round);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn check(file: &Path, acknowledged: &BTreeMap<usize, u64>, round: usize) {
    let ledger = SqliteLedger::open(file).unwrap();
    let listed = ledger
        .list(Filter {
            limit: 1_000,
            ..Filter::default()
        })
        .await
        .unwrap();
    for writer in 0..WRITERS {
        let pen = pen(writer);
        let history = ledger.read(&pen.tenant, pen.case, 1).await.unwrap();
        let there = history.records.len() as u64;
        let promised = acknowledged.get(&writer).copied().unwrap_or(0);
        assert!(
            there >= promised,
            "round {round}: of writer {writer}, {promised} were acknowledged and {there} are there"
        );
        let entry = listed.iter().find(|e| e.case == pen.case);
        assert_eq!(
            entry.map_or(0, |e| e.version),
            there,
            "round {round}: index and log agree"
        );
        assert_eq!(there % 2, 0, "round {round}: appends of two are whole");
        assert_eq!(history.salt.is_some(), there > 0);
        let mut head = offboard_domain::Digest::ZERO;
        for (record, version) in history.records.into_iter().zip(1..) {
            assert_eq!(
                record,
                Record::chained(version, head, body(&pen, version)),
                "round {round}"
            );
            head = record.hash;
        }
    }
    ledger.close().await.unwrap();
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn write_without_end(file: &Path) -> ! {
    let ledger = SqliteLedger::open(file).unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let ledger = Arc::clone(&ledger);
        writers.spawn(async move {
            let mut pen = pen(writer);
            if let Some(last) = pen.history(&*ledger).await.last() {
                (pen.version, pen.head) = (last.version, last.hash);
            }
            loop {
                let mut append = pen.draft_of(vec![body(&pen, pen.version + 1), body(&pen, pen.version + 2)]);
                append.index.wake = wake(NOON.plus(i64::try_from(pen.version).unwrap() % 13));
                append.claim = Claim::Take(format!("m365:{writer}"));
                if pen.version == 0 {
                    append.key = KeyChange::Create([1; 32]);
                }
                assert_eq!(ledger.append(append.clone()).await.unwrap(), Appended::Done);
                pen.after(&append);
                writeln!(std::io::stdout().lock(), "ack {writer} {}.", pen.version).unwrap();
                if writer == 0 && pen.version.is_multiple_of(100) {
                    ledger.checkpoint().await.ok();
                }
            }
        });
    }
    panic!("a writer ended: {:?}", writers.join_next().await);
}
