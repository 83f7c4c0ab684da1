//! The laws at the head of the crate, one function each (a second where a law
//! has two sides). Each begins with an empty ledger.

use crate::backend::Backend;
use crate::pen::{NOON, Pen, tenant, wake};
use offboard_domain::{Digest, Record, Timestamp};
use offboard_ledger::{
    Append, Appended, Cap, Claim, Due, Filter, GateChange, Gates, IndexEntry, KeyChange, Ledger, LedgerError, Shard,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::JoinSet;

const ALL: Filter = Filter {
    tenant: None,
    open_only: false,
    after: None,
    limit: 1_000,
};

/// All that can be seen of a ledger.
async fn everything(ledger: &dyn Ledger, pens: &[&Pen]) -> (Vec<IndexEntry>, Vec<Due>, Vec<Vec<Record>>) {
    let mut histories = Vec::new();
    for pen in pens {
        histories.push(pen.history(ledger).await);
    }
    let due = ledger.due(Shard::ALL, Timestamp(i64::MAX), 1_000).await.unwrap().0;
    (ledger.list(ALL).await.unwrap(), due, histories)
}

fn is_broken(result: Result<Appended, LedgerError>) -> bool {
    matches!(result, Err(LedgerError::Broken { .. }))
}

pub(crate) async fn law_01_the_same_bytes_come_back_in_order<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let mut pen = Pen::new("acme", "one");
    let mut other = Pen::new("acme", "two");
    let mut written = Vec::new();
    for n in 1..=5_u8 {
        let bodies = (0..n).map(|i| vec![i; usize::from(i) * 4_000]).collect();
        let append = pen.draft_of(bodies);
        written.extend(pen.write(&*ledger, append).await.records);
        let between = other.draft(1, "between");
        other.write(&*ledger, between).await;
    }
    assert_eq!(pen.history(&*ledger).await, written);
    for from in 0..=17_u64 {
        let part = ledger.read(&pen.tenant, pen.case, from).await.unwrap().records;
        assert_eq!(
            part,
            written[usize::try_from(from.saturating_sub(1)).unwrap().min(15)..],
            "from {from}"
        );
    }
    let unknown = Pen::new("acme", "three");
    assert!(unknown.history(&*ledger).await.is_empty());
}

pub(crate) async fn law_02_a_wrong_version_writes_nothing<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let mut pen = Pen::new("acme", "one");
    let opened = pen.draft(2, "opened");
    let at_zero = pen.clone();
    pen.write(&*ledger, opened.clone()).await;
    let before = everything(&*ledger, &[&pen]).await;

    let mut behind = at_zero.draft(1, "somebody else");
    behind.index.wake = wake(NOON);
    behind.claim = Claim::Take("m365:1".to_owned());
    behind.key = KeyChange::Create([9; 32]);
    assert_eq!(
        ledger.append(behind).await.unwrap(),
        Appended::Conflict {
            missed: opened.records.clone()
        }
    );

    let middle = Pen {
        version: 1,
        head: opened.records[0].hash,
        ..pen.clone()
    };
    let behind = middle.draft(1, "somebody else");
    assert_eq!(
        ledger.append(behind).await.unwrap(),
        Appended::Conflict {
            missed: opened.records[1..].to_vec()
        }
    );

    assert_eq!(everything(&*ledger, &[&pen]).await, before);
    assert_eq!(ledger.read(&pen.tenant, pen.case, 1).await.unwrap().salt, None);
    let mut free = Pen::new("acme", "two").draft(1, "opened");
    free.claim = Claim::Take("m365:1".to_owned());
    assert_eq!(
        ledger.append(free).await.unwrap(),
        Appended::Done,
        "the loser claimed nothing"
    );
}

