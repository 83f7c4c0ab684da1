//! Offboard distributed beside the least possible, the bare loop of its own
//! shape, and Celery: in turns in one run, on the same private broker and store.

mod bare;
mod celery;
mod child;
mod drive;
pub(crate) mod fairness;
mod graph;
pub(crate) mod growing;
pub(crate) mod latency;
mod least;
mod lines;
mod machine;
mod offboard;
mod setup;
mod sink;
mod stage;
mod wire;

use crate::embedded::Failed;
use crate::median;
use drive::{Contestant, Load, Run};
use machine::Memory;
use serde_json::{Value, json};
use setup::Setup;
use stage::{Stage, Tuning};
use std::path::Path;

/// What `distributed` may be told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Sizes {
    /// Departures a round of each contestant but Celery.
    #[arg(long, default_value_t = 3_000)]
    departures: usize,
    /// Departures a round of Celery, which takes some twenty times as long for each.
    #[arg(long, default_value_t = 300)]
    celery_departures: usize,
    /// Rounds; the medians count.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Departures that are open at a time.
    #[arg(long, default_value_t = 128)]
    open: usize,
    /// The same for Celery, which gains nothing from more.
    #[arg(long, default_value_t = 32)]
    celery_open: usize,
    /// Who takes part.
    #[arg(long, value_delimiter = ',', default_value = "least,bare,offboard,celery")]
    contestants: Vec<Contestant>,
    #[command(flatten)]
    tuning: Tuning,
}

/// Runs as one of the processes of a contestant.
pub(crate) fn role(role: &str, setup: &Path) -> Result<(), Failed> {
    let setup = Setup::read(setup)?;
    let runtime = offboard_runtime::threads()?;
    runtime.block_on(async {
        match role {
            "least" => least::run(setup).await,
            "bare-dispatcher" => bare::dispatcher(setup).await,
            "bare-worker" => bare::worker(setup).await,
            "bare-closer" => bare::closer(setup).await,
            "dispatcher" => offboard::dispatcher(setup).await,
            "worker" => offboard::worker(setup).await,
            "closer" => offboard::closer(setup).await,
            other => Err(format!("there is no role '{other}'").into()),
        }
    })
}

/// Departures a second, in turns.
pub(crate) fn throughput(sizes: &Sizes) -> Result<Value, Failed> {
    if sizes.contestants.contains(&Contestant::Celery) {
        // Before anything takes long.
        celery::python()?;
    }
    let mut stage = Stage::set(sizes.tuning)?;
    let machine = machine::describe(&stage)?;
    println!("{}", machine::in_words(&machine));
    explain(sizes);
    println!(
        "{:>5} {:>9} {:>12} {:>9} {:>6}   {:>7} {:>6} {:>6}   {:>7}   of its own: ms a departure, MiB at most",
        "round", "", "departures/s", "tasks/s", "tasks", "broker", "store", "own", "others"
    );
    let mut runs: Vec<(usize, Run)> = Vec::new();
    for round in 1..=sizes.rounds {
        for contestant in &sizes.contestants {
            let run = drive::run(*contestant, &mut stage, load(*contestant, sizes))?;
            print(round, &run);
            runs.push((round, run));
        }
    }
    summary(sizes, &runs);
    let raw = runs.iter().map(|(round, run)| {
        let mut raw = run.raw();
        raw["round"] = json!(round);
        raw
    });
    Ok(json!({
        "what": "distributed", "machine": machine, "sizes": format!("{sizes:?}"), "runs": raw.collect::<Vec<_>>(),
        "telemetry_bytes": stage.telemetry_bytes(),
    }))
}

fn load(contestant: Contestant, sizes: &Sizes) -> Load {
    let (departures, open) = match contestant {
        Contestant::Celery => (sizes.celery_departures, sizes.celery_open),
        _ => (sizes.departures, sizes.open),
    };
    Load {
        // The first departures find nothing prepared: connections, caches, pages.
        warm_up: (departures / 5).min(4 * open),
        departures,
        open,
    }
}

fn explain(sizes: &Sizes) {
    let Sizes { open, celery_open, .. } = sizes;
    println!(
        "\
A departure has 14 tasks that do nothing outside; each process is one of its own; one broker (one scheduler) and one
store (appendfsync always) for all; {open} departures open at a time.
  least     1 confirmed message and 1 append a task; stages 1, 4, 4, 4, 1; one process
  bare      2 messages and 1 append a task; the same stages, then the closing round (3 assignments, 1 order to seal);
            dispatcher, worker and closer
  offboard  everything: the catalogue's order (longest way 5 tasks, stages 1, 4, 2, 6, 1), the closing round, sealing;
            authenticated, expiring, 1 % traced to a collector here, evidence synced to the disk; dispatcher, worker and
            closer
  celery    chain, groups and chords; stages 1, 4, 4, 4, 1; acks_late, quorum queue, publisher confirms; 2 solo workers
            and a driver; {celery_open} open at a time; no closing round, no history, no evidence
Broker, store, own: processor time a departure in ms. Others: cores that the rest of the machine took (above 0.2 the
round tells little)."
    );
    println!("{}", sizes.tuning.in_words());
}

fn print(round: usize, run: &Run) {
    let ms = |which: &dyn Fn(&str) -> bool| run.cpu_us(which) / 1e3;
    let own = |name: &str| !["rabbitmq", "redis", "the bench"].contains(&name);
    let each = |(name, memory): (&&str, &Memory)| format!("{name} {:.2}, {:.0}", ms(&|n| n == *name), memory.peak);
    let each: Vec<String> = run.memory.iter().map(each).collect();
    println!(
        "{round:>5} {:>9} {:>12.1} {:>9.0} {:>6.1}   {:>7.2} {:>6.2} {:>6.2}   {:>7.2}   {}",
        run.contestant.word(),
        run.rate(),
        run.tasks as f64 / run.took.as_secs_f64(),
        run.tasks as f64 / run.departures as f64,
        ms(&|name| name == "rabbitmq"),
        ms(&|name| name == "redis"),
        ms(&own),
        run.others,
        each.join("; ")
    );
}

fn summary(sizes: &Sizes, runs: &[(usize, Run)]) {
    let rate = |contestant: Contestant, round: usize| {
        let run = runs.iter().find(|(r, run)| *r == round && run.contestant == contestant);
        run.map(|(_, run)| run.rate())
    };
    println!("medians of {} rounds:", sizes.rounds);
    for contestant in &sizes.contestants {
        let rates: Vec<f64> = (1..=sizes.rounds)
            .filter_map(|round| rate(*contestant, round))
            .collect();
        println!("{:>15} {:>12.1} departures/s", contestant.word(), median(rates));
    }
    for (peer, wanted) in [
        (Contestant::Bare, "wanted: 0.65 at least"),
        (Contestant::Least, "as high as the laws allow"),
        (Contestant::Celery, "wanted: 10 at least"),
    ] {
        let ratio = |round| Some(rate(Contestant::Offboard, round)? / rate(peer, round)?);
        let ratios: Vec<f64> = (1..=sizes.rounds).filter_map(ratio).collect();
        if !ratios.is_empty() {
            println!("offboard / {:>6} {:>10.2}   ({wanted})", peer.word(), median(ratios));
        }
    }
}
