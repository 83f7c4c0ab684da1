//! The two ids of a directory's object that never change: its GUID and, for
//! accounts and groups, its security identifier. Both have a binary form on the
//! wire and a text that people and other systems know.

use offboard_domain::ObjectId;
use std::fmt;

/// An `objectGUID`. Its text is what Microsoft's tools show: the first three
/// parts are stored with the least significant byte first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Guid([u8; 16]);

/// Where each byte of the text stands in the binary form.
const TEXT_ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

impl Guid {
    /// Of the attribute's value.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Of its text, with or without braces.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
        let lengths: Vec<usize> = text.split('-').map(str::len).collect();
        if lengths != [8, 4, 4, 4, 12] || !text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
            return None;
        }
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        let mut guid = [0; 16];
        for (shown, stored) in TEXT_ORDER.iter().enumerate() {
            guid[*stored] = u8::from_str_radix(&digits[2 * shown..2 * shown + 2], 16).ok()?;
        }
        Some(Self(guid))
    }

    /// The attribute's value.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As the areas name it.
    pub(crate) fn object_id(self) -> ObjectId {
        ObjectId(self.to_string())
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shown, stored) in TEXT_ORDER.iter().enumerate() {
            if matches!(shown, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{:02x}", self.0[*stored])?;
        }
        Ok(())
    }
}

/// A security identifier, such as `S-1-5-21-1-2-3-1104`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Sid {
    authority: u64,
    parts: Vec<u32>,
}

/// Most parts that a security identifier may have ([MS-DTYP] 2.4.2).
const PARTS_MAX: usize = 15;

impl Sid {
    /// Of the attribute's value ([MS-DTYP] 2.4.2.2).
    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let [1, count, rest @ ..] = bytes else { return None };
        let (authority, parts) = rest.split_at_checked(6)?;
        if usize::from(*count) > PARTS_MAX || parts.len() != 4 * usize::from(*count) {
            return None;
        }
        Some(Self {
            authority: authority.iter().fold(0, |all, b| all << 8 | u64::from(*b)),
            parts: parts
                .chunks_exact(4)
                .map(|p| u32::from_le_bytes([p[0], p[1], p[2], p[3]]))
                .collect(),
        })
    }

    /// Of its text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.strip_prefix("S-1-")?.split('-');
        let authority = number(numbers.next()?)?;
        let parts: Option<Vec<u32>> = numbers.map(|n| u32::try_from(number(n)?).ok()).collect();
        let parts = parts.filter(|p| (1..=PARTS_MAX).contains(&p.len()))?;
        Some(Self { authority, parts })
    }

    /// The last part, which tells the accounts of one domain apart.
    pub(crate) fn relative(&self) -> u32 {
        self.parts.last().copied().unwrap_or_default()
    }

    /// Another account or group of the same domain.
    pub(crate) fn sibling(&self, relative: u32) -> Self {
        let mut sibling = self.clone();
        if let Some(last) = sibling.parts.last_mut() {
            *last = relative;
        }
        sibling
    }

    /// Whether it belongs to a domain, and not to every machine.
    pub(crate) fn is_of_a_domain(&self) -> bool {
        self.authority == 5 && self.parts.first() == Some(&21) && self.parts.len() == 5
    }

    /// Whether it is one of the groups that every machine has (`S-1-5-32-…`).
    pub(crate) fn is_built_in(&self) -> bool {
        self.authority == 5 && self.parts.first() == Some(&32)
    }
}

fn number(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S-1-{}", self.authority)?;
        self.parts.iter().try_for_each(|p| write!(f, "-{p}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_reads_as_microsofts_tools_show_it() {
        let bytes: Vec<u8> = (0..16).collect();
        let guid = Guid::of_bytes(&bytes).unwrap();
        assert_eq!(guid.to_string(), "03020100-0504-0706-0809-0a0b0c0d0e0f");
        assert_eq!(Guid::parse("{03020100-0504-0706-0809-0A0B0C0D0E0F}"), Some(guid));
        for wrong in [
            "",
            "03020100",
            "03020100-0504-0706-0809-0a0b0c0d0e0g",
            "é3020100-0504-0706-0809-0a0b0c0d0e0",
        ] {
            assert_eq!(Guid::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Guid::of_bytes(&bytes[1..]), None);
    }

    #[test]
    fn a_security_identifier_reads_both_ways_and_refuses_what_is_none() {
        let bytes = [
            1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0x50, 4, 0, 0,
        ];
        let sid = Sid::of_bytes(&bytes).unwrap();
        assert_eq!(sid.to_string(), "S-1-5-21-1-2-3-1104");
        assert_eq!(Sid::parse("S-1-5-21-1-2-3-1104"), Some(sid.clone()));
        assert_eq!(sid.relative(), 1104);
        assert_eq!(sid.sibling(513).to_string(), "S-1-5-21-1-2-3-513");
        assert!(sid.is_of_a_domain() && !sid.is_built_in());
        for wrong in [
            "",
            "S-1-5",
            "S-1-5-",
            "S-2-5-21",
            "S-1-5-21-x",
            "S-1-5-21-4294967296",
            "S-1-5-+1",
        ] {
            assert_eq!(Sid::parse(wrong), None, "{wrong}");
        }
        for end in 0..bytes.len() {
            assert_eq!(Sid::of_bytes(&bytes[..end]), None, "{end} bytes");
        }
    }
}
