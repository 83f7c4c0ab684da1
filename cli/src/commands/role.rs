//! `offboard dispatcher`, `offboard worker` and `offboard closer`: one role of
//! an installation that processes share, until told to stop.

use super::Ctx;
use super::run::unless_gone;
use super::serve::{Interrupt, Listening};
use crate::error::{CliError, Exit};
use crate::roles::{Roles, Running, Serves};
use offboard_domain::Area;
use offboard_runtime::config::Role;
use offboard_runtime::health;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

pub(super) async fn dispatcher(ctx: &Ctx) -> Result<Exit, CliError> {
    let roles = Roles {
        dispatcher: true,
        ..Roles::default()
    };
    run(ctx, Role::Dispatcher, &roles).await
}

pub(super) async fn worker(ctx: &Ctx, areas: Vec<Area>, site: Option<String>) -> Result<Exit, CliError> {
    let areas = if areas.is_empty() {
        Area::MACHINES.to_vec()
    } else {
        areas
    };
    let roles = Roles {
        worker: Some(Serves { areas, site }),
        ..Roles::default()
    };
    run(ctx, Role::Worker, &roles).await
}

pub(super) async fn closer(ctx: &Ctx) -> Result<Exit, CliError> {
    let roles = Roles {
        closer: true,
        ..Roles::default()
    };
    run(ctx, Role::Closer, &roles).await
}

async fn run(ctx: &Ctx, role: Role, roles: &Roles) -> Result<Exit, CliError> {
    let (config, telemetry) = ctx.config_of_server(role)?;
    let listening = Listening::begin(&config.engine.telemetry).await?;
    let role = role.word();
    let mut interrupt = Interrupt::listen()?;
    let mut reload = signal(SignalKind::hangup())
        .map_err(|e| CliError::failed("failed to listen for signals").caused_by(Some(&e)))?;
    let mut running = Running::start(&config, ctx.clock(&config)?, roles).await?;
    tracing::info!(role, tenants = config.tenants.len(), "running");
    health::started();
    if ctx.out.is_json() {
        unless_gone(ctx.out.object(&json!({
            "event": "running", "role": role, "process": std::process::id(), "listening": listening.address(),
        })))?;
    } else {
        ctx.out.say(format!(
            "Running as {role}. Ctrl-C stops; SIGHUP reads the tenants anew."
        ));
    }
    let asked_to = loop {
        tokio::select! {
            asked_to = interrupt.next() => break asked_to,
            broken = running.broken() => return Err(broken),
            _ = reload.recv() => match ctx.load().and_then(|config| running.reload(&config).map(|()| config)) {
                Ok(config) => tracing::info!(tenants = config.tenants.len(), "read the configuration anew"),
                Err(error) => tracing::error!(why = %error.brief(), "the new configuration cannot be used; the old one stays in force"),
            },
        }
    };
    ctx.out
        .say("Stopping: what is at hand is finished first. Ctrl-C again stops at once; nothing is lost either way.");
    interrupt.exit_on_second();
    health::stopping();
    running.shutdown().await?;
    listening.end().await;
    super::flush(telemetry).await;
    Ok(if asked_to { Exit::Done } else { Exit::Interrupted })
}
