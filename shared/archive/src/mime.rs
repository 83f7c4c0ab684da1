//! A message's parts, as they go by: which of them are text, how that is
//! encoded, and what a reader sees of it (RFC 2045 to 2049). Broken messages
//! are read as far as they can be, and a hostile one costs no more than its
//! length: there is no more of it here than a line, the headers under way and a
//! few letters.

use crate::charset::Charset;
use crate::finding::Needles;
use crate::html::Html;
use crate::words::{BASE64, HEADERS_MAX, decode, fields, marked, parameters};
use base64::Engine as _;

/// The longest line that is held; a longer one goes through in parts.
const LINE_MAX: usize = 64 * 1024;
/// Most parts within parts that are told apart.
const PARTS_MAX: usize = 32;
/// Most messages within messages.
const MESSAGES_MAX: usize = 8;
/// What people look for among the headers.
const LOOKED_FOR: [&str; 14] = [
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "bcc",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "keywords",
    "comments",
    "organization",
];

/// Reads one message.
pub(crate) struct Mime {
    /// The line under way.
    line: Vec<u8>,
    /// Whether its beginning went through already.
    begun: bool,
    /// What parts the parts, outermost first.
    parted: Vec<Parted>,
    place: Place,
    /// How many messages this one is within.
    within: usize,
}

struct Parted {
    /// With the dashes before it.
    boundary: Vec<u8>,
    /// Whether its parts are messages unless they say otherwise.
    digest: bool,
}

enum Place {
    /// The headers of the message, or of a part.
    Head(Vec<u8>),
    /// Text, or a message.
    Body(Body),
    /// What no reader sees, and files that are no text.
    PassedOver,
}

struct Body {
    encoded: Encoded,
    content: Content,
}

/// How a part is encoded.
enum Encoded {
    Not,
    Quoted,
    /// With letters that are not yet enough for bytes.
    Base64(Vec<u8>),
}

/// What a part is.
enum Content {
    Text(Charset),
    Html(Charset, Html),
    Message(Box<Mime>),
}

impl Mime {
    /// A message from its beginning.
    pub(crate) fn message() -> Self {
        Self::within(0)
    }

    fn within(within: usize) -> Self {
        Self {
            line: Vec::new(),
            begun: false,
            parted: Vec::new(),
            place: Place::Head(Vec::new()),
            within,
        }
    }

