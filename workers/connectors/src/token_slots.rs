//! How tokens are asked for, and where they are kept: a slot for each key, with
//! one request under way for it at most.
//!
//! Whoever waits for a slot while it is being filled shares what comes of it,
//! a refusal too: a hundred tasks that meet an expired secret ask once.

use crate::Answer;
use crate::http::{Answered, HttpClient, NoAnswer, Request, Shown};
use bytes::Bytes;
use offboard_domain::Fault;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// Posts a form for a token (RFC 6749 section 4). Where no answer comes, it says
/// from whom none came.
pub(crate) async fn ask_for_token(
    http: &HttpClient,
    url: &Url,
    form: String,
    deadline: Instant,
    shown: Shown<'_>,
) -> Result<Answered, String> {
    let mut headers = HeaderMap::new();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let request = Request {
        method: Method::POST,
        url: url.clone(),
        headers,
        body: Some(Bytes::from(form)),
    };
    http.send(request, deadline, shown).await.map_err(|why| {
        let why = match why {
            NoAnswer::NotSent(why) | NoAnswer::Silence(why) => why,
            NoAnswer::TooLarge => "the answer was too large",
        };
        let host = url.host_str().unwrap_or("nowhere");
        format!("no token from {host}: {why}; it is tried again")
    })
}

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
