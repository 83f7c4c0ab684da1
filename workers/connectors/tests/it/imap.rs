//! The mail reader against a server that does what the protocol allows and no
//! good server does, byte by byte where it can; and one that breaks off.

use crate::common::call;
use async_trait::async_trait;
use offboard_connectors::graph::HttpClient;
use offboard_connectors::imap::{Access, ImapConnector, ImapSettings, Security};
use offboard_connectors::{Answer, Connector as _, MailFolder, MailMessage, MailOwner, MailPage, MailSink};
use offboard_domain::{FaultClass, System};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

/// What a command is answered with, before its tagged end; what begins with `NO ` is that
/// end; none: the connection breaks.
pub(crate) type Script = fn(&str) -> Option<Vec<u8>>;

pub(crate) struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let noted = Arc::clone(&noted);
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    let _ = stream
                        .get_mut()
                        .write_all(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\r\n")
                        .await;
                    let mut line = String::new();
                    while stream.read_line(&mut line).await.is_ok_and(|n| n > 0) {
                        let (tag, command) = line.trim_end().split_once(' ').unwrap();
                        noted.lock().unwrap().push(command.to_owned());
                        let Some(data) = script(command) else { return };
                        let code = if command.starts_with("AUTH") {
                            "[CAPABILITY IMAP4rev1 CONDSTORE] "
                        } else {
                            ""
                        };
                        let whole = if data.starts_with(b"NO ") {
                            [format!("{tag} ").into_bytes(), data].concat()
                        } else {
                            [data, format!("{tag} OK {code}done\r\n").into_bytes()].concat()
                        };
                        // In pieces that fit nothing.
                        for piece in whole.chunks(7) {
                            if stream.get_mut().write_all(piece).await.is_err() {
                                return;
                            }
                            tokio::task::yield_now().await;
                        }
                        line.clear();
                    }
                });
            }
        });
        Self { port, asked }
    }

    pub(crate) fn connector(&self) -> ImapConnector {
        let settings = ImapSettings {
            system: System::new("mail").unwrap(),
            host: "127.0.0.1".into(),
            port: self.port,
            security: Security::None,
            ca: None,
            access: Access::Delegate {
                user: "archiver".into(),
                password: "s3cret".into(),
            },
            exact_sizes: true,
            probe: None,
        };
        ImapConnector::open(&HttpClient::new().unwrap(), &settings).unwrap()
    }
}

/// What came: which message, its bytes, whether it came to its end.
#[derive(Default)]
pub(crate) struct Kept(pub(crate) Vec<(usize, Vec<u8>, bool)>);

#[async_trait]
impl MailSink for Kept {
    async fn begin(&mut self, index: usize) -> Answer<()> {
        self.0.push((index, Vec::new(), false));
        Ok(())
    }
    async fn bytes(&mut self, bytes: &[u8]) -> Answer<()> {
        self.0.last_mut().unwrap().1.extend_from_slice(bytes);
        Ok(())
    }
    async fn end(&mut self) -> Answer<()> {
        self.0.last_mut().unwrap().2 = true;
        Ok(())
    }
}

pub(crate) fn owner() -> MailOwner {
    MailOwner {
        id: None,
        login: Some("anna@x.test".into()),
    }
}

pub(crate) fn folder(generation: &str) -> MailFolder {
    MailFolder {
        id: "INBOX".into(),
        generation: generation.into(),
        path: vec!["INBOX".into()],
        messages: 3,
        bytes: None,
        next: Some(12),
        state: None,
    }
}

pub(crate) fn at(place: u64) -> MailMessage {
    MailMessage {
        id: place.to_string(),
        place,
        flags: Vec::new(),
        received_ms: None,
        bytes: None,
    }
}

/// A page of the folder, from this place on.
async fn page_from(connector: &ImapConnector, from: Option<&str>) -> MailPage {
    let reader = connector.mail().unwrap();
    let page = reader.messages(&mut call(), &owner(), &folder("7"), from).await;
    page.unwrap()
}

/// Fetches these of the folder's messages.
async fn fetch(connector: &ImapConnector, which: &[MailMessage], kept: &mut Kept) -> Answer<()> {
    let reader = connector.mail().unwrap();
    reader.fetch(&mut call(), &owner(), &folder("7"), which, kept).await
}

pub(crate) const EXAMINED: &str = "* FLAGS (\\Seen)\r\n* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 12] x\r\n";

