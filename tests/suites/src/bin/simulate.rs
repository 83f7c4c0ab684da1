//! Runs seeds of the simulation, or replays one.

use clap::Parser;
use offboard_suites::{Outcome, Processes, Shape, Simulation, Workers};
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

/// Runs the simulation: one seed with its transcript, or many.
#[derive(Parser)]
struct Options {
    /// Replays this seed and prints its transcript.
    #[arg(long)]
    seed: Option<u64>,
    /// Runs this many seeds.
    #[arg(long, default_value_t = 1)]
    count: u64,
    /// Begins with this seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// With the model's workers in place of the real ones: the dispatcher by itself.
    #[arg(long)]
    model: bool,
    /// With several dispatchers and workers, whose clocks differ, in place of one of each.
    #[arg(long)]
    several: bool,
    /// All who administer a tenant leave it at the same second.
    #[arg(long)]
    administrators: bool,
    /// Prints one line for each seed.
    #[arg(long)]
    verbose: bool,
}

fn main() -> std::io::Result<ExitCode> {
    let options = Options::parse();
    let mut out = std::io::stdout().lock();
    let replayed = options.seed.is_some();
    let first = options.seed.unwrap_or(options.from);
    let count = if replayed { 1 } else { options.count };
    let mut bad = 0;
    let shape = Shape {
        workers: if options.model { Workers::Model } else { Workers::Real },
        processes: if options.several {
            Processes::Several
        } else {
            Processes::One
        },
        administrators: options.administrators,
        verbose: replayed,
        ..Shape::default()
    };
    for seed in first..first.saturating_add(count) {
        let began = Instant::now();
        let outcome = Simulation::run(seed, &shape);
        for line in &outcome.transcript {
            writeln!(out, "{line}")?;
        }
        if replayed || options.verbose || !outcome.violated.is_empty() {
            writeln!(out, "{}", summary(&outcome, began.elapsed().as_millis()))?;
        }
        for violated in &outcome.violated {
            writeln!(out, "  VIOLATED {violated}")?;
        }
        if !outcome.violated.is_empty() {
            bad += 1;
            writeln!(out, "  replay: {}", shape.replay(seed))?;
        }
    }
    writeln!(out, "{count} seeds, {bad} with violations")?;
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn summary(outcome: &Outcome, took_ms: u128) -> String {
    format!(
        "seed {}: {} cases, {} closed, {} appends, {} starts, {} virtual minutes, {} lines {}, {took_ms} ms",
        outcome.seed,
        outcome.cases,
        outcome.closed,
        outcome.appends,
        outcome.deaths,
        outcome.virtual_ms / 60_000,
        outcome.lines,
        outcome.digest.get(..16).unwrap_or_default(),
    )
}
