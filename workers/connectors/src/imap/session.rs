//! One signed-in connection to one mailbox: made, used for one command after
//! another, and given back only when each was answered.

use super::parse::{Answered, Condition, Token};
use super::settings::{Access, ImapSettings, Security};
use super::wire::{Lost, Stream, Wire, Word};
use super::{PROTOCOL, VENDOR};
use crate::Call;
use crate::client_credentials::{self, Tokens};
use crate::google::{MailToken, MailTokens};
use crate::measured::{self, Asking};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use offboard_runtime::Secret;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

/// How opening a folder is called.
const OPEN: &str = "open a folder";
/// The longest that a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(20);
/// How a server offers to be told two names and a password.
const PLAIN: &str = "AUTH=PLAIN";
/// How it offers to be shown a token.
const XOAUTH2: &str = "AUTH=XOAUTH2";

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nobody answered at that address.
    Unreachable,
    /// The certificate is not trusted, or TLS cannot be agreed on.
    Tls(String),
    /// The connection.
    Lost(Lost),
    /// The name and password, or the token, were not accepted.
    NotSignedIn(String),
    /// A command was refused; its code (`NONEXISTENT`, `LIMIT`) if there was one.
    Refused(&'static str, String),
    /// The folder's ids have begun anew.
    Renewed,
    /// A message came before its id, and it is not known which it is.
    LateId,
    /// The token could not be had.
    Token(Box<offboard_domain::Fault>),
    /// The credential is of another mailbox than the one that was to be opened.
    AnotherMailbox,
    /// The server cannot do what is needed.
    Lacks(&'static str),
    /// What it was handed on to.
    Sink(Box<offboard_domain::Fault>),
}

impl From<Lost> for Trouble {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

/// What a folder was when it was opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Opened {
    pub(crate) name: String,
    pub(crate) validity: String,
    pub(crate) next: Option<u64>,
    pub(crate) messages: u64,
}

/// A signed-in connection.
pub(crate) struct Session {
    pub(crate) wire: Wire,
    pub(crate) login: String,
    pub(crate) offers: BTreeSet<String>,
    pub(crate) opened: Option<Opened>,
    pub(crate) used: Instant,
    host: String,
    port: u16,
}

/// A server, and how its certificate is trusted.
pub(crate) struct Server {
    pub(crate) settings: ImapSettings,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) tokens: Tokens,
    /// The tokens of a Google service account, if that is who signs in.
    pub(crate) of_google: Option<MailTokens>,
}

impl Server {
    /// A token, where one is signed in with; never the one that was refused.
    pub(crate) async fn token(
        &self,
        call: &Call,
        login: &str,
        refused: Option<&Bearer>,
    ) -> Result<Option<Bearer>, Trouble> {
        let given = match (&self.settings.access, &self.of_google) {
            (Access::Token { .. }, _) => {
                let refused = match refused {
                    Some(Bearer::Application(token)) => Some(token),
                    Some(Bearer::Mailbox(_)) | None => None,
                };
                self.tokens.get(call.deadline(), refused).await.map(Bearer::Application)
            }
            (Access::ServiceAccount { .. }, Some(tokens)) => {
                let refused = match refused {
                    Some(Bearer::Mailbox(token)) => Some(token),
                    Some(Bearer::Application(_)) | None => None,
                };
                tokens.get(call, login, refused).await.map(Bearer::Mailbox)
            }
            (
                Access::Delegate { .. } | Access::Joined { .. } | Access::Owner { .. } | Access::ServiceAccount { .. },
                _,
            ) => return Ok(None),
        };
        given.map(Some).map_err(|fault| Trouble::Token(Box::new(fault)))
    }

    /// Whether this token was given just now.
    async fn is_new(&self, token: &Bearer) -> bool {
        match token {
            Bearer::Application(token) => self.tokens.is_new(token).await,
            Bearer::Mailbox(token) => token.is_younger_than(client_credentials::NEW),
        }
    }
}

/// A token to sign in with.
pub(crate) enum Bearer {
    /// The application's, for whichever mailbox.
    Application(Secret),
    /// For one mailbox.
    Mailbox(MailToken),
}

impl Bearer {
    fn expose(&self) -> &str {
        match self {
            Self::Application(token) => token.expose(),
            Self::Mailbox(token) => token.expose(),
        }
    }
}

