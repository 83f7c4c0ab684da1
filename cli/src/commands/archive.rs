//! `offboard archive`: into kept mailboxes, and out of them again. It needs the
//! store alone when the archive is named by its manifest; a case is looked up
//! in the engine.

mod export;
mod restore;
mod search;

use super::Ctx;
use crate::args::ArchiveWhat;
use crate::error::{CliError, Exit};
use crate::show::{safe, when};
use console::style;
use offboard_archive::{Archive, ArchiveError, FolderEntry, HEADERS_MAX, Headers, MessageEntry, Segment};
use offboard_dispatcher::control::Request;
use offboard_dispatcher::view::CaseView;
use offboard_domain::{Digest, Kind, Timestamp};
use offboard_runtime::config::Configuration;
use offboard_store::Store;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

pub(super) async fn run(ctx: &Ctx, what: ArchiveWhat) -> Result<Exit, CliError> {
    match what {
        ArchiveWhat::List { archive: None, .. } => list(ctx).await,
        ArchiveWhat::List {
            archive: Some(archive),
            messages: false,
            folder,
        } => folders(ctx, &archive, folder.as_deref()).await,
        ArchiveWhat::List {
            archive: Some(archive),
            messages: true,
            folder,
        } => messages(ctx, &archive, folder.as_deref()).await,
        ArchiveWhat::Show { archive, message: None } => show(ctx, &archive).await,
        ArchiveWhat::Show {
            archive,
            message: Some(number),
        } => message(ctx, &archive, number).await,
        ArchiveWhat::Search {
            archive,
            words,
            from,
            to,
            subject,
            since,
            until,
            folder,
            body,
        } => {
            let wanted = search::Wanted {
                words,
                from,
                to,
                subject,
                since,
                until,
                folder,
                body,
            };
            search::run(ctx, &archive, &wanted).await
        }
        ArchiveWhat::Export {
            archive,
            into,
            folder,
            message,
        } => {
            let numbers = message.into_iter().collect();
            export::run(ctx, &archive, &into, folder.as_deref(), &numbers).await
        }
        ArchiveWhat::Restore {
            archive,
            tenant,
            system,
            mailbox,
            folder,
            message,
            under,
        } => {
            let order = restore::Order {
                tenant,
                system,
                mailbox,
                folder,
                numbers: message.into_iter().collect(),
                under,
            };
            restore::run(ctx, &archive, order).await
        }
    }
}

/// The archives that a case has, as its tasks' last observations name them.
fn of_case(view: &CaseView) -> impl Iterator<Item = (&str, Digest)> {
    view.tasks
        .iter()
        .filter(|t| t.kind == Kind::ArchiveMailbox)
        .filter_map(|t| {
            let digest = t.seen.as_ref()?.facts.text("manifest_sha256")?.parse().ok()?;
            Some((t.system.as_str(), digest))
        })
}

fn store(config: &Configuration) -> Result<Store, CliError> {
    Ok(Store::at(&config.engine.store)?)
}

/// The archive of that name: a manifest's digest, or a case that has one.
async fn open(ctx: &Ctx, config: &Configuration, named: &str) -> Result<Archive, CliError> {
    if let Ok(digest) = named.parse::<Digest>() {
        return Ok(Archive::open(&store(config)?, digest).await?);
    }
    let mut session = ctx.session_to_read(config).await?;
    let view = session.case(Request::Show { case: named.to_owned() }).await;
    session.close().await?;
    let view = view?;
    let found: Vec<(&str, Digest)> = of_case(&view).collect();
    match found.as_slice() {
        [(_, digest)] => Ok(Archive::open(&store(config)?, *digest).await?),
        [] => Err(CliError::usage(format!("case {} has no archive yet", view.case))
            .next(format!("offboard why {}", view.case))),
        several => {
            let lines: Vec<String> = several
                .iter()
                .map(|(system, digest)| format!("{system}: {digest}"))
                .collect();
            Err(CliError::usage(format!(
                "case {} has more than one archive; name one by its manifest",
                view.case
            ))
            .causes(lines))
        }
    }
}

