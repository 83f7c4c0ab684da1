//! Puts one locked file into a bucket of an S3 server; `tests/rgw` looks
//! whether the lock holds.

use offboard_domain::time::DAY_MS;
use offboard_runtime::SecretRef;
use offboard_runtime::config::{Bucket, BucketAccess, Cloud, Lock, LockMode, StoreUrl};
use offboard_store::{LockState, Store, lock_state};
use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn kept(folder: &Path, name: &str, secret: &str) -> Result<Option<SecretRef>, Box<dyn Error>> {
    let path = folder.join(name);
    fs::write(&path, secret)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(Some(SecretRef::File(path)))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [endpoint, bucket, id, key] = arguments.as_slice() else {
        return Err("usage: locked ENDPOINT BUCKET KEY-ID KEY".into());
    };
    let folder = tempfile::tempdir()?;
    let bucket = Bucket {
        cloud: Cloud::S3,
        name: bucket.clone(),
        prefix: "proof".to_owned(),
        access: BucketAccess {
            endpoint: Some(endpoint.clone()),
            key_id: kept(folder.path(), "id", id)?,
            key: kept(folder.path(), "key", key)?,
            ..BucketAccess::default()
        },
        lock: Some(Lock {
            mode: LockMode::Compliance,
            keep_ms: DAY_MS,
        }),
    };
    if lock_state(&bucket).await? != LockState::On {
        return Err("the bucket was made without Object Lock".into());
    }
    let store = Store::at(&StoreUrl::Bucket(Box::new(bucket)))?;
    store.put_named("acme/one.dsse.json", &b"proof"[..]).await?;
    let read = store.get_named("acme/one.dsse.json").await?;
    if read != b"proof"[..] {
        return Err("what was read is not what was written".into());
    }
    Ok(())
}
