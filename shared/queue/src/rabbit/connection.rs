//! One connection to the broker: opened within a time limit, with TLS if the
//! address says so, and hung up at once when it is given up.
//!
//! The client library is kept away from two things. It never sees the password
//! in an address, which it would print; and it does not make the socket, so
//! that a connection on which nothing moves any more can be ended here by
//! closing the socket, instead of politely through a peer that does not answer.

use super::address::Address;
use super::greeting;
use async_compat::Compat;
use lapin::auth::AuthProvider;
use lapin::tcp::{AsyncTcpStream, RustlsConnector, RustlsConnectorConfig};
use lapin::types::{LongString, ShortString};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Connection, ConnectionProperties};
use offboard_runtime::Secret;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;

/// What is trusted and shown when the broker is spoken to with TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// The authorities that are trusted, in a PEM file; none: the system's.
    pub authorities: Option<PathBuf>,
    /// The client's certificate and its key, in PEM files.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error("failed to read {}: {detail}", path.display())]
    File { path: PathBuf, detail: String },
    #[error("nothing answered within {} s", .0.as_secs())]
    Silent(Duration),
    #[error("{0}")]
    Failed(#[from] lapin::Error),
    #[error("there is neither a password nor a client certificate to log in with")]
    NoCredential,
}

impl OpenError {
    /// Whether another try may help without somebody changing something here.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Silent(_) | Self::Failed(_))
    }
}

/// How a connection is opened.
#[derive(Debug, Clone)]
pub(super) struct Opening {
    pub(super) address: Address,
    pub(super) tls: Tls,
    /// What the broker's own lists call it.
    pub(super) name: String,
    pub(super) heartbeat: Duration,
    pub(super) within: Duration,
}

/// The socket under a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Socket(Arc<Mutex<Option<std::net::TcpStream>>>);

impl Socket {
    /// Ends it now, whatever the peer does.
    pub(super) fn hang_up(&self) {
        let socket = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(socket) = socket {
            // One that is closed already needs no closing.
            drop(socket.shutdown(Shutdown::Both));
        }
    }

    fn keep(&self, stream: &TcpStream) -> io::Result<()> {
        let same = stream.as_fd().try_clone_to_owned()?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(same.into());
        Ok(())
    }
}

impl Opening {
    /// Opens a connection.
    pub(super) async fn open(&self) -> Result<(Connection, Socket), OpenError> {
        let tls = self.address.tls.then(|| connector(&self.tls)).transpose()?;
        let socket = Socket::default();
        let properties = ConnectionProperties::default()
            .with_connection_name(self.name.as_str().into())
            .with_client_property("product".into(), "offboard".into())
            .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into())
            .with_auth_provider(self.credential()?);
        let (host, port, within) = (self.address.host.clone(), self.address.port, self.within);
        let kept = socket.clone();
        let connect = async move |_, _| Ok(dial(&host, port, within, tls.as_ref(), &kept).await?);
        let runtime = lapin::runtime::default_runtime()?;
        let opening = Connection::connector(self.uri(), runtime, connect, properties);
        match tokio::time::timeout(within, opening).await {
            Ok(Ok(connection)) => Ok((connection, socket)),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => {
                // Else its thread would wait for the answer for ever.
                socket.hang_up();
                Err(OpenError::Silent(within))
            }
        }
    }

    /// What the server says of itself before anybody has logged in, which the
    /// client library keeps to itself.
    pub(super) async fn greeting(&self) -> Result<String, OpenError> {
        let tls = self.address.tls.then(|| connector(&self.tls)).transpose()?;
        let socket = Socket::default();
        let greeted = async {
            let (host, port) = (&self.address.host, self.address.port);
            let mut stream = dial(host, port, self.within, tls.as_ref(), &socket).await?;
            greeting::of(&mut stream).await
        };
        let greeted = tokio::time::timeout(self.within, greeted).await;
        socket.hang_up();
        Ok(greeted
            .map_err(|_| OpenError::Silent(self.within))?
            .map_err(lapin::Error::from)?)
    }

    /// What the library is to know: not the password.
    fn uri(&self) -> AMQPUri {
        AMQPUri {
            scheme: if self.address.tls {
                AMQPScheme::AMQPS
            } else {
                AMQPScheme::AMQP
            },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: self.address.user.clone(),
                    password: String::new(),
                },
                host: self.address.host.clone(),
                port: self.address.port,
            },
            vhost: self.address.vhost.clone(),
            query: AMQPQueryString {
                heartbeat: Some(u16::try_from(self.heartbeat.as_secs()).unwrap_or(u16::MAX).max(1)),
                ..AMQPQueryString::default()
            },
        }
    }

    fn credential(&self) -> Result<Credential, OpenError> {
        match (&self.address.password, &self.tls.client) {
            (Some(password), _) => Ok(Credential::Password {
                user: self.address.user.clone(),
                password: password.clone(),
            }),
            (None, Some(_)) if self.address.tls => Ok(Credential::Certificate),
            (None, _) => Err(OpenError::NoCredential),
        }
    }
}

/// The way to the broker, encrypted if there is something to do it with.
async fn dial(
    host: &str,
    port: u16,
    within: Duration,
    tls: Option<&RustlsConnector>,
    kept: &Socket,
) -> io::Result<AsyncTcpStream<Compat<TcpStream>>> {
    let stream = tokio::time::timeout(within, TcpStream::connect((host, port)))
        .await
        .map_err(io::Error::from)??;
    stream.set_nodelay(true)?;
    kept.keep(&stream)?;
    let stream = AsyncTcpStream::Plain(Compat::new(stream));
    match tls {
        Some(connector) => stream.into_rustls(connector, host).await,
        None => Ok(stream),
    }
}

/// As whom one logs in.
enum Credential {
    Password {
        user: String,
        password: Secret,
    },
    /// The broker takes the name from the client's certificate.
    Certificate,
}

impl AuthProvider for Credential {
    fn mechanism(&self) -> ShortString {
        match self {
            Self::Password { .. } => "PLAIN".into(),
            Self::Certificate => "EXTERNAL".into(),
        }
    }

    fn auth_starter(&self) -> Result<LongString, String> {
        Ok(match self {
            Self::Password { user, password } => format!("\0{user}\0{}", password.expose()).into(),
            Self::Certificate => LongString::default(),
        })
    }
}

fn connector(tls: &Tls) -> Result<RustlsConnector, OpenError> {
    let mut config = RustlsConnectorConfig::default();
    match &tls.authorities {
        Some(path) => config.add_parsable_certificates(certificates(path)?),
        None => config = RustlsConnectorConfig::new_with_native_certs().map_err(lapin::Error::from)?,
    }
    let connector = match &tls.client {
        None => config.connector_with_no_client_auth(),
        Some((certificate, key)) => {
            let read = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|e| unreadable(key, &e))?;
            config.connector_with_single_cert(certificates(certificate)?, read)
        }
    };
    connector.map_err(|e| OpenError::Failed(e.into()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let text = read(path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let read = read.map_err(|e| unreadable(path, &e))?;
    if read.is_empty() {
        return Err(unreadable(path, &"there is no certificate in it"));
    }
    Ok(read)
}

fn read(path: &Path) -> Result<Vec<u8>, OpenError> {
    std::fs::read(path).map_err(|e| unreadable(path, &e))
}

fn unreadable(path: &Path, detail: &impl ToString) -> OpenError {
    OpenError::File {
        path: path.to_owned(),
        detail: detail.to_string(),
    }
}
