//! Rules about mailboxes, drives and devices.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use offboard_sim::population::{ADMIN_APP, ADMIN_APP_CERTIFICATE, DeviceSpec, PersonSpec};
use offboard_sim::world::catalogue;
use offboard_sim::world::model::Reach;
use offboard_sim::world::{Cruelty, Effect, Harm};
use serde_json::{Value, json};

use super::{DAY, MINUTE, harms, release, says, with};
use crate::client::{Client, T0};

#[test]
fn exchange_shows_a_shared_mailbox_before_graph_does() {
    let slow = Cruelty {
        conversion_ms: (MINUTE, MINUTE),
        conversion_graph_extra_ms: (MINUTE, MINUTE),
        ..Cruelty::kind()
    };
    let (mut client, anna) = with(slow, |town| town.employee("Anna"));
    let shown = |client: &mut Client| {
        let exchange =
            client.cmdlet("Get-Mailbox", json!({"Identity": anna})).values()[0]["RecipientTypeDetails"].clone();
        let graph = client.get(&format!("/users/{anna}/mailboxSettings/userPurpose")).body["value"].clone();
        (
            exchange.as_str().unwrap().to_owned(),
            graph.as_str().unwrap().to_owned(),
        )
    };
    let convert = json!({"Identity": anna, "Type": "Shared"});
    assert_eq!(client.cmdlet("Set-Mailbox", convert.clone()).status, 200);
    assert_eq!(shown(&mut client), ("UserMailbox".into(), "user".into()));
    says(
        &release(&mut client, &anna, &[catalogue::E3]),
        400,
        "mailbox is still being converted",
    );
    client.now += MINUTE;
    assert_eq!(shown(&mut client), ("SharedMailbox".into(), "user".into()));
    client.now += MINUTE;
    assert_eq!(shown(&mut client), ("SharedMailbox".into(), "shared".into()));
    let again = client.cmdlet("Set-Mailbox", convert);
    assert!(
        again.status == 200
            && again.body["@adminapi.warnings"][0]
                .as_str()
                .unwrap()
                .contains("completed successfully but no settings of")
    );
    assert_eq!(
        client
            .world
            .journal()
            .iter()
            .filter(|entry| entry.effect == Effect::MailboxConverted)
            .count(),
        1
    );
}

#[test]
fn a_wipe_waits_for_its_device_and_then_takes_its_record_along() {
    let slow = Cruelty {
        device_action_ms: (MINUTE, MINUTE),
        record_gone_ms: (MINUTE, MINUTE),
        ..Cruelty::kind()
    };
    let (mut client, (online, away, never)) = with(slow, |town| {
        let anna = town.employee("Anna");
        let mut device = |name: &str, reach| {
            town.device(
                &anna,
                name,
                DeviceSpec {
                    reach,
                    keys: false,
                    ..DeviceSpec::company()
                },
            )
            .0
        };
        (
            device("A", Reach::Online),
            device("B", Reach::Until(T0 + DAY / 48)),
            device("C", Reach::Never),
        )
    });
    let state = |client: &mut Client, id: &str| {
        let got = client.get(&format!("/deviceManagement/managedDevices/{id}"));
        // The last: a device may have had another life.
        let actions = got.body["deviceActionResults"].as_array();
        let last = actions.and_then(|all| all.last()?["actionState"].as_str());
        let action = last.unwrap_or_default().to_owned();
        (
            got.status,
            got.body["managementState"].as_str().unwrap_or_default().to_owned(),
            action,
        )
    };
    for id in [&online, &away, &never] {
        assert_eq!(
            client
                .graph("POST", &format!("/deviceManagement/managedDevices/{id}/wipe"), None)
                .status,
            204
        );
        assert_eq!(state(&mut client, id), (200, "wipePending".into(), "pending".into()));
    }
    client.now += 10_000;
    assert_eq!(state(&mut client, &online), (200, "wipeIssued".into(), "active".into()));
    client.now += MINUTE;
    assert_eq!(state(&mut client, &online), (200, "wipeIssued".into(), "done".into()));
    client.now += MINUTE;
    assert_eq!(state(&mut client, &online).0, 404);
    assert_eq!(state(&mut client, &away).1, "wipePending");
    client.now += DAY / 48 + MINUTE;
    assert_eq!(
        state(&mut client, &never),
        (200, "wipePending".into(), "pending".into())
    );
    client.world.advance(T0 + DAY);
    let wiped: Vec<String> = client
        .world
        .journal()
        .iter()
        .filter(|entry| entry.effect == Effect::DeviceWiped)
        .map(|entry| entry.object.clone())
        .collect();
    assert_eq!(wiped, [online, away]);
    // Deleting a record looks the same from outside, and nothing was wiped.
    assert_eq!(
        client
            .graph("DELETE", &format!("/deviceManagement/managedDevices/{never}"), None)
            .status,
        204
    );
    assert_eq!(state(&mut client, &never).0, 404);
    assert!(harms(&client).is_empty());
}

