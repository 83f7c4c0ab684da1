//! Every fault as the class that it is, and no person in any of it.

use crate::common::directory_of;
use crate::sim::stage::{Stage, id};
use offboard_connectors::{AccountChange, Attachment, DeviceAction, Held, Holding, LicenceOrigin, MailboxChange};
use offboard_domain::{Fault, FaultClass};
use offboard_sim::population::ADMIN_APP;
use offboard_sim::world::{Cruelty, Fault as Trouble, Op};

#[tokio::test]
async fn each_trouble_is_of_its_class_for_reads_and_writes() {
    use FaultClass::{Throttled, Transient, Unknown};
    let s = Stage::kind().await;
    let who = id(&s.cast.plain);
    let throttled = |s: Option<u64>| Trouble::Throttled { retry_after_s: s };
    for (trouble, read, write) in [
        (
            throttled(Some(17)),
            Throttled {
                retry_after_ms: Some(17_000),
            },
            Throttled {
                retry_after_ms: Some(17_000),
            },
        ),
        (
            throttled(None),
            Throttled { retry_after_ms: None },
            Throttled { retry_after_ms: None },
        ),
        (Trouble::Unavailable(502), Transient, Transient),
        (Trouble::Unavailable(504), Transient, Transient),
        (Trouble::TimeoutAfter, Transient, Transient),
        (Trouble::ResetBefore, Transient, Unknown),
        (Trouble::ResetAfter, Transient, Unknown),
    ] {
        s.order(Op::GetUser, trouble);
        let fault = s.directory().account(&mut s.reading(), &who).await.unwrap_err();
        assert_eq!(fault.class, read, "{trouble:?}: {fault}");
        s.order(Op::RevokeSessions, trouble);
        let fault = s
            .directory()
            .set(&mut s.writing(), &who, &AccountChange::RevokeSessions)
            .await
            .unwrap_err();
        assert_eq!(fault.class, write, "{trouble:?}: {fault}");
        s.order(Op::CmdletWrite, trouble);
        let fault = s
            .mailboxes()
            .set(&mut s.writing(), &who, &MailboxChange::Hide)
            .await
            .unwrap_err();
        assert_eq!(fault.class, write, "{trouble:?}: {fault}");
        // What was throttled stays so for as long as was said.
        s.clock.advance(60_000);
    }
    // A token that dies is renewed, and nobody notices.
    s.order(Op::GetUser, Trouble::TokenDead);
    s.directory().account(&mut s.reading(), &who).await.unwrap();
}

#[tokio::test]
async fn who_is_told_to_wait_sends_no_further_batch_before() {
    let s = Stage::kind().await;
    let who = id(&s.cast.plain);
    let all: Vec<Held> = (0..45)
        .map(|n| Held::Membership {
            group: directory_of(&format!("22222222-2222-4222-8222-{n:012}")),
        })
        .collect();
    s.order(
        Op::Batch,
        Trouble::Throttled {
            retry_after_s: Some(17),
        },
    );
    let answers = s.directory().remove_all(&mut s.writing(), &who, &all).await;
    let told = FaultClass::Throttled {
        retry_after_ms: Some(17_000),
    };
    assert!(answers.iter().all(|a| a.as_ref().unwrap_err().class == told));
    assert_eq!(s.world().impatient(), 0);
    s.clock.advance(17_000);
    let answers = s.directory().remove_all(&mut s.writing(), &who, &all).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(s.world().impatient(), 0);
}

#[tokio::test]
async fn a_wipe_without_a_sure_answer_is_unknown() {
    let s = Stage::kind().await;
    let device = s
        .devices()
        .of(&mut s.reading(), &id(&s.cast.lost_laptop))
        .await
        .unwrap()
        .remove(0);
    let wipe = DeviceAction::Wipe {
        keep_enrollment: false,
        unlock_code: None,
    };
    // It may have had another life.
    let before = s
        .devices()
        .managed(&mut s.reading(), &device.at)
        .await
        .unwrap()
        .unwrap();
    for trouble in [Trouble::Unavailable(504), Trouble::ResetBefore] {
        s.order(Op::WipeDevice, trouble);
        let fault = s.devices().act(&mut s.writing(), &device.at, wipe).await.unwrap_err();
        assert_eq!(fault.class, FaultClass::Unknown, "{trouble:?}");
    }
    s.order(Op::WipeDevice, Trouble::ResetAfter);
    let fault = s.devices().act(&mut s.writing(), &device.at, wipe).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Unknown);
    let record = s
        .devices()
        .managed(&mut s.reading(), &device.at)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        record.action("wipe").unwrap().state,
        "pending",
        "it had happened, and a read says so"
    );
    assert_eq!(record.actions.len(), before.actions.len() + 1);
}

#[tokio::test]
async fn a_missing_permission_is_denied_and_named() {
    let s = Stage::kind().await;
    let who = id(&s.cast.plain);
    s.arrange(|t| {
        let app = t.apps.get_mut(ADMIN_APP).unwrap();
        for permission in [
            "User.RevokeSessions.All",
            "User.ReadWrite.All",
            "Directory.ReadWrite.All",
            "MailboxSettings.Read",
            "MailboxSettings.ReadWrite",
        ] {
            app.graph_roles.remove(permission);
        }
        app.entra_roles.clear();
    });
    let fault = s
        .directory()
        .set(&mut s.writing(), &who, &AccountChange::RevokeSessions)
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Denied);
    assert!(fault.detail.contains("User.RevokeSessions.All"), "{fault}");
    let fault = s.mailboxes().settings(&mut s.reading(), &who).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Denied);
    let fault = s.mailboxes().mailbox(&mut s.reading(), &who).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Denied);
    assert!(fault.detail.contains("Exchange Administrator"), "{fault}");
}

