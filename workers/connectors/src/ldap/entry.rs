//! One object as the server described it. What does not have the shape of an
//! answer is none: a server can send what it likes.

use super::id::{Guid, Sid};
use ldap3::ResultEntry;
use ldap3::asn1::StructureTag;
use std::collections::BTreeMap;

/// The tag of a search result's entry (RFC 4511, 4.5.2).
const SEARCH_RESULT_ENTRY: u64 = 4;

/// From Windows' first day (1601) to Unix's, in milliseconds.
const WINDOWS_TO_UNIX_MS: i64 = 11_644_473_600_000;
/// Windows counts time in ten-millionths of a second.
const WINDOWS_TICKS_PER_MS: i64 = 10_000;

/// An object, with the attributes that were asked for and that the reader may see.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    /// Its name, as the server writes it.
    pub(crate) name: String,
    /// Values by the attribute's name in lower case.
    values: BTreeMap<String, Vec<Vec<u8>>>,
    /// Attributes of which there are more values, and where those begin.
    pub(crate) unfinished: BTreeMap<String, usize>,
}

impl Entry {
    /// Reads an entry; none if it is not one.
    pub(crate) fn read(result: ResultEntry) -> Option<Self> {
        let mut parts = result
            .0
            .match_id(SEARCH_RESULT_ENTRY)?
            .expect_constructed()?
            .into_iter();
        let mut entry = Self {
            name: text(parts.next()?)?,
            ..Self::default()
        };
        for attribute in parts.next()?.expect_constructed()? {
            let mut parts = attribute.expect_constructed()?.into_iter();
            let given = text(parts.next()?)?;
            let values: Option<Vec<Vec<u8>>> = parts
                .next()?
                .expect_constructed()?
                .into_iter()
                .map(StructureTag::expect_primitive)
                .collect();
            entry.take(&given, values?);
        }
        Some(entry)
    }

    /// An attribute may come in part, as `member;range=0-1499`; the last part's
    /// range ends with `*`.
    pub(super) fn take(&mut self, given: &str, values: Vec<Vec<u8>>) {
        let given = given.to_ascii_lowercase();
        let (attribute, options) = given.split_once(';').unwrap_or((&given, ""));
        let last = options.strip_prefix("range=").and_then(|range| range.split_once('-'));
        if let Some(last) = last.and_then(|(_, last)| last.parse::<usize>().ok()) {
            self.unfinished.insert(attribute.to_owned(), last.saturating_add(1));
        }
        let have = self.values.entry(attribute.to_owned()).or_default();
        have.extend(values);
    }

    /// Adds what another reading of the same object brought.
    pub(crate) fn add(&mut self, more: Self) {
        for (attribute, values) in more.values {
            self.values.entry(attribute).or_default().extend(values);
        }
        self.unfinished = more.unfinished;
    }

    /// How many values it holds.
    pub(crate) fn size(&self) -> usize {
        self.values.values().map(Vec::len).sum()
    }

