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
//! further is that one's fault. A vendor that asks to be called less often is
//! called again when it has said.
//!
//! One mailbox that cannot be read does not keep the others from being looked
//! at: it is noted, and asked once more in each attempt after the pass. Whether
//! it is that mailbox or the whole system shows by his own, which is asked then.

use crate::job::{Job, count};
use offboard_connectors::{Answer, Attached, Attachment, Call, Mailboxes};
use offboard_domain::time::{DAY_MS, SECOND_MS};
use offboard_domain::{Digest, Facts, Fault, FaultClass, ObjectId, Timestamp};
use offboard_store::StoreError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// How many mailboxes are asked at once: few, so that a slice ends in time.
const LOOKED_AT_ONCE: usize = 10;
/// How many delegations are read before they are removed, and the rest read
/// after them: what can be removed, and read again, within one attempt.
const REMOVED_AT_ONCE: usize = 30;
/// How long a vendor is left alone that asks for it and does not say how long.
const LEFT_ALONE_MS: i64 = 30_000;
/// The share of the time left that is kept for what follows a slice.
const KEPT_SHARE: u32 = 4;
/// The share of a slice that must be left to ask once more.
const ASKING_SHARE: u32 = 8;
/// The share of a slice that one mailbox may take that is asked by itself.
const BRIEF_SHARE: u32 = 3;

/// What was found on others' mailboxes, among the case's artifacts.
pub(super) const ARTIFACT: &str = "snapshot.delegations";

const LIST: &str = "others_list";
const FOUND: &str = "others_found";
const IN_ALL: &str = "others_in_all";
const LOOKED_AT: &str = "others_looked_at";
const CLEARED: &str = "others_cleared";
const UNREAD_BEFORE: &str = "others_unread_before";
const ALONE_AT: &str = "others_alone_at";
const REMOVED_AT: &str = "others_removed_at";
const RESTARTS: &str = "others_restarts";
const RESTARTED_SINCE_MS: &str = "others_restarted_since_ms";
const LEFT_ALONE_UNTIL_MS: &str = "others_left_alone_until_ms";
/// How often what was to go on may begin anew, and in how long.
const RESTARTS_MAX: usize = 8;
const RESTARTS_FORGOTTEN_MS: i64 = 3 * DAY_MS;
/// How many of those that cannot be read are named.
const NAMED: usize = 5;

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

/// What came of looking.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Looked {
    found: BTreeSet<ObjectId>,
    unreadable: BTreeSet<ObjectId>,
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
    /// Which could not be read.
    unreadable: BTreeSet<ObjectId>,
    /// What came of the last try to read one of those.
    fault: Option<Fault>,
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

    fn note(&mut self, held: Vec<Attached>) {
        self.found.extend(held.iter().filter_map(owner).cloned());
        self.new.extend(held);
    }

    /// Which could not be read, as a fault; none when all could.
    pub(super) fn unread(self, job: &Job<'_>) -> Option<Fault> {
        if self.unreadable.is_empty() {
            return None;
        }
        let not_asked = || job.fault(FaultClass::Transient, "they are asked once more");
        let fault = self.fault.unwrap_or_else(not_asked);
        let named: Vec<&str> = self.unreadable.iter().take(NAMED).map(|id| id.0.as_str()).collect();
        let more = self.unreadable.len() - named.len();
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let detail = format!(
            "he holds nothing any more on the mailboxes that could be read; these could not: {}{more}: {}",
            named.join(", "),
            fault.detail
        );
        Some(Fault { detail, ..fault })
    }

    /// Whether every mailbox was looked at.
    pub(super) fn is_through(&self) -> bool {
        self.in_all.is_some_and(|all| self.looked_at >= all)
    }
}

