//! Accounts: properties, sessions, authentication methods, roles, grants.

use super::journal::{Effect, Harm};
use super::model::{
    AppAssignment, EntraDevice, Grant, Group, Method, MethodKind, Person, PhoneKind, RoleAssignment, SignIn,
};
use super::tenant::Due;
use super::{Cx, Tenant, VendorError};

/// A change of a user's properties; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserChange {
    /// Whether he may sign in.
    pub account_enabled: Option<bool>,
    /// Whether he shows in address lists.
    pub show_in_address_list: Option<bool>,
    /// The job title; `Some(None)` clears it.
    pub job_title: Option<Option<String>>,
    /// The department; `Some(None)` clears it.
    pub department: Option<Option<String>>,
    /// The name.
    pub display_name: Option<String>,
    /// When he leaves.
    pub employee_leave_ms: Option<Option<i64>>,
    /// Whether a new password was given. The password itself is not kept.
    pub password: bool,
}

/// A deleted account, restorable for thirty days.
#[derive(Debug, Clone)]
pub struct Deleted {
    /// When.
    pub at_ms: i64,
    /// As he was.
    pub person: Person,
}

impl Tenant {
    /// A user as a replica shows him, by object id or UPN.
    pub(super) fn seen(&self, cx: &Cx, who: &str) -> Result<&Person, VendorError> {
        self.people
            .at(who, cx.as_of)
            .or_else(|| {
                self.people
                    .iter_at(cx.as_of)
                    .map(|(_, person)| person)
                    .find(|person| person.upn.eq_ignore_ascii_case(who))
            })
            .ok_or_else(|| VendorError::no_resource(who))
    }

    /// The object id of a user as he truly is.
    pub(super) fn true_id(&self, who: &str) -> Result<String, VendorError> {
        self.person(who)
            .map(|person| person.id.clone())
            .ok_or_else(|| VendorError::no_resource(who))
    }

    pub(super) fn get_user(&self, cx: &Cx, who: &str) -> Result<Person, VendorError> {
        self.seen(cx, who).cloned()
    }

    pub(super) fn list_users(&self, cx: &Cx) -> Vec<Person> {
        self.people
            .iter_at(cx.as_of)
            .map(|(_, person)| person.clone())
            .collect()
    }

    pub(super) fn get_manager(&self, cx: &Cx, who: &str) -> Result<Person, VendorError> {
        let manager = self
            .seen(cx, who)?
            .manager
            .clone()
            .ok_or_else(|| VendorError::no_resource("manager"))?;
        self.seen(cx, &manager).cloned()
    }

    fn guard_sensitive(&self, cx: &Cx, id: &str) -> Result<(), VendorError> {
        if self.is_privileged(id, cx.as_of) && !cx.caller.may_touch_administrators() {
            return Err(VendorError::privileged());
        }
        Ok(())
    }

    pub(super) fn patch_user(&mut self, cx: &Cx, who: &str, change: &UserChange) -> Result<(), VendorError> {
        let id = self.true_id(who)?;
        let synced = self.people.get(&id).is_some_and(|person| person.on_prem.is_some());
        let mastered = change.show_in_address_list.is_some()
            || change.job_title.is_some()
            || change.department.is_some()
            || change.display_name.is_some()
            || change.password;
        if synced && mastered {
            return Err(VendorError::synced());
        }
        if change.account_enabled.is_some() || change.password {
            self.guard_sensitive(cx, &id)?;
        }
        let only_switch = UserChange {
            account_enabled: change.account_enabled,
            ..UserChange::default()
        } == *change;
        if !only_switch
            && !change.password
            && !["User.ReadWrite.All", "Directory.ReadWrite.All"]
                .iter()
                .any(|p| cx.caller.has(p))
        {
            return Err(VendorError::privileged());
        }
        let Some(person) = self.people.edit(&id, cx.now) else {
            return Err(VendorError::no_resource(who));
        };
        let mut effects = Vec::new();
        if let Some(enabled) = change.account_enabled {
            if person.account_enabled != enabled {
                effects.push(if enabled {
                    Effect::SignInEnabled
                } else {
                    Effect::SignInDisabled
                });
            }
            person.account_enabled = enabled;
        }
        if change.password {
            person.password_changed_ms = cx.now;
            person.sessions_valid_from_ms = person.sessions_valid_from_ms.max(cx.now);
            effects.push(Effect::PasswordReset);
        }
        let before = person.clone();
        if let Some(shown) = change.show_in_address_list {
            person.show_in_address_list = Some(shown);
        }
        if let Some(title) = &change.job_title {
            person.job_title.clone_from(title);
        }
        if let Some(department) = &change.department {
            person.department.clone_from(department);
        }
        if let Some(name) = &change.display_name {
            person.display_name.clone_from(name);
        }
        if let Some(leave) = change.employee_leave_ms {
            person.employee_leave_ms = leave;
        }
        if *person != before {
            effects.push(Effect::ProfileChanged);
        }
        for effect in &effects {
            self.note(cx.now, cx.actor(), *effect, &id, &id);
        }
        if effects.contains(&Effect::SignInDisabled) {
            let holds_top = self
                .roles
                .iter()
                .any(|(_, role)| role.principal == id && role.role == super::catalogue::GLOBAL_ADMINISTRATOR);
            if holds_top {
                self.check_administrators(cx.now, cx.actor(), &id, &id);
            }
            self.tempt_colleague(cx, Due::Reenable { person: id.clone() });
        }
        if !effects.is_empty() {
            let at = cx.now + cx.dice.between(cx.tune.dynamic_group_ms, "dynamic", &cx.salt, 0);
            self.schedule(at, Due::Dynamic { person: id });
        }
        Ok(())
    }

