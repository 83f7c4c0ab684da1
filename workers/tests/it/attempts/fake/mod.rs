//! A tiny outside world in memory, for attempts that are stopped at every
//! await: each primitive yields before it reads or writes and again before it
//! answers, so that a future dropped there has sent without an answer.
//!
//! It is as slow as a vendor where a test asks for it: reads lag behind
//! writes, a conversion takes minutes, devices check in when they are told to.

mod apps;
mod areas;
pub(crate) mod clock;
mod desk;
pub(crate) mod fleet;
mod notes;
mod premises;
mod scripts;
pub(crate) mod state;
pub(crate) mod workspace;

pub(crate) use clock::VirtualClock;
pub(crate) use state::State;

use async_trait::async_trait;
use offboard_connectors::{
    Answer, Apps, Call, Connector, Desk, Devices, Directory, Documents, FileTransfers, Finding, Fleet, Laptops,
    Licenses, MailReader, Mailboxes, Notes, Phones, Premises, Scripts, SharedDrives, Workspace, WorkspaceMail,
};
use offboard_domain::{Fault, FaultClass, Kind, ObjectId, Receipt, System, TenantId};
use offboard_runtime::Clock as _;
use offboard_workers::Connectors;
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::Duration;

pub(crate) fn system() -> System {
    System::new("m365").unwrap()
}

/// The world, and what was done to it.
pub(crate) struct World {
    history: Vec<(i64, State)>,
    /// How long a read lags behind a write.
    pub(crate) lag_ms: i64,
    /// Every accepted write, as a line.
    pub(crate) writes: Vec<String>,
    /// Writes that were tried without leave.
    pub(crate) trespasses: u32,
    /// Faults that the next writes meet: before (refused) or after it took
    /// effect (answered with this all the same).
    pub(crate) next_faults: Vec<(FaultClass, bool)>,
    /// Reads under way, and the most that ever were.
    pub(crate) reading: usize,
    pub(crate) reading_max: usize,
    /// How long each read takes, in tokio's time.
    pub(crate) slow: Duration,
    /// How long each reading of licences takes besides.
    pub(crate) licences_take: Duration,
    /// Until when the leaver's account may not be changed, whatever roles he has.
    pub(crate) protected_until_ms: i64,
    /// How many of the next writes take effect and are never answered.
    pub(crate) unanswered: u32,
    /// How many readings fail once something was written, and with what.
    pub(crate) reads_fail: u32,
    pub(crate) reads_meet: FaultClass,
    /// Others' mailboxes that nobody can read; the leaver's own is under his id.
    pub(crate) unreadable: BTreeSet<String>,
    /// How many more readings of others' mailboxes are answered, and what the next
    /// one meets then.
    pub(crate) others_stop: Option<(u32, FaultClass)>,
    /// Others' mailboxes that never answer.
    pub(crate) hanging: BTreeSet<String>,
    /// Whether the leaver has more folders than can be asked.
    pub(crate) too_many_folders: bool,
    /// Messages, by folder and place, that are listed and left out of so many answers.
    pub(crate) undelivered: BTreeMap<(String, u64), u32>,
    /// Messages, by folder and place, that the server fails over each time that they are
    /// among those that are asked for.
    pub(crate) failing: BTreeMap<(String, u64), Fails>,
    /// Whether it fails over all messages, while it lists them.
    pub(crate) mail_down: bool,
    /// Whether folders tell no place, mark or size, and are listed from the newest message
    /// on, a page after so many messages.
    pub(crate) pages_by_offset: bool,
    /// How many messages a page has.
    pub(crate) mail_page: usize,
    /// What happens when a page of this folder was answered, once.
    pub(crate) after_page: Option<(&'static str, Happens)>,
    /// What happens when this was read, once.
    pub(crate) after_read: Option<(&'static str, Happens)>,
}

/// How a server fails over a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fails {
    /// With this, before its first byte.
    With(FaultClass),
    /// It is cut off.
    Midway,
    /// It is longer than was said.
    TooLong,
    /// After so long, or when the call's time is over.
    After(Duration),
}

/// What befalls the world.
pub(crate) type Happens = fn(&mut State);

/// A handle on it that is a connector.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) world: Arc<Mutex<World>>,
    system: System,
}

