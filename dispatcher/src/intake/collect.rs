//! Gathers what becomes of a file's rows; knows when two are one case.

use super::columns::fold;
use super::values::shown;
use super::{Context, Intake, RowError, RowRef, SameCase, Warning};
use offboard_domain::departure::{Manner, PersonRef};
use offboard_domain::time::DAY_MS;
use offboard_domain::{CaseId, Departure, TenantId, Timestamp, heir};
use offboard_runtime::config::{Tenant, did_you_mean};
use std::collections::BTreeMap;

/// Said of a departure that is immediate and begins later.
pub(super) const NOT_AT_ONCE: &str = "it is immediate, and yet its access is cut only at the time given; leave the time out, or give today's date alone, to have it cut at once";

/// Said of a last day that an export has written as the moment at which it begins.
pub(super) const MIDNIGHT: &str =
    "access ends at midnight, before that day begins; if it is the last day of work, give the date alone";

/// How many rows are named of those that a note is about.
const NAMED_MAX: usize = 5;

/// What is wrong with one value.
pub(super) struct Wrong {
    /// Its column or path.
    pub(super) column: Option<String>,
    /// What stood there, as it stood there.
    pub(super) given: Option<String>,
    /// What was expected.
    pub(super) expected: String,
}

impl Wrong {
    pub(super) fn new(column: Option<&str>, given: Option<&str>, expected: impl Into<String>) -> Self {
        Self {
            column: column.map(str::to_owned),
            given: given.map(str::to_owned),
            expected: expected.into(),
        }
    }
}

/// What a file says of one case.
struct Case {
    /// In which row first.
    first: RowRef,
    /// And last.
    latest: Departure,
    /// Who is named to take over.
    heir: Option<PersonRef>,
}

#[derive(Default)]
pub(super) struct Collector {
    intake: Intake,
    cases: BTreeMap<CaseId, Case>,
    /// Rows that take effect when nobody works, for each tenant.
    out_of_hours: BTreeMap<TenantId, OutOfHours>,
}

/// Rows of one tenant that take effect when nobody works there.
struct OutOfHours {
    /// When they do work, in words.
    hours: String,
    rows: Vec<RowRef>,
}

impl OutOfHours {
    fn told(&self, tenant: &TenantId) -> String {
        let Self { hours, rows } = self;
        let file = rows.first().map_or("", |at| &*at.file);
        let named: Vec<String> = rows.iter().take(NAMED_MAX).map(|at| at.row.to_string()).collect();
        let more = match rows.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        let (what, them) = match rows.len() {
            1 => ("1 departure takes effect (row".to_owned(), "it"),
            n => (format!("{n} departures take effect (rows"), "them"),
        };
        format!(
            "{file}: {what} {}{more}) outside {tenant}'s working hours ({hours}), when nobody may be there to approve or answer; approve {them} beforehand",
            named.join(", ")
        )
    }
}

impl Collector {
    /// `midnight`: its time was written, and a day begins then where the tenant is.
    pub(super) fn accept(&mut self, at: RowRef, departure: Departure, tenant: &Tenant, now: Timestamp, midnight: bool) {
        if midnight && departure.effective_at.plus(DAY_MS) > now {
            self.warn(Some(&at), MIDNIGHT);
        } else if out_of_hours(&departure, tenant, now) {
            let found = self.out_of_hours.entry(tenant.id.clone());
            let found = found.or_insert_with(|| OutOfHours {
                hours: tenant.working_hours.to_string(),
                rows: Vec::new(),
            });
            found.rows.push(at.clone());
        }
        if departure.manner == Manner::Immediate && departure.effective_at > now {
            self.warn(Some(&at), NOT_AT_ONCE);
        }
        let case = departure.case_id();
        let heir = heir::named(&departure, &tenant.policy).cloned();
        match self.cases.get_mut(&case) {
            None => {
                let known = Case {
                    first: at.clone(),
                    latest: departure.clone(),
                    heir,
                };
                self.cases.insert(case, known);
                self.intake.accepted.push((at, departure));
            }
            Some(known) if known.latest.person.contradicts(&departure.person) => {
                let expected = format!(
                    "a reference of its own: row {} names another person under this one",
                    known.first.row
                );
                let wrong = Wrong::new(None, departure.reference.as_deref(), expected);
                self.reject(&at, wrong);
            }
            Some(known) => {
                let amends = known.latest != departure;
                self.intake.same.push(SameCase {
                    row: at.clone(),
                    first: known.first.clone(),
                    case,
                    amends,
                });
                if amends {
                    known.latest = departure.clone();
                    known.heir = heir;
                    self.intake.accepted.push((at, departure));
                }
            }
        }
    }

