//! A serial number that can tell one device from another.
//!
//! Firmware is full of numbers that a maker left as they came: "To be filled by
//! O.E.M.", "Default string", "0", a row of one digit. Matched by those, a
//! thousand computers would be one. They are no serial numbers here, nor is
//! anything too short to be unique, too long, or not of printable ASCII.

use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// A serial number in its one spelling: upper case, without blanks.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Serial(String);

/// Shorter ones are asset numbers, or what was typed to please a form.
const SHORTEST: usize = 4;
/// Longer ones are texts.
const LONGEST: usize = 64;

/// What stands where a maker set nothing: letters and digits alone, lower case.
const UNSET: &[&str] = &[
    "none",
    "null",
    "empty",
    "unknown",
    "invalid",
    "default",
    "defaultstring",
    "serial",
    "serialnumber",
    "serialno",
    "noserial",
    "noserialnumber",
    "systemserialnumber",
    "systemserial",
    "chassisserialnumber",
    "baseboardserialnumber",
    "biosserialnumber",
    "tobefilledbyoem",
    "tobefilled",
    "tobedefined",
    "tobeset",
    "filledbyoem",
    "oem",
    "oemstring",
    "notset",
    "notavailable",
    "notapplicable",
    "notspecified",
    "notpresent",
    "unspecified",
    "undefined",
    "assettag",
    "sample",
    "test",
    "innotek",
    "parallels",
    "vmware",
    "virtualbox",
    "012345678",
    "0123456789",
    "123456",
    "1234567",
    "12345678",
    "123456789",
    "1234567890",
    "abcdefgh",
];

impl Serial {
    /// The serial number that this text is, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        // Before anything is made of it: it comes from outside.
        if text.len() > 4 * LONGEST || !text.bytes().all(|b| b == b' ' || b == b'\t' || b.is_ascii_graphic()) {
            return None;
        }
        let serial: String = text
            .chars()
            .filter(|c| !c.is_whitespace())
            .collect::<String>()
            .to_ascii_uppercase();
        let bare: String = serial
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_ascii_lowercase();
        let of_one_sign = bare.bytes().all(|b| Some(b) == bare.bytes().next());
        let long_enough = bare.len() >= SHORTEST && serial.len() <= LONGEST;
        (long_enough && !of_one_sign && !UNSET.contains(&bare.as_str())).then_some(Self(serial))
    }

    /// Its spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Serial {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("this is no serial number"))
    }
}
