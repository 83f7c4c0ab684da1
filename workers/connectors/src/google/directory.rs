//! A workspace as the directory in which a person is found, for a tenant that has
//! no other. What ends his access is the workspace's own kinds; so of a directory
//! only what finds people is offered here, and the rest is refused.

use super::GoogleConnector;
use super::account::user;
use super::scope::Scope;
use super::wire::{About, Ask};
use crate::area::directory::says_otherwise;
use crate::{
    Account, AccountChange, Answer, Application, Call, Directory, Found, Held, Holding, Member, RoleOrigin, Workspace,
};
use async_trait::async_trait;
use offboard_domain::departure::PersonRef;
use offboard_domain::{Fault, FaultClass, ObjectId};
use std::collections::BTreeMap;

impl GoogleConnector {
    async fn as_account(&self, call: &mut Call, member: Member) -> Answer<Account> {
        let manager_id = match &member.manager {
            None => None,
            Some(address) => {
                let mut found = self.search_exactly(call, "email", address).await?;
                found.pop().filter(|_| found.is_empty()).map(|m| m.id)
            }
        };
        let guest = member.whole["isGuestUser"].as_bool() == Some(true);
        let name = member.whole["name"]["fullName"].as_str().map(str::to_owned);
        Ok(Account {
            enabled: !member.is_shut(),
            id: member.id,
            mail: Some(member.address.clone()),
            addresses: member.aliases,
            user_principal_name: member.address,
            display_name: name,
            employee_id: member.employee_ids.into_iter().next(),
            synced: false,
            guest,
            has_mailbox: member.has_mail,
            sessions_valid_from_ms: None,
            password_changed_ms: None,
            manager_id,
            on_premises_security_id: None,
            synced_at_ms: None,
        })
    }

    fn not_offered(&self, id: &ObjectId) -> Fault {
        let ask = Ask::get(user(id), Scope::Users, About::Account);
        let detail = "of a workspace only its own kinds are offered; report this";
        self.wire.fault(&ask, FaultClass::Unsupported, detail)
    }
}

/// Whether the request that gave its id says of it what is not so.
fn is_otherwise_in(person: &PersonRef, member: &Member) -> bool {
    let mut addresses = vec![member.address.as_str()];
    addresses.extend(member.aliases.iter().map(String::as_str));
    let numbers: Vec<&str> = member.employee_ids.iter().map(String::as_str).collect();
    says_otherwise(person, &addresses, &numbers)
}

#[async_trait]
impl Directory for GoogleConnector {
    async fn find(&self, call: &mut Call, person: &PersonRef) -> Answer<Found> {
        if let Some(id) = &person.object_id {
            return Ok(match self.member(call, id).await? {
                Some(member) if is_otherwise_in(person, &member) => Found::Ambiguous { ids: vec![member.id] },
                Some(member) => Found::One(Box::new(self.as_account(call, member).await?)),
                None => Found::Nobody,
            });
        }
        let names = [
            ("email", &person.user_principal_name),
            ("email", &person.mail),
            ("externalId", &person.employee_id),
        ];
        let mut found: BTreeMap<ObjectId, Member> = BTreeMap::new();
        let mut led_nowhere = false;
        for (field, value) in names {
            let Some(value) = value else { continue };
            let his = self.search_exactly(call, field, value).await?;
            led_nowhere |= his.is_empty();
            found.extend(his.into_iter().map(|m| (m.id.clone(), m)));
        }
        let ids: Vec<ObjectId> = found.keys().cloned().collect();
        let one = found
            .pop_first()
            .map(|(_, m)| m)
            .filter(|_| found.is_empty() && !led_nowhere);
        Ok(match one {
            Some(member) => Found::One(Box::new(self.as_account(call, member).await?)),
            None if ids.is_empty() => Found::Nobody,
            None => Found::Ambiguous { ids },
        })
    }

    async fn account(&self, call: &mut Call, id: &ObjectId) -> Answer<Account> {
        match self.member(call, id).await? {
            Some(member) => self.as_account(call, member).await,
            None => {
                let ask = Ask::get(user(id), Scope::Users, About::Account);
                Err(self
                    .wire
                    .fault(&ask, FaultClass::Absent, "Google has no account of that id"))
            }
        }
    }

    async fn set(&self, _call: &mut Call, id: &ObjectId, _change: &AccountChange) -> Answer<()> {
        Err(self.not_offered(id))
    }

    /// Roles alone, and of those the one that can do everything.
    async fn holdings(&self, call: &mut Call, id: &ObjectId, what: Holding) -> Answer<Vec<Held>> {
        if what != Holding::Roles {
            return Err(self.not_offered(id));
        }
        let administers = self.member(call, id).await?.is_some_and(|m| m.administrator);
        if !administers {
            return Ok(Vec::new());
        }
        let last_administrator = !self.has_other_administrator(call, id).await?;
        Ok(vec![Held::Role {
            id: "super-administrator".into(),
            role: None,
            scope: "/".to_owned(),
            origin: RoleOrigin::Direct,
            eligible: false,
            administrator: true,
            last_administrator,
        }])
    }

    async fn remove(&self, _call: &mut Call, id: &ObjectId, _held: &Held) -> Answer<()> {
        Err(self.not_offered(id))
    }

    async fn add_owner(&self, _call: &mut Call, group: &ObjectId, _owner: &ObjectId) -> Answer<()> {
        Err(self.not_offered(group))
    }

    /// Tokens of a workspace name their applications themselves.
    async fn applications(&self, _call: &mut Call, ids: &[ObjectId]) -> Answer<Vec<Application>> {
        match ids.first() {
            Some(id) => Err(self.not_offered(id)),
            None => Ok(Vec::new()),
        }
    }
}
