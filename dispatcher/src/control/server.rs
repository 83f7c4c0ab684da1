//! The socket's serving side. Whoever binds holds the ledger's lock, so a
//! socket that is there already is a dead process's: the new one takes its
//! place in one step, and at no time can anybody but the owner open it.

use super::message::{Request, Response};
use super::socket::Address;
use super::{ANSWER_WITHIN, CONNECTIONS_MAX, ControlError, IDLE, REQUEST_MAX_BYTES, handle};
use crate::engine::Engine;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long answers that are being made may take once the server ends.
/// Well below the ten seconds for which a command waits for the folder.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// A bound socket.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl Server {
    /// Binds the socket. The caller must hold the ledger in the same folder.
    ///
    /// # Errors
    /// [`ControlError::Socket`] if the folder cannot be written to.
    pub fn bind(path: &Path) -> Result<Self, ControlError> {
        let failed = |source| ControlError::Socket {
            attempted: "make",
            path: path.to_owned(),
            source,
        };
        let (listener, inode) = bind_private(path).map_err(failed)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            inode,
        })
    }

    /// Answers until told to stop.
    pub async fn run(self, engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        loop {
            let full = connections.len() >= CONNECTIONS_MAX;
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = self.listener.accept(), if !full => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(converse(stream, engine.clone(), stop.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "failed to accept a control connection");
                        // Out of file handles, most likely: let some go first.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        // What was read is answered; what was not, its client hears, was not asked.
        drop(self);
        let answered = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_ANSWERS, answered).await.is_err() {
            tracing::warn!("the control socket ended before everything asked of it was answered");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Only ours: another process may have taken the place.
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|m| m.ino() == self.inode);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, "failed to remove the control socket; the next start replaces it");
        }
    }
}

/// Made in a folder that nobody else can enter, then moved into place.
fn bind_private(path: &Path) -> io::Result<(UnixListener, u64)> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidFilename)?;
    let making = folder.join(format!(".control-{}", std::process::id()));
    match fs::remove_dir_all(&making) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::DirBuilder::new().mode(0o700).create(&making)?;
    let made = making.join("socket");
    let bound = || {
        let address = Address::of(&made)?;
        let listener = UnixListener::bind(address.path())?;
        fs::set_permissions(&made, fs::Permissions::from_mode(0o600))?;
        let inode = fs::symlink_metadata(&made)?.ino();
        fs::rename(&made, path)?;
        Ok((listener, inode))
    };
    let outcome = bound();
    fs::remove_dir_all(&making)?;
    outcome
}

async fn converse(stream: UnixStream, engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    // Not in halves: a writing half that is dropped says "no more" before the socket
    // is closed, and whoever hears that takes what was never read for heard.
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        let most = REQUEST_MAX_BYTES as u64 + 1;
        let mut bounded = (&mut stream).take(most);
        let read = tokio::time::timeout(IDLE, bounded.read_until(b'\n', &mut line));
        tokio::select! {
            biased;
            read = read => match read {
                Ok(Ok(n)) if n > 0 => {}
                // Gone, broken or silent: there is nobody to tell.
                _ => return,
            },
            () = stopped(&mut stop) => return,
        }
        let too_long = line.len() > REQUEST_MAX_BYTES;
        let response = if too_long {
            Response::Refused {
                why: format!("a request has at most {REQUEST_MAX_BYTES} bytes"),
            }
        } else {
            answer(&engine, &line, &mut stop).await
        };
        let Ok(mut bytes) = serde_json::to_vec(&response) else {
            return;
        };
        bytes.push(b'\n');
        let written = tokio::time::timeout(ANSWER_WITHIN, stream.get_mut().write_all(&bytes)).await;
        if too_long || !matches!(written, Ok(Ok(()))) {
            return;
        }
    }
}

/// Whoever can switch it off is gone, or has.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn answer(engine: &Arc<Engine>, line: &[u8], stop: &mut watch::Receiver<bool>) -> Response {
    let request: Request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => {
            return Response::Refused {
                why: format!("the request does not read: {error}"),
            };
        }
    };
    // In a task of its own, so that a client that goes away in the middle does
    // not stop an order half-way.
    let engine = engine.clone();
    let news = matches!(request, Request::Changes { .. });
    let mut handled = tokio::spawn(async move { handle(&engine, request).await });
    let answered = tokio::select! {
        biased;
        answered = tokio::time::timeout(ANSWER_WITHIN, &mut handled) => answered,
        // Who waits for news is told that there will be none.
        () = stopped(stop), if news => {
            handled.abort();
            return Response::Failed { why: "no more news: the process that serves the folder ends".into(), causes: Vec::new() };
        }
    };
    match answered {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => Response::Failed {
            why: "failed to answer: the request broke inside the engine; its log says where".into(),
            causes: Vec::new(),
        },
        Err(_) => Response::Failed {
            why: format!(
                "failed to answer within {} s; it may still be done",
                ANSWER_WITHIN.as_secs()
            ),
            causes: Vec::new(),
        },
    }
}
