//! What goes wrong on the way: lag, throttling, silence, tokens, colleagues.

use offboard_sim::population::{ADMIN_APP, PersonSpec, Town, demo};
use offboard_sim::world::model::GroupKind;
use offboard_sim::world::{Cruelty, Effect, Failure, Fault, Op, World};
use serde_json::json;

use crate::client::{Client, T0};

const MINUTE: i64 = 60_000;

fn one_employee(cruelty: Cruelty) -> (Client, String) {
    let mut world = World::new(1, cruelty);
    let mut town = Town::found(&mut world, "contoso", T0);
    let anna = town.employee("Anna");
    let tenant = town.id().to_owned();
    (Client::new(world, &tenant), anna)
}

fn enabled(client: &mut Client, who: &str) -> bool {
    client.get(&format!("/users/{who}?$select=accountEnabled")).body["accountEnabled"] == true
}

fn disable(client: &mut Client, who: &str) -> Option<u16> {
    client
        .try_graph(
            "PATCH",
            &format!("/users/{who}"),
            Some(json!({"accountEnabled": false})),
        )
        .map(|got| got.status)
}

#[test]
fn a_read_after_a_write_may_go_to_an_older_replica_and_back() {
    let lagging = Cruelty {
        stale_read_permille: 500,
        directory_lag_ms: 30_000,
        ..Cruelty::kind()
    };
    let (mut client, anna) = one_employee(lagging);
    assert_eq!(disable(&mut client, &anna), Some(204));
    client.now += 5_000;
    let seen: Vec<bool> = (0..40).map(|_| enabled(&mut client, &anna)).collect();
    assert!(seen.contains(&true) && seen.contains(&false), "{seen:?}");
    let flapped = seen.windows(2).any(|pair| pair == [false, true]);
    assert!(flapped, "no read went back: {seen:?}");
    client.now += 30_001;
    assert!(
        (0..40).all(|_| !enabled(&mut client, &anna)),
        "a replica lags longer than the longest lag"
    );
}

#[test]
fn an_expansion_that_could_not_be_read_is_not_shown_as_nothing() {
    let (mut client, anna) = one_employee(Cruelty::kind());
    client.world.order(Op::GetManager, Fault::Unavailable(503), 1);
    let path = format!("/users/{anna}?$expand=manager($select=id)");
    assert_eq!(client.try_graph("GET", &path, None).map(|got| got.status), Some(503));
    let got = client.get(&path);
    assert_eq!((got.status, &got.body["manager"]), (200, &serde_json::Value::Null));
}

#[test]
fn a_lagging_read_can_be_ordered() {
    let (mut client, anna) = one_employee(Cruelty {
        directory_lag_ms: 10_000,
        ..Cruelty::kind()
    });
    disable(&mut client, &anna);
    client.world.order(Op::GetUser, Fault::Lagging { lag_ms: 1 }, 1);
    assert!(enabled(&mut client, &anna));
    assert!(!enabled(&mut client, &anna));
}

#[test]
fn a_429_says_when_to_come_back_and_holds_the_whole_service_until_then() {
    let (mut client, anna) = one_employee(Cruelty::kind());
    client
        .world
        .order(Op::GetUser, Fault::Throttled { retry_after_s: Some(7) }, 1);
    let got = client.get(&format!("/users/{anna}"));
    assert_eq!(
        (
            got.status,
            got.code(),
            got.headers.get("retry-after").map(String::as_str)
        ),
        (429, "TooManyRequests", Some("7"))
    );
    client.now += 3_000;
    let too_soon = client.get(&format!("/users/{anna}/manager"));
    assert_eq!(
        (too_soon.status, too_soon.headers.get("retry-after").map(String::as_str)),
        (429, Some("4"))
    );
    assert_eq!(client.world.impatient(), 1);
    assert_eq!(
        client.get(&format!("/users/{anna}/mailboxSettings")).status,
        200,
        "another service is not held back"
    );
    client.now += 4_000;
    assert_eq!(client.get(&format!("/users/{anna}")).status, 200);
}

#[test]
fn a_429_may_say_nothing() {
    let (mut client, anna) = one_employee(Cruelty::kind());
    client
        .world
        .order(Op::GetUser, Fault::Throttled { retry_after_s: None }, 1);
    let got = client.get(&format!("/users/{anna}"));
    assert_eq!((got.status, got.headers.contains_key("retry-after")), (429, false));
}

