//! One file for each command.

mod approve;
mod archive;
mod attest;
mod cancel;
mod clear;
mod completions;
mod docs;
mod doctor;
mod escrow;
mod health;
mod init;
mod keys;
mod list;
mod pause;
mod plan;
mod retry;
mod role;
mod run;
mod schema;
mod serve;
mod show;
mod submit;
mod topology;
mod tree;
mod until;
mod verify;
mod waive;
mod watch;
mod why;

use crate::args::{Cli, Command, Global};
use crate::backends::is_shared;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::session::Session;
use crate::systems::{self, is_loopback};
use offboard_domain::Timestamp;
use offboard_runtime::config::{self, ConfigErrors, Configuration, LogConfig, Role};
use offboard_runtime::telemetry::Guard;
use offboard_runtime::{Clock, ScaledClock, SystemClock, telemetry};
use std::sync::{Arc, Mutex, PoisonError};

/// What every command has.
struct Ctx {
    global: Global,
    out: Out,
    /// What an order sends of itself, until it is flushed.
    sends: Mutex<Option<Guard>>,
}

/// Does what the command line says.
pub(crate) async fn run(cli: Cli, out: Out) -> Result<Exit, CliError> {
    let ctx = Ctx {
        global: cli.global,
        out,
        sends: Mutex::default(),
    };
    let outcome = follow(&ctx, cli.command).await;
    let sends = ctx.sends.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(telemetry) = sends {
        flush(telemetry).await;
    }
    outcome
}

async fn follow(ctx: &Ctx, command: Command) -> Result<Exit, CliError> {
    match command {
        Command::Init { place } => init::run(ctx, place),
        Command::Doctor {
            tenant,
            offline,
            stderr,
            broker,
        } => {
            let asked = doctor::Asked {
                tenant,
                offline,
                stderr,
                broker,
            };
            doctor::run(ctx, asked).await
        }
        Command::Plan(args) => plan::run(ctx, args).await,
        Command::Run { files, tenant, wait } => run::run(ctx, &files, tenant.as_ref(), wait).await,
        Command::Submit { files, tenant } => submit::run(ctx, &files, tenant.as_ref()).await,
        Command::Serve => serve::run(ctx).await,
        Command::Dispatcher => role::dispatcher(ctx).await,
        Command::Worker { areas, site } => role::worker(ctx, areas, site).await,
        Command::Closer => role::closer(ctx).await,
        Command::Health { alive } => health::run(ctx, alive).await,
        Command::Pause { what, all, until } => pause::pause(ctx, what, all, until.as_deref()).await,
        Command::Resume { what, all } => pause::resume(ctx, what, all).await,
        Command::Topology { vhost } => topology::run(ctx, &vhost),
        Command::List { dead: true, .. } => list::dead(ctx).await,
        Command::List { tenant, open, .. } => list::run(ctx, tenant.as_ref(), open).await,
        Command::Clear {
            letter,
            all: _,
            reason,
            resend,
            keep,
            yes,
        } => {
            let order = clear::Order {
                letter,
                reason,
                resend,
                keep,
                yes,
            };
            clear::run(ctx, order).await
        }
        Command::Show { case } => show::run(ctx, case).await,
        Command::Watch { tenant, all } => watch::run(ctx, tenant.as_ref(), all).await,
        Command::Why { case, task } => why::run(ctx, case, task).await,
        Command::Approve {
            case,
            task,
            yes,
            digest,
        } => approve::run(ctx, case, task, yes, digest).await,
        Command::Attest {
            case,
            task,
            file,
            link,
            note,
        } => attest::run(ctx, case, task, file, attest::noted(link.as_deref(), note)?).await,
        Command::Waive {
            case,
            task,
            reason,
            until,
        } => waive::run(ctx, case, task, reason, &until).await,
        Command::Retry { case, task } => retry::run(ctx, case, task).await,
        Command::Cancel { case, reason } => cancel::run(ctx, case, reason).await,
        Command::Verify { evidence, key } => verify::run(ctx, &evidence, key).await,
        Command::Archive { what } => archive::run(ctx, what).await,
        Command::Escrow { what } => escrow::run(ctx, what).await,
        Command::Keys { what } => keys::run(ctx, &what),
        Command::Schema => schema::run(ctx),
        Command::Completions { shell } => completions::run(ctx, shell),
        Command::Tasks { systems: true, .. } => ctx.out.data(&docs::systems()).map(|()| Exit::Done),
        Command::Tasks { permissions: true, .. } => ctx.out.data(&docs::permissions()).map(|()| Exit::Done),
        Command::Tasks { .. } => ctx.out.data(&docs::tasks()).map(|()| Exit::Done),
        Command::States => ctx.out.data(&docs::states()).map(|()| Exit::Done),
        Command::Metrics => ctx
            .out
            .data(&telemetry::metrics::instruments::page())
            .map(|()| Exit::Done),
    }
}

