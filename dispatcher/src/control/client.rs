//! The asking side.

use super::message::{Request, Response};
use super::socket::Address;
use super::{ANSWER_WITHIN, ControlError, RESPONSE_MAX_BYTES};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// How much longer than the server the client waits.
const MARGIN: Duration = Duration::from_secs(5);

/// Where an exchange broke.
enum Broken {
    Unheard(io::Error),
    Answering(io::Error),
}

/// A connection to whoever serves a working folder.
#[derive(Debug)]
pub struct Client {
    reading: BufReader<OwnedReadHalf>,
    writing: OwnedWriteHalf,
    path: PathBuf,
}

impl Client {
    /// Connects; none if nobody serves (no socket, or a dead process's).
    ///
    /// # Errors
    /// [`ControlError::Socket`] if the socket is there and cannot be opened.
    pub async fn connect(path: &Path) -> Result<Option<Self>, ControlError> {
        let failed = |source| ControlError::Socket {
            attempted: "open",
            path: path.to_owned(),
            source,
        };
        let address = match Address::of(path) {
            Ok(address) => address,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        match UnixStream::connect(address.path()).await {
            Ok(stream) => {
                let (reading, writing) = stream.into_split();
                Ok(Some(Self {
                    reading: BufReader::new(reading),
                    writing,
                    path: path.to_owned(),
                }))
            }
            // Reset: it ended before it let this in.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// [`ControlError::Unheard`] if the server ended before it had read what was
    /// asked; [`ControlError::NoAnswer`] if none came in time or it does not read.
    pub async fn call(&mut self, request: &Request) -> Result<Response, ControlError> {
        let path = self.path.clone();
        let no_answer = |detail: String| ControlError::NoAnswer {
            path: path.clone(),
            detail,
        };
        let mut bytes = serde_json::to_vec(request).map_err(|e| no_answer(e.to_string()))?;
        bytes.push(b'\n');
        let exchange = async {
            // A line that was not written to its end is never taken for one.
            self.writing.write_all(&bytes).await.map_err(Broken::Unheard)?;
            let mut line = Vec::new();
            let most = RESPONSE_MAX_BYTES as u64 + 1;
            match (&mut self.reading).take(most).read_until(b'\n', &mut line).await {
                Ok(_) => Ok(line),
                // A socket of this kind is reset only if something written to it
                // was never read.
                Err(error) if line.is_empty() && error.kind() == io::ErrorKind::ConnectionReset => {
                    Err(Broken::Unheard(error))
                }
                Err(error) => Err(Broken::Answering(error)),
            }
        };
        let line = match tokio::time::timeout(ANSWER_WITHIN + MARGIN, exchange).await {
            Ok(Ok(line)) => line,
            Ok(Err(Broken::Unheard(source))) => return Err(ControlError::Unheard { path, source }),
            Ok(Err(Broken::Answering(error))) => return Err(no_answer(format!("the connection broke ({error})"))),
            Err(_) => {
                return Err(no_answer(format!(
                    "nothing came within {} s",
                    (ANSWER_WITHIN + MARGIN).as_secs()
                )));
            }
        };
        if line.is_empty() {
            return Err(no_answer("the process that serves the folder ended".to_owned()));
        }
        if line.len() > RESPONSE_MAX_BYTES {
            return Err(no_answer(format!(
                "the answer has more than {RESPONSE_MAX_BYTES} bytes"
            )));
        }
        serde_json::from_slice(&line).map_err(|e| {
            no_answer(format!(
                "the answer does not read ({e}); both sides must be of one version"
            ))
        })
    }
}
