//! What a refusal means (RFC 7644 section 3.12): the one place where a status
//! and a `scimType` become a fault class, with what to change in the profile.
//!
//! The application's own sentence (`detail`) goes no further: it may name a
//! person.

use super::wire::{About, Ask};
use crate::answered::{Refusal, clean_code, retry_after_ms};
use offboard_domain::{FaultClass, Timestamp};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::Value;

/// Reads an error answer.
pub(super) fn of_answer(ask: &Ask, status: StatusCode, headers: &HeaderMap, body: &Value, now: Timestamp) -> Refusal {
    // Some applications put it in a list, or in an object of their own.
    let code = [&body["scimType"], &body["Errors"][0]["scimType"], &body["error"]]
        .into_iter()
        .find_map(|c| c.as_str().and_then(clean_code));
    let wait = retry_after_ms(headers, now);
    let (class, detail) = match (status.as_u16(), code.as_deref().unwrap_or_default()) {
        (401, _) => (
            FaultClass::Denied,
            "the app does not accept the token: it has ended, was taken back, or is another app's; make a new one in the app's provisioning settings, put it where the configuration points, then retry".to_owned(),
        ),
        (403, _) if ask.method == Method::GET => (
            FaultClass::Denied,
            "the app accepts the token and lets it not read users; give it the scope (or its owner the role) to read users".to_owned(),
        ),
        (403, "sensitive") | (400, "sensitive") => (
            FaultClass::Blocked,
            "the app says that this must not be asked for, because it would show personal data in an address".to_owned(),
        ),
        (403, _) => (
            FaultClass::Denied,
            "the app accepts the token and lets it not change this user: give it the scope (or its owner the role) to manage users; an owner or administrator of the app is changed by hand there".to_owned(),
        ),
        (404, _) if ask.about == About::Account => (FaultClass::Absent, "the app has no account of that id".to_owned()),
        (410, _) if ask.about == About::Account => (FaultClass::Absent, "the account is gone".to_owned()),
        (404 | 410, _) => (
            FaultClass::Rejected,
            "there is no such part of a SCIM service; see that `url` is the address that the app shows in its provisioning settings, to which /Users is added".to_owned(),
        ),
        (405 | 501, _) => (FaultClass::Unsupported, unsupported(&ask.method)),
        (412, _) | (409, _) => (
            FaultClass::Transient,
            "somebody changed the account at the same time; it is read and tried again".to_owned(),
        ),
        (429, _) => (
            FaultClass::Throttled { retry_after_ms: wait },
            "the app asks to be called less often".to_owned(),
        ),
        (503, _) if wait.is_some() => (
            FaultClass::Throttled { retry_after_ms: wait },
            "the app is busy and says when to come again".to_owned(),
        ),
        (408 | 425 | 500..=599, _) => (FaultClass::Transient, "the app failed; it is tried again".to_owned()),
        (300..=399, _) => (
            FaultClass::Rejected,
            "the app points elsewhere, where the token is not sent; configure the address that it points to as `url`".to_owned(),
        ),
        (400, "mutability") => (
            FaultClass::Blocked,
            "the app does not let this account's `active` be changed; it is mastered elsewhere, or an owner's: end it by hand there".to_owned(),
        ),
        (400 | 413, "tooMany") => (
            FaultClass::Rejected,
            "the app says that the search finds too much".to_owned(),
        ),
        _ => (FaultClass::Rejected, not_accepted(ask)),
    };
    Refusal { class, code, detail }
}

fn unsupported(method: &Method) -> String {
    match *method {
        Method::PATCH => "the app takes no PATCH; set profile = \"put\" for this system",
        Method::PUT => {
            "the app takes no PUT; set profile = \"patch\" for this system, or \"delete\" if it cannot deactivate"
        }
        Method::DELETE => "the app deletes no accounts; set profile = \"patch\" for this system",
        _ => "the app does not offer this",
    }
    .to_owned()
}

