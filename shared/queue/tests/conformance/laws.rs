//! The laws at the head of the crate, one function each (a second where a law
//! has two sides). Each begins with an empty queue.

use crate::backend::Backend;
use crate::kit::{SOON, ack_all, dead, holds, identity, ids, message, messages, next, nothing_comes, reports, take};
use bytes::Bytes;
use offboard_queue::{BURIED_FROM, BURIED_REASON, Message, QueueError, QueueName};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::JoinSet;

fn sorted(range: std::ops::Range<usize>) -> Vec<String> {
    let mut ids: Vec<String> = range.map(|n| n.to_string()).collect();
    ids.sort();
    ids
}

pub(crate) async fn law_01_what_was_confirmed_is_delivered<B: Backend>() {
    let backend = B::fresh().await;
    let queue = backend.queue();
    queue.publish(&identity(), messages(0..20)).await.unwrap();
    queue.publish(&reports(), messages(50..53)).await.unwrap();
    queue.publish(&identity(), Vec::new()).await.unwrap();
    let mut consumer = queue.consume(&identity(), 100).await.unwrap();
    let before = take(&mut consumer, 20).await;
    assert_eq!(ids(&before), sorted(0..20));
    queue.publish(&identity(), messages(20..30)).await.unwrap();
    let after = take(&mut consumer, 10).await;
    assert_eq!(ids(&after), sorted(20..30));
    nothing_comes(&mut consumer).await;
    let mut others = queue.consume(&reports(), 100).await.unwrap();
    assert_eq!(ids(&take(&mut others, 3).await), sorted(50..53));
}

pub(crate) async fn law_01_what_was_confirmed_outlives_a_restart_where_promised<B: Backend>() {
    let backend = B::fresh().await;
    backend.queue().publish(&identity(), messages(0..20)).await.unwrap();
    let backend = backend.restart().await;
    let queue = backend.queue();
    let mut consumer = queue.consume(&identity(), 100).await.unwrap();
    if B::DURABLE {
        assert_eq!(ids(&take(&mut consumer, 20).await), sorted(0..20));
    } else {
        nothing_comes(&mut consumer).await;
        queue.publish(&identity(), messages(0..1)).await.unwrap();
        assert_eq!(
            ids(&take(&mut consumer, 1).await),
            sorted(0..1),
            "what refills it is served"
        );
    }
}

pub(crate) async fn law_02_what_was_not_acknowledged_returns_when_its_consumer_goes<B: Backend>() {
    let backend = B::fresh().await;
    let queue = backend.queue();
    queue.publish(&identity(), messages(0..6)).await.unwrap();
    let mut gone = queue.consume(&identity(), 6).await.unwrap();
    let mut held = take(&mut gone, 4).await;
    let acknowledged = held[0].message().id.clone();
    held.remove(0).ack().await.unwrap();
    // Those in hand, and those handed out that nobody asked for yet.
    drop(gone);
    let mut consumer = queue.consume(&identity(), 10).await.unwrap();
    let mut expected = sorted(0..6);
    expected.retain(|id| *id != acknowledged);
    let back = take(&mut consumer, 5).await;
    assert_eq!(ids(&back), expected);
    // The stale deliveries of the one that went change nothing any more.
    drop(held);
    nothing_comes(&mut consumer).await;
    ack_all(back).await;
}

pub(crate) async fn law_02_a_delivery_dropped_or_given_back_returns<B: Backend>() {
    let backend = B::fresh().await;
    let queue = backend.queue();
    queue.publish(&identity(), messages(0..2)).await.unwrap();
    let mut consumer = queue.consume(&identity(), 2).await.unwrap();
    let mut held = take(&mut consumer, 2).await.into_iter();
    let (dropped, given_back) = (held.next().unwrap(), held.next().unwrap());
    let names = [dropped.message().id.clone(), given_back.message().id.clone()];
    drop(dropped);
    let again = next(&mut consumer).await;
    assert_eq!((&again.message().id, again.redelivered()), (&names[0], true));
    again.ack().await.unwrap();
    given_back.give_back().await.unwrap();
    let again = next(&mut consumer).await;
    assert_eq!((&again.message().id, again.redelivered()), (&names[1], true));
    again.ack().await.unwrap();
    nothing_comes(&mut consumer).await;
}

