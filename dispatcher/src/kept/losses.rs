//! What a shared ledger has lost, found in what the store keeps: cases that are
//! not there at all, sealed ones that once went further, and what was paused.
//!
//! **Nothing is read twice without a reason.** A store that loses something
//! loses its end: what was written before something that is still there is
//! there too. So after each look a mark is written where the shard is written,
//! and as long as the next look finds that very mark, all that was found before
//! it is there. Then only what came since is looked at: departures that were
//! opened, and cases that ended (an open one meets its loss by itself, at its
//! next append).
//!
//! With another mark than this dispatcher's last — it has just begun, another
//! one has been at it, some of the end is gone — everything of the last days is
//! looked at. What was opened before is as it was when the mark was written.
//! Without a mark of the last days, as after a backup of last week, every
//! opening that the store has is held against the ledger's list of cases.
//!
//! A report may come for a case that is not there and that a mark vouches for, as after a
//! second loss. Then its opening is looked for among all that there are.
//!
//! What is kept is listed first, and the history read then (`proofs::Kept`). A look
//! may take long, so it ends between two cases when its shard is to be let go; but
//! nothing of it is dropped half done that decides something.

use super::openings::Opening;
use super::orders::Noted;
use super::proofs::{Beyond, Listed};
use super::{OPENINGS, Whose, damaged, day_folder, day_of_path, in_time, of_case, of_path, store};
use crate::engine::{Engine, EngineError, lock, told, unless_told};
use crate::gates::shut_anew;
use futures::future::join_all;
use offboard_domain::assignment::CLOCK_MARGIN_MS;
use offboard_domain::event::{open_event, seal_events};
use offboard_domain::evidence::Recorded;
use offboard_domain::time::{DAY_MS, HOUR_MS};
use offboard_domain::{Case, CaseId, CaseKey, Command, Credit, Digest, Gates, TenantId, Timestamp};
use offboard_ledger::{Append, Appended, Claim, KeyChange};
use offboard_runtime::telemetry::metrics;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// How many days back it is looked for cases that have vanished, if a mark
/// vouches for what was opened before.
const LOOK_BACK_DAYS: i64 = 2;
/// How many days back something can still be added to: a departure that was
/// accepted before midnight is kept after it.
const ADDED_TO_DAYS: i64 = 1;
/// Cases that are looked at together.
const AT_ONCE: usize = 16;
/// A look goes on past so many cases of which the store does not answer in time; with
/// more it is away, and the look ends.
const LATE_MOST: usize = AT_ONCE;
/// How soon the opening of a missed case is looked for again, in milliseconds: all openings
/// are listed for it.
const SOUGHT_AGAIN_MS: i64 = HOUR_MS;
/// The gate that is the mark. Another name than that of older versions, which
/// looked at the last days alone.
const MARK: &str = "looked-at-all";
/// The gate that is written when a look begins. If it is gone at its end, the ledger
/// has lost something meanwhile that the mark must not vouch for.
const BEGUN: &str = "looking";
/// How the handles begin under which marks are kept. No tenant may have one.
const MARKS: &str = "offboard-mark-";

/// What was looked at of a shard.
#[derive(Default)]
pub(crate) struct Looked {
    /// The mark that was written after it; none: never.
    mark: Option<Timestamp>,
    /// The openings that were seen, by day.
    openings: BTreeSet<(i64, CaseId)>,
    /// Whose they were.
    tenants: BTreeSet<TenantId>,
}

/// The openings of a case, the oldest first; one that stands in two days was
/// opened twice.
type Openings = BTreeMap<Whose, Vec<String>>;

/// What is to be looked at.
struct Worth {
    /// Departures, by what was opened.
    openings: Openings,
    /// What of them was seen.
    looked: Looked,
    /// Cases that are compared with what is kept of them.
    doubtful: BTreeSet<Whose>,
}

/// What the ledger said when a look began.
struct Times {
    now: Timestamp,
    mark: Option<Timestamp>,
    /// What was written then.
    begun: Timestamp,
}

