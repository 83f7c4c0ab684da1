//! Trying again within seconds: a connection that broke, a server that
//! stumbled. What takes longer is the domain's schedule of attempts, not this.
//!
//! The one home of the `backoff` crate. It gives the intervals; the waiting is
//! the runtime's, so that paused time in a simulation works, and nothing is
//! held over an await, so that a dropped future just ends.

use backoff::ExponentialBackoffBuilder;
use backoff::backoff::Backoff;
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

/// How often, how soon and how long to try again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// The first pause.
    pub first: Duration,
    /// What each pause is multiplied with for the next.
    pub factor: f64,
    /// The longest pause.
    pub longest: Duration,
    /// How far a pause is moved at random, as a share of it (0 to 1); 0 where
    /// two runs must be alike.
    pub spread: f64,
    /// Most tries altogether; none: no limit.
    pub tries: Option<u32>,
    /// No try begins later than this after the first; none: no limit.
    pub within: Option<Duration>,
}

impl Policy {
    /// Inside one attempt: a few tries within ten seconds, far below the
    /// attempt's own limit.
    pub const ATTEMPT: Self = Self {
        first: Duration::from_millis(200),
        factor: 2.0,
        longest: Duration::from_secs(3),
        spread: 0.5,
        tries: Some(5),
        within: Some(Duration::from_secs(10)),
    };

    /// Reconnecting to a server of our own: for ever, at most half a minute apart.
    pub const RECONNECT: Self = Self {
        first: Duration::from_millis(100),
        factor: 2.0,
        longest: Duration::from_secs(30),
        spread: 0.5,
        tries: None,
        within: None,
    };

    /// The same without chance.
    #[must_use]
    pub fn without_spread(self) -> Self {
        Self { spread: 0.0, ..self }
    }
}

/// Why one try failed, and whether another may help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed<E> {
    /// Another try may help.
    Again(E),
    /// Another try may help, but not before this time has passed.
    AgainAfter(E, Duration),
    /// No other try will help.
    ForGood(E),
}

/// The last failure, and how often it was tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("gave up after {tries} tries in {} ms", after.as_millis())]
pub struct GaveUp<E: std::error::Error + 'static> {
    /// What the last try came back with.
    #[source]
    pub error: E,
    /// How many tries there were.
    pub tries: u32,
    /// How long they took.
    pub after: Duration,
}

/// Tries until it works, fails for good, or the policy is used up. `op` is
/// given the number of the try, from 1.
///
/// # Errors
/// [`GaveUp`] with the last failure.
pub async fn retry<T, E, F, Fut>(policy: &Policy, mut op: F) -> Result<T, GaveUp<E>>
where
    E: std::error::Error + 'static,
    F: FnMut(u32) -> Fut,
    Fut: Future<Output = Result<T, Failed<E>>>,
{
    let started = Instant::now();
    let mut pauses = ExponentialBackoffBuilder::new()
        .with_initial_interval(policy.first)
        .with_multiplier(policy.factor)
        .with_max_interval(policy.longest)
        .with_randomization_factor(policy.spread.clamp(0.0, 1.0))
        // Its limit would read the machine's clock; ours is the runtime's.
        .with_max_elapsed_time(None)
        .build();
    let mut tries = 0u32;
    loop {
        tries = tries.saturating_add(1);
        let (error, at_least) = match op(tries).await {
            Ok(done) => return Ok(done),
            Err(Failed::Again(e)) => (e, Some(Duration::ZERO)),
            Err(Failed::AgainAfter(e, pause)) => (e, Some(pause)),
            Err(Failed::ForGood(e)) => (e, None),
        };
        let pause = at_least
            .filter(|_| policy.tries.is_none_or(|most| tries < most))
            .and_then(|least| pauses.next_backoff().map(|p| p.max(least)))
            .filter(|pause| policy.within.is_none_or(|limit| started.elapsed() + *pause <= limit));
        match pause {
            Some(pause) => tokio::time::sleep(pause).await,
            None => {
                return Err(GaveUp {
                    error,
                    tries,
                    after: started.elapsed(),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
    #[error("no")]
    struct No;

    const EXACT: Policy = Policy {
        first: Duration::from_millis(100),
        factor: 2.0,
        longest: Duration::from_millis(300),
        spread: 0.0,
        tries: Some(5),
        within: Some(Duration::from_secs(10)),
    };

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_the_longest_and_end_with_the_tries() {
        let started = Instant::now();
        let mut at = Vec::new();
        let out: Result<(), _> = retry(&EXACT, |_| {
            at.push(started.elapsed().as_millis());
            async { Err(Failed::Again(No)) }
        })
        .await;
        assert_eq!(at, [0, 100, 300, 600, 900]);
        assert_eq!(out.unwrap_err().tries, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn stops_when_it_works_or_never_will() {
        let out = retry(
            &EXACT,
            |n| async move { if n < 3 { Err(Failed::Again(No)) } else { Ok(n) } },
        )
        .await;
        assert_eq!(out, Ok(3));
        let out: Result<(), _> = retry(&EXACT, |_| async { Err(Failed::ForGood(No)) }).await;
        assert_eq!(out.unwrap_err().tries, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_as_long_as_it_is_told_but_not_beyond_the_limit() {
        let started = Instant::now();
        let two = Duration::from_secs(2);
        let out = retry(&EXACT, |n| async move {
            if n == 1 {
                Err(Failed::AgainAfter(No, two))
            } else {
                Ok(())
            }
        })
        .await;
        assert_eq!((out, started.elapsed()), (Ok(()), two));
        let out: Result<(), _> = retry(&EXACT, |_| async {
            Err(Failed::AgainAfter(No, Duration::from_secs(11)))
        })
        .await;
        let gave_up = out.unwrap_err();
        assert_eq!((gave_up.tries, gave_up.after), (1, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_retry_just_ends() {
        let mut tries = 0;
        let endless = retry(&Policy::RECONNECT, |_| {
            tries += 1;
            async { Err::<(), _>(Failed::Again(No)) }
        });
        assert!(tokio::time::timeout(Duration::from_secs(300), endless).await.is_err());
        assert!(tries > 5, "{tries}");
    }
}