#[tokio::test]
async fn folders_come_in_every_spelling() {
    let server = Server::start(|command| {
        Some(match command {
            c if c.starts_with("LIST") => concat!(
                "* LIST (\\HasNoChildren) \"/\" {6}\r\nR&-D (\r\n",
                "* LIST (\\Noselect \\HasChildren) \"/\" top\r\n",
                "* LIST () \"/\" \"top/Entw&APw-rfe\"\r\n",
                "* LIST () NIL INBOX\r\n",
                "* 4 EXISTS\r\n",
            )
            .into(),
            c if c.starts_with("STATUS") => {
                b"* STATUS x (HIGHESTMODSEQ 0 UIDVALIDITY 7 MESSAGES 3 UIDNEXT 12)\r\n".to_vec()
            }
            _ => Vec::new(),
        })
    })
    .await;
    let connector = server.connector();
    let folders = connector
        .mail()
        .unwrap()
        .folders(&mut call(), &owner())
        .await
        .unwrap()
        .unwrap();
    let paths: Vec<Vec<String>> = folders.iter().map(|f| f.path.clone()).collect();
    assert_eq!(paths, [vec!["INBOX"], vec!["R&D ("], vec!["top", "Entwürfe"]]);
    assert_eq!(
        (folders[0].messages, folders[0].next, &folders[0].state),
        (3, Some(12), &None)
    );
    let asked = server.asked.lock().unwrap().clone();
    assert!(
        asked
            .iter()
            .any(|c| c == "STATUS \"R&-D (\" (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ)"),
        "{asked:?}"
    );
    let plain = asked.iter().find(|c| c.starts_with("AUTHENTICATE PLAIN ")).unwrap();
    assert!(!plain.contains("s3cret"));
}

#[tokio::test]
async fn a_list_is_read_page_by_page_and_strangers_are_left_out() {
    let server = Server::start(|command| {
        Some(match command {
            c if c.starts_with("EXAMINE") => EXAMINED.into(),
            c if c.starts_with("UID FETCH 1:") => concat!(
                "* 2 FETCH (FLAGS (\\Seen $Work) RFC822.SIZE 5 UID 9 INTERNALDATE \" 1-Jan-2026 10:00:00 +0100\")\r\n",
                "* 1 FETCH (UID 4 FLAGS (\\Recent) RFC822.SIZE 3 INTERNALDATE \"01-Jan-2026 10:00:00 +0100\")\r\n",
                "* 7 EXPUNGE\r\n",
                "* 3 FETCH (FLAGS (\\Seen))\r\n",
                "* 5 FETCH (UID 4000000 FLAGS () RFC822.SIZE 3 INTERNALDATE \"x\")\r\n",
            )
            .into(),
            _ => Vec::new(),
        })
    })
    .await;
    let connector = server.connector();
    let reader = connector.mail().unwrap();
    let page = page_from(&connector, None).await;
    let places: Vec<u64> = page.messages.iter().map(|m| m.place).collect();
    assert_eq!((places, page.next), (vec![4, 9], None));
    assert_eq!(page.messages[1].flags, ["\\Seen", "$Work"]);
    assert!(
        page.messages[0].flags.is_empty(),
        "the server's own flag is none of the message's"
    );
    assert_eq!(page.messages[1].bytes, Some(5));
    let renewed = reader
        .messages(&mut call(), &owner(), &folder("6"), None)
        .await
        .unwrap_err();
    assert!(renewed.detail.contains("UIDVALIDITY"), "{renewed}");
}

/// A folder whose first half million messages are gone, of which 300,000 are left.
fn sparse(command: &str) -> Option<Vec<u8>> {
    const EXPUNGED: u64 = 500_000;
    const LEFT: u64 = 300_000;
    let answer = |number: u64| {
        format!(
            "* {number} FETCH (UID {} FLAGS () RFC822.SIZE 3 INTERNALDATE \"01-Jan-2026 10:00:00 +0100\")\r\n",
            EXPUNGED + number
        )
    };
    let words: Vec<&str> = command.split(' ').collect();
    Some(match words.as_slice() {
        ["EXAMINE", ..] => {
            format!("* {LEFT} EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 2000001] x\r\n").into_bytes()
        }
        ["FETCH", number, "(UID)"] => answer(number.parse().unwrap()).into_bytes(),
        ["UID", "FETCH", range, ..] => {
            let (from, to) = range.split_once(':').unwrap();
            let (from, to): (u64, u64) = (from.parse().unwrap(), to.parse().unwrap());
            let numbers = from.saturating_sub(EXPUNGED).max(1)..=to.saturating_sub(EXPUNGED).min(LEFT);
            numbers.map(answer).collect::<String>().into_bytes()
        }
        _ => Vec::new(),
    })
}

