//! The primitives.

use super::AutotaskConnector;
use crate::area::desk::{Desk, NewFile, NewTicket, Ticket, TicketFile, numbered, searched};
use crate::path::Path;
use crate::ticketing::{About, Ask, Sent, id, number};
use crate::{Answer, Call};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use offboard_domain::{FaultClass, ObjectId};
use reqwest::Method;
use serde_json::{Value, json};

/// How many are asked for: the most that there may be.
const LISTED_MAX: usize = 500;

/// The largest file that is taken, in bytes: a little less than is said to be.
const FILE_MAX_BYTES: usize = 6_000_000;

fn equal(field: &str, value: &Value) -> Value {
    json!({"op": "eq", "field": field, "value": value})
}

impl AutotaskConnector {
    /// A ticket, and whose it is. A ticket does not say whether it is closed: its
    /// status does.
    fn read(&self, item: &Value) -> Option<(Ticket, u64)> {
        let one = Ticket {
            id: id(&item["id"])?,
            closed: number(&item["status"])? == self.settings.closed_status_id,
        };
        Some((one, number(&item["companyID"])?))
    }

    /// What a query finds; what goes on on another page is not believed.
    async fn found(
        &self,
        call: &mut Call,
        list: &'static str,
        about: About,
        filter: Value,
    ) -> Answer<(Ask, Vec<Value>)> {
        let query = json!({"filter": filter, "MaxRecords": LISTED_MAX});
        let ask = Ask::query(Path::at(list).then("query"), about, query);
        let body = self.send(call, &ask).await?.body;
        let Some(items) = body["items"].as_array() else {
            return Err(self.wire.misshapen(&ask, "a list"));
        };
        if !body["pageDetails"]["nextPageUrl"].is_null() || items.len() >= LISTED_MAX {
            let detail = "Autotask finds more of these than can be looked through, so that nothing can be known again among them; do this by hand, then waive it";
            return Err(self.wire.fault(&ask, FaultClass::Rejected, detail));
        }
        Ok((ask, items.clone()))
    }

    fn one(id: &ObjectId) -> Value {
        json!(number(&json!(id.0)))
    }
}

#[async_trait]
impl Desk for AutotaskConnector {
    fn named_by(&self, reference: &str) -> Option<ObjectId> {
        numbered(self.settings.adopt_prefix.as_deref(), reference)
    }

    async fn ticket(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Ticket>> {
        let ask = Ask::get(Path::at("Tickets").id(&id.0), About::Ticket);
        let (item, _) = self.item(call, &ask).await?;
        if item.is_null() {
            self.company_is_there(call).await?;
            return Ok(None);
        }
        let Some((ticket, of)) = self.read(&item) else {
            return Err(self.wire.misshapen(&ask, "a ticket"));
        };
        Ok((of == self.settings.company_id).then_some(ticket))
    }

    async fn marked(&self, call: &mut Call, marker: &str) -> Answer<Vec<Ticket>> {
        let own = &self.settings;
        let title = json!({"op": "contains", "field": "title", "value": searched(marker)});
        let filter = json!([equal("companyID", &json!(own.company_id)), title]);
        let (ask, items) = self.found(call, "Tickets", About::List, filter).await?;
        let mut found = Vec::new();
        for item in items {
            let Some((ticket, of)) = self.read(&item) else {
                return Err(self.wire.misshapen(&ask, "a list of tickets"));
            };
            let marked = item["title"].as_str().is_some_and(|t| t.contains(marker));
            if marked && of == own.company_id {
                found.push(ticket);
            }
        }
        found.sort_by_key(|t| t.id.0.parse::<u64>().unwrap_or(u64::MAX));
        Ok(found)
    }

    async fn open(&self, call: &mut Call, new: &NewTicket) -> Answer<Option<ObjectId>> {
        let own = &self.settings;
        let urgent = own.urgent_priority_id.filter(|_| new.urgent);
        let ticket = json!({
            "companyID": own.company_id,
            "title": new.title,
            "description": new.text,
            "queueID": own.queue_id,
            "status": own.new_status_id,
            "priority": urgent.unwrap_or(own.priority_id),
        });
        let ask = Ask::once(Path::at("Tickets"), About::Ticket, Sent::Json(ticket));
        let body = self.send(call, &ask).await?.body;
        Ok(id(&body["itemId"]))
    }

    async fn noted(&self, call: &mut Call, id: &ObjectId, marker: &str) -> Answer<bool> {
        let filter = json!([equal("ticketID", &Self::one(id))]);
        let (_, items) = self.found(call, "TicketNotes", About::Note, filter).await?;
        let has = |item: &Value| item["description"].as_str().is_some_and(|t| t.contains(marker));
        Ok(items.iter().any(has))
    }

    async fn note(&self, call: &mut Call, id: &ObjectId, text: &str) -> Answer<()> {
        let note = json!({
            "title": "Offboard",
            "description": text,
            "noteType": self.settings.note_type_id,
            "publish": self.settings.publish_id,
        });
        let path = Path::at("Tickets").id(&id.0).then("Notes");
        let ask = Ask::once(path, About::Note, Sent::Json(note));
        self.send(call, &ask).await.map(drop)
    }

    async fn files(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<TicketFile>> {
        let filter = json!([equal("parentID", &Self::one(id))]);
        let (_, items) = self.found(call, "TicketAttachments", About::File, filter).await?;
        let file = |item: &Value| {
            Some(TicketFile {
                name: item["title"].as_str()?.to_owned(),
                size_bytes: number(&item["fileSize"]),
            })
        };
        Ok(items.iter().filter_map(file).collect())
    }

    async fn attach(&self, call: &mut Call, id: &ObjectId, file: &NewFile) -> Answer<()> {
        let attachment = json!({
            "attachmentType": "FILE_ATTACHMENT",
            "title": file.name,
            "fullPath": file.name,
            "publish": self.settings.publish_id,
            "data": STANDARD.encode(&file.bytes),
        });
        let path = Path::at("Tickets").id(&id.0).then("Attachments");
        let ask = Ask::once(path, About::File, Sent::Json(attachment));
        if file.bytes.len() > FILE_MAX_BYTES {
            let detail = "the file is larger than Autotask takes; attach it by hand, then waive this";
            return Err(self.wire.fault(&ask, FaultClass::Rejected, detail));
        }
        self.send(call, &ask).await.map(drop)
    }

    async fn close(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        let change = json!({"id": Self::one(id), "status": self.settings.closed_status_id});
        let ask = Ask::write(Method::PATCH, Path::at("Tickets"), About::Ticket, change);
        self.send(call, &ask).await.map(drop)
    }
}
