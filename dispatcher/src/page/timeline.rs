//! The course of a departure as one picture: a bar for each task from its
//! first assignment to its end. Seconds and days stand side by side in a
//! departure, so the axis grows with the logarithm of each pause: order is
//! exact, lengths are not, and the picture says so. The tables hold the same
//! times for who cannot see it.

use super::words::{class, class_words, clock, day, duration, moment, sign};
use maud::{Markup, html};
use offboard_domain::catalogue::Stage;
use offboard_domain::evidence::{Predicate, TaskAccount, When};
use std::collections::{BTreeMap, BTreeSet};

/// Width of the picture, in its own units.
const WIDTH: f64 = 1_100.0;
/// Where the bars begin: left of it stand the titles.
const LEFT: f64 = 300.0;
/// Room on the right, so that the last bar and label end inside.
const RIGHT: f64 = 20.0;
/// Height of one task's row.
const ROW: f64 = 15.0;
/// Height of a stage's heading.
const HEAD: f64 = 22.0;
/// Room above for the labels of the axis.
const TOP: f64 = 46.0;
/// Two labels of the axis are at least this far apart.
const LABEL_APART: f64 = 84.0;
/// Longest title, in characters; the whole one is in the tables.
const TITLE_CHARS: usize = 46;
/// A pause of this many seconds gets a label behind it.
const LONG_PAUSE_S: i64 = 300;

/// Where each time stands.
struct Axis(BTreeMap<When, f64>);

impl Axis {
    fn of(times: &BTreeSet<When>) -> Self {
        let mut at = 0.0;
        let mut last: Option<When> = None;
        let mut places = Vec::with_capacity(times.len());
        for time in times {
            if let Some(last) = last {
                at += (1.0 + time.seconds_since(last) as f64).ln();
            }
            places.push((*time, at));
            last = Some(*time);
        }
        let scale = if at > 0.0 { (WIDTH - LEFT - RIGHT) / at } else { 0.0 };
        Self(places.into_iter().map(|(t, x)| (t, LEFT + x * scale)).collect())
    }

    fn x(&self, time: When) -> f64 {
        self.0.get(&time).copied().unwrap_or(LEFT)
    }

    /// The times that get a label: the first, the last, and those after a long pause.
    fn labels(&self) -> Vec<(When, f64)> {
        let mut out: Vec<(When, f64)> = Vec::new();
        let mut last: Option<When> = None;
        for (time, x) in &self.0 {
            let after_pause = last.is_none_or(|l| time.seconds_since(l) >= LONG_PAUSE_S);
            let free = out.last().is_none_or(|(_, before)| x - before >= LABEL_APART);
            if after_pause && free && *x <= WIDTH - LABEL_APART {
                out.push((*time, *x));
            }
            last = Some(*time);
        }
        out
    }
}

/// The section.
pub(super) fn section(said: &Predicate) -> Markup {
    let tasks: Vec<&TaskAccount> = said.tasks.iter().filter(|t| !t.nature.closing_round).collect();
    let axis = Axis::of(&times(said, &tasks));
    let mut y = TOP;
    let mut rows = Vec::new();
    for stage in Stage::ALL {
        let of_stage: Vec<&TaskAccount> = tasks.iter().copied().filter(|t| t.stage == *stage).collect();
        if of_stage.is_empty() {
            continue;
        }
        rows.push(heading(stage.title(), y));
        y += HEAD;
        for task in of_stage {
            rows.push(row(task, y, &axis));
            y += ROW;
        }
    }
    let height = y + 8.0;
    let used: BTreeSet<&str> = tasks.iter().map(|t| class(t)).collect();
    html! {
        section.whole aria-labelledby="course" {
            h2 #course { "Course" }
            p.lead {
                "Each bar runs from a task's first assignment to its settled end; a dot is what a person decided. Pauses are shortened: the order is exact, lengths are not."
            }
            div.chart {
                svg viewBox=(format!("0 0 {WIDTH} {height:.0}")) role="img" aria-label="Timeline of the tasks; the tables below hold the same times" {
                    (grid(said, &axis, height))
                    @for row in &rows { (row) }
                }
            }
            ul.legend {
                @for class in &used { li { span.badge.(class) { (sign(class)) " " (class_words(class)) } } }
                li { "red stroke: a fault or a stop" }
                li { "shaded: a closing round" }
            }
        }
    }
}

