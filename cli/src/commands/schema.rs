//! `offboard schema`.

use super::Ctx;
use crate::error::{CliError, Exit};
use offboard_dispatcher::intake;

pub(super) fn run(ctx: &Ctx) -> Result<Exit, CliError> {
    ctx.out.document(&intake::schema())?;
    Ok(Exit::Done)
}
