//! What a kind of task is to a worker: how its end state is read, how it is
//! brought about, and when its vendor is merely slow.
//!
//! The table from kinds to procedures is a `match` without a wildcard: a new
//! kind does not compile until it has its row.

use crate::job::{Applied, Job, Seen};
use crate::workspace::Found;
use crate::{apps, desk, device, identity, knowledge, license, mailbox, managed, premises, script, workspace};
use async_trait::async_trait;
use offboard_connectors::Answer;
use offboard_domain::{Facts, Kind, Timestamp};

/// One kind's procedure. It holds no state.
#[async_trait]
pub(crate) trait Procedure: Send + Sync {
    /// Reads what there is, and writes nothing outside (the store of artifacts
    /// is ours).
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen>;

    /// Asks for the wanted state, given what was read. Called only when it was
    /// not read and the assignment allows writes.
    async fn apply(&self, _job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        Ok(Applied::All)
    }

    /// For what is not there yet: whether the vendor is at it, and has only to
    /// be waited for. None: it is to be written (or to be faulted).
    fn wait(&self, _job: &Job<'_>, _seen: &Seen, _when: When) -> Option<Wait> {
        None
    }
}

/// At which point of an attempt waiting is considered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Nothing was written in this attempt yet.
    Before,
    /// It was written just now, and read since.
    After,
    /// Only reading was ordered.
    ObserveOnly,
    /// It is read again in the closing round.
    Closing,
}

/// A vendor that is at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wait {
    /// Look again then.
    pub until: Timestamp,
    /// What is waited for.
    pub why: String,
    /// What to remember until then.
    pub remember: Facts,
}

