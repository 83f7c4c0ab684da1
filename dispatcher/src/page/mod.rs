//! The page: a sealed statement as a person reads it.
//!
//! One file that opens anywhere and prints well: no script, nothing loaded,
//! one style sheet whose digest the page's own policy names. It adds nothing
//! and decides nothing; all that it says is in the statement beside it, and
//! the statement, not this page, is what is signed.
//!
//! Whatever comes from outside is hostile. Every text goes through the
//! template's escaping, and the finished page once more through [`visible`],
//! so that no name can turn the direction of what stands around it.

mod exceptions;
mod tables;
mod timeline;
mod words;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use offboard_domain::evidence::{Ending, Statement, TaskAccount, Times, When};
use sha2::{Digest as _, Sha256};
use words::{day, duration, moment, plural};

const STYLE: &str = include_str!("style.css");

/// Renders a statement. `evidence_file` is the name of the signed file that it
/// came from; the page tells how to verify that.
#[must_use]
pub fn render(statement: &Statement, evidence_file: &str) -> String {
    let said = &statement.predicate;
    let person = words::person(&said.request.named);
    let style_digest = B64.encode(Sha256::digest(STYLE.as_bytes()));
    let policy = format!("default-src 'none'; style-src 'sha256-{style_digest}'; base-uri 'none'; form-action 'none'");
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                meta name="robots" content="noindex";
                title { "Departure of " (person) " — " (said.tenant) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header(statement))
                main {
                    (exceptions::section(said))
                    (timeline::section(said))
                    (tables::stages(said))
                    (tables::devices(said))
                    (tables::licences(said))
                    (tables::rounds(said))
                    (tables::approvals(said))
                    (tables::controls(said))
                    (how_to_verify(statement, evidence_file))
                }
                footer {
                    p {
                        "Written by " (said.generator.name) " " (said.generator.version)
                        " from case " span.id { (said.case) } ". All times are UTC. "
                        "This page is a rendering; what is signed is the file " span.id { (file_name(evidence_file)) } "."
                    }
                }
            }
        }
    };
    visible(page.into_string())
}

fn header(statement: &Statement) -> Markup {
    let said = &statement.predicate;
    let request = &said.request;
    html! {
        header {
            p.kicker { "Record of a departure" }
            h1 { bdi { (words::person(&request.named)) } }
            p.lead {
                (said.tenant) " · " (words::manner(request.manner)) " departure, effective " (moment(request.effective_at))
                @if let Some(reference) = &request.reference { " · reference " bdi { (reference) } }
            }
            p.result .off[said.ending != Ending::Completed] { (result(said)) }
            (tiles(said))
            dl.facts {
                dt { "Requested" } dd {
                    (moment(request.requested_at)) " by " bdi { (request.requested_by) } (handed_in(request.handed_in_by.as_deref()))
                }
                @for change in &request.amendments {
                    dt { "Changed" }
                    dd {
                        (moment(change.at)) ": " (words::manner(change.manner)) ", effective " (moment(change.effective_at))
                        @if let Some(by) = &change.by { ", by " bdi { (by) } }
                        (handed_in(change.handed_in_by.as_deref()))
                    }
                }
                @for other in &request.joined {
                    dt { "Also requested" }
                    dd {
                        (moment(other.requested_at)) " by " bdi { (other.requested_by) } (handed_in(other.handed_in_by.as_deref()))
                        ": " (words::manner(other.manner))
                        ", effective " (moment(other.effective_at))
                        @if let Some(reference) = &other.reference { " · reference " bdi { (reference) } }
                        " · case " span.id { (other.case) }
                        @if !other.choices.0.is_empty() { " · " (words::facts(&other.choices)) }
                        @if other.left_version.is_some() { " · not any more" }
                    }
                }
                dt { "Account" }
                dd {
                    @if let Some(name) = &request.named.user_principal_name { bdi { (name) } " · " }
                    @for (i, (system, id)) in request.subject.iter().enumerate() {
                        @if i > 0 { ", " }
                        (system) " " span.id { (id) }
                    }
                    @if request.subject.is_empty() { "not resolved" }
                }
                @if let Some(successor) = &request.successor {
                    dt { "Successor" } dd { bdi { (words::person(successor)) } }
                }
                @if !request.choices.0.is_empty() {
                    dt { "Choices" }
                    dd { (words::facts(&request.choices)) }
                }
            }
        }
    }
}

