#![allow(clippy::unwrap_used, reason = "a test may")]

use super::logon::{Form, may_be_his};
use super::tasks::may_have_a_device;
use super::*;
use crate::catalogue::Kind;
use proptest::prelude::*;

fn serial(text: &str) -> Serial {
    Serial::parse(text).unwrap()
}

fn seen(system: &str, id: &str, number: &str, held: Holding) -> Sighting {
    Sighting {
        system: System::new(system).unwrap(),
        id: ObjectId::from(id),
        serial: Serial::parse(number),
        device_id: None,
        held,
    }
}

/// Of everything else no device is looked up, and nothing would be found near it.
#[test]
fn only_what_may_have_a_device_goes_by_device() {
    for kind in Kind::ALL.iter().copied() {
        for dep in kind.spec().after.iter().filter(|dep| dep.same_device) {
            assert!(may_have_a_device(kind), "{kind}");
            assert!(may_have_a_device(dep.kind), "{kind} after {}", dep.kind);
            let finds = dep.kind.spec().finds.iter().filter(|_| dep.with_finds);
            for found in finds {
                assert!(
                    may_have_a_device(*found),
                    "{kind} after what {} finds: {found}",
                    dep.kind
                );
            }
        }
    }
}

/// One that carries this id.
fn carrying(device_id: &str, one: Sighting) -> Sighting {
    Sighting {
        device_id: Some(device_id.to_owned()),
        ..one
    }
}

#[test]
fn what_a_maker_left_unset_is_no_serial_number() {
    for text in [
        "",
        " ",
        "0",
        "None",
        "N/A",
        "To be filled by O.E.M.",
        "To Be Filled By O.E.M",
        "TO BE FILLED BY OEM",
        "Default string",
        "default-string",
        "System Serial Number",
        "Not Specified",
        "Unknown",
        "00000000",
        "0000-0000-0000",
        "XXXXXXX",
        "........",
        "1234567890",
        "123",
        "ÿÿÿÿÿÿÿÿ",
        "AB\u{0}CD1234",
        "AB\nCD1234",
        "５ＣＧ１２３４",
        &"A1".repeat(40),
    ] {
        assert_eq!(Serial::parse(text), None, "{text:?}");
    }
}

#[test]
fn one_number_has_one_spelling() {
    for text in ["5cg1234xyz", " 5CG1234XYZ ", "5CG1234 XYZ", "\t5Cg1234xYZ"] {
        assert_eq!(serial(text).as_str(), "5CG1234XYZ", "{text:?}");
    }
    // Signs between belong to it: makers tell devices apart by them.
    assert_ne!(serial("PF-12AB3C"), serial("PF12AB3C"));
}

#[test]
fn a_name_is_met_in_every_form_and_makes_a_candidate_alone() {
    let names = [
        "Anna.Gross@contoso.example".to_owned(),
        "agross@contoso.example".to_owned(),
    ];
    for (signed_in, form) in [
        ("CONTOSO\\anna.gross", Some(Form::Account)),
        ("contoso\\AGROSS", Some(Form::Account)),
        ("agross", Some(Form::Account)),
        ("LAPTOP-7\\agross", Some(Form::Account)),
        ("AzureAD\\Anna Gross", Some(Form::Shown)),
        ("AzureAD\\AnnaGross", Some(Form::Shown)),
        ("AzureAD\\anna.gross@contoso.example", Some(Form::Address)),
        ("anna.gross@CONTOSO.example", Some(Form::Address)),
        ("anna.gross@fabrikam.example", None),
        ("CONTOSO\\anna.grossmann", None),
        ("CONTOSO\\Anna Gross", None),
        ("CONTOSO\\", None),
        ("", None),
        ("NT AUTHORITY\\SYSTEM", None),
        ("Window Manager\\agross", None),
    ] {
        assert_eq!(may_be_his(signed_in, &names, Some("Anna Gross")), form, "{signed_in}");
    }
    let everywhere = ["admin@contoso.example".to_owned()];
    assert_eq!(may_be_his("LAPTOP-7\\Admin", &everywhere, None), None);
    assert_eq!(may_be_his("AzureAD\\", &[], Some("")), None);
}

