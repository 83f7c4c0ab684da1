//! The last day of a series of meetings, and what of it is to come, from its pattern and
//! range as Graph writes them (`patternedRecurrence`). A series that is counted names no end:
//! its occurrences are counted off here, by the rules of Outlook.

use jiff::Span;
use jiff::civil::{Date, Weekday};
use serde_json::Value;

/// More occurrences than Outlook lets anybody count (999).
const COUNT_MAX: i64 = 1_000;
const MONTHS_IN_YEAR: i64 = 12;
const DAYS_IN_WEEK: i64 = 7;

/// The day of the last occurrence; none when the series has no end, or one
/// that cannot be read.
pub(super) fn last_day(recurrence: &Value) -> Option<Date> {
    let (pattern, range) = (&recurrence["pattern"], &recurrence["range"]);
    match range["type"].as_str()? {
        "noEnd" => None,
        "numbered" => {
            let count = occurrences(range)?;
            counted(pattern, date_in(&range["startDate"])?, count)
        }
        _ => date_in(&range["endDate"]),
    }
}

/// What of a series is to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rest {
    /// All of it, or it cannot be told.
    All,
    /// What begins so many days after the series does, and how it repeats from there.
    From(i64, Value),
    /// Nothing: its last occurrence is over.
    Over,
}

/// The series from its first occurrence on of which `is_to_come` holds, told by how many
/// days it is after the series' start (it holds of every later one).
pub(super) fn from_next_on(recurrence: &Value, is_to_come: impl Fn(i64) -> bool) -> Rest {
    told_from_next_on(recurrence, is_to_come).unwrap_or(Rest::All)
}

fn told_from_next_on(recurrence: &Value, is_to_come: impl Fn(i64) -> bool) -> Option<Rest> {
    let (pattern, range) = (&recurrence["pattern"], &recurrence["range"]);
    let start = date_in(&range["startDate"])?;
    let days_to = |nth: i64| {
        let passed = counted(pattern, start, nth)?.since(start).ok()?;
        Some(i64::from(passed.get_days()))
    };
    // Twice as far until one is to come, then halfway back.
    let (mut over, mut next) = (0, 1);
    while !is_to_come(days_to(next)?) {
        over = next;
        next *= 2;
    }
    while next - over > 1 {
        let between = over + (next - over) / 2;
        if is_to_come(days_to(between)?) {
            next = between;
        } else {
            over = between;
        }
    }
    if over == 0 {
        return Some(Rest::All);
    }
    let days = days_to(next)?;
    let begins = after(start, days)?;
    let mut rest = recurrence.clone();
    rest["range"]["startDate"] = Value::String(begins.to_string());
    let is_over = match range["type"].as_str()? {
        "noEnd" => false,
        "numbered" => {
            let left = occurrences(range)? - over;
            rest["range"]["numberOfOccurrences"] = Value::from(left);
            left <= 0
        }
        _ => date_in(&range["endDate"]).is_some_and(|last| last < begins),
    };
    Some(if is_over { Rest::Over } else { Rest::From(days, rest) })
}

/// How often a series that is counted repeats.
fn occurrences(range: &Value) -> Option<i64> {
    range["numberOfOccurrences"]
        .as_i64()
        .filter(|n| (1..=COUNT_MAX).contains(n))
}

fn date_in(value: &Value) -> Option<Date> {
    value.as_str()?.parse().ok()
}

fn counted(pattern: &Value, start: Date, count: i64) -> Option<Date> {
    let interval = pattern["interval"].as_i64().filter(|n| *n > 0)?;
    let first_month = i64::from(start.year()) * MONTHS_IN_YEAR + i64::from(start.month()) - 1;
    match pattern["type"].as_str()? {
        "daily" => after(start, (count - 1).checked_mul(interval)?),
        "weekly" => weekly(pattern, start, count, interval),
        "absoluteMonthly" | "relativeMonthly" => monthly(pattern, start, count, first_month, interval),
        "absoluteYearly" | "relativeYearly" => {
            let month = pattern["month"].as_i64().filter(|m| (1..=MONTHS_IN_YEAR).contains(m))?;
            let first_month = i64::from(start.year()) * MONTHS_IN_YEAR + month - 1;
            let step = interval.checked_mul(MONTHS_IN_YEAR)?;
            monthly(pattern, start, count, first_month, step)
        }
        _ => None,
    }
}

fn after(day: Date, days: i64) -> Option<Date> {
    day.checked_add(Span::new().try_days(days).ok()?).ok()
}

/// On some days of every so-manieth week. The week of the start is the first,
/// and begins on the day that the pattern says.
fn weekly(pattern: &Value, start: Date, count: i64, interval: i64) -> Option<Date> {
    let begins = match pattern["firstDayOfWeek"].as_str() {
        None => Weekday::Sunday,
        Some(name) => weekday(name)?,
    };
    let mut offsets: Vec<i64> = weekdays(pattern)?
        .iter()
        .map(|day| i64::from(day.since(begins)))
        .collect();
    offsets.sort_unstable();
    offsets.dedup();
    let first_week = after(start, -i64::from(start.weekday().since(begins)))?;
    let mut left = count;
    for nth in 0..=count {
        for offset in &offsets {
            let day = after(
                first_week,
                nth.checked_mul(interval)?.checked_mul(DAYS_IN_WEEK)? + offset,
            )?;
            if day >= start {
                left -= 1;
            }
            if left == 0 {
                return Some(day);
            }
        }
    }
    None
}

