//! Meetings that a leaver organises. Nobody can change a meeting's organiser,
//! so the successor organises it anew; the new one carries, as its transaction
//! id, a digest of the old one's. So it is recognised later, and creating it a
//! second time creates nothing.

use super::api::{Api, Ask};
use super::groups::gone_is_fine;
use super::path::Path;
use super::permission::{READ_CALENDARS, WRITE_CALENDARS};
use super::read::{id_in, text_in, time_in, time_ms};
use super::recurrence::last_day;
use crate::{Answer, Attached, Call, Meeting};
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
        let ask = Ask::get(Path::user(&id.0).then("events").id(&meeting.id.0), READ_CALENDARS).outlook();
        let old = self.send(call, &ask).await?.body;
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
    let last_ms = if recurrence["range"]["type"].is_string() {
        last_day(recurrence).and_then(|day| time_ms(&format!("{day}T23:59:59")))
    } else {
        time_in(&event["end"]["dateTime"])
    };
    // No end, or none that can be read: better one too many than one too few.
    last_ms.is_none_or(|last_ms| last_ms >= now_ms)
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

/// The transaction id of the meeting that takes this one's place.
fn transaction_id(uid: &str) -> String {
    let digest = Digest::of_parts(&[b"offboard.meeting", uid.as_bytes()]).to_string();
    format!("offboard-{}", &digest[..32])
}

#[cfg(test)]
mod tests {
    use super::*;

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
            json!({"end": {"dateTime": "2026-11-01T10:00:00"}, "recurrence": {
                "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": ["sunday"]},
                "range": {"type": "numbered", "startDate": "2026-11-01", "numberOfOccurrences": count},
            }})
        };
        assert!(is_to_come(&counted(4), now), "its last is on the 22nd");
        assert!(!is_to_come(&counted(3), now), "its last was on the 15th");
        assert!(is_to_come(&counted(0), now), "unreadable");
    }
}