#[test]
fn servers_fail_in_three_ways_and_a_gateway_speaks_html() {
    let (mut client, anna) = one_employee(Cruelty::kind());
    for (status, code) in [(503, "ServiceUnavailable"), (504, "GatewayTimeout"), (502, "")] {
        client.world.order(Op::PatchUser, Fault::Unavailable(status), 1);
        let got = client.graph(
            "PATCH",
            &format!("/users/{anna}"),
            Some(json!({"accountEnabled": false})),
        );
        assert_eq!((got.status, got.code()), (status, code));
        assert_eq!(got.headers["content-type"].starts_with("text/html"), status == 502);
    }
    assert!(enabled(&mut client, &anna), "nothing was applied");
}

#[test]
fn silence_leaves_open_whether_it_was_applied() {
    let (mut client, anna) = one_employee(Cruelty::kind());
    client.world.order(Op::PatchUser, Fault::ResetBefore, 1);
    assert_eq!(disable(&mut client, &anna), None);
    assert!(enabled(&mut client, &anna));
    client.world.order(Op::PatchUser, Fault::ResetAfter, 1);
    assert_eq!(disable(&mut client, &anna), None);
    assert!(!enabled(&mut client, &anna));
    client.world.order(Op::RevokeSessions, Fault::TimeoutAfter, 1);
    assert_eq!(
        client
            .graph("POST", &format!("/users/{anna}/revokeSignInSessions"), None)
            .status,
        504
    );
    assert!(
        client
            .world
            .journal()
            .iter()
            .any(|entry| entry.effect == Effect::SessionsRevoked)
    );
}

#[test]
fn answers_can_be_slow() {
    let slow = Cruelty {
        latency_ms: (10, 10),
        slow_permille: 1000,
        slow_ms: (5_000, 5_000),
        ..Cruelty::kind()
    };
    let (mut client, anna) = one_employee(slow);
    let caller = client.world.caller(&client.tenant, ADMIN_APP).unwrap();
    assert_eq!(client.world.get_user(&caller, T0, &anna).latency_ms, 5_010);
}

#[test]
fn a_token_may_die_before_its_time() {
    let (mut client, anna) = one_employee(Cruelty {
        token_early_death_permille: 1000,
        ..Cruelty::kind()
    });
    assert_eq!(client.get(&format!("/users/{anna}")).status, 200);
    client.now += 31 * MINUTE;
    let got = client.get(&format!("/users/{anna}"));
    assert_eq!((got.status, got.code()), (401, "InvalidAuthenticationToken"));
    client.forget_tokens();
    assert_eq!(client.get(&format!("/users/{anna}")).status, 200);
}

#[test]
fn credentials_and_audiences_are_checked() {
    let (mut client, anna) = one_employee(Cruelty::kind());
    let ask = |client: &mut Client, tenant: &str, id: &str, secret: &str, scope: &str| {
        let body = format!("client_id={id}&client_secret={secret}&scope={scope}&grant_type=client_credentials");
        let got = client
            .raw(
                "POST",
                &format!("/login/{tenant}/oauth2/v2.0/token"),
                &[],
                body.as_bytes(),
            )
            .unwrap();
        (got.status, got.body["error_codes"][0].as_i64().unwrap_or(0))
    };
    let (tenant, graph) = (client.tenant.clone(), "https%3A%2F%2Fgraph.microsoft.com%2F.default");
    let good = offboard_sim::population::ADMIN_APP_SECRET;
    assert_eq!(
        ask(&mut client, "nowhere.example", ADMIN_APP, good, graph),
        (400, 90_002)
    );
    assert_eq!(ask(&mut client, &tenant, "unknown", good, graph), (400, 700_016));
    assert_eq!(ask(&mut client, &tenant, ADMIN_APP, "wrong", graph), (401, 7_000_215));
    assert_eq!(
        ask(
            &mut client,
            &tenant,
            ADMIN_APP,
            good,
            "https%3A%2F%2Felsewhere.example%2F.default"
        ),
        (400, 70_011)
    );
    assert_eq!(ask(&mut client, &tenant, ADMIN_APP, good, graph), (200, 0));
    // A token for Exchange is none for Graph.
    let token = format!("Bearer {}", client.token("https://outlook.office365.com/.default"));
    assert_eq!(
        client
            .raw(
                "GET",
                &format!("/graph/v1.0/users/{anna}"),
                &[("authorization", &token)],
                b""
            )
            .unwrap()
            .status,
        401
    );
}

