//! Shadow IT: applications that the leaver had a way into, and that nobody planned for.
//!
//! The snapshot of the directory records which ones, before anything is taken from him.
//! Whoever looks up what they are is told that record: so what cuts access waits for no
//! such look-up, and a look-up that comes late finds what was there. This owns which of
//! them a person is asked about, and in which words. It refuses to know vendors. See
//! `docs/decisions/0038-applications-that-nobody-planned-for.md`.

use crate::assignment::Target;
use crate::case::Case;
use crate::catalogue::Kind;
use crate::catalogue::managed::for_a_person;
use crate::catalogue::workspace::MET_GRANTS;
use crate::departure::{AppLeft, Departure};
use crate::id::{CaseId, Digest, ObjectId, System, TaskId};
use crate::observation::{Facts, Observation};
use crate::policy::Policy;
use crate::task::{Outcome, PlannedTask, Task};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The fact that says whether it is known which applications he had.
pub const APPS_KNOWN: &str = "applications_known";
/// The fact with all that he had, by their ids in the directory.
pub const APP_IDS: &str = "app_ids";
/// The parameter with what the tenant's systems see to, by id or name, in lower case.
/// It and the next one are in no stored task.
pub const COVERED: &str = "covered_apps";
/// The parameter with what the tenant calls harmless, by id or name, in lower case.
pub const KNOWN: &str = "known_apps";
/// The parameter with an application's name.
pub const NAME: &str = "app_name";
/// The parameter with the name of who published it, as the directory has verified it.
pub const PUBLISHER: &str = "app_publisher";
/// The parameter with the id that it has in every directory.
pub const APP_ID: &str = "app_id";
/// The parameter with the ways in.
pub const WAYS: &str = "ways";
/// The parameter with the applications of a task that lists several.
pub const APPS: &str = "apps";

/// The parameter with the devices whose software is looked at; in a stored task only
/// where nobody has looked at it.
pub const DEVICES: &str = "device_ids";
/// The fact with the devices that are his and whose software could not be read: the remote
/// management has them no more.
pub const UNREAD_DEVICES: &str = "unread_device_ids";
/// The fact with the devices whose software was read, and the parameter with those of an
/// earlier look: one that is gone since, with its agent, was read all the same. The
/// parameter is in no stored task.
pub const READ_DEVICES: &str = "read_device_ids";
/// The parameter with the programs that a person was asked about already. In no stored task.
pub const ASKED: &str = "asked_names";
/// The parameter with the marks of the programs that a person was asked about already, and that
/// no task lists. In no stored task.
pub const ASKED_MARKS: &str = "asked_marks";
/// The parameter with the marks of those that a task does not list: a short digest of each name,
/// by which nobody is asked about it again.
pub const UNLISTED: &str = "unlisted_marks";
/// The parameter with the devices that a person was asked about already, since nobody could
/// read their software. In no stored task.
pub const ASKED_DEVICES: &str = "asked_device_ids";
/// The parameter that says how many there are, where the list does not have all.
pub const COUNT: &str = "count";

/// The way in of what is installed on a device: nobody says who has an account with it.
const INSTALLED: &str = "installed";
/// The most programs that a task lists; the look-up keeps all of them.
const MOST_LISTED: usize = 300;
/// The most names that a sentence has.
const MOST_NAMED: usize = 20;

/// The most applications of one person that are asked about one by one.
pub const MOST_TASKS: usize = 30;
/// The longest name that is kept: nobody reads more, and anybody may have chosen it.
pub const LONGEST_NAME_CHARS: usize = 100;

/// How he could get in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// He let it act for him.
    Consented,
    /// It was assigned to him.
    Assigned,
    /// It was assigned to a group that he was in.
    ByGroup,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Consented, Self::Assigned, Self::ByGroup];

    /// The fact in which the snapshot has the applications' ids.
    #[must_use]
    pub fn fact(self) -> &'static str {
        match self {
            Self::Consented => "consented_app_ids",
            Self::Assigned => "assigned_app_ids",
            Self::ByGroup => "group_app_ids",
        }
    }

    /// The word in a parameter.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Consented => "consented",
            Self::Assigned => "assigned",
            Self::ByGroup => "by_group",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Consented => "he consented to it",
            Self::Assigned => "it was assigned to him",
            Self::ByGroup => "it was assigned to a group of his",
        }
    }
}

