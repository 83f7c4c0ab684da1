//! Every request that the connector makes is one that Google's own description has:
//! the method at that path, with parameters and properties that it knows, none that
//! it needs left out, and no longer page than it gives. The face records what it is
//! asked; the description's facts are in `tests/data/google-requests.json`.

use crate::google::stage::{LEAVER, SUCCESSOR, Stage};
use offboard_connectors::{
    Connector as _, FileTransfers as _, Known, Laptops, MailChange, MemberChange, MemberHolds, Phones,
    SharedDrives as _, Workspace as _, WorkspaceMail as _,
};
use offboard_domain::ObjectId;
use offboard_sim::world::workspace::WorkspaceRequest;
use serde_json::Value;
use std::collections::BTreeSet;

const DESCRIBED: &str = include_str!("../../data/google-requests.json");

pub(super) fn described() -> Vec<Value> {
    let whole: Value = serde_json::from_str(DESCRIBED).unwrap();
    whole["methods"].as_array().unwrap().clone()
}

fn names(method: &Value, list: &str) -> BTreeSet<String> {
    let all = method[list].as_array().into_iter().flatten();
    all.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The method that is described with this path.
pub(super) fn found<'a>(described: &'a [Value], method: &str, path: &str) -> Option<&'a Value> {
    let is_it = |m: &&Value| m["method"].as_str() == Some(method) && m["path"].as_str().is_some_and(|t| is_of(t, path));
    described.iter().find(is_it)
}

/// Whether a path is of this template; an id is one segment, and not empty.
fn is_of(template: &str, path: &str) -> bool {
    let (template, path): (Vec<&str>, Vec<&str>) = (
        template.split('/').collect(),
        path.trim_start_matches('/').split('/').collect(),
    );
    let same = |(t, p): (&&str, &&str)| if t.starts_with('{') { !p.is_empty() } else { t == p };
    template.len() == path.len() && template.iter().zip(&path).all(same)
}

