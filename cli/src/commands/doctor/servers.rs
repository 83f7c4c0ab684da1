//! The servers that processes share, looked at as the users that the folder
//! names: what they promise, what is missing, what these users may not do.

use super::role::Role;
use super::{CHECK_WITHIN, Checked, fine, problem, warning};
use crate::backends::{all_queues, rabbit_config, redis_options};
use crate::error::CliError;
use offboard_connectors::Finding;
use offboard_ledger::redis::{Finding as OfLedger, RedisStanding};
use offboard_queue::rabbit::{Finding as OfQueue, Limits, RabbitStanding};
use offboard_runtime::config::{Configuration, LedgerUrl, QueueUrl, Remote};
use offboard_runtime::{Clock, SystemClock};
use std::sync::Arc;
use std::time::Duration;

/// How long a broker may take to let somebody in, and for an answer: a person
/// waits.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The user that may look at the settings of the ledger's store, and at nothing
/// else there.
const HEALTH: &str = "offboard-health";

pub(super) async fn of(config: &Configuration, role: &Role, offline: bool) -> Vec<Checked> {
    let (ledger, queue) = tokio::join!(ledger(config, role, offline), queue(config, offline));
    let part = |part: &str, findings: Vec<Finding>| Checked {
        part: part.to_owned(),
        findings,
    };
    let found = [("ledger", ledger), ("queue", queue)];
    found
        .into_iter()
        .filter_map(|(name, found)| Some(part(name, found?)))
        .collect()
}

/// None if the ledger is a file.
async fn ledger(config: &Configuration, role: &Role, offline: bool) -> Option<Vec<Finding>> {
    let LedgerUrl::Redis(remote) = &config.engine.ledger else {
        return None;
    };
    if matches!(role, Role::Worker { .. }) {
        return Some(vec![fine(format!(
            "{} is not asked: a worker needs no ledger",
            remote.url
        ))]);
    }
    if offline {
        return Some(vec![not_asked(remote)]);
    }
    Some(in_time(remote, look_at_ledger(config, remote)).await)
}

async fn look_at_ledger(config: &Configuration, remote: &Remote) -> Vec<Finding> {
    let options = match redis_options(remote, config.engine.shards) {
        Ok(options) => options,
        Err(error) => return vec![unusable("ledger", &error)],
    };
    let user = remote.access.user.as_deref();
    let looked = if user == Some(HEALTH) {
        RedisStanding::look(&options).await
    } else {
        RedisStanding::look_as_user(&options).await
    };
    let standing = match looked {
        Ok(standing) => standing,
        Err(error) => {
            return vec![problem(
                error.to_string(),
                "is it running and reached from here, and is [connect.ledger] right?",
            )];
        }
    };
    let mut found = vec![fine(format!("{} answers", options.at))];
    found.extend(standing.findings().iter().map(|finding| match finding {
        OfLedger::Refused(what) => problem(
            what.as_str(),
            "no dispatcher and no closer starts before that is mended; deploy/redis has settings and rights that fit",
        ),
        OfLedger::Unchecked(what) => warning(
            what.as_str(),
            format!("or look once from a folder whose [connect.ledger] names {HEALTH} (deploy/redis)"),
        ),
        OfLedger::Warning(what) => warning(what.as_str(), "deploy/redis has settings that fit"),
        OfLedger::Promise(what) => fine(what.as_str()),
    }));
    found
}

/// None if the queue is in memory.
async fn queue(config: &Configuration, offline: bool) -> Option<Vec<Finding>> {
    let QueueUrl::Rabbit(remote) = &config.engine.queue else {
        return None;
    };
    if offline {
        return Some(vec![not_asked(remote)]);
    }
    if remote.access.user.is_none() && !remote.url.contains('@') {
        return Some(vec![warning(
            format!("{} was not looked at: the folder names no user there", remote.url),
            "orders are given without one; for what the broker holds, look in the folder of a role",
        )]);
    }
    Some(in_time(remote, look_at_queue(config)).await)
}

async fn look_at_queue(config: &Configuration) -> Vec<Finding> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut rabbit = match rabbit_config(config, &clock, "doctor", all_queues(config)) {
        Ok(rabbit) => rabbit,
        Err(error) => return vec![unusable("queue", &error)],
    };
    rabbit.limits = Limits {
        connect: ANSWER_WITHIN,
        answer: ANSWER_WITHIN,
        ..rabbit.limits
    };
    match RabbitStanding::look(rabbit).await {
        Ok(standing) => {
            let mut found: Vec<Finding> = standing.findings().iter().map(of_queue).collect();
            found.push(fine(
                "bindings, policies and rights are shown to the broker's administrator alone: \
                 `rabbitmqctl export_definitions FILE`, then `offboard doctor --broker FILE` compares them",
            ));
            found
        }
        Err(error) => vec![problem(
            error.to_string(),
            "is it running and reached from here, are virtual host, user and password of [connect.queue] those of its \
             definitions? its log says why it refuses",
        )],
    }
}

pub(super) fn of_queue(finding: &OfQueue) -> Finding {
    match finding {
        OfQueue::Fine(what) => fine(what.as_str()),
        OfQueue::Warning { what, next } => warning(what.as_str(), next.as_str()),
        OfQueue::Problem { what, next } => problem(what.as_str(), next.as_str()),
    }
}

async fn in_time(remote: &Remote, looking: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
    tokio::time::timeout(CHECK_WITHIN, looking).await.unwrap_or_else(|_| {
        vec![problem(
            format!(
                "{} did not answer to the end within {} s",
                remote.url,
                CHECK_WITHIN.as_secs()
            ),
            "look at the network and at the server's log",
        )]
    })
}

fn not_asked(remote: &Remote) -> Finding {
    fine(format!("{} is named; not asked (--offline)", remote.url))
}

fn unusable(of: &str, error: &CliError) -> Finding {
    problem(error.brief(), format!("mend [connect.{of}] or the file that it names"))
}
