//! The devices of one person, as several systems know them.
//!
//! A laptop has one record in the device management, one in the directory and
//! one in the remote management (RMM), each under an id of its own. What they
//! have in common is the serial number, if it is one; and, in a cloud and in the
//! domain that a device is joined to as well, the id that the device itself
//! carries. This owns what a serial number is, which records are of one device,
//! and what follows for a device that one system knows and another does not. It
//! refuses to guess: a number that a maker left unset, and one that two records of
//! a system carry, lead to nothing.
//!
//! By the same rules one device's tasks are told from another's, so that what is done to a
//! laptop waits for what is done to it, and not for one that never comes back. There, too,
//! nothing is guessed: what cannot be told apart waits.
//!
//! Whoever looks for devices records each as facts, `held/ID`, `serial/ID` and
//! `device_id/ID`; so any two of a case can be compared from the case alone.

pub mod logon;
mod serial;
mod tasks;
#[cfg(test)]
mod tests;

pub use serial::Serial;
pub(crate) use tasks::{Kept, has_noted};

use crate::case::Case;
use crate::catalogue::Area;
use crate::id::{ObjectId, System};
use crate::observation::Facts;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a record of a device means for what may be done with the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Holding {
    /// The directory lists it; nothing there can be ordered of it.
    #[serde(rename = "listed")]
    Listed,
    /// A remote management's agent is on it.
    #[serde(rename = "remote")]
    Remote,
    /// A workspace has it as the company's: it can be disabled there, and not wiped.
    #[serde(rename = "managed_workspace")]
    ManagedWorkspace,
    /// The device management has it, and does not say whose it is.
    #[serde(rename = "managed_unknown")]
    ManagedUnknown,
    /// The device management has it as the company's: it can be wiped.
    #[serde(rename = "managed_company")]
    ManagedCompany,
    /// The device management has it as the person's own.
    #[serde(rename = "managed_personal")]
    ManagedPersonal,
}

impl Holding {
    const ALL: [Self; 6] = [
        Self::Listed,
        Self::Remote,
        Self::ManagedWorkspace,
        Self::ManagedUnknown,
        Self::ManagedCompany,
        Self::ManagedPersonal,
    ];

    /// The word in facts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Remote => "remote",
            Self::ManagedWorkspace => "managed_workspace",
            Self::ManagedUnknown => "managed_unknown",
            Self::ManagedCompany => "managed_company",
            Self::ManagedPersonal => "managed_personal",
        }
    }

    /// The holding of that word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|h| h.word() == word)
    }
}

/// One record of a device in one system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sighting {
    /// In which system.
    pub system: System,
    /// Its id there.
    pub id: ObjectId,
    /// Its serial number, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// The id that the device itself carries, in lower case, if it is known: the same
    /// in a cloud and, as the id of its computer, in the domain that it is joined to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// What the record means.
    pub held: Holding,
}

const DEVICE_ID: &str = "device_id/";
const SERIAL: &str = "serial/";
const HELD: &str = "held/";
/// Before the facts of a record of another system, in an assignment.
const ELSEWHERE: &str = "elsewhere/";

/// Records a device among the facts of the finder that saw it.
pub fn note(facts: &mut Facts, id: &ObjectId, serial: Option<&Serial>, held: Holding) {
    facts.set(&format!("{HELD}{id}"), held.word());
    if let Some(serial) = serial {
        facts.set(&format!("{SERIAL}{id}"), serial.as_str());
    }
}

/// Records beside it the id that the device itself carries.
pub fn note_device_id(facts: &mut Facts, id: &ObjectId, device_id: &str) {
    facts.set(&format!("{DEVICE_ID}{id}"), device_id.to_lowercase());
}

