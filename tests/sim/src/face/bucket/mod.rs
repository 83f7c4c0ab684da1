//! Azure Blob Storage and Google Cloud Storage over a bucket: as much of them as it takes to create,
//! replace, read, look and list. Whatever a face does not know, it refuses; a condition, too, that it
//! does not know.
//!
//! What both have in common is here: what is asked for, what befalls it, what comes of it. A vendor
//! reads requests, knows who asks, and writes answers.

mod azure;
mod google;

pub use azure::AzureBlobFace;
pub use google::GoogleStorageFace;

use std::collections::BTreeMap;
use std::ops::Range;

use percent_encoding::percent_decode_str;

use super::{WireAnswer, WireRequest, WireResponse};
use crate::world::bucket::{Bucket, BucketCall, BucketFault, Object, Page};

/// How much is sent of what is torn, at most: what surely goes out at once.
const TORN_BYTES: usize = 4 * 1024;
/// How far a client's clock may be off.
const SKEW_MS: i64 = 15 * 60 * 1_000;

/// Whose protocol a bucket speaks.
#[derive(Debug, Clone)]
pub enum BucketFace {
    /// Azure's.
    Azure(AzureBlobFace),
    /// Google's.
    Google(GoogleStorageFace),
}

impl BucketFace {
    /// Answers a request at that time.
    #[must_use]
    pub fn answer(&self, bucket: &mut Bucket, now_ms: i64, request: &WireRequest) -> WireAnswer {
        match self {
            Self::Azure(face) => answer(face, bucket, now_ms, request),
            Self::Google(face) => answer(face, bucket, now_ms, request),
        }
    }
}

/// What is asked for.
struct Want {
    call: BucketCall,
    /// Of what; in a listing, what names begin with.
    name: String,
    /// Which part.
    range: Option<Range<usize>>,
    /// Whether a listing stops at slashes.
    folders: bool,
    /// After which name a listing goes on.
    after: Option<String>,
}

impl Want {
    fn of(call: BucketCall, name: &str) -> Self {
        Self {
            call,
            name: name.to_owned(),
            range: None,
            folders: false,
            after: None,
        }
    }

    /// A listing with these of the vendor's words for its parameters.
    fn list(query: &BTreeMap<String, String>, go_on: &str) -> Result<Self, No> {
        let word = |name: &str| query.get(name).map(String::as_str);
        let folders = match word("delimiter") {
            None => false,
            Some("/") => true,
            Some(_) => return Err(No::Malformed("InvalidQueryParameterValue")),
        };
        let after = match word(go_on) {
            None => None,
            Some(token) => Some(read_token(token).ok_or(No::Malformed("InvalidQueryParameterValue"))?),
        };
        Ok(Self {
            folders,
            after,
            ..Self::of(BucketCall::List, word("prefix").unwrap_or_default())
        })
    }

