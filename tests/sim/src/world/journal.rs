//! What truly happened: every effect of every write, and every harm.
//!
//! A test asks the journal whether anything touched a person, group or device
//! that it should not have, and [`Violation`]s whether anybody came to harm. The
//! caller's view of the world may lag or lie; the journal does not.

use std::fmt;

/// Who caused an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// An application, in one request.
    App {
        /// Its client id.
        client_id: String,
        /// The request, as the vendor calls it.
        request_id: String,
        /// The request, as the application calls it; empty if it does not.
        client_request_id: String,
    },
    /// The vendor's own machinery: synchronisation, licensing, conversion, a device that checks in.
    Machinery(&'static str),
    /// A colleague at the client company.
    Colleague,
}

/// One effect on the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When, in simulated milliseconds.
    pub at_ms: i64,
    /// Orders the effects of a tenant.
    pub seq: u64,
    /// In which tenant.
    pub tenant: String,
    /// The object id of the person who loses or gains by it (for a mailbox, drive or
    /// device its owner; for a removed delegation of his the trustee; empty for none).
    pub subject: String,
    /// The id of the thing that was changed: group, assignment, method, mailbox, device…
    pub object: String,
    /// What happened.
    pub effect: Effect,
    /// Who did it.
    pub actor: Actor,
}

