//! Devices: the management's record, the directory's object, and the
//! enrolment's assignment are three things with three lives.

use crate::{Answer, Call};
use async_trait::async_trait;
use offboard_domain::ObjectId;
use offboard_runtime::Secret;
use serde::Serialize;
use std::fmt;

/// Devices and what can be done to them.
#[async_trait]
pub trait Devices: Send + Sync {
    /// Every device of the account: managed ones, and those that only the
    /// directory knows; each once, in a stable order.
    async fn of(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<Device>>;

    /// The management's record; `None` when it is gone (which proves no wipe)
    /// or there never was one.
    async fn managed(&self, call: &mut Call, device: &DeviceRef) -> Answer<Option<ManagedDevice>>;

    /// The directory's object; `None` when it is gone or there never was one.
    async fn object(&self, call: &mut Call, device: &DeviceRef) -> Answer<Option<DeviceObject>>;

    /// The enrolment's record; `None` when there is none for this device. Fault
    /// `Blocked` when there are several, and none of them is known to be its own.
    async fn autopilot(&self, call: &mut Call, device: &DeviceRef) -> Answer<Option<Autopilot>>;

    /// Every recovery key that the vendor keeps for the device and gives, and
    /// which sorts it may keep and does not give. Reading them is recorded by the
    /// vendor.
    async fn recovery_keys(&self, call: &mut Call, device: &DeviceRef) -> Answer<RecoveryKeys>;

    /// Whether somebody else uses the device. The management decides where it
    /// has a record: another account's, or nobody's, is not this account's.
    /// Where it never had one of this account (`device.managed` is none), so
    /// does another account that is registered as a user or owner of the
    /// directory's object: whoever joins colleagues' devices is registered too.
    async fn used_by_another(&self, call: &mut Call, device: &DeviceRef, id: &ObjectId) -> Answer<bool>;

    /// Orders something. [`DeviceAction::Wipe`] is *once*: ordered again it
    /// may wipe a device that was enrolled anew. The others are repeatable.
    /// A wipe of a personal device is refused here too, with `Blocked`, after
    /// the record has been read afresh; and so is one without a code, of a device
    /// that wants one ([`ManagedDevice::wants_unlock_code`]).
    async fn act(&self, call: &mut Call, device: &DeviceRef, action: DeviceAction) -> Answer<()>;
}

/// How a device is known; kept as parameters of its tasks. At least one of the
/// first two is there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DeviceRef {
    /// The management's id of its record.
    pub managed: Option<ObjectId>,
    /// The directory's id of its object.
    pub object: Option<ObjectId>,
    /// The id that the device itself carries, by which the two are matched
    /// and keys are filed.
    pub device_id: Option<String>,
    /// The serial number, by which the enrolment is matched.
    pub serial: Option<String>,
}

impl DeviceRef {
    /// The id that stands for the device in a case: the management's, else the
    /// directory's.
    #[must_use]
    pub fn target(&self) -> Option<&ObjectId> {
        self.managed.as_ref().or(self.object.as_ref())
    }
}

/// Whose device it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// The company's.
    Company,
    /// The person's own.
    Personal,
    /// The vendor does not say; to be treated as personal.
    Unknown,
}

impl Owner {
    /// The word in facts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Company => "company",
            Self::Personal => "personal",
            Self::Unknown => "unknown",
        }
    }
}

/// One device of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Device {
    /// How it is known.
    pub at: DeviceRef,
    /// Whose it is.
    pub owner: Owner,
    /// Its name.
    pub name: Option<String>,
    /// Its operating system.
    pub operating_system: Option<String>,
    /// Whether the management has a record of it.
    pub is_managed: bool,
    /// Whether it is joined to a domain on the premises as well (a hybrid join): the id
    /// that it carries is then its computer's own immutable id there.
    pub hybrid_joined: bool,
    /// When it last answered, in milliseconds since 1970.
    pub last_seen_ms: Option<i64>,
}

/// The management's record of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ManagedDevice {
    /// How it is known, completed from this record.
    pub at: DeviceRef,
    /// Whose it is.
    pub owner: Owner,
    /// Whose account it belongs to now: not necessarily the subject's.
    pub user_id: Option<ObjectId>,
    /// The vendor's word for the management's state (`managed`, `wipePending`).
    pub management_state: Option<String>,
    /// What was ordered for it and what became of that, oldest first.
    pub actions: Vec<ActionState>,
    /// Its operating system.
    pub operating_system: Option<String>,
    /// When it last answered, in milliseconds since 1970.
    pub last_seen_ms: Option<i64>,
}

