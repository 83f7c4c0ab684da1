//! The connector against a server that answers whatever a test says: tokens,
//! pages, batches, silence. What the vendor's rules are is tested against the
//! simulator (`sim.rs`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use axum::http::StatusCode;
use common::{Asked, Server, TestClock, call, call_until, directory_of, group, json_answer, no_answer, open, token};
use offboard_connectors::graph::Credential;
use offboard_connectors::{
    AccountChange, Connector, DeviceAction, DeviceRef, Directory, Held, Holding, MailboxChange, Mailboxes,
};
use offboard_domain::{FaultClass, ObjectId};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

const WHO: &str = "11111111-1111-4111-8111-111111111111";

fn who() -> ObjectId {
    WHO.into()
}

fn user() -> Value {
    json!({"id": WHO, "userPrincipalName": "ann.canary@x.test", "accountEnabled": true})
}

#[tokio::test]
async fn many_callers_ask_for_one_token() {
    let gate = Arc::new(Semaphore::new(0));
    let server = Server::start({
        let gate = Arc::clone(&gate);
        move |asked: Asked| {
            let gate = Arc::clone(&gate);
            async move {
                if asked.path.ends_with("/token") {
                    let _open = gate.acquire().await;
                    return token("t", 3600);
                }
                json_answer(200, user())
            }
        }
    })
    .await;
    let graph = Arc::new(open(&server));
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let graph = Arc::clone(&graph);
            tokio::spawn(async move { Directory::account(&*graph, &mut call(), &who()).await })
        })
        .collect();
    server.until(1).await;
    // One thread: after this every task waits for the token.
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(100);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(server.count("/token"), 1);
    assert_eq!(server.count("/users/"), 50);
}

#[tokio::test]
async fn a_refused_token_is_refused_to_all_who_waited_and_asked_for_again_by_the_next() {
    let gate = Arc::new(Semaphore::new(0));
    let server = Server::start({
        let gate = Arc::clone(&gate);
        move |_| {
            let gate = Arc::clone(&gate);
            async move {
                let _open = gate.acquire().await;
                json_answer(401, json!({"error": "invalid_client", "error_description": "AADSTS7000222: The provided client secret keys for app canary are expired."}))
            }
        }
    })
    .await;
    let graph = Arc::new(open(&server));
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let graph = Arc::clone(&graph);
            tokio::spawn(async move { Directory::account(&*graph, &mut call(), &who()).await })
        })
        .collect();
    server.until(1).await;
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(100);
    for task in tasks {
        let fault = task.await.unwrap().unwrap_err();
        assert_eq!(
            (fault.class, fault.code.as_deref()),
            (FaultClass::Denied, Some("AADSTS7000222"))
        );
        assert!(!fault.to_string().contains("canary"));
    }
    assert_eq!(server.count("/token"), 1);
    Directory::account(&*graph, &mut call(), &who()).await.unwrap_err();
    assert_eq!(server.count("/token"), 2, "a later caller asks anew");
}

#[tokio::test]
async fn a_token_is_renewed_two_minutes_before_it_ends() {
    let server = Server::start(|asked: Asked| async move {
        if asked.path.ends_with("/token") {
            token("t", 3600)
        } else {
            json_answer(200, user())
        }
    })
    .await;
    let graph = open(&server);
    let clock = TestClock::at(1_000_000);
    for (at_s, tokens) in [(0, 1), (3_600 - 121, 1), (3_600 - 119, 2)] {
        clock.set(1_000_000 + at_s * 1_000);
        let mut call = common::call_with(&clock);
        Directory::account(&graph, &mut call, &who()).await.unwrap();
        assert_eq!(server.count("/token"), tokens, "after {at_s} s");
    }
}

