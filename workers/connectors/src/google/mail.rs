//! Mail settings, as the person himself: an administrator cannot change them, and
//! of a suspended account nobody can.

use super::GoogleConnector;
use super::scope::Scope;
use super::wire::{About, Ask, id_of};
use crate::path::Path;
use crate::{Answer, Call, MailChange, Member, WorkspaceMail, WorkspaceMailSettings};
use async_trait::async_trait;
use offboard_domain::FaultClass;
use reqwest::Method;
use serde_json::{Value, json};

/// What Google calls an address, or a delegate, that may be used.
const ACCEPTED: &str = "accepted";
/// The status that says that it is there already.
const THERE_ALREADY: u16 = 409;

fn settings(what: &'static str) -> Path {
    Path::at("gmail").then("v1/users/me/settings").then(what)
}

/// A number that Google writes as a text.
fn millis(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_str()?.parse().ok())
        .filter(|ms| *ms > 0)
}

/// The text that everybody gets, from now on and without an end.
fn reply(vacation: &Value, now_ms: i64) -> Option<String> {
    let on = vacation["enableAutoReply"].as_bool() == Some(true);
    let limited = ["restrictToContacts", "restrictToDomain"]
        .iter()
        .any(|name| vacation[*name].as_bool() == Some(true));
    let ends = millis(&vacation["endTime"]).is_some();
    let begun = millis(&vacation["startTime"]).is_none_or(|ms| ms <= now_ms);
    if !on || limited || ends || !begun {
        return None;
    }
    let text = |name: &str| vacation[name].as_str().filter(|t| !t.is_empty()).map(str::to_owned);
    // Where both are there, Google sends the first.
    text("responseBodyHtml").or_else(|| text("responseBodyPlainText"))
}

/// The filters that forward, by their ids.
fn forwarding_filters(body: &Value) -> Vec<String> {
    let all = body["filter"].as_array().into_iter().flatten();
    let forwarding = all.filter(|f| f["action"]["forward"].as_str().is_some_and(|to| !to.is_empty()));
    let mut ids: Vec<String> = forwarding.filter_map(|f| id_of(&f["id"])).collect();
    ids.sort_unstable();
    ids
}

impl GoogleConnector {
    async fn read_mail(&self, call: &mut Call, member: &Member, what: &'static str) -> Answer<Value> {
        let ask = Ask::get(settings(what), Scope::MailSettings, About::Mail).acting_for(&member.address);
        Ok(self.wire.send(call, &ask).await?.body)
    }

    async fn write_mail(
        &self,
        call: &mut Call,
        member: &Member,
        (method, path, scope): (Method, Path, Scope),
        body: Option<Value>,
    ) -> Answer<Value> {
        let ask = Ask::write(method, path, scope, About::Mail, body).acting_for(&member.address);
        Ok(self.wire.send(call, &ask).await?.body)
    }

    /// Adds an address to one of the lists; there already is success.
    async fn add_address(&self, call: &mut Call, member: &Member, list: &'static str, body: Value) -> Answer<()> {
        let to = (Method::POST, settings(list), Scope::MailSharing);
        match self.write_mail(call, member, to, Some(body)).await {
            Err(fault) if fault.status == Some(THERE_ALREADY) => Ok(()),
            done => done.map(drop),
        }
    }

    async fn stop_filters(&self, call: &mut Call, member: &Member) -> Answer<()> {
        let filters = self.read_mail(call, member, "filters").await?;
        for id in forwarding_filters(&filters) {
            let what = (Method::DELETE, settings("filters").id(&id), Scope::MailSettings);
            match self.write_mail(call, member, what, None).await {
                Err(fault) if fault.class == FaultClass::Absent => {}
                done => drop(done?),
            }
        }
        Ok(())
    }

