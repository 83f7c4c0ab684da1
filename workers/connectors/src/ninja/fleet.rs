//! The primitives. Each that is about one device reads that device afresh first,
//! and goes on only if it is of our organisation.

use super::find::enabled;
use super::marks::device;
use super::read::{self, number};
use super::wire::{About, Ask};
use super::{NinjaConnector, SILENCED_BECAUSE};
use crate::{Answer, Call, Endpoint, Fleet, FleetOffer, FoundEndpoints, Mark, Marking, ScriptRun, Whose};
use async_trait::async_trait;
use offboard_domain::unplanned::Software;
use offboard_domain::{FaultClass, ObjectId};
use reqwest::Method;
use serde_json::{Value, json};

impl NinjaConnector {
    /// The device's record, which is of our organisation and of that id. Fault
    /// `Absent` when there is none.
    pub(super) async fn record(&self, call: &mut Call, id: &ObjectId) -> Answer<(Ask, Value)> {
        let ask = Ask::get(device(id), About::Device);
        if id.0.parse::<u64>().is_err() {
            let detail = "the id is none that NinjaOne gives; it was not sent";
            return Err(self.wire.fault(&ask, FaultClass::Rejected, detail));
        }
        let body = self.wire.send(call, &ask).await?.body;
        let Some((_, of)) = read::endpoint(&body).filter(|(e, _)| e.id == *id) else {
            return Err(self.misshapen(&ask, "the device of that id"));
        };
        if of != Some(self.organization) {
            let detail = "the device of that id is of another organisation, or does not say of which; it is not touched. See in NinjaOne where it was moved, then waive this";
            return Err(self.wire.fault(&ask, FaultClass::Blocked, detail));
        }
        Ok((ask, body))
    }

    /// That the organisation is there and may be read: else a device that is not
    /// found proves nothing.
    pub(super) async fn organization_is_there(&self, call: &mut Call) -> Answer<Option<i64>> {
        let path = crate::path::Path::at("v2")
            .then("organization")
            .id(&self.organization.to_string());
        let ask = Ask::get(path, About::Organization);
        let reply = self.wire.send(call, &ask).await?;
        if number(&reply.body["id"]) != Some(self.organization) {
            return Err(self.misshapen(&ask, "the organisation of that id"));
        }
        Ok(reply.ahead_ms)
    }
}

#[async_trait]
impl Fleet for NinjaConnector {
    fn offers(&self) -> FleetOffer {
        FleetOffer {
            marks: self.marks(),
            script: self.script.is_some(),
        }
    }

    async fn of(&self, call: &mut Call, who: &Whose) -> Answer<FoundEndpoints> {
        self.find(call, who).await
    }

    async fn logins(&self, call: &mut Call, who: &Whose) -> Answer<Option<Vec<ObjectId>>> {
        Ok(self.technicians(call, who).await?.map(enabled))
    }

    async fn endpoint(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Endpoint>> {
        match self.record(call, id).await {
            Ok((_, body)) => Ok(read::endpoint(&body).map(|(endpoint, _)| endpoint)),
            Err(fault) if fault.class == FaultClass::Absent => {
                self.organization_is_there(call).await?;
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    async fn software(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Vec<Software>>> {
        if self.endpoint(call, id).await?.is_none() {
            return Ok(None);
        }
        let ask = Ask::get(device(id).then("software"), About::Device);
        match self.wire.send(call, &ask).await?.body {
            Value::Array(all) => Ok(Some(all.iter().filter_map(read::software).collect())),
            _ => Err(self.misshapen(&ask, "the list of its software")),
        }
    }

    async fn marking(&self, call: &mut Call, id: &ObjectId, mark: Mark) -> Answer<Marking> {
        self.read_marking(call, id, mark).await
    }

    async fn mark(&self, call: &mut Call, id: &ObjectId, mark: Mark) -> Answer<()> {
        self.record(call, id).await?;
        self.write_mark(call, id, mark).await
    }

    async fn maintain(&self, call: &mut Call, id: &ObjectId, until_ms: i64) -> Answer<()> {
        self.record(call, id).await?;
        // Not `TASKS`: our own script would not run either.
        let body = json!({"disabledFeatures": ["ALERTS"], "end": until_ms, "reasonMessage": SILENCED_BECAUSE});
        let path = device(id).then("maintenance");
        let ask = Ask::write(Method::PUT, path, About::Device, Some(body));
        self.wire.send(call, &ask).await.map(drop)
    }

    async fn script(&self, call: &mut Call, id: &ObjectId, marker: &str, since_ms: Option<i64>) -> Answer<ScriptRun> {
        self.read_script(call, id, marker, since_ms).await
    }

    async fn run_script(&self, call: &mut Call, id: &ObjectId, marker: &str) -> Answer<()> {
        self.record(call, id).await?;
        self.order_script(call, id, marker).await
    }

    async fn clear_owner(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        self.record(call, id).await?;
        let ask = Ask::write(Method::DELETE, device(id).then("owner"), About::Device, None);
        match self.wire.send(call, &ask).await {
            // It had none: the reading afterwards tells.
            Err(fault) if fault.class == FaultClass::Absent => Ok(()),
            done => done.map(drop),
        }
    }

    async fn decommission(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        match self.record(call, id).await {
            Err(fault) if fault.class == FaultClass::Absent => return Ok(()),
            read => drop(read?),
        }
        let ask = Ask::write(Method::POST, device(id).then("decommission"), About::Device, None).once();
        match self.wire.send(call, &ask).await {
            Err(fault) if fault.class == FaultClass::Absent => Ok(()),
            done => done.map(drop),
        }
    }
}