/// A case that is looked at: by what was opened, or compared.
type ToLookAt = (Whose, Option<Vec<String>>);

/// What looking at some cases came to.
#[derive(Default)]
struct LookedAt {
    /// How many losses were found.
    found: usize,
    /// Those of which the store did not say in time what is kept.
    late: Vec<ToLookAt>,
    /// What it said instead, of the first of them.
    why: Option<EngineError>,
}

/// What a look came to.
pub(crate) struct Seen {
    /// How many losses it found.
    found: usize,
    /// Whether it came to its end: if not, the next look is at the same again.
    pub(crate) whole: bool,
}

/// Whether a tenant's handle is kept for marks.
pub(crate) fn is_mark(tenant: &TenantId) -> bool {
    tenant.as_str().starts_with(MARKS)
}

/// The handle under which a shard's mark stands in that shard.
fn mark_of(shard: u16, of: u16) -> TenantId {
    (0_u32..)
        .map(|n| TenantId::new(&format!("{MARKS}{n}")).expect("the name is a handle"))
        .find(|handle| handle.shard(of) == shard)
        .expect("handles are spread over all shards")
}

impl Engine {
    /// Puts back what the ledger has lost of a shard: cases that are not there
    /// at all, and the knowledge that one was sealed before. Returns how many
    /// it found.
    ///
    /// # Errors
    /// [`EngineError`] if ledger or store cannot be read; then the next look
    /// is at the same again.
    pub async fn find_losses(self: &Arc<Self>, shard: u16) -> Result<usize, EngineError> {
        let (going_on, stop) = watch::channel(false);
        let seen = self.find_losses_until(shard, &stop).await;
        drop(going_on);
        seen.map(|seen| seen.found)
    }

    /// The same, until told to stop; then the next look is at the same again.
    pub(crate) async fn find_losses_until(
        self: &Arc<Self>,
        shard: u16,
        stop: &watch::Receiver<bool>,
    ) -> Result<Seen, EngineError> {
        let Some(place) = self.looked.get(usize::from(shard)).filter(|_| self.keeping.is_some()) else {
            return Ok(Seen { found: 0, whole: true });
        };
        let mut looked = place.lock().await;
        let handle = mark_of(shard, self.shards);
        let gates = self.ledger.gates(&handle, Vec::new()).await?;
        let now = self.clock.now();
        // One by a clock that was far ahead would vouch for what is still to come.
        let mark = gates
            .get(MARK)
            .copied()
            .filter(|mark| *mark <= now.plus(CLOCK_MARGIN_MS));
        let begun = gates.get(BEGUN).map_or(now, |before| now.max(before.plus(1)));
        self.ledger
            .gates(&handle, shut_anew(BEGUN.to_owned(), Some(begun)))
            .await?;
        // What comes meanwhile is for the next look.
        let ended = self.take_of_shard(&self.ended, shard);
        let doubted = self.take_of_shard(&self.doubted, shard);
        let missed = self.missed_of(shard);
        let times = Times { now, mark, begun };
        let seen = self
            .look_through(shard, stop, &times, &mut looked, (&ended, &doubted, &missed))
            .await;
        if seen.as_ref().is_ok_and(|seen| seen.whole) {
            self.have_been_sought(missed, now);
        } else {
            lock(&self.ended).extend(ended);
            lock(&self.doubted).extend(doubted);
        }
        seen
    }