    pub(super) fn revoke_sessions(&mut self, cx: &Cx, who: &str) -> Result<(), VendorError> {
        let id = self.true_id(who)?;
        if let Some(person) = self.people.edit(&id, cx.now) {
            person.sessions_valid_from_ms = person.sessions_valid_from_ms.max(cx.now);
        }
        self.note(cx.now, cx.actor(), Effect::SessionsRevoked, &id, &id);
        Ok(())
    }

    pub(super) fn delete_user(&mut self, cx: &Cx, who: &str) -> Result<(), VendorError> {
        let id = self.true_id(who)?;
        self.guard_sensitive(cx, &id)?;
        if self.people.get(&id).is_some_and(|person| person.on_prem.is_some()) {
            return Err(VendorError::synced());
        }
        self.note(cx.now, cx.actor(), Effect::UserDeleted, &id, &id);
        let Some(person) = self.people.remove(&id, cx.now) else {
            return Err(VendorError::no_resource(who));
        };
        let touched: Vec<String> = self
            .groups
            .iter()
            .filter(|(_, group)| group.members.contains(&id) || group.owners.contains(&id))
            .map(|(group, _)| group.to_owned())
            .collect();
        for group in touched {
            let orphaned = self.groups.edit(&group, cx.now).is_some_and(|row| {
                row.members.remove(&id);
                row.owners.remove(&id) && row.owners.is_empty()
            });
            if orphaned {
                self.harm(cx.now, cx.actor(), Harm::GroupWithoutOwner, &id, &group);
            }
        }
        let assignments: Vec<String> = self
            .roles
            .iter()
            .filter(|(_, role)| role.principal == id)
            .map(|(role, _)| role.to_owned())
            .collect();
        for assignment in assignments {
            self.roles.remove(&assignment, cx.now);
        }
        let eligible: Vec<String> = self
            .eligible_roles
            .iter()
            .filter(|(_, role)| role.principal == id)
            .map(|(role, _)| role.to_owned())
            .collect();
        for role in eligible {
            self.eligible_roles.remove(&role, cx.now);
        }
        if let Some(mailbox) = self.mailboxes.edit(&id, cx.now) {
            mailbox.lost_ms = Some(cx.now);
        }
        self.check_administrators(cx.now, cx.actor(), &id, &id);
        self.deleted.push(Deleted { at_ms: cx.now, person });
        Ok(())
    }

    /// What a `DELETE` of a member or owner without `/$ref` does to the caller's surprise.
    pub(super) fn delete_through_membership(&mut self, cx: &Cx, group: &str, who: &str) -> Result<(), VendorError> {
        if self.groups.get(group).is_none() {
            return Err(VendorError::no_resource(group));
        }
        if !cx.caller.has("User.ReadWrite.All") {
            return Err(VendorError::privileged());
        }
        self.delete_user(cx, who)?;
        self.harm(cx.now, cx.actor(), Harm::DeletedThroughMembership, who, group);
        Ok(())
    }

