//! One run of one contestant: its processes are started, warmed up and driven
//! with a fixed number of departures open, and what everything took is noted.

use super::celery;
use super::child::{Child, Said};
use super::graph::{CLOSING, TASKS};
use super::lines::Order;
use super::machine::{Memory, Others, cores_of_others, cpu_of, cpu_of_all, memory_of};
use super::setup::Setup;
use super::stage::Stage;
use crate::embedded::Failed;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Nothing is done for so long: something is broken. Longer where many are open: all of
/// them may be opened before the first is closed.
const SILENT: Duration = Duration::from_secs(120);
const SILENT_EACH: Duration = Duration::from_millis(20);

/// Who does the departures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Contestant {
    /// One confirmed message and one append a task.
    Least,
    /// Two messages and one append a task, with the closing round.
    Bare,
    /// Offboard.
    Offboard,
    /// Celery.
    Celery,
}

impl Contestant {
    /// As tables call it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Least => "least",
            Self::Bare => "bare",
            Self::Offboard => "offboard",
            Self::Celery => "celery",
        }
    }

    /// How many tasks its departures have, as far as it does not say.
    fn tasks(self) -> usize {
        match self {
            Self::Least | Self::Celery => TASKS,
            Self::Bare | Self::Offboard => TASKS + CLOSING,
        }
    }
}

/// The processes of a contestant.
pub(crate) struct Team {
    children: Vec<Child>,
    /// Which of them takes the orders. The last says what is done.
    origin: usize,
}

impl Team {
    /// Starts them.
    pub(crate) fn start(contestant: Contestant, stage: &Stage, setup: &Setup) -> Result<Self, Failed> {
        let roles: &[&'static str] = match contestant {
            Contestant::Least => &["least"],
            Contestant::Bare => &["bare-dispatcher", "bare-worker", "bare-closer"],
            Contestant::Offboard => &["dispatcher", "worker", "closer"],
            Contestant::Celery => {
                let children = celery::start(setup)?;
                // Its driver does both.
                let origin = children.len().saturating_sub(1);
                return Ok(Self { children, origin });
            }
        };
        let children = roles.iter().map(|role| stage.child(role, setup));
        Ok(Self {
            children: children.collect::<Result<_, _>>()?,
            origin: 0,
        })
    }

    /// Who takes the orders.
    pub(crate) fn origin(&mut self) -> Result<&mut Child, Failed> {
        let origin = self.children.get_mut(self.origin);
        origin.ok_or_else(|| "a team without anybody".into())
    }

    /// Who says what is done.
    pub(crate) fn finisher(&self) -> Result<&Child, Failed> {
        self.children.last().ok_or_else(|| "a team without anybody".into())
    }

    /// Ends them all; an error if one broke.
    pub(crate) fn end(mut self) -> Result<(), Failed> {
        // Whoever orders goes first, as at a shutdown by hand.
        self.children.rotate_left(self.origin);
        for child in self.children {
            child.end()?;
        }
        Ok(())
    }

    /// The memory of each.
    pub(crate) fn memory(&self) -> Result<BTreeMap<&'static str, Memory>, Failed> {
        let each = self.children.iter().map(|c| Ok((c.name, memory_of(c.pid())?)));
        each.collect()
    }

    /// Has these departures done, of which so many are open at a time, and
    /// returns their tasks. `look` is called from time to time with how many
    /// are done.
    pub(crate) fn work(
        &mut self,
        departures: std::ops::Range<usize>,
        open: usize,
        mut look: impl FnMut(&Self, usize) -> Result<(), Failed>,
    ) -> Result<usize, Failed> {
        let (mut next, mut done, mut tasks) = (departures.start, 0, 0);
        let wanted = departures.len();
        let mut heard = Instant::now();
        let silent = SILENT + SILENT_EACH * u32::try_from(open.min(wanted))?;
        while done < wanted {
            let room = (departures.start + done + open)
                .min(departures.end)
                .saturating_sub(next);
            if room > 0 {
                self.origin()?.open(Order::of(next, room))?;
                next += room;
            }
            let mut within = Duration::from_millis(200);
            // What gathered is taken together, so that orders are few.
            while let Some(said) = self.finisher()?.next(within)? {
                let Said::Done {
                    departures,
                    tasks: of_it,
                } = said
                else {
                    return Err(format!("nobody asked for '{said:?}'").into());
                };
                done += departures;
                tasks += of_it;
                heard = Instant::now();
                within = Duration::ZERO;
            }
            if heard.elapsed() > silent {
                return Err(format!("{done} of {wanted} departures are done, and no more come").into());
            }
            look(self, done)?;
        }
        Ok(tasks)
    }

    /// Begins to look what everybody takes who is not of this run.
    pub(crate) fn others(&self, stage: &Stage) -> Result<Others, Failed> {
        let servers = [stage.rabbit.pid(), stage.redis.pid()];
        let children = self.children.iter().map(Child::pid);
        let ours = children.chain(servers.into_iter().flatten());
        Others::than(ours.chain([std::process::id()]).collect())
    }

    fn cpu(&self) -> Result<BTreeMap<&'static str, Duration>, Failed> {
        let each = self.children.iter().map(|c| Ok((c.name, cpu_of(c.pid())?)));
        each.collect()
    }
}

