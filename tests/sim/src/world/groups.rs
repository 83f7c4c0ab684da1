//! Groups: who is in them, who owns them, and which of them refuse what.

use std::collections::BTreeSet;

use super::catalogue::{self, Role};
use super::journal::Effect;
use super::model::{Group, GroupKind, Person};
use super::tenant::Due;
use super::{Actor, Cruelty, Cx, Tenant, VendorError};

/// Something that a user is a member of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Membership {
    /// A group.
    Group(Box<Group>),
    /// A directory role.
    Role(Role),
}

impl Group {
    /// Whether only Exchange may change its members.
    #[must_use]
    pub fn is_exchange_managed(&self) -> bool {
        matches!(self.kind, GroupKind::MailSecurity | GroupKind::Distribution)
    }
}

impl Tenant {
    pub(super) fn get_group(&self, cx: &Cx, group: &str) -> Result<Group, VendorError> {
        self.groups
            .at(group, cx.as_of)
            .cloned()
            .ok_or_else(|| VendorError::no_resource(group))
    }

    pub(super) fn list_groups(&self, cx: &Cx) -> Vec<Group> {
        self.groups.iter_at(cx.as_of).map(|(_, group)| group.clone()).collect()
    }

    pub(super) fn list_member_of(&self, cx: &Cx, who: &str, transitive: bool) -> Result<Vec<Membership>, VendorError> {
        let person = self.seen(cx, who)?;
        let mut found: BTreeSet<&str> = BTreeSet::new();
        let mut layer: BTreeSet<&str> = BTreeSet::from([person.id.as_str()]);
        while !layer.is_empty() {
            let next: BTreeSet<&str> = self
                .groups
                .iter_at(cx.as_of)
                .filter(|(id, group)| !found.contains(id) && layer.iter().any(|member| group.members.contains(*member)))
                .map(|(id, _)| id)
                .collect();
            found.extend(&next);
            layer = if transitive { next } else { BTreeSet::new() };
        }
        let groups = found
            .into_iter()
            .filter_map(|id| self.groups.at(id, cx.as_of))
            .map(|group| Membership::Group(Box::new(group.clone())));
        let roles = self
            .roles
            .iter_at(cx.as_of)
            .filter(|(_, role)| role.principal == person.id)
            .filter_map(|(_, role)| catalogue::role(&role.role).copied().map(Membership::Role));
        Ok(groups.chain(roles).collect())
    }

    pub(super) fn list_people_of(&self, cx: &Cx, group: &str, owners: bool) -> Result<Vec<Person>, VendorError> {
        let group = self
            .groups
            .at(group, cx.as_of)
            .ok_or_else(|| VendorError::no_resource(group))?;
        let ids = if owners { &group.owners } else { &group.members };
        Ok(ids
            .iter()
            .filter_map(|id| self.people.at(id, cx.as_of))
            .cloned()
            .collect())
    }

    /// Refuses what the directory does not let anybody do to this group's members by Graph.
    fn guard_members(cx: &Cx, group: &Group) -> Result<(), VendorError> {
        if group.synced {
            return Err(VendorError::synced());
        }
        if group.is_exchange_managed() {
            return Err(VendorError::bad_request(
                "Cannot Update a mail-enabled security groups and or distribution list.",
            ));
        }
        if group.role_assignable && !cx.caller.has("RoleManagement.ReadWrite.Directory") {
            return Err(VendorError::privileged());
        }
        Ok(())
    }

    fn guard_dynamic(group: &Group) -> Result<(), VendorError> {
        if group.rule.is_some() {
            return Err(VendorError::bad_request(
                "Insufficient privileges to complete the operation: the members of a group with dynamic membership cannot be changed.",
            ));
        }
        Ok(())
    }

    pub(super) fn add_member(&mut self, cx: &Cx, group: &str, who: &str) -> Result<(), VendorError> {
        let id = self.true_id(who)?;
        let row = self.groups.get(group).ok_or_else(|| VendorError::no_resource(group))?;
        Self::guard_members(cx, row)?;
        Self::guard_dynamic(row)?;
        if row.members.contains(&id) {
            return Err(already_there("members"));
        }
        if let Some(row) = self.groups.edit(group, cx.now) {
            row.members.insert(id.clone());
        }
        self.note(cx.now, cx.actor(), Effect::MemberAdded, &id, group);
        self.give_group_licences(cx.now, &id, group);
        Ok(())
    }

    pub(super) fn remove_member(&mut self, cx: &Cx, group: &str, who: &str) -> Result<(), VendorError> {
        let row = self.groups.get(group).ok_or_else(|| VendorError::no_resource(group))?;
        Self::guard_members(cx, row)?;
        Self::guard_dynamic(row)?;
        self.take_out(cx, group, who, || VendorError::no_resource(who))
    }

