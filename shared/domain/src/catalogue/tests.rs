mod before;

use super::*;
use crate::heir::{BY_A_WORKSPACE, BY_THE_DIRECTORY};
use crate::{Facts, Verdict};
use std::collections::BTreeSet;

#[test]
fn names_are_unique_and_say_their_area() {
    let mut seen = BTreeSet::new();
    for kind in Kind::ALL {
        let spec = kind.spec();
        assert!(seen.insert(spec.name), "{} twice", spec.name);
        let (area, verb) = spec.name.split_once('.').expect("area.verb_object");
        assert_eq!(area, spec.area.word(), "{}", spec.name);
        assert!(!verb.is_empty());
        assert!(!spec.title.is_empty());
        assert_eq!(Kind::named(spec.name), Some(*kind));
    }
}

/// Everything that a kind waits for, directly or through others, if only for a while.
fn ancestors(kind: Kind) -> BTreeSet<Kind> {
    let mut all = BTreeSet::new();
    let mut todo = vec![kind];
    while let Some(k) = todo.pop() {
        for dep in k.spec().after {
            if all.insert(dep.kind) {
                todo.push(dep.kind);
            }
            if dep.with_finds {
                for found in dep.kind.spec().finds {
                    if all.insert(*found) {
                        todo.push(*found);
                    }
                }
            }
        }
    }
    all
}

/// Else nobody would look for another worker, and his word would end the task, or be held
/// against him as a false claim.
#[test]
fn an_older_rules_word_is_told_from_what_ends_the_kind_now_and_from_what_was_read_in_full() {
    let none = Facts::new();
    let mut rules = 0;
    for kind in Kind::ALL {
        let spec = kind.spec();
        for rule in spec.older_rules {
            let mut said = Facts::new();
            rule.says.arrange(true, &none, 0, &mut said);
            let verdict = crate::judge::judge(*kind, &none, &said, None);
            assert!(matches!(verdict, Verdict::Unsatisfied(_)), "{kind}: {verdict:?}");
            let told = spec.older_rule(&said, &none).map(|r| r.lacks);
            assert_eq!(told, Some(rule.lacks), "{kind}");
            // Something was found there: no older worker has looked.
            said.set(rule.unread, vec!["one".to_owned()]);
            assert!(spec.older_rule(&said, &none).is_none(), "{kind}");
            rules += 1;
        }
    }
    assert!(rules > 0, "nothing was looked at");
}

#[test]
fn no_kind_waits_for_itself() {
    for kind in Kind::ALL {
        assert!(!ancestors(*kind).contains(kind), "{kind} waits for itself");
    }
}

/// Whether it is waited for until it was settled, whatever goes wrong with it.
fn holds(dep: &Dep) -> bool {
    let settled = matches!(dep.until, Until::Settled | Until::SettledOnce);
    settled && dep.at_most_ms.is_none() && !dep.unless_at_once && dep.with_param.is_none()
}

/// Everything that must have been settled before a kind begins.
fn settled_before(kind: Kind) -> BTreeSet<Kind> {
    let mut all = BTreeSet::new();
    let mut todo = vec![kind];
    while let Some(k) = todo.pop() {
        for dep in k.spec().after.iter().filter(|d| holds(d)) {
            let finds = dep.kind.spec().finds.iter().filter(|_| dep.with_finds);
            for before in std::iter::once(&dep.kind).chain(finds) {
                if all.insert(*before) {
                    todo.push(*before);
                }
            }
        }
    }
    all
}

/// Whether it waits for it itself, and not only through what a person may go without.
fn waits_itself(kind: Kind, earlier: Kind) -> bool {
    kind.spec().after.iter().any(|d| d.kind == earlier && holds(d))
}

#[test]
fn the_manager_validates_last() {
    let before = ancestors(Kind::Validate);
    for kind in Kind::ALL {
        if *kind != Kind::Validate && kind.spec().wanted != Wanted::ClosingRound && !kind.is_beside() {
            assert!(before.contains(kind), "validation does not wait for {kind}");
        }
    }
}

