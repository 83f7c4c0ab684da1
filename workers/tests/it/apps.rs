//! A departure's tasks in an application, attempt by attempt, against a real
//! SCIM server (scim2-server): found, recorded, ended, read again, and undone by
//! somebody else.

use crate::stage::One;
use offboard_connectors::graph::HttpClient;
use offboard_connectors::scim::{MatchBy, Profile, ScimAccess, ScimConnector, ScimSettings};
use offboard_domain::catalogue::apps::{DIRECTORY_ID, NAMES, PROTECTED};
use offboard_domain::{
    Assignment, CaseId, Check, Digest, Facts, FaultClass, Find, Kind, Lane, Mode, ObjectId, Observation, Report, Said,
    Subject, System, Target, TaskId, TenantId, Verdict, judge,
};
use offboard_runtime::{Clock as _, SystemClock};
use offboard_servers::{Scim, ScimOptions};
use offboard_store::Store;
use offboard_workers::{Context, attempt};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

/// Is in every name; and in no report.
const CANARY: &str = "kanarienvogel";

/// An app, and a worker that serves it.
struct Desk {
    server: Scim,
    context: Context,
    names: Vec<String>,
}

fn wiki() -> System {
    System::new("wiki").unwrap()
}

impl Desk {
    fn with(options: ScimOptions, profile: Profile) -> Self {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let server = Scim::start(&target.join("test-venv"), options).unwrap();
        let settings = ScimSettings {
            system: wiki(),
            url: server.url(),
            access: ScimAccess::Token(server.token().into()),
            authority_pem: None,
            matched: vec![MatchBy::UserName, MatchBy::Emails],
            profile,
        };
        let app = ScimConnector::open(&HttpClient::new().unwrap(), &settings).unwrap();
        let context = Context {
            store: Store::memory(),
            connectors: Arc::new(One(Arc::new(app))),
            escrow: None,
            clock: Arc::new(SystemClock),
        };
        let names = vec![format!("ann.{CANARY}@example.com"), format!("{CANARY}\"\\@example.com")];
        Self { server, context, names }
    }

    /// Somebody in the app.
    fn make(&self, user_name: &str) -> String {
        let whole = json!({"userName": user_name, "active": true, "displayName": CANARY});
        self.server.make(&whole).unwrap()
    }

    async fn attempt(&self, kind: Kind, object: Option<&ObjectId>, params: &Facts, checks: Vec<Check>) -> Said {
        let tenant = TenantId::new("acme").unwrap();
        let case = CaseId::derive(&tenant, "HR-1");
        let params = params
            .clone()
            .with(NAMES, self.names.clone())
            .with(DIRECTORY_ID, "d-1")
            .with(PROTECTED, vec![format!("owner.{CANARY}@example.com")]);
        let assignment = Assignment {
            tenant,
            case,
            task: TaskId::derive(case, kind.name(), &wiki(), object),
            attempt: 1,
            kind,
            target: Target {
                system: wiki(),
                object: object.cloned(),
            },
            subject: Subject::default(),
            params,
            mode: Mode::Full,
            checkpoint: None,
            checks,
            start_by: SystemClock.now().plus(60_000),
            run_for_ms: kind.spec().run_for_ms,
            version: 3,
            head: Digest::ZERO,
            traceparent: None,
        };
        let report: Report = attempt(&assignment, Lane::Normal, false, &self.context).await;
        let text = serde_json::to_string(&report).unwrap();
        let named = text.to_lowercase().contains(CANARY);
        assert!(!named && !text.contains(self.server.token()), "{text}");
        report.said
    }

    async fn find(&self) -> (Observation, Vec<Find>) {
        match self.attempt(Kind::ResolveInApp, None, &Facts::new(), Vec::new()).await {
            Said::Found { observation, finds } => (observation, finds),
            said => panic!("{said:?}"),
        }
    }

    async fn end(&self, find: &Find) -> Said {
        self.attempt(find.kind, Some(&find.object), &find.params, Vec::new())
            .await
    }
}

fn verdict(kind: Kind, seen: &Observation) -> Verdict {
    judge(kind, &Facts::new(), &seen.facts, None)
}

