//! What a server says, as tokens. Pure; whatever comes, it ends and is bounded
//! by what was read.

/// One thing in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// A word, a number, a flag, `BODY[]`.
    Atom(Vec<u8>),
    /// A quoted text or a literal.
    Text(Vec<u8>),
    /// In brackets.
    List(Vec<Token>),
}

impl Token {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Atom(b) | Self::Text(b) => b,
            Self::List(_) => &[],
        }
    }

    /// As text; bytes beyond ASCII each as the character of that number, so
    /// that nothing of a name is lost.
    pub(crate) fn text(&self) -> String {
        latin(self.bytes())
    }

    pub(crate) fn number(&self) -> Option<u64> {
        std::str::from_utf8(self.bytes()).ok()?.parse().ok()
    }

    pub(crate) fn list(&self) -> &[Token] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// Whether it is this word, whatever its case.
    pub(crate) fn is(&self, word: &str) -> bool {
        matches!(self, Self::Atom(b) if b.eq_ignore_ascii_case(word.as_bytes()))
    }
}

/// Bytes as characters of the same numbers, and back.
pub(crate) fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

/// The bytes of such a text.
pub(crate) fn unlatin(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))
        .collect()
}

/// How a command, or the server, fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    Ok,
    No,
    Bad,
    Bye,
    Preauth,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answered {
    /// `* OK [CODE …] …`, or with a command's tag.
    Status {
        /// None: of no command.
        tag: Option<String>,
        condition: Condition,
        /// What stands in brackets: `UIDVALIDITY 3`.
        code: String,
    },
    /// `* …`.
    Data(Vec<Token>),
    /// `+ …`.
    Continue(String),
}

/// What a line with its literals says.
pub(crate) enum Bit {
    Line(Vec<u8>),
    Literal(Vec<u8>),
}

/// Deepest brackets that are followed: no answer that is asked for has more.
const DEPTH_MAX: usize = 32;