pub(crate) async fn law_03_what_was_acknowledged_never_returns<B: Backend>() {
    let backend = B::fresh().await;
    let queue = backend.queue();
    queue.publish(&identity(), messages(0..10)).await.unwrap();
    let mut first = queue.consume(&identity(), 10).await.unwrap();
    let mut held = take(&mut first, 10).await;
    let kept = held.split_off(7);
    let acknowledged = ids(&held);
    ack_all(held).await;
    drop((kept, first));
    let mut second = queue.consume(&identity(), 10).await.unwrap();
    let back = take(&mut second, 3).await;
    assert!(ids(&back).iter().all(|id| !acknowledged.contains(id)));
    nothing_comes(&mut second).await;
    ack_all(back).await;
}

pub(crate) async fn law_03_what_was_acknowledged_stays_gone_after_a_restart<B: Backend>() {
    let backend = B::fresh().await;
    let queue = backend.queue();
    queue.publish(&identity(), messages(0..10)).await.unwrap();
    let mut first = queue.consume(&identity(), 10).await.unwrap();
    let mut held = take(&mut first, 10).await;
    let kept = held.pop().unwrap();
    let name = kept.message().id.clone();
    ack_all(held).await;
    drop((kept, first));
    // That the one which was kept is back shows that the acknowledgements,
    // which went before it, are where they are kept.
    let mut second = queue.consume(&identity(), 10).await.unwrap();
    assert_eq!(ids(&take(&mut second, 1).await), [name.as_str()]);
    drop((second, queue));
    let backend = backend.restart().await;
    let queue = backend.queue();
    queue.publish(&identity(), vec![message("after")]).await.unwrap();
    let mut third = queue.consume(&identity(), 10).await.unwrap();
    let left: &[&str] = if B::DURABLE { &[&name, "after"] } else { &["after"] };
    let came = take(&mut third, left.len()).await;
    assert_eq!(ids(&came), left);
    nothing_comes(&mut third).await;
}

pub(crate) async fn law_04_prefetch_bounds_what_a_consumer_holds<B: Backend>() {
    let backend = B::fresh().await;
    let queue = backend.queue();
    queue.publish(&identity(), messages(0..10)).await.unwrap();
    let mut consumer = queue.consume(&identity(), 3).await.unwrap();
    let mut held = take(&mut consumer, 3).await;
    nothing_comes(&mut consumer).await;
    held.remove(0).ack().await.unwrap();
    held.push(next(&mut consumer).await);
    nothing_comes(&mut consumer).await;
    // The rest is there for another.
    let mut other = queue.consume(&identity(), 20).await.unwrap();
    assert_eq!(take(&mut other, 6).await.len(), 6);
}

pub(crate) async fn law_04_a_changed_prefetch_bounds_what_comes_and_loses_nothing<B: Backend>() {
    let backend = B::fresh().await;
    let queue = backend.queue();
    queue.publish(&identity(), messages(0..30)).await.unwrap();
    let mut consumer = queue.consume(&identity(), 2).await.unwrap();
    let mut held = take(&mut consumer, 2).await;
    nothing_comes(&mut consumer).await;
    consumer.resize(5).await.unwrap();
    held.extend(take(&mut consumer, 3).await);
    assert!(held.iter().all(|d| !d.redelivered()), "nothing came back");
    let mut seen = ids(&held);
    // What was held before may come on top, until it is settled.
    ack_all(held).await;
    for (prefetch, left) in [(5, 5), (1, 1), (8, 8)] {
        consumer.resize(prefetch).await.unwrap();
        let mut on_top = Vec::new();
        while let Ok(came) = tokio::time::timeout(SOON, consumer.next()).await {
            on_top.push(came.unwrap());
        }
        seen.extend(ids(&on_top));
        ack_all(on_top).await;
        // Now there is nothing from before.
        let waiting = 30 - seen.len();
        let held = take(&mut consumer, left.min(waiting)).await;
        nothing_comes(&mut consumer).await;
        seen.extend(ids(&held));
        ack_all(held).await;
    }
    while seen.len() < 30 {
        let next = next(&mut consumer).await;
        seen.push(next.message().id.clone());
        next.ack().await.unwrap();
    }
    seen.sort();
    let mut all = messages(0..30).into_iter().map(|m| m.id).collect::<Vec<_>>();
    all.sort();
    assert_eq!(seen, all, "each once");
    nothing_comes(&mut consumer).await;
}

pub(crate) async fn law_05_headers_and_body_come_through_unchanged<B: Backend>() {
    let backend = B::fresh().await;
    let queue = backend.queue();
    let headers = [
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("x-Ü", "ä; =?"),
        ("empty", ""),
    ];
    let headers: BTreeMap<String, String> = headers.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let bodies = [Bytes::new(), (0..=255).collect(), Bytes::from(vec![0x5a; 300_000])];
    let sent: Vec<Message> = bodies
        .into_iter()
        .enumerate()
        .map(|(n, body)| Message {
            body,
            headers: headers.clone(),
            expires_at: Some(backend.now().plus(600_000)),
            ..message(n)
        })
        .collect();
    queue.publish(&identity(), sent.clone()).await.unwrap();
    let mut consumer = queue.consume(&identity(), 10).await.unwrap();
    let mut came: Vec<Message> = Vec::new();
    for delivery in take(&mut consumer, 3).await {
        assert!(!delivery.redelivered());
        came.push(delivery.message().clone());
    }
    came.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(came, sent);
}

