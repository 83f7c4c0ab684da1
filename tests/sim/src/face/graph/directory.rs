//! Paths about groups, roles, grants, the licence pool, the tenant, applications and audit logs.

use serde_json::{Value, json};

use super::{Desk, Outcome, show};
use crate::world::catalogue::{GRAPH_PERMISSIONS, ROLES};
use crate::world::model::{App, Person};
use crate::world::{Caller, VendorError};
use crate::{iso, parse_time};

/// The vendor's own applications that hold permissions: id, name.
const GRAPH: (&str, &str) = ("00000003-0000-0000-c000-000000000000", "Microsoft Graph");
const EXCHANGE: (&str, &str) = ("00000002-0000-0ff1-ce00-000000000000", "Office 365 Exchange Online");
const SHAREPOINT: (&str, &str) = ("00000003-0000-0ff1-ce00-000000000000", "Office 365 SharePoint Online");

pub(super) fn route(desk: &mut Desk, method: &str, parts: &[&str]) -> Option<Outcome> {
    let (now, caller) = (desk.now, desk.caller.clone());
    Some(match (method, parts) {
        ("GET", ["groups"]) => {
            let reply = desk.world.list_groups(&caller, now);
            desk.list(reply, "group", "groups", |all| {
                let shown = all.iter().map(|group| (group.id.clone(), show::group(group)));
                shown.filter(|(_, one)| desk.query.keeps(one, &[])).collect()
            })
        }
        ("GET", ["groups", id]) => {
            let reply = desk.world.get_group(&caller, now, id);
            desk.entity(reply, "group", "groups", |group| show::group(&group))
        }
        ("GET", ["groups", id, which @ ("members" | "owners")]) => {
            let reply = desk.world.list_people_of(&caller, now, id, *which == "owners");
            desk.list(reply, "user", "directoryObjects", |all| {
                all.iter()
                    .map(|person| {
                        let mut shown = show::user(person);
                        shown["@odata.type"] = json!("#microsoft.graph.user");
                        (person.id.clone(), shown)
                    })
                    .collect()
            })
        }
        ("POST", ["groups", id, which @ ("members" | "owners"), "$ref"]) => {
            let link = desk.body["@odata.id"].as_str().unwrap_or_default();
            let who = link
                .rsplit('/')
                .next()
                .filter(|_| link.contains("/directoryObjects/") || link.contains("/users/"));
            let Some(who) = who.map(str::to_owned) else {
                return Some(Ok(desk.refuse(&VendorError::bad_request(
                    "A value is required for property '@odata.id' of resource 'Reference'.",
                ))));
            };
            let reply = if *which == "owners" {
                desk.world.add_owner(&caller, now, id, &who)
            } else {
                desk.world.add_member(&caller, now, id, &who)
            };
            desk.done(reply)
        }
        ("DELETE", ["groups", id, "members", who, "$ref"]) => {
            let reply = desk.world.remove_member(&caller, now, id, who);
            desk.done(reply)
        }
        ("DELETE", ["groups", id, "owners", who, "$ref"]) => {
            let reply = desk.world.remove_owner(&caller, now, id, who);
            desk.done(reply)
        }
        // The trap: without `/$ref` the path names the user himself.
        ("DELETE", ["groups", id, "members" | "owners", who]) => {
            let reply = desk.world.delete_through_membership(&caller, now, id, who);
            desk.done(reply)
        }
        ("GET", ["roleManagement", "directory", "roleAssignments"]) => {
            let principal = desk.query.equals("principalId");
            let expanded = desk.query.expands("roleDefinition");
            let reply = desk.world.list_role_assignments(&caller, now, principal.as_deref());
            desk.list(
                reply,
                "unifiedRoleAssignment",
                "roleManagement/directory/roleAssignments",
                |all| {
                    let shown = all
                        .iter()
                        .map(|one| (one.id.clone(), show::role_assignment(one, expanded)));
                    shown.filter(|(_, one)| desk.query.keeps(one, &[])).collect()
                },
            )
        }
        ("DELETE", ["roleManagement", "directory", "roleAssignments", id]) => {
            let reply = desk.world.remove_role(&caller, now, id);
            desk.done(reply)
        }
        ("GET", ["roleManagement", "directory", "roleEligibilitySchedules"]) => {
            let principal = desk.query.equals("principalId");
            let reply = desk.world.list_eligible_roles(&caller, now, principal.as_deref());
            desk.list(
                reply,
                "unifiedRoleEligibilitySchedule",
                "roleManagement/directory/roleEligibilitySchedules",
                |all| {
                    let shown = all.iter().map(|one| (one.id.clone(), show::eligibility(one)));
                    shown.filter(|(_, one)| desk.query.keeps(one, &[])).collect()
                },
            )
        }
        ("POST", ["roleManagement", "directory", "roleEligibilityScheduleRequests"]) => {
            eligibility_request(desk, &caller)
        }
        ("GET", ["roleManagement", "directory", "roleDefinitions"]) => {
            let reply = desk.world.list_role_assignments(&caller, now, None);
            desk.list(
                reply,
                "unifiedRoleDefinition",
                "roleManagement/directory/roleDefinitions",
                |_| {
                    ROLES
                        .iter()
                        .map(|role| (role.id.to_owned(), show::role_definition(role)))
                        .collect()
                },
            )
        }
        ("GET", ["roleManagement", "directory", "roleDefinitions", id]) => {
            let reply = desk.world.list_role_assignments(&caller, now, None);
            desk.reply(reply, |_| {
                let role = ROLES
                    .iter()
                    .find(|role| role.id == *id)
                    .ok_or_else(|| VendorError::no_resource(id))?;
                Ok((200, Some(show::role_definition(role))))
            })
        }
        ("GET", ["directoryRoles"]) => {
            let reply = desk.world.list_role_assignments(&caller, now, None);
            desk.list(reply, "directoryRole", "directoryRoles", |all| {
                // A role exists here only once somebody was given it.
                let active = ROLES.iter().filter(|role| all.iter().any(|one| one.role == role.id));
                active.map(|role| (role.id.to_owned(), show::role(role))).collect()
            })
        }
        ("GET", ["directoryRoles", role, "members"]) => role_members(desk, &caller, role),
        ("DELETE", ["directoryRoles", role, "members", who, "$ref"]) => {
            let reply = desk.world.remove_role_member(&caller, now, role, who);
            desk.done(reply)
        }
        ("GET", ["oauth2PermissionGrants"]) => {
            let reply = desk.world.list_grants(&caller, now, None);
            desk.list(reply, "oAuth2PermissionGrant", "oauth2PermissionGrants", |all| {
                let shown = all.iter().map(|grant| (grant.id.clone(), show::grant(grant)));
                shown.filter(|(_, one)| desk.query.keeps(one, &[])).collect()
            })
        }
        ("DELETE", ["oauth2PermissionGrants", id]) => {
            let reply = desk.world.delete_grant(&caller, now, id);
            desk.done(reply)
        }
        ("GET", ["subscribedSkus"]) => {
            let reply = desk.world.list_pool(&caller, now);
            desk.list(reply, "subscribedSku", "subscribedSkus", |all| {
                all.iter()
                    .map(|line| (line.sku.id.to_owned(), show::pool_line(&caller.tenant, line)))
                    .collect()
            })
        }
        ("GET", ["organization"]) => {
            let reply = desk.world.organization(&caller, now);
            desk.list(reply, "organization", "organization", |tenant| {
                let domains: Vec<Value> = tenant
                    .domains
                    .iter()
                    .enumerate()
                    .map(|(place, name)| {
                        json!({"capabilities": "Email, OfficeCommunicationsOnline", "isDefault": place == 1, "isInitial": place == 0, "name": name, "type": "Managed"})
                    })
                    .collect();
                vec![(
                    tenant.id.clone(),
                    json!({
                        "displayName": tenant.name,
                        "id": tenant.id,
                        "onPremisesSyncEnabled": tenant.hybrid.then_some(true),
                        "tenantType": "AAD",
                        "verifiedDomains": domains,
                    }),
                )]
            })
        }
        ("GET", ["domains"]) => {
            let reply = desk.world.organization(&caller, now);
            desk.list(reply, "domain", "domains", |tenant| {
                let shown = |(place, name): (usize, &String)| {
                    let domain = json!({"authenticationType": "Managed", "id": name, "isDefault": place == 1, "isInitial": place == 0, "isVerified": true, "supportedServices": ["Email"]});
                    (name.clone(), domain)
                };
                tenant.domains.iter().enumerate().map(shown).collect()
            })
        }
        ("GET", ["servicePrincipals"]) => {
            let Some(app_id) = desk.query.equals("appId") else {
                return Some(Ok(desk.refuse(&VendorError::new(
                    400,
                    "BadRequest",
                    "Only a filter by appId is served here.",
                ))));
            };
            let reply =
                desk.world
                    .get_application(&caller, now, if is_resource(&app_id) { &caller.app } else { &app_id });
            let dice = desk.world.dice();
            desk.list(reply, "servicePrincipal", "servicePrincipals", |app| {
                vec![(
                    app.client_id.clone(),
                    principal(&app, &app_id, |name| dice.guid("app role", name)),
                )]
            })
        }
        ("GET", [one, rest @ ..]) if one.starts_with("servicePrincipals(") => {
            let app_id = one.split('\'').nth(1).unwrap_or_default().to_owned();
            application(desk, &caller, &app_id, rest)?
        }
        ("GET", ["servicePrincipals", id, rest @ ..]) => {
            // Of the caller's own object more can be asked than of others.
            let own = caller.app.clone();
            let found = desk
                .world
                .tenant(&caller.tenant)
                .and_then(|tenant| tenant.apps.get(&own))
                .is_some_and(|app| app.principal == *id);
            if found {
                return application(desk, &caller, &own, rest);
            }
            if !rest.is_empty() {
                return Some(Ok(desk.refuse(&VendorError::no_resource(id))));
            }
            let reply = desk.world.get_principal(&caller, now, id);
            desk.entity(reply, "servicePrincipal", "servicePrincipals", |one| {
                show::principal(&one)
            })
        }
        ("GET", ["directory", "deletedItems", "microsoft.graph.user"]) => {
            let reply = desk.world.list_deleted(&caller, now);
            desk.list(reply, "user", "directoryObjects", |all| {
                all.iter()
                    .map(|deleted| {
                        let mut shown = show::user(&deleted.person);
                        shown["deletedDateTime"] = json!(iso(deleted.at_ms));
                        (deleted.person.id.clone(), shown)
                    })
                    .collect()
            })
        }
        ("GET", ["auditLogs", "signIns"]) => {
            let user = desk.query.equals("userId");
            let conditions = desk.query.filter().unwrap_or_default();
            let from = conditions
                .iter()
                .find(|one| one.property == "createdDateTime" && matches!(one.operator.as_str(), "ge" | "gt"))
                .and_then(|one| parse_time(&one.value));
            let reply = desk.world.list_sign_ins(&caller, now, user.as_deref(), from);
            desk.list(reply, "signIn", "auditLogs/signIns", |all| {
                let shown = all
                    .iter()
                    .map(|row| (format!("{}-{}", row.at_ms, row.id), show::sign_in(row)));
                shown
                    .filter(|(_, one)| desk.query.keeps(one, &["userId", "createdDateTime"]))
                    .collect()
            })
        }
        _ => return None,
    })
}

