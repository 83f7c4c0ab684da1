//! `offboard why CASE [TASK]`: what was seen, which fault, which rule, what is
//! next and when.

use super::Ctx;
use crate::error::{CliError, Exit};
use crate::session::unexpected;
use crate::show::{relative, safe, state, when};
use console::style;
use offboard_dispatcher::control::{Request, Response, WhyTask, WhyView};
use offboard_domain::{Area, Observation, Timestamp};

pub(super) async fn run(ctx: &Ctx, case: String, task: Option<String>) -> Result<Exit, CliError> {
    let config = ctx.config()?;
    let mut session = ctx.session_to_read(&config).await?;
    let answer = session.ask(Request::Why { case, task }).await;
    session.close().await?;
    let why = match answer? {
        Response::Why(why) => why,
        other => return Err(unexpected(&other)),
    };
    if ctx.out.is_json() {
        ctx.out.document(&why)?;
    } else {
        ctx.out.data(&text(&why, ctx.clock(&config)?.now()))?;
    }
    Ok(Exit::Done)
}

fn text(why: &WhyView, now: Timestamp) -> String {
    let case = &why.case;
    let doing = if case.doing.is_empty() {
        String::new()
    } else {
        format!(": {}", safe(&case.doing))
    };
    let mut out = format!(
        "{} of {}, {} — {}{doing}\n",
        style(case.case).bold(),
        case.tenant,
        safe(&case.person),
        state(&case.state)
    );
    if why.tasks.is_empty() {
        out.push_str(if case.ended {
            "Nothing holds it up: its life is over.\n"
        } else {
            "No task holds it up at this moment.\n"
        });
    }
    for task in &why.tasks {
        out.push_str(&explain(task, now));
    }
    out
}

fn explain(why: &WhyTask, now: Timestamp) -> String {
    let task = &why.task;
    let mut out = format!(
        "\n{} {}\n",
        style(&task.title).bold(),
        style(format!("{} {}", task.id, task.kind)).dim()
    );
    let mut row = |name: &str, value: String| out.push_str(&format!("  {name:<9} {value}\n"));
    row("stands", format!("{} — {}", state(&task.status), safe(&task.words)));
    let machine = task.kind.spec().area != Area::Person;
    if machine {
        row("wanted", why.wanted.clone());
    }
    if let Some(before) = why.before.as_ref().filter(|b| Some(*b) != task.seen.as_ref()) {
        row("before", observation(before, now));
    }
    match &task.seen {
        Some(seen) => row("seen", observation(seen, now)),
        None if machine => row("seen", "nothing yet".to_owned()),
        None => {}
    }
    if let Some(verdict) = &why.verdict {
        row("means", safe(verdict));
    }
    if let Some(fault) = &why.fault {
        let id = fault
            .request_id
            .as_deref()
            .map(|i| format!(" [request {}]", safe(i)))
            .unwrap_or_default();
        let since = why
            .fault_at
            .map(|at| format!(" ({})", relative(at, now)))
            .unwrap_or_default();
        let said = format!("{}{id}{since}", safe(&fault.to_string()));
        if why.fault_holds {
            row("fault", style(said).red().to_string());
        } else {
            row("earlier", style(format!("fault: {said}")).dim().to_string());
        }
    }
    if let Some(rule) = &why.rule {
        row("rule", format!("{}: {}", rule_name(rule.rule), rule.advice));
    }
    if machine {
        let tries = format!("{} of {} used, {} faults in all", why.spent, why.allowed, task.faults);
        row("tries", tries);
    }
    if let Some(at) = task.next_at {
        row("next", format!("{} ({})", when(at), relative(at, now)));
    }
    if !why.history.is_empty() {
        out.push_str("  history\n");
        for h in &why.history {
            out.push_str(&format!("    {} {}\n", style(when(h.at)).dim(), safe(&h.what)));
            for receipt in &h.receipts {
                out.push_str(&format!("        {}\n", style(safe(receipt)).dim()));
            }
        }
    }
    out
}

fn observation(seen: &Observation, now: Timestamp) -> String {
    let facts: Vec<String> = seen
        .facts
        .0
        .iter()
        .map(|(name, fact)| format!("{name} = {}", safe(&fact.to_string())))
        .collect();
    format!(
        "{} ({}, {})",
        facts.join(", "),
        seen.sources.join(" and "),
        relative(seen.read_at, now)
    )
}

fn rule_name(rule: offboard_domain::Rule) -> String {
    serde_json::to_value(rule)
        .ok()
        .and_then(|v| v.as_str().map(str::to_owned))
        .unwrap_or_else(|| format!("{rule:?}"))
}
