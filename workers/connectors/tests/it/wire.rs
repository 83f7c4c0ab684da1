//! The connector against a server that answers whatever a test says: tokens,
//! pages, batches, silence. What the vendor's rules are is tested against the
//! simulator (`sim.rs`).

use crate::common::{
    Asked, DIRECTORY, Server, TestClock, call, call_until, directory_of, group, json_answer, no_answer, open, open_in,
    token,
};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use offboard_connectors::graph::Credential;
use offboard_connectors::{
    AccountChange, Connector, DeviceAction, DeviceRef, Directory, Documents, Found, Held, Holding, MailboxChange,
    Mailboxes,
};
use offboard_domain::departure::PersonRef;
use offboard_domain::{FaultClass, ObjectId};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
        let mut call = crate::common::call_with(&clock);
        Directory::account(&graph, &mut call, &who()).await.unwrap();
        assert_eq!(server.count("/token"), tokens, "after {at_s} s");
    }
}

#[tokio::test]
async fn a_token_whose_renewal_fails_serves_until_it_ends() {
    let asked_for = Arc::new(AtomicUsize::new(0));
    let server = Server::start({
        let asked_for = Arc::clone(&asked_for);
        move |asked: Asked| {
            let asked_for = Arc::clone(&asked_for);
            async move {
                if !asked.path.ends_with("/token") {
                    return json_answer(200, user());
                }
                match asked_for.fetch_add(1, Ordering::SeqCst) {
                    0 => token("t", 3600),
                    _ => json_answer(503, Value::Null),
                }
            }
        }
    })
    .await;
    let graph = open(&server);
    let clock = TestClock::at(1_000_000);
    for at_s in [0, 3_600 - 119, 3_600 - 1] {
        clock.set(1_000_000 + at_s * 1_000);
        let mut call = crate::common::call_with(&clock);
        Directory::account(&graph, &mut call, &who()).await.unwrap();
    }
    assert!(server.count("/token") > 1, "its renewal was tried");
    clock.set(1_000_000 + 3_600 * 1_000);
    let mut call = crate::common::call_with(&clock);
    let fault = Directory::account(&graph, &mut call, &who()).await.unwrap_err();
    assert_eq!((fault.class, fault.status), (FaultClass::Transient, Some(503)));
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
    // One was done, and of one nobody knows.
    assert_eq!(call.writes(), offboard_domain::Writes { sent: 4, refused: 2 });

    let many: Vec<Held> = (0..45).map(|n| held(&format!("g{n}"))).collect();
    let answers = graph.remove_all(&mut call, &who(), &many).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(server.count("/$batch"), 1 + 3, "twenty at most in each");
}

#[tokio::test]
async fn the_parts_of_a_batch_are_judged_though_no_token_is_given_any_more() {
    let clock = TestClock::at(1_000_000);
    let asked_for = Arc::new(AtomicUsize::new(0));
    let server = Server::start({
        let (clock, asked_for) = (Arc::clone(&clock), Arc::clone(&asked_for));
        move |asked: Asked| {
            let (clock, asked_for) = (Arc::clone(&clock), Arc::clone(&asked_for));
            async move {
                if asked.path.ends_with("/token") {
                    return match asked_for.fetch_add(1, Ordering::SeqCst) {
                        0 => token("t", 3600),
                        _ => json_answer(503, Value::Null),
                    };
                }
                // The token ends while the batch is under way.
                clock.advance(3_600 * 1_000);
                let responses: Vec<Value> = asked.json()["requests"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|part| json!({"id": part["id"], "status": 204}))
                    .collect();
                json_answer(200, json!({"responses": responses}))
            }
        }
    })
    .await;
    let graph = open(&server);
    let all: Vec<Held> = ["g0", "g1", "g2"]
        .map(|id| Held::Membership {
            group: directory_of(id),
        })
        .into();
    let mut call = crate::common::call_with(&clock);
    call.allow_writes(true);
    let answers = graph.remove_all(&mut call, &who(), &all).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let deleted = call.receipts().iter().filter(|r| r.request.starts_with("DELETE"));
    assert_eq!(deleted.count(), 3);
}