    /// Looks at what is worth it, at cases that have ended and at those in doubt, and
    /// leaves a mark.
    async fn look_through(
        self: &Arc<Self>,
        shard: u16,
        stop: &watch::Receiver<bool>,
        times: &Times,
        looked: &mut Looked,
        (ended, doubted, missed): (&BTreeSet<Whose>, &BTreeSet<Whose>, &BTreeSet<Whose>),
    ) -> Result<Seen, EngineError> {
        let &Times { now, mark, begun } = times;
        let handle = mark_of(shard, self.shards);
        let so_far = |found| Ok(Seen { found, whole: false });
        let worth = async {
            let mut worth = self.worth_a_look(shard, now, looked, mark).await?;
            worth.openings.extend(self.openings_of(missed).await?);
            Ok::<_, EngineError>(worth)
        };
        let Some(worth) = unless_told(stop, worth).await else {
            return so_far(0);
        };
        let Worth {
            openings,
            looked: mut next,
            mut doubtful,
        } = worth?;
        doubtful.extend(doubted.iter().cloned());
        let anew: Vec<Whose> = ended
            .iter()
            .filter(|case| !openings.contains_key(case))
            .cloned()
            .collect();
        let opened = openings.into_iter().map(|(case, paths)| (case, Some(paths)));
        let anew = anew.into_iter().map(|case| (case, Some(Vec::new())));
        let compared = doubtful.into_iter().map(|case| (case, None));
        let mut found = 0;
        // One after the other: the same case may be in both.
        let both: [Vec<ToLookAt>; 2] = [opened.chain(anew).collect(), compared.collect()];
        let mut late: Vec<ToLookAt> = Vec::new();
        let chunks: Vec<&[ToLookAt]> = both.iter().flat_map(|all| all.chunks(AT_ONCE)).collect();
        for some in chunks {
            if told(stop) {
                return so_far(found);
            }
            let looked = self.look_at(some).await?;
            found += looked.found;
            late.extend(looked.late);
            if let Some(error) = looked.why.filter(|_| late.len() >= LATE_MOST) {
                return Err(error);
            }
        }
        if !late.is_empty() {
            tracing::warn!(
                shard,
                cases = late.len(),
                "the evidence store did not answer in time for some cases; they are looked at once more now that the others were"
            );
        }
        for some in late.chunks(AT_ONCE) {
            if told(stop) {
                return so_far(found);
            }
            let looked = self.look_at(some).await?;
            found += looked.found;
            if let Some(error) = looked.why {
                return Err(error);
            }
        }
        let pauses = unless_told(stop, self.shut_lost_pauses(shard, mark)).await;
        match pauses.transpose()? {
            Some(true) => {}
            Some(false) => {
                tracing::warn!(
                    shard,
                    "pauses were ordered while lost ones were put back; looking again"
                );
                return so_far(found);
            }
            None => return so_far(found),
        }
        // It must differ from the one before, whatever the clock says.
        let mark = mark.map_or(now, |before| now.max(before.plus(1)));
        let marked = self
            .ledger
            .gates(&handle, shut_anew(MARK.to_owned(), Some(mark)))
            .await?;
        if marked.get(BEGUN) != Some(&begun) {
            let gone = shut_anew(MARK.to_owned(), None);
            self.ledger.gates(&handle, gone).await?;
            tracing::warn!(
                shard,
                "the ledger lost something while it was looked for that, or another dispatcher looks, too; looking again"
            );
            return so_far(found);
        }
        next.mark = Some(mark);
        *looked = next;
        Ok(Seen { found, whole: true })
    }

    fn take_of_shard(&self, cases: &Mutex<BTreeSet<Whose>>, shard: u16) -> BTreeSet<Whose> {
        let mut cases = lock(cases);
        let (of_shard, others) = std::mem::take(&mut *cases)
            .into_iter()
            .partition(|(tenant, _)| tenant.shard(self.shards) == shard);
        *cases = others;
        of_shard
    }

