//! The primitives: who answers to a name, one account by its id, and its end.

use super::ScimConnector;
use super::filter::Filter;
use super::resource::{account, answers_to, deactivation, hides};
use super::settings::{ExternalId, MatchBy, Profile};
use super::wire::{About, Ask};
use crate::path::Path;
use crate::{Answer, AppAccount, Apps, Call, Ending, Known, Matches};
use async_trait::async_trait;
use offboard_domain::{FaultClass, ObjectId};
use reqwest::Method;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How many accounts one page is asked for; an application may give fewer.
const PAGE: &str = "100";
/// The most pages of one search: an application that ignores a filter lists
/// everybody, and is read to the end if that is near.
const PAGES_MAX: usize = 100;

fn user(id: &ObjectId) -> Path {
    Path::at("Users").id(&id.0)
}

impl ScimConnector {
    /// Everybody whom the application lists for this filter. It is read until a
    /// page brings nobody new: the total that it says may be that of a page, and
    /// it may know no pages at all. Where it then says that there are more than it
    /// listed, those whom it did not show are not taken for nobody.
    pub(super) async fn search(&self, call: &mut Call, by: MatchBy, value: &str) -> Answer<Vec<AppAccount>> {
        let filter = Filter::equals(by, value);
        let mut ids = BTreeSet::new();
        let mut found = Vec::new();
        let (mut start, mut total, mut has_pages) = (1_usize, 0_u64, false);
        for page in 0..PAGES_MAX {
            let path = Path::at("Users")
                .with("filter", filter.text())
                .with("startIndex", &start.to_string())
                .with("count", PAGE);
            let ask = Ask::get(path, About::Search(by.word()));
            let mut body = match self.wire.send(call, &ask).await {
                Ok(reply) => reply.body,
                // Beyond the end, some refuse in place of an empty page.
                Err(fault) if page > 0 && fault.class == FaultClass::Rejected && total <= ids.len() as u64 => break,
                Err(fault) => return Err(fault),
            };
            let said = &body["totalResults"];
            let said = said.as_u64().or_else(|| said.as_str()?.parse().ok());
            let listed = match body.get_mut("Resources").map_or(Value::Null, Value::take) {
                Value::Array(listed) => listed,
                // It may be left out where there is nobody (RFC 7644 section 3.4.2).
                Value::Null if said.is_some() => Vec::new(),
                _ => {
                    let detail =
                        "the answer is no list of users; see that `url` is the address of the app's SCIM service";
                    return Err(self.wire.fault(&ask, FaultClass::Transient, detail));
                }
            };
            total = said.unwrap_or(total);
            if page == 0 && listed.is_empty() && total > 0 {
                let detail = "the app says that it found somebody, and lists nobody; it is read again";
                return Err(self.wire.fault(&ask, FaultClass::Transient, detail));
            }
            start += listed.len();
            let before = ids.len();
            for one in listed {
                let Some(one) = account(one, None) else {
                    let detail = "the app lists a user without an id; it is read again";
                    return Err(self.wire.fault(&ask, FaultClass::Transient, detail));
                };
                if ids.insert(one.id.clone()) {
                    found.push(one);
                }
            }
            if ids.len() == before {
                break;
            }
            has_pages |= page > 0;
            if page + 1 == PAGES_MAX {
                let detail = "the app lists users without end; see that it can filter, and take what it cannot filter by out of `match`";
                return Err(self.wire.fault(&ask, FaultClass::Unsupported, detail));
            }
        }
        // Whom it did show for a filter that it heeds are all that there are, whatever it counts.
        let heeds = found.iter().all(|a| answers_to(a, by, value));
        if total > ids.len() as u64 && !heeds {
            let (word, read) = (by.word(), ids.len());
            let instead = format!(
                "take \"{word}\" out of `match` for this system if another attribute suffices, else look for the account by hand there and waive this"
            );
            // Who comes and goes while page after page is read moves others from one to the next.
            let (class, detail) = if has_pages {
                let detail = format!(
                    "the app ignores the filter by {word}, says that it has {total} users, and listed {read} on its pages, as when users come and go meanwhile; it is read again. If it stays so, {instead}"
                );
                (FaultClass::Transient, detail)
            } else {
                let detail = format!(
                    "the app ignores the filter by {word}, says that it has {total} users, and shows {read} of them whichever page is asked for, so nobody can be looked up; {instead}"
                );
                (FaultClass::Unsupported, detail)
            };
            let ask = Ask::get(Path::at("Users"), About::Search(word));
            return Err(self.wire.fault(&ask, class, detail));
        }
        Ok(found)
    }
}

