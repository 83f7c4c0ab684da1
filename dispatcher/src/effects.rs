//! What follows from a case as it now is: its timer, its place in the queues for
//! credit, and the closer's order.

use crate::closer::ToSeal;
use crate::engine::Engine;
use offboard_domain::{Area, Case, Effect, Lane, TenantId, next};
use offboard_queue::QueueName;
use std::collections::BTreeMap;

/// After this long the closer is told again of a case that is to be sealed, in
/// milliseconds: sealing takes well under a second.
const SEAL_AGAIN_MS: i64 = 60_000;

impl Engine {
    /// Arms the timer, queues for credit, hands to the closer. Whether a person is needed now.
    pub(crate) async fn follow(&self, tenant: &TenantId, case: &Case) -> bool {
        let shut = self.shut(tenant).await.unwrap_or_default();
        let gates = self.gates_now(tenant, &shut);
        let now = self.clock.now();
        let next = next(case, now, &gates);
        self.timers.census.note(case, &next);
        self.timers.rank(case.id, has_urgent_work(case));
        let mut timer = next.timer.map(|w| w.at);
        let weight = self.tenants.weight(tenant);
        let mut wants: BTreeMap<(Area, Lane), u32> = BTreeMap::new();
        for effect in next.effects {
            match effect {
                Effect::Assign(task, lane) => {
                    if let Some(task) = case.tasks.get(&task) {
                        *wants.entry((task.kind().spec().area, lane)).or_default() += 1;
                    }
                }
                Effect::Seal => {
                    // A closer that was not told, or died over it, is told again.
                    let again = now.plus(SEAL_AGAIN_MS);
                    timer = Some(timer.map_or(again, |t| t.min(again)));
                    let wanted = ToSeal {
                        tenant: tenant.clone(),
                        case: case.id,
                        version: case.version,
                    };
                    if let Err(error) = self.queue.publish(&QueueName::Sealing, vec![wanted.message()]).await {
                        tracing::warn!(case = %case.id, %error, "failed to tell the closer; telling it again");
                    }
                }
            }
        }
        for (place, n) in wants {
            self.admission.wait(place, tenant, weight, case.id, n);
        }
        self.timers.set(tenant, case.id, timer);
        next.needs_person
    }
}

/// Whether something of it that machines do is to go through the urgent lane.
fn has_urgent_work(case: &Case) -> bool {
    let machines = case.tasks.values().filter(|t| t.kind().spec().area != Area::Person);
    let mut open = machines.filter(|t| !t.is_settled());
    open.any(|t| case.lane(t.kind()) == Lane::Urgent)
}
