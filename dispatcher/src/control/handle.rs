//! The one answer to every request.

use super::message::{Accepted, Approval, Buried, Gate, Request, Response, Status, Stored, What};
use super::summary::{from_index, summarise};
use super::{CHANGES_WAIT_MAX_MS, LIST_MAX, find, why};
use crate::engine::{Engine, EngineError};
use crate::gates::{PAUSED_BY, who_paused};
use crate::heirs::Named;
use crate::letters::{LETTERS_MAX, letter};
use crate::submit::Submitted;
use futures::future::join_all;
use offboard_domain::{ApprovalOf, CaseId, Command, Departure, Digest, TenantId, heir, leaving};
use offboard_ledger::Filter;
use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Answers a request.
pub async fn handle(engine: &Arc<Engine>, request: Request) -> Response {
    match answer(engine, request).await {
        Ok(response) | Err(response) => response,
    }
}

async fn answer(engine: &Arc<Engine>, request: Request) -> Result<Response, Response> {
    match request {
        Request::Status => status(engine).await,
        Request::Submit { departures } => submit(engine, departures).await,
        Request::List {
            tenant,
            open_only,
            after,
            limit,
        } => {
            let limit = limit.clamp(1, LIST_MAX);
            list(
                engine,
                Filter {
                    tenant,
                    open_only,
                    after,
                    limit: limit + 1,
                    ..Filter::default()
                },
            )
            .await
        }
        Request::Show { case } => {
            let (tenant, id) = find::case(engine, &case).await?;
            show(engine, &tenant, id).await
        }
        Request::Why { case, task } => {
            let (tenant, id) = find::case(engine, &case).await?;
            why::why(engine, &tenant, id, task.as_deref())
                .await
                .map(|w| Response::Why(Box::new(w)))
        }
        Request::Artifacts { case } => {
            let (tenant, id) = find::case(engine, &case).await?;
            artifacts(engine, &tenant, id).await
        }
        Request::Approve { case, by, of } => {
            let (tenant, id) = find::case(engine, &case).await?;
            let of = match of {
                Approval::Plan { digest } => ApprovalOf::Plan(digest),
                Approval::Task { task, digest } => {
                    let case = engine.case(&tenant, id).await.map_err(|e| failed(&e))?;
                    ApprovalOf::Task(find::task(&case, &task)?, digest)
                }
            };
            order(engine, &tenant, id, Command::Approve { by, of }).await
        }
        Request::Attest {
            case,
            task,
            by,
            file,
            ending,
            note,
        } => {
            let (tenant, id) = find::case(engine, &case).await?;
            let whole = engine.case(&tenant, id).await.map_err(|e| failed(&e))?;
            let task = find::task(&whole, &task)?;
            if let Some(digest) = file {
                kept(engine, digest).await?;
            }
            let attest = Command::Attest {
                task,
                by,
                file,
                ending,
                note,
            };
            order(engine, &tenant, id, attest).await
        }
        Request::Waive {
            case,
            task,
            by,
            reason,
            until,
        } => {
            let (tenant, id) = find::case(engine, &case).await?;
            let whole = engine.case(&tenant, id).await.map_err(|e| failed(&e))?;
            let task = find::task(&whole, &task)?;
            order(
                engine,
                &tenant,
                id,
                Command::Waive {
                    task,
                    by,
                    reason,
                    until,
                },
            )
            .await
        }
        Request::Retry { case, task, by } => {
            let (tenant, id) = find::case(engine, &case).await?;
            let task = match task {
                Some(task) => {
                    let whole = engine.case(&tenant, id).await.map_err(|e| failed(&e))?;
                    Some(find::task(&whole, &task)?)
                }
                None => None,
            };
            order(engine, &tenant, id, Command::Retry { task, by }).await
        }
        Request::Cancel { case, by, reason } => {
            let (tenant, id) = find::case(engine, &case).await?;
            order(engine, &tenant, id, Command::Cancel { by, reason }).await
        }
        Request::Pause {
            tenant,
            what,
            until,
            by,
        } => {
            let tenants: Vec<TenantId> =
                tenant.map_or_else(|| engine.tenants.all().keys().cloned().collect(), |t| vec![t]);
            let by = by.as_deref();
            let pausing: Vec<_> = tenants.iter().map(|t| engine.pause(t, &what, until, by)).collect();
            all_done("pause", &tenants, join_all(pausing).await)?;
            gates(engine).await
        }
        Request::Resume { tenant, what } => {
            let tenants = match tenant {
                Some(tenant) => vec![tenant],
                None => Vec::from_iter(there(engine).await?),
            };
            let resuming: Vec<_> = tenants.iter().map(|t| engine.resume(t, &what)).collect();
            all_done("resume", &tenants, join_all(resuming).await)?;
            gates(engine).await
        }
        Request::Gates => gates(engine).await,
        Request::Dead { limit } => {
            let dead = engine
                .queue
                .dead(limit.clamp(1, LETTERS_MAX))
                .await
                .map_err(|e| failed(&e))?;
            let buried = |(message, reason): (offboard_queue::Message, String)| Buried {
                letter: letter(&message, &reason),
                id: message.id,
                bytes: message.body.len(),
                reason,
            };
            Ok(Response::Dead(dead.into_iter().map(buried).collect()))
        }
        Request::Clear { letters, how } => {
            let cleared = engine.clear(&letters, &how).await.map_err(|e| failed(&e))?;
            Ok(Response::Cleared(cleared))
        }
        Request::Changes { after, wait_ms } => Ok(changes(engine, after, wait_ms).await),
    }
}

