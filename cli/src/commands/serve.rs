//! `offboard serve`: carries out what is open until told to stop.

use super::Ctx;
use crate::embedded::{Embedded, Overrides};
use crate::error::{CliError, Exit};
use crate::systems::Systems;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(super) async fn run(ctx: &Ctx) -> Result<Exit, CliError> {
    let config = ctx.config_of_server()?;
    let mut interrupt = Interrupt::listen()?;
    let systems = Systems::open(&config)?;
    for shut in systems.shut() {
        let (tenant, system) = (&shut.tenant, &shut.system);
        tracing::error!(%tenant, %system, why = %shut.why.brief(), "a system cannot be served; its tasks will need a person");
    }
    let overrides = Overrides {
        systems: Some(systems),
        ..Overrides::default()
    };
    let embedded = Embedded::start(&config, ctx.clock(&config)?, overrides).await?;
    tracing::info!(
        tenants = config.tenants.len(),
        recovered = embedded.recovered(),
        "serving"
    );
    if ctx.out.is_json() {
        ctx.out
            .object(&json!({ "event": "serving", "process": std::process::id(), "recovered": embedded.recovered() }))?;
    } else {
        ctx.out.say(format!(
            "Serving {} tenants; {} open cases go on. Ctrl-C stops.",
            config.tenants.len(),
            embedded.recovered()
        ));
    }
    interrupt.first().await;
    ctx.out
        .say("Stopping: what is in flight is finished first. Ctrl-C again stops at once; nothing is lost either way.");
    let asked_to = interrupt.terminated;
    interrupt.exit_on_second();
    embedded.shutdown().await?;
    Ok(if asked_to { Exit::Done } else { Exit::Interrupted })
}

/// Ctrl-C and the order to end.
pub(super) struct Interrupt {
    keyboard: Signal,
    order: Signal,
    terminated: bool,
}

impl Interrupt {
    /// Listens from now on.
    pub(super) fn listen() -> Result<Self, CliError> {
        let listen =
            |kind| signal(kind).map_err(|e| CliError::failed("failed to listen for signals").caused_by(Some(&e)));
        Ok(Self {
            keyboard: listen(SignalKind::interrupt())?,
            order: listen(SignalKind::terminate())?,
            terminated: false,
        })
    }

    /// Waits for the first.
    pub(super) async fn first(&mut self) {
        self.terminated = tokio::select! {
            _ = self.keyboard.recv() => false,
            _ = self.order.recv() => true,
        };
    }

    /// Waits for the next; whether it is the order to end.
    pub(super) async fn next(&mut self) -> bool {
        self.first().await;
        self.terminated
    }

    /// The next one ends the process at once. The ledger is made for that.
    pub(super) fn exit_on_second(mut self) {
        tokio::spawn(async move {
            self.first().await;
            std::process::exit(i32::from(Exit::Interrupted.code()));
        });
    }
}
