//! What came of it: a table, what needs a person and why, and what to try next.

use crate::office::Office;
use crate::{Args, Failed};
use offboard_dispatcher::accounts::Accounts;
use offboard_dispatcher::view::CaseView;
use offboard_domain::departure::Manner;
use offboard_domain::time::{MINUTE_MS, SECOND_MS};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

/// Shows it, in how much engine time it was done, and how much real time all of it took.
pub(crate) fn show(
    args: &Args,
    office: &Office,
    cases: &[CaseView],
    done_ms: i64,
    took: Duration,
) -> Result<(), Failed> {
    println!("\nResult\n");
    println!(
        "{:<8} {:<10} {:<10} {:<10} {:>9}  {:<12}",
        "case", "client", "manner", "state", "settled", "access cut"
    );
    for case in cases {
        let manner = match case.manner {
            Manner::Planned => "planned",
            Manner::Immediate => "immediate",
        };
        println!(
            "{:<8} {:<10} {:<10} {:<10} {:>4}/{:<4}  {:<12}",
            case.reference.as_deref().unwrap_or(""),
            case.tenant.as_str(),
            manner,
            case.state,
            case.settled,
            case.total,
            access_cut(case)
        );
    }
    needs(cases);
    let harm = office
        .world
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .violations()
        .len();
    println!("\nHarm done in the simulated world (lost mailboxes, wrong accounts, wiped private devices, …): {harm}");
    println!(
        "Done after {} simulated minutes, which are {} s at {} times the speed; what is left waits for people.",
        done_ms / MINUTE_MS,
        done_ms / i64::from(args.speed.max(1)) / SECOND_MS,
        args.speed
    );
    println!(
        "It took {} s from start to end: last of all it is looked for some seconds whether anything still moves.",
        took.as_secs()
    );
    let evidence = office.config.engine.evidence.to_string();
    println!("\nEvidence: {evidence}/  (a signed envelope and a page to print for each closed case)");
    next(&args.output, cases)
}

/// What can be tried while the simulation stays up.
pub(crate) fn invite(args: &Args, clock: String) {
    let folder = args.output.display();
    println!("\nThe simulated Microsoft 365 stays up until Ctrl-C. In another terminal:");
    println!("  export OFFBOARD_CLOCK={clock}");
    for command in ["doctor", "why HR-004", "run leavers.csv", "list"] {
        println!("  cargo offboard -C {folder} {command}");
    }
}

/// From the departure's time to the last cut of the first, urgent ones.
fn access_cut(case: &CaseView) -> String {
    use offboard_domain::Kind;
    let burst = [
        Kind::RemoveDirectoryRoles,
        Kind::DisableSignIn,
        Kind::ResetPassword,
        Kind::RevokeSessions,
    ];
    let times: Option<Vec<_>> = burst
        .iter()
        .map(|k| case.tasks.iter().find(|t| t.kind == *k).and_then(|t| t.settled_at))
        .collect();
    match times.and_then(|t| t.into_iter().max()) {
        Some(last) => {
            let minutes = last.since(case.opened_at.max(case.effective_at)) / MINUTE_MS;
            format!("{minutes} min")
        }
        None if case.ended => "-".into(),
        None => "not yet".into(),
    }
}

fn needs(cases: &[CaseView]) {
    let open: Vec<_> = cases
        .iter()
        .filter(|c| !c.needs.is_empty() || (c.ended && c.detail.is_some()))
        .collect();
    if open.is_empty() {
        return;
    }
    println!("\nNeeds a person\n");
    for case in open {
        let reference = case.reference.as_deref().unwrap_or("");
        if let (true, Some(detail)) = (case.ended, &case.detail) {
            println!("{reference}  {}: {detail}", case.state);
        }
        for need in &case.needs {
            println!("{reference}  {}: {}", need.kind, need.why);
        }
    }
}

fn next(folder: &Path, cases: &[CaseView]) -> Result<(), Failed> {
    let kept = folder.join("evidence");
    let folder = folder.display();
    let closed = cases.iter().find(|c| c.state == "closed");
    let open = cases.iter().find(|c| !c.needs.is_empty());
    println!("\nTry next");
    if let Some(case) = closed {
        let account = account(&kept, case)?;
        println!(
            "  cargo offboard verify {} --key {folder}/keys/public.pem",
            account.display()
        );
        println!(
            "  cargo offboard -C {folder} show {}",
            case.reference.as_deref().unwrap_or("")
        );
    }
    if let Some(case) = open {
        println!(
            "  cargo offboard -C {folder} why {}",
            case.reference.as_deref().unwrap_or("")
        );
    }
    Ok(())
}

/// The signed account of a closed case, as the file is called that is there.
fn account(kept: &Path, case: &CaseView) -> Result<PathBuf, Failed> {
    let accounts = Accounts::of(&case.tenant, case.case, case.opened_at);
    let [name, _] = accounts.folders();
    let folder = kept.join(name);
    let files = fs::read_dir(&folder).map_err(|e| format!("failed to list {}: {e}", folder.display()))?;
    for file in files {
        let path = file?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        if accounts.are(&format!("{name}/{file}")) {
            return Ok(path);
        }
    }
    Err(format!(
        "a case is closed, but {} holds no signed account of it",
        folder.display()
    )
    .into())
}