fn times(said: &Predicate, tasks: &[&TaskAccount]) -> BTreeSet<When> {
    let mut all: BTreeSet<When> = [
        said.request.requested_at,
        said.request.effective_at,
        said.times.opened_at,
        said.times.ended_at,
    ]
    .into();
    for t in tasks {
        all.extend(t.first_assigned_at);
        all.extend(t.settled_at);
        all.extend(t.steps.iter().map(|s| s.at));
    }
    for r in &said.rounds {
        all.insert(r.began_at);
        all.extend(r.ended_at);
    }
    all
}

fn grid(said: &Predicate, axis: &Axis, height: f64) -> Markup {
    let effective = axis.x(said.request.effective_at);
    let top = TOP - 6.0;
    html! {
        @for r in &said.rounds {
            @let (from, to) = (axis.x(r.began_at), axis.x(r.ended_at.unwrap_or(r.began_at)));
            rect.round x=(n(from)) y=(n(top)) width=(n((to - from).max(3.0))) height=(n(height - top)) {
                title { "Closing round " (r.round) ", " (moment(r.began_at)) }
            }
        }
        @for (time, x) in axis.labels() {
            line.grid x1=(n(x)) x2=(n(x)) y1=(n(top)) y2=(n(height)) {}
            text.soft x=(n(x)) y="26" { (day(time)) }
            text.soft x=(n(x)) y="37" { (clock(time)) }
        }
        line.now x1=(n(effective)) x2=(n(effective)) y1="14" y2=(n(height)) {}
        text.head x=(n(effective)) y="11" text-anchor=(if effective > WIDTH - 120.0 { "end" } else { "start" }) { "effective" }
    }
}

fn heading(title: &str, y: f64) -> Markup {
    html! {
        text.head x="0" y=(n(y + 15.0)) { (title) }
        line.grid x1="0" x2=(n(WIDTH)) y1=(n(y + HEAD - 3.0)) y2=(n(y + HEAD - 3.0)) {}
    }
}

fn row(task: &TaskAccount, y: f64, axis: &Axis) -> Markup {
    let class = class(task);
    let end = task.settled_at.or(task.steps.last().map(|s| s.at));
    let from = task.first_assigned_at.or(end);
    let bar = from
        .zip(end)
        .map(|(from, end)| (axis.x(from), axis.x(end), end.seconds_since(from)));
    html! {
        g {
            title {
                (task.title) " — " (class_words(class))
                @if let Some(end) = end { ", " (moment(end)) }
                @if let Some((_, _, seconds)) = bar { @if seconds > 0 { ", after " (duration(seconds)) } }
            }
            text x="8" y=(n(y + 10.5)) { (shortened(task)) }
            @if task.first_assigned_at.is_none() {
                @if let Some((_, to, _)) = bar { circle.bar.(class) cx=(n(to)) cy=(n(y + 7.0)) r="4" {} }
            } @else if let Some((from, to, _)) = bar {
                rect.bar.(class) x=(n(from - 1.5)) y=(n(y + 3.0)) width=(n((to - from).max(0.0) + 3.0)) height="8" rx="2" {}
            }
            @for step in task.steps.iter().filter(|s| s.fault.is_some() || s.rule.is_some()) {
                @let x = axis.x(step.at);
                line.fault x1=(n(x)) x2=(n(x)) y1=(n(y + 1.0)) y2=(n(y + 13.0)) {}
            }
        }
    }
}

fn shortened(task: &TaskAccount) -> String {
    let mut out: String = task.title.chars().take(TITLE_CHARS).collect();
    if task.title.chars().count() > TITLE_CHARS {
        out.push('…');
    }
    out
}

/// A number of the picture, to a tenth.
fn n(x: f64) -> String {
    format!("{x:.1}")
}