/// Who handed a request in, where that was not who asked.
fn handed_in(by: Option<&str>) -> Markup {
    html! {
        @if let Some(by) = by { ", handed in by " bdi { (by) } }
    }
}

/// The result in one sentence (two, when something was gone without).
fn result(said: &offboard_domain::evidence::Predicate) -> Markup {
    let count = |class: &str| said.summary.outcomes.get(class).copied().unwrap_or(0);
    let lost = !said.lost_tails.is_empty();
    match (said.ending, &said.cancellation) {
        (Ending::Completed, _) => {
            let round = said.rounds.last();
            // Only what goes on beside a case can be open when it is completed.
            let beside = count("not_done");
            html! {
                strong { "Completed." } " All " (said.summary.tasks - beside) " tasks are settled"
                @if let Some(round) = round {
                    ", and every end state that can be read again was read once more without difference"
                    @if let Some(at) = round.ended_at { " on " (moment(at)) }
                }
                "."
                @if count("waived") > 0 {
                    " " (plural(count("waived"), "control was", "controls were")) " waived by a named person, with an end date."
                }
                @if beside > 0 {
                    " " (plural(beside, "task goes", "tasks go")) " on beside it, after this account."
                }
            }
        }
        (Ending::Cancelled, cancellation) => html! {
            strong { "Called off." }
            @if let Some(c) = cancellation { " By " bdi { (c.by) } " on " (moment(c.at)) ": " bdi { (c.reason) } "." }
            @let begun = cancellation.as_ref().map_or(0, |c| c.all_begun().count() as u64);
            @let not_done = count("not_done") - begun.min(count("not_done"));
            " " (plural(said.summary.tasks - count("not_done"), "task was", "tasks were")) " settled until then and "
            @if lost && not_done > 0 {
                "nobody knows whether any of " (plural(not_done, "other task", "other tasks"))
                " was begun, because history of the case was lost; both are listed."
            } @else {
                (plural(not_done, "was", "were")) " not done; both are listed."
            }
            @if begun > 0 { " " (plural(begun, "more was", "more were")) " begun and not proven: what was sent may still take effect." }
            @if let Some(c) = cancellation {
                @let held = c.in_flight.len() as u64;
                @if held > 0 { " " (plural(held, "was", "were")) " with a worker at that moment; what became of it stands below." }
                @else if lost { " Whether anything was with a worker at that moment may be among what was lost." }
                @else { " Nothing was with a worker at that moment." }
            }
        },
        (Ending::Refused, _) => html! {
            strong { "Refused." }
            @if let Some(r) = &said.refusal {
                " On " (moment(r.at)) ": " bdi { (r.reason) } "."
                @if r.nothing_written {
                    " No task that writes was ever given to a worker"
                    @if lost { ", as far as this record goes: history of the case was lost" }
                    "."
                }
            }
        },
    }
}

fn tiles(said: &offboard_domain::evidence::Predicate) -> Markup {
    let times = &said.times;
    let exceptions = exceptions::count(said);
    // A time at which access was cut is shown only if all of it was.
    let open = times.access_not_cut.len() as u64;
    let of_burst = |t: &&TaskAccount| t.nature.burst && times.access_not_cut.contains(&t.id);
    let open_of_burst = said.tasks.iter().filter(of_burst).count() as u64;
    html! {
        dl.tiles {
            @if open_of_burst > 0 {
                div {
                    dt { "Sign-in and sessions" }
                    dd.alarm { "not all cut" small { (plural(open_of_burst, "task that cuts them was", "tasks that cut them were")) " not done or waived" } }
                }
            } @else if let (Some(at), Some(seconds)) = (times.burst_cut_at, times.seconds_from_effective_to_burst_cut) {
                div {
                    dt { "Sign-in and sessions cut" }
                    dd { (duration(seconds)) small { (words::relation(seconds)) " the effective time, " (moment(at)) } }
                }
            }
            @if open > 0 {
                div {
                    dt { "Access" }
                    dd.alarm { "not all cut" small { (plural(open, "task that cuts access was", "tasks that cut access were")) " not done or waived" } }
                }
            } @else if let Some((at, seconds)) = last_cut(times) {
                div {
                    dt { "Last access cut" }
                    dd { (duration(seconds)) small {
                        (words::relation(seconds)) " the request, " (moment(at))
                        @if let Some(by_hand) = times.last_access_attested_at {
                            "; by hand, attested on " (moment(by_hand))
                            @if let Some(read) = times.last_access_cut_at { "; by machines, and read: " (moment(read)) }
                        }
                    } }
                }
            }
            @if let Some((freed, skus)) = tables::freed(said) {
                div { dt { "Licences freed" } dd { (freed) small { (plural(skus, "licence", "licences")) ", per month" } } }
            }
            div {
                dt { "Exceptions" }
                dd { (exceptions) small { @if exceptions == 0 { "nothing to look at" } @else { "listed first, below" } } }
            }
            div {
                dt { (ended(said.ending)) }
                dd { (day(times.ended_at)) small { (plural(said.rounds.len() as u64, "closing round", "closing rounds")) } }
            }
        }
    }
}