impl Fake {
    pub(crate) fn new(state: State) -> Self {
        let clock = Arc::new(VirtualClock::default());
        let world = World {
            history: vec![(0, state)],
            lag_ms: 0,
            writes: Vec::new(),
            trespasses: 0,
            reads_fail: 0,
            reads_meet: FaultClass::Transient,
            next_faults: Vec::new(),
            reading: 0,
            reading_max: 0,
            slow: Duration::ZERO,
            licences_take: Duration::ZERO,
            protected_until_ms: 0,
            unanswered: 0,
            unreadable: BTreeSet::new(),
            others_stop: None,
            hanging: BTreeSet::new(),
            too_many_folders: false,
            undelivered: BTreeMap::new(),
            failing: BTreeMap::new(),
            mail_down: false,
            mail_page: 2,
            pages_by_offset: false,
            after_page: None,
            after_read: None,
        };
        Self {
            clock,
            world: Arc::new(Mutex::new(world)),
            system: system(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// The world as it is, with all that time has brought about.
    pub(crate) fn now(&self) -> State {
        let mut world = self.lock();
        world.advance(self.clock.now().0).clone()
    }

    /// A change from outside.
    pub(crate) fn edit(&self, f: impl FnOnce(&mut State)) {
        let now_ms = self.clock.now().0;
        self.lock().change(now_ms, f);
    }

    /// What a request meets that asks also about one that never answers.
    async fn hangs(&self, call: &Call, mailboxes: &[ObjectId]) -> Answer<()> {
        let hangs = mailboxes.iter().any(|one| self.lock().hanging.contains(&one.0));
        if hangs {
            tokio::time::sleep_until(call.deadline()).await;
            return Err(fault(FaultClass::Transient, "no answer"));
        }
        Ok(())
    }

    async fn read<T>(&self, call: &mut Call, what: &str, f: impl FnOnce(&State) -> T) -> Answer<T> {
        {
            let mut world = self.lock();
            if world.reads_fail > 0 && !world.writes.is_empty() {
                world.reads_fail -= 1;
                return Err(fault(world.reads_meet, what));
            }
            world.reading += 1;
            world.reading_max = world.reading_max.max(world.reading);
        }
        let slow = self.lock().slow;
        if slow > Duration::ZERO {
            tokio::time::sleep(slow).await;
        }
        pause().await;
        let value = {
            let mut world = self.lock();
            let now_ms = self.clock.now().0;
            world.advance(now_ms);
            let value = f(world.at(now_ms - world.lag_ms));
            if let Some((_, happens)) = world.after_read.take_if(|(of, _)| *of == what) {
                world.change(now_ms, happens);
            }
            value
        };
        pause().await;
        self.lock().reading -= 1;
        call.note_source("fake");
        call.note_read_receipt(receipt(call, "GET", what));
        Ok(value)
    }

    async fn write(&self, call: &mut Call, what: &str, f: impl FnOnce(&mut State, i64)) -> Answer<()> {
        if !call.may_write() {
            self.lock().trespasses += 1;
            return Err(fault(FaultClass::Denied, what));
        }
        pause().await;
        call.note_write();
        let (answer, refused) = {
            let mut world = self.lock();
            let now_ms = self.clock.now().0;
            let (met, takes_effect) = match world.next_faults.pop() {
                Some((class, takes_effect)) => (Some(class), takes_effect),
                None => (None, true),
            };
            if takes_effect {
                world.writes.push(what.to_owned());
                world.change(now_ms, |state| f(state, now_ms));
            }
            // As a connector knows it: by the answer, whatever came of the request. Who was
            // asked too often takes nothing; who is busy and took it says no other word.
            let refused = met.is_some_and(|class| match class {
                FaultClass::Throttled { .. } => !takes_effect,
                class => class.is_refusal(),
            });
            (met.map_or(Ok(()), |class| Err(fault(class, what))), refused)
        };
        if refused {
            call.note_refused();
        }
        let unanswered = {
            let mut world = self.lock();
            let left = world.unanswered.checked_sub(1);
            world.unanswered = left.unwrap_or(0);
            left.is_some()
        };
        if unanswered {
            std::future::pending::<()>().await;
        }
        pause().await;
        call.note_receipt(receipt(call, "POST", what));
        answer
    }
}

impl World {
    /// What a reading of these mailboxes meets.
    fn meets(&mut self, mailboxes: &[ObjectId]) -> Answer<()> {
        if let Some((left, class)) = self.others_stop {
            self.others_stop = left.checked_sub(1).map(|left| (left, class));
            if left == 0 {
                return Err(fault(class, "others' mailboxes"));
            }
        }
        match mailboxes.iter().any(|one| self.unreadable.contains(&one.0)) {
            true => Err(fault(FaultClass::Transient, "a mailbox")),
            false => Ok(()),
        }
    }

    fn at(&self, ms: i64) -> &State {
        let seen = self.history.iter().rev().find(|(since, _)| *since <= ms);
        &seen.unwrap_or(&self.history[0]).1
    }

    /// Lets time bring about what is due.
    fn advance(&mut self, now_ms: i64) -> &State {
        let mut state = self.history.last().unwrap().1.clone();
        if state.time_passes(now_ms) {
            self.history.push((now_ms, state));
        }
        &self.history.last().unwrap().1
    }

    fn change(&mut self, now_ms: i64, f: impl FnOnce(&mut State)) {
        let mut state = self.advance(now_ms).clone();
        f(&mut state);
        self.history.push((now_ms, state));
    }
}

/// One await.
pub(crate) async fn pause() {
    let mut polled = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut polled, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn receipt(call: &Call, method: &str, what: &str) -> Receipt {
    Receipt {
        at: call.now(),
        request: format!("{method} /{what}"),
        status: 200,
        request_id: None,
    }
}

pub(crate) fn fault(class: FaultClass, attempted: &str) -> Fault {
    Fault {
        class,
        system: system(),
        attempted: attempted.to_owned(),
        status: None,
        code: None,
        detail: "by the test's order".to_owned(),
        request_id: None,
    }
}

#[async_trait]
impl Connector for Fake {
    fn vendor(&self) -> &'static str {
        "fake"
    }

    fn system(&self) -> &System {
        &self.system
    }
    fn claims(&self) -> BTreeSet<Kind> {
        Kind::ALL.iter().copied().collect()
    }
    fn directory(&self) -> Option<&dyn Directory> {
        Some(self)
    }
    fn mail(&self) -> Option<&dyn MailReader> {
        Some(self)
    }

    fn mailboxes(&self) -> Option<&dyn Mailboxes> {
        Some(self)
    }
    fn devices(&self) -> Option<&dyn Devices> {
        Some(self)
    }
    fn licenses(&self) -> Option<&dyn Licenses> {
        Some(self)
    }
    fn documents(&self) -> Option<&dyn Documents> {
        Some(self)
    }
    fn apps(&self) -> Option<&dyn Apps> {
        Some(self)
    }
    fn fleet(&self) -> Option<&dyn Fleet> {
        Some(self)
    }
    fn desk(&self) -> Option<&dyn Desk> {
        Some(self)
    }
    fn notes(&self) -> Option<&dyn Notes> {
        Some(self)
    }
    fn premises(&self) -> Option<&dyn Premises> {
        Some(self)
    }
    fn scripts(&self) -> Option<&dyn Scripts> {
        Some(self)
    }
    fn workspace(&self) -> Option<&dyn Workspace> {
        Some(self)
    }
    fn workspace_mail(&self) -> Option<&dyn WorkspaceMail> {
        Some(self)
    }
    fn file_transfers(&self) -> Option<&dyn FileTransfers> {
        Some(self)
    }
    fn shared_drives(&self) -> Option<&dyn SharedDrives> {
        Some(self)
    }
    fn laptops(&self) -> Option<&dyn Laptops> {
        Some(self)
    }
    fn phones(&self) -> Option<&dyn Phones> {
        Some(self)
    }
    async fn check(&self, _call: &mut Call) -> Vec<Finding> {
        Vec::new()
    }
}

/// One tenant with this one system.
pub(crate) struct OneTenant(pub(crate) Fake);

impl Connectors for OneTenant {
    fn get(&self, tenant: &TenantId, wanted: &System) -> Option<Arc<dyn Connector>> {
        (tenant.as_str() == "acme" && *wanted == system()).then(|| Arc::new(self.0.clone()) as Arc<dyn Connector>)
    }
}
