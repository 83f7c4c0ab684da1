//! `identity.run_script` and `identity.run_irreversible_script`: the MSP's own
//! program is asked how things stand, to bring about what is wanted, and then,
//! as a new process, how things stand.
//!
//! A program that is irreversible is ordered *once*. What it was asked for may
//! take a while to show, so that after an order that it took it is only asked
//! how things stand, for an hour; then a person looks, unless it says itself
//! that nothing was begun.

use crate::attempt::ONCE_LOOK_AGAIN_MS;
use crate::job::{Applied, Job, Seen};
use crate::procedure::{Procedure, Wait, When};
use async_trait::async_trait;
use offboard_connectors::{Answer, Errand, ScriptState};
use offboard_domain::catalogue::script::{MAIL, SIGN_IN_NAME};
use offboard_domain::time::HOUR_MS;
use offboard_domain::{Facts, TaskId, Timestamp};

/// How long an order that the program took may stay without effect.
const VISIBLE_WITHIN_MS: i64 = HOUR_MS;

const ORDERED_MS: &str = "ordered_ms";

/// What the program says besides stands under this, beside what we say.
const SAID: &str = "script/";

pub(crate) struct RunScript;

fn errand(job: &Job<'_>) -> Errand {
    let text = |name: &str| job.params.text(name).map(str::to_owned);
    let target = job.target;
    Errand {
        case: job.case,
        task: TaskId::derive(job.case, job.kind.name(), &target.system, target.object.as_ref()),
        attempt: job.attempt,
        subject: job.subject.clone(),
        user_principal_name: text(SIGN_IN_NAME),
        mail: text(MAIL),
    }
}

#[async_trait]
impl Procedure for RunScript {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let errand = errand(job);
        let standing = job.scripts()?.observe(&mut job.call, &errand).await?;
        let mut facts = Facts::new().with("state", standing.state.word());
        if let Some(reason) = standing.reason {
            facts.set("reason", reason);
        }
        if !job.kind.spec().convergent {
            let conclusive = standing.conclusive || standing.state != ScriptState::NotDone;
            facts.set("conclusive", conclusive);
        }
        for (name, fact) in standing.facts.0 {
            facts.set(&format!("{SAID}{name}"), fact);
        }
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        let errand = errand(job);
        let ordered_ms = job.now_ms();
        job.scripts()?.apply(job.writing()?, &errand).await?;
        job.remembered.set(ORDERED_MS, ordered_ms);
        Ok(Applied::All)
    }

    fn wait(&self, job: &Job<'_>, _seen: &Seen, when: When) -> Option<Wait> {
        if when == When::Closing || job.kind.spec().convergent {
            return None;
        }
        let now = job.call.now();
        let ordered = Timestamp(job.remembered.int(ORDERED_MS)?);
        (now.since(ordered) < VISIBLE_WITHIN_MS).then(|| Wait {
            until: now.plus(ONCE_LOOK_AGAIN_MS),
            why: "the program took the order, and does not say yet that it is done".to_owned(),
            remember: Facts::new().with(ORDERED_MS, ordered.0),
        })
    }
}
