//! Store and evidence in buckets of an S3 server that is somebody else's (moto,
//! which checks who one is): what doctor says of them, and a departure through
//! to evidence that is locked there and verifies.

use crate::stage::{ROUNDS, Stage, lead};
use crate::support::{Folder, until};
use offboard_servers::Moto;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const ARTIFACTS: &str = "artifacts-of-msp";
const EVIDENCE: &str = "evidence-of-msp";

fn moto() -> Moto {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    Moto::start(&target.join("test-venv")).unwrap()
}

fn keep_secret(folder: &Folder, name: &str, text: &str) {
    let path = folder.write(name, text);
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Names the buckets in the folder's configuration.
fn configure(folder: &Folder, server: &Moto) {
    let path = folder.path().join("offboard.toml");
    let text = fs::read_to_string(&path).unwrap();
    let reached = format!(
        "endpoint = \"{}\"\nkey_id = {{ file = \"s3.id\" }}\nkey = {{ file = \"s3.key\" }}\n",
        server.url()
    );
    let text = text
        .replace("#store = \"file:data/store\"", &format!("store = \"s3://{ARTIFACTS}\""))
        .replace(
            "#evidence = \"evidence\"",
            &format!("evidence = \"s3://{EVIDENCE}/proof\""),
        )
        .replace("[connect.store]\n", &format!("[connect.store]\n{reached}"))
        .replace(
            "[connect.evidence]\n",
            &format!("[connect.evidence]\n{reached}lock = \"compliance\"\nkeep = \"2555d\"\n"),
        );
    fs::write(path, text).unwrap();
}

/// What doctor says of the buckets; in the hurried time of these tests it may
/// have something to say of the vendor, too.
fn says(folder: &Folder, severity: &str, text: &str) {
    let found = folder.run(&["doctor", "--json"]).json();
    let findings = found
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|p| p["findings"].as_array().unwrap());
    let said: Vec<&Value> = findings.filter(|f| f["severity"] == severity).collect();
    let said_so = said.iter().any(|f| f["what"].as_str().unwrap().contains(text));
    assert!(said_so, "no {severity} says '{text}': {said:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_departure_runs_to_evidence_that_is_locked_in_a_bucket() {
    let stage = Stage::hurried().await;
    let folder = &stage.folder;
    let server = moto();
    configure(folder, &server);
    keep_secret(folder, "s3.id", "nobody");
    keep_secret(folder, "s3.key", "hunter2");

    says(folder, "problem", "there is no such bucket");
    for bucket in [ARTIFACTS, EVIDENCE] {
        server.make_bucket(bucket, false).unwrap();
    }
    says(folder, "problem", "was made without Object Lock");
    server
        .ask("DELETE", &format!("/{EVIDENCE}/proof/objects/probe"), &[], b"")
        .unwrap();
    server.ask("DELETE", &format!("/{EVIDENCE}"), &[], b"").unwrap();
    server.make_bucket(EVIDENCE, true).unwrap();
    let (id, key) = server.only_for_its_user().unwrap();
    says(folder, "problem", "does not let this identity");
    keep_secret(folder, "s3.id", &id);
    keep_secret(folder, "s3.key", &key);
    says(folder, "fine", "refuses to overwrite");
    says(folder, "fine", "each file is locked for 2555 days (compliance");

    folder.write("receipt.txt", "handed over at the desk");
    let file = stage.leavers(&[("HR-1", stage.cast().plain.as_str())]);
    let mut running = folder.start(&["run", &file, "--wait", "--json"]);
    folder.until_served_by(&mut running);
    until("it is accepted", || folder.run(&["show", "HR-1"]).code == Some(0));
    let mut rounds = 0;
    until("it has ended", || {
        rounds += 1;
        assert!(rounds < ROUNDS, "{}", folder.run(&["why", "HR-1"]).out);
        lead(folder, "HR-1")
    });
    let end = running.wait().expect(0).objects().pop().unwrap();
    assert_eq!(
        (&end["closed"], &end["evidence"]),
        (&json!(1), &json!(format!("s3://{EVIDENCE}/proof"))),
        "{end}"
    );
    let verified = folder.run(&["verify", "HR-1", "--json"]).expect(0).json();
    assert_eq!(verified["valid"], true);
    let file = verified["file"].as_str().unwrap();
    assert!(
        file.starts_with(&format!("s3://{EVIDENCE}/proof/")) && file.ends_with(".dsse.json"),
        "{file}"
    );
    for place in ["evidence", "data/store"] {
        let files = fs::read_dir(folder.path().join(place)).map_or(0, Iterator::count);
        assert_eq!(files, 0, "{place}");
    }
}
