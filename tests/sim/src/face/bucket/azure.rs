//! Azure's Blob service: containers with block blobs, every request signed with the account's key
//! (Shared Key), answers and refusals in its XML.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use super::{
    No, SKEW_MS, Speaks, Want, WireRequest, WireResponse, escaped, header, http_date, parameters, part, place, token,
    without, xml,
};
use crate::world::bucket::{BucketCall, Object, Page};

/// What of a request is signed by its place, in that order.
const SIGNED: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

/// The wire protocol of a storage account.
#[derive(Debug, Clone)]
pub struct AzureBlobFace {
    account: String,
    key: Vec<u8>,
}

impl AzureBlobFace {
    /// One of this account, whose key (Base64) this is.
    #[must_use]
    pub fn new(account: &str, key: &str) -> Self {
        Self {
            account: account.to_owned(),
            key: STANDARD.decode(key).unwrap_or_default(),
        }
    }

    /// Whether whoever has the key signed all of it, and not long ago.
    fn is_signed(&self, now_ms: i64, request: &WireRequest) -> bool {
        let signature = || {
            let said = request.headers.get("authorization")?;
            let (account, signature) = said.strip_prefix("SharedKey ")?.split_once(':')?;
            (account == self.account).then(|| STANDARD.decode(signature).ok())?
        };
        let signed_ms = || {
            let date = request.headers.get("date")?;
            let parser = jiff::fmt::rfc2822::DateTimeParser::new();
            Some(parser.parse_timestamp(date).ok()?.as_millisecond())
        };
        let in_time = signed_ms().is_some_and(|ms| (now_ms - ms).abs() <= SKEW_MS);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.key);
        let text = self.signed_text(request);
        in_time && signature().is_some_and(|signature| hmac::verify(&key, text.as_bytes(), &signature).is_ok())
    }

    fn signed_text(&self, request: &WireRequest) -> String {
        let mut text = format!("{}\n", request.method);
        for name in SIGNED {
            let value = request.headers.get(name).map_or("", String::as_str);
            // No length and none of nothing are the same.
            let value = if name == "content-length" && value == "0" {
                ""
            } else {
                value
            };
            text.push_str(value);
            text.push('\n');
        }
        for (name, value) in request.headers.iter().filter(|(name, _)| name.starts_with("x-ms-")) {
            text.push_str(&format!("{name}:{value}\n"));
        }
        text.push_str(&format!("/{}{}", self.account, request.path));
        for (name, value) in parameters(request) {
            text.push_str(&format!("\n{}:{value}", name.to_lowercase()));
        }
        text
    }
}

impl Speaks for AzureBlobFace {
    fn wants(&self, bucket: &str, now_ms: i64, request: &WireRequest) -> Result<Want, No> {
        if !self.is_signed(now_ms, request) {
            return Err(No::NotHis);
        }
        if !request.headers.contains_key("x-ms-version") {
            return Err(No::Malformed("MissingRequiredHeader"));
        }
        without(request, &["if-match", "if-modified-since", "if-unmodified-since"])?;
        let (container, name) = place(request);
        if container != bucket {
            return Err(No::BucketThere);
        }
        let said = |name: &str| request.headers.get(name).map(String::as_str);
        let query = parameters(request);
        match (request.method.as_str(), name.as_str()) {
            ("GET", "") => {
                let known = ["restype", "comp", "prefix", "delimiter", "marker"];
                let word = |name: &str| query.get(name).map(String::as_str);
                let lists = word("restype") == Some("container") && word("comp") == Some("list");
                if !lists || query.keys().any(|name| !known.contains(&name.as_str())) {
                    return Err(No::Malformed("InvalidQueryParameterValue"));
                }
                Want::list(&query, "marker")
            }
            (_, "") => Err(No::Malformed("UnsupportedHttpVerb")),
            _ if !query.is_empty() => Err(No::Malformed("UnsupportedQueryParameter")),
            ("PUT", name) => {
                if said("x-ms-blob-type") != Some("BlockBlob") || said("content-length").is_none() {
                    return Err(No::Malformed("MissingRequiredHeader"));
                }
                match said("if-none-match") {
                    Some("*") => Ok(Want::of(BucketCall::Create, name)),
                    None => Ok(Want::of(BucketCall::Replace, name)),
                    Some(_) => Err(No::Malformed("InvalidHeaderValue")),
                }
            }
            ("GET", name) => Ok(Want {
                range: part(request)?,
                ..Want::of(BucketCall::Read, name)
            }),
            ("HEAD", name) => Ok(Want::of(BucketCall::Look, name)),
            _ => Err(No::Malformed("UnsupportedHttpVerb")),
        }
    }

    fn no(&self, no: No) -> WireResponse {
        let (status, code) = match no {
            No::NotHis => (403, "AuthenticationFailed"),
            No::BucketThere => (404, "ContainerNotFound"),
            No::ObjectThere => (404, "BlobNotFound"),
            No::Exists => (409, "BlobAlreadyExists"),
            No::Busy => (503, "ServerBusy"),
            No::Range => (416, "InvalidRange"),
            No::Malformed(code) => (400, code),
        };
        let mut headers = vec![header("x-ms-error-code", code)];
        headers.extend((no == No::Busy).then(|| header("retry-after", 1)));
        let said = format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>Azure's own words.\nRequestId:0\nTime:0</Message></Error>"
        );
        xml(status, headers, said)
    }

    fn written(&self, object: &Object) -> WireResponse {
        WireResponse {
            status: 201,
            headers: self.about(object),
            ..WireResponse::default()
        }
    }

    fn about(&self, object: &Object) -> Vec<(String, String)> {
        vec![
            header("etag", format!("\"{}\"", etag(object))),
            header("last-modified", http_date(object.written_ms)),
            header("x-ms-blob-type", "BlockBlob"),
        ]
    }

    fn listed(&self, bucket: &str, page: &Page<'_>) -> WireResponse {
        let mut blobs = String::new();
        for (name, object) in &page.entries {
            let name = escaped(name);
            blobs.push_str(&match object {
                None => format!("<BlobPrefix><Name>{name}</Name></BlobPrefix>"),
                Some(object) => format!(
                    "<Blob><Name>{name}</Name><Properties><Last-Modified>{}</Last-Modified><Etag>{}</Etag><Content-Length>{}</Content-Length><Content-Type>application/octet-stream</Content-Type><BlobType>BlockBlob</BlobType></Properties><OrMetadata /></Blob>",
                    http_date(object.written_ms),
                    etag(object),
                    object.bytes.len()
                ),
            });
        }
        let blobs = match blobs.as_str() {
            "" => "<Blobs />".to_owned(),
            blobs => format!("<Blobs>{blobs}</Blobs>"),
        };
        let next = match &page.next {
            None => "<NextMarker />".to_owned(),
            Some(after) => format!("<NextMarker>{}</NextMarker>", escaped(&token(after))),
        };
        let said = format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"https://{}.blob.example/\" ContainerName=\"{}\">{blobs}{next}</EnumerationResults>",
            escaped(&self.account),
            escaped(bucket)
        );
        xml(200, Vec::new(), said)
    }
}

fn etag(object: &Object) -> String {
    format!("0x8D{:012X}", object.generation)
}