/// How a credential is said.
enum Words {
    /// In an exchange of this mechanism (RFC 3501 section 6.2.2).
    Sasl(&'static str, String),
    /// As a name and a password, for servers with no mechanism for them.
    Plainly(String, Secret),
}

impl Session {
    /// Connects and signs in as this mailbox's owner. A token that is refused
    /// may have been taken back before its end: a new one tells whether it was
    /// that. One that was given just now was not, and a server that has too much to
    /// do, or fails, has not looked at it.
    pub(crate) async fn open(server: &Server, login: &str, call: &Call) -> Result<Self, Trouble> {
        let only = server.settings.access.only_mailbox();
        if only.is_some_and(|only| !only.eq_ignore_ascii_case(login)) {
            return Err(Trouble::AnotherMailbox);
        }
        let deadline = call.deadline();
        let token = server.token(call, login, None).await?;
        let entered = Self::enter(server, login, deadline, token.as_ref()).await;
        let Err(Trouble::NotSignedIn(code)) = &entered else {
            return entered;
        };
        let Some(refused) = &token else {
            return entered;
        };
        if is_busy(code) || is_unavailable(code) || server.is_new(refused).await {
            return entered;
        }
        let token = server.token(call, login, Some(refused)).await?;
        Self::enter(server, login, deadline, token.as_ref()).await
    }

    async fn enter(server: &Server, login: &str, deadline: Instant, token: Option<&Bearer>) -> Result<Self, Trouble> {
        let (wire, offers) = connect(server, deadline).await?;
        let mut session = Self {
            wire,
            login: login.to_owned(),
            offers,
            opened: None,
            used: Instant::now(),
            host: server.settings.host.clone(),
            port: server.settings.port,
        };
        session.sign_in(server, login, token).await?;
        Ok(session)
    }

    /// The server is asked for something, for metrics and traces.
    pub(crate) fn asking(&self, what: &'static str) -> Asking {
        measured::ask(VENDOR, PROTOCOL, what, &self.host, self.port)
    }

    pub(crate) fn offers(&self, word: &str) -> bool {
        self.offers.contains(word)
    }

    async fn sign_in(&mut self, server: &Server, login: &str, token: Option<&Bearer>) -> Result<(), Trouble> {
        let words = match &server.settings.access {
            // LOGIN has no place for the second name.
            Access::Delegate { user, password } => {
                let text = format!("{login}\0{user}\0{}", password.expose());
                Words::Sasl("PLAIN", text)
            }
            Access::Joined {
                user,
                password,
                separator,
            } => self.by_password(format!("{login}{separator}{user}"), password),
            Access::Owner { password, .. } => self.by_password(login.to_owned(), password),
            Access::Token { .. } | Access::ServiceAccount { .. } => {
                let token = token.map(Bearer::expose).unwrap_or_default();
                let text = format!("user={login}\x01auth=Bearer {token}\x01\x01");
                Words::Sasl("XOAUTH2", text)
            }
        };
        if let Some(lacking) = lacking(&server.settings.access, &self.offers) {
            return Err(Trouble::Lacks(lacking));
        }
        let asking = self.asking("sign in");
        let signed_in = match &words {
            Words::Sasl(mechanism, text) => self.authenticate(mechanism, &STANDARD.encode(text)).await,
            Words::Plainly(name, password) => self.log_in(name, password).await,
        };
        asking.end(outcome(&signed_in));
        // What it offers to who is signed in.
        self.offers = match offered(&signed_in?) {
            Some(offers) => offers,
            None => capabilities(&mut self.wire).await?,
        };
        Ok(())
    }

    /// One name and its password, in the way that the server offers.
    fn by_password(&self, name: String, password: &Secret) -> Words {
        if self.offers(PLAIN) {
            Words::Sasl("PLAIN", format!("\0{name}\0{}", password.expose()))
        } else {
            Words::Plainly(name, password.clone())
        }
    }

    /// Signs in with LOGIN, and answers the code that the server said it with.
    async fn log_in(&mut self, name: &str, password: &Secret) -> Result<String, Trouble> {
        let words = [
            Word::Plain("LOGIN"),
            Word::Name(name.as_bytes()),
            Word::Name(password.expose().as_bytes()),
        ];
        let tag = self.wire.begin(&words).await?;
        match self.authenticated(&tag).await? {
            (Condition::Ok, code) => Ok(code),
            (_, code) => Err(Trouble::NotSignedIn(code)),
        }
    }

    /// Signs in, and answers the code that the server said it with.
    async fn authenticate(&mut self, mechanism: &str, answer: &str) -> Result<String, Trouble> {
        let (condition, code) = if self.offers("SASL-IR") {
            let whole = format!("AUTHENTICATE {mechanism} {answer}");
            let tag = self.wire.begin(&[Word::Plain(&whole)]).await?;
            self.authenticated(&tag).await?
        } else {
            let first = format!("AUTHENTICATE {mechanism}");
            let tag = self.wire.begin(&[Word::Plain(&first)]).await?;
            self.wire.continued().await?;
            self.wire.send(format!("{answer}\r\n").as_bytes()).await?;
            self.authenticated(&tag).await?
        };
        match condition {
            Condition::Ok => Ok(code),
            _ => Err(Trouble::NotSignedIn(code)),
        }
    }

