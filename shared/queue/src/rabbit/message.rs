//! A message as the broker carries it, and back.
//!
//! What the wire has no place for travels in headers of our own, which are
//! taken off again: an expiry is a moment for us and a duration for the broker,
//! which counts it from when it takes the message. What the broker adds itself
//! is not passed on as if the sender had said it.

use super::config::RabbitConfig;
use crate::{BURIED, BURIED_FROM, BURIED_REASON, Message, QueueName};
use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use offboard_domain::Timestamp;
use std::collections::BTreeMap;

/// The header that says until when a message is valid, in milliseconds since
/// 1970.
const EXPIRES_AT: &str = "offboard-expires-at";
/// The header of a buried message that says when it was buried.
pub(super) const BURIED_AT: &str = "offboard-buried-at";
/// And who had sent it, as the broker had checked.
pub(super) const BURIED_SENDER: &str = "offboard-buried-sender";

/// What the broker adds to what it gave up, or gives again.
const OF_THE_BROKER: &[&str] = &[
    "x-acquired-count",
    "x-death",
    "x-delivery-count",
    "x-first-death-exchange",
    "x-first-death-queue",
    "x-first-death-reason",
    "x-last-death-exchange",
    "x-last-death-queue",
    "x-last-death-reason",
];

/// The longest validity that the broker counts, in milliseconds.
const VALID_MOST_MS: i64 = u32::MAX as i64;

/// Kept on disk before it is confirmed.
const PERSISTENT: u8 = 2;

/// Most room for a message's headers, in bytes. They travel in one frame that is
/// never split, and a larger one than both sides agreed on (128 KiB unless the
/// broker is told otherwise) ends the whole connection. Half of it is left for what
/// the broker adds when it delivers again or gives up.
const HEADERS_MAX_BYTES: usize = 64 * 1024;
/// Of what is buried a part of it, since the burial is told in headers too. Ours
/// take less than 2 KiB.
const BURIED_HEADERS_MAX_BYTES: usize = 32 * 1024;
/// Most of a burial's reason, in bytes: it may quote from what does not read.
const REASON_MAX_BYTES: usize = 4 * 1024;
/// What a header takes on the wire besides its name and its text, in bytes: the
/// lengths of both and the kind.
const HEADER_FRAMING_BYTES: usize = 6;

/// What is wrong with a message that the wire cannot carry.
pub(super) fn cannot_travel(message: &Message, config: &RabbitConfig) -> Option<String> {
    let short = |text: &str| text.len() <= usize::from(u8::MAX);
    if message.body.len() > config.message_max_bytes {
        return Some(format!(
            "a message has {} bytes, more than {}",
            message.body.len(),
            config.message_max_bytes
        ));
    }
    if !short(&message.id) || !message.headers.keys().all(|name| short(name)) {
        return Some("a message's id or the name of a header is longer than 255 bytes".to_owned());
    }
    let headers = headers_bytes(message);
    if headers > HEADERS_MAX_BYTES {
        return Some(format!(
            "a message's headers have {headers} bytes, more than {HEADERS_MAX_BYTES}"
        ));
    }
    None
}

/// How much room the headers take on the wire.
fn headers_bytes(message: &Message) -> usize {
    let each = message.headers.iter();
    each.map(|(name, value)| HEADER_FRAMING_BYTES + name.len() + value.len())
        .sum()
}

/// The properties with which a message is published; none if it has run out.
/// It must be able to travel.
pub(super) fn properties(message: &Message, user: &ShortString, now: Timestamp) -> Option<BasicProperties> {
    let mut headers = BTreeMap::new();
    for (name, value) in &message.headers {
        headers.insert(ShortString::from(name.as_str()), text(value.clone()));
    }
    let mut properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_message_id(ShortString::from(message.id.as_str()))
        .with_user_id(user.clone());
    if let Some(at) = message.expires_at {
        headers.insert(ShortString::from(EXPIRES_AT), text(at.0.to_string()));
        let left_ms = at.since(now);
        if left_ms <= 0 {
            return None;
        }
        if left_ms < VALID_MOST_MS {
            properties = properties.with_expiration(left_ms.to_string().into());
        }
    }
    Some(properties.with_headers(FieldTable::from(headers)))
}

/// What was delivered, and by whom it was sent.
pub(super) fn delivered(properties: &BasicProperties, body: Vec<u8>) -> (Message, String) {
    let mut headers = BTreeMap::new();
    let mut expires_at = None;
    for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
        let AMQPValue::LongString(value) = value else { continue };
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        if name.as_str() == EXPIRES_AT {
            expires_at = value.parse().ok().map(Timestamp);
        } else if !OF_THE_BROKER.contains(&name.as_str()) {
            headers.insert(name.as_str().to_owned(), value);
        }
    }
    let said = |property: &Option<ShortString>| property.as_ref().map(ToString::to_string).unwrap_or_default();
    let message = Message {
        id: said(properties.message_id()),
        headers,
        body: Bytes::from(body),
        expires_at,
    };
    (message, said(properties.user_id()))
}