    /// More of it.
    pub(crate) fn bytes(&mut self, bytes: &[u8], into: &mut Needles) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = rest.iter().position(|b| *b == b'\n');
            let room = LINE_MAX - self.line.len();
            let some = end.unwrap_or(rest.len()).min(room);
            let ended = end == Some(some);
            self.line.extend_from_slice(&rest[..some]);
            rest = &rest[some + usize::from(ended)..];
            if ended || self.line.len() == LINE_MAX {
                self.one_line(ended, into);
            }
        }
    }

    /// That was all.
    pub(crate) fn end(&mut self, into: &mut Needles) {
        if !self.line.is_empty() {
            self.one_line(false, into);
        }
        if let Place::Head(head) = &mut self.place {
            let head = std::mem::take(head);
            if fields(&head).is_empty() {
                // No headers at all: it is shown as it is.
                let mut text = String::new();
                Charset::named("").read(&head, true, &mut text);
                into.text(&text);
            } else {
                self.enter(&head, into);
            }
        }
        self.leave(into);
    }

    fn one_line(&mut self, ended: bool, into: &mut Needles) {
        let mut line = std::mem::take(&mut self.line);
        let begins = !std::mem::replace(&mut self.begun, !ended);
        self.take(&line, begins, ended, into);
        // Its room is used again.
        line.clear();
        self.line = line;
    }

    fn take(&mut self, line: &[u8], begins: bool, ended: bool, into: &mut Needles) {
        if begins && let Some((level, closes)) = self.boundary(line) {
            self.leave(into);
            self.parted.truncate(level + usize::from(!closes));
            self.place = if closes {
                Place::PassedOver
            } else {
                Place::Head(Vec::new())
            };
            return;
        }
        match &mut self.place {
            Place::Head(head) => {
                if begins && ended && line.strip_suffix(b"\r").unwrap_or(line).is_empty() {
                    let head = std::mem::take(head);
                    self.enter(&head, into);
                } else if head.len() + line.len() < HEADERS_MAX {
                    head.extend_from_slice(line);
                    if ended {
                        head.push(b'\n');
                    }
                }
            }
            Place::Body(body) => body.line(line, ended, into),
            Place::PassedOver => {}
        }
    }

    /// Which parts this line parts, innermost first, and whether it ends them.
    fn boundary(&self, line: &[u8]) -> Option<(usize, bool)> {
        let line = line.trim_ascii_end();
        if !line.starts_with(b"--") {
            return None;
        }
        self.parted.iter().enumerate().rev().find_map(|(level, parted)| {
            match line.strip_prefix(parted.boundary.as_slice())? {
                b"" => Some((level, false)),
                b"--" => Some((level, true)),
                _ => None,
            }
        })
    }

    /// The headers are over: what follows is what they say.
    fn enter(&mut self, head: &[u8], into: &mut Needles) {
        let fields = fields(head);
        for (name, value) in &fields {
            if LOOKED_FOR
                .iter()
                .any(|looked| name.eq_ignore_ascii_case(looked.as_bytes()))
            {
                into.text(&decode(value));
                into.gap();
            }
        }
        let value = |wanted: &str| {
            let found = fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(wanted.as_bytes()));
            found.map(|(_, value)| value.as_slice()).unwrap_or_default()
        };
        let (sort, of_sort) = parameters(value("content-type"));
        let (_, of_disposition) = parameters(value("content-disposition"));
        for name in [of_sort.get("name"), of_disposition.get("filename")]
            .into_iter()
            .flatten()
        {
            into.text(name);
            into.gap();
        }
        let in_digest = self.parted.last().is_some_and(|p| p.digest);
        let sort = match sort.as_str() {
            said if said.contains('/') => said,
            _ if in_digest => "message/rfc822",
            _ => "text/plain",
        };
        let boundary = of_sort.get("boundary").filter(|b| !b.is_empty());
        self.place = if let Some(boundary) = boundary
            && sort.starts_with("multipart/")
            && self.parted.len() < PARTS_MAX
        {
            self.parted.push(Parted {
                boundary: format!("--{boundary}").into_bytes(),
                digest: sort == "multipart/digest",
            });
            Place::PassedOver
        } else if let Some(content) = self.content(sort, of_sort.get("charset").map_or("", String::as_str)) {
            Place::Body(Body {
                encoded: Encoded::named(value("content-transfer-encoding")),
                content,
            })
        } else {
            Place::PassedOver
        };
    }

    /// What a part of that sort is, if a reader sees text of it.
    fn content(&self, sort: &str, charset: &str) -> Option<Content> {
        let message = matches!(sort, "message/rfc822" | "message/global" | "message/news");
        if message && self.within < MESSAGES_MAX {
            return Some(Content::Message(Box::new(Self::within(self.within + 1))));
        }
        let charset = || Charset::named(charset);
        if matches!(sort, "text/html" | "application/xhtml+xml") {
            return Some(Content::Html(charset(), Html::default()));
        }
        let text = ["text/", "message/", "multipart/"].iter().any(|s| sort.starts_with(s))
            || ["/json", "/xml", "+json", "+xml", "/ics"]
                .iter()
                .any(|s| sort.ends_with(s));
        text.then(|| Content::Text(charset()))
    }

    /// What was under way is over.
    fn leave(&mut self, into: &mut Needles) {
        if let Place::Body(body) = &mut self.place {
            body.end(into);
        }
        self.place = Place::PassedOver;
        into.gap();
    }
}

impl Encoded {
    fn named(value: &[u8]) -> Self {
        let (first, _) = parameters(value);
        match first.as_str() {
            "quoted-printable" => Self::Quoted,
            "base64" => Self::Base64(Vec::new()),
            _ => Self::Not,
        }
    }
}

