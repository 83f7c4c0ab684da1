//! What the figures were measured on, and what each process took.

use super::stage::Stage;
use crate::embedded::Failed;
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};

/// Ticks of proc(5) in a second.
const TICK_MS: u64 = 10;

/// The machine and the programs.
pub(crate) fn describe(stage: &Stage) -> Result<Value, Failed> {
    let cpu = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu.lines().find_map(|l| l.strip_prefix("model name")?.split_once(':'));
    let memory = std::fs::read_to_string("/proc/meminfo")?;
    let total = memory.lines().find_map(|l| l.strip_prefix("MemTotal:"));
    let (rabbit, erlang) = stage.rabbit.versions()?;
    Ok(json!({
        "cpu": model.map(|(_, name)| name.trim()),
        "cores": std::thread::available_parallelism()?.get(),
        "memory": total.map(str::trim),
        "kernel": std::fs::read_to_string("/proc/sys/kernel/osrelease")?.trim(),
        "rabbitmq": rabbit,
        "erlang": erlang,
        "redis": stage.redis_info("server", "redis_version")?,
        "commit": commit(),
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
    }))
}

/// Of which commit the folder is, and whether something was changed since.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let done = Command::new("git").args(arguments).output().ok()?;
        let said = String::from_utf8_lossy(&done.stdout).trim().to_owned();
        done.status.success().then_some(said)
    };
    let Some(commit) = git(&["rev-parse", "HEAD"]) else {
        return "unknown: not in a repository".to_owned();
    };
    match git(&["status", "--porcelain"]) {
        Some(changes) if changes.is_empty() => commit,
        _ => format!("{commit}, with changes"),
    }
}

/// One line about the machine.
pub(crate) fn in_words(machine: &Value) -> String {
    let text = |name: &str| {
        machine[name]
            .as_str()
            .map_or_else(|| machine[name].to_string(), str::to_owned)
    };
    format!(
        "{}, {} cores, {}; Linux {}; RabbitMQ {} on Erlang {}, Redis {}; commit {}, {} build",
        text("cpu"),
        text("cores"),
        text("memory"),
        text("kernel"),
        text("rabbitmq"),
        text("erlang"),
        text("redis"),
        text("commit"),
        text("build")
    )
}

/// The processor time that a process has used, its own alone.
pub(crate) fn cpu_of(pid: u32) -> Result<Duration, Failed> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Fields 14 and 15 of proc(5), after the name.
    let (_, rest) = stat.rsplit_once(')').ok_or("no name in /proc/…/stat")?;
    let mut ticks = 0;
    for field in rest.split_whitespace().skip(11).take(2) {
        ticks += field.parse::<u64>()?;
    }
    Ok(Duration::from_millis(ticks * TICK_MS))
}

/// The processor time that the whole machine has used.
pub(crate) fn cpu_of_all() -> Result<Duration, Failed> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().ok_or("/proc/stat is empty")?;
    let mut fields = Vec::new();
    for field in line.split_whitespace().skip(1) {
        fields.push(field.parse::<u64>()?);
    }
    // All but idle and waiting for a disk; guests are in the first two already.
    let busy = fields.iter().take(8).enumerate().filter(|(n, _)| *n != 3 && *n != 4);
    let ticks: u64 = busy.map(|(_, ticks)| ticks).sum();
    Ok(Duration::from_millis(ticks * TICK_MS))
}

/// What of a core everybody else on the machine takes: the whole machine's time without
/// that of the processes that are looked at.
pub(crate) struct Others {
    ours: Vec<u32>,
    began: Instant,
    /// Of the whole machine, and of those.
    before: (Duration, Duration),
}

impl Others {
    /// Begins to look; these are not others, and live as long as it is looked.
    pub(crate) fn than(ours: Vec<u32>) -> Result<Self, Failed> {
        Ok(Self {
            before: (cpu_of_all()?, sum(&ours)?),
            began: Instant::now(),
            ours,
        })
    }

    /// Since it is looked.
    pub(crate) fn cores(&self) -> Result<f64, Failed> {
        let all = cpu_of_all()?.saturating_sub(self.before.0);
        let ours = sum(&self.ours)?.saturating_sub(self.before.1);
        Ok(cores_of_others(all, ours, self.began.elapsed()))
    }
}

/// The same of what all and ours took in a while.
pub(crate) fn cores_of_others(all: Duration, ours: Duration, took: Duration) -> f64 {
    all.saturating_sub(ours).as_secs_f64() / took.as_secs_f64()
}

fn sum(pids: &[u32]) -> Result<Duration, Failed> {
    pids.iter().map(|pid| cpu_of(*pid)).sum()
}

/// What a process holds of the memory now, and at most since it began, in MiB.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) resident: f64,
    /// Most that was resident.
    pub(crate) peak: f64,
}

/// The memory of a process.
pub(crate) fn memory_of(pid: u32) -> Result<Memory, Failed> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| -> Result<f64, Failed> {
        let line = status.lines().find_map(|l| l.strip_prefix(name));
        let kib: f64 = line
            .and_then(|l| l.split_whitespace().next())
            .ok_or_else(|| format!("no {name} in /proc/{pid}/status"))?
            .parse()?;
        Ok(kib / 1024.0)
    };
    Ok(Memory {
        resident: field("VmRSS:")?,
        peak: field("VmHWM:")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_what_the_machine_did_without_us() {
        let seconds = Duration::from_secs;
        assert_eq!(cores_of_others(seconds(3), seconds(1), seconds(4)), 0.5);
        // Ticks are counted at different moments.
        assert_eq!(cores_of_others(seconds(1), seconds(2), seconds(4)), 0.0);
    }
}
