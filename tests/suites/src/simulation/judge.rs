//! The verdict at the end of a simulation: the ledger, the engine, the world's
//! journal and the evidence, each against what must hold.

mod archives;
mod beside;
mod elsewhere;

use super::{Outside, Process, Stage};
use crate::invariant::Invariant;
use crate::model::{Act, ModelWorld};
use crate::transcript::EPOCH;
use crate::vendor::Vendor;
use offboard_dispatcher::accounts::Accounts;
use offboard_domain::evidence::{Cancellation, Predicate};
use offboard_domain::standing::{standing, words};
use offboard_domain::time::MINUTE_MS;
use offboard_domain::{
    Case, CaseId, CaseState, Digest, Gates, Kind, ObjectId, Outcome, TaskId, TaskState, TenantId, Timestamp, evidence,
};
use offboard_sim::world::{Actor, Effect, Harm};
use offboard_store::Store;
use std::collections::{BTreeMap, BTreeSet};

/// How long after a device was given away an order for it may go by what was read before:
/// replicas lag by two minutes at most, and an attempt has as many.
const READ_BEFORE_MS: i64 = 5 * MINUTE_MS;

/// When something of a tenant's was given to somebody else, and to whom.
type Given = BTreeMap<(String, String), (i64, String)>;
/// A person of a tenant.
type Whose = (TenantId, String);
/// What was done outside, and for which task.
type Effects = BTreeSet<(TaskId, String)>;
/// What was verified of him, and about which object.
type Done = BTreeSet<(Kind, Option<ObjectId>)>;

