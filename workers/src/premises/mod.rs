//! A directory inside the client's network: the account that a cloud copies.
//! Its tasks name the account themselves, as the finder found it.

pub(crate) mod disable;
pub(crate) mod disable_computer;
pub(crate) mod discover_computers;
pub(crate) mod hide;
pub(crate) mod move_to_leavers_unit;
pub(crate) mod remove_groups;
pub(crate) mod reset_password;
pub(crate) mod resolve;

use crate::job::{Job, Seen};
use offboard_connectors::{Account, Answer};
use offboard_domain::{Facts, FaultClass, ObjectId};

/// What the task is about: the account, or a computer.
fn object(job: &Job<'_>) -> Answer<ObjectId> {
    job.target.object.clone().ok_or_else(|| {
        job.fault(
            FaultClass::Rejected,
            "the assignment names no object in this directory; report this",
        )
    })
}

fn facts(account: &Account) -> Facts {
    Facts::new()
        .with("enabled", account.enabled)
        // Never set is before every time.
        .with("password_changed_ms", account.password_changed_ms.unwrap_or(0))
}

async fn observe_account(job: &mut Job<'_>) -> Answer<Seen> {
    let id = object(job)?;
    let account = job.directory()?.account(&mut job.call, &id).await?;
    Ok(Seen::facts(facts(&account)))
}
