//! What a case's events say of its tasks, read without asking the case: what it
//! counts wrongly must not excuse what follows from that.

use offboard_domain::event::Event;
use offboard_domain::{Area, Kind, ObjectId, PlannedTask, TaskId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// One task.
#[derive(Debug, Clone)]
struct Told {
    kind: Kind,
    /// What it is about, if not the person as a whole.
    object: Option<ObjectId>,
    settled: bool,
    /// Whether something was read when it was settled last.
    read: bool,
    /// When it was last said that it is to be done again.
    again: Option<Timestamp>,
    /// When somebody first agreed to it, and the earliest time that anybody agreed to.
    agreed: Option<(Timestamp, Timestamp)>,
}

/// A case's tasks, as its events tell of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    opened: Timestamp,
    tasks: BTreeMap<TaskId, Told>,
    /// When a task of a kind was settled last.
    settled: BTreeMap<Kind, Timestamp>,
    lost: Option<Timestamp>,
    closed: bool,
    /// What a person has gone without once, also in a history that was lost since.
    let_off: BTreeSet<TaskId>,
}

impl Reading {
    /// The same case before its first event: what is kept of a history that was lost.
    pub(crate) fn anew(&self) -> Self {
        Self {
            let_off: self.let_off.clone(),
            ..Self::default()
        }
    }

    /// Takes in an event.
    pub(crate) fn note(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::CaseOpened { tasks, .. } => {
                self.opened = at;
                self.add(tasks);
            }
            Event::CasePlanned { tasks, .. }
            | Event::NotePlanned { tasks }
            | Event::ClosingBegan { tasks, .. }
            | Event::TasksFound { tasks, .. } => {
                self.add(tasks);
            }
            Event::TaskSettled {
                task, before, after, ..
            } => {
                let read = before.is_some() || after.is_some();
                if !read {
                    self.let_off.insert(*task);
                }
                if let Some(told) = self.tasks.get_mut(task) {
                    told.read = read;
                }
                self.settle(*task, at);
            }
            Event::TaskReopened { task, .. } | Event::WaiverEnded { task } => {
                if let Some(told) = self.tasks.get_mut(task) {
                    told.again = Some(at);
                }
                self.open_again(|id, _| id == *task);
            }
            Event::TaskAssigned { task, .. }
            | Event::TaskRested { task, .. }
            | Event::TaskFailed { task, .. }
            | Event::RetryOrdered { task, .. } => self.open_again(|id, _| id == *task),
            Event::PlanApproved { from, .. } => {
                for told in self.tasks.values_mut() {
                    told.agree(at, *from);
                }
                let plan = |(id, told): (&TaskId, &Told)| (told.kind == Kind::ApprovePlan).then_some(*id);
                let approvals: Vec<TaskId> = self.tasks.iter().filter_map(plan).collect();
                for id in approvals {
                    self.settle(id, at);
                }
            }
            Event::TaskApproved { task, from, .. } => {
                if let Some(told) = self.tasks.get_mut(task) {
                    told.agree(at, *from);
                }
            }
            Event::MergeUndone { .. } => self.open_again(|_, kind| !kind.is_beside()),
            Event::TailLost { .. } => {
                self.lost = Some(at);
                // What is closed stays so.
                if !self.closed {
                    for told in self.tasks.values_mut() {
                        let machines = told.kind.spec().area != Area::Person && told.kind != Kind::Resolve;
                        // Who went without it has read nothing, and still goes without it.
                        told.settled &= !(machines && told.read);
                    }
                }
            }
            Event::CaseClosed { .. } => self.closed = true,
            _ => {}
        }
    }

    fn add(&mut self, tasks: &[PlannedTask]) {
        for planned in tasks {
            self.tasks.entry(planned.id).or_insert(Told {
                kind: planned.kind,
                object: planned.target.object.clone(),
                settled: false,
                read: false,
                again: None,
                agreed: None,
            });
        }
    }

    fn settle(&mut self, task: TaskId, at: Timestamp) {
        if let Some(told) = self.tasks.get_mut(&task)
            && !told.settled
        {
            told.settled = true;
            let last = self.settled.entry(told.kind).or_insert(at);
            *last = at.max(*last);
        }
    }

    fn open_again(&mut self, which: impl Fn(TaskId, Kind) -> bool) {
        for (id, told) in &mut self.tasks {
            if which(*id, told.kind) {
                told.settled = false;
            }
        }
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &Told> {
        self.tasks.values().filter(move |told| told.kind == kind)
    }

    /// Whether there is a task of this kind.
    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.of(kind).next().is_some()
    }

    /// Whether a task of this kind is not settled.
    pub(crate) fn is_open(&self, kind: Kind) -> bool {
        self.of(kind).any(|told| !told.settled)
    }

    /// Whether there is a task of this kind about this object.
    pub(crate) fn has_about(&self, kind: Kind, object: &ObjectId) -> bool {
        self.of(kind).any(|told| told.is_about(object))
    }

    /// Whether a task of this kind about this object is not settled.
    pub(crate) fn is_open_about(&self, kind: Kind, object: &ObjectId) -> bool {
        self.of(kind).any(|told| !told.settled && told.is_about(object))
    }

    /// Whether every task of this kind is settled, or was, by a reading, before it was
    /// to be done again.
    pub(crate) fn was_settled_once(&self, kind: Kind) -> bool {
        self.of(kind)
            .all(|told| told.settled || told.again.is_some() && told.read)
    }

    /// When a task of this kind was settled last; when the case was opened, if none was.
    pub(crate) fn settled_at(&self, kind: Kind) -> Timestamp {
        self.settled.get(&kind).copied().unwrap_or(self.opened)
    }

    /// Whether a person has gone without a task once.
    pub(crate) fn was_let_off(&self, task: TaskId) -> bool {
        self.let_off.contains(&task)
    }

    /// No later than this it waits only for what it does not wait for without an end.
    /// `effective` is the departure's time; `needs_plan` says that somebody must have
    /// agreed to it. None: nobody has, or there is no such task.
    pub(crate) fn patient_since(&self, task: TaskId, effective: Timestamp, needs_plan: bool) -> Option<Timestamp> {
        let told = self.tasks.get(&task)?;
        // What only some mail servers' tasks are waited for starts no time anew.
        let deps = told.kind.spec().after.iter();
        let without_end = deps.filter(|dep| dep.at_most_ms.is_none() && !dep.workspace_mail);
        let settled = without_end.map(|dep| self.settled_at(dep.kind)).max();
        let since = settled.unwrap_or(self.opened).max(effective);
        // Who finds has had that time once.
        let has_found = told.read && !told.kind.spec().finds.is_empty();
        let again = told.again.filter(|_| !has_found).max(self.lost);
        let since = again.map_or(since, |again| since.max(again));
        if !needs_plan {
            return Some(since);
        }
        let (agreed, from) = told.agreed?;
        Some(since.max(agreed).max(from))
    }
}