pub(crate) async fn law_03_an_append_is_written_whole_or_not_at_all<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let mut holder = Pen::new("acme", "holder");
    let mut opened = holder.draft(1, "opened");
    opened.claim = Claim::Take("m365:1".to_owned());
    holder.write(&*ledger, opened).await;

    // Whole: records, index entry, wake-up, claim and key together.
    let mut pen = Pen::new("acme", "one");
    let mut append = pen.draft(3, "opened");
    append.index.wake = wake(NOON);
    append.key = KeyChange::Create([7; 32]);
    append.claim = Claim::Take("m365:2".to_owned());
    let append = pen.write(&*ledger, append).await;
    let history = ledger.read(&pen.tenant, pen.case, 1).await.unwrap();
    assert_eq!((history.records, history.salt), (append.records, Some([7; 32])));
    assert!(ledger.list(ALL).await.unwrap().contains(&append.index));
    assert_eq!(ledger.due(Shard::ALL, NOON, 9).await.unwrap().0.len(), 1);

    // Not at all: each part that refuses takes the others with it.
    let before = everything(&*ledger, &[&pen, &holder]).await;
    let draft = || {
        let mut draft = pen.draft(1, "refused");
        draft.index.state = "closing".to_owned();
        draft.index.wake = wake(NOON.plus(1));
        draft
    };
    let claims = Append {
        claim: Claim::Take("m365:1".to_owned()),
        key: KeyChange::Destroy,
        ..draft()
    };
    assert_eq!(
        ledger.append(claims).await.unwrap(),
        Appended::Claimed { by: holder.case }
    );
    let cap = Some(Cap { since: NOON, most: 1 });
    let capped = Append {
        cap,
        claim: Claim::Release,
        key: KeyChange::Destroy,
        ..draft()
    };
    assert_eq!(ledger.append(capped).await.unwrap(), Appended::Capped { count: 1 });
    let second_key = Append {
        key: KeyChange::Create([8; 32]),
        claim: Claim::Release,
        ..draft()
    };
    assert!(is_broken(ledger.append(second_key).await));
    assert_eq!(everything(&*ledger, &[&pen, &holder]).await, before);
    assert_eq!(ledger.read(&pen.tenant, pen.case, 1).await.unwrap().salt, Some([7; 32]));
    let rival = Pen::new("acme", "rival");
    let wants = Append {
        claim: Claim::Take("m365:2".to_owned()),
        ..rival.draft(1, "opened")
    };
    assert_eq!(
        ledger.append(wants).await.unwrap(),
        Appended::Claimed { by: pen.case },
        "the claim still stands"
    );
}

pub(crate) async fn law_03_an_append_that_contradicts_itself_is_refused_whole<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let mut pen = Pen::new("acme", "one");
    let opened = pen.draft(1, "opened");
    pen.write(&*ledger, opened).await;
    let before = everything(&*ledger, &[&pen]).await;
    let spoil: [fn(&mut Append); 6] = [
        |a| a.records[1].version += 1,
        |a| a.records[1].prev = Digest::ZERO,
        |a| a.records[1].body.push(0),
        |a| a.index.version += 1,
        |a| a.index.head = Digest::ZERO,
        |a| a.records.clear(),
    ];
    for (n, spoil) in spoil.into_iter().enumerate() {
        let mut append = pen.draft(2, "spoiled");
        spoil(&mut append);
        assert!(is_broken(ledger.append(append).await), "spoil {n}");
    }
    let mut nothing_new = Pen::new("acme", "two").draft(0, "");
    assert!(
        is_broken(ledger.append(nothing_new.clone()).await),
        "a case without a record"
    );
    nothing_new.prev = Digest::of(b"x");
    assert!(is_broken(ledger.append(nothing_new).await), "a new case with a past");
    assert_eq!(everything(&*ledger, &[&pen]).await, before);
}

pub(crate) async fn law_04_of_two_at_one_version_one_wins<B: Backend>() {
    const RACERS: usize = 16;
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let mut pen = Pen::new("acme", "one");
    let opened = pen.draft(1, "opened");
    pen.write(&*ledger, opened).await;
    for round in 0..8 {
        let mut race = JoinSet::new();
        for racer in 0..RACERS {
            let (ledger, append) = (
                Arc::clone(&ledger),
                pen.draft(2, &format!("round {round}, racer {racer}")),
            );
            race.spawn(async move { (append.clone(), ledger.append(append).await.unwrap()) });
        }
        let answers = race.join_all().await;
        let winners: Vec<_> = answers.iter().filter(|(_, answer)| *answer == Appended::Done).collect();
        assert_eq!(winners.len(), 1);
        let winner = winners[0].0.clone();
        for (append, answer) in &answers {
            if append != &winner {
                assert_eq!(
                    *answer,
                    Appended::Conflict {
                        missed: winner.records.clone()
                    }
                );
            }
        }
        pen.after(&winner);
        let tail = ledger
            .read(&pen.tenant, pen.case, winner.expected + 1)
            .await
            .unwrap()
            .records;
        assert_eq!(tail, winner.records);
    }
}

