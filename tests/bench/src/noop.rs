//! Outside systems that answer at once and say that everything is as wanted:
//! what is left to measure is ourselves.

use async_trait::async_trait;
use offboard_connectors::{
    Account, AccountChange, Answer, Application, Attached, Attachment, AutomaticReply, Autopilot, Call, Connector,
    Device, DeviceAction, DeviceObject, DeviceRef, Devices, Directory, Documents, Finding, Forwarding, Found, Held,
    Holding, Holds, Mailbox, MailboxChange, MailboxSettings, MailboxUsage, Mailboxes, ManagedDevice, RecoveryKeys,
    Site, SiteAdministrator,
};
use offboard_domain::departure::PersonRef;
use offboard_domain::{Area, Capabilities, Kind, ObjectId, System, TenantId};
use offboard_workers::Connectors;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Kinds that wait by their nature (an hour, a minute, for the vendor) and
/// those that hang on them: they would measure the clock.
const WAITING: &[Kind] = &[
    Kind::RevokeSessionsAgain,
    Kind::ConvertToShared,
    Kind::GrantSuccessorMailbox,
    Kind::HandOverMeetings,
    Kind::CancelMeetings,
];

/// Every tenant's system.
pub(crate) struct Noop {
    system: System,
    claims: BTreeSet<Kind>,
    counter: AtomicI64,
    /// How long each of its answers takes.
    takes: Duration,
}

impl Noop {
    /// The one system, which can do everything that does not wait.
    pub(crate) fn new() -> Arc<Self> {
        let claimed = Kind::ALL.iter().copied().filter(|k| {
            matches!(
                k.spec().area,
                Area::Identity | Area::Mailbox | Area::Device | Area::Knowledge
            )
        });
        let claimed = claimed.filter(|k| k.is_of_a_cloud());
        Self::claiming(claimed.filter(|k| !k.is_closing_round() && !WAITING.contains(k)))
    }

    /// The one system, which can do these.
    pub(crate) fn claiming(kinds: impl IntoIterator<Item = Kind>) -> Arc<Self> {
        Self::answering_after(Duration::ZERO, kinds)
    }

    /// The same, if each answer takes as long as this: vendors are not here.
    pub(crate) fn answering_after(takes: Duration, kinds: impl IntoIterator<Item = Kind>) -> Arc<Self> {
        let system = System::new("noop").unwrap_or_else(|_| System::person());
        Arc::new(Self {
            system,
            claims: kinds.into_iter().collect(),
            counter: AtomicI64::new(1),
            takes,
        })
    }

    /// The way there and back.
    async fn travel(&self) {
        if !self.takes.is_zero() {
            tokio::time::sleep(self.takes).await;
        }
    }

    /// What it claims.
    pub(crate) fn capabilities(&self) -> Capabilities {
        Capabilities([(self.system.clone(), self.claims.clone())].into())
    }

    fn account_of(&self, id: &ObjectId) -> Account {
        Account {
            id: id.clone(),
            user_principal_name: id.0.clone(),
            mail: None,
            addresses: Vec::new(),
            display_name: None,
            employee_id: None,
            enabled: false,
            synced: false,
            guest: false,
            has_mailbox: true,
            sessions_valid_from_ms: Some(self.counter.fetch_add(1, Ordering::Relaxed)),
            password_changed_ms: Some(self.counter.fetch_add(1, Ordering::Relaxed)),
            manager_id: None,
            on_premises_security_id: None,
            synced_at_ms: None,
        }
    }
}

/// [`Noop`] for every tenant.
pub(crate) struct ForAll(pub Arc<Noop>);

impl Connectors for ForAll {
    fn get(&self, _: &TenantId, _: &System) -> Option<Arc<dyn Connector>> {
        Some(self.0.clone())
    }
}

#[async_trait]
impl Connector for Noop {
    fn vendor(&self) -> &'static str {
        "noop"
    }

    fn system(&self) -> &System {
        &self.system
    }

    fn claims(&self) -> BTreeSet<Kind> {
        self.claims.clone()
    }

    fn directory(&self) -> Option<&dyn Directory> {
        Some(self)
    }

    fn mailboxes(&self) -> Option<&dyn Mailboxes> {
        Some(self)
    }

    fn devices(&self) -> Option<&dyn Devices> {
        Some(self)
    }

    fn documents(&self) -> Option<&dyn Documents> {
        Some(self)
    }

    async fn check(&self, _: &mut Call) -> Vec<Finding> {
        Vec::new()
    }
}

