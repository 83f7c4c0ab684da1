//! `offboard verify`: needs the file and the public key alone.

use super::Ctx;
use crate::error::{CliError, Exit};
use crate::show::safe;
use console::style;
use offboard_dispatcher::accounts::Accounts;
use offboard_dispatcher::control::Request;
use offboard_dispatcher::view::CaseView;
use offboard_domain::Digest;
use offboard_domain::evidence::{self, Ending, Invalid, Statement};
use offboard_runtime::config::Configuration;
use offboard_runtime::keys::{self, PublicKey};
use offboard_store::Store;
use serde_json::json;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Largest evidence file: thousands of tasks.
const EVIDENCE_MAX_BYTES: u64 = 256 * 1024 * 1024;
/// Largest public key in PEM, a hundred times over.
const KEY_MAX_BYTES: u64 = 64 * 1024;

pub(super) async fn run(ctx: &Ctx, given: &str, key: Option<PathBuf>) -> Result<Exit, CliError> {
    let path = Path::new(given);
    let (file, bytes) = if path.exists() {
        (given.to_owned(), read(path, EVIDENCE_MAX_BYTES)?)
    } else {
        of_case(ctx, given).await?
    };
    let keys = match &key {
        Some(key) => {
            let pem = read(key, KEY_MAX_BYTES)?;
            let key = PublicKey::from_pem(&String::from_utf8_lossy(&pem));
            vec![key.map_err(|e| CliError::of(&e).exit(Exit::Usage))?]
        }
        None => kept_keys(&ctx.load_what_reads()?.engine.keys)?,
    };
    match with_any(&bytes, &keys) {
        Ok((statement, key)) => valid(ctx, &file, &statement, &key),
        Err(invalid) => {
            if ctx.out.is_json() {
                ctx.out
                    .document(&json!({ "valid": false, "file": file, "why": invalid.to_string() }))?;
            }
            Err(CliError::failed(format!("{file} is not valid evidence"))
                .exit(Exit::Evidence)
                .caused_by(Some(&invalid)))
        }
    }
}

/// The public keys of a keys folder. That there is none says nothing of any evidence.
pub(super) fn kept_keys(folder: &Path) -> Result<Vec<PublicKey>, CliError> {
    let public = folder.join("public");
    let keys = if public.is_dir() {
        keys::public_keys(folder)?
    } else {
        Vec::new()
    };
    if keys.is_empty() {
        return Err(CliError::usage(format!(
            "failed to verify evidence: there is no public key (.pem) in {}",
            public.display()
        ))
        .next("name the key that it was sealed with (`offboard verify … --key FILE`), or put that key there"));
    }
    Ok(keys)
}

/// By the first of these keys that the file names; if it names none of them, all are told.
pub(super) fn with_any(bytes: &[u8], keys: &[PublicKey]) -> Result<(Statement, PublicKey), Invalid> {
    let mut names = String::new();
    for key in keys {
        match evidence::verify(bytes, key.verifying_key()) {
            Ok(statement) => return Ok((statement, key.clone())),
            Err(Invalid::NoSignatureByThisKey { found, .. }) => names = found,
            Err(other) => return Err(other),
        }
    }
    let tried: Vec<&str> = keys.iter().map(|key| key.id().as_str()).collect();
    Err(Invalid::NoSignatureByThisKey {
        expected: tried.join(", "),
        found: names,
    })
}

