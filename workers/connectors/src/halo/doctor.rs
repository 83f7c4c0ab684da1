//! `offboard doctor`: says before the first departure what would fail in it, by
//! asking for a token and reading alone.

use super::{HALO, HaloConnector};
use crate::area::desk::Desk as _;
use crate::path::Path;
use crate::ticketing::{About, Ask, clock, failed, fine, number, problem};
use crate::{Call, Finding, Severity};
use offboard_domain::FaultClass;
use serde_json::Value;

pub(super) async fn check(halo: &HaloConnector, call: &mut Call) -> Vec<Finding> {
    let mut findings = Vec::new();
    match halo.client_is_there(call).await {
        Ok(ahead_ms) => {
            findings.push(fine("HaloPSA accepts the credential, and the client is there"));
            findings.extend(clock(HALO.title, ahead_ms));
        }
        Err(mut fault) => {
            if fault.class == FaultClass::Denied && fault.attempted == "ask for a token" {
                fault.detail.push_str(
                    "; in HaloPSA: Configuration, Integrations, HaloPSA API, View Applications: the authentication method is Client ID and Secret, and `scope` must be among its permissions; hosted instances also ask for `instance`",
                );
            }
            findings.push(failed("the client cannot be read", fault));
            return findings;
        }
    }
    let own = &halo.settings;
    listed(
        halo,
        call,
        &mut findings,
        ("TicketType", "ticket_type_id", own.ticket_type_id),
    )
    .await;
    listed(
        halo,
        call,
        &mut findings,
        ("Status", "closed_status_id", own.closed_status_id),
    )
    .await;
    listed(
        halo,
        call,
        &mut findings,
        ("Outcome", "note_outcome_id", own.note_outcome_id),
    )
    .await;
    // What every departure begins with.
    findings.push(match halo.marked(call, "[OB-doctor]").await {
        Ok(_) => fine("tickets can be searched"),
        Err(fault) => failed("tickets cannot be searched, so that none is opened", fault),
    });
    findings
}

/// Whether a number of the tenant's file is in HaloPSA's own list.
async fn listed(
    halo: &HaloConnector,
    call: &mut Call,
    findings: &mut Vec<Finding>,
    (list, key, wanted): (&'static str, &str, u64),
) {
    let ask = Ask::get(Path::at(list).with("showall", "true"), About::List);
    let rows = match halo.send(call, &ask).await.map(|reply| reply.body) {
        Ok(Value::Array(rows)) => rows,
        Ok(_) => {
            let fault = halo.wire.misshapen(&ask, "a list");
            return findings.push(failed(&format!("{key} cannot be looked up"), fault));
        }
        Err(fault) => {
            return findings.push(Finding::new(
                Severity::Warning,
                format!("{key} cannot be looked up: {} fails", fault.attempted),
                format!("see in HaloPSA that {wanted} is right; {}", fault.detail),
            ));
        }
    };
    let row = rows.iter().find(|row| number(&row["id"]) == Some(wanted));
    findings.push(match row {
        Some(_) => fine(format!("{key} {wanted} is there")),
        None => problem(
            format!("{key} {wanted} is not among those that HaloPSA lists for this credential"),
            format!(
                "set {key} to the number in the address that it has in HaloPSA (Configuration, Tickets), or let the API application's agent use it"
            ),
        ),
    });
}
