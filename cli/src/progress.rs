//! What a run shows while it goes: on a terminal one bar over everything and
//! one line for each case that is under way, elsewhere a plain line whenever a
//! case has come on, and with `--json` an object for each.
//!
//! It only looks. What it costs is bounded: it draws no more often than a
//! person can see, and shows no more cases than a screen holds.

use crate::error::CliError;
use crate::out::Out;
use crate::show::{relative, safe};
use console::{Term, style, truncate_str};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use offboard_dispatcher::Unwritten;
use offboard_dispatcher::control::CaseSummary;
use offboard_domain::{CaseId, Timestamp};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// Most cases with a line of their own.
const LINES_MAX: usize = 14;
/// Redraws a second: as many as look smooth.
const REDRAWS: u8 = 10;
/// How fast spinners turn.
const TURN: Duration = Duration::from_millis(120);

/// The progress of a run.
pub struct Progress {
    out: Out,
    screen: Option<Screen>,
    last: BTreeMap<CaseId, Told>,
    /// The places of which was said that nothing can be written there.
    unwritten: Vec<String>,
}

/// What was told of a case.
#[derive(Clone, PartialEq, Eq)]
struct Told {
    state: String,
    needs: u32,
    failed: u32,
}

struct Screen {
    all: MultiProgress,
    overall: ProgressBar,
    lines: BTreeMap<CaseId, ProgressBar>,
}

impl Progress {
    /// Shows progress in the way that fits where the talk goes.
    #[must_use]
    pub fn new(out: Out) -> Self {
        let live = Term::stderr().is_term() && !out.is_json();
        Self {
            out,
            screen: live.then(Screen::new),
            last: BTreeMap::new(),
            unwritten: Vec::new(),
        }
    }

    /// Says once that nothing can be written to a place, and once that it can again.
    ///
    /// # Errors
    /// [`CliError`] if `--json` cannot be written.
    pub fn note_unwritten(&mut self, unwritten: &[Unwritten], now: Timestamp) -> Result<(), CliError> {
        let before = std::mem::take(&mut self.unwritten);
        self.unwritten = unwritten.iter().map(|u| u.place.clone()).collect();
        for new in unwritten.iter().filter(|u| !before.contains(&u.place)) {
            self.talk(&format!(
                "note: {}; it is tried again, and what was accepted is kept",
                safe(&new.to_string())
            ));
            if self.out.is_json() {
                self.out
                    .object(&json!({ "event": "unwritten", "at": now.to_string(), "unwritten": new }))?;
            }
        }
        for place in before.iter().filter(|place| !self.unwritten.contains(place)) {
            self.talk(&format!("note: the {place} can be written to again"));
            if self.out.is_json() {
                self.out
                    .object(&json!({ "event": "written", "at": now.to_string(), "place": place }))?;
            }
        }
        Ok(())
    }

    /// Shows where the cases are.
    ///
    /// # Errors
    /// [`CliError`] if `--json` cannot be written.
    pub fn update(&mut self, cases: &[CaseSummary], now: Timestamp) -> Result<(), CliError> {
        for case in cases {
            let told = Told {
                state: case.state.clone(),
                needs: case.needs,
                failed: case.failed,
            };
            if self.last.get(&case.case) == Some(&told) {
                continue;
            }
            self.last.insert(case.case, told);
            if self.out.is_json() {
                self.out
                    .object(&json!({ "event": "case", "at": now.to_string(), "case": case }))?;
            } else if let Some(screen) = &self.screen {
                if case.ended {
                    screen.say(&ended(case));
                }
            } else {
                self.out.say(plain(case));
            }
        }
        if let Some(screen) = &mut self.screen {
            screen.draw(cases, &self.unwritten, now);
        }
        Ok(())
    }

    /// Talks, without tearing what is drawn; with `--json` it is silent.
    pub fn say(&self, text: &str) {
        if !self.out.is_json() {
            self.talk(text);
        }
    }

    fn talk(&self, text: &str) {
        match &self.screen {
            Some(screen) => screen.say(text),
            None => self.out.say(text),
        }
    }

    /// Wipes what is drawn.
    pub fn finish(&mut self) {
        if let Some(screen) = self.screen.take() {
            screen.clear();
        }
    }
}

