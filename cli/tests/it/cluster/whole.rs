//! Departures through three processes, and what each of them may not do.

use crate::account::{Party, nothing_lost, nothing_twice};
use crate::cluster::stage::{Size, Stage, now_ms};
use std::collections::BTreeSet;
use std::time::Duration;

/// Far longer than it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(200);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn departures_go_through_three_processes_to_evidence_that_verifies() {
    let stage = Stage::set(
        11,
        Size {
            tenants: 2,
            leavers_each: 2,
        },
    )
    .await;
    let roles: Vec<_> = ["dispatcher", "worker", "closer"].map(|role| stage.start(role)).into();
    let file = stage.departures();
    let submitted = stage.run(&["submit", &file, "--json"]).expect(0);
    println!("{}", submitted.out);
    let mut people = crate::cluster::people::People::default();
    let roles = people.until_all_closed(&stage, PATIENCE, roles);
    assert_eq!(stage.cases().len(), 4);
    for case in stage.cases().keys() {
        stage.run(&["verify", case]).expect(0);
    }
    let parties: Vec<Party<'_>> = stage.clients.iter().map(Into::into).collect();
    let attempts = nothing_lost(&stage.folder, &stage.cases(), &BTreeSet::new(), &parties, "");
    nothing_twice(&mut stage.world(), now_ms(), &parties, &attempts, "");
    for role in roles {
        role.signal("TERM");
        role.wait().expect(0);
    }
}
