//! The verdict at the end of a simulation: the ledger, the engine, the world's
//! journal and the evidence, each against what must hold.

use super::{Outside, Process, Stage};
use crate::invariant::Invariant;
use crate::model::ModelWorld;
use crate::transcript::EPOCH;
use crate::vendor::Vendor;
use offboard_domain::standing::{standing, words};
use offboard_domain::{Case, CaseState, Digest, Gates, Kind, TenantId, Timestamp, evidence};
use offboard_sim::world::{Actor, Effect, Harm};
use offboard_store::Store;
use std::collections::{BTreeMap, BTreeSet};

impl Stage {
    /// What holds at the end of a simulation.
    pub(super) fn judge(&self, dispatcher: &Process) {
        for (case, tenant) in self.people.accepted() {
            if self.auditor.with_case(&tenant, case, |_| ()).is_none() {
                self.auditor.violated(
                    Invariant::AcceptedNeverLost,
                    format!("{case} was accepted and is not there"),
                );
            }
        }
        let mut unsettled = Vec::new();
        self.auditor
            .each_case(|tenant, shadow| unsettled.extend(self.why_open(tenant, &shadow.case)));
        for what in unsettled {
            self.note(&what);
            self.auditor.violated(Invariant::Liveness, what);
        }
        if !self.people.handed_in() {
            self.auditor
                .violated(Invariant::Liveness, "a departure could never be handed in".into());
        }
        if let Some(engine) = &dispatcher.engine
            && self.settled()
            && !engine.idle()
        {
            self.auditor.violated(
                Invariant::CreditIsKept,
                format!("everything is settled, but the engine holds: {}", engine.holdings()),
            );
        }
        match &self.outside {
            Outside::Model(world) => self.judge_model(world),
            Outside::Vendor(vendor) => self.judge_vendor(vendor),
        }
    }

    fn judge_model(&self, world: &ModelWorld) {
        for act in world.acts() {
            if act.kind == Kind::WipeDevice && act.times > 1 {
                let what = format!(
                    "{} of {} was wiped {} times",
                    act.object.map_or(String::new(), |o| o.0),
                    act.tenant,
                    act.times
                );
                self.auditor.violated(Invariant::WipeNeverTwice, what);
            }
        }
    }

    fn judge_vendor(&self, vendor: &Vendor) {
        let mut allowed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut given_up: BTreeSet<String> = BTreeSet::new();
        self.auditor.each_case(|tenant, shadow| {
            let Some(built) = vendor.tenants.get(tenant) else {
                return;
            };
            if shadow.case.tasks.len() > 1 {
                if shadow.drive_given_up {
                    given_up.extend(shadow.case.subject.0.values().map(|id| id.0.clone()));
                }
                let allowed = allowed.entry(built.id.clone()).or_default();
                allowed.extend(shadow.case.subject.0.values().map(|id| id.0.clone()));
                allowed.extend(shadow.case.subject_facts.text("successor_id").map(str::to_owned));
            }
        });
        let world = vendor.world();
        let none = BTreeSet::new();
        for entry in world.journal() {
            let Actor::App { .. } = entry.actor else { continue };
            let at = entry.at_ms - EPOCH.0;
            self.note(&format!(
                "world {at} {} {} {}",
                entry.effect, entry.subject, entry.object
            ));
            let allowed = allowed.get(&entry.tenant).unwrap_or(&none);
            if entry.effect != Effect::KeyRead && !allowed.contains(&entry.subject) && !allowed.contains(&entry.object)
            {
                let what = format!(
                    "{} of {} on {} in {}",
                    entry.effect, entry.subject, entry.object, entry.tenant
                );
                self.auditor.violated(Invariant::NeverAnotherSubject, what);
            }
        }
        for harm in world.violations() {
            let Actor::App { .. } = harm.actor else { continue };
            let invariant = match harm.harm {
                // By a person's explicit decision, which the case records.
                Harm::DriveNotHandedOver if given_up.contains(&harm.subject) => continue,
                Harm::LicenceBeforeConversion
                | Harm::MailboxLost
                | Harm::KeptMailboxUnlicensed
                | Harm::DriveNotHandedOver => Invariant::LicenceAfterPreservation,
                Harm::PersonalDeviceWiped => Invariant::WipeNeverPersonal,
                Harm::WipedTwice => Invariant::WipeNeverTwice,
                _ => Invariant::NoHarm,
            };
            let what = format!(
                "{} to {} by {} at {}",
                harm.harm.name(),
                harm.subject,
                harm.object,
                Timestamp(harm.at_ms)
            );
            self.auditor.violated(invariant, what);
        }
    }

    /// The evidence of each case that has any, with the public key alone.
    pub(super) async fn judge_evidence(&self) {
        let mut closed = Vec::new();
        self.auditor.each_case(|tenant, shadow| {
            if shadow.case.evidence.is_some() || shadow.case.state == CaseState::Closed {
                let sealed_at = shadow.sealed_at;
                closed.push((
                    tenant.clone(),
                    shadow.case.id,
                    shadow.case.evidence,
                    sealed_at,
                    shadow.case.tasks.len(),
                    shadow.tail_lost,
                ));
            }
        });
        let key = self.signer().verifying_key();
        for (tenant, case, digest, sealed_at, tasks, tail_lost) in closed {
            let store = Store::on(self.evidence.clone());
            let plain = format!("{tenant}/{case}/evidence-{sealed_at}.dsse.json");
            let mut found = (store.get_named(&plain).await, plain);
            // A history that the ledger lost may have been sealed at this version before: that
            // file stays what it is, and the case's own has its digest's beginning in its name.
            if let (true, Some(digest), (Ok(bytes), _)) = (tail_lost, digest, &found)
                && digest != Digest::of(bytes)
            {
                let own = format!(
                    "{tenant}/{case}/evidence-{sealed_at}-{}.dsse.json",
                    &digest.to_string()[..12]
                );
                found = (store.get_named(&own).await, own);
            }
            let (kept, name) = found;
            let wrong = match kept {
                Err(error) => Some(error.to_string()),
                Ok(bytes) if digest != Some(Digest::of(&bytes)) => {
                    Some("it is not the file that the case names".to_owned())
                }
                Ok(bytes) => match evidence::verify(&bytes, &key) {
                    Err(error) => Some(error.to_string()),
                    Ok(statement) if statement.predicate.tasks.len() != tasks => Some(format!(
                        "it tells of {} tasks, there are {tasks}",
                        statement.predicate.tasks.len()
                    )),
                    Ok(_) => self.auditor.foreign_canary(&tenant, &bytes),
                },
            };
            if let Some(wrong) = wrong {
                self.auditor
                    .violated(Invariant::EvidenceVerifies, format!("{name}: {wrong}"));
            }
        }
    }

    fn why_open(&self, tenant: &TenantId, case: &Case) -> Option<String> {
        if case.is_over() {
            return None;
        }
        let (gates, now) = (Gates::open(), self.clock.now());
        let open: Vec<String> = case
            .tasks
            .values()
            .filter(|t| !t.is_settled())
            .map(|t| format!("{} {}", t.kind(), words(&standing(case, t, now, &gates), t)))
            .collect();
        Some(format!(
            "{tenant} {} is {} after all: {}",
            case.id,
            case.state.word(),
            open.join("; ")
        ))
    }
}
