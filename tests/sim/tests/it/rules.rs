//! The vendor's rules, with its own words, and the harm that breaking them does.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use offboard_sim::population::{ADMIN_APP, ADMIN_APP_CERTIFICATE, DeviceSpec, PersonSpec, Town};
use offboard_sim::world::catalogue::{self, USER_ADMINISTRATOR};
use offboard_sim::world::model::{DynamicRule, GroupKind, MethodKind, PhoneKind, Reach};
use offboard_sim::world::{Cruelty, Effect, Harm, World};
use serde_json::{Value, json};

use crate::client::{Client, Got, T0};

const MINUTE: i64 = 60_000;
const DAY: i64 = 86_400_000;
const GIB: u64 = 1024 * 1024 * 1024;

/// Builds a tenant and gives a client of it with whatever the builder returned.
fn with<T>(cruelty: Cruelty, build: impl FnOnce(&mut Town) -> T) -> (Client, T) {
    let mut world = World::new(1, cruelty);
    let mut town = Town::found(&mut world, "contoso", T0);
    let built = build(&mut town);
    let tenant = town.id().to_owned();
    (Client::new(world, &tenant), built)
}

fn harms(client: &Client) -> Vec<Harm> {
    client
        .world
        .violations()
        .iter()
        .map(|violation| violation.harm)
        .collect()
}

fn release(client: &mut Client, who: &str, skus: &[&str]) -> Got {
    client.graph(
        "POST",
        &format!("/users/{who}/assignLicense"),
        Some(json!({"addLicenses": [], "removeLicenses": skus})),
    )
}

fn disable(client: &mut Client, who: &str) -> Got {
    client.graph(
        "PATCH",
        &format!("/users/{who}"),
        Some(json!({"accountEnabled": false})),
    )
}

fn says(got: &Got, status: u16, text: &str) {
    assert!(
        got.status == status && got.body.to_string().contains(text),
        "wanted {status} with \"{text}\", got {} {}",
        got.status,
        got.body
    );
}

#[test]
fn an_administrator_cannot_be_touched_until_his_roles_are_gone() {
    let (mut client, (anna, role)) = with(Cruelty::kind(), |town| {
        let anna = town.employee("Anna");
        town.methods(&anna, &[MethodKind::Fido2]);
        let role = town.role(&anna, USER_ADMINISTRATOR);
        (anna, role)
    });
    let refused = disable(&mut client, &anna);
    assert_eq!(
        (refused.status, refused.code(), refused.message()),
        (
            403,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation."
        )
    );
    let found = client.all(&format!(
        "/roleManagement/directory/roleAssignments?$filter=principalId eq '{anna}'&$expand=roleDefinition"
    ));
    assert_eq!(
        (found.len(), &found[0]["id"], &found[0]["roleDefinition"]["displayName"]),
        (1, &json!(role), &json!("User Administrator"))
    );
    assert_eq!(
        client
            .graph(
                "DELETE",
                &format!("/roleManagement/directory/roleAssignments/{role}"),
                None
            )
            .status,
        204
    );
    assert_eq!(disable(&mut client, &anna).status, 204);
    assert_eq!(
        client
            .graph(
                "DELETE",
                &format!("/roleManagement/directory/roleAssignments/{role}"),
                None
            )
            .status,
        404
    );
}

#[test]
fn membership_of_a_role_assignable_group_protects_too() {
    let (mut client, (anna, group)) = with(Cruelty::kind(), |town| {
        let anna = town.employee("Anna");
        let group = town.group("Admins", GroupKind::Security, &[&anna], &[]);
        town.change_group(&group, |group| group.role_assignable = true);
        (anna, group)
    });
    assert_eq!(disable(&mut client, &anna).status, 403);
    assert_eq!(
        client
            .graph("DELETE", &format!("/groups/{group}/members/{anna}/$ref"), None)
            .status,
        204
    );
    assert_eq!(disable(&mut client, &anna).status, 204);
}

#[test]
fn an_application_with_the_role_may_touch_administrators() {
    let (mut client, anna) = with(Cruelty::kind(), |town| {
        town.trust_app_with_administrators();
        let anna = town.employee("Anna");
        town.role(&anna, USER_ADMINISTRATOR);
        anna
    });
    assert_eq!(disable(&mut client, &anna).status, 204);
}

