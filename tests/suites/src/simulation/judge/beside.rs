//! The verdict on the desk and the wiki: each as it truly is, beside what the cases say of
//! it. Of a case that lost history nothing is asked: what was ordered in it, nobody could
//! know.

use super::super::{Outside, Stage};
use crate::beside::{Pages, Psa, client};
use crate::invariant::Invariant;
use crate::vendor::Vendor;
use offboard_domain::catalogue::desk::{self, ending_marker, marker, note_marker};
use offboard_domain::{Case, CaseState, Digest, Kind, Outcome, Task, TenantId, Timestamp};
use offboard_sim::world::desk::Ticket;
use offboard_sim::world::wiki::WikiPage;
use std::collections::BTreeMap;

/// A case whose history is whole, and when somebody first validated it.
struct Followed {
    tenant: TenantId,
    case: Case,
    validated: Option<Timestamp>,
}

impl Followed {
    fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.case.tasks.values().map(AsRef::as_ref)
    }

    fn has_verified(&self, kind: Kind) -> bool {
        self.tasks().any(|task| task.kind() == kind && is_verified(task))
    }
}

fn is_verified(task: &Task) -> bool {
    task.outcome() == Some(&Outcome::Verified)
}

impl Stage {
    /// What holds of what stands beside the vendor. How many tickets and pages there are.
    pub(in crate::simulation) fn judge_beside(&self) -> (usize, usize) {
        let Outside::Vendor(vendor) = &self.outside else {
            return (0, 0);
        };
        let tickets = vendor.beside.desk().map_or(0, |desk| self.judge_desk(vendor, desk));
        let pages = vendor.beside.wiki().map_or(0, |wiki| self.judge_wiki(wiki));
        (tickets, pages)
    }

    fn followed(&self) -> Vec<Followed> {
        let mut cases = Vec::new();
        self.auditor.each_case(|tenant, shadow| {
            if !shadow.tail_lost {
                cases.push(Followed {
                    tenant: tenant.clone(),
                    case: shadow.case.clone(),
                    validated: shadow.first_settled(Kind::Validate),
                });
            }
        });
        cases
    }

    fn judge_desk(&self, vendor: &Vendor, desk: &Psa) -> usize {
        for entry in desk.journal() {
            self.note(&format!("desk: {entry}"));
        }
        if desk.is_dead() {
            self.judge_what_waits();
        }
        let (tickets, closed) = (desk.tickets(), desk.closed());
        for followed in self.followed() {
            let (tenant, case, validated) = (&followed.tenant, &followed.case, followed.validated);
            let wrong = |invariant, what: String| {
                self.auditor
                    .violated(invariant, format!("{tenant} {}: {what}", case.id));
            };
            let sign = marker(case.id);
            let all = tickets.iter().filter(|(_, ticket)| ticket.title.contains(&sign));
            let mine: Vec<(&u64, &Ticket)> = all.collect();
            let count = mine.len();
            if count > 1 || count == 0 && followed.has_verified(Kind::OpenTicket) {
                wrong(Invariant::TicketOnce, format!("it has {count} tickets"));
            }
            let number = vendor.tenants.keys().position(|one| one == tenant).map(client);
            if mine.iter().any(|(_, ticket)| Some(ticket.client) != number) {
                wrong(Invariant::TicketOnce, "its ticket is another client's".to_owned());
            }
            for task in followed.tasks().filter(|task| desk::KINDS.contains(&task.kind())) {
                let Some(times) = times_told(case, task, &mine) else {
                    continue;
                };
                if times > 1 || times == 0 && is_verified(task) {
                    wrong(Invariant::TicketOnce, format!("{} is there {times} times", task.kind()));
                }
            }
            for (id, _) in &mine {
                let early = |at: &Timestamp| validated.is_none_or(|validated| *at < validated);
                if let Some(at) = closed.get(*id).copied().filter(early) {
                    let what = format!("its ticket was closed at {at}, and validated at {validated:?}");
                    wrong(Invariant::TicketAfterValidation, what);
                }
            }
        }
        tickets.len()
    }