impl Body {
    fn line(&mut self, line: &[u8], ended: bool, into: &mut Needles) {
        match &mut self.encoded {
            Encoded::Not => {
                self.content.bytes(line, into);
                if ended {
                    self.content.bytes(b"\n", into);
                }
            }
            Encoded::Quoted => {
                let line = if ended { line.trim_ascii_end() } else { line };
                // An equals sign at its end: the line goes on in the next.
                let goes_on = line.strip_suffix(b"=").filter(|_| ended);
                self.content.bytes(&marked(goes_on.unwrap_or(line), b'='), into);
                if ended && goes_on.is_none() {
                    self.content.bytes(b"\n", into);
                }
            }
            Encoded::Base64(held) => {
                let mut bytes = Vec::with_capacity(line.len());
                for byte in line {
                    match byte {
                        b'=' => unpack(held, &mut bytes),
                        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => held.push(*byte),
                        _ => {}
                    }
                }
                // What is whole; the rest belongs to what comes.
                let rest = held.split_off(held.len() - held.len() % 4);
                unpack(held, &mut bytes);
                *held = rest;
                self.content.bytes(&bytes, into);
            }
        }
    }

    fn end(&mut self, into: &mut Needles) {
        if let Encoded::Base64(held) = &mut self.encoded {
            let mut bytes = Vec::new();
            unpack(held, &mut bytes);
            self.content.bytes(&bytes, into);
        }
        self.content.end(into);
    }
}

/// Reads what is held and forgets it; what is none says nothing.
fn unpack(held: &mut Vec<u8>, into: &mut Vec<u8>) {
    if held.len() % 4 == 1 {
        // One letter alone is no byte.
        held.pop();
    }
    if let Ok(bytes) = BASE64.decode(held.as_slice()) {
        into.extend(bytes);
    }
    held.clear();
}

impl Content {
    fn bytes(&mut self, bytes: &[u8], into: &mut Needles) {
        match self {
            Self::Text(charset) => {
                let mut text = String::new();
                charset.read(bytes, false, &mut text);
                into.text(&text);
            }
            Self::Html(charset, html) => {
                let (mut text, mut seen) = (String::new(), String::new());
                charset.read(bytes, false, &mut text);
                html.read(&text, &mut seen);
                into.text(&seen);
            }
            Self::Message(message) => message.bytes(bytes, into),
        }
    }

    fn end(&mut self, into: &mut Needles) {
        let mut text = String::new();
        match self {
            Self::Text(charset) => charset.read(&[], true, &mut text),
            Self::Html(charset, html) => {
                let mut last = String::new();
                charset.read(&[], true, &mut last);
                html.read(&last, &mut text);
                html.end(&mut text);
            }
            Self::Message(message) => message.end(into),
        }
        into.text(&text);
    }
}

#[cfg(test)]
mod tests {
    use crate::Finding;

    fn finds(message: &[u8], words: &[&str]) -> bool {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        let mut found = Vec::new();
        for piece in [1, 7, 4096, message.len().max(1)] {
            let mut finding = Finding::of(&words);
            message.chunks(piece).for_each(|some| finding.bytes(some));
            found.push(finding.end());
        }
        assert!(found.iter().all(|f| *f == found[0]), "however it comes: {found:?}");
        found[0]
    }

    const LETTER: &[u8] = b"Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n\
        From: Anna <anna@x.test>\r\n\
        Content-Type: multipart/mixed; boundary=\"a b\"\r\n\
        \r\n\
        preamble, for old programs\r\n\
        --a b\r\n\
        Content-Type: multipart/alternative; boundary=in\r\n\
        \r\n\
        --in\r\n\
        Content-Type: text/plain; charset=iso-8859-1\r\n\
        Content-Transfer-Encoding: Quoted-Printable\r\n\
        \r\n\
        Die Rech=\r\n\
        nung f=FCr M=E4rz:\r\n\
        4711\r\n\
        --in\r\n\
        Content-Type: text/html; charset=utf-8\r\n\
        Content-Transfer-Encoding: base64\r\n\
        \r\n\
        PHA+QmV0PGI+cmFnPC9iPiA8YnI+MSZuYnNwOzIzNCZldXJvOzwvcD48IS0tIHZlcnN0ZWNrdCAtLT4\r\n\
        8c3R5bGU+YmxhdTwvc3R5bGU+\r\n\
        --in--\r\n\
        --a b  \r\n\
        Content-Type: application/pdf; name*=utf-8''%C3%9Cbersicht.pdf\r\n\
        Content-Transfer-Encoding: base64\r\n\
        \r\n\
        aW5zaWRl\r\n\
        --a b\r\n\
        Content-Type: message/rfc822\r\n\
        \r\n\
        Subject: forwarded\r\n\
        Content-Type: multipart/mixed; boundary=in\r\n\
        \r\n\
        --in\r\n\
        \r\n\
        deep within\r\n\
        --in--\r\n\
        --a b--\r\n\
        epilogue\r\n";