pub(crate) async fn law_06_a_consumer_that_silently_stopped_is_noticed<B: Backend>() {
    let backend = B::fresh().await;
    let queue = backend.queue();
    queue.publish(&identity(), messages(0..2)).await.unwrap();
    let mut waiting = queue.consume(&identity(), 5).await.unwrap();
    let held = take(&mut waiting, 2).await;
    let severed = identity();
    let (ended, ()) = tokio::join!(waiting.next(), backend.sever(&severed));
    assert!(matches!(ended.err(), Some(QueueError::ConsumerEnded { .. })));
    assert!(
        matches!(waiting.next().await.err(), Some(QueueError::ConsumerEnded { .. })),
        "and stays ended"
    );
    // Whoever subscribes again gets what the other held.
    let mut again = queue.consume(&identity(), 5).await.unwrap();
    let back = take(&mut again, 2).await;
    assert_eq!(ids(&back), sorted(0..2));
    drop((held, waiting));
    nothing_comes(&mut again).await;
    ack_all(back).await;
}

pub(crate) async fn law_07_whatever_the_order_all_arrive<B: Backend>() {
    let backend = B::fresh().await;
    let queue = backend.queue();
    queue.publish(&identity(), messages(0..40)).await.unwrap();
    let mut consumer = queue.consume(&identity(), 8).await.unwrap();
    // The suite shuffles: every third is given back once, whatever its place.
    let mut arrived = Vec::new();
    let mut turn = 0;
    while arrived.len() < 40 {
        let delivery = next(&mut consumer).await;
        turn += 1;
        if turn % 3 == 0 && !delivery.redelivered() {
            delivery.give_back().await.unwrap();
        } else {
            arrived.push(delivery.message().id.clone());
            delivery.ack().await.unwrap();
        }
    }
    arrived.sort();
    assert_eq!(arrived, sorted(0..40));
    nothing_comes(&mut consumer).await;
}

pub(crate) async fn law_08_duplicates_are_delivered_and_a_redelivery_says_so<B: Backend>() {
    let backend = B::fresh().await;
    let queue = backend.queue();
    queue
        .publish(&identity(), vec![message("same"), message("same")])
        .await
        .unwrap();
    queue.publish(&identity(), vec![message("same")]).await.unwrap();
    let mut consumer = queue.consume(&identity(), 10).await.unwrap();
    let held = take(&mut consumer, 3).await;
    assert!(held.iter().all(|d| d.message().id == "same" && !d.redelivered()));
    drop(held);
    let held = take(&mut consumer, 3).await;
    assert!(held.iter().all(|d| d.message().id == "same" && d.redelivered()));
    ack_all(held).await;
    nothing_comes(&mut consumer).await;
}

pub(crate) async fn law_09_what_expired_is_not_delivered<B: Backend>() {
    let backend = B::fresh().await;
    let queue = backend.queue();
    let until = |id: &str, ms| Message {
        expires_at: Some(backend.now().plus(ms)),
        ..message(id)
    };
    let forever = message("forever");
    let batch = vec![
        until("short", B::SHORT_MS),
        forever,
        until("long", B::SHORT_MS + 600_000),
        until("past", -1),
    ];
    queue.publish(&identity(), batch).await.unwrap();
    backend.pass(B::SHORT_MS).await;
    let mut consumer = queue.consume(&identity(), 10).await.unwrap();
    let came = take(&mut consumer, 2).await;
    assert_eq!(ids(&came), ["forever", "long"]);
    nothing_comes(&mut consumer).await;

    // One that runs out while it is held does not return when given back.
    queue
        .publish(&identity(), vec![until("held", B::SHORT_MS)])
        .await
        .unwrap();
    let held = next(&mut consumer).await;
    backend.pass(B::SHORT_MS).await;
    drop(held);
    nothing_comes(&mut consumer).await;
    ack_all(came).await;
}

