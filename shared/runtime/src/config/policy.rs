//! `[policy]`: what a tenant has decided once for all departures, read into
//! the domain's own type. What a key may not do — such as skipping a task that
//! cuts access — is refused here, before any departure.

use super::problem::did_you_mean;
use super::reader::{Section, Value};
use offboard_domain::departure::{Forwarding, Meetings, OneDriveChoice, PersonRef};
use offboard_domain::policy::{Approvals, SHARED_MAILBOX_MAX_BYTES, SuccessorRule};
use offboard_domain::time::DAY_MS;
use offboard_domain::{Kind, ObjectId, Policy};
use std::collections::{BTreeMap, BTreeSet};

/// Longest time limit that makes sense in an approval.
const APPROVAL_MAX_MS: i64 = 90 * DAY_MS;
/// Longest hold, in days: a hundred years.
const HOLD_MAX_DAYS: u32 = 36_500;
/// Longest that an archive is kept, in years.
const ARCHIVE_MAX_YEARS: u32 = 100;
/// Longest automatic reply: Exchange's limit is far above, a reader's below.
const REPLY_MAX_CHARS: usize = 8_000;
/// Longest name of a shared credential.
const CREDENTIAL_MAX_CHARS: usize = 128;
/// Most departures an hour that can be configured.
const DEPARTURES_MAX: u32 = 100_000;
/// Dearest licence, in whole units of the currency.
const PRICE_MAX: i64 = 1_000_000;

/// Reads the section; what is absent or wrong keeps its default.
pub(super) fn read(mut section: Section<'_>) -> Policy {
    let mut policy = Policy::default();
    if let Some(rule) = section.get("successor").and_then(|v| successor(&v)) {
        policy.successor = rule;
    }
    if let Some(v) = section.get("protected") {
        policy.protected = v
            .list()
            .iter()
            .filter_map(Value::filled)
            .map(|s| s.to_lowercase())
            .collect();
    }
    if let Some(v) = section.get("skip") {
        policy.skip = v.list().iter().filter_map(kind).collect();
    }
    if let Some(on) = section.get("legal_hold").and_then(|v| v.bool()) {
        policy.legal_hold = on;
    }
    policy.hold_days = section.get("hold_days").and_then(|v| v.integer(1, HOLD_MAX_DAYS));
    if let Some(on) = section.get("archive_mailbox").and_then(|v| v.bool()) {
        policy.archive_mailbox = on;
    }
    policy.archive_years = section
        .get("archive_years")
        .and_then(|v| v.integer(1, ARCHIVE_MAX_YEARS));
    let forwarding = [("remove", true), ("successor", false)];
    if let Some(remove) = section.get("forwarding").and_then(|v| v.word(&forwarding)) {
        policy.forwarding = if remove {
            Forwarding::Remove
        } else {
            Forwarding::Successor
        };
    }
    policy.automatic_reply = section.get("automatic_reply").and_then(|v| {
        let text = v.text()?;
        if text.chars().count() > REPLY_MAX_CHARS {
            v.wrong(format!("expected at most {REPLY_MAX_CHARS} characters"));
            return None;
        }
        (!text.trim().is_empty()).then_some(text)
    });
    let meetings = [
        ("leave", Meetings::Leave),
        ("cancel", Meetings::Cancel),
        ("hand_over", Meetings::HandOver),
    ];
    if let Some(choice) = section.get("meetings").and_then(|v| v.word(&meetings)) {
        policy.meetings = choice;
    }
    let onedrive = [("hand_over", OneDriveChoice::HandOver), ("ask", OneDriveChoice::Ask)];
    if let Some(choice) = section.get("onedrive").and_then(|v| v.word(&onedrive)) {
        policy.onedrive = choice;
    }
    if let Some(on) = section.get("wipe_company_devices").and_then(|v| v.bool()) {
        policy.wipe_company_devices = on;
    }
    if let Some(on) = section.get("knowledge_session").and_then(|v| v.bool()) {
        policy.knowledge_session = on;
    }
    if let Some(v) = section.get("shared_credentials") {
        policy.shared_credentials = v.unseen_list().iter().filter_map(credential).collect();
    }
    if let Some(v) = section.get("known_apps") {
        policy.known_apps = apps(&v);
    }
    if let Some(bytes) = section.get("shared_mailbox_max").and_then(|v| size_bytes(&v)) {
        policy.shared_mailbox_max_bytes = bytes;
    }
    if let Some(n) = section
        .get("departures_per_hour")
        .and_then(|v| v.integer(1, DEPARTURES_MAX))
    {
        policy.departures_per_hour = n;
    }
    approvals(section.section("approvals"), &mut policy.approvals);
    let mut licences = section.section("licences");
    if let Some(currency) = licences.get("currency").and_then(|v| {
        v.parsed("a currency's three capital letters, such as \"EUR\"", |s| {
            (s.len() == 3 && s.bytes().all(|b| b.is_ascii_uppercase())).then(|| s.to_owned())
        })
    }) {
        policy.currency = currency;
    }
    policy.licence_price_cents = prices(&licences.section("monthly_prices"));
    licences.done();
    section.done();
    policy
}

