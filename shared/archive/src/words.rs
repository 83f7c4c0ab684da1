//! What a message says of itself, for who looks for it: a few headers, with
//! their encoded words (RFC 2047) read as far as they can be. Of hostile or
//! broken ones something is shown, and never nothing of the others.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The most of a message in which headers are looked for.
pub const HEADERS_MAX: usize = 256 * 1024;

/// A message's headers, those that people look for.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Headers {
    /// From whom.
    pub from: String,
    /// To whom.
    pub to: String,
    /// To whom besides.
    pub cc: String,
    /// About what.
    pub subject: String,
    /// When, as it says itself.
    pub date: String,
}

impl Headers {
    /// Reads them from a message's beginning.
    #[must_use]
    pub fn read(message: &[u8]) -> Self {
        let mut found = Self::default();
        for (name, value) in fields(&message[..message.len().min(HEADERS_MAX)]) {
            let field = match name.to_ascii_lowercase().as_slice() {
                b"from" => &mut found.from,
                b"to" => &mut found.to,
                b"cc" => &mut found.cc,
                b"subject" => &mut found.subject,
                b"date" => &mut found.date,
                _ => continue,
            };
            if field.is_empty() {
                *field = decode(&value);
            }
        }
        found
    }

    /// Whether each of these words (lower case) is in one of them.
    #[must_use]
    pub fn have(&self, words: &[String]) -> bool {
        let all = [&self.from, &self.to, &self.cc, &self.subject, &self.date].map(|f| f.to_lowercase());
        words.iter().all(|w| all.iter().any(|f| f.contains(w.as_str())))
    }
}

/// The fields before the first empty line, unfolded.
fn fields(head: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for line in head.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            if let Some((_, value)) = found.last_mut() {
                value.push(b' ');
                value.extend_from_slice(line.trim_ascii());
            }
        } else if let Some(colon) = line.iter().position(|b| *b == b':') {
            found.push((line[..colon].to_vec(), line[colon + 1..].trim_ascii().to_vec()));
        }
    }
    found
}

/// A value as text: UTF-8, else each byte as the character of its number.
fn plain(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|b| char::from(*b)).collect(),
    }
}

/// A value with its encoded words read.
fn decode(value: &[u8]) -> String {
    let text = plain(value);
    let (mut out, mut rest, mut after_word) = (String::new(), text.as_str(), false);
    while let Some(at) = rest.find("=?") {
        let (before, begins) = rest.split_at(at);
        // Blanks between two encoded words are not part of the text.
        if !(after_word && before.trim().is_empty()) {
            out.push_str(before);
        }
        match word(&begins[2..]) {
            Some((read, length)) => {
                out.push_str(&read);
                rest = &begins[2 + length..];
                after_word = true;
            }
            None => {
                out.push_str("=?");
                rest = &begins[2..];
                after_word = false;
            }
        }
    }
    out.push_str(rest);
    out
}

/// `utf-8?B?…?=`: what it says, and its length.
fn word(text: &str) -> Option<(String, usize)> {
    let (charset, rest) = text.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (content, _) = rest.split_once("?=")?;
    if content.contains([' ', '\t']) || charset.len() > 40 {
        return None;
    }
    let bytes = match encoding {
        "B" | "b" => STANDARD.decode(content).ok()?,
        "Q" | "q" => quoted(content),
        _ => return None,
    };
    let charset = charset.split('*').next().unwrap_or_default().to_ascii_lowercase();
    let read = match charset.as_str() {
        "utf-8" | "utf8" | "us-ascii" => String::from_utf8_lossy(&bytes).into_owned(),
        _ => plain(&bytes),
    };
    Some((read, charset_length(text, content)))
}

/// How long the word is to its end.
fn charset_length(text: &str, content: &str) -> usize {
    let at = content.as_ptr() as usize - text.as_ptr() as usize;
    at + content.len() + 2
}

fn quoted(content: &str) -> Vec<u8> {
    let bytes = content.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).and_then(|h| std::str::from_utf8(h).ok());
        match (byte, hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'=', Some(value)) => {
                out.push(value);
                at += 3;
                continue;
            }
            (b'_', _) => out.push(b' '),
            (other, _) => out.push(*other),
        }
        at += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_people_wrote_them() {
        let message = b"Subject: =?utf-8?B?R3LDvMOfZQ==?= =?iso-8859-1?Q?aus_K=F6ln?=\r\n and more\r\nFROM: A\r\nfrom: B\r\nTo: \xe4\r\n\r\nCc: not one";
        let headers = Headers::read(message);
        assert_eq!(headers.subject, "Gr\u{fc}\u{df}eaus K\u{f6}ln and more");
        assert_eq!(
            (headers.from.as_str(), headers.to.as_str(), headers.cc.as_str()),
            ("A", "\u{e4}", "")
        );
        assert!(headers.have(&["k\u{f6}ln".into(), "more".into()]));
        assert!(!headers.have(&["bonn".into()]));
    }

    #[test]
    fn whatever_it_is_it_is_read_without_harm() {
        for message in [
            &b""[..],
            b"\n\n",
            b"Subject: =?utf-8?B?!!!?=",
            b"Subject: =?=?=?",
            b"Subject: =?utf-8?Q?=4?= =?x?y?z?=",
            b" folded first\r\nSubject",
            b"\0\xff\r:",
        ] {
            let _ = Headers::read(message);
        }
        assert_eq!(Headers::read(b"Subject: =?utf-8?B?!!!?=").subject, "=?utf-8?B?!!!?=");
    }
}
