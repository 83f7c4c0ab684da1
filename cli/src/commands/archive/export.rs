//! `offboard archive export`: messages as files that other programs open.

use super::{Ctx, each, fits, name, open, size};
use crate::error::{CliError, Exit};
use offboard_archive::Export;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

/// How often it is said how far it is.
const SAY_EVERY: u64 = 500;

pub(super) async fn run(
    ctx: &Ctx,
    named: &str,
    into: &Path,
    folder: Option<&str>,
    numbers: &BTreeSet<u64>,
) -> Result<Exit, CliError> {
    let config = ctx.config()?;
    let archive = open(ctx, &config, named).await?;
    let mut export = Export::begin(&archive, into).await?;
    let (mut written, mut bytes, mut there) = (0_u64, 0_u64, 0_u64);
    // All of them go by: the index names what was exported before, too.
    let damage = each(ctx, &archive, None, async |of, segment, message| {
        if !fits(of, folder) || !(numbers.is_empty() || numbers.contains(&message.number)) {
            export.passed_over(of, message).await?;
            return Ok(());
        }
        if !export.message(&archive, of, segment, message).await? {
            there += 1;
            return Ok(());
        }
        written += 1;
        bytes += message.bytes;
        if written.is_multiple_of(SAY_EVERY) {
            ctx.out
                .say(format!("{written} written, {there} there already; now in {}", name(of)));
        }
        Ok(())
    })
    .await?;
    export.end().await?;
    let narrowed = folder.is_some() || !numbers.is_empty();
    if narrowed && written + there + damage.messages + damage.parts == 0 {
        return Err(
            CliError::failed("no message of the archive is what was asked for; nothing was exported")
                .next(format!("offboard archive list {named} --messages")),
        );
    }
    if ctx.out.is_json() {
        ctx.out
            .document(&json!({"written": written, "bytes": bytes, "there_already": there}))?;
    } else {
        ctx.out.line(&format!(
            "{written} messages written ({}), {there} were there already",
            size(bytes)
        ))?;
    }
    damage.or_done()
}
