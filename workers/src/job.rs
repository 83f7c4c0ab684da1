//! One task's dealings within one attempt: what it is about, the call that it
//! lends to the vendor's primitives, and what it keeps in the store.
//!
//! Writes go through [`Job::writing`], which looks at the time that is left
//! before every one of them.

use crate::Context;
use offboard_connectors::{
    Answer, AppAccount, Apps, Attached, Call, Connector, Desk, Devices, Directory, Documents, FileTransfers, Fleet,
    Held, Laptops, Licenses, MailFolder, MailReader, Mailboxes, ManagedDevice, Member, Notes, NotesPage, Phones,
    Premises, Scripts, SharedDrives, Site, Workspace, WorkspaceMail, WorkspaceMailSettings,
};
use offboard_domain::assignment::take_baseline;
use offboard_domain::catalogue::{LEAVING, Proof};
use offboard_domain::{
    Artifact, Assignment, AttemptMark, CaseId, Digest, Facts, Fault, FaultClass, Find, Kind, Lane, Mode, ObjectId,
    Observation, Subject, Target, TenantId,
};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// What a procedure read.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// What goes into the observation.
    pub facts: Facts,
    /// The same as the vendor's own values, for the write that may follow.
    pub things: Things,
    /// What a finder found.
    pub finds: Vec<Find>,
}

/// The vendor's values behind the facts.
#[derive(Debug, Default)]
pub(crate) enum Things {
    /// None are needed.
    #[default]
    Nothing,
    /// What an account holds.
    Held(Vec<Held>),
    /// What hangs on a mailbox.
    Attached(Vec<Attached>),
    /// Licences to release.
    Skus(Vec<String>),
    /// A personal site.
    Site(Site),
    /// A managed device's record.
    Managed(ManagedDevice),
    /// An account in an app.
    App(Box<AppAccount>),
    /// An account of a workspace.
    Member(Box<Member>),
    /// One, with what its mailbox does.
    MemberMail(Box<(Member, WorkspaceMailSettings)>),
    /// A mailbox's folders.
    Folders(Vec<MailFolder>),
    /// A page of notes.
    Notes(Box<NotesPage>),
}

impl Seen {
    /// Facts alone.
    pub(crate) fn facts(facts: Facts) -> Self {
        Self {
            facts,
            ..Self::default()
        }
    }

    /// Facts, and the values behind them.
    pub(crate) fn with(facts: Facts, things: Things) -> Self {
        Self {
            facts,
            things,
            finds: Vec::new(),
        }
    }

    pub(crate) fn held(&self) -> &[Held] {
        match &self.things {
            Things::Held(held) => held,
            _ => &[],
        }
    }

    pub(crate) fn attached(&self) -> &[Attached] {
        match &self.things {
            Things::Attached(attached) => attached,
            _ => &[],
        }
    }
}

/// One task within one attempt.
pub(crate) struct Job<'a> {
    pub context: &'a Context,
    pub connector: &'a dyn Connector,
    pub tenant: &'a TenantId,
    pub case: CaseId,
    pub attempt: u32,
    pub mode: Mode,
    pub kind: Kind,
    pub target: &'a Target,
    pub subject: &'a Subject,
    pub params: &'a Facts,
    /// What the last slice left behind.
    pub remembered: Facts,
    /// What was read last, if that was not the wanted state.
    pub otherwise: Option<Observation>,
    /// What was read before the first write, if one was begun. A counter's is remembered.
    pub first: Option<Observation>,
    pub call: Call,
    pub artifacts: Vec<Artifact>,
    started: Instant,
}

