//! The primitives of a service desk.

use super::Fake;
use super::state::DeskRow;
use async_trait::async_trait;
use offboard_connectors::{Answer, Call, Desk, NewFile, NewTicket, Ticket, TicketFile};
use offboard_domain::ObjectId;

fn ticket(id: &str, row: &DeskRow) -> Ticket {
    Ticket {
        id: id.into(),
        closed: row.closed,
    }
}

#[async_trait]
impl Desk for Fake {
    fn named_by(&self, _reference: &str) -> Option<ObjectId> {
        None
    }

    async fn ticket(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Ticket>> {
        self.read(call, "ticket", |s| s.desk.get(&id.0).map(|row| ticket(&id.0, row)))
            .await
    }

    async fn marked(&self, call: &mut Call, marker: &str) -> Answer<Vec<Ticket>> {
        self.read(call, "tickets", |s| {
            let marked = s.desk.iter().filter(|(_, row)| row.title.contains(marker));
            marked.map(|(id, row)| ticket(id, row)).collect()
        })
        .await
    }

    async fn open(&self, call: &mut Call, new: &NewTicket) -> Answer<Option<ObjectId>> {
        let mut id = String::new();
        self.write(call, "open a ticket", |s, _| {
            id = (1_000 + s.desk.len()).to_string();
            let row = DeskRow {
                title: new.title.clone(),
                ..DeskRow::default()
            };
            s.desk.insert(id.clone(), row);
        })
        .await?;
        Ok((!id.is_empty()).then_some(ObjectId(id)))
    }

    async fn noted(&self, call: &mut Call, id: &ObjectId, marker: &str) -> Answer<bool> {
        self.read(call, "notes", |s| {
            let row = s.desk.get(&id.0);
            row.is_some_and(|row| row.notes.iter().any(|n| n.contains(marker)))
        })
        .await
    }

    async fn note(&self, call: &mut Call, id: &ObjectId, text: &str) -> Answer<()> {
        self.write(call, &format!("note {id}"), |s, _| {
            if let Some(row) = s.desk.get_mut(&id.0) {
                row.notes.push(text.to_owned());
            }
        })
        .await
    }

    async fn files(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<TicketFile>> {
        self.read(call, "files", |s| {
            let rows = s.desk.get(&id.0).into_iter().flat_map(|row| &row.files);
            let file = |(name, size): &(String, u64)| TicketFile {
                name: name.clone(),
                size_bytes: Some(*size),
            };
            rows.map(file).collect()
        })
        .await
    }

    async fn attach(&self, call: &mut Call, id: &ObjectId, file: &NewFile) -> Answer<()> {
        self.write(call, &format!("attach {id}"), |s, _| {
            if let Some(row) = s.desk.get_mut(&id.0) {
                row.files.push((file.name.clone(), file.bytes.len() as u64));
            }
        })
        .await
    }

    async fn close(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        self.write(call, &format!("close {id}"), |s, _| {
            if let Some(row) = s.desk.get_mut(&id.0) {
                row.closed = true;
            }
        })
        .await
    }
}
