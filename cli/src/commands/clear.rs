//! `offboard clear LETTER`: what a person does about dead letters. What was
//! looked at is what is dealt with: letters are listed first, and named one by
//! one by the digest of all that they are.

use super::list::{letters, short};
use super::{Ctx, required};
use crate::error::{CliError, Exit};
use crate::out::{ask, can_ask, columns};
use crate::session::unexpected;
use crate::show::safe;
use offboard_dispatcher::control::{Buried, Request, Response};
use offboard_dispatcher::letters::{Became, Cleared, Clearing, LETTERS_MAX};
use offboard_domain::Digest;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Who cleared what is a line in the log, also of a command that says little.
const LOG: &str = "error,offboard_dispatcher::letters=warn";

/// What was typed.
pub(super) struct Order {
    /// Which; none: all.
    pub(super) letter: Option<String>,
    pub(super) reason: String,
    pub(super) resend: bool,
    pub(super) keep: Option<PathBuf>,
    pub(super) yes: bool,
}

pub(super) async fn run(ctx: &Ctx, order: Order) -> Result<Exit, CliError> {
    let by = ctx.actor()?;
    let reason = required("the reason", order.reason)?;
    let how = Clearing {
        by,
        reason,
        resend: order.resend,
        // The process that serves the folder may stand elsewhere.
        keep: order.keep.map(std::path::absolute).transpose()?,
    };
    let config = ctx.config_logging(LOG)?;
    // The folder is let go while a person reads.
    let mut session = ctx.session(&config).await?;
    let answer = session.ask(Request::Dead { limit: LETTERS_MAX }).await;
    session.close().await?;
    let buried = match answer? {
        Response::Dead(buried) => buried,
        other => return Err(unexpected(&other)),
    };
    let chosen = match &order.letter {
        Some(given) => vec![named(given, &buried)?],
        None => distinct(&buried),
    };
    if chosen.is_empty() {
        ctx.out.say("No message was buried.");
        return if ctx.out.is_json() {
            ctx.out.document(&Vec::<Cleared>::new()).map(|()| Exit::Done)
        } else {
            Ok(Exit::Done)
        };
    }
    if order.letter.is_none() && !order.yes {
        let verb = if how.resend { "Send" } else { "Drop" };
        ctx.out.say(letters(&buried).lines(columns()).join("\n"));
        if !can_ask() {
            return Err(CliError::usage("nobody can be asked here, and nothing was cleared").next("repeat with --yes"));
        }
        if !ask(&format!("{verb} {} dead letters?", chosen.len()))? {
            ctx.out.say("Nothing was cleared.");
            return Ok(Exit::Failed);
        }
    }
    let mut session = ctx.session(&config).await?;
    let answer = session.ask(Request::Clear { letters: chosen, how }).await;
    session.close().await?;
    let cleared = match answer? {
        Response::Cleared(cleared) => cleared,
        other => return Err(unexpected(&other)),
    };
    if ctx.out.is_json() {
        ctx.out.document(&cleared)?;
    } else {
        for one in &cleared {
            ctx.out.line(&line(one))?;
        }
    }
    let done = |one: &Cleared| matches!(one.became, Became::Dropped | Became::SentAgain);
    Ok(if cleared.iter().all(done) {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn distinct(buried: &[Buried]) -> Vec<Digest> {
    let mut seen = BTreeSet::new();
    buried.iter().map(|b| b.letter).filter(|l| seen.insert(*l)).collect()
}

/// The one letter that is meant.
fn named(given: &str, buried: &[Buried]) -> Result<Digest, CliError> {
    let fits = |b: &&Buried| b.id == given || (!given.is_empty() && b.letter.to_string().starts_with(given));
    let fitting: Vec<Buried> = buried.iter().filter(fits).cloned().collect();
    match distinct(&fitting).as_slice() {
        [one] => Ok(*one),
        [] => Err(CliError::usage(format!("there is no dead letter '{}'", safe(given)))
            .next("`offboard list --dead` lists them")),
        _ => {
            let each = fitting
                .iter()
                .map(|b| format!("{} ({})", short(b.letter), safe(&b.reason)));
            Err(CliError::usage(format!("'{}' fits several", safe(given)))
                .causes(each)
                .next("name one by its letter"))
        }
    }
}

fn line(one: &Cleared) -> String {
    let letter = short(one.letter);
    let file = one
        .file
        .as_ref()
        .map(|f| format!("; its body is in {}", f.display()))
        .unwrap_or_default();
    match one.became {
        Became::Dropped => format!("{letter}: dropped{file}"),
        Became::SentAgain => format!("{letter}: sent again"),
        Became::Kept => format!("{letter}: stays: {}", safe(one.why.as_deref().unwrap_or_default())),
        Became::Gone => format!("{letter}: not there any more, or in somebody else's hands; list them again"),
    }
}