    /// The end of signing in. A refused token is explained in a challenge,
    /// which an empty line answers.
    async fn authenticated(&mut self, tag: &str) -> Result<(Condition, String), Trouble> {
        loop {
            match self.wire.answer().await? {
                Answered::Continue(_) => self.wire.send(b"\r\n").await?,
                Answered::Status {
                    tag: Some(own),
                    condition,
                    code,
                } if own == tag => return Ok((condition, code)),
                Answered::Status {
                    condition: Condition::Bye,
                    ..
                } => return Err(Trouble::Lost(Lost::Broken)),
                Answered::Status { .. } | Answered::Data(_) => {}
            }
        }
    }

    /// A command and its data.
    pub(crate) async fn ask(&mut self, what: &'static str, words: &[Word<'_>]) -> Result<Vec<Vec<Token>>, Trouble> {
        let asking = self.asking(what);
        let answer = self.exchange(what, words).await;
        asking.end(outcome(&answer));
        answer
    }

    async fn exchange(&mut self, what: &'static str, words: &[Word<'_>]) -> Result<Vec<Vec<Token>>, Trouble> {
        let tag = self.wire.begin(words).await?;
        let mut found = Vec::new();
        let (condition, code) = self
            .wire
            .finish(&tag, |answered| {
                if let Answered::Data(tokens) = answered {
                    found.push(tokens);
                }
            })
            .await?;
        match condition {
            Condition::Ok => Ok(found),
            _ => Err(Trouble::Refused(what, code)),
        }
    }

    /// Opens a folder to be read (or written); nothing is marked as seen.
    pub(crate) async fn select(&mut self, name: &str, to_write: bool) -> Result<Opened, Trouble> {
        let asking = self.asking(OPEN);
        self.opened = None;
        let opened = self.selected(name, to_write).await;
        asking.end(outcome(&opened));
        self.opened = opened.as_ref().ok().cloned();
        opened
    }

    async fn selected(&mut self, name: &str, to_write: bool) -> Result<Opened, Trouble> {
        let raw = super::parse::unlatin(name);
        let verb = if to_write { "SELECT" } else { "EXAMINE" };
        let tag = self.wire.begin(&[Word::Plain(verb), Word::Name(&raw)]).await?;
        let mut opened = Opened {
            name: name.to_owned(),
            ..Opened::default()
        };
        let (condition, code) = self
            .wire
            .finish(&tag, |answered| match answered {
                Answered::Data(tokens) if tokens.get(1).is_some_and(|t| t.is("EXISTS")) => {
                    opened.messages = tokens[0].number().unwrap_or(0);
                }
                Answered::Status { code, .. } => match code.split_once(' ') {
                    Some(("UIDVALIDITY", value)) => opened.validity = value.to_owned(),
                    Some(("UIDNEXT", value)) => opened.next = value.parse().ok(),
                    _ => {}
                },
                Answered::Data(_) | Answered::Continue(_) => {}
            })
            .await?;
        match condition {
            Condition::Ok => Ok(opened),
            _ => Err(Trouble::Refused(OPEN, code)),
        }
    }

    /// Ends politely; whatever comes of it.
    pub(crate) async fn close(mut self) {
        let _ = self.ask("sign out", &[Word::Plain("LOGOUT")]).await;
    }
}

/// What signing in with this access needs and the server does not offer. A password alone
/// may go by LOGIN as well, which every server has unless it says otherwise; every
/// connection to another machine is protected by then.
pub(crate) fn lacking(access: &Access, offers: &BTreeSet<String>) -> Option<&'static str> {
    let has = |word: &str| offers.contains(word);
    match access {
        Access::Delegate { .. } => (!has(PLAIN)).then_some(PLAIN),
        Access::Joined { .. } | Access::Owner { .. } => {
            (!has(PLAIN) && has("LOGINDISABLED")).then_some("AUTH=PLAIN or LOGIN")
        }
        Access::Token { .. } | Access::ServiceAccount { .. } => (!has(XOAUTH2)).then_some(XOAUTH2),
    }
}

