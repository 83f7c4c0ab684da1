//! Which of a case's tasks may be about one device.
//!
//! What is done to a device waits for what is done to it, so that every task which waits is
//! asked this each time that anything is decided; and whoever enrols devices for others has
//! hundreds of them. So what is known of each task's device is looked up once and kept, until
//! a finder reads something else or a task comes; and who may be about the same one is found
//! by what they have in common. To compare each with each, and each time to gather
//! what everybody has read, grew with the cube of the devices.
//!
//! Two are one device where they are the same record, or carry the same serial number or the
//! same id of the device's own. They are two where they have nothing of that in common and
//! both have a serial number; or, in one system, both an id of the device's own. One system
//! may be two: a cloud's device management and its directory have a record each, the
//! one with a number and perhaps no such id, the other the other way round. What is neither
//! may be one, and waits.

use super::{HELD, Holding, Lent, Serial, Sighting};
use crate::case::Case;
use crate::catalogue::{Area, Kind};
use crate::id::{ObjectId, System, TaskId};
use crate::observation::Facts;
use crate::task::{Task, TaskState};
use crate::time::Timestamp;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, OnceLock};

/// What a device is known again by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Record(System, ObjectId),
    Serial(Serial),
    DeviceId(String),
}

/// What two devices that have no mark in common are told apart by. The default is of a task
/// that is about no device that is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Apart {
    system: Option<System>,
    has_serial: bool,
    has_device_id: bool,
}

impl Apart {
    fn is_told_from(&self, other: &Self) -> bool {
        let both_carry_an_id = self.has_device_id && other.has_device_id;
        self.has_serial && other.has_serial || both_carry_an_id && self.system == other.system
    }
}

/// What is known of the device that a task is about.
#[derive(Debug, Clone, Default)]
struct Known {
    marks: Vec<Mark>,
    apart: Apart,
}

impl Known {
    fn may_be(&self, other: &Self) -> bool {
        let alike = self.marks.iter().any(|mark| other.marks.contains(mark));
        alike || !self.apart.is_told_from(&other.apart)
    }
}

/// The tasks of one kind.
#[derive(Debug, Default)]
struct OfKind {
    by_mark: BTreeMap<Mark, Vec<TaskId>>,
    by_apart: BTreeMap<Apart, Vec<TaskId>>,
}

/// The tasks of a case by what is known of their devices.
#[derive(Debug, Default)]
struct ByDevice {
    /// The serial number of a record, or of an id that a device carries.
    serial_of: BTreeMap<Mark, Serial>,
    known: BTreeMap<TaskId, Known>,
    kinds: BTreeMap<Kind, OfKind>,
}

impl ByDevice {
    fn of(case: &Case) -> Self {
        let mut all = Self {
            serial_of: serials(&case.sightings()),
            ..Self::default()
        };
        for task in case.tasks.values().filter(|t| may_have_a_device(t.kind())) {
            let known = all.look_up(case, task);
            let of_kind = all.kinds.entry(task.kind()).or_default();
            for mark in &known.marks {
                of_kind.by_mark.entry(mark.clone()).or_default().push(task.id());
            }
            of_kind.by_apart.entry(known.apart.clone()).or_default().push(task.id());
            all.known.insert(task.id(), known);
        }
        all
    }

    /// What is known of a task's device: of one that the case has not, too.
    fn known(&self, case: &Case, task: &Task) -> Cow<'_, Known> {
        match self.known.get(&task.id()) {
            Some(known) => Cow::Borrowed(known),
            None => Cow::Owned(self.look_up(case, task)),
        }
    }

    fn look_up(&self, case: &Case, task: &Task) -> Known {
        let Some(record) = record_of(case, task) else {
            return Known::default();
        };
        let mut marks = vec![Mark::Record(record.system.clone(), record.id)];
        let has_device_id = record.device_id.is_some();
        marks.extend(record.device_id.map(Mark::DeviceId));
        let seen = || marks.iter().find_map(|mark| self.serial_of.get(mark)).cloned();
        let serial = record.serial.or_else(seen);
        let apart = Apart {
            system: Some(record.system),
            has_serial: serial.is_some(),
            has_device_id,
        };
        marks.extend(serial.map(Mark::Serial));
        Known { marks, apart }
    }

    /// The tasks of this kind that may be about this device. One may come more than once.
    fn near<'a>(&'a self, kind: Kind, known: &'a Known) -> impl Iterator<Item = TaskId> + 'a {
        let of_kind = self.kinds.get(&kind);
        let alike = known.marks.iter().filter_map(move |mark| of_kind?.by_mark.get(mark));
        let rest = of_kind.into_iter().flat_map(|of_kind| &of_kind.by_apart);
        let untold = rest.filter(move |(apart, _)| !known.apart.is_told_from(apart));
        alike.chain(untold.map(|(_, tasks)| tasks)).flatten().copied()
    }
}

