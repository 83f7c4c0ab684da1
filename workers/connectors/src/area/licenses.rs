//! Licences. To leave a group that gives licences is
//! [`Directory::remove`](crate::Directory::remove) of that membership.

use crate::{Answer, Call};
use async_trait::async_trait;
use offboard_domain::ObjectId;
use serde::Serialize;
use std::collections::BTreeSet;

/// Licences and the pool that they come from.
#[async_trait]
pub trait Licenses: Send + Sync {
    /// Every licence that the account holds: one entry for each SKU and origin.
    async fn held(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<HeldLicence>>;

    /// Gives the account directly what it has of these SKUs by itself and by groups: a part
    /// that any of them leaves switched on is on. One of its own that has all of that stays
    /// as it is; none is given that no group gives.
    async fn assign(&self, call: &mut Call, id: &ObjectId, sku_ids: &[String]) -> Answer<()>;

    /// Takes directly assigned licences away, all in one request: SKUs depend
    /// on each other. Those already gone are success. Fault `Blocked` when a
    /// group gives one of them.
    async fn release(&self, call: &mut Call, id: &ObjectId, sku_ids: &[String]) -> Answer<()>;

    /// Asks the vendor to work out the account's group licences anew.
    async fn reprocess(&self, call: &mut Call, id: &ObjectId) -> Answer<()>;

    /// The tenant's pool: what is bought and what is used.
    async fn pool(&self, call: &mut Call) -> Answer<Vec<PoolLine>>;
}

/// One licence as the account holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldLicence {
    /// The SKU's id.
    pub sku_id: String,
    /// The SKU's part number (`SPE_E3`), when it could be read.
    pub part_number: Option<String>,
    /// Where it comes from.
    pub origin: LicenceOrigin,
    /// The vendor's state word (`Active`, `Error`).
    pub state: Option<String>,
    /// The parts of it that are switched off where it comes from, by their ids.
    pub disabled_plans: BTreeSet<String>,
    /// Whether it lets a mailbox stay on hold, large or archived.
    pub keeps_mailbox_hold: bool,
    /// Whether a mailbox hangs on it; false also where that could not be read.
    pub bears_mailbox: bool,
}

/// Where a licence comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "origin", content = "group", rename_all = "snake_case")]
pub enum LicenceOrigin {
    /// Assigned to the account itself.
    Direct,
    /// Given by this group.
    Group(ObjectId),
}

/// One SKU in the tenant's pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolLine {
    /// The SKU's id.
    pub sku_id: String,
    /// The SKU's part number.
    pub part_number: String,
    /// How many are bought and usable.
    pub enabled: i64,
    /// How many are assigned.
    pub consumed: i64,
}
