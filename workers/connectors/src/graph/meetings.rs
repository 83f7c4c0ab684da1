//! Meetings that a leaver organises. Nobody can change a meeting's organiser,
//! so the successor organises it anew; the new one carries, as its transaction
//! id, a digest of the old one's. So it is recognised later, and creating it a
//! second time creates nothing.

use super::api::{Api, Ask};
use super::groups::gone_is_fine;
use super::path::Path;
use super::permission::{READ_CALENDARS, WRITE_CALENDARS};
use super::read::{id_in, text_in, time_in, time_ms};
use super::recurrence::{Rest, from_next_on, last_day};
use crate::{Answer, Attached, Call, Meeting};
use jiff::Span;
use jiff::civil::DateTime;
use offboard_domain::time::DAY_MS;
use offboard_domain::{Digest, FaultClass, ObjectId};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const FIELDS: &str = "id,iCalUId,subject,start,end,isOrganizer,isCancelled,type,recurrence,attendees,transactionId";
/// Events a page: they are small without their bodies.
const PAGE: u32 = 250;
/// What a meeting that is organised anew takes from the old one.
const TAKEN: &[&str] = &[
    "subject",
    "body",
    "start",
    "end",
    "isAllDay",
    "recurrence",
    "location",
    "locations",
    "importance",
    "sensitivity",
    "showAs",
    "isReminderOn",
    "reminderMinutesBeforeStart",
    "responseRequested",
    "allowNewTimeProposals",
    "hideAttendees",
];

