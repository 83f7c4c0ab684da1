//! Openings. A departure counts as accepted only when its first record is in the store
//! too, by the day on which it was accepted. A case that the ledger has lost altogether is
//! put back from there.

use super::archive::Line;
use super::{Patience, damaged, day_folder, store};
use crate::engine::{Engine, EngineError};
use offboard_domain::event::open_event;
use offboard_domain::time::DAY_MS;
use offboard_domain::{CaseId, CaseKey, Digest, Record, TenantId, Timestamp};
use offboard_store::StoreError;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The first record of a case, and the salt of its key.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Opening {
    pub(crate) record: Line,
    /// Hexadecimal; opens nothing without the installation's master key.
    pub(crate) salt: Digest,
}

impl Engine {
    /// Keeps a new case's first record outside of the ledger.
    pub(crate) async fn keep_opening(
        self: &Arc<Self>,
        tenant: &TenantId,
        id: CaseId,
        patience: Patience,
    ) -> Result<(), EngineError> {
        if self.keeping.is_none() || patience.wait(self.put_opening(tenant, id)).await? {
            return Ok(());
        }
        // The ledger has forgotten that it was opened before.
        let sealed = patience.wait(self.sealed_version(tenant, id)).await?;
        self.note_loss(tenant, id, sealed, None).await.map(drop)
    }

    /// Puts a case's first record into the store; false if another one is there.
    async fn put_opening(&self, tenant: &TenantId, id: CaseId) -> Result<bool, EngineError> {
        let history = self.ledger.read(tenant, id, 1).await?;
        let (Some(first), Some(salt)) = (history.records.first(), history.salt) else {
            return Ok(true);
        };
        let at = opened_at(&CaseKey::derive(&self.master, &salt), first).ok_or_else(|| damaged(id, "the ledger"))?;
        let opening = Opening {
            record: Line::from(first),
            salt: Digest(salt),
        };
        let bytes = serde_json::to_vec(&opening).expect("an opening is plain data");
        let path = format!("{}/{tenant}/{id}.json", day_folder(at.0.div_euclid(DAY_MS)));
        match self.store.put_named(&path, bytes).await {
            Ok(_) => Ok(true),
            Err(StoreError::Occupied { .. }) => Ok(false),
            Err(error) => Err(store(error)),
        }
    }
}

fn opened_at(key: &CaseKey, first: &Record) -> Option<Timestamp> {
    open_event(key, first).ok().map(|(at, _)| at)
}