macro_rules! effects {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What can happen.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Effect { $($(#[$doc])* $name,)* }

        impl Effect {
            /// Its name in transcripts.
            #[must_use]
            pub fn name(self) -> &'static str { match self { $(Self::$name => $text,)* } }
        }

        impl fmt::Display for Effect {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result { out.write_str(self.name()) }
        }
    };
}

effects! {
    /// The account may no longer sign in.
    SignInDisabled = "sign_in_disabled";
    /// The account may sign in.
    SignInEnabled = "sign_in_enabled";
    /// A new password.
    PasswordReset = "password_reset";
    /// All sessions ended.
    SessionsRevoked = "sessions_revoked";
    /// Another property of the account.
    ProfileChanged = "profile_changed";
    /// The account was deleted.
    UserDeleted = "user_deleted";
    /// A directory role taken away.
    RoleRemoved = "role_removed";
    /// A directory role that was only eligible taken away.
    EligibleRoleRemoved = "eligible_role_removed";
    /// An authentication method taken away.
    MethodRemoved = "method_removed";
    /// A delegated permission grant taken away.
    GrantRemoved = "grant_removed";
    /// An application role assignment taken away.
    AppAccessRemoved = "app_access_removed";
    /// A member added to a group.
    MemberAdded = "member_added";
    /// A member removed from a group.
    MemberRemoved = "member_removed";
    /// An owner added to a group.
    OwnerAdded = "owner_added";
    /// An owner removed from a group.
    OwnerRemoved = "owner_removed";
    /// A licence given; the object is the SKU.
    LicenceAdded = "licence_added";
    /// A licence released; the object is the SKU.
    LicenceRemoved = "licence_removed";
    /// The automatic reply set.
    AutoReplySet = "auto_reply_set";
    /// An inbox rule removed.
    InboxRuleRemoved = "inbox_rule_removed";
    /// A meeting created.
    MeetingCreated = "meeting_created";
    /// A meeting cancelled: its attendees got mail.
    MeetingCancelled = "meeting_cancelled";
    /// The order to convert a mailbox.
    ConversionOrdered = "conversion_ordered";
    /// The mailbox is of its new type.
    MailboxConverted = "mailbox_converted";
    /// Shown in or hidden from address lists.
    AddressListChanged = "address_list_changed";
    /// Forwarding set or cleared.
    ForwardingChanged = "forwarding_changed";
    /// A litigation hold set.
    HoldSet = "hold_set";
    /// A litigation hold lifted.
    HoldLifted = "hold_lifted";
    /// Another setting of the mailbox.
    MailboxChanged = "mailbox_changed";
    /// Protocols switched.
    ProtocolsChanged = "protocols_changed";
    /// Full access to a mailbox given; subject: its owner, object: the trustee.
    FullAccessGranted = "full_access_granted";
    /// Full access to a mailbox taken; subject: the trustee, object: the mailbox.
    FullAccessRemoved = "full_access_removed";
    /// Send-as given; subject: the mailbox's owner, object: the trustee.
    SendAsGranted = "send_as_granted";
    /// Send-as taken; subject: the trustee, object: the mailbox.
    SendAsRemoved = "send_as_removed";
    /// Send-on-behalf given; subject: the mailbox's owner, object: the trustee.
    SendOnBehalfGranted = "send_on_behalf_granted";
    /// Send-on-behalf taken; subject: the trustee, object: the mailbox.
    SendOnBehalfRemoved = "send_on_behalf_removed";
    /// Access to a calendar taken; subject: the trustee, object: the mailbox.
    CalendarAccessRemoved = "calendar_access_removed";
    /// Access to another folder of a mailbox taken; subject: the trustee, object: the mailbox.
    FolderAccessRemoved = "folder_access_removed";
    /// A wipe of the mail account on a mobile device ordered.
    MobileWipeOrdered = "mobile_wipe_ordered";
    /// A mobile device acknowledged its wipe.
    MobileWiped = "mobile_wiped";
    /// A mobile device's partnership removed.
    MobileRemoved = "mobile_removed";
    /// Somebody became known to a site; subject: the site's owner, object: the newcomer.
    SiteUserAdded = "site_user_added";
    /// Somebody became a site's administrator; subject: its owner, object: the administrator.
    SiteAdminAdded = "site_admin_added";
    /// Somebody is no longer a site's administrator; subject: its owner, object: him.
    SiteAdminRemoved = "site_admin_removed";
    /// Somebody was given a drive's files; subject: its owner, object: him.
    DriveShared = "drive_shared";
    /// The deletion clock of a drive began.
    DriveClockStarted = "drive_clock_started";
    /// A wipe ordered.
    WipeOrdered = "wipe_ordered";
    /// The device erased itself.
    DeviceWiped = "device_wiped";
    /// A retirement ordered.
    RetireOrdered = "retire_ordered";
    /// The device gave up its company data.
    DeviceRetired = "device_retired";
    /// The device's record went away by itself.
    DeviceRecordGone = "device_record_gone";
    /// The device's record was deleted.
    DeviceRecordDeleted = "device_record_deleted";
    /// The Entra device disabled.
    DeviceDisabled = "device_disabled";
    /// The Entra device enabled.
    DeviceEnabled = "device_enabled";
    /// The Entra device deleted.
    DeviceDeleted = "device_deleted";
    /// A device (its record, its object or its enrolment) was given to this person.
    DeviceGiven = "device_given";
    /// A recovery key or local administrator password was read.
    KeyRead = "key_read";
    /// An Autopilot identity's user unassigned.
    AutopilotUnassigned = "autopilot_unassigned";
    /// An Autopilot identity deleted.
    AutopilotDeleted = "autopilot_deleted";
    /// The mailbox was disconnected.
    MailboxLost = "mailbox_lost";
}

/// A kind of harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// The licence of a mailbox went before the mailbox was shared.
    LicenceBeforeConversion,
    /// A mailbox was disconnected because nothing kept it.
    MailboxLost,
    /// A mailbox on hold, or over the size of a free shared one, lost the licence that this needs.
    KeptMailboxUnlicensed,
    /// A person was deleted by a call that was meant for a membership.
    DeletedThroughMembership,
    /// A device that belongs to a person was told to wipe itself.
    PersonalDeviceWiped,
    /// A device was told to wipe itself although it had been told before.
    WipedTwice,
    /// Recovery keys went with their device, unread.
    KeysLost,
    /// A device was disabled of which the management, or else its registration, says that somebody else uses it.
    ColleaguesDeviceDisabled,
    /// A group has no owner although it had one.
    GroupWithoutOwner,
    /// A drive's deletion clock began before anybody else could open it.
    DriveNotHandedOver,
    /// An account that must never be touched was.
    ProtectedAccountTouched,
    /// No enabled Global Administrator is left.
    LastAdministratorGone,
}

impl Harm {
    /// Its name in transcripts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LicenceBeforeConversion => "licence_before_conversion",
            Self::MailboxLost => "mailbox_lost",
            Self::KeptMailboxUnlicensed => "kept_mailbox_unlicensed",
            Self::DeletedThroughMembership => "deleted_through_membership",
            Self::PersonalDeviceWiped => "personal_device_wiped",
            Self::WipedTwice => "wiped_twice",
            Self::KeysLost => "keys_lost",
            Self::ColleaguesDeviceDisabled => "colleagues_device_disabled",
            Self::GroupWithoutOwner => "group_without_owner",
            Self::DriveNotHandedOver => "drive_not_handed_over",
            Self::ProtectedAccountTouched => "protected_account_touched",
            Self::LastAdministratorGone => "last_administrator_gone",
        }
    }
}

/// A harm that truly happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// When, in simulated milliseconds.
    pub at_ms: i64,
    /// In which tenant.
    pub tenant: String,
    /// To whom.
    pub subject: String,
    /// Through which object.
    pub object: String,
    /// What.
    pub harm: Harm,
    /// Who did it.
    pub actor: Actor,
}
