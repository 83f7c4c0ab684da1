//! Devices in a remote management (RMM): the agent that an MSP has on its
//! clients' computers. It knows devices that the device management does not,
//! and each by an id of its own; so its kinds are its own, and it looks after
//! the others have looked, to say which of its devices they know too.
//!
//! The owner that is set there is sure. A name that somebody signed in with is
//! not: such a device is a candidate, for a person to confirm, and nothing is
//! done to it before. The management's agent is the last thing to go.

use super::Kind;
use super::spec::*;
use crate::assignment::Target;
use crate::control;
use crate::id::{CaseId, ObjectId, System, TaskId};
use crate::judge::{Cond, Judge};
use crate::time::{DAY_MS, HOUR_MS};
use crate::unplanned::APPS_KNOWN;

/// The kinds of a remote management, and what it asks people: a tenant without
/// one has none of them.
pub const KINDS: &[Kind] = &[
    Kind::DiscoverTechnicians,
    Kind::DiscoverManaged,
    Kind::ConfirmManagedDevice,
    Kind::DiscoverConfirmed,
    Kind::DiscoverSoftware,
    Kind::EndTechnician,
    Kind::DecideDevice,
    Kind::MarkManaged,
    Kind::MaintainManaged,
    Kind::RunManagedScript,
    Kind::ClearManagedOwner,
    Kind::Decommission,
];

/// How long the management may take to show what it accepted.
pub const SHOWS_WITHIN_MS: i64 = HOUR_MS;

/// The parameter by which a device's record is known again.
pub const UID: &str = "uid";

/// The parameter with the ids that the management gives the person.
pub const OWNERS: &str = "owner_uids";

/// The parameter that says what becomes of the device.
pub const MARK: &str = "mark";

/// A device that is to be wiped.
pub const PENDING_WIPE: &str = "pending_wipe";

/// A device that the next person gets.
pub const REPURPOSE: &str = "repurpose";

/// The parameter that says what the other systems make of the device.
pub const ELSEWHERE: &str = "elsewhere";

/// The parameter that says whether the device was assigned to him when it was found.
pub const ASSIGNED: &str = "assigned";

/// The parameter that says when the device was found, in milliseconds since 1970:
/// nothing was ordered of it before.
pub const FOUND_MS: &str = "found_ms";

/// The parameter that says that we have cleared its owner ourselves. In no stored
/// task.
pub const CLEARED: &str = "owner_cleared";

/// The parameter with the name that he is shown by. In no stored task.
pub const SHOWN_NAME: &str = "shown_name";

/// The parameter that says whether a person has confirmed a candidate. In no
/// stored task.
pub const CONFIRMED: &str = "confirmed";

/// The task that asks a person whether this candidate is his. What people do is
/// in one system for all, so the object says of which system the device is.
#[must_use]
pub fn confirmation(case: CaseId, candidate: &Target) -> TaskId {
    let asked = candidate.object.as_ref().map(|id| for_a_person(&candidate.system, id));
    TaskId::derive(
        case,
        Kind::ConfirmManagedDevice.name(),
        &System::person(),
        asked.as_ref(),
    )
}

/// The object of a task about this device that a person does.
#[must_use]
pub fn for_a_person(system: &System, id: &ObjectId) -> ObjectId {
    ObjectId(format!("{system}/{id}"))
}

/// Before what cannot be undone.
const NO_LONGER_HIS: &str = "the device was his when it was found, and somebody has taken him off as its owner since: it may be meant for the next person, so nothing more is ordered of it. If it is still to go, assign it to him again in the remote management and retry; else waive this";

const MANAGED: KindSpec = KindSpec {
    area: Area::Device,
    stage: Stage::Devices,
    urgency: Urgency::U2,
    wanted: Wanted::Found,
    controls: control::SANITISATION,
    ..WRITING
};

/// By itself and at once: a login that reaches every client's computers stays for no
/// device management that may not be read. Fact: `technician_ids` (none: they may not be
/// read, and a person is asked whether he has one).
pub(super) const DISCOVER_TECHNICIANS: KindSpec = KindSpec {
    name: "device.discover_technicians",
    title: "Find his logins as a technician of the remote management (RMM)",
    area: Area::Device,
    stage: Stage::Access,
    after: &[Dep::on(Kind::Resolve)],
    finds: &[Kind::EndTechnician],
    controls: control::ACCESS,
    ..READING
};

