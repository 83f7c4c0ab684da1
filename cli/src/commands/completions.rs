//! `offboard completions SHELL`.

use super::Ctx;
use crate::args::Cli;
use crate::error::{CliError, Exit};
use clap::CommandFactory as _;
use clap_complete::Shell;

pub(super) fn run(ctx: &Ctx, shell: Shell) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "offboard", &mut script);
    ctx.out.data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