#[tokio::test]
async fn a_batch_that_is_told_to_wait_is_the_last_one() {
    let server = Server::start(|asked: Asked| async move {
        if asked.path.ends_with("/token") {
            return token("t", 3600);
        }
        let throttled = |part: &Value| part["url"].as_str().unwrap().contains("/slow");
        let responses: Vec<Value> = asked.json()["requests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| match throttled(part) {
                true => json!({"id": part["id"], "status": 429, "headers": {"Retry-After": "7"}, "body": {"error": {"code": "TooManyRequests"}}}),
                false => json!({"id": part["id"], "status": 204}),
            })
            .collect();
        json_answer(200, json!({"responses": responses}))
    })
    .await;
    let graph = open(&server);
    let all: Vec<Held> = (0..45)
        .map(|n| if n == 3 { "slow".to_owned() } else { format!("g{n}") })
        .map(|id| Held::Membership {
            group: directory_of(&id),
        })
        .collect();
    let mut call = call();
    call.allow_writes(true);
    let answers = graph.remove_all(&mut call, &who(), &all).await;
    assert_eq!(server.count("/$batch"), 1);
    let told = FaultClass::Throttled {
        retry_after_ms: Some(7_000),
    };
    for (n, answer) in answers.iter().enumerate() {
        match answer {
            Ok(()) => assert!(n < 20 && n != 3, "{n}"),
            Err(fault) => assert!(fault.class == told && (n == 3 || n >= 20), "{n}: {fault}"),
        }
    }
    let deleted = call.receipts().iter().filter(|r| r.request.starts_with("DELETE"));
    assert_eq!(deleted.count(), 20, "of what was not sent there is no receipt");
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
    let silent = Arc::new(AtomicBool::new(false));
    let server = Server::start({
        let silent = silent.clone();
        move |asked: Asked| {
            let silent = silent.clone();
            async move {
                match asked.path.ends_with("/token") {
                    true => token("t", 3600),
                    false if silent.load(Ordering::SeqCst) => no_answer().await,
                    false => json_answer(200, user()),
                }
            }
        }
    })
    .await;
    let graph = open(&server);
    // Token and connection are there: what takes its time is the silence alone.
    Directory::account(&graph, &mut call(), &who()).await.unwrap();
    silent.store(true, Ordering::SeqCst);
    let mut call = call_until(Instant::now() + Duration::from_secs(2));
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
    let cut = crate::common::Cutting::start().await;
    let tokens = Server::start(|_| async { token("t", 3600) }).await;
    let graph = crate::common::open_at(tokens.root(), cut.root());
    let mut call = call();
    call.allow_writes(true);
    let fault = Directory::set(&graph, &mut call, &who(), &AccountChange::Disable)
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Unknown, "{fault}");
    let fault = Directory::account(&graph, &mut call, &who()).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Transient);
    let closed = offboard_servers::ClosedPort::take().unwrap();
    let graph = crate::common::open_at(tokens.root(), &format!("http://127.0.0.1:{}", closed.port()));
    let fault = Directory::set(&graph, &mut call, &who(), &AccountChange::Disable)
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Transient, "nothing was sent: {fault}");
    assert_eq!(call.writes(), offboard_domain::Writes { sent: 2, refused: 1 });
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
    let wipe = DeviceAction::Wipe {
        keep_enrollment: false,
        unlock_code: None,
    };
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

