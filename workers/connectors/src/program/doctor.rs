//! `offboard doctor`: is the program there, may it be started, can nobody
//! change it who should not, and does it answer the call `check`, which changes
//! nothing and names nobody.

use super::fault::{self, Meaning};
use super::run::{self, Failed, Stderr};
use super::trust::{self, Flaw};
use super::wire::{self, Ask};
use super::{ProgramConnector, files};
use crate::{Call, Finding, Severity};
use std::path::Path;

/// Where the agreement is described.
const PAGE: &str = "docs/connectors/program.md";

pub(super) async fn check(program: &ProgramConnector, call: &mut Call) -> Vec<Finding> {
    let files = files(&program.settings);
    let looked = tokio::task::spawn_blocking(move || files.iter().flat_map(|(f, x)| look(f, *x)).collect());
    let mut findings: Vec<Finding> = looked.await.unwrap_or_else(|_| {
        vec![Finding::new(
            Severity::Problem,
            "its files could not be looked at",
            "try again",
        )]
    });
    if findings.iter().all(|f| f.severity != Severity::Problem) {
        let shown = program.settings.program.display();
        if findings.is_empty() {
            findings.push(Finding::new(
                Severity::Fine,
                format!("{shown} is there, and only the right people can change it"),
                "",
            ));
        }
        findings.extend(ask(program, call).await);
    }
    findings
}

fn look(file: &Path, executed: bool) -> Vec<Finding> {
    let of = |f: Flaw| Finding::new(f.severity, f.what, f.how_to_mend);
    match trust::of_file(file, executed) {
        Ok(flaws) => flaws.into_iter().chain(trust::of_folders(file)).map(of).collect(),
        Err(e) => {
            let what = format!("{} cannot be looked at ({:?})", file.display(), e.kind());
            let how = "put the program there, or correct `command`; the folders that lead to it must be open to the user of this worker";
            vec![Finding::new(Severity::Problem, what, how)]
        }
    }
}

async fn ask(program: &ProgramConnector, call: &Call) -> Vec<Finding> {
    let settings = &program.settings;
    let within = settings.timeout.min(call.remaining());
    let question = wire::question(Ask::Check, settings.tenant.as_str(), None);
    let ran = run::run(settings, question, within).await;
    let (findings, stderr) = match &ran {
        Err(failed) => {
            let meaning = fault::failed(failed, Ask::Check, within, settings.max_output_bytes);
            let stderr = match failed {
                Failed::TimedOut(stderr) | Failed::TooMuchOutput(stderr) => Some(stderr),
                Failed::NotStarted(_) | Failed::Lost(_) => None,
            };
            (vec![unable(&meaning, None)], stderr)
        }
        Ok(ran) => {
            let outcome = match fault::ended(ran, Ask::Check) {
                Some(meaning) => vec![unable(&meaning, None)],
                None => match wire::checked(&ran.stdout) {
                    Ok(Ok(())) => vec![Finding::new(
                        Severity::Fine,
                        "it answers the call `check`: it can do its work",
                        "",
                    )],
                    Ok(Err(met)) => vec![unable(&fault::met(&met), met.message.as_deref())],
                    Err(wrong) => vec![unable(&fault::wrong(&wrong, ran, Ask::Check), None)],
                },
            };
            (outcome, Some(&ran.stderr))
        }
    };
    let shown = stderr.filter(|_| settings.show_stderr).map(show);
    findings.into_iter().chain(shown).collect()
}

fn unable(meaning: &Meaning, message: Option<&str>) -> Finding {
    let message = message.map(|m| format!(" ({m})")).unwrap_or_default();
    Finding::new(
        Severity::Problem,
        format!("its check fails with {}{message}", meaning.code),
        format!("{}. What it must answer stands in {PAGE}", meaning.detail),
    )
}

/// The end of what it wrote, line by line, for the terminal of who asked.
fn show(stderr: &Stderr) -> Finding {
    let tail = String::from_utf8_lossy(&stderr.tail);
    let lines: Vec<&str> = tail.lines().filter(|l| !l.trim().is_empty()).collect();
    let what = match lines.is_empty() {
        true => "it wrote nothing to standard error".to_owned(),
        false => format!("the end of what it wrote to standard error: {}", lines.join(" ⏎ ")),
    };
    Finding::new(Severity::Fine, what, "")
}
