//! `cargo demo`: twenty leavers of three client companies, from an HR export to
//! signed evidence, against a simulated Microsoft 365 with its faults on.
//!
//! The engine is the real one, embedded, with its real connector speaking HTTP
//! to the simulation; only time runs faster, for both. A simulated colleague
//! approves and attests what a person would.

#![expect(clippy::print_stdout, reason = "the demonstration talks to whoever watches it")]

mod colleague;
mod export;
mod office;
mod result;
mod stage;

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;

/// Anything that may go wrong ends the demonstration.
pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Twenty leavers of three client companies, from an HR export to signed evidence.
#[derive(Parser)]
pub(crate) struct Args {
    /// The working folder that it makes (an older demonstration there is replaced).
    #[arg(long, default_value = "demo-output")]
    output: PathBuf,
    /// Chooses people, faults and delays.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// How many times faster than real time it runs.
    #[arg(long, default_value_t = 320)]
    speed: u32,
    /// Plain lines, also on a terminal.
    #[arg(long)]
    plain: bool,
    /// Keeps the simulated Microsoft 365 up afterwards, until Ctrl-C, so that the
    /// cases that wait for a person can be dealt with by hand.
    #[arg(long)]
    stay: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let played = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failed::from)
        .and_then(|runtime| runtime.block_on(stage::play(&args)));
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write as _;
            // Nothing is left to tell it to if this fails too.
            let _ = writeln!(std::io::stderr(), "the demonstration failed: {error}");
            ExitCode::FAILURE
        }
    }
}
