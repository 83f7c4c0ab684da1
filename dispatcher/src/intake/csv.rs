//! Tables of cells, as HR systems and spreadsheets export them.
//!
//! The `csv` crate splits the cells. Around it: which sign stands between
//! them, what the columns mean, that a row has as many cells as the header (a
//! shifted row would be another person), that a quote which nobody closed does
//! not swallow the rest in silence, and limits.

use super::cells::{Lines, bad_quotes, skip_sep_line};
use super::collect::{self, Collector, Wrong};
use super::columns::{self, Columns};
use super::dates::{self, Moment};
use super::values::{self, Checked, shown};
use super::{COLUMNS_MAX, Context, Intake, ROW_MAX_BYTES, ROWS_MAX, RowRef, text};
use ::csv::{ReaderBuilder, StringRecord};
use jiff::civil::Time;
use offboard_domain::departure::{Choices, PersonRef};
use offboard_domain::{Departure, TenantId};
use offboard_runtime::config::{Field, Tenant, did_you_mean};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What may stand between cells, in the order of a draw.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

pub(super) fn read(file: &str, bytes: &[u8], context: Context<'_>) -> Result<Intake, String> {
    let decoded = text::decode(bytes)?;
    let mut out = Collector::default();
    if let Some(assumed) = decoded.assumed {
        out.warn(None, format!("{file}: {assumed}"));
    }
    let whole = decoded.text.as_str();
    let (body, said) = skip_sep_line(whole);
    let delimiter = delimiter(body, said, context);
    let mut bad_quotes = bad_quotes(body, delimiter).into_iter().peekable();
    let mut lines = Lines::new(body, if body.len() == whole.len() { 1 } else { 2 });
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(body.as_bytes());

    let mut record = StringRecord::new();
    let header = match reader.read_record(&mut record) {
        Ok(true) => header(&record)?,
        Ok(false) => {
            return Err("it is empty; expected the columns' names first, then a row for each departure".into());
        }
        Err(e) => return Err(format!("the first row cannot be read: {e}")),
    };
    let file: Arc<str> = file.into();
    let mut table = Table::new(header, context)?;
    table.warn_unknown(&file, &mut out);
    let mut row = 0;
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(out.done()),
            Err(e) => return Err(format!("row {} cannot be read: {e}", row + 1)),
        }
        let position = record.position().map_or(0, ::csv::Position::byte);
        let start = usize::try_from(position).unwrap_or(usize::MAX);
        let line = lines.at(start);
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        row += 1;
        if row > ROWS_MAX as u64 {
            return Err(format!("it has more than {ROWS_MAX} rows: split it"));
        }
        let at = RowRef {
            file: file.clone(),
            line,
            row,
        };
        let end = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
        while bad_quotes.next_if(|q| q.opened < start).is_some() {}
        if let Some(quote) = bad_quotes.next_if(|q| q.opened < end.max(start + 1)) {
            let opened = lines.at(quote.opened);
            let expected = match quote.closed {
                None => format!(
                    "a closing quote: the one opened on line {opened} is never closed, and what follows it cannot be read"
                ),
                Some(closed) => format!(
                    "a quote to end with its cell: the one opened on line {opened} closes in the middle of a cell on line {}, and what is between them cannot be read (a quote inside a cell is written twice)",
                    lines.at(closed)
                ),
            };
            out.reject(&at, Wrong::new(None, None, expected));
            continue;
        }
        let size: usize = record.as_slice().len();
        if size > ROW_MAX_BYTES {
            let expected = format!("a row of at most {ROW_MAX_BYTES} bytes; this one has {size}");
            out.reject(&at, Wrong::new(None, None, expected));
            continue;
        }
        table.row(&at, &record, &mut out);
    }
}

