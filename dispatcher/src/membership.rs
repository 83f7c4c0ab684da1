//! Which dispatcher owns which shard.
//!
//! Each dispatcher says under its own name again and again that it lives; each
//! works out from the same list the same distribution, takes what is its own as
//! soon as it is free, and lets go of what is somebody else's. Who lives is told
//! by whether what he says moves, not by what time he says it is: clocks differ,
//! and two who disagree about a third would each leave a shard to the other. A shard is owned under
//! a lease that is renewed three times in its length and given up early when
//! the ledger cannot be reached. A shard is let go beside the renewing: what is at
//! hand in it may take longer to finish than the leases of the others last. Who reaches
//! the ledger and not the broker can neither order nor hear of anything: when somebody
//! else could for a while, he leaves his shards to him. Each who is cut off says so, so that
//! they do not leave everything to each other when it is the broker that is away. He stays
//! listed until he has let go: who is not listed is waited for by nobody. None of
//! this is what makes history safe: two owners at once lose races against each other,
//! and nothing else.

use crate::engine::{Engine, told};
use crate::gates::shut_anew;
use futures::future::join_all;
use offboard_domain::assignment::CLOCK_MARGIN_MS;
use offboard_domain::{Digest, TenantId, Timestamp};
use offboard_ledger::{GateChange, Gates as Listed, LedgerError, Shard};
use offboard_runtime::Clock;
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long a lease lasts.
pub const LEASE: Duration = Duration::from_secs(15);

/// How often leases are renewed and the distribution is worked out.
const RENEW_EVERY: Duration = Duration::from_secs(5);

/// A lease that could not be renewed is given up so long before its end: what
/// is at hand is finished by then, and the clocks of two machines run at
/// slightly different speeds.
const GIVEN_UP_EARLY: Duration = Duration::from_secs(3);

/// How long the ledger's answer about who owns what is waited for: leases are
/// given up in time also while it says nothing.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// How often it is looked for cases that the ledger has lost: what is open is
/// noticed at once, what is not costs nobody anything until it is found.
const LOOK_FOR_LOSSES_EVERY: Duration = Duration::from_secs(300);

/// How soon it is looked again when a look could not come to its end: the ledger or the
/// store was away, or slow; people were pausing, or another one was looking, too.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Pause before a shard that could not be read is taken up again.
const TAKE_AGAIN: Duration = Duration::from_secs(1);

/// The name under which dispatchers list themselves in the ledger. No tenant
/// may have it.
const MEMBERS: &str = "offboard-dispatchers";

/// The name under which those of them list themselves who are cut off from the broker. An
/// older version knows of none, and takes those who stand apart for gone.
const CUT_OFF: &str = "offboard-cut-off";

/// How long somebody else must have reached the broker before shards are left to him: longer
/// than one takes to start, to notice that a connection is dead, or to be connected again
/// after the others are.
const APART_AFTER: Duration = Duration::from_secs(45);

/// Whether a tenant's handle is kept for the installation itself.
#[must_use]
pub fn is_reserved(tenant: &TenantId) -> bool {
    [MEMBERS, CUT_OFF].contains(&tenant.as_str()) || crate::kept::is_mark(tenant)
}

/// One dispatcher among others.
pub struct Membership {
    engine: Arc<Engine>,
    clock: Arc<dyn Clock>,
    me: String,
    owned: BTreeMap<u16, Owned>,
    leaving: BTreeMap<u16, Leaving>,
    heard: Heard,
    /// Whether it says that the broker is out of its reach.
    cut_off: bool,
    /// Since when that is so while somebody else reaches it.
    others_serve: Option<tokio::time::Instant>,
    /// Who of the others says the same of himself.
    others_cut_off: Heard,
    /// Whether it leaves everything to others because of that.
    apart: bool,
}

/// What each said last, and when that was new here.
#[derive(Default)]
struct Heard(BTreeMap<String, (Timestamp, tokio::time::Instant)>);

impl Heard {
    /// Notes who has said something new.
    fn hear(&mut self, listed: &Listed, now: Timestamp) {
        self.0.retain(|name, _| listed.contains_key(name));
        let at = tokio::time::Instant::now();
        for (name, said) in listed {
            let moved = self.0.get(name).map(|(before, _)| before != said);
            // A name that is met for the first time and whose lease ended longer ago
            // than clocks may differ is nobody's any more.
            let met = moved.is_none() && now.since(*said) < CLOCK_MARGIN_MS;
            if met || moved == Some(true) {
                self.0.insert(name.clone(), (*said, at));
            }
        }
    }

