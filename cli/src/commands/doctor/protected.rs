//! The accounts that a tenant's policy protects: an entry that is nobody's protects nobody.

use super::{CHECK_WITHIN, Checked, fine, warning};
use crate::systems::Systems;
use offboard_connectors::{Call, Connector, Found};
use offboard_domain::departure::PersonRef;
use offboard_domain::{FaultClass, Lane, ObjectId};
use offboard_runtime::config::Tenant;
use offboard_runtime::{Clock, SystemClock};
use std::sync::Arc;
use tokio::time::Instant;

const HOW_TO_MEND: &str = "write an object id, a sign-in name or a mail address, in full, or take it off \
    policy.protected; what is an application's alone is compared there";

/// Looks every entry up in the directories that can be asked; none if there is nothing to
/// look up, or nowhere to.
pub(super) async fn of(tenant: &Tenant, systems: &Systems) -> Option<Checked> {
    let listed = &tenant.policy.protected;
    let connectors = systems.of(&tenant.id).cloned();
    let directories: Vec<Arc<dyn Connector>> = connectors.filter(|c| c.directory().is_some()).collect();
    if listed.is_empty() || directories.is_empty() {
        return None;
    }
    let mut findings = Vec::new();
    let mut matched = 0;
    for entry in listed {
        match is_somebody(&directories, entry).await {
            Ok(true) => matched += 1,
            Ok(false) => findings.push(warning(
                format!("'{entry}' is on the list of protected accounts, and no directory has such an account"),
                HOW_TO_MEND,
            )),
            // Whoever does not answer is not asked once more for each of the others.
            Err(why) => {
                findings.push(warning(
                    format!("the protected accounts cannot all be looked up: {why}"),
                    "mend what is named above, then look again",
                ));
                break;
            }
        }
    }
    findings.insert(
        0,
        fine(format!("{matched} of {} protected accounts are there", listed.len())),
    );
    Some(Checked {
        part: format!("{}/policy.protected", tenant.id),
        findings,
    })
}

async fn is_somebody(directories: &[Arc<dyn Connector>], entry: &str) -> Result<bool, String> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut call = Call::new(clock, Instant::now() + CHECK_WITHIN, Lane::Normal);
    let looking = async {
        for directory in directories.iter().filter_map(|c| c.directory()) {
            for person in readings(entry) {
                match directory.find(&mut call, &person).await {
                    Ok(Found::One(_) | Found::Ambiguous { .. }) => return Ok(true),
                    Ok(Found::Nobody) => {}
                    // What is no id of that directory is nobody's there.
                    Err(fault) if fault.class == FaultClass::Rejected => {}
                    Err(fault) => return Err(fault.to_string()),
                }
            }
        }
        Ok(false)
    };
    let answer = tokio::time::timeout(CHECK_WITHIN, looking).await;
    answer.unwrap_or_else(|_| Err(format!("no answer within {} s", CHECK_WITHIN.as_secs())))
}

/// What an entry may be: each is looked for by itself, since names that disagree are nobody's.
fn readings(entry: &str) -> Vec<PersonRef> {
    let name = Some(entry.to_owned());
    if !entry.contains('@') {
        return vec![PersonRef {
            object_id: name.map(ObjectId),
            ..PersonRef::default()
        }];
    }
    vec![
        PersonRef {
            user_principal_name: name.clone(),
            ..PersonRef::default()
        },
        PersonRef {
            mail: name,
            ..PersonRef::default()
        },
    ]
}