impl<'a> Job<'a> {
    pub(crate) fn new(
        context: &'a Context,
        connector: &'a dyn Connector,
        assignment: &'a Assignment,
        lane: Lane,
        started: Instant,
        deadline: Instant,
    ) -> Self {
        let mut remembered = assignment.checkpoint.clone().unwrap_or_default();
        // A dispatcher of an older version gives back what was handed over to it.
        if assignment.kind.spec().proof != Proof::Counter {
            drop(take_baseline(&mut remembered));
        }
        Self {
            context,
            connector,
            tenant: &assignment.tenant,
            case: assignment.case,
            attempt: assignment.attempt,
            mode: assignment.mode,
            kind: assignment.kind,
            target: &assignment.target,
            subject: &assignment.subject,
            params: &assignment.params,
            remembered,
            otherwise: None,
            first: None,
            call: Call::new(context.clock.clone(), deadline, lane)
                .marked(Some(AttemptMark::of(assignment.task, assignment.attempt)))
                .not_counting(leaving(&assignment.params)),
            artifacts: Vec::new(),
            started,
        }
    }

    /// The same attempt's reading of another task.
    pub(crate) fn reading(&self, kind: Kind, target: &'a Target, params: &'a Facts, remembered: Facts) -> Self {
        Self {
            context: self.context,
            connector: self.connector,
            tenant: self.tenant,
            case: self.case,
            attempt: self.attempt,
            mode: self.mode,
            kind,
            target,
            subject: self.subject,
            params,
            remembered,
            otherwise: None,
            first: None,
            call: Call::new(self.context.clock.clone(), self.call.deadline(), self.call.lane())
                .marked(self.call.mark()),
            artifacts: Vec::new(),
            started: self.started,
        }
    }

    /// The subject's account in the task's system.
    pub(crate) fn account(&self) -> Answer<ObjectId> {
        self.subject.0.get(&self.target.system).cloned().ok_or_else(|| {
            self.fault(
                FaultClass::Rejected,
                "the assignment names no account in this system; the case must resolve the person there first",
            )
        })
    }

    /// The successor, if the task has one.
    pub(crate) fn successor(&self) -> Option<ObjectId> {
        self.params.text("successor_id").map(ObjectId::from)
    }

    /// The successor, for a write that cannot do without. He was looked up when
    /// the leaver was, and may have left himself since: what is given to an
    /// account that is disabled, nobody has.
    pub(crate) async fn needed_successor(&mut self) -> Answer<ObjectId> {
        let Some(id) = self.successor() else {
            return Err(self.no_successor("there is no successor"));
        };
        self.must_stay(&id).await?;
        Ok(id)
    }

    /// A person is asked if whoever is to be given something is no longer there.
    pub(crate) async fn must_stay(&mut self, id: &ObjectId) -> Answer<()> {
        if self.is_enabled(id).await? {
            return Ok(());
        }
        Err(self.no_successor("the successor's account is disabled or gone: he has left himself"))
    }

    /// Whether the successor is still there: what he was given before he left himself,
    /// nobody has.
    pub(crate) async fn successor_enabled(&mut self) -> Answer<bool> {
        match self.successor() {
            Some(id) => self.is_enabled(&id).await,
            None => Ok(false),
        }
    }

    /// Whether an account is there and enabled. A system without accounts says of
    /// nobody that he is not.
    pub(crate) async fn is_enabled(&mut self, id: &ObjectId) -> Answer<bool> {
        let Some(directory) = self.connector.directory() else {
            return Ok(true);
        };
        match directory.account(&mut self.call, id).await {
            Ok(account) => Ok(account.enabled),
            Err(fault) if fault.class == FaultClass::Absent => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    pub(crate) fn no_successor(&self, why: &str) -> Fault {
        let next = "waive this, or cancel and hand the departure in with another successor under a new reference";
        self.fault(FaultClass::Blocked, &format!("{why}; {next}"))
    }

    pub(crate) fn directory(&self) -> Answer<&'a dyn Directory> {
        self.connector.directory().ok_or_else(|| self.lacks("accounts"))
    }

    pub(crate) fn mailboxes(&self) -> Answer<&'a dyn Mailboxes> {
        self.connector.mailboxes().ok_or_else(|| self.lacks("mailboxes"))
    }

