//! What a refusal means: the one place where a status and one of Google's
//! reasons become a fault class.
//!
//! A 403 is not one thing: with some reasons it says "not so fast", with others
//! "broken for now", and only with the rest "you may not". Google's own sentence
//! goes no further: it may name a person.

use super::scope::Scope;
use super::wire::{About, Ask};
use crate::answered::{Effect, Refusal, clean_code, retry_after_ms};
use offboard_domain::{FaultClass, Timestamp};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// Reasons that ask for less haste, whatever the status is. What is answered so was not done.
pub(super) const THROTTLED: &[&str] = &[
    "quotaExceeded",
    "rateLimitExceeded",
    "userRateLimitExceeded",
    "sharingRateLimitExceeded",
    "dailyLimitExceeded",
    "concurrentLimitExceeded",
    "servingLimitExceeded",
    "RATE_LIMIT_EXCEEDED",
    "RESOURCE_EXHAUSTED",
];

/// Reasons that say that it is broken for now, whatever the status is.
const BROKEN: &[&str] = &[
    "backendError",
    "badGateway",
    "gatewayTimeout",
    "internalError",
    "transientError",
    "serviceNotAvailable",
    "resourceNotReady",
];

/// Reasons that say that what was asked for is not there. Another one, and a page
/// without any, may be about a domain that is not the company's or about a service
/// that is off: from that, nothing follows about an account.
const NOT_THERE: &[&str] = &["notFound", "NOT_FOUND", "resourceNotFound", "deleted"];

/// Reasons that say that an interface is not turned on in the project.
const TURNED_OFF: &[&str] = &["accessNotConfigured", "SERVICE_DISABLED"];

/// The reason of a refusal: the first error's, else that of a detail, else the
/// status as a word.
fn reason(body: &Value) -> Option<String> {
    let error = &body["error"];
    let details = error["details"].as_array().into_iter().flatten();
    [&error["errors"][0]["reason"]]
        .into_iter()
        .chain(details.map(|d| &d["reason"]))
        .chain([&error["status"]])
        .find_map(|r| r.as_str().and_then(clean_code))
}

/// Reads an error answer.
pub(super) fn of_answer(ask: &Ask, status: StatusCode, headers: &HeaderMap, body: &Value, now: Timestamp) -> Refusal {
    let code = reason(body);
    let word = code.as_deref().unwrap_or_default();
    let wait = retry_after_ms(headers, now);
    let (class, detail) = if THROTTLED.contains(&word) || status == StatusCode::TOO_MANY_REQUESTS {
        (
            FaultClass::Throttled { retry_after_ms: wait },
            "Google asks to be called less often".to_owned(),
        )
    } else if status == StatusCode::SERVICE_UNAVAILABLE && ask.effect == Effect::Once {
        (
            FaultClass::Unknown,
            "Google was busy, and may have had the request; whether it happened must be read".to_owned(),
        )
    } else if BROKEN.contains(&word) {
        (
            FaultClass::Transient,
            "Google failed, and says that it is for now; it is tried again".to_owned(),
        )
    } else if TURNED_OFF.contains(&word) {
        (
            FaultClass::Denied,
            format!(
                "the {} is not turned on in the service account's project (Google Cloud console, APIs and services); turn it on, then retry",
                ask.scope.interface()
            ),
        )
    } else {
        by_status(ask, status.as_u16(), word, wait)
    };
    Refusal { class, code, detail }
}

