//! How a command ends when it does not end well: one error type, one printer.
//!
//! The text says what was attempted, on what, what came back and what to do
//! next. The printer walks the chain of causes once and says nothing twice.

use console::style;
use serde_json::json;
use std::error::Error;
use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

/// The exit codes. They are documented in `offboard --help` and `docs/cli.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It was done.
    Done,
    /// It failed.
    Failed,
    /// Wrong usage, configuration or input; nothing was accepted.
    Usage,
    /// A person is needed, or a time is waited for.
    Person,
    /// The evidence is not valid.
    Evidence,
    /// Interrupted.
    Interrupted,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Person => 3,
            Self::Evidence => 4,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A command that did not do what was asked.
#[derive(Debug)]
pub struct CliError {
    exit: Exit,
    what: String,
    causes: Vec<String>,
    next: Option<String>,
    held: bool,
}

impl CliError {
    /// It failed.
    #[must_use]
    pub fn failed(what: impl Into<String>) -> Self {
        Self {
            exit: Exit::Failed,
            what: what.into(),
            causes: Vec::new(),
            next: None,
            held: false,
        }
    }

    /// Wrong usage or input.
    #[must_use]
    pub fn usage(what: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            ..Self::failed(what)
        }
    }

    /// Whoever read our output has gone: nothing is left to do or to say.
    #[must_use]
    pub fn reader_gone() -> Self {
        Self {
            exit: Exit::Done,
            ..Self::failed("")
        }
    }

    /// Whether it only says that nobody reads any more.
    #[must_use]
    pub fn is_reader_gone(&self) -> bool {
        self.what.is_empty()
    }

    /// From an error, whose text completes the sentence by itself.
    #[must_use]
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        Self::failed(error.to_string()).caused_by(error.source())
    }

    /// With another exit code.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// With a cause and all that caused it.
    #[must_use]
    pub fn caused_by(mut self, cause: Option<&(dyn Error + 'static)>) -> Self {
        let mut next = cause;
        while let Some(error) = next {
            self.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// With causes as texts.
    #[must_use]
    pub fn causes(mut self, causes: impl IntoIterator<Item = String>) -> Self {
        for cause in causes {
            self.push(cause);
        }
        self
    }

    /// With what to do next.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// Another process holds the working folder.
    #[must_use]
    pub fn held(mut self) -> Self {
        self.held = true;
        self
    }

    /// Whether another process holds the working folder.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// The exit code.
    #[must_use]
    pub fn code(&self) -> Exit {
        self.exit
    }

    /// A cause that only repeats what stands before it says nothing.
    fn push(&mut self, cause: String) {
        let last = self.causes.last().unwrap_or(&self.what);
        if !cause.is_empty() && !last.contains(&cause) {
            self.causes.push(cause);
        }
    }

    /// It and its causes on one line.
    #[must_use]
    pub fn brief(&self) -> String {
        let causes = self.causes.iter().map(String::as_str);
        std::iter::once(self.what.as_str())
            .chain(causes)
            .collect::<Vec<_>>()
            .join(": ")
    }

    /// Prints it to standard error.
    pub fn print(&self, as_json: bool) {
        if self.is_reader_gone() {
            return;
        }
        let text = if as_json {
            let error =
                json!({ "what": self.what, "causes": self.causes, "next": self.next, "exit": self.exit.code() });
            format!("{}\n", json!({ "error": error }))
        } else {
            self.to_string()
        };
        // There is nowhere left to say that this failed.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", style("error:").red().bold().for_stderr(), self.what)?;
        for cause in &self.causes {
            writeln!(f, "  {} {cause}", style("because:").dim().for_stderr())?;
        }
        if let Some(next) = &self.next {
            writeln!(f, "  {} {next}", style("next:").cyan().for_stderr())?;
        }
        Ok(())
    }
}

impl<E: Error + 'static> From<E> for CliError {
    fn from(error: E) -> Self {
        Self::of(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to open the door")]
    struct Outer(#[source] Middle);

    #[derive(Debug, thiserror::Error)]
    #[error("the key does not fit")]
    struct Middle(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("the key does not fit")]
    struct Inner;

    #[test]
    fn the_chain_is_walked_and_nothing_is_said_twice() {
        let error = CliError::from(Outer(Middle(Inner))).next("try the other door");
        assert_eq!(error.causes, ["the key does not fit"]);
        console::set_colors_enabled_stderr(false);
        assert_eq!(
            error.to_string(),
            "error: failed to open the door\n  because: the key does not fit\n  next: try the other door\n"
        );
    }
}
