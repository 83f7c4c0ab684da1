//! A workspace whose accounts carry mail, files and phones with them, as Google's
//! does, and what makes it hard: most of it can be changed only while an account
//! is open, each order of a transfer is another one, and every reading may be of
//! a while ago.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What a mailbox does by itself, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkspaceMailbox {
    /// The text that it answers with, and whether to people of the company alone.
    pub reply: Option<(String, bool)>,
    /// Where everything goes, and what becomes of it here.
    pub forwards: Option<(String, String)>,
    /// The addresses that may be forwarded to, and whether they were confirmed.
    pub addresses: BTreeMap<String, bool>,
    /// Who is let in.
    pub delegates: BTreeSet<String>,
    /// Filters by id, and where each forwards to, if it does.
    pub filters: BTreeMap<String, Option<String>>,
}

/// One account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceUser {
    /// The company that it is of: there is only one that may be seen.
    pub customer: String,
    /// Its address.
    pub address: String,
    /// Its other addresses.
    pub aliases: Vec<String>,
    /// HR's number.
    pub number: Option<String>,
    /// The address of the manager.
    pub manager: Option<String>,
    /// Whether it may not be used.
    pub suspended: bool,
    /// Whether it administers everything.
    pub administrator: bool,
    /// Whether it administers something.
    pub administers_some: bool,
    /// Whether it has a second factor.
    pub second_factor: bool,
    /// Whether it must have one.
    pub enforced: bool,
    /// Whether it is in Advanced Protection.
    pub advanced_protection: bool,
    /// Whether it has a mailbox.
    pub has_mail: bool,
    /// How often its password was set, and its sessions ended.
    pub passwords: u32,
    /// How often its sessions were ended.
    pub sign_outs: u32,
    /// Applications that hold a token of it.
    pub grants: BTreeSet<String>,
    /// Passwords for applications.
    pub app_passwords: BTreeSet<u32>,
    /// Codes for the second factor.
    pub codes: BTreeSet<String>,
    /// Licences, by product and SKU; and whether it was given automatically.
    pub licences: BTreeMap<String, bool>,
    /// Its mailbox.
    pub mailbox: WorkspaceMailbox,
}

impl WorkspaceUser {
    /// Somebody of this address who may use it.
    #[must_use]
    pub fn of(customer: &str, address: &str) -> Self {
        Self {
            customer: customer.to_owned(),
            address: address.to_owned(),
            aliases: Vec::new(),
            number: None,
            manager: None,
            suspended: false,
            administrator: false,
            administers_some: false,
            second_factor: false,
            enforced: false,
            advanced_protection: false,
            has_mail: true,
            passwords: 0,
            sign_outs: 0,
            grants: BTreeSet::new(),
            app_passwords: BTreeSet::new(),
            codes: BTreeSet::new(),
            licences: BTreeMap::new(),
            mailbox: WorkspaceMailbox::default(),
        }
    }
}

/// What sort of group, for who may take people out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkspaceGroupSort {
    /// Anybody with the right to.
    Ordinary,
    /// Its rule alone.
    Dynamic,
    /// A super administrator alone.
    Security,
}

/// One transfer of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceTransfer {
    /// Whose the files were.
    pub from: String,
    /// Whose they become.
    pub to: String,
    /// Which files.
    pub levels: BTreeSet<String>,
    /// When it was asked for.
    pub requested_ms: i64,
    /// Whether it will fail.
    pub fails: bool,
}

/// One phone or tablet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspacePhone {
    /// The address of whose it is.
    pub owner: String,
    /// When it was told to wipe the account.
    pub told_ms: Option<i64>,
    /// How often it was told.
    pub told: u32,
    /// Whether all of it was wiped: nobody may ask for that.
    pub wiped_whole: bool,
}

/// One laptop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceLaptop {
    /// Whom an administrator noted as its user.
    pub noted: String,
    /// Who signed in on it lately.
    pub recent: String,
    /// How it stands.
    pub status: String,
}

/// One who is let into a shared drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceDriveMember {
    /// His address, or a group's.
    pub address: String,
    /// Whether it is a group.
    pub group: bool,
    /// What he may do there.
    pub role: String,
    /// Whether his account has been deleted.
    pub deleted: bool,
}

/// Everything that there is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkspaceRows {
    /// Accounts by id.
    pub users: BTreeMap<String, WorkspaceUser>,
    /// Addresses of accounts that were deleted, by their ids, and when that was.
    pub deleted: BTreeMap<String, (String, i64)>,
    /// Groups by id, with their members' ids.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Those that are not ordinary.
    pub sorts: BTreeMap<String, WorkspaceGroupSort>,
    /// Transfers by id.
    pub transfers: BTreeMap<String, WorkspaceTransfer>,
    /// Phones by id.
    pub phones: BTreeMap<String, WorkspacePhone>,
    /// Laptops by id.
    pub laptops: BTreeMap<String, WorkspaceLaptop>,
    /// Shared drives by id, with who is let in, by the permission's id.
    pub drives: BTreeMap<String, BTreeMap<String, WorkspaceDriveMember>>,
}

impl WorkspaceRows {
    /// Deletes an account: it is found no more, and listed as deleted for a while.
    pub fn delete_user(&mut self, id: &str, now_ms: i64) {
        if let Some(user) = self.users.remove(id) {
            self.deleted.insert(id.to_owned(), (user.address, now_ms));
        }
    }