/// On one day of every so-manieth month, counted from the year 0.
fn monthly(pattern: &Value, start: Date, count: i64, first_month: i64, step: i64) -> Option<Date> {
    let mut left = count;
    for nth in 0..=count {
        let month = first_month + nth.checked_mul(step)?;
        let first = Date::new(
            i16::try_from(month / MONTHS_IN_YEAR).ok()?,
            i8::try_from(month % MONTHS_IN_YEAR + 1).ok()?,
            1,
        )
        .ok()?;
        let day = day_of(pattern, first)?;
        if day >= start {
            left -= 1;
        }
        if left == 0 {
            return Some(day);
        }
    }
    None
}

/// The day in the month of `first`: that date, or the month's last when it is
/// shorter; or the first, second, … or last of the days that the pattern names.
fn day_of(pattern: &Value, first: Date) -> Option<Date> {
    if pattern["type"].as_str()?.starts_with("absolute") {
        let day = pattern["dayOfMonth"].as_i64().filter(|d| *d > 0)?;
        let day = i8::try_from(day).ok()?.min(first.days_in_month());
        return Date::new(first.year(), first.month(), day).ok();
    }
    let named = weekdays(pattern)?;
    let mut days = (0..i64::from(first.days_in_month()))
        .filter_map(|n| after(first, n))
        .filter(|day| named.contains(&day.weekday()));
    match pattern["index"].as_str().unwrap_or("first") {
        "first" => days.next(),
        "second" => days.nth(1),
        "third" => days.nth(2),
        "fourth" => days.nth(3),
        "last" => days.next_back(),
        _ => None,
    }
}

fn weekdays(pattern: &Value) -> Option<Vec<Weekday>> {
    let named = pattern["daysOfWeek"].as_array().filter(|days| !days.is_empty())?;
    named.iter().map(|day| weekday(day.as_str()?)).collect()
}

