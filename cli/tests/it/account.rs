//! The account at the end of an ordeal: what the evidence says, and what the
//! outside world says truly happened.

use crate::support::Folder;
use offboard_domain::catalogue::{Dep, Until};
use offboard_domain::{AttemptMark, Kind, evidence};
use offboard_runtime::keys::PublicKey;
use offboard_sim::world::{Actor, Effect, World};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Whatever was ordered has happened by then, in the simulated time.
const SETTLED_AFTER_MS: i64 = 10 * 86_400_000;

/// One client company whose people leave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Party<'a> {
    /// Its directory's id.
    pub(crate) directory: &'a str,
    /// Who leaves.
    pub(crate) leavers: &'a [String],
    /// Company laptops of theirs, each to be wiped once.
    pub(crate) laptops: &'a [String],
    /// Who takes over.
    pub(crate) successor: &'a str,
}

/// What the evidence says of all attempts, and when what others wait for was there.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    /// By what the ids of an attempt's requests begin with.
    by_mark: BTreeMap<String, Attempt>,
    /// When the first task of a kind was settled for the first time, by whom it was
    /// about; in the simulated time, cut to the second.
    settled: BTreeMap<(String, Kind), i64>,
}

/// One attempt.
#[derive(Debug, Clone)]
struct Attempt {
    /// Whom it was about.
    subject: String,
    /// What it was to do.
    kind: Kind,
}

/// Attempts of a task beyond those that its evidence tells of: a ledger whose
/// tail was lost has forgotten some.
const FORGOTTEN: u32 = 50;
/// How long an attempt's mark is.
const MARK_CHARS: usize = 13;
/// How far the world's clock and a process's, which both run faster than the
/// machine's, may be read apart.
const CLOCKS_APART_MS: i64 = 1_000;
/// The event that settles a task, as evidence calls it.
const SETTLED: &str = "task_settled";

