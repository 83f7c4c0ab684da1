//! Google's XML interface to Cloud Storage. Whoever asks is a service account that signs its own
//! token (RS256): nobody is asked for one.

use serde_json::{Value, json};

use super::{
    No, SKEW_MS, Speaks, Want, WireRequest, WireResponse, escaped, header, http_date, parameters, part, place, token,
    without, xml,
};
use crate::face::google::signed_claims;
use crate::iso;
use crate::world::bucket::{BucketCall, Object, Page};

/// The longest that a token may be valid.
const LONGEST_S: i64 = 3_600;
/// What a token must be for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The wire protocol of Google's storage.
#[derive(Debug, Clone)]
pub struct GoogleStorageFace {
    issuer: String,
    public_key: Vec<u8>,
}

impl GoogleStorageFace {
    /// One that knows this service account, by its address and its public key (PKCS #1, DER).
    #[must_use]
    pub fn new(issuer: &str, public_key: Vec<u8>) -> Self {
        Self {
            issuer: issuer.to_owned(),
            public_key,
        }
    }

    fn is_signed(&self, now_ms: i64, request: &WireRequest) -> bool {
        let said = request.headers.get("authorization");
        let token = said.and_then(|said| said.strip_prefix("Bearer "));
        let claims = token.and_then(|token| signed_claims(&self.public_key, token));
        claims.is_some_and(|claims| self.is_his(now_ms, &claims))
    }

    fn is_his(&self, now_ms: i64, claims: &Value) -> bool {
        let (now_s, skew_s) = (now_ms / 1_000, SKEW_MS / 1_000);
        let (Some(issued), Some(ends)) = (claims["iat"].as_i64(), claims["exp"].as_i64()) else {
            return false;
        };
        let in_time = issued <= now_s + skew_s && ends > now_s && ends - issued <= LONGEST_S;
        let scopes = claims["scope"].as_str().unwrap_or_default();
        let by_him = claims["iss"] == json!(self.issuer) && claims["sub"] == claims["iss"];
        in_time && by_him && scopes.split(' ').any(|scope| scope == SCOPE)
    }
}

impl Speaks for GoogleStorageFace {
    fn wants(&self, bucket: &str, now_ms: i64, request: &WireRequest) -> Result<Want, No> {
        if !self.is_signed(now_ms, request) {
            return Err(No::NotHis);
        }
        without(
            request,
            &[
                "if-match",
                "if-none-match",
                "if-modified-since",
                "if-unmodified-since",
                "x-goog-if-metageneration-match",
            ],
        )?;
        let (named, name) = place(request);
        if named != bucket {
            return Err(No::BucketThere);
        }
        let query = parameters(request);
        match (request.method.as_str(), name.as_str()) {
            ("GET", "") => {
                let known = ["list-type", "prefix", "delimiter", "continuation-token"];
                let second = query.get("list-type").map(String::as_str) == Some("2");
                if !second || query.keys().any(|name| !known.contains(&name.as_str())) {
                    return Err(No::Malformed("InvalidArgument"));
                }
                Want::list(&query, "continuation-token")
            }
            (_, "") => Err(No::Malformed("MethodNotAllowed")),
            _ if !query.is_empty() => Err(No::Malformed("InvalidArgument")),
            ("PUT", name) => {
                if !request.headers.contains_key("content-length") {
                    return Err(No::Malformed("MissingContentLength"));
                }
                match request.headers.get("x-goog-if-generation-match").map(String::as_str) {
                    Some("0") => Ok(Want::of(BucketCall::Create, name)),
                    None => Ok(Want::of(BucketCall::Replace, name)),
                    Some(_) => Err(No::Malformed("InvalidArgument")),
                }
            }
            ("GET", name) => Ok(Want {
                range: part(request)?,
                ..Want::of(BucketCall::Read, name)
            }),
            ("HEAD", name) => Ok(Want::of(BucketCall::Look, name)),
            _ => Err(No::Malformed("MethodNotAllowed")),
        }
    }

    fn no(&self, no: No) -> WireResponse {
        let (status, code) = match no {
            No::NotHis => (401, "AuthenticationRequired"),
            No::BucketThere => (404, "NoSuchBucket"),
            No::ObjectThere => (404, "NoSuchKey"),
            No::Exists => (412, "PreconditionFailed"),
            // It also says so of a second write to one name within a second.
            No::Busy => (429, "SlowDown"),
            No::Range => (416, "InvalidRange"),
            No::Malformed(code) => (400, code),
        };
        let retry = (no == No::Busy).then(|| header("retry-after", 1));
        let said = format!(
            "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>Google's own words.</Message></Error>"
        );
        xml(status, retry.into_iter().collect(), said)
    }

    fn written(&self, object: &Object) -> WireResponse {
        WireResponse {
            status: 200,
            headers: self.about(object),
            ..WireResponse::default()
        }
    }

    fn about(&self, object: &Object) -> Vec<(String, String)> {
        vec![
            header("etag", format!("\"{}\"", etag(object))),
            header("last-modified", http_date(object.written_ms)),
            header("x-goog-generation", object.generation),
        ]
    }

    fn listed(&self, bucket: &str, page: &Page<'_>) -> WireResponse {
        let mut entries = String::new();
        for (name, object) in &page.entries {
            let name = escaped(name);
            entries.push_str(&match object {
                None => format!("<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"),
                Some(object) => format!(
                    "<Contents><Key>{name}</Key><Generation>{}</Generation><LastModified>{}</LastModified><ETag>&quot;{}&quot;</ETag><Size>{}</Size></Contents>",
                    object.generation,
                    iso(object.written_ms),
                    etag(object),
                    object.bytes.len()
                ),
            });
        }
        let next = match &page.next {
            None => String::new(),
            Some(after) => format!(
                "<NextContinuationToken>{}</NextContinuationToken>",
                escaped(&token(after))
            ),
        };
        let said = format!(
            "<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'><Name>{}</Name><IsTruncated>{}</IsTruncated>{next}{entries}</ListBucketResult>",
            escaped(bucket),
            page.next.is_some()
        );
        xml(200, Vec::new(), said)
    }
}

fn etag(object: &Object) -> String {
    format!("{:032x}", object.generation)
}