#[tokio::test]
async fn a_dead_token_is_renewed_once_and_then_it_is_the_permission() {
    let issued = Arc::new(AtomicUsize::new(0));
    let server = Server::start({
        let issued = Arc::clone(&issued);
        move |asked: Asked| {
            let issued = Arc::clone(&issued);
            async move {
                if asked.path.ends_with("/token") {
                    return token(&format!("t{}", issued.fetch_add(1, Ordering::SeqCst)), 3600);
                }
                match asked.bearer().as_str() {
                    "t1" if asked.method == "GET" => json_answer(200, user()),
                    _ => json_answer(
                        401,
                        json!({"error": {"code": "InvalidAuthenticationToken", "message": "canary"}}),
                    ),
                }
            }
        }
    })
    .await;
    let graph = open(&server);
    Directory::account(&graph, &mut call(), &who()).await.unwrap();
    assert_eq!(server.count("/token"), 2);
    let mut call = call();
    call.allow_writes(true);
    let fault = Directory::set(&graph, &mut call, &who(), &AccountChange::Disable)
        .await
        .unwrap_err();
    assert_eq!((fault.class, fault.status), (FaultClass::Denied, Some(401)));
    assert_eq!(server.count("/token"), 3, "renewed once, not for ever");
}

#[tokio::test]
async fn pages_are_followed_to_the_end_and_no_further() {
    let server = Server::start(|asked: Asked| async move {
        if asked.path.ends_with("/token") {
            return token("t", 3600);
        }
        let page: usize = asked.query_value("page").map_or(0, |p| p.parse().unwrap());
        let next = |n: usize| format!("{}/graph/v1.0/x?page={n}", asked.root);
        let body = |link: Option<String>| json!({"value": [group(&format!("g{page}"))], "@odata.nextLink": link});
        let about = asked.path.split('/').nth(4).unwrap_or("").to_owned();
        json_answer(
            200,
            match about.as_str() {
                // What follows a link is served below.
                "three" => body(Some(next(1))),
                "endless" => body(Some(next(1_000))),
                "circle" => body(Some(format!("{}/graph/v1.0/users/circle/memberOf", asked.root))),
                _ if page >= 1_000 => body(Some(next(page + 1))),
                _ if page < 3 => body(Some(next(page + 1))),
                _ => body(None),
            },
        )
    })
    .await;
    let graph = open(&server);
    let of = |who: &str| ObjectId::from(who);
    let found = graph
        .holdings(&mut call(), &of("three"), Holding::Memberships)
        .await
        .unwrap();
    let ids: Vec<_> = found.iter().map(|h| h.id().0.as_str()).collect();
    assert_eq!(ids, ["g0", "g1", "g2", "g3"]);
    let fault = graph
        .holdings(&mut call(), &of("endless"), Holding::Memberships)
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Unsupported);
    let fault = graph
        .holdings(&mut call(), &of("circle"), Holding::Memberships)
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Transient);
}

#[tokio::test]
async fn a_next_page_on_another_host_is_refused() {
    let elsewhere = Server::start(|_| async { json_answer(200, json!({"value": []})) }).await;
    let link = format!("{}/graph/v1.0/users", elsewhere.root());
    let server = Server::start(move |asked: Asked| {
        let link = link.clone();
        async move {
            if asked.path.ends_with("/token") {
                return token("t", 3600);
            }
            json_answer(200, json!({"value": [], "@odata.nextLink": link}))
        }
    })
    .await;
    let fault = open(&server)
        .holdings(&mut call(), &who(), Holding::Memberships)
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Rejected);
    assert_eq!(elsewhere.count(""), 0, "the token went nowhere else");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::start(|_| async { json_answer(200, user()) }).await;
    let to = elsewhere.root().to_owned();
    let server = Server::start(move |asked: Asked| {
        let to = to.clone();
        async move {
            if asked.path.ends_with("/token") {
                return token("t", 3600);
            }
            axum::http::Response::builder()
                .status(302)
                .header("location", to)
                .body(axum::body::Body::empty())
                .unwrap()
        }
    })
    .await;
    let fault = Directory::account(&open(&server), &mut call(), &who())
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Rejected);
    assert_eq!(elsewhere.count(""), 0);
}

