//! How long one departure takes when nothing else is to be done.

use super::drive::{Contestant, Team};
use super::lines::Order;
use super::stage::{Stage, Tuning};
use super::{child::Said, machine};
use crate::embedded::Failed;
use crate::median;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Longest that one may take.
const LONGEST: Duration = Duration::from_secs(60);

/// What `latency` may be told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Sizes {
    /// Departures a round, one after the other.
    #[arg(long, default_value_t = 300)]
    departures: usize,
    /// Rounds; the medians count.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Who takes part.
    #[arg(long, value_delimiter = ',', default_value = "least,bare,offboard")]
    contestants: Vec<Contestant>,
    #[command(flatten)]
    tuning: Tuning,
}

/// Measures it in turns.
pub(crate) fn measure(sizes: &Sizes) -> Result<Value, Failed> {
    let mut stage = Stage::set(sizes.tuning)?;
    let machine = machine::describe(&stage)?;
    println!("{}", machine::in_words(&machine));
    println!(
        "One departure at a time, from its order until it is closed (Offboard: its evidence written); milliseconds.\n\
         The longest way is 5 tasks; with the closing round and the order to seal (not least) 7."
    );
    println!("{}", sizes.tuning.in_words());
    println!(
        "{:>5} {:>9} {:>8} {:>8} {:>8} {:>8}",
        "round", "", "p50", "p99", "most", "others"
    );
    let mut all: Vec<(usize, Contestant, OneByOne)> = Vec::new();
    for round in 1..=sizes.rounds {
        for contestant in &sizes.contestants {
            let run = one_by_one(*contestant, &mut stage, sizes.departures)?;
            println!(
                "{round:>5} {:>9} {:>8.2} {:>8.2} {:>8.2} {:>8.2}",
                contestant.word(),
                percentile(&run.took, 50),
                percentile(&run.took, 99),
                percentile(&run.took, 100),
                run.others
            );
            all.push((round, *contestant, run));
        }
    }
    let of = |contestant: Contestant, percent: usize| {
        let of = all.iter().filter(|(_, c, _)| *c == contestant);
        median(of.map(|(_, _, run)| percentile(&run.took, percent)).collect())
    };
    println!("medians of {} rounds:", sizes.rounds);
    for contestant in &sizes.contestants {
        println!(
            "{:>15} {:>8.2} {:>8.2}",
            contestant.word(),
            of(*contestant, 50),
            of(*contestant, 99)
        );
    }
    println!(
        "offboard / bare {:>8.2}            (wanted: p50 at most 2, and p99 at most 20 ms)",
        of(Contestant::Offboard, 50) / of(Contestant::Bare, 50)
    );
    let raw = all.iter().map(|(round, contestant, run)| {
        json!({
            "round": round, "contestant": contestant.word(), "milliseconds": run.took, "others_cores": run.others,
        })
    });
    Ok(json!({
        "what": "latency", "machine": machine, "sizes": format!("{sizes:?}"), "runs": raw.collect::<Vec<_>>(),
    }))
}

struct OneByOne {
    /// Each in milliseconds.
    took: Vec<f64>,
    /// What of a core everybody else on the machine took.
    others: f64,
}

fn one_by_one(contestant: Contestant, stage: &mut Stage, departures: usize) -> Result<OneByOne, Failed> {
    let setup = stage.clean()?;
    let mut team = Team::start(contestant, stage, &setup)?;
    let warm_up = (departures / 5).max(1);
    team.work(0..warm_up, 1, |_, _| Ok(()))?;
    let mut took = Vec::with_capacity(departures);
    let others = team.others(stage)?;
    for n in warm_up..warm_up + departures {
        let began = Instant::now();
        team.origin()?.open(Order::of(n, 1))?;
        match team.finisher()?.next(LONGEST)? {
            Some(Said::Done { .. }) => took.push(began.elapsed().as_secs_f64() * 1e3),
            other => return Err(format!("{other:?} where a departure was to be done").into()),
        }
    }
    let others = others.cores()?;
    team.end()?;
    Ok(OneByOne { took, others })
}

/// That many percent are at most this.
pub(crate) fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(percentile(&values, 50), 100.0);
        assert_eq!(percentile(&values, 99), 198.0);
        assert_eq!(percentile(&values, 100), 200.0);
        assert_eq!(percentile(&[7.0], 1), 7.0);
    }
}
