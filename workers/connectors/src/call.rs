//! What travels with every primitive: until when it may run, whether it may
//! write, and the receipts that it leaves.

use offboard_domain::{AttemptMark, Lane, ObjectId, Receipt, Timestamp, Writes};
use offboard_runtime::Clock;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How many receipts of reads one call keeps: a listing of a large tenant would
/// otherwise fill the ledger with ids that prove nothing more. Receipts of
/// writes are all kept.
pub const READ_RECEIPTS_MAX: usize = 24;

/// One attempt's dealings with one system.
///
/// The attempt loop makes one for each attempt, lends it to every primitive,
/// and takes receipts and sources out at the end (they are there after a fault
/// too). It starts without leave to write; the loop gives it when an
/// assignment's mode, time and judgement allow, and takes it back before the
/// last observation.
pub struct Call {
    clock: Arc<dyn Clock>,
    deadline: Instant,
    lane: Lane,
    mark: Option<AttemptMark>,
    leaving: BTreeSet<ObjectId>,
    may_write: bool,
    writes: Writes,
    read_receipts: usize,
    receipts: Vec<Receipt>,
    sources: BTreeSet<&'static str>,
    unlicensed: BTreeSet<&'static str>,
}

impl Call {
    /// A call that may only read, and must end by `deadline` (monotonic).
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, deadline: Instant, lane: Lane) -> Self {
        Self {
            clock,
            deadline,
            lane,
            mark: None,
            leaving: BTreeSet::new(),
            may_write: false,
            writes: Writes::default(),
            read_receipts: 0,
            receipts: Vec::new(),
            sources: BTreeSet::new(),
            unlicensed: BTreeSet::new(),
        }
    }

    /// Made by an attempt, whose mark it leaves at the vendor's.
    #[must_use]
    pub fn marked(mut self, mark: Option<AttemptMark>) -> Self {
        self.mark = mark;
        self
    }

    /// What the ids of its requests begin with, if an attempt makes them.
    #[must_use]
    pub fn mark(&self) -> Option<AttemptMark> {
        self.mark
    }

    /// These leave, too: they are not counted among those who administer a tenant, or own a
    /// group.
    #[must_use]
    pub fn not_counting(mut self, leaving: BTreeSet<ObjectId>) -> Self {
        self.leaving = leaving;
        self
    }

    /// Who is not counted among those who administer a tenant, or own a group.
    #[must_use]
    pub fn leaving(&self) -> &BTreeSet<ObjectId> {
        &self.leaving
    }

    /// Gives or takes back the leave to write.
    pub fn allow_writes(&mut self, allowed: bool) {
        self.may_write = allowed;
    }

    /// Whether writes are allowed now.
    #[must_use]
    pub fn may_write(&self) -> bool {
        self.may_write
    }

    /// Engine time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The clock itself.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// When the call must have ended.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// How much real time is left; zero when the deadline has passed.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Urgent calls ask the vendor to throttle others first.
    #[must_use]
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// How many requests that write were sent, answered or not. Zero means
    /// that the attempt has certainly changed nothing.
    #[must_use]
    pub fn writes_sent(&self) -> u32 {
        self.writes.sent
    }

    /// The same, with how many of them certainly had no effect.
    #[must_use]
    pub fn writes(&self) -> Writes {
        self.writes
    }

    /// The receipts so far, in the order of the answers.
    #[must_use]
    pub fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }

    /// Takes the receipts out.
    #[must_use]
    pub fn take_receipts(&mut self) -> Vec<Receipt> {
        std::mem::take(&mut self.receipts)
    }

    /// Which interfaces were read since the last time this was asked, for an
    /// observation's `sources`.
    #[must_use]
    pub fn take_sources(&mut self) -> Vec<String> {
        std::mem::take(&mut self.sources)
            .into_iter()
            .map(str::to_owned)
            .collect()
    }

    /// What the vendor would not say since the last time this was asked, because
    /// the tenant has no licence for it: there is none of it, and the reading
    /// is to say why ([`ELIGIBLE_ROLES`](crate::ELIGIBLE_ROLES)).
    #[must_use]
    pub fn take_unlicensed(&mut self) -> BTreeSet<&'static str> {
        std::mem::take(&mut self.unlicensed)
    }

    /// For connectors: a request that writes is about to be sent.
    pub fn note_write(&mut self) {
        self.writes.sent = self.writes.sent.saturating_add(1);
    }

    /// For connectors: the last request that writes had no effect. The vendor refused it,
    /// or it did not go out. Whatever is not certain is not noted here.
    pub fn note_refused(&mut self) {
        self.writes.refused = self.writes.refused.saturating_add(1);
    }

    /// For connectors: the vendor answered a request that writes.
    pub fn note_receipt(&mut self, receipt: Receipt) {
        self.receipts.push(receipt);
    }

    /// For connectors: the vendor answered a request that reads. Only the first
    /// [`READ_RECEIPTS_MAX`] of a call are kept.
    pub fn note_read_receipt(&mut self, receipt: Receipt) {
        if self.read_receipts < READ_RECEIPTS_MAX {
            self.read_receipts += 1;
            self.receipts.push(receipt);
        }
    }

    /// For connectors: this interface was read.
    pub fn note_source(&mut self, source: &'static str) {
        self.sources.insert(source);
    }

    /// For connectors: the tenant has no licence for this sort of thing, so that
    /// there is none of it.
    pub fn note_unlicensed(&mut self, what: &'static str) {
        self.unlicensed.insert(what);
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("lane", &self.lane)
            .field("may_write", &self.may_write)
            .field("writes", &self.writes)
            .field("receipts", &self.receipts.len())
            .finish_non_exhaustive()
    }
}
