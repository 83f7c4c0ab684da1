//! Every call of the world as a plain function: who calls, when, about what.
//! Cmdlets are one function, [`World::invoke`]; tokens another, [`World::issue_token`].

mod belongings;

use super::model::{AppAssignment, EntraDevice, Grant, Group, Method, MethodKind, Person, RoleAssignment};
use super::{Caller, Deleted, LicenceOrder, Membership, Op, PoolLine, Reply, UserChange, VendorError, World};

/// What an application is and was granted, as its own tenant shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// The tenant's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its domains, the initial one first.
    pub domains: [String; 2],
    /// Whether an on-premises directory is synchronised.
    pub hybrid: bool,
}

impl World {
    /// A user by object id or UPN.
    pub fn get_user(&mut self, caller: &Caller, now_ms: i64, who: &str) -> Reply<Person> {
        self.gate(caller, now_ms, Op::GetUser, who, |tenant, cx| tenant.get_user(cx, who))
    }

    /// All users.
    pub fn list_users(&mut self, caller: &Caller, now_ms: i64) -> Reply<Vec<Person>> {
        self.gate(caller, now_ms, Op::GetUser, "*", |tenant, cx| Ok(tenant.list_users(cx)))
    }

    /// Changes a user's properties; with a password it is the call that sets one.
    pub fn patch_user(&mut self, caller: &Caller, now_ms: i64, who: &str, change: &UserChange) -> Reply<()> {
        let op = if change.password {
            Op::SetPassword
        } else {
            Op::PatchUser
        };
        self.gate(caller, now_ms, op, who, |tenant, cx| tenant.patch_user(cx, who, change))
    }

    /// Switches a user's sign-in.
    pub fn set_account_enabled(&mut self, caller: &Caller, now_ms: i64, who: &str, enabled: bool) -> Reply<()> {
        self.patch_user(
            caller,
            now_ms,
            who,
            &UserChange {
                account_enabled: Some(enabled),
                ..UserChange::default()
            },
        )
    }

    /// Deletes a user.
    pub fn delete_user(&mut self, caller: &Caller, now_ms: i64, who: &str) -> Reply<()> {
        self.gate(caller, now_ms, Op::DeleteUser, who, |tenant, cx| {
            tenant.delete_user(cx, who)
        })
    }

    /// What a `DELETE` on a membership without `/$ref` does: deletes the user.
    pub fn delete_through_membership(&mut self, caller: &Caller, now_ms: i64, group: &str, who: &str) -> Reply<()> {
        self.gate(caller, now_ms, Op::DeleteUser, who, |tenant, cx| {
            tenant.delete_through_membership(cx, group, who)
        })
    }

    /// Deleted users.
    pub fn list_deleted(&mut self, caller: &Caller, now_ms: i64) -> Reply<Vec<Deleted>> {
        self.gate(caller, now_ms, Op::DeletedItems, "*", |tenant, _| {
            Ok(tenant.list_deleted())
        })
    }

    /// A user's manager; 404 without one.
    pub fn get_manager(&mut self, caller: &Caller, now_ms: i64, who: &str) -> Reply<Person> {
        self.gate(caller, now_ms, Op::GetManager, who, |tenant, cx| {
            tenant.get_manager(cx, who)
        })
    }

    /// Ends all of a user's sessions.
    pub fn revoke_sessions(&mut self, caller: &Caller, now_ms: i64, who: &str) -> Reply<()> {
        self.gate(caller, now_ms, Op::RevokeSessions, who, |tenant, cx| {
            tenant.revoke_sessions(cx, who)
        })
    }

    /// A user's memberships.
    pub fn list_member_of(
        &mut self,
        caller: &Caller,
        now_ms: i64,
        who: &str,
        transitive: bool,
    ) -> Reply<Vec<Membership>> {
        self.gate(caller, now_ms, Op::ListMemberOf, who, |tenant, cx| {
            tenant.list_member_of(cx, who, transitive)
        })
    }

    /// Groups that a user owns.
    pub fn list_owned_groups(&mut self, caller: &Caller, now_ms: i64, who: &str) -> Reply<Vec<Group>> {
        self.gate(caller, now_ms, Op::ListOwned, who, |tenant, cx| {
            tenant.list_owned_groups(cx, who)
        })
    }

    /// Entra devices of which a user is registered as an owner, or as a user.
    pub fn list_registered_devices(
        &mut self,
        caller: &Caller,
        now_ms: i64,
        who: &str,
        as_owner: bool,
    ) -> Reply<Vec<EntraDevice>> {
        self.gate(caller, now_ms, Op::ListOwned, who, |tenant, cx| {
            tenant.list_registered_devices(cx, who, as_owner)
        })
    }