#[test]
fn a_synced_account_comes_back_at_the_next_synchronisation() {
    let syncing = Cruelty {
        sync_interval_ms: 30 * MINUTE,
        ..Cruelty::kind()
    };
    let (mut client, anna) = with(syncing, |town| {
        town.tenant().start_sync(T0 + 30 * MINUTE);
        town.person(&PersonSpec {
            synced: true,
            ..PersonSpec::named("Anna")
        })
    });
    let title = client.graph("PATCH", &format!("/users/{anna}"), Some(json!({"jobTitle": "x"})));
    says(&title, 400, "on-premises mastered Directory Sync objects");
    let password = json!({"passwordProfile": {"password": "Aa1!aaaaaaaa"}});
    says(
        &client.graph("PATCH", &format!("/users/{anna}"), Some(password)),
        400,
        "on-premises mastered Directory Sync objects",
    );
    says(
        &client.cmdlet(
            "Set-Mailbox",
            json!({"Identity": anna, "HiddenFromAddressListsEnabled": true}),
        ),
        400,
        "from your on-premises organization",
    );
    assert_eq!(disable(&mut client, &anna).status, 204);
    client.now += 30 * MINUTE;
    let shown = |client: &mut Client| {
        client
            .get(&format!("/users/{anna}?$select=accountEnabled,onPremisesSyncEnabled"))
            .body
    };
    assert_eq!(
        (
            &shown(&mut client)["accountEnabled"],
            &shown(&mut client)["onPremisesSyncEnabled"]
        ),
        (&json!(true), &json!(true))
    );
    let tenant = client.tenant.clone();
    assert!(
        client
            .world
            .tenant_mut(&tenant)
            .unwrap()
            .set_on_prem_enabled(&anna, client.now, false)
    );
    client.now += 30 * MINUTE - 1;
    client.forget_tokens();
    assert_eq!(shown(&mut client)["accountEnabled"], true);
    client.now += 1;
    assert_eq!(shown(&mut client)["accountEnabled"], false);
}

#[test]
fn groups_refuse_each_in_its_own_way() {
    let (mut client, (anna, groups)) = with(Cruelty::kind(), |town| {
        let anna = town.employee("Anna");
        let synced = town.group("Synced", GroupKind::Security, &[&anna], &[]);
        town.change_group(&synced, |group| group.synced = true);
        let mail = town.group("Mail", GroupKind::MailSecurity, &[&anna], &[]);
        let list = town.group("List", GroupKind::Distribution, &[&anna], &[]);
        let dynamic = town.dynamic_group("Enabled", DynamicRule::Enabled);
        (anna, [synced, mail, list, dynamic])
    });
    let words = [
        "on-premises mastered",
        "Cannot Update a mail-enabled security groups",
        "Cannot Update a mail-enabled security groups",
        "dynamic membership",
    ];
    for (group, words) in groups.iter().zip(words) {
        says(
            &client.graph("DELETE", &format!("/groups/{group}/members/{anna}/$ref"), None),
            400,
            words,
        );
    }
    let [synced, mail, list, dynamic] = &groups;
    for group in [mail, list] {
        let without = client.cmdlet(
            "Remove-DistributionGroupMember",
            json!({"Identity": group, "Member": anna}),
        );
        assert_eq!(without.status, 403);
        let parameters =
            json!({"Identity": group, "Member": anna, "BypassSecurityGroupManagerCheck": true, "Confirm": false});
        assert_eq!(
            client
                .cmdlet("Remove-DistributionGroupMember", parameters.clone())
                .status,
            200
        );
        says(
            &client.cmdlet("Remove-DistributionGroupMember", parameters),
            404,
            "isn't a member of the group",
        );
    }
    says(
        &client.cmdlet("Get-DistributionGroup", json!({"Identity": synced})),
        404,
        "couldn't be found",
    );
    // The rule lets him go once he may no longer sign in.
    disable(&mut client, &anna);
    let left: BTreeSet<String> = client
        .all(&format!("/users/{anna}/memberOf"))
        .iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!((left.contains(dynamic), left.contains(synced)), (false, true));
}

#[test]
fn the_last_owner_stays_until_there_is_another() {
    let (mut client, (anna, ben, group)) = with(Cruelty::kind(), |town| {
        let (anna, ben) = (town.employee("Anna"), town.employee("Ben"));
        let group = town.group("Team", GroupKind::Unified { team: true }, &[&anna], &[&anna]);
        (anna, ben, group)
    });
    let path = format!("/groups/{group}/owners/{anna}/$ref");
    says(
        &client.graph("DELETE", &path, None),
        400,
        "The group must have at least one owner, hence this owner cannot be removed.",
    );
    let link = json!({"@odata.id": format!("https://graph.microsoft.com/v1.0/directoryObjects/{ben}")});
    assert_eq!(
        client
            .graph("POST", &format!("/groups/{group}/owners/$ref"), Some(link.clone()))
            .status,
        204
    );
    says(
        &client.graph("POST", &format!("/groups/{group}/owners/$ref"), Some(link)),
        400,
        "already exist",
    );
    assert_eq!(client.graph("DELETE", &path, None).status, 204);
    assert_eq!(client.graph("DELETE", &path, None).status, 404);
    assert_eq!(client.all(&format!("/users/{anna}/joinedTeams")).len(), 1);
}

