//! What is published and not yet confirmed, at most so many at once: who of
//! them was confirmed, who was returned. It knows nothing of the network.
//!
//! # Why returns are matched by id
//! A message that no queue wanted comes back before it is confirmed. The client
//! library keeps what came back in one place for the whole channel and hands it
//! to whichever confirm completes next, so that the bearer of a return and the
//! returned message are often two. Three rules make of that a verdict that is
//! always right:
//! 1. **Publications enter in order**, from one task, each polled once as it
//!    enters, so that confirm and message belong together at all.
//! 2. **A message is confirmed only after everything has been looked at that
//!    completed before it.** A return is handed out no later than its message
//!    completes without one, so whoever bears it has then been seen. (Wake-ups
//!    come from the library's one thread in the order of completion; looking
//!    goes on until there are none.)
//! 3. **Once a return was seen, nothing is concluded until all is confirmed**:
//!    the bearer's own return may come with a later confirm. Nothing enters
//!    while that lasts. It is rare: only a missing queue makes returns.

use futures::task::AtomicWaker;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

/// What became of a publication, as its confirm says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The broker has it, unless it is itself the message that came back.
    Confirmed(Option<Returned>),
    /// The broker did not take it.
    Refused(Option<Returned>),
    /// The channel ended before it was known.
    Broken(String),
}

/// A message that came back: no queue wanted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Returned {
    /// Its id.
    pub(super) id: String,
    /// Where it was to go.
    pub(super) routing_key: String,
    /// What the broker says.
    pub(super) reason: String,
}

/// What became of a publication in truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The broker has it.
    Confirmed,
    /// No queue wanted it.
    Unroutable(String),
    /// The broker did not take it.
    Refused,
    /// Nobody knows.
    Unknown(String),
}

/// What stands for a publication in flight.
#[derive(Debug)]
pub(super) struct Sent<T> {
    /// Whose it is.
    pub(super) of: T,
    /// The message's id and where it is to go.
    pub(super) id: String,
    pub(super) routing_key: String,
    /// When it was sent.
    pub(super) at: Instant,
}

pub(super) type Confirming = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// The window.
pub(super) struct Window<T> {
    slots: Vec<Slot<T>>,
    free: Vec<usize>,
    woken: Arc<Woken>,
    /// Confirmed and not yet concluded.
    complete: Vec<usize>,
    /// A return was seen: rule 3.
    holding: bool,
}

struct Slot<T> {
    state: State<T>,
    waker: Waker,
}

enum State<T> {
    Free,
    InFlight(Sent<T>, Confirming),
    Complete(Sent<T>, Outcome),
}

/// Which slots have something new.
#[derive(Default)]
struct Woken {
    slots: Mutex<Vec<usize>>,
    task: AtomicWaker,
}

struct SlotWaker {
    slot: usize,
    woken: Arc<Woken>,
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let first = {
            let mut slots = self.woken.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.push(self.slot);
            slots.len() == 1
        };
        // Whoever made it more than empty has woken the task already.
        if first {
            self.woken.task.wake();
        }
    }
}

impl<T> Window<T> {
    /// A window for so many.
    pub(super) fn new(size: usize) -> Self {
        let woken = Arc::new(Woken::default());
        let slot = |slot| Slot {
            state: State::Free,
            waker: Waker::from(Arc::new(SlotWaker {
                slot,
                woken: Arc::clone(&woken),
            })),
        };
        let size = size.max(1);
        Self {
            slots: (0..size).map(slot).collect(),
            free: (0..size).rev().collect(),
            woken,
            complete: Vec::new(),
            holding: false,
        }
    }

    /// Whether one more may enter.
    pub(super) fn has_room(&self) -> bool {
        !self.holding && !self.free.is_empty()
    }

    /// Whether nothing is in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    /// Lets a publication in: its future is polled once, which sends it. There
    /// must be room.
    pub(super) fn enter(&mut self, sent: Sent<T>, mut confirming: Confirming) {
        let Some(index) = self.free.pop() else {
            debug_assert!(false, "whoever lets in asks for room first");
            return;
        };
        let slot = &mut self.slots[index];
        let polled = confirming.as_mut().poll(&mut Context::from_waker(&slot.waker));
        slot.state = match polled {
            Poll::Pending => State::InFlight(sent, confirming),
            Poll::Ready(outcome) => State::Complete(sent, outcome),
        };
        if matches!(slot.state, State::Complete(..)) {
            // It is looked at with the others.
            slot.waker.wake_by_ref();
        }
    }

    /// The verdicts that are certain now; pending if there is none yet.
    pub(super) fn poll_verdicts(&mut self, cx: &mut Context<'_>) -> Poll<Vec<(T, Verdict)>> {
        self.woken.task.register(cx.waker());
        // Rule 2: until nothing more is new.
        loop {
            let new = std::mem::take(&mut *self.woken.slots.lock().unwrap_or_else(PoisonError::into_inner));
            if new.is_empty() {
                break;
            }
            for index in new {
                self.look_at(index);
            }
        }
        let in_flight = self.slots.len() - self.free.len() - self.complete.len();
        if self.complete.is_empty() || (self.holding && in_flight > 0) {
            return Poll::Pending;
        }
        Poll::Ready(self.conclude())
    }

