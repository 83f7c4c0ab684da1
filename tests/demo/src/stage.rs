//! The play: open, hand in, follow, end.

use crate::colleague::Colleague;
use crate::office::{self, BEGINS, Office};
use crate::{Args, Failed, export, result};
use indicatif::{ProgressBar, ProgressStyle};
use offboard_cli::embedded::{Embedded, Overrides};
use offboard_cli::error::CliError;
use offboard_dispatcher::control::{Request, Response};
use offboard_dispatcher::intake::{self, Context};
use offboard_dispatcher::view::CaseView;
use offboard_domain::{CaseId, TenantId, Timestamp};
use offboard_runtime::config::{Engine, Role};
use offboard_runtime::telemetry::{self, Guard};
use offboard_runtime::{Clock, ScaledClock, SystemClock};
use std::collections::BTreeMap;
use std::fs;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// It is given up when work is under way and nothing has come of it for this
/// long, in real time.
const STUCK: Duration = Duration::from_secs(150);
/// How often it looks around, in real time.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// When only people are waited for and nothing has moved for this long, in engine
/// time, it is over: what has failed is tried again within the hour, and what a
/// vendor is given days for is not waited for.
const STILL_MS: i64 = 70 * 60 * 1_000;

/// Plays it.
pub(crate) async fn play(args: &Args) -> Result<(), Failed> {
    let start = Instant::now();
    let telemetry = watched(args)?;
    let clock: Arc<dyn Clock> = Arc::new(ScaledClock::new(BEGINS, args.speed));
    let began = SystemClock.now();
    let office = office::open(args, &clock).await?;
    introduce(args, &office);
    let file = export::write(&office, &args.output)?;
    let (cases, done_at) = {
        let embedded = Embedded::start(
            &office.config,
            clock.clone(),
            Overrides {
                no_control: true,
                ..Overrides::default()
            },
        )
        .await
        .map_err(broke)?;
        let opened = hand_in(&office, &embedded, &file, clock.as_ref()).await?;
        println!("\nRunning. A simulated colleague answers what a person would.\n");
        let followed = follow(args, &office, &embedded, &opened, clock.as_ref()).await?;
        embedded.shutdown().await.map_err(broke)?;
        followed
    };
    tokio::task::spawn_blocking(|| telemetry.shutdown()).await?;
    result::show(args, &office, &cases, done_at.since(BEGINS), start.elapsed())?;
    if args.stay {
        result::invite(args, same_clock(began, args.speed));
        tokio::signal::ctrl_c().await?;
    }
    Ok(())
}

/// The clock of this play, as the program takes it (`OFFBOARD_CLOCK`): the time
/// at which real and engine time are the same, from which both run.
fn same_clock(began: Timestamp, speed: u32) -> String {
    let speed = i64::from(speed.max(2));
    let anchor = (began.0 * speed - BEGINS.0) / (speed - 1);
    format!("{anchor}@{speed}")
}

/// The demonstration is silent (`OFFBOARD_LOG` changes that), and is seen in
/// other tools where `OTEL_EXPORTER_OTLP_ENDPOINT` says.
fn watched(args: &Args) -> Result<Guard, Failed> {
    let mut engine = Engine::defaults(&args.output);
    "off".clone_into(&mut engine.log.level);
    Ok(telemetry::start(&engine, Role::Embedded)?)
}

fn introduce(args: &Args, office: &Office) {
    println!("Offboard, a demonstration\n");
    println!("A simulated Microsoft 365 with three client companies answers on this machine, as unkind as the real");
    println!(
        "one: late reads, throttling, lost answers, refusals. Time runs {} times faster, for it and for us.",
        args.speed
    );
    for tenant in &office.tenants {
        println!("  {:<10} {} accounts", tenant.short, count(office, &tenant.id));
    }
}

fn count(office: &Office, tenant: &str) -> usize {
    let world = office.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    world.tenant(tenant).map_or(0, |t| t.people.len())
}