pub(crate) async fn law_10_what_was_buried_is_kept_with_its_reason<B: Backend>() {
    let backend = B::fresh().await;
    let queue = backend.queue();
    let mut sent = messages(0..3);
    sent[1].headers.insert("traceparent".to_owned(), "00-1".to_owned());
    sent[1].expires_at = Some(backend.now().plus(B::SHORT_MS));
    queue.publish(&identity(), sent.clone()).await.unwrap();
    let mut consumer = queue.consume(&identity(), 1).await.unwrap();
    for reason in ["not JSON", "kind unknown: 'ä'", ""] {
        next(&mut consumer).await.bury(reason).await.unwrap();
    }
    nothing_comes(&mut consumer).await;
    backend.pass(B::SHORT_MS).await;
    // The dead do not expire.
    holds(&*queue, &QueueName::Dead, 3, 0).await;
    let dead = dead(&*queue, 3).await;
    let reasons: Vec<&str> = dead.iter().map(|(_, reason)| reason.as_str()).collect();
    assert_eq!(reasons, ["", "kind unknown: 'ä'", "not JSON"], "newest first");
    let found: BTreeMap<&str, &Message> = dead.iter().map(|(m, _)| (m.id.as_str(), m)).collect();
    assert_eq!(found.len(), 3);
    for message in &sent {
        let buried = found[message.id.as_str()];
        assert_eq!((&buried.headers, &buried.body), (&message.headers, &message.body));
    }
    assert_eq!(queue.dead(1).await.unwrap(), dead[..1], "newest first, at most so many");
    // Looking takes nothing away.
    holds(&*queue, &QueueName::Dead, 3, 0).await;
}

pub(crate) async fn law_10_what_a_message_says_of_its_burial_counts_for_nothing<B: Backend>() {
    let backend = B::fresh().await;
    let queue = backend.queue();
    let mut liar = message("liar");
    for (name, claim) in [
        (BURIED_FROM, "ob.v1.device.urgent"),
        (BURIED_REASON, "nothing of note"),
        ("offboard-buried-sender", "offboard-dispatcher"),
    ] {
        liar.headers.insert(name.to_owned(), claim.to_owned());
    }
    queue.publish(&reports(), vec![liar]).await.unwrap();
    let mut consumer = queue.consume(&reports(), 1).await.unwrap();
    next(&mut consumer).await.bury("not a report").await.unwrap();
    let (looked, reason) = dead(&*queue, 1).await.remove(0);
    assert_eq!((looked, reason.as_str()), (message("liar"), "not a report"));
    let mut undertaker = queue.consume(&QueueName::Dead, 1).await.unwrap();
    let delivery = next(&mut undertaker).await;
    let headers = &delivery.message().headers;
    assert_eq!(headers[BURIED_FROM], reports().to_string());
    assert_eq!(headers[BURIED_REASON], "not a report");
    let sender = headers.get("offboard-buried-sender").map_or("", String::as_str);
    assert_ne!(sender, "offboard-dispatcher");
    assert_eq!(delivery.message().clone().unburied(), message("liar"));
}

pub(crate) async fn law_10_those_that_are_wanted_are_found_among_all_others<B: Backend>() {
    let backend = B::fresh().await;
    let queue = backend.queue();
    queue.publish(&identity(), messages(0..6)).await.unwrap();
    let mut consumer = queue.consume(&identity(), 1).await.unwrap();
    for reason in ["0", "1", "2", "3", "4", "5"] {
        next(&mut consumer).await.bury(reason).await.unwrap();
    }
    let all = dead(&*queue, 6).await;
    let wanted = |message: &Message| ["1", "3"].contains(&message.id.as_str());
    let expected: Vec<_> = all.iter().filter(|(m, _)| wanted(m)).cloned().collect();
    let found = async |limit| queue.dead_among(&wanted, limit).await.unwrap();
    assert_eq!(found(6).await, expected, "with their reasons, newest first");
    assert_eq!(found(1).await, expected[..1], "at most so many");
    let nobody = queue.dead_among(&|_: &Message| false, 6).await.unwrap();
    assert!(nobody.is_empty(), "{nobody:?}");
    // Looking takes nothing away.
    holds(&*queue, &QueueName::Dead, 6, 0).await;
}

pub(crate) async fn law_10_the_dead_can_be_consumed<B: Backend>() {
    let backend = B::fresh().await;
    let queue = backend.queue();
    queue.publish(&identity(), messages(0..2)).await.unwrap();
    let mut consumer = queue.consume(&identity(), 1).await.unwrap();
    for reason in ["first", "second"] {
        next(&mut consumer).await.bury(reason).await.unwrap();
    }
    let mut undertaker = queue.consume(&QueueName::Dead, 1).await.unwrap();
    let delivery = next(&mut undertaker).await;
    assert_eq!(delivery.message().headers[BURIED_FROM], identity().to_string());
    let reason = delivery.message().headers[BURIED_REASON].clone();
    delivery.ack().await.unwrap();
    let left = if reason == "first" { "second" } else { "first" };
    let delivery = next(&mut undertaker).await;
    assert_eq!(delivery.message().headers[BURIED_REASON], left);
    drop(delivery);
    drop(undertaker);
    // Only what was acknowledged is gone.
    assert_eq!(dead(&*queue, 1).await[0].1, left);
}

