//! `offboard doctor`: finds what is missing before a departure needs it.

mod held;
mod protected;
mod role;
mod servers;
mod stores;

use super::Ctx;
use crate::backends::is_shared;
use crate::compose::{Crowded, crowded};
use crate::embedded::{Opened, socket};
use crate::error::{CliError, Exit};
use crate::show::safe;
use crate::systems::Systems;
use console::style;
use futures::stream::{self, StreamExt as _};
use offboard_connectors::{Call, Connector, Finding, Severity};
use offboard_dispatcher::control::Client;
use offboard_domain::plan::{is_done_without, is_skipped};
use offboard_domain::{Kind, Lane, Policy, System, TenantId};
use offboard_runtime::config::{ConfigErrors, Configuration, LedgerUrl, SystemConfig, SystemKind, Tenant};
use offboard_runtime::{Clock, SystemClock};
use role::Role;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long the check of one system may take.
const CHECK_WITHIN: Duration = Duration::from_secs(60);
/// Systems that are checked at the same time.
const AT_ONCE: usize = 8;

/// One part of the installation with what was found about it.
#[derive(Debug, Serialize)]
struct Checked {
    /// `installation`, `ledger`, `queue`, `tenant/system`, or `tenant/policy.protected`.
    part: String,
    findings: Vec<Finding>,
}

/// What is to be looked at.
pub(super) struct Asked {
    pub tenant: Option<TenantId>,
    pub offline: bool,
    pub stderr: bool,
    pub broker: Option<PathBuf>,
}

pub(super) async fn run(ctx: &Ctx, asked: Asked) -> Result<Exit, CliError> {
    let Asked {
        tenant,
        offline,
        stderr,
        broker,
    } = asked;
    let config = ctx.config()?;
    let is_known = |t: &TenantId| config.tenants.contains_key(t) || config.broken.contains_key(t);
    if let Some(tenant) = tenant.as_ref().filter(|t| !is_known(t)) {
        return Err(CliError::usage(format!(
            "there is no tenant '{tenant}' in the configuration"
        )));
    }
    let role = Role::of(&config);
    let mut checked = vec![Checked {
        part: "installation".to_owned(),
        findings: installation(&config, &role, offline).await,
    }];
    checked.extend(servers::of(&config, &role, offline).await);
    if let Some(file) = broker {
        checked.push(held::of(&config, &file)?);
    }
    let systems = Systems::open_showing(&config, stderr)?;
    let is_concerned = |t: &TenantId| tenant.as_ref().is_none_or(|only| t == only);
    let broken = config.broken.iter().filter(|(id, _)| is_concerned(id));
    checked.extend(broken.map(unreadable));
    for tenant in config.tenants.values().filter(|t| is_concerned(&t.id)) {
        let parts = of_tenant(tenant, &systems, &role, offline).await;
        checked.extend(parts.into_iter().map(|part| heeding(&tenant.policy, part)));
    }
    let worst = checked
        .iter()
        .flat_map(|c| &c.findings)
        .map(|f| f.severity)
        .max()
        .unwrap_or(Severity::Fine);
    if ctx.out.is_json() {
        ctx.out.document(&checked)?;
    } else {
        for part in &checked {
            ctx.out.data(&text(part))?;
        }
        ctx.out.say(match worst {
            Severity::Fine => "All is well.",
            Severity::Warning => "Departures work; look at the warnings.",
            Severity::Problem => "Something will not work: mend the problems, then run `offboard doctor` again.",
        });
    }
    Ok(if worst == Severity::Problem {
        Exit::Failed
    } else {
        Exit::Done
    })
}

fn fine(what: impl Into<String>) -> Finding {
    Finding {
        severity: Severity::Fine,
        what: what.into(),
        how_to_mend: String::new(),
        kinds: BTreeSet::new(),
    }
}

fn warning(what: impl Into<String>, how_to_mend: impl Into<String>) -> Finding {
    Finding {
        severity: Severity::Warning,
        what: what.into(),
        how_to_mend: how_to_mend.into(),
        kinds: BTreeSet::new(),
    }
}

fn problem(what: impl Into<String>, how_to_mend: impl Into<String>) -> Finding {
    Finding {
        severity: Severity::Problem,
        ..warning(what, how_to_mend)
    }
}

