//! A private S3 server: moto's, from the environment that `tests/setup/python.sh`
//! makes. It keeps to `If-None-Match` and knows Object Lock, but enforces no
//! retention; asked to, it checks who one is, signature included.

use crate::process::{Guarded, Patience, StartError, free_port, until};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// How often another port is tried when somebody took the one that was free.
const PORTS: usize = 10;
/// Python takes its time on a busy machine.
const PATIENCE: Patience = Patience(Duration::from_secs(180));
/// It looks whether an object is there and then writes it, and a thread that is
/// made to wait in between would let two writers win, which no S3 does: no
/// thread is made to wait.
const SERVER: &str = "import sys; sys.setswitchinterval(60)\nfrom moto.server import main\nmain()";
/// How long an answer may take.
const WITHIN: Duration = Duration::from_secs(30);
/// How often is asked again when it could not take another connection.
const TRIES: u32 = 20;
/// Anybody: an owner's objects are shown to whoever has a key, of whatever
/// value while nobody is checked.
const ANYBODY: (&str, &str) = (
    "authorization",
    "AWS4-HMAC-SHA256 Credential=anybody/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x",
);

/// An S3 server. What it holds goes with it.
#[derive(Debug)]
pub struct Moto {
    // Ended before its folder goes.
    process: Guarded,
    port: u16,
    _folder: TempDir,
}

impl Moto {
    /// Starts a server on a free port. `venv` is the environment that it is
    /// installed in.
    ///
    /// # Errors
    /// [`StartError`] if it is not installed or does not answer.
    pub fn start(venv: &Path) -> Result<Self, StartError> {
        let python = venv.join("bin/python");
        if !venv.join("bin/moto_server").exists() {
            return Err(StartError(format!(
                "failed to find moto in {}: run tests/setup/python.sh (tests/run does)",
                venv.display()
            )));
        }
        let folder = tempfile::tempdir().map_err(|e| StartError(format!("failed to make a folder for moto: {e}")))?;
        let log = folder.path().join("log");
        let mut said = String::new();
        for _ in 0..PORTS {
            let port = free_port()?;
            let mut program = Command::new(&python);
            program
                .args(["-c", SERVER, "-H", "127.0.0.1", "-p", &port.to_string()])
                .current_dir(folder.path());
            let mut process = Guarded::start(program, "python3", &log)?;
            let mut ended = false;
            let answers = until("moto to answer", PATIENCE, || {
                ended = process.ended();
                ended || ask(port, "GET", "/moto-api/", &[], b"").is_ok()
            });
            if answers.is_ok() && !ended {
                return Ok(Self {
                    process,
                    port,
                    _folder: folder,
                });
            }
            said = process.output();
            if !said.contains("in use") {
                break;
            }
        }
        let last: Vec<&str> = said.lines().rev().take(8).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        Err(StartError(format!("moto did not start; it said:\n{}", last.join("\n"))))
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Makes a bucket, with Object Lock or without.
    ///
    /// # Errors
    /// [`StartError`] with what it answers.
    pub fn make_bucket(&self, name: &str, lock: bool) -> Result<(), StartError> {
        let lock = lock.then_some(("x-amz-bucket-object-lock-enabled", "true"));
        self.ask("PUT", &format!("/{name}"), lock.as_slice(), b"").map(drop)
    }

    /// Makes a user who may do all in its buckets, and from then on checks who
    /// one is, signature included. His key's id, and his key.
    ///
    /// # Errors
    /// [`StartError`] with what it answers.
    pub fn only_for_its_user(&self) -> Result<(String, String), StartError> {
        const ALL: &str = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22s3%3A%2A%22%2C%22Resource%22%3A%22%2A%22%7D%5D%7D";
        let to_iam = [
            // By it the server knows whom an order is for.
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=x",
            ),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let order = |what: &str| self.ask("POST", "/", &to_iam, what.as_bytes());
        order("Action=CreateUser&UserName=closer")?;
        let (_, made) = order("Action=CreateAccessKey&UserName=closer")?;
        order(&format!(
            "Action=PutUserPolicy&UserName=closer&PolicyName=all&PolicyDocument={ALL}"
        ))?;
        self.ask("POST", "/moto-api/reset-auth", &[("content-type", "text/plain")], b"0")?;
        let made = String::from_utf8_lossy(&made).into_owned();
        let word = |name: &str| {
            let (_, rest) = made.split_once(&format!("<{name}>"))?;
            rest.split_once('<').map(|(word, _)| word.to_owned())
        };
        word("AccessKeyId")
            .zip(word("SecretAccessKey"))
            .ok_or_else(|| StartError("moto gave its user no key".to_owned()))
    }

    /// Asks it, as nobody; headers and body of the answer.
    ///
    /// # Errors
    /// [`StartError`] when there is no answer, or one that says no.
    pub fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(String, Vec<u8>), StartError> {
        let named = headers.iter().any(|(name, _)| *name == ANYBODY.0);
        let anybody = (!named).then_some(ANYBODY);
        let headers: Vec<(&str, &str)> = headers.iter().copied().chain(anybody).collect();
        ask(self.port, method, path, &headers, body)
    }
}

fn ask(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<(String, Vec<u8>), StartError> {
    let failed = |detail: String| StartError(format!("failed to {method} {path}: {detail}"));
    let exchange = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(WITHIN))?;
        // Version 1.0, so that the answer comes in one piece.
        let mut head = format!(
            "{method} {path} HTTP/1.0\r\nhost: 127.0.0.1:{port}\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(head.as_bytes())?;
        stream.write_all(b"\r\n")?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let mut answer = exchange();
    for _ in 1..TRIES {
        if answer.is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
        answer = exchange();
    }
    let answer = answer.map_err(|e| failed(e.to_string()))?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(end) = end else {
        return Err(failed("the answer has no end of its head".to_owned()));
    };
    let (head, rest) = answer.split_at(end);
    let head = String::from_utf8_lossy(head).into_owned();
    let body = rest.get(4..).unwrap_or_default().to_owned();
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status.starts_with('2') {
        return Ok((head, body));
    }
    Err(failed(format!("{status} {}", String::from_utf8_lossy(&body))))
}