/// Every departure is one case, and every case is closed with exactly one
/// piece of evidence, which verifies and tells of it. `cases` is what `list`
/// says, `promised` what was called accepted. Gives whom each attempt was about.
#[track_caller]
pub(crate) fn nothing_lost(
    folder: &Folder,
    cases: &BTreeMap<String, Value>,
    promised: &BTreeSet<String>,
    parties: &[Party<'_>],
    figures: &str,
) -> Attempts {
    let leavers: usize = parties.iter().map(|p| p.leavers.len()).sum();
    assert_eq!(cases.len(), leavers, "{figures}");
    assert!(promised.iter().all(|c| cases.contains_key(c)), "{figures}");
    let pem = folder.run(&["keys", "export"]).expect(0).out;
    let key = PublicKey::from_pem(&pem).unwrap();
    let mut references = BTreeSet::new();
    let mut attempts = Attempts::default();
    for (id, case) in cases {
        assert_eq!(case["state"], "closed", "{figures}: {case}");
        let tenant = case["tenant"].as_str().unwrap();
        let its_own = |p: &PathBuf| {
            let name = p.file_name().unwrap().to_str().unwrap();
            name.starts_with(&format!("{id}-")) && name.ends_with(".dsse.json")
        };
        let all = |folder: &Path| -> Vec<PathBuf> {
            let entries = fs::read_dir(folder).unwrap();
            entries.map(|e| e.unwrap().path()).collect()
        };
        let months = all(&folder.path().join("evidence").join(tenant));
        let files: Vec<PathBuf> = months.iter().flat_map(|month| all(month)).filter(its_own).collect();
        let [file] = files.as_slice() else {
            panic!("{figures}: {id} is sealed {} times: {files:?}", files.len())
        };
        let said = evidence::verify(&fs::read(file).unwrap(), key.verifying_key())
            .unwrap_or_else(|wrong| panic!("{figures}: {}: {wrong}", file.display()))
            .predicate;
        let tells_of = (said.case.to_string(), said.tenant.to_string());
        assert_eq!(tells_of, (id.clone(), tenant.to_owned()), "{figures}");
        references.insert((tenant.to_owned(), said.request.reference.unwrap()));
        let subject = said.request.subject.values().next().unwrap();
        for task in &said.tasks {
            let kind = Kind::named(&task.kind).unwrap_or_else(|| panic!("{figures}: {id}: {}", task.kind));
            if let Some(step) = task.steps.iter().find(|step| step.event == SETTLED) {
                let at = step.at.timestamp().0;
                let first = attempts.settled.entry((subject.0.clone(), kind)).or_insert(at);
                *first = at.min(*first);
            }
            for attempt in 1..=task.attempts + FORGOTTEN {
                let about = Attempt {
                    subject: subject.0.clone(),
                    kind,
                };
                let mark = AttemptMark::of(task.id, attempt).to_string();
                attempts.by_mark.insert(mark, about);
            }
        }
    }
    assert_eq!(references.len(), leavers, "{figures}");
    attempts
}

/// The world's own account: each laptop was told once to wipe itself, nobody
/// came to harm, nobody but the leavers lost anything, they lost it all, and in
/// the order that the catalogue gives.
#[track_caller]
pub(crate) fn nothing_twice(world: &mut World, now_ms: i64, parties: &[Party<'_>], attempts: &Attempts, figures: &str) {
    world.advance(now_ms + SETTLED_AFTER_MS);
    assert!(world.violations().is_empty(), "{figures}: {:?}", world.violations());
    let leavers: BTreeSet<&str> = parties.iter().flat_map(|p| p.leavers).map(String::as_str).collect();
    let successors: BTreeSet<&str> = parties.iter().map(|p| p.successor).collect();
    let mut wiped: BTreeMap<&str, u32> = BTreeMap::new();
    let mut disabled: BTreeSet<&str> = BTreeSet::new();
    let mut released: BTreeSet<&str> = BTreeSet::new();
    let mut began: BTreeMap<(&str, Kind), i64> = BTreeMap::new();
    let mut cuts: BTreeMap<&str, Cuts> = BTreeMap::new();
    for entry in world.journal() {
        let Actor::App { client_request_id, .. } = &entry.actor else {
            continue;
        };
        // What was done for one leaver is done to him, not to another who leaves too.
        let Attempt { subject: about, kind } = client_request_id
            .get(..MARK_CHARS)
            .and_then(|mark| attempts.by_mark.get(mark))
            .unwrap_or_else(|| panic!("{figures}: no attempt made this request: {entry:?}"));
        let ours = entry.subject == *about || (successors.contains(entry.subject.as_str()) && entry.object == *about);
        assert!(ours, "{figures}: done for {about}: {entry:?}");
        let first = began.entry((about.as_str(), *kind)).or_insert(entry.at_ms);
        *first = entry.at_ms.min(*first);
        cuts.entry(about).or_default().take(entry.effect, entry.seq);
        match entry.effect {
            Effect::WipeOrdered => *wiped.entry(&entry.object).or_default() += 1,
            Effect::SignInDisabled => drop(disabled.insert(&entry.subject)),
            Effect::LicenceRemoved => drop(released.insert(&entry.subject)),
            Effect::SignInEnabled | Effect::UserDeleted => panic!("{figures}: {entry:?}"),
            _ => {}
        }
    }
    let early = too_early(&began, &attempts.settled);
    assert!(early.is_empty(), "{figures}: before what it waits for: {early:#?}");
    for (about, cuts) in &cuts {
        assert!(cuts.end_with_a_revocation(), "{figures}: {about}: {cuts:?}");
    }
    let laptops = parties.iter().flat_map(|p| p.laptops);
    let once: BTreeMap<&str, u32> = laptops.map(|l| (l.as_str(), 1)).collect();
    assert_eq!(wiped, once, "{figures}");
    assert_eq!(
        (disabled.len(), released.len()),
        (leavers.len(), leavers.len()),
        "{figures}"
    );
    for party in parties {
        for (id, person) in world.tenant(party.directory).unwrap().people.iter() {
            let leaves = leavers.contains(id);
            assert_eq!(person.account_enabled, !leaves, "{figures}: {}", person.id);
            assert_eq!(person.skus().is_empty(), leaves, "{figures}: {}", person.id);
        }
    }
}

/// The numbers of the last effects that cut somebody's access.
#[derive(Debug, Default)]
struct Cuts {
    closed: Option<u64>,
    revoked: Option<u64>,
}

impl Cuts {
    fn take(&mut self, effect: Effect, seq: u64) {
        let last = match effect {
            Effect::SignInDisabled | Effect::PasswordReset => &mut self.closed,
            Effect::SessionsRevoked => &mut self.revoked,
            _ => return,
        };
        *last = (*last).max(Some(seq));
    }

    /// A session that began before he could sign in no more lives on, unless all are
    /// ended after that.
    fn end_with_a_revocation(&self) -> bool {
        self.revoked >= self.closed
    }
}

/// Whether nothing may lawfully go ahead of what is waited for by this, whichever task of
/// the kind it is.
fn is_strict(dep: &&Dep) -> bool {
    matches!(dep.until, Until::Settled | Until::SettledOnce)
        && dep.at_most_ms.is_none()
        && dep.with_param.is_none()
        && !(dep.unless_at_once || dep.same_system || dep.same_device || dep.workspace_mail)
}

/// What had its first effect before something that it waits for was settled for the first
/// time: a snapshot, a removal, a person's word. What the case has nothing of is not
/// waited for.
fn too_early(began: &BTreeMap<(&str, Kind), i64>, settled: &BTreeMap<(String, Kind), i64>) -> Vec<String> {
    let mut early = Vec::new();
    for ((about, kind), at) in began {
        for dep in kind.spec().after.iter().filter(is_strict) {
            let Some(there) = settled.get(&((*about).to_owned(), dep.kind)) else {
                continue;
            };
            let from = there + dep.delay_ms;
            if at + CLOCKS_APART_MS < from {
                early.push(format!("{about}: {kind} at {at}, and {} lets it from {from}", dep.kind));
            }
        }
    }
    early
}

#[test]
fn what_comes_before_what_it_waits_for_is_seen() {
    let settled = |at| BTreeMap::from([(("p".to_owned(), Kind::SnapshotDirectory), at)]);
    let began = |about, kind, at| BTreeMap::from([((about, kind), at)]);
    let write = Kind::RemoveOauthGrants;
    assert_eq!(
        too_early(&began("p", write, 100_000), &settled(100_000)),
        [""; 0],
        "in order"
    );
    assert_eq!(
        too_early(&began("q", write, 100_000), &settled(102_000)),
        [""; 0],
        "another person's record"
    );
    let early = too_early(&began("p", write, 100_000), &settled(102_000));
    assert_eq!(early.len(), 1, "a write before its snapshot: {early:?}");
    // Access is not kept open for the sake of a record that cannot be made.
    let record = BTreeMap::from([(("p".to_owned(), Kind::SnapshotAccess), 102_000)]);
    assert_eq!(too_early(&began("p", Kind::DisableSignIn, 100_000), &record), [""; 0]);
    let revoked = BTreeMap::from([(("p".to_owned(), Kind::RevokeSessions), 100_000)]);
    let again = too_early(&began("p", Kind::RevokeSessionsAgain, 110_000), &revoked);
    assert_eq!(again.len(), 1, "once more, but an hour later: {again:?}");
}

#[test]
fn a_revocation_before_the_last_lock_is_seen() {
    let ends_well = |effects: &[Effect]| {
        let mut cuts = Cuts::default();
        for (effect, seq) in effects.iter().zip(1..) {
            cuts.take(*effect, seq);
        }
        cuts.end_with_a_revocation()
    };
    let (disabled, reset, revoked) = (Effect::SignInDisabled, Effect::PasswordReset, Effect::SessionsRevoked);
    assert!(ends_well(&[disabled, reset, revoked]));
    assert!(
        ends_well(&[revoked, disabled, reset, revoked]),
        "it went ahead, and followed"
    );
    assert!(!ends_well(&[revoked, disabled]));
    assert!(!ends_well(&[disabled, revoked, reset]));
    assert!(!ends_well(&[disabled, reset]), "never");
}