/// Takes an eligible role: the one request about eligible roles that is served here.
fn eligibility_request(desk: &mut Desk, caller: &Caller) -> Outcome {
    const KNOWN: [&str; 5] = [
        "action",
        "principalId",
        "roleDefinitionId",
        "directoryScopeId",
        "justification",
    ];
    let body = desk.body.clone();
    let unknown = body
        .as_object()
        .and_then(|object| object.keys().find(|key| !KNOWN.contains(&key.as_str())));
    if let Some(key) = unknown {
        return Ok(desk.refuse(&VendorError::bad_request(format!(
            "Property '{key}' is not served here."
        ))));
    }
    if body["action"] != "adminRemove" {
        return Ok(desk.refuse(&VendorError::bad_request("Only the action adminRemove is served here.")));
    }
    let (Some(principal), Some(role), Some(scope)) = (
        body["principalId"].as_str(),
        body["roleDefinitionId"].as_str(),
        body["directoryScopeId"].as_str(),
    ) else {
        return Ok(desk.refuse(&VendorError::bad_request(
            "principalId, roleDefinitionId and directoryScopeId are required.",
        )));
    };
    if scope != "/" {
        return Ok(desk.refuse(&VendorError::no_role_assignment()));
    }
    let reply = desk.world.remove_eligible_role(caller, desk.now, principal, role);
    let (now, id) = (desk.now, reply.request_id.clone());
    desk.reply(reply, |taken| {
        Ok((
            201,
            Some(show::eligibility_removal(&taken, &id, &body["justification"], now)),
        ))
    })
}