#[tokio::test]
async fn each_part_of_a_batch_has_its_own_fate() {
    let server = Server::start(|asked: Asked| async move {
        if asked.path.ends_with("/token") {
            return token("t", 3600);
        }
        if !asked.path.ends_with("/$batch") {
            return json_answer(500, Value::Null);
        }
        let mut responses: Vec<Value> = Vec::new();
        for part in asked.json()["requests"].as_array().unwrap() {
            let url = part["url"].as_str().unwrap();
            assert!(url.ends_with("/$ref"), "{url}");
            assert_eq!(part["method"], "DELETE");
            let id = part["id"].clone();
            let group = url.split('/').nth(2).unwrap();
            responses.push(match group {
                "gone" => json!({"id": id, "status": 404, "body": {"error": {"code": "Request_ResourceNotFound", "message": "Resource 'canary'"}}}),
                "slow" => json!({"id": id, "status": 429, "headers": {"Retry-After": "7"}, "body": {"error": {"code": "TooManyRequests"}}}),
                "lost" => continue,
                _ => json!({"id": id, "status": 204}),
            });
        }
        responses.reverse();
        json_answer(200, json!({"responses": responses}))
    })
    .await;
    let graph = open(&server);
    let held = |id: &str| Held::Membership {
        group: directory_of(id),
    };
    let all: Vec<Held> = ["fine", "gone", "slow", "lost"].iter().map(|id| held(id)).collect();
    let mut call = call();
    call.allow_writes(true);
    let answers = graph.remove_all(&mut call, &who(), &all).await;
    assert_eq!(answers[0], Ok(()));
    assert_eq!(answers[1], Ok(()), "what is not there need not be removed");
    let classes: Vec<_> = answers[2..].iter().map(|a| a.as_ref().unwrap_err().class).collect();
    assert_eq!(
        classes,
        [
            FaultClass::Throttled {
                retry_after_ms: Some(7_000)
            },
            FaultClass::Unknown
        ]
    );
    assert!(
        answers
            .iter()
            .flat_map(|a| a.as_ref().err())
            .all(|f| f.attempted == "DELETE /groups/{id}/members/{id}/$ref")
    );
    assert_eq!(
        call.receipts()
            .iter()
            .filter(|r| r.request.starts_with("DELETE"))
            .count(),
        3
    );

    let many: Vec<Held> = (0..45).map(|n| held(&format!("g{n}"))).collect();
    let answers = graph.remove_all(&mut call, &who(), &many).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(server.count("/$batch"), 1 + 3, "twenty at most in each");
}

#[tokio::test]
async fn what_a_rule_or_another_directory_decides_is_refused_before_anything_is_sent() {
    let server = Server::start(|_| async { json_answer(500, Value::Null) }).await;
    let graph = open(&server);
    let mut call = call();
    call.allow_writes(true);
    for change in [
        |g: &mut offboard_connectors::Group| g.dynamic = true,
        |g: &mut offboard_connectors::Group| g.synced = true,
    ] {
        let mut group = directory_of("g");
        change(&mut group);
        let fault = graph
            .remove(&mut call, &who(), &Held::Membership { group })
            .await
            .unwrap_err();
        assert_eq!(fault.class, FaultClass::Blocked);
    }
    assert_eq!(server.count(""), 0);
}

#[tokio::test]
async fn a_call_without_leave_writes_nothing() {
    let server = Server::start(|asked: Asked| async move {
        if asked.path.ends_with("/token") {
            token("t", 3600)
        } else {
            json_answer(204, Value::Null)
        }
    })
    .await;
    let graph = open(&server);
    let mut call = call();
    let device = DeviceRef {
        managed: Some("d".into()),
        ..DeviceRef::default()
    };
    for fault in [
        Directory::set(&graph, &mut call, &who(), &AccountChange::Disable)
            .await
            .unwrap_err(),
        Mailboxes::set(&graph, &mut call, &who(), &MailboxChange::Hide)
            .await
            .unwrap_err(),
        graph
            .remove(
                &mut call,
                &who(),
                &Held::Membership {
                    group: directory_of("g"),
                },
            )
            .await
            .unwrap_err(),
        graph
            .devices()
            .unwrap()
            .act(&mut call, &device, DeviceAction::Retire)
            .await
            .unwrap_err(),
    ] {
        assert_eq!(fault.class, FaultClass::Rejected, "{fault}");
    }
    assert_eq!(call.writes_sent(), 0);
    assert_eq!(server.count(""), 0);
}