    /// Takes a member out of any group and lets the consequences begin.
    pub(super) fn take_out(
        &mut self,
        cx: &Cx,
        group: &str,
        who: &str,
        absent: impl Fn() -> VendorError,
    ) -> Result<(), VendorError> {
        let id = self
            .person(who)
            .map_or_else(|| who.to_owned(), |person| person.id.clone());
        if !self.groups.get(group).is_some_and(|row| row.members.contains(&id)) {
            return Err(absent());
        }
        if let Some(row) = self.groups.edit(group, cx.now) {
            row.members.remove(&id);
        }
        self.note(cx.now, cx.actor(), Effect::MemberRemoved, &id, group);
        let at = cx.now + cx.dice.between(cx.tune.group_license_ms, "group licence", &cx.salt, 0);
        self.schedule(
            at,
            Due::GroupLicence {
                person: id.clone(),
                group: group.to_owned(),
                actor: cx.actor.clone(),
            },
        );
        self.tempt_colleague(
            cx,
            Due::AddAgain {
                person: id,
                group: group.to_owned(),
            },
        );
        Ok(())
    }

    pub(super) fn add_owner(&mut self, cx: &Cx, group: &str, who: &str) -> Result<(), VendorError> {
        let id = self.true_id(who)?;
        let row = self.groups.get(group).ok_or_else(|| VendorError::no_resource(group))?;
        Self::guard_members(cx, row)?;
        if row.owners.contains(&id) {
            return Err(already_there("owners"));
        }
        if let Some(row) = self.groups.edit(group, cx.now) {
            row.owners.insert(id.clone());
        }
        self.note(cx.now, cx.actor(), Effect::OwnerAdded, &id, group);
        Ok(())
    }

    pub(super) fn remove_owner(&mut self, cx: &Cx, group: &str, who: &str) -> Result<(), VendorError> {
        let row = self.groups.get(group).ok_or_else(|| VendorError::no_resource(group))?;
        Self::guard_members(cx, row)?;
        let id = self
            .person(who)
            .map_or_else(|| who.to_owned(), |person| person.id.clone());
        if !row.owners.contains(&id) {
            return Err(VendorError::no_resource(who));
        }
        if row.owners.len() == 1 {
            return Err(VendorError::bad_request(
                "The group must have at least one owner, hence this owner cannot be removed.",
            ));
        }
        if let Some(row) = self.groups.edit(group, cx.now) {
            row.owners.remove(&id);
        }
        self.note(cx.now, cx.actor(), Effect::OwnerRemoved, &id, group);
        Ok(())
    }

    pub(super) fn give_group_licences(&mut self, at: i64, person: &str, group: &str) {
        let gives = |row: &Group| (row.licenses.clone(), row.disabled_plans.clone());
        let Some((skus, mut disabled_plans)) = self.groups.get(group).map(gives) else {
            return;
        };
        for sku in skus {
            let off = disabled_plans.remove(&sku).unwrap_or_default();
            let new = self.people.edit(person, at).is_some_and(|row| {
                row.disabled_plans.insert((sku.clone(), Some(group.to_owned())), off);
                row.group_licenses
                    .entry(sku.clone())
                    .or_default()
                    .insert(group.to_owned())
            });
            if new {
                self.note(
                    at,
                    &Actor::Machinery("group licensing"),
                    Effect::LicenceAdded,
                    person,
                    &sku,
                );
            }
        }
    }

    pub(super) fn give_back_group_licences(
        &mut self,
        at: i64,
        person: &str,
        group: &str,
        actor: &Actor,
        tune: &Cruelty,
    ) {
        let still_in = self.groups.get(group).is_some_and(|row| row.members.contains(person));
        let Some(before) = self.people.get(person).cloned().filter(|_| !still_in) else {
            return;
        };
        let gone: Vec<String> = before
            .group_licenses
            .iter()
            .filter(|(_, groups)| groups.contains(group))
            .map(|(sku, _)| sku.clone())
            .collect();
        if gone.is_empty() {
            return;
        }
        if let Some(row) = self.people.edit(person, at) {
            for sku in &gone {
                if let Some(groups) = row.group_licenses.get_mut(sku) {
                    groups.remove(group);
                }
            }
            row.group_licenses.retain(|_, groups| !groups.is_empty());
            row.disabled_plans.retain(|(_, by), _| by.as_deref() != Some(group));
        }
        for sku in &gone {
            self.note(
                at,
                &Actor::Machinery("group licensing"),
                Effect::LicenceRemoved,
                person,
                sku,
            );
        }
        self.follow_licences(at, person, &before, actor, tune);
    }
}

fn already_there(what: &str) -> VendorError {
    VendorError::bad_request(format!(
        "One or more added object references already exist for the following modified properties: '{what}'."
    ))
}