#[test]
fn a_device_that_is_given_away_is_the_other_s_and_its_orders_stay() {
    let (mut client, (id, anna, berta)) = with(Cruelty::kind(), |town| {
        let (anna, berta) = (town.employee("Anna"), town.employee("Berta"));
        let spec = DeviceSpec {
            reach: Reach::Never,
            ..DeviceSpec::company()
        };
        (town.device(&anna, "Laptop", spec).0, anna, berta)
    });
    let path = format!("/deviceManagement/managedDevices/{id}");
    assert_eq!(client.graph("POST", &format!("{path}/wipe"), None).status, 204);
    let now = client.now;
    let tenant = client.world.tenants().next().unwrap().id.clone();
    let tenant = client.world.tenant_mut(&tenant).unwrap();
    let upn = tenant.person(&berta).unwrap().upn.clone();
    assert!(!tenant.give_device(now, &id, "nobody"));
    assert!(!tenant.give_device(now, "no device", &berta));
    assert!(tenant.give_device(now, &id, &berta));
    let record = client.get(&path).body;
    assert_eq!(record["userId"], berta);
    assert_eq!(record["deviceActionResults"][0]["actionState"], "pending");
    let enrolled = client.all("/deviceManagement/windowsAutopilotDeviceIdentities")[0].clone();
    assert_eq!(enrolled["userPrincipalName"], upn);
    assert_eq!(
        client.all(&format!("/users/{anna}/managedDevices")),
        Vec::<Value>::new()
    );
    let journal = client.world.journal();
    let given = journal.iter().filter(|entry| entry.effect == Effect::DeviceGiven);
    assert_eq!(given.filter(|entry| entry.subject == berta).count(), 3);
}

#[test]
fn wiping_the_wrong_device_twice_or_before_its_keys_are_read_is_harm() {
    let (mut client, (own, locked)) = with(Cruelty::kind(), |town| {
        let anna = town.employee("Anna");
        (
            town.device(&anna, "Phone", DeviceSpec::personal()).0,
            town.device(&anna, "Laptop", DeviceSpec::company()).0,
        )
    });
    let wipe = |client: &mut Client, id: &str| {
        client
            .graph("POST", &format!("/deviceManagement/managedDevices/{id}/wipe"), None)
            .status
    };
    assert_eq!(wipe(&mut client, &own), 204);
    assert_eq!((wipe(&mut client, &locked), wipe(&mut client, &locked)), (204, 204));
    client.now += MINUTE;
    client.world.advance(client.now);
    assert_eq!(
        harms(&client),
        [Harm::PersonalDeviceWiped, Harm::WipedTwice, Harm::KeysLost]
    );
}

