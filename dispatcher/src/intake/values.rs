//! Single values: the words that people write for them, what a name of a
//! person must look like, and how to show what they wrote safely.

use super::dates::{self, Moment};
use jiff::civil::Date;
use offboard_domain::departure::{Forwarding, Manner, Meetings, OneDriveChoice, PersonRef};
use offboard_domain::{ObjectId, Timestamp};
use offboard_runtime::config::{Tenant, shared_credential_name};

/// How much of a value is repeated in a message.
const SHOWN_MAX_CHARS: usize = 80;
/// Longest mail address or sign-in name (RFC 5321: 64 + 1 + 255).
const ADDRESS_MAX_CHARS: usize = 320;
/// Longest id, reference or number.
const ID_MAX_CHARS: usize = 256;
/// Longest name to show.
const NAME_MAX_CHARS: usize = 512;
/// Most shared credentials of one departure.
pub(super) const CREDENTIALS_MAX: usize = 100;
/// Longest automatic reply.
const REPLY_MAX_CHARS: usize = 8_000;

/// A text from a file, safe on a terminal and in a spreadsheet: cut, without
/// control and direction characters, and with an apostrophe before what a
/// spreadsheet would calculate.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut out = String::new();
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        out.push('\'');
    }
    for c in text.chars().take(SHOWN_MAX_CHARS) {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns || c == '"' || c == '\\' {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    if text.chars().nth(SHOWN_MAX_CHARS).is_some() {
        out.push('…');
    }
    out
}

pub(super) type Checked<T> = Result<T, String>;

/// Line breaks and tabs are part of some texts; other control characters of none.
fn has_control(text: &str) -> bool {
    text.chars().any(|c| c.is_control() && !"\n\r\t".contains(c))
}

fn within(text: &str, max: usize) -> bool {
    // Bytes are never fewer than characters: most texts need no counting.
    text.len() <= max || text.chars().count() <= max
}

/// A mail address or sign-in name: a shape that can be looked up, not a proof.
pub(super) fn address(text: &str) -> Checked<String> {
    let fine = text
        .split_once('@')
        .is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'));
    let clean = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    if fine && clean && within(text, ADDRESS_MAX_CHARS) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "one address such as anna@contoso.example, at most {ADDRESS_MAX_CHARS} characters"
        ))
    }
}

pub(super) fn object_id(text: &str) -> Checked<ObjectId> {
    let clean = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    if clean && within(text, ID_MAX_CHARS) {
        Ok(ObjectId(text.to_owned()))
    } else {
        Err(format!("an id without spaces, at most {ID_MAX_CHARS} characters"))
    }
}

/// Who asks, and who hands it in where that is somebody else.
pub(super) fn asking(named: Option<String>, hands_in: &str) -> (String, Option<String>) {
    match named {
        Some(named) if !named.trim().eq_ignore_ascii_case(hands_in.trim()) => (named, Some(hands_in.to_owned())),
        named => (named.unwrap_or_else(|| hands_in.to_owned()), None),
    }
}

/// A reference or a number: one line.
pub(super) fn line(text: &str) -> Checked<String> {
    if !text.chars().any(char::is_control) && within(text, ID_MAX_CHARS) {
        Ok(text.to_owned())
    } else {
        Err(format!("one line of at most {ID_MAX_CHARS} characters"))
    }
}

pub(super) fn name(text: &str) -> Checked<String> {
    if !has_control(text) && within(text, NAME_MAX_CHARS) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "a name of at most {NAME_MAX_CHARS} characters, without control characters"
        ))
    }
}

pub(super) fn reply(text: &str) -> Checked<String> {
    if !has_control(text) && within(text, REPLY_MAX_CHARS) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "a text of at most {REPLY_MAX_CHARS} characters, without control characters"
        ))
    }
}

/// Who takes over, in one cell: an address, or else a directory id.
pub(super) fn successor(text: &str) -> Checked<PersonRef> {
    if text.contains('@') {
        return address(text).map(|mail| PersonRef {
            mail: Some(mail),
            ..PersonRef::default()
        });
    }
    let parts: Vec<usize> = text.split('-').map(str::len).collect();
    if parts == [8, 4, 4, 4, 12] && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
        return object_id(text).map(|id| PersonRef {
            object_id: Some(id),
            ..PersonRef::default()
        });
    }
    Err("a mail address or a directory id (a GUID); a name can be two people".to_owned())
}

fn word<T: Copy>(text: &str, words: &[(&str, T)], expected: &str) -> Checked<T> {
    let folded = super::columns::fold(text);
    words
        .iter()
        .find(|(w, _)| *w == folded)
        .map(|(_, t)| *t)
        .ok_or_else(|| expected.to_owned())
}

