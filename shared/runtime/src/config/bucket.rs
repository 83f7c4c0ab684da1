//! Where artifacts and evidence are kept: a folder, or a bucket of an object
//! store. The URL says which one; how it is reached, who one is there and
//! whether what is written is locked stands in a section of its own, so that a
//! URL never holds a secret.

use super::base_url;
use super::reader::{Section, Value};
use super::secret_ref::{self, SecretRef};
use offboard_domain::time::DAY_MS;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where artifacts or evidence are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A folder (`file:data/store`).
    Folder(PathBuf),
    /// A bucket (`s3://…`, `azure://…`, `gs://…`).
    Bucket(Box<Bucket>),
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Bucket(bucket) => bucket.fmt(f),
        }
    }
}

/// Whose protocol a bucket speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon S3, or a server that speaks as it does.
    S3,
    /// Azure Blob Storage; the bucket is a container.
    Azure,
    /// Google Cloud Storage.
    Google,
}

impl Cloud {
    const ALL: [Self; 3] = [Self::S3, Self::Azure, Self::Google];

    /// As a URL begins.
    #[must_use]
    pub fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Azure => "azure",
            Self::Google => "gs",
        }
    }
}

/// A bucket, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Whose protocol it speaks.
    pub cloud: Cloud,
    /// Its name; a container's at Azure.
    pub name: String,
    /// What every name in it begins with; empty: nothing.
    pub prefix: String,
    /// How it is reached.
    pub access: BucketAccess,
    /// How long what is written is kept from everybody's hands.
    pub lock: Option<Lock>,
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.cloud.scheme(), self.name)?;
        match self.prefix.as_str() {
            "" => Ok(()),
            prefix => write!(f, "/{prefix}"),
        }
    }
}

/// How a bucket is reached, and who one is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BucketAccess {
    /// The server, if it is not the cloud's own.
    pub endpoint: Option<String>,
    /// S3: where the bucket is.
    pub region: Option<String>,
    /// S3: whether the bucket stands in the path, not in the host's name; none:
    /// in the path.
    pub path_style: Option<bool>,
    /// Azure: the storage account.
    pub account: Option<String>,
    /// S3: which key.
    pub key_id: Option<SecretRef>,
    /// S3's secret access key, Azure's account key, or Google's key of a service
    /// account (JSON). None: who this machine is at the cloud.
    pub key: Option<SecretRef>,
    /// S3: the token of a key that lasts some hours.
    pub session_token: Option<SecretRef>,
    /// The authority that signed the server's certificate (PEM); none: those
    /// that this machine trusts.
    pub ca: Option<PathBuf>,
}

/// S3's Object Lock on everything that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lock {
    /// Who may end it early.
    pub mode: LockMode,
    /// For how long, in milliseconds.
    pub keep_ms: i64,
}

/// Who may end a lock early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// Nobody, the account's owner included.
    Compliance,
    /// Who has a right of its own for it.
    Governance,
}

/// Longest name of a bucket: Google's, with dots.
const NAME_MAX_CHARS: usize = 222;
/// Longest beginning of names: the rest must fit below a key's 1,024 bytes.
const PREFIX_MAX_CHARS: usize = 200;
/// Longest lock: a hundred years, which is S3's limit too.
const KEEP_MAX_MS: i64 = 36_500 * DAY_MS;

/// What a section says of a bucket, before it is known whether there is one.
pub(super) struct Told<'t> {
    section: Section<'t>,
    access: BucketAccess,
    lock: Option<(Value<'t>, Option<Lock>)>,
}

/// Reads the section of the store (`may_lock`: of evidence).
pub(super) fn told<'t>(mut section: Section<'t>, dir: &Path, may_lock: bool) -> Told<'t> {
    let expected = "a base URL beginning with https:// (http:// only to 127.0.0.1, [::1] or localhost), without user, query or fragment";
    let server = |s: &str| base_url::parse(s).filter(|b| b.private).map(|b| b.text);
    let secret = |v: Value<'t>| secret_ref::read(&v, dir);
    let access = BucketAccess {
        endpoint: section.get("endpoint").and_then(|v| v.parsed(expected, server)),
        region: section.get("region").and_then(|v| v.filled()),
        path_style: section.get("path_style").and_then(|v| v.bool()),
        account: section.get("account").and_then(|v| v.filled()),
        key_id: section.get("key_id").and_then(secret),
        key: section.get("key").and_then(secret),
        session_token: section.get("session_token").and_then(secret),
        ca: section.get("ca").and_then(|v| v.filled()).map(|f| dir.join(f)),
    };
    let lock = may_lock.then(|| lock(&mut section)).flatten();
    Told { section, access, lock }
}

