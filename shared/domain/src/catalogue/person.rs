//! What a human does. Nothing is published for these; they wait until somebody
//! approves or attests.

use super::Kind;
use super::mailbox::MAILBOX_EXISTS;
use super::spec::*;
use crate::control;
use crate::judge::{Cond, Judge};
use crate::keeping::ASKED;

/// The fact that he goes at once by now, and tells nobody anything before.
pub const GOES_AT_ONCE: &str = "goes_at_once";

const HUMAN: KindSpec = KindSpec {
    area: Area::Person,
    urgency: Urgency::U3,
    proof: Proof::Attested,
    closing: ClosingProof::Receipt("a person's word and file are kept"),
    ..READING
};

/// Asked when all that reading can find is in the plan.
pub(super) const APPROVE_PLAN: KindSpec = KindSpec {
    name: "person.approve_plan",
    title: "Approve the plan",
    urgency: Urgency::U1,
    wanted: Wanted::Chosen("approvals"),
    after: &[
        // Read once more when the time has come, it holds nobody up who has not
        // decided yet: what comes of it is asked for by itself. Nor does what may not be
        // read: whatever writes to that waits for the reading, and he is not kept signed
        // in for its sake.
        Dep::once_or_tried(Kind::SnapshotAccess),
        Dep::once_or_tried(Kind::SnapshotDirectory),
        Dep::once_or_tried(Kind::SnapshotMailbox),
        Dep {
            with_finds: false,
            ..Dep::once_or_tried(Kind::DiscoverDevices)
        },
        // What is there alone is in the plan when it is asked for; a workspace
        // that a person must see to does not hold the rest back.
        Dep {
            with_finds: false,
            ..Dep::tried(Kind::ResolveInWorkspace)
        },
        // So that what it finds does not change the plan under whoever approves it. One
        // look is waited for: what it finds later asks nobody to approve anything.
        Dep {
            with_finds: false,
            ..Dep::tried_once(Kind::DiscoverApps)
        },
    ],
    ..HUMAN
};

/// In place of the hand-over, when a person is to decide.
pub(super) const DECIDE_ONEDRIVE: KindSpec = KindSpec {
    name: "person.decide_onedrive",
    title: "Decide that the OneDrive may go with the licence",
    stage: Stage::Knowledge,
    wanted: Wanted::Chosen("onedrive"),
    after: &[Dep::on(Kind::ApprovePlan)],
    controls: control::RETENTION,
    ..HUMAN
};

/// One for each thing that a request which joined later wants kept, where no task of a
/// machine sees to it. It waits for nothing: whoever is asked too late is told so. Fact:
/// `still_asked`.
pub(super) const DECIDE_PRESERVATION: KindSpec = KindSpec {
    name: "person.decide_preservation",
    title: "Keep what another request for him wants kept, or decide to go without",
    urgency: Urgency::U1,
    stage: Stage::Knowledge,
    wanted: Wanted::Joined,
    judge: Judge {
        not_applicable: &[(Cond::False(ASKED), "the request that wanted it was called off")],
        satisfied: Cond::Always,
        blocked: &[],
    },
    controls: control::RETENTION,
    ..HUMAN
};

/// One for each company device.
pub(super) const CONFIRM_DEVICE_RETURNED: KindSpec = KindSpec {
    name: "person.confirm_device_returned",
    title: "Confirm that the device came back, with a file",
    stage: Stage::Devices,
    wanted: Wanted::Found,
    after: &[Dep::only(Kind::DiscoverDevices)],
    controls: control::RETURN,
    ..HUMAN
};

/// The account is a copy of one in Active Directory that nobody connected: what the
/// cloud was told of it, the next synchronisation may take back.
pub(super) const CONFIRM_DISABLED_ON_PREMISES: KindSpec = KindSpec {
    name: "person.confirm_disabled_on_premises",
    title: "Disable the account in Active Directory, which masters it, and say so",
    urgency: Urgency::U1,
    stage: Stage::Access,
    wanted: Wanted::Chosen("a copy of a directory that is not connected"),
    after: &[Dep::on(Kind::Resolve), Dep::tried(Kind::DisableSignIn)],
    controls: control::ACCESS,
    ..HUMAN
};

/// In Active Directory a copied account says of which sort its mailbox in the cloud is, where
/// Exchange has set it up there: a mailbox that is converted in the cloud alone may become a
/// person's again, without a licence. No licence waits for it. Fact: `mailbox_exists`.
pub(super) const CONFIRM_SHARED_ON_PREMISES: KindSpec = KindSpec {
    name: "person.confirm_shared_on_premises",
    title: "Set a converted mailbox to shared on the premises too, or say that Exchange has none of his there",
    skippable: true,
    stage: Stage::Knowledge,
    wanted: Wanted::Chosen("a copy of a directory on the premises"),
    after: &[Dep::on(Kind::ConvertToShared)],
    judge: Judge {
        not_applicable: &[(Cond::False(MAILBOX_EXISTS), "the account has no mailbox")],
        satisfied: Cond::Always,
        blocked: &[],
    },
    controls: control::RETENTION,
    ..HUMAN
};

