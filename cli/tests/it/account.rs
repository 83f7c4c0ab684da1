//! The account at the end of an ordeal: what the evidence says, and what the
//! outside world says truly happened.

use crate::support::Folder;
use offboard_domain::{AttemptMark, evidence};
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

/// Whom each attempt was about, by what the ids of its requests begin with.
pub(crate) type Attempts = BTreeMap<String, String>;

/// Attempts of a task beyond those that its evidence tells of: a ledger whose
/// tail was lost has forgotten some.
const FORGOTTEN: u32 = 50;
/// How long an attempt's mark is.
const MARK_CHARS: usize = 13;

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
    let mut attempts = Attempts::new();
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
            for attempt in 1..=task.attempts + FORGOTTEN {
                attempts.insert(AttemptMark::of(task.id, attempt).to_string(), subject.0.clone());
            }
        }
    }
    assert_eq!(references.len(), leavers, "{figures}");
    attempts
}

/// The world's own account: each laptop was told once to wipe itself, nobody
/// came to harm, nobody but the leavers lost anything, and they lost it all.
#[track_caller]
pub(crate) fn nothing_twice(world: &mut World, now_ms: i64, parties: &[Party<'_>], attempts: &Attempts, figures: &str) {
    world.advance(now_ms + SETTLED_AFTER_MS);
    assert!(world.violations().is_empty(), "{figures}: {:?}", world.violations());
    let leavers: BTreeSet<&str> = parties.iter().flat_map(|p| p.leavers).map(String::as_str).collect();
    let successors: BTreeSet<&str> = parties.iter().map(|p| p.successor).collect();
    let mut wiped: BTreeMap<&str, u32> = BTreeMap::new();
    let mut disabled: BTreeSet<&str> = BTreeSet::new();
    let mut released: BTreeSet<&str> = BTreeSet::new();
    for entry in world.journal() {
        let Actor::App { client_request_id, .. } = &entry.actor else {
            continue;
        };
        // What was done for one leaver is done to him, not to another who leaves too.
        let about = client_request_id
            .get(..MARK_CHARS)
            .and_then(|mark| attempts.get(mark))
            .unwrap_or_else(|| panic!("{figures}: no attempt made this request: {entry:?}"));
        let ours = entry.subject == *about || (successors.contains(entry.subject.as_str()) && entry.object == *about);
        assert!(ours, "{figures}: done for {about}: {entry:?}");
        match entry.effect {
            Effect::WipeOrdered => *wiped.entry(&entry.object).or_default() += 1,
            Effect::SignInDisabled => drop(disabled.insert(&entry.subject)),
            Effect::LicenceRemoved => drop(released.insert(&entry.subject)),
            Effect::SignInEnabled | Effect::UserDeleted => panic!("{figures}: {entry:?}"),
            _ => {}
        }
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
