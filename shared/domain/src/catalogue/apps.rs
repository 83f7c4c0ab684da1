//! Applications that keep accounts of their own. A tenant has any number of
//! them, so each is a system with tasks of its own: one that looks the person up
//! there and pins the account's id, and what that finds. An app that is away
//! holds up nothing but itself.

use super::Kind;
use super::spec::*;
use crate::judge::{Cond, Judge};

/// The kinds of an application: a tenant without any has none of them.
pub const KINDS: &[Kind] = &[Kind::ResolveInApp, Kind::DisableInApp, Kind::DeleteInApp];

/// The parameter by which a task about a pinned account knows it again: digests
/// of its names, its number elsewhere and its time of birth, salted with the case.
pub const MARKS: &str = "account_marks";

/// The parameter with every sign-in name and address of his, each once. It and
/// the next ones travel with an assignment, and are in no stored task.
pub const NAMES: &str = "names";

/// The parameter with his account's id in the directory.
pub const DIRECTORY_ID: &str = "directory_id";

/// The parameter with HR's number.
pub const EMPLOYEE_ID: &str = "employee_id";

/// The parameter that says that he has, or had, an address that the request does not
/// name, so that finding nobody does not prove that there is no account.
pub const NAMES_MISSING: &str = "names_missing";

/// The parameter that names the accounts that are never touched, by id or name.
pub const PROTECTED: &str = "protected_names";

/// Finds the one account that answers to the person's names, by every name that
/// the system's configuration says, and records it before any write. Facts:
/// `found`, `all_names_known`, `ambiguous`, `match_count`, `object_id`, `enabled`, `protected`.
pub(super) const RESOLVE: KindSpec = KindSpec {
    name: "identity.resolve_in_app",
    title: "Find the account in the app, and record it before any write",
    after: &[Dep::on(Kind::Resolve)],
    finds: &[Kind::DisableInApp, Kind::DeleteInApp],
    judge: Judge {
        not_applicable: &[(
            Cond::All(&[Cond::False("found"), Cond::True("all_names_known")]),
            "the app has no account by any of his names",
        )],
        satisfied: Cond::All(&[Cond::True("found"), Cond::False("ambiguous"), Cond::False("protected")]),
        blocked: &[
            (
                Cond::False("found"),
                "the app has no account by the names that are known, and he may have one by another: the directory has an address of his (an alias, a former one) that the request does not name; or the app is searched by an employee number that the request does not name; or it lists users without showing what they were to be known by (`match`). Look in the app; if he has no account there, waive this, else end it there by hand first",
            ),
            (
                Cond::True("ambiguous"),
                "more than one account in the app answers to his names; see which are his, end those there by hand, then waive this",
            ),
            (
                Cond::True("protected"),
                "the account in the app is on the tenant's list of protected accounts; nothing was written there. If it really goes, end it there by hand, then waive this",
            ),
        ],
    },
    ..READING
};

/// By the pinned id. Another account of his that is enabled, under whatever id,
/// is access as well. Facts: `object_exists`, `object_enabled`, `enabled_ids`.
pub(super) const DISABLE: KindSpec = KindSpec {
    name: "identity.disable_in_app",
    title: "Deactivate the account in the app",
    wanted: Wanted::Found,
    approval: Approval::PlanOrBurst,
    after: &[Dep::only(Kind::ResolveInApp)],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::Empty("enabled_ids"),
        blocked: &[(
            Cond::False("object_enabled"),
            "the account that was found is ended, and the app has another one of his that is enabled; stop what makes it (the app's provisioning, an invitation), end it there by hand, then retry",
        )],
    },
    ..WRITING
};

/// For an app that cannot deactivate: what is deleted may not come back, so each
/// asks by itself. An id that is not there proves nothing alone; nobody may
/// answer to his names either. Facts: `object_exists`, `account_ids`.
pub(super) const DELETE: KindSpec = KindSpec {
    name: "identity.delete_in_app",
    title: "Delete the account in the app, which cannot deactivate it",
    wanted: Wanted::Found,
    approval: Approval::Own,
    after: &[Dep::only(Kind::ResolveInApp)],
    judge: Judge {
        not_applicable: &[],
        satisfied: Cond::Empty("account_ids"),
        blocked: &[(
            Cond::False("object_exists"),
            "the account that was found is gone, and the app has another one of his; stop what makes it (the app's provisioning, an invitation), delete it there by hand, then retry",
        )],
    },
    reversible: false,
    ..WRITING
};
