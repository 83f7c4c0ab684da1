//! The catalogue: each kind of task is declared once, in one block.
//!
//! From that block come the queue, the plan, the order, the retries, the
//! judgement, the approval, the closing proof, the evidence's controls, the
//! tree that `offboard plan` prints and `docs/tasks.md`. The order of a
//! departure is law, not luck: every hazard of the field's playbook is an
//! `after`, a `conflicts` or a `redo` here, with its reason beside it.

pub mod apps;
pub mod desk;
mod device;
mod identity;
pub mod knowledge;
mod license;
mod mailbox;
pub mod managed;
mod person;
pub mod premises;
pub mod script;
pub mod spec;
pub mod workspace;

pub use identity::{ACCOUNT_GONE, APP_GROUPS_LATER, LEAVING, LICENSED_BY_RULE, MARKED, ROLES_GONE_MS, ROLES_OPEN};
pub use license::POOL_WITHIN_MS;
pub use mailbox::{KNOWN_TO_MAIL, MAILBOX_EXISTS};
pub use person::GOES_AT_ONCE;
pub use spec::{
    Approval, Area, Closes, ClosingProof, Dep, KindSpec, Lane, OlderRule, Proof, Stage, Until, Urgency, Wanted,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $spec:expr,)*) => {
        /// What sort of task. Its declaration is [`Kind::spec`].
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "each kind's text is its catalogue block")]
        pub enum Kind { $($(#[$doc])* $name,)* }

        impl Kind {
            /// Every kind, in the order of a departure.
            pub const ALL: &'static [Kind] = &[$(Kind::$name,)*];

            /// The kind's declaration.
            #[must_use]
            pub fn spec(self) -> &'static KindSpec {
                match self { $(Kind::$name => &$spec,)* }
            }
        }
    };
}