#[async_trait]
impl Directory for Noop {
    async fn find(&self, _: &mut Call, person: &PersonRef) -> Answer<Found> {
        self.travel().await;
        let id = person
            .user_principal_name
            .clone()
            .or_else(|| person.object_id.as_ref().map(|o| o.0.clone()));
        Ok(id.map_or(Found::Nobody, |id| Found::One(Box::new(self.account_of(&ObjectId(id))))))
    }

    async fn account(&self, _: &mut Call, id: &ObjectId) -> Answer<Account> {
        self.travel().await;
        Ok(self.account_of(id))
    }

    async fn set(&self, _: &mut Call, _: &ObjectId, _: &AccountChange) -> Answer<()> {
        self.travel().await;
        Ok(())
    }

    async fn holdings(&self, _: &mut Call, _: &ObjectId, _: Holding) -> Answer<Vec<Held>> {
        self.travel().await;
        Ok(Vec::new())
    }

    async fn remove(&self, _: &mut Call, _: &ObjectId, _: &Held) -> Answer<()> {
        self.travel().await;
        Ok(())
    }

    async fn add_owner(&self, _: &mut Call, _: &ObjectId, _: &ObjectId) -> Answer<()> {
        self.travel().await;
        Ok(())
    }

    async fn applications(&self, _: &mut Call, _: &[ObjectId]) -> Answer<Vec<Application>> {
        self.travel().await;
        Ok(Vec::new())
    }
}

#[async_trait]
impl Mailboxes for Noop {
    async fn mailbox(&self, _: &mut Call, _: &ObjectId) -> Answer<Option<Mailbox>> {
        self.travel().await;
        Ok(Some(Mailbox {
            mailbox_id: "m".into(),
            recipient_type: "SharedMailbox".into(),
            hidden: true,
            forwarding: Forwarding::default(),
            holds: Holds {
                litigation: true,
                litigation_days: None,
                others: Vec::new(),
            },
            archive: false,
            synced: false,
        }))
    }

    async fn settings(&self, _: &mut Call, _: &ObjectId) -> Answer<Option<MailboxSettings>> {
        self.travel().await;
        Ok(Some(MailboxSettings {
            purpose: Some("shared".into()),
            automatic_reply: AutomaticReply::default(),
        }))
    }

    async fn usage(&self, _: &mut Call, _: &ObjectId) -> Answer<MailboxUsage> {
        self.travel().await;
        Ok(MailboxUsage {
            size_bytes: 1,
            items: 1,
        })
    }

    async fn set(&self, _: &mut Call, _: &ObjectId, _: &MailboxChange) -> Answer<()> {
        self.travel().await;
        Ok(())
    }

    async fn attached(&self, _: &mut Call, _: &ObjectId, _: &Attachment) -> Answer<Vec<Attached>> {
        self.travel().await;
        Ok(Vec::new())
    }

    async fn detach(&self, _: &mut Call, _: &ObjectId, _: &Attached) -> Answer<()> {
        self.travel().await;
        Ok(())
    }
}

#[async_trait]
impl Devices for Noop {
    async fn of(&self, _: &mut Call, _: &ObjectId) -> Answer<Vec<Device>> {
        self.travel().await;
        Ok(Vec::new())
    }

    async fn managed(&self, _: &mut Call, _: &DeviceRef) -> Answer<Option<ManagedDevice>> {
        self.travel().await;
        Ok(None)
    }

    async fn object(&self, _: &mut Call, _: &DeviceRef) -> Answer<Option<DeviceObject>> {
        self.travel().await;
        Ok(None)
    }

    async fn autopilot(&self, _: &mut Call, _: &DeviceRef) -> Answer<Option<Autopilot>> {
        self.travel().await;
        Ok(None)
    }

    async fn recovery_keys(&self, _: &mut Call, _: &DeviceRef) -> Answer<RecoveryKeys> {
        self.travel().await;
        Ok(RecoveryKeys::default())
    }

    async fn used_by_another(&self, _: &mut Call, _: &DeviceRef, _: &ObjectId) -> Answer<bool> {
        self.travel().await;
        Ok(false)
    }

    async fn act(&self, _: &mut Call, _: &DeviceRef, _: DeviceAction) -> Answer<()> {
        self.travel().await;
        Ok(())
    }
}

#[async_trait]
impl Documents for Noop {
    async fn site(&self, _: &mut Call, _: &ObjectId) -> Answer<Option<Site>> {
        self.travel().await;
        Ok(None)
    }

    async fn administrators(&self, _: &mut Call, _: &Site) -> Answer<Vec<SiteAdministrator>> {
        self.travel().await;
        Ok(Vec::new())
    }

    async fn add_administrator(&self, _: &mut Call, _: &Site, _: &ObjectId) -> Answer<()> {
        self.travel().await;
        Ok(())
    }
}
