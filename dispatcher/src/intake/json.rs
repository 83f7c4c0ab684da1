//! Departures as JSON: one object, or a list of them. What is published as the
//! schema is what is read, from the same types; an unknown key is a mistake.

use super::collect::{self, Collector, Wrong};
use super::values::{self, Checked};
use super::{Context, Intake, ROW_MAX_BYTES, ROWS_MAX, RowRef, dates};
use jiff::civil::Time;
use offboard_domain::ObjectId;
use offboard_domain::departure::{self, Choices, PersonRef};
use offboard_runtime::config::{DateFormat, Tenant};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// One departure, or a list of them.
#[derive(JsonSchema)]
#[schemars(untagged, title = "Departures")]
#[expect(dead_code, reason = "only its schema is used; the elements are read one by one")]
enum File {
    One(Box<WireDeparture>),
    Many(#[schemars(length(max = 100_000))] Vec<WireDeparture>),
}

/// Who leaves which tenant, when and how, and what was chosen.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Departure")]
struct WireDeparture {
    /// The tenant's handle. May be left out when the file is handed over for one tenant.
    tenant: Option<String>,
    /// The source's own reference of this departure. The same reference is always the same case.
    #[schemars(length(max = 256))]
    reference: Option<String>,
    /// Who leaves.
    person: WirePerson,
    /// How: "planned" waits for the approval of its plan; "immediate" cuts access first.
    #[serde(default)]
    manner: WireManner,
    /// From when on access must be gone: a date (2026-11-30 means the end of that working day in the tenant's time zone) or a date and time, with or without an offset. Only an immediate departure may leave it out, or give the day alone and be of today: both mean now.
    #[schemars(example = "2026-11-30", example = "2026-11-30T17:00:00+01:00")]
    effective_at: Option<String>,
    /// Who asks. Left out: who hands the file over.
    #[schemars(length(max = 256))]
    requested_by: Option<String>,
    /// When it was asked for, written as effective_at; a date alone means the begin of that working day. Left out: now.
    requested_at: Option<String>,
    /// Who takes over. Left out: whom the tenant's policy says.
    successor: Option<WirePerson>,
    /// What was chosen for this departure. What is left out follows the tenant's policy.
    #[serde(default)]
    choices: WireChoices,
}

/// A person. At least one of object_id, user_principal_name, mail and employee_id is needed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Person")]
struct WirePerson {
    /// The directory's own id.
    #[schemars(length(max = 256))]
    object_id: Option<String>,
    /// The sign-in name.
    #[schemars(length(max = 320))]
    user_principal_name: Option<String>,
    /// A mail address.
    #[schemars(length(max = 320))]
    mail: Option<String>,
    /// The number that HR knows the person by.
    #[schemars(length(max = 256))]
    employee_id: Option<String>,
    /// A name to show; never used to find anybody.
    #[schemars(length(max = 512))]
    display_name: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", rename = "Manner")]
enum WireManner {
    #[default]
    Planned,
    Immediate,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", rename = "Forwarding")]
enum WireForwarding {
    Remove,
    Successor,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", rename = "Meetings")]
enum WireMeetings {
    Leave,
    Cancel,
    HandOver,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", rename = "OneDrive")]
enum WireOneDrive {
    HandOver,
    Ask,
}

/// What a person can choose for one departure.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename = "Choices")]
struct WireChoices {
    /// Put the mailbox on legal hold.
    legal_hold: Option<bool>,
    /// Keep the whole mailbox in an archive.
    archive_mailbox: Option<bool>,
    /// What becomes of arriving mail: "remove" (no forwarding) or "successor".
    forwarding: Option<WireForwarding>,
    /// The automatic reply's text; an empty one sends none.
    #[schemars(length(max = 8_000))]
    automatic_reply: Option<String>,
    /// What becomes of the meetings that the leaver organised.
    meetings: Option<WireMeetings>,
    /// What becomes of the OneDrive: handed over to the successor, or a person decides.
    onedrive: Option<WireOneDrive>,
    /// Wipe company devices, each after its own approval.
    wipe_company_devices: Option<bool>,
    /// What several people sign in with and this person knew, by name and never the credential itself: each is a task for somebody to change it.
    #[schemars(length(max = 100), inner(length(max = 128)))]
    #[serde(default)]
    shared_credentials: Vec<String>,
}

/// The JSON Schema of what [`super::read`] takes as JSON.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(File).into()
}

pub(super) fn read(file: &str, bytes: &[u8], context: Context<'_>) -> Result<Intake, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|e| format!("byte {} is not UTF-8", e.valid_up_to()))?;
    let many = text.trim_start().starts_with('[');
    let parsed: Result<Vec<&RawValue>, _> = if many {
        serde_json::from_str(text)
    } else {
        serde_json::from_str::<&RawValue>(text).map(|one| vec![one])
    };
    let elements = parsed.map_err(|e| format!("not valid JSON: {e}"))?;
    if elements.len() > ROWS_MAX {
        return Err(format!("it has more than {ROWS_MAX} departures: split it"));
    }
    let file: Arc<str> = file.into();
    let mut out = Collector::default();
    let (mut line, mut counted) = (1, 0);
    for (i, element) in elements.iter().enumerate() {
        let raw = element.get();
        // Both point into the same text, so the difference is the place in it.
        let place = (raw.as_ptr() as usize)
            .saturating_sub(text.as_ptr() as usize)
            .min(text.len());
        line += text.as_bytes()[counted..place].iter().filter(|b| **b == b'\n').count() as u64;
        counted = place;
        let at = RowRef {
            file: file.clone(),
            line,
            row: i as u64 + 1,
        };
        let root = if many { format!("$[{i}]") } else { "$".to_owned() };
        if raw.len() > ROW_MAX_BYTES {
            let expected = format!(
                "a departure of at most {ROW_MAX_BYTES} bytes; this one has {}",
                raw.len()
            );
            out.reject(&at, Wrong::new(Some(&root), None, expected));
            continue;
        }
        let mut reader = serde_json::Deserializer::from_str(raw);
        match serde_path_to_error::deserialize::<_, WireDeparture>(&mut reader) {
            Ok(wire) => {
                Element {
                    root,
                    wrong: Vec::new(),
                    assumed: Vec::new(),
                }
                .finish(wire, &at, context, &mut out);
            }
            Err(e) => {
                let path = e.path().to_string();
                let column = if path == "." { root } else { format!("{root}.{path}") };
                out.reject(&at, Wrong::new(Some(&column), None, meaning(e.inner())));
            }
        }
    }
    Ok(out.done())
}

/// What serde says, without its place (that of the element alone) and put as
/// what was expected. Never the value: what stands in the wrong place may be a
/// credential.
fn meaning(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    let what = values::shown(&without_value(text));
    format!("a departure as `offboard schema` describes it: {what}")
}

/// Keys are said, values are not: of those, what they are and what was expected.
fn without_value(text: &str) -> String {
    let keys = ["unknown field ", "missing field ", "duplicate field "];
    if keys.iter().any(|start| text.starts_with(start)) {
        return text.to_owned();
    }
    // The value comes first, whatever stands in it.
    let expected = text
        .rsplit_once(", expected ")
        .map_or_else(String::new, |(_, expected)| format!(", expected {expected}"));
    let known = ["invalid type: ", "invalid value: ", "unknown variant "];
    let Some((what, value)) = known
        .iter()
        .find_map(|start| Some((start.trim_end_matches([':', ' ']), text.strip_prefix(*start)?)))
    else {
        return format!("not of its shape{expected}");
    };
    // Such as: integer `3`, string "…", null.
    let kind = value.split(['"', '`', ',']).next().unwrap_or_default().trim();
    if kind.is_empty() {
        format!("{what}{expected}")
    } else {
        format!("{what} ({kind}){expected}")
    }
}

/// One element while it is read: all that is wrong with it is gathered.
struct Element {
    root: String,
    wrong: Vec<Wrong>,
    assumed: Vec<String>,
}

impl Element {
    fn check<T>(&mut self, key: &str, text: Option<String>, read: impl FnOnce(&str) -> Checked<T>) -> Option<T> {
        let text = text?;
        let outcome = match text.trim() {
            "" => Err("a text, or the key left out".to_owned()),
            trimmed => read(trimmed),
        };
        match outcome {
            Ok(value) => Some(value),
            Err(expected) => {
                let path = format!("{}.{key}", self.root);
                self.wrong.push(Wrong::new(Some(&path), Some(&text), expected));
                None
            }
        }
    }

