//! One departure over the wire in a kind world, in the lawful order: nobody comes to harm.

use offboard_sim::population::demo;
use offboard_sim::world::{Cruelty, Effect};
use serde_json::json;

use crate::client::{Client, T0};

#[test]
fn a_lawful_departure_of_everybody_does_no_harm() {
    let (world, tenants) = demo(7, Cruelty::kind(), 1, 20, T0);
    let cast = tenants[0].cast.clone();
    let mut client = Client::new(world, &tenants[0].id);
    for leaver in cast.leavers() {
        // Those who need a person's decision are not for this test.
        if [&cast.big_mailbox, &cast.on_hold, &cast.lost_laptop, &cast.plain]
            .iter()
            .any(|one| *one == leaver)
        {
            continue;
        }
        depart(&mut client, leaver, &cast.chief);
    }
    let violations = client.world.violations();
    assert!(violations.is_empty(), "{violations:#?}");
    let touched: Vec<String> = client
        .world
        .journal()
        .iter()
        .map(|entry| entry.subject.clone())
        .collect();
    assert!(!touched.contains(&cast.break_glass) && !touched.contains(&cast.administrator));
    assert!(
        client
            .world
            .journal()
            .iter()
            .any(|entry| entry.effect == Effect::DeviceWiped)
    );
}

fn depart(client: &mut Client, leaver: &str, successor: &str) {
    let ok = |got: crate::client::Got, what: &str| {
        assert!((200..300).contains(&got.status), "{what}: {} {}", got.status, got.body);
    };
    for role in client.all(&format!(
        "/roleManagement/directory/roleAssignments?$filter=principalId eq '{leaver}'"
    )) {
        ok(
            client.graph(
                "DELETE",
                &format!(
                    "/roleManagement/directory/roleAssignments/{}",
                    role["id"].as_str().unwrap()
                ),
                None,
            ),
            "role",
        );
    }
    for eligible in client.all(&format!(
        "/roleManagement/directory/roleEligibilitySchedules?$filter=principalId eq '{leaver}'"
    )) {
        let order = json!({
            "action": "adminRemove",
            "principalId": leaver,
            "roleDefinitionId": eligible["roleDefinitionId"],
            "directoryScopeId": eligible["directoryScopeId"],
            "justification": "gone",
        });
        ok(
            client.graph(
                "POST",
                "/roleManagement/directory/roleEligibilityScheduleRequests",
                Some(order),
            ),
            "eligible role",
        );
    }
    let helpdesk: Vec<_> = client
        .all(&format!("/users/{leaver}/memberOf"))
        .into_iter()
        .filter(|one| one["isAssignableToRole"] == true)
        .collect();
    for group in helpdesk {
        // What hangs on a licence that it gives is kept until the end.
        let states = client
            .get(&format!("/users/{leaver}?$select=licenseAssignmentStates"))
            .body;
        let given: Vec<_> = states["licenseAssignmentStates"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|state| state["assignedByGroup"] == group["id"])
            .map(|state| json!({"skuId": state["skuId"], "disabledPlans": state["disabledPlans"]}))
            .collect();
        if !given.is_empty() {
            let order = json!({"addLicenses": given, "removeLicenses": []});
            ok(
                client.graph("POST", &format!("/users/{leaver}/assignLicense"), Some(order)),
                "licences of a role group",
            );
        }
        ok(
            client.graph(
                "DELETE",
                &format!("/groups/{}/members/{leaver}/$ref", group["id"].as_str().unwrap()),
                None,
            ),
            "role group",
        );
    }
    let user = client
        .get(&format!(
            "/users/{leaver}?$select=id,onPremisesSyncEnabled,userPrincipalName"
        ))
        .body;
    let synced = user["onPremisesSyncEnabled"] == true;
    ok(
        client.graph(
            "PATCH",
            &format!("/users/{leaver}"),
            Some(json!({"accountEnabled": false})),
        ),
        "disable",
    );
    if !synced {
        let profile = json!({"passwordProfile": {"password": "Aa1!aaaaaaaa", "forceChangePasswordNextSignIn": true}});
        ok(
            client.graph("PATCH", &format!("/users/{leaver}"), Some(profile)),
            "password",
        );
    }
    ok(
        client.graph("POST", &format!("/users/{leaver}/revokeSignInSessions"), None),
        "revoke",
    );
    remove_methods(client, leaver);
    remove_devices(client, leaver);
    for grant in client.all(&format!("/users/{leaver}/oauth2PermissionGrants")) {
        ok(
            client.graph(
                "DELETE",
                &format!("/oauth2PermissionGrants/{}", grant["id"].as_str().unwrap()),
                None,
            ),
            "grant",
        );
    }
    for rule in client
        .cmdlet("Get-InboxRule", json!({"Mailbox": leaver, "IncludeHidden": true}))
        .values()
        .to_vec()
    {
        let removed = client.cmdlet(
            "Remove-InboxRule",
            json!({"Mailbox": leaver, "Identity": rule["Identity"], "Force": true}),
        );
        assert!(
            removed.status == 200 || removed.body.to_string().contains("managed by Exchange"),
            "{}",
            removed.body
        );
    }
    ok(
        client.cmdlet("Set-Mailbox", json!({"Identity": leaver, "Type": "Shared"})),
        "convert",
    );
    let mailbox = client.cmdlet("Get-Mailbox", json!({"Identity": leaver})).values()[0].clone();
    assert_eq!(mailbox["RecipientTypeDetails"], "SharedMailbox");
    assert_eq!(
        client.get(&format!("/users/{leaver}/mailboxSettings/userPurpose")).body["value"],
        "shared"
    );
    ok(
        client.cmdlet(
            "Add-MailboxPermission",
            json!({"Identity": leaver, "User": successor, "AccessRights": ["FullAccess"]}),
        ),
        "delegate",
    );
    hand_over_drive(client, leaver, successor);
    leave_groups(client, leaver, successor);
    let licences = client
        .get(&format!("/users/{leaver}?$select=licenseAssignmentStates"))
        .body;
    let direct: Vec<_> = licences["licenseAssignmentStates"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|state| state["assignedByGroup"].is_null())
        .map(|state| state["skuId"].clone())
        .collect();
    if !direct.is_empty() {
        let order = json!({"addLicenses": [], "removeLicenses": direct});
        ok(
            client.graph("POST", &format!("/users/{leaver}/assignLicense"), Some(order)),
            "licences",
        );
    }
    let left = client
        .get(&format!("/users/{leaver}?$select=assignedLicenses,accountEnabled"))
        .body;
    assert_eq!(
        (&left["assignedLicenses"], &left["accountEnabled"]),
        (&json!([]), &json!(false))
    );
}

