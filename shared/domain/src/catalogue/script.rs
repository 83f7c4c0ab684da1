//! The MSP's own programs: one task for each that a tenant has configured. What
//! such a program does, nobody here knows; so it runs when sign-in is disabled,
//! in the directory and in a workspace, and what there was has been recorded, and it
//! is believed only when, asked once more as a process of its own, it says that the
//! wanted state is there.
//!
//! A program whose effect cannot be undone is a kind of its own, because what
//! must be approved, and whether it may be repeated, is said by the kind.

use super::Kind;
use super::spec::*;
use crate::judge::{Cond, Judge};
use crate::time::MINUTE_MS;

/// The kinds that a program serves: a tenant without programs has none of them.
pub const KINDS: &[Kind] = &[Kind::RunScript, Kind::RunIrreversibleScript];

/// The longest that a single run may be allowed, in milliseconds: a reading, the
/// order and another reading fit an attempt of [`SLICE_MS`].
pub const SCRIPT_TIMEOUT_MAX_MS: i64 = MINUTE_MS;

/// The person's sign-in name, which a program is told. In no stored task.
pub const SIGN_IN_NAME: &str = "user_principal_name";

/// The person's mail address, which a program is told. In no stored task.
pub const MAIL: &str = "mail";

/// Facts: `state` (`done`, `not_done` or `not_applicable`), `reason`, and what
/// the program says besides as `script/NAME`.
pub(super) const RUN: KindSpec = KindSpec {
    name: "identity.run_script",
    title: "Run your own program",
    skippable: true,
    after: &[
        Dep::on(Kind::DisableSignIn),
        Dep::on(Kind::DisableOnPremises),
        Dep::only(Kind::ResolveInWorkspace),
        Dep::on(Kind::SuspendAtOnce),
        Dep::on(Kind::SuspendInWorkspace),
    ],
    run_for_ms: SLICE_MS,
    judge: Judge {
        not_applicable: &[(
            Cond::Is("state", "not_applicable"),
            "the program says that it has nothing to do for this person",
        )],
        satisfied: Cond::Is("state", "done"),
        blocked: &[],
    },
    ..WRITING
};

/// *Once*, and not promised within hours: a person decides when, and not before it is
/// decided what somebody wants kept, since nobody knows what it destroys. Facts as
/// above, and `conclusive`: whether the program knows that what is not done was not
/// begun either.
pub(super) const RUN_IRREVERSIBLE: KindSpec = KindSpec {
    name: "identity.run_irreversible_script",
    title: "Run your own program, whose effect cannot be undone",
    urgency: Urgency::U2,
    after: &[
        Dep::on(Kind::DisableSignIn),
        Dep::on(Kind::DisableOnPremises),
        Dep::only(Kind::ResolveInWorkspace),
        Dep::on(Kind::SuspendAtOnce),
        Dep::on(Kind::SuspendInWorkspace),
        Dep::on(Kind::DecidePreservation),
    ],
    convergent: false,
    reversible: false,
    approval: Approval::Own,
    ..RUN
};
