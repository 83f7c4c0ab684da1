//! `offboard serve`: carries out what is open until told to stop.

use super::Ctx;
use super::run::unless_gone;
use crate::embedded::{Embedded, Overrides};
use crate::error::{CliError, Exit};
use crate::systems::Systems;
use offboard_dispatcher::http::Server;
use offboard_runtime::config::{Role, TelemetryConfig};
use offboard_runtime::health;
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(super) async fn run(ctx: &Ctx) -> Result<Exit, CliError> {
    let (config, telemetry) = ctx.config_of_server(Role::Embedded)?;
    let listening = Listening::begin(&config.engine.telemetry).await?;
    let mut interrupt = Interrupt::listen()?.or_hangup()?;
    let systems = Systems::open(&config)?;
    for shut in systems.shut() {
        let (tenant, system) = (&shut.tenant, &shut.system);
        tracing::error!(%tenant, %system, why = %shut.why.brief(), "a system cannot be served; its tasks will need a person");
    }
    let overrides = Overrides {
        systems: Some(systems),
        ..Overrides::default()
    };
    let clock = ctx.clock(&config)?;
    let embedded = tokio::select! {
        started = Embedded::start(&config, clock, overrides) => started?,
        () = interrupt.first() => {
            super::flush(telemetry).await;
            return Ok(if interrupt.terminated { Exit::Done } else { Exit::Interrupted });
        }
    };
    tracing::info!(
        tenants = config.tenants.len(),
        recovered = embedded.recovered(),
        "serving"
    );
    if ctx.out.is_json() {
        unless_gone(ctx.out.object(&json!({
            "event": "serving", "process": std::process::id(), "recovered": embedded.recovered(),
            "listening": listening.address(),
        })))?;
    } else {
        ctx.out.say(format!(
            "Serving {} tenants; {} open cases go on. Ctrl-C stops.",
            config.tenants.len(),
            embedded.recovered()
        ));
    }
    health::started();
    interrupt.first().await;
    ctx.out
        .say("Stopping: what is in flight is finished first. Ctrl-C again stops at once; nothing is lost either way.");
    let asked_to = interrupt.terminated;
    interrupt.exit_on_second();
    health::stopping();
    embedded.shutdown().await?;
    listening.end().await;
    super::flush(telemetry).await;
    Ok(if asked_to { Exit::Done } else { Exit::Interrupted })
}

/// How long the end waits for those who are being answered.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// The server of health and metrics, if one is wanted. Any role has one.
pub(super) struct Listening {
    address: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    running: Option<JoinHandle<()>>,
}

impl Listening {
    /// Listens where it is configured, and watches the process from now on.
    pub(super) async fn begin(config: &TelemetryConfig) -> Result<Self, CliError> {
        let (stop, stopped) = watch::channel(false);
        let mut listening = Self {
            address: None,
            stop,
            running: None,
        };
        if let Some(address) = config.listen {
            health::begin();
            let server = Server::bind(address).await?;
            let address = server.address();
            tracing::info!(%address, "health and metrics are served");
            listening.address = Some(address);
            listening.running = Some(tokio::spawn(server.run(stopped)));
        }
        Ok(listening)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Answers who is being answered, and ends.
    pub(super) async fn end(self) {
        self.stop.send_replace(true);
        if let Some(mut running) = self.running {
            // Whoever holds a connection open does not hold the process.
            if tokio::time::timeout(LAST_ANSWERS, &mut running).await.is_err() {
                running.abort();
            }
        }
    }
}

/// Ctrl-C, the order to end, and, if it is wanted, the end of the terminal.
pub(super) struct Interrupt {
    keyboard: Signal,
    order: Signal,
    hangup: Option<Signal>,
    terminated: bool,
}

impl Interrupt {
    /// Listens from now on.
    pub(super) fn listen() -> Result<Self, CliError> {
        Ok(Self {
            keyboard: listen(SignalKind::interrupt())?,
            order: listen(SignalKind::terminate())?,
            hangup: None,
            terminated: false,
        })
    }

    /// A terminal that goes is an order to end, too, unless whoever started this wants it to
    /// outlive the terminal (`nohup`).
    pub(super) fn or_hangup(mut self) -> Result<Self, CliError> {
        if !ignores_hangup() {
            self.hangup = Some(listen(SignalKind::hangup())?);
        }
        Ok(self)
    }

    /// Waits for the first.
    pub(super) async fn first(&mut self) {
        let Self {
            keyboard,
            order,
            hangup,
            terminated,
        } = self;
        let hung_up = async move {
            match hangup {
                Some(hangup) => {
                    hangup.recv().await;
                }
                None => std::future::pending::<()>().await,
            }
        };
        *terminated = tokio::select! {
            _ = keyboard.recv() => false,
            _ = order.recv() => true,
            () = hung_up => true,
        };
    }

    /// Waits for the next; whether it is the order to end.
    pub(super) async fn next(&mut self) -> bool {
        self.first().await;
        self.terminated
    }

    /// The next one ends the process at once. The ledger is made for that.
    pub(super) fn exit_on_second(mut self) {
        // A shell and its terminal each tell of the same hangup.
        self.hangup = None;
        tokio::spawn(async move {
            self.first().await;
            std::process::exit(i32::from(Exit::Interrupted.code()));
        });
    }
}

fn listen(kind: SignalKind) -> Result<Signal, CliError> {
    signal(kind).map_err(|e| CliError::failed("failed to listen for signals").caused_by(Some(&e)))
}

/// Whether a hangup was to be ignored when this process began; where the system does not
/// tell, it was not.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // The lowest bit is signal 1, the hangup.
    ignored
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}
