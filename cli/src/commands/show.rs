//! `offboard show CASE`.

use super::Ctx;
use crate::error::{CliError, Exit};
use crate::show::{about, amended, bar, handed_in, relative, safe, state, when};
use console::style;
use offboard_dispatcher::control::Request;
use offboard_dispatcher::view::{CaseView, DeadlineView, TaskView};
use offboard_domain::catalogue::Stage;
use offboard_domain::departure::Manner;
use offboard_domain::estate::{Holding, KnownDevice, Serial};
use offboard_domain::{System, Timestamp};
use std::collections::BTreeSet;

pub(super) async fn run(ctx: &Ctx, case: String) -> Result<Exit, CliError> {
    let config = ctx.config()?;
    let mut session = ctx.session_to_read(&config).await?;
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
    out.push_str(&devices(&view.devices));
    out.push_str(&deadlines(&view.deadlines, now));
    out.push_str(&needs(view));
    out
}

/// Each device once, with who knows it as what. What one system alone knows, and
/// what cannot be told apart, is said.
fn devices(known: &[KnownDevice]) -> String {
    if known.is_empty() {
        return String::new();
    }
    let systems: BTreeSet<&System> = known.iter().flat_map(|d| &d.seen).map(|s| &s.system).collect();
    let mut out = format!("\n{}\n", style("Devices, as the systems know them").bold());
    for device in known {
        let here: BTreeSet<&System> = device.seen.iter().map(|s| &s.system).collect();
        let note = match (&device.serial, here.len()) {
            _ if device.ambiguous => {
                " (several records of one system carry this number: they may be different devices)"
            }
            (None, 1) if systems.len() > 1 => " (no usable serial number: it cannot be known again elsewhere)",
            (Some(_), 1) if systems.len() > 1 => " (no other system knows it)",
            _ => "",
        };
        let number = device.serial.as_ref().map_or("-", Serial::as_str);
        out.push_str(&format!("  {}{}\n", safe(number), style(note).yellow()));
        for one in &device.seen {
            out.push_str(&format!(
                "      {} [{}] {}\n",
                one.system,
                safe(&one.id.0),
                style(held(one.held)).dim()
            ));
        }
    }
    out
}

/// What the vendors' clocks end with, and what to do before.
fn deadlines(all: &[DeadlineView], now: Timestamp) -> String {
    if all.is_empty() {
        return String::new();
    }
    let mut out = format!("\n{}\n", style("What vendors delete by themselves").bold());
    for one in all {
        let time = format!("{} ({})", when(one.at), relative(one.at, now));
        let (mark, time) = if one.passed {
            ("over", style(time).dim())
        } else if one.or_before {
            ("by  ", style(time).yellow())
        } else {
            ("from", style(time).yellow())
        };
        let (system, words) = (safe(&one.system), safe(&one.words));
        out.push_str(&format!("  {mark} {time} [{system}] {words}\n"));
        if !one.passed {
            out.push_str(&format!("      {}\n", style(safe(&one.advice)).dim()));
        }
    }
    out
}