/// A tenant whose file does not read. The others are looked at all the same.
fn unreadable((tenant, errors): (&TenantId, &ConfigErrors)) -> Checked {
    let how = "mend it, then look again: until then none of this tenant's systems is looked at, and no process starts";
    let mistakes = errors.0.iter();
    Checked {
        part: tenant.to_string(),
        findings: mistakes.map(|mistake| problem(mistake.to_string(), how)).collect(),
    }
}

/// What stops nothing but tasks that the tenant's policy does without is no harm.
fn heeding(policy: &Policy, checked: Checked) -> Checked {
    let heed = |found: Finding| {
        let idle = !found.kinds.is_empty() && found.kinds.iter().all(|kind| is_done_without(*kind, policy));
        if found.severity == Severity::Fine || !idle {
            return found;
        }
        let kinds: Vec<&str> = found.kinds.iter().map(|kind| kind.name()).collect();
        let unless = match found.kinds.iter().all(|kind| is_skipped(*kind, policy)) {
            true => "",
            false => ", unless a request asks for it",
        };
        let (what, kinds) = (found.what, kinds.join(", "));
        fine(format!("{what}; not needed: the policy does without {kinds}{unless}"))
    };
    let findings = checked.findings.into_iter().map(heed).collect();
    Checked {
        part: checked.part,
        findings,
    }
}

/// The folder itself: configuration, keys, a ledger that is a file, store,
/// evidence.
async fn installation(config: &Configuration, role: &Role, offline: bool) -> Vec<Finding> {
    let but = match config.broken.len() {
        0 => String::new(),
        n => format!(", but for the files of {n} tenants"),
    };
    let mut found = vec![fine(format!(
        "the configuration in {} reads{but}",
        config.dir.display()
    ))];
    found.extend(role.keys(config));
    if !is_shared(config) {
        found.push(ledger(config).await);
        if let LedgerUrl::Sqlite(file) = &config.engine.ledger {
            let folder = file.parent().filter(|f| !f.as_os_str().is_empty());
            found.push(stores::room("ledger's folder", folder.unwrap_or(Path::new("."))));
        }
    }
    found.extend(stores::of(config, role, offline).await);
    if matches!(role, Role::All | Role::Dispatcher) {
        found.extend(crowded(&config.engine.admission).iter().map(slow_vendor));
    }
    if config.tenants.is_empty() && config.broken.is_empty() {
        found.push(warning(
            "no tenant is configured",
            "copy tenants/contoso.toml.example to tenants/<handle>.toml and fill it in",
        ));
    }
    found
}

fn slow_vendor(queue: &Crowded) -> Finding {
    let Crowded {
        area,
        lane,
        tenant,
        places,
    } = queue;
    warning(
        format!(
            "one tenant may have {tenant} assignments of {area} in flight ({}), and a worker has {places} places: a slow \
             vendor of one tenant holds up the others",
            lane.word()
        ),
        "raise admission.prefetch, here and at the workers, or lower admission.credit or admission.tenant_percent",
    )
}

async fn ledger(config: &Configuration) -> Finding {
    let connected = match socket(config) {
        Some(path) => Client::connect(&path).await,
        None => Ok(None),
    };
    match connected {
        Ok(Some(_)) => return fine("the ledger is served by a running process, which answers"),
        Ok(None) => {}
        Err(error) => {
            return problem(
                CliError::of(&error).brief(),
                "is the socket another user's? run this as the one who serves",
            );
        }
    }
    match Opened::idle(config, Arc::new(SystemClock)).await {
        Ok(opened) => match opened.ledger.close().await {
            Ok(()) => fine("the ledger opens and closes; nobody serves it at this moment"),
            Err(error) => problem(error.to_string(), "look at the disk"),
        },
        Err(error) if error.is_held() => warning(
            error.brief(),
            "another command is at it, or a process that does not answer; try again, then look at that process",
        ),
        Err(error) => problem(
            error.brief(),
            "mend what is named; restore the ledger from a backup if it is damaged",
        ),
    }
}

