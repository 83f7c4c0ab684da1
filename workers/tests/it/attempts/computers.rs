//! Devices that are joined to a cloud and to a domain: what the cloud's finder hands
//! over, and what the domain's makes of it.

use crate::attempts::drive::{Desk, End, NEVER, setting};
use offboard_connectors::Owner;
use offboard_domain::catalogue::premises::{FOR_THE_CLOUD, HYBRID_JOINED, LISTED, SOUGHT};
use offboard_domain::estate::{self, Holding};
use offboard_domain::{Facts, Find, Kind, Observation, System, Verdict, judge};

async fn found(desk: &mut Desk, kind: Kind, params: Option<Facts>) -> (Observation, Vec<Find>) {
    let (_, mut todo) = setting(kind);
    if let Some(params) = params {
        todo.params = params;
    }
    match desk.settle(todo, &mut NEVER.clone()).await {
        End::Found(seen, finds) => (seen, finds),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_company_device_that_is_joined_to_both_is_handed_over_and_no_other() {
    let (mut state, _) = setting(Kind::DiscoverDevices);
    let mut desk = Desk::new(state.clone());
    let (seen, _) = found(&mut desk, Kind::DiscoverDevices, None).await;
    assert_eq!(
        seen.facts.list(HYBRID_JOINED),
        Some(&[][..]),
        "joined to the cloud alone"
    );
    for row in state.devices.values_mut() {
        row.device.hybrid_joined = true;
    }
    let mut desk = Desk::new(state.clone());
    let (seen, _) = found(&mut desk, Kind::DiscoverDevices, None).await;
    assert_eq!(seen.facts.list(HYBRID_JOINED), Some(&["d-company".to_owned()][..]));
    assert_eq!(seen.facts.text("device_id/m-company"), Some("d-company"));
    // A colleague's, whom he helped to join it, and one that carries no id.
    for without in [true, false] {
        let mut state = state.clone();
        let row = state.devices.get_mut("m-company").unwrap();
        assert_eq!(row.device.owner, Owner::Company);
        if without {
            row.device.at.device_id = None;
        } else {
            row.device.is_managed = false;
            row.managed.as_mut().unwrap().user_id = Some("u-other".into());
        }
        let mut desk = Desk::new(state);
        let (seen, _) = found(&mut desk, Kind::DiscoverDevices, None).await;
        assert_eq!(seen.facts.list(HYBRID_JOINED), Some(&[][..]));
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_has_the_computer_disables_it_and_a_server_is_nobodys() {
    let (state, _) = setting(Kind::DiscoverComputers);
    let mut desk = Desk::new(state);
    let (seen, finds) = found(&mut desk, Kind::DiscoverComputers, None).await;
    let found_here: Vec<(Kind, &str)> = finds.iter().map(|f| (f.kind, f.object.0.as_str())).collect();
    assert_eq!(found_here, [(Kind::DisableComputer, "pc")]);
    assert_eq!(finds[0].params, Facts::new().with(FOR_THE_CLOUD, true));
    let list = |name: &str| seen.facts.list(name).unwrap().join(" ");
    assert_eq!(list("computer_ids"), "pc");
    assert_eq!(list("server_ids"), "srv");
    assert_eq!(list("only_elsewhere_ids"), "another");
    let verdict = judge(Kind::DiscoverComputers, &Facts::new(), &seen.facts, None);
    assert_eq!(verdict, Verdict::Satisfied);
    assert_eq!(desk.writes(), Vec::<String>::new());
    let kept: Vec<&str> = desk.reports[0].artifacts.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(kept, ["snapshot.computers.m365"]);
    // By that id it is known again as the cloud's device.
    let mut sightings = estate::noted(&System::new("ad").unwrap(), &seen.facts);
    sightings.retain(|s| s.id.0 == "pc");
    assert_eq!(sightings[0].device_id.as_deref(), Some("pc"));
    assert_eq!(sightings[0].held, Holding::Listed);
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_knows_none_leaves_nothing_to_look_for() {
    let (state, _) = setting(Kind::DiscoverComputers);
    for params in [Facts::new(), Facts::new().with(SOUGHT, Vec::<String>::new())] {
        let mut desk = Desk::new(state.clone());
        let (seen, finds) = found(&mut desk, Kind::DiscoverComputers, Some(params)).await;
        assert_eq!(finds, []);
        let verdict = judge(Kind::DiscoverComputers, &Facts::new(), &seen.facts, None);
        assert!(matches!(verdict, Verdict::NotApplicable(_)), "{verdict:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_cloud_no_longer_lists_as_his_is_left_alone() {
    for (listed, left_alone) in [(None, false), (Some(true), false), (Some(false), true)] {
        let (state, mut todo) = setting(Kind::DisableComputer);
        if let Some(listed) = listed {
            todo.params = Facts::new().with(FOR_THE_CLOUD, true).with(LISTED, listed);
        }
        let mut desk = Desk::new(state.clone());
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert_eq!(matches!(end, End::Asked(_)), left_alone, "{listed:?}: {end:?}");
        assert_eq!(desk.fake.now().computers["pc"].enabled, left_alone);
        assert_eq!(desk.writes().is_empty(), left_alone);
    }
}
