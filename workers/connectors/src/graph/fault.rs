//! What an answer means: the one place where a status, an error code and a
//! vendor's sentence become a fault class.
//!
//! A vendor's sentence is read here and goes no further: it may name a person.
//! What a fault says is written below, from the class and the code.

use super::permission::{Api as Permitter, Need};
pub(crate) use crate::answered::{Effect, Refusal, clean_code, header_date_ms, retry_after_ms};
use crate::{MASTERED_ELSEWHERE, PROTECTED_TARGET};
use offboard_domain::FaultClass;
use offboard_domain::Timestamp;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// The code of a fault that says that what was to be added is there already.
pub(crate) const ALREADY_THERE: &str = "AlreadyThere";

/// The code by which the vendor says that the tenant has no licence (Entra ID
/// P2) for roles that are held only when they are activated.
pub(crate) const NOT_LICENSED: &str = "AadPremiumLicenseRequired";

/// The exceptions of Exchange that say, whatever the status is, that it was asked too often
/// and did nothing. That its server is busy is none of them.
pub(crate) const QUOTA: &[&str] = &["OverBudgetException"];

/// The codes that decide whatever the status is: the vendor is not known to
/// send them always with the same one.
const CODES: &[(&str, FaultClass, &str)] = &[
    (
        NOT_LICENSED,
        FaultClass::Unsupported,
        "the tenant has no licence for this interface",
    ),
    (
        "RoleAssignmentDoesNotExist",
        FaultClass::Absent,
        "the account does not hold the role",
    ),
    (
        "PendingRoleAssignmentRequest",
        FaultClass::Transient,
        "the vendor still works on an earlier request about the same role; it is tried again",
    ),
];

/// The sentences that decide, and what they mean. They are matched in lower
/// case, in this order, in any 4xx answer of Graph.
const SENTENCES: &[(&str, Meaning)] = &[
    ("on-premises mastered", Meaning::Mastered),
    ("synchronized from your on-premises", Meaning::Mastered),
    ("synchronised from your on-premises", Meaning::Mastered),
    ("inherited from group membership", Meaning::Inherited),
    ("still being converted", Meaning::NotYet),
    ("delete default method with other methods", Meaning::OthersFirst),
    ("delete the alternate mobile phone first", Meaning::OthersFirst),
    ("must have at least one owner", Meaning::LastOwner),
    ("last owner", Meaning::LastOwner),
    ("dynamic membership", Meaning::Dynamic),
    ("dynamic group", Meaning::Dynamic),
    ("does not have a corresponding license", Meaning::NotHeld),
    (
        "mail-enabled security groups and or distribution list",
        Meaning::ExchangeMastered,
    ),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Mastered,
    Inherited,
    NotYet,
    OthersFirst,
    LastOwner,
    Dynamic,
    ExchangeMastered,
    NotHeld,
}

impl Meaning {
    fn refusal(self) -> (FaultClass, &'static str) {
        match self {
            Self::Mastered => (
                FaultClass::Blocked,
                "the object is mastered by the on-premises directory; change it there and let it synchronise",
            ),
            Self::Inherited => (
                FaultClass::Blocked,
                "the licence comes from a group and can only go by leaving that group",
            ),
            Self::NotYet => (
                FaultClass::Transient,
                "the mailbox is still being converted; it is tried again",
            ),
            Self::OthersFirst => (
                FaultClass::Transient,
                "this method can go only after the others; it is tried again after them",
            ),
            Self::LastOwner => (
                FaultClass::Blocked,
                "it is the last owner of the group; give the group another owner first",
            ),
            Self::Dynamic => (
                FaultClass::Blocked,
                "the group's members are computed by a rule; change what the rule reads, or the rule",
            ),
            Self::NotHeld => (FaultClass::Absent, "the account does not hold the licence"),
            Self::ExchangeMastered => (
                FaultClass::Blocked,
                "the group is a mail group; only Exchange can change its members",
            ),
        }
    }
}

