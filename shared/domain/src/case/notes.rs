//! What a page of notes is told: how everything that was to be handed over ended, where
//! it is, and how many devices there were. Nothing of the person but the addresses that
//! were handed over.

use super::Case;
use crate::catalogue::Kind;
use crate::catalogue::knowledge::{
    DEVICES, DID, FILES_LINK, HANDED_OVER, PAGE, SESSION_ENDING, SESSION_FILES, SESSION_LINK, recording,
};
use crate::observation::Facts;
use crate::task::{Outcome, Task};
use std::collections::BTreeMap;

impl Case {
    fn settled(&self, kind: Kind) -> impl Iterator<Item = (&Task, &Outcome)> {
        let all = self.tasks.values().filter(move |t| t.kind() == kind);
        all.filter_map(|t| Some((t.as_ref(), t.outcome()?)))
    }

    /// Tells what is settled. Whoever writes the notes waits for all of it, so that who
    /// reads them again is told the same.
    pub(crate) fn tell_of_notes(&self, task: &Task, params: &mut Facts) {
        let written = task.after.as_ref().and_then(|seen| seen.facts.text(PAGE));
        if let Some(page) = written {
            params.set(PAGE, page);
        }
        for kind in HANDED_OVER.iter().copied() {
            let mut ended: BTreeMap<&str, i64> = BTreeMap::new();
            for (_, outcome) in self.settled(kind) {
                *ended.entry(outcome.word()).or_default() += 1;
            }
            for (word, n) in ended {
                params.set(&format!("{DID}{}/{word}", kind.name()), n);
            }
        }
        let mut handed_over = self.settled(Kind::HandOverOneDrive);
        let given = |(task, outcome): (&Task, &Outcome)| {
            let facts = &task.after.as_ref()?.facts;
            let link = facts.text("link").map(str::to_owned);
            link.filter(|_| matches!(outcome, Outcome::Verified))
        };
        if let Some(link) = handed_over.find_map(given) {
            params.set(FILES_LINK, link);
        }
        for (_, outcome) in self.settled(Kind::HoldKnowledgeSession) {
            let Outcome::Attested { file, ending, note, .. } = outcome else {
                continue;
            };
            if let Some(link) = recording(note) {
                params.set(SESSION_LINK, link);
            }
            if let Some(file) = file {
                params.set(SESSION_FILES, vec![file.to_string()]);
                if let Some(ending) = ending {
                    params.set(SESSION_ENDING, ending.as_str());
                }
            }
        }
        for sort in ["company", "personal", "unknown"] {
            let counted = self.settled(Kind::DiscoverDevices).filter_map(|(task, _)| {
                let facts = &task.after.as_ref()?.facts;
                facts.int(&format!("{sort}_count"))
            });
            let n: i64 = counted.sum();
            if n > 0 {
                params.set(&format!("{DEVICES}{sort}"), n);
            }
        }
    }
}
