//! The first frame of a connection, in which a server says what it is.

use futures::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use lapin::types::AMQPValue;
use lapin::types::parsing::parse_field_table;
use std::io;

/// With what a client opens AMQP 0-9-1.
const OPENING: &[u8] = b"AMQP\x00\x00\x09\x01";
/// The head of the first frame: a method, of the connection itself.
const METHOD: [u8; 3] = [1, 0, 0];
/// And the head of what is in it: `connection.start`, version 0-9.
const START: [u8; 6] = [0, 10, 0, 10, 0, 9];
/// Longest greeting that is read: brokers' are half a kilobyte.
const GREETING_MAX_BYTES: u32 = 64 * 1024;

/// Opens, and reads product and version.
pub(super) async fn of(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<String> {
    stream.write_all(OPENING).await?;
    stream.flush().await?;
    let mut head = [0; 7];
    stream.read_exact(&mut head).await?;
    let [a, b, c, size @ ..] = head;
    let bytes = u32::from_be_bytes(size);
    if [a, b, c] != METHOD || bytes > GREETING_MAX_BYTES {
        return Err(no_broker());
    }
    let mut body = Vec::new();
    stream.take(u64::from(bytes)).read_to_end(&mut body).await?;
    let said = body.strip_prefix(&START).ok_or_else(no_broker)?;
    let (_, said) = parse_field_table(said).map_err(|_| no_broker())?;
    let word = |name: &str| match said.inner().get(name) {
        Some(AMQPValue::LongString(text)) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        _ => "unknown".to_owned(),
    };
    Ok(format!("{} {}", word("product"), word("version")))
}

fn no_broker() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what answers there speaks no AMQP 0-9-1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::io::Cursor;

    /// What one says is written over by what the other answers, which is read.
    async fn greeted(answer: &[u8]) -> io::Result<String> {
        let mut stream = Cursor::new([OPENING, answer].concat());
        of(&mut stream).await
    }

    #[tokio::test]
    async fn product_and_version_are_read_and_nothing_else_is_taken_for_them() {
        let table = b"\x07productS\x00\x00\x00\x08RabbitMQ\x07versionS\x00\x00\x00\x063.10.8";
        let mut body = START.to_vec();
        body.extend(u32::try_from(table.len()).unwrap().to_be_bytes());
        body.extend(table);
        let frame = |body: &[u8]| {
            let bytes = u32::try_from(body.len()).unwrap().to_be_bytes();
            [&METHOD[..], &bytes, body, b"\xce"].concat()
        };
        assert_eq!(greeted(&frame(&body)).await.unwrap(), "RabbitMQ 3.10.8");
        let half = [&frame(&body)[..20], b""].concat();
        for none in [
            &b"HTTP/1.1 400 Bad Request"[..],
            OPENING,
            b"",
            &half,
            &frame(b"\x00\x0a"),
        ] {
            assert!(greeted(none).await.is_err(), "{none:?}");
        }
    }
}
