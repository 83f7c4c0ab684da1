//! The engine's own configuration, `offboard.toml`.

use super::bucket::{self, StoreUrl};
use super::connection::{self, Access, Remote};
use super::reader::{Document, Section, Value};
use super::telemetry::{self, TelemetryConfig};
use offboard_domain::{Area, Lane};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the history is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerUrl {
    /// A SQLite file (`sqlite:data/ledger.db`).
    Sqlite(PathBuf),
    /// Redis (`redis://…`, `rediss://…`), a cluster of it
    /// (`redis-cluster://host:port,host:port`) or one watched by Sentinel
    /// (`redis-sentinel://host:port,host:port/name`); encrypted with `rediss` for
    /// `redis`.
    Redis(Remote),
}

/// What carries assignments and reports.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a process has one of it")]
pub enum QueueUrl {
    /// This process's memory (`memory:`), refilled from the ledger.
    Memory,
    /// RabbitMQ (`amqp://…`, `amqps://…`).
    Rabbit(Remote),
}

/// How much may be in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// Most assignments in flight, by area and lane; an entry for each of both.
    pub credit: BTreeMap<(Area, Lane), u32>,
    /// Most assignments in flight in all urgent lanes together; beyond it they
    /// wait their turn, so that urgent work cannot starve the rest.
    pub urgent_cap: u32,
    /// The most that one tenant may hold of a queue's credit, in percent, so
    /// that one with a slow vendor leaves room for the others.
    pub tenant_percent: u32,
    /// Most assignments that one worker holds at once.
    pub prefetch: u16,
}

/// In flight for each area in the normal lane unless configured: enough to
/// keep a vendor busy, below what makes it throttle.
const CREDIT_NORMAL: u32 = 64;
/// In flight for each area in the urgent lane unless configured.
const CREDIT_URGENT: u32 = 32;
/// Most that any credit may be: each one in flight holds memory and a connection.
const CREDIT_MAX: u32 = 100_000;

impl Default for Admission {
    fn default() -> Self {
        let credit = Area::MACHINES
            .iter()
            .flat_map(|a| [((*a, Lane::Urgent), CREDIT_URGENT), ((*a, Lane::Normal), CREDIT_NORMAL)])
            .collect();
        Self {
            credit,
            urgent_cap: 128,
            tenant_percent: 75,
            prefetch: 16,
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// What is logged, to standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// A level, or filters by module as `tracing` knows them
    /// (`info,offboard_workers=debug`). `OFFBOARD_LOG` overrides it.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: "info".into(),
            format: LogFormat::Human,
        }
    }
}

/// The engine's configuration. Paths are complete: they start at the folder
/// that the configuration was loaded from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// Where the history is kept.
    pub ledger: LedgerUrl,
    /// What carries assignments and reports.
    pub queue: QueueUrl,
    /// Over how many shards the tenants are spread where dispatchers share a
    /// ledger; fixed once for an installation.
    pub shards: u16,
    /// How long after its end a case's history stays in a shared ledger before
    /// it goes into the store's archive, in milliseconds.
    pub archive_after_ms: i64,
    /// Where artifacts are kept.
    pub store: StoreUrl,
    /// Where evidence is written to.
    pub evidence: StoreUrl,
    /// The folder of the keys.
    pub keys: PathBuf,
    /// How much may be in flight.
    pub admission: Admission,
    /// What is logged.
    pub log: LogConfig,
    /// What other tools may see.
    pub telemetry: TelemetryConfig,
}

impl Engine {
    /// The configuration of a folder whose `offboard.toml` says nothing.
    #[must_use]
    pub fn defaults(dir: &Path) -> Self {
        Self {
            ledger: LedgerUrl::Sqlite(dir.join("data/ledger.db")),
            queue: QueueUrl::Memory,
            shards: SHARDS,
            archive_after_ms: ARCHIVE_AFTER_MS,
            store: StoreUrl::Folder(dir.join("data/store")),
            evidence: StoreUrl::Folder(dir.join("evidence")),
            keys: dir.join("keys"),
            admission: Admission::default(),
            log: LogConfig::default(),
            telemetry: TelemetryConfig::default(),
        }
    }
}

/// Shards of a ledger that several dispatchers share unless configured: enough
/// for as many of them as one installation ever has.
const SHARDS: u16 = 16;
/// What ended stays in a shared ledger for a week unless configured.
const ARCHIVE_AFTER_MS: i64 = 7 * offboard_domain::time::DAY_MS;
/// At most ten years.
const ARCHIVE_AFTER_MAX_MS: i64 = 3_650 * offboard_domain::time::DAY_MS;
/// Most shards: each has its own queue of reports.
const SHARDS_MAX: u16 = 256;

fn path_after(scheme: &str, url: &str, dir: &Path) -> Option<PathBuf> {
    let path = url.strip_prefix(scheme)?.trim();
    (!path.is_empty() && !path.starts_with("//")).then(|| dir.join(path))
}

fn folder(value: &Value<'_>, dir: &Path) -> Option<PathBuf> {
    value.filled().map(|f| dir.join(f))
}

