//! The command line, and the embedded composition that it runs.
//!
//! The library is there so that the demonstration, the kill test and the bench
//! compose exactly what `offboard run` runs, with another clock, other systems
//! or other limits ([`embedded`]), and show it in the same way ([`progress`]).
//! It owns the composition and the words, and no rule: what may happen is the
//! domain's to say, and every order goes through the dispatcher's one answer
//! to every request, whether this process carries things out or another one.

pub mod args;
pub mod backends;
mod commands;
pub mod compose;
pub mod embedded;
pub mod error;
mod intake;
pub mod out;
pub mod preview;
pub mod progress;
pub mod reload;
pub mod roles;
pub mod session;
pub mod show;
pub mod systems;

use args::Cli;
use clap::Parser as _;
use error::CliError;
use out::Out;
use std::process::ExitCode;

/// Parses the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // What asks for help or the version is answered as ever.
        Err(wrong) if wrong.use_stderr() && std::env::args_os().any(|a| a == "--json") => {
            let error = CliError::usage(wrong.kind().to_string())
                .causes([wrong.render().to_string()])
                .next("`offboard COMMAND --help` shows each with examples");
            error.print(true);
            return error.code().into();
        }
        Err(wrong) => wrong.exit(),
    };
    let out = Out::new(&cli.global);
    let runtime = match offboard_runtime::threads() {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = CliError::failed("failed to start the runtime").caused_by(Some(&error));
            error.print(out.is_json());
            return error.code().into();
        }
    };
    match runtime.block_on(commands::run(cli, out)) {
        Ok(exit) => exit.into(),
        Err(error) => {
            error.print(out.is_json());
            error.code().into()
        }
    }
}