async fn ends_his_account_alone(desk: &Desk, kind: Kind) {
    let his = desk.make(&desk.names[0].to_uppercase());
    let other = desk.make("somebody@example.com");
    let untouched = desk.server.look(&other).unwrap();
    let (seen, finds) = desk.find().await;
    assert_eq!(verdict(Kind::ResolveInApp, &seen), Verdict::Satisfied);
    assert_eq!((finds[0].kind, finds[0].object.0.as_str()), (kind, his.as_str()));
    for attempt in 1..=2 {
        let said = desk.end(&finds[0]).await;
        let Said::Satisfied { before, after } = said else {
            panic!("{said:?}")
        };
        assert_eq!(verdict(kind, &after), Verdict::Satisfied);
        assert_eq!(before.facts == after.facts, attempt == 2, "the second finds it done");
    }
    assert_eq!(desk.server.look(&other).unwrap(), untouched);
    // The closing round, after somebody has made him an account again.
    desk.make(&desk.names[1]);
    let check = Check {
        task: TaskId([1; 10]),
        kind,
        target: Target {
            system: wiki(),
            object: Some(finds[0].object.clone()),
        },
        params: finds[0].params.clone().with(NAMES, desk.names.clone()),
    };
    let said = desk
        .attempt(Kind::ObserveIdentity, None, &Facts::new(), vec![check])
        .await;
    let Said::Checked { results } = said else {
        panic!("{said:?}")
    };
    let again = verdict(kind, &results[0].observation);
    assert!(
        matches!(again, Verdict::Blocked(why) if why.contains("another one of his")),
        "{again:?}"
    );
}

#[tokio::test]
async fn deactivated_by_a_patch() {
    let profile = Profile::Patch {
        path: true,
        text: false,
    };
    let desk = Desk::with(ScimOptions::default(), profile);
    ends_his_account_alone(&desk, Kind::DisableInApp).await;
}

#[tokio::test]
async fn deactivated_by_the_whole_where_there_is_no_patch() {
    let desk = Desk::with(ScimOptions { patch: false }, Profile::Put { text: false });
    ends_his_account_alone(&desk, Kind::DisableInApp).await;
}

#[tokio::test]
async fn deleted_and_nobody_answers_to_his_names() {
    let desk = Desk::with(ScimOptions::default(), Profile::Delete);
    ends_his_account_alone(&desk, Kind::DeleteInApp).await;
}

#[tokio::test]
async fn nobody_two_and_a_protected_one_are_not_written_to() {
    let profile = Profile::Patch {
        path: true,
        text: false,
    };
    let mut desk = Desk::with(ScimOptions::default(), profile);
    let (seen, finds) = desk.find().await;
    assert!(matches!(verdict(Kind::ResolveInApp, &seen), Verdict::NotApplicable(_)));
    assert!(finds.is_empty());
    let first = desk.make(&desk.names[0]);
    let (_, finds) = desk.find().await;
    let find = finds.into_iter().next().unwrap();
    // His id is somebody else's by now.
    let else_is = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "else@example.com", "active": true,
    });
    desk.server.ask("DELETE", &format!("/Users/{first}"), b"").unwrap();
    let stranger = desk.server.make(&else_is).unwrap();
    let moved = Find {
        object: ObjectId::from(stranger.as_str()),
        ..find
    };
    let said = desk.end(&moved).await;
    assert!(
        matches!(&said, Said::Fault { fault } if fault.class == FaultClass::Blocked),
        "{said:?}"
    );
    assert_eq!(desk.server.look(&stranger).unwrap()["active"], json!(true));
    // Two answer to his names.
    desk.make(&desk.names[0]);
    desk.make(&desk.names[1]);
    let (seen, finds) = desk.find().await;
    assert!(matches!(verdict(Kind::ResolveInApp, &seen), Verdict::Blocked(_)));
    assert!(finds.is_empty());
    // The list of protected accounts holds in the app too.
    desk.names = vec![format!("owner.{CANARY}@example.com")];
    desk.make(&desk.names[0]);
    let (seen, finds) = desk.find().await;
    assert!(matches!(verdict(Kind::ResolveInApp, &seen), Verdict::Blocked(_)));
    assert!(finds.is_empty());
}