#[test]
fn each_hazard_of_the_playbook_is_an_order() {
    let hazards: &[(Kind, Kind, &str)] = &[
        (
            Kind::RemoveGroupsOnPremises,
            Kind::ConvertToShared,
            "a group on the premises may give the licence that the mailbox hangs on",
        ),
        (
            Kind::RemoveGroupsOnPremises,
            Kind::ArchiveMailbox,
            "a group on the premises may give the licence that the mailbox hangs on",
        ),
        (
            Kind::MoveToLeaversUnit,
            Kind::AwaitSynchronisation,
            "an account that leaves what is synchronised is deleted in the cloud",
        ),
        (
            Kind::MoveToLeaversUnit,
            Kind::ReleaseDirectLicenses,
            "an account that leaves what is synchronised is deleted in the cloud",
        ),
        (
            Kind::MoveToLeaversUnit,
            Kind::HandOverOneDrive,
            "an account that leaves what is synchronised is deleted in the cloud",
        ),
        (
            Kind::MoveToLeaversUnit,
            Kind::DecidePreservation,
            "an account that leaves what is synchronised is deleted in the cloud",
        ),
        (
            Kind::MoveToLeaversUnit,
            Kind::HoldMailbox,
            "an account that leaves what is synchronised is deleted in the cloud",
        ),
        (
            Kind::MoveToLeaversUnit,
            Kind::ArchiveMailbox,
            "an account that leaves what is synchronised is deleted in the cloud",
        ),
        (
            Kind::MoveToLeaversUnit,
            Kind::RemoveAppRoles,
            "what is deleted in the cloud has no assignments that could be read",
        ),
        (
            Kind::MoveToLeaversUnit,
            Kind::TransferFiles,
            "a workspace may delete an account with its assignment, which goes with the cloud's account",
        ),
        (
            Kind::MoveToLeaversUnit,
            Kind::HandOverSharedDrives,
            "a workspace may delete an account with its assignment, which goes with the cloud's account",
        ),
        (
            Kind::RunIrreversibleScript,
            Kind::DecidePreservation,
            "nobody knows what a program destroys",
        ),
        (
            Kind::DisableSignIn,
            Kind::RemoveDirectoryRoles,
            "a privileged account refuses to be disabled",
        ),
        (
            Kind::RunScript,
            Kind::DisableSignIn,
            "what a program takes away, a sign-in could bring back",
        ),
        (
            Kind::RunScript,
            Kind::DisableOnPremises,
            "what a program takes away, a sign-in could bring back",
        ),
        (
            Kind::RunScript,
            Kind::SuspendAtOnce,
            "what a program takes away, a sign-in could bring back",
        ),
        (
            Kind::RunScript,
            Kind::SuspendInWorkspace,
            "what a program takes away, a sign-in could bring back",
        ),
        (
            Kind::RunIrreversibleScript,
            Kind::SuspendAtOnce,
            "what a program takes away, a sign-in could bring back",
        ),
        (
            Kind::RunIrreversibleScript,
            Kind::SuspendInWorkspace,
            "what a program takes away, a sign-in could bring back",
        ),
        (
            Kind::RunManagedScript,
            Kind::SuspendAtOnce,
            "what a script takes away, a sign-in could bring back",
        ),
        (
            Kind::RunManagedScript,
            Kind::SuspendInWorkspace,
            "what a script takes away, a sign-in could bring back",
        ),
        (
            Kind::RevokeSessions,
            Kind::DisableSignIn,
            "a session could be minted again",
        ),
        (
            Kind::RevokeSessions,
            Kind::ResetPassword,
            "a session could be minted again",
        ),
        (
            Kind::RemoveAuthMethods,
            Kind::RevokeSessions,
            "methods go after the burst",
        ),
        (
            Kind::BlockProtocols,
            Kind::DisableSignIn,
            "whoever can still sign in goes on over a protocol that was open a moment ago",
        ),
        (
            Kind::BlockProtocols,
            Kind::RevokeSessions,
            "a session that a mail protocol has kept outlives the protocol's end",
        ),
        (
            Kind::RemoveAppRoles,
            Kind::DisableSignIn,
            "it takes its time, and so access is cut without it",
        ),
        (
            Kind::RemoveAppRoles,
            Kind::RevokeSessions,
            "it takes its time, and so access is cut without it",
        ),
        (
            Kind::RemoveAppRoles,
            Kind::ConfirmHandover,
            "some applications delete the account, and what is in it, with its assignment",
        ),
        (
            Kind::RemoveAppRoles,
            Kind::DecideApp,
            "some applications delete the account, and what is in it, with its assignment",
        ),
        (
            Kind::RemoveAppRoles,
            Kind::DisableInApp,
            "an account that the directory deleted is ended by nobody and proven by nothing",
        ),
        (
            Kind::RemoveAppRoles,
            Kind::TransferFiles,
            "a workspace may be such an application, and his files go with the account",
        ),
        (
            Kind::RemoveAppRoles,
            Kind::DecidePreservation,
            "what another request wants kept would be lost",
        ),
        (
            Kind::ConvertToShared,
            Kind::RetireDevice,
            "phones cannot be wiped after the conversion",
        ),
        (
            Kind::ConvertToShared,
            Kind::RemoveMobilePartnerships,
            "phones cannot be wiped after the conversion",
        ),
        (Kind::ConvertToShared, Kind::HoldMailbox, "a hold needs the licence"),
        (
            Kind::ConvertToShared,
            Kind::DisableSignIn,
            "whoever can still sign in would write to a mailbox of nobody's",
        ),
        (
            Kind::GrantSuccessorMailbox,
            Kind::ConvertToShared,
            "what is written during a conversion may be lost",
        ),
        (
            Kind::GrantSuccessorMailbox,
            Kind::RemoveDelegations,
            "the successor's access would be removed",
        ),
        (
            Kind::SetForwarding,
            Kind::SnapshotDirectory,
            "who takes over may be another one",
        ),
        (
            Kind::GrantSuccessorMailbox,
            Kind::SnapshotDirectory,
            "who takes over may be another one",
        ),
        (
            Kind::HandOverMeetings,
            Kind::SnapshotDirectory,
            "who takes over may be another one",
        ),
        (
            Kind::HandOverGroups,
            Kind::SnapshotDirectory,
            "who takes over may be another one",
        ),
        (
            Kind::HandOverOneDrive,
            Kind::SnapshotDirectory,
            "who takes over may be another one",
        ),
        (
            Kind::ReleaseDirectLicenses,
            Kind::ConvertToShared,
            "the mailbox would be lost",
        ),
        (
            Kind::ReleaseGroupLicenses,
            Kind::ConvertToShared,
            "the mailbox would be lost",
        ),
        (
            Kind::ReleaseDirectLicenses,
            Kind::HandOverOneDrive,
            "the OneDrive's clock starts",
        ),
        (
            Kind::ReleaseGroupLicenses,
            Kind::HandOverOneDrive,
            "the OneDrive's clock starts",
        ),
        (
            Kind::ReleaseDirectLicenses,
            Kind::DecideOneDrive,
            "the OneDrive's clock starts",
        ),
        (
            Kind::ReleaseDirectLicenses,
            Kind::HoldMailbox,
            "a hold needs the licence",
        ),
        (
            Kind::ReleaseDirectLicenses,
            Kind::ReleaseGroupLicenses,
            "inherited licences cannot be taken",
        ),
        (
            Kind::RemoveGroupOwnerships,
            Kind::HandOverGroups,
            "a group would have no owner",
        ),
        (
            Kind::RemoveGroupMemberships,
            Kind::HandOverGroups,
            "a group would have no owner",
        ),
        (Kind::WipeDevice, Kind::EscrowRecoveryKeys, "keys die with the device"),
        (
            Kind::RotateSharedCredential,
            Kind::DisableSignIn,
            "whoever still signs in reads the new one where the others read it",
        ),
        (
            Kind::RotateSharedCredential,
            Kind::DisableInApp,
            "an application may be where the new one is kept",
        ),
        (
            Kind::RotateSharedCredential,
            Kind::RevokeSessions,
            "a session that lives reads on",
        ),
        (
            Kind::DiscoverApps,
            Kind::SnapshotDirectory,
            "what he had is what was written down before any of it went",
        ),
        (
            Kind::RevokeTokensInWorkspace,
            Kind::DiscoverAppsInWorkspace,
            "a token that is revoked is listed no more",
        ),
        (
            Kind::DecideApp,
            Kind::DisableSignIn,
            "whoever still signs in has his account made anew",
        ),
        (
            Kind::WipeDevice,
            Kind::ConfirmDeviceReturned,
            "local data must be safe first",
        ),
        (
            Kind::UnassignAutopilot,
            Kind::WipeDevice,
            "the wipe does not remove it, and needs it no more",
        ),
        (
            Kind::DisableDeviceObject,
            Kind::WipeDevice,
            "a disabled object cannot be told to wipe",
        ),
        (
            Kind::DisableDeviceObject,
            Kind::EscrowRecoveryKeys,
            "keys die with the device object",
        ),
        (
            Kind::DisableDeviceObject,
            Kind::RetireDevice,
            "a disabled object cannot be told to retire",
        ),
        (
            Kind::RetireDevice,
            Kind::EscrowRecoveryKeys,
            "keys die with the device object",
        ),
        (
            Kind::RunManagedScript,
            Kind::ConfirmDeviceReturned,
            "a script may wipe, and local data must be safe first",
        ),
        (
            Kind::ClearManagedOwner,
            Kind::WipeDevice,
            "whose it was must be seen until the wipe is proven",
        ),
        (
            Kind::ClearManagedOwner,
            Kind::RunManagedScript,
            "no script runs on what is nobody's any more",
        ),
        (
            Kind::CancelMeetings,
            Kind::HandOverMeetings,
            "attendees would be without either",
        ),
        (
            Kind::HandOverMeetings,
            Kind::ConvertToShared,
            "what is written during a conversion may be lost",
        ),
        (
            Kind::CancelMeetings,
            Kind::ConvertToShared,
            "what is written during a conversion may be lost",
        ),
        (
            Kind::ArchiveMailbox,
            Kind::RevokeSessions,
            "whoever can still write or delete would change what is kept",
        ),
        (
            Kind::ConvertToShared,
            Kind::ArchiveMailbox,
            "what a conversion loses is in no archive",
        ),
        (
            Kind::ReleaseGroupLicenses,
            Kind::ArchiveMailbox,
            "the mailbox would be lost",
        ),
        (
            Kind::ReleaseDirectLicenses,
            Kind::ArchiveMailbox,
            "the mailbox would be lost",
        ),
        (
            Kind::ConvertToShared,
            Kind::DecidePreservation,
            "a hold that another request wants needs the licence",
        ),
        (
            Kind::ReleaseDirectLicenses,
            Kind::DecidePreservation,
            "what another request wants kept would be lost",
        ),
        (
            Kind::ReleaseGroupLicenses,
            Kind::DecidePreservation,
            "what another request wants kept would be lost",
        ),
        (
            Kind::RemoveGroupsOnPremises,
            Kind::DecidePreservation,
            "a group may give the licence that a hold needs",
        ),
        (
            Kind::RemoveGroupsInWorkspace,
            Kind::DecidePreservation,
            "a group may give the licence that what is wanted hangs on",
        ),
        (
            Kind::ReleaseInWorkspace,
            Kind::DecidePreservation,
            "what another request wants kept would be lost",
        ),
        (
            Kind::WipeDevice,
            Kind::DecidePreservation,
            "another request wants the device as it is",
        ),
        (
            Kind::SignOutInWorkspace,
            Kind::ResetPasswordInWorkspace,
            "a session could be begun again",
        ),
        (
            Kind::SuspendAtOnce,
            Kind::ResetPasswordInWorkspace,
            "who opens the account again finds a password that nobody knows",
        ),
        (
            Kind::SuspendInWorkspace,
            Kind::TurnOffSecondFactor,
            "only an open account's second factor can be turned off",
        ),
        (
            Kind::SuspendInWorkspace,
            Kind::InvalidateBackupCodes,
            "only an open account's codes can be invalidated",
        ),
        (
            Kind::SuspendInWorkspace,
            Kind::GrantMailInWorkspace,
            "a suspended account's mail settings can be changed by nobody",
        ),
        (
            Kind::SuspendInWorkspace,
            Kind::SetReplyInWorkspace,
            "a suspended account's mail settings can be changed by nobody",
        ),
        (
            Kind::SuspendInWorkspace,
            Kind::SetForwardingInWorkspace,
            "a suspended account's mail settings can be changed by nobody",
        ),
        (
            Kind::SuspendInWorkspace,
            Kind::ArchiveMailbox,
            "nobody is given a token for a suspended account's mailbox",
        ),
        (
            Kind::RemoveGroupsInWorkspace,
            Kind::TransferFiles,
            "a group may give the licence that the files hang on",
        ),
        (
            Kind::RemoveGroupsInWorkspace,
            Kind::ArchiveMailbox,
            "a group may give the licence that the mailbox hangs on",
        ),
        (
            Kind::RemoveGroupsInWorkspace,
            Kind::SetForwardingInWorkspace,
            "a group may give the licence that the mailbox hangs on",
        ),
        (
            Kind::RemoveGroupsInWorkspace,
            Kind::GrantMailInWorkspace,
            "a group may give the licence that the mailbox hangs on",
        ),
        (
            Kind::RemoveGroupsInWorkspace,
            Kind::WipeAccount,
            "a group may give the licence that phones are managed by",
        ),
        (
            Kind::RemoveGroupsInWorkspace,
            Kind::DisableLaptops,
            "a group may give the licence that laptops are managed by",
        ),
        (Kind::ReleaseInWorkspace, Kind::TransferFiles, "the files would be lost"),
        (
            Kind::ClearManagedOwner,
            Kind::DecideDevice,
            "whoever decides must see whose it was",
        ),
        (
            Kind::ReleaseInWorkspace,
            Kind::GrantMailInWorkspace,
            "the mailbox would be lost",
        ),
        (
            Kind::ApprovePlan,
            Kind::DiscoverDevices,
            "an approval covers what it lists",
        ),
        (
            Kind::DiscoverManaged,
            Kind::DiscoverDevices,
            "what the device management can wipe must be known to say what it cannot",
        ),
        (
            Kind::DiscoverComputers,
            Kind::DiscoverDevices,
            "the cloud alone knows by which ids computers are looked for",
        ),
        (
            Kind::DisableComputer,
            Kind::DiscoverComputers,
            "what was found is what was approved",
        ),
        (
            Kind::DisableComputer,
            Kind::WipeDevice,
            "what may not sign in any more may not hear that it is to be wiped",
        ),
        (
            Kind::DisableComputer,
            Kind::EscrowRecoveryKeys,
            "who needs the key of its disk must still be able to read it",
        ),
        (
            Kind::MoveToLeaversUnit,
            Kind::DiscoverComputers,
            "an account that leaves what is synchronised is deleted in the cloud",
        ),
        (
            Kind::RunManagedScript,
            Kind::EscrowRecoveryKeys,
            "a script may wipe, and keys die with the device",
        ),
        (
            Kind::RunManagedScript,
            Kind::DecideDevice,
            "a person decides before what cannot be undone",
        ),
        (
            Kind::Decommission,
            Kind::DiscoverSoftware,
            "without the agent nobody reads what was installed",
        ),
        (
            Kind::Decommission,
            Kind::WipeDevice,
            "without the agent nobody sees what becomes of the device",
        ),
        (
            Kind::Decommission,
            Kind::RunManagedScript,
            "without the agent no script runs",
        ),
        (
            Kind::Decommission,
            Kind::ClearManagedOwner,
            "a record that is gone cannot be changed",
        ),
    ];
    for (later, earlier, why) in hazards {
        let excepted = EXCEPTIONS.iter().any(|(l, e, _)| (l, e) == (later, earlier));
        let before = if excepted {
            ancestors(*later)
        } else {
            settled_before(*later)
        };
        assert!(before.contains(earlier), "{later} must wait for {earlier}: {why}");
    }
    for (later, earlier, why) in EXCEPTIONS {
        let is_hazard = hazards.iter().any(|(l, e, _)| (l, e) == (later, earlier));
        assert!(is_hazard, "{later} is no hazard before {earlier}: {why}");
        assert!(
            !settled_before(*later).contains(earlier),
            "{later} waits for {earlier} after all: {why}"
        );
    }
}

