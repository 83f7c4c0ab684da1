//! Accounts that an application keeps of its own: found by the person's names,
//! then addressed by the application's own id.

use crate::{Answer, Call};
use async_trait::async_trait;
use offboard_domain::ObjectId;
use serde::Serialize;
use serde_json::Value;

/// An application with accounts of its own.
#[async_trait]
pub trait Apps: Send + Sync {
    /// How it ends somebody's access.
    fn ending(&self) -> Ending;

    /// Every account that any of the person's names leads to, each once, in the
    /// order of their ids. Finds also those that are deactivated, where the
    /// application shows them.
    async fn find(&self, call: &mut Call, who: &Known) -> Answer<Matches>;

    /// Reads one account; none when there is none of that id.
    async fn account(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<AppAccount>>;

    /// The account may no longer be used. Repeatable. Nothing else of it changes.
    /// Fault `Unsupported` when the application cannot do this in the configured
    /// way, `Transient` when the account was changed since it was read.
    async fn deactivate(&self, call: &mut Call, account: &AppAccount) -> Answer<()>;

    /// Deletes the account. Already gone is success.
    async fn delete(&self, call: &mut Call, id: &ObjectId) -> Answer<()>;
}

/// How an application ends somebody's access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The account is deactivated, and can be activated again.
    Deactivate,
    /// The account is deleted.
    Delete,
}

/// What is known of a person by which an application may know him too.
#[derive(Clone, Default)]
pub struct Known {
    /// Sign-in names and addresses.
    pub names: Vec<String>,
    /// His account's id in the directory.
    pub directory_id: Option<String>,
    /// HR's number.
    pub employee_id: Option<String>,
}

/// The accounts that names lead to.
#[derive(Debug, Clone, Default)]
pub struct Matches {
    /// The accounts.
    pub accounts: Vec<AppAccount>,
    /// Whether everything was known by which this application is searched. If
    /// not, that nobody was found proves nothing.
    pub complete: bool,
}

/// One account as it was read.
#[derive(Clone)]
pub struct AppAccount {
    /// The application's id for it.
    pub id: ObjectId,
    /// Its sign-in name, for comparisons; never used as a key.
    pub user_name: Option<String>,
    /// Its addresses.
    pub emails: Vec<String>,
    /// Its number elsewhere.
    pub external_id: Option<String>,
    /// Whether it may be used; none: the application does not say.
    pub active: Option<bool>,
    /// When it was made, in the application's own spelling.
    pub created: Option<String>,
    /// Which version of it was read, as the application names it.
    pub version: Option<String>,
    /// All of it, for who must bring it back, and for writing it back whole.
    pub whole: Value,
}

impl AppAccount {
    /// Whether it was read that it may not be used. What was not read is not proven.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.active == Some(false)
    }
}

impl Serialize for AppAccount {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.whole.serialize(s)
    }
}

// They name a person.
impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for AppAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppAccount")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