fn by_status(ask: &Ask, status: u16, word: &str, wait: Option<i64>) -> (FaultClass, String) {
    let plain = |class: FaultClass, detail: &str| (class, detail.to_owned());
    match (status, ask.about) {
        (503, _) if wait.is_some() => plain(
            FaultClass::Throttled { retry_after_ms: wait },
            "Google is busy and says when to come again",
        ),
        (408 | 425 | 500..=599, _) => plain(FaultClass::Transient, "Google failed; it is tried again"),
        (401, _) => plain(
            FaultClass::Denied,
            "Google does not accept the token; run `offboard doctor`",
        ),
        (403 | 400 | 412, About::Membership) => plain(
            FaultClass::Blocked,
            "Google lets the service not take him out of a group: a dynamic group is left by what its rule reads, a security group or one with an administrator's role only by a super administrator, any group only with the right to update it. Take him out by hand (Admin console, Groups), then retry",
        ),
        (403, About::Change) => (
            FaultClass::Denied,
            format!("Google lets the administrator not do this: {}", lacking(ask.scope)),
        ),
        (403, About::Mail) => plain(
            FaultClass::Denied,
            "Gmail lets the service not do this; see that Gmail is on for him, and that the company lets people forward and delegate (Admin console, Apps > Gmail > End user access), then retry",
        ),
        (403, _) => (
            FaultClass::Denied,
            format!("Google lets the administrator not do this: {}", lacking(ask.scope)),
        ),
        (412, About::Licence) => plain(
            FaultClass::Blocked,
            "Google gives him this licence automatically, or by a group, and takes it from nobody alone: turn that off for his unit (Admin console, Billing > License settings), or take him out of the group, then retry",
        ),
        (400, About::AppPassword) if word == "invalid" => {
            plain(FaultClass::Absent, "there is no such password any more")
        }
        (400 | 412, About::Codes) => plain(
            FaultClass::Transient,
            "Google shows and voids codes of an open account alone, and this one may have been suspended just now; it is read again",
        ),
        (400 | 412, About::SecondFactor) => plain(
            FaultClass::Blocked,
            "Google turns off no second factor of an account in Advanced Protection. Take him out of it (Admin console, Users > Security > Advanced Protection > Unenroll), then retry; it opens nothing without the password, so this may be waived",
        ),
        (400, About::Mail) if word == "failedPrecondition" || word == "FAILED_PRECONDITION" => plain(
            FaultClass::Blocked,
            "Gmail says that this cannot be done as things are: the service is off for him, or the successor cannot be let in. See to it (Admin console, Users > Apps), then retry, or waive this",
        ),
        (404, About::Service) => plain(
            FaultClass::Rejected,
            "there is no such interface at this address; correct or remove it in the tenant's configuration",
        ),
        (404, About::Acting) => plain(
            FaultClass::Rejected,
            "Google does not find the administrator who is acted for, so what else it does not find proves nothing: `admin` is nobody of this workspace any more, or its domain is another company's. Correct it in the tenant's configuration, then retry",
        ),
        (404, About::Product) => plain(
            FaultClass::Rejected,
            "Google has no such product or SKU, so that nobody has a licence of it proves nothing; correct `licences` in the tenant's configuration, then retry",
        ),
        (404 | 410, _) if NOT_THERE.contains(&word) => plain(FaultClass::Absent, "Google has none of that id"),
        (404 | 410, _) => plain(
            FaultClass::Denied,
            "Google does not find this, and does not say that it is what was asked for that is missing: the domain may not be the company's any more, or the service may be off for it. See to that (Admin console, Account > Domains, and Apps), then retry",
        ),
        (409, _) => plain(FaultClass::Rejected, "Google has it already"),
        (412, _) => plain(
            FaultClass::Transient,
            "somebody changed it at the same time; it is read and tried again",
        ),
        (300..=399, _) => plain(
            FaultClass::Rejected,
            "Google points elsewhere, where the token is not sent; correct the address in the tenant's configuration",
        ),
        _ => plain(FaultClass::Rejected, "Google does not accept the request; report this"),
    }
}

