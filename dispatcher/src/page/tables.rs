//! The tables: what an auditor reads line by line.

use super::words::{changes, class, class_words, clock, day, duration, facts, moment, money, object, plural, sign};
use maud::{Markup, html};
use offboard_domain::catalogue::Stage;
use offboard_domain::evidence::{ClosingProofAccount, ControlsAccount, Ending, OutcomeAccount, Predicate, TaskAccount};
use offboard_domain::{Facts, Kind};
use std::collections::BTreeMap;

/// The distinct sets of controls, in the order in which tasks name them. Most
/// tasks share one, so a row names its set and the last table spells it out.
fn control_sets(said: &Predicate) -> Vec<&ControlsAccount> {
    let mut sets: Vec<&ControlsAccount> = Vec::new();
    for task in &said.tasks {
        if !sets.contains(&&task.controls) {
            sets.push(&task.controls);
        }
    }
    sets
}

/// One table for each stage of the lifecycle.
pub(super) fn stages(said: &Predicate) -> Markup {
    let sets = control_sets(said);
    html! {
        section aria-labelledby="tasks" {
            h2 #tasks { "Tasks" }
            p.lead { "How sure each end state is: " (legend()) }
            @let whole = said.lost_tails.is_empty();
            @for stage in Stage::ALL {
                @let tasks: Vec<&TaskAccount> = said.tasks.iter().filter(|t| t.stage == *stage).collect();
                @if !tasks.is_empty() { (stage_table(*stage, &tasks, &sets, whole)) }
            }
        }
    }
}

fn legend() -> &'static str {
    "verified – an independent read equals the wanted state; verified by counter – a value that only grows moved; \
     acknowledged – the provider keeps no readable state; attested – a named person says so; not applicable – there was nothing to do; \
     waived – a person decided to go without, until a date."
}

fn stage_table(stage: Stage, tasks: &[&TaskAccount], sets: &[&ControlsAccount], whole: bool) -> Markup {
    html! {
        h3 { (stage.title()) }
        div.wide { table.tasks {
            thead { tr {
                th scope="col" { "Task" } th scope="col" { "Outcome" } th scope="col" { "When" }
                th scope="col" { "How it is proven" } th.n scope="col" { "Tries" } th.n scope="col" { "Controls" }
            } }
            tbody { @for task in tasks { (task_row(task, sets, whole)) } }
        } }
    }
}

fn task_row(task: &TaskAccount, sets: &[&ControlsAccount], whole: bool) -> Markup {
    let class = class(task);
    let set = sets.iter().position(|s| **s == task.controls).map_or(0, |i| i + 1);
    html! {
        tr {
            th scope="row" {
                (task.title)
                span.sub { code { (task.kind) } " · " (task.system) @if let Some(object) = object(task) { " · " span.id { (object) } } }
            }
            td { span.badge.(class) { (sign(class)) " " (class_words(class)) } }
            td.t {
                @if let Some(at) = task.settled_at {
                    (day(at)) span.sub {
                        (clock(at))
                        @if let Some(from) = task.first_assigned_at {
                            @let took = at.seconds_since(from);
                            @if took > 0 { " (" (duration(took)) ")" }
                        }
                    }
                } @else { "–" }
            }
            td { (proof(task, whole)) }
            td.n { @if task.attempts > 0 { (task.attempts) } @else { "–" } }
            td.n { a href={ "#set-" (set) } { "C" (set) } }
        }
    }
}

/// `whole` says that no history was lost: else a try may be missing in it.
fn proof(task: &TaskAccount, whole: bool) -> Markup {
    let changed = changes(task.before.as_ref(), task.after.as_ref());
    html! {
        @match &task.outcome {
            None => {
                @if whole { "Not done." } @else { "Not seen done; history of the case was lost." }
            }
            Some(OutcomeAccount::Attested { by, file, note }) => {
                bdi { (by) } @if !note.is_empty() { ": " bdi { (digests_shortened(note)) } }
                @if let Some(file) = file { span.sub { "with a file, sha256 " span.id { (short(&file.to_string())) } } }
            }
            Some(OutcomeAccount::Waived { by, reason, until }) => {
                bdi { (by) } ", until " (day(*until)) ": " bdi { (reason) }
            }
            Some(OutcomeAccount::NotApplicable { reason }) => (reason),
            Some(_) => {
                @if changed.is_empty() {
                    (unchanged(task, whole))
                } @else {
                    // Nobody changed by recording it what is read otherwise now.
                    @if !task.nature.writes { "Recorded before the first write. Read once more since: " br; }
                    @for change in &changed { span { bdi { (change) } } br; }
                }
            }
        }
        @let requests = task.receipts.iter().filter(|r| r.request_id.is_some()).count() as u64;
        span.sub {
            @match &task.closing_proof {
                Some(ClosingProofAccount::ReadAgain { round, reading, .. }) => {
                    "Read again in round " (round) ", " (moment(reading.read_at)) ", by " (reading.sources.join(", ")) ". "
                },
                Some(ClosingProofAccount::Receipt { reason }) => { "Receipt kept: " (reason) ". " },
                Some(ClosingProofAccount::Person) | None => {}
            }
            @if requests > 0 { (plural(requests, "vendor request id", "vendor request ids")) "." }
        }
    }
}