fn role_members(desk: &mut Desk, caller: &Caller, role: &str) -> Outcome {
    let tenant = desk.world.tenant(&caller.tenant);
    let people: Vec<Person> = tenant
        .map(|tenant| tenant.people.iter().map(|(_, person)| person.clone()).collect())
        .unwrap_or_default();
    let reply = desk.world.list_role_assignments(caller, desk.now, None);
    desk.list(reply, "user", "directoryObjects", |all| {
        let holders = people
            .iter()
            .filter(|person| all.iter().any(|one| one.role == role && one.principal == person.id));
        holders
            .map(|person| {
                let mut shown = show::user(person);
                shown["@odata.type"] = json!("#microsoft.graph.user");
                (person.id.clone(), shown)
            })
            .collect()
    })
}

fn is_resource(app_id: &str) -> bool {
    [GRAPH, EXCHANGE, SHAREPOINT].iter().any(|(id, _)| *id == app_id)
}

/// One of the vendor's own applications with the permissions that it knows, or the tenant's application.
fn principal(app: &App, app_id: &str, role_id: impl Fn(&str) -> String) -> Value {
    let Some((id, name)) = [GRAPH, EXCHANGE, SHAREPOINT].into_iter().find(|(id, _)| *id == app_id) else {
        return json!({"accountEnabled": true, "appId": app.client_id, "appRoles": [], "displayName": app.name, "id": app.principal, "servicePrincipalType": "Application"});
    };
    let known: Vec<&str> = match id {
        id if id == GRAPH.0 => GRAPH_PERMISSIONS.to_vec(),
        id if id == EXCHANGE.0 => vec!["Exchange.ManageAsApp"],
        _ => vec!["Sites.FullControl.All"],
    };
    let roles: Vec<Value> = known
        .iter()
        .map(|value| json!({"allowedMemberTypes": ["Application"], "displayName": value, "id": role_id(&format!("{id} {value}")), "isEnabled": true, "value": value}))
        .collect();
    json!({"accountEnabled": true, "appId": id, "appRoles": roles, "displayName": name, "id": id, "servicePrincipalType": "Application"})
}

