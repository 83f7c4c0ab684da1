//! As much of Redis' protocol as a test needs to give orders: one command,
//! one answer, one connection.

use super::failed;
use crate::process::StartError;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// An answer is waited for this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A word.
    Text(String),
    /// A refusal.
    Refused(String),
    /// A number.
    Number(i64),
    /// Bytes; none where there is nothing.
    Bytes(Option<Vec<u8>>),
    /// Several; empty where there is nothing.
    List(Vec<Reply>),
}

impl Reply {
    /// The answer as text, whatever it is; lists one item a line.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Text(t) | Self::Refused(t) => t.clone(),
            Self::Number(n) => n.to_string(),
            Self::Bytes(b) => String::from_utf8_lossy(b.as_deref().unwrap_or_default()).into_owned(),
            Self::List(items) => items.iter().map(Self::text).collect::<Vec<_>>().join("\n"),
        }
    }
}

pub(super) fn over_socket(socket: &Path, words: &[&str]) -> Result<Reply, StartError> {
    let silent = |e| failed("ask Redis at", socket, &e);
    let stream = UnixStream::connect(socket).map_err(silent)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(silent)?;
    ask(stream, words).map_err(silent)
}

fn ask(mut stream: impl Read + Write, words: &[&str]) -> std::io::Result<Reply> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    stream.write_all(&request)?;
    answer(&mut BufReader::new(stream))
}

fn answer(from: &mut impl BufRead) -> std::io::Result<Reply> {
    let strange = |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, format!("unexpected '{what}'"));
    let mut line = String::new();
    from.read_line(&mut line)?;
    let line = line.trim_end();
    let (sort, rest) = line.split_at_checked(1).ok_or_else(|| strange(line))?;
    let number = || rest.parse::<i64>().map_err(|_| strange(line));
    Ok(match sort {
        "+" => Reply::Text(rest.to_owned()),
        "-" => Reply::Refused(rest.to_owned()),
        ":" => Reply::Number(number()?),
        "$" => match usize::try_from(number()?) {
            Err(_) => Reply::Bytes(None),
            Ok(length) => {
                let mut bytes = vec![0; length + 2];
                from.read_exact(&mut bytes)?;
                bytes.truncate(length);
                Reply::Bytes(Some(bytes))
            }
        },
        "*" => {
            let length = usize::try_from(number()?).unwrap_or(0);
            Reply::List((0..length).map(|_| answer(from)).collect::<Result<_, _>>()?)
        }
        _ => return Err(strange(line)),
    })
}