/// Nothing differs between the two readings. That it was found so is said only of what was
/// tried once: whoever tried before may have brought it about, whether he answered or not.
/// Nor does it say who did it: the same try may have been given twice.
fn unchanged(task: &TaskAccount, whole: bool) -> Markup {
    // It was done, opened again, and found as it was left.
    let ends = task.steps.iter().filter(|s| s.event == "task_settled");
    let earlier: Vec<String> = ends
        .flat_map(|s| changes(s.readings.first(), s.readings.last()))
        .collect();
    html! {
        @if !task.nature.writes {
            "Read and recorded."
        } @else if !earlier.is_empty() {
            "It was so when it was read anew. Before that: " br;
            @for change in &earlier { span { bdi { (change) } } br; }
        } @else if task.attempts <= 1 && whole {
            "It was found so."
        } @else {
            "It was so when the last try read it; what there was before the tries is not known."
        }
    }
}

fn frameworks(c: &ControlsAccount) -> [(&'static str, &[String]); 4] {
    [
        ("SOC 2", &c.soc2),
        ("ISO 27001", &c.iso27001_2022),
        ("HIPAA", &c.hipaa),
        ("NIST 800-53", &c.nist_800_53_r5),
    ]
}

/// The devices, each with what was done.
pub(super) fn devices(said: &Predicate) -> Markup {
    let mut by_object: BTreeMap<&str, Vec<&TaskAccount>> = BTreeMap::new();
    for task in said
        .tasks
        .iter()
        .filter(|t| t.stage == Stage::Devices && !t.nature.closing_round)
    {
        if let Some(object) = &task.object {
            by_object.entry(&object.0).or_default().push(task);
        }
    }
    html! {
        @if !by_object.is_empty() {
            section aria-labelledby="devices" {
                h2 #devices { "Devices" }
                div.wide { table {
                    thead { tr { th scope="col" { "Device" } th scope="col" { "What is known" } th scope="col" { "What was done" } } }
                    tbody {
                        @for (object, tasks) in &by_object {
                            tr {
                                th scope="row" { span.id { (object) } }
                                td { @if let Some(task) = tasks.iter().find(|t| !t.params.0.is_empty()) { (facts(&task.params)) } }
                                td { @for task in tasks {
                                    div { span.badge.(class(task)) { (sign(class(task))) " " (class_words(class(task))) } " " (task.title) }
                                } }
                            }
                        }
                    }
                } }
            }
        }
    }
}

/// The task that proved the licences in the pool.
fn pool(said: &Predicate) -> Option<&TaskAccount> {
    said.tasks
        .iter()
        .find(|t| t.kind == "license.prove_pool" && t.after.is_some())
}

/// What is freed a month, and how many licences.
pub(super) fn freed(said: &Predicate) -> Option<(String, u64)> {
    let task = pool(said)?;
    let facts = &task.after.as_ref()?.facts;
    let skus = facts.list("freed_sku_ids")?;
    let currency = task.params.text("currency").unwrap_or_default();
    let money = facts
        .int("freed_cents_per_month")
        .map_or_else(|| "price not known".to_owned(), |c| money(c, currency));
    Some((money, skus.len() as u64))
}

/// A licence's name as people know it, where it was read; else its id.
pub(super) fn part_number<'a>(facts: Option<&'a Facts>, sku_id: &'a str) -> &'a str {
    let named = facts.and_then(|f| f.text(&format!("part_number/{sku_id}")));
    named.unwrap_or(sku_id)
}

/// What was freed.
pub(super) fn licences(said: &Predicate) -> Markup {
    let Some((task, (money_a_month, _))) = pool(said).zip(freed(said)) else {
        return html! {};
    };
    let facts = task.after.as_ref().map(|a| &a.facts);
    let skus = facts.and_then(|f| f.list("freed_sku_ids")).unwrap_or_default();
    let currency = task.params.text("currency").unwrap_or_default();
    html! {
        section aria-labelledby="licences" {
            h2 #licences { "Licences freed" }
            @if skus.is_empty() { p { "None." } } @else {
                table {
                    thead { tr { th scope="col" { "Licence" } th.n scope="col" { "Price per month" } } }
                    tbody {
                        @for sku in skus {
                            @let name = part_number(facts, sku);
                            tr {
                                th scope="row" { (name) }
                                td.n { @match task.params.int(&format!("price_cents/{name}")) {
                                    Some(cents) => (money(cents, currency)),
                                    None => "price not known",
                                } }
                            }
                        }
                        tr { th scope="row" { "Together" } td.n { strong { (money_a_month) } } }
                    }
                }
            }
        }
    }
}

/// The closing rounds.
pub(super) fn rounds(said: &Predicate) -> Markup {
    html! {
        @if !said.rounds.is_empty() {
            section aria-labelledby="rounds" {
                h2 #rounds { "Closing rounds" }
                p.lead { "When everything was settled, each end state that can be read was read once more. A difference is done again, or goes to a person where no machine may do it again; then everything is read again." }
                div.wide { table {
                    thead { tr {
                        th.n scope="col" { "Round" } th scope="col" { "Began" } th scope="col" { "Ended" }
                        th.n scope="col" { "End states read" } th scope="col" { "Differences" }
                    } }
                    tbody { @for r in &said.rounds { tr {
                        th.n scope="row" { (r.round) }
                        td.t { (moment(r.began_at)) }
                        td.t { @match r.ended_at { Some(at) => (moment(at)), None => "–" } }
                        td.n { (r.read) }
                        td {
                            @if r.differences.is_empty() { "none" }
                            @for d in &r.differences {
                                @let title = said.tasks.iter().find(|t| t.id == d.task).map_or("", |t| t.title.as_str());
                                div { (title) span.sub { bdi { (d.differs) } } }
                            }
                        }
                    } } }
                } }
            }
        }
    }
}

/// What is to be said where nobody agreed to anything. Of a case that ended before anybody was
/// asked, or that lost history, nothing is known of what the policy asks for, or of what was done.
fn without_approval(said: &Predicate) -> &'static str {
    let asked = said.tasks.iter().any(|t| t.kind == Kind::ApprovePlan.name());
    if said.ending == Ending::Completed && said.lost_tails.is_empty() && !asked {
        "The tenant's policy asked for none, and nothing that cannot be undone was done."
    } else {
        "None was given."
    }
}

