//! Mailboxes and what hangs on them.

use crate::sim::stage::{Stage, T0, id};
use offboard_connectors::{
    Attached, Attachment, AutomaticReply, Call, DelegationRight, Direction, ForwardTo, Forwarding, MailboxChange,
    MailboxRight, MobileWipe, Protocol, SharedFolder,
};
use offboard_domain::{FaultClass, ObjectId};
use offboard_sim::world::model::{Event, InboxRule, Recurrence, UNSET_PROTOCOL, Until};
use offboard_sim::world::{Cruelty, Effect, Fault, Op};
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

/// Belief: a protocol that nobody has switched for a mailbox is null, and as the
/// organisation has it.
#[tokio::test]
async fn a_protocol_that_nobody_has_switched_is_open() {
    let s = Stage::kind().await;
    let who = id(&s.cast.plain);
    s.arrange(|t| {
        let mailbox = t.mailboxes.edit_silently(&who.0).unwrap();
        for (name, on) in &mut mailbox.protocols {
            if *name != UNSET_PROTOCOL {
                *on = Some(false);
            }
        }
        mailbox.smtp_auth_disabled = Some(true);
    });
    let mut call = s.writing();
    let open = async |call: &mut Call| {
        let what = Attachment::Protocols;
        s.mailboxes().attached(call, &who, &what).await.unwrap()
    };
    let ews = Attached::Protocol {
        protocol: Protocol::Ews,
    };
    assert_eq!(open(&mut call).await, [ews]);
    s.mailboxes()
        .set(&mut call, &who, &MailboxChange::BlockProtocols)
        .await
        .unwrap();
    assert_eq!(open(&mut call).await, []);
    let left = s.truth(|t| t.mailboxes.get(&who.0).unwrap().protocols.clone());
    assert!(left.values().all(|on| *on == Some(false)), "{left:?}");
}

