//! `offboard waive CASE TASK --reason --until`.

use super::until::{time, zone};
use super::{Ctx, required};
use crate::error::{CliError, Exit};
use crate::show::when;
use offboard_dispatcher::control::Request;

pub(super) async fn run(ctx: &Ctx, case: String, task: String, reason: String, until: &str) -> Result<Exit, CliError> {
    let by = ctx.actor()?;
    let reason = required("the reason", reason)?;
    let config = ctx.config_of_order()?;
    let mut session = ctx.session(&config).await?;
    let waived = async {
        let view = session.case(Request::Show { case }).await?;
        let zone = zone(&config, Some(&view.tenant));
        let until = time(until, zone.as_ref(), ctx.clock(&config)?.now())?;
        let order = Request::Waive {
            case: view.case.to_string(),
            task: task.clone(),
            by: by.clone(),
            reason,
            until,
        };
        Ok::<_, CliError>((session.case(order).await?, until))
    };
    let waived = waived.await;
    session.close().await?;
    let (view, until) = waived?;
    if ctx.out.is_json() {
        return ctx.out.document(&view).map(|()| Exit::Done);
    }
    ctx.out.line(&format!("waived by {by} until {}: {task}", when(until)))?;
    Ok(Exit::Done)
}
