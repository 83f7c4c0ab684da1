//! Back into a mailbox, a message at a time. What is there already can be
//! looked at, so that who restores twice can see it.

use super::name::encode;
use super::parse::{Condition, Token, unlatin};
use super::session::{Session, Trouble, outcome, status};
use super::wire::Word;
use super::{ImapConnector, OrFault as _};
use crate::measured::Asking;
use crate::{Answer, Call, MailSink};
use async_trait::async_trait;
use offboard_domain::{Digest, Fault, FaultClass};
use sha2::{Digest as _, Sha256};

/// A message that is in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Present {
    /// Its id there.
    pub uid: u64,
    /// Its bytes.
    pub bytes: u64,
}

/// A mailbox that is written to.
pub struct Restoring<'a> {
    connector: &'a ImapConnector,
    session: Session,
    delimiter: Option<char>,
    prefix: String,
    /// The message that is being put back, for metrics and traces.
    appending: Option<Asking>,
}

impl ImapConnector {
    /// Opens a mailbox to be written to.
    ///
    /// # Errors
    /// The fault.
    pub async fn restore(&self, call: &mut Call, login: &str) -> Answer<Restoring<'_>> {
        const ATTEMPTED: &str = "open the mailbox";
        let mut session = Session::open(&self.server, login, call)
            .await
            .or_fault(self, ATTEMPTED)?;
        let said = session
            .ask("list the root", &[Word::Plain("LIST \"\" \"\"")])
            .await
            .or_fault(self, ATTEMPTED)?;
        let root = said
            .iter()
            .find(|t| t.first().is_some_and(|t| t.is("LIST")) && t.len() >= 4);
        let delimiter = root
            .filter(|t| !t[2].is("NIL"))
            .and_then(|t| t[2].text().chars().next());
        let mut prefix = String::new();
        if session.offers("NAMESPACE") {
            let said = session
                .ask("list the namespaces", &[Word::Plain("NAMESPACE")])
                .await
                .or_fault(self, ATTEMPTED)?;
            let own = said.iter().find(|t| t.first().is_some_and(|t| t.is("NAMESPACE")));
            let first = own.and_then(|t| t.get(1)).and_then(|t| t.list().first());
            prefix = first
                .and_then(|t| t.list().first())
                .map(Token::text)
                .unwrap_or_default();
        }
        Ok(Restoring {
            connector: self,
            session,
            delimiter,
            prefix,
            appending: None,
        })
    }
}

