//! Mailboxes and what hangs on them.

use crate::sim::stage::{Stage, T0, id};
use offboard_connectors::{
    Attached, Attachment, AutomaticReply, Call, DelegationRight, Direction, ForwardTo, Forwarding, MailboxChange,
    MailboxRight, MobileWipe,
};
use offboard_domain::{FaultClass, ObjectId};
use offboard_sim::world::model::{Event, InboxRule, Recurrence, Until};
use offboard_sim::world::{Cruelty, Effect};
use std::collections::{BTreeMap, BTreeSet};

#[tokio::test]
async fn every_change_of_a_mailbox_is_read_back_and_twice_is_once() {
    let s = Stage::kind().await;
    let (who, successor) = (id(&s.cast.forwarder), id(&s.cast.chief));
    let mut call = s.writing();
    let before = s.mailboxes().mailbox(&mut call, &who).await.unwrap().unwrap();
    assert_eq!(
        before.forwarding.to,
        [ForwardTo::Address("drop@private.example".into())]
    );
    let reply = "Gone.\nAsk <support> & co.".to_owned();
    for _twice in 0..2 {
        for change in [
            MailboxChange::BlockProtocols,
            MailboxChange::Hold { days: Some(90) },
            MailboxChange::Hide,
            MailboxChange::AutomaticReply { text: reply.clone() },
            MailboxChange::Forward {
                to: Some(successor.clone()),
            },
            MailboxChange::Grant {
                to: successor.clone(),
                right: MailboxRight::FullAccess,
            },
            MailboxChange::Grant {
                to: successor.clone(),
                right: MailboxRight::SendAs,
            },
        ] {
            s.mailboxes().set(&mut call, &who, &change).await.unwrap();
        }
    }
    let after = s.mailboxes().mailbox(&mut call, &who).await.unwrap().unwrap();
    assert!(after.hidden && after.holds.litigation && after.holds.any());
    assert_eq!(after.holds.litigation_days, Some(90));
    assert_eq!(
        after.forwarding,
        Forwarding {
            to: vec![ForwardTo::Account(successor.clone())],
            keeps_copy: true
        }
    );
    assert_eq!(
        s.mailboxes()
            .attached(&mut call, &who, &Attachment::Protocols)
            .await
            .unwrap(),
        []
    );
    let settings = s.mailboxes().settings(&mut call, &who).await.unwrap().unwrap();
    assert_eq!(settings.automatic_reply.status, "alwaysEnabled");
    assert_eq!(
        settings.automatic_reply.digest(),
        Some(AutomaticReply::digest_of(&reply))
    );
    s.mailboxes()
        .set(&mut call, &who, &MailboxChange::Forward { to: None })
        .await
        .unwrap();
    let cleared = s.mailboxes().mailbox(&mut call, &who).await.unwrap().unwrap();
    assert_eq!(cleared.forwarding, Forwarding::default());
    assert_eq!(
        s.truth(|t| t.mailboxes.get(&who.0).unwrap().hold.unwrap().days),
        Some(90)
    );
    s.mailboxes()
        .set(&mut call, &who, &MailboxChange::Hold { days: None })
        .await
        .unwrap();
    let unlimited = s.mailboxes().mailbox(&mut call, &who).await.unwrap().unwrap();
    assert_eq!(unlimited.holds.litigation_days, None, "the shorter one is lifted");
    assert!(s.effects().iter().all(|(_, subject, _)| *subject == who.0));
}

#[tokio::test]
async fn a_conversion_is_told_by_two_sources_one_after_the_other() {
    let s = Stage::with(
        Cruelty {
            conversion_ms: (60_000, 60_000),
            conversion_graph_extra_ms: (30_000, 30_000),
            ..Cruelty::kind()
        },
        false,
    )
    .await;
    let who = id(&s.cast.plain);
    let mut call = s.writing();
    let read = async || {
        let mut call = s.reading();
        let exchange = s
            .mailboxes()
            .mailbox(&mut call, &who)
            .await
            .unwrap()
            .unwrap()
            .recipient_type;
        let graph = s
            .mailboxes()
            .settings(&mut call, &who)
            .await
            .unwrap()
            .unwrap()
            .purpose
            .unwrap();
        assert_eq!(call.take_sources(), ["exchange", "graph"]);
        (exchange, graph)
    };
    s.mailboxes()
        .set(&mut call, &who, &MailboxChange::ConvertToShared)
        .await
        .unwrap();
    let (exchange, graph) = read().await;
    assert_eq!((exchange.as_str(), graph.as_str()), ("UserMailbox", "user"));
    s.clock.advance(61_000);
    let (exchange, graph) = read().await;
    assert_eq!((exchange.as_str(), graph.as_str()), ("SharedMailbox", "user"));
    s.clock.advance(30_000);
    let (exchange, graph) = read().await;
    assert_eq!((exchange.as_str(), graph.as_str()), ("SharedMailbox", "shared"));
}

