//! `offboard run [FILE]`: accepts, and carries everything that is open to its
//! end in this process. It stops by itself when every case has ended or only
//! people and time are waited for.

use super::Ctx;
use super::submit::{line, word};
use crate::embedded::{Embedded, Overrides};
use crate::error::{CliError, Exit};
use crate::intake::{self, Files, Handed};
use crate::out::{Out, columns};
use crate::progress::Progress;
use crate::session::{refused, unexpected};
use crate::show::{Table, safe, state, when};
use offboard_dispatcher::Unwritten;
use offboard_dispatcher::control::{Accepted, CaseSummary, LIST_MAX, Request, Response, What, summarise};
use offboard_domain::time::MINUTE_MS;
use offboard_domain::{CaseId, TenantId, Timestamp};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What goes on within this time is worth staying for, in engine time; what is
/// further away goes on at the next start.
const WORTH_WAITING_MS: i64 = 10 * MINUTE_MS;
/// After so long without a write, in which no case has come on, it ends, in engine time: a
/// person must make room first. `docs/cli.md` says so.
const GIVES_UP_AFTER_MS: i64 = 5 * MINUTE_MS;
/// How often the cases are looked at, at most.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Looking may take one part in this many of the time.
const LOOKING_SHARE: u32 = 5;

pub(super) async fn run(ctx: &Ctx, files: &[PathBuf], tenant: Option<&TenantId>, wait: bool) -> Result<Exit, CliError> {
    let by = ctx.actor()?;
    let (config, telemetry) = ctx.config_of_run()?;
    let clock = ctx.clock(&config)?;
    let read = match files {
        [] => Files::default(),
        files => intake::read(ctx.out, &config, files, tenant, &by, clock.now())?,
    };
    let mut interrupted = super::serve::Interrupt::listen()?.or_hangup()?;
    let started = tokio::select! {
        started = Embedded::start(&config, clock, Overrides::default()) => started,
        () = interrupted.first() => return Ok(Exit::Interrupted),
    };
    let embedded = started.map_err(|e| {
        if e.is_held() { e.next("another process carries this folder's cases out: hand departures to it with `offboard submit FILE`, and look with `offboard watch`") } else { e }
    })?;
    let Handed { outcomes, failed } = read
        .hand_over(async |request| refused(embedded.ask(request).await))
        .await;
    let mut board = Board {
        out: ctx.out,
        progress: Progress::new(ctx.out),
        cases: BTreeMap::new(),
    };
    let told = unless_gone(report(ctx.out, &read, &outcomes, &embedded));
    let followed = match failed.map_or(told, Err) {
        Err(error) => Err(error),
        Ok(()) => tokio::select! {
            left = board.follow(&embedded, wait) => left,
            () = interrupted.first() => Ok(Left::Interrupted),
        },
    };
    if matches!(followed, Ok(Left::Interrupted)) {
        board.progress.say(
            "Stopping: what is in flight is finished first. Ctrl-C again stops at once; nothing is lost either way.",
        );
        interrupted.exit_on_second();
    }
    board.progress.finish();
    let evidence = embedded.evidence().to_string();
    let now = embedded.engine().now();
    let looked = board.look(&embedded).await;
    // However it went: what is in flight is finished, and what came of it recorded.
    let ended = embedded.shutdown().await;
    super::flush(telemetry).await;
    let left = followed?;
    if let Left::Unwritten(unwritten) = &left {
        unless_gone(board.end(now, &evidence))?;
        return Err(gave_up(unwritten));
    }
    looked?;
    ended?;
    unless_gone(board.end(now, &evidence))?;
    Ok(match left {
        Left::Interrupted => Exit::Interrupted,
        _ if outcomes.iter().any(|o| o.what == What::Refused) => Exit::Failed,
        _ if board
            .cases
            .values()
            .all(|c| c.state == "closed" || c.state == "cancelled" || c.state == "merged") =>
        {
            Exit::Done
        }
        _ => Exit::Person,
    })
}

