//! Which column means what. A tenant's own names go before the common ones;
//! where two columns would mean the same, nothing is guessed.

use offboard_runtime::config::{Field, IntakeConfig};
use std::collections::BTreeMap;

/// Common names of columns in English and German exports, in the form that
/// [`fold`] gives them. The fields' own words are known beside them.
const COMMON: &[(Field, &[&str])] = &[
    (
        Field::Tenant,
        &[
            "client",
            "company",
            "mandant",
            "firma",
            "kunde",
            "unternehmen",
            "tenanthandle",
        ],
    ),
    (
        Field::Reference,
        &[
            "ref",
            "case",
            "caseid",
            "caseno",
            "casenumber",
            "ticket",
            "ticketid",
            "vorgang",
            "vorgangsnummer",
            "vorgangsnr",
            "referenz",
            "aktenzeichen",
        ],
    ),
    (
        Field::ObjectId,
        &[
            "entraid",
            "entraobjectid",
            "azureadid",
            "azureadobjectid",
            "userid",
            "objektid",
        ],
    ),
    (
        Field::UserPrincipalName,
        &[
            "upn",
            "username",
            "login",
            "loginname",
            "signinname",
            "benutzername",
            "anmeldename",
            "benutzerkonto",
        ],
    ),
    (
        Field::Mail,
        &[
            "email",
            "emailaddress",
            "mailaddress",
            "workemail",
            "emailadresse",
            "mailadresse",
            "dienstlicheemail",
            "geschaeftlicheemail",
        ],
    ),
    (
        Field::EmployeeId,
        &[
            "employeeno",
            "employeenumber",
            "personnelno",
            "staffid",
            "staffnumber",
            "personnelnumber",
            "personalnummer",
            "personalnr",
            "persnr",
            "mitarbeiternummer",
            "mitarbeiternr",
            "mitarbeiterid",
        ],
    ),
    (
        Field::DisplayName,
        &[
            "name",
            "fullname",
            "employeename",
            "mitarbeiter",
            "mitarbeitername",
            "anzeigename",
            "vollername",
        ],
    ),
    (Field::FirstName, &["givenname", "forename", "vorname", "rufname"]),
    (Field::LastName, &["surname", "familyname", "nachname", "familienname"]),
    (
        Field::Manner,
        &[
            "leavetype",
            "terminationtype",
            "urgency",
            "austrittsart",
            "kuendigungsart",
            "dringlichkeit",
        ],
    ),
    (
        Field::EffectiveAt,
        &[
            "effectivedate",
            "effective",
            "lastday",
            "lastworkingday",
            "leavedate",
            "leavingdate",
            "enddate",
            "exitdate",
            "terminationdate",
            "departuredate",
            "austritt",
            "austrittsdatum",
            "austrittam",
            "letztertag",
            "letzterarbeitstag",
            "enddatum",
            "ausscheidenam",
        ],
    ),
    (
        Field::RequestedBy,
        &[
            "requester",
            "requestor",
            "submittedby",
            "beantragtvon",
            "antragsteller",
            "gemeldetvon",
            "sachbearbeiter",
        ],
    ),
    (
        Field::RequestedAt,
        &[
            "requestdate",
            "requestedon",
            "submittedat",
            "beantragtam",
            "gemeldetam",
            "antragsdatum",
        ],
    ),
    (
        Field::Successor,
        &[
            "successormail",
            "successoremail",
            "delegate",
            "handoverto",
            "nachfolger",
            "nachfolge",
            "vertretung",
            "uebergabean",
        ],
    ),
    (
        Field::LegalHold,
        &["litigationhold", "hold", "aufbewahrung", "rechtssicherung"],
    ),
    (
        Field::ArchiveMailbox,
        &["mailboxarchive", "archivemail", "postfacharchivieren", "mailarchiv"],
    ),
    (
        Field::Forwarding,
        &["forward", "mailforwarding", "weiterleitung", "mailweiterleitung"],
    ),
    (
        Field::AutomaticReply,
        &[
            "autoreply",
            "outofoffice",
            "ooo",
            "abwesenheitsnotiz",
            "automatischeantwort",
        ],
    ),
    (Field::Meetings, &["meeting", "termine", "besprechungen"]),
    (Field::WipeCompanyDevices, &["wipe", "wipedevices", "geraeteloeschen"]),
    (
        Field::SharedCredentials,
        &[
            "sharedpasswords",
            "sharedlogins",
            "geteiltekennwoerter",
            "gemeinsamekennwoerter",
            "gemeinsamezugaenge",
        ],
    ),
];