impl Told {
    /// What people do names the system before the object.
    fn is_about(&self, object: &ObjectId) -> bool {
        let names = |one: &ObjectId, other: &ObjectId| one == other || one.0.ends_with(&format!("/{other}"));
        let own = self.object.as_ref();
        own.is_some_and(|own| names(own, object) || names(object, own))
    }

    fn agree(&mut self, at: Timestamp, from: Option<Timestamp>) {
        // What names no time holds always.
        let from = from.unwrap_or_default();
        let (since, earliest) = self.agreed.unwrap_or((at, from));
        self.agreed = Some((since, earliest.min(from)));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;
    use offboard_domain::{CaseId, Digest, Facts, Observation, Outcome, System};
    use std::sync::Arc;

    const KIND: Kind = Kind::RemoveDirectoryRoles;
    const LATER: Kind = Kind::DisableSignIn;

    fn planned(kind: Kind) -> PlannedTask {
        let system = System::new("m365").unwrap();
        PlannedTask::new(CaseId([1; 10]), kind, &system, None, Facts::new())
    }

    fn settled(kind: Kind, outcome: Outcome) -> Event {
        let read = matches!(outcome, Outcome::Verified).then(|| {
            Arc::new(Observation {
                read_at: Timestamp(0),
                sources: Vec::new(),
                facts: Facts::new(),
            })
        });
        Event::TaskSettled {
            task: planned(kind).id,
            attempt: 1,
            outcome,
            before: read,
            after: None,
            receipts: Vec::new(),
            artifacts: Vec::new(),
            report: None,
        }
    }

    fn again(kind: Kind) -> Event {
        Event::TaskReopened {
            task: planned(kind).id,
            why: "it differs".into(),
        }
    }

    fn waived() -> Outcome {
        Outcome::Waived {
            by: "boss".into(),
            reason: "lost".into(),
            until: Timestamp(9),
        }
    }

    fn after(events: &[Event]) -> Reading {
        let mut reading = Reading::default();
        let plan = Event::CasePlanned {
            tasks: [KIND, LATER, Kind::Resolve, Kind::SnapshotAccess].map(planned).into(),
            unserved: Vec::new(),
        };
        for (n, event) in std::iter::once(&plan).chain(events).enumerate() {
            reading.note(Timestamp(i64::try_from(n).unwrap()), event);
        }
        reading
    }

    #[test]
    fn who_went_without_it_has_settled_nothing_once() {
        assert!(!after(&[]).was_settled_once(KIND));
        let read = [settled(KIND, Outcome::Verified)];
        assert!(after(&read).was_settled_once(KIND));
        assert!(!after(&read).is_open(KIND));
        let undone = after(&[settled(KIND, Outcome::Verified), again(KIND)]);
        assert!(undone.was_settled_once(KIND) && undone.is_open(KIND));
        let lost = || Event::TailLost {
            known: 9,
            dealt_with: None,
            proven_by: None,
        };
        assert!(after(&[settled(KIND, Outcome::Verified), lost()]).is_open(KIND));
        assert!(
            !after(&[settled(KIND, waived()), lost()]).is_open(KIND),
            "a loss ends no waiver"
        );
        let gone_without = [settled(KIND, waived()), again(KIND)];
        assert!(!after(&gone_without).was_settled_once(KIND));
        assert!(after(&gone_without).anew().was_let_off(planned(KIND).id));
    }

    #[test]
    fn what_is_open_is_told_by_what_it_is_about() {
        let of = |id: &str, system: &str| {
            let system = System::new(system).unwrap();
            PlannedTask::new(CaseId([1; 10]), KIND, &system, Some(ObjectId::from(id)), Facts::new())
        };
        let (one, other) = (of("41", "rmm"), of("rmm/42", "person"));
        let mut reading = after(&[Event::TasksFound {
            by: planned(KIND).id,
            tasks: vec![one, other],
            late: Vec::new(),
        }]);
        let open =
            |reading: &Reading| ["41", "42", "43", "2"].map(|id| reading.is_open_about(KIND, &ObjectId::from(id)));
        assert_eq!(open(&reading), [true, true, false, false]);
        let mut event = settled(KIND, Outcome::Verified);
        if let Event::TaskSettled { task, .. } = &mut event {
            *task = of("41", "rmm").id;
        }
        reading.note(Timestamp(9), &event);
        assert_eq!(open(&reading), [false, true, false, false]);
        let has = ["41", "42", "43", "2"].map(|id| reading.has_about(KIND, &ObjectId::from(id)));
        assert_eq!(has, [true, true, false, false], "settled or not");
    }

    #[test]
    fn it_is_patient_from_when_the_last_of_all_that_came_together() {
        let of = |events: &[Event], effective: i64, needs_plan| {
            let since = after(events).patient_since(planned(LATER).id, Timestamp(effective), needs_plan);
            since.map(|at| at.0)
        };
        let found = || settled(Kind::Resolve, Outcome::Verified);
        assert_eq!(of(&[found()], 0, false), Some(1), "since what it waits for was settled");
        assert_eq!(of(&[found()], 7, false), Some(7), "since the departure's time");
        assert_eq!(of(&[found(), again(LATER)], 0, false), Some(2), "anew");
        let lost = Event::TailLost {
            known: 9,
            dealt_with: None,
            proven_by: None,
        };
        assert_eq!(of(&[found(), lost], 0, false), Some(2), "anew");
        assert_eq!(of(&[found()], 0, true), None, "nobody has agreed");
        let approved = Event::PlanApproved {
            by: "boss".into(),
            digest: Digest::ZERO,
            from: Some(Timestamp(5)),
        };
        assert_eq!(of(&[found(), approved], 0, true), Some(5), "for later");
    }
}
