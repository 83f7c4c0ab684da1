//! Applications that keep accounts of their own. A person is found there by his
//! names once; from then on the pinned id decides, and each reading looks whether
//! the same person still stands behind it. An id that is gone, and an account
//! that reads as ended, are no proof alone: nobody else may answer to his names.

pub(crate) mod delete;
pub(crate) mod disable;
pub(crate) mod resolve;

use crate::job::{Job, Things};
use offboard_connectors::{Answer, AppAccount, Known};
use offboard_domain::catalogue::apps::{DIRECTORY_ID, EMPLOYEE_ID, MARKS, NAMES};
use offboard_domain::{Digest, FaultClass, ObjectId};

/// What is known of the person by which an app may know him.
fn known(job: &Job<'_>) -> Known {
    let text = |name: &str| job.params.text(name).map(str::to_owned);
    Known {
        names: job.params.list(NAMES).unwrap_or_default().to_vec(),
        directory_id: text(DIRECTORY_ID),
        employee_id: text(EMPLOYEE_ID),
    }
}

/// By what an account is known again: its names, its number elsewhere, when it
/// was made. As digests that mean nothing outside of the case, because they
/// stand in the task.
fn marks(job: &Job<'_>, account: &AppAccount) -> Vec<String> {
    /// Enough to know somebody again.
    const MARKS_MAX: usize = 8;
    let mark = |what: &str, value: &str| {
        let parts: [&[u8]; 6] = [
            b"offboard.app.mark",
            &job.case.0,
            job.target.system.as_str().as_bytes(),
            account.id.0.as_bytes(),
            what.as_bytes(),
            value.as_bytes(),
        ];
        Digest::of_parts(&parts).to_string()
    };
    let name = |value: &String| mark("name", &value.to_lowercase());
    let mut marks: Vec<String> = Vec::new();
    marks.extend(account.created.as_ref().map(|at| mark("created", at)));
    marks.extend(account.external_id.as_ref().map(|id| mark("external_id", id)));
    marks.extend(account.user_name.as_ref().map(name));
    marks.extend(account.emails.iter().map(name));
    marks.truncate(MARKS_MAX);
    marks
}

/// What there is of the person in the app.
struct There {
    /// The account of the pinned id, if it is there.
    pinned: Option<AppAccount>,
    /// Whoever answers to his names now.
    named: Vec<AppAccount>,
}

impl There {
    /// The ids of his accounts of which this holds, by whichever reading.
    fn ids(&self, holds: impl Fn(&AppAccount) -> bool) -> Vec<String> {
        let all = self.pinned.iter().chain(&self.named);
        crate::job::ids(all.filter(|a| holds(a)).map(|a| &a.id))
    }

    /// The pinned account, for the write that may follow.
    fn into_things(self) -> Things {
        self.pinned.map_or(Things::Nothing, |a| Things::App(Box::new(a)))
    }
}

/// Reads the account by its pinned id, and whoever answers to his names.
async fn look(job: &mut Job<'_>) -> Answer<There> {
    let id: ObjectId = job.target.object.clone().ok_or_else(|| {
        job.fault(
            FaultClass::Rejected,
            "the assignment names no account in this app; report this",
        )
    })?;
    let apps = job.apps()?;
    let pinned = apps.account(&mut job.call, &id).await?;
    if let Some(account) = &pinned {
        same_person(job, account)?;
    }
    let who = known(job);
    let named = apps.find(&mut job.call, &who).await?.accounts;
    Ok(There { pinned, named })
}

/// Ids may be given out again: one that somebody else has now is nobody's to write to.
fn same_person(job: &Job<'_>, account: &AppAccount) -> Answer<()> {
    let pinned = job.params.list(MARKS).unwrap_or_default();
    let now = marks(job, account);
    if now.iter().any(|mark| pinned.contains(mark)) {
        return Ok(());
    }
    Err(job.fault(
        FaultClass::Blocked,
        "the id that was found belongs to an account now that has nothing in common with the one that was recorded; nothing was written to it. See in the app whose it is, end his own by hand, then waive this",
    ))
}
