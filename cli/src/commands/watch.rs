//! `offboard watch`: cases live. On a terminal a table that is drawn in place;
//! elsewhere a line, or with `--json` an object, whenever a case has changed.
//!
//! Where nobody serves the folder it is opened only for the moment of looking,
//! so that watching stands in nobody's way.

use super::Ctx;
use super::list::{note_unknown, table};
use super::serve::Interrupt;
use crate::error::{CliError, Exit};
use crate::out::{Out, columns};
use crate::session::Session;
use crate::show::{bar, safe};
use console::{Term, style, truncate_str};
use offboard_dispatcher::control::{CaseSummary, Request, Response, summarise};
use offboard_domain::{CaseId, TenantId};
use offboard_runtime::Clock;
use offboard_runtime::config::Configuration;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The shortest time between two drawings.
const THROTTLE: Duration = Duration::from_millis(250);
/// The longest: times that are shown go on also when nothing happens.
const LOOK_AGAIN_MS: u64 = 2_000;
/// Lines of the terminal that the table leaves free.
const SPARE_LINES: usize = 4;
/// Cases that are over and that the table goes on showing: the newest. Who watches for months
/// is not to keep every case that there was.
const OVER_SHOWN: usize = 20;
/// How often it is looked how a case ended: then it is let go, and that is said.
const LOOKS_AT_MOST: u32 = 3;

pub(super) async fn run(ctx: &Ctx, tenant: Option<&TenantId>, all: bool) -> Result<Exit, CliError> {
    let config = ctx.config()?;
    let mut interrupt = Interrupt::listen()?;
    note_unknown(ctx.out, &config, tenant);
    let mut watch = Watch {
        out: ctx.out,
        clock: ctx.clock(&config)?,
        last: BTreeMap::new(),
        failed_looks: BTreeMap::new(),
        drawn: 0,
        term: Term::stdout(),
    };
    let outcome = tokio::select! {
        outcome = watch.follow(&config, tenant, all) => outcome,
        () = interrupt.first() => Ok(()),
    };
    outcome.map(|()| Exit::Interrupted)
}

struct Watch {
    out: Out,
    clock: Arc<dyn Clock>,
    last: BTreeMap<CaseId, CaseSummary>,
    failed_looks: BTreeMap<CaseId, u32>,
    drawn: usize,
    term: Term,
}

impl Watch {
    async fn follow(&mut self, config: &Configuration, tenant: Option<&TenantId>, all: bool) -> Result<(), CliError> {
        let mut session = Session::open_to_read(config, self.clock.clone(), Some(self.out)).await?;
        let mut seen = 0;
        loop {
            let mut cases = match session.cases(tenant, !all).await {
                Ok(cases) => cases,
                // Whoever served has ended: look for the next one.
                Err(_) if session.is_served() => {
                    session = Session::open_to_read(config, self.clock.clone(), None).await?;
                    session.cases(tenant, !all).await?
                }
                Err(error) => return Err(error),
            };
            let listed = cases.len();
            let gone = self.no_longer_listed(&mut session, &cases).await;
            cases.extend(gone);
            self.show(&cases, &session)?;
            let mut gone = cases.split_off(listed);
            let_go(&mut gone, if self.draws() { OVER_SHOWN } else { 0 });
            cases.extend(gone);
            self.last = cases.into_iter().map(|c| (c.case, c)).collect();
            session = self.wait(session, config, &mut seen).await?;
        }
    }

    /// What was listed before and is not any more, which is what has ended since: how, is
    /// looked up once.
    async fn no_longer_listed(&mut self, session: &mut Session<'_>, listed: &[CaseSummary]) -> Vec<CaseSummary> {
        let listed: BTreeSet<CaseId> = listed.iter().map(|c| c.case).collect();
        self.failed_looks.retain(|case, _| !listed.contains(case));
        let mut gone = Vec::new();
        for before in self.last.values().filter(|c| !listed.contains(&c.case)) {
            if before.ended {
                gone.push(before.clone());
                continue;
            }
            let case = before.case.to_string();
            match session.case(Request::Show { case }).await {
                Ok(view) => {
                    self.failed_looks.remove(&before.case);
                    gone.push(summarise(&view));
                }
                // Who cannot be asked now is asked when it is looked again.
                Err(_) if may_look_again(&mut self.failed_looks, before.case) => gone.push(before.clone()),
                // A line in the midst of the table would spoil it.
                Err(_) if self.draws() => {}
                Err(error) => self.out.say(format!(
                    "note: case {0} is not open any more, and how it ended cannot be read: {1}; look with `offboard show {0}`",
                    before.case,
                    error.brief()
                )),
            }
        }
        gone
    }

    /// Whether a table is drawn in place.
    fn draws(&self) -> bool {
        !self.out.is_json() && self.term.is_term()
    }

