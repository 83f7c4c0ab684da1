//! `offboard show CASE`.

use super::Ctx;
use crate::error::{CliError, Exit};
use crate::show::{about, bar, relative, safe, state, when};
use console::style;
use offboard_dispatcher::control::Request;
use offboard_dispatcher::view::{CaseView, TaskView};
use offboard_domain::Timestamp;
use offboard_domain::catalogue::Stage;
use offboard_domain::departure::Manner;

pub(super) async fn run(ctx: &Ctx, case: String) -> Result<Exit, CliError> {
    let config = ctx.config()?;
    let mut session = ctx.session(&config).await?;
    let view = session.case(Request::Show { case }).await;
    session.close().await?;
    let view = view?;
    if ctx.out.is_json() {
        ctx.out.document(&view)?;
    } else {
        ctx.out.data(&text(&view, ctx.clock(&config)?.now()))?;
    }
    Ok(Exit::Done)
}

fn text(view: &CaseView, now: Timestamp) -> String {
    let mut out = header(view, now);
    for stage in Stage::ALL {
        let tasks: Vec<&TaskView> = view.tasks.iter().filter(|t| t.stage == *stage).collect();
        if tasks.is_empty() {
            continue;
        }
        let done = tasks.iter().filter(|t| t.status == "done").count();
        out.push_str(&format!("\n{} {done}/{}\n", style(stage.title()).bold(), tasks.len()));
        for task in tasks {
            out.push_str(&task_line(task));
        }
    }
    out.push_str(&needs(view));
    out
}

fn header(view: &CaseView, now: Timestamp) -> String {
    let manner = match view.manner {
        Manner::Planned => "planned",
        Manner::Immediate => "immediate",
    };
    let reference = view
        .reference
        .as_deref()
        .map(|r| format!(" ({})", safe(r)))
        .unwrap_or_default();
    let detail = view
        .detail
        .as_deref()
        .map(|d| format!(": {}", safe(d)))
        .unwrap_or_default();
    let mut out = format!("{}{reference} of {}\n", style(view.case).bold(), view.tenant);
    let mut row = |name: &str, value: String| out.push_str(&format!("  {name:<12} {value}\n"));
    row("person", safe(&view.person));
    row("state", format!("{}{detail}", state(&view.state)));
    row(
        "progress",
        format!("{} {}/{}", bar(view.settled, view.total, 24), view.settled, view.total),
    );
    row(
        "departure",
        format!(
            "{manner}, access ends {} ({})",
            when(view.effective_at),
            relative(view.effective_at, now)
        ),
    );
    row(
        "requested",
        format!("by {}, accepted {}", safe(&view.requested_by), when(view.opened_at)),
    );
    row("changed", relative(view.changed_at, now));
    if let Some(evidence) = &view.evidence {
        row("evidence", evidence.to_string());
    }
    out
}

fn task_line(task: &TaskView) -> String {
    let mark = match task.status.as_str() {
        "done" if task.outcome.as_deref() == Some("waived") => style("~").yellow(),
        "done" => style("✓").green(),
        "working" => style("▶").cyan(),
        "failed" => style("✗").red(),
        "person" => style("?").yellow(),
        "resting" => style("…").cyan(),
        "never" => style("-").dim(),
        _ => style("·").dim(),
    };
    let object = about(task.kind, task.object.as_deref(), &task.system);
    let words = safe(&task.words);
    let words = if task.status == "done" {
        style(words).dim()
    } else {
        style(words)
    };
    format!(
        "  {mark} {}{object}\n      {} {words}\n",
        task.title,
        style(format!("{} {}", task.id, task.kind)).dim()
    )
}

fn needs(view: &CaseView) -> String {
    if view.needs.is_empty() {
        return String::new();
    }
    let mut out = format!("\n{}\n", style("What a person must do").yellow().bold());
    for need in &view.needs {
        let task = view.tasks.iter().find(|t| t.id == need.task);
        let object = task
            .map(|t| about(t.kind, t.object.as_deref(), &t.system))
            .unwrap_or_default();
        let title = need.kind.spec().title;
        // A person's own task says nothing more than its title.
        let why = if need.why.ends_with(title) {
            String::new()
        } else {
            format!(": {}", safe(&need.why))
        };
        out.push_str(&format!(
            "  {title}{object}{why}\n      {}\n",
            style(&need.command).bold()
        ));
    }
    out
}