#[test]
fn the_same_serial_number_joins_what_systems_know() {
    let mine = [
        seen("ninja", "1", "5CG1", Holding::Remote),
        seen("ninja", "2", "5CG2", Holding::Remote),
        seen("ninja", "3", "Default string", Holding::Remote),
        seen("ninja", "4", "5CG4", Holding::Remote),
        seen("ninja", "5", "5CG5", Holding::Remote),
        seen("ninja", "6", "5CG5", Holding::Remote),
        seen("ninja", "7", "5CG7", Holding::Remote),
    ];
    let others = [
        seen("m365", "a", "5cg1", Holding::ManagedCompany),
        seen("m365", "b", "Default string", Holding::ManagedCompany),
        seen("m365", "c", "5CG4", Holding::ManagedCompany),
        seen("google", "x", "5CG4", Holding::ManagedPersonal),
        seen("m365", "d", "5CG7", Holding::ManagedCompany),
        seen("m365", "e", "5CG7", Holding::ManagedCompany),
        seen("m365", "f", "5CG9", Holding::ManagedCompany),
    ];
    let compared = compare(&mine, &others);
    let word = |id: &str| compared.of[&ObjectId::from(id)].word();
    assert_eq!(word("1"), "managed_company");
    assert_eq!(word("2"), "unknown");
    assert_eq!(word("3"), "no_serial");
    assert_eq!(
        word("4"),
        "managed_personal",
        "whose it is weighs more than who could wipe it"
    );
    assert_eq!(
        (word("5"), word("6"), word("7")),
        ("ambiguous", "ambiguous", "ambiguous")
    );
    let wipeable: Vec<&str> = compared
        .of
        .iter()
        .filter(|(_, e)| e.can_wipe())
        .map(|(id, _)| id.0.as_str())
        .collect();
    assert_eq!(wipeable, ["1"]);
    let only: Vec<&str> = compared.only_elsewhere.iter().map(|(_, id)| id.0.as_str()).collect();
    assert_eq!(only, ["b", "f"]);
}

/// A computer has no serial number in its domain: what tells it is the id that the cloud
/// knows its device by, whose serial number the management knows.
#[test]
fn the_id_that_a_device_carries_joins_a_cloud_with_a_domain() {
    let mine = [
        seen("ninja", "1", "5CG1", Holding::Remote),
        seen("ninja", "2", "5CG2", Holding::Remote),
    ];
    let others = [
        carrying("g-1", seen("m365", "m-1", "5cg1", Holding::ManagedCompany)),
        carrying("g-1", seen("ad", "g-1", "", Holding::Listed)),
        carrying("g-3", seen("m365", "o-3", "", Holding::Listed)),
        carrying("g-3", seen("ad", "g-3", "", Holding::Listed)),
        carrying("g-4", seen("ad", "g-4", "", Holding::Listed)),
        // One id, two numbers: nothing is guessed.
        carrying("g-5", seen("m365", "m-5", "5CG5", Holding::ManagedCompany)),
        carrying("g-5", seen("m365", "m-6", "5CG6", Holding::ManagedCompany)),
        carrying("g-5", seen("ad", "g-5", "", Holding::Listed)),
    ];
    let compared = compare(&mine, &others);
    let word = |id: &str| compared.of[&ObjectId::from(id)].word();
    assert_eq!((word("1"), word("2")), ("managed_company", "unknown"));
    let only: Vec<&str> = compared.only_elsewhere.iter().map(|(_, id)| id.0.as_str()).collect();
    assert_eq!(only, ["g-3", "g-4", "g-5", "m-5", "m-6", "o-3"]);
    let all: Vec<Sighting> = mine.into_iter().chain(others).collect();
    let shown: Vec<Vec<&str>> = join(&all)
        .iter()
        .map(|d| {
            all.iter()
                .filter(|s| d.seen.contains(s))
                .map(|s| s.id.0.as_str())
                .collect()
        })
        .collect();
    assert_eq!(
        shown,
        [
            vec!["1", "m-1", "g-1"],
            vec!["2"],
            vec!["m-5"],
            vec!["m-6"],
            vec!["o-3", "g-3"],
            vec!["g-4"],
            vec!["g-5"],
        ]
    );
    assert!(join(&all).iter().all(|d| !d.ambiguous));
}

