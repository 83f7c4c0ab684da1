//! Departures through three processes, and what each of them may not do.

use crate::stage::{Size, Stage};
use crate::support::until;

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
    let mut people = crate::chaos::People::default();
    until("every case is closed", || {
        people.answer(&stage);
        let cases = stage.cases();
        cases.len() == 4 && cases.values().all(|c| c["state"] == "closed")
    });
    for case in stage.cases().keys() {
        stage.run(&["verify", case]).expect(0);
    }
    for role in roles {
        role.signal("TERM");
        role.wait().expect(0);
    }
}