fn held(held: Holding) -> &'static str {
    match held {
        Holding::Listed => "listed in the directory, not managed",
        Holding::Remote => "in the remote management",
        Holding::ManagedWorkspace => "managed in the workspace, the company's",
        Holding::ManagedUnknown => "managed, nobody says whose it is",
        Holding::ManagedCompany => "managed, the company's",
        Holding::ManagedPersonal => "managed, his own",
    }
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
        format!(
            "by {}{}, accepted {}",
            safe(&view.requested_by),
            handed_in(view.handed_in_by.as_deref()),
            when(view.opened_at)
        ),
    );
    if !view.amended_by.is_empty() {
        row("amended", format!("by {}", amended(view)));
    }
    for other in &view.joined {
        let reference = other.reference.as_deref().map(|r| format!("{} ", safe(r)));
        let wants: String = other.wants.iter().map(|kept| format!("; wants {kept}")).collect();
        row(
            "also asked",
            format!(
                "by {}{} in {}({}), access ends {}{wants}",
                safe(&other.requested_by),
                handed_in(other.handed_in_by.as_deref()),
                reference.unwrap_or_default(),
                other.case,
                when(other.effective_at)
            ),
        );
    }
    for warning in &view.warnings {
        row("warning", style(safe(warning)).yellow().to_string());
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use offboard_domain::ObjectId;
    use offboard_domain::clocks::Clock;
    use offboard_domain::estate::{Sighting, join};

    #[test]
    fn what_a_vendor_deletes_by_itself_is_said_with_what_to_do_before() {
        const DAY_MS: i64 = 86_400_000;
        let one = |clock: Clock, days: i64| DeadlineView {
            at: Timestamp(days * DAY_MS),
            or_before: clock == Clock::AccountPastRestoring,
            system: "m365".to_owned(),
            clock,
            words: clock.words().to_owned(),
            advice: clock.advice().to_owned(),
            passed: days <= 61,
        };
        let all = [one(Clock::OneDriveReadOnly, 60), one(Clock::OneDriveArchived, 93)];
        let text = console::strip_ansi_codes(&deadlines(&all, Timestamp(61 * DAY_MS))).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        let [_, title, over, next, advice] = lines.as_slice() else {
            panic!("{text}")
        };
        assert_eq!(*title, "What vendors delete by themselves");
        assert!(over.starts_with("  over ") && over.ends_with("(1 d ago) [m365] the OneDrive becomes read-only"));
        assert!(next.starts_with("  from ") && next.contains("(in 32 d) [m365] the OneDrive is archived"));
        assert!(advice.contains("successor"), "{advice}");
        let began_before = [one(Clock::AccountPastRestoring, 91)];
        let text = console::strip_ansi_codes(&deadlines(&began_before, Timestamp(61 * DAY_MS))).into_owned();
        let line = text.lines().nth(2).unwrap_or_default();
        assert!(
            line.starts_with("  by   ") && line.contains("(in 30 d) [m365]"),
            "{text}"
        );
        assert_eq!(deadlines(&[], Timestamp(0)), "");
    }

    #[test]
    fn what_one_system_alone_knows_is_said() {
        let seen = |system: &str, id: &str, serial: &str, held: Holding| Sighting {
            system: System::new(system).unwrap(),
            id: ObjectId::from(id),
            serial: Serial::parse(serial),
            device_id: None,
            held,
        };
        let all = [
            seen("m365", "m-1", "5CG1111", Holding::ManagedCompany),
            seen("rmm", "41", "5cg1111", Holding::Remote),
            seen("rmm", "42", "5CG2222", Holding::Remote),
            seen("rmm", "43\u{1b}[2J", "Default string", Holding::Remote),
        ];
        let text = console::strip_ansi_codes(&devices(&join(&all))).into_owned();
        assert_eq!(
            text,
            "\nDevices, as the systems know them\n  5CG1111\n      m365 [m-1] managed, the company's\n      rmm [41] in the remote management\n  5CG2222 (no other system knows it)\n      rmm [42] in the remote management\n  - (no usable serial number: it cannot be known again elsewhere)\n      rmm [43\u{fffd}[2J] in the remote management\n"
        );
        assert_eq!(devices(&[]), "");
        // A computer of a domain has no serial number, and is known again all the same.
        let joined = |system: &str, id: &str, held: Holding| Sighting {
            device_id: Some("7f3a".to_owned()),
            ..seen(system, id, "", held)
        };
        let both = [
            joined("ad", "7f3a", Holding::Listed),
            joined("m365", "o-1", Holding::Listed),
        ];
        let text = console::strip_ansi_codes(&devices(&join(&both))).into_owned();
        assert_eq!(
            text,
            "\nDevices, as the systems know them\n  -\n      ad [7f3a] listed in the directory, not managed\n      m365 [o-1] listed in the directory, not managed\n"
        );
    }
}