/// What goes ahead all the same: when a person is to see to the earlier one, when it has
/// failed for some time, or when it does not matter in this case; and why that is better.
const EXCEPTIONS: &[(Kind, Kind, &str)] = &[
    (
        Kind::DisableSignIn,
        Kind::RemoveDirectoryRoles,
        "access does not stay open for roles; a refusal for their sake is tried again (decision 31)",
    ),
    (
        Kind::RevokeSessions,
        Kind::DisableSignIn,
        "sessions do not live on for what a person must do, and are revoked once more then (decision 23)",
    ),
    (
        Kind::RevokeSessions,
        Kind::ResetPassword,
        "sessions do not live on for what a person must do, and are revoked once more then (decision 23)",
    ),
    (
        Kind::SetForwarding,
        Kind::SnapshotDirectory,
        "what only takes a forwarding away gives nobody anything (decision 36)",
    ),
    (
        Kind::RotateSharedCredential,
        Kind::DisableInApp,
        "others still sign in with it while a person sees to an application (decision 29)",
    ),
    (
        Kind::RotateSharedCredential,
        Kind::RevokeSessions,
        "others still sign in with it while a person sees to sessions (decision 29)",
    ),
    (
        Kind::RevokeTokensInWorkspace,
        Kind::DiscoverAppsInWorkspace,
        "tokens live for a list of them for minutes; whoever revokes them notes them too (decision 38)",
    ),
    (
        Kind::DecideApp,
        Kind::DisableSignIn,
        "a person may look at applications while another one sees to the sign-in (decision 38)",
    ),
    (
        Kind::SignOutInWorkspace,
        Kind::ResetPasswordInWorkspace,
        "sessions do not live on until a person has seen to the password (decision 27)",
    ),
    (
        Kind::SuspendAtOnce,
        Kind::ResetPasswordInWorkspace,
        "nothing that fails holds a suspension back (decision 27)",
    ),
    (
        Kind::SuspendInWorkspace,
        Kind::TurnOffSecondFactor,
        "nothing that fails holds a suspension back (decision 27)",
    ),
    (
        Kind::SuspendInWorkspace,
        Kind::InvalidateBackupCodes,
        "nothing that fails holds a suspension back (decision 27)",
    ),
    (
        Kind::SuspendInWorkspace,
        Kind::GrantMailInWorkspace,
        "nothing that fails holds a suspension back (decision 27)",
    ),
    (
        Kind::SuspendInWorkspace,
        Kind::SetReplyInWorkspace,
        "nothing that fails holds a suspension back (decision 27)",
    ),
    (
        Kind::SuspendInWorkspace,
        Kind::SetForwardingInWorkspace,
        "nothing that fails holds a suspension back (decision 27)",
    ),
    (
        Kind::SuspendInWorkspace,
        Kind::ArchiveMailbox,
        "who is to go at once after all is suspended at once, and an archive of another server's mailbox is none of the workspace's (decision 64)",
    ),
    (
        Kind::ApprovePlan,
        Kind::DiscoverDevices,
        "a permission that is missing keeps no planned leaver signed in; what is found later asks again (decision 41)",
    ),
    (
        Kind::Decommission,
        Kind::DiscoverSoftware,
        "a management that lists no software keeps its agents for no better list (decision 38)",
    ),
];

