//! Others' mailboxes, looked at one after the other for what the leaver holds
//! on them.
//!
//! No mail system lists that by who holds it, so every mailbox of the tenant is
//! asked, and of thousands no single attempt is through. So it is a pass in
//! slices: everybody's mailboxes are listed into the store, and then looked at
//! in that order. The checkpoint has the digests of the list and of what was
//! found, and how many were looked at; the pass is through when that is all of
//! them, and nothing is said of what he holds before.
//!
//! What stops a slice that has come further ends it without a fault, so that
//! nothing is looked at twice; what stops the next one before it has come
//! further is that one's fault.

use crate::job::{Job, count};
use offboard_connectors::{Answer, Attached, Attachment, Call, Mailboxes};
use offboard_domain::{Digest, Facts, Fault, FaultClass, ObjectId};
use offboard_store::StoreError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// How many mailboxes are asked at once: few, so that a slice ends in time.
const LOOKED_AT_ONCE: usize = 10;
/// How many delegations are read before they are removed, and the rest read
/// after them: what can be removed, and read again, within one attempt.
const REMOVED_AT_ONCE: usize = 30;
/// The share of the time left that is kept for what follows a slice.
const KEPT_SHARE: u32 = 4;
/// The share of a slice that must be left to ask once more.
const ASKING_SHARE: u32 = 8;

const LIST: &str = "others_list";
const FOUND: &str = "others_found";
const IN_ALL: &str = "others_in_all";
const LOOKED_AT: &str = "others_looked_at";
const CLEARED: &str = "others_cleared";
const REMOVED_AT: &str = "others_removed_at";

/// Others' mailboxes, as far as they are listed.
#[derive(Debug, Default, Serialize, Deserialize)]
struct List {
    others: Vec<ObjectId>,
    /// Of which the list itself shows that he holds something there.
    shown: BTreeSet<ObjectId>,
    /// Whether his own was on it.
    own: bool,
    /// Where the list goes on.
    next: Option<String>,
    whole: bool,
}

/// How far a pass has come.
#[derive(Debug, Default)]
pub(super) struct Pass {
    /// The list, in the store; none before its first page.
    list: Option<Digest>,
    /// What was found, in the store; none while that is nothing.
    found_in: Option<Digest>,
    /// How many mailboxes there are; none until the list is whole.
    pub(super) in_all: Option<usize>,
    /// How many of them were looked at.
    pub(super) looked_at: usize,
    /// On whose something was found.
    pub(super) found: BTreeSet<ObjectId>,
    /// Whether this attempt has gone on with it.
    pub(super) went_on: bool,
    /// What this attempt found.
    pub(super) new: Vec<Attached>,
}

impl Pass {
    fn of(remembered: &Facts) -> Self {
        let digest = |name: &str| -> Option<Digest> { remembered.text(name)?.parse().ok() };
        Self {
            list: digest(LIST),
            found_in: digest(FOUND),
            in_all: number(remembered, IN_ALL),
            looked_at: number(remembered, LOOKED_AT).unwrap_or(0),
            ..Self::default()
        }
    }

    fn remember(&self, facts: &mut Facts) {
        for (name, digest) in [(LIST, self.list), (FOUND, self.found_in)] {
            match digest {
                Some(digest) => facts.set(name, digest.to_string()),
                None => drop(facts.0.remove(name)),
            }
        }
        if let Some(all) = self.in_all {
            facts.set(IN_ALL, count(all));
        }
        facts.set(LOOKED_AT, count(self.looked_at));
    }

    /// Whether every mailbox was looked at.
    pub(super) fn is_through(&self) -> bool {
        self.in_all.is_some_and(|all| self.looked_at >= all)
    }
}