    /// How long ago it last said something new; none for who never did.
    fn silent_for(&self, name: &str) -> Option<Duration> {
        self.0.get(name).map(|(_, at)| at.elapsed())
    }

    fn lives(&self, name: &str) -> bool {
        self.silent_for(name).is_some_and(|silent| silent < LEASE)
    }

    /// Whether it has been silent for longer than it could rely on any lease.
    fn is_gone(&self, name: &str) -> bool {
        self.silent_for(name).is_none_or(|silent| silent > 2 * LEASE)
    }
}

/// How long a lease that was renewed is relied on.
const HELD: Duration = Duration::from_secs(LEASE.as_secs() - GIVEN_UP_EARLY.as_secs());

/// A shard that is owned, and its consumer of reports.
struct Owned {
    /// Until when it may be.
    until: tokio::time::Instant,
    stop: watch::Sender<bool>,
    reports: JoinHandle<()>,
}

impl Drop for Owned {
    /// Who is not a member any more answers for nothing.
    fn drop(&mut self) {
        self.reports.abort();
    }
}

/// A shard that is being let go. Its lease is not renewed: if it runs out first,
/// somebody else goes on.
struct Leaving {
    /// When it has run out for certain.
    lapses: tokio::time::Instant,
    going: JoinHandle<()>,
}

impl Leaving {
    /// Returns when it is let go.
    ///
    /// # Panics
    /// If that did: whoever owns shards cannot go on without knowing.
    async fn ended(mut self) {
        if let Err(broke) = (&mut self.going).await
            && broke.is_panic()
        {
            resume_unwind(broke.into_panic());
        }
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.going.abort();
    }
}

/// Whether a shard that is let go is given back, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lease {
    /// It may be somebody else's already.
    Lost,
    /// It is this one's; without giving it back the others wait until it runs out.
    Held,
}

impl Membership {
    /// A dispatcher of this name, which must be another one for each process.
    /// Leases are real time, also where engine time runs faster.
    #[must_use]
    pub fn new(engine: Arc<Engine>, clock: Arc<dyn Clock>, me: String) -> Self {
        Self {
            engine,
            clock,
            me,
            owned: BTreeMap::new(),
            leaving: BTreeMap::new(),
            heard: Heard::default(),
            cut_off: false,
            others_serve: None,
            others_cut_off: Heard::default(),
            apart: false,
        }
    }