/// See `docs/decisions/0054-order-by-device.md`. Whatever is not here waits for all.
#[test]
fn what_is_done_to_a_device_waits_for_that_device_alone() {
    let by_device: &[(Kind, &[Kind])] = &[
        (
            Kind::DisableComputer,
            &[Kind::EscrowRecoveryKeys, Kind::WipeDevice, Kind::RetireDevice],
        ),
        (Kind::DiscoverConfirmed, &[Kind::ConfirmManagedDevice]),
        (Kind::DecideDevice, &[Kind::DiscoverConfirmed]),
        (Kind::RetireDevice, &[Kind::EscrowRecoveryKeys]),
        (
            Kind::WipeDevice,
            &[Kind::EscrowRecoveryKeys, Kind::ConfirmDeviceReturned],
        ),
        (Kind::UnassignAutopilot, &[Kind::WipeDevice]),
        (
            Kind::DisableDeviceObject,
            &[
                Kind::EscrowRecoveryKeys,
                Kind::WipeDevice,
                Kind::RetireDevice,
                Kind::UnassignAutopilot,
            ],
        ),
        (
            Kind::RunManagedScript,
            &[
                Kind::DiscoverConfirmed,
                Kind::DecideDevice,
                Kind::EscrowRecoveryKeys,
                Kind::ConfirmDeviceReturned,
                Kind::MarkManaged,
            ],
        ),
        (
            Kind::ClearManagedOwner,
            &[
                Kind::DiscoverConfirmed,
                Kind::DecideDevice,
                Kind::ConfirmDeviceReturned,
                Kind::WipeDevice,
                Kind::MarkManaged,
                Kind::RunManagedScript,
            ],
        ),
        (
            Kind::Decommission,
            &[
                Kind::DiscoverConfirmed,
                Kind::DecideDevice,
                Kind::ConfirmDeviceReturned,
                Kind::WipeDevice,
                Kind::MarkManaged,
                Kind::MaintainManaged,
                Kind::RunManagedScript,
                Kind::ClearManagedOwner,
            ],
        ),
    ];
    for kind in Kind::ALL.iter().copied() {
        let listed = by_device.iter().find(|(k, _)| *k == kind).map(|(_, earlier)| *earlier);
        let deps = || kind.spec().after.iter().filter(|d| d.same_device);
        let kinds: BTreeSet<Kind> = deps().map(|d| d.kind).collect();
        assert_eq!(kinds, listed.unwrap_or_default().iter().copied().collect(), "{kind}");
        // It is counted by device whether it is settled, and nothing else is.
        for dep in deps() {
            let plain = holds(dep) && dep.until == Until::Settled && dep.delay_ms == 0;
            let finds = dep.with_finds && !dep.kind.spec().finds.is_empty();
            assert!(plain && !finds, "{kind} and {}", dep.kind);
            // One task for each device is had of kinds that are found.
            assert_eq!(dep.kind.spec().wanted, Wanted::Found, "{}", dep.kind);
        }
    }
}

