//! As much HTTP as it takes to ask a server's own management interface on the
//! loopback: one request a connection, the answer read to its end.

use crate::StartError;
use base64::Engine as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// How long an answer may take: importing some hundred queues takes seconds.
const WITHIN: Duration = Duration::from_secs(60);

/// Asks, and returns the answer's body.
///
/// # Errors
/// [`StartError`] when there is no answer, or one that says no.
pub(crate) fn ask(
    port: u16,
    credentials: (&str, &str),
    method: &str,
    path: &str,
    body: &[u8],
) -> Result<Vec<u8>, StartError> {
    let (user, password) = credentials;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    ask_as(port, &format!("Basic {basic}"), method, path, body)
}

/// The same, as whoever this authorisation is of.
///
/// # Errors
/// [`StartError`] when there is no answer, or one that says no.
pub(crate) fn ask_as(
    port: u16,
    authorization: &str,
    method: &str,
    path: &str,
    body: &[u8],
) -> Result<Vec<u8>, StartError> {
    let failed = |detail: String| StartError(format!("failed to {method} {path}: {detail}"));
    let exchange = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(WITHIN))?;
        // Version 1.0, so that the answer comes in one piece.
        let head = format!(
            "{method} {path} HTTP/1.0\r\nauthorization: {authorization}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange().map_err(|e| failed(e.to_string()))?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(end) = end else {
        return Err(failed("the answer has no end of its head".to_owned()));
    };
    let (head, rest) = answer.split_at(end);
    let head = String::from_utf8_lossy(head);
    let status = head.split(' ').nth(1).unwrap_or_default();
    let body = rest.get(4..).unwrap_or_default();
    if status.starts_with('2') {
        return Ok(body.to_owned());
    }
    Err(failed(format!("{status} {}", String::from_utf8_lossy(body))))
}
