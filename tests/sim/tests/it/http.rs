//! The face behind real HTTP on loopback.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use offboard_sim::face::Simulator;
use offboard_sim::population::{ADMIN_APP, ADMIN_APP_SECRET, Town};
use offboard_sim::world::{Cruelty, Effect, Fault, Op, World};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::T0;

const PATIENCE: Duration = Duration::from_secs(20);
/// Far longer than an answer takes.
const SILENCE: Duration = Duration::from_secs(2);

/// Sends one request on a connection of its own; gives status line, headers and body as they came.
async fn send(simulator: &Simulator, head: &str, body: &str) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(simulator.address())
            .await
            .expect("the simulator listens");
        let request = format!(
            "{head}Host: sim\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.expect("the request is sent");
        let mut answer = Vec::new();
        // A connection that is cut may end in an error after what had come.
        let _end = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).expect("text")
    };
    timeout(PATIENCE, exchange).await.expect("an end")
}

async fn token(simulator: &Simulator, tenant: &str) -> String {
    let body = format!(
        "client_id={ADMIN_APP}&client_secret={ADMIN_APP_SECRET}&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default&grant_type=client_credentials"
    );
    let head = format!(
        "POST /login/{tenant}/oauth2/v2.0/token HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    );
    let answer = send(simulator, &head, &body).await;
    answer
        .split("\"access_token\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .expect("a token")
        .to_owned()
}

struct Stage {
    world: Arc<Mutex<World>>,
    clock: Arc<AtomicI64>,
    simulator: Simulator,
    tenant: String,
    anna: String,
}

async fn stage(cruelty: Cruelty, time_scale: Option<f64>) -> Stage {
    let mut world = World::new(1, cruelty);
    let mut town = Town::found(&mut world, "contoso", T0);
    let anna = town.employee("Anna");
    let tenant = town.id().to_owned();
    let world = Arc::new(Mutex::new(world));
    let clock = Arc::new(AtomicI64::new(T0));
    let tell = Arc::clone(&clock);
    let simulator = Simulator::start(
        Arc::clone(&world),
        Arc::new(move || tell.load(Ordering::SeqCst)),
        time_scale,
    )
    .await
    .expect("a port of loopback");
    Stage {
        world,
        clock,
        simulator,
        tenant,
        anna,
    }
}

#[tokio::test]
async fn a_request_is_answered_and_the_clock_is_the_tests_own() {
    let stage = stage(Cruelty::kind(), None).await;
    let token = token(&stage.simulator, &stage.tenant).await;
    let head = format!(
        "GET /graph/v1.0/users/{}?$select=id HTTP/1.1\r\nAuthorization: Bearer {token}\r\n",
        stage.anna
    );
    let answer = send(&stage.simulator, &head, "").await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains(&stage.anna),
        "{answer}"
    );
    assert!(answer.to_lowercase().contains("content-type: application/json"));
    stage.clock.fetch_add(2 * 3_600_000, Ordering::SeqCst);
    let late = send(&stage.simulator, &head, "").await;
    assert!(late.starts_with("HTTP/1.1 401"), "{late}");
    assert!(stage.simulator.bases().graph.ends_with("/graph/v1.0"));
}

#[tokio::test]
async fn a_lost_connection_closes_without_a_word_though_the_request_was_applied() {
    let stage = stage(Cruelty::kind(), None).await;
    let token = token(&stage.simulator, &stage.tenant).await;
    stage.world.lock().unwrap().order(Op::PatchUser, Fault::ResetAfter, 1);
    let head = format!(
        "PATCH /graph/v1.0/users/{} HTTP/1.1\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n",
        stage.anna
    );
    let answer = send(&stage.simulator, &head, "{\"accountEnabled\":false}").await;
    assert_eq!(answer, "");
    assert!(
        stage
            .world
            .lock()
            .unwrap()
            .journal()
            .iter()
            .any(|entry| entry.effect == Effect::SignInDisabled)
    );
}

#[tokio::test]
async fn a_silent_call_holds_its_connection_and_nothing_is_applied() {
    let stage = stage(Cruelty::kind(), None).await;
    let token = token(&stage.simulator, &stage.tenant).await;
    stage.world.lock().unwrap().order(Op::PatchUser, Fault::Silent, 1);
    let head = format!(
        "PATCH /graph/v1.0/users/{} HTTP/1.1\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n",
        stage.anna
    );
    let silent = timeout(SILENCE, send(&stage.simulator, &head, "{\"accountEnabled\":false}"));
    assert!(silent.await.is_err(), "neither an answer nor an end");
    let served = || stage.world.lock().unwrap().served(Op::PatchUser);
    assert_eq!(served(), 1);
    let disabled = || {
        let world = stage.world.lock().unwrap();
        world
            .journal()
            .iter()
            .any(|entry| entry.effect == Effect::SignInDisabled)
    };
    assert!(!disabled());
    // The next one is answered.
    let answer = send(&stage.simulator, &head, "{\"accountEnabled\":false}").await;
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    assert!(disabled());
}

#[tokio::test]
async fn latency_is_slept_at_the_scale_that_was_asked_for() {
    let slow = Cruelty {
        latency_ms: (20_000, 20_000),
        ..Cruelty::kind()
    };
    let stage = stage(slow, Some(100.0)).await;
    let began = Instant::now();
    token(&stage.simulator, &stage.tenant).await;
    assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_port_is_free_once_the_simulator_is_dropped() {
    let stage = stage(Cruelty::kind(), None).await;
    let address = stage.simulator.address();
    drop(stage);
    let gone = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.expect("the port to close");
}
