//! How long one tenant's immediate departure takes until its access is cut,
//! while another tenant has a great many waiting.

use super::child::Said;
use super::drive::{Contestant, Team};
use super::latency::percentile;
use super::lines::Order;
use super::machine;
use super::stage::{Stage, Tuning};
use crate::embedded::Failed;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Who has many waiting, and who has one.
const CROWD: usize = 0;
const ALONE: usize = 1;

/// Longest that opening the backlog, or one departure, may take.
const LONGEST: Duration = Duration::from_secs(1_800);

/// What `fairness` may be told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Sizes {
    /// Departures of the one tenant that wait.
    #[arg(long, default_value_t = 100_000)]
    backlog: usize,
    /// Departures of the other one, each after the last.
    #[arg(long, default_value_t = 101)]
    probes: usize,
    #[command(flatten)]
    tuning: Tuning,
}

/// Measures it, with a backlog of planned and of immediate departures.
pub(crate) fn measure(sizes: &Sizes) -> Result<Value, Failed> {
    let mut stage = Stage::set(sizes.tuning)?;
    let machine = machine::describe(&stage)?;
    println!("{}", machine::in_words(&machine));
    println!(
        "From the order of one tenant's immediate departure until all its access is cut, {} one after the other,\n\
         idle and while {} departures of another tenant are open; milliseconds.",
        sizes.probes, sizes.backlog
    );
    println!("{}", sizes.tuning.in_words());
    println!(
        "{:>10} {:>9} {:>9} {:>9} {:>9} {:>9}   {:>6} {:>11} {:>7}",
        "backlog", "idle p50", "idle p99", "busy p50", "busy p99", "most", "ratio", "still open", "others"
    );
    let mut raw = Vec::new();
    for planned in [true, false] {
        let run = once(&mut stage, sizes, planned)?;
        let (idle, busy) = (percentile(&run.idle, 50), percentile(&run.busy, 50));
        println!(
            "{:>10} {idle:>9.1} {:>9.1} {busy:>9.1} {:>9.1} {:>9.1}   {:>6.2} {:>11} {:>7.2}",
            if planned { "planned" } else { "immediate" },
            percentile(&run.idle, 99),
            percentile(&run.busy, 99),
            percentile(&run.busy, 100),
            busy / idle,
            run.still_open,
            run.others
        );
        raw.push(json!({
            "planned": planned, "idle_ms": run.idle, "busy_ms": run.busy, "still_open": run.still_open,
            "accepting_seconds": run.accepting.as_secs_f64(), "others_cores": run.others,
        }));
    }
    println!("wanted: at most 2");
    Ok(json!({ "what": "fairness", "machine": machine, "sizes": format!("{sizes:?}"), "runs": raw }))
}

struct Measured {
    idle: Vec<f64>,
    busy: Vec<f64>,
    /// Of the backlog, when the last probe was cut.
    still_open: usize,
    accepting: Duration,
    /// What of a core everybody else on the machine took.
    others: f64,
}

fn once(stage: &mut Stage, sizes: &Sizes, planned: bool) -> Result<Measured, Failed> {
    let setup = stage.clean()?;
    let mut team = Team::start(Contestant::Offboard, stage, &setup)?;
    let warm_up = sizes.probes.div_ceil(5);
    team.work(0..warm_up, 1, |_, _| Ok(()))?;
    let others = team.others(stage)?;
    let idle = probes(&mut team, warm_up, sizes.probes, true)?;
    let first = warm_up + sizes.probes;
    let began = Instant::now();
    team.origin()?.open(Order {
        tenant: Some(CROWD),
        planned,
        told: true,
        ..Order::of(first, sizes.backlog)
    })?;
    team.origin()?.until(Said::Accepted, LONGEST)?;
    let accepting = began.elapsed();
    let busy = probes(&mut team, first + sizes.backlog, sizes.probes, false)?;
    let mut done = 0;
    while let Some(Said::Done { departures, .. }) = team.finisher()?.next(Duration::ZERO)? {
        done += departures;
    }
    let others = others.cores()?;
    // The rest of the backlog is of no interest: it is not waited for.
    team.end()?;
    Ok(Measured {
        idle,
        busy,
        still_open: (sizes.backlog + sizes.probes).saturating_sub(done),
        accepting,
        others,
    })
}

/// One after the other, each begun when the last is cut; `until_closed`: when
/// it is closed, so that nothing else is going on.
fn probes(team: &mut Team, first: usize, count: usize, until_closed: bool) -> Result<Vec<f64>, Failed> {
    let mut took = Vec::with_capacity(count);
    for n in first..first + count {
        let began = Instant::now();
        team.origin()?.open(Order {
            tenant: Some(ALONE),
            told: true,
            ..Order::of(n, 1)
        })?;
        team.origin()?.until(Said::Cut, LONGEST)?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
        if until_closed {
            let closed = team.finisher()?.next(LONGEST)?;
            if !matches!(closed, Some(Said::Done { .. })) {
                return Err(format!("{closed:?} where a departure was to be closed").into());
            }
        }
    }
    Ok(took)
}