/// The procedure of a kind; none for what a human does and for the closing
/// round, which reads other tasks.
pub(crate) fn of(kind: Kind) -> Option<&'static dyn Procedure> {
    Some(match kind {
        Kind::Resolve => &identity::resolve::Resolve,
        Kind::SnapshotAccess => &identity::snapshot_access::SnapshotAccess,
        Kind::SnapshotDirectory => &identity::snapshot_directory::SnapshotDirectory,
        Kind::SnapshotMailbox => &mailbox::snapshot::SnapshotMailbox,
        Kind::DiscoverApps => &identity::discover_apps::DiscoverApps,
        Kind::DiscoverDevices => &device::discover::DiscoverDevices,
        Kind::ResolveOnPremises => &premises::resolve::ResolveOnPremises,
        Kind::DisableOnPremises => &premises::disable::DisableOnPremises,
        Kind::ResetPasswordOnPremises => &premises::reset_password::ResetPasswordOnPremises,
        Kind::HideOnPremises => &premises::hide::HideOnPremises,
        Kind::RemoveGroupsOnPremises => &premises::remove_groups::RemoveGroupsOnPremises,
        Kind::DiscoverComputers => &premises::discover_computers::DiscoverComputers,
        Kind::DisableComputer => &premises::disable_computer::DisableComputer,
        Kind::MoveToLeaversUnit => &premises::move_to_leavers_unit::MoveToLeaversUnit,
        Kind::ResolveInApp => &apps::resolve::ResolveInApp,
        Kind::DisableInApp => &apps::disable::DisableInApp,
        Kind::DeleteInApp => &apps::delete::DeleteInApp,
        Kind::ResolveInWorkspace => &workspace::resolve::ResolveInWorkspace,
        Kind::ResetPasswordInWorkspace => &Found(workspace::acknowledged::ResetPassword),
        Kind::SignOutInWorkspace => &Found(workspace::acknowledged::SignOut),
        Kind::DiscoverAppsInWorkspace => &workspace::discover_apps::DiscoverApps,
        Kind::RevokeTokensInWorkspace => &Found(workspace::held::REVOKE_TOKENS),
        Kind::RemoveAppPasswords => &Found(workspace::held::REMOVE_APP_PASSWORDS),
        Kind::RemoveGroupsInWorkspace => &Found(workspace::held::REMOVE_GROUPS),
        Kind::ReleaseInWorkspace => &Found(workspace::held::RELEASE_LICENCES),
        Kind::InvalidateBackupCodes => &Found(workspace::second_factor::InvalidateBackupCodes),
        Kind::TurnOffSecondFactor => &Found(workspace::second_factor::TurnOff),
        Kind::SuspendAtOnce | Kind::SuspendInWorkspace => &Found(workspace::suspend::Suspend),
        Kind::SetReplyInWorkspace => &Found(workspace::mail::SetReply),
        Kind::SetForwardingInWorkspace => &Found(workspace::mail::SetForwarding),
        Kind::GrantMailInWorkspace => &Found(workspace::mail::GrantAccess),
        Kind::TransferFiles => &Found(workspace::transfer_files::TransferFiles),
        Kind::HandOverSharedDrives => &Found(workspace::hand_over_shared_drives::HandOverSharedDrives),
        Kind::DisableLaptops => &Found(workspace::disable_laptops::DisableLaptops),
        Kind::WipeAccount => &Found(workspace::wipe_account::WipeAccount),
        Kind::AwaitSynchronisation => &identity::await_synchronisation::AwaitSynchronisation,
        Kind::RemoveDirectoryRoles => &identity::remove_directory_roles::RemoveDirectoryRoles,
        Kind::DisableSignIn => &identity::disable_sign_in::DisableSignIn,
        Kind::ResetPassword => &identity::reset_password::ResetPassword,
        Kind::RevokeSessions | Kind::RevokeSessionsAgain => &identity::revoke_sessions::RevokeSessions,
        Kind::RemoveAuthMethods => &identity::remove_auth_methods::RemoveAuthMethods,
        Kind::RemoveOauthGrants => &identity::remove_oauth_grants::RemoveOauthGrants,
        Kind::RunScript | Kind::RunIrreversibleScript => &script::RunScript,
        Kind::RemoveAppRoles => &identity::remove_app_roles::RemoveAppRoles,
        Kind::HandOverGroups => &identity::hand_over_groups::HandOverGroups,
        Kind::RemoveGroupOwnerships => &identity::remove_group_ownerships::RemoveGroupOwnerships,
        Kind::RemoveGroupMemberships => &identity::remove_group_memberships::RemoveGroupMemberships,
        Kind::BlockProtocols => &mailbox::block_protocols::BlockProtocols,
        Kind::HoldMailbox => &mailbox::hold::HoldMailbox,
        Kind::HideFromAddressLists => &mailbox::hide_from_address_lists::HideFromAddressLists,
        Kind::SetAutomaticReply => &mailbox::set_automatic_reply::SetAutomaticReply,
        Kind::SetForwarding => &mailbox::set_forwarding::SetForwarding,
        Kind::RemoveInboxRules => &mailbox::remove_inbox_rules::RemoveInboxRules,
        Kind::RemoveDelegations => &mailbox::remove_delegations::RemoveDelegations,
        Kind::RemoveMobilePartnerships => &mailbox::remove_mobile_partnerships::RemoveMobilePartnerships,
        Kind::ArchiveMailbox => &mailbox::archive_mailbox::ArchiveMailbox,
        Kind::HandOverMeetings => &mailbox::hand_over_meetings::HandOverMeetings,
        Kind::CancelMeetings => &mailbox::cancel_meetings::CancelMeetings,
        Kind::ConvertToShared => &mailbox::convert_to_shared::ConvertToShared,
        Kind::GrantSuccessorMailbox => &mailbox::grant_successor_access::GrantSuccessorAccess,
        Kind::HandOverOneDrive => &knowledge::hand_over_onedrive::HandOverOneDrive,
        Kind::WriteNotes => &knowledge::write_notes::WriteNotes,
        Kind::EscrowRecoveryKeys => &device::escrow_recovery_keys::EscrowRecoveryKeys,
        Kind::RetireDevice => &device::retire::RetireDevice,
        Kind::WipeDevice => &device::wipe::WipeDevice,
        Kind::UnassignAutopilot => &device::unassign_autopilot::UnassignAutopilot,
        Kind::DisableDeviceObject => &device::disable_object::DisableDeviceObject,
        Kind::DiscoverTechnicians => &managed::discover_technicians::DiscoverTechnicians,
        Kind::DiscoverManaged => &managed::discover::DiscoverManaged,
        Kind::DiscoverSoftware => &managed::discover_software::DiscoverSoftware,
        Kind::DiscoverConfirmed => &managed::discover_confirmed::DiscoverConfirmed,
        Kind::MarkManaged => &managed::mark::MarkManaged,
        Kind::MaintainManaged => &managed::maintain::MaintainManaged,
        Kind::RunManagedScript => &managed::run_script::RunManagedScript,
        Kind::ClearManagedOwner => &managed::clear_owner::ClearManagedOwner,
        Kind::Decommission => &managed::decommission::Decommission,
        Kind::ReleaseGroupLicenses => &license::release_groups::ReleaseGroupLicenses,
        Kind::ReleaseDirectLicenses => &license::release_direct::ReleaseDirectLicenses,
        Kind::ProvePool => &license::prove_pool::ProvePool,
        Kind::OpenTicket => &desk::open_ticket::OpenTicket,
        Kind::NoteAccess | Kind::NoteDevices | Kind::NoteKnowledge | Kind::NoteLicences => &desk::note::Note,
        Kind::AttachEvidence => &desk::attach_evidence::AttachEvidence,
        Kind::CloseTicket => &desk::close_ticket::CloseTicket,
        Kind::NoteEnding => &desk::note_ending::NoteEnding,
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
        | Kind::Validate
        | Kind::ObserveIdentity
        | Kind::ObserveMailbox
        | Kind::ObserveLicense
        | Kind::ObserveDevice
        | Kind::ObserveKnowledge => return None,
    })
}