#[test]
fn one_mailbox_is_written_by_one_task_at_a_time() {
    let writers = || {
        Kind::ALL
            .iter()
            .copied()
            .filter(|k| k.spec().area == Area::Mailbox && k.spec().writes)
    };
    assert!(writers().count() > 10);
    // A workspace's mailbox is another one.
    let same = |one: Kind, other: Kind| workspace::KINDS.contains(&one) == workspace::KINDS.contains(&other);
    for one in writers() {
        for other in writers().filter(|other| same(one, *other)) {
            assert!(one.spec().conflicts.contains(&other), "{one} may run beside {other}");
        }
    }
}

/// See `docs/decisions/0024-a-workspace-is-closed-from-the-inside.md`.
#[test]
fn an_immediate_suspension_waits_for_no_mail_and_no_second_factor() {
    let before = ancestors(Kind::SuspendAtOnce);
    let waits: Vec<Kind> = workspace::KINDS
        .iter()
        .copied()
        .filter(|k| before.contains(k))
        .collect();
    let quick = [Kind::ResolveInWorkspace, Kind::ResetPasswordInWorkspace];
    assert_eq!(waits, quick);
    // Neither suspension waits for a person, nor for files, nor for a vendor that
    // keeps failing; but a planned one does for an archive of the same mailbox (decision 64).
    let ends = |d: &Dep| d.until == Until::TriedOnce || d.at_most_ms.is_some();
    for kind in [Kind::SuspendAtOnce, Kind::SuspendInWorkspace] {
        let deps = kind.spec().after.iter().filter(|d| d.kind != Kind::ResolveInWorkspace);
        let (archives, others): (Vec<&Dep>, Vec<&Dep>) = deps.partition(|d| d.kind == Kind::ArchiveMailbox);
        assert!(others.iter().all(|d| ends(d) && d.until != Until::Settled), "{kind}");
        assert_eq!(archives.len(), usize::from(kind == Kind::SuspendInWorkspace), "{kind}");
        assert!(archives.iter().all(|d| d.workspace_mail && d.unless_at_once), "{kind}");
        assert!(!ancestors(kind).contains(&Kind::TransferFiles), "{kind}");
    }
}

