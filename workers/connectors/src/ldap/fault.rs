//! What an answer means: the one place where a result code becomes a fault
//! class.
//!
//! A directory's sentence names objects, and so people; of it only its code is
//! read (`0000052D`, `data 52e`), and what a fault says is written here.

use offboard_domain::{Fault, FaultClass};

/// Result codes (RFC 4511, appendix A) that are not simply a fault.
pub(crate) mod code {
    /// Done.
    pub(crate) const SUCCESS: u32 = 0;
    /// Another server is to be asked: the object is of another domain.
    pub(crate) const REFERRAL: u32 = 10;
    /// The attribute, or this value of it, is not there.
    pub(crate) const NO_SUCH_ATTRIBUTE: u32 = 16;
    /// The value is there already.
    pub(crate) const VALUE_EXISTS: u32 = 20;
    /// No such object.
    pub(crate) const NO_SUCH_OBJECT: u32 = 32;
    /// The server will not.
    pub(crate) const UNWILLING: u32 = 53;
    /// An object (or a member) of this name is there already.
    pub(crate) const ENTRY_EXISTS: u32 = 68;
}

/// Whether the controller is busy or starting.
fn is_busy(rc: u32) -> bool {
    matches!(rc, 1 | 3 | 11 | 51 | 52 | 80)
}

/// What an answer of this code counts as among the statuses of all vendors:
/// well, refused, or busy.
pub(crate) fn status(rc: u32) -> u16 {
    match rc {
        code::SUCCESS => 200,
        rc if is_busy(rc) => 503,
        _ => 400,
    }
}

/// Whether a read was refused because the object is of another domain.
pub(crate) fn is_of_another_domain(fault: &Fault) -> bool {
    let rc = fault.code.as_deref().and_then(|c| c.split('-').next()?.parse().ok());
    rc == Some(code::REFERRAL)
}

/// A refusal, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The result code.
    pub(crate) rc: u32,
    /// The directory's own code within it.
    pub(crate) inner: Option<String>,
}

impl Refused {
    /// Reads the code, and of the sentence the directory's own code alone.
    pub(crate) fn of(rc: u32, sentence: &str) -> Self {
        Self {
            rc,
            inner: inner(sentence),
        }
    }

    /// Whether nothing was changed: a controller changes an object wholly or not at all,
    /// and one that is busy may not say which.
    pub(crate) fn is_certain(&self) -> bool {
        !is_busy(self.rc)
    }

    /// Both codes, as a fault shows them: `49-52e`.
    pub(crate) fn code(&self) -> String {
        match &self.inner {
            Some(inner) => format!("{}-{inner}", self.rc),
            None => self.rc.to_string(),
        }
    }

    /// What it is, and what a person can do about it.
    pub(crate) fn meaning(&self) -> (FaultClass, &'static str) {
        match self.rc {
            rc if is_busy(rc) => (
                FaultClass::Transient,
                "the domain controller is busy or starting; it is tried again",
            ),
            code::NO_SUCH_ATTRIBUTE | code::VALUE_EXISTS => (
                FaultClass::Transient,
                "somebody changed the object at the same time; it is tried again",
            ),
            code::NO_SUCH_OBJECT => (FaultClass::Absent, "the object is not there"),
            7 | 8 | 13 | 48 => (
                FaultClass::Denied,
                "the domain controller does not take this way of signing in; it must accept a simple bind over LDAPS",
            ),
            code::REFERRAL => (
                FaultClass::Denied,
                "the object belongs to another domain, and referrals are not followed (the credential would go to a server that the answer names); connect that domain as a system of its own",
            ),
            49 => (FaultClass::Denied, bind_meaning(self.inner.as_deref())),
            50 => (
                FaultClass::Denied,
                "the account that Offboard signs in with may not do this; delegate the right that docs/connectors/active-directory.md names for it",
            ),
            19 => (
                FaultClass::Blocked,
                "the directory's policy forbids it; look at the password policy and at what protects the object",
            ),
            code::UNWILLING => (
                FaultClass::Blocked,
                "the domain controller is unwilling: a policy, a primary group or a system object stands in the way; do it by hand",
            ),
            code::ENTRY_EXISTS => (
                FaultClass::Blocked,
                "another object of the same name is where it was to go; rename one of the two",
            ),
            12 | 17 => (
                FaultClass::Unsupported,
                "the directory does not know this attribute or control",
            ),
            _ => (
                FaultClass::Rejected,
                "the domain controller will not accept the request",
            ),
        }
    }
}

