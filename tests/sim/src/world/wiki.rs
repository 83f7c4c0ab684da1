//! A wiki with one space in it, and every unkindness that one met in the field: a title
//! is there once, those in the archive and in the trash counted, a version that somebody
//! else has written is refused, lists lag behind, what is stored is not what was sent
//! letter by letter, and what the caller may not see is not found. It is no part of a
//! tenant's cloud.

use std::collections::{BTreeMap, BTreeSet};

use super::desk::DeskFault;

/// A file of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WikiFile {
    /// When it was last added.
    pub at_ms: i64,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// How often it was added.
    pub versions: u64,
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WikiPage {
    /// In which space.
    pub space: u64,
    /// Below which page.
    pub parent: u64,
    /// Its title.
    pub title: String,
    /// What is stored.
    pub body: String,
    /// The number of its version.
    pub version: u64,
    /// When it was added, in milliseconds since 1970.
    pub added_ms: i64,
    /// It was deleted, and can still be read by its id.
    pub trashed: bool,
    /// It was put into the archive.
    pub archived: bool,
    /// Its files, by their names.
    pub files: BTreeMap<String, WikiFile>,
}

/// Why it does not do what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WikiRefusal {
    /// There is none, or the caller does not see it.
    NotFound,
    /// The caller may only read.
    Forbidden,
    /// The title is another page's.
    Taken,
    /// Another version was written since.
    Conflict,
    /// The page above it is of another space, or it was put into the archive.
    Invalid,
    /// The file is too large.
    TooLarge,
}

/// The wiki.
#[derive(Debug, Clone)]
pub struct Wiki {
    /// How long lists lag behind, in milliseconds.
    pub lag_ms: i64,
    /// It does not say under which id a page was added.
    pub says_no_id: bool,
    /// The largest file that it takes, in bytes.
    pub file_max_bytes: usize,
    /// Who may ask it: an address and a token.
    pub caller: (String, String),
    /// Pages that the caller does not see.
    pub hidden: BTreeSet<u64>,
    /// The caller may only read.
    pub read_only: bool,
    /// The caller may not add files.
    pub no_files: bool,
    /// It is away: nothing is answered.
    pub away: bool,
    /// What the next requests meet, last first.
    pub faults: Vec<DeskFault>,
    /// What the next requests that write meet, last first.
    pub write_faults: Vec<DeskFault>,
    /// Requests, as method and path with their query, in order.
    pub asked: Vec<String>,
    pages: BTreeMap<u64, WikiPage>,
    journal: Vec<String>,
}

/// The one space.
pub const SPACE: u64 = 98_306;
/// The page below which others are added.
pub const PARENT: u64 = 3_146_055_681;

impl Default for Wiki {
    fn default() -> Self {
        let parent = WikiPage {
            space: SPACE,
            parent: 0,
            title: "Departures, canary".to_owned(),
            body: "<p>canary</p>".to_owned(),
            version: 1,
            added_ms: 0,
            trashed: false,
            archived: false,
            files: BTreeMap::new(),
        };
        Self {
            lag_ms: 0,
            says_no_id: false,
            file_max_bytes: 1_000_000,
            caller: ("caller@example.com".to_owned(), "s3cret-canary".to_owned()),
            hidden: BTreeSet::new(),
            read_only: false,
            no_files: false,
            away: false,
            faults: Vec::new(),
            write_faults: Vec::new(),
            asked: Vec::new(),
            pages: [(PARENT, parent)].into(),
            journal: Vec::new(),
        }
    }
}

/// What is stored of what was sent: the same, written differently.
fn stored(body: &str) -> String {
    body.replace("<h2>", "<h2 local-id=\"0a\">").replace("<p></p>", "<p />")
}

impl Wiki {
    /// Every page.
    #[must_use]
    pub fn pages(&self) -> &BTreeMap<u64, WikiPage> {
        &self.pages
    }

    /// One of them, to be changed by somebody else.
    pub fn edit(&mut self, id: u64) -> Option<&mut WikiPage> {
        self.pages.get_mut(&id)
    }

    /// Somebody else's page.
    pub fn put(&mut self, id: u64, page: WikiPage) {
        self.pages.insert(id, page);
    }