impl Screen {
    fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(REDRAWS));
        let overall = all.add(ProgressBar::new(0));
        overall.set_style(template("{bar:32.cyan/dim} {pos}/{len} tasks  {msg}"));
        Self {
            all,
            overall,
            lines: BTreeMap::new(),
        }
    }

    fn say(&self, text: &str) {
        // A terminal that has gone is noticed where data is written.
        let _ = self.all.println(text);
    }

    fn draw(&mut self, cases: &[CaseSummary], unwritten: &[String], now: Timestamp) {
        let sum = |f: fn(&CaseSummary) -> u32| cases.iter().map(|c| u64::from(f(c))).sum::<u64>();
        let ended = cases.iter().filter(|c| c.ended).count();
        let waiting = cases.iter().filter(|c| !c.ended && c.needs > 0).count();
        self.overall.set_length(sum(|c| c.total));
        self.overall
            .set_position(sum(|c| if c.ended { c.total } else { c.settled }));
        let needs = if waiting == 0 {
            String::new()
        } else {
            style(format!(" · {waiting} need a person")).yellow().to_string()
        };
        let stuck = if unwritten.is_empty() {
            String::new()
        } else {
            let places = unwritten.join(" and ");
            style(format!(" · nothing can be written to the {places}"))
                .red()
                .to_string()
        };
        self.overall
            .set_message(format!("{ended}/{} cases{needs}{stuck}", cases.len()));
        let mut shown: Vec<&CaseSummary> = cases.iter().filter(|c| !c.ended).collect();
        // Who is being worked on first, then who needs somebody.
        shown.sort_by_key(|c| (!c.working, c.needs == 0, c.opened_at, c.case));
        shown.truncate(LINES_MAX);
        self.lines.retain(|id, line| {
            let keep = shown.iter().any(|c| c.case == *id);
            if !keep {
                line.finish_and_clear();
            }
            keep
        });
        for case in shown {
            let line = self.lines.entry(case.case).or_insert_with(|| {
                let line = self.all.add(ProgressBar::new(0));
                line.set_style(template(
                    "{spinner:.cyan} {bar:12.green/dim} {pos:>2}/{len:2} {prefix} {wide_msg}",
                ));
                line.enable_steady_tick(TURN);
                line
            });
            line.set_length(u64::from(case.total));
            line.set_position(u64::from(case.settled));
            line.set_prefix(format!("{:<28}", truncate_str(&who(case), 28, "…")));
            line.set_message(doing(case, now));
        }
    }

    fn clear(self) {
        for line in self.lines.values() {
            line.finish_and_clear();
        }
        self.overall.finish_and_clear();
    }
}

fn template(text: &str) -> ProgressStyle {
    ProgressStyle::with_template(text)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━━─")
}

fn who(case: &CaseSummary) -> String {
    format!("{} · {}", safe(&case.person), case.tenant)
}

fn doing(case: &CaseSummary, now: Timestamp) -> String {
    let doing = safe(&case.doing);
    match (case.working, case.failed, case.needs, case.next_at) {
        (true, ..) => doing,
        (false, 1.., ..) => style(doing).red().to_string(),
        (false, 0, 1.., _) => style(doing).yellow().to_string(),
        (false, 0, 0, Some(at)) => style(format!("{doing} ({})", relative(at, now))).dim().to_string(),
        (false, 0, 0, None) => style(doing).dim().to_string(),
    }
}

fn ended(case: &CaseSummary) -> String {
    let mark = match case.state.as_str() {
        "closed" => style("✓").green(),
        "refused" => style("✗").red(),
        _ => style("-").yellow(),
    };
    format!(
        "{mark} {} {} {}: {}",
        case.case,
        who(case),
        case.state,
        safe(&case.doing)
    )
}

fn plain(case: &CaseSummary) -> String {
    let needs = match (case.needs, case.failed) {
        (0, _) => String::new(),
        (n, 0) => format!(", {n} for a person"),
        (n, f) => format!(", {n} for a person ({f} failed)"),
    };
    let doing = if case.doing.is_empty() {
        String::new()
    } else {
        format!(": {}", safe(&case.doing))
    };
    format!(
        "{} {} {} {}/{}{needs}{doing}",
        case.case,
        who(case),
        case.state,
        case.settled,
        case.total
    )
}