impl ManagedDevice {
    /// Whether a wipe must bring a code, which the device asks for at its next start: a
    /// Mac does. (Belief: also those that would not need it take one.)
    #[must_use]
    pub fn wants_unlock_code(&self) -> bool {
        self.operating_system
            .as_deref()
            .is_some_and(|system| system.eq_ignore_ascii_case("macOS"))
    }

    /// The last state of the newest action of that name (`wipe`, `retire`).
    #[must_use]
    pub fn action(&self, name: &str) -> Option<&ActionState> {
        self.actions.iter().rev().find(|a| a.name == name)
    }
}

/// An ordered action and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActionState {
    /// Which action: `wipe`, `retire`.
    pub name: String,
    /// The vendor's word: `none`, `pending`, `canceled`, `active`, `done`,
    /// `failed`, `notSupported`.
    pub state: String,
    /// When it was ordered, in milliseconds since 1970.
    pub started_ms: Option<i64>,
    /// When the state was last updated, in milliseconds since 1970.
    pub updated_ms: Option<i64>,
}

/// The directory's object of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceObject {
    /// How it is known, completed from this object.
    pub at: DeviceRef,
    /// Whether it may be used to sign in.
    pub enabled: bool,
    /// Whether another directory masters it and would undo a change made here.
    pub synced: bool,
    /// Whether it is joined to a domain on the premises as well.
    pub hybrid_joined: bool,
    /// Whose it is.
    pub owner: Owner,
}

/// The enrolment's record of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Autopilot {
    /// Its id.
    pub id: ObjectId,
    /// The sign-in name of the person that it is assigned to; none: to nobody.
    pub assigned_to: Option<String>,
}

/// What a recovery key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecoveryKeySort {
    /// The disk.
    Disk,
    /// The local administrator's account.
    LocalAdministrator,
    /// The lock that ties a device to the account of whoever set it up, and that
    /// outlives a wipe.
    ActivationLock,
    /// A Mac that was wiped: it asks for the code that the order brought.
    WipedMac,
}

impl RecoveryKeySort {
    /// The word in facts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::LocalAdministrator => "local_administrator",
            Self::ActivationLock => "activation_lock",
            Self::WipedMac => "wiped_mac",
        }
    }
}

/// What there is of a device's recovery keys.
#[derive(Debug, Clone, Default)]
pub struct RecoveryKeys {
    /// Those that the vendor gives, in a stable order.
    pub keys: Vec<RecoveryKey>,
    /// The sorts that the device may have and that this interface does not give:
    /// a person must read them elsewhere.
    pub withheld: Vec<RecoveryKeySort>,
    /// The sorts that the device must have and that are not given: a list may lag behind,
    /// or it is kept elsewhere.
    pub missing: Vec<RecoveryKeySort>,
}

/// One recovery key. Not serialisable: its one lawful place is the escrow.
#[derive(Debug, Clone)]
pub struct RecoveryKey {
    /// Its id with the vendor.
    pub id: String,
    /// What it opens.
    pub sort: RecoveryKeySort,
    /// The name that goes with it: the account's, or the volume's.
    pub label: Option<String>,
    /// The key.
    pub key: Secret,
    /// When it was filed, in milliseconds since 1970.
    pub created_ms: Option<i64>,
}

/// Six digits that a device asks for once it was wiped. They are not printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UnlockCode(u32);

impl UnlockCode {
    const COUNT: u64 = 1_000_000;

    /// The last six digits of a number.
    #[must_use]
    pub fn of(number: u64) -> Self {
        Self(u32::try_from(number % Self::COUNT).unwrap_or(0))
    }

    /// The digits, for the order and for the escrow.
    #[must_use]
    pub fn digits(self) -> Secret {
        Secret::new(format!("{:06}", self.0))
    }
}

impl fmt::Debug for UnlockCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnlockCode(…)")
    }
}

/// An order for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceAction {
    /// Takes what belongs to the company off it and ends the management.
    Retire,
    /// Sets it back to how it left the factory. *Once*.
    Wipe {
        /// Whether it stays enrolled, to be used by the next person.
        keep_enrollment: bool,
        /// What it asks for afterwards, if it is a device that does.
        unlock_code: Option<UnlockCode>,
    },
    /// Takes the assignment off its enrolment, whosever it is: whoever orders it has
    /// looked ([`Autopilot::assigned_to`]).
    UnassignAutopilot,
    /// Disables its object in the directory.
    DisableObject,
}
