//! `identity.resolve_in_workspace`: the one account that the person's names lead
//! to, or that the workspace itself was asked for him by. What is there is kept
//! before anything is written, the successor is looked up there too, and what is
//! to be done is found. Accounts are all that it reads: what else may not be read
//! must not stop access from being cut.

use super::facts;
use crate::identity::resolve::named as named_as;
use crate::job::{Job, Seen, count};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Known, Member, Workspace};
use offboard_domain::catalogue::apps::{EMPLOYEE_ID, NAMES, NAMES_MISSING, PROTECTED};
use offboard_domain::catalogue::workspace::{
    ARCHIVE_UNMADE, AT_ONCE, COMPANY, FORWARD, GRANT_MAIL, HOLD_WANTED, RESOLVED_MS, TRANSFER_FILES,
};
use offboard_domain::{Facts, FaultClass, Find, Kind};

pub(crate) struct ResolveInWorkspace;

#[async_trait]
impl Procedure for ResolveInWorkspace {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let workspace = job.workspace()?;
        let (mut found, all_known) = his(job, workspace).await?;
        let mut facts = facts(found.first())
            .with("found", !found.is_empty())
            .with("all_names_known", all_known)
            .with("ambiguous", found.len() > 1)
            .with("match_count", count(found.len()));
        let one = found.pop().filter(|_| found.is_empty());
        let Some(member) = one else {
            return Ok(Seen::facts(facts));
        };
        let name = format!("snapshot.workspace.{}", job.target.system);
        job.keep(&name, &member).await?;
        let protected = protection(job, workspace, &member).await?;
        facts.set("object_id", member.id.0.as_str());
        facts.set("second_factor", member.second_factor);
        facts.set("has_mail", member.has_mail);
        facts.set("protected", protected);
        let mut seen = Seen::facts(facts);
        if protected == "no" {
            let successor = successor(job, workspace, &member).await?;
            seen.finds = finds(job, &member, &successor);
        }
        Ok(seen)
    }
}

/// The accounts that are his, and whether everything was known to find them by.
async fn his(job: &mut Job<'_>, workspace: &dyn Workspace) -> Answer<(Vec<Member>, bool)> {
    // Where people are found in the workspace itself, he is known by his id.
    if let Some(id) = job.subject.0.get(&job.target.system) {
        let member = workspace.member(&mut job.call, id).await?;
        if member.is_none() && !workspace.absence(&mut job.call, id).await?.deleted {
            let detail = "the account that he was found by is not found any more, and not listed as deleted either; it is read again. If that goes on, see in the workspace what became of it; if it is gone, waive this";
            return Err(job.fault(FaultClass::Transient, detail));
        }
        return Ok((member.into_iter().collect(), true));
    }
    let names = job.params.list(NAMES).unwrap_or_default().to_vec();
    let addressed = names.iter().any(|name| name.contains('@'));
    let who = Known {
        names,
        directory_id: None,
        employee_id: job.params.text(EMPLOYEE_ID).map(str::to_owned),
    };
    if !addressed && who.employee_id.is_none() {
        let detail = "nothing is known by which the person could be looked up in the workspace";
        return Err(job.fault(FaultClass::Rejected, detail));
    }
    let found = workspace.find(&mut job.call, &who).await?;
    let all_known = addressed && job.params.bool(NAMES_MISSING) != Some(true);
    Ok((found, all_known))
}

