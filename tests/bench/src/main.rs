//! What Offboard costs, beside the least that could do the same, always in
//! turns on the same private servers. No figure here means anything on its own
//! or on a machine that does something else: it is the ratios within one run
//! that count, and the medians of several rounds. Column "others" of what runs
//! distributed says what of a core everybody else on the machine took
//! meanwhile: a round with more than 0.2 tells little.
//!
//! Every command starts its own servers on free ports of the loopback (RabbitMQ
//! and Redis must be installed: `tests/run` does it), prints a table, keeps its
//! raw figures in `target/bench-<command>.json` (`--output`) with the machine
//! and the versions, and leaves nothing running. `--help` after a command shows
//! how to make it smaller. All begin with `cargo run --release -p
//! offboard-bench --`.
//!
//! Distributed, each role a process of its own (this program starts itself
//! again for each):
//!
//! - `distributed`: departures a second. Four contestants in turns: the least
//!   loop (1 message, 1 append a task), the bare loop of our own shape (2
//!   messages, 1 append a task, and the closing round), Offboard with everything
//!   on and outside systems that answer at once, and Celery. The table says how
//!   much processor time a departure took at the broker, at the store and in the
//!   contestant's own processes. Celery is installed into `target/celery-venv`
//!   by `tests/bench/celery/setup.sh` (Python 3 with venv, and a package index);
//!   `--contestants least,bare,offboard` leaves it out.
//! - `latency`: one departure at a time, p50 and p99.
//! - `memory`: each of Offboard's processes over 100,000 departures.
//! - `backlog`: departures a second with 1,000 and with 100,000 cases open.
//! - `fairness`: one tenant's immediate departure until its access is cut, idle
//!   and while another tenant has 100,000 waiting.
//!
//! `--shards`, `--credit`, `--urgent-cap` and `--prefetch` set what an operator
//! would set in `offboard.toml` (`shards`, `[admission]`); the rest of the
//! admission is what an installation has that says nothing of it.
//!
//! `all` runs everything, each in a process of its own; `--only latency,memory`
//! some of it, and `--with "memory --departures 1000"` one with other sizes.
//!
//! One part at a time:
//!
//! - `embedded`: the whole engine in one process beside the bare writing of the
//!   very same bytes to SQLite, in commit groups of the same sizes.
//! - `rabbit`: the queue on RabbitMQ beside a bare loop over the same broker.
//! - `growth`: memory and time per case with 1,000 to 100,000 cases open,
//!   embedded, each with its first task.
//! - `planned`: the same with 1,000 to 16,000 cases that are planned whole and
//!   wait for an approval: the memory that each further one takes, and the time
//!   of one approval. Memory counts in a process that is new, so it is a command
//!   of its own. SQLite's page cache, of up to 64 MiB, fills before the first size.
//! - `redis-memory`: what a case takes in Redis.
//! - `archive`: a mailbox kept, beside mbsync on the same Dovecot (`apt-get
//!   install dovecot-imapd isync`), and how much memory each takes.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

mod all;
mod archive;
mod bare;
mod distributed;
mod embedded;
mod groups;
mod growth;
mod noop;
mod rabbit;
mod recording;
mod redis_memory;

use clap::{Parser, Subcommand};
use embedded::Failed;
use serde_json::json;
use std::path::PathBuf;