fn remove_methods(client: &mut Client, leaver: &str) {
    let collection = |kind: &str| match kind.trim_start_matches("#microsoft.graph.") {
        "phoneAuthenticationMethod" => "phoneMethods",
        "emailAuthenticationMethod" => "emailMethods",
        "fido2AuthenticationMethod" => "fido2Methods",
        "microsoftAuthenticatorAuthenticationMethod" => "microsoftAuthenticatorMethods",
        "softwareOathAuthenticationMethod" => "softwareOathMethods",
        "temporaryAccessPassAuthenticationMethod" => "temporaryAccessPassMethods",
        _ => "windowsHelloForBusinessMethods",
    };
    for _ in 0..4 {
        for method in client.all(&format!("/users/{leaver}/authentication/methods")) {
            let kind = method["@odata.type"].as_str().unwrap();
            if !kind.contains("password") {
                let id = method["id"].as_str().unwrap();
                client.graph(
                    "DELETE",
                    &format!("/users/{leaver}/authentication/{}/{id}", collection(kind)),
                    None,
                );
            }
        }
    }
    assert_eq!(client.all(&format!("/users/{leaver}/authentication/methods")).len(), 1);
}

fn remove_devices(client: &mut Client, leaver: &str) {
    for device in client.all(&format!(
        "/deviceManagement/managedDevices?$filter=userId eq '{leaver}'"
    )) {
        let (id, entra) = (
            device["id"].as_str().unwrap(),
            device["azureADDeviceId"].as_str().unwrap(),
        );
        if device["managedDeviceOwnerType"] == "personal" {
            assert_eq!(
                client
                    .graph("POST", &format!("/deviceManagement/managedDevices/{id}/retire"), None)
                    .status,
                204
            );
            continue;
        }
        for key in client.all(&format!(
            "/informationProtection/bitlocker/recoveryKeys?$filter=deviceId eq '{entra}'"
        )) {
            assert!(key.get("key").is_none());
            let key = client.get(&format!(
                "/informationProtection/bitlocker/recoveryKeys/{}?$select=key",
                key["id"].as_str().unwrap()
            ));
            assert_eq!(key.body["key"].as_str().map(str::len), Some(55));
        }
        assert_eq!(
            client
                .get(&format!(
                    "/directory/deviceLocalCredentials/{entra}?$select=credentials"
                ))
                .status,
            200
        );
        assert_eq!(
            client
                .graph(
                    "POST",
                    &format!("/deviceManagement/managedDevices/{id}/wipe"),
                    Some(json!({"keepUserData": false}))
                )
                .status,
            204
        );
        assert_eq!(
            client.get(&format!("/deviceManagement/managedDevices/{id}")).body["managementState"],
            "wipePending"
        );
        client.now += 10_000;
        let done = client.get(&format!("/deviceManagement/managedDevices/{id}")).body;
        assert_eq!(done["deviceActionResults"][0]["actionState"], "done", "{done}");
        client.now += 3_600_000;
        client.world.advance(client.now);
        assert_eq!(
            client.get(&format!("/deviceManagement/managedDevices/{id}")).status,
            401,
            "the token has died meanwhile"
        );
        client.forget_tokens();
        assert_eq!(
            client.get(&format!("/deviceManagement/managedDevices/{id}")).status,
            404
        );
    }
}

