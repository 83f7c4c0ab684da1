//! Names of things. Every id is either made here from a digest, or is an
//! immutable id that an outside system gave; nothing is keyed by a name or an
//! address, which people change.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// A name that may stand in a key, a label or a path, or why it may not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' is not a valid {what}: expected {expected}")]
pub struct InvalidId {
    /// What sort of id was expected.
    pub what: &'static str,
    /// What was given, shortened.
    pub given: String,
    /// The rule that it breaks.
    pub expected: &'static str,
}

/// Longest handle: it appears in file names, queue names and metric labels.
const HANDLE_MAX_CHARS: usize = 64;

fn check_handle(what: &'static str, given: &str) -> Result<(), InvalidId> {
    let fine = !given.is_empty()
        && given.len() <= HANDLE_MAX_CHARS
        && given
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fine {
        Ok(())
    } else {
        Err(InvalidId {
            what,
            given: given.chars().take(HANDLE_MAX_CHARS).collect(),
            expected: "1 to 64 of a-z, 0-9 and '-'",
        })
    }
}

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Checks and wraps a handle.
            ///
            /// # Errors
            /// [`InvalidId`] unless it is 1 to 64 of `a-z`, `0-9` and `-`.
            pub fn new(given: &str) -> Result<Self, InvalidId> {
                check_handle($what, given)?;
                Ok(Self(given.into()))
            }

            /// The handle as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(s: &str) -> Result<Self, InvalidId> {
                Self::new(s)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

handle!(
    /// One client company of the MSP.
    TenantId, "tenant"
);
handle!(
    /// An outside system as the tenant's configuration names it (`m365`), or
    /// [`System::person`] for what a human does.
    System, "system"
);

impl TenantId {
    /// Which of `of` shards a tenant belongs to: all that concerns a tenant is
    /// in one. Stable, by the digest of its handle.
    #[must_use]
    pub fn shard(&self, of: u16) -> u16 {
        let d = Digest::of(self.as_str().as_bytes());
        let n = u64::from_be_bytes([d.0[0], d.0[1], d.0[2], d.0[3], d.0[4], d.0[5], d.0[6], d.0[7]]);
        u16::try_from(n % u64::from(of.max(1))).unwrap_or(0)
    }
}

impl System {
    /// The "system" that human tasks are done in.
    #[must_use]
    pub fn person() -> Self {
        Self("person".into())
    }
}

/// An immutable id that an outside system gave to one of its objects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ObjectId(pub String);

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for ObjectId {
    fn from(s: &str) -> Self {
        Self(s.to_owned())
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        out.push(DIGITS[usize::from(b >> 4)] as char);
        out.push(DIGITS[usize::from(b & 15)] as char);
    }
    out
}

fn unhex<const N: usize>(s: &str) -> Option<[u8; N]> {
    let s = s.as_bytes();
    if s.len() != N * 2 {
        return None;
    }
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let mut out = [0; N];
    for (i, slot) in out.iter_mut().enumerate() {
        *slot = (digit(s[2 * i])? << 4) | digit(s[2 * i + 1])?;
    }
    Some(out)
}