    fn moment(&mut self, key: &str, text: Option<String>, tenant: &Tenant, time_of_day: Time) -> Option<dates::Moment> {
        let iso = [DateFormat::Iso].into();
        let found = self.check(key, text, |t| dates::moment(t, &iso, tenant, time_of_day))?;
        if let Some(assumed) = &found.assumed {
            self.assumed.push(format!("{}.{key}: {assumed}", self.root));
        }
        Some(found)
    }

    fn person(&mut self, key: &str, wire: WirePerson) -> PersonRef {
        let before = self.wrong.len();
        let path = |part: &str| format!("{key}.{part}");
        let person = PersonRef {
            object_id: self.check::<ObjectId>(&path("object_id"), wire.object_id, values::object_id),
            user_principal_name: self.check(&path("user_principal_name"), wire.user_principal_name, values::address),
            mail: self.check(&path("mail"), wire.mail, values::address),
            employee_id: self.check(&path("employee_id"), wire.employee_id, values::line),
            display_name: self.check(&path("display_name"), wire.display_name, values::name),
        };
        if !person.can_be_found() && self.wrong.len() == before {
            let at = format!("{}.{key}", self.root);
            let expected = "at least one of mail, user_principal_name, employee_id and object_id";
            self.wrong.push(Wrong::new(Some(&at), None, expected));
        }
        person
    }

