//! `offboard list`.

use super::Ctx;
use crate::backends::is_shared;
use crate::error::{CliError, Exit};
use crate::out::{Out, columns};
use crate::session::{Session, unexpected};
use crate::show::{Table, relative, safe, state};
use console::style;
use offboard_dispatcher::control::{Buried, CaseSummary, Request, Response};
use offboard_domain::{Digest, TenantId, Timestamp};
use offboard_runtime::config::Configuration;

/// Buried messages that are shown: what a person reads through.
const DEAD_SHOWN: usize = 100;

pub(super) async fn run(ctx: &Ctx, tenant: Option<&TenantId>, open_only: bool) -> Result<Exit, CliError> {
    let config = ctx.config()?;
    note_unknown(ctx.out, &config, tenant);
    let mut session = ctx.session_to_read(&config).await?;
    let cases = session.cases(tenant, open_only).await;
    if cases.is_ok() && session.is_served() {
        note_unwritten(&mut session, ctx.out).await;
    }
    session.close().await?;
    let cases = cases?;
    if ctx.out.is_json() {
        ctx.out.document(&cases)?;
        return Ok(Exit::Done);
    }
    if cases.is_empty() {
        ctx.out.say("No cases. `offboard submit FILE` accepts departures.");
        return Ok(Exit::Done);
    }
    let now = ctx.clock(&config)?.now();
    ctx.out.line(&table(&cases, now).lines(columns()).join("\n"))?;
    Ok(Exit::Done)
}

/// Says that the tenant that is asked for is none that is configured.
pub(super) fn note_unknown(out: Out, config: &Configuration, tenant: Option<&TenantId>) {
    if let Some(tenant) = tenant.filter(|t| !config.tenants.contains_key(*t) && !config.broken.contains_key(*t)) {
        out.say(format!("note: no tenant '{tenant}' is configured"));
    }
}

/// Says where whoever serves the folder cannot write: nothing comes on there.
async fn note_unwritten(session: &mut Session<'_>, out: Out) {
    let Ok(Response::Status(status)) = session.ask(Request::Status).await else {
        return;
    };
    for unwritten in &status.unwritten {
        out.say(format!("note: {}", safe(&unwritten.to_string())));
    }
}

/// Cases as a table.
pub(super) fn table(cases: &[CaseSummary], now: Timestamp) -> Table {
    let mut table = Table::new(&[
        "CASE",
        "TENANT",
        "REFERENCE",
        "PERSON",
        "STATE",
        "DONE",
        "NEEDS",
        "CHANGED",
        "WHAT",
    ]);
    for case in cases {
        let needs = match (case.needs, case.failed) {
            (0, _) => String::new(),
            (n, 0) => style(n.to_string()).yellow().to_string(),
            (n, _) => style(n.to_string()).red().to_string(),
        };
        table.row(vec![
            case.case.to_string(),
            case.tenant.to_string(),
            safe(case.reference.as_deref().unwrap_or("-")),
            safe(&case.person),
            state(&case.state).to_string(),
            format!("{}/{}", case.settled, case.total),
            needs,
            relative(case.changed_at, now),
            what(case, now),
        ]);
    }
    table
}

/// What is going on, and what is lost next if nobody acts.
fn what(case: &CaseSummary, now: Timestamp) -> String {
    let doing = safe(&case.doing);
    let Some(deadline) = &case.deadline else {
        return doing;
    };
    let between = if doing.is_empty() { "" } else { "; " };
    let (words, time) = (safe(&deadline.words), relative(deadline.at, now));
    format!("{doing}{between}{words} {time}")
}

pub(super) async fn dead(ctx: &Ctx) -> Result<Exit, CliError> {
    let config = ctx.config()?;
    let mut session = ctx.session_to_read(&config).await?;
    if session.is_idle() {
        ctx.out.say("Nobody serves this folder, and the queue in memory went with the last who did; what it held is ordered again from the ledger.");
    }
    // One more says whether there are more.
    let limit = DEAD_SHOWN + 1;
    let answer = session.ask(Request::Dead { limit }).await;
    // Also whoever let this in, and then hung: the ledger that is read instead knows of none.
    let unanswered = session.is_read();
    session.close().await?;
    if unanswered {
        return Err(CliError::failed(
            "failed to list dead letters: whoever has the folder has them in memory, and does not answer",
        )
        .next("see with `offboard health` how it is, then repeat this"));
    }
    let mut buried = match answer? {
        Response::Dead(buried) => buried,
        other => return Err(unexpected(&other)),
    };
    if buried.len() > DEAD_SHOWN {
        buried.truncate(DEAD_SHOWN);
        ctx.out.say(format!(
            "note: there are more than these {DEAD_SHOWN}; of more than 10,000 at a broker the newest are not seen until older ones are cleared (`offboard clear`)"
        ));
    }
    if ctx.out.is_json() {
        ctx.out.document(&buried)?;
        return Ok(Exit::Done);
    }
    if buried.is_empty() {
        ctx.out.say(none_buried(&config));
        return Ok(Exit::Done);
    }
    ctx.out.line(&letters(&buried).lines(columns()).join("\n"))?;
    ctx.out
        .say("`offboard clear LETTER --reason WHY` drops one, or with --resend sends it again.");
    Ok(Exit::Done)
}

/// What is said where none is listed. A broker gives nobody what somebody else is looking
/// through, and does not tell how much that is.
pub(super) fn none_buried(config: &Configuration) -> &'static str {
    if is_shared(config) {
        "No message was buried, or a dispatcher is looking through all of them at this moment."
    } else {
        "No message was buried."
    }
}

/// Digits of a letter's name that are shown: enough among a thousand.
const NAME_DIGITS: usize = 12;

/// A letter's name as it is shown.
pub(super) fn short(letter: Digest) -> String {
    letter.to_string().chars().take(NAME_DIGITS).collect()
}

/// Dead letters as a table.
pub(super) fn letters(buried: &[Buried]) -> Table {
    let mut table = Table::new(&["LETTER", "MESSAGE", "BYTES", "WHY"]);
    for message in buried {
        table.row(vec![
            short(message.letter),
            safe(&message.id),
            message.bytes.to_string(),
            safe(&message.reason),
        ]);
    }
    table
}
