//! A device that is joined to a cloud and to a directory on the premises: what
//! the cloud has of it is a copy, and follows the computer there.

use crate::model::*;
use offboard_domain::catalogue::Kind;
use offboard_domain::catalogue::premises::MASTERED;
use offboard_domain::departure::Manner;
use offboard_domain::{Command, Facts, Find, ObjectId, Said};

const COMPUTER: &str = "7F3A9C0D-11AA-4B6E-9D20-F1AA00000001";

fn found(w: &mut World, kind: Kind, find: Find) {
    let said = Said::Found {
        observation: seen(good(kind)),
        finds: vec![find],
    };
    let report = w.report(w.id(kind), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
}

#[test]
fn the_copy_of_a_computer_follows_it_where_that_is_disabled() {
    let same = COMPUTER.to_lowercase();
    for (device_id, follows) in [
        (Some(same.as_str()), true),
        (Some("7f3a9c0d-11aa-4b6e-9d20-f1aa00000002"), false),
        (None, false),
    ] {
        let mut w = World::opened(Manner::Immediate);
        w.answer(Kind::Resolve);
        let mut params = Facts::new().with("object_id", "o-1");
        if let Some(id) = device_id {
            params.set("device_id", id);
        }
        let device = Find {
            kind: Kind::DisableDeviceObject,
            object: ObjectId::from("o-1"),
            params,
        };
        found(&mut w, Kind::DiscoverDevices, device);
        let told = |w: &World| w.case().told(w.task(Kind::DisableDeviceObject)).bool(MASTERED);
        assert_eq!(told(&w), None, "nobody disables it on the premises");
        let computer = Find {
            kind: Kind::DisableComputer,
            object: ObjectId::from(COMPUTER),
            params: Facts::new(),
        };
        found(&mut w, Kind::ResolveOnPremises, computer);
        assert_eq!(told(&w), follows.then_some(true), "{device_id:?}");
    }
}
