//! What stands beside the vendor's directory under some seeds: post that comes while
//! mailboxes are kept, the desk with the tickets of all clients, the wiki that notes are
//! written into, a Google workspace and an application with accounts of their own.
//!
//! Each is there under one seed in four, the last two under one in five, whatever else that
//! seed has, and draws from a stream of its own. All of it outlives every process, and is as unkind as its seed says
//! until the faults stop. Some desks answer nobody before every case has ended: whoever
//! waited for such a one would wait for ever.

mod accounts;
mod app;
mod desk;
mod mood;
mod post;
mod way;
mod wiki;
mod workspace;

pub(crate) use accounts::{Elsewhere, Held};
pub(crate) use app::Applications;
pub(crate) use desk::{Psa, client};
pub(crate) use post::Post;
pub(crate) use way::connectors;
pub(crate) use wiki::Pages;
pub(crate) use workspace::Workspaces;

use crate::rng::Rng;
use crate::simulation::Broken;
use offboard_domain::{Kind, Policy, System, TenantId, catalogue};
use offboard_sim::population::DemoTenant;
use offboard_sim::world::World;
use std::collections::BTreeSet;

/// How many seeds have each of them, in permille.
const SHARE: u32 = 250;
/// How many seeds have accounts in a system besides, of each sort, in permille.
const ACCOUNTS: u32 = 200;
/// How many of the desks answer nobody before every case has ended, in permille.
const DEAD: u32 = 300;
/// How long an archive is to be kept.
const ARCHIVE_YEARS: u32 = 10;

/// The desk's name in every tenant's configuration.
pub(crate) fn psa() -> System {
    System::new("psa").expect("the handle is valid")
}

/// The wiki's.
pub(crate) fn notes() -> System {
    System::new("notes").expect("the handle is valid")
}

/// The application's.
pub(crate) fn saas() -> System {
    System::new("saas").expect("the handle is valid")
}

/// The workspace's.
pub(crate) fn google() -> System {
    System::new("google").expect("the handle is valid")
}

/// What a seed has of it.
pub(crate) struct Beside {
    post: Option<Post>,
    desk: Option<Psa>,
    wiki: Option<Pages>,
    apps: Option<Applications>,
    workspaces: Option<Workspaces>,
}

impl Beside {
    /// None of it.
    pub(crate) fn nothing() -> Self {
        Self {
            post: None,
            desk: None,
            wiki: None,
            apps: None,
            workspaces: None,
        }
    }

    /// What this seed has, and what there must be for something that is broken to show.
    pub(crate) fn of(seed: u64, broken: Option<Broken>) -> Self {
        let mut rng = Rng::of(seed, "beside");
        let (mut post, mut desk, mut wiki) = (rng.happens(SHARE), rng.happens(SHARE), rng.happens(SHARE));
        let mut dead = rng.happens(DEAD);
        let (mut app, mut workspace) = (rng.happens(ACCOUNTS), rng.happens(ACCOUNTS));
        match broken {
            Some(Broken::MessagesAreHidden) => post = true,
            Some(Broken::TicketsAreOpenedTwice | Broken::TicketsAreClosedEarly) => (desk, dead) = (true, false),
            Some(Broken::SealingWaitsForTheDesk) => (desk, dead) = (true, true),
            Some(Broken::PagesAreAddedTwice) => wiki = true,
            Some(Broken::TheAppCallsEverybodyEnded | Broken::AnotherEndsInTheApp) => app = true,
            Some(
                Broken::TheWorkspaceCallsEverybodySuspended
                | Broken::AnotherEndsInTheWorkspace
                | Broken::FilesAreTransferredTwice,
            ) => workspace = true,
            _ => {}
        }
        Self {
            post: post.then(|| Post::of(seed)),
            desk: desk.then(|| Psa::of(seed, dead, broken)),
            wiki: wiki.then(|| Pages::of(seed, broken)),
            apps: app.then(|| Applications::of(seed, broken)),
            workspaces: workspace.then(|| Workspaces::of(seed, broken)),
        }
    }

