//! `offboard health`: how the process that this folder configures is. For
//! supervisors that can only start a program, and for people without a browser.
//!
//! It asks where that process answers for itself (`telemetry.listen`), and
//! nobody else: no ledger, no broker, no key.

use super::Ctx;
use crate::error::{CliError, Exit};
use crate::show::safe;
use console::style;
use serde::Deserialize;
use serde_json::Value;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long an answer is waited for: the process only says what it knows.
const WITHIN: Duration = Duration::from_secs(3);
/// The longest answer that is read: a few dozen checks stay far below.
const ANSWER_MAX_BYTES: u64 = 256 * 1024;

/// One check, as the process tells of it.
#[derive(Debug, Deserialize)]
struct Check {
    name: String,
    passes: bool,
    #[serde(default)]
    why: String,
}

/// What the process says of itself.
struct Answer {
    passes: bool,
    report: Value,
    checks: Vec<Check>,
}

pub(super) async fn run(ctx: &Ctx, alive: bool) -> Result<Exit, CliError> {
    let config = ctx.config()?;
    let listen = config
        .engine
        .telemetry
        .listen
        .filter(|l| l.port() != 0)
        .ok_or_else(|| {
            CliError::usage("it is not configured where the process answers for itself")
                .next("set telemetry.listen in offboard.toml to an address and a port, such as \"127.0.0.1:9464\"")
        })?;
    let address = from_here(listen);
    let path = if alive { "/livez" } else { "/readyz" };
    let asked = tokio::time::timeout(WITHIN, ask(address, path)).await;
    let answer = asked
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|e| {
            CliError::failed(format!("failed to ask {address} how the process is"))
                .caused_by(Some(&e))
                .next("is it running? its log says why not")
        })?;
    let answer = read(&answer).ok_or_else(|| {
        CliError::failed(format!("what answers at {address} is no process of Offboard"))
            .next("look at who listens there, or configure another telemetry.listen")
    })?;
    if ctx.out.is_json() {
        ctx.out.document(&answer.report)?;
    } else {
        ctx.out.data(&text(&answer.checks))?;
    }
    Ok(if answer.passes { Exit::Done } else { Exit::Failed })
}

/// Where an address that is listened on is reached from this machine: "every
/// address" is none that can be called.
fn from_here(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn ask(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    // HTTP/1.0: one answer, whole, and then the end.
    let request = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX_BYTES).read_to_string(&mut answer).await?;
    Ok(answer)
}

/// None if the answer is none of ours.
fn read(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let passes = match head.split(' ').nth(1)? {
        "200" => true,
        "503" => false,
        _ => return None,
    };
    let report: Value = serde_json::from_str(body).ok()?;
    let checks = serde_json::from_value(report.get("checks")?.clone()).ok()?;
    Some(Answer { passes, report, checks })
}

fn text(checks: &[Check]) -> String {
    let line = |check: &Check| {
        let name = safe(&check.name);
        if check.passes {
            format!("{} {name}\n", style("✓").green())
        } else {
            format!("{} {name}: {}\n", style("✗").red(), safe(&check.why))
        }
    };
    checks.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_called_as_this_machine() {
        for (listen, called) in [
            ("0.0.0.0:9464", "127.0.0.1:9464"),
            ("[::]:9464", "[::1]:9464"),
            ("192.0.2.7:80", "192.0.2.7:80"),
        ] {
            assert_eq!(from_here(listen.parse().unwrap()), called.parse().unwrap());
        }
    }

    #[test]
    fn only_a_report_of_ours_is_one() {
        let with = |head: &str, body: &str| read(&format!("HTTP/1.0 {head}\r\na: b\r\n\r\n{body}"));
        let report = r#"{"ready":false,"checks":[{"name":"queue","passes":false,"why":"blocked"}]}"#;
        let blocked = with("503 Service Unavailable", report).unwrap();
        assert!(!blocked.passes);
        assert_eq!(console::strip_ansi_codes(&text(&blocked.checks)), "✗ queue: blocked\n");
        assert!(with("200 OK", r#"{"ready":true,"checks":[]}"#).unwrap().passes);
        for other in [
            with("200 OK", "<html>"),
            with("200 OK", "{}"),
            with("404 Not Found", report),
        ] {
            assert!(other.is_none());
        }
        assert!(read("SSH-2.0-OpenSSH_9.2").is_none());
    }
}
