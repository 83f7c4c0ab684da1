//! `offboard attest CASE TASK`: a named person says that a task is done. The
//! file goes into the store before the word is recorded, so that what the
//! evidence names is there.

use super::Ctx;
use crate::error::{CliError, Exit};
use offboard_dispatcher::control::Request;
use offboard_domain::catalogue::knowledge::{is_ending, recording};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Largest file that shows something: a scan of many pages.
const FILE_MAX_BYTES: u64 = 64 * 1024 * 1024;

pub(super) async fn run(
    ctx: &Ctx,
    case: String,
    task: String,
    file: Option<PathBuf>,
    note: String,
) -> Result<Exit, CliError> {
    let by = ctx.actor()?;
    let config = ctx.config_of_order()?;
    let bytes = file.as_deref().map(read).transpose()?;
    let ending = file.as_deref().and_then(ending);
    let mut session = ctx.session(&config).await?;
    let attested = async {
        let file = match bytes {
            Some(bytes) => Some(session.store(&config)?.put(bytes).await?),
            None => None,
        };
        let view = session
            .case(Request::Attest {
                case,
                task: task.clone(),
                by: by.clone(),
                file,
                ending,
                note,
            })
            .await?;
        Ok::<_, CliError>((view, file))
    };
    let attested = attested.await;
    session.close().await?;
    let (view, file) = attested?;
    if ctx.out.is_json() {
        return ctx.out.document(&view).map(|()| Exit::Done);
    }
    let kept = file.map(|d| format!("; file {d}")).unwrap_or_default();
    ctx.out.line(&format!("attested by {by}: {task}{kept}"))?;
    Ok(Exit::Done)
}

/// The note, with the link in it.
///
/// # Errors
/// If the link is none that a recording can be at.
pub(super) fn noted(link: Option<&str>, note: String) -> Result<String, CliError> {
    let Some(link) = link.map(str::trim) else {
        return Ok(note);
    };
    // What stands here may be a secret in the wrong place: it is not repeated.
    if recording(link) != Some(link) {
        return Err(CliError::usage(
            "--link is no address of a recording: it begins with https://, names a host, and has no user or password in it",
        ));
    }
    Ok(format!("{note} {link}").trim().to_owned())
}

/// How the file's name ends, by which whoever gets it opens it. The rest of the name may name a
/// person and goes nowhere.
fn ending(path: &Path) -> Option<String> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    is_ending(&ending).then_some(ending)
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let failed = |e: std::io::Error| CliError::usage(format!("failed to read {}", path.display())).caused_by(Some(&e));
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(failed)?
        .take(FILE_MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.is_empty() {
        return Err(CliError::usage(format!(
            "{} is empty and shows nothing",
            path.display()
        )));
    }
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(CliError::usage(format!(
            "{} is larger than {FILE_MAX_BYTES} bytes",
            path.display()
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_files_name_its_ending_alone_is_told_and_only_if_it_is_one() {
        for (name, told) in [
            ("Session with Anna Before.MP4", Some("mp4")),
            ("/tmp/a.tar.gz", Some("gz")),
            ("slides", None),
            (".pdf", None),
            ("slides.", None),
            ("slides.p df", None),
            ("slides.before@northwind", None),
            ("slides.pdf\r\nx", None),
        ] {
            assert_eq!(ending(Path::new(name)).as_deref(), told, "{name:?}");
        }
    }

    #[test]
    fn a_link_stands_in_the_note() {
        let with = |link, note: &str| noted(link, note.to_owned()).ok();
        assert_eq!(with(None, "seen").as_deref(), Some("seen"));
        let link = "https://video.example/4711?t=1";
        assert_eq!(with(Some(link), "").as_deref(), Some(link));
        let both = with(Some(link), "two hours").unwrap();
        assert_eq!(both, format!("two hours {link}"));
        assert_eq!(recording(&both), Some(link));
        for other in [
            "http://video.example/1",
            "https://u:p@video.example/1",
            "x https://a.b/c",
            "",
        ] {
            assert_eq!(with(Some(other), "seen"), None, "{other}");
        }
    }
}
