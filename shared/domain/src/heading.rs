//! What is read of a message before all else, and of every version to come:
//! of which form it is, and what it answers or is to be answered with.
//!
//! Processes of two versions run side by side while one replaces the other, so
//! a process meets what it cannot read, or must not act on because it would
//! overlook what matters. A message says so itself: **who writes what an older
//! process could not read, or must not ignore, raises `form`**; what may be
//! ignored is added without. An order of a newer form is answered "not begun"
//! and so comes again until a newer worker takes it; a report of a newer form
//! waits for a newer dispatcher. The names below stay as they are for ever.

use crate::assignment::{Report, Said};
use crate::catalogue::Kind;
use crate::id::{CaseId, Digest, TaskId, TenantId};
use crate::time::Timestamp;
use serde::Deserialize;
use std::borrow::Cow;

/// The form of assignments and reports that this code writes, and the newest
/// that it reads. A message that names none is of the first.
pub const FORM: u16 = 1;

/// What every assignment and every report says, also a newer one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Heading {
    tenant: TenantId,
    case: CaseId,
    task: TaskId,
    attempt: u32,
    version: u64,
    head: Digest,
}

fn first() -> u16 {
    1
}

/// What tells a newer message, and nothing else of it.
#[derive(Deserialize)]
struct Form<'a> {
    #[serde(default = "first")]
    form: u16,
    /// An assignment's kind, by its stored name.
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
}

impl Heading {
    /// What a message says that a newer version wrote for newer ones alone; none
    /// of every other message.
    #[must_use]
    pub fn of_newer(body: &[u8]) -> Option<Self> {
        let said: Form<'_> = serde_json::from_slice(body).ok()?;
        let unknown = |kind: Cow<'_, str>| Kind::named(&kind).is_none();
        let newer = said.form > FORM || said.kind.is_some_and(unknown);
        if newer { serde_json::from_slice(body).ok() } else { None }
    }

    /// The answer of who cannot read it: nothing was begun.
    #[must_use]
    pub fn not_begun(&self, at: Timestamp, why: &str) -> Report {
        Report {
            tenant: self.tenant.clone(),
            case: self.case,
            task: self.task,
            attempt: self.attempt,
            version: self.version,
            head: self.head,
            at,
            said: Said::NotBegun { why: why.to_owned() },
            seen: None,
            remembered: None,
            writes: None,
            receipts: Vec::new(),
            artifacts: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(more: &str) -> String {
        let (case, task) = (CaseId([1; 10]), TaskId([2; 10]));
        let head = Digest::of(b"head");
        format!(r#"{{"tenant":"acme","case":"{case}","task":"{task}","attempt":2,"version":7,"head":"{head}"{more}}}"#)
    }

    fn newer(more: &str) -> bool {
        Heading::of_newer(body(more).as_bytes()).is_some()
    }

    #[test]
    fn a_newer_form_or_kind_is_newer_and_what_may_be_ignored_is_not() {
        for older in [
            "",
            r#","form":1"#,
            r#","kind":"identity.disable_sign_in""#,
            r#","hint":{"of":["a","later","version"]}"#,
        ] {
            assert!(!newer(older), "{older}");
        }
        for more in [
            r#","form":2"#,
            r#","form":9,"said":"foreseen","kind":"identity.disable_sign_in""#,
            r#","kind":"identity.unheard_of","mode":"sideways""#,
        ] {
            assert!(newer(more), "{more}");
        }
    }

    #[test]
    fn who_cannot_read_it_answers_the_very_attempt() {
        let report = Heading::of_newer(body(r#","form":2"#).as_bytes())
            .unwrap()
            .not_begun(Timestamp(5), "of a newer form");
        assert_eq!(
            (report.tenant.as_str(), report.attempt, report.version, report.head),
            ("acme", 2, 7, Digest::of(b"head"))
        );
        assert!(matches!(report.said, Said::NotBegun { why } if why == "of a newer form"));
    }

    #[test]
    fn what_no_version_writes_is_none() {
        let huge = body(r#","form":70000"#);
        for text in ["", "[]", "{}", "{\"form\":2}", &huge] {
            assert_eq!(Heading::of_newer(text.as_bytes()), None, "{text}");
        }
    }
}