#[test]
fn a_token_of_one_tenant_reaches_nothing_in_another() {
    let (world, tenants) = demo(3, Cruelty::kind(), 2, 15, T0);
    let mut client = Client::new(world, &tenants[0].id);
    let stranger = &tenants[1].cast.plain;
    assert_eq!(client.get(&format!("/users/{stranger}")).status, 404);
    assert_eq!(disable(&mut client, stranger), Some(404));
    let token = format!("Bearer {}", client.token("https://outlook.office365.com/.default"));
    let path = format!("/exchange/adminapi/beta/{}/InvokeCommand", tenants[1].id);
    let got = client.raw("POST", &path, &[("authorization", &token)], b"{}").unwrap();
    assert_eq!((got.status, got.body), (401, json!(null)));
    assert_eq!(client.world.tenant(&tenants[1].id).unwrap().journal().count(), 0);
}

#[test]
fn what_was_not_consented_to_is_refused_by_each_service_in_its_own_words() {
    let mut world = World::new(1, Cruelty::kind());
    let mut town = Town::found(&mut world, "contoso", T0);
    let anna = town.employee("Anna");
    for permission in [
        "MailboxSettings.ReadWrite",
        "UserAuthenticationMethod.ReadWrite.All",
        "RoleManagement.ReadWrite.Directory",
        "AuditLog.Read.All",
        "DeviceManagementManagedDevices.ReadWrite.All",
        "Exchange.ManageAsApp",
    ] {
        town.withhold(permission);
    }
    let tenant = town.id().to_owned();
    let mut client = Client::new(world, &tenant);
    let expected = [
        (format!("/users/{anna}/mailboxSettings"), "ErrorAccessDenied"),
        (format!("/users/{anna}/authentication/methods"), "accessDenied"),
        (
            "/auditLogs/signIns".to_owned(),
            "Authentication_MSGraphPermissionMissing",
        ),
        (
            format!("/users/{anna}?$select=signInActivity"),
            "Authentication_MSGraphPermissionMissing",
        ),
        ("/deviceManagement/managedDevices".to_owned(), "Forbidden"),
    ];
    for (path, code) in expected {
        let got = client.get(&path);
        assert_eq!((got.status, got.code()), (403, code), "{path}");
    }
    let role = client.graph("DELETE", "/roleManagement/directory/roleAssignments/x", None);
    assert_eq!((role.status, role.code()), (403, "Authorization_RequestDenied"));
    let exchange = client.cmdlet("Get-Mailbox", json!({"Identity": anna}));
    assert_eq!((exchange.status, exchange.body), (401, json!(null)));
    // Doctor can see what is missing: in the token, and in what was granted.
    let granted = client.all(&format!("/servicePrincipals(appId='{ADMIN_APP}')/appRoleAssignments"));
    let graph = client
        .get("/servicePrincipals(appId='00000003-0000-0000-c000-000000000000')")
        .body;
    let names: Vec<&str> = granted
        .iter()
        .filter_map(|row| {
            graph["appRoles"]
                .as_array()?
                .iter()
                .find(|role| role["id"] == row["appRoleId"])?["value"]
                .as_str()
        })
        .collect();
    assert!(names.contains(&"User.ReadWrite.All") && !names.contains(&"AuditLog.Read.All"));
}

#[test]
fn a_batch_says_nothing_about_its_parts() {
    let (mut client, anna) = one_employee(Cruelty::kind());
    client
        .world
        .order(Op::GetManager, Fault::Throttled { retry_after_s: Some(3) }, 1);
    client.world.order(Op::RevokeSessions, Fault::ResetAfter, 1);
    let body = json!({"requests": [
        {"id": "a", "method": "GET", "url": format!("/users/{anna}?$select=id")},
        {"id": "m", "method": "GET", "url": format!("/users/{anna}/mailboxSettings/userPurpose")},
        {"id": "r", "method": "POST", "url": format!("/users/{anna}/revokeSignInSessions")},
        {"id": "t", "method": "GET", "url": format!("/users/{anna}/manager")},
        {"id": "d", "method": "GET", "url": format!("/users/{anna}"), "dependsOn": ["t"]},
    ]});
    let got = client.graph("POST", "/$batch", Some(body));
    assert_eq!(got.status, 200);
    let part = |id: &str| {
        got.body["responses"]
            .as_array()
            .unwrap()
            .iter()
            .find(|part| part["id"] == id)
            .unwrap()
            .clone()
    };
    assert_eq!(
        (&part("a")["status"], &part("a")["body"]["id"]),
        (&json!(200), &json!(anna))
    );
    assert_eq!(part("m")["body"]["value"], "user");
    assert_eq!(part("r")["status"], 504);
    assert_eq!(
        (&part("t")["status"], &part("t")["headers"]["Retry-After"]),
        (&json!(429), &json!("3"))
    );
    assert_eq!(part("d")["status"], 424);
    assert!(
        client
            .world
            .journal()
            .iter()
            .any(|entry| entry.effect == Effect::SessionsRevoked),
        "the lost part was applied"
    );
    assert_ne!(
        got.body["responses"][0]["id"], "a",
        "the order of the answers is not that of the requests"
    );
}

