//! Devices, under management and in the directory.

use std::collections::BTreeSet;

use super::Reach;

/// Whose a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceOwner {
    /// The company's.
    Company,
    /// A person's own.
    Personal,
}

/// Where a device's management stands, in the vendor's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManagementState {
    /// Managed.
    Managed,
    /// To be retired when it checks in.
    RetirePending,
    /// Told to retire.
    RetireIssued,
    /// To be wiped when it checks in.
    WipePending,
    /// Told to wipe.
    WipeIssued,
}

impl ManagementState {
    /// The vendor's word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Managed => "managed",
            Self::RetirePending => "retirePending",
            Self::RetireIssued => "retireIssued",
            Self::WipePending => "wipePending",
            Self::WipeIssued => "wipeIssued",
        }
    }
}

/// A remote action on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceAction {
    /// `wipe` or `retire`.
    pub name: &'static str,
    /// `pending`, `active`, `done` or `canceled`.
    pub state: &'static str,
    /// When it was ordered.
    pub start_ms: i64,
    /// When its state last changed.
    pub updated_ms: i64,
}

/// A device under management.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedDevice {
    /// Its id there.
    pub id: String,
    /// The Entra device's `deviceId`.
    pub entra_device_id: String,
    /// Its user's object id.
    pub user: String,
    /// Its name.
    pub name: String,
    /// Its system.
    pub os: &'static str,
    /// Whether its disk is encrypted.
    pub encrypted: bool,
    /// The code that lifts its activation lock, if it has one, and whether it was
    /// read. Lists never show it, nor does an answer that did not select it.
    pub activation_lock: Option<(String, bool)>,
    /// The code that the last order of a wipe brought.
    pub unlock_code: Option<String>,
    /// Whose it is.
    pub owner: DeviceOwner,
    /// Its serial number.
    pub serial: String,
    /// When it can be reached.
    pub reach: Reach,
    /// Where its management stands.
    pub state: ManagementState,
    /// What was done to it from afar.
    pub actions: Vec<DeviceAction>,
    /// Since when it is managed.
    pub enrolled_ms: i64,
    /// When it last checked in.
    pub last_sync_ms: i64,
}

impl ManagedDevice {
    /// Whether it has an activation lock whose code nobody has read.
    #[must_use]
    pub fn has_unread_lock(&self) -> bool {
        self.activation_lock.as_ref().is_some_and(|(_, read)| !read)
    }
}

/// A BitLocker recovery key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitlockerKey {
    /// Its id.
    pub id: String,
    /// The key itself.
    pub key: String,
    /// Since when.
    pub created_ms: i64,
    /// Whether anybody read it.
    pub read: bool,
}

/// A device in Entra.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntraDevice {
    /// The object id.
    pub id: String,
    /// The `deviceId`.
    pub device_id: String,
    /// Its name.
    pub name: String,
    /// Its system.
    pub os: &'static str,
    /// Whose it is.
    pub owner: DeviceOwner,
    /// The object id of who registered it: its user and owner.
    pub user: String,
    /// Further accounts that are registered as its users.
    pub more_users: BTreeSet<String>,
    /// Further accounts that are registered as its owners.
    pub more_owners: BTreeSet<String>,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Whether an on-premises directory masters it.
    pub synced: bool,
    /// The local administrator's password, if kept here, and whether it was read.
    pub laps: Option<(String, bool)>,
    /// BitLocker keys.
    pub bitlocker: Vec<BitlockerKey>,
    /// Since when.
    pub registered_ms: i64,
}

impl EntraDevice {
    /// The accounts that are registered as its users.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.user).chain(&self.more_users).map(String::as_str)
    }

    /// The accounts that are registered as its owners.
    pub fn owners(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.user).chain(&self.more_owners).map(String::as_str)
    }

    /// Whether it holds a secret that nobody has read.
    #[must_use]
    pub fn has_unread_keys(&self) -> bool {
        self.laps.as_ref().is_some_and(|(_, read)| !read) || self.bitlocker.iter().any(|key| !key.read)
    }
}

/// An Autopilot identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autopilot {
    /// Its id.
    pub id: String,
    /// The serial number.
    pub serial: String,
    /// The model.
    pub model: String,
    /// The UPN of the assigned user.
    pub user_upn: Option<String>,
    /// His object id.
    pub user: Option<String>,
    /// The Entra device's `deviceId`.
    pub entra_device_id: String,
    /// The managed device's id.
    pub managed_device_id: String,
}
