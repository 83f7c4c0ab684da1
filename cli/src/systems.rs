//! The outside systems of an installation, each opened with its own tenant's
//! credential.
//!
//! What a system *can* do is known without its secret; so a departure is
//! accepted and planned also where the secret is not at hand. What it cannot
//! do without is being worked on: such a system is not served, its tasks say
//! so, and `offboard retry` goes on once it is mended.

mod desks;

use crate::error::CliError;
use offboard_connectors::Connector;
use offboard_connectors::confluence::{ConfluenceConnector, ConfluenceOpenError, ConfluenceSettings};
use offboard_connectors::google::{
    self, GoogleConnector, GoogleEndpoints, GoogleOpenError, GoogleSettings, Licence, ServiceKey,
};
use offboard_connectors::graph::{Credential, Endpoints, GraphConnector, GraphSettings, HttpClient, OpenError};
use offboard_connectors::imap::{Access, ImapConnector, ImapOpenError, ImapSettings, Security};
use offboard_connectors::ldap::{LdapConnector, LdapSettings, Name};
use offboard_connectors::ninja::{NinjaConnector, NinjaOpenError, NinjaScript, NinjaSettings, NinjaTags};
use offboard_connectors::program::{ProgramConnector, ProgramSettings};
use offboard_connectors::scim::{ExternalId, MatchBy, Profile, ScimConnector, ScimOpenError, ScimSettings};
use offboard_domain::{Capabilities, Kind, ObjectId, System, TenantId};
use offboard_runtime::Secret;
use offboard_runtime::SecretRef;
use offboard_runtime::config::{
    Configuration, ConfluenceConfig, DirectoryConfig, GoogleConfig, GraphConfig, GraphCredential, ImapAccess,
    ImapConfig, ImapSecurity, NinjaConfig, ProgramConfig, ScimAccess, ScimConfig, ScimExternalId, ScimMatch,
    ScimProfile, SystemConfig, SystemKind, Tenant,
};
use offboard_workers::Connectors;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A system that could not be opened.
#[derive(Debug)]
pub struct Shut {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub system: System,
    /// Why.
    pub why: CliError,
}

/// The outside systems.
#[derive(Default)]
pub struct Systems {
    open: BTreeMap<(TenantId, System), Arc<dyn Connector>>,
    claims: BTreeMap<TenantId, BTreeMap<System, BTreeSet<Kind>>>,
    shut: Vec<Shut>,
}

impl Systems {
    /// Opens what is configured. Sends nothing.
    ///
    /// # Errors
    /// [`CliError`] if no connection could ever be made (the HTTP client), or
    /// an address cannot be used.
    pub fn open(config: &Configuration) -> Result<Self, CliError> {
        Self::open_showing(config, false)
    }

    /// The same, for a person at a terminal: with `stderr`, a check of a program
    /// shows what it wrote to standard error.
    ///
    /// # Errors
    /// As [`Systems::open`].
    pub fn open_showing(config: &Configuration, stderr: bool) -> Result<Self, CliError> {
        let http = HttpClient::new()?;
        let mut systems = Self::default();
        for tenant in config.tenants.values() {
            for (name, system) in &tenant.systems {
                let failed = |e: &(dyn std::error::Error + 'static)| {
                    CliError::usage(format!("failed to open system '{name}' of tenant '{}'", tenant.id))
                        .caused_by(Some(e))
                };
                let (opened, missing) = match &system.kind {
                    SystemKind::ActiveDirectory(directory) => {
                        systems.open_directory(tenant, name, directory)?;
                        continue;
                    }
                    SystemKind::Google(config) => {
                        systems
                            .open_google(&http, tenant, name, config)
                            .map_err(|e| failed(&e))?;
                        continue;
                    }
                    SystemKind::Graph(graph) => open_graph(&http, name, graph).map_err(|e| failed(&e))?,
                    SystemKind::Imap(imap) => {
                        let (opened, missing) = open_imap(&http, name, imap).map_err(|e| failed(&e))?;
                        (Arc::new(opened) as Arc<dyn Connector>, missing)
                    }
                    SystemKind::Program(program) => {
                        let (opened, missing) = open_program(tenant, name, program, stderr);
                        (Arc::new(opened) as Arc<dyn Connector>, missing)
                    }
                    SystemKind::Ninja(ninja) => open_ninja(&http, name, ninja).map_err(|e| failed(&e))?,
                    SystemKind::Halo(halo) => desks::open_halo(&http, name, halo).map_err(|e| failed(&e))?,
                    SystemKind::ConnectWise(psa) => {
                        desks::open_connectwise(&http, name, psa).map_err(|e| failed(&e))?
                    }
                    SystemKind::Autotask(psa) => desks::open_autotask(&http, name, psa).map_err(|e| failed(&e))?,
                    SystemKind::Scim(scim) => open_scim(&http, name, scim).map_err(|e| failed(&e))?,
                    SystemKind::Confluence(wiki) => open_confluence(&http, name, wiki).map_err(|e| failed(&e))?,
                };
                systems.claim(&tenant.id, opened.as_ref());
                match missing {
                    None => systems.serve(&tenant.id, opened),
                    Some(why) => systems.shut.push(Shut {
                        tenant: tenant.id.clone(),
                        system: name.clone(),
                        why,
                    }),
                }
            }
        }
        Ok(systems)
    }

