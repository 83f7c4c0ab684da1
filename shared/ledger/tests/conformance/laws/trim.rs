//! What becomes of a case whose records were archived: law 15.

use super::{ALL, everything, is_broken};
use crate::backend::Backend;
use crate::pen::{NOON, Pen, wake};
use offboard_domain::{Digest, Record};
use offboard_ledger::{Append, Appended, Claim, Due, History, KeyChange, Ledger, Shard};

/// A case that was opened with two records and closed with a third.
async fn closed(ledger: &dyn Ledger, reference: &str) -> (Pen, Vec<Append>) {
    let mut pen = Pen::new("acme", reference);
    let opened = Append {
        key: KeyChange::Create([4; 32]),
        claim: Claim::Take(format!("m365:{reference}")),
        ..pen.draft(2, "opened")
    };
    let opened = pen.write(ledger, opened).await;
    let mut close = pen.draft(1, "closed");
    close.index.ended = true;
    close.index.state = "closed".to_owned();
    close.index.wake = wake(NOON);
    let close = pen.write(ledger, close).await;
    (pen, vec![opened, close])
}

/// Trims the case where the pen stands, and leaves its index entry as it is.
fn trim(pen: &Pen, last: &Append) -> Append {
    Append {
        index: last.index.clone(),
        trim: true,
        ..pen.draft(0, "")
    }
}

async fn read(ledger: &dyn Ledger, pen: &Pen, from: u64) -> History {
    ledger.read(&pen.tenant, pen.case, from).await.unwrap()
}

pub(crate) async fn law_15_a_trimmed_case_keeps_its_place<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let (pen, written) = closed(&*ledger, "one").await;
    let (neighbour, _) = closed(&*ledger, "two").await;
    let beside = read(&*ledger, &neighbour, 1).await;
    assert_eq!(read(&*ledger, &pen, 1).await.trimmed, None);
    let trim = trim(&pen, &written[1]);
    assert_eq!(ledger.append(trim.clone()).await.unwrap(), Appended::Done);

    let tombstone = History {
        records: Vec::new(),
        salt: Some([4; 32]),
        trimmed: Some(3),
    };
    for from in 0..6 {
        assert_eq!(read(&*ledger, &pen, from).await, tombstone, "from {from}");
    }
    assert!(ledger.list(ALL).await.unwrap().contains(&written[1].index));
    let due = Due {
        tenant: pen.tenant.clone(),
        case: pen.case,
        version: 3,
        wake: written[1].index.wake.unwrap(),
    };
    assert!(ledger.due(Shard::ALL, NOON, 9).await.unwrap().0.contains(&due));
    assert_eq!(
        read(&*ledger, &neighbour, 1).await,
        beside,
        "nobody else's records left"
    );

    // Again: ours, and nothing changes. What once wrote it is still recognised.
    let seen = everything(&*ledger, &[&pen]).await;
    let mut again = trim.clone();
    again.index.wake = None;
    assert_eq!(ledger.append(again).await.unwrap(), Appended::Ours);
    assert_eq!(ledger.append(written[1].clone()).await.unwrap(), Appended::Ours);
    assert_eq!(everything(&*ledger, &[&pen]).await, seen);

    drop(ledger);
    let backend = backend.restart().await;
    assert_eq!(read(&*backend.ledger(), &pen, 1).await, tombstone);
    assert_eq!(backend.ledger().append(trim).await.unwrap(), Appended::Ours);
}