/// Goes on with the pass as far as the attempt's time goes, and remembers how
/// far that is. Who has a mailbox of his own finds it on the whole list.
pub(super) async fn go_on(job: &mut Job<'_>, id: &ObjectId, has_own: bool) -> Answer<Pass> {
    let mut pass = Pass::of(&job.remembered);
    let found = kept::<Looked>(job, pass.found_in).await?;
    // When all were looked at, nobody needs the list any more.
    let list = if pass.is_through() {
        Some(List::default())
    } else {
        kept::<List>(job, pass.list).await?
    };
    let mut list = match (found, list) {
        (Some(looked), Some(list)) => {
            (pass.found, pass.unreadable) = (looked.found, looked.unreadable);
            list
        }
        // From what the store has lost nobody can go on: it is begun anew.
        _ => {
            for name in [LIST, FOUND, IN_ALL, LOOKED_AT, ALONE_AT] {
                job.remembered.0.remove(name);
            }
            forget_cleared(job);
            restarted(job);
            pass = Pass::default();
            List::default()
        }
    };
    if pass.is_through() {
        return Ok(pass);
    }
    let was_whole = list.whole;
    let mut slice = Slice::of(job, id)?;
    slice.has_own = has_own;
    slice.alone_at = number(&job.remembered, ALONE_AT);
    let stopped = slice.go_on_with(&mut list, &mut pass).await;
    if slice.restarted {
        restarted(job);
        // The place in it is forgotten: it is read from the beginning, whatever ends this.
        job.remembered.0.remove(LIST);
    }
    let in_time = slice.has_time();
    // What begins anew again and again comes no further: its slice must see it through.
    let too_often = number(&job.remembered, RESTARTS).unwrap_or(0) > RESTARTS_MAX;
    if !slice.end(job) || (too_often && !pass.is_through()) {
        // One of the next may never answer: each is asked by itself then, once.
        let here = count(pass.looked_at);
        let may_hang = !matches!(&stopped, Err(fault) if stops_all(fault));
        if may_hang && !in_time && was_whole && job.remembered.int(ALONE_AT) != Some(here) {
            job.remembered.set(ALONE_AT, here);
            pass.went_on = true;
            return Ok(pass);
        }
        stopped?;
        return Err(too_short(job));
    }
    if let Err(fault) = &stopped {
        leave_alone(job, fault);
    }
    if list.whole && has_own && !list.own {
        return Err(job.fault(
            FaultClass::Transient,
            "the list of all mailboxes lacks his own, so that it is not whole; it is read again",
        ));
    }
    if !was_whole && !pass.is_through() {
        pass.list = Some(keep(job, &list).await?);
    }
    keep_looked(job, &mut pass).await?;
    pass.went_on = true;
    Ok(pass)
}

/// Counts that the pass began anew. After three days that is forgotten: whoever
/// orders it again then has mended what made it begin anew.
fn restarted(job: &mut Job<'_>) {
    let now_ms = job.now_ms();
    let since_ms = job.remembered.int(RESTARTED_SINCE_MS);
    let since_ms = since_ms.filter(|since| now_ms - since < RESTARTS_FORGOTTEN_MS);
    let before = since_ms.and_then(|_| number(&job.remembered, RESTARTS)).unwrap_or(0);
    job.remembered.set(RESTARTS, count(before + 1));
    job.remembered.set(RESTARTED_SINCE_MS, since_ms.unwrap_or(now_ms));
}

/// A vendor that asks to be called less often is left alone, by this task, for as
/// long as it says, but for a day at most.
fn leave_alone(job: &mut Job<'_>, fault: &Fault) {
    if let FaultClass::Throttled { retry_after_ms } = fault.class {
        let ms = retry_after_ms.unwrap_or(LEFT_ALONE_MS).clamp(SECOND_MS, DAY_MS);
        let until = job.call.now().plus(ms);
        job.remembered.set(LEFT_ALONE_UNTIL_MS, until.0);
    }
}

/// Until when the vendor is left alone, if that is not over.
pub(super) fn left_alone_until(job: &Job<'_>) -> Option<Timestamp> {
    let until = job.remembered.int(LEFT_ALONE_UNTIL_MS).map(Timestamp);
    until.filter(|until| *until > job.call.now())
}