#[tokio::test]
async fn what_is_too_large_or_mastered_elsewhere_is_blocked() {
    let s = Stage::kind().await;
    let mut call = s.writing();
    let big = id(&s.cast.big_mailbox);
    assert_eq!(s.mailboxes().usage(&mut call, &big).await.unwrap().size_bytes, 60 << 30);
    let fault = s
        .mailboxes()
        .set(&mut call, &big, &MailboxChange::ConvertToShared)
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Blocked, "{fault}");
    let hybrid = id(&s.cast.hybrid);
    let fault = s
        .mailboxes()
        .set(&mut call, &hybrid, &MailboxChange::Hide)
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Blocked, "{fault}");
}

#[tokio::test]
async fn an_account_without_a_mailbox_has_none_and_nothing_on_it() {
    let s = Stage::kind().await;
    let who = id(&s.cast.break_glass);
    let mut call = s.reading();
    assert_eq!(s.mailboxes().mailbox(&mut call, &who).await.unwrap(), None);
    assert_eq!(s.mailboxes().settings(&mut call, &who).await.unwrap(), None);
    for what in [
        Attachment::Protocols,
        Attachment::DelegationsTo,
        Attachment::DelegationsOn { others: Vec::new() },
        Attachment::Meetings,
    ] {
        assert_eq!(
            s.mailboxes().attached(&mut call, &who, &what).await.unwrap(),
            [],
            "{what:?}"
        );
    }
}

#[tokio::test]
async fn rules_go_hidden_ones_too_and_exchanges_own_stay() {
    let s = Stage::kind().await;
    let who = id(&s.cast.forwarder);
    let mut call = s.writing();
    let rules = s
        .mailboxes()
        .attached(&mut call, &who, &Attachment::Rules)
        .await
        .unwrap();
    assert_eq!(rules.len(), 2);
    assert_eq!(
        rules
            .iter()
            .filter(|r| matches!(r, Attached::Rule(r) if r.hidden && r.sends_on && !r.original["ForwardTo"].is_null()))
            .count(),
        1
    );
    for _twice in 0..2 {
        for rule in &rules {
            s.mailboxes().detach(&mut call, &who, rule).await.unwrap();
        }
    }
    assert_eq!(
        s.mailboxes()
            .attached(&mut call, &who, &Attachment::Rules)
            .await
            .unwrap(),
        []
    );
    assert!(s.truth(|t| t.mailboxes.get(&who.0).unwrap().rules.iter().all(|r| r.system)));
}

#[tokio::test]
async fn a_rule_that_only_bears_the_name_of_exchanges_own_goes() {
    let s = Stage::kind().await;
    let who = id(&s.cast.plain);
    let mut call = s.writing();
    let rules = async |call: &mut Call| s.mailboxes().attached(call, &who, &Attachment::Rules).await.unwrap();
    assert_eq!(rules(&mut call).await, []);
    let named = [
        ("Junk E-mail Rule 2", true),
        ("Junk E-mail Rule", true),
        ("Junk E-mail Rule", false),
        ("Microsoft.Exchange.OOF.AllExternalSenders.Global", true),
        ("Microsoft.Exchange.OOF.Mine", false),
    ];
    s.arrange(|t| {
        let mailbox = t.mailboxes.edit_silently(&who.0).unwrap();
        for (n, (name, hidden)) in (1..).zip(named) {
            mailbox.rules.push(InboxRule {
                id: format!("AQAAnamed{n}"),
                rule_id: n,
                name: name.into(),
                sequence: 1,
                hidden,
                system: false,
                forward_to: Some("drop@private.example".into()),
            });
        }
    });
    let found = rules(&mut call).await;
    let counted = |f: fn(&offboard_connectors::InboxRule) -> bool| {
        let is = |a: &&Attached| matches!(a, Attached::Rule(r) if f(r));
        found.iter().filter(is).count()
    };
    assert_eq!((counted(|r| r.sends_on), counted(|r| r.hidden)), (5, 3));
    for rule in &found {
        s.mailboxes().detach(&mut call, &who, rule).await.unwrap();
    }
    assert_eq!(rules(&mut call).await, []);
    let left = s.truth(|t| t.mailboxes.get(&who.0).unwrap().rules.clone());
    assert!(left.len() == 2 && left.iter().all(|r| r.system), "{left:?}");
}