    pub(crate) fn mail(&self) -> Answer<&'a dyn MailReader> {
        self.connector.mail().ok_or_else(|| self.lacks("mail to be read"))
    }

    pub(crate) fn devices(&self) -> Answer<&'a dyn Devices> {
        self.connector.devices().ok_or_else(|| self.lacks("devices"))
    }

    pub(crate) fn fleet(&self) -> Answer<&'a dyn Fleet> {
        self.connector.fleet().ok_or_else(|| self.lacks("remote management"))
    }

    pub(crate) fn desk(&self) -> Answer<&'a dyn Desk> {
        self.connector.desk().ok_or_else(|| self.lacks("tickets"))
    }

    pub(crate) fn notes(&self) -> Answer<&'a dyn Notes> {
        self.connector.notes().ok_or_else(|| self.lacks("pages of notes"))
    }

    pub(crate) fn premises(&self) -> Answer<&'a dyn Premises> {
        self.connector
            .premises()
            .ok_or_else(|| self.lacks("accounts on the premises"))
    }

    pub(crate) fn scripts(&self) -> Answer<&'a dyn Scripts> {
        self.connector.scripts().ok_or_else(|| self.lacks("program to run"))
    }

    pub(crate) fn apps(&self) -> Answer<&'a dyn Apps> {
        self.connector.apps().ok_or_else(|| self.lacks("accounts of an app"))
    }

    pub(crate) fn workspace(&self) -> Answer<&'a dyn Workspace> {
        self.connector
            .workspace()
            .ok_or_else(|| self.lacks("accounts of a workspace"))
    }

    pub(crate) fn workspace_mail(&self) -> Answer<&'a dyn WorkspaceMail> {
        self.connector
            .workspace_mail()
            .ok_or_else(|| self.lacks("mail settings of a workspace"))
    }

    pub(crate) fn file_transfers(&self) -> Answer<&'a dyn FileTransfers> {
        self.connector
            .file_transfers()
            .ok_or_else(|| self.lacks("transfers of files"))
    }

    pub(crate) fn shared_drives(&self) -> Answer<&'a dyn SharedDrives> {
        self.connector
            .shared_drives()
            .ok_or_else(|| self.lacks("shared drives"))
    }

    pub(crate) fn laptops(&self) -> Answer<&'a dyn Laptops> {
        self.connector.laptops().ok_or_else(|| self.lacks("laptops"))
    }

    pub(crate) fn phones(&self) -> Answer<&'a dyn Phones> {
        self.connector.phones().ok_or_else(|| self.lacks("phones"))
    }

    pub(crate) fn licenses(&self) -> Answer<&'a dyn Licenses> {
        self.connector.licenses().ok_or_else(|| self.lacks("licences"))
    }

    pub(crate) fn documents(&self) -> Answer<&'a dyn Documents> {
        self.connector.documents().ok_or_else(|| self.lacks("personal files"))
    }

    fn lacks(&self, what: &str) -> Fault {
        self.fault(
            FaultClass::Unsupported,
            &format!(
                "this system's connector offers no {what}; choose another system for it in the tenant's configuration"
            ),
        )
    }

    /// A fault of this task's own making. The detail names no person.
    pub(crate) fn fault(&self, class: FaultClass, detail: &str) -> Fault {
        Fault {
            class,
            system: self.target.system.clone(),
            attempted: self.kind.name().to_owned(),
            status: None,
            code: None,
            detail: detail.to_owned(),
            request_id: None,
        }
    }

    /// The call, for a write: refused when the attempt's time is over.
    pub(crate) fn writing(&mut self) -> Answer<&mut Call> {
        if self.call.remaining().is_zero() {
            return Err(self.fault(
                FaultClass::Transient,
                "the attempt's time ended before the next write; the rest follows",
            ));
        }
        Ok(&mut self.call)
    }

    /// Whether there is time to begin another item: a quarter of the attempt
    /// is left for reading back and reporting.
    pub(crate) fn time_for_more(&self) -> bool {
        const KEPT_SHARE: u32 = 4;
        let whole: Duration = self.call.deadline().saturating_duration_since(self.started);
        self.call.remaining() > whole / KEPT_SHARE
    }

    /// Engine time, in milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        self.call.now().0
    }

    /// Keeps a value in the store as an artifact of the case.
    pub(crate) async fn keep(&mut self, name: &str, value: &impl serde::Serialize) -> Answer<()> {
        let json = serde_json::to_vec(value).map_err(|_| {
            self.fault(
                FaultClass::Rejected,
                "what was read cannot be written as JSON; report this",
            )
        })?;
        self.keep_bytes(name, "application/json", json).await.map(drop)
    }

    /// Keeps bytes in the store as an artifact of the case.
    pub(crate) async fn keep_bytes(&mut self, name: &str, media_type: &str, bytes: Vec<u8>) -> Answer<Digest> {
        let size_bytes = bytes.len() as u64;
        let digest = self.context.store.put(bytes).await.map_err(|e| {
            tracing::warn!(
                kind = self.kind.name(),
                error = e.with_causes(),
                "failed to keep an artifact"
            );
            self.fault(
                FaultClass::Transient,
                "the store did not take what was read; look at the store",
            )
        })?;
        self.artifacts.retain(|a| a.name != name);
        self.artifacts.push(Artifact {
            name: name.to_owned(),
            digest,
            media_type: media_type.to_owned(),
            size_bytes,
        });
        Ok(digest)
    }

    /// What was read just now, as an observation.
    pub(crate) fn observation(&mut self, facts: Facts) -> Observation {
        let mut sources = self.call.take_sources();
        if sources.is_empty() {
            sources.push(self.target.system.to_string());
        }
        Observation {
            read_at: self.call.now(),
            sources,
            facts,
        }
    }
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// Everything was asked for.
    All,
    /// Time ran short: the rest follows in another slice.
    Part,
}

