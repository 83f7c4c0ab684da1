//! Certificates of a test's own: an authority that nobody else trusts, a
//! server on the loopback, and clients by name. Made by the `openssl` program.

use crate::StartError;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How long they are valid: longer than any test, shorter than anybody could
/// mistake them for real ones.
const DAYS: &str = "2";

/// A certificate and its key, in PEM files.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// An authority, and what it has signed.
#[derive(Debug, Clone)]
pub struct Certificates {
    folder: PathBuf,
    /// The authority's certificate.
    pub authority: PathBuf,
    /// The server's; for `localhost` and `127.0.0.1`, unless asked otherwise.
    pub server: Certificate,
}

impl Certificates {
    /// Makes an authority and a server's certificate in this folder.
    ///
    /// # Errors
    /// [`StartError`] with what `openssl` said.
    pub fn make(folder: &Path) -> Result<Self, StartError> {
        Self::naming(folder, "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    }

    /// The same with a server's certificate that has these extensions, as
    /// `openssl` takes them.
    ///
    /// # Errors
    /// [`StartError`] with what `openssl` said.
    pub fn naming(folder: &Path, extensions: &str) -> Result<Self, StartError> {
        let authority = folder.join("authority.pem");
        let key = folder.join("authority.key");
        let mut request = request(&key, "offboard test authority");
        request.args(["-x509", "-days", DAYS, "-out"]).arg(&authority);
        run(request)?;
        let server = sign(folder, "server", "localhost", extensions)?;
        Ok(Self {
            folder: folder.to_owned(),
            authority,
            server,
        })
    }

    /// Makes a client's certificate.
    ///
    /// # Errors
    /// [`StartError`] with what `openssl` said.
    pub fn client(&self, name: &str) -> Result<Certificate, StartError> {
        sign(&self.folder, name, name, "extendedKeyUsage=clientAuth\n")
    }
}

fn sign(folder: &Path, file: &str, name: &str, extensions: &str) -> Result<Certificate, StartError> {
    let [certificate, key, asked, extended] =
        ["pem", "key", "csr", "ext"].map(|kind| folder.join(format!("{file}.{kind}")));
    let mut asking = request(&key, name);
    asking.arg("-out").arg(&asked);
    run(asking)?;
    std::fs::write(&extended, extensions).map_err(|e| StartError(format!("failed to write {extended:?}: {e}")))?;
    let mut signing = Command::new("openssl");
    signing
        .args(["x509", "-req", "-days", DAYS, "-CAcreateserial", "-in"])
        .arg(&asked);
    signing.arg("-CA").arg(folder.join("authority.pem"));
    signing.arg("-CAkey").arg(folder.join("authority.key"));
    signing.arg("-extfile").arg(&extended).arg("-out").arg(&certificate);
    run(signing)?;
    Ok(Certificate { certificate, key })
}

/// A request for a certificate with a new key, which `-x509` turns into one.
fn request(key: &Path, name: &str) -> Command {
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-nodes",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
    ]);
    openssl.args(["-subj", &format!("/CN={name}"), "-keyout"]).arg(key);
    openssl
}

fn run(mut program: Command) -> Result<(), StartError> {
    let done = program.output().map_err(|e| {
        StartError(format!(
            "failed to run openssl: {e} (Debian package 'openssl'; tests/run installs it)"
        ))
    })?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    Err(StartError(format!("openssl failed: {said}")))
}