/// The devices among the facts of a finder.
#[must_use]
pub fn noted(system: &System, facts: &Facts) -> Vec<Sighting> {
    let held = facts.0.iter().filter_map(|(name, fact)| {
        let id = name.strip_prefix(HELD)?;
        match fact {
            crate::observation::Fact::Text(word) => Some((id, Holding::named(word)?)),
            _ => None,
        }
    });
    held.map(|(id, held)| Sighting {
        system: system.clone(),
        id: ObjectId::from(id),
        serial: facts.text(&format!("{SERIAL}{id}")).and_then(Serial::parse),
        device_id: facts.text(&format!("{DEVICE_ID}{id}")).map(str::to_lowercase),
        held,
    })
    .collect()
}

/// What other systems know, as parameters of an assignment.
#[must_use]
pub fn told(others: &[Sighting]) -> Facts {
    let mut params = Facts::new();
    for one in others {
        let mut facts = Facts::new();
        note(&mut facts, &one.id, one.serial.as_ref(), one.held);
        if let Some(device_id) = &one.device_id {
            note_device_id(&mut facts, &one.id, device_id);
        }
        for (name, fact) in facts.0 {
            params.set(&format!("{ELSEWHERE}{}/{name}", one.system), fact);
        }
    }
    params
}

/// The same, read from the parameters.
#[must_use]
pub fn heard(params: &Facts) -> Vec<Sighting> {
    let mut by_system: BTreeMap<System, Facts> = BTreeMap::new();
    for (name, fact) in &params.0 {
        let named = name.strip_prefix(ELSEWHERE).and_then(|n| n.split_once('/'));
        // A handle has no slash; an id may have some.
        let Some((Ok(system), rest)) = named.map(|(s, rest)| (System::new(s), rest)) else {
            continue;
        };
        by_system.entry(system).or_default().set(rest, fact.clone());
    }
    by_system
        .iter()
        .flat_map(|(system, facts)| noted(system, facts))
        .collect()
}

/// What the other systems make of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Elsewhere {
    /// It has no serial number by which it could be known again.
    NoSerial,
    /// Two records of one system carry its serial number.
    Ambiguous,
    /// No other system knows it.
    Unknown,
    /// Others know it; this is what weighs most.
    Known(Holding),
}

impl Elsewhere {
    /// The word in facts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NoSerial => "no_serial",
            Self::Ambiguous => "ambiguous",
            Self::Unknown => "unknown",
            Self::Known(held) => held.word(),
        }
    }

    /// What that word means.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "no_serial" => Some(Self::NoSerial),
            "ambiguous" => Some(Self::Ambiguous),
            "unknown" => Some(Self::Unknown),
            held => Holding::named(held).map(Self::Known),
        }
    }

    /// Whether another system can wipe it as the company's device.
    #[must_use]
    pub fn can_wipe(self) -> bool {
        self == Self::Known(Holding::ManagedCompany)
    }
}

/// Two systems' devices, compared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// What the others make of each of mine.
    pub of: BTreeMap<ObjectId, Elsewhere>,
    /// What others manage and none of mine is, certainly or because it has no
    /// serial number.
    pub only_elsewhere: BTreeSet<(System, ObjectId)>,
}

/// Compares the devices of one system with those of others.
#[must_use]
pub fn compare(mine: &[Sighting], others: &[Sighting]) -> Comparison {
    let mut out = Comparison::default();
    let ambiguous = carried_twice(mine.iter().chain(others));
    let lent = Lent::of(mine.iter().chain(others));
    for one in mine {
        let elsewhere = match lent.serial(one) {
            None => Elsewhere::NoSerial,
            Some(serial) if ambiguous.contains(serial) => Elsewhere::Ambiguous,
            Some(serial) => others
                .iter()
                .filter(|o| lent.serial(o) == Some(serial))
                .map(|o| o.held)
                .max()
                .map_or(Elsewhere::Unknown, Elsewhere::Known),
        };
        out.of.insert(one.id.clone(), elsewhere);
    }
    let known: BTreeSet<&Serial> = mine.iter().filter_map(|m| lent.serial(m)).collect();
    for one in others {
        if !lent.serial(one).is_some_and(|s| known.contains(s)) {
            out.only_elsewhere.insert((one.system.clone(), one.id.clone()));
        }
    }
    out
}

