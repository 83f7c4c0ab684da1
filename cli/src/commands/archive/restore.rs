//! `offboard archive restore`: back into a mailbox by APPEND. Twice is once: a
//! message that is in the folder already, to the byte, is not put there again.
//! Which are there is found out by size first and by SHA-256 then, so that an
//! empty mailbox costs nothing.

use super::{Ctx, each, name, open};
use crate::error::{CliError, Exit};
use crate::systems::open_imap;
use offboard_archive::{Archive, FolderEntry, MessageEntry, Segment};
use offboard_connectors::Call;
use offboard_connectors::graph::HttpClient;
use offboard_connectors::imap::{Present, Restoring};
use offboard_domain::{Digest, Lane, System, TenantId};
use offboard_runtime::config::SystemKind;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

/// How long one message may take.
const MESSAGE_MAX: Duration = Duration::from_secs(15 * 60);
/// How often it is said how far it is.
const SAY_EVERY: u64 = 500;
/// How much of a message waits between the store and the server.
const BETWEEN_BYTES: usize = 256 * 1024;

/// What is put back, and where.
pub(super) struct Order {
    pub(super) tenant: TenantId,
    pub(super) system: System,
    pub(super) mailbox: String,
    pub(super) folder: Option<String>,
    pub(super) numbers: BTreeSet<u64>,
    pub(super) under: Option<String>,
}

/// The folder that is open, and what is in it.
#[derive(Default)]
struct Target {
    name: String,
    by_size: BTreeMap<u64, Vec<Present>>,
    hashed: BTreeMap<Digest, u64>,
}

pub(super) async fn run(ctx: &Ctx, named: &str, order: Order) -> Result<Exit, CliError> {
    ctx.load()?;
    let config = ctx.config()?;
    let tenant = config
        .tenants
        .get(&order.tenant)
        .ok_or_else(|| CliError::usage(format!("there is no tenant '{}' in the configuration", order.tenant)))?;
    let Some(SystemKind::Imap(imap)) = tenant.systems.get(&order.system).map(|s| &s.kind) else {
        return Err(CliError::usage(format!(
            "tenant '{}' has no mail server '{}'",
            order.tenant, order.system
        ))
        .next("add one with kind = \"imap\" (docs/connectors/imap.md)"));
    };
    let archive = open(ctx, &config, named).await?;
    let (connector, missing) = open_imap(&HttpClient::new()?, &order.system, imap).map_err(|e| CliError::of(&e))?;
    if let Some(missing) = missing {
        return Err(missing);
    }
    let clock = ctx.clock(&config)?;
    let mut call = Call::new(clock.clone(), Instant::now() + MESSAGE_MAX, Lane::Normal);
    call.allow_writes(true);
    let mut mailbox = connector.restore(&mut call, &order.mailbox).await?;
    let mut target = Target::default();
    let (mut restored, mut there) = (0_u64, 0_u64);
    let done = each(
        ctx,
        &archive,
        order.folder.as_deref(),
        async |folder, segment, message| {
            if !order.numbers.is_empty() && !order.numbers.contains(&message.number) {
                return Ok(());
            }
            let mut call = Call::new(clock.clone(), Instant::now() + MESSAGE_MAX, Lane::Normal);
            call.allow_writes(true);
            enter(&mut mailbox, &mut call, &mut target, folder, order.under.as_deref()).await?;
            if is_there(&mut mailbox, &mut call, &mut target, message).await? {
                there += 1;
            } else {
                append(&mut mailbox, &mut call, &target.name, &archive, segment, message).await?;
                restored += 1;
                if restored.is_multiple_of(SAY_EVERY) {
                    ctx.out.say(format!(
                        "{restored} put back, {there} there already; now in {}",
                        name(folder)
                    ));
                }
            }
            Ok(())
        },
    )
    .await;
    let damage = done?;
    mailbox.close().await;
    if ctx.out.is_json() {
        ctx.out
            .document(&json!({"restored": restored, "there_already": there}))?;
    } else {
        ctx.out
            .line(&format!("{restored} messages put back, {there} were there already"))?;
    }
    damage.or_done()
}

/// Opens the folder that a message belongs into, unless it is open.
async fn enter(
    mailbox: &mut Restoring<'_>,
    call: &mut Call,
    target: &mut Target,
    folder: &FolderEntry,
    under: Option<&str>,
) -> Result<(), CliError> {
    let path: Vec<String> = under
        .map(str::to_owned)
        .into_iter()
        .chain(folder.path.iter().cloned())
        .collect();
    let name = mailbox.name(&path);
    if target.name == name {
        return Ok(());
    }
    let mut by_size: BTreeMap<u64, Vec<Present>> = BTreeMap::new();
    for present in mailbox.folder(call, &name).await? {
        by_size.entry(present.bytes).or_default().push(present);
    }
    *target = Target {
        name,
        by_size,
        hashed: BTreeMap::new(),
    };
    Ok(())
}

/// Whether a message is there that no earlier one of the archive stands for.
async fn is_there(
    mailbox: &mut Restoring<'_>,
    call: &mut Call,
    target: &mut Target,
    message: &MessageEntry,
) -> Result<bool, CliError> {
    for present in target.by_size.remove(&message.bytes).unwrap_or_default() {
        if let Some(digest) = mailbox.digest(call, present).await? {
            *target.hashed.entry(digest).or_default() += 1;
        }
    }
    Ok(match target.hashed.get_mut(&message.sha256) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    })
}

async fn append(
    mailbox: &mut Restoring<'_>,
    call: &mut Call,
    name: &str,
    archive: &Archive,
    segment: &Segment,
    message: &MessageEntry,
) -> Result<(), CliError> {
    use tokio::io::AsyncReadExt as _;
    let tag = mailbox
        .begin(call, name, &message.flags, message.received_ms, message.bytes)
        .await?;
    let (mut read, mut write) = tokio::io::simplex(BETWEEN_BYTES);
    let reading = async move {
        let read = archive.read(segment, message, &mut write).await;
        let _ = write.shutdown().await;
        read.map_err(|e| CliError::of(&e))
    };
    let to = &mut *mailbox;
    // It owns its end, so that the other one does not wait for who has given up.
    let sending = async move {
        let mut buffer = vec![0; BETWEEN_BYTES];
        loop {
            match read.read(&mut buffer).await {
                Ok(0) => return Ok::<(), CliError>(()),
                Ok(some) => to.bytes(&buffer[..some]).await?,
                Err(e) => return Err(CliError::failed("failed to hand a message on").caused_by(Some(&e))),
            }
        }
    };
    let (reading, sending) = tokio::join!(reading, sending);
    sending?;
    // A message that is not what its line says is never ended, so that the server does not take it.
    reading?;
    Ok(mailbox.end(&tag).await?)
}
