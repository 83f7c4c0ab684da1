//! Growth: memory and time per case with more and more cases open. Those that were only
//! opened have one task each and tell how the engine's lists grow; those that are planned
//! whole, and wait for somebody to approve the plan, are what a service provider has on a
//! Monday morning.

use crate::embedded::{Failed, LONGEST, LOOK_EVERY, Running, departure, policy};
use crate::median;
use offboard_domain::{ApprovalOf, CaseId, Command, Policy, TenantId};
use offboard_ledger::SqliteLedger;
use std::ops::Range;
use std::time::{Duration, Instant};

/// What was measured at one size.
pub(crate) struct Grown {
    /// Open cases.
    pub(crate) open: usize,
    /// Resident memory per open case, in bytes.
    pub(crate) bytes_per_case: f64,
    /// Time to open one more, in microseconds: the mean of the next
    /// [`MEASURED`].
    pub(crate) open_us: f64,
}

/// Openings that are timed together: so many that the log is folded into the
/// file a few times meanwhile, which each of them has a part in.
const MEASURED: usize = 5_000;

/// Openings before anything is measured.
const WARM_UP: usize = 200;

fn resident_bytes() -> Result<f64, Failed> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|l| l.starts_with("VmRSS:"))
        .ok_or("no VmRSS in /proc/self/status")?;
    let kb: f64 = line.split_whitespace().nth(1).ok_or("VmRSS has no number")?.parse()?;
    Ok(kb * 1024.0)
}

/// Opens that many cases, whose first tasks wait for credit, and measures.
pub(crate) async fn grow(sizes: &[usize]) -> Result<Vec<Grown>, Failed> {
    let folder = tempfile::tempdir()?;
    let sqlite = SqliteLedger::open(&folder.path().join("ledger.db"))?;
    let running = Running::start(sqlite.clone(), folder.path(), false, policy()).await?;
    running.submit(0, WARM_UP, 128).await?;
    let base = resident_bytes()?;
    let mut open = WARM_UP;
    let mut out = Vec::new();
    for size in sizes {
        running.submit(open, size.saturating_sub(open), 128).await?;
        open = open.max(*size);
        tokio::time::sleep(Duration::from_millis(200)).await;
        if running.engine.held() < open {
            return Err(format!(
                "{open} cases are open and {} are held: nothing was measured",
                running.engine.held()
            )
            .into());
        }
        let bytes_per_case = (resident_bytes()? - base) / (open - WARM_UP).max(1) as f64;
        let began = Instant::now();
        running.submit(open, MEASURED, 128).await?;
        out.push(Grown {
            open,
            bytes_per_case,
            open_us: began.elapsed().as_secs_f64() * 1e6 / MEASURED as f64,
        });
        open += MEASURED;
    }
    running.stop().await;
    sqlite.close().await?;
    Ok(out)
}

/// What was measured at one size, of cases that are planned whole.
pub(crate) struct Planned {
    /// Cases that wait for their plan's approval.
    pub(crate) open: usize,
    /// Tasks that each has.
    pub(crate) tasks: u32,
    /// Resident memory that each of those took that came since the size before, in bytes.
    pub(crate) further_bytes: f64,
    /// Time of one approval, in microseconds: the median of [`APPROVED`].
    pub(crate) approve_us: f64,
}

/// Approvals at each size, one at a time.
const APPROVED: usize = 100;

/// Who approves: nobody who asked.
const APPROVER: &str = "lead";

/// Cases by their number, the oldest first: those that were approved have gone.
struct Crowd {
    running: Running,
    waiting: Range<usize>,
}

impl Crowd {
    fn open(&self) -> usize {
        self.waiting.len()
    }

    /// The tenant and the id of the n-th.
    fn case(&self, n: usize) -> Result<(TenantId, CaseId), Failed> {
        let departure = departure(n, self.running.clock.as_ref())?;
        let id = departure.case_id();
        Ok((departure.tenant, id))
    }

    /// Lets as many come as are missing, and waits until all of them are planned and rest.
    async fn grow_to(&mut self, size: usize) -> Result<(), Failed> {
        let more = size.saturating_sub(self.open());
        let first = self.waiting.end;
        self.running.submit(first, more, 128).await?;
        self.waiting.end += more;
        let began = Instant::now();
        for n in first..self.waiting.end {
            while !self.rests(n).await? {
                if began.elapsed() > LONGEST {
                    let holds = self.running.engine.holdings();
                    return Err(
                        format!("after {LONGEST:?} case {n} waits for no approval; the engine holds {holds}").into(),
                    );
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    /// Whether the n-th waits for its plan's approval and for nothing else.
    async fn rests(&self, n: usize) -> Result<bool, Failed> {
        let (tenant, case) = self.case(n)?;
        let view = self.running.engine.view(&tenant, case).await?;
        let busy = view.tasks.iter().any(|t| t.status == "working" || t.status == "ready");
        Ok(!busy && view.needs.iter().any(|need| need.what == "approve_plan"))
    }

    /// How many tasks the oldest has.
    async fn tasks(&self) -> Result<u32, Failed> {
        let (tenant, case) = self.case(self.waiting.start)?;
        Ok(self.running.engine.view(&tenant, case).await?.total)
    }

    /// Approves the oldest's plan, and waits until it has gone: how long the order took.
    async fn approve(&mut self) -> Result<Duration, Failed> {
        let (tenant, case) = self.case(self.waiting.start)?;
        let engine = &self.running.engine;
        let by = APPROVER.to_owned();
        let of = ApprovalOf::Plan(engine.view(&tenant, case).await?.plan_digest);
        let began = Instant::now();
        engine.order(&tenant, case, Command::Approve { by, of }).await?;
        let took = began.elapsed();
        self.waiting.start += 1;
        self.running.until_held(self.open()).await?;
        Ok(took)
    }
}

/// Lets workers plan that many cases, which then wait for an approval, and measures.
pub(crate) async fn grow_planned(sizes: &[usize]) -> Result<Vec<Planned>, Failed> {
    let folder = tempfile::tempdir()?;
    let sqlite = SqliteLedger::open(&folder.path().join("ledger.db"))?;
    let asks = Policy {
        approvals: Policy::default().approvals,
        ..policy()
    };
    let running = Running::start(sqlite.clone(), folder.path(), true, asks).await?;
    let mut crowd = Crowd { running, waiting: 0..0 };
    crowd.grow_to(WARM_UP).await?;
    let mut before = (crowd.open(), resident_bytes()?);
    let mut out = Vec::new();
    for size in sizes {
        crowd.grow_to(*size).await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let (open, held) = (crowd.open(), crowd.running.engine.held());
        if held < open {
            return Err(format!("{open} cases are open and {held} are held: nothing was measured").into());
        }
        let now = (open, resident_bytes()?);
        let further_bytes = (now.1 - before.1) / now.0.saturating_sub(before.0).max(1) as f64;
        before = now;
        let tasks = crowd.tasks().await?;
        let mut took = Vec::new();
        while took.len() < APPROVED && crowd.open() > 0 {
            took.push(crowd.approve().await?.as_secs_f64() * 1e6);
        }
        out.push(Planned {
            open,
            tasks,
            further_bytes,
            approve_us: median(took),
        });
    }
    crowd.running.stop().await;
    sqlite.close().await?;
    Ok(out)
}
