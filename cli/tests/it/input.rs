//! What is handed over: good rows go on, bad ones are named, nothing is taken
//! twice.

use crate::support::{Credential, Folder, departure, until};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

const TABLE: &str = "reference,user_principal_name,last_day,tenant\n\
HR-1,anna@northwind.example,2026-01-31,northwind\n\
HR-2,bert@northwind.example,31st of March,northwind\n\
HR-3,carla@northwind.example,2026-01-31,nortwind\n";

#[test]
fn wrong_rows_are_named_and_the_others_go_on() {
    let folder = Folder::with_tenant();
    folder.write("leavers.csv", TABLE);
    let ran = folder.run(&["submit", "leavers.csv"]).expect(0);
    assert!(
        ran.out.starts_with("accepted") && ran.out.lines().count() == 1,
        "{}",
        ran.out
    );
    assert!(ran.err.contains("leavers.csv:3 (row 2): last_day"), "{}", ran.err);
    assert!(ran.err.contains("31st of March"), "{}", ran.err);
    assert!(
        ran.err.contains("leavers.csv:4 (row 3)") && ran.err.contains("did you mean 'northwind'?"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("1 accepted, 2 wrong"), "{}", ran.err);
    let again = folder.run(&["submit", "leavers.csv", "--json"]).expect(0).json();
    assert_eq!(again["accepted"][0]["what"], "known");
    assert_eq!(again["rejected"][0]["at"]["line"], 3);
    assert_eq!(
        folder
            .run(&["list", "--json"])
            .expect(0)
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_file_of_which_nothing_is_good_is_wrong_usage() {
    let folder = Folder::with_tenant();
    folder.write(
        "bad.json",
        &departure("HR-9", "x@northwind.example").replace("northwind\"", "elsewhere\""),
    );
    let ran = folder.run(&["submit", "bad.json"]).expect(2);
    assert!(ran.err.contains("nothing was accepted"), "{}", ran.err);
    // The same is said to machines: which rows, and what is wrong with them.
    folder.write(
        "all-wrong.csv",
        &TABLE.replace("HR-1,anna@northwind.example,2026-01-31,northwind\n", ""),
    );
    for command in ["submit", "plan", "run"] {
        let ran = folder.run(&[command, "all-wrong.csv", "--json"]).expect(2);
        let error: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
        let causes = error["error"]["causes"].to_string();
        assert!(causes.contains("all-wrong.csv:2 (row 1): last_day"), "{causes}");
        assert!(causes.contains("did you mean 'northwind'?"), "{causes}");
    }
    let absent = folder.run(&["run", "none.csv"]).expect(2);
    assert!(absent.err.contains("failed to read none.csv"), "{}", absent.err);
    assert!(
        !folder.path().join("data/ledger.db").exists(),
        "nothing was even opened"
    );
}

#[test]
fn a_case_is_named_by_its_reference_or_the_beginning_of_its_id() {
    let folder = Folder::with_tenant();
    folder.write(
        "two.json",
        &format!(
            "[{},{}]",
            departure("HR-1", "a@northwind.example"),
            departure("c-1", "b@northwind.example")
        ),
    );
    folder.run(&["submit", "two.json"]).expect(0);
    let one = folder.run(&["show", "HR-1", "--json"]).expect(0).json();
    let id = one["case"].as_str().unwrap().to_owned();
    assert_eq!(one["reference"], "HR-1");
    assert_eq!(one["state"], "received");
    for name in [&id[..], &id[..12], "northwind/HR-1", " HR-1 "] {
        assert_eq!(
            folder.run(&["show", name, "--json"]).expect(0).json()["case"],
            id.as_str(),
            "{name}"
        );
    }
    let none = folder.run(&["show", "HR-7"]).expect(1);
    assert!(
        none.err.contains("there is no case 'HR-7'") && none.err.contains("offboard list"),
        "{}",
        none.err
    );
}

#[test]
fn orders_are_refused_with_reasons() {
    let folder = Folder::with_tenant();
    folder.write("one.json", &departure("HR-1", "a@northwind.example"));
    folder.run(&["submit", "one.json"]).expect(0);
    let early = folder.run(&["approve", "HR-1", "--yes", "--as", "lead"]).expect(1);
    assert!(early.err.contains("nothing to approve yet"), "{}", early.err);
    let silent = folder.run(&["approve", "HR-1", "--as", "lead"]).expect(2);
    assert!(
        silent.err.contains("--yes") && silent.err.contains("--digest"),
        "{}",
        silent.err
    );
    let task = folder
        .run(&["waive", "HR-1", "device.wipe", "--reason", "x", "--until", "30d"])
        .expect(1);
    assert!(task.err.contains("has no task 'device.wipe'"), "{}", task.err);
    folder
        .run(&["waive", "HR-1", "identity.resolve", "--reason", "x", "--until", "soon"])
        .expect(2);
    folder.run(&["retry", "HR-1"]).expect(1);
    let cancelled = folder
        .run(&["cancel", "HR-1", "--reason", "she stays", "--json"])
        .expect(0)
        .json();
    assert_eq!(cancelled["state"], "cancelled");
    let why = folder
        .run(&["why", "HR-1", "identity.resolve", "--json"])
        .expect(0)
        .json();
    assert_eq!(why["tasks"][0]["task"]["status"], "never");
}

#[test]
fn a_row_that_is_refused_is_a_failure_and_the_others_go_on() {
    let folder = Folder::with_tenant();
    folder.write("one.json", &departure("HR-1", "a@northwind.example"));
    folder.run(&["submit", "one.json"]).expect(0);
    folder.run(&["cancel", "HR-1", "--reason", "she stays"]).expect(0);
    let alone = folder.run(&["submit", "one.json"]).expect(1);
    assert!(alone.out.starts_with("refused"), "{}", alone.out);
    let (first, second) = (
        departure("HR-1", "a@northwind.example"),
        departure("HR-2", "b@northwind.example"),
    );
    folder.write("two.json", &format!("[{first},{second}]"));
    let both = folder.run(&["submit", "two.json"]).expect(1);
    assert!(both.err.contains("1 accepted, 1 refused"), "{}", both.err);
    assert!(both.out.contains("accepted"), "{}", both.out);
}

#[test]
fn a_reader_that_goes_is_no_failure() {
    let folder = Folder::fresh();
    let ran = folder.start_unread(&["schema"]).wait();
    assert_eq!(ran.err, "");
    assert_eq!(ran.code, Some(0));
}

#[test]
fn a_run_whose_reader_goes_carries_the_cases_on_all_the_same() {
    let folder = Folder::with_tenant();
    folder.write("one.json", &departure("HR-1", "a@northwind.example"));
    // Its system does not answer: it is tried again until somebody stops it, and not only
    // until the first line finds nobody.
    let mut running = folder.start_unread(&["run", "one.json", "--json", "--wait"]);
    folder.until_served_by(&mut running);
    until("it is tried", || {
        let shown = folder.run(&["show", "HR-1", "--json"]);
        shown.code == Some(0) && shown.json()["tasks"][0]["attempt"].as_u64() > Some(0)
    });
    running.signal("INT");
    running.wait().expect(130);
}

#[test]
fn wrong_usage_is_exit_code_two() {
    let folder = Folder::empty();
    for args in [
        &["frobnicate"][..],
        &["waive", "HR-1"],
        &["plan"],
        &["plan", "--person", "x"],
        &["list", "--tenant", "Not A Handle"],
    ] {
        let ran = folder.run(args).expect(2);
        assert!(ran.out.is_empty(), "{}", ran.out);
        let as_json = folder.run(&[args, &["--json"]].concat()).expect(2);
        let error: serde_json::Value = serde_json::from_str(&as_json.err).unwrap();
        assert_eq!(error["error"]["exit"], 2, "{error}");
        assert!(as_json.out.is_empty(), "{}", as_json.out);
    }
    let help = folder.run(&["--help", "--json"]).expect(0);
    assert!(help.out.contains("Usage:"), "help is help: {}", help.out);
}

/// Three people of `northwind`.
const THREE: &str = "reference,user_principal_name,last_day,tenant\n\
HR-1,anna@northwind.example,2026-01-31,northwind\n\
HR-2,bert@northwind.example,2026-01-31,northwind\n\
HR-3,carla@northwind.example,2026-01-31,northwind\n";

#[test]
fn a_vendor_out_of_reach_is_not_asked_for_each_person_of_a_file() {
    // Takes every call and hangs up.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", deaf.local_addr().unwrap());
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    std::thread::spawn(move || {
        for _call in deaf.incoming() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let folder = Folder::fresh();
    folder.tenant("northwind", "northwind.example", [&base; 4], Credential::Secret);
    let one = THREE.lines().take(2).collect::<Vec<_>>().join("\n");
    folder.write("one.csv", &one);
    folder.write("three.csv", THREE);
    folder.run(&["plan", "one.csv"]).expect(3);
    let for_one = calls.swap(0, Ordering::Relaxed);
    assert!(for_one > 0, "nothing was asked");
    let plan = folder.run(&["plan", "three.csv", "--json"]).expect(3).json();
    assert_eq!(calls.load(Ordering::Relaxed), for_one, "{plan}");
    let why_not = |n: usize| plan["plans"][n]["why_not"].as_str().unwrap().to_owned();
    assert!(
        why_not(1).starts_with("not asked again: ") && why_not(2) == why_not(1),
        "{plan}"
    );
}

#[test]
fn what_a_full_disk_has_let_in_is_told_and_known_the_next_time() {
    let folder = Folder::with_tenant();
    let mut table = "reference,user_principal_name,last_day,tenant\n".to_owned();
    for n in 0..400 {
        table += &format!("HR-{n},person{n}@northwind.example,2026-01-31,northwind\n");
    }
    folder.write("leavers.csv", &table);
    // No file of this process grows past half a megabyte.
    let full = folder.run_limited(1_000, &["submit", "leavers.csv"]).expect(1);
    let accepted = full.out.lines().filter(|l| l.starts_with("accepted")).count();
    assert!((1..400).contains(&accepted), "{}", full.err);
    let said = format!("{accepted} of 400 are accepted and stay so");
    assert!(full.err.contains(&said), "{}", full.err);
    assert!(full.err.contains("failed to accept departure"), "{}", full.err);
    let listed = folder.run(&["list", "--json"]).expect(0).json();
    assert_eq!(listed.as_array().unwrap().len(), accepted);
    let again = folder.run(&["submit", "leavers.csv"]).expect(0);
    let known = again.out.lines().filter(|l| l.starts_with("known")).count();
    let new = again.out.lines().filter(|l| l.starts_with("accepted")).count();
    assert_eq!((known, new), (accepted, 400 - accepted));
}

#[test]
fn a_run_on_a_full_disk_says_so_and_ends_after_some_minutes() {
    let mut folder = Folder::with_tenant();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    // A minute lasts a second.
    folder.hurry(i64::try_from(now.as_millis()).unwrap(), 60);
    let mut table = "reference,user_principal_name,last_day,tenant\n".to_owned();
    for n in 0..200 {
        table += &format!("HR-{n},person{n}@northwind.example,2026-01-31,northwind\n");
    }
    folder.write("leavers.csv", &table);
    folder.run(&["submit", "leavers.csv"]).expect(0);
    // What is accepted is in the ledger, and for what comes of it there is no room.
    let full = folder.run_limited(200, &["run", "--json"]).expect(1);
    let said = "nothing could be written to the ledger since";
    let notes = full.err.lines().filter(|l| l.starts_with("note:") && l.contains(said));
    assert_eq!(notes.count(), 1, "it is said once: {}", full.err);
    let error: serde_json::Value = serde_json::from_str(full.err.lines().last().unwrap()).unwrap();
    let what = error["error"]["what"].as_str().unwrap();
    assert!(what.contains("for 5 minutes"), "{error}");
    assert!(error["error"]["causes"].to_string().contains(said), "{error}");
    let told = full.objects();
    assert_eq!(told.iter().filter(|o| o["event"] == "unwritten").count(), 1);
    assert_eq!(told.last().unwrap()["event"], "end");
    let listed = folder.run(&["list", "--open", "--json"]).expect(0).json();
    assert_eq!(listed.as_array().unwrap().len(), 200, "what was accepted is kept");
}
