//! What every vendor's answer over HTTP is read for: what silence means, when to
//! come again, its clock, its id, its code.

use crate::{Answer, Call};
use offboard_domain::{Fault, FaultClass, Timestamp};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// What a request does, for what silence after it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Changes nothing.
    Read,
    /// Changes something; harmless when repeated.
    Write,
    /// Changes something, and must not happen twice.
    Once,
}

impl Effect {
    pub(crate) fn writes(self) -> bool {
        self != Self::Read
    }

    /// What it is when the request was sent and no (whole) answer came.
    pub(crate) fn silence(self) -> FaultClass {
        if self.writes() {
            FaultClass::Unknown
        } else {
            FaultClass::Transient
        }
    }

    /// Counts a request among those that had no effect, if it was to have one.
    pub(crate) fn refused(self, call: &mut Call) {
        if self.writes() {
            call.note_refused();
        }
    }

    /// The same, if the vendor's answer is certainly a refusal. `quota` are the codes in which
    /// he says, with whatever status, that he was asked too often.
    pub(crate) fn judged<T>(self, call: &mut Call, answer: &Answer<T>, quota: &[&str]) {
        if answer.as_ref().is_err_and(|fault| is_certain(fault, quota)) {
            self.refused(call);
        }
    }
}

/// Whether what was answered so was certainly not done. A 429 comes before anything is begun.
/// A 503 may be a gateway's, whose server has the request, also where it says when to come
/// again.
fn is_certain(fault: &Fault, quota: &[&str]) -> bool {
    let is_quota = || fault.code.as_deref().is_some_and(|code| quota.contains(&code));
    match fault.class {
        FaultClass::Throttled { .. } => fault.status == Some(TOO_MANY_REQUESTS) || is_quota(),
        class => class.is_refusal(),
    }
}

const TOO_MANY_REQUESTS: u16 = 429;

/// A refusal, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) class: FaultClass,
    pub(crate) code: Option<String>,
    pub(crate) detail: String,
}

/// Longest error code that is kept.
const CODE_MAX_CHARS: usize = 80;

/// A vendor's code, if it looks like one: a word, never a sentence.
pub(crate) fn clean_code(code: &str) -> Option<String> {
    let fine = !code.is_empty()
        && code.len() <= CODE_MAX_CHARS
        && code
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    fine.then(|| code.to_owned())
}

/// `Retry-After`, in milliseconds: seconds, or a date, which is measured from
/// the answer's own date so that clocks that differ do no harm.
pub(crate) fn retry_after_ms(headers: &HeaderMap, now: Timestamp) -> Option<i64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds.is_finite() && seconds >= 0.0).then_some((seconds * 1_000.0).ceil() as i64);
    }
    let at = http_date_ms(text)?;
    let from = header_date_ms(headers).unwrap_or(now.0);
    Some((at - from).max(0))
}

/// The answer's `Date`, in milliseconds since 1970.
pub(crate) fn header_date_ms(headers: &HeaderMap) -> Option<i64> {
    http_date_ms(headers.get(DATE)?.to_str().ok()?)
}

fn http_date_ms(text: &str) -> Option<i64> {
    // RFC 9110's date is RFC 2822's with the zone spelled GMT.
    jiff::fmt::rfc2822::parse(text)
        .ok()
        .map(|z| z.timestamp().as_millisecond())
}

/// The vendor's id of the request, in the first of these headers that has one.
pub(crate) fn named_id(headers: &HeaderMap, names: &[&'static str]) -> Option<String> {
    names
        .iter()
        .find_map(|name| headers.get(*name))
        .and_then(|v| v.to_str().ok())
        .filter(|v| v.len() <= REQUEST_ID_MAX_CHARS && v.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
        .map(str::to_owned)
}

/// A GUID has 36.
const REQUEST_ID_MAX_CHARS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_busy_may_have_done_it_and_who_was_asked_too_often_has_not() {
        const QUOTA: &[&str] = &["quotaExceeded"];
        let throttled = FaultClass::Throttled {
            retry_after_ms: Some(7_000),
        };
        let table = [
            (throttled, Some(429), None, true),
            (throttled, Some(503), None, false),
            (throttled, Some(400), Some("ServerBusyException"), false),
            (throttled, Some(403), Some("quotaExceeded"), true),
            (throttled, None, None, false),
            (FaultClass::Transient, Some(503), None, false),
            (FaultClass::Unknown, None, None, false),
            (FaultClass::Denied, Some(403), None, true),
            (FaultClass::Absent, Some(404), None, true),
        ];
        for (class, status, code, certain) in table {
            let fault = Fault {
                class,
                system: offboard_domain::System::person(),
                attempted: "POST /things".to_owned(),
                status,
                code: code.map(str::to_owned),
                detail: "by the test's order".to_owned(),
                request_id: None,
            };
            assert_eq!(is_certain(&fault, QUOTA), certain, "{fault}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let with = |after: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, after.parse().unwrap());
            if let Some(date) = date {
                headers.insert(DATE, date.parse().unwrap());
            }
            retry_after_ms(&headers, Timestamp(784_111_777_000))
        };
        assert_eq!(with("120", None), Some(120_000));
        assert_eq!(with("0.5", None), Some(500));
        assert_eq!(with("-1", None), None);
        assert_eq!(with("soon", None), None);
        assert_eq!(with("Sun, 06 Nov 1994 08:49:47 GMT", None), Some(10_000));
        assert_eq!(
            with("Sun, 06 Nov 1994 08:49:47 GMT", Some("Sun, 06 Nov 1994 08:49:07 GMT")),
            Some(40_000)
        );
        assert_eq!(
            with("Sun, 06 Nov 1994 08:49:07 GMT", None),
            Some(0),
            "in the past: at once"
        );
    }
}
