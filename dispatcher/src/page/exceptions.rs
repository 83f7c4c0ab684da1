//! What a reader should look at first: everything that did not simply go well.

use super::tables::part_number;
use super::words::{class_words, day, moment, object, plural};
use maud::{Markup, html};
use offboard_domain::evidence::{
    Cancellation, Ending, OutcomeAccount, Predicate, Reading, RoundAccount, Step, TaskAccount, When,
};

/// One thing to look at.
struct Exception {
    /// What sort, and the style of its badge.
    sort: (&'static str, &'static str),
    /// What it is about.
    about: String,
    /// On what, if not on the account.
    object: Option<String>,
    /// What happened.
    text: String,
    /// When.
    at: Option<When>,
}

/// How many there are.
pub(super) fn count(said: &Predicate) -> usize {
    all(said).len()
}

/// The section, first on the page.
pub(super) fn section(said: &Predicate) -> Markup {
    let found = all(said);
    html! {
        section aria-labelledby="exceptions" {
            h2 #exceptions { "Exceptions" }
            @if found.is_empty() {
                p { "None: every task was proven or attested with what it needs, nothing was gone without, and nobody had to step in." }
            } @else {
                div.wide { table {
                    caption { (plural(found.len() as u64, "matter", "matters")) " to look at: what stays open first, then what was mended on the way." }
                    thead { tr { th scope="col" { "What" } th scope="col" { "About" } th scope="col" { "What happened" } th scope="col" { "When" } } }
                    tbody {
                        @for e in &found {
                            tr {
                                td { span.badge.(e.sort.1) { (e.sort.0) } }
                                th scope="row" {
                                    (e.about)
                                    @if let Some(object) = &e.object { span.sub { span.id { (object) } } }
                                }
                                td { bdi { (e.text) } }
                                td.t { @if let Some(at) = e.at { (moment(at)) } }
                            }
                        }
                    }
                } }
            }
        }
    }
}

fn all(said: &Predicate) -> Vec<Exception> {
    let mut found = Vec::new();
    let tasks = &said.tasks;
    let of = |t: &TaskAccount, sort, text: String, at| Exception {
        sort,
        about: t.title.clone(),
        object: object(t),
        text,
        at,
    };
    for held in said.cancellation.iter().flat_map(|c| &c.in_flight) {
        if let Some(t) = tasks.iter().find(|t| t.id == held.task) {
            let text = format!("A worker held it when the case was called off: {}.", held.became);
            found.push(of(t, ("under way", "alarm"), text, held.ended_at));
        }
    }
    for begun in said.cancellation.iter().flat_map(Cancellation::all_begun) {
        if let Some(t) = tasks.iter().find(|t| t.id == begun.task) {
            let text = format!(
                "Begun and not proven when the case was called off: what was sent may still take effect. Last heard: {}.",
                begun.last
            );
            found.push(of(t, ("begun", "alarm"), text, None));
        }
    }
    for t in tasks {
        let begun = |c: &Cancellation| c.all_begun().any(|b| b.task == t.id);
        match &t.outcome {
            None if said.cancellation.as_ref().is_some_and(begun) => {}
            None if is_unknown(said, t) => {
                let text = "The case ended, and this record does not show that it was begun; but history of the case was lost, so it may have been: look at the system itself.";
                found.push(of(t, ("not known", "alarm"), text.into(), None));
            }
            None => found.push(of(
                t,
                ("not done", "not_done"),
                match said.ending {
                    Ending::Refused => "The case was refused.".into(),
                    Ending::Cancelled => "The case was called off before.".into(),
                    Ending::Completed => {
                        "The case does not wait for it: it goes on beside, after this account. `offboard show` says how it ends."
                            .into()
                    }
                },
                None,
            )),
            Some(OutcomeAccount::Waived { by, reason, until }) => {
                let text = format!("{by} decided to go without until {}: {reason}", day(*until));
                found.push(of(t, ("waived", "waived"), text, t.settled_at));
            }
            _ => {}
        }
    }
    for t in tasks {
        let facts = t.after.as_ref().map(|a| &a.facts);
        if let (Some(facts), Some(false)) = (facts, facts.and_then(|f| f.bool("pool_agrees"))) {
            let differs = facts.list("pool_differs").unwrap_or_default().join("; ");
            let text = format!("He holds them no longer; the pool's numbers do not show it: {differs}.");
            found.push(of(t, ("pool differs", "waived"), text, t.settled_at));
        }
        let kept = facts.and_then(|f| f.list("kept_sku_ids")).unwrap_or_default();
        if let (false, Some(why)) = (kept.is_empty(), facts.and_then(|f| f.text("kept_because"))) {
            let names: Vec<&str> = kept.iter().map(|sku| part_number(facts, sku)).collect();
            let text = format!("Kept, and still paid for, because {why}: {}.", names.join(", "));
            found.push(of(t, ("licence kept", "waived"), text, t.settled_at));
        }
    }
    for kind in &said.plan.unserved {
        found.push(Exception {
            sort: ("not offered", "waived"),
            about: kind_title(kind),
            object: None,
            text: if kind.starts_with("license.") {
                "Not done: no connected system offers it, or nothing in the plan keeps the mailbox and the files first, without which no licence goes."
            } else {
                "No connected system offers this; it was not done."
            }
            .into(),
            at: said.times.planned_at,
        });
    }
    for t in tasks {
        if let Some(OutcomeAccount::Attested { by, file: None, note }) = &t.outcome
            && t.kind != "person.approve_plan"
        {
            let note = if note.is_empty() {
                String::new()
            } else {
                format!(": {note}")
            };
            found.push(of(
                t,
                ("attested without file", "attested"),
                format!("On the word of {by}{note}."),
                t.settled_at,
            ));
        }
    }
    for round in &said.rounds {
        for d in &round.differences {
            if let Some(t) = tasks.iter().find(|t| t.id == d.task) {
                let text = format!(
                    "Closing round {} read otherwise ({}); {}.",
                    round.round,
                    d.differs,
                    what_came_of_it(said, t, round)
                );
                found.push(of(t, ("was undone", "alarm"), text, Some(d.reading.read_at)));
            }
        }
    }
    let steps = |which: fn(&Step) -> bool| {
        tasks
            .iter()
            .flat_map(move |t| t.steps.iter().filter(move |s| which(s)).map(move |s| (t, s)))
    };
    for (t, s) in steps(|s| s.rule.is_some()) {
        let rule = s.rule.as_deref().map(class_words).unwrap_or_default();
        found.push(of(
            t,
            ("needed a person", "alarm"),
            format!("{rule}: {}", s.text),
            Some(s.at),
        ));
    }
    for (t, s) in steps(|s| s.event == "late_report") {
        found.push(of(
            t,
            ("late report", "not_applicable"),
            format!(
                "{}. It does not change what this record counts as done; what it says may have happened all the same.",
                capital(&s.text)
            ),
            Some(s.at),
        ));
    }
    for (t, s) in steps(|s| s.event == "person_overdue") {
        found.push(of(t, ("overdue", "waived"), capital(&s.text), Some(s.at)));
    }
    for a in said.approvals.iter().filter(|a| a.by_who_handed_in) {
        let task = a.task.and_then(|id| tasks.iter().find(|t| t.id == id));
        found.push(Exception {
            sort: ("approval", "alarm"),
            about: task.map_or_else(|| "The plan".into(), |t| t.title.clone()),
            object: task.and_then(object),
            text: format!(
                "{} approved what he had handed in for another one: the program that took it did not refuse him. Somebody else should look at it.",
                a.by
            ),
            at: Some(a.at),
        });
    }
    for lost in &said.lost_tails {
        found.push(Exception {
            sort: ("history lost", "alarm"),
            about: "The ledger".into(),
            object: None,
            text: if lost.known == 0 {
                "Events were lost, nobody knows how many, and everything was read again.".into()
            } else {
                format!(
                    "Events up to version {} were lost and everything was read again.",
                    lost.known
                )
            },
            at: Some(lost.at),
        });
    }
    for t in tasks {
        if let Some(OutcomeAccount::NotApplicable { reason }) = &t.outcome {
            found.push(of(
                t,
                ("not applicable", "not_applicable"),
                format!("{}.", capital(reason)),
                t.settled_at,
            ));
        }
    }
    found
}

