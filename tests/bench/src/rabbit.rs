//! The queue on RabbitMQ beside the barest loop of the same client library:
//! publish, deliver, acknowledge, on the same private broker, in turns.
//!
//! Both sides keep 256 confirmed publications in flight, hold 256 deliveries,
//! acknowledge each, and send what an assignment weighs with its trace. The
//! bare loop has no headers to take apart, no returns to match, no time limits,
//! no reconnecting: the ratio is what those cost.

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
use offboard_domain::{Area, Lane, Timestamp};
use offboard_queue::rabbit::{Address, Topology};
use offboard_queue::{Clock, Message, Queue as _, QueueName, RabbitConfig, RabbitQueue};
use offboard_runtime::{Clock as _, Secret, SystemClock};
use offboard_servers::{ADMINISTRATOR, Rabbit, RabbitOptions};
use serde_json::json;
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
        "{:>5} {:>12} {:>12} {:>7}",
        "round", "seam msg/s", "bare msg/s", "ratio"
    );
    let (mut seams, mut bares, mut ratios, mut raw) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rounds {
        let seam = through_the_seam(&broker, messages).await?;
        let bare = bare(&broker, messages).await?;
        // The first warms up the broker.
        if round == 0 {
            continue;
        }
        let per_second = |took: Duration| messages as f64 / took.as_secs_f64();
        let (s, b) = (per_second(seam), per_second(bare));
        println!("{round:>5} {s:>12.0} {b:>12.0} {:>7.2}", s / b);
        raw.push(json!({ "round": round, "messages": messages, "seam_seconds": seam.as_secs_f64(), "bare_seconds": bare.as_secs_f64() }));
        seams.push(s);
        bares.push(b);
        ratios.push(s / b);
    }
    println!(
        "{:>5} {:>12.0} {:>12.0} {:>7.2}",
        "med",
        median(seams),
        median(bares),
        median(ratios)
    );
    Ok(json!(raw))
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
        expires_at: Some(Timestamp(SystemClock.now().0 + VALID_MS)),
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

async fn bare(broker: &Rabbit, messages: usize) -> Result<Duration, Failed> {
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
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_message_id(n.to_string().into())
            .with_headers(headers);
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
