//! Shared folders that no system lists for us: sites of SharePoint without a group, and
//! shared drives of a workspace where the tenant's file leaves them out.
//!
//! What nobody lists is no task of a machine's. Whoever confirms the hand-over is told
//! where to look; where the tenant's policy leaves that out, whoever validates. See
//! `docs/decisions/0063-shared-folders-that-nobody-lists.md`.

use crate::case::Case;
use crate::catalogue::Kind;
use crate::id::System;
use crate::observation::Facts;
use crate::policy::Capabilities;
use crate::task::{Outcome, Task};

/// The parameter with what a person is to look for, each as `sites/SYSTEM` or
/// `shared_drives/SYSTEM`.
pub const UNLISTED_FOLDERS: &str = "unlisted_folders";

/// A sort of folders that people share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Folders {
    /// Sites of SharePoint without a group: Graph does not show who administers one.
    Sites,
    /// Shared drives, which take a scope that lets its holder read all files.
    SharedDrives,
}

impl Folders {
    const ALL: [Self; 2] = [Self::Sites, Self::SharedDrives];

    /// As it stands in a parameter.
    fn word(self) -> &'static str {
        match self {
            Self::Sites => "sites",
            Self::SharedDrives => "shared_drives",
        }
    }

    /// Whether a system that offers these kinds has such folders, and lists none.
    fn is_unlisted(self, has: impl Fn(Kind) -> bool) -> bool {
        match self {
            Self::Sites => has(Kind::HandOverOneDrive),
            Self::SharedDrives => has(Kind::ResolveInWorkspace) && !has(Kind::HandOverSharedDrives),
        }
    }

    /// What could not be listed, and where to look.
    fn words(self, system: &str) -> String {
        match self {
            Self::Sites => format!(
                "in {system}, sites without a group (communication sites, classic ones) that only he administers (SharePoint admin center, Active sites, filter by Primary administrator); without SharePoint there are none"
            ),
            Self::SharedDrives => format!(
                "in {system}, shared drives that only he manages (Admin console, Apps > Google Workspace > Drive and Docs > Manage shared drives); with `shared_drives = true` in the tenant's file they are looked at by themselves"
            ),
        }
    }
}

/// Tells whoever is asked what these systems do not list; nothing, where nothing is left out.
pub(crate) fn tell(params: &mut Facts, capabilities: &Capabilities) {
    let mut unlisted: Vec<String> = Vec::new();
    for (system, kinds) in &capabilities.0 {
        let has = |kind: Kind| kinds.contains(&kind);
        let left_out = Folders::ALL.into_iter().filter(|folders| folders.is_unlisted(has));
        unlisted.extend(left_out.map(|folders| format!("{}/{system}", folders.word())));
    }
    if !unlisted.is_empty() {
        params.set(UNLISTED_FOLDERS, unlisted);
    }
}

/// What a person is to look for before he says so. None: nothing was left out.
#[must_use]
pub fn words(case: &Case, task: &Task) -> Option<String> {
    let unlisted = task.planned.params.list(UNLISTED_FOLDERS)?;
    let left: Vec<String> = unlisted.iter().filter_map(|one| to_look_for(case, one)).collect();
    (!left.is_empty()).then(|| {
        format!(
            "{}, and look for shared folders that no system could list: {}. Give each somebody else who administers it, then attest this",
            task.kind().spec().title,
            left.join("; and ")
        )
    })
}

fn to_look_for(case: &Case, one: &str) -> Option<String> {
    let (word, system) = one.split_once('/')?;
    let folders = Folders::ALL.into_iter().find(|folders| folders.word() == word)?;
    let nobody = folders == Folders::SharedDrives && is_unknown_to(case, system);
    (!nobody).then(|| folders.words(system))
}

/// Whether the workspace has no account of his.
fn is_unknown_to(case: &Case, system: &str) -> bool {
    let is_of = |of: &System| of.as_str() == system;
    let mut all = case.tasks.values();
    let looked = all.find(|t| t.kind() == Kind::ResolveInWorkspace && is_of(&t.planned.target.system));
    looked.is_some_and(|t| matches!(t.outcome(), Some(Outcome::NotApplicable { .. })))
}