fn lacking(scope: Scope) -> String {
    let privilege = match scope.privilege() {
        Some(privilege) => format!("give its role {privilege} (Admin console, Account > Admin roles)"),
        None => "see to the scopes of the delegation".to_owned(),
    };
    format!(
        "{privilege}; an account that administers anything itself is changed by a super administrator alone: take its roles from it by hand, then retry"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Path;
    use reqwest::Method;
    use serde_json::json;

    fn read(about: About, status: u16, reason: &str) -> Refusal {
        let ask = Ask::write(Method::POST, Path::at("a").id("b"), Scope::Users, about, None);
        let body = json!({"error": {"code": status, "message": "canary@x.test", "errors": [{"domain": "global", "reason": reason}]}});
        of_answer(
            &ask,
            StatusCode::from_u16(status).unwrap(),
            &HeaderMap::new(),
            &body,
            Timestamp(0),
        )
    }

    #[test]
    fn each_answer_is_of_its_class() {
        use FaultClass::*;
        let none = Throttled { retry_after_ms: None };
        let table: &[(About, u16, &str, FaultClass, &str)] = &[
            (About::Change, 403, "quotaExceeded", none, "less often"),
            (About::Membership, 403, "userRateLimitExceeded", none, "less often"),
            (About::Change, 403, "rateLimitExceeded", none, "less often"),
            (About::Change, 400, "sharingRateLimitExceeded", none, "less often"),
            (About::Change, 429, "", none, "less often"),
            (About::Change, 403, "backendError", Transient, "for now"),
            (About::Change, 403, "forbidden", Denied, "role"),
            (About::Account, 403, "insufficientPermissions", Denied, "role"),
            (About::Account, 403, "accessNotConfigured", Denied, "turned on"),
            (About::Account, 401, "authError", Denied, "doctor"),
            (About::Account, 404, "notFound", Absent, "none"),
            (About::Service, 404, "notFound", Rejected, "address"),
            (About::Account, 410, "deleted", Absent, "none"),
            (About::Account, 404, "domainNotFound", Denied, "domain"),
            (About::Account, 404, "", Denied, "domain"),
            (About::Mail, 404, "serviceNotEnabled", Denied, "service may be off"),
            (About::Acting, 404, "notFound", Rejected, "`admin`"),
            (About::Product, 404, "notFound", Rejected, "`licences`"),
            (About::Membership, 403, "forbidden", Blocked, "by hand"),
            (About::Membership, 400, "invalid", Blocked, "rule"),
            (About::Membership, 404, "notFound", Absent, "none"),
            (About::Codes, 400, "invalid", Transient, "just now"),
            (About::SecondFactor, 400, "invalid", Blocked, "Advanced Protection"),
            (About::AppPassword, 400, "invalid", Absent, "no such"),
            (About::Licence, 412, "conditionNotMet", Blocked, "automatically"),
            (About::Licence, 503, "backendError", Transient, "for now"),
            (About::Mail, 400, "failedPrecondition", Blocked, "Gmail"),
            (About::Mail, 409, "alreadyExists", Rejected, "already"),
            (About::Change, 412, "conditionNotMet", Transient, "same time"),
            (About::Change, 500, "", Transient, "tried again"),
            (About::Change, 302, "", Rejected, "elsewhere"),
            (About::Change, 400, "invalid", Rejected, "report"),
        ];
        for (about, status, reason, class, says) in table {
            let refusal = read(*about, *status, reason);
            assert_eq!(refusal.class, *class, "{about:?} {status} {reason}");
            assert!(refusal.detail.contains(says), "{status} {reason}: {}", refusal.detail);
            assert!(!refusal.detail.contains("canary"), "{}", refusal.detail);
        }
    }

    #[test]
    fn a_reason_is_found_wherever_google_puts_it() {
        let reason_of = |body: Value| reason(&body);
        let newer = json!({"error": {"status": "PERMISSION_DENIED", "details": [{"@type": "x"}, {"reason": "SERVICE_DISABLED"}]}});
        assert_eq!(reason_of(newer).as_deref(), Some("SERVICE_DISABLED"));
        let bare = json!({"error": {"status": "RESOURCE_EXHAUSTED", "message": "canary"}});
        assert_eq!(reason_of(bare).as_deref(), Some("RESOURCE_EXHAUSTED"));
        for none in [
            json!({"error": "canary here"}),
            json!([]),
            Value::Null,
            json!({"error": {"errors": {}}}),
        ] {
            assert_eq!(reason_of(none), None);
        }
    }

    #[test]
    fn who_is_busy_may_have_what_must_not_be_done_twice() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "7".parse().unwrap());
        let ask = Ask::write(Method::POST, Path::at("a"), Scope::Transfers, About::Change, None).once();
        let wait = FaultClass::Throttled {
            retry_after_ms: Some(7_000),
        };
        for (status, reason, class) in [
            (503, "", FaultClass::Unknown),
            (503, "backendError", FaultClass::Unknown),
            (503, "rateLimitExceeded", wait),
            (429, "", wait),
        ] {
            let body = json!({"error": {"code": status, "errors": [{"reason": reason}]}});
            let status = StatusCode::from_u16(status).unwrap();
            let refusal = of_answer(&ask, status, &headers, &body, Timestamp(0));
            assert_eq!(refusal.class, class, "{status} {reason}");
        }
    }

    #[test]
    fn who_says_when_to_come_again_is_believed() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "7".parse().unwrap());
        let ask = Ask::get(Path::at("a"), Scope::Users, About::Account);
        for status in [429, 503] {
            let status = StatusCode::from_u16(status).unwrap();
            let refusal = of_answer(&ask, status, &headers, &Value::Null, Timestamp(0));
            let wait = FaultClass::Throttled {
                retry_after_ms: Some(7_000),
            };
            assert_eq!(refusal.class, wait);
        }
    }
}
