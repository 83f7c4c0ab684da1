//! The engine of a working folder, wherever it runs: in the process that
//! serves the folder, or, when nobody does, here.

use crate::backends::is_shared;
use crate::embedded::{Opened, socket};
use crate::error::{CliError, Exit};
use crate::out::Out;
use offboard_dispatcher::control::{self, CaseSummary, Client, ControlError, Request, Response};
use offboard_dispatcher::view::CaseView;
use offboard_domain::{CaseId, TenantId};
use offboard_runtime::Clock;
use offboard_runtime::config::{ConfigErrors, Configuration};
use offboard_store::Store;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a folder that another process holds without serving it is waited
/// for: another command is at it, or a server is just starting.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How long whoever only looks waits so, and for the first answer of whoever serves it: then
/// the ledger is read as it stands.
const READER_PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked at again.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A way to ask the engine of a working folder.
pub struct Session<'a> {
    config: &'a Configuration,
    clock: Arc<dyn Clock>,
    reach: Reach,
    /// It orders: the ledger is opened here only by a whole configuration.
    orders: bool,
    /// Of who only looks, as long as nobody has answered: the ledger is read in place of that.
    unanswered: bool,
    /// Where that is said, once.
    note: Option<Out>,
}

/// Where the engine is.
enum Reach {
    /// Another process serves the folder.
    Served(Box<Client>),
    /// Nobody does; it is open here.
    Alone(Box<Opened>),
    /// Its servers are open here; whether somebody dispatches is seen by what
    /// comes of it.
    Shared(Box<Opened>),
    /// Nobody answers, and its ledger could only be read, as it stands: another process has
    /// it, or nothing can be written.
    Read(Box<Opened>),
}

