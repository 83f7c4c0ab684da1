//! `offboard clear LETTER`: what a person does about dead letters. What was
//! looked at is what is dealt with: letters are listed first, and named one by
//! one by the digest of all that they are.

use super::list::{letters, none_buried, short};
use super::{Ctx, required};
use crate::error::{CliError, Exit};
use crate::out::{ask, can_ask, columns};
use crate::session::unexpected;
use crate::show::safe;
use offboard_dispatcher::control::{Buried, Request, Response};
use offboard_dispatcher::letters::{Became, Cleared, Clearing, LETTERS_MAX};
use offboard_domain::Digest;
use offboard_runtime::Configuration;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Who cleared what is a line in the log, also of a command that says little.
const LOG: &str = "error,offboard_dispatcher::letters=warn";

/// How often it is looked for more behind those that were dealt with: whoever
/// goes on sending poison does not keep this going without end.
const ROUNDS_MAX: usize = 100;

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
    let mut all: BTreeMap<Digest, Cleared> = BTreeMap::new();
    for round in 0..ROUNDS_MAX {
        let buried = look(ctx, &config).await?;
        let chosen = match &order.letter {
            Some(given) => vec![named(given, &buried)?],
            None => behind(&all, &buried),
        };
        if chosen.is_empty() {
            break;
        }
        let goes_on = order.letter.is_none();
        if goes_on && !order.yes && !agreed(ctx, &how, &chosen, &buried)? {
            ctx.out.say(match round {
                0 => "Nothing was cleared.",
                _ => "The rest stays.",
            });
            report(ctx, &all)?;
            return Ok(Exit::Failed);
        }
        let cleared = clear(ctx, &config, chosen, &how).await?;
        if !ctx.out.is_json() {
            for one in cleared.iter().filter(|one| one.became != Became::Gone) {
                ctx.out.line(&line(one))?;
            }
        }
        // Among more than are looked at together, one may have been out of sight.
        let hidden = cleared.iter().any(|one| one.became == Became::Gone);
        let came_on = cleared.iter().any(is_done);
        all.extend(cleared.into_iter().map(|one| (one.letter, one)));
        // What is behind the most that are looked at shows only now, and so
        // does what the broker did not hear to the end: it is there again.
        if !goes_on || !came_on {
            break;
        }
        if hidden || buried.len() >= LETTERS_MAX {
            ctx.out.say(format!(
                "{} dead letters dealt with; looking for more.",
                all.values().filter(|one| is_done(one)).count()
            ));
        }
        if round + 1 == ROUNDS_MAX {
            ctx.out.say("There may be more: repeat the command.");
        }
    }
    if all.is_empty() {
        ctx.out.say(none_buried(&config));
    }
    report(ctx, &all)?;
    Ok(if all.values().all(is_done) {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// The folder is let go while a person reads.
async fn look(ctx: &Ctx, config: &Configuration) -> Result<Vec<Buried>, CliError> {
    let mut session = ctx.session(config).await?;
    let answer = session.ask(Request::Dead { limit: LETTERS_MAX }).await;
    session.close().await?;
    match answer? {
        Response::Dead(buried) => Ok(buried),
        other => Err(unexpected(&other)),
    }
}

async fn clear(
    ctx: &Ctx,
    config: &Configuration,
    letters: Vec<Digest>,
    how: &Clearing,
) -> Result<Vec<Cleared>, CliError> {
    let mut session = ctx.session(config).await?;
    let how = how.clone();
    let answer = session.ask(Request::Clear { letters, how }).await;
    session.close().await?;
    match answer? {
        Response::Cleared(cleared) => Ok(cleared),
        other => Err(unexpected(&other)),
    }
}

/// Whether a person who has seen them says yes.
fn agreed(ctx: &Ctx, how: &Clearing, chosen: &[Digest], buried: &[Buried]) -> Result<bool, CliError> {
    let shown: Vec<Buried> = buried.iter().filter(|b| chosen.contains(&b.letter)).cloned().collect();
    ctx.out.say(letters(&shown).lines(columns()).join("\n"));
    if !can_ask() {
        return Err(CliError::usage("nobody can be asked here, and nothing was cleared").next("repeat with --yes"));
    }
    let verb = if how.resend { "Send" } else { "Drop" };
    ask(&format!("{verb} {} dead letters?", chosen.len()))
}

/// With `--json` all of it at the end; else each was said when it was done, and
/// what was not found is said now.
fn report(ctx: &Ctx, all: &BTreeMap<Digest, Cleared>) -> Result<(), CliError> {
    if ctx.out.is_json() {
        return ctx.out.document(&all.values().collect::<Vec<_>>());
    }
    for one in all.values().filter(|one| one.became == Became::Gone) {
        ctx.out.line(&line(one))?;
    }
    Ok(())
}

fn is_done(one: &Cleared) -> bool {
    matches!(one.became, Became::Dropped | Became::SentAgain)
}

/// What is still to be dealt with. A letter that stays is there again, and
/// asked for once; copies of one that is done may have been behind.
fn behind(all: &BTreeMap<Digest, Cleared>, buried: &[Buried]) -> Vec<Digest> {
    let stays = |letter: &Digest| all.get(letter).is_some_and(|one| one.became == Became::Kept);
    distinct(buried).into_iter().filter(|letter| !stays(letter)).collect()
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
