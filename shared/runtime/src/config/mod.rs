//! The configuration: one TOML file for the engine (`offboard.toml`) and one
//! for each tenant (`tenants/<handle>.toml`), loaded into plain structs.
//!
//! - A key is known because code asks for it, so nothing that is written can
//!   be silently ignored: an unknown key is a mistake, with a suggestion.
//! - All mistakes of all files are reported together, each with file, line,
//!   key and what was expected.
//! - A secret stands only by reference, in a file that its owner alone can
//!   read or in the environment. A literal is refused and not repeated.
//! - What is absent keeps its default, and the commented example
//!   (`deploy/example`) lists every key with it; a test compares them.

mod base_url;
mod bucket;
mod confluence;
mod connection;
mod desk;
mod engine;
mod google;
mod init;
mod intake;
mod ninja;
mod policy;
mod problem;
mod program;
mod reader;
mod scim;
mod secret_ref;
mod telemetry;
mod tenant;

pub use bucket::{Bucket, BucketAccess, Cloud, Lock, LockMode, StoreUrl};
pub use confluence::ConfluenceConfig;
pub use connection::{Access, Remote};
pub use desk::{AutotaskConfig, ConnectWiseConfig, HaloConfig};
pub use engine::{Admission, Engine, LedgerUrl, LogConfig, LogFormat, QueueUrl};
pub use google::GoogleConfig;
pub use init::{Created, InitError, init};
pub use intake::{DateFormat, Field, IntakeConfig};
pub use ninja::{NinjaConfig, NinjaScriptConfig};
pub use policy::shared_credential_name;
pub use problem::{ConfigErrors, Problem, did_you_mean};
pub use program::ProgramConfig;
pub use scim::{ScimAccess, ScimConfig, ScimExternalId, ScimMatch, ScimProfile};
pub use secret_ref::{SecretError, SecretRef};
pub use telemetry::{Role, TelemetryConfig};
pub use tenant::{
    DirectoryConfig, GraphConfig, GraphCredential, ImapAccess, ImapConfig, ImapSecurity, SITE_MAX_CHARS, SystemConfig,
    SystemKind, Tenant, WorkingHours, is_site,
};

use offboard_domain::TenantId;
use reader::Document;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The engine's file.
pub const ENGINE_FILE: &str = "offboard.toml";
/// The folder of the tenants' files.
pub const TENANTS_FOLDER: &str = "tenants";
/// Largest configuration file: a thousand times what one needs.
const FILE_MAX_BYTES: u64 = 1024 * 1024;

/// Everything that a working folder configures.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// The folder.
    pub dir: PathBuf,
    /// The engine.
    pub engine: Engine,
    /// The tenants by handle.
    pub tenants: BTreeMap<TenantId, Tenant>,
    /// What is wrong with the files of tenants that are not among these; nothing of a
    /// configuration that was read as a whole.
    pub broken: BTreeMap<TenantId, ConfigErrors>,
}

impl Configuration {
    /// Whether every tenant's file was read: with less, a name that fits two tenants would
    /// seem to fit one, and nobody would know whom a tenant protects.
    ///
    /// # Errors
    /// [`ConfigErrors`] with everything that is wrong in tenants' files.
    pub fn whole(&self) -> Result<(), ConfigErrors> {
        let problems: Vec<Problem> = self.broken.values().flat_map(|errors| errors.0.clone()).collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(ConfigErrors(problems))
        }
    }
}

/// Loads a working folder's configuration.
///
/// # Errors
/// [`ConfigErrors`] with everything that is wrong in any of its files.
pub fn load(dir: &Path) -> Result<Configuration, ConfigErrors> {
    let (config, problems) = read(dir);
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(all(problems))
    }
}

/// Loads what can be read of it, for whoever decides nothing by it: who only looks, or asks
/// another process. Whoever decides looks whether it is [`whole`](Configuration::whole).
///
/// # Errors
/// [`ConfigErrors`] with everything that is wrong in any of its files, if that is more than
/// the files of single tenants.
pub fn load_what_reads(dir: &Path) -> Result<Configuration, ConfigErrors> {
    let (mut config, problems) = read(dir);
    if problems.iter().any(|(tenant, _)| tenant.is_none()) {
        return Err(all(problems));
    }
    for (tenant, problem) in problems {
        if let Some(id) = tenant {
            let known = config.broken.entry(id).or_insert_with(|| ConfigErrors(Vec::new()));
            known.0.push(problem);
        }
    }
    Ok(config)
}

