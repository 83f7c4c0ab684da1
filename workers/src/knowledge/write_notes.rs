//! `knowledge.write_notes`: a page of the case's own in the wiki says what was handed
//! over, and has what was kept of the knowledge session.
//!
//! | read | means |
//! |---|---|
//! | no page | it is added; if its title is taken by one that no list has yet, that is looked for again |
//! | a page without the mark of what it is to say | it is rewritten, as the version after the one that was read |
//! | a page with it, whatever else stands there | it stays as it is |
//! | a page that somebody has deleted or archived | a person is asked: he may have meant it |

use super::page::{Page, page};
use crate::job::{Applied, Job, Seen, Things};
use crate::procedure::Procedure;
use async_trait::async_trait;
use bytes::Bytes;
use offboard_connectors::{Answer, NewFile, NotesPage, NotesStatus};
use offboard_domain::catalogue::desk::marker;
use offboard_domain::catalogue::knowledge::{PAGE, PAGE_STATUS, SESSION_ENDING, SESSION_FILES, is_ending};
use offboard_domain::{Digest, Facts, Fault, FaultClass, ObjectId};
use offboard_store::StoreError;

pub(crate) struct WriteNotes;

fn title(job: &Job<'_>) -> String {
    format!("Hand-over {}", marker(job.case))
}

/// The page that was written just now, or earlier; else the one with the title.
/// People rename pages, and move them; and put them aside.
async fn find(job: &mut Job<'_>) -> Answer<Option<NotesPage>> {
    let notes = job.notes()?;
    let current = |page: &NotesPage| page.status == NotesStatus::Current;
    let known = job.remembered.text(PAGE).or_else(|| job.params.text(PAGE));
    let known = match known.map(ObjectId::from) {
        Some(id) => notes.page(&mut job.call, &id).await?,
        None => None,
    };
    if known.as_ref().is_some_and(current) {
        return Ok(known);
    }
    let title = title(job);
    let titled = notes.titled(&mut job.call, &title).await?;
    Ok(if titled.as_ref().is_some_and(current) {
        titled
    } else {
        known.or(titled)
    })
}

/// The files that belong to the page.
fn files(job: &Job<'_>) -> Answer<Vec<Digest>> {
    let named = job.params.list(SESSION_FILES).unwrap_or_default();
    let digests: Option<Vec<Digest>> = named.iter().map(|d| d.parse().ok()).collect();
    digests.ok_or_else(|| {
        job.fault(
            FaultClass::Rejected,
            "the assignment names a file by what is no digest; report this",
        )
    })
}

/// The whole digest is in the name: by it the file is known again. By how the name ends readers
/// know what opens it, and the wiki whether it can be shown.
fn name(job: &Job<'_>, digest: Digest) -> String {
    match ending(job) {
        Some(ending) => format!("knowledge-session-{digest}.{ending}"),
        None => format!("knowledge-session-{digest}"),
    }
}

fn ending<'j>(job: &'j Job<'_>) -> Option<&'j str> {
    job.params.text(SESSION_ENDING).filter(|ending| is_ending(ending))
}

/// What a wiki shows by itself; anything else is given to whoever asks for it.
fn media_type(ending: Option<&str>) -> &'static str {
    match ending {
        Some("mp4") => "video/mp4",
        Some("webm") => "video/webm",
        Some("mp3") => "audio/mpeg",
        Some("pdf") => "application/pdf",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("docx") => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        Some("pptx") => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        Some("xlsx") => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        _ => "application/octet-stream",
    }
}

fn not_given(job: &Job<'_>, error: &StoreError) -> Fault {
    tracing::warn!(kind = job.kind.name(), %error, "failed to read a file of the knowledge session");
    job.fault(
        FaultClass::Transient,
        "the store did not give a file of the knowledge session; look at the store",
    )
}

async fn bytes(job: &Job<'_>, digest: Digest) -> Answer<Bytes> {
    let given = job.context.store.get(digest).await;
    given.map_err(|error| not_given(job, &error))
}

/// Its length, by which it is known on the page; recordings are large.
async fn size(job: &Job<'_>, digest: Digest) -> Answer<u64> {
    let absent = || StoreError::Absent {
        path: digest.to_string(),
    };
    let size = job.context.store.size(digest).await;
    let size = size.and_then(|size| size.ok_or_else(absent));
    size.map_err(|error| not_given(job, &error))
}

#[async_trait]
impl Procedure for WriteNotes {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let Page { mark, .. } = page(job.case, job.params);
        let found = find(job).await?;
        let read = found.as_ref().filter(|page| page.status == NotesStatus::Current);
        let mut missing = Vec::new();
        for digest in files(job)? {
            let there = match read {
                Some(page) => {
                    let size = size(job, digest).await?;
                    let name = name(job, digest);
                    let notes = job.notes()?;
                    notes.has_file(&mut job.call, &page.id, &name, size).await?
                }
                None => false,
            };
            if !there {
                missing.push(digest.to_string());
            }
        }
        let current = read.is_some_and(|page| page.body.contains(&mark));
        let mut facts = Facts::new()
            .with("page_exists", read.is_some())
            .with("notes_current", current)
            .with("missing_files", missing);
        let Some(page) = found else {
            return Ok(Seen::facts(facts));
        };
        facts.set(PAGE, page.id.0.as_str());
        facts.set(PAGE_STATUS, page.status.word());
        Ok(Seen::with(facts, Things::Notes(Box::new(page))))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        let notes = job.notes()?;
        let Page { body, .. } = page(job.case, job.params);
        let id = match &seen.things {
            Things::Notes(read) => {
                if seen.facts.bool("notes_current") != Some(true) {
                    notes.rewrite(job.writing()?, read, &body).await?;
                }
                Some(read.id.clone())
            }
            _ => {
                let title = title(job);
                let added = notes.add(job.writing()?, &title, &body).await?;
                if let Some(id) = &added {
                    job.remembered.set(PAGE, id.0.as_str());
                }
                added
            }
        };
        // Without its id the page is looked for first; the files follow then.
        let Some(id) = id else {
            return Ok(Applied::All);
        };
        let missing = seen.facts.list("missing_files").unwrap_or_default();
        for digest in files(job)? {
            if !missing.contains(&digest.to_string()) {
                continue;
            }
            let file = NewFile {
                name: name(job, digest),
                media_type: media_type(ending(job)),
                bytes: bytes(job, digest).await?,
            };
            notes.attach(job.writing()?, &id, &file).await?;
        }
        Ok(Applied::All)
    }
}
