//! The vendor's rules, with its own words, and the harm that breaking them does.

mod accounts;
mod belongings;

use offboard_sim::population::Town;
use offboard_sim::world::{Cruelty, Harm, World};
use serde_json::json;

use crate::client::{Client, Got, T0};

const MINUTE: i64 = 60_000;
const DAY: i64 = 86_400_000;
const GIB: u64 = 1024 * 1024 * 1024;

/// Builds a tenant and gives a client of it with whatever the builder returned.
pub(super) fn with<T>(cruelty: Cruelty, build: impl FnOnce(&mut Town) -> T) -> (Client, T) {
    let mut world = World::new(1, cruelty);
    let mut town = Town::found(&mut world, "contoso", T0);
    let built = build(&mut town);
    let tenant = town.id().to_owned();
    (Client::new(world, &tenant), built)
}

pub(super) fn harms(client: &Client) -> Vec<Harm> {
    client
        .world
        .violations()
        .iter()
        .map(|violation| violation.harm)
        .collect()
}

pub(super) fn release(client: &mut Client, who: &str, skus: &[&str]) -> Got {
    client.graph(
        "POST",
        &format!("/users/{who}/assignLicense"),
        Some(json!({"addLicenses": [], "removeLicenses": skus})),
    )
}

pub(super) fn disable(client: &mut Client, who: &str) -> Got {
    client.graph(
        "PATCH",
        &format!("/users/{who}"),
        Some(json!({"accountEnabled": false})),
    )
}

pub(super) fn says(got: &Got, status: u16, text: &str) {
    assert!(
        got.status == status && got.body.to_string().contains(text),
        "wanted {status} with \"{text}\", got {} {}",
        got.status,
        got.body
    );
}
