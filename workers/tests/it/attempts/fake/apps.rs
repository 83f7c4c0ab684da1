//! The primitives of an application.

use super::Fake;
use super::state::{AppRow, CANARY};
use async_trait::async_trait;
use offboard_connectors::{Answer, AppAccount, Apps, Call, Ending, Known, Matches};
use offboard_domain::ObjectId;
use serde_json::json;

fn account(id: &str, row: &AppRow) -> AppAccount {
    AppAccount {
        id: id.into(),
        user_name: Some(row.user_name.clone()),
        emails: vec![format!("{CANARY}@{id}.example")],
        external_id: None,
        active: Some(row.active),
        created: None,
        version: None,
        whole: json!({"id": id, "userName": row.user_name, "nickName": CANARY}),
    }
}

#[async_trait]
impl Apps for Fake {
    fn ending(&self) -> Ending {
        if self.now().app_deletes {
            Ending::Delete
        } else {
            Ending::Deactivate
        }
    }

    async fn find(&self, call: &mut Call, who: &Known) -> Answer<Matches> {
        let accounts = self
            .read(call, "accounts", |s| {
                let his = s.app.iter().filter(|(_, row)| who.names.contains(&row.user_name));
                his.map(|(id, row)| account(id, row)).collect()
            })
            .await?;
        let complete = !who.names.is_empty();
        Ok(Matches { accounts, complete })
    }

    async fn account(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<AppAccount>> {
        self.read(call, "account", |s| s.app.get(&id.0).map(|row| account(&id.0, row)))
            .await
    }

    async fn deactivate(&self, call: &mut Call, account: &AppAccount) -> Answer<()> {
        let id = account.id.0.clone();
        self.write(call, &format!("deactivate {id}"), |s, _| {
            if let Some(row) = s.app.get_mut(&id) {
                row.active = false;
            }
        })
        .await
    }

    async fn delete(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        self.write(call, &format!("delete {id}"), |s, _| {
            s.app.remove(&id.0);
        })
        .await
    }
}