/// Why a sign-in failed, by the code that Active Directory puts into its
/// sentence (the same numbers as Windows' logon errors).
fn bind_meaning(inner: Option<&str>) -> &'static str {
    match inner {
        Some("525") => "there is no such account as the one to sign in with; look at `user` in the configuration",
        Some("52e") => {
            "the user or the password to sign in with is wrong; look at `user` and `password` in the configuration"
        }
        Some("530" | "531") => "the account to sign in with may not sign in at this time or from this machine",
        Some("532" | "773") => "the password to sign in with has expired; set a new one, and let it never expire",
        Some("533") => "the account to sign in with is disabled; enable it, or configure another",
        Some("701") => "the account to sign in with has expired",
        Some("775") => "the account to sign in with is locked; unlock it, and find out who tries passwords",
        _ => "the domain controller refuses to sign us in; look at `user` and `password` in the configuration",
    }
}

/// The directory's own code within its sentence.
fn inner(sentence: &str) -> Option<String> {
    let hex = |word: &str, least: usize| {
        let digits: String = word.chars().take_while(char::is_ascii_hexdigit).collect();
        let digits = (least..=8)
            .contains(&digits.len())
            .then(|| digits.trim_start_matches('0').to_ascii_lowercase());
        digits.filter(|d| !d.is_empty())
    };
    let data = sentence.split_once("data ").and_then(|(_, rest)| hex(rest, 1));
    let first = sentence.split(':').next().and_then(|word| hex(word, 8));
    data.or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_sentence_only_its_code_is_kept() {
        let bind = "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data 52e, v3839";
        let reset = "0000052D: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0";
        let named = "00002089: No parent for CN=Jane Roe,OU=Staff,DC=corp";
        assert_eq!(Refused::of(49, bind).code(), "49-52e");
        assert_eq!(Refused::of(53, reset).code(), "53-52d");
        assert_eq!(Refused::of(32, named).code(), "32-2089");
        for (rc, sentence) in [(50, ""), (50, "access"), (50, "Jane: no"), (50, "data Jane")] {
            assert_eq!(Refused::of(rc, sentence).code(), "50", "{sentence}");
        }
    }

    #[test]
    fn what_another_domain_has_is_told_from_every_other_refusal() {
        let elsewhere = "0000202B: RefErr: DSID-0310078A, data 0, 1 access points";
        for (rc, sentence, is) in [
            (10, elsewhere, true),
            (10, "", true),
            (1, elsewhere, false),
            (
                32,
                "0000208D: NameErr: DSID-0310028B, problem 2001 (NO_OBJECT), data 0",
                false,
            ),
            (50, "", false),
        ] {
            let refused = Refused::of(rc, sentence);
            let fault = Fault {
                class: refused.meaning().0,
                system: offboard_domain::System::new("ad").unwrap(),
                attempted: "read {group}".to_owned(),
                status: None,
                code: Some(refused.code()),
                detail: String::new(),
                request_id: None,
            };
            assert_eq!(is_of_another_domain(&fault), is, "{fault}");
            let uncoded = Fault { code: None, ..fault };
            assert!(!is_of_another_domain(&uncoded));
        }
    }

    #[test]
    fn who_is_busy_may_have_changed_it_and_whoever_refuses_has_not() {
        for (rc, certain) in [(51, false), (80, false), (16, true), (32, true), (50, true), (53, true)] {
            assert_eq!(Refused::of(rc, "").is_certain(), certain, "{rc}");
        }
    }

    #[test]
    fn each_code_is_the_fault_that_it_should_be() {
        let table = [
            (1, FaultClass::Transient),
            (8, FaultClass::Denied),
            (10, FaultClass::Denied),
            (16, FaultClass::Transient),
            (17, FaultClass::Unsupported),
            (19, FaultClass::Blocked),
            (32, FaultClass::Absent),
            (34, FaultClass::Rejected),
            (49, FaultClass::Denied),
            (50, FaultClass::Denied),
            (51, FaultClass::Transient),
            (52, FaultClass::Transient),
            (53, FaultClass::Blocked),
            (68, FaultClass::Blocked),
            (80, FaultClass::Transient),
            (4_000, FaultClass::Rejected),
        ];
        for (rc, class) in table {
            assert_eq!(Refused::of(rc, "").meaning().0, class, "{rc}");
        }
    }
}
