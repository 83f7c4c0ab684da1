//! Paths below `/users` that are about the account itself.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Desk, Outcome, put_context, show};
use crate::parse_time;
use crate::world::catalogue;
use crate::world::model::{GroupKind, MethodKind};
use crate::world::{Caller, LicenceOrder, Membership, Op, UserChange, VendorError};

pub(super) fn route(desk: &mut Desk, method: &str, parts: &[&str]) -> Option<Outcome> {
    let (now, caller) = (desk.now, desk.caller.clone());
    Some(match (method, parts) {
        ("GET", ["users"]) => {
            let reply = desk.world.list_users(&caller, now);
            desk.list(reply, "user", "users", |all| {
                let shown = all.iter().map(|person| (person.id.clone(), show::user(person)));
                shown.filter(|(_, one)| desk.query.keeps(one, &[])).collect()
            })
        }
        ("GET", ["users", who]) => get(desk, &caller, who),
        ("PATCH", ["users", who]) => match change(&desk.body) {
            Ok(change) => {
                let reply = desk.world.patch_user(&caller, now, who, &change);
                desk.done(reply)
            }
            Err(error) => Ok(desk.refuse(&error)),
        },
        ("DELETE", ["users", who]) => {
            let reply = desk.world.delete_user(&caller, now, who);
            desk.done(reply)
        }
        ("GET", ["users", who, "manager"]) => {
            let reply = desk.world.get_manager(&caller, now, who);
            desk.entity(reply, "user", "directoryObjects", |manager| {
                let mut shown = show::user(&manager);
                shown["@odata.type"] = json!("#microsoft.graph.user");
                shown
            })
        }
        ("POST", ["users", who, "revokeSignInSessions"]) => {
            let reply = desk.world.revoke_sessions(&caller, now, who);
            desk.reply(reply, |()| {
                let mut body = json!({"value": true});
                put_context(&mut body, "Edm.Boolean");
                Ok((200, Some(body)))
            })
        }
        ("GET", ["users", who, which @ ("memberOf" | "transitiveMemberOf"), rest @ ..]) => {
            let cast = rest.first().copied();
            if rest.len() > 1
                || cast.is_some_and(|cast| !matches!(cast, "microsoft.graph.group" | "microsoft.graph.directoryRole"))
            {
                return None;
            }
            let reply = desk
                .world
                .list_member_of(&caller, now, who, *which == "transitiveMemberOf");
            desk.list(reply, "directoryObject", "directoryObjects", |all| {
                let shown = all.iter().map(show::membership);
                shown
                    .filter(|(_, one)| {
                        cast.is_none_or(|cast| one["@odata.type"] == format!("#{cast}")) && desk.query.keeps(one, &[])
                    })
                    .collect()
            })
        }
        ("GET", ["users", who, "joinedTeams"]) => {
            let reply = desk.world.list_member_of(&caller, now, who, false);
            desk.list(reply, "team", "teams", |all| {
                all.iter()
                    .filter_map(|one| match one {
                        Membership::Group(group) if group.kind == (GroupKind::Unified { team: true }) => {
                            Some((group.id.clone(), json!({"displayName": group.name, "id": group.id, "isArchived": false, "visibility": "private"})))
                        }
                        _ => None,
                    })
                    .collect()
            })
        }
        ("GET", ["users", who, "ownedObjects"]) => {
            let reply = desk.world.list_owned_groups(&caller, now, who);
            desk.list(reply, "directoryObject", "directoryObjects", |all| {
                all.into_iter()
                    .map(|group| show::membership(&Membership::Group(Box::new(group))))
                    .collect()
            })
        }
        ("GET", ["users", who, which @ ("registeredDevices" | "ownedDevices")]) => {
            let reply = desk
                .world
                .list_registered_devices(&caller, now, who, *which == "ownedDevices");
            desk.list(reply, "device", "directoryObjects", |all| {
                all.iter()
                    .map(|device| {
                        let mut shown = show::device(device);
                        shown["@odata.type"] = json!("#microsoft.graph.device");
                        (device.id.clone(), shown)
                    })
                    .collect()
            })
        }
        ("GET", ["users", who, "authentication", "methods"]) => methods(desk, &caller, who),
        ("GET", ["users", who, "authentication", collection]) => {
            let kind = collection_kind(collection)?;
            let reply = desk.world.list_methods(&caller, now, who);
            let set = format!("users('{who}')/authentication/{collection}");
            desk.list(reply, "directoryObject", &set, |all| {
                all.iter()
                    .filter(|one| kind(one.kind))
                    .map(|one| (one.id.clone(), show::method(one)))
                    .collect()
            })
        }
        ("DELETE", ["users", who, "authentication", collection, id]) => {
            let kind = collection_kind(collection)?;
            let reply = desk.world.delete_method(&caller, now, who, kind, id);
            desk.done(reply)
        }
        ("GET", ["users", who, "oauth2PermissionGrants"]) => {
            let reply = desk.world.list_grants(&caller, now, Some(who));
            desk.list(reply, "oAuth2PermissionGrant", "oauth2PermissionGrants", |all| {
                all.iter().map(|grant| (grant.id.clone(), show::grant(grant))).collect()
            })
        }
        ("GET", ["users", who, "appRoleAssignments"]) => {
            let reply = desk.world.list_app_assignments(&caller, now, who);
            desk.list(
                reply,
                "appRoleAssignment",
                &format!("users('{who}')/appRoleAssignments"),
                |all| {
                    all.iter()
                        .map(|row| (row.id.clone(), show::app_assignment(row, who)))
                        .collect()
                },
            )
        }
        ("DELETE", ["users", who, "appRoleAssignments", id]) => {
            let reply = desk.world.delete_app_assignment(&caller, now, who, id);
            desk.done(reply)
        }
        ("POST", ["users", who, "assignLicense"]) => match licence_order(&desk.body) {
            Ok(order) => {
                let reply = desk.world.assign_license(&caller, now, who, &order);
                desk.entity(reply, "user", "users", |person| show::user(&person))
            }
            Err(error) => Ok(desk.refuse(&error)),
        },
        ("POST", ["users", who, "reprocessLicenseAssignment"]) => {
            // The world works group licences out by itself; asked to, it answers as to an empty order.
            let reply = desk.world.assign_license(&caller, now, who, &LicenceOrder::default());
            desk.entity(reply, "user", "users", |person| show::user(&person))
        }
        ("GET", ["users", who, "licenseDetails"]) => {
            let reply = desk.world.license_details(&caller, now, who);
            desk.list(
                reply,
                "licenseDetails",
                &format!("users('{who}')/licenseDetails"),
                |person| {
                    let skus = person.skus().into_iter().filter_map(catalogue::sku);
                    skus.map(|sku| (sku.id.to_owned(), show::licence_detail(&person, sku)))
                        .collect()
                },
            )
        }
        _ => return None,
    })
}

