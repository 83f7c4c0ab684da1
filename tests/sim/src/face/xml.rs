//! Whether a text is well-formed XML, as far as a page's content takes: elements with
//! attributes, text, references. Whatever else there is in XML is refused.

use std::collections::BTreeSet;

/// References that need no declaration here.
const NAMED: [&str; 6] = ["amp", "lt", "gt", "quot", "apos", "nbsp"];

enum Tag<'a> {
    Opens(&'a str),
    Closes(&'a str),
    Whole,
}

/// Whether it may stand within an element.
pub(super) fn is_well_formed(text: &str) -> bool {
    if !text.chars().all(is_allowed) {
        return false;
    }
    let (mut open, mut rest) = (Vec::new(), text);
    while let Some((before, behind)) = rest.split_once('<') {
        let Some((tag, after)) = tag(behind) else {
            return false;
        };
        let fits = match tag {
            Tag::Opens(name) => {
                open.push(name);
                true
            }
            Tag::Closes(name) => open.pop() == Some(name),
            Tag::Whole => true,
        };
        if !fits || !is_text(before) {
            return false;
        }
        rest = after;
    }
    open.is_empty() && is_text(rest)
}

/// A tag without its `<`, and what follows it.
fn tag(text: &str) -> Option<(Tag<'_>, &str)> {
    if let Some(text) = text.strip_prefix('/') {
        let (of, rest) = name(text)?;
        return Some((Tag::Closes(of), rest.trim_start().strip_prefix('>')?));
    }
    let (of, mut rest) = name(text)?;
    let mut attributes = BTreeSet::new();
    loop {
        let behind = rest.trim_start();
        if let Some(after) = behind.strip_prefix("/>") {
            return Some((Tag::Whole, after));
        }
        if let Some(after) = behind.strip_prefix('>') {
            return Some((Tag::Opens(of), after));
        }
        if behind.len() == rest.len() {
            // Nothing parts it from what stands before.
            return None;
        }
        let (attribute, after) = name(behind)?;
        let after = after.trim_start().strip_prefix('=')?.trim_start();
        let mark = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, after) = after.strip_prefix(mark)?.split_once(mark)?;
        if value.contains('<') || !is_text(value) || !attributes.insert(attribute) {
            return None;
        }
        rest = after;
    }
}

fn name(text: &str) -> Option<(&str, &str)> {
    let of_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    let end = text.find(|c: char| !of_name(c)).unwrap_or(text.len());
    let begins = text.starts_with(|c: char| c.is_alphabetic() || c == '_');
    begins.then(|| text.split_at(end))
}

/// Whether every `&` begins a reference.
fn is_text(text: &str) -> bool {
    let mut behind = text.split('&').skip(1);
    behind.all(|after| after.split_once(';').is_some_and(|(name, _)| is_reference(name))) && !text.contains("]]>")
}

fn is_reference(name: &str) -> bool {
    let Some(number) = name.strip_prefix('#') else {
        return NAMED.contains(&name);
    };
    let number = match number.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => number.parse().ok(),
    };
    number.and_then(char::from_u32).is_some_and(is_allowed)
}

/// Not every character may stand in XML.
fn is_allowed(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        c => c >= ' ',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_xml_is_refused() {
        for fine in [
            "",
            "text &amp; more",
            "<p/>",
            "<p>a<br />b</p><h2 local-id='0a' a:b=\"c&quot;d>\">x &#252;&#xFC;</h2 >",
        ] {
            assert!(is_well_formed(fine), "{fine}");
        }
        for wrong in [
            "<p>",
            "</p>",
            "<b><i></b></i>",
            "a & b",
            "a &nosuch; b",
            "&#0;",
            "\u{1}",
            "<p a=b/>",
            "<p a=\"<\"/>",
            "<p a=\"1\" a=\"2\"/>",
            "<p a=\"1\"b=\"2\"/>",
            "<p a/>",
            "a < b",
            "<!-- -->",
            "<",
            "]]>",
        ] {
            assert!(!is_well_formed(wrong), "{wrong}");
        }
    }
}
