//! Whose folder this is, by who it is at the broker: what another role has is lawfully not
//! here, and what another role looks at is not asked from here.

use super::{fine, problem, warning};
use crate::backends::assignments;
use crate::error::CliError;
use offboard_connectors::Finding;
use offboard_domain::Area;
use offboard_queue::rabbit::{CLOSER, DISPATCHER, WORKER, area_worker, site_of};
use offboard_runtime::config::{Configuration, QueueUrl, StoreUrl};
use offboard_runtime::keys::{DispatchKey, ESCROW_KEY, EscrowMaster, MasterKey, QueueKeys, SigningKey, public_keys};
use std::path::Path;

/// The files of the keys (`offboard_runtime::keys`).
const SIGNING_KEY: &str = "signing.pem";
const MASTER_KEY: &str = "master.key";
const DISPATCH_KEY: &str = "dispatch.key";

const REMOVE: &str = "remove it from this machine, and from what brings it there";
const CREATE: &str = "`offboard keys create` makes a key that is missing; one that was lost comes from a backup";
const BRING: &str =
    "bring it from the folder where all keys are kept (deploy/README.md); one that is made anew here opens nothing";

/// What a folder is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    /// One process that is everything, or the folder where all keys are kept.
    All,
    /// A dispatcher.
    Dispatcher,
    /// The closer.
    Closer,
    /// A worker of these areas or of some of them, at a site or at none.
    Worker { areas: Vec<Area>, site: Option<String> },
    /// People who give orders: nobody at the broker.
    Clerk,
}

impl Role {
    pub(super) fn of(config: &Configuration) -> Self {
        let QueueUrl::Rabbit(remote) = &config.engine.queue else {
            return Self::All;
        };
        let worker = |areas: &[Area], site: Option<&str>| Self::Worker {
            areas: areas.to_vec(),
            site: site.map(str::to_owned),
        };
        match remote.access.user.as_deref() {
            None if remote.url.contains('@') => Self::All,
            None => Self::Clerk,
            Some(DISPATCHER) => Self::Dispatcher,
            Some(CLOSER) => Self::Closer,
            Some(WORKER) => worker(Area::MACHINES, None),
            Some(user) => match site_of(user) {
                Some(site) => worker(Area::MACHINES, Some(site)),
                None => {
                    let area = Area::MACHINES.iter().find(|area| area_worker(**area) == user);
                    area.map_or(Self::All, |area| worker(&[*area], None))
                }
            },
        }
    }

    /// Its site, if it stands at one.
    pub(super) fn site(&self) -> Option<&str> {
        match self {
            Self::Worker { site, .. } => site.as_deref(),
            Self::All | Self::Dispatcher | Self::Closer | Self::Clerk => None,
        }
    }

    /// Where a system that is reached from this site (or from anywhere) is looked at; none: here.
    pub(super) fn elsewhere(&self, system: Option<&str>) -> Option<String> {
        match (self, system) {
            (_, Some(site)) if self.site() == Some(site) => None,
            (_, Some(site)) => Some(format!("at site {site}")),
            (Self::Worker { site: Some(_), .. }, None) => Some("in the folder of a worker at no site".to_owned()),
            (Self::Dispatcher | Self::Closer | Self::Clerk, None) => Some("in a worker's folder".to_owned()),
            (Self::All | Self::Worker { site: None, .. }, None) => None,
        }
    }

