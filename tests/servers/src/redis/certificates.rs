//! Certificates for a test: an authority of its own, and one certificate each
//! for the server (named by address and as `localhost`) and for a client.

use crate::process::StartError;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the files are, in PEM.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The authority's certificate.
    pub authority: PathBuf,
    /// The server's certificate.
    pub server: PathBuf,
    /// Its key.
    pub server_key: PathBuf,
    /// A client's certificate.
    pub client: PathBuf,
    /// Its key.
    pub client_key: PathBuf,
}

impl Certificates {
    /// Makes them in a folder.
    ///
    /// # Errors
    /// [`StartError`] if `openssl` is absent or refuses.
    pub fn make(folder: &Path) -> Result<Self, StartError> {
        let at = |name: &str| folder.join(name);
        let made = Self {
            authority: at("authority.pem"),
            server: at("server.pem"),
            server_key: at("server.key"),
            client: at("client.pem"),
            client_key: at("client.key"),
        };
        let (authority, authority_key) = (text(&made.authority), text(&at("authority.key")));
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        let mut own = vec!["req", "-x509", "-days", "2", "-subj", "/CN=authority of a test"];
        own.extend(key);
        own.extend(["-keyout", &authority_key, "-out", &authority]);
        openssl(&own)?;
        let names = "subjectAltName=IP:127.0.0.1,DNS:localhost";
        for (certificate, private, name) in [
            (&made.server, &made.server_key, "/CN=localhost"),
            (&made.client, &made.client_key, "/CN=client"),
        ] {
            let (certificate, private) = (text(certificate), text(private));
            let mut signed = vec!["req", "-x509", "-days", "2", "-subj", name];
            signed.extend(key);
            signed.extend(["-CA", &authority, "-CAkey", &authority_key]);
            signed.extend(["-addext", "basicConstraints=critical,CA:FALSE", "-addext", names]);
            signed.extend(["-keyout", &private, "-out", &certificate]);
            openssl(&signed)?;
        }
        Ok(made)
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn openssl(arguments: &[&str]) -> Result<(), StartError> {
    let done = Command::new("openssl")
        .args(arguments)
        .output()
        .map_err(|e| StartError(format!("failed to run openssl: {e} (Debian package 'openssl')")))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    Err(StartError(format!("openssl refused to make a certificate: {said}")))
}
