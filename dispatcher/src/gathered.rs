//! What is decided on a case together.
//!
//! Reports on one case come close behind each other, and each would wait for the
//! append of the one before it. So they gather while that is in flight, are
//! decided one after the other, and appended once; each is answered for itself.

use crate::engine::{Engine, EngineError, lock};
use crate::place::{Gathered, Held, Slot};
use crate::transact::CreditFrom;
use offboard_domain::{
    Case, CaseId, Command, Decision, Gates, Refusal, Report, TenantId, Timestamp, decide, decide_reports,
};
use std::sync::Arc;
use tokio::sync::{MutexGuard, oneshot};

/// What became of each of several reports.
pub(crate) type Answers = Vec<Result<(), Refusal>>;

/// What is to be decided on a case, and appended together.
pub(crate) enum Orders {
    One(Command),
    Reports(Vec<Report>),
}

impl Orders {
    /// Whether all that is to be written is that history was lost.
    pub(crate) fn are_a_loss(&self) -> bool {
        matches!(self, Self::One(Command::RecordLoss { .. }))
    }

    /// Whether somebody ordered it who is to be told that it holds, whatever is lost.
    pub(crate) fn are_waited_for(&self) -> bool {
        !matches!(self, Self::Reports(_) | Self::One(Command::Tick))
    }

    /// When the last of them was written that was written by then, if they are reports.
    pub(crate) fn written_by(&self, then: Timestamp) -> Option<Timestamp> {
        match self {
            Self::One(Command::RecordReport(report)) => Some(report.at).filter(|at| *at <= then),
            Self::One(_) => None,
            Self::Reports(reports) => reports.iter().map(|report| report.at).filter(|at| *at <= then).max(),
        }
    }

    /// Decides them; of reports each has its answer, of one order there is none.
    pub(crate) fn decide(
        &self,
        case: Option<&Case>,
        now: Timestamp,
        gates: &Gates,
    ) -> Result<(Decision, Answers), Refusal> {
        match self {
            Self::One(command) => Ok((decide(case, command.clone(), now, gates)?, Vec::new())),
            Self::Reports(reports) => {
                let case = case.ok_or(Refusal::UnknownCase)?;
                Ok(decide_reports(case, reports.iter().cloned(), now, gates))
            }
        }
    }
}

/// What was decided and appended.
pub(crate) struct Decided {
    /// Whether it opened the case.
    pub(crate) opened: bool,
    /// What became of each report.
    pub(crate) answers: Answers,
}

/// What working on a held case led to.
pub(crate) struct Worked {
    pub(crate) appended: Result<Decided, EngineError>,
    /// The case after it; none if there is no such case.
    pub(crate) case: Option<Arc<Case>>,
    pub(crate) published: Result<(), EngineError>,
}

impl Worked {
    /// What became of each report, and the case, once what they caused is
    /// published.
    fn written(self) -> Result<(Answers, Arc<Case>), Arc<EngineError>> {
        let written = || {
            let Decided { answers, .. } = self.appended?;
            self.published?;
            Ok((answers, self.case.ok_or(Refusal::UnknownCase)?))
        };
        written().map_err(Arc::new)
    }
}

impl Engine {
    /// Records a report, together with those on the same case that have
    /// gathered: what they cause is one append. Returns when what it caused is
    /// published too; until then a report comes again.
    pub(crate) async fn record(
        self: &Arc<Self>,
        tenant: &TenantId,
        id: CaseId,
        report: Report,
    ) -> Result<Arc<Case>, EngineError> {
        if !self.owns(tenant) {
            let command = Command::RecordReport(Box::new(report));
            let done = self.transact_for_owner(tenant, id, command, CreditFrom::Reserve).await;
            return done.map(|done| done.case);
        }
        let place = self.place(tenant, id);
        let (tell, mut told) = oneshot::channel();
        lock(&place.reports).push(Gathered { report, tell });
        // What was delivered at the same time gathers too.
        tokio::task::yield_now().await;
        let answer = tokio::select! {
            biased;
            answer = &mut told => answer,
            held = place.held.lock() => {
                let gathered = std::mem::take(&mut *lock(&place.reports));
                // This one is among them, or with whoever had the place before.
                self.record_gathered(tenant, id, &place, held, gathered).await;
                told.await
            }
        };
        answer.unwrap_or(Err(EngineError::CutOff))
    }

    /// Records what has gathered, and tells each what became of his.
    async fn record_gathered(
        self: &Arc<Self>,
        tenant: &TenantId,
        id: CaseId,
        slot: &Slot,
        held: MutexGuard<'_, Option<Held>>,
        gathered: Vec<Gathered>,
    ) {
        let (mut reports, mut waiting): (Vec<Report>, Vec<_>) =
            gathered.into_iter().map(|g| (g.report, g.tell)).unzip();
        let mut place = Some(held);
        while !reports.is_empty() && self.owns(tenant) {
            let held = match place.take() {
                Some(held) => held,
                None => slot.held.lock().await,
            };
            let orders = Orders::Reports(reports);
            let credit = self.admission.reserve(tenant);
            let worked = self.work_on(tenant, id, slot, held, &orders, credit).await;
            let Orders::Reports(all) = orders else { return };
            reports = all;
            let written = worked.written();
            // Those without an answer come next, behind the gate that one shut.
            let decided = written.as_ref().map_or(reports.len(), |(answers, _)| answers.len());
            reports.drain(..decided);
            for (nth, to) in waiting.drain(..decided).enumerate() {
                let answer = match &written {
                    Ok((answers, case)) => answers[nth].clone().map(|()| case.clone()).map_err(EngineError::from),
                    Err(error) => Err(match error.as_ref() {
                        EngineError::Refused(refusal) => refusal.clone().into(),
                        _ => EngineError::Together(error.clone()),
                    }),
                };
                // Whoever no longer waits is dead, and his report comes again.
                drop(to.send(answer));
            }
        }
        drop(place);
        for (report, to) in reports.into_iter().zip(waiting) {
            let command = Command::RecordReport(Box::new(report));
            let done = self.transact_for_owner(tenant, id, command, CreditFrom::Reserve).await;
            drop(to.send(done.map(|done| done.case)));
        }
    }
}
