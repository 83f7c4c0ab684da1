//! What is in a mailbox: folders, messages by ids that survive a move, and each
//! message as MIME. Outlook serves an application four requests of one mailbox
//! at a time, so four are on their way and no more.

use super::GraphConnector;
use super::api::{Api, Ask, Service};
use super::path::Path;
use super::permission::READ_MAIL;
use super::read::{text_in, time_in};
use super::token::Token;
use crate::http::{NoAnswer, Streamed};
use crate::{Answer, Call, MailFolder, MailMessage, MailOwner, MailPage, MailReader, MailSink};
use async_trait::async_trait;
use futures::stream::{self, StreamExt as _};
use offboard_domain::{FaultClass, Receipt};
use reqwest::StatusCode;
use serde_json::Value;
use std::sync::Arc;

/// How many requests of one mailbox Outlook serves at a time (its published
/// limit for each application).
const AT_ONCE: usize = 4;
/// How many messages a page of a list has.
const PAGE: u32 = 500;
/// Most folders of a mailbox.
const FOLDERS_MAX: usize = 100_000;
/// How deep folders are followed: Exchange allows 300.
const DEPTH_MAX: usize = 400;
/// The folder of what was deleted for good and can still be recovered, by its well-known
/// name; it is in no list of folders. Its neighbours (purges, versions, holds) have none.
const RECOVERABLE: &str = "recoverableitemsdeletions";
/// What it is in, in Exchange's words.
const RECOVERABLE_ROOT: &str = "Recoverable Items";
/// What is read of a folder.
const FOLDER: &str = "id,displayName,totalItemCount,childFolderCount";

#[async_trait]
impl MailReader for GraphConnector {
    async fn folders(&self, call: &mut Call, owner: &MailOwner) -> Answer<Option<Vec<MailFolder>>> {
        let id = self.api.owner(owner)?;
        let mut found: Vec<MailFolder> = Vec::new();
        let mut todo: Vec<(Option<String>, Vec<String>)> = vec![(None, Vec::new())];
        while let Some((parent, above)) = todo.pop() {
            let path = match &parent {
                None => Path::user(id).then("mailFolders"),
                Some(parent) => Path::user(id).then("mailFolders").id(parent).then("childFolders"),
            };
            let ask = Ask::get(
                path.with("includeHiddenFolders", "true").select(FOLDER).top(100),
                READ_MAIL,
            )
            .outlook();
            let listed = match self.api.list(call, ask.clone()).await {
                Ok(listed) => listed,
                Err(fault) if fault.class == FaultClass::Absent && parent.is_none() => return Ok(None),
                // Removed since its parent was listed.
                Err(fault) if fault.class == FaultClass::Absent => continue,
                Err(fault) => return Err(fault),
            };
            for folder in &listed {
                // A search folder shows messages that are in others.
                if folder["@odata.type"].as_str() == Some("#microsoft.graph.mailSearchFolder") {
                    continue;
                }
                let read = self.api.folder(&ask, folder, above.clone())?;
                if folder["childFolderCount"].as_i64().unwrap_or(0) > 0 && read.path.len() < DEPTH_MAX {
                    todo.push((Some(read.id.clone()), read.path.clone()));
                }
                found.push(read);
            }
            if found.len() > FOLDERS_MAX {
                return Err(self.api.fault(
                    &ask,
                    FaultClass::Unsupported,
                    "the mailbox has more folders than are read",
                ));
            }
        }
        let deleted = self.api.recoverable(call, id).await?;
        if let Some(deleted) = deleted
            && found.iter().all(|folder| folder.id != deleted.id)
        {
            found.push(deleted);
        }
        found.sort_by(|a, b| (&a.path, &a.id).cmp(&(&b.path, &b.id)));
        Ok(Some(found))
    }

    async fn messages(
        &self,
        call: &mut Call,
        owner: &MailOwner,
        folder: &MailFolder,
        from: Option<&str>,
    ) -> Answer<MailPage> {
        let id = self.api.owner(owner)?;
        let path = Path::user(id)
            .then("mailFolders")
            .id(&folder.id)
            .then("messages")
            .select("id,createdDateTime,receivedDateTime,isRead,isDraft,flag,categories")
            .top(PAGE);
        let mut ask = Ask::get(path, READ_MAIL).outlook();
        if let Some(link) = from {
            ask.page = Some(self.api.next_page(&ask, link)?);
        }
        let body = match self.api.send(call, &ask).await {
            Ok(reply) => reply.body,
            // The folder went since it was listed.
            Err(fault) if fault.class == FaultClass::Absent => return Ok(MailPage::default()),
            Err(fault) => return Err(fault),
        };
        let Some(values) = body["value"].as_array() else {
            return Err(self
                .api
                .fault(&ask, FaultClass::Transient, "the answer is no list; it is read again"));
        };
        let messages = values.iter().filter_map(message).collect();
        let next = text_in(&body["@odata.nextLink"]).filter(|link| Some(link.as_str()) != from);
        Ok(MailPage { messages, next })
    }

