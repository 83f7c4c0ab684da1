//! Everything dies, at random, while departures go through: processes of
//! every role, the broker and the ledger (SIGKILL), connections (cut, held,
//! slowed, refused by the proxies); once the broker's whole folder is deleted,
//! and once the ledger's disk is full. Afterwards nothing is lost, nothing is
//! closed or done twice, and every piece of evidence verifies.
//!
//! Every blow is struck once before chance decides, so that each run of enough
//! blows meets them all.
//!
//! The seed chooses what is hit and when; what the machine makes of it differs
//! from run to run. `tests/chaos` runs the long form; the environment's
//! `OFFBOARD_CHAOS=DEPARTURES,TENANTS,BLOWS,SEED` any other.

#![expect(clippy::print_stdout, reason = "an ordeal says what it does and what it survived")]

use crate::account::{Party, nothing_lost, nothing_twice};
use crate::chance::Chance;
use crate::cluster::people::People;
use crate::cluster::stage::{Size, Stage, now_ms};
use crate::support::Running;
use offboard_servers::Direction;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Which processes run, as a supervisor would keep them.
const PROCESSES: [&str; 6] = ["dispatcher", "dispatcher", "worker", "worker", "closer", "closer"];
/// The shortest of both.
const LEAST_MS: u64 = 50;
/// The longest that things are left alone between two blows.
const REST_MS: u64 = 2_500;
/// The longest that a server or a connection stays away.
const AWAY_MS: u64 = 4_000;
/// A person is asked to order again what failed in one departure of so many at the most:
/// what was hit comes back long before anybody's patience ends.
const DEPARTURES_PER_RETRY: usize = 10;
/// How soon a supervisor starts anew what has ended.
const SUPERVISED_EVERY: Duration = Duration::from_millis(200);
/// How often a person looks.
const PEOPLE_LOOK_EVERY: Duration = Duration::from_millis(1_500);
/// Far longer than the end takes on a busy machine: so much, and so much a
/// departure.
const PATIENCE: Duration = Duration::from_secs(240);
const PATIENCE_EACH: Duration = Duration::from_secs(2);

/// What a run is made of.
#[derive(Debug, Clone, Copy)]
struct Plan {
    departures: usize,
    tenants: usize,
    blows: usize,
    seed: u64,
}

impl Plan {
    /// What every run of the tests does.
    const USUAL: Self = Self {
        departures: 60,
        tenants: 6,
        blows: 24,
        seed: 20_261,
    };

    fn of_environment() -> Self {
        let Ok(said) = std::env::var("OFFBOARD_CHAOS") else {
            return Self::USUAL;
        };
        let numbers: Vec<u64> = said.split(',').map(|n| n.trim().parse().unwrap()).collect();
        let [departures, tenants, blows, seed] = numbers[..] else {
            panic!("OFFBOARD_CHAOS is DEPARTURES,TENANTS,BLOWS,SEED, and not '{said}'")
        };
        let size = |n: u64| usize::try_from(n).unwrap();
        Self {
            departures: size(departures),
            tenants: size(tenants),
            blows: size(blows),
            seed,
        }
    }
}

/// What is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Blow {
    DispatcherKilled,
    WorkerKilled,
    CloserKilled,
    BrokerKilled,
    LedgerKilled,
    BrokerCut,
    LedgerCut,
    BrokerStalled,
    LedgerStalled,
    BrokerRefused,
    LedgerRefused,
    AllSlowed,
    BrokerEmptied,
    LedgerDiskFull,
}

impl Blow {
    /// Each that comes again and again, and how likely it is beside the others.
    const RECURRING: [(Self, usize); 12] = [
        (Self::DispatcherKilled, 2),
        (Self::WorkerKilled, 3),
        (Self::CloserKilled, 1),
        (Self::BrokerKilled, 1),
        (Self::LedgerKilled, 1),
        (Self::BrokerCut, 1),
        (Self::LedgerCut, 1),
        (Self::BrokerStalled, 1),
        (Self::LedgerStalled, 1),
        (Self::BrokerRefused, 1),
        (Self::LedgerRefused, 1),
        (Self::AllSlowed, 1),
    ];
    /// How many there are, with the two that come once: the broker emptied, and the
    /// ledger's disk full.
    const KINDS: usize = Self::RECURRING.len() + 2;

    /// What is struck, in order: the two that come once at a third and at two thirds,
    /// each other one once in an order of chance, and then whatever chance gives.
    fn sequence(blows: usize, chance: &mut Chance) -> Vec<Self> {
        let mut unmet: Vec<Self> = Self::RECURRING.iter().map(|(blow, _)| *blow).collect();
        let by_chance = Self::RECURRING.map(|(blow, weight)| vec![blow; weight]).concat();
        (0..blows)
            .map(|n| {
                if n == blows / 3 {
                    Self::BrokerEmptied
                } else if n == blows * 2 / 3 {
                    Self::LedgerDiskFull
                } else if unmet.is_empty() {
                    chance.one(&by_chance)
                } else {
                    let which = chance.below(unmet.len() as u64);
                    unmet.swap_remove(usize::try_from(which).unwrap())
                }
            })
            .collect()
    }
}

