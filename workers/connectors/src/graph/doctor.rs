//! `offboard doctor`: says before the first departure what would fail in it.

use super::api::{Api, Ask, Service};
use super::directory::GLOBAL_ADMINISTRATOR;
use super::documents::{is_sharepoint, site_address};
use super::exchange::Cmdlet;
use super::path::{Filter, Path};
use super::permission::{self, EXCHANGE, Need, SITES};
use super::read::text_in;
use crate::{Call, Finding, Severity};
use offboard_domain::assignment::CLOCK_MARGIN_MS;
use offboard_domain::{Fault, FaultClass, Kind};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Permissions that this connector never needs, because less is enough: each
/// lets whoever steals the credential do much more.
const TOO_WIDE: &[&str] = &[
    "Directory.ReadWrite.All",
    "User.ReadWrite.All",
    "Application.ReadWrite.All",
];

/// The role that Exchange wants, by its published template id.
const EXCHANGE_ADMINISTRATOR: &str = "29232cdf-9323-42fd-ade2-1d097af3e4de";
/// The roles that let the application change anything in Exchange; others let it read.
const EXCHANGE_WRITERS: [&str; 2] = [EXCHANGE_ADMINISTRATOR, GLOBAL_ADMINISTRATOR];

/// The roles of which it is known that they let it read alone: Global Reader, Security Reader
/// and Reports Reader, by their published template ids.
const READERS: [&str; 3] = [
    "f2ef992c-3afb-46b9-b7cf-a126ee74c451",
    "5d6b6bb7-de71-4623-b4af-96380a352509",
    "4a5d8f65-41da-4de4-8968-e035b65339cf",
];

/// Every permission that a kind needs, and the kinds that need it.
fn wanted() -> BTreeMap<Need, BTreeSet<Kind>> {
    let mut wanted: BTreeMap<Need, BTreeSet<Kind>> = BTreeMap::new();
    for kind in Kind::ALL {
        for need in permission::needs(*kind).unwrap_or_default() {
            wanted.entry(*need).or_default().insert(*kind);
        }
    }
    wanted
}

/// Pauses before it is asked again: that a vendor is busy for a moment, or that one
/// connection breaks, is no fault of the configuration.
const AGAIN_AFTER: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// How long to wait before it is asked again, if it passes by itself. Where nobody
/// answered there may be no network at all, and who has none wants to hear it soon.
fn again_after(fault: &Fault, pause: Duration) -> Option<Duration> {
    let passes = matches!(fault.class, FaultClass::Transient | FaultClass::Throttled { .. });
    let pause = if fault.status.is_some() { pause } else { pause / 4 };
    passes.then_some(pause)
}

/// Asks again what passes by itself. (No function: it would have to take what
/// borrows the call anew each time.)
macro_rules! patiently {
    ($ask:expr) => {{
        let mut pauses = AGAIN_AFTER.into_iter();
        loop {
            let answered = $ask.await;
            let again = answered.as_ref().err().zip(pauses.next());
            match again.and_then(|(fault, pause)| again_after(fault, pause)) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => break answered,
            }
        }
    }};
}

pub(crate) async fn check(api: &Api, call: &mut Call) -> Vec<Finding> {
    let mut findings = Vec::new();
    let graph = match patiently!(api.token(call, &Service::Graph)) {
        Ok(token) => token,
        Err(fault) => {
            let code = fault.code.as_deref().map(|c| format!(" ({c})")).unwrap_or_default();
            findings.push(Finding::new(
                Severity::Problem,
                format!("the directory gives the application no token{code}"),
                fault.detail,
            ));
            return findings;
        }
    };
    findings.push(Finding::new(
        Severity::Fine,
        "the directory accepts the application's credential",
        "",
    ));
    clock(api, call, &mut findings).await;
    let exchange_roles = patiently!(api.token(call, &Service::Exchange))
        .ok()
        .and_then(|t| t.roles.clone());
    let sharepoint_roles = sharepoint_roles(api, call).await;
    for (need, kinds) in wanted() {
        let roles = match need.api {
            permission::Api::Graph => graph.roles.as_ref(),
            permission::Api::Exchange => exchange_roles.as_ref(),
            permission::Api::SharePoint => sharepoint_roles.as_ref(),
        };
        let least = need.any.first().copied().unwrap_or_default();
        let name = need.api.name();
        let lacking = match roles {
            None => Finding::new(
                Severity::Warning,
                format!("whether {least} on {name} is granted cannot be read from a token"),
                format!("see in the directory that the application has {least} on {name}, with admin consent"),
            ),
            Some(roles) if need.any.iter().any(|p| roles.contains(*p)) => continue,
            Some(_) => Finding::new(
                Severity::Problem,
                format!("{least} on {name} is not granted"),
                format!("add the application permission {least} on {name} and grant admin consent"),
            ),
        };
        findings.push(Finding { kinds, ..lacking });
    }
    if let Some(roles) = &graph.roles {
        let missing = findings.iter().any(|f| f.severity == Severity::Problem);
        if !missing {
            findings.push(Finding::new(
                Severity::Fine,
                "every permission on Microsoft Graph that the kinds need is granted",
                "",
            ));
        }
        for wide in TOO_WIDE.iter().filter(|p| roles.contains(**p)) {
            findings.push(Finding::new(
                Severity::Warning,
                format!("{wide} is granted, which is more than departures need"),
                "take it away once the narrower permissions that this check names are granted",
            ));
        }
    }
    exchange(api, call, &mut findings).await;
    sharepoint(api, &mut findings);
    sharepoint_gateway(api, call, &mut findings).await;
    findings
}

