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

/// Whether the account may change the page below which notes are written: whoever may
/// not do that may hardly add to it.
async fn may_write(wiki: &ConfluenceConnector, call: &mut Call) -> Option<Finding> {
    let content = Path::at("wiki").then("rest").then("api").then("content");
    let path = content.id(&wiki.settings.parent_page_id.0).with("expand", "operations");
    let ask = Ask::get(path, About::PageFile);
    let body = match wiki.send(call, &ask).await {
        Ok(reply) => reply.body,
        Err(fault) => return Some(failed("what the account may do cannot be read", fault)),
    };
    // Not every site says it.
    let operations = body["operations"].as_array()?;
    let may = |row: &Value| row["operation"].as_str() == Some("update");
    Some(if operations.iter().any(may) {
        fine("the account may write in the space")
    } else {
        problem("the account may only read there", CONFLUENCE.rights)
    })
}
