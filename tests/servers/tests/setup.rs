//! What is done before the tests, and beside them. What keeps Debian from starting the
//! servers that are installed for them is there while a command runs, and afterwards gone,
//! however the command ended; and what a machine has not is said and stops nothing else.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get is its failure")]

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

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

/// The project's scripts beside the tests.
const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A folder that has of this machine's programs only these.
fn with_only(programs: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::var_os("PATH").unwrap();
    for name in programs {
        let mut places = std::env::split_paths(&path).map(|place| place.join(name));
        symlink(places.find(|p| p.is_file()).unwrap(), folder.path().join(name)).unwrap();
    }
    folder
}

/// Puts a program there.
fn put(folder: &TempDir, name: &str, script: &str) {
    let path = folder.path().join(name);
    std::fs::write(&path, format!("#!/usr/bin/env bash\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// One of the project's scripts where there is nothing but these programs.
fn run_with(folder: &TempDir, script: &str) -> Output {
    let mut command = Command::new(format!("{TESTS}/{script}"));
    command.env("PATH", folder.path()).output().unwrap()
}

#[test]
fn a_machine_that_can_mount_nothing_is_told_what_it_takes_and_the_other_tests_run() {
    let folder = with_only(&["bash", "mktemp", "rmdir"]);
    put(&folder, "umount", "exit 0");
    for (mount, told) in [("exit 0", false), ("echo 'permission denied' >&2; exit 32", true)] {
        put(&folder, "mount", mount);
        let ran = run_with(&folder, "setup/small-disk");
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success(), "{said}");
        assert_eq!(said.contains("--cap-add SYS_ADMIN"), told, "{said}");
    }
}

#[test]
fn whoever_has_cargo_deny_is_stopped_by_what_it_finds_and_whoever_has_not_is_told() {
    let folder = with_only(&["bash", "dirname"]);
    put(&folder, "cargo", "echo \"$@\"; exit 7");
    let ran = run_with(&folder, "deny");
    assert_eq!(ran.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(
        said.starts_with("skipped: ") && said.contains("cargo deny check"),
        "{said}"
    );

    put(&folder, "cargo-deny", "exit 0");
    let ran = run_with(&folder, "deny");
    assert_eq!(ran.status.code(), Some(7));
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "deny --locked check\n");
}