    pub(super) fn list_deleted(&self) -> Vec<Deleted> {
        self.deleted.clone()
    }

    pub(super) fn list_methods(&self, cx: &Cx, who: &str) -> Result<Vec<Method>, VendorError> {
        Ok(self.seen(cx, who)?.methods.clone())
    }

    pub(super) fn delete_method(
        &mut self,
        cx: &Cx,
        who: &str,
        is_kind: impl Fn(MethodKind) -> bool,
        method: &str,
    ) -> Result<(), VendorError> {
        let id = self.true_id(who)?;
        if self.is_privileged(&id, cx.as_of) && !cx.caller.may_touch_administrators() {
            return Err(VendorError::new(403, "accessDenied", "Request Authorization failed"));
        }
        let Some(person) = self.people.get(&id) else {
            return Err(VendorError::no_resource(who));
        };
        let found = person
            .methods
            .iter()
            .find(|row| row.id == method && is_kind(row.kind))
            .ok_or_else(VendorError::no_method)?;
        let others = person.methods.len() > 1;
        let alternate_left = person
            .methods
            .iter()
            .any(|row| row.kind == MethodKind::Phone(PhoneKind::AlternateMobile));
        if found.kind == MethodKind::Phone(PhoneKind::Mobile) && alternate_left {
            return Err(VendorError::new(
                400,
                "badRequest",
                "The mobile phone cannot be deleted while an alternate mobile phone is registered. Delete the alternate mobile phone first.",
            ));
        }
        if person.default_method.as_deref() == Some(method) && others {
            return Err(VendorError::new(
                400,
                "badRequest",
                "Cannot delete default method with other methods configured. Please change default method before deletion.",
            ));
        }
        if let Some(person) = self.people.edit(&id, cx.now) {
            person.methods.retain(|row| row.id != method);
            if person.default_method.as_deref() == Some(method) {
                person.default_method = None;
            }
        }
        self.note(cx.now, cx.actor(), Effect::MethodRemoved, &id, method);
        Ok(())
    }

    pub(super) fn list_role_assignments(&self, cx: &Cx, principal: Option<&str>) -> Vec<RoleAssignment> {
        // Applications hold directory roles too: they are asked for by who checks a configuration.
        let of_apps = self.apps.values().flat_map(|app| {
            app.entra_roles.iter().map(|role| RoleAssignment {
                id: format!("{}-{role}", app.principal),
                principal: app.principal.clone(),
                role: role.clone(),
            })
        });
        self.roles
            .iter_at(cx.as_of)
            .map(|(_, role)| role.clone())
            .chain(of_apps)
            .filter(|role| principal.is_none_or(|wanted| role.principal == wanted))
            .collect()
    }

    pub(super) fn remove_role_member(&mut self, cx: &Cx, role: &str, who: &str) -> Result<(), VendorError> {
        let id = self.true_id(who)?;
        let found = self
            .roles
            .iter()
            .find(|(_, row)| row.role == role && row.principal == id)
            .map(|(assignment, _)| assignment.to_owned());
        self.remove_role(cx, &found.ok_or_else(|| VendorError::no_resource(who))?)
    }

    pub(super) fn remove_role(&mut self, cx: &Cx, assignment: &str) -> Result<(), VendorError> {
        let Some(role) = self.roles.remove(assignment, cx.now) else {
            return Err(VendorError::no_resource(assignment));
        };
        self.note(cx.now, cx.actor(), Effect::RoleRemoved, &role.principal, assignment);
        if role.role == super::catalogue::GLOBAL_ADMINISTRATOR {
            self.check_administrators(cx.now, cx.actor(), &role.principal, assignment);
        }
        Ok(())
    }

    fn guard_eligible(&self) -> Result<(), VendorError> {
        if self.eligible_roles_licensed {
            return Ok(());
        }
        Err(VendorError::new(
            400,
            "AadPremiumLicenseRequired",
            "The tenant needs to have Microsoft Entra ID P2 or Microsoft Entra ID Governance license.",
        ))
    }

    pub(super) fn list_eligible_roles(
        &self,
        cx: &Cx,
        principal: Option<&str>,
    ) -> Result<Vec<RoleAssignment>, VendorError> {
        self.guard_eligible()?;
        Ok(self
            .eligible_roles
            .iter_at(cx.as_of)
            .map(|(_, role)| role)
            .filter(|role| principal.is_none_or(|wanted| role.principal == wanted))
            .cloned()
            .collect())
    }