/// See `docs/decisions/0039-a-hybrid-joined-device-is-disabled-in-its-domain.md`.
#[test]
fn no_task_of_the_cloud_waits_for_who_looks_for_computers_on_the_premises() {
    for kind in Kind::ALL.iter().copied() {
        let before = ancestors(kind);
        let waits = before.contains(&Kind::DiscoverComputers) || before.contains(&Kind::DisableComputer);
        let last = kind == Kind::Validate || before.contains(&Kind::Validate);
        let may = last || premises::KINDS.contains(&kind) && kind != Kind::AwaitSynchronisation;
        assert!(may || !waits, "{kind} waits for a site");
    }
}

/// See `docs/decisions/0038-applications-that-nobody-planned-for.md`.
#[test]
fn nothing_that_cuts_access_waits_for_applications_to_be_looked_up() {
    let groups = [Kind::RemoveGroupOwnerships, Kind::RemoveGroupMemberships];
    let machines = |k: &&Kind| k.spec().cuts_access() || groups.contains(k);
    for kind in Kind::ALL.iter().filter(machines) {
        let mut todo = vec![*kind];
        let mut seen = BTreeSet::new();
        while let Some(k) = todo.pop() {
            for dep in k.spec().after.iter().filter(|d| seen.insert(d.kind)) {
                assert!(![Kind::DiscoverApps, Kind::DecideApp].contains(&dep.kind), "{kind}");
                // Minutes at the most, for what is listed only while it is there.
                let ends = dep.until == Until::TriedOnce && dep.at_most_ms.is_some() && !dep.with_finds;
                assert!(dep.kind != Kind::DiscoverAppsInWorkspace || ends, "{kind}");
                todo.push(dep.kind);
            }
        }
        assert!(!kind.spec().conflicts.contains(&Kind::DiscoverApps), "{kind}");
    }
}

