//! What other tools may see of a process: where traces and metrics go, and
//! under which name.

use super::base_url;
use super::reader::{Section, Value};
use super::secret_ref::{self, SecretRef};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

/// Most tenants that metrics name, unless configured: beyond it they are
/// counted together, so that a thousand clients do not become a thousand series.
const TENANT_LABELS: usize = 100;
/// The most that may be configured: each tenant has a series for each state.
const TENANT_LABELS_MAX: usize = 10_000;
/// A whole, in millionths.
const WHOLE_PPM: u32 = 1_000_000;
/// Longest name of a service or an instance.
const NAME_MAX_CHARS: usize = 100;

macro_rules! roles {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $service:literal;)*) => {
        /// What a process does, for its name in observability tools.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Role { $($(#[$doc])* $name,)* }

        impl Role {
            /// All of them.
            pub const ALL: &'static [Role] = &[$(Role::$name,)*];

            /// The role as the configuration names it.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Role::$name => $word,)* }
            }

            /// The `service.name` of such a process unless configured.
            #[must_use]
            pub fn service_name(self) -> &'static str {
                match self { $(Role::$name => $service,)* }
            }
        }
    };
}

roles! {
    /// Every role in one process.
    Embedded = "embedded", "offboard";
    /// The dispatcher.
    Dispatcher = "dispatcher", "offboard-dispatcher";
    /// A worker.
    Worker = "worker", "offboard-worker";
    /// The closer.
    Closer = "closer", "offboard-closer";
    /// A command that a person or a script gives to an installation of several
    /// processes.
    Command = "command", "offboard-command";
}

/// What other tools may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// Where traces and metrics are sent by OTLP over HTTP, without `/v1/…`;
    /// none: where the OTEL_… variables say, or nowhere.
    pub otlp: Option<String>,
    /// What is sent along, such as an authorization.
    pub headers: BTreeMap<String, SecretRef>,
    /// How many of a million departures are traced; none: as OTEL_TRACES_SAMPLER
    /// says, or all.
    pub sample_ppm: Option<u32>,
    /// Where `/livez`, `/readyz` and `/metrics` are served; none: nowhere.
    pub listen: Option<SocketAddr>,
    /// `service.instance.id`; none: another one at each start.
    pub instance: Option<String>,
    /// Most tenants that metrics name one by one.
    pub tenant_labels: usize,
    /// `service.name` of each role.
    pub service_names: BTreeMap<Role, String>,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            otlp: None,
            headers: BTreeMap::new(),
            sample_ppm: None,
            listen: None,
            instance: None,
            tenant_labels: TENANT_LABELS,
            service_names: Role::ALL.iter().map(|r| (*r, r.service_name().to_owned())).collect(),
        }
    }
}

pub(super) fn read(mut section: Section<'_>, dir: &Path, into: &mut TelemetryConfig) {
    let mut private = true;
    if let Some(v) = section.get("otlp") {
        let expected = "a base URL beginning with https:// or http://, without user, query, fragment or /v1/…";
        let fits = |s: &str| base_url::parse(s).filter(|b| !b.text.contains("/v1/"));
        if let Some(base) = v.parsed(expected, fits) {
            private = base.private;
            into.otlp = Some(base.text);
        }
    }
    if let Some(v) = section.get("headers") {
        if !private {
            v.wrong("secrets are sent over https:// alone, or to this machine; make 'otlp' such an address");
        }
        into.headers = headers(&v, dir);
    }
    if let Some(v) = section.get("sample_ratio") {
        match v.number_text().as_deref().and_then(ppm) {
            Some(ratio) => into.sample_ppm = Some(ratio),
            None => v.expected("a share from 0 to 1 with at most six decimals, such as 0.01"),
        }
    }
    if let Some(v) = section.get("listen") {
        into.listen = v.parsed("an address and a port, such as \"127.0.0.1:9464\"", |s| s.parse().ok());
    }
    let name = |v: Value<'_>| v.parsed(NAME_EXPECTED, |s| is_name(s).then(|| s.to_owned()));
    into.instance = section.get("instance").and_then(name);
    if let Some(n) = section
        .get("tenant_labels")
        .and_then(|v| v.integer(0u32, TENANT_LABELS_MAX as u32))
    {
        into.tenant_labels = n as usize;
    }
    let mut names = section.section("service_names");
    for role in Role::ALL {
        if let Some(given) = names.get(role.word()).and_then(name) {
            into.service_names.insert(*role, given);
        }
    }
    names.done();
    section.done();
}

const NAME_EXPECTED: &str = "a name of letters, digits and . _ - of at most 100 characters";

fn is_name(s: &str) -> bool {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    !s.is_empty() && s.len() <= NAME_MAX_CHARS && s.bytes().all(fine)
}

fn headers(value: &Value<'_>, dir: &Path) -> BTreeMap<String, SecretRef> {
    let mut found = BTreeMap::new();
    for (name, value) in value.section().entries() {
        let lower = name.to_ascii_lowercase();
        if !is_name(&lower) {
            value.wrong("this is no name of a header: letters, digits and - alone");
        } else if let Some(reference) = secret_ref::read(&value, dir) {
            found.insert(lower, reference);
        }
    }
    found
}

/// Decimal text to millionths, exactly.
fn ppm(text: &str) -> Option<u32> {
    let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 6 {
        return None;
    }
    let millionths: u32 = format!("{part:0<6}").parse().ok()?;
    let whole: u32 = whole.parse().ok().filter(|n| *n <= 1)?;
    Some(whole * WHOLE_PPM + millionths).filter(|n| *n <= WHOLE_PPM)
}
