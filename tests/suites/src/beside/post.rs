//! Post: some dozens of messages in everybody's folders, and more that comes, or is
//! deleted, while they are read.

use crate::rng::Rng;
use offboard_domain::Timestamp;
use offboard_domain::time::HOUR_MS;
use offboard_sim::population::DemoTenant;
use offboard_sim::world::World;
use offboard_sim::world::model::Mail;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The fewest and the most messages that a mailbox has besides its own.
const MESSAGES: (i64, i64) = (15, 35);
/// The number of the first of them in its mailbox, which has fewer of its own.
const FIRST_NUMBER: u64 = 100;
/// The number of the first message that comes.
const FIRST_TO_COME: u64 = 1_000;
/// When the first of them was made, in milliseconds since 1970: in October 2025, and at no
/// time at which a mailbox has one of its own.
const FIRST_MS: i64 = 1_760_000_000_000;
/// How often something comes or goes with a request for mail, in permille.
const CHANGES: u32 = 100;
/// How many of these changes are deletions, in permille.
const DELETIONS: u32 = 250;
/// The most that changes in a mailbox.
const CHANGES_MAX: u64 = 8;

struct State {
    rng: Rng,
    /// How often something still changes, by the mailbox's owner.
    left: BTreeMap<String, u64>,
    /// What was deleted, likewise.
    deleted: BTreeMap<String, Vec<Mail>>,
    next: u64,
    calm: bool,
}

/// The post.
pub(crate) struct Post(Mutex<State>);

fn message(number: u64, created_ms: i64) -> Mail {
    let head = format!("From: <a@x.test>\r\nSubject: {number}\r\nMessage-ID: <{number}@x.test>\r\n");
    Mail {
        number,
        created_ms,
        read: number.is_multiple_of(2),
        draft: false,
        flagged: number.is_multiple_of(5),
        categories: Vec::new(),
        mime: Arc::new(format!("{head}\r\nThe {number}th.\r\n").into_bytes()),
    }
}

impl Post {
    pub(super) fn of(seed: u64) -> Self {
        Self(Mutex::new(State {
            rng: Rng::of(seed, "post"),
            left: BTreeMap::new(),
            deleted: BTreeMap::new(),
            next: FIRST_TO_COME,
            calm: false,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing comes any more.
    pub(super) fn calm(&self) {
        self.state().calm = true;
    }

    /// Fills the mailboxes of all who may leave.
    pub(super) fn fill(&self, world: &mut World, built: &[DemoTenant]) {
        let mut state = self.state();
        for tenant in built {
            let Some(found) = world.tenant_mut(&tenant.id) else {
                continue;
            };
            for person in tenant.cast.leavers() {
                let (count, changes) = (
                    state.rng.between(MESSAGES.0, MESSAGES.1),
                    state.rng.below(CHANGES_MAX + 1),
                );
                let Some(mailbox) = found.mailboxes.edit_silently(person) else {
                    continue;
                };
                for n in 0..count.unsigned_abs() {
                    let at_ms = FIRST_MS + n.cast_signed() * HOUR_MS;
                    let folders = mailbox.folders.len().max(1);
                    let nth = usize::try_from(n).unwrap_or(0) % folders;
                    if let Some(folder) = mailbox.folders.get_mut(nth) {
                        folder.mails.push(message(FIRST_NUMBER + n, at_ms));
                    }
                }
                state.left.insert(person.to_owned(), changes);
            }
        }
    }

    /// Somebody asks for mail: perhaps some has just come, or was deleted.
    pub(crate) fn changes(&self, world: &mut World, now: Timestamp, path: &str) {
        let parts: Vec<&str> = path.split('/').collect();
        let whose = parts.iter().position(|part| *part == "users");
        let asked = whose.and_then(|at| Some((*parts.get(at + 1)?, *parts.get(at + 2)?)));
        let Some((person, "mailFolders" | "messages")) = asked else {
            return;
        };
        let mut state = self.state();
        if state.calm || state.left.get(person).is_none_or(|left| *left == 0) || !state.rng.happens(CHANGES) {
            return;
        }
        let tenant = world.tenants().find(|t| t.mailboxes.get(person).is_some());
        let Some(tenant) = tenant.map(|t| t.id.clone()) else {
            return;
        };
        let mailbox = world.tenant_mut(&tenant);
        let mailbox = mailbox.and_then(|t| t.mailboxes.edit(person, now.0));
        let Some(mailbox) = mailbox.filter(|mailbox| mailbox.lost_ms.is_none()) else {
            return;
        };
        if state.rng.happens(DELETIONS) {
            let full = mailbox.folders.iter_mut().find(|folder| folder.mails.len() > 1);
            if let Some(folder) = full {
                let mail = folder.mails.remove(0);
                state.deleted.entry(person.to_owned()).or_default().push(mail);
            }
        } else if let Some(inbox) = mailbox.folders.first_mut()
            && inbox.mails.iter().all(|mail| mail.created_ms != now.0)
        {
            let number = state.next;
            state.next += 1;
            inbox.mails.push(message(number, now.0));
        }
        if let Some(left) = state.left.get_mut(person) {
            *left -= 1;
        }
    }

    /// What was deleted of somebody's.
    pub(crate) fn deleted(&self, person: &str) -> Vec<Mail> {
        self.state().deleted.get(person).cloned().unwrap_or_default()
    }
}