/// Why it is not stayed for any longer.
enum Left {
    /// There is nothing left to stay for.
    Nothing,
    /// Somebody stops it.
    Interrupted,
    /// Nothing can be written, and nothing comes on.
    Unwritten(Vec<Unwritten>),
}

/// Whoever read our output has gone: the cases are carried on all the same.
pub(super) fn unless_gone(told: Result<(), CliError>) -> Result<(), CliError> {
    match told {
        Err(error) if error.is_reader_gone() => Ok(()),
        told => told,
    }
}

fn gave_up(unwritten: &[Unwritten]) -> CliError {
    let minutes = GIVES_UP_AFTER_MS / MINUTE_MS;
    CliError::failed(format!(
        "no case could be carried on for {minutes} minutes, since nothing can be written"
    ))
    .causes(unwritten.iter().map(ToString::to_string))
    .next("make room or mend what is named, look with `offboard doctor`, then go on with `offboard run`: what was accepted is kept")
}

fn report(out: Out, read: &Files, outcomes: &[Accepted], embedded: &Embedded) -> Result<(), CliError> {
    if out.is_json() {
        for rejected in read.rejected_json() {
            out.object(&json!({ "event": "rejected", "row": rejected }))?;
        }
        for ((at, _), outcome) in read.accepted.iter().zip(outcomes) {
            out.object(&json!({ "event": word(outcome.what), "departure": intake::outcome_json(at, outcome) }))?;
        }
        return Ok(());
    }
    for ((at, _), outcome) in read.accepted.iter().zip(outcomes) {
        out.say(line(&at.to_string(), outcome));
    }
    if !outcomes.is_empty() {
        out.say(read.summary(outcomes));
    }
    if embedded.recovered() > 0 {
        out.say(format!("{} open cases of before go on", embedded.recovered()));
    }
    Ok(())
}

/// Every case of this run, as it was seen last.
struct Board {
    out: Out,
    progress: Progress,
    cases: BTreeMap<CaseId, CaseSummary>,
}

impl Board {
    /// Follows until there is nothing left to stay for, or nothing can be written for minutes.
    async fn follow(&mut self, embedded: &Embedded, wait: bool) -> Result<Left, CliError> {
        let mut changes = embedded.engine().changes();
        loop {
            let began = Instant::now();
            self.look(embedded).await?;
            let now = embedded.engine().now();
            let cases: Vec<CaseSummary> = self.cases.values().cloned().collect();
            let unwritten = embedded.engine().unwritten();
            unless_gone(self.progress.note_unwritten(&unwritten, now))?;
            unless_gone(self.progress.update(&cases, now))?;
            let done = if wait {
                cases.iter().all(|c| c.ended)
            } else {
                !cases.iter().any(|c| worth_staying(c, now))
            };
            if done {
                return Ok(Left::Nothing);
            }
            if is_stuck(&unwritten, cases.iter().map(|c| c.changed_at), now) {
                return Ok(Left::Unwritten(unwritten));
            }
            let pause = LOOK_EVERY.max(began.elapsed() * LOOKING_SHARE);
            tokio::time::sleep(pause).await;
            // Nothing has changed: then only time can, and it is looked at a
            // little later.
            let _ = tokio::time::timeout(LOOK_EVERY * LOOKING_SHARE, changes.changed()).await;
        }
    }

