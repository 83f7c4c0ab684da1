//! Rules about accounts, groups, roles, methods and licences.

use std::collections::BTreeSet;

use offboard_sim::population::PersonSpec;
use offboard_sim::world::catalogue::{self, USER_ADMINISTRATOR};
use offboard_sim::world::model::{DynamicRule, GroupKind, MethodKind, PhoneKind};
use offboard_sim::world::{Actor, Cruelty, Harm, Violation};
use serde_json::json;

use super::{GIB, MINUTE, disable, harms, release, says, with};
use crate::client::{Client, T0};

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
fn an_eligible_role_protects_too_and_goes_by_a_request() {
    let (mut client, anna) = with(Cruelty::kind(), |town| {
        let anna = town.employee("Anna");
        town.eligible(&anna, USER_ADMINISTRATOR);
        anna
    });
    assert_eq!(disable(&mut client, &anna).status, 403);
    let listed = |client: &mut Client| {
        client.all(&format!(
            "/roleManagement/directory/roleEligibilitySchedules?$filter=principalId eq '{anna}'"
        ))
    };
    let found = listed(&mut client);
    assert_eq!(
        (found.len(), &found[0]["roleDefinitionId"], &found[0]["status"]),
        (1, &json!(USER_ADMINISTRATOR), &json!("Provisioned"))
    );
    let take = |client: &mut Client, action: &str, scope: &str| {
        client.graph(
            "POST",
            "/roleManagement/directory/roleEligibilityScheduleRequests",
            Some(json!({
                "action": action,
                "principalId": anna,
                "roleDefinitionId": USER_ADMINISTRATOR,
                "directoryScopeId": scope,
                "justification": "gone",
            })),
        )
    };
    assert_eq!(take(&mut client, "adminAssign", "/").status, 400);
    assert_eq!(
        take(&mut client, "adminRemove", "/administrativeUnits/x").code(),
        "RoleAssignmentDoesNotExist"
    );
    let taken = take(&mut client, "adminRemove", "/");
    assert_eq!((taken.status, &taken.body["status"]), (201, &json!("Revoked")));
    assert_eq!(listed(&mut client), Vec::<serde_json::Value>::new());
    assert_eq!(
        take(&mut client, "adminRemove", "/").code(),
        "RoleAssignmentDoesNotExist"
    );
    assert_eq!(disable(&mut client, &anna).status, 204);
}

#[test]
fn eligible_roles_want_their_licence() {
    let (mut client, anna) = with(Cruelty::kind(), |town| town.employee("Anna"));
    let refused = client.get(&format!(
        "/roleManagement/directory/roleEligibilitySchedules?$filter=principalId eq '{anna}'"
    ));
    assert_eq!((refused.status, refused.code()), (400, "AadPremiumLicenseRequired"));
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
        let fields = "accountEnabled,onPremisesSyncEnabled,onPremisesLastSyncDateTime";
        client.get(&format!("/users/{anna}?$select={fields}")).body
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
    // Only what changed there is stamped.
    let stamp = |client: &mut Client| {
        client.forget_tokens();
        shown(client)["onPremisesLastSyncDateTime"].clone()
    };
    let brought = stamp(&mut client);
    client.now += 30 * MINUTE;
    assert_eq!(stamp(&mut client), brought);
    assert!(client.world.tenant_mut(&tenant).unwrap().change_on_prem(&anna));
    client.now += 30 * MINUTE;
    assert_ne!(stamp(&mut client), brought);
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

/// Nobody took him out of anything: the directory computes, licensing follows, and Exchange
/// last.
#[test]
fn who_is_disabled_loses_what_a_rule_gave_him_for_being_enabled() {
    let slow = Cruelty {
        dynamic_group_ms: (5 * MINUTE, 5 * MINUTE),
        group_license_ms: (3 * MINUTE, 3 * MINUTE),
        mailbox_grace_ms: 2 * MINUTE,
        ..Cruelty::kind()
    };
    let night = || "Night Shift".to_owned();
    let (mut client, (anna, group)) = with(slow, |town| {
        let anna = town.person(&PersonSpec {
            licenses: Vec::new(),
            department: night(),
            drive: false,
            ..PersonSpec::named("Anna")
        });
        town.employee("Ben");
        let rule = DynamicRule::EnabledIn(night());
        (anna, town.dynamic_license_group("Licence", catalogue::E3, rule))
    });
    let members = client.all(&format!("/groups/{group}/members"));
    assert_eq!((members.len(), &members[0]["id"]), (1, &json!(anna)));
    // Whether he is in the group, how many licences he has, and how a reading of his mailbox ends.
    let shown = |client: &mut Client| {
        let of = client.all(&format!("/users/{anna}/memberOf"));
        let licensed = client.get(&format!("/users/{anna}?$select=assignedLicenses"));
        (
            of.iter().any(|one| one["id"] == json!(group)),
            licensed.body["assignedLicenses"].as_array().unwrap().len(),
            client.get(&format!("/users/{anna}/mailboxSettings")).status,
        )
    };
    assert_eq!(shown(&mut client), (true, 1, 200));
    disable(&mut client, &anna);
    client.now += 5 * MINUTE - 1;
    assert_eq!(shown(&mut client), (true, 1, 200));
    client.now += 1;
    assert_eq!(shown(&mut client), (false, 1, 200));
    client.now += 3 * MINUTE;
    assert_eq!(shown(&mut client), (false, 0, 200));
    client.now += 2 * MINUTE;
    assert_eq!(shown(&mut client), (false, 0, 404));
    assert_eq!(harms(&client), [Harm::LicenceBeforeConversion, Harm::MailboxLost]);
    let by_itself = |harm: &Violation| matches!(harm.actor, Actor::Machinery(_));
    assert!(client.world.violations().into_iter().all(by_itself));
    // Enabled again, he is licensed again.
    let enabled = Some(json!({"accountEnabled": true}));
    client.graph("PATCH", &format!("/users/{anna}"), enabled);
    client.now += 5 * MINUTE;
    assert_eq!(shown(&mut client), (true, 1, 404));
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
