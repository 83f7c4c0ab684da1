//! `offboard doctor`: says before the first departure what would fail in it, by
//! reading alone. The numbers that a tenant's file names are in the lists that
//! Autotask gives of its own fields.

use super::{AUTOTASK, AutotaskConnector};
use crate::area::desk::Desk as _;
use crate::path::Path;
use crate::ticketing::{About, Ask, clock, failed, fine, number, problem};
use crate::{Call, Finding};
use offboard_domain::FaultClass;
use serde_json::Value;

pub(super) async fn check(psa: &AutotaskConnector, call: &mut Call) -> Vec<Finding> {
    let mut findings = Vec::new();
    match psa.company_is_there(call).await {
        Ok(ahead_ms) => {
            findings.push(fine("Autotask accepts the credential, and the company is there"));
            findings.extend(clock(AUTOTASK.title, ahead_ms));
        }
        Err(mut fault) => {
            if fault.class == FaultClass::Denied {
                fault.detail.push_str(
                    "; in Autotask: Admin, Resources/Users (HR), the API user: `user` and `secret` are its key and secret, `integration_code` is its tracking identifier",
                );
            }
            findings.push(failed("the company cannot be read", fault));
            return findings;
        }
    }
    let own = &psa.settings;
    let of_tickets = [
        ("queueID", "queue_id", Some(own.queue_id)),
        ("status", "new_status_id", Some(own.new_status_id)),
        ("status", "closed_status_id", Some(own.closed_status_id)),
        ("priority", "priority_id", Some(own.priority_id)),
        ("priority", "urgent_priority_id", own.urgent_priority_id),
    ];
    listed(psa, call, &mut findings, "Tickets", &of_tickets).await;
    let of_notes = [
        ("noteType", "note_type_id", Some(own.note_type_id)),
        ("publish", "publish_id", Some(own.publish_id)),
    ];
    listed(psa, call, &mut findings, "TicketNotes", &of_notes).await;
    findings.push(match psa.marked(call, "[OB-doctor]").await {
        Ok(_) => fine("tickets can be searched"),
        Err(fault) => failed("tickets cannot be searched, so that none is opened", fault),
    });
    findings
}

/// Whether the numbers are among those that a record's fields may have.
async fn listed(
    psa: &AutotaskConnector,
    call: &mut Call,
    findings: &mut Vec<Finding>,
    record: &'static str,
    wanted: &[(&str, &str, Option<u64>)],
) {
    let path = Path::at(record).then("entityInformation").then("fields");
    let ask = Ask::get(path, About::List);
    let body = match psa.send(call, &ask).await {
        Ok(reply) => reply.body,
        Err(fault) => return findings.push(failed(&format!("the fields of {record} cannot be read"), fault)),
    };
    let Some(fields) = body["fields"].as_array() else {
        let fault = psa.wire.misshapen(&ask, "a list of fields");
        return findings.push(failed(&format!("the fields of {record} cannot be read"), fault));
    };
    for (field, key, number_wanted) in wanted {
        let Some(wanted) = number_wanted else { continue };
        let named = |f: &&Value| f["name"].as_str().is_some_and(|n| n.eq_ignore_ascii_case(field));
        let values = fields.iter().find(named).and_then(|f| f["picklistValues"].as_array());
        let row = values
            .into_iter()
            .flatten()
            .find(|v| number(&v["value"]) == Some(*wanted));
        let active = row.is_some_and(|v| v["isActive"].as_bool() != Some(false));
        findings.push(if active {
            fine(format!("{key} {wanted} is there"))
        } else {
            problem(
                format!("{key} {wanted} is none of the values that {field} of {record} has"),
                format!("set {key} to one of them: Admin, Application-wide (Shared) Features, or ask Autotask for {record}/entityInformation/fields"),
            )
        });
    }
}