    fn open_directory(&mut self, tenant: &Tenant, name: &System, config: &DirectoryConfig) -> Result<(), CliError> {
        let unusable = format!("failed to open system '{name}' of tenant '{}'", tenant.id);
        let leavers_unit = match &config.leavers_unit {
            None => None,
            Some(text) => Some(Name::parse(text).ok_or_else(|| {
                CliError::usage(format!(
                    "{unusable}: leavers_unit must be a distinguished name, such as OU=Leavers,DC=corp,DC=example"
                ))
            })?),
        };
        // Without its secrets it is opened all the same, to be asked what it
        // could do, and then not served.
        let (secrets, missing) = match directory_secrets(config) {
            Ok(secrets) => (Some(secrets), None),
            Err(why) => (None, Some(why)),
        };
        let (password, authority_pem) = secrets.unwrap_or_else(|| (Secret::new(""), None));
        // People are found in the cloud, if there is one.
        let alone = !tenant.systems.values().any(|s| matches!(s.kind, SystemKind::Graph(_)));
        let settings = LdapSettings {
            system: name.clone(),
            controllers: config.controllers.clone(),
            user: config.user.clone(),
            password,
            authority_pem,
            leavers_unit,
            alone,
        };
        let claims = LdapConnector::claims_of(&settings);
        self.claims
            .entry(tenant.id.clone())
            .or_default()
            .insert(name.clone(), claims);
        match missing {
            None => {
                let opened =
                    LdapConnector::open(&settings).map_err(|e| CliError::usage(unusable).caused_by(Some(&e)))?;
                self.serve(&tenant.id, Arc::new(opened));
            }
            Some(why) => self.shut.push(Shut {
                tenant: tenant.id.clone(),
                system: name.clone(),
                why,
            }),
        }
        Ok(())
    }

    fn open_google(
        &mut self,
        http: &HttpClient,
        tenant: &Tenant,
        name: &System,
        config: &GoogleConfig,
    ) -> Result<(), GoogleOpenError> {
        // People are found in the directory that others are copied from, if there is one.
        let other = |s: &SystemConfig| matches!(s.kind, SystemKind::Graph(_) | SystemKind::ActiveDirectory(_));
        let alone = !tenant.systems.values().any(other);
        let claims = google::claims(alone, !config.licences.is_empty(), config.shared_drives);
        self.claims
            .entry(tenant.id.clone())
            .or_default()
            .insert(name.clone(), claims);
        // Without its key, or with one that is none, it is known what it could do,
        // and it is not served.
        let opened = match config.key.read() {
            Ok(key) => match GoogleConnector::open(http, &google_settings(name, config, key, alone)) {
                Ok(opened) => Ok(opened),
                Err(why @ GoogleOpenError::Key(_)) => Err(CliError::failed(why.to_string())),
                Err(why) => return Err(why),
            },
            Err(why) => Err(CliError::from(why)),
        };
        match opened {
            Ok(opened) => self.serve(&tenant.id, Arc::new(opened)),
            Err(why) => self.shut.push(Shut {
                tenant: tenant.id.clone(),
                system: name.clone(),
                why,
            }),
        }
        Ok(())
    }

    /// Adds a system of one's own: a simulation's, a bench's.
    pub fn insert(&mut self, tenant: &TenantId, connector: Arc<dyn Connector>) {
        self.claim(tenant, connector.as_ref());
        self.serve(tenant, connector);
    }

    /// What a tenant's systems can do.
    #[must_use]
    pub fn capabilities(&self, tenant: &TenantId) -> Capabilities {
        Capabilities(self.claims.get(tenant).cloned().unwrap_or_default())
    }

    /// The systems that could not be opened.
    #[must_use]
    pub fn shut(&self) -> &[Shut] {
        &self.shut
    }

