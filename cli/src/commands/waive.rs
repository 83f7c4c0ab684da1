//! `offboard waive CASE TASK --reason --until`.

use super::{Ctx, required};
use crate::error::{CliError, Exit};
use crate::show::when;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use offboard_dispatcher::control::Request;
use offboard_domain::Timestamp;
use offboard_domain::time::DAY_MS;

pub(super) async fn run(ctx: &Ctx, case: String, task: String, reason: String, until: &str) -> Result<Exit, CliError> {
    let by = ctx.actor()?;
    let reason = required("the reason", reason)?;
    let config = ctx.config()?;
    let mut session = ctx.session(&config).await?;
    let waived = async {
        let view = session.case(Request::Show { case }).await?;
        let zone = config
            .tenants
            .get(&view.tenant)
            .map_or_else(TimeZone::system, |t| t.time_zone.clone());
        let until = time(until, &zone, ctx.clock(&config)?.now())?;
        let order = Request::Waive {
            case: view.case.to_string(),
            task: task.clone(),
            by: by.clone(),
            reason,
            until,
        };
        Ok::<_, CliError>((session.case(order).await?, until))
    };
    let waived = waived.await;
    session.close().await?;
    let (view, until) = waived?;
    if ctx.out.is_json() {
        return ctx.out.document(&view).map(|()| Exit::Done);
    }
    ctx.out.line(&format!("waived by {by} until {}: {task}", when(until)))?;
    Ok(Exit::Done)
}

/// A date means the end of that day where the tenant is.
fn time(given: &str, zone: &TimeZone, now: Timestamp) -> Result<Timestamp, CliError> {
    let given = given.trim();
    let ms = |t: jiff::Timestamp| Timestamp(t.as_millisecond());
    if let Some(days) = given.strip_suffix('d').and_then(|d| d.parse::<u32>().ok()) {
        return Ok(now.plus(i64::from(days) * DAY_MS));
    }
    if let Ok(at) = given.parse::<jiff::Timestamp>() {
        return Ok(ms(at));
    }
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
            .next("expected a date (2027-01-31), a date and time (2027-01-31T17:00 or with an offset), or days (30d)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn until_is_a_date_a_time_or_days() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let at = |s: &str| time(s, &berlin, Timestamp(0)).unwrap().to_string();
        assert_eq!(at("2027-01-31"), "2027-01-31T23:00:00Z");
        assert_eq!(at("2027-01-31T17:00"), "2027-01-31T16:00:00Z");
        assert_eq!(at("2027-01-31T17:00:00+05:00"), "2027-01-31T12:00:00Z");
        assert_eq!(at("30d"), "1970-01-31T00:00:00Z");
        for bad in ["soon", "2027-02-30", "d", "-3d", ""] {
            assert!(time(bad, &berlin, Timestamp(0)).is_err(), "{bad}");
        }
    }
}