    fn all(&self, attribute: &str) -> &[Vec<u8>] {
        self.values
            .get(&attribute.to_ascii_lowercase())
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    fn bytes(&self, attribute: &str) -> Option<&[u8]> {
        self.all(attribute).first().map(Vec::as_slice)
    }

    /// Its first value, as text.
    pub(crate) fn text(&self, attribute: &str) -> Option<&str> {
        std::str::from_utf8(self.bytes(attribute)?)
            .ok()
            .filter(|t| !t.is_empty())
    }

    /// All its values that are text.
    pub(crate) fn texts(&self, attribute: &str) -> impl Iterator<Item = &str> {
        self.all(attribute).iter().filter_map(|v| std::str::from_utf8(v).ok())
    }

    /// Whether one of its values is this, whatever the case of its letters.
    pub(crate) fn has(&self, attribute: &str, value: &str) -> bool {
        self.texts(attribute).any(|v| v.eq_ignore_ascii_case(value))
    }

    /// A number.
    pub(crate) fn int(&self, attribute: &str) -> Option<i64> {
        self.text(attribute)?.parse().ok()
    }

    /// A truth; what is not set is false.
    pub(crate) fn is_true(&self, attribute: &str) -> bool {
        self.text(attribute) == Some("TRUE")
    }

    /// Its GUID.
    pub(crate) fn guid(&self) -> Option<Guid> {
        Guid::of_bytes(self.bytes("objectGUID")?)
    }

    /// Its security identifier.
    pub(crate) fn sid(&self) -> Option<Sid> {
        Sid::of_bytes(self.bytes("objectSid")?)
    }

    /// Security identifiers that an attribute holds.
    pub(crate) fn sids(&self, attribute: &str) -> impl Iterator<Item = Sid> {
        self.all(attribute).iter().filter_map(|v| Sid::of_bytes(v))
    }

    /// The GUIDs of the objects that an attribute names: asked for with the
    /// control for extended names, a name begins with `<GUID=…>;`.
    pub(crate) fn linked(&self, attribute: &str) -> impl Iterator<Item = Guid> {
        self.texts(attribute).filter_map(linked_guid)
    }

    /// A time in Windows' ticks, as milliseconds since 1970; never set is zero.
    pub(crate) fn windows_time_ms(&self, attribute: &str) -> Option<i64> {
        let ticks = self.int(attribute)?;
        Some(if ticks <= 0 {
            0
        } else {
            ticks / WINDOWS_TICKS_PER_MS - WINDOWS_TO_UNIX_MS
        })
    }
}

fn text(tag: StructureTag) -> Option<String> {
    String::from_utf8(tag.expect_primitive()?).ok()
}

fn linked_guid(name: &str) -> Option<Guid> {
    Guid::parse(name.strip_prefix("<GUID=")?.split_once('>')?.0)
}

/// A time as directories write it (`20261126174000.0Z`), in milliseconds since
/// 1970.
pub(crate) fn generalized_time_ms(text: &str) -> Option<i64> {
    let digits = text.get(..14).filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
    if !text.ends_with('Z') {
        return None;
    }
    let two = |at: usize| digits[at..at + 2].parse::<i8>().ok();
    let date_time = jiff::civil::DateTime::new(
        digits[..4].parse().ok()?,
        two(4)?,
        two(6)?,
        two(8)?,
        two(10)?,
        two(12)?,
        0,
    );
    let zoned = date_time.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_in_parts_and_say_where_the_next_begins() {
        let mut entry = Entry::default();
        entry.take("memberOf;range=0-1", vec![b"a".to_vec(), b"b".to_vec()]);
        assert_eq!(entry.unfinished.get("memberof"), Some(&2));
        let mut rest = Entry::default();
        rest.take("memberOf;range=2-*", vec![b"c".to_vec()]);
        entry.add(rest);
        assert_eq!(entry.texts("memberOf").collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(entry.unfinished.is_empty() && entry.size() == 3);
    }

    #[test]
    fn times_and_links_read_or_are_none() {
        let mut entry = Entry::default();
        entry.take("pwdLastSet", vec![b"116444736010000000".to_vec()]);
        entry.take("never", vec![b"0".to_vec()]);
        let linked = "<GUID=03020100-0504-0706-0809-0a0b0c0d0e0f>;<SID=S-1-5-21-1-2-3-4>;CN=x";
        entry.take(
            "memberOf",
            vec![linked.into(), b"CN=plain".to_vec(), b"<GUID=".to_vec()],
        );
        assert_eq!(entry.windows_time_ms("pwdlastset"), Some(1_000));
        assert_eq!(entry.windows_time_ms("never"), Some(0));
        assert_eq!(entry.linked("memberOf").count(), 1);
        assert_eq!(generalized_time_ms("19700101000001.0Z"), Some(1_000));
        for wrong in ["", "1970", "19701301000000.0Z", "19700101000001.0", "é970010100000.0Z"] {
            assert_eq!(generalized_time_ms(wrong), None, "{wrong}");
        }
    }
}
