//! Every response has the shape that the vendor's description gives: properties that its types
//! have, of the sorts that they have, in their casing; errors as its errors are.

use std::collections::{BTreeMap, BTreeSet};

use offboard_sim::population::{ADMIN_APP, demo};
use offboard_sim::world::Cruelty;
use serde_json::{Map, Value, json};

use crate::client::{Client, T0};

type Types = BTreeMap<String, BTreeMap<String, String>>;

fn types() -> Types {
    serde_json::from_str::<BTreeMap<String, Map<String, Value>>>(include_str!("../../testdata/graph-types.json"))
        .expect("the distilled types parse")
        .into_iter()
        .map(|(name, properties)| {
            (
                name,
                properties
                    .into_iter()
                    .map(|(key, kind)| (key, kind.as_str().expect("a type").to_owned()))
                    .collect(),
            )
        })
        .collect()
}

/// Finds what is wrong with a value that should be of a type.
fn check(types: &Types, kind: &str, value: &Value, at: &str, wrong: &mut Vec<String>) {
    if value.is_null() {
        return;
    }
    if let Some(inner) = kind.strip_prefix("Collection(").and_then(|rest| rest.strip_suffix(')')) {
        match value.as_array() {
            Some(items) => items.iter().for_each(|item| check(types, inner, item, at, wrong)),
            None => wrong.push(format!("{at} is no array")),
        }
        return;
    }
    let fits = match kind {
        "String" | "Guid" | "TimeOfDay" => value.is_string(),
        "DateTimeOffset" => value
            .as_str()
            .is_some_and(|text| text.ends_with('Z') && offboard_sim::parse_time(text).is_some()),
        "Boolean" => value.is_boolean(),
        "Int32" | "Int64" => value.is_i64() || value.is_u64(),
        _ => match types.get(kind) {
            // An enumeration is a word; a type that is not distilled is not looked into.
            None => value.is_string() || value.is_object(),
            Some(properties) => {
                let Some(object) = value.as_object() else {
                    return wrong.push(format!("{at} is no object"));
                };
                for (key, inner) in object.iter().filter(|(key, _)| !key.starts_with('@')) {
                    match properties.get(key) {
                        None => wrong.push(format!("{at}: {kind} has no property {key}")),
                        Some(kind) => check(types, kind, inner, &format!("{at}.{key}"), wrong),
                    }
                }
                true
            }
        },
    };
    if !fits {
        wrong.push(format!("{at}: {value} is no {kind}"));
    }
}

