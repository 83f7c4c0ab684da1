//! How times, states and tables look to a person.

use console::{Alignment, StyledObject, measure_text_width, pad_str, style, truncate_str};
use jiff::Zoned;
use jiff::tz::TimeZone;
use offboard_dispatcher::view::CaseView;
use offboard_domain::catalogue::script;
use offboard_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};
use offboard_domain::{Kind, Timestamp};

/// A time on this machine's clock, to the minute.
#[must_use]
pub fn when(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(time) => Zoned::new(time, TimeZone::system())
            .strftime("%Y-%m-%d %H:%M")
            .to_string(),
        // Beyond the calendar: as it stands.
        Err(_) => at.to_string(),
    }
}

/// A length of time, in one unit or two.
#[must_use]
pub fn span(ms: i64) -> String {
    let ms = ms.max(0);
    let two = |big: i64, big_unit: &str, small: i64, small_unit: &str| {
        let (n, rest) = (ms / big, ms % big / small);
        if rest == 0 {
            format!("{n} {big_unit}")
        } else {
            format!("{n} {big_unit} {rest} {small_unit}")
        }
    };
    match ms {
        ms if ms < MINUTE_MS => format!("{} s", ms / SECOND_MS),
        ms if ms < HOUR_MS => format!("{} min", ms / MINUTE_MS),
        ms if ms < DAY_MS => two(HOUR_MS, "h", MINUTE_MS, "min"),
        _ => two(DAY_MS, "d", HOUR_MS, "h"),
    }
}

/// How far a time is from now: `in 3 min`, `2 h ago`.
#[must_use]
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    let ahead = at.since(now);
    if ahead > 0 {
        format!("in {}", span(ahead))
    } else {
        format!("{} ago", span(-ahead))
    }
}

/// A state or status in its colour.
#[must_use]
pub fn state(word: &str) -> StyledObject<String> {
    let text = style(word.to_owned());
    match word {
        "closed" | "done" => text.green(),
        "active" | "closing" | "sealing" | "working" | "ready" | "received" => text.cyan(),
        "person" | "cancelling" => text.yellow(),
        "failed" | "refused" => text.red(),
        _ => text.dim(),
    }
}

/// A bar of so many cells.
#[must_use]
pub fn bar(done: u32, of: u32, cells: usize) -> String {
    let full = if of == 0 {
        0
    } else {
        cells * done.min(of) as usize / of as usize
    };
    format!("{}{}", "█".repeat(full), "░".repeat(cells - full))
}

/// What tells tasks of one kind from each other: the object, and of programs of
/// one's own the system.
#[must_use]
pub fn about(kind: Kind, object: Option<&str>, system: &str) -> String {
    let program = script::KINDS.contains(&kind).then_some(system);
    object
        .or(program)
        .map(|o| format!(" [{}]", safe(o)))
        .unwrap_or_default()
}

/// Who handed a request in, where that was not who asked.
#[must_use]
pub fn handed_in(by: Option<&str>) -> String {
    by.map_or_else(String::new, |by| format!(", handed in by {}", safe(by)))
}

/// Who changed what was asked, and who handed that in for others.
#[must_use]
pub fn amended(view: &CaseView) -> String {
    let handed_in_by = view.changes_handed_in_by.join(", ");
    let handed_in = handed_in(Some(handed_in_by.as_str()).filter(|by| !by.is_empty()));
    safe(&view.amended_by.join(", ")) + &handed_in
}

/// Text from outside, safe for a terminal: what could move the cursor, turn
/// the writing or begin another line is shown, not done.
#[must_use]
pub fn safe(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars()
        .map(|c| if c.is_control() || turns(c) { '\u{fffd}' } else { c })
        .collect()
}

/// Rows in columns. The last column takes what room is left.
#[derive(Debug, Default)]
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

/// Space between columns.
const GAP: &str = "  ";
/// Narrowest that the last column gets.
const LAST_MIN: usize = 16;

impl Table {
    /// A table with these columns.
    #[must_use]
    pub fn new(head: &[&'static str]) -> Self {
        Self {
            head: head.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; cells may be coloured.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines, the head first, each at most `width` columns wide.
    #[must_use]
    pub fn lines(&self, width: Option<usize>) -> Vec<String> {
        let mut widths: Vec<usize> = self.head.iter().map(|h| measure_text_width(h)).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(measure_text_width(cell));
            }
        }
        if let (Some(width), Some(last)) = (width, widths.len().checked_sub(1)) {
            let before: usize = widths[..last].iter().map(|w| w + GAP.len()).sum();
            widths[last] = widths[last].min(width.saturating_sub(before).max(LAST_MIN));
        }
        let head = self.head.iter().map(|h| style(h).dim().to_string()).collect::<Vec<_>>();
        std::iter::once(&head)
            .chain(&self.rows)
            .map(|row| line(row, &widths))
            .collect()
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let last = widths.len().saturating_sub(1);
    let mut out = String::new();
    for (i, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let cell = truncate_str(cell, *width, "…");
        if i == last {
            out.push_str(&cell);
        } else {
            out.push_str(&pad_str(&cell, *width, Alignment::Left, None));
            out.push_str(GAP);
        }
    }
    out.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_units_at_most() {
        for (ms, text) in [
            (0, "0 s"),
            (59_999, "59 s"),
            (60_000, "1 min"),
            (5_400_000, "1 h 30 min"),
            (3_600_000, "1 h"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(span(ms), text);
        }
        assert_eq!(relative(Timestamp(61_000), Timestamp(0)), "in 1 min");
        assert_eq!(relative(Timestamp(0), Timestamp(61_000)), "1 min ago");
    }

    #[test]
    fn bars_are_as_long_as_they_should_be() {
        assert_eq!(bar(1, 2, 4), "██░░");
        assert_eq!(bar(3, 2, 4), "████");
        assert_eq!(bar(0, 0, 4), "░░░░");
    }

    #[test]
    fn a_table_fits() {
        let mut table = Table::new(&["a", "long"]);
        table.row(vec!["xyz".into(), "0123456789012345678901234567890".into()]);
        let lines = table.lines(Some(24));
        assert_eq!(lines[1], "xyz  012345678901234567…");
        assert!(lines.iter().all(|l| measure_text_width(l) <= 24));
    }

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        assert_eq!(safe("Anna\u{1b}[2J\nB\u{202e}x"), "Anna\u{fffd}[2J\u{fffd}B\u{fffd}x");
    }
}
