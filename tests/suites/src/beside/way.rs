//! A process's way to what stands beside the vendor: the real connectors, and no socket
//! between, as with the vendor itself.

use super::{Beside, client, notes, psa};
use crate::trouble::{Fate, Trouble};
use crate::vendor::{Vendor, carried, on_the_wire};
use async_trait::async_trait;
use offboard_connectors::Connector;
use offboard_connectors::graph::{CarriedAnswer, CarriedRequest, Carrier, HttpClient};
use offboard_domain::{System, Timestamp};
use offboard_runtime::Clock;
use offboard_sim::face::{WireAnswer, WireRequest};
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Copy)]
enum To {
    Desk,
    Wiki,
}

impl To {
    fn answer(self, beside: &Beside, now: Timestamp, request: &WireRequest) -> Option<(WireAnswer, Duration)> {
        match self {
            Self::Desk => beside.desk().map(|desk| desk.answer(now, request)),
            Self::Wiki => beside.wiki().map(|wiki| wiki.answer(now, request)),
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
        self.vendor.learn_token(&wire);
        let answered = self.to.answer(&self.vendor.beside, self.clock.now(), &wire);
        if fate == Fate::DiesAfter {
            self.trouble.die().await;
        }
        let (answer, takes) = answered?;
        tokio::time::sleep(takes).await;
        carried(answer)
    }
}

/// What there is beside the vendor for the n-th tenant, reached by a process with this
/// fortune.
pub(crate) fn connectors(
    vendor: &Arc<Vendor>,
    clock: &Arc<dyn Clock>,
    trouble: &Arc<Trouble>,
    nth: usize,
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
    desk.into_iter().chain(wiki).collect()
}
