//! What becomes of one case's history: laws 1 to 6, 9 and 10.

use super::{ALL, everything, is_broken};
use crate::backend::Backend;
use crate::pen::{NOON, Pen, tenant, wake};
use offboard_domain::{Digest, Record};
use offboard_ledger::{Append, Appended, Cap, Claim, GateChange, Gates, KeyChange, Shard};
use std::sync::Arc;
use tokio::task::JoinSet;

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
