//! `offboard doctor`: says before the first departure what would fail in it, by
//! reading alone.

use super::{CONFLUENCE, ConfluenceConnector};
use crate::area::notes::Notes as _;
use crate::path::Path;
use crate::ticketing::{About, Ask, clock, failed, fine, problem};
use crate::{Call, Finding};
use offboard_domain::FaultClass;
use serde_json::Value;

pub(super) async fn check(wiki: &ConfluenceConnector, call: &mut Call) -> Vec<Finding> {
    let mut findings = Vec::new();
    match wiki.parent_is_there(call).await {
        Ok(ahead_ms) => {
            findings.push(fine(
                "Confluence accepts the credential, and the page is there below which notes are written",
            ));
            findings.extend(clock(CONFLUENCE.title, ahead_ms));
        }
        Err(mut fault) => {
            if fault.class == FaultClass::Denied {
                fault.detail.push_str(
                    "; `user` is the account's address, `token` an API token of that account (id.atlassian.com, Security, API tokens): tokens end after a year at most",
                );
            }
            findings.push(failed("the page below which notes are written cannot be read", fault));
            return findings;
        }
    }
    findings.push(match wiki.titled(call, "[OB-doctor]").await {
        Ok(_) => fine("pages can be looked for"),
        Err(fault) => failed("pages cannot be looked for, so that none is written", fault),
    });
    findings.extend(may_write(wiki, call).await);
    findings
}

/// Whether the account may do in the space what notes take: add pages, and files to them.
async fn may_write(wiki: &ConfluenceConnector, call: &mut Call) -> Vec<Finding> {
    let spaces = Path::at("wiki").then("api").then("v2").then("spaces");
    let ask = Ask::get(spaces.id(&wiki.settings.space_id.0).then("operations"), About::List);
    let operations = match wiki.send(call, &ask).await {
        Ok(reply) => match reply.body["operations"].as_array() {
            Some(operations) => operations.clone(),
            None => {
                let fault = wiki.wire.misshapen(&ask, "a list of what the account may do");
                return vec![failed("what the account may do cannot be read", fault)];
            }
        },
        Err(fault) => return vec![failed("what the account may do cannot be read", fault)],
    };
    let may_create = |what: &str| {
        let is = |row: &Value| row["operation"] == "create" && row["targetType"] == what;
        operations.iter().any(is)
    };
    let of = |what: &str, things: &str| match may_create(what) {
        true => fine(format!("the account may add {things} in the space")),
        false => problem(
            format!("the account may not add {things} in the space"),
            CONFLUENCE.rights,
        ),
    };
    vec![of("page", "pages"), of("attachment", "files")]
}