    fn look_at(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        match std::mem::replace(&mut slot.state, State::Free) {
            // Woken for one that has long gone.
            State::Free => return,
            State::InFlight(sent, mut confirming) => {
                match confirming.as_mut().poll(&mut Context::from_waker(&slot.waker)) {
                    Poll::Pending => {
                        slot.state = State::InFlight(sent, confirming);
                        return;
                    }
                    Poll::Ready(outcome) => slot.state = State::Complete(sent, outcome),
                }
            }
            complete @ State::Complete(..) => {
                slot.state = complete;
                if self.complete.contains(&index) {
                    return;
                }
            }
        }
        if let State::Complete(_, Outcome::Confirmed(Some(_)) | Outcome::Refused(Some(_))) = &slot.state {
            self.holding = true;
        }
        self.complete.push(index);
    }

    /// All that is complete. If there was a return, that is all there is.
    fn conclude(&mut self) -> Vec<(T, Verdict)> {
        let mut complete = Vec::with_capacity(self.complete.len());
        for index in std::mem::take(&mut self.complete) {
            if let State::Complete(sent, outcome) = std::mem::replace(&mut self.slots[index].state, State::Free) {
                complete.push((sent, outcome));
            }
            self.free.push(index);
        }
        let mut returns = Vec::new();
        if self.holding {
            for (_, outcome) in &mut complete {
                if let Outcome::Confirmed(returned) | Outcome::Refused(returned) = outcome {
                    returns.extend(returned.take());
                }
            }
            self.holding = false;
        }
        let verdict = |(sent, outcome): (Sent<T>, Outcome)| {
            let mine = returns
                .iter()
                .find(|r| r.id == sent.id && r.routing_key == sent.routing_key);
            let verdict = match (mine, outcome) {
                (Some(returned), _) => Verdict::Unroutable(returned.reason.clone()),
                (None, Outcome::Confirmed(_)) => Verdict::Confirmed,
                (None, Outcome::Refused(_)) => Verdict::Refused,
                (None, Outcome::Broken(why)) => Verdict::Unknown(why),
            };
            (sent.of, verdict)
        };
        complete.into_iter().map(verdict).collect()
    }

    /// When the oldest in flight was sent.
    pub(super) fn oldest(&self) -> Option<Instant> {
        let sent = self.slots.iter().filter_map(|slot| match &slot.state {
            State::InFlight(sent, _) => Some(sent.at),
            State::Free | State::Complete(..) => None,
        });
        sent.min()
    }

