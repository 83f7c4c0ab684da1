//! Memory of each of Offboard's processes over many departures, and throughput
//! with more and more cases open.

use super::drive::{self, Contestant, Load};
use super::machine;
use super::stage::{Stage, Tuning};
use crate::embedded::Failed;
use crate::median;
use serde_json::{Value, json};
use std::time::Instant;

/// Lines that the table of a process's memory has.
const LINES: usize = 20;
/// What a worker may hold, in MiB.
const WORKER_MIB: f64 = 64.0;
/// What may be more at the end than after a fifth and still counts as flat, of that: what
/// the allocator keeps for itself comes and goes by as much.
const FLAT: f64 = 0.1;

/// What `memory` may be told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct MemorySizes {
    /// Departures.
    #[arg(long, default_value_t = 100_000)]
    departures: usize,
    /// Departures that are open at a time.
    #[arg(long, default_value_t = 128)]
    open: usize,
    #[command(flatten)]
    tuning: Tuning,
}

/// Runs so many departures, and looks at each process's memory.
pub(crate) fn memory(sizes: &MemorySizes) -> Result<Value, Failed> {
    let mut stage = Stage::set(sizes.tuning)?;
    let machine = machine::describe(&stage)?;
    println!("{}", machine::in_words(&machine));
    println!(
        "{} departures, {} open at a time; resident memory in MiB",
        sizes.departures, sizes.open
    );
    println!("{}", sizes.tuning.in_words());
    println!(
        "{:>10} {:>8} {:>11} {:>8} {:>8}",
        "done", "s", "dispatcher", "worker", "closer"
    );
    let mut samples: Vec<Value> = Vec::new();
    let mut workers: Vec<[f64; 3]> = Vec::new();
    let began = Instant::now();
    let every = (sizes.departures / LINES).max(1);
    let load = Load {
        warm_up: 0,
        departures: sizes.departures,
        open: sizes.open,
    };
    let run = drive::run_and_look(Contestant::Offboard, &mut stage, load, |team, done| {
        if done / every < workers.len() + 1 {
            return Ok(());
        }
        let memory = team.memory()?;
        let of = |name: &str| memory.get(name).map_or(f64::NAN, |m| m.resident);
        let each = ["dispatcher", "worker", "closer"].map(of);
        let seconds = began.elapsed().as_secs_f64();
        println!(
            "{done:>10} {seconds:>8.1} {:>11.1} {:>8.1} {:>8.1}",
            each[0], each[1], each[2]
        );
        samples.push(json!({ "done": done, "seconds": seconds, "mib": each }));
        workers.push(each);
        Ok(())
    })?;
    // The first fifth fills caches and tables; from then on it should stay.
    let later = workers.get(workers.len() / 5..).unwrap_or_default();
    let mut verdicts = serde_json::Map::new();
    for (n, name) in ["dispatcher", "worker", "closer"].into_iter().enumerate() {
        let (first, last) = (
            later.first().map_or(f64::NAN, |m| m[n]),
            later.last().map_or(f64::NAN, |m| m[n]),
        );
        let peak = run.memory.get(name).map_or(f64::NAN, |m| m.peak);
        let verdict = verdict(
            first,
            last,
            peak,
            if name == "worker" { WORKER_MIB } else { f64::INFINITY },
        );
        println!(
            "{name:>10}: {first:.1} after a fifth, {last:.1} at the end ({:+.0} %), {peak:.1} at most: {verdict}",
            (last / first - 1.0) * 100.0
        );
        verdicts.insert(name.to_owned(), json!(verdict));
    }
    println!(
        "wanted: flat (at most {:.0} % more), and a worker at most {WORKER_MIB:.0} MiB; others took {:.2} of a core",
        FLAT * 100.0,
        run.others
    );
    Ok(json!({
        "what": "memory", "machine": machine, "sizes": format!("{sizes:?}"), "samples": samples, "run": run.raw(),
        "verdicts": verdicts,
    }))
}

/// What is to be said of a process that held so much after a fifth, at the end and at most.
fn verdict(first: f64, last: f64, peak: f64, bound: f64) -> &'static str {
    if [first, last, peak].iter().any(|mib| mib.is_nan()) {
        "not measured"
    } else if last > first * (1.0 + FLAT) {
        "IT GROWS"
    } else if peak > bound {
        "flat, and TOO MUCH"
    } else {
        "flat"
    }
}

/// What `backlog` may be told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BacklogSizes {
    /// Cases that are open at a time; the first is what the others are compared with.
    #[arg(long, value_delimiter = ',', default_value = "1000,100000")]
    sizes: Vec<usize>,
    /// Departures a round at least; a larger backlog is worked off as a whole.
    #[arg(long, default_value_t = 20_000)]
    departures: usize,
    /// Rounds; the medians count.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    #[command(flatten)]
    tuning: Tuning,
}

/// Departures a second with so many open: each is opened as soon as there is
/// room, and the clock runs from the first order until the last is closed.
pub(crate) fn backlog(sizes: &BacklogSizes) -> Result<Value, Failed> {
    let mut stage = Stage::set(sizes.tuning)?;
    let machine = machine::describe(&stage)?;
    println!("{}", machine::in_words(&machine));
    println!("Departures a second, opening and closing counted in, with so many open at a time.");
    println!("{}", sizes.tuning.in_words());
    println!(
        "{:>5} {:>9} {:>11} {:>13} {:>15} {:>7}",
        "round", "open", "departures", "departures/s", "dispatcher MiB", "others"
    );
    let mut runs: Vec<(usize, usize, f64, Value)> = Vec::new();
    for round in 1..=sizes.rounds {
        for open in &sizes.sizes {
            let load = Load {
                warm_up: 0,
                departures: sizes.departures.max(*open),
                open: *open,
            };
            let run = drive::run(Contestant::Offboard, &mut stage, load)?;
            let dispatcher = run.memory.get("dispatcher").map_or(f64::NAN, |m| m.peak);
            println!(
                "{round:>5} {open:>9} {:>11} {:>13.1} {dispatcher:>15.0} {:>7.2}",
                run.departures,
                run.rate(),
                run.others
            );
            runs.push((round, *open, run.rate(), run.raw()));
        }
    }
    let of = |open: usize| median(runs.iter().filter(|r| r.1 == open).map(|r| r.2).collect());
    let base = sizes.sizes.first().copied().unwrap_or_default();
    for open in sizes.sizes.iter().skip(1) {
        println!(
            "{open} open / {base} open: {:.2}   (wanted: 0.9 at least)",
            of(*open) / of(base)
        );
    }
    let raw = runs
        .iter()
        .map(|(round, open, _, run)| json!({ "round": round, "open": open, "run": run }));
    Ok(json!({
        "what": "backlog", "machine": machine, "sizes": format!("{sizes:?}"), "runs": raw.collect::<Vec<_>>(),
    }))
}

#[cfg(test)]
mod tests {
    use super::verdict;

    #[test]
    fn what_grows_or_is_too_much_is_said() {
        assert_eq!(verdict(40.0, 42.0, 50.0, 64.0), "flat");
        assert_eq!(verdict(40.0, 46.0, 50.0, 64.0), "IT GROWS");
        assert_eq!(verdict(40.0, 40.0, 65.0, 64.0), "flat, and TOO MUCH");
        assert_eq!(verdict(40.0, 40.0, 65.0, f64::INFINITY), "flat");
        assert_eq!(verdict(f64::NAN, 40.0, 65.0, 64.0), "not measured");
    }
}