    pub(super) fn reject(&mut self, at: &RowRef, wrong: Wrong) {
        self.intake.rejected.push(RowError {
            at: at.clone(),
            column: wrong.column.as_deref().map(shown),
            given: wrong.given.as_deref().map(shown),
            expected: wrong.expected,
        });
    }

    pub(super) fn warn(&mut self, at: Option<&RowRef>, text: impl Into<String>) {
        let warning = Warning {
            at: at.cloned(),
            text: text.into(),
        };
        // What concerns the file may be noticed for each of its tenants.
        if at.is_some() || !self.intake.warnings.contains(&warning) {
            self.intake.warnings.push(warning);
        }
    }

    pub(super) fn done(mut self) -> Intake {
        for (tenant, found) in std::mem::take(&mut self.out_of_hours) {
            self.warn(None, found.told(&tenant));
        }
        for (at, leaver) in self.heirs_who_leave() {
            let text = format!(
                "whoever is to take over leaves too (row {}); name somebody who stays",
                leaver.row
            );
            self.warn(Some(&at), text);
        }
        self.intake
    }

    /// The rows whose successor leaves himself, and the row in which he does.
    fn heirs_who_leave(&self) -> Vec<(RowRef, RowRef)> {
        let mut leavers: BTreeMap<(&TenantId, &str, String), (CaseId, &RowRef)> = BTreeMap::new();
        for (id, case) in &self.cases {
            for (what, name) in case.latest.person.names() {
                leavers.insert((&case.latest.tenant, what, name), (*id, &case.first));
            }
        }
        let leaves = |(id, case): (&CaseId, &Case)| {
            let mut names = case.heir.as_ref()?.names();
            let found = names.find_map(|(what, name)| leavers.get(&(&case.latest.tenant, what, name)))?;
            (found.0 != *id).then(|| (case.first.clone(), found.1.clone()))
        };
        let mut all: Vec<(RowRef, RowRef)> = self.cases.iter().filter_map(leaves).collect();
        all.sort();
        all
    }
}

/// Whether it begins at a time at which nobody works there.
fn out_of_hours(departure: &Departure, tenant: &Tenant, now: Timestamp) -> bool {
    let begins = departure.effective_at;
    let local = jiff::Timestamp::from_millisecond(begins.0).map(|at| at.to_zoned(tenant.time_zone.clone()).datetime());
    begins > now && local.is_ok_and(|local| !tenant.working_hours.cover(local))
}

/// The tenant of a row: what it names by handle or full name, or what the file
/// is for; never another than the file is for.
pub(super) fn tenant<'a>(context: Context<'a>, named: Option<&str>) -> Result<(&'a TenantId, &'a Tenant), String> {
    let by_handle = |handle: &str| context.tenants.iter().find(|(id, _)| id.as_str() == handle);
    let whole = match context.tenant {
        Some(id) => Some(by_handle(id.as_str()).ok_or_else(|| format!("a configured tenant; '{id}' is none"))?),
        None => None,
    };
    let Some(name) = named else {
        return whole.ok_or_else(|| "a tenant's handle or name".to_owned());
    };
    let folded = fold(name);
    let mut by_name = context.tenants.iter().filter(|(_, t)| fold(&t.name) == folded);
    let found = by_handle(&name.to_lowercase()).or_else(|| by_name.next().filter(|_| by_name.next().is_none()));
    match (whole, found) {
        (Some(whole), Some(found)) if whole.0 == found.0 => Ok(whole),
        (Some(whole), _) => Err(format!(
            "the tenant '{}', which the file was handed over for, or nothing",
            whole.0
        )),
        (None, Some(found)) => Ok(found),
        (None, None) => {
            let hint = did_you_mean(name, context.tenants.keys().map(TenantId::as_str))
                .map_or_else(String::new, |t| format!("; did you mean '{t}'?"));
            Err(format!("a configured tenant's handle or name{hint}"))
        }
    }
}