/// Reads the engine's document; what is absent or wrong keeps its default.
pub(super) fn read(doc: &Document<'_>, dir: &Path) -> Engine {
    let table = doc.parse();
    let mut root = doc.root(&table);
    let mut engine = Engine::defaults(dir);
    let mut connect = root.section("connect");
    let (to_ledger, to_queue) = (
        connection::ledger_access(connect.section("ledger"), dir),
        connection::access(connect.section("queue"), dir),
    );
    let to_store = bucket::told(connect.section("store"), dir, false);
    let to_evidence = bucket::told(connect.section("evidence"), dir, true);
    connect.done();
    if let Some(url) = root.get("ledger").and_then(|v| ledger(&v, to_ledger, dir)) {
        engine.ledger = url;
    }
    if let Some(url) = root.get("queue").and_then(|v| queue(&v, to_queue)) {
        engine.queue = url;
    }
    if let Some(n) = root.get("shards").and_then(|v| v.integer(1, SHARDS_MAX)) {
        engine.shards = n;
    }
    if let Some(after) = root
        .get("archive_after")
        .and_then(|v| v.duration_ms(ARCHIVE_AFTER_MAX_MS))
    {
        engine.archive_after_ms = after;
    }
    match (&engine.ledger, &engine.queue) {
        (LedgerUrl::Redis(_), QueueUrl::Memory) => {
            root.wrong("a ledger in Redis is shared by processes, and a queue in memory is not: queue must be an amqp:// or amqps:// address");
        }
        (LedgerUrl::Sqlite(_), QueueUrl::Rabbit(_)) => {
            root.wrong("a SQLite ledger belongs to one process, which needs no broker: remove queue, or keep the ledger in Redis");
        }
        _ => {}
    }
    if let Some(url) = bucket::url(root.get("store").as_ref(), to_store, dir, false) {
        engine.store = url;
    }
    if let Some(url) = bucket::url(root.get("evidence").as_ref(), to_evidence, dir, true) {
        engine.evidence = url;
    }
    if let Some(path) = root.get("keys").and_then(|v| folder(&v, dir)) {
        engine.keys = path;
    }
    admission(root.section("admission"), &mut engine.admission);
    log(root.section("log"), &mut engine.log);
    telemetry::read(root.section("telemetry"), dir, &mut engine.telemetry);
    root.done();
    engine
}

/// The schemes of a ledger in Redis; `rediss` for an encrypted one.
const REDIS: [&str; 6] = [
    "redis",
    "rediss",
    "redis-cluster",
    "rediss-cluster",
    "redis-sentinel",
    "rediss-sentinel",
];

fn ledger(value: &Value<'_>, access: Access, dir: &Path) -> Option<LedgerUrl> {
    let expected = "a ledger's URL, such as \"sqlite:data/ledger.db\" or \"rediss://redis.example:6379\" (who one is there stands in [connect], by reference)";
    value.parsed(expected, |s| {
        let file = path_after("sqlite:", s, dir).map(LedgerUrl::Sqlite);
        file.or_else(|| connection::url(&REDIS, s).map(|url| LedgerUrl::Redis(Remote { url, access })))
    })
}

fn queue(value: &Value<'_>, access: Access) -> Option<QueueUrl> {
    let expected = "a queue's URL: \"memory:\", or such as \"amqps://rabbit.example:5671\" (who one is there stands in [connect], by reference)";
    value.parsed(expected, |s| {
        if s == "memory:" {
            return Some(QueueUrl::Memory);
        }
        connection::url(&["amqp", "amqps"], s).map(|url| QueueUrl::Rabbit(Remote { url, access }))
    })
}

fn admission(mut section: Section<'_>, into: &mut Admission) {
    if let Some(n) = section.get("urgent_cap").and_then(|v| v.integer(1, CREDIT_MAX)) {
        into.urgent_cap = n;
    }
    if let Some(n) = section.get("tenant_percent").and_then(|v| v.integer(1, 100)) {
        into.tenant_percent = n;
    }
    if let Some(n) = section.get("prefetch").and_then(|v| v.integer(1, 1_000)) {
        into.prefetch = n;
    }
    let mut credit = section.section("credit");
    for area in Area::MACHINES {
        let mut lanes = credit.section(area.word());
        for lane in [Lane::Urgent, Lane::Normal] {
            if let Some(n) = lanes.get(lane.word()).and_then(|v| v.integer(1, CREDIT_MAX)) {
                into.credit.insert((*area, lane), n);
            }
        }
        lanes.done();
    }
    credit.done();
    section.done();
}

fn log(mut section: Section<'_>, into: &mut LogConfig) {
    if let Some(v) = section.get("level") {
        let expected = "a level (error, warn, info, debug, trace) or filters such as \"info,offboard_workers=debug\"";
        let level = v.parsed(expected, |s| crate::telemetry::is_filter(s).then(|| s.to_owned()));
        into.level = level.unwrap_or_else(|| into.level.clone());
    }
    let formats = [("human", LogFormat::Human), ("json", LogFormat::Json)];
    if let Some(format) = section.get("format").and_then(|v| v.word(&formats)) {
        into.format = format;
    }
    section.done();
}