#[tokio::test]
async fn silence_after_sending_is_unknown_for_a_write_and_transient_for_a_read() {
    let server = Server::start(|asked: Asked| async move {
        if asked.path.ends_with("/token") {
            token("t", 3600)
        } else {
            no_answer().await
        }
    })
    .await;
    let graph = open(&server);
    let mut call = call_until(Instant::now() + Duration::from_millis(400));
    call.allow_writes(true);
    let fault = Directory::set(&graph, &mut call, &who(), &AccountChange::RevokeSessions)
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Unknown);
    assert!(
        fault.request_id.is_some(),
        "our own id, by which the vendor can find it"
    );
    assert_eq!(call.writes_sent(), 1);
    let mut call = call_until(Instant::now() + Duration::from_millis(400));
    let fault = Directory::account(&graph, &mut call, &who()).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Transient);
    // The time is over before anything is sent.
    let mut call = call_until(Instant::now());
    call.allow_writes(true);
    let fault = Directory::set(&graph, &mut call, &who(), &AccountChange::RevokeSessions)
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Transient);
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_is_silence_and_one_never_made_is_not() {
    let cut = common::Cutting::start().await;
    let tokens = Server::start(|_| async { token("t", 3600) }).await;
    let graph = common::open_at(tokens.root(), cut.root());
    let mut call = call();
    call.allow_writes(true);
    let fault = Directory::set(&graph, &mut call, &who(), &AccountChange::Disable)
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Unknown, "{fault}");
    let fault = Directory::account(&graph, &mut call, &who()).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Transient);
    let closed = cut.stop().await;
    let graph = common::open_at(tokens.root(), &closed);
    let fault = Directory::set(&graph, &mut call, &who(), &AccountChange::Disable)
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Transient, "nothing was sent: {fault}");
}

#[tokio::test]
async fn a_wipe_that_a_gateway_loses_is_unknown_and_a_pending_one_is_not_ordered_twice() {
    let server = Server::start(|asked: Asked| async move {
        if asked.path.ends_with("/token") {
            return token("t", 3600);
        }
        if asked.method == "POST" {
            return json_answer(504, Value::Null);
        }
        let pending = asked.path.contains("/pending");
        let personal = asked.path.contains("/personal");
        json_answer(
            200,
            json!({
                "id": "d",
                "managedDeviceOwnerType": if personal { "personal" } else { "company" },
                "managementState": if pending { "wipePending" } else { "managed" },
            }),
        )
    })
    .await;
    let graph = open(&server);
    let mut call = call();
    call.allow_writes(true);
    let device = |id: &str| DeviceRef {
        managed: Some(id.into()),
        ..DeviceRef::default()
    };
    let wipe = DeviceAction::Wipe { keep_enrollment: false };
    let devices = graph.devices().unwrap();
    assert_eq!(
        devices.act(&mut call, &device("x"), wipe).await.unwrap_err().class,
        FaultClass::Unknown
    );
    assert_eq!(call.writes_sent(), 1);
    devices.act(&mut call, &device("pending"), wipe).await.unwrap();
    assert_eq!(
        devices
            .act(&mut call, &device("personal"), wipe)
            .await
            .unwrap_err()
            .class,
        FaultClass::Blocked
    );
    assert_eq!(call.writes_sent(), 1, "neither was sent");
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let server = Server::start(|asked: Asked| async move {
        if asked.path.ends_with("/token") {
            return token("t", 3600);
        }
        let chunk = bytes::Bytes::from(vec![b' '; 1 << 20]);
        let endless = futures::stream::repeat(Ok::<_, std::convert::Infallible>(chunk));
        axum::http::Response::new(axum::body::Body::from_stream(endless))
    })
    .await;
    let fault = Directory::account(&open(&server), &mut call(), &who())
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Transient);
    assert!(fault.detail.contains("larger"), "{fault}");
}

#[tokio::test]
async fn exchange_pages_are_the_same_command_again() {
    let server = Server::start(|asked: Asked| async move {
        if asked.path.ends_with("/token") {
            return token("t", 3600);
        }
        assert_eq!(asked.method, "POST");
        assert_eq!(asked.json()["CmdletInput"]["CmdletName"], "Get-InboxRule");
        assert!(asked.header("x-anchormailbox").starts_with("APP:SystemMailbox{"));
        let second = asked.query_value("page").is_some();
        let link = (!second).then(|| format!("{}{}?page=2", asked.root, asked.path));
        let rule = json!({"RuleIdentity": if second { 2 } else { 12_345_678_901_234_567_890_u64 }, "Name": "n", "Enabled": true});
        json_answer(200, json!({"value": [rule], "@odata.nextLink": link}))
    })
    .await;
    let graph = open(&server);
    let found = graph
        .attached(&mut call(), &who(), &offboard_connectors::Attachment::Rules)
        .await
        .unwrap();
    let keys: Vec<_> = found.iter().map(offboard_connectors::Attached::key).collect();
    assert_eq!(keys, ["12345678901234567890", "2"]);
}