/// Reads a Graph (or SharePoint, or login) error answer.
///
/// `granted`: whether a permission that suffices is known to be in the token
/// that was used; none when the token could not be read.
pub(crate) fn of_answer(
    status: StatusCode,
    headers: &HeaderMap,
    body: &Value,
    now: Timestamp,
    effect: Effect,
    need: Need,
    granted: Option<bool>,
) -> Refusal {
    let error = &body["error"];
    let code_text = error["code"]
        .as_str()
        .or_else(|| body["odata.error"]["code"].as_str())
        .unwrap_or("");
    let sentence = error["message"]
        .as_str()
        .or_else(|| error["message"]["value"].as_str())
        .or_else(|| body["odata.error"]["message"]["value"].as_str())
        .unwrap_or("")
        .to_lowercase();
    let wait = retry_after_ms(headers, now);
    if sentence.contains("object references already exist") {
        return Refusal {
            class: FaultClass::Rejected,
            code: Some(ALREADY_THERE.to_owned()),
            detail: "it is there already".to_owned(),
        };
    }
    let code = clean_code(code_text);
    if let Some((_, class, detail)) = CODES.iter().find(|(known, ..)| *known == code_text) {
        return Refusal {
            class: *class,
            code,
            detail: (*detail).to_owned(),
        };
    }
    if matches!(status.as_u16(), 400 | 403 | 404 | 409 | 422)
        && let Some(meaning) = by_sentence(&sentence)
    {
        let (class, detail) = meaning.refusal();
        return Refusal {
            class,
            code: match meaning {
                Meaning::Mastered => Some(MASTERED_ELSEWHERE.to_owned()),
                _ => code,
            },
            detail: detail.to_owned(),
        };
    }
    let (class, detail) = match status.as_u16() {
        401 => (
            FaultClass::Denied,
            format!(
                "the token was refused; see that the application has {} on {} with admin consent{}",
                need.any.first().copied().unwrap_or("its permission"),
                need.api.name(),
                match need.api {
                    Permitter::Exchange => ", and the role Exchange Administrator",
                    Permitter::SharePoint => ", and proves itself by a certificate (SharePoint takes no secret)",
                    Permitter::Graph => "",
                }
            ),
        ),
        403 => forbidden(code_text, &sentence, need, granted),
        404 | 410 => (FaultClass::Absent, "the object is not there".to_owned()),
        405 | 501 => (FaultClass::Unsupported, "the interface does not offer this".to_owned()),
        409 | 412 => (
            FaultClass::Transient,
            "somebody changed the object at the same time; it is tried again".to_owned(),
        ),
        423 => (FaultClass::Blocked, "the object is locked; unlock it there".to_owned()),
        429 => (
            FaultClass::Throttled { retry_after_ms: wait },
            "the vendor asks to be called less often".to_owned(),
        ),
        // Also one that says when to come again may be a gateway's, whose server has the request.
        408 | 500..=599 if effect == Effect::Once => (
            FaultClass::Unknown,
            "the vendor failed after it had the request; whether it happened must be read".to_owned(),
        ),
        503 if wait.is_some() => (
            FaultClass::Throttled { retry_after_ms: wait },
            "the vendor is busy and says when to come again".to_owned(),
        ),
        503 => (
            FaultClass::Transient,
            "the vendor is busy; it is tried again".to_owned(),
        ),
        408 | 424 | 500..=599 => (FaultClass::Transient, "the vendor failed; it is tried again".to_owned()),
        300..=399 => (
            FaultClass::Rejected,
            "the vendor points elsewhere, where this client does not follow".to_owned(),
        ),
        _ => (
            FaultClass::Rejected,
            "the vendor does not accept the request".to_owned(),
        ),
    };
    let code = match class {
        FaultClass::Blocked if status == StatusCode::FORBIDDEN => Some(PROTECTED_TARGET.to_owned()),
        _ => code,
    };
    Refusal { class, code, detail }
}

fn by_sentence(sentence: &str) -> Option<Meaning> {
    let found = SENTENCES.iter().find(|(part, _)| sentence.contains(part));
    found.map(|(_, meaning)| *meaning)
}

