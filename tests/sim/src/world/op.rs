//! The calls that the world understands: on which service each runs, whether
//! it writes, and which application permissions allow it (any one of them).

/// A service of the vendor. Faults, lags and throttling are per service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Surface {
    /// The token endpoint.
    Login,
    /// Entra: users, groups, roles, licences, devices.
    Directory,
    /// Entra: authentication methods.
    Methods,
    /// Outlook through Graph.
    Mail,
    /// Exchange's admin endpoint.
    Exchange,
    /// Intune.
    Intune,
    /// OneDrive and sites through Graph.
    Files,
    /// SharePoint's own REST interface.
    SharePoint,
    /// Audit logs.
    Reports,
}

impl Surface {
    /// A short name for keys and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Directory => "directory",
            Self::Methods => "methods",
            Self::Mail => "mail",
            Self::Exchange => "exchange",
            Self::Intune => "intune",
            Self::Files => "files",
            Self::SharePoint => "sharepoint",
            Self::Reports => "reports",
        }
    }
}

macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $surface:ident, $write:literal, [$($permission:literal),*];)*) => {
        /// One kind of call.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Op { $($(#[$doc])* $name,)* }

        impl Op {
            /// Every kind of call.
            pub const ALL: &'static [Op] = &[$(Op::$name,)*];

            /// Its name.
            #[must_use]
            pub fn name(self) -> &'static str { match self { $(Self::$name => $text,)* } }

            /// The service that answers it.
            #[must_use]
            pub fn surface(self) -> Surface { match self { $(Self::$name => Surface::$surface,)* } }

            /// Whether it changes anything.
            #[must_use]
            pub fn writes(self) -> bool { match self { $(Self::$name => $write,)* } }

            /// The application permissions of which one must be granted; none needed if empty.
            #[must_use]
            pub fn permissions(self) -> &'static [&'static str] { match self { $(Self::$name => &[$($permission),*],)* } }
        }
    };
}

