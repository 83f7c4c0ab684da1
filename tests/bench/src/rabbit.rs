//! The queue on RabbitMQ beside the barest loops of the same client library:
//! publish, deliver, acknowledge, on the same private broker, in turns.
//!
//! All keep 256 confirmed publications in flight, hold 256 deliveries,
//! acknowledge each, and send what an assignment weighs with its trace. One
//! bare loop sends the least that does that. The other sends what the laws ask
//! for (an expiry that the broker counts, a sender that it checks), so that the
//! ratio to it is what our own code costs, and the ratio between the two what
//! the broker takes for the laws.

use crate::embedded::Failed;
use crate::median;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties};
use offboard_domain::{Area, Lane};
use offboard_queue::rabbit::{Address, Topology};
use offboard_queue::{Clock, Message, Queue as _, QueueName, RabbitConfig, RabbitQueue};
use offboard_runtime::{Clock as _, Secret, SystemClock};
use offboard_servers::{ADMINISTRATOR, Rabbit, RabbitOptions};
use serde_json::json;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Publications in flight, and deliveries held.
const WINDOW: usize = 256;
/// What an assignment weighs.
const BODY_BYTES: usize = 400;
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const VHOST: &str = "bench";
/// An assignment's validity: far longer than a round.
const VALID_MS: i64 = 600_000;

/// Alternates the two and prints medians.
pub(crate) async fn measure(messages: usize, rounds: usize) -> Result<serde_json::Value, Failed> {
    let definitions = Topology {
        areas: vec![Area::Identity],
        ..Topology::new(VHOST)
    }
    .definitions()?;
    let options = RabbitOptions {
        definitions: Some(definitions),
        ..RabbitOptions::default()
    };
    let broker = tokio::task::spawn_blocking(|| Rabbit::start(options)).await??;
    println!(
        "{messages} messages of {BODY_BYTES} bytes a round; window and prefetch {WINDOW}; a quorum queue on one node"
    );
    println!(
        "{:>5} {:>10} {:>16} {:>11} {:>8} {:>8}   own CPU a message, in us",
        "round", "seam msg/s", "bare, same wire", "bare, least", "to same", "to least"
    );
    let mut raw = Vec::new();
    let mut columns: [Vec<f64>; 5] = Default::default();
    for round in 0..=rounds {
        let mut took = [Run::default(); 3];
        took[0] = timed(through_the_seam(&broker, messages)).await?;
        took[1] = timed(bare(&broker, messages, Wire::Same)).await?;
        took[2] = timed(bare(&broker, messages, Wire::Least)).await?;
        // The first warms up the broker.
        if round == 0 {
            continue;
        }
        let [seam, same, least] = took.map(|run| messages as f64 / run.took.as_secs_f64());
        let cpu = took.map(|run| run.cpu.as_secs_f64() * 1e6 / messages as f64);
        let row = [seam, same, least, seam / same, seam / least];
        println!(
            "{round:>5} {seam:>10.0} {same:>16.0} {least:>11.0} {:>8.2} {:>8.2}   {:.1} / {:.1} / {:.1}",
            row[3], row[4], cpu[0], cpu[1], cpu[2]
        );
        raw.push(json!({
            "round": round, "messages": messages,
            "seconds": took.map(|run| run.took.as_secs_f64()),
            "cpu_seconds": took.map(|run| run.cpu.as_secs_f64()),
        }));
        for (column, value) in columns.iter_mut().zip(row) {
            column.push(value);
        }
    }
    let [seam, same, least, to_same, to_least] = columns.map(median);
    println!(
        "{:>5} {seam:>10.0} {same:>16.0} {least:>11.0} {to_same:>8.2} {to_least:>8.2}",
        "med"
    );
    Ok(json!(raw))
}

#[derive(Clone, Copy, Default)]
struct Run {
    took: Duration,
    cpu: Duration,
}

async fn timed(run: impl Future<Output = Result<Duration, Failed>>) -> Result<Run, Failed> {
    let before = own_cpu()?;
    let took = run.await?;
    Ok(Run {
        took,
        cpu: own_cpu()?.saturating_sub(before),
    })
}

/// The processor time that this process has used.
fn own_cpu() -> Result<Duration, Failed> {
    // Fields 14 and 15 of proc(5), in hundredths of a second, after the name.
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, rest) = stat.rsplit_once(')').ok_or("no name in /proc/self/stat")?;
    let mut ticks = 0;
    for field in rest.split_whitespace().skip(11).take(2) {
        ticks += field.parse::<u64>()?;
    }
    Ok(Duration::from_millis(ticks * 10))
}

/// What a bare loop sends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wire {
    /// As little as does it.
    Least,
    /// What the seam sends.
    Same,
}

fn queue_name() -> QueueName {
    QueueName::Assignments {
        area: Area::Identity,
        lane: Lane::Normal,
        site: None,
    }
}

fn body() -> Bytes {
    let mut body = String::from("{\"task\":\"");
    while body.len() < BODY_BYTES - 2 {
        body.push('x');
    }
    Bytes::from(body + "\"}")
}

