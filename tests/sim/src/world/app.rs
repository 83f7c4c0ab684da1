//! An application with accounts of its own, and every unkindness that one met in
//! the field: it is no part of a tenant's cloud, and knows its people by names.

use std::collections::BTreeMap;

/// One account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppUser {
    /// Its sign-in name.
    pub user_name: String,
    /// Its addresses.
    pub emails: Vec<String>,
    /// Its number elsewhere.
    pub external_id: Option<String>,
    /// Whether it may be used.
    pub active: bool,
    /// What is the application's own: lost by whoever writes back less than he read.
    pub plan: String,
    /// How often it was written.
    pub version: u64,
    /// When it was made.
    pub created_ms: i64,
}

impl AppUser {
    /// Somebody of this name who may use it.
    #[must_use]
    pub fn named(user_name: &str) -> Self {
        Self {
            user_name: user_name.to_owned(),
            emails: Vec::new(),
            external_id: None,
            active: true,
            plan: "gold".to_owned(),
            version: 1,
            created_ms: 1_700_000_000_000,
        }
    }
}

/// What an application makes of PATCH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patching {
    /// It takes both forms.
    Both,
    /// It takes only operations without a path.
    WithoutPath,
    /// It refuses with this status.
    Refused(u16),
}

/// How an application differs from the RFCs, and from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Habits {
    /// What it makes of PATCH.
    pub patch: Patching,
    /// Whether it takes PUT.
    pub put: bool,
    /// Whether it deletes.
    pub delete: bool,
    /// Whether it shows, and takes, `active`.
    pub active: bool,
    /// It writes `active` as a text, and takes it as one alone.
    pub text: bool,
    /// Writes are answered 204, without a body.
    pub silent: bool,
    /// Whether it gives versions, and insists on the right one where one is named.
    pub versions: bool,
    /// How long readings lag behind writes, in milliseconds.
    pub lag_ms: i64,
    /// It lists everybody, whatever the filter.
    pub ignores_filter: bool,
    /// It compares names with regard to case.
    pub cased: bool,
    /// The most that it lists at once.
    pub page_max: usize,
    /// It gives the same page again, whichever is asked for.
    pub ignores_start: bool,
    /// It says the size of the page as the total.
    pub total_of_page: bool,
    /// It leaves those out of listings who may not use it.
    pub hides_inactive: bool,
    /// It finds people by their addresses, and shows no addresses.
    pub hides_emails: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            patch: Patching::Both,
            put: true,
            delete: true,
            active: true,
            text: false,
            silent: false,
            versions: true,
            lag_ms: 0,
            ignores_filter: false,
            cased: false,
            page_max: 100,
            ignores_start: false,
            total_of_page: false,
            hides_inactive: false,
            hides_emails: false,
        }
    }
}

/// What the next requests meet in place of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppFault {
    /// The status.
    pub status: u16,
    /// When to come again, in seconds.
    pub retry_after_s: Option<u32>,
    /// Whether what was asked for happens all the same.
    pub happens: bool,
}

/// Accounts by id.
pub type AppUsers = BTreeMap<String, AppUser>;

/// An application.
#[derive(Debug)]
pub struct App {
    /// How it is.
    pub habits: Habits,
    /// The token that it accepts.
    pub token: String,
    /// Whether the token may write.
    pub may_write: bool,
    /// What the next requests meet, last first.
    pub faults: Vec<AppFault>,
    history: Vec<(i64, AppUsers)>,
    journal: Vec<String>,
}

impl App {
    /// An application with these people.
    #[must_use]
    pub fn new(habits: Habits, token: &str, users: AppUsers) -> Self {
        Self {
            habits,
            token: token.to_owned(),
            may_write: true,
            faults: Vec::new(),
            history: vec![(i64::MIN, users)],
            journal: Vec::new(),
        }
    }

    /// The accounts as they are.
    #[must_use]
    pub fn users(&self) -> &AppUsers {
        // There is a first state from the beginning.
        &self.history[self.history.len() - 1].1
    }

    /// The accounts as they are shown at that time.
    #[must_use]
    pub fn shown(&self, now_ms: i64) -> &AppUsers {
        let until = now_ms.saturating_sub(self.habits.lag_ms);
        let seen = self.history.iter().rev().find(|(since, _)| *since <= until);
        &seen.unwrap_or(&self.history[0]).1
    }

    /// Every effect, as verb and id.
    #[must_use]
    pub fn journal(&self) -> &[String] {
        &self.journal
    }

    /// A change, from wherever; what it does to whom is noted if it is a client's.
    pub fn change(&mut self, now_ms: i64, effect: Option<String>, how: impl FnOnce(&mut AppUsers)) {
        let mut users = self.users().clone();
        how(&mut users);
        self.history.push((now_ms, users));
        self.journal.extend(effect);
    }
}
