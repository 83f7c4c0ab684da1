//! A simulated colleague: approves and attests what a person would, and leaves
//! to the real person what takes judgement.

use crate::Failed;
use offboard_cli::embedded::Embedded;
use offboard_dispatcher::control::{Approval, Request, Response};
use offboard_dispatcher::view::{CaseView, Need};
use offboard_domain::{Kind, TaskId};
use std::collections::BTreeSet;

/// Who approves.
const APPROVER: &str = "Dana (service desk lead)";
/// Who attests for the client.
const MANAGER: &str = "the client's manager";

/// What the colleague has dealt with, and said.
#[derive(Default)]
pub(crate) struct Colleague {
    done: BTreeSet<(TaskId, String)>,
}

impl Colleague {
    /// Does what a case needs and a person can do without thinking twice.
    /// Returns what was done, in words.
    pub(crate) async fn attend(
        &mut self,
        engine: &Embedded,
        case: &CaseView,
        never_returned: bool,
    ) -> Result<Vec<String>, Failed> {
        let mut said = Vec::new();
        for need in &case.needs {
            let digest = case.tasks.iter().find(|t| t.id == need.task).map(|t| t.digest);
            let Some(request) = self.answer(engine, case, need, digest, never_returned).await? else {
                continue;
            };
            let asked = (need.task, question(case, need));
            match engine.ask(request).await {
                Response::Case(_) => said.push(words(case, need)),
                // It moved on meanwhile; it is looked at again.
                Response::Refused { .. } => {
                    self.done.remove(&asked);
                }
                Response::Failed { why, .. } => return Err(why.into()),
                _ => {}
            }
        }
        Ok(said)
    }

    async fn answer(
        &mut self,
        engine: &Embedded,
        case: &CaseView,
        need: &Need,
        digest: Option<offboard_domain::Digest>,
        never_returned: bool,
    ) -> Result<Option<Request>, Failed> {
        if need.kind == Kind::ConfirmDeviceReturned && never_returned {
            return Ok(None);
        }
        if !self.done.insert((need.task, question(case, need))) {
            return Ok(None);
        }
        let id = case.case.to_string();
        Ok(match need.what.as_str() {
            "approve_plan" => Some(Request::Approve {
                case: id,
                by: APPROVER.into(),
                of: Approval::Plan {
                    digest: case.plan_digest,
                },
            }),
            "approve_task" => digest.map(|digest| Request::Approve {
                case: id,
                by: APPROVER.into(),
                of: Approval::Task {
                    task: need.task.to_string(),
                    digest,
                },
            }),
            "attest" => {
                let receipt = format!("Handed in at the front desk, case {id}, task {}.\n", need.task);
                let file = engine.engine().store().put(receipt.into_bytes()).await?;
                Some(Request::Attest {
                    case: id,
                    task: need.task.to_string(),
                    by: MANAGER.into(),
                    file: Some(file),
                    ending: None,
                    note: String::new(),
                })
            }
            // What failed takes judgement: that is for whoever watches.
            _ => None,
        })
    }
}

/// What is asked: a plan that grew is another question.
fn question(case: &CaseView, need: &Need) -> String {
    match need.kind {
        Kind::ApprovePlan => format!("{}{}", need.what, case.plan_digest),
        _ => need.what.clone(),
    }
}

fn words(case: &CaseView, need: &Need) -> String {
    let reference = case.reference.as_deref().unwrap_or("");
    match need.kind {
        Kind::ApprovePlan => format!("{reference}: {APPROVER} approves the plan of {} tasks", case.total),
        Kind::WipeDevice => format!("{reference}: {APPROVER} approves exactly this wipe"),
        Kind::ConfirmDeviceReturned => {
            format!("{reference}: {MANAGER} confirms that the device came back, with a file")
        }
        Kind::Validate => format!("{reference}: {MANAGER} validates the departure"),
        Kind::ConfirmDisabledOnPremises => {
            format!("{reference}: {MANAGER} has the account disabled in Active Directory, which masters it")
        }
        Kind::ConfirmSharedOnPremises => {
            format!("{reference}: {MANAGER} has the mailbox set to shared on the premises too")
        }
        Kind::RotateSharedCredential => format!("{reference}: {MANAGER} has a shared credential changed"),
        Kind::DecideApp => format!("{reference}: {MANAGER} ends the account in an application that nobody planned for"),
        Kind::HoldKnowledgeSession => format!("{reference}: {MANAGER} says where the knowledge session is recorded"),
        Kind::ConfirmHandover => format!("{reference}: {MANAGER} confirms the hand-over"),
        other => format!("{reference}: a person answers {other}"),
    }
}
