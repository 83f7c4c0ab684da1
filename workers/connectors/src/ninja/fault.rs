//! What a refusal means: the one place where a status and a `resultCode` become
//! a fault class, with what to change in NinjaOne or in the configuration.
//!
//! NinjaOne's own sentences go no further: they may name a person.

use super::wire::{About, Ask};
use crate::answered::{Effect, Refusal, clean_code, retry_after_ms};
use offboard_domain::{FaultClass, Timestamp};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, StatusCode};
use serde_json::Value;

/// Words in a code that say that something may not be done, whatever the status.
const NOT_ALLOWED: &[&str] = &[
    "permission",
    "access_violation",
    "forbidden",
    "unauthorized",
    "user_context_required",
];

/// Whether this is a page for people.
pub(super) fn is_a_page(headers: &HeaderMap, body: &[u8]) -> bool {
    let said = headers
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    let begins = body.iter().copied().find(|b| !b.is_ascii_whitespace());
    said.to_lowercase().contains("html") || begins == Some(b'<')
}

/// To be asked less often.
pub(super) fn throttled(headers: &HeaderMap, now: Timestamp) -> FaultClass {
    FaultClass::Throttled {
        retry_after_ms: retry_after_ms(headers, now),
    }
}

/// Reads an error answer.
pub(super) fn of_answer(ask: &Ask, status: StatusCode, headers: &HeaderMap, body: &Value, now: Timestamp) -> Refusal {
    let code = [&body["resultCode"], &body["error"], &body["errorCode"]]
        .into_iter()
        .find_map(|c| c.as_str().and_then(clean_code));
    let word = code.as_deref().unwrap_or_default().to_lowercase();
    let not_allowed = NOT_ALLOWED.iter().any(|w| word.contains(w));
    let reads = ask.method == Method::GET;
    let (class, detail) = match status.as_u16() {
        401 => (
            FaultClass::Denied,
            "NinjaOne does not accept the token; see that the API application is still there, then retry",
        ),
        400 if matches!(word.as_str(), "missing_header" | "invalid_header") => (
            FaultClass::Denied,
            "NinjaOne does not read the token; see that the API application is still there, and tell its vendor",
        ),
        403 if word == "user_context_required" => (
            FaultClass::Denied,
            "NinjaOne does this only for a signed-in technician on your instance, not for an API application: do it by hand there and waive this, or leave it out of the configuration",
        ),
        403 if ask.about == About::Fields => (FaultClass::Denied, FIELD_RIGHTS),
        403 if reads => (FaultClass::Denied, NOT_READ),
        403 => (FaultClass::Denied, NOT_WRITTEN),
        // The device was read right before: what is not there is the field, the script.
        404 if ask.about == About::Fields && !reads => (FaultClass::Rejected, FIELD_RIGHTS),
        404 if ask.about == About::Script && !reads => (FaultClass::Rejected, NO_SUCH_SCRIPT),
        404 | 410 if matches!(ask.about, About::Device | About::Fields | About::Script) => {
            (FaultClass::Absent, "NinjaOne has no device of that id")
        }
        404 if ask.about == About::Organization => (
            FaultClass::Rejected,
            "NinjaOne has no organisation of that id; set organization_id to the number in the address that the organisation has in NinjaOne",
        ),
        404 | 405 | 410 | 501 => (
            FaultClass::Unsupported,
            "this NinjaOne instance does not offer this; see that `url` is its address, and that it is up to date",
        ),
        409 | 412 => (
            FaultClass::Transient,
            "somebody changed the device at the same time; it is read and tried again",
        ),
        429 => (throttled(headers, now), "NinjaOne asks to be called less often"),
        503 if ask.effect() == Effect::Once => (
            FaultClass::Unknown,
            "NinjaOne was busy, and may have had the order; whether it happened must be read",
        ),
        503 if retry_after_ms(headers, now).is_some() => {
            (throttled(headers, now), "NinjaOne is busy and says when to come again")
        }
        // Some of its parts answer 500 to whom they do not let in.
        500 if not_allowed => (FaultClass::Denied, if reads { NOT_READ } else { NOT_WRITTEN }),
        408 | 425 | 500..=599 => (FaultClass::Transient, "NinjaOne failed; it is tried again"),
        300..=399 => (
            FaultClass::Rejected,
            "NinjaOne points elsewhere, where the token is not sent; configure the address that it points to as `url`",
        ),
        _ if ask.about == About::Fields => (FaultClass::Rejected, FIELD_RIGHTS),
        _ if ask.about == About::Script => (FaultClass::Rejected, NO_SUCH_SCRIPT),
        _ => (FaultClass::Rejected, "NinjaOne does not accept the request"),
    };
    Refusal {
        class,
        code,
        detail: detail.to_owned(),
    }
}