/// An application by client id, or what it was granted.
fn application(desk: &mut Desk, caller: &Caller, app_id: &str, rest: &[&str]) -> Option<Outcome> {
    let reply = desk
        .world
        .get_application(caller, desk.now, if is_resource(app_id) { &caller.app } else { app_id });
    let dice = desk.world.dice();
    let role_id = |name: &str| dice.guid("app role", name);
    Some(match rest {
        [] => desk.entity(reply, "servicePrincipal", "servicePrincipals", |app| {
            principal(&app, app_id, role_id)
        }),
        ["appRoleAssignments"] => desk.list(reply, "appRoleAssignment", "appRoleAssignments", |app| {
            let sets = [
                (GRAPH, &app.graph_roles),
                (EXCHANGE, &app.exchange_roles),
                (SHAREPOINT, &app.sharepoint_roles),
            ];
            let mut rows = Vec::new();
            for ((id, name), roles) in sets {
                for role in roles {
                    let role_id = role_id(&format!("{id} {role}"));
                    let row = json!({
                        "appRoleId": role_id,
                        "createdDateTime": iso(0),
                        "id": dice.guid("granted", &format!("{} {role_id}", app.principal)),
                        "principalDisplayName": app.name,
                        "principalId": app.principal,
                        "principalType": "ServicePrincipal",
                        "resourceDisplayName": name,
                        "resourceId": id,
                    });
                    rows.push((role_id, row));
                }
            }
            rows
        }),
        _ => return None,
    })
}