/// The serial number of each device that is known by the id that it carries: a record
/// without a number is of the device whose number another record of that id has. None:
/// records of that id have different numbers.
struct Lent<'a>(BTreeMap<&'a str, Option<&'a Serial>>);

impl<'a> Lent<'a> {
    fn of(all: impl Iterator<Item = &'a Sighting>) -> Self {
        let mut by_id: BTreeMap<&str, Option<&Serial>> = BTreeMap::new();
        for one in all {
            let (Some(id), Some(serial)) = (&one.device_id, &one.serial) else {
                continue;
            };
            let first = by_id.entry(id).or_insert(Some(serial));
            if *first != Some(serial) {
                *first = None;
            }
        }
        Self(by_id)
    }

    /// The number that a record has, or that is lent to it.
    fn serial(&self, one: &'a Sighting) -> Option<&'a Serial> {
        let lent = || *self.0.get(one.device_id.as_deref()?)?;
        one.serial.as_ref().or_else(lent)
    }
}

/// The serial numbers that several records of one system carry.
fn carried_twice<'a>(all: impl Iterator<Item = &'a Sighting>) -> BTreeSet<Serial> {
    let mut seen: BTreeMap<(&System, &Serial), &ObjectId> = BTreeMap::new();
    let mut twice = BTreeSet::new();
    for one in all {
        let Some(serial) = &one.serial else { continue };
        let first = seen.entry((&one.system, serial)).or_insert(&one.id);
        if **first != one.id {
            twice.insert(serial.clone());
        }
    }
    twice
}

/// One device, with every record of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownDevice {
    /// Its serial number; without one it stands alone, but for records of the same id
    /// that the device itself carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// Whether two records of one system carry it, so that they may be of
    /// different devices.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ambiguous: bool,
    /// Where it was seen.
    pub seen: Vec<Sighting>,
}

/// Puts records of the same device together.
#[must_use]
pub fn join(sightings: &[Sighting]) -> Vec<KnownDevice> {
    let ambiguous = carried_twice(sightings.iter());
    let lent = Lent::of(sightings.iter());
    let mut by_serial: BTreeMap<&Serial, Vec<Sighting>> = BTreeMap::new();
    let mut by_device_id: BTreeMap<&str, Vec<Sighting>> = BTreeMap::new();
    let mut alone = Vec::new();
    for one in sightings {
        match (lent.serial(one), &one.device_id) {
            (Some(serial), _) => by_serial.entry(serial).or_default().push(one.clone()),
            (None, Some(id)) => by_device_id.entry(id).or_default().push(one.clone()),
            (None, None) => alone.push(vec![one.clone()]),
        }
    }
    let with = by_serial.into_iter().map(|(serial, seen)| KnownDevice {
        serial: Some(serial.clone()),
        ambiguous: ambiguous.contains(serial),
        seen,
    });
    let without = by_device_id.into_values().chain(alone).map(|seen| KnownDevice {
        serial: None,
        ambiguous: false,
        seen,
    });
    with.chain(without).collect()
}

impl Case {
    /// Every record of his devices that the case's tasks have seen, also of tasks that
    /// have not ended: a phone that does not check in is known for weeks before.
    #[must_use]
    pub fn sightings(&self) -> Vec<Sighting> {
        let mut all: Vec<Sighting> = self
            .tasks
            .values()
            .filter(|t| t.kind().spec().area == Area::Device)
            .filter_map(|t| Some((&t.planned.target.system, t.last_seen()?)))
            .flat_map(|(system, seen)| noted(system, &seen.facts))
            .collect();
        all.sort();
        all.dedup();
        all
    }

    /// What the other systems than this one have seen of his devices.
    #[must_use]
    pub fn sightings_elsewhere(&self, system: &System) -> Vec<Sighting> {
        let mut all = self.sightings();
        all.retain(|s| s.system != *system);
        all
    }
}
