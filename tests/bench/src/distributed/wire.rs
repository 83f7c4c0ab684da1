//! The client libraries as bare as they are: confirmed, mandatory, persistent
//! publications on one connection, deliveries on another, one script call an
//! append. Nothing is checked, retried or authenticated.

use super::graph::{RECORD_BYTES, Task};
use super::setup::Setup;
use crate::embedded::Failed;
use futures::stream::SelectAll;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use redis::aio::MultiplexedConnection;
use std::time::Duration;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Longer than any disk stumbles.
const STORE_ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// Two connections to the broker.
pub(crate) struct Wire {
    publisher: Channel,
    consuming: Connection,
    // The channel ends with its connection.
    _publishing: Connection,
}

impl Wire {
    /// Connects to a virtual host.
    pub(crate) async fn connect(setup: &Setup, vhost: &str) -> Result<Self, Failed> {
        let uri = setup.amqp(vhost)?;
        let publishing = Connection::connect(&uri, ConnectionProperties::default()).await?;
        let consuming = Connection::connect(&uri, ConnectionProperties::default()).await?;
        let publisher = publishing.create_channel().await?;
        publisher.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Self {
            publisher,
            consuming,
            _publishing: publishing,
        })
    }

    /// Publishes one, and returns when it is confirmed.
    pub(crate) async fn publish(&self, exchange: &str, queue: &str, task: Task) -> Result<(), Failed> {
        let mut headers = FieldTable::default();
        headers.insert("traceparent".into(), AMQPValue::LongString(TRACE.into()));
        let properties = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let body = task.body();
        let sent = self
            .publisher
            .basic_publish(exchange.into(), queue.into(), options, &body, properties);
        match sent.await?.await? {
            Confirmation::Ack(None) => Ok(()),
            other => Err(format!("{queue} did not take a message: {other:?}").into()),
        }
    }

    /// Deliveries of these queues, each with its own prefetch.
    pub(crate) async fn consume(
        &self,
        queues: impl IntoIterator<Item = String>,
        prefetch: u16,
    ) -> Result<SelectAll<lapin::Consumer>, Failed> {
        let mut all = Vec::new();
        for (n, queue) in queues.into_iter().enumerate() {
            let channel = self.consuming.create_channel().await?;
            channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
            let tag = format!("bare-{n}");
            let consuming = channel.basic_consume(
                queue.into(),
                tag.into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            );
            all.push(consuming.await?);
        }
        Ok(futures::stream::select_all(all))
    }
}

/// What a delivery is about.
pub(crate) fn task_of(delivery: &Delivery) -> Result<Task, Failed> {
    Task::read(&delivery.data).ok_or_else(|| "a message is no task of this bench".into())
}

/// It is dealt with.
pub(crate) async fn ack(delivery: Delivery) -> Result<(), Failed> {
    delivery.acker.ack(BasicAckOptions::default()).await?;
    Ok(())
}

/// One append: not twice, one record more, the next wake-up; and how many
/// tasks of the stage are done.
const APPEND: &str = r"
if redis.call('HSETNX', KEYS[1], ARGV[1], '1') == 1 then
  redis.call('XADD', KEYS[2], '*', 'r', ARGV[2])
  redis.call('ZADD', KEYS[3], ARGV[3], ARGV[4])
  return redis.call('HINCRBY', KEYS[1], ARGV[5], 1)
end
return tonumber(redis.call('HGET', KEYS[1], ARGV[5]))
";

/// The store.
#[derive(Clone)]
pub(crate) struct Records {
    connection: MultiplexedConnection,
    append: redis::Script,
    record: String,
}

impl Records {
    /// Connects.
    pub(crate) async fn connect(setup: &Setup) -> Result<Self, Failed> {
        let patient = redis::AsyncConnectionConfig::new().set_response_timeout(Some(STORE_ANSWERS_WITHIN));
        let client = redis::Client::open(setup.redis.as_str())?;
        Ok(Self {
            connection: client.get_multiplexed_async_connection_with_config(&patient).await?,
            append: redis::Script::new(APPEND),
            record: "r".repeat(RECORD_BYTES),
        })
    }

    /// Appends that a task is done, and returns how many of its stage are.
    pub(crate) async fn append(&self, task: Task) -> Result<usize, Failed> {
        let Task { departure, stage, task } = task;
        let mut call = self.append.key(format!("case:{departure}"));
        call.key(format!("log:{departure}")).key("wakes");
        call.arg(format!("{stage}.{task}")).arg(self.record.as_str());
        call.arg(departure).arg(departure).arg(format!("s{stage}"));
        Ok(call.invoke_async(&mut self.connection.clone()).await?)
    }
}