    fn line(&self) -> String {
        let line = format!("{} {}", self.call.word(), self.name);
        match &self.after {
            Some(after) => format!("{line} after {after}"),
            None => line,
        }
    }
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum No {
    /// Nobody knows who asks.
    NotHis,
    /// There is no such bucket.
    BucketThere,
    /// There is no such object.
    ObjectThere,
    Exists,
    Busy,
    /// There is no such part.
    Range,
    /// It is not understood, in the vendor's word.
    Malformed(&'static str),
}

/// A vendor.
trait Speaks {
    /// What is asked for, of the bucket of that name.
    fn wants(&self, bucket: &str, now_ms: i64, request: &WireRequest) -> Result<Want, No>;
    fn no(&self, no: No) -> WireResponse;
    fn written(&self, object: &Object) -> WireResponse;
    /// The headers of what is read.
    fn about(&self, object: &Object) -> Vec<(String, String)>;
    fn listed(&self, bucket: &str, page: &Page<'_>) -> WireResponse;
}

fn answer(face: &impl Speaks, bucket: &mut Bucket, now_ms: i64, request: &WireRequest) -> WireAnswer {
    let want = match face.wants(&bucket.name, now_ms, request) {
        Ok(want) => want,
        Err(no) => return WireAnswer::Response(face.no(no)),
    };
    let line = want.line();
    bucket.asked.push(match &want.range {
        Some(range) => format!("{line} from {}", range.start),
        None => line.clone(),
    });
    let lost = WireAnswer::Lost { latency_ms: 0 };
    let fate = bucket.fate(want.call, &line);
    match fate {
        Some(BucketFault::Busy) => return WireAnswer::Response(face.no(No::Busy)),
        Some(BucketFault::Conflict) => return WireAnswer::Response(face.no(No::Exists)),
        Some(BucketFault::LostBefore) => return lost,
        Some(BucketFault::LostAfter | BucketFault::Torn) | None => {}
    }
    let response = done(face, bucket, now_ms, &want, request).unwrap_or_else(|no| face.no(no));
    match fate {
        Some(BucketFault::LostAfter) => lost,
        Some(BucketFault::Torn) if response.status < 300 && response.body.len() > 1 => WireAnswer::Torn {
            after_bytes: TORN_BYTES.min(response.body.len() / 2),
            response,
        },
        _ => WireAnswer::Response(response),
    }
}

fn done(
    face: &impl Speaks,
    bucket: &mut Bucket,
    now_ms: i64,
    want: &Want,
    request: &WireRequest,
) -> Result<WireResponse, No> {
    match want.call {
        BucketCall::Create if bucket.objects.contains_key(&want.name) && !bucket.overwrites => Err(No::Exists),
        BucketCall::Create | BucketCall::Replace => {
            let object = bucket.write(&want.name, &request.body, now_ms);
            Ok(face.written(&object))
        }
        BucketCall::Read => read(face, bucket, want),
        BucketCall::Look => {
            let object = bucket.objects.get(&want.name).ok_or(No::ObjectThere)?;
            let mut headers = face.about(object);
            headers.push(header("content-length", object.bytes.len()));
            Ok(WireResponse {
                status: 200,
                headers,
                ..WireResponse::default()
            })
        }
        BucketCall::List => {
            let page = bucket.page(&want.name, want.folders, want.after.as_deref());
            Ok(face.listed(&bucket.name, &page))
        }
    }
}

fn read(face: &impl Speaks, bucket: &Bucket, want: &Want) -> Result<WireResponse, No> {
    let object = bucket.objects.get(&want.name).ok_or(No::ObjectThere)?;
    let mut headers = face.about(object);
    let whole = object.bytes.len();
    let (status, body) = match &want.range {
        None => (200, object.bytes.clone()),
        Some(range) => {
            let end = range.end.min(whole);
            let part = object.bytes.get(range.start..end).filter(|part| !part.is_empty());
            let part = part.ok_or(No::Range)?.to_vec();
            let stands = format!("bytes {}-{}/{whole}", range.start, end - 1);
            headers.push(header("content-range", stands));
            (206, part)
        }
    };
    Ok(WireResponse {
        status,
        headers,
        body,
        latency_ms: 0,
    })
}

fn header(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

/// An answer in XML.
fn xml(status: u16, mut headers: Vec<(String, String)>, body: String) -> WireResponse {
    headers.push(header("content-type", "application/xml"));
    WireResponse {
        status,
        headers,
        body: body.into_bytes(),
        latency_ms: 0,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// How a listing goes on: no name, so that nobody takes it for one.
fn token(after: &str) -> String {
    format!("2!{}!{after}", after.len())
}

fn read_token(token: &str) -> Option<String> {
    let (length, after) = token.strip_prefix("2!")?.split_once('!')?;
    (length.parse::<usize>().ok() == Some(after.len())).then(|| after.to_owned())
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A request's parameters.
fn parameters(request: &WireRequest) -> BTreeMap<String, String> {
    let pairs = request.query.split('&').filter(|pair| !pair.is_empty());
    let read = |text: &str| decode(&text.replace('+', " "));
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (read(name), read(value)))
        .collect()
}

/// The bucket and the name in a path.
fn place(request: &WireRequest) -> (String, String) {
    let path = request.path.trim_start_matches('/');
    let (bucket, name) = path.split_once('/').unwrap_or((path, ""));
    (decode(bucket), decode(name))
}

/// Which part is asked for.
fn part(request: &WireRequest) -> Result<Option<Range<usize>>, No> {
    let Some(text) = request.headers.get("range") else {
        return Ok(None);
    };
    let read = || {
        let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
        Some(first.parse().ok()?..last.parse::<usize>().ok()?.checked_add(1)?)
    };
    read().map(Some).ok_or(No::Malformed("InvalidRange"))
}

/// Refuses what is said in a header that nobody here knows.
fn without(request: &WireRequest, names: &[&str]) -> Result<(), No> {
    let there = names.iter().any(|name| request.headers.contains_key(*name));
    if there {
        Err(No::Malformed("UnsupportedHeader"))
    } else {
        Ok(())
    }
}

/// A time as HTTP writes it.
fn http_date(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map(|time| time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_goes_on_where_its_token_says_and_nowhere_else() {
        for after in ["", "a/b", "!", "2!0!"] {
            assert_eq!(read_token(&token(after)).as_deref(), Some(after));
        }
        for strange in ["", "a/b", "2!1!", "2!1!ab", "1!0!"] {
            assert_eq!(read_token(strange), None, "{strange:?}");
        }
    }
}
