//! The backends against each other: whatever is asked of them, in whatever
//! order, they give the same answers. The in-memory one is simple enough to
//! be read; so it is the model.

use crate::pen::{NOON, Pen, tenant};
use crate::redis;
use offboard_domain::{Digest, TenantId, Timestamp, Wake, WakeReason};
use offboard_ledger::redis::RedisOptions;
use offboard_ledger::{
    Append, Cap, Claim, Filter, GateChange, KeyChange, Ledger, MemoryLedger, RedisLedger, Shard, SqliteLedger,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::path::PathBuf;
use std::sync::Arc;

const TENANTS: [&str; 3] = ["acme", "beta", "zenith"];
const CASES_A_TENANT: usize = 3;
/// Random sequences in one run. Each commits to a disk some thirty times.
const SEQUENCES: u32 = 48;

/// Where a writer believes that the case stands.
#[derive(Debug, Clone, Copy)]
enum Stand {
    Current,
    Behind(u64),
    Ahead,
    WrongHash,
    RepeatLast,
}

#[derive(Debug, Clone)]
enum Op {
    Append {
        case: usize,
        stand: Stand,
        records: usize,
        ended: bool,
        wake: Option<i64>,
        opened: i64,
        key: u8,
        claim: u8,
        cap: u8,
        trim: bool,
    },
    Due {
        index: u16,
        of: u16,
        now: i64,
        limit: usize,
    },
    List {
        tenant: Option<usize>,
        shard: Option<u16>,
        open_only: bool,
        after: Option<usize>,
        limit: usize,
    },
    Gate {
        tenant: usize,
        name: u8,
        until: Option<i64>,
    },
    Own {
        owner: u8,
        now: i64,
        until: i64,
    },
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    let stand = prop_oneof![
        8 => Just(Stand::Current),
        2 => (1..4_u64).prop_map(Stand::Behind),
        1 => Just(Stand::Ahead),
        1 => Just(Stand::WrongHash),
        2 => Just(Stand::RepeatLast),
    ];
    let cases = 0..TENANTS.len() * CASES_A_TENANT;
    let append = (
        (cases.clone(), stand, 0..4_usize, prop::bool::weighted(0.2)),
        (prop::option::of(0..6_i64), 0..4_i64, 0..8_u8, 0..6_u8, 0..6_u8),
        prop::bool::weighted(0.1),
    )
        .prop_map(
            |((case, stand, records, ended), (wake, opened, key, claim, cap), trim)| Op::Append {
                case,
                stand,
                records,
                ended,
                wake,
                opened,
                key,
                claim,
                cap,
                trim,
            },
        );
    prop_oneof![
        12 => append,
        2 => (0..3_u16, 1..4_u16, 0..7_i64, 0..5_usize).prop_map(|(index, of, now, limit)| Op::Due { index: index % of, of, now, limit }),
        2 => (prop::option::of(0..TENANTS.len()), prop::option::of(0..4_u16), any::<bool>(), prop::option::of(cases), 0..5_usize)
            .prop_map(|(tenant, shard, open_only, after, limit)| Op::List { tenant, shard, open_only, after, limit }),
        1 => (0..TENANTS.len(), 0..2_u8, prop::option::of(0..5_i64)).prop_map(|(tenant, name, until)| Op::Gate { tenant, name, until }),
        1 => (0..2_u8, 0..5_i64, 0..8_i64).prop_map(|(owner, now, until)| Op::Own { owner, now, until }),
        1 => Just(Op::Restart),
    ]
}

fn name(n: usize) -> TenantId {
    tenant(TENANTS[n])
}

fn pen(case: usize) -> Pen {
    Pen::new(TENANTS[case / CASES_A_TENANT], &format!("case {case}"))
}

/// The append that an operation means, from what the model holds.
async fn meant(model: &dyn Ledger, op: &Op, serial: usize, last: &[Option<Append>]) -> Option<Append> {
    let Op::Append {
        case,
        stand,
        records,
        ended,
        wake,
        opened,
        key,
        claim,
        cap,
        trim,
    } = op
    else {
        return None;
    };
    let mut pen = pen(*case);
    let history = model.read(&pen.tenant, pen.case, 1).await.unwrap();
    let trimmed = history.trimmed.unwrap_or(0);
    let end = trimmed + history.records.len() as u64;
    let at = match stand {
        Stand::Behind(n) => end.saturating_sub(*n),
        Stand::Ahead => end + 1,
        Stand::Current | Stand::WrongHash => end,
        Stand::RepeatLast => match &last[*case] {
            Some(append) => return Some(append.clone()),
            None => end,
        },
    };
    if at > 0 {
        let kept = at
            .checked_sub(trimmed + 1)
            .and_then(|n| history.records.get(usize::try_from(n).unwrap()));
        let of_tenant = Filter {
            tenant: Some(pen.tenant.clone()),
            limit: CASES_A_TENANT,
            ..Filter::default()
        };
        let entries = model.list(of_tenant).await.unwrap();
        let head = entries
            .iter()
            .find(|e| (e.case, e.version) == (pen.case, at))
            .map(|e| e.head);
        let there = kept.map(|r| r.hash).or(head);
        let wrong = matches!(stand, Stand::WrongHash);
        (pen.version, pen.head) = (at, there.filter(|_| !wrong).unwrap_or(Digest::of(b"elsewhere")));
    }
    let mut append = pen.draft(if *trim { 0 } else { *records }, &format!("operation {serial}"));
    append.index.ended = *ended || *trim;
    append.trim = *trim;
    append.index.wake = wake.map(|at| Wake {
        at: NOON.plus(at),
        why: WakeReason::Seal,
    });
    append.index.opened_at = NOON.plus(*opened);
    append.index.updated_at = NOON.plus(i64::try_from(serial).unwrap());
    append.key = match key {
        0 | 1 => KeyChange::Create([*key; 32]),
        2 => KeyChange::Destroy,
        _ => KeyChange::Keep,
    };
    append.claim = match claim {
        0..=2 => Claim::Take(format!("m365:{claim}")),
        3 => Claim::Release,
        _ => Claim::Keep,
    };
    append.cap = (*cap < 3).then(|| Cap {
        since: NOON.plus(i64::from(*cap)),
        most: u32::from(*cap) + 1,
    });
    Some(append)
}

/// Asks one ledger, and gives its answer as text.
async fn ask(ledger: &dyn Ledger, op: &Op, append: Option<&Append>) -> String {
    let text = |answer: Result<String, offboard_ledger::LedgerError>| answer.unwrap_or_else(|e| format!("error: {e}"));
    match op {
        Op::Append { .. } => match append {
            Some(append) => text(ledger.append(append.clone()).await.map(|a| format!("{a:?}"))),
            None => String::new(),
        },
        Op::Due { index, of, now, limit } => {
            let shard = Shard { index: *index, of: *of };
            text(
                ledger
                    .due(shard, NOON.plus(*now), *limit)
                    .await
                    .map(|d| format!("{d:?}")),
            )
        }
        Op::List {
            tenant,
            shard,
            open_only,
            after,
            limit,
        } => {
            let after = after.map(|case| (pen(case).tenant, pen(case).case));
            let filter = Filter {
                tenant: tenant.map(name),
                shard: shard.map(|index| Shard { index, of: 4 }),
                open_only: *open_only,
                after,
                limit: *limit,
            };
            text(ledger.list(filter).await.map(|l| format!("{l:?}")))
        }
        Op::Gate {
            tenant,
            name: gate,
            until,
        } => {
            let changes = vec![GateChange {
                name: format!("gate/{gate}"),
                until: until.map(Timestamp),
            }];
            text(ledger.gates(&name(*tenant), changes).await.map(|g| format!("{g:?}")))
        }
        Op::Own { owner, now, until } => {
            let owner = format!("owner {owner}");
            text(ledger.own(Shard::ALL, &owner, NOON.plus(*now), NOON.plus(*until)).await)
        }
        Op::Restart => String::new(),
    }
}

async fn all_that_is_seen(ledger: &dyn Ledger) -> String {
    let mut seen = String::new();
    for case in 0..TENANTS.len() * CASES_A_TENANT {
        let pen = pen(case);
        seen += &format!("{:?}\n", ledger.read(&pen.tenant, pen.case, 0).await.unwrap());
    }
    for n in 0..TENANTS.len() {
        seen += &format!("{:?}\n", ledger.gates(&name(n), Vec::new()).await.unwrap());
    }
    let list = ledger
        .list(Filter {
            limit: 1_000,
            ..Filter::default()
        })
        .await
        .unwrap();
    let due = ledger.due(Shard::ALL, Timestamp(i64::MAX), 1_000).await.unwrap();
    seen + &format!("{list:?}\n{due:?}")
}

/// The backends that are held against the model, and how each is opened again.
enum Opened {
    Sqlite(PathBuf, Arc<SqliteLedger>),
    Redis(Box<RedisOptions>, Arc<RedisLedger>),
}

impl Opened {
    fn ledger(&self) -> &dyn Ledger {
        match self {
            Self::Sqlite(_, ledger) => &**ledger,
            Self::Redis(_, ledger) => &**ledger,
        }
    }

    async fn again(self) -> Self {
        match self {
            Self::Sqlite(file, ledger) => {
                assert_eq!(Arc::strong_count(&ledger), 1);
                drop(ledger);
                let ledger = SqliteLedger::open(&file).unwrap();
                Self::Sqlite(file, ledger)
            }
            Self::Redis(options, ledger) => {
                drop(ledger);
                let ledger = redis::open(&options).await;
                Self::Redis(options, ledger)
            }
        }
    }
}

async fn run(mut opened: Opened, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let model = MemoryLedger::new();
    let mut last: Vec<Option<Append>> = vec![None; TENANTS.len() * CASES_A_TENANT];
    for (serial, op) in ops.iter().enumerate() {
        let append = meant(&*model, op, serial, &last).await;
        let expected = ask(&*model, op, append.as_ref()).await;
        let found = ask(opened.ledger(), op, append.as_ref()).await;
        prop_assert_eq!(found, expected, "operation {}: {:?}", serial, op);
        if let (Op::Append { case, .. }, Some(append)) = (op, append) {
            last[*case] = Some(append);
        }
        if matches!(op, Op::Restart) {
            opened = opened.again().await;
        }
    }
    prop_assert_eq!(all_that_is_seen(opened.ledger()).await, all_that_is_seen(&*model).await);
    Ok(())
}

fn on_a_runtime(test: impl Future<Output = Result<(), TestCaseError>>) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: SEQUENCES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_and_memory_give_the_same_answers(ops in vec(op(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ledger.db");
        let ledger = SqliteLedger::open(&file).unwrap();
        on_a_runtime(run(Opened::Sqlite(file, ledger), ops))?;
    }

    #[test]
    fn redis_and_memory_give_the_same_answers(ops in vec(op(), 1..60)) {
        let server = offboard_servers::Redis::shared().unwrap();
        on_a_runtime(async {
            let options = redis::options(&server.url());
            let ledger = redis::open(&options).await;
            run(Opened::Redis(Box::new(options), ledger), ops).await
        })?;
    }
}