    async fn wait<'a>(
        &self,
        mut session: Session<'a>,
        config: &'a Configuration,
        seen: &mut u64,
    ) -> Result<Session<'a>, CliError> {
        if session.is_served() {
            tokio::time::sleep(THROTTLE).await;
            match session
                .ask(Request::Changes {
                    after: *seen,
                    wait_ms: LOOK_AGAIN_MS,
                })
                .await
            {
                Ok(Response::Changes { count }) => {
                    *seen = count;
                    return Ok(session);
                }
                Ok(_) | Err(_) => *seen = 0,
            }
            return Session::open_to_read(config, self.clock.clone(), None).await;
        }
        // Whoever wants to serve the folder is not to wait for who only watches.
        if session.is_idle() {
            session.close().await?;
            tokio::time::sleep(Duration::from_millis(LOOK_AGAIN_MS)).await;
            return Session::open_to_read(config, self.clock.clone(), None).await;
        }
        tokio::time::sleep(Duration::from_millis(LOOK_AGAIN_MS)).await;
        session.look_for_an_answer().await;
        Ok(session)
    }

    fn show(&mut self, cases: &[CaseSummary], session: &Session<'_>) -> Result<(), CliError> {
        if self.draws() {
            return self.draw(cases, session);
        }
        for case in cases {
            if self.last.get(&case.case) == Some(case) {
                continue;
            }
            if self.out.is_json() {
                self.out.object(case)?;
            } else {
                self.out.line(&format!(
                    "{} {} {} {} {}/{} {}",
                    case.case,
                    case.tenant,
                    safe(&case.person),
                    case.state,
                    case.settled,
                    case.total,
                    safe(&case.doing)
                ))?;
            }
        }
        Ok(())
    }

    fn draw(&mut self, cases: &[CaseSummary], session: &Session<'_>) -> Result<(), CliError> {
        let now = self.clock.now();
        let (height, width) = self.term.size();
        let room = usize::from(height).saturating_sub(SPARE_LINES).max(1);
        let mut shown: Vec<CaseSummary> = cases.to_vec();
        shown.sort_by_key(|c| (c.ended, c.needs == 0, !c.working, c.opened_at, c.case));
        let hidden = shown.len().saturating_sub(room);
        shown.truncate(room);
        let sum = |f: fn(&CaseSummary) -> u32| cases.iter().map(f).sum::<u32>();
        let (settled, total) = (sum(|c| c.settled), sum(|c| c.total));
        let needs = cases.iter().filter(|c| !c.ended && c.needs > 0).count();
        let who = if session.is_idle() {
            style("nobody serves this folder").yellow()
        } else if session.is_read() {
            style("nobody answers; read as it stands").yellow()
        } else {
            style("served").green()
        };
        let mut lines = vec![format!(
            "{} {}  {settled}/{total} tasks  {} cases  {needs} need a person  {who}",
            style("offboard").bold(),
            style(bar(settled, total, 24)).cyan(),
            cases.len(),
        )];
        lines.extend(table(&shown, now).lines(columns()));
        if hidden > 0 {
            lines.push(style(format!("and {hidden} more")).dim().to_string());
        }
        let failed = |e: std::io::Error| CliError::failed("failed to draw on the terminal").caused_by(Some(&e));
        self.term.clear_last_lines(self.drawn).map_err(failed)?;
        for line in &lines {
            // What is wider goes on in the next line of the terminal, and that would not be erased.
            let line = truncate_str(line, usize::from(width), "…");
            self.term.write_line(&line).map_err(failed)?;
        }
        self.drawn = lines.len();
        Ok(())
    }
}

/// Lets go of what is over and was shown, but for the newest; what is not known to be over stays.
fn let_go(gone: &mut Vec<CaseSummary>, newest: usize) {
    gone.sort_by_key(|c| (c.ended, Reverse(c.changed_at)));
    let unknown = gone.iter().filter(|c| !c.ended).count();
    gone.truncate(unknown.saturating_add(newest));
}

/// Counts a look at a case that failed; whether another one is worth it.
fn may_look_again(failed: &mut BTreeMap<CaseId, u32>, case: CaseId) -> bool {
    let looks = failed.entry(case).or_default();
    *looks += 1;
    let again = *looks < LOOKS_AT_MOST;
    if !again {
        failed.remove(&case);
    }
    again
}

#[cfg(test)]
mod tests {
    use super::*;
    use offboard_domain::Timestamp;

    fn case(reference: &str, ended: bool, changed_at: i64) -> CaseSummary {
        let tenant = TenantId::new("acme").unwrap();
        CaseSummary {
            case: CaseId::derive(&tenant, reference),
            tenant,
            reference: Some(reference.to_owned()),
            person: String::new(),
            manner: None,
            state: String::new(),
            ended,
            effective_at: None,
            opened_at: Timestamp(0),
            changed_at: Timestamp(changed_at),
            settled: 0,
            total: 0,
            needs: 0,
            failed: 0,
            working: false,
            next_at: None,
            doing: String::new(),
            deadline: None,
        }
    }

    #[test]
    fn what_is_over_is_let_go_but_for_the_newest() {
        let gone = [
            case("old", true, 1),
            case("unknown", false, 0),
            case("new", true, 3),
            case("newer", true, 4),
        ];
        for (newest, wanted) in [
            (0, &["unknown"][..]),
            (2, &["unknown", "newer", "new"][..]),
            (9, &["unknown", "newer", "new", "old"][..]),
        ] {
            let mut gone = gone.to_vec();
            let_go(&mut gone, newest);
            let left: Vec<&str> = gone.iter().filter_map(|c| c.reference.as_deref()).collect();
            assert_eq!(left, wanted, "{newest}");
        }
    }

    #[test]
    fn a_case_of_which_nobody_tells_how_it_ended_is_asked_about_a_few_times() {
        let mut failed = BTreeMap::new();
        let (one, other) = (case("one", false, 0).case, case("other", false, 0).case);
        let looks = [one, other, one, one].map(|case| may_look_again(&mut failed, case));
        assert_eq!(looks, [true, true, true, false]);
        assert_eq!(failed.keys().collect::<Vec<_>>(), [&other]);
    }
}