    /// A tenant's systems that are open.
    pub fn of<'a>(&'a self, tenant: &'a TenantId) -> impl Iterator<Item = &'a Arc<dyn Connector>> {
        self.open.iter().filter(move |((t, _), _)| t == tenant).map(|(_, c)| c)
    }

    fn claim(&mut self, tenant: &TenantId, connector: &dyn Connector) {
        let of_tenant = self.claims.entry(tenant.clone()).or_default();
        of_tenant.insert(connector.system().clone(), connector.claims());
    }

    fn serve(&mut self, tenant: &TenantId, connector: Arc<dyn Connector>) {
        self.open
            .insert((tenant.clone(), connector.system().clone()), connector);
    }
}

impl Connectors for Systems {
    fn get(&self, tenant: &TenantId, system: &System) -> Option<Arc<dyn Connector>> {
        self.open.get(&(tenant.clone(), system.clone())).cloned()
    }
}

/// A connector, and why its credential cannot be had, if so: without it, it is
/// opened all the same, to be asked what it could do, and then not served.
type Opened<T> = (T, Option<CliError>);

fn open_graph(http: &HttpClient, name: &System, graph: &GraphConfig) -> Result<Opened<Arc<dyn Connector>>, OpenError> {
    let (credential, missing) = match credential(graph) {
        Ok(credential) => (credential, None),
        Err(why) => (Credential::Secret(Secret::new("")), Some(why)),
    };
    let opened = GraphConnector::open(http, &settings(name, graph, credential))?;
    Ok((Arc::new(opened), missing))
}

/// Opens a mail server.
///
/// # Errors
/// [`ImapOpenError`] if its address or authority cannot be used.
pub fn open_imap(http: &HttpClient, name: &System, imap: &ImapConfig) -> Result<Opened<ImapConnector>, ImapOpenError> {
    let secret = |from: &SecretRef| match from.read() {
        Ok(secret) => (secret, None),
        Err(why) => (Secret::new(""), Some(CliError::from(why))),
    };
    let (access, missing) = match &imap.access {
        ImapAccess::Administrator {
            user,
            password,
            separator,
        } => {
            let (password, missing) = secret(password);
            let user = user.clone();
            let access = match separator.clone() {
                None => Access::Delegate { user, password },
                Some(separator) => Access::Joined {
                    user,
                    password,
                    separator,
                },
            };
            (access, missing)
        }
        ImapAccess::Application {
            token_url,
            client_id,
            client_secret,
            scope,
        } => {
            let (secret, missing) = secret(client_secret);
            let access = Access::Token {
                url: token_url.clone(),
                client_id: client_id.clone(),
                secret,
                scope: scope.clone(),
            };
            (access, missing)
        }
        ImapAccess::ServiceAccount { key, token_url } => match service_key(key) {
            Ok(key) => {
                let url = token_url.clone();
                (Access::ServiceAccount { key, url }, None)
            }
            // It opens nothing.
            Err(why) => {
                let (mailbox, password) = (String::new(), Secret::new(""));
                (Access::Owner { mailbox, password }, Some(why))
            }
        },
        ImapAccess::Owner { mailbox, password } => {
            let (password, missing) = secret(password);
            let mailbox = mailbox.clone();
            (Access::Owner { mailbox, password }, missing)
        }
    };
    let settings = ImapSettings {
        system: name.clone(),
        host: imap.host.clone(),
        port: imap.port,
        security: match imap.security {
            ImapSecurity::Tls => Security::Tls,
            ImapSecurity::StartTls => Security::StartTls,
            ImapSecurity::None => Security::None,
        },
        ca: imap.ca.clone(),
        access,
        exact_sizes: imap.exact_sizes,
        probe: imap.probe.clone(),
    };
    Ok((ImapConnector::open(http, &settings)?, missing))
}

fn service_key(from: &SecretRef) -> Result<ServiceKey, CliError> {
    let file = from.read()?;
    ServiceKey::parse(&file).map_err(|why| CliError::failed(why.to_string()))
}

fn google_settings(name: &System, config: &GoogleConfig, key: Secret, alone: bool) -> GoogleSettings {
    let licence = |(product, sku): &(String, String)| Licence {
        product: product.clone(),
        sku: sku.clone(),
    };
    GoogleSettings {
        system: name.clone(),
        admin: config.admin.clone(),
        key,
        licences: config.licences.iter().map(licence).collect(),
        shared_drives: config.shared_drives,
        alone,
        endpoints: GoogleEndpoints {
            token: config.token_url.clone(),
            admin: config.admin_url.clone(),
            gmail: config.gmail_url.clone(),
            licensing: config.licensing_url.clone(),
            drive: config.drive_url.clone(),
        },
    }
}

