//! A program of the MSP's own, for one thing that must be so when somebody has
//! left and that nothing else here can do: a script, in whatever it is written.
//!
//! It owns the process and the agreement with it: who is told what, what comes
//! back, and how far it may go. It refuses to know what the program is for, and
//! believes one thing of it alone: what it says when it is asked how things
//! stand, as a process of its own. That it was asked to bring something about,
//! and said that it had, proves nothing.
//!
//! What it is told about a person goes to its standard input, exactly as it is:
//! never into a command line, which everybody on the machine can read and a
//! shell could misread. What it writes goes nowhere but into the facts of an
//! observation, checked for name and size; a fault carries a code, a log neither.
//!
//! | file | what |
//! |---|---|
//! | `settings` | which program, with what, and how far it may go |
//! | `run` | one process, and its end |
//! | `wire` | one question, one answer |
//! | `fault` | what a run means |
//! | `trust` | who may change the program |
//! | `doctor` | what is missing before a departure needs it |

mod doctor;
mod fault;
mod run;
mod settings;
mod trust;
mod wire;

pub use settings::ProgramSettings;

use crate::area::scripts::{Errand, ScriptStanding, Scripts};
use crate::{Answer, Call, Connector, Finding, Severity};
use async_trait::async_trait;
use fault::Meaning;
use offboard_domain::{Kind, Receipt, System};
use run::Ran;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wire::{Answered, Ask};

/// One program of one tenant.
#[derive(Debug)]
pub struct ProgramConnector {
    settings: ProgramSettings,
}

/// Whose service it is, for metrics.
const VENDOR: &str = "program";

/// Where it was read, for an observation's sources.
const SOURCE: &str = "program";

impl ProgramConnector {
    /// Takes a program on. Starts nothing yet.
    #[must_use]
    pub fn open(settings: ProgramSettings) -> Self {
        Self { settings }
    }

    /// One run, and what it answered. The time is the call's, if that is less
    /// than a run may take.
    async fn ask<T>(
        &self,
        call: &Call,
        ask: Ask,
        errand: Option<&Errand>,
        read: impl FnOnce(&[u8]) -> Answered<T>,
    ) -> Result<T, Meaning> {
        let settings = &self.settings;
        for flaw in self.flaws().await? {
            if flaw.severity == Severity::Problem {
                return Err(fault::untrusted(&flaw.what));
            }
        }
        let question = wire::question(ask, settings.tenant.as_str(), errand);
        let within = settings.timeout.min(call.remaining());
        let ran = self.run(question, within, ask).await?;
        match read(&ran.stdout) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(met)) => Err(fault::met(&met)),
            Err(wrong) => Err(fault::wrong(&wrong, &ran, ask)),
        }
    }

    async fn run(&self, question: Vec<u8>, within: Duration, ask: Ask) -> Result<Ran, Meaning> {
        let ran = run::run(&self.settings, question, within)
            .await
            .map_err(|e| fault::failed(&e, ask, within, self.settings.max_output_bytes))?;
        match fault::ended(&ran, ask) {
            Some(meaning) => Err(meaning),
            None => Ok(ran),
        }
    }

    /// Who may change the files that are run and should not. That a file is not
    /// there, or not executable, is told by starting it.
    async fn flaws(&self) -> Result<Vec<trust::Flaw>, Meaning> {
        let files = files(&self.settings);
        let looked = tokio::task::spawn_blocking(move || {
            let each = files.iter().map(|(file, _)| trust::of_file(file, false));
            each.filter_map(Result::ok).flatten().collect::<Vec<_>>()
        });
        looked.await.map_err(|_| fault::untrusted("it could not be looked at"))
    }

    fn receipt(&self, call: &Call, ask: Ask, request_id: Option<String>) -> Receipt {
        Receipt {
            at: call.now(),
            request: format!("RUN {}", ask.word()),
            // A program that has answered has ended with 0.
            status: 0,
            request_id,
        }
    }
}

/// The program, and every argument that is the absolute path of a file: the
/// script of an interpreter is as good as a program. With it, whether it is
/// executed.
fn files(settings: &ProgramSettings) -> Vec<(PathBuf, bool)> {
    let arguments = settings.arguments.iter().map(Path::new);
    let scripts = arguments.filter(|a| a.is_absolute() && a.is_file());
    std::iter::once((settings.program.clone(), true))
        .chain(scripts.map(|s| (s.to_owned(), false)))
        .collect()
}

#[async_trait]
impl Scripts for ProgramConnector {
    async fn observe(&self, call: &mut Call, errand: &Errand) -> Answer<ScriptStanding> {
        let standing = self.ask(call, Ask::Observe, Some(errand), wire::standing).await;
        let standing = standing.map_err(|m| m.fault(&self.settings.system, Ask::Observe))?;
        call.note_source(SOURCE);
        let receipt = self.receipt(call, Ask::Observe, None);
        call.note_read_receipt(receipt);
        Ok(standing)
    }

    async fn apply(&self, call: &mut Call, errand: &Errand) -> Answer<()> {
        if !call.may_write() {
            let refused = fault::untrusted("the attempt has no leave to write; report this");
            return Err(refused.fault(&self.settings.system, Ask::Apply));
        }
        call.note_write();
        let asked = self.ask(call, Ask::Apply, Some(errand), wire::asked).await;
        if asked.as_ref().is_err_and(Meaning::is_refusal) {
            call.note_refused();
        }
        let request_id = asked.map_err(|m| m.fault(&self.settings.system, Ask::Apply))?;
        let receipt = self.receipt(call, Ask::Apply, request_id);
        call.note_receipt(receipt);
        Ok(())
    }
}

#[async_trait]
impl Connector for ProgramConnector {
    fn system(&self) -> &System {
        &self.settings.system
    }

    fn vendor(&self) -> &'static str {
        VENDOR
    }

    fn claims(&self) -> BTreeSet<Kind> {
        let run = match self.settings.irreversible {
            true => Kind::RunIrreversibleScript,
            false => Kind::RunScript,
        };
        BTreeSet::from([run, Kind::ObserveIdentity])
    }

    fn scripts(&self) -> Option<&dyn Scripts> {
        Some(self)
    }

    async fn check(&self, call: &mut Call) -> Vec<Finding> {
        doctor::check(self, call).await
    }
}
