//! One connection to one domain controller, and what goes over it.
//!
//! What it upholds:
//!
//! - Everything goes over TLS, to a controller whose certificate holds for the
//!   name that was configured. There is no other way in, so that no password
//!   could be sent in clear by mistake.
//! - What was written is read on the same controller: one connection serves all
//!   attempts, and another controller is asked only when it is lost. (Then what
//!   has not been replicated yet reads as it was, and is written once more.)
//! - Referrals are not followed: an answer does not choose to whom the
//!   credential goes.
//! - Answers are bounded in number and in time, and one that is no answer
//!   breaks the connection and nothing else.

use super::entry::Entry;
use super::fault::{Refused, code, status};
use super::filter::{At, Filter, Name};
use super::settings::{Controller, LdapOpenError, LdapSettings, controller, tls};
use crate::measured;
use crate::{Answer, Call};
use futures::FutureExt as _;
use ldap3::controls::{ControlType, PagedResults, RawControl};
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Mod, Scope};
use offboard_domain::{Fault, FaultClass, Receipt, System};
use offboard_runtime::Secret;
use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long one controller may take to let us in, and to answer one request.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// Objects in one page: below every server's limit (Active Directory's is 1,000).
const PAGE: usize = 500;

/// Most objects that one search is read to.
const OBJECTS_MAX: usize = 20_000;

/// Most values of one object that are read.
const VALUES_MAX: usize = 100_000;

/// Asks for names as `<GUID=…>;<SID=…>;name` ([MS-ADTS] 3.1.1.3.4.1.5).
const EXTENDED_NAMES: &str = "1.2.840.113556.1.4.529";
/// The control's value: a sequence of the number 1, for ids as text.
const IDS_AS_TEXT: [u8; 5] = [0x30, 0x03, 0x02, 0x01, 0x01];

/// What is spoken, for metrics and traces.
const PROTOCOL: &str = "ldap";

/// What the source of a reading is called in an observation.
const SOURCE: &str = "active_directory.ldap";

/// A tenant's way to its directory.
pub(crate) struct Wire {
    pub(crate) system: System,
    pub(crate) leavers_unit: Option<Name>,
    controllers: Vec<Controller>,
    user: String,
    password: Secret,
    config: Arc<rustls::ClientConfig>,
    session: Mutex<Option<Session>>,
    /// Values of an attribute in one part.
    part: usize,
    page: usize,
}

/// A connection on which somebody is signed in.
#[derive(Clone)]
pub(crate) struct Session {
    ldap: Ldap,
    /// The controller, as configured.
    pub(crate) controller: Controller,
    /// The domain's name.
    pub(crate) domain: Name,
    /// Where the schema is.
    pub(crate) schema: Name,
    /// The controller's clock ahead of ours, in milliseconds.
    pub(crate) ahead_ms: Option<i64>,
}

/// How a change is called in receipts and faults: never with a name in it.
type Label = &'static str;

/// What is told of a connection that broke.
const BROKEN: &str = "the connection to the domain controller broke before the answer";

/// Why there is no answer.
enum Lost {
    /// The time was over.
    Time,
    /// The connection broke.
    Broken,
    /// What came is no answer of a directory.
    Nonsense,
}

impl Wire {
    pub(crate) fn new(settings: &LdapSettings) -> Result<Self, LdapOpenError> {
        let read = |text: &String| controller(text).ok_or_else(|| LdapOpenError::Controller(text.clone()));
        let controllers: Vec<Controller> = settings.controllers.iter().map(read).collect::<Result<_, _>>()?;
        if controllers.is_empty() {
            return Err(LdapOpenError::Controller(String::new()));
        }
        Ok(Self {
            system: settings.system.clone(),
            leavers_unit: settings.leavers_unit.clone(),
            controllers,
            user: settings.user.clone(),
            password: settings.password.clone(),
            config: tls(settings.authority_pem.as_deref())?,
            session: Mutex::new(None),
            part: PAGE,
            page: PAGE,
        })
    }

    /// Reads in parts as small as this, as a server with low limits makes one.
    pub(crate) fn in_parts_of(&mut self, part: usize) {
        self.part = part.max(1);
        self.page = self.part;
    }

    /// A fault of this system.
    pub(crate) fn fault(&self, class: FaultClass, attempted: Label, detail: impl Into<String>) -> Fault {
        Fault {
            class,
            system: self.system.clone(),
            attempted: attempted.to_owned(),
            status: None,
            code: None,
            detail: detail.into(),
            request_id: None,
        }
    }

