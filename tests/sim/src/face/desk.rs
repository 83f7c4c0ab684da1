//! What the faces of all desks have in common: faults, headers, forms, queries.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{WireAnswer, WireRequest, WireResponse};
use crate::world::desk::{Desk, DeskFault, File};

/// An answer, or a refusal: the status and a code.
pub(super) type Done = Result<(u16, Value), (u16, &'static str)>;

/// Answers, or meets what a test has ordered.
pub(super) fn answer(
    desk: &mut Desk,
    now_ms: i64,
    request: &WireRequest,
    let_in: bool,
    serve: impl Fn(&mut Desk, i64, &WireRequest) -> Done,
) -> WireAnswer {
    if desk.away {
        return WireAnswer::Lost { latency_ms: 0 };
    }
    let asked = format!("{} {}?{}", request.method, request.path, request.query);
    desk.asked.push(asked.trim_end_matches('?').to_owned());
    if !let_in {
        return response(now_ms, Err((401, "Unauthorized")), None);
    }
    let reads = request.method == "GET" || request.path.ends_with("/query");
    if !reads && desk.read_only {
        return response(now_ms, Err((403, "Forbidden")), None);
    }
    let met = if reads { None } else { desk.write_faults.pop() };
    match met.or_else(|| desk.faults.pop()) {
        None => {
            let done = serve(desk, now_ms, request);
            response(now_ms, done, None)
        }
        Some(DeskFault::Status(status, after_s, happens)) => {
            if happens {
                let _done = serve(desk, now_ms, request);
            }
            response(now_ms, Err((status, "Failure")), after_s)
        }
        Some(DeskFault::Cut(happened)) => {
            if happened {
                let _done = serve(desk, now_ms, request);
            }
            WireAnswer::Lost { latency_ms: 0 }
        }
    }
}

pub(super) fn response(now_ms: i64, done: Done, after_s: Option<u32>) -> WireAnswer {
    let date = jiff::Timestamp::from_millisecond(now_ms).map(|t| t.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    headers.extend(date.ok().map(|date| ("date".to_owned(), date)));
    headers.extend(after_s.map(|s| ("retry-after".to_owned(), s.to_string())));
    let (status, body) = done.unwrap_or_else(|(status, code)| {
        (
            status,
            json!({"code": code, "message": "the desk's own words, canary and all"}),
        )
    });
    WireAnswer::Response(WireResponse {
        status,
        headers,
        body: body.to_string().into_bytes(),
        latency_ms: 0,
    })
}

/// A number as this desk writes it.
pub(super) fn number(desk: &Desk, n: u64) -> Value {
    if desk.habits.numbers_as_text {
        json!(n.to_string())
    } else {
        json!(n)
    }
}

pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let decoded = |t: &str| {
        percent_decode_str(&t.replace('+', " "))
            .decode_utf8_lossy()
            .into_owned()
    };
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

/// A form by its names.
pub(super) fn form(body: &[u8]) -> BTreeMap<String, String> {
    pairs(&String::from_utf8_lossy(body))
}

/// The fields of a form, and its file.
pub(super) fn parts(request: &WireRequest) -> Option<(Query, File)> {
    let media_type = request.headers.get("content-type")?;
    let boundary = format!("--{}", media_type.strip_prefix("multipart/form-data; boundary=")?);
    let text: &[u8] = &request.body;
    let find = |from: usize, what: &[u8]| {
        let rest = text.get(from..)?;
        rest.windows(what.len()).position(|w| w == what).map(|at| from + at)
    };
    let (mut fields, mut file) = (Vec::new(), None);
    let mut at = find(0, boundary.as_bytes())? + boundary.len();
    while !text.get(at..)?.starts_with(b"--") {
        let head_end = find(at, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&text[at..head_end]).into_owned();
        let end = find(head_end, format!("\r\n{boundary}").as_bytes())?;
        let value = text[head_end + 4..end].to_vec();
        let name = head.split("name=\"").nth(1)?.split('"').next()?;
        match head.split("filename=\"").nth(1).and_then(|f| f.split('"').next()) {
            Some(filename) => {
                file = Some(File {
                    name: filename.to_owned(),
                    bytes: value,
                });
            }
            None => fields.push(format!("{name}={}", String::from_utf8_lossy(&value))),
        }
        at = end + 2 + boundary.len();
    }
    Some((Query::of(&fields.join("&")), file?))
}

/// What stands after the question mark.
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn of(query: &str) -> Self {
        Self(pairs(query))
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.text(name).parse().ok()
    }
}