fn valid(ctx: &Ctx, file: &str, statement: &Statement, key: &PublicKey) -> Result<Exit, CliError> {
    let p = &statement.predicate;
    if ctx.out.is_json() {
        ctx.out
            .document(&json!({ "valid": true, "file": file, "key": key.id().as_str(), "statement": statement }))?;
        return Ok(Exit::Done);
    }
    let named = &p.request.named;
    let person = [
        &named.display_name,
        &named.user_principal_name,
        &named.mail,
        &named.employee_id,
    ];
    let person = person.into_iter().flatten().next().map_or("", String::as_str);
    ctx.out.line(&format!("{} {file}", style("valid").green().bold()))?;
    ctx.out.line(&format!("  signed by key  {}", key.id()))?;
    ctx.out.line(&format!("  case           {} of {}", p.case, p.tenant))?;
    ctx.out.line(&format!("  person         {}", safe(person)))?;
    let ending = match p.ending {
        Ending::Completed => "completed".to_owned(),
        Ending::Cancelled => style("called off").yellow().to_string(),
        Ending::Refused if p.lost_tails.is_empty() => style("refused; nothing was written").yellow().to_string(),
        Ending::Refused => style("refused").yellow().to_string(),
    };
    ctx.out.line(&format!("  departure      {ending}"))?;
    let outcomes: Vec<String> = p
        .summary
        .outcomes
        .iter()
        .map(|(class, n)| format!("{n} {}", safe(&class.replace('_', " "))))
        .collect();
    ctx.out
        .line(&format!("  tasks          {}: {}", p.tasks.len(), outcomes.join(", ")))?;
    if !p.lost_tails.is_empty() {
        let said = "part of it was lost: what is told as not done may have been done";
        ctx.out.line(&format!("  history        {}", style(said).red()))?;
    }
    let open = p.times.access_not_cut.len();
    if open > 0 {
        let said = format!("{open} tasks that cut access were not done or waived");
        ctx.out.line(&format!("  access         {}", style(said).red()))?;
    }
    let own = p.approvals.iter().filter(|a| a.by_who_handed_in).count();
    if own > 0 {
        let said = format!("{own} by who had handed in what he approved");
        ctx.out.line(&format!("  approvals      {}", style(said).red()))?;
    }
    ctx.out.line(&format!("  waivers        {}", p.waivers.len()))?;
    ctx.out.line(&format!("  subjects       {}", statement.subject.len()))?;
    Ok(Exit::Done)
}

/// The evidence that a case of this folder names as its own, and where it is.
async fn of_case(ctx: &Ctx, given: &str) -> Result<(String, Vec<u8>), CliError> {
    let looks_like_a_file = given.contains(std::path::MAIN_SEPARATOR) || given.ends_with(".json");
    let absent = || CliError::usage(format!("there is no file {given}"));
    if looks_like_a_file {
        return Err(absent());
    }
    let config = ctx.config()?;
    let mut session = ctx.session_to_read(&config).await?;
    let view = session.case(Request::Show { case: given.to_owned() }).await;
    session.close().await?;
    let view = view?;
    let Some(named) = view.evidence else {
        return Err(CliError::usage(format!(
            "case {} has no sealed evidence yet; it is {}",
            view.case, view.state
        ))
        .next(format!("offboard why {}", view.case)));
    };
    sealed(&config, &view, named).await
}

/// The sealed account of a case by the digest that its history names, and where
/// it is.
pub(super) async fn sealed(
    config: &Configuration,
    view: &CaseView,
    named: Digest,
) -> Result<(String, Vec<u8>), CliError> {
    let store = Store::at(&config.engine.evidence)?;
    let accounts = Accounts::of(&view.tenant, view.case, view.opened_at);
    for folder in accounts.folders() {
        let files = store.list(folder).await?;
        for file in files.iter().filter(|f| accounts.are(&f.path)) {
            if file.bytes > EVIDENCE_MAX_BYTES {
                continue;
            }
            let bytes = store.get_named(&file.path).await?;
            if Digest::of(&bytes) == named {
                return Ok((format!("{}/{}", config.engine.evidence, file.path), bytes.to_vec()));
            }
        }
    }
    let [folder, former] = accounts.folders();
    Err(CliError::failed(format!(
        "the evidence of case {} is gone or was changed: no file of it in {folder} or {former} under {} has the digest {named}; restore it from a backup",
        view.case, config.engine.evidence
    ))
    .exit(Exit::Evidence))
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, CliError> {
    let failed = |e: std::io::Error| CliError::usage(format!("failed to read {}", path.display())).caused_by(Some(&e));
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(failed)?
        .take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(CliError::usage(format!(
            "{} has more than {most} bytes and is not what was expected",
            path.display()
        )));
    }
    Ok(bytes)
}