ops! {
    /// Get a token.
    Token = "token", Login, false, [];
    /// Get a user, or list users.
    GetUser = "get_user", Directory, false, ["User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"];
    /// Change a user's properties.
    PatchUser = "patch_user", Directory, true, ["User.ReadWrite.All", "Directory.ReadWrite.All", "User.EnableDisableAccount.All"];
    /// Set a user's password.
    SetPassword = "set_password", Directory, true, ["User-PasswordProfile.ReadWrite.All", "User.ReadWrite.All", "Directory.ReadWrite.All"];
    /// Delete a user.
    DeleteUser = "delete_user", Directory, true, ["User.ReadWrite.All"];
    /// Get a user's manager.
    GetManager = "get_manager", Directory, false, ["User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"];
    /// Revoke a user's sessions.
    RevokeSessions = "revoke_sessions", Directory, true, ["User.RevokeSessions.All", "User.ReadWrite.All", "Directory.ReadWrite.All"];
    /// List a user's direct or transitive memberships.
    ListMemberOf = "list_member_of", Directory, false, ["GroupMember.Read.All", "GroupMember.ReadWrite.All", "Group.Read.All", "Group.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"];
    /// List what a user owns.
    ListOwned = "list_owned", Directory, false, ["User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"];
    /// Get or list groups.
    GetGroup = "get_group", Directory, false, ["GroupMember.Read.All", "GroupMember.ReadWrite.All", "Group.Read.All", "Group.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"];
    /// List a group's members or owners.
    ListMembers = "list_members", Directory, false, ["GroupMember.Read.All", "GroupMember.ReadWrite.All", "Group.Read.All", "Group.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"];
    /// Add a member to a group.
    AddMember = "add_member", Directory, true, ["GroupMember.ReadWrite.All", "Group.ReadWrite.All", "Directory.ReadWrite.All"];
    /// Remove a member from a group.
    RemoveMember = "remove_member", Directory, true, ["GroupMember.ReadWrite.All", "Group.ReadWrite.All", "Directory.ReadWrite.All"];
    /// Add an owner to a group.
    AddOwner = "add_owner", Directory, true, ["Group.ReadWrite.All", "Directory.ReadWrite.All"];
    /// Remove an owner from a group.
    RemoveOwner = "remove_owner", Directory, true, ["Group.ReadWrite.All", "Directory.ReadWrite.All"];
    /// List directory roles, their assignments and definitions.
    ListRoles = "list_roles", Directory, false, ["RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory", "RoleManagement.Read.All", "Directory.Read.All"];
    /// Remove a directory role assignment.
    RemoveRole = "remove_role", Directory, true, ["RoleManagement.ReadWrite.Directory"];
    /// List directory roles that are only eligible.
    ListEligibleRoles = "list_eligible_roles", Directory, false, ["RoleEligibilitySchedule.Read.Directory", "RoleManagement.Read.Directory", "RoleManagement.Read.All", "RoleEligibilitySchedule.ReadWrite.Directory", "RoleManagement.ReadWrite.Directory"];
    /// Take a directory role that is only eligible.
    RemoveEligibleRole = "remove_eligible_role", Directory, true, ["RoleEligibilitySchedule.ReadWrite.Directory", "RoleManagement.ReadWrite.Directory"];
    /// List a user's authentication methods.
    ListMethods = "list_methods", Methods, false, ["UserAuthenticationMethod.Read.All", "UserAuthenticationMethod.ReadWrite.All"];
    /// Delete an authentication method.
    DeleteMethod = "delete_method", Methods, true, ["UserAuthenticationMethod.ReadWrite.All"];
    /// List a user's delegated permission grants.
    ListGrants = "list_grants", Directory, false, ["Directory.Read.All", "DelegatedPermissionGrant.Read.All", "DelegatedPermissionGrant.ReadWrite.All", "Directory.ReadWrite.All"];
    /// Delete a delegated permission grant.
    DeleteGrant = "delete_grant", Directory, true, ["DelegatedPermissionGrant.ReadWrite.All"];
    /// List application role assignments.
    ListAppRoles = "list_app_roles", Directory, false, ["Directory.Read.All", "AppRoleAssignment.ReadWrite.All", "Application.Read.All", "Directory.ReadWrite.All"];
    /// Delete an application role assignment.
    DeleteAppRole = "delete_app_role", Directory, true, ["AppRoleAssignment.ReadWrite.All"];
    /// Assign or remove licences.
    AssignLicense = "assign_license", Directory, true, ["LicenseAssignment.ReadWrite.All", "User.ReadWrite.All", "Directory.ReadWrite.All"];
    /// List a user's licences in detail.
    LicenseDetails = "license_details", Directory, false, ["LicenseAssignment.Read.All", "LicenseAssignment.ReadWrite.All", "User.Read.All", "User.ReadWrite.All", "Directory.Read.All"];
    /// List the tenant's licence pool.
    SubscribedSkus = "subscribed_skus", Directory, false, ["LicenseAssignment.Read.All", "LicenseAssignment.ReadWrite.All", "Organization.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"];
    /// The tenant itself and its domains.
    Organization = "organization", Directory, false, ["Organization.Read.All", "Directory.Read.All", "Directory.ReadWrite.All", "User.Read.All", "Domain.Read.All"];
    /// Service principals.
    ServicePrincipals = "service_principals", Directory, false, ["Application.Read.All", "Directory.Read.All", "Directory.ReadWrite.All", "Application.ReadWrite.All"];
    /// Get or list Entra devices.
    GetDevice = "get_device", Directory, false, ["Device.Read.All", "Device.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"];
    /// Enable or disable an Entra device.
    PatchDevice = "patch_device", Directory, true, ["Device.ReadWrite.All", "Directory.ReadWrite.All"];
    /// Delete an Entra device.
    DeleteDevice = "delete_device", Directory, true, ["Device.ReadWrite.All", "Directory.ReadWrite.All"];
    /// Read a local administrator password.
    ReadLaps = "read_laps", Directory, false, ["DeviceLocalCredential.Read.All"];
    /// List or read BitLocker keys.
    ReadBitlocker = "read_bitlocker", Directory, false, ["BitlockerKey.Read.All"];
    /// List deleted users.
    DeletedItems = "deleted_items", Directory, false, ["User.Read.All", "User.ReadWrite.All", "Directory.Read.All"];
    /// Read mailbox settings.
    GetMailboxSettings = "get_mailbox_settings", Mail, false, ["MailboxSettings.Read", "MailboxSettings.ReadWrite"];
    /// Change mailbox settings.
    PatchMailboxSettings = "patch_mailbox_settings", Mail, true, ["MailboxSettings.ReadWrite"];
    /// List inbox rules.
    ListInboxRules = "list_inbox_rules", Mail, false, ["MailboxSettings.Read", "MailboxSettings.ReadWrite"];
    /// Delete an inbox rule.
    DeleteInboxRule = "delete_inbox_rule", Mail, true, ["MailboxSettings.ReadWrite"];
    /// List events.
    ListEvents = "list_events", Mail, false, ["Calendars.Read", "Calendars.ReadWrite"];
    /// Create an event.
    CreateEvent = "create_event", Mail, true, ["Calendars.ReadWrite"];
    /// Cancel or delete an event.
    CancelEvent = "cancel_event", Mail, true, ["Calendars.ReadWrite"];
    /// List mail folders.
    ListFolders = "list_folders", Mail, false, ["Mail.ReadBasic.All", "Mail.Read", "Mail.ReadWrite"];
    /// List the messages of a folder.
    ListMails = "list_mails", Mail, false, ["Mail.ReadBasic.All", "Mail.Read", "Mail.ReadWrite"];
    /// Get a message as MIME.
    GetMime = "get_mime", Mail, false, ["Mail.Read", "Mail.ReadWrite"];
    /// Get a drive, its root or its permissions.
    GetDrive = "get_drive", Files, false, ["Files.Read.All", "Files.ReadWrite.All", "Sites.Read.All", "Sites.FullControl.All"];
    /// Get the tenant's root site.
    GetSite = "get_site", Files, false, ["Sites.Read.All", "Sites.ReadWrite.All", "Sites.FullControl.All"];
    /// Invite somebody to a drive.
    InviteToDrive = "invite_to_drive", Files, true, ["Files.ReadWrite.All", "Sites.FullControl.All"];
    /// Read a site's users.
    ReadSiteUsers = "read_site_users", SharePoint, false, ["Sites.FullControl.All"];
    /// Make somebody known to a site, or its administrator.
    WriteSiteUser = "write_site_user", SharePoint, true, ["Sites.FullControl.All"];
    /// Get or list managed devices.
    GetManagedDevice = "get_managed_device", Intune, false, ["DeviceManagementManagedDevices.Read.All", "DeviceManagementManagedDevices.ReadWrite.All"];
    /// Wipe a managed device.
    WipeDevice = "wipe_device", Intune, true, ["DeviceManagementManagedDevices.PrivilegedOperations.All"];
    /// Retire a managed device.
    RetireDevice = "retire_device", Intune, true, ["DeviceManagementManagedDevices.PrivilegedOperations.All"];
    /// Delete a managed device's record.
    DeleteManagedDevice = "delete_managed_device", Intune, true, ["DeviceManagementManagedDevices.ReadWrite.All"];
    /// Get or list Autopilot identities.
    GetAutopilot = "get_autopilot", Intune, false, ["DeviceManagementServiceConfig.Read.All", "DeviceManagementServiceConfig.ReadWrite.All"];
    /// Unassign an Autopilot identity's user, or delete the identity.
    WriteAutopilot = "write_autopilot", Intune, true, ["DeviceManagementServiceConfig.ReadWrite.All"];
    /// Read the sign-in log.
    ReadSignIns = "read_sign_ins", Reports, false, ["AuditLog.Read.All"];
    /// A cmdlet that reads.
    CmdletRead = "cmdlet_read", Exchange, false, ["Exchange.ManageAsApp"];
    /// A cmdlet that writes.
    CmdletWrite = "cmdlet_write", Exchange, true, ["Exchange.ManageAsApp"];
    /// Several Graph calls in one.
    Batch = "batch", Directory, false, [];
}