#[test]
fn a_batch_that_is_malformed_is_refused_whole() {
    let (mut client, anna) = one_employee(Cruelty::kind());
    let get = |id: &str| json!({"id": id, "method": "GET", "url": format!("/users/{anna}")});
    let many: Vec<_> = (0..21).map(|n| get(&n.to_string())).collect();
    let nested = json!({"id": "1", "method": "POST", "url": "/$batch"});
    let absolute = json!({"id": "1", "method": "GET", "url": "https://graph.microsoft.com/v1.0/users"});
    for requests in [
        json!(many),
        json!([get("1"), get("1")]),
        json!([nested]),
        json!([absolute]),
        json!("x"),
    ] {
        assert_eq!(
            client
                .graph("POST", "/$batch", Some(json!({"requests": requests})))
                .status,
            400
        );
    }
}

#[test]
fn pages_are_small_and_complete() {
    let mut world = World::new(
        1,
        Cruelty {
            page_size: 2,
            ..Cruelty::kind()
        },
    );
    let mut town = Town::found(&mut world, "contoso", T0);
    let anna = town.employee("Anna");
    let mut groups: Vec<String> = (0..7)
        .map(|n| town.group(&format!("G{n}"), GroupKind::Security, &[&anna], &[]))
        .collect();
    let tenant = town.id().to_owned();
    let mut client = Client::new(world, &tenant);
    assert_eq!(client.get(&format!("/users/{anna}/memberOf")).values().len(), 2);
    let mut found: Vec<String> = client
        .all(&format!("/users/{anna}/memberOf?$select=id"))
        .iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect();
    groups.sort();
    found.sort();
    assert_eq!(found, groups);
}

#[test]
fn a_colleague_may_undo_what_was_done() {
    let (mut client, anna) = one_employee(Cruelty {
        colleague_permille: 1000,
        colleague_ms: (MINUTE, MINUTE),
        ..Cruelty::kind()
    });
    disable(&mut client, &anna);
    assert!(!enabled(&mut client, &anna));
    client.now += MINUTE;
    assert!(enabled(&mut client, &anna));
}

#[test]
fn published_limits_are_enforced() {
    let (mut client, anna) = one_employee(Cruelty {
        rate_limits: true,
        ..Cruelty::kind()
    });
    let statuses: Vec<u16> = (0..6)
        .map(|_| {
            client
                .get(&format!("/auditLogs/signIns?$filter=userId eq '{anna}'"))
                .status
        })
        .collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429]);
    client.now += 10_000;
    assert_eq!(client.get("/auditLogs/signIns").status, 200);
}

#[test]
fn the_pool_lags_behind_its_licences() {
    let lagging = Cruelty {
        pool_lag_ms: 10 * MINUTE,
        ..Cruelty::kind()
    };
    let mut world = World::new(1, lagging);
    let mut town = Town::found(&mut world, "contoso", T0);
    let sku = offboard_sim::world::catalogue::VISIO_PLAN_2;
    let anna = town.person(&PersonSpec {
        licenses: vec![sku],
        mailbox: false,
        drive: false,
        ..PersonSpec::named("Anna")
    });
    let tenant = town.id().to_owned();
    let mut client = Client::new(world, &tenant);
    let consumed = |client: &mut Client| {
        client
            .all("/subscribedSkus")
            .iter()
            .find(|line| line["skuId"] == sku)
            .unwrap()["consumedUnits"]
            .clone()
    };
    let order = json!({"addLicenses": [], "removeLicenses": [sku]});
    assert_eq!(
        client
            .graph("POST", &format!("/users/{anna}/assignLicense"), Some(order))
            .status,
        200
    );
    assert_eq!(consumed(&mut client), 1);
    client.now += 10 * MINUTE + 1;
    assert_eq!(consumed(&mut client), 0);
}

