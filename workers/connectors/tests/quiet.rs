//! What a connector says about its work: never a person, never a secret. By
//! itself in a process, because it listens to everything that is logged there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[expect(dead_code, reason = "most of it serves the other tests")]
#[path = "it/common.rs"]
mod common;
#[expect(dead_code, reason = "most of it serves the other tests")]
#[path = "it/google/stage.rs"]
mod google;
#[expect(dead_code, reason = "most of it serves the other tests")]
#[path = "it/sim/stage.rs"]
mod stage;

use offboard_connectors::graph::{Credential, HttpClient};
use offboard_connectors::ninja::{NinjaConnector, NinjaSettings, NinjaTags};
use offboard_connectors::scim::{MatchBy, Profile, ScimAccess, ScimConnector, ScimSettings};
use offboard_connectors::{
    AccountChange, Apps as _, Attachment, Call, Connector as _, DeviceAction, Directory, Fleet as _, Holding, Known,
    MailChange, MailboxChange, MailboxRight, Mark, MemberChange, MemberHolds, Phones, Whose, Workspace,
    WorkspaceMail as _,
};
use offboard_domain::departure::PersonRef;
use offboard_domain::{Fault, System};
use offboard_sim::face::{NinjaSimulator, ScimSimulator};
use offboard_sim::population::ADMIN_APP_SECRET;
use offboard_sim::world::Cruelty;
use offboard_sim::world::app::{App, AppUser, Habits};
use offboard_sim::world::fleet::{EndUser, Fleet, FleetHabits, Node};
use stage::{Stage, id};
use std::io::Write;
use std::sync::{Arc, Mutex};
use tracing_subscriber::fmt::MakeWriter;

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

/// The same in an application, which is asked for people by their names.
async fn in_an_app(s: &Stage) -> (Vec<Call>, Vec<Fault>) {
    const NAME: &str = "Canary.App\"\\@example.com";
    let users = [("u1".to_owned(), AppUser::named(NAME))];
    let app = Arc::new(Mutex::new(App::new(
        Habits::default(),
        "app-canary-token",
        users.into(),
    )));
    let simulator = ScimSimulator::start(Arc::clone(&app), Arc::new(|| stage::T0))
        .await
        .unwrap();
    let open = |token: &str| {
        let settings = ScimSettings {
            system: System::new("wiki").unwrap(),
            url: simulator.url().to_owned(),
            access: ScimAccess::Token(token.into()),
            authority_pem: None,
            matched: vec![MatchBy::UserName, MatchBy::Emails],
            profile: Profile::Put { text: false },
        };
        ScimConnector::open(&HttpClient::new().unwrap(), &settings).unwrap()
    };
    let who = Known {
        names: vec![NAME.to_owned()],
        ..Known::default()
    };
    let (mut call, mut faults) = (s.writing(), Vec::new());
    let scim = open("app-canary-token");
    let account = scim.find(&mut call, &who).await.unwrap().accounts.pop().unwrap();
    scim.deactivate(&mut call, &account).await.unwrap();
    // What was read is old by now.
    faults.extend(scim.deactivate(&mut call, &account).await.err());
    faults.extend(open("wrong-canary").find(&mut call, &who).await.err());
    assert_eq!(faults.len(), 2);
    let shown = format!("{scim:?} {account:?} {who:?} {:?}", scim.check(&mut call).await);
    assert!(!shown.to_lowercase().contains("canary"), "{shown}");
    (vec![call], faults)
}

