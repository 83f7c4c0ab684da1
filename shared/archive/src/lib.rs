//! A kept mailbox: its form, how it is written, how it is read.
//!
//! It owns the form that `docs/decisions/0019-the-form-of-a-kept-mailbox.md`
//! describes: pieces, segments, parts and the manifest, all of them things of
//! the store. It knows nothing of vendors and of tasks, and refuses to let a
//! mailbox's names become paths.
//!
//! # Laws
//! Each is a test.
//! 1. A message that is read is the message that was written, to the byte.
//! 2. A segment is a tar file, and what comes out of it a Maildir.
//! 3. What no part names is not in the archive, whenever the writer died.
//! 4. Memory does not grow with the mailbox or with a message.
//! 5. No name of the mailbox is in a path.
//! 6. A piece, part or manifest that was changed is named, never read.
//! 7. What a reader sees of a message is found in it, however it is encoded.
//! 8. What is exported is the message to the byte, for whoever exported it alone, and
//!    nothing is overwritten.

mod charset;
mod error;
mod export;
mod finding;
mod form;
mod html;
mod known;
mod mime;
mod reader;
mod tar;
mod words;
mod writer;

pub use error::ArchiveError;
pub use export::{Export, INDEX, MANIFEST};
pub use finding::Finding;
pub use form::{FORM, FolderEntry, Line, Manifest, MessageEntry, Piece, Segment, Taken};
pub use known::{Known, key};
pub use reader::{Archive, for_each_line};
pub use words::{HEADERS_MAX, Headers};
pub use writer::{Cursor, Meta, PIECE_BYTES, Totals, Writer};

/// What everything here answers.
pub type Result<T> = std::result::Result<T, ArchiveError>;
