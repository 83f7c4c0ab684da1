//! `offboard attest CASE TASK`: a named person says that a task is done. The
//! file goes into the store before the word is recorded, so that what the
//! evidence names is there.

use super::Ctx;
use crate::error::{CliError, Exit};
use offboard_dispatcher::control::Request;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Largest file that shows something: a scan of many pages.
const FILE_MAX_BYTES: u64 = 64 * 1024 * 1024;

pub(super) async fn run(
    ctx: &Ctx,
    case: String,
    task: String,
    file: Option<PathBuf>,
    note: String,
) -> Result<Exit, CliError> {
    let by = ctx.actor()?;
    let config = ctx.config_of_order()?;
    let bytes = file.as_deref().map(read).transpose()?;
    let mut session = ctx.session(&config).await?;
    let attested = async {
        let file = match bytes {
            Some(bytes) => Some(session.store(&config)?.put(bytes).await?),
            None => None,
        };
        let view = session
            .case(Request::Attest {
                case,
                task: task.clone(),
                by: by.clone(),
                file,
                note,
            })
            .await?;
        Ok::<_, CliError>((view, file))
    };
    let attested = attested.await;
    session.close().await?;
    let (view, file) = attested?;
    if ctx.out.is_json() {
        return ctx.out.document(&view).map(|()| Exit::Done);
    }
    let kept = file.map(|d| format!("; file {d}")).unwrap_or_default();
    ctx.out.line(&format!("attested by {by}: {task}{kept}"))?;
    Ok(Exit::Done)
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let failed = |e: std::io::Error| CliError::usage(format!("failed to read {}", path.display())).caused_by(Some(&e));
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(failed)?
        .take(FILE_MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.is_empty() {
        return Err(CliError::usage(format!(
            "{} is empty and shows nothing",
            path.display()
        )));
    }
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(CliError::usage(format!(
            "{} is larger than {FILE_MAX_BYTES} bytes",
            path.display()
        )));
    }
    Ok(bytes)
}