#[test]
fn the_code_of_an_activation_lock_is_told_of_one_device_by_name_alone_and_is_lost_with_the_wipe() {
    let (mut client, (read, unread, own)) = with(Cruelty::kind(), |town| {
        let anna = town.employee("Anna");
        let mut device = |name: &str, spec| town.device(&anna, name, spec).0;
        let own = DeviceSpec {
            keys: true,
            ..DeviceSpec::personal()
        };
        (
            device("Phone", DeviceSpec::company_phone()),
            device("Mac", DeviceSpec::mac()),
            device("Her own", own),
        )
    });
    let path = |id: &str| format!("/deviceManagement/managedDevices/{id}");
    let named = "$select=id,activationLockBypassCode";
    let code = |body: &Value| body["activationLockBypassCode"].clone();
    let listed = client.all(&format!("/deviceManagement/managedDevices?{named}"));
    assert_eq!(listed.len(), 3);
    assert!(listed.iter().all(|row| code(row).is_null()), "{listed:?}");
    let unasked = client.get(&path(&read)).body;
    assert!(unasked.get("activationLockBypassCode").is_some_and(Value::is_null));
    assert_eq!(code(&client.get(&format!("{}?{named}", path(&own))).body), Value::Null);
    let keys_read = |client: &Client| {
        let journal = client.world.journal();
        journal.iter().filter(|entry| entry.effect == Effect::KeyRead).count()
    };
    assert_eq!(keys_read(&client), 0);

    let told = code(&client.get(&format!("{}?{named}", path(&read))).body);
    let canaries = client.world.canaries();
    let told = told.as_str().unwrap();
    assert!(canaries.iter().any(|canary| told.contains(canary.as_str())), "{told}");
    assert_eq!(keys_read(&client), 1);
    let wipe = |client: &mut Client, id: &str, body| client.graph("POST", &format!("{}/wipe", path(id)), Some(body));
    for code in [json!(null), json!("12345"), json!("1234567"), json!("12345a")] {
        let body = json!({"macOsUnlockCode": code});
        says(&wipe(&mut client, &unread, body), 400, "six digits");
    }
    for (id, body) in [(&read, json!({})), (&unread, json!({"macOsUnlockCode": "012345"}))] {
        assert_eq!(wipe(&mut client, id, body).status, 204);
    }
    client.now += MINUTE;
    client.world.advance(client.now);
    assert_eq!(harms(&client), [Harm::KeysLost], "of the one that nobody read");
}

#[test]
fn devices_and_autopilot_leave_in_order() {
    let (mut client, (managed, object)) = with(Cruelty::kind(), |town| {
        let anna = town.employee("Anna");
        town.device(
            &anna,
            "Laptop",
            DeviceSpec {
                keys: false,
                ..DeviceSpec::company()
            },
        )
    });
    let identity = client.all("/deviceManagement/windowsAutopilotDeviceIdentities")[0].clone();
    let path = format!(
        "/deviceManagement/windowsAutopilotDeviceIdentities/{}",
        identity["id"].as_str().unwrap()
    );
    says(
        &client.graph("DELETE", &path, None),
        400,
        "Delete the managed device first",
    );
    assert_eq!(
        client
            .graph("POST", &format!("{path}/unassignUserFromDevice"), None)
            .status,
        204
    );
    assert_eq!(client.get(&path).body["userPrincipalName"], Value::Null);
    assert_eq!(
        client
            .graph(
                "PATCH",
                &format!("/devices/{object}"),
                Some(json!({"accountEnabled": false}))
            )
            .status,
        204
    );
    assert_eq!(
        client.get(&format!("/devices/{object}?$select=accountEnabled")).body["accountEnabled"],
        false
    );
    assert_eq!(
        client
            .graph("DELETE", &format!("/deviceManagement/managedDevices/{managed}"), None)
            .status,
        204
    );
    assert_eq!(client.graph("DELETE", &path, None).status, 200);
    assert_eq!(client.graph("DELETE", &format!("/devices/{object}"), None).status, 204);
    assert!(harms(&client).is_empty());
}

#[test]
fn a_drive_not_handed_over_runs_out() {
    let (mut client, (anna, nils)) = with(Cruelty::kind(), |town| {
        let anna = town.person(&PersonSpec {
            mailbox: false,
            ..PersonSpec::named("Anna")
        });
        let nils = town.person(&PersonSpec {
            drive: false,
            ..PersonSpec::named("Nils")
        });
        (anna, nils)
    });
    let none = client.get(&format!("/users/{nils}/drive"));
    assert_eq!(
        (none.status, none.code(), none.message()),
        (404, "ResourceNotFound", "User's mysite not found.")
    );
    assert_eq!(release(&mut client, &anna, &[catalogue::E3]).status, 200);
    assert_eq!(harms(&client), [Harm::DriveNotHandedOver]);
    assert_eq!(client.get(&format!("/users/{anna}/drive")).status, 200);
    client.now += 93 * DAY;
    client.forget_tokens();
    assert_eq!(client.get(&format!("/users/{anna}/drive")).status, 423);
}

