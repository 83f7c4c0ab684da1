//! Files of departures from the command line: read whole, each bad row said
//! with its place, the others go on.

use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::session::unexpected;
use console::style;
use offboard_dispatcher::control::{Accepted, Request, Response, What};
use offboard_dispatcher::intake::{self, Context, FILE_MAX_BYTES, Intake, RowError, RowRef};
use offboard_domain::{Departure, TenantId, Timestamp};
use offboard_runtime::config::Configuration;
use serde::Serialize;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read as _, stdin};
use std::path::Path;

/// What all files of a command line hold.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// Departures in order.
    pub accepted: Vec<(RowRef, Departure)>,
    rejected: Vec<RowError>,
    rejected_rows: usize,
    same: usize,
    notes: Vec<String>,
}

/// What became of departures that were handed over.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    /// One for each that was tried, in order.
    pub outcomes: Vec<Accepted>,
    /// Why those after them were not.
    pub failed: Option<CliError>,
}

/// A row as `--json` shows it.
#[derive(Serialize)]
struct Row<'a> {
    file: &'a str,
    line: u64,
    row: u64,
}

impl<'a> From<&'a RowRef> for Row<'a> {
    fn from(at: &'a RowRef) -> Self {
        Self {
            file: &at.file,
            line: at.line,
            row: at.row,
        }
    }
}

/// Reads the files, says what is wrong with single rows, and fails only if a
/// file as a whole cannot be used, or if nothing at all was accepted.
pub(crate) fn read(
    out: Out,
    config: &Configuration,
    files: &[impl AsRef<Path>],
    tenant: Option<&TenantId>,
    actor: &str,
    now: Timestamp,
) -> Result<Files, CliError> {
    let mut all = Files::default();
    for file in files {
        let name = file.as_ref().display().to_string();
        let bytes = bytes(file.as_ref())?;
        let context = Context {
            tenants: &config.tenants,
            tenant,
            requested_by: actor,
            now,
        };
        let read = intake::read(&name, &bytes, context).map_err(|e| CliError::of(&e).exit(Exit::Usage))?;
        all.take(read);
    }
    let barred = all.accepted.iter().filter(|(_, departure)| {
        let tenant = config.tenants.get(&departure.tenant);
        departure.handed_in_by.is_some() && tenant.is_some_and(|t| !t.policy.approvals.approver_may_hand_in)
    });
    let barred = barred.count();
    if barred > 0 {
        all.notes.push(format!(
            "{barred} of {} name another requester: somebody else than {actor}, who hands them in, is to approve them",
            all.accepted.len()
        ));
    }
    all.say(out);
    if all.accepted.is_empty() {
        let what = match all.rejected_rows {
            0 => "nothing was accepted: there is no departure in it".to_owned(),
            n => format!("nothing was accepted: {n} of {n} rows are wrong"),
        };
        let told = all.rejected.iter().map(ToString::to_string);
        return Err(CliError::usage(what)
            // On a terminal they are above.
            .causes(told.filter(|_| out.is_json()))
            .next("mend what is named; a row that was accepted before is harmless to repeat"));
    }
    Ok(all)
}

impl Files {
    fn take(&mut self, read: Intake) {
        self.rejected_rows += read.rejected_rows();
        self.notes.extend(read.warnings.iter().map(ToString::to_string));
        for same in &read.same {
            let what = if same.amends { "amends it" } else { "asks for the same" };
            self.notes.push(format!(
                "{}: the same departure as in line {}, and {what}",
                same.row, same.first.line
            ));
        }
        self.same += read.same.iter().filter(|s| !s.amends).count();
        self.accepted.extend(read.accepted);
        self.rejected.extend(read.rejected);
    }

    /// Hands the departures over, in as many requests as it takes, until one
    /// fails. What was accepted before that is accepted.
    pub(crate) async fn hand_over(&self, mut ask: impl AsyncFnMut(Request) -> Result<Response, CliError>) -> Handed {
        let mut handed = Handed::default();
        for part in self.accepted.chunks(AT_ONCE) {
            let departures = part.iter().map(|(_, d)| d.clone()).collect();
            match ask(Request::Submit { departures }).await {
                Ok(Response::Submitted(accepted)) => handed.outcomes.extend(accepted),
                Ok(other) => handed.failed = Some(unexpected(&other)),
                Err(error) => handed.failed = Some(error),
            }
            if let Some(last) = handed.outcomes.last().filter(|o| o.what == What::Failed) {
                let (case, why) = (last.case, last.why.as_deref().unwrap_or("no reason was given"));
                let what = format!("failed to accept departure {case}: {why}");
                handed.failed = Some(CliError::failed(what));
            }
            if let Some(error) = handed.failed.take() {
                let safe = handed.outcomes.iter().filter(|o| o.what != What::Failed).count();
                handed.failed = Some(error.next(format!(
                    "{safe} of {} are accepted and stay so; mend it and hand the same file over again: what is accepted is known then",
                    self.accepted.len()
                )));
                break;
            }
        }
        handed
    }

    fn say(&self, out: Out) {
        if out.is_json() {
            return;
        }
        for error in &self.rejected {
            out.say(format!("{} {error}", style("wrong:").red().for_stderr()));
        }
        for note in &self.notes {
            out.say(format!("{} {note}", style("note:").yellow().for_stderr()));
        }
    }

    /// What was wrong, for `--json`.
    pub(crate) fn rejected_json(&self) -> Vec<Value> {
        let one = |e: &RowError| json!({ "at": Row::from(&e.at), "column": e.column, "given": e.given, "expected": e.expected });
        self.rejected.iter().map(one).collect()
    }

    /// What was assumed or ignored, for `--json`.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// One line about everything.
    pub(crate) fn summary(&self, outcomes: &[Accepted]) -> String {
        let count = |what: What| outcomes.iter().filter(|a| a.what == what).count();
        let mut parts = vec![format!("{} accepted", count(What::Opened))];
        let mut add = |n: usize, text: &str| {
            if n > 0 {
                parts.push(format!("{n} {text}"));
            }
        };
        add(count(What::Known), "known already");
        add(count(What::Amended), "amended");
        add(count(What::Refused), "refused");
        add(count(What::Failed), "failed");
        add(self.accepted.len() - outcomes.len(), "not handed over");
        add(self.same, "twice in the file");
        add(self.rejected_rows, "wrong");
        parts.join(", ")
    }
}

/// An outcome with its row, for `--json`.
pub(crate) fn outcome_json(at: &RowRef, accepted: &Accepted) -> Value {
    let mut outcome = json!({ "at": Row::from(at), "tenant": accepted.tenant, "case": accepted.case, "what": accepted.what, "why": accepted.why });
    if let Some(warning) = &accepted.warning {
        outcome["warning"] = json!(warning);
    }
    outcome
}

/// Departures that travel in one request: a hundred of the largest rows stay
/// below the largest request.
pub(crate) const AT_ONCE: usize = 100;

fn bytes(file: &Path) -> Result<Vec<u8>, CliError> {
    let failed = |e: std::io::Error| CliError::usage(format!("failed to read {}", file.display())).caused_by(Some(&e));
    // One more than is allowed, so that a larger file is noticed and refused.
    let most = FILE_MAX_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    if file.as_os_str() == "-" {
        stdin().lock().take(most).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        File::open(file)
            .map_err(failed)?
            .take(most)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
    }
    Ok(bytes)
}
