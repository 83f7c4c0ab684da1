//! Phones and tablets that hold an account's data. Google's Directory does not
//! say whose a device is; so nothing here can wipe more than the account.

use super::GoogleConnector;
use super::scope::Scope;
use super::wire::{About, Ask, id_of};
use crate::path::Path;
use crate::{Answer, Call, Member, Phone, Phones};
use async_trait::async_trait;
use offboard_domain::{FaultClass, ObjectId};
use reqwest::Method;
use serde_json::{Value, json};

const PAGE: &str = "100";

fn devices() -> Path {
    Path::at("admin").then("directory/v1/customer/my_customer/devices/mobile")
}

fn phone(whole: Value) -> Option<Phone> {
    let owners = whole["email"].as_array().into_iter().flatten();
    Some(Phone {
        id: ObjectId(id_of(&whole["resourceId"])?),
        status: whole["status"].as_str()?.to_owned(),
        owners: owners.filter_map(Value::as_str).map(str::to_owned).collect(),
        serial: whole["serialNumber"]
            .as_str()
            .filter(|s| !s.is_empty())
            .map(str::to_owned),
        whole,
    })
}

#[async_trait]
impl Phones for GoogleConnector {
    async fn phones(&self, call: &mut Call, member: &Member) -> Answer<Vec<Phone>> {
        let ask = |path: Path| Ask::get(path, Scope::Phones, About::Service);
        let path = devices()
            .with("maxResults", PAGE)
            .with("projection", "FULL")
            .with("query", &format!("email:{}", member.address));
        let listed = self.wire.list(call, ask, path.clone(), "mobiledevices").await?;
        let mut found = Vec::with_capacity(listed.len());
        for one in listed {
            let Some(one) = phone(one) else {
                let detail = "Google lists a device without its id or its status; it is read again";
                return Err(self.wire.fault(&ask(path), FaultClass::Transient, detail));
            };
            // The search finds also what begins alike.
            if one.owners.iter().any(|owner| member.answers_to(owner)) {
                found.push(one);
            }
        }
        found.sort_by(|a, b| a.id.cmp(&b.id));
        found.dedup_by(|a, b| a.id == b.id);
        Ok(found)
    }

    async fn phone(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Phone>> {
        let path = devices().id(&id.0).with("projection", "FULL");
        let ask = Ask::get(path, Scope::Phones, About::Account);
        let reply = match self.wire.send(call, &ask).await {
            Ok(reply) => reply,
            Err(fault) if fault.class == FaultClass::Absent => return Ok(None),
            Err(fault) => return Err(fault),
        };
        match phone(reply.body) {
            Some(phone) if phone.id == *id => Ok(Some(phone)),
            _ => {
                let detail = "Google answers with something else than the device of that id; it is read again";
                Err(self.wire.fault(&ask, FaultClass::Transient, detail))
            }
        }
    }

    async fn wipe_account(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        let body = json!({"action": "admin_account_wipe"});
        let path = devices().id(&id.0).then("action");
        let ask = Ask::write(Method::POST, path, Scope::Phones, About::Change, Some(body));
        self.wire.send(call, &ask).await.map(drop)
    }
}
