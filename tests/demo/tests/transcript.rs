//! The README's transcript is what the demonstration prints: this runs it and
//! compares. `BLESS=1 cargo test -p offboard-demo` writes it into the README.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

const BEGIN: &str = "<!-- demo:begin";
const END: &str = "<!-- demo:end -->";

/// For one that hangs; it gives up by itself where nothing moves.
const LONGEST: Duration = Duration::from_secs(1_200);
/// How long it may be at work, in seconds, on a machine with nothing else to do. For some 13 s
/// more it sees that nothing moves.
const AT_WORK_S: u64 = 50;
/// The README's minute: from start to end, in seconds, on such a machine.
const WHOLE_S: u64 = 60;
/// At most so much more is let pass because of a busy machine: what all threads waited for a
/// processor, one beside the other, is many times what it cost.
const BUSY_MAX_S: u64 = 60;

/// The lines that do not differ between two runs: who leaves, how it ends, and
/// what is left to people. Which vendor's fault strikes when differs, and so do
/// minutes and the number of looks.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    /// What is said before it runs.
    introduction: Vec<String>,
    /// Reference, client, manner and state of each case.
    rows: Vec<[String; 4]>,
    /// What is left to people: reference, and the task or what else it is.
    needs: BTreeSet<(String, String)>,
    /// The commands to try next, but for the ids of the case and of its account.
    next: Vec<String>,
}

impl Told {
    fn by(text: &str) -> Self {
        let mut told = Self::default();
        let mut running = false;
        for line in text.lines() {
            running |= line.starts_with("Running");
            if !running {
                told.introduction.push(line.to_owned());
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [case, client, manner, state, settled, ..] if is_case(case) && settled.contains('/') => {
                    told.rows.push([case, client, manner, state].map(|w| (*w).to_owned()));
                }
                [case, what, ..] if is_case(case) && !line.starts_with(' ') => {
                    told.needs.insert(((*case).to_owned(), (*what).to_owned()));
                }
                ["cargo", "offboard", rest @ ..] => {
                    let words: Vec<&str> = rest.iter().map(|w| without_ids(w)).collect();
                    told.next.push(words.join(" "));
                }
                _ => {}
            }
        }
        told
    }
}

fn is_case(word: &str) -> bool {
    word.strip_prefix("HR-").is_some_and(|n| n.len() == 3)
}

/// The place of an account differs from run to run, but not how it is made up.
fn without_ids(word: &str) -> &str {
    let parts: Vec<&str> = word.split('/').collect();
    match parts.as_slice() {
        ["demo-output", "evidence", _client, month, file]
            if month.len() == "2026-11".len() && file.starts_with("c-") && file.ends_with(".dsse.json") =>
        {
            "…"
        }
        _ => word,
    }
}

/// Lines of the README are cut at this width.
const WIDTH: usize = 110;
/// What a reader of the README would find in place of the test's own folder.
const FOLDER: &str = "demo-output";

#[test]
fn the_readme_shows_what_the_demonstration_prints() {
    let folder = tempfile::tempdir().unwrap();
    let output_folder = folder.path().join("demo");
    let said = folder.path().join("said");
    let (status, kept_waiting) = demonstrate(&output_folder, File::create(&said).unwrap());
    let printed = std::fs::read_to_string(&said).unwrap();
    assert!(status.success(), "{status}\n{printed}");
    ends_in_a_minute(&printed, kept_waiting);
    assert!(printed.contains("private devices, …): 0"), "harm was done:\n{printed}");
    let shown = excerpt(&printed.replace(&output_folder.display().to_string(), FOLDER));
    let now = Told::by(&shown);
    assert_eq!(now.rows.len(), 20, "{printed}");
    let next = [
        "verify … --key demo-output/keys/public.pem",
        "-C demo-output show HR-001",
        "-C demo-output why HR-004",
    ];
    assert_eq!(now.next, next, "{printed}");
    let account = printed.split_once("cargo offboard verify ").unwrap().1;
    let account = account.split_once(" --key ").unwrap().0;
    assert!(Path::new(account).is_file(), "{account} is not there:\n{printed}");
    let state = |case: &str| now.rows.iter().find(|r| r[0] == case).map(|r| r[3].as_str());
    assert_eq!(state("HR-006"), Some("refused"), "the break-glass account is protected");
    assert_eq!(state("HR-090"), Some("received"), "nobody is called that");
    assert_eq!(state("HR-004"), Some("active"), "sixty gigabytes wait for a person");
    assert_eq!(
        state("HR-002"),
        Some("closed"),
        "whose roles went is disabled, if it takes a while"
    );
    assert!(printed.contains("31.02.2026"), "the broken row is named");

    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = std::fs::read_to_string(&readme).unwrap();
    let (head, rest) = text.split_once(BEGIN).unwrap();
    let (mark, rest) = rest.split_once("-->\n").unwrap();
    let (block, tail) = rest.split_once(END).unwrap();
    if std::env::var_os("BLESS").is_some() {
        let new = format!("{head}{BEGIN}{mark}-->\n```\n{shown}```\n{END}{tail}");
        std::fs::write(&readme, new).unwrap();
        return;
    }
    let block = block.trim_start_matches("```\n").trim_end_matches("```\n");
    assert_eq!(
        Told::by(block),
        now,
        "the README's transcript is old: BLESS=1 cargo test -p offboard-demo\n{printed}"
    );
}

