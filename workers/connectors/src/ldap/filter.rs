//! What is looked for, and where. Neither can be written wrongly: a value gets
//! into a filter or a name through the functions below alone, which escape it.

use super::id::{Guid, Sid};
use std::fmt;

/// A search filter (RFC 4515), made of these functions and of nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter(String);

impl Filter {
    /// The attribute has this value, as the directory compares it.
    pub(crate) fn equals(attribute: &'static str, value: &str) -> Self {
        Self(format!("({attribute}={})", escaped(value.as_bytes())))
    }

    /// The object has this GUID, which is compared as the bytes that it is.
    pub(crate) fn guid(guid: &Guid) -> Self {
        Self(format!("(objectGUID={})", escaped(guid.bytes())))
    }

    /// Everything.
    pub(crate) fn any() -> Self {
        Self("(objectClass=*)".to_owned())
    }

    /// All of these.
    pub(crate) fn all(of: &[Self]) -> Self {
        Self::joined('&', of)
    }

    /// One of these.
    pub(crate) fn one_of(of: &[Self]) -> Self {
        Self::joined('|', of)
    }

    /// Accounts of people: no computer, no contact, no managed service account.
    pub(crate) fn people() -> Self {
        Self::all(&[
            Self::equals("objectCategory", "person"),
            Self::equals("objectClass", "user"),
        ])
    }

    fn joined(sign: char, of: &[Self]) -> Self {
        let inner: String = of.iter().map(|f| f.0.as_str()).collect();
        Self(format!("({sign}{inner})"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Every byte that is no letter or digit, as `\xx`: what needs no escape loses
/// nothing by it.
fn escaped(value: &[u8]) -> String {
    use fmt::Write as _;
    value.iter().fold(String::new(), |mut out, b| {
        if b.is_ascii_alphanumeric() {
            out.push(char::from(*b));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\{b:02x}");
        }
        out
    })
}

/// An object's place, by what it is and not by what it is called: whoever moves
/// or renames it in between misdirects nothing. ([MS-ADTS] 3.1.1.3.1.2.4: a
/// name may be written as an id in angle brackets.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum At {
    /// The server's own description.
    Root,
    /// The object with this GUID.
    Guid(Guid),
    /// The account or group with this security identifier.
    Sid(Sid),
    /// What the configuration or the server itself has named.
    Name(Name),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Guid(guid) => write!(f, "<GUID={guid}>"),
            Self::Sid(sid) => write!(f, "<SID={sid}>"),
            Self::Name(name) => f.write_str(name.as_str()),
        }
    }
}

/// A distinguished name (RFC 4514), as it was given; parsed, so that it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Reads a name: parts `type=value` between commas, each escaped as it must
    /// be. None if it is not one, or is empty.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parts = parts(text);
        parts.iter().all(|p| is_part(p)).then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Its first part, escaped as it stands there: what the object keeps when
    /// it moves.
    pub(crate) fn first(&self) -> &str {
        parts(&self.0).first().copied().unwrap_or_default()
    }
}

/// The parts between the commas that no backslash and no quotation protects.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut from, mut escaped) = (0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b',' => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

fn is_part(part: &str) -> bool {
    let Some((kind, value)) = part.split_once('=') else {
        return false;
    };
    let kind = kind.trim_start_matches(' ');
    let named = !kind.is_empty()
        && kind
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    let mut bytes = value.bytes();
    let mut sound = !value.is_empty();
    while let Some(b) = bytes.next() {
        sound &= match b {
            b'\\' => bytes.next().is_some(),
            b'"' | b'<' | b'>' | b';' | 0 => false,
            _ => true,
        };
    }
    named && sound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_comes_in_can_close_or_widen_a_filter() {
        let hostile = [
            ("a)(objectClass=*", r"a\29\28objectClass\3d\2a"),
            ("*", r"\2a"),
            ("\\2a", r"\5c2a"),
            ("nul\0", r"nul\00"),
            ("Zoë|&!", r"Zo\c3\ab\7c\26\21"),
        ];
        for (value, written) in hostile {
            assert_eq!(Filter::equals("mail", value).as_str(), format!("(mail={written})"));
            assert!(ldap3::parse_filter(Filter::equals("mail", value).as_str()).is_ok());
        }
        // 41 is an A, and 2a a star.
        let guid = Guid::parse("2a415c28-0029-00ff-8041-0a0b0c0d0e0f").unwrap();
        let written = r"(objectGUID=\28\5cA\2a\29\00\ff\00\80A\0a\0b\0c\0d\0e\0f)";
        assert_eq!(Filter::guid(&guid).as_str(), written);
        assert!(ldap3::parse_filter(written).is_ok());
        let nested = Filter::all(&[Filter::people(), Filter::one_of(&[Filter::equals("mail", "a@b")])]);
        assert_eq!(
            nested.as_str(),
            r"(&(&(objectCategory=person)(objectClass=user))(|(mail=a\40b)))"
        );
    }

    #[test]
    fn a_name_is_one_or_is_refused_and_its_first_part_is_kept_as_it_stands() {
        for (name, first) in [
            ("OU=Leavers,DC=corp,DC=test", "OU=Leavers"),
            (r"CN=Roe\, Jane \<x\>,OU=A,DC=b", r"CN=Roe\, Jane \<x\>"),
            (r"CN=back\\slash,DC=b", r"CN=back\\slash"),
            ("cn=ü,dc=b", "cn=ü"),
        ] {
            assert_eq!(Name::parse(name).unwrap().first(), first);
        }
        for wrong in [
            "",
            "OU",
            "OU=",
            "=x",
            "OU=a,,DC=b",
            "OU=a,",
            "<GUID=x>",
            "OU=a;DC=b",
            "O U=a",
            "OU=a\\",
        ] {
            assert_eq!(Name::parse(wrong), None, "{wrong}");
        }
    }
}
