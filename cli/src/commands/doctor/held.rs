//! What the broker holds, as its administrator has exported it, against what it
//! must hold.

use super::servers::of_queue;
use super::{Checked, problem};
use crate::backends::vhost;
use crate::commands::topology;
use crate::error::CliError;
use offboard_runtime::config::{Configuration, QueueUrl};
use std::io::Read as _;
use std::path::Path;

/// Largest export: a broker of thousands of queues.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

pub(super) fn of(config: &Configuration, file: &Path) -> Result<Checked, CliError> {
    let QueueUrl::Rabbit(remote) = &config.engine.queue else {
        return Err(CliError::usage(
            "--broker: this folder's queue is in memory, so there is no broker",
        ));
    };
    let text = read(file)?;
    let compared = topology::of(config, &vhost(remote)?).compare(&text);
    let findings = match compared {
        Ok(found) => found.iter().map(of_queue).collect(),
        Err(why) => vec![problem(why, "export them with `rabbitmqctl export_definitions FILE`")],
    };
    Ok(Checked {
        part: "broker".to_owned(),
        findings,
    })
}

fn read(file: &Path) -> Result<String, CliError> {
    let failed = |e: std::io::Error| CliError::usage(format!("failed to read {}", file.display())).caused_by(Some(&e));
    let from: Box<dyn std::io::Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).map_err(failed)?)
    };
    let mut text = String::new();
    let size = from.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if size as u64 > MAX_BYTES {
        return Err(CliError::usage(format!(
            "{} has more than {MAX_BYTES} bytes and is no export of definitions",
            file.display()
        )));
    }
    Ok(text)
}
