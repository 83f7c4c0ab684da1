//! The control socket's end: whoever asks as the server ends is answered, or
//! knows that nothing was heard and asks again somewhere else.

use crate::rig::*;
use offboard_dispatcher::control::{Client, ControlError, Request, Response, Server};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixListener;
use std::time::Duration;
use tokio::sync::watch;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_as_the_server_ends_is_answered_or_was_never_heard() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(CUT))]);
    let engine = world.engine();
    engine.recover().await.unwrap();
    let path = world.folder().join("control.sock");
    let (mut heard, mut unheard) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..60 {
        let server = Server::bind(&path).unwrap();
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(server.run(engine.clone(), stopped));
        let asking: Vec<_> = (0..6)
            .map(|n| {
                let (path, reference) = (path.clone(), format!("HR-{round}-{n}"));
                let departures = vec![world.departure(&acme, &reference)];
                tokio::spawn(async move {
                    let Some(mut client) = Client::connect(&path).await.unwrap() else {
                        return (reference, false);
                    };
                    // Some ask at once, some as the end comes.
                    tokio::time::sleep(Duration::from_micros(n * 150)).await;
                    match client.call(&Request::Submit { departures }).await {
                        Ok(Response::Submitted(_)) => (reference, true),
                        Err(ControlError::Unheard { .. }) => (reference, false),
                        other => panic!("{reference}: {other:?}"),
                    }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_micros(round * 20)).await;
        stop.send_replace(true);
        serving.await.unwrap();
        for asked in asking {
            let (reference, answered) = asked.await.unwrap();
            if answered { &mut heard } else { &mut unheard }.insert(reference);
        }
    }
    assert!(
        !heard.is_empty() && !unheard.is_empty(),
        "{} and {}",
        heard.len(),
        unheard.len()
    );
    for (references, wanted) in [(&heard, true), (&unheard, false)] {
        for reference in references {
            let departure = world.departure(&acme, reference);
            let known = engine.case(&acme, departure.case_id()).await.is_ok();
            assert_eq!(known, wanted, "{reference}");
        }
    }
}

#[tokio::test]
async fn who_heard_it_all_and_says_nothing_may_have_done_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let dying = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        BufReader::new(stream).read_line(&mut String::new()).unwrap();
    });
    let mut client = Client::connect(&path).await.unwrap().unwrap();
    let answer = client.call(&Request::Status).await;
    assert!(matches!(answer, Err(ControlError::NoAnswer { .. })), "{answer:?}");
    dying.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_news_does_not_keep_the_server() {
    let world = World::new([]);
    let engine = world.engine();
    engine.recover().await.unwrap();
    let path = world.folder().join("control.sock");
    let server = Server::bind(&path).unwrap();
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(server.run(engine, stopped));
    let mut client = Client::connect(&path).await.unwrap().unwrap();
    let Ok(Response::Changes { count }) = client.call(&news(u64::MAX)).await else {
        panic!("what it is up to is always told");
    };
    let waiting = tokio::spawn(async move { client.call(&news(count)).await });
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!waiting.is_finished(), "there is no news");
    stop.send_replace(true);
    let ended = tokio::time::timeout(Duration::from_secs(20), serving).await;
    ended.expect("it waits for who waits for news").unwrap();
    let told = waiting.await.unwrap();
    assert!(matches!(told, Ok(Response::Failed { .. })), "{told:?}");
}

fn news(after: u64) -> Request {
    Request::Changes { after, wait_ms: 30_000 }
}