pub(crate) async fn law_04_losers_that_decide_again_all_get_in<B: Backend>() {
    const WRITERS: u64 = 12;
    const EACH: u64 = 8;
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let mut race = JoinSet::new();
    for writer in 0..WRITERS {
        let ledger = Arc::clone(&ledger);
        race.spawn(async move {
            let mut pen = Pen::new("acme", "one");
            for n in 0..EACH {
                loop {
                    let append = pen.draft(1, &format!("{writer}/{n}"));
                    match ledger.append(append.clone()).await.unwrap() {
                        Appended::Done => break pen.after(&append),
                        Appended::Conflict { missed } => {
                            assert_eq!(missed[0].prev, pen.head);
                            let last = missed.last().unwrap();
                            (pen.version, pen.head) = (last.version, last.hash);
                        }
                        other => panic!("{other:?}"),
                    }
                }
            }
        });
    }
    race.join_all().await;
    let records = Pen::new("acme", "one").history(&*ledger).await;
    assert_eq!(records.len() as u64, WRITERS * EACH);
    for pair in records.windows(2) {
        assert_eq!((pair[0].version + 1, pair[0].hash), (pair[1].version, pair[1].prev));
    }
    let bodies: std::collections::BTreeSet<_> = records.into_iter().map(|r| r.body).collect();
    assert_eq!(bodies.len() as u64, WRITERS * EACH, "each exactly once");
}

pub(crate) async fn law_05_a_repeated_append_is_ours<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let mut pen = Pen::new("acme", "one");
    let mut opened = pen.draft(2, "opened");
    // Neither cap nor claim stands in the way of what is already written.
    opened.cap = Some(Cap { since: NOON, most: 1 });
    opened.claim = Claim::Take("m365:1".to_owned());
    opened.key = KeyChange::Create([1; 32]);
    let opened = pen.write(&*ledger, opened).await;
    let before = everything(&*ledger, &[&pen]).await;
    assert_eq!(ledger.append(opened.clone()).await.unwrap(), Appended::Ours);
    assert_eq!(everything(&*ledger, &[&pen]).await, before);

    let mut next = pen.draft(1, "next");
    next.index.wake = wake(NOON);
    pen.write(&*ledger, next).await;
    let before = everything(&*ledger, &[&pen]).await;
    assert_eq!(
        ledger.append(opened.clone()).await.unwrap(),
        Appended::Ours,
        "also when more follows"
    );
    assert_eq!(everything(&*ledger, &[&pen]).await, before);

    // The same beginning with another end is not ours.
    let mut longer = opened.clone();
    let more = Record::chained(3, longer.index.head, b"another".to_vec());
    (longer.index.version, longer.index.head) = (3, more.hash);
    longer.records.push(more);
    assert!(matches!(ledger.append(longer).await.unwrap(), Appended::Conflict { missed } if missed.len() == 3));
    // A shorter one with the same end of its own is: it stands there.
    let mut shorter = opened;
    shorter.records.pop();
    (shorter.index.version, shorter.index.head) = (1, shorter.records[0].hash);
    assert_eq!(ledger.append(shorter).await.unwrap(), Appended::Ours);
}

pub(crate) async fn law_06_a_gap_is_noticed<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let mut pen = Pen::new("acme", "one");
    let opened = pen.draft(2, "opened");
    let opened = pen.write(&*ledger, opened).await;
    let before = everything(&*ledger, &[&pen]).await;
    let at = |version, head| Pen {
        version,
        head,
        ..pen.clone()
    };

    let ahead = at(3, Digest::of(b"ahead")).draft(1, "ahead");
    assert_eq!(ledger.append(ahead).await.unwrap(), Appended::Gap { version: 2 });
    let changed = at(2, Digest::of(b"changed")).draft(1, "changed");
    assert_eq!(ledger.append(changed).await.unwrap(), Appended::Gap { version: 2 });
    let changed_before = at(1, Digest::of(b"changed")).draft(1, "changed");
    assert_eq!(
        ledger.append(changed_before).await.unwrap(),
        Appended::Gap { version: 2 }
    );
    let rearm = at(1, Digest::of(b"changed")).draft(0, "");
    assert_eq!(ledger.append(rearm).await.unwrap(), Appended::Gap { version: 2 });
    let vanished = Pen {
        version: 1,
        head: opened.records[0].hash,
        ..Pen::new("acme", "vanished")
    };
    assert_eq!(
        ledger.append(vanished.draft(1, "more")).await.unwrap(),
        Appended::Gap { version: 0 }
    );
    assert_eq!(everything(&*ledger, &[&pen]).await, before);
}