/// What stands between the cells: as configured or said, else the sign under
/// which most columns of the first line mean something, then the commonest.
fn delimiter(text: &str, said: Option<u8>, context: Context<'_>) -> u8 {
    let tenant = context.tenant.and_then(|id| context.tenants.get(id));
    if let Some(fixed) = tenant.and_then(|t| t.intake.delimiter).or(said) {
        return fixed;
    }
    let score = |sign: u8| {
        let mut reader = ReaderBuilder::new()
            .delimiter(sign)
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes());
        let mut record = StringRecord::new();
        let Ok(true) = reader.read_record(&mut record) else {
            return (0, 0);
        };
        let titles: Vec<String> = record.iter().take(COLUMNS_MAX).map(|t| t.trim().to_owned()).collect();
        let configs = tenant.map_or_else(|| context.tenants.values().collect(), |t| vec![t]);
        let known = |c| columns::resolve(&titles, c).map_or(0, |c| c.known());
        let most = configs
            .iter()
            .map(|t| known(Some(&t.intake)))
            .max()
            .unwrap_or_else(|| known(None));
        (most, record.len())
    };
    // Of equal ones the first wins, and `max_by_key` would take the last.
    DELIMITERS
        .into_iter()
        .rev()
        .max_by_key(|sign| score(*sign))
        .unwrap_or(b',')
}

fn header(record: &StringRecord) -> Result<Vec<String>, String> {
    let mut titles: Vec<String> = record.iter().map(|t| t.trim().to_owned()).collect();
    // A separator at the end of every line makes a last column of nothing.
    while titles.last().is_some_and(String::is_empty) {
        titles.pop();
    }
    if titles.len() > COLUMNS_MAX {
        return Err(format!(
            "it has {} columns; expected at most {COLUMNS_MAX}",
            titles.len()
        ));
    }
    Ok(titles)
}

struct Table<'a> {
    context: Context<'a>,
    header: Vec<String>,
    /// Where the tenant's column is, if rows can name one.
    tenant_place: Option<usize>,
    /// What the columns mean, for each tenant met so far.
    columns: BTreeMap<TenantId, Result<Columns, String>>,
}

impl<'a> Table<'a> {
    fn new(header: Vec<String>, context: Context<'a>) -> Result<Self, String> {
        let configs: Vec<_> = match context.tenant.and_then(|id| context.tenants.get(id)) {
            Some(t) => vec![&t.intake],
            None => context.tenants.values().map(|t| &t.intake).collect(),
        };
        let tenant_place = columns::tenant_place(&header, configs.into_iter());
        let mut table = Self {
            context,
            header,
            tenant_place,
            columns: BTreeMap::new(),
        };
        if context.tenant.is_some() {
            // All rows are read alike: what is wrong with the columns is wrong with the file.
            let (id, tenant) = collect::tenant(context, None).map_err(|e| format!("expected {e}"))?;
            table.columns_of(id, tenant).as_ref().map_err(Clone::clone)?;
        } else if tenant_place.is_none() {
            return Err(
                "nothing says which tenant it is for: name one when handing it over, or add a column 'tenant'".into(),
            );
        }
        Ok(table)
    }

    fn columns_of(&mut self, id: &TenantId, tenant: &Tenant) -> &Result<Columns, String> {
        let header = &self.header;
        self.columns.entry(id.clone()).or_insert_with(|| {
            let found = columns::resolve(header, Some(&tenant.intake))?;
            match found.missing() {
                None => Ok(found),
                Some(missing) => {
                    let titles: Vec<String> = header.iter().map(|t| format!("'{}'", shown(t))).collect();
                    Err(format!(
                        "missing {missing}; the first line has {}. Other names of columns can be given in the tenant's [intake.columns]",
                        titles.join(", ")
                    ))
                }
            }
        })
    }

    fn warn_unknown(&mut self, file: &str, out: &mut Collector) {
        let Some((id, tenant)) = collect::tenant(self.context, None).ok() else {
            return;
        };
        let Ok(columns) = self.columns_of(id, tenant) else {
            return;
        };
        let unknown = columns.unknown.clone();
        self.warn_columns(file, &unknown, out);
    }