impl Ctx {
    /// The configuration of the working folder, as far as it reads: for who only looks, or
    /// asks whoever serves the folder. Sets up logging: commands that answer and end say
    /// errors only, unless more is asked for.
    fn config(&self) -> Result<Configuration, CliError> {
        self.config_logging("error")
    }

    fn config_logging(&self, level: &str) -> Result<Configuration, CliError> {
        let config = self.load_what_reads()?;
        telemetry::init(&LogConfig {
            level: level.to_owned(),
            format: config.engine.log.format,
        })?;
        Ok(config)
    }

    /// The same for an order. Where processes share the work, what it wrote
    /// into the ledger is a part of a case's story that this process alone can
    /// tell, so its traces are sent too.
    fn config_of_order(&self) -> Result<Configuration, CliError> {
        if !is_shared(&self.load_what_reads()?) {
            return self.config();
        }
        let (config, guard) = self.config_sending_as(Role::Command)?;
        *self.sends.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
        Ok(config)
    }

    /// The same for a command that carries departures out while somebody
    /// watches: its traces and metrics are sent, and served nowhere.
    fn config_of_run(&self) -> Result<(Configuration, Guard), CliError> {
        self.config_sending_as(Role::Embedded)
    }

    fn config_sending_as(&self, role: Role) -> Result<(Configuration, Guard), CliError> {
        let config = self.load()?;
        let mut engine = config.engine.clone();
        "error".clone_into(&mut engine.log.level);
        engine.telemetry.listen = None;
        let telemetry = telemetry::start(&engine, role)?;
        Ok((config, telemetry))
    }

    /// The same for a process that goes on by itself, with everything as it is
    /// configured.
    fn config_of_server(&self, role: Role) -> Result<(Configuration, Guard), CliError> {
        let config = self.load()?;
        let telemetry = telemetry::start(&config.engine, role)?;
        Ok((config, telemetry))
    }

    /// The configuration, if all of it reads: for whoever decides anything by it.
    fn load(&self) -> Result<Configuration, CliError> {
        config::load(&self.global.dir).map_err(|errors| self.unreadable(&errors))
    }

    /// The configuration without the tenants whose files do not read.
    fn load_what_reads(&self) -> Result<Configuration, CliError> {
        config::load_what_reads(&self.global.dir).map_err(|errors| self.unreadable(&errors))
    }

    fn unreadable(&self, errors: &ConfigErrors) -> CliError {
        let here = self.global.dir.join(config::ENGINE_FILE);
        let next = if here.exists() {
            "mend what is named, then look again with `offboard doctor`".to_owned()
        } else {
            "`offboard init` makes a working folder; `-C DIR` names another one".to_owned()
        };
        CliError::of(errors).exit(Exit::Usage).next(next)
    }

    /// Engine time: this machine's, or a faster one for systems that are all
    /// simulated on this machine. A real person's departure never runs fast.
    fn clock(&self, config: &Configuration) -> Result<Arc<dyn Clock>, CliError> {
        let Some(fast) = self.global.clock else {
            return Ok(Arc::new(SystemClock));
        };
        if let Some(address) = systems::addresses(config).find(|a| !is_loopback(a)) {
            return Err(CliError::usage(format!(
                "engine time can run faster only against systems on this machine, and {address} is none"
            )));
        }
        let anchor = Timestamp(fast.anchor_ms);
        // Before the anchor, too: the line goes through it.
        let passed = SystemClock.now().since(anchor);
        let now = anchor.plus(passed.saturating_mul(i64::from(fast.scale)));
        Ok(Arc::new(ScaledClock::new(now, fast.scale)))
    }

    /// A way to ask the engine of the working folder.
    async fn session<'a>(&self, config: &'a Configuration) -> Result<Session<'a>, CliError> {
        Session::open(config, self.clock(config)?).await
    }

    /// A way to ask it for who only looks; says so if it is only read as it stands.
    async fn session_to_read<'a>(&self, config: &'a Configuration) -> Result<Session<'a>, CliError> {
        Session::open_to_read(config, self.clock(config)?, Some(self.out)).await
    }

    /// Who acts.
    fn actor(&self) -> Result<String, CliError> {
        let from = |name: &str| std::env::var(name).ok();
        let given = self
            .global
            .actor
            .clone()
            .or_else(|| from("OFFBOARD_USER"))
            .or_else(|| from("USER"))
            .or_else(|| from("LOGNAME"));
        given
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .ok_or_else(|| {
                CliError::usage("it is not known who acts, and it must stand in the history")
                    .next("add --as NAME, or set OFFBOARD_USER")
            })
    }
}

/// Sends what is left of a process's telemetry, within seconds, and never fails.
async fn flush(telemetry: Guard) {
    // It waits for threads of its own; a panic in it is no failure of ours.
    drop(tokio::task::spawn_blocking(|| telemetry.shutdown()).await);
}

/// A text that must say something.
fn required(what: &str, text: String) -> Result<String, CliError> {
    if text.trim().is_empty() {
        Err(CliError::usage(format!("{what} must not be empty")))
    } else {
        Ok(text)
    }
}
