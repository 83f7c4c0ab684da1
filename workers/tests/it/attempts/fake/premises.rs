//! The primitives of a directory on the premises.

use super::state::CANARY;
use super::{Fake, fault};
use async_trait::async_trait;
use offboard_connectors::{Answer, Call, Computer, Footing, Premises};
use offboard_domain::{FaultClass, ObjectId};

#[async_trait]
impl Premises for Fake {
    async fn footing(&self, call: &mut Call, id: &ObjectId) -> Answer<Footing> {
        self.read(call, "footing", |s| Footing {
            security_id: format!("S-1-5-21-1-2-3-{}", 1_000 + id.0.len()),
            place: format!("CN={CANARY}"),
            protected: s.protected,
            hidden: Some(s.hidden_on_premises.contains(&id.0)),
            among_leavers: Some(s.among_leavers.contains(&id.0)),
        })
        .await
    }

    async fn hide(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        self.write(call, &format!("hide {id} on premises"), |s, _| {
            s.hidden_on_premises.insert(id.0.clone());
        })
        .await
    }

    async fn move_to_leavers(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        self.write(call, &format!("move {id}"), |s, _| {
            s.among_leavers.insert(id.0.clone());
        })
        .await
    }

    async fn computers(&self, call: &mut Call, _id: &ObjectId) -> Answer<Vec<Computer>> {
        self.read(call, "computers", |s| s.computers.values().cloned().collect())
            .await
    }

    async fn find_computer(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Computer>> {
        self.read(call, "find computer", |s| s.computers.get(&id.0).cloned())
            .await
    }

    async fn computer(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Computer>> {
        self.read(call, "computer", |s| s.computers.get(&id.0).cloned()).await
    }

    async fn disable_computer(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        if self.now().computers.get(&id.0).is_some_and(|c| c.server) {
            return Err(fault(FaultClass::Blocked, "a server"));
        }
        self.write(call, &format!("disable computer {id}"), |s, _| {
            if let Some(computer) = s.computers.get_mut(&id.0) {
                computer.enabled = false;
            }
        })
        .await
    }
}
