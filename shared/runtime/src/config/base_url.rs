//! The base of an address, as the configuration may name one.

/// A base URL without its last slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BaseUrl {
    /// The URL.
    pub(super) text: String,
    /// Whether nobody can listen on the way: https, or this machine itself.
    pub(super) private: bool,
}

/// Reads `http://` or `https://` with a host, without user, query or fragment.
pub(super) fn parse(s: &str) -> Option<BaseUrl> {
    let s = s.trim_end_matches('/');
    let (secure, rest) = match (s.strip_prefix("https://"), s.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return None,
    };
    let strange = |c: char| c.is_whitespace() || c.is_control() || "@?#\\\"<>".contains(c);
    if rest.is_empty() || rest.starts_with('/') || rest.contains(strange) {
        return None;
    }
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let local = ["127.0.0.1", "::1", "localhost"].contains(&host);
    (!host.is_empty()).then(|| BaseUrl {
        text: s.to_owned(),
        private: secure || local,
    })
}
