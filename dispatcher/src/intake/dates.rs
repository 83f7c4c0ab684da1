//! Dates as people write them, and what they mean where the tenant is. What a
//! day without a time means is for the field to say: of the last day, the end of
//! its working day there; of the day of the request, its begin.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use offboard_domain::Timestamp;
use offboard_runtime::config::{DateFormat, Tenant};
use std::collections::BTreeSet;

/// Years that a departure can be in; anything else is a slip of the hand.
const YEARS: std::ops::RangeInclusive<i16> = 2000..=2100;

/// A point in time, and what had to be assumed about it.
pub(super) struct Moment {
    pub(super) at: Timestamp,
    /// It was given as a day, without a time.
    pub(super) day: Option<Date>,
    /// Its time was given, and is the very begin of a day where the tenant is.
    pub(super) midnight: bool,
    pub(super) assumed: Option<String>,
}

/// What is expected, in words.
fn expected(formats: &BTreeSet<DateFormat>) -> String {
    let words: Vec<String> = formats
        .iter()
        .map(|f| match f {
            DateFormat::Iso => "2026-11-30".to_owned(),
            other => other.word().to_owned(),
        })
        .collect();
    format!(
        "a date from 2000 to 2100 as {}, with or without a time (17:00)",
        words.join(" or ")
    )
}

/// Reads a date in one of the formats, in the tenant's time zone unless it
/// says its own. A day without a time means that `time_of_day` of it.
pub(super) fn moment(
    text: &str,
    formats: &BTreeSet<DateFormat>,
    tenant: &Tenant,
    time_of_day: Time,
) -> Result<Moment, String> {
    let fail = || expected(formats);
    let text = text.trim();
    let digits_end = text
        .find(|c: char| !c.is_ascii_digit() && !"-./".contains(c))
        .unwrap_or(text.len());
    let (day, rest) = text.split_at(digits_end);
    let date = date(day, formats)
        .filter(|d| YEARS.contains(&d.year()))
        .ok_or_else(fail)?;
    let rest = rest.strip_prefix(['T', 't', ',']).unwrap_or(rest).trim();
    if rest.is_empty() {
        let of_day = in_zone(date.to_datetime(time_of_day), &tenant.time_zone, fail)?;
        return Ok(Moment {
            day: Some(date),
            ..of_day
        });
    }
    let (time, rest) = time(rest).ok_or_else(fail)?;
    let local = date.to_datetime(time);
    let here = |zone: &TimeZone| {
        in_zone(local, zone, fail).map(|found| Moment {
            midnight: begins_day(found.at, tenant),
            ..found
        })
    };
    let rest = rest.trim();
    let rest = rest.strip_suffix("Uhr").map_or(rest, str::trim);
    if rest.is_empty() {
        return here(&tenant.time_zone);
    }
    // "+01:00[Europe/Berlin]" as RFC 9557 writes it: the offset decides.
    let (own, name) = rest
        .strip_suffix(']')
        .and_then(|r| r.split_once('['))
        .unwrap_or((rest, ""));
    if let Some(offset) = offset(own) {
        let at = offset.to_timestamp(local).map_err(|_| fail())?;
        let at = Timestamp(at.as_millisecond());
        return Ok(Moment {
            at,
            day: None,
            midnight: begins_day(at, tenant),
            assumed: None,
        });
    }
    let name = if own.is_empty() { name } else { rest };
    match TimeZone::get(name) {
        Ok(zone) => here(&zone),
        Err(_) => Err(fail()),
    }
}

/// Whether a day begins then where the tenant is.
fn begins_day(at: Timestamp, tenant: &Tenant) -> bool {
    jiff::Timestamp::from_millisecond(at.0).is_ok_and(|at| {
        let there = at.to_zoned(tenant.time_zone.clone());
        there.start_of_day().is_ok_and(|begin| begin == there)
    })
}

/// When work ends on a day.
pub(super) fn end_of_work(day: Date, tenant: &Tenant) -> Option<Timestamp> {
    let end = day.to_datetime(tenant.working_hours.to);
    in_zone(end, &tenant.time_zone, String::new).ok().map(|end| end.at)
}

