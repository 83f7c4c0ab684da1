//! Accounts: who answers to a name, one by its id, what it holds, its end.

use super::GoogleConnector;
use super::files::time_ms;
use super::scope::Scope;
use super::settings::Licence;
use super::wire::{About, Ask, id_of};
use crate::path::Path;
use crate::{Absence, Answer, Call, Consent, Known, Member, MemberChange, MemberHolds, Workspace};
use async_trait::async_trait;
use offboard_domain::{FaultClass, ObjectId};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How many accounts one page is asked for; Google may give fewer.
const PAGE: &str = "200";
/// The same for groups.
const GROUPS_PAGE: &str = "200";

fn users() -> Path {
    Path::at("admin").then("directory/v1/users")
}

pub(super) fn user(id: &ObjectId) -> Path {
    users().id(&id.0)
}

/// A search for exactly this value, whatever stands in it.
fn exactly(field: &str, value: &str) -> String {
    format!("{field}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// An account, if the answer shows all that it is judged by: what is not shown
/// proves nothing.
pub(super) fn member(whole: Value) -> Option<Member> {
    let flag = |name: &str| whole[name].as_bool();
    let addresses = |name: &str| {
        let list = whole[name].as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut aliases = addresses("aliases");
    aliases.extend(addresses("nonEditableAliases"));
    // "organization" is what Google's console calls the employee's id.
    let numbers = whole["externalIds"].as_array().into_iter().flatten();
    let employee_ids = numbers
        .filter(|n| n["type"].as_str() == Some("organization"))
        .filter_map(|n| id_of(&n["value"]))
        .collect();
    let relations = whole["relations"].as_array().into_iter().flatten();
    let manager = relations
        .filter(|r| r["type"].as_str() == Some("manager"))
        .find_map(|r| r["value"].as_str());
    Some(Member {
        id: ObjectId(id_of(&whole["id"])?),
        company: id_of(&whole["customerId"]),
        address: whole["primaryEmail"].as_str().filter(|a| !a.is_empty())?.to_owned(),
        aliases,
        employee_ids,
        suspended: flag("suspended")?,
        archived: flag("archived").unwrap_or(false),
        administrator: flag("isAdmin")?,
        second_factor: flag("isEnrolledIn2Sv")?,
        second_factor_enforced: flag("isEnforcedIn2Sv").unwrap_or(false),
        has_mail: flag("isMailboxSetup").unwrap_or(true),
        manager: manager.map(str::to_owned),
        whole,
    })
}

impl GoogleConnector {
    /// Everybody in this workspace whom Google lists for a search.
    pub(super) async fn search(&self, call: &mut Call, query: &str) -> Answer<Vec<Member>> {
        let ask = |path: Path| Ask::get(path, Scope::Users, About::Service);
        let path = users()
            .with("customer", "my_customer")
            .with("maxResults", PAGE)
            .with("projection", "full")
            .with("query", query);
        let listed = self.wire.list(call, ask, path.clone(), "users").await?;
        let mut found = Vec::with_capacity(listed.len());
        for one in listed {
            let Some(one) = member(one) else {
                let detail = "Google lists an account and does not show all that it is judged by; it is read again";
                return Err(self.wire.fault(&ask(path), FaultClass::Transient, detail));
            };
            found.push(one);
        }
        Ok(found)
    }

    /// The same for one value of one field, compared here.
    pub(super) async fn search_exactly(&self, call: &mut Call, field: &str, value: &str) -> Answer<Vec<Member>> {
        let mut found = self.search(call, &exactly(field, value)).await?;
        found.retain(|m| match field {
            "email" => m.answers_to(value),
            _ => m.employee_ids.iter().any(|n| n == value),
        });
        Ok(found)
    }

    fn held_path(member: &Member, sort: MemberHolds) -> Path {
        let user = user(&member.id);
        match sort {
            MemberHolds::Grants => user.then("tokens"),
            MemberHolds::AppPasswords => user.then("asps"),
            MemberHolds::BackupCodes => user.then("verificationCodes"),
            MemberHolds::Groups | MemberHolds::Licences => Path::at("admin").then("directory/v1/groups"),
        }
    }

    /// One sort of things, by what names each of them.
    async fn listed(&self, call: &mut Call, member: &Member, sort: MemberHolds) -> Answer<Vec<String>> {
        let path = Self::held_path(member, sort);
        let (path, scope, list, name) = match sort {
            MemberHolds::Grants => (path, Scope::Security, "items", "clientId"),
            MemberHolds::AppPasswords => (path, Scope::Security, "items", "codeId"),
            // The code itself is never kept: how many there are is enough.
            MemberHolds::BackupCodes => (path, Scope::Security, "items", "verificationCode"),
            MemberHolds::Groups | MemberHolds::Licences => {
                let path = path.with("userKey", &member.id.0).with("maxResults", GROUPS_PAGE);
                (path, Scope::Groups, "groups", "id")
            }
        };
        let about = match sort {
            MemberHolds::BackupCodes => About::Codes,
            _ => About::Account,
        };
        let ask = |path: Path| Ask::get(path, scope, about);
        let items = self.wire.list(call, ask, path.clone(), list).await?;
        let mut found = Vec::with_capacity(items.len());
        for item in &items {
            let Some(id) = id_of(&item[name]) else {
                let detail = "Google lists something of the account without an id; it is read again";
                return Err(self.wire.fault(&ask(path), FaultClass::Transient, detail));
            };
            found.push(id);
        }
        if sort == MemberHolds::BackupCodes {
            return Ok((1..=found.len()).map(|n| n.to_string()).collect());
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// That the interface which does not find an account still finds the administrator
    /// who is acted for: else that proves nothing. Says of which company he is.
    async fn workspace_is_there(&self, call: &mut Call) -> Answer<Option<String>> {
        let ask = Ask::get(users().id(self.admin()), Scope::Users, About::Acting);
        let found = self.wire.send(call, &ask).await?.body;
        if id_of(&found["id"]).is_none() {
            let detail = "Google answers with something else than the administrator's account; it is read again";
            return Err(self.wire.fault(&ask, FaultClass::Transient, detail));
        }
        Ok(id_of(&found["customerId"]))
    }

    /// The same of a product, for somebody who has no licence of it.
    async fn product_is_there(&self, call: &mut Call, licence: &Licence, member: &Member) -> Answer<()> {
        let path = product(licence).then("users").with("maxResults", "1");
        let ask = |path: Path| Ask::get(path, Scope::Licences, About::Product);
        let Some(customer) = &member.company else {
            let detail = "Google does not show of which company the account is; it is read again";
            return Err(self.wire.fault(&ask(path), FaultClass::Transient, detail));
        };
        self.wire
            .send(call, &ask(path.with("customerId", customer)))
            .await
            .map(drop)
    }

    /// Which of the configured licences he has: Google lists them by address alone.
    async fn licences_of(&self, call: &mut Call, member: &Member) -> Answer<Vec<String>> {
        let mut found = Vec::new();
        for licence in &self.licences {
            let ask = Ask::get(licence_path(licence, member), Scope::Licences, About::Licence);
            match self.wire.send(call, &ask).await {
                Ok(_) => found.push(licence.text()),
                Err(fault) if fault.class == FaultClass::Absent => {
                    self.product_is_there(call, licence, member).await?;
                }
                Err(fault) => return Err(fault),
            }
        }
        found.sort_unstable();
        Ok(found)
    }
}

fn product(licence: &Licence) -> Path {
    Path::at("apps")
        .then("licensing/v1/product")
        .id(&licence.product)
        .then("sku")
        .id(&licence.sku)
}

fn licence_path(licence: &Licence, member: &Member) -> Path {
    product(licence).then("user").id(&member.address)
}

#[async_trait]
impl Workspace for GoogleConnector {
    async fn find(&self, call: &mut Call, who: &Known) -> Answer<Vec<Member>> {
        let mut found: BTreeMap<ObjectId, Member> = BTreeMap::new();
        // What has no @ is no address, and leads nowhere here.
        for name in who.names.iter().filter(|name| name.contains('@')) {
            let his = self.search_exactly(call, "email", name).await?;
            found.extend(his.into_iter().map(|m| (m.id.clone(), m)));
        }
        if let Some(number) = &who.employee_id {
            let his = self.search_exactly(call, "externalId", number).await?;
            found.extend(his.into_iter().map(|m| (m.id.clone(), m)));
        }
        Ok(found.into_values().collect())
    }

    async fn member(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Member>> {
        let ask = Ask::get(user(id).with("projection", "full"), Scope::Users, About::Account);
        let reply = match self.wire.send(call, &ask).await {
            Ok(reply) => reply,
            Err(fault) if fault.class == FaultClass::Absent => {
                self.workspace_is_there(call).await?;
                return Ok(None);
            }
            Err(fault) => return Err(fault),
        };
        match member(reply.body) {
            Some(member) if member.id == *id => Ok(Some(member)),
            _ => {
                let detail = "Google answers with something else than the account of that id; it is read again";
                Err(self.wire.fault(&ask, FaultClass::Transient, detail))
            }
        }
    }

    /// Google lists for 20 days whom it has deleted. No search narrows that down.
    async fn absence(&self, call: &mut Call, id: &ObjectId) -> Answer<Absence> {
        let company = self.workspace_is_there(call).await?;
        let ask = |path: Path| Ask::get(path, Scope::Users, About::Service);
        let path = users()
            .with("customer", "my_customer")
            .with("maxResults", PAGE)
            .with("showDeleted", "true");
        let listed = self.wire.list(call, ask, path, "users").await?;
        let his = listed
            .iter()
            .find(|one| id_of(&one["id"]).as_deref() == Some(id.0.as_str()));
        Ok(Absence {
            deleted: his.is_some(),
            deleted_ms: his.and_then(|one| time_ms(&one["deletionTime"])),
            company,
        })
    }

    fn acts_for(&self, member: &Member) -> bool {
        member.answers_to(self.admin()) || member.id.0 == self.admin()
    }

    async fn has_other_administrator(&self, call: &mut Call, id: &ObjectId) -> Answer<bool> {
        let all = self.search(call, "isAdmin=true").await?;
        Ok(all.iter().any(|m| m.administrator && !m.is_shut() && m.id != *id))
    }

    async fn change(&self, call: &mut Call, id: &ObjectId, change: &MemberChange) -> Answer<()> {
        let patch = |body| Ask::write(Method::PATCH, user(id), Scope::Users, About::Change, Some(body));
        let post = |path, about| Ask::write(Method::POST, path, Scope::Security, about, None);
        let ask = match change {
            // Nobody knows it, so nobody could be asked to change it.
            MemberChange::Password(new) => patch(json!({"password": new.expose(), "changePasswordAtNextLogin": false})),
            MemberChange::Suspend => patch(json!({"suspended": true})),
            MemberChange::SignOut => post(user(id).then("signOut"), About::Change),
            MemberChange::InvalidateBackupCodes => post(user(id).then("verificationCodes/invalidate"), About::Codes),
            MemberChange::TurnOffSecondFactor => {
                post(user(id).then("twoStepVerification/turnOff"), About::SecondFactor)
            }
        };
        self.wire.send(call, &ask).await.map(drop)
    }

    async fn consents(&self, call: &mut Call, member: &Member) -> Answer<Vec<Consent>> {
        let path = Self::held_path(member, MemberHolds::Grants);
        let ask = |path: Path| Ask::get(path, Scope::Security, About::Account);
        let items = self.wire.list(call, ask, path.clone(), "items").await?;
        let mut found = Vec::with_capacity(items.len());
        for item in &items {
            let Some(client) = id_of(&item["clientId"]) else {
                let detail = "Google lists a token of the account without its application's id; it is read again";
                return Err(self.wire.fault(&ask(path), FaultClass::Transient, detail));
            };
            let name = item["displayText"].as_str().map(str::trim);
            found.push(Consent {
                client: ObjectId(client),
                name: name.filter(|name| !name.is_empty()).map(str::to_owned),
            });
        }
        found.sort_by(|a, b| a.client.cmp(&b.client));
        found.dedup_by(|a, b| a.client == b.client);
        Ok(found)
    }

    async fn held(&self, call: &mut Call, member: &Member, sort: MemberHolds) -> Answer<Vec<String>> {
        match sort {
            MemberHolds::Licences => self.licences_of(call, member).await,
            _ => self.listed(call, member, sort).await,
        }
    }

    async fn take(&self, call: &mut Call, member: &Member, sort: MemberHolds, what: &str) -> Answer<()> {
        let delete = |path, scope, about| Ask::write(Method::DELETE, path, scope, about, None);
        let path = Self::held_path(member, sort).id(what);
        let ask = match sort {
            MemberHolds::Grants => delete(path, Scope::Security, About::Change),
            MemberHolds::AppPasswords => delete(path, Scope::Security, About::AppPassword),
            MemberHolds::Groups => delete(path.then("members").id(&member.id.0), Scope::Members, About::Membership),
            MemberHolds::Licences => {
                let licence = Licence::parse(what).ok_or_else(|| {
                    let ask = delete(path.clone(), Scope::Licences, About::Licence);
                    self.wire
                        .fault(&ask, FaultClass::Rejected, "it is no licence; report this")
                })?;
                delete(licence_path(&licence, member), Scope::Licences, About::Licence)
            }
            MemberHolds::BackupCodes => {
                let change = MemberChange::InvalidateBackupCodes;
                return Workspace::change(self, call, &member.id, &change).await;
            }
        };
        match self.wire.send(call, &ask).await {
            Err(fault) if fault.class == FaultClass::Absent => Ok(()),
            done => done.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_cannot_be_written_wrongly() {
        assert_eq!(exactly("email", "a@b.c"), "email='a@b.c'");
        assert_eq!(
            exactly("email", r"o'x\' isAdmin=true"),
            r"email='o\'x\\\' isAdmin=true'"
        );
    }

    #[test]
    fn what_is_not_shown_is_not_taken_for_no() {
        let whole = json!({
            "id": 117, "primaryEmail": "a@b.c", "suspended": false, "isAdmin": false, "isEnrolledIn2Sv": true,
            "externalIds": [{"type": "organization", "value": "4711"}, {"type": "login_id", "value": "9"}],
            "relations": [{"type": "assistant", "value": "x@b.c"}, {"type": "manager", "value": "m@b.c"}],
            "aliases": ["a.b@b.c"], "hobby": {"canary": [1]},
        });
        let read = member(whole.clone()).unwrap();
        assert_eq!(
            (read.id.0.as_str(), read.employee_ids.as_slice()),
            ("117", ["4711".to_owned()].as_slice())
        );
        assert_eq!(read.manager.as_deref(), Some("m@b.c"));
        assert!(read.answers_to("A.B@b.c") && !read.answers_to("x@b.c"));
        for name in ["id", "primaryEmail", "suspended", "isAdmin", "isEnrolledIn2Sv"] {
            let mut less = whole.clone();
            less.as_object_mut().unwrap().remove(name);
            assert!(member(less).is_none(), "{name}");
            let mut odd = whole.clone();
            odd[name] = json!({"what": "is this"});
            assert!(member(odd).is_none(), "{name}");
        }
    }
}