fn open_program(tenant: &Tenant, name: &System, config: &ProgramConfig, show_stderr: bool) -> Opened<ProgramConnector> {
    let mut missing = None;
    let mut environment = Vec::new();
    for (variable, from) in &config.environment {
        match from.read() {
            Ok(value) => environment.push((variable.clone(), value)),
            Err(why) => missing = missing.or(Some(CliError::from(why))),
        }
    }
    let mut words = config.command.iter();
    let settings = ProgramSettings {
        tenant: tenant.id.clone(),
        system: name.clone(),
        program: words.next().map(Into::into).unwrap_or_default(),
        arguments: words.cloned().collect(),
        folder: config.folder.clone(),
        timeout: Duration::from_millis(config.timeout_ms.unsigned_abs()),
        max_output_bytes: config.max_output_bytes,
        environment,
        irreversible: config.irreversible,
        show_stderr,
    };
    (ProgramConnector::open(settings), missing)
}

fn open_scim(http: &HttpClient, name: &System, scim: &ScimConfig) -> Result<Opened<Arc<dyn Connector>>, ScimOpenError> {
    use offboard_connectors::scim::ScimAccess as Access;
    let mut missing = None;
    let mut secret = |from: &SecretRef| {
        from.read().unwrap_or_else(|why| {
            missing = Some(CliError::from(why));
            Secret::new("")
        })
    };
    let access = match &scim.access {
        ScimAccess::Token(token) => Access::Token(secret(token)),
        ScimAccess::Application {
            token_url,
            client_id,
            client_secret,
            scope,
        } => Access::Application {
            token_url: token_url.clone(),
            client_id: client_id.clone(),
            secret: secret(client_secret),
            scope: scope.clone(),
        },
    };
    let authority_pem = match authority(scim.ca.as_deref()) {
        Ok(pem) => pem,
        Err(why) => {
            missing = Some(why);
            None
        }
    };
    let number = match scim.external_id {
        ScimExternalId::DirectoryId => ExternalId::DirectoryId,
        ScimExternalId::EmployeeId => ExternalId::EmployeeId,
    };
    let by = |by: &ScimMatch| match by {
        ScimMatch::UserName => MatchBy::UserName,
        ScimMatch::Emails => MatchBy::Emails,
        ScimMatch::ExternalId => MatchBy::ExternalId(number),
    };
    let settings = ScimSettings {
        system: name.clone(),
        url: scim.url.clone(),
        access,
        authority_pem,
        matched: scim.matched.iter().map(by).collect(),
        profile: match scim.profile {
            ScimProfile::Patch { path, text } => Profile::Patch { path, text },
            ScimProfile::Put { text } => Profile::Put { text },
            ScimProfile::Delete => Profile::Delete,
        },
    };
    Ok((Arc::new(ScimConnector::open(http, &settings)?), missing))
}

fn open_ninja(
    http: &HttpClient,
    name: &System,
    ninja: &NinjaConfig,
) -> Result<Opened<Arc<dyn Connector>>, NinjaOpenError> {
    let (secret, missing) = match ninja.client_secret.read() {
        Ok(secret) => (secret, None),
        Err(why) => (Secret::new(""), Some(CliError::from(why))),
    };
    let settings = NinjaSettings {
        system: name.clone(),
        url: ninja.url.clone(),
        client_id: ninja.client_id.clone(),
        secret,
        organization_id: u64::from(ninja.organization_id),
        tags: NinjaTags {
            pending_wipe: ninja.pending_wipe_tag.clone(),
            repurpose: ninja.repurpose_tag.clone(),
        },
        state_field: ninja.state_field.clone(),
        script: ninja.script.as_ref().map(|script| NinjaScript {
            id: u64::from(script.id),
            field: script.field.clone(),
            run_as: script.run_as.clone(),
        }),
    };
    Ok((Arc::new(NinjaConnector::open(http, &settings)?), missing))
}

fn open_confluence(
    http: &HttpClient,
    name: &System,
    wiki: &ConfluenceConfig,
) -> Result<Opened<Arc<dyn Connector>>, ConfluenceOpenError> {
    let (token, missing) = match wiki.token.read() {
        Ok(token) => (token, None),
        Err(why) => (Secret::new(""), Some(CliError::from(why))),
    };
    let settings = ConfluenceSettings {
        system: name.clone(),
        url: wiki.url.clone(),
        user: wiki.user.clone(),
        token,
        space_id: ObjectId(wiki.space_id.clone()),
        parent_page_id: ObjectId(wiki.parent_page_id.clone()),
    };
    Ok((Arc::new(ConfluenceConnector::open(http, &settings)?), missing))
}

