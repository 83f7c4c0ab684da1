//! What a case takes in Redis' memory, open and trimmed, and how long it takes
//! to ask for what is due and for a page of cases with so many of them open.

use crate::embedded::Failed;
use offboard_domain::{CaseId, Digest, Record, TenantId, Timestamp, Wake, WakeReason};
use offboard_ledger::redis::RedisOptions;
use offboard_ledger::{Append, Appended, Claim, Filter, IndexEntry, KeyChange, Ledger as _, RedisLedger, Shard};
use offboard_servers::Redis;
use offboard_servers::redis::{Fsync, RedisOptions as ServerOptions};
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;

/// A record's body, as long as a sealed event usually is.
const BODY_BYTES: usize = 300;
const TENANTS: usize = 20;
/// Records of one append.
const TOGETHER: usize = 4;
const WRITERS: usize = 64;
const PAGE: usize = 1_000;
const NOON: Timestamp = Timestamp(1_800_000_000_000);

/// What was measured.
pub(crate) struct Measured {
    /// Used memory of an open case, and of a trimmed one, in bytes.
    pub(crate) open_bytes: f64,
    pub(crate) trimmed_bytes: f64,
    /// A thousand due cases, and a thousand listed ones, in milliseconds: of
    /// one shard, with all cases open.
    pub(crate) due_ms: f64,
    pub(crate) list_ms: f64,
    /// Asking a shard in which nothing is due yet.
    pub(crate) idle_ms: f64,
}

/// Opens that many cases of that many records, measures, and trims them.
pub(crate) async fn measure(cases: usize, records: usize) -> Result<Measured, Failed> {
    let server = Redis::start(&ServerOptions {
        // Memory is measured, not the disk.
        fsync: Fsync::EverySecond,
        ..ServerOptions::default()
    })?;
    let (ledger, _) = RedisLedger::open(RedisOptions::new(server.url().parse()?)).await?;
    let shard = Shard::of_tenant(&tenant(0)?, offboard_ledger::redis::DEFAULT_SHARDS);
    let before = used(&server)?;
    let open = write_all(&ledger, cases, records).await?;
    let full = used(&server)?;

    let due_ms = median_ms(async || Ok(ledger.due(shard, Timestamp(i64::MAX), PAGE).await?.0.len())).await?;
    let idle_ms = median_ms(async || Ok(ledger.due(shard, Timestamp(0), PAGE).await?.0.len())).await?;
    let page = Filter {
        shard: Some(shard),
        open_only: true,
        limit: PAGE,
        ..Filter::default()
    };
    let list_ms = median_ms(async || Ok(ledger.list(page.clone()).await?.len())).await?;

    for append in open {
        let mut index = append.index;
        (index.ended, index.wake) = (true, None);
        let trim = Append {
            expected: index.version,
            prev: index.head,
            records: Vec::new(),
            index,
            key: KeyChange::Keep,
            claim: Claim::Keep,
            cap: None,
            trim: true,
        };
        let answer = ledger.append(trim).await?;
        if answer != Appended::Done {
            return Err(format!("a trim was answered {answer:?}").into());
        }
    }
    let trimmed = used(&server)?;
    let each = |bytes: f64| (bytes - before) / cases.max(1) as f64;
    Ok(Measured {
        open_bytes: each(full),
        trimmed_bytes: each(trimmed),
        due_ms,
        list_ms,
        idle_ms,
    })
}

fn tenant(n: usize) -> Result<TenantId, Failed> {
    Ok(TenantId::new(&format!("tenant-{n}"))?)
}

/// Opens the cases, and gives the last append of each.
async fn write_all(ledger: &Arc<RedisLedger>, cases: usize, records: usize) -> Result<Vec<Append>, Failed> {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let ledger = Arc::clone(ledger);
        writers.spawn(async move {
            let mut last = Vec::new();
            for n in (writer..cases).step_by(WRITERS) {
                let tenant = tenant(n % TENANTS).map_err(|e| e.to_string())?;
                let case = CaseId::derive(&tenant, &n.to_string());
                let mut append: Option<Append> = None;
                for left in (1..=records).rev().step_by(TOGETHER) {
                    let next = following(&tenant, case, n, append.as_ref(), left.min(TOGETHER));
                    let answer = ledger.append(next.clone()).await.map_err(|e| e.to_string())?;
                    if answer != Appended::Done {
                        return Err(format!("an append was answered {answer:?}"));
                    }
                    append = Some(next);
                }
                last.extend(append);
            }
            Ok(last)
        });
    }
    let mut all = Vec::new();
    while let Some(written) = writers.join_next().await {
        all.extend(written??);
    }
    Ok(all)
}

fn following(tenant: &TenantId, case: CaseId, n: usize, before: Option<&Append>, records: usize) -> Append {
    let (expected, prev) = before.map_or((0, Digest::ZERO), |a| (a.index.version, a.index.head));
    let (mut version, mut head) = (expected, prev);
    let mut written = Vec::new();
    for _ in 0..records {
        version += 1;
        // As incompressible as what is sealed.
        let noise = (0..BODY_BYTES.div_ceil(32)).flat_map(|i| Digest::of_parts(&[&head.0, &i.to_be_bytes()]).0);
        let record = Record::chained(version, head, noise.take(BODY_BYTES).collect());
        head = record.hash;
        written.push(record);
    }
    let at = i64::try_from(n).unwrap_or(i64::MAX);
    Append {
        expected,
        prev,
        records: written,
        index: IndexEntry {
            tenant: tenant.clone(),
            case,
            version,
            head,
            state: "active".to_owned(),
            ended: false,
            needs_person: false,
            urgent: false,
            wake: Some(Wake {
                at: NOON.plus(at),
                why: WakeReason::Unanswered,
            }),
            opened_at: NOON.plus(-at),
            updated_at: NOON,
            settled: 3,
            tasks: 14,
        },
        key: before.map_or(KeyChange::Create(head.0), |_| KeyChange::Keep),
        claim: match before {
            None => Claim::Take(format!("m365:6f9619ff-8b86-d011-b42d-{n:012}")),
            Some(_) => Claim::Keep,
        },
        cap: None,
        trim: false,
    }
}

fn used(server: &Redis) -> Result<f64, Failed> {
    let info = server.command(&["INFO", "memory"])?.text();
    let line = info.lines().find_map(|l| l.strip_prefix("used_memory:"));
    Ok(line
        .ok_or("Redis does not say how much memory it uses")?
        .trim()
        .parse()?)
}

async fn median_ms(ask: impl AsyncFn() -> Result<usize, Failed>) -> Result<f64, Failed> {
    const TIMES: usize = 21;
    let mut took = Vec::new();
    for _ in 0..TIMES {
        let began = Instant::now();
        ask().await?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(crate::median(took))
}