#[tokio::test]
async fn what_exchange_calls_unchanged_is_success() {
    let server = Server::start(|asked: Asked| async move {
        if asked.path.ends_with("/token") {
            return token("t", 3600);
        }
        match asked.json()["CmdletInput"]["CmdletName"].as_str().unwrap() {
            "Set-Mailbox" => json_answer(200, json!({"value": [], "@adminapi.warnings": ["The command completed successfully but no settings of 'canary' have been modified."]})),
            _ => json_answer(400, json!({"error": {"code": "BadRequest", "message": "Error executing cmdlet", "details": [
                {"message": "Ex1|Microsoft.Exchange.InvalidOperationException|Can't remove the access control entry on the object \"canary\" because the ACE doesn't exist on the object."}]}})),
        }
    })
    .await;
    let graph = open(&server);
    let mut call = call();
    call.allow_writes(true);
    Mailboxes::set(&graph, &mut call, &who(), &MailboxChange::Hide)
        .await
        .unwrap();
    let delegation = offboard_connectors::Delegation {
        direction: offboard_connectors::Direction::ToOther,
        right: offboard_connectors::DelegationRight::SendAs,
        other: Some("o".into()),
        other_name: "canary".into(),
    };
    graph
        .detach(
            &mut call,
            &who(),
            &offboard_connectors::Attached::Delegation(delegation),
        )
        .await
        .unwrap();
    assert_eq!(call.receipts().len(), 2);
}

/// Belief: the request's body is what the vendor documents for `adminRemove`, and
/// a schedule that was revoked is no longer one.
#[tokio::test]
async fn an_eligible_role_is_taken_by_naming_person_role_and_scope() {
    let server = Server::start(|asked: Asked| async move {
        if asked.path.ends_with("/token") {
            return token("t", 3600);
        }
        let row = |id: &str, status: &str| {
            json!({"id": id, "principalId": WHO, "roleDefinitionId": format!("role-{id}"),
                "directoryScopeId": "/administrativeUnits/au", "memberType": "Direct", "status": status})
        };
        let rows = match asked.path.rsplit('/').next().unwrap() {
            "roleEligibilitySchedules" => vec![row("a", "Provisioned"), row("b", "Revoked")],
            "roleEligibilityScheduleRequests" => {
                let mut body = asked.json();
                let why = body.as_object_mut().unwrap().remove("justification").unwrap();
                assert!(!why.as_str().unwrap().is_empty());
                let wanted = json!({"action": "adminRemove", "principalId": WHO, "roleDefinitionId": "role-a",
                    "directoryScopeId": "/administrativeUnits/au"});
                assert_eq!(body, wanted);
                return json_answer(201, json!({"id": "r", "status": "Revoked"}));
            }
            _ => Vec::new(),
        };
        json_answer(200, json!({"value": rows}))
    })
    .await;
    let graph = open(&server);
    let mut call = call();
    call.allow_writes(true);
    let held = graph.holdings(&mut call, &who(), Holding::Roles).await.unwrap();
    assert_eq!(held.iter().map(|h| h.id().0.as_str()).collect::<Vec<_>>(), ["a"]);
    graph.remove(&mut call, &who(), &held[0]).await.unwrap();
    let last = call.receipts().last().unwrap();
    assert_eq!(
        (last.request.as_str(), last.status),
        ("POST /roleManagement/directory/roleEligibilityScheduleRequests", 201)
    );
}

