//! Growth: memory and time per case with more and more cases open.

use crate::embedded::{Failed, Running};
use offboard_ledger::SqliteLedger;
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
    let running = Running::start(sqlite.clone(), folder.path(), false).await?;
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