/// Beliefs: a mailbox that nobody ever opened has no statistics, and its folders are
/// listed all the same.
#[tokio::test]
async fn a_mailbox_without_statistics_is_empty_only_if_its_folders_are() {
    let s = Stage::with(
        Cruelty {
            statistics_missing_permille: 1_000,
            ..Cruelty::kind()
        },
        false,
    )
    .await;
    let big = id(&s.cast.big_mailbox);
    let fault = s.mailboxes().usage(&mut s.reading(), &big).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Transient, "{fault}");
    s.arrange(|t| {
        let mailbox = t.mailboxes.edit_silently(&big.0).unwrap();
        (mailbox.size_bytes, mailbox.items) = (0, 0);
        mailbox.events.clear();
    });
    let usage = s.mailboxes().usage(&mut s.reading(), &big).await.unwrap();
    assert_eq!((usage.size_bytes, usage.items), (0, 0));
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
        for (direction, expected) in [(Direction::ToOther, 8), (Direction::FromOther, 6)] {
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

/// Beliefs: every folder has rights of its own; its type is in no language; commands
/// take its id for its path.
#[tokio::test]
async fn each_folder_in_any_language_is_shared_and_closed_by_itself() {
    for (calendar, own) in [("Calendar", "/Posteingang"), ("Kalender", "/Inbox")] {
        let s = Stage::kind().await;
        let (who, other, chief) = (id(&s.cast.plain), id(&s.cast.devices), id(&s.cast.chief));
        let (within, further) = (format!("{own}/2026"), format!("/{calendar}/Away"));
        s.arrange(|t| {
            calendar.clone_into(&mut t.mailboxes.edit_silently(&who.0).unwrap().calendar.name);
            for path in [own, within.as_str(), further.as_str()] {
                t.add_own_folder(&who.0, path, None);
            }
            for (folder, to, right) in [
                ("Inbox", &other, "Editor"),
                ("Inbox", &chief, "Reviewer"),
                ("Contacts", &other, "Reviewer"),
                ("Root", &other, "FolderVisible"),
                // Nothing is held by an entry that gives nothing.
                ("Notes", &other, "None"),
                (own, &other, "Author"),
                // Not looked at: it is within another one.
                (within.as_str(), &other, "Author"),
                (further.as_str(), &other, "Editor"),
            ] {
                t.share_folder(&who.0, folder, &to.0, right);
            }
        });
        let mut call = s.writing();
        let read = async |call: &mut Call| {
            let what = Attachment::DelegationsTo;
            s.mailboxes().attached(call, &who, &what).await.unwrap()
        };
        let found = read(&mut call).await;
        let mut keys: BTreeSet<String> = found.iter().map(Attached::key).collect();
        assert_eq!((found.len(), keys.len()), (6, 6), "{keys:?}");
        for (folder, to) in [
            ("inbox", &other),
            ("inbox", &chief),
            ("contacts", &other),
            ("root", &other),
        ] {
            assert!(keys.contains(&format!("{folder}.to.{to}")), "{folder} of {keys:?}");
        }
        assert_eq!(keys.iter().filter(|key| key.starts_with("folder_")).count(), 2);
        let inbox = format!("inbox.to.{other}");
        let one = found.iter().find(|a| a.key() == inbox).unwrap();
        for _twice in 0..2 {
            s.mailboxes().detach(&mut call, &who, one).await.unwrap();
        }
        keys.remove(&inbox);
        let left: BTreeSet<String> = read(&mut call).await.iter().map(Attached::key).collect();
        assert_eq!(
            left, keys,
            "the chief's right on it, and the other's on other folders, are left"
        );
        let removed = [(Effect::FolderAccessRemoved, other.0.clone(), who.0.clone())];
        assert_eq!(s.effects(), removed);
    }
}

#[tokio::test]
async fn who_is_in_no_directory_loses_his_right_by_the_name_that_is_shown() {
    let s = Stage::kind().await;
    let who = id(&s.cast.sole_owner);
    let mut call = s.writing();
    let unknown = async |call: &mut Call| -> Vec<Attached> {
        let what = Attachment::DelegationsTo;
        let mut held = s.mailboxes().attached(call, &who, &what).await.unwrap();
        held.retain(|a| matches!(a, Attached::Delegation(d) if d.other.is_none()));
        held
    };
    let held = unknown(&mut call).await;
    let [entry @ Attached::Delegation(d)] = held.as_slice() else {
        panic!("{held:?}")
    };
    assert_eq!(d.right, DelegationRight::Folder(SharedFolder::Tasks));
    assert!(!entry.key().contains(&d.other_name), "{}", entry.key());
    for _twice in 0..2 {
        s.mailboxes().detach(&mut call, &who, entry).await.unwrap();
    }
    assert_eq!(unknown(&mut call).await, []);
    let left = s.truth(|t| t.folder_sharing.get(&who.0).unwrap().shared.clone());
    assert_eq!((left["Tasks"].len(), left["Contacts"].len()), (0, 1));
}

#[tokio::test]
async fn a_folder_that_goes_between_list_and_look_is_gone_unless_it_is_listed_again() {
    /// The mailbox, who may open it, who may send as it, and its folders.
    const BEFORE: u32 = 4;
    /// Exchange's own folders that are asked, and the one that goes.
    const ASKED: u32 = 15;
    for listed_again in [false, true] {
        let s = Stage::kind().await;
        let (who, other) = (id(&s.cast.plain), id(&s.cast.devices));
        s.arrange(|t| {
            t.add_own_folder(&who.0, "/Old", Some(T0 - 1_000));
            t.share_folder(&who.0, "/Old", &other.0, "Editor");
        });
        // A replica that lags lists it, and the next one does not find it.
        let (lagging, prompt) = (Fault::Lagging { lag_ms: 5_000 }, Fault::Lagging { lag_ms: 0 });
        s.world().order(Op::CmdletRead, lagging, BEFORE);
        s.world().order(Op::CmdletRead, prompt, ASKED);
        if listed_again {
            s.world().order(Op::CmdletRead, lagging, 1);
        }
        let what = Attachment::DelegationsTo;
        match s.mailboxes().attached(&mut s.reading(), &who, &what).await {
            Ok(held) => assert!(!listed_again && held.is_empty(), "{held:?}"),
            Err(fault) => assert_eq!((listed_again, fault.class), (true, FaultClass::Transient), "{fault}"),
        }
    }
}

#[tokio::test]
async fn of_many_folders_each_is_asked_and_more_than_can_be_are_for_a_person() {
    let s = Stage::kind().await;
    let (who, other) = (id(&s.cast.plain), id(&s.cast.devices));
    s.arrange(|t| {
        for n in 0..60 {
            t.add_own_folder(&who.0, &format!("/{n:02}"), None);
        }
        for folder in ["Inbox", "/00", "/59"] {
            t.share_folder(&who.0, folder, &other.0, "Editor");
        }
    });
    let what = Attachment::DelegationsTo;
    let held = s.mailboxes().attached(&mut s.reading(), &who, &what).await.unwrap();
    let keys: Vec<String> = held.iter().map(Attached::key).collect();
    assert_eq!(keys.len(), 3, "{keys:?}");
    assert!(keys.contains(&format!("inbox.to.{other}")), "{keys:?}");
    s.arrange(|t| {
        for n in 60..400 {
            t.add_own_folder(&who.0, &format!("/{n:03}"), None);
        }
    });
    let fault = s.mailboxes().attached(&mut s.reading(), &who, &what).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Blocked, "{fault}");
    assert!(fault.detail.contains("by hand"), "{fault}");
    // What is held on the whole of it needs no folder.
    let rights = s
        .mailboxes()
        .attached(&mut s.reading(), &who, &Attachment::RightsTo)
        .await;
    assert_eq!(rights.unwrap().len(), 0);
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
async fn a_series_goes_over_from_its_next_meeting_on_and_one_that_is_over_is_left_alone() {
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
        ten_weeks("to-come", T0 - 9 * 86_400_000),
    );
    s.arrange(|t| {
        let mailbox = t.mailboxes.edit(&who.0, T0).unwrap();
        mailbox.events = vec![over, to_come];
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
    // Nobody is invited to the two that are over, and eight are left.
    let next_ms = T0 + 5 * 86_400_000;
    assert_eq!((anew.subject.as_str(), anew.start_ms), ("to-come", next_ms));
    assert_eq!(anew.end_ms, next_ms + 3_600_000);
    assert_eq!(anew.recurrence, Some(Recurrence::weekly(next_ms, Until::Count(8))));
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

/// Belief: `-User` and `-Trustee` find an account without a mailbox by its id.
#[tokio::test]
async fn what_an_account_without_a_mailbox_holds_on_others_is_found_and_goes() {
    let s = Stage::kind().await;
    let (who, owner) = (id(&s.cast.break_glass), id(&s.cast.plain));
    assert_eq!(s.mailboxes().mailbox(&mut s.reading(), &who).await.unwrap(), None);
    s.arrange(|t| {
        let mailbox = t.mailboxes.edit_silently(&owner.0).unwrap();
        mailbox.full_access.insert(who.0.clone());
        mailbox.send_as.insert(who.0.clone());
        mailbox.send_on_behalf.insert(who.0.clone());
    });
    let mut call = s.writing();
    let page = s.mailboxes().others(&mut call, &who, None).await.unwrap();
    assert!(!page.own, "he has none");
    assert!(page.shown.contains(&owner), "{:?}", page.shown);
    let on = s.mailboxes().held_among(&mut call, &who, &page.others).await.unwrap();
    assert_eq!(on, std::slice::from_ref(&owner));
    let what = Attachment::DelegationsOn {
        others: vec![owner.clone()],
    };
    let held = s.mailboxes().attached(&mut call, &who, &what).await.unwrap();
    assert_eq!(held.len(), 3, "{held:?}");
    for one in &held {
        s.mailboxes().detach(&mut call, &who, one).await.unwrap();
    }
    assert_eq!(s.mailboxes().attached(&mut call, &who, &what).await.unwrap(), []);
}

/// Belief: an account of the directory is found by its id, whether or not it has an address.
#[tokio::test]
async fn whose_account_exchange_does_not_know_is_not_said_to_hold_nothing() {
    let s = Stage::kind().await;
    let (who, owner) = (id(&s.cast.break_glass), id(&s.cast.plain));
    let stranger = ObjectId::from("99999999-9999-4999-8999-999999999999");
    let mut call = s.reading();
    assert!(s.mailboxes().knows(&mut call, &who).await.unwrap());
    assert!(!s.mailboxes().knows(&mut call, &stranger).await.unwrap());
    // Of a mailbox that went since it was listed, it is the mailbox that is not found.
    let gone = ObjectId::from("88888888-8888-4888-8888-888888888888");
    let on = s.mailboxes().held_among(&mut call, &who, &[gone]).await.unwrap();
    assert!(on.is_empty(), "{on:?}");
    let fault = s.mailboxes().held_among(&mut call, &stranger, &[owner]).await;
    assert_eq!(fault.unwrap_err().class, FaultClass::Transient);
}
