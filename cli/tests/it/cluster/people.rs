//! People who answer what only a person can.

use crate::cluster::stage::Stage;
use crate::support::Running;
use serde_json::Value;
use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

/// The lead of the service desk.
const LEAD: &str = "lead@acme.example";

/// How often they look.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Those who answer.
#[derive(Default)]
pub(crate) struct People {
    /// Tasks that failed and were ordered again.
    pub(crate) retried: BTreeSet<String>,
    /// Wipes that were ordered, and whose proof went with the device's record
    /// while nobody could look: somebody looks at the device itself and says so.
    pub(crate) waived: BTreeSet<String>,
}

impl People {
    /// Answers all that waits for a person now, if the servers are there.
    pub(crate) fn answer(&mut self, stage: &Stage) {
        let Some(cases) = stage.cases_if_there() else {
            return;
        };
        let waiting: Vec<String> = cases
            .into_iter()
            .filter(|(_, c)| c["needs"] != 0 && c["ended"] == false)
            .map(|(id, _)| id)
            .collect();
        for case in waiting {
            let shown = stage.run(&["show", &case, "--json"]);
            // The servers may be away this moment: next time.
            let Ok(shown) = serde_json::from_str::<Value>(&shown.out) else {
                continue;
            };
            for need in shown["needs"].as_array().into_iter().flatten() {
                let task = need["task"].as_str().unwrap_or_default();
                let answered = match need["what"].as_str() {
                    Some("approve_task") => stage.run(&["approve", &case, task, "--yes", "--as", LEAD]),
                    Some("attest") => {
                        stage.folder.write("receipt.txt", "handed in at the desk");
                        stage.run(&["attest", &case, task, "--file", "receipt.txt", "--as", LEAD])
                    }
                    _ if need["kind"] == "device.wipe"
                        && need["why"].as_str().unwrap_or_default().contains("record is gone") =>
                    {
                        self.waived.insert(task.to_owned());
                        let reason = ["--reason", "seen at the desk: it was wiped", "--until", "90d"];
                        stage.run(&[&["waive", &case, task, "--as", LEAD][..], &reason].concat())
                    }
                    _ => {
                        self.retried.insert(format!("{case} {task}"));
                        stage.run(&["retry", &case, task, "--as", LEAD])
                    }
                };
                drop(answered);
            }
        }
    }

    /// Answers until every case has closed, and gives back those that run; if that takes
    /// too long, tells why, and what they said.
    #[track_caller]
    pub(crate) fn until_all_closed(&mut self, stage: &Stage, within: Duration, running: Vec<Running>) -> Vec<Running> {
        let end = Instant::now() + within;
        loop {
            self.answer(stage);
            let cases = stage.cases();
            if cases.values().all(|c| c["state"] == "closed") {
                return running;
            }
            if Instant::now() > end {
                let why: String = cases.keys().map(|c| stage.run(&["why", c]).out).collect();
                let said: Vec<String> = running.into_iter().map(|r| r.end().err).collect();
                panic!("not closed within {within:?}:\n{why}\n{}", said.join("\n----\n"));
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}
