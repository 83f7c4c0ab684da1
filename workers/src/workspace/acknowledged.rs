//! `identity.reset_password_in_workspace`, `identity.sign_out_in_workspace`: what
//! the workspace accepts and shows nowhere. It counts when it was accepted in
//! this very attempt; an attempt that ends without having reported it is made
//! again.

use super::{change, observe_account};
use crate::identity::password;
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, MemberChange};
use offboard_domain::FaultClass;

const ACKNOWLEDGED: &str = "acknowledged";

async fn observe(job: &mut Job<'_>) -> Answer<Seen> {
    let acknowledged = job.call.writes_sent() > 0 && job.remembered.bool(ACKNOWLEDGED) == Some(true);
    observe_account(job, |_, facts| facts.set(ACKNOWLEDGED, acknowledged)).await
}

async fn apply(job: &mut Job<'_>, seen: &Seen, wanted: &MemberChange) -> Answer<Applied> {
    change(job, seen, wanted).await?;
    job.remembered.set(ACKNOWLEDGED, true);
    Ok(Applied::All)
}

pub(crate) struct ResetPassword;

#[async_trait]
impl Procedure for ResetPassword {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        observe(job).await
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        let new = password::generate()
            .map_err(|_| job.fault(FaultClass::Transient, "the machine gave no random bytes for a password"))?;
        apply(job, seen, &MemberChange::Password(new)).await
    }
}

pub(crate) struct SignOut;

#[async_trait]
impl Procedure for SignOut {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        observe(job).await
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        apply(job, seen, &MemberChange::SignOut).await
    }
}
