//! The primitives of a remote management.

use super::Fake;
use super::state::{CANARY, FleetRow, LEAVER, SCRIPT_MS, State};
use async_trait::async_trait;
use offboard_connectors::{
    Answer, Call, Candidate, Endpoint, EndpointStatus, Fleet, FleetOffer, FoundEndpoints, Mark, Marking, ScriptRun,
    Silence, Whose,
};
use offboard_domain::ObjectId;
use offboard_domain::estate::Serial;
use offboard_domain::estate::logon::may_be_his;
use offboard_domain::unplanned::Software;

/// The id that the management gives the leaver.
pub(crate) const HIS: &str = "uid-leaver";

fn endpoint(id: &str, row: &FleetRow) -> Endpoint {
    Endpoint {
        id: id.into(),
        uid: row.uid.clone(),
        owner_uid: row.owner.clone(),
        name: Some(format!("{CANARY}'s {id}")),
        class: row.class,
        serial: Serial::parse(&row.serial),
        status: if row.over {
            EndpointStatus::Decommissioned
        } else {
            EndpointStatus::Managed
        },
        last_seen_ms: None,
        silence: row.silence,
    }
}

fn found(state: &State, who: &Whose) -> FoundEndpoints {
    let known = who.names.iter().any(|n| n.starts_with(LEAVER));
    let mut found = FoundEndpoints {
        owner_uids: known.then(|| HIS.to_owned()).into_iter().collect(),
        technicians: state.technicians.clone(),
        ..FoundEndpoints::default()
    };
    for (id, row) in &state.fleet {
        let met = row.signed_in.as_deref();
        let met = met.and_then(|name| may_be_his(name, &who.names, who.shown_name.as_deref()));
        match (&row.owner, met) {
            (Some(owner), _) if found.owner_uids.contains(owner) => found.assigned.push(endpoint(id, row)),
            (Some(_), Some(_)) => found.somebody_elses.push(id.as_str().into()),
            (None, Some(met_as)) => found.candidates.push(Candidate {
                endpoint: endpoint(id, row),
                met_as,
            }),
            _ => {}
        }
    }
    found
}

#[async_trait]
impl Fleet for Fake {
    fn offers(&self) -> FleetOffer {
        FleetOffer {
            marks: true,
            script: true,
        }
    }

    async fn of(&self, call: &mut Call, who: &Whose) -> Answer<FoundEndpoints> {
        self.read(call, "endpoints", |s| found(s, who)).await
    }

    async fn logins(&self, call: &mut Call, _: &Whose) -> Answer<Option<Vec<ObjectId>>> {
        self.read(call, "logins", |s| s.technicians.clone()).await
    }

    async fn endpoint(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Endpoint>> {
        self.read(call, "endpoint", |s| s.fleet.get(&id.0).map(|row| endpoint(&id.0, row)))
            .await
    }

    async fn software(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Vec<Software>>> {
        self.read(call, "software", |s| s.fleet.get(&id.0).map(|row| row.software.clone()))
            .await
    }

    async fn marking(&self, call: &mut Call, id: &ObjectId, mark: Mark) -> Answer<Marking> {
        self.read(call, "marking", |s| {
            let marks = s.fleet.get(&id.0).map(|row| row.marks.clone()).unwrap_or_default();
            Marking {
                whole: marks.contains(mark.word()),
                tag_ids: marks.into_iter().collect(),
            }
        })
        .await
    }

    async fn mark(&self, call: &mut Call, id: &ObjectId, mark: Mark) -> Answer<()> {
        self.write(call, &format!("mark {id}"), |s, _| {
            if let Some(row) = s.fleet.get_mut(&id.0) {
                row.marks.insert(mark.word().to_owned());
            }
        })
        .await
    }

    async fn maintain(&self, call: &mut Call, id: &ObjectId, until_ms: i64) -> Answer<()> {
        self.write(call, &format!("maintain {id}"), |s, _| {
            if let Some(row) = s.fleet.get_mut(&id.0) {
                row.silence = Some(Silence { until_ms, ours: true });
            }
        })
        .await
    }

    async fn script(&self, call: &mut Call, id: &ObjectId, marker: &str, _since_ms: Option<i64>) -> Answer<ScriptRun> {
        self.read(call, "script", |s| {
            let Some(row) = s.fleet.get(&id.0) else {
                return ScriptRun::None;
            };
            if row.field.as_deref() == Some(marker) {
                ScriptRun::Done
            } else if row.runs.iter().any(|(_, ours)| ours == marker) {
                ScriptRun::UnderWay
            } else {
                ScriptRun::None
            }
        })
        .await
    }

    async fn run_script(&self, call: &mut Call, id: &ObjectId, marker: &str) -> Answer<()> {
        self.write(call, &format!("run {id}"), |s, now_ms| {
            if let Some(row) = s.fleet.get_mut(&id.0) {
                row.runs.push((now_ms + SCRIPT_MS, marker.to_owned()));
            }
        })
        .await
    }

    async fn clear_owner(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        self.write(call, &format!("clear owner {id}"), |s, _| {
            if let Some(row) = s.fleet.get_mut(&id.0) {
                row.owner = None;
            }
        })
        .await
    }

    async fn decommission(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        self.write(call, &format!("decommission {id}"), |s, _| {
            if let Some(row) = s.fleet.get_mut(&id.0) {
                row.over = true;
            }
        })
        .await
    }
}