/// After the others have looked, so that it can say which devices they know
/// too. It also asks about a technician's login; by its id that is one task. Facts: `found` (a device, or a technician's login), `all_names_known`,
/// `device_ids`, `candidate_ids`, `somebody_elses_ids`, `only_elsewhere_ids`,
/// `technician_ids` (none: they may not be read), and for each device `held/ID`,
/// `serial/ID`, `class/ID`, `elsewhere/ID`, `met_as/ID`.
pub(super) const DISCOVER: KindSpec = KindSpec {
    name: "device.discover_managed",
    title: "Find his devices in the remote management (RMM)",
    area: Area::Device,
    stage: Stage::Devices,
    urgency: Urgency::U1,
    after: &[Dep::on(Kind::Resolve), Dep::only(Kind::DiscoverDevices)],
    finds: &[
        Kind::ConfirmManagedDevice,
        Kind::DiscoverConfirmed,
        Kind::EndTechnician,
        Kind::ConfirmDeviceReturned,
        Kind::DecideDevice,
        Kind::MarkManaged,
        Kind::MaintainManaged,
        Kind::RunManagedScript,
        Kind::ClearManagedOwner,
        Kind::Decommission,
    ],
    judge: Judge {
        not_applicable: &[(
            Cond::All(&[Cond::False("found"), Cond::True("all_names_known")]),
            "the remote management has nothing of his: no device is assigned to him, nobody signed in by any of his names, and no technician has his address",
        )],
        // That he has a login there, or that logins may not be read, says nothing of
        // his devices.
        satisfied: Cond::All(&[
            Cond::True("found"),
            Cond::Any(&[Cond::True("all_names_known"), Cond::True("devices_found")]),
        ]),
        blocked: &[(
            Cond::False("devices_found"),
            "the remote management has no device by the names that are known, and not all are: the directory has an address of his (an alias, a former one) that the request does not name. Look there; assign his devices to him and retry, or waive this if he has neither a device nor a technician's login there",
        )],
    },
    controls: control::RETURN,
    ..READING
};

/// What was met by a name alone. Waived, it is not his.
pub(super) const CONFIRM: KindSpec = KindSpec {
    name: "person.confirm_managed_device",
    title: "Confirm that the device is his, which was met by a name alone (waive this if it is not)",
    area: Area::Person,
    stage: Stage::Devices,
    urgency: Urgency::U3,
    wanted: Wanted::Found,
    after: &[Dep::only(Kind::DiscoverManaged)],
    proof: Proof::Attested,
    closing: ClosingProof::Receipt("a person's word is kept"),
    controls: control::RETURN,
    ..READING
};

/// A login that reaches every client's computers. The management lets no interface
/// disable one: what it offers is to delete it, with all that hangs on it. It waits for
/// nothing: whoever finds it first has a person asked.
pub(super) const END_TECHNICIAN: KindSpec = KindSpec {
    name: "person.end_technician",
    title: "Disable his technician's login in the remote management, by hand (where it could not be read: see whether he has one)",
    area: Area::Person,
    stage: Stage::Access,
    urgency: Urgency::U0,
    wanted: Wanted::Found,
    proof: Proof::Attested,
    closing: ClosingProof::Receipt("a person's word is kept"),
    controls: control::ACCESS,
    ..READING
};

/// One for each candidate: what a person has confirmed is looked at anew.
/// Facts: `confirmed`, and for the device as above.
pub(super) const DISCOVER_CONFIRMED: KindSpec = KindSpec {
    name: "device.discover_confirmed",
    title: "Look at the device that was met by a name alone, once a person has confirmed it",
    wanted: Wanted::Found,
    after: &[
        Dep::only(Kind::DiscoverManaged),
        Dep::on(Kind::ConfirmManagedDevice).of_its_device(),
    ],
    finds: &[
        Kind::ConfirmDeviceReturned,
        Kind::DecideDevice,
        Kind::MarkManaged,
        Kind::MaintainManaged,
        Kind::RunManagedScript,
        Kind::ClearManagedOwner,
        Kind::Decommission,
    ],
    judge: Judge {
        not_applicable: &[
            (Cond::False("confirmed"), "a person says that the device is not his"),
            (
                Cond::True("somebody_elses"),
                "the device is assigned to somebody else by now",
            ),
            (
                Cond::False("object_exists"),
                "the remote management no longer has the device",
            ),
        ],
        satisfied: Cond::True("confirmed"),
        blocked: &[],
    },
    ..DISCOVER
};

/// How long one list of all his devices' software waits for a person's word about those that
/// were met by a name alone: no other device keeps its agent for longer.
const SOFTWARE_AT_MOST_MS: i64 = DAY_MS;