/// An application that he had a way into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct App {
    /// Its id in the directory.
    pub id: ObjectId,
    /// The id that it has in every directory.
    pub app_id: Option<String>,
    /// Its name; none: nobody says it any more.
    pub name: Option<String>,
    /// Who published it, as the directory has verified it.
    pub publisher: Option<String>,
    /// The directory vendor's own, or what this program signs in as: nobody has an
    /// account of his own there.
    pub of_the_platform: bool,
    /// How he got in.
    pub ways: BTreeSet<Way>,
}

impl App {
    /// Whether it is on a list of ids and names.
    fn is_on(&self, list: &[String]) -> bool {
        let own = [Some(&self.id.0), self.app_id.as_ref(), self.name.as_ref()];
        let mut own = own.into_iter().flatten().map(|name| name.trim().to_lowercase());
        own.any(|name| list.contains(&name))
    }

    /// For a list: its name, if it has one, and its id.
    fn listed(&self) -> String {
        let id = self.app_id.as_deref().unwrap_or(&self.id.0);
        match &self.name {
            Some(name) => format!("{} ({id})", clipped(name)),
            None => id.to_owned(),
        }
    }
}

fn clipped(name: &str) -> String {
    name.chars().take(LONGEST_NAME_CHARS).collect()
}

/// Tells whoever looks up what they are which applications the snapshot found, and
/// which of them the tenant knows.
pub fn tell(params: &mut Facts, snapshot: &Facts, policy: &Policy) {
    for way in Way::ALL {
        if let Some(ids) = snapshot.list(way.fact()) {
            params.set(way.fact(), ids.to_vec());
        }
    }
    tell_known(params, policy);
}

/// Tells which applications the tenant knows.
fn tell_known(params: &mut Facts, policy: &Policy) {
    let list = |of: &BTreeSet<String>| of.iter().cloned().collect::<Vec<String>>();
    params.set(COVERED, list(&policy.covered_apps));
    params.set(KNOWN, list(&policy.known_apps));
}

/// Tells whoever lists or revokes the tokens of a workspace's account what was met of
/// them while they were revoked: it is listed no more. And whoever lists them, which
/// applications the tenant knows.
pub(crate) fn tell_of_tokens(params: &mut Facts, case: &Case, task: &Task) {
    let revoked = of_account(case, Kind::RevokeTokensInWorkspace, &task.planned.target);
    if let Some(met) = revoked.and_then(met) {
        params.set(MET_GRANTS, met.to_vec());
    }
    if task.kind() == Kind::DiscoverAppsInWorkspace {
        tell_known(params, &case.policy);
    }
}

fn of_account<'a>(case: &'a Case, kind: Kind, target: &Target) -> Option<&'a Task> {
    let mut all = case.tasks.values().map(AsRef::as_ref);
    all.find(|t: &&Task| t.kind() == kind && t.planned.target == *target)
}

/// The tokens that were met while they were revoked.
fn met(revoked: &Task) -> Option<&[String]> {
    revoked.last_seen()?.facts.list(MET_GRANTS)
}

/// The look-up of a workspace's applications that did not know of a token which was met
/// since. None: there is none, or it knew of all.
pub(crate) fn outdated_by_tokens(case: &Case, revoked: &Task) -> Option<TaskId> {
    let looked = of_account(case, Kind::DiscoverAppsInWorkspace, &revoked.planned.target)?;
    let looked = (looked.outcome() == Some(&Outcome::Verified)).then_some(looked)?;
    let knew = looked.after.as_ref()?.facts.list(APP_IDS).unwrap_or_default();
    met(revoked)?.iter().any(|id| !knew.contains(id)).then(|| looked.id())
}

/// Who revokes the tokens of the account whose applications this one looks up.
pub(crate) fn revoked_beside(case: &Case, looked: TaskId) -> Option<TaskId> {
    let looked = case.tasks.get(&looked)?;
    of_account(case, Kind::RevokeTokensInWorkspace, &looked.planned.target).map(Task::id)
}

/// The applications that somebody was told of, or that a snapshot found, each with its
/// ways in. None: it does not say.
#[must_use]
pub fn had(facts: &Facts) -> Option<BTreeMap<ObjectId, BTreeSet<Way>>> {
    let mut all: BTreeMap<ObjectId, BTreeSet<Way>> = BTreeMap::new();
    for way in Way::ALL {
        for id in facts.list(way.fact())? {
            all.entry(ObjectId::from(id.as_str())).or_default().insert(way);
        }
    }
    Some(all)
}

