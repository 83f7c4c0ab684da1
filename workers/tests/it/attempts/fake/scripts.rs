//! The primitives of a program of the MSP's own.

use super::Fake;
use super::state::CANARY;
use async_trait::async_trait;
use offboard_connectors::{Answer, Call, Errand, ScriptStanding, ScriptState, Scripts};
use offboard_domain::Facts;

/// Whom the errand is about, as the program's own system would know it.
fn who(errand: &Errand) -> String {
    let told = errand.user_principal_name.as_deref().unwrap_or_default();
    assert!(
        told.contains(CANARY) && errand.mail.is_some(),
        "the program is told who"
    );
    errand.subject.0.values().map(|id| id.0.clone()).collect()
}

#[async_trait]
impl Scripts for Fake {
    async fn observe(&self, call: &mut Call, errand: &Errand) -> Answer<ScriptStanding> {
        let who = who(errand);
        self.read(call, "script", |s| {
            let done = s.scripted.contains(&who);
            ScriptStanding {
                state: if done { ScriptState::Done } else { ScriptState::NotDone },
                reason: Some("as the test has it".to_owned()),
                conclusive: true,
                facts: Facts::new().with("profiles", i64::from(!done)),
            }
        })
        .await
    }

    async fn apply(&self, call: &mut Call, errand: &Errand) -> Answer<()> {
        let who = who(errand);
        self.write(call, &format!("script for {who}"), |s, _| {
            s.scripted.insert(who.clone());
        })
        .await
    }
}
