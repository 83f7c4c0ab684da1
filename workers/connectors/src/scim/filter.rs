//! Filters (RFC 7644 section 3.4.2.2) whose values cannot leave their quotes.

use super::settings::MatchBy;

/// A filter.
#[derive(Clone)]
pub(super) struct Filter(String);

impl Filter {
    /// `attribute eq "value"`. A value is a JSON string by the RFC's grammar, so
    /// quotes, backslashes and controls are escaped as JSON's are.
    pub(super) fn equals(by: MatchBy, value: &str) -> Self {
        Self(format!("{} eq {}", by.path(), serde_json::Value::from(value)))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::ExternalId;
    use super::*;

    #[test]
    fn a_hostile_value_stays_in_its_quotes() {
        for (value, text) in [
            ("o'brien@x.test", r#"userName eq "o'brien@x.test""#),
            (
                r#"a" or userName pr or "b"#,
                r#"userName eq "a\" or userName pr or \"b""#,
            ),
            (r"a\", r#"userName eq "a\\""#),
            (r#"a\" or 1 eq 1"#, r#"userName eq "a\\\" or 1 eq 1""#),
            ("a\n\u{1}", r#"userName eq "a\n\u0001""#),
            ("ü", r#"userName eq "ü""#),
            ("", r#"userName eq """#),
        ] {
            let filter = Filter::equals(MatchBy::UserName, value);
            assert_eq!(filter.text(), text);
            let (_, quoted) = filter.text().split_once(" eq ").unwrap();
            assert_eq!(serde_json::from_str::<String>(quoted).unwrap(), value);
        }
    }

    #[test]
    fn each_attribute_is_compared_by_its_path() {
        let text = |by| Filter::equals(by, "x").text().to_owned();
        assert_eq!(text(MatchBy::Emails), r#"emails.value eq "x""#);
        assert_eq!(
            text(MatchBy::ExternalId(ExternalId::EmployeeId)),
            r#"externalId eq "x""#
        );
    }
}
