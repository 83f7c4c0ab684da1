//! `offboard escrow`: which devices' recovery keys a case has put into escrow,
//! and the keys themselves, for a reason.
//!
//! A key is shown on standard output and nowhere else, and only once it is
//! written down who opened it and why ([`journal`]). What was kept is found in
//! the case's history, or in its sealed account ([`kept`]), never by searching
//! the store.

mod journal;
mod kept;

use super::{Ctx, required};
use crate::args::EscrowWhat;
use crate::error::{CliError, Exit};
use crate::out::columns;
use crate::show::{Table, safe, state, when};
use journal::Entry;
use kept::Key;
use offboard_dispatcher::control::Request;
use offboard_dispatcher::view::{CaseView, TaskView};
use offboard_domain::estate::Serial;
use offboard_domain::{CaseId, Kind, TaskId, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write as _;
use zeroize::Zeroizing;

/// Room for one key as it is printed, so that the buffer does not grow and leave
/// copies.
const LINE_BYTES: usize = 1_024;

pub(super) async fn run(ctx: &Ctx, what: EscrowWhat) -> Result<Exit, CliError> {
    match what {
        EscrowWhat::List { case } => list(ctx, case).await,
        EscrowWhat::Open { case, device, reason } => open(ctx, case, &device, reason).await,
    }
}

/// The tasks that keep the recovery keys of a device each.
fn devices(view: &CaseView) -> impl Iterator<Item = &TaskView> {
    view.tasks.iter().filter(|t| t.kind == Kind::EscrowRecoveryKeys)
}

/// The tasks that keep something of the same device: its recovery keys, and the code
/// that a Mac asks for once it is wiped.
fn keepers(view: &CaseView, task: &TaskView) -> Vec<TaskId> {
    let wipes = |t: &&TaskView| t.kind == Kind::WipeDevice && t.system == task.system && t.object == task.object;
    let wipe = view.tasks.iter().filter(wipes).map(|t| t.id);
    std::iter::once(task.id).chain(wipe).collect()
}

/// The id of the device in the system that the task is of.
fn device(task: &TaskView) -> &str {
    task.object.as_deref().unwrap_or_default()
}

fn serial(task: &TaskView) -> Option<&str> {
    task.params.text("serial")
}

/// How many keys were kept when it was last read; none: it was not read yet.
fn count(task: &TaskView) -> Option<i64> {
    task.seen.as_ref()?.facts.int("escrowed_count")
}

async fn list(ctx: &Ctx, case: String) -> Result<Exit, CliError> {
    let config = ctx.config()?;
    let mut session = ctx.session_to_read(&config).await?;
    let view = session.case(Request::Show { case }).await;
    session.close().await?;
    let view = view?;
    if ctx.out.is_json() {
        let rows: Vec<Value> = devices(&view)
            .map(|t| {
                json!({
                    "task": t.id, "system": t.system, "device": device(t), "serial": serial(t), "keys": count(t),
                    "status": t.status, "settled_at": t.settled_at,
                })
            })
            .collect();
        return ctx.out.document(&rows).map(|()| Exit::Done);
    }
    let mut table = Table::new(&["TASK", "SYSTEM", "DEVICE", "SERIAL", "KEYS", "KEPT"]);
    for task in devices(&view) {
        table.row(vec![
            task.id.to_string(),
            task.system.clone(),
            safe(device(task)),
            serial(task).map_or_else(|| "-".to_owned(), safe),
            count(task).map_or_else(|| "-".to_owned(), |n| n.to_string()),
            task.settled_at.map_or_else(|| state(&task.status).to_string(), when),
        ]);
    }
    if table.is_empty() {
        ctx.out.say(format!(
            "Case {} has no device whose recovery keys were to be kept.",
            view.case
        ));
    } else {
        ctx.out.line(&table.lines(columns()).join("\n"))?;
    }
    Ok(Exit::Done)
}

async fn open(ctx: &Ctx, case: String, given: &str, reason: String) -> Result<Exit, CliError> {
    let by = ctx.actor()?;
    let reason = required("the reason", reason)?;
    let config = ctx.config()?;
    let found = kept::find(ctx, &config, case).await?;
    let view = &found.view;
    let task = named(view, given)?;
    let files = found.kept(&config, &keepers(view, task)).await?;
    if files.is_empty() {
        return Err(nothing(view, task));
    }
    let opened = kept::open(&config, view, device(task), &files).await?;
    if opened.keys.is_empty() {
        let why = opened.failed.into_iter().next();
        return Err(why.unwrap_or_else(|| nothing(view, task)));
    }
    let text = if ctx.out.is_json() {
        as_json(view, task, &opened.keys)?
    } else {
        as_text(&opened.keys)
    };
    let log = journal::place(ctx, &config);
    let entry = Entry {
        at: ctx.clock(&config)?.now().to_string(),
        by: &by,
        tenant: &view.tenant,
        case: view.case,
        task: task.id,
        system: &task.system,
        device: device(task),
        keys: opened.keys.len(),
        reason: reason.trim(),
    };
    journal::append(&log, &entry)?;
    ctx.out.data(&text)?;
    ctx.out
        .say(format!("Opened by {}, which stands in {}", safe(&by), log.display()));
    if !ctx.out.is_json() && opened.keys.iter().any(|k| safe(k.key.expose()) != k.key.expose()) {
        ctx.out.say(
            "A key holds characters that a terminal cannot show; they stand here as \u{fffd}. `--json` gives it as it is.",
        );
    }
    if opened.failed.is_empty() {
        return Ok(Exit::Done);
    }
    Err(CliError::failed(format!(
        "{} of {} files with recovery keys of device {} could not be opened; what the others hold was shown",
        opened.failed.len(),
        files.len(),
        safe(device(task))
    ))
    .causes(opened.failed.iter().map(CliError::brief)))
}

/// The one device that is meant; an id or a number that fits whole goes before
/// beginnings.
fn named<'a>(view: &'a CaseView, given: &str) -> Result<&'a TaskView, CliError> {
    let given = given.trim();
    let mut fitting: Vec<&TaskView> = devices(view).filter(|t| is_called(t, given)).collect();
    if fitting.is_empty() {
        fitting = devices(view).filter(|t| begins_with(t, given)).collect();
    }
    match fitting.as_slice() {
        [one] => Ok(*one),
        [] if devices(view).next().is_none() => Err(CliError::usage(format!(
            "case {} has no device '{}': there is none whose recovery keys were to be kept",
            view.case,
            safe(given)
        ))
        .next(format!("`offboard show {}` shows what the case is about", view.case))),
        [] => Err(CliError::usage(format!(
            "case {} keeps no recovery keys of a device '{}'",
            view.case,
            safe(given)
        ))
        .next(format!(
            "`offboard escrow list {}` lists the devices that there are",
            view.case
        ))),
        several => Err(
            CliError::usage(format!("'{}' fits several devices of case {}", safe(given), view.case))
                .causes(several.iter().map(|t| {
                    let number = serial(t).map(|s| format!(", serial number {}", safe(s)));
                    format!(
                        "{} in {}{} ({})",
                        safe(device(t)),
                        t.system,
                        number.unwrap_or_default(),
                        t.id
                    )
                }))
                .next("name one of them by its whole id, or by its task"),
        ),
    }
}