fn lock<'t>(section: &mut Section<'t>) -> Option<(Value<'t>, Option<Lock>)> {
    let words = [
        ("compliance", LockMode::Compliance),
        ("governance", LockMode::Governance),
    ];
    let (mode, keep) = (section.get("lock"), section.get("keep"));
    let lock = match (&mode, &keep) {
        (Some(mode), Some(keep)) => {
            let long = keep.duration_ms(KEEP_MAX_MS);
            if long.is_some_and(|ms| ms < DAY_MS) {
                keep.expected("at least a day, such as \"2555d\"");
            }
            mode.word(&words)
                .zip(long)
                .map(|(mode, keep_ms)| Lock { mode, keep_ms })
        }
        (Some(one), None) | (None, Some(one)) => {
            one.wrong("'lock' and 'keep' go together: which lock, and for how long");
            None
        }
        (None, None) => None,
    };
    Some((mode.or(keep)?, lock))
}

/// Reads the URL with what its section says; `bare` lets a folder stand
/// without `file:`.
pub(super) fn url(value: Option<&Value<'_>>, told: Told<'_>, dir: &Path, bare: bool) -> Option<StoreUrl> {
    let expected = "a store's URL, such as \"file:data/store\", \"s3://bucket/beginning\", \"azure://container\" or \"gs://bucket\" (how it is reached and who one is there stands in [connect], by reference)";
    let url = value.and_then(|v| v.parsed(expected, |s| place(s, dir, bare)));
    let unread = value.is_some() && url.is_none();
    let url = match url {
        Some(StoreUrl::Bucket(bucket)) => Some(reached(*bucket, &told)),
        folder => {
            if let Some((lock, _)) = told.lock.as_ref().filter(|_| !unread) {
                lock.wrong(
                    "a folder cannot be locked: evidence must be in an s3:// bucket that was made with Object Lock",
                );
            }
            folder
        }
    };
    told.section.done();
    url
}

fn reached(mut bucket: Bucket, told: &Told<'_>) -> StoreUrl {
    let (section, access) = (&told.section, &told.access);
    match bucket.cloud {
        Cloud::S3 if access.key.is_some() != access.key_id.is_some() => {
            section.wrong("'key_id' and 'key' go together; without both it counts who this machine is at the cloud");
        }
        Cloud::Azure if access.account.is_none() => section.wrong("missing 'account': the storage account"),
        Cloud::S3 | Cloud::Azure | Cloud::Google => {}
    }
    if let Some((value, lock)) = &told.lock {
        bucket.lock = *lock;
        match bucket.cloud {
            Cloud::S3 => {}
            Cloud::Azure => value.wrong("Azure locks a container, not a file: give the container a time-based retention policy, and remove 'lock' and 'keep'"),
            Cloud::Google => value.wrong("Google locks a bucket, not a file: give the bucket a retention policy and lock that, and remove 'lock' and 'keep'"),
        }
    }
    bucket.access = access.clone();
    StoreUrl::Bucket(Box::new(bucket))
}

fn place(text: &str, dir: &Path, bare: bool) -> Option<StoreUrl> {
    for cloud in Cloud::ALL {
        if let Some(rest) = text.strip_prefix(cloud.scheme()).and_then(|t| t.strip_prefix("://")) {
            return bucket(cloud, rest);
        }
    }
    let path = match text.strip_prefix("file:") {
        Some(path) => path.trim(),
        None if bare && !text.contains("://") => text,
        None => return None,
    };
    (!path.is_empty() && !path.starts_with("//")).then(|| StoreUrl::Folder(dir.join(path)))
}

fn bucket(cloud: Cloud, rest: &str) -> Option<StoreUrl> {
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.trim_end_matches('/');
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    let segment = |s: &str| !s.is_empty() && !s.starts_with('.') && s.bytes().all(plain);
    let named = name.len() >= 3 && name.len() <= NAME_MAX_CHARS && segment(name);
    let begins = prefix.is_empty() || (prefix.len() <= PREFIX_MAX_CHARS && prefix.split('/').all(segment));
    (named && begins).then(|| {
        StoreUrl::Bucket(Box::new(Bucket {
            cloud,
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            access: BucketAccess::default(),
            lock: None,
        }))
    })
}