    async fn forward_to(&self, call: &mut Call, member: &Member, to: &Member) -> Answer<()> {
        let address = json!({"forwardingEmail": to.address});
        self.add_address(call, member, "forwardingAddresses", address).await?;
        let listed = self.read_mail(call, member, "forwardingAddresses").await?;
        let listed = listed["forwardingAddresses"].as_array().into_iter().flatten();
        let pending = listed
            .filter(|a| a["forwardingEmail"].as_str().is_some_and(|a| to.answers_to(a)))
            .any(|a| a["verificationStatus"].as_str() != Some(ACCEPTED));
        if pending {
            let ask = Ask::get(settings("forwardingAddresses"), Scope::MailSharing, About::Mail);
            let detail = "Gmail asks the successor to confirm that mail may be forwarded to him (an address outside of the company); have him follow the link in that message, then retry";
            return Err(self.wire.fault(&ask, FaultClass::Blocked, detail));
        }
        let on = json!({"enabled": true, "emailAddress": to.address, "disposition": "leaveInInbox"});
        let put = (Method::PUT, settings("autoForwarding"), Scope::MailSharing);
        self.write_mail(call, member, put, Some(on)).await?;
        self.stop_filters(call, member).await
    }
}

#[async_trait]
impl WorkspaceMail for GoogleConnector {
    async fn mail_settings(&self, call: &mut Call, member: &Member) -> Answer<WorkspaceMailSettings> {
        let vacation = self.read_mail(call, member, "vacation").await?;
        let forwarding = self.read_mail(call, member, "autoForwarding").await?;
        let delegates = self.read_mail(call, member, "delegates").await?;
        let filters = self.read_mail(call, member, "filters").await?;
        let whole = json!({
            "vacation": vacation, "autoForwarding": forwarding, "delegates": delegates, "filters": filters,
        });
        let on = forwarding["enabled"].as_bool() == Some(true);
        let to = forwarding["emailAddress"].as_str().unwrap_or_default();
        // Everything that Google may do with it but throw it away.
        let kept = matches!(
            forwarding["disposition"].as_str(),
            Some("leaveInInbox" | "archive" | "markRead")
        );
        let delegates = delegates["delegates"].as_array().into_iter().flatten();
        let let_in = delegates.filter(|d| d["verificationStatus"].as_str() == Some(ACCEPTED));
        Ok(WorkspaceMailSettings {
            reply: reply(&vacation, call.now().0),
            forwards_to: on.then(|| to.to_owned()),
            keeps_copy: kept,
            forwarding_filters: forwarding_filters(&filters),
            delegates: let_in
                .filter_map(|d| d["delegateEmail"].as_str().map(str::to_owned))
                .collect(),
            whole,
        })
    }

    async fn change_mail(&self, call: &mut Call, member: &Member, change: &MailChange) -> Answer<()> {
        match change {
            MailChange::Reply { text } => {
                let body = json!({
                    "enableAutoReply": true, "responseBodyPlainText": text,
                    "restrictToContacts": false, "restrictToDomain": false,
                });
                let put = (Method::PUT, settings("vacation"), Scope::MailSettings);
                self.write_mail(call, member, put, Some(body)).await.map(drop)
            }
            MailChange::ForwardTo(to) => self.forward_to(call, member, to).await,
            MailChange::StopForwarding => {
                let put = (Method::PUT, settings("autoForwarding"), Scope::MailSharing);
                self.write_mail(call, member, put, Some(json!({"enabled": false})))
                    .await?;
                self.stop_filters(call, member).await
            }
            MailChange::LetIn(who) => {
                let body = json!({"delegateEmail": who.address});
                self.add_address(call, member, "delegates", body).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_counts_only_if_everybody_gets_it() {
        let all = json!({"enableAutoReply": true, "responseBodyPlainText": "gone"});
        let with = |name: &str, value: Value| {
            let mut vacation = all.clone();
            vacation[name] = value;
            reply(&vacation, 1_000)
        };
        assert_eq!(reply(&all, 0).as_deref(), Some("gone"));
        assert_eq!(with("enableAutoReply", json!("true")), None);
        assert_eq!(with("restrictToContacts", json!(true)), None);
        assert_eq!(with("restrictToDomain", json!(true)), None);
        assert_eq!(with("endTime", json!("5000")), None);
        assert_eq!(with("startTime", json!("1001")), None);
        assert_eq!(with("startTime", json!("1000")).as_deref(), Some("gone"));
        assert_eq!(with("endTime", json!("0")).as_deref(), Some("gone"));
        assert_eq!(
            with("responseBodyHtml", json!("<b>other</b>")).as_deref(),
            Some("<b>other</b>")
        );
    }
}