    pub(crate) fn refused(&self, attempted: Label, refused: &Refused) -> Fault {
        let (class, detail) = refused.meaning();
        Fault {
            code: Some(refused.code()),
            ..self.fault(class, attempted, detail)
        }
    }

    /// The connection that serves all, made anew if it is gone.
    pub(crate) async fn session(&self, call: &Call) -> Answer<Session> {
        let mut held = self.session.lock().await;
        if let Some(session) = held.as_mut()
            && !session.ldap.is_closed()
        {
            return Ok(session.clone());
        }
        *held = None;
        let mut last = None;
        for controller in &self.controllers {
            match self.enter(call, controller).await {
                Ok(session) => return Ok(held.insert(session).clone()),
                // A wrong password is wrong everywhere, and every try counts
                // towards the account's being locked.
                Err(fault) if fault.class == FaultClass::Denied && fault.code.is_some() => return Err(fault),
                Err(fault) => last = Some(fault),
            }
        }
        Err(last.unwrap_or_else(|| self.fault(FaultClass::Denied, "sign in", "no domain controller is configured")))
    }

    async fn forget(&self, session: &Session) {
        let mut held = self.session.lock().await;
        if held.as_ref().is_some_and(|s| s.controller == session.controller) {
            *held = None;
        }
    }

    async fn enter(&self, call: &Call, controller: &Controller) -> Answer<Session> {
        const SIGN_IN: Label = "sign in";
        let settings = LdapConnSettings::new().set_config(self.config.clone());
        let url = controller.url();
        let connecting = LdapConnAsync::with_settings(settings, &url);
        let asking = measured::ask(super::VENDOR, PROTOCOL, "connect", &controller.host, controller.port);
        let connected = bounded(call, connecting).await;
        // Whatever stood between, nothing was sent that could have an effect.
        asking.end(match &connected {
            Ok(Ok(_)) => Ok(status(code::SUCCESS)),
            Ok(Err(_)) | Err(_) => Err("not_sent"),
        });
        let (connection, mut ldap) = match connected {
            Ok(Ok(pair)) => pair,
            Ok(Err(error)) => return Err(self.unreachable(&controller.host, &error)),
            Err(lost) => return Err(self.lost(SIGN_IN, false, &lost)),
        };
        tokio::spawn(async move {
            // Whoever waits for an answer learns that none comes.
            let _ = AssertUnwindSafe(connection.drive()).catch_unwind().await;
        });
        let binding = ldap.simple_bind(&self.user, self.password.expose());
        let bound = asked(call, SIGN_IN, controller, binding, |bound| bound.rc).await;
        let result = self.answered(SIGN_IN, false, bound)?;
        if result.rc != code::SUCCESS {
            return Err(self.refused(SIGN_IN, &Refused::of(result.rc, &result.text)));
        }
        let asked_at_ms = call.now().0;
        let names = ["defaultNamingContext", "schemaNamingContext", "currentTime"];
        let mut root = self
            .page(
                call,
                controller,
                &mut ldap,
                &At::Root,
                Scope::Base,
                &Filter::any(),
                &names,
                Vec::new(),
            )
            .await?
            .0;
        let root = root.pop().unwrap_or_default();
        let named = |attribute| root.text(attribute).and_then(Name::parse);
        let (Some(domain), Some(schema)) = (named("defaultNamingContext"), named("schemaNamingContext")) else {
            let detail = "the server names no domain: it is no Active Directory domain controller";
            return Err(self.fault(FaultClass::Unsupported, SIGN_IN, detail));
        };
        let ahead_ms = root.text("currentTime").and_then(super::entry::generalized_time_ms);
        Ok(Session {
            ldap,
            controller: controller.clone(),
            domain,
            schema,
            ahead_ms: ahead_ms.map(|theirs| theirs - asked_at_ms),
        })
    }