    /// A group.
    pub fn get_group(&mut self, caller: &Caller, now_ms: i64, group: &str) -> Reply<Group> {
        self.gate(caller, now_ms, Op::GetGroup, group, |tenant, cx| {
            tenant.get_group(cx, group)
        })
    }

    /// All groups.
    pub fn list_groups(&mut self, caller: &Caller, now_ms: i64) -> Reply<Vec<Group>> {
        self.gate(caller, now_ms, Op::GetGroup, "*", |tenant, cx| {
            Ok(tenant.list_groups(cx))
        })
    }

    /// A group's people: its members, or its owners.
    pub fn list_people_of(&mut self, caller: &Caller, now_ms: i64, group: &str, owners: bool) -> Reply<Vec<Person>> {
        self.gate(caller, now_ms, Op::ListMembers, group, |tenant, cx| {
            tenant.list_people_of(cx, group, owners)
        })
    }

    /// Adds a member.
    pub fn add_member(&mut self, caller: &Caller, now_ms: i64, group: &str, who: &str) -> Reply<()> {
        self.gate(caller, now_ms, Op::AddMember, &pair(group, who), |tenant, cx| {
            tenant.add_member(cx, group, who)
        })
    }

    /// Removes a member.
    pub fn remove_member(&mut self, caller: &Caller, now_ms: i64, group: &str, who: &str) -> Reply<()> {
        self.gate(caller, now_ms, Op::RemoveMember, &pair(group, who), |tenant, cx| {
            tenant.remove_member(cx, group, who)
        })
    }

    /// Adds an owner.
    pub fn add_owner(&mut self, caller: &Caller, now_ms: i64, group: &str, who: &str) -> Reply<()> {
        self.gate(caller, now_ms, Op::AddOwner, &pair(group, who), |tenant, cx| {
            tenant.add_owner(cx, group, who)
        })
    }

    /// Removes an owner; never the last.
    pub fn remove_owner(&mut self, caller: &Caller, now_ms: i64, group: &str, who: &str) -> Reply<()> {
        self.gate(caller, now_ms, Op::RemoveOwner, &pair(group, who), |tenant, cx| {
            tenant.remove_owner(cx, group, who)
        })
    }

    /// Directory role assignments, of one principal or all.
    pub fn list_role_assignments(
        &mut self,
        caller: &Caller,
        now_ms: i64,
        principal: Option<&str>,
    ) -> Reply<Vec<RoleAssignment>> {
        let key = principal.unwrap_or("*");
        self.gate(caller, now_ms, Op::ListRoles, key, |tenant, cx| {
            Ok(tenant.list_role_assignments(cx, principal))
        })
    }

    /// Removes a directory role assignment.
    pub fn remove_role(&mut self, caller: &Caller, now_ms: i64, assignment: &str) -> Reply<()> {
        self.gate(caller, now_ms, Op::RemoveRole, assignment, |tenant, cx| {
            tenant.remove_role(cx, assignment)
        })
    }

    /// Takes a directory role from its holder, named by role and holder.
    pub fn remove_role_member(&mut self, caller: &Caller, now_ms: i64, role: &str, who: &str) -> Reply<()> {
        self.gate(caller, now_ms, Op::RemoveRole, &pair(role, who), |tenant, cx| {
            tenant.remove_role_member(cx, role, who)
        })
    }

    /// Directory roles that are only eligible, of one principal or all.
    pub fn list_eligible_roles(
        &mut self,
        caller: &Caller,
        now_ms: i64,
        principal: Option<&str>,
    ) -> Reply<Vec<RoleAssignment>> {
        let key = principal.unwrap_or("*");
        self.gate(caller, now_ms, Op::ListEligibleRoles, key, |tenant, cx| {
            tenant.list_eligible_roles(cx, principal)
        })
    }

    /// Takes a directory role that is only eligible from a principal; gives what he was eligible for.
    pub fn remove_eligible_role(
        &mut self,
        caller: &Caller,
        now_ms: i64,
        principal: &str,
        role: &str,
    ) -> Reply<RoleAssignment> {
        self.gate(
            caller,
            now_ms,
            Op::RemoveEligibleRole,
            &pair(principal, role),
            |tenant, cx| tenant.remove_eligible_role(cx, principal, role),
        )
    }

    /// A user's authentication methods without the password.
    pub fn list_methods(&mut self, caller: &Caller, now_ms: i64, who: &str) -> Reply<Vec<Method>> {
        self.gate(caller, now_ms, Op::ListMethods, who, |tenant, cx| {
            tenant.list_methods(cx, who)
        })
    }

