//! `offboard plan FILE | --person`: the tree of what would be done.

use super::Ctx;
use crate::args::PlanArgs;
use crate::embedded::tenants;
use crate::error::{CliError, Exit};
use crate::intake;
use crate::preview::{Now, Preview, PreviewTask, preview};
use crate::show::{relative, safe, when};
use crate::systems::Systems;
use console::style;
use indicatif::{ProgressBar, ProgressStyle};
use offboard_domain::catalogue::Stage;
use offboard_domain::departure::{Choices, Manner, PersonRef};
use offboard_domain::{Departure, ObjectId, TenantId, Timestamp};
use offboard_runtime::config::Configuration;
use offboard_store::Store;
use offboard_workers::Context;
use std::sync::Arc;
use std::time::Duration;

pub(super) async fn run(ctx: &Ctx, args: PlanArgs) -> Result<Exit, CliError> {
    let by = ctx.actor()?;
    let config = ctx.config()?;
    let clock = ctx.clock(&config)?;
    let now = clock.now();
    let departures = match (&args.person, &args.tenant) {
        (Some(person), Some(tenant)) => vec![named(&config, tenant, person, &args, &by, now)?],
        _ => {
            let files = intake::read(ctx.out, &config, &args.files, args.tenant.as_ref(), &by, now)?;
            files.accepted.into_iter().map(|(_, d)| d).collect()
        }
    };
    let systems = Systems::open(&config)?;
    for shut in systems.shut() {
        ctx.out.say(format!(
            "{} system '{}' of tenant '{}' cannot be read: {}",
            style("note:").yellow(),
            shut.system,
            shut.tenant,
            shut.why.brief()
        ));
    }
    let terms = tenants(&config, &systems);
    // Nothing is kept: snapshots that an observation would make go with it.
    let context = Context {
        store: Store::memory(),
        connectors: Arc::new(systems),
        escrow: None,
        clock,
    };
    let mut previews = Vec::with_capacity(departures.len());
    for departure in departures {
        let tenant = departure.tenant.clone();
        let spinner = spinner(ctx, &departure);
        let terms = terms.get(&tenant).ok_or_else(|| unknown(&config, &tenant))?;
        let seen = preview(departure, terms, &context).await;
        spinner.finish_and_clear();
        let seen = seen?;
        if !ctx.out.is_json() {
            ctx.out.data(&text(&seen, now, args.all))?;
        }
        previews.push(seen);
    }
    if ctx.out.is_json() {
        ctx.out.document(&previews)?;
    }
    let all = previews.iter().all(|p| p.planned);
    Ok(if all { Exit::Done } else { Exit::Person })
}

fn unknown(config: &Configuration, tenant: &TenantId) -> CliError {
    let known: Vec<&str> = config.tenants.keys().map(TenantId::as_str).collect();
    let error = CliError::usage(format!("there is no tenant '{tenant}' in the configuration"));
    match offboard_runtime::config::did_you_mean(tenant.as_str(), known.iter().copied()) {
        Some(like) => error.next(format!("did you mean '{like}'?")),
        None => error.next(format!("there are: {}", known.join(", "))),
    }
}

fn named(
    config: &Configuration,
    tenant: &TenantId,
    person: &str,
    args: &PlanArgs,
    by: &str,
    now: Timestamp,
) -> Result<Departure, CliError> {
    if !config.tenants.contains_key(tenant) {
        return Err(unknown(config, tenant));
    }
    Ok(Departure {
        tenant: tenant.clone(),
        reference: None,
        person: reference(person),
        manner: if args.immediate {
            Manner::Immediate
        } else {
            Manner::Planned
        },
        effective_at: now,
        requested_by: by.to_owned(),
        requested_at: now,
        successor: args.successor.as_deref().map(reference),
        choices: Choices::default(),
    })
}

/// An address is a sign-in name; a GUID is the directory's own id; all else is
/// HR's number.
fn reference(given: &str) -> PersonRef {
    let given = given.trim().to_owned();
    let guid = given.len() == 36 && given.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if guid {
        PersonRef {
            object_id: Some(ObjectId(given)),
            ..PersonRef::default()
        }
    } else if given.contains('@') {
        PersonRef {
            user_principal_name: Some(given),
            ..PersonRef::default()
        }
    } else {
        PersonRef {
            employee_id: Some(given),
            ..PersonRef::default()
        }
    }
}