pub(crate) async fn law_06_a_lost_tail_is_noticed<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let mut pen = Pen::new("acme", "one");
    let kept = pen.draft(2, "opened");
    let kept = pen.write(&*ledger, kept).await;
    let at_two = pen.clone();
    let lost = pen.draft(1, "lost");
    pen.write(&*ledger, lost).await;
    drop(ledger);

    let backend = backend.lose_last_append(&pen.tenant, pen.case).await;
    let ledger = backend.ledger();
    assert_eq!(pen.history(&*ledger).await, kept.records);
    assert_eq!(
        ledger.append(pen.draft(1, "goes on")).await.unwrap(),
        Appended::Gap { version: 2 }
    );
    assert_eq!(
        ledger.append(pen.draft(0, "")).await.unwrap(),
        Appended::Gap { version: 2 }
    );

    // Also when others have written since, so that the number fits again.
    let mut healed = at_two;
    let repair = healed.draft(2, "the tail was lost");
    healed.write(&*ledger, repair).await;
    assert_eq!(
        ledger.append(pen.draft(1, "goes on")).await.unwrap(),
        Appended::Gap { version: 4 }
    );
}

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
    for of_tenant in [None, Some(tenant("beta")), Some(tenant("nobody"))] {
        for open_only in [false, true] {
            let expected: Vec<_> = last
                .values()
                .filter(|e| of_tenant.as_ref().is_none_or(|t| *t == e.tenant) && !(open_only && e.ended))
                .cloned()
                .collect();
            for limit in [1, 3, 100] {
                let mut paged: Vec<IndexEntry> = Vec::new();
                loop {
                    let after = paged.last().map(|e| (e.tenant.clone(), e.case));
                    let page = Filter {
                        tenant: of_tenant.clone(),
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
                    "{of_tenant:?}, open only: {open_only}, pages of {limit}"
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

pub(crate) async fn law_09_records_of_unknown_versions_survive_unread<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let mut pen = Pen::new("acme", "one");
    let strange = vec![
        br#"{"v":65535,"at":1,"event":"from.the.future","sealed":"AAAA","more":{}}"#.to_vec(),
        (0..=255).collect(),
        Vec::new(),
        b"\0\0'; DROP TABLE records; --".to_vec(),
    ];
    let append = pen.draft_of(strange.clone());
    pen.write(&*ledger, append).await;
    let after = pen.draft(1, "known");
    pen.write(&*ledger, after).await;
    drop(ledger);
    let backend = backend.restart().await;
    let bodies: Vec<_> = pen
        .history(&*backend.ledger())
        .await
        .into_iter()
        .map(|r| r.body)
        .collect();
    assert_eq!(bodies[..4], strange);
}

pub(crate) async fn law_10_what_was_acknowledged_survives_a_restart<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let mut pens: Vec<Pen> = (0..20).map(|n| Pen::new("acme", &format!("case {n}"))).collect();
    for (n, pen) in pens.iter_mut().enumerate() {
        let mut append = pen.draft(1 + n % 3, "opened");
        append.index.wake = wake(NOON.plus(i64::try_from(n).unwrap()));
        append.key = KeyChange::Create([u8::try_from(n).unwrap(); 32]);
        append.claim = Claim::Take(format!("m365:{n}"));
        pen.write(&*ledger, append).await;
    }
    let acme = tenant("acme");
    let shut = vec![GateChange {
        name: "hold/m365".to_owned(),
        until: Some(NOON),
    }];
    ledger.gates(&acme, shut).await.unwrap();
    ledger.own(Shard::ALL, "first", NOON, NOON.plus(10)).await.unwrap();
    let refs: Vec<&Pen> = pens.iter().collect();
    let before = everything(&*ledger, &refs).await;
    drop(ledger);

    let backend = backend.restart().await;
    let ledger = backend.ledger();
    assert_eq!(everything(&*ledger, &refs).await, before);
    for (n, pen) in (0_u8..).zip(&pens) {
        assert_eq!(ledger.read(&pen.tenant, pen.case, 1).await.unwrap().salt, Some([n; 32]));
        let mut rival = Pen::new("acme", &format!("rival {n}")).draft(1, "opened");
        rival.claim = Claim::Take(format!("m365:{n}"));
        assert_eq!(ledger.append(rival).await.unwrap(), Appended::Claimed { by: pen.case });
    }
    assert_eq!(
        ledger.gates(&acme, Vec::new()).await.unwrap(),
        Gates::from([("hold/m365".to_owned(), NOON)])
    );
    assert_eq!(
        ledger.own(Shard::ALL, "second", NOON, NOON.plus(5)).await.unwrap(),
        "first"
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
