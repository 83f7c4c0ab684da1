//! Tags are a whole set, and others' stay; fields are one by one.

use crate::ninja::stage::{Stage, id, open, quiet};
use offboard_connectors::ninja::NinjaTags;
use offboard_connectors::{Fleet as _, Mark};
use offboard_domain::FaultClass;
use offboard_sim::world::fleet::FleetHabits;
use std::collections::BTreeSet;

fn tags(s: &Stage) -> BTreeSet<u64> {
    s.fleet().nodes()[&41].tags.clone()
}

#[tokio::test]
async fn a_mark_is_put_on_and_everything_else_stays() {
    let s = Stage::kind().await;
    let ninja = s.open();
    let before = s.fleet().nodes().clone();
    assert!(
        !ninja
            .marking(&mut s.reading(), &id(41), Mark::PendingWipe)
            .await
            .unwrap()
            .whole
    );
    for _ in 0..2 {
        ninja.mark(&mut s.writing(), &id(41), Mark::PendingWipe).await.unwrap();
    }
    let marking = ninja
        .marking(&mut s.reading(), &id(41), Mark::PendingWipe)
        .await
        .unwrap();
    assert!(marking.whole);
    assert_eq!(marking.tag_ids, ["1", "3", "4"]);
    assert_eq!(s.journal(), ["tags 41", "fields 41"], "twice is once");
    let fields = s.fleet().nodes()[&41].fields.clone();
    assert_eq!(fields["offboardingState"], "pending_wipe");
    for (id, node) in &before {
        assert!(*id == 41 || s.fleet().nodes()[id] == *node, "{id} was changed");
    }
    // What becomes of it is one thing at a time.
    ninja.mark(&mut s.writing(), &id(41), Mark::Repurpose).await.unwrap();
    assert_eq!(tags(&s), [2, 3, 4].into());
    assert!(
        !ninja
            .marking(&mut s.reading(), &id(41), Mark::PendingWipe)
            .await
            .unwrap()
            .whole
    );
}

#[tokio::test]
async fn a_tag_that_was_put_on_meanwhile_is_kept_and_ours_that_was_lost_is_noticed() {
    let s = Stage::kind().await;
    let ninja = s.open();
    ninja
        .marking(&mut s.reading(), &id(41), Mark::PendingWipe)
        .await
        .unwrap();
    // Between our reading and our order.
    s.edit(41, |n| n.tags = [4].into());
    ninja.mark(&mut s.writing(), &id(41), Mark::PendingWipe).await.unwrap();
    assert_eq!(tags(&s), [1, 4].into());
    // Right after it, from what he had read before.
    s.edit(41, |n| n.tags = [3, 4].into());
    s.fleet().then_tags = Some((41, [3].into()));
    ninja.mark(&mut s.writing(), &id(41), Mark::PendingWipe).await.unwrap();
    let marking = ninja
        .marking(&mut s.reading(), &id(41), Mark::PendingWipe)
        .await
        .unwrap();
    assert!(!marking.whole, "the lost update is seen");
    assert_eq!(marking.tag_ids, ["3"]);
}

#[tokio::test]
async fn nothing_is_written_that_would_lose_others_tags() {
    let s = Stage::with(FleetHabits {
        hides_tags: true,
        ..FleetHabits::default()
    })
    .await;
    let mut call = s.writing();
    let fault = s.open().mark(&mut call, &id(41), Mark::PendingWipe).await.unwrap_err();
    assert_eq!(
        (fault.class, call.writes_sent()),
        (FaultClass::Unsupported, 0),
        "{fault}"
    );
    quiet(&fault, &call);
    // Two tags of one name: which of them it carries cannot be told.
    let s = Stage::kind().await;
    s.fleet().tags.insert(9, "VIP".to_owned());
    let fault = s
        .open()
        .mark(&mut s.writing(), &id(41), Mark::PendingWipe)
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Blocked);
    assert_eq!(s.journal(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_not_set_up_there_is_said() {
    let s = Stage::kind().await;
    let mut settings = s.settings();
    settings.tags.pending_wipe = Some("Nowhere".to_owned());
    let fault = open(&settings)
        .mark(&mut s.writing(), &id(41), Mark::PendingWipe)
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Rejected);
    assert!(fault.detail.contains("'Nowhere'"), "{fault}");
    settings.tags = NinjaTags::default();
    s.fleet()
        .fields
        .insert("offboardingState".to_owned(), "READ_ONLY".to_owned());
    let fault = open(&settings)
        .mark(&mut s.writing(), &id(41), Mark::PendingWipe)
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Denied);
    assert!(fault.detail.contains("API permission"), "{fault}");
    // With a field alone no tag is looked at.
    s.fleet()
        .fields
        .insert("offboardingState".to_owned(), "READ_WRITE".to_owned());
    open(&settings)
        .mark(&mut s.writing(), &id(41), Mark::PendingWipe)
        .await
        .unwrap();
    assert_eq!((tags(&s), s.journal()), ([3, 4].into(), vec!["fields 41".to_owned()]));
}