/// The properties of a body, with dots between those of one another.
fn properties(body: &Value, within: &str, found: &mut BTreeSet<String>) {
    match body {
        Value::Object(fields) => {
            for (name, value) in fields {
                found.insert(format!("{within}{name}"));
                properties(value, &format!("{within}{name}."), found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| properties(item, within, found)),
        _ => {}
    }
}

/// The method that a request is of; says what is wrong with it else.
fn method_of(asked: &WorkspaceRequest, described: &[Value]) -> Result<String, String> {
    let method = found(described, &asked.method, &asked.path).ok_or("Google has no such method")?;
    let given: BTreeSet<String> = asked.query.keys().cloned().collect();
    let known = names(method, "query");
    if let Some(strange) = given.difference(&known).next() {
        return Err(format!("it has no parameter {strange}"));
    }
    if let Some(missing) = names(method, "required").difference(&given).next() {
        return Err(format!("it needs the parameter {missing}"));
    }
    let most = method["max_results"].as_u64();
    let wanted = asked.query.get("maxResults").map(|n| n.parse::<u64>().unwrap());
    if wanted.is_some_and(|n| n == 0 || most.is_some_and(|most| n > most)) {
        return Err(format!("it gives at most {most:?} at once"));
    }
    if asked.body.is_empty() {
        if method["body"].is_array() {
            return Err("it needs a body".to_owned());
        }
    } else {
        let mut written = BTreeSet::new();
        properties(&serde_json::from_slice(&asked.body).unwrap(), "", &mut written);
        if let Some(strange) = written.difference(&names(method, "body")).next() {
            return Err(format!("it has no property {strange}"));
        }
    }
    Ok(method["id"].as_str().unwrap().to_owned())
}

#[test]
fn what_the_description_does_not_have_is_noticed() {
    let described = described();
    let asked = |method: &str, path: &str, query: &[(&str, &str)], body: &str| WorkspaceRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        body: body.as_bytes().to_vec(),
    };
    let users = "/admin/directory/v1/users";
    let licences = "/apps/licensing/v1/product/P/sku/1/users";
    for (request, says) in [
        (
            asked("GET", users, &[("maxResults", "500")], ""),
            Ok("directory.users.list"),
        ),
        (asked("GET", users, &[("maxResults", "501")], ""), Err("at most")),
        (asked("GET", users, &[("limit", "5")], ""), Err("parameter limit")),
        (asked("GET", &format!("{users}/"), &[], ""), Err("no such method")),
        (asked("PUT", &format!("{users}/1"), &[], "{}"), Err("no such method")),
        (asked("PATCH", &format!("{users}/1"), &[], ""), Err("needs a body")),
        (
            asked("PATCH", &format!("{users}/1"), &[], r#"{"suspend":true}"#),
            Err("property suspend"),
        ),
        (asked("GET", licences, &[], ""), Err("needs the parameter customerId")),
    ] {
        match (method_of(&request, &described), says) {
            (Ok(id), Ok(wanted)) => assert_eq!(id, wanted),
            (Err(why), Err(wanted)) => assert!(why.contains(wanted), "{why}"),
            (got, wanted) => panic!("{request:?}: {got:?}, not {wanted:?}"),
        }
    }
}

/// Everything that the connector can do, done once.
pub(super) async fn everything(s: &Stage) {
    let google = s.open();
    let id = ObjectId::from(LEAVER);
    let (leaver, successor) = (s.leaver(&google).await, s.member(&google, SUCCESSOR).await);
    let who = Known {
        names: vec![leaver.address.clone()],
        employee_id: Some("4711".into()),
        ..Known::default()
    };
    google.find(&mut s.reading(), &who).await.unwrap();
    google.has_other_administrator(&mut s.reading(), &id).await.unwrap();
    assert!(google.member(&mut s.reading(), &"404".into()).await.unwrap().is_none());
    google.absence(&mut s.reading(), &"404".into()).await.unwrap();
    for change in [
        MailChange::Reply { text: "gone".into() },
        MailChange::ForwardTo(Box::new(successor.clone())),
        MailChange::StopForwarding,
        MailChange::LetIn(Box::new(successor.clone())),
    ] {
        google.mail_settings(&mut s.reading(), &leaver).await.unwrap();
        google.change_mail(&mut s.writing(), &leaver, &change).await.unwrap();
    }
    for sort in [
        MemberHolds::Grants,
        MemberHolds::AppPasswords,
        MemberHolds::BackupCodes,
        MemberHolds::Groups,
        MemberHolds::Licences,
    ] {
        let held = google.held(&mut s.reading(), &leaver, sort).await.unwrap();
        for one in &held {
            google.take(&mut s.writing(), &leaver, sort, one).await.unwrap();
        }
        assert!(google.held(&mut s.reading(), &leaver, sort).await.unwrap().is_empty());
    }
    for change in [
        MemberChange::Password("a-password-of-many-letters".into()),
        MemberChange::SignOut,
        MemberChange::InvalidateBackupCodes,
        MemberChange::TurnOffSecondFactor,
        MemberChange::Suspend,
    ] {
        google.change(&mut s.writing(), &id, &change).await.unwrap();
    }
    google
        .transfers(&mut s.reading(), &id, &SUCCESSOR.into())
        .await
        .unwrap();
    google.transfer(&mut s.writing(), &id, &SUCCESSOR.into()).await.unwrap();
    let phones = Phones::phones(&google, &mut s.reading(), &leaver).await.unwrap();
    google.phone(&mut s.reading(), &phones[0].id).await.unwrap();
    google.wipe_account(&mut s.writing(), &phones[0].id).await.unwrap();
    let laptops = Laptops::laptops(&google, &mut s.reading(), &leaver).await.unwrap();
    google.laptop(&mut s.reading(), &laptops[0].id).await.unwrap();
    google.disable_laptop(&mut s.writing(), &laptops[0].id).await.unwrap();
    for drive in google.managed_alone(&mut s.reading(), &leaver).await.unwrap() {
        google.let_manage(&mut s.writing(), &drive, &successor).await.unwrap();
    }
    google.check(&mut s.reading()).await;
}

#[tokio::test]
async fn every_request_is_one_that_google_describes() {
    let s = Stage::new().await;
    everything(&s).await;
    let (asked, described) = (s.world().asked.clone(), described());
    let mut used = BTreeSet::new();
    for request in &asked {
        match method_of(request, &described) {
            Ok(id) => drop(used.insert(id)),
            Err(why) => panic!("{} {} {:?}: {why}", request.method, request.path, request.query),
        }
    }
    // And nothing is described that nobody asks for.
    let all: BTreeSet<String> = described.iter().map(|m| m["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(used, all);
}
