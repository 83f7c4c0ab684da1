//! The closer trusts nobody, and is the only holder of the signing key.
//!
//! It reads the case's history anew from the ledger, checks its chain, makes
//! the statement from the events alone, signs it, puts it into the evidence
//! store, and only then says that the case is closed. A case that was called off
//! or refused is accounted for in the same way. Everything it writes follows from
//! the history, so doing it twice leaves the same files.

use crate::engine::{Engine, EngineError};
use crate::page;
use ed25519_dalek::SigningKey;
use offboard_domain::event::open_event;
use offboard_domain::evidence::{self, Recorded};
use offboard_domain::{CaseId, Command, Digest, Refusal, TenantId};
use offboard_store::Store;
use std::sync::Arc;
use tokio::sync::watch;

/// What was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The envelope's name in the evidence store; the page beside it ends in `.html`.
    pub name: String,
    /// SHA-256 of the envelope's bytes.
    pub digest: Digest,
}

/// Rest after a failure before the next try, in milliseconds of engine time.
const AFTER_FAILURE_MS: i64 = 10_000;

/// The closer.
pub struct Closer {
    engine: Arc<Engine>,
    key: SigningKey,
    evidence: Store,
}

impl Closer {
    /// A closer that signs with this key and puts evidence there.
    #[must_use]
    pub fn new(engine: Arc<Engine>, key: SigningKey, evidence: Store) -> Self {
        Self { engine, key, evidence }
    }

    /// Seals what is to be sealed, until told to stop.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let Some(mut to_seal) = self.engine.take_sealing() else {
            tracing::error!("this engine has a closer already");
            return;
        };
        loop {
            let next = tokio::select! {
                biased;
                _ = stop.changed() => return,
                next = to_seal.recv() => next,
            };
            let Some((tenant, case)) = next else { return };
            match self.seal(&tenant, case).await {
                Ok(Some(sealed)) => tracing::info!(%case, evidence = %sealed.digest, "sealed"),
                Ok(None) => {}
                Err(error) => {
                    match error {
                        EngineError::Seal { .. } | EngineError::History { .. } => {
                            tracing::error!(%case, %error, "failed to seal a history that does not bear itself out; trying again");
                        }
                        error => tracing::warn!(%case, %error, "failed to seal; trying again"),
                    }
                    let again = self.engine.clock.now().plus(AFTER_FAILURE_MS);
                    self.engine.timers.set(&tenant, case, Some(again));
                }
            }
        }
    }

    /// Seals a case; none if it is not (or no longer) to be sealed.
    ///
    /// # Errors
    /// [`EngineError`] if its history does not verify, or something failed.
    pub async fn seal(&self, tenant: &TenantId, id: CaseId) -> Result<Option<Sealed>, EngineError> {
        let seal_error = |detail: String| EngineError::Seal { case: id, detail };
        let Some(held) = self.engine.load(tenant, id).await? else {
            return Ok(None);
        };
        if !held.case.is_to_be_sealed() {
            return Ok(None);
        }
        let history = self.engine.ledger.read(tenant, id, 1).await?;
        let recorded = history
            .records
            .into_iter()
            .take_while(|r| r.version <= held.case.version)
            .map(|record| {
                let (at, event) = open_event(&held.key, &record)?;
                Ok(Recorded { record, at, event })
            })
            .collect::<Result<Vec<_>, offboard_domain::event::UnreadableEvent>>()
            .map_err(|e| seal_error(e.to_string()))?;
        let statement = evidence::statement(&recorded).map_err(|e| seal_error(e.to_string()))?;
        let envelope = evidence::seal(&statement, &self.key);
        let digest = Digest::of(&envelope);
        let version = held.case.version;
        let name = format!("{tenant}/{id}/evidence-{version}.dsse.json");
        let html = page::render(&statement, &name);
        let chain: Vec<u8> = recorded
            .iter()
            .flat_map(|r| [r.record.body.as_slice(), b"\n"].concat())
            .collect();
        let files = [
            (format!("{tenant}/{id}/chain-{version}.jsonl"), chain),
            (format!("{tenant}/{id}/evidence-{version}.html"), html.into_bytes()),
            (name.clone(), envelope),
        ];
        for (path, bytes) in files {
            self.evidence
                .put_named(&path, bytes)
                .await
                .map_err(|e| EngineError::Store(e.to_string()))?;
        }
        let key_id = evidence::key_id(&self.key.verifying_key());
        match self
            .engine
            .order(
                tenant,
                id,
                Command::RecordSealed {
                    version,
                    evidence: digest,
                    key_id,
                },
            )
            .await
        {
            Ok(_) | Err(EngineError::Refused(Refusal::AlreadyRecorded)) => Ok(Some(Sealed { name, digest })),
            // Something happened in between; it is sealed anew when it is due.
            Err(EngineError::Refused(Refusal::NotToBeSealed { .. } | Refusal::UnknownCase)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
