//! The control channel: one folder, several processes.

use crate::support::{Folder, departure, until};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};

#[test]
fn who_serves_answers_for_the_folder() {
    let folder = Folder::with_tenant();
    folder.write("one.json", &departure("HR-1", "a@northwind.example"));
    let serving = folder.serve();
    let mode = fs::metadata(folder.socket()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    folder.run(&["submit", "one.json"]).expect(0);
    // The server is at it: the account cannot be found where nobody answers.
    until("an attempt has failed", || {
        let why = folder
            .run(&["why", "HR-1", "identity.resolve", "--json"])
            .expect(0)
            .json();
        why["tasks"][0]["fault"].is_object()
    });
    let text = folder.run(&["why", "HR-1"]).expect(0).out;
    assert!(
        text.contains("Find the account") && text.contains("fault") && text.contains("next"),
        "{text}"
    );
    let second = folder.run(&["serve"]).expect(1);
    assert!(second.err.contains("has it open"), "{}", second.err);
    let run = folder.run(&["run", "one.json"]).expect(1);
    assert!(run.err.contains("offboard submit"), "{}", run.err);
    assert_eq!(
        folder.run(&["list", "--dead", "--json"]).expect(0).json(),
        serde_json::json!([])
    );
    serving.signal("TERM");
    serving.wait().expect(0);
    assert!(!folder.socket().exists(), "it takes its socket along");
    let alone = folder.run(&["list", "--json"]).expect(0).json();
    assert_eq!(alone[0]["reference"], "HR-1");
}

#[test]
fn a_dead_servers_socket_is_in_nobodys_way() {
    let folder = Folder::with_tenant();
    folder.write("one.json", &departure("HR-1", "a@northwind.example"));
    let first = folder.serve();
    folder.run(&["submit", "one.json"]).expect(0);
    first.signal("KILL");
    assert_eq!(first.wait().code, None);
    assert!(fs::symlink_metadata(folder.socket()).unwrap().file_type().is_socket());
    assert_eq!(
        folder.run(&["show", "HR-1", "--json"]).expect(0).json()["reference"],
        "HR-1"
    );
    let second = folder.serve();
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
    second.signal("INT");
    second.wait().expect(130);
}

/// A process that hangs still has its socket, and whoever connects is let in.
#[test]
fn who_only_looks_does_not_wait_for_a_server_that_never_answers() {
    let folder = Folder::with_tenant();
    folder.write("one.json", &departure("HR-1", "a@northwind.example"));
    folder.run(&["submit", "one.json"]).expect(0);
    let hung = UnixListener::bind(folder.socket()).unwrap();
    for command in [&["list"][..], &["show", "HR-1"], &["why", "HR-1"]] {
        let ran = folder.run(command).expect(0);
        assert!(ran.out.contains("northwind"), "{command:?}: {}", ran.out);
        assert!(
            ran.err.contains("as it stands at this moment") && ran.err.contains("did not answer within 2 s"),
            "{command:?}: {}",
            ran.err
        );
    }
    drop(hung);
}

/// What was buried is in its memory, and the ledger that is read instead knows of none.
#[test]
fn that_nothing_was_buried_is_not_said_for_a_server_that_never_answers() {
    let folder = Folder::with_tenant();
    let serving = folder.serve();
    folder.run(&["list", "--dead"]).expect(0);
    serving.signal("STOP");
    let ran = folder.run(&["list", "--dead"]).expect(1);
    assert!(
        ran.err.contains("failed to list dead letters") && !ran.err.contains("No message was buried"),
        "{}",
        ran.err
    );
    serving.signal("CONT");
    folder.run(&["list", "--dead"]).expect(0);
    serving.signal("TERM");
    serving.wait().expect(0);
}

#[test]
fn a_folder_with_a_long_name_can_be_served() {
    let outer = Folder::empty();
    let long = "n".repeat(150);
    outer.run(&["init", &long]).expect(0);
    let serving = outer.start(&["-C", &long, "serve"]);
    let socket = outer.path().join(&long).join("data/offboard.sock");
    until("the socket is there", || socket.exists());
    outer.run(&["-C", &long, "list", "--json"]).expect(0);
    serving.signal("TERM");
    serving.wait().expect(0);
}

#[test]
fn nonsense_on_the_socket_is_answered_and_costs_nothing_else() {
    let folder = Folder::with_tenant();
    let serving = folder.serve();
    let ask = |line: &[u8]| {
        let mut stream = UnixStream::connect(folder.socket()).unwrap();
        stream.write_all(line).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        serde_json::from_str::<serde_json::Value>(&answer).unwrap()
    };
    assert_eq!(ask(b"hello\n")["answer"], "refused");
    assert_eq!(ask(b"{\"ask\":\"launch\"}\n")["answer"], "refused");
    assert_eq!(
        ask(b"{\"ask\":\"show\",\"case\":\"x\",\"more\":1}\n")["answer"],
        "refused"
    );
    let mut long = vec![b' '; 8 * 1024 * 1024 + 1];
    long.push(b'\n');
    assert_eq!(ask(&long)["answer"], "refused");
    // A client that hangs up in the middle.
    drop(UnixStream::connect(folder.socket()).unwrap());
    folder.run(&["list"]).expect(0);
    serving.signal("TERM");
    serving.wait().expect(0);
}

#[test]
fn commands_at_the_same_time_take_turns() {
    let folder = Folder::with_tenant();
    for n in 0..6 {
        folder.write(
            &format!("{n}.json"),
            &departure(&format!("HR-{n}"), &format!("p{n}@northwind.example")),
        );
    }
    let names: Vec<String> = (0..6).map(|n| format!("{n}.json")).collect();
    let all: Vec<_> = names.iter().map(|n| folder.start(&["submit", n])).collect();
    for one in all {
        one.wait().expect(0);
    }
    assert_eq!(
        folder
            .run(&["list", "--json"])
            .expect(0)
            .json()
            .as_array()
            .unwrap()
            .len(),
        6
    );
}

#[test]
fn watching_reads_what_nobody_answers_for_and_names_a_tenant_that_is_none() {
    let folder = Folder::with_tenant();
    folder.write("one.json", &departure("HR-1", "a@northwind.example"));
    folder.run(&["submit", "one.json"]).expect(0);
    let hung = UnixListener::bind(folder.socket()).unwrap();
    let watching = folder.start(&["watch", "--json"]);
    assert_eq!(watching.first_object()["state"], "received");
    until("it is said", || {
        watching.logged_so_far().contains("as it stands at this moment")
    });
    // Whoever serves it by now answers.
    drop(hung);
    let serving = folder.serve();
    folder.run(&["cancel", "HR-1", "--reason", "she stays"]).expect(0);
    until("its end is told", || watching.said_so_far().contains(r#""ended":true"#));
    let other = folder.start(&["watch", "--tenant", "nortwind"]);
    until("it is named", || {
        other.logged_so_far().contains("no tenant 'nortwind' is configured")
    });
    for watching in [watching, other] {
        watching.signal("INT");
        watching.wait().expect(130);
    }
    serving.signal("TERM");
    serving.wait().expect(0);
}

#[test]
fn watching_tells_what_changes() {
    let folder = Folder::with_tenant();
    folder.write("one.json", &departure("HR-1", "a@northwind.example"));
    folder.run(&["submit", "one.json"]).expect(0);
    let watching = folder.start(&["watch", "--json"]);
    assert_eq!(watching.first_object()["state"], "received");
    let serving = folder.serve();
    folder.run(&["cancel", "HR-1", "--reason", "she stays"]).expect(0);
    // What is over is listed no more, and is told all the same.
    until("its end is told", || {
        let so_far = watching.said_so_far();
        so_far.lines().any(|line| line.contains(r#""ended":true"#))
    });
    watching.signal("INT");
    let seen = watching.wait().expect(130).objects();
    assert!(seen.iter().all(|o| o["reference"] == "HR-1"));
    let ended: Vec<_> = seen.iter().filter(|o| o["ended"] == true).collect();
    assert_eq!(ended.len(), 1, "{seen:?}");
    assert_eq!(ended[0]["state"], "cancelled");
    serving.signal("TERM");
    serving.wait().expect(0);
}