    /// Why there is no connection, for who must mend it.
    fn unreachable(&self, host: &str, error: &LdapError) -> Fault {
        let tls = match error {
            LdapError::Io { source } => source.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()),
            LdapError::Rustls { source } => Some(source),
            _ => None,
        };
        let (class, why) = match tls {
            Some(error) => (FaultClass::Denied, distrust(error)),
            None => (
                FaultClass::Transient,
                "does not answer on the port of LDAPS; is it on, does the firewall let this machine through, and has it a certificate? It is tried again",
            ),
        };
        self.fault(class, "connect", format!("{host} {why}"))
    }

    fn lost(&self, attempted: Label, wrote: bool, lost: &Lost) -> Fault {
        let class = if wrote {
            FaultClass::Unknown
        } else {
            FaultClass::Transient
        };
        let detail = match lost {
            Lost::Time => "the domain controller did not answer in time",
            Lost::Broken => BROKEN,
            Lost::Nonsense => "what came from the domain controller is no answer of a directory",
        };
        self.fault(class, attempted, detail)
    }

    /// An answer, or the fault that it did not come.
    fn answered<T>(&self, attempted: Label, wrote: bool, answer: Result<Result<T, LdapError>, Lost>) -> Answer<T> {
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(self.lost(attempted, wrote, &Lost::Broken)),
            Err(lost) => Err(self.lost(attempted, wrote, &lost)),
        }
    }

    /// Reads one object whole: an attribute that comes in parts is read to its
    /// end. None when there is no such object, or none that we may see.
    pub(crate) async fn read(&self, call: &mut Call, at: &At, attributes: &[&str]) -> Answer<Option<Entry>> {
        const READ: Label = "read {object}";
        let ranged = |name: &str, from: usize| format!("{name};range={from}-{}", from + self.part - 1);
        let wanted: Vec<String> = attributes
            .iter()
            .map(|name| match name.strip_suffix(MANY) {
                Some(name) => ranged(name, 0),
                None => (*name).to_owned(),
            })
            .collect();
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let Some(mut entry) = self.read_once(call, at, &wanted).await? else {
            return Ok(None);
        };
        while !entry.unfinished.is_empty() {
            if entry.size() > VALUES_MAX {
                let detail = format!("the object has more than {VALUES_MAX} values; this is beyond what is read");
                return Err(self.fault(FaultClass::Rejected, READ, detail));
            }
            let next: Vec<String> = entry
                .unfinished
                .iter()
                .map(|(name, from)| ranged(name, *from))
                .collect();
            let next: Vec<&str> = next.iter().map(String::as_str).collect();
            match self.read_once(call, at, &next).await? {
                Some(more) if more.size() > 0 => entry.add(more),
                _ => {
                    let detail = "the object changed while it was read; it is read again";
                    return Err(self.fault(FaultClass::Transient, READ, detail));
                }
            }
        }
        Ok(Some(entry))
    }

    async fn read_once(&self, call: &mut Call, at: &At, attributes: &[&str]) -> Answer<Option<Entry>> {
        let mut found = match self.search(call, at, Scope::Base, &Filter::any(), attributes).await {
            Ok(found) => found,
            Err(fault) if fault.class == FaultClass::Absent => return Ok(None),
            Err(fault) => return Err(fault),
        };
        Ok(found.pop())
    }

    /// The first objects that match: enough to see what they are like, however
    /// small the server's pages are.
    pub(crate) async fn some(
        &self,
        call: &mut Call,
        at: &At,
        filter: &Filter,
        attributes: &[&str],
    ) -> Answer<Vec<Entry>> {
        let Session {
            mut ldap, controller, ..
        } = self.session(call).await?;
        let (mut found, mut cookie) = (Vec::new(), Vec::new());
        loop {
            let page = self.page(
                call,
                &controller,
                &mut ldap,
                at,
                Scope::Subtree,
                filter,
                attributes,
                cookie,
            );
            let (entries, next) = page.await?;
            found.extend(entries);
            if found.len() >= PAGE || next.is_empty() {
                return Ok(found);
            }
            cookie = next;
        }
    }

    /// All objects that match, page by page.
    pub(crate) async fn search(
        &self,
        call: &mut Call,
        at: &At,
        scope: Scope,
        filter: &Filter,
        attributes: &[&str],
    ) -> Answer<Vec<Entry>> {
        match self.pages(call, at, scope, filter, attributes).await {
            // A connection may have been closed while nobody used it, which is
            // noticed only now. To read twice does no harm.
            Err(fault) if fault.detail == BROKEN && !call.remaining().is_zero() => {
                self.pages(call, at, scope, filter, attributes).await
            }
            answer => answer,
        }
    }

    async fn pages(
        &self,
        call: &mut Call,
        at: &At,
        scope: Scope,
        filter: &Filter,
        attributes: &[&str],
    ) -> Answer<Vec<Entry>> {
        const SEARCH: Label = "search {filter}";
        let session = self.session(call).await?;
        let mut ldap = session.ldap.clone();
        let mut found = Vec::new();
        let mut cookie = Vec::new();
        loop {
            let page = self.page(
                call,
                &session.controller,
                &mut ldap,
                at,
                scope,
                filter,
                attributes,
                cookie,
            );
            let (entries, next) = match page.await {
                Ok(page) => page,
                Err(fault) => {
                    if fault.code.is_none() {
                        self.forget(&session).await;
                    }
                    return Err(fault);
                }
            };
            call.note_source(SOURCE);
            call.note_read_receipt(receipt(call, "GET ldap search", code::SUCCESS));
            found.extend(entries);
            if found.len() > OBJECTS_MAX {
                let detail = format!("more than {OBJECTS_MAX} objects match; this is beyond what is read");
                return Err(self.fault(FaultClass::Rejected, SEARCH, detail));
            }
            if next.is_empty() {
                return Ok(found);
            }
            cookie = next;
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a page is a search with its place in it")]
    async fn page(
        &self,
        call: &Call,
        controller: &Controller,
        ldap: &mut Ldap,
        at: &At,
        scope: Scope,
        filter: &Filter,
        attributes: &[&str],
        cookie: Vec<u8>,
    ) -> Answer<(Vec<Entry>, Vec<u8>)> {
        const SEARCH: Label = "search {filter}";
        let paged = PagedResults {
            size: i32::try_from(self.page).unwrap_or(i32::MAX),
            cookie,
        };
        let names = RawControl {
            ctype: EXTENDED_NAMES.to_owned(),
            crit: true,
            val: Some(IDS_AS_TEXT.to_vec()),
        };
        let controls: Vec<RawControl> = match scope {
            Scope::Base => vec![names],
            _ => vec![paged.into(), names],
        };
        // The server's own description knows no extended names.
        let controls = if *at == At::Root { Vec::new() } else { controls };
        let base = at.to_string();
        ldap.with_controls(controls);
        let searching = ldap.search(&base, scope, filter.as_str(), attributes.to_vec());
        let asked = asked(call, SEARCH, controller, searching, |found| found.1.rc).await;
        let found = self.answered(SEARCH, false, asked)?;
        let (results, end) = (found.0, found.1);
        if end.rc != code::SUCCESS {
            return Err(self.refused(SEARCH, &Refused::of(end.rc, &end.text)));
        }
        let mut entries = Vec::with_capacity(results.len());
        for result in results {
            if result.is_ref() || result.is_intermediate() {
                continue;
            }
            entries.push(Entry::read(result).ok_or_else(|| self.lost(SEARCH, false, &Lost::Nonsense))?);
        }
        let next = cookie_of(&end).map_err(|lost| self.lost(SEARCH, false, &lost))?;
        Ok((entries, next))
    }

    /// Changes one object. What the server refuses is the inner error; the
    /// caller knows which refusals are none.
    pub(crate) async fn modify(
        &self,
        call: &mut Call,
        attempted: Label,
        at: &At,
        changes: Vec<Change>,
    ) -> Answer<Result<(), Refused>> {
        let session = self.writing(call, attempted).await?;
        let mut ldap = session.ldap.clone();
        let name = at.to_string();
        let changes = changes.into_iter().flat_map(Change::on_the_wire).collect();
        call.note_write();
        let changing = ldap.modify(&name, changes);
        let answer = asked(call, attempted, &session.controller, changing, |changed| changed.rc).await;
        self.written(call, attempted, &session, answer).await
    }

    /// Moves one object below another, with its own name.
    pub(crate) async fn relocate(
        &self,
        call: &mut Call,
        attempted: Label,
        at: &At,
        first: &str,
        to: &Name,
    ) -> Answer<Result<(), Refused>> {
        let session = self.writing(call, attempted).await?;
        let mut ldap = session.ldap.clone();
        let name = at.to_string();
        call.note_write();
        let moving = ldap.modifydn(&name, first, true, Some(to.as_str()));
        let answer = asked(call, attempted, &session.controller, moving, |moved| moved.rc).await;
        self.written(call, attempted, &session, answer).await
    }

    async fn writing(&self, call: &Call, attempted: Label) -> Answer<Session> {
        if !call.may_write() {
            let detail = "a write was asked for where only reading is allowed; nothing was sent, report this";
            return Err(self.fault(FaultClass::Rejected, attempted, detail));
        }
        self.session(call).await
    }

    async fn written(
        &self,
        call: &mut Call,
        attempted: Label,
        session: &Session,
        answer: Result<Result<LdapResult, LdapError>, Lost>,
    ) -> Answer<Result<(), Refused>> {
        match self.answered(attempted, true, answer) {
            Ok(result) => {
                call.note_receipt(receipt(call, attempted, result.rc));
                Ok(match result.rc {
                    code::SUCCESS => Ok(()),
                    rc => {
                        let refused = Refused::of(rc, &result.text);
                        if refused.is_certain() {
                            call.note_refused();
                        }
                        Err(refused)
                    }
                })
            }
            Err(fault) => {
                self.forget(session).await;
                Err(fault)
            }
        }
    }
}

/// Marks an attribute that may have more values than come at once.
pub(crate) const MANY: &str = ";many";

/// One change of one attribute.
pub(crate) enum Change {
    /// This value and no other; none: no value.
    Set(&'static str, Option<Vec<u8>>),
    /// From this value to that, if it still has the first.
    Swap(&'static str, String, String),
    /// One value more.
    Add(&'static str, String),
    /// One value less.
    Take(&'static str, String),
}

impl Change {
    fn on_the_wire(self) -> Vec<Mod<Vec<u8>>> {
        let one = |value: String| HashSet::from([value.into_bytes()]);
        match self {
            Self::Set(name, value) => vec![Mod::Replace(name.into(), value.into_iter().collect())],
            Self::Swap(name, from, to) => {
                vec![Mod::Delete(name.into(), one(from)), Mod::Add(name.into(), one(to))]
            }
            Self::Add(name, value) => vec![Mod::Add(name.into(), one(value))],
            Self::Take(name, value) => vec![Mod::Delete(name.into(), one(value))],
        }
    }
}

fn receipt(call: &Call, request: &str, rc: u32) -> Receipt {
    Receipt {
        at: call.now(),
        request: request.to_owned(),
        status: u16::try_from(rc).unwrap_or(u16::MAX),
        request_id: None,
    }
}

/// Asks a controller for something, and measures how it is answered.
async fn asked<T>(
    call: &Call,
    what: Label,
    controller: &Controller,
    work: impl Future<Output = Result<T, LdapError>>,
    code: impl Fn(&T) -> u32,
) -> Result<Result<T, LdapError>, Lost> {
    let asking = measured::ask(super::VENDOR, PROTOCOL, what, &controller.host, controller.port);
    let answer = bounded(call, work).await;
    asking.end(match &answer {
        Ok(Ok(answer)) => Ok(status(code(answer))),
        Ok(Err(_)) | Err(_) => Err("silence"),
    });
    answer
}

/// Waits for an answer no longer than the call and one request may take, and
/// survives one that the client cannot read.
async fn bounded<T>(call: &Call, work: impl Future<Output = T>) -> Result<T, Lost> {
    let until = call.deadline().min(Instant::now() + ANSWER_WITHIN);
    match tokio::time::timeout_at(until, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(Lost::Nonsense),
        Err(_) => Err(Lost::Time),
    }
}

fn cookie_of(end: &LdapResult) -> Result<Vec<u8>, Lost> {
    let page = end
        .ctrls
        .iter()
        .find(|c| matches!(c.0, Some(ControlType::PagedResults)));
    let Some(control) = page else {
        return Ok(Vec::new());
    };
    // A value that is none makes the client panic.
    std::panic::catch_unwind(AssertUnwindSafe(|| control.1.parse::<PagedResults>().cookie)).map_err(|_| Lost::Nonsense)
}

/// Why a controller's certificate is not believed, and what mends it.
fn distrust(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError as C;
    match error {
        rustls::Error::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            "shows a certificate that does not hold for this name: it needs the name as a subjectAltName (a common name alone is not enough); issue one from the domain's authority, or configure the name that it has"
        }
        rustls::Error::InvalidCertificate(C::UnknownIssuer) => {
            "shows a certificate of an authority that is not trusted here; name the domain's authority in `ca`"
        }
        rustls::Error::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => {
            "shows a certificate that has expired; renew it on the domain controller"
        }
        rustls::Error::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. }) => {
            "shows a certificate that is not valid yet; look at the clocks of both machines"
        }
        rustls::Error::InvalidCertificate(_) => {
            "shows a certificate that cannot be believed; issue one of version 3 from the domain's authority, with the controller's name as a subjectAltName"
        }
        _ => "does not speak TLS as it should; look at its event log for Schannel errors",
    }
}
