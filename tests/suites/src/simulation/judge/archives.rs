//! The verdict on archives: what an account calls kept, message by message beside the
//! mailbox as it truly is.

use super::super::{Outside, Stage};
use crate::script;
use offboard_archive::Archive;
use offboard_domain::assignment::CLOCK_MARGIN_MS;
use offboard_domain::evidence::{OutcomeAccount, Statement, TaskAccount};
use offboard_domain::{Digest, Kind};
use offboard_sim::world::model::Mail;
use offboard_store::Store;
use std::collections::BTreeMap;

/// What the archive has of a message: its SHA-256, each time.
type Held = BTreeMap<String, Vec<Digest>>;

/// A mailbox as it truly is, by the ids that messages keep.
#[derive(Default)]
struct Mailbox {
    /// What is in it: when it came, and its SHA-256.
    there: BTreeMap<String, (i64, Digest)>,
    /// The same of what was deleted.
    deleted: BTreeMap<String, Digest>,
}

fn kept(mail: &Mail) -> (String, (i64, Digest)) {
    (mail.immutable_id(), (mail.created_ms, Digest::of(&mail.mime)))
}

impl Stage {
    /// The archives that an account calls done: how many there are, and what is wrong with
    /// them.
    pub(super) async fn judge_archives(&self, account: &Statement) -> (usize, Vec<String>) {
        let done = account.predicate.tasks.iter().filter(|task| {
            let verified = matches!(task.outcome, Some(OutcomeAccount::Verified));
            task.kind == Kind::ArchiveMailbox.name() && verified
        });
        let (mut count, mut wrong) = (0, Vec::new());
        for task in done {
            count += 1;
            if let Err(why) = self.judge_archive(account, task, &mut wrong).await {
                wrong.push(why);
            }
        }
        (count, wrong)
    }

    async fn judge_archive(
        &self,
        account: &Statement,
        task: &TaskAccount,
        wrong: &mut Vec<String>,
    ) -> Result<(), String> {
        let named = task.after.as_ref().and_then(|read| read.facts.text("manifest_sha256"));
        let manifest: Digest = named
            .and_then(|digest| digest.parse().ok())
            .ok_or("its account names no manifest of the archive")?;
        if !account.subject.iter().any(|about| about.digest.sha256 == manifest) {
            wrong.push(format!("its account binds no manifest {manifest}"));
        }
        let store = Store::on(self.artifacts.clone());
        let archive = Archive::open(&store, manifest).await.map_err(|e| e.to_string())?;
        let mut segments = Vec::new();
        archive
            .segments(|segment| segments.push(segment))
            .await
            .map_err(|e| e.to_string())?;
        let mut held = Held::new();
        for segment in &segments {
            for message in &segment.messages {
                if let Err(error) = archive.read_whole(segment, message).await {
                    wrong.push(error.to_string());
                }
                held.entry(message.id.clone()).or_default().push(message.sha256);
            }
        }
        let (mailbox, lag_ms) = self.mailbox(account);
        // What a lagging replica does not show yet, nobody can take; and clocks differ.
        let before_ms = archive.manifest.taken_from_ms.0 - lag_ms - CLOCK_MARGIN_MS;
        wrong.extend(differences(&held, &mailbox, before_ms));
        Ok(())
    }

    /// The mailbox that an account is of, and how far its replicas lag.
    fn mailbox(&self, account: &Statement) -> (Mailbox, i64) {
        let Outside::Vendor(vendor) = &self.outside else {
            return (Mailbox::default(), 0);
        };
        let person = account.predicate.request.subject.get(&script::system());
        let person = person.map(|id| id.0.as_str()).unwrap_or_default();
        let deleted = vendor.beside.post().map(|post| post.deleted(person));
        let deleted = deleted.unwrap_or_default();
        let world = vendor.world();
        let tenant = vendor.tenants.get(&account.predicate.tenant);
        let mailbox = tenant
            .and_then(|built| world.tenant(&built.id))
            .and_then(|tenant| tenant.mailboxes.get(person));
        let mails = mailbox.into_iter().flat_map(|mailbox| &mailbox.folders);
        let found = Mailbox {
            there: mails.flat_map(|folder| &folder.mails).map(kept).collect(),
            deleted: deleted.iter().map(kept).map(|(id, (_, digest))| (id, digest)).collect(),
        };
        (found, world.cruelty().exchange_lag_ms)
    }
}

/// What an archive lacks that came before this time, has twice, or has otherwise than it
/// was.
fn differences(held: &Held, mailbox: &Mailbox, before_ms: i64) -> Vec<String> {
    let mut found = Vec::new();
    for (id, (at_ms, _)) in &mailbox.there {
        if *at_ms < before_ms && !held.contains_key(id) {
            found.push(format!("the archive lacks message {id}"));
        }
    }
    for (id, each) in held {
        if each.len() > 1 {
            found.push(format!("the archive has message {id} {} times", each.len()));
        }
        let was = mailbox.there.get(id).map(|(_, digest)| digest);
        let same = |was: &Digest| each.iter().all(|digest| digest == was);
        match was.or_else(|| mailbox.deleted.get(id)) {
            None => found.push(format!("the archive has message {id}, which there never was")),
            Some(was) if !same(was) => found.push(format!("the archive has message {id} otherwise than it was")),
            Some(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of these messages beside a mailbox that has one of yesterday, and one that
    /// came later, and had one that was deleted.
    fn found(archived: &[(&str, &str)]) -> Vec<String> {
        let mut held = Held::new();
        for (id, text) in archived {
            let digest = Digest::of(text.as_bytes());
            held.entry((*id).to_owned()).or_default().push(digest);
        }
        let there = [("old", 1), ("new", 9)].map(|(id, at_ms)| (id.to_owned(), (at_ms, Digest::of(b"text"))));
        let mailbox = Mailbox {
            there: there.into(),
            deleted: [("gone".to_owned(), Digest::of(b"text"))].into(),
        };
        differences(&held, &mailbox, 5)
    }

    #[test]
    fn an_archive_has_what_was_there_before_and_each_once_as_it_was() {
        for whole in [&["old"][..], &["old", "new"][..], &["old", "gone"][..]] {
            let archived: Vec<(&str, &str)> = whole.iter().map(|id| (*id, "text")).collect();
            assert_eq!(found(&archived), Vec::<String>::new(), "{whole:?}");
        }
    }

    #[test]
    fn what_is_lacking_doubled_changed_or_strange_is_found() {
        for (archived, why) in [
            (&[("new", "text")][..], "lacks message old"),
            (&[("old", "text"), ("old", "text")][..], "message old 2 times"),
            (&[("old", "another text")][..], "message old otherwise"),
            (
                &[("old", "text"), ("gone", "another text")][..],
                "message gone otherwise",
            ),
            (
                &[("old", "text"), ("odd", "text")][..],
                "message odd, which there never was",
            ),
        ] {
            let found = found(archived);
            assert!(found.len() == 1 && found[0].contains(why), "{why}: {found:?}");
        }
    }
}
