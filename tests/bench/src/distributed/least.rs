//! The least that can do a departure at all: one confirmed message and one
//! append a task, in the safe order (deliver, append, publish what follows,
//! await its confirms, acknowledge), one process, one queue, no feature.

use super::graph::{STAGES, Task, width};
use super::lines::{orders, say};
use super::setup::{LEAST_VHOST, Setup};
use super::wire::{Records, Wire, ack, task_of};
use crate::embedded::Failed;
use futures::StreamExt as _;
use futures::future::try_join_all;
use futures::stream::FuturesUnordered;
use lapin::message::Delivery;

/// Its one queue.
pub(crate) const QUEUE: &str = "tasks";

struct Least {
    wire: Wire,
    records: Records,
}

/// Runs until the bench says no more.
pub(crate) async fn run(setup: Setup) -> Result<(), Failed> {
    let least = Least {
        wire: Wire::connect(&setup, LEAST_VHOST).await?,
        records: Records::connect(&setup).await?,
    };
    let mut deliveries = least.wire.consume([QUEUE.to_owned()], setup.tuning.prefetch).await?;
    let mut orders = orders();
    let (mut opening, mut working) = (FuturesUnordered::new(), FuturesUnordered::new());
    say("ready")?;
    loop {
        tokio::select! {
            biased;
            Some(done) = working.next(), if !working.is_empty() => if done? {
                say("done 1")?;
            },
            Some(opened) = opening.next(), if !opening.is_empty() => opened?,
            delivery = deliveries.next() => match delivery {
                Some(delivery) => working.push(least.work(delivery?)),
                None => return Err("the broker ended the subscription".into()),
            },
            order = orders.recv() => match order {
                Some(order) => opening.extend((order.first..order.first + order.count).map(|n| least.begin(n, 0))),
                None => return Ok(()),
            },
        }
    }
}

impl Least {
    /// Publishes a stage.
    async fn begin(&self, departure: usize, stage: usize) -> Result<(), Failed> {
        let tasks = (0..width(stage).unwrap_or(0)).map(|task| Task { departure, stage, task });
        try_join_all(tasks.map(|task| self.wire.publish("", QUEUE, task))).await?;
        Ok(())
    }

    /// One task; whether it was its departure's last.
    async fn work(&self, delivery: Delivery) -> Result<bool, Failed> {
        let task = task_of(&delivery)?;
        let done = self.records.append(task).await?;
        let complete = Some(done) == width(task.stage);
        if complete {
            self.begin(task.departure, task.stage + 1).await?;
        }
        ack(delivery).await?;
        Ok(complete && task.stage + 1 == STAGES.len())
    }
}
