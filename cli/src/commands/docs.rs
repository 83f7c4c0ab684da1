//! The generated pages, `docs/tasks.md` and `docs/states.md`, and tables of others:
//! written from the catalogue, the state machine's own words and the connectors, and
//! compared with what is in the repository by a test, so that they cannot go stale.

use offboard_connectors::OFFERS;
use offboard_connectors::graph::least_permissions;
use offboard_domain::catalogue::{Approval, Closes, ClosingProof, Dep, KindSpec, Proof, Stage, Until, Urgency, Wanted};
use offboard_domain::control::Controls;
use offboard_domain::time::{DAY_MS, HOUR_MS};
use offboard_domain::wake::WakeReason;
use offboard_domain::{Area, Kind, Rule};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// `docs/tasks.md`.
pub(super) fn tasks() -> String {
    let mut out = String::from(
        "# Tasks\n\nGenerated from the catalogue by `offboard tasks`; do not edit. Every kind of task is declared once, in\n`shared/domain/src/catalogue`, and this page, the plan, the order, the retries, the judgement and the evidence\ncome from that one block.\n",
    );
    for stage in Stage::ALL {
        let kinds: Vec<Kind> = Kind::ALL.iter().copied().filter(|k| k.spec().stage == *stage).collect();
        let _ = write!(
            out,
            "\n## {}\n\n| kind | what it does | area | after | approval | proof |\n|---|---|---|---|---|---|\n",
            stage.title()
        );
        for kind in &kinds {
            let spec = kind.spec();
            let _ = writeln!(
                out,
                "| [`{}`](#{}) | {} | {} | {} | {} | {} |",
                spec.name,
                anchor(spec.name),
                spec.title,
                spec.area,
                names(spec.after.iter().map(|d| d.kind)),
                approval(spec),
                proof(spec.proof)
            );
        }
    }
    for kind in Kind::ALL {
        block(&mut out, *kind);
    }
    out
}

/// The README's table: which tasks each system offers, and how they are proven
/// there. What people do, and the closing round, is no system's.
pub(super) fn systems() -> String {
    let offers: Vec<_> = OFFERS.iter().map(|o| (o.title, (o.claims)())).collect();
    let mut out = String::from("| task |");
    for (title, _) in &offers {
        let _ = write!(out, " {title} |");
    }
    let _ = write!(out, "\n|---|{}\n", "---|".repeat(offers.len()));
    for kind in Kind::ALL.iter().copied() {
        let spec = kind.spec();
        if !offers.iter().any(|(_, claims)| claims.contains(&kind)) || matches!(spec.wanted, Wanted::ClosingRound) {
            continue;
        }
        let _ = write!(out, "| [`{}`](docs/tasks.md#{}) |", spec.name, anchor(spec.name));
        for (_, claims) in &offers {
            let cell = if claims.contains(&kind) {
                outcome(spec.proof)
            } else {
                "not offered"
            };
            let _ = write!(out, " {cell} |");
        }
        out.push('\n');
    }
    out
}

/// The tables in `docs/connectors/microsoft-365.md`: what to grant and for which
/// tasks, what only reads first; and the same task by task.
pub(super) fn permissions() -> String {
    let mut granted: BTreeMap<(&str, bool, &str), Vec<Kind>> = BTreeMap::new();
    let mut needed: Vec<(Kind, Vec<(&str, &str)>)> = Vec::new();
    for kind in Kind::ALL.iter().copied() {
        let mut least: Vec<(&str, &str)> = Vec::new();
        for one in least_permissions(kind) {
            if !least.contains(&one) {
                least.push(one);
            }
        }
        for (on, permission) in &least {
            let reads = permission.contains(".Read.") || permission.ends_with(".Read");
            granted.entry((*on, !reads, *permission)).or_default().push(kind);
        }
        if !least.is_empty() {
            needed.push((kind, least));
        }
    }
    let mut out = String::from("| on | permission (application) | for |\n|---|---|---|\n");
    for ((on, _, permission), kinds) in &granted {
        let _ = writeln!(out, "| {on} | `{permission}` | {} |", names(kinds.iter().copied()));
    }
    let mut all: Vec<&str> = granted.keys().map(|(on, ..)| *on).collect();
    all.dedup();
    let _ = write!(
        out,
        "\n| task | {} |\n|---|{}\n",
        all.join(" | "),
        "---|".repeat(all.len())
    );
    for (kind, least) in &needed {
        let name = kind.name();
        let _ = write!(out, "| [`{name}`](../tasks.md#{}) |", anchor(name));
        for api in &all {
            let of_it = least.iter().filter(|(on, _)| on == api);
            let cell: Vec<String> = of_it.map(|(_, permission)| format!("`{permission}`")).collect();
            let cell = if cell.is_empty() {
                "—".to_owned()
            } else {
                cell.join(", ")
            };
            let _ = write!(out, " {cell} |");
        }
        out.push('\n');
    }
    out
}