/// Whether nobody knows if it was begun: the case ended without it, and lost history.
fn is_unknown(said: &Predicate, task: &TaskAccount) -> bool {
    task.nature.writes && said.ending != Ending::Completed && !said.lost_tails.is_empty()
}

/// What came of a task that a closing round read otherwise, until the next round began.
fn what_came_of_it(said: &Predicate, task: &TaskAccount, round: &RoundAccount) -> String {
    let next = said.rounds.iter().find(|r| r.began_version > round.began_version);
    let since = round.began_version..next.map_or(u64::MAX, |r| r.began_version);
    let steps: Vec<&Step> = task.steps.iter().filter(|s| since.contains(&s.version)).collect();
    let ended = steps.iter().rfind(|s| s.event == "task_settled");
    // A worker's report ended it; else a person decided, in the step's words.
    let by_machine = |s: &Step| s.report.is_some() && !s.text.starts_with("not applicable");
    let end = match ended {
        Some(s) if by_machine(s) && changed_by(task, s) => "it was done again".to_owned(),
        Some(s) if by_machine(s) => "it was found as it should be".to_owned(),
        Some(s) => s.text.clone(),
        None => "it was not settled again".to_owned(),
    };
    let asked = steps.iter().any(|s| s.rule.is_some());
    let decided = steps.iter().rfind(|s| s.event == "retry_ordered");
    match (asked, decided) {
        (false, _) => end,
        (true, None) => format!("it went to a person: {end}"),
        (true, Some(decided)) => format!("it went to a person: {}, and {end}", decided.text),
    }
}

/// Whether what was read before and after this end of a task differs. Of what was opened again
/// later, the readings are with the step; of the last end, with the task.
fn changed_by(task: &TaskAccount, end: &Step) -> bool {
    let facts = |r: &Reading| r.facts.clone();
    if end.readings.is_empty() {
        task.before.as_ref().map(facts) != task.after.as_ref().map(facts)
    } else {
        end.readings.first().map(facts) != end.readings.last().map(facts)
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// What a kind does, if this program knows it; else its name.
fn kind_title(kind: &str) -> String {
    offboard_domain::Kind::named(kind).map_or_else(|| kind.to_owned(), |k| k.spec().title.to_owned())
}