async fn list(ctx: &Ctx) -> Result<Exit, CliError> {
    let config = ctx.config()?;
    let store = store(&config)?;
    let mut session = ctx.session_to_read(&config).await?;
    let mut found: Vec<(CaseView, String, Digest)> = Vec::new();
    for summary in session.cases(None, false).await? {
        let view = session
            .case(Request::Show {
                case: summary.case.to_string(),
            })
            .await?;
        let of_this: Vec<_> = of_case(&view).map(|(s, d)| (s.to_owned(), d)).collect();
        found.extend(
            of_this
                .into_iter()
                .map(|(system, digest)| (view.clone(), system, digest)),
        );
    }
    session.close().await?;
    let mut rows = Vec::new();
    for (view, system, digest) in found {
        let manifest = Archive::open(&store, digest).await?.manifest;
        rows.push(json!({
            "archive": digest, "case": view.case, "tenant": view.tenant, "system": system,
            "taken_to_ms": manifest.taken_to_ms, "keep_until_ms": manifest.keep_until_ms,
            "folders": manifest.folders.len(), "messages": manifest.messages, "bytes": manifest.bytes,
        }));
        if !ctx.out.is_json() {
            let keep = manifest
                .keep_until_ms
                .map_or_else(|| "until somebody decides".to_owned(), |t| format!("until {}", when(t)));
            ctx.out.line(&format!(
                "{} {} of {}, {system}: {} messages, {}, kept {keep}\n  {}",
                style(view.case).bold(),
                view.reference.as_deref().map(safe).unwrap_or_default(),
                view.tenant,
                manifest.messages,
                size(manifest.bytes),
                style(digest).dim()
            ))?;
        }
    }
    if ctx.out.is_json() {
        ctx.out.document(&rows)?;
    } else if rows.is_empty() {
        ctx.out
            .say("No mailbox is kept; archive_mailbox = true in a tenant's [policy] asks for it.");
    }
    Ok(Exit::Done)
}

/// A folder's name for people.
fn name(folder: &FolderEntry) -> String {
    safe(&folder.path.join("/"))
}

fn fits(folder: &FolderEntry, wanted: Option<&str>) -> bool {
    wanted.is_none_or(|w| folder.path.join("/").to_lowercase().contains(&w.to_lowercase()))
}

fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)];
    let unit = UNITS.iter().find(|(_, of)| bytes >= *of);
    match unit {
        Some((word, of)) => format!("{}.{} {word}", bytes / of, bytes % of * 10 / of),
        None => format!("{bytes} B"),
    }
}

