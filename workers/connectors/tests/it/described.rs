//! Every request that a connector makes is one that its vendor's own description has: the
//! method at that path, with parameters and properties that it knows, none that it needs
//! left out. The descriptions' facts are in `tests/data/*-requests.json`, with what we call
//! that is in none of them, by name: nothing is asked for that stands in neither list, and
//! nothing stands there that nobody asks for.

use crate::{confluence, desk, ninja};
use async_trait::async_trait;
use bytes::Bytes;
use offboard_connectors::graph::{CarriedAnswer, CarriedRequest, Carrier, HttpClient};
use offboard_connectors::ninja::NinjaConnector;
use offboard_connectors::{Connector as _, Fleet as _, Mark, Notes as _};
use offboard_domain::ObjectId;
use offboard_sim::face::{DeskFace, WireAnswer, WireRequest};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

const NINJA: &str = include_str!("../data/ninja-requests.json");
const HALO: &str = include_str!("../data/halo-requests.json");
const CONFLUENCE: &str = include_str!("../data/confluence-requests.json");

type Face = Box<dyn Fn(&WireRequest) -> WireAnswer + Send + Sync>;

/// A face that is asked without a socket, and what it was asked.
pub(crate) struct Recorded {
    face: Face,
    asked: Mutex<Vec<WireRequest>>,
}

impl Recorded {
    pub(crate) fn new(face: impl Fn(&WireRequest) -> WireAnswer + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            face: Box::new(face),
            asked: Mutex::default(),
        })
    }

    fn http(self: &Arc<Self>) -> HttpClient {
        let carrier: Arc<dyn Carrier> = Arc::<Self>::clone(self);
        HttpClient::carried_by(carrier)
    }

    fn asked(&self) -> Vec<WireRequest> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Carrier for Recorded {
    async fn carry(&self, request: CarriedRequest) -> Option<CarriedAnswer> {
        let wire = WireRequest {
            method: request.method,
            path: request.url.path().to_owned(),
            query: request.url.query().unwrap_or_default().to_owned(),
            headers: request.headers.into_iter().collect(),
            body: request.body.to_vec(),
        };
        let answer = (self.face)(&wire);
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(wire);
        match answer {
            WireAnswer::Lost { .. } | WireAnswer::Torn { .. } => None,
            WireAnswer::Response(response) => Some(CarriedAnswer {
                status: response.status,
                headers: response.headers,
                body: Bytes::from(response.body),
            }),
        }
    }
}

/// A vendor's description, as far as it is used.
struct Description {
    methods: Vec<Value>,
    /// What is called and is not in it.
    beyond: Vec<Value>,
}

fn names(method: &Value, list: &str) -> BTreeSet<String> {
    let all = method[list].as_array().into_iter().flatten();
    all.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The method of these that a request is of.
fn found<'a>(methods: &'a [Value], asked: &WireRequest) -> Option<&'a Value> {
    let is_it = |m: &&Value| m["method"] == asked.method.as_str() && is_of(m["path"].as_str().unwrap(), &asked.path);
    methods.iter().find(is_it)
}

/// Whether a path is of this template; an id is one segment, and not empty.
fn is_of(template: &str, path: &str) -> bool {
    let template: Vec<&str> = template.split('/').collect();
    let path: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let same = |(t, p): (&&str, &&str)| if t.starts_with('{') { !p.is_empty() } else { t == p };
    template.len() == path.len() && template.iter().zip(&path).all(same)
}

fn shown(method: &Value) -> String {
    format!(
        "{} {}",
        method["method"].as_str().unwrap(),
        method["path"].as_str().unwrap()
    )
}

/// The names of the parameters of a query.
fn parameters(query: &str) -> BTreeSet<String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name).to_owned())
        .collect()
}

/// The properties of a body, with dots between those of one another; of a form, its parts.
fn properties(asked: &WireRequest) -> BTreeSet<String> {
    let mut written = BTreeSet::new();
    let form = asked
        .headers
        .get("content-type")
        .is_some_and(|t| t.starts_with("multipart/"));
    if form {
        let text = String::from_utf8_lossy(&asked.body);
        let parts = text.split("form-data; name=\"").skip(1);
        written.extend(parts.filter_map(|part| part.split('"').next()).map(str::to_owned));
    } else {
        nested(&serde_json::from_slice(&asked.body).unwrap(), "", &mut written);
    }
    written
}

