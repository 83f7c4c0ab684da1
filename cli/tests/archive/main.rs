//! A mailbox of a real Dovecot, kept by a worker that is killed again and
//! again, read by others than who wrote it, and put back.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod export;
mod fill;
mod stage;

use offboard_domain::{Facts, FaultClass, Said};
use serde_json::Value;
use stage::{Stage, Worker};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Tells the test that it is the worker, and where its folder is.
const CHILD: &str = "OFFBOARD_ARCHIVE_WORKER";
/// The most memory that a worker may have needed, however large mailbox and messages are.
const PEAK_KB_MAX: u64 = 64 * 1024;
/// The worker is killed when its store has so many things.
const KILLS: [usize; 5] = [1, 3, 6, 10, 14];
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a slice of the worker that is killed lasts, in milliseconds.
const SLICE_MS: i64 = 3_000;

#[test]
fn five_thousand_messages_are_kept_to_the_byte_over_kills_and_put_back_once() {
    if let Some(folder) = std::env::var_os(CHILD) {
        work_until_killed(&Worker::in_folder(folder.as_ref()));
    }
    let stage = Stage::new();
    let sent = fill::everything(&stage.dovecot, "alice@contoso.example");
    let peaks: Vec<u64> = KILLS
        .into_iter()
        .filter_map(|things| kill_with(&stage, things))
        .collect();
    let peak = peaks
        .iter()
        .max()
        .expect("one at least was alive when it was looked at");
    assert!(*peak < PEAK_KB_MAX, "it needed {peaks:?} kB");
    let worker = stage.worker();
    let facts = worker.settle();
    let sum = |name: &str| facts.int(name).unwrap();
    assert_eq!(sum("archived_messages"), sent.messages);
    assert_eq!(sum("server_messages"), sent.messages);
    assert_eq!((sum("arrived_later"), sum("gone_since")), (0, 0));
    assert_eq!(sum("archived_bytes"), sent.bytes);
    let manifest = facts.text("manifest_sha256").unwrap().to_owned();
    // By Python alone, and against the server by Python's own client.
    let unpacked = stage.path("unpacked");
    stage.python(
        "unpack.py",
        &[stage.store().as_os_str(), manifest.as_ref(), unpacked.as_os_str()],
    );
    stage.compare("alice@contoso.example", &unpacked);

    export::writes_what_python_unpacks(&stage, &manifest, &unpacked);

    let inbox = look_into(&stage, &manifest, &sent);

    let restore = |more: &[&str]| -> Value {
        let mut args = vec![
            "archive",
            "restore",
            &manifest,
            "--tenant",
            "contoso",
            "--system",
            "mail",
            "--mailbox",
            "berta@contoso.example",
            "--json",
        ];
        args.extend(more);
        serde_json::from_slice(&stage.offboard(&args)).unwrap()
    };
    let some = restore(&["--folder", "INBOX", "--message", &inbox[0], "--message", &inbox[1]]);
    assert_eq!((&some["restored"], &some["there_already"]), (&2.into(), &0.into()));
    let all = restore(&[]);
    assert_eq!(all["restored"], sent.messages - 2);
    let again = restore(&[]);
    assert_eq!(
        (&again["restored"], &again["there_already"]),
        (&0.into(), &sent.messages.into())
    );
    stage.compare("berta@contoso.example", &unpacked);
}

