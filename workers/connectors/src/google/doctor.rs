//! `offboard doctor`: says before the first departure what would fail in it. Each
//! scope is asked for by itself, because a delegation may list some and not
//! others; then each interface is read once, because a token proves neither that
//! it is turned on nor that the administrator's role suffices.

use super::GoogleConnector;
use super::scope::{Scope, needs};
use super::token::{ActsFor, NOT_DELEGATED};
use super::wire::{About, Ask, id_of};
use crate::path::Path;
use crate::{Answer, Call, Connector as _, Finding, Severity};
use offboard_domain::assignment::CLOCK_MARGIN_MS;
use offboard_domain::{Fault, Kind};
use std::collections::BTreeSet;

/// The kinds that a scope is needed for, of those that are claimed.
fn kinds_of(google: &GoogleConnector, scope: Scope) -> BTreeSet<Kind> {
    let claimed = google.claims().into_iter();
    claimed
        .filter(|k| needs(*k).is_some_and(|needs| needs.contains(&scope)))
        .collect()
}

/// A fault as a finding: its detail says what to do.
fn failed(what: impl Into<String>, fault: Fault, kinds: BTreeSet<Kind>) -> Finding {
    let status = fault.status.map(|s| format!(" (HTTP {s})")).unwrap_or_default();
    Finding {
        kinds,
        ..Finding::new(Severity::Problem, format!("{}{status}", what.into()), fault.detail)
    }
}

pub(super) async fn check(google: &GoogleConnector, call: &mut Call) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut granted = Vec::new();
    for scope in Scope::ALL.iter().copied() {
        let kinds = kinds_of(google, scope);
        if kinds.is_empty() {
            continue;
        }
        match google.wire.tokens.get(call, &ActsFor::Administrator, scope, None).await {
            Ok(_) => granted.push(scope),
            Err(fault) if fault.code.as_deref() == Some(NOT_DELEGATED) => {
                let id = google
                    .wire
                    .tokens
                    .key
                    .client_id
                    .as_deref()
                    .unwrap_or("the service account");
                let what = format!("{} is not delegated to client id {id}", scope.url());
                findings.push(failed(what, fault, kinds));
            }
            Err(fault) => {
                // Whatever it is, it is so for every other scope.
                findings.push(failed(
                    "Google gives the service account no token",
                    fault,
                    BTreeSet::new(),
                ));
                return findings;
            }
        }
    }
    if !granted.is_empty() {
        findings.push(Finding::new(
            Severity::Fine,
            format!(
                "Google accepts the service account's key, and {} of its scopes are delegated",
                granted.len()
            ),
            "",
        ));
    }
    let customer = administrator(google, call, &granted, &mut findings).await;
    for scope in granted {
        if let Err(fault) = look(google, call, scope, customer.as_deref()).await {
            let what = format!("{} cannot be used with {}", scope.interface(), scope.url());
            findings.push(failed(what, fault, kinds_of(google, scope)));
        }
    }
    findings.extend(left_out(google));
    findings
}

/// What no departure looks at because the configuration does not name it: it makes no task,
/// so nothing else would say so.
fn left_out(google: &GoogleConnector) -> Vec<Finding> {
    let claimed = google.claims();
    let keys = [
        (
            Kind::ReleaseInWorkspace,
            "no licences are configured, so none of a leaver's is released or looked at",
            "name the company's licences in `licences`; if Google gives them to everybody by itself, nothing is to be done",
        ),
        (
            Kind::HandOverSharedDrives,
            "shared drives are not looked at, so one that only a leaver manages stays without a manager",
            "set `shared_drives = true` and delegate its scope; if that right is too wide, give such drives another manager by hand",
        ),
    ];
    let missing = keys.into_iter().filter(|(kind, ..)| !claimed.contains(kind));
    missing
        .map(|(_, what, how)| Finding::new(Severity::Warning, what, how))
        .collect()
}

/// Who is acted for, and whether the clocks agree. Says which company it is, if
/// that can be read.
async fn administrator(
    google: &GoogleConnector,
    call: &mut Call,
    granted: &[Scope],
    findings: &mut Vec<Finding>,
) -> Option<String> {
    if !granted.contains(&Scope::Users) {
        return None;
    }
    let path = Path::at("admin").then("directory/v1/users").id(google.admin());
    let reply = match google
        .wire
        .send(call, &Ask::get(path, Scope::Users, About::Account))
        .await
    {
        Ok(reply) => reply,
        Err(fault) => {
            let what = "the administrator who is acted for cannot be read";
            findings.push(failed(what, fault, BTreeSet::new()));
            return None;
        }
    };
    if let Some(ahead_ms) = reply.ahead_ms {
        findings.push(if ahead_ms.abs() > CLOCK_MARGIN_MS {
            Finding::new(
                Severity::Problem,
                format!(
                    "this machine's clock differs from Google's by {} seconds",
                    ahead_ms.abs() / 1_000
                ),
                "set this machine's clock (timedatectl set-ntp true)",
            )
        } else {
            Finding::new(Severity::Fine, "this machine's clock agrees with Google's", "")
        });
    }
    if reply.body["isAdmin"].as_bool() == Some(true) {
        findings.push(Finding::new(
            Severity::Warning,
            "the administrator who is acted for is a super administrator, which is more than departures need",
            "make an account for this alone, give it the role that the connector's page describes, and name it as `admin`",
        ));
    }
    id_of(&reply.body["customerId"])
}

/// The cheapest reading that a scope allows.
async fn look(google: &GoogleConnector, call: &mut Call, scope: Scope, customer: Option<&str>) -> Answer<()> {
    let directory = |what: &'static str| Path::at("admin").then("directory/v1").then(what);
    let mine = |path: Path| path.with("customer", "my_customer").with("maxResults", "1");
    let path = match scope {
        Scope::Users => mine(directory("users")),
        Scope::Security => directory("users").id(google.admin()).then("tokens"),
        Scope::Groups => mine(directory("groups")),
        Scope::Phones => directory("customer/my_customer/devices/mobile").with("maxResults", "1"),
        Scope::Laptops => directory("customer/my_customer/devices/chromeos").with("maxResults", "1"),
        Scope::Transfers => return google.files_application(call).await.map(drop),
        // The administrator need not have a mailbox, and a right to write cannot
        // be tried without writing.
        Scope::Members | Scope::MailSettings | Scope::MailSharing | Scope::Mailbox => return Ok(()),
        Scope::Drives => return google.some_drives(call).await.map(drop),
        Scope::Licences => {
            let (Some(licence), Some(customer)) = (google.licences.first(), customer) else {
                return Ok(());
            };
            Path::at("apps")
                .then("licensing/v1/product")
                .id(&licence.product)
                .then("sku")
                .id(&licence.sku)
                .then("users")
                .with("customerId", customer)
                .with("maxResults", "1")
        }
    };
    google
        .wire
        .send(call, &Ask::get(path, scope, About::Service))
        .await
        .map(drop)
}
