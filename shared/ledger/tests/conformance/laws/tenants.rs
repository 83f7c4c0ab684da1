//! What holds between cases and between tenants: laws 7, 8, 11 to 14 and 16,
//! and the gates.

use super::{ALL, is_broken};
use crate::backend::Backend;
use crate::pen::{NOON, Pen, tenant, wake};
use offboard_domain::{Record, Timestamp};
use offboard_ledger::{
    Append, Appended, Cap, Claim, Due, Filter, GateChange, Gates, IndexEntry, KeyChange, Ledger, Shard,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::JoinSet;

pub(crate) async fn law_07_tenants_cannot_see_each_other<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let mut ours = Pen::new("acme", "one");
    // The very same case id under another tenant.
    let mut theirs = Pen {
        tenant: tenant("acme-2"),
        ..ours.clone()
    };
    let full = |pen: &Pen, text: &str, salt: u8| {
        let mut append = pen.draft(1, text);
        append.index.wake = wake(NOON);
        append.key = KeyChange::Create([salt; 32]);
        append.claim = Claim::Take("m365:1".to_owned());
        append.cap = Some(Cap { since: NOON, most: 1 });
        append
    };
    let our_append = full(&ours, "ours", 1);
    let our_append = ours.write(&*ledger, our_append).await;
    assert!(theirs.history(&*ledger).await.is_empty());
    let their_append = full(&theirs, "theirs", 2);
    let their_append = theirs.write(&*ledger, their_append).await;

    let read = ledger.read(&ours.tenant, ours.case, 1).await.unwrap();
    assert_eq!((read.records, read.salt), (our_append.records.clone(), Some([1; 32])));
    let read = ledger.read(&theirs.tenant, theirs.case, 1).await.unwrap();
    assert_eq!((read.records, read.salt), (their_append.records.clone(), Some([2; 32])));
    for (pen, append) in [(&ours, &our_append), (&theirs, &their_append)] {
        let of = Filter {
            tenant: Some(pen.tenant.clone()),
            ..ALL
        };
        assert_eq!(ledger.list(of).await.unwrap(), std::slice::from_ref(&append.index));
    }
    let shut = vec![GateChange {
        name: "pause".to_owned(),
        until: Some(NOON),
    }];
    ledger.gates(&ours.tenant, shut).await.unwrap();
    assert_eq!(ledger.gates(&theirs.tenant, Vec::new()).await.unwrap(), Gates::new());

    let of = 7;
    let (our_shard, their_shard) = (Shard::of_tenant(&ours.tenant, of), Shard::of_tenant(&theirs.tenant, of));
    assert_ne!(our_shard, their_shard, "the test needs tenants of two shards");
    for (shard, tenant) in [(our_shard, &ours.tenant), (their_shard, &theirs.tenant)] {
        let due = ledger.due(shard, NOON, 9).await.unwrap().0;
        assert_eq!(due.iter().map(|d| &d.tenant).collect::<Vec<_>>(), [tenant]);
    }
}

/// Some forty appends over a dozen cases of three tenants, and what the last
/// of each case said.
async fn busy(ledger: &dyn Ledger) -> BTreeMap<(String, [u8; 10]), IndexEntry> {
    let mut last = BTreeMap::new();
    let mut pens: Vec<Pen> = (0..12)
        .map(|n| Pen::new(["acme", "zenith", "beta"][n % 3], &format!("case {n}")))
        .collect();
    for round in 0..4_i64 {
        for (n, pen) in pens.iter_mut().enumerate() {
            let n = i64::try_from(n).unwrap();
            if (n + round) % 4 == 3 && round > 0 {
                continue;
            }
            let mut append = pen.draft(1, &format!("round {round}"));
            append.index.state =
                ["received", "active", "closing", "closed"][usize::try_from(round).unwrap()].to_owned();
            append.index.ended = (n + round) % 5 == 4;
            append.index.needs_person = n % 2 == 0;
            append.index.urgent = n % 3 == 0;
            append.index.wake = if (n * round) % 3 == 1 {
                None
            } else {
                wake(NOON.plus((n * 7 + round * 3) % 5))
            };
            append.index.opened_at = NOON.plus(n);
            append.index.updated_at = NOON.plus(round);
            append.index.settled = u32::try_from(round).unwrap();
            append.index.tasks = 9;
            let append = pen.write(ledger, append).await;
            last.insert((pen.tenant.to_string(), pen.case.0), append.index);
        }
    }
    last
}

