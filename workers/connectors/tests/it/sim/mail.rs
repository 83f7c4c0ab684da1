//! What is in a mailbox, over Graph.

use crate::common::{Server, call, json_answer, open, token};
use crate::sim::stage::Stage;
use async_trait::async_trait;
use axum::body::Body;
use axum::http::Response;
use offboard_connectors::{Answer, Connector as _, MailFolder, MailMessage, MailOwner, MailSink};
use offboard_domain::FaultClass;
use offboard_sim::world::model::{Folder, Mail, RECOVERABLE_ROOT};
use offboard_sim::world::{Cruelty, Fault, Op};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Keeps messages as they come, each only when it is complete.
#[derive(Default)]
struct Kept {
    open: Option<(usize, Vec<u8>)>,
    done: Vec<(usize, Vec<u8>)>,
}

#[async_trait]
impl MailSink for Kept {
    async fn begin(&mut self, index: usize) -> Answer<()> {
        self.open = Some((index, Vec::new()));
        Ok(())
    }
    async fn bytes(&mut self, bytes: &[u8]) -> Answer<()> {
        self.open.as_mut().unwrap().1.extend_from_slice(bytes);
        Ok(())
    }
    async fn end(&mut self) -> Answer<()> {
        self.done.push(self.open.take().unwrap());
        Ok(())
    }
}

fn owner(id: &str) -> MailOwner {
    MailOwner {
        id: Some(id.into()),
        login: None,
    }
}

