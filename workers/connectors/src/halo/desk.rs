//! The primitives.

use super::HaloConnector;
use crate::area::desk::{Desk, NewFile, NewTicket, Ticket, TicketFile, numbered, searched};
use crate::path::Path;
use crate::ticketing::{About, Ask, Sent, id, number};
use crate::{Answer, Call};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use offboard_domain::{Fault, FaultClass, ObjectId};
use reqwest::Method;
use serde_json::{Value, json};

/// How many a page of tickets is asked for, and how many HaloPSA lists that is not asked
/// for a number, or pays no heed to it.
const PAGE: usize = 50;
/// The most pages of tickets: a marker is in a handful at most.
const PAGES_MAX: usize = 20;
/// The most notes and files that are asked for at once; there is no next page.
const LISTED_MAX: &str = "1000";

/// A ticket, and whose it is.
fn ticket(body: &Value) -> Option<(Ticket, u64)> {
    let one = Ticket {
        id: id(&body["id"])?,
        closed: body["hasbeenclosed"].as_bool()?,
    };
    Some((one, number(&body["client_id"])?))
}

/// Our own lines as HaloPSA shows them.
fn html(text: &str) -> String {
    let safe = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    safe.replace('\n', "<br>")
}

/// What was opened: the record, or a list of it.
fn opened(body: &Value) -> Option<ObjectId> {
    id(&body["id"]).or_else(|| id(&body[0]["id"]))
}

/// Whether a list that has no next page is whole. Who does not say how many there are may
/// have given a page of his own.
fn is_whole(body: &Value, rows: usize) -> bool {
    match number(&body["record_count"]) {
        Some(all) => all <= rows as u64,
        None => rows < PAGE,
    }
}

impl HaloConnector {
    /// The rows of a list that has no next page, and whether these are all.
    async fn rows(&self, call: &mut Call, ask: &Ask, name: &str) -> Answer<(Vec<Value>, bool)> {
        let body = self.send(call, ask).await?.body;
        let Some(rows) = body[name].as_array() else {
            return Err(self.wire.misshapen(ask, "a list"));
        };
        Ok((rows.clone(), is_whole(&body, rows.len())))
    }

    fn cut_short(&self, ask: &Ask) -> Fault {
        let detail = "the ticket has more of these than HaloPSA lists at once, or it does not say how many there are, so that nothing can be known again among them; do this by hand, then waive it";
        self.wire.fault(ask, FaultClass::Rejected, detail)
    }
}

#[async_trait]
impl Desk for HaloConnector {
    fn named_by(&self, reference: &str) -> Option<ObjectId> {
        numbered(self.settings.adopt_prefix.as_deref(), reference)
    }