const NOT_READ: &str = "NinjaOne accepts the token and lets it not read this; give the API application the scope Monitoring, and see that it is not kept from this organisation";
const NOT_WRITTEN: &str =
    "NinjaOne accepts the token and lets it not change this; give the API application the scope Management";
const NO_SUCH_SCRIPT: &str = "NinjaOne does not accept the order of the script: see that script_id is one of its library, fit for this device's system, and that script_run_as is one of its credentials";
const FIELD_RIGHTS: &str = "NinjaOne does not let the custom field be read or written: see that it is a text field of devices by exactly the configured name, and that its API permission is Read/Write";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Path;
    use reqwest::header::RETRY_AFTER;
    use serde_json::json;

    fn ask(method: Method, about: About) -> Ask {
        Ask::write(method, Path::at("v2").then("device").id("1"), about, None)
    }

    fn read(method: Method, about: About, status: u16, code: &str) -> Refusal {
        let body = json!({"resultCode": code, "errorMessage": "canary@x.test is unknown", "incidentId": "i"});
        let status = StatusCode::from_u16(status).unwrap();
        of_answer(&ask(method, about), status, &HeaderMap::new(), &body, Timestamp(0))
    }

    #[test]
    fn each_answer_is_of_its_class() {
        use About::{Device, Fields, List, Organization, Script};
        use FaultClass::*;
        let table: &[(Method, About, u16, &str, FaultClass, &str)] = &[
            (Method::GET, List, 401, "", Denied, "token"),
            (Method::GET, List, 400, "missing_header", Denied, "token"),
            (Method::GET, List, 403, "", Denied, "Monitoring"),
            (Method::PUT, Device, 403, "", Denied, "Management"),
            (Method::POST, Script, 403, "user_context_required", Denied, "by hand"),
            (Method::PATCH, Fields, 403, "", Denied, "API permission"),
            (Method::PATCH, Fields, 400, "", Rejected, "API permission"),
            (Method::GET, Device, 404, "", Absent, "no device"),
            (Method::GET, Script, 404, "", Absent, "no device"),
            (Method::POST, Script, 404, "", Rejected, "script_id"),
            (Method::PATCH, Fields, 404, "", Rejected, "API permission"),
            (Method::GET, Organization, 404, "", Rejected, "organization_id"),
            (Method::GET, List, 404, "", Unsupported, "`url`"),
            (Method::PUT, Device, 409, "", Transient, "same time"),
            (
                Method::GET,
                List,
                429,
                "",
                Throttled { retry_after_ms: None },
                "less often",
            ),
            (Method::PUT, Device, 500, "", Transient, "tried again"),
            (
                Method::PUT,
                Device,
                500,
                "organization_access_violation",
                Denied,
                "Management",
            ),
            (Method::GET, List, 302, "", Rejected, "`url`"),
            (Method::POST, Script, 400, "", Rejected, "script_id"),
            (Method::PUT, Device, 422, "", Rejected, "not accept"),
        ];
        for (method, about, status, code, class, says) in table {
            let refusal = read(method.clone(), *about, *status, code);
            assert_eq!(refusal.class, *class, "{method} {about:?} {status} {code}");
            assert!(refusal.detail.contains(says), "{status}: {}", refusal.detail);
            assert!(!refusal.detail.contains("canary"), "{}", refusal.detail);
        }
    }

    #[test]
    fn a_code_is_a_word_and_who_says_when_to_come_again_is_believed() {
        let refusal = read(Method::GET, About::Device, 404, "Client app not exist");
        assert_eq!(refusal.code, None);
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "7".parse().unwrap());
        for status in [429, 503] {
            let status = StatusCode::from_u16(status).unwrap();
            let asked = ask(Method::GET, About::List);
            let refusal = of_answer(&asked, status, &headers, &Value::Null, Timestamp(0));
            let wait = FaultClass::Throttled {
                retry_after_ms: Some(7_000),
            };
            assert_eq!(refusal.class, wait);
        }
    }

    #[test]
    fn a_page_is_seen_by_its_type_or_its_first_sign() {
        let mut headers = HeaderMap::new();
        assert!(is_a_page(&headers, b" \n<!DOCTYPE html>"));
        assert!(!is_a_page(&headers, b"[]") && !is_a_page(&headers, b""));
        headers.insert(CONTENT_TYPE, "text/html; charset=utf-8".parse().unwrap());
        assert!(is_a_page(&headers, b"too many requests"));
    }
}