/// Everything in a mailbox: each folder's path, and its messages by id.
async fn all(stage: &Stage, who: &str) -> Answer<BTreeMap<Vec<String>, BTreeMap<String, Vec<u8>>>> {
    let reader = stage.graph.mail().unwrap();
    let who = owner(who);
    let mut found = BTreeMap::new();
    for folder in reader.folders(&mut stage.reading(), &who).await?.unwrap() {
        let (mut from, mut messages) = (None, Vec::new());
        loop {
            let page = reader
                .messages(&mut stage.reading(), &who, &folder, from.as_deref())
                .await?;
            messages.extend(page.messages);
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(messages.len() as u64, folder.messages);
        let mut kept = Kept::default();
        reader
            .fetch(&mut stage.reading(), &who, &folder, &messages, &mut kept)
            .await?;
        let bytes = kept.done.into_iter().map(|(i, bytes)| (messages[i].id.clone(), bytes));
        found.insert(folder.path.clone(), bytes.collect());
    }
    Ok(found)
}

#[tokio::test]
async fn every_folder_and_message_is_read_to_the_byte_by_ids_that_survive_a_move() {
    let stage = Stage::with(
        Cruelty {
            page_size: 2,
            ..Cruelty::kind()
        },
        false,
    )
    .await;
    let leaver = stage.cast.plain.clone();
    let found = all(&stage, &leaver).await.unwrap();
    let truth = stage.truth(|t| t.mailboxes.get(&leaver).unwrap().folders.clone());
    assert_eq!(found.len(), truth.len(), "hidden ones and children too");
    let mut messages = 0;
    for folder in truth {
        let mut path = vec![folder.name.clone()];
        if folder.parent.is_some() {
            path.insert(0, "Inbox".to_owned());
        }
        let wanted: BTreeMap<_, _> = folder
            .mails
            .iter()
            .map(|m| (m.immutable_id(), m.mime.to_vec()))
            .collect();
        messages += wanted.len();
        assert_eq!(found[&path], wanted, "{path:?}");
    }
    assert!(messages >= 10);
}

#[tokio::test]
async fn what_was_deleted_for_good_and_can_be_recovered_is_read_too() {
    let stage = Stage::kind().await;
    let leaver = stage.cast.plain.clone();
    let before = all(&stage, &leaver).await.unwrap();
    stage.arrange(|t| {
        let folders = &mut t.mailboxes.edit_silently(&leaver).unwrap().folders;
        let mut purged = folders.iter().find_map(|f| f.mails.first()).unwrap().clone();
        purged.number += 900;
        folders.push(Folder {
            id: "AAMkdeletions".to_owned(),
            parent: Some(RECOVERABLE_ROOT.to_owned()),
            name: "Deletions".to_owned(),
            hidden: true,
            mails: vec![purged],
        });
    });
    let after = all(&stage, &leaver).await.unwrap();
    let deletions = ["Recoverable Items", "Deletions"].map(str::to_owned).to_vec();
    assert_eq!(after[&deletions].len(), 1);
    assert_eq!(after.len(), before.len() + 1);
    assert!(before.iter().all(|(path, messages)| after[path] == *messages));
}

#[tokio::test]
async fn what_goes_or_comes_between_two_pages_moves_the_others() {
    let stage = Stage::with(
        Cruelty {
            page_size: 2,
            ..Cruelty::kind()
        },
        false,
    )
    .await;
    let leaver = stage.cast.plain.clone();
    let who = owner(&leaver);
    let reader = stage.graph.mail().unwrap();
    let folders = reader.folders(&mut stage.reading(), &who).await.unwrap().unwrap();
    let folder = folders.iter().max_by_key(|f| f.messages).unwrap();
    let change = |how: &dyn Fn(&mut Vec<Mail>)| {
        stage.arrange(|t| {
            let folders = &mut t.mailboxes.edit_silently(&leaver).unwrap().folders;
            let found = folders.iter_mut().find(|f| f.id == folder.id).unwrap();
            found.mails.sort_by_key(|m| std::cmp::Reverse(m.created_ms));
            how(&mut found.mails);
        });
    };
    let page = |from: Option<String>| {
        let (who, reader, mut call) = (&who, &reader, stage.reading());
        async move {
            let page = reader.messages(&mut call, who, folder, from.as_deref()).await.unwrap();
            let ids: Vec<String> = page.messages.into_iter().map(|m| m.id).collect();
            (ids, page.next)
        }
    };
    let (first, next) = page(None).await;
    let (second, _) = page(next.clone()).await;
    assert_eq!((first.len(), second.len()), (2, 2));
    change(&|mails| drop(mails.remove(0)));
    let (after, _) = page(next.clone()).await;
    assert_eq!(after[0], second[1], "one is passed over");
    change(&|mails| {
        let newer = |n: u64| {
            let mut mail = mails[0].clone();
            mail.number += 900 + n;
            mail.created_ms += 1_000;
            mail
        };
        let arrived = [newer(0), newer(1)];
        mails.extend(arrived);
    });
    let (after, _) = page(next).await;
    assert_eq!(after[0], first[1], "one comes again");
}

#[tokio::test]
async fn flags_and_dates_come_with_a_message() {
    let stage = Stage::kind().await;
    let who = owner(&stage.cast.plain);
    let reader = stage.graph.mail().unwrap();
    let folders = reader.folders(&mut stage.reading(), &who).await.unwrap().unwrap();
    let sent = folders.iter().find(|f| f.path == ["SentItems"]).unwrap();
    let page = reader.messages(&mut stage.reading(), &who, sent, None).await.unwrap();
    let by_number = |n: &str| page.messages.iter().find(|m| m.id.contains(n)).unwrap();
    assert_eq!(by_number("00006").flags, ["\\Seen", "\\Flagged"]);
    assert_eq!(by_number("00007").flags, ["\\Draft"]);
    let later = by_number("00007").received_ms.unwrap() - by_number("00006").received_ms.unwrap();
    assert_eq!(later, 86_400_000);
    assert!(by_number("00007").place > by_number("00006").place);
}

#[tokio::test]
async fn each_fault_is_the_class_that_it_is_and_no_mailbox_is_none() {
    let stage = Stage::kind().await;
    let leaver = stage.cast.plain.clone();
    for (op, fault, class) in [
        (Op::ListFolders, Fault::Unavailable(503), FaultClass::Transient),
        (Op::ListMails, Fault::ResetAfter, FaultClass::Transient),
        (Op::GetMime, Fault::ResetBefore, FaultClass::Transient),
        (
            Op::GetMime,
            Fault::Throttled { retry_after_s: Some(7) },
            FaultClass::Throttled {
                retry_after_ms: Some(7_000),
            },
        ),
    ] {
        stage.order(op, fault);
        let met = all(&stage, &leaver).await.unwrap_err();
        assert_eq!(met.class, class, "{op:?} {fault:?}");
        stage.clock.advance(60_000);
    }
    // A token that dies is renewed, in the midst of it.
    stage.order(Op::GetMime, Fault::TokenDead);
    assert!(all(&stage, &leaver).await.is_ok());
    stage.arrange(|t| {
        let app = t.apps.get_mut(offboard_sim::population::ADMIN_APP).unwrap();
        app.graph_roles.remove("Mail.Read");
    });
    let anew = stage.anew(offboard_connectors::graph::Credential::Secret(
        offboard_sim::population::ADMIN_APP_SECRET.into(),
    ));
    let denied = anew
        .mail()
        .unwrap()
        .folders(&mut stage.reading(), &owner(&leaver))
        .await
        .unwrap_err();
    assert_eq!(denied.class, FaultClass::Denied);
    assert!(denied.detail.contains("Mail.Read"), "{denied}");
    let reader = stage.graph.mail().unwrap();
    let nobody = MailOwner {
        id: None,
        login: Some("x".into()),
    };
    let refused = reader.folders(&mut stage.reading(), &nobody).await.unwrap_err();
    assert_eq!(refused.class, FaultClass::Rejected);
}

fn message(id: usize) -> MailMessage {
    MailMessage {
        id: format!("m{id}"),
        place: 0,
        flags: Vec::new(),
        received_ms: None,
        bytes: None,
    }
}

fn folder() -> MailFolder {
    MailFolder {
        id: "f".into(),
        generation: String::new(),
        path: vec!["f".into()],
        messages: 0,
        bytes: None,
        next: None,
        state: None,
    }
}

#[tokio::test]
async fn four_are_on_their_way_and_no_more_and_they_come_in_order() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counting, highest) = (Arc::clone(&now), Arc::clone(&most));
    let server = Server::start(move |asked| {
        let (now, most) = (Arc::clone(&counting), Arc::clone(&highest));
        async move {
            if asked.path.contains("/login/") {
                return token("t", 3_600);
            }
            let under_way = now.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(under_way, Ordering::SeqCst);
            // Nobody is answered until four have come.
            let four = async {
                while most.load(Ordering::SeqCst) < 4 {
                    tokio::task::yield_now().await;
                }
            };
            let _ = tokio::time::timeout(Duration::from_secs(2), four).await;
            // And until a fifth had the time to come, if it may.
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            now.fetch_sub(1, Ordering::SeqCst);
            let id = asked.path.split('/').rev().nth(1).unwrap().to_owned();
            assert!(asked.header("prefer").contains("ImmutableId"));
            match id.as_str() {
                // Larger than what is read at once.
                "m3" => Response::new(Body::from(vec![b'x'; 5 * 1024 * 1024 + 3])),
                "m5" => json_answer(404, json!({"error": {"code": "ErrorItemNotFound", "message": "gone"}})),
                _ => Response::new(Body::from(id)),
            }
        }
    })
    .await;
    let graph = open(&server);
    let which: Vec<MailMessage> = (0..40).map(message).collect();
    let mut kept = Kept::default();
    let reader = graph.mail().unwrap();
    reader
        .fetch(&mut call(), &owner("u"), &folder(), &which, &mut kept)
        .await
        .unwrap();
    assert_eq!(most.load(Ordering::SeqCst), 4, "four, and no more");
    let order: Vec<usize> = kept.done.iter().map(|(i, _)| *i).collect();
    assert_eq!(order, (0..40).filter(|i| *i != 5).collect::<Vec<_>>());
    assert_eq!(kept.done[3].1.len(), 5 * 1024 * 1024 + 3);
    assert_eq!(kept.done[4].1, b"m4");
}

