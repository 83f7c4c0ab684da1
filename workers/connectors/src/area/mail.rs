//! What is in a mailbox, to be read: folders, messages, and each message's own
//! bytes. Nothing here writes to the mailbox, marks a message as seen, or
//! holds a message in memory.

use crate::{Answer, Call};
use async_trait::async_trait;
use offboard_domain::ObjectId;
use serde::Serialize;
use std::fmt;

/// Reads mailboxes whole.
#[async_trait]
pub trait MailReader: Send + Sync {
    /// Every folder that can hold mail, hidden ones too, in a stable order;
    /// `None` when the account has no mailbox.
    async fn folders(&self, call: &mut Call, owner: &MailOwner) -> Answer<Option<Vec<MailFolder>>>;

    /// A page of a folder's messages. `from` is what the page before said; a
    /// message may come twice when the folder changes meanwhile, and one may
    /// be passed over: who needs all of them lists again.
    async fn messages(
        &self,
        call: &mut Call,
        owner: &MailOwner,
        folder: &MailFolder,
        from: Option<&str>,
    ) -> Answer<MailPage>;

    /// Hands on the bytes of these messages, each exactly as the server has it.
    /// One that is gone meanwhile is left out, and so is one that the server says
    /// is not there although it listed it: who needs it lists again. On a fault the message that was
    /// begun last is incomplete.
    async fn fetch(
        &self,
        call: &mut Call,
        owner: &MailOwner,
        folder: &MailFolder,
        which: &[MailMessage],
        into: &mut dyn MailSink,
    ) -> Answer<()>;
}

/// Where messages go.
#[async_trait]
pub trait MailSink: Send {
    /// The message of this index begins.
    async fn begin(&mut self, index: usize) -> Answer<()>;
    /// More of it.
    async fn bytes(&mut self, bytes: &[u8]) -> Answer<()>;
    /// It is complete.
    async fn end(&mut self) -> Answer<()>;
}

/// Whose mailbox, as a vendor may know it.
#[derive(Clone, PartialEq, Eq)]
pub struct MailOwner {
    /// By the vendor's immutable id of the account.
    pub id: Option<ObjectId>,
    /// By the name that is signed in with, where there are no ids.
    pub login: Option<String>,
}

impl fmt::Debug for MailOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The name is a person's.
        f.debug_struct("MailOwner")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A folder as the server shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MailFolder {
    /// The server's id of it.
    pub id: String,
    /// What tells that its messages' ids begin anew; empty if nothing can.
    pub generation: String,
    /// Its name, from the root on.
    pub path: Vec<String>,
    /// How many messages it has.
    pub messages: u64,
    /// Their bytes, if the server counts what it sends.
    pub bytes: Option<u64>,
    /// The place that the next message gets in its order, if there is one.
    pub next: Option<u64>,
    /// The server's mark of the folder's whole state, if it has one: the same
    /// mark, the same content.
    pub state: Option<String>,
}

/// A message as the server lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MailMessage {
    /// The server's id of it, immutable within its folder's generation.
    pub id: String,
    /// Its place in the order of arrival; several may share one.
    pub place: u64,
    /// Flags, as the server names them.
    pub flags: Vec<String>,
    /// When the server got it, in milliseconds since 1970.
    pub received_ms: Option<i64>,
    /// How many bytes will come, if the server says exactly that.
    pub bytes: Option<u64>,
}

/// Some of a folder's messages.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct MailPage {
    /// In the server's order.
    pub messages: Vec<MailMessage>,
    /// From where to go on; none: that was all.
    pub next: Option<String>,
}
