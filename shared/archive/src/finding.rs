//! Looks for words in a message as its reader sees it, while it goes by.

use crate::mime::Mime;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

/// How much text is gathered before it is looked into.
const LOOK_AT: usize = 16 * 1024;

/// A text as it is compared: letters in lower case, blanks and ends of lines
/// as one blank, and without what is only there to part words.
pub(crate) fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    fold(text, &mut out);
    out
}

fn fold(text: &str, into: &mut String) {
    for c in text.chars() {
        match c {
            c if c.is_ascii_graphic() => into.push(c.to_ascii_lowercase()),
            // Soft hyphens, joiners, and the mark of a byte order.
            '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' => {}
            c if c.is_whitespace() || c.is_control() => {
                if !into.ends_with(' ') {
                    into.push(' ');
                }
            }
            c => into.extend(c.to_lowercase()),
        }
    }
}

/// The words that are looked for, and which of them were seen.
pub(crate) struct Needles {
    words: Vec<String>,
    seen: Vec<bool>,
    /// The end of what was looked into, and what came since.
    text: String,
}

impl Needles {
    /// More text of the same part.
    pub(crate) fn text(&mut self, text: &str) {
        fold(text, &mut self.text);
        if self.text.len() >= LOOK_AT {
            self.look();
        }
    }

    /// What comes is another part: no word reaches over.
    pub(crate) fn gap(&mut self) {
        self.look();
        self.text.clear();
    }

    fn look(&mut self) {
        for (word, seen) in self.words.iter().zip(&mut self.seen) {
            *seen = *seen || self.text.contains(word.as_str());
        }
        let longest = self.words.iter().map(String::len).max().unwrap_or(0);
        let mut keep_from = self.text.len().saturating_sub(longest);
        while !self.text.is_char_boundary(keep_from) {
            keep_from -= 1;
        }
        self.text.drain(..keep_from);
    }
}

/// Takes a message's bytes and looks for words in what a reader sees of it. Of
/// the message it holds a line and a few letters.
pub struct Finding {
    needles: Needles,
    mime: Mime,
}

impl std::fmt::Debug for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Finding").finish_non_exhaustive()
    }
}

impl Finding {
    /// Looks for these.
    #[must_use]
    pub fn of(words: &[String]) -> Self {
        let words: Vec<String> = words.iter().map(|w| folded(w).trim().to_owned()).collect();
        Self {
            needles: Needles {
                seen: vec![false; words.len()],
                words,
                text: String::new(),
            },
            mime: Mime::message(),
        }
    }

    /// More of the message.
    pub fn bytes(&mut self, bytes: &[u8]) {
        if !self.has_all() {
            self.mime.bytes(bytes, &mut self.needles);
        }
    }

    /// The message is over: whether every word is in it.
    #[must_use]
    pub fn end(mut self) -> bool {
        if !self.has_all() {
            self.mime.end(&mut self.needles);
            self.needles.gap();
        }
        self.has_all()
    }

    fn has_all(&self) -> bool {
        self.needles.seen.iter().all(|s| *s)
    }
}

impl AsyncWrite for Finding {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.bytes(bytes);
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