/// The commands that look into an archive; answers the numbers of the inbox's messages.
fn look_into(stage: &Stage, manifest: &str, sent: &fill::Sent) -> Vec<String> {
    let objects = |bytes: Vec<u8>| -> Vec<Value> {
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    };
    let shown: Value = serde_json::from_slice(&stage.offboard(&["archive", "show", manifest, "--json"])).unwrap();
    assert_eq!(
        (&shown["missing"], &shown["manifest"]["messages"]),
        (&0.into(), &sent.messages.into())
    );
    let folders: Vec<Value> =
        serde_json::from_slice(&stage.offboard(&["archive", "list", manifest, "--json"])).unwrap();
    assert_eq!(folders.len(), sent.folders);
    let found = objects(stage.offboard(&["archive", "search", manifest, "Grüße", "Köln", "--json"]));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["folder"], serde_json::json!(["Entwürfe & mehr"]));
    let number = found[0]["number"].to_string();
    assert_eq!(stage.offboard(&["archive", "show", manifest, &number]), fill::ENCODED);
    for narrowed in [
        &[
            "--from",
            "A@x.test",
            "--subject",
            "grüße aus",
            "--since",
            "2026-01-01",
            "--until",
            "2026-01-02",
        ][..],
        &["HELLO", "köln", "--body", "--folder", "entw"],
    ] {
        let found = objects(stage.offboard(&[&["archive", "search", manifest, "--json"][..], narrowed].concat()));
        assert_eq!(found.len(), 1, "{narrowed:?}: {found:?}");
        assert_eq!(found[0]["number"].to_string(), number);
    }
    let too_late = [
        "archive",
        "search",
        manifest,
        "Grüße",
        "--since",
        "2026-02-01",
        "--json",
    ];
    assert!(objects(stage.offboard(&too_late)).is_empty());
    assert_eq!(
        stage.fails(&["archive", "search", manifest]),
        2,
        "something must be looked for"
    );
    let in_body = objects(stage.offboard(&[
        "archive",
        "search",
        manifest,
        "needle-in-the-large-one",
        "--body",
        "--folder",
        "large",
        "--json",
    ]));
    assert_eq!(in_body.len(), 1);
    let listed = objects(stage.offboard(&["archive", "list", manifest, "--messages", "--folder", "inbox", "--json"]));
    assert_eq!(listed.len() as i64, fill::INBOX);
    for wrong in [
        vec!["archive", "show", manifest, "999999"],
        vec!["archive", "show", &"0".repeat(64)],
    ] {
        assert_eq!(stage.fails(&wrong), 1, "{wrong:?}");
    }
    listed.iter().map(|l| l["number"].to_string()).collect()
}

/// One attempt after another, from checkpoint to checkpoint, until somebody ends this.
fn work_until_killed(worker: &Worker) {
    loop {
        match worker.attempt(SLICE_MS) {
            Said::Progress { checkpoint } => worker.remember(&checkpoint),
            Said::Satisfied { .. } => break,
            // On a busy machine the disk may take longer than so short a slice allows.
            Said::Fault { fault } if fault.class == FaultClass::Transient => {}
            other => panic!("{other:?}"),
        }
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "settled").unwrap();
    std::process::exit(0);
}

/// The most memory that a process has had so far, in kB; none: it has ended.
fn peak_kb(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Starts a worker and kills it when its store has so many things; answers how much
/// memory it had needed.
fn kill_with(stage: &Stage, things: usize) -> Option<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "--nocapture",
            "five_thousand_messages_are_kept_to_the_byte_over_kills_and_put_back_once",
        ])
        .env(CHILD, stage.root())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let end = Instant::now() + PATIENCE;
    let mut settled = false;
    while stage.things() < things && !settled {
        assert!(Instant::now() < end, "the store never had {things} things");
        settled = child.try_wait().unwrap().is_some();
        std::thread::sleep(Duration::from_millis(2));
    }
    let peak = peak_kb(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    let said = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    assert!(
        !said.into_iter().any(|l| l == "settled") || things == KILLS[KILLS.len() - 1],
        "it was to be killed in the middle"
    );
    peak
}

#[test]
fn a_credential_or_certificate_that_is_wrong_is_told_by_doctor() {
    let stage = Stage::new();
    let findings = |stage: &Stage| -> String { String::from_utf8(stage.ran(&["doctor", "--json"]).stdout).unwrap() };
    let text = findings(&stage);
    assert!(text.contains("the credential opens the probe mailbox"), "{text}");
    for (from, to, says) in [
        (
            "probe = \"alice@contoso.example\"",
            "probe = \"nobody@contoso.example\"",
            "did not accept the credential",
        ),
        ("host = \"localhost\"", "host = \"127.0.0.1\"\n#", "answers with TLS"),
        ("ca = ", "#ca = ", "TLS was not agreed on"),
        (
            "user = \"archiver\"",
            "user = \"somebody\"",
            "did not accept the credential",
        ),
        ("port = ", "port = 1\n#", "no connection could be made"),
    ] {
        stage.with_tenant(|text| text.replacen(from, to, 1));
        let text = findings(&stage);
        assert!(text.contains(says), "{from}: {text}");
        assert!(!text.contains("s3cret"), "no secret is shown");
    }
    stage.with_tenant(|text| text);
}

#[test]
fn a_server_without_tls_is_used_on_this_machine_alone_and_starttls_is_tls() {
    let stage = Stage::new();
    fill::some(&stage.dovecot, "alice@contoso.example", 3);
    for security in ["none", "starttls"] {
        let worker = stage.worker_with(security);
        let facts: Facts = worker.settle();
        assert_eq!(facts.int("archived_messages"), Some(3), "{security}");
    }
}