    /// The keys that it is to have, and whichever others are here.
    pub(super) fn keys(&self, config: &Configuration) -> Vec<Finding> {
        let folder: &Path = &config.engine.keys;
        let how = if *self == Self::All { CREATE } else { BRING };
        let mut found = Vec::new();
        let mut absent = Vec::new();
        let mut key = |name: &'static str, file: &str, needed: bool, load: &dyn Fn() -> Result<String, CliError>| {
            if !needed && !folder.join(file).exists() {
                absent.push(name);
                return;
            }
            if let Some(does) = self.is_not_to_have(file) {
                let shown = folder.join(file);
                let what = format!("{} {does}, and this folder's role does not use it", shown.display());
                found.push(warning(what, REMOVE));
                return;
            }
            found.push(match load() {
                Ok(what) => fine(what),
                Err(error) => problem(format!("the {name} key cannot be used: {}", error.brief()), how),
            });
        };
        key(
            "signing",
            SIGNING_KEY,
            matches!(self, Self::All | Self::Closer),
            &|| {
                let key = SigningKey::load(folder)?;
                Ok(format!("evidence is signed with key {}", key.id()))
            },
        );
        let reads_history = !matches!(self, Self::Worker { .. });
        key("master", MASTER_KEY, reads_history, &|| {
            MasterKey::load(folder)?;
            Ok("the master key is there and private".to_owned())
        });
        if self.orders(config) {
            key("dispatch", DISPATCH_KEY, true, &|| {
                DispatchKey::load(folder)?;
                Ok("the dispatch key is there and private".to_owned())
            });
        }
        if self.site().is_none() {
            key("escrow", ESCROW_KEY, self.escrows(folder), &|| {
                EscrowMaster::load(folder)?;
                Ok("the escrow key is there and private".to_owned())
            });
        }
        key("public", "public", *self == Self::All, &|| public_halves(folder));
        if self.site().is_some() {
            found.push(escrow_at_a_site(folder));
        }
        if let Self::Worker { areas, site } = self {
            found.push(queues(areas, site.as_deref(), folder));
        }
        let verifies = *self == Self::Clerk || *self == Self::Dispatcher && reads_evidence(config);
        if verifies && absent.contains(&"public") {
            absent.retain(|name| *name != "public");
            found.push(warning(
                "no public key is here, so `offboard verify CASE` cannot say whether evidence is valid",
                "bring the folder keys/public from where all keys are kept, or name a key (`--key FILE`)",
            ));
        }
        if !absent.is_empty() {
            let absent = absent.join(", ");
            found.push(fine(format!("keys that are another role's are not here: {absent}")));
        }
        found
    }

    /// What a key does that has no place in this role's folder.
    fn is_not_to_have(&self, file: &str) -> Option<&'static str> {
        match (file, self) {
            (SIGNING_KEY, Self::Dispatcher | Self::Worker { .. } | Self::Clerk) => Some("signs evidence"),
            (MASTER_KEY, Self::Worker { .. }) => Some("opens the history of every case"),
            _ => None,
        }
    }

    /// Whether assignments are ordered from here over a broker: their worker believes them by
    /// the dispatch key.
    fn orders(&self, config: &Configuration) -> bool {
        match self {
            Self::Dispatcher => true,
            Self::All => matches!(config.engine.queue, QueueUrl::Rabbit(_)),
            Self::Closer | Self::Worker { .. } | Self::Clerk => false,
        }
    }

    /// Whether recovery keys are sealed here.
    fn escrows(&self, folder: &Path) -> bool {
        match self {
            Self::All => true,
            Self::Worker { areas, site: None } => {
                areas.contains(&Area::Device)
                    && (is_there(folder, DISPATCH_KEY) || has_queues(Area::Device, None, folder))
            }
            Self::Worker { site: Some(_), .. } | Self::Dispatcher | Self::Closer | Self::Clerk => false,
        }
    }
}

/// Whether evidence is at hand, as where it is mounted to be verified.
fn reads_evidence(config: &Configuration) -> bool {
    match &config.engine.evidence {
        StoreUrl::Folder(path) => path.read_dir().is_ok(),
        StoreUrl::Bucket(_) => false,
    }
}

fn is_there(folder: &Path, file: &str) -> bool {
    folder.join(file).exists()
}

/// The names of an area's queues.
fn names(area: Area, site: Option<&str>) -> Vec<String> {
    assignments(&[area], site).iter().map(ToString::to_string).collect()
}

fn has_queues(area: Area, site: Option<&str>, folder: &Path) -> bool {
    let queues = folder.join("queues");
    names(area, site)
        .iter()
        .any(|name| is_there(&queues, &format!("{name}.key")))
}

/// What a worker believes assignments by. It may serve fewer areas than it could: those
/// whose keys it was given.
fn queues(areas: &[Area], site: Option<&str>, folder: &Path) -> Finding {
    let at = site.map(|site| format!(" --site {site}")).unwrap_or_default();
    let how = format!("`offboard keys worker{at} --to FOLDER` makes them where dispatch.key is; bring them here");
    let shares = is_there(folder, DISPATCH_KEY);
    let served: Vec<Area> = areas
        .iter()
        .copied()
        .filter(|area| shares || has_queues(*area, site, folder))
        .collect();
    if served.is_empty() {
        return problem("no key of a queue is here, so no assignment can be believed", how);
    }
    let all: Vec<String> = served.iter().flat_map(|area| names(*area, site)).collect();
    match QueueKeys::load(folder, all) {
        Ok(_) => {
            let served: Vec<&str> = served.iter().map(|area| area.word()).collect();
            fine(format!("the keys of the queues are here: {}", served.join(", ")))
        }
        Err(error) => problem(
            format!("a key of a queue cannot be used: {}", CliError::of(&error).brief()),
            how,
        ),
    }
}

/// The public halves, among which is that of the key that signs.
fn public_halves(keys: &Path) -> Result<String, CliError> {
    let all = public_keys(keys)?;
    let current = SigningKey::load(keys).ok();
    let is_missing = current.is_some_and(|c| !all.iter().any(|k| k.id() == c.id()));
    if all.is_empty() || is_missing {
        return Err(CliError::failed(
            "that of the key that signs is not there, so nobody could verify evidence with it",
        ));
    }
    Ok(format!("{} public keys for who verifies", all.len()))
}

/// What opens every client's recovery keys has no place in one client's network.
fn escrow_at_a_site(keys: &Path) -> Finding {
    let file = keys.join(ESCROW_KEY);
    if file.exists() {
        return warning(
            format!(
                "{} opens the recovery keys of every client, and this folder is a site's, which does not use it",
                file.display()
            ),
            REMOVE,
        );
    }
    fine("no escrow key is here, as it is to be at a site")
}