/// Keeps what an earlier snapshot found: read once more after a loss, when it has been
/// taken from him, an application is not listed, and he may have an account with it still.
pub(crate) fn keep_known(earlier: Option<&Observation>, now: &mut Option<Arc<Observation>>) {
    let (Some(earlier), Some(now)) = (earlier, now) else {
        return;
    };
    for way in Way::ALL {
        let lists = (earlier.facts.list(way.fact()), now.facts.list(way.fact()));
        // A reading that does not say which there are is not one of what there was.
        let (Some(known), Some(listed)) = lists else { continue };
        let missing = known.iter().filter(|id| !listed.contains(id));
        let all: Vec<String> = listed.iter().chain(missing).cloned().collect();
        if all.len() > listed.len() {
            Arc::make_mut(now).facts.set(way.fact(), all);
        }
    }
}

/// What a person is to be asked about one application, or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// About what.
    pub object: ObjectId,
    /// In which words.
    pub params: Facts,
}

/// What became of all that he had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sorted {
    /// For the record: each of them, by why it is asked about or is not.
    pub facts: Facts,
    /// What a person is asked.
    pub questions: Vec<Question>,
}

/// Sorts his applications: the vendor's own, those that the tenant's systems see to,
/// those that it knows, and those that nobody planned for.
#[must_use]
pub fn sort(system: &System, apps: &[App], told: &Facts) -> Sorted {
    let (mut platform, mut covered, mut known, mut unplanned) = (vec![], vec![], vec![], vec![]);
    for app in apps {
        let is_on = |list: &str| app.is_on(told.list(list).unwrap_or_default());
        let to = if app.of_the_platform {
            &mut platform
        } else if is_on(COVERED) {
            &mut covered
        } else if is_on(KNOWN) {
            &mut known
        } else {
            &mut unplanned
        };
        to.push(app);
    }
    let ids = |of: &[&App]| of.iter().map(|app| app.id.0.clone()).collect::<Vec<String>>();
    let facts = Facts::new()
        .with(APPS_KNOWN, true)
        .with(APP_IDS, ids(&apps.iter().collect::<Vec<&App>>()))
        .with("platform_app_ids", ids(&platform))
        .with("covered_app_ids", ids(&covered))
        .with("known_app_ids", ids(&known))
        .with("unplanned_app_ids", ids(&unplanned));
    unplanned.sort_by_key(|app| (app.name.as_deref().map(str::to_lowercase), app.id.clone()));
    let (single, rest) = unplanned.split_at(unplanned.len().min(MOST_TASKS));
    let mut questions: Vec<Question> = single.iter().map(|app| one(system, app)).collect();
    if !rest.is_empty() {
        questions.push(several(system, rest));
    }
    Sorted { facts, questions }
}

fn one(system: &System, app: &App) -> Question {
    let ways: Vec<String> = app.ways.iter().map(|way| way.word().to_owned()).collect();
    let mut params = Facts::new().with(WAYS, ways);
    let said = [
        (NAME, app.name.as_deref()),
        (PUBLISHER, app.publisher.as_deref()),
        (APP_ID, app.app_id.as_deref()),
    ];
    for (name, value) in said {
        if let Some(value) = value {
            params.set(name, clipped(value));
        }
    }
    Question {
        object: for_a_person(system, &app.id),
        params,
    }
}

/// Which ones is part of its id: others that are found later are another question.
fn several(system: &System, apps: &[&App]) -> Question {
    let ids: Vec<&[u8]> = apps.iter().map(|app| app.id.0.as_bytes()).collect();
    let which = which(&ids);
    let listed: Vec<String> = apps.iter().map(|app| app.listed()).collect();
    Question {
        object: for_a_person(system, &ObjectId(format!("others-{which}"))),
        params: Facts::new().with(APPS, listed),
    }
}

/// So much of a digest tells lists of one case apart.
const WHICH_CHARS: usize = 12;

fn which(of: &[&[u8]]) -> String {
    let mut digest = Digest::of_parts(of).to_string();
    digest.truncate(WHICH_CHARS);
    digest
}

/// What a name is known again by where it is not kept.
fn mark(name: &str) -> String {
    which(&[name.as_bytes()])
}