    #[test]
    fn what_a_reader_sees_is_found_however_it_is_encoded() {
        for words in [
            &["gr\u{fc}\u{df}e"][..],
            &["Rechnung"],
            &["f\u{fc}r m\u{e4}rz"],
            &["m\u{e4}rz: 4711"],
            &["BETRAG"],
            &["1 234\u{20ac}"],
            &["\u{fc}bersicht.pdf"],
            &["forwarded", "deep within"],
            &["anna@x.test", "4711", "betrag"],
        ] {
            assert!(finds(LETTER, words), "{words:?}");
        }
        for words in [
            &["preamble"][..],
            &["epilogue"],
            &["versteckt"],
            &["blau"],
            &["inside"],
            &["aW5zaWRl"],
            &["boundary"],
            &["Rech=nung"],
            &["4711 betrag"],
            &["4711", "nowhere"],
        ] {
            assert!(!finds(LETTER, words), "{words:?}");
        }
    }

    #[test]
    fn broken_ones_are_read_as_far_as_they_can_be() {
        let all: [(&[u8], &str); 12] = [
            (b"no header and no end of line", "no end"),
            (b"\r\nbody alone", "body"),
            (b"Subject: only headers", "only headers"),
            (b"Subject: x\n\nbare ends\n", "bare ends"),
            (b"Content-Type: multipart/mixed\r\n\r\nwithout a boundary", "boundary"),
            (b"Content-Type: text\r\n\r\nhalf a type", "half a type"),
            (
                b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nnever closed",
                "never closed",
            ),
            (
                b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\ntwice",
                "twice",
            ),
            (
                b"Content-Transfer-Encoding: base64\r\n\r\naGVs bG8!gd29\r\nybGQ=\r\nIGFnYWlu",
                "hello world again",
            ),
            (
                b"Content-Transfer-Encoding: quoted-printable\r\n\r\n50=25 =ZZ =4",
                "50% =zz =4",
            ),
            (b"Content-Type: text/plain; charset=nonsense\r\n\r\nK\xf6ln", "k\u{f6}ln"),
            (b"Content-Type: text/html\r\n\r\nopen <b", "open"),
        ];
        for (message, word) in all {
            assert!(finds(message, &[word]), "{word}");
        }
    }

    #[test]
    fn hostile_ones_end_and_little_of_them_is_held() {
        let nested = "Content-Type: message/rfc822\r\n\r\n".repeat(10_000);
        assert!(!finds(nested.as_bytes(), &["nowhere"]));
        let parts: String = (0..2_000)
            .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n"))
            .collect();
        assert!(!finds(parts.as_bytes(), &["nowhere"]));
        for before in ["", "X: ", "\r\n", "Content-Transfer-Encoding: base64\r\n\r\n"] {
            let long = format!("{before}{}", "x".repeat(300_000));
            let mut finding = Finding::of(&["y".to_owned()]);
            long.as_bytes().chunks(1_000).for_each(|some| finding.bytes(some));
            assert!(!finding.end());
        }
    }

    #[test]
    fn a_word_is_found_wherever_it_is_cut() {
        for at in 65_500..65_560 {
            let mut message = b"\r\n".to_vec();
            message.extend(std::iter::repeat_n(b'x', at));
            message.extend_from_slice("the n\u{e9}\u{e9}dle\r\n".as_bytes());
            let mut finding = Finding::of(&["The N\u{c9}\u{c9}DLE".to_owned()]);
            message.chunks(4_093).for_each(|some| finding.bytes(some));
            assert!(finding.end(), "{at}");
        }
    }
}