    /// Deletes an authentication method of the kind that `is_kind` accepts.
    pub fn delete_method(
        &mut self,
        caller: &Caller,
        now_ms: i64,
        who: &str,
        is_kind: impl Fn(MethodKind) -> bool,
        method: &str,
    ) -> Reply<()> {
        self.gate(caller, now_ms, Op::DeleteMethod, &pair(who, method), |tenant, cx| {
            tenant.delete_method(cx, who, is_kind, method)
        })
    }

    /// Delegated permission grants, of one user or all.
    pub fn list_grants(&mut self, caller: &Caller, now_ms: i64, who: Option<&str>) -> Reply<Vec<Grant>> {
        self.gate(caller, now_ms, Op::ListGrants, who.unwrap_or("*"), |tenant, cx| {
            tenant.list_grants(cx, who)
        })
    }

    /// Deletes a delegated permission grant.
    pub fn delete_grant(&mut self, caller: &Caller, now_ms: i64, grant: &str) -> Reply<()> {
        self.gate(caller, now_ms, Op::DeleteGrant, grant, |tenant, cx| {
            tenant.delete_grant(cx, grant)
        })
    }

    /// A user's application role assignments, those of his groups too.
    pub fn list_app_assignments(&mut self, caller: &Caller, now_ms: i64, who: &str) -> Reply<Vec<AppAssignment>> {
        self.gate(caller, now_ms, Op::ListAppRoles, who, |tenant, cx| {
            tenant.list_app_assignments(cx, who)
        })
    }

    /// Deletes an application role assignment of his own.
    pub fn delete_app_assignment(&mut self, caller: &Caller, now_ms: i64, who: &str, assignment: &str) -> Reply<()> {
        self.gate(caller, now_ms, Op::DeleteAppRole, assignment, |tenant, cx| {
            tenant.delete_app_assignment(cx, who, assignment)
        })
    }

    /// Gives and takes licences.
    pub fn assign_license(&mut self, caller: &Caller, now_ms: i64, who: &str, order: &LicenceOrder) -> Reply<Person> {
        self.gate(caller, now_ms, Op::AssignLicense, who, |tenant, cx| {
            tenant.assign_license(cx, who, order)
        })
    }

    /// A user for the sake of his licences.
    pub fn license_details(&mut self, caller: &Caller, now_ms: i64, who: &str) -> Reply<Person> {
        self.gate(caller, now_ms, Op::LicenseDetails, who, |tenant, cx| {
            tenant.get_user(cx, who)
        })
    }

    /// The licence pool.
    pub fn list_pool(&mut self, caller: &Caller, now_ms: i64) -> Reply<Vec<PoolLine>> {
        self.gate(caller, now_ms, Op::SubscribedSkus, "*", |tenant, cx| {
            Ok(tenant.list_pool(cx))
        })
    }

    /// Begins a batch: its own fate, before those of its parts.
    pub fn begin_batch(&mut self, caller: &Caller, now_ms: i64) -> Reply<()> {
        self.gate(caller, now_ms, Op::Batch, &caller.app, |_, _| Ok(()))
    }

    /// The tenant itself.
    pub fn organization(&mut self, caller: &Caller, now_ms: i64) -> Reply<Organization> {
        self.gate(caller, now_ms, Op::Organization, "*", |tenant, _| {
            Ok(Organization {
                id: tenant.id.clone(),
                name: tenant.name.clone(),
                domains: [tenant.initial_domain.clone(), tenant.domain.clone()],
                hybrid: tenant.hybrid,
            })
        })
    }

    /// An application that the tenant's people may use, by object id.
    pub fn get_principal(&mut self, caller: &Caller, now_ms: i64, id: &str) -> Reply<super::model::Principal> {
        self.gate(caller, now_ms, Op::ServicePrincipals, id, |tenant, _| {
            let found = tenant.principals.get(id).cloned();
            found.ok_or_else(|| VendorError::no_resource(id))
        })
    }

    /// An application registered in the tenant, by client id.
    pub fn get_application(&mut self, caller: &Caller, now_ms: i64, client_id: &str) -> Reply<super::model::App> {
        self.gate(caller, now_ms, Op::ServicePrincipals, client_id, |tenant, _| {
            tenant
                .apps
                .get(client_id)
                .cloned()
                .ok_or_else(|| VendorError::no_resource(client_id))
        })
    }
}

fn pair(one: &str, other: &str) -> String {
    format!("{one} {other}")
}