/// What a task of this proof comes out as.
fn outcome(proof: Proof) -> &'static str {
    match proof {
        Proof::Read => "verified",
        Proof::Counter => "verified by counter",
        Proof::Acknowledged => "acknowledged",
        Proof::Attested => "attested",
    }
}

fn anchor(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect()
}

fn names(kinds: impl Iterator<Item = Kind>) -> String {
    // One may be waited for twice, in two ways.
    let mut seen = std::collections::BTreeSet::new();
    let each = kinds.filter(|k| seen.insert(*k));
    let all: Vec<String> = each.map(|k| format!("`{}`", k.name())).collect();
    if all.is_empty() {
        "—".to_owned()
    } else {
        all.join(", ")
    }
}

fn block(out: &mut String, kind: Kind) {
    let spec = kind.spec();
    let _ = write!(out, "\n### {}\n\n{}.\n\n", spec.name, spec.title);
    let mut row = |name: &str, value: String| {
        let _ = writeln!(out, "- **{name}**: {value}");
    };
    row("planned", wanted(spec));
    if spec.area != Area::Person {
        row("how soon", urgency(spec.urgency).to_owned());
    }
    let stage = spec
        .after_stage
        .map(|stage| format!("all of the stage \"{}\"", stage.title()));
    let waits: Vec<String> = spec.after.iter().map(dependency).chain(stage).collect();
    if !waits.is_empty() {
        row("waits for", waits.join(", "));
    }
    match spec.closes {
        Closes::With => {}
        Closes::Beside => row(
            "beside the case",
            "nothing waits for it, nor does the closing".to_owned(),
        ),
        Closes::After => row(
            "beside the case",
            "nothing waits for it; it begins when the case is closed".to_owned(),
        ),
        Closes::Instead => row(
            "beside the case",
            "nothing waits for it; it begins when the case ends without a departure, and then waits for nothing"
                .to_owned(),
        ),
    }
    if !spec.conflicts.is_empty() {
        row("never at the same time as", names(spec.conflicts.iter().copied()));
    }
    if !spec.finds.is_empty() {
        row("may find", names(spec.finds.iter().copied()));
    }
    if spec.writes {
        let nature = if spec.convergent {
            "convergent: done twice, it leaves the same state"
        } else {
            "*once*: it must not happen twice"
        };
        row(
            "nature",
            format!(
                "{nature}; {}",
                if spec.reversible {
                    "can be undone"
                } else {
                    "cannot be undone"
                }
            ),
        );
        row("approval", approval(spec).to_owned());
    }
    row("wanted state", spec.judge.satisfied.to_string());
    for (cond, why) in spec.judge.not_applicable {
        row("not applicable", format!("when {cond}: {why}"));
    }
    for (cond, why) in spec.judge.blocked {
        row("for a person", format!("when {cond}: {why}"));
    }
    let less = spec
        .acknowledged_when
        .map(|cond| format!("; where {cond}, the provider's acknowledgement"));
    row("proof", format!("{}{}", proof(spec.proof), less.unwrap_or_default()));
    row("before closing", closing(spec.closing));
    if !spec.redo.is_empty() {
        row("done again after it", names(spec.redo.iter().copied()));
    }
    if spec.area != Area::Person {
        row(
            "tries",
            format!("{}, each at most {}", spec.attempts, duration(spec.run_for_ms)),
        );
    }
    row("controls", controls(&spec.controls));
}

fn wanted(spec: &KindSpec) -> String {
    let when = match spec.wanted {
        Wanted::Always => "always".to_owned(),
        Wanted::Chosen(choice) => format!("when chosen ({choice})"),
        Wanted::Found => "when it is found".to_owned(),
        Wanted::Joined => "when another request for the same person asks for it".to_owned(),
        Wanted::Ended => "when the case ends without a departure".to_owned(),
        Wanted::ClosingRound => "by the closing round".to_owned(),
    };
    if spec.skippable {
        format!("{when}, unless the policy skips it")
    } else {
        when
    }
}

fn urgency(urgency: Urgency) -> &'static str {
    match urgency {
        Urgency::U0 => "within 15 minutes",
        Urgency::U1 => "within 4 hours",
        Urgency::U2 => "within a day",
        Urgency::U3 => "within a week",
    }
}