/// The ids that the device is known by.
fn ids(task: &TaskView) -> impl Iterator<Item = &str> {
    let known = ["managed_id", "object_id", "device_id"]
        .into_iter()
        .filter_map(move |name| task.params.text(name));
    task.object.as_deref().into_iter().chain(known)
}

fn is_called(task: &TaskView, given: &str) -> bool {
    let wanted = Serial::parse(given);
    let numbered =
        |number: &str| number.eq_ignore_ascii_case(given) || (wanted.is_some() && Serial::parse(number) == wanted);
    task.id.to_string() == given
        || ids(task).any(|id| id.eq_ignore_ascii_case(given))
        || serial(task).is_some_and(numbered)
}

fn begins_with(task: &TaskView, given: &str) -> bool {
    let begins = |id: &str| {
        id.get(..given.len())
            .is_some_and(|beginning| beginning.eq_ignore_ascii_case(given))
    };
    !given.is_empty() && ids(task).any(begins)
}

/// There is nothing to open.
fn nothing(view: &CaseView, task: &TaskView) -> CliError {
    let why = if task.settled_at.is_some() {
        format!("{} had none when it was read", task.system)
    } else {
        safe(&task.words)
    };
    CliError::failed(format!(
        "no recovery key of device {} was kept in case {}: {why}",
        safe(device(task)),
        view.case
    ))
    .next(format!("offboard why {} {}", view.case, task.id))
}

/// One key a line: what it opens, the key, the name that goes with it, since when,
/// and its id, whose beginning a locked device shows.
fn as_text(keys: &[Key]) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(keys.len() * LINE_BYTES));
    for key in keys {
        let sort = safe(&key.sort).replace('_', " ");
        let shown = Zeroizing::new(safe(key.key.expose()));
        let label = key.label.as_deref().map_or_else(|| "-".to_owned(), safe);
        let since = key.created_ms.map_or_else(|| "-".to_owned(), |ms| when(Timestamp(ms)));
        let id = safe(&key.id);
        let _ = writeln!(out, "{sort:<19}  {}  {label}  {since}  {id}", shown.as_str());
    }
    out
}

/// A device's keys, as a document.
#[derive(Serialize)]
struct Shown<'a> {
    case: CaseId,
    task: TaskId,
    system: &'a str,
    device: &'a str,
    serial: Option<&'a str>,
    keys: Vec<ShownKey<'a>>,
}

/// One key in it.
#[derive(Serialize)]
struct ShownKey<'a> {
    id: &'a str,
    sort: &'a str,
    label: Option<&'a str>,
    key: &'a str,
    created_ms: Option<i64>,
}

fn as_json(view: &CaseView, task: &TaskView, keys: &[Key]) -> Result<Zeroizing<String>, CliError> {
    let shown = Shown {
        case: view.case,
        task: task.id,
        system: &task.system,
        device: device(task),
        serial: serial(task),
        keys: keys
            .iter()
            .map(|k| ShownKey {
                id: &k.id,
                sort: &k.sort,
                label: k.label.as_deref(),
                key: k.key.expose(),
                created_ms: k.created_ms,
            })
            .collect(),
    };
    let mut text = Zeroizing::new(serde_json::to_string_pretty(&shown)?);
    text.push('\n');
    Ok(text)
}
