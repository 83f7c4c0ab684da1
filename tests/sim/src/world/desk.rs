//! A service desk with the tickets of several client companies in it, whoever its
//! maker is, and every unkindness that one met in the field: what is written twice
//! is there twice, lists lag behind, a closed ticket takes nothing more. It is no
//! part of a tenant's cloud.

use std::collections::{BTreeMap, BTreeSet};

/// One ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Which client company's.
    pub client: u64,
    /// Its title.
    pub title: String,
    /// Its text.
    pub text: String,
    /// Its status.
    pub status: u64,
    /// Its priority, if one was given.
    pub priority: Option<u64>,
    /// When it was opened, in milliseconds since 1970.
    pub opened_ms: i64,
    /// Its notes, each with when it was added.
    pub notes: Vec<(i64, String)>,
    /// Its files, each with when it was added.
    pub files: Vec<(i64, File)>,
}

/// A file of a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// How it differs from what its description says, and what it does slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeskHabits {
    /// How long searches and lists lag behind, in milliseconds.
    pub lag_ms: i64,
    /// The most that it lists at once.
    pub page_max: usize,
    /// It searches nothing, and lists every ticket.
    pub ignores_the_search: bool,
    /// It writes numbers as texts.
    pub numbers_as_text: bool,
    /// It does not say under which id a ticket was opened.
    pub says_no_id: bool,
    /// It does not say how many notes and files there are, and lists no more of them than
    /// fit a page.
    pub says_no_count: bool,
    /// The largest file that it takes, in bytes.
    pub file_max_bytes: usize,
    /// It keeps only so much of a file.
    pub cuts_files_at: Option<usize>,
}

impl Default for DeskHabits {
    fn default() -> Self {
        Self {
            lag_ms: 0,
            page_max: 50,
            ignores_the_search: false,
            numbers_as_text: false,
            says_no_id: false,
            says_no_count: false,
            file_max_bytes: 6_000_000,
            cuts_files_at: None,
        }
    }
}

/// What a request meets in place of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeskFault {
    /// A status, when to come again in seconds, and whether it was done all the same.
    Status(u16, Option<u32>, bool),
    /// The connection is cut; whether it was done.
    Cut(bool),
}

/// Why it does not do what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeskRefusal {
    /// There is no such ticket.
    Gone,
    /// It is closed.
    Closed,
    /// The file is too large.
    TooLarge,
    /// A number is none of its own.
    NoSuchNumber,
}

/// The desk.
#[derive(Debug, Clone)]
pub struct Desk {
    /// Its habits.
    pub habits: DeskHabits,
    /// Who may ask it: a name and a secret.
    pub caller: (String, String),
    /// Client companies that the caller sees.
    pub clients: BTreeSet<u64>,
    /// Types of tickets, or boards, or queues.
    pub types: BTreeSet<u64>,
    /// Statuses, and whether each closes.
    pub statuses: BTreeMap<u64, bool>,
    /// Kinds of notes.
    pub note_types: BTreeSet<u64>,
    /// The caller may only read.
    pub read_only: bool,
    /// It is away: nothing is answered.
    pub away: bool,
    /// What the next requests meet, last first.
    pub faults: Vec<DeskFault>,
    /// What the next requests that write meet, last first.
    pub write_faults: Vec<DeskFault>,
    /// Requests, as method and path with their query, in order.
    pub asked: Vec<String>,
    tickets: BTreeMap<u64, Ticket>,
    tokens: BTreeSet<String>,
    journal: Vec<String>,
}

/// The status of a new ticket.
pub const NEW: u64 = 1;

impl Desk {
    /// A desk of these clients, with one type, one kind of note, and the statuses 1
    /// (new) and 9 (closed).
    #[must_use]
    pub fn new(habits: DeskHabits, clients: impl IntoIterator<Item = u64>) -> Self {
        Self {
            habits,
            caller: ("caller".to_owned(), "s3cret-canary".to_owned()),
            clients: clients.into_iter().collect(),
            types: [21].into(),
            statuses: [(NEW, false), (9, true)].into(),
            note_types: [7].into(),
            read_only: false,
            away: false,
            faults: Vec::new(),
            write_faults: Vec::new(),
            asked: Vec::new(),
            tickets: BTreeMap::new(),
            tokens: BTreeSet::new(),
            journal: Vec::new(),
        }
    }

    /// Gives out a token.
    pub fn give(&mut self) -> String {
        let token = format!("tok-canary-{}", self.tokens.len() + 1);
        self.tokens.insert(token.clone());
        token
    }

    /// Whether it gave this token out.
    #[must_use]
    pub fn gave(&self, token: &str) -> bool {
        self.tokens.contains(token)
    }

    /// Every ticket.
    #[must_use]
    pub fn tickets(&self) -> &BTreeMap<u64, Ticket> {
        &self.tickets
    }