#[test]
fn sharepoint_wants_a_certificate() {
    let strict = Cruelty {
        sharepoint_needs_certificate: true,
        ..Cruelty::kind()
    };
    let (mut client, anna) = with(strict, |town| town.employee("Anna"));
    let root = client
        .get(&format!("/users/{anna}/drive/root?$select=sharepointIds"))
        .body;
    let site = root["sharepointIds"]["siteUrl"].as_str().unwrap().to_owned();
    let refused = client.sharepoint("GET", &format!("{site}/_api/web/siteusers"), &[], Value::Null);
    says(&refused, 401, "Unsupported app only token.");
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let assertion = |thumbprint: &str| {
        let header = part(json!({"alg": "PS256", "typ": "JWT", "x5t": thumbprint}));
        let claims = part(json!({"iss": ADMIN_APP, "sub": ADMIN_APP, "aud": "x", "exp": T0 / 1_000 + 300}));
        format!("{header}.{claims}.c2ln")
    };
    let ask = |client: &mut Client, thumbprint: &str| {
        let body = format!(
            "client_id={ADMIN_APP}&client_assertion={}&client_assertion_type=x&scope=https://contoso-my.sharepoint.com/.default&grant_type=client_credentials",
            assertion(thumbprint)
        );
        client
            .raw(
                "POST",
                &format!("/login/{}/oauth2/v2.0/token", client.tenant.clone()),
                &[],
                body.as_bytes(),
            )
            .unwrap()
    };
    says(&ask(&mut client, "other"), 401, "AADSTS700027");
    let token = ask(&mut client, ADMIN_APP_CERTIFICATE).body["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!(
        "/sharepoint/{}/_api/web/siteusers",
        site.strip_prefix("https://").unwrap()
    );
    let got = client
        .raw(
            "GET",
            &path,
            &[
                ("authorization", &format!("Bearer {token}")),
                ("accept", "application/json;odata=verbose"),
            ],
            b"",
        )
        .unwrap();
    assert_eq!(
        (got.status, &got.body["d"]["results"][0]["IsSiteAdmin"]),
        (200, &json!(true))
    );
}

#[test]
fn phones_are_wiped_before_the_mailbox_is_shared_or_never() {
    let (mut client, anna) = with(Cruelty::kind(), |town| {
        let anna = town.employee("Anna");
        town.mobile(&anna, true, Reach::Online);
        town.mobile(&anna, false, Reach::Online);
        anna
    });
    let phones = client
        .cmdlet("Get-MobileDevice", json!({"Mailbox": anna}))
        .values()
        .to_vec();
    let (new, old) = (phones[0]["Identity"].clone(), phones[1]["Identity"].clone());
    says(
        &client.cmdlet("Clear-MobileDevice", json!({"Identity": old, "AccountOnly": true})),
        400,
        "not supported by the device",
    );
    assert_eq!(
        client
            .cmdlet("Clear-MobileDevice", json!({"Identity": new, "AccountOnly": true}))
            .status,
        200
    );
    let statistics = |client: &mut Client| {
        client
            .cmdlet("Get-MobileDeviceStatistics", json!({"Mailbox": anna}))
            .values()[0]
            .clone()
    };
    assert_eq!(
        (
            &statistics(&mut client)["Status"],
            &statistics(&mut client)["DeviceWipeAckTime"]
        ),
        (&json!("DeviceWipePending"), &Value::Null)
    );
    client.now += MINUTE;
    assert!(statistics(&mut client)["DeviceWipeAckTime"].is_string());
    client.cmdlet("Set-Mailbox", json!({"Identity": anna, "Type": "Shared"}));
    says(
        &client.cmdlet("Clear-MobileDevice", json!({"Identity": old})),
        400,
        "is a shared mailbox",
    );
    assert_eq!(
        client.cmdlet("Remove-MobileDevice", json!({"Identity": old})).status,
        200
    );
    says(
        &client.cmdlet("Remove-MobileDevice", json!({"Identity": old})),
        404,
        "couldn't be found",
    );
}

