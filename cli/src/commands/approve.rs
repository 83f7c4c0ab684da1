//! `offboard approve CASE [TASK]`: shows what is approved, asks, and binds the
//! approval to the digest of exactly what was shown.

use super::Ctx;
use crate::error::{CliError, Exit};
use crate::out::{ask, can_ask};
use crate::show::{amended, handed_in, safe, when};
use console::style;
use offboard_dispatcher::control::{Approval, Request};
use offboard_dispatcher::view::{CaseView, TaskView};
use offboard_domain::catalogue::Approval as Needs;
use offboard_domain::departure::Manner;
use offboard_domain::{Digest, Kind};

pub(super) async fn run(
    ctx: &Ctx,
    case: String,
    task: Option<String>,
    yes: bool,
    digest: Option<Digest>,
) -> Result<Exit, CliError> {
    let by = ctx.actor()?;
    let config = ctx.config_of_order()?;
    // The folder is let go while a person reads: he may take his time.
    let mut session = ctx.session(&config).await?;
    let view = session.case(Request::Show { case }).await;
    session.close().await?;
    let view = view?;
    let asked = match &task {
        None => Asked::plan(&view),
        Some(given) => Asked::task(&view, given)?,
    };
    if let Some(named) = digest.filter(|d| *d != asked.digest) {
        return Err(CliError::failed(format!(
            "the digest is {} and not {named}; nothing was approved",
            asked.digest
        ))
        .next(format!("look at it again: offboard show {}", view.case)));
    }
    ctx.out.say(&asked.text);
    if !yes && digest.is_none() {
        if !can_ask() {
            return Err(CliError::usage("nobody can be asked here, and nothing was approved")
                .next(format!("repeat with --yes, or with --digest {}", asked.digest)));
        }
        if !ask(&format!("{by} approves this?"))? {
            ctx.out.say("Nothing was approved.");
            return Ok(Exit::Failed);
        }
    }
    let mut session = ctx.session(&config).await?;
    let after = session
        .case(Request::Approve {
            case: view.case.to_string(),
            by: by.clone(),
            of: asked.of,
        })
        .await;
    session.close().await?;
    let after = after?;
    if ctx.out.is_json() {
        return ctx.out.document(&after).map(|()| Exit::Done);
    }
    ctx.out.line(&format!("approved by {by}: {}", asked.digest))?;
    Ok(Exit::Done)
}

struct Asked {
    of: Approval,
    digest: Digest,
    text: String,
}

impl Asked {
    fn plan(view: &CaseView) -> Self {
        let digest = view.plan_digest;
        let mut text = format!(
            "The plan of {} ({} of {}):\n",
            style(view.case).bold(),
            safe(&view.person),
            view.tenant
        );
        text.push_str(&format!(
            "{}, effective {}, requested by {}\n",
            if view.manner == Manner::Immediate {
                "Immediate"
            } else {
                "Planned"
            },
            when(view.effective_at),
            safe(&asked_by(view))
        ));
        for task in view.tasks.iter().filter(|t| t.writes) {
            text.push_str(&line(task, view));
        }
        text.push_str(&format!("Digest {digest}\n"));
        if view.tasks.iter().any(needs_own) {
            text.push_str("Tasks that cannot be undone are approved one by one, and not with this.\n");
        }
        Self {
            of: Approval::Plan { digest },
            digest,
            text,
        }
    }

    fn task(view: &CaseView, given: &str) -> Result<Self, CliError> {
        let named = Kind::ALL
            .iter()
            .find(|k| k.name() == given || k.name().split_once('.').is_some_and(|(_, v)| v == given));
        let fits = |t: &&TaskView| match named {
            Some(kind) => t.kind == *kind,
            None => given.starts_with("t-") && t.id.to_string().starts_with(given),
        };
        let found: Vec<&TaskView> = view.tasks.iter().filter(fits).collect();
        let task = match found.as_slice() {
            [one] => *one,
            [] => {
                return Err(CliError::usage(format!("case {} has no task '{given}'", view.case))
                    .next(format!("offboard show {} lists its tasks", view.case)));
            }
            several => {
                return Err(CliError::usage(format!("'{given}' fits several tasks"))
                    .causes(
                        several
                            .iter()
                            .map(|t| format!("{} ({} {})", t.id, t.kind, safe(t.object.as_deref().unwrap_or("")))),
                    )
                    .next("name one by its id"));
            }
        };
        let text = format!(
            "One task of {} ({} of {}):\n{}To be done from {} on\nDigest {}\n",
            style(view.case).bold(),
            safe(&view.person),
            view.tenant,
            line(task, view),
            when(view.effective_at),
            task.digest
        );
        Ok(Self {
            of: Approval::Task {
                task: task.id.to_string(),
                digest: task.digest,
            },
            digest: task.digest,
            text,
        })
    }
}

/// Everybody who asked for it, or for something else in it, and who handed that in.
fn asked_by(view: &CaseView) -> String {
    let mut all = view.requested_by.clone() + &handed_in(view.handed_in_by.as_deref());
    for other in &view.joined {
        let by = handed_in(other.handed_in_by.as_deref());
        all.push_str(&format!(", {}{by} (case {})", other.requested_by, other.case));
    }
    if !view.amended_by.is_empty() {
        all.push_str(&format!("; changed by {}", amended(view)));
    }
    all
}

fn needs_own(task: &TaskView) -> bool {
    task.kind.spec().approval == Needs::Own
}

/// Prices say what something costs, and not what is done.
fn says_what_is_done(param: &str) -> bool {
    !param.starts_with("price_cents/") && param != "currency" && param != "earlier_life_ms"
}

/// The serial number of the device that the task is about: people know no id.
fn serial<'a>(task: &TaskView, view: &'a CaseView) -> Option<&'a str> {
    let object = task.object.as_deref()?;
    let known = view.devices.iter();
    let device = known
        .filter(|d| {
            d.seen
                .iter()
                .any(|s| s.id.0 == object && s.system.as_str() == task.system)
        })
        .find_map(|d| d.serial.as_ref())?;
    Some(device.as_str())
}

/// A task, with all that an approval of it binds.
fn line(task: &TaskView, view: &CaseView) -> String {
    let object = task
        .object
        .as_deref()
        .map(|o| format!(" [{}]", safe(o)))
        .unwrap_or_default();
    let warning = match (needs_own(task), task.reversible) {
        (true, _) => style("  cannot be undone; by its own approval").red().to_string(),
        (false, false) => style("  cannot be undone").red().to_string(),
        (false, true) => String::new(),
    };
    let number = serial(task, view)
        .map(|s| format!(" serial number {}", safe(s)))
        .unwrap_or_default();
    let mut text = format!("  • {}{object}{number} ({}){warning}\n", task.title, task.system);
    let params = task.params.0.iter().filter(|(name, _)| says_what_is_done(name));
    let with: Vec<String> = params
        .map(|(name, fact)| format!("{name} = {}", safe(&fact.to_string())))
        .collect();
    if !with.is_empty() {
        text.push_str(&format!("      {}\n", style(with.join(", ")).dim()));
    }
    text
}