fn dependency(dep: &Dep) -> String {
    let later = if dep.delay_ms > 0 {
        format!(" and {} more", duration(dep.delay_ms))
    } else {
        String::new()
    };
    let finds = if dep.with_finds && !dep.kind.spec().finds.is_empty() {
        " with all that it found"
    } else {
        ""
    };
    let until = match dep.until {
        Until::Settled => "",
        Until::Tried => " (or a person is to deal with it)",
        Until::TriedOnce => " (or it was tried once)",
        Until::SettledOnce => " (once: not when it is read once more)",
        Until::SettledOnceOrTried => " (once, or a person is to deal with it)",
    };
    let at_most = dep
        .at_most_ms
        .map(|ms| format!(", for at most {}", duration(ms)))
        .unwrap_or_default();
    let spared = if dep.unless_at_once {
        ", unless he is to go at once"
    } else {
        ""
    };
    let system = if dep.same_system { ", of its own system" } else { "" };
    let device = if dep.same_device { ", of its own device" } else { "" };
    let mail = if dep.workspace_mail {
        ", of the workspace's own mailbox, unless a person must act before it can begin"
    } else {
        ""
    };
    let with = dep
        .with_param
        .map(|name| format!(", where it has `{name}`"))
        .unwrap_or_default();
    format!(
        "`{}`{finds}{later}{until}{at_most}{spared}{system}{device}{mail}{with}",
        dep.kind.name()
    )
}

fn approval(spec: &KindSpec) -> &'static str {
    match spec.approval {
        Approval::None => "none",
        Approval::Plan => "the plan",
        Approval::PlanOrBurst => "the plan; an immediate departure goes ahead",
        Approval::Own => "exactly this task",
    }
}

fn proof(proof: Proof) -> &'static str {
    match proof {
        Proof::Read => "an independent read",
        Proof::Counter => "a counter that moved",
        Proof::Acknowledged => "the provider's acknowledgement",
        Proof::Attested => "a named person",
    }
}

fn closing(closing: ClosingProof) -> String {
    match closing {
        ClosingProof::Read => "read again".to_owned(),
        ClosingProof::Receipt(why) => format!("the receipt is kept, because {why}"),
    }
}

fn duration(ms: i64) -> String {
    match ms {
        ms if ms == DAY_MS => "a day".to_owned(),
        ms if ms >= DAY_MS && ms % DAY_MS == 0 => format!("{} days", ms / DAY_MS),
        ms if ms == HOUR_MS => "an hour".to_owned(),
        ms if ms > HOUR_MS && ms % HOUR_MS == 0 => format!("{} hours", ms / HOUR_MS),
        ms => format!("{} minutes", ms / 60_000),
    }
}

fn controls(controls: &Controls) -> String {
    let all = [
        ("SOC 2", controls.soc2),
        ("ISO 27001:2022", controls.iso27001),
        ("HIPAA", controls.hipaa),
        ("NIST 800-53", controls.nist80053),
    ];
    let named = all.iter().filter(|(_, list)| !list.is_empty());
    named
        .map(|(name, list)| format!("{name} {}", list.join(", ")))
        .collect::<Vec<_>>()
        .join(" · ")
}

/// The states of a case: word, what it means, what may follow.
const CASE_STATES: [(&str, &str, &str); 9] = [
    (
        "received",
        "Accepted; the account is being found. Nothing is written.",
        "active, merged, refused, cancelling",
    ),
    ("active", "Planned and under way.", "closing, cancelling"),
    (
        "closing",
        "Everything is settled and read once more.",
        "sealing, active (something differs), cancelling",
    ),
    (
        "sealing",
        "A round without difference is over; the evidence is being sealed.",
        "closed, active (another request joined, or history was lost)",
    ),
    (
        "closed",
        "Sealed. Over, but for what goes on beside it: a service desk's ticket.",
        "—",
    ),
    (
        "cancelling",
        "Called off; what workers hold is awaited, nothing new is ordered.",
        "cancelled",
    ),
    (
        "cancelled",
        "Called off and over, but for a note on its ticket; what happened until then is sealed as evidence.",
        "—",
    ),
    (
        "merged",
        "The person has another open case, which is told what is asked here and does it. Over, unless that is called off, but for a note on its ticket.",
        "received (the other was called off), cancelling",
    ),
    (
        "refused",
        "It cannot be planned; nothing was written, which the sealed evidence says. Over, but for a note on its ticket.",
        "—",
    ),
];

