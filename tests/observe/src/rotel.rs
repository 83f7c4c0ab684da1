//! A collector that is not ours: rotel, as it comes from its package, in the
//! tests' Python environment. It takes OTLP and writes what it took into its
//! debug log.

use crate::rotel_log;
use crate::story::Seen;
use offboard_servers::{Guarded, Patience, StartError, free_port, until};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How often it is tried on other ports: somebody may take one in between.
const TRIES: u32 = 5;
/// How long it may take to listen.
const PATIENCE: Patience = Patience(Duration::from_secs(180));

/// A running rotel, until it is dropped.
#[derive(Debug)]
pub struct Rotel {
    running: Guarded,
    port: u16,
}

impl Rotel {
    /// Starts one, with its files in `folder`. `venv` is the environment that
    /// `tests/setup/python.sh` makes.
    ///
    /// # Errors
    /// [`StartError`] if it is not installed, or does not begin to listen.
    pub fn start(venv: &Path, folder: &Path) -> Result<Self, StartError> {
        let program = program(venv)?;
        let mut last = StartError("rotel was not tried".to_owned());
        for attempt in 0..TRIES {
            let (grpc, http) = (free_port()?, free_port()?);
            let mut command = Command::new(&program);
            command
                .env_clear()
                .current_dir(folder)
                .args(["start", "--exporter", "blackhole"])
                .args(["--debug-log", "traces", "--debug-log-verbosity", "detailed"])
                .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
                .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
                .args(["--pid-file", &folder.join("rotel.pid").display().to_string()]);
            let log = folder.join(format!("rotel-{attempt}.log"));
            let mut running = Guarded::start(command, "none: tests/setup/python.sh installs it", &log)?;
            let mut ended = false;
            let listens = until("rotel to listen", PATIENCE, || {
                ended = running.ended();
                ended || TcpStream::connect(("127.0.0.1", http)).is_ok()
            });
            match listens {
                Ok(()) if !ended => return Ok(Self { running, port: http }),
                Ok(()) => last = StartError(format!("rotel ended: {}", running.output())),
                Err(error) => last = StartError(format!("{error}: {}", running.output())),
            }
        }
        Err(last)
    }

    /// What a process is configured with.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it has logged of what it took.
    #[must_use]
    pub fn log(&self) -> String {
        self.running.output()
    }

    /// Every span that it took, as its log tells of it.
    #[must_use]
    pub fn spans(&self) -> Vec<Seen> {
        rotel_log::spans(&self.log())
    }

    /// Waits until its log fulfils something.
    ///
    /// # Errors
    /// [`StartError`] naming `what` when patience has run out.
    pub fn until(&self, what: &str, patience: Duration, holds: impl Fn(&str) -> bool) -> Result<(), StartError> {
        until(what, Patience(patience), || holds(&self.log()))
    }
}

fn program(venv: &Path) -> Result<PathBuf, StartError> {
    let missing = || {
        StartError(format!(
            "rotel is not in the Python environment {}; make it with tests/setup/python.sh",
            venv.display()
        ))
    };
    let versions = std::fs::read_dir(venv.join("lib")).map_err(|_| missing())?;
    versions
        .filter_map(Result::ok)
        .map(|version| version.path().join("site-packages/rotel/rotel-agent"))
        .find(|program| program.exists())
        .ok_or_else(missing)
}
