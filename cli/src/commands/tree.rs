//! How a plan looks to a person.

use crate::out::columns;
use crate::preview::{Now, Preview, PreviewTask};
use crate::show::{about, relative, safe, when};
use console::{style, truncate_str};
use offboard_domain::catalogue::Stage;
use offboard_domain::departure::Manner;
use offboard_domain::time::DAY_MS;
use offboard_domain::{Area, Fact, Kind, Timestamp};

/// Columns that the rails take before a detail.
const INDENT: usize = 8;
/// Columns where there is no terminal.
const WIDTH_ELSEWHERE: usize = 140;

/// A departure's tree: its stages, and in each what is true and what would be.
pub(super) fn text(preview: &Preview, now: Timestamp, all: bool) -> String {
    let manner = match preview.manner {
        Manner::Planned => "planned",
        Manner::Immediate => "immediate",
    };
    let reference = preview
        .reference
        .as_deref()
        .map(|r| format!(" ({})", safe(r)))
        .unwrap_or_default();
    let width = columns().unwrap_or(WIDTH_ELSEWHERE);
    let mut out = format!(
        "{}{reference} of {} — {manner}, access ends {} ({})\n",
        style(safe(&preview.person)).bold(),
        preview.tenant,
        when(preview.effective_at),
        relative(preview.effective_at, now)
    );
    if let Some(why) = &preview.why_not {
        out.push_str(&format!("  {} {}\n\n", style("no plan:").red().bold(), safe(why)));
        return out;
    }
    let stages: Vec<_> = Stage::ALL
        .iter()
        .filter(|s| preview.tasks.iter().any(|t| t.stage == **s))
        .collect();
    for (nth, stage) in stages.iter().enumerate() {
        let last_stage = nth + 1 == stages.len();
        let (knot, rail) = if last_stage {
            ("└─", "   ")
        } else {
            ("├─", "│  ")
        };
        out.push_str(&format!("{knot} {}\n", style(stage.title()).bold()));
        let of_stage: Vec<_> = preview.tasks.iter().filter(|t| t.stage == **stage).collect();
        let shown: Vec<_> = of_stage
            .iter()
            .filter(|t| all || !matches!(t.now, Now::NotApplicable))
            .collect();
        let hidden = of_stage.len() - shown.len();
        for (i, task) in shown.iter().enumerate() {
            let last = i + 1 == shown.len() && hidden == 0;
            let (knot, under) = if last { ("└─", "   ") } else { ("├─", "│  ") };
            out.push_str(&format!("{rail}{knot} {}\n", task_line(task)));
            if let Some(detail) = detail(task) {
                let room = width.saturating_sub(INDENT);
                out.push_str(&format!(
                    "{rail}{under}  {}\n",
                    style(truncate_str(&detail, room, "…")).dim()
                ));
            }
        }
        if hidden > 0 {
            out.push_str(&format!(
                "{rail}└─ {}\n",
                style(format!("and {hidden} with nothing to do (--all shows them)")).dim()
            ));
        }
    }
    out.push_str(&summary(preview));
    out
}

fn task_line(task: &PreviewTask) -> String {
    let mark = match task.now {
        Now::True => style("✓ already true").green(),
        Now::Change => style("→ would change").cyan().bold(),
        Now::NotApplicable => style("- nothing to do").dim(),
        Now::Blocked => style("✗ needs a person").red(),
        Now::UnderWay => style("… under way").cyan(),
        Now::Unknown => style("! could not be read").red(),
        Now::Read => style("· reads").dim(),
        Now::Person => style("? a person").yellow(),
    };
    let object = about(task.kind, task.object.as_deref(), &task.system);
    let approval = match (task.approval, task.now) {
        ("own", _) => style("  by its own approval").red().to_string(),
        (_, Now::Change) if !task.reversible => style("  cannot be undone").red().to_string(),
        _ => String::new(),
    };
    format!("{}{object}  {mark}{approval}", task.title)
}

/// What stands behind a mark: for a change what there is now, else the reason.
fn detail(task: &PreviewTask) -> Option<String> {
    match (task.now, &task.seen) {
        (Now::Change, Some(seen)) => {
            // The facts that the wanted state speaks of.
            let wanted = task.kind.spec().judge.satisfied.to_string();
            let words: Vec<&str> = wanted
                .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .collect();
            let facts = seen.facts.0.iter().filter(|(name, _)| words.contains(&name.as_str()));
            let now: Vec<String> = facts.map(|(name, fact)| fact_words(name, fact)).collect();
            (!now.is_empty()).then(|| format!("now {}", now.join(", ")))
        }
        _ => Some(safe(&task.why)).filter(|why| !why.is_empty()),
    }
}

/// A fact for people: a list by its length and first entries, a time as one.
fn fact_words(name: &str, fact: &Fact) -> String {
    const SHOWN: usize = 3;
    let label = name.trim_end_matches("_ms").replace('_', " ");
    match fact {
        Fact::Int(at) if name.ends_with("_ms") && *at > DAY_MS => format!("{label} {}", when(Timestamp(*at))),
        Fact::List(all) if all.len() > SHOWN => {
            format!("{} {label}: {}, …", all.len(), safe(&all[..SHOWN].join(", ")))
        }
        other => format!("{label}: {}", safe(&other.to_string())),
    }
}

fn summary(preview: &Preview) -> String {
    let count = |now: Now| preview.tasks.iter().filter(|t| t.now == now).count();
    let own = preview.tasks.iter().filter(|t| t.approval == "own").count();
    let mut out = format!(
        "   {} would change, {} already true, {} for a person, {} by their own approval\n",
        count(Now::Change),
        count(Now::True),
        count(Now::Person) + count(Now::Blocked),
        own
    );
    if count(Now::Unknown) > 0 {
        out.push_str(&format!(
            "   {} could not be read: `offboard doctor` says why\n",
            count(Now::Unknown)
        ));
    }
    if !preview.unserved.is_empty() {
        let (licences, others): (Vec<Kind>, Vec<Kind>) =
            preview.unserved.iter().partition(|k| k.spec().area == Area::License);
        let mut left_out = |why: &str, kinds: &[Kind]| {
            let titles: Vec<&str> = kinds.iter().map(|k| k.spec().title).collect();
            if !titles.is_empty() {
                out.push_str(&format!("   {} {}\n", style(why).yellow(), titles.join("; ")));
            }
        };
        left_out("no connected system offers:", &others);
        left_out(
            "not offered, or nothing in the plan keeps the mailbox and the files first:",
            &licences,
        );
    }
    out.push('\n');
    out
}