/// Keeps what this attempt found, how far the pass is, and what came of it. What was
/// found goes first: nobody looks there again once that is remembered.
async fn keep_looked(job: &mut Job<'_>, pass: &mut Pass) -> Answer<()> {
    if !pass.new.is_empty() {
        job.keep(ARTIFACT, &pass.new).await?;
    }
    let looked = Looked {
        found: pass.found.clone(),
        unreadable: pass.unreadable.clone(),
    };
    if !(looked.found.is_empty() && looked.unreadable.is_empty() && pass.found_in.is_none()) {
        pass.found_in = Some(keep(job, &looked).await?);
    }
    pass.remember(&mut job.remembered);
    Ok(())
}

/// Asks once more for those that could not be read, when nothing else is left to do.
pub(super) async fn read_once_more(job: &mut Job<'_>, id: &ObjectId, pass: &mut Pass) -> Answer<()> {
    pass.new.clear();
    if pass.unreadable.is_empty() {
        return Ok(());
    }
    let mut slice = Slice::of(job, id)?;
    let asked = slice.read_once_more(pass).await;
    let moved = slice.end(job);
    asked?;
    if moved {
        // There may be something where nothing was.
        forget_cleared(job);
        keep_looked(job, pass).await?;
    }
    Ok(())
}

fn forget_cleared(job: &mut Job<'_>) {
    for name in [CLEARED, REMOVED_AT, UNREAD_BEFORE] {
        job.remembered.0.remove(name);
    }
}

/// What is there still of what was found.
#[derive(Debug)]
pub(super) struct Again {
    /// What he holds still, as far as it was read.
    pub(super) held: Vec<Attached>,
    /// How many of the mailboxes were not read.
    pub(super) unread: usize,
    /// Which of them cannot be read, and what came of the last of those.
    unreadable: Vec<ObjectId>,
    pub(super) fault: Option<Fault>,
}

impl Again {
    /// What cannot be read is asked for as if it never had been; the rest goes on.
    pub(super) async fn give_up_on_some(&self, job: &mut Job<'_>, pass: &mut Pass) -> Answer<()> {
        if self.unreadable.is_empty() {
            return Ok(());
        }
        restarted(job);
        if number(&job.remembered, RESTARTS).unwrap_or(0) > RESTARTS_MAX {
            return self.fault.clone().map_or(Ok(()), Err);
        }
        for one in &self.unreadable {
            pass.found.remove(one);
            pass.unreadable.insert(one.clone());
        }
        pass.fault.clone_from(&self.fault);
        forget_cleared(job);
        keep_looked(job, pass).await
    }
}

/// Reads the mailboxes again on which something was found, until enough is there
/// to be removed, or the time is over. Those on which nothing is any more, up to
/// the first on which something is, are remembered and not asked again.
pub(super) async fn read_again(job: &mut Job<'_>, id: &ObjectId, found: &[ObjectId]) -> Answer<Again> {
    let mut clear = number(&job.remembered, CLEARED).unwrap_or(0).min(found.len());
    let mut again = Again {
        held: Vec::new(),
        unread: found.len() - clear,
        unreadable: Vec::new(),
        fault: None,
    };
    if again.unread == 0 {
        return Ok(again);
    }
    let mut slice = Slice::of(job, id)?;
    let (mut stopped, began) = (Ok(()), clear);
    for some in found[clear..].chunks(LOOKED_AT_ONCE) {
        if again.held.len() >= REMOVED_AT_ONCE || !slice.has_time() {
            break;
        }
        let (held, read) = match slice.held_briefly_on(some.to_vec()).await {
            Ok(held) => (held, some.len()),
            Err(fault) if stops_all(&fault) => {
                stopped = Err(fault);
                break;
            }
            Err(_) => match slice.held_on_each(some, &mut again).await {
                Ok(each) => each,
                Err(fault) => {
                    stopped = Err(fault);
                    break;
                }
            },
        };
        if again.held.is_empty() && again.unreadable.is_empty() {
            let is_clear = |one: &&ObjectId| !held.iter().any(|h| owner(h) == Some(*one));
            clear += some[..read].iter().take_while(is_clear).count();
        }
        again.held.extend(held);
        again.unread -= read;
        if read < some.len() {
            break;
        }
    }
    if !slice.end(job) {
        stopped?;
        return Err(too_short(job));
    }
    // What is read again and again, and no more of it each time, comes no further.
    let before = number(&job.remembered, UNREAD_BEFORE);
    let stuck = clear == began && again.held.is_empty() && again.unreadable.is_empty();
    if stuck && again.unread > 0 && before.is_some_and(|before| again.unread >= before) {
        stopped?;
        return Err(again.fault.unwrap_or_else(|| too_short(job)));
    }
    job.remembered.set(UNREAD_BEFORE, count(again.unread));
    if let Err(fault) = &stopped {
        leave_alone(job, fault);
    }
    job.remembered.set(CLEARED, count(clear));
    Ok(again)
}