/// Tells whoever looks at software on which devices, and what the tenant knows: those
/// that are assigned to him, and those that a person has confirmed as his.
pub(crate) fn tell_of_devices(params: &mut Facts, case: &Case, system: &System) {
    params.set(DEVICES, devices(case, system));
    for (list, told) in [(APPS, ASKED), (UNLISTED, ASKED_MARKS), (DEVICES, ASKED_DEVICES)] {
        let asked = asked(case, system, list);
        if !asked.is_empty() {
            params.set(told, asked);
        }
    }
    let mut looks = case.tasks.values();
    let earlier = looks.find(|t| t.kind() == Kind::DiscoverSoftware && t.planned.target.system == *system);
    if let Some(read) = earlier.and_then(|t| t.last_seen()?.facts.list(READ_DEVICES)) {
        params.set(READ_DEVICES, read.to_vec());
    }
    tell_known(params, &case.policy);
}

/// What is on these lists of the programs, or devices, of this system that a person was
/// asked about.
fn asked(case: &Case, system: &System, list: &str) -> Vec<String> {
    let lists = for_a_person(system, &ObjectId("software-".to_owned()));
    let is_one = |t: &Task| {
        let object = t.planned.target.object.as_ref();
        t.kind() == Kind::DecideApp && object.is_some_and(|o| o.0.starts_with(&lists.0))
    };
    let tasks = case.tasks.values().filter(|t| is_one(t));
    let names: BTreeSet<&String> = tasks.filter_map(|t| t.planned.params.list(list)).flatten().collect();
    names.into_iter().cloned().collect()
}

fn devices(case: &Case, system: &System) -> Vec<String> {
    let of = |kind: Kind| {
        let mut all: Vec<&Task> = case.tasks.values().map(AsRef::as_ref).collect();
        all.retain(|t| t.kind() == kind && t.planned.target.system == *system);
        all
    };
    let mut devices: BTreeSet<String> = BTreeSet::new();
    for found in of(Kind::DiscoverManaged) {
        let assigned = found.after.as_ref().and_then(|seen| seen.facts.list(DEVICES));
        devices.extend(assigned.unwrap_or_default().iter().cloned());
    }
    for confirmed in of(Kind::DiscoverConfirmed) {
        if confirmed.outcome() == Some(&Outcome::Verified) {
            devices.extend(confirmed.planned.target.object.as_ref().map(|id| id.0.clone()));
        }
    }
    devices.into_iter().collect()
}

/// A program on a device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Software {
    /// Its name.
    pub name: String,
    /// Whose it is, as its installer says.
    pub publisher: Option<String>,
}

impl Software {
    /// Whether it, or all of its publisher's, is on a list of names.
    fn is_on(&self, list: &[String]) -> bool {
        let own = [Some(&self.name), self.publisher.as_ref()];
        let mut own = own.into_iter().flatten().map(|name| name.trim().to_lowercase());
        own.any(|name| list.contains(&name))
    }
}

/// The same for what is installed on his devices. There is too much of it to be asked
/// about one by one, and hardly any of it has accounts: it is one question.
#[must_use]
pub fn sort_software(system: &System, installed: &BTreeSet<Software>, told: &Facts) -> Sorted {
    let (mut covered, mut known) = (0_i64, 0_i64);
    let mut unplanned: BTreeSet<String> = BTreeSet::new();
    for one in installed {
        let is_on = |list: &str| one.is_on(told.list(list).unwrap_or_default());
        if is_on(COVERED) {
            covered += 1;
        } else if is_on(KNOWN) {
            known += 1;
        } else {
            unplanned.insert(clipped(one.name.trim()));
        }
    }
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let facts = Facts::new()
        .with(APPS_KNOWN, true)
        .with("software_count", count(installed.len()))
        .with("covered_count", covered)
        .with("known_count", known)
        .with("unplanned_count", count(unplanned.len()));
    // A list that is longer by a device has its own question, about what is new.
    let asked = told.list(ASKED).unwrap_or_default();
    let marks = told.list(ASKED_MARKS).unwrap_or_default();
    let is_marked = |name: &str| !marks.is_empty() && marks.contains(&mark(name));
    unplanned.retain(|name| !asked.contains(name) && !is_marked(name));
    if unplanned.is_empty() {
        let questions = Vec::new();
        return Sorted { facts, questions };
    }
    let names: Vec<&[u8]> = unplanned.iter().map(String::as_bytes).collect();
    let which = which(&names);
    let total = count(unplanned.len());
    let mut names = unplanned.into_iter();
    let listed: Vec<String> = names.by_ref().take(MOST_LISTED).collect();
    let unlisted: Vec<String> = names.map(|name| mark(&name)).collect();
    let mut params = Facts::new()
        .with(WAYS, vec![INSTALLED.to_owned()])
        .with(COUNT, total)
        .with(APPS, listed);
    if !unlisted.is_empty() {
        params.set(UNLISTED, unlisted);
    }
    let question = Question {
        object: for_a_person(system, &ObjectId(format!("software-{which}"))),
        params,
    };
    Sorted {
        facts,
        questions: vec![question],
    }
}

