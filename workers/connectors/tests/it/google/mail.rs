//! Mail settings: read and changed as the person himself, while his account is
//! open.

use crate::google::stage::{CANARY, LEAVER, SUCCESSOR, Stage, address, quiet};
use offboard_connectors::{MailChange, WorkspaceMail as _};
use offboard_domain::FaultClass;
use offboard_sim::world::workspace::WorkspaceHabits;

#[tokio::test]
async fn what_the_mailbox_does_is_read_and_changed_and_twice_is_once() {
    let s = Stage::new().await;
    let google = s.open();
    let (leaver, successor) = (s.leaver(&google).await, s.member(&google, SUCCESSOR).await);
    let read = google.mail_settings(&mut s.reading(), &leaver).await.unwrap();
    assert!(read.reply.is_none() && !read.keeps_copy && read.delegates.is_empty());
    assert!(read.forwards_to.is_some());
    assert_eq!(read.forwarding_filters, ["f1"], "the other one forwards nothing");
    // All of it is there to be brought back, not its ids alone.
    let kept = read.whole["filters"]["filter"].as_array().unwrap();
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().any(|f| f["criteria"]["from"] == "canary"));
    assert_eq!(read.whole["autoForwarding"]["disposition"], "trash");
    assert!(read.whole["vacation"]["restrictToContacts"].is_boolean());
    assert_eq!(s.journal(), Vec::<String>::new());
    let text = "Gone & not back.\nAsk the desk.".to_owned();
    let changes = [
        MailChange::Reply { text },
        MailChange::ForwardTo(Box::new(successor.clone())),
        MailChange::LetIn(Box::new(successor.clone())),
    ];
    for change in changes.iter().chain(&changes) {
        google.change_mail(&mut s.writing(), &leaver, change).await.unwrap();
    }
    let read = google.mail_settings(&mut s.reading(), &leaver).await.unwrap();
    assert!(read.reply.unwrap().starts_with("Gone & not back."));
    assert!(successor.answers_to(&read.forwards_to.unwrap()) && read.keeps_copy);
    assert!(read.forwarding_filters.is_empty());
    assert_eq!(read.delegates, [address("berta")]);
    let mailbox = s.rows().users[LEAVER].mailbox.clone();
    assert_eq!(mailbox.filters.len(), 1, "a filter that forwards nothing stays");
    google
        .change_mail(&mut s.writing(), &leaver, &MailChange::StopForwarding)
        .await
        .unwrap();
    let read = google.mail_settings(&mut s.reading(), &leaver).await.unwrap();
    assert!(read.forwards_to.is_none());
    assert!(
        s.journal().iter().all(|line| line.ends_with(LEAVER)),
        "{:?}",
        s.journal()
    );
}

#[tokio::test]
async fn an_address_that_must_be_confirmed_waits_for_a_person() {
    let s = Stage::with(WorkspaceHabits {
        confirms_addresses: true,
        ..WorkspaceHabits::default()
    })
    .await;
    let google = s.open();
    let (leaver, successor) = (s.leaver(&google).await, s.member(&google, SUCCESSOR).await);
    let mut call = s.writing();
    let to = MailChange::ForwardTo(Box::new(successor));
    let fault = google.change_mail(&mut call, &leaver, &to).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Blocked);
    assert!(fault.detail.contains("confirm"), "{}", fault.detail);
    quiet(&fault, &call);
    let forwards = s.rows().users[LEAVER].mailbox.forwards.clone();
    assert!(forwards.unwrap().0.starts_with(CANARY), "nothing else was set");
}

#[tokio::test]
async fn of_a_suspended_account_nothing_is_read_or_set() {
    let s = Stage::new().await;
    let google = s.open();
    let leaver = s.leaver(&google).await;
    // With a token from before, and without one.
    for known in [true, false] {
        let google = if known { &google } else { &s.open() };
        if known {
            google.mail_settings(&mut s.reading(), &leaver).await.unwrap();
        }
        s.edit_leaver(|u| u.suspended = true);
        let mut call = s.writing();
        let fault = google.mail_settings(&mut call, &leaver).await.unwrap_err();
        let class = if known {
            FaultClass::Blocked
        } else {
            FaultClass::Transient
        };
        assert_eq!(fault.class, class, "{fault:?}");
        quiet(&fault, &call);
        let change = MailChange::StopForwarding;
        assert!(google.change_mail(&mut s.writing(), &leaver, &change).await.is_err());
    }
    assert_eq!(s.journal(), Vec::<String>::new());
}