impl Stage {
    /// What holds at the end of a simulation.
    pub(super) fn judge(&self, dispatchers: &[Process]) {
        for (case, tenant) in self.people.accepted() {
            if self.auditor.with_case(&tenant, case, |_| ()).is_none() {
                self.auditor.violated(
                    Invariant::AcceptedNeverLost,
                    format!("{case} was accepted and is not there"),
                );
            }
        }
        self.judge_requests();
        let mut unsettled = Vec::new();
        self.auditor
            .each_case(|tenant, shadow| unsettled.extend(self.why_open(tenant, &shadow.case)));
        // What the dispatchers are at tells why.
        for engine in dispatchers
            .iter()
            .filter_map(|d| d.engine.as_ref())
            .filter(|_| !unsettled.is_empty())
        {
            let owned: Vec<u16> = (0..engine.shards()).filter(|s| engine.owns_shard(*s)).collect();
            self.note(&format!("owns shards {owned:?} and holds {}", engine.holdings()));
        }
        for what in unsettled {
            self.note(&what);
            self.auditor.violated(Invariant::Liveness, what);
        }
        if !self.people.handed_in() {
            self.auditor
                .violated(Invariant::Liveness, "a departure could never be handed in".into());
        }
        let engines = dispatchers.iter().filter_map(|d| d.engine.as_ref());
        for engine in engines.filter(|e| self.settled() && !e.idle()) {
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

    /// What became of each request, by what the people know of it: the cases themselves are
    /// what is judged.
    fn judge_requests(&self) {
        let meant = self.people.meant();
        let mut cases: BTreeMap<CaseId, (Case, bool)> = BTreeMap::new();
        self.auditor
            .each_case(|_, shadow| drop(cases.insert(shadow.case.id, (shadow.case.clone(), shadow.tail_lost))));
        for (id, tenant) in self.people.accepted() {
            let Some((case, tail_lost)) = cases.get(&id) else {
                continue;
            };
            for found in case.subject.0.values() {
                if !meant.get(&id).is_some_and(|all| all.contains(&found.0)) {
                    let what = format!("{id} of {tenant} is about {found}, whom nobody meant");
                    self.auditor.violated(Invariant::NeverAnotherSubject, what);
                }
            }
            let CaseState::Merged { into } = case.state else {
                continue;
            };
            // Also where history was lost: whom a case is about it finds again.
            let anothers = cases.get(&into).filter(|(into, _)| {
                let mut about = into.subject.0.values();
                let his = |found: &ObjectId| meant.get(&id).is_some_and(|all| all.contains(&found.0));
                !into.subject.0.is_empty() && !about.any(his)
            });
            if anothers.is_some() {
                let what = format!("{id} of {tenant} was merged into {into}, which is about somebody else");
                self.auditor.violated(Invariant::NoRequestForgotten, what);
            }
            let asked = case.departure.effective_at.max(case.changed_at);
            let done = cases.get(&into).is_some_and(|(into, lost)| {
                *lost || *tail_lost || into.state == CaseState::Closed && into.effective_at() <= asked
            });
            if !done {
                let of = cases.get(&into).map_or_else(
                    || "unknown".to_owned(),
                    |(c, _)| format!("{} and for {}", c.state.word(), c.effective_at()),
                );
                let what = format!("{id} of {tenant} for {asked} was merged into {into}, which is {of}");
                self.auditor.violated(Invariant::NoRequestForgotten, what);
            }
        }
    }

    fn judge_model(&self, world: &ModelWorld) {
        let acts = world.acts();
        self.judge_models_order(&acts);
        for act in acts {
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

    /// What was truly done to the model's world, in the order in which it was:
    /// nothing that hangs on something that had not been done yet. Written down
    /// here, and not asked of the catalogue.
    fn judge_models_order(&self, acts: &[Act]) {
        // What a person answers for needs no act, nor does what the case has not.
        let mut needed: BTreeMap<Whose, Done> = BTreeMap::new();
        let mut twice: BTreeSet<Whose> = BTreeSet::new();
        self.auditor.each_case(|tenant, shadow| {
            let Some(subject) = shadow.case.subject.0.values().next() else {
                return;
            };
            let whose = (tenant.clone(), subject.0.clone());
            let verified = shadow.case.tasks.values().filter(|t| match &t.state {
                // Whoever went without it once may have let the rest go before it, also in a
                // history that is lost.
                TaskState::Settled { outcome, .. } => *outcome == Outcome::Verified && !shadow.was_let_off(t.id()),
                _ => false,
            });
            let done = verified.map(|t| (t.kind(), t.planned.target.object.clone()));
            if needed.insert(whose.clone(), done.collect()).is_some() {
                twice.insert(whose);
            }
        });
        for (n, act) in acts.iter().enumerate() {
            let whose = (act.tenant.clone(), act.subject.clone());
            let (Some(done), false) = (needed.get(&whose), twice.contains(&whose)) else {
                continue;
            };
            let (before, same_object, invariant): (&[Kind], bool, Invariant) = match act.kind {
                Kind::ReleaseDirectLicenses | Kind::ReleaseGroupLicenses => (
                    &[
                        Kind::HoldMailbox,
                        Kind::ConvertToShared,
                        Kind::ArchiveMailbox,
                        Kind::HandOverOneDrive,
                    ],
                    false,
                    Invariant::LicenceAfterPreservation,
                ),
                Kind::UnassignAutopilot => (&[Kind::WipeDevice], true, Invariant::OrderIsLaw),
                Kind::DisableDeviceObject => (&[Kind::WipeDevice, Kind::RetireDevice], true, Invariant::OrderIsLaw),
                _ => continue,
            };
            for kind in before {
                let object = act.object.clone().filter(|_| same_object);
                let earlier = |a: &Act| a.subject == act.subject && a.tenant == act.tenant && a.kind == *kind;
                if done.contains(&(*kind, object.clone()))
                    && !acts.iter().take(n).any(|a| earlier(a) && a.object == object)
                {
                    let what = format!("{} of {} before {kind}", act.kind, act.tenant);
                    self.auditor.violated(invariant, what);
                }
            }
        }
    }

    fn judge_vendor(&self, vendor: &Vendor) {
        // Whom each case may touch: its own person, and who takes over from him.
        let mut allowed: BTreeMap<(TenantId, CaseId), BTreeSet<String>> = BTreeMap::new();
        // Whose device may be disabled and unassigned by it: its own person's alone.
        let mut leavers: BTreeMap<(TenantId, CaseId), BTreeSet<String>> = BTreeMap::new();
        let mut given_up: BTreeSet<String> = BTreeSet::new();
        let meant = self.people.meant();
        self.auditor.each_case(|tenant, shadow| {
            let own: BTreeSet<String> = whom_it_is_about(&meant, &shadow.case).into_iter().collect();
            leavers.insert((tenant.clone(), shadow.case.id), own.clone());
            let successor = shadow.case.subject_facts.text("successor_id").map(str::to_owned);
            let all = own.into_iter().chain(successor).collect();
            allowed.insert((tenant.clone(), shadow.case.id), all);
            if shadow.drive_given_up {
                given_up.extend(shadow.case.subject.0.values().map(|id| id.0.clone()));
            }
        });
        let world = vendor.world();
        let mut given = Given::new();
        for entry in world.journal() {
            if entry.effect == Effect::DeviceGiven {
                let to = (entry.at_ms, entry.subject.clone());
                given.insert((entry.tenant.clone(), entry.object.clone()), to);
            }
            let Actor::App { client_request_id, .. } = &entry.actor else {
                continue;
            };
            if entry.effect == Effect::LicenceRemoved {
                self.judge_licence(client_request_id, Timestamp(entry.at_ms));
            }
            let at = entry.at_ms - EPOCH.0;
            self.note(&format!(
                "world {at} {} {} {}",
                entry.effect, entry.subject, entry.object
            ));
            let case = self.auditor.ordered_by(client_request_id);
            let given = given.get(&(entry.tenant.clone(), entry.object.clone()));
            let lawful = case.as_ref().is_some_and(|(tenant, case, _)| {
                let here = vendor.tenants.get(tenant).is_some_and(|built| built.id == entry.tenant);
                let at = (tenant.clone(), *case);
                // Whoever has it by now may leave as well, and it is his then.
                let has_it = given.is_some_and(|(_, to)| leavers.get(&at).is_some_and(|l| l.contains(to)));
                let allowed = allowed.get(&at);
                here && (entry.effect == Effect::KeyRead
                    || has_it
                    || allowed.is_some_and(|a| a.contains(&entry.subject) || a.contains(&entry.object)))
            });
            let given_at = given.map(|(at, _)| *at);
            if !lawful && given_at.is_none_or(|at| entry.at_ms - at > READ_BEFORE_MS) {
                let invariant = match given_at {
                    Some(_) => Invariant::NeverAnothersDevice,
                    None => Invariant::NeverAnotherSubject,
                };
                let what = format!(
                    "{} of {} on {} in {} by {}",
                    entry.effect,
                    entry.subject,
                    entry.object,
                    entry.tenant,
                    case.map_or_else(|| "no attempt".to_owned(), |(_, case, _)| case.to_string())
                );
                self.auditor.violated(invariant, what);
            }
        }
        for harm in world.violations() {
            let Actor::App { client_request_id, .. } = &harm.actor else {
                continue;
            };
            let given = given.get(&(harm.tenant.clone(), harm.object.clone()));
            let given_for_ms = given.map(|(at, _)| harm.at_ms - at).filter(|ms| *ms >= 0);
            let is_his = given_for_ms.and(given).is_some_and(|(_, to)| {
                let case = self.auditor.ordered_by(client_request_id);
                let leaver = case.and_then(|(tenant, case, _)| leavers.get(&(tenant, case)));
                leaver.is_some_and(|l| l.contains(to))
            });
            let invariant = match harm.harm {
                Harm::ColleaguesDeviceDisabled if is_his => continue,
                Harm::ColleaguesDeviceDisabled if given_for_ms.is_some_and(|ms| ms <= READ_BEFORE_MS) => continue,
                Harm::ColleaguesDeviceDisabled if given_for_ms.is_some() => Invariant::NeverAnothersDevice,
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

    /// No licence is given up while the archive is not known to be whole; or given up itself.
    fn judge_licence(&self, client_request_id: &str, at: Timestamp) {
        let Some((tenant, case, task)) = self.auditor.ordered_by(client_request_id) else {
            return;
        };
        let early = self.auditor.with_case(&tenant, case, |shadow| {
            let releases = shadow
                .case
                .tasks
                .get(&task)
                .is_some_and(|t| matches!(t.kind(), Kind::ReleaseDirectLicenses | Kind::ReleaseGroupLicenses));
            let kept = shadow.first_settled(Kind::ArchiveMailbox);
            let waits = shadow.case.has(Kind::ArchiveMailbox) && kept.is_none_or(|kept| at < kept);
            releases && waits && !shadow.tail_lost
        });
        if early == Some(true) {
            let what = format!("{tenant} {case} gave up a licence at {at}, before the archive was whole");
            self.auditor.violated(Invariant::LicenceAfterPreservation, what);
        }
    }

    /// The evidence of each case that has any, with the public key alone. How many archives
    /// it calls done.
    pub(super) async fn judge_evidence(&self) -> usize {
        let mut closed = Vec::new();
        let mut archives = 0;
        self.auditor.each_case(|tenant, shadow| {
            if shadow.case.evidence.is_some() || shadow.case.state == CaseState::Closed {
                closed.push((
                    tenant.clone(),
                    shadow.case.id,
                    Accounts::of(tenant, shadow.case.id, shadow.case.opened_at),
                    shadow.case.evidence,
                    shadow
                        .case
                        .tasks
                        .values()
                        .filter(|t| is_accounted_for(t.kind()))
                        .count(),
                    shadow.tail_lost,
                ));
            }
        });
        let key = self.signer().verifying_key();
        let effects = self.effects();
        for (tenant, case, accounts, named, tasks, tail_lost) in closed {
            let mut wrong = Vec::new();
            let mut own = 0;
            for (name, bytes) in self.envelopes(&accounts).await {
                // A history that the ledger lost may have been sealed before: its file stays.
                if named != Some(Digest::of(&bytes)) {
                    if !tail_lost {
                        wrong.push(format!("{name}: the case does not name it"));
                    }
                    continue;
                }
                own += 1;
                match evidence::verify(&bytes, &key) {
                    Err(error) => wrong.push(format!("{name}: {error}")),
                    Ok(statement) if told(&statement.predicate) != tasks => wrong.push(format!(
                        "{name}: it tells of {} tasks, there are {tasks}",
                        told(&statement.predicate)
                    )),
                    Ok(statement) => {
                        let (count, lacks) = self.judge_archives(&statement).await;
                        archives += count;
                        for what in lacks {
                            let what = format!("{tenant} {case}: {what}");
                            self.auditor.violated(Invariant::ArchiveIsWhole, what);
                        }
                        let made = effects.get(&(tenant.clone(), case));
                        for what in made
                            .into_iter()
                            .flat_map(|e| unaccounted(&statement.predicate, e, tail_lost))
                        {
                            let what = format!("{tenant} {case}: {what}, and its account tells nothing of it");
                            self.auditor.violated(Invariant::EffectsInFlightRecorded, what);
                        }
                    }
                }
            }
            if own != 1 {
                wrong.push(format!(
                    "{tenant} {case}: {own} files are the evidence that the case names"
                ));
            }
            for wrong in wrong {
                self.auditor.violated(Invariant::EvidenceVerifies, wrong);
            }
        }
        archives
    }

    /// What was truly done outside, by the case and task that it was done for.
    fn effects(&self) -> BTreeMap<(TenantId, CaseId), Effects> {
        let mut made: BTreeMap<(TenantId, CaseId), Effects> = BTreeMap::new();
        let Outside::Vendor(vendor) = &self.outside else {
            return made;
        };
        for entry in vendor.world().journal() {
            let Actor::App { client_request_id, .. } = &entry.actor else {
                continue;
            };
            if let Some((tenant, case, task)) = self.auditor.ordered_by(client_request_id) {
                let tasks = made.entry((tenant, case)).or_default();
                tasks.insert((task, entry.effect.to_string()));
            }
        }
        made
    }

    /// The signed files of a case.
    async fn envelopes(&self, accounts: &Accounts) -> Vec<(String, Vec<u8>)> {
        let store = Store::on(self.evidence.clone());
        let mut found = Vec::new();
        for folder in accounts.folders() {
            for file in store.list(folder).await.unwrap_or_default() {
                if accounts.are(&file.path)
                    && let Ok(bytes) = store.get_named(&file.path).await
                {
                    found.push((file.path, bytes.to_vec()));
                }
            }
        }
        found
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

/// Who was meant by a case's requests; of one that follows another, whom that found.
fn whom_it_is_about(meant: &BTreeMap<CaseId, BTreeSet<String>>, case: &Case) -> BTreeSet<String> {
    let found = || case.subject.0.values().map(|id| id.0.clone()).collect();
    meant.get(&case.id).cloned().unwrap_or_else(found)
}

/// Whether an account tells of tasks of this kind: how a case ended without a departure, a
/// desk is told when that is accounted for.
fn is_accounted_for(kind: Kind) -> bool {
    kind != Kind::NoteEnding
}

/// Of how many tasks an account tells.
fn told(account: &Predicate) -> usize {
    let notes = Kind::NoteEnding.name();
    account.tasks.iter().filter(|t| t.kind != notes).count()
}

/// What was done outside and an account does not tell of: neither as done, nor,
/// where the case was called off, as begun or under way. Where a tail was lost, only what
/// something that is left tells of: an order, or a report that came late.
fn unaccounted(account: &Predicate, effects: &Effects, tail_lost: bool) -> Vec<String> {
    let settled = account.tasks.iter().filter(|t| t.outcome.is_some()).map(|t| t.id);
    let called_off = account.cancellation.iter();
    let begun = called_off.clone().flat_map(Cancellation::all_begun).map(|b| b.task);
    let under_way = called_off.flat_map(|c| &c.in_flight).map(|f| f.task);
    let told: BTreeSet<TaskId> = settled.chain(begun).chain(under_way).collect();
    let left = |task: &TaskId| {
        let mut steps = account.tasks.iter().filter(|t| t.id == *task).flat_map(|t| &t.steps);
        steps.any(|s| matches!(s.event.as_str(), "task_assigned" | "late_report"))
    };
    effects
        .iter()
        .filter(|(task, _)| !told.contains(task) && (!tail_lost || left(task)))
        .map(|(task, effect)| format!("{effect} was done for task {task}"))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;
    use offboard_domain::evidence::{Begun, Ending, Statement};

    const SMALL: &str = include_str!("../../../../shared/domain/src/evidence/testdata/small.json");

    #[test]
    fn an_effect_that_no_account_tells_of_is_found() {
        let statement: Statement = serde_json::from_str(SMALL).unwrap();
        let mut account = statement.predicate;
        let task = account.tasks[1].id;
        let effects: Effects = [(task, "account_disabled".to_owned())].into();
        assert!(unaccounted(&account, &effects, false).is_empty());
        // Called off before anybody could say what became of it.
        account.ending = Ending::Cancelled;
        account.tasks[1].outcome = None;
        assert_eq!(unaccounted(&account, &effects, false).len(), 1);
        account.cancellation = Some(Cancellation {
            version: 1,
            at: account.times.ended_at,
            by: "boss".into(),
            reason: "he stays".into(),
            in_flight: Vec::new(),
            begun: vec![Begun {
                task,
                attempts: 1,
                last: "nothing".into(),
            }],
            heard_late: None,
        });
        assert!(unaccounted(&account, &effects, false).is_empty());
    }

    #[test]
    fn where_a_tail_was_lost_an_account_tells_of_what_only_a_late_report_shows() {
        let statement: Statement = serde_json::from_str(SMALL).unwrap();
        let mut account = statement.predicate;
        account.ending = Ending::Cancelled;
        let task = &mut account.tasks[1];
        let effects: Effects = [(task.id, "account_disabled".to_owned())].into();
        task.outcome = None;
        task.steps.retain(|s| s.event == "task_settled");
        assert!(
            unaccounted(&account, &effects, true).is_empty(),
            "nothing that is left tells of it"
        );
        account.tasks[1].steps[0].event = "late_report".to_owned();
        assert_eq!(unaccounted(&account, &effects, true).len(), 1);
        let begun = Begun {
            task: account.tasks[1].id,
            attempts: 1,
            last: "a late report says that it was done".into(),
        };
        account.cancellation = Some(Cancellation {
            version: 1,
            at: account.times.ended_at,
            by: "boss".into(),
            reason: "he stays".into(),
            in_flight: Vec::new(),
            begun: Vec::new(),
            heard_late: Some(vec![begun]),
        });
        assert!(unaccounted(&account, &effects, true).is_empty());
    }
}
