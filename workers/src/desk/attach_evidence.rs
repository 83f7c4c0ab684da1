//! `desk.attach_evidence`, *once*: the sealed account as it is, by its digest.

use super::{ORDERED_MS, conclusive, not_listed_yet, ticket};
use crate::job::{Applied, Job, Seen};
use crate::procedure::{Procedure, Wait, When};
use async_trait::async_trait;
use bytes::Bytes;
use offboard_connectors::{Answer, NewFile};
use offboard_domain::catalogue::desk::EVIDENCE;
use offboard_domain::{Digest, FaultClass, ObjectId};

pub(crate) struct AttachEvidence;

fn digest(job: &Job<'_>) -> Answer<Digest> {
    let said = job.params.text(EVIDENCE).and_then(|d| d.parse().ok());
    said.ok_or_else(|| {
        job.fault(
            FaultClass::Rejected,
            "the assignment names no sealed account; report this",
        )
    })
}

/// The whole digest is in the name: by it the file is known again, and whoever has
/// the file knows what it must hash to.
fn name(digest: Digest) -> String {
    format!("evidence-{digest}.dsse.json")
}

async fn account(job: &Job<'_>, digest: Digest) -> Answer<Bytes> {
    job.context.store.get(digest).await.map_err(|error| {
        tracing::warn!(kind = job.kind.name(), %error, "failed to read the sealed account");
        job.fault(
            FaultClass::Transient,
            "the store did not give the sealed account; look at the store",
        )
    })
}

#[async_trait]
impl Procedure for AttachEvidence {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let digest = digest(job)?;
        let (id, mut facts) = ticket(job).await?;
        if let Some(id) = id {
            let size = account(job, digest).await?.len() as u64;
            let files = job.desk()?.files(&mut job.call, &id).await?;
            let ours = files.iter().filter(|f| f.name == name(digest));
            let sizes: Vec<Option<u64>> = ours.map(|f| f.size_bytes).collect();
            let whole = sizes.iter().any(|s| s.is_none_or(|s| s == size));
            facts.set("attached", whole);
            facts.set("attached_in_part", !whole && !sizes.is_empty());
        }
        facts.set(EVIDENCE, digest.to_string());
        facts.set("conclusive", conclusive(job));
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        let digest = digest(job)?;
        let Some(id) = job.params.text(super::TICKET).map(ObjectId::from) else {
            return Err(job.fault(FaultClass::Rejected, "the assignment names no ticket; report this"));
        };
        let file = NewFile {
            name: name(digest),
            media_type: "application/json",
            bytes: account(job, digest).await?,
        };
        let ordered_ms = job.now_ms();
        job.desk()?.attach(job.writing()?, &id, &file).await?;
        job.remembered.set(ORDERED_MS, ordered_ms);
        Ok(Applied::All)
    }

    fn wait(&self, job: &Job<'_>, _seen: &Seen, when: When) -> Option<Wait> {
        not_listed_yet(job, when)
    }
}
