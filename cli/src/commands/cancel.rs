//! `offboard cancel CASE --reason`.

use super::{Ctx, required};
use crate::error::{CliError, Exit};
use crate::show::safe;
use offboard_dispatcher::control::Request;

pub(super) async fn run(ctx: &Ctx, case: String, reason: String) -> Result<Exit, CliError> {
    let by = ctx.actor()?;
    let reason = required("the reason", reason)?;
    let config = ctx.config_of_order()?;
    let mut session = ctx.session(&config).await?;
    let view = session
        .case(Request::Cancel {
            case,
            by: by.clone(),
            reason,
        })
        .await;
    session.close().await?;
    let view = view?;
    if ctx.out.is_json() {
        return ctx.out.document(&view).map(|()| Exit::Done);
    }
    ctx.out
        .line(&format!("{by} called case {} off; it is {}", view.case, view.state))?;
    if !view.ended {
        ctx.out
            .say("What workers hold already is awaited and recorded; nothing new is ordered.");
    }
    // A device that was told to wipe itself does so when it next checks in. An older server
    // tells the last try alone.
    let open = view
        .tasks
        .iter()
        .filter(|t| t.writes && t.outcome.is_none() && (t.was_ordered || t.attempt > 0));
    for task in open.filter(|t| !t.reversible) {
        ctx.out.say(format!(
            "{} was ordered and cannot be taken back from here; what was sent may still take effect: {}",
            safe(&task.title),
            safe(&task.words)
        ));
    }
    Ok(Exit::Done)
}
