//! Transfers of files. Google makes a new one of each order, so they are listed by
//! whose the files were, and a transfer is ours by what it is: from whom, to
//! whom, of which application, and of private files as well as shared ones.

use super::GoogleConnector;
use super::scope::Scope;
use super::wire::{About, Ask, id_of};
use crate::path::Path;
use crate::{Answer, Call, FileTransfer, FileTransfers};
use async_trait::async_trait;
use offboard_domain::{FaultClass, ObjectId};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// By default, shared files alone are transferred: the private ones would be lost.
const PRIVACY: &str = "PRIVACY_LEVEL";
const ALL_FILES: [&str; 2] = ["PRIVATE", "SHARED"];

fn path(what: &'static str) -> Path {
    Path::at("admin").then("datatransfer/v1").then(what)
}

fn levels(params: &Value) -> BTreeSet<&str> {
    let params = params.as_array().into_iter().flatten();
    let privacy = params.filter(|p| p["key"].as_str() == Some(PRIVACY));
    privacy
        .filter_map(|p| p["value"].as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// Whether all files of this application are transferred by it.
fn is_of_all_files(transfer: &Value, application: &str) -> bool {
    let parts = transfer["applicationDataTransfers"].as_array().into_iter().flatten();
    parts
        .filter(|part| id_of(&part["applicationId"]).as_deref() == Some(application))
        .any(|part| {
            let levels = levels(&part["applicationTransferParams"]);
            ALL_FILES.iter().all(|level| levels.contains(level))
        })
}

pub(super) fn time_ms(value: &Value) -> Option<i64> {
    let text = value.as_str()?;
    text.parse::<jiff::Timestamp>()
        .ok()
        .map(jiff::Timestamp::as_millisecond)
}

impl GoogleConnector {
    /// The application whose files can be private or shared, by what it says of
    /// itself and not by its name, which Google has changed before.
    pub(super) async fn files_application(&self, call: &mut Call) -> Answer<String> {
        let ask = |path: Path| Ask::get(path, Scope::Transfers, About::Service);
        let listed = self.wire.list(call, ask, path("applications"), "applications").await?;
        let of_files = listed.iter().filter(|a| {
            let levels = levels(&a["transferParams"]);
            ALL_FILES.iter().all(|level| levels.contains(level))
        });
        let mut ids: Vec<String> = of_files.filter_map(|a| id_of(&a["id"])).collect();
        match (ids.pop(), ids.is_empty()) {
            (Some(id), true) => Ok(id),
            _ => Err(self.wire.fault(
                &ask(path("applications")),
                FaultClass::Unsupported,
                "Google lists no application whose files can be transferred, or more than one; transfer them by hand (Admin console, Apps > Google Workspace > Drive and Docs > Transfer ownership), then waive this",
            )),
        }
    }
}

#[async_trait]
impl FileTransfers for GoogleConnector {
    async fn transfers(&self, call: &mut Call, from: &ObjectId, to: &ObjectId) -> Answer<Vec<FileTransfer>> {
        let application = self.files_application(call).await?;
        let ask = |path: Path| Ask::get(path, Scope::Transfers, About::Account);
        let path = path("transfers")
            .with("oldOwnerUserId", &from.0)
            .with("newOwnerUserId", &to.0);
        let listed = self.wire.list(call, ask, path.clone(), "dataTransfers").await?;
        let is = |value: &Value, who: &ObjectId| id_of(value).as_deref() == Some(who.0.as_str());
        let mut found = Vec::new();
        for transfer in &listed {
            let ours = is(&transfer["oldOwnerUserId"], from) && is(&transfer["newOwnerUserId"], to);
            if !ours || !is_of_all_files(transfer, &application) {
                continue;
            }
            let (Some(id), Some(status)) = (
                id_of(&transfer["id"]),
                transfer["overallTransferStatusCode"].as_str().filter(|s| !s.is_empty()),
            ) else {
                let detail = "Google lists a transfer without saying how far it is; it is read again";
                return Err(self.wire.fault(&ask(path), FaultClass::Transient, detail));
            };
            found.push(FileTransfer {
                id,
                status: status.to_owned(),
                requested_ms: time_ms(&transfer["requestTime"]),
            });
        }
        found.sort_by(|a, b| (b.requested_ms, &b.id).cmp(&(a.requested_ms, &a.id)));
        Ok(found)
    }

    async fn transfer(&self, call: &mut Call, from: &ObjectId, to: &ObjectId) -> Answer<()> {
        let application = self.files_application(call).await?;
        let body = json!({
            "oldOwnerUserId": from.0,
            "newOwnerUserId": to.0,
            "applicationDataTransfers": [{
                "applicationId": application,
                "applicationTransferParams": [{"key": PRIVACY, "value": ALL_FILES}],
            }],
        });
        let ask = Ask::write(
            Method::POST,
            path("transfers"),
            Scope::Transfers,
            About::Change,
            Some(body),
        )
        .once();
        self.wire.send(call, &ask).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_of_shared_files_alone_is_none_of_ours() {
        let of = |application: Value, levels: &[&str]| {
            json!({"applicationDataTransfers": [{
                "applicationId": application,
                "applicationTransferParams": [{"key": "PRIVACY_LEVEL", "value": levels}, {"key": "OTHER", "value": ["PRIVATE"]}],
            }]})
        };
        assert!(is_of_all_files(&of(json!("5"), &["SHARED", "PRIVATE"]), "5"));
        assert!(is_of_all_files(&of(json!(5), &["PRIVATE", "SHARED", "NEW"]), "5"));
        assert!(!is_of_all_files(&of(json!("5"), &["SHARED"]), "5"));
        assert!(!is_of_all_files(&of(json!("6"), &["SHARED", "PRIVATE"]), "5"));
        assert!(!is_of_all_files(&json!({"applicationDataTransfers": "x"}), "5"));
    }
}