    /// The groups that somebody is in.
    #[must_use]
    pub fn groups_of(&self, id: &str) -> Vec<&str> {
        let his = self
            .groups
            .iter()
            .filter(|(_, members)| members.iter().any(|m| m == id));
        his.map(|(group, _)| group.as_str()).collect()
    }
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkspaceHabits {
    /// How long readings lag behind writes, in milliseconds.
    pub lag_ms: i64,
    /// The most that is listed at once.
    pub page_max: usize,
    /// It gives the same cursor again and again.
    pub circles: bool,
    /// A search lists everybody, whatever is searched for.
    pub loose_search: bool,
    /// Ids are written as numbers.
    pub numbers: bool,
    /// How long a token lives, in seconds.
    pub token_s: i64,
    /// How long a transfer takes, in milliseconds.
    pub transfer_ms: i64,
    /// Whether the next transfers fail.
    pub transfers_fail: bool,
    /// How long a phone takes to do what it was told, in milliseconds.
    pub phone_ms: i64,
    /// Whether addresses that are forwarded to must be confirmed.
    pub confirms_addresses: bool,
}

impl Default for WorkspaceHabits {
    fn default() -> Self {
        Self {
            lag_ms: 0,
            page_max: 2,
            circles: false,
            loose_search: false,
            numbers: false,
            token_s: 3_600,
            transfer_ms: 30 * 60_000,
            transfers_fail: false,
            phone_ms: 20 * 60_000,
            confirms_addresses: false,
        }
    }
}

/// What the next requests meet in place of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceFault {
    /// Of which requests: those with this in method and path.
    pub of: String,
    /// The status; none: the connection is cut.
    pub status: Option<u16>,
    /// Google's word for it.
    pub reason: String,
    /// When to come again, in seconds.
    pub retry_after_s: Option<u32>,
    /// Whether what was asked for happens all the same.
    pub happens: bool,
}

/// Who may ask, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceAccess {
    /// The service account.
    pub issuer: String,
    /// Its public key (PKCS #1, DER).
    pub public_key: Vec<u8>,
    /// The scopes that are delegated to it.
    pub scopes: BTreeSet<String>,
    /// Interfaces that are turned off in its project, by the beginning of a path.
    pub turned_off: BTreeSet<String>,
    /// What the administrator's role does not allow, by what is in method and path.
    pub forbidden: BTreeSet<String>,
}

/// What somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceRequest {
    /// The method.
    pub method: String,
    /// The path, still percent-encoded.
    pub path: String,
    /// The parameters.
    pub query: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

/// What was answered to what was not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceAnswer {
    /// The method of the request.
    pub method: String,
    /// Its path, still percent-encoded.
    pub path: String,
    /// The body of the answer; null where there is none.
    pub body: Value,
}

/// A token that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceToken {
    /// For whom.
    pub subject: String,
    /// For what.
    pub scope: String,
    /// Until when.
    pub until_ms: i64,
}

/// A workspace.
#[derive(Debug)]
pub struct Workspace {
    /// How it is.
    pub habits: WorkspaceHabits,
    /// The company that may be seen.
    pub customer: String,
    /// Who may ask.
    pub access: WorkspaceAccess,
    /// What the next requests meet, last first.
    pub faults: Vec<WorkspaceFault>,
    /// Tokens that were given, by their text.
    pub tokens: BTreeMap<String, WorkspaceToken>,
    /// How many tokens were ever asked for.
    pub token_requests: u32,
    /// Everything else that was asked for, in order.
    pub asked: Vec<WorkspaceRequest>,
    /// What was answered, in order.
    pub answered: Vec<WorkspaceAnswer>,
    history: Vec<(i64, WorkspaceRows)>,
    journal: Vec<String>,
}

impl Workspace {
    /// A workspace with these in it.
    #[must_use]
    pub fn new(habits: WorkspaceHabits, customer: &str, access: WorkspaceAccess, rows: WorkspaceRows) -> Self {
        Self {
            habits,
            customer: customer.to_owned(),
            access,
            faults: Vec::new(),
            tokens: BTreeMap::new(),
            token_requests: 0,
            asked: Vec::new(),
            answered: Vec::new(),
            history: vec![(i64::MIN, rows)],
            journal: Vec::new(),
        }
    }

    /// Everything as it is.
    #[must_use]
    pub fn rows(&self) -> &WorkspaceRows {
        // There is a first state from the beginning.
        &self.history[self.history.len() - 1].1
    }

    /// Everything as it is shown at that time.
    #[must_use]
    pub fn shown(&self, now_ms: i64) -> &WorkspaceRows {
        let until = now_ms.saturating_sub(self.habits.lag_ms);
        let seen = self.history.iter().rev().find(|(since, _)| *since <= until);
        &seen.unwrap_or(&self.history[0]).1
    }

    /// Every effect of a client's, as verb and ids.
    #[must_use]
    pub fn journal(&self) -> &[String] {
        &self.journal
    }

    /// A change, from wherever; what it does to whom is noted if it is a client's.
    pub fn change(&mut self, now_ms: i64, effect: Option<String>, how: impl FnOnce(&mut WorkspaceRows)) {
        let mut rows = self.rows().clone();
        how(&mut rows);
        self.history.push((now_ms, rows));
        self.journal.extend(effect);
    }
}