#[test]
fn delegations_say_when_there_is_nothing_to_do() {
    let (mut client, (anna, ben)) = with(Cruelty::kind(), |town| {
        let (anna, ben) = (town.employee("Anna"), town.employee("Ben"));
        town.delegate(&anna, &ben);
        (anna, ben)
    });
    let full = json!({"Identity": anna, "User": ben, "AccessRights": ["FullAccess"]});
    let send = json!({"Identity": anna, "Trustee": ben, "AccessRights": ["SendAs"]});
    let seen = client
        .cmdlet("Get-MailboxPermission", json!({"Identity": anna}))
        .values()
        .to_vec();
    assert_eq!((seen.len(), &seen[0]["User"]), (2, &json!("NT AUTHORITY\\SELF")));
    assert_eq!(
        client
            .cmdlet("Get-RecipientPermission", json!({"Trustee": ben}))
            .values()
            .len(),
        1,
        "what he has elsewhere"
    );
    assert_eq!(
        client
            .cmdlet(
                "Get-Mailbox",
                json!({"Filter": format!("GrantSendOnBehalfTo -eq '{ben}'")})
            )
            .values()
            .len(),
        1
    );
    assert_eq!(client.cmdlet("Remove-MailboxPermission", full.clone()).status, 200);
    says(
        &client.cmdlet("Remove-MailboxPermission", full.clone()),
        200,
        "because the ACE isn't present",
    );
    assert_eq!(client.cmdlet("Remove-RecipientPermission", send.clone()).status, 200);
    says(
        &client.cmdlet("Remove-RecipientPermission", send),
        400,
        "because the ACE doesn't exist on the object.",
    );
    let remove =
        json!({"Identity": anna, "GrantSendOnBehalfTo": {"@odata.type": "#Exchange.GenericHashTable", "remove": ben}});
    assert_eq!(client.cmdlet("Set-Mailbox", remove.clone()).status, 200);
    says(&client.cmdlet("Set-Mailbox", remove), 200, "no settings of");
    assert_eq!(client.cmdlet("Add-MailboxPermission", full.clone()).status, 200);
    says(&client.cmdlet("Add-MailboxPermission", full), 200, "already present");
}

#[test]
fn hidden_rules_show_only_when_asked_for() {
    let (mut client, anna) = with(Cruelty::kind(), |town| {
        let anna = town.employee("Anna");
        town.inbox_rule(&anna, "Plain", false);
        town.inbox_rule(&anna, "Hidden", true);
        anna
    });
    assert_eq!(
        client
            .all(&format!("/users/{anna}/mailFolders/inbox/messageRules"))
            .len(),
        1
    );
    assert_eq!(
        client.cmdlet("Get-InboxRule", json!({"Mailbox": anna})).values().len(),
        1
    );
    let all = client
        .cmdlet("Get-InboxRule", json!({"Mailbox": anna, "IncludeHidden": true}))
        .values()
        .to_vec();
    assert_eq!(all.len(), 4, "two of Exchange's own");
    let hidden = all.iter().find(|rule| rule["Name"] == "Hidden").unwrap()["Identity"].clone();
    assert_eq!(
        client
            .cmdlet("Remove-InboxRule", json!({"Mailbox": anna, "Identity": hidden}))
            .status,
        200
    );
    says(
        &client.cmdlet("Remove-InboxRule", json!({"Mailbox": anna, "Identity": hidden})),
        404,
        "couldn't be found",
    );
}