/// Goes on with the pass as far as the attempt's time goes, and remembers how
/// far that is.
pub(super) async fn go_on(job: &mut Job<'_>, id: &ObjectId) -> Answer<Pass> {
    let mut pass = Pass::of(&job.remembered);
    let found = kept::<BTreeSet<ObjectId>>(job, pass.found_in).await?;
    // When all were looked at, nobody needs the list any more.
    let list = if pass.is_through() {
        Some(List::default())
    } else {
        kept::<List>(job, pass.list).await?
    };
    let mut list = match (found, list) {
        (Some(found), Some(list)) => {
            pass.found = found;
            list
        }
        // From what the store has lost nobody can go on: it is begun anew.
        _ => {
            for name in [LIST, FOUND, IN_ALL, LOOKED_AT, CLEARED, REMOVED_AT] {
                job.remembered.0.remove(name);
            }
            pass = Pass::default();
            List::default()
        }
    };
    if pass.is_through() {
        return Ok(pass);
    }
    let was_whole = list.whole;
    let mut slice = Slice::of(job, id)?;
    let stopped = slice.go_on_with(&mut list, &mut pass).await;
    if !slice.end(job) {
        stopped?;
        return Err(too_short(job));
    }
    if list.whole && !list.own {
        return Err(job.fault(
            FaultClass::Transient,
            "the list of all mailboxes lacks his own, so that it is not whole; it is read again",
        ));
    }
    if !was_whole && !pass.is_through() {
        pass.list = Some(keep(job, &list).await?);
    }
    if !pass.new.is_empty() {
        pass.found_in = Some(keep(job, &pass.found).await?);
    }
    pass.remember(&mut job.remembered);
    pass.went_on = true;
    Ok(pass)
}

/// What is there still of what was found.
#[derive(Debug)]
pub(super) struct Again {
    /// What he holds still, as far as it was read.
    pub(super) held: Vec<Attached>,
    /// How many of the mailboxes were not read.
    pub(super) unread: usize,
}

/// Reads the mailboxes again on which something was found, until enough is there
/// to be removed, or the time is over. Those on which nothing is any more, up to
/// the first on which something is, are remembered and not asked again.
pub(super) async fn read_again(job: &mut Job<'_>, id: &ObjectId, found: &[ObjectId]) -> Answer<Again> {
    let mut clear = number(&job.remembered, CLEARED).unwrap_or(0).min(found.len());
    let mut again = Again {
        held: Vec::new(),
        unread: found.len() - clear,
    };
    if again.unread == 0 {
        return Ok(again);
    }
    let mut slice = Slice::of(job, id)?;
    let mut stopped = Ok(());
    for some in found[clear..].chunks(LOOKED_AT_ONCE) {
        if again.held.len() >= REMOVED_AT_ONCE || !slice.has_time() {
            break;
        }
        let held = match slice.held_on(some.to_vec()).await {
            Ok(held) => held,
            Err(fault) => {
                stopped = Err(fault);
                break;
            }
        };
        if again.held.is_empty() {
            let is_clear = |one: &&ObjectId| !held.iter().any(|h| owner(h) == Some(*one));
            clear += some.iter().take_while(is_clear).count();
        }
        again.held.extend(held);
        again.unread -= some.len();
    }
    if !slice.end(job) {
        stopped?;
        return Err(too_short(job));
    }
    job.remembered.set(CLEARED, count(clear));
    Ok(again)
}

/// Whether fewer are left to be read than when this was asked last, which is before
/// each removal of a part: what is removed and is there all the same must not be
/// removed for ever.
pub(super) fn comes_further(remembered: &mut Facts, unread: i64) -> bool {
    let further = remembered.int(REMOVED_AT).is_none_or(|before| unread < before);
    remembered.set(REMOVED_AT, unread);
    further
}

/// The part of an attempt in which others' mailboxes are asked.
struct Slice<'s> {
    mailboxes: &'s dyn Mailboxes,
    id: &'s ObjectId,
    /// Ends before the attempt does.
    call: Call,
    whole: Duration,
    /// Whether it has come further.
    moved: bool,
}

impl<'s> Slice<'s> {
    fn of(job: &Job<'s>, id: &'s ObjectId) -> Answer<Self> {
        let left = job.call.remaining();
        let whole = left - left / KEPT_SHARE;
        let ends = job.call.deadline() - left / KEPT_SHARE;
        Ok(Self {
            mailboxes: job.mailboxes()?,
            id,
            call: Call::new(job.call.clock().clone(), ends, job.call.lane()).marked(job.call.mark()),
            whole,
            moved: false,
        })
    }

    /// Whether it has come further; its receipts are the attempt's.
    fn end(mut self, job: &mut Job<'_>) -> bool {
        for receipt in self.call.take_receipts() {
            job.call.note_read_receipt(receipt);
        }
        self.moved
    }