/// The length of the literal that a line announces at its end.
pub(crate) fn literal(line: &[u8]) -> Option<u64> {
    let open = line.iter().rposition(|b| *b == b'{')?;
    let inner = line[open + 1..].strip_suffix(b"}")?;
    let digits = inner.strip_suffix(b"+").unwrap_or(inner);
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A line without the announcement of a literal.
pub(crate) fn before_literal(line: &[u8]) -> &[u8] {
    match line.iter().rposition(|b| *b == b'{') {
        Some(open) if literal(line).is_some() => &line[..open],
        _ => line,
    }
}

pub(crate) fn answer(bits: Vec<Bit>) -> Option<Answered> {
    let Some(Bit::Line(first)) = bits.first() else {
        return None;
    };
    if let Some(rest) = first.strip_prefix(b"+") {
        return Some(Answered::Continue(latin(rest.trim_ascii())));
    }
    let space = first.iter().position(|b| *b == b' ')?;
    let (tag, rest) = (&first[..space], &first[space + 1..]);
    if let Some(status) = status(rest) {
        let tag = (tag != b"*").then(|| latin(tag));
        return Some(Answered::Status {
            tag,
            condition: status.0,
            code: status.1,
        });
    }
    if tag != b"*" {
        return None;
    }
    let mut tokens = Tokens::new();
    let mut skip = 2;
    for bit in bits {
        match bit {
            Bit::Line(line) => {
                let line = before_literal(&line);
                tokens.line(line.get(skip..).unwrap_or_default())?;
                skip = 0;
            }
            Bit::Literal(bytes) => tokens.push(Token::Text(bytes)),
        }
    }
    tokens.end().map(Answered::Data)
}

fn status(rest: &[u8]) -> Option<(Condition, String)> {
    let (word, after) = match rest.iter().position(|b| *b == b' ') {
        Some(space) => (&rest[..space], &rest[space + 1..]),
        None => (rest, &rest[..0]),
    };
    let words: [(&[u8], Condition); 5] = [
        (b"OK", Condition::Ok),
        (b"NO", Condition::No),
        (b"BAD", Condition::Bad),
        (b"BYE", Condition::Bye),
        (b"PREAUTH", Condition::Preauth),
    ];
    let condition = words.iter().find(|(w, _)| word.eq_ignore_ascii_case(w))?.1;
    let code = after
        .strip_prefix(b"[")
        .and_then(|code| Some(latin(&code[..code.iter().position(|b| *b == b']')?])))
        .unwrap_or_default();
    Some((condition, code))
}

/// Gathers tokens over lines and literals.
struct Tokens {
    open: Vec<Vec<Token>>,
}

impl Tokens {
    fn new() -> Self {
        Self { open: vec![Vec::new()] }
    }

    fn push(&mut self, token: Token) {
        if let Some(list) = self.open.last_mut() {
            list.push(token);
        }
    }

    fn line(&mut self, line: &[u8]) -> Option<()> {
        let mut at = 0;
        while let Some(byte) = line.get(at) {
            match byte {
                b' ' => at += 1,
                b'(' if self.open.len() > DEPTH_MAX => return None,
                b'(' => {
                    self.open.push(Vec::new());
                    at += 1;
                }
                b')' => {
                    let closed = self.open.pop()?;
                    self.open.last_mut()?.push(Token::List(closed));
                    at += 1;
                }
                b'"' => {
                    let (text, next) = quoted(line, at + 1)?;
                    self.push(Token::Text(text));
                    at = next;
                }
                _ => {
                    let next = atom(line, at);
                    self.push(Token::Atom(line[at..next].to_vec()));
                    at = next;
                }
            }
        }
        Some(())
    }

    fn end(mut self) -> Option<Vec<Token>> {
        let last = self.open.pop()?;
        self.open.is_empty().then_some(last)
    }
}

fn quoted(line: &[u8], from: usize) -> Option<(Vec<u8>, usize)> {
    let (mut text, mut at) = (Vec::new(), from);
    loop {
        match line.get(at)? {
            b'"' => return Some((text, at + 1)),
            b'\\' => {
                text.push(*line.get(at + 1)?);
                at += 2;
            }
            byte => {
                text.push(*byte);
                at += 1;
            }
        }
    }
}

/// Where a word ends; what stands in `[…]` belongs to it.
fn atom(line: &[u8], from: usize) -> usize {
    let (mut at, mut within) = (from, false);
    while let Some(byte) = line.get(at) {
        match byte {
            b'[' => within = true,
            b']' => within = false,
            b' ' | b'(' | b')' | b'"' if !within => break,
            _ => {}
        }
        at += 1;
    }
    at.max(from + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(bits: Vec<Bit>) -> Vec<Token> {
        match answer(bits) {
            Some(Answered::Data(tokens)) => tokens,
            other => panic!("{other:?}"),
        }
    }

    fn line(text: &str) -> Bit {
        Bit::Line(text.as_bytes().to_vec())
    }

    #[test]
    fn a_listed_message_is_read() {
        let tokens = data(vec![line(
            r#"* 12 FETCH (UID 7 FLAGS (\Seen work) INTERNALDATE " 1-Jan-2026 10:00:00 +0100" RFC822.SIZE 44827)"#,
        )]);
        assert_eq!(tokens[0].number(), Some(12));
        assert!(tokens[1].is("fetch"));
        let items = tokens[2].list();
        assert_eq!(items[1].number(), Some(7));
        assert_eq!(items[3].list()[0].text(), "\\Seen");
        assert_eq!(items[7].number(), Some(44_827));
    }

    #[test]
    fn literals_and_escapes_are_read() {
        let bits = vec![
            line("* LIST (\\HasNoChildren) \"/\" {5}"),
            Bit::Literal(b"a\r\n\"b".to_vec()),
            line(""),
        ];
        assert_eq!(data(bits)[3], Token::Text(b"a\r\n\"b".to_vec()));
        let tokens = data(vec![line(r#"* LIST () "\\" "a \"b\" \\c""#)]);
        assert_eq!(
            (tokens[2].text(), tokens[3].text()),
            ("\\".to_owned(), "a \"b\" \\c".to_owned())
        );
    }

    #[test]
    fn a_state_is_read_with_its_code() {
        let Some(Answered::Status { tag, condition, code }) = answer(vec![line("A4 OK [READ-ONLY] done")]) else {
            panic!("no status")
        };
        assert_eq!(
            (tag.as_deref(), condition, code.as_str()),
            (Some("A4"), Condition::Ok, "READ-ONLY")
        );
    }

    #[test]
    fn whatever_comes_is_no_more_than_unread() {
        for text in [
            "",
            "*",
            "* ",
            "x",
            "* ((((",
            "* )",
            "* \"open",
            "* 1 FETCH (UID",
            "+",
            "* [",
            "* \"\\",
            "{5}",
        ] {
            let _ = answer(vec![line(text)]);
        }
        let deep = format!("* {}", "(".repeat(100_000));
        assert_eq!(answer(vec![line(&deep)]), None);
        for (text, length) in [
            ("x {12}", Some(12)),
            ("x {3+}", Some(3)),
            ("x {-1}", None),
            ("{}", None),
            ("a", None),
        ] {
            assert_eq!(literal(text.as_bytes()), length);
        }
    }
}
