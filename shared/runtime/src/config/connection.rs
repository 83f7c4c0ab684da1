//! How a server of one's own (the ledger's, the queue's) is reached: its
//! address in the URL, who one is there and whom one trusts in a section of
//! its own. A URL that holds a password is refused: configurations are copied.

use super::reader::Section;
use super::secret_ref::{self, SecretRef};
use std::path::{Path, PathBuf};

/// A server, and who one is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Its address, without a password.
    pub url: String,
    /// As whom.
    pub access: Access,
}

/// Who one is at a server, and whom one trusts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// The user's name; none: the one in the URL, or none at all.
    pub user: Option<String>,
    /// Where the password is.
    pub password: Option<SecretRef>,
    /// The authority that signed the server's certificate (PEM); none: those
    /// that this machine trusts.
    pub ca: Option<PathBuf>,
    /// The user's name at the sentinels that watch a ledger: they know none of
    /// its own users.
    pub sentinel_user: Option<String>,
    /// Where the password for the sentinels is.
    pub sentinel_password: Option<SecretRef>,
    /// The name of the user who looks at a ledger's settings; none: the one who does all else.
    pub health_user: Option<String>,
    /// Where his password is.
    pub health_password: Option<SecretRef>,
}

/// A URL of one of these schemes, if it holds no password.
pub(super) fn url(schemes: &[&str], text: &str) -> Option<String> {
    let rest = schemes.iter().find_map(|s| text.strip_prefix(s)?.strip_prefix("://"))?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.is_empty() {
        return None;
    }
    let has_password = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    (!has_password).then(|| text.to_owned())
}

/// Of a ledger, which sentinels may watch, and whose settings are another user's to read.
pub(super) fn ledger_access(mut section: Section<'_>, dir: &Path) -> Access {
    let sentinel_user = section.get("sentinel_user").and_then(|v| v.filled());
    let password = section.get("sentinel_password");
    let sentinel_password = password.and_then(|v| secret_ref::read(&v, dir));
    let (user, password) = (section.get("health_user"), section.get("health_password"));
    // One alone would be somebody else than was meant, who then sees too little.
    match (&user, &password) {
        (Some(user), None) => user.wrong("health_user has no health_password beside it: name both, or neither"),
        (None, Some(password)) => password.wrong("health_password has no health_user beside it: name both, or neither"),
        (Some(_), Some(_)) | (None, None) => {}
    }
    let health_user = user.and_then(|v| v.filled());
    let health_password = password.and_then(|v| secret_ref::read(&v, dir));
    Access {
        sentinel_user,
        sentinel_password,
        health_user,
        health_password,
        ..access(section, dir)
    }
}

pub(super) fn access(mut section: Section<'_>, dir: &Path) -> Access {
    let access = Access {
        user: section.get("user").and_then(|v| v.filled()),
        password: section.get("password").and_then(|v| secret_ref::read(&v, dir)),
        ca: section.get("ca").and_then(|v| v.filled()).map(|f| dir.join(f)),
        ..Access::default()
    };
    section.done();
    access
}