/// Disables everybody a few times under cruelty; gives the journal as text.
fn scuffle(seed: u64, backwards: bool) -> Vec<String> {
    let (mut world, tenants) = demo(seed, Cruelty::cruel(), 1, 20, T0);
    let caller = world.caller(&tenants[0].id, ADMIN_APP).unwrap();
    let mut leavers: Vec<String> = tenants[0].cast.leavers().into_iter().map(str::to_owned).collect();
    if backwards {
        leavers.reverse();
    }
    let mut fates = Vec::new();
    for leaver in &leavers {
        let reply = world.revoke_sessions(&caller, T0, leaver);
        let fate = match reply.result {
            Ok(()) => "done".to_owned(),
            Err(Failure::Lost) => "lost".to_owned(),
            // A throttle holds whoever comes next, so that one fate may depend on order.
            Err(Failure::Vendor(error)) if error.status == 429 => continue,
            Err(Failure::Vendor(error)) => error.status.to_string(),
        };
        fates.push(format!("{leaver} {fate} {}", reply.latency_ms));
    }
    fates.sort();
    fates
}

#[test]
fn a_seed_is_one_world_and_the_fate_of_a_call_is_its_own() {
    assert_eq!(scuffle(5, false), scuffle(5, false));
    assert_ne!(scuffle(5, false), scuffle(6, false));
    let (forth, back) = (scuffle(5, false), scuffle(5, true));
    let common = forth.iter().filter(|fate| back.contains(fate)).count();
    let said_by_both = forth
        .iter()
        .filter(|fate| {
            back.iter()
                .any(|other| other.split(' ').next() == fate.split(' ').next())
        })
        .count();
    assert_eq!(
        common, said_by_both,
        "a call's fate changed with the order of the others"
    );
}

/// A client that tries again until an independent read agrees gets there in the cruellest world.
#[test]
fn persistence_gets_there_and_stays_there_once_the_world_is_calm() {
    let (world, tenants) = demo(9, Cruelty::cruel(), 1, 20, T0);
    let cast = tenants[0].cast.clone();
    let mut client = Client::new(world, &tenants[0].id);
    let leavers: Vec<String> = cast
        .leavers()
        .into_iter()
        .filter(|who| *who != cast.privileged)
        .map(str::to_owned)
        .collect();
    let settle = |client: &mut Client, tries: usize| {
        let mut left = leavers.clone();
        for _ in 0..tries {
            client.now += 5_000;
            client.forget_tokens();
            left.retain(|who| {
                let got = client.try_graph("GET", &format!("/users/{who}?$select=accountEnabled"), None);
                let done = got.is_some_and(|got| got.status == 200 && got.body["accountEnabled"] == false);
                if !done {
                    disable(client, who);
                }
                !done
            });
            if left.is_empty() {
                return;
            }
        }
        panic!("{} of {} are left after {tries} tries", left.len(), leavers.len());
    };
    settle(&mut client, 400);
    client.world.calm();
    // Colleagues who were tempted before the calm, and the synchronisation, still have their say.
    client.now += 2 * 60 * MINUTE;
    let hybrid = client
        .world
        .tenant(&client.tenant)
        .unwrap()
        .people
        .iter()
        .filter(|(_, row)| row.on_prem.is_some())
        .map(|(id, _)| id.to_owned())
        .collect::<Vec<_>>();
    for who in hybrid {
        let (tenant, now) = (client.tenant.clone(), client.now);
        client
            .world
            .tenant_mut(&tenant)
            .unwrap()
            .set_on_prem_enabled(&who, now, false);
    }
    settle(&mut client, 10);
    client.now += 24 * 60 * MINUTE;
    client.world.advance(client.now);
    let tenant = client.world.tenant(&client.tenant).unwrap();
    assert!(
        leavers
            .iter()
            .all(|who| !tenant.people.get(who).unwrap().account_enabled)
    );
    assert!(client.world.violations().is_empty());
}

#[test]
fn nothing_is_served_that_is_not_understood() {
    let (mut client, anna) = one_employee(Cruelty::kind());
    for path in [
        "/nonsense".to_owned(),
        format!("/users/{anna}/nonsense"),
        format!("/users/{anna}?$search=x"),
        format!("/users/{anna}?$select=nonsense"),
        "/users?$filter=displayName eq O'Hara".to_owned(),
    ] {
        assert_eq!(client.get(&path).status, 400, "{path}");
    }
    assert_eq!(
        client
            .graph("PATCH", &format!("/users/{anna}"), Some(json!({"nonsense": 1})))
            .status,
        400
    );
    assert_eq!(
        client
            .cmdlet("Set-Mailbox", json!({"Identity": anna, "Nonsense": 1}))
            .status,
        400
    );
    assert_eq!(client.cmdlet("Do-Nonsense", json!({})).status, 400);
    assert!(client.world.journal().is_empty());
}