/// A gateway may have passed it on, also where it says when to come again; and a 429 comes
/// before anything is begun.
#[tokio::test]
async fn a_server_that_is_busy_may_have_taken_what_it_was_sent() {
    let told = FaultClass::Throttled {
        retry_after_ms: Some(7_000),
    };
    for (status, of_an_order, refused) in [(503, FaultClass::Unknown, 0), (429, told, 1)] {
        let server = Server::start(move |asked: Asked| async move {
            if asked.path.ends_with("/token") {
                return token("t", 3600);
            }
            if asked.path.ends_with("/$batch") {
                let requests = asked.json()["requests"].clone();
                let part = |part: &Value| json!({"id": part["id"], "status": status, "headers": {"Retry-After": "7"}});
                let parts: Vec<Value> = requests.as_array().unwrap().iter().map(part).collect();
                return json_answer(200, json!({"responses": parts}));
            }
            if asked.method == "GET" {
                let record = json!({"id": "d", "managedDeviceOwnerType": "company", "managementState": "managed"});
                return json_answer(200, record);
            }
            let mut answer = json_answer(status, Value::Null);
            let seven = axum::http::HeaderValue::from_static("7");
            answer.headers_mut().insert("retry-after", seven);
            answer
        })
        .await;
        let graph = open(&server);
        let mut call = call();
        call.allow_writes(true);
        let device = DeviceRef {
            managed: Some("d".into()),
            ..DeviceRef::default()
        };
        let wipe = DeviceAction::Wipe {
            keep_enrollment: false,
            unlock_code: None,
        };
        let counted = |sent: u32| offboard_domain::Writes {
            sent,
            refused: sent * refused,
        };
        let fault = graph
            .devices()
            .unwrap()
            .act(&mut call, &device, wipe)
            .await
            .unwrap_err();
        assert_eq!((fault.class, call.writes()), (of_an_order, counted(1)), "{fault}");
        let fault = Directory::set(&graph, &mut call, &who(), &AccountChange::Disable)
            .await
            .unwrap_err();
        assert_eq!((fault.class, call.writes()), (told, counted(2)), "{fault}");
        let held = ["g1", "g2"].map(|id| Held::Membership {
            group: directory_of(id),
        });
        let answers = graph.remove_all(&mut call, &who(), &held).await;
        let classes: Vec<FaultClass> = answers.iter().map(|a| a.as_ref().unwrap_err().class).collect();
        assert_eq!((classes, call.writes()), (vec![told; 2], counted(4)), "{status}");
    }
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

/// A token that says whose directory it is for, as the vendor's do.
fn token_of(directory: &str) -> axum::http::Response<axum::body::Body> {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let (head, claims) = (
        part(json!({"alg": "none"})),
        part(json!({"tid": directory, "roles": []})),
    );
    token(&format!("{head}.{claims}.x"), 3600)
}

#[tokio::test]
async fn exchange_is_asked_by_the_directorys_id_also_where_a_domain_is_configured() {
    let server = Server::start(|asked: Asked| async move {
        if asked.path.ends_with("/token") {
            assert!(asked.path.contains("/contoso.test/"), "{}", asked.path);
            return token_of(DIRECTORY);
        }
        assert!(asked.path.contains(&format!("/{DIRECTORY}/")), "{}", asked.path);
        assert!(asked.header("x-anchormailbox").ends_with(&format!("@{DIRECTORY}")));
        if !asked.path.ends_with("/$batch") {
            return json_answer(200, json!({"value": []}));
        }
        let part = |part: &Value| {
            assert!(
                part["url"].as_str().unwrap().contains(&format!("/{DIRECTORY}/")),
                "{part}"
            );
            json!({"id": part["id"], "status": 200, "body": {"value": []}})
        };
        let responses: Vec<Value> = asked.json()["requests"].as_array().unwrap().iter().map(part).collect();
        json_answer(200, json!({"responses": responses}))
    })
    .await;
    // The first that asks Exchange learns it, whichever way it asks.
    let graph = open_in(&server, "contoso.test");
    assert_eq!(Mailboxes::mailbox(&graph, &mut call(), &who()).await.unwrap(), None);
    let graph = open_in(&server, "contoso.test");
    let others = [ObjectId::from("o1"), ObjectId::from("o2")];
    let held = graph.held_among(&mut call(), &who(), &others).await.unwrap();
    assert!(held.is_empty());
    assert_eq!((server.count("/InvokeCommand"), server.count("/$batch")), (1, 1));
}

#[tokio::test]
async fn who_is_configured_by_a_domain_and_gets_a_token_without_an_id_is_told_to_give_the_id() {
    let server = Server::start(|asked: Asked| async move {
        if asked.path.ends_with("/token") {
            return token("opaque", 3600);
        }
        json_answer(200, json!({"value": []}))
    })
    .await;
    let graph = open_in(&server, "contoso.test");
    let fault = Mailboxes::mailbox(&graph, &mut call(), &who()).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Denied);
    assert!(fault.detail.contains("`directory`"), "{fault}");
    assert_eq!(server.count("/InvokeCommand"), 0, "nothing went to no directory");
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

/// An answer without a list says nothing; taken for "there is none", it would call
/// rules, rights and phones clean that nobody has read.
#[tokio::test]
async fn a_reading_command_whose_answer_is_no_list_has_not_read() {
    use offboard_connectors::Attachment;
    for (silent, what) in [
        ("Get-InboxRule", Attachment::Rules),
        ("Get-MailboxPermission", Attachment::RightsTo),
        ("Get-RecipientPermission", Attachment::RightsTo),
        ("Get-MobileDeviceStatistics", Attachment::MobileDevices),
    ] {
        for body in [
            Value::Null,
            json!({}),
            json!({"value": null}),
            json!({"value": {"Name": "canary"}}),
        ] {
            let answer = body.clone();
            let server = Server::start(move |asked: Asked| {
                let answer = answer.clone();
                async move {
                    if asked.path.ends_with("/token") {
                        return token("t", 3600);
                    }
                    let row = json!({"ExternalDirectoryObjectId": WHO, "RecipientTypeDetails": "UserMailbox"});
                    match asked.json()["CmdletInput"]["CmdletName"].as_str().unwrap() {
                        name if name == silent => json_answer(200, answer),
                        "Get-Mailbox" => json_answer(200, json!({"value": [row]})),
                        _ => json_answer(200, json!({"value": []})),
                    }
                }
            })
            .await;
            let fault = open(&server).attached(&mut call(), &who(), &what).await.unwrap_err();
            assert_eq!(fault.class, FaultClass::Transient, "{silent} {body}: {fault}");
            assert!(!fault.to_string().contains("canary"));
        }
    }
    // Of what is changed nothing is to be read, and Exchange need not say anything.
    let server = Server::start(|asked: Asked| async move {
        match asked.path.ends_with("/token") {
            true => token("t", 3600),
            false => json_answer(200, Value::Null),
        }
    })
    .await;
    let mut writing = call();
    writing.allow_writes(true);
    Mailboxes::set(&open(&server), &mut writing, &who(), &MailboxChange::Hide)
        .await
        .unwrap();
}

/// Beliefs: Exchange's own rules are hidden, and show no action or, the one for
/// junk, the move to the folder for junk; a folder is written as its name.
#[tokio::test]
async fn a_rule_is_exchanges_own_by_what_it_does_and_not_by_its_name_alone() {
    const JUNK: &str = "Junk E-mail Rule";
    const REPLY: &str = "Microsoft.Exchange.OOF.AllExternalSenders.Global";
    fn rule(id: u32, name: &str, action: &str, value: Value) -> Value {
        let mut rule = json!({"RuleIdentity": id, "Name": name, "Enabled": true});
        rule[action] = value;
        rule
    }
    let server = Server::start(|asked: Asked| async move {
        if asked.path.ends_with("/token") {
            return token("t", 3600);
        }
        let input = asked.json()["CmdletInput"].clone();
        let shown = vec![
            rule(21, JUNK, "ForwardTo", json!([])),
            rule(22, "Microsoft.Exchange.OOF.Mine", "ForwardTo", Value::Null),
        ];
        let hidden = [
            rule(1, JUNK, "ForwardTo", json!([])),
            rule(2, "JUNK E-MAIL RULE", "MoveToFolder", json!("Junk-E-Mail")),
            rule(3, JUNK, "MoveToFolder", json!("anna:\\Junk-E-Mail")),
            rule(4, REPLY, "DeleteMessage", json!(false)),
            rule(11, "Junk E-mail Rule 2", "RedirectTo", json!(["x@y.test"])),
            rule(12, JUNK, "RedirectTo", json!("x@y.test")),
            rule(13, JUNK, "MoveToFolder", json!("RSS Feeds")),
            rule(14, JUNK, "CopyToFolder", json!("Junk-E-Mail")),
            rule(15, JUNK, "SendTextMessageNotificationTo", json!([{"Address": "1"}])),
            rule(16, REPLY, "ForwardAsAttachmentTo", json!(["x@y.test"])),
            rule(17, REPLY, "MoveToFolder", json!("Junk-E-Mail")),
            rule(18, REPLY, "DeleteMessage", json!("True")),
            rule(19, "Junk", "ForwardTo", json!([])),
        ];
        let rows = match input["CmdletName"].as_str().unwrap() {
            "Get-InboxRule" if input["Parameters"]["IncludeHidden"] == true => [shown, hidden.to_vec()].concat(),
            "Get-InboxRule" => shown,
            "Get-MailboxFolderStatistics" => {
                assert_eq!(input["Parameters"]["FolderScope"], "JunkEmail");
                vec![json!({"FolderType": "JunkEmail", "FolderPath": "/Junk-E-Mail", "Name": "Junk-E-Mail"})]
            }
            other => panic!("{other}"),
        };
        json_answer(200, json!({"value": rows}))
    })
    .await;
    let found = open(&server)
        .attached(&mut call(), &who(), &offboard_connectors::Attachment::Rules)
        .await
        .unwrap();
    let found: Vec<(&str, bool, bool)> = found
        .iter()
        .map(|a| match a {
            offboard_connectors::Attached::Rule(rule) => (rule.id.as_str(), rule.hidden, rule.sends_on),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        found,
        [
            ("11", true, true),
            ("12", true, true),
            ("13", true, false),
            ("14", true, false),
            ("15", true, true),
            ("16", true, true),
            ("17", true, false),
            ("18", true, false),
            ("19", true, false),
            ("21", false, false),
            ("22", false, false),
        ]
    );
}

#[tokio::test]
async fn any_address_of_an_account_may_stand_beside_its_id_and_no_other() {
    let server = Server::start(|asked: Asked| async move {
        if asked.path.ends_with("/token") {
            return token("t", 3600);
        }
        assert!(asked.query.contains("proxyAddresses"), "{}", asked.query);
        let mut shown = user();
        shown["mail"] = json!("ann@x.test");
        shown["proxyAddresses"] = json!(["SMTP:ann@x.test", "smtp:Former.Name@x.test", "X500:/o=x/cn=ann@z.test"]);
        json_answer(200, shown)
    })
    .await;
    let graph = open(&server);
    for (said, his) in [
        ("ANN.Canary@x.test", true),
        (" ann@x.test ", true),
        ("former.name@X.test", true),
        ("   ", true),
        ("ann@y.test", false),
        ("/o=x/cn=ann@z.test", false),
    ] {
        let by_id = || PersonRef {
            object_id: Some(who()),
            ..PersonRef::default()
        };
        for person in [
            PersonRef {
                user_principal_name: Some(said.into()),
                ..by_id()
            },
            PersonRef {
                mail: Some(said.into()),
                ..by_id()
            },
        ] {
            match Directory::find(&graph, &mut call(), &person).await.unwrap() {
                Found::One(account) => assert!(his && account.id == who(), "{said}"),
                Found::Ambiguous { ids } => assert!(!his && ids == [who()], "{said}"),
                Found::Nobody => panic!("{said}"),
            }
        }
    }
    // The account has no number: this one is of somebody else, or mistyped.
    let numbered = PersonRef {
        object_id: Some(who()),
        employee_id: Some("7".into()),
        ..PersonRef::default()
    };
    let found = Directory::find(&graph, &mut call(), &numbered).await.unwrap();
    assert_eq!(found, Found::Ambiguous { ids: vec![who()] });
}

/// Belief: a member's type is told also where only some fields are asked for.
#[tokio::test]
async fn only_a_person_counts_as_another_administrator() {
    const ADMINISTRATOR: &str = "62e90394-69f5-4237-9190-012177145e10";
    fn member(sort: &str, id: &str, enabled: bool) -> Value {
        json!({"@odata.type": format!("#microsoft.graph.{sort}"), "id": id, "accountEnabled": enabled})
    }
    let group = || json!({"@odata.type": "#microsoft.graph.group", "id": "g"});
    for (direct, by_group, last) in [
        (member("user", "other", true), Vec::new(), false),
        (member("user", "other", false), Vec::new(), true),
        (member("servicePrincipal", "app", true), Vec::new(), true),
        (json!({"id": "unknown", "accountEnabled": true}), Vec::new(), true),
        (group(), vec![member("servicePrincipal", "app", true)], true),
        (group(), vec![member("user", "other", true)], false),
    ] {
        let shown = direct.clone();
        let server = Server::start(move |asked: Asked| {
            let (direct, by_group) = (direct.clone(), by_group.clone());
            async move {
                if asked.path.ends_with("/token") {
                    return token("t", 3600);
                }
                let rows = match asked.path.trim_start_matches("/graph/v1.0/") {
                    "roleManagement/directory/roleAssignments" => {
                        vec![
                            json!({"id": "a", "principalId": WHO, "roleDefinitionId": ADMINISTRATOR, "directoryScopeId": "/"}),
                        ]
                    }
                    "directoryRoles" => vec![json!({"id": "r", "roleTemplateId": ADMINISTRATOR})],
                    "directoryRoles/r/members" => vec![member("user", WHO, true), direct],
                    "groups/g/members" => by_group,
                    _ => Vec::new(),
                };
                json_answer(200, json!({"value": rows}))
            }
        })
        .await;
        let held = open(&server)
            .holdings(&mut call(), &who(), Holding::Roles)
            .await
            .unwrap();
        let [
            Held::Role {
                administrator: true,
                last_administrator,
                ..
            },
        ] = held.as_slice()
        else {
            panic!("{held:?}")
        };
        assert_eq!(*last_administrator, last, "{shown}");
    }
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
/// him; a folder is named by its id, or by its path.
#[tokio::test]
async fn folders_entries_are_read_as_who_they_are_and_others_folders_are_not_searched() {
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
                    assert!(input["Parameters"]["FolderScope"].is_null(), "{input}");
                    let row = |kind: &str, path: &str| json!({"FolderType": kind, "FolderPath": path});
                    let mut inbox = row("Inbox", "/Posteingang");
                    inbox["FolderId"] = json!("LgAAAAinbox");
                    let rows = [row("User Created", "/Kalender/Urlaub"), row("Calendar", "/Kalender"), inbox];
                    (200, json!({"value": rows}))
                }
                "Get-MailboxFolderPermission" if identity == format!("{WHO}:LgAAAAinbox") => {
                    (200, json!({"value": [{"User": "canary", "AccessRights": ["Editor"]}]}))
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
    let page = graph.others(&mut call(), &who(), None).await.unwrap();
    assert_eq!((page.others.len(), page.own, page.next), (OTHERS, true, None));
    let held = graph.held_among(&mut call(), &who(), &page.others).await.unwrap();
    assert!(held.is_empty() && page.shown.is_empty(), "{held:?}");
    assert_eq!(
        server.count("/$batch"),
        2,
        "of each mailbox who may open it and who may send as it, in tens"
    );
    assert_eq!(server.count("/InvokeCommand"), 2, "his own mailbox, and the list");
    let to = keys(offboard_connectors::Attachment::DelegationsTo).await;
    assert_eq!(to.len(), 3, "{to:?}");
    assert!(to.contains(&"calendar.to.99999999-9999-4999-8999-999999999999".to_owned()));
    assert_eq!(to.iter().filter(|key| key.starts_with("inbox.to.")).count(), 1);
    assert_eq!(
        (server.count("/InvokeCommand"), server.count("/$batch")),
        (2 + 4, 2 + 1),
        "his mailbox, who may open it, who may send as it, its folders; and who may open each of those"
    );
    assert!(to.iter().all(|key| !key.contains("canary")));
}

#[tokio::test]
async fn a_part_of_a_mailbox_that_is_not_found_proves_nothing_while_the_mailbox_is() {
    for (there, whole) in [(true, false), (false, true)] {
        let server = Server::start(move |asked: Asked| async move {
            if asked.path.ends_with("/token") {
                return token("t", 3600);
            }
            if asked.path.ends_with("/InvokeCommand") {
                let mailbox = asked.json()["CmdletInput"]["CmdletName"] == "Get-Mailbox";
                let row = json!({"ExternalDirectoryObjectId": WHO, "RecipientTypeDetails": "UserMailbox"});
                return json_answer(
                    200,
                    json!({"value": if mailbox && there { vec![row] } else { Vec::new() }}),
                );
            }
            json_answer(
                404,
                json!({"error": {"code": "MailboxNotEnabledForRESTAPI", "message": "not found"}}),
            )
        })
        .await;
        let graph = open(&server);
        for what in [
            offboard_connectors::Attachment::Meetings,
            offboard_connectors::Attachment::Protocols,
        ] {
            let found = graph.attached(&mut call(), &who(), &what).await;
            match found {
                Ok(none) => assert!(whole && none.is_empty(), "{what:?}: {none:?}"),
                Err(fault) => assert_eq!(
                    (whole, fault.class),
                    (false, FaultClass::Transient),
                    "{what:?}: {fault}"
                ),
            }
        }
    }
}

#[tokio::test]
async fn a_long_look_goes_on_after_the_pause_that_the_vendor_wants_and_keeps_what_it_has() {
    const OTHERS: usize = 25;
    // Two questions of each mailbox: ten of which two are refused, and those two
    // with the rest.
    let whole = vec![10, 10, 10, 10, 10, 2];
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
                            _ => json!({"id": part["id"], "status": 200, "body": {"value": [{"User": WHO, "AccessRights": ["FullAccess"]}]}}),
                        })
                        .collect();
                    json_answer(200, json!({"responses": responses}))
                }
            }
        })
        .await;
        let graph = open(&server);
        let clock = TestClock::at(0);
        let mut call = crate::common::call_with(&clock);
        let others: Vec<ObjectId> = (0..OTHERS).map(|n| ObjectId(format!("o{n}"))).collect();
        let found = graph.held_among(&mut call, &who(), &others).await;
        match retry_after {
            "7" => {
                assert_eq!(found.unwrap(), others);
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

/// Beliefs: the admin endpoint takes `$select` as Graph does, and the link to a next
/// page holds for whoever asks with it later.
#[tokio::test]
async fn the_list_of_others_mailboxes_is_read_page_by_page_and_no_row_is_whole() {
    const PAGES: usize = 3;
    const EACH: usize = 1_000;
    let server = Server::start(|asked: Asked| async move {
        if asked.path.ends_with("/token") {
            return token("t", 3600);
        }
        let input = asked.json()["CmdletInput"].clone();
        assert_eq!(input["CmdletName"], "Get-Mailbox");
        if input["Parameters"]["Identity"] == WHO {
            let own = json!({"ExternalDirectoryObjectId": WHO, "Name": "Ann", "UserPrincipalName": "ann@x.test"});
            return json_answer(200, json!({"value": [own]}));
        }
        assert!(asked.query.contains("select="), "{}", asked.query);
        let page = asked.query_value("skip").map_or(0, |n| n.parse::<usize>().unwrap());
        let row = |n: usize| {
            let mut row = json!({"ExternalDirectoryObjectId": format!("o{n}"), "GrantSendOnBehalfTo": []});
            if n == 1_500 {
                row["GrantSendOnBehalfTo"] = json!(["somebody", "ann"]);
            }
            row
        };
        let mut rows: Vec<Value> = (page * EACH..(page + 1) * EACH).map(row).collect();
        let mut body = json!({});
        if page + 1 < PAGES {
            let next = format!("{}{}?$select=x&skip={}", asked.root, asked.path, page + 1);
            body["@odata.nextLink"] = json!(next);
        } else {
            rows.push(json!({"ExternalDirectoryObjectId": WHO}));
            // A mailbox of the system's own belongs to nobody.
            rows.push(json!({"ExternalDirectoryObjectId": ""}));
        }
        body["value"] = json!(rows);
        json_answer(200, body)
    })
    .await;
    let (mut others, mut shown) = (Vec::new(), Vec::new());
    let mut from: Option<String> = None;
    for page in 1..=PAGES {
        // Another attempt has another connector, and the place alone.
        let graph = open(&server);
        let read = graph.others(&mut call(), &who(), from.as_deref()).await.unwrap();
        assert_eq!((read.own, read.next.is_none()), (page == PAGES, page == PAGES));
        others.extend(read.others);
        shown.extend(read.shown);
        from = read.next;
    }
    assert_eq!(others.len(), PAGES * EACH);
    assert_eq!(shown, [ObjectId::from("o1500")]);
}

/// Belief: whoever has no mailbox is called by his recipient's name in others' lists.
#[tokio::test]
async fn who_has_no_mailbox_is_known_in_others_lists_by_his_recipients_name() {
    const OTHER: &str = "22222222-2222-4222-8222-222222222222";
    let server = Server::start(|asked: Asked| async move {
        if asked.path.ends_with("/token") {
            return token("t", 3600);
        }
        if asked.path.ends_with("/mailboxSettings") {
            let error = json!({"code": "MailboxNotEnabledForRESTAPI", "message": "REST API is not yet supported for this mailbox."});
            return json_answer(404, json!({"error": error}));
        }
        if !asked.path.ends_with("/InvokeCommand") {
            return json_answer(200, user());
        }
        let input = asked.json()["CmdletInput"].clone();
        let about = input["Parameters"]["Identity"].as_str();
        let rows = match (input["CmdletName"].as_str().unwrap(), about) {
            ("Get-Mailbox", Some(_)) => Vec::new(),
            ("Get-Mailbox", None) => {
                vec![json!({"ExternalDirectoryObjectId": OTHER, "GrantSendOnBehalfTo": ["Ann_Y.test#EXT#"]})]
            }
            ("Get-Recipient", Some(WHO)) => vec![json!({"Name": "ann_y.test#EXT#"})],
            asked => panic!("{asked:?}"),
        };
        json_answer(200, json!({"value": rows}))
    })
    .await;
    let page = open(&server).others(&mut call(), &who(), None).await.unwrap();
    assert_eq!(page.shown, [ObjectId::from(OTHER)]);
}

#[tokio::test]
async fn a_list_of_mailboxes_that_goes_round_has_no_end_and_none_is_claimed() {
    let server = Server::start(|asked: Asked| async move {
        if asked.path.ends_with("/token") {
            return token("t", 3600);
        }
        let row = json!({"ExternalDirectoryObjectId": WHO});
        if asked.json()["CmdletInput"]["Parameters"]["Identity"] == WHO {
            return json_answer(200, json!({"value": [row]}));
        }
        let next = format!("{}{}?skip=1", asked.root, asked.path);
        json_answer(200, json!({"value": [row], "@odata.nextLink": next}))
    })
    .await;
    let graph = open(&server);
    let first = graph.others(&mut call(), &who(), None).await.unwrap();
    assert!(first.own && first.others.is_empty());
    let again = graph.others(&mut call(), &who(), first.next.as_deref()).await;
    assert_eq!(again.unwrap_err().class, FaultClass::Transient);
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
    let graph = crate::common::open_with(
        &server,
        Credential::Certificate {
            certificate_pem: crate::common::CERTIFICATE.into(),
            key_pem: crate::common::KEY.into(),
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

/// A belief: SharePoint's own code for somebody who never had a OneDrive.
#[tokio::test]
async fn that_there_are_no_files_is_believed_on_their_services_word_and_of_an_account_that_is_there() {
    for (of_drive, of_account, none) in [
        ("ResourceNotFound", 200, true),
        ("itemNotFound", 200, true),
        // A replica that has not heard of the account.
        ("Request_ResourceNotFound", 200, false),
        ("ResourceNotFound", 404, false),
    ] {
        let server = Server::start(move |asked: Asked| async move {
            if asked.path.ends_with("/token") {
                return token("t", 3600);
            }
            if asked.path.ends_with("/drive") {
                return json_answer(404, json!({"error": {"code": of_drive, "message": "not found"}}));
            }
            json_answer(of_account, user())
        })
        .await;
        let found = open(&server).site(&mut call(), &who()).await;
        assert_eq!(matches!(found, Ok(None)), none, "{of_drive} {of_account}: {found:?}");
        assert!(none || found.is_err(), "{found:?}");
    }
}