/// See `docs/decisions/0076-a-technicians-login-waits-for-no-devices.md`.
#[test]
fn a_technicians_login_is_asked_for_whatever_becomes_of_devices() {
    assert_eq!(ancestors(Kind::DiscoverTechnicians), [Kind::Resolve].into());
    assert_eq!(ancestors(Kind::EndTechnician), BTreeSet::new());
    assert!(Kind::DiscoverTechnicians.spec().finds.contains(&Kind::EndTechnician));
}

/// See `docs/decisions/0028-the-desk-goes-on-beside-the-case.md`.
#[test]
fn nothing_but_the_desk_waits_for_the_desk() {
    for kind in Kind::ALL.iter().copied() {
        let of_the_desk = desk::KINDS.contains(&kind);
        assert_eq!(kind.is_beside(), of_the_desk, "{kind}");
        assert_eq!(kind.spec().area == Area::Desk, of_the_desk, "{kind}");
        let waits = ancestors(kind).into_iter().any(Kind::is_beside);
        assert!(of_the_desk || !waits, "{kind} waits for the desk");
        let rivals = kind.spec().conflicts.iter().any(|k| k.is_beside());
        assert!(!rivals && (!of_the_desk || kind.spec().conflicts.is_empty()), "{kind}");
        // Nor does what it read and did bear on the account's proof.
        assert!(!of_the_desk || !kind.spec().cuts_access(), "{kind}");
        let kept = matches!(kind.spec().closing, ClosingProof::Receipt(_));
        assert!(!of_the_desk || kept, "{kind} would be read again at closing");
    }
}