/// The same, kept with its case. The events alone make a case: this is no part of what it is.
#[derive(Clone, Default)]
pub(crate) struct Kept(OnceLock<Arc<ByDevice>>);

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// Whether these are a reading that devices are known from.
pub(crate) fn has_noted(facts: &Facts) -> bool {
    let from: (Bound<&str>, Bound<&str>) = (Bound::Included(HELD), Bound::Unbounded);
    let first = facts.0.range::<str, _>(from).next();
    first.is_some_and(|(name, _)| name.starts_with(HELD))
}

/// The serial number of each record, and of each id that a device carries, as far as anybody
/// has seen it: its own, or that of another record with the same id.
fn serials(seen: &[Sighting]) -> BTreeMap<Mark, Serial> {
    let lent = Lent::of(seen.iter());
    let mut all = BTreeMap::new();
    for one in seen {
        if let Some(serial) = lent.serial(one) {
            let record = Mark::Record(one.system.clone(), one.id.clone());
            all.entry(record).or_insert_with(|| serial.clone());
        }
    }
    for (id, serial) in &lent.0 {
        if let Some(serial) = serial {
            all.insert(Mark::DeviceId((*id).to_owned()), (*serial).clone());
        }
    }
    all
}

/// Orders by device are among these alone.
pub(super) fn may_have_a_device(kind: Kind) -> bool {
    matches!(kind.spec().area, Area::Device | Area::Person)
}

/// The record that a task was made for, with what was known of the device then. What
/// people do is in one system for all: the finder's is the record's, and may stand
/// before its id.
fn record_of(case: &Case, task: &Task) -> Option<Sighting> {
    let (target, params) = (&task.planned.target, &task.planned.params);
    let object = target.object.as_ref().filter(|_| may_have_a_device(task.kind()))?;
    let by_a_person = task.kind().spec().area == Area::Person;
    let system = match task.found_by.filter(|_| by_a_person) {
        Some(finder) => &case.tasks.get(&finder)?.planned.target.system,
        None if by_a_person => return None,
        None => &target.system,
    };
    let prefix = format!("{system}/");
    let id = object.0.strip_prefix(&prefix).filter(|_| by_a_person);
    // The cloud knows a computer of a domain by the computer's own id there.
    let computer = (task.kind() == Kind::DisableComputer).then_some(object.0.as_str());
    Some(Sighting {
        system: system.clone(),
        id: id.map_or_else(|| object.clone(), ObjectId::from),
        serial: params.text("serial").and_then(Serial::parse),
        device_id: params.text("device_id").or(computer).map(str::to_lowercase),
        held: Holding::Listed,
    })
}

impl Case {
    fn by_device(&self) -> &ByDevice {
        self.devices.0.get_or_init(|| Arc::new(ByDevice::of(self)))
    }

    /// Whether two tasks may be about one device: whether they are of records that are not
    /// told apart by what is known of them.
    #[must_use]
    pub fn may_be_one_device(&self, one: &Task, other: &Task) -> bool {
        let all = self.by_device();
        all.known(self, one).may_be(&all.known(self, other))
    }

    /// Whether a task of this kind that may be about this one's device is not settled.
    #[must_use]
    pub fn is_open_of_device(&self, kind: Kind, task: &Task) -> bool {
        self.open_of(kind) > 0 && self.any_of_device(kind, task, |t| !t.is_settled())
    }

    /// Whether the case has a task of this kind that may be about this one's device.
    #[must_use]
    pub fn has_of_device(&self, kind: Kind, task: &Task) -> bool {
        self.has(kind) && self.any_of_device(kind, task, |_| true)
    }

    /// When the last task of this kind that may be about this one's device was settled (when
    /// the case was opened, if none is).
    #[must_use]
    pub fn settled_at_of_device(&self, kind: Kind, task: &Task) -> Timestamp {
        let all = self.by_device();
        let known = all.known(self, task);
        let tasks = all.near(kind, &known).filter_map(|id| self.tasks.get(&id));
        let settled = tasks.filter_map(|task| match &task.state {
            TaskState::Settled { at, .. } => Some(*at),
            _ => None,
        });
        settled.max().unwrap_or(self.opened_at)
    }

    fn any_of_device(&self, kind: Kind, task: &Task, is: impl Fn(&Task) -> bool) -> bool {
        let all = self.by_device();
        let known = all.known(self, task);
        let mut tasks = all.near(kind, &known).filter_map(|id| self.tasks.get(&id));
        tasks.any(|task| is(task))
    }
}