#[test]
fn every_answer_keeps_to_the_vendors_types() {
    let (world, tenants) = demo(11, Cruelty::kind(), 1, 20, T0);
    let cast = tenants[0].cast.clone();
    let mut client = Client::new(world, &tenants[0].id);
    let types = types();
    let drive = client.get(&format!("/users/{}/drive", cast.plain)).body["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let site = client.get(&format!("/users/{}/drive/root", cast.plain)).body["sharepointIds"]["siteId"]
        .as_str()
        .unwrap()
        .to_owned();
    let group = client.all(&format!("/users/{}/ownedObjects", cast.sole_owner))[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let tool = client.all(&format!("/users/{}/oauth2PermissionGrants", cast.plain))[0]["clientId"]
        .as_str()
        .unwrap()
        .to_owned();
    let device = client.all(&format!("/users/{}/registeredDevices", cast.devices))[0].clone();
    let (object, device_id) = (device["id"].as_str().unwrap(), device["deviceId"].as_str().unwrap());
    let key = client.all("/informationProtection/bitlocker/recoveryKeys")[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let laptop = client.all(&format!("/users/{}/managedDevices", cast.lost_laptop))[0].clone();
    let laptop_id = laptop["id"].as_str().unwrap().to_owned();
    let lost_device = laptop["azureADDeviceId"].as_str().unwrap().to_owned();
    client.graph(
        "POST",
        &format!("/deviceManagement/managedDevices/{laptop_id}/wipe"),
        None,
    );
    let folders = client.all(&format!("/users/{}/mailFolders?includeHiddenFolders=true", cast.plain));
    let full = folders.iter().find(|f| f["totalItemCount"].as_u64() > Some(0)).unwrap();
    let mails = format!(
        "/users/{}/mailFolders/{}/messages",
        cast.plain,
        full["id"].as_str().unwrap()
    );
    let every: String = types["user"]
        .keys()
        .filter(|key| key.as_str() != "mailboxSettings")
        .cloned()
        .collect::<Vec<_>>()
        .join(",");
    let everything = format!("?$select={every}");
    let mut asked: Vec<(String, &str)> = vec![
        ("/organization".into(), "organization"),
        ("/domains".into(), "domain"),
        ("/subscribedSkus".into(), "subscribedSku"),
        ("/groups".into(), "group"),
        (format!("/groups/{group}?$select=id,assignedLicenses"), "group"),
        (format!("/groups/{group}/members"), "user"),
        (format!("/groups/{group}/owners?$select=id"), "user"),
        ("/directoryRoles".into(), "directoryRole"),
        (
            format!(
                "/directoryRoles/{}/members",
                offboard_sim::world::catalogue::GLOBAL_ADMINISTRATOR
            ),
            "user",
        ),
        (
            "/roleManagement/directory/roleAssignments?$expand=roleDefinition".into(),
            "unifiedRoleAssignment",
        ),
        (
            "/roleManagement/directory/roleEligibilitySchedules".into(),
            "unifiedRoleEligibilitySchedule",
        ),
        (
            "/roleManagement/directory/roleDefinitions".into(),
            "unifiedRoleDefinition",
        ),
        ("/oauth2PermissionGrants".into(), "oAuth2PermissionGrant"),
        ("/auditLogs/signIns".into(), "signIn"),
        ("/deviceManagement/managedDevices".into(), "managedDevice"),
        (format!("/deviceManagement/managedDevices/{laptop_id}"), "managedDevice"),
        (
            "/deviceManagement/windowsAutopilotDeviceIdentities".into(),
            "windowsAutopilotDeviceIdentity",
        ),
        ("/devices".into(), "device"),
        (format!("/devices/{object}"), "device"),
        (
            format!("/directory/deviceLocalCredentials/{lost_device}?$select=credentials"),
            "deviceLocalCredentialInfo",
        ),
        (
            format!("/informationProtection/bitlocker/recoveryKeys/{key}?$select=key"),
            "bitlockerRecoveryKey",
        ),
        (
            format!("/informationProtection/bitlocker/recoveryKeys?$filter=deviceId eq '{device_id}'"),
            "bitlockerRecoveryKey",
        ),
        (
            format!("/servicePrincipals?$filter=appId eq '{ADMIN_APP}'"),
            "servicePrincipal",
        ),
        (
            format!("/servicePrincipals(appId='{ADMIN_APP}')/appRoleAssignments"),
            "appRoleAssignment",
        ),
        (
            "/servicePrincipals(appId='00000003-0000-0000-c000-000000000000')".into(),
            "servicePrincipal",
        ),
        (format!("/servicePrincipals/{tool}"), "servicePrincipal"),
        (
            format!("/servicePrincipals/{tool}?$select=id,appId,displayName,appOwnerOrganizationId,verifiedPublisher"),
            "servicePrincipal",
        ),
        (format!("/drives/{drive}"), "drive"),
        (format!("/drives/{drive}/root"), "driveItem"),
        (format!("/drives/{drive}/root/permissions"), "permission"),
        (format!("/sites/{site}"), "site"),
        ("/directory/deletedItems/microsoft.graph.user".into(), "user"),
        (mails, "message"),
    ];
    for who in [
        &cast.plain,
        &cast.hybrid,
        &cast.privileged,
        &cast.devices,
        &cast.group_licensed,
        &cast.forwarder,
    ] {
        let of_him = [
            (everything.as_str(), "user"),
            ("", "user"),
            ("?$select=id&$expand=manager", "user"),
            ("/manager", "user"),
            ("/memberOf", "typed"),
            ("/transitiveMemberOf", "typed"),
            ("/ownedObjects", "typed"),
            ("/registeredDevices", "typed"),
            ("/managedDevices", "managedDevice"),
            ("/joinedTeams", "team"),
            ("/authentication/methods", "typed"),
            ("/authentication/phoneMethods", "typed"),
            ("/oauth2PermissionGrants", "oAuth2PermissionGrant"),
            ("/appRoleAssignments", "appRoleAssignment"),
            ("/licenseDetails", "licenseDetails"),
            ("/mailboxSettings", "mailboxSettings"),
            ("/mailFolders/inbox/messageRules", "messageRule"),
            ("/mailFolders?includeHiddenFolders=true", "mailFolder"),
            ("/events", "event"),
            (
                "/calendarView?startDateTime=2026-01-01T00:00:00Z&endDateTime=2027-01-01T00:00:00Z",
                "event",
            ),
            ("/drive", "drive"),
            ("/drive/root?$select=sharepointIds,webUrl", "driveItem"),
        ];
        asked.extend(of_him.map(|(path, kind)| (format!("/users/{who}{path}"), kind)));
    }
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (path, kind) in asked {
        let got = client.get(&path);
        assert_eq!(got.status, 200, "{path}: {}", got.body);
        assert!(
            got.body["@odata.context"].is_string() || kind == "unifiedRoleDefinition",
            "{path} has no context"
        );
        assert!(got.headers.contains_key("request-id"), "{path} has no request id");
        let items = got.body["value"]
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![got.body.clone()]);
        for mut item in items {
            let own = item["@odata.type"]
                .as_str()
                .map(|own| own.trim_start_matches("#microsoft.graph.").to_owned());
            // A manager that was expanded hangs on a navigation property, which types do not list.
            if let Some(manager) = item.as_object_mut().and_then(|object| object.remove("manager")) {
                check(&types, "user", &manager, &path, &mut wrong);
            }
            let kind = own.unwrap_or_else(|| kind.to_owned());
            assert!(types.contains_key(&kind), "{path}: {kind}");
            check(&types, &kind, &item, &path, &mut wrong);
            seen.insert(kind);
        }
    }
    let eligible = client.all("/roleManagement/directory/roleEligibilitySchedules")[0].clone();
    let taken = client.graph(
        "POST",
        "/roleManagement/directory/roleEligibilityScheduleRequests",
        Some(json!({
            "action": "adminRemove",
            "principalId": eligible["principalId"],
            "roleDefinitionId": eligible["roleDefinitionId"],
            "directoryScopeId": "/",
            "justification": "gone",
        })),
    );
    assert_eq!(taken.status, 201, "{}", taken.body);
    let kind = "unifiedRoleEligibilityScheduleRequest";
    assert!(types.contains_key(kind));
    check(&types, kind, &taken.body, kind, &mut wrong);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen.len() >= 30, "only {} types were seen: {seen:?}", seen.len());
}

#[test]
fn a_user_shows_little_unless_asked() {
    let (world, tenants) = demo(11, Cruelty::kind(), 1, 15, T0);
    let mut client = Client::new(world, &tenants[0].id);
    let shown = client.get(&format!("/users/{}", tenants[0].cast.plain)).body;
    assert!(
        shown.get("accountEnabled").is_none()
            && shown.get("assignedLicenses").is_none()
            && shown.get("userPrincipalName").is_some()
    );
    let upn = shown["userPrincipalName"].as_str().unwrap();
    assert_eq!(
        client.get(&format!("/users/{upn}?$select=id")).body["id"],
        json!(tenants[0].cast.plain)
    );
    let filtered = client.all(&format!(
        "/users?$filter=proxyAddresses/any(p:p eq 'smtp:{upn}')&$select=id,proxyAddresses"
    ));
    assert_eq!(filtered.len(), 1);
}

#[test]
fn an_error_has_the_vendors_shape_on_each_service() {
    let (world, tenants) = demo(11, Cruelty::kind(), 1, 15, T0);
    let mut client = Client::new(world, &tenants[0].id);
    let graph = client.get("/users/nobody");
    assert_eq!((graph.status, graph.code()), (404, "Request_ResourceNotFound"));
    let inner: Vec<&String> = graph.body["error"]["innerError"].as_object().unwrap().keys().collect();
    assert_eq!(inner, ["client-request-id", "date", "request-id"]);
    let exchange = client.cmdlet("Get-Mailbox", json!({"Identity": "nobody"}));
    let error = &exchange.body["error"];
    assert!(
        error["details"][0]["message"]
            .as_str()
            .unwrap()
            .contains("couldn't be found")
    );
    assert!(
        error["innererror"]["internalException"]["message"]
            .as_str()
            .unwrap()
            .contains("couldn't be found")
    );
    let sharepoint = client.sharepoint(
        "GET",
        "https://x-my.sharepoint.com/personal/nobody/_api/web/siteusers",
        &[],
        Value::Null,
    );
    assert!(sharepoint.body["odata.error"]["message"]["value"].is_string());
}

#[test]
fn names_addresses_numbers_and_texts_hold_the_canary() {
    let (world, tenants) = demo(11, Cruelty::kind(), 3, 20, T0);
    let canaries = world.canaries();
    let people: usize = world.tenants().map(|tenant| tenant.people.len()).sum();
    assert_eq!(canaries.len(), people, "no two people share one");
    let tenant = world.tenant(&tenants[0].id).unwrap();
    for (_, person) in tenant.people.iter() {
        let low = person.canary.to_lowercase();
        assert!(
            person.display_name.contains(&person.canary)
                && person.surname.contains(&person.canary)
                && person.upn.contains(&low)
        );
    }
    let forwarder = tenant.mailboxes.get(&tenants[0].cast.forwarder).unwrap();
    assert!(
        forwarder
            .reply
            .internal
            .contains(&tenant.person(&forwarder.owner).unwrap().canary)
    );
}