/// The same in a remote management, where devices are called after people.
async fn in_a_management(s: &Stage) -> (Vec<Call>, Vec<Fault>) {
    let mut his = Node::of(7, "5CG1111");
    (his.owner, his.tags) = (Some("uid".to_owned()), [1].into());
    his.signed_in = vec!["CORP\\canary.leaver".to_owned()];
    let mut fleet = Fleet::new(FleetHabits::default(), [(41, his)].into());
    fleet.tags = [(1, "canary's own".to_owned())].into();
    fleet.users = vec![EndUser {
        organization: 7,
        uid: "uid".to_owned(),
        email: "canary.leaver@example.com".to_owned(),
    }];
    let fleet = Arc::new(Mutex::new(fleet));
    let simulator = NinjaSimulator::start(Arc::clone(&fleet), Arc::new(|| stage::T0)).await;
    let simulator = simulator.unwrap();
    let settings = NinjaSettings {
        system: System::new("rmm").unwrap(),
        url: simulator.url().to_owned(),
        client_id: "client".to_owned(),
        secret: "s3cret-canary".into(),
        organization_id: 7,
        tags: NinjaTags::default(),
        state_field: Some("state".to_owned()),
        script: None,
    };
    let open = |settings: &NinjaSettings| NinjaConnector::open(&HttpClient::new().unwrap(), settings).unwrap();
    let who = Whose {
        names: vec!["Canary.Leaver@example.com".to_owned()],
        shown_name: Some("Canary Leaver".to_owned()),
    };
    let (mut call, mut faults) = (s.writing(), Vec::new());
    let ninja = open(&settings);
    let found = ninja.of(&mut call, &who).await.unwrap();
    let device = id("41");
    // There is no such field.
    faults.extend(ninja.mark(&mut call, &device, Mark::PendingWipe).await.err());
    ninja.clear_owner(&mut call, &device).await.unwrap();
    ninja.decommission(&mut call, &device).await.unwrap();
    let mut wrong = settings.clone();
    wrong.secret = "wrong-canary".into();
    faults.extend(open(&wrong).of(&mut call, &who).await.err());
    assert_eq!(faults.len(), 2);
    let shown = format!(
        "{ninja:?} {settings:?} {found:?} {who:?} {:?}",
        ninja.check(&mut call).await
    );
    assert!(!shown.to_lowercase().contains("canary"), "{shown}");
    (vec![call], faults)
}

/// The same in a workspace, whose searches and settings are full of addresses.
async fn in_a_workspace() -> (Vec<Call>, Vec<Fault>) {
    let s = google::Stage::new().await;
    let workspace = s.open();
    let (mut call, mut faults) = (s.writing(), Vec::new());
    let who = Known {
        names: vec![google::address("anna")],
        ..Known::default()
    };
    let found = Workspace::find(&workspace, &mut call, &who)
        .await
        .unwrap()
        .pop()
        .unwrap();
    let successor = s.member(&workspace, google::SUCCESSOR).await;
    let mut shown = format!("{workspace:?} {found:?} {who:?}");
    for sort in [
        MemberHolds::Grants,
        MemberHolds::AppPasswords,
        MemberHolds::BackupCodes,
        MemberHolds::Groups,
        MemberHolds::Licences,
    ] {
        for one in workspace.held(&mut call, &found, sort).await.unwrap() {
            // Codes are taken all at once, by no DELETE.
            if sort != MemberHolds::BackupCodes {
                s.order("DELETE", Some(403), "forbidden", false);
            }
            faults.extend(workspace.take(&mut call, &found, sort, &one).await.err());
        }
    }
    for change in [
        MailChange::Reply {
            text: google::CANARY.to_owned(),
        },
        MailChange::ForwardTo(Box::new(successor.clone())),
        MailChange::LetIn(Box::new(successor)),
    ] {
        workspace.change_mail(&mut call, &found, &change).await.unwrap();
    }
    shown.push_str(&format!(
        "{:?}",
        workspace.mail_settings(&mut call, &found).await.unwrap()
    ));
    shown.push_str(&format!(
        "{:?}",
        Phones::phones(&workspace, &mut call, &found).await.unwrap()
    ));
    for change in [
        MemberChange::Password("Pw-kanarienvogel".into()),
        MemberChange::Suspend,
        MemberChange::TurnOffSecondFactor,
    ] {
        shown.push_str(&format!("{change:?}"));
        faults.extend(workspace.change(&mut call, &found.id, &change).await.err());
    }
    faults.extend(workspace.mail_settings(&mut call, &found).await.err());
    faults.extend(s.open().mail_settings(&mut call, &found).await.err());
    assert!(faults.len() > 8, "{faults:?}");
    shown.push_str(&format!("{:?}", workspace.check(&mut call).await));
    let lower = shown.to_lowercase();
    assert!(!lower.contains(google::CANARY) && !lower.contains("canary"), "{shown}");
    (vec![call], faults)
}