    /// Looks at every open case, and once more at each that has ended since.
    async fn look(&mut self, embedded: &Embedded) -> Result<(), CliError> {
        let mut open: BTreeMap<CaseId, CaseSummary> = BTreeMap::new();
        let mut after = None;
        loop {
            let page = embedded
                .ask(Request::List {
                    tenant: None,
                    open_only: true,
                    after,
                    limit: LIST_MAX,
                })
                .await;
            let (cases, more) = match refused(page)? {
                Response::Cases { cases, more } => (cases, more),
                other => return Err(unexpected(&other)),
            };
            after = cases.last().map(|c| (c.tenant.clone(), c.case));
            open.extend(cases.into_iter().map(|c| (c.case, c)));
            if !more || after.is_none() {
                break;
            }
        }
        let gone: Vec<CaseId> = self
            .cases
            .values()
            .filter(|c| !c.ended && !open.contains_key(&c.case))
            .map(|c| c.case)
            .collect();
        for id in gone {
            match refused(embedded.ask(Request::Show { case: id.to_string() }).await)? {
                Response::Case(view) => {
                    self.cases.insert(id, summarise(&view));
                }
                other => return Err(unexpected(&other)),
            }
        }
        self.cases.extend(open);
        Ok(())
    }

    /// The last word: where everything is, and what goes on how.
    fn end(&self, now: Timestamp, evidence: &str) -> Result<(), CliError> {
        let all: Vec<&CaseSummary> = self.cases.values().collect();
        let closed = all.iter().filter(|c| c.state == "closed").count();
        let open = all.iter().filter(|c| !c.ended).count();
        let needs = all.iter().filter(|c| !c.ended && c.needs > 0).count();
        if self.out.is_json() {
            return self.out.object(&json!({
                "event": "end", "at": now.to_string(), "cases": all, "closed": closed, "open": open,
                "need_a_person": needs, "evidence": evidence,
            }));
        }
        let mut table = Table::new(&["CASE", "TENANT", "PERSON", "STATE", "DONE", "WHAT"]);
        for case in &all {
            table.row(vec![
                case.case.to_string(),
                case.tenant.to_string(),
                safe(&case.person),
                state(&case.state).to_string(),
                format!("{}/{}", case.settled, case.total),
                what(case, now),
            ]);
        }
        if !table.is_empty() {
            self.out.line(&table.lines(columns()).join("\n"))?;
        }
        self.out
            .say(format!("{closed} of {} closed; evidence in {evidence}", all.len()));
        if needs > 0 {
            self.out.say(format!(
                "{needs} need a person: `offboard show CASE` says what, and the command that does it"
            ));
        }
        if open > 0 {
            self.out.say(format!(
                "{open} go on where they are with `offboard run` or `offboard serve`; nothing of them is lost"
            ));
        }
        Ok(())
    }
}

/// Whether something cannot be written for minutes in which no case has come on.
fn is_stuck(unwritten: &[Unwritten], mut changed: impl Iterator<Item = Timestamp>, now: Timestamp) -> bool {
    let is_long = |since: Timestamp| now.since(since) >= GIVES_UP_AFTER_MS;
    unwritten.iter().any(|u| is_long(u.since)) && changed.all(is_long)
}

fn worth_staying(case: &CaseSummary, now: Timestamp) -> bool {
    !case.ended && (case.working || case.next_at.is_some_and(|at| at.since(now) <= WORTH_WAITING_MS))
}

fn what(case: &CaseSummary, now: Timestamp) -> String {
    let doing = safe(&case.doing);
    match case.next_at.filter(|at| !case.ended && *at > now) {
        Some(at) => format!("{doing} (goes on {})", when(at)),
        None => doing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_given_up_only_when_nothing_is_written_and_no_case_comes_on_for_long() {
        let now = Timestamp(GIVES_UP_AFTER_MS);
        let since = |ms: i64| {
            vec![Unwritten {
                place: "ledger".to_owned(),
                why: "the disk is full".to_owned(),
                since: Timestamp(ms),
            }]
        };
        for (unwritten, changed, stuck) in [
            (since(0), [0, -1], true),
            (since(1), [0, -1], false),
            // Another case comes on: what fails may be the place of accounts alone.
            (since(0), [1, -1], false),
            (Vec::new(), [0, -1], false),
        ] {
            let changed_at = changed.into_iter().map(Timestamp);
            assert_eq!(
                is_stuck(&unwritten, changed_at, now),
                stuck,
                "{unwritten:?} {changed:?}"
            );
        }
    }
}