pub(crate) async fn law_08_due_equals_what_the_last_append_said<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let last = busy(&*ledger).await;
    for of in [1, 4] {
        for index in 0..of {
            let shard = Shard { index, of };
            let mut expected: Vec<Due> = last
                .values()
                .filter(|e| Shard::of_tenant(&e.tenant, of) == shard)
                .filter_map(|e| {
                    Some(Due {
                        tenant: e.tenant.clone(),
                        case: e.case,
                        version: e.version,
                        wake: e.wake?,
                    })
                })
                .collect();
            expected.sort_by_key(|d| (d.wake.at, d.case));
            for now in -1..6 {
                let now = NOON.plus(now);
                for limit in [0, 1, 3, 100] {
                    let (due, next) = ledger.due(shard, now, limit).await.unwrap();
                    let ready = expected.iter().filter(|d| d.wake.at <= now).count().min(limit);
                    assert_eq!(due, expected[..ready], "{shard:?} at {now:?}, at most {limit}");
                    assert_eq!(
                        next,
                        expected.get(ready).map(|d| d.wake.at),
                        "{shard:?} at {now:?}, at most {limit}"
                    );
                }
            }
        }
    }
}

pub(crate) async fn law_08_list_equals_what_the_last_append_said<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let last = busy(&*ledger).await;
    let shards = [(0, 1), (0, 4), (1, 4), (2, 4), (3, 4), (5, 7)].map(|(index, of)| Some(Shard { index, of }));
    let of_tenants = [None, Some(tenant("beta")), Some(tenant("nobody"))].map(|t| (t, None));
    for (of_tenant, shard) in of_tenants.into_iter().chain(shards.map(|s| (None, s))) {
        for open_only in [false, true] {
            let expected: Vec<_> = last
                .values()
                .filter(|e| of_tenant.as_ref().is_none_or(|t| *t == e.tenant))
                .filter(|e| shard.is_none_or(|s| s.holds(&e.tenant)) && !(open_only && e.ended))
                .cloned()
                .collect();
            for limit in [1, 3, 100] {
                let mut paged: Vec<IndexEntry> = Vec::new();
                loop {
                    let after = paged.last().map(|e| (e.tenant.clone(), e.case));
                    let page = Filter {
                        tenant: of_tenant.clone(),
                        shard,
                        open_only,
                        after,
                        limit,
                    };
                    let page = ledger.list(page).await.unwrap();
                    assert!(page.len() <= limit);
                    if page.is_empty() {
                        break;
                    }
                    paged.extend(page);
                }
                assert_eq!(
                    paged, expected,
                    "{of_tenant:?}, {shard:?}, open only: {open_only}, pages of {limit}"
                );
            }
        }
    }
    assert!(ledger.list(Filter { limit: 0, ..ALL }).await.unwrap().is_empty());
}

pub(crate) async fn law_08_a_wake_is_rearmed_without_an_event<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let mut pen = Pen::new("acme", "one");
    let mut opened = pen.draft(1, "opened");
    opened.index.wake = wake(NOON);
    let opened = pen.write(&*ledger, opened).await;

    let mut later = pen.draft(0, "");
    later.index.wake = wake(NOON.plus(5));
    later.index.needs_person = true;
    for _ in 0..2 {
        assert_eq!(
            ledger.append(later.clone()).await.unwrap(),
            Appended::Done,
            "also repeated"
        );
        assert_eq!(
            ledger.due(Shard::ALL, NOON, 9).await.unwrap(),
            (Vec::new(), Some(NOON.plus(5)))
        );
        assert_eq!(ledger.list(ALL).await.unwrap(), [later.index.clone()]);
    }
    assert_eq!(pen.history(&*ledger).await, opened.records);

    let next = pen.draft(1, "next");
    let next = pen.write(&*ledger, next).await;
    assert_eq!(
        ledger.due(Shard::ALL, Timestamp(i64::MAX), 9).await.unwrap(),
        (Vec::new(), None)
    );
    // He who re-arms at an old version learns what he missed.
    assert_eq!(
        ledger.append(later).await.unwrap(),
        Appended::Conflict { missed: next.records }
    );
}