async fn of_tenant(tenant: &Tenant, systems: &Systems, role: &Role, offline: bool) -> Vec<Checked> {
    let part = |system: &str| format!("{}/{system}", tenant.id);
    let mut checked = Vec::new();
    if tenant.systems.is_empty() {
        let finding = problem(
            "the tenant has no system, so nothing can be done for it",
            "add a [systems.<name>] section to its file",
        );
        checked.push(Checked {
            part: tenant.id.to_string(),
            findings: vec![finding],
        });
    }
    let elsewhere = |system: &SystemConfig| role.elsewhere(system.site.as_deref());
    let is_ours = |name: &System| tenant.systems.get(name).is_some_and(|s| elsewhere(s).is_none());
    for (name, system) in &tenant.systems {
        if let Some(place) = elsewhere(system) {
            checked.push(Checked {
                part: part(name.as_str()),
                findings: vec![fine(format!("looked at by `offboard doctor` {place}"))],
            });
        }
    }
    let at_sites = tenant.systems.iter().filter(|(_, s)| s.site.is_some());
    let at_sites = at_sites.filter(|(name, _)| role.site().is_none() || is_ours(name));
    for (name, _) in at_sites.filter(|(_, s)| matches!(s.kind, SystemKind::Graph(_))) {
        let finding = Finding {
            kinds: BTreeSet::from([Kind::EscrowRecoveryKeys]),
            ..warning(
                "workers at a site have no escrow key, so recovery keys of its devices are not kept, and no Mac is wiped",
                "take `site` out of the system's section: it is reached from anywhere",
            )
        };
        checked.push(Checked {
            part: part(name.as_str()),
            findings: vec![finding],
        });
    }
    let shut = systems.shut().iter().filter(|s| s.tenant == tenant.id);
    for shut in shut.filter(|s| is_ours(&s.system)) {
        let how = "put the secret where the configuration says, and readable by its owner alone";
        checked.push(Checked {
            part: part(shut.system.as_str()),
            findings: vec![problem(shut.why.brief(), how)],
        });
    }
    let open: Vec<Arc<dyn Connector>> = systems
        .of(&tenant.id)
        .filter(|c| is_ours(c.system()))
        .cloned()
        .collect();
    if offline {
        let closed = |c: Arc<dyn Connector>| Checked {
            part: part(c.system().as_str()),
            findings: vec![fine("its secret is there; not asked (--offline)")],
        };
        checked.extend(open.into_iter().map(closed));
        return checked;
    }
    let asked = stream::iter(open.clone().into_iter().map(|c| async move {
        let mut call = Call::new(
            Arc::new(SystemClock) as Arc<dyn Clock>,
            Instant::now() + CHECK_WITHIN,
            Lane::Normal,
        );
        let findings = tokio::time::timeout(CHECK_WITHIN, c.check(&mut call))
            .await
            .unwrap_or_else(|_| {
                vec![problem(
                    format!("no answer within {} s", CHECK_WITHIN.as_secs()),
                    "look at the network and the vendor's status page",
                )]
            });
        (c.system().to_string(), findings)
    }));
    let asked: Vec<_> = asked.buffered(AT_ONCE).collect().await;
    checked.extend(asked.into_iter().map(|(system, findings)| Checked {
        part: part(&system),
        findings,
    }));
    let all = tenant.systems.keys().all(is_ours);
    checked.extend(protected::of(tenant, &open, all).await);
    checked
}

fn text(part: &Checked) -> String {
    let mut out = format!("{}\n", style(&part.part).bold());
    for finding in &part.findings {
        let mark = match finding.severity {
            Severity::Fine => style("✓").green(),
            Severity::Warning => style("!").yellow(),
            Severity::Problem => style("✗").red(),
        };
        out.push_str(&format!("  {mark} {}\n", safe(&finding.what)));
        if !finding.how_to_mend.is_empty() {
            out.push_str(&format!("      {}\n", safe(&finding.how_to_mend)));
        }
        if !finding.kinds.is_empty() {
            let kinds: Vec<&str> = finding.kinds.iter().map(|k| k.name()).collect();
            out.push_str(&format!(
                "      {} {}\n",
                style("stops:").dim(),
                style(kinds.join(", ")).dim()
            ));
        }
    }
    out
}