/// Beliefs: an entry's user is a name, or an object with what Exchange knows of
/// him.
#[tokio::test]
async fn a_calendars_entries_are_read_as_who_they_are_and_others_calendars_are_not_searched() {
    const OTHERS: usize = 9;
    let server = Server::start(|asked: Asked| async move {
        if asked.path.ends_with("/token") {
            return token("t", 3600);
        }
        let mailbox = |id: &str| json!({"ExternalDirectoryObjectId": id, "UserPrincipalName": format!("{id}@x.test")});
        let answer = |input: &Value| -> (u16, Value) {
            let identity = input["Parameters"]["Identity"].as_str().unwrap_or("");
            match input["CmdletName"].as_str().unwrap() {
                "Get-Mailbox" => {
                    let rows: Vec<Value> = (0..OTHERS).map(|n| mailbox(&format!("o{n}"))).chain([mailbox(WHO)]).collect();
                    (200, json!({"value": rows}))
                }
                "Get-MailboxFolderStatistics" => {
                    assert_eq!(input["Parameters"]["FolderScope"], "Calendar");
                    let row = |kind: &str, path: &str| json!({"FolderType": kind, "FolderPath": path});
                    let rows = [row("User Created", "/Kalender/Urlaub"), row("Calendar", "/Kalender")];
                    (200, json!({"value": rows}))
                }
                "Get-MailboxFolderPermission" if identity == format!("{WHO}:\\Kalender") => {
                    let row = |user: Value, right: &str| json!({"User": user, "AccessRights": [right]});
                    let known = json!({"DisplayName": "canary", "RecipientPrincipal": {"ExternalDirectoryObjectId": "99999999-9999-4999-8999-999999999999"}});
                    let rows = [
                        row(json!("Default"), "AvailabilityOnly"),
                        row(json!({"DisplayName": "Anonymous"}), "Reviewer"),
                        row(known, "Editor"),
                        row(json!("canary"), "Reviewer"),
                    ];
                    (200, json!({"value": rows}))
                }
                _ => (200, json!({"value": []})),
            }
        };
        if asked.path.ends_with("/InvokeCommand") {
            let (status, body) = answer(&asked.json()["CmdletInput"]);
            return json_answer(status, body);
        }
        if asked.path.ends_with("/$batch") {
            let parts: Vec<Value> = asked.json()["requests"].as_array().unwrap().iter().map(|part| {
                let (status, body) = answer(&part["body"]["CmdletInput"]);
                json!({"id": part["id"], "status": status, "body": body})
            }).collect();
            return json_answer(200, json!({"responses": parts}));
        }
        json_answer(200, json!({"value": []}))
    })
    .await;
    let graph = open(&server);
    let keys = async |what| -> Vec<String> {
        let found = graph.attached(&mut call(), &who(), &what).await.unwrap();
        found.iter().map(offboard_connectors::Attached::key).collect()
    };
    let from = keys(offboard_connectors::Attachment::DelegationsFrom).await;
    assert!(from.is_empty(), "{from:?}");
    assert_eq!(server.count("/$batch"), 1, "full access alone");
    assert_eq!(
        server.count("/InvokeCommand"),
        2,
        "the list of mailboxes, and who may send as them"
    );
    let to = keys(offboard_connectors::Attachment::DelegationsTo).await;
    assert_eq!(to.len(), 2, "{to:?}");
    assert!(to.contains(&"calendar.to.99999999-9999-4999-8999-999999999999".to_owned()));
    assert!(to.iter().all(|key| !key.contains("canary")));
}

