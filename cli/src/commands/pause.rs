//! `offboard pause` and `offboard resume`.

use super::Ctx;
use super::plan::unknown;
use super::until::{time, zone};
use crate::args::PauseArgs;
use crate::error::{CliError, Exit};
use crate::out::{ask as agrees, can_ask, columns};
use crate::session::unexpected;
use crate::show::{Table, safe, when};
use offboard_dispatcher::control::{Gate, Request, Response};
use offboard_dispatcher::gates::{Paused, WITHOUT_END};
use offboard_domain::System;
use offboard_runtime::config::{Configuration, did_you_mean};
use std::collections::BTreeSet;

pub(super) async fn pause(ctx: &Ctx, args: PauseArgs, all: bool, until: Option<&str>) -> Result<Exit, CliError> {
    let by = ctx.actor()?;
    let config = ctx.config()?;
    exists(&config, &args)?;
    let zone = zone(&config, args.tenant.as_ref());
    let now = ctx.clock(&config)?.now();
    let until = match until {
        None => WITHOUT_END,
        Some(text) => Some(time(text, zone.as_ref(), now)?)
            .filter(|until| *until > now)
            .ok_or_else(|| {
                CliError::usage(format!("'{}' is over, and nothing was paused", safe(text)))
                    .next("name a time to come, or a span from now on (4h)")
            })?,
    };
    if says_nothing(&args) && !all {
        if ctx.out.is_json() || !can_ask() {
            return Err(CliError::usage("nothing says what is to be paused, and nothing was")
                .next("name a --tenant, --system or --kind, or pause everything of every tenant with --all"));
        }
        let tenants = config.tenants.len() + config.broken.len();
        let question = format!("Pause everything of every tenant ({tenants})?");
        if !agrees(&question)? {
            ctx.out.say("Nothing was paused.");
            return Ok(Exit::Failed);
        }
    }
    let of_every = args.tenant.is_none();
    let request = Request::Pause {
        tenant: args.tenant,
        what: Paused {
            system: args.system,
            kind: args.kind,
        },
        until,
        by: Some(by),
    };
    let paused = ask(ctx, &config, request).await?;
    if of_every {
        ctx.out
            .say("A client that is added from now on is not paused: give the same order again then.");
    }
    Ok(paused)
}

fn says_nothing(args: &PauseArgs) -> bool {
    args.tenant.is_none() && args.system.is_none() && args.kind.is_none()
}

/// What is not there can be paused as well as anything, and whoever mistyped it would take
/// it for a pause.
fn exists(config: &Configuration, args: &PauseArgs) -> Result<(), CliError> {
    // Whoever serves the folder has read what does not read here.
    if !config.broken.is_empty() && args.tenant.as_ref().is_none_or(|t| config.broken.contains_key(t)) {
        return Ok(());
    }
    if let Some(tenant) = args.tenant.as_ref().filter(|t| !config.tenants.contains_key(*t)) {
        return Err(unknown(config, tenant));
    }
    let Some(system) = &args.system else {
        return Ok(());
    };
    let all = config.tenants.values();
    let concerned = all.filter(|t| args.tenant.as_ref().is_none_or(|id| *id == t.id));
    let known: BTreeSet<&str> = concerned.flat_map(|t| t.systems.keys()).map(System::as_str).collect();
    if known.contains(system.as_str()) {
        return Ok(());
    }
    let whose = match &args.tenant {
        Some(tenant) => format!("tenant '{tenant}' has no system '{system}'"),
        None => format!("no tenant has a system '{system}'"),
    };
    let error = CliError::usage(format!("{whose}, and nothing was paused"));
    Err(match did_you_mean(system.as_str(), known.iter().copied()) {
        Some(like) => error.next(format!("did you mean '{like}'?")),
        None => error.next(format!(
            "there are: {}",
            known.into_iter().collect::<Vec<_>>().join(", ")
        )),
    })
}

pub(super) async fn resume(ctx: &Ctx, args: PauseArgs, all: bool) -> Result<Exit, CliError> {
    let config = ctx.config()?;
    let request = if says_nothing(&args) && !all {
        Request::Gates
    } else {
        Request::Resume {
            tenant: args.tenant,
            what: Paused {
                system: args.system,
                kind: args.kind,
            },
        }
    };
    ask(ctx, &config, request).await
}

async fn ask(ctx: &Ctx, config: &Configuration, request: Request) -> Result<Exit, CliError> {
    let of_every = matches!(
        request,
        Request::Pause { tenant: None, .. } | Request::Resume { tenant: None, .. }
    );
    let mut session = ctx.session(config).await?;
    let answer = session.ask(request).await;
    // Of several it may have been done for some: what is in force now is shown first.
    let in_force = if of_every && answer.is_err() {
        session.ask(Request::Gates).await.ok()
    } else {
        None
    };
    session.close().await?;
    if let Some(Response::Gates(gates)) = in_force {
        show(ctx, &gates)?;
    }
    match answer? {
        Response::Gates(gates) => show(ctx, &gates),
        other => Err(unexpected(&other)),
    }
}

fn show(ctx: &Ctx, gates: &[Gate]) -> Result<Exit, CliError> {
    if ctx.out.is_json() {
        return ctx.out.document(&gates).map(|()| Exit::Done);
    }
    if gates.is_empty() {
        ctx.out.say("Nothing is paused, held or away.");
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["client", "what", "why", "until", "since"]);
    for gate in gates {
        table.row(row(gate));
    }
    ctx.out.line(&table.lines(columns()).join("\n"))?;
    Ok(Exit::Done)
}

fn row(gate: &Gate) -> Vec<String> {
    let (why, what) = gate.name.split_once('/').unwrap_or((gate.name.as_str(), "everything"));
    let why = match why {
        "pause" => format!(
            "paused by {}",
            gate.by.as_deref().map_or_else(|| "a person".to_owned(), safe)
        ),
        "hold" => "the vendor asked to slow down".to_owned(),
        "away" => "the site's workers are silent".to_owned(),
        other => other.to_owned(),
    };
    let until = if gate.until >= WITHOUT_END {
        "resumed".to_owned()
    } else {
        when(gate.until)
    };
    let since = gate.since.map(when).unwrap_or_default();
    vec![gate.tenant.to_string(), safe(what), why, until, since]
}