/// Who agreed to what.
pub(super) fn approvals(said: &Predicate) -> Markup {
    html! {
        section aria-labelledby="approvals" {
            h2 #approvals { "Approvals" }
            @if said.approvals.is_empty() { p { (without_approval(said)) } } @else {
                div.wide { table {
                    thead { tr { th scope="col" { "Of what" } th scope="col" { "By" } th scope="col" { "When" } th scope="col" { "To be done from" } th scope="col" { "Digest of what was approved" } } }
                    tbody { @for a in &said.approvals {
                        @let task = a.task.and_then(|id| said.tasks.iter().find(|t| t.id == id));
                        tr {
                            th scope="row" {
                                @match task {
                                    Some(t) => { (t.title) @if let Some(o) = &t.object { span.sub { span.id { (o) } } } },
                                    None => "The plan as it stood",
                                }
                            }
                            td { bdi { (a.by) } @if a.by_who_handed_in { ", who had handed it in" } }
                            td.t { (moment(a.at)) }
                            td.t { @match a.from { Some(from) => (moment(from)), None => "any time" } }
                            td.id { (short(&a.digest.to_string())) }
                        }
                    } }
                } }
            }
        }
    }
}

/// Every control that something here supports, by the sets that tasks name.
pub(super) fn controls(said: &Predicate) -> Markup {
    let sets = control_sets(said);
    html! {
        section aria-labelledby="controls" {
            h2 #controls { "Controls that this supports" }
            div.wide { table {
                caption { "SOC 2: trust services criteria. ISO/IEC 27001:2022: Annex A. HIPAA: 45 CFR. NIST: SP 800-53 revision 5. Open: waived, or not done." }
                thead { tr {
                    th scope="col" { "Set" } th.n scope="col" { "Tasks" } th.n scope="col" { "Open" }
                    @for (name, _) in frameworks(&ControlsAccount::default()) { th scope="col" { (name) } }
                } }
                tbody { @for (i, set) in sets.iter().enumerate() {
                    @let of_set = said.tasks.iter().filter(|t| t.controls == **set);
                    tr id={ "set-" (i + 1) } {
                        th scope="row" { "C" (i + 1) }
                        td.n { (of_set.clone().count()) }
                        td.n { (of_set.filter(|t| matches!(t.outcome, None | Some(OutcomeAccount::Waived { .. }))).count()) }
                        @for (_, list) in frameworks(set) { td { @if list.is_empty() { "–" } @else { (list.join(", ")) } } }
                    }
                } }
            } }
        }
    }
}

/// A note in which whole digests are cut to their beginning.
fn digests_shortened(note: &str) -> String {
    let is_digest = |w: &str| w.len() == 64 && w.bytes().all(|b| b.is_ascii_hexdigit());
    let words: Vec<String> = note
        .split(' ')
        .map(|w| if is_digest(w) { short(w) } else { w.to_owned() })
        .collect();
    words.join(" ")
}

/// The beginning of a digest; the whole one is in the signed file.
fn short(digest: &str) -> String {
    format!("{}…", digest.get(..16).unwrap_or(digest))
}