#[tokio::test]
async fn after_many_ids_that_are_not_used_a_page_is_no_larger_than_others() {
    const PAGE: usize = 2_000;
    let server = Server::start(sparse).await;
    let connector = server.connector();
    let page = page_from(&connector, None).await;
    assert_eq!((page.messages.len(), page.messages[0].place), (PAGE, 500_001));
    assert_eq!(page.next.as_deref(), Some("502001"));
    let asked = server.asked.lock().unwrap().len();
    assert!(asked < 30, "they are found by halving: {asked}");
    let last = page_from(&connector, Some("799001")).await;
    assert_eq!((last.messages.len(), last.next.as_deref()), (1_000, Some("801001")));
    let none = page_from(&connector, last.next.as_deref()).await;
    assert_eq!((none.messages.len(), none.next), (0, None));
}

/// A folder of 3,000 messages, each of which is 1,500 ids after the one before.
fn far_apart(command: &str) -> Option<Vec<u8>> {
    const APART: u64 = 1_500;
    const LEFT: u64 = 3_000;
    let answer = |number: u64| {
        format!(
            "* {number} FETCH (UID {} FLAGS () RFC822.SIZE 3 INTERNALDATE \"01-Jan-2026 10:00:00 +0100\")\r\n",
            APART * number
        )
    };
    let words: Vec<&str> = command.split(' ').collect();
    Some(match words.as_slice() {
        ["EXAMINE", ..] => {
            let next = APART * LEFT + 100_000;
            format!("* {LEFT} EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT {next}] x\r\n").into_bytes()
        }
        ["UID", "SEARCH", "UID", range] => {
            let from: u64 = range.strip_suffix(":*").unwrap().parse().unwrap();
            // The last one is in every range that ends with it.
            let ids = (1..=LEFT).filter(|number| APART * number >= from || *number == LEFT);
            let ids: String = ids.map(|number| format!(" {}", APART * number)).collect();
            format!("* SEARCH{ids}\r\n").into_bytes()
        }
        ["UID", "FETCH", range, ..] => {
            let (from, to) = range.split_once(':').unwrap();
            let (from, to): (u64, u64) = (from.parse().unwrap(), to.parse().unwrap());
            let numbers = (1..=LEFT).filter(|number| (from..=to).contains(&(APART * number)));
            numbers.map(answer).collect::<String>().into_bytes()
        }
        _ => Vec::new(),
    })
}