    fn warn_columns(&self, file: &str, unknown: &[usize], out: &mut Collector) {
        let titles: Vec<_> = unknown
            .iter()
            .filter(|i| Some(**i) != self.tenant_place && !self.header[**i].is_empty())
            .map(|i| {
                let title = &self.header[*i];
                let words = Field::ALL.iter().map(|f| f.word());
                let name = title.trim().replace(' ', "_");
                // A tenant's own names go before ours: then ours is no help.
                let like = did_you_mean(&name, words).filter(|like| !like.eq_ignore_ascii_case(&name));
                let hint = like.map_or_else(String::new, |like| format!(" (did you mean '{like}'?)"));
                format!("'{}'{hint}", shown(title))
            })
            .collect();
        if !titles.is_empty() {
            out.warn(
                None,
                format!(
                    "{file}: ignored these columns, whose names are not known: {}",
                    titles.join(", ")
                ),
            );
        }
    }

    fn row(&mut self, at: &RowRef, record: &StringRecord, out: &mut Collector) {
        let width = self.header.len();
        let extra = record.iter().skip(width).any(|cell| !cell.trim().is_empty());
        if record.len() < width || extra {
            let expected = format!(
                "{width} cells as in the first line, got {}: is a separator or a quote missing or too many?",
                record.len()
            );
            out.reject(at, Wrong::new(None, None, expected));
            return;
        }
        let named = self
            .tenant_place
            .and_then(|i| record.get(i))
            .map(str::trim)
            .filter(|c| !c.is_empty());
        let (id, tenant) = match collect::tenant(self.context, named) {
            Ok(found) => found,
            Err(expected) => {
                let title = self.tenant_place.map(|i| self.header[i].as_str());
                out.reject(at, Wrong::new(title, named, expected));
                return;
            }
        };
        let first_of_tenant = !self.columns.contains_key(id);
        let unknown = match self.columns_of(id, tenant) {
            Ok(columns) => columns.unknown.clone(),
            Err(what) => {
                let expected = format!("columns that can be read: {what}");
                out.reject(at, Wrong::new(None, None, expected));
                return;
            }
        };
        if first_of_tenant {
            self.warn_columns(&at.file, &unknown, out);
        }
        if let Some(Ok(columns)) = self.columns.get(id) {
            let row = Row {
                record,
                columns,
                header: &self.header,
                wrong: Vec::new(),
                assumed: Vec::new(),
            };
            row.finish(at, id, tenant, self.context, out);
        }
    }
}

/// One row while it is read: all that is wrong with it is gathered.
struct Row<'r> {
    record: &'r StringRecord,
    columns: &'r Columns,
    header: &'r [String],
    wrong: Vec<Wrong>,
    assumed: Vec<String>,
}

