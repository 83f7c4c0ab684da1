//! Paths about the mailbox, the calendar and the drive.

use serde_json::{Value, json};

use super::{Answer, Desk, Outcome, put_context, show};
use crate::parse_time;
use crate::world::model::{Mail, Recurrence, Until};
use crate::world::{AutoReplyChange, Caller, NewEvent, VendorError};

pub(super) fn route(desk: &mut Desk, method: &str, parts: &[&str]) -> Option<Outcome> {
    let (now, caller) = (desk.now, desk.caller.clone());
    Some(match (method, parts) {
        ("GET", ["users", who, "mailboxSettings"]) => {
            let reply = desk.world.get_mailbox_settings(&caller, now, who);
            let set = format!("users('{who}')/mailboxSettings");
            desk.entity(reply, "mailboxSettings", &set, |settings| {
                show::mailbox_settings(&settings)
            })
        }
        ("GET", ["users", who, "mailboxSettings", "userPurpose"]) => {
            let reply = desk.world.get_mailbox_settings(&caller, now, who);
            desk.reply(reply, |settings| {
                let mut body = json!({"value": settings.purpose.name()});
                put_context(&mut body, &format!("users('{who}')/mailboxSettings/userPurpose"));
                Ok((200, Some(body)))
            })
        }
        ("PATCH", ["users", who, "mailboxSettings"]) => match reply_change(&desk.body) {
            Ok(change) => {
                let reply = desk.world.set_auto_reply(&caller, now, who, &change);
                let set = format!("users('{who}')/mailboxSettings");
                desk.entity(reply, "mailboxSettings", &set, |settings| {
                    show::mailbox_settings(&settings)
                })
            }
            Err(error) => Ok(desk.refuse(&error)),
        },
        ("GET", ["users", who, "mailFolders", "inbox", "messageRules"]) => {
            let reply = desk.world.list_rules(&caller, now, who);
            desk.list(
                reply,
                "messageRule",
                &format!("users('{who}')/mailFolders('inbox')/messageRules"),
                |all| {
                    all.iter()
                        .map(|rule| (rule.id.clone(), show::inbox_rule(rule)))
                        .collect()
                },
            )
        }
        ("DELETE", ["users", who, "mailFolders", "inbox", "messageRules", id]) => {
            let reply = desk.world.delete_rule(&caller, now, who, id);
            desk.done(reply)
        }
        ("GET", ["users", who, "mailFolders"]) => {
            let hidden = desk.query.get("includeHiddenFolders") == Some("true");
            let reply = desk.world.list_folders(&caller, now, who, None, hidden);
            desk.list(reply, "mailFolder", &format!("users('{who}')/mailFolders"), |all| {
                all.iter()
                    .map(|(folder, children)| (folder.id.clone(), show::folder(folder, *children)))
                    .collect()
            })
        }
        ("GET", ["users", who, "mailFolders", named]) => {
            let reply = desk.world.get_folder(&caller, now, who, named);
            let set = format!("users('{who}')/mailFolders");
            desk.entity(reply, "mailFolder", &set, |(folder, children)| {
                show::folder(&folder, children)
            })
        }
        ("GET", ["users", who, "mailFolders", parent, "childFolders"]) => {
            let hidden = desk.query.get("includeHiddenFolders") == Some("true");
            let reply = desk.world.list_folders(&caller, now, who, Some(parent), hidden);
            let set = format!("users('{who}')/mailFolders('{parent}')/childFolders");
            desk.list(reply, "mailFolder", &set, |all| {
                all.iter()
                    .map(|(folder, children)| (folder.id.clone(), show::folder(folder, *children)))
                    .collect()
            })
        }
        ("GET", ["users", who, "mailFolders", folder, "messages"]) => {
            let immutable = wants_immutable_ids(desk);
            let reply = desk.world.list_mails(&caller, now, who, folder);
            let set = format!("users('{who}')/mailFolders('{folder}')/messages");
            desk.list(reply, "message", &set, |all| {
                let id = |mail: &Mail| {
                    if immutable {
                        mail.immutable_id()
                    } else {
                        mail.id_in(folder)
                    }
                };
                // The newest first.
                let order = |mail: &Mail| format!("{:020}", i64::MAX - mail.created_ms);
                all.iter()
                    .map(|mail| (order(mail), show::mail(mail, &id(mail), folder)))
                    .collect()
            })
        }
        ("GET", ["users", who, "messages", id, "$value"]) => {
            let reply = desk.world.get_mime(&caller, now, who, id);
            let mut mime = None;
            let outcome = desk.reply(reply, |bytes| {
                mime = Some(bytes);
                Ok((200, None))
            });
            outcome.map(|answer| Answer { mime, ..answer })
        }
        ("GET", ["users", who, "events"]) => events(desk, &caller, who, None),
        ("GET", ["users", who, "events", id]) => {
            let mail = mail_of(desk, &caller, who);
            let reply = desk.world.list_events(&caller, now, who, None);
            desk.reply(reply, |all| {
                let event = all
                    .iter()
                    .find(|event| event.id == *id)
                    .ok_or_else(VendorError::no_item)?;
                let mut shown = desk.query.select(show::event(event, &mail), "event")?;
                put_context(&mut shown, &format!("users('{who}')/events/$entity"));
                Ok((200, Some(shown)))
            })
        }
        ("GET", ["users", who, "calendarView" | "calendar", ..])
            if matches!(parts, [_, _, "calendarView"] | [_, _, "calendar", "calendarView"]) =>
        {
            let bound = |name: &str| desk.query.get(name).and_then(parse_time);
            match (bound("startDateTime"), bound("endDateTime")) {
                (Some(from), Some(to)) => events(desk, &caller, who, Some((from, to))),
                _ => Ok(desk.refuse(&VendorError::new(400, "ErrorInvalidParameter", "This request requires a time window specified by the query string parameters StartDateTime and EndDateTime."))),
            }
        }
        ("POST", ["users", who, "events"]) => match new_event(&desk.body) {
            Ok(event) => {
                let mail = mail_of(desk, &caller, who);
                let reply = desk.world.create_event(&caller, now, who, &event);
                desk.reply(reply, |event| {
                    let mut shown = show::event(&event, &mail);
                    put_context(&mut shown, &format!("users('{who}')/events/$entity"));
                    Ok((201, Some(shown)))
                })
            }
            Err(error) => Ok(desk.refuse(&error)),
        },
        ("POST", ["users", who, "events", id, "cancel"]) => {
            let reply = desk.world.cancel_event(&caller, now, who, id, true);
            desk.reply(reply, |()| Ok((202, None)))
        }
        ("DELETE", ["users", who, "events", id]) => {
            let reply = desk.world.cancel_event(&caller, now, who, id, false);
            desk.done(reply)
        }
        ("GET", ["users", who, "drive"]) => {
            let reply = desk.world.get_drive(&caller, now, who);
            desk.entity(reply, "drive", "drives", |drive| show::drive(&drive))
        }
        ("GET", ["users", who, "drive", "root"]) => {
            let reply = desk.world.get_drive(&caller, now, who);
            desk.entity(reply, "driveItem", "drives/root", |drive| {
                show::drive_root(&drive, &caller.tenant)
            })
        }
        ("GET", ["drives", id]) => {
            let reply = desk.world.get_drive_by_id(&caller, now, id);
            desk.entity(reply, "drive", "drives", |drive| show::drive(&drive))
        }
        ("GET", ["drives", id, "root"]) => {
            let reply = desk.world.get_drive_by_id(&caller, now, id);
            desk.entity(reply, "driveItem", "drives/root", |drive| {
                show::drive_root(&drive, &caller.tenant)
            })
        }
        ("GET", ["drives", id, "root", "permissions"] | ["drives", id, "items", _, "permissions"]) => {
            let reply = desk.world.get_drive_by_id(&caller, now, id);
            desk.list(reply, "permission", "permissions", |drive| {
                let owner = (
                    format!("0-{}", drive.owner),
                    show::drive_permission(&drive.owner, &drive.owner, "owner"),
                );
                let invited = drive
                    .invited
                    .iter()
                    .map(|who| (format!("1-{who}"), show::drive_permission(who, who, "write")));
                std::iter::once(owner).chain(invited).collect()
            })
        }
        ("POST", ["drives", id, "root", "invite"] | ["drives", id, "items", _, "invite"]) => {
            let address = desk.body["recipients"][0]["email"].as_str().map(str::to_owned);
            let Some(address) = address else {
                return Some(Ok(desk.refuse(&VendorError::new(
                    400,
                    "invalidRequest",
                    "recipients must name somebody by email.",
                ))));
            };
            let reply = desk.world.invite_to_drive(&caller, now, id, &address);
            desk.reply(reply, |person| {
                let mut body = json!({"value": [show::drive_permission(&person.id, &person.id, "write")]});
                put_context(&mut body, "Collection(permission)");
                Ok((200, Some(body)))
            })
        }
        ("GET", ["sites", "root"]) => {
            let reply = desk.world.get_root_site(&caller, now);
            desk.entity(reply, "site", "sites", |host| {
                json!({"displayName": "Home", "id": format!("{host},{},0", caller.tenant), "name": "", "webUrl": format!("https://{host}")})
            })
        }
        ("GET", ["sites", id]) => {
            let reply = desk.world.get_drive_by_id(&caller, now, id);
            desk.entity(reply, "site", "sites", |drive| {
                let name = drive.path.rsplit('/').next().unwrap_or_default().to_owned();
                json!({"displayName": name, "id": drive.site_id, "name": name, "webUrl": show::site_url(&drive)})
            })
        }
        _ => return None,
    })
}

