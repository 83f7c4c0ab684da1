//! What a reader sees of HTML: its text. No more of it is understood than it
//! takes to leave out what nobody sees. It is read letter by letter, holds a
//! few of them at most, and ends whatever comes.

use encoding_rs::WINDOWS_1252;

/// The longest name of a tag or of a character that is told apart.
const NAME_MAX: usize = 32;
/// What stands between these tags is not shown.
const HIDDEN: [&str; 4] = ["script", "style", "title", "template"];
/// Tags within a word; all others part words.
const WITHIN: [&str; 26] = [
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "em", "font", "i", "ins", "kbd", "mark",
    "nobr", "o:p", "s", "small", "span", "strong", "sub", "sup", "u", "wbr",
];
/// The names of the characters from 160 on, in their order.
const LATIN: [&str; 96] = [
    "nbsp", "iexcl", "cent", "pound", "curren", "yen", "brvbar", "sect", "uml", "copy", "ordf", "laquo", "not", "shy",
    "reg", "macr", "deg", "plusmn", "sup2", "sup3", "acute", "micro", "para", "middot", "cedil", "sup1", "ordm",
    "raquo", "frac14", "frac12", "frac34", "iquest", "Agrave", "Aacute", "Acirc", "Atilde", "Auml", "Aring", "AElig",
    "Ccedil", "Egrave", "Eacute", "Ecirc", "Euml", "Igrave", "Iacute", "Icirc", "Iuml", "ETH", "Ntilde", "Ograve",
    "Oacute", "Ocirc", "Otilde", "Ouml", "times", "Oslash", "Ugrave", "Uacute", "Ucirc", "Uuml", "Yacute", "THORN",
    "szlig", "agrave", "aacute", "acirc", "atilde", "auml", "aring", "aelig", "ccedil", "egrave", "eacute", "ecirc",
    "euml", "igrave", "iacute", "icirc", "iuml", "eth", "ntilde", "ograve", "oacute", "ocirc", "otilde", "ouml",
    "divide", "oslash", "ugrave", "uacute", "ucirc", "uuml", "yacute", "thorn", "yuml",
];
/// Those of others that are written in mail.
const OTHERS: [(&str, char); 32] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("AMP", '&'),
    ("LT", '<'),
    ("GT", '>'),
    ("QUOT", '"'),
    ("OElig", '\u{152}'),
    ("oelig", '\u{153}'),
    ("Scaron", '\u{160}'),
    ("scaron", '\u{161}'),
    ("Yuml", '\u{178}'),
    ("Zcaron", '\u{17d}'),
    ("zcaron", '\u{17e}'),
    ("ensp", '\u{2002}'),
    ("emsp", '\u{2003}'),
    ("thinsp", '\u{2009}'),
    ("zwnj", '\u{200c}'),
    ("zwj", '\u{200d}'),
    ("ndash", '\u{2013}'),
    ("mdash", '\u{2014}'),
    ("lsquo", '\u{2018}'),
    ("rsquo", '\u{2019}'),
    ("sbquo", '\u{201a}'),
    ("ldquo", '\u{201c}'),
    ("rdquo", '\u{201d}'),
    ("bdquo", '\u{201e}'),
    ("hellip", '\u{2026}'),
    ("euro", '\u{20ac}'),
    ("trade", '\u{2122}'),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Text,
    /// After `&`: the name of a character.
    Character,
    /// After `<`: the name of a tag.
    Name,
    /// Behind a tag's name; in quotation marks, if they are open.
    Tag(Option<char>),
    /// In `<!-- … -->`.
    Comment,
    /// Between tags whose text is not shown.
    Hidden(&'static str),
}

/// Reads HTML.
#[derive(Debug, Default)]
pub(crate) struct Html {
    state: State,
    /// The letters that tell what comes: of a name, or the last of what is left out.
    word: String,
    /// Behind a tag's name: a value may begin. Elsewhere a quotation mark is a letter
    /// like others, or everything up to the next one would not be seen.
    value: bool,
}

