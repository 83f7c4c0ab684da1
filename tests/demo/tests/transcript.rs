//! The README's transcript is what the demonstration prints: this runs it and
//! compares. `BLESS=1 cargo test -p offboard-demo` writes it into the README.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const BEGIN: &str = "<!-- demo:begin";
const END: &str = "<!-- demo:end -->";

/// The demonstration takes less than a minute on a machine with nothing else to
/// do; a busy one gets until the demonstration gives up, which is a failure.
const LONGEST: Duration = Duration::from_secs(180);

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    case: String,
    client: String,
    manner: String,
    state: String,
}

fn rows(text: &str) -> Vec<Row> {
    text.lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|w| w.len() >= 6 && w[0].starts_with("HR-") && w[4].contains('/'))
        .map(|w| Row {
            case: w[0].into(),
            client: w[1].into(),
            manner: w[2].into(),
            state: w[3].into(),
        })
        .collect()
}

/// Lines of the README are cut at this width.
const WIDTH: usize = 110;
/// How many of the twenty come to their end in every run: faults fall otherwise each time.
const CLOSED_AT_LEAST: usize = 8;

#[test]
fn the_readme_shows_what_the_demonstration_prints() {
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_offboard-demo"))
        .args(["--plain", "--output"])
        .arg(folder.path().join("demo"))
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{printed}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(began.elapsed() < LONGEST, "it took {:?}", began.elapsed());
    assert!(printed.contains("private devices, …): 0"), "harm was done:\n{printed}");
    let now = rows(&printed);
    let state = |case: &str| now.iter().find(|r| r.case == case).map(|r| r.state.as_str());
    assert!(
        now.iter().filter(|r| r.state == "closed").count() >= CLOSED_AT_LEAST,
        "{printed}"
    );
    assert_eq!(state("HR-006"), Some("refused"), "the break-glass account is protected");
    assert_eq!(state("HR-090"), Some("received"), "nobody is called that");
    assert_eq!(state("HR-004"), Some("active"), "sixty gigabytes wait for a person");
    assert!(printed.contains("31.02.2026"), "the broken row is named");

    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = std::fs::read_to_string(&readme).unwrap();
    let (head, rest) = text.split_once(BEGIN).unwrap();
    let (mark, rest) = rest.split_once("-->\n").unwrap();
    let (block, tail) = rest.split_once(END).unwrap();
    if std::env::var_os("BLESS").is_some() {
        let new = format!("{head}{BEGIN}{mark}-->\n```\n{}```\n{END}{tail}", excerpt(&printed));
        std::fs::write(&readme, new).unwrap();
        return;
    }
    let who = |rows: Vec<Row>| {
        rows.into_iter()
            .map(|r| (r.case, r.client, r.manner))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        who(rows(block)),
        who(now),
        "the README's transcript is old: BLESS=1 cargo test -p offboard-demo"
    );
}

/// What the README shows: from the result to the evidence.
fn excerpt(printed: &str) -> String {
    let from = printed.find("\nResult\n").unwrap_or(0);
    let upto = printed.find("\nEvidence: ").unwrap_or(printed.len());
    let mut out = String::new();
    for line in printed[from..upto].trim().lines() {
        let short: String = line.chars().take(WIDTH).collect();
        out.push_str(short.trim_end());
        if short.chars().count() < line.chars().count() {
            out.push('…');
        }
        out.push('\n');
    }
    out
}
