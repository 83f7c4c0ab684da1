//! The verdict on accounts beside the directory: as they truly are, beside what the cases were
//! to do. Of a case that lost history nothing is asked but whom it may touch.

use super::super::{Outside, Stage};
use super::whom_it_is_about;
use crate::beside::{Elsewhere, Held, google};
use crate::invariant::Invariant;
use offboard_domain::{Case, CaseState, Kind, Outcome, System, TenantId};
use std::collections::{BTreeMap, BTreeSet};

/// The kinds that end an account elsewhere, and look for it.
const ENDING: [Kind; 6] = [
    Kind::ResolveInApp,
    Kind::DisableInApp,
    Kind::DeleteInApp,
    Kind::ResolveInWorkspace,
    Kind::SuspendAtOnce,
    Kind::SuspendInWorkspace,
];

/// A case, and whom it is about.
struct About {
    tenant: TenantId,
    people: BTreeSet<String>,
    case: Case,
    tail_lost: bool,
    /// Somebody asked for it: one that follows another has only what was left of that.
    handed_in: bool,
}

impl About {
    /// Whether it was to do something of one of these kinds to this account, for all that is
    /// left of its history.
    fn was_to(&self, system: &System, account: &str, kinds: impl Fn(Kind) -> bool) -> bool {
        let mut tasks = self.case.tasks.values();
        self.tail_lost
            || tasks.any(|task| {
                let target = &task.planned.target;
                let object = target.object.as_ref();
                target.system == *system && object.is_some_and(|id| id.0 == account) && kinds(task.kind())
            })
    }

    /// Whether it says of itself that it ended whatever this person had there, and nobody went
    /// without. Its requests may have meant somebody else as well, whom it is not about.
    fn has_ended(&self, person: &str, system: &System) -> bool {
        let mut about = self.case.subject.0.values();
        let all = self.case.tasks.values().filter(|task| {
            let of_it = task.planned.target.system == *system;
            of_it && ENDING.contains(&task.kind())
        });
        let by_people = |outcome: &Outcome| matches!(outcome, Outcome::Waived { .. } | Outcome::Attested { .. });
        let went_without = all.clone().filter_map(|task| task.outcome()).any(by_people);
        let was_to = self.handed_in || all.count() > 0;
        let is_over = self.case.state == CaseState::Closed && !self.tail_lost;
        is_over && was_to && !went_without && about.any(|id| id.0 == person)
    }
}

impl Stage {
    /// What holds of accounts beside the directory.
    pub(in crate::simulation) fn judge_elsewhere(&mut self) {
        let Outside::Vendor(vendor) = self.outside.clone() else {
            return;
        };
        let cases = self.cases_by_whom();
        for tenant in vendor.tenants.keys() {
            let cases: Vec<&About> = cases.iter().filter(|about| about.tenant == *tenant).collect();
            for elsewhere in vendor.beside.elsewhere(tenant) {
                for (held, what) in &elsewhere.ended {
                    self.note(&format!("{tenant} {}: {} {what}", elsewhere.system, held.account));
                }
                for (invariant, what) in wrong_with(&elsewhere, &cases) {
                    let what = format!("{tenant} {}: {what}", elsewhere.system);
                    self.auditor.violated(invariant, what);
                }
                let ended = elsewhere.ended.len();
                if elsewhere.system == google() {
                    self.judged.in_workspaces += ended;
                    self.judged.transfers += elsewhere.transfers.len();
                } else {
                    self.judged.in_apps += ended;
                }
            }
        }
    }

    fn cases_by_whom(&self) -> Vec<About> {
        let meant = self.people.meant();
        let mut cases = Vec::new();
        self.auditor.each_case(|tenant, shadow| {
            cases.push(About {
                tenant: tenant.clone(),
                people: whom_it_is_about(&meant, &shadow.case),
                handed_in: meant.contains_key(&shadow.case.id),
                case: shadow.case.clone(),
                tail_lost: shadow.tail_lost,
            });
        });
        cases
    }
}

/// The cases about whoever holds an account.
fn of<'a>(cases: &'a [&'a About], held: &'a Held) -> impl Iterator<Item = &'a About> {
    let all = cases.iter().copied();
    all.filter(move |about| about.people.contains(&held.person))
}

/// What is wrong with what a tenant has in one system, by its cases.
fn wrong_with(elsewhere: &Elsewhere, cases: &[&About]) -> Vec<(Invariant, String)> {
    let system = &elsewhere.system;
    let mut wrong = Vec::new();
    for what in &elsewhere.strange {
        wrong.push((Invariant::NeverAnotherSubject, what.clone()));
    }
    for (held, what) in &elsewhere.ended {
        if !of(cases, held).any(|about| about.was_to(system, &held.account, |_| true)) {
            let what = format!("{} {what}, which was no case's to do", held.account);
            wrong.push((Invariant::NeverAnotherSubject, what));
        }
    }
    for held in &elsewhere.open {
        for about in of(cases, held).filter(|about| about.has_ended(&held.person, system)) {
            let what = format!("{} is open, and {} is closed", held.account, about.case.id);
            wrong.push((Invariant::NothingOpenElsewhere, what));
        }
    }
    let mut transfers: BTreeMap<&str, usize> = BTreeMap::new();
    for held in &elsewhere.transfers {
        *transfers.entry(held.account.as_str()).or_default() += 1;
        let transfers_files = |kind: Kind| kind == Kind::TransferFiles;
        let all: Vec<&About> = of(cases, held)
            .filter(|about| about.was_to(system, &held.account, transfers_files))
            .collect();
        let times = transfers.get(held.account.as_str()).copied().unwrap_or(0);
        if times > all.len() && !all.iter().any(|about| about.tail_lost) {
            let what = format!("the files of {} were given away {times} times", held.account);
            wrong.push((Invariant::TransferOnce, what));
        }
    }
    wrong
}
