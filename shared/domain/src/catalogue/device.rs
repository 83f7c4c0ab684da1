//! Devices: found first, one task for each; keys kept before anything dies;
//! personal ones retired, never wiped; company ones wiped after approval. What is done
//! to one waits for what is done to it, and for no other that never comes back: see
//! `docs/decisions/0054-order-by-device.md`.

use super::Kind;
use super::spec::*;
use crate::control;
use crate::judge::{Cond, Judge};

const DEVICE: KindSpec = KindSpec {
    area: Area::Device,
    stage: Stage::Devices,
    urgency: Urgency::U2,
    wanted: Wanted::Found,
    controls: control::SANITISATION,
    ..WRITING
};

/// One task for each device found. Facts: `device_ids`, `hybrid_joined_ids`, and for
/// each device `held/ID`, `serial/ID` and `device_id/ID`, by which other systems'
/// finders know it again.
pub(super) const DISCOVER: KindSpec = KindSpec {
    name: "device.discover",
    title: "Find his devices",
    area: Area::Device,
    stage: Stage::Devices,
    urgency: Urgency::U1,
    after: &[Dep::on(Kind::Resolve)],
    finds: &[
        Kind::EscrowRecoveryKeys,
        Kind::RetireDevice,
        Kind::ConfirmDeviceReturned,
        Kind::WipeDevice,
        Kind::UnassignAutopilot,
        Kind::DisableDeviceObject,
    ],
    controls: control::RETURN,
    read_anew: true,
    ..READING
};

/// Recovery keys die with the device object. Encrypted to the tenant's escrow
/// key, in the store alone. Facts: `key_count`, `escrowed_count`, `escrow_complete`,
/// and `keys_withheld`: the sorts of key that the device may have and that the
/// interface which is used does not give; `key_missing`, where its encrypted disk has
/// one and none is listed, and `key_not_listed`, when that has been so for long.
pub(super) const ESCROW_RECOVERY_KEYS: KindSpec = KindSpec {
    name: "device.escrow_recovery_keys",
    title: "Keep the device's recovery keys in escrow",
    writes: false,
    approval: Approval::None,
    after: &[Dep::only(Kind::DiscoverDevices)],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::True("escrow_complete"),
        blocked: &[
            (
                Cond::Not(&Cond::Empty("keys_withheld")),
                "the interface that is used does not give the Mac's FileVault recovery key; what else there was is in escrow. Read the key in Intune's admin centre (Devices, the Mac, Recovery keys) and keep it yourself, then waive this with where it is, or with why there is none",
            ),
            (
                Cond::True("key_not_listed"),
                "Intune says that the disk is encrypted, and Entra lists no recovery key of it; what else there was is in escrow. See whether the key is kept elsewhere (Active Directory, another program's console) or let the device file it (`manage-bde -protectors -aadbackup`, then retry), else waive this with where it is, or with why there is none",
            ),
        ],
    },
    closing: ClosingProof::Receipt("the keys are in the store; the device may be gone"),
    read_anew: true,
    ..DEVICE
};

/// A personal device is never wiped: only what belongs to the company goes. Whose it
/// is, is looked at each time, also while an order is pending. Facts: `owner_type`,
/// `management_state`, `retired`, `somebody_elses`.
pub(super) const RETIRE: KindSpec = KindSpec {
    name: "device.retire",
    title: "Retire the personal device",
    skippable: true,
    urgency: Urgency::U1,
    after: &[
        Dep::only(Kind::DiscoverDevices),
        Dep::on(Kind::DisableSignIn),
        Dep::on(Kind::EscrowRecoveryKeys).of_its_device(),
    ],
    conflicts: &[Kind::ConvertToShared],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::True("retired"),
        blocked: &[
            (
                Cond::Is("owner_type", "company"),
                "the device is the company's now; decide by hand what becomes of it",
            ),
            (
                Cond::True("somebody_elses"),
                "the device belongs to another account now; nothing more is ordered. If it was told to retire and has not checked in since, it still will: keep it switched off until you have seen in Intune what can be withdrawn, decide by hand what becomes of it, and waive this; or, if it is his after all, set him as its user there, then retry",
            ),
            (
                Cond::True("gone_unproven"),
                "the device's record is gone and no order to retire it was seen, which proves nothing; look at the device, then waive this with what you saw",
            ),
        ],
    },
    reversible: false,
    closing: ClosingProof::Receipt("the device's record goes when it is retired"),
    ..DEVICE
};