    /// Puts into the vendor's world what belongs to it, and its people into what is beside.
    pub(crate) fn furnish(&self, world: &mut World, built: &[DemoTenant]) {
        if let Some(post) = &self.post {
            post.fill(world, built);
        }
        if let Some(apps) = &self.apps {
            apps.settle(world, built);
        }
        if let Some(workspaces) = &self.workspaces {
            workspaces.settle(world, built);
        }
    }

    /// What every tenant wants because of it.
    pub(crate) fn bear_on(&self, policy: &mut Policy) {
        if self.post.is_some() {
            policy.archive_mailbox = true;
            policy.archive_years = Some(ARCHIVE_YEARS);
        }
        policy.knowledge_session = self.wiki.is_some();
    }

    /// The systems that every tenant has because of it, and what they can do.
    pub(crate) fn claims(&self) -> Vec<(System, BTreeSet<Kind>)> {
        let desk = self.desk.iter().map(|_| {
            let kinds: BTreeSet<Kind> = catalogue::desk::KINDS.iter().copied().collect();
            (psa(), kinds)
        });
        let wiki = self.wiki.iter().map(|_| {
            let kinds = BTreeSet::from([Kind::WriteNotes, Kind::ObserveKnowledge]);
            (notes(), kinds)
        });
        let app = self.apps.iter().map(|apps| (saas(), apps.kinds()));
        let workspace = self.workspaces.iter().map(|workspaces| (google(), workspaces.kinds()));
        desk.chain(wiki).chain(app).chain(workspace).collect()
    }

    /// What callers prove themselves with.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let desk = self.desk.iter().map(Psa::secret);
        let wiki = self.wiki.iter().map(Pages::secret);
        let apps = self.apps.iter().flat_map(Applications::secrets);
        let workspaces = self.workspaces.iter().flat_map(Workspaces::secrets);
        desk.chain(wiki).chain(apps).chain(workspaces).collect()
    }

    /// Codes that are as secret, and short.
    pub(crate) fn codes(&self) -> BTreeSet<String> {
        self.workspaces.iter().flat_map(Workspaces::codes).collect()
    }

    /// What stands of a tenant's people in their accounts here alone.
    pub(crate) fn canaries(&self) -> Vec<(TenantId, String)> {
        let apps = self.apps.iter().flat_map(Applications::canaries);
        let workspaces = self.workspaces.iter().flat_map(Workspaces::canaries);
        apps.chain(workspaces).collect()
    }

    /// What a tenant's people have in other systems, as that truly is.
    pub(crate) fn elsewhere(&self, tenant: &TenantId) -> Vec<Elsewhere> {
        let apps = self.apps.iter().filter_map(|apps| apps.elsewhere(tenant));
        let workspaces = self.workspaces.iter();
        apps.chain(workspaces.filter_map(|workspaces| workspaces.elsewhere(tenant)))
            .collect()
    }

    /// The application, if there is one.
    pub(crate) fn apps(&self) -> Option<&Applications> {
        self.apps.as_ref()
    }

    /// The workspaces, if there are any.
    pub(crate) fn workspaces(&self) -> Option<&Workspaces> {
        self.workspaces.as_ref()
    }

    /// The post, if any comes.
    pub(crate) fn post(&self) -> Option<&Post> {
        self.post.as_ref()
    }

    /// The desk, if there is one.
    pub(crate) fn desk(&self) -> Option<&Psa> {
        self.desk.as_ref()
    }

    /// The wiki, if there is one.
    pub(crate) fn wiki(&self) -> Option<&Pages> {
        self.wiki.as_ref()
    }

    /// What is random stops; a desk that is dead is so still.
    pub(crate) fn calm(&self) {
        if let Some(post) = &self.post {
            post.calm();
        }
        if let Some(desk) = &self.desk {
            desk.calm();
        }
        if let Some(wiki) = &self.wiki {
            wiki.calm();
        }
        if let Some(apps) = &self.apps {
            apps.calm();
        }
        if let Some(workspaces) = &self.workspaces {
            workspaces.calm();
        }
    }
}
