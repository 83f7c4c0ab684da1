//! `offboard retry CASE [TASK]`.

use super::Ctx;
use crate::error::{CliError, Exit};
use offboard_dispatcher::control::Request;
use offboard_dispatcher::view::TaskView;
use offboard_domain::catalogue::desk::KINDS;

pub(super) async fn run(ctx: &Ctx, case: String, task: Option<String>) -> Result<Exit, CliError> {
    let by = ctx.actor()?;
    let config = ctx.config_of_order()?;
    let mut session = ctx.session(&config).await?;
    let view = session
        .case(Request::Retry {
            case,
            task: task.clone(),
            by: by.clone(),
        })
        .await;
    let idle = session.is_idle();
    session.close().await?;
    let view = view?;
    if ctx.out.is_json() {
        return ctx.out.document(&view).map(|()| Exit::Done);
    }
    ctx.out
        .line(&format!("{by} ordered another try of case {}", view.case))?;
    // Of the whole case nothing else of the desk stays failed.
    let at_the_desk = |t: &&TaskView| KINDS.contains(&t.kind) && t.status == "failed";
    for left in view.tasks.iter().filter(|_| task.is_none()).filter(at_the_desk) {
        ctx.out.say(format!(
            "left out: {} may have been sent already; look at the desk, and if it is not there: offboard retry {} {}",
            left.kind, view.case, left.id
        ));
    }
    if idle {
        ctx.out
            .say("Nobody serves this folder: `offboard serve` or `offboard run` goes on with it.");
    }
    Ok(Exit::Done)
}
