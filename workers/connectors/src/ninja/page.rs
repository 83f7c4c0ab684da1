//! Lists that come in pages. NinjaOne has three ways: lists go on after the last
//! id, reports go on with a cursor by name, activities go back from an id. Each
//! is read until a page is empty; a page that does not move ends in a fault, not
//! in a loop, and a list without end in another.

use super::NinjaConnector;
use super::read::number;
use super::wire::{About, Ask};
use crate::path::Path;
use crate::{Answer, Call};
use offboard_domain::{Digest, Fault, FaultClass};
use serde_json::Value;

/// How many rows a page is asked for.
const PAGE: &str = "500";
/// The most pages that one list is read: a quarter of a million rows.
const PAGES_MAX: usize = 500;

impl NinjaConnector {
    fn unmoved(&self, ask: &Ask) -> Fault {
        let detail = "NinjaOne gives the same page again in place of the next; it is read again";
        self.wire.fault(ask, FaultClass::Transient, detail)
    }

    fn endless(&self, ask: &Ask) -> Fault {
        let detail = "NinjaOne lists more than this client reads; see that `organization_id` is one client's";
        self.wire.fault(ask, FaultClass::Unsupported, detail)
    }

    pub(super) fn misshapen(&self, ask: &Ask, what: &str) -> Fault {
        let detail = format!("the answer has not the shape of {what}; it is read again");
        self.wire.fault(ask, FaultClass::Transient, detail)
    }

    /// A list that goes on after the last id.
    pub(super) async fn list(&self, call: &mut Call, path: impl Fn() -> Path) -> Answer<Vec<Value>> {
        let mut all: Vec<Value> = Vec::new();
        let mut after: Option<u64> = None;
        for _ in 0..PAGES_MAX {
            let mut at = path().with("pageSize", PAGE);
            if let Some(after) = after {
                at = at.with("after", &after.to_string());
            }
            let ask = Ask::get(at, About::List);
            let Value::Array(page) = self.wire.send(call, &ask).await?.body else {
                return Err(self.misshapen(&ask, "a list"));
            };
            if page.is_empty() {
                return Ok(all);
            }
            let last = page.iter().filter_map(|row| number(&row["id"])).max();
            let Some(last) = last.filter(|last| after.is_none_or(|after| *last > after)) else {
                return Err(self.unmoved(&ask));
            };
            after = Some(last);
            all.extend(page);
        }
        Err(self.endless(&Ask::get(path(), About::List)))
    }

    /// A report on the organisation, which goes on with a cursor.
    pub(super) async fn report(&self, call: &mut Call, name: &'static str) -> Answer<Vec<Value>> {
        let path = || {
            Path::at("v2")
                .then("queries")
                .then(name)
                .with("df", &format!("org = {}", self.organization))
                .with("pageSize", PAGE)
        };
        let mut all: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        let mut before: Option<Digest> = None;
        for _ in 0..PAGES_MAX {
            let at = match &cursor {
                None => path(),
                Some(cursor) => path().with("cursor", cursor),
            };
            let ask = Ask::get(at, About::List);
            let mut body = self.wire.send(call, &ask).await?.body;
            let Value::Array(page) = body["results"].take() else {
                return Err(self.misshapen(&ask, "a report"));
            };
            if page.is_empty() {
                return Ok(all);
            }
            let digest = Digest::of(Value::Array(page.clone()).to_string().as_bytes());
            if before == Some(digest) {
                return Err(self.unmoved(&ask));
            }
            before = Some(digest);
            all.extend(page);
            cursor = body["cursor"]["name"]
                .as_str()
                .filter(|c| !c.is_empty())
                .map(str::to_owned);
            if cursor.is_none() {
                return Ok(all);
            }
        }
        Err(self.endless(&Ask::get(path(), About::List)))
    }
}