/// When the last access was cut, by machines or by people, and how long after the request.
fn last_cut(times: &Times) -> Option<(When, i64)> {
    let read = times
        .last_access_cut_at
        .zip(times.seconds_from_request_to_last_access_cut);
    let attested = times
        .last_access_attested_at
        .zip(times.seconds_from_request_to_last_access_attested);
    read.into_iter().chain(attested).max()
}

fn ended(ending: Ending) -> &'static str {
    match ending {
        Ending::Completed => "Closed",
        Ending::Cancelled => "Called off",
        Ending::Refused => "Refused",
    }
}

fn how_to_verify(statement: &Statement, evidence_file: &str) -> Markup {
    let said = &statement.predicate;
    let file = file_name(evidence_file);
    html! {
        section aria-labelledby="verify" {
            h2 #verify { "How to verify this" }
            p {
                "The signed file " span.id { (file) } " is a DSSE envelope (Ed25519) around an in-toto Statement. "
                "Anyone can check it with that file and the public key alone, with this program or with another that reads DSSE:"
            }
            pre { "offboard verify " (words::quoted(file)) " --key public.pem" }
            p {
                "Get the public key, and its fingerprint, from the service provider by another way than this page. "
                "What is checked: the signature; that the chain of " (said.chain.events.len()) " events gives its head; that every "
                "outcome, approval and fault that is told here has its event in that chain and none is left out; that each approval "
                "binds exactly what was done; and that what can be read again was read after the last change."
            }
            dl.facts {
                dt { "Case" } dd.id { (said.case) }
                dt { "Head of the chain" } dd.id { (said.chain.head) }
                dt { "Plan" } dd.id { (said.plan.digest) }
                @for (i, subject) in statement.subject.iter().skip(1).enumerate() {
                    dt { @if i == 0 { "Files" } }
                    dd { span.id { (subject.name) } span.sub.id { " " (subject.digest.sha256) } }
                }
            }
        }
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Replaces what a reader cannot see, or what turns the direction of the text
/// around it, by its name. The templates contain none of it, so whatever is
/// found came from data, and data stands where plain text may stand.
fn visible(page: String) -> String {
    // Nearly all of every page, and far quicker to know than what a character is.
    let plain = |b: &u8| matches!(b, b' '..=b'~' | b'\n');
    if page.as_bytes().iter().all(plain) {
        return page;
    }
    let mut out = String::with_capacity(page.len());
    let mut rest = page.as_str();
    while !rest.is_empty() {
        let (seen, unlike) = rest.split_at(rest.bytes().take_while(plain).count());
        out.push_str(seen);
        let mut unlike = unlike.chars();
        match unlike.next() {
            Some(c) if is_invisible(c) => out.push_str(&format!("\u{27e6}U+{:04X}\u{27e7}", u32::from(c))),
            Some(c) => out.push(c),
            None => {}
        }
        rest = unlike.as_str();
    }
    out
}

/// Control characters and the format characters that reorder or hide (Unicode
/// UAX 9 and UTR 36). The joiners of Persian and Indic names stay.
fn is_invisible(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c,
            '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests;