impl Reach {
    /// Whoever serves the folder decides by the configuration that he has read; who orders
    /// something where nobody does decides by his own.
    async fn of(
        config: &Configuration,
        clock: &Arc<dyn Clock>,
        patience: Duration,
        orders: bool,
    ) -> Result<Self, CliError> {
        let path = socket(config);
        let until = Instant::now() + patience;
        loop {
            if let Some(path) = &path
                && let Some(client) = Client::connect(path).await?
            {
                return Ok(Self::Served(Box::new(client)));
            }
            if orders {
                config.whole().map_err(|errors| not_whole(&errors))?;
            }
            match Opened::idle(config, clock.clone()).await {
                Ok(opened) if is_shared(config) => return Ok(Self::Shared(Box::new(opened))),
                Ok(opened) => return Ok(Self::Alone(Box::new(opened))),
                Err(error) if error.is_held() && Instant::now() < until => tokio::time::sleep(LOOK_AGAIN).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// The ledger as it stands, for who only looks, and says why where that was not said yet;
    /// where it cannot even be read, why is the error.
    fn to_read(
        config: &Configuration,
        clock: &Arc<dyn Clock>,
        note: Option<Out>,
        why: CliError,
    ) -> Result<Self, CliError> {
        let Ok(opened) = Opened::to_read(config, clock.clone()) else {
            return Err(why);
        };
        if let Some(out) = note {
            out.say(format!(
                "note: the ledger is read as it stands at this moment: {}",
                why.brief()
            ));
        }
        Ok(Self::Read(Box::new(opened)))
    }
}

impl<'a> Session<'a> {
    /// Reaches the engine of a working folder.
    ///
    /// # Errors
    /// [`CliError`] if it cannot be opened, or another process holds it and
    /// does not answer; and if nobody serves it while a tenant's file does not read.
    pub async fn open(config: &'a Configuration, clock: Arc<dyn Clock>) -> Result<Self, CliError> {
        let reach = Reach::of(config, &clock, PATIENCE, true).await?;
        Ok(Self {
            config,
            clock,
            reach,
            orders: true,
            unanswered: false,
            note: None,
        })
    }

    /// Reaches it for who only looks: where nobody answers and the folder cannot be opened,
    /// because another process has it or nothing can be written, its ledger is read, and
    /// that is said (`note`), once. So it is where a tenant's file does not read, unless
    /// somebody answers who has read it.
    ///
    /// # Errors
    /// As [`Session::open`], where it cannot even be read.
    pub async fn open_to_read(
        config: &'a Configuration,
        clock: Arc<dyn Clock>,
        mut note: Option<Out>,
    ) -> Result<Self, CliError> {
        let out = note;
        let reach = match Reach::of(config, &clock, READER_PATIENCE, false).await {
            Ok(reach) => reach,
            Err(error) => Reach::to_read(config, &clock, note.take(), error)?,
        };
        if !matches!(reach, Reach::Served(_))
            && let (Some(out), Err(errors)) = (out, config.whole())
        {
            for problem in errors.0 {
                out.say(format!(
                    "note: a tenant's file does not read, and nothing of it is known here: {problem}"
                ));
            }
        }
        Ok(Self {
            config,
            clock,
            reach,
            orders: false,
            unanswered: true,
            note,
        })
    }

    /// Of who goes on looking where the ledger is read as it stands: whoever answers by now
    /// is asked from here on.
    pub async fn look_for_an_answer(&mut self) {
        if !self.is_read() {
            return;
        }
        let Ok(reach) = Reach::of(self.config, &self.clock, Duration::ZERO, self.orders).await else {
            return;
        };
        if let Reach::Read(opened) = std::mem::replace(&mut self.reach, reach) {
            // It was open to be read alone: nothing of it is left to be written.
            drop(opened.ledger.close().await);
        }
        self.unanswered = true;
    }

    /// Whether another process serves the folder.
    #[must_use]
    pub fn is_served(&self) -> bool {
        matches!(self.reach, Reach::Served(_))
    }

    /// Whether it is sure that nobody carries out what is asked here.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(self.reach, Reach::Alone(_))
    }

    /// Whether nobody answers, and its ledger is read as it stands.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(self.reach, Reach::Read(_))
    }

    /// Asks; what was refused or failed is an error. A process that ended before
    /// it heard what was asked is no error: whoever has the folder now is asked.
    ///
    /// # Errors
    /// [`CliError`] with what the engine says.
    pub async fn ask(&mut self, request: Request) -> Result<Response, CliError> {
        let until = Instant::now() + PATIENCE;
        loop {
            match &mut self.reach {
                Reach::Served(client) => {
                    let asked = client.call(&request);
                    let answered = if self.unanswered {
                        // A process that hangs lets everybody in, and answers nobody.
                        tokio::time::timeout(READER_PATIENCE, asked).await
                    } else {
                        Ok(asked.await)
                    };
                    let why = match answered {
                        Ok(Err(ControlError::Unheard { .. })) if Instant::now() < until => {
                            self.reach = Reach::of(self.config, &self.clock, PATIENCE, self.orders).await?;
                            continue;
                        }
                        Ok(Err(error @ ControlError::NoAnswer { .. })) => CliError::from(error),
                        Ok(answered) => {
                            self.unanswered = false;
                            return refused(answered?);
                        }
                        Err(_) => silent(),
                    };
                    if !std::mem::take(&mut self.unanswered) {
                        return Err(why);
                    }
                    self.reach = Reach::to_read(self.config, &self.clock, self.note.take(), why)?;
                }
                Reach::Alone(opened) | Reach::Shared(opened) | Reach::Read(opened) => {
                    return refused(control::handle(&opened.engine, request).await);
                }
            }
        }
    }

    /// Asks for one case, or for what one case is after an order.
    ///
    /// # Errors
    /// As [`Session::ask`].
    pub async fn case(&mut self, request: Request) -> Result<CaseView, CliError> {
        match self.ask(request).await? {
            Response::Case(view) => Ok(*view),
            other => Err(unexpected(&other)),
        }
    }

    /// Every case that fits, page by page.
    ///
    /// # Errors
    /// As [`Session::ask`].
    pub async fn cases(&mut self, tenant: Option<&TenantId>, open_only: bool) -> Result<Vec<CaseSummary>, CliError> {
        let mut all: Vec<CaseSummary> = Vec::new();
        let mut after: Option<(TenantId, CaseId)> = None;
        loop {
            let request = Request::List {
                tenant: tenant.cloned(),
                open_only,
                after,
                limit: control::LIST_MAX,
            };
            let Response::Cases { cases, more } = self.ask(request).await? else {
                return Err(CliError::failed(
                    "failed to list cases: the engine answered something else",
                ));
            };
            after = cases.last().map(|c| (c.tenant.clone(), c.case));
            all.extend(cases);
            if !more || after.is_none() {
                return Ok(all);
            }
        }
    }

    /// The store of artifacts of the folder.
    ///
    /// # Errors
    /// [`CliError`] if it cannot be opened.
    pub fn store(&self, config: &Configuration) -> Result<Store, CliError> {
        match &self.reach {
            Reach::Alone(opened) | Reach::Shared(opened) | Reach::Read(opened) => Ok(opened.engine.store().clone()),
            Reach::Served(_) => Ok(Store::at(&config.engine.store)?),
        }
    }

    /// Lets the folder go, with everything written.
    ///
    /// # Errors
    /// [`CliError`] if the ledger could not be closed.
    pub async fn close(self) -> Result<(), CliError> {
        match self.reach {
            Reach::Served(_) => Ok(()),
            Reach::Alone(opened) | Reach::Shared(opened) | Reach::Read(opened) => Ok(opened.ledger.close().await?),
        }
    }
}

fn not_whole(errors: &ConfigErrors) -> CliError {
    CliError::of(errors).exit(Exit::Usage).next(
        "nobody who has read it serves this folder, so it would be decided here, without that tenant: mend what is named, look again with `offboard doctor`, then repeat this",
    )
}

fn silent() -> CliError {
    let within_s = READER_PATIENCE.as_secs();
    CliError::failed(format!(
        "the process that serves the folder did not answer within {within_s} s"
    ))
    .next("see with `offboard health` how it is; if it hangs, end it and start it again")
}

/// What was refused or failed, as an error.
///
/// # Errors
/// [`CliError`] with what the engine says.
pub fn refused(response: Response) -> Result<Response, CliError> {
    match response {
        Response::Refused { why } => Err(CliError::failed(why).exit(Exit::Failed)),
        Response::Failed { why, causes } => Err(CliError::failed(why).causes(causes)),
        Response::Ambiguous { given, candidates } => Err(CliError::usage(format!("'{given}' fits several"))
            .causes(candidates)
            .next("name one of them")),
        other => Ok(other),
    }
}

/// The engine answered what was not asked.
#[must_use]
pub fn unexpected(response: &Response) -> CliError {
    let got = serde_json::to_value(response)
        .ok()
        .and_then(|v| v.get("answer").and_then(|a| a.as_str().map(str::to_owned)));
    CliError::failed(format!(
        "the engine answered something else than was asked ({})",
        got.unwrap_or_else(|| "unreadable".to_owned())
    ))
    .next("both sides must be of one version: restart `offboard serve` with this program")
}
