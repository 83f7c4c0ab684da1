//! A store in a bucket: S3 and what speaks as it does, Azure Blob Storage,
//! Google Cloud Storage.
//!
//! The laws rest on one thing that the server must do: refuse to create what
//! is there (`If-None-Match: *`). A server that takes the header and overwrites
//! all the same is found by [`Store::check`], which asks it to.
//!
//! Who one is there comes by reference; without a key it is who this machine is
//! at the cloud (its environment, its instance, its pod). TLS is rustls with
//! ring, trusting what the machine trusts or the one authority that is named.

mod lock;

use crate::{Store, StoreError};
use lock::Locking;
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, Certificate, ClientOptions, ObjectStore, RetryConfig};
use offboard_runtime::SecretRef;
use offboard_runtime::config::{Bucket, Cloud};
use std::sync::Arc;
use std::time::Duration;

pub use lock::LockState;

/// How long a server may take to take a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long one request may take: an archive of some megabytes on a slow line.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// What fails is tried again for so long; then whoever asked is told, and asks
/// again when it is due.
const RETRY_WITHIN: Duration = Duration::from_secs(15);
/// How often at most.
const RETRIES: usize = 4;
/// Region of a server that has none.
const REGION: &str = "us-east-1";

type BoxError = Box<dyn std::error::Error + Send + Sync>;

pub(crate) fn open(bucket: &Bucket) -> Result<Store, StoreError> {
    let failed = |source| StoreError::Bucket {
        bucket: bucket.to_string(),
        source,
    };
    let options = client(bucket).map_err(failed)?;
    let inner = match bucket.cloud {
        Cloud::S3 => s3(bucket, &options).map(|(_, locked)| beneath(bucket, locked)),
        Cloud::Azure => azure(bucket, options),
        Cloud::Google => google(bucket, options),
    };
    inner.map(Store::on).map_err(failed)
}

/// What the bucket says of its locks.
///
/// # Errors
/// [`StoreError::Bucket`] if it cannot be reached or does not say.
pub async fn lock_state(bucket: &Bucket) -> Result<LockState, StoreError> {
    let ask = async {
        let options = client(bucket)?;
        let (plain, _) = s3(bucket, &options)?;
        lock::ask(&bucket_url(bucket), region(bucket), plain.credentials(), &options).await
    };
    ask.await.map_err(|source| StoreError::Bucket {
        bucket: bucket.to_string(),
        source,
    })
}

fn client(bucket: &Bucket) -> Result<ClientOptions, BoxError> {
    // Another part of the process may have installed one; either will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut options = ClientOptions::new()
        .with_connect_timeout(CONNECT_WITHIN)
        .with_timeout(ANSWER_WITHIN)
        // The configuration lets plain HTTP through to this machine alone.
        .with_allow_http(bucket.access.endpoint.is_some());
    if let Some(file) = &bucket.access.ca {
        let pem = std::fs::read(file).map_err(|e| format!("failed to read {}: {e}", file.display()))?;
        for certificate in Certificate::from_pem_bundle(&pem)? {
            options = options.with_root_certificate(certificate);
        }
        options = options.with_no_system_certificates(true);
    }
    Ok(options)
}

fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(4),
            base: 2.0,
        },
        max_retries: RETRIES,
        retry_timeout: RETRY_WITHIN,
    }
}

fn beneath(bucket: &Bucket, store: impl ObjectStore) -> Arc<dyn ObjectStore> {
    if bucket.prefix.is_empty() {
        Arc::new(store)
    } else {
        Arc::new(PrefixStore::new(store, bucket.prefix.as_str()))
    }
}

fn secret(from: Option<&SecretRef>) -> Result<Option<String>, BoxError> {
    Ok(from.map(SecretRef::read).transpose()?.map(|s| s.expose().to_owned()))
}

fn region(bucket: &Bucket) -> &str {
    bucket.access.region.as_deref().unwrap_or(REGION)
}

/// Whether the bucket's name stands in the host's.
fn in_host(bucket: &Bucket) -> bool {
    bucket.access.path_style == Some(false)
}

/// Where the bucket is, as `object_store` makes it of the same words.
fn bucket_url(bucket: &Bucket) -> String {
    let name = &bucket.name;
    match (&bucket.access.endpoint, in_host(bucket)) {
        (Some(endpoint), true) => with_host(endpoint, name),
        (Some(endpoint), false) => format!("{endpoint}/{name}"),
        (None, true) => format!("https://{name}.s3.{}.amazonaws.com", region(bucket)),
        (None, false) => format!("https://s3.{}.amazonaws.com/{name}", region(bucket)),
    }
}

fn with_host(endpoint: &str, name: &str) -> String {
    match endpoint.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{name}.{rest}"),
        None => endpoint.to_owned(),
    }
}

/// The bucket as it is, and as it is written to: with a lock on all that is
/// written, if one is asked for.
fn s3(bucket: &Bucket, options: &ClientOptions) -> Result<(AmazonS3, AmazonS3), BoxError> {
    let access = &bucket.access;
    let mut builder = match &access.key {
        Some(_) => AmazonS3Builder::new(),
        None => AmazonS3Builder::from_env(),
    };
    if let (Some(id), Some(key)) = (secret(access.key_id.as_ref())?, secret(access.key.as_ref())?) {
        builder = builder.with_access_key_id(id).with_secret_access_key(key);
    }
    if let Some(token) = secret(access.session_token.as_ref())? {
        builder = builder.with_token(token);
    }
    builder = builder
        .with_bucket_name(&bucket.name)
        .with_virtual_hosted_style_request(in_host(bucket))
        .with_region(region(bucket))
        .with_client_options(options.clone())
        .with_retry(retry());
    if let Some(endpoint) = &access.endpoint {
        let whole = if in_host(bucket) {
            with_host(endpoint, &bucket.name)
        } else {
            endpoint.clone()
        };
        builder = builder.with_endpoint(whole);
    }
    let plain = builder.clone().build()?;
    let written = match bucket.lock {
        None => plain.clone(),
        Some(lock) => builder
            .with_credentials(plain.credentials().clone())
            // S3 takes a locked object only with a sum over its bytes.
            .with_checksum_algorithm(Checksum::SHA256)
            .with_http_connector(Locking::new(lock, region(bucket), plain.credentials()))
            .build()?,
    };
    Ok((plain, written))
}

fn azure(bucket: &Bucket, options: ClientOptions) -> Result<Arc<dyn ObjectStore>, BoxError> {
    let access = &bucket.access;
    let mut builder = match secret(access.key.as_ref())? {
        Some(key) => MicrosoftAzureBuilder::new().with_access_key(key),
        None => MicrosoftAzureBuilder::from_env(),
    };
    builder = builder
        .with_account(access.account.as_deref().unwrap_or_default())
        .with_container_name(&bucket.name)
        .with_client_options(options)
        .with_retry(retry());
    if let Some(endpoint) = &access.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    Ok(beneath(bucket, builder.build()?))
}

fn google(bucket: &Bucket, options: ClientOptions) -> Result<Arc<dyn ObjectStore>, BoxError> {
    let access = &bucket.access;
    let mut builder = match secret(access.key.as_ref())? {
        Some(key) => GoogleCloudStorageBuilder::new().with_service_account_key(key),
        None => GoogleCloudStorageBuilder::from_env(),
    };
    builder = builder
        .with_bucket_name(&bucket.name)
        .with_client_options(options)
        .with_retry(retry());
    if let Some(endpoint) = &access.endpoint {
        builder = builder.with_base_url(endpoint);
    }
    Ok(beneath(bucket, builder.build()?))
}