fn number() -> impl Strategy<Value = String> {
    // Few, so that they meet; hostile ones among them.
    prop_oneof![
        4 => "[a-cA-C]{4,5}",
        1 => Just("To be filled by O.E.M.".to_owned()),
        1 => Just("0".to_owned()),
        1 => ".{0,12}",
    ]
}

fn holding() -> impl Strategy<Value = Holding> {
    prop::sample::select(Holding::ALL.to_vec())
}

fn sightings() -> impl Strategy<Value = Vec<Sighting>> {
    let one = (
        prop::sample::select(vec!["m365", "ninja", "google"]),
        "[a-z0-9/]{1,3}",
        number(),
        prop::option::of("[g-i]"),
        holding(),
    );
    let one = one.prop_map(|(system, id, number, device_id, held)| Sighting {
        device_id,
        ..seen(system, &id, &number, held)
    });
    prop::collection::vec(one, 0..14)
}

/// Each record once, as a system lists it.
fn each_once(all: Vec<Sighting>) -> Vec<Sighting> {
    let by_id: BTreeMap<_, _> = all.into_iter().map(|s| ((s.system.clone(), s.id.clone()), s)).collect();
    by_id.into_values().collect()
}

proptest! {
    #[test]
    fn a_serial_number_reads_back_as_it_was_written(text in ".{0,80}") {
        if let Some(serial) = Serial::parse(&text) {
            prop_assert_eq!(Serial::parse(serial.as_str()), Some(serial.clone()));
            let json = serde_json::to_string(&serial).unwrap();
            prop_assert_eq!(serde_json::from_str::<Serial>(&json).unwrap(), serial);
        }
    }

    #[test]
    fn case_and_blanks_make_no_difference(text in "[ -~]{0,40}") {
        let other = format!("  {} ", text.to_lowercase());
        prop_assert_eq!(Serial::parse(&text), Serial::parse(&other));
    }

    #[test]
    fn what_is_told_is_what_is_heard(all in sightings()) {
        let all = each_once(all);
        let mut heard = heard(&told(&all));
        heard.sort();
        prop_assert_eq!(heard, all);
    }

    #[test]
    fn no_two_records_without_one_good_number_are_ever_matched(all in sightings()) {
        let all = each_once(all);
        let (mine, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|s| s.system.as_str() == "ninja");
        let compared = compare(&mine, &others);
        for one in &mine {
            let Elsewhere::Known(_) = compared.of[&one.id] else { continue };
            // Its own, or that of a record of the device that carries the same id.
            let lent = || {
                let same = |o: &&Sighting| o.device_id.is_some() && o.device_id == one.device_id;
                mine.iter().chain(&others).filter(same).find_map(|o| o.serial.as_ref())
            };
            let number = one.serial.as_ref().or_else(lent).expect("a match has a number");
            for system in ["ninja", "m365", "google"] {
                let there = mine.iter().chain(&others).filter(|o| o.system.as_str() == system);
                prop_assert!(there.filter(|o| o.serial.as_ref() == Some(number)).count() <= 1);
            }
        }
    }

    #[test]
    fn the_order_of_the_records_makes_no_difference(all in sightings(), seed in any::<u64>()) {
        let all = each_once(all);
        let (mine, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|s| s.system.as_str() == "ninja");
        let turned = |v: &[Sighting]| {
            let mut v = v.to_vec();
            if !v.is_empty() {
                let by = usize::try_from(seed).unwrap_or(7) % v.len();
                v.rotate_left(by);
            }
            v
        };
        prop_assert_eq!(compare(&mine, &others), compare(&turned(&mine), &turned(&others)));
    }

    #[test]
    fn every_record_is_shown_once(all in sightings()) {
        let all = each_once(all);
        let joined = join(&all);
        let mut shown: Vec<Sighting> = joined.iter().flat_map(|d| d.seen.clone()).collect();
        shown.sort();
        prop_assert_eq!(shown, all);
        for device in joined {
            let id = &device.seen[0].device_id;
            let of_one_id = id.is_some() && device.seen.iter().all(|s| s.device_id == *id);
            prop_assert!(device.serial.is_some() || device.seen.len() == 1 || of_one_id);
        }
    }
}
