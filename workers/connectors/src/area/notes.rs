//! A wiki: the page that tells what a leaver handed over.

use crate::area::desk::NewFile;
use crate::{Answer, Call};
use async_trait::async_trait;
use offboard_domain::ObjectId;

/// Pages below the one that a tenant's file names, in one space.
#[async_trait]
pub trait Notes: Send + Sync {
    /// The space's page of exactly this title; none when there is none, and it was made
    /// sure that whoever says so sees the page that it would be below. Such lists may lag
    /// behind what was written.
    async fn titled(&self, call: &mut Call, title: &str) -> Answer<Option<NotesPage>>;

    /// Reads one page, also one that was put aside; none when it is gone.
    async fn page(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<NotesPage>>;

    /// Adds a page. A space has each title once, so that a second one is refused. None:
    /// it was added, and the wiki did not say under which id.
    async fn add(&self, call: &mut Call, title: &str, body: &str) -> Answer<Option<ObjectId>>;

    /// Rewrites a page, as the version after the one that was read: if another was
    /// written since, it is refused.
    async fn rewrite(&self, call: &mut Call, page: &NotesPage, body: &str) -> Answer<()>;

    /// Whether the page has a file of this name and size.
    async fn has_file(&self, call: &mut Call, page: &ObjectId, name: &str, size_bytes: u64) -> Answer<bool>;

    /// Adds a file to a page; one of the same name becomes its earlier version.
    async fn attach(&self, call: &mut Call, page: &ObjectId, file: &NewFile) -> Answer<()>;
}

/// Where a page stands. The title of one that was put aside may stay taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NotesStatus {
    /// People read it.
    #[default]
    Current,
    /// Somebody has put it into the archive.
    Archived,
    /// Somebody has deleted it, and it can still be restored.
    Trashed,
}

impl NotesStatus {
    /// The word for it in facts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Archived => "archived",
            Self::Trashed => "trashed",
        }
    }
}

/// A page, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotesPage {
    /// Its id.
    pub id: ObjectId,
    /// Its title: people may have changed it.
    pub title: String,
    /// The number of its version.
    pub version: u64,
    /// What is on it, as it is stored; of one that was put aside that may not be shown.
    pub body: String,
    /// Where it stands.
    pub status: NotesStatus,
}