    /// Looks at some departures (by what was opened) and compares others (by nothing).
    /// What is wrong with one case is told, and the others are looked at (what could not be
    /// compared stays in doubt); all are, before it is said that the ledger is away.
    async fn look_at(self: &Arc<Self>, some: &[ToLookAt]) -> Result<LookedAt, EngineError> {
        let looking: Vec<_> = some
            .iter()
            .map(|((tenant, id), openings)| self.look_at_one(tenant, *id, openings.as_deref()))
            .collect();
        let (mut all, mut failed) = (LookedAt::default(), None);
        for (one, looked) in some.iter().zip(join_all(looking).await) {
            let ((tenant, id), openings) = one;
            match looked {
                Ok(lost) => all.found += usize::from(lost),
                Err(error @ EngineError::Store(_)) => {
                    all.late.push(one.clone());
                    all.why.get_or_insert(error);
                }
                Err(error) if error.is_of_one_case() => {
                    error.tell_left_alone(*id);
                    if openings.is_none() {
                        self.doubt(tenant, *id);
                    }
                }
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(all), Err)
    }

    async fn look_at_one(
        self: &Arc<Self>,
        tenant: &TenantId,
        id: CaseId,
        openings: Option<&[String]>,
    ) -> Result<bool, EngineError> {
        match openings {
            Some(openings) => self.find_loss(tenant, id, openings).await,
            None => self.compare(tenant, id).await,
        }
    }

    /// What is to be looked at after a mark, if one is there.
    async fn worth_a_look(
        &self,
        shard: u16,
        now: Timestamp,
        looked: &Looked,
        mark: Option<Timestamp>,
    ) -> Result<Worth, EngineError> {
        if mark.is_some() && looked.mark == mark {
            let (openings, looked) = self.opened_since(shard, now, looked).await?;
            return Ok(Worth {
                openings,
                looked,
                doubtful: BTreeSet::new(),
            });
        }
        let listed = self.listed(shard, false).await?;
        let kept = self.kept_of_open(&listed).await?;
        let doubtful = kept
            .into_iter()
            .filter(|(case, kept)| {
                listed
                    .get(case)
                    .is_some_and(|stands| kept.casts_doubt_on(stands.version))
            })
            .map(|(case, _)| case)
            .collect();
        // A day more, for clocks that differ.
        let vouched = mark.is_some_and(|mark| day_of(mark) > oldest(now));
        let (openings, looked) = if vouched {
            self.opened_lately(shard, now).await?
        } else {
            self.opened_ever(shard, now, &listed).await?
        };
        Ok(Worth {
            openings,
            looked,
            doubtful,
        })
    }

    /// A case has lost something, and perhaps what was ordered in it is still to be
    /// decided: it is compared at the next look.
    pub(crate) fn doubt(&self, tenant: &TenantId, id: CaseId) {
        if self.keeping.is_some() {
            lock(&self.doubted).insert((tenant.clone(), id));
        }
    }

    /// A case has ended: nothing is appended to it any more by which it would
    /// be noticed that its end was lost.
    pub(crate) fn ended(&self, tenant: &TenantId, id: CaseId) {
        if self.keeping.is_some() {
            lock(&self.ended).insert((tenant.clone(), id));
        }
    }

    /// Something is heard of a case that the ledger does not have: its opening is looked for
    /// at the next look, which is for who owns its shard.
    pub(crate) fn misses(&self, tenant: &TenantId, id: CaseId) {
        if self.keeping.is_none() || !self.owns(tenant) {
            return;
        }
        let now = self.clock.now();
        let mut missed = lock(&self.missed);
        let sought = missed.entry((tenant.clone(), id)).or_default();
        if sought.is_some_and(|at| now.since(at) >= SOUGHT_AGAIN_MS) {
            *sought = None;
        }
    }

    /// The missed cases of a shard whose openings are to be looked for.
    fn missed_of(&self, shard: u16) -> BTreeSet<Whose> {
        let missed = lock(&self.missed);
        let to_seek = missed.iter().filter(|(_, sought)| sought.is_none());
        let of_shard = to_seek.filter(|((tenant, _), _)| tenant.shard(self.shards) == shard);
        of_shard.map(|(case, _)| case.clone()).collect()
    }

    /// The openings of these were looked for. Of whom nothing is heard any more is forgotten.
    fn have_been_sought(&self, cases: BTreeSet<Whose>, now: Timestamp) {
        let mut missed = lock(&self.missed);
        missed.extend(cases.into_iter().map(|case| (case, Some(now))));
        missed.retain(|_, sought| sought.is_none_or(|at| now.since(at) < DAY_MS));
    }

    /// The openings of missed cases, whenever that was. What was done to somebody is not done
    /// to him again.
    async fn openings_of(&self, missed: &BTreeSet<Whose>) -> Result<Openings, EngineError> {
        let mut openings = Openings::new();
        if missed.is_empty() {
            return Ok(openings);
        }
        let listing = self.listing.lock().await;
        for file in self.store.list(OPENINGS).await.map_err(store)? {
            if let Some(case) = of_path(&file.path).filter(|case| missed.contains(case)) {
                openings.entry(case).or_default().push(file.path);
            }
        }
        drop(listing);
        let tenants: BTreeSet<TenantId> = openings.keys().map(|(tenant, _)| tenant.clone()).collect();
        for tenant in tenants {
            let over = self.ended_of(&tenant).await?;
            openings.retain(|(of, id), _| *of != tenant || !over.contains(id));
        }
        Ok(openings)
    }

    /// Every opening of the last days.
    async fn opened_lately(&self, shard: u16, now: Timestamp) -> Result<(Openings, Looked), EngineError> {
        let (mut openings, mut looked) = (Openings::new(), Looked::default());
        for day in (0..=LOOK_BACK_DAYS).rev().map(|ago| day_of(now) - ago) {
            for file in self.store.list(&day_folder(day)).await.map_err(store)? {
                let case = of_path(&file.path).filter(|(tenant, _)| tenant.shard(self.shards) == shard);
                let Some((tenant, id)) = case else { continue };
                looked.openings.insert((day, id));
                looked.tenants.insert(tenant.clone());
                openings.entry((tenant, id)).or_default().push(file.path);
            }
        }
        Ok((openings, looked))
    }

    /// Every opening of the last days, and of those before whatever is not in the
    /// ledger although nothing says that it has ended, or was opened twice.
    async fn opened_ever(
        &self,
        shard: u16,
        now: Timestamp,
        listed: &Listed,
    ) -> Result<(Openings, Looked), EngineError> {
        let (mut lately, mut before, mut looked) = (Openings::new(), Openings::new(), Looked::default());
        let listing = self.listing.lock().await;
        for file in self.store.list(OPENINGS).await.map_err(store)? {
            let opened = day_of_path(&file.path).zip(of_path(&file.path));
            let Some((day, case)) = opened.filter(|(_, (tenant, _))| tenant.shard(self.shards) == shard) else {
                continue;
            };
            if day < oldest(now) {
                before.entry(case).or_default().push(file.path);
                continue;
            }
            looked.openings.insert((day, case.1));
            looked.tenants.insert(case.0.clone());
            lately.entry(case).or_default().push(file.path);
        }
        drop(listing);
        let mut ended = 0_u64;
        // Of each tenant that lacks something, listed once.
        let mut over: BTreeMap<TenantId, BTreeSet<CaseId>> = BTreeMap::new();
        for (case, mut paths) in before {
            if let Some(again) = lately.get_mut(&case) {
                again.append(&mut paths);
                again.sort();
                continue;
            }
            let worth = if listed.contains_key(&case) {
                paths.len() > 1
            } else {
                // What was done to somebody long ago is not done to him again.
                let over = match over.get(&case.0) {
                    Some(known) => known.contains(&case.1),
                    None => {
                        let known = self.ended_of(&case.0).await?;
                        over.entry(case.0.clone()).or_insert(known).contains(&case.1)
                    }
                };
                ended += u64::from(over);
                !over
            };
            if worth {
                lately.insert(case, paths);
            }
        }
        if ended > 0 {
            tracing::error!(
                shard,
                cases = ended,
                "the ledger has lost cases that had ended; their sealed accounts are in the evidence store, and nothing is done for them again"
            );
        }
        Ok((lately, looked))
    }

    /// The openings that came since the last look, with earlier ones of the
    /// same cases.
    async fn opened_since(
        &self,
        shard: u16,
        now: Timestamp,
        before: &Looked,
    ) -> Result<(Openings, Looked), EngineError> {
        let oldest = oldest(now);
        let configured = self.tenants.all();
        let configured = configured.keys().filter(|t| t.shard(self.shards) == shard).cloned();
        let mut looked = Looked {
            mark: None,
            openings: before
                .openings
                .iter()
                .copied()
                .filter(|(day, _)| *day >= oldest)
                .collect(),
            tenants: before.tenants.iter().cloned().chain(configured).collect(),
        };
        let mut openings = Openings::new();
        for day in (0..=ADDED_TO_DAYS).rev().map(|ago| day_of(now) - ago) {
            for tenant in &looked.tenants {
                let folder = format!("{}/{tenant}", day_folder(day));
                for file in self.store.list(&folder).await.map_err(store)? {
                    let Some((_, id)) = of_path(&file.path) else { continue };
                    if looked.openings.insert((day, id)) {
                        openings.entry((tenant.clone(), id)).or_default().push(file.path);
                    }
                }
            }
        }
        for ((tenant, id), paths) in &mut openings {
            let earlier = (oldest..=day_of(now)).filter(|day| before.openings.contains(&(*day, *id)));
            let earlier = earlier.map(|day| format!("{}/{tenant}/{id}.json", day_folder(day)));
            paths.extend(earlier);
            paths.sort();
        }
        Ok((openings, looked))
    }

    async fn find_loss(
        self: &Arc<Self>,
        tenant: &TenantId,
        id: CaseId,
        openings: &[String],
    ) -> Result<bool, EngineError> {
        let sealed = in_time(self.sealed_version(tenant, id)).await?;
        let there = self.ledger.read(tenant, id, 1).await?;
        if there.records.is_empty() && there.trimmed.is_none() {
            let Some(path) = openings.last() else { return Ok(false) };
            self.put_back(tenant, id, path, sealed).await?;
            tracing::error!(case = %id, "the ledger had lost a case; it was put back, and everything is read again");
            return Ok(true);
        }
        let last = there.records.last().map_or(there.trimmed.unwrap_or(0), |r| r.version);
        let sealed = sealed.filter(|sealed| last < *sealed);
        if sealed.is_none() && openings.len() < 2 {
            return Ok(false);
        }
        self.note_loss(tenant, id, sealed, None).await
    }

    /// Compares a case with what is kept of it. Returns whether it has lost
    /// something and that was news.
    pub(crate) async fn compare(self: &Arc<Self>, tenant: &TenantId, id: CaseId) -> Result<bool, EngineError> {
        if self.keeping.is_none() {
            return Ok(false);
        }
        // What is not kept yet proves as much as what is.
        let unkept = self.unkept_of(id).await;
        self.keep_left(tenant, id, unkept).await;
        if !self.unkept_of(id).await.is_empty() {
            // It proves a loss once it is kept, which this look does not see.
            self.doubt(tenant, id);
        }
        let kept = in_time(self.kept_of(tenant, id)).await?;
        let history = in_time(self.whole(tenant, id)).await?;
        let Some((_, recorded)) = self.folded(id, history)? else {
            return Ok(false);
        };
        self.keep_orders(tenant, id, kept.lacks(&recorded)).await;
        match in_time(self.beyond(&kept, &recorded)).await? {
            Some(Beyond { version, order }) => self.note_loss(tenant, id, Some(version), order.as_deref()).await,
            None => Ok(false),
        }
    }

    /// Writes down that the history of a case was longer once, up to a version
    /// that is known or not, and everything of it is read again; once for each
    /// loss. If an order proves it, by the name that it is kept under, that is dealt with
    /// then, whatever was written down before. Returns whether it was news.
    pub(crate) async fn note_loss(
        self: &Arc<Self>,
        tenant: &TenantId,
        id: CaseId,
        known: Option<u64>,
        order: Option<&str>,
    ) -> Result<bool, EngineError> {
        let history = in_time(self.whole(tenant, id)).await?;
        if history.salt.is_none() {
            return Ok(false);
        }
        let Some((held, recorded)) = self.folded(id, history)? else {
            return Ok(false);
        };
        let noted = Noted::of(&recorded);
        let is_noted = match (order, known) {
            (Some(order), Some(version)) => noted.dealt_with(version, order, None),
            (_, Some(version)) => noted.reach(version),
            (_, None) => noted.any(),
        };
        if is_noted {
            return Ok(false);
        }
        let began = self.clock.now();
        let version = held.case.version;
        if noted.last_is_unread() {
            // It is noted, without what was ordered in it. To note it again before that can
            // be read would have everything read again each time, and decide nothing.
            if !self.unkept_of(id).await.is_empty() {
                return Err(EngineError::Store(
                    "not all of what was ordered could be kept there yet".into(),
                ));
            }
            self.lost_orders_in_time(tenant, &held.case, &held.key, &recorded)
                .await?;
        }
        let loss = Command::RecordLoss {
            known: known.unwrap_or(0).max(version + 1),
            // It may grow meanwhile, past what was known.
            parted: true,
        };
        let case = self.order(tenant, id, loss).await?;
        Ok(case.tail_lost_at.is_some_and(|at| at >= began))
    }

    /// Puts a case back that is not there at all. Nobody knows how far it went;
    /// that it went on is certain, and stands in the same append: whoever finds
    /// the case knows that it must be read.
    async fn put_back(
        self: &Arc<Self>,
        tenant: &TenantId,
        id: CaseId,
        path: &str,
        sealed: Option<u64>,
    ) -> Result<(), EngineError> {
        let bytes = in_time(async { self.store.get_named(path).await.map_err(|e| of_case(id, e)) }).await?;
        let opening: Opening = serde_json::from_slice(&bytes).map_err(|_| damaged(id, path))?;
        let first = opening.record.record().ok_or_else(|| damaged(id, path))?;
        let key = CaseKey::derive(&self.master, &opening.salt.0);
        let (at, event) = open_event(&key, &first).map_err(|_| damaged(id, path))?;
        let case = Case::opened(id, at, &event).map_err(|_| damaged(id, path))?;
        let gates = Gates {
            credit: Credit::NONE,
            ..Gates::open()
        };
        let known = sealed.unwrap_or(0).max(first.version + 1);
        let now = self.clock.now();
        let there = [Recorded {
            record: first.clone(),
            at,
            event,
        }];
        let lost = self.lost_orders_in_time(tenant, &case, &key, &there).await?;
        let loss = lost.decide(&case, (known, None), now, &gates);
        let mut records = seal_events(&key, first.version, first.hash, loss.case.changed_at, &loss.events);
        let orders = self.orders_among(&loss.events, &records);
        records.insert(0, first);
        let (version, head) = records.last().map_or((0, Digest::ZERO), |r| (r.version, r.hash));
        let index = self.index_of(tenant, &loss.case, version, head, &gates, loss.case.changed_at);
        let appended = self
            .ledger
            .append(Append {
                expected: 0,
                prev: Digest::ZERO,
                records,
                index,
                key: KeyChange::Create(opening.salt.0),
                claim: Claim::Keep,
                cap: None,
                trim: false,
            })
            .await?;
        if appended == Appended::Done {
            metrics::happened(&loss.events, &loss.case);
            self.keep_orders(tenant, id, orders).await;
        }
        self.take_up(tenant, id, None).await
    }
}

/// The first of the last days.
fn oldest(now: Timestamp) -> i64 {
    day_of(now) - LOOK_BACK_DAYS
}

/// The day of a time, counted from 1970.
fn day_of(at: Timestamp) -> i64 {
    at.0.div_euclid(DAY_MS)
}
