//! `offboard approve CASE [TASK]`: shows what is approved, asks, and binds the
//! approval to the digest of exactly what was shown.

use super::Ctx;
use crate::error::{CliError, Exit};
use crate::out::{ask, can_ask};
use crate::show::safe;
use console::style;
use offboard_dispatcher::control::{Approval, Request};
use offboard_dispatcher::view::{CaseView, TaskView};
use offboard_domain::catalogue::Approval as Needs;
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
        for task in view.tasks.iter().filter(|t| t.writes) {
            text.push_str(&line(task));
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
            "One task of {} ({} of {}):\n{}Digest {}\n",
            style(view.case).bold(),
            safe(&view.person),
            view.tenant,
            line(task),
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

fn needs_own(task: &TaskView) -> bool {
    task.kind.spec().approval == Needs::Own
}

fn line(task: &TaskView) -> String {
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
    format!("  • {}{object} ({}){warning}\n", task.title, task.system)
}