pub(super) fn manner(text: &str) -> Checked<Manner> {
    let (p, i) = (Manner::Planned, Manner::Immediate);
    let words = [
        ("planned", p),
        ("scheduled", p),
        ("regular", p),
        ("voluntary", p),
        ("geplant", p),
        ("ordentlich", p),
        ("immediate", i),
        ("immediately", i),
        ("emergency", i),
        ("urgent", i),
        ("sofort", i),
        ("fristlos", i),
        ("ausserordentlich", i),
    ];
    word(text, &words, "'planned' or 'immediate' ('geplant', 'sofort')")
}

pub(super) fn yes_or_no(text: &str) -> Checked<bool> {
    let words = [
        ("yes", true),
        ("y", true),
        ("true", true),
        ("1", true),
        ("x", true),
        ("ja", true),
        ("j", true),
        ("wahr", true),
        ("no", false),
        ("n", false),
        ("false", false),
        ("0", false),
        ("nein", false),
        ("falsch", false),
    ];
    word(text, &words, "yes or no ('ja', 'nein')")
}

pub(super) fn forwarding(text: &str) -> Checked<bool> {
    let words = [
        ("remove", true),
        ("none", true),
        ("keine", true),
        ("successor", false),
        ("nachfolger", false),
    ];
    word(text, &words, "'remove' or 'successor'")
}

pub(super) fn forwarding_of(remove: bool) -> Forwarding {
    if remove {
        Forwarding::Remove
    } else {
        Forwarding::Successor
    }
}

pub(super) fn meetings(text: &str) -> Checked<Meetings> {
    let words = [
        ("leave", Meetings::Leave),
        ("cancel", Meetings::Cancel),
        ("handover", Meetings::HandOver),
        ("behalten", Meetings::Leave),
        ("absagen", Meetings::Cancel),
        ("uebergeben", Meetings::HandOver),
    ];
    word(text, &words, "'leave', 'cancel' or 'hand_over'")
}

pub(super) fn onedrive(text: &str) -> Checked<OneDriveChoice> {
    let words = [
        ("handover", OneDriveChoice::HandOver),
        ("ask", OneDriveChoice::Ask),
        ("uebergeben", OneDriveChoice::HandOver),
        ("fragen", OneDriveChoice::Ask),
    ];
    word(text, &words, "'hand_over' or 'ask'")
}

/// The name of a shared credential.
pub(super) fn credential(text: &str) -> Checked<String> {
    shared_credential_name(text).ok_or_else(|| "one line of at most 128 characters".to_owned())
}

/// Names of shared credentials in one cell.
pub(super) fn credentials(text: &str) -> Checked<Vec<String>> {
    let names = text
        .split([';', '|', '\n'])
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let names: Option<Vec<String>> = names.map(shared_credential_name).collect();
    names.filter(|names| names.len() <= CREDENTIALS_MAX).ok_or_else(|| {
        format!("at most {CREDENTIALS_MAX} names of at most 128 characters, with ';' or '|' between them")
    })
}

/// From when on access must be gone: what was said, or now if it is immediate.
/// Who is to go at once and today does not stay until the end of the working day.
pub(super) fn effective(said: Option<&Moment>, manner: Manner, tenant: &Tenant, now: Timestamp) -> Checked<Timestamp> {
    match (said, manner) {
        (Some(said), Manner::Immediate) if is_today(said, tenant, now) => Ok(now),
        (Some(said), _) => Ok(said.at),
        (None, Manner::Immediate) => Ok(now),
        (None, Manner::Planned) => Err("the last day; only an immediate departure may leave it out".to_owned()),
    }
}

/// The end of the working day that an immediate departure is of when nobody said its
/// moment: the day that was said, or today.
pub(super) fn of_day(said: Option<&Moment>, manner: Manner, tenant: &Tenant, now: Timestamp) -> Option<Timestamp> {
    match (said, manner) {
        (_, Manner::Planned) => None,
        (Some(said), Manner::Immediate) => said.day.map(|_| said.at),
        (None, Manner::Immediate) => dates::end_of_work(today(tenant, now)?, tenant),
    }
}

/// When it was asked for: what was said, or now. A day alone was given as the begin
/// of its working day, so that what is counted from the request on is counted whole;
/// who asks today before work begins asks now, and not later.
pub(super) fn requested(said: Option<&Moment>, tenant: &Tenant, now: Timestamp) -> Timestamp {
    match said {
        Some(said) if is_today(said, tenant, now) => said.at.min(now),
        Some(said) => said.at,
        None => now,
    }
}

/// Whether only a day was said, and it is today where the tenant is.
fn is_today(said: &Moment, tenant: &Tenant, now: Timestamp) -> bool {
    said.day.is_some() && said.day == today(tenant, now)
}

/// The day where the tenant is.
fn today(tenant: &Tenant, now: Timestamp) -> Option<Date> {
    let now = jiff::Timestamp::from_millisecond(now.0).ok()?;
    Some(now.to_zoned(tenant.time_zone.clone()).date())
}