fn get(desk: &mut Desk, caller: &Caller, who: &str) -> Outcome {
    if desk.query.selects("signInActivity")
        && !Op::ReadSignIns
            .permissions()
            .iter()
            .any(|permission| caller.has(permission))
    {
        let error = VendorError::new(
            403,
            "Authentication_MSGraphPermissionMissing",
            "The principal does not have required Microsoft Graph permission(s): AuditLog.Read.All to call this API.",
        );
        return Ok(desk.refuse(&error));
    }
    let mut manager = None;
    if desk.query.expands("manager") {
        let reply = desk.world.get_manager(caller, desk.now, who);
        manager = match &reply.result {
            Ok(person) => Some(show::user(person)),
            // Only this says that there is none: the account is looked at next.
            Err(failure) if failure.status() == Some(404) => Some(Value::Null),
            Err(_) => return desk.entity(reply, "user", "users", |person| show::user(&person)),
        };
    }
    let reply = desk.world.get_user(caller, desk.now, who);
    desk.entity(reply, "user", "users", |person| {
        let mut shown = show::user(&person);
        if let Some(manager) = manager {
            shown["manager"] = manager;
        }
        shown
    })
}

fn methods(desk: &mut Desk, caller: &Caller, who: &str) -> Outcome {
    // The password's date is part of this answer, not another call.
    let person = desk
        .world
        .tenant(&caller.tenant)
        .and_then(|tenant| tenant.person(who))
        .cloned();
    let reply = desk.world.list_methods(caller, desk.now, who);
    desk.list(
        reply,
        "directoryObject",
        &format!("users('{who}')/authentication/methods"),
        |all| {
            let password = person
                .iter()
                .map(|person| (String::new(), show::password_method(person)));
            password
                .chain(all.iter().map(|one| (one.id.clone(), show::method(one))))
                .collect()
        },
    )
}