/// What an application is called in a task about it: its name, or the first of them.
#[must_use]
pub fn called(params: &Facts) -> Option<String> {
    match params.list(APPS) {
        Some(apps) => Some(named(params, apps)),
        None => params.text(NAME).map(str::to_owned),
    }
}

/// How many a task is about.
fn counted(params: &Facts, apps: &[String]) -> usize {
    let count = params.int(COUNT).and_then(|n| usize::try_from(n).ok());
    count.unwrap_or(apps.len())
}

fn named(params: &Facts, apps: &[String]) -> String {
    let shown = &apps[..apps.len().min(MOST_NAMED)];
    let counted = counted(params, apps);
    let shown_names = shown.join(", ");
    match counted.saturating_sub(shown.len()) {
        0 => shown_names,
        more if counted > apps.len() => format!(
            "{shown_names} and {more} more (`offboard show --json` lists the first {}; what the look-up kept, the snapshot of the software, has all)",
            apps.len()
        ),
        more => format!("{shown_names} and {more} more (`offboard show --json` lists them)"),
    }
}

/// What a person is to do about it. None: the task is another one.
#[must_use]
pub fn words(task: &Task) -> Option<String> {
    const KNOWN_NEXT: &str = "so that nobody is asked again, name it in `covers` of the system that sees to it, or in `known_apps` of the tenant's policy";
    if task.kind() != Kind::DecideApp {
        return None;
    }
    let params = &task.planned.params;
    let ways = params.list(WAYS).unwrap_or_default();
    if let Some(devices) = params.list(DEVICES) {
        return Some(format!(
            "nobody has looked which programs were on his devices ({}), and it may not be read there any more; ask those he worked with which of them he had an account with, end those accounts and attest that, or that he has none, or decide to go without (`offboard waive`)",
            devices.join(", ")
        ));
    }
    if let Some(apps) = params.list(APPS) {
        let (count, names) = (counted(params, apps), named(params, apps));
        let what = if ways.iter().any(|way| way == INSTALLED) {
            format!("{count} programs on his devices that no system here sees to")
        } else {
            format!("{count} more applications that he had a way into and that no system here sees to")
        };
        return Some(format!(
            "{what}: {names}; end his accounts with them and attest that, or that he has none, or decide to go without (`offboard waive`); {KNOWN_NEXT}"
        ));
    }
    let name = match (params.text(NAME), params.text(APP_ID)) {
        (Some(name), Some(id)) => format!("{name} ({id})"),
        (Some(name), None) => name.to_owned(),
        (None, _) => "an application of which nothing but its id is known".to_owned(),
    };
    let publisher = match params.text(PUBLISHER) {
        Some(publisher) => format!("published by {publisher}"),
        None => "of no verified publisher".to_owned(),
    };
    let ways = Way::ALL.into_iter().filter(|way| ways.iter().any(|w| w == way.word()));
    let ways: Vec<&str> = ways.map(Way::words).collect();
    Some(format!(
        "{name}, {publisher}: {}, and no system here sees to it; end his account there and attest what became of it (deleted, disabled), or that he has none, or decide to go without (`offboard waive`); {KNOWN_NEXT}",
        ways.join(", ")
    ))
}

/// What the case that follows this one asks about again: what somebody went without. Of a
/// look-up, all that the case has come to know: it finds nothing any more.
#[must_use]
pub(crate) fn left(case: &Case, task: &Task) -> Option<AppLeft> {
    let Target { system, object } = &task.planned.target;
    match task.kind() {
        Kind::DiscoverApps => never_looked_up(case, system),
        Kind::DiscoverAppsInWorkspace => tokens_never_looked_up(case, task),
        Kind::DiscoverSoftware => software_never_looked_up(case, system),
        Kind::DecideApp => Some(AppLeft {
            object: object.clone()?,
            params: task.planned.params.clone(),
        }),
        _ => None,
    }
}