#[tokio::test]
async fn messages_that_lie_far_apart_are_listed_in_few_requests() {
    const PAGES_MAX: usize = 10;
    let server = Server::start(far_apart).await;
    let connector = server.connector();
    let (mut from, mut pages): (Option<String>, Vec<Vec<u64>>) = (None, Vec::new());
    for _ in 0..PAGES_MAX {
        let page = page_from(&connector, from.as_deref()).await;
        pages.push(page.messages.iter().map(|m| m.place).collect());
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(from, None, "it is listed to its end");
    assert!(
        pages.iter().all(|page| page.len() <= 2_000),
        "a page is no larger than others"
    );
    let all: Vec<u64> = pages.concat();
    assert_eq!(all, (1..=3_000).map(|number| number * 1_500).collect::<Vec<_>>());
    let asked = server.asked.lock().unwrap().len();
    assert!(asked < 20, "their ids are asked for, not every range of them: {asked}");
    // After the last one there is nothing, and that is told at once.
    let none = page_from(&connector, Some("4500001")).await;
    assert_eq!((none.messages.len(), none.next), (0, None));
    let more = server.asked.lock().unwrap().len() - asked;
    assert!(more <= 4, "{more}");
}

#[tokio::test]
async fn a_server_that_does_not_tell_an_id_is_asked_page_by_page() {
    let server = Server::start(|command| {
        Some(match command {
            // More than a page, so that no wider range may be asked for.
            c if c.starts_with("EXAMINE") => {
                b"* 3000 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 9001] x\r\n".to_vec()
            }
            c if c.starts_with("UID FETCH 4001:") => {
                b"* 1 FETCH (UID 5000 FLAGS () RFC822.SIZE 3 INTERNALDATE \"01-Jan-2026 10:00:00 +0100\")\r\n".to_vec()
            }
            _ => Vec::new(),
        })
    })
    .await;
    let connector = server.connector();
    let page = page_from(&connector, None).await;
    assert_eq!((page.messages[0].place, page.next.as_deref()), (5_000, Some("6001")));
}

/// The same folder, whose first message's id is not told.
fn sparse_and_one_untold(command: &str) -> Option<Vec<u8>> {
    match command {
        "FETCH 1 (UID)" => Some(Vec::new()),
        other => sparse(other),
    }
}

#[tokio::test]
async fn one_id_that_is_not_told_does_not_make_a_list_long() {
    let server = Server::start(sparse_and_one_untold).await;
    let connector = server.connector();
    let page = page_from(&connector, None).await;
    assert_eq!((page.messages.len(), page.messages[0].place), (2_000, 500_001));
    assert_eq!(page.next.as_deref(), Some("502001"), "a page is no larger than others");
    let asked = server.asked.lock().unwrap().len();
    assert!(
        asked < 40,
        "half a million ids are not asked for one after the other: {asked}"
    );
}

#[tokio::test]
async fn the_last_messages_are_asked_for_at_once_where_no_id_is_told() {
    let server = Server::start(|command| {
        Some(match command {
            c if c.starts_with("EXAMINE") => {
                b"* 2 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 9001] x\r\n".to_vec()
            }
            c if c.starts_with("UID FETCH 2001:9001 ") => concat!(
                "* 1 FETCH (UID 5000 FLAGS () RFC822.SIZE 3 INTERNALDATE \"01-Jan-2026 10:00:00 +0100\")\r\n",
                "* 2 FETCH (UID 9000 FLAGS () RFC822.SIZE 3 INTERNALDATE \"01-Jan-2026 10:00:00 +0100\")\r\n",
            )
            .into(),
            _ => Vec::new(),
        })
    })
    .await;
    let connector = server.connector();
    let page = page_from(&connector, None).await;
    let places: Vec<u64> = page.messages.iter().map(|m| m.place).collect();
    assert_eq!((places, page.next), (vec![5_000, 9_000], None));
}

#[tokio::test]
async fn a_page_ends_although_no_message_is_found() {
    let server = Server::start(|command| {
        Some(match command {
            c if c.starts_with("EXAMINE") => {
                b"* 3000 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 4000000001] x\r\n".to_vec()
            }
            _ => Vec::new(),
        })
    })
    .await;
    let connector = server.connector();
    let page = page_from(&connector, None).await;
    assert_eq!((page.messages.len(), page.next.as_deref()), (0, Some("200001")));
}

#[tokio::test]
async fn a_message_that_is_not_there_any_more_is_left_out() {
    let server = Server::start(|command| {
        Some(match command {
            c if c.starts_with("EXAMINE") => EXAMINED.into(),
            "UID FETCH 4:5,9 (UID BODY.PEEK[])" => concat!(
                "* 1 FETCH (UID 4 BODY[] {1}\r\na)\r\n",
                "* 2 FETCH (UID 5 BODY[] NIL)\r\n",
                "* 3 FETCH (UID 9 BODY[] {1}\r\nb)\r\n",
            )
            .into(),
            _ => Vec::new(),
        })
    })
    .await;
    let connector = server.connector();
    let mut kept = Kept::default();
    fetch(&connector, &[at(4), at(5), at(9)], &mut kept).await.unwrap();
    assert_eq!(kept.0, [(0, b"a".to_vec(), true), (2, b"b".to_vec(), true)]);
}

#[tokio::test]
async fn messages_come_to_the_byte_however_they_are_sent() {
    let server = Server::start(|command| {
        Some(match command {
            c if c.starts_with("EXAMINE") => EXAMINED.into(),
            "UID FETCH 4:5,9 (UID BODY.PEEK[])" => concat!(
                "* 3 EXISTS\r\n",
                "* 2 FETCH (UID 9 BODY[] {12}\r\n)\r\nA3 OK \"\r\n FLAGS (\\Seen))\r\n",
                "* 1 FETCH (FLAGS (\\Seen) UID 4 BODY[] {0}\r\n)\r\n",
                "* 3 FETCH (UID 5 BODY[] \"quo\\\"ted\")\r\n",
            )
            .into(),
            _ => Vec::new(),
        })
    })
    .await;
    let connector = server.connector();
    let mut kept = Kept::default();
    fetch(&connector, &[at(4), at(5), at(9)], &mut kept).await.unwrap();
    assert_eq!(
        kept.0,
        [
            (2, b")\r\nA3 OK \"\r\n".to_vec(), true),
            (0, Vec::new(), true),
            (1, b"quo\"ted".to_vec(), true),
        ]
    );
}

#[tokio::test]
async fn a_message_before_its_id_is_asked_for_alone() {
    let server = Server::start(|command| {
        Some(match command {
            c if c.starts_with("EXAMINE") => EXAMINED.into(),
            c if c.starts_with("UID FETCH 4,9 ") => {
                b"* 1 FETCH (BODY[] {1}\r\na UID 4)\r\n* 2 FETCH (BODY[] {1}\r\nb UID 9)\r\n".to_vec()
            }
            c if c.starts_with("UID FETCH 4 ") => b"* 1 FETCH (BODY[] {1}\r\na UID 4)\r\n".to_vec(),
            c if c.starts_with("UID FETCH 9 ") => b"* 2 FETCH (BODY[] {1}\r\nb UID 9)\r\n".to_vec(),
            _ => Vec::new(),
        })
    })
    .await;
    let connector = server.connector();
    let mut kept = Kept::default();
    fetch(&connector, &[at(4), at(9)], &mut kept).await.unwrap();
    assert_eq!(kept.0, [(0, b"a".to_vec(), true), (1, b"b".to_vec(), true)]);
}

#[tokio::test]
async fn a_message_that_the_server_fails_over_is_a_passing_fault_and_others_come_by_themselves() {
    let server = Server::start(|command| {
        Some(match command {
            c if c.starts_with("EXAMINE") => EXAMINED.into(),
            "UID FETCH 9 (UID BODY.PEEK[])" => b"* 3 FETCH (UID 9 BODY[] {1}\r\nb)\r\n".to_vec(),
            c if c.starts_with("UID FETCH") => b"NO [SERVERBUG] cannot read it\r\n".to_vec(),
            _ => Vec::new(),
        })
    })
    .await;
    let connector = server.connector();
    let mut kept = Kept::default();
    for which in [vec![at(5), at(9)], vec![at(5)]] {
        let met = fetch(&connector, &which, &mut kept).await.unwrap_err();
        assert_eq!(met.class, FaultClass::Transient, "{met}");
        assert_eq!(met.code.as_deref(), Some("SERVERBUG"));
    }
    fetch(&connector, &[at(9)], &mut kept).await.unwrap();
    assert_eq!(kept.0, [(0, b"b".to_vec(), true)]);
}

#[tokio::test]
async fn what_breaks_off_or_is_none_of_imap_is_a_fault_and_no_message() {
    for script in [
        // It breaks within the message.
        (|c: &str| match c {
            c if c.starts_with("EXAMINE") => Some(EXAMINED.into()),
            c if c.starts_with("UID FETCH") => None,
            _ => Some(Vec::new()),
        }) as Script,
        |c| match c {
            c if c.starts_with("EXAMINE") => Some(EXAMINED.into()),
            c if c.starts_with("UID FETCH") => Some(b"* BYE too much\r\n".to_vec()),
            _ => Some(Vec::new()),
        },
        |c| match c {
            c if c.starts_with("EXAMINE") => Some(EXAMINED.into()),
            c if c.starts_with("UID FETCH") => Some(b"* 1 FETCH (UID 77 BODY[] {1}\r\nx)\r\n".to_vec()),
            _ => Some(Vec::new()),
        },
        |c| match c {
            c if c.starts_with("EXAMINE") => Some(EXAMINED.into()),
            c if c.starts_with("UID FETCH") => Some(b"HTTP/1.1 400 Bad Request\r\n".to_vec()),
            _ => Some(Vec::new()),
        },
    ] {
        let server = Server::start(script).await;
        let connector = server.connector();
        let mut kept = Kept::default();
        let met = fetch(&connector, &[at(4), at(9)], &mut kept).await.unwrap_err();
        assert_eq!(met.class, FaultClass::Transient, "{met}");
        assert!(kept.0.iter().all(|(_, _, complete)| !complete));
    }
    let nobody = MailOwner { id: None, login: None };
    let server = Server::start(|_| Some(Vec::new())).await;
    let connector = server.connector();
    let met = connector
        .mail()
        .unwrap()
        .folders(&mut call(), &nobody)
        .await
        .unwrap_err();
    assert_eq!(met.class, FaultClass::Blocked);
}