fn date(day: &str, formats: &BTreeSet<DateFormat>) -> Option<Date> {
    formats.iter().find_map(|format| {
        let sign = match format {
            DateFormat::Iso => '-',
            DateFormat::DayDotMonth => '.',
            DateFormat::DaySlashMonth | DateFormat::MonthSlashDay => '/',
        };
        let parts: Vec<&str> = day.split(sign).collect();
        let [a, b, c] = parts.as_slice() else { return None };
        let (y, m, d) = match format {
            DateFormat::Iso => (a, b, c),
            DateFormat::DayDotMonth | DateFormat::DaySlashMonth => (c, b, a),
            DateFormat::MonthSlashDay => (c, a, b),
        };
        // Two digits of a year are a guess between centuries.
        let widths = y.len() == 4 && (1..=2).contains(&m.len()) && (1..=2).contains(&d.len());
        if !widths {
            return None;
        }
        Date::new(y.parse().ok()?, m.parse().ok()?, d.parse().ok()?).ok()
    })
}

/// `17:00`, `17:00:30`, `17:00:30.5`, `5:00 PM`; what follows is returned.
fn time(text: &str) -> Option<(Time, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && !":.".contains(c))
        .unwrap_or(text.len());
    let (clock, rest) = text.split_at(end);
    let clock = clock.split_once('.').map_or(clock, |(whole, _)| whole);
    let parts: Vec<&str> = clock.split(':').collect();
    if !(2..=3).contains(&parts.len()) || parts.iter().any(|p| p.is_empty() || p.len() > 2) {
        return None;
    }
    let mut hour: i8 = parts[0].parse().ok()?;
    let minute: i8 = parts[1].parse().ok()?;
    let second: i8 = parts.get(2).map_or(Some(0), |s| s.parse().ok())?;
    let after = rest.trim_start();
    // The "Am" of "America/New_York" is none.
    let alone = after.chars().nth(2).is_none_or(|c| !c.is_alphabetic());
    let half = after.get(..2).filter(|_| alone).map(str::to_ascii_lowercase);
    let rest = match half.as_deref() {
        Some(half @ ("am" | "pm")) => {
            if !(1..=12).contains(&hour) {
                return None;
            }
            hour = hour % 12 + if half == "pm" { 12 } else { 0 };
            &after[2..]
        }
        _ => rest,
    };
    Some((Time::new(hour, minute, second, 0).ok()?, rest))
}

/// `Z`, `+01:00`, `+0100`, `+01`.
fn offset(text: &str) -> Option<Offset> {
    let text = text.trim();
    if matches!(text, "Z" | "z" | "UTC" | "GMT") {
        return Some(Offset::UTC);
    }
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-" | "\u{2212}", rest) => (-1, rest),
        _ => return None,
    };
    let digits = digits.replacen(':', "", 1);
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let hours: i32 = digits[..2].parse().ok()?;
    let minutes: i32 = digits
        .get(2..)
        .filter(|m| !m.is_empty())
        .map_or(Some(0), |m| m.parse().ok())?;
    // No place on earth is further from UTC than 14 hours.
    if hours > 14 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok()
}

/// A local time in a zone. In the hour that a clock change skips it is taken
/// as much later; in the one that comes twice, the first: access ends rather
/// sooner.
fn in_zone(local: DateTime, zone: &TimeZone, fail: impl Fn() -> String) -> Result<Moment, String> {
    let found = zone.to_ambiguous_zoned(local);
    let change = found.offset();
    let zoned = found.compatible().map_err(|_| fail())?;
    let assumed = match change {
        AmbiguousOffset::Unambiguous { .. } => None,
        AmbiguousOffset::Gap { .. } => Some(format!(
            "{local} does not exist there, because the clocks go forward; taken as {}",
            zoned.datetime()
        )),
        AmbiguousOffset::Fold { .. } => Some(format!(
            "{local} comes twice there, because the clocks go back; taken as the first ({})",
            zoned.offset()
        )),
    };
    Ok(Moment {
        at: Timestamp(zoned.timestamp().as_millisecond()),
        day: None,
        midnight: false,
        assumed,
    })
}
