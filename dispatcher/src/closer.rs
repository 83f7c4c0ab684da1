//! The closer trusts nobody, and is the only holder of the signing key.
//!
//! It reads the case's history anew from the ledger, checks its chain, makes
//! the statement from the events alone, signs it, puts it into the evidence
//! store, and only then says that the case is closed. A case that was called off
//! or refused is accounted for in the same way. Everything it writes follows from
//! the history, so doing it twice leaves the same files.

use crate::accounts::Accounts;
use crate::engine::{Engine, EngineError, told};
use crate::kept::{Beyond, short, store};
use crate::page;
use crate::place::Held;
use crate::reports::settle;
use crate::unwritten;
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use offboard_domain::evidence::{self, Recorded};
use offboard_domain::{CaseId, Command, Digest, Refusal, TenantId};
use offboard_queue::{Consumer, Delivery, Message, QueueError, QueueName};
use offboard_runtime::AtHand;
use offboard_runtime::health::{self, Pulse};
use offboard_runtime::telemetry::trace;
use offboard_store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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

/// How many cases are sealed at the same time: enough that their writes to the
/// store overlap.
const AT_HAND: u16 = 32;

/// Pause before subscribing again, in milliseconds of engine time.
const RESUBSCRIBE_MS: i64 = 1_000;

/// An order to seal a case. It needs no proof: the closer believes the history alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToSeal {
    /// Whose.
    pub tenant: TenantId,
    /// Which case.
    pub case: CaseId,
    /// At which version it was ready.
    pub version: u64,
}

impl ToSeal {
    /// As it travels.
    #[must_use]
    pub fn message(&self) -> Message {
        Message {
            id: format!("seal-{}-{}", self.case, self.version),
            headers: BTreeMap::new(),
            body: serde_json::to_vec(self).expect("an order to seal is plain data").into(),
            expires_at: None,
        }
    }
}

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
        let closer = Arc::new(self);
        let pulse = health::pulse("closer");
        while !told(&stop) {
            // Who waits for the broker hangs nowhere.
            pulse.beat();
            match closer.engine.queue.consume(&QueueName::Sealing, AT_HAND).await {
                Ok(consumer) => {
                    if let Err(ended) = closer.seal_from(consumer, &pulse, &mut stop).await {
                        tracing::warn!(error = %ended, "the closer's consumer ended; subscribing again");
                    }
                }
                Err(error) => tracing::warn!(%error, "the closer failed to subscribe; trying again"),
            }
            if !told(&stop) {
                let again = closer.engine.clock.now().plus(RESUBSCRIBE_MS);
                closer.engine.clock.sleep_until(again).await;
            }
        }
        pulse.end();
    }

    async fn seal_from(
        self: &Arc<Self>,
        mut consumer: Box<dyn Consumer>,
        pulse: &Pulse,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), QueueError> {
        let mut at_hand = AtHand::new();
        let result = loop {
            tokio::select! {
                biased;
                Some(()) = at_hand.next(), if !at_hand.is_empty() => {}
                _ = stop.changed() => break Ok(()),
                () = pulse.next() => {}
                delivery = consumer.next() => match delivery {
                    Ok(delivery) => at_hand.push(self.clone().take_one(delivery)),
                    Err(ended) => break Err(ended),
                },
            }
        };
        at_hand.finish().await;
        result
    }

    async fn take_one(self: Arc<Self>, delivery: Box<dyn Delivery>) {
        let wanted: ToSeal = match serde_json::from_slice(&delivery.message().body) {
            Ok(wanted) => wanted,
            Err(error) => {
                tracing::error!(%error, "an order to seal does not read; it is buried");
                return settle(delivery.bury(&format!("not an order to seal: {error}")).await);
            }
        };
        let (tenant, case) = (&wanted.tenant, wanted.case);
        match self.seal(tenant, case).await {
            Ok(Some(sealed)) => tracing::info!(%case, evidence = %sealed.digest, "sealed"),
            // Sealed before, or something has happened since: the owner says so again.
            Ok(None) => {}
            Err(error @ (EngineError::Seal { .. } | EngineError::History { .. })) => {
                tracing::error!(%case, %error, "failed to seal a history that does not bear itself out; trying again");
            }
            Err(error) => tracing::warn!(%case, %error, "failed to seal; trying again"),
        }
        // What failed is ordered again by the case's own wake-up.
        settle(delivery.ack().await);
    }

    /// Seals a case; none if it is not (or no longer) to be sealed.
    ///
    /// # Errors
    /// [`EngineError`] if its history does not verify, or something failed.
    pub async fn seal(&self, tenant: &TenantId, id: CaseId) -> Result<Option<Sealed>, EngineError> {
        let kept = self.engine.kept_of(tenant, id).await?;
        let history = self.engine.whole(tenant, id).await?;
        let Some((held, recorded)) = self.engine.folded(id, history)? else {
            return Ok(None);
        };
        if !held.case.is_to_be_sealed() {
            return Ok(None);
        }
        // A case of which more is kept, or something else, has lost that: nothing is
        // sealed before everything was read again.
        let beyond = self.engine.beyond(&kept, &recorded).await?;
        if let Some(Beyond { version, order }) = beyond
            && self
                .engine
                .note_loss(tenant, id, Some(version), order.as_deref())
                .await?
        {
            return Ok(None);
        }
        let span = trace::close(tenant, id, held.case.traceparent.as_deref());
        let sealed = span.within(self.seal_held(tenant, id, held, recorded)).await;
        if sealed.is_err() {
            span.failed("not_sealed");
        }
        sealed
    }

    async fn seal_held(
        &self,
        tenant: &TenantId,
        id: CaseId,
        held: Held,
        mut recorded: Vec<Recorded>,
    ) -> Result<Option<Sealed>, EngineError> {
        let seal_error = |detail: String| EngineError::Seal { case: id, detail };
        let to = held.case.account_to();
        let version = to.version;
        recorded.retain(|r| r.record.version <= version);
        let statement = evidence::statement(&recorded).map_err(|e| seal_error(e.to_string()))?;
        let envelope = evidence::seal(&statement, &self.key);
        let digest = Digest::of(&envelope);
        let envelope = Bytes::from(envelope);
        let accounts = Accounts::of(tenant, id, held.case.opened_at);
        let put = async |stem: &str| {
            let (name, page) = accounts.names(stem);
            let html = page::render(&statement, &name).into_bytes();
            // Where the account is, its page is too.
            self.evidence.put_named(&page, html).await?;
            self.evidence.put_named(&name, envelope.clone()).await?;
            Ok::<_, StoreError>(name)
        };
        let name = match put(&version.to_string()).await {
            // Another history of the case, which the ledger lost, was sealed at
            // this version, or this one by another version of this program.
            Err(StoreError::Occupied { .. }) => put(&format!("{version}-{}", short(digest))).await,
            kept => kept,
        };
        let name = name.map_err(store);
        let now = self.engine.clock.now();
        self.engine.failures.note(unwritten::EVIDENCE, &name, now);
        let name = name?;
        self.engine.keep_head(tenant, id, to).await?;
        if held.case.is_delivered() {
            // For the worker that takes it there, who knows no evidence store.
            self.engine.store.put(envelope).await.map_err(store)?;
        }
        let key_id = evidence::key_id(&self.key.verifying_key());
        match self
            .engine
            .order(
                tenant,
                id,
                Command::RecordSealed {
                    to,
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