#[test]
fn without_the_suffix_a_delete_of_a_membership_deletes_the_user() {
    let (mut client, (anna, group)) = with(Cruelty::kind(), |town| {
        let anna = town.employee("Anna");
        let group = town.group("Team", GroupKind::Security, &[&anna], &[&anna]);
        (anna, group)
    });
    assert_eq!(
        client
            .graph("DELETE", &format!("/groups/{group}/members/{anna}"), None)
            .status,
        204
    );
    assert_eq!(client.get(&format!("/users/{anna}")).status, 404);
    assert_eq!(
        client.all("/directory/deletedItems/microsoft.graph.user")[0]["id"],
        json!(anna)
    );
    let harms = harms(&client);
    assert!(
        harms.contains(&Harm::DeletedThroughMembership) && harms.contains(&Harm::GroupWithoutOwner),
        "{harms:?}"
    );
}

#[test]
fn methods_go_in_an_order() {
    let (mut client, anna) = with(Cruelty::kind(), |town| {
        let anna = town.employee("Anna");
        town.methods(
            &anna,
            &[
                MethodKind::Phone(PhoneKind::Mobile),
                MethodKind::Phone(PhoneKind::AlternateMobile),
                MethodKind::Authenticator,
            ],
        );
        anna
    });
    let app = client.all(&format!("/users/{anna}/authentication/microsoftAuthenticatorMethods"))[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let delete =
        |client: &mut Client, what: &str| client.graph("DELETE", &format!("/users/{anna}/authentication/{what}"), None);
    let (mobile, alternate) = (
        format!("phoneMethods/{}", PhoneKind::Mobile.fixed_id()),
        format!("phoneMethods/{}", PhoneKind::AlternateMobile.fixed_id()),
    );
    assert_eq!(delete(&mut client, &mobile).status, 400);
    assert_eq!(delete(&mut client, &alternate).status, 204);
    says(
        &delete(&mut client, &mobile),
        400,
        "Cannot delete default method with other methods configured.",
    );
    assert_eq!(
        delete(&mut client, &format!("fido2Methods/{app}")).status,
        404,
        "each sort has its collection"
    );
    assert_eq!(
        delete(&mut client, &format!("microsoftAuthenticatorMethods/{app}")).status,
        204
    );
    assert_eq!(delete(&mut client, &mobile).status, 204);
    assert_eq!(delete(&mut client, &mobile).status, 404);
    let left = client.all(&format!("/users/{anna}/authentication/methods"));
    assert_eq!(
        (left.len(), &left[0]["@odata.type"]),
        (1, &json!("#microsoft.graph.passwordAuthenticationMethod"))
    );
}

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
fn a_licence_taken_too_early_loses_the_mailbox() {
    let careless = Cruelty {
        conversion_ms: (MINUTE, MINUTE),
        converting_refuses_permille: 0,
        mailbox_grace_ms: 2 * MINUTE,
        ..Cruelty::kind()
    };
    let (mut client, anna) = with(careless, |town| {
        town.person(&PersonSpec {
            drive: false,
            ..PersonSpec::named("Anna")
        })
    });
    client.cmdlet("Set-Mailbox", json!({"Identity": anna, "Type": "Shared"}));
    assert_eq!(release(&mut client, &anna, &[catalogue::E3]).status, 200);
    assert_eq!(harms(&client), [Harm::LicenceBeforeConversion]);
    client.now += 2 * MINUTE;
    let gone = client.get(&format!("/users/{anna}/mailboxSettings"));
    assert_eq!((gone.status, gone.code()), (404, "MailboxNotEnabledForRESTAPI"));
    says(
        &client.cmdlet("Get-Mailbox", json!({"Identity": anna})),
        404,
        "couldn't be found",
    );
    assert_eq!(harms(&client), [Harm::LicenceBeforeConversion, Harm::MailboxLost]);
}

#[test]
fn big_and_held_mailboxes_need_their_licence() {
    let (mut client, (big, poor, held)) = with(Cruelty::kind(), |town| {
        let big = town.person(&PersonSpec {
            mailbox_bytes: 60 * GIB,
            ..PersonSpec::named("Big")
        });
        let poor = town.person(&PersonSpec {
            licenses: vec![catalogue::BUSINESS_PREMIUM],
            ..PersonSpec::named("Poor")
        });
        let held = town.person(&PersonSpec {
            drive: false,
            ..PersonSpec::named("Held")
        });
        (big, poor, held)
    });
    says(
        &client.cmdlet("Set-Mailbox", json!({"Identity": big, "Type": "Shared"})),
        400,
        "exceeds the limit of 50 GB",
    );
    let size = client
        .cmdlet("Get-MailboxStatistics", json!({"Identity": big}))
        .values()[0]["TotalItemSize"]
        .clone();
    assert!(size.as_str().unwrap().contains("(64,424,509,440 bytes)"), "{size}");
    says(
        &client.cmdlet("Set-Mailbox", json!({"Identity": poor, "LitigationHoldEnabled": true})),
        400,
        "have the license",
    );
    assert_eq!(client.cmdlet("Set-Mailbox", json!({"Identity": held, "LitigationHoldEnabled": true, "LitigationHoldDuration": 365, "Type": "Shared"})).status, 200);
    let row = client.cmdlet("Get-Mailbox", json!({"Identity": held})).values()[0].clone();
    assert_eq!(
        (&row["LitigationHoldEnabled"], &row["LitigationHoldDuration"]),
        (&json!(true), &json!("365.00:00:00"))
    );
    assert_eq!(release(&mut client, &held, &[catalogue::E3]).status, 200);
    assert_eq!(harms(&client), [Harm::KeptMailboxUnlicensed]);
}

#[test]
fn licences_refuse_in_their_own_words() {
    let lagging = Cruelty {
        group_license_ms: (MINUTE, MINUTE),
        ..Cruelty::kind()
    };
    let (mut client, (anna, group)) = with(lagging, |town| {
        let anna = town.person(&PersonSpec {
            licenses: vec![catalogue::E3, catalogue::TEAMS_PHONE],
            mailbox: false,
            drive: false,
            ..PersonSpec::named("Anna")
        });
        let group = town.license_group("Licence Visio", catalogue::VISIO_PLAN_2, &[&anna]);
        (anna, group)
    });
    says(
        &release(&mut client, &anna, &[catalogue::VISIO_PLAN_2]),
        400,
        "User license is inherited from group membership and cannot be removed directly from the user",
    );
    says(
        &release(&mut client, &anna, &[catalogue::POWER_BI_PRO]),
        400,
        "does not have a corresponding license",
    );
    says(
        &release(&mut client, &anna, &[catalogue::E3]),
        400,
        "depends on the service plan(s) TEAMS1",
    );
    assert_eq!(
        release(&mut client, &anna, &[catalogue::E3, catalogue::TEAMS_PHONE]).status,
        200
    );
    let states = |client: &mut Client| {
        client
            .get(&format!("/users/{anna}?$select=licenseAssignmentStates"))
            .body["licenseAssignmentStates"]
            .clone()
    };
    assert_eq!(
        (
            &states(&mut client)[0]["assignedByGroup"],
            &states(&mut client)[0]["skuId"]
        ),
        (&json!(group), &json!(catalogue::VISIO_PLAN_2))
    );
    assert_eq!(
        client
            .graph("DELETE", &format!("/groups/{group}/members/{anna}/$ref"), None)
            .status,
        204
    );
    assert_ne!(states(&mut client), json!([]), "the licence follows later");
    client.now += MINUTE;
    assert_eq!(states(&mut client), json!([]));
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
        let action = got.body["deviceActionResults"][0]["actionState"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
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
fn the_protected_and_the_last_are_watched_over() {
    let (mut client, (glass, role)) = with(Cruelty::kind(), |town| {
        let glass = town.person(&PersonSpec {
            protected: true,
            ..PersonSpec::named("Glass")
        });
        let role = town.role(&glass, catalogue::GLOBAL_ADMINISTRATOR);
        (glass, role)
    });
    assert_eq!(
        client
            .graph(
                "DELETE",
                &format!("/roleManagement/directory/roleAssignments/{role}"),
                None
            )
            .status,
        204
    );
    assert_eq!(
        harms(&client),
        [Harm::ProtectedAccountTouched, Harm::LastAdministratorGone]
    );
    let tenant = client.world.tenant(&client.tenant).unwrap();
    assert_eq!(tenant.touched_by_apps(), BTreeSet::from([glass.as_str()]));
}