/// What is granted on SharePoint. Its tokens are for one host each and carry
/// the same permissions at all of them, so the tenant's root site will do. None
/// when Graph does not say where that is, or there is no token for it.
async fn sharepoint_roles(api: &Api, call: &mut Call) -> Option<BTreeSet<String>> {
    let ask = Ask::get(
        Path::at("sites").then("root").select("id,webUrl"),
        permission::READ_SITES,
    );
    let root = patiently!(api.send(call, &ask)).ok()?.body;
    let address = site_address(root["webUrl"].as_str()?)?;
    let site = Service::Site(address);
    let token = patiently!(api.token(call, &site)).ok()?;
    token.roles.clone()
}

async fn clock(api: &Api, call: &mut Call, findings: &mut Vec<Finding>) {
    let ask = Ask::get(Path::at("organization").select("id"), permission::READ_POOL);
    match patiently!(api.send(call, &ask)) {
        Ok(reply) => match reply.ahead_ms {
            Some(ahead_ms) if ahead_ms.abs() > CLOCK_MARGIN_MS => findings.push(Finding::new(
                Severity::Problem,
                format!(
                    "this machine's clock differs from Microsoft's by {} seconds",
                    ahead_ms.abs() / 1_000
                ),
                "set the clock; tokens and proofs by time depend on it",
            )),
            Some(_) => findings.push(Finding::new(
                Severity::Fine,
                "this machine's clock agrees with Microsoft's",
                "",
            )),
            None => {}
        },
        // A lacking permission has its own finding.
        Err(fault) if fault.class == FaultClass::Denied => {}
        Err(fault) => findings.push(Finding::new(
            Severity::Problem,
            "Microsoft Graph does not answer as it should",
            fault.detail,
        )),
    }
}

async fn exchange(api: &Api, call: &mut Call, findings: &mut Vec<Finding>) {
    let first = || Cmdlet::new("Get-Mailbox").with("ResultSize", 1);
    match patiently!(api.invoke(call, first())) {
        Ok(_) => {
            findings.push(Finding::new(
                Severity::Fine,
                "Exchange lets the application run commands",
                "",
            ));
            findings.extend(exchange_role(api, call).await);
        }
        Err(fault) => findings.push(Finding {
            kinds: wanted().remove(&EXCHANGE).unwrap_or_default(),
            ..Finding::new(
                Severity::Problem,
                "Exchange does not let the application run commands",
                fault.detail,
            )
        }),
    }
}

/// A role that only reads passes every command that this check may run. So it is read which
/// roles the application has; none: one that may write.
async fn exchange_role(api: &Api, call: &mut Call) -> Option<Finding> {
    let found = match roles_held(api, call).await {
        Some(held) if held.iter().any(|role| EXCHANGE_WRITERS.contains(&role.as_str())) => return None,
        Some(held) if held.iter().all(|role| READERS.contains(&role.as_str())) => Finding::new(
            Severity::Problem,
            "the application has no role with which Exchange lets it change anything",
            "assign it the role Exchange Administrator, by its name and as an active assignment; until Exchange heeds it, an hour may pass",
        ),
        // Of other roles it is not known here, and it may have one by a group.
        _ => Finding::new(
            Severity::Warning,
            "whether Exchange lets the application change anything cannot be read from its roles",
            "see in the directory that the application has the role Exchange Administrator; RoleManagement.Read.Directory on Microsoft Graph lets this check read it",
        ),
    };
    let mut kinds = wanted().remove(&EXCHANGE).unwrap_or_default();
    kinds.retain(|kind| kind.spec().writes);
    Some(Finding { kinds, ..found })
}

/// The directory roles of the application by their template ids. None where they cannot be
/// read, or it has none of its own: whom Exchange answers has one by a group then.
async fn roles_held(api: &Api, call: &mut Call) -> Option<Vec<String>> {
    let token = patiently!(api.token(call, &Service::Graph)).ok()?;
    let path = Path::at("roleManagement")
        .then("directory/roleAssignments")
        .filter(&Filter::eq("principalId", token.principal.as_deref()?));
    let ask = Ask::get(path, permission::READ_ROLES);
    let assigned = patiently!(api.list(call, ask.clone())).ok()?;
    let held: Vec<String> = assigned
        .iter()
        .filter_map(|a| text_in(&a["roleDefinitionId"]))
        .collect();
    (!held.is_empty()).then_some(held)
}

fn sharepoint(api: &Api, findings: &mut Vec<Finding>) {
    if !api.tokens.by_certificate() {
        findings.push(Finding {
            kinds: wanted().remove(&SITES).unwrap_or_default(),
            ..Finding::new(
                Severity::Problem,
                "the application proves itself by a secret, which SharePoint does not take",
                "give the application a certificate, configure it, and grant Sites.FullControl.All on SharePoint",
            )
        });
    }
}

/// Every site is at a host of its own, which Graph names; an address in the
/// configuration stands in place of all of them, so only a gateway can be there.
async fn sharepoint_gateway(api: &Api, call: &mut Call, findings: &mut Vec<Finding>) {
    let Some(gateway) = api.sharepoint_gateway() else {
        return;
    };
    let kinds = wanted().remove(&SITES).unwrap_or_default();
    let host = gateway.host_str().unwrap_or_default().to_owned();
    let wrong = if is_sharepoint(&host) {
        Finding::new(
            Severity::Problem,
            format!("sharepoint_url names {host}, which is SharePoint itself, and not a gateway to it"),
            "remove sharepoint_url: each OneDrive's own address is read from Microsoft Graph",
        )
    } else {
        match api.reach(call, gateway).await {
            Ok(()) => return,
            Err(why) => Finding::new(
                Severity::Problem,
                format!("the gateway to SharePoint, {host}, does not answer: {why}"),
                "correct sharepoint_url, or remove it if there is no gateway",
            ),
        }
    };
    findings.push(Finding { kinds, ..wrong });
}