/// Many items, one after the other. What stops one of them does not stop the
/// others; what stops the system stops all.
#[derive(Debug, Default)]
pub(crate) struct Items {
    first: Option<Fault>,
    cut_short: bool,
    /// Whether anything was done.
    done: bool,
}

impl Items {
    /// Whether there is time for the next one. While nothing came of any there is, to
    /// the attempt's end: a slice that begins nothing is no progress, and the next one
    /// would come no further.
    pub(crate) fn go_on(&mut self, job: &Job<'_>) -> bool {
        let came_of_it = self.done || self.first.is_some();
        self.cut_short = self.cut_short || came_of_it && !job.time_for_more();
        !self.cut_short
    }

    /// Notes what became of one.
    pub(crate) fn note(&mut self, done: Answer<()>) -> Answer<()> {
        match done {
            Ok(()) => self.done = true,
            Err(fault) => match fault.class {
                FaultClass::Blocked | FaultClass::Rejected | FaultClass::Unsupported => {
                    self.first.get_or_insert(fault);
                }
                // Already gone, which is what was wanted; the reading afterwards tells.
                FaultClass::Absent => {}
                FaultClass::Transient | FaultClass::Throttled { .. } | FaultClass::Denied | FaultClass::Unknown => {
                    return Err(fault);
                }
            },
        }
        Ok(())
    }

    /// What became of all.
    pub(crate) fn end(self) -> Answer<Applied> {
        match self.first {
            // The others first: this one is met again in the last slice. A slice in which
            // nothing was done is one.
            Some(fault) if !self.cut_short || !self.done => Err(fault),
            _ if self.cut_short => Ok(Applied::Part),
            _ => Ok(Applied::All),
        }
    }
}

/// Ids as a fact, in order and each once.
pub(crate) fn ids<T: ToString>(of: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut ids: Vec<String> = of.into_iter().map(|id| id.to_string()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Who leaves, too, as the task was told.
fn leaving(params: &Facts) -> BTreeSet<ObjectId> {
    let ids = params.list(LEAVING).unwrap_or_default();
    ids.iter().map(|id| ObjectId::from(id.as_str())).collect()
}

/// A count as a fact.
pub(crate) fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