fn spinner(ctx: &Ctx, departure: &Departure) -> ProgressBar {
    if ctx.out.is_json() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner();
    if let Ok(look) = ProgressStyle::with_template("{spinner:.cyan} {msg}") {
        spinner.set_style(look);
    }
    let reference = departure.reference.as_deref().map(safe).unwrap_or_default();
    spinner.set_message(format!("reading what is true in {} {reference}", departure.tenant));
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

fn text(preview: &Preview, now: Timestamp, all: bool) -> String {
    let manner = match preview.manner {
        Manner::Planned => "planned",
        Manner::Immediate => "immediate",
    };
    let reference = preview
        .reference
        .as_deref()
        .map(|r| format!(" ({})", safe(r)))
        .unwrap_or_default();
    let mut out = format!(
        "{}{reference} of {} — {manner}, access ends {} ({})\n",
        style(safe(&preview.person)).bold(),
        preview.tenant,
        when(preview.effective_at),
        relative(preview.effective_at, now)
    );
    if let Some(why) = &preview.why_not {
        out.push_str(&format!("  {} {}\n\n", style("no plan:").red().bold(), safe(why)));
        return out;
    }
    let stages: Vec<_> = Stage::ALL
        .iter()
        .filter(|s| preview.tasks.iter().any(|t| t.stage == **s))
        .collect();
    for (nth, stage) in stages.iter().enumerate() {
        let last_stage = nth + 1 == stages.len();
        let (knot, rail) = if last_stage {
            ("└─", "   ")
        } else {
            ("├─", "│  ")
        };
        out.push_str(&format!("{knot} {}\n", style(stage.title()).bold()));
        let of_stage: Vec<_> = preview.tasks.iter().filter(|t| t.stage == **stage).collect();
        let shown: Vec<_> = of_stage
            .iter()
            .filter(|t| all || !matches!(t.now, Now::NotApplicable))
            .collect();
        let hidden = of_stage.len() - shown.len();
        for (i, task) in shown.iter().enumerate() {
            let knot = if i + 1 == shown.len() && hidden == 0 {
                "└─"
            } else {
                "├─"
            };
            out.push_str(&format!("{rail}{knot} {}\n", task_line(task, &format!("{rail}     "))));
        }
        if hidden > 0 {
            out.push_str(&format!(
                "{rail}└─ {}\n",
                style(format!("and {hidden} with nothing to do (--all shows them)")).dim()
            ));
        }
    }
    out.push_str(&summary(preview));
    out
}

fn task_line(task: &PreviewTask, indent: &str) -> String {
    let mark = match task.now {
        Now::True => style("✓ already true").green(),
        Now::Change => style("→ would change").cyan().bold(),
        Now::NotApplicable => style("- nothing to do").dim(),
        Now::Blocked => style("✗ needs a person").red(),
        Now::UnderWay => style("… under way").cyan(),
        Now::Unknown => style("! could not be read").red(),
        Now::Read => style("· reads").dim(),
        Now::Person => style("? a person").yellow(),
    };
    let object = task
        .object
        .as_deref()
        .map(|o| format!(" [{}]", safe(o)))
        .unwrap_or_default();
    let approval = match (task.approval, task.now) {
        ("own", _) => style("  by its own approval").red().to_string(),
        (_, Now::Change) if !task.reversible => style("  cannot be undone").red().to_string(),
        _ => String::new(),
    };
    let why = if task.why.is_empty() {
        String::new()
    } else {
        format!("\n{indent}{}", style(safe(&task.why)).dim())
    };
    format!("{}{object}  {mark}{approval}{why}", task.title)
}

fn summary(preview: &Preview) -> String {
    let count = |now: Now| preview.tasks.iter().filter(|t| t.now == now).count();
    let own = preview.tasks.iter().filter(|t| t.approval == "own").count();
    let mut out = format!(
        "   {} would change, {} already true, {} for a person, {} by their own approval\n",
        count(Now::Change),
        count(Now::True),
        count(Now::Person) + count(Now::Blocked),
        own
    );
    if count(Now::Unknown) > 0 {
        out.push_str(&format!(
            "   {} could not be read: `offboard doctor` says why\n",
            count(Now::Unknown)
        ));
    }
    if !preview.unserved.is_empty() {
        let kinds: Vec<&str> = preview.unserved.iter().map(|k| k.spec().title).collect();
        out.push_str(&format!(
            "   {} {}\n",
            style("no connected system offers:").yellow(),
            kinds.join("; ")
        ));
    }
    out.push('\n');
    out
}