/// A column's name without what does not matter: case, spaces and signs, and
/// the ways to write an umlaut (also as the letter and a combining mark).
pub(super) fn fold(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars().flat_map(char::to_lowercase) {
        match c {
            'ä' => out.push_str("ae"),
            'ö' => out.push_str("oe"),
            'ü' => out.push_str("ue"),
            'ß' => out.push_str("ss"),
            '\u{308}' if out.ends_with(['a', 'o', 'u']) => out.push('e'),
            _ if c.is_alphanumeric() => out.push(c),
            _ => {}
        }
    }
    out
}

/// The columns of a file, for one tenant.
pub(super) struct Columns {
    places: BTreeMap<Field, usize>,
    /// Columns that mean nothing here.
    pub(super) unknown: Vec<usize>,
}

impl Columns {
    /// Where a field's column is.
    pub(super) fn place(&self, field: Field) -> Option<usize> {
        self.places.get(&field).copied()
    }

    /// How many columns mean something.
    pub(super) fn known(&self) -> usize {
        self.places.len()
    }

    /// What is missing before any row can be read.
    pub(super) fn missing(&self) -> Option<&'static str> {
        let person = [
            Field::ObjectId,
            Field::UserPrincipalName,
            Field::Mail,
            Field::EmployeeId,
        ];
        if !person.iter().any(|f| self.places.contains_key(f)) {
            return Some("a column that names the person: mail, user_principal_name, employee_id or object_id");
        }
        let when = [Field::EffectiveAt, Field::Manner];
        if !when.iter().any(|f| self.places.contains_key(f)) {
            return Some("a column with the last day: effective_at");
        }
        None
    }
}

/// The field that a tenant's configuration gives a column's name.
fn configured(name: &str, config: &IntakeConfig) -> Option<Field> {
    let fits = |names: &Vec<String>| names.iter().any(|n| fold(n) == name);
    config
        .columns
        .iter()
        .find(|(_, names)| fits(names))
        .map(|(field, _)| *field)
}

fn common(name: &str) -> Option<Field> {
    let own = Field::ALL.iter().copied().find(|f| fold(f.word()) == name);
    own.or_else(|| {
        COMMON
            .iter()
            .find(|(_, names)| names.contains(&name))
            .map(|(field, _)| *field)
    })
}

fn shown_only(field: Field) -> bool {
    matches!(field, Field::DisplayName | Field::FirstName | Field::LastName)
}

/// Finds out what each column means.
pub(super) fn resolve(header: &[String], config: Option<&IntakeConfig>) -> Result<Columns, String> {
    let mut places: BTreeMap<Field, (usize, bool)> = BTreeMap::new();
    let mut unknown = Vec::new();
    for (i, title) in header.iter().enumerate() {
        let name = fold(title);
        let own = config.and_then(|c| configured(&name, c));
        let Some(field) = own.or_else(|| common(&name)) else {
            unknown.push(i);
            continue;
        };
        match places.get(&field) {
            // Names are only shown: the first of several will do.
            Some(_) if shown_only(field) => unknown.push(i),
            Some((first, by_config)) if *by_config == own.is_some() => {
                return Err(format!(
                    "the columns '{}' and '{}' both mean {}; name the right one in the tenant's [intake.columns], or remove one",
                    super::shown(&header[*first]),
                    super::shown(title),
                    field.word()
                ));
            }
            // The tenant's own name wins; the common one is then just another column.
            Some((_, true)) => unknown.push(i),
            Some((first, false)) => {
                unknown.push(*first);
                places.insert(field, (i, true));
            }
            None => {
                places.insert(field, (i, own.is_some()));
            }
        }
    }
    unknown.sort_unstable();
    let places = places.into_iter().map(|(field, (i, _))| (field, i)).collect();
    Ok(Columns { places, unknown })
}

/// Where the tenant's column is, when no tenant is known yet: by its common
/// names, or by any tenant's own.
pub(super) fn tenant_place<'c>(
    header: &[String],
    mut configs: impl Iterator<Item = &'c IntakeConfig>,
) -> Option<usize> {
    let names: Vec<String> = header.iter().map(|t| fold(t)).collect();
    let by_common = names.iter().position(|n| common(n) == Some(Field::Tenant));
    by_common.or_else(|| configs.find_map(|c| names.iter().position(|n| configured(n, c) == Some(Field::Tenant))))
}