#[test]
fn every_blow_is_struck_where_there_are_enough_of_them() {
    let usual = Plan::USUAL;
    for (seed, blows) in [(usual.seed, usual.blows), (1, Blow::KINDS), (2, 300)] {
        let sequence = Blow::sequence(blows, &mut Chance::of(seed));
        assert_eq!(sequence.len(), blows);
        let met: BTreeSet<Blow> = sequence.iter().copied().collect();
        assert_eq!(met.len(), Blow::KINDS, "seed {seed}, {blows} blows: {sequence:?}");
        for once in [Blow::BrokerEmptied, Blow::LedgerDiskFull] {
            assert_eq!(sequence.iter().filter(|blow| **blow == once).count(), 1, "{once:?}");
        }
    }
}

/// The processes, started anew whenever they have ended.
#[derive(Default)]
struct Supervised {
    slots: Vec<(&'static str, Option<Running>)>,
    killed: BTreeMap<&'static str, u32>,
    /// Ended by themselves, with what they said last.
    ended: Vec<(&'static str, String)>,
}

impl Supervised {
    fn look(&mut self, stage: &Stage) {
        for (role, slot) in &mut self.slots {
            if slot.as_mut().is_some_and(Running::is_running) {
                continue;
            }
            if let Some(gone) = slot.take() {
                let said = gone.wait().err;
                sane(role, &said);
                self.ended.push((role, last_line(&said)));
            }
            *slot = Some(stage.start(role));
        }
    }

    /// Kills one of a role, by its own handle.
    fn kill(&mut self, role: &'static str, chance: &mut Chance) {
        let of_role: Vec<usize> = (0..self.slots.len()).filter(|n| self.slots[*n].0 == role).collect();
        let one = chance.one(&of_role);
        if let Some(running) = self.slots[one].1.take() {
            sane(role, &running.end().err);
            *self.killed.entry(role).or_default() += 1;
        }
    }
}

/// A process may be killed, or give up because a server is away; it never
/// breaks.
#[track_caller]
fn sane(role: &str, said: &str) {
    for word in ["panicked", "a part of this process broke", " ERROR "] {
        assert!(!said.contains(word), "a {role} broke:\n{said}");
    }
}

fn last_line(said: &str) -> String {
    said.lines().last().unwrap_or_default().chars().take(200).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_loses_nothing_and_does_nothing_twice() {
    let plan = Plan::of_environment();
    println!("{plan:?}");
    let stage = Stage::set_on_small_disk(
        plan.seed,
        Size {
            tenants: plan.tenants,
            leavers_each: plan.departures / plan.tenants,
        },
    )
    .await;
    let mut supervised = Supervised {
        slots: PROCESSES.map(|role| (role, None)).into(),
        ..Supervised::default()
    };
    supervised.look(&stage);
    let file = stage.departures();
    let submitted = stage.run(&["submit", &file, "--json"]).expect(0).json();
    let promised: BTreeSet<String> = submitted["accepted"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["case"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(promised.len(), plan.departures / plan.tenants * plan.tenants);
    let began = Instant::now();
    let over = AtomicBool::new(false);
    let (blows, cases, people) = thread::scope(|scope| {
        let answering = scope.spawn(|| people(&stage, &over));
        let ordeal = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut blows: BTreeMap<Blow, u32> = BTreeMap::new();
            strike(&stage, &mut supervised, &plan, &mut blows);
            let cases = settle(&stage, &mut supervised, &plan);
            (blows, cases)
        }));
        over.store(true, Ordering::Relaxed);
        let people = answering.join().unwrap();
        match ordeal {
            Ok((blows, cases)) => (blows, cases, people),
            Err(failed) => std::panic::resume_unwind(failed),
        }
    });
    let figures = format!(
        "seed {}: {} departures of {} tenants in {} s survived {:?}; processes killed {:?}, ended for want of a server \
         {}, tasks that people ordered again {}, wipes whose proof was missed {}",
        plan.seed,
        cases.len(),
        plan.tenants,
        began.elapsed().as_secs(),
        blows,
        supervised.killed,
        supervised.ended.len(),
        people.retried.len(),
        people.waived.len(),
    );
    println!("{figures}");
    assert!(
        people.retried.len() * DEPARTURES_PER_RETRY <= plan.departures,
        "{figures}: people were asked too often: {:#?}",
        people.retried
    );
    for (role, running) in supervised.slots {
        let running = running.unwrap();
        running.signal("TERM");
        let ended = running.wait().expect(0);
        sane(role, &ended.err);
    }
    let parties: Vec<Party<'_>> = stage.clients.iter().map(Into::into).collect();
    let attempts = nothing_lost(&stage.folder, &cases, &promised, &parties, &figures);
    nothing_twice(&mut stage.world(), now_ms(), &parties, &attempts, &figures);
}

/// People who answer while the servers come and go.
fn people(stage: &Stage, over: &AtomicBool) -> People {
    let mut people = People::default();
    while !over.load(Ordering::Relaxed) {
        people.answer(stage);
        thread::sleep(PEOPLE_LOOK_EVERY);
    }
    people
}

fn strike(stage: &Stage, supervised: &mut Supervised, plan: &Plan, blows: &mut BTreeMap<Blow, u32>) {
    let mut chance = Chance::of(plan.seed);
    for (n, blow) in Blow::sequence(plan.blows, &mut chance).into_iter().enumerate() {
        thread::sleep(chance.millis(LEAST_MS, REST_MS));
        println!("{n}: {blow:?}");
        hit(stage, supervised, blow, &mut chance);
        *blows.entry(blow).or_default() += 1;
        supervised.look(stage);
    }
}

fn hit(stage: &Stage, supervised: &mut Supervised, blow: Blow, chance: &mut Chance) {
    let away = chance.millis(LEAST_MS, AWAY_MS);
    let which = [Direction::ToServer, Direction::ToClient, Direction::Both];
    match blow {
        Blow::DispatcherKilled => supervised.kill("dispatcher", chance),
        Blow::WorkerKilled => supervised.kill("worker", chance),
        Blow::CloserKilled => supervised.kill("closer", chance),
        Blow::BrokerKilled => {
            stage.rabbit().kill();
            wait(stage, supervised, away);
            stage.rabbit().restart().unwrap();
        }
        Blow::LedgerKilled => {
            stage.redis().kill();
            wait(stage, supervised, away);
            stage.redis().restart().unwrap();
        }
        Blow::BrokerCut => stage.to_rabbit.cut(),
        Blow::LedgerCut => stage.to_redis.cut(),
        Blow::BrokerStalled => {
            stage.to_rabbit.stall(chance.one(&which));
            wait(stage, supervised, away);
            stage.to_rabbit.restore();
        }
        Blow::LedgerStalled => {
            stage.to_redis.stall(chance.one(&which));
            wait(stage, supervised, away);
            stage.to_redis.restore();
        }
        Blow::BrokerRefused => {
            stage.to_rabbit.block();
            wait(stage, supervised, away);
            stage.to_rabbit.restore();
        }
        Blow::LedgerRefused => {
            stage.to_redis.block();
            wait(stage, supervised, away);
            stage.to_redis.restore();
        }
        Blow::AllSlowed => {
            for proxy in [&stage.to_rabbit, &stage.to_redis] {
                proxy.delay(Duration::from_millis(50));
            }
            wait(stage, supervised, away);
            for proxy in [&stage.to_rabbit, &stage.to_redis] {
                proxy.restore();
            }
        }
        Blow::BrokerEmptied => {
            stage.rabbit().wipe_data().unwrap();
            wait(stage, supervised, away);
            stage.rabbit().restart().unwrap();
        }
        Blow::LedgerDiskFull => {
            stage.disk().fill().unwrap();
            wait(stage, supervised, away);
            stage.disk().free().unwrap();
            // Under `always` it ends rather than promise what it cannot keep.
            stage.redis().restart().unwrap();
        }
    }
}

/// Leaves it so for a while; what ends meanwhile is started anew.
fn wait(stage: &Stage, supervised: &mut Supervised, away: Duration) {
    let until = Instant::now() + away;
    while Instant::now() < until {
        thread::sleep(SUPERVISED_EVERY);
        supervised.look(stage);
    }
}

/// No more blows: everything must close.
#[track_caller]
fn settle(stage: &Stage, supervised: &mut Supervised, plan: &Plan) -> BTreeMap<String, Value> {
    let patience = PATIENCE + PATIENCE_EACH * u32::try_from(plan.departures).unwrap();
    let until = Instant::now() + patience;
    loop {
        supervised.look(stage);
        let cases = stage.cases();
        if cases.values().all(|c| c["state"] == "closed") {
            return cases;
        }
        if Instant::now() > until {
            let open: Vec<&String> = cases
                .iter()
                .filter(|(_, c)| c["state"] != "closed")
                .map(|(id, _)| id)
                .collect();
            let why: String = open.iter().take(3).map(|c| stage.run(&["why", c]).out).collect();
            let said: Vec<String> = supervised
                .slots
                .drain(..)
                .filter_map(|(role, r)| Some(format!("{role}:\n{}", tail(&r?.end().err))))
                .collect();
            panic!(
                "{plan:?}: {} not closed within {patience:?}:\n{why}\n{}",
                open.len(),
                said.join("\n")
            );
        }
        thread::sleep(Duration::from_secs(1));
    }
}

/// The end of what somebody said.
fn tail(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}
