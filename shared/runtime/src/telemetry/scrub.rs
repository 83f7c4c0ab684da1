//! No person stands in a log. What an outside system answers may hold names
//! and addresses nevertheless, so its texts go through [`scrub`] first.

/// A text from outside with everything that looks like an address of a person
/// (`anna@example.org`) replaced.
#[must_use]
pub fn scrub(text: &str) -> String {
    let part_of_address = |c: char| c.is_alphanumeric() || "@.!#$%&*+-/=?^_`{|}~".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let word_end = rest.find(|c: char| !part_of_address(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(word_end);
        // "@odata.type" is no address: something must stand before the sign.
        let is_address = word
            .split_once('@')
            .is_some_and(|(local, host)| !local.is_empty() && !host.is_empty());
        out.push_str(if is_address { "(address)" } else { word });
        let other_end = after.find(part_of_address).unwrap_or(after.len());
        out.push_str(&after[..other_end]);
        rest = &after[other_end..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_do_not_reach_a_log() {
        for (text, expected) in [
            (
                "User 'anna.k+x@contoso.example' not found",
                "User '(address)' not found",
            ),
            ("<müller@exämple.de>; x", "<(address)>; x"),
            (
                "@odata.type: #microsoft.graph.user",
                "@odata.type: #microsoft.graph.user",
            ),
            ("nothing here", "nothing here"),
            ("a@b", "(address)"),
            ("", ""),
        ] {
            assert_eq!(scrub(text), expected);
        }
    }
}
