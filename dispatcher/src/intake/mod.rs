//! Intake: what HR hands over becomes departures.
//!
//! A file is an outside thing: any byte may be wrong, and what is wrong in one
//! row must not stop the others, reach another tenant, or become a different
//! person than was meant. So a row is taken whole or rejected with its place,
//! what was given and what was expected; a cell is text and never a formula;
//! whatever had to be assumed (encoding, a date in the hour that a clock
//! change skips) is said as a warning; and where guessing could mean another
//! person or day, it is not guessed. The types that travel as JSON are here;
//! the domain's are not what stands in files.
//!
//! Refuses to know: the ledger, what is done with a departure, the time.

mod cells;
mod collect;
mod columns;
mod csv;
mod dates;
mod json;
mod text;
mod values;

pub use json::schema;
pub use values::shown;

use offboard_domain::{CaseId, Departure, TenantId, Timestamp};
use offboard_runtime::config::Tenant;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Largest file: 200,000 rows of an ordinary export.
pub const FILE_MAX_BYTES: usize = 32 * 1024 * 1024;
/// Largest row: an automatic reply and everything else, ten times over.
pub const ROW_MAX_BYTES: usize = 64 * 1024;
/// Most rows of one file: more leavers than any client has staff.
pub const ROWS_MAX: usize = 100_000;
/// Most columns: HR systems export up to about a hundred.
pub const COLUMNS_MAX: usize = 512;

/// Said of an immediate departure without a reference and a time of its own:
/// it is of today, and later that is another day.
const UNRECOGNISABLE: &str =
    "has neither a reference nor a date: handed over again on another day it will be another case";

/// What reading a file needs to know beside its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The tenants as they are configured.
    pub tenants: &'a BTreeMap<TenantId, Tenant>,
    /// The tenant that the file is for; none: each row names its own.
    pub tenant: Option<&'a TenantId>,
    /// Who hands the file in; he asks, where a row does not say who does.
    pub requested_by: &'a str,
    /// The time now: when it was asked, where a row does not say.
    pub now: Timestamp,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A table of cells, with the columns' names first.
    Csv,
    /// One departure or a list of them.
    Json,
}

impl Format {
    /// The format of a file by its name, or else by its first sign.
    #[must_use]
    pub fn of(file: &str, bytes: &[u8]) -> Self {
        let ends = |end: &str| file.to_ascii_lowercase().ends_with(end);
        if ends(".json") {
            return Self::Json;
        }
        if ends(".csv") || ends(".tsv") || ends(".txt") {
            return Self::Csv;
        }
        let first = bytes
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(bytes)
            .trim_ascii_start()
            .first();
        if matches!(first, Some(b'{' | b'[')) {
            Self::Json
        } else {
            Self::Csv
        }
    }
}

/// A row of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowRef {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// The line that the row begins on, from 1.
    pub line: u64,
    /// Which departure of the file, from 1; the header does not count.
    pub row: u64,
}

impl fmt::Display for RowRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} (row {})", self.file, self.line, self.row)
    }
}

/// Why a row was rejected. For the eyes of who handed the file over: what was
/// given may be personal data and belongs in no log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// Which row.
    pub at: RowRef,
    /// The column, as the file calls it, or the path of a JSON value.
    pub column: Option<String>,
    /// What was given, safe to show.
    pub given: Option<String>,
    /// What was expected.
    pub expected: String,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.at)?;
        if let Some(column) = &self.column {
            write!(f, "{column}: ")?;
        }
        write!(f, "expected {}", self.expected)?;
        if let Some(given) = &self.given {
            write!(f, ", got \"{given}\"")?;
        }
        Ok(())
    }
}

/// Something that was assumed or ignored, and should be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// In which row; none: it concerns the file.
    pub at: Option<RowRef>,
    /// What.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some(at) => write!(f, "{at}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// Two rows of one file that are the same case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SameCase {
    /// The later row.
    pub row: RowRef,
    /// The first row of that case.
    pub first: RowRef,
    /// The case.
    pub case: CaseId,
    /// Whether it asks for something else. It is then also among the accepted,
    /// after the first, and amends it; otherwise it is not.
    pub amends: bool,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Intake {
    /// Departures, in the order of the file.
    pub accepted: Vec<(RowRef, Departure)>,
    /// What was wrong; several entries may concern one row.
    pub rejected: Vec<RowError>,
    /// Rows that are the same case as one before.
    pub same: Vec<SameCase>,
    /// What was assumed or ignored.
    pub warnings: Vec<Warning>,
}

impl Intake {
    /// How many rows were rejected.
    #[must_use]
    pub fn rejected_rows(&self) -> usize {
        let mut rows: Vec<u64> = self.rejected.iter().map(|e| e.at.row).collect();
        rows.sort_unstable();
        rows.dedup();
        rows.len()
    }
}

/// A file of which nothing was accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to read {file}: {what}")]
pub struct IntakeError {
    /// The file, as it was named.
    pub file: String,
    /// What is wrong with it as a whole, and what was expected.
    pub what: String,
}

/// Reads a file of departures.
///
/// # Errors
/// [`IntakeError`] if the file as a whole cannot be used; what concerns single
/// rows is in the [`Intake`].
pub fn read(file: &str, bytes: &[u8], context: Context<'_>) -> Result<Intake, IntakeError> {
    read_as(Format::of(file, bytes), file, bytes, context)
}

/// Reads a file of departures in a known format.
///
/// # Errors
/// As [`read`].
pub fn read_as(format: Format, file: &str, bytes: &[u8], context: Context<'_>) -> Result<Intake, IntakeError> {
    let outcome = if bytes.len() > FILE_MAX_BYTES {
        Err(format!(
            "it has {} bytes; expected at most {FILE_MAX_BYTES}: split it",
            bytes.len()
        ))
    } else {
        match format {
            Format::Csv => csv::read(file, bytes, context),
            Format::Json => json::read(file, bytes, context),
        }
    };
    outcome.map_err(|what| IntakeError {
        file: file.to_owned(),
        what,
    })
}

#[cfg(test)]
mod tests;