#[tokio::test]
async fn no_person_and_no_secret_is_in_any_fault_receipt_or_log() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let s = Stage::with(
        Cruelty {
            page_size: 2,
            ..Cruelty::kind()
        },
        false,
    )
    .await;
    let successor = id(&s.cast.chief);
    let mut calls = Vec::new();
    let mut faults: Vec<Fault> = Vec::new();
    for who in s.cast.leavers() {
        let who = id(who);
        let mut call = s.writing();
        let upn = s.person(&who).upn;
        let mut note = |f: Option<Fault>| faults.extend(f);
        let person = PersonRef {
            user_principal_name: Some(upn.clone()),
            mail: Some(upn),
            ..PersonRef::default()
        };
        s.directory().find(&mut call, &person).await.unwrap();
        for what in [
            Holding::Roles,
            Holding::Methods,
            Holding::Grants,
            Holding::AppRoles,
            Holding::Memberships,
            Holding::Ownerships,
        ] {
            let held = s.directory().holdings(&mut call, &who, what).await.unwrap();
            for answer in s.directory().remove_all(&mut call, &who, &held).await {
                note(answer.err());
            }
        }
        for change in [
            AccountChange::Disable,
            AccountChange::Password("Pw-Canary-9$x".into()),
            AccountChange::RevokeSessions,
        ] {
            note(s.directory().set(&mut call, &who, &change).await.err());
        }
        for change in [
            MailboxChange::BlockProtocols,
            MailboxChange::Hide,
            MailboxChange::Forward {
                to: Some("nobody-canary-x".into()),
            },
            MailboxChange::Grant {
                to: successor.clone(),
                right: MailboxRight::FullAccess,
            },
            MailboxChange::ConvertToShared,
        ] {
            note(s.mailboxes().set(&mut call, &who, &change).await.err());
        }
        for what in [
            Attachment::Rules,
            Attachment::DelegationsTo,
            Attachment::MobileDevices,
            Attachment::Meetings,
        ] {
            for one in s.mailboxes().attached(&mut call, &who, &what).await.unwrap() {
                assert!(!one.key().to_lowercase().contains("canary"), "{}", one.key());
                note(s.mailboxes().detach(&mut call, &who, &one).await.err());
            }
        }
        for one in s.held_on_others(&mut call, &who).await.unwrap() {
            assert!(!one.key().to_lowercase().contains("canary"), "{}", one.key());
            note(s.mailboxes().detach(&mut call, &who, &one).await.err());
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
    let (app_calls, app_faults) = in_an_app(&s).await;
    calls.extend(app_calls);
    faults.extend(app_faults);
    let (rmm_calls, rmm_faults) = in_a_management(&s).await;
    calls.extend(rmm_calls);
    faults.extend(rmm_faults);
    let (workspace_calls, workspace_faults) = in_a_workspace().await;
    calls.extend(workspace_calls);
    faults.extend(workspace_faults);
    assert!(faults.len() > 20, "enough was refused to look at: {}", faults.len());
    let mut texts: Vec<String> = faults.iter().map(|f| format!("{f} {f:?}")).collect();
    texts.extend(calls.iter().map(|c| format!("{c:?} {:?}", c.receipts())));
    texts.push(format!("{:?}", s.graph));
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        logged.contains("attempted=PATCH /users/{id}"),
        "our own lines are there"
    );
    texts.extend(logged.lines().map(str::to_owned));
    for text in texts {
        let lower = text.to_lowercase();
        assert!(!lower.contains("canary") && !lower.contains(ADMIN_APP_SECRET), "{text}");
        assert!(!lower.contains(google::CANARY), "{text}");
        assert!(!text.contains("eyJ"), "no token: {text}");
    }
}
