//! What the service account may be allowed to do, each asked for by itself: so a
//! scope that was not granted stops the kinds that need it, and no others.

use offboard_domain::Kind;

/// A scope of Google's, as the delegation must list it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    /// Accounts: read, password, suspended.
    Users,
    /// Sign-out, tokens, application passwords, codes, second factor.
    Security,
    /// Groups: read.
    Groups,
    /// Groups: members.
    Members,
    /// Phones: read, act.
    Phones,
    /// Transfers of files.
    Transfers,
    /// Mail settings: read; reply, filters.
    MailSettings,
    /// Mail settings: forwarding, delegates.
    MailSharing,
    /// ChromeOS devices: read, disable.
    Laptops,
    /// Licences.
    Licences,
    /// Shared drives: read, managers. Google has none that is narrower and may change them.
    Drives,
    /// A whole mailbox over IMAP, which a mail server (`kind = "imap"`) asks for.
    Mailbox,
}

impl Scope {
    /// All that a workspace needs, those first without which nothing works.
    pub(super) const ALL: &'static [Scope] = &[
        Self::Users,
        Self::Security,
        Self::Groups,
        Self::Members,
        Self::Transfers,
        Self::MailSettings,
        Self::MailSharing,
        Self::Phones,
        Self::Laptops,
        Self::Licences,
        Self::Drives,
    ];

    /// As Google writes it.
    pub(super) fn url(self) -> &'static str {
        match self {
            Self::Users => "https://www.googleapis.com/auth/admin.directory.user",
            Self::Security => "https://www.googleapis.com/auth/admin.directory.user.security",
            Self::Groups => "https://www.googleapis.com/auth/admin.directory.group.readonly",
            Self::Members => "https://www.googleapis.com/auth/admin.directory.group.member",
            Self::Phones => "https://www.googleapis.com/auth/admin.directory.device.mobile.action",
            Self::Laptops => "https://www.googleapis.com/auth/admin.directory.device.chromeos",
            Self::Transfers => "https://www.googleapis.com/auth/admin.datatransfer",
            Self::MailSettings => "https://www.googleapis.com/auth/gmail.settings.basic",
            Self::MailSharing => "https://www.googleapis.com/auth/gmail.settings.sharing",
            Self::Licences => "https://www.googleapis.com/auth/apps.licensing",
            Self::Drives => "https://www.googleapis.com/auth/drive",
            Self::Mailbox => "https://mail.google.com/",
        }
    }

    /// What the administrator's role must allow for it; none: nothing, because the
    /// account itself is acted for.
    pub(super) fn privilege(self) -> Option<&'static str> {
        match self {
            Self::Users => Some("Users > Read, Update (Reset password, Suspend users)"),
            Self::Security => Some("Users > Update, and Security > User security management"),
            Self::Groups => Some("Groups > Read"),
            Self::Members => Some("Groups > Update"),
            Self::Phones => Some("Services > Mobile device management"),
            Self::Laptops => Some("Services > Chrome Management > Settings > Manage ChromeOS devices"),
            Self::Transfers => Some("Data transfer"),
            Self::MailSettings | Self::MailSharing | Self::Mailbox => None,
            Self::Licences => Some("License management"),
            Self::Drives => Some("Services > Drive and Docs > Settings"),
        }
    }

    /// The interface that must be turned on in the service account's project.
    pub(super) fn interface(self) -> &'static str {
        match self {
            Self::Users
            | Self::Security
            | Self::Groups
            | Self::Members
            | Self::Phones
            | Self::Laptops
            | Self::Transfers => "Admin SDK API",
            Self::MailSettings | Self::MailSharing | Self::Mailbox => "Gmail API",
            Self::Licences => "Enterprise License Manager API",
            Self::Drives => "Google Drive API",
        }
    }
}

/// The scopes that a kind needs; none for kinds that are not a workspace's.
pub(super) fn needs(kind: Kind) -> Option<&'static [Scope]> {
    Some(match kind {
        Kind::Resolve
        | Kind::ResolveInWorkspace
        | Kind::ResetPasswordInWorkspace
        | Kind::SuspendAtOnce
        | Kind::SuspendInWorkspace => &[Scope::Users],
        Kind::SignOutInWorkspace
        | Kind::DiscoverAppsInWorkspace
        | Kind::RevokeTokensInWorkspace
        | Kind::RemoveAppPasswords
        | Kind::InvalidateBackupCodes
        | Kind::TurnOffSecondFactor => &[Scope::Users, Scope::Security],
        Kind::SetReplyInWorkspace => &[Scope::Users, Scope::MailSettings],
        Kind::SetForwardingInWorkspace | Kind::GrantMailInWorkspace => {
            &[Scope::Users, Scope::MailSettings, Scope::MailSharing]
        }
        Kind::TransferFiles => &[Scope::Users, Scope::Transfers],
        Kind::HandOverSharedDrives => &[Scope::Users, Scope::Drives],
        Kind::RemoveGroupsInWorkspace => &[Scope::Users, Scope::Groups, Scope::Members],
        Kind::WipeAccount => &[Scope::Users, Scope::Phones],
        Kind::DisableLaptops => &[Scope::Users, Scope::Laptops],
        Kind::ReleaseInWorkspace => &[Scope::Users, Scope::Licences],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use offboard_domain::catalogue::workspace;

    #[test]
    fn every_kind_of_a_workspace_says_what_it_needs() {
        for kind in workspace::KINDS {
            let needs = needs(*kind).unwrap_or_default();
            assert!(needs.contains(&Scope::Users), "{kind}");
        }
        let all: Vec<&Scope> = workspace::KINDS.iter().filter_map(|k| needs(*k)).flatten().collect();
        assert!(Scope::ALL.iter().all(|s| all.contains(&s)));
    }
}