fn nested(body: &Value, within: &str, written: &mut BTreeSet<String>) {
    match body {
        Value::Object(fields) => {
            for (name, value) in fields {
                written.insert(format!("{within}{name}"));
                nested(value, &format!("{within}{name}."), written);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| nested(item, within, written)),
        _ => {}
    }
}

impl Description {
    fn read(text: &str) -> Self {
        let whole: Value = serde_json::from_str(text).unwrap();
        let list = |name: &str| whole[name].as_array().unwrap().clone();
        Self {
            methods: list("methods"),
            beyond: list("beyond"),
        }
    }

    /// What a request is of; says what is wrong with it else.
    fn of(&self, asked: &WireRequest) -> Result<String, String> {
        let Some(method) = found(&self.methods, asked) else {
            let beyond = found(&self.beyond, asked).ok_or("there is no such method")?;
            return Ok(shown(beyond));
        };
        let given = parameters(&asked.query);
        if let Some(strange) = given.difference(&names(method, "query")).next() {
            return Err(format!("it has no parameter {strange}"));
        }
        if let Some(missing) = names(method, "required").difference(&given).next() {
            return Err(format!("it needs the parameter {missing}"));
        }
        let known = names(method, "body");
        if asked.body.is_empty() {
            return match known.is_empty() {
                true => Ok(shown(method)),
                false => Err("it needs a body".to_owned()),
            };
        }
        let written = properties(asked);
        let beyond = names(method, "beyond");
        let strange = |name: &&String| !known.contains(*name) && !beyond.contains(*name);
        if let Some(strange) = written.iter().find(strange).filter(|_| !known.contains("*")) {
            return Err(format!("it has no property {strange}"));
        }
        if let Some(missing) = names(method, "body_required").difference(&written).next() {
            return Err(format!("it needs the property {missing}"));
        }
        Ok(shown(method))
    }

    /// That each of these is described, and everything that is described is among them.
    fn holds(&self, asked: &[WireRequest]) {
        let mut used = BTreeSet::new();
        for request in asked {
            match self.of(request) {
                Ok(method) => drop(used.insert(method)),
                Err(why) => panic!("{} {}?{}: {why}", request.method, request.path, request.query),
            }
        }
        let all: BTreeSet<String> = self.methods.iter().chain(&self.beyond).map(shown).collect();
        assert_eq!(used, all);
    }
}

#[test]
fn what_the_descriptions_do_not_have_is_noticed() {
    let asked = |method: &str, path: &str, query: &str, body: &str| WireRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        body: body.as_bytes().to_vec(),
        ..WireRequest::default()
    };
    let (ninja, halo) = (Description::read(NINJA), Description::read(HALO));
    let device = "/v2/device/41";
    let window = |body: &str| asked("PUT", &format!("{device}/maintenance"), "", body);
    for (description, request, says) in [
        (&ninja, asked("GET", device, "", ""), Ok("GET v2/device/{id}")),
        (&ninja, asked("DELETE", device, "", ""), Err("no such method")),
        (&ninja, asked("GET", "/v2/device/", "", ""), Err("no such method")),
        (&ninja, asked("GET", device, "all=1", ""), Err("parameter all")),
        (&ninja, window(""), Err("needs a body")),
        (&ninja, window(r#"{"until":1}"#), Err("property until")),
        (&ninja, window(r#"{"end":1}"#), Ok("PUT v2/device/{id}/maintenance")),
        (&halo, asked("GET", "/api/Tickets", "page=1", ""), Err("parameter page")),
        (
            &halo,
            asked("POST", "/api/Actions", "", r#"[{"ticket_id":1,"hidden":true}]"#),
            Err("property hidden"),
        ),
    ] {
        match (description.of(&request), says) {
            (Ok(method), Ok(wanted)) => assert_eq!(method, wanted),
            (Err(why), Err(wanted)) => assert!(why.contains(wanted), "{why}"),
            (got, wanted) => panic!("{request:?}: {got:?}, not {wanted:?}"),
        }
    }
    let mut form = asked(
        "PUT",
        "/wiki/rest/api/content/7/child/attachment",
        "",
        "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nx\r\n--b--",
    );
    let boundary = "multipart/form-data; boundary=b".to_owned();
    form.headers.insert("content-type".to_owned(), boundary);
    let why = Description::read(CONFLUENCE).of(&form).unwrap_err();
    assert!(why.contains("property minorEdit"), "{why}");
}

#[tokio::test]
async fn every_request_to_ninjaone_is_one_that_it_describes() {
    const MARKER: &str = "t-00112233445566778899";
    let s = ninja::stage::Stage::kind().await;
    let recorded = s.recorded();
    let rmm = NinjaConnector::open(&recorded.http(), &s.settings()).unwrap();
    let his = ninja::stage::id(41);
    rmm.of(&mut s.reading(), &ninja::stage::anna()).await.unwrap();
    rmm.software(&mut s.reading(), &his).await.unwrap();
    for mark in [Mark::PendingWipe, Mark::Repurpose] {
        rmm.mark(&mut s.writing(), &his, mark).await.unwrap();
        assert!(rmm.marking(&mut s.reading(), &his, mark).await.unwrap().whole);
    }
    let until_ms = s.clock.ms() + 86_400_000;
    rmm.maintain(&mut s.writing(), &his, until_ms).await.unwrap();
    let since = Some(ninja::stage::T0);
    rmm.script(&mut s.reading(), &his, MARKER, since).await.unwrap();
    rmm.run_script(&mut s.writing(), &his, MARKER).await.unwrap();
    rmm.script(&mut s.reading(), &his, MARKER, since).await.unwrap();
    rmm.clear_owner(&mut s.writing(), &his).await.unwrap();
    rmm.decommission(&mut s.writing(), &his).await.unwrap();
    rmm.endpoint(&mut s.reading(), &ninja::stage::id(404)).await.unwrap();
    rmm.check(&mut s.reading()).await;
    Description::read(NINJA).holds(&recorded.asked());
}

#[tokio::test]
async fn every_request_to_halopsa_is_one_that_it_describes() {
    let s = desk::stage::Stage::kind(DeskFace::Halo).await;
    let recorded = s.recorded();
    let connector = s.given().open_over(&recorded.http(), DeskFace::Halo);
    let halo = desk::stage::desk(connector.as_ref());
    assert!(
        halo.marked(&mut s.reading(), desk::stage::MARKER)
            .await
            .unwrap()
            .is_empty()
    );
    let id = s.opened(connector.as_ref()).await;
    halo.ticket(&mut s.reading(), &id).await.unwrap();
    halo.note(&mut s.writing(), &id, "Everything is done.").await.unwrap();
    halo.noted(&mut s.reading(), &id, desk::stage::MARKER).await.unwrap();
    let file = desk::stage::file(b"{}");
    halo.attach(&mut s.writing(), &id, &file).await.unwrap();
    halo.files(&mut s.reading(), &id).await.unwrap();
    halo.close(&mut s.writing(), &id).await.unwrap();
    halo.ticket(&mut s.reading(), &ObjectId::from("404")).await.unwrap();
    connector.check(&mut s.reading()).await;
    Description::read(HALO).holds(&recorded.asked());
}

#[tokio::test]
async fn every_request_to_confluence_is_one_that_it_describes() {
    let s = confluence::stage::Stage::kind().await;
    let recorded = s.recorded();
    let wiki = s.given().open_over(&recorded.http());
    let title = confluence::stage::TITLE;
    assert!(wiki.titled(&mut s.reading(), title).await.unwrap().is_none());
    let page = s.added(&wiki).await;
    assert!(wiki.titled(&mut s.reading(), title).await.unwrap().is_some());
    wiki.rewrite(&mut s.writing(), &page, "<h2>two</h2>").await.unwrap();
    let file = desk::stage::file(b"{}");
    wiki.attach(&mut s.writing(), &page.id, &file).await.unwrap();
    assert!(wiki.has_file(&mut s.reading(), &page.id, &file.name, 2).await.unwrap());
    wiki.check(&mut s.reading()).await;
    Description::read(CONFLUENCE).holds(&recorded.asked());
}