macro_rules! digest_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $prefix:literal, $what:literal, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                f.write_str(&hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(s: &str) -> Result<Self, InvalidId> {
                s.strip_prefix($prefix).and_then(unhex).map(Self).ok_or_else(|| InvalidId {
                    what: $what,
                    given: s.chars().take(80).collect(),
                    expected: $rule,
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

digest_id!(
    /// One case: a digest of the tenant and the source's own reference.
    CaseId, 10, "c-", "case id", "'c-' and 20 hexadecimal digits"
);
digest_id!(
    /// One task: a digest of case, kind and target.
    TaskId, 10, "t-", "task id", "'t-' and 20 hexadecimal digits"
);
digest_id!(
    /// A SHA-256 digest.
    Digest, 32, "", "digest", "64 hexadecimal digits"
);

impl Digest {
    /// The digest before the first event of a case.
    pub const ZERO: Self = Self([0; 32]);

    /// SHA-256 of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// SHA-256 of several parts, each preceded by its length, so that no two
    /// different lists of parts have the same digest.
    #[must_use]
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut h = Sha256::new();
        for part in parts {
            h.update((part.len() as u64).to_be_bytes());
            h.update(part);
        }
        Self(h.finalize().into())
    }

    fn short(self) -> [u8; 10] {
        let mut out = [0; 10];
        out.copy_from_slice(&self.0[..10]);
        out
    }
}

impl CaseId {
    /// The id of the case that this tenant's reference opens.
    #[must_use]
    pub fn derive(tenant: &TenantId, reference: &str) -> Self {
        let d = Digest::of_parts(&[b"offboard.case", tenant.as_str().as_bytes(), reference.as_bytes()]);
        Self(d.short())
    }
}

impl TaskId {
    /// The id of the task of this kind on this target in this case.
    #[must_use]
    pub fn derive(case: CaseId, kind: &str, system: &System, object: Option<&ObjectId>) -> Self {
        let object = object.map_or("", |o| o.0.as_str());
        let d = Digest::of_parts(&[
            b"offboard.task",
            &case.0,
            kind.as_bytes(),
            system.as_str().as_bytes(),
            object.as_bytes(),
        ]);
        Self(d.short())
    }
}

/// What the id of every request of one attempt begins with, where a vendor lets
/// its callers name their requests. So the vendor's own log names the attempt,
/// also for a request whose answer never came and of which there is no receipt.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptMark([u8; 6]);

impl AttemptMark {
    /// Of this attempt at this task.
    #[must_use]
    pub fn of(task: TaskId, attempt: u32) -> Self {
        let d = Digest::of_parts(&[b"offboard.attempt", &task.0, &attempt.to_be_bytes()]);
        let [a, b, c, d, e, f, ..] = d.0;
        Self([a, b, c, d, e, f])
    }

    /// Its six bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; 6] {
        self.0
    }
}

impl fmt::Display for AttemptMark {
    /// As a GUID begins: `3f2a9c0d-11aa`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = hex(&self.0);
        write!(f, "{}-{}", &hex[..8], &hex[8..])
    }
}

impl fmt::Debug for AttemptMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_of_an_attempt_is_its_own() {
        let case = CaseId::derive(&TenantId::new("acme").unwrap(), "HR-1");
        let system = System::new("m365").unwrap();
        let [one, two] = ["a.one", "a.two"].map(|kind| TaskId::derive(case, kind, &system, None));
        let marks = [(one, 1), (one, 2), (two, 1)].map(|(task, attempt)| AttemptMark::of(task, attempt));
        assert!(marks[0] != marks[1] && marks[0] != marks[2] && marks[1] != marks[2]);
        assert_eq!(marks[0], AttemptMark::of(one, 1));
        let shown = marks[0].to_string();
        let form: Vec<usize> = shown.split('-').map(str::len).collect();
        assert_eq!(form, [8, 4], "{shown}");
    }

    #[test]
    fn ids_read_back_as_written() {
        let tenant = TenantId::new("acme").unwrap();
        let case = CaseId::derive(&tenant, "HR-1");
        assert_eq!(case.to_string().parse::<CaseId>().unwrap(), case);
        let json = serde_json::to_string(&case).unwrap();
        assert_eq!(serde_json::from_str::<CaseId>(&json).unwrap(), case);
    }

    #[test]
    fn handles_refuse_what_could_break_a_key() {
        for bad in ["", "A", "a b", "a/b", "a:b}{c", "ä", &"a".repeat(65)] {
            assert!(TenantId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn parts_cannot_be_shifted_between_fields() {
        assert_ne!(Digest::of_parts(&[b"ab", b"c"]), Digest::of_parts(&[b"a", b"bc"]));
    }
}
