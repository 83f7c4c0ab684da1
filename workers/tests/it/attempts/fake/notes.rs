//! The primitives of a wiki. Its pages' ids are their titles.

use super::state::NotesRow;
use super::{Fake, fault};
use async_trait::async_trait;
use offboard_connectors::{Answer, Call, NewFile, Notes, NotesPage, NotesStatus};
use offboard_domain::{FaultClass, ObjectId};

fn page(title: &str, row: &NotesRow) -> NotesPage {
    NotesPage {
        id: title.into(),
        title: title.to_owned(),
        version: row.version,
        body: row.body.clone(),
        status: row.status,
    }
}

#[async_trait]
impl Notes for Fake {
    async fn titled(&self, call: &mut Call, title: &str) -> Answer<Option<NotesPage>> {
        let listed = |row: &&NotesRow| row.status != NotesStatus::Trashed;
        self.read(call, "pages", |s| {
            s.notes.get(title).filter(listed).map(|row| page(title, row))
        })
        .await
    }

    async fn page(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<NotesPage>> {
        self.read(call, "page", |s| s.notes.get(&id.0).map(|row| page(&id.0, row)))
            .await
    }

    async fn add(&self, call: &mut Call, title: &str, body: &str) -> Answer<Option<ObjectId>> {
        if call.may_write() && self.now().notes.contains_key(title) {
            return Err(fault(FaultClass::Transient, "a page of this title is there"));
        }
        self.write(call, "add a page", |s, _| {
            let row = NotesRow {
                status: NotesStatus::Current,
                version: 1,
                body: body.to_owned(),
                files: Vec::new(),
            };
            s.notes.insert(title.to_owned(), row);
        })
        .await?;
        Ok(Some(title.into()))
    }

    async fn rewrite(&self, call: &mut Call, page: &NotesPage, body: &str) -> Answer<()> {
        let mut read = true;
        self.write(call, "rewrite a page", |s, _| match s.notes.get_mut(&page.id.0) {
            Some(row) if row.version == page.version => {
                row.version += 1;
                row.body = body.to_owned();
            }
            _ => read = false,
        })
        .await?;
        match read {
            true => Ok(()),
            false => Err(fault(FaultClass::Transient, "somebody has written it since")),
        }
    }

    async fn has_file(&self, call: &mut Call, page: &ObjectId, name: &str, size_bytes: u64) -> Answer<bool> {
        let wanted = (name.to_owned(), size_bytes);
        self.read(call, "files", |s| {
            s.notes.get(&page.0).is_some_and(|row| row.files.contains(&wanted))
        })
        .await
    }

    async fn attach(&self, call: &mut Call, page: &ObjectId, file: &NewFile) -> Answer<()> {
        self.write(call, "attach to a page", |s, _| {
            if let Some(row) = s.notes.get_mut(&page.0) {
                // One of the same name becomes its earlier version.
                row.files.retain(|(name, _)| *name != file.name);
                row.files.push((file.name.clone(), file.bytes.len() as u64));
            }
        })
        .await
    }
}