fn hand_over_drive(client: &mut Client, leaver: &str, successor: &str) {
    let root = client.get(&format!("/users/{leaver}/drive/root?$select=sharepointIds"));
    if root.status == 404 {
        return;
    }
    let site = root.body["sharepointIds"]["siteUrl"].as_str().unwrap().to_owned();
    let upn = client.get(&format!("/users/{successor}")).body["userPrincipalName"]
        .as_str()
        .unwrap()
        .to_owned();
    let user = client.sharepoint(
        "POST",
        &format!("{site}/_api/web/ensureuser"),
        &[],
        json!({"logonName": format!("i:0#.f|membership|{upn}")}),
    );
    assert_eq!(user.status, 200, "{}", user.body);
    let merged = client.sharepoint(
        "POST",
        &format!("{site}/_api/web/getuserbyid({})", user.body["Id"]),
        &[("x-http-method", "MERGE"), ("if-match", "*")],
        json!({"IsSiteAdmin": true}),
    );
    assert_eq!(merged.status, 204);
    let admins = client.sharepoint(
        "GET",
        &format!("{site}/_api/web/siteusers?$filter=IsSiteAdmin eq true"),
        &[],
        json!(null),
    );
    assert_eq!(admins.values().len(), 2);
}

fn leave_groups(client: &mut Client, leaver: &str, successor: &str) {
    for group in client.all(&format!("/users/{leaver}/ownedObjects")) {
        let id = group["id"].as_str().unwrap();
        if client.all(&format!("/groups/{id}/owners")).len() == 1 {
            let link = json!({"@odata.id": format!("https://graph.microsoft.com/v1.0/directoryObjects/{successor}")});
            assert_eq!(
                client
                    .graph("POST", &format!("/groups/{id}/owners/$ref"), Some(link))
                    .status,
                204
            );
        }
        assert_eq!(
            client
                .graph("DELETE", &format!("/groups/{id}/owners/{leaver}/$ref"), None)
                .status,
            204
        );
    }
    for group in client.all(&format!("/users/{leaver}/memberOf")) {
        let id = group["id"].as_str().unwrap();
        let types = group["groupTypes"].to_string();
        if types.contains("Dynamic")
            || group["onPremisesSyncEnabled"] == true
            || group["@odata.type"] != "#microsoft.graph.group"
        {
            continue;
        }
        if group["mailEnabled"] == true && !types.contains("Unified") {
            let parameters = json!({"Identity": id, "Member": leaver, "BypassSecurityGroupManagerCheck": true});
            assert_eq!(client.cmdlet("Remove-DistributionGroupMember", parameters).status, 200);
        } else {
            assert_eq!(
                client
                    .graph("DELETE", &format!("/groups/{id}/members/{leaver}/$ref"), None)
                    .status,
                204
            );
        }
    }
}