/// Which methods a collection holds.
fn collection_kind(collection: &str) -> Option<fn(MethodKind) -> bool> {
    Some(match collection {
        "phoneMethods" => MethodKind::is_phone,
        "emailMethods" => |kind| kind == MethodKind::Email,
        "fido2Methods" => |kind| kind == MethodKind::Fido2,
        "microsoftAuthenticatorMethods" => |kind| kind == MethodKind::Authenticator,
        "softwareOathMethods" => |kind| kind == MethodKind::SoftwareOath,
        "temporaryAccessPassMethods" => |kind| kind == MethodKind::TemporaryPass,
        "windowsHelloForBusinessMethods" => |kind| kind == MethodKind::WindowsHello,
        // Known, and nobody here has one.
        "platformCredentialMethods" | "externalAuthenticationMethods" => |_| false,
        _ => return None,
    })
}

fn change(body: &Value) -> Result<UserChange, VendorError> {
    let bad = |name: &str| {
        VendorError::bad_request(format!(
            "Invalid value specified for property '{name}' of resource 'User'."
        ))
    };
    let Some(object) = body.as_object() else {
        return Err(VendorError::new(
            400,
            "BadRequest",
            "Empty Payload. JSON content expected.",
        ));
    };
    let mut change = UserChange::default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    for (name, value) in object {
        match name.as_str() {
            "accountEnabled" => {
                change.account_enabled = Some(value.as_bool().ok_or_else(|| bad(name))?);
            }
            "showInAddressList" => {
                change.show_in_address_list = Some(value.as_bool().ok_or_else(|| bad(name))?);
            }
            "displayName" => change.display_name = Some(text(value).ok_or_else(|| bad(name))?),
            "jobTitle" => change.job_title = Some(text(value)),
            "department" => change.department = Some(text(value)),
            "employeeLeaveDateTime" => {
                change.employee_leave_ms = Some(value.as_str().and_then(parse_time));
            }
            "passwordProfile" => {
                let password = value["password"].as_str().ok_or_else(|| bad("passwordProfile"))?;
                if !is_strong(password) {
                    return Err(VendorError::bad_request(
                        "The specified password does not comply with password complexity requirements. Please provide a different password.",
                    ));
                }
                change.password = true;
            }
            _ => {
                return Err(VendorError::bad_request(format!(
                    "Property '{name}' is described, and cannot be changed here."
                )));
            }
        }
    }
    Ok(change)
}

/// The directory's rule: at least eight characters of three sorts out of four.
fn is_strong(password: &str) -> bool {
    let sorts: [fn(char) -> bool; 4] = [char::is_lowercase, char::is_uppercase, char::is_numeric, |c| {
        !c.is_alphanumeric()
    }];
    let found = sorts.iter().filter(|sort| password.chars().any(**sort)).count();
    (8..=256).contains(&password.chars().count()) && found >= 3
}

fn licence_order(body: &Value) -> Result<LicenceOrder, VendorError> {
    let both = (body["addLicenses"].as_array(), body["removeLicenses"].as_array());
    let (Some(add), Some(remove)) = both else {
        return Err(VendorError::bad_request(
            "One or more parameters of the operation 'assignLicense' are missing from the request payload. The missing parameters are: addLicenses, removeLicenses.",
        ));
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let off = |one: &Value| {
        let plans = one["disabledPlans"].as_array().into_iter().flatten();
        plans.filter_map(text).collect::<BTreeSet<String>>()
    };
    let disabled_plans = add
        .iter()
        .filter_map(|one| Some((text(&one["skuId"])?, off(one))))
        .collect();
    let add = add.iter().filter_map(|one| text(&one["skuId"])).collect();
    let remove = remove.iter().filter_map(text).collect();
    Ok(LicenceOrder {
        add,
        disabled_plans,
        remove,
    })
}
