//! The script, and how it is known whether it ran.
//!
//! An order has no key, and its answer says nothing. So our marker goes along as
//! the script's parameter, and the script writes it into a custom field when it
//! is done (with ` failed` after it when it was not). Until then the device's
//! jobs and activities are searched for the marker. Where neither has it, only a
//! device on which nothing that is a script has run since ours could have been
//! ordered, and whose activities reach back that far, proves that ours did not;
//! anything else is unclear, and a person looks.

use super::NinjaConnector;
use super::marks::device;
use super::read::{number, time_ms};
use super::wire::{About, Ask};
use crate::{Answer, Call, ScriptRun};
use offboard_domain::time::HOUR_MS;
use offboard_domain::{FaultClass, ObjectId};
use reqwest::Method;
use serde_json::{Value, json};

/// How far NinjaOne's clock, by which activities are dated, may be behind ours.
const VENDOR_CLOCK_MS: i64 = HOUR_MS;
/// The most pages of activities.
const PAGES_MAX: usize = 20;
/// How many a page is asked for.
const PAGE: &str = "200";

/// What the script writes after the marker when it did not succeed.
const FAILED: &str = " failed";

/// What is certainly no script that somebody ordered. Whatever else there is, and
/// what a later instance calls something, may have been one.
const NO_SCRIPT: &[&str] = &[
    "SYSTEM",
    "CONDITION",
    "COMMENT",
    "MONITOR",
    "ANTIVIRUS",
    "SECURITY",
    "PATCH_MANAGEMENT",
    "SOFTWARE_PATCH_MANAGEMENT",
    "TEAMVIEWER",
    "SPLASHTOP",
    "RDP",
    "REMOTE_TOOLS",
    "HELP_REQUEST",
    "NINJA_REMOTE",
    "NINJA_QUICK_CONNECT",
    "NINJA_TICKETING",
    "NINJA_BACKUP",
    "DOCUMENTATION",
    "PSA",
];

/// Whether it may have been a script.
fn is_a_script(row: &Value, kind: &str) -> bool {
    !row[kind].as_str().is_some_and(|word| NO_SCRIPT.contains(&word))
}

fn has(row: &Value, marker: &str) -> bool {
    row.to_string().contains(marker)
}

/// What an activity with our marker says.
fn told(activity: &Value) -> ScriptRun {
    match (activity["statusCode"].as_str(), activity["activityResult"].as_str()) {
        (Some("CANCELLED" | "BLOCKED"), _) | (_, Some("FAILURE" | "UNSUPPORTED" | "UNCOMPLETED")) => ScriptRun::Failed,
        // Done, it says; what counts is the field, which comes with the agent.
        _ => ScriptRun::UnderWay,
    }
}

impl NinjaConnector {
    pub(super) async fn read_script(
        &self,
        call: &mut Call,
        id: &ObjectId,
        marker: &str,
        since_ms: Option<i64>,
    ) -> Answer<ScriptRun> {
        let Some(script) = &self.script else {
            // Which script it was is not known any more.
            return Ok(ScriptRun::Unclear);
        };
        if let Some(value) = self.field(call, id, &script.field).await? {
            if value == marker {
                return Ok(ScriptRun::Done);
            }
            if value.strip_prefix(marker) == Some(FAILED) {
                return Ok(ScriptRun::Failed);
            }
        }
        let ask = Ask::get(device(id).then("jobs"), About::Script);
        let Value::Array(jobs) = self.wire.send(call, &ask).await?.body else {
            return Err(self.misshapen(&ask, "a list of jobs"));
        };
        if jobs.iter().any(|job| has(job, marker)) {
            return Ok(ScriptRun::UnderWay);
        }
        let other = jobs.iter().any(|job| is_a_script(job, "jobType"));
        let from = since_ms.map_or(i64::MIN, |ms| ms.saturating_sub(VENDOR_CLOCK_MS));
        match self.activity(call, id, marker, from).await? {
            ScriptRun::None if other || since_ms.is_none() => Ok(ScriptRun::Unclear),
            run => Ok(run),
        }
    }

    /// What the device's activities say, the newest first, as far back as that time.
    async fn activity(&self, call: &mut Call, id: &ObjectId, marker: &str, since: i64) -> Answer<ScriptRun> {
        let mut older: Option<u64> = None;
        let mut of_others = false;
        for _ in 0..PAGES_MAX {
            let mut path = device(id).then("activities").with("pageSize", PAGE);
            if let Some(older) = older {
                path = path.with("olderThan", &older.to_string());
            }
            let ask = Ask::get(path, About::Script);
            let body = self.wire.send(call, &ask).await?.body;
            let Some(rows) = body["activities"].as_array() else {
                return Err(self.misshapen(&ask, "a list of activities"));
            };
            if let Some(ours) = rows.iter().find(|row| has(row, marker)) {
                return Ok(told(ours));
            }
            let at = |row: &Value| time_ms(&row["activityTime"]).unwrap_or(i64::MAX);
            of_others |= rows
                .iter()
                .any(|row| is_a_script(row, "activityType") && at(row) >= since);
            if rows.iter().map(at).any(|at| at < since) {
                return Ok(if of_others { ScriptRun::Unclear } else { ScriptRun::None });
            }
            // What was there before is not kept any more, so that something may be
            // missing: a device has activities from its first day.
            if rows.is_empty() {
                return Ok(ScriptRun::Unclear);
            }
            let last = rows.iter().filter_map(|row| number(&row["id"])).min();
            let Some(last) = last.filter(|last| older.is_none_or(|older| *last < older)) else {
                let detail = "NinjaOne gives the same activities again in place of older ones; it is read again";
                return Err(self.wire.fault(&ask, FaultClass::Transient, detail));
            };
            older = Some(last);
        }
        // More has happened there than is read.
        Ok(ScriptRun::Unclear)
    }

    pub(super) async fn order_script(&self, call: &mut Call, id: &ObjectId, marker: &str) -> Answer<()> {
        let path = device(id).then("script").then("run");
        let mut body = json!({"type": "SCRIPT", "parameters": marker});
        let Some(script) = &self.script else {
            let ask = Ask::write(Method::POST, path, About::Script, None);
            let detail = "no script is configured for this system; set script_id and script_field";
            return Err(self.wire.fault(&ask, FaultClass::Unsupported, detail));
        };
        body["id"] = json!(script.id);
        if let Some(run_as) = &script.run_as {
            body["runAs"] = json!(run_as);
        }
        let ask = Ask::write(Method::POST, path, About::Script, Some(body)).once();
        self.wire.send(call, &ask).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_may_have_been_a_script() {
        for (word, may_be) in [
            ("ACTION", true),
            ("SCRIPTING", true),
            ("AUTOMATION_V9", true),
            ("SYSTEM", false),
        ] {
            assert_eq!(
                is_a_script(&json!({"activityType": word}), "activityType"),
                may_be,
                "{word}"
            );
        }
        assert!(is_a_script(&json!({}), "activityType"));
    }

    #[test]
    fn an_activity_that_failed_is_no_success_and_a_success_is_not_yet_the_proof() {
        let of = |code: &str, result: Value| told(&json!({"statusCode": code, "activityResult": result}));
        assert_eq!(of("COMPLETED", json!("SUCCESS")), ScriptRun::UnderWay);
        assert_eq!(of("START_REQUESTED", Value::Null), ScriptRun::UnderWay);
        assert_eq!(of("COMPLETED", json!("UNCOMPLETED")), ScriptRun::Failed);
        assert_eq!(of("CANCELLED", Value::Null), ScriptRun::Failed);
    }
}
