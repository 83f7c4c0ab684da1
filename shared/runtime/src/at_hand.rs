//! What a loop has at hand: work that goes on beside the loop, on whichever core is
//! free, and ends with it.

use std::panic::resume_unwind;
use tokio::task::JoinSet;

/// Work at hand. Dropped, it drops all of it: unlike with tasks that are let
/// go, a loop that dies takes down with it what it began.
#[derive(Debug, Default)]
pub struct AtHand {
    tasks: JoinSet<()>,
}

impl AtHand {
    /// Nothing at hand.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a piece of work.
    pub fn push(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        // A task moves what it runs when it begins and when it ends: a pointer.
        self.tasks.spawn(Box::pin(work));
    }

    /// How many pieces have not ended, or nobody has heard of their end.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Waits until a piece has ended; none if there is none. May be dropped
    /// and called again.
    ///
    /// # Panics
    /// If that piece did: it is the loop's own panic.
    pub async fn next(&mut self) -> Option<()> {
        match self.tasks.join_next().await? {
            Err(broke) if broke.is_panic() => resume_unwind(broke.into_panic()),
            _ => Some(()),
        }
    }

    /// Waits until all has ended.
    ///
    /// # Panics
    /// If a piece did.
    pub async fn finish(&mut self) {
        while self.next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn it_ends_with_the_loop_that_began_it() {
        let kept = Arc::new(());
        let mut at_hand = AtHand::new();
        let held = kept.clone();
        at_hand.push(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&kept), 2);
        drop(at_hand);
        while Arc::strong_count(&kept) > 1 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn all_of_it_is_waited_for() {
        let done = Arc::new(AtomicUsize::new(0));
        let mut at_hand = AtHand::new();
        for _ in 0..8 {
            let done = done.clone();
            at_hand.push(async move {
                tokio::task::yield_now().await;
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        at_hand.finish().await;
        assert_eq!((done.load(Ordering::Relaxed), at_hand.len()), (8, 0));
    }

    #[tokio::test]
    #[should_panic(expected = "broken")]
    async fn a_panic_in_it_is_the_loops_own() {
        let mut at_hand = AtHand::new();
        at_hand.push(async { panic!("broken") });
        at_hand.finish().await;
    }
}