    /// Whether there is time to ask once more.
    fn has_time(&self) -> bool {
        self.call.remaining() > self.whole / ASKING_SHARE
    }

    async fn go_on_with(&mut self, list: &mut List, pass: &mut Pass) -> Answer<()> {
        if !list.whole {
            self.read_list(list).await?;
        }
        if list.whole && list.own {
            pass.in_all = Some(list.others.len());
            self.look(list, pass).await?;
        }
        Ok(())
    }

    /// Goes on with the list.
    async fn read_list(&mut self, list: &mut List) -> Answer<()> {
        let mut resumed = list.next.is_some();
        while self.has_time() {
            let from = list.next.as_deref();
            let answer = self.mailboxes.others(&mut self.call, self.id, from).await;
            let page = match answer {
                Ok(page) => page,
                // A place in a list is kept for a while only, by whoever keeps it.
                Err(fault) if resumed && !matches!(fault.class, FaultClass::Throttled { .. }) => {
                    *list = List::default();
                    resumed = false;
                    continue;
                }
                Err(fault) => return Err(fault),
            };
            resumed = false;
            list.others.extend(page.others);
            list.shown.extend(page.shown);
            list.own |= page.own;
            list.next = page.next;
            self.moved = true;
            if list.next.is_none() {
                list.others.sort_unstable();
                list.others.dedup();
                list.whole = true;
                break;
            }
        }
        Ok(())
    }

    /// Looks at those that were not looked at yet.
    async fn look(&mut self, list: &List, pass: &mut Pass) -> Answer<()> {
        let left = list.others.get(pass.looked_at..).unwrap_or_default();
        for some in left.chunks(LOOKED_AT_ONCE) {
            if !self.has_time() {
                break;
            }
            let mut on = self.mailboxes.held_among(&mut self.call, self.id, some).await?;
            on.extend(some.iter().filter(|one| list.shown.contains(*one)).cloned());
            on.sort_unstable();
            on.dedup();
            if !on.is_empty() {
                let held = self.held_on(on).await?;
                pass.found.extend(held.iter().filter_map(owner).cloned());
                pass.new.extend(held);
            }
            pass.looked_at += some.len();
            self.moved = true;
        }
        Ok(())
    }

    async fn held_on(&mut self, others: Vec<ObjectId>) -> Answer<Vec<Attached>> {
        let what = Attachment::DelegationsOn { others };
        let held = self.mailboxes.attached(&mut self.call, self.id, &what).await?;
        self.moved = true;
        Ok(held)
    }
}

/// On whose mailbox it is.
fn owner(attached: &Attached) -> Option<&ObjectId> {
    match attached {
        Attached::Delegation(delegation) => delegation.other.as_ref(),
        _ => None,
    }
}

fn number(facts: &Facts, name: &str) -> Option<usize> {
    facts.int(name).and_then(|n| usize::try_from(n).ok())
}

/// What an earlier slice left in the store, or of what none did, nothing; none:
/// the store has lost it.
async fn kept<T: DeserializeOwned + Default>(job: &Job<'_>, digest: Option<Digest>) -> Answer<Option<T>> {
    let Some(digest) = digest else {
        return Ok(Some(T::default()));
    };
    match job.context.store.get(digest).await {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(StoreError::Absent { .. } | StoreError::Damaged { .. }) => Ok(None),
        Err(error) => Err(broken(job, &error)),
    }
}

async fn keep(job: &Job<'_>, value: &impl Serialize) -> Answer<Digest> {
    let json = serde_json::to_vec(value).map_err(|_| {
        job.fault(
            FaultClass::Rejected,
            "the list of mailboxes cannot be written as JSON; report this",
        )
    })?;
    job.context.store.put(json).await.map_err(|e| broken(job, &e))
}

fn broken(job: &Job<'_>, error: &StoreError) -> Fault {
    tracing::warn!(kind = job.kind.name(), error = %error, "failed to keep or read a list of mailboxes");
    job.fault(
        FaultClass::Transient,
        "the store did not take, or not give back, the list of mailboxes; look at the store",
    )
}

fn too_short(job: &Job<'_>) -> Fault {
    job.fault(
        FaultClass::Transient,
        "one slice's time was not enough to ask about others' mailboxes once; look at the connection to the system",
    )
}
