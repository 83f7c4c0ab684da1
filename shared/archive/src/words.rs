//! What a message says of itself, for who looks for it: a few headers, with
//! their encoded words (RFC 2047) read as far as they can be. Of hostile or
//! broken ones something is shown, and never nothing of the others.

use crate::charset;
use crate::finding::folded;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::collections::BTreeMap;

/// Base64 as it is met in mail: without the padding, with bits that are left over.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

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

    /// Whether each of these words is in one of them, whatever its case.
    #[must_use]
    pub fn have(&self, words: &[String]) -> bool {
        let all = [&self.from, &self.to, &self.cc, &self.subject, &self.date].map(|f| folded(f));
        words.iter().all(|w| all.iter().any(|f| f.contains(folded(w).trim())))
    }

    /// Whether this is in the address or name of who sent it.
    #[must_use]
    pub fn is_from(&self, who: &str) -> bool {
        holds(&self.from, who)
    }

    /// Whether this is among those who got it.
    #[must_use]
    pub fn is_to(&self, who: &str) -> bool {
        holds(&self.to, who) || holds(&self.cc, who)
    }

    /// Whether this is in its subject.
    #[must_use]
    pub fn is_about(&self, what: &str) -> bool {
        holds(&self.subject, what)
    }
}

fn holds(field: &str, what: &str) -> bool {
    folded(field).contains(folded(what).trim())
}

