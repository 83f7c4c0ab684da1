//! Time, output and what is left behind.

use crate::program::stage::{Stage, call, errand, gone, met, observe, until};
use offboard_connectors::program::ProgramConnector;
use offboard_connectors::{ScriptState, Scripts as _};
use offboard_domain::FaultClass;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Far below the time for which these scripts sleep.
const SOON: Duration = Duration::from_secs(60);

/// In which a script has begun, also on a busy machine.
const TO_BEGIN: Duration = Duration::from_secs(5);

/// Leaves the ids of itself and of a child, and hangs.
const HANGS: &str = "sleep 600 & echo $! $$ > pids.new; mv pids.new pids; wait";

#[tokio::test]
async fn who_hangs_is_ended_with_all_that_he_has_started() {
    for writes in [false, true] {
        let stage = Stage::new();
        let mut settings = stage.settings(HANGS);
        settings.timeout = TO_BEGIN;
        let began = Instant::now();
        let (class, code, detail) = match writes {
            false => met(observe(settings).await),
            true => met(crate::program::stage::apply(settings).await),
        };
        assert!(began.elapsed() < SOON);
        let wanted = if writes {
            FaultClass::Unknown
        } else {
            FaultClass::Transient
        };
        assert_eq!((class, code.as_str()), (wanted, "timed_out"), "{detail}");
        gone(&stage, "pids").await;
    }
}

#[tokio::test]
async fn the_attempts_own_time_ends_it_too() {
    let stage = Stage::new();
    let program = ProgramConnector::open(stage.settings(HANGS));
    let mut call = offboard_connectors::Call::new(
        std::sync::Arc::new(offboard_runtime::SystemClock),
        Instant::now() + TO_BEGIN,
        offboard_domain::Lane::Normal,
    );
    let (class, ..) = met(program.observe(&mut call, &errand()).await);
    assert_eq!(class, FaultClass::Transient);
    gone(&stage, "pids").await;
}

#[tokio::test]
async fn a_signal_to_end_is_not_asked_for_twice() {
    // Deaf to every signal that can be caught.
    let stage = Stage::new();
    let mut settings = stage.settings("trap '' TERM INT HUP; echo $$ > pids; while :; do sleep 1; done");
    settings.timeout = TO_BEGIN;
    assert_eq!(met(observe(settings).await).1, "timed_out");
    gone(&stage, "pids").await;
}

#[tokio::test]
async fn a_child_that_holds_the_pipes_open_neither_delays_the_answer_nor_lives_on() {
    let stage = Stage::new();
    let began = Instant::now();
    let standing = stage
        .observe(r#"sleep 600 & echo $! > pids; echo '{"state":"done"}'"#)
        .await
        .unwrap();
    assert_eq!(standing.state, ScriptState::Done);
    assert!(began.elapsed() < SOON);
    gone(&stage, "pids").await;
}

#[tokio::test]
async fn who_floods_standard_output_is_ended_while_he_does() {
    for body in [
        "echo $$ > pids; head -c 100000000 /dev/zero",
        "echo $$ > pids; exec cat /dev/zero",
        // As much as fits the pipe, then gone.
        "echo $$ > pids; head -c 66000 /dev/zero",
    ] {
        let stage = Stage::new();
        let began = Instant::now();
        let mut settings = stage.settings(body);
        settings.max_output_bytes = 40_000;
        let (class, code, detail) = met(observe(settings).await);
        assert_eq!(
            (class, code.as_str()),
            (FaultClass::Rejected, "too_much_output"),
            "{detail}"
        );
        assert!(began.elapsed() < SOON);
        gone(&stage, "pids").await;
    }
}

#[tokio::test]
async fn standard_error_is_let_go_however_much_it_is() {
    let stage = Stage::new();
    let standing = stage
        .observe(r#"head -c 100000000 /dev/zero >&2; echo '{"state":"not_applicable","reason":"no VPN"}'"#)
        .await
        .unwrap();
    assert_eq!(standing.state, ScriptState::NotApplicable);
    assert_eq!(standing.reason.as_deref(), Some("no VPN"));
}

#[tokio::test]
async fn an_attempt_that_is_dropped_leaves_no_process() {
    let stage = Stage::new();
    let program = ProgramConnector::open(stage.settings(HANGS));
    {
        let mut call = call();
        let errand = errand();
        let mut asked = Box::pin(program.observe(&mut call, &errand));
        until(|| {
            // Each look lets it run a little.
            std::thread::sleep(Duration::from_millis(5));
            futures::FutureExt::now_or_never(&mut asked);
            stage.left("pids").is_some()
        })
        .await;
    }
    gone(&stage, "pids").await;
}

#[tokio::test]
async fn dropped_at_any_moment_it_leaves_no_process() {
    // From before it is started to after it has ended.
    for ms in [0, 1, 2, 4, 8, 16, 32, 64] {
        let stage = Stage::new();
        let body = r#"echo $$ > pids; cat > /dev/null; sleep 0.03; echo '{"state":"done"}'"#;
        let _ = timeout(Duration::from_millis(ms), stage.observe(body)).await;
        if stage.left("pids").is_some_and(|p| !p.is_empty()) {
            gone(&stage, "pids").await;
        }
    }
}

#[tokio::test]
async fn many_at_once_are_each_told_of_their_own_end() {
    let stage = Stage::new();
    let settings = stage.settings(r#"cat > /dev/null; echo '{"state":"done"}'"#);
    let all = (0..32).map(|_| tokio::spawn(observe(settings.clone())));
    for one in futures::future::join_all(all).await {
        assert_eq!(one.unwrap().unwrap().state, ScriptState::Done);
    }
}
