//! Any mail server that speaks IMAP4rev1 (RFC 3501): what is in a mailbox, read
//! as an administrator who acts for its owner, with an application's token, or by one
//! mailbox's own password; and messages put back.
//!
//! It owns the wire. It refuses to know what is done with a message, and never
//! has one whole in memory. Folders are opened read-only, so that nothing is
//! marked as seen.
//!
//! It finds nobody: a mail server knows no person, only the name of a mailbox,
//! which comes with the task.
//!
//! | file | what |
//! |---|---|
//! | `settings` | where the server is, and as whom |
//! | `wire`, `parse`, `name` | a connection; what is said on it; how folders are spelt |
//! | `session` | signed in, a folder open |
//! | `reader`, `restore` | out of a mailbox, and back into one |
//! | `doctor` | what would fail, before it does |

mod doctor;
mod name;
mod parse;
mod reader;
mod restore;
mod session;
mod settings;
mod wire;

pub use restore::{Present, Restoring};
pub use settings::{Access, ImapOpenError, ImapSettings, Security};

use crate::client_credentials::Tokens;
use crate::google::MailTokens;
use crate::http::{HttpClient, base_address};
use crate::{Answer, Call, Connector, Finding, MailReader};
use async_trait::async_trait;
use offboard_domain::{Fault, FaultClass, Kind, Receipt, System};
use session::{Server, Session, Trouble};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use wire::Lost;

/// Whose server it is, for metrics.
const VENDOR: &str = "imap";
/// What is spoken, for metrics and traces.
const PROTOCOL: &str = "imap";
/// Connections that are kept for the next primitive.
const IDLE_MAX: usize = 4;
/// How long one is kept: a server ends an idle one after half an hour.
const IDLE_FOR: Duration = Duration::from_secs(60);

/// One mail server.
pub struct ImapConnector {
    server: Server,
    idle: Mutex<Vec<Session>>,
}

impl std::fmt::Debug for ImapConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImapConnector")
            .field("system", &self.server.settings.system)
            .finish_non_exhaustive()
    }
}

impl ImapConnector {
    /// Opens a mail server. Sends nothing yet.
    ///
    /// # Errors
    /// [`ImapOpenError`] when an address or an authority cannot be used.
    pub fn open(http: &HttpClient, settings: &ImapSettings) -> Result<Self, ImapOpenError> {
        let loopback = ["localhost", "127.0.0.1", "::1"].contains(&settings.host.as_str());
        if settings.security == Security::None && !loopback {
            return Err(ImapOpenError::Unprotected);
        }
        if rustls::pki_types::ServerName::try_from(settings.host.clone()).is_err() {
            return Err(ImapOpenError::Host(settings.host.clone()));
        }
        let of_google = match &settings.access {
            Access::ServiceAccount { key, url } => {
                let address = base_address(url).map_err(|why| ImapOpenError::Address {
                    given: url.clone(),
                    why,
                })?;
                Some(MailTokens::new(
                    http.clone(),
                    settings.system.clone(),
                    key.clone(),
                    address,
                ))
            }
            Access::Delegate { .. } | Access::Joined { .. } | Access::Token { .. } | Access::Owner { .. } => None,
        };
        Ok(Self {
            server: Server {
                of_google,
                tls: settings::tls(settings)?,
                tokens: Tokens::new(
                    settings.system.clone(),
                    VENDOR,
                    http.clone(),
                    settings::grant(&settings.access),
                ),
                settings: settings.clone(),
            },
            idle: Mutex::new(Vec::new()),
        })
    }