fn not_accepted(ask: &Ask) -> String {
    match (ask.about, &ask.method) {
        (About::Search(attribute), _) => format!(
            "the app does not search by {attribute}; take it out of `match` for this system, and see that what stays finds everybody"
        ),
        (_, &Method::PATCH) => "the app does not accept the patch; try active_as = \"string\", then patch_path = false, then profile = \"put\" for this system".to_owned(),
        (_, &Method::PUT) => "the app does not accept the resource as it was read, with `active` changed; try active_as = \"string\", or profile = \"patch\" for this system".to_owned(),
        _ => "the app does not accept the request".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Path;
    use reqwest::header::RETRY_AFTER;
    use serde_json::json;

    fn ask(method: Method) -> Ask {
        Ask::write(method, Path::at("Users").id("a"), None)
    }

    fn search() -> Ask {
        Ask::get(Path::at("Users"), About::Search("userName"))
    }

    fn read(ask: &Ask, status: u16, scim_type: &str) -> Refusal {
        let body = json!({"status": status.to_string(), "scimType": scim_type, "detail": "canary@x.test is unknown"});
        let status = StatusCode::from_u16(status).unwrap();
        of_answer(ask, status, &HeaderMap::new(), &body, Timestamp(0))
    }

    #[test]
    fn each_answer_is_of_its_class() {
        use FaultClass::*;
        let none = Throttled { retry_after_ms: None };
        let table: &[(Ask, u16, &str, FaultClass, &str)] = &[
            (search(), 401, "", Denied, "token"),
            (search(), 403, "", Denied, "read users"),
            (ask(Method::PATCH), 403, "", Denied, "manage users"),
            (search(), 404, "", Rejected, "`url`"),
            (ask(Method::GET), 404, "", Absent, "no account"),
            (ask(Method::DELETE), 410, "", Absent, "gone"),
            (ask(Method::PATCH), 501, "", Unsupported, "profile = \"put\""),
            (ask(Method::PATCH), 405, "", Unsupported, "profile = \"put\""),
            (ask(Method::PUT), 405, "", Unsupported, "\"delete\""),
            (ask(Method::DELETE), 501, "", Unsupported, "profile = \"patch\""),
            (ask(Method::PUT), 412, "", Transient, "somebody changed"),
            (ask(Method::PUT), 409, "uniqueness", Transient, "somebody changed"),
            (search(), 429, "", none, "less often"),
            (ask(Method::PATCH), 500, "", Transient, "tried again"),
            (ask(Method::PATCH), 503, "", Transient, "tried again"),
            (ask(Method::PATCH), 302, "", Rejected, "`url`"),
            (search(), 400, "invalidFilter", Rejected, "`match`"),
            (ask(Method::PATCH), 400, "invalidValue", Rejected, "active_as"),
            (ask(Method::PATCH), 400, "mutability", Blocked, "by hand"),
            (ask(Method::PUT), 400, "invalidSyntax", Rejected, "active_as"),
        ];
        for (ask, status, scim_type, class, says) in table {
            let refusal = read(ask, *status, scim_type);
            assert_eq!(refusal.class, *class, "{} {status} {scim_type}", ask.method);
            assert!(refusal.detail.contains(says), "{status}: {}", refusal.detail);
            assert!(!refusal.detail.contains("canary"), "{}", refusal.detail);
        }
    }

    #[test]
    fn a_code_is_a_word_and_never_a_sentence() {
        assert_eq!(
            read(&search(), 400, "invalidFilter").code.as_deref(),
            Some("invalidFilter")
        );
        assert_eq!(read(&search(), 400, "canary is unknown").code, None);
        let listed = json!({"Errors": [{"scimType": "tooMany", "description": "canary"}]});
        let none = HeaderMap::new();
        let refusal = of_answer(&search(), StatusCode::BAD_REQUEST, &none, &listed, Timestamp(0));
        assert_eq!(refusal.code.as_deref(), Some("tooMany"));
    }

    #[test]
    fn who_says_when_to_come_again_is_believed() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "7".parse().unwrap());
        for status in [429, 503] {
            let status = StatusCode::from_u16(status).unwrap();
            let refusal = of_answer(&search(), status, &headers, &Value::Null, Timestamp(0));
            let wait = FaultClass::Throttled {
                retry_after_ms: Some(7_000),
            };
            assert_eq!(refusal.class, wait);
        }
    }
}
