//! How the page says times, lengths, money, people and facts.

use offboard_domain::departure::Manner;
use offboard_domain::evidence::{Named, OutcomeAccount, Reading, TaskAccount, When};
use offboard_domain::observation::{Fact, Facts};
use offboard_domain::unplanned;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// What a task is about, if not the account: an application by its name, too.
pub(super) fn object(task: &TaskAccount) -> Option<String> {
    let id = &task.object.as_ref()?.0;
    Some(match unplanned::called(&task.params) {
        Some(name) => format!("{name} · {id}"),
        None => id.clone(),
    })
}

/// `23 Nov 2026`.
pub(super) fn day(at: When) -> String {
    let text = at.to_string();
    let (date, _) = text.split_once('T').unwrap_or((&text, ""));
    let mut parts = date.splitn(3, '-');
    let (year, month, day) = (
        parts.next().unwrap_or(""),
        parts.next().unwrap_or(""),
        parts.next().unwrap_or(""),
    );
    let name = month
        .parse::<usize>()
        .ok()
        .and_then(|m| MONTHS.get(m.wrapping_sub(1)))
        .copied()
        .unwrap_or(month);
    format!("{} {name} {year}", day.trim_start_matches('0'))
}

/// `09:05:02`.
pub(super) fn clock(at: When) -> String {
    let text = at.to_string();
    text.split_once('T')
        .map_or("", |(_, time)| time)
        .trim_end_matches('Z')
        .to_owned()
}

/// `23 Nov 2026, 09:05:02`.
pub(super) fn moment(at: When) -> String {
    format!("{}, {}", day(at), clock(at))
}

/// A length of time in its two largest units.
pub(super) fn duration(seconds: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let seconds = seconds.abs();
    let Some(first) = UNITS.iter().position(|(n, _)| seconds >= *n) else {
        return "0 s".into();
    };
    let (n, unit) = UNITS[first];
    let mut out = format!("{} {unit}", seconds / n);
    if let Some((m, smaller)) = UNITS.get(first + 1) {
        let rest = seconds % n / m;
        if rest > 0 {
            out.push_str(&format!(" {rest} {smaller}"));
        }
    }
    out
}

/// Whether a length of time is after or before its beginning.
pub(super) fn relation(seconds: i64) -> &'static str {
    if seconds < 0 { "before" } else { "after" }
}

/// `1 task`, `2 tasks`.
pub(super) fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// A person as the request names him.
pub(super) fn person(named: &Named) -> &str {
    [
        &named.display_name,
        &named.user_principal_name,
        &named.mail,
        &named.employee_id,
    ]
    .into_iter()
    .flatten()
    .map(String::as_str)
    .find(|n| !n.trim().is_empty())
    .or_else(|| named.object_id.as_ref().map(|o| o.0.as_str()))
    .unwrap_or("unnamed person")
}

/// The manner as it stands before "departure".
pub(super) fn manner(manner: Manner) -> &'static str {
    match manner {
        Manner::Planned => "planned",
        Manner::Immediate => "immediate",
    }
}

/// The class of a task's outcome, for a style.
pub(super) fn class(task: &TaskAccount) -> &'static str {
    task.outcome.as_ref().map_or("not_done", OutcomeAccount::class)
}

/// A class in words.
pub(super) fn class_words(class: &str) -> String {
    class.replace('_', " ")
}

/// A sign for a class, so that colour alone says nothing.
pub(super) fn sign(class: &str) -> &'static str {
    match class {
        "verified" => "✓",
        "verified_by_counter" => "↑",
        "acknowledged" => "≈",
        "attested" => "✎",
        "not_applicable" => "–",
        "waived" => "!",
        _ => "✕",
    }
}

/// A word in a shell command: quoted unless it is plain.
pub(super) fn quoted(word: &str) -> String {
    let plain = !word.is_empty()
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-/@:".contains(&b));
    if plain {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// The longest list that is written out.
const LISTED: usize = 3;

fn value(name: &str, fact: &Fact) -> String {
    match fact {
        Fact::Int(ms) if name.ends_with("_ms") && *ms > 1_000_000_000_000 => {
            moment(When::from(offboard_domain::Timestamp(*ms)))
        }
        Fact::Int(ms) if name.ends_with("_ms") => duration(*ms / 1_000),
        Fact::Int(bytes) if name.ends_with("_bytes") => format!("{:.1} GB", *bytes as f64 / 1_073_741_824.0),
        Fact::List(l) if name.ends_with("_ids") && !l.is_empty() => l.len().to_string(),
        Fact::List(l) if l.len() > LISTED => format!("{} entries", l.len()),
        Fact::Text(t) if name.ends_with("_sha256") || name.ends_with("_digest") => {
            format!("sha256 {}…", t.chars().take(12).collect::<String>())
        }
        other => other.to_string(),
    }
}

fn label(name: &str) -> String {
    if let Some(one) = name.strip_suffix("_ids") {
        return format!("{}s", one.replace('_', " "));
    }
    let name = ["_id", "_ms", "_bytes", "_sha256"]
        .iter()
        .find_map(|s| name.strip_suffix(s))
        .unwrap_or(name);
    name.replace('_', " ")
}

/// Facts in a line: `forwarding: successor · hold: yes`.
pub(super) fn facts(facts: &Facts) -> String {
    let all: Vec<String> = facts
        .0
        .iter()
        .map(|(n, f)| format!("{}: {}", label(n), value(n, f)))
        .collect();
    all.join(" · ")
}

/// What a task changed: the facts that were read otherwise before and after.
pub(super) fn changes(before: Option<&Reading>, after: Option<&Reading>) -> Vec<String> {
    let (Some(before), Some(after)) = (before, after) else {
        return Vec::new();
    };
    let changed = after.facts.0.iter().filter(|(n, f)| before.facts.get(n) != Some(*f));
    changed
        .map(|(n, now)| {
            let then = before
                .facts
                .get(n)
                .map_or_else(|| "not read".to_owned(), |f| value(n, f));
            format!("{}: {then} → {}", label(n), value(n, now))
        })
        .collect()
}

/// Hundredths of a currency: `49.60 EUR`.
pub(super) fn money(cents: i64, currency: &str) -> String {
    let sign = if cents < 0 { "−" } else { "" };
    format!(
        "{sign}{}.{:02} {currency}",
        cents.unsigned_abs() / 100,
        cents.unsigned_abs() % 100
    )
}