impl Restoring<'_> {
    /// A server's name of a folder. What a part of a path cannot hold there is
    /// written with another sign.
    #[must_use]
    pub fn name(&self, path: &[String]) -> String {
        let clean = |part: &String| {
            let part: String = part
                .chars()
                .map(|c| {
                    if Some(c) == self.delimiter || c.is_control() {
                        '_'
                    } else {
                        c
                    }
                })
                .collect();
            let bare = part.trim_matches('.').is_empty();
            encode(&if bare { format!("_{part}") } else { part })
        };
        let parts: Vec<String> = path.iter().map(clean).collect();
        let joined = parts.join(&self.delimiter.map_or_else(|| "_".to_owned(), String::from));
        if joined.eq_ignore_ascii_case("INBOX") || joined.starts_with(&self.prefix) {
            joined
        } else {
            format!("{}{joined}", self.prefix)
        }
    }

    fn writing(&mut self, call: &Call) -> Answer<()> {
        self.session.wire.deadline = call.deadline();
        if call.may_write() {
            Ok(())
        } else {
            Err(self.connector.fault_of(
                FaultClass::Rejected,
                "write to the mailbox",
                "it may only be read; nothing was sent",
            ))
        }
    }

    /// Opens a folder, makes it if it is not there, and lists what is in it.
    ///
    /// # Errors
    /// The fault.
    pub async fn folder(&mut self, call: &mut Call, name: &str) -> Answer<Vec<Present>> {
        const ATTEMPTED: &str = "open the folder";
        self.writing(call)?;
        if let Err(trouble) = self.session.select(name, true).await {
            if !matches!(trouble, Trouble::Refused(..)) {
                return Err(self.connector.fault(ATTEMPTED, trouble));
            }
            let raw = unlatin(name);
            call.note_write();
            self.session
                .ask("create a folder", &[Word::Plain("CREATE"), Word::Name(&raw)])
                .await
                .or_fault(self.connector, ATTEMPTED)?;
            self.session
                .select(name, true)
                .await
                .or_fault(self.connector, ATTEMPTED)?;
        }
        let empty = self.session.opened.as_ref().is_none_or(|o| o.messages == 0);
        if empty {
            return Ok(Vec::new());
        }
        let said = self
            .session
            .ask("list messages", &[Word::Plain("UID FETCH 1:* (UID RFC822.SIZE)")])
            .await
            .or_fault(self.connector, ATTEMPTED)?;
        let present = said.iter().filter_map(|tokens| {
            let items = tokens.get(2)?.list();
            let item = |word: &str| items.get(items.iter().position(|t| t.is(word))? + 1)?.number();
            Some(Present {
                uid: item("UID")?,
                bytes: item("RFC822.SIZE")?,
            })
        });
        Ok(present.collect())
    }

    /// The SHA-256 of a message that is there; none: it is gone.
    ///
    /// # Errors
    /// The fault.
    pub async fn digest(&mut self, call: &mut Call, present: Present) -> Answer<Option<Digest>> {
        self.session.wire.deadline = call.deadline();
        let which = [crate::MailMessage {
            id: present.uid.to_string(),
            place: present.uid,
            flags: Vec::new(),
            received_ms: None,
            bytes: None,
        }];
        let mut hashing = Hashing::default();
        super::reader::bodies_of_open(&mut self.session, &which, &mut hashing)
            .await
            .or_fault(self.connector, "read a message")?;
        Ok(hashing.done)
    }

    /// Begins to put a message back.
    ///
    /// # Errors
    /// The fault.
    pub async fn begin(
        &mut self,
        call: &mut Call,
        name: &str,
        flags: &[String],
        received_ms: Option<i64>,
        bytes: u64,
    ) -> Answer<String> {
        self.writing(call)?;
        call.note_write();
        let raw = unlatin(name);
        let flags: Vec<&str> = flags.iter().map(String::as_str).filter(|f| is_flag(f)).collect();
        let date = received_ms
            .and_then(date)
            .map(|d| format!(" \"{d}\""))
            .unwrap_or_default();
        // Without waiting, where the server takes it so (RFC 7888).
        let sync = if self.session.offers("LITERAL+") { "+" } else { "" };
        let rest = format!("({}){date} {{{bytes}{sync}}}", flags.join(" "));
        let asking = self.session.asking("append a message");
        let begun = async {
            let tag = self
                .session
                .wire
                .begin(&[Word::Plain("APPEND"), Word::Name(&raw), Word::Plain(&rest)])
                .await?;
            if sync.is_empty() {
                self.session.wire.continued().await?;
            }
            Ok(tag)
        };
        let begun: Result<String, Trouble> = begun.await;
        match &begun {
            Ok(_) => self.appending = Some(asking),
            Err(_) => asking.end(outcome(&begun)),
        }
        begun.or_fault(self.connector, "APPEND")
    }

    /// More of the message.
    ///
    /// # Errors
    /// The fault.
    pub async fn bytes(&mut self, bytes: &[u8]) -> Answer<()> {
        let sent = self.session.wire.send(bytes).await;
        sent.map_err(Trouble::from).or_fault(self.connector, "APPEND")
    }

    /// Ends the message, and waits until the server has it.
    ///
    /// # Errors
    /// The fault; `Unknown` when it was sent and no answer came.
    pub async fn end(&mut self, tag: &str) -> Answer<()> {
        let finished = async {
            self.session.wire.send(b"\r\n").await?;
            self.session.wire.finish(tag, |_| {}).await
        };
        let finished = finished.await;
        if let Some(asking) = self.appending.take() {
            asking.end(match &finished {
                Ok((Condition::Ok, _)) => Ok(200),
                Ok((_, code)) => Ok(status(code)),
                Err(_) => Err("silence"),
            });
        }
        match finished {
            Ok((Condition::Ok, _)) => Ok(()),
            Ok((_, code)) => Err(self.connector.fault("APPEND", Trouble::Refused("take a message", code))),
            Err(lost) => Err(Fault {
                class: FaultClass::Unknown,
                ..self.connector.fault("APPEND", Trouble::Lost(lost))
            }),
        }
    }

    /// Signs out.
    pub async fn close(self) {
        self.session.close().await;
    }
}

/// A flag that can be sent: the server's own `\Recent` cannot.
fn is_flag(flag: &str) -> bool {
    let word = flag.strip_prefix('\\').unwrap_or(flag);
    !flag.eq_ignore_ascii_case("\\Recent")
        && !word.is_empty()
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"$_-.+!:".contains(&b))
}

fn date(ms: i64) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(ms).ok()?;
    Some(
        at.to_zoned(jiff::tz::TimeZone::UTC)
            .strftime("%d-%b-%Y %H:%M:%S +0000")
            .to_string(),
    )
}

#[derive(Default)]
struct Hashing {
    hasher: Sha256,
    done: Option<Digest>,
}

#[async_trait]
impl MailSink for Hashing {
    async fn begin(&mut self, _index: usize) -> Answer<()> {
        self.hasher = Sha256::new();
        Ok(())
    }
    async fn bytes(&mut self, bytes: &[u8]) -> Answer<()> {
        self.hasher.update(bytes);
        Ok(())
    }
    async fn end(&mut self) -> Answer<()> {
        let mut hash = [0; 32];
        hash.copy_from_slice(&self.hasher.finalize_reset());
        self.done = Some(Digest(hash));
        Ok(())
    }
}