/// What one run took.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// Who.
    pub(crate) contestant: Contestant,
    /// Departures.
    pub(crate) departures: usize,
    /// Their tasks, the closing round's included.
    pub(crate) tasks: usize,
    /// How long.
    pub(crate) took: Duration,
    /// Processor time of each process, `rabbitmq` and `redis` among them.
    pub(crate) cpu: BTreeMap<&'static str, Duration>,
    /// Memory of each process of its own at the end.
    pub(crate) memory: BTreeMap<&'static str, Memory>,
    /// What of a core everybody else on the machine took.
    pub(crate) others: f64,
}

impl Run {
    /// Departures a second.
    pub(crate) fn rate(&self) -> f64 {
        self.departures as f64 / self.took.as_secs_f64()
    }

    /// Processor time a departure of the processes that these are, in
    /// microseconds.
    pub(crate) fn cpu_us(&self, which: impl Fn(&str) -> bool) -> f64 {
        let of = self.cpu.iter().filter(|(name, _)| which(name));
        of.map(|(_, cpu)| cpu.as_secs_f64() * 1e6).sum::<f64>() / self.departures as f64
    }

    /// As the file of raw figures keeps it.
    pub(crate) fn raw(&self) -> Value {
        let cpu: BTreeMap<_, _> = self.cpu.iter().map(|(name, cpu)| (*name, cpu.as_secs_f64())).collect();
        let memory = |m: &Memory| json!({ "resident_mib": m.resident, "peak_mib": m.peak });
        let memory: BTreeMap<_, _> = self.memory.iter().map(|(name, m)| (*name, memory(m))).collect();
        json!({
            "contestant": self.contestant.word(), "departures": self.departures, "tasks": self.tasks,
            "seconds": self.took.as_secs_f64(), "cpu_seconds": cpu, "memory": memory, "others_cores": self.others,
        })
    }
}

/// How much is to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Departures that are not measured.
    pub(crate) warm_up: usize,
    /// Departures that are.
    pub(crate) departures: usize,
    /// How many are open at a time.
    pub(crate) open: usize,
}

/// One run, on servers that are clean.
pub(crate) fn run(contestant: Contestant, stage: &mut Stage, load: Load) -> Result<Run, Failed> {
    run_and_look(contestant, stage, load, |_, _| Ok(()))
}

/// One run that is looked at from time to time.
pub(crate) fn run_and_look(
    contestant: Contestant,
    stage: &mut Stage,
    load: Load,
    look: impl FnMut(&Team, usize) -> Result<(), Failed>,
) -> Result<Run, Failed> {
    let setup = stage.clean()?;
    let mut team = Team::start(contestant, stage, &setup)?;
    team.work(0..load.warm_up, load.open, |_, _| Ok(()))?;
    let everything = |team: &Team| -> Result<_, Failed> {
        let mut cpu = team.cpu()?;
        let servers = [("rabbitmq", stage.rabbit.pid()), ("redis", stage.redis.pid())];
        for (name, pid) in servers {
            cpu.insert(name, cpu_of(pid.ok_or_else(|| format!("{name} does not run"))?)?);
        }
        cpu.insert("the bench", cpu_of(std::process::id())?);
        Ok((cpu, cpu_of_all()?))
    };
    let (before, all_before) = everything(&team)?;
    let began = Instant::now();
    let tasks = team.work(load.warm_up..load.warm_up + load.departures, load.open, look)?;
    let took = began.elapsed();
    let (mut cpu, all) = everything(&team)?;
    for (name, cpu) in &mut cpu {
        *cpu = cpu.saturating_sub(before.get(name).copied().unwrap_or_default());
    }
    let ours: Duration = cpu.values().sum();
    let memory = team.memory()?;
    team.end()?;
    Ok(Run {
        contestant,
        departures: load.departures,
        tasks: if tasks > 0 {
            tasks
        } else {
            load.departures * contestant.tasks()
        },
        took,
        cpu,
        memory,
        others: cores_of_others(all.saturating_sub(all_before), ours, took),
    })
}
