//! A service desk (PSA): the ticket by which the MSP's people follow a departure.

use crate::{Answer, Call};
use async_trait::async_trait;
use offboard_domain::ObjectId;

/// The desk's tickets of one client company. What belongs to another one is never
/// read as ours.
#[async_trait]
pub trait Desk: Send + Sync {
    /// The ticket that a request's own reference names; none if it names none.
    fn named_by(&self, reference: &str) -> Option<ObjectId>;

    /// Reads one ticket; none when it is gone or another client's, and it was made
    /// sure that whoever says so sees the client.
    async fn ticket(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Ticket>>;

    /// The client's tickets whose title has this marker, closed ones too, the
    /// oldest first. Such lists may lag behind what was opened.
    async fn marked(&self, call: &mut Call, marker: &str) -> Answer<Vec<Ticket>>;

    /// Opens a ticket. *Once*. None: it was opened, and the desk did not say
    /// under which id.
    async fn open(&self, call: &mut Call, new: &NewTicket) -> Answer<Option<ObjectId>>;

    /// Whether one of the ticket's notes has this marker.
    async fn noted(&self, call: &mut Call, id: &ObjectId, marker: &str) -> Answer<bool>;

    /// Adds a note that clients do not see. *Once*.
    async fn note(&self, call: &mut Call, id: &ObjectId, text: &str) -> Answer<()>;

    /// The files of the ticket.
    async fn files(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<TicketFile>>;

    /// Adds a file that clients do not see. *Once*.
    async fn attach(&self, call: &mut Call, id: &ObjectId, file: &NewFile) -> Answer<()>;

    /// Closes the ticket. Repeatable.
    async fn close(&self, call: &mut Call, id: &ObjectId) -> Answer<()>;
}

/// A ticket, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Its id.
    pub id: ObjectId,
    /// Whether it is closed, and takes nothing more.
    pub closed: bool,
}

/// A ticket to be opened. It names nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTicket {
    /// Its title, with the marker; at most [`TITLE_MAX_CHARS`].
    pub title: String,
    /// Its text, in lines.
    pub text: String,
    /// Whether it is urgent.
    pub urgent: bool,
}

/// The longest title that every desk takes.
pub const TITLE_MAX_CHARS: usize = 100;

/// A file of a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketFile {
    /// Its name.
    pub name: String,
    /// How large it is, if the desk says.
    pub size_bytes: Option<u64>,
}

/// A file to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: &'static str,
    /// What is in it.
    pub bytes: bytes::Bytes,
}

/// What stands between a marker's brackets. Brackets mean something else in the
/// searches of some desks, so that it is searched for by this, and then compared
/// whole.
#[must_use]
pub(crate) fn searched(marker: &str) -> &str {
    marker.trim_matches(['[', ']'])
}

/// The number in a reference that begins so, such as `HALO-4711`.
pub(crate) fn numbered(prefix: Option<&str>, reference: &str) -> Option<ObjectId> {
    let number = reference.trim().strip_prefix(prefix?)?;
    let fine = !number.is_empty() && number.len() <= NUMBER_MAX_CHARS && number.bytes().all(|b| b.is_ascii_digit());
    fine.then(|| ObjectId(number.to_owned()))
}

/// The digits of the largest number that a desk gives.
const NUMBER_MAX_CHARS: usize = 18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_names_a_ticket_only_by_its_prefix_and_a_number() {
        let named = |reference| numbered(Some("HALO-"), reference).map(|id| id.0);
        assert_eq!(named(" HALO-4711 ").as_deref(), Some("4711"));
        for other in ["4711", "HALO-", "HALO-47a", "HR-4711", "HALO-4711/../1", "halo-4711"] {
            assert_eq!(named(other), None, "{other}");
        }
        assert_eq!(numbered(None, "4711"), None);
    }

    #[test]
    fn brackets_are_not_searched_for() {
        assert_eq!(searched("[OB-c-00ff]"), "OB-c-00ff");
    }
}
