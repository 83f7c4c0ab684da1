//! `offboard plan FILE | --person`: the tree of what would be done.

use super::{Ctx, tree};
use crate::args::PlanArgs;
use crate::compose::tenants;
use crate::embedded::Opened;
use crate::error::{CliError, Exit};
use crate::intake;
use crate::preview::{Preview, preview, warn_of_heirs};
use crate::show::safe;
use crate::systems::Systems;
use console::style;
use indicatif::{ProgressBar, ProgressStyle};
use offboard_connectors::{Call, Connector, Found};
use offboard_domain::departure::{Choices, Manner, PersonRef};
use offboard_domain::{Case, Departure, Kind, Lane, ObjectId, TenantId, Timestamp};
use offboard_runtime::Clock;
use offboard_runtime::config::{Configuration, LedgerUrl};
use offboard_store::Store;
use offboard_workers::Context;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long it may take to see whether anybody signs in with a name.
const FIND_WITHIN: Duration = Duration::from_secs(60);

pub(super) async fn run(ctx: &Ctx, args: PlanArgs) -> Result<Exit, CliError> {
    let by = ctx.actor()?;
    ctx.load()?;
    let config = ctx.config()?;
    let clock = ctx.clock(&config)?;
    let now = clock.now();
    let (mut departures, rejected, notes) = match (&args.person, &args.tenant) {
        (Some(person), Some(tenant)) => {
            let one = named(&config, tenant, person, &args, &by, now)?;
            (vec![one], Vec::new(), Vec::new())
        }
        _ => {
            let files = intake::read(ctx.out, &config, &args.files, args.tenant.as_ref(), &by, now)?;
            let (rejected, notes) = (files.rejected_json(), files.notes().to_vec());
            let departures: Vec<Departure> = files.accepted.into_iter().map(|(_, d)| d).collect();
            (departures, rejected, notes)
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
    if args.person.is_some() {
        for departure in &mut departures {
            name_by_mail(departure, &systems, &clock).await;
        }
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
    let mut unreached: BTreeMap<TenantId, String> = BTreeMap::new();
    for departure in departures {
        let tenant = departure.tenant.clone();
        let spinner = spinner(ctx, &departure);
        let terms = terms.get(&tenant).ok_or_else(|| unknown(&config, &tenant))?;
        let seen = preview(departure, &terms, &context, unreached.get(&tenant).map(String::as_str)).await;
        spinner.finish_and_clear();
        let seen = seen?;
        if let Some(why) = &seen.unreached {
            unreached.entry(tenant).or_insert_with(|| why.clone());
        }
        if !ctx.out.is_json() {
            ctx.out.data(&tree::text(&seen, now, args.all))?;
        }
        previews.push(seen);
    }
    let open = match open_cases(&config, context.clock.clone(), &previews).await {
        Ok(open) => open,
        // What is planned is no less true for it.
        Err(error) => {
            ctx.out.say(format!(
                "{} it was not looked whether whoever takes over has an open departure: {}",
                style("note:").yellow(),
                error.brief()
            ));
            Vec::new()
        }
    };
    warn_of_heirs(&mut previews, &open);
    if ctx.out.is_json() {
        ctx.out
            .document(&json!({ "plans": previews, "rejected": rejected, "notes": notes }))?;
    } else {
        warn(ctx, &previews);
    }
    let all = previews.iter().all(|p| p.planned);
    Ok(if all { Exit::Done } else { Exit::Person })
}

/// The open cases of those tenants for which something was planned, as the ledger stands:
/// whoever has a file is not disturbed, and where nothing was ever accepted none is made.
async fn open_cases(
    config: &Configuration,
    clock: Arc<dyn Clock>,
    previews: &[Preview],
) -> Result<Vec<Arc<Case>>, CliError> {
    let opened = match &config.engine.ledger {
        LedgerUrl::Sqlite(file) if !file.exists() => return Ok(Vec::new()),
        LedgerUrl::Sqlite(_) => Opened::to_read(config, clock)?,
        LedgerUrl::Redis(_) => Opened::idle(config, clock).await?,
    };
    let mut open = Vec::new();
    for tenant in previews.iter().map(|plan| &plan.tenant).collect::<BTreeSet<_>>() {
        open.extend(opened.engine.open_cases_of(tenant).await?);
    }
    opened.ledger.close().await?;
    Ok(open)
}

fn warn(ctx: &Ctx, previews: &[Preview]) {
    for plan in previews {
        let whose = safe(plan.reference.as_deref().unwrap_or(&plan.person));
        for warning in &plan.warnings {
            let word = style("warning:").yellow().for_stderr();
            ctx.out.say(format!("{word} {whose}: {warning}"));
        }
    }
}

/// A tenant that is not configured, with the one that was meant perhaps.
pub(super) fn unknown(config: &Configuration, tenant: &TenantId) -> CliError {
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
        of_day: None,
        requested_by: by.to_owned(),
        handed_in_by: None,
        requested_at: now,
        successor: args.successor.as_deref().map(reference),
        choices: Choices::default(),
    })
}

/// An address with which nobody signs in is looked for as a mail address: whose it is, and
/// that it is only one person's, is for the plan to find.
async fn name_by_mail(departure: &mut Departure, systems: &Systems, clock: &Arc<dyn Clock>) {
    let connectors = systems.of(&departure.tenant);
    let finders: Vec<&Arc<dyn Connector>> = connectors.filter(|c| c.claims().contains(&Kind::Resolve)).collect();
    for person in std::iter::once(&mut departure.person).chain(&mut departure.successor) {
        let Some(address) = person.user_principal_name.clone() else {
            continue;
        };
        let (mut answers, mut nobody) = (0, 0);
        for directory in finders.iter().filter_map(|c| c.directory()) {
            let mut call = Call::new(clock.clone(), Instant::now() + FIND_WITHIN, Lane::Normal);
            answers += 1;
            // Where it cannot be read, the plan says so.
            if matches!(directory.find(&mut call, person).await, Ok(Found::Nobody)) {
                nobody += 1;
            }
        }
        if answers > 0 && answers == nobody {
            *person = PersonRef {
                mail: Some(address),
                ..PersonRef::default()
            };
        }
    }
}

/// An address is a sign-in name, or else a mail address; a GUID is the directory's own id; all else is
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