#[derive(Parser)]
struct Args {
    /// Where the raw figures go [default: target/bench-<what>.json].
    #[arg(long, global = true)]
    output: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The whole engine beside bare SQLite.
    Embedded {
        /// Departures a round.
        #[arg(long, default_value_t = 2_000)]
        departures: usize,
        /// Rounds; the medians count.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// The queue on RabbitMQ beside the barest loop over the same broker.
    Rabbit {
        /// Messages a round.
        #[arg(long, default_value_t = 40_000)]
        messages: usize,
        /// Rounds; the medians count.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// Memory and time per case with more and more cases open.
    Growth {
        /// The numbers of open cases.
        #[arg(long, value_delimiter = ',', default_value = "1000,10000,100000")]
        sizes: Vec<usize>,
        /// Rounds; the medians count. Memory is measured in the first, whose process is new.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// Memory and time per case with more and more cases planned whole.
    Planned {
        /// The numbers of cases that wait for an approval, each more than the one before.
        #[arg(long, value_delimiter = ',', default_value = "1000,4000,16000")]
        sizes: Vec<usize>,
    },
    /// Offboard distributed beside the least possible, a bare loop of its own shape, and Celery.
    Distributed(distributed::Sizes),
    /// How long one departure takes when nothing else is to be done.
    Latency(distributed::latency::Sizes),
    /// Memory of each of Offboard's processes over many departures.
    Memory(distributed::growing::MemorySizes),
    /// Departures a second with more and more cases open.
    Backlog(distributed::growing::BacklogSizes),
    /// One tenant's immediate departure while another has a great many waiting.
    Fairness(distributed::fairness::Sizes),
    /// A mailbox kept, beside mbsync.
    Archive(archive::Sizes),
    /// Everything, one after the other.
    All(all::Choice),
    /// One of the processes that the bench starts.
    #[command(hide = true)]
    Role {
        /// Which.
        role: String,
        /// What it is told.
        setup: PathBuf,
    },
    /// Redis' memory per open and per trimmed case, and asking with so many open.
    RedisMemory {
        /// Cases.
        #[arg(long, default_value_t = 5_000)]
        cases: usize,
        /// Records of each.
        #[arg(long, default_value_t = 40)]
        records: usize,
    },
}

/// The one that `offboard` has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn main() -> Result<(), Failed> {
    let Args { output, what } = Args::parse();
    let (name, raw) = match what {
        What::Role { role, setup } if role == "archive" => return archive::role(&setup),
        What::Role { role, setup } => return distributed::role(&role, &setup),
        What::All(choice) => ("all", all::run(&choice, output.as_deref())?),
        What::Archive(sizes) => ("archive", archive::measure(&sizes)?),
        What::Distributed(sizes) => ("distributed", distributed::throughput(&sizes)?),
        What::Latency(sizes) => ("latency", distributed::latency::measure(&sizes)?),
        What::Memory(sizes) => ("memory", distributed::growing::memory(&sizes)?),
        What::Backlog(sizes) => ("backlog", distributed::growing::backlog(&sizes)?),
        What::Fairness(sizes) => ("fairness", distributed::fairness::measure(&sizes)?),
        What::Embedded { departures, rounds } => {
            let groups = groups::Groups::install()?;
            ("embedded", wait_for(measure_embedded(&groups, departures, rounds))?)
        }
        What::Rabbit { messages, rounds } => ("rabbit", wait_for(rabbit::measure(messages, rounds))?),
        What::Growth { sizes, rounds } => ("growth", wait_for(measure_growth(&sizes, rounds))?),
        What::Planned { sizes } => ("planned", wait_for(measure_planned(&sizes))?),
        What::RedisMemory { cases, records } => ("redis-memory", wait_for(measure_redis_memory(cases, records))?),
    };
    let output = output.unwrap_or_else(|| format!("target/bench-{name}.json").into());
    if let Some(folder) = output.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&output, serde_json::to_string_pretty(&raw)?)?;
    println!("raw figures: {}", output.display());
    Ok(())
}

fn wait_for<T>(measured: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    offboard_runtime::threads()?.block_on(measured)
}

async fn measure_embedded(
    groups: &groups::Groups,
    departures: usize,
    rounds: usize,
) -> Result<serde_json::Value, Failed> {
    let (mut engine, mut bare, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
    let mut raw = Vec::new();
    // A file system is slow at making files for some seconds after many were removed.
    let mut folders = Vec::new();
    println!(
        "{departures} departures a round; no-op outside systems; SQLite synchronous=FULL, group commit; evidence written"
    );
    println!(
        "{:>5} {:>14} {:>12} {:>14} {:>12} {:>7}",
        "round", "departures/s", "tasks/s", "bare tasks/s", "appends/cmt", "ratio"
    );
    for round in 1..=rounds {
        groups.clear();
        let full = embedded::full_load(departures).await?;
        let sizes = groups.sizes();
        let appends = full.recorded.appended();
        let alone = tokio::task::spawn_blocking({
            let (appends, sizes) = (appends.clone(), sizes.clone());
            move || bare::write(&appends, &sizes)
        })
        .await??;
        folders.push(full.folder);
        let tasks = full.tasks as f64;
        let (e, b) = (tasks / full.took.as_secs_f64(), tasks / alone.as_secs_f64());
        let group = appends.len() as f64 / sizes.len().max(1) as f64;
        println!(
            "{round:>5} {:>14.0} {e:>12.0} {b:>14.0} {group:>12.1} {:>7.2}",
            departures as f64 / full.took.as_secs_f64(),
            e / b
        );
        raw.push(json!({
            "round": round, "departures": departures, "tasks": full.tasks, "engine_seconds": full.took.as_secs_f64(),
            "bare_seconds": alone.as_secs_f64(), "appends": appends.len(), "commits": sizes.len(),
        }));
        engine.push(e);
        bare.push(b);
        ratio.push(e / b);
    }
    println!(
        "{:>5} {:>14} {:>12.0} {:>14.0} {:>12} {:>7.2}",
        "med",
        "",
        median(engine),
        median(bare),
        "",
        median(ratio)
    );
    Ok(json!(raw))
}

async fn measure_growth(sizes: &[usize], rounds: usize) -> Result<serde_json::Value, Failed> {
    println!(
        "{:>5} {:>10} {:>16} {:>16} {:>10}",
        "round", "open cases", "bytes per case", "us to open one", "of first"
    );
    let mut raw = Vec::new();
    let (mut took, mut ratios) = (vec![Vec::new(); sizes.len()], vec![Vec::new(); sizes.len()]);
    for round in 1..=rounds {
        let grown = growth::grow(sizes).await?;
        let first = grown.first().map_or(f64::NAN, |g| g.open_us);
        for (at, g) in grown.iter().enumerate() {
            let (open, us, ratio) = (g.open, g.open_us, g.open_us / first);
            let bytes = (round == 1).then_some(g.bytes_per_case);
            let memory = bytes.map_or_else(String::new, |b| format!("{b:.0}"));
            println!("{round:>5} {open:>10} {memory:>16} {us:>16.1} {ratio:>10.2}");
            raw.push(json!({ "round": round, "open": open, "bytes_per_case": bytes, "open_us": us }));
            took[at].push(us);
            ratios[at].push(ratio);
        }
    }
    for (open, (took, ratios)) in sizes.iter().zip(took.into_iter().zip(ratios)) {
        println!(
            "{:>5} {open:>10} {:>16} {:>16.1} {:>10.2}",
            "med",
            "",
            median(took),
            median(ratios)
        );
    }
    Ok(json!(raw))
}

async fn measure_planned(sizes: &[usize]) -> Result<serde_json::Value, Failed> {
    let grown = growth::grow_planned(sizes).await?;
    let first = grown.first().map_or(f64::NAN, |g| g.approve_us);
    println!(
        "{:>10} {:>6} {:>22} {:>16} {:>10}",
        "open cases", "tasks", "bytes per further case", "us to approve", "of first"
    );
    let mut raw = Vec::new();
    for g in &grown {
        let (open, tasks, bytes, us) = (g.open, g.tasks, g.further_bytes, g.approve_us);
        println!("{open:>10} {tasks:>6} {bytes:>22.0} {us:>16.1} {:>10.2}", us / first);
        raw.push(json!({ "open": open, "tasks": tasks, "bytes_per_further_case": bytes, "approve_us": us }));
    }
    Ok(json!(raw))
}

async fn measure_redis_memory(cases: usize, records: usize) -> Result<serde_json::Value, Failed> {
    let m = redis_memory::measure(cases, records).await?;
    println!("{cases} cases of {records} records of 300 B");
    println!("open case     {:>8.0} B", m.open_bytes);
    println!("trimmed case  {:>8.0} B", m.trimmed_bytes);
    println!("1,000 due     {:>8.2} ms", m.due_ms);
    println!("none due yet  {:>8.2} ms", m.idle_ms);
    println!("1,000 listed  {:>8.2} ms", m.list_ms);
    Ok(json!({
        "cases": cases, "records": records, "open_bytes": m.open_bytes, "trimmed_bytes": m.trimmed_bytes,
        "due_ms": m.due_ms, "idle_ms": m.idle_ms, "list_ms": m.list_ms,
    }))
}
