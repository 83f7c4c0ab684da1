//! The bare loop of Offboard's own shape, in the same processes over the same
//! queues: a dispatcher that assigns and appends, a worker that answers, a
//! closer that appends that the case is closed. Two messages and one append a
//! task, the closing round's included, in the safe order; nothing else: what is
//! sent is not authenticated, does not expire and is not traced, nothing is
//! decided, sealed or recovered, and no evidence is written.

use super::graph::{CLOSING, CLOSING_STAGE, Task, width};
use super::lines::{orders, say};
use super::setup::{BARE_VHOST, Setup};
use super::wire::{Records, Wire, ack, task_of};
use crate::embedded::Failed;
use futures::StreamExt as _;
use futures::future::try_join_all;
use futures::stream::FuturesUnordered;
use lapin::message::Delivery;
use offboard_domain::{Area, Lane};
use offboard_queue::QueueName;

/// The exchanges, as Offboard's.
const ASSIGNMENTS: &str = "ob.v1.assignments";
const REPORTS: &str = "ob.v1.reports";

/// After the closing round: the order to seal.
const SEALING_STAGE: usize = CLOSING_STAGE + 1;

/// The areas among which Offboard's tasks of a departure are spread.
const AREAS: [Area; 4] = [Area::Identity, Area::Mailbox, Area::Device, Area::Knowledge];

fn assignments(task: Task) -> String {
    let area = AREAS.get(task.task % AREAS.len()).copied().unwrap_or(Area::Identity);
    queue_of(area)
}

fn queue_of(area: Area) -> String {
    let (lane, site) = (Lane::Urgent, None);
    QueueName::Assignments { area, lane, site }.to_string()
}

fn reports(task: Task, shards: u16) -> String {
    let shards = usize::from(shards.max(1));
    let shard = u16::try_from(task.departure % shards).unwrap_or(0);
    QueueName::Reports { shard }.to_string()
}

/// How many tasks a stage has, with the closing round.
fn width_with_closing(stage: usize) -> usize {
    match stage {
        CLOSING_STAGE => CLOSING,
        SEALING_STAGE => 1,
        stage => width(stage).unwrap_or(0),
    }
}

struct Bare {
    wire: Wire,
    records: Records,
}

/// The dispatcher.
pub(crate) async fn dispatcher(setup: Setup) -> Result<(), Failed> {
    let bare = Bare {
        wire: Wire::connect(&setup, BARE_VHOST).await?,
        records: Records::connect(&setup).await?,
    };
    let queues = (0..setup.tuning.shards).map(|shard| QueueName::Reports { shard }.to_string());
    let mut deliveries = bare.wire.consume(queues, setup.tuning.prefetch).await?;
    let mut orders = orders();
    let (mut opening, mut working) = (FuturesUnordered::new(), FuturesUnordered::new());
    say("ready")?;
    loop {
        tokio::select! {
            biased;
            Some(done) = working.next(), if !working.is_empty() => done?,
            Some(opened) = opening.next(), if !opening.is_empty() => opened?,
            delivery = deliveries.next() => match delivery {
                Some(delivery) => working.push(bare.take(delivery?)),
                None => return Err("the broker ended the subscription".into()),
            },
            order = orders.recv() => match order {
                Some(order) => opening.extend((order.first..order.first + order.count).map(|n| bare.begin(n, 0))),
                None => return Ok(()),
            },
        }
    }
}

impl Bare {
    async fn begin(&self, departure: usize, stage: usize) -> Result<(), Failed> {
        let tasks = (0..width_with_closing(stage)).map(|task| Task { departure, stage, task });
        let publish = |task| async move {
            let queue = match stage {
                SEALING_STAGE => QueueName::Sealing.to_string(),
                _ => assignments(task),
            };
            self.wire.publish(ASSIGNMENTS, &queue, task).await
        };
        try_join_all(tasks.map(publish)).await?;
        Ok(())
    }

    /// One report.
    async fn take(&self, delivery: Delivery) -> Result<(), Failed> {
        let task = task_of(&delivery)?;
        let done = self.records.append(task).await?;
        if done == width_with_closing(task.stage) {
            self.begin(task.departure, task.stage + 1).await?;
        }
        ack(delivery).await
    }
}

/// The worker. It knows no store.
pub(crate) async fn worker(setup: Setup) -> Result<(), Failed> {
    let wire = &Wire::connect(&setup, BARE_VHOST).await?;
    let deliveries = wire.consume(AREAS.map(queue_of), setup.tuning.prefetch).await?;
    say("ready")?;
    let answer = |delivery| async move {
        let task = task_of(&delivery)?;
        wire.publish(REPORTS, &reports(task, setup.tuning.shards), task).await?;
        ack(delivery).await
    };
    serve(deliveries, answer, || Ok(())).await
}

/// The closer.
pub(crate) async fn closer(setup: Setup) -> Result<(), Failed> {
    let wire = Wire::connect(&setup, BARE_VHOST).await?;
    let records = &Records::connect(&setup).await?;
    let sealing = [QueueName::Sealing.to_string()];
    let deliveries = wire.consume(sealing, setup.tuning.prefetch).await?;
    say("ready")?;
    let close = |delivery| async move {
        records.append(task_of(&delivery)?).await?;
        ack(delivery).await
    };
    serve(deliveries, close, || say("done 1")).await
}

async fn serve<F: Future<Output = Result<(), Failed>>>(
    mut deliveries: impl futures::Stream<Item = lapin::Result<Delivery>> + Unpin,
    deal_with: impl Fn(Delivery) -> F,
    dealt_with: impl Fn() -> Result<(), Failed>,
) -> Result<(), Failed> {
    let mut orders = orders();
    let mut working = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            Some(done) = working.next(), if !working.is_empty() => {
                done?;
                dealt_with()?;
            }
            delivery = deliveries.next() => match delivery {
                Some(delivery) => working.push(deal_with(delivery?)),
                None => return Err("the broker ended the subscription".into()),
            },
            order = orders.recv() => match order {
                Some(_) => return Err("only the dispatcher takes orders".into()),
                None => return Ok(()),
            },
        }
    }
}