impl<'r> Row<'r> {
    fn cell(&self, field: Field) -> Option<&'r str> {
        let cell = self.record.get(self.columns.place(field)?)?.trim();
        (!cell.is_empty()).then_some(cell)
    }

    fn title(&self, field: Field) -> Option<&'r str> {
        self.columns.place(field).map(|i| self.header[i].as_str())
    }

    fn get<T>(&mut self, field: Field, read: impl FnOnce(&str) -> Checked<T>) -> Option<T> {
        let cell = self.cell(field)?;
        match read(cell) {
            Ok(value) => Some(value),
            Err(expected) => {
                self.wrong.push(Wrong::new(self.title(field), Some(cell), expected));
                None
            }
        }
    }

    /// What is wrong here is not repeated: it may be the credential itself.
    fn credentials(&mut self) -> Vec<String> {
        let names = self.cell(Field::SharedCredentials).map(values::credentials);
        match names.unwrap_or_else(|| Ok(Vec::new())) {
            Ok(names) => names,
            Err(expected) => {
                let title = self.title(Field::SharedCredentials);
                self.wrong.push(Wrong::new(title, None, expected));
                Vec::new()
            }
        }
    }

    fn moment(&mut self, field: Field, tenant: &Tenant, time_of_day: Time) -> Option<Moment> {
        let formats = &tenant.intake.date_formats;
        let found = self.get(field, |cell| dates::moment(cell, formats, tenant, time_of_day))?;
        if let Some(assumed) = &found.assumed {
            let title = self.title(field).map_or_else(String::new, shown);
            self.assumed.push(format!("{title}: {assumed}"));
        }
        Some(found)
    }

    fn display_name(&mut self) -> Option<String> {
        let whole = self.get(Field::DisplayName, values::name);
        let first = self.get(Field::FirstName, values::name);
        let last = self.get(Field::LastName, values::name);
        match (whole, first, last) {
            (_, Some(first), Some(last)) => Some(format!("{first} {last}")),
            // German exports call the last name just "Name".
            (Some(name), Some(first), None) if !name.contains(&first) => Some(format!("{first} {name}")),
            (whole, first, last) => whole.or(last).or(first),
        }
    }

    fn person(&mut self) -> PersonRef {
        PersonRef {
            object_id: self.get(Field::ObjectId, values::object_id),
            user_principal_name: self.get(Field::UserPrincipalName, values::address),
            mail: self.get(Field::Mail, values::address),
            employee_id: self.get(Field::EmployeeId, values::line),
            display_name: self.display_name(),
        }
    }

    fn choices(&mut self) -> Choices {
        Choices {
            legal_hold: self.get(Field::LegalHold, values::yes_or_no),
            archive_mailbox: self.get(Field::ArchiveMailbox, values::yes_or_no),
            forwarding: self
                .get(Field::Forwarding, values::forwarding)
                .map(values::forwarding_of),
            automatic_reply: self.get(Field::AutomaticReply, values::reply),
            meetings: self.get(Field::Meetings, values::meetings),
            onedrive: self.get(Field::Onedrive, values::onedrive),
            wipe_company_devices: self.get(Field::WipeCompanyDevices, values::yes_or_no),
            shared_credentials: self.credentials(),
            apps: Vec::new(),
        }
    }

    fn finish(mut self, at: &RowRef, id: &TenantId, tenant: &Tenant, context: Context<'_>, out: &mut Collector) {
        let person = self.person();
        if !person.can_be_found() && self.wrong.is_empty() {
            let expected = "a person: a mail address, sign-in name, employee number or directory id";
            self.wrong.push(Wrong::new(None, None, expected));
        }
        let manner = self.get(Field::Manner, values::manner);
        let manner_failed = manner.is_none() && self.cell(Field::Manner).is_some();
        let manner = manner.unwrap_or(offboard_domain::departure::Manner::Planned);
        let said = self.moment(Field::EffectiveAt, tenant, tenant.working_hours.to);
        let said_wrongly = said.is_none() && self.cell(Field::EffectiveAt).is_some();
        let effective_at = match values::effective(said.as_ref(), manner, tenant, context.now) {
            Ok(at) => at,
            Err(expected) => {
                if !said_wrongly && !manner_failed {
                    self.wrong
                        .push(Wrong::new(self.title(Field::EffectiveAt), None, expected));
                }
                context.now
            }
        };
        let asked = self.moment(Field::RequestedAt, tenant, tenant.working_hours.from);
        let requested_at = values::requested(asked.as_ref(), tenant, context.now);
        let reference = self.get(Field::Reference, values::line);
        let named = self.get(Field::RequestedBy, values::line);
        let (requested_by, handed_in_by) = values::asking(named, context.requested_by);
        let departure = Departure {
            tenant: id.clone(),
            reference,
            person,
            manner,
            effective_at,
            of_day: values::of_day(said.as_ref(), manner, tenant, context.now),
            requested_by,
            handed_in_by,
            requested_at,
            successor: self.get(Field::Successor, values::successor),
            choices: self.choices(),
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