fn never_looked_up(case: &Case, system: &System) -> Option<AppLeft> {
    all_at_once(system, had(case.directory_snapshot(system)?)?)
}

/// The tokens that are still there are listed by who looks again; of those that were
/// revoked, only whoever did it has the ids.
fn tokens_never_looked_up(case: &Case, looked: &Task) -> Option<AppLeft> {
    let target = &looked.planned.target;
    let met = met(of_account(case, Kind::RevokeTokensInWorkspace, target)?)?;
    let asked = |id: &ObjectId| {
        let object = Some(for_a_person(&target.system, id));
        let mut all = case.tasks.values().filter(|t| t.kind() == Kind::DecideApp);
        all.any(|t| t.planned.target.object == object)
    };
    let ids = met.iter().map(|id| ObjectId::from(id.as_str()));
    let not_asked = ids.filter(|id| !asked(id));
    let consented: BTreeMap<ObjectId, BTreeSet<Way>> = not_asked.map(|id| (id, [Way::Consented].into())).collect();
    all_at_once(&target.system, consented)
}

/// His devices may be cleared or decommissioned by then.
fn software_never_looked_up(case: &Case, system: &System) -> Option<AppLeft> {
    let asked = unread_software(system, &devices(case, system), &asked(case, system, DEVICES))?;
    Some(AppLeft {
        object: asked.object,
        params: asked.params,
    })
}

/// What is asked about devices whose software nobody has read, of those that nobody was
/// asked about before. Which ones is part of its id. None: there are none.
#[must_use]
pub fn unread_software(system: &System, devices: &[String], asked: &[String]) -> Option<Question> {
    let unasked = devices.iter().filter(|id| !asked.contains(id));
    let devices: Vec<String> = unasked.cloned().collect();
    if devices.is_empty() {
        return None;
    }
    let ids: Vec<&[u8]> = devices.iter().map(String::as_bytes).collect();
    let which = which(&ids);
    Some(Question {
        object: for_a_person(system, &ObjectId(format!("software-unread-{which}"))),
        params: Facts::new()
            .with(WAYS, vec![INSTALLED.to_owned()])
            .with(DEVICES, devices),
    })
}

/// One question about all of these, of which nothing but the ids is known.
fn all_at_once(system: &System, had: BTreeMap<ObjectId, BTreeSet<Way>>) -> Option<AppLeft> {
    let apps: Vec<App> = had
        .into_iter()
        .map(|(id, ways)| App {
            id,
            app_id: None,
            name: None,
            publisher: None,
            of_the_platform: false,
            ways,
        })
        .collect();
    let all: Vec<&App> = apps.iter().collect();
    let asked = (!all.is_empty()).then(|| several(system, &all))?;
    Some(AppLeft {
        object: asked.object,
        params: asked.params,
    })
}

/// The tasks for what an earlier departure of his left.
pub(crate) fn left_tasks(case: CaseId, departure: &Departure) -> impl Iterator<Item = PlannedTask> + '_ {
    departure.choices.apps.iter().map(move |app| {
        PlannedTask::new(
            case,
            Kind::DecideApp,
            &System::person(),
            Some(app.object.clone()),
            app.params.clone(),
        )
    })
}

/// The look-up in this system that the snapshot has found more for since. None: there is
/// none, or it knew all that the snapshot has.
#[must_use]
pub(crate) fn outdated(case: &Case, system: &System) -> Option<TaskId> {
    let of = |kind: Kind| {
        let mut all = case.tasks.values().map(AsRef::as_ref);
        all.find(move |t: &&Task| t.kind() == kind && t.planned.target.system == *system)
    };
    let looked = of(Kind::DiscoverApps).filter(|t| t.is_settled() && !t.is_waived())?;
    let knew = looked.after.as_ref()?.facts.list(APP_IDS).unwrap_or_default();
    let there = had(&of(Kind::SnapshotDirectory)?.after.as_ref()?.facts)?;
    there.keys().any(|id| !knew.contains(&id.0)).then(|| looked.id())
}