pub(crate) async fn law_11_a_subject_is_claimed_by_one_open_case<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let claiming = |pen: &Pen, records| Append {
        claim: Claim::Take("m365:1".to_owned()),
        ..pen.draft(records, "claims")
    };
    let mut first = Pen::new("acme", "first");
    let second = Pen::new("acme", "second");
    let opened = claiming(&first, 1);
    first.write(&*ledger, opened).await;
    assert_eq!(
        ledger.append(claiming(&second, 1)).await.unwrap(),
        Appended::Claimed { by: first.case }
    );
    let again = claiming(&first, 1);
    first.write(&*ledger, again).await;

    // Let go by word …
    let release = Append {
        claim: Claim::Release,
        ..first.draft(0, "")
    };
    first.write(&*ledger, release).await;
    let mut second = second;
    let takes = claiming(&second, 1);
    second.write(&*ledger, takes).await;
    assert_eq!(
        ledger.append(claiming(&first, 1)).await.unwrap(),
        Appended::Claimed { by: second.case }
    );
    // … or by ending, even if the end says that it claims.
    let mut end = claiming(&second, 1);
    end.index.ended = true;
    second.write(&*ledger, end).await;
    let takes_back = claiming(&first, 1);
    first.write(&*ledger, takes_back).await;
    // What the ended case no longer holds it does not release for others.
    let mut after_end = second.draft(1, "a late report");
    after_end.index.ended = true;
    second.write(&*ledger, after_end).await;
    assert_eq!(
        ledger.append(claiming(&Pen::new("acme", "third"), 1)).await.unwrap(),
        Appended::Claimed { by: first.case }
    );
}

pub(crate) async fn law_11_of_racing_claims_one_wins<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let mut race = JoinSet::new();
    for n in 0..16 {
        let ledger = Arc::clone(&ledger);
        race.spawn(async move {
            let pen = Pen::new("acme", &format!("case {n}"));
            let append = Append {
                claim: Claim::Take("m365:1".to_owned()),
                ..pen.draft(1, "opened")
            };
            (pen.case, ledger.append(append).await.unwrap())
        });
    }
    let answers = race.join_all().await;
    let winners: Vec<_> = answers
        .iter()
        .filter(|(_, a)| *a == Appended::Done)
        .map(|(case, _)| *case)
        .collect();
    assert_eq!(winners.len(), 1);
    let lost = Appended::Claimed { by: winners[0] };
    assert!(answers.iter().all(|(case, a)| *case == winners[0] || *a == lost));
    assert_eq!(ledger.list(ALL).await.unwrap().len(), 1);
}

pub(crate) async fn law_12_the_cap_holds_under_racing_appends<B: Backend>() {
    const MOST: u32 = 5;
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let mut earlier = Pen::new("acme", "opened earlier");
    let mut append = earlier.draft(1, "opened");
    append.index.opened_at = NOON.plus(-1);
    earlier.write(&*ledger, append).await;

    let open = |n: u32, since| {
        let append = Pen::new("acme", &format!("case {n}")).draft(1, "opened");
        Append {
            cap: Some(Cap { since, most: MOST }),
            ..append
        }
    };
    let mut race = JoinSet::new();
    for n in 0..20 {
        let (ledger, append) = (Arc::clone(&ledger), open(n, NOON));
        race.spawn(async move { ledger.append(append).await.unwrap() });
    }
    let answers = race.join_all().await;
    let done = answers.iter().filter(|a| **a == Appended::Done).count();
    assert_eq!(done, 5);
    assert!(
        answers
            .iter()
            .all(|a| matches!(a, Appended::Done | Appended::Capped { count: MOST }))
    );
    assert_eq!(
        ledger.append(open(99, NOON.plus(-1))).await.unwrap(),
        Appended::Capped { count: 6 }
    );
    assert_eq!(ledger.append(open(99, NOON.plus(1))).await.unwrap(), Appended::Done);
    assert_eq!(
        ledger
            .append(Append {
                cap: None,
                ..open(98, NOON)
            })
            .await
            .unwrap(),
        Appended::Done
    );
}

