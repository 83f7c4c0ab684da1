//! `offboard pause` and `offboard resume`.

use super::Ctx;
use super::until::time;
use crate::args::PauseArgs;
use crate::error::{CliError, Exit};
use crate::out::columns;
use crate::session::unexpected;
use crate::show::{Table, safe, when};
use jiff::tz::TimeZone;
use offboard_dispatcher::control::{Gate, Request, Response};
use offboard_dispatcher::gates::{Paused, WITHOUT_END};
use offboard_runtime::config::Configuration;

pub(super) async fn pause(ctx: &Ctx, args: PauseArgs, until: Option<&str>) -> Result<Exit, CliError> {
    let config = ctx.config()?;
    let zone = args
        .tenant
        .as_ref()
        .and_then(|t| config.tenants.get(t))
        .map_or_else(TimeZone::system, |t| t.time_zone.clone());
    let now = ctx.clock(&config)?.now();
    let until = until.map_or(Ok(WITHOUT_END), |text| time(text, &zone, now))?;
    let request = Request::Pause {
        tenant: args.tenant,
        what: Paused {
            system: args.system,
            kind: args.kind,
        },
        until,
    };
    ask(ctx, &config, request).await
}

pub(super) async fn resume(ctx: &Ctx, args: PauseArgs) -> Result<Exit, CliError> {
    let config = ctx.config()?;
    let said_nothing = args.tenant.is_none() && args.system.is_none() && args.kind.is_none();
    let request = if said_nothing {
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
    let mut session = ctx.session(config).await?;
    let answer = session.ask(request).await;
    session.close().await?;
    let gates = match answer? {
        Response::Gates(gates) => gates,
        other => return Err(unexpected(&other)),
    };
    if ctx.out.is_json() {
        return ctx.out.document(&gates).map(|()| Exit::Done);
    }
    if gates.is_empty() {
        ctx.out.say("Nothing is paused, held or away.");
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["client", "what", "why", "until", "since"]);
    for gate in &gates {
        table.row(row(gate));
    }
    ctx.out.line(&table.lines(columns()).join("\n"))?;
    Ok(Exit::Done)
}

fn row(gate: &Gate) -> Vec<String> {
    let (why, what) = gate.name.split_once('/').unwrap_or((gate.name.as_str(), "everything"));
    let why = match why {
        "pause" => "paused by a person",
        "hold" => "the vendor asked to slow down",
        "away" => "the site's workers are silent",
        other => other,
    };
    let until = if gate.until >= WITHOUT_END {
        "resumed".to_owned()
    } else {
        when(gate.until)
    };
    let since = gate.since.map(when).unwrap_or_default();
    vec![gate.tenant.to_string(), safe(what), why.to_owned(), until, since]
}
