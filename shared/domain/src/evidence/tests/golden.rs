//! What evidence says of a whole departure, beside the history that it came
//! from. A change of the stored form is a diff of these files;
//! `BLESS=1 cargo test -p offboard-domain evidence` writes them anew.

use super::world::{CANARY, World, rich, small};
use super::*;
use std::path::Path;

fn check(name: &str, statement: &Statement) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/evidence/testdata")
        .join(name);
    let mut actual = serde_json::to_string_pretty(statement).unwrap();
    actual.push('\n');
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert!(
        expected == actual,
        "{name} differs; write it anew with BLESS=1 and read the diff"
    );
    assert_eq!(&serde_json::from_str::<Statement>(&expected).unwrap(), statement);
}

fn account(world: &World) -> Statement {
    statement(&world.history).unwrap()
}

#[test]
fn a_small_departure_says_what_it_always_said() {
    check("small.json", &account(&small()));
}

#[test]
fn a_rich_departure_says_what_it_always_said() {
    check("rich.json", &account(&rich()));
}

#[test]
fn prose_about_a_person_is_there_by_its_digest_only() {
    let said = serde_json::to_string(&account(&rich())).unwrap();
    assert!(!said.contains(CANARY) && !said.contains("canary"));
    assert!(said.contains(&crate::id::Digest::of(CANARY.as_bytes()).to_string()));
}