#[tokio::test]
async fn delegations_go_both_ways() {
    for page_size in [100, 2] {
        let s = Stage::with(
            Cruelty {
                page_size,
                ..Cruelty::kind()
            },
            false,
        )
        .await;
        let who = id(&s.cast.forwarder);
        let mut call = s.writing();
        let read = async |call: &mut Call, direction: Direction| match direction {
            Direction::ToOther => s.mailboxes().attached(call, &who, &Attachment::DelegationsTo).await,
            Direction::FromOther => s.held_on_others(call, &who).await,
        };
        for (direction, expected) in [(Direction::ToOther, 4), (Direction::FromOther, 6)] {
            let held = read(&mut call, direction).await.unwrap();
            let keys: BTreeSet<String> = held.iter().map(Attached::key).collect();
            assert_eq!((held.len(), keys.len()), (expected, expected), "{keys:?}");
            let known = held
                .iter()
                .all(|a| matches!(a, Attached::Delegation(d) if d.direction == direction && d.other.is_some()));
            assert!(known, "{held:?}");
            for _twice in 0..2 {
                for one in &held {
                    s.mailboxes().detach(&mut call, &who, one).await.unwrap();
                }
            }
            assert_eq!(read(&mut call, direction).await.unwrap(), []);
        }
    }
}

/// Beliefs: the folder is found by its type, whatever the owner's language calls
/// it; an entry bears the name that is shown; an entry that is not there is
/// refused with words that say so.
#[tokio::test]
async fn a_calendar_in_any_language_is_shared_by_name_and_closed_by_id() {
    for name in ["Calendar", "Kalender", "予定表"] {
        let s = Stage::kind().await;
        let (who, other) = (id(&s.cast.plain), id(&s.cast.devices));
        s.arrange(|t| {
            for owner in [&who, &other] {
                name.clone_into(&mut t.mailboxes.edit_silently(&owner.0).unwrap().calendar.name);
            }
            let mut open = |owner: &ObjectId, to: &ObjectId, right: &str| {
                let mailbox = t.mailboxes.edit_silently(&owner.0).unwrap();
                mailbox.calendar.shared.insert(to.0.clone(), right.to_owned());
            };
            open(&who, &other, "Reviewer");
            // Nothing is held by an entry that gives nothing.
            open(&who, &id(&s.cast.chief), "None");
            open(&other, &who, "Editor");
            open(&other, &id(&s.cast.chief), "Editor");
        });
        let mut call = s.writing();
        let held = async |call: &mut Call| {
            let what = Attachment::DelegationsTo;
            let mut held = s.mailboxes().attached(call, &who, &what).await.unwrap();
            held.retain(|a| matches!(a, Attached::Delegation(d) if d.right == DelegationRight::Calendar));
            held
        };
        // Somebody else's share with him is in the population.
        let found: Vec<Attached> = held(&mut call)
            .await
            .into_iter()
            .filter(|a| matches!(a, Attached::Delegation(d) if d.other == Some(other.clone())))
            .collect();
        assert_eq!(found.len(), 1, "{name}");
        for _twice in 0..2 {
            s.mailboxes().detach(&mut call, &who, &found[0]).await.unwrap();
        }
        assert!(!held(&mut call).await.contains(&found[0]));
        let left = s.truth(|t| {
            let shared = |owner: &ObjectId| t.mailboxes.get(&owner.0).unwrap().calendar.shared.clone();
            (shared(&who), shared(&other))
        });
        let chief = s.cast.chief.clone();
        assert_eq!(
            left,
            (
                BTreeMap::from([(chief.clone(), "None".to_owned())]),
                BTreeMap::from([(chief, "Editor".to_owned()), (who.0.clone(), "Editor".to_owned())])
            )
        );
    }
}

#[tokio::test]
async fn two_people_of_one_name_on_a_calendar_are_nobody_in_particular() {
    let s = Stage::kind().await;
    let (who, one, two) = (id(&s.cast.plain), id(&s.cast.devices), id(&s.cast.hybrid));
    s.arrange(|t| {
        for person in [&one, &two] {
            "Same Name".clone_into(&mut t.people.edit_silently(&person.0).unwrap().display_name);
        }
        let mailbox = t.mailboxes.edit_silently(&who.0).unwrap();
        mailbox.calendar.shared.insert(one.0.clone(), "Editor".to_owned());
    });
    let mut call = s.writing();
    let held = s
        .mailboxes()
        .attached(&mut call, &who, &Attachment::DelegationsTo)
        .await
        .unwrap();
    let [entry @ Attached::Delegation(d)] = held.as_slice() else {
        panic!("{held:?}")
    };
    assert_eq!(d.other, None);
    let fault = s.mailboxes().detach(&mut call, &who, entry).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Blocked, "a person must look: {fault}");
    assert_eq!(s.effects(), []);
}

