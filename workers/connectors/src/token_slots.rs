//! Where tokens are kept: a slot for each key, with one request under way for it
//! at most.
//!
//! Whoever waits for a slot while it is being filled shares what comes of it,
//! a refusal too: a hundred tasks that meet an expired secret ask once.

use crate::Answer;
use offboard_domain::Fault;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

struct Slot<T> {
    /// How many requests have ended; whoever sees it grow shares the outcome.
    rounds: AtomicU64,
    state: tokio::sync::Mutex<Option<Result<Arc<T>, Fault>>>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self {
            rounds: AtomicU64::new(0),
            state: tokio::sync::Mutex::new(None),
        }
    }
}

/// The slots of one connector.
pub(crate) struct Slots<T>(Mutex<BTreeMap<String, Arc<Slot<T>>>>);

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }
}

impl<T> Slots<T> {
    /// What is kept under this key, if it will do; else what `ask` brings, which is
    /// told the number of the round.
    pub(crate) async fn get<F>(
        &self,
        key: &str,
        will_do: impl Fn(&T) -> bool,
        ask: impl FnOnce(u64) -> F,
    ) -> Answer<Arc<T>>
    where
        F: Future<Output = Answer<T>>,
    {
        let slot = {
            let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(key.to_owned()).or_default())
        };
        let seen = slot.rounds.load(Ordering::Acquire);
        let mut state = slot.state.lock().await;
        let round = slot.rounds.load(Ordering::Acquire);
        match &*state {
            Some(Ok(token)) if will_do(token) => return Ok(Arc::clone(token)),
            Some(Err(fault)) if round > seen => return Err(fault.clone()),
            _ => {}
        }
        let outcome = ask(round + 1).await.map(Arc::new);
        *state = Some(outcome.clone());
        slot.rounds.store(round + 1, Ordering::Release);
        outcome
    }
}
