//! Where the signed accounts of cases are kept in the evidence store: beside those of the same
//! tenant's cases that were opened in the same month, `acme/2026-11/c-…-277.dsse.json`, with the
//! page of the same name. Whoever is asked for a month's departures takes a folder, and a file
//! that was handed on still says which case it is of. A folder for each case would be one more
//! thing to make and to sync for each departure, and would say nothing more.

use offboard_domain::{CaseId, TenantId, Timestamp};

/// How the files of signed accounts end.
pub const ENVELOPE: &str = ".dsse.json";

/// How a month is written, `2026-11`, of a time in RFC 3339.
const MONTH_CHARS: usize = 7;

/// The accounts of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounts {
    folder: String,
    /// Where programs before this kept them.
    former: String,
    case: CaseId,
}

impl Accounts {
    /// Of the case that was opened then.
    #[must_use]
    pub fn of(tenant: &TenantId, case: CaseId, opened_at: Timestamp) -> Self {
        let opened = opened_at.to_string();
        let month = opened.get(..MONTH_CHARS).unwrap_or(&opened);
        Self {
            folder: format!("{tenant}/{month}"),
            former: format!("{tenant}/{case}"),
            case,
        }
    }

    /// The folders to look in.
    #[must_use]
    pub fn folders(&self) -> [&str; 2] {
        [&self.folder, &self.former]
    }

    /// Whether a file of those folders is a signed account of this case.
    #[must_use]
    pub fn are(&self, path: &str) -> bool {
        let (folder, file) = path.rsplit_once('/').unwrap_or_default();
        let its_own = || {
            let rest = file.strip_prefix(&self.case.to_string());
            rest.is_some_and(|rest| rest.starts_with('-'))
        };
        file.ends_with(ENVELOPE) && (folder == self.former || folder == self.folder && its_own())
    }

    /// The names of an account and of its page, at this version of the case or otherwise told
    /// apart.
    pub(crate) fn names(&self, stem: &str) -> (String, String) {
        let name = format!("{}/{}-{stem}", self.folder, self.case);
        (format!("{name}{ENVELOPE}"), format!("{name}.html"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_knows_its_own_accounts_in_its_month_and_where_they_were_before() {
        let tenant = TenantId::new("acme").expect("a name");
        let [one, other] = ["HR-1", "HR-2"].map(|reference| CaseId::derive(&tenant, reference));
        let opened = Timestamp(1_795_000_000_000);
        let accounts = Accounts::of(&tenant, one, opened);
        let (name, page) = accounts.names("277");
        assert_eq!(name, format!("acme/2026-11/{one}-277.dsse.json"));
        assert!(accounts.are(&name) && !accounts.are(&page));
        assert!(accounts.are(&format!("acme/{one}/evidence-277.dsse.json")));
        assert!(!accounts.are(&Accounts::of(&tenant, other, opened).names("277").0));
        assert!(!accounts.are(&format!("acme/2026-12/{one}-277.dsse.json")));
        assert!(!accounts.are(&format!("acme/2026-11/{one}.dsse.json")));
    }
}