fn forbidden(code: &str, sentence: &str, need: Need, granted: Option<bool>) -> (FaultClass, String) {
    let least = need.any.first().copied().unwrap_or("its permission");
    if code.contains("NonPremium") || sentence.contains("premium license") {
        return (
            FaultClass::Unsupported,
            "the tenant has no licence for this interface".to_owned(),
        );
    }
    match granted {
        Some(true) => (
            FaultClass::Blocked,
            "the permission is granted, so the target itself is protected (it holds a directory role, or belongs to a \
             group that can hold one); remove its roles, or give the application a higher directory role"
                .to_owned(),
        ),
        Some(false) => (
            FaultClass::Denied,
            format!(
                "the application lacks {least} on {}; grant it and consent as an administrator",
                need.api.name()
            ),
        ),
        None => (
            FaultClass::Denied,
            format!(
                "access was denied; see that the application has {least} on {}",
                need.api.name()
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::permission::{DISABLE, EXCHANGE};
    use super::*;
    use reqwest::header::RETRY_AFTER;
    use serde_json::json;

    fn read(status: u16, code: &str, message: &str, effect: Effect, granted: Option<bool>) -> FaultClass {
        let body = json!({"error": {"code": code, "message": message}});
        let headers = HeaderMap::new();
        let status = StatusCode::from_u16(status).unwrap();
        of_answer(status, &headers, &body, Timestamp(0), effect, DISABLE, granted).class
    }

    #[test]
    fn each_answer_is_of_its_class() {
        use Effect::{Once, Read, Write};
        use FaultClass::*;
        let none = Throttled { retry_after_ms: None };
        type Row<'a> = (u16, &'a str, &'a str, Effect, Option<bool>, FaultClass);
        let table: &[Row<'_>] = &[
            (429, "TooManyRequests", "", Read, None, none),
            (429, "activityLimitReached", "", Once, None, none),
            (500, "", "", Read, None, Transient),
            (502, "", "", Write, None, Transient),
            (502, "", "", Once, None, Unknown),
            (503, "", "", Once, None, Unknown),
            (504, "", "", Write, None, Transient),
            (504, "", "", Once, None, Unknown),
            (401, "InvalidAuthenticationToken", "", Read, None, Denied),
            (
                403,
                "Authorization_RequestDenied",
                "Insufficient privileges",
                Write,
                Some(true),
                Blocked,
            ),
            (
                403,
                "Authorization_RequestDenied",
                "Insufficient privileges",
                Write,
                Some(false),
                Denied,
            ),
            (403, "accessDenied", "", Read, None, Denied),
            (
                403,
                "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
                "",
                Read,
                Some(true),
                Unsupported,
            ),
            (404, "Request_ResourceNotFound", "", Write, None, Absent),
            (404, "MailboxNotEnabledForRESTAPI", "", Read, None, Absent),
            (405, "", "", Write, None, Unsupported),
            (409, "Conflict", "", Write, None, Transient),
            (412, "", "", Write, None, Transient),
            (424, "", "", Write, None, Transient),
            (
                400,
                "Request_BadRequest",
                "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration.",
                Write,
                None,
                Blocked,
            ),
            (
                400,
                "Request_BadRequest",
                "User license is inherited from group membership and cannot be removed directly from the user.",
                Write,
                None,
                Blocked,
            ),
            (
                400,
                "Request_BadRequest",
                "Could not remove license as the users mailbox is still being converted.",
                Write,
                None,
                Transient,
            ),
            (
                400,
                "badRequest",
                "Cannot delete default method with other methods configured.",
                Write,
                None,
                Transient,
            ),
            (
                400,
                "Request_BadRequest",
                "The group must have at least one owner, hence this owner cannot be removed.",
                Write,
                None,
                Blocked,
            ),
            (400, NOT_LICENSED, "", Read, Some(true), Unsupported),
            (400, "RoleAssignmentDoesNotExist", "", Write, None, Absent),
            (404, "RoleAssignmentDoesNotExist", "", Write, None, Absent),
            (400, "PendingRoleAssignmentRequest", "", Write, None, Transient),
            (400, "Request_BadRequest", "nonsense", Write, None, Rejected),
            (302, "", "", Read, None, Rejected),
        ];
        for (status, code, message, effect, granted, class) in table {
            assert_eq!(
                read(*status, code, message, *effect, *granted),
                *class,
                "{status} {code} {message}"
            );
        }
    }

    #[test]
    fn the_vendors_sentence_goes_no_further() {
        let body =
            json!({"error": {"code": "Bad canary sentence", "message": "Resource 'canary@x.test' does not exist"}});
        let refusal = of_answer(
            StatusCode::NOT_FOUND,
            &HeaderMap::new(),
            &body,
            Timestamp(0),
            Effect::Read,
            EXCHANGE,
            None,
        );
        assert_eq!(refusal.code, None);
        assert!(!refusal.detail.contains("canary"));
    }

    #[test]
    fn a_busy_vendor_that_says_when_is_throttling_unless_it_has_an_order() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "7".parse().unwrap());
        let told = FaultClass::Throttled {
            retry_after_ms: Some(7_000),
        };
        for (status, effect, class) in [
            (503, Effect::Read, told),
            (503, Effect::Write, told),
            (503, Effect::Once, FaultClass::Unknown),
            (429, Effect::Once, told),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let refusal = of_answer(status, &headers, &Value::Null, Timestamp(0), effect, DISABLE, None);
            assert_eq!(refusal.class, class, "{status} {effect:?}");
        }
    }
}
