//! The accounts that a tenant's policy protects: an entry that is nobody's protects nobody.

use super::{CHECK_WITHIN, Checked, fine, warning};
use offboard_connectors::{Account, Answer, Call, Connector, Directory, Found};
use offboard_domain::departure::PersonRef;
use offboard_domain::{FaultClass, Kind, Lane, ObjectId};
use offboard_runtime::config::Tenant;
use offboard_runtime::{Clock, SystemClock};
use std::sync::Arc;
use tokio::time::Instant;

const HOW_TO_MEND: &str = "write an object id, a sign-in name or a mail address, in full, or take it off \
    policy.protected; a security identifier is not compared, and what is an application's alone is \
    compared there";

/// Not every directory was asked, so nothing is known to be nobody's.
const LOOK_ELSEWHERE: &str = "leave it on policy.protected unless `offboard doctor` says the same wherever the \
    tenant's other systems are looked at";

/// What compares an account of a directory with the list.
const COMPARING: [Kind; 3] = [Kind::Resolve, Kind::ResolveOnPremises, Kind::ResolveInWorkspace];

/// Looks every entry up in the directories that can be asked and whose accounts are compared
/// with the list; none if there is nothing to look up, or nowhere to. Of the tenant's systems
/// these are looked at here: all of them, or some.
pub(super) async fn of(tenant: &Tenant, systems: &[Arc<dyn Connector>], all: bool) -> Option<Checked> {
    let listed = &tenant.policy.protected;
    let connectors = systems.iter().cloned();
    let compares = |c: &Arc<dyn Connector>| {
        let claims = c.claims();
        let mut comparing = COMPARING.iter().filter(|kind| !tenant.policy.skip.contains(*kind));
        comparing.any(|kind| claims.contains(kind))
    };
    let directories: Vec<Arc<dyn Connector>> = connectors.filter(|c| c.directory().is_some() && compares(c)).collect();
    if listed.is_empty() || directories.is_empty() {
        return None;
    }
    let mut findings = Vec::new();
    let mut matched = 0;
    for entry in listed {
        match is_somebody(&directories, entry).await {
            Ok(true) => matched += 1,
            Ok(false) => findings.push(warning(
                format!("'{entry}' is on the list of protected accounts, and no directory has an account of that id, sign-in name or address"),
                if all { HOW_TO_MEND } else { LOOK_ELSEWHERE },
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
            match protects_in(directory, &mut call, entry).await {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(fault) => return Err(fault.to_string()),
            }
        }
        Ok(false)
    };
    let answer = tokio::time::timeout(CHECK_WITHIN, looking).await;
    answer.unwrap_or_else(|_| Err(format!("no answer within {} s", CHECK_WITHIN.as_secs())))
}

/// Whether an account of this directory is known by the entry as a departure compares it:
/// there are more ways to find one than those that protect it.
async fn protects_in(directory: &dyn Directory, call: &mut Call, entry: &str) -> Answer<bool> {
    for person in readings(entry) {
        let found = match directory.find(call, &person).await {
            Ok(Found::One(account)) => vec![*account],
            Ok(Found::Ambiguous { ids }) => read(directory, call, &ids).await?,
            Ok(Found::Nobody) => Vec::new(),
            // What is no id of that directory is nobody's there.
            Err(fault) if fault.class == FaultClass::Rejected => Vec::new(),
            Err(fault) => return Err(fault),
        };
        if found.iter().any(|account| account.is_called(entry)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Those of several accounts that are still there.
async fn read(directory: &dyn Directory, call: &mut Call, ids: &[ObjectId]) -> Answer<Vec<Account>> {
    let mut accounts = Vec::new();
    for id in ids {
        match directory.account(call, id).await {
            Ok(account) => accounts.push(account),
            Err(fault) if fault.class == FaultClass::Absent => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(accounts)
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

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use offboard_connectors::{AccountChange, Application, Held, Holding};

    const SECURITY_ID: &str = "S-1-5-21-1-2-3-1104";

    /// A directory that finds its one account also by what a departure does not compare.
    struct Domain {
        several: bool,
    }

    fn account() -> Account {
        Account {
            id: "7f3a9c0d-11aa-4b6e-9d20-f1aa00000001".into(),
            user_principal_name: "glass@corp.example".into(),
            mail: Some("glass@example.com".into()),
            addresses: vec!["Break.Glass@example.com".into()],
            display_name: None,
            employee_id: None,
            enabled: true,
            synced: false,
            guest: false,
            has_mailbox: true,
            sessions_valid_from_ms: None,
            password_changed_ms: None,
            manager_id: None,
            on_premises_security_id: Some(SECURITY_ID.into()),
            synced_at_ms: None,
        }
    }

    #[async_trait]
    impl Directory for Domain {
        async fn find(&self, _call: &mut Call, _person: &PersonRef) -> Answer<Found> {
            Ok(if self.several {
                Found::Ambiguous {
                    ids: vec![account().id],
                }
            } else {
                Found::One(Box::new(account()))
            })
        }

        async fn account(&self, _call: &mut Call, _id: &ObjectId) -> Answer<Account> {
            Ok(account())
        }

        async fn set(&self, _call: &mut Call, _id: &ObjectId, _change: &AccountChange) -> Answer<()> {
            unreachable!("nothing is written")
        }

        async fn holdings(&self, _call: &mut Call, _id: &ObjectId, _what: Holding) -> Answer<Vec<Held>> {
            unreachable!("nobody asks what he holds")
        }

        async fn remove(&self, _call: &mut Call, _id: &ObjectId, _held: &Held) -> Answer<()> {
            unreachable!("nothing is written")
        }

        async fn add_owner(&self, _call: &mut Call, _group: &ObjectId, _owner: &ObjectId) -> Answer<()> {
            unreachable!("nothing is written")
        }

        async fn applications(&self, _call: &mut Call, _ids: &[ObjectId]) -> Answer<Vec<Application>> {
            unreachable!("nobody asks for applications")
        }
    }

    #[tokio::test]
    async fn an_entry_protects_whom_a_departure_would_know_by_it_and_nobody_else() {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mut call = Call::new(clock, Instant::now() + CHECK_WITHIN, Lane::Normal);
        for (entry, wanted) in [
            ("7f3a9c0d-11aa-4b6e-9d20-f1aa00000001", true),
            ("glass@corp.example", true),
            ("glass@example.com", true),
            ("break.glass@example.com", true),
            ("s-1-5-21-1-2-3-1104", false),
            ("{7f3a9c0d-11aa-4b6e-9d20-f1aa00000001}", false),
        ] {
            for several in [false, true] {
                let protects = protects_in(&Domain { several }, &mut call, entry).await;
                assert_eq!(protects.unwrap(), wanted, "{entry} {several}");
            }
        }
    }
}