impl Html {
    /// Adds to a text what is seen of this part.
    pub(crate) fn read(&mut self, part: &str, into: &mut String) {
        for letter in part.chars() {
            self.one(letter, into);
        }
    }

    /// Adds what was held back.
    pub(crate) fn end(&mut self, into: &mut String) {
        match self.state {
            State::Character => self.character(false, into),
            State::Name if self.word.is_empty() => into.push('<'),
            _ => {}
        }
        *self = Self::default();
    }

    fn one(&mut self, c: char, into: &mut String) {
        match self.state {
            State::Text if c == '<' => self.begin(State::Name),
            State::Text if c == '&' => self.begin(State::Character),
            State::Text => into.push(c),
            State::Character => {
                let numbered = c == '#' && self.word.is_empty();
                if (c.is_ascii_alphanumeric() || numbered) && self.word.len() < NAME_MAX {
                    self.word.push(c);
                } else {
                    self.character(c == ';', into);
                    if c != ';' {
                        self.one(c, into);
                    }
                }
            }
            State::Name => self.name(c, into),
            State::Tag(None) => match c {
                '>' => self.tag(into),
                '"' | '\'' if self.value => {
                    self.state = State::Tag(Some(c));
                    self.value = false;
                }
                c if c.is_whitespace() => {}
                c => self.value = c == '=',
            },
            State::Tag(Some(mark)) => {
                if c == mark {
                    self.state = State::Tag(None);
                }
            }
            State::Comment => {
                if c == '>' && self.word == "--" {
                    self.begin(State::Text);
                } else if c == '-' {
                    if self.word.len() < 2 {
                        self.word.push(c);
                    }
                } else {
                    self.word.clear();
                }
            }
            State::Hidden(name) => {
                if c == '<' {
                    self.word.clear();
                }
                self.word.push(c.to_ascii_lowercase());
                let (word, wanted) = (self.word.as_str(), name);
                match word.strip_prefix("</") {
                    // Its name is as an end tag's is.
                    Some(end) if end == wanted => {
                        self.word = format!("/{wanted}");
                        self.state = State::Tag(None);
                    }
                    Some(end) if wanted.starts_with(end) => {}
                    None if word == "<" => {}
                    _ => self.word.clear(),
                }
            }
        }
    }

    fn begin(&mut self, state: State) {
        self.state = state;
        self.word.clear();
    }

    fn name(&mut self, c: char, into: &mut String) {
        if self.word.is_empty() && !(c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')) {
            // It was no tag: `a < b`.
            into.push('<');
            self.begin(State::Text);
            return self.one(c, into);
        }
        if self.word == "!-" && c == '-' {
            self.state = State::Comment;
            // `<!-->` is a whole one.
            self.word = "--".to_owned();
            return;
        }
        let first = self.word.is_empty();
        let of_name = c.is_ascii_alphanumeric() || first || matches!(c, '-' | ':');
        if of_name && self.word.len() < NAME_MAX {
            self.word.push(c.to_ascii_lowercase());
        } else {
            self.state = State::Tag(None);
            self.one(c, into);
        }
    }

    /// A tag is over.
    fn tag(&mut self, into: &mut String) {
        let closes = self.word.starts_with('/');
        let name = self.word.trim_start_matches('/');
        if !WITHIN.contains(&name) {
            into.push(' ');
        }
        let hidden = HIDDEN.iter().find(|h| **h == name && !closes).copied();
        self.value = false;
        self.begin(hidden.map_or(State::Text, State::Hidden));
    }

    /// The name of a character is over.
    fn character(&mut self, ended: bool, into: &mut String) {
        match character(&self.word) {
            Some(c) => into.push(c),
            None => {
                into.push('&');
                into.push_str(&self.word);
                if ended {
                    into.push(';');
                }
            }
        }
        self.begin(State::Text);
    }
}

