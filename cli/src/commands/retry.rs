//! `offboard retry CASE [TASK]`.

use super::Ctx;
use crate::error::{CliError, Exit};
use offboard_dispatcher::control::Request;

pub(super) async fn run(ctx: &Ctx, case: String, task: Option<String>) -> Result<Exit, CliError> {
    let by = ctx.actor()?;
    let config = ctx.config_of_order()?;
    let mut session = ctx.session(&config).await?;
    let view = session
        .case(Request::Retry {
            case,
            task,
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
    if idle {
        ctx.out
            .say("Nobody serves this folder: `offboard serve` or `offboard run` goes on with it.");
    }
    Ok(Exit::Done)
}