/// Why the account must not be touched, as one word.
async fn protection(job: &mut Job<'_>, workspace: &dyn Workspace, member: &Member) -> Answer<&'static str> {
    let listed = job.params.list(PROTECTED).unwrap_or_default();
    let mut names = [&member.id.0, &member.address].into_iter().chain(&member.aliases);
    if names.any(|name| listed.contains(&name.to_lowercase())) {
        return Ok("listed");
    }
    if workspace.acts_for(member) {
        return Ok("acting");
    }
    if !member.administrator {
        return Ok("no");
    }
    let others = workspace.has_other_administrator(&mut job.call, &member.id).await?;
    Ok(if others { "administrator" } else { "last_administrator" })
}

/// Who takes over, or what was wrong with him, as parameters.
async fn successor(job: &mut Job<'_>, workspace: &dyn Workspace, leaver: &Member) -> Answer<Facts> {
    let problem = |why: &str| Facts::new().with("successor_problem", why);
    let named = named_as(job.params, "successor_");
    let own = job.subject.0.contains_key(&job.target.system);
    let by_id = named.object_id.filter(|_| own);
    let names: Vec<String> = [named.user_principal_name, named.mail].into_iter().flatten().collect();
    let found = if let Some(id) = by_id {
        workspace.member(&mut job.call, &id).await?.into_iter().collect()
    } else if !names.is_empty() || named.employee_id.is_some() {
        let who = Known {
            names,
            directory_id: None,
            employee_id: named.employee_id,
        };
        workspace.find(&mut job.call, &who).await?
    } else if job.params.bool("successor_is_manager") == Some(true) {
        let Some(manager) = &leaver.manager else {
            return Ok(problem("the workspace names no manager"));
        };
        let who = Known {
            names: vec![manager.clone()],
            ..Known::default()
        };
        workspace.find(&mut job.call, &who).await?
    } else {
        return Ok(Facts::new());
    };
    Ok(match found.as_slice() {
        [] => problem("no account of the workspace matches the successor"),
        [one] if one.id == leaver.id => problem("the successor is the leaver"),
        [one] if one.is_shut() => problem("the successor's account in the workspace is suspended"),
        [one] => Facts::new().with("successor_id", one.id.0.as_str()),
        _ => problem("more than one account of the workspace matches the successor"),
    })
}

/// What is to be done there, of what this workspace offers.
fn finds(job: &Job<'_>, member: &Member, successor: &Facts) -> Vec<Find> {
    let offered = job.connector.claims();
    let asked = |name: &str| job.params.bool(name) == Some(true);
    let none = Facts::new();
    let params = |kind: Kind| match kind {
        Kind::SuspendAtOnce => asked(AT_ONCE).then_some(none.clone()),
        Kind::SuspendInWorkspace => (!asked(AT_ONCE)).then_some(none.clone()),
        Kind::SetReplyInWorkspace => {
            let text = job.params.text("reply")?;
            let digest = job.params.text("reply_digest")?;
            Some(none.clone().with("reply", text).with("reply_digest", digest))
        }
        Kind::SetForwardingInWorkspace if !asked(FORWARD) => Some(none.clone()),
        Kind::SetForwardingInWorkspace => Some(match successor.text("successor_id") {
            Some(id) => none.clone().with("forward_to_id", id),
            None => successor.clone().with("forward_to_successor", true),
        }),
        Kind::GrantMailInWorkspace => asked(GRANT_MAIL).then(|| successor.clone()),
        Kind::TransferFiles => asked(TRANSFER_FILES).then(|| successor.clone().with(RESOLVED_MS, job.now_ms())),
        Kind::HandOverSharedDrives => Some(successor.clone()),
        // A group may give a licence too.
        Kind::ReleaseInWorkspace | Kind::RemoveGroupsInWorkspace => {
            let wanted = [HOLD_WANTED, ARCHIVE_UNMADE].into_iter().filter(|name| asked(name));
            Some(wanted.fold(none.clone(), |params, name| params.with(name, true)))
        }
        _ => Some(none.clone()),
    };
    let all = Kind::ResolveInWorkspace.spec().finds.iter().copied();
    all.filter(|kind| offered.contains(kind))
        .filter_map(|kind| {
            let mut params = params(kind)?;
            if let Some(company) = &member.company {
                params.set(COMPANY, company.as_str());
            }
            Some(Find {
                kind,
                object: member.id.clone(),
                params,
            })
        })
        .collect()
}
