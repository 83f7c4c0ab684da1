//! The primitives.

use super::ConnectWiseConnector;
use crate::area::desk::{Desk, NewFile, NewTicket, Ticket, TicketFile, numbered, searched};
use crate::path::Path;
use crate::ticketing::{About, Ask, Sent, form, id, number};
use crate::{Answer, Call};
use async_trait::async_trait;
use offboard_domain::{FaultClass, ObjectId};
use reqwest::Method;
use serde_json::{Value, json};

/// How many a page is asked for: the most that there may be.
const PAGE: usize = 1_000;

/// A ticket, and whose it is.
fn ticket(body: &Value) -> Option<(Ticket, u64)> {
    let one = Ticket {
        id: id(&body["id"])?,
        closed: body["closedFlag"].as_bool()?,
    };
    Some((one, number(&body["company"]["id"])?))
}

/// The fields of a document that clients do not see.
fn fields<'a>(ticket: &'a ObjectId, file: &'a NewFile) -> [(&'static str, &'a str); 5] {
    [
        ("recordType", "Ticket"),
        ("recordId", ticket.0.as_str()),
        ("title", file.name.as_str()),
        ("privateFlag", "true"),
        ("readOnlyFlag", "true"),
    ]
}

impl ConnectWiseConnector {
    /// The rows of a list; one that fills a page may go on, and is not believed.
    async fn rows(&self, call: &mut Call, ask: &Ask) -> Answer<Vec<Value>> {
        let Value::Array(rows) = self.send(call, ask).await?.body else {
            return Err(self.wire.misshapen(ask, "a list"));
        };
        if rows.len() >= PAGE {
            let detail = "ConnectWise lists more of these than can be looked through, so that nothing can be known again among them; do this by hand, then waive it";
            return Err(self.wire.fault(ask, FaultClass::Rejected, detail));
        }
        Ok(rows)
    }
}

#[async_trait]
impl Desk for ConnectWiseConnector {
    fn named_by(&self, reference: &str) -> Option<ObjectId> {
        numbered(self.settings.adopt_prefix.as_deref(), reference)
    }

    async fn ticket(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Ticket>> {
        let ask = Ask::get(Path::at("service").then("tickets").id(&id.0), About::Ticket);
        let body = match self.send(call, &ask).await {
            Ok(reply) => reply.body,
            Err(fault) if fault.class == FaultClass::Absent => {
                self.company_is_there(call).await?;
                return Ok(None);
            }
            Err(fault) => return Err(fault),
        };
        let Some((ticket, of)) = ticket(&body) else {
            return Err(self.wire.misshapen(&ask, "a ticket"));
        };
        Ok((of == self.settings.company_id).then_some(ticket))
    }

    async fn marked(&self, call: &mut Call, marker: &str) -> Answer<Vec<Ticket>> {
        let own = &self.settings;
        // The marker's inside is letters, digits and hyphens: it cannot end the text.
        let wanted = format!(
            "summary contains \"{}\" and company/id={}",
            searched(marker),
            own.company_id
        );
        let path = Path::at("service")
            .then("tickets")
            .with("conditions", &wanted)
            .with("orderBy", "id asc")
            .with("pageSize", &PAGE.to_string());
        let ask = Ask::get(path, About::List);
        let mut found = Vec::new();
        for row in self.rows(call, &ask).await? {
            let Some((ticket, of)) = ticket(&row) else {
                return Err(self.wire.misshapen(&ask, "a list of tickets"));
            };
            let marked = row["summary"].as_str().is_some_and(|s| s.contains(marker));
            if marked && of == own.company_id {
                found.push(ticket);
            }
        }
        found.sort_by_key(|t| t.id.0.parse::<u64>().unwrap_or(u64::MAX));
        Ok(found)
    }

    async fn open(&self, call: &mut Call, new: &NewTicket) -> Answer<Option<ObjectId>> {
        let own = &self.settings;
        let mut ticket = json!({
            "summary": new.title,
            "initialDescription": new.text,
            "company": {"id": own.company_id},
            "board": {"id": own.board_id},
        });
        let urgent = own.urgent_priority_id.filter(|_| new.urgent);
        if let Some(priority) = urgent.or(own.priority_id) {
            ticket["priority"] = json!({"id": priority});
        }
        let ask = Ask::once(Path::at("service").then("tickets"), About::Ticket, Sent::Json(ticket));
        let body = self.send(call, &ask).await?.body;
        Ok(id(&body["id"]))
    }

    async fn noted(&self, call: &mut Call, id: &ObjectId, marker: &str) -> Answer<bool> {
        let path = Path::at("service").then("tickets").id(&id.0).then("notes");
        let ask = Ask::get(path.with("pageSize", &PAGE.to_string()), About::Note);
        let rows = self.rows(call, &ask).await?;
        let has = |row: &Value| row["text"].as_str().is_some_and(|t| t.contains(marker));
        Ok(rows.iter().any(has))
    }

    async fn note(&self, call: &mut Call, id: &ObjectId, text: &str) -> Answer<()> {
        let path = Path::at("service").then("tickets").id(&id.0).then("notes");
        let note = json!({
            "text": text,
            "internalAnalysisFlag": true,
            "detailDescriptionFlag": false,
            "resolutionFlag": false,
        });
        let ask = Ask::once(path, About::Note, Sent::Json(note));
        self.send(call, &ask).await.map(drop)
    }

    async fn files(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<TicketFile>> {
        let path = Path::at("system")
            .then("documents")
            .with("recordType", "Ticket")
            .with("recordId", &id.0)
            .with("pageSize", &PAGE.to_string());
        let ask = Ask::get(path, About::File);
        let rows = self.rows(call, &ask).await?;
        let file = |row: &Value| {
            // Its own name may have been made to fit; the title is as it was given.
            let name = row["title"].as_str().or_else(|| row["fileName"].as_str())?;
            Some(TicketFile {
                name: name.to_owned(),
                size_bytes: number(&row["size"]),
            })
        };
        Ok(rows.iter().filter_map(file).collect())
    }

    async fn attach(&self, call: &mut Call, id: &ObjectId, file: &NewFile) -> Answer<()> {
        let (media_type, body) = form(&fields(id, file), file);
        let path = Path::at("system").then("documents");
        let ask = Ask::once(path, About::File, Sent::Bytes(media_type, body));
        self.send(call, &ask).await.map(drop)
    }

    async fn close(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        let path = Path::at("service").then("tickets").id(&id.0);
        let status = json!({"id": self.settings.closed_status_id});
        let patch = json!([{"op": "replace", "path": "status", "value": status}]);
        let ask = Ask::write(Method::PATCH, path, About::Ticket, patch);
        self.send(call, &ask).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_that_does_not_say_whether_it_is_closed_is_none() {
        let full = json!({"id": 7, "company": {"id": 12}, "closedFlag": true});
        let (read, of) = ticket(&full).unwrap();
        assert_eq!((read.id.0.as_str(), read.closed, of), ("7", true, 12));
        for missing in ["id", "company", "closedFlag"] {
            let mut less = full.clone();
            less.as_object_mut().unwrap().remove(missing);
            assert_eq!(ticket(&less), None, "{missing}");
        }
    }
}