async fn folders(ctx: &Ctx, named: &str, wanted: Option<&str>) -> Result<Exit, CliError> {
    let config = ctx.config()?;
    let archive = open(ctx, &config, named).await?;
    let folders = archive.manifest.folders.iter().filter(|f| fits(&f.folder, wanted));
    if ctx.out.is_json() {
        ctx.out.document(&folders.collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    for taken in folders {
        let lacking = match taken.undelivered {
            0 => String::new(),
            n => format!("  (folder {:04}: {n} listed and not delivered)", taken.folder.number),
        };
        ctx.out.line(&format!(
            "{:>8} {:>10}  {}{lacking}",
            taken.messages,
            size(taken.bytes),
            name(&taken.folder)
        ))?;
    }
    Ok(Exit::Done)
}

/// Why a message is not gone on with.
enum Stop {
    /// It is damaged or missing: others may be read.
    Damage(ArchiveError),
    /// Neither is any other.
    End(CliError),
}

impl From<ArchiveError> for Stop {
    fn from(error: ArchiveError) -> Self {
        if error.is_damage() {
            Self::Damage(error)
        } else {
            Self::End(CliError::of(&error))
        }
    }
}

impl From<CliError> for Stop {
    fn from(error: CliError) -> Self {
        Self::End(error)
    }
}

/// What of an archive could not be read. Each is named where it is met.
#[derive(Default)]
struct Damage {
    messages: u64,
    /// Which messages are in a part is in the part.
    parts: u64,
}

impl Damage {
    fn name(ctx: &Ctx, what: &str, error: &ArchiveError) {
        ctx.out.say(format!("{what}: {}", CliError::of(error).brief()));
    }

    /// That something was passed over is a failure, when everything else is done.
    fn or_done(&self) -> Result<Exit, CliError> {
        let Self { messages, parts } = self;
        if messages + parts == 0 {
            return Ok(Exit::Done);
        }
        Err(CliError::failed(format!(
            "{messages} messages and {parts} parts of the archive could not be read, and were passed over; they are named above"
        ))
        .next("restore the store from a backup, then give the same command again"))
    }
}

/// Goes through the messages of an archive, a part at a time. What is damaged is named
/// and passed over.
async fn each<'a, F>(ctx: &Ctx, archive: &'a Archive, wanted: Option<&str>, mut with: F) -> Result<Damage, CliError>
where
    F: AsyncFnMut(&'a FolderEntry, &Segment, &MessageEntry) -> Result<(), Stop>,
{
    let mut damage = Damage::default();
    let folders: BTreeMap<u32, &FolderEntry> = archive
        .manifest
        .folders
        .iter()
        .map(|f| &f.folder)
        .filter(|f| fits(f, wanted))
        .map(|f| (f.number, f))
        .collect();
    for part in &archive.manifest.parts {
        let segments = match archive.segments_of(*part).await {
            Ok(segments) => segments,
            Err(error) if error.is_damage() => {
                damage.parts += 1;
                Damage::name(ctx, &format!("part {part}"), &error);
                continue;
            }
            Err(error) => return Err(CliError::of(&error)),
        };
        for segment in &segments {
            for message in &segment.messages {
                let Some(folder) = folders.get(&message.folder) else {
                    continue;
                };
                match with(folder, segment, message).await {
                    Ok(()) => {}
                    Err(Stop::Damage(error)) => {
                        damage.messages += 1;
                        let what = format!("message {} in {}", message.number, name(folder));
                        Damage::name(ctx, &what, &error);
                    }
                    Err(Stop::End(error)) => return Err(error),
                }
            }
        }
    }
    Ok(damage)
}

fn line(folder: &FolderEntry, message: &MessageEntry) -> Value {
    json!({
        "number": message.number, "folder": folder.path, "flags": message.flags, "received_ms": message.received_ms,
        "bytes": message.bytes, "sha256": message.sha256,
    })
}

async fn messages(ctx: &Ctx, named: &str, wanted: Option<&str>) -> Result<Exit, CliError> {
    let config = ctx.config()?;
    let archive = open(ctx, &config, named).await?;
    let damage = each(ctx, &archive, wanted, async |folder, _, message| {
        if ctx.out.is_json() {
            ctx.out.object(&line(folder, message))?;
            return Ok(());
        }
        let received = message.received_ms.map(|ms| when(Timestamp(ms))).unwrap_or_default();
        ctx.out.line(&format!(
            "{:>8} {:>10}  {received}  {}",
            message.number,
            size(message.bytes),
            name(folder)
        ))?;
        Ok(())
    })
    .await?;
    damage.or_done()
}

async fn show(ctx: &Ctx, named: &str) -> Result<Exit, CliError> {
    let config = ctx.config()?;
    let archive = open(ctx, &config, named).await?;
    let missing = archive.missing().await?;
    let manifest = &archive.manifest;
    if ctx.out.is_json() {
        ctx.out
            .document(&json!({"archive": archive.digest, "missing": missing, "manifest": manifest}))?;
    } else {
        let mut text = format!("{}\n", style(archive.digest).bold());
        let mut row = |name: &str, value: String| text.push_str(&format!("  {name:<10} {value}\n"));
        row(
            "case",
            format!("{} of {}, system {}", manifest.case, manifest.tenant, manifest.system),
        );
        row(
            "taken",
            format!("{} to {}", when(manifest.taken_from_ms), when(manifest.taken_to_ms)),
        );
        row(
            "kept",
            manifest
                .keep_until_ms
                .map_or_else(|| "until somebody decides".to_owned(), |t| format!("until {}", when(t))),
        );
        row(
            "holds",
            format!(
                "{} messages, {}, {} folders",
                manifest.messages,
                size(manifest.bytes),
                manifest.folders.len()
            ),
        );
        row("parts", manifest.parts.len().to_string());
        row(
            "store",
            if missing == 0 {
                "every piece is there".to_owned()
            } else {
                style(format!("{missing} pieces are missing or cut short"))
                    .red()
                    .to_string()
            },
        );
        ctx.out.data(&text)?;
    }
    if missing > 0 {
        return Err(
            CliError::failed(format!("{missing} pieces of the archive are not in the store"))
                .next("restore the store from a backup"),
        );
    }
    Ok(Exit::Done)
}

async fn message(ctx: &Ctx, named: &str, number: u64) -> Result<Exit, CliError> {
    let config = ctx.config()?;
    let archive = open(ctx, &config, named).await?;
    let (segment, message) = archive.find(number).await?;
    if ctx.out.is_json() {
        let folder = archive
            .manifest
            .folders
            .iter()
            .map(|f| &f.folder)
            .find(|f| f.number == message.folder);
        let mut shown = folder.map(|f| line(f, &message)).unwrap_or_default();
        shown["headers"] = json!(headers(&archive, &segment, &message).await?);
        ctx.out.document(&shown)?;
    } else {
        archive
            .read(&segment, &message, &mut Stdout)
            .await
            .map_err(reader_gone)?;
    }
    Ok(Exit::Done)
}

fn reader_gone(error: ArchiveError) -> CliError {
    match &error {
        ArchiveError::Sink(e) if e.kind() == std::io::ErrorKind::BrokenPipe => CliError::reader_gone(),
        _ => CliError::of(&error),
    }
}

/// Standard output for a message's bytes, which are no text.
struct Stdout;

impl AsyncWrite for Stdout {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(std::io::stdout().lock().write_all(bytes).map(|()| bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(std::io::stdout().lock().flush())
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.poll_flush(cx)
    }
}

/// A message's headers; of a large one its beginning is enough.
async fn headers(archive: &Archive, segment: &Segment, message: &MessageEntry) -> Result<Headers, ArchiveError> {
    Ok(Headers::read(&archive.beginning(segment, message, HEADERS_MAX).await?))
}
