//! The primitives.

use super::{ConfluenceConnector, pages};
use crate::area::desk::NewFile;
use crate::area::notes::{Notes, NotesPage, NotesStatus};
use crate::path::Path;
use crate::ticketing::{About, Ask, form, id, number};
use crate::{Answer, Call};
use async_trait::async_trait;
use offboard_domain::{FaultClass, ObjectId};
use reqwest::Method;
use serde_json::{Value, json};

fn page(body: &Value) -> Option<NotesPage> {
    let status = match body["status"].as_str()? {
        "current" => NotesStatus::Current,
        "archived" => NotesStatus::Archived,
        "trashed" | "deleted" => NotesStatus::Trashed,
        _ => return None,
    };
    let stored = body["body"]["storage"]["value"].as_str();
    Some(NotesPage {
        id: id(&body["id"])?,
        title: body["title"].as_str()?.to_owned(),
        version: number(&body["version"]["number"])?,
        body: match (stored, status) {
            (Some(stored), _) => stored.to_owned(),
            (None, NotesStatus::Current) => return None,
            (None, _) => String::new(),
        },
        status,
    })
}

/// Where a page's files are listed.
fn files(page: &ObjectId) -> Path {
    pages().id(&page.0).then("attachments")
}

/// Where a file is put: v2 has nothing for that.
fn put_files(page: &ObjectId) -> Path {
    let content = Path::at("wiki").then("rest").then("api").then("content");
    content.id(&page.0).then("child").then("attachment")
}

fn stored(body: &str) -> Value {
    json!({"representation": "storage", "value": body})
}

#[async_trait]
impl Notes for ConfluenceConnector {
    async fn titled(&self, call: &mut Call, title: &str) -> Answer<Option<NotesPage>> {
        let space = &self.settings.space_id;
        let path = pages().with("space-id", &space.0).with("title", title);
        let ask = Ask::get(path, About::List);
        let body = self.send(call, &ask).await?.body;
        let Some(rows) = body["results"].as_array() else {
            return Err(self.wire.misshapen(&ask, "a list of pages"));
        };
        for row in rows {
            let ours = id(&row["spaceId"]).as_ref() == Some(space);
            if ours && row["title"].as_str() == Some(title) {
                let Some(id) = id(&row["id"]) else {
                    return Err(self.wire.misshapen(&ask, "a list of pages"));
                };
                // The list may be older than the page.
                return self.page(call, &id).await;
            }
        }
        self.parent_is_there(call).await?;
        Ok(None)
    }

    async fn page(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<NotesPage>> {
        let ask = Ask::get(pages().id(&id.0).with("body-format", "storage"), About::Page);
        let body = match self.send(call, &ask).await {
            Ok(reply) => reply.body,
            Err(fault) if fault.class == FaultClass::Absent => {
                self.parent_is_there(call).await?;
                return Ok(None);
            }
            Err(fault) => return Err(fault),
        };
        match page(&body) {
            Some(page) => Ok(Some(page)),
            None => Err(self.wire.misshapen(&ask, "a page")),
        }
    }

    async fn add(&self, call: &mut Call, title: &str, body: &str) -> Answer<Option<ObjectId>> {
        let own = &self.settings;
        let page = json!({
            "spaceId": own.space_id.0,
            "parentId": own.parent_page_id.0,
            "status": "current",
            "title": title,
            "body": stored(body),
        });
        let ask = Ask::write(Method::POST, pages(), About::Page, page);
        let body = self.send(call, &ask).await?.body;
        Ok(id(&body["id"]))
    }

    async fn rewrite(&self, call: &mut Call, page: &NotesPage, body: &str) -> Answer<()> {
        let change = json!({
            "id": page.id.0,
            "status": "current",
            "title": page.title,
            "body": stored(body),
            "version": {"number": page.version + 1, "message": "Offboard"},
        });
        let ask = Ask::write(Method::PUT, pages().id(&page.id.0), About::Page, change);
        self.send(call, &ask).await.map(drop)
    }

    async fn has_file(&self, call: &mut Call, page: &ObjectId, name: &str, size_bytes: u64) -> Answer<bool> {
        let ask = Ask::get(files(page).with("filename", name), About::PageFile);
        let body = self.send(call, &ask).await?.body;
        let Some(rows) = body["results"].as_array() else {
            return Err(self.wire.misshapen(&ask, "a list of files"));
        };
        // Files that were put into the archive are listed, too.
        let there = |row: &Value| row["title"].as_str() == Some(name) && row["status"].as_str() == Some("current");
        let whole = |row: &Value| number(&row["fileSize"]) == Some(size_bytes);
        Ok(rows.iter().any(|row| there(row) && whole(row)))
    }

    async fn attach(&self, call: &mut Call, page: &ObjectId, file: &NewFile) -> Answer<()> {
        let form = form(&[("minorEdit", "true")], file);
        let ask = Ask::put_form(put_files(page), About::PageFile, form);
        self.send(call, &ask).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_does_not_say_its_version_is_none() {
        let full = json!({
            "id": "7", "title": "t", "version": {"number": 3}, "body": {"storage": {"value": "<p/>"}},
            "status": "current",
        });
        let read = page(&full).unwrap();
        assert_eq!((read.id.0.as_str(), read.version, read.body.as_str()), ("7", 3, "<p/>"));
        for missing in ["id", "title", "version", "body", "status"] {
            let mut less = full.clone();
            less.as_object_mut().unwrap().remove(missing);
            assert_eq!(page(&less), None, "{missing}");
        }
        for (word, status) in [("archived", NotesStatus::Archived), ("trashed", NotesStatus::Trashed)] {
            let mut aside = full.clone();
            aside["status"] = json!(word);
            aside.as_object_mut().unwrap().remove("body");
            assert_eq!(page(&aside).map(|p| p.status), Some(status));
        }
        let draft = json!({"id": "7", "title": "t", "version": {"number": 3}, "status": "draft"});
        assert_eq!(page(&draft), None);
    }
}