pub(crate) async fn law_13_a_destroyed_key_does_not_come_back<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let mut pen = Pen::new("acme", "one");
    let opened = Append {
        key: KeyChange::Create([5; 32]),
        ..pen.draft(2, "opened")
    };
    let opened = pen.write(&*ledger, opened).await;
    let destroy = Append {
        key: KeyChange::Destroy,
        ..pen.draft(1, "erased")
    };
    let erased = pen.write(&*ledger, destroy).await;
    let chain: Vec<Record> = opened.records.iter().chain(&erased.records).cloned().collect();

    drop(ledger);
    let mut backend = backend;
    for round in 0..2 {
        let ledger = backend.ledger();
        let history = ledger.read(&pen.tenant, pen.case, 1).await.unwrap();
        assert_eq!((history.records, history.salt), (chain.clone(), None), "round {round}");
        for salt in [5, 6] {
            let again = Append {
                key: KeyChange::Create([salt; 32]),
                ..pen.draft(1, "again")
            };
            assert!(is_broken(ledger.append(again).await), "round {round}");
        }
        // Repeating what once created it does not bring it back either.
        assert_eq!(ledger.append(opened.clone()).await.unwrap(), Appended::Ours);
        let destroyed_twice = Append {
            key: KeyChange::Destroy,
            ..pen.draft(0, "")
        };
        assert_eq!(ledger.append(destroyed_twice).await.unwrap(), Appended::Done);
        drop(ledger);
        backend = backend.restart().await;
    }
}

pub(crate) async fn law_14_a_shard_has_one_owner_at_a_time<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let shard = Shard { index: 1, of: 4 };
    let mut race = JoinSet::new();
    for n in 0..8 {
        let ledger = Arc::clone(&ledger);
        race.spawn(async move {
            ledger
                .own(shard, &format!("owner {n}"), NOON, NOON.plus(10))
                .await
                .unwrap()
        });
    }
    let owners = race.join_all().await;
    let first = owners[0].clone();
    assert!(owners.iter().all(|o| *o == first), "all are told the same: {owners:?}");

    let own = async |owner: &str, now: i64, until: i64| {
        ledger
            .own(shard, owner, NOON.plus(now), NOON.plus(until))
            .await
            .unwrap()
    };
    assert_eq!(own(&first, 9, 20).await, first, "renewed");
    assert_eq!(own("other", 15, 30).await, first);
    assert_eq!(own("other", 15, 0).await, first, "nobody gives up what he does not own");
    assert_eq!(own("other", 20, 30).await, "other", "run out");
    assert_eq!(own(&first, 21, 40).await, "other");
    assert_eq!(own("other", 22, 22).await, "", "given up");
    assert_eq!(own(&first, 22, 40).await, first);
    let elsewhere = Shard { index: 2, of: 4 };
    assert_eq!(
        ledger.own(elsewhere, "other", NOON, NOON.plus(5)).await.unwrap(),
        "other"
    );
}