/// What is installed on the devices that are his, which may have accounts of its own.
/// The record goes with the agent. What a person confirms after it was read is read with the
/// rest once more, before its own agent goes. Facts: `devices_found`, `applications_known`, and how
/// many programs there are: `software_count`, `covered_count`, `known_count`,
/// `unplanned_count`. `unread_device_ids`: what the remote management has no more, about which
/// a person is asked.
pub(super) const DISCOVER_SOFTWARE: KindSpec = KindSpec {
    name: "device.discover_software",
    title: "Find software on his devices that nobody planned for",
    skippable: true,
    urgency: Urgency::U2,
    after: &[
        Dep::only(Kind::DiscoverManaged),
        Dep::only(Kind::DiscoverConfirmed).at_most(SOFTWARE_AT_MOST_MS),
    ],
    finds: &[Kind::DecideApp],
    judge: Judge {
        not_applicable: &[(
            Cond::False("devices_found"),
            "no device in the remote management is his",
        )],
        satisfied: Cond::True(APPS_KNOWN),
        blocked: &[],
    },
    controls: control::GRANTS,
    ..DISCOVER
};

/// A device that is to be wiped, and that no device management can wipe.
pub(super) const DECIDE: KindSpec = KindSpec {
    name: "person.decide_device",
    title: "Decide what becomes of the device that nothing here can wipe",
    area: Area::Person,
    stage: Stage::Devices,
    urgency: Urgency::U3,
    wanted: Wanted::Found,
    after: &[
        Dep::only(Kind::DiscoverManaged),
        Dep::only(Kind::DiscoverConfirmed).of_its_device(),
    ],
    proof: Proof::Attested,
    closing: ClosingProof::Receipt("a person's word and file are kept"),
    controls: control::SANITISATION,
    ..READING
};

/// Tags and fields, by which the MSP's own policies and people know what becomes
/// of it; everything else on it stays. Facts: `object_exists`, `marked`,
/// `tag_ids`, `somebody_elses`.
pub(super) const MARK_DEVICE: KindSpec = KindSpec {
    name: "device.mark_managed",
    title: "Mark the device in the remote management",
    skippable: true,
    urgency: Urgency::U1,
    after: &[Dep::only(Kind::DiscoverManaged)],
    judge: Judge {
        not_applicable: &[
            (
                Cond::False("object_exists"),
                "the remote management no longer has the device",
            ),
            (
                Cond::True("somebody_elses"),
                "the device is assigned to somebody else by now",
            ),
        ],
        satisfied: Cond::True("marked"),
        blocked: &[],
    },
    closing: ClosingProof::Receipt("what it sets off may change it again"),
    ..MANAGED
};

/// While a device is being ended its alerts say nothing that anybody wants to
/// know. It ends by itself. A window that somebody else has set stays until its end:
/// the management does not say what it silences. Facts: `object_exists`,
/// `in_maintenance` (by us, and for long enough), `silent_until_ms`,
/// `others_until_ms`, `somebody_elses`.
pub(super) const MAINTAIN: KindSpec = KindSpec {
    name: "device.maintain_managed",
    title: "Silence the device's alerts in the remote management while it is being ended",
    skippable: true,
    after: &[Dep::only(Kind::DiscoverManaged)],
    judge: Judge {
        not_applicable: &[
            (
                Cond::False("object_exists"),
                "the remote management no longer has the device",
            ),
            (
                Cond::True("somebody_elses"),
                "the device is assigned to somebody else by now",
            ),
        ],
        satisfied: Cond::True("in_maintenance"),
        blocked: &[],
    },
    closing: ClosingProof::Receipt("it ends by itself"),
    ..MANAGED
};