/// Applications by id or name, which upper and lower case make no difference to.
pub(super) fn apps(value: &Value<'_>) -> BTreeSet<String> {
    let all = value.list();
    all.iter()
        .filter_map(Value::filled)
        .map(|name| name.to_lowercase())
        .collect()
}

fn credential(value: &Value<'_>) -> Option<String> {
    let expected =
        "the name of a shared credential: one line of at most 128 characters, and never the credential itself";
    value.unseen(expected, |text| shared_credential_name(text).is_some())
}

/// The name of a shared credential, as a person writes it; none if it cannot be one.
#[must_use]
pub fn shared_credential_name(text: &str) -> Option<String> {
    let name = text.trim();
    let fits = !name.is_empty() && name.chars().count() <= CREDENTIAL_MAX_CHARS;
    (fits && !name.chars().any(char::is_control)).then(|| name.to_owned())
}

fn successor(value: &Value<'_>) -> Option<SuccessorRule> {
    if !value.is_section() {
        let words = [("manager", SuccessorWord::Manager), ("nobody", SuccessorWord::Nobody)];
        return value.word(&words).map(|w| match w {
            SuccessorWord::Manager => SuccessorRule::Manager,
            SuccessorWord::Nobody => SuccessorRule::Nobody,
        });
    }
    let mut section = value.section();
    let person = PersonRef {
        object_id: section.get("object_id").and_then(|v| v.filled()).map(ObjectId),
        user_principal_name: section.get("user_principal_name").and_then(|v| v.filled()),
        mail: section.get("mail").and_then(|v| v.filled()),
        employee_id: section.get("employee_id").and_then(|v| v.filled()),
        display_name: None,
    };
    section.done();
    if !person.can_be_found() {
        value.wrong("expected a person by object_id, user_principal_name, mail or employee_id");
        return None;
    }
    Some(SuccessorRule::Named(person))
}

#[derive(Clone, Copy)]
enum SuccessorWord {
    Manager,
    Nobody,
}

/// The kinds that a tenant may do without, as the catalogue declares them.
fn skippable() -> impl Iterator<Item = Kind> {
    Kind::ALL.iter().copied().filter(|k| k.spec().skippable)
}

fn kind(value: &Value<'_>) -> Option<Kind> {
    let name = value.filled()?;
    match Kind::named(&name) {
        Some(kind) if kind.spec().skippable => return Some(kind),
        Some(_) => value.wrong(format!(
            "'{name}' may not be skipped: a departure is not safe or not proven without it; may be skipped: {}",
            names()
        )),
        None => {
            let hint = did_you_mean(&name, skippable().map(Kind::name)).map_or_else(
                || format!("; may be skipped: {}", names()),
                |k| format!("; did you mean '{k}'?"),
            );
            value.wrong(format!("'{}' is no kind of task{hint}", name.escape_debug()));
        }
    }
    None
}

fn names() -> String {
    skippable().map(Kind::name).collect::<Vec<_>>().join(", ")
}

fn approvals(mut section: Section<'_>, into: &mut Approvals) {
    if let Some(on) = section.get("plan").and_then(|v| v.bool()) {
        into.plan = on;
    }
    if let Some(v) = section.get("approvers") {
        into.approvers = v.list().iter().filter_map(Value::filled).collect();
    }
    if let Some(on) = section.get("approver_may_hand_in").and_then(|v| v.bool()) {
        into.approver_may_hand_in = on;
    }
    if let Some(ms) = section
        .get("overdue_after")
        .and_then(|v| v.duration_ms(APPROVAL_MAX_MS))
    {
        into.overdue_after_ms = ms;
    }
    if let Some(ms) = section
        .get("irreversible_delay")
        .and_then(|v| v.duration_ms(APPROVAL_MAX_MS))
    {
        into.irreversible_delay_ms = ms;
    }
    section.done();
}

/// "50 GB": a whole number of MB or GB, each 1024 of the one below as
/// Exchange counts them.
fn size_bytes(value: &Value<'_>) -> Option<i64> {
    let expected = "a size such as \"50 GB\" or \"500 MB\", at most 50 GB (Microsoft's limit)";
    value.parsed(expected, |s| {
        let (number, unit) = s.split_at(s.find(|c: char| !c.is_ascii_digit())?);
        let unit: i64 = match unit.trim() {
            "MB" => 1 << 20,
            "GB" => 1 << 30,
            _ => return None,
        };
        let bytes = number.parse::<i64>().ok()?.checked_mul(unit)?;
        (1..=SHARED_MAILBOX_MAX_BYTES).contains(&bytes).then_some(bytes)
    })
}

fn prices(section: &Section<'_>) -> BTreeMap<String, i64> {
    let mut found = BTreeMap::new();
    for (sku, value) in section.entries() {
        match value.number_text().as_deref().and_then(cents) {
            Some(price) => {
                found.insert(sku.to_owned(), price);
            }
            None => value.expected("a price a month with at most two decimals, such as 34.40"),
        }
    }
    found
}

/// Decimal text to hundredths, exactly: money never passes through a float.
fn cents(text: &str) -> Option<i64> {
    let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 2 {
        return None;
    }
    let whole: i64 = whole.parse().ok().filter(|n| *n <= PRICE_MAX)?;
    let hundredths: i64 = format!("{part:0<2}").parse().ok()?;
    Some(whole * 100 + hundredths)
}