#[test]
fn a_ticket_is_closed_last_and_after_the_manager_s_word() {
    let before = ancestors(Kind::CloseTicket);
    // What a case is told that ends without a departure is in none that has one.
    let told = desk::KINDS.iter().filter(|k| k.spec().closes != Closes::Instead);
    for kind in told.filter(|k| **k != Kind::CloseTicket) {
        assert!(before.contains(kind), "a closed ticket takes no more: {kind}");
    }
    assert!(before.contains(&Kind::Validate));
    assert_eq!(Kind::CloseTicket.spec().closes, Closes::After);
    assert_eq!(Kind::AttachEvidence.spec().closes, Closes::After);
}

#[test]
fn what_must_not_happen_twice_is_declared_once() {
    for kind in Kind::ALL.iter().filter(|k| !k.spec().convergent) {
        assert!(!kind.spec().reversible, "{kind}: a once kind is irreversible");
        // Who only tells people changes nothing of the leaver's.
        if desk::KINDS.contains(kind) {
            assert_eq!(kind.spec().approval, Approval::None, "{kind}");
            continue;
        }
        assert_eq!(
            kind.spec().approval,
            Approval::Own,
            "{kind}: a once kind asks by itself"
        );
    }
}

#[test]
fn attempts_end_before_a_brokers_patience() {
    const SHORTEST_CONSUMER_TIMEOUT_MS: i64 = 30 * 60 * 1_000;
    for kind in Kind::ALL {
        assert!(kind.spec().run_for_ms < SHORTEST_CONSUMER_TIMEOUT_MS / 2, "{kind}");
        assert!(kind.spec().attempts > 0, "{kind}");
    }
}

/// See `docs/decisions/0012-what-a-plans-approval-covers.md`.
#[test]
fn irreversible_kinds_ask_for_themselves_but_for_what_can_be_set_up_again() {
    let by_plan: Vec<Kind> = Kind::ALL
        .iter()
        .copied()
        .filter(|k| !k.spec().reversible && k.spec().approval != Approval::Own)
        // They tell people, and change nothing of the leaver's.
        .filter(|k| !desk::KINDS.contains(k))
        .collect();
    let set_up_again = [
        Kind::RemoveAppPasswords,
        Kind::InvalidateBackupCodes,
        Kind::TurnOffSecondFactor,
        Kind::RemoveAuthMethods,
        Kind::RemoveMobilePartnerships,
        Kind::RetireDevice,
        Kind::WipeAccount,
    ];
    assert_eq!(by_plan, set_up_again);
}

#[test]
fn forwarding_without_a_copy_is_not_what_was_asked_for() {
    let wanted = &Kind::SetForwarding.spec().judge.satisfied;
    let params = Facts::new().with("forward_to_id", "boss");
    let seen = |keeps_copy: bool| {
        Facts::new()
            .with("forwarding", true)
            .with("forwards_to_id", "boss")
            .with("keeps_copy", keeps_copy)
    };
    assert!(wanted.holds(&seen(true), &params, None));
    assert!(!wanted.holds(&seen(false), &params, None));
}

#[test]
fn a_successor_who_has_left_himself_has_nothing_of_the_leavers() {
    let params = Facts::new().with("successor_id", "boss");
    for (kind, given) in [
        (Kind::HandOverOneDrive, &["successor_is_admin"][..]),
        (Kind::GrantSuccessorMailbox, &["full_access", "send_as"]),
    ] {
        let seen = |is_given: bool, is_there: bool| {
            let mut facts = Facts::new().with("successor_enabled", is_there);
            for fact in given {
                facts.set(fact, is_given);
            }
            crate::judge::judge(kind, &params, &facts, None)
        };
        assert_eq!(seen(true, true), Verdict::Satisfied, "{kind}");
        assert!(matches!(seen(true, false), Verdict::Blocked(_)), "{kind}");
        // Whoever gives it to him looks at him first, and says so.
        assert!(matches!(seen(false, false), Verdict::Unsatisfied(_)), "{kind}");
    }
}

/// See `docs/decisions/0063-shared-folders-that-nobody-lists.md`.
#[test]
fn who_confirms_the_handover_is_asked_after_all_that_is_handed_over() {
    // Mail that is still to come is forwarded, and handed over by nobody.
    let forwards = [Kind::SetForwarding, Kind::SetForwardingInWorkspace];
    let all = BY_THE_DIRECTORY.into_iter().chain(BY_A_WORKSPACE);
    for kind in all.filter(|kind| !forwards.contains(kind)) {
        assert!(waits_itself(Kind::ConfirmHandover, kind), "{kind}");
    }
}