fn weekday(name: &str) -> Option<Weekday> {
    Some(match name {
        "monday" => Weekday::Monday,
        "tuesday" => Weekday::Tuesday,
        "wednesday" => Weekday::Wednesday,
        "thursday" => Weekday::Thursday,
        "friday" => Weekday::Friday,
        "saturday" => Weekday::Saturday,
        "sunday" => Weekday::Sunday,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn last(pattern: &Value, start: &str, count: i64) -> Option<String> {
        let range =
            json!({"type": "numbered", "startDate": start, "endDate": "0001-01-01", "numberOfOccurrences": count});
        last_day(&json!({"pattern": pattern, "range": range})).map(|day| day.to_string())
    }

    #[test]
    fn a_counted_series_ends_on_its_last_occurrence() {
        // 2026-11-23 is a Monday.
        let (start, weekdays) = ("2026-11-23", ["monday", "tuesday", "wednesday", "thursday", "friday"]);
        for (pattern, count, wanted) in [
            (json!({"type": "daily", "interval": 1}), 1, "2026-11-23"),
            (json!({"type": "daily", "interval": 3}), 5, "2026-12-05"),
            (
                json!({"type": "weekly", "interval": 1, "daysOfWeek": ["monday"]}),
                10,
                "2027-01-25",
            ),
            (
                json!({"type": "weekly", "interval": 2, "daysOfWeek": ["friday", "monday"], "firstDayOfWeek": "monday"}),
                3,
                "2026-12-07",
            ),
            // What the week of the start had before it does not count; where the week begins decides which are skipped.
            (
                json!({"type": "weekly", "interval": 2, "daysOfWeek": ["sunday", "tuesday"], "firstDayOfWeek": "monday"}),
                3,
                "2026-12-08",
            ),
            (
                json!({"type": "weekly", "interval": 2, "daysOfWeek": ["sunday", "tuesday"], "firstDayOfWeek": "sunday"}),
                3,
                "2026-12-08",
            ),
            (
                json!({"type": "weekly", "interval": 2, "daysOfWeek": ["sunday", "tuesday"], "firstDayOfWeek": "sunday"}),
                2,
                "2026-12-06",
            ),
            (
                json!({"type": "weekly", "interval": 2, "daysOfWeek": ["sunday", "tuesday"], "firstDayOfWeek": "monday"}),
                2,
                "2026-11-29",
            ),
            (
                json!({"type": "absoluteMonthly", "interval": 1, "dayOfMonth": 23}),
                3,
                "2027-01-23",
            ),
            (
                json!({"type": "absoluteMonthly", "interval": 1, "dayOfMonth": 5}),
                1,
                "2026-12-05",
            ),
            (
                json!({"type": "absoluteMonthly", "interval": 3, "dayOfMonth": 31}),
                2,
                "2027-02-28",
            ),
            (
                json!({"type": "relativeMonthly", "interval": 1, "daysOfWeek": ["monday"], "index": "last"}),
                2,
                "2026-12-28",
            ),
            (
                json!({"type": "relativeMonthly", "interval": 1, "daysOfWeek": ["tuesday"], "index": "second"}),
                1,
                "2026-12-08",
            ),
            (
                json!({"type": "relativeMonthly", "interval": 1, "daysOfWeek": weekdays, "index": "first"}),
                2,
                "2027-01-01",
            ),
            (
                json!({"type": "absoluteYearly", "interval": 1, "dayOfMonth": 29, "month": 2}),
                2,
                "2028-02-29",
            ),
            (
                json!({"type": "relativeYearly", "interval": 2, "daysOfWeek": ["thursday"], "index": "fourth", "month": 11}),
                2,
                "2028-11-23",
            ),
        ] {
            assert_eq!(
                last(&pattern, start, count).as_deref(),
                Some(wanted),
                "{pattern} × {count}"
            );
        }
    }

    #[test]
    fn a_series_goes_on_with_what_of_it_is_to_come() {
        // 2026-11-23 is a Monday.
        let weekly =
            json!({"type": "weekly", "interval": 2, "daysOfWeek": ["monday", "thursday"], "firstDayOfWeek": "monday"});
        let monthly = json!({"type": "absoluteMonthly", "interval": 1, "dayOfMonth": 31});
        let rest =
            |days: i64, pattern: &Value, range: Value| Rest::From(days, json!({"pattern": pattern, "range": range}));
        for (pattern, range, from, wanted) in [
            // The first is to come still.
            (
                &weekly,
                json!({"type": "noEnd", "startDate": "2026-11-23"}),
                0,
                Rest::All,
            ),
            (
                &weekly,
                json!({"type": "numbered", "startDate": "2026-11-23", "numberOfOccurrences": 5}),
                4,
                rest(
                    14,
                    &weekly,
                    json!({"type": "numbered", "startDate": "2026-12-07", "numberOfOccurrences": 3}),
                ),
            ),
            (
                &weekly,
                json!({"type": "noEnd", "startDate": "2016-11-21"}),
                3_654,
                rest(3_654, &weekly, json!({"type": "noEnd", "startDate": "2026-11-23"})),
            ),
            (
                &monthly,
                json!({"type": "endDate", "startDate": "2026-08-31", "endDate": "2027-08-31"}),
                31,
                rest(
                    61,
                    &monthly,
                    json!({"type": "endDate", "startDate": "2026-10-31", "endDate": "2027-08-31"}),
                ),
            ),
            // The last is to come, and it is over.
            (
                &weekly,
                json!({"type": "endDate", "startDate": "2026-11-23", "endDate": "2026-12-07"}),
                14,
                rest(
                    14,
                    &weekly,
                    json!({"type": "endDate", "startDate": "2026-12-07", "endDate": "2026-12-07"}),
                ),
            ),
            (
                &weekly,
                json!({"type": "endDate", "startDate": "2026-11-23", "endDate": "2026-12-09"}),
                15,
                Rest::Over,
            ),
            (
                &weekly,
                json!({"type": "numbered", "startDate": "2026-11-23", "numberOfOccurrences": 2}),
                3,
                rest(
                    3,
                    &weekly,
                    json!({"type": "numbered", "startDate": "2026-11-26", "numberOfOccurrences": 1}),
                ),
            ),
            (
                &weekly,
                json!({"type": "numbered", "startDate": "2026-11-23", "numberOfOccurrences": 2}),
                4,
                Rest::Over,
            ),
            // Unreadable.
            (&weekly, json!({"type": "noEnd"}), 4, Rest::All),
            (
                &weekly,
                json!({"type": "numbered", "startDate": "2026-11-23", "numberOfOccurrences": 0}),
                4,
                Rest::All,
            ),
        ] {
            let series = json!({"pattern": pattern, "range": range});
            assert_eq!(
                from_next_on(&series, |days| days >= from),
                wanted,
                "{series} from {from}"
            );
        }
    }

    #[test]
    fn what_cannot_be_read_has_no_known_end() {
        let daily = json!({"type": "daily", "interval": 1});
        for (pattern, start, count) in [
            (&daily, "soon", 3),
            (&daily, "2026-11-23", 0),
            (&daily, "2026-11-23", COUNT_MAX + 1),
            (&json!({"type": "daily", "interval": 0}), "2026-11-23", 3),
            (&json!({"type": "daily", "interval": i64::MAX}), "2026-11-23", 3),
            (
                &json!({"type": "weekly", "interval": 1, "daysOfWeek": []}),
                "2026-11-23",
                3,
            ),
            (
                &json!({"type": "weekly", "interval": 1, "daysOfWeek": ["someday"]}),
                "2026-11-23",
                3,
            ),
            (
                &json!({"type": "absoluteYearly", "interval": 1, "dayOfMonth": 1, "month": 13}),
                "2026-11-23",
                3,
            ),
            (&json!({"type": "lunar", "interval": 1}), "2026-11-23", 3),
        ] {
            assert_eq!(last(pattern, start, count), None, "{pattern}");
        }
        assert_eq!(last_day(&Value::Null), None);
    }
}