#[tokio::test]
async fn a_message_that_the_server_fails_over_is_a_fault_and_others_come_by_themselves() {
    for (status, class) in [(500, FaultClass::Transient), (400, FaultClass::Rejected)] {
        let server = Server::start(move |asked| async move {
            if asked.path.contains("/login/") {
                return token("t", 3_600);
            }
            let id = asked.path.split('/').rev().nth(1).unwrap().to_owned();
            match id.as_str() {
                "m0" => json_answer(
                    status,
                    json!({"error": {"code": "ErrorInternalServerError", "message": "no"}}),
                ),
                _ => Response::new(Body::from(id)),
            }
        })
        .await;
        let graph = open(&server);
        let reader = graph.mail().unwrap();
        let mut kept = Kept::default();
        for which in [vec![message(0), message(1)], vec![message(0)]] {
            let met = reader
                .fetch(&mut call(), &owner("u"), &folder(), &which, &mut kept)
                .await
                .unwrap_err();
            assert_eq!((met.class, met.status), (class, Some(status)), "{met}");
        }
        reader
            .fetch(&mut call(), &owner("u"), &folder(), &[message(1)], &mut kept)
            .await
            .unwrap();
        assert_eq!(kept.done, [(0, b"m1".to_vec())], "{status}");
    }
}

#[tokio::test]
async fn a_message_that_is_cut_off_is_a_fault_and_never_complete() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let rest = format!("http://{}", listener.local_addr().unwrap());
    let cutting = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut some = [0; 4096];
            let _ = stream.read(&mut some).await;
            let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n200000\r\n";
            let _ = stream.write_all(head).await;
            let _ = stream.write_all(&vec![b'x'; 0x18_0000]).await;
        }
    });
    let login = Server::start(|_| async { token("t", 3_600) }).await;
    let graph = crate::common::open_at(login.root(), &rest);
    let mut kept = Kept::default();
    let reader = graph.mail().unwrap();
    let met = reader
        .fetch(&mut call(), &owner("u"), &folder(), &[message(0)], &mut kept)
        .await
        .unwrap_err();
    cutting.abort();
    assert_eq!(met.class, FaultClass::Transient);
    assert!(kept.done.is_empty());
}