    /// Gives all up: nobody knows what became of them.
    pub(super) fn give_up(&mut self, why: &str) -> Vec<(T, Verdict)> {
        let mut given_up = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            match std::mem::replace(&mut slot.state, State::Free) {
                State::Free => continue,
                State::InFlight(sent, _) | State::Complete(sent, _) => {
                    given_up.push((sent.of, Verdict::Unknown(why.to_owned())));
                }
            }
            self.free.push(index);
        }
        self.complete.clear();
        self.holding = false;
        given_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, VecDeque};

    /// A confirm that the test completes.
    #[derive(Clone, Default)]
    struct Confirm(Arc<Mutex<(Option<Outcome>, Option<Waker>)>>);

    impl Confirm {
        fn complete(&self, outcome: Outcome) {
            let waker = {
                let mut inner = self.0.lock().unwrap();
                inner.0 = Some(outcome);
                inner.1.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    impl Future for Confirm {
        type Output = Outcome;
        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
            let mut inner = self.0.lock().unwrap();
            match inner.0.take() {
                Some(outcome) => Poll::Ready(outcome),
                None => {
                    inner.1 = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        }
    }

    fn sent(n: usize) -> Sent<usize> {
        Sent {
            of: n,
            id: n.to_string(),
            routing_key: "q".to_owned(),
            at: Instant::now(),
        }
    }

    fn returned(n: usize) -> Returned {
        Returned {
            id: n.to_string(),
            routing_key: "q".to_owned(),
            reason: "NO_ROUTE".to_owned(),
        }
    }

    fn unroutable() -> Verdict {
        Verdict::Unroutable("NO_ROUTE".to_owned())
    }

    fn enter(window: &mut Window<usize>, n: usize) -> Confirm {
        let confirm = Confirm::default();
        window.enter(sent(n), Box::pin(confirm.clone()));
        confirm
    }

    fn verdicts(window: &mut Window<usize>) -> Vec<(usize, Verdict)> {
        match window.poll_verdicts(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(verdicts) => verdicts,
            Poll::Pending => Vec::new(),
        }
    }

    #[test]
    fn room_is_what_is_not_in_flight() {
        let mut window = Window::new(2);
        let first = enter(&mut window, 1);
        let _second = enter(&mut window, 2);
        assert!(!window.has_room());
        assert!(verdicts(&mut window).is_empty());
        first.complete(Outcome::Confirmed(None));
        assert_eq!(verdicts(&mut window), [(1, Verdict::Confirmed)]);
        assert!(window.has_room() && !window.is_empty());
        assert_eq!(window.give_up("over"), [(2, Verdict::Unknown("over".to_owned()))]);
        assert!(window.is_empty() && window.oldest().is_none());
    }

    #[test]
    fn the_returned_message_fails_and_not_its_bearer() {
        let mut window = Window::new(4);
        let confirms: Vec<Confirm> = (0..3).map(|n| enter(&mut window, n)).collect();
        // The return of 1 comes with the confirm of 2, and 1 as if it were well.
        confirms[2].complete(Outcome::Confirmed(Some(returned(1))));
        confirms[1].complete(Outcome::Confirmed(None));
        assert!(verdicts(&mut window).is_empty(), "0 may bring another");
        assert!(!window.has_room(), "nothing enters meanwhile");
        confirms[0].complete(Outcome::Confirmed(None));
        let mut all = verdicts(&mut window);
        all.sort_by_key(|(n, _)| *n);
        assert_eq!(
            all,
            [(0, Verdict::Confirmed), (1, unroutable()), (2, Verdict::Confirmed)]
        );
        assert!(window.has_room());
    }

    #[test]
    fn the_same_id_for_another_queue_is_another_message() {
        let mut window = Window::new(4);
        let same = enter(&mut window, 1);
        let confirm = Confirm::default();
        let other = Sent {
            of: 2,
            routing_key: "other".to_owned(),
            ..sent(1)
        };
        window.enter(other, Box::pin(confirm.clone()));
        same.complete(Outcome::Confirmed(None));
        confirm.complete(Outcome::Refused(Some(returned(1))));
        let mut all = verdicts(&mut window);
        all.sort_by_key(|(n, _)| *n);
        assert_eq!(all, [(1, unroutable()), (2, Verdict::Refused)]);
    }

    /// The library and the broker, as far as returns go: what comes back is
    /// kept in one place and handed to whichever confirm completes next; a
    /// confirm may be for all so far, which then complete in any order.
    struct Library {
        seed: u64,
        /// In the order of publication: number, whether a queue wants it.
        at_the_broker: VecDeque<(usize, bool)>,
        /// Told back if it had to be, and not yet confirmed.
        unconfirmed: Vec<usize>,
        returns: VecDeque<usize>,
        confirms: BTreeMap<usize, Confirm>,
    }

    impl Library {
        fn random(&mut self, below: usize) -> usize {
            self.seed = self
                .seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(self.seed >> 33).unwrap() % below.max(1)
        }

        fn complete(&mut self, n: usize) {
            let returned = self.returns.pop_front().map(returned);
            self.confirms[&n].complete(Outcome::Confirmed(returned));
        }

        fn step(&mut self) {
            match self.random(3) {
                0 | 1 => {
                    if let Some((n, wanted)) = self.at_the_broker.pop_front() {
                        if !wanted {
                            self.returns.push_back(n);
                        }
                        self.unconfirmed.push(n);
                    }
                }
                _ if self.random(2) == 0 => {
                    let mut all = std::mem::take(&mut self.unconfirmed);
                    while !all.is_empty() {
                        let next = self.random(all.len());
                        let n = all.swap_remove(next);
                        self.complete(n);
                    }
                }
                _ if !self.unconfirmed.is_empty() => {
                    let next = self.random(self.unconfirmed.len());
                    let n = self.unconfirmed.remove(next);
                    self.complete(n);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn whatever_the_library_mixes_up_every_verdict_is_right() {
        for seed in 0..2_000 {
            let mut library = Library {
                seed,
                at_the_broker: VecDeque::new(),
                unconfirmed: Vec::new(),
                returns: VecDeque::new(),
                confirms: BTreeMap::new(),
            };
            let mut window = Window::new(8);
            let (mut next, mut seen) = (0, BTreeMap::new());
            let mut truth = BTreeMap::new();
            while seen.len() < 60 {
                if next < 60 && window.has_room() && library.random(2) == 0 {
                    let wanted = library.random(6) != 0;
                    let confirm = enter(&mut window, next);
                    library.confirms.insert(next, confirm);
                    library.at_the_broker.push_back((next, wanted));
                    truth.insert(next, if wanted { Verdict::Confirmed } else { unroutable() });
                    next += 1;
                }
                library.step();
                if library.random(3) == 0 {
                    seen.extend(verdicts(&mut window));
                }
            }
            assert_eq!(seen, truth, "seed {seed}");
        }
    }
}
