//! Times as evidence writes them.

use crate::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The last second that has four digits for its year.
const LAST_SECOND: i64 = 253_402_300_799;
/// The first second of the year 0.
const FIRST_SECOND: i64 = -62_167_219_200;

/// A time to the second, written as RFC 3339 in UTC: `2026-11-22T19:57:14Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct When(i64);

impl When {
    /// Whole seconds from `earlier` to this time; negative when it is later.
    #[must_use]
    pub fn seconds_since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// The same time in the domain's own unit.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        Timestamp(self.0 * 1_000)
    }
}

impl From<Timestamp> for When {
    /// Cuts to the second, and to the years that RFC 3339 can write.
    fn from(t: Timestamp) -> Self {
        Self(t.0.div_euclid(1_000).clamp(FIRST_SECOND, LAST_SECOND))
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.timestamp().fmt(f)
    }
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a time as evidence writes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a time such as 2026-11-22T19:57:14Z")]
pub struct NotATime;

impl FromStr for When {
    type Err = NotATime;

    fn from_str(s: &str) -> Result<Self, NotATime> {
        // Read the digits where they must be, then write the time again: only
        // what reads back as itself is a time.
        let b = s.as_bytes();
        let number = |from: usize, to: usize| -> Result<i64, NotATime> {
            b.get(from..to).ok_or(NotATime)?.iter().try_fold(0, |n, c| match c {
                b'0'..=b'9' => Ok(n * 10 + i64::from(c - b'0')),
                _ => Err(NotATime),
            })
        };
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (h, m, sec) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let time = Self(days_from_civil(year, month, day) * 86_400 + h * 3_600 + m * 60 + sec);
        if time.to_string() == s { Ok(time) } else { Err(NotATime) }
    }
}

/// Days from 1970-01-01 (Howard Hinnant's published calendar algorithms).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

impl Serialize for When {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back_as_written() {
        for ms in [
            0,
            -1_000,
            951_782_400_000,
            1_795_377_434_000,
            i64::MAX,
            i64::MIN,
            4_107_542_399_999,
        ] {
            let time = When::from(Timestamp(ms));
            assert_eq!(time.to_string().parse::<When>(), Ok(time), "{ms}");
        }
    }

    #[test]
    fn only_the_one_form_is_a_time() {
        for bad in [
            "",
            "2026-11-22",
            "2026-11-22T19:57:14",
            "2026-11-22T19:57:14z",
            "2026-11-22 19:57:14Z",
            "2026-11-22T19:57:14.0Z",
            "2026-13-22T19:57:14Z",
            "2026-02-30T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T19:57:14+00:00",
            "+026-11-22T19:57:14Z",
            "2026-11-22T19:57:60Z",
        ] {
            assert_eq!(bad.parse::<When>(), Err(NotATime), "{bad}");
        }
    }
}
