//! Devices in a remote management (RMM): an agent on each, a record for each,
//! an owner who is set there, marks, scripts, and the end of the agent.

use crate::{Answer, Call};
use async_trait::async_trait;
use offboard_domain::ObjectId;
use offboard_domain::catalogue::managed;
use offboard_domain::estate::Serial;
use offboard_domain::estate::logon::Form;
use offboard_domain::unplanned::Software;
use serde::Serialize;

/// The devices of one client company in a remote management. What belongs to
/// another one is never read as ours, and never touched: such a device is a
/// fault, `Blocked`.
#[async_trait]
pub trait Fleet: Send + Sync {
    /// What is configured beyond what every one of them can do.
    fn offers(&self) -> FleetOffer;

    /// Every device that is assigned to him, and those that are assigned to
    /// nobody and where somebody signed in by a name like his.
    async fn of(&self, call: &mut Call, who: &Whose) -> Answer<FoundEndpoints>;

    /// The logins of technicians who have one of his addresses, and are not disabled;
    /// none: the management does not let them be read.
    async fn logins(&self, call: &mut Call, who: &Whose) -> Answer<Option<Vec<ObjectId>>>;

    /// Reads one device; none when it is gone, and it was made sure that what
    /// says so is the same company's management.
    async fn endpoint(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Endpoint>>;

    /// What is installed on a device, as its agent last said, in any order; none when the
    /// device is gone.
    async fn software(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Vec<Software>>>;

    /// Whether the device carries this mark whole.
    async fn marking(&self, call: &mut Call, id: &ObjectId, mark: Mark) -> Answer<Marking>;

    /// Puts the mark on, and takes our other one off. Repeatable. Everything
    /// else that the device is marked with stays as it is at that moment.
    async fn mark(&self, call: &mut Call, id: &ObjectId, mark: Mark) -> Answer<()>;

    /// Silences its alerts until then, in milliseconds since 1970. Repeatable. What
    /// somebody else has set is replaced.
    async fn maintain(&self, call: &mut Call, id: &ObjectId, until_ms: i64) -> Answer<()>;

    /// What has become of the script that was ordered with this marker, at that time
    /// (in milliseconds since 1970) or later; without one, nothing is known of when,
    /// and that there is none is not told.
    async fn script(&self, call: &mut Call, id: &ObjectId, marker: &str, since_ms: Option<i64>) -> Answer<ScriptRun>;

    /// Orders the script with this marker. *Once*: ordered again it runs again.
    async fn run_script(&self, call: &mut Call, id: &ObjectId, marker: &str) -> Answer<()>;

    /// The device is nobody's. Repeatable.
    async fn clear_owner(&self, call: &mut Call, id: &ObjectId) -> Answer<()>;

    /// The agent goes, and the device is managed no more. *Once*. Already gone
    /// is success.
    async fn decommission(&self, call: &mut Call, id: &ObjectId) -> Answer<()>;
}

/// What a remote management was configured for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetOffer {
    /// Whether devices are marked.
    pub marks: bool,
    /// Whether a script is run.
    pub script: bool,
}

/// By what a person may be known there.
#[derive(Clone, Default)]
pub struct Whose {
    /// Sign-in names and addresses.
    pub names: Vec<String>,
    /// The name that he is shown by.
    pub shown_name: Option<String>,
}

// It names a person.
impl std::fmt::Debug for Whose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Whose").finish_non_exhaustive()
    }
}

/// What was found of a person.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FoundEndpoints {
    /// The ids that the management gives him.
    pub owner_uids: Vec<String>,
    /// What is assigned to him, in the order of the ids.
    pub assigned: Vec<Endpoint>,
    /// What is assigned to nobody, and was met by a name.
    pub candidates: Vec<Candidate>,
    /// What was met by a name, and is assigned to somebody else.
    pub somebody_elses: Vec<ObjectId>,
    /// What [`Fleet::logins`] says.
    pub technicians: Option<Vec<ObjectId>>,
}

/// A device that was met by a name alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The device.
    pub endpoint: Endpoint,
    /// In which form the name was met.
    #[serde(skip)]
    pub met_as: Form,
}

/// The record of one device.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// Its id.
    pub id: ObjectId,
    /// The id by which it is known again, should the other be given out anew.
    pub uid: Option<String>,
    /// Whom it is assigned to.
    pub owner_uid: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// What sort of device it is.
    pub class: EndpointClass,
    /// Its serial number, if it is one.
    pub serial: Option<Serial>,
    /// How the management stands to it.
    pub status: EndpointStatus,
    /// When it last answered, in milliseconds since 1970.
    pub last_seen_ms: Option<i64>,
    /// The window in which something of it is silenced.
    pub silence: Option<Silence>,
}

/// A window in which something of a device is silenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Silence {
    /// Until when, in milliseconds since 1970.
    pub until_ms: i64,
    /// Whether we have set it. Of any other it is not known what it silences.
    pub ours: bool,
}

// Its name may be a person's.
impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("id", &self.id)
            .field("class", &self.class)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// What sort of device it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointClass {
    /// A computer that somebody works at.
    Workstation,
    /// A telephone or a tablet.
    Mobile,
    /// A server, a switch, a printer, or what is not known here: not to be
    /// wiped or thrown out because somebody leaves.
    Other,
}

impl EndpointClass {
    /// The word in facts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Workstation => "workstation",
            Self::Mobile => "mobile",
            Self::Other => "other",
        }
    }
}

/// How the management stands to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointStatus {
    /// It manages it.
    Managed,
    /// It waits to be taken in.
    Pending,
    /// It manages it no more.
    Decommissioned,
    /// A word that is not known here.
    Unknown,
}

impl EndpointStatus {
    /// The word in facts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Managed => "managed",
            Self::Pending => "pending",
            Self::Decommissioned => "decommissioned",
            Self::Unknown => "unknown",
        }
    }
}

/// What a device is marked as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It is to be wiped.
    PendingWipe,
    /// The next person gets it.
    Repurpose,
}

impl Mark {
    /// The word in parameters.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::PendingWipe => managed::PENDING_WIPE,
            Self::Repurpose => managed::REPURPOSE,
        }
    }

    /// The mark of that word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        [Self::PendingWipe, Self::Repurpose]
            .into_iter()
            .find(|m| m.word() == word)
    }
}

/// How a device is marked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marking {
    /// Whether all of the mark is there.
    pub whole: bool,
    /// The ids of all its tags, ours and others'.
    pub tag_ids: Vec<String>,
}

/// What has become of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptRun {
    /// It has written our marker.
    Done,
    /// It ran, and says that it failed.
    Failed,
    /// It was ordered, and is awaited.
    UnderWay,
    /// It is certain that no script has run on this device that could have been it.
    None,
    /// It cannot be told: some script ran that may have been ours, or what is known
    /// of the device does not reach back far enough.
    Unclear,
}

impl ScriptRun {
    /// The word in facts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::UnderWay => "under_way",
            Self::None => "none",
            Self::Unclear => "unclear",
        }
    }
}
