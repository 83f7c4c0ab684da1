//! `offboard submit FILE`. When a departure is printed as accepted, it is in
//! the ledger and will not be lost.

use super::Ctx;
use crate::error::{CliError, Exit};
use crate::intake::{self, Handed};
use offboard_dispatcher::control::{Accepted, What};
use offboard_domain::TenantId;
use serde_json::json;
use std::path::PathBuf;

pub(super) async fn run(ctx: &Ctx, files: &[PathBuf], tenant: Option<&TenantId>) -> Result<Exit, CliError> {
    let by = ctx.actor()?;
    // What a row says is decided here, by its tenant's file.
    ctx.load()?;
    let config = ctx.config_of_order()?;
    let read = intake::read(ctx.out, &config, files, tenant, &by, ctx.clock(&config)?.now())?;
    let mut session = ctx.session(&config).await?;
    let Handed { outcomes, failed } = read.hand_over(async |request| session.ask(request).await).await;
    let idle = session.is_idle();
    let closed = session.close().await;
    if ctx.out.is_json() {
        let accepted: Vec<_> = read
            .accepted
            .iter()
            .zip(&outcomes)
            .map(|((at, _), o)| intake::outcome_json(at, o))
            .collect();
        ctx.out
            .document(&json!({ "accepted": accepted, "rejected": read.rejected_json(), "notes": read.notes() }))?;
    } else {
        for ((at, _), outcome) in read.accepted.iter().zip(&outcomes) {
            ctx.out.line(&line(&at.to_string(), outcome))?;
        }
        ctx.out.say(read.summary(&outcomes));
        if idle {
            ctx.out
                .say("Nobody serves this folder: `offboard serve` or `offboard run` carries them out.");
        }
    }
    // What was accepted is told before what went wrong.
    if let Some(error) = failed {
        return Err(error);
    }
    closed?;
    let refused = outcomes.iter().any(|o| o.what == What::Refused);
    Ok(if refused { Exit::Failed } else { Exit::Done })
}

/// What became of a departure, in a word.
pub(super) fn word(what: What) -> &'static str {
    match what {
        What::Opened => "accepted",
        What::Known => "known",
        What::Amended => "amended",
        What::Refused => "refused",
        What::Failed => "failed",
    }
}

/// One outcome, for people.
pub(super) fn line(at: &str, outcome: &Accepted) -> String {
    let word = word(outcome.what);
    let why = outcome.why.as_deref().map(|w| format!(": {w}")).unwrap_or_default();
    let warning = outcome.warning.as_deref();
    let warning = warning.map(|w| format!("\n          warning: {w}")).unwrap_or_default();
    format!("{word:<9} {}  {}  {at}{why}{warning}", outcome.case, outcome.tenant)
}
