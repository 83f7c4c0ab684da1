//! Addresses that cannot be written wrongly.
//!
//! A [`Path`] is built from fixed words and from ids. It renders twice: as the
//! encoded path that is sent, and as the template that faults, receipts and
//! logs may show (`/users/{id}`). An id cannot leave its segment, whatever it
//! contains.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays as it is in a segment or a value: RFC 3986's unreserved characters.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn encode(text: &str) -> String {
    utf8_percent_encode(text, KEPT).to_string()
}

/// A path below a base address, with its query.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    sent: String,
    shown: String,
    query: String,
    sound: bool,
}

impl Path {
    /// A path that begins with this word.
    pub(crate) fn at(word: &'static str) -> Self {
        Self {
            sent: format!("/{word}"),
            shown: format!("/{word}"),
            query: String::new(),
            sound: true,
        }
    }

    /// Goes on with this word, or several with slashes between.
    pub(crate) fn then(mut self, word: &'static str) -> Self {
        self.sent.push('/');
        self.sent.push_str(word);
        self.shown.push('/');
        self.shown.push_str(word);
        self
    }

    /// Goes on with an id. One that no server would take for a single segment
    /// (empty, `.`, `..`) makes the path unsound, and it is never sent.
    pub(crate) fn id(mut self, id: &str) -> Self {
        self.sound &= !id.is_empty() && id.bytes().any(|b| b != b'.');
        self.sent.push('/');
        self.sent.push_str(&encode(id));
        self.shown.push_str("/{id}");
        self
    }

    /// Goes on with `word(n)`, SharePoint's way to name something by number.
    pub(crate) fn numbered(mut self, word: &'static str, number: u64) -> Self {
        self.sent.push_str(&format!("/{word}({number})"));
        self.shown.push_str(&format!("/{word}({{id}})"));
        self
    }

    /// Adds a query option whose value is fixed.
    pub(crate) fn with(mut self, option: &'static str, value: &str) -> Self {
        self.query.push(if self.query.is_empty() { '?' } else { '&' });
        self.query.push_str(option);
        self.query.push('=');
        self.query.push_str(&encode(value));
        self
    }

    /// What is sent, encoded, beginning with a slash.
    pub(crate) fn sent(&self) -> String {
        format!("{}{}", self.sent, self.query)
    }

    /// What may be shown.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Whether every id in it is one segment.
    pub(crate) fn is_sound(&self) -> bool {
        self.sound
    }
}