    fn choices(&mut self, wire: WireChoices) -> Choices {
        let automatic_reply = match wire.automatic_reply {
            Some(text) if text.trim().is_empty() => Some(String::new()),
            other => self.check("choices.automatic_reply", other, values::reply),
        };
        Choices {
            legal_hold: wire.legal_hold,
            archive_mailbox: wire.archive_mailbox,
            forwarding: wire
                .forwarding
                .map(|f| values::forwarding_of(matches!(f, WireForwarding::Remove))),
            automatic_reply,
            meetings: wire.meetings.map(|m| match m {
                WireMeetings::Leave => departure::Meetings::Leave,
                WireMeetings::Cancel => departure::Meetings::Cancel,
                WireMeetings::HandOver => departure::Meetings::HandOver,
            }),
            onedrive: wire.onedrive.map(|o| match o {
                WireOneDrive::HandOver => departure::OneDriveChoice::HandOver,
                WireOneDrive::Ask => departure::OneDriveChoice::Ask,
            }),
            wipe_company_devices: wire.wipe_company_devices,
            shared_credentials: self.credentials(wire.shared_credentials),
            apps: Vec::new(),
        }
    }

    /// What is wrong here is not repeated: it may be the credential itself.
    fn credentials(&mut self, given: Vec<String>) -> Vec<String> {
        let path = format!("{}.choices.shared_credentials", self.root);
        if given.len() > values::CREDENTIALS_MAX {
            let expected = format!("at most {} names", values::CREDENTIALS_MAX);
            self.wrong.push(Wrong::new(Some(&path), None, expected));
            return Vec::new();
        }
        let mut names = Vec::with_capacity(given.len());
        for (n, name) in given.iter().enumerate() {
            match values::credential(name) {
                Ok(name) => names.push(name),
                Err(expected) => self
                    .wrong
                    .push(Wrong::new(Some(&format!("{path}[{n}]")), None, expected)),
            }
        }
        names
    }

    fn finish(mut self, wire: WireDeparture, at: &RowRef, context: Context<'_>, out: &mut Collector) {
        let named = wire.tenant.as_deref().map(str::trim).filter(|t| !t.is_empty());
        let (id, tenant) = match collect::tenant(context, named) {
            Ok(found) => found,
            Err(expected) => {
                let path = format!("{}.tenant", self.root);
                out.reject(at, Wrong::new(Some(&path), named, expected));
                return;
            }
        };
        let manner = match wire.manner {
            WireManner::Planned => departure::Manner::Planned,
            WireManner::Immediate => departure::Manner::Immediate,
        };
        let given = wire.effective_at.is_some();
        let said = self.moment("effective_at", wire.effective_at, tenant, tenant.working_hours.to);
        let effective_at = values::effective(said.as_ref(), manner, tenant, context.now).unwrap_or_else(|expected| {
            if !given {
                let path = format!("{}.effective_at", self.root);
                self.wrong.push(Wrong::new(Some(&path), None, expected));
            }
            context.now
        });
        let person = self.person("person", wire.person);
        let successor = wire.successor.map(|s| self.person("successor", s));
        let reference = self.check("reference", wire.reference, values::line);
        let asks = self.check("requested_by", wire.requested_by, values::line);
        let (requested_by, handed_in_by) = values::asking(asks, context.requested_by);
        let departure = departure::Departure {
            tenant: id.clone(),
            reference,
            person,
            manner,
            effective_at,
            of_day: values::of_day(said.as_ref(), manner, tenant, context.now),
            requested_by,
            handed_in_by,
            requested_at: {
                let asked = self.moment("requested_at", wire.requested_at, tenant, tenant.working_hours.from);
                values::requested(asked.as_ref(), tenant, context.now)
            },
            successor,
            choices: self.choices(wire.choices),
        };
        if self.wrong.is_empty() {
            for assumed in self.assumed {
                out.warn(Some(at), assumed);
            }
            if departure.reference.is_none() && said.is_none() {
                out.warn(Some(at), super::UNRECOGNISABLE);
            }
            let midnight = said.as_ref().is_some_and(|said| said.midnight);
            out.accept(at.clone(), departure, tenant, context.now, midnight);
        } else {
            for wrong in self.wrong {
                out.reject(at, wrong);
            }
        }
    }
}