/// Whether fewer are left to be read than when a part was removed last: what is
/// removed and is there all the same must not be removed for ever.
pub(super) fn comes_further(remembered: &Facts, unread: i64) -> bool {
    remembered.int(REMOVED_AT).is_none_or(|before| unread < before)
}

/// Remembers how many were left to be read when a part was removed.
pub(super) fn note_removed_at(remembered: &mut Facts, unread: i64) {
    remembered.set(REMOVED_AT, unread);
}

/// The part of an attempt in which others' mailboxes are asked.
struct Slice<'s> {
    mailboxes: &'s dyn Mailboxes,
    id: &'s ObjectId,
    /// Whether he has a mailbox himself, which a whole list has as well.
    has_own: bool,
    /// Ends before the attempt does.
    call: Call,
    whole: Duration,
    /// Whether it has come further.
    moved: bool,
    /// Whether a list whose place was forgotten was read from the beginning.
    restarted: bool,
    /// Where an earlier slice came no further: each is asked by itself there.
    alone_at: Option<usize>,
}

impl<'s> Slice<'s> {
    fn of(job: &Job<'s>, id: &'s ObjectId) -> Answer<Self> {
        let left = job.call.remaining();
        let whole = left - left / KEPT_SHARE;
        let ends = job.call.deadline() - left / KEPT_SHARE;
        Ok(Self {
            mailboxes: job.mailboxes()?,
            id,
            has_own: true,
            call: Call::new(job.call.clock().clone(), ends, job.call.lane()).marked(job.call.mark()),
            whole,
            moved: false,
            restarted: false,
            alone_at: None,
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
        if list.whole && (list.own || !self.has_own) {
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
                    (resumed, self.restarted) = (false, true);
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
        while self.has_time() {
            let left = list.others.get(pass.looked_at..).unwrap_or_default();
            let Some(some) = left.chunks(LOOKED_AT_ONCE).next() else {
                break;
            };
            if self.alone_at.take_if(|at| *at == pass.looked_at).is_some() {
                self.look_at_each(some, &list.shown, pass).await?;
                continue;
            }
            match self.look_at(some, &list.shown).await {
                Ok(held) => {
                    pass.note(held);
                    pass.looked_at += some.len();
                    self.moved = true;
                }
                Err(fault) if stops_all(&fault) => return Err(fault),
                Err(_) => self.look_at_each(some, &list.shown, pass).await?,
            }
        }
        Ok(())
    }

    /// Looks at these one by one, as far as the time goes: one of them cannot be read.
    async fn look_at_each(&mut self, some: &[ObjectId], shown: &BTreeSet<ObjectId>, pass: &mut Pass) -> Answer<()> {
        for one in some {
            if !self.has_time() {
                break;
            }
            match self.look_briefly_at(one, shown).await {
                Ok(held) => pass.note(held),
                Err(fault) if stops_all(&fault) => return Err(fault),
                Err(fault) => {
                    self.reads_his().await?;
                    pass.unreadable.insert(one.clone());
                    pass.fault = Some(fault);
                }
            }
            pass.looked_at += 1;
            self.moved = true;
        }
        Ok(())
    }

    /// Looks at one, and leaves time for the next should it never answer.
    async fn look_briefly_at(&mut self, one: &ObjectId, shown: &BTreeSet<ObjectId>) -> Answer<Vec<Attached>> {
        let whole = self.begin_brief();
        let looked = self.look_at(std::slice::from_ref(one), shown).await;
        self.end_brief(whole);
        looked
    }

    async fn held_briefly_on(&mut self, others: Vec<ObjectId>) -> Answer<Vec<Attached>> {
        let whole = self.begin_brief();
        let held = self.held_on(others).await;
        self.end_brief(whole);
        held
    }

    /// From now on calls end with a share of the slice; the slice's own call.
    fn begin_brief(&mut self) -> Call {
        let ends = self.call.deadline().min(Instant::now() + self.whole / BRIEF_SHARE);
        let brief = Call::new(self.call.clock().clone(), ends, self.call.lane()).marked(self.call.mark());
        std::mem::replace(&mut self.call, brief)
    }

    fn end_brief(&mut self, whole: Call) {
        let mut brief = std::mem::replace(&mut self.call, whole);
        for receipt in brief.take_receipts() {
            self.call.note_read_receipt(receipt);
        }
    }

    /// What he holds on each of these, of which one cannot be read, and how many were
    /// asked.
    async fn held_on_each(&mut self, some: &[ObjectId], again: &mut Again) -> Answer<(Vec<Attached>, usize)> {
        let (mut held, mut read) = (Vec::new(), 0);
        for one in some {
            if !self.has_time() {
                break;
            }
            match self.held_briefly_on(vec![one.clone()]).await {
                Ok(more) => held.extend(more),
                Err(fault) if stops_all(&fault) => return Err(fault),
                Err(fault) => {
                    self.reads_his().await?;
                    self.moved = true;
                    again.unreadable.push(one.clone());
                    again.fault = Some(fault);
                }
            }
            read += 1;
        }
        Ok((held, read))
    }

    /// Whether it is one mailbox that cannot be read: a system that is down does not
    /// read his own either.
    async fn reads_his(&mut self) -> Answer<()> {
        let his = Attachment::RightsTo;
        self.mailboxes.attached(&mut self.call, self.id, &his).await.map(|_| ())
    }

    async fn look_at(&mut self, some: &[ObjectId], shown: &BTreeSet<ObjectId>) -> Answer<Vec<Attached>> {
        let mut on = self.mailboxes.held_among(&mut self.call, self.id, some).await?;
        on.extend(some.iter().filter(|one| shown.contains(*one)).cloned());
        on.sort_unstable();
        on.dedup();
        if on.is_empty() {
            return Ok(Vec::new());
        }
        self.held_on(on).await
    }

    /// Asks once more for those that could not be read.
    async fn read_once_more(&mut self, pass: &mut Pass) -> Answer<()> {
        let unreadable = pass.unreadable.clone();
        for one in &unreadable {
            if !self.has_time() {
                break;
            }
            match self.look_briefly_at(one, &unreadable).await {
                Ok(held) => {
                    pass.note(held);
                    pass.unreadable.remove(one);
                }
                Err(fault) if stops_all(&fault) => return Err(fault),
                Err(fault) => pass.fault = Some(fault),
            }
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

/// Whether it stops every reading, not that of one mailbox.
fn stops_all(fault: &Fault) -> bool {
    matches!(
        fault.class,
        FaultClass::Throttled { .. } | FaultClass::Denied | FaultClass::Unsupported
    )
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
    tracing::warn!(
        kind = job.kind.name(),
        error = error.with_causes(),
        "failed to keep or read a list of mailboxes"
    );
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