/// A copy for the dead: valid for ever, with the reason. What is too large to
/// be kept whole is cut; headers that are too large are not kept at all, since
/// nothing that was sent by us has such.
pub(super) fn buried(
    message: &Message,
    from: &str,
    sender: &str,
    reason: &str,
    now: Timestamp,
    config: &RabbitConfig,
) -> Message {
    let mut copy = message.clone();
    copy.expires_at = None;
    let first_time = from != QueueName::Dead.to_string();
    if first_time {
        // What is buried for the first time has not been anywhere before,
        // whatever it says.
        copy = copy.unburied();
    }
    let mut reason = beginning(reason);
    let bytes = headers_bytes(&copy);
    if bytes > BURIED_HEADERS_MAX_BYTES {
        copy.headers.clear();
        reason = format!("{reason} (its headers of {bytes} bytes are not kept)");
    }
    let (whole, kept) = (copy.body.len(), config.buried_max_bytes);
    if whole > kept {
        copy.body.truncate(kept);
        reason = format!("{reason} (of its {whole} bytes the first {kept} are kept)");
    }
    let headers = &mut copy.headers;
    if first_time {
        headers.insert(BURIED_FROM.to_owned(), from.to_owned());
        headers.insert(BURIED_SENDER.to_owned(), sender.to_owned());
    }
    headers.insert(BURIED_REASON.to_owned(), reason);
    headers.insert(BURIED_AT.to_owned(), now.0.to_string());
    copy
}

/// As much of a reason as is kept.
fn beginning(reason: &str) -> String {
    if reason.len() <= REASON_MAX_BYTES {
        return reason.to_owned();
    }
    let mut end = REASON_MAX_BYTES;
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}… (of a reason of {} bytes)", &reason[..end], reason.len())
}

/// What one of the dead does not say itself, since the broker gave it up. What
/// it says of a burial all the same, its sender had put there.
pub(super) fn explain(message: &mut Message, properties: &BasicProperties) {
    let death = Death::of(properties);
    if death.is_told() || !message.headers.contains_key(BURIED_REASON) {
        message.headers.retain(|name, _| !name.starts_with(BURIED));
        message.headers.insert(BURIED_REASON.to_owned(), death.in_words());
        message.headers.insert(BURIED_FROM.to_owned(), death.queue);
    }
}

/// One of the dead: the message as it was, why it is dead and since when. None
/// if it merely ran out.
pub(super) fn exhumed(properties: &BasicProperties, body: Vec<u8>) -> Option<(Message, String, Timestamp)> {
    let (mut message, _) = delivered(properties, body);
    let death = Death::of(properties);
    let at = message.headers.get(BURIED_AT).and_then(|at| at.parse().ok());
    match message.headers.remove(BURIED_REASON).filter(|_| !death.is_told()) {
        Some(reason) => Some((message.unburied(), reason, Timestamp(at.unwrap_or(0)))),
        None => (death.reason != "expired").then(|| (message.unburied(), death.in_words(), death.at)),
    }
}

/// What the broker says about a message that it gave up.
struct Death {
    reason: String,
    queue: String,
    at: Timestamp,
}

impl Death {
    fn of(properties: &BasicProperties) -> Self {
        let headers = properties.headers().as_ref().map(FieldTable::inner);
        let header = |name: &str| headers.and_then(|headers| headers.get(name));
        let said = |name: &str| match header(name) {
            Some(AMQPValue::LongString(text)) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
            _ => String::new(),
        };
        let seconds = match header("x-death") {
            Some(AMQPValue::FieldArray(deaths)) => deaths.as_slice().iter().find_map(|death| match death {
                AMQPValue::FieldTable(death) => match death.inner().get("time") {
                    Some(AMQPValue::Timestamp(seconds)) => i64::try_from(*seconds).ok(),
                    _ => None,
                },
                _ => None,
            }),
            _ => None,
        };
        Self {
            reason: said("x-first-death-reason"),
            queue: said("x-first-death-queue"),
            at: Timestamp(seconds.unwrap_or(0).saturating_mul(1_000)),
        }
    }

    /// Whether the broker says anything.
    fn is_told(&self) -> bool {
        !self.reason.is_empty()
    }

    fn in_words(&self) -> String {
        let queue = &self.queue;
        match self.reason.as_str() {
            "delivery_limit" => {
                format!("delivered from {queue} again and again and never settled; the broker gave it up")
            }
            "rejected" => format!("rejected by whoever consumed it from {queue}"),
            "maxlen" => format!("{queue} was full"),
            "" => "put among the dead without a reason".to_owned(),
            other => format!("given up by the broker from {queue}: {other}"),
        }
    }
}

fn text(value: String) -> AMQPValue {
    AMQPValue::LongString(LongString::from(value))
}