impl Api {
    async fn events(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<Value>> {
        let ask = Ask::get(
            Path::user(&id.0).then("events").select(FIELDS).top(PAGE),
            READ_CALENDARS,
        )
        .outlook();
        self.list(call, ask).await
    }

    pub(super) async fn meetings(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<Attached>> {
        let now_ms = call.now().0;
        let events = match self.events(call, id).await {
            Ok(events) => events,
            // Without a mailbox there is no calendar.
            Err(fault) if fault.class == FaultClass::Absent => {
                self.without_mailbox(call, id).await?;
                return Ok(Vec::new());
            }
            Err(fault) => return Err(fault),
        };
        let mut found: Vec<Meeting> = events
            .iter()
            .filter(|e| is_theirs(e, now_ms))
            .filter_map(meeting)
            .collect();
        found.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(found.into_iter().map(Attached::Meeting).collect())
    }

    pub(super) async fn orphan_meetings(
        &self,
        call: &mut Call,
        id: &ObjectId,
        successor: &ObjectId,
    ) -> Answer<Vec<Attached>> {
        let meetings = self.meetings(call, id).await?;
        if meetings.is_empty() {
            return Ok(meetings);
        }
        let adopted: BTreeSet<String> = self
            .events(call, successor)
            .await?
            .iter()
            .filter_map(|e| text_in(&e["transactionId"]))
            .collect();
        Ok(meetings
            .into_iter()
            .filter(|m| matches!(m, Attached::Meeting(m) if !adopted.contains(&transaction_id(&m.uid))))
            .collect())
    }

    pub(super) async fn hand_over_meeting(
        &self,
        call: &mut Call,
        id: &ObjectId,
        meeting: &Meeting,
        to: &ObjectId,
    ) -> Answer<()> {
        let ask = Ask::get(Path::user(&id.0).then("events").id(&meeting.id.0), READ_CALENDARS)
            .outlook_in(zone_of(&meeting.original));
        let mut old = self.send(call, &ask).await?.body;
        if !begin_with_what_is_to_come(&mut old, &meeting.original, call.now().0) {
            // Over since it was listed: nobody is invited to anything.
            return Ok(());
        }
        let leaver = self.account(call, id).await?;
        let successor = self.account(call, to).await?;
        let not_invited: BTreeSet<String> = [
            leaver.mail,
            Some(leaver.user_principal_name),
            successor.mail,
            Some(successor.user_principal_name),
        ]
        .into_iter()
        .flatten()
        .map(|address| address.to_lowercase())
        .collect();
        let mut new = Map::new();
        for field in TAKEN {
            if !old[*field].is_null() {
                new.insert((*field).to_owned(), old[*field].clone());
            }
        }
        let attendees: Vec<Value> = old["attendees"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|a| {
                !a["emailAddress"]["address"]
                    .as_str()
                    .is_some_and(|x| not_invited.contains(&x.to_lowercase()))
            })
            .map(|a| json!({"emailAddress": a["emailAddress"], "type": a["type"]}))
            .collect();
        new.insert("attendees".into(), Value::Array(attendees));
        new.insert("transactionId".into(), Value::String(transaction_id(&meeting.uid)));
        if old["isOnlineMeeting"] == true {
            // The link of the old one dies with its organiser.
            new.insert("isOnlineMeeting".into(), Value::Bool(true));
        }
        let ask = Ask::post(
            Path::user(&to.0).then("events"),
            WRITE_CALENDARS,
            Some(Value::Object(new)),
        )
        .outlook();
        match self.send(call, &ask).await {
            Ok(_) => Ok(()),
            Err(fault) if fault.code.as_deref() == Some("ErrorDuplicateTransactionId") => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    pub(super) async fn cancel_meeting(&self, call: &mut Call, id: &ObjectId, meeting: &Meeting) -> Answer<()> {
        let path = Path::user(&id.0).then("events").id(&meeting.id.0).then("cancel");
        let ask = Ask::post(path, WRITE_CALENDARS, Some(json!({"Comment": ""}))).outlook();
        gone_is_fine(self.send(call, &ask).await.map(|_| ()))
    }
}

/// Whether the subject organises it, somebody is invited, and some of it is
/// still to come.
fn is_theirs(event: &Value, now_ms: i64) -> bool {
    event["isOrganizer"] == true
        && event["isCancelled"] != true
        && event["attendees"].as_array().is_some_and(|a| !a.is_empty())
        && is_to_come(event, now_ms)
}

fn is_to_come(event: &Value, now_ms: i64) -> bool {
    let recurrence = &event["recurrence"];
    let last_ms = match rest_of(recurrence, event, now_ms) {
        Rest::Over => return false,
        Rest::From(..) => return true,
        Rest::All if recurrence["range"]["type"].is_string() => {
            last_day(recurrence).and_then(|day| time_ms(&format!("{day}T23:59:59")))
        }
        Rest::All => time_in(&event["end"]["dateTime"]),
    };
    // No end, or none that can be read: better one too many than one too few.
    last_ms.is_none_or(|last_ms| last_ms >= now_ms)
}

/// What of a series is to come, by what was read of its first occurrence in UTC (`known`).
fn rest_of(recurrence: &Value, known: &Value, now_ms: i64) -> Rest {
    let end_ms = time_in(&known["end"]["dateTime"]);
    from_next_on(recurrence, |days| {
        end_ms.is_none_or(|ms| ms.saturating_add(days.saturating_mul(DAY_MS)) >= now_ms)
    })
}

fn meeting(event: &Value) -> Option<Meeting> {
    let id = id_in(&event["id"])?;
    Some(Meeting {
        uid: text_in(&event["iCalUId"]).unwrap_or_else(|| id.0.clone()),
        series: event["type"] == "seriesMaster",
        starts_ms: time_in(&event["start"]["dateTime"]),
        attendees: event["attendees"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|a| text_in(&a["emailAddress"]["address"]))
            .collect(),
        original: event.clone(),
        id,
    })
}

/// The time zone in which a series repeats: at the same time of day there, whatever its
/// offset is by then. One that has no name is not asked for.
fn zone_of(event: &Value) -> &str {
    let zone = event["recurrence"]["range"]["recurrenceTimeZone"].as_str();
    let is_a_name = |zone: &&str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || " +-/_.()".contains(c);
        !zone.is_empty() && !zone.starts_with("Customized") && zone.chars().all(fits)
    };
    zone.filter(is_a_name).unwrap_or("UTC")
}

/// Has a series begin with its next occurrence: to what is over nobody is invited anew. By
/// what was read of it in UTC (`known`) it is told which is over. False: all of it is.
fn begin_with_what_is_to_come(series: &mut Value, known: &Value, now_ms: i64) -> bool {
    let (days, recurrence) = match rest_of(&series["recurrence"], known, now_ms) {
        Rest::All => return true,
        Rest::Over => return false,
        Rest::From(days, recurrence) => (days, recurrence),
    };
    let moved = (days_later(&series["start"], days), days_later(&series["end"], days));
    if let ((Some(start), Some(end)), Some(fields)) = (moved, series.as_object_mut()) {
        fields.insert("start".into(), start);
        fields.insert("end".into(), end);
        fields.insert("recurrence".into(), recurrence);
    }
    true
}

/// The same time of day, in the same time zone.
fn days_later(time: &Value, days: i64) -> Option<Value> {
    let at: DateTime = time["dateTime"].as_str()?.parse().ok()?;
    let at = at.checked_add(Span::new().try_days(days).ok()?).ok()?;
    Some(json!({"dateTime": at.to_string(), "timeZone": time["timeZone"]}))
}

/// The transaction id of the meeting that takes this one's place.
fn transaction_id(uid: &str) -> String {
    let digest = Digest::of_parts(&[b"offboard.meeting", uid.as_bytes()]).to_string();
    format!("offboard-{}", &digest[..32])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_begins_with_its_next_occurrence_at_the_same_time_of_day() {
        let weekly = |start: &str| {
            json!({"pattern": {"type": "weekly", "interval": 1, "daysOfWeek": ["monday"]},
                "range": {"type": "noEnd", "startDate": start, "recurrenceTimeZone": "W. Europe Standard Time"}})
        };
        // In summer; it is winter now, and another hour in UTC.
        let known = json!({"end": {"dateTime": "2026-06-01T08:00:00.0000000", "timeZone": "UTC"}, "recurrence": weekly("2026-06-01")});
        assert_eq!(zone_of(&known), "W. Europe Standard Time");
        let at = |time: &str| json!({"dateTime": time, "timeZone": "W. Europe Standard Time"});
        let mut series = json!({"start": at("2026-06-01T09:00:00.0000000"), "end": at("2026-06-01T10:00:00.0000000"),
            "recurrence": weekly("2026-06-01")});
        let now_ms = time_ms("2026-11-25T12:00:00Z").unwrap();
        assert!(begin_with_what_is_to_come(&mut series, &known, now_ms));
        assert_eq!(series["start"], at("2026-11-30T09:00:00"));
        assert_eq!(series["end"], at("2026-11-30T10:00:00"));
        assert_eq!(series["recurrence"], weekly("2026-11-30"));
        assert_eq!(
            zone_of(&json!({"recurrence": {"range": {"recurrenceTimeZone": "a\"\r\nb"}}})),
            "UTC"
        );
    }

    #[test]
    fn what_is_still_to_come() {
        let now = time_ms("2026-11-22T12:00:00Z").unwrap();
        let single = |end: &str| json!({"end": {"dateTime": end, "timeZone": "UTC"}});
        assert!(is_to_come(&single("2026-11-22T13:00:00.0000000"), now));
        assert!(!is_to_come(&single("2026-11-22T11:00:00.0000000"), now));
        let series = |range: Value| json!({"end": {"dateTime": "2020-01-01T10:00:00"}, "recurrence": {"range": range}});
        assert!(is_to_come(
            &series(json!({"type": "noEnd", "endDate": "0001-01-01"})),
            now
        ));
        assert!(is_to_come(
            &series(json!({"type": "endDate", "endDate": "2026-11-22"})),
            now
        ));
        assert!(!is_to_come(
            &series(json!({"type": "endDate", "endDate": "2026-11-21"})),
            now
        ));
        let counted = |count: i64| {
            json!({"end": {"dateTime": "2026-11-01T13:00:00"}, "recurrence": {
                "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": ["sunday"]},
                "range": {"type": "numbered", "startDate": "2026-11-01", "numberOfOccurrences": count},
            }})
        };
        assert!(is_to_come(&counted(4), now), "its last is on the 22nd");
        assert!(!is_to_come(&counted(3), now), "its last was on the 15th");
        assert!(is_to_come(&counted(0), now), "unreadable");
        // Its last ended at one o'clock: whoever lists it and whoever copies it say the same.
        let until = |end: &str| {
            json!({"end": {"dateTime": "2026-11-01T13:00:00"}, "recurrence": {
                "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": ["sunday"]},
                "range": {"type": "endDate", "startDate": "2026-11-01", "endDate": end},
            }})
        };
        let later = time_ms("2026-11-22T14:00:00Z").unwrap();
        for series in [counted(4), until("2026-11-22"), until("2026-11-25")] {
            assert!(is_to_come(&series, now), "{series}");
            assert!(!is_to_come(&series, later), "{series}");
            let mut copy = series.clone();
            assert!(!begin_with_what_is_to_come(&mut copy, &series, later), "{series}");
            assert_eq!(copy, series);
        }
    }
}