    /// One of them, to be changed by somebody else.
    pub fn edit(&mut self, id: u64) -> Option<&mut Ticket> {
        self.tickets.get_mut(&id)
    }

    /// Somebody else's ticket.
    pub fn put(&mut self, id: u64, ticket: Ticket) {
        self.tickets.insert(id, ticket);
    }

    /// Every effect, as verb and id.
    #[must_use]
    pub fn journal(&self) -> &[String] {
        &self.journal
    }

    /// Whether a ticket is closed.
    #[must_use]
    pub fn is_closed(&self, ticket: &Ticket) -> bool {
        self.statuses.get(&ticket.status).copied().unwrap_or(false)
    }

    /// Opens a ticket.
    ///
    /// # Errors
    /// If it is of a client or a type that there is not.
    pub fn open(&mut self, now_ms: i64, of_type: u64, ticket: Ticket) -> Result<u64, DeskRefusal> {
        if !self.clients.contains(&ticket.client) || !self.types.contains(&of_type) {
            return Err(DeskRefusal::NoSuchNumber);
        }
        let id = self.tickets.keys().max().copied().unwrap_or(1_000) + 1;
        let opened_ms = now_ms;
        self.tickets.insert(id, Ticket { opened_ms, ..ticket });
        self.journal.push(format!("open {id}"));
        Ok(id)
    }

    fn takes_more(&mut self, id: u64) -> Result<&mut Ticket, DeskRefusal> {
        let ticket = self.tickets.get(&id).ok_or(DeskRefusal::Gone)?;
        if self.is_closed(ticket) {
            return Err(DeskRefusal::Closed);
        }
        self.tickets.get_mut(&id).ok_or(DeskRefusal::Gone)
    }

    /// Adds a note.
    ///
    /// # Errors
    /// If the ticket is not there or closed, or there is no such kind of note.
    pub fn note(&mut self, now_ms: i64, id: u64, note_type: u64, text: &str) -> Result<(), DeskRefusal> {
        if !self.note_types.contains(&note_type) {
            return Err(DeskRefusal::NoSuchNumber);
        }
        self.takes_more(id)?.notes.push((now_ms, text.to_owned()));
        self.journal.push(format!("note {id}"));
        Ok(())
    }

    /// Adds a file.
    ///
    /// # Errors
    /// If the ticket is not there or closed, or the file is too large.
    pub fn attach(&mut self, now_ms: i64, id: u64, mut file: File) -> Result<(), DeskRefusal> {
        if file.bytes.len() > self.habits.file_max_bytes {
            return Err(DeskRefusal::TooLarge);
        }
        if let Some(at) = self.habits.cuts_files_at {
            file.bytes.truncate(at);
        }
        self.takes_more(id)?.files.push((now_ms, file));
        self.journal.push(format!("attach {id}"));
        Ok(())
    }

    /// Gives a ticket a status.
    ///
    /// # Errors
    /// If the ticket or the status is not there.
    pub fn set_status(&mut self, id: u64, status: u64) -> Result<(), DeskRefusal> {
        if !self.statuses.contains_key(&status) {
            return Err(DeskRefusal::NoSuchNumber);
        }
        self.tickets.get_mut(&id).ok_or(DeskRefusal::Gone)?.status = status;
        self.journal.push(format!("status {id}"));
        Ok(())
    }

    fn shows(&self, since_ms: i64, now_ms: i64) -> bool {
        since_ms <= now_ms.saturating_sub(self.habits.lag_ms)
    }

    /// The tickets that a search for this in the title finds at that time, the
    /// newest first.
    #[must_use]
    pub fn search(&self, now_ms: i64, client: Option<u64>, words: &str) -> Vec<(u64, &Ticket)> {
        let found = |t: &Ticket| self.habits.ignores_the_search || t.title.contains(words);
        let all = self.tickets.iter().rev();
        all.filter(|(_, t)| client.is_none_or(|c| t.client == c) && found(t) && self.shows(t.opened_ms, now_ms))
            .map(|(id, t)| (*id, t))
            .collect()
    }

    /// The notes of a ticket that are listed at that time.
    #[must_use]
    pub fn notes(&self, now_ms: i64, id: u64) -> Vec<&str> {
        let all = self.tickets.get(&id).into_iter().flat_map(|t| &t.notes);
        let shown = all.filter(|(at, _)| self.shows(*at, now_ms));
        shown.map(|(_, text)| text.as_str()).collect()
    }

    /// The files of a ticket that are listed at that time.
    #[must_use]
    pub fn files(&self, now_ms: i64, id: u64) -> Vec<&File> {
        let all = self.tickets.get(&id).into_iter().flat_map(|t| &t.files);
        all.filter(|(at, _)| self.shows(*at, now_ms)).map(|(_, f)| f).collect()
    }
}
