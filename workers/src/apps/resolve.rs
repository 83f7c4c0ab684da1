//! `identity.resolve_in_app`: the one account that answers to the person's
//! names. What is there is kept before anything is written, and how it is to be
//! ended is found. Nothing is guessed: two that answer are for a person.

use super::{known, marks};
use crate::job::{Job, Seen, count};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, AppAccount, Ending};
use offboard_domain::catalogue::apps::{MARKS, NAMES_MISSING, PROTECTED};
use offboard_domain::{Facts, FaultClass, Find, Kind};

pub(crate) struct ResolveInApp;

#[async_trait]
impl Procedure for ResolveInApp {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let apps = job.apps()?;
        let who = known(job);
        if who.names.is_empty() && who.directory_id.is_none() && who.employee_id.is_none() {
            let detail = "nothing is known by which the person could be looked up in the app";
            return Err(job.fault(FaultClass::Rejected, detail));
        }
        let mut found = apps.find(&mut job.call, &who).await?;
        let all_known = found.complete && job.params.bool(NAMES_MISSING) != Some(true);
        let mut facts = Facts::new()
            .with("found", !found.accounts.is_empty())
            .with("all_names_known", all_known)
            .with("ambiguous", found.accounts.len() > 1)
            .with("match_count", count(found.accounts.len()));
        let one = found.accounts.pop().filter(|_| found.accounts.is_empty());
        let Some(account) = one else {
            return Ok(Seen::facts(facts));
        };
        let name = format!("snapshot.app.{}", job.target.system);
        job.keep(&name, &account).await?;
        facts.set("object_id", account.id.0.as_str());
        if let Some(active) = account.active {
            facts.set("enabled", active);
        }
        let protected = is_protected(job, &account);
        facts.set("protected", protected);
        let mut seen = Seen::facts(facts);
        if !protected {
            seen.finds.push(Find {
                kind: match apps.ending() {
                    Ending::Deactivate => Kind::DisableInApp,
                    Ending::Delete => Kind::DeleteInApp,
                },
                object: account.id.clone(),
                params: Facts::new().with(MARKS, marks(job, &account)),
            });
        }
        Ok(seen)
    }
}

/// Whether any of the account's names, or its id, is on the tenant's list.
fn is_protected(job: &Job<'_>, account: &AppAccount) -> bool {
    let listed = job.params.list(PROTECTED).unwrap_or_default();
    let names = [
        Some(&account.id.0),
        account.user_name.as_ref(),
        account.external_id.as_ref(),
    ];
    let mut names = names.into_iter().flatten().chain(&account.emails);
    names.any(|name| listed.contains(&name.to_lowercase()))
}