/// What an application is searched for by this attribute.
fn values(by: MatchBy, who: &Known) -> Vec<&str> {
    match by {
        MatchBy::UserName | MatchBy::Emails => who.names.iter().map(String::as_str).collect(),
        MatchBy::ExternalId(ExternalId::DirectoryId) => who.directory_id.as_deref().into_iter().collect(),
        MatchBy::ExternalId(ExternalId::EmployeeId) => who.employee_id.as_deref().into_iter().collect(),
    }
}

/// A name as it is, and in lower case where that differs: applications are told
/// to compare without regard to case, and not all do.
fn spellings(by: MatchBy, value: &str) -> Vec<String> {
    let lower = value.to_lowercase();
    let cased = matches!(by, MatchBy::ExternalId(_)) || lower == value;
    if cased {
        vec![value.to_owned()]
    } else {
        vec![value.to_owned(), lower]
    }
}

#[async_trait]
impl Apps for ScimConnector {
    fn ending(&self) -> Ending {
        self.ended_by()
    }

    async fn find(&self, call: &mut Call, who: &Known) -> Answer<Matches> {
        let mut found: BTreeMap<ObjectId, AppAccount> = BTreeMap::new();
        let mut complete = true;
        for by in &self.matched {
            let values = values(*by, who);
            complete &= !values.is_empty();
            for value in values {
                for spelling in spellings(*by, value) {
                    let listed = self.search(call, *by, &spelling).await?;
                    complete &= !hides(&listed, *by, &spelling);
                    let his = listed.into_iter().filter(|a| answers_to(a, *by, &spelling));
                    found.extend(his.map(|a| (a.id.clone(), a)));
                }
            }
        }
        Ok(Matches {
            accounts: found.into_values().collect(),
            complete,
        })
    }

    async fn account(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<AppAccount>> {
        let ask = Ask::get(user(id), About::Account);
        let reply = match self.wire.send(call, &ask).await {
            Ok(reply) => reply,
            Err(fault) if fault.class == FaultClass::Absent => return Ok(None),
            Err(fault) => return Err(fault),
        };
        match account(reply.body, reply.etag) {
            Some(account) if account.id == *id => Ok(Some(account)),
            _ => {
                let detail = "the app answers with something else than the account of that id; it is read again";
                Err(self.wire.fault(&ask, FaultClass::Transient, detail))
            }
        }
    }

    async fn deactivate(&self, call: &mut Call, account: &AppAccount) -> Answer<()> {
        let method = match self.profile {
            Profile::Put { .. } => Method::PUT,
            Profile::Patch { .. } | Profile::Delete => Method::PATCH,
        };
        let body = deactivation(account, self.profile);
        let mut ask = Ask::write(method, user(&account.id), body);
        if ask.body.is_none() {
            let detail = "this app deletes accounts and deactivates none, by its configuration; report this";
            return Err(self.wire.fault(&ask, FaultClass::Unsupported, detail));
        }
        if ask.method == Method::PUT {
            ask.version.clone_from(&account.version);
        }
        self.wire.send(call, &ask).await?;
        // Else it would be written again and again, and never be proven.
        if account.active.is_none() {
            let now = Apps::account(self, call, &account.id).await?;
            if now.is_some_and(|a| a.active.is_none()) {
                let detail = "the app took the change and shows no `active` by which it could be proven; set profile = \"delete\" for this system if it cannot deactivate, or end the account by hand and waive this";
                return Err(self.wire.fault(&ask, FaultClass::Unsupported, detail));
            }
        }
        Ok(())
    }

    async fn delete(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        let ask = Ask::write(Method::DELETE, user(id), None);
        match self.wire.send(call, &ask).await {
            Err(fault) if fault.class == FaultClass::Absent => Ok(()),
            done => done.map(drop),
        }
    }
}
