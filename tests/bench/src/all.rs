//! Every bench, one after the other, each in a process of its own: memory counts
//! only in one that is new, and one that breaks leaves the others to be run.

use crate::embedded::Failed;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// What there is, in the order in which it is run.
const BENCHES: [&str; 11] = [
    "embedded",
    "rabbit",
    "growth",
    "planned",
    "redis-memory",
    "archive",
    "distributed",
    "latency",
    "memory",
    "backlog",
    "fairness",
];

/// What `all` may be told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Choice {
    /// Which [default: all].
    #[arg(long, value_delimiter = ',', value_parser = BENCHES)]
    only: Vec<String>,
    /// One with sizes of its own, as it is typed alone: --with "memory --departures 1000".
    /// May be given again for another.
    #[arg(long, value_name = "COMMAND", value_parser = with_sizes)]
    with: Vec<Given>,
}

/// A bench and what it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Given {
    bench: String,
    sizes: Vec<String>,
}

fn with_sizes(typed: &str) -> Result<Given, String> {
    let mut words = typed.split_whitespace().map(str::to_owned);
    match words.next() {
        Some(bench) if BENCHES.contains(&bench.as_str()) => Ok(Given {
            bench,
            sizes: words.collect(),
        }),
        _ => Err(format!("begins with none of {}", BENCHES.join(", "))),
    }
}

/// Runs them, and says which failed. Their raw figures go beside `output`, the one that
/// names it here.
pub(crate) fn run(choice: &Choice, output: Option<&Path>) -> Result<Value, Failed> {
    let folder = output.and_then(Path::parent).unwrap_or(Path::new("target"));
    let mut ran = Vec::new();
    let mut failed = Vec::new();
    for bench in BENCHES.into_iter().filter(|bench| choice.wants(bench)) {
        let raw: PathBuf = folder.join(format!("bench-{bench}.json"));
        let sizes = choice.sizes(bench);
        println!("\n== {bench} {}", sizes.join(" "));
        let began = Instant::now();
        let ended = Command::new(std::env::current_exe()?)
            .arg(bench)
            .args(sizes)
            .arg("--output")
            .arg(&raw)
            .status()?;
        if !ended.success() {
            failed.push(bench);
        }
        ran.push(json!({
            "bench": bench, "sizes": sizes, "seconds": began.elapsed().as_secs_f64(), "failed": !ended.success(),
        }));
    }
    if failed.is_empty() {
        Ok(json!({ "what": "all", "ran": ran }))
    } else {
        Err(format!("of {} benches these failed: {}", ran.len(), failed.join(", ")).into())
    }
}

impl Choice {
    fn wants(&self, bench: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == bench)
    }

    /// The last that was given for it.
    fn sizes(&self, bench: &str) -> &[String] {
        let given = self.with.iter().rev().find(|with| with.bench == bench);
        given.map(|with| with.sizes.as_slice()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn every_bench_is_one_of_all() {
        let mut there: Vec<String> = crate::Args::command()
            .get_subcommands()
            .filter(|command| !command.is_hide_set() && command.get_name() != "all")
            .map(|command| command.get_name().to_owned())
            .collect();
        there.sort();
        let mut all = BENCHES.map(str::to_owned);
        all.sort();
        assert_eq!(there, all);
    }

    #[test]
    fn the_last_sizes_that_are_given_count() {
        let choice = Choice {
            only: vec!["memory".to_owned()],
            with: ["memory --open 1", "memory --open 2 --departures 3"]
                .map(|typed| with_sizes(typed).unwrap())
                .into(),
        };
        assert!(choice.wants("memory") && !choice.wants("rabbit"));
        assert_eq!(choice.sizes("memory"), ["--open", "2", "--departures", "3"]);
        assert!(choice.sizes("rabbit").is_empty());
        assert!(with_sizes("memroy --open 1").is_err());
    }
}