#[tokio::test]
async fn a_long_look_goes_on_after_the_pause_that_the_vendor_wants_and_keeps_what_it_has() {
    const OTHERS: usize = 25;
    // Ten of which two are refused, and those two with the rest.
    let whole = vec![10, 10, 7];
    for (retry_after, batches) in [("7", whole), ("3600", vec![10])] {
        let sizes = Arc::new(std::sync::Mutex::new(Vec::new()));
        let server = Server::start({
            let sizes = Arc::clone(&sizes);
            move |asked: Asked| {
                let sizes = Arc::clone(&sizes);
                async move {
                    if asked.path.ends_with("/token") {
                        return token("t", 3600);
                    }
                    if asked.path.ends_with("/InvokeCommand") {
                        let list = asked.json()["CmdletInput"]["CmdletName"] == "Get-Mailbox";
                        let mailbox = |id: String| json!({"ExternalDirectoryObjectId": id});
                        let rows: Vec<Value> = (0..OTHERS).map(|n| mailbox(format!("o{n}"))).chain([mailbox(WHO.to_owned())]).collect();
                        return json_answer(200, json!({"value": if list { rows } else { Vec::new() }}));
                    }
                    let parts = asked.json()["requests"].as_array().unwrap().clone();
                    let first = {
                        let mut sizes = sizes.lock().unwrap();
                        sizes.push(parts.len());
                        sizes.len() == 1
                    };
                    let responses: Vec<Value> = parts
                        .iter()
                        .enumerate()
                        .map(|(i, part)| match i {
                            // The vendor had enough after the eighth.
                            8.. if first => json!({"id": part["id"], "status": 429, "headers": {"Retry-After": retry_after}, "body": {}}),
                            _ => json!({"id": part["id"], "status": 200, "body": {"value": [
                                {"User": WHO, "AccessRights": ["FullAccess"], "FolderType": "Calendar", "FolderPath": "/Calendar"}]}}),
                        })
                        .collect();
                    json_answer(200, json!({"responses": responses}))
                }
            }
        })
        .await;
        let graph = open(&server);
        let clock = TestClock::at(0);
        let mut call = common::call_with(&clock);
        let what = offboard_connectors::Attachment::DelegationsFrom;
        let found = graph.attached(&mut call, &who(), &what).await;
        match retry_after {
            "7" => {
                assert_eq!(found.unwrap().len(), OTHERS);
                assert_eq!(clock.ms(), 7_000);
            }
            _ => {
                let told = FaultClass::Throttled {
                    retry_after_ms: Some(3_600_000),
                };
                assert_eq!(found.unwrap_err().class, told, "too long to be waited for here");
                assert_eq!(clock.ms(), 0);
            }
        }
        assert_eq!(*sizes.lock().unwrap(), batches);
    }
}

#[tokio::test]
async fn an_entry_of_a_calendar_that_cannot_be_read_is_not_passed_over() {
    let server = Server::start(|asked: Asked| async move {
        if asked.path.ends_with("/token") {
            return token("t", 3600);
        }
        if !asked.path.ends_with("/InvokeCommand") {
            return json_answer(200, json!({"value": []}));
        }
        let rows = match asked.json()["CmdletInput"]["CmdletName"].as_str().unwrap() {
            "Get-Mailbox" => vec![
                json!({"ExternalDirectoryObjectId": WHO, "ExchangeGuid": "g", "RecipientTypeDetails": "UserMailbox"}),
            ],
            "Get-MailboxFolderStatistics" => vec![json!({"FolderType": "Calendar", "FolderPath": "/Calendar"})],
            "Get-MailboxFolderPermission" => vec![json!({"User": 7, "AccessRights": ["Editor"]})],
            _ => Vec::new(),
        };
        json_answer(200, json!({"value": rows}))
    })
    .await;
    let fault = open(&server)
        .attached(&mut call(), &who(), &offboard_connectors::Attachment::DelegationsTo)
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Unsupported, "{fault}");
}

#[tokio::test]
async fn an_assertion_names_the_certificate_and_the_secret_is_not_sent() {
    let server = Server::start(|asked: Asked| async move {
        if asked.path.ends_with("/token") {
            let form = asked.text();
            assert!(
                form.contains("client_assertion=") && !form.contains("client_secret"),
                "{form}"
            );
            return token("t", 3600);
        }
        json_answer(200, user())
    })
    .await;
    let graph = common::open_with(
        &server,
        Credential::Certificate {
            certificate_pem: common::CERTIFICATE.into(),
            key_pem: common::KEY.into(),
        },
    );
    Directory::account(&graph, &mut call(), &who()).await.unwrap();
    assert_eq!(server.count("/token"), 1);
}

#[tokio::test]
async fn a_status_is_a_number_that_the_receipt_keeps() {
    let server = Server::start(|asked: Asked| async move {
        if asked.path.ends_with("/token") {
            return token("t", 3600);
        }
        let mut answer = json_answer(204, Value::Null);
        answer
            .headers_mut()
            .insert("request-id", "0f0f0f0f-0000-4000-8000-000000000001".parse().unwrap());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        answer
    })
    .await;
    let mut call = call();
    call.allow_writes(true);
    Directory::set(&open(&server), &mut call, &who(), &AccountChange::Disable)
        .await
        .unwrap();
    let [receipt] = call.receipts() else {
        panic!("{:?}", call.receipts())
    };
    assert_eq!((receipt.request.as_str(), receipt.status), ("PATCH /users/{id}", 204));
    assert_eq!(
        receipt.request_id.as_deref(),
        Some("0f0f0f0f-0000-4000-8000-000000000001")
    );
}