    /// Takes, keeps and hands over shards until told to stop; then gives all
    /// back, so that the others need not wait for the leases to run out.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        while !told(&stop) {
            if let Err(error) = self.balance().await {
                tracing::warn!(%error, "failed to renew what this dispatcher owns; trying again");
            }
            self.leave_lapsed();
            let soon = self.owned.values().map(|owned| owned.until).min();
            let again = tokio::time::Instant::now() + RENEW_EVERY;
            tokio::select! {
                biased;
                _ = stop.changed() => {}
                () = tokio::time::sleep_until(soon.map_or(again, |soon| soon.min(again))) => {}
            }
        }
        self.leave_all().await;
    }

    async fn balance(&mut self) -> Result<(), LedgerError> {
        self.see_broker().await;
        self.forget_left().await;
        let live = self.announce().await?;
        let wanted = distribution(self.engine.shards(), &live);
        let mut mine = Vec::new();
        for (shard, owner) in wanted.iter().enumerate() {
            let shard = u16::try_from(shard).unwrap_or(u16::MAX);
            if *owner != self.me {
                self.leave(shard, Lease::Held);
            } else if !self.leaving.contains_key(&shard) {
                // What is still being let go is taken up again when that is done.
                mine.push(shard);
            }
        }
        // What is held is measured before the call: the lease began then. All are asked
        // for together: one that is not answered for keeps no other from being renewed.
        let asked = tokio::time::Instant::now();
        let now = self.clock.now();
        let asking: Vec<_> = mine
            .iter()
            .map(|shard| own(&self.engine, &self.me, *shard, now, now.plus(lease_ms())))
            .collect();
        let answers = join_all(asking).await;
        let mut failed = None;
        for (shard, holder) in mine.into_iter().zip(answers) {
            let holder = match holder {
                Ok(holder) if self.is_left(shard, &holder) => self.take_over(shard, &holder).await,
                holder => holder,
            };
            match holder {
                Ok(holder) => self.held_by(shard, &holder, asked + HELD),
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Whether a shard is held by somebody who has said nothing for two leases. A lease
    /// ends by its owner's clock, which may be wrong by hours: who is silent for so long
    /// holds none, whatever it says.
    fn is_left(&self, shard: u16, holder: &str) -> bool {
        holder != self.me && !self.owned.contains_key(&shard) && self.heard.is_gone(holder)
    }

    /// Ends another's lease and asks for the shard; who holds it.
    async fn take_over(&self, shard: u16, holder: &str) -> Result<String, LedgerError> {
        tracing::warn!(shard, "a dispatcher that is silent held a shard; it is taken from him");
        let now = self.clock.now();
        own(&self.engine, holder, shard, now, now).await?;
        own(&self.engine, &self.me, shard, now, now.plus(lease_ms())).await
    }

    /// The ledger says who holds a shard, until when at least if it is this one.
    fn held_by(&mut self, shard: u16, holder: &str, until: tokio::time::Instant) {
        match (holder == self.me, self.owned.get_mut(&shard)) {
            (true, Some(owned)) => owned.until = until,
            (true, None) => self.take(shard, until),
            (false, Some(_)) => {
                tracing::warn!(shard, "another dispatcher owns a shard that this one held");
                self.leave(shard, Lease::Lost);
            }
            // Its last owner has not let go yet.
            (false, None) => {}
        }
    }

    /// Works out whether this one stands apart: for a while it has been cut off from the
    /// broker, and somebody has lived who was not.
    async fn see_broker(&mut self) {
        let why = self.engine.queue.cut_off();
        if why.is_none() && !self.cut_off {
            return;
        }
        let now = self.clock.now();
        let until = why.as_ref().map(|_| now.plus(lease_ms()));
        let heard = &mut self.others_cut_off;
        // What he said before ends by itself.
        if let Err(error) = say(&self.engine, CUT_OFF, (&self.me, until), heard, now).await {
            tracing::warn!(%error, "failed to say whether this dispatcher reaches the broker");
        }
        let Some(why) = why else {
            if self.apart {
                tracing::info!("this dispatcher reaches the broker again, and takes its share of the shards");
            }
            (self.cut_off, self.others_serve, self.apart) = (false, None, false);
            return;
        };
        self.cut_off = true;
        let serves = |name: &String| *name != self.me && self.heard.lives(name) && !self.others_cut_off.lives(name);
        let somebody_serves = self.heard.0.keys().any(serves);
        // Counted from when both is so: after an outage of the broker one is connected again
        // before the other, and that is no reason to hand anything over.
        let since = self.others_serve.unwrap_or_else(tokio::time::Instant::now);
        self.others_serve = somebody_serves.then_some(since);
        let apart = somebody_serves && since.elapsed() >= APART_AFTER;
        if apart && !self.apart {
            tracing::warn!(%why, "this dispatcher is cut off from the broker; it leaves its shards to the others until it reaches it again");
        }
        self.apart = apart;
    }

    /// Says that this one lives, and returns those that shards are spread over: all who do,
    /// but not this one while it stands apart. Then it says so only as long as a lease of its
    /// own may last: whoever is not listed is taken for gone, and what he holds from him.
    async fn announce(&mut self) -> Result<Vec<String>, LedgerError> {
        let now = self.clock.now();
        let listed = !self.apart || self.holds_leases();
        // A clock that was set back says something new, too.
        let until = listed.then(|| now.plus(lease_ms()));
        let listed = say(&self.engine, MEMBERS, (&self.me, until), &mut self.heard, now).await?;
        let shares = |name: &&String| match **name == self.me {
            true => !self.apart,
            false => self.heard.lives(name),
        };
        Ok(listed.keys().filter(shares).cloned().collect())
    }

    /// Whether a lease of this one may last. What it takes long to let go of holds the others
    /// up for no longer than that.
    fn holds_leases(&self) -> bool {
        let now = tokio::time::Instant::now();
        !self.owned.is_empty() || self.leaving.values().any(|leaving| leaving.lapses > now)
    }

    /// Owns a shard from now on. Its cases are taken up beside the renewing of
    /// leases, however many they are.
    fn take(&mut self, shard: u16, until: tokio::time::Instant) {
        let (stop, stopped) = watch::channel(false);
        let reports = tokio::spawn(serve(self.engine.clone(), shard, stopped));
        self.owned.insert(shard, Owned { until, stop, reports });
    }

    /// Lets a shard go that is owned, beside everything else.
    fn leave(&mut self, shard: u16, lease: Lease) {
        let Some(owned) = self.owned.remove(&shard) else {
            return;
        };
        let (engine, clock, me) = (self.engine.clone(), self.clock.clone(), self.me.clone());
        let lapses = owned.until + GIVEN_UP_EARLY;
        let going = tokio::spawn(async move {
            let_go(&engine, shard, owned).await;
            if lease == Lease::Held {
                let now = clock.now();
                if let Err(error) = own(&engine, &me, shard, now, now).await {
                    tracing::warn!(shard, %error, "failed to give a shard back; its lease runs out");
                }
            }
        });
        self.leaving.insert(shard, Leaving { lapses, going });
    }

    /// What has been let go may be taken up again.
    async fn forget_left(&mut self) {
        let left: Vec<u16> = self
            .leaving
            .iter()
            .filter(|(_, leaving)| leaving.going.is_finished())
            .map(|(shard, _)| *shard)
            .collect();
        for leaving in left.iter().filter_map(|shard| self.leaving.remove(shard)) {
            leaving.ended().await;
        }
    }

    /// Lets go of what could not be renewed in time: somebody else may own it.
    fn leave_lapsed(&mut self) {
        let now = tokio::time::Instant::now();
        let lapsed: Vec<u16> = self
            .owned
            .iter()
            .filter(|(_, owned)| owned.until <= now)
            .map(|(shard, _)| *shard)
            .collect();
        for shard in lapsed {
            tracing::warn!(shard, "a lease ran out without being renewed");
            self.leave(shard, Lease::Lost);
        }
    }

    async fn leave_all(&mut self) {
        for shard in self.owned.keys().copied().collect::<Vec<_>>() {
            self.leave(shard, Lease::Held);
        }
        for leaving in std::mem::take(&mut self.leaving).into_values() {
            leaving.ended().await;
        }
        let now = self.clock.now();
        for (handle, heard) in [(CUT_OFF, &mut self.others_cut_off), (MEMBERS, &mut self.heard)] {
            if handle == CUT_OFF && !self.cut_off {
                continue;
            }
            if let Err(error) = say(&self.engine, handle, (&self.me, None), heard, now).await {
                tracing::warn!(%error, "failed to say that this dispatcher goes");
            }
        }
    }
}

/// Says under a handle until when what stands there of this one holds, or takes it back;
/// hears what the others say, and returns it.
async fn say(
    engine: &Engine,
    handle: &str,
    (me, until): (&str, Option<Timestamp>),
    heard: &mut Heard,
    now: Timestamp,
) -> Result<Listed, LedgerError> {
    let handle = TenantId::new(handle).expect("the name is a handle");
    let mine = shut_anew(me.to_owned(), until);
    let listed = answered(engine.ledger().gates(&handle, mine)).await?;
    heard.hear(&listed, now);
    // Whoever is silent for longer than that may be forgotten: if he lives
    // after all he says so again.
    let gone = listed.keys().filter(|name| heard.is_gone(name));
    let forget: Vec<GateChange> = gone
        .map(|name| GateChange {
            name: name.clone(),
            until: None,
        })
        .collect();
    if !forget.is_empty() {
        answered(engine.ledger().gates(&handle, forget)).await?;
    }
    Ok(listed)
}

/// Asks for a shard until then, under that name; who holds it.
async fn own(
    engine: &Engine,
    owner: &str,
    shard: u16,
    now: Timestamp,
    until: Timestamp,
) -> Result<String, LedgerError> {
    let shard = Shard {
        index: shard,
        of: engine.shards(),
    };
    answered(engine.ledger().own(shard, owner, now, until)).await
}

/// Finishes the reports at hand and lets the shard's cases go.
async fn let_go(engine: &Engine, shard: u16, mut owned: Owned) {
    owned.stop.send_replace(true);
    if (&mut owned.reports).await.is_err() {
        tracing::error!(shard, "the consumer of a shard's reports broke");
    }
    engine.leave_shard(shard).await;
    tracing::info!(shard, "let go of a shard");
}

/// Takes up a shard's cases and then its reports, until told to stop.
async fn serve(engine: Arc<Engine>, shard: u16, mut stop: watch::Receiver<bool>) {
    loop {
        // It stops by itself: dropped half done it would lose what it orders.
        let taken = engine.take_shard_until(shard, &stop).await;
        if told(&stop) {
            return;
        }
        match taken {
            Ok(cases) => {
                tracing::info!(shard, cases, "took up a shard");
                break;
            }
            Err(error) => tracing::warn!(shard, %error, "failed to take up a shard; trying again"),
        }
        tokio::select! {
            biased;
            _ = stop.changed() => return,
            () = tokio::time::sleep(TAKE_AGAIN) => {}
        }
    }
    let losses = find_losses(&engine, shard, stop.clone());
    futures::join!(engine.clone().take_reports(shard, stop), losses);
}

/// Looks for what the ledger has lost of a shard, now and from time to time.
async fn find_losses(engine: &Arc<Engine>, shard: u16, mut stop: watch::Receiver<bool>) {
    while !told(&stop) {
        let again = match engine.find_losses_until(shard, &stop).await {
            Ok(seen) if seen.whole => LOOK_FOR_LOSSES_EVERY,
            // Why it ended early it has told.
            Ok(_) => LOOK_AGAIN,
            Err(error) => {
                tracing::warn!(shard, %error, "failed to look for what the ledger has lost; looking again in a minute");
                LOOK_AGAIN
            }
        };
        tokio::select! {
            biased;
            _ = stop.changed() => {}
            () = tokio::time::sleep(again) => {}
        }
    }
}

/// What the ledger says, if it says so in time.
async fn answered<T>(asking: impl Future<Output = Result<T, LedgerError>>) -> Result<T, LedgerError> {
    match tokio::time::timeout(ANSWER_WITHIN, asking).await {
        Ok(answer) => answer,
        Err(_) => Err(LedgerError::Unavailable {
            attempted: "see who owns what",
            detail: format!("no answer within {} s", ANSWER_WITHIN.as_secs()),
        }),
    }
}

fn lease_ms() -> i64 {
    i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX)
}

/// Who should own each shard: each shard goes to the member that its digest
/// ranks first among those that have room, so that all differ by one at most
/// and few move when a member comes or goes.
fn distribution(shards: u16, live: &[String]) -> Vec<String> {
    if live.is_empty() {
        return vec![String::new(); usize::from(shards)];
    }
    let room = usize::from(shards).div_ceil(live.len());
    let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
    (0..shards)
        .map(|shard| {
            let ranked = live
                .iter()
                .filter(|m| taken.get(m.as_str()).copied().unwrap_or(0) < room)
                .max_by_key(|m| Digest::of_parts(&[b"offboard.member", m.as_bytes(), &shard.to_be_bytes()]).0);
            let owner = ranked.unwrap_or(&live[0]);
            *taken.entry(owner.as_str()).or_default() += 1;
            owner.clone()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("d{i}")).collect()
    }

    /// Two whose clocks differ by more than a lease agree about a third.
    #[tokio::test(start_paused = true)]
    async fn who_lives_is_told_by_whether_what_he_says_moves() {
        let t0 = Timestamp(1_800_000_000_000);
        let (mut ahead, mut right) = (Heard::default(), Heard::default());
        let says = |ms| Listed::from([("behind".to_owned(), t0.plus(ms - 8_000 + lease_ms()))]);
        for ms in [0, 5_000, 10_000] {
            ahead.hear(&says(ms), t0.plus(ms + 14_000));
            right.hear(&says(ms), t0.plus(ms));
            assert!(ahead.lives("behind") && right.lives("behind"));
            tokio::time::advance(RENEW_EVERY).await;
        }
        tokio::time::advance(LEASE).await;
        ahead.hear(&says(10_000), t0.plus(44_000));
        assert!(!ahead.lives("behind"), "he says nothing new");
        ahead.hear(&says(31_000), t0.plus(45_000));
        assert!(ahead.lives("behind"));
        let mut late = Heard::default();
        late.hear(&says(0), t0.plus(60_000));
        assert!(!late.lives("behind"), "no clock is so wrong");
        assert!(!late.lives("nobody"));
    }

    #[test]
    fn shards_are_spread_evenly_and_each_has_one_owner() {
        for members in 1..=5 {
            let owners = distribution(16, &names(members));
            assert_eq!(owners.len(), 16);
            for name in names(members) {
                let has = owners.iter().filter(|o| **o == name).count();
                assert!(
                    has <= 16_usize.div_ceil(members),
                    "{name} has {has} of 16 among {members}"
                );
            }
        }
        assert!(
            distribution(4, &[]).iter().all(String::is_empty),
            "nobody owns what nobody lives for"
        );
    }

    #[test]
    fn few_shards_move_when_a_member_comes() {
        let (before, after) = (distribution(64, &names(3)), distribution(64, &names(4)));
        let moved = before.iter().zip(&after).filter(|(b, a)| b != a).count();
        assert!(moved <= 32, "{moved} of 64 moved");
        assert_eq!(after, distribution(64, &names(4)), "everybody works out the same");
    }
}