/// Proven by the last state of the action that was ordered, never by a record
/// that is gone: deleting a record makes it go too. *Once*. Whose it is, is looked at
/// each time, also while an order is pending. Facts: `owner_type`, `action_state`,
/// `wiped`, `somebody_elses`.
pub(super) const WIPE: KindSpec = KindSpec {
    name: "device.wipe",
    title: "Wipe the company device",
    after: &[
        Dep::only(Kind::DiscoverDevices),
        Dep::on(Kind::EscrowRecoveryKeys).of_its_device(),
        Dep::on(Kind::ConfirmDeviceReturned).of_its_device(),
        Dep::on(Kind::DecidePreservation),
        Dep::on(Kind::DisableSignIn),
        Dep::on(Kind::RevokeSessions),
    ],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::All(&[Cond::True("wiped"), Cond::Is("owner_type", "company")]),
        blocked: &[
            (
                Cond::Is("owner_type", "personal"),
                "the device is personal; it is never wiped",
            ),
            (
                Cond::True("somebody_elses"),
                "the device belongs to another account now; nothing more is ordered. If it was told to wipe itself and has not checked in since, it still will: keep it switched off until you have seen in Intune what can be withdrawn, decide by hand what becomes of it, and waive this; or, if it is his after all, set him as its user there, then retry",
            ),
            (
                Cond::True("gone_unproven"),
                "the device's record is gone before the wipe was seen done, which does not prove a wipe; look at the device, then waive this with what you saw",
            ),
        ],
    },
    convergent: false,
    reversible: false,
    approval: Approval::Own,
    closing: ClosingProof::Receipt("a wiped device's record is gone"),
    ..DEVICE
};

/// After the wipe. By then it may be assigned to the next person, whose assignment
/// is left alone. Facts: `autopilot_record`, `autopilot_assigned` (to the leaver),
/// `autopilot_assigned_to_another`.
pub(super) const UNASSIGN_AUTOPILOT: KindSpec = KindSpec {
    name: "device.unassign_autopilot",
    title: "Remove the device's Autopilot assignment",
    skippable: true,
    urgency: Urgency::U3,
    after: &[
        Dep::only(Kind::DiscoverDevices),
        Dep::on(Kind::WipeDevice).of_its_device(),
    ],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::False("autopilot_assigned"),
        blocked: &[],
    },
    ..DEVICE
};

/// Last: a disabled object cannot answer, and its keys go with it. Facts:
/// `object_exists`, `object_enabled`.
pub(super) const DISABLE_OBJECT: KindSpec = KindSpec {
    name: "device.disable_object",
    title: "Disable the device's directory object",
    skippable: true,
    urgency: Urgency::U3,
    after: &[
        Dep::only(Kind::DiscoverDevices),
        Dep::on(Kind::EscrowRecoveryKeys).of_its_device(),
        Dep::on(Kind::WipeDevice).of_its_device(),
        Dep::on(Kind::RetireDevice).of_its_device(),
        Dep::on(Kind::UnassignAutopilot).of_its_device(),
    ],
    judge: Judge {
        not_applicable: &[(Cond::False("object_exists"), "the directory no longer has the device")],
        satisfied: Cond::False("object_enabled"),
        blocked: &[],
    },
    ..DEVICE
};

/// The closing round of this area.
pub(super) const OBSERVE_AGAIN: KindSpec = KindSpec {
    name: "device.observe_again",
    title: "Read every device task's end state once more",
    area: Area::Device,
    ..OBSERVING_AGAIN
};
