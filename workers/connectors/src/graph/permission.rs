//! Which application permissions each sort of request needs, least first.
//!
//! One table serves two readers: a refused request is `Denied` when none of
//! its permissions is in the token, and `Blocked` when one is (then it is the
//! *target* that the vendor protects); and `offboard doctor` compares the
//! claimed kinds with what was granted. Sources: Microsoft's permissions
//! reference for each operation.

use offboard_domain::Kind;

/// Where a permission is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Api {
    Graph,
    Exchange,
    SharePoint,
}

impl Api {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Graph => "Microsoft Graph",
            Self::Exchange => "Office 365 Exchange Online",
            Self::SharePoint => "SharePoint",
        }
    }
}

/// One of these permissions is enough; the first is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Need {
    pub(crate) api: Api,
    pub(crate) any: &'static [&'static str],
}

const fn graph(any: &'static [&'static str]) -> Need {
    Need { api: Api::Graph, any }
}

pub(crate) const READ_USERS: Need = graph(&[
    "User.Read.All",
    "User.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
]);
pub(crate) const DISABLE: Need = graph(&[
    "User.EnableDisableAccount.All",
    "User.ReadWrite.All",
    "Directory.ReadWrite.All",
]);
pub(crate) const PASSWORD: Need = graph(&[
    "User-PasswordProfile.ReadWrite.All",
    "User.ReadWrite.All",
    "Directory.ReadWrite.All",
]);
pub(crate) const REVOKE: Need = graph(&[
    "User.RevokeSessions.All",
    "User.ReadWrite.All",
    "Directory.ReadWrite.All",
]);
pub(crate) const READ_ROLES: Need = graph(&[
    "RoleManagement.Read.Directory",
    "RoleManagement.ReadWrite.Directory",
    "RoleManagement.Read.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
]);
pub(crate) const READ_ELIGIBLE_ROLES: Need = graph(&[
    "RoleEligibilitySchedule.Read.Directory",
    "RoleManagement.Read.Directory",
    "RoleManagement.Read.All",
    "RoleEligibilitySchedule.ReadWrite.Directory",
    "RoleManagement.ReadWrite.Directory",
]);
pub(crate) const WRITE_ELIGIBLE_ROLES: Need = graph(&[
    "RoleEligibilitySchedule.ReadWrite.Directory",
    "RoleManagement.ReadWrite.Directory",
]);
pub(crate) const WRITE_ROLES: Need = graph(&["RoleManagement.ReadWrite.Directory"]);
pub(crate) const READ_METHODS: Need = graph(&[
    "UserAuthenticationMethod.Read.All",
    "UserAuthenticationMethod.ReadWrite.All",
]);
pub(crate) const WRITE_METHODS: Need = graph(&["UserAuthenticationMethod.ReadWrite.All"]);
pub(crate) const READ_GRANTS: Need = graph(&[
    "DelegatedPermissionGrant.Read.All",
    "DelegatedPermissionGrant.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
]);
pub(crate) const WRITE_GRANTS: Need = graph(&["DelegatedPermissionGrant.ReadWrite.All", "Directory.ReadWrite.All"]);
pub(crate) const READ_APP_ROLES: Need = graph(&[
    "Application.Read.All",
    "AppRoleAssignment.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
]);
pub(crate) const READ_APPLICATIONS: Need = graph(&[
    "Application.Read.All",
    "Application.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
]);
pub(crate) const WRITE_APP_ROLES: Need = graph(&["AppRoleAssignment.ReadWrite.All"]);
pub(crate) const READ_GROUPS: Need = graph(&[
    "GroupMember.Read.All",
    "GroupMember.ReadWrite.All",
    "Group.Read.All",
    "Group.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
]);
pub(crate) const WRITE_MEMBERS: Need = graph(&[
    "GroupMember.ReadWrite.All",
    "Group.ReadWrite.All",
    "Directory.ReadWrite.All",
]);
pub(crate) const WRITE_OWNERS: Need = graph(&["Group.ReadWrite.All", "Directory.ReadWrite.All"]);
pub(crate) const READ_LICENCES: Need = graph(&[
    "LicenseAssignment.Read.All",
    "LicenseAssignment.ReadWrite.All",
    "User.Read.All",
    "User.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
]);
pub(crate) const WRITE_LICENCES: Need = graph(&[
    "LicenseAssignment.ReadWrite.All",
    "User.ReadWrite.All",
    "Directory.ReadWrite.All",
]);
pub(crate) const READ_POOL: Need = graph(&[
    "LicenseAssignment.Read.All",
    "LicenseAssignment.ReadWrite.All",
    "Organization.Read.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
]);
pub(crate) const READ_MAILBOX_SETTINGS: Need = graph(&["MailboxSettings.Read", "MailboxSettings.ReadWrite"]);
pub(crate) const WRITE_MAILBOX_SETTINGS: Need = graph(&["MailboxSettings.ReadWrite"]);
pub(crate) const READ_MAIL: Need = graph(&["Mail.Read", "Mail.ReadWrite"]);
pub(crate) const READ_CALENDARS: Need = graph(&["Calendars.Read", "Calendars.ReadWrite"]);
pub(crate) const WRITE_CALENDARS: Need = graph(&["Calendars.ReadWrite"]);
pub(crate) const READ_DRIVES: Need = graph(&[
    "Files.Read.All",
    "Files.ReadWrite.All",
    "Sites.Read.All",
    "Sites.ReadWrite.All",
    "Sites.FullControl.All",
]);
pub(crate) const READ_DEVICES: Need = graph(&[
    "Device.Read.All",
    "Device.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
]);
pub(crate) const WRITE_DEVICES: Need = graph(&["Device.ReadWrite.All", "Directory.ReadWrite.All"]);
pub(crate) const READ_MANAGED: Need = graph(&[
    "DeviceManagementManagedDevices.Read.All",
    "DeviceManagementManagedDevices.ReadWrite.All",
]);
pub(crate) const ORDER_MANAGED: Need = graph(&["DeviceManagementManagedDevices.PrivilegedOperations.All"]);
pub(crate) const READ_AUTOPILOT: Need = graph(&[
    "DeviceManagementServiceConfig.Read.All",
    "DeviceManagementServiceConfig.ReadWrite.All",
]);
pub(crate) const WRITE_AUTOPILOT: Need = graph(&["DeviceManagementServiceConfig.ReadWrite.All"]);
pub(crate) const READ_BITLOCKER: Need = graph(&["BitlockerKey.Read.All"]);
pub(crate) const READ_LAPS: Need = graph(&["DeviceLocalCredential.Read.All"]);
pub(crate) const EXCHANGE: Need = Need {
    api: Api::Exchange,
    any: &["Exchange.ManageAsApp"],
};
pub(crate) const SITES: Need = Need {
    api: Api::SharePoint,
    any: &["Sites.FullControl.All"],
};