/// How an answer counts among those of all vendors.
pub(crate) fn outcome<T>(answer: &Result<T, Trouble>) -> Result<u16, &'static str> {
    match answer {
        Err(
            Trouble::Unreachable | Trouble::Tls(_) | Trouble::Token(_) | Trouble::AnotherMailbox | Trouble::Lacks(_),
        ) => Err("not_sent"),
        Err(Trouble::Lost(_)) => Err("silence"),
        Err(Trouble::NotSignedIn(code) | Trouble::Refused(_, code)) => Ok(status(code)),
        // It was answered; what came of that is not the server's.
        Ok(_) | Err(Trouble::Renewed | Trouble::LateId | Trouble::Sink(_)) => Ok(200),
    }
}

/// The same of a refusal, by its code (RFC 5530).
pub(crate) fn status(code: &str) -> u16 {
    match code.split(' ').next().unwrap_or_default().to_uppercase().as_str() {
        "LIMIT" | "INUSE" => 429,
        "UNAVAILABLE" | "SERVERBUG" => 503,
        _ => 400,
    }
}

/// Whether the server has too much to do, which says nothing of the credential.
pub(crate) fn is_busy(code: &str) -> bool {
    status(code) == 429
}

/// Whether the server failed to look anybody up, which does not either.
pub(crate) fn is_unavailable(code: &str) -> bool {
    status(code) == 503
}

/// Connects, with TLS as configured, and asks what is offered.
pub(crate) async fn connect(server: &Server, deadline: Instant) -> Result<(Wire, BTreeSet<String>), Trouble> {
    let settings = &server.settings;
    let asking = measured::ask(VENDOR, PROTOCOL, "connect", &settings.host, settings.port);
    let connected = connected(server, deadline).await;
    asking.end(outcome(&connected));
    connected
}

async fn connected(server: &Server, deadline: Instant) -> Result<(Wire, BTreeSet<String>), Trouble> {
    let settings = &server.settings;
    let until = deadline.min(Instant::now() + CONNECT_MAX);
    let at = (settings.host.as_str(), settings.port);
    let tcp = match tokio::time::timeout_at(until, TcpStream::connect(at)).await {
        Ok(Ok(tcp)) => tcp,
        Ok(Err(_)) | Err(_) => return Err(Trouble::Unreachable),
    };
    let _ = tcp.set_nodelay(true);
    let mut wire = match settings.security {
        Security::Tls => Wire::new(secured(server, Box::new(tcp), until).await?, deadline),
        Security::StartTls | Security::None => Wire::new(Box::new(tcp), deadline),
    };
    let greeting = wire.answer().await?;
    let Answered::Status { condition, code, .. } = greeting else {
        return Err(Trouble::Lost(Lost::Unread("the server does not greet as one of IMAP")));
    };
    if condition == Condition::Bye {
        return Err(Trouble::Refused("connect", code));
    }
    if settings.security == Security::StartTls {
        let tag = wire.begin(&[Word::Plain("STARTTLS")]).await?;
        let (condition, code) = wire.finish(&tag, |_| {}).await?;
        if condition != Condition::Ok {
            return Err(Trouble::Refused("begin TLS", code));
        }
        wire = Wire::new(secured(server, wire.into_stream()?, until).await?, deadline);
    } else if let Some(offers) = offered(&code) {
        return Ok((wire, offers));
    }
    let offers = capabilities(&mut wire).await?;
    Ok((wire, offers))
}

async fn secured(server: &Server, plain: Box<dyn Stream>, until: Instant) -> Result<Box<dyn Stream>, Trouble> {
    let name = ServerName::try_from(server.settings.host.clone())
        .map_err(|_| Trouble::Tls("the host's name cannot be in a certificate".to_owned()))?;
    let connector = TlsConnector::from(server.tls.clone());
    match tokio::time::timeout_at(until, connector.connect(name, plain)).await {
        Ok(Ok(tls)) => Ok(Box::new(tls)),
        Ok(Err(e)) => Err(Trouble::Tls(e.to_string())),
        Err(_) => Err(Trouble::Lost(Lost::Silent)),
    }
}

async fn capabilities(wire: &mut Wire) -> Result<BTreeSet<String>, Trouble> {
    let tag = wire.begin(&[Word::Plain("CAPABILITY")]).await?;
    let mut offers = BTreeSet::new();
    wire.finish(&tag, |answered| {
        if let Answered::Data(tokens) = answered
            && tokens.first().is_some_and(|t| t.is("CAPABILITY"))
        {
            offers.extend(tokens[1..].iter().map(|t| t.text().to_uppercase()));
        }
    })
    .await?;
    Ok(offers)
}

/// What a code says is offered.
fn offered(code: &str) -> Option<BTreeSet<String>> {
    let words = code.strip_prefix("CAPABILITY ")?;
    Some(words.split(' ').map(str::to_uppercase).collect())
}
