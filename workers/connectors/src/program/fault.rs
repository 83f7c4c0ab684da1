//! What became of a run, as a fault: the one place where an exit code becomes a
//! class.
//!
//! | what came back | asked to read | asked to write |
//! |---|---|---|
//! | the program is not there, may not be started, or others may change it | denied | denied |
//! | this machine could not start another process | transient | transient |
//! | nothing in time; death by a signal; an exit code that is not 0 | transient | unknown |
//! | too much output; not the answer that was agreed on | rejected | unknown |
//! | a fault of its own: throttled, denied, invalid, unavailable | throttled, denied, rejected, transient | the same |
//!
//! A program that was asked to write and did not answer as agreed may have done
//! anything, so it is read before it is asked again. A program that cannot even
//! say how things stand must be mended by a person.
//!
//! Nothing that the program wrote goes into a fault but its code, which is a
//! word; how much it wrote to standard error is said, never what.

use super::run::{Failed, Ran, Stderr};
use super::wire::{Ask, Met, Wrong};
use offboard_domain::{Fault, FaultClass, System};
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

/// Where to look when a program does not do as agreed.
const DOCTOR: &str = "`offboard doctor --stderr` runs its check and shows what it writes";

/// A fault, without its system: what a run means.
pub(super) struct Meaning {
    pub class: FaultClass,
    pub code: String,
    pub detail: String,
}

impl Meaning {
    fn new(class: FaultClass, code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            class,
            code: code.into(),
            detail: detail.into(),
        }
    }

    /// Whether nothing was done. That it is asked too often, a program says in so many words.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.class, FaultClass::Throttled { .. }) || self.class.is_refusal()
    }

    pub(super) fn fault(self, system: &System, ask: Ask) -> Fault {
        Fault {
            class: self.class,
            system: system.clone(),
            attempted: format!("RUN {}", ask.word()),
            status: None,
            code: Some(self.code),
            detail: self.detail,
            request_id: None,
        }
    }
}

/// What may have happened when no answer came.
fn unanswered(ask: Ask) -> FaultClass {
    match ask {
        Ask::Observe | Ask::Check => FaultClass::Transient,
        Ask::Apply => FaultClass::Unknown,
    }
}

fn beside(stderr: &Stderr) -> String {
    match stderr.bytes {
        0 => "; it wrote nothing to standard error".to_owned(),
        n => format!("; it wrote {n} bytes to standard error"),
    }
}

/// Others than should may change it.
pub(super) fn untrusted(what: &str) -> Meaning {
    Meaning::new(
        FaultClass::Denied,
        "untrusted",
        format!("it was not started: {what}; `offboard doctor` says what to change"),
    )
}

/// It did not come to its end.
pub(super) fn failed(failed: &Failed, ask: Ask, within: Duration, limit: usize) -> Meaning {
    match failed {
        Failed::NotStarted(e) => not_started(e),
        Failed::TimedOut(stderr) => Meaning::new(
            unanswered(ask),
            "timed_out",
            format!(
                "it had not ended after {:.0} s, and was ended with all that it had started{}; make it faster, or raise `timeout`. {DOCTOR}",
                within.as_secs_f64(),
                beside(stderr)
            ),
        ),
        Failed::TooMuchOutput(stderr) => Meaning::new(
            malformed(ask),
            "too_much_output",
            format!(
                "it wrote more than {limit} bytes to standard output, and was ended{}; an answer is one JSON object, everything else belongs to standard error",
                beside(stderr)
            ),
        ),
        Failed::Lost(e) => Meaning::new(
            unanswered(ask),
            "lost",
            format!("it could not be spoken to ({:?}); look at this machine's log", e.kind()),
        ),
    }
}

fn not_started(e: &io::Error) -> Meaning {
    let (class, what) = match e.kind() {
        ErrorKind::NotFound => (
            FaultClass::Denied,
            "the program is not there, or its folder or the interpreter that its first line names is not",
        ),
        ErrorKind::PermissionDenied => (FaultClass::Denied, "it may not be executed by the user of this worker"),
        ErrorKind::InvalidInput | ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
            (FaultClass::Denied, "its path or folder is none that can be used")
        }
        // Being replaced just now, or this machine has no room for it.
        _ => (FaultClass::Transient, "this machine could not start it"),
    };
    Meaning::new(
        class,
        "not_started",
        format!("{what} ({:?}); `offboard doctor` says what to change", e.kind()),
    )
}

fn malformed(ask: Ask) -> FaultClass {
    match ask {
        Ask::Observe | Ask::Check => FaultClass::Rejected,
        Ask::Apply => FaultClass::Unknown,
    }
}

/// It ended, and not well.
pub(super) fn ended(ran: &Ran, ask: Ask) -> Option<Meaning> {
    if ran.status.success() {
        return None;
    }
    let (code, how) = match (ran.status.code(), ran.status.signal()) {
        (Some(code), _) => (format!("exit_{code}"), format!("it ended with exit code {code}")),
        (None, Some(signal)) => (
            format!("signal_{signal}"),
            format!("it was killed by signal {signal}, not by us"),
        ),
        (None, None) => ("ended".to_owned(), "it did not end well".to_owned()),
    };
    Some(Meaning::new(
        unanswered(ask),
        code,
        format!("{how}{}, so its answer does not count. {DOCTOR}", beside(&ran.stderr)),
    ))
}

/// It ended well, and did not answer as agreed.
pub(super) fn wrong(wrong: &Wrong, ran: &Ran, ask: Ask) -> Meaning {
    Meaning::new(
        malformed(ask),
        "wrong_answer",
        format!("{}{}; mend the program. {DOCTOR}", wrong.0, beside(&ran.stderr)),
    )
}

/// It says itself what is in the way.
pub(super) fn met(met: &Met) -> Meaning {
    let detail = match met.class {
        FaultClass::Throttled { .. } => "the program says that it is asked too often",
        FaultClass::Denied => "the program says that it lacks a credential or a right; give it that one, then retry",
        FaultClass::Rejected => {
            "the program says that this will never be accepted; do it by hand, then retry: it is read again"
        }
        FaultClass::Transient
        | FaultClass::Blocked
        | FaultClass::Absent
        | FaultClass::Unsupported
        | FaultClass::Unknown => "the program says that what it works on cannot be reached",
    };
    Meaning::new(met.class, met.code.clone(), detail)
}