pub(crate) async fn law_15_a_trimmed_case_goes_on<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let (mut pen, written) = closed(&*ledger, "one").await;
    let at_three = pen.clone();
    ledger.append(trim(&pen, &written[1])).await.unwrap();

    // A wake-up is re-armed, and a waiver that ran out is recorded.
    let mut rearm = trim(&pen, &written[1]);
    (rearm.trim, rearm.index.wake) = (false, wake(NOON.plus(9)));
    assert_eq!(ledger.append(rearm).await.unwrap(), Appended::Done);
    let mut later = pen.draft(2, "a waiver ran out");
    later.index.ended = true;
    let later = pen.write(&*ledger, later).await;
    let history = read(&*ledger, &pen, 1).await;
    assert_eq!((history.records, history.trimmed), (later.records.clone(), Some(3)));
    assert_eq!(read(&*ledger, &pen, 5).await.records, later.records[1..]);
    assert_eq!(read(&*ledger, &pen, 6).await.records, []);
    assert_eq!(ledger.append(later.clone()).await.unwrap(), Appended::Ours);
    let behind = at_three.draft(1, "slower");
    let missed = later.records.clone();
    assert_eq!(ledger.append(behind).await.unwrap(), Appended::Conflict { missed });
    let forked = Pen {
        head: Digest::of(b"another past"),
        ..at_three.clone()
    };
    let gap = Appended::Gap { version: 5 };
    assert_eq!(ledger.append(forked.draft(1, "forked")).await.unwrap(), gap);

    // What was missed has left: that is said, and is neither a gap nor a race.
    let left = Appended::Trimmed { to: 3 };
    let opening = Pen::new("acme", "one").draft(1, "opened by somebody else");
    assert_eq!(ledger.append(opening).await.unwrap(), left);
    let at_two = Pen {
        version: 2,
        head: written[0].index.head,
        ..pen.clone()
    };
    assert_eq!(ledger.append(at_two.draft(1, "slow")).await.unwrap(), left);
    assert_eq!(ledger.append(at_two.draft(0, "")).await.unwrap(), left);

    // It is trimmed once more, with what came since.
    assert_eq!(ledger.append(trim(&pen, &later)).await.unwrap(), Appended::Done);
    let history = read(&*ledger, &pen, 1).await;
    assert_eq!((history.records, history.trimmed), (Vec::new(), Some(5)));
    let end = pen.draft(1, "the end");
    let end = pen.write(&*ledger, end).await;
    drop(ledger);
    let backend = backend.restart().await;
    assert_eq!(read(&*backend.ledger(), &pen, 1).await.records, end.records);
}

pub(crate) async fn law_15_only_what_is_archived_is_trimmed<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let (pen, written) = closed(&*ledger, "one").await;
    let before = everything(&*ledger, &[&pen]).await;

    // He who archived less than there is trims nothing.
    let at = |version, head| Pen {
        version,
        head,
        ..pen.clone()
    };
    let mut early = trim(&at(2, written[0].index.head), &written[0]);
    early.index.ended = true;
    let missed = written[1].records.clone();
    assert_eq!(ledger.append(early).await.unwrap(), Appended::Conflict { missed });
    for (version, head) in [(3, Digest::of(b"another past")), (4, pen.head)] {
        let mut wrong = trim(&at(version, head), &written[1]);
        (wrong.index.version, wrong.index.head) = (version, head);
        assert_eq!(ledger.append(wrong).await.unwrap(), Appended::Gap { version: 3 });
    }
    // Nor is an open case trimmed, or one in the same breath as it is written.
    let mut open = trim(&pen, &written[1]);
    open.index.ended = false;
    assert!(is_broken(ledger.append(open).await));
    let mut with_records = pen.draft(1, "more");
    (with_records.index.ended, with_records.trim) = (true, true);
    assert!(is_broken(ledger.append(with_records).await));
    assert_eq!(everything(&*ledger, &[&pen]).await, before);
}

pub(crate) async fn law_13_a_trimmed_case_is_erased_like_any_other<B: Backend>() {
    let backend = B::fresh().await;
    let ledger = backend.ledger();
    let (pen, written) = closed(&*ledger, "one").await;
    let erase = Append {
        key: KeyChange::Destroy,
        ..trim(&pen, &written[1])
    };
    assert_eq!(ledger.append(erase).await.unwrap(), Appended::Done);
    let history = read(&*ledger, &pen, 1).await;
    assert_eq!((history.salt, history.trimmed), (None, Some(3)));
    let record = Record::chained(4, pen.head, b"again".to_vec());
    let mut again = Append {
        key: KeyChange::Create([4; 32]),
        ..pen.draft_of(vec![record.body])
    };
    again.index.ended = true;
    assert!(is_broken(ledger.append(again).await));
}