/// The tenants that may have gates.
async fn there(engine: &Arc<Engine>) -> Result<BTreeSet<TenantId>, Response> {
    engine.tenants_there().await.map_err(|e| failed(&e))
}

/// What failed of what was ordered: of several tenants, each that it failed for, first
/// those for whom it is not in force.
fn all_done(ordered: &str, tenants: &[TenantId], done: Vec<Result<(), EngineError>>) -> Result<(), Response> {
    let of_each = tenants.iter().zip(done);
    let mut errors: Vec<(&TenantId, EngineError)> = of_each.filter_map(|(t, done)| Some((t, done.err()?))).collect();
    errors.sort_by_key(|(_, error)| matches!(error, EngineError::Unkept { .. }));
    match errors.as_slice() {
        [] => Ok(()),
        [(_, error)] if tenants.len() == 1 => Err(failed(error)),
        several => Err(Response::Failed {
            why: format!(
                "failed to {ordered}, or to keep that, for {} of {} clients, which are named with what came back; for the others it is done; give the same order again",
                several.len(),
                tenants.len()
            ),
            causes: several
                .iter()
                .map(|(t, error)| format!("client '{t}': {}", chain(error)))
                .collect(),
        }),
    }
}

async fn gates(engine: &Arc<Engine>) -> Result<Response, Response> {
    let now = engine.now();
    let mut all = Vec::new();
    for tenant in there(engine).await? {
        let shut = engine.gates_of(&tenant).await.map_err(|e| failed(&e))?;
        let no_gates = ["since/", "comparing/", "ordering/", PAUSED_BY, leaving::MARK];
        let is_gate = |name: &str| !no_gates.iter().any(|prefix| name.starts_with(prefix));
        let in_force = shut.iter().filter(|(name, until)| **until > now && is_gate(name));
        all.extend(in_force.map(|(name, until)| Gate {
            tenant: tenant.clone(),
            name: name.clone(),
            until: *until,
            since: shut.get(&format!("since/{name}")).copied(),
            by: who_paused(&shut, name).map(str::to_owned),
        }));
    }
    Ok(Response::Gates(all))
}

/// What an error says, with the chain of what caused it.
pub(super) fn failed(error: &(dyn Error + 'static)) -> Response {
    if let Some(EngineError::Refused(refusal)) = error.downcast_ref::<EngineError>() {
        return Response::Refused {
            why: refusal.to_string(),
        };
    }
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    Response::Failed {
        why: error.to_string(),
        causes,
    }
}

async fn status(engine: &Arc<Engine>) -> Result<Response, Response> {
    let dead = engine.queue.dead(LETTERS_MAX).await.map_err(|e| failed(&e))?.len();
    Ok(Response::Status(Status {
        process: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        now: engine.now(),
        held: engine.held(),
        dead,
        unwritten: engine.unwritten(),
    }))
}

/// An error with all that caused it, in one line.
fn chain(error: &EngineError) -> String {
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_said = cause.to_string();
        if !said.contains(&cause_said) {
            said.push_str(": ");
            said.push_str(&cause_said);
        }
        next = cause.source();
    }
    said
}

