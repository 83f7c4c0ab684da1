//! Every fault as the class that it is, and no person in any of it.

use crate::stage::{Stage, id};
use offboard_connectors::graph::Credential;
use offboard_connectors::{
    AccountChange, Attachment, DeviceAction, Directory, Holding, MailboxChange, MailboxRight,
};
use offboard_domain::departure::PersonRef;
use offboard_domain::{Fault, FaultClass};
use offboard_sim::population::{ADMIN_APP, ADMIN_APP_SECRET};
use offboard_sim::world::{Cruelty, Fault as Trouble, Op};
use std::io::Write;
use std::sync::{Arc, Mutex};
use tracing_subscriber::fmt::MakeWriter;

#[tokio::test]
async fn each_trouble_is_of_its_class_for_reads_and_writes() {
    use FaultClass::{Throttled, Transient, Unknown};
    let s = Stage::kind().await;
    let who = id(&s.cast.plain);
    let throttled = |s: Option<u64>| Trouble::Throttled { retry_after_s: s };
    for (trouble, read, write) in [
        (throttled(Some(17)), Throttled { retry_after_ms: Some(17_000) }, Throttled { retry_after_ms: Some(17_000) }),
        (throttled(None), Throttled { retry_after_ms: None }, Throttled { retry_after_ms: None }),
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
        let fault = s.directory().set(&mut s.writing(), &who, &AccountChange::RevokeSessions).await.unwrap_err();
        assert_eq!(fault.class, write, "{trouble:?}: {fault}");
        s.order(Op::CmdletWrite, trouble);
        let fault = s.mailboxes().set(&mut s.writing(), &who, &MailboxChange::Hide).await.unwrap_err();
        assert_eq!(fault.class, write, "{trouble:?}: {fault}");
        // What was throttled stays so for as long as was said.
        s.clock.advance(60_000);
    }
    // A token that dies is renewed, and nobody notices.
    s.order(Op::GetUser, Trouble::TokenDead);
    s.directory().account(&mut s.reading(), &who).await.unwrap();
}

#[tokio::test]
async fn a_wipe_without_a_sure_answer_is_unknown() {
    let s = Stage::kind().await;
    let device = s.devices().of(&mut s.reading(), &id(&s.cast.lost_laptop)).await.unwrap().remove(0);
    let wipe = DeviceAction::Wipe { keep_enrollment: false };
    for trouble in [Trouble::Unavailable(504), Trouble::ResetBefore] {
        s.order(Op::WipeDevice, trouble);
        let fault = s.devices().act(&mut s.writing(), &device.at, wipe).await.unwrap_err();
        assert_eq!(fault.class, FaultClass::Unknown, "{trouble:?}");
    }
    s.order(Op::WipeDevice, Trouble::ResetAfter);
    let fault = s.devices().act(&mut s.writing(), &device.at, wipe).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Unknown);
    let record = s.devices().managed(&mut s.reading(), &device.at).await.unwrap().unwrap();
    assert_eq!(record.action("wipe").unwrap().state, "pending", "it had happened, and a read says so");
    assert_eq!(record.actions.len(), 1);
}

#[tokio::test]
async fn a_missing_permission_is_denied_and_named() {
    let s = Stage::kind().await;
    let who = id(&s.cast.plain);
    s.arrange(|t| {
        let app = t.apps.get_mut(ADMIN_APP).unwrap();
        for permission in ["User.RevokeSessions.All", "User.ReadWrite.All", "Directory.ReadWrite.All", "MailboxSettings.Read", "MailboxSettings.ReadWrite"] {
            app.graph_roles.remove(permission);
        }
        app.entra_roles.clear();
    });
    let fault = s.directory().set(&mut s.writing(), &who, &AccountChange::RevokeSessions).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Denied);
    assert!(fault.detail.contains("User.RevokeSessions.All"), "{fault}");
    let fault = s.mailboxes().settings(&mut s.reading(), &who).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Denied);
    let fault = s.mailboxes().mailbox(&mut s.reading(), &who).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Denied);
    assert!(fault.detail.contains("Exchange Administrator"), "{fault}");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_person_and_no_secret_is_in_any_fault_receipt_or_log() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let s = Stage::with(Cruelty { page_size: 2, ..Cruelty::kind() }, false).await;
    let successor = id(&s.cast.chief);
    let mut calls = Vec::new();
    let mut faults: Vec<Fault> = Vec::new();
    for who in s.cast.leavers() {
        let who = id(who);
        let mut call = s.writing();
        let upn = s.person(&who).upn;
        let mut note = |f: Option<Fault>| faults.extend(f);
        let person = PersonRef { user_principal_name: Some(upn.clone()), mail: Some(upn), ..PersonRef::default() };
        s.directory().find(&mut call, &person).await.unwrap();
        for what in [Holding::Roles, Holding::Methods, Holding::Grants, Holding::AppRoles, Holding::Memberships, Holding::Ownerships] {
            let held = s.directory().holdings(&mut call, &who, what).await.unwrap();
            for answer in s.directory().remove_all(&mut call, &who, &held).await {
                note(answer.err());
            }
        }
        for change in [AccountChange::Disable, AccountChange::Password("Pw-Canary-9$x".into()), AccountChange::RevokeSessions] {
            note(s.directory().set(&mut call, &who, &change).await.err());
        }
        for change in [
            MailboxChange::BlockProtocols,
            MailboxChange::Hide,
            MailboxChange::Forward { to: Some("nobody-canary-x".into()) },
            MailboxChange::Grant { to: successor.clone(), right: MailboxRight::FullAccess },
            MailboxChange::ConvertToShared,
        ] {
            note(s.mailboxes().set(&mut call, &who, &change).await.err());
        }
        for what in [Attachment::Rules, Attachment::DelegationsTo, Attachment::DelegationsFrom, Attachment::MobileDevices, Attachment::Meetings] {
            for one in s.mailboxes().attached(&mut call, &who, &what).await.unwrap() {
                assert!(!one.key().to_lowercase().contains("canary"), "{}", one.key());
                note(s.mailboxes().detach(&mut call, &who, &one).await.err());
            }
        }
        for device in s.devices().of(&mut call, &who).await.unwrap() {
            s.devices().recovery_keys(&mut call, &device.at).await.unwrap();
            note(s.devices().act(&mut call, &device.at, DeviceAction::Retire).await.err());
        }
        let missing = id("canary-nobody");
        note(s.directory().account(&mut call, &missing).await.err());
        note(s.mailboxes().set(&mut call, &missing, &MailboxChange::Hide).await.err());
        calls.push(call);
    }
    let wrong = s.anew(Credential::Secret("wrong-canary".into()));
    faults.extend(Directory::account(&wrong, &mut s.reading(), &successor).await.err());
    assert!(faults.len() > 20, "enough was refused to look at: {}", faults.len());
    let mut texts: Vec<String> = faults.iter().map(|f| format!("{f} {f:?}")).collect();
    texts.extend(calls.iter().map(|c| format!("{c:?} {:?}", c.receipts())));
    texts.push(format!("{:?}", s.graph));
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("attempted=PATCH /users/{id}"), "our own lines are there");
    texts.extend(logged.lines().map(str::to_owned));
    for text in texts {
        let lower = text.to_lowercase();
        assert!(!lower.contains("canary") && !lower.contains(ADMIN_APP_SECRET), "{text}");
        assert!(!text.contains("eyJ"), "no token: {text}");
    }
}