async fn hand_in(
    office: &Office,
    embedded: &Embedded,
    file: &Path,
    clock: &dyn Clock,
) -> Result<Vec<(TenantId, CaseId)>, Failed> {
    let bytes = fs::read(file)?;
    let context = Context {
        tenants: &office.config.tenants,
        tenant: None,
        requested_by: "hr@client.example",
        now: clock.now(),
    };
    let read = intake::read("leavers.csv", &bytes, context)?;
    println!("\nHR hands over leavers.csv:");
    println!("  {} departures accepted", read.accepted.len());
    for same in &read.same {
        println!(
            "  {}: the same departure as in line {}; it is one case",
            same.row, same.first.line
        );
    }
    for row in &read.rejected {
        println!("  {row}");
    }
    let departures = read.accepted.into_iter().map(|(_, d)| d).collect();
    match embedded.ask(Request::Submit { departures }).await {
        Response::Submitted(accepted) => Ok(accepted.into_iter().map(|a| (a.tenant, a.case)).collect()),
        other => Err(format!("the departures were not taken: {other:?}").into()),
    }
}

/// Follows until only people are waited for. Also when anything moved last.
async fn follow(
    args: &Args,
    office: &Office,
    embedded: &Embedded,
    opened: &[(TenantId, CaseId)],
    clock: &dyn Clock,
) -> Result<(Vec<CaseView>, Timestamp), Failed> {
    let bar = (!args.plain && std::io::stdout().is_terminal()).then(|| {
        let style = ProgressStyle::with_template("{bar:40.cyan/blue} {pos}/{len} tasks  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new(1).with_style(style)
    });
    let say = |line: String| match &bar {
        Some(bar) => bar.println(line),
        None => println!("{line}"),
    };
    let mut colleague = Colleague::default();
    let mut ended = BTreeMap::new();
    let mut told = Instant::now();
    let (mut progress, mut moved, mut moved_at) = ((0, 0), Instant::now(), clock.now());
    loop {
        let mut cases = Vec::with_capacity(opened.len());
        for (tenant, case) in opened {
            cases.push(embedded.engine().view(tenant, *case).await?);
        }
        let (settled, total) = cases.iter().fold((0, 0), |(s, t), c| (s + c.settled, t + c.total));
        let closed = cases.iter().filter(|c| c.ended).count();
        let line = format!("{closed} of {} cases ended", cases.len());
        if let Some(bar) = &bar {
            bar.set_length(u64::from(total));
            bar.set_position(u64::from(settled));
            bar.set_message(line);
        } else if told.elapsed() > Duration::from_secs(5) {
            told = Instant::now();
            println!("  … {settled} of {total} tasks settled, {line}");
        }
        for case in &cases {
            if case.ended && ended.insert(case.case, ()).is_none() {
                say(format!(
                    "  {}: {}",
                    case.reference.as_deref().unwrap_or(""),
                    ending(case)
                ));
            }
            let lost = is_lost_laptop(office, case);
            for line in colleague.attend(embedded, case, lost).await? {
                say(format!("  {line}"));
            }
        }
        if progress != (settled, total) {
            progress = (settled, total);
            (moved, moved_at) = (Instant::now(), clock.now());
        }
        let is_idle = |c: &CaseView| c.tasks.iter().all(|t| t.status != "working");
        let only_people = cases.iter().all(|c| c.ended || (!c.needs.is_empty() && is_idle(c)));
        let at_rest = only_people && clock.now().since(moved_at) > STILL_MS;
        if !at_rest && moved.elapsed() > STUCK {
            let why = format!(
                "nothing came of the work under way for {} s: this machine is too busy for the demonstration; let it be, or give it a lower --speed",
                STUCK.as_secs()
            );
            return Err(why.into());
        }
        if at_rest {
            if let Some(bar) = &bar {
                bar.finish_and_clear();
            }
            return Ok((cases, moved_at));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn ending(case: &CaseView) -> String {
    match (case.state.as_str(), &case.detail) {
        ("closed", _) => format!("closed, {} tasks proven, evidence sealed", case.total),
        (state, Some(detail)) => format!("{state}: {detail}"),
        (state, None) => state.to_owned(),
    }
}

fn is_lost_laptop(office: &Office, case: &CaseView) -> bool {
    let seen = case
        .tasks
        .iter()
        .find(|t| t.kind == offboard_domain::Kind::Resolve)
        .and_then(|t| t.seen.as_ref());
    let id = seen.and_then(|o| o.facts.text("object_id"));
    id.is_some_and(|id| office.tenants.iter().any(|t| t.cast.lost_laptop == id))
}

fn broke(error: CliError) -> Failed {
    error.to_string().into()
}
