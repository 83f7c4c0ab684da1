//! What the account says of applications that nobody planned for.

use super::world::{World, departure, m365};
use super::*;
use crate::assignment::Find;
use crate::catalogue::Kind;
use crate::departure::{Choices, Departure, Manner};
use crate::observation::Facts;
use crate::policy::Policy;
use crate::unplanned::{App, Way, sort};

/// Their names are no prose about anybody, however many words they have.
#[test]
fn an_application_is_named_in_the_account() {
    let kinds = [
        Kind::Resolve,
        Kind::SnapshotAccess,
        Kind::SnapshotDirectory,
        Kind::DiscoverApps,
        Kind::DisableSignIn,
        Kind::ObserveIdentity,
    ];
    let mut policy = Policy::default();
    policy.approvals.plan = false;
    policy.skip = [Kind::ConfirmHandover, Kind::Validate].into();
    let request = Departure {
        choices: Choices::default(),
        effective_at: world::T0,
        ..departure(Manner::Immediate)
    };
    let app = App {
        id: "sp-1".into(),
        app_id: Some("app-1".into()),
        name: Some("Calendar Helper".into()),
        publisher: Some("Helpers Ltd".into()),
        of_the_platform: false,
        ways: [Way::Consented].into(),
    };
    let asked = sort(&m365(), &[app], &Facts::new()).questions;
    let mut world = World::open(request, &kinds, policy);
    world.extra.insert(Kind::Resolve, Facts::new().with("object_id", "u-1"));
    world.finds = asked
        .into_iter()
        .map(|question| Find {
            kind: Kind::DecideApp,
            object: question.object,
            params: question.params,
        })
        .collect();
    world.run();
    let said = statement(&world.history).unwrap().predicate;
    let task = said.tasks.iter().find(|t| t.kind == Kind::DecideApp.name()).unwrap();
    assert_eq!(task.params.text("app_name"), Some("Calendar Helper"));
    assert_eq!(task.params.text("app_publisher"), Some("Helpers Ltd"));
    assert!(task.withheld_params.is_empty());
    assert!(matches!(task.outcome, Some(OutcomeAccount::Attested { .. })));
}
