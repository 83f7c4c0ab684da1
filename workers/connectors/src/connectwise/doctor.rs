//! `offboard doctor`: says before the first departure what would fail in it, by
//! reading alone.

use super::{CONNECTWISE, ConnectWiseConnector};
use crate::area::desk::Desk as _;
use crate::path::Path;
use crate::ticketing::{About, Ask, clock, failed, fine, number, problem};
use crate::{Call, Finding};
use offboard_domain::FaultClass;
use serde_json::Value;

pub(super) async fn check(psa: &ConnectWiseConnector, call: &mut Call) -> Vec<Finding> {
    let mut findings = Vec::new();
    match psa.company_is_there(call).await {
        Ok(ahead_ms) => {
            findings.push(fine("ConnectWise accepts the credential, and the company is there"));
            findings.extend(clock(CONNECTWISE.title, ahead_ms));
        }
        Err(mut fault) => {
            if fault.class == FaultClass::Denied {
                fault.detail.push_str(
                    "; in ConnectWise: System, Members, API Members, API Keys: `login_company` is the name at sign-in, `integration_id` is the Client ID from developer.connectwise.com",
                );
            }
            findings.push(failed("the company cannot be read", fault));
            return findings;
        }
    }
    statuses(psa, call, &mut findings).await;
    findings.push(match psa.marked(call, "[OB-doctor]").await {
        Ok(_) => fine("tickets can be searched"),
        Err(fault) => failed("tickets cannot be searched, so that none is opened", fault),
    });
    findings
}

/// Whether the board is there, and the status closes its tickets.
async fn statuses(psa: &ConnectWiseConnector, call: &mut Call, findings: &mut Vec<Finding>) {
    let own = &psa.settings;
    let board = own.board_id.to_string();
    let path = Path::at("service").then("boards").id(&board).then("statuses");
    let ask = Ask::get(path.with("pageSize", "1000"), About::List);
    let rows = match psa.send(call, &ask).await.map(|reply| reply.body) {
        Ok(Value::Array(rows)) => rows,
        Ok(_) => return findings.push(failed("the board cannot be read", psa.wire.misshapen(&ask, "a list"))),
        Err(fault) => {
            let mut finding = failed(&format!("board_id {board} cannot be read"), fault);
            finding.how_to_mend.push_str(
                "; board_id is the number in the board's address in ConnectWise (System, Setup Tables, Service Board)",
            );
            return findings.push(finding);
        }
    };
    findings.push(fine(format!("board_id {board} is there")));
    let wanted = own.closed_status_id;
    let row = rows.iter().find(|row| number(&row["id"]) == Some(wanted));
    findings.push(match row.map(|row| row["closedStatus"].as_bool()) {
        Some(Some(false)) => problem(
            format!("closed_status_id {wanted} is a status that does not close"),
            "set closed_status_id to one of the board's statuses that is marked as closed (System, Setup Tables, Service Board, Statuses)",
        ),
        Some(_) => fine(format!("closed_status_id {wanted} closes tickets of the board")),
        None => problem(
            format!("closed_status_id {wanted} is none of the board's statuses"),
            "set closed_status_id to the number of the board's closed status (System, Setup Tables, Service Board, Statuses)",
        ),
    });
}