pub(crate) async fn a_dropped_next_loses_nothing<B: Backend>() {
    let backend = B::fresh().await;
    let queue = backend.queue();
    let mut consumer = queue.consume(&identity(), 4).await.unwrap();
    let mut arrived = Vec::new();
    for n in 0..50 {
        // Asked for and given up, at every stage between asking and arrival.
        tokio::select! {
            biased;
            early = consumer.next() => {
                let delivery = early.unwrap();
                arrived.push(delivery.message().id.clone());
                delivery.ack().await.unwrap();
            }
            () = tokio::task::yield_now() => {}
        }
        queue.publish(&identity(), messages(n..n + 1)).await.unwrap();
    }
    while arrived.len() < 50 {
        let delivery = next(&mut consumer).await;
        arrived.push(delivery.message().id.clone());
        delivery.ack().await.unwrap();
    }
    arrived.sort();
    assert_eq!(arrived, sorted(0..50));
}

pub(crate) async fn consumers_of_one_queue_share_it<B: Backend>() {
    let backend = B::fresh().await;
    let queue = backend.queue();
    let mut left = queue.consume(&identity(), 5).await.unwrap();
    let mut right = queue.consume(&identity(), 5).await.unwrap();
    queue.publish(&identity(), messages(0..10)).await.unwrap();
    let (left, right) = tokio::join!(take(&mut left, 5), take(&mut right, 5));
    let mut all = ids(&left);
    all.extend(ids(&right));
    all.sort();
    assert_eq!(all, sorted(0..10));
}

pub(crate) async fn many_publishers_and_consumers_lose_nothing<B: Backend>() {
    const PUBLISHERS: usize = 4;
    const EACH: usize = 500;
    let backend = B::fresh().await;
    let queue = backend.queue();
    let mut publishing = JoinSet::new();
    for p in 0..PUBLISHERS {
        let queue = Arc::clone(&queue);
        publishing.spawn(async move {
            for start in (p * EACH..(p + 1) * EACH).step_by(25) {
                queue.publish(&identity(), messages(start..start + 25)).await.unwrap();
            }
        });
    }
    let (seen, mut sightings) = tokio::sync::mpsc::unbounded_channel();
    let mut consuming = JoinSet::new();
    for c in 0..4 {
        let (queue, seen) = (Arc::clone(&queue), seen.clone());
        consuming.spawn(async move {
            let mut consumer = queue.consume(&identity(), 7).await.unwrap();
            for turn in 1.. {
                let delivery = consumer.next().await.unwrap();
                let id = delivery.message().id.clone();
                match (turn + c) % 10 {
                    0 => drop(delivery),
                    1 => delivery.give_back().await.unwrap(),
                    _ => {
                        delivery.ack().await.unwrap();
                        seen.send(id).unwrap();
                    }
                }
                if turn % 97 == 0 {
                    consumer = queue.consume(&identity(), 7).await.unwrap();
                }
            }
        });
    }
    publishing.join_all().await;
    let mut arrived = Vec::new();
    while arrived.len() < PUBLISHERS * EACH {
        arrived.push(sightings.recv().await.unwrap());
    }
    consuming.shutdown().await;
    arrived.sort();
    assert_eq!(arrived, sorted(0..PUBLISHERS * EACH), "each acknowledged exactly once");
    holds(&*queue, &identity(), 0, 0).await;
}

pub(crate) async fn depths_say_what_is_held<B: Backend>() {
    let backend = B::fresh().await;
    let queue = backend.queue();
    queue.publish(&identity(), messages(0..10)).await.unwrap();
    queue.publish(&reports(), messages(0..2)).await.unwrap();
    holds(&*queue, &identity(), 10, 0).await;
    let mut consumer = queue.consume(&identity(), 4).await.unwrap();
    let mut held = take(&mut consumer, 4).await;
    holds(&*queue, &identity(), 6, 4).await;
    holds(&*queue, &reports(), 2, 0).await;
    held.remove(0).ack().await.unwrap();
    drop((held, consumer));
    holds(&*queue, &identity(), 9, 0).await;
    let names: Vec<QueueName> = queue.depths().await.unwrap().into_iter().map(|d| d.queue).collect();
    assert!(names.is_sorted());
}
