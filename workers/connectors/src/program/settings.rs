//! Which program is started, with what, and how far it may go.

use offboard_domain::{System, TenantId};
use offboard_runtime::Secret;
use std::path::PathBuf;
use std::time::Duration;

/// What a program needs to be started.
#[derive(Debug, Clone)]
pub struct ProgramSettings {
    /// The tenant's handle, which the program is told.
    pub tenant: TenantId,
    /// The system's name in the tenant's configuration.
    pub system: System,
    /// The program's absolute path.
    pub program: PathBuf,
    /// Its arguments, each as it is given to the program.
    pub arguments: Vec<String>,
    /// The folder in which it runs; none: the root.
    pub folder: Option<PathBuf>,
    /// How long one run may take.
    pub timeout: Duration,
    /// How much it may write to standard output in one run, in bytes.
    pub max_output_bytes: usize,
    /// Its whole environment.
    pub environment: Vec<(String, Secret)>,
    /// Whether what it does cannot be undone.
    pub irreversible: bool,
    /// Whether a check shows what the program wrote to standard error. For a
    /// person at a terminal alone: it may name people.
    pub show_stderr: bool,
}
