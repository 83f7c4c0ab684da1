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

pub(super) fn access(mut section: Section<'_>, dir: &Path) -> Access {
    let access = Access {
        user: section.get("user").and_then(|v| v.filled()),
        password: section.get("password").and_then(|v| secret_ref::read(&v, dir)),
        ca: section.get("ca").and_then(|v| v.filled()).map(|f| dir.join(f)),
    };
    section.done();
    access
}
