//! The peer: Celery's own worker and client, in a Python environment that the
//! bench makes (`tests/bench/celery/setup.sh`).

use super::child::Child;
use super::setup::{CELERY_VHOST, Setup};
use crate::embedded::Failed;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Its worker processes: one for each core of the machine that it was tuned on.
const WORKERS: [&str; 2] = ["celery-worker-1", "celery-worker-2"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("celery")
}

/// Makes the environment if it is not there, and returns its Python.
pub(crate) fn python() -> Result<PathBuf, Failed> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let mut setup = Command::new(folder().join("setup.sh"));
    if let Some(target) = target {
        // The script goes to the repository's root first.
        setup.env("CARGO_TARGET_DIR", std::path::absolute(target)?);
    }
    let done = setup.output()?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).trim().to_owned().into());
    }
    let said = String::from_utf8_lossy(&done.stdout).trim().to_owned();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Ok(root.join(said))
}

/// Starts the workers, and last the driver.
pub(crate) fn start(setup: &Setup) -> Result<Vec<Child>, Failed> {
    let python = python()?;
    let program = |script: &str, argument: Option<&str>| -> Result<Command, Failed> {
        let mut program = Command::new(&python);
        program.arg(folder().join(script)).args(argument);
        program
            .env("BENCH_BROKER", setup.amqp(CELERY_VHOST)?)
            // Celery's results are kept apart from nothing: the store was emptied.
            .env("BENCH_STORE", format!("{}/0", setup.redis))
            .env("PYTHONDONTWRITEBYTECODE", "1");
        Ok(program)
    };
    let mut children = Vec::new();
    for name in WORKERS {
        children.push(Child::start(name, program("worker.py", Some(name))?, &setup.folder)?);
    }
    children.push(Child::start(
        "celery-driver",
        program("driver.py", None)?,
        &setup.folder,
    )?);
    Ok(children)
}
