//! What keeps Debian from starting the servers that are installed for the tests: it
//! is there while a command runs, and afterwards gone, however the command ended.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get is its failure")]

use std::path::Path;
use std::process::Command;

const TOOL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../setup/start-nothing");

/// What starts nothing while it runs this in a shell; the shell knows the policy's
/// file as `$POLICY_RC_D`. Says how that ended: a status, none for a signal.
fn start_nothing(policy: &Path, script: &str) -> Option<i32> {
    let mut command = Command::new("env");
    // Whoever runs the tests in the background may ignore some, and a shell then hears none.
    command.args(["--default-signal=HUP,INT,QUIT,TERM", TOOL, "sh", "-c", script]);
    command.env("POLICY_RC_D", policy).status().unwrap().code()
}

const IS_THERE: &str = "[ -x \"$POLICY_RC_D\" ] && ! \"$POLICY_RC_D\"";

#[test]
fn nothing_starts_while_it_runs_and_nothing_is_left_however_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy-rc.d");
    assert_eq!(start_nothing(&policy, IS_THERE), Some(0));
    assert!(!policy.exists());
    assert_eq!(start_nothing(&policy, "exit 7"), Some(7));
    assert!(!policy.exists());
    for (signal, status) in [("HUP", 129), ("INT", 130), ("QUIT", 131), ("TERM", 143)] {
        // It stays until the command is over, which could still start something.
        let script = format!("kill -{signal} $PPID; {IS_THERE} || kill -KILL $PPID");
        assert_eq!(start_nothing(&policy, &script), Some(status), "{signal}");
        assert!(!policy.exists(), "{signal}");
    }
}

#[test]
fn what_a_killed_one_left_goes_with_the_next_and_what_others_put_there_stays() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy-rc.d");
    assert_eq!(start_nothing(&policy, "kill -KILL $PPID"), None);
    assert!(policy.exists());
    assert_eq!(start_nothing(&policy, IS_THERE), Some(0));
    assert!(!policy.exists());

    // One that is at it is not disturbed by another.
    let beside = format!("'{TOOL}' true; {IS_THERE}");
    assert_eq!(start_nothing(&policy, &beside), Some(0));
    assert!(!policy.exists());

    let theirs = "#!/bin/sh\nexit 104\n";
    std::fs::write(&policy, theirs).unwrap();
    assert_eq!(start_nothing(&policy, "exit 7"), Some(7));
    assert_eq!(std::fs::read_to_string(&policy).unwrap(), theirs);
}
