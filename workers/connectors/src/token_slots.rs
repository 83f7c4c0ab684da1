//! How tokens are asked for, and where they are kept: a slot for each key, with
//! one request under way for it at most.
//!
//! Whoever waits for a slot while it is being filled shares what comes of it,
//! a refusal too: a hundred tasks that meet an expired secret ask once. A token
//! that cannot be renewed ahead of its end serves until then.

use crate::Answer;
use crate::http::{Answered, HttpClient, NoAnswer, Request, Shown};
use bytes::Bytes;
use offboard_domain::{Fault, Timestamp};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
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

/// A token is renewed this long before it ends, so that no request carries one
/// that ends on the way.
const RENEW_EARLY_MS: i64 = 120_000;
/// For how long after a renewal failed nobody asks again while the token still serves.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// From when to when a token serves.
#[derive(Debug)]
pub(crate) struct Life {
    renew_at: Timestamp,
    ends_at: Timestamp,
    serial: u64,
}

impl Life {
    /// Of a token that was asked for now, in this round.
    pub(crate) fn new(now: Timestamp, lives_s: i64, serial: u64) -> Self {
        let lives_ms = lives_s.saturating_mul(1_000);
        // One that lives shortly is used for half its life.
        let early_ms = RENEW_EARLY_MS.min(lives_ms / 2);
        Self {
            renew_at: now.plus(lives_ms - early_ms),
            ends_at: now.plus(lives_ms),
            serial,
        }
    }

    fn serves(&self, now: Timestamp, refused: Option<u64>) -> bool {
        now < self.ends_at && refused != Some(self.serial)
    }
}

/// What lives for a time.
pub(crate) trait Lives {
    fn life(&self) -> &Life;
}

struct Slot<T> {
    /// How many requests have ended; whoever sees it grow shares the outcome.
    rounds: AtomicU64,
    state: tokio::sync::Mutex<State<T>>,
}

struct State<T> {
    token: Option<Arc<T>>,
    /// How the last request failed; the token is the one before it.
    failed: Option<Failed>,
}

struct Failed {
    fault: Fault,
    at: Instant,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self {
            rounds: AtomicU64::new(0),
            state: tokio::sync::Mutex::new(State {
                token: None,
                failed: None,
            }),
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

impl<T: Lives> Slots<T> {
    /// What is kept under this key, until it is to be renewed; then what `ask` brings,
    /// which is told the number of the round. Where that fails, what is kept
    /// serves to its end. Never the one that was `refused`.
    pub(crate) async fn get<F>(
        &self,
        key: &str,
        now: impl Fn() -> Timestamp,
        refused: Option<&T>,
        ask: impl FnOnce(u64) -> F,
    ) -> Answer<Arc<T>>
    where
        F: Future<Output = Answer<T>>,
    {
        let refused = refused.map(|token| token.life().serial);
        let slot = {
            let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(key.to_owned()).or_default())
        };
        let seen = slot.rounds.load(Ordering::Acquire);
        let mut state = slot.state.lock().await;
        let round = slot.rounds.load(Ordering::Acquire);
        let kept = state.token.clone().filter(|t| t.life().serves(now(), refused));
        let failed = state
            .failed
            .as_ref()
            .filter(|f| round > seen || (kept.is_some() && f.at.elapsed() < ASK_AGAIN));
        match (&kept, failed) {
            (Some(token), failed) if failed.is_some() || now() < token.life().renew_at => return Ok(Arc::clone(token)),
            (None, Some(failed)) => return Err(failed.fault.clone()),
            _ => {}
        }
        let outcome = match ask(round + 1).await.map(Arc::new) {
            Ok(token) => {
                *state = State {
                    token: Some(Arc::clone(&token)),
                    failed: None,
                };
                Ok(token)
            }
            Err(fault) => {
                // It may have ended meanwhile.
                let kept = kept.filter(|t| t.life().serves(now(), refused));
                *state = State {
                    token: kept.clone(),
                    failed: Some(Failed {
                        fault: fault.clone(),
                        at: Instant::now(),
                    }),
                };
                kept.ok_or(fault)
            }
        };
        slot.rounds.store(round + 1, Ordering::Release);
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use offboard_domain::{FaultClass, System};

    struct Given(Life);

    impl Lives for Given {
        fn life(&self) -> &Life {
            &self.0
        }
    }

    /// Whether somebody was asked, who gives a token for an hour or fails, and the
    /// token's round.
    async fn get(
        slots: &Slots<Given>,
        at_s: i64,
        refused: Option<u64>,
        gives: bool,
    ) -> (bool, Result<u64, FaultClass>) {
        let now = Timestamp(at_s * 1_000);
        let refused = refused.map(|serial| Given(Life::new(now, 3_600, serial)));
        let mut asked = false;
        let ask = |serial| {
            asked = true;
            async move {
                match gives {
                    true => Ok(Given(Life::new(now, 3_600, serial))),
                    false => Err(Fault {
                        class: FaultClass::Transient,
                        system: System::new("m365").unwrap(),
                        attempted: "ask".to_owned(),
                        status: Some(503),
                        code: None,
                        detail: "the token endpoint failed".to_owned(),
                        request_id: None,
                    }),
                }
            }
        };
        let got = slots.get("key", || now, refused.as_ref(), ask).await;
        (asked, got.map(|token| token.0.serial).map_err(|fault| fault.class))
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_that_fails_leaves_the_token_to_its_end_and_is_tried_again_after_a_while() {
        let slots = Slots::default();
        assert_eq!(get(&slots, 0, None, true).await, (true, Ok(1)));
        assert_eq!(get(&slots, 3_479, None, false).await, (false, Ok(1)));
        assert_eq!(get(&slots, 3_481, None, false).await, (true, Ok(1)));
        assert_eq!(get(&slots, 3_481, None, true).await, (false, Ok(1)), "not at once");
        tokio::time::advance(ASK_AGAIN).await;
        assert_eq!(get(&slots, 3_491, None, false).await, (true, Ok(1)));
        let ended = (true, Err(FaultClass::Transient));
        assert_eq!(get(&slots, 3_600, None, false).await, ended, "its end has come");
        assert_eq!(get(&slots, 3_600, None, true).await, (true, Ok(5)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_was_refused_serves_nobody_when_no_other_is_given() {
        let slots = Slots::default();
        assert_eq!(get(&slots, 0, None, true).await, (true, Ok(1)));
        let refused = (true, Err(FaultClass::Transient));
        assert_eq!(get(&slots, 1, Some(1), false).await, refused);
        assert_eq!(get(&slots, 1, None, true).await, (true, Ok(3)));
        assert_eq!(get(&slots, 3_500, None, false).await, (true, Ok(3)));
        assert_eq!(
            get(&slots, 3_500, Some(3), false).await,
            refused,
            "nor in the while after"
        );
    }
}