/// The stands of a task as `offboard show` names them.
const TASK_STATES: [(&str, &str, &str); 8] = [
    ("waiting", "Waits for other tasks.", "ready, person, resting"),
    ("ready", "Can be assigned; waits for credit.", "working"),
    (
        "working",
        "With a worker, whose answer is awaited until a time.",
        "done, resting, failed, ready (nobody answered)",
    ),
    (
        "resting",
        "Goes on at a time: a retry, a delay, a vendor that is not ready.",
        "ready, working",
    ),
    ("person", "Waits for an approval or an attestation.", "ready, done"),
    (
        "failed",
        "Needs a person's decision: retry or waive.",
        "ready (retry), done (waive)",
    ),
    (
        "done",
        "Settled, with an outcome that says how it is proven.",
        "waiting (opened again by the closing round, a waiver that ran out)",
    ),
    ("never", "Will not be done: the case is over or called off.", "—"),
];

/// The outcomes of a settled task.
const OUTCOMES: [(&str, &str); 6] = [
    ("verified", "An independent read equals the wanted state."),
    (
        "verified by counter",
        "A value that only grows moved past where it was.",
    ),
    ("acknowledged", "The provider acknowledged and keeps no readable state."),
    (
        "attested",
        "A named person says so, with a file where the kind asks for one.",
    ),
    ("not applicable", "There was nothing to do, with the reason."),
    (
        "waived",
        "A person decided to go without, for a reason, until a date; then it is opened again.",
    ),
];

/// `docs/states.md`.
pub(super) fn states() -> String {
    let mut out = String::from(
        "# States\n\nGenerated by `offboard states`; do not edit. The live state of a case is the fold of its events; there is no\nsecond one. \"Sent, no answer\" is no outcome: it is read before anything else happens.\n",
    );
    let mut table = |title: &str, head: &str, rows: &mut dyn Iterator<Item = String>| {
        let columns = head.matches('|').count() - 1;
        let _ = write!(out, "\n## {title}\n\n{head}\n|{}\n", "---|".repeat(columns));
        for row in rows {
            out.push_str(&row);
            out.push('\n');
        }
    };
    let three = |(a, b, c): &(&str, &str, &str)| format!("| {a} | {b} | {c} |");
    table(
        "A case",
        "| state | means | may become |",
        &mut CASE_STATES.iter().map(three),
    );
    table(
        "A task",
        "| stand | means | may become |",
        &mut TASK_STATES.iter().map(three),
    );
    table(
        "Outcomes",
        "| outcome | what it claims |",
        &mut OUTCOMES.iter().map(|(a, b)| format!("| {a} | {b} |")),
    );
    table(
        "Why a person is needed",
        "| rule | what to do |",
        &mut RULES.iter().map(|r| format!("| {} | {} |", rule(*r), r.advice())),
    );
    table(
        "Why a case wakes",
        "| reason | in words |",
        &mut WakeReason::ALL
            .iter()
            .map(|w| format!("| {} | {} |", wake(*w), w.words())),
    );
    out
}

const RULES: [Rule; 12] = [
    Rule::OutOfAttempts,
    Rule::NeedsPermission,
    Rule::BlockedByPolicy,
    Rule::NeverAccepted,
    Rule::NotOffered,
    Rule::ObjectGone,
    Rule::InconclusiveOnce,
    Rule::LateFind,
    Rule::KeepsFlapping,
    Rule::IrreversibleDiffers,
    Rule::ClaimWithoutProof,
    Rule::StillWaiting,
];

fn rule(rule: Rule) -> String {
    stored(&rule)
}

fn wake(wake: WakeReason) -> String {
    stored(&wake)
}

/// The stored name of a plain variant.
fn stored(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => format!("`{name}`"),
        other => format!("`{other:?}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use offboard_domain::{CaseId, CaseState};

    #[test]
    fn every_state_of_a_case_is_described() {
        let into = CaseId([0; 10]);
        let all = [
            CaseState::Received,
            CaseState::Active,
            CaseState::Closing,
            CaseState::Sealing,
            CaseState::Closed,
            CaseState::Cancelling,
            CaseState::Cancelled,
            CaseState::Merged { into },
            CaseState::Refused { reason: String::new() },
        ];
        let words: Vec<&str> = all.iter().map(CaseState::word).collect();
        let described: Vec<&str> = CASE_STATES.iter().map(|(word, ..)| *word).collect();
        assert_eq!(words, described);
    }

    #[test]
    fn every_kind_has_its_block() {
        let page = tasks();
        for kind in Kind::ALL {
            assert!(page.contains(&format!("\n### {}\n", kind.name())), "{kind}");
        }
    }
}
