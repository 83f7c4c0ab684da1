//! Data to standard output, talk to standard error; and what a terminal gets
//! that a file does not.

use crate::args::{Color, Global};
use crate::error::CliError;
use console::Term;
use serde::Serialize;
use std::io::{self, IsTerminal as _, Write as _};

/// Where a command says things.
#[derive(Debug, Clone, Copy)]
pub struct Out {
    json: bool,
}

impl Out {
    /// Sets colours for the process, and remembers how to answer.
    #[must_use]
    pub fn new(global: &Global) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let colours = |terminal: bool| match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !plain && std::env::var_os("TERM").is_none_or(|t| t != "dumb"),
        };
        console::set_colors_enabled(colours(io::stdout().is_terminal()) && !global.json);
        console::set_colors_enabled_stderr(colours(io::stderr().is_terminal()));
        Self { json: global.json }
    }

    /// Whether answers are JSON.
    #[must_use]
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Writes data.
    ///
    /// # Errors
    /// [`CliError`] if it could not be written; quiet, if the reader has gone.
    pub fn data(self, text: &str) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => CliError::reader_gone(),
            _ => CliError::failed("failed to write to standard output").caused_by(Some(&error)),
        })
    }

    /// Writes a line of data.
    ///
    /// # Errors
    /// As [`Out::data`].
    pub fn line(self, text: &str) -> Result<(), CliError> {
        self.data(&format!("{text}\n"))
    }

    /// Writes one JSON document.
    ///
    /// # Errors
    /// As [`Out::data`].
    pub fn document(self, value: &impl Serialize) -> Result<(), CliError> {
        let mut text = serde_json::to_string_pretty(value)?;
        text.push('\n');
        self.data(&text)
    }

    /// Writes one JSON object on one line, for answers that come one by one.
    ///
    /// # Errors
    /// As [`Out::data`].
    pub fn object(self, value: &impl Serialize) -> Result<(), CliError> {
        let mut text = serde_json::to_string(value)?;
        text.push('\n');
        self.data(&text)
    }

    /// Talks. Nobody listening is no failure.
    pub fn say(self, text: impl AsRef<str>) {
        let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
    }
}

/// Columns of the terminal behind standard output; none if there is none.
#[must_use]
pub fn columns() -> Option<usize> {
    let term = Term::stdout();
    term.is_term().then(|| usize::from(term.size().1)).filter(|n| *n > 0)
}

/// Whether somebody can be asked: a terminal to read from, and one to ask on.
#[must_use]
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a yes-or-no question; anything but a yes is a no.
///
/// # Errors
/// [`CliError`] if the terminal does not answer.
pub fn ask(question: &str) -> Result<bool, CliError> {
    let failed = |e: io::Error| CliError::failed("failed to ask on the terminal").caused_by(Some(&e));
    let mut err = io::stderr().lock();
    write!(err, "{question} [y/N] ")
        .and_then(|()| err.flush())
        .map_err(failed)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
