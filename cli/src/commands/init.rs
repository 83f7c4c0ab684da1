//! `offboard init`.

use super::Ctx;
use crate::error::{CliError, Exit};
use offboard_runtime::config;
use serde_json::json;
use std::path::PathBuf;

pub(super) fn run(ctx: &Ctx, dir: Option<PathBuf>) -> Result<Exit, CliError> {
    let dir = match dir {
        Some(dir) => ctx.global.dir.join(dir),
        None => ctx.global.dir.clone(),
    };
    let created = config::init(&dir)?;
    if ctx.out.is_json() {
        ctx.out
            .document(&json!({ "dir": dir, "made": created.made, "kept": created.kept }))?;
        return Ok(Exit::Done);
    }
    for path in &created.made {
        ctx.out.line(&format!("made  {}", path.display()))?;
    }
    for path in &created.kept {
        ctx.out.line(&format!("kept  {}", path.display()))?;
    }
    ctx.out.say(format!(
        "\nNext: copy {0}/tenants/contoso.toml.example to {0}/tenants/<handle>.toml for each client company, fill it in, then run\n  offboard -C {0} doctor\nKeep a backup of {0}/keys elsewhere: without them the history cannot be read.",
        dir.display()
    ));
    Ok(Exit::Done)
}