kinds! {
    Resolve = identity::RESOLVE,
    SnapshotAccess = identity::SNAPSHOT_ACCESS,
    SnapshotDirectory = identity::SNAPSHOT_DIRECTORY,
    SnapshotMailbox = mailbox::SNAPSHOT,
    ResolveOnPremises = premises::RESOLVE,
    ResolveInApp = apps::RESOLVE,
    ResolveInWorkspace = workspace::RESOLVE,
    DiscoverDevices = device::DISCOVER,
    DiscoverComputers = premises::DISCOVER_COMPUTERS,
    DiscoverTechnicians = managed::DISCOVER_TECHNICIANS,
    DiscoverManaged = managed::DISCOVER,
    DiscoverApps = identity::DISCOVER_APPS,
    ApprovePlan = person::APPROVE_PLAN,
    RemoveDirectoryRoles = identity::REMOVE_DIRECTORY_ROLES,
    DisableSignIn = identity::DISABLE_SIGN_IN,
    DisableOnPremises = premises::DISABLE,
    ResetPassword = identity::RESET_PASSWORD,
    ResetPasswordOnPremises = premises::RESET_PASSWORD,
    RevokeSessions = identity::REVOKE_SESSIONS,
    RevokeSessionsAgain = identity::REVOKE_SESSIONS_AGAIN,
    ResetPasswordInWorkspace = workspace::RESET_PASSWORD,
    SignOutInWorkspace = workspace::SIGN_OUT,
    DiscoverAppsInWorkspace = workspace::DISCOVER_APPS,
    RevokeTokensInWorkspace = workspace::REVOKE_TOKENS,
    SuspendAtOnce = workspace::SUSPEND_AT_ONCE,
    RemoveAppPasswords = workspace::REMOVE_APP_PASSWORDS,
    InvalidateBackupCodes = workspace::INVALIDATE_BACKUP_CODES,
    TurnOffSecondFactor = workspace::TURN_OFF_SECOND_FACTOR,
    SetReplyInWorkspace = workspace::SET_REPLY,
    SetForwardingInWorkspace = workspace::SET_FORWARDING,
    GrantMailInWorkspace = workspace::GRANT_MAIL_ACCESS,
    SuspendInWorkspace = workspace::SUSPEND_AFTER,
    RemoveAuthMethods = identity::REMOVE_AUTH_METHODS,
    RemoveOauthGrants = identity::REMOVE_OAUTH_GRANTS,
    RemoveAppRoles = identity::REMOVE_APP_ROLES,
    RunScript = script::RUN,
    RunIrreversibleScript = script::RUN_IRREVERSIBLE,
    DisableInApp = apps::DISABLE,
    DeleteInApp = apps::DELETE,
    HandOverGroups = identity::HAND_OVER_GROUPS,
    RemoveGroupOwnerships = identity::REMOVE_GROUP_OWNERSHIPS,
    RemoveGroupMemberships = identity::REMOVE_GROUP_MEMBERSHIPS,
    ConfirmDisabledOnPremises = person::CONFIRM_DISABLED_ON_PREMISES,
    RotateSharedCredential = person::ROTATE_SHARED_CREDENTIAL,
    DecideApp = person::DECIDE_APP,
    BlockProtocols = mailbox::BLOCK_PROTOCOLS,
    HoldMailbox = mailbox::HOLD,
    HideFromAddressLists = mailbox::HIDE_FROM_ADDRESS_LISTS,
    HideOnPremises = premises::HIDE,
    SetAutomaticReply = mailbox::SET_AUTOMATIC_REPLY,
    SetForwarding = mailbox::SET_FORWARDING,
    RemoveInboxRules = mailbox::REMOVE_INBOX_RULES,
    RemoveDelegations = mailbox::REMOVE_DELEGATIONS,
    RemoveMobilePartnerships = mailbox::REMOVE_MOBILE_PARTNERSHIPS,
    ArchiveMailbox = mailbox::ARCHIVE,
    HandOverMeetings = mailbox::HAND_OVER_MEETINGS,
    CancelMeetings = mailbox::CANCEL_MEETINGS,
    ConvertToShared = mailbox::CONVERT_TO_SHARED,
    ConfirmSharedOnPremises = person::CONFIRM_SHARED_ON_PREMISES,
    GrantSuccessorMailbox = mailbox::GRANT_SUCCESSOR_ACCESS,
    HandOverOneDrive = knowledge::HAND_OVER_ONEDRIVE,
    DecideOneDrive = person::DECIDE_ONEDRIVE,
    DecidePreservation = person::DECIDE_PRESERVATION,
    TransferFiles = workspace::TRANSFER_FILES_TO_SUCCESSOR,
    HandOverSharedDrives = workspace::HAND_OVER_SHARED_DRIVES,
    RemoveGroupsInWorkspace = workspace::REMOVE_GROUPS,
    RemoveGroupsOnPremises = premises::REMOVE_GROUPS,
    AwaitSynchronisation = premises::AWAIT_SYNCHRONISATION,
    ConfirmManagedDevice = managed::CONFIRM,
    DiscoverConfirmed = managed::DISCOVER_CONFIRMED,
    DiscoverSoftware = managed::DISCOVER_SOFTWARE,
    EndTechnician = managed::END_TECHNICIAN,
    MarkManaged = managed::MARK_DEVICE,
    MaintainManaged = managed::MAINTAIN,
    DecideDevice = managed::DECIDE,
    EscrowRecoveryKeys = device::ESCROW_RECOVERY_KEYS,
    RetireDevice = device::RETIRE,
    WipeAccount = workspace::WIPE_ACCOUNT,
    DisableLaptops = workspace::DISABLE_LAPTOPS,
    ConfirmDeviceReturned = person::CONFIRM_DEVICE_RETURNED,
    WipeDevice = device::WIPE,
    UnassignAutopilot = device::UNASSIGN_AUTOPILOT,
    DisableDeviceObject = device::DISABLE_OBJECT,
    RunManagedScript = managed::RUN_SCRIPT,
    ClearManagedOwner = managed::CLEAR_OWNER,
    Decommission = managed::DECOMMISSION,
    DisableComputer = premises::DISABLE_COMPUTER,
    ReleaseGroupLicenses = license::RELEASE_GROUPS,
    ReleaseDirectLicenses = license::RELEASE_DIRECT,
    ProvePool = license::PROVE_POOL,
    ReleaseInWorkspace = workspace::RELEASE,
    MoveToLeaversUnit = premises::MOVE_TO_LEAVERS_UNIT,
    HoldKnowledgeSession = person::HOLD_KNOWLEDGE_SESSION,
    WriteNotes = knowledge::WRITE_NOTES,
    ConfirmHandover = person::CONFIRM_HANDOVER,
    Validate = person::VALIDATE,
    OpenTicket = desk::OPEN_TICKET,
    NoteAccess = desk::NOTE_ACCESS,
    NoteDevices = desk::NOTE_DEVICES,
    NoteKnowledge = desk::NOTE_KNOWLEDGE,
    NoteLicences = desk::NOTE_LICENCES,
    AttachEvidence = desk::ATTACH_EVIDENCE,
    CloseTicket = desk::CLOSE_TICKET,
    NoteEnding = desk::NOTE_ENDING,
    ObserveIdentity = identity::OBSERVE_AGAIN,
    ObserveMailbox = mailbox::OBSERVE_AGAIN,
    ObserveLicense = license::OBSERVE_AGAIN,
    ObserveDevice = device::OBSERVE_AGAIN,
    ObserveKnowledge = knowledge::OBSERVE_AGAIN,
}

impl Kind {
    /// The kind's stored name: `area.verb_object`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|k| k.name() == name)
    }

    /// Its position in [`Kind::ALL`], for tables by kind.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// Whether a cloud with everything in it has it: not what is of a directory on
    /// the premises, an application, a workspace, a program of one's own, a remote
    /// management, a wiki or a desk.
    #[must_use]
    pub fn is_of_a_cloud(self) -> bool {
        let beside = [
            premises::KINDS,
            apps::KINDS,
            script::KINDS,
            managed::KINDS,
            workspace::KINDS,
            knowledge::KINDS,
            desk::KINDS,
        ];
        !beside.iter().any(|kinds| kinds.contains(&self))
    }

    /// Whether it goes on beside the case, which waits for it in nothing.
    #[must_use]
    pub fn is_beside(self) -> bool {
        self.spec().closes != Closes::With
    }

    /// Whether it belongs to the closing round.
    #[must_use]
    pub fn is_closing_round(self) -> bool {
        Area::MACHINES.iter().any(|a| a.closing_kind() == Some(self))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Self::named(&name).ok_or_else(|| serde::de::Error::custom(format!("unknown kind '{name}'")))
    }
}

#[cfg(test)]
mod tests;