/// Each departure is accepted or refused by itself. What was accepted before a
/// failure stays accepted, and is told; nothing is tried after one. Submitting
/// all again is harmless.
async fn submit(engine: &Arc<Engine>, departures: Vec<Departure>) -> Result<Response, Response> {
    let mut accepted = Vec::with_capacity(departures.len());
    let mut named = Vec::new();
    for departure in departures {
        let (tenant, asked) = (departure.tenant.clone(), departure.case_id());
        let bare = departure.reference.is_none();
        let terms = engine.tenants.get(&tenant);
        let successor = terms.and_then(|terms| heir::named(&departure, &terms.policy).cloned());
        let submitted = engine.submit(departure).await;
        // An older program opened some under another id.
        let case = submitted.as_ref().map_or(asked, |submitted| submitted.case());
        named.extend(successor.map(|person| Named {
            tenant: tenant.clone(),
            case,
            person,
        }));
        let (what, why) = match submitted {
            Ok(Submitted::Opened(_)) => (What::Opened, None),
            Ok(Submitted::Known(_)) if bare => (What::Known, over_already(engine, &tenant, case).await),
            Ok(Submitted::Known(_)) => (What::Known, None),
            Ok(Submitted::Amended(_)) => (What::Amended, None),
            Err(error @ (EngineError::Refused(_) | EngineError::UnknownTenant(_))) => {
                (What::Refused, Some(error.to_string()))
            }
            Err(error) => (What::Failed, Some(chain(&error))),
        };
        accepted.push(Accepted {
            tenant,
            case,
            what,
            why,
            warning: None,
        });
        if what == What::Failed {
            break;
        }
    }
    // All of them are in the ledger by now, so that those who leave together are seen.
    match engine.heirs_who_leave(&named).await {
        Ok(mut warnings) => {
            for one in accepted
                .iter_mut()
                .filter(|a| !matches!(a.what, What::Refused | What::Failed))
            {
                one.warning = warnings.remove(&one.case);
            }
        }
        // What was accepted is accepted, and `show` looks again.
        Err(error) => tracing::warn!(%error, "failed to look whether whoever takes over leaves too"),
    }
    Ok(Response::Submitted(accepted))
}

/// What is said of one that is known already, if nothing is done for it any more.
async fn over_already(engine: &Arc<Engine>, tenant: &TenantId, case: CaseId) -> Option<String> {
    match engine.why_nothing_is_done(tenant, case).await {
        Ok(why) => why,
        // It is known all the same, and `show` says what became of it.
        Err(error) => {
            tracing::warn!(%case, %error, "failed to look whether what was handed in again is closed");
            None
        }
    }
}

async fn list(engine: &Arc<Engine>, filter: Filter) -> Result<Response, Response> {
    let asked = filter.limit - 1;
    let mut page = engine.ledger.list(filter).await.map_err(|e| failed(&e))?;
    let more = page.len() > asked;
    page.truncate(asked);
    let mut cases = Vec::with_capacity(page.len());
    for entry in &page {
        match engine.view(&entry.tenant, entry.case).await {
            Ok(view) => cases.push(summarise(&view)),
            Err(EngineError::History { .. }) => cases.push(from_index(entry)),
            Err(error) if find::unknown(&error) => {}
            Err(error) => return Err(failed(&error)),
        }
    }
    Ok(Response::Cases { cases, more })
}

async fn show(engine: &Arc<Engine>, tenant: &TenantId, id: CaseId) -> Result<Response, Response> {
    engine
        .view_with_warnings(tenant, id)
        .await
        .map(|v| Response::Case(Box::new(v)))
        .map_err(|e| failed(&e))
}

/// As the case's events say.
async fn artifacts(engine: &Arc<Engine>, tenant: &TenantId, id: CaseId) -> Result<Response, Response> {
    let history = why::history(engine, tenant, id).await.map_err(|e| failed(&e))?;
    let mut stored = Vec::new();
    for (_, event) in &history {
        let Some(task) = event.task() else { continue };
        stored.extend(event.artifacts().iter().map(|artifact| Stored {
            task,
            name: artifact.name.clone(),
            media_type: artifact.media_type.clone(),
            digest: artifact.digest,
        }));
    }
    Ok(Response::Artifacts(stored))
}

async fn order(engine: &Arc<Engine>, tenant: &TenantId, id: CaseId, command: Command) -> Result<Response, Response> {
    engine.order(tenant, id, command).await.map_err(|e| failed(&e))?;
    let view = engine.view(tenant, id).await;
    view.map(|v| Response::Case(Box::new(v))).map_err(|e| failed(&e))
}

/// A file that an attestation names must be there to be shown later.
async fn kept(engine: &Arc<Engine>, digest: Digest) -> Result<(), Response> {
    engine.store.get(digest).await.map(drop).map_err(|e| failed(&e))
}

async fn changes(engine: &Arc<Engine>, after: u64, wait_ms: u64) -> Response {
    let mut watched = engine.changes();
    let wait = Duration::from_millis(wait_ms.min(CHANGES_WAIT_MAX_MS));
    let changed = tokio::time::timeout(wait, watched.wait_for(|count| *count != after)).await;
    let count = match changed {
        Ok(Ok(count)) => *count,
        // The wait is over; that the engine goes is noticed by the next request.
        Ok(Err(_)) | Err(_) => after,
    };
    Response::Changes { count }
}
