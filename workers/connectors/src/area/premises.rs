//! What only a directory inside the client's network has: the place of an
//! account in it, what protects an account there, and the computers of the
//! domain. Accounts, passwords and groups themselves are the
//! [`Directory`](crate::Directory)'s.

use crate::{Answer, Call};
use async_trait::async_trait;
use offboard_domain::ObjectId;
use serde::Serialize;

/// A directory inside the client's network, which masters what a cloud copies.
#[async_trait]
pub trait Premises: Send + Sync {
    /// Reads how an account stands in its directory. Fault `Absent` when there
    /// is none of that id.
    async fn footing(&self, call: &mut Call, id: &ObjectId) -> Answer<Footing>;

    /// Hides the account from address lists. Repeatable. Fault `Unsupported`
    /// when the directory has no such property.
    async fn hide(&self, call: &mut Call, id: &ObjectId) -> Answer<()>;

    /// Moves the account to where those of people who have left are kept.
    /// Already there is success. Fault `Unsupported` when no such place is
    /// configured, `Blocked` when another object of its name is there.
    async fn move_to_leavers(&self, call: &mut Call, id: &ObjectId) -> Answer<()>;

    /// The computers that are said to be the account's own, in a stable order.
    async fn computers(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<Computer>>;

    /// Looks for the computer with this immutable id, as a cloud knows it; none when
    /// this directory has none, whatever another one has.
    async fn find_computer(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Computer>>;

    /// Reads one computer; none when it is gone.
    async fn computer(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Computer>>;

    /// The computer may no longer sign in to the domain. Repeatable. Fault
    /// `Blocked` for a domain controller and for a server.
    async fn disable_computer(&self, call: &mut Call, id: &ObjectId) -> Answer<()>;
}

/// How an account stands in its directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Footing {
    /// The id by which clouds know the account that they copy.
    pub security_id: String,
    /// Where it is, for who must bring it back.
    pub place: String,
    /// Why it must not be touched; none: it may be.
    pub protected: Option<Protection>,
    /// Whether it is hidden from address lists; none: the directory has no such
    /// property.
    pub hidden: Option<bool>,
    /// Whether it is where accounts of leavers are kept; none: there is no such
    /// place.
    pub among_leavers: Option<bool>,
}

/// Why an account must not be touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// It came with the domain: the built-in administrator, `krbtgt`.
    BuiltIn,
    /// It administers the domain, by a group that it is in.
    Administers,
    /// The directory protects it (`adminCount`): it administers, or did.
    Marked,
}

impl Protection {
    /// The reason as one word, for facts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::BuiltIn => "built_in",
            Self::Administers => "administers",
            Self::Marked => "marked",
        }
    }

    /// What a person is told.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::BuiltIn => "it is an account that came with the domain; it belongs to nobody and is never touched",
            Self::Administers => {
                "it is in a group that administers the domain; take it out of that group by hand, then retry"
            }
            Self::Marked => {
                "the directory protects it (adminCount is 1): it administers, or did; if it is in no such group any more, clear adminCount and let it inherit permissions again, then retry"
            }
        }
    }
}

/// One computer of the domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Computer {
    /// Its immutable id.
    pub id: ObjectId,
    /// Its name.
    pub name: Option<String>,
    /// Whether it may sign in to the domain.
    pub enabled: bool,
    /// Whether it serves others: a domain controller, another server, or an account
    /// that services run as.
    pub server: bool,
}