/// Whether the request asks for ids that a message keeps wherever it goes.
fn wants_immutable_ids(desk: &Desk) -> bool {
    let prefer = desk.headers.get("prefer").map_or("", String::as_str);
    prefer
        .split(',')
        .any(|one| one.trim().eq_ignore_ascii_case("IdType=\"ImmutableId\""))
}

fn mail_of(desk: &Desk, caller: &Caller, who: &str) -> String {
    let person = desk.world.tenant(&caller.tenant).and_then(|tenant| tenant.person(who));
    person.and_then(|person| person.mail.clone()).unwrap_or_default()
}

fn events(desk: &mut Desk, caller: &Caller, who: &str, window: Option<(i64, i64)>) -> Outcome {
    let mail = mail_of(desk, caller, who);
    let reply = desk.world.list_events(caller, desk.now, who, window);
    desk.list(reply, "event", &format!("users('{who}')/events"), |all| {
        let shown = all.iter().map(|event| (event.id.clone(), show::event(event, &mail)));
        shown.filter(|(_, one)| desk.query.keeps(one, &[])).collect()
    })
}

fn reply_change(body: &Value) -> Result<AutoReplyChange, VendorError> {
    let bad = |text: String| VendorError::new(400, "ErrorInvalidRequest", text);
    let object = body
        .as_object()
        .ok_or_else(|| bad("The request body is empty.".to_owned()))?;
    if let Some(other) = object
        .keys()
        .find(|key| *key != "automaticRepliesSetting" && !key.starts_with('@'))
    {
        return Err(bad(format!("The property '{other}' cannot be set here.")));
    }
    let setting = body["automaticRepliesSetting"]
        .as_object()
        .ok_or_else(|| bad("automaticRepliesSetting is missing.".to_owned()))?;
    let mut change = AutoReplyChange::default();
    for (name, value) in setting {
        let text = value.as_str().map(str::to_owned);
        match name.as_str() {
            "status" => {
                change.status = text.filter(|text| ["disabled", "alwaysEnabled", "scheduled"].contains(&text.as_str()));
            }
            "externalAudience" => {
                change.audience = text.filter(|text| ["none", "contactsOnly", "all"].contains(&text.as_str()));
            }
            "internalReplyMessage" => change.internal = text,
            "externalReplyMessage" => change.external = text,
            "scheduledStartDateTime" | "scheduledEndDateTime" => continue,
            name if name.starts_with('@') => continue,
            other => {
                return Err(bad(format!(
                    "The property '{other}' does not exist on type 'microsoft.graph.automaticRepliesSetting'."
                )));
            }
        }
        let unread = match name.as_str() {
            "status" => change.status.is_none(),
            "externalAudience" => change.audience.is_none(),
            _ => false,
        };
        if unread {
            return Err(bad(format!(
                "Cannot convert the literal of '{name}' to the expected type."
            )));
        }
    }
    Ok(change)
}