/// To find SharePoint's own address; no kind needs it, only the check.
pub(crate) const READ_SITES: Need = graph(&["Sites.Read.All", "Sites.ReadWrite.All", "Sites.FullControl.All"]);

/// The least application permissions with which a kind can be done: the name of
/// the interface that each is granted on, and the permission's. Empty for what
/// this vendor does not serve.
#[must_use]
pub fn least_permissions(kind: Kind) -> Vec<(&'static str, &'static str)> {
    let all = needs(kind).unwrap_or_default().iter();
    all.filter_map(|need| Some((need.api.name(), *need.any.first()?)))
        .collect()
}

/// What the primitives of a kind ask for. Exhaustive over the kinds: a new one
/// does not compile until it is said whether this vendor serves it.
/// `None`: this vendor does not.
pub(crate) fn needs(kind: Kind) -> Option<&'static [Need]> {
    // Its settings are the second source that says that there is no mailbox.
    const MAILBOX: &[Need] = &[EXCHANGE, READ_MAILBOX_SETTINGS];
    Some(match kind {
        Kind::Resolve => &[READ_USERS, READ_GROUPS, READ_ROLES, READ_ELIGIBLE_ROLES],
        Kind::SnapshotAccess => &[READ_USERS, READ_GROUPS, READ_ROLES, READ_ELIGIBLE_ROLES, READ_METHODS],
        Kind::SnapshotDirectory => &[
            READ_USERS,
            READ_GROUPS,
            READ_GRANTS,
            READ_APP_ROLES,
            READ_LICENCES,
            READ_POOL,
        ],
        Kind::DiscoverApps => &[READ_APPLICATIONS],
        // What a group gives him that can hold roles is assigned to him before he leaves it.
        Kind::RemoveDirectoryRoles => &[
            READ_ROLES,
            READ_ELIGIBLE_ROLES,
            READ_GROUPS,
            WRITE_ROLES,
            WRITE_ELIGIBLE_ROLES,
            READ_LICENCES,
            WRITE_LICENCES,
        ],
        // Whoever may hold roles still may be the last who administers the tenant.
        Kind::DisableSignIn => &[READ_USERS, DISABLE, READ_GROUPS, READ_ROLES, READ_ELIGIBLE_ROLES],
        Kind::AwaitSynchronisation => &[READ_USERS, READ_GROUPS],
        Kind::ResetPassword => &[READ_USERS, PASSWORD, READ_GROUPS, READ_ROLES, READ_ELIGIBLE_ROLES],
        Kind::RevokeSessions | Kind::RevokeSessionsAgain => &[READ_USERS, REVOKE],
        Kind::RemoveAuthMethods => &[READ_METHODS, WRITE_METHODS],
        Kind::RemoveOauthGrants => &[READ_GRANTS, WRITE_GRANTS],
        // With them go the groups that give him some.
        Kind::RemoveAppRoles => &[
            READ_APP_ROLES,
            WRITE_APP_ROLES,
            READ_GROUPS,
            WRITE_MEMBERS,
            WRITE_ROLES,
            EXCHANGE,
        ],
        // Exchange has the owners of its own groups.
        Kind::HandOverGroups => &[READ_GROUPS, READ_USERS, WRITE_OWNERS, EXCHANGE],
        // A group that can hold roles is changed as roles are.
        Kind::RemoveGroupOwnerships => &[READ_GROUPS, READ_USERS, WRITE_OWNERS, WRITE_ROLES, EXCHANGE],
        // Those that give applications are left with the application roles.
        Kind::RemoveGroupMemberships => &[READ_GROUPS, READ_APP_ROLES, WRITE_MEMBERS, WRITE_ROLES, EXCHANGE],
        Kind::SnapshotMailbox => &[EXCHANGE, READ_MAILBOX_SETTINGS, READ_USERS],
        Kind::BlockProtocols
        | Kind::HoldMailbox
        | Kind::HideFromAddressLists
        | Kind::RemoveInboxRules
        | Kind::RemoveMobilePartnerships => MAILBOX,
        Kind::SetAutomaticReply => &[EXCHANGE, READ_MAILBOX_SETTINGS, WRITE_MAILBOX_SETTINGS],
        Kind::SetForwarding | Kind::RemoveDelegations | Kind::GrantSuccessorMailbox => {
            &[EXCHANGE, READ_MAILBOX_SETTINGS, READ_USERS]
        }
        Kind::ArchiveMailbox => &[READ_MAIL, READ_MAILBOX_SETTINGS],
        Kind::HandOverMeetings => &[
            EXCHANGE,
            READ_MAILBOX_SETTINGS,
            READ_CALENDARS,
            WRITE_CALENDARS,
            READ_USERS,
        ],
        Kind::CancelMeetings => &[EXCHANGE, READ_MAILBOX_SETTINGS, READ_CALENDARS, WRITE_CALENDARS],
        // Whether the account has a licence that keeps a held mailbox.
        Kind::ConvertToShared => &[EXCHANGE, READ_MAILBOX_SETTINGS, READ_LICENCES],
        Kind::HandOverOneDrive => &[READ_DRIVES, READ_USERS, SITES],
        Kind::DiscoverDevices => &[READ_MANAGED, READ_DEVICES, READ_USERS, READ_AUTOPILOT],
        // The management has the code that lifts an activation lock.
        Kind::EscrowRecoveryKeys => &[READ_DEVICES, READ_MANAGED, READ_BITLOCKER, READ_LAPS],
        Kind::RetireDevice | Kind::WipeDevice => &[READ_MANAGED, ORDER_MANAGED],
        // Whose the assignment is, is said by a name.
        Kind::UnassignAutopilot => &[READ_AUTOPILOT, WRITE_AUTOPILOT, READ_USERS],
        Kind::DisableDeviceObject => &[READ_DEVICES, READ_MANAGED, WRITE_DEVICES],
        // Exchange says what the mailbox needs a licence for, and the directory whether
        // he who has the files is still there. Where he is not, it is looked who else
        // has them, with what their hand-over needed.
        Kind::ReleaseGroupLicenses => &[
            READ_GROUPS,
            READ_LICENCES,
            WRITE_MEMBERS,
            WRITE_ROLES,
            WRITE_LICENCES,
            EXCHANGE,
            READ_MAILBOX_SETTINGS,
            READ_USERS,
        ],
        Kind::ReleaseDirectLicenses => &[
            READ_LICENCES,
            WRITE_LICENCES,
            EXCHANGE,
            READ_MAILBOX_SETTINGS,
            READ_USERS,
        ],
        Kind::ProvePool => &[READ_LICENCES, READ_POOL, EXCHANGE, READ_MAILBOX_SETTINGS],
        // The closing rounds read what the kinds above read.
        Kind::ObserveIdentity
        | Kind::ObserveMailbox
        | Kind::ObserveLicense
        | Kind::ObserveDevice
        | Kind::ObserveKnowledge => &[],
        // Those of a directory on the premises, of applications, of a remote management.
        Kind::OpenTicket
        | Kind::NoteAccess
        | Kind::NoteDevices
        | Kind::NoteKnowledge
        | Kind::NoteLicences
        | Kind::AttachEvidence
        | Kind::CloseTicket
        | Kind::NoteEnding
        | Kind::DiscoverTechnicians
        | Kind::DiscoverManaged
        | Kind::DiscoverConfirmed
        | Kind::DiscoverSoftware
        | Kind::MarkManaged
        | Kind::MaintainManaged
        | Kind::RunManagedScript
        | Kind::ClearManagedOwner
        | Kind::Decommission
        | Kind::ResolveInApp
        | Kind::DisableInApp
        | Kind::DeleteInApp
        | Kind::ResolveOnPremises
        | Kind::DisableOnPremises
        | Kind::ResetPasswordOnPremises
        | Kind::HideOnPremises
        | Kind::RemoveGroupsOnPremises
        | Kind::DiscoverComputers
        | Kind::DisableComputer
        | Kind::MoveToLeaversUnit => return None,
        // A workspace's.
        Kind::ResolveInWorkspace
        | Kind::ResetPasswordInWorkspace
        | Kind::SignOutInWorkspace
        | Kind::DiscoverAppsInWorkspace
        | Kind::RevokeTokensInWorkspace
        | Kind::SuspendAtOnce
        | Kind::RemoveAppPasswords
        | Kind::InvalidateBackupCodes
        | Kind::TurnOffSecondFactor
        | Kind::SetReplyInWorkspace
        | Kind::SetForwardingInWorkspace
        | Kind::GrantMailInWorkspace
        | Kind::SuspendInWorkspace
        | Kind::TransferFiles
        | Kind::HandOverSharedDrives
        | Kind::RemoveGroupsInWorkspace
        | Kind::WipeAccount
        | Kind::DisableLaptops
        | Kind::ReleaseInWorkspace => return None,
        // The MSP's own programs, and a wiki.
        Kind::RunScript | Kind::RunIrreversibleScript | Kind::WriteNotes => return None,
        Kind::ApprovePlan
        | Kind::DecideOneDrive
        | Kind::DecidePreservation
        | Kind::ConfirmDeviceReturned
        | Kind::ConfirmManagedDevice
        | Kind::DecideDevice
        | Kind::EndTechnician
        | Kind::ConfirmDisabledOnPremises
        | Kind::ConfirmSharedOnPremises
        | Kind::RotateSharedCredential
        | Kind::DecideApp
        | Kind::HoldKnowledgeSession
        | Kind::ConfirmHandover
        | Kind::Validate => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_that_only_read_need_no_write() {
        for kind in Kind::ALL.iter().filter(|k| !k.spec().writes) {
            for need in needs(*kind).unwrap_or_default() {
                let least = need.any[0];
                assert!(
                    need.api == Api::Exchange || least.contains("Read"),
                    "{kind} needs {least}"
                );
                assert!(!least.contains("Write"), "{kind} needs {least}");
            }
        }
    }
}