    /// A signed-in connection: one that is left over, or a new one.
    async fn session(&self, call: &Call, login: &str) -> Result<Session, Trouble> {
        let left_over = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain(|s| s.used.elapsed() < IDLE_FOR);
            let fits = idle.iter().position(|s| s.login == login);
            fits.map(|at| idle.swap_remove(at))
        };
        if let Some(mut session) = left_over {
            session.wire.deadline = call.deadline();
            // A server may have ended it; then there is a new one.
            if session.ask("look", &[wire::Word::Plain("NOOP")]).await.is_ok() {
                return Ok(session);
            }
        }
        Session::open(&self.server, login, call).await
    }

    /// Keeps a connection on which everything was answered.
    fn give_back(&self, mut session: Session) {
        session.used = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(session);
        }
    }

    fn fault_of(&self, class: FaultClass, attempted: &str, detail: impl Into<String>) -> Fault {
        Fault {
            class,
            system: self.server.settings.system.clone(),
            attempted: attempted.to_owned(),
            status: None,
            code: None,
            detail: detail.into(),
            request_id: None,
        }
    }

    /// What trouble means.
    fn fault(&self, attempted: &str, trouble: Trouble) -> Fault {
        let settings = &self.server.settings;
        let transient = |detail: &str| self.fault_of(FaultClass::Transient, attempted, detail);
        match trouble {
            Trouble::Unreachable => transient("no connection could be made to the mail server; look at host, port and firewall"),
            Trouble::Tls(why) => self.fault_of(
                FaultClass::Denied,
                attempted,
                format!("TLS was not agreed on ({why}); name the server by its certificate's name, and its authority with ca"),
            ),
            Trouble::Lost(Lost::Silent) => transient("the mail server was silent for too long; it is read again"),
            Trouble::Lost(Lost::Broken) => transient("the mail server ended the connection; it is read again"),
            Trouble::Lost(Lost::Unread(why)) => transient(&format!("{why}; it is read again")),
            Trouble::NotSignedIn(code) if session::is_busy(&code) => Fault {
                code: word(&code),
                ..self.fault_of(
                    FaultClass::Throttled { retry_after_ms: None },
                    attempted,
                    "the mail server has too much to do to let anybody in",
                )
            },
            Trouble::NotSignedIn(code) if session::is_unavailable(&code) => Fault {
                code: Some(code),
                ..transient("the mail server cannot look anybody up just now")
            },
            Trouble::NotSignedIn(code) => Fault {
                code: word(&code),
                ..self.fault_of(
                    FaultClass::Denied,
                    attempted,
                    "the mail server did not accept the credential for this mailbox: there is no such mailbox, or the \
                     administrator may not act for it, or the password or token is wrong; `offboard doctor` tells which",
                )
            },
            Trouble::Refused(what, code) => Fault {
                code: word(&code),
                ..match code.split(' ').next().unwrap_or_default().to_uppercase().as_str() {
                    "NOPERM" | "PRIVACYREQUIRED" => self.fault_of(
                        FaultClass::Denied,
                        attempted,
                        format!("the mail server does not let this administrator {what}; give the right to read"),
                    ),
                    "LIMIT" | "INUSE" => self.fault_of(
                        FaultClass::Throttled { retry_after_ms: None },
                        attempted,
                        format!("the mail server has too much to do to {what}"),
                    ),
                    "OVERQUOTA" => self.fault_of(
                        FaultClass::Blocked,
                        attempted,
                        "the mailbox is full; make room, then try again",
                    ),
                    _ => transient(&format!("the mail server refused to {what}; it is tried again")),
                }
            },
            Trouble::LateId => transient("a message came before its id; it is asked for alone"),
            Trouble::Renewed => transient("the folder's ids began anew (UIDVALIDITY); it is read from its beginning"),
            Trouble::Token(fault) | Trouble::Sink(fault) => *fault,
            Trouble::AnotherMailbox => self.fault_of(
                FaultClass::Denied,
                attempted,
                "the configuration has the password of one mailbox, and this is another; name an administrator as `user`, \
                 or a system of its own for this mailbox",
            ),
            Trouble::Lacks(what) => self.fault_of(
                FaultClass::Unsupported,
                attempted,
                format!(
                    "the mail server at port {} does not offer {what}, which this way of signing in needs; choose another access in the tenant's configuration",
                    settings.port
                ),
            ),
        }
    }

    /// Notes that it answered.
    fn answered(call: &mut Call, request: &'static str) {
        call.note_source(VENDOR);
        call.note_read_receipt(Receipt {
            at: call.now(),
            request: request.to_owned(),
            status: 200,
            request_id: None,
        });
    }
}

/// The first word of a code, if it is one.
fn word(code: &str) -> Option<String> {
    let word = code.split(' ').next().unwrap_or_default();
    let fine = !word.is_empty() && word.len() <= 40 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    fine.then(|| word.to_owned())
}

/// The kinds that reading a mailbox suffices for.
pub(crate) const CLAIMS: [Kind; 1] = [Kind::ArchiveMailbox];

#[async_trait]
impl Connector for ImapConnector {
    fn system(&self) -> &System {
        &self.server.settings.system
    }

    fn vendor(&self) -> &'static str {
        VENDOR
    }

    fn claims(&self) -> BTreeSet<Kind> {
        CLAIMS.into()
    }

    fn mail(&self) -> Option<&dyn MailReader> {
        Some(self)
    }

    async fn check(&self, call: &mut Call) -> Vec<Finding> {
        doctor::check(self, call).await
    }
}

/// What every primitive here answers inside.
pub(crate) type Done<T> = Result<T, Trouble>;

/// For primitives: a fault out of trouble.
trait OrFault<T> {
    fn or_fault(self, connector: &ImapConnector, attempted: &str) -> Answer<T>;
}

impl<T> OrFault<T> for Done<T> {
    fn or_fault(self, connector: &ImapConnector, attempted: &str) -> Answer<T> {
        self.map_err(|trouble| connector.fault(attempted, trouble))
    }
}