fn new_event(body: &Value) -> Result<NewEvent, VendorError> {
    let time = |name: &str| {
        body[name]["dateTime"].as_str().and_then(parse_time).ok_or_else(|| {
            VendorError::new(
                400,
                "ErrorPropertyValidationFailure",
                format!("At least one property failed validation: {name}."),
            )
        })
    };
    let attendees = body["attendees"].as_array().into_iter().flatten();
    Ok(NewEvent {
        subject: body["subject"].as_str().unwrap_or_default().to_owned(),
        start_ms: time("start")?,
        end_ms: time("end")?,
        attendees: attendees
            .filter_map(|one| one["emailAddress"]["address"].as_str())
            .map(str::to_owned)
            .collect(),
        recurrence: recurrence(&body["recurrence"])?,
        transaction_id: body["transactionId"].as_str().map(str::to_owned),
    })
}

/// The properties that each pattern and range cannot do without, as the vendor documents them.
fn recurrence(body: &Value) -> Result<Option<Recurrence>, VendorError> {
    if body.is_null() {
        return Ok(None);
    }
    let bad = |name: &str| {
        VendorError::new(
            400,
            "ErrorPropertyValidationFailure",
            format!("At least one property failed validation: recurrence.{name}."),
        )
    };
    let (pattern, range) = (&body["pattern"], &body["range"]);
    let kind = pattern["type"].as_str().ok_or_else(|| bad("pattern.type"))?;
    let days: Vec<String> = pattern["daysOfWeek"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|day| day.as_str().map(str::to_owned))
        .collect();
    let number = |name: &str| pattern[name].as_i64().unwrap_or(0);
    let text = |name: &str, unsaid: &str| pattern[name].as_str().unwrap_or(unsaid).to_owned();
    let (by_days, by_date, by_month) = match kind {
        "daily" => (false, false, false),
        "weekly" | "relativeMonthly" => (true, false, false),
        "absoluteMonthly" => (false, true, false),
        "relativeYearly" => (true, false, true),
        "absoluteYearly" => (false, true, true),
        _ => return Err(bad("pattern.type")),
    };
    for (needed, there, name) in [
        (true, number("interval") > 0, "pattern.interval"),
        (by_days, !days.is_empty(), "pattern.daysOfWeek"),
        (by_date, (1..=31).contains(&number("dayOfMonth")), "pattern.dayOfMonth"),
        (by_month, (1..=12).contains(&number("month")), "pattern.month"),
    ] {
        if needed && !there {
            return Err(bad(name));
        }
    }
    let until = match range["type"].as_str() {
        Some("noEnd") => Until::NoEnd,
        Some("endDate") => Until::Date(
            range["endDate"]
                .as_str()
                .ok_or_else(|| bad("range.endDate"))?
                .to_owned(),
        ),
        Some("numbered") => {
            let count = range["numberOfOccurrences"].as_i64().filter(|count| *count > 0);
            Until::Count(count.ok_or_else(|| bad("range.numberOfOccurrences"))?)
        }
        _ => return Err(bad("range.type")),
    };
    let start_date = range["startDate"].as_str().ok_or_else(|| bad("range.startDate"))?;
    // Dates of one length, so that they compare as texts.
    if matches!(&until, Until::Date(end) if end.as_str() < start_date) {
        return Err(bad("range.endDate"));
    }
    Ok(Some(Recurrence {
        pattern: kind.to_owned(),
        interval: number("interval"),
        days_of_week: days,
        first_day_of_week: text("firstDayOfWeek", "sunday"),
        index: text("index", "first"),
        day_of_month: number("dayOfMonth"),
        month: number("month"),
        start_date: start_date.to_owned(),
        until,
        time_zone: range["recurrenceTimeZone"].as_str().unwrap_or("UTC").to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_that_ends_before_it_begins_is_refused() {
        let weekly = |end: &str| {
            json!({"pattern": {"type": "weekly", "interval": 1, "daysOfWeek": ["monday"]},
                "range": {"type": "endDate", "startDate": "2026-11-23", "endDate": end}})
        };
        assert!(recurrence(&weekly("2026-11-23")).is_ok());
        assert!(recurrence(&weekly("2026-11-22")).is_err());
    }
}