/// Tries until it works, as the schedule of the domain would; whatever a bad
/// day brings must be of a class that passes by itself.
async fn persist(s: &Stage, what: &str, mut work: impl AsyncFnMut() -> Result<(), Fault>) {
    const TRIES: u32 = 60;
    for _try in 0..TRIES {
        let fault = match work().await {
            Ok(()) => return,
            Err(fault) => fault,
        };
        let wait_ms = match fault.class {
            FaultClass::Throttled { retry_after_ms } => retry_after_ms.unwrap_or(30_000),
            FaultClass::Transient | FaultClass::Unknown | FaultClass::Absent => 60_000,
            // Every look at his roles lagged: a person is asked and says "again".
            FaultClass::Blocked if fault.status == Some(403) => 60_000,
            other => panic!("{what}: a bad day was taken for {other:?}: {fault}"),
        };
        s.clock.advance(wait_ms);
    }
    panic!("{what} never worked");
}

#[tokio::test]
async fn on_the_worst_of_days_every_fault_passes_by_itself() {
    for cruelty in [
        Cruelty::real(),
        Cruelty {
            sync_interval_ms: 0,
            colleague_permille: 0,
            ..Cruelty::cruel()
        },
    ] {
        let s = Stage::with(cruelty, true).await;
        for who in [&s.cast.privileged, &s.cast.plain, &s.cast.devices, &s.cast.forwarder] {
            let who = id(who);
            persist(&s, "licences that a group with roles may give", async || {
                let held = s.licenses().held(&mut s.reading(), &who).await?;
                let given = held.into_iter().filter(|l| matches!(l.origin, LicenceOrigin::Group(_)));
                let skus: Vec<String> = given.map(|l| l.sku_id).collect();
                s.licenses().assign(&mut s.writing(), &who, &skus).await
            })
            .await;
            for what in [Holding::Roles, Holding::Grants, Holding::AppRoles] {
                persist(&s, &format!("{what:?}"), async || {
                    let mut call = s.writing();
                    let held = s.directory().holdings(&mut call, &who, what).await?;
                    s.directory()
                        .remove_all(&mut call, &who, &held)
                        .await
                        .into_iter()
                        .collect()
                })
                .await;
                if what == Holding::Roles {
                    // The directory takes a while to forget that he was privileged.
                    for change in [AccountChange::Disable, AccountChange::Password("Xk9$mmnp-Long".into())] {
                        persist(&s, "burst", async || {
                            s.directory().set(&mut s.writing(), &who, &change).await
                        })
                        .await;
                    }
                }
            }
            persist(&s, "methods", async || {
                // Each pass takes what goes; the default method goes in the last.
                let mut call = s.writing();
                let mut done = Ok(());
                for held in s.directory().holdings(&mut call, &who, Holding::Methods).await? {
                    if let Err(fault) = s.directory().remove(&mut call, &who, &held).await {
                        done = Err(fault);
                    }
                }
                done
            })
            .await;
            for what in [Attachment::Rules, Attachment::DelegationsTo, Attachment::MobileDevices] {
                persist(&s, &format!("{what:?}"), async || {
                    let mut call = s.writing();
                    for one in s.mailboxes().attached(&mut call, &who, &what).await? {
                        s.mailboxes().detach(&mut call, &who, &one).await?;
                    }
                    Ok(())
                })
                .await;
            }
            let (mut others, mut on) = (Vec::new(), Vec::new());
            let mut from: Option<String> = None;
            let mut whole = false;
            persist(&s, "the list of others' mailboxes", async || {
                // What was read stays read.
                while !whole {
                    let page = s.mailboxes().others(&mut s.reading(), &who, from.as_deref()).await?;
                    others.extend(page.others);
                    on.extend(page.shown);
                    whole = page.next.is_none();
                    from = page.next;
                }
                Ok(())
            })
            .await;
            for some in others.chunks(5) {
                persist(&s, "a look at others' mailboxes", async || {
                    on.extend(s.mailboxes().held_among(&mut s.reading(), &who, some).await?);
                    Ok(())
                })
                .await;
            }
            on.sort_unstable();
            on.dedup();
            let what = Attachment::DelegationsOn { others: on };
            persist(&s, "delegations on others' mailboxes", async || {
                let mut call = s.writing();
                for one in s.mailboxes().attached(&mut call, &who, &what).await? {
                    s.mailboxes().detach(&mut call, &who, &one).await?;
                }
                Ok(())
            })
            .await;
            for change in [
                MailboxChange::BlockProtocols,
                MailboxChange::Hide,
                MailboxChange::ConvertToShared,
            ] {
                persist(&s, &format!("{change:?}"), async || {
                    s.mailboxes().set(&mut s.writing(), &who, &change).await
                })
                .await;
            }
            persist(&s, "site", async || {
                let mut call = s.writing();
                let site = s.documents().site(&mut call, &who).await?.unwrap();
                s.documents()
                    .add_administrator(&mut call, &site, &id(&s.cast.chief))
                    .await
            })
            .await;
        }
        assert!(s.world().violations().is_empty(), "{:?}", s.world().violations());
    }
}
