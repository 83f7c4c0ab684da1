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

/// The form of assignments and reports that this code writes, and the newest
/// that it reads. A message that names none is of the first.
pub const FORM: u16 = 1;

/// What every assignment and every report says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Heading {
    /// Of which form it is.
    #[serde(default = "first")]
    form: u16,
    tenant: TenantId,
    case: CaseId,
    task: TaskId,
    attempt: u32,
    version: u64,
    head: Digest,
    /// An assignment's kind, by its stored name.
    #[serde(default)]
    kind: Option<String>,
}

fn first() -> u16 {
    1
}

impl Heading {
    /// What a message says, whichever version wrote it; none if nobody's did.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// Whether a newer version wrote it for newer ones alone.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        let unknown = |kind: &String| Kind::named(kind).is_none();
        self.form > FORM || self.kind.as_ref().is_some_and(unknown)
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
        Heading::read(body(more).as_bytes()).unwrap().is_newer()
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
        let report = Heading::read(body(r#","form":2"#).as_bytes())
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
            assert_eq!(Heading::read(text.as_bytes()), None, "{text}");
        }
    }
}