/// The fields before the first empty line, unfolded.
pub(crate) fn fields(head: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
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

/// A value with its encoded words read.
pub(crate) fn decode(value: &[u8]) -> String {
    let text = charset::text("", value);
    let (mut out, mut rest) = (String::new(), text.as_str());
    // Words beside each other, of one character set: a letter may begin in one
    // and end in the next, although it should not.
    let mut open: Option<(String, Vec<u8>)> = None;
    while let Some(at) = rest.find("=?") {
        let (before, begins) = rest.split_at(at);
        let Some(word) = Word::read(begins) else {
            close(&mut open, &mut out);
            out.push_str(before);
            out.push_str("=?");
            rest = &begins[2..];
            continue;
        };
        rest = &begins[word.length..];
        match &mut open {
            // Blanks between two encoded words are not part of the text.
            Some((charset, bytes)) if before.trim().is_empty() && *charset == word.charset => {
                bytes.extend(word.bytes);
            }
            _ => {
                let beside = open.is_some() && before.trim().is_empty();
                close(&mut open, &mut out);
                if !beside {
                    out.push_str(before);
                }
                open = Some((word.charset, word.bytes));
            }
        }
    }
    close(&mut open, &mut out);
    out.push_str(rest);
    out
}

fn close(open: &mut Option<(String, Vec<u8>)>, out: &mut String) {
    if let Some((charset, bytes)) = open.take() {
        out.push_str(&charset::text(&charset, &bytes));
    }
}

/// How far is looked for the end of an encoded word. No more than 75 letters are
/// allowed, and longer ones are met; looking on to the end of each value, a hostile one
/// would take for ever.
const WORD_MAX: usize = 1_000;
/// The longest name of a character set, with a language behind it.
const CHARSET_MAX: usize = 40;

/// `=?utf-8?B?…?=`.
struct Word {
    charset: String,
    bytes: Vec<u8>,
    /// To its end.
    length: usize,
}

impl Word {
    fn read(text: &str) -> Option<Self> {
        let mut most = text.len().min(WORD_MAX);
        while !text.is_char_boundary(most) {
            most -= 1;
        }
        let text = &text[..most];
        let (charset, rest) = text.strip_prefix("=?")?.split_once('?')?;
        if charset.len() > CHARSET_MAX {
            return None;
        }
        let (encoding, rest) = rest.split_once('?')?;
        let (content, after) = rest.split_once("?=")?;
        if content.contains([' ', '\t']) {
            return None;
        }
        let bytes = match encoding {
            "B" | "b" => BASE64.decode(content).ok()?,
            "Q" | "q" => marked(content.replace('_', " ").as_bytes(), b'='),
            _ => return None,
        };
        // A language may follow the character set (RFC 2231, section 5).
        let charset = charset.split('*').next().unwrap_or_default().to_ascii_lowercase();
        Some(Self {
            charset,
            bytes,
            length: text.len() - after.len(),
        })
    }
}

/// Bytes of which some are written as a mark and two digits.
pub(crate) fn marked(bytes: &[u8], mark: u8) -> Vec<u8> {
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let digits = bytes
            .get(at + 1..at + 3)
            .filter(|d| *byte == mark && d.iter().all(u8::is_ascii_hexdigit));
        let value = digits
            .and_then(|d| std::str::from_utf8(d).ok())
            .and_then(|d| u8::from_str_radix(d, 16).ok());
        match value {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

/// `text/plain; charset=utf-8`: what stands first, in lower case, and the
/// parameters by their names in lower case, with what RFC 2231 parts put together.
pub(crate) fn parameters(value: &[u8]) -> (String, BTreeMap<String, String>) {
    let text = charset::text("", value);
    let mut pieces = pieces(&text).into_iter();
    let first = pieces.next().unwrap_or_default().trim().to_ascii_lowercase();
    // Of each its parts by number: whether it is percent-encoded, and what it says.
    let mut parts: BTreeMap<String, BTreeMap<u32, (bool, String)>> = BTreeMap::new();
    for piece in pieces {
        let Some((name, said)) = piece.split_once('=') else {
            continue;
        };
        let name = name.trim().to_ascii_lowercase();
        let (name, encoded) = match name.strip_suffix('*') {
            Some(name) => (name, true),
            None => (name.as_str(), false),
        };
        let (name, number) = match name.split_once('*') {
            Some((name, number)) => (name, number.parse().unwrap_or(0)),
            None => (name, 0),
        };
        let of_name = parts.entry(name.to_owned()).or_default();
        of_name.entry(number).or_insert((encoded, unquoted(said.trim())));
    }
    let whole = parts.into_iter().map(|(name, parts)| (name, joined(parts)));
    (first, whole.collect())
}

fn joined(parts: BTreeMap<u32, (bool, String)>) -> String {
    let any = parts.values().any(|(encoded, _)| *encoded);
    let (mut charset, mut bytes) = (None, Vec::new());
    for (encoded, said) in parts.into_values() {
        let mut said = said.as_str();
        if !encoded {
            bytes.extend_from_slice(said.as_bytes());
            continue;
        }
        // The first says the character set and the language.
        if charset.is_none()
            && let Some((named, rest)) = said.split_once('\'')
        {
            charset = Some(named.to_owned());
            said = rest.split_once('\'').map_or(rest, |(_, rest)| rest);
        }
        bytes.extend(marked(said.as_bytes(), b'%'));
    }
    if any {
        charset::text(&charset.unwrap_or_default(), &bytes)
    } else {
        // Encoded words have no place here, and are met all the same.
        decode(&bytes)
    }
}

/// What stands between semicolons, but for those in quotation marks.
fn pieces(text: &str) -> Vec<&str> {
    let (mut found, mut from, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ';' if !quoted => {
                found.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    found.push(&text[from..]);
    found
}

/// A value without its quotation marks, or up to the first blank.
fn unquoted(said: &str) -> String {
    let Some(inner) = said.strip_prefix('"') else {
        return said.split_whitespace().next().unwrap_or_default().to_owned();
    };
    let (mut out, mut escaped) = (String::new(), false);
    for c in inner.chars() {
        match c {
            _ if escaped => {
                out.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => break,
            _ => out.push(c),
        }
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
        assert!(headers.have(&["K\u{d6}LN".into()]));
        assert!(!headers.have(&["bonn".into()]));
        assert!(headers.is_from("a") && headers.is_to("\u{c4}") && headers.is_about("gr\u{fc}\u{df}e"));
        assert!(!headers.is_from("b") && !headers.is_to("a") && !headers.is_about("bonn"));
    }

    #[test]
    fn encoded_words_are_read_by_their_character_set_also_when_a_letter_is_in_two() {
        let all: [(&[u8], &str); 8] = [
            (b"=?utf-8?B?w7w=?= =?utf-8?B?w58=?=", "\u{fc}\u{df}"),
            (b"=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "\u{fc}"),
            (b"=?utf-8?B?w7w?=", "\u{fc}"),
            (b"=?windows-1252?Q?=805?=", "\u{20ac}5"),
            (b"=?koi8-r?B?8NLJ18XU?=", "\u{41f}\u{440}\u{438}\u{432}\u{435}\u{442}"),
            (b"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?= x", "\u{65e5}\u{672c} x"),
            (b"=?utf-8*de?Q?a_b?= =?x?= c", "a b =?x?= c"),
            (b"one =?utf-8?Q?two?= three", "one two three"),
        ];
        for (value, wanted) in all {
            assert_eq!(decode(value), wanted);
        }
    }

    #[test]
    fn a_hostile_header_takes_no_longer_than_its_length_asks_for() {
        use std::time::{Duration, Instant};
        // Far more than a look at each letter takes, far less than at all of them for each.
        const PATIENCE: Duration = Duration::from_secs(5);
        for part in ["=?a?b?x", "=?", "=?a?b?\u{fc}", "=?utf-8?Q?=?"] {
            let value = part.repeat(HEADERS_MAX / part.len());
            let began = Instant::now();
            let read = decode(value.as_bytes());
            assert!(began.elapsed() < PATIENCE, "{part}");
            assert!(!read.is_empty());
        }
        assert_eq!(
            "=?a?b?x".repeat(37_449).len(),
            HEADERS_MAX - 1,
            "as many as there is room for"
        );
        // What is longer than any mail program writes stays as it is; others are read.
        let long = format!("=?utf-8?Q?{}?=", "a".repeat(WORD_MAX));
        assert_eq!(
            decode(format!("{long} =?utf-8?Q?=C3=BC?=").as_bytes()),
            format!("{long} \u{fc}")
        );
        let allowed = format!("=?utf-8?Q?{}?=", "a".repeat(900));
        assert_eq!(decode(allowed.as_bytes()), "a".repeat(900));
    }

    #[test]
    fn parameters_are_read_in_every_spelling() {
        let (first, all) = parameters(
            b"Text/Plain ; CHARSET=utf-8 (as it is); name=\"a;\\\"b.txt\"; n2=\"=?utf-8?Q?K=C3=B6ln?=\"; \
              filename*0*=iso-8859-1'de'K%F6ln; filename*1=\" is.txt\"; also*=utf-8''%e2%82%ac; empty; x=",
        );
        assert_eq!(first, "text/plain");
        let of = |name: &str| all.get(name).map(String::as_str);
        assert_eq!(of("charset"), Some("utf-8"));
        assert_eq!(of("name"), Some("a;\"b.txt"));
        assert_eq!(of("n2"), Some("K\u{f6}ln"));
        assert_eq!(of("filename"), Some("K\u{f6}ln is.txt"));
        assert_eq!(of("also"), Some("\u{20ac}"));
        assert_eq!((of("empty"), of("x")), (None, Some("")));
        for odd in [&b""[..], b";", b"=;=", b"a; b=\"", b"x; y*9999999999*=1; z*=''"] {
            let _ = parameters(odd);
        }
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
