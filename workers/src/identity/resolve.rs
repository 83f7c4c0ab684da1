//! `identity.resolve`: the one account that the request means, and the one
//! that takes over. Nothing is guessed: names that disagree are ambiguous.

use crate::job::{Job, Seen, count};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Account, Answer, Directory, Found, Held, Holding};
use offboard_domain::catalogue::apps::PROTECTED;
use offboard_domain::catalogue::premises::SECURITY_ID;
use offboard_domain::departure::PersonRef;
use offboard_domain::policy::{ADDRESS_MARKS, NAME_MARKS, address_mark};
use offboard_domain::{CaseId, Facts, FaultClass, ObjectId};
use std::collections::BTreeSet;

/// The role that a directory's own synchronisation holds: whoever has it is no
/// person. (Microsoft's published template id of "Directory Synchronization
/// Accounts", the same in every tenant.)
const SYNCHRONISATION_ROLE: &str = "d29b2b05-8046-44ba-8758-1e26182fcf32";

/// The domains in which Microsoft and Google give everybody an address: a tenant's first
/// domain, its routing domain, and a test alias.
const PLATFORMS: &[&str] = &[".onmicrosoft.com", ".test-google-a.com"];

pub(crate) struct Resolve;

#[async_trait]
impl Procedure for Resolve {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let directory = job.directory()?;
        let person = named(job.params, "");
        if !person.can_be_found() {
            return Err(job.fault(
                FaultClass::Rejected,
                "the request names nobody in a way that can be looked up",
            ));
        }
        let account = match directory.find(&mut job.call, &person).await? {
            Found::One(account) => *account,
            Found::Nobody => return Ok(Seen::facts(Facts::new().with("found", false).with("ambiguous", false))),
            Found::Ambiguous { ids } => {
                let facts = Facts::new()
                    .with("found", true)
                    .with("ambiguous", true)
                    .with("match_count", count(ids.len()));
                return Ok(Seen::facts(facts));
            }
        };
        let roles = directory.holdings(&mut job.call, &account.id, Holding::Roles).await?;
        let mut facts = about(&account, &roles);
        if is_protected(job.params, &account) {
            facts.set("protected", true);
        }
        let own = account.user_principal_name.to_lowercase();
        let marks = address_marks(job.case, &account, |address| address != own);
        if !marks.is_empty() {
            facts.set(ADDRESS_MARKS, marks);
        }
        facts.set(
            NAME_MARKS,
            address_marks(job.case, &account, |address| !is_the_platforms(address)),
        );
        match successor(job, directory, &account).await? {
            Successor::Is(id) => facts.set("successor_id", id.0),
            Successor::NotWanted => {}
            Successor::Unusable(problem) => facts.set("successor_problem", problem),
        }
        Ok(Seen::facts(facts))
    }
}

/// Whether its id, its sign-in name or any address of it is on the tenant's list. Which
/// one stays here: what is stored of the case needs none of his addresses.
pub(crate) fn is_protected(params: &Facts, account: &Account) -> bool {
    let listed = params.list(PROTECTED).unwrap_or_default();
    listed.iter().any(|name| account.is_called(name))
}

/// By what its addresses are known again: on a list that is longer by the departure's time,
/// and among the names that a request has. The addresses themselves stay here, too; the
/// sign-in name is a fact. `counts` is asked in lower case.
fn address_marks(case: CaseId, account: &Account, counts: impl Fn(&str) -> bool) -> Vec<String> {
    let addresses = account.mail.iter().chain(&account.addresses);
    let counted = addresses.filter(|address| counts(&address.to_lowercase()));
    let marks: BTreeSet<String> = counted.map(|address| address_mark(case, address)).collect();
    marks.into_iter().collect()
}

/// Whether the platform gave this address by itself, beside his own: nobody hands it to an
/// application, and everybody has one.
fn is_the_platforms(address: &str) -> bool {
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    PLATFORMS.iter().any(|suffix| domain.ends_with(suffix))
}

/// Whom the parameters name.
pub(crate) fn named(params: &Facts, prefix: &str) -> PersonRef {
    let text = |name: &str| params.text(&format!("{prefix}{name}")).map(str::to_owned);
    PersonRef {
        object_id: text("object_id").map(ObjectId),
        user_principal_name: text("user_principal_name"),
        mail: text("mail"),
        employee_id: text("employee_id"),
        display_name: None,
    }
}

fn about(account: &Account, roles: &[Held]) -> Facts {
    let last = |held: &Held| {
        matches!(
            held,
            Held::Role {
                last_administrator: true,
                ..
            }
        )
    };
    let synchronises = |held: &Held| matches!(held, Held::Role { role: Some(role), eligible: false, .. } if role.0 == SYNCHRONISATION_ROLE);
    let mut facts = Facts::new()
        .with("found", true)
        .with("ambiguous", false)
        .with("object_id", account.id.0.as_str())
        .with("user_principal_name", account.user_principal_name.as_str())
        .with("enabled", account.enabled)
        .with("synced", account.synced)
        .with("guest", account.guest)
        .with("has_mailbox", account.has_mailbox)
        .with("role_count", count(roles.len()))
        .with("last_administrator", roles.iter().any(last))
        .with("service_account", roles.iter().any(synchronises));
    // Applications may know him by it; which one it is stays in the directory.
    let name = account.user_principal_name.to_lowercase();
    if account.mail.as_ref().is_some_and(|mail| mail.to_lowercase() != name) {
        facts.set("other_mail", true);
    }
    if let Some(id) = &account.on_premises_security_id {
        facts.set(SECURITY_ID, id.as_str());
    }
    if let Some(manager) = &account.manager_id {
        facts.set("manager_id", manager.0.as_str());
    }
    facts
}

enum Successor {
    Is(ObjectId),
    NotWanted,
    Unusable(&'static str),
}

async fn successor(job: &mut Job<'_>, directory: &dyn Directory, leaver: &Account) -> Answer<Successor> {
    let wanted = named(job.params, "successor_");
    let found = if wanted.can_be_found() {
        directory.find(&mut job.call, &wanted).await?
    } else if job.params.bool("successor_is_manager") == Some(true) {
        let Some(manager) = leaver.manager_id.clone() else {
            return Ok(Successor::Unusable("the directory names no manager"));
        };
        let by_id = PersonRef {
            object_id: Some(manager),
            ..PersonRef::default()
        };
        directory.find(&mut job.call, &by_id).await?
    } else {
        return Ok(Successor::NotWanted);
    };
    Ok(match found {
        Found::Nobody => Successor::Unusable("no account matches the successor"),
        Found::Ambiguous { .. } => Successor::Unusable("more than one account matches the successor"),
        Found::One(account) if account.id == leaver.id => Successor::Unusable("the successor is the leaver"),
        Found::One(account) if !account.enabled => Successor::Unusable("the successor's account is disabled"),
        Found::One(account) if account.guest => Successor::Unusable("the successor is a guest"),
        Found::One(account) => Successor::Is(account.id),
    })
}