/// Engine time runs on while the machine is busy with something else: what that can have cost
/// at most is not held against it.
fn ends_in_a_minute(printed: &str, kept_waiting: Duration) {
    let line = printed.lines().find(|l| l.starts_with("Done after ")).unwrap();
    let words = line.split(|c: char| !c.is_ascii_digit());
    let numbers: Vec<u64> = words.filter_map(|n| n.parse().ok()).collect();
    let [minutes, seconds, speed] = numbers[..] else {
        panic!("three numbers are expected: {line}");
    };
    let at_work = minutes * 60 / speed;
    assert!(at_work.abs_diff(seconds) <= 1, "{line}");
    let busy = kept_waiting.as_secs().min(BUSY_MAX_S);
    let whole = printed.lines().find_map(|l| l.strip_prefix("It took ")).unwrap();
    let whole: u64 = whole.split_once(" s ").unwrap().0.parse().unwrap();
    assert!(at_work <= whole, "it was at work for longer than it took: {printed}");
    for (what, took, allowed) in [
        ("was at work for", at_work, AT_WORK_S + busy),
        ("took", whole, WHOLE_S + busy),
    ] {
        assert!(
            took <= allowed,
            "it {what} {took} s, and on this machine {allowed} s are allowed: {line}"
        );
    }
}

/// How long each thread of a process has waited for a processor, in nanoseconds. One that has
/// ended keeps what was seen of it last.
fn look_who_waits(process: u32, waited_ns: &mut BTreeMap<OsString, u64>) {
    let threads = std::fs::read_dir(format!("/proc/{process}/task"));
    for thread in threads.into_iter().flatten().flatten() {
        // Time on a processor, time waiting for one, and how often.
        let told = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        if let Some(waited) = told.split_whitespace().nth(1).and_then(|n| n.parse().ok()) {
            waited_ns.insert(thread.file_name(), waited);
        }
    }
}

/// Plays it to its end, and says how long a busy machine can have kept it waiting at most.
/// What it says goes to the file, errors too.
fn demonstrate(folder: &Path, said: File) -> (ExitStatus, Duration) {
    let began = Instant::now();
    let mut waited_ns = BTreeMap::new();
    let mut playing = Command::new(env!("CARGO_BIN_EXE_offboard-demo"))
        .args(["--plain", "--output"])
        .arg(folder)
        .stderr(said.try_clone().unwrap())
        .stdout(said)
        .spawn()
        .unwrap();
    let status = loop {
        look_who_waits(playing.id(), &mut waited_ns);
        match playing.try_wait().unwrap() {
            Some(status) => break status,
            None if began.elapsed() > LONGEST => {
                playing.kill().unwrap();
                break playing.wait().unwrap();
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    let kept_waiting = Duration::from_nanos(waited_ns.values().sum());
    // Past the test's own capture, which shows only what failed said.
    let took = format!(
        "measured: the demonstration took {} s; its threads together waited {} s for a processor\n",
        began.elapsed().as_secs(),
        kept_waiting.as_secs()
    );
    std::io::stderr().write_all(took.as_bytes()).unwrap();
    (status, kept_waiting)
}

/// What the README shows: everything but what is said while it runs.
fn excerpt(printed: &str) -> String {
    let (before, rest) = printed.split_once("\nRunning.").unwrap();
    let (running, after) = rest.split_once("\nResult\n").unwrap();
    let running = running.lines().next().unwrap_or_default();
    let whole = format!("{before}\nRunning.{running}\n\n  …\n\nResult\n{after}");
    let mut out = String::new();
    for line in whole.trim().lines() {
        // A command is there to be copied.
        let width = if line.starts_with("  cargo ") {
            usize::MAX
        } else {
            WIDTH
        };
        let short: String = line.chars().take(width).collect();
        out.push_str(short.trim_end());
        if short.chars().count() < line.chars().count() {
            out.push('…');
        }
        out.push('\n');
    }
    out
}