    async fn fetch(
        &self,
        call: &mut Call,
        owner: &MailOwner,
        _folder: &MailFolder,
        which: &[MailMessage],
        into: &mut dyn MailSink,
    ) -> Answer<()> {
        let id = self.api.owner(owner)?;
        let token = self.api.token(call, &Service::Graph).await?;
        let mut receipts = Vec::new();
        let done = {
            let (api, shared) = (&self.api, &*call);
            let ids: Vec<(usize, String)> = which.iter().map(|m| m.id.clone()).enumerate().collect();
            let asks = ids.into_iter().map(|(index, message)| {
                let token = token.clone();
                async move { (index, api.mime(shared, &token, id, &message).await) }
            });
            // In the order of the list, however they come.
            let mut coming = stream::iter(asks).buffered(AT_ONCE);
            loop {
                let Some((index, opened)) = coming.next().await else {
                    break Ok(());
                };
                match opened {
                    Ok(Some((streamed, receipt))) => {
                        receipts.push(receipt);
                        if let Err(fault) = hand_on(api, shared, index, streamed, into).await {
                            break Err(fault);
                        }
                    }
                    // Gone since it was listed.
                    Ok(None) => {}
                    Err(fault) => break Err(fault),
                }
            }
        };
        receipts.into_iter().for_each(|r| call.note_read_receipt(r));
        call.note_source(Service::Graph.source());
        done
    }
}

async fn hand_on(api: &Api, call: &Call, index: usize, mut from: Streamed, into: &mut dyn MailSink) -> Answer<()> {
    into.begin(index).await?;
    into.bytes(&from.head).await?;
    loop {
        match from.more(call.deadline()).await {
            Ok(Some(bytes)) => into.bytes(&bytes).await?,
            Ok(None) => break,
            Err(why) => return Err(api.cut_off(why)),
        }
    }
    into.end().await
}

/// What is shown of a request for a message.
const MIME: &str = "GET /users/{id}/messages/{id}/$value";

impl Api {
    fn owner<'a>(&self, owner: &'a MailOwner) -> Answer<&'a str> {
        owner.id.as_ref().map(|id| id.0.as_str()).ok_or_else(|| {
            self.fault_in(
                "read a mailbox",
                FaultClass::Rejected,
                "the assignment names no account in this system; the case must resolve the person there first",
            )
        })
    }

    /// A folder, in these others.
    fn folder(&self, ask: &Ask, value: &Value, above: Vec<String>) -> Answer<MailFolder> {
        let (Some(id), Some(messages)) = (text_in(&value["id"]), value["totalItemCount"].as_u64()) else {
            return Err(self.fault(
                ask,
                FaultClass::Transient,
                "a folder has no id or count; it is read again",
            ));
        };
        let mut path = above;
        path.push(value["displayName"].as_str().unwrap_or_default().to_owned());
        Ok(MailFolder {
            id,
            generation: String::new(),
            path,
            messages,
            bytes: None,
            next: None,
            state: None,
        })
    }

    /// The folder of what can still be recovered; none: this mailbox has none that can be
    /// named so.
    async fn recoverable(&self, call: &mut Call, owner: &str) -> Answer<Option<MailFolder>> {
        let path = Path::user(owner).then("mailFolders").then(RECOVERABLE).select(FOLDER);
        let ask = Ask::get(path, READ_MAIL).outlook();
        match self.send(call, &ask).await {
            Ok(reply) => {
                let above = vec![RECOVERABLE_ROOT.to_owned()];
                self.folder(&ask, &reply.body, above).map(Some)
            }
            Err(fault) if matches!(fault.class, FaultClass::Absent | FaultClass::Rejected) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    fn cut_off(&self, why: NoAnswer) -> offboard_domain::Fault {
        let detail = match why {
            NoAnswer::NotSent(why) | NoAnswer::Silence(why) => why,
            NoAnswer::TooLarge => "it is larger than is read",
        };
        self.fault_in(MIME, FaultClass::Transient, format!("{detail}; it is read again"))
    }

    /// Begins to read a message; none: it is gone.
    async fn mime(
        &self,
        call: &Call,
        token: &Arc<Token>,
        owner: &str,
        id: &str,
    ) -> Answer<Option<(Streamed, Receipt)>> {
        let path = Path::user(owner).then("messages").id(id).then("$value");
        let ask = Ask::get(path, READ_MAIL).outlook().header("accept", "text/plain, */*");
        let mut token = token.clone();
        for renewed in [false, true] {
            let (streamed, request_id) = self.open(call, &ask, &token).await?;
            if streamed.status == StatusCode::UNAUTHORIZED && !renewed {
                token = self.renewed(call, &Service::Graph, &token).await?;
                continue;
            }
            let receipt = Receipt {
                at: call.now(),
                request: MIME.to_owned(),
                status: streamed.status.as_u16(),
                request_id,
            };
            if streamed.status.is_success() {
                return Ok(Some((streamed, receipt)));
            }
            return match self.refused(&ask, streamed, &token, call.now()) {
                fault if fault.class == FaultClass::Absent => Ok(None),
                fault => Err(fault),
            };
        }
        Err(self.fault(
            &ask,
            FaultClass::Transient,
            "the token was refused twice; it is read again",
        ))
    }
}

fn message(value: &Value) -> Option<MailMessage> {
    let id = text_in(&value["id"])?;
    let mut flags = Vec::new();
    let mut flag = |on: bool, name: &str| {
        if on {
            flags.push(name.to_owned());
        }
    };
    flag(value["isRead"].as_bool() == Some(true), "\\Seen");
    flag(value["isDraft"].as_bool() == Some(true), "\\Draft");
    flag(value["flag"]["flagStatus"].as_str() == Some("flagged"), "\\Flagged");
    let categories = value["categories"].as_array().into_iter().flatten();
    flags.extend(categories.filter_map(text_in));
    let created = time_in(&value["createdDateTime"]);
    let received_ms = time_in(&value["receivedDateTime"]).or(created);
    Some(MailMessage {
        id,
        place: u64::try_from(created.unwrap_or(0)).unwrap_or(0),
        flags,
        received_ms,
        // What Exchange says is the size in its own store, not of the MIME.
        bytes: None,
    })
}
