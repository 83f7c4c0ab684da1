//! ChromeOS devices: those that an administrator noted as somebody's. Who merely
//! signed in on one lately is not asked for: laptops are lent and shared. They
//! are disabled, which can be undone, and never deprovisioned, which cannot.

use super::GoogleConnector;
use super::scope::Scope;
use super::wire::{About, Ask, id_of};
use crate::path::Path;
use crate::{Answer, Call, Laptop, Laptops, Member};
use async_trait::async_trait;
use offboard_domain::{FaultClass, ObjectId};
use reqwest::Method;
use serde_json::{Value, json};

const PAGE: &str = "100";
const DISABLE: &str = "CHANGE_CHROME_OS_DEVICE_STATUS_ACTION_DISABLE";

fn customer() -> Path {
    Path::at("admin").then("directory/v1/customer/my_customer/devices")
}

fn laptop(row: &Value) -> Option<Laptop> {
    let text = |name: &str| row[name].as_str().map(str::trim).filter(|text| !text.is_empty());
    Some(Laptop {
        id: ObjectId(id_of(&row["deviceId"])?),
        status: row["status"].as_str()?.to_owned(),
        serial: text("serialNumber").map(str::to_owned),
        noted: text("annotatedUser").map(str::to_owned),
    })
}

#[async_trait]
impl Laptops for GoogleConnector {
    async fn laptops(&self, call: &mut Call, member: &Member) -> Answer<Vec<Laptop>> {
        let ask = |path: Path| Ask::get(path, Scope::Laptops, About::Service);
        let path = customer()
            .then("chromeos")
            .with("maxResults", PAGE)
            .with("projection", "FULL")
            .with("query", &format!("user:{}", member.address));
        let listed = self.wire.list(call, ask, path.clone(), "chromeosdevices").await?;
        let mut found = Vec::new();
        for one in &listed {
            let noted = one["annotatedUser"].as_str().unwrap_or_default();
            // The search finds also what begins alike.
            if !member.answers_to(noted.trim()) {
                continue;
            }
            let Some(one) = laptop(one) else {
                let detail = "Google lists a device without its id or its status; it is read again";
                return Err(self.wire.fault(&ask(path), FaultClass::Transient, detail));
            };
            found.push(one);
        }
        found.sort_by(|a, b| a.id.cmp(&b.id));
        found.dedup_by(|a, b| a.id == b.id);
        Ok(found)
    }

    async fn laptop(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Laptop>> {
        let path = customer().then("chromeos").id(&id.0).with("projection", "FULL");
        let ask = Ask::get(path, Scope::Laptops, About::Account);
        let reply = match self.wire.send(call, &ask).await {
            Ok(reply) => reply,
            Err(fault) if fault.class == FaultClass::Absent => return Ok(None),
            Err(fault) => return Err(fault),
        };
        match laptop(&reply.body) {
            Some(laptop) if laptop.id == *id => Ok(Some(laptop)),
            _ => {
                let detail = "Google answers with something else than the device of that id; it is read again";
                Err(self.wire.fault(&ask, FaultClass::Transient, detail))
            }
        }
    }

    async fn disable_laptop(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        let body = json!({"deviceIds": [id.0], "changeChromeOsDeviceStatusAction": DISABLE});
        let path = customer().then("chromeos:batchChangeStatus");
        let ask = Ask::write(Method::POST, path, Scope::Laptops, About::Change, Some(body));
        let reply = self.wire.send(call, &ask).await?;
        // A batch is accepted also when none of it was done.
        let results = reply.body["changeChromeOsDeviceStatusResults"]
            .as_array()
            .into_iter()
            .flatten();
        let refused = results
            .filter(|r| id_of(&r["deviceId"]).as_deref() == Some(id.0.as_str()))
            .any(|r| r["error"].is_object());
        if refused {
            call.note_refused();
            let detail = "Google does not let this device be disabled as it stands; look at it (Admin console, Devices > Chrome), then retry, or waive this with what you saw";
            return Err(self.wire.fault(&ask, FaultClass::Blocked, detail));
        }
        Ok(())
    }
}