    /// The desk has answered nobody to the last: no case should have minded.
    fn judge_what_waits(&self) {
        let mut waits = Vec::new();
        self.auditor.each_case(|tenant, shadow| {
            if !shadow.case.state.ended() {
                waits.push(format!("{tenant} {} is {}", shadow.case.id, shadow.case.state.word()));
            }
        });
        for what in waits {
            let what = format!("{what}, and the desk has answered nobody");
            self.auditor.violated(Invariant::NothingWaitsForTheDesk, what);
        }
    }

    fn judge_wiki(&self, wiki: &Pages) -> usize {
        for entry in wiki.journal() {
            self.note(&format!("wiki: {entry}"));
        }
        let pages = wiki.pages();
        for followed in self.followed() {
            let Followed { tenant, case, .. } = &followed;
            let wrong = |what: String| {
                let what = format!("{tenant} {}: {what}", case.id);
                self.auditor.violated(Invariant::NotesOnce, what);
            };
            let sign = marker(case.id);
            let mine: Vec<&WikiPage> = pages.values().filter(|page| page.title.contains(&sign)).collect();
            let written = case.state == CaseState::Closed && followed.has_verified(Kind::WriteNotes);
            if mine.len() > 1 || mine.is_empty() && written {
                wrong(format!("it has {} pages", mine.len()));
            }
            let files = files_of(&followed);
            for page in mine {
                for what in strange_files(page, &files, wiki.lags()) {
                    wrong(what);
                }
                if written && page.files.len() != files.len() {
                    wrong(format!("its page has {} of {} files", page.files.len(), files.len()));
                }
            }
        }
        pages.len()
    }
}

/// How often a case's tickets have what this task was to note on them or give them; none:
/// it was to do something else.
fn times_told(case: &Case, task: &Task, tickets: &[(&u64, &Ticket)]) -> Option<usize> {
    let kind = task.kind();
    if kind == Kind::AttachEvidence {
        let digest = case.evidence?;
        let name = format!("evidence-{digest}.dsse.json");
        let files = tickets.iter().flat_map(|(_, ticket)| &ticket.files);
        let ours = files.filter(|(_, file)| file.name == name && Digest::of(&file.bytes) == digest);
        return Some(ours.count());
    }
    let sign = match &task.planned.target.object {
        Some(ending) if kind == Kind::NoteEnding => ending_marker(case.id, ending),
        _ if kind.spec().after_stage.is_some() => note_marker(case.id, kind),
        _ => return None,
    };
    let notes = tickets.iter().flat_map(|(_, ticket)| &ticket.notes);
    Some(notes.filter(|(_, text)| text.contains(&sign)).count())
}

/// What was kept of the knowledge session, by the name that it is to have on the page.
fn files_of(followed: &Followed) -> BTreeMap<String, Digest> {
    let sessions = followed
        .tasks()
        .filter(|task| task.kind() == Kind::HoldKnowledgeSession);
    let files = sessions.filter_map(|task| match task.outcome() {
        Some(Outcome::Attested { file, ending, .. }) => {
            let ending = ending.as_ref().map(|ending| format!(".{ending}")).unwrap_or_default();
            file.map(|digest| (format!("knowledge-session-{digest}{ending}"), digest))
        }
        _ => None,
    });
    files.collect()
}

/// Files of a page that are none of the case's, or were put more than once: where lists lag,
/// nobody sees that they are there already.
fn strange_files(page: &WikiPage, files: &BTreeMap<String, Digest>, lags: bool) -> Vec<String> {
    let mut found = Vec::new();
    for (name, file) in &page.files {
        if files.get(name) != Some(&Digest::of(&file.bytes)) {
            found.push(format!("its page has a file {name} that is none of the case's"));
        }
        if file.versions > 1 && !lags {
            found.push(format!("the file {name} of its page was put {} times", file.versions));
        }
    }
    found
}
