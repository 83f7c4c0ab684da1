//! A process's way to what stands beside the vendor: the real connectors, and no socket
//! between, as with the vendor itself.

use super::{Beside, client, google, notes, psa, saas};
use crate::trouble::{Fate, Trouble};
use crate::vendor::{Vendor, carried, on_the_wire};
use async_trait::async_trait;
use offboard_connectors::Connector;
use offboard_connectors::graph::{CarriedAnswer, CarriedRequest, Carrier, HttpClient};
use offboard_domain::{System, TenantId, Timestamp};
use offboard_runtime::Clock;
use offboard_sim::face::{WireAnswer, WireRequest};
use std::sync::Arc;
use std::time::Duration;

/// What is all clients', or each tenant's own.
enum To {
    Desk,
    Wiki,
    App(TenantId),
    Workspace(TenantId),
}

impl To {
    fn answer(&self, beside: &Beside, now: Timestamp, request: &WireRequest) -> Option<(WireAnswer, Duration)> {
        match self {
            Self::Desk => beside.desk().map(|desk| desk.answer(now, request)),
            Self::Wiki => beside.wiki().map(|wiki| wiki.answer(now, request)),
            Self::App(tenant) => beside.apps()?.answer(tenant, now, request),
            Self::Workspace(tenant) => beside.workspaces()?.answer(tenant, now, request),
        }
    }
}

struct Way {
    to: To,
    vendor: Arc<Vendor>,
    clock: Arc<dyn Clock>,
    trouble: Arc<Trouble>,
}

#[async_trait]
impl Carrier for Way {
    async fn carry(&self, request: CarriedRequest) -> Option<CarriedAnswer> {
        let fate = self.trouble.meet_death().await;
        if fate == Fate::DiesBefore {
            self.trouble.die().await;
        }
        let wire = on_the_wire(request);
        match self.to {
            // How all its tokens begin is known from the beginning.
            To::Workspace(_) => self.vendor.learn_password(&wire),
            _ => self.vendor.learn_token(&wire),
        }
        let answered = self.to.answer(&self.vendor.beside, self.clock.now(), &wire);
        if fate == Fate::DiesAfter {
            self.trouble.die().await;
        }
        let (answer, takes) = answered?;
        tokio::time::sleep(takes).await;
        carried(answer)
    }
}

/// What there is beside the vendor for this tenant, the n-th, reached by a process with this
/// fortune.
pub(crate) fn connectors(
    vendor: &Arc<Vendor>,
    clock: &Arc<dyn Clock>,
    trouble: &Arc<Trouble>,
    (nth, tenant): (usize, &TenantId),
) -> Vec<(System, Arc<dyn Connector>)> {
    let http = |to| {
        HttpClient::carried_by(Arc::new(Way {
            to,
            vendor: vendor.clone(),
            clock: clock.clone(),
            trouble: trouble.clone(),
        }))
    };
    let desk = vendor.beside.desk();
    let desk = desk.map(|desk| (psa(), desk.connector(&http(To::Desk), client(nth))));
    let wiki = vendor.beside.wiki();
    let wiki = wiki.map(|wiki| (notes(), wiki.connector(&http(To::Wiki))));
    let apps = vendor.beside.apps();
    let app = apps.and_then(|apps| Some((saas(), apps.connector(&http(To::App(tenant.clone())), tenant)?)));
    let workspaces = vendor.beside.workspaces();
    let workspace = workspaces.map(|workspaces| {
        let http = http(To::Workspace(tenant.clone()));
        (google(), workspaces.connector(&http, tenant))
    });
    let all = [desk, wiki, app, workspace];
    all.into_iter().flatten().collect()
}