#[test]
fn a_meeting_is_created_once_for_a_transaction_and_cancelled_by_its_organiser() {
    let (mut client, anna) = with(Cruelty::kind(), |town| {
        let anna = town.employee("Anna");
        town.meeting(&anna, 3, &["guest@elsewhere.example"], false);
        town.change_mailbox(&anna, |mailbox| mailbox.events[0].organiser = false);
        anna
    });
    let foreign = client.all(&format!("/users/{anna}/events"))[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    says(
        &client.graph(
            "POST",
            &format!("/users/{anna}/events/{foreign}/cancel"),
            Some(json!({"Comment": ""})),
        ),
        400,
        "organizer",
    );
    let time = |hour: u32| json!({"dateTime": format!("2026-06-01T{hour:02}:00:00"), "timeZone": "UTC"});
    let event = json!({"subject": "Handover", "start": time(9), "end": time(10), "attendees": [{"emailAddress": {"address": "x@y.example"}, "type": "required"}], "transactionId": "t-1"});
    let first = client.graph("POST", &format!("/users/{anna}/events"), Some(event.clone()));
    let second = client.graph("POST", &format!("/users/{anna}/events"), Some(event));
    assert_eq!((first.status, &first.body["id"]), (201, &second.body["id"]));
    let id = first.body["id"].as_str().unwrap();
    assert_eq!(
        client
            .graph(
                "POST",
                &format!("/users/{anna}/events/{id}/cancel"),
                Some(json!({"Comment": ""}))
            )
            .status,
        202
    );
    assert_eq!(
        client
            .graph(
                "POST",
                &format!("/users/{anna}/events/{id}/cancel"),
                Some(json!({"Comment": ""}))
            )
            .status,
        404
    );
}

#[test]
fn a_calendar_is_named_in_its_owners_language_and_shared_by_the_names_that_are_shown() {
    let (mut client, (anna, ben, carl)) = with(Cruelty::kind(), |town| {
        let (anna, ben) = (town.employee("Anna"), town.employee("Ben"));
        let carl = town.employee("Carl");
        town.share_calendar(&anna, &ben);
        town.change_mailbox(&anna, |mailbox| "Kalender".clone_into(&mut mailbox.calendar.name));
        (anna, ben, carl)
    });
    let folders = client.cmdlet(
        "Get-MailboxFolderStatistics",
        json!({"Identity": anna, "FolderScope": "Calendar"}),
    );
    let main: Vec<Value> = folders
        .values()
        .iter()
        .filter(|row| row["FolderType"] == "Calendar")
        .map(|row| row["FolderPath"].clone())
        .collect();
    assert_eq!(main, [json!("/Kalender")]);
    says(
        &client.cmdlet(
            "Get-MailboxFolderPermission",
            json!({"Identity": format!("{anna}:\\Calendar")}),
        ),
        404,
        "couldn't be found",
    );
    let folder = format!("{anna}:\\Kalender");
    let name = client
        .world
        .tenant(&client.tenant)
        .unwrap()
        .person(&ben)
        .unwrap()
        .display_name
        .clone();
    let users = |client: &mut Client| -> Vec<Value> {
        let got = client.cmdlet("Get-MailboxFolderPermission", json!({"Identity": folder}));
        got.values().iter().map(|row| row["User"].clone()).collect()
    };
    assert_eq!(users(&mut client), [json!("Default"), json!("Anonymous"), json!(name)]);
    let of_ben = client.cmdlet("Get-MailboxFolderPermission", json!({"Identity": folder, "User": ben}));
    assert_eq!(
        (of_ben.values().len(), &of_ben.values()[0]["AccessRights"]),
        (1, &json!(["Editor"]))
    );
    let none = "There is no existing permission entry found for user";
    for cmdlet in ["Get-MailboxFolderPermission", "Remove-MailboxFolderPermission"] {
        says(
            &client.cmdlet(cmdlet, json!({"Identity": folder, "User": carl})),
            400,
            none,
        );
    }
    let take = json!({"Identity": folder, "User": name});
    assert_eq!(
        client.cmdlet("Remove-MailboxFolderPermission", take.clone()).status,
        200
    );
    says(&client.cmdlet("Remove-MailboxFolderPermission", take), 400, none);
    assert_eq!(users(&mut client).len(), 2);
    let effects: Vec<_> = client
        .world
        .journal()
        .iter()
        .map(|entry| (entry.effect, entry.subject.clone(), entry.object.clone()))
        .collect();
    assert_eq!(effects, [(Effect::CalendarAccessRemoved, ben, anna)]);
}
