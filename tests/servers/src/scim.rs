//! A private SCIM service: scim2-server, from the environment that
//! `tests/setup/python.sh` makes. It keeps to the RFCs, checks its token, and can
//! announce, and refuse, what the configuration of a service provider says.

use crate::http::ask_as;
use crate::process::{Guarded, Patience, StartError, free_port, until};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// How often another port is tried when somebody took the one that was free.
const PORTS: usize = 10;
/// Python takes its time on a busy machine.
const PATIENCE: Patience = Patience(Duration::from_secs(180));
/// The one token that it accepts.
const TOKEN: &str = "tok-3f9a17";

/// What a service is to be like.
#[derive(Debug, Clone, Copy)]
pub struct ScimOptions {
    /// Whether it takes PATCH.
    pub patch: bool,
}

impl Default for ScimOptions {
    fn default() -> Self {
        Self { patch: true }
    }
}

/// A SCIM service. What it holds goes with it.
#[derive(Debug)]
pub struct Scim {
    // Ended before its folder goes.
    process: Guarded,
    port: u16,
    _folder: TempDir,
}

impl Scim {
    /// Starts a service on a free port. `venv` is the environment that it is
    /// installed in.
    ///
    /// # Errors
    /// [`StartError`] if it is not installed or does not answer.
    pub fn start(venv: &Path, options: ScimOptions) -> Result<Self, StartError> {
        let program = venv.join("bin/scim2-server");
        if !program.exists() {
            return Err(StartError(format!(
                "failed to find scim2-server in {}: run tests/setup/python.sh (tests/run does)",
                venv.display()
            )));
        }
        let folder = tempfile::tempdir().map_err(|e| StartError(format!("failed to make a folder for SCIM: {e}")))?;
        let offers = folder.path().join("offers.json");
        let yes = json!({"supported": true});
        let about = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
            "patch": {"supported": options.patch},
            "bulk": {"supported": true, "maxOperations": 1000, "maxPayloadSize": 1_048_576},
            "filter": {"supported": true, "maxResults": 1000},
            "changePassword": yes, "sort": yes, "etag": yes,
        });
        std::fs::write(&offers, about.to_string())
            .map_err(|e| StartError(format!("failed to write {}: {e}", offers.display())))?;
        let log = folder.path().join("log");
        let mut said = String::new();
        for _ in 0..PORTS {
            let port = free_port()?;
            let mut command = Command::new(&program);
            command
                .args(["--hostname", "127.0.0.1", "--port", &port.to_string()])
                .args(["--bearer-token", TOKEN])
                .arg("--service-provider-config")
                .arg(&offers)
                .current_dir(folder.path());
            let mut process = Guarded::start(command, "none: tests/setup/python.sh installs it", &log)?;
            let mut ended = false;
            let answers = until("scim2-server to answer", PATIENCE, || {
                ended = process.ended();
                ended || ask_as(port, &bearer(), "GET", "/v2/ServiceProviderConfig", b"").is_ok()
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
        Err(StartError(format!(
            "scim2-server did not start; it said:\n{}",
            last.join("\n")
        )))
    }

    /// The base address of the service.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v2", self.port)
    }

    /// The token that it accepts.
    #[must_use]
    pub fn token(&self) -> &'static str {
        TOKEN
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Makes an account with these attributes besides its schema, and says its id.
    ///
    /// # Errors
    /// [`StartError`] with what it answers.
    pub fn make(&self, attributes: &Value) -> Result<String, StartError> {
        let mut whole = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"]});
        if let (Some(whole), Some(given)) = (whole.as_object_mut(), attributes.as_object()) {
            whole.extend(given.clone());
        }
        let made = self.ask("POST", "/Users", whole.to_string().as_bytes())?;
        let id = made["id"].as_str().map(str::to_owned);
        id.ok_or_else(|| StartError("the new account has no id".to_owned()))
    }

    /// An account as it is; none when there is none of that id.
    #[must_use]
    pub fn look(&self, id: &str) -> Option<Value> {
        self.ask("GET", &format!("/Users/{id}"), b"").ok()
    }

    /// Asks it, as its administrator.
    ///
    /// # Errors
    /// [`StartError`] when there is no answer, or one that says no.
    pub fn ask(&self, method: &str, path: &str, body: &[u8]) -> Result<Value, StartError> {
        let answer = ask_as(self.port, &bearer(), method, &format!("/v2{path}"), body)?;
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer).map_err(|e| StartError(format!("failed to read its answer: {e}")))
    }
}

fn bearer() -> String {
    format!("Bearer {TOKEN}")
}