#[tokio::test]
async fn a_phone_loses_the_account_and_then_its_partnership() {
    let s = Stage::kind().await;
    let who = id(&s.cast.devices);
    let mut call = s.writing();
    let phones = async |call: &mut _| {
        s.mailboxes()
            .attached(call, &who, &Attachment::MobileDevices)
            .await
            .unwrap()
    };
    let found = phones(&mut call).await;
    let [Attached::MobileDevice(phone)] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert!(phone.can_wipe_account && phone.wipe == MobileWipe::None);
    s.mailboxes()
        .set(&mut call, &who, &MailboxChange::WipeAccountOn { device: phone.clone() })
        .await
        .unwrap();
    assert!(matches!(phones(&mut call).await.as_slice(), [Attached::MobileDevice(p)] if p.wipe == MobileWipe::Pending));
    s.clock.advance(60_000);
    assert!(
        matches!(phones(&mut call).await.as_slice(), [Attached::MobileDevice(p)] if p.wipe == MobileWipe::Acknowledged)
    );
    for _twice in 0..2 {
        s.mailboxes().detach(&mut call, &who, &found[0]).await.unwrap();
    }
    assert_eq!(phones(&mut call).await, []);
    let old = id(&s.cast.plain);
    let found = s
        .mailboxes()
        .attached(&mut call, &old, &Attachment::MobileDevices)
        .await
        .unwrap();
    assert!(matches!(found.as_slice(), [Attached::MobileDevice(p)] if !p.can_wipe_account));
}

#[tokio::test]
async fn a_series_goes_over_whole_and_one_that_is_over_is_left_alone() {
    let s = Stage::kind().await;
    let (who, successor) = (id(&s.cast.plain), id(&s.cast.chief));
    let mut call = s.writing();
    // Ten weeks, once two years ago and once from now on.
    let ten_weeks = |name: &str, start_ms: i64| Event {
        id: name.to_owned(),
        subject: name.to_owned(),
        start_ms,
        end_ms: start_ms + 3_600_000,
        organiser: true,
        attendees: vec!["somebody@elsewhere.example".to_owned()],
        recurrence: Some(Recurrence::weekly(start_ms, Until::Count(10))),
        transaction_id: None,
    };
    let (over, to_come) = (
        ten_weeks("over", T0 - 730 * 86_400_000),
        ten_weeks("to-come", T0 - 7 * 86_400_000),
    );
    s.arrange(|t| {
        let mailbox = t.mailboxes.edit(&who.0, T0).unwrap();
        mailbox.events = vec![over, to_come.clone()];
    });
    let found = s
        .mailboxes()
        .attached(&mut call, &who, &Attachment::Meetings)
        .await
        .unwrap();
    let [Attached::Meeting(meeting)] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert!(meeting.series && meeting.id.0 == "to-come");
    let change = MailboxChange::HandOverMeeting {
        meeting: meeting.clone(),
        to: successor.clone(),
    };
    s.mailboxes().set(&mut call, &who, &change).await.unwrap();
    let anew = s.truth(|t| t.mailboxes.get(&successor.0).unwrap().events.last().unwrap().clone());
    assert_eq!((anew.subject.as_str(), anew.start_ms), ("to-come", to_come.start_ms));
    assert_eq!(anew.recurrence, to_come.recurrence);
    assert!(anew.recurrence.is_some());
}

#[tokio::test]
async fn meetings_are_organised_anew_once_and_then_cancelled() {
    let s = Stage::kind().await;
    let (who, successor) = (id(&s.cast.plain), id(&s.cast.chief));
    let mut call = s.writing();
    let orphans = Attachment::OrphanMeetings {
        successor: successor.clone(),
    };
    let meetings = s
        .mailboxes()
        .attached(&mut call, &who, &Attachment::Meetings)
        .await
        .unwrap();
    assert_eq!(meetings.len(), 2);
    assert_eq!(
        s.mailboxes().attached(&mut call, &who, &orphans).await.unwrap(),
        meetings
    );
    let before = s.truth(|t| t.mailboxes.get(&successor.0).unwrap().events.len());
    for _twice in 0..2 {
        for meeting in &meetings {
            let Attached::Meeting(meeting) = meeting else {
                panic!("{meeting:?}")
            };
            let change = MailboxChange::HandOverMeeting {
                meeting: meeting.clone(),
                to: successor.clone(),
            };
            s.mailboxes().set(&mut call, &who, &change).await.unwrap();
        }
    }
    assert_eq!(
        s.truth(|t| t.mailboxes.get(&successor.0).unwrap().events.len()),
        before + 2
    );
    assert_eq!(s.mailboxes().attached(&mut call, &who, &orphans).await.unwrap(), []);
    for _twice in 0..2 {
        for meeting in &meetings {
            s.mailboxes().detach(&mut call, &who, meeting).await.unwrap();
        }
    }
    assert_eq!(
        s.mailboxes()
            .attached(&mut call, &who, &Attachment::Meetings)
            .await
            .unwrap(),
        []
    );
    assert_eq!(
        s.effects()
            .iter()
            .filter(|(e, ..)| *e == Effect::MeetingCancelled)
            .count(),
        2
    );
}
