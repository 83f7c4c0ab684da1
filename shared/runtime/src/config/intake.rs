//! How a tenant's HR writes its files: what the columns are called, how dates
//! look, what stands between the cells. The reading itself is the
//! dispatcher's; here is only what can be configured about it.

use super::reader::{Section, Value};
use std::collections::{BTreeMap, BTreeSet};

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// What a column of an HR export can mean.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field { $($(#[$doc])* $name,)* }

        impl Field {
            /// All of them.
            pub const ALL: &'static [Field] = &[$(Field::$name,)*];

            /// The field's own name, which is always a column's name too.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Field::$name => $word,)* }
            }
        }
    };
}

fields! {
    /// The tenant's handle.
    Tenant = "tenant",
    /// The source's own number of the departure.
    Reference = "reference",
    /// The directory's id of the person.
    ObjectId = "object_id",
    /// The sign-in name.
    UserPrincipalName = "user_principal_name",
    /// A mail address.
    Mail = "mail",
    /// HR's number of the person.
    EmployeeId = "employee_id",
    /// A name to show.
    DisplayName = "display_name",
    /// The first name, to show.
    FirstName = "first_name",
    /// The last name, to show.
    LastName = "last_name",
    /// Planned or immediate.
    Manner = "manner",
    /// From when on access must be gone.
    EffectiveAt = "effective_at",
    /// Who asked.
    RequestedBy = "requested_by",
    /// When it was asked.
    RequestedAt = "requested_at",
    /// Who takes over: a mail address or a directory id.
    Successor = "successor",
    /// Whether the mailbox is put on legal hold.
    LegalHold = "legal_hold",
    /// Whether the whole mailbox is kept in an archive.
    ArchiveMailbox = "archive_mailbox",
    /// What becomes of arriving mail.
    Forwarding = "forwarding",
    /// The automatic reply.
    AutomaticReply = "automatic_reply",
    /// What becomes of organised meetings.
    Meetings = "meetings",
    /// What becomes of the OneDrive.
    Onedrive = "onedrive",
    /// Whether company devices are wiped.
    WipeCompanyDevices = "wipe_company_devices",
    /// What several people sign in with and the person knew: names, between them
    /// semicolons, bars or line breaks.
    SharedCredentials = "shared_credentials",
}

/// How a date may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DateFormat {
    /// `2026-11-30`, with or without time and offset.
    Iso,
    /// `30.11.2026`, with or without time.
    DayDotMonth,
    /// `30/11/2026`, with or without time.
    DaySlashMonth,
    /// `11/30/2026`, with or without time.
    MonthSlashDay,
}

impl DateFormat {
    /// The format as the configuration names it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Iso => "iso",
            Self::DayDotMonth => "dd.mm.yyyy",
            Self::DaySlashMonth => "dd/mm/yyyy",
            Self::MonthSlashDay => "mm/dd/yyyy",
        }
    }
}

/// How a tenant's files are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntakeConfig {
    /// Further names of columns, by what they mean.
    pub columns: BTreeMap<Field, Vec<String>>,
    /// The ways a date may be written; never two that could be confused.
    pub date_formats: BTreeSet<DateFormat>,
    /// What stands between cells; none: found out.
    pub delimiter: Option<u8>,
}

impl Default for IntakeConfig {
    fn default() -> Self {
        Self {
            columns: BTreeMap::new(),
            date_formats: [DateFormat::Iso, DateFormat::DayDotMonth].into(),
            delimiter: None,
        }
    }
}

pub(super) fn read(mut section: Section<'_>) -> IntakeConfig {
    let mut config = IntakeConfig::default();
    let delimiters = [
        ("auto", None),
        ("comma", Some(b',')),
        ("semicolon", Some(b';')),
        ("tab", Some(b'\t')),
    ];
    if let Some(delimiter) = section.get("delimiter").and_then(|v| v.word(&delimiters)) {
        config.delimiter = delimiter;
    }
    if let Some(v) = section.get("date_formats") {
        let words = [
            DateFormat::Iso,
            DateFormat::DayDotMonth,
            DateFormat::DaySlashMonth,
            DateFormat::MonthSlashDay,
        ]
        .map(|f| (f.word(), f));
        let formats: BTreeSet<_> = v.list().iter().filter_map(|f| f.word(&words)).collect();
        if formats.contains(&DateFormat::DaySlashMonth) && formats.contains(&DateFormat::MonthSlashDay) {
            v.wrong("'dd/mm/yyyy' and 'mm/dd/yyyy' cannot both be accepted: 03/04/2026 would mean two days; keep one");
        } else if !formats.is_empty() {
            config.date_formats = formats;
        }
    }
    let mut columns = section.section("columns");
    for field in Field::ALL {
        let Some(value) = columns.get(field.word()) else {
            continue;
        };
        let names: Vec<String> = if value.is_text() {
            value.filled().into_iter().collect()
        } else {
            value.list().iter().filter_map(Value::filled).collect()
        };
        config.columns.insert(*field, names);
    }
    columns.done();
    section.done();
    config
}
