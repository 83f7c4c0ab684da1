//! A time as a person types it.

use crate::error::CliError;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use offboard_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use offboard_domain::{TenantId, Timestamp};
use offboard_runtime::config::Configuration;

/// Where the tenant is, or this machine where none is meant; none if the tenant's file does
/// not read.
pub(super) fn zone(config: &Configuration, tenant: Option<&TenantId>) -> Option<TimeZone> {
    if tenant.is_some_and(|t| config.broken.contains_key(t)) {
        return None;
    }
    let known = tenant.and_then(|t| config.tenants.get(t));
    Some(known.map_or_else(TimeZone::system, |t| t.time_zone.clone()))
}

/// A date means the end of that day where the tenant is; it is refused where that is not known.
pub(super) fn time(given: &str, zone: Option<&TimeZone>, now: Timestamp) -> Result<Timestamp, CliError> {
    let given = given.trim();
    let ms = |t: jiff::Timestamp| Timestamp(t.as_millisecond());
    for (unit, unit_ms) in [('d', DAY_MS), ('h', HOUR_MS), ('m', MINUTE_MS)] {
        if let Some(n) = given.strip_suffix(unit).and_then(|n| n.parse::<u32>().ok()) {
            return Ok(now.plus(i64::from(n) * unit_ms));
        }
    }
    if let Ok(at) = given.parse::<jiff::Timestamp>() {
        return Ok(ms(at));
    }
    let zone = zone.ok_or_else(|| {
        CliError::usage(format!(
            "'{}' means nothing while the tenant's file does not read: its time zone is not known",
            crate::show::safe(given)
        ))
        .next("give a span (30d, 4h, 90m) or a time with an offset, or mend the file: `offboard doctor` names the line")
    })?;
    let local = |t: DateTime| zone.to_ambiguous_zoned(t).compatible().ok().map(|z| ms(z.timestamp()));
    let found = if given.contains([':', 'T']) {
        given.parse::<DateTime>().ok().and_then(local)
    } else {
        given
            .parse::<Date>()
            .ok()
            .and_then(|d| d.tomorrow().ok())
            .and_then(|d| local(d.at(0, 0, 0, 0)))
    };
    found.ok_or_else(|| {
        CliError::usage(format!("'{}' is not a time", crate::show::safe(given)))
            .next("expected a date (2027-01-31), a date and time (2027-01-31T17:00 or with an offset), or a span (30d, 4h, 90m)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn until_is_a_date_a_time_or_a_span() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let at = |s: &str| time(s, Some(&berlin), Timestamp(0)).unwrap().to_string();
        assert_eq!(at("2027-01-31"), "2027-01-31T23:00:00Z");
        assert_eq!(at("2027-01-31T17:00"), "2027-01-31T16:00:00Z");
        assert_eq!(at("2027-01-31T17:00:00+05:00"), "2027-01-31T12:00:00Z");
        assert_eq!(at("30d"), "1970-01-31T00:00:00Z");
        assert_eq!(at("4h"), "1970-01-01T04:00:00Z");
        assert_eq!(at("90m"), "1970-01-01T01:30:00Z");
        for bad in ["soon", "2027-02-30", "d", "-3d", ""] {
            assert!(time(bad, Some(&berlin), Timestamp(0)).is_err(), "{bad}");
        }
        // Without the zone, what needs none still has its meaning.
        let anywhere = |s: &str| time(s, None, Timestamp(0)).map(|at| at.to_string()).ok();
        assert_eq!(anywhere("4h").as_deref(), Some("1970-01-01T04:00:00Z"));
        assert_eq!(
            anywhere("2027-01-31T17:00:00+05:00").as_deref(),
            Some("2027-01-31T12:00:00Z")
        );
        assert_eq!(anywhere("2027-01-31"), None);
    }
}