    pub(super) fn remove_eligible_role(
        &mut self,
        cx: &Cx,
        principal: &str,
        role: &str,
    ) -> Result<RoleAssignment, VendorError> {
        self.guard_eligible()?;
        let found = self
            .eligible_roles
            .iter()
            .find(|(_, row)| row.principal == principal && row.role == role)
            .map(|(id, _)| id.to_owned());
        let Some(row) = found.and_then(|id| self.eligible_roles.remove(&id, cx.now)) else {
            return Err(VendorError::no_role_assignment());
        };
        self.note(cx.now, cx.actor(), Effect::EligibleRoleRemoved, principal, &row.id);
        Ok(row)
    }

    pub(super) fn list_grants(&self, cx: &Cx, who: Option<&str>) -> Result<Vec<Grant>, VendorError> {
        let principal = who
            .map(|who| self.seen(cx, who).map(|person| person.id.clone()))
            .transpose()?;
        Ok(self
            .grants
            .iter_at(cx.as_of)
            .map(|(_, grant)| grant)
            .filter(|grant| principal.is_none() || grant.principal == principal)
            .cloned()
            .collect())
    }

    pub(super) fn delete_grant(&mut self, cx: &Cx, grant: &str) -> Result<(), VendorError> {
        let Some(row) = self.grants.remove(grant, cx.now) else {
            return Err(VendorError::no_resource(grant));
        };
        self.note(
            cx.now,
            cx.actor(),
            Effect::GrantRemoved,
            row.principal.as_deref().unwrap_or_default(),
            grant,
        );
        Ok(())
    }

    pub(super) fn list_app_assignments(&self, cx: &Cx, who: &str) -> Result<Vec<AppAssignment>, VendorError> {
        let person = self.seen(cx, who)?;
        let groups: Vec<&str> = self
            .groups
            .iter_at(cx.as_of)
            .filter(|(_, group)| group.members.contains(&person.id))
            .map(|(id, _)| id)
            .collect();
        Ok(self
            .app_assignments
            .iter_at(cx.as_of)
            .map(|(_, row)| row)
            // An assignment of his group is listed with him, though it is not his to lose.
            .filter(|row| row.principal == person.id || groups.contains(&row.principal.as_str()))
            .cloned()
            .collect())
    }

    pub(super) fn delete_app_assignment(&mut self, cx: &Cx, who: &str, assignment: &str) -> Result<(), VendorError> {
        let id = self.true_id(who)?;
        let his = self
            .app_assignments
            .get(assignment)
            .is_some_and(|row| row.principal == id);
        if !his {
            return Err(VendorError::no_resource(assignment));
        }
        self.app_assignments.remove(assignment, cx.now);
        self.note(cx.now, cx.actor(), Effect::AppAccessRemoved, &id, assignment);
        Ok(())
    }

    pub(super) fn list_owned_groups(&self, cx: &Cx, who: &str) -> Result<Vec<Group>, VendorError> {
        let id = &self.seen(cx, who)?.id;
        Ok(self
            .groups
            .iter_at(cx.as_of)
            .map(|(_, group)| group)
            .filter(|group| group.owners.contains(id))
            .cloned()
            .collect())
    }

    /// The devices of which he is registered as an owner, or as a user.
    pub(super) fn list_registered_devices(
        &self,
        cx: &Cx,
        who: &str,
        as_owner: bool,
    ) -> Result<Vec<EntraDevice>, VendorError> {
        let id = &self.seen(cx, who)?.id;
        let his = |device: &EntraDevice| {
            if as_owner {
                device.owners().any(|one| one == id)
            } else {
                device.users().any(|one| one == id)
            }
        };
        Ok(self
            .devices
            .iter_at(cx.as_of)
            .map(|(_, device)| device)
            .filter(|device| his(device))
            .cloned()
            .collect())
    }

    pub(super) fn list_sign_ins(&self, who: Option<&str>, from_ms: Option<i64>) -> Vec<SignIn> {
        self.sign_ins
            .iter()
            .filter(|row| who.is_none_or(|who| row.user == who) && from_ms.is_none_or(|from| row.at_ms >= from))
            .cloned()
            .collect()
    }
}
