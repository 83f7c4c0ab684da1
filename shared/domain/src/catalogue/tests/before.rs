//! What stands before a kind that changes something: what records what it changes, and
//! what keeps whatever goes with it. Each by itself, since a person may go without what
//! stands between; and for every kind, so that a new one is forgotten in neither.

use super::{ancestors, waits_itself};
use crate::catalogue::{Dep, Kind, license};

/// Where what a kind changes is written down before it changes it.
enum Recorded {
    /// By each of these.
    By(&'static [Kind]),
    /// By its own task alone, for this reason.
    ByItself(&'static str),
    /// It changes nothing of the leaver's.
    Nowhere,
}

fn recorded(kind: Kind) -> Recorded {
    match kind {
        Kind::DisableSignIn | Kind::ResetPassword | Kind::RevokeSessions | Kind::RevokeSessionsAgain => {
            Recorded::ByItself("the burst waits for minutes, and each of it keeps what it reads (decision 31)")
        }
        Kind::RunScript | Kind::RunIrreversibleScript => {
            Recorded::ByItself("nobody knows what it changes; what it says before is kept")
        }
        Kind::RemoveDirectoryRoles | Kind::RemoveAuthMethods => Recorded::By(&[Kind::SnapshotAccess]),
        Kind::RemoveOauthGrants
        | Kind::RemoveAppRoles
        | Kind::HandOverGroups
        | Kind::RemoveGroupOwnerships
        | Kind::RemoveGroupMemberships
        | Kind::HandOverOneDrive
        | Kind::WriteNotes
        | Kind::ReleaseGroupLicenses
        | Kind::ReleaseDirectLicenses => Recorded::By(&[Kind::SnapshotDirectory]),
        Kind::BlockProtocols
        | Kind::HoldMailbox
        | Kind::HideFromAddressLists
        | Kind::SetAutomaticReply
        | Kind::SetForwarding
        | Kind::RemoveInboxRules
        | Kind::RemoveDelegations
        | Kind::RemoveMobilePartnerships
        | Kind::ArchiveMailbox
        | Kind::HandOverMeetings
        | Kind::CancelMeetings
        | Kind::ConvertToShared
        | Kind::GrantSuccessorMailbox => Recorded::By(&[Kind::SnapshotMailbox]),
        Kind::DisableOnPremises
        | Kind::ResetPasswordOnPremises
        | Kind::HideOnPremises
        | Kind::RemoveGroupsOnPremises
        | Kind::MoveToLeaversUnit => Recorded::By(&[Kind::ResolveOnPremises]),
        Kind::DisableComputer => Recorded::By(&[Kind::ResolveOnPremises, Kind::DiscoverComputers]),
        Kind::DisableInApp | Kind::DeleteInApp => Recorded::By(&[Kind::ResolveInApp]),
        Kind::ResetPasswordInWorkspace
        | Kind::SignOutInWorkspace
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
        | Kind::ReleaseInWorkspace => Recorded::By(&[Kind::ResolveInWorkspace]),
        Kind::RetireDevice | Kind::WipeDevice | Kind::UnassignAutopilot | Kind::DisableDeviceObject => {
            Recorded::By(&[Kind::DiscoverDevices])
        }
        Kind::MarkManaged
        | Kind::MaintainManaged
        | Kind::RunManagedScript
        | Kind::ClearManagedOwner
        | Kind::Decommission => Recorded::By(&[Kind::DiscoverManaged]),
        // They read, a person does them, or they tell people.
        Kind::Resolve
        | Kind::SnapshotAccess
        | Kind::SnapshotDirectory
        | Kind::SnapshotMailbox
        | Kind::ResolveOnPremises
        | Kind::ResolveInApp
        | Kind::ResolveInWorkspace
        | Kind::DiscoverDevices
        | Kind::DiscoverComputers
        | Kind::DiscoverTechnicians
        | Kind::DiscoverManaged
        | Kind::DiscoverConfirmed
        | Kind::DiscoverSoftware
        | Kind::DiscoverApps
        | Kind::DiscoverAppsInWorkspace
        | Kind::AwaitSynchronisation
        | Kind::EscrowRecoveryKeys
        | Kind::ProvePool
        | Kind::ApprovePlan
        | Kind::ConfirmDisabledOnPremises
        | Kind::ConfirmSharedOnPremises
        | Kind::RotateSharedCredential
        | Kind::DecideApp
        | Kind::DecideOneDrive
        | Kind::DecidePreservation
        | Kind::ConfirmManagedDevice
        | Kind::EndTechnician
        | Kind::DecideDevice
        | Kind::ConfirmDeviceReturned
        | Kind::HoldKnowledgeSession
        | Kind::ConfirmHandover
        | Kind::Validate
        | Kind::OpenTicket
        | Kind::NoteAccess
        | Kind::NoteDevices
        | Kind::NoteKnowledge
        | Kind::NoteLicences
        | Kind::AttachEvidence
        | Kind::CloseTicket
        | Kind::NoteEnding
        | Kind::ObserveIdentity
        | Kind::ObserveMailbox
        | Kind::ObserveLicense
        | Kind::ObserveDevice
        | Kind::ObserveKnowledge => Recorded::Nowhere,
    }
}

/// No snapshot can be gone without by a person, but what stands between may be: so each
/// kind waits for its own itself.
#[test]
fn whatever_writes_comes_after_the_snapshot_of_what_it_changes() {
    for kind in Kind::ALL.iter().copied() {
        let changes = kind.spec().writes && !kind.is_beside();
        match recorded(kind) {
            Recorded::By(snapshots) => {
                assert!(changes && !snapshots.is_empty(), "{kind}");
                for snapshot in snapshots {
                    assert!(waits_itself(kind, *snapshot), "{kind} may write before {snapshot}");
                }
            }
            Recorded::ByItself(why) => {
                assert!(changes, "{kind}");
                let before = ancestors(kind);
                assert!(before.contains(&Kind::SnapshotAccess), "{kind}: {why}");
            }
            Recorded::Nowhere => assert!(!changes, "{kind} writes unseen"),
        }
    }
}

/// What a person keeps in a cloud with licences, and what of that hangs on them.
const KEEPS: &[Kind] = &[
    Kind::HoldMailbox,
    Kind::ArchiveMailbox,
    Kind::ConvertToShared,
    Kind::GrantSuccessorMailbox,
    Kind::HandOverMeetings,
    Kind::CancelMeetings,
    Kind::RemoveMobilePartnerships,
    Kind::HandOverOneDrive,
    Kind::DecideOneDrive,
    Kind::DecidePreservation,
    Kind::DiscoverDevices,
    Kind::RetireDevice,
    Kind::WipeDevice,
];

/// The same in a workspace. What is in a shared drive is the company's, and hangs on no
/// licence of his.
const KEEPS_IN_WORKSPACE: &[Kind] = &[
    Kind::ArchiveMailbox,
    Kind::SetForwardingInWorkspace,
    Kind::GrantMailInWorkspace,
    Kind::TransferFiles,
    Kind::DecideOneDrive,
    Kind::DecidePreservation,
    Kind::WipeAccount,
    Kind::DisableLaptops,
];

/// What must be kept before a kind, which may take away a licence or the account.
fn lost_with(kind: Kind) -> &'static [Kind] {
    match kind {
        Kind::ReleaseGroupLicenses
        | Kind::ReleaseDirectLicenses
        | Kind::RemoveGroupsOnPremises
        | Kind::MoveToLeaversUnit => KEEPS,
        // A workspace may be an application that deletes an account with its assignment.
        Kind::RemoveGroupsInWorkspace | Kind::ReleaseInWorkspace | Kind::RemoveAppRoles => KEEPS_IN_WORKSPACE,
        // Groups that give licences are left by `license.release_groups`, and those that give
        // applications by `identity.remove_app_roles`.
        Kind::RemoveGroupMemberships | Kind::RemoveGroupOwnerships | Kind::RemoveDirectoryRoles => &[],
        // What it destroys, whoever approves it knows.
        Kind::RunScript | Kind::RunIrreversibleScript => &[],
        // An application's account has none of it.
        Kind::DisableInApp | Kind::DeleteInApp => &[],
        Kind::DisableSignIn
        | Kind::DisableOnPremises
        | Kind::ResetPassword
        | Kind::ResetPasswordOnPremises
        | Kind::RevokeSessions
        | Kind::RevokeSessionsAgain
        | Kind::ResetPasswordInWorkspace
        | Kind::SignOutInWorkspace
        | Kind::RevokeTokensInWorkspace
        | Kind::SuspendAtOnce
        | Kind::RemoveAppPasswords
        | Kind::InvalidateBackupCodes
        | Kind::TurnOffSecondFactor
        | Kind::SetReplyInWorkspace
        | Kind::SetForwardingInWorkspace
        | Kind::GrantMailInWorkspace
        | Kind::SuspendInWorkspace
        | Kind::RemoveAuthMethods
        | Kind::RemoveOauthGrants
        | Kind::HandOverGroups
        | Kind::BlockProtocols
        | Kind::HoldMailbox
        | Kind::HideFromAddressLists
        | Kind::HideOnPremises
        | Kind::SetAutomaticReply
        | Kind::SetForwarding
        | Kind::RemoveInboxRules
        | Kind::RemoveDelegations
        | Kind::RemoveMobilePartnerships
        | Kind::ArchiveMailbox
        | Kind::HandOverMeetings
        | Kind::CancelMeetings
        | Kind::ConvertToShared
        | Kind::GrantSuccessorMailbox
        | Kind::HandOverOneDrive
        | Kind::TransferFiles
        | Kind::HandOverSharedDrives
        | Kind::WriteNotes
        | Kind::WipeAccount
        | Kind::DisableLaptops
        | Kind::RetireDevice
        | Kind::WipeDevice
        | Kind::UnassignAutopilot
        | Kind::DisableDeviceObject
        | Kind::DisableComputer
        | Kind::MarkManaged
        | Kind::MaintainManaged
        | Kind::RunManagedScript
        | Kind::ClearManagedOwner
        | Kind::Decommission => &[],
        // What changes nothing of his takes nothing away.
        other => {
            let changes_nothing = matches!(recorded(other), Recorded::Nowhere);
            assert!(changes_nothing, "{other}: say what must be kept before it");
            &[]
        }
    }
}

/// What keeps something may be gone without while something else still keeps it: so
/// whoever destroys waits for each himself. See
/// `docs/decisions/0041-whoever-releases-waits-for-each-that-keeps.md`.
#[test]
fn whatever_takes_a_licence_away_waits_itself_for_each_that_keeps_what_hangs_on_it() {
    // A device is wiped when somebody has brought it back, and stays in the management
    // until then: nobody keeps his groups on the premises for weeks for that.
    let exceptions = [(Kind::RemoveGroupsOnPremises, Kind::WipeDevice)];
    for kind in Kind::ALL.iter().copied() {
        for keeps in lost_with(kind) {
            let waits = waits_itself(kind, *keeps);
            assert_ne!(waits, exceptions.contains(&(kind, *keeps)), "{kind}, {keeps}");
        }
        // Deleted in the cloud, an account loses its assignment to a workspace as well.
        let both = kind == Kind::MoveToLeaversUnit;
        for keeps in KEEPS_IN_WORKSPACE.iter().filter(|_| both) {
            assert!(waits_itself(kind, *keeps), "{kind}, {keeps}");
        }
        // A hold that is set is in force an hour later.
        let held = |d: &&Dep| d.kind == Kind::HoldMailbox && d.delay_ms >= license::HOLD_TAKES_EFFECT_MS;
        let waits_for_hold = lost_with(kind).contains(&Kind::HoldMailbox);
        assert_eq!(kind.spec().after.iter().any(|d| held(&d)), waits_for_hold, "{kind}");
    }
}
