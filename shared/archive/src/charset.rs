//! Bytes to text, by the character set that a message names; and what can be
//! read of them where it names none, or a wrong one.

use encoding_rs::{Decoder, Encoding, UTF_8, WINDOWS_1252};

/// What is also written by who sends UTF-8, so that the bytes decide.
const SAYS_NOTHING: [&str; 4] = ["", "us-ascii", "ascii", "ansi_x3.4-1968"];

/// Turns bytes into text, a part at a time.
pub(crate) struct Charset {
    /// None: it is guessed, character by character.
    decoder: Option<Decoder>,
    /// The beginning of a character whose end has not come yet.
    open: Vec<u8>,
}

impl Charset {
    /// By the name that the message gives.
    pub(crate) fn named(name: &str) -> Self {
        Self {
            decoder: known(name).map(Encoding::new_decoder_without_bom_handling),
            open: Vec::new(),
        }
    }

    /// Adds to a text what these bytes say; after the last nothing more may come.
    pub(crate) fn read(&mut self, bytes: &[u8], last: bool, into: &mut String) {
        let Some(decoder) = &mut self.decoder else {
            return self.guess(bytes, last, into);
        };
        // It writes into the room that there is.
        if let Some(most) = decoder.max_utf8_buffer_length(bytes.len()) {
            into.reserve(most);
            let _ = decoder.decode_to_string(bytes, into, last);
        }
    }

    /// UTF-8; and what is none, as most who do not say what they write mean it.
    fn guess(&mut self, bytes: &[u8], last: bool, into: &mut String) {
        let joined;
        let bytes = if self.open.is_empty() {
            bytes
        } else {
            joined = [std::mem::take(&mut self.open).as_slice(), bytes].concat();
            joined.as_slice()
        };
        let mut at = 0;
        for chunk in bytes.utf8_chunks() {
            into.push_str(chunk.valid());
            let strange = chunk.invalid();
            at += chunk.valid().len() + strange.len();
            let begins = std::str::from_utf8(strange).is_err_and(|e| e.error_len().is_none());
            if begins && at == bytes.len() && !last {
                self.open = strange.to_vec();
            } else {
                into.push_str(&WINDOWS_1252.decode_without_bom_handling(strange).0);
            }
        }
    }
}

/// The character set of that name, unless the bytes themselves say more.
fn known(name: &str) -> Option<&'static Encoding> {
    let name = name.trim();
    if SAYS_NOTHING.iter().any(|n| name.eq_ignore_ascii_case(n)) {
        return None;
    }
    Encoding::for_label_no_replacement(name.as_bytes()).filter(|e| *e != UTF_8)
}

/// All of a text at once.
pub(crate) fn text(name: &str, bytes: &[u8]) -> String {
    let mut text = String::new();
    Charset::named(name).read(bytes, true, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_by_the_name_that_it_is_given() {
        let all: [(&str, &[u8], &str); 8] = [
            ("iso-8859-1", b"K\xf6ln", "K\u{f6}ln"),
            ("ISO-8859-15", b"\xa4", "\u{20ac}"),
            ("windows-1252", b"\x80 \x93x\x94", "\u{20ac} \u{201c}x\u{201d}"),
            (
                "koi8-r",
                b"\xf0\xd2\xc9\xd7\xc5\xd4",
                "\u{41f}\u{440}\u{438}\u{432}\u{435}\u{442}",
            ),
            ("shift_jis", b"\x93\xfa\x96{", "\u{65e5}\u{672c}"),
            ("iso-2022-jp", b"\x1b$BF|K\\\x1b(B", "\u{65e5}\u{672c}"),
            ("gb2312", b"\xd6\xd0", "\u{4e2d}"),
            ("utf-16le", b"a\0b\0", "ab"),
        ];
        for (name, bytes, wanted) in all {
            assert_eq!(text(name, bytes), wanted, "{name}");
        }
    }

    #[test]
    fn without_a_name_or_with_a_wrong_one_the_bytes_decide() {
        for name in ["", "us-ascii", "utf-8", "no-such-thing", "utf-7"] {
            assert_eq!(text(name, "K\u{f6}ln".as_bytes()), "K\u{f6}ln", "{name}");
            assert_eq!(text(name, b"K\xf6ln \x80"), "K\u{f6}ln \u{20ac}", "{name}");
            assert_eq!(text(name, b"cut \xc3"), "cut \u{c3}", "{name}");
        }
    }

    #[test]
    fn a_character_may_come_in_pieces() {
        for name in ["", "shift_jis"] {
            let whole: Vec<u8> = if name.is_empty() {
                "\u{65e5}\u{f6}\u{1f600}".into()
            } else {
                b"\x93\xfa\x96{".to_vec()
            };
            let mut charset = Charset::named(name);
            let mut read = String::new();
            for byte in &whole {
                charset.read(std::slice::from_ref(byte), false, &mut read);
            }
            charset.read(&[], true, &mut read);
            assert_eq!(read, text(name, &whole));
        }
    }
}
