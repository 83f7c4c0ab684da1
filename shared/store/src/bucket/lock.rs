//! S3's Object Lock, on every object that is written.
//!
//! `object_store` knows no header for it, so it is put on below: after the
//! request has been made and signed, and then it is signed again, because S3
//! takes no `x-amz-…` header that the signature does not cover. A lock that a
//! server ignores would be a promise that nobody keeps: what the bucket says of
//! itself is asked with [`ask`].

use super::BoxError;
use async_trait::async_trait;
use futures::TryStreamExt as _;
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpService,
    ReqwestConnector,
};
use object_store::{ClientOptions, HeaderValue};
use offboard_runtime::config::{Lock, LockMode};
use offboard_runtime::{Clock as _, SystemClock};

const MODE: &str = "x-amz-object-lock-mode";
const UNTIL: &str = "x-amz-object-lock-retain-until-date";
/// Which sum is sent along; every server that locks wants one, some want its name.
const SUM: &str = "x-amz-sdk-checksum-algorithm";
/// The sum over the bytes that the first signature covers.
const BODY_SHA256: &str = "x-amz-content-sha256";
/// Most of an answer that is read.
const ANSWER_MAX_BYTES: usize = 64 * 1024;

/// What a bucket says of its locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockState {
    /// It was made with Object Lock.
    On,
    /// It was not, and then no lock on an object holds.
    Off,
}

/// Makes clients that lock what they write.
#[derive(Debug)]
pub(super) struct Locking {
    lock: Lock,
    region: String,
    credentials: AwsCredentialProvider,
}

impl Locking {
    pub(super) fn new(lock: Lock, region: &str, credentials: &AwsCredentialProvider) -> Self {
        Self {
            lock,
            region: region.to_owned(),
            credentials: credentials.clone(),
        }
    }
}

impl HttpConnector for Locking {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(LockingClient {
            below: ReqwestConnector::default().connect(options)?,
            lock: self.lock,
            region: self.region.clone(),
            credentials: self.credentials.clone(),
        }))
    }
}

#[derive(Debug)]
struct LockingClient {
    below: HttpClient,
    lock: Lock,
    region: String,
    credentials: AwsCredentialProvider,
}

#[async_trait]
impl HttpService for LockingClient {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if request.method() == "PUT" {
            self.lock(&mut request)
                .await
                .map_err(|e| HttpError::new_boxed(HttpErrorKind::Unknown, e))?;
        }
        self.below.execute(request).await
    }
}

impl LockingClient {
    async fn lock(&self, request: &mut HttpRequest) -> Result<(), BoxError> {
        let mode = match self.lock.mode {
            LockMode::Compliance => "COMPLIANCE",
            LockMode::Governance => "GOVERNANCE",
        };
        let until = SystemClock.now().plus(self.lock.keep_ms).to_string();
        let signed = request.headers().get(BODY_SHA256).and_then(|v| v.to_str().ok());
        let sum = signed
            .and_then(bytes_of)
            .ok_or("the request has no sum over its body")?;
        let headers = request.headers_mut();
        headers.insert(MODE, HeaderValue::from_static(mode));
        headers.insert(UNTIL, HeaderValue::from_str(&until)?);
        headers.insert(SUM, HeaderValue::from_static("SHA256"));
        headers.remove("authorization");
        let credential = self.credentials.get_credential().await?;
        AwsAuthorizer::new(&credential, "s3", &self.region).try_authorize(request, Some(&sum))?;
        Ok(())
    }
}

fn bytes_of(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 2 * bytes.len() || !hex.is_ascii() {
        return None;
    }
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).ok()?;
    }
    Some(bytes)
}

/// Asks the bucket.
pub(super) async fn ask(
    bucket_url: &str,
    region: &str,
    credentials: &AwsCredentialProvider,
    options: &ClientOptions,
) -> Result<LockState, BoxError> {
    let client = ReqwestConnector::default().connect(options)?;
    let mut request = HttpRequest::new(HttpRequestBody::empty());
    *request.uri_mut() = format!("{bucket_url}?object-lock").parse()?;
    let credential = credentials.get_credential().await?;
    AwsAuthorizer::new(&credential, "s3", region).try_authorize(&mut request, None)?;
    let answer = client.execute(request).await?;
    let status = answer.status();
    let mut body = Vec::new();
    let mut chunks = answer.into_body().bytes_stream();
    while let Some(chunk) = chunks.try_next().await? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_MAX_BYTES {
            return Err("the answer about its locks is too long to be one".into());
        }
    }
    let said = String::from_utf8_lossy(&body);
    if status.is_success() && said.contains("<ObjectLockEnabled>Enabled</ObjectLockEnabled>") {
        Ok(LockState::On)
    } else if said.contains("ObjectLockConfigurationNotFoundError") {
        Ok(LockState::Off)
    } else {
        let code = said
            .split_once("<Code>")
            .and_then(|(_, rest)| rest.split_once("</Code>"));
        let code: String = code.map_or("no reason", |(code, _)| code).chars().take(100).collect();
        Err(format!("asked for its object lock configuration it answered {status}, {code}; this identity needs s3:GetBucketObjectLockConfiguration").into())
    }
}
