//! Keeps the bench from rotting: two departures through each contestant but
//! Celery (whose environment is made from the network), some hundreds through
//! the embedded engine, on every core as fast as they go, until it holds
//! nothing, some thousands that stay open, and each other command but `archive`
//! with a few. It measures nothing.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Starting the broker is most of it: some twenty seconds in all where nothing
/// else runs.
const WITHIN: Duration = Duration::from_secs(900);

#[test]
fn two_departures_go_through_each_loop_and_through_offboard() {
    let of = ["distributed", "--departures", "2", "--rounds", "1"];
    let raw = measured(&[&of[..], &["--contestants", "least,bare,offboard"]].concat());
    let runs = raw["runs"].as_array().unwrap();
    let done = |contestant: &str| {
        let run = runs.iter().find(|run| run["contestant"] == contestant).unwrap();
        (
            run["departures"].as_u64().unwrap(),
            run["tasks"].as_u64().unwrap(),
            run["memory"].as_object().unwrap().len(),
        )
    };
    assert_eq!(done("least"), (2, 28, 1));
    assert_eq!(done("bare"), (2, 34, 3));
    assert_eq!(done("offboard"), (2, 34, 3), "14 tasks and 3 of the closing round each");
}

#[test]
fn one_departure_at_a_time_goes_through_each_loop_and_through_offboard() {
    let raw = measured(&["latency", "--departures", "3", "--rounds", "1"]);
    let runs = raw["runs"].as_array().unwrap();
    let of: Vec<_> = runs
        .iter()
        .map(|run| (run["contestant"].as_str(), times(run, "milliseconds")))
        .collect();
    assert_eq!(of, [(Some("least"), 3), (Some("bare"), 3), (Some("offboard"), 3)]);
    for run in runs {
        assert!(run["others_cores"].as_f64().unwrap() >= 0.0, "{run}");
    }
}

#[test]
fn memory_ends_with_a_verdict_on_each_process() {
    let raw = measured(&["memory", "--departures", "20", "--open", "8"]);
    assert!(!raw["samples"].as_array().unwrap().is_empty());
    for role in ["dispatcher", "worker", "closer"] {
        let verdict = raw["verdicts"][role].as_str().unwrap();
        assert!(
            verdict == "IT GROWS" || verdict.starts_with("flat"),
            "{role}: {verdict}"
        );
    }
}

#[test]
fn a_backlog_is_worked_off_with_few_and_with_more_open() {
    let raw = measured(&["backlog", "--sizes", "2,30", "--departures", "10", "--rounds", "1"]);
    let runs = raw["runs"].as_array().unwrap().iter();
    let of: Vec<_> = runs
        .map(|run| {
            (
                run["open"].as_u64().unwrap(),
                run["run"]["departures"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(of, [(2, 10), (30, 30)], "a larger backlog is worked off as a whole");
}

#[test]
fn fairness_ends_though_most_of_the_backlog_is_open() {
    let raw = measured(&["fairness", "--backlog", "300", "--probes", "2"]);
    let runs = raw["runs"].as_array().unwrap();
    let of: Vec<_> = runs
        .iter()
        .map(|run| {
            (
                run["planned"].as_bool().unwrap(),
                times(run, "idle_ms"),
                times(run, "busy_ms"),
            )
        })
        .collect();
    assert_eq!(of, [(true, 2, 2), (false, 2, 2)]);
}

/// How many times a run has under this name, none of them nothing.
fn times(run: &serde_json::Value, name: &str) -> usize {
    let times = run[name].as_array().unwrap();
    assert!(times.iter().all(|ms| ms.as_f64().unwrap() > 0.0), "{run}");
    times.len()
}

#[test]
fn all_runs_those_that_are_wanted_with_the_sizes_that_are_given() {
    let of = ["all", "--only", "redis-memory,rabbit"];
    let rabbit = ["--with", "rabbit --messages 200 --rounds 1"];
    let redis = ["--with", "redis-memory --cases 20 --records 8"];
    let raw = measured(&[&of[..], &rabbit, &redis].concat());
    let ran = raw["ran"].as_array().unwrap().iter();
    let of: Vec<_> = ran
        .map(|one| (one["bench"].as_str().unwrap(), one["sizes"][1].as_str().unwrap()))
        .collect();
    assert_eq!(of, [("rabbit", "200"), ("redis-memory", "20")]);
}

#[test]
fn the_embedded_engine_lets_go_of_every_case_also_when_many_end_at_once() {
    let raw = measured(&["embedded", "--departures", "200", "--rounds", "3"]);
    assert_eq!(raw.as_array().unwrap().len(), 3);
}

#[test]
fn growth_is_measured_with_cases_that_stay_open() {
    let raw = measured(&["growth", "--sizes", "1000", "--rounds", "1"]);
    let raw = raw.as_array().unwrap();
    assert_eq!((raw.len(), raw[0]["open"].as_u64()), (1, Some(1_000)));
    assert!(raw[0]["open_us"].as_f64().unwrap() > 0.0);
}

#[test]
fn cases_that_are_planned_whole_are_measured_while_they_wait_for_an_approval() {
    let raw = measured(&["planned", "--sizes", "250,300"]);
    let sizes: Vec<_> = raw.as_array().unwrap().iter().map(|g| g["open"].as_u64()).collect();
    assert_eq!(
        sizes,
        [Some(250), Some(300)],
        "those that were approved were made up for"
    );
    for grown in raw.as_array().unwrap() {
        assert!(grown["tasks"].as_u64().unwrap() > 20, "planned whole: {grown}");
        assert!(grown["approve_us"].as_f64().unwrap() > 0.0, "{grown}");
    }
}

fn measured(what: &[&str]) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("raw.json");
    let mut bench = Command::new(env!("CARGO_BIN_EXE_offboard-bench"))
        .args(what)
        .arg("--output")
        .arg(&output)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Its children and servers end with it.
    let began = Instant::now();
    let status = loop {
        match bench.try_wait().unwrap() {
            Some(status) => break status,
            None if began.elapsed() > WITHIN => {
                bench.kill().unwrap();
                break bench.wait().unwrap();
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    let mut said = String::new();
    bench.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    bench.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(status.success(), "{status}; it said:\n{said}");
    serde_json::from_slice(&std::fs::read(&output).unwrap()).unwrap()
}
