//! Which licences must stay. A last look, right before the release: whatever
//! the plan's order has ensured, somebody may have put a hold on the mailbox
//! or waived its conversion since, and whoever was given the files may have left.
//!
//! A mailbox without a licence is deleted after 30 days unless it is shared;
//! a shared one that is held, archived or large needs one all the same. The
//! OneDrive's deletion clock starts with the licence.

use crate::job::Job;
use crate::mailbox::SHARED;
use crate::mailbox::look_up;
use offboard_connectors::{Answer, HeldLicence, LicenceOrigin};
use offboard_domain::policy::{SHARED_MAILBOX_MAX_BYTES, SHARED_MAX_BYTES};
use offboard_domain::{FaultClass, ObjectId};
use std::collections::BTreeSet;

/// What the mailbox needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keep {
    /// Why a licence must stay; none: it need not.
    pub why: Option<&'static str>,
    /// Directly assigned licences that therefore stay.
    pub sku_ids: BTreeSet<String>,
    /// Whether what it needs is none of these, so that a group may give it.
    pub only_groups: bool,
}

/// A directly assigned licence that lets a mailbox stay on hold; always the
/// same one while it is there.
pub(crate) fn keeper_of(held: &[HeldLicence]) -> Option<&HeldLicence> {
    held.iter()
        .filter(|l| l.origin == LicenceOrigin::Direct && l.keeps_mailbox_hold)
        .min_by_key(|l| &l.sku_id)
}

/// Such a licence of the account; none also if the system has no licences.
pub(crate) async fn keeper(job: &mut Job<'_>, id: &ObjectId) -> Answer<Option<String>> {
    let Some(licenses) = job.connector.licenses() else {
        return Ok(None);
    };
    let held = licenses.held(&mut job.call, id).await?;
    Ok(keeper_of(&held).map(|l| l.sku_id.clone()))
}

/// The fact that names a licence as people know it: an id says nothing to them.
pub(crate) fn part_number_of(sku_id: &str) -> String {
    format!("part_number/{sku_id}")
}

/// Looks at the mailbox and says what must stay.
pub(crate) async fn keep(job: &mut Job<'_>, id: &ObjectId, held: &[HeldLicence]) -> Answer<Keep> {
    let nothing = Keep {
        why: None,
        sku_ids: BTreeSet::new(),
        only_groups: false,
    };
    let Some(mailboxes) = job.connector.mailboxes() else {
        return Ok(nothing);
    };
    if held.is_empty() {
        return Ok(nothing);
    }
    let Some(mailbox) = look_up(job, mailboxes, id).await? else {
        return Ok(nothing);
    };
    let shared = mailbox.recipient_type == SHARED;
    let why = if !shared {
        Some("the mailbox is not a shared one")
    } else if mailbox.holds.any() {
        Some("the mailbox is on hold")
    } else if mailbox.archive {
        Some("the mailbox has an archive")
    } else if mailboxes.usage(&mut job.call, id).await?.size_bytes > max_bytes(job) {
        Some("the mailbox is larger than a shared one may be without a licence")
    } else {
        None
    };
    if why.is_none() {
        return Ok(nothing);
    }
    let direct = || held.iter().filter(|l| l.origin == LicenceOrigin::Direct);
    let bearers = || direct().filter(|l| l.bears_mailbox);
    let keeper = keeper_of(held);
    let mut sku_ids: BTreeSet<String> = keeper.iter().map(|l| l.sku_id.clone()).collect();
    // What lets it stay on hold may be an addition to what bears it.
    if keeper.is_none_or(|l| !l.bears_mailbox) {
        sku_ids.extend(bearers().map(|l| l.sku_id.clone()));
    }
    // Which of them bears the mailbox cannot be told: all stay.
    if !shared && bearers().next().is_none() {
        sku_ids.extend(direct().map(|l| l.sku_id.clone()));
    }
    let enough = if shared {
        keeper.is_some()
    } else {
        bearers().next().is_some()
    };
    Ok(Keep {
        why,
        sku_ids,
        only_groups: !enough,
    })
}

/// Looks whether somebody who is there has the files that were handed over. Where
/// the successor does not administer them, they were not: a person has let them go.
///
/// # Errors
/// Fault `Blocked` when he has left himself, and nobody else who is there has them.
pub(crate) async fn somebody_has_the_files(job: &mut Job<'_>, id: &ObjectId) -> Answer<()> {
    let (Some(successor), Some(directory), Some(documents)) =
        (job.successor(), job.connector.directory(), job.connector.documents())
    else {
        return Ok(());
    };
    let gone = match directory.account(&mut job.call, &successor).await {
        Ok(account) if account.enabled => return Ok(()),
        Ok(_) => false,
        Err(fault) if fault.class == FaultClass::Absent => true,
        Err(fault) => return Err(fault),
    };
    let Some(site) = documents.site(&mut job.call, id).await? else {
        return Ok(());
    };
    let mut was_given = false;
    for administrator in documents.administrators(&mut job.call, &site).await? {
        let Some(account) = administrator.account else {
            // Of an account that is gone, only the login is left.
            was_given = was_given || gone;
            continue;
        };
        if account == successor {
            was_given = true;
        } else if account != *id && job.is_enabled(&account).await? {
            return Ok(());
        }
    }
    if !was_given {
        return Ok(());
    }
    Err(job.fault(
        FaultClass::Blocked,
        "the OneDrive was handed over to somebody who has left himself, and its deletion clock starts with the licence; make somebody who stays its administrator by hand, then retry, or waive this and keep the licence",
    ))
}

fn max_bytes(job: &Job<'_>) -> i64 {
    job.params.int(SHARED_MAX_BYTES).unwrap_or(SHARED_MAILBOX_MAX_BYTES)
}
