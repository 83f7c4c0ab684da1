//! Whether the name of somebody who signed in on a device may be the person's.
//!
//! Windows writes `DOMAIN\account`, a computer that is joined to the cloud alone
//! writes `AzureAD\Name` with or without blanks, others write an address. None
//! of these is an identity: two people may have one account name in two
//! domains, and one name. So a match makes a candidate, and a person confirms.

/// In which form a name was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// As an address of his.
    Address,
    /// As the account name of a domain or a computer.
    Account,
    /// As the name that he is shown by.
    Shown,
}

impl Form {
    /// The word in facts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Account => "account",
            Self::Shown => "shown_name",
        }
    }
}

/// Accounts that every computer has: nobody's.
const EVERYWHERE: &[&str] = &[
    "administrator",
    "admin",
    "root",
    "guest",
    "user",
    "owner",
    "system",
    "localsystem",
    "networkservice",
    "localservice",
    "defaultaccount",
    "wdagutilityaccount",
    "support",
    "it",
    "test",
];

/// Authorities whose accounts are a computer's own.
const OF_THE_COMPUTER: &[&str] = &[
    "nt authority",
    "nt service",
    "window manager",
    "font driver host",
    "iis apppool",
];

/// What a joined computer writes in place of a domain.
const CLOUD: &str = "azuread";

/// Whether this name of somebody who signed in may be his; the strongest form.
/// `names` are his sign-in names and addresses, `shown` what he is called.
#[must_use]
pub fn may_be_his(signed_in: &str, names: &[String], shown: Option<&str>) -> Option<Form> {
    let (domain, account) = match signed_in.trim().split_once('\\') {
        Some((domain, account)) => (Some(domain.trim().to_lowercase()), account.trim().to_lowercase()),
        None => (None, signed_in.trim().to_lowercase()),
    };
    if account.is_empty() || domain.as_deref().is_some_and(|d| OF_THE_COMPUTER.contains(&d)) {
        return None;
    }
    let names: Vec<String> = names
        .iter()
        .map(|n| n.trim().to_lowercase())
        .filter(|n| !n.is_empty())
        .collect();
    if account.contains('@') && names.contains(&account) {
        return Some(Form::Address);
    }
    let local = |name: &String| name.split('@').next().unwrap_or_default() == account;
    if !account.contains('@') && !EVERYWHERE.contains(&account.as_str()) && names.iter().any(local) {
        return Some(Form::Account);
    }
    let bare = |text: &str| {
        text.to_lowercase()
            .chars()
            .filter(|c| !c.is_whitespace())
            .collect::<String>()
    };
    let is_shown = shown
        .map(bare)
        .is_some_and(|shown| !shown.is_empty() && shown == bare(&account));
    (is_shown && domain.as_deref().is_none_or(|d| d == CLOUD)).then_some(Form::Shown)
}
