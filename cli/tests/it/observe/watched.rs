//! A working folder whose process is watched, and one departure in it.

use crate::stage::{ROUNDS, Stage, fewer_at_once, lead};
use crate::support::{BadLog, Running, none_in, until};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;

/// What the collector is to be told, and nobody else may be.
pub(crate) const SECRET: &str = "Bearer canary-of-the-collector";

/// A stage whose processes send to a collector.
pub(crate) struct Watched {
    pub(crate) stage: Stage,
}

impl Watched {
    /// Configured in the folder, as an operator would.
    pub(crate) async fn by(endpoint: &str) -> Self {
        let stage = Stage::hurried().await;
        let folder = &stage.folder;
        let secret = folder.write("collector.secret", SECRET);
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
        folder.write("receipt.txt", "handed over at the desk");
        folder.write(
            "offboard.toml",
            &fewer_at_once(&format!(
                r#"
[log]
level = "info,offboard_cli=debug,offboard_connectors=debug,offboard_dispatcher=debug,offboard_workers=debug"
format = "json"
[telemetry]
otlp = "{endpoint}"
headers = {{ authorization = {{ file = "collector.secret" }} }}
listen = "127.0.0.1:0"
"#
            )),
        );
        Self { stage }
    }

    /// Starts `offboard serve`, named `instance`, and waits until it serves.
    pub(crate) fn serve(&self, instance: &str) -> Serving {
        self.serving(self.stage.folder.start_with(&["serve", "--json"], |command| {
            command
                .env("OTEL_BSP_SCHEDULE_DELAY", "100")
                .env("OTEL_METRIC_EXPORT_INTERVAL", "500")
                .env("OTEL_RESOURCE_ATTRIBUTES", format!("test.instance={instance}"));
        }))
    }

    /// Starts `offboard serve`, nothing of whose log can be written.
    pub(crate) fn serve_unlogged(&self, log: BadLog) -> Serving {
        self.serving(self.stage.folder.start_unlogged(&["serve", "--json"], log, |_| {}))
    }

    fn serving(&self, mut running: Running) -> Serving {
        self.stage.folder.until_served_by(&mut running);
        let said = running.first_object();
        Serving {
            address: said["listening"].as_str().unwrap().to_owned(),
            running,
        }
    }

    /// Submits one departure, and returns its case.
    pub(crate) fn submit(&self, reference: &str) -> String {
        let stage = &self.stage;
        let person = stage.cast().plain.clone();
        let file = stage.leavers(&[(reference, person.as_str())]);
        stage.folder.run(&["submit", &file]).expect(0);
        let view = stage.folder.run(&["show", reference, "--json"]).expect(0).json();
        view["case"].as_str().unwrap().to_owned()
    }

    /// Does what people must do until the departure has ended.
    pub(crate) fn finish(&self, reference: &str) {
        let mut rounds = 0;
        until("the departure has ended", || {
            rounds += 1;
            assert!(rounds < ROUNDS, "{}", self.stage.folder.run(&["why", reference]).out);
            lead(&self.stage.folder, reference)
        });
    }

    /// Asserts that nothing of a person, and no secret, stands in a text.
    #[track_caller]
    pub(crate) fn nobody_in(&self, what: &str, text: &str) {
        let canaries = self.stage.world().canaries();
        assert!(!canaries.is_empty());
        let secrets = [
            SECRET,
            offboard_sim::population::ADMIN_APP_SECRET,
            "acme.example",
            "eyj",
        ];
        none_in(canaries.iter().map(String::as_str).chain(secrets), what, text);
    }
}

/// A process that serves, and where it answers for itself.
pub(crate) struct Serving {
    pub(crate) running: Running,
    pub(crate) address: String,
}

impl Serving {
    /// Asks for a path: status and body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        // What is longer than a packet comes in chunks.
        let body = if head.to_lowercase().contains("transfer-encoding: chunked") {
            unchunked(body)
        } else {
            body.to_owned()
        };
        (status, body)
    }

    /// The same as JSON.
    pub(crate) fn json(&self, path: &str) -> (u16, Value) {
        let (status, body) = self.get(path);
        (status, serde_json::from_str(&body).unwrap())
    }
}

fn unchunked(body: &str) -> String {
    let mut rest = body;
    let mut whole = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        whole.push_str(&after[..size]);
        rest = after[size..].trim_start_matches("\r\n");
        if size == 0 {
            break;
        }
    }
    whole
}