/// *Once*: there is no key by which a second order could be told from the first.
/// So the task's id goes along as the script's parameter, the script writes it
/// into a field, and that is the proof. Facts: `object_exists`,
/// `script_state`, `script_done`, `somebody_elses`, `no_longer_his`, `conclusive`.
pub(super) const RUN_SCRIPT: KindSpec = KindSpec {
    name: "device.run_managed_script",
    title: "Run your script on the device through the remote management",
    skippable: true,
    after: &[
        Dep::only(Kind::DiscoverManaged),
        Dep::only(Kind::DiscoverConfirmed).of_its_device(),
        Dep::on(Kind::DecideDevice).of_its_device(),
        Dep::on(Kind::EscrowRecoveryKeys).of_its_device(),
        Dep::on(Kind::ConfirmDeviceReturned).of_its_device(),
        Dep::on(Kind::DecidePreservation),
        Dep::on(Kind::DisableSignIn),
        Dep::on(Kind::RevokeSessions),
        Dep::only(Kind::ResolveInWorkspace),
        Dep::on(Kind::SuspendAtOnce),
        Dep::on(Kind::SuspendInWorkspace),
        Dep::on(Kind::MarkManaged).of_its_device(),
    ],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::True("script_done"),
        blocked: &[
            (
                Cond::False("object_exists"),
                "the remote management no longer has the device, and the script was not seen done; do by hand what it does, then waive this with what you saw",
            ),
            (
                Cond::True("somebody_elses"),
                "the device is assigned to somebody else by now; nothing was run. Decide by hand what becomes of it, then waive this",
            ),
            (Cond::True("no_longer_his"), NO_LONGER_HIS),
            (
                Cond::Is("script_state", "failed"),
                "the script ran and failed, and is not run again by itself; see in the device's activities why, run it there by hand with the same parameter, then retry; or do by hand what it does, and waive this",
            ),
        ],
    },
    convergent: false,
    reversible: false,
    approval: Approval::Own,
    // A laptop in a drawer is switched on some day.
    patience_ms: 14 * DAY_MS,
    shows_within_ms: SHOWS_WITHIN_MS,
    closing: ClosingProof::Receipt("the field may be written again, and the device may be gone"),
    ..MANAGED
};

/// Only his: what was given to somebody else meanwhile is left alone. Facts:
/// `object_exists`, `owner` (`his`, `none`, `another`).
pub(super) const CLEAR_OWNER: KindSpec = KindSpec {
    name: "device.clear_managed_owner",
    title: "Clear the device's owner in the remote management",
    skippable: true,
    urgency: Urgency::U3,
    after: &[
        Dep::only(Kind::DiscoverManaged),
        Dep::only(Kind::DiscoverConfirmed).of_its_device(),
        // Whoever decides must see whose it was.
        Dep::on(Kind::DecideDevice).of_its_device(),
        Dep::on(Kind::ConfirmDeviceReturned).of_its_device(),
        Dep::on(Kind::WipeDevice).of_its_device(),
        Dep::on(Kind::MarkManaged).of_its_device(),
        Dep::on(Kind::RunManagedScript).of_its_device(),
    ],
    judge: Judge {
        not_applicable: &[
            (
                Cond::False("object_exists"),
                "the remote management no longer has the device",
            ),
            (
                Cond::Is("owner", "another"),
                "the device is assigned to somebody else by now",
            ),
        ],
        satisfied: Cond::Is("owner", "none"),
        blocked: &[],
    },
    ..MANAGED
};

/// Last of all: the agent goes, and nothing can be asked of the device any more.
/// *Once*, because a device that is enrolled anew for the next person is not to
/// be thrown out again. Facts: `object_exists`, `status`, `decommissioned`,
/// `somebody_elses`, `no_longer_his`, `conclusive`.
pub(super) const DECOMMISSION: KindSpec = KindSpec {
    name: "device.decommission",
    title: "Decommission the device in the remote management",
    skippable: true,
    urgency: Urgency::U3,
    after: &[
        Dep::only(Kind::DiscoverManaged),
        Dep::only(Kind::DiscoverConfirmed).of_its_device(),
        Dep::on(Kind::DecideDevice).of_its_device(),
        Dep::on(Kind::ConfirmDeviceReturned).of_its_device(),
        Dep::on(Kind::WipeDevice).of_its_device(),
        Dep::on(Kind::MarkManaged).of_its_device(),
        Dep::on(Kind::MaintainManaged).of_its_device(),
        Dep::on(Kind::RunManagedScript).of_its_device(),
        Dep::on(Kind::ClearManagedOwner).of_its_device(),
        // What was installed on it, nobody can read then.
        Dep {
            with_finds: false,
            ..Dep::tried(Kind::DiscoverSoftware)
        },
    ],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::True("decommissioned"),
        blocked: &[
            (
                Cond::True("somebody_elses"),
                "the device is assigned to somebody else by now; it was not decommissioned. Decide by hand what becomes of it, then waive this",
            ),
            (Cond::True("no_longer_his"), NO_LONGER_HIS),
        ],
    },
    convergent: false,
    reversible: false,
    approval: Approval::Own,
    shows_within_ms: SHOWS_WITHIN_MS,
    ..MANAGED
};