    /// Every effect, as verb and id.
    #[must_use]
    pub fn journal(&self) -> &[String] {
        &self.journal
    }

    /// A page that the caller sees.
    ///
    /// # Errors
    /// If there is none.
    pub fn page(&self, id: u64) -> Result<&WikiPage, WikiRefusal> {
        let seen = self.pages.get(&id).filter(|_| !self.hidden.contains(&id));
        seen.ok_or(WikiRefusal::NotFound)
    }

    /// The pages of this title that are listed at that time, the archived ones as well.
    #[must_use]
    pub fn titled(&self, now_ms: i64, space: u64, title: &str) -> Vec<(u64, &WikiPage)> {
        let listed = |id: u64, p: &WikiPage| {
            let since = now_ms.saturating_sub(self.lag_ms);
            !p.trashed && !self.hidden.contains(&id) && p.added_ms <= since
        };
        let all = self.pages.iter().map(|(id, page)| (*id, page));
        all.filter(|(id, p)| p.space == space && p.title == title && listed(*id, p))
            .collect()
    }

    fn may_write(&self) -> Result<(), WikiRefusal> {
        if self.read_only {
            return Err(WikiRefusal::Forbidden);
        }
        Ok(())
    }

    /// Adds a page.
    ///
    /// # Errors
    /// If its title is taken, or the page above it is not one of the space.
    pub fn add(&mut self, now_ms: i64, space: u64, parent: u64, title: &str, body: &str) -> Result<u64, WikiRefusal> {
        self.may_write()?;
        if self.page(parent)?.space != space {
            return Err(WikiRefusal::Invalid);
        }
        // Also by one that the caller does not see, or that is in the archive or the trash.
        let taken = |p: &WikiPage| p.space == space && p.title == title;
        if self.pages.values().any(taken) {
            return Err(WikiRefusal::Taken);
        }
        let id = self.pages.keys().max().copied().unwrap_or(PARENT) + 1;
        let page = WikiPage {
            space,
            parent,
            title: title.to_owned(),
            body: stored(body),
            version: 1,
            added_ms: now_ms,
            trashed: false,
            archived: false,
            files: BTreeMap::new(),
        };
        self.pages.insert(id, page);
        self.journal.push(format!("add {id}"));
        Ok(id)
    }

    /// Writes another version of a page.
    ///
    /// # Errors
    /// If it is not there, or the version is not the next one.
    pub fn rewrite(&mut self, id: u64, version: u64, title: &str, body: &str) -> Result<(), WikiRefusal> {
        self.may_write()?;
        let read = self.page(id)?;
        if read.version + 1 != version {
            return Err(WikiRefusal::Conflict);
        }
        if read.archived {
            return Err(WikiRefusal::Invalid);
        }
        if let Some(page) = self.pages.get_mut(&id) {
            if page.trashed {
                // It is restored, and nothing else of it is changed.
                page.trashed = false;
                self.journal.push(format!("restore {id}"));
                return Ok(());
            }
            page.version = version;
            page.title = title.to_owned();
            page.body = stored(body);
        }
        self.journal.push(format!("rewrite {id}"));
        Ok(())
    }

    /// Adds a file, or another version of one.
    ///
    /// # Errors
    /// If the page is not there, or the file is too large.
    pub fn attach(&mut self, now_ms: i64, id: u64, name: &str, bytes: Vec<u8>) -> Result<(), WikiRefusal> {
        self.may_write()?;
        let page = self.page(id)?;
        if page.trashed || page.archived {
            return Err(WikiRefusal::NotFound);
        }
        if self.no_files {
            return Err(WikiRefusal::Forbidden);
        }
        if bytes.len() > self.file_max_bytes {
            return Err(WikiRefusal::TooLarge);
        }
        if let Some(page) = self.pages.get_mut(&id) {
            let versions = page.files.get(name).map_or(0, |f| f.versions) + 1;
            let file = WikiFile {
                at_ms: now_ms,
                bytes,
                versions,
            };
            page.files.insert(name.to_owned(), file);
        }
        self.journal.push(format!("attach {id}"));
        Ok(())
    }
}
