//! A client of the face without a socket: asks, and gets status and JSON.

use std::collections::BTreeMap;

use offboard_sim::face::{Bases, GraphFace, WireAnswer, WireRequest};
use offboard_sim::population::{ADMIN_APP, ADMIN_APP_SECRET};
use offboard_sim::world::World;
use serde_json::{Value, json};

pub(crate) const T0: i64 = 1_780_000_000_000;

pub(crate) struct Client {
    pub(crate) world: World,
    pub(crate) now: i64,
    pub(crate) tenant: String,
    face: GraphFace,
    tokens: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) headers: BTreeMap<String, String>,
}

impl Got {
    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap_or_default()
    }

    pub(crate) fn values(&self) -> &[Value] {
        self.body["value"].as_array().map_or(&[], Vec::as_slice)
    }
}

pub(crate) fn bases() -> Bases {
    Bases::at("http://sim.example")
}

impl Client {
    pub(crate) fn new(world: World, tenant: &str) -> Self {
        Self {
            world,
            now: T0,
            tenant: tenant.to_owned(),
            face: GraphFace::new(bases()),
            tokens: BTreeMap::new(),
        }
    }

    /// `None` is a lost connection.
    pub(crate) fn raw(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Got> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = WireRequest {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: body.to_vec(),
        };
        match self.face.answer(&mut self.world, self.now, &request) {
            WireAnswer::Lost { .. } | WireAnswer::Torn { .. } => None,
            WireAnswer::Response(response) => Some(Got {
                status: response.status,
                body: serde_json::from_slice(&response.body).unwrap_or(Value::Null),
                headers: response.headers.into_iter().collect(),
            }),
        }
    }

    pub(crate) fn token(&mut self, scope: &str) -> String {
        let key = format!("{} {scope}", self.tenant);
        if let Some(token) = self.tokens.get(&key) {
            return token.clone();
        }
        let body = format!(
            "client_id={ADMIN_APP}&client_secret={ADMIN_APP_SECRET}&scope={scope}&grant_type=client_credentials"
        );
        let path = format!("/login/{}/oauth2/v2.0/token", self.tenant);
        for _ in 0..1_000 {
            let got = self.raw("POST", &path, &[], body.as_bytes());
            if let Some(token) = got.and_then(|got| got.body["access_token"].as_str().map(str::to_owned)) {
                self.tokens.insert(key, token.clone());
                return token;
            }
            self.now += 1_000;
        }
        panic!("no token in a thousand tries");
    }

    pub(crate) fn forget_tokens(&mut self) {
        self.tokens.clear();
    }

    pub(crate) fn try_graph(&mut self, method: &str, path: &str, body: Option<Value>) -> Option<Got> {
        let token = format!("Bearer {}", self.token("https://graph.microsoft.com/.default"));
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let path = path.strip_prefix(&bases().graph).unwrap_or(path);
        self.raw(
            method,
            &format!("/graph/v1.0{path}"),
            &[("authorization", &token)],
            body.as_bytes(),
        )
    }

    pub(crate) fn graph(&mut self, method: &str, path: &str, body: Option<Value>) -> Got {
        self.try_graph(method, path, body).expect("an answer")
    }

    pub(crate) fn get(&mut self, path: &str) -> Got {
        self.graph("GET", path, None)
    }

    /// Every element of a list, page by page.
    pub(crate) fn all(&mut self, path: &str) -> Vec<Value> {
        let mut found = Vec::new();
        let mut next = path.to_owned();
        loop {
            let page = self.get(&next);
            assert_eq!(page.status, 200, "{next}: {}", page.body);
            found.extend(page.values().to_vec());
            match page.body["@odata.nextLink"].as_str() {
                Some(link) => link.clone_into(&mut next),
                None => return found,
            }
        }
    }

    pub(crate) fn cmdlet(&mut self, name: &str, parameters: Value) -> Got {
        let token = format!("Bearer {}", self.token("https://outlook.office365.com/.default"));
        let body = json!({"CmdletInput": {"CmdletName": name, "Parameters": parameters}}).to_string();
        let path = format!("/exchange/adminapi/beta/{}/InvokeCommand", self.tenant);
        self.raw("POST", &path, &[("authorization", &token)], body.as_bytes())
            .expect("an answer")
    }

    pub(crate) fn sharepoint(&mut self, method: &str, url: &str, headers: &[(&str, &str)], body: Value) -> Got {
        let token = format!("Bearer {}", self.token("https://contoso-my.sharepoint.com/.default"));
        let path = format!(
            "/sharepoint/{}",
            url.strip_prefix("https://").expect("a SharePoint url")
        );
        let mut all = vec![
            ("authorization", token.as_str()),
            ("accept", "application/json;odata=nometadata"),
        ];
        all.extend_from_slice(headers);
        self.raw(method, &path, &all, body.to_string().as_bytes())
            .expect("an answer")
    }
}