/// The character of that name or number.
fn character(name: &str) -> Option<char> {
    let Some(number) = name.strip_prefix('#') else {
        let latin = LATIN.iter().position(|n| *n == name);
        let latin = latin.and_then(|at| char::from_u32(160 + u32::try_from(at).ok()?));
        return latin.or_else(|| OTHERS.iter().find(|(n, _)| *n == name).map(|(_, c)| *c));
    };
    let number = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    match u8::try_from(number) {
        // These numbers are none of Unicode's letters, and mean those of Windows.
        Ok(byte @ 0x80..=0x9f) => WINDOWS_1252.decode_without_bom_handling(&[byte]).0.chars().next(),
        _ => char::from_u32(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(html: &str) -> String {
        let mut html_in_pieces = (Html::default(), String::new());
        for letter in html.chars() {
            html_in_pieces.0.read(&letter.to_string(), &mut html_in_pieces.1);
        }
        html_in_pieces.0.end(&mut html_in_pieces.1);
        let (mut whole, mut text) = (Html::default(), String::new());
        whole.read(html, &mut text);
        whole.end(&mut text);
        assert_eq!(text, html_in_pieces.1, "in pieces it is the same");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_seen_is_read_and_what_is_not_is_left_out() {
        for (html, wanted) in [
            ("<p>in<b>voi</b>ce <span style=\"a>b\">47</span>11</p>", "invoice 4711"),
            ("one<br>two<td>three</td><td>four", "one two three four"),
            (
                "Gr&uuml;&szlig;e &amp; K&#246;ln &#x20AC;5 &#147;x&#148;",
                "Gr\u{fc}\u{df}e & K\u{f6}ln \u{20ac}5 \u{201c}x\u{201d}",
            ),
            ("a&nbsp;b &nosuch; & c&", "a b &nosuch; & c&"),
            (
                "<style>p > a { color: red }</style>seen<script>if (a < b) '</p>'</SCRIPT >too",
                "seen too",
            ),
            (
                "<!-- not <b>this</b> -- nor this --><!--><!DOCTYPE html PUBLIC \"-//\">but this",
                "but this",
            ),
            // So browsers end it, too.
            ("<!DOCTYPE html PUBLIC \"-//>\">and this", "\">and this"),
            ("<title>T</title><a href='x>y'>link</a>", "link"),
            ("1 < 2 <3 <", "1 < 2 <3 <"),
            ("<![if mso]>office<![endif]><o:p></o:p>", "office"),
        ] {
            assert_eq!(seen(html), wanted, "{html}");
        }
    }

    #[test]
    fn a_quotation_mark_that_opens_no_value_hides_nothing() {
        for (html, wanted) in [
            (
                "<td width=\"50\"\">invoice</td> <td title=\"x\">4711</td>",
                "invoice 4711",
            ),
            (
                "<a title=Anna's>the contract</a> of <b title='a>b'>May</b>",
                "the contract of May",
            ),
            ("<p \">one</p><p '>two</p>", "one two"),
            (
                "<a href=>one</a> \"two\" <a title = \n 'x>y'>three</a>",
                "one \"two\" three",
            ),
            ("<style>.a { }</style \">four", "four"),
        ] {
            assert_eq!(seen(html), wanted, "{html}");
        }
    }

    #[test]
    fn whatever_it_is_it_ends_and_little_is_held() {
        for html in [
            "<",
            "&",
            "<!",
            "<!-",
            "<!--",
            "</",
            "<a '",
            "<script>",
            "<script></",
            "&#",
            "&#x110000;",
            "&#xd800;",
        ] {
            let _ = seen(html);
        }
        let mut long = Html::default();
        let mut text = String::new();
        for part in ["<", "&", "<!--", "<script>"] {
            long.read(part, &mut text);
            long.read(&"x".repeat(10_000), &mut text);
            assert!(long.word.len() <= NAME_MAX + 2);
        }
    }

    #[test]
    fn characters_have_their_names() {
        for (name, c) in [
            ("nbsp", '\u{a0}'),
            ("Agrave", '\u{c0}'),
            ("szlig", '\u{df}'),
            ("yuml", '\u{ff}'),
            ("euro", '\u{20ac}'),
        ] {
            assert_eq!(character(name), Some(c), "{name}");
        }
    }
}