/// Every address at which outside systems are reached.
pub fn addresses(config: &Configuration) -> impl Iterator<Item = &str> {
    config.tenants.values().flat_map(|t| t.systems.values()).flat_map(|s| {
        let bases: Vec<&str> = match &s.kind {
            SystemKind::Graph(graph) => {
                let bases = [&graph.login_url, &graph.graph_url, &graph.exchange_url];
                bases
                    .into_iter()
                    .chain(&graph.sharepoint_url)
                    .map(String::as_str)
                    .collect()
            }
            SystemKind::Imap(imap) => {
                let tokens = match &imap.access {
                    ImapAccess::Administrator { .. } | ImapAccess::Owner { .. } => None,
                    ImapAccess::Application { token_url, .. } | ImapAccess::ServiceAccount { token_url, .. } => {
                        Some(token_url.as_str())
                    }
                };
                [imap.host.as_str()].into_iter().chain(tokens).collect()
            }
            SystemKind::Ninja(ninja) => vec![&ninja.url],
            SystemKind::Halo(halo) => halo.auth_url.iter().chain([&halo.url]).map(String::as_str).collect(),
            SystemKind::ConnectWise(psa) => vec![&psa.url],
            SystemKind::Autotask(psa) => vec![&psa.url],
            SystemKind::Confluence(wiki) => vec![&wiki.url],
            SystemKind::ActiveDirectory(directory) => directory.controllers.iter().map(String::as_str).collect(),
            // What it reaches, only the program knows: it is no address here.
            SystemKind::Program(program) => program.command.first().map(String::as_str).into_iter().collect(),
            SystemKind::Google(google) => vec![
                &google.token_url,
                &google.admin_url,
                &google.gmail_url,
                &google.licensing_url,
                &google.drive_url,
            ],
            SystemKind::Scim(scim) => {
                let tokens = match &scim.access {
                    ScimAccess::Token(_) => None,
                    ScimAccess::Application { token_url, .. } => Some(token_url.as_str()),
                };
                [scim.url.as_str()].into_iter().chain(tokens).collect()
            }
        };
        bases
    })
}

/// Whether an address (that the configuration has accepted) is on this machine.
#[must_use]
pub fn is_loopback(address: &str) -> bool {
    // The configuration takes http for this machine itself alone; a controller
    // stands there without a scheme.
    let host = address.split(':').next().unwrap_or_default();
    address.starts_with("http://")
        || ["localhost", "::1"].contains(&address)
        || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

/// The password to sign in with, and the authority to believe.
fn directory_secrets(config: &DirectoryConfig) -> Result<(Secret, Option<Vec<u8>>), CliError> {
    let authority = authority(config.ca.as_deref())?;
    Ok((config.password.read()?, authority))
}

/// The certificates of an authority, if one is configured.
fn authority(file: Option<&Path>) -> Result<Option<Vec<u8>>, CliError> {
    let read = |file: &Path| {
        std::fs::read(file).map_err(|e| {
            CliError::failed(format!("failed to read the authority {}", file.display())).caused_by(Some(&e))
        })
    };
    file.map(read).transpose()
}

fn credential(config: &GraphConfig) -> Result<Credential, CliError> {
    match &config.credential {
        GraphCredential::Secret(secret) => Ok(Credential::Secret(secret.read()?)),
        GraphCredential::Certificate { certificate, key } => {
            let certificate_pem = std::fs::read_to_string(certificate).map_err(|e| {
                CliError::failed(format!("failed to read the certificate {}", certificate.display()))
                    .caused_by(Some(&e))
            })?;
            Ok(Credential::Certificate {
                certificate_pem,
                key_pem: key.read()?,
            })
        }
    }
}

fn settings(system: &System, config: &GraphConfig, credential: Credential) -> GraphSettings {
    GraphSettings {
        system: system.clone(),
        directory: config.directory.clone(),
        client_id: config.client_id.clone(),
        credential,
        endpoints: Endpoints {
            login: config.login_url.clone(),
            graph: config.graph_url.clone(),
            exchange: config.exchange_url.clone(),
            sharepoint: config.sharepoint_url.clone(),
        },
    }
}

#[cfg(test)]
mod tests;