pub(crate) async fn law_16_a_gate_is_only_shut_for_longer_unless_it_is_opened<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let acme = tenant("acme");
    let change = |until: Option<Timestamp>| GateChange {
        name: "hold/m365".to_owned(),
        until,
    };
    let change_all = async |changes: &[Option<Timestamp>]| {
        let changes = changes.iter().copied().map(change).collect();
        let gates = ledger.gates(&acme, changes).await.unwrap();
        gates.get("hold/m365").copied()
    };
    let (soon, late) = (NOON.plus(1_000), NOON.plus(90_000));
    assert_eq!(change_all(&[Some(late)]).await, Some(late));
    assert_eq!(
        change_all(&[Some(soon)]).await,
        Some(late),
        "a shorter one opens nothing"
    );
    assert_eq!(change_all(&[Some(late.plus(1)), Some(late)]).await, Some(late.plus(1)));
    // As numbers, not as words.
    assert_eq!(change_all(&[None, Some(Timestamp(9))]).await, Some(Timestamp(9)));
    assert_eq!(change_all(&[Some(Timestamp(10))]).await, Some(Timestamp(10)));
    assert_eq!(change_all(&[None, Some(soon)]).await, Some(soon), "opened on purpose");
    assert_eq!(change_all(&[None]).await, None);
    assert_eq!(change_all(&[Some(soon)]).await, Some(soon));
    // Of many who shut it at the same time the longest holds.
    let racing = (0..16_i64).map(|n| {
        let (ledger, acme) = (ledger.clone(), acme.clone());
        let changes = vec![change(Some(soon.plus(n * 7 % 16)))];
        tokio::spawn(async move { ledger.gates(&acme, changes).await.unwrap() })
    });
    for raced in racing.collect::<Vec<_>>() {
        raced.await.unwrap();
    }
    assert_eq!(change_all(&[]).await, Some(soon.plus(15)));
}

pub(crate) async fn law_17_what_hangs_on_a_gate_is_changed_only_while_it_stands_so<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let (acme, zenith) = (tenant("acme"), tenant("zenith"));
    let change = |name: &str, until: Option<i64>| GateChange {
        name: name.to_owned(),
        until: until.map(Timestamp),
    };
    let change_while = async |until: i64, changes: Vec<GateChange>| {
        let until = Timestamp(until);
        ledger.gates_while(&acme, "mark", until, changes).await.unwrap()
    };
    let pause = || vec![change("pause", Some(9))];
    assert_eq!(change_while(5, pause()).await, None, "it never stood");
    ledger.gates(&zenith, vec![change("mark", Some(5))]).await.unwrap();
    assert_eq!(change_while(5, pause()).await, None, "it is another tenant's");
    ledger.gates(&acme, vec![change("mark", Some(5))]).await.unwrap();
    for other in [4, 6] {
        assert_eq!(change_while(other, pause()).await, None, "it stands otherwise");
    }
    let gates = |all: &[(&str, i64)]| -> Gates { all.iter().map(|(n, t)| ((*n).to_owned(), Timestamp(*t))).collect() };
    assert_eq!(ledger.gates(&acme, Vec::new()).await.unwrap(), gates(&[("mark", 5)]));
    let shut = gates(&[("mark", 5), ("pause", 9)]);
    assert_eq!(change_while(5, pause()).await, Some(shut));
    let opens = vec![change("pause", Some(12)), change("mark", None)];
    assert_eq!(change_while(5, opens).await, Some(gates(&[("pause", 12)])));
    assert_eq!(change_while(5, vec![change("pause", None)]).await, None, "it is open");
    assert_eq!(ledger.gates(&acme, Vec::new()).await.unwrap(), gates(&[("pause", 12)]));
}

pub(crate) async fn gates_are_kept_and_opened<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let acme = tenant("acme");
    let change = |name: &str, until: Option<i64>| GateChange {
        name: name.to_owned(),
        until: until.map(Timestamp),
    };
    assert_eq!(ledger.gates(&acme, Vec::new()).await.unwrap(), Gates::new());
    let gates = ledger
        .gates(&acme, vec![change("pause", Some(1)), change("hold/m365", Some(2))])
        .await
        .unwrap();
    assert_eq!(
        gates,
        Gates::from([
            ("hold/m365".to_owned(), Timestamp(2)),
            ("pause".to_owned(), Timestamp(1))
        ])
    );
    let gates = ledger
        .gates(&acme, vec![change("pause", None), change("hold/m365", Some(3))])
        .await
        .unwrap();
    assert_eq!(gates, Gates::from([("hold/m365".to_owned(), Timestamp(3))]));
    assert_eq!(ledger.gates(&acme, Vec::new()).await.unwrap(), gates);
    // Its gates do not make a tenant a case.
    assert!(ledger.list(ALL).await.unwrap().is_empty());
}