fn all(problems: Vec<(Option<TenantId>, Problem)>) -> ConfigErrors {
    ConfigErrors(problems.into_iter().map(|(_, problem)| problem).collect())
}

/// What reads, and what is wrong with the rest: in the file of which tenant, if it is one's.
fn read(dir: &Path) -> (Configuration, Vec<(Option<TenantId>, Problem)>) {
    let mut problems = Vec::new();
    let file = dir.join(ENGINE_FILE);
    let engine = match read_text(&file) {
        Ok(text) => {
            let (engine, found) = parse_engine(&file, &text, dir);
            problems.extend(found.problems);
            engine
        }
        Err(what) => {
            problems.push(Problem {
                file,
                line: None,
                key: None,
                what: format!("{what}; `offboard init` makes a working folder"),
            });
            Engine::defaults(dir)
        }
    };
    let files = tenant_files(dir, &mut problems);
    let mut problems: Vec<_> = problems.into_iter().map(|problem| (None, problem)).collect();
    let mut tenants = BTreeMap::new();
    for file in files {
        let stem = file.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        let id = TenantId::new(stem);
        let known = id.as_ref().ok().cloned();
        let outcome = id
            .map_err(|e| format!("the file's name is the tenant's handle: {e}"))
            .and_then(|id| Ok((id, read_text(&file)?)));
        match outcome {
            Ok((id, text)) => {
                let (tenant, found) = parse_tenant(&file, &text, id, dir);
                if found.problems.is_empty() {
                    tenants.extend(tenant.map(|t| (t.id.clone(), t)));
                }
                problems.extend(found.problems.into_iter().map(|problem| (known.clone(), problem)));
            }
            Err(what) => {
                let problem = Problem {
                    file,
                    line: None,
                    key: None,
                    what,
                };
                problems.push((known, problem));
            }
        }
    }
    let config = Configuration {
        dir: dir.to_owned(),
        engine,
        tenants,
        broken: BTreeMap::new(),
    };
    (config, problems)
}

/// What reading one document brought to light beside its values.
struct Found {
    problems: Vec<Problem>,
    #[cfg_attr(not(test), expect(dead_code, reason = "the test of the example asks for it"))]
    known: BTreeSet<String>,
}

fn parse_engine(file: &Path, text: &str, dir: &Path) -> (Engine, Found) {
    let doc = Document::new(file, text);
    let engine = engine::read(&doc, dir);
    let (problems, known) = doc.finish();
    (engine, Found { problems, known })
}

fn parse_tenant(file: &Path, text: &str, id: TenantId, dir: &Path) -> (Option<Tenant>, Found) {
    let doc = Document::new(file, text);
    let tenant = tenant::read(&doc, id, dir);
    let (problems, known) = doc.finish();
    (tenant, Found { problems, known })
}

fn read_text(file: &Path) -> Result<String, String> {
    let open = fs::File::open(file).map_err(|e| format!("failed to open the file: {e}"))?;
    let mut text = String::new();
    let size = open
        .take(FILE_MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|e| format!("failed to read the file as UTF-8 text: {e}"))?;
    if size as u64 > FILE_MAX_BYTES {
        return Err(format!("larger than {FILE_MAX_BYTES} bytes: not a configuration"));
    }
    // Editors on Windows put a byte-order mark first; TOML knows none.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The tenants' files in the order of their names. No folder: no tenants.
fn tenant_files(dir: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let folder = dir.join(TENANTS_FOLDER);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(e) => {
            let what = format!("failed to list the folder: {e}");
            problems.push(Problem {
                file: folder,
                line: None,
                key: None,
                what,
            });
            return Vec::new();
        }
    };
    let mut files = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) if entry.path().extension().is_some_and(|x| x == "toml") => files.push(entry.path()),
            Ok(_) => {}
            Err(e) => problems.push(Problem {
                file: folder.clone(),
                line: None,
                key: None,
                what: format!("failed to list the folder: {e}"),
            }),
        }
    }
    files.sort();
    files
}

#[cfg(test)]
mod tests;