async fn through_the_seam(broker: &Rabbit, messages: usize) -> Result<Duration, Failed> {
    let address = Address {
        tls: false,
        host: "127.0.0.1".to_owned(),
        port: broker.port(),
        vhost: VHOST.to_owned(),
        user: ADMINISTRATOR.to_owned(),
        password: Some(Secret::new(broker.password())),
    };
    let clock: Clock = Arc::new(|| SystemClock.now());
    let config = RabbitConfig {
        window: WINDOW,
        ..RabbitConfig::new(address, vec![queue_name()], clock)
    };
    let queue = RabbitQueue::connect(config, Duration::from_secs(10)).await?;
    let mut consumer = queue.consume(&queue_name(), u16::try_from(WINDOW)?).await?;
    let began = Instant::now();
    let consuming = tokio::spawn(async move {
        let mut acknowledging = FuturesUnordered::new();
        let mut left = messages;
        while left > 0 || !acknowledging.is_empty() {
            tokio::select! {
                Some(done) = acknowledging.next(), if !acknowledging.is_empty() => done?,
                delivery = consumer.next(), if left > 0 => {
                    acknowledging.push(delivery?.ack());
                    left -= 1;
                }
            }
        }
        Ok::<_, offboard_queue::QueueError>(())
    });
    let (name, body) = (queue_name(), body());
    let message = |n: usize| Message {
        id: n.to_string(),
        headers: [("traceparent".to_owned(), TRACE.to_owned())].into(),
        body: body.clone(),
        expires_at: Some(SystemClock.now().plus(VALID_MS)),
    };
    let mut publishing = FuturesUnordered::new();
    for n in 0..messages {
        if publishing.len() == WINDOW
            && let Some(done) = publishing.next().await
        {
            done?;
        }
        publishing.push(queue.publish(&name, vec![message(n)]));
    }
    while let Some(done) = publishing.next().await {
        done?;
    }
    consuming.await??;
    let took = began.elapsed();
    drop(publishing);
    queue.close().await;
    Ok(took)
}

async fn bare(broker: &Rabbit, messages: usize, wire: Wire) -> Result<Duration, Failed> {
    let uri = format!(
        "amqp://{ADMINISTRATOR}:{}@127.0.0.1:{}/{VHOST}",
        broker.password(),
        broker.port()
    );
    let outgoing = Connection::connect(&uri, ConnectionProperties::default()).await?;
    let incoming = Connection::connect(&uri, ConnectionProperties::default()).await?;
    let publisher = outgoing.create_channel().await?;
    publisher.confirm_select(ConfirmSelectOptions::default()).await?;
    let channel = incoming.create_channel().await?;
    channel
        .basic_qos(u16::try_from(WINDOW)?, BasicQosOptions::default())
        .await?;
    let name = queue_name().to_string();
    let consuming = channel.basic_consume(
        name.as_str().into(),
        "bare".into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    let mut consumer = consuming.await?;
    let began = Instant::now();
    let consuming = tokio::spawn(async move {
        let mut acknowledging = FuturesUnordered::new();
        let mut left = messages;
        while left > 0 || !acknowledging.is_empty() {
            tokio::select! {
                Some(done) = acknowledging.next(), if !acknowledging.is_empty() => drop(done?),
                Some(delivery) = consumer.next(), if left > 0 => {
                    let delivery = delivery?;
                    acknowledging.push(async move { delivery.acker.ack(BasicAckOptions::default()).await });
                    left -= 1;
                }
            }
        }
        Ok::<_, lapin::Error>(())
    });
    let body = body();
    let send = async |n: usize| {
        let mut headers = FieldTable::default();
        headers.insert("traceparent".into(), AMQPValue::LongString(TRACE.into()));
        let mut properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_message_id(n.to_string().into());
        if wire == Wire::Same {
            let until = SystemClock.now().plus(VALID_MS).0.to_string();
            headers.insert("offboard-expires-at".into(), AMQPValue::LongString(until.into()));
            properties = properties
                .with_user_id(ADMINISTRATOR.into())
                .with_expiration(VALID_MS.to_string().into());
        }
        let properties = properties.with_headers(headers);
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let key = name.as_str().into();
        let sent = publisher.basic_publish("ob.v1.assignments".into(), key, options, &body, properties);
        match sent.await?.await? {
            Confirmation::Ack(None) => Ok(()),
            other => Err(Failed::from(format!("not confirmed: {other:?}"))),
        }
    };
    let mut publishing = FuturesUnordered::new();
    for n in 0..messages {
        if publishing.len() == WINDOW
            && let Some(done) = publishing.next().await
        {
            done?;
        }
        publishing.push(send(n));
    }
    while let Some(done) = publishing.next().await {
        done?;
    }
    consuming.await??;
    let took = began.elapsed();
    outgoing.close(200, "OK".into()).await?;
    incoming.close(200, "OK".into()).await?;
    Ok(took)
}