    async fn ticket(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Ticket>> {
        let path = Path::at("Tickets").id(&id.0).with("includedetails", "true");
        let ask = Ask::get(path, About::Ticket);
        let body = match self.send(call, &ask).await {
            Ok(reply) => reply.body,
            Err(fault) if fault.class == FaultClass::Absent => Value::Null,
            Err(fault) => return Err(fault),
        };
        if body.is_null() {
            self.client_is_there(call).await?;
            return Ok(None);
        }
        let Some((ticket, of)) = ticket(&body) else {
            return Err(self.wire.misshapen(&ask, "a ticket"));
        };
        Ok((of == self.settings.client_id).then_some(ticket))
    }

    async fn marked(&self, call: &mut Call, marker: &str) -> Answer<Vec<Ticket>> {
        let mut found = Vec::new();
        let mut read = 0;
        for page in 1.. {
            let path = Path::at("Tickets")
                .with("pageinate", "true")
                .with("page_size", &PAGE.to_string())
                .with("page_no", &page.to_string())
                .with("client_id", &self.settings.client_id.to_string())
                .with("includeclosed", "true")
                .with("search", searched(marker));
            let ask = Ask::get(path, About::List);
            let body = self.send(call, &ask).await?.body;
            let (Some(rows), Some(all)) = (body["tickets"].as_array(), number(&body["record_count"])) else {
                return Err(self.wire.misshapen(&ask, "a list of tickets"));
            };
            for row in rows {
                let ours = number(&row["client_id"]) == Some(self.settings.client_id);
                let marked = row["summary"].as_str().is_some_and(|s| s.contains(marker));
                if let (true, Some(id)) = (ours && marked, id(&row["id"])) {
                    found.push(id);
                }
            }
            read += rows.len() as u64;
            if read >= all || rows.is_empty() {
                break;
            }
            // Were it cut short, a ticket could be missed and opened again.
            if page == PAGES_MAX {
                let detail = "HaloPSA finds far more tickets by the case's marker than can have it, so that the search cannot be believed; open the ticket by hand, then waive this";
                return Err(self.wire.fault(&ask, FaultClass::Rejected, detail));
            }
        }
        found.sort_by_key(|id| id.0.parse::<u64>().unwrap_or(u64::MAX));
        found.dedup();
        let mut tickets = Vec::new();
        for id in found {
            // A list does not say whether it is closed.
            tickets.extend(self.ticket(call, &id).await?);
        }
        Ok(tickets)
    }

    async fn open(&self, call: &mut Call, new: &NewTicket) -> Answer<Option<ObjectId>> {
        let own = &self.settings;
        let mut ticket = json!({
            "summary": new.title,
            "details_html": html(&new.text),
            "client_id": own.client_id,
            "tickettype_id": own.ticket_type_id,
            // Of nobody: the client's own contact is not told.
            "userlookup": {"id": -1, "lookupdisplay": "Enter Details Manually"},
            "donotapplytemplateintheapi": true,
        });
        if let Some(site) = own.site_id {
            ticket["site_id"] = json!(site);
        }
        let urgent = own.urgent_priority_id.filter(|_| new.urgent);
        if let Some(priority) = urgent.or(own.priority_id) {
            ticket["priority_id"] = json!(priority);
        }
        let ask = Ask::once(Path::at("Tickets"), About::Ticket, Sent::Json(json!([ticket])));
        let body = self.send(call, &ask).await?.body;
        Ok(opened(&body))
    }

    async fn noted(&self, call: &mut Call, id: &ObjectId, marker: &str) -> Answer<bool> {
        let path = Path::at("Actions")
            .with("ticket_id", &id.0)
            .with("count", LISTED_MAX)
            .with("excludesys", "true")
            .with("includehtmlnote", "true");
        let ask = Ask::get(path, About::Note);
        let (rows, whole) = self.rows(call, &ask, "actions").await?;
        let has = |text: &Value| text.as_str().is_some_and(|t| t.contains(marker));
        let noted = rows.iter().any(|row| has(&row["note"]) || has(&row["note_html"]));
        // What is not among some of them may be among the others.
        if noted || whole {
            Ok(noted)
        } else {
            Err(self.cut_short(&ask))
        }
    }

    async fn note(&self, call: &mut Call, id: &ObjectId, text: &str) -> Answer<()> {
        let note = json!({
            "ticket_id": number(&json!(id.0)),
            "outcome_id": self.settings.note_outcome_id,
            "note_html": html(text),
            "hiddenfromuser": true,
        });
        let ask = Ask::once(Path::at("Actions"), About::Note, Sent::Json(json!([note])));
        self.send(call, &ask).await.map(drop)
    }

    async fn files(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<TicketFile>> {
        let path = Path::at("Attachment")
            .with("ticket_id", &id.0)
            .with("count", LISTED_MAX);
        let ask = Ask::get(path, About::File);
        let (rows, whole) = self.rows(call, &ask, "attachments").await?;
        if !whole {
            return Err(self.cut_short(&ask));
        }
        let file = |row: &Value| {
            Some(TicketFile {
                name: row["filename"].as_str()?.to_owned(),
                size_bytes: number(&row["filesize"]),
            })
        };
        Ok(rows.iter().filter_map(file).collect())
    }

    async fn attach(&self, call: &mut Call, id: &ObjectId, file: &NewFile) -> Answer<()> {
        let data = STANDARD.encode(&file.bytes);
        let attachment = json!({
            "ticket_id": number(&json!(id.0)),
            "filename": file.name,
            "data_base64": format!("data:{};base64,{data}", file.media_type),
            "showforusers": false,
        });
        let ask = Ask::once(Path::at("Attachment"), About::File, Sent::Json(json!([attachment])));
        self.send(call, &ask).await.map(drop)
    }

    async fn close(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        let change = json!({
            "id": number(&json!(id.0)),
            "status_id": self.settings.closed_status_id,
        });
        let ask = Ask::write(Method::POST, Path::at("Tickets"), About::Ticket, json!([change]));
        self.send(call, &ask).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_that_does_not_say_whether_it_is_closed_is_none() {
        let full = json!({"id": 7, "client_id": "12", "hasbeenclosed": false});
        let (read, of) = ticket(&full).unwrap();
        assert_eq!((read.id.0.as_str(), read.closed, of), ("7", false, 12));
        for missing in ["id", "client_id", "hasbeenclosed"] {
            let mut less = full.clone();
            less.as_object_mut().unwrap().remove(missing);
            assert_eq!(ticket(&less), None, "{missing}");
        }
    }

    #[test]
    fn what_was_opened_is_a_record_or_a_list_of_it() {
        let ids = [json!({"id": 7}), json!([{"id": 7}])].map(|body| opened(&body).map(|id| id.0));
        assert_eq!(ids, [Some("7".to_owned()), Some("7".to_owned())]);
        assert_eq!(opened(&json!([])), None);
    }

    #[test]
    fn a_list_is_whole_when_it_says_so_or_is_shorter_than_any_page() {
        for (said, rows, whole) in [
            (json!({"record_count": 3}), 3, true),
            (json!({"record_count": "200"}), 200, true),
            (json!({"record_count": 4}), 3, false),
            (json!({}), PAGE - 1, true),
            (json!({}), PAGE, false),
            (json!({"record_count": null}), 1_000, false),
        ] {
            assert_eq!(is_whole(&said, rows), whole, "{said} {rows}");
        }
    }

    #[test]
    fn our_lines_stay_lines_and_nothing_else() {
        assert_eq!(html("a <b> & c\nd"), "a &lt;b&gt; &amp; c<br>d");
    }
}