/// One for each password, code or key that several people share and the leaver
/// knew. Whoever still signs in, has a session, or an account where they are kept,
/// could read the new one.
pub(super) const ROTATE_SHARED_CREDENTIAL: KindSpec = KindSpec {
    name: "person.rotate_shared_credential",
    title: "Change a credential that the leaver shared with others",
    urgency: Urgency::U2,
    stage: Stage::Access,
    wanted: Wanted::Chosen("shared_credentials"),
    after: &[
        Dep::on(Kind::DisableSignIn),
        Dep::on(Kind::DisableOnPremises),
        Dep::on(Kind::ConfirmDisabledOnPremises),
        Dep::on(Kind::SuspendAtOnce),
        Dep::on(Kind::SuspendInWorkspace),
        Dep::tried(Kind::RevokeSessions),
        Dep::tried(Kind::DisableInApp),
        Dep::tried(Kind::DeleteInApp),
    ],
    controls: control::ACCESS,
    ..HUMAN
};

/// One for each application that he had a way into, that has accounts of its own for all
/// that the directory says, and that no system of the tenant's sees to. While he still
/// signs in, an account that is ended may be made anew. It is of the last stage: the note
/// on a ticket that his access is cut does not wait for weeks until somebody has decided.
pub(super) const DECIDE_APP: KindSpec = KindSpec {
    name: "person.decide_app",
    title: "End his account in an application that nobody planned for, or see that he has none",
    stage: Stage::Closure,
    wanted: Wanted::Found,
    after: &[
        Dep::tried(Kind::DisableSignIn),
        Dep::tried(Kind::RevokeSessions),
        Dep::tried(Kind::SuspendAtOnce),
        Dep::tried(Kind::SuspendInWorkspace),
    ],
    controls: control::GRANTS,
    ..HUMAN
};

/// Before he goes: what nobody else knows is told to those who stay. Who says that it
/// took place says where it is recorded, and may add what was shown. Fact: `goes_at_once`.
pub(super) const HOLD_KNOWLEDGE_SESSION: KindSpec = KindSpec {
    name: "person.hold_knowledge_session",
    title: "Hold the knowledge session, and say where it is recorded",
    stage: Stage::Knowledge,
    wanted: Wanted::Chosen("knowledge_session"),
    after: &[Dep::on(Kind::ApprovePlan)],
    judge: Judge {
        not_applicable: &[(
            Cond::True(GOES_AT_ONCE),
            "he goes at once, and tells nobody anything before",
        )],
        satisfied: Cond::Always,
        blocked: &[],
    },
    controls: control::RETENTION,
    ..HUMAN
};

/// Knowledge was handed over.
pub(super) const CONFIRM_HANDOVER: KindSpec = KindSpec {
    name: "person.confirm_handover",
    title: "Confirm that the hand-over took place",
    skippable: true,
    stage: Stage::Knowledge,
    after: &[
        Dep::on(Kind::ApprovePlan),
        Dep::on(Kind::HandOverGroups),
        Dep::on(Kind::HandOverMeetings),
        Dep::on(Kind::GrantSuccessorMailbox),
        Dep::on(Kind::HandOverOneDrive),
        Dep::on(Kind::GrantMailInWorkspace),
        Dep::on(Kind::TransferFiles),
        Dep::on(Kind::HandOverSharedDrives),
        Dep::on(Kind::HoldKnowledgeSession),
        Dep::on(Kind::WriteNotes),
    ],
    controls: control::RETENTION,
    ..HUMAN
};

/// The manager's final word: everything else is settled.
pub(super) const VALIDATE: KindSpec = KindSpec {
    name: "person.validate",
    title: "Validate the departure",
    skippable: true,
    stage: Stage::Closure,
    after: &[
        Dep::on(Kind::ApprovePlan),
        Dep::on(Kind::RemoveDirectoryRoles),
        Dep::on(Kind::DisableSignIn),
        Dep::on(Kind::ResetPassword),
        Dep::on(Kind::RevokeSessions),
        Dep::on(Kind::RevokeSessionsAgain),
        Dep::on(Kind::RemoveAuthMethods),
        Dep::on(Kind::RemoveOauthGrants),
        Dep::on(Kind::RemoveAppRoles),
        Dep::on(Kind::RunScript),
        Dep::on(Kind::RunIrreversibleScript),
        Dep::on(Kind::RemoveGroupOwnerships),
        Dep::on(Kind::RemoveGroupMemberships),
        Dep::on(Kind::BlockProtocols),
        Dep::on(Kind::HideFromAddressLists),
        Dep::on(Kind::SetAutomaticReply),
        Dep::on(Kind::SetForwarding),
        Dep::on(Kind::RemoveInboxRules),
        Dep::on(Kind::RemoveDelegations),
        Dep::on(Kind::GrantSuccessorMailbox),
        Dep::on(Kind::DisableDeviceObject),
        Dep::on(Kind::DiscoverDevices),
        Dep::on(Kind::DiscoverComputers),
        Dep::on(Kind::DiscoverTechnicians),
        Dep::on(Kind::DiscoverManaged),
        Dep::on(Kind::DiscoverConfirmed),
        Dep::on(Kind::ResolveOnPremises),
        Dep::on(Kind::ResolveInApp),
        Dep::on(Kind::ResolveInWorkspace),
        Dep::on(Kind::AwaitSynchronisation),
        Dep::on(Kind::ProvePool),
        Dep::on(Kind::HoldKnowledgeSession),
        Dep::on(Kind::WriteNotes),
        Dep::on(Kind::ConfirmHandover),
        Dep::on(Kind::ConfirmDisabledOnPremises),
        Dep::on(Kind::ConfirmSharedOnPremises),
        Dep::on(Kind::RotateSharedCredential),
        Dep::on(Kind::DecidePreservation),
        Dep::on(Kind::DiscoverApps),
        Dep::on(Kind::DiscoverAppsInWorkspace),
        Dep::on(Kind::DiscoverSoftware),
        Dep::on(Kind::DecideApp),
    ],
    controls: control::CLOSURE,
    ..HUMAN
};
